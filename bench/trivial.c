/* SPDX-License-Identifier: MIT */
/* The least that a benchmark plugin can be: `plugin list` is timed with thirty copies of it. */
#include <novacore/sdk.h>

static const struct nova_metric NOTHING = {.struct_size = sizeof(NOTHING),
                                           .unit = NOVA_UNIT_SECOND,
                                           .better = NOVA_BETTER_LOWER,
                                           .revision = 1,
                                           .name = "trivial.nothing",
                                           .doc = "Nothing"};
static const struct nova_metric *const METRICS[] = {&NOTHING, NULL};

static int create(const struct nova_host *host, const struct nova_lab *lab, nova_run run,
                  void **self)
{
	(void)host, (void)lab, (void)run;
	*self = NULL;
	return NOVA_DONE;
}

static int replicate(void *self, nova_run run, uint32_t index, uint32_t side)
{
	(void)self, (void)run, (void)index, (void)side;
	return NOVA_DONE;
}

static void destroy(void *self)
{
	(void)self;
}

static const struct nova_benchmark BENCHMARK = {.struct_size = sizeof(BENCHMARK),
                                                .targets_min = 1,
                                                .metrics = METRICS,
                                                .create = create,
                                                .replicate = replicate,
                                                .destroy = destroy};

static const struct nova_plugin TRIVIAL = {.struct_size = sizeof(TRIVIAL),
                                           .kind = NOVA_KIND_BENCHMARK,
                                           .thread_model = NOVA_THREADS_PARALLEL,
                                           .name = "trivial",
                                           .version = "1",
                                           .summary = "Measures nothing",
                                           .license = "MIT",
                                           .ops = &BENCHMARK};

NOVA_PLUGIN(NOVA_KIND_BENCHMARK, TRIVIAL)
