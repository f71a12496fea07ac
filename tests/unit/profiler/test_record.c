/* SPDX-License-Identifier: MIT */
/* Recording without a kernel: rings that are written here, what is made of them, and the file. */
#include "core/profiler/record.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* --- a ring that is written here ----------------------------------------------------------------
 */

#define RING_BYTES 4096u

struct bench {
	struct ring ring;
	char *bytes;
	char scratch[65536];
	char directory[32], path[64];
	struct writer writer;
	struct tally tally;
	uint32_t pid;
};

static void put(struct bench *bench, const void *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		bench->bytes[bench->ring.head++ % RING_BYTES] = ((const char *)bytes)[i];
}

static void put_head(struct bench *bench, uint32_t type, uint16_t misc, size_t body)
{
	struct perf_event_header head = {type, misc, (uint16_t)(sizeof(head) + body)};

	put(bench, &head, sizeof(head));
}

static void put_trailer(struct bench *bench, uint64_t time)
{
	const uint32_t who[2] = {bench->pid, bench->pid}, cpu[2] = {1, 0};

	put(bench, who, sizeof(who));
	put(bench, &time, sizeof(time));
	put(bench, cpu, sizeof(cpu));
}

static void put_sample(struct bench *bench, uint64_t time, const uint64_t *chain, uint64_t depth)
{
	const uint32_t who[2] = {bench->pid, bench->pid}, cpu[2] = {1, 0};
	const uint64_t ip = depth ? chain[0] : 0, period = 10101010;

	put_head(bench, PERF_RECORD_SAMPLE, PERF_RECORD_MISC_USER, 48 + depth * 8);
	put(bench, &ip, 8);
	put(bench, who, 8);
	put(bench, &time, 8);
	put(bench, cpu, 8);
	put(bench, &period, 8);
	put(bench, &depth, 8);
	put(bench, chain, depth * 8);
}

static void put_name(struct bench *bench, const char *name, size_t padded)
{
	char text[64] = "";

	snprintf(text, sizeof(text), "%s", name);
	put(bench, text, padded);
}

static void put_map(struct bench *bench, uint64_t time, uint64_t start, uint64_t length,
                    uint64_t offset, const char *path)
{
	const uint32_t who[2] = {bench->pid, bench->pid}, rights[2] = {5, 2};
	const uint64_t where[3] = {start, length, offset}, device[3] = {8, 77, 0};

	put_head(bench, PERF_RECORD_MMAP2, PERF_RECORD_MISC_USER, 8 + 24 + 24 + 8 + 32 + 24);
	put(bench, who, 8);
	put(bench, where, 24);
	put(bench, device, 24);
	put(bench, rights, 8);
	put_name(bench, path, 32);
	put_trailer(bench, time);
}

static void put_comm(struct bench *bench, uint64_t time, const char *name, bool exec)
{
	const uint32_t who[2] = {bench->pid, bench->pid};

	put_head(bench, PERF_RECORD_COMM, exec ? PERF_RECORD_MISC_COMM_EXEC : 0, 8 + 16 + 24);
	put(bench, who, 8);
	put_name(bench, name, 16);
	put_trailer(bench, time);
}

static int set_up(void **state)
{
	struct bench *bench = nova_alloc(sizeof(*bench));
	struct nova_error error = {0};

	bench->bytes = nova_alloc(RING_BYTES);
	bench->ring =
	        (struct ring){.data = bench->bytes, .bytes = RING_BYTES, .scratch = bench->scratch};
	bench->pid = 0x3ffffff0; /* nobody: pid_max is 4 Mi at most */
	strcpy(bench->directory, "/tmp/novacore-test-XXXXXX");
	assert_non_null(mkdtemp(bench->directory));
	snprintf(bench->path, sizeof(bench->path), "%s/r", bench->directory);
	assert_int_equal(writer_open(&bench->writer, bench->path, &error), 0);
	NOVA_AUTOJSON json_t *about = json_pack("{ss}", "schema", "novacore.recording/1");
	writer_json(&bench->writer, CHUNK_ABOUT, about);
	tally_start(&bench->tally, &bench->writer);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	tally_free(&bench->tally);
	if (bench->writer.fd >= 0)
		assert_int_equal(writer_close(&bench->writer, NULL), 0);
	nova_directory_remove(bench->directory, NULL);
	free(bench->bytes);
	free(bench);
	return 0;
}

static void drain(struct bench *bench, uint64_t until)
{
	rings_drain(&bench->ring, 1, until, tally_take, &bench->tally);
}

/* Writes what there is, and reads it back. */
static struct nova_stacks *read_back(struct bench *bench)
{
	struct nova_error error = {0};
	struct nova_stacks *stacks = NULL;
	NOVA_AUTOJSON json_t *status = json_pack("{si}", "samples", 0);

	tally_flush(&bench->tally);
	writer_json(&bench->writer, CHUNK_END, status);
	assert_int_equal(writer_flush(&bench->writer, &error), 0);
	if (nova_stacks_read(bench->path, NULL, &stacks, &error))
		fail_msg("%s", error.text);
	return stacks;
}

static const struct nova_frame *leaf_of(const struct nova_stacks *stacks, uint32_t count)
{
	return &stacks->frames[stacks->nodes[stacks->counts[count].node].frame];
}

static const uint64_t CHAIN[] = {PERF_CONTEXT_USER, 0x401010, 0x401021};

/* --- rings --------------------------------------------------------------------------------------
 */

static void reads_records_over_the_end_of_the_ring(void **state)
{
	struct bench *bench = *state;

	for (int i = 0; i < 200; i++) { /* many times around */
		put_sample(bench, (uint64_t)i, CHAIN, 3);
		if (i % 7 == 6)
			drain(bench, UINT64_MAX);
	}
	drain(bench, UINT64_MAX);
	assert_int_equal(bench->tally.samples, 200);
	assert_int_equal(bench->ring.broken, 0);
	assert_int_equal(bench->tally.stack_count, 1);
}

static void leaves_what_is_later(void **state)
{
	struct bench *bench = *state;

	put_sample(bench, 10, CHAIN, 3);
	put_sample(bench, 20, CHAIN, 3);
	drain(bench, 15);
	assert_int_equal(bench->tally.samples, 1);
	drain(bench, 20);
	assert_int_equal(bench->tally.samples, 2);
}

struct order {
	uint64_t times[8];
	size_t count;
};

static void note_time(void *context, const struct event *event)
{
	struct order *order = context;

	order->times[order->count++] = event->time;
}

static void puts_two_rings_in_order(void **state)
{
	struct bench *bench = *state, other = *bench;
	char bytes[RING_BYTES], scratch[65536];
	struct ring rings[2];
	struct order order = {.count = 0};

	other.bytes = bytes;
	other.ring.data = bytes;
	other.ring.scratch = scratch;
	put_sample(bench, 1, CHAIN, 3);
	put_sample(bench, 4, CHAIN, 3);
	put_sample(&other, 2, CHAIN, 3);
	put_sample(&other, 3, CHAIN, 3);
	put_sample(&other, 5, CHAIN, 3);
	rings[0] = bench->ring;
	rings[1] = other.ring;
	rings_drain(rings, 2, UINT64_MAX, note_time, &order);
	assert_int_equal(order.count, 5);
	for (uint64_t i = 0; i < 5; i++)
		assert_int_equal(order.times[i], i + 1);
}

static void skips_records_that_are_none(void **state)
{
	struct bench *bench = *state;
	const uint64_t much = 1000000;

	put_sample(bench, 1, CHAIN, 3);
	/* a call chain that is longer than its record */
	put_head(bench, PERF_RECORD_SAMPLE, 0, 48);
	for (int i = 0; i < 6; i++)
		put(bench, &much, 8);
	put_sample(bench, 2, CHAIN, 3);
	/* one whose length is zero ends the round */
	put(bench, (char[8]){0}, 8);
	drain(bench, UINT64_MAX);
	assert_int_equal(bench->tally.samples, 2);
	assert_int_equal(bench->ring.broken, 2);
	put_sample(bench, 3, CHAIN, 3);
	drain(bench, UINT64_MAX);
	assert_int_equal(bench->tally.samples, 3);
}

static void counts_what_the_kernel_lost(void **state)
{
	struct bench *bench = *state;
	const uint64_t lost[2] = {1, 17}, samples = 5;

	put_head(bench, PERF_RECORD_LOST, 0, 16 + 24);
	put(bench, lost, 16);
	put_trailer(bench, 1);
	put_head(bench, PERF_RECORD_LOST_SAMPLES, 0, 8 + 24);
	put(bench, &samples, 8);
	put_trailer(bench, 2);
	drain(bench, UINT64_MAX);
	assert_int_equal(bench->tally.lost, 5 + 17);
}

/* --- spaces -------------------------------------------------------------------------------------
 */

static void a_new_map_cuts_those_below_it(void **state)
{
	struct bench *bench = *state;
	struct spaces *spaces = &bench->tally.spaces;
	struct space *space = spaces_of(spaces, (int32_t)bench->pid);
	const struct map *map;

	space_insert(spaces, space, &(struct map){0x1000, 0x9000, 0, 7});
	space_insert(spaces, space, &(struct map){0x3000, 0x5000, 0x100, 8});
	assert_int_equal(space->count, 3);
	map = space_find(space, 0x2fff);
	assert_int_equal(map->object, 7);
	assert_int_equal(space_find(space, 0x3000)->object, 8);
	assert_int_equal(space_find(space, 0x4fff)->object, 8);
	map = space_find(space, 0x5000);
	assert_int_equal(map->object, 7);
	assert_int_equal(map->offset, 0x4000); /* moves with the start */
	assert_null(space_find(space, 0x9000));
	assert_null(space_find(space, 0xfff));
	space_insert(spaces, space, &(struct map){0x0, 0x10000, 0, 9});
	assert_int_equal(space->count, 1);
	assert_int_equal(spaces->map_count, 1);
}

static void reads_lines_of_maps(void **state)
{
	static const char line[] = "7f5f0a000000-7f5f0a021000 r-xp 00002000 fe:01 1234    "
	                           "                 /usr/lib/a b.so (deleted)";
	struct maps_line parts;

	(void)state;
	assert_true(maps_line_read(line, strlen(line), &parts));
	assert_int_equal(parts.start, 0x7f5f0a000000);
	assert_int_equal(parts.offset, 0x2000);
	assert_int_equal(parts.major, 0xfe);
	assert_int_equal(parts.inode, 1234);
	assert_true(parts.executable);
	assert_int_equal(parts.path_length, strlen("/usr/lib/a b.so (deleted)"));
	assert_false(maps_line_read("7f5f", 4, &parts));
	assert_false(maps_line_read("9-8 r-xp 0 0:0 0 ", 17, &parts));
	assert_false(maps_line_read("", 0, &parts));
}

/* --- from samples to the file and back -------------------------------------------------------- */

static void what_is_sampled_is_read_back(void **state)
{
	struct bench *bench = *state;

	put_comm(bench, 1, "work", true);
	put_map(bench, 2, 0x400000, 0x10000, 0x1000, "/nowhere/work");
	for (uint64_t i = 0; i < 5; i++)
		put_sample(bench, 3 + i, CHAIN, 3);
	drain(bench, UINT64_MAX);
	NOVA_AUTO(nova_stacks_cleanup) struct nova_stacks *stacks = read_back(bench);
	assert_int_equal(nova_stacks_total(stacks, 0), 5);
	assert_int_equal(nova_stacks_total(stacks, 1), 5 * 10101010);
	assert_int_equal(stacks->count_count, 1);
	assert_string_equal(leaf_of(stacks, 0)->library, "/nowhere/work");
	assert_string_equal(leaf_of(stacks, 0)->name, "[unknown]");
	assert_string_equal(stacks->origins[stacks->counts[0].origin].process, "work");
	assert_int_equal(stacks->origins[stacks->counts[0].origin].cpu, 1);
	assert_int_equal(stacks->origins[stacks->counts[0].origin].vcpu, -1);
	/* a note says why there is no name */
	assert_true(stacks->note_count > 0);
}

static void samples_before_and_after_exec_have_their_own_names(void **state)
{
	struct bench *bench = *state;

	put_comm(bench, 1, "sh", true);
	put_map(bench, 2, 0x400000, 0x10000, 0, "/nowhere/sh");
	put_sample(bench, 3, CHAIN, 3);
	put_comm(bench, 4, "work", true);
	put_sample(bench, 5, CHAIN, 3); /* nothing is mapped yet */
	put_map(bench, 6, 0x400000, 0x10000, 0, "/nowhere/work");
	put_sample(bench, 7, CHAIN, 3);
	drain(bench, UINT64_MAX);
	NOVA_AUTO(nova_stacks_cleanup) struct nova_stacks *stacks = read_back(bench);
	assert_int_equal(stacks->count_count, 3);
	for (uint32_t i = 0; i < 3; i++) {
		const char *process = stacks->origins[stacks->counts[i].origin].process;
		const char *library = leaf_of(stacks, i)->library;

		if (strcmp(library, "/nowhere/sh") == 0)
			assert_string_equal(process, "sh");
		else
			assert_string_equal(process, "work");
	}
}

static void put_switch(struct bench *bench, uint64_t time, uint16_t misc)
{
	put_head(bench, PERF_RECORD_SWITCH, misc, 24);
	put_trailer(bench, time);
}

/* What the file says that it counts, and is counted. */
static void count_lanes(struct bench *bench, const enum lane_kind *kinds, uint32_t count)
{
	NOVA_AUTOJSON json_t *about = json_pack("{s[]}", "lanes");

	for (uint32_t i = 0; i < count; i++)
		json_array_append_new(json_object_get(about, "lanes"),
		                      json_string(lanes[kinds[i]].name));
	bench->writer.buffer.length = MAGIC_BYTES;
	writer_json(&bench->writer, CHUNK_ABOUT, about);
	tally_lanes(&bench->tally, kinds, count);
}

static void count_only(struct bench *bench, enum lane_kind kind)
{
	count_lanes(bench, &kind, 1);
}

static void waits_last_from_leaving_to_coming_back(void **state)
{
	struct bench *bench = *state;
	uint64_t blocked = 0, could_run = 0;

	count_only(bench, LANE_OFF_CPU);
	bench->ring.sampler = SAMPLE_SWITCHES;
	put_map(bench, 1, 0x400000, 0x10000, 0, "/nowhere/work");
	put_switch(bench, 5, 0); /* comes, but nobody saw it leave */
	put_sample(bench, 100, CHAIN, 3);
	put_switch(bench, 101, PERF_RECORD_MISC_SWITCH_OUT);
	put_switch(bench, 160, 0);
	put_sample(bench, 200, CHAIN, 3);
	put_switch(bench, 201, PERF_RECORD_MISC_SWITCH_OUT | PERF_RECORD_MISC_SWITCH_OUT_PREEMPT);
	put_switch(bench, 230, 0);
	put_sample(bench, 300, CHAIN, 3); /* and does not come back */
	drain(bench, UINT64_MAX);
	tally_waiting(&bench->tally, 307);
	NOVA_AUTO(nova_stacks_cleanup) struct nova_stacks *stacks = read_back(bench);
	assert_string_equal(stacks->types[stacks->shown].type, "off-cpu");
	for (uint32_t i = 0; i < stacks->count_count; i++)
		*(strcmp(leaf_of(stacks, i)->name, "[waiting for a CPU]") ? &blocked
		                                                          : &could_run) +=
		        stacks->values[i * 2 + 1];
	/* each stands for the period that its sample has */
	assert_int_equal(could_run, 30ULL * 10101010);
	assert_int_equal(blocked, 67ULL * 10101010);
}

/* A tracepoint's sample: which, and the lock. */
static void put_contention(struct bench *bench, uint64_t time, uint16_t which, uint64_t lock)
{
	const uint32_t who[2] = {bench->pid, bench->pid}, cpu[2] = {1, 0}, raw_bytes = 28;
	const uint64_t ip = CHAIN[1], period = 1, depth = 3;
	char raw[28] = {0};

	memcpy(raw, &which, 2);
	memcpy(raw + LOCKS_RAW_ADDRESS, &lock, 8);
	put_head(bench, PERF_RECORD_SAMPLE, PERF_RECORD_MISC_USER, 48 + 3 * 8 + 4 + 28);
	put(bench, &ip, 8);
	put(bench, who, 8);
	put(bench, &time, 8);
	put(bench, cpu, 8);
	put(bench, &period, 8);
	put(bench, &depth, 8);
	put(bench, CHAIN, 24);
	put(bench, &raw_bytes, 4);
	put(bench, raw, 28);
}

static void a_lock_is_waited_for_until_its_own_end(void **state)
{
	struct bench *bench = *state;

	count_only(bench, LANE_LOCK);
	bench->ring.sampler = SAMPLE_CONTENTION;
	bench->ring.extra = EVENT_RAW;
	bench->tally.contention_ends = 7;
	put_map(bench, 1, 0x400000, 0x10000, 0, "/nowhere/work");
	put_contention(bench, 5, 7, 0xa);   /* an end that nobody saw begin */
	put_contention(bench, 100, 6, 0xa); /* spins */
	put_contention(bench, 110, 6, 0xb); /* for another one inside of that */
	put_contention(bench, 115, 7, 0xb);
	put_contention(bench, 120, 6, 0xa); /* sleeps: still the same wait */
	put_contention(bench, 150, 7, 0xa);
	put_contention(bench, 200, 6, 0xc); /* and does not get it */
	drain(bench, UINT64_MAX);
	tally_waiting(&bench->tally, 230);
	NOVA_AUTO(nova_stacks_cleanup) struct nova_stacks *stacks = read_back(bench);
	assert_string_equal(stacks->types[stacks->shown].type, "lock");
	assert_int_equal(nova_stacks_total(stacks, 0), 3);
	assert_int_equal(nova_stacks_total(stacks, 1), 50 + 5 + 30);
	assert_int_equal(bench->ring.broken, 0);
}

static void finds_functions_that_wait_for_locks(void **state)
{
	static const char kallsyms[] = "ffffffff81000000 T _stext\n"
	                               "ffffffff81000100 t futex_wait_queue.isra.0\n"
	                               "ffffffff81000200 T futex_wake\n"
	                               "ffffffff81000300 t __mutex_lock.constprop.0\n"
	                               "ffffffff81000400 T downgrade_write\n";
	const uint64_t chains[][4] = {
	        {PERF_CONTEXT_KERNEL, 0xffffffff81000010, 0xffffffff81000180, 0},
	        {PERF_CONTEXT_KERNEL, 0xffffffff81000010, 0xffffffff81000200,
	         0}, /* returns there */
	        {PERF_CONTEXT_KERNEL, 0xffffffff81000010, 0xffffffff81000280, 0},
	        {PERF_CONTEXT_KERNEL, 0xffffffff81000010, 0xffffffff81000380, 0},
	        {PERF_CONTEXT_KERNEL, 0xffffffff81000010, PERF_CONTEXT_USER, 0xffffffff81000180},
	        {PERF_CONTEXT_KERNEL, 0xffffffff81000010, 0xffffffff81000480, 0}};
	const bool expected[][2] = {{true, true},  {true, true},   {false, false},
	                            {false, true}, {false, false}, {false, false}};

	(void)state;
	for (int kernel = 0; kernel < 2; kernel++) {
		FILE *file = fmemopen((void *)(uintptr_t)kallsyms, sizeof(kallsyms) - 1, "r");
		struct locks *locks = locks_read(file, kernel);

		fclose(file);
		assert_non_null(locks);
		for (size_t i = 0; i < NOVA_COUNT(chains); i++)
			assert_int_equal(
			        locks_wait(locks, &(struct event){.misc = PERF_RECORD_MISC_KERNEL,
			                                          .chain = chains[i],
			                                          .depth = 4}),
			        expected[i][kernel]);
		locks_free(locks);
	}
}

static void lanes_have_their_own_values(void **state)
{
	struct bench *bench = *state;

	count_lanes(bench, (const enum lane_kind[]){LANE_CPU, LANE_OFF_CPU, LANE_FAULTS}, 3);
	bench->tally.page_bytes = 4096;
	put_map(bench, 1, 0x400000, 0x10000, 0, "/nowhere/work");
	put_sample(bench, 2, CHAIN, 3);
	drain(bench, UINT64_MAX);
	bench->ring.sampler = SAMPLE_SWITCHES;
	put_sample(bench, 100, CHAIN, 3);
	put_switch(bench, 101, PERF_RECORD_MISC_SWITCH_OUT);
	put_switch(bench, 160, 0);
	drain(bench, UINT64_MAX);
	bench->ring.sampler = SAMPLE_FAULTS;
	put_sample(bench, 200, CHAIN, 2); /* another stack */
	drain(bench, UINT64_MAX);
	NOVA_AUTO(nova_stacks_cleanup) struct nova_stacks *stacks = read_back(bench);
	assert_int_equal(stacks->type_count, 6);
	assert_int_equal(stacks->count_count, 2);
	assert_int_equal(nova_stacks_total(stacks, 0), 1);
	assert_int_equal(nova_stacks_total(stacks, 3), 60ULL * 10101010);
	assert_int_equal(nova_stacks_total(stacks, 5), 4096ULL * 10101010);
	NOVA_AUTO(nova_stacks_cleanup)
	struct nova_stacks *only = nova_stacks_only(stacks, (uint32_t[]){4, 5}, 2, 1);
	assert_int_equal(only->count_count, 1);
	assert_string_equal(only->types[only->shown].type, "faulted");
	assert_int_equal(nova_stacks_total(only, 1), 4096ULL * 10101010);
	assert_int_equal(only->node_count, 2);
}

static void vcpus_are_told_by_their_threads(void **state)
{
	(void)state;
	assert_int_equal(tally_vcpu("CPU 3/KVM"), 3);
	assert_int_equal(tally_vcpu("CPU 0/TCG"), 0);
	assert_int_equal(tally_vcpu("CPU 0/KVMx"), -1);
	assert_int_equal(tally_vcpu("CPU x/KVM"), -1);
	assert_int_equal(tally_vcpu("IO mon_iothread"), -1);
	assert_int_equal(tally_vcpu("CPU -1/KVM"), -1);
}

static void forgets_and_goes_on_when_stacks_are_too_many(void **state)
{
	struct bench *bench = *state;
	uint64_t total = 0;

	put_map(bench, 1, 0x400000, 0x40000000, 0, "/nowhere/work");
	for (uint64_t i = 0; i < 230000; i++, total++) {
		const uint64_t chain[2] = {PERF_CONTEXT_USER, 0x400000 + i};

		put_sample(bench, 2 + i, chain, 2);
		if (i % 16 == 15)
			drain(bench, UINT64_MAX);
	}
	drain(bench, UINT64_MAX);
	assert_true(bench->tally.resets >= 2);
	assert_true(bench->tally.stack_count <= 100000);
	NOVA_AUTO(nova_stacks_cleanup) struct nova_stacks *stacks = read_back(bench);
	assert_int_equal(nova_stacks_total(stacks, 0), total);
}

/* --- broken files -------------------------------------------------------------------------------
 */

static void what_is_torn_at_the_end_is_left_out_and_said(void **state)
{
	struct bench *bench = *state;
	struct nova_error error = {0};
	NOVA_AUTO(nova_stacks_cleanup) struct nova_stacks *stacks = NULL;
	size_t whole;

	put_map(bench, 1, 0x400000, 0x10000, 0, "/nowhere/work");
	put_sample(bench, 2, CHAIN, 3);
	drain(bench, UINT64_MAX);
	tally_flush(&bench->tally);
	assert_int_equal(writer_flush(&bench->writer, &error), 0);
	whole = (size_t)bench->writer.bytes;
	put_sample(bench, 3, CHAIN, 3);
	drain(bench, UINT64_MAX);
	tally_flush(&bench->tally);
	assert_int_equal(writer_flush(&bench->writer, &error), 0);
	/* every way in which the last second may be cut */
	for (size_t length = (size_t)bench->writer.bytes - 1; length > whole; length--) {
		struct nova_stacks *cut = NULL;

		assert_int_equal(truncate(bench->path, (off_t)length), 0);
		assert_int_equal(nova_stacks_read(bench->path, NULL, &cut, &error), 0);
		assert_int_equal(nova_stacks_total(cut, 0), 1);
		nova_stacks_free(cut);
	}
	assert_int_equal(nova_stacks_read(bench->path, NULL, &stacks, &error), 0);
	bool said = false;
	for (uint32_t i = 0; i < stacks->note_count; i++)
		said = said || strstr(stacks->notes[i], "not whole");
	assert_true(said);
}

static void a_flipped_bit_never_gives_another_count(void **state)
{
	struct bench *bench = *state;
	size_t bytes = 0;

	put_map(bench, 1, 0x400000, 0x10000, 0, "/nowhere/work");
	put_sample(bench, 2, CHAIN, 3);
	drain(bench, UINT64_MAX);
	nova_stacks_free(read_back(bench));
	NOVA_AUTOFREE char *good = nova_file_read(bench->path, 1 << 20, &bytes, NULL);
	NOVA_AUTOCLOSE int file = open(bench->path, O_WRONLY | O_CLOEXEC);
	for (size_t bit = 0; bit < bytes * 8; bit++) {
		struct nova_error error = {0};
		struct nova_stacks *stacks = NULL;

		good[bit / 8] ^= (char)(1 << (bit % 8));
		assert_int_equal(pwrite(file, good + bit / 8, 1, (off_t)bit / 8), 1);
		if (nova_stacks_read(bench->path, NULL, &stacks, &error))
			assert_true(error.text[0]);
		else if (bit / 8 >= MAGIC_BYTES) /* else it is read as something else */
			assert_int_equal(nova_stacks_total(stacks, 0), 1);
		nova_stacks_free(stacks);
		good[bit / 8] ^= (char)(1 << (bit % 8));
		assert_int_equal(pwrite(file, good + bit / 8, 1, (off_t)bit / 8), 1);
	}
}

static void refuses_numbers_that_nothing_has(void **state)
{
	struct bench *bench = *state;
	struct nova_error error = {0};
	struct nova_stacks *stacks = NULL;

	writer_begin(&bench->writer, CHUNK_COUNTS);
	for (int i = 0; i < 5; i++)
		writer_number(&bench->writer, 3);
	writer_end(&bench->writer);
	assert_int_equal(writer_flush(&bench->writer, &error), 0);
	assert_int_equal(nova_stacks_read(bench->path, NULL, &stacks, &error), NOVA_E_INVALID);
	assert_non_null(strstr(error.text, "byte"));
	assert_null(stacks);
}

static void memory_is_bounded(void **state)
{
	struct bench *bench = *state;
	const struct nova_stacks_limits limits = {.bytes = 100000};
	struct nova_error error = {0};
	struct nova_stacks *stacks = NULL;

	put_map(bench, 1, 0x400000, 0x40000000, 0, "/nowhere/work");
	for (uint64_t i = 0; i < 5000; i++) {
		put_sample(bench, 2 + i, (const uint64_t[]){PERF_CONTEXT_USER, 0x400000 + i}, 2);
		drain(bench, UINT64_MAX);
	}
	tally_flush(&bench->tally);
	assert_int_equal(writer_flush(&bench->writer, &error), 0);
	assert_int_equal(nova_stacks_read(bench->path, &limits, &stacks, &error), NOVA_E_FULL);
	assert_null(stacks);
}

/* --- names --------------------------------------------------------------------------------------
 */

static void names_the_kernel_and_what_compilers_at_run_time_say(void **state)
{
	static const char kallsyms[] = "ffffffff81000000 T _stext\n"
	                               "ffffffff81001000 t do_work\n"
	                               "ffffffff81001800 D data\n"
	                               "ffffffffc0000000 t helper\t[module]\n";
	static const char map[] = "1000 10 first\n1010 20 second one\nnonsense\n1005 zz x\n";
	struct recording recording = {0};
	struct object objects[2] = {{.kind = OBJECT_KERNEL, .path = (char[]){"[kernel]"}},
	                            {.kind = OBJECT_JIT, .path = (char[]){"[jit]"}}};
	struct address addresses[] = {{.offset = 0xffffffff81001900},
	                              {.offset = 0xffffffffc0000004},
	                              {.offset = 0x1008, .object = 1},
	                              {.offset = 0x102f, .object = 1},
	                              {.offset = 0x1030, .object = 1}};
	const uint32_t numbers[] = {0, 1, 2, 3, 4};
	const struct nova_value_type type = {"samples", "count"};
	FILE *file = fmemopen((void *)(uintptr_t)kallsyms, sizeof(kallsyms) - 1, "r");
	const struct nova_frame *frames;

	(void)state;
	recording.objects = objects;
	recording.addresses = addresses;
	recording.texts = nova_stacks_new(&type, 1);
	symbols_of_kernel(&(struct address_run){&recording, &objects[0], numbers, 2}, file);
	fclose(file);
	file = fmemopen((void *)(uintptr_t)map, sizeof(map) - 1, "r");
	symbols_of_jit(&(struct address_run){&recording, &objects[1], numbers + 2, 3}, file);
	fclose(file);
	frames = recording.texts->frames;
	assert_string_equal(frames[recording.names[addresses[0].first]].name, "do_work");
	assert_string_equal(frames[recording.names[addresses[1].first]].name, "helper");
	assert_string_equal(frames[recording.names[addresses[1].first]].library, "[module]");
	assert_string_equal(frames[recording.names[addresses[2].first]].name, "first");
	assert_string_equal(frames[recording.names[addresses[3].first]].name, "second one");
	assert_int_equal(addresses[4].count, 0);
	nova_stacks_free(recording.texts);
	free(recording.names);
}

static void finds_symbols_by_their_ends(void **state)
{
	struct symbol symbols[] = {{0x30, 0x40, "c", 1},
	                           {0x10, 0x20, "a", 1},
	                           {0x20, 0, "b", 1},
	                           {0x10, 0x20, "A", 2}};

	(void)state;
	symbols_sort(symbols, 4);
	assert_null(symbols_find(symbols, 4, 0xf));
	assert_string_equal(symbols_find(symbols, 4, 0x10)->name, "A"); /* the higher rank */
	assert_string_equal(symbols_find(symbols, 4, 0x2f)->name, "b");
	assert_string_equal(symbols_find(symbols, 4, 0x3f)->name, "c");
	assert_null(symbols_find(symbols, 4, 0x40));
}

/* --- the governor -------------------------------------------------------------------------------
 */

static void the_governor_keeps_below_its_target(void **state)
{
	struct governor governor = {
	        .target = 0.02, .cpus = 4, .count = 1, .of = {{15000, .wanted = 10000}}};
	struct governed *one = &governor.of[0];
	int64_t now, own;
	uint64_t samples = 0;

	(void)state;
	govern_begin(&governor);
	now = governor.began_ns;
	own = governor.own_began_ns;
	/* what samples cost alone is known at once */
	assert_true(one->frequency * one->sample_cost <= 0.02e9);
	for (int i = 0; i < 100; i++) {
		now += NOVA_SECOND_NS;
		samples += one->frequency * 4;
		own += (int64_t)one->frequency * 4 * 5000; /* 5 us a sample in the reader */
		govern_step(&governor, &samples, now, own);
	}
	assert_true(governor.host < 0.02);
	assert_true(one->frequency > 300); /* and does not give up */
	/* then little is to be done, and all that was wanted is affordable */
	one->sample_cost = 100;
	one->most = one->wanted;
	for (int i = 0; i < 100; i++)
		govern_step(&governor, &samples, now += NOVA_SECOND_NS, own);
	assert_int_equal(one->frequency, one->wanted);
}

static void the_governor_never_stops(void **state)
{
	struct governor governor = {
	        .target = 1e-9, .cpus = 1, .count = 1, .of = {{1e9, .wanted = 99}}};
	const uint64_t samples = 5;

	(void)state;
	govern_begin(&governor);
	assert_int_equal(governor.of[0].frequency, 1);
	govern_step(&governor, &samples, governor.began_ns + NOVA_SECOND_NS,
	            governor.own_began_ns + NOVA_SECOND_NS);
	assert_int_equal(governor.of[0].frequency, 1);
}

#define BENCH(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        BENCH(reads_records_over_the_end_of_the_ring),
	        BENCH(leaves_what_is_later),
	        BENCH(puts_two_rings_in_order),
	        BENCH(skips_records_that_are_none),
	        BENCH(counts_what_the_kernel_lost),
	        BENCH(a_new_map_cuts_those_below_it),
	        cmocka_unit_test(reads_lines_of_maps),
	        BENCH(what_is_sampled_is_read_back),
	        BENCH(samples_before_and_after_exec_have_their_own_names),
	        BENCH(waits_last_from_leaving_to_coming_back),
	        BENCH(a_lock_is_waited_for_until_its_own_end),
	        cmocka_unit_test(finds_functions_that_wait_for_locks),
	        BENCH(lanes_have_their_own_values),
	        cmocka_unit_test(vcpus_are_told_by_their_threads),
	        BENCH(forgets_and_goes_on_when_stacks_are_too_many),
	        BENCH(what_is_torn_at_the_end_is_left_out_and_said),
	        BENCH(a_flipped_bit_never_gives_another_count),
	        BENCH(refuses_numbers_that_nothing_has),
	        BENCH(memory_is_bounded),
	        cmocka_unit_test(names_the_kernel_and_what_compilers_at_run_time_say),
	        cmocka_unit_test(finds_symbols_by_their_ends),
	        cmocka_unit_test(the_governor_keeps_below_its_target),
	        cmocka_unit_test(the_governor_never_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
