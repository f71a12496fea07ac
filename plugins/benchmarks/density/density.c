/* SPDX-License-Identifier: MIT */
/*
 * Density: a burst of many VMs, over all targets; how fast they come, what the host does meanwhile,
 * how fast they go again; and, if asked for, VMs replaced continuously at a steady number. A VM's
 * failure is a sample. What a boot sector is measured with has metrics of its own name, so that no
 * table, history or comparison takes a test of the control plane for one of guests.
 */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet.h"
#include "host.h"

#define WATCH_NS 500000000ll /* between two looks at the host */
/* Below it no 99th percentile is claimed: 1 - 0.99^n reaches 95 % there (measuring.md). */
#define P99_NEEDS 299
/* Seeds: at most 200 VMs on a node. */
#define PER_TARGET 200

/* --- metrics ------------------------------------------------------------------------------ */

enum {
	RUNNING,
	FIRST,
	READY,
	API,
	API_P99,
	RATE,
	BURST,
	DELETE,
	DELETE_RATE,
	HOST_CPU,
	HOST_MEMORY,
	CHURN_UP,
	CHURN_RATE,
	METRIC_COUNT
};

#define METRIC(name_, unit_, better_, doc_)                                                        \
	{                                                                                          \
		.struct_size = sizeof(struct nova_metric), .unit = NOVA_UNIT_##unit_,              \
		.better = NOVA_BETTER_##better_, .revision = 1, .name = (name_), .doc = (doc_)     \
	}
/* `prefix` stands in the names, `label` before each meaning. */
#define METRIC_SET(prefix, label)                                                                  \
	{                                                                                          \
		[RUNNING] =                                                                        \
		        METRIC(prefix "running", SECOND, LOWER,                                    \
		               label "From a VM's intended start to the hypervisor's word that "   \
		                     "its vCPUs run"),                                             \
		[FIRST] = METRIC(prefix "first", SECOND, LOWER,                                    \
		                 label                                                             \
		                 "From a VM's intended start to the first byte from its guest"),   \
		[READY] =                                                                          \
		        METRIC(prefix "ready", SECOND, LOWER,                                      \
		               label "From a VM's intended start to its agent's taking commands"), \
		[API] = METRIC(prefix "api", SECOND, LOWER,                                        \
		               label "From each call that creates or starts a VM to its return"),  \
		[API_P99] =                                                                        \
		        METRIC(prefix "api.p99", SECOND, LOWER,                                    \
		               label "The 99th percentile of a burst's create and start calls, "   \
		                     "where there are at least 299"),                              \
		[RATE] = METRIC(prefix "rate", PER_SECOND, HIGHER,                                 \
		                label                                                              \
		                "VMs that came to their end point, per second, from the first "    \
		                "intended start to the last end point"),                           \
		[BURST] = METRIC(prefix "burst", SECOND, LOWER,                                    \
		                 label "From the first VM's intended start to the last one's end " \
		                       "point"),                                                   \
		[DELETE] = METRIC(prefix "delete", SECOND, LOWER,                                  \
		                  label "From each call that deletes a VM to its return"),         \
		[DELETE_RATE] = METRIC(prefix "delete.rate", PER_SECOND, HIGHER,                   \
		                       label "VMs deleted per second, all of a burst together"),   \
		[HOST_CPU] =                                                                       \
		        METRIC(prefix "host.cpu", ONE, LOWER,                                      \
		               label "Busy share of this host's CPUs in each half second of a "    \
		                     "burst"),                                                     \
		[HOST_MEMORY] = METRIC(prefix "host.memory", BYTE, LOWER,                          \
		                       label "Memory in use on this host, every half second of a " \
		                             "burst"),                                             \
		[CHURN_UP] =                                                                       \
		        METRIC(prefix "churn.up", SECOND, LOWER,                                   \
		               label "From the order of a VM in place of a deleted one to its "    \
		                     "end point, among a steady number"),                          \
		[CHURN_RATE] = METRIC(prefix "churn.rate", PER_SECOND, HIGHER,                     \
		                      label "VMs replaced per second at a steady number"),         \
	}

static const struct nova_metric GUEST_METRICS[METRIC_COUNT] = METRIC_SET("density.", "");
static const struct nova_metric STUB_METRICS[METRIC_COUNT] =
        METRIC_SET("density.control-plane.", "Control-plane test, no guest runs: ");

#define REST(set)                                                                                  \
	&(set)[API], &(set)[API_P99], &(set)[RATE], &(set)[BURST], &(set)[DELETE],                 \
	        &(set)[DELETE_RATE], &(set)[HOST_CPU], &(set)[HOST_MEMORY], &(set)[CHURN_UP],      \
	        &(set)[CHURN_RATE]
static const struct nova_metric *const METRICS[] = {
        &GUEST_METRICS[RUNNING], &GUEST_METRICS[FIRST],
        &GUEST_METRICS[READY],   REST(GUEST_METRICS),
        &STUB_METRICS[RUNNING],  &STUB_METRICS[FIRST], /* a boot sector has no agent */
        REST(STUB_METRICS),      NULL};

/* --- parameters --------------------------------------------------------------------------- */

#define PARAMETER(variable, name_, type_, fallback_, doc_, ...)                                    \
	static const struct nova_parameter variable = {.struct_size = sizeof(variable),            \
	                                               .type = (type_),                            \
	                                               .name = (name_),                            \
	                                               .fallback = (fallback_),                    \
	                                               .doc = (doc_),                              \
	                                               ##__VA_ARGS__}

PARAMETER(P_COUNT, "count", NOVA_PARAM_INTEGER, "100", "VMs of a burst, one step for each value",
          .flags = NOVA_PARAM_LIST | NOVA_PARAM_EACH | NOVA_PARAM_VMS, .minimum = "1",
          .maximum = "4000");
PARAMETER(P_RATE, "rate", NOVA_PARAM_RATE, NULL,
          "Open loop: so many VMs are ordered each second, whatever becomes of them; without it, "
          "as fast as concurrency allows",
          .minimum = "0.01/s", .maximum = "1000/s");
PARAMETER(P_CONCURRENCY, "concurrency", NOVA_PARAM_INTEGER, "0",
          "VMs on their way to the end point at the same time; 0: two for each CPU of this host, "
          "at least 4, and with a rate as many as it takes",
          .minimum = "0", .maximum = "2000");
PARAMETER(P_PER_TARGET, "per_target", NOVA_PARAM_INTEGER, NULL,
          "Most VMs on one target; default: 200, for the stub no limit", .minimum = "1");
PARAMETER(P_COOLDOWN, "cooldown", NOVA_PARAM_DURATION, "10s",
          "Pause between the end of one burst and the next, also of the next step",
          .maximum = "1d");
PARAMETER(P_CHURN, "churn", NOVA_PARAM_DURATION, "0s",
          "How long VMs are then replaced, one deleted and one ordered in its place, at "
          "concurrency",
          .maximum = "1d");

static const struct nova_parameter *const PARAMETERS[] = {
        &P_COUNT,    &P_RATE,  &P_CONCURRENCY,   &P_PER_TARGET,
        &P_COOLDOWN, &P_CHURN, FLEET_PARAMETERS, NULL};

/* --- one burst ---------------------------------------------------------------------------- */

struct place {
	struct fleet_vm vm;
	atomic_flag busy; /* its VM is being replaced */
};

struct density {
	struct fleet fleet;
	const struct nova_metric *metrics; /* METRIC_COUNT of them */
	int64_t count, concurrency, per_target, cooldown_ns, churn_ns;
	double per_s;
	struct place *places; /* count */
	/* of the burst that runs */
	atomic_int over;
	atomic_uint next, replaced;
	int64_t churn_until_ns;
};

static const char *name_of(const struct density *self, int metric)
{
	return self->metrics[metric].name;
}

static uint32_t limit_of(const struct density *self)
{
	return self->concurrency > 0 ? (uint32_t)self->concurrency : fleet_default_concurrency();
}

static int one_vm(void *context, uint32_t index, int64_t intended_ns)
{
	struct density *self = context;
	struct fleet_vm *vm = &self->places[index].vm;
	const struct fleet_metrics metrics = {.running = name_of(self, RUNNING),
	                                      .first = name_of(self, FIRST),
	                                      .ready = name_of(self, READY),
	                                      .api = name_of(self, API)};
	int status;

	vm->target = index % self->fleet.lab->targets;
	status = fleet_order(&self->fleet, &metrics, intended_ns, vm);
	return status == NOVA_DONE ? self->fleet.lab->attempt(self->fleet.run, vm->outcome)
	                           : status;
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

/* The rank ceil(0.99 n) of the raw latencies; a call that failed is slower than any. */
static int put_p99(struct density *self, int64_t t_ns)
{
	double *all = malloc(2 * (size_t)self->count * sizeof(*all));
	size_t count = 0, rank;
	int status = NOVA_DONE;
	char text[128];

	for (int64_t i = 0; all && i < self->count; i++)
		for (int call = 0; call < 2; call++)
			if (self->places[i].vm.api_s[call] >= 0)
				all[count++] = self->places[i].vm.api_s[call];
	if (!all || count < P99_NEEDS) {
		snprintf(text, sizeof(text), "no %s: n too small (%zu < %d calls)",
		         name_of(self, API_P99), count, P99_NEEDS);
		self->fleet.host->log(self->fleet.run, NOVA_SAY_INFO, text);
		free(all);
		return NOVA_DONE;
	}
	qsort(all, count, sizeof(*all), compare);
	rank = (size_t)ceil(0.99 * (double)count);
	if (isfinite(all[rank - 1]))
		status = fleet_put(&self->fleet, name_of(self, API_P99), 0, all[rank - 1], t_ns);
	else
		status = self->fleet.lab->sample(
		        self->fleet.run,
		        &(struct nova_sample){.struct_size = sizeof(struct nova_sample),
		                              .status = NOVA_SAMPLE_FAILED,
		                              .metric = name_of(self, API_P99),
		                              .t_ns = t_ns,
		                              .why = "more than 1 % of the calls failed"});
	free(all);
	return status;
}

/* How fast they came, all together. */
static int put_rates(struct density *self)
{
	int64_t first_ns = INT64_MAX, last_ns = 0;
	uint32_t up = 0;
	double seconds;
	int status;

	for (int64_t i = 0; i < self->count; i++) {
		const struct fleet_vm *vm = &self->places[i].vm;

		if (vm->from_ns < first_ns)
			first_ns = vm->from_ns;
		if (vm->outcome != NOVA_SAMPLE_OK)
			continue;
		up++;
		if (vm->up_ns > last_ns)
			last_ns = vm->up_ns;
	}
	status = put_p99(self, last_ns ? last_ns : self->fleet.host->now_ns());
	/* On a simulator's clock each VM has a time of its own: no sum of them means anything. */
	if (status != NOVA_DONE || !up || self->fleet.other_clock || last_ns <= first_ns)
		return status;
	seconds = (double)(last_ns - first_ns) / 1e9;
	status = fleet_put(&self->fleet, name_of(self, BURST), 0, seconds, last_ns);
	if (status == NOVA_DONE)
		status = fleet_put(&self->fleet, name_of(self, RATE), 0, up / seconds, last_ns);
	return status;
}

static int burst(struct density *self)
{
	uint32_t limit = self->per_s > 0 && self->concurrency == 0 ? 0 : limit_of(self);
	int status;

	for (int64_t i = 0; i < self->count; i++) {
		memset(&self->places[i].vm, 0, sizeof(self->places[i].vm));
		atomic_flag_clear(&self->places[i].busy);
	}
	status = self->fleet.lab->fan_out(self->fleet.run, (uint32_t)self->count, limit,
	                                  self->per_s, one_vm, self);
	return status == NOVA_DONE ? put_rates(self) : status;
}

/* --- churn -------------------------------------------------------------------------------- */

static int replace(struct density *self, struct place *place)
{
	const struct fleet_metrics metrics = {.up = name_of(self, CHURN_UP)};
	int status = fleet_delete(&self->fleet, NULL, &place->vm);

	if (status == NOVA_DONE)
		status = fleet_order(&self->fleet, &metrics, 0, &place->vm);
	if (status == NOVA_DONE)
		status = self->fleet.lab->attempt(self->fleet.run, place->vm.outcome);
	if (status == NOVA_DONE && place->vm.outcome == NOVA_SAMPLE_OK)
		atomic_fetch_add(&self->replaced, 1);
	return status;
}

/* One of as many as there are VMs on their way: the next place that nobody is busy with. */
static int replacer(void *context, uint32_t index, int64_t intended_ns)
{
	struct density *self = context;
	int status = NOVA_DONE;

	(void)index;
	(void)intended_ns;
	while (status == NOVA_DONE && self->fleet.host->now_ns() < self->churn_until_ns) {
		struct place *place =
		        &self->places[atomic_fetch_add(&self->next, 1) % (uint32_t)self->count];

		if (atomic_flag_test_and_set(&place->busy))
			continue;
		status = replace(self, place);
		atomic_flag_clear(&place->busy);
	}
	return status;
}

static int churn(struct density *self)
{
	int64_t began_ns = self->fleet.host->now_ns(), ended_ns;
	uint32_t lanes = limit_of(self);
	int status;

	if (self->churn_ns <= 0)
		return NOVA_DONE;
	if (self->fleet.other_clock) {
		self->fleet.host->log(self->fleet.run, NOVA_SAY_INFO,
		                      "no churn: the target's clock does not pass");
		return NOVA_DONE;
	}
	if (lanes > self->count)
		lanes = (uint32_t)self->count;
	atomic_store(&self->next, 0);
	atomic_store(&self->replaced, 0);
	self->churn_until_ns = began_ns + self->churn_ns;
	status = self->fleet.lab->fan_out(self->fleet.run, lanes, lanes, 0, replacer, self);
	ended_ns = self->fleet.host->now_ns();
	if (status == NOVA_DONE && atomic_load(&self->replaced))
		status = fleet_put(&self->fleet, name_of(self, CHURN_RATE), 0,
		                   atomic_load(&self->replaced) /
		                           ((double)(ended_ns - began_ns) / 1e9),
		                   ended_ns);
	return status;
}

/* --- deletion ----------------------------------------------------------------------------- */

static int delete_one(void *context, uint32_t index, int64_t intended_ns)
{
	struct density *self = context;
	struct fleet_vm *vm = &self->places[index].vm;

	(void)intended_ns;
	return fleet_delete(&self->fleet,
	                    vm->outcome == NOVA_SAMPLE_OK ? name_of(self, DELETE) : NULL, vm);
}

static int delete_all(struct density *self)
{
	int64_t began_ns = self->fleet.host->now_ns(), ended_ns;
	int64_t there = 0;
	int status;

	for (int64_t i = 0; i < self->count; i++)
		there += self->places[i].vm.vm != 0;
	/* A deletion mostly waits for a process to end: twice as many at once as come up. */
	status = self->fleet.lab->fan_out(self->fleet.run, (uint32_t)self->count,
	                                  2 * limit_of(self), 0, delete_one, self);
	ended_ns = self->fleet.host->now_ns();
	if (status == NOVA_DONE && there && !self->fleet.other_clock && ended_ns > began_ns)
		status = fleet_put(&self->fleet, name_of(self, DELETE_RATE), 0,
		                   (double)there / ((double)(ended_ns - began_ns) / 1e9), ended_ns);
	return status;
}

/* --- the host meanwhile ------------------------------------------------------------------- */

static int put_use(struct density *self, const struct host_use *last, const struct host_use *now,
                   uint32_t seq)
{
	int64_t t_ns = self->fleet.host->now_ns();
	double cpu = host_use_cpu(last, now);
	int status = NOVA_DONE;

	if (cpu >= 0)
		status = fleet_put(&self->fleet, name_of(self, HOST_CPU), seq, cpu, t_ns);
	if (status == NOVA_DONE)
		status = fleet_put(&self->fleet, name_of(self, HOST_MEMORY), seq, now->memory_bytes,
		                   t_ns);
	return status;
}

static int watch(struct density *self)
{
	struct host_use last, now;
	int status = NOVA_DONE;

	if (host_use_read(&last) != 0)
		return NOVA_DONE;
	for (uint32_t seq = 0; status == NOVA_DONE && !atomic_load(&self->over); seq++) {
		status = fleet_pause(&self->fleet, WATCH_NS);
		if (status == NOVA_DONE && host_use_read(&now) == 0) {
			status = put_use(self, &last, &now, seq);
			last = now;
		}
	}
	return status;
}

static int act(struct density *self)
{
	int status = burst(self);

	if (status == NOVA_DONE)
		status = churn(self);
	if (status == NOVA_DONE)
		status = delete_all(self);
	return status;
}

/* The two that go on at the same time. */
static int act_or_watch(void *context, uint32_t index, int64_t intended_ns)
{
	struct density *self = context;
	int status;

	(void)intended_ns;
	if (index == 1)
		return watch(self);
	status = act(self);
	atomic_store(&self->over, 1);
	return status;
}

/* --- cool-down ---------------------------------------------------------------------------- */

/* The end of the last burst of this run, whichever step's: in a file of the run's directory. */
static int last_burst_path(struct density *self, char path[4096])
{
	const char *folder = self->fleet.host->directory(self->fleet.run, NOVA_DIRECTORY_RUN);

	return folder && snprintf(path, 4096, "%s/last-burst", folder) < 4096;
}

static void note_burst(struct density *self)
{
	char path[4096];
	FILE *file = last_burst_path(self, path) ? fopen(path, "we") : NULL;

	if (!file)
		return; /* the next one begins without a pause: no harm to what is measured here */
	fprintf(file, "%lld\n", (long long)self->fleet.host->now_ns());
	fclose(file);
}

static int cool_down(struct density *self)
{
	int64_t now_ns = self->fleet.host->now_ns(), wait_ns;
	long long ended_ns = 0;
	char path[4096];
	FILE *file = last_burst_path(self, path) ? fopen(path, "re") : NULL;

	if (!file)
		return NOVA_DONE;
	if (fscanf(file, "%lld", &ended_ns) != 1 || ended_ns > now_ns)
		ended_ns = 0; /* of another boot */
	fclose(file);
	wait_ns = ended_ns ? ended_ns + self->cooldown_ns - now_ns : 0;
	return fleet_pause(&self->fleet, wait_ns);
}

/* --- the benchmark ------------------------------------------------------------------------ */

static int create(const struct nova_host *host, const struct nova_lab *lab, nova_run run,
                  void **out)
{
	struct density *self = calloc(1, sizeof(*self));
	int status;

	if (!self)
		return host->error(run, NOVA_E_MEMORY, "out of memory");
	status = fleet_init(&self->fleet, host, lab, run);
	if (status != NOVA_DONE) {
		free(self);
		return status;
	}
	self->count = 1;
	self->metrics = self->fleet.guest == FLEET_STUB ? STUB_METRICS : GUEST_METRICS;
	self->per_target = self->fleet.guest == FLEET_STUB ? INT64_MAX : PER_TARGET;
	host->param_i64(run, "count", 0, &self->count);
	host->param_i64(run, "concurrency", 0, &self->concurrency);
	host->param_i64(run, "per_target", 0, &self->per_target);
	host->param_i64(run, "cooldown", 0, &self->cooldown_ns);
	host->param_i64(run, "churn", 0, &self->churn_ns);
	host->param_f64(run, "rate", 0, &self->per_s);
	self->places = calloc((size_t)self->count, sizeof(*self->places));
	if (!self->places) {
		free(self);
		return host->error(run, NOVA_E_MEMORY, "out of memory");
	}
	*out = self;
	return NOVA_DONE;
}

static int setup(void *context, nova_run run)
{
	struct density *self = context;
	int64_t targets = self->fleet.lab->targets;
	int64_t most = (self->count + targets - 1) / targets;

	if (most > self->per_target)
		return self->fleet.host->errorf(run, NOVA_E_REFUSED,
		                                "%lld VMs on %lld target%s are %lld on each, and "
		                                "per_target allows %lld; add "
		                                "targets, or say --set density.per_target=%lld",
		                                (long long)self->count, (long long)targets,
		                                targets > 1 ? "s" : "", (long long)most,
		                                (long long)self->per_target, (long long)most);
	return fleet_try(&self->fleet, (uint32_t)self->count, (uint32_t)most);
}

static int replicate(void *context, nova_run run, uint32_t index, uint32_t side)
{
	struct density *self = context;
	int status = cool_down(self);

	(void)index;
	(void)side;
	if (status != NOVA_DONE)
		return status;
	atomic_store(&self->over, 0);
	/* Nobody watches a host on which no VM runs: with one lane there is only the burst. */
	status = self->fleet.lab->fan_out(run, self->fleet.local ? 2 : 1, 0, 0, act_or_watch, self);
	note_burst(self);
	return status;
}

static void destroy(void *context)
{
	struct density *self = context;

	free(self->places);
	free(self);
}

static uint32_t width(void *self)
{
	return (uint32_t)((struct density *)self)->count;
}

static const char *const NEEDS[] = {NOVA_CAN_CREATE, NOVA_CAN_START, NULL};

static const struct nova_benchmark BENCHMARK = {
        .struct_size = sizeof(BENCHMARK),
        .targets_min = 1,
        .targets_max = NOVA_TARGETS_ALL,
        .needs = NEEDS,
        .metrics = METRICS,
        .create = create,
        .setup = setup,
        .replicate = replicate,
        .destroy = destroy,
        .width = width,
};

static const struct nova_plugin DENSITY = {
        .struct_size = sizeof(DENSITY),
        .kind = NOVA_KIND_BENCHMARK,
        .thread_model = NOVA_THREADS_PARALLEL,
        .name = "density",
        .version = "1",
        .summary = "Bursts of many VMs: latencies, rate, the host's load, deletion, churn",
        .license = "MIT",
        .parameters = PARAMETERS,
        .ops = &BENCHMARK,
};

NOVA_PLUGIN(NOVA_KIND_BENCHMARK, DENSITY)
