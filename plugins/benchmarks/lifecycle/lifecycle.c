/* SPDX-License-Identifier: MIT */
/*
 * The life of fresh VMs: create, start, ready, snapshot, restore, stop, delete. Every duration is
 * the distance of two stamps that the host or the driver took; this file reads no clock, except to
 * set a deadline.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <novacore/sdk.h>

#define SNAPSHOT_NAME "lifecycle"
/* How long after a restore an agent may take to be seen gone (platform.md: 0.15 s). */
#define UNREADY_GRACE_NS 2000000000
/* A deadline that has passed: `wait` then only looks at what has come. */
#define LONG_AGO_NS 1

/* --- metrics ------------------------------------------------------------------------------ */

#define METRIC(variable, name_, doc_)                                                              \
	static const struct nova_metric variable = {.struct_size = sizeof(variable),               \
	                                            .unit = NOVA_UNIT_SECOND,                      \
	                                            .better = NOVA_BETTER_LOWER,                   \
	                                            .revision = 1,                                 \
	                                            .name = "lifecycle." name_,                    \
	                                            .doc = (doc_)}

METRIC(CREATE_API, "create.api", "From the call that creates a VM to its return");
METRIC(START_API, "start.api", "From the call that starts a VM to its return");
METRIC(START_RUNNING, "start.running",
       "From the call that starts a VM to the hypervisor's word that its vCPUs run");
METRIC(START_FIRST, "start.first",
       "From the call that starts a VM to the first byte of any kind from its guest");
METRIC(START_USERSPACE, "start.userspace",
       "From the call that starts a VM to the first byte from the guest's user space");
METRIC(START_READY, "start.ready", "From the call that starts a VM to its agent's taking commands");
METRIC(SNAPSHOT_DONE, "snapshot.done",
       "From the call that snapshots the running VM (memory and disks) to its return");
METRIC(RESTORE_DONE, "restore.done",
       "From the call that restores the snapshot to its return, the VM running again");
METRIC(RESTORE_READY, "restore.ready",
       "From the call that restores the snapshot to the agent's taking commands again");
METRIC(STOP_GONE, "stop.gone",
       "From the call that shuts a ready VM down gracefully to the hypervisor's word that it is "
       "off");
METRIC(DELETE_API, "delete.api",
       "From the call that deletes the stopped VM with its disks and snapshots to its return");
METRIC(TOTAL, "total",
       "From the call that creates a VM to the return of the one that deletes it, all stages "
       "between");

static const struct nova_metric *const METRICS[] = {
        &CREATE_API,  &START_API,     &START_RUNNING, &START_FIRST,   &START_USERSPACE,
        &START_READY, &SNAPSHOT_DONE, &RESTORE_DONE,  &RESTORE_READY, &STOP_GONE,
        &DELETE_API,  &TOTAL,         NULL,
};

/* --- parameters --------------------------------------------------------------------------- */

#define PARAMETER(variable, name_, type_, fallback_, doc_, ...)                                    \
	static const struct nova_parameter variable = {.struct_size = sizeof(variable),            \
	                                               .type = (type_),                            \
	                                               .name = (name_),                            \
	                                               .fallback = (fallback_),                    \
	                                               .doc = (doc_),                              \
	                                               ##__VA_ARGS__}

PARAMETER(P_CONCURRENCY, "concurrency", NOVA_PARAM_INTEGER, "1",
          "VMs that live at the same time, one step for each value",
          .flags = NOVA_PARAM_LIST | NOVA_PARAM_EACH, .minimum = "1", .maximum = "1000");
PARAMETER(P_READY, "ready", NOVA_PARAM_BOOLEAN, "true",
          "Wait until the agent in the guest takes commands, where there is one");
PARAMETER(P_FIRST, "first", NOVA_PARAM_BOOLEAN, "false",
          "Where the agent is not waited for: wait for the guest's first byte");
PARAMETER(P_SNAPSHOT, "snapshot", NOVA_PARAM_BOOLEAN, "true", "Take a snapshot of the running VM");
PARAMETER(P_RESTORE, "restore", NOVA_PARAM_BOOLEAN, "true", "Restore that snapshot");
PARAMETER(P_GRACEFUL, "graceful", NOVA_PARAM_BOOLEAN, "true",
          "Shut ready VMs down gracefully; false: pull the plug, without a stop metric");
PARAMETER(P_OP_TIMEOUT, "op_timeout", NOVA_PARAM_DURATION, NULL,
          "Deadline of each call; default: run.op_timeout", .minimum = "1ms");
PARAMETER(P_READY_TIMEOUT, "ready_timeout", NOVA_PARAM_DURATION, NULL,
          "Deadline of each event; default: run.ready_timeout", .minimum = "1ms");

static const struct nova_parameter *const PARAMETERS[] = {
        &P_CONCURRENCY, &P_READY,      &P_FIRST,         &P_SNAPSHOT, &P_RESTORE,
        &P_GRACEFUL,    &P_OP_TIMEOUT, &P_READY_TIMEOUT, NULL,
};

/* --- one benchmark, one life -------------------------------------------------------------- */

struct lifecycle {
	const struct nova_host *host;
	const struct nova_lab *lab;
	nova_run run;
	int64_t concurrency, op_timeout_ns, ready_timeout_ns; /* timeouts: 0 as configured */
	int ready, first, snapshot, restore, graceful;
	atomic_flag said_plug, said_stayed;
};

struct life {
	struct lifecycle *self;
	nova_vm vm;
	int64_t created_ns; /* when the creating call began */
	int ready;          /* the agent takes commands, as far as we know */
	uint32_t outcome;   /* NOVA_SAMPLE_*: of the whole life */
	int stop;           /* not NOVA_DONE: return it to the host at once */
};

struct stamps {
	int64_t from_ns, to_ns;
};

static int64_t deadline(const struct lifecycle *self, int64_t timeout_ns)
{
	return timeout_ns > 0 ? self->host->now_ns() + timeout_ns : 0;
}

static uint32_t sample_status(int status)
{
	return status == NOVA_DONE        ? NOVA_SAMPLE_OK
	       : status == NOVA_E_TIMEOUT ? NOVA_SAMPLE_TIMED_OUT
	                                  : NOVA_SAMPLE_FAILED;
}

/* The run is being stopped, or must not go on: no sample, nothing more. */
static int ends_the_run(int status)
{
	return status == NOVA_E_INTERRUPTED || status == NOVA_E_REFUSED;
}

/* The two stamps of the call that has just ended. */
static int stamps_of(struct life *life, struct stamps *stamps)
{
	const struct nova_lab *lab = life->self->lab;
	struct nova_result from = {.struct_size = sizeof(from)}, to = {.struct_size = sizeof(to)};
	int status;

	status = lab->result(life->self->run, life->vm, NOVA_FIELD_STARTED_NS, 0, &from);
	if (status == NOVA_DONE)
		status = lab->result(life->self->run, life->vm, NOVA_FIELD_RETURNED_NS, 0, &to);
	stamps->from_ns = from.i64;
	stamps->to_ns = to.i64;
	return status;
}

static int put_sample(struct life *life, const struct nova_sample *sample)
{
	int status = life->self->lab->sample(life->self->run, sample);

	if (status != NOVA_DONE)
		life->stop = status;
	return status;
}

static int put_duration(struct life *life, const struct nova_metric *metric, struct stamps stamps,
                        int64_t error_ns, uint32_t source)
{
	return put_sample(life, &(struct nova_sample){
	                                .struct_size = sizeof(struct nova_sample),
	                                .status = NOVA_SAMPLE_OK,
	                                .vm = life->vm,
	                                .metric = metric->name,
	                                .value = (double)(stamps.to_ns - stamps.from_ns) / 1e9,
	                                .t_ns = stamps.to_ns,
	                                .error_ns = error_ns,
	                                .source = source,
	                        });
}

/* A stage did not come to its end: a sample that says so, and the life is over. */
static int put_failure(struct life *life, const struct nova_metric *metric, int status)
{
	if (ends_the_run(status)) {
		life->stop = status;
		return status;
	}
	life->outcome = sample_status(status);
	put_sample(life, &(struct nova_sample){
	                         .struct_size = sizeof(struct nova_sample),
	                         .status = life->outcome,
	                         .vm = life->vm,
	                         .metric = metric->name,
	                 });
	return status;
}

/* The sample of a call that has ended with `status`; its stamps, if it was fine. */
static int after_call(struct life *life, const struct nova_metric *metric, int status,
                      struct stamps *stamps)
{
	if (status == NOVA_DONE)
		status = stamps_of(life, stamps);
	if (status != NOVA_DONE)
		return put_failure(life, metric, status);
	return put_duration(life, metric, *stamps, 0, NOVA_SOURCE_API);
}

static int wait_until(struct life *life, uint32_t kind, int64_t deadline_ns,
                      struct nova_event *event)
{
	memset(event, 0, sizeof(*event));
	event->struct_size = sizeof(*event);
	return life->self->lab->wait(life->self->run, life->vm, kind, deadline_ns, event);
}

/* From the call's begin to the event, which must come. */
static int after_event(struct life *life, const struct nova_metric *metric, uint32_t kind,
                       struct stamps call)
{
	int64_t deadline_ns = deadline(life->self, life->self->ready_timeout_ns);
	struct nova_event event;
	int status = wait_until(life, kind, deadline_ns, &event);

	if (status != NOVA_DONE)
		return put_failure(life, metric, status);
	call.to_ns = event.t_ns;
	return put_duration(life, metric, call, event.resolution_ns, event.source);
}

/* The same, if the event has come already. */
static int if_event(struct life *life, const struct nova_metric *metric, uint32_t kind,
                    struct stamps call)
{
	struct nova_event event;
	int status = wait_until(life, kind, LONG_AGO_NS, &event);

	if (status == NOVA_E_INTERRUPTED)
		life->stop = status;
	if (status != NOVA_DONE)
		return life->stop;
	call.to_ns = event.t_ns;
	return put_duration(life, metric, call, event.resolution_ns, event.source);
}

static void say(struct lifecycle *self, uint32_t severity, const char *text)
{
	self->host->log(self->run, severity, text);
}

/* --- the stages; each returns NOVA_DONE or why the life ends here --------------------------- */

static int be_created(struct life *life)
{
	struct lifecycle *self = life->self;
	struct stamps call;
	int status;

	status = self->lab->vm_create(self->run, 0, NULL, deadline(self, self->op_timeout_ns),
	                              &life->vm);
	status = after_call(life, &CREATE_API, status, &call);
	if (status == NOVA_DONE)
		life->created_ns = call.from_ns;
	return status;
}

/*
 * Which of the guest's early events a target has is known once it is ready: the events come in the
 * order of a life, so those that have not come by then do not come.
 */
static int become_ready(struct life *life, struct stamps call)
{
	struct lifecycle *self = life->self;
	struct nova_event event;
	int status;

	status = wait_until(life, NOVA_EVENT_READY, deadline(self, self->ready_timeout_ns), &event);
	if (!ends_the_run(status) &&
	    if_event(life, &START_FIRST, NOVA_EVENT_FIRST, call) == NOVA_DONE)
		if_event(life, &START_USERSPACE, NOVA_EVENT_USERSPACE, call);
	if (life->stop != NOVA_DONE)
		return life->stop;
	if (status != NOVA_DONE)
		return put_failure(life, &START_READY, status);
	life->ready = 1;
	call.to_ns = event.t_ns;
	return put_duration(life, &START_READY, call, event.resolution_ns, event.source);
}

static int start(struct life *life)
{
	struct lifecycle *self = life->self;
	struct stamps call = {0, 0};
	int status;

	status = self->lab->vm_power(self->run, life->vm, NOVA_POWER_START,
	                             deadline(self, self->op_timeout_ns));
	status = after_call(life, &START_API, status, &call);
	if (status != NOVA_DONE) {
		if (life->stop == NOVA_DONE) /* it was to run, and does not */
			put_failure(life, &START_RUNNING, status);
		return status;
	}
	status = after_event(life, &START_RUNNING, NOVA_EVENT_RUNNING, call);
	if (status == NOVA_DONE && self->ready)
		status = become_ready(life, call);
	else if (status == NOVA_DONE && self->first)
		status = after_event(life, &START_FIRST, NOVA_EVENT_FIRST, call);
	return status;
}

static int take_snapshot(struct life *life)
{
	struct lifecycle *self = life->self;
	struct stamps call;
	int status;

	if (!self->snapshot)
		return NOVA_DONE;
	status = self->lab->snapshot(self->run, life->vm, SNAPSHOT_NAME, NOVA_SNAPSHOT_CREATE,
	                             deadline(self, self->op_timeout_ns));
	return after_call(life, &SNAPSHOT_DONE, status, &call);
}

/*
 * The agent's connection breaks at a restore and comes back later (platform.md). Where it is never
 * seen to break, there is nothing to wait for, and no sample.
 */
static int come_back(struct life *life, struct stamps call)
{
	struct lifecycle *self = life->self;
	struct nova_event event;
	int status;

	status = wait_until(life, NOVA_EVENT_UNREADY, self->host->now_ns() + UNREADY_GRACE_NS,
	                    &event);
	if (ends_the_run(status))
		return life->stop = status;
	if (status == NOVA_E_TIMEOUT) {
		if (!atomic_flag_test_and_set(&self->said_stayed))
			say(self, NOVA_SAY_INFO,
			    "no lifecycle.restore.ready: the agent was not seen to go away at the "
			    "restore, so there is no coming back to measure");
		return NOVA_DONE;
	}
	life->ready = 0;
	status = after_event(life, &RESTORE_READY, NOVA_EVENT_READY, call);
	life->ready = status == NOVA_DONE;
	return status;
}

static int restore(struct life *life)
{
	struct lifecycle *self = life->self;
	struct stamps call;
	int status;

	if (!self->restore)
		return NOVA_DONE;
	status = self->lab->snapshot(self->run, life->vm, SNAPSHOT_NAME, NOVA_SNAPSHOT_RESTORE,
	                             deadline(self, self->op_timeout_ns));
	status = after_call(life, &RESTORE_DONE, status, &call);
	return status == NOVA_DONE && life->ready ? come_back(life, call) : status;
}

static int pull_the_plug(struct life *life)
{
	struct lifecycle *self = life->self;
	int status;

	if (self->graceful && !atomic_flag_test_and_set(&self->said_plug))
		say(self, NOVA_SAY_INFO,
		    "no lifecycle.stop.gone: only VMs whose agent is known to answer are shut down "
		    "gracefully; the plug is pulled");
	status = self->lab->vm_power(self->run, life->vm, NOVA_POWER_OFF,
	                             deadline(self, self->op_timeout_ns));
	if (ends_the_run(status))
		life->stop = status;
	if (status != NOVA_DONE)
		life->outcome = sample_status(status);
	return status;
}

static int stop(struct life *life)
{
	struct lifecycle *self = life->self;
	struct stamps call;
	int status;

	if (!self->graceful || !life->ready)
		return pull_the_plug(life);
	status = self->lab->vm_power(self->run, life->vm, NOVA_POWER_SHUTDOWN,
	                             deadline(self, self->op_timeout_ns));
	if (status == NOVA_DONE)
		status = stamps_of(life, &call);
	if (status != NOVA_DONE)
		return put_failure(life, &STOP_GONE, status);
	return after_event(life, &STOP_GONE, NOVA_EVENT_STOPPED, call);
}

static int be_deleted(struct life *life)
{
	struct lifecycle *self = life->self;
	struct stamps call;
	int status;

	status = self->lab->vm_delete(self->run, life->vm, deadline(self, self->op_timeout_ns));
	status = after_call(life, &DELETE_API, status, &call);
	if (status != NOVA_DONE)
		return status;
	call.from_ns = life->created_ns;
	return put_duration(life, &TOTAL, call, 0, NOVA_SOURCE_API);
}

/* One VM, on a thread of fan_out. Its failures are samples; only the end of the run is returned. */
static int one_life(void *context, uint32_t index, int64_t intended_ns)
{
	static int (*const stages[])(struct life *) = {be_created, start, take_snapshot,
	                                               restore,    stop,  be_deleted};
	struct life life = {.self = context, .outcome = NOVA_SAMPLE_OK};
	struct lifecycle *self = life.self;
	int status = NOVA_DONE;
	size_t i;

	(void)index;
	(void)intended_ns; /* a closed loop: a block starts as fast as it can */
	for (i = 0; i < sizeof(stages) / sizeof(stages[0]) && status == NOVA_DONE; i++)
		status = stages[i](&life);
	if (life.stop != NOVA_DONE)
		return life.stop;
	if (status != NOVA_DONE && life.vm != 0 && stages[i - 1] != be_deleted) {
		status = self->lab->vm_delete(self->run, life.vm,
		                              deadline(self, self->op_timeout_ns));
		if (ends_the_run(status))
			return status;
	}
	return self->lab->attempt(self->run, life.outcome);
}

/* --- the benchmark ------------------------------------------------------------------------ */

static int create(const struct nova_host *host, const struct nova_lab *lab, nova_run run,
                  void **self)
{
	struct lifecycle *lifecycle = calloc(1, sizeof(*lifecycle));
	int64_t value;

	if (!lifecycle)
		return host->error(run, NOVA_E_MEMORY, "out of memory");
	lifecycle->host = host;
	lifecycle->lab = lab;
	lifecycle->run = run;
	lifecycle->concurrency = 1;
	atomic_flag_clear(&lifecycle->said_plug);
	atomic_flag_clear(&lifecycle->said_stayed);
	host->param_i64(run, "concurrency", 0, &lifecycle->concurrency);
	host->param_i64(run, "op_timeout", 0, &lifecycle->op_timeout_ns);
	host->param_i64(run, "ready_timeout", 0, &lifecycle->ready_timeout_ns);
	lifecycle->ready = host->param_i64(run, "ready", 0, &value) != NOVA_DONE || value != 0;
	lifecycle->first = host->param_i64(run, "first", 0, &value) == NOVA_DONE && value != 0;
	lifecycle->snapshot =
	        host->param_i64(run, "snapshot", 0, &value) != NOVA_DONE || value != 0;
	lifecycle->restore = host->param_i64(run, "restore", 0, &value) != NOVA_DONE || value != 0;
	lifecycle->graceful =
	        host->param_i64(run, "graceful", 0, &value) != NOVA_DONE || value != 0;
	*self = lifecycle;
	return NOVA_DONE;
}

/* Switches a stage off that the target cannot do, and says why. */
static void ask(struct lifecycle *self, const char *capability, int *wanted, const char *lost)
{
	char why[256] = "", text[512];

	if (!*wanted || self->lab->can(self->run, 0, capability, why, sizeof(why)))
		return;
	*wanted = 0;
	snprintf(text, sizeof(text), "no %s: the target cannot %s%s%.250s", lost, capability,
	         why[0] ? ": " : "", why);
	say(self, NOVA_SAY_INFO, text);
}

static int setup(void *context, nova_run run)
{
	struct lifecycle *self = context;

	(void)run;
	ask(self, NOVA_CAN_READY, &self->ready,
	    "lifecycle.start.ready and lifecycle.restore.ready");
	ask(self, NOVA_CAN_SNAPSHOT, &self->snapshot,
	    "lifecycle.snapshot.done and lifecycle.restore.done");
	self->restore = self->restore && self->snapshot;
	ask(self, NOVA_CAN_SHUTDOWN, &self->graceful, "lifecycle.stop.gone");
	return NOVA_DONE;
}

static int replicate(void *context, nova_run run, uint32_t index, uint32_t side)
{
	struct lifecycle *self = context;

	(void)index;
	(void)side;
	return self->lab->fan_out(run, (uint32_t)self->concurrency, 0, 0, one_life, self);
}

static void destroy(void *self)
{
	free(self);
}

static uint32_t width(void *self)
{
	return (uint32_t)((struct lifecycle *)self)->concurrency;
}

static const char *const NEEDS[] = {NOVA_CAN_CREATE, NOVA_CAN_START, NULL};

static const struct nova_benchmark BENCHMARK = {
        .struct_size = sizeof(BENCHMARK),
        .targets_min = 1,
        .needs = NEEDS,
        .metrics = METRICS,
        .create = create,
        .setup = setup,
        .replicate = replicate,
        .destroy = destroy,
        .width = width,
};

static const struct nova_plugin LIFECYCLE = {
        .struct_size = sizeof(LIFECYCLE),
        .kind = NOVA_KIND_BENCHMARK,
        .thread_model = NOVA_THREADS_PARALLEL,
        .name = "lifecycle",
        .version = "1",
        .summary = "Create, start, ready, snapshot, restore, stop, delete: the life of fresh VMs",
        .license = "MIT",
        .parameters = PARAMETERS,
        .ops = &BENCHMARK,
};

NOVA_PLUGIN(NOVA_KIND_BENCHMARK, LIFECYCLE)
