/* SPDX-License-Identifier: MIT */
/*
 * Benchmarks that measure nothing, for tests of what novacore does with benchmarks. One source,
 * compiled as NAME: `sides` (VM and native, with a known overhead), `host` (native only), `two` (a
 * migration between two targets), `all` (a VM on every target).
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <novacore/sdk.h>

#define TEXT_OF(x)  TEXT_OF_(x)
#define TEXT_OF_(x) #x
#define SELF        TEXT_OF(NAME)

#define sides 1
#define host  2
#define two   3
#define all   4
#if NAME == sides
#define SIDES_FLAGS NOVA_BENCHMARK_NATIVE
#define MIN         1
#define MAX         1
#elif NAME == host
#define MIN 0
#define MAX 0
#elif NAME == two
#define MIN 2
#define MAX 2
#else
#define MIN 1
#define MAX NOVA_TARGETS_ALL
#endif
#undef sides
#undef host
#undef two
#undef all
#ifndef SIDES_FLAGS
#define SIDES_FLAGS 0
#endif

static const struct nova_metric rate = {.struct_size = sizeof(rate),
                                        .unit = NOVA_UNIT_PER_SECOND,
                                        .better = NOVA_BETTER_HIGHER,
                                        .revision = 1,
                                        .name = SELF ".rate",
                                        .doc = "Made up: 100 and a little, times `factor` in a VM"};
static const struct nova_metric took = {.struct_size = sizeof(took),
                                        .unit = NOVA_UNIT_SECOND,
                                        .better = NOVA_BETTER_LOWER,
                                        .revision = 1,
                                        .name = SELF ".time",
                                        .doc = "Made up: the reverse of the rate"};
static const struct nova_metric *const metrics[] = {&rate, &took, NULL};

static const struct nova_parameter factor = {.struct_size = sizeof(factor),
                                             .type = NOVA_PARAM_NUMBER,
                                             .name = "factor",
                                             .fallback = "0.96",
                                             .doc = "What a VM is faster than this host"};
static const struct nova_parameter bad = {.struct_size = sizeof(bad),
                                          .type = NOVA_PARAM_INTEGER,
                                          .name = "bad",
                                          .fallback = "-1",
                                          .doc = "The replicate whose samples fail, with evidence"};
static const struct nova_parameter pause_ms = {.struct_size = sizeof(pause_ms),
                                               .type = NOVA_PARAM_INTEGER,
                                               .name = "pause",
                                               .fallback = "0",
                                               .doc = "Milliseconds that a replicate lasts"};
static const struct nova_parameter lacking = {.struct_size = sizeof(lacking),
                                              .type = NOVA_PARAM_INTEGER,
                                              .name = "lacking",
                                              .fallback = "-1",
                                              .doc = "The replicate from which on this host has "
                                                     "not what it takes"};
static const struct nova_parameter *const parameters[] = {&factor, &bad, &pause_ms, &lacking, NULL};

struct bench {
	const struct nova_host *host;
	const struct nova_lab *lab;
	double factor;
	int64_t bad, pause_ms, lacking;
};
static struct bench bench;

static int create(const struct nova_host *host, const struct nova_lab *lab, nova_run run,
                  void **self)
{
	bench = (struct bench){.host = host, .lab = lab};
	host->param_f64(run, "factor", 0, &bench.factor);
	host->param_i64(run, "bad", 0, &bench.bad);
	host->param_i64(run, "pause", 0, &bench.pause_ms);
	host->param_i64(run, "lacking", 0, &bench.lacking);
	*self = &bench;
	return NOVA_DONE;
}

static void destroy(void *self)
{
	(void)self;
}

/* A VM, through what it is there for: started, and with two targets migrated to the second. */
static int use_vm(nova_run run, uint32_t target)
{
	const struct nova_lab *lab = bench.lab;
	nova_vm vm;
	int status = lab->vm_create(run, target, NULL, 0, &vm);

	if (!status)
		status = lab->vm_power(run, vm, NOVA_POWER_START, 0);
	if (!status && MIN == 2)
		status = lab->migrate(run, vm, 1, NULL, 0);
	return status;
}

static int put(nova_run run, const char *metric, double value, int failed)
{
	struct nova_sample sample = {
	        .struct_size = sizeof(sample),
	        .status = failed ? NOVA_SAMPLE_FAILED : NOVA_SAMPLE_OK,
	        .metric = metric,
	        .value = value,
	        .t_ns = bench.host->now_ns(),
	        .why = failed ? "cannot read \"events\":\n\tmade \xff\033[31mup" : NULL};

	return bench.lab->sample(run, &sample);
}

static int replicate(void *self, nova_run run, uint32_t index, uint32_t side)
{
	struct timespec pause = {.tv_sec = bench.pause_ms / 1000,
	                         .tv_nsec = bench.pause_ms % 1000 * 1000000};
	double value = 100 + (index * 7 % 5) * 0.1, slower = 1;
	int failed = index == bench.bad, status = NOVA_DONE;

	(void)self;
	if (side == NOVA_SIDE_NATIVE && bench.lacking >= 0 && index >= (uint32_t)bench.lacking)
		return bench.host->error(run, NOVA_E_UNAVAILABLE,
		                         "the program is not installed on this host");
	if (side == NOVA_SIDE_VM) {
		slower = bench.factor * (1 + (index * 3 % 4) * 0.001);
		for (uint32_t t = 0; !status && t < (MIN == 2 ? 1 : bench.lab->targets); t++)
			status = use_vm(run, t);
	}
	if (status)
		return status;
	nanosleep(&pause, NULL);
	bench.lab->attempt(run, failed ? NOVA_SAMPLE_FAILED : NOVA_SAMPLE_OK);
	put(run, rate.name, value * slower, failed);
	return put(run, took.name, 1 / (value * slower), failed);
}

static const struct nova_benchmark ops = {.struct_size = sizeof(ops),
                                          .flags = SIDES_FLAGS,
                                          .targets_min = MIN,
                                          .targets_max = MAX,
                                          .metrics = metrics,
                                          .create = create,
                                          .replicate = replicate,
                                          .destroy = destroy};
static const struct nova_plugin plugin = {.struct_size = sizeof(plugin),
                                          .kind = NOVA_KIND_BENCHMARK,
                                          .thread_model = NOVA_THREADS_PARALLEL,
                                          .name = SELF,
                                          .version = "1",
                                          .license = "MIT",
                                          .summary = "Made-up samples, for tests",
                                          .parameters = parameters,
                                          .ops = &ops};
NOVA_PLUGIN(NOVA_KIND_BENCHMARK, plugin)
