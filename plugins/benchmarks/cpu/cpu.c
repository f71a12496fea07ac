/* SPDX-License-Identifier: MIT */
/*
 * How fast a VM computes, and this host on as many of its CPUs: sysbench's search for primes, which
 * stays in the CPU's first cache and asks nothing of kernel or devices.
 */
#include <stdio.h>
#include <stdlib.h>

#include <novacore/workload/sysbench.h>
#include <novacore/workload/workload.h>

/* --- metrics ------------------------------------------------------------------------------ */

NOVA_WORKLOAD_METRIC(RATE, PER_SECOND, HIGHER, "cpu.rate",
                     "Events per second of sysbench cpu, all threads together; an event looks for "
                     "the primes up to `prime`");
NOVA_WORKLOAD_METRIC(LATENCY_AVERAGE, SECOND, LOWER, "cpu.latency.average",
                     "Mean time of one event in its thread");
NOVA_WORKLOAD_METRIC(LATENCY_P95, SECOND, LOWER, "cpu.latency.p95",
                     "95th percentile of the time of one event, by sysbench's histogram");
NOVA_WORKLOAD_METRIC(LATENCY_MAXIMUM, SECOND, LOWER, "cpu.latency.maximum",
                     "Longest time of one event");
NOVA_WORKLOAD_HOST_METRICS("cpu");

static const struct nova_metric *const MEASURED[] = {&RATE, &LATENCY_AVERAGE, &LATENCY_P95,
                                                     &LATENCY_MAXIMUM, NULL};
static const struct nova_metric *const METRICS[] = {&RATE,
                                                    &LATENCY_AVERAGE,
                                                    &LATENCY_P95,
                                                    &LATENCY_MAXIMUM,
                                                    &HOST_FREQUENCY,
                                                    &HOST_CELSIUS,
                                                    &HOST_STEAL,
                                                    &GUEST_STEAL,
                                                    NULL};

static const struct nova_workload_program PROGRAMS[] = {{"sysbench", "sysbench"}, {NULL, NULL}};

static const struct nova_workload_kind KIND = {
        .name = "cpu",
        .programs = PROGRAMS,
        .measured = MEASURED,
        .frequency = &HOST_FREQUENCY,
        .celsius = &HOST_CELSIUS,
        .steal = &HOST_STEAL,
        .guest_steal = &GUEST_STEAL,
};

/* --- parameters --------------------------------------------------------------------------- */

NOVA_WORKLOAD_PARAMETER(P_PRIME, INTEGER, "prime", "20000",
                        "Each event looks for the primes up to this number", .minimum = "100",
                        .maximum = "1000000");
NOVA_WORKLOAD_PARAMETER(P_DURATION, DURATION, "duration", "5s",
                        "How long the load runs, in whole seconds", .minimum = "1s",
                        .maximum = "1h");
static const struct nova_parameter *const PARAMETERS[] = {&nova_workload_threads, &P_PRIME,
                                                          &P_DURATION, &nova_workload_cpus, NULL};

/* --- the benchmark ------------------------------------------------------------------------ */

struct cpu {
	struct nova_workload work;
	int64_t prime, duration_ns;
};

static void destroy(void *context)
{
	struct cpu *self = context;

	nova_workload_free(&self->work);
	free(self);
}

static int create(const struct nova_host *host, const struct nova_lab *lab, nova_run run,
                  void **out)
{
	struct cpu *self = calloc(1, sizeof(*self));
	int status;

	if (!self)
		return host->error(run, NOVA_E_MEMORY, "out of memory");
	status = nova_workload_create(&self->work, &KIND, host, lab, run);
	if (status != NOVA_DONE) {
		destroy(self);
		return status;
	}
	self->prime = 20000;
	self->duration_ns = 5 * NOVA_WORKLOAD_SECOND_NS;
	host->param_i64(run, "prime", 0, &self->prime);
	host->param_i64(run, "duration", 0, &self->duration_ns);
	*out = self;
	return NOVA_DONE;
}

static void read_report(struct cpu *self)
{
	struct nova_workload *work = &self->work;
	struct nova_report report = {.text = work->output, .bytes = work->output_bytes};
	struct nova_sysbench common;
	double per_s;
	char why[300];

	if (nova_sysbench_cpu(&report, work->threads, (uint64_t)self->prime, &common, &per_s) !=
	    0) {
		snprintf(why, sizeof(why), "sysbench's report is not what it should be: %s",
		         report.why);
		nova_workload_reject(work, MEASURED, why);
		return;
	}
	nova_workload_put(work, &RATE, per_s);
	nova_workload_put(work, &LATENCY_AVERAGE, common.latency_avg_s);
	nova_workload_put(work, &LATENCY_P95, common.latency_p95_s);
	nova_workload_put(work, &LATENCY_MAXIMUM, common.latency_max_s);
}

static int replicate(void *context, nova_run run, uint32_t index, uint32_t side)
{
	struct cpu *self = context;
	char prime[48], threads[48], seconds[48];
	const char *argv[] = {"sysbench", "cpu",        prime, threads,
	                      seconds,    "--events=0", "run", NULL};

	(void)run;
	(void)index;
	snprintf(prime, sizeof(prime), "--cpu-max-prime=%lld", (long long)self->prime);
	snprintf(threads, sizeof(threads), "--threads=%u", self->work.threads);
	snprintf(seconds, sizeof(seconds), "--time=%lld",
	         (long long)nova_workload_whole_seconds(self->duration_ns));
	if (nova_workload_begin(&self->work, side) == NOVA_DONE &&
	    nova_workload_run(&self->work, argv, self->duration_ns, MEASURED) == NOVA_DONE)
		read_report(self);
	return nova_workload_end(&self->work);
}

static const char *const NEEDS[] = {NOVA_CAN_CREATE, NOVA_CAN_START, NOVA_CAN_READY, NOVA_CAN_EXEC,
                                    NULL};

static const struct nova_benchmark BENCHMARK = {
        .struct_size = sizeof(BENCHMARK),
        .flags = NOVA_BENCHMARK_NATIVE,
        .targets_min = 1,
        .needs = NEEDS,
        .metrics = METRICS,
        .create = create,
        .replicate = replicate,
        .destroy = destroy,
};

static const struct nova_plugin CPU = {
        .struct_size = sizeof(CPU),
        .kind = NOVA_KIND_BENCHMARK,
        .thread_model = NOVA_THREADS_PARALLEL,
        .name = "cpu",
        .version = "1",
        .summary = "Computing in fresh VMs and on this host: sysbench cpu",
        .license = "MIT",
        .parameters = PARAMETERS,
        .ops = &BENCHMARK,
};

NOVA_PLUGIN(NOVA_KIND_BENCHMARK, CPU)
