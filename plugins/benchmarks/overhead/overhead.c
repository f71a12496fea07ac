/* SPDX-License-Identifier: MIT */
/*
 * What a VM costs its host beside what it gives to its guest. VMs are added one by one; with each
 * number of them everything is measured while all are idle, then while all compute. What one more
 * VM adds is the slope of the sums over that number: what VMs share is counted once, and so not per
 * VM.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <novacore/sdk.h>

#include "process.h"
#include "slope.h"

#define SECOND_NS INT64_C(1000000000)
#define SETTLE_NS (2 * SECOND_NS) /* until the loads that were ordered run */
#define SLACK_NS  (60 * SECOND_NS)

/* --- metrics ------------------------------------------------------------------------------ */

enum { RESIDENT, PROPORTIONAL, BEYOND, DISK, CPU_IDLE, CPU_LOADED, METRIC_COUNT };

#define METRIC(variable, unit_, name_, doc_)                                                       \
	static const struct nova_metric variable = {.struct_size = sizeof(variable),               \
	                                            .unit = NOVA_UNIT_##unit_,                     \
	                                            .better = NOVA_BETTER_LOWER,                   \
	                                            .revision = 1,                                 \
	                                            .name = (name_),                               \
	                                            .doc = (doc_)}
METRIC(M_RESIDENT, BYTE, "overhead.memory.resident",
       "Memory of the hypervisor's processes that is resident, the guest's included, for each VM");
METRIC(M_PROPORTIONAL, BYTE, "overhead.memory.proportional",
       "The same with shared pages divided by those who share them");
METRIC(M_BEYOND, BYTE, "overhead.memory.beyond",
       "The proportional memory of all mappings but the guest's own memory, for each VM");
METRIC(M_DISK, BYTE, "overhead.disk",
       "Space that the disks which are a VM's own take, after it has become ready, for each VM");
METRIC(M_CPU_IDLE, ONE, "overhead.cpu.idle",
       "CPUs that the hypervisor's process keeps busy while its guest is idle, for each VM");
METRIC(M_CPU_LOADED, ONE, "overhead.cpu.loaded",
       "CPUs that its threads beside the virtual CPUs keep busy while the guest computes, for each "
       "VM");

static const struct nova_metric *const METRICS[] = {
        &M_RESIDENT, &M_PROPORTIONAL, &M_BEYOND, &M_DISK, &M_CPU_IDLE, &M_CPU_LOADED, NULL};

/* Of these VMs share a part, which one VM has, too: it is not what one more adds. Of the others
 * there is nothing without a VM, and that is known without measuring. */
static const int IS_SHARED[METRIC_COUNT] = {[PROPORTIONAL] = 1, [BEYOND] = 1};

/* --- parameters --------------------------------------------------------------------------- */

#define PARAMETER(variable, name_, type_, fallback_, doc_, ...)                                    \
	static const struct nova_parameter variable = {.struct_size = sizeof(variable),            \
	                                               .type = (type_),                            \
	                                               .name = (name_),                            \
	                                               .fallback = (fallback_),                    \
	                                               .doc = (doc_),                              \
	                                               __VA_ARGS__}

static const char *const LOADS[] = {"cpu", "none", NULL};

PARAMETER(P_VMS, "vms", NOVA_PARAM_INTEGER, "4", "Measured with 1, 2, … this many VMs at once",
          .flags = NOVA_PARAM_VMS, .minimum = "2", .maximum = "256");
PARAMETER(P_WINDOW, "window", NOVA_PARAM_DURATION, "2s",
          "How long CPU use is counted, idle and loaded, with each number of VMs",
          .minimum = "100ms", .maximum = "10min");
PARAMETER(P_SETTLE, "settle", NOVA_PARAM_DURATION, "2s",
          "What passes between a VM being ready and the idle window", .minimum = "0s",
          .maximum = "10min");
PARAMETER(P_LOAD, "load", NOVA_PARAM_CHOICE, "cpu",
          "cpu: every virtual CPU counts in a loop; none: no overhead.cpu.loaded",
          .choices = LOADS);

static const struct nova_parameter *const PARAMETERS[] = {&P_VMS, &P_WINDOW, &P_SETTLE, &P_LOAD,
                                                          NULL};

/* --- one VM ------------------------------------------------------------------------------- */

struct vm {
	nova_vm number;
	int64_t pid; /* 0: none on this host */
};

struct overhead {
	const struct nova_host *host;
	const struct nova_lab *lab;
	nova_run run;
	int64_t vms, window_ns, settle_ns;
	int load, said;
	struct vm vm[OVERHEAD_VMS_MOST];
	uint32_t count; /* that run now */
	/* Sums over the VMs, with 1, 2, … of them; NAN: not known. */
	double sums[METRIC_COUNT][OVERHEAD_VMS_MOST];
	double loaded; /* of the window that is being measured */
	char why[256]; /* of the failure */
};

/* The run is being stopped, or must not go on: no sample, nothing more. */
static int ends_the_run(int status)
{
	return status == NOVA_E_INTERRUPTED || status == NOVA_E_REFUSED;
}

/* An event that does not come, unless the VM stops: a sleep that an interruption ends. */
static int pass(struct overhead *self, const struct vm *vm, int64_t duration_ns)
{
	int status = duration_ns <= 0 ? NOVA_E_TIMEOUT
	                              : self->lab->wait(self->run, vm->number, NOVA_EVENT_STOPPED,
	                                                self->host->now_ns() + duration_ns, NULL);

	if (status == NOVA_E_TIMEOUT)
		return NOVA_DONE;
	if (!ends_the_run(status))
		snprintf(self->why, sizeof(self->why), "a VM stopped while it was measured");
	return status == NOVA_DONE ? NOVA_E_FAILED : status;
}

static double field(struct overhead *self, const struct vm *vm, uint32_t which)
{
	struct nova_result result = {.struct_size = sizeof(result)};
	int status = self->lab->result(self->run, vm->number, which, 0, &result);

	return status == NOVA_DONE && result.i64 >= 0 ? (double)result.i64 : NAN;
}

static int fail(struct overhead *self, int status, const char *what, uint32_t which)
{
	snprintf(self->why, sizeof(self->why), "VM %u of %lld could not be %s%s; the log says why",
	         which + 1, (long long)self->vms, what, status == NOVA_E_TIMEOUT ? " in time" : "");
	return status;
}

static int add_vm(struct overhead *self)
{
	struct vm *vm = &self->vm[self->count];
	double pid;
	int status = self->lab->vm_create(self->run, 0, NULL, 0, &vm->number);

	if (status != NOVA_DONE)
		return fail(self, status, "created", self->count);
	status = self->lab->vm_power(self->run, vm->number, NOVA_POWER_START, 0);
	if (status != NOVA_DONE)
		return fail(self, status, "started", self->count);
	status = self->lab->wait(self->run, vm->number, NOVA_EVENT_READY, 0, NULL);
	if (status != NOVA_DONE)
		return fail(self, status, "ready", self->count);
	status = self->lab->vm_query(self->run, vm->number, NOVA_QUERY_STATE, 0);
	if (status != NOVA_DONE)
		return fail(self, status, "asked for its process", self->count);
	pid = field(self, vm, NOVA_FIELD_PID);
	vm->pid = pid > 0 ? (int64_t)pid : 0;
	self->count++;
	return NOVA_DONE;
}

/* --- what all of them take ---------------------------------------------------------------- */

static double *sum(struct overhead *self, int metric)
{
	return &self->sums[metric][self->count - 1];
}

static int read_memory(struct overhead *self)
{
	static const struct {
		int metric;
		uint32_t field;
	} fields[] = {{RESIDENT, NOVA_FIELD_RESIDENT_BYTES},
	              {PROPORTIONAL, NOVA_FIELD_PROPORTIONAL_BYTES},
	              {DISK, NOVA_FIELD_DISK_ALLOCATED_BYTES}};

	for (uint32_t i = 0; i < self->count; i++) {
		struct vm *vm = &self->vm[i];
		int status = self->lab->vm_query(self->run, vm->number, NOVA_QUERY_STATS, 0);
		double guest;
		uint64_t beyond;

		if (status != NOVA_DONE)
			return fail(self, status, "asked for its statistics", i);
		for (size_t j = 0; j < sizeof(fields) / sizeof(fields[0]); j++)
			*sum(self, fields[j].metric) += field(self, vm, fields[j].field);
		guest = field(self, vm, NOVA_FIELD_MEMORY_BYTES);
		if (vm->pid && guest > 0 &&
		    overhead_read_memory(vm->pid, (uint64_t)guest, &beyond) == 0)
			*sum(self, BEYOND) += (double)beyond;
		else
			*sum(self, BEYOND) = NAN;
	}
	return NOVA_DONE;
}

static int read_cpus(struct overhead *self, struct overhead_cpu *cpus)
{
	for (uint32_t i = 0; i < self->count; i++)
		if (!self->vm[i].pid || overhead_read_cpu(self->vm[i].pid, &cpus[i]) != 0)
			return -1;
	return 0;
}

/* CPUs that all VMs' processes keep busy during a window: in `all`, and but for the vCPUs. */
static int watch(struct overhead *self, double *all, double *others)
{
	struct overhead_cpu before[OVERHEAD_VMS_MOST], after[OVERHEAD_VMS_MOST];
	int known = read_cpus(self, before) == 0, status;
	int64_t began_ns = self->host->now_ns(), passed_ns;

	*all = *others = NAN;
	status = pass(self, &self->vm[0], self->window_ns);
	passed_ns = self->host->now_ns() - began_ns;
	known = known && passed_ns > 0 && read_cpus(self, after) == 0;
	if (status != NOVA_DONE || !known)
		return status;
	*all = *others = 0;
	for (uint32_t i = 0; i < self->count; i++) {
		int64_t whole_ns = after[i].all_ns - before[i].all_ns;
		int64_t vcpus_ns = after[i].vcpus_ns - before[i].vcpus_ns;

		*all += (double)whole_ns / (double)passed_ns;
		if (!before[i].vcpus || before[i].vcpus != after[i].vcpus)
			*others = NAN; /* not QEMU, or not as we know it */
		else
			*others += fmax(0, (double)(whole_ns - vcpus_ns) / (double)passed_ns);
	}
	return NOVA_DONE;
}

/* $1: seconds. As many loops as there are CPUs, each of which ends by itself. */
static const char LOAD_SCRIPT[] =
        "for c in $(grep '^processor' /proc/cpuinfo | tr -dc '0-9\\n'); do\n"
        "  timeout \"$1\" sh -c 'while :; do :; done' &\n"
        "done\n"
        "wait\n"
        "exit 0\n";

/* One call for each VM, which computes, and a last one, which watches. */
static int compute_or_watch(void *context, uint32_t index, int64_t intended_ns)
{
	struct overhead *self = context;
	int64_t load_ns = SETTLE_NS + self->window_ns + SECOND_NS;
	char seconds[32];
	const char *argv[] = {"sh", "-c", LOAD_SCRIPT, "novacore-overhead", seconds, NULL};
	struct nova_exec exec = {.struct_size = sizeof(exec), .argv = argv};
	double all;
	int status;

	(void)intended_ns;
	if (index == self->count) {
		status = pass(self, &self->vm[0], SETTLE_NS);
		return status == NOVA_DONE ? watch(self, &all, &self->loaded) : status;
	}
	snprintf(seconds, sizeof(seconds), "%lld",
	         (long long)((load_ns + SECOND_NS - 1) / SECOND_NS));
	return self->lab->exec(self->run, self->vm[index].number, &exec,
	                       self->host->now_ns() + load_ns + SLACK_NS);
}

static int measure(struct overhead *self)
{
	double others;
	int status = pass(self, &self->vm[self->count - 1], self->settle_ns);

	for (int i = 0; i < METRIC_COUNT; i++)
		*sum(self, i) = 0;
	if (status == NOVA_DONE)
		status = watch(self, sum(self, CPU_IDLE), &others);
	if (status == NOVA_DONE)
		status = read_memory(self);
	self->loaded = NAN;
	if (status == NOVA_DONE && self->load) {
		status = self->lab->fan_out(self->run, self->count + 1, 0, 0, compute_or_watch,
		                            self);
		if (status != NOVA_DONE && !self->why[0])
			fail(self, status, "put under load", self->count - 1);
	}
	*sum(self, CPU_LOADED) = self->loaded;
	return status;
}

/* --- a replicate -------------------------------------------------------------------------- */

static int put(struct overhead *self, int metric, uint32_t status, double value)
{
	return self->lab->sample(self->run, &(struct nova_sample){
	                                            .struct_size = sizeof(struct nova_sample),
	                                            .status = status,
	                                            .metric = METRICS[metric]->name,
	                                            .value = value,
	                                            .t_ns = self->host->now_ns(),
	                                            .why = self->why[0] ? self->why : NULL,
	                                    });
}

static int is_owed(const struct overhead *self, int metric)
{
	return metric != CPU_LOADED || self->load;
}

/* What could not be seen of one VM cannot be said of all; once it is said why. */
static int put_slopes(struct overhead *self)
{
	int status = NOVA_DONE;

	for (int i = 0; i < METRIC_COUNT && status == NOVA_DONE; i++) {
		double slope = overhead_slope(self->sums[i], (uint32_t)self->vms, !IS_SHARED[i]);
		char text[256];

		if (!is_owed(self, i))
			continue;
		if (isfinite(slope)) {
			status = put(self, i, NOVA_SAMPLE_OK, slope);
		} else if (!(self->said & 1 << i)) {
			self->said |= 1 << i;
			snprintf(text, sizeof(text),
			         "no %s: the driver, or the kernel of this host, does not tell it "
			         "of every VM",
			         METRICS[i]->name);
			self->host->log(self->run, NOVA_SAY_INFO, text);
		}
	}
	return status;
}

static int put_failure(struct overhead *self, uint32_t outcome)
{
	int status = NOVA_DONE;

	for (int i = 0; i < METRIC_COUNT && status == NOVA_DONE; i++)
		if (is_owed(self, i))
			status = put(self, i, outcome, 0);
	return status;
}

static int replicate(void *context, nova_run run, uint32_t index, uint32_t side)
{
	struct overhead *self = context;
	uint32_t outcome = NOVA_SAMPLE_OK;
	int status = NOVA_DONE;

	(void)run;
	(void)index;
	(void)side;
	self->count = 0;
	self->why[0] = '\0';
	while (status == NOVA_DONE && self->count < (uint32_t)self->vms) {
		status = add_vm(self);
		if (status == NOVA_DONE)
			status = measure(self);
	}
	if (ends_the_run(status))
		return status;
	if (status != NOVA_DONE)
		outcome = status == NOVA_E_TIMEOUT ? NOVA_SAMPLE_TIMED_OUT : NOVA_SAMPLE_FAILED;
	status = outcome == NOVA_SAMPLE_OK ? put_slopes(self) : put_failure(self, outcome);
	return status == NOVA_DONE ? self->lab->attempt(self->run, outcome) : status;
}

/* --- the benchmark ------------------------------------------------------------------------ */

static int create(const struct nova_host *host, const struct nova_lab *lab, nova_run run,
                  void **out)
{
	struct overhead *self = calloc(1, sizeof(*self));
	const char *load = host->param_text(run, "load", 0);

	if (!self)
		return host->error(run, NOVA_E_MEMORY, "out of memory");
	self->host = host;
	self->lab = lab;
	self->run = run;
	self->vms = 4;
	self->window_ns = self->settle_ns = 2 * SECOND_NS;
	host->param_i64(run, "vms", 0, &self->vms);
	host->param_i64(run, "window", 0, &self->window_ns);
	host->param_i64(run, "settle", 0, &self->settle_ns);
	self->load = !load || strcmp(load, "none") != 0;
	*out = self;
	return NOVA_DONE;
}

static void destroy(void *self)
{
	free(self);
}

static uint32_t width(void *self)
{
	return (uint32_t)((struct overhead *)self)->vms;
}

static const char *const NEEDS[] = {NOVA_CAN_CREATE, NOVA_CAN_START, NOVA_CAN_READY,
                                    NOVA_CAN_EXEC,   NOVA_CAN_STATS, NULL};

static const struct nova_benchmark BENCHMARK = {
        .struct_size = sizeof(BENCHMARK),
        .targets_min = 1,
        .needs = NEEDS,
        .metrics = METRICS,
        .create = create,
        .replicate = replicate,
        .destroy = destroy,
        .width = width,
};

static const struct nova_plugin OVERHEAD = {
        .struct_size = sizeof(OVERHEAD),
        .kind = NOVA_KIND_BENCHMARK,
        .thread_model = NOVA_THREADS_PARALLEL,
        .name = "overhead",
        .version = "1",
        .summary = "What each VM costs its host: memory, CPU and disk of the hypervisor",
        .license = "MIT",
        .parameters = PARAMETERS,
        .ops = &BENCHMARK,
};

NOVA_PLUGIN(NOVA_KIND_BENCHMARK, OVERHEAD)
