/* SPDX-License-Identifier: MIT */
/*
 * Counts stacks while they come. A stack is a list of (object, offset), so that equal code is equal
 * wherever it is mapped, and names can wait. What has been written is remembered by its number; if
 * that takes too much room all of it is forgotten, and the numbers begin anew (CHUNK_RESET).
 */
#include "core/profiler/record.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/*
 * What it may take, in MiB, where arrays grow by doubling and tables are at most three quarters
 * full, with 16 bytes a slot: frames 8, stacks 1 and their table 4, threads 4 and 2, counts 2 and
 * 2, what is to be written 8 and a flush more: 32 to 40. Rings take at most 16 more (sampler.c),
 * the program itself 6. novacore-record(1) promises 64.
 */
#define MOST_FRAMES    400000u
#define MOST_STACKS    100000u
#define MOST_THREADS   60000u
#define MOST_COUNTS    60000u
#define MOST_CONTENDED 4096u
#define MOST_UNWRITTEN ((size_t)4 << 20)

void tally_start(struct tally *tally, struct writer *writer)
{
	memset(tally, 0, sizeof(*tally));
	spaces_start(&tally->spaces);
	tally->writer = writer;
	tally->window = (struct allocation_window){.until_ns = UINT64_MAX, .factor = 1};
	tally_lanes(tally, &(enum lane_kind){LANE_CPU}, 1);
}

void tally_lanes(struct tally *tally, const enum lane_kind *kinds, uint32_t count)
{
	memset(tally->lanes, 0, sizeof(tally->lanes));
	for (uint32_t i = 0; i < count; i++)
		tally->lanes[kinds[i]] = i + 1;
	tally->lane_count = count;
}

int32_t tally_vcpu(const char *name)
{
	int number, end = 0;

	/* qemu/accel: "CPU %d/KVM", "CPU %d/TCG"; a hidden one is numbered likewise */
	if (sscanf(name, "CPU %d/%n", &number, &end) == 1 && end > 0 && number >= 0 &&
	    (strcmp(name + end, "KVM") == 0 || strcmp(name + end, "TCG") == 0))
		return number;
	return -1;
}

/* --- threads ------------------------------------------------------------------------------------
 */

static uint64_t tid_hash(int32_t tid)
{
	return stacks_hash(&tid, sizeof(tid));
}

static uint32_t find_thread(const struct tally *tally, int32_t tid)
{
	uint64_t hash = tid_hash(tid), at = hash;
	uint32_t number;

	while (index_next(&tally->thread_index, hash, &at, &number))
		if (tally->threads[number].tid == tid && !tally->threads[number].past)
			return number;
	return UINT32_MAX;
}

static uint32_t add_thread(struct tally *tally, int32_t pid, int32_t tid)
{
	uint32_t number = find_thread(tally, tid);

	/* Samples of its last name, or of one that had this number, are not written yet. */
	if (number != UINT32_MAX)
		tally->threads[number].past = true;
	number = tally->thread_count++;
	tally->threads = nova_grow(tally->threads, number, sizeof(*tally->threads));
	tally->threads[number] = (struct tally_thread){.pid = pid, .tid = tid};
	index_add(&tally->thread_index, tid_hash(tid), number);
	return number;
}

static void name_thread(struct tally_thread *thread, const char *name, size_t length)
{
	if (length > COMM_BYTES - 1)
		length = COMM_BYTES - 1;
	memset(thread->name, 0, COMM_BYTES);
	memcpy(thread->name, name, length);
}

static uint32_t thread_of(struct tally *tally, int32_t pid, int32_t tid)
{
	uint32_t number = find_thread(tally, tid);
	char path[64], name[32] = "";
	size_t bytes = 0;

	if (number != UINT32_MAX && tally->threads[number].pid == pid)
		return number;
	number = add_thread(tally, pid, tid);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", pid, tid);
	NOVA_AUTOFREE char *text = nova_file_read(path, sizeof(name), &bytes, NULL);
	if (text)
		name_thread(&tally->threads[number], text, strcspn(text, "\n"));
	return number;
}

static void on_comm(struct tally *tally, const struct event *event)
{
	uint32_t number = add_thread(tally, (int32_t)event->pid, (int32_t)event->tid);

	if (event->misc & PERF_RECORD_MISC_COMM_EXEC)
		spaces_exec(&tally->spaces, (int32_t)event->pid);
	name_thread(&tally->threads[number], event->name, event->name_length);
}

static void on_fork(struct tally *tally, const struct event *event)
{
	int32_t pid = (int32_t)event->pid, tid = (int32_t)event->tid;
	uint32_t parent = find_thread(tally, (int32_t)event->parent), number;

	tally->forks++;
	spaces_fork(&tally->spaces, (int32_t)event->parent, pid);
	number = add_thread(tally, pid, tid);
	if (parent != UINT32_MAX)
		name_thread(&tally->threads[number], tally->threads[parent].name,
		            strlen(tally->threads[parent].name));
}

static void on_exit_of(struct tally *tally, const struct event *event)
{
	uint32_t number = find_thread(tally, (int32_t)event->tid);

	if (number != UINT32_MAX)
		tally->threads[number].dead = true;
	for (uint32_t i = 0; i < tally->contended_count;)
		if (tally->contended[i].tid == (int32_t)event->tid)
			tally->contended[i] = tally->contended[--tally->contended_count];
		else
			i++;
	if (event->pid == event->tid)
		spaces_exit(&tally->spaces, (int32_t)event->pid);
}

/* --- stacks -------------------------------------------------------------------------------------
 */

/* The object's number in the recording. */
static uint32_t written_object(struct tally *tally, uint32_t number, int32_t pid,
                               const struct map *map)
{
	struct object *object = &tally->spaces.objects[number];
	struct nova_text *out = &tally->objects;
	uint64_t hash, at;
	uint32_t other;

	if (object->written)
		return object->written - 1;
	if (object->kind == OBJECT_FILE)
		object_probe(object, pid, map);
	/* the same file may have been seen by inode and by build-id */
	hash = at = stacks_hash(object->path, strlen(object->path)) ^ (uint64_t)object->pid;
	while (index_next(&tally->written_index, hash, &at, &other)) {
		const struct object *there = &tally->spaces.objects[other];

		if (there->kind == object->kind && there->pid == object->pid &&
		    there->build_id_bytes == object->build_id_bytes &&
		    (object->build_id_bytes || there->inode == object->inode) &&
		    memcmp(there->build_id, object->build_id, object->build_id_bytes) == 0 &&
		    strcmp(there->path, object->path) == 0) {
			object->written = there->written;
			return object->written - 1;
		}
	}
	index_add(&tally->written_index, hash, number);
	nova_text_add_bytes(out, &number, sizeof(number));
	object->written = ++tally->written_objects;
	return object->written - 1;
}

static bool is_guest(uint64_t context)
{
	return context == PERF_CONTEXT_GUEST || context == PERF_CONTEXT_GUEST_KERNEL ||
	       context == PERF_CONTEXT_GUEST_USER;
}

/* Where the sample itself was, before any marker says it. */
static uint64_t context_of(uint32_t misc)
{
	switch (misc & PERF_RECORD_MISC_CPUMODE_MASK) {
	case PERF_RECORD_MISC_KERNEL: return PERF_CONTEXT_KERNEL;
	case PERF_RECORD_MISC_GUEST_KERNEL: return PERF_CONTEXT_GUEST_KERNEL;
	case PERF_RECORD_MISC_GUEST_USER: return PERF_CONTEXT_GUEST_USER;
	default: return PERF_CONTEXT_USER;
	}
}

static struct tally_frame frame_at(struct tally *tally, struct space *space, bool translates,
                                   uint64_t context, uint64_t address)
{
	const struct map *map = space_find(space, address);
	uint32_t number = OBJECT_NUMBER_UNKNOWN;
	uint64_t offset = 0; /* of what is one whatever the address is */

	if (context == PERF_CONTEXT_KERNEL) {
		number = OBJECT_NUMBER_KERNEL;
		offset = address;
	} else if (is_guest(context)) {
		number = guest_place(&tally->guest, context, address, &offset);
	} else if (map) {
		enum object_kind kind = tally->spaces.objects[map->object].kind;

		number = map->object;
		if (kind == OBJECT_JIT && translates)
			number = spaces_translated(&tally->spaces, space);
		if (kind == OBJECT_JIT)
			offset = number == OBJECT_NUMBER_GUEST ? 0 : address;
		else if (kind != OBJECT_UNKNOWN)
			offset = address - map->start + map->offset;
	}
	return (struct tally_frame){written_object(tally, number, space->pid, map),
	                            guest_has(tally->spaces.objects[number].kind), offset};
}

/* Behind what is there of the kernel; how many of the user's. */
static uint32_t unwind_frames(struct tally *tally, const struct event *event, struct space *space,
                              bool translates, uint32_t *depth)
{
	uint64_t addresses[256];
	size_t count = unwind(tally->unwinder, &tally->spaces, space, event, addresses,
	                      NOVA_COUNT(addresses));
	uint32_t user = 0;

	for (size_t i = 0; i < count && *depth < TALLY_DEPTH; i++, user++)
		tally->current[(*depth)++] =
		        frame_at(tally, space, translates, PERF_CONTEXT_USER, addresses[i]);
	return user;
}

/* The sample's frames, from the leaf, in `current`; how many. */
static uint32_t read_frames(struct tally *tally, const struct event *event, uint32_t thread)
{
	struct space *space = spaces_of(&tally->spaces, (int32_t)event->pid);
	bool translates = vm_translates(tally->threads[thread].name);
	uint64_t context = context_of(event->misc);
	uint32_t depth = 0, user = 0;
	bool leaf = true;

	/* the kernel walks no stack of a guest; what stands in the chain is below it, if at all */
	if (is_guest(context)) {
		tally->current[depth++] = frame_at(tally, space, translates, context, event->ip);
		leaf = false;
	}
	for (size_t i = 0; i < event->depth && depth < TALLY_DEPTH; i++) {
		uint64_t address = event_chain_at(event, i);
		struct tally_frame frame;

		if (address >= PERF_CONTEXT_MAX) {
			context = address;
			/* what the kernel was entered from is an instruction, not a call */
			leaf = leaf || context == PERF_CONTEXT_USER;
			continue;
		}
		/* a return address may be the next function's first */
		frame = frame_at(tally, space, translates, context,
		                 leaf || !address ? address : address - 1);
		leaf = false;
		user += context == PERF_CONTEXT_USER && (depth == 0 || frame.offset);
		/* A wild frame pointer gives many that are nothing, or all are the guest: one
		 * says it. */
		if (!frame.offset && depth > 0 && !tally->current[depth - 1].offset &&
		    tally->current[depth - 1].object == frame.object)
			continue;
		tally->current[depth++] = frame;
		/* where a function begins, its caller is not in the chain yet */
		if (depth == 1 && event->caller &&
		    (i + 1 >= event->depth || event_chain_at(event, i + 1) != event->caller))
			tally->current[depth++] =
			        frame_at(tally, space, translates, context, event->caller - 1);
	}
	if (tally->unwinder && event->registers)
		user = unwind_frames(tally, event, space, translates, &depth);
	/* functions of the program that are known to be some */
	if (user)
		tally->user_stacks++;
	if (user == 1 && !translates)
		tally->short_stacks++;
	return depth;
}

static bool same_stack(const struct tally *tally, const struct tally_stack *stack, uint32_t depth)
{
	if (stack->depth != depth)
		return false;
	for (uint32_t i = 0; i < depth; i++) {
		const struct tally_frame *frame = &tally->frames[stack->first + i];

		if (frame->object != tally->current[i].object ||
		    frame->offset != tally->current[i].offset)
			return false;
	}
	return true;
}

/* The number of the stack in `current`. */
static uint32_t stack_of(struct tally *tally, uint32_t depth)
{
	uint64_t hash = depth, at;
	uint32_t number;

	for (uint32_t i = 0; i < depth; i++) {
		uint64_t pair[3] = {hash, tally->current[i].object, tally->current[i].offset};

		hash = stacks_hash(pair, sizeof(pair));
	}
	at = hash;
	while (index_next(&tally->stack_index, hash, &at, &number))
		if (same_stack(tally, &tally->stacks[number], depth))
			return number;
	tally->stacks = nova_grow(tally->stacks, tally->stack_count, sizeof(*tally->stacks));
	tally->stacks[tally->stack_count] = (struct tally_stack){tally->frame_count, depth};
	for (uint32_t i = 0; i < depth; i++) {
		tally->frames =
		        nova_grow(tally->frames, tally->frame_count, sizeof(*tally->frames));
		tally->frames[tally->frame_count++] = tally->current[i];
	}
	index_add(&tally->stack_index, hash, tally->stack_count);
	return tally->stack_count++;
}

/* Into a lane, if it is one of the recording. */
static void count(struct tally *tally, enum lane_kind kind, struct tally_count one)
{
	uint32_t key[4] = {one.stack, one.thread, one.cpu, tally->lanes[kind]}, number;
	uint64_t hash = stacks_hash(key, sizeof(key)), at = hash;

	if (!tally->lanes[kind])
		return;
	one.lane = tally->lanes[kind] - 1;
	tally->counted[kind]++;
	while (index_next(&tally->count_index, hash, &at, &number)) {
		struct tally_count *there = &tally->counts[number];

		if (there->stack == one.stack && there->thread == one.thread &&
		    there->cpu == one.cpu && there->lane == one.lane) {
			there->often += one.often;
			there->much += one.much;
			return;
		}
	}
	tally->counts = nova_grow(tally->counts, tally->count_count, sizeof(*tally->counts));
	tally->counts[tally->count_count] = one;
	index_add(&tally->count_index, hash, tally->count_count++);
}

/* --- waits --------------------------------------------------------------------------------------
 * A sample of a switch is where a thread leaves its CPU; the record of the switch follows, and says
 * whether it could have run on. The record of its return ends the wait. Of the kernel's own locks
 * tracepoints say where the wait begins and ends.
 */

/* How many events a sample stands for. */
static uint64_t weight_of(const struct tally *tally, const struct event *event)
{
	uint64_t weight = event->period ? event->period : tally->weights[event->sampler];

	return weight ? weight : 1;
}

static struct tally_wait wait_of(const struct tally *tally, const struct event *event,
                                 uint32_t stack)
{
	return (struct tally_wait){.since = event->time,
	                           .weight = weight_of(tally, event),
	                           .stack = stack,
	                           .cpu = event->cpu};
}

static void count_wait(struct tally *tally, enum lane_kind kind, uint32_t number,
                       const struct tally_wait *wait, uint64_t until_ns)
{
	if (wait->since && until_ns >= wait->since)
		count(tally, kind,
		      (struct tally_count){.stack = wait->stack,
		                           .thread = number,
		                           .cpu = wait->cpu,
		                           .often = wait->weight,
		                           .much = (until_ns - wait->since) * wait->weight});
}

/* It is back. */
static void end_wait(struct tally *tally, uint32_t number, uint64_t until_ns)
{
	struct tally_thread *thread = &tally->threads[number];

	count_wait(tally, LANE_OFF_CPU, number, &thread->left, until_ns);
	if (thread->for_lock)
		count_wait(tally, LANE_LOCK, number, &thread->left, until_ns);
	thread->left.since = 0;
}

/* It was taken away from its CPU: that is the innermost reason of its wait. */
static void could_run(struct tally *tally, struct tally_thread *thread)
{
	const struct tally_stack stack = tally->stacks[thread->left.stack];
	uint32_t depth = stack.depth < TALLY_DEPTH - 1 ? stack.depth : TALLY_DEPTH - 1;

	tally->current[0] = (struct tally_frame){
	        .object = written_object(tally, OBJECT_NUMBER_WAITING, 0, NULL)};
	for (uint32_t i = 0; i < depth; i++)
		tally->current[i + 1] = tally->frames[stack.first + i];
	thread->left.stack = stack_of(tally, depth + 1);
	thread->for_lock = false;
}

static void on_switch(struct tally *tally, const struct event *event)
{
	uint32_t number = event->tid ? find_thread(tally, (int32_t)event->tid) : UINT32_MAX;

	if (number == UINT32_MAX || !tally->threads[number].left.since)
		return;
	if (!(event->misc & PERF_RECORD_MISC_SWITCH_OUT))
		end_wait(tally, number, event->time);
	else if (event->misc & PERF_RECORD_MISC_SWITCH_OUT_PREEMPT)
		could_run(tally, &tally->threads[number]);
}

void tally_waiting(struct tally *tally, uint64_t now_ns)
{
	for (uint32_t i = 0; i < tally->thread_count; i++)
		if (!tally->threads[i].dead)
			end_wait(tally, i, now_ns);
	for (uint32_t i = 0; i < tally->contended_count; i++) {
		uint32_t number = find_thread(tally, tally->contended[i].tid);

		if (number != UINT32_MAX && !tally->threads[number].dead)
			count_wait(tally, LANE_LOCK, number, &tally->contended[i].wait, now_ns);
	}
	tally->contended_count = 0;
}

/* What a tracepoint of contention says: of which, and the lock. */
static bool read_contention(const struct event *event, uint16_t *which, uint64_t *lock)
{
	if (event->raw_bytes < LOCKS_RAW_ADDRESS + sizeof(*lock))
		return false;
	memcpy(which, event->raw, sizeof(*which));
	memcpy(lock, (const char *)event->raw + LOCKS_RAW_ADDRESS, sizeof(*lock));
	return true;
}

/* Few wait for the kernel's locks at the same time. */
static struct tally_contention *contention_of(const struct tally *tally, int32_t tid, uint64_t lock)
{
	for (uint32_t i = 0; i < tally->contended_count; i++)
		if (tally->contended[i].tid == tid && tally->contended[i].lock == lock)
			return &tally->contended[i];
	return NULL;
}

/* Who spins for a mutex first and sleeps then begins twice and ends once: the first one counts. */
static void begin_contention(struct tally *tally, const struct event *event, uint32_t number,
                             uint64_t lock)
{
	uint32_t stack;

	if (tally->contended_count == MOST_CONTENDED ||
	    contention_of(tally, (int32_t)event->tid, lock))
		return;
	stack = stack_of(tally, read_frames(tally, event, number));
	tally->contended =
	        nova_grow(tally->contended, tally->contended_count, sizeof(*tally->contended));
	tally->contended[tally->contended_count++] = (struct tally_contention){
	        .wait = wait_of(tally, event, stack), .lock = lock, .tid = (int32_t)event->tid};
}

static void on_contention(struct tally *tally, const struct event *event, uint32_t number)
{
	struct tally_contention *contention;
	uint64_t lock;
	uint16_t which;

	if (!read_contention(event, &which, &lock))
		return;
	if (which != tally->contention_ends) {
		begin_contention(tally, event, number, lock);
		return;
	}
	contention = contention_of(tally, (int32_t)event->tid, lock);
	if (!contention)
		return; /* its beginning was not seen */
	count_wait(tally, LANE_LOCK, number, &contention->wait, event->time);
	*contention = tally->contended[--tally->contended_count];
}

/* --- samples ------------------------------------------------------------------------------------
 */

static void on_leave(struct tally *tally, const struct event *event, uint32_t number)
{
	bool for_lock = tally->locks && locks_wait(tally->locks, event);
	struct tally_thread *thread = &tally->threads[number];

	thread->left.since = 0;
	if (!for_lock && !tally->lanes[LANE_OFF_CPU])
		return;
	thread->left = wait_of(tally, event, stack_of(tally, read_frames(tally, event, number)));
	thread->for_lock = for_lock;
}

static void on_fault(struct tally *tally, const struct event *event, uint32_t number)
{
	uint64_t faults = weight_of(tally, event);

	count(tally, LANE_FAULTS,
	      (struct tally_count){.stack = stack_of(tally, read_frames(tally, event, number)),
	                           .thread = number,
	                           .cpu = event->cpu,
	                           .often = faults,
	                           .much = faults * tally->page_bytes});
}

static void on_allocation(struct tally *tally, const struct event *event, uint32_t number)
{
	const struct allocation_window *window = &tally->window;
	struct event whole = *event;
	uint64_t often, bytes;

	if (event->raw_bytes < ALLOCATION_BYTES || event->time < window->from_ns ||
	    event->time >= window->until_ns ||
	    !allocation_read(event->raw, &often, &bytes, &whole.caller))
		return;
	count(tally, LANE_ALLOCATIONS,
	      (struct tally_count){.stack = stack_of(tally, read_frames(tally, &whole, number)),
	                           .thread = number,
	                           .cpu = event->cpu,
	                           .often = (uint64_t)((double)often * window->factor + 0.5),
	                           .much = (uint64_t)((double)bytes * window->factor + 0.5)});
}

/* Of a VM's QEMU: what did the sample, whose stack is the current one, hit? */
static void count_part(struct tally *tally, const struct tally_thread *thread, uint32_t depth)
{
	enum vm_part part = vm_part_of(thread->name, thread->pid == thread->tid);

	tally->vm.named = tally->vm.named || part == VM_VCPU;
	if (depth && tally->current[0].guest)
		part = VM_GUEST;
	if (part == VM_VCPU || part == VM_GUEST)
		*(vm_translates(thread->name) ? &tally->vm.tcg : &tally->vm.kvm) = true;
	tally->vm.samples[part]++;
}

static void on_cpu(struct tally *tally, const struct event *event, uint32_t number)
{
	uint32_t depth = read_frames(tally, event, number);

	count(tally, LANE_CPU,
	      (struct tally_count){.stack = stack_of(tally, depth),
	                           .thread = number,
	                           .cpu = event->cpu,
	                           .often = 1,
	                           .much = tally->sample_ns ? tally->sample_ns : event->period});
	if (tally->vm.is)
		count_part(tally, &tally->threads[number], depth);
}

static void on_sample(struct tally *tally, const struct event *event)
{
	uint32_t number;

	/* the idle task, where the event cannot leave it out; a process that ends has no number */
	if (event->pid == 0 || (int32_t)event->pid < 0 || (int32_t)event->tid < 0)
		return;
	tally->samples++;
	tally->taken[event->sampler]++;
	thread_of(tally, (int32_t)event->pid, (int32_t)event->pid); /* the process has its name */
	number = thread_of(tally, (int32_t)event->pid, (int32_t)event->tid);
	switch (event->sampler) {
	case SAMPLE_SWITCHES: on_leave(tally, event, number); break;
	case SAMPLE_CONTENTION: on_contention(tally, event, number); break;
	case SAMPLE_FAULTS: on_fault(tally, event, number); break;
	case SAMPLE_ALLOCATIONS: on_allocation(tally, event, number); break;
	default: on_cpu(tally, event, number);
	}
}

static void on_ksymbol(struct tally *tally, const struct event *event)
{
	struct writer *writer = tally->writer;

	if (event->unregister)
		return;
	writer_begin(writer, CHUNK_KSYMBOLS);
	writer_number(writer, event->start);
	writer_number(writer, event->length);
	writer_text(writer, event->name, event->name_length);
	writer_end(writer);
}

void tally_take(void *context, const struct event *event)
{
	struct tally *tally = context;

	switch (event->type) {
	case PERF_RECORD_SAMPLE: on_sample(tally, event); break;
	case PERF_RECORD_MMAP2: spaces_map(&tally->spaces, event); break;
	case PERF_RECORD_COMM: on_comm(tally, event); break;
	case PERF_RECORD_FORK: on_fork(tally, event); break;
	case PERF_RECORD_EXIT: on_exit_of(tally, event); break;
	case PERF_RECORD_KSYMBOL: on_ksymbol(tally, event); break;
	case PERF_RECORD_LOST: /* of any kind; nearly all records are samples */
	case PERF_RECORD_LOST_SAMPLES:
		tally->lost += event->lost;
		tally->lost_of[event->sampler] += event->lost;
		break;
	case PERF_RECORD_THROTTLE: tally->throttled++; break;
	case PERF_RECORD_SWITCH:
	case PERF_RECORD_SWITCH_CPU_WIDE: on_switch(tally, event); break;
	default: break;
	}
	if (tally->count_count >= MOST_COUNTS || tally->stack_count >= MOST_STACKS ||
	    tally->frame_count >= MOST_FRAMES)
		tally_flush(tally);
}

/* --- writing ------------------------------------------------------------------------------------
 */

static void write_objects(struct tally *tally)
{
	struct writer *writer = tally->writer;
	const char *numbers = tally->objects.data;

	if (!tally->objects.length)
		return;
	writer_begin(writer, CHUNK_OBJECTS);
	for (size_t at = 0; at < tally->objects.length; at += sizeof(uint32_t)) {
		const struct object *object;
		uint32_t number;

		memcpy(&number, numbers + at, sizeof(number));
		object = &tally->spaces.objects[number];
		if (writer->buffer.length - writer->open > CHUNK_BYTES / 2) {
			writer_end(writer);
			writer_begin(writer, CHUNK_OBJECTS);
		}
		writer_number(writer, object->kind);
		writer_number(writer, (uint64_t)object->pid);
		writer_text(writer, object->build_id, object->build_id_bytes);
		writer_text(writer, object->path, strlen(object->path));
	}
	writer_end(writer);
	tally->objects.length = 0;
}

static void write_stacks(struct tally *tally)
{
	struct writer *writer = tally->writer;

	if (tally->written_stacks == tally->stack_count)
		return;
	writer_begin(writer, CHUNK_STACKS);
	for (; tally->written_stacks < tally->stack_count; tally->written_stacks++) {
		const struct tally_stack *stack = &tally->stacks[tally->written_stacks];

		if (writer->buffer.length - writer->open > CHUNK_BYTES / 2) {
			writer_end(writer);
			writer_begin(writer, CHUNK_STACKS);
		}
		writer_number(writer, stack->depth);
		for (uint32_t i = 0; i < stack->depth; i++) {
			writer_number(writer, tally->frames[stack->first + i].object);
			writer_number(writer, tally->frames[stack->first + i].offset);
		}
	}
	writer_end(writer);
}

static void write_thread(struct tally *tally, struct tally_thread *thread)
{
	struct writer *writer = tally->writer;
	uint32_t first = find_thread(tally, thread->pid);
	bool own =
	        thread->pid == thread->tid || first == UINT32_MAX || !tally->threads[first].name[0];
	const char *process = own ? thread->name : tally->threads[first].name;

	writer_number(writer, (uint64_t)thread->pid);
	writer_number(writer, (uint64_t)thread->tid);
	writer_number(writer, (uint64_t)(tally_vcpu(thread->name) + 1));
	writer_text(writer, process, strlen(process));
	writer_text(writer, thread->name, strlen(thread->name));
	thread->written = ++tally->written_threads;
}

static void write_threads(struct tally *tally)
{
	bool any = false;

	for (uint32_t i = 0; i < tally->count_count; i++) {
		struct tally_thread *thread = &tally->threads[tally->counts[i].thread];

		if (thread->written)
			continue;
		if (!any)
			writer_begin(tally->writer, CHUNK_THREADS);
		any = true;
		write_thread(tally, thread);
	}
	if (any)
		writer_end(tally->writer);
}

/* Of the first lane in a chunk that says nothing of lanes. */
static void write_lane(struct tally *tally, uint32_t lane)
{
	struct writer *writer = tally->writer;
	bool any = false;

	for (uint32_t i = 0; i < tally->count_count; i++) {
		const struct tally_count *one = &tally->counts[i];

		if (one->lane != lane)
			continue;
		if (!any) {
			writer_begin(writer, lane ? CHUNK_LANE : CHUNK_COUNTS);
			if (lane)
				writer_number(writer, lane);
		}
		any = true;
		writer_number(writer, one->stack);
		writer_number(writer, tally->threads[one->thread].written - 1);
		writer_number(writer, (uint64_t)one->cpu + 1);
		writer_number(writer, one->often);
		writer_number(writer, one->much);
	}
	if (any)
		writer_end(writer);
}

static void write_counts(struct tally *tally)
{
	for (uint32_t lane = 0; lane < tally->lane_count; lane++)
		write_lane(tally, lane);
	tally->count_count = 0;
	index_clear(&tally->count_index);
}

/* Threads that have ended, and all stacks if they are many; what lives on is numbered anew. */
static void forget(struct tally *tally)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < tally->thread_count; i++)
		if (!tally->threads[i].past &&
		    (!tally->threads[i].dead || !kill(tally->threads[i].tid, 0) || errno != ESRCH))
			tally->threads[kept++] = tally->threads[i];
	tally->thread_count = kept;
	index_clear(&tally->thread_index);
	for (uint32_t i = 0; i < kept; i++)
		index_add(&tally->thread_index, tid_hash(tally->threads[i].tid), i);
	if (tally->stack_count < MOST_STACKS && tally->frame_count < MOST_FRAMES &&
	    tally->written_threads < MOST_THREADS)
		return;
	for (uint32_t i = 0; i < kept; i++) {
		tally->threads[i].written = 0;
		tally->threads[i].left.since = 0;
	}
	tally->frame_count = tally->stack_count = tally->contended_count = 0;
	tally->written_stacks = tally->written_threads = 0;
	index_clear(&tally->stack_index);
	writer_begin(tally->writer, CHUNK_RESET);
	writer_end(tally->writer);
	tally->resets++;
}

void tally_flush(struct tally *tally)
{
	write_objects(tally);
	write_stacks(tally);
	write_threads(tally);
	write_counts(tally);
	forget(tally);
	spaces_sweep(&tally->spaces);
	/* if it fails it is there still, and fails again where somebody can say so */
	if (tally->writer->buffer.length > MOST_UNWRITTEN)
		writer_flush(tally->writer, NULL);
}

void tally_free(struct tally *tally)
{
	unwinder_free(tally->unwinder);
	guest_free(&tally->guest);
	spaces_free(&tally->spaces);
	free(tally->frames);
	free(tally->stacks);
	free(tally->threads);
	free(tally->counts);
	free(tally->contended);
	index_free(&tally->stack_index);
	index_free(&tally->thread_index);
	index_free(&tally->count_index);
	index_free(&tally->written_index);
	nova_text_free(&tally->objects);
	memset(tally, 0, sizeof(*tally));
}
