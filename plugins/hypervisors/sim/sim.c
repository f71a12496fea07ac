/* SPDX-License-Identifier: MIT */
/*
 * A hypervisor that does not exist: VMs whose latencies, failures and hangs are drawn from known
 * distributions. What measures them must find again what was injected (measuring.md, "Proof that
 * the harness is right").
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const OPERATION_NAMES[OPERATIONS] = {
        "connect", "create", "start", "first", "userspace", "ready", "snapshot", "restore",
        "back",    "stop",   "off",   "pause", "delete",    "exec",  "migrate",
};

static const char *const CAPABILITIES[] = {
        NOVA_CAN_CREATE,  NOVA_CAN_CLONE,    NOVA_CAN_START, NOVA_CAN_SHUTDOWN, NOVA_CAN_PAUSE,
        NOVA_CAN_RESET,   NOVA_CAN_SNAPSHOT, NOVA_CAN_EXEC,  NOVA_CAN_READY,    NOVA_CAN_STATS,
        NOVA_CAN_ADDRESS, NOVA_CAN_MIGRATE,  NOVA_CAN_KNOBS, NOVA_CAN_TWIN,     NOVA_CAN_DIRECT,
        NOVA_CAN_DISK,    NOVA_CAN_TEMPLATE, NULL,
};

/* What a simulated VM cannot have at all. */
static const struct {
	const char *name, *why;
} NEVER[] = {
        {NOVA_CAN_BEAT, "a simulated VM has no serial port to beat on"},
        {NOVA_CAN_STUB, "a simulated VM runs no code"},
        {NOVA_CAN_IMAGE, "a simulated VM has no disk image"},
        {NOVA_CAN_NETWORK, "a simulated VM has no network"},
};

#define WITHOUT_WHY "switched off by hypervisor.sim.without"

/* --- parameters --------------------------------------------------------------------------- */

#define PARAMETER(variable, name_, type_, fallback_, doc_, ...)                                    \
	static const struct nova_parameter variable = {.struct_size = sizeof(variable),            \
	                                               .type = (type_),                            \
	                                               .name = (name_),                            \
	                                               .fallback = (fallback_),                    \
	                                               .doc = (doc_),                              \
	                                               ##__VA_ARGS__}
#define LATENCY(variable, name_, fallback_, doc_)                                                  \
	PARAMETER(variable, name_, NOVA_PARAM_TEXT, fallback_, "Latency " doc_)

static const char *const CLOCKS[] = {"virtual", "real", NULL};
static const char *const WAYS[] = {"async", "sync", NULL};

PARAMETER(P_URI, "uri", NOVA_PARAM_TEXT, "sim:local", "Which simulated host: sim:NAME");
PARAMETER(P_CLOCK, "clock", NOVA_PARAM_CHOICE, "real",
          "virtual: stamps are invented and nothing waits; real: latencies really pass",
          .choices = CLOCKS);
PARAMETER(P_OPS, "ops", NOVA_PARAM_CHOICE, "async",
          "With clock real, async: ops end in the pump; sync: ops block", .choices = WAYS);
PARAMETER(P_SEED, "seed", NOVA_PARAM_INTEGER, "1", "Of every random draw", .minimum = "0");
LATENCY(P_CONNECT, "connect", "constant:1ms", "of connecting");
LATENCY(P_CREATE, "create", "lognormal:20ms:0.2", "of creating a VM");
LATENCY(P_START, "start", "lognormal:30ms:0.2", "from the call to RUNNING and to its return");
LATENCY(P_FIRST, "first", "lognormal:5ms:0.2", "from RUNNING to FIRST, the guest's first byte");
LATENCY(P_USERSPACE, "userspace", "lognormal:60ms:0.2", "from FIRST to USERSPACE");
LATENCY(P_READY, "ready", "lognormal:80ms:0.2", "from USERSPACE to READY");
LATENCY(P_SNAPSHOT, "snapshot", "lognormal:40ms:0.2", "of taking or deleting a snapshot");
LATENCY(P_RESTORE, "restore", "lognormal:50ms:0.2", "of restoring a snapshot");
LATENCY(P_BACK, "back", "lognormal:30ms:0.2", "from the end of a restore to READY");
LATENCY(P_STOP, "stop", "lognormal:60ms:0.2", "from a graceful shutdown's call to STOPPED");
LATENCY(P_OFF, "off", "lognormal:5ms:0.2", "of pulling the plug");
LATENCY(P_PAUSE, "pause", "lognormal:2ms:0.2", "of pausing or resuming");
LATENCY(P_DELETE, "delete", "lognormal:10ms:0.2", "of deleting a VM");
LATENCY(P_EXEC, "exec", "lognormal:3ms:0.2", "of running a program, beside its own time");
LATENCY(P_MIGRATE, "migrate", "lognormal:200ms:0.2", "of a migration");
PARAMETER(P_RHO, "rho", NOVA_PARAM_NUMBER, "0",
          "Autocorrelation of an operation's latencies from one VM number to the next",
          .minimum = "-0.99", .maximum = "0.99");
PARAMETER(P_SPIKE_P, "spike_probability", NOVA_PARAM_NUMBER, "0", "How often a latency is a spike",
          .minimum = "0", .maximum = "1");
PARAMETER(P_SPIKE_F, "spike_factor", NOVA_PARAM_NUMBER, "10", "What a spike multiplies it by",
          .minimum = "0", .maximum = "1000");
PARAMETER(P_REG_F, "regression_factor", NOVA_PARAM_NUMBER, "1.1",
          "What latencies are multiplied by once a regression has begun", .minimum = "0",
          .maximum = "1000");
PARAMETER(P_REG_VM, "regression_vm", NOVA_PARAM_INTEGER, NULL,
          "Number of the VM from which on there is a regression", .minimum = "0");
PARAMETER(P_REG_AFTER, "regression_after", NOVA_PARAM_DURATION, NULL,
          "Age of the instance from which on there is a regression (clock virtual: 1min a VM)",
          .minimum = "0s");
PARAMETER(P_FAIL, "fail", NOVA_PARAM_TEXT, NULL,
          "OPERATION:PROBABILITY of failing, e.g. create:0.01; first, userspace, ready, back: of "
          "a crash",
          .flags = NOVA_PARAM_LIST);
PARAMETER(P_HANG, "hang", NOVA_PARAM_TEXT, NULL,
          "OPERATION:PROBABILITY of never ending, e.g. stop:0.01", .flags = NOVA_PARAM_LIST);
PARAMETER(P_WITHOUT, "without", NOVA_PARAM_CHOICE, NULL, "Capabilities that it shall not have",
          .flags = NOVA_PARAM_LIST, .choices = CAPABILITIES);
PARAMETER(P_CAPACITY, "capacity", NOVA_PARAM_INTEGER, "10000", "VMs that fit on it", .minimum = "1",
          .maximum = "1000000");
PARAMETER(P_CPU, "cpu", NOVA_PARAM_NUMBER, "0.1", "Cores that a VM keeps busy, per vCPU",
          .minimum = "0", .maximum = "1");
PARAMETER(P_MEMORY, "memory", NOVA_PARAM_NUMBER, "0.25", "Share of its memory that is resident",
          .minimum = "0", .maximum = "1");
PARAMETER(P_DISK, "disk", NOVA_PARAM_RATE, "1MiB/s", "What a VM writes; it reads twice as much");

static const struct nova_parameter *const PARAMETERS[] = {
        &P_URI,      &P_CLOCK,     &P_OPS,    &P_SEED,      &P_CONNECT, &P_CREATE, &P_START,
        &P_FIRST,    &P_USERSPACE, &P_READY,  &P_SNAPSHOT,  &P_RESTORE, &P_BACK,   &P_STOP,
        &P_OFF,      &P_PAUSE,     &P_DELETE, &P_EXEC,      &P_MIGRATE, &P_RHO,    &P_SPIKE_P,
        &P_SPIKE_F,  &P_REG_F,     &P_REG_VM, &P_REG_AFTER, &P_FAIL,    &P_HANG,   &P_WITHOUT,
        &P_CAPACITY, &P_CPU,       &P_MEMORY, &P_DISK,      NULL,
};

static int find_operation(const char *name, size_t length)
{
	for (int i = 0; i < OPERATIONS; i++)
		if (strlen(OPERATION_NAMES[i]) == length &&
		    memcmp(OPERATION_NAMES[i], name, length) == 0)
			return i;
	return -1;
}

/* A list of OPERATION:PROBABILITY. */
static int read_chances(struct sim *sim, const char *parameter, double chances[OPERATIONS])
{
	const struct nova_host *host = sim->host;
	const char *text, *colon;
	char *end;
	double chance;
	int operation;

	for (uint32_t i = 0; (text = host->param_text(sim->instance, parameter, i)); i++) {
		colon = strchr(text, ':');
		operation = colon ? find_operation(text, (size_t)(colon - text)) : -1;
		chance = operation >= 0 ? strtod(colon + 1, &end) : -1;
		if (operation < 0 || end == colon + 1 || *end || !(chance >= 0 && chance <= 1))
			return host->errorf(
			        sim->instance, NOVA_E_INVALID,
			        "hypervisor.sim.%s: \"%s\" is not OPERATION:PROBABILITY "
			        "(0 to 1) with an operation such as create, start, "
			        "ready, stop or delete",
			        parameter, text);
		chances[operation] = chance;
	}
	return NOVA_DONE;
}

static int read_laws(struct sim *sim)
{
	const struct nova_host *host = sim->host;
	const char *text;
	char why[320];

	for (int i = 0; i < OPERATIONS; i++) {
		text = host->param_text(sim->instance, OPERATION_NAMES[i], 0);
		if (!text || law_parse(text, &sim->model.laws[i], why, sizeof(why)) != NOVA_DONE)
			return host->errorf(sim->instance, NOVA_E_INVALID, "hypervisor.sim.%s: %s",
			                    OPERATION_NAMES[i], text ? why : "unset");
	}
	return NOVA_DONE;
}

static void read_numbers(struct sim *sim)
{
	const struct nova_host *host = sim->host;
	struct model *model = &sim->model;
	uint64_t id = sim->instance;
	int64_t seed = 1;

	host->param_i64(id, "seed", 0, &seed);
	model->seed = (uint64_t)seed;
	model->spike_factor = model->regression_factor = 1;
	model->regression_vm = model->regression_after_ns = -1;
	sim->capacity = 10000;
	host->param_f64(id, "rho", 0, &model->rho);
	host->param_f64(id, "spike_probability", 0, &model->spike_probability);
	host->param_f64(id, "spike_factor", 0, &model->spike_factor);
	host->param_f64(id, "regression_factor", 0, &model->regression_factor);
	host->param_i64(id, "regression_vm", 0, &model->regression_vm);
	host->param_i64(id, "regression_after", 0, &model->regression_after_ns);
	host->param_i64(id, "capacity", 0, &sim->capacity);
	host->param_f64(id, "cpu", 0, &model->cpu);
	host->param_f64(id, "memory", 0, &model->memory);
	host->param_f64(id, "disk", 0, &model->disk);
}

static void read_without(struct sim *sim)
{
	const char *text;

	for (uint32_t i = 0; (text = sim->host->param_text(sim->instance, "without", i)); i++)
		for (uint32_t j = 0; CAPABILITIES[j]; j++)
			if (strcmp(text, CAPABILITIES[j]) == 0)
				sim->without |= 1ull << j;
}

int sim_can(const struct sim *sim, nova_op op, const char *capability)
{
	for (uint32_t i = 0; CAPABILITIES[i]; i++)
		if (strcmp(capability, CAPABILITIES[i]) == 0 && (sim->without & 1ull << i))
			return op ? sim->host->errorf(op, NOVA_E_UNSUPPORTED, "%s: " WITHOUT_WHY,
			                              capability)
			          : NOVA_E_UNSUPPORTED;
	return NOVA_DONE;
}

/* --- life --------------------------------------------------------------------------------- */

static int sim_create(const struct nova_host *host, nova_op instance, void **self)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	pthread_condattr_t attributes;
	const char *text;
	int status;

	if (!sim)
		return host->error(instance, NOVA_E_MEMORY, "out of memory");
	sim->host = host;
	sim->instance = instance;
	text = host->param_text(instance, "clock", 0);
	sim->is_virtual = text && strcmp(text, "virtual") == 0;
	text = host->param_text(instance, "ops", 0);
	sim->is_sync = text && strcmp(text, "sync") == 0;
	sim->born_ns = sim->is_virtual ? 0 : host->now_ns();
	read_numbers(sim);
	read_without(sim);
	status = read_laws(sim);
	if (status == NOVA_DONE)
		status = read_chances(sim, "fail", sim->model.fail);
	if (status == NOVA_DONE)
		status = read_chances(sim, "hang", sim->model.hang);
	if (status != NOVA_DONE)
		goto error;
	pthread_mutex_init(&sim->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&sim->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	sim_register(sim);
	*self = sim;
	return NOVA_DONE;
error:
	free(sim);
	return status;
}

static void sim_destroy(void *self)
{
	struct sim *sim = self;
	struct vm *vm;

	sim_unregister(sim);
	for (size_t i = 0; i < sim->heap_count; i++)
		task_free(sim->heap[i]);
	free(sim->heap);
	for (uint32_t i = 0; i < BUCKETS; i++)
		while ((vm = sim->buckets[i])) {
			sim->buckets[i] = vm->next;
			vm_free(vm);
		}
	pthread_cond_destroy(&sim->changed);
	pthread_mutex_destroy(&sim->lock);
	free(sim);
}

static int sim_connect(void *self, nova_op op)
{
	struct sim *sim = self;
	const struct nova_host *host = sim->host;
	const char *uri = host->param_text(sim->instance, "uri", 0);
	struct task *task;

	op_begins(sim);
	if (!uri || strncmp(uri, "sim:", 4) != 0)
		return host->errorf(op, NOVA_E_INVALID,
		                    "cannot connect to \"%s\": a simulated host is sim:NAME",
		                    uri ? uri : "");
	task = task_new(op, CONNECT, NULL);
	if (!task)
		return host->error(op, NOVA_E_MEMORY, "out of memory");
	pthread_mutex_lock(&sim->lock);
	return task_run(sim, task, NULL);
}

static int sim_describe(void *self, nova_op op)
{
	struct sim *sim = self;
	const struct nova_host *host = sim->host;

	host->put_fact(op, NOVA_FIELD_FACT, "product", "sim");
	host->put_fact(op, NOVA_FIELD_FACT, "version", "1");
	host->put_fact(op, NOVA_FIELD_FACT, "accel", "simulated");
	host->put_fact(op, NOVA_FIELD_FACT, "accel.why", "nothing runs: latencies are drawn");
	host->put_fact(op, NOVA_FIELD_FACT, "simulated", "true");
	host->put_fact(op, NOVA_FIELD_FACT, "clock", sim->is_virtual ? "virtual" : "real");
	for (uint32_t i = 0; CAPABILITIES[i]; i++)
		host->put_fact(op, NOVA_FIELD_CAPABILITY, CAPABILITIES[i],
		               sim->without & 1ull << i ? WITHOUT_WHY : NULL);
	for (uint32_t i = 0; i < sizeof(NEVER) / sizeof(NEVER[0]); i++)
		host->put_fact(op, NOVA_FIELD_CAPABILITY, NEVER[i].name, NEVER[i].why);
	return NOVA_DONE;
}

static const struct nova_hypervisor OPS = {
        .struct_size = sizeof(OPS),
        .create = sim_create,
        .destroy = sim_destroy,
        .pump = sim_pump,
        .wake = sim_wake,
        .cancel = sim_cancel,
        .connect = sim_connect,
        .describe = sim_describe,
        .vm_create = sim_vm_create,
        .vm_clone = sim_vm_clone,
        .vm_power = sim_vm_power,
        .vm_delete = sim_vm_delete,
        .vm_list = sim_vm_list,
        .vm_query = sim_vm_query,
        .snapshot = sim_snapshot,
        .exec = sim_exec,
        .exec_kill = sim_exec_kill,
        .migrate_prepare = sim_migrate_prepare,
        .migrate = sim_migrate,
        .migrate_finish = sim_migrate_finish,
        .knob_list = sim_knob_list,
        .knob_get = sim_knob_get,
        .knob_set = sim_knob_set,
        .twin = sim_twin,
};

static const struct nova_plugin SIM = {
        .struct_size = sizeof(SIM),
        .kind = NOVA_KIND_HYPERVISOR,
        .thread_model = NOVA_THREADS_PARALLEL,
        .name = "sim",
        .version = "1",
        .summary = "Simulated VMs with known latencies, failures and hangs",
        .license = "MIT",
        .parameters = PARAMETERS,
        .ops = &OPS,
};

NOVA_PLUGIN(NOVA_KIND_HYPERVISOR, SIM)
