/* SPDX-License-Identifier: MIT */
/* VMs without a VM: samples as the kernel gives them for one, files as a guest would have them. */
#include "core/profiler/record.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* --- a recording that is written here -----------------------------------------------------------
 */

struct bench {
	char directory[32], path[64], kallsyms[64], maps[64], root[64];
	struct nova_record_guest files;
	struct writer writer;
	struct tally tally;
	uint32_t pid;
};

static char program[4096]; /* this one */

static int set_up(void **state)
{
	struct bench *bench = nova_alloc(sizeof(*bench));
	struct nova_error error = {0};

	bench->pid = 0x3ffffff0; /* nobody: pid_max is 4 Mi at most */
	strcpy(bench->directory, "/tmp/novacore-test-XXXXXX");
	assert_non_null(mkdtemp(bench->directory));
	snprintf(bench->path, sizeof(bench->path), "%s/r", bench->directory);
	snprintf(bench->kallsyms, sizeof(bench->kallsyms), "%s/kallsyms", bench->directory);
	snprintf(bench->maps, sizeof(bench->maps), "%s/maps", bench->directory);
	snprintf(bench->root, sizeof(bench->root), "%s/root", bench->directory);
	assert_int_equal(mkdir(bench->root, 0755), 0);
	assert_int_equal(writer_open(&bench->writer, bench->path, &error), 0);
	tally_start(&bench->tally, &bench->writer);
	bench->tally.vm.is = true;
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
	free(bench);
	return 0;
}

static void put_file(const char *path, const char *text)
{
	assert_int_equal(nova_file_write(path, text, strlen(text), 0644, NULL), 0);
}

/* With the files that the bench has by now. */
static int begin(struct bench *bench, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *guest = guest_about(&bench->files);
	NOVA_AUTOJSON json_t *about = json_pack("{sO}", "guest", guest);
	int code = guest_start(&bench->tally.guest, &bench->tally.spaces, &bench->files, error);

	writer_json(&bench->writer, CHUNK_ABOUT, about);
	return code;
}

static void comm(struct bench *bench, uint32_t tid, const char *name)
{
	tally_take(&bench->tally, &(struct event){.type = PERF_RECORD_COMM,
	                                          .pid = bench->pid,
	                                          .tid = tid,
	                                          .name = name,
	                                          .name_length = strlen(name)});
}

/* As the kernel gives it: nothing but marks in the chain, for it walks no stack of a guest. */
static void sample(struct bench *bench, uint32_t tid, uint32_t misc, uint64_t ip)
{
	static const uint64_t marks[] = {PERF_CONTEXT_KERNEL, PERF_CONTEXT_USER};

	tally_take(&bench->tally, &(struct event){.type = PERF_RECORD_SAMPLE,
	                                          .misc = misc,
	                                          .pid = bench->pid,
	                                          .tid = tid,
	                                          .ip = ip,
	                                          .period = 10101010,
	                                          .chain = marks,
	                                          .depth = NOVA_COUNT(marks)});
}

static struct nova_stacks *read_back(struct bench *bench)
{
	struct nova_error error = {0};
	struct nova_stacks *stacks = NULL;
	NOVA_AUTOJSON json_t *vm = vm_status(&bench->tally);
	NOVA_AUTOJSON json_t *status = json_pack("{sO}", "vm", vm);

	tally_flush(&bench->tally);
	writer_json(&bench->writer, CHUNK_END, status);
	assert_int_equal(writer_flush(&bench->writer, &error), 0);
	if (nova_stacks_read(bench->path, NULL, &stacks, &error))
		fail_msg("%s", error.text);
	return stacks;
}

static const struct nova_frame *frame_of(const struct nova_stacks *stacks, uint32_t node)
{
	return &stacks->frames[stacks->nodes[node].frame];
}

/* Samples whose leaf has that name; it stands on a frame of name `below`, NULL: on nothing. */
static uint64_t count_of(const struct nova_stacks *stacks, const char *name, const char *below)
{
	uint64_t found = 0;

	for (uint32_t i = 0; i < stacks->count_count; i++) {
		uint32_t node = stacks->counts[i].node, parent = stacks->nodes[node].parent;

		if (strcmp(frame_of(stacks, node)->name, name) != 0)
			continue;
		found += stacks->values[(size_t)i * stacks->type_count];
		assert_true(frame_of(stacks, node)->flags & NOVA_FRAME_GUEST);
		if (below)
			assert_string_equal(frame_of(stacks, parent)->name, below);
		else
			assert_int_equal(parent, 0);
	}
	return found;
}

static const struct nova_frame *frame_named(const struct nova_stacks *stacks, const char *name)
{
	for (uint32_t i = 0; i < stacks->frame_count; i++)
		if (strcmp(stacks->frames[i].name, name) == 0)
			return &stacks->frames[i];
	fail_msg("no frame is called %s", name);
	return NULL;
}

static bool notes(const struct nova_stacks *stacks, const char *words)
{
	for (uint32_t i = 0; i < stacks->note_count; i++)
		if (strstr(stacks->notes[i], words))
			return true;
	return false;
}

/* --- inside of the guest ------------------------------------------------------------------------
 */

static void without_files_a_guest_is_its_kernel_and_its_programs(void **state)
{
	struct bench *bench = *state;
	struct nova_error error = {0};

	comm(bench, bench->pid, "qemu-system-x86");
	comm(bench, 7, "CPU 0/KVM");
	assert_int_equal(begin(bench, &error), 0);
	for (uint64_t i = 1; i <= 100; i++)
		sample(bench, 7, PERF_RECORD_MISC_GUEST_KERNEL, 0xffffffff81000000 + i);
	for (uint64_t i = 1; i <= 50; i++)
		sample(bench, 7, PERF_RECORD_MISC_GUEST_USER, 0x400000 + i);
	sample(bench, 7, PERF_RECORD_MISC_GUEST_KERNEL, 0); /* of a protected guest */
	assert_int_equal(bench->tally.stack_count, 3);      /* addresses are not kept */
	NOVA_AUTO(nova_stacks_cleanup) struct nova_stacks *stacks = read_back(bench);
	assert_int_equal(count_of(stacks, "[guest kernel]", NULL), 100);
	assert_int_equal(count_of(stacks, "[guest user]", NULL), 50);
	assert_int_equal(count_of(stacks, "[guest]", NULL), 1);
	assert_int_equal(stacks->origins[stacks->counts[0].origin].vcpu, 0);
}

static void its_kallsyms_name_its_kernel(void **state)
{
	struct bench *bench = *state;
	struct nova_error error = {0};

	put_file(bench->kallsyms, "0000000000000000 A fixed_percpu_data\n"
	                          "ffffffffa3400000 T _stext\n"
	                          "ffffffffa3401000 t do_idle\n"
	                          "ffffffffa3402000 T tcp_ack\n"
	                          "ffffffffc0a00000 t virtnet_poll\t[virtio_net]\n");
	bench->files.kallsyms = bench->kallsyms;
	comm(bench, 7, "CPU 1/KVM");
	assert_int_equal(begin(bench, &error), 0);
	sample(bench, 7, PERF_RECORD_MISC_GUEST_KERNEL, 0xffffffffa3401000);
	sample(bench, 7, PERF_RECORD_MISC_GUEST_KERNEL, 0xffffffffa3401fff);
	sample(bench, 7, PERF_RECORD_MISC_GUEST_KERNEL, 0xffffffffa3402004);
	sample(bench, 7, PERF_RECORD_MISC_GUEST_KERNEL, 0xffffffffc0a00010);
	sample(bench, 7, PERF_RECORD_MISC_GUEST_KERNEL, 0x1000); /* before all of them */
	sample(bench, 7, PERF_RECORD_MISC_GUEST_USER, 0xffffffffa3401000);
	NOVA_AUTO(nova_stacks_cleanup) struct nova_stacks *stacks = read_back(bench);
	assert_int_equal(count_of(stacks, "do_idle", "[guest kernel]"), 2);
	assert_int_equal(count_of(stacks, "tcp_ack", "[guest kernel]"), 1);
	assert_int_equal(count_of(stacks, "virtnet_poll", "[guest kernel]"), 1);
	assert_int_equal(count_of(stacks, "[guest kernel]", NULL), 1);
	assert_int_equal(count_of(stacks, "[guest user]", NULL), 1);
	assert_string_equal(frame_named(stacks, "tcp_ack")->library, "[guest] [kernel]");
	assert_string_equal(frame_named(stacks, "virtnet_poll")->library, "[guest] [virtio_net]");
}

static void pprof_and_folded_stacks_say_what_is_of_the_guest(void **state)
{
	static const struct nova_frame frames[] = {
	        {"[guest kernel]", "[guest kernel]", "", NOVA_FRAME_GUEST | NOVA_FRAME_KERNEL},
	        {"tcp_ack", "[guest] [kernel]", "", NOVA_FRAME_GUEST | NOVA_FRAME_KERNEL},
	        {"[guest user]", "[guest user]", "", NOVA_FRAME_GUEST},
	        {"serve", "[guest] /bin/work", "", NOVA_FRAME_GUEST},
	        {"[guest]", "[guest]", "", NOVA_FRAME_GUEST}};
	const struct nova_value_type type = {"samples", "count"};
	struct bench *bench = *state;
	NOVA_AUTO(nova_stacks_cleanup) struct nova_stacks *stacks = nova_stacks_new(&type, 1);
	NOVA_AUTO(nova_stacks_cleanup) struct nova_stacks *back = NULL;
	NOVA_AUTOFREE char *text = NULL;
	const uint64_t one = 1;
	struct nova_error error = {0};
	size_t bytes;
	FILE *file = fopen(bench->maps, "wb"), *folded = open_memstream(&text, &bytes);

	for (size_t i = 0; i < NOVA_COUNT(frames); i++)
		nova_stacks_add(stacks,
		                nova_stacks_call(stacks, 0, nova_stacks_frame(stacks, &frames[i])),
		                0, &one);
	assert_int_equal(nova_stacks_write_pprof(stacks, file, &error), 0);
	fclose(file);
	assert_int_equal(nova_stacks_read(bench->maps, NULL, &back, &error), 0);
	for (size_t i = 0; i < NOVA_COUNT(frames); i++)
		assert_int_equal(frame_named(back, frames[i].name)->flags, frames[i].flags);
	assert_int_equal(nova_stacks_write_folded(stacks, 0, NOVA_BY_NOTHING, folded, &error), 0);
	fclose(folded);
	assert_non_null(strstr(text, "tcp_ack_[g] 1"));
	assert_non_null(strstr(text, "serve_[g] 1"));
}

static __attribute__((noinline)) int a_function_of_the_guest(int x)
{
	__asm__ volatile("" : "+r"(x));
	return x + 1;
}

/* This program is the guest's; where its function is in the file. */
static uint64_t place_in_file(void)
{
	NOVA_AUTOFREE char *maps = nova_file_read("/proc/self/maps", 1 << 20, NULL, NULL);
	uint64_t at = (uintptr_t)a_function_of_the_guest;
	struct maps_line line;

	for (char *next = maps; next && *next; next += strcspn(next, "\n") + 1)
		if (maps_line_read(next, strcspn(next, "\n"), &line) && at >= line.start &&
		    at < line.end)
			return at - line.start + line.offset;
	fail_msg("this program is not in its own maps");
	return 0;
}

static void copy_program(const char *to)
{
	size_t bytes = 0;
	NOVA_AUTOFREE char *text = nova_file_read(program, 256u << 20, &bytes, NULL);

	assert_non_null(text);
	assert_int_equal(nova_file_write(to, text, bytes, 0644, NULL), 0);
}

/* valgrind 3.19 does not know the call that ends links at a root. */
static void need_openat2(void)
{
	if (syscall(SYS_openat2, -1, "", NULL, 0) < 0 && errno == ENOSYS) {
		print_message("skipped: no openat2 here\n");
		skip();
	}
}

static void its_maps_and_files_name_its_programs(void **state)
{
	struct bench *bench = *state;
	struct nova_error error = {0};
	uint64_t place = place_in_file();
	static const char maps[] = "400000-401000 r--p 00000000 08:01 12 /bin/work\n"
	                           "401000-9000000 r-xp 00001000 08:01 12     /bin/work\n"
	                           "9000000-9001000 r-xp 00000000 08:01 13     /lib/gone.so\n"
	                           "9002000-9003000 r-xp 00000000 00:00 0\n"
	                           "7fff0000-7fff2000 r-xp 00000000 00:00 0     [vdso]\n";
	char text[96];

	need_openat2();
	put_file(bench->maps, maps);
	snprintf(text, sizeof(text), "%s/bin", bench->root);
	assert_int_equal(mkdir(text, 0755), 0);
	snprintf(text, sizeof(text), "%s/bin/work", bench->root);
	copy_program(text);
	bench->files.maps = bench->maps;
	bench->files.root = bench->root;
	assert_int_equal(begin(bench, &error), 0);
	sample(bench, 7, PERF_RECORD_MISC_GUEST_USER, 0x400000 + place);
	sample(bench, 7, PERF_RECORD_MISC_GUEST_USER, 0x400000 + place);
	sample(bench, 7, PERF_RECORD_MISC_GUEST_USER, 0x9000010);
	sample(bench, 7, PERF_RECORD_MISC_GUEST_USER, 0x9002010);  /* of no file */
	sample(bench, 7, PERF_RECORD_MISC_GUEST_USER, 0x55550000); /* of another process */
	NOVA_AUTO(nova_stacks_cleanup) struct nova_stacks *stacks = read_back(bench);
	assert_int_equal(count_of(stacks, "a_function_of_the_guest", "[guest user]"), 2);
	assert_string_equal(frame_named(stacks, "a_function_of_the_guest")->library,
	                    "[guest] /bin/work");
	assert_int_equal(count_of(stacks, "[guest user]", NULL), 3);
	assert_true(notes(stacks, "[guest] /lib/gone.so"));
}

/* What the guest calls a link to the root of its own is none to ours. */
static void links_of_the_guest_end_at_its_root(void **state)
{
	struct bench *bench = *state;
	struct nova_error error = {0};
	char from[96], out[4200];

	need_openat2();
	snprintf(from, sizeof(from), "%s/escape", bench->root);
	assert_int_equal(symlink(program, from), 0); /* absolute: below the root there is none */
	snprintf(from, sizeof(from), "%s/climb", bench->root);
	snprintf(out, sizeof(out), "../../../../../../../..%s", program);
	assert_int_equal(symlink(out, from), 0);
	put_file(bench->maps, "100000000-200000000 r-xp 00000000 08:01 12 /escape\n"
	                      "300000000-400000000 r-xp 00000000 08:01 12 /climb\n");
	bench->files.maps = bench->maps;
	bench->files.root = bench->root;
	assert_int_equal(begin(bench, &error), 0);
	sample(bench, 7, PERF_RECORD_MISC_GUEST_USER, 0x100000000 + place_in_file());
	sample(bench, 7, PERF_RECORD_MISC_GUEST_USER, 0x300000000 + place_in_file());
	NOVA_AUTO(nova_stacks_cleanup) struct nova_stacks *stacks = read_back(bench);
	assert_int_equal(count_of(stacks, "[guest user]", NULL), 2);
	assert_true(notes(stacks, "/escape have no names: below"));
	assert_true(notes(stacks, "/climb have no names: below"));
	assert_true(notes(stacks, strerror(ENOENT)));
}

static void refuses_files_that_are_none_of_a_guest(void **state)
{
	struct bench *bench = *state;
	struct nova_error error = {0};
	char fifo[96];

	put_file(bench->kallsyms, "0000000000000000 T _stext\n0000000000000000 t do_idle\n");
	bench->files.kallsyms = bench->kallsyms;
	assert_int_equal(begin(bench, &error), NOVA_E_INVALID);
	assert_non_null(strstr(error.text, "hides them"));
	put_file(bench->kallsyms, "hello\n");
	assert_int_equal(begin(bench, &error), NOVA_E_INVALID);
	assert_non_null(strstr(error.text, "has no functions"));
	snprintf(fifo, sizeof(fifo), "%s/fifo", bench->directory);
	assert_int_equal(mkfifo(fifo, 0600), 0); /* would wait for ever */
	bench->files.kallsyms = fifo;
	assert_int_equal(begin(bench, &error), NOVA_E_INVALID);
	bench->files.kallsyms = "/nowhere/kallsyms";
	assert_int_equal(begin(bench, &error), NOVA_E_NOT_FOUND);
	assert_non_null(strstr(error.text, "/nowhere/kallsyms"));
	bench->files = (struct nova_record_guest){.maps = bench->maps};
	put_file(bench->maps, "00400000-00401000 rw-p 00000000 08:01 12 /bin/work\n");
	assert_int_equal(begin(bench, &error), NOVA_E_INVALID);
	assert_non_null(strstr(error.text, "maps no program"));
	bench->files.root = bench->path;
	assert_int_equal(begin(bench, &error), NOVA_E_INVALID);
	assert_non_null(strstr(error.text, "no directory"));
}

/* --- translated ---------------------------------------------------------------------------------
 */

/* Of this process, which has a page that may be executed and is of no file; at its fourth byte. */
static void sample_translated(struct bench *bench, const char *page, uint64_t offset)
{
	const uint64_t chain[] = {PERF_CONTEXT_USER, (uintptr_t)page + offset};

	tally_take(&bench->tally, &(struct event){.type = PERF_RECORD_SAMPLE,
	                                          .misc = PERF_RECORD_MISC_USER,
	                                          .pid = bench->pid,
	                                          .tid = 7,
	                                          .ip = chain[1],
	                                          .period = 10101010,
	                                          .chain = chain,
	                                          .depth = 2});
}

static void translated_code_is_the_guests_and_has_names_if_qemu_says_them(void **state)
{
	struct bench *bench = *state;
	struct nova_error error = {0};
	char *page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t at = (uintptr_t)page;
	char path[64];

	assert_true(page != MAP_FAILED);
	bench->pid = (uint32_t)getpid();
	snprintf(path, sizeof(path), "/tmp/perf-%u.map", bench->pid);
	NOVA_AUTOFREE char *map =
	        nova_format("%llx 10 guest-0xffffffffa3401004\n"
	                    "%llx 10 do_sys_open+0x1c\n"
	                    "%llx 10 guest-0x7c00\n"
	                    "%llx 10 tcg-prologue-buffer\n",
	                    (unsigned long long)at, (unsigned long long)at + 0x10,
	                    (unsigned long long)at + 0x20, (unsigned long long)at + 0x30);
	put_file(path, map);
	put_file(bench->kallsyms, "ffffffffa3401000 t do_idle\n");
	bench->files.kallsyms = bench->kallsyms;
	comm(bench, 7, "CPU 0/TCG");
	assert_int_equal(begin(bench, &error), 0);
	for (uint64_t i = 0; i < 4; i++)
		sample_translated(bench, page, 0x10 * i + 4);
	NOVA_AUTO(nova_stacks_cleanup) struct nova_stacks *stacks = read_back(bench);
	unlink(path);
	munmap(page, 4096);
	assert_int_equal(count_of(stacks, "do_idle", "[guest]"), 1);
	assert_int_equal(count_of(stacks, "do_sys_open", "[guest]"), 1);
	assert_int_equal(count_of(stacks, "tcg-prologue-buffer", "[guest]"), 1);
	assert_int_equal(count_of(stacks, "[guest]", NULL), 1);
	assert_false(notes(stacks, "-perfmap"));
}

static void translated_code_is_one_frame_if_qemu_says_nothing(void **state)
{
	struct bench *bench = *state;
	struct nova_error error = {0};
	char *page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(page != MAP_FAILED);
	bench->pid = (uint32_t)getpid();
	comm(bench, 7, "ALL CPUs/TCG");
	assert_int_equal(begin(bench, &error), 0);
	for (uint64_t i = 0; i < 100; i++)
		sample_translated(bench, page, i);
	assert_int_equal(bench->tally.stack_count, 1);
	NOVA_AUTO(nova_stacks_cleanup) struct nova_stacks *stacks = read_back(bench);
	munmap(page, 4096);
	assert_int_equal(count_of(stacks, "[guest]", NULL), 100);
	assert_true(notes(stacks, "-perfmap"));
}

/* --- threads ------------------------------------------------------------------------------------
 */

static void threads_of_a_qemu_are_told_apart(void **state)
{
	(void)state;
	assert_int_equal(vm_part_of("CPU 12/KVM", false), VM_VCPU);
	assert_int_equal(vm_part_of("ALL CPUs/TCG", false), VM_VCPU);
	assert_int_equal(vm_part_of("qemu-system-x86", true), VM_EMULATOR);
	assert_int_equal(vm_part_of("IO mon_iothread", false), VM_IO);
	assert_int_equal(vm_part_of("IO iothread1", false), VM_IO);
	assert_int_equal(vm_part_of("vhost-4711", false), VM_VHOST);
	assert_int_equal(vm_part_of("vhost-4711", true), VM_VHOST); /* a process of its own */
	assert_int_equal(vm_part_of("worker", false), VM_OTHER);
	assert_int_equal(vm_part_of("call_rcu", false), VM_OTHER);
}

static double share(const json_t *vm, const char *name)
{
	const json_t *part = json_object_get(json_object_get(vm, "shares"), name);
	const json_t *interval = json_object_get(part, "interval");
	double value = json_number_value(json_object_get(part, "share"));

	assert_true(json_number_value(json_array_get(interval, 0)) <= value);
	assert_true(json_number_value(json_array_get(interval, 1)) >= value);
	return value;
}

static void shares_are_of_the_guest_and_of_threads_outside_of_it(void **state)
{
	static const struct {
		uint32_t tid;
		const char *name;
		uint32_t misc, samples;
	} samples[] = {{7, "CPU 0/KVM", PERF_RECORD_MISC_GUEST_KERNEL, 40},
	               {7, "CPU 0/KVM", PERF_RECORD_MISC_GUEST_USER, 10},
	               {7, "CPU 0/KVM", PERF_RECORD_MISC_KERNEL, 20},
	               {8, "IO iothread1", PERF_RECORD_MISC_USER, 15},
	               {9, "vhost-1", PERF_RECORD_MISC_KERNEL, 10},
	               {10, "worker", PERF_RECORD_MISC_USER, 5}};
	struct bench *bench = *state;

	for (size_t i = 0; i < NOVA_COUNT(samples); i++) {
		comm(bench, samples[i].tid, samples[i].name);
		for (uint32_t j = 0; j < samples[i].samples; j++)
			sample(bench, samples[i].tid, samples[i].misc, 0x1000 + j);
	}
	NOVA_AUTOJSON json_t *vm = vm_status(&bench->tally);
	assert_string_equal(nova_json_text(vm, "accelerator"), "kvm");
	assert_true(share(vm, "guest") == 0.5);
	assert_true(share(vm, "vcpu_host") == 0.2);
	assert_true(share(vm, "io_threads") == 0.15);
	assert_true(share(vm, "vhost") == 0.1);
	assert_true(share(vm, "other_threads") == 0.05);
	assert_true(share(vm, "emulator") == 0);
	tally_flush(&bench->tally);
}

static void says_that_threads_have_no_names(void **state)
{
	struct bench *bench = *state;
	struct nova_error error = {0};

	comm(bench, bench->pid, "qemu-system-x86");
	comm(bench, 8, "qemu-system-x86");
	assert_int_equal(begin(bench, &error), 0);
	sample(bench, 8, PERF_RECORD_MISC_USER, 0x1000);
	sample(bench, 8, PERF_RECORD_MISC_GUEST_USER, 0x1000); /* a vCPU, at times */
	NOVA_AUTO(nova_stacks_cleanup) struct nova_stacks *stacks = read_back(bench);
	assert_true(notes(stacks, "debug-threads=on"));
}

/* --- names of VMs -------------------------------------------------------------------------------
 * This program, run by another name, is a QEMU to who looks at its command line.
 */

static pid_t qemu(const char *option, const char *value)
{
	int ready[2];
	char byte;
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(ready[1], STDOUT_FILENO);
		close(ready[0]);
		execl(program, "/usr/bin/qemu-system-novacore", "-m", "16", option, value, NULL);
		_exit(127);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return child;
}

static void end(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void finds_a_vm_by_its_name_however_it_is_written(void **state)
{
	static const char *const values[][2] = {
	        {"novacore-unit-plain", "novacore-unit-plain"},
	        {"guest=novacore-unit-lv,debug-threads=on", "novacore-unit-lv"},
	        {"debug-threads=on,guest=novacore-unit-last", "novacore-unit-last"},
	        {"guest=novacore-unit,,a=b,,,debug-threads=on", "novacore-unit,a=b,"},
	        {"novacore-unit-first,process=x", "novacore-unit-first"}};

	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(values); i++) {
		pid_t child = qemu(i % 2 ? "--name" : "-name", values[i][0]);
		struct nova_error error = {0};
		int32_t pid = 0;
		int code = nova_record_find_vm(values[i][1], &pid, &error);

		assert_true(nova_record_is_vm(child));
		end(child);
		if (code)
			fail_msg("%s", error.text);
		assert_int_equal(pid, child);
	}
	assert_false(nova_record_is_vm(getpid()));
}

static void two_vms_of_one_name_are_told_apart_by_their_processes(void **state)
{
	pid_t one = qemu("-name", "guest=novacore-unit-twin"),
	      two = qemu("-name", "novacore-unit-twin");
	struct nova_error error = {0};
	int32_t pid;
	int code = nova_record_find_vm("novacore-unit-twin", &pid, &error);
	char number[16];

	(void)state;
	end(one);
	end(two);
	assert_int_equal(code, NOVA_E_INVALID);
	snprintf(number, sizeof(number), "%d", one);
	assert_non_null(strstr(error.text, number));
	snprintf(number, sizeof(number), "%d", two);
	assert_non_null(strstr(error.text, number));
	assert_non_null(strstr(error.text, "--pid"));
}

static void names_the_vms_that_there_are(void **state)
{
	pid_t child = qemu("-name", "guest=novacore-unit-other\x1b[31m");
	struct nova_error error = {0};
	int32_t pid;
	int code = nova_record_find_vm("novacore-unit-missing", &pid, &error);

	(void)state;
	end(child);
	assert_int_equal(code, NOVA_E_NOT_FOUND);
	assert_non_null(strstr(error.text, "novacore-unit-other"));
	assert_null(strchr(error.text, '\x1b'));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	        WITH_BENCH(without_files_a_guest_is_its_kernel_and_its_programs),
	        WITH_BENCH(its_kallsyms_name_its_kernel),
	        WITH_BENCH(pprof_and_folded_stacks_say_what_is_of_the_guest),
	        WITH_BENCH(its_maps_and_files_name_its_programs),
	        WITH_BENCH(links_of_the_guest_end_at_its_root),
	        WITH_BENCH(refuses_files_that_are_none_of_a_guest),
	        WITH_BENCH(translated_code_is_the_guests_and_has_names_if_qemu_says_them),
	        WITH_BENCH(translated_code_is_one_frame_if_qemu_says_nothing),
	        cmocka_unit_test(threads_of_a_qemu_are_told_apart),
	        WITH_BENCH(shares_are_of_the_guest_and_of_threads_outside_of_it),
	        WITH_BENCH(says_that_threads_have_no_names),
	        cmocka_unit_test(finds_a_vm_by_its_name_however_it_is_written),
	        cmocka_unit_test(two_vms_of_one_name_are_told_apart_by_their_processes),
	        cmocka_unit_test(names_the_vms_that_there_are),
	};

	if (strstr(argv[0], "qemu-system")) {
		if (write(STDOUT_FILENO, "", 1) == 1)
			pause();
		return argc > 100;
	}
	if (!realpath(argv[0], program))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
