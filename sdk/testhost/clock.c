/* SPDX-License-Identifier: MIT */
/*
 * Simulated time. Each thread of a benchmark (the replicate's, and those of fan_out) is a task with
 * a time of its own, and only the one whose time is the earliest runs: so calls overlap as they
 * would, in the same order each time, and nobody waits for anything.
 */
#include "inside.h"

#include <stdlib.h>
#include <string.h>

/* A thread that computes for so long is taken to be waiting for another one (for a lock of the
 * benchmark's own), which may then go on; real time. */
#define PATIENCE_NS 3000000000
/* Reading the clock takes no time, but so many times without a call between is waiting for it. */
#define READINGS_MAX    1000
#define READING_NS      1000000
#define LANES_MAX       2000
#define LANE_STACK_SIZE (256 * 1024)

struct fan {
	uint32_t count, next;
	double per_s;
	int64_t start_ns;
	int (*one)(void *context, uint32_t i, int64_t intended_ns);
	void *context;
	int failure;
};

static _Thread_local struct task *self;

struct task *th_task_self(void)
{
	return self;
}

/* --- turns; all under the lock ------------------------------------------------------------ */

static void run_next(struct clock *clock)
{
	struct task *next = NULL;

	for (struct task *task = clock->tasks; task; task = task->next)
		if (task->state == TASK_WAITING &&
		    (!next || task->now_ns < next->now_ns ||
		     (task->now_ns == next->now_ns && task->order < next->order)))
			next = task;
	clock->running = next;
	clock->turns++;
	if (!next)
		return;
	next->state = TASK_RUNNING;
	pthread_cond_signal(&next->turn);
}

static void await_turn(struct task *task)
{
	struct clock *clock = &task->host->lab->clock;
	uint64_t turns = clock->turns;
	int64_t since_ns = th_clock_ns();

	while (clock->running != task) {
		th_wait_until(&task->turn, since_ns + PATIENCE_NS);
		if (clock->turns != turns) {
			turns = clock->turns;
			since_ns = th_clock_ns();
		} else if (clock->running && clock->running != task &&
		           th_clock_ns() >= since_ns + PATIENCE_NS) {
			th_complain(task->host,
			            "a function of fan_out has not come back for %d s while others "
			            "waited: does it hold a lock during a call of the lab?",
			            (int)(PATIENCE_NS / 1000000000));
			run_next(clock);
		}
	}
}

void th_task_pass(struct task *task, int64_t until_ns)
{
	struct clock *clock = &task->host->lab->clock;

	if (until_ns > task->now_ns)
		task->now_ns = until_ns;
	task->state = TASK_WAITING;
	if (!clock->running || clock->running == task)
		run_next(clock);
	await_turn(task);
}

void th_tasks_wake(struct clock *clock, const struct vm *vm, int64_t now_ns)
{
	for (struct task *task = clock->tasks; task; task = task->next)
		if (task->state == TASK_WAITING && task->watch == vm && task->now_ns > now_ns)
			task->now_ns = now_ns;
}

void th_tasks_interrupt(struct task *by)
{
	by->host->lab->interrupted = by->interrupted = 1;
	for (struct task *task = by->host->lab->clock.tasks; task; task = task->next)
		if (task->state == TASK_WAITING && task->idle && task->now_ns > by->now_ns)
			task->now_ns = by->now_ns;
}

static void add(struct clock *clock, struct task *task, struct nova_testhost *host, int64_t now_ns)
{
	task->host = host;
	task->now_ns = now_ns;
	task->order = clock->orders++;
	th_init_condition(&task->turn);
	task->next = clock->tasks;
	clock->tasks = task;
}

static void remove_task(struct clock *clock, struct task *task)
{
	struct task **at = &clock->tasks;

	while (*at != task)
		at = &(*at)->next;
	*at = task->next;
	th_free_results(&task->last);
	pthread_cond_destroy(&task->turn);
}

/* --- the replicate's own task ------------------------------------------------------------- */

void th_task_begin(struct nova_testhost *host)
{
	struct clock *clock = &host->lab->clock;
	int64_t now = clock->main.now_ns ? clock->main.now_ns : CLOCK_BEGIN;

	memset(&clock->main, 0, sizeof(clock->main));
	add(clock, &clock->main, host, now);
	clock->main.state = TASK_RUNNING;
	clock->running = &clock->main;
	self = &clock->main;
}

void th_task_end(struct nova_testhost *host)
{
	struct clock *clock = &host->lab->clock;

	self = NULL;
	clock->running = NULL;
	remove_task(clock, &clock->main);
}

int64_t th_now_ns(void)
{
	struct task *task = self;

	if (!task)
		return th_clock_ns();
	if (++task->readings > READINGS_MAX) {
		pthread_mutex_lock(&th_lock);
		th_task_pass(task, task->now_ns + READING_NS);
		pthread_mutex_unlock(&th_lock);
	}
	return task->now_ns;
}

/* --- fan out ------------------------------------------------------------------------------ */

/* Under the lock; the function itself runs without it. */
static int run_one(struct task *task, struct fan *fan)
{
	struct lab *lab = task->host->lab;
	int64_t intended_ns = 0; /* nothing is intended in a closed loop */
	uint32_t i = fan->next++;
	int status;

	if (fan->per_s > 0) {
		intended_ns = fan->start_ns + (int64_t)((double)i / fan->per_s * 1e9);
		task->idle = 1;
		if (!lab->interrupted)
			th_task_pass(task, intended_ns);
		task->idle = 0;
	}
	if (lab->interrupted)
		return NOVA_E_INTERRUPTED;
	pthread_mutex_unlock(&th_lock);
	status = fan->one(fan->context, i, intended_ns);
	pthread_mutex_lock(&th_lock);
	th_task_pass(task, task->now_ns);
	if (status > 0 || status < NOVA_E_UNKNOWN)
		th_complain(task->host, "a function of fan_out returned %d, which is no status",
		            status);
	return status;
}

static void *lane(void *context)
{
	struct task *task = context, *parent = task->parent;
	struct clock *clock = &task->host->lab->clock;
	struct fan *fan = task->fan;
	int status;

	self = task;
	pthread_mutex_lock(&th_lock);
	await_turn(task);
	while (fan->next < fan->count) {
		status = run_one(task, fan);
		if (status != NOVA_DONE && fan->failure == NOVA_DONE)
			fan->failure = status;
	}
	task->state = TASK_ENDED;
	if (task->now_ns > parent->now_ns)
		parent->now_ns = task->now_ns;
	if (--parent->children == 0)
		parent->state = TASK_WAITING;
	run_next(clock);
	pthread_mutex_unlock(&th_lock);
	return NULL;
}

static uint32_t start_lanes(struct task *parent, struct fan *fan, struct task *lanes,
                            uint32_t count)
{
	struct clock *clock = &parent->host->lab->clock;
	pthread_attr_t attributes;
	uint32_t started = 0;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, LANE_STACK_SIZE);
	for (; started < count; started++) {
		struct task *task = &lanes[started];

		add(clock, task, parent->host, parent->now_ns);
		task->parent = parent;
		task->fan = fan;
		task->state = TASK_WAITING;
		if (pthread_create(&task->thread, &attributes, lane, task) != 0) {
			remove_task(clock, task);
			break;
		}
	}
	pthread_attr_destroy(&attributes);
	return started;
}

int th_fan_out(struct task *task, uint32_t count, uint32_t limit, double per_s,
               int (*one)(void *context, uint32_t i, int64_t intended_ns), void *context)
{
	struct clock *clock = &task->host->lab->clock;
	struct fan fan = {.count = count,
	                  .per_s = per_s,
	                  .start_ns = task->now_ns,
	                  .one = one,
	                  .context = context};
	uint32_t width = limit && limit < count ? limit : count, started;
	struct task *lanes;

	if (width == 0)
		return NOVA_DONE;
	if (width > LANES_MAX)
		width = LANES_MAX;
	lanes = th_memory(NULL, width * sizeof(*lanes));
	memset(lanes, 0, width * sizeof(*lanes));
	started = start_lanes(task, &fan, lanes, width);
	if (started < width)
		th_complain(task->host, "fan_out: only %u of %u threads could be started", started,
		            width);
	task->children = started;
	if (started > 0) {
		task->state = TASK_JOINING;
		run_next(clock);
		await_turn(task);
	} else {
		fan.failure = NOVA_E_UNAVAILABLE;
	}
	pthread_mutex_unlock(&th_lock);
	for (uint32_t i = 0; i < started; i++)
		pthread_join(lanes[i].thread, NULL);
	pthread_mutex_lock(&th_lock);
	for (uint32_t i = 0; i < started; i++)
		remove_task(clock, &lanes[i]);
	free(lanes);
	return fan.failure;
}
