/* SPDX-License-Identifier: MIT */
/*
 * Reports of sysbench 1.0 (it has no machine-readable output), for its tests `cpu` and `memory`.
 * All or nothing: one line that is missing, doubled, cut off or another than was ordered, and there
 * are no figures, but a reason.
 *
 * Part of the workload library: linked into the plugin, not ABI. @thread any. Nothing is allocated.
 */
#ifndef NOVACORE_WORKLOAD_SYSBENCH_H
#define NOVACORE_WORKLOAD_SYSBENCH_H

#include <novacore/workload/report.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of every test. Latencies are those of one event, in seconds, to the 10 µs that it prints. */
struct nova_sysbench {
	double total_s; /* what the test took */
	double events;  /* in all threads */
	double latency_min_s, latency_avg_s, latency_max_s;
	/* From sysbench's histogram, whose steps are some per cent: it may exceed the maximum. */
	double latency_p95_s;
};

/*
 * `sysbench cpu --cpu-max-prime=PRIME --threads=THREADS run`.
 * @param per_s takes the events per second, all threads together
 * @return 0, or -1 with the reason in report->why
 */
int nova_sysbench_cpu(struct nova_report *report, uint32_t threads, uint64_t prime,
                      struct nova_sysbench *common, double *per_s);

/*
 * `sysbench memory --memory-oper=OPERATION --threads=THREADS run`, OPERATION "read" or "write".
 * @param bytes_per_s takes what all threads together moved
 * @return 0, or -1 with the reason in report->why
 */
int nova_sysbench_memory(struct nova_report *report, uint32_t threads, const char *operation,
                         struct nova_sysbench *common, double *bytes_per_s);

#ifdef __cplusplus
}
#endif

#endif
