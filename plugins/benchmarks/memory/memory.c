/* SPDX-License-Identifier: MIT */
/*
 * How fast a VM moves memory, and this host with as many of its CPUs: sysbench's reads and writes,
 * in order and at random, and stress-ng's stream, which is made after STREAM (copy, scale, add,
 * triad over arrays that no cache holds).
 */
#include <stdio.h>
#include <stdlib.h>

#include <novacore/workload/sysbench.h>
#include <novacore/workload/workload.h>

#include "stream.h"

/* --- metrics ------------------------------------------------------------------------------ */

NOVA_WORKLOAD_METRIC(READ_SEQ, BYTE_PER_SECOND, HIGHER, "memory.read.seq",
                     "What sysbench memory reads in order, all threads together");
NOVA_WORKLOAD_METRIC(WRITE_SEQ, BYTE_PER_SECOND, HIGHER, "memory.write.seq",
                     "What sysbench memory writes in order, all threads together");
NOVA_WORKLOAD_METRIC(READ_RAND, BYTE_PER_SECOND, HIGHER, "memory.read.rand",
                     "What sysbench memory reads at random places, all threads together");
NOVA_WORKLOAD_METRIC(WRITE_RAND, BYTE_PER_SECOND, HIGHER, "memory.write.rand",
                     "What sysbench memory writes at random places, all threads together");
NOVA_WORKLOAD_METRIC(STREAM, BYTE_PER_SECOND, HIGHER, "memory.stream",
                     "What the four kernels of stress-ng's stream read and write, all threads "
                     "together");
NOVA_WORKLOAD_HOST_METRICS("memory");

static const struct nova_metric *const METRICS[] = {
        &READ_SEQ,       &WRITE_SEQ,    &READ_RAND,  &WRITE_RAND,  &STREAM,
        &HOST_FREQUENCY, &HOST_CELSIUS, &HOST_STEAL, &GUEST_STEAL, NULL};
static const struct nova_metric *const MEASURED[] = {&READ_SEQ,   &WRITE_SEQ, &READ_RAND,
                                                     &WRITE_RAND, &STREAM,    NULL};
/* Without the stream, and the stream alone. */
static const struct nova_metric *const MEASURED_LESS[] = {&READ_SEQ, &WRITE_SEQ, &READ_RAND,
                                                          &WRITE_RAND, NULL};

static const struct nova_workload_program PROGRAMS[] = {
        {"sysbench", "sysbench"}, {"stress-ng", "stress-ng"}, {NULL, NULL}};

#define KIND(variable, measured_)                                                                  \
	static const struct nova_workload_kind variable = {                                        \
	        .name = "memory",                                                                  \
	        .programs = PROGRAMS,                                                              \
	        .measured = (measured_),                                                           \
	        .frequency = &HOST_FREQUENCY,                                                      \
	        .celsius = &HOST_CELSIUS,                                                          \
	        .steal = &HOST_STEAL,                                                              \
	        .guest_steal = &GUEST_STEAL,                                                       \
	}
KIND(WHOLE, MEASURED);
KIND(LESS, MEASURED_LESS);

static const struct {
	const char *operation, *mode;
	const struct nova_metric *metric;
} PASSES[] = {
        {"read", "seq", &READ_SEQ},
        {"write", "seq", &WRITE_SEQ},
        {"read", "rnd", &READ_RAND},
        {"write", "rnd", &WRITE_RAND},
};

/* --- parameters --------------------------------------------------------------------------- */

NOVA_WORKLOAD_PARAMETER(P_BLOCK, SIZE, "block", "1MiB",
                        "Memory that each thread of sysbench works in, over and over",
                        .minimum = "1KiB", .maximum = "1GiB");
NOVA_WORKLOAD_PARAMETER(P_DURATION, DURATION, "duration", "2s",
                        "How long each of sysbench's four passes runs, in whole seconds",
                        .minimum = "1s", .maximum = "1h");
NOVA_WORKLOAD_PARAMETER(P_STREAM, BOOLEAN, "stream", "true", "Run stress-ng's stream, too");
NOVA_WORKLOAD_PARAMETER(P_STREAM_CACHE, SIZE, "stream_cache", "8MiB",
                        "The cache that stream's arrays must not fit in; together they take twelve "
                        "times as much of the VM's memory",
                        .minimum = "1MiB", .maximum = "4GiB");
NOVA_WORKLOAD_PARAMETER(P_STREAM_DURATION, DURATION, "stream_duration", "10s",
                        "How long the stream runs, in whole seconds; stress-ng tells no rate for "
                        "less than 5",
                        .minimum = "5s", .maximum = "1h");

static const struct nova_parameter *const PARAMETERS[] = {
        &nova_workload_threads, &P_BLOCK,           &P_DURATION,         &P_STREAM,
        &P_STREAM_CACHE,        &P_STREAM_DURATION, &nova_workload_cpus, NULL};

/* --- the benchmark ------------------------------------------------------------------------ */

struct memory {
	struct nova_workload work;
	int64_t block_bytes, duration_ns, stream, cache_bytes, stream_ns;
};

static void destroy(void *context)
{
	struct memory *self = context;

	nova_workload_free(&self->work);
	free(self);
}

static int create(const struct nova_host *host, const struct nova_lab *lab, nova_run run,
                  void **out)
{
	struct memory *self = calloc(1, sizeof(*self));
	int status;

	if (!self)
		return host->error(run, NOVA_E_MEMORY, "out of memory");
	self->block_bytes = 1 << 20;
	self->duration_ns = 2 * NOVA_WORKLOAD_SECOND_NS;
	self->stream = 1;
	self->cache_bytes = 8 << 20;
	self->stream_ns = 10 * NOVA_WORKLOAD_SECOND_NS;
	host->param_i64(run, "block", 0, &self->block_bytes);
	host->param_i64(run, "duration", 0, &self->duration_ns);
	host->param_i64(run, "stream", 0, &self->stream);
	host->param_i64(run, "stream_cache", 0, &self->cache_bytes);
	host->param_i64(run, "stream_duration", 0, &self->stream_ns);
	status = nova_workload_create(&self->work, self->stream ? &WHOLE : &LESS, host, lab, run);
	if (status != NOVA_DONE) {
		destroy(self);
		return status;
	}
	*out = self;
	return NOVA_DONE;
}

static void reject(struct nova_workload *work, const struct nova_metric *const *metrics,
                   const char *whose, const struct nova_report *report)
{
	char why[300];

	snprintf(why, sizeof(why), "%s report is not what it should be: %s", whose, report->why);
	nova_workload_reject(work, metrics, why);
}

static int pass(struct memory *self, size_t number)
{
	struct nova_workload *work = &self->work;
	const struct nova_metric *metrics[] = {PASSES[number].metric, NULL};
	char block[48], operation[48], mode[48], threads[48], seconds[48];
	/* the total is never reached: the time ends it */
	const char *argv[] = {"sysbench",
	                      "memory",
	                      block,
	                      "--memory-total-size=1000000T",
	                      "--memory-scope=local",
	                      operation,
	                      mode,
	                      threads,
	                      seconds,
	                      "--events=0",
	                      "run",
	                      NULL};
	struct nova_report report;
	struct nova_sysbench common;
	double bytes_per_s;

	snprintf(block, sizeof(block), "--memory-block-size=%lld", (long long)self->block_bytes);
	snprintf(operation, sizeof(operation), "--memory-oper=%s", PASSES[number].operation);
	snprintf(mode, sizeof(mode), "--memory-access-mode=%s", PASSES[number].mode);
	snprintf(threads, sizeof(threads), "--threads=%u", work->threads);
	snprintf(seconds, sizeof(seconds), "--time=%lld",
	         (long long)nova_workload_whole_seconds(self->duration_ns));
	if (nova_workload_run(work, argv, self->duration_ns, metrics) != NOVA_DONE)
		return work->stop;
	report = (struct nova_report){.text = work->output, .bytes = work->output_bytes};
	if (nova_sysbench_memory(&report, work->threads, PASSES[number].operation, &common,
	                         &bytes_per_s) == 0)
		nova_workload_put(work, PASSES[number].metric, bytes_per_s);
	else
		reject(work, metrics, "sysbench's", &report);
	return work->stop;
}

/* stress-ng gives the stressors' mean; they ran side by side. */
static void stream(struct memory *self)
{
	static const struct nova_metric *const metrics[] = {&STREAM, NULL};
	struct nova_workload *work = &self->work;
	char threads[24], cache[32], seconds[32];
	const char *argv[] = {"stress-ng", "--stream",  threads,  "--stream-l3-size", cache, "-t",
	                      seconds,     "--metrics", "--yaml", "/proc/self/fd/1",  NULL};
	struct nova_report report;
	double bytes_per_s;

	snprintf(threads, sizeof(threads), "%u", work->threads);
	snprintf(cache, sizeof(cache), "%lldK", (long long)self->cache_bytes / 1024);
	snprintf(seconds, sizeof(seconds), "%llds",
	         (long long)nova_workload_whole_seconds(self->stream_ns));
	if (nova_workload_run(work, argv, self->stream_ns, metrics) != NOVA_DONE)
		return;
	report = (struct nova_report){.text = work->output, .bytes = work->output_bytes};
	if (memory_read_stream(&report, &bytes_per_s) == 0)
		nova_workload_put(work, &STREAM, bytes_per_s * work->threads);
	else
		reject(work, metrics, "stress-ng's", &report);
}

static int replicate(void *context, nova_run run, uint32_t index, uint32_t side)
{
	struct memory *self = context;
	int stop = nova_workload_begin(&self->work, side);

	(void)run;
	(void)index;
	for (size_t i = 0; i < sizeof(PASSES) / sizeof(PASSES[0]) && stop == NOVA_DONE; i++)
		stop = pass(self, i);
	if (stop == NOVA_DONE && self->stream)
		stream(self);
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

static const struct nova_plugin MEMORY = {
        .struct_size = sizeof(MEMORY),
        .kind = NOVA_KIND_BENCHMARK,
        .thread_model = NOVA_THREADS_PARALLEL,
        .name = "memory",
        .version = "1",
        .summary = "Moving memory in fresh VMs and on this host: sysbench memory, stress-ng stream",
        .license = "MIT",
        .parameters = PARAMETERS,
        .ops = &BENCHMARK,
};

NOVA_PLUGIN(NOVA_KIND_BENCHMARK, MEMORY)
