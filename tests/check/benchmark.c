/* SPDX-License-Identifier: MIT */
/*
 * A small benchmark that keeps every promise: it creates, starts and deletes a VM. -DHOSTILE_<WHAT>
 * breaks one. NAME is the plugin's name.
 */
#include <novacore/sdk.h>

#include <stdlib.h>

#define TEXT_(text) #text
#define TEXT(text)  TEXT_(text)

struct self {
	const struct nova_host *host;
	const struct nova_lab *lab;
};

static int create(const struct nova_host *host, const struct nova_lab *lab, nova_run run,
                  void **out)
{
	struct self *self = calloc(1, sizeof(*self));

	if (!self)
		return host->error(run, NOVA_E_MEMORY, "out of memory");
	self->host = host;
	self->lab = lab;
	*out = self;
	return NOVA_DONE;
}

static void destroy(void *self)
{
	free(self);
}

static int record(struct self *self, nova_run run, nova_vm vm, int status)
{
	const struct nova_sample sample = {.struct_size = sizeof(sample),
	                                   .status = status == NOVA_DONE ? NOVA_SAMPLE_OK
	                                             : status == NOVA_E_TIMEOUT
	                                                     ? NOVA_SAMPLE_TIMED_OUT
	                                                     : NOVA_SAMPLE_FAILED,
	                                   .vm = status == NOVA_DONE ? vm : 0,
	                                   .metric = TEXT(NAME) ".value",
	                                   .value = 1,
	                                   .t_ns = self->host->now_ns()};

#ifdef HOSTILE_UNDECLARED
	struct nova_sample wrong = sample;
	wrong.metric = TEXT(NAME) ".other";
	self->lab->sample(run, &wrong);
#endif
	return self->lab->sample(run, &sample);
}

static int replicate(void *opaque, nova_run run, uint32_t index, uint32_t side)
{
	struct self *self = opaque;
	const struct nova_lab *lab = self->lab;
	nova_vm vm = 0;
	int status, deleted;

	(void)index, (void)side;
	do
		status = lab->vm_create(run, 0, NULL, 0, &vm);
#ifdef HOSTILE_LOOP
	while (status != NOVA_DONE);
#else
	while (0);
#endif
	if (status == NOVA_DONE)
		status = lab->vm_power(run, vm, NOVA_POWER_START, 0);
#ifdef HOSTILE_DEAF
	if (status == NOVA_E_INTERRUPTED)
		return NOVA_DONE;
#else
	if (status == NOVA_E_INTERRUPTED)
		return status;
#endif
#ifdef HOSTILE_PASSES_FAILURE
	if (status != NOVA_DONE)
		return status;
#endif
#ifdef HOSTILE_HIDES
	record(self, run, 0, NOVA_DONE);
#else
	record(self, run, vm, status);
#endif
	if (!vm)
		return NOVA_DONE;
	deleted = lab->vm_delete(run, vm, 0);
	return deleted == NOVA_E_INTERRUPTED ? deleted : NOVA_DONE;
}

#ifdef HOSTILE_WIDTH
static uint32_t width(void *self)
{
	(void)self;
	return 5;
}
#endif

static const char *const needs[] = {NOVA_CAN_CREATE, NOVA_CAN_START, NULL};
static const struct nova_metric metric = {.struct_size = sizeof(metric),
                                          .unit = NOVA_UNIT_ONE,
                                          .better = NOVA_BETTER_LOWER,
                                          .revision = 1,
                                          .name = TEXT(NAME) ".value",
                                          .doc = "Always one"};
static const struct nova_metric *const metrics[] = {&metric, NULL};

static const struct nova_benchmark ops = {.struct_size = sizeof(ops),
                                          .targets_min = 1,
                                          .needs = needs,
                                          .metrics = metrics,
                                          .create = create,
                                          .replicate = replicate,
#ifdef HOSTILE_WIDTH
                                          .width = width,
#endif
                                          .destroy = destroy};

static const struct nova_plugin plugin = {.struct_size = sizeof(plugin),
                                          .kind = NOVA_KIND_BENCHMARK,
                                          .thread_model = NOVA_THREADS_PARALLEL,
                                          .name = TEXT(NAME),
                                          .version = "1",
                                          .summary = "one VM, created, started and deleted",
                                          .license = "MIT",
                                          .ops = &ops};

NOVA_PLUGIN(NOVA_KIND_BENCHMARK, plugin)
