/* SPDX-License-Identifier: MIT */
/*
 * Scaling: how soon N more ready VMs are there once they are demanded, beside a population that is
 * there already; and how many too many are there at that moment, because some were ordered in place
 * of others that failed or were late. What an auto-scaler waits for.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "../density/fleet.h"

/* --- metrics ------------------------------------------------------------------------------ */

enum { UP, SATISFIED, OVERSHOOT, REPLACED, METRIC_COUNT };

#define METRIC(name_, unit_, doc_)                                                                 \
	{                                                                                          \
		.struct_size = sizeof(struct nova_metric), .unit = NOVA_UNIT_##unit_,              \
		.better = NOVA_BETTER_LOWER, .revision = 1, .name = (name_), .doc = (doc_)         \
	}
#define METRIC_SET(prefix, label)                                                                  \
	{                                                                                          \
		[UP] = METRIC(prefix "ready", SECOND,                                              \
		              label "From the demand to each further VM's end point: its agent's " \
		                    "taking commands, unless `until` says otherwise"),             \
		[SATISFIED] = METRIC(prefix "satisfied", SECOND,                                   \
		                     label "From the demand to the end point of the last VM that " \
		                           "was demanded"),                                        \
		[OVERSHOOT] = METRIC(prefix "overshoot", ONE,                                      \
		                     label "VMs beyond population and demand that exist when the " \
		                           "demand is satisfied"),                                 \
		[REPLACED] = METRIC(prefix "replaced", ONE,                                        \
		                    label "VMs ordered in place of others that failed or were "    \
		                          "late, per demand"),                                     \
	}

static const struct nova_metric GUEST_METRICS[METRIC_COUNT] = METRIC_SET("scaling.", "");
static const struct nova_metric STUB_METRICS[METRIC_COUNT] =
        METRIC_SET("scaling.control-plane.", "Control-plane test, no guest runs: ");

#define SET(set) &(set)[UP], &(set)[SATISFIED], &(set)[OVERSHOOT], &(set)[REPLACED]
static const struct nova_metric *const METRICS[] = {SET(GUEST_METRICS), SET(STUB_METRICS), NULL};

/* --- parameters --------------------------------------------------------------------------- */

#define PARAMETER(variable, name_, type_, fallback_, doc_, ...)                                    \
	static const struct nova_parameter variable = {.struct_size = sizeof(variable),            \
	                                               .type = (type_),                            \
	                                               .name = (name_),                            \
	                                               .fallback = (fallback_),                    \
	                                               .doc = (doc_),                              \
	                                               ##__VA_ARGS__}

PARAMETER(P_LEVELS, "levels", NOVA_PARAM_INTEGER, "1,5,10,20",
          "More ready VMs that are demanded at a time, one step for each value",
          .flags = NOVA_PARAM_LIST | NOVA_PARAM_EACH | NOVA_PARAM_VMS, .minimum = "1",
          .maximum = "1000");
PARAMETER(P_BASE, "base", NOVA_PARAM_INTEGER, "0", "VMs that are there and ready before the demand",
          .flags = NOVA_PARAM_VMS, .minimum = "0", .maximum = "1000");
PARAMETER(P_CONCURRENCY, "concurrency", NOVA_PARAM_INTEGER, "0",
          "VMs of a demand that are ordered at the same time; 0: all of them", .minimum = "0",
          .maximum = "2000");
PARAMETER(P_PATIENCE, "patience", NOVA_PARAM_DURATION, NULL,
          "After it another VM is ordered in place of one that is not ready yet, which stays; "
          "default: ready_timeout",
          .minimum = "1ms");
PARAMETER(P_RETRIES, "retries", NOVA_PARAM_INTEGER, "1",
          "VMs that may be ordered in place of one that failed or was late", .minimum = "0",
          .maximum = "10");

static const struct nova_parameter *const PARAMETERS[] = {
        &P_LEVELS, &P_BASE, &P_CONCURRENCY, &P_PATIENCE, &P_RETRIES, FLEET_PARAMETERS, NULL};

/* --- one demand --------------------------------------------------------------------------- */

struct scaling {
	struct fleet fleet;
	const struct nova_metric *metrics;
	int64_t level, base, concurrency, patience_ns, retries;
	/* of the demand that is being met */
	int64_t demanded_ns;
	int64_t *up_ns;         /* of each place: when it was filled, 0 if it was not */
	atomic_uint there;      /* VMs that exist, the population's too */
	atomic_uint filled;     /* places */
	atomic_uint replaced;   /* VMs ordered in place of others */
	atomic_uint at_the_end; /* `there` when the last place was filled */
};

static const char *name_of(const struct scaling *self, int metric)
{
	return self->metrics[metric].name;
}

/* On a simulator's clock the demand has no time. */
static int64_t intended(const struct scaling *self)
{
	return self->fleet.other_clock ? 0 : self->demanded_ns;
}

static int populate(void *context, uint32_t index, int64_t intended_ns)
{
	static const struct fleet_metrics none;
	struct scaling *self = context;
	struct fleet_vm vm = {.target = index % self->fleet.lab->targets};
	int status = fleet_order(&self->fleet, &none, 0, &vm);

	(void)intended_ns;
	if (status != NOVA_DONE)
		return status;
	if (vm.outcome != NOVA_SAMPLE_OK)
		return self->fleet.host->error(
		        self->fleet.run, NOVA_E_FAILED,
		        "a VM of the population that is to be there before the demand did not come "
		        "up; the messages above say why");
	atomic_fetch_add(&self->there, 1);
	return NOVA_DONE;
}

/* The VM's time in the metric counts from the demand, also that of one in another's place. */
static int put_up(struct scaling *self, uint32_t place, const struct fleet_vm *vm)
{
	int64_t from_ns = self->fleet.other_clock ? vm->from_ns : self->demanded_ns;

	self->up_ns[place] = vm->up_ns;
	if (atomic_fetch_add(&self->filled, 1) + 1 == (uint32_t)self->level)
		atomic_store(&self->at_the_end, atomic_load(&self->there));
	return self->fleet.lab->sample(self->fleet.run,
	                               &(struct nova_sample){
	                                       .struct_size = sizeof(struct nova_sample),
	                                       .status = NOVA_SAMPLE_OK,
	                                       .vm = vm->vm,
	                                       .metric = name_of(self, UP),
	                                       .value = (double)(vm->up_ns - from_ns) / 1e9,
	                                       .t_ns = vm->up_ns,
	                                       .intended_ns = intended(self),
	                               });
}

/* One that failed is deleted before another takes its place; one that is late stays, and may come
 * yet: an auto-scaler does not know better either. */
static int give_up_on(struct scaling *self, struct fleet_vm *vm)
{
	nova_vm number = vm->vm;
	int status;

	if (vm->outcome == NOVA_SAMPLE_TIMED_OUT || !number)
		return NOVA_DONE;
	status = fleet_delete(&self->fleet, NULL, vm);
	if (status == NOVA_DONE)
		atomic_fetch_sub(&self->there, 1);
	return status;
}

static int fill_place(void *context, uint32_t index, int64_t intended_ns)
{
	static const struct fleet_metrics none;
	struct scaling *self = context;
	struct fleet_vm vm = {.target = index % self->fleet.lab->targets};
	int status = NOVA_DONE;

	(void)intended_ns;
	for (int64_t i = 0; status == NOVA_DONE && i <= self->retries; i++) {
		vm.ends_by_ns =
		        self->patience_ns ? self->fleet.host->now_ns() + self->patience_ns : 0;
		atomic_fetch_add(&self->there, 1);
		if (i > 0)
			atomic_fetch_add(&self->replaced, 1);
		status = fleet_order(&self->fleet, &none, 0, &vm);
		if (status == NOVA_DONE)
			status = self->fleet.lab->attempt(self->fleet.run, vm.outcome);
		if (status == NOVA_DONE && vm.outcome == NOVA_SAMPLE_OK)
			return put_up(self, index, &vm);
		if (status == NOVA_DONE)
			status = give_up_on(self, &vm);
	}
	if (status != NOVA_DONE)
		return status;
	return self->fleet.lab->sample(
	        self->fleet.run, &(struct nova_sample){.struct_size = sizeof(struct nova_sample),
	                                               .status = vm.outcome,
	                                               .seq = index + 1,
	                                               .metric = name_of(self, UP),
	                                               .intended_ns = intended(self),
	                                               .why = "no VM took this place"});
}

/* What the demand as a whole came to. */
static int put_whole(struct scaling *self)
{
	uint32_t demanded = (uint32_t)(self->base + self->level);
	uint32_t there = atomic_load(&self->at_the_end);
	int64_t last_ns = 0;
	int status;

	status = fleet_put(&self->fleet, name_of(self, REPLACED), 0, atomic_load(&self->replaced),
	                   self->fleet.host->now_ns());
	if (status != NOVA_DONE)
		return status;
	if (atomic_load(&self->filled) < (uint32_t)self->level)
		return self->fleet.lab->sample(
		        self->fleet.run,
		        &(struct nova_sample){.struct_size = sizeof(struct nova_sample),
		                              .status = NOVA_SAMPLE_FAILED,
		                              .metric = name_of(self, SATISFIED),
		                              .intended_ns = intended(self),
		                              .why = "not all places were filled"});
	for (int64_t i = 0; i < self->level; i++)
		if (self->up_ns[i] > last_ns)
			last_ns = self->up_ns[i];
	status = fleet_put(&self->fleet, name_of(self, OVERSHOOT), 0,
	                   there > demanded ? there - demanded : 0, last_ns);
	/* On a simulator's clock each VM has a time of its own. */
	if (status == NOVA_DONE && !self->fleet.other_clock)
		status = fleet_put(&self->fleet, name_of(self, SATISFIED), 0,
		                   (double)(last_ns - self->demanded_ns) / 1e9, last_ns);
	return status;
}

static int replicate(void *context, nova_run run, uint32_t index, uint32_t side)
{
	struct scaling *self = context;
	int status;

	(void)index;
	(void)side;
	atomic_store(&self->there, 0);
	atomic_store(&self->filled, 0);
	atomic_store(&self->replaced, 0);
	atomic_store(&self->at_the_end, 0);
	memset(self->up_ns, 0, (size_t)self->level * sizeof(*self->up_ns));
	status = self->fleet.lab->fan_out(run, (uint32_t)self->base, fleet_default_concurrency(), 0,
	                                  populate, self);
	if (status != NOVA_DONE)
		return status;
	self->demanded_ns = self->fleet.host->now_ns();
	status = self->fleet.lab->fan_out(run, (uint32_t)self->level, (uint32_t)self->concurrency,
	                                  0, fill_place, self);
	return status == NOVA_DONE ? put_whole(self) : status;
}

/* --- the benchmark ------------------------------------------------------------------------ */

static int create(const struct nova_host *host, const struct nova_lab *lab, nova_run run,
                  void **out)
{
	struct scaling *self = calloc(1, sizeof(*self));
	int status;

	if (!self)
		return host->error(run, NOVA_E_MEMORY, "out of memory");
	status = fleet_init(&self->fleet, host, lab, run);
	if (status != NOVA_DONE) {
		free(self);
		return status;
	}
	self->metrics = self->fleet.guest == FLEET_STUB ? STUB_METRICS : GUEST_METRICS;
	self->level = 1;
	host->param_i64(run, "levels", 0, &self->level);
	host->param_i64(run, "base", 0, &self->base);
	host->param_i64(run, "concurrency", 0, &self->concurrency);
	host->param_i64(run, "patience", 0, &self->patience_ns);
	host->param_i64(run, "retries", 0, &self->retries);
	self->up_ns = calloc((size_t)self->level, sizeof(*self->up_ns));
	if (!self->up_ns) {
		free(self);
		return host->error(run, NOVA_E_MEMORY, "out of memory");
	}
	*out = self;
	return NOVA_DONE;
}

static int setup(void *context, nova_run run)
{
	struct scaling *self = context;
	uint32_t targets = self->fleet.lab->targets;
	uint32_t count = (uint32_t)(self->base + self->level);

	(void)run;
	return fleet_try(&self->fleet, count, (count + targets - 1) / targets);
}

static void destroy(void *context)
{
	struct scaling *self = context;

	free(self->up_ns);
	free(self);
}

static uint32_t width(void *self)
{
	return (uint32_t)((struct scaling *)self)->level;
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

static const struct nova_plugin SCALING = {
        .struct_size = sizeof(SCALING),
        .kind = NOVA_KIND_BENCHMARK,
        .thread_model = NOVA_THREADS_PARALLEL,
        .name = "scaling",
        .version = "1",
        .summary = "A demand for N more ready VMs: time to each and to all, overshoot",
        .license = "MIT",
        .parameters = PARAMETERS,
        .ops = &BENCHMARK,
};

NOVA_PLUGIN(NOVA_KIND_BENCHMARK, SCALING)
