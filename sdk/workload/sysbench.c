/* SPDX-License-Identifier: MIT */
/* What sysbench 1.0 prints at its end, line by line. */
#include <novacore/workload/sysbench.h>

#include <stdio.h>

#define MEBIBYTE 1048576.0

/* The lines that every test has; the last of them is the last of the report. */
static void read_common(struct nova_report *report, uint32_t threads, struct nova_sysbench *common)
{
	double fairness[2];
	double ran = nova_report_number(report, "Number of threads: #");

	if (ran != threads)
		nova_report_fail(report, "it is of %.0f threads, not of %u", ran, threads);
	common->total_s = nova_report_positive(report, "total time: #s");
	common->events = nova_report_positive(report, "total number of events: #");
	common->latency_min_s = nova_report_number(report, "min: #") / 1e3;
	common->latency_avg_s = nova_report_number(report, "avg: #") / 1e3;
	common->latency_max_s = nova_report_number(report, "max: #") / 1e3;
	common->latency_p95_s = nova_report_number(report, "95th percentile: #") / 1e3;
	nova_report_number(report, "sum: #");
	nova_report_line(report, "events (avg/stddev): #/#", fairness);
	nova_report_line(report, "execution time (avg/stddev): #/#", fairness);
	if (common->latency_min_s > common->latency_avg_s ||
	    common->latency_avg_s > common->latency_max_s)
		nova_report_fail(report, "its latencies are not in order");
}

static int end(struct nova_report *report, const struct nova_sysbench *found, double rate,
               struct nova_sysbench *common, double *out)
{
	if (report->why[0])
		return -1;
	*common = *found;
	*out = rate;
	return 0;
}

int nova_sysbench_cpu(struct nova_report *report, uint32_t threads, uint64_t prime,
                      struct nova_sysbench *common, double *per_s)
{
	struct nova_sysbench found;
	double rate, limit;

	read_common(report, threads, &found);
	limit = nova_report_number(report, "Prime numbers limit: #");
	if (limit != (double)prime)
		nova_report_fail(report, "its primes are up to %.0f, not to %llu", limit,
		                 (unsigned long long)prime);
	rate = nova_report_positive(report, "events per second: #");
	return end(report, &found, rate, common, per_s);
}

int nova_sysbench_memory(struct nova_report *report, uint32_t threads, const char *operation,
                         struct nova_sysbench *common, double *bytes_per_s)
{
	struct nova_sysbench found;
	double values[2] = {0};
	char pattern[64];

	read_common(report, threads, &found);
	snprintf(pattern, sizeof(pattern), "operation: %s", operation);
	nova_report_line(report, pattern, NULL);
	nova_report_line(report, "Total operations: # (# per second)", values);
	nova_report_line(report, "# MiB transferred (# MiB/sec)", values);
	if (values[1] <= 0)
		nova_report_fail(report, "it says that nothing was moved");
	return end(report, &found, values[1] * MEBIBYTE, common, bytes_per_s);
}
