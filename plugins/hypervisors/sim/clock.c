/* SPDX-License-Identifier: MIT */
/*
 * When things end. Virtual clock: at once, with invented stamps on the VM's own time line. Real
 * clock: in `pump`, from a heap of timers (ops=async), or on the op's own thread, which sleeps
 * (ops=sync). Nobody polls: every wait is on a condition, up to the next due time.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What a virtual op that never ends is stamped to have taken. */
#define VIRTUAL_HANG_NS 120000000000

/* --- the heap: least (due, order) first --------------------------------------------------- */

static int before(const struct task *a, const struct task *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void place(struct sim *sim, struct task *task, size_t at)
{
	sim->heap[at] = task;
	task->place = at;
}

static void sift(struct sim *sim, struct task *task, size_t at)
{
	size_t child;

	for (; at > 0 && before(task, sim->heap[(at - 1) / 2]); at = (at - 1) / 2)
		place(sim, sim->heap[(at - 1) / 2], at);
	for (; (child = 2 * at + 1) < sim->heap_count; at = child) {
		if (child + 1 < sim->heap_count && before(sim->heap[child + 1], sim->heap[child]))
			child++;
		if (!before(sim->heap[child], task))
			break;
		place(sim, sim->heap[child], at);
	}
	place(sim, task, at);
}

static int heap_push(struct sim *sim, struct task *task)
{
	struct task **heap;
	size_t room;

	if (sim->heap_count == sim->heap_room) {
		room = sim->heap_room ? 2 * sim->heap_room : 64;
		heap = realloc(sim->heap, room * sizeof(struct task *));
		if (!heap)
			return NOVA_E_MEMORY;
		sim->heap = heap;
		sim->heap_room = room;
	}
	task->order = ++sim->counter;
	sift(sim, task, sim->heap_count++);
	if (task->place == 0)
		pthread_cond_signal(&sim->changed);
	return NOVA_DONE;
}

static void heap_remove(struct sim *sim, struct task *task)
{
	struct task *last = sim->heap[--sim->heap_count];

	if (last != task)
		sift(sim, last, task->place);
	task->place = NOWHERE;
}

/* --- tasks -------------------------------------------------------------------------------- */

struct task *task_new(nova_op op, enum operation operation, const char *name)
{
	struct task *task = calloc(1, sizeof(*task));

	if (!task)
		return NULL;
	task->op = op;
	task->operation = operation;
	task->place = NOWHERE;
	if (name && !(task->name = strdup(name))) {
		free(task);
		return NULL;
	}
	return task;
}

void task_free(struct task *task)
{
	free(task->name);
	free(task->text);
	free(task);
}

static void link_task(struct sim *sim, struct task *task)
{
	task->previous = NULL;
	task->next = sim->tasks;
	if (sim->tasks)
		sim->tasks->previous = task;
	sim->tasks = task;
}

static void unlink_task(struct sim *sim, struct task *task)
{
	if (task->previous)
		task->previous->next = task->next;
	else
		sim->tasks = task->next;
	if (task->next)
		task->next->previous = task->previous;
}

/* Of this thread's op: kept here because it is wanted before the op has anything else of its own.
 */
static _Thread_local int64_t begun_ns;

void op_begins(const struct sim *sim)
{
	begun_ns = sim->host->now_ns();
}

int64_t vm_now(const struct sim *sim, const struct vm *vm)
{
	if (sim->is_virtual)
		return vm ? vm->now_ns : 0;
	return sim->host->now_ns();
}

/* What a person reads when an injected failure strikes; %s is the VM. */
static const struct {
	int code;
	const char *text;
} FAILURES[OPERATIONS] = {
        [CONNECT] = {NOVA_E_UNAVAILABLE,
                     "cannot connect to %s: connection refused; is it running?"},
        [CREATE] = {NOVA_E_FAILED, "cannot create VM %s: storage pool sim-pool: no space left"},
        [START] = {NOVA_E_FAILED, "cannot start VM %s: cannot allocate its memory"},
        [SNAPSHOT] = {NOVA_E_FAILED, "cannot take a snapshot of VM %s: error writing its memory"},
        [RESTORE] = {NOVA_E_FAILED, "cannot restore VM %s: the snapshot's device state is corrupt"},
        [STOP] = {NOVA_E_FAILED, "cannot shut VM %s down: its guest does not react to the button"},
        [OFF] = {NOVA_E_FAILED, "cannot power VM %s off: its process is not responding"},
        [PAUSE] = {NOVA_E_FAILED, "cannot pause or resume VM %s: the monitor is not responding"},
        [DELETE] = {NOVA_E_FAILED, "cannot delete VM %s: its disk is in use by another process"},
        [EXEC] = {NOVA_E_FAILED, "cannot run a program in VM %s: the agent closed the connection"},
        [MIGRATE] = {NOVA_E_FAILED, "cannot migrate VM %s: the connection was reset by the peer"},
};

/* Under the lock: the end of a task, whatever it is. Returns its status; frees nothing. */
static int conclude(struct sim *sim, struct task *task)
{
	struct vm *vm = task->name ? vm_find(sim, task->name) : NULL;
	int status;

	if (task->exclusive && vm && vm->busy == task)
		vm->busy = NULL;
	if (task->fails) {
		status = sim->host->errorf(task->op, FAILURES[task->operation].code,
		                           FAILURES[task->operation].text,
		                           task->name ? task->name : "the target");
		/* A failed creation leaves nothing behind. */
		if (task->operation == CREATE && vm && !vm->exists) {
			vm_unlink(sim, vm);
			vm_free(vm);
		}
		return status;
	}
	return task->finish ? task->finish(sim, task, vm) : NOVA_DONE;
}

/* Under the lock: an op that hung and was given up. What it did is unknown: a VM may be left. */
static int abandon(struct sim *sim, struct task *task)
{
	struct vm *vm = task->name ? vm_find(sim, task->name) : NULL;

	if (task->exclusive && vm && vm->busy == task)
		vm->busy = NULL;
	if (task->operation == CREATE && vm && !vm->exists)
		vm->exists = 1;
	if (sim->is_virtual)
		return sim->host->errorf(task->op, NOVA_E_TIMEOUT,
		                         "%s of %s: the simulated hypervisor never answered",
		                         OPERATION_NAMES[task->operation],
		                         task->name ? task->name : "the target");
	return sim->host->errorf(task->op, NOVA_E_CANCELLED, "%s of %s: given up",
	                         OPERATION_NAMES[task->operation],
	                         task->name ? task->name : "the target");
}

/* Under the lock: waits on this thread until the task is due, cancelled or killed. */
static int sleep_through(struct sim *sim, struct task *task)
{
	struct timespec due = {task->due_ns / 1000000000, task->due_ns % 1000000000};
	pthread_condattr_t attributes;
	pthread_cond_t sleeper;
	int status;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&sleeper, &attributes);
	pthread_condattr_destroy(&attributes);
	task->sleeper = &sleeper;
	while (!task->cancelled && !task->killed && sim->host->now_ns() < task->due_ns)
		pthread_cond_timedwait(&sleeper, &sim->lock, &due);
	task->sleeper = NULL;
	unlink_task(sim, task);
	status = task->cancelled ? abandon(sim, task) : conclude(sim, task);
	pthread_cond_destroy(&sleeper);
	return status;
}

/* Says what was injected, so that a measurement can be compared with it. */
static void confess(struct sim *sim, const struct task *task, enum operation operation, int64_t ns)
{
	char key[48], text[32];

	snprintf(key, sizeof(key), "injected.%s", OPERATION_NAMES[operation]);
	snprintf(text, sizeof(text), "%lld", (long long)ns);
	sim->host->put_fact(task->op, NOVA_FIELD_FACT, key, text);
}

static int64_t draw_for(struct sim *sim, struct vm *vm, enum operation operation, uint32_t *k)
{
	uint64_t number = vm ? vm->number : 0;
	int64_t age_ns = vm_now(sim, vm) - sim->born_ns;
	int64_t ns;

	*k = vm ? vm->draws[operation]++ : 0;
	ns = draw_latency(&sim->model, operation, *k, number, age_ns);
	return vm ? (int64_t)((double)ns * vm->factor) : ns;
}

/* A boot's stages after START, or the agent's return after RESTORE. */
static void draw_stages(struct sim *sim, struct task *task, struct vm *vm, int64_t latency_ns)
{
	static const enum operation boot[] = {FIRST, USERSPACE, READY}, back[] = {BACK};
	const enum operation *stages = task->operation == START ? boot : back;
	int count = task->operation == START ? 3 : 1;
	int64_t total_ns = latency_ns;
	uint32_t k;

	for (int i = 0; i < count; i++) {
		task->stage_ns[i] = draw_for(sim, vm, stages[i], &k);
		total_ns += task->stage_ns[i];
		if (draw_chance(&sim->model, sim->model.fail, stages[i], k, vm->number, SALT_FAIL))
			task->stage_end[i] = STAGE_CRASHES;
		if (draw_chance(&sim->model, sim->model.hang, stages[i], k, vm->number, SALT_HANG))
			task->stage_end[i] = STAGE_IS_NEVER;
		confess(sim, task, stages[i], total_ns);
		if (task->stage_end[i] != STAGE_COMES)
			return;
	}
}

/* Under the lock: the whole op at once, on the VM's own time line. */
static int run_virtual(struct sim *sim, struct task *task, struct vm *vm, int64_t latency_ns)
{
	const struct nova_host *host = sim->host;
	int64_t end_ns = task->start_ns + (task->hangs ? VIRTUAL_HANG_NS : latency_ns);

	task->due_ns = end_ns;
	if (vm) {
		host->put_i64(task->op, NOVA_FIELD_STARTED_NS, task->start_ns);
		host->put_i64(task->op, NOVA_FIELD_RETURNED_NS, end_ns);
		vm->now_ns = end_ns;
	}
	return task->hangs ? abandon(sim, task) : conclude(sim, task);
}

int task_run(struct sim *sim, struct task *task, struct vm *vm)
{
	uint64_t number = vm ? vm->number : 0;
	int64_t latency_ns;
	uint32_t k;
	int status;

	latency_ns = draw_for(sim, vm, task->operation, &k);
	task->hangs =
	        draw_chance(&sim->model, sim->model.hang, task->operation, k, number, SALT_HANG);
	task->fails =
	        draw_chance(&sim->model, sim->model.fail, task->operation, k, number, SALT_FAIL);
	if (task->operation == EXEC)
		latency_ns += task->due_ns; /* a program's own running time */
	confess(sim, task, task->operation, latency_ns);
	if (vm && (task->operation == START || task->operation == RESTORE))
		draw_stages(sim, task, vm, latency_ns);
	if (vm && task->exclusive)
		vm->busy = task;
	task->start_ns = sim->is_virtual ? vm_now(sim, vm) : begun_ns;
	if (vm && task->operation == STOP)
		event_send(sim, vm->name, NOVA_EVENT_SHUTDOWN, task->start_ns);
	if (sim->is_virtual) {
		status = run_virtual(sim, task, vm, latency_ns);
		pthread_mutex_unlock(&sim->lock);
		task_free(task);
		return status;
	}
	task->due_ns = task->hangs ? INT64_MAX : task->start_ns + latency_ns;
	link_task(sim, task);
	if (sim->is_sync) {
		status = sleep_through(sim, task);
		pthread_mutex_unlock(&sim->lock);
		task_free(task);
		return status;
	}
	status = heap_push(sim, task);
	if (status == NOVA_DONE) {
		pthread_mutex_unlock(&sim->lock);
		return NOVA_PENDING;
	}
	unlink_task(sim, task);
	abandon(sim, task);
	pthread_mutex_unlock(&sim->lock);
	task_free(task);
	return status;
}

/* Ends an op of ops=async early; takes and releases the lock's hold around done(). */
static void end_early(struct sim *sim, struct task *task)
{
	nova_op op = task->op;
	int status;

	heap_remove(sim, task);
	unlink_task(sim, task);
	status = task->cancelled ? abandon(sim, task) : conclude(sim, task);
	pthread_mutex_unlock(&sim->lock);
	task_free(task);
	sim->host->done(op, status);
	pthread_mutex_lock(&sim->lock);
}

int sim_cancel(void *self, nova_op op)
{
	struct sim *sim = self;
	struct task *task;

	pthread_mutex_lock(&sim->lock);
	for (task = sim->tasks; task && task->op != op; task = task->next)
		;
	if (task) {
		task->cancelled = 1;
		if (task->sleeper)
			pthread_cond_signal(task->sleeper);
		else if (task->place != NOWHERE)
			end_early(sim, task);
	}
	pthread_mutex_unlock(&sim->lock);
	return NOVA_DONE;
}

int task_kill(struct sim *sim, int64_t pid)
{
	struct task *task;
	int status = NOVA_E_NOT_FOUND;

	pthread_mutex_lock(&sim->lock);
	for (task = sim->tasks; task && task->pid != pid; task = task->next)
		;
	if (task) {
		task->killed = 1;
		status = NOVA_DONE;
		if (task->sleeper)
			pthread_cond_signal(task->sleeper);
		else if (task->place != NOWHERE)
			end_early(sim, task);
	}
	pthread_mutex_unlock(&sim->lock);
	return status;
}

/* --- events ------------------------------------------------------------------------------- */

void event_send(struct sim *sim, const char *name, uint32_t kind, int64_t t_ns)
{
	struct nova_event event = {
	        .struct_size = sizeof(event),
	        .kind = kind,
	        .source = NOVA_SOURCE_MODEL,
	        .name = name,
	        .t_ns = t_ns,
	        .resolution_ns = 1, /* it happened when it was due, however late this is sent */
	};

	sim->host->event(sim->instance, &event);
}

/* A stage of the VM's life has come: what changes, and the word about it. */
static void happen(struct sim *sim, struct vm *vm, uint32_t kind, int64_t t_ns)
{
	if (kind == NOVA_EVENT_CRASHED) {
		vm->state = NOVA_STATE_OFF;
		vm->life = 0;
		vm->ready = 0;
	}
	if (kind == NOVA_EVENT_READY) {
		vm->ready = 1;
		if (sim_can(sim, 0, NOVA_CAN_READY) != NOVA_DONE)
			return;
	}
	event_send(sim, vm->name, kind, t_ns);
}

static int finish_event(struct sim *sim, struct task *task, struct vm *vm)
{
	if (vm && vm->life == task->life && task->life != 0)
		happen(sim, vm, task->kind, task->due_ns);
	return NOVA_DONE;
}

int event_at(struct sim *sim, struct vm *vm, uint32_t kind, int64_t due_ns, uint32_t end)
{
	struct task *task;
	int status;

	if (end == STAGE_IS_NEVER)
		return NOVA_DONE;
	if (end == STAGE_CRASHES)
		kind = NOVA_EVENT_CRASHED;
	if (sim->is_virtual) {
		happen(sim, vm, kind, due_ns);
		vm->now_ns = due_ns;
		return NOVA_DONE;
	}
	task = task_new(0, START, vm->name);
	if (!task)
		return NOVA_E_MEMORY;
	task->kind = kind;
	task->life = vm->life;
	task->due_ns = due_ns;
	task->finish = finish_event;
	status = heap_push(sim, task);
	if (status != NOVA_DONE)
		task_free(task);
	return status;
}

/* --- pump --------------------------------------------------------------------------------- */

/* Under the lock: ends the first task of the heap. */
static void end_due(struct sim *sim, struct task *task)
{
	nova_op op = task->op;
	int status;

	heap_remove(sim, task);
	if (op)
		unlink_task(sim, task);
	status = conclude(sim, task);
	task_free(task);
	if (!op)
		return;
	pthread_mutex_unlock(&sim->lock);
	sim->host->done(op, status);
	pthread_mutex_lock(&sim->lock);
}

int sim_pump(void *self, int64_t until_ns)
{
	struct sim *sim = self;
	struct timespec until;
	int64_t next_ns;

	pthread_mutex_lock(&sim->lock);
	for (;;) {
		next_ns = sim->heap_count ? sim->heap[0]->due_ns : INT64_MAX;
		if (next_ns <= sim->host->now_ns()) {
			end_due(sim, sim->heap[0]);
			continue;
		}
		if (sim->woken || sim->host->now_ns() >= until_ns)
			break;
		next_ns = next_ns < until_ns ? next_ns : until_ns;
		until.tv_sec = next_ns / 1000000000;
		until.tv_nsec = next_ns % 1000000000;
		pthread_cond_timedwait(&sim->changed, &sim->lock, &until);
	}
	sim->woken = 0;
	pthread_mutex_unlock(&sim->lock);
	return NOVA_DONE;
}

int sim_wake(void *self)
{
	struct sim *sim = self;

	pthread_mutex_lock(&sim->lock);
	sim->woken = 1;
	pthread_cond_signal(&sim->changed);
	pthread_mutex_unlock(&sim->lock);
	return NOVA_DONE;
}
