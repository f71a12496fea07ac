/* SPDX-License-Identifier: MIT */
/* See fleet.h. Every duration is the distance of two stamps of the host's or the driver's. */
#include "fleet.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define STUB_BYTES (UINT64_C(16) << 20)
/* The appliance boots with it and not with 64 MiB (kernel 6.1, measured): the least there is, since
 * a hundred are to fit, and a guest that has booted has touched all it has. */
#define APPLIANCE_BYTES (UINT64_C(80) << 20)
#define LONG_AGO_NS     1 /* a deadline that has passed: `wait` then only looks at what has come */

/* --- parameters --------------------------------------------------------------------------- */

static const char *const GUESTS[] = {"appliance", "image", "stub", NULL};
static const char *const POINTS[] = {"auto", "running", "first", "ready", NULL};

#define PARAMETER(variable, name_, type_, doc_, ...)                                               \
	const struct nova_parameter variable = {.struct_size = sizeof(variable),                   \
	                                        .type = (type_),                                   \
	                                        .name = (name_),                                   \
	                                        .doc = (doc_),                                     \
	                                        ##__VA_ARGS__}

PARAMETER(fleet_guest_parameter, "guest", NOVA_PARAM_CHOICE,
          "What VMs boot: the appliance, an image of your own (the parameter image, else what "
          "guest.image and run.shape say), or a boot sector of 512 bytes, which tests only the "
          "control plane",
          .fallback = "appliance", .choices = GUESTS);
PARAMETER(fleet_image, "image", NOVA_PARAM_TEXT,
          "With guest=image: a disk image that boots by its own loader, a path or the target's own "
          "name of it");
PARAMETER(fleet_memory, "memory", NOVA_PARAM_SIZE,
          "Memory of each VM; default: 16MiB for the stub, 80MiB for the appliance, else that of "
          "run.shape",
          .minimum = "1MiB", .maximum = "64TiB");
PARAMETER(fleet_vcpus, "vcpus", NOVA_PARAM_INTEGER,
          "Virtual CPUs of each VM; default: 1, for an image those of run.shape", .minimum = "1",
          .maximum = "1024");
PARAMETER(fleet_until, "until", NOVA_PARAM_CHOICE,
          "When a VM counts as there: running, its first byte, or its agent ready; auto: the last "
          "of these that target and guest can tell",
          .fallback = "auto", .choices = POINTS);
PARAMETER(fleet_op_timeout, "op_timeout", NOVA_PARAM_DURATION,
          "Deadline of each call; default: run.op_timeout", .minimum = "1ms");
PARAMETER(fleet_ready_timeout, "ready_timeout", NOVA_PARAM_DURATION,
          "Deadline of each event; default: run.ready_timeout", .minimum = "1ms");

static int choice(const struct fleet *fleet, const char *name, const char *const *choices)
{
	const char *text = fleet->host->param_text(fleet->run, name, 0);
	int i = 0;

	while (text && choices[i] && strcmp(choices[i], text) != 0)
		i++;
	return text && choices[i] ? i : 0;
}

int fleet_init(struct fleet *fleet, const struct nova_host *host, const struct nova_lab *lab,
               nova_run run)
{
	struct nova_shape *shape = &fleet->shape;
	int64_t value;

	fleet->host = host;
	fleet->lab = lab;
	fleet->run = run;
	fleet->guest = (enum fleet_guest)choice(fleet, "guest", GUESTS);
	shape->struct_size = sizeof(*shape);
	if (fleet->guest == FLEET_STUB) {
		shape->boot = NOVA_BOOT_STUB;
		shape->vcpus = 1;
		shape->memory_bytes = STUB_BYTES;
	} else if (fleet->guest == FLEET_APPLIANCE) {
		shape->vcpus = 1;
		shape->memory_bytes = APPLIANCE_BYTES;
	} else {
		shape->image = host->param_text(run, "image", 0);
		shape->boot = shape->image ? NOVA_BOOT_DISK : 0;
	}
	if (host->param_i64(run, "memory", 0, &value) == NOVA_DONE)
		shape->memory_bytes = (uint64_t)value;
	if (host->param_i64(run, "vcpus", 0, &value) == NOVA_DONE)
		shape->vcpus = (uint32_t)value;
	host->param_i64(run, "op_timeout", 0, &fleet->op_timeout_ns);
	host->param_i64(run, "ready_timeout", 0, &fleet->ready_timeout_ns);
	return NOVA_DONE;
}

uint32_t fleet_default_concurrency(void)
{
	cpu_set_t set;
	uint32_t cpus =
	        sched_getaffinity(0, sizeof(set), &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;

	return cpus > 2 ? 2 * cpus : 4;
}

/* --- small parts --------------------------------------------------------------------------- */

int fleet_ends_run(int status)
{
	return status == NOVA_E_INTERRUPTED || status == NOVA_E_REFUSED;
}

static uint32_t outcome_of(int status)
{
	return status == NOVA_DONE        ? NOVA_SAMPLE_OK
	       : status == NOVA_E_TIMEOUT ? NOVA_SAMPLE_TIMED_OUT
	                                  : NOVA_SAMPLE_FAILED;
}

static int64_t deadline(const struct fleet *fleet, int64_t timeout_ns)
{
	return timeout_ns > 0 ? fleet->host->now_ns() + timeout_ns : 0;
}

int fleet_put(struct fleet *fleet, const char *metric, uint32_t seq, double value, int64_t t_ns)
{
	return fleet->lab->sample(fleet->run,
	                          &(struct nova_sample){.struct_size = sizeof(struct nova_sample),
	                                                .status = NOVA_SAMPLE_OK,
	                                                .seq = seq,
	                                                .metric = metric,
	                                                .value = value,
	                                                .t_ns = t_ns});
}

static int nothing(void *context, uint32_t i, int64_t intended_ns)
{
	(void)context;
	(void)i;
	(void)intended_ns;
	return NOVA_DONE;
}

/* The second start of an open loop with one start in each `duration_ns`. */
int fleet_pause(struct fleet *fleet, int64_t duration_ns)
{
	if (duration_ns <= 0)
		return NOVA_DONE;
	return fleet->lab->fan_out(fleet->run, 2, 1, 1e9 / (double)duration_ns, nothing, NULL);
}

/* Both stamps of the call that has just ended. */
static int stamps_of(struct fleet *fleet, nova_vm vm, int64_t *from_ns, int64_t *to_ns)
{
	struct nova_result from = {.struct_size = sizeof(from)}, to = {.struct_size = sizeof(to)};
	int status = fleet->lab->result(fleet->run, vm, NOVA_FIELD_STARTED_NS, 0, &from);

	if (status == NOVA_DONE)
		status = fleet->lab->result(fleet->run, vm, NOVA_FIELD_RETURNED_NS, 0, &to);
	*from_ns = from.i64;
	*to_ns = to.i64;
	return status;
}

/* --- one VM ------------------------------------------------------------------------------- */

/* What is being done with one VM, on one thread. */
struct making {
	struct fleet *fleet;
	const struct fleet_metrics *metrics;
	struct fleet_vm *vm;
	int64_t intended_ns;
	const char *stage; /* for the evidence of a failure */
	int stop;          /* not NOVA_DONE: why the run must end */
};

static void put(struct making *making, const char *metric, struct nova_sample sample)
{
	int status;

	if (!metric || making->stop != NOVA_DONE)
		return;
	sample.struct_size = sizeof(sample);
	sample.vm = making->vm->vm;
	sample.metric = metric;
	sample.intended_ns = making->intended_ns;
	status = making->fleet->lab->sample(making->fleet->run, &sample);
	if (fleet_ends_run(status))
		making->stop = status;
}

/* The event's distance from the intended start. */
static void put_event(struct making *making, const char *metric, const struct nova_event *event)
{
	put(making, metric,
	    (struct nova_sample){.status = NOVA_SAMPLE_OK,
	                         .value = (double)(event->t_ns - making->vm->from_ns) / 1e9,
	                         .t_ns = event->t_ns,
	                         .error_ns = event->resolution_ns,
	                         .source = event->source});
}

/* A call has ended: its latency, and where the VM's time begins. */
static int after_call(struct making *making, int which, int status)
{
	struct fleet *fleet = making->fleet;
	struct fleet_vm *vm = making->vm;
	int64_t from_ns = 0, to_ns = 0;

	if (fleet_ends_run(status))
		return making->stop = status;
	if (status == NOVA_DONE)
		status = stamps_of(fleet, vm->vm, &from_ns, &to_ns);
	vm->api_s[which] = status == NOVA_DONE ? (double)(to_ns - from_ns) / 1e9 : INFINITY;
	put(making, making->metrics->api,
	    (struct nova_sample){.status = outcome_of(status),
	                         .seq = (uint32_t)which,
	                         .value = status == NOVA_DONE ? vm->api_s[which] : 0,
	                         .t_ns = to_ns,
	                         .source = status == NOVA_DONE ? NOVA_SOURCE_API : 0,
	                         .why = status == NOVA_DONE ? NULL : making->stage});
	if (status == NOVA_DONE && which == 0 && (fleet->other_clock || !making->intended_ns))
		vm->from_ns = from_ns;
	return making->stop ? making->stop : status;
}

static int create(struct making *making)
{
	struct fleet *fleet = making->fleet;

	making->stage = "the call that creates it";
	return after_call(making, 0,
	                  fleet->lab->vm_create(fleet->run, making->vm->target, &fleet->shape,
	                                        deadline(fleet, fleet->op_timeout_ns),
	                                        &making->vm->vm));
}

static int start(struct making *making)
{
	struct fleet *fleet = making->fleet;

	making->stage = "the call that starts it";
	return after_call(making, 1,
	                  fleet->lab->vm_power(fleet->run, making->vm->vm, NOVA_POWER_START,
	                                       deadline(fleet, fleet->op_timeout_ns)));
}

static int wait_for(struct making *making, uint32_t kind, int64_t until_ns,
                    struct nova_event *event)
{
	struct fleet *fleet = making->fleet;
	int status;

	*event = (struct nova_event){.struct_size = sizeof(*event)};
	status = fleet->lab->wait(fleet->run, making->vm->vm, kind, until_ns, event);
	if (fleet_ends_run(status))
		making->stop = status;
	return status;
}

static int64_t patience(const struct making *making)
{
	return making->vm->ends_by_ns ? making->vm->ends_by_ns
	                              : deadline(making->fleet, making->fleet->ready_timeout_ns);
}

static int follow(struct making *making)
{
	const struct fleet_metrics *metrics = making->metrics;
	uint32_t until = making->fleet->until;
	struct nova_event running, first, last;
	int status;

	making->stage = "the event that it runs";
	status = wait_for(making, NOVA_EVENT_RUNNING, patience(making), &running);
	if (status != NOVA_DONE)
		return status;
	put_event(making, metrics->running, &running);
	last = running;
	if (until == NOVA_EVENT_READY) {
		making->stage = "the event that its agent is ready";
		status = wait_for(making, until, patience(making), &last);
	} else if (until == NOVA_EVENT_FIRST) {
		making->stage = "its first byte";
		status = wait_for(making, until, patience(making), &last);
	}
	/* A target that tells the first byte has told it before the agent is ready. */
	if (status == NOVA_DONE && until >= NOVA_EVENT_FIRST && metrics->first &&
	    wait_for(making, NOVA_EVENT_FIRST, LONG_AGO_NS, &first) == NOVA_DONE)
		put_event(making, metrics->first, &first);
	if (status != NOVA_DONE)
		return status;
	if (until == NOVA_EVENT_READY)
		put_event(making, metrics->ready, &last);
	put_event(making, metrics->up, &last);
	making->vm->up_ns = last.t_ns;
	return making->stop;
}

/* What it has not come to is a sample that says so, in each metric. */
static void put_missing(struct making *making, int status, int ran)
{
	const struct fleet_metrics *metrics = making->metrics;
	uint32_t until = making->fleet->until;
	const char *const missing[] = {
	        ran ? NULL : metrics->running, until == NOVA_EVENT_FIRST ? metrics->first : NULL,
	        until == NOVA_EVENT_READY ? metrics->ready : NULL, metrics->up};

	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++)
		put(making, missing[i],
		    (struct nova_sample){.status = outcome_of(status), .why = making->stage});
}

int fleet_order(struct fleet *fleet, const struct fleet_metrics *metrics, int64_t intended_ns,
                struct fleet_vm *vm)
{
	struct making making = {
	        .fleet = fleet, .metrics = metrics, .vm = vm, .intended_ns = intended_ns};
	int status, ran;

	vm->vm = 0;
	vm->up_ns = 0;
	vm->from_ns = intended_ns ? intended_ns : fleet->host->now_ns();
	vm->api_s[0] = vm->api_s[1] = -1;
	if (fleet->other_clock)
		making.intended_ns = 0;
	status = create(&making);
	if (status == NOVA_DONE)
		status = start(&making);
	ran = status == NOVA_DONE;
	if (status == NOVA_DONE)
		status = follow(&making);
	ran = ran && strcmp(making.stage, "the event that it runs") != 0;
	if (making.stop != NOVA_DONE)
		return making.stop;
	if (status != NOVA_DONE)
		put_missing(&making, status, ran);
	vm->lacks = status == NOVA_DONE ? NULL : making.stage;
	vm->outcome = outcome_of(status);
	return making.stop;
}

int fleet_delete(struct fleet *fleet, const char *metric, struct fleet_vm *vm)
{
	static const struct fleet_metrics none;
	struct making making = {.fleet = fleet, .metrics = &none, .vm = vm};
	int64_t from_ns = 0, to_ns = 0;
	int status;

	if (!vm->vm)
		return NOVA_DONE;
	status = fleet->lab->vm_delete(fleet->run, vm->vm, deadline(fleet, fleet->op_timeout_ns));
	if (fleet_ends_run(status))
		return status;
	if (status == NOVA_DONE)
		status = stamps_of(fleet, vm->vm, &from_ns, &to_ns);
	put(&making, metric,
	    (struct nova_sample){.status = outcome_of(status),
	                         .value = (double)(to_ns - from_ns) / 1e9,
	                         .t_ns = to_ns,
	                         .source = status == NOVA_DONE ? NOVA_SOURCE_API : 0,
	                         .why = status == NOVA_DONE ? NULL : "the call that deletes it"});
	vm->vm = 0;
	return making.stop;
}

/* --- before the first --------------------------------------------------------------------- */

/*
 * The stub: one byte to the second serial port (COM2, 0x2f8), which the host stamps, and then
 * nothing more, for good. A guest that went on writing would take a CPU from the others.
 *
 *	mov dx, 0x2f8; mov al, '.'; out dx, al; cli; again: hlt; jmp again
 */
static int write_sector(struct fleet *fleet)
{
	static const unsigned char code[] = {0xba, 0xf8, 0x02, 0xb0, '.',
	                                     0xee, 0xfa, 0xf4, 0xeb, 0xfd};
	unsigned char sector[512] = {0};
	const char *folder = fleet->host->directory(fleet->run, NOVA_DIRECTORY_RUN);
	FILE *file;
	int written;

	memcpy(sector, code, sizeof(code));
	sector[510] = 0x55; /* the BIOS boots no sector without it */
	sector[511] = 0xaa;
	if (!folder || snprintf(fleet->sector, sizeof(fleet->sector), "%s/stub.img", folder) >=
	                       (int)sizeof(fleet->sector))
		return fleet->host->error(fleet->run, NOVA_E_INTERNAL,
		                          "there is no directory for the boot sector");
	file = fopen(fleet->sector, "we");
	written = file && fwrite(sector, sizeof(sector), 1, file) == 1;
	if ((file && fclose(file) != 0) || !written || chmod(fleet->sector, 0644) != 0)
		return fleet->host->errorf(fleet->run, NOVA_E_IO,
		                           "cannot write the boot sector %s; is the disk full?",
		                           fleet->sector);
	fleet->shape.image = fleet->sector;
	return NOVA_DONE;
}

/* All targets can, or the first reason why one cannot is recorded. */
static int need(struct fleet *fleet, const char *capability, const char *what)
{
	char why[256] = "";

	for (uint32_t t = 0; t < fleet->lab->targets; t++)
		if (!fleet->lab->can(fleet->run, t, capability, why, sizeof(why)))
			return fleet->host->errorf(fleet->run, NOVA_E_UNSUPPORTED,
			                           "%s needs a target that can %s, and this one "
			                           "cannot: %s",
			                           what, capability, why);
	return NOVA_DONE;
}

static int all_can(struct fleet *fleet, const char *capability)
{
	int can = 1;

	for (uint32_t t = 0; t < fleet->lab->targets; t++)
		can = fleet->lab->can(fleet->run, t, capability, NULL, 0) && can;
	return can;
}

static int choose_end(struct fleet *fleet)
{
	switch (choice(fleet, "until", POINTS)) {
	case 1: fleet->until = NOVA_EVENT_RUNNING; return NOVA_DONE;
	case 2: fleet->until = NOVA_EVENT_FIRST; return need(fleet, NOVA_CAN_BEAT, "until=first");
	case 3:
		fleet->until = NOVA_EVENT_READY;
		return fleet->guest == FLEET_STUB
		               ? fleet->host->error(fleet->run, NOVA_E_INVALID,
		                                    "a boot sector has no agent that could be "
		                                    "ready; until=first is the last it can tell")
		               : need(fleet, NOVA_CAN_READY, "until=ready");
	default: break;
	}
	if (fleet->guest != FLEET_STUB && all_can(fleet, NOVA_CAN_READY))
		fleet->until = NOVA_EVENT_READY;
	else
		fleet->until =
		        all_can(fleet, NOVA_CAN_BEAT) ? NOVA_EVENT_FIRST : NOVA_EVENT_RUNNING;
	return NOVA_DONE;
}

/* Whether the VM is a process here, and stamps are of this host's clock. */
static int look_at(struct fleet *fleet, struct fleet_vm *vm, int64_t before_ns)
{
	struct nova_result pid = {.struct_size = sizeof(pid)};
	int status = fleet->lab->vm_query(fleet->run, vm->vm, NOVA_QUERY_STATE, 0);

	if (fleet_ends_run(status))
		return status;
	if (status == NOVA_DONE &&
	    fleet->lab->result(fleet->run, vm->vm, NOVA_FIELD_PID, 0, &pid) == NOVA_DONE)
		fleet->local++;
	if (vm->from_ns < before_ns || vm->up_ns > fleet->host->now_ns())
		fleet->other_clock = 1;
	return NOVA_DONE;
}

static int try_target(struct fleet *fleet, struct fleet_vm *vm)
{
	static const struct fleet_metrics none;
	int64_t before_ns = fleet->host->now_ns();
	int status = fleet_order(fleet, &none, 0, vm);

	if (status != NOVA_DONE)
		return status;
	if (vm->outcome != NOVA_SAMPLE_OK)
		return fleet->host->errorf(
		        fleet->run, NOVA_E_FAILED,
		        "the one VM that is tried before all others did not come up on target %u "
		        "(%s: %s); has it memory enough (the parameter memory; %llu MiB here)? "
		        "novacore run --benchmark lifecycle tries its parts",
		        vm->target + 1, vm->lacks,
		        vm->outcome == NOVA_SAMPLE_TIMED_OUT ? "timed out" : "failed",
		        (unsigned long long)(fleet->shape.memory_bytes >> 20));
	return look_at(fleet, vm, before_ns);
}

int fleet_try(struct fleet *fleet, uint32_t count, uint32_t most)
{
	uint32_t targets = fleet->lab->targets, tried = 0;
	struct fleet_vm *vms = calloc(targets ? targets : 1, sizeof(*vms));
	int status = NOVA_DONE;

	fleet->local = 0;
	if (!vms)
		return fleet->host->error(fleet->run, NOVA_E_MEMORY, "out of memory");
	if (fleet->guest == FLEET_STUB)
		status = need(fleet, NOVA_CAN_STUB, "guest=stub");
	else if (fleet->shape.boot == NOVA_BOOT_DISK)
		status = need(fleet, NOVA_CAN_DISK, "an image of your own");
	if (status == NOVA_DONE)
		status = choose_end(fleet);
	if (status == NOVA_DONE && fleet->guest == FLEET_STUB)
		status = write_sector(fleet);
	for (; tried < targets && status == NOVA_DONE; tried++) {
		vms[tried].target = tried;
		status = try_target(fleet, &vms[tried]);
	}
	/* Targets on this host share its room. */
	if (fleet->local * (uint64_t)most < count)
		count = fleet->local * most;
	for (uint32_t t = 0; t < targets && status == NOVA_DONE; t++)
		status = fleet->lab->room(fleet->run, vms[t].vm, count ? count : most);
	for (uint32_t t = 0; t < tried && !fleet_ends_run(status); t++) {
		int deleted = fleet_delete(fleet, NULL, &vms[t]);

		status = status == NOVA_DONE ? deleted : status;
	}
	free(vms);
	return status;
}
