/* SPDX-License-Identifier: MIT */
/*
 * How many VMs a comparison needs and how long they take, from figures that are given or from what
 * the newest run of a benchmark says: how long a replicate took, how a metric's values spread.
 */
#ifndef NOVACORE_JUDGE_SAMPLES_H
#define NOVACORE_JUDGE_SAMPLES_H

#include "core/store/store.h"

#include <math.h>

/* NULL: any; `metric` NULL: no values. */
struct nova_earlier_query {
	const char *benchmark, *plugin, *metric;
};
struct nova_earlier {
	char run[37], benchmark[65], plugin[65]; /* run is "" if none was asked for */
	int64_t started_utc_ns;
	bool simulated;
	int64_t replicate_ns; /* of the step's time, warm-ups and native sides included */
	uint32_t at_once;     /* VMs in a replicate */
	double *values;       /* one a VM of the side vm or a: the median of its samples */
	size_t count;
	size_t failed; /* VMs without any value */
};
/* The newest run that has finished such a step. NOVA_E_NOT_FOUND: there is none. `found` is to be
 * cleared in any case. */
int nova_earlier_find(struct nova_store *store, const struct nova_earlier_query *query,
                      struct nova_earlier *found, struct nova_error *error);
void nova_earlier_clear(struct nova_earlier *earlier);

struct nova_samples_request {
	double effect, alpha, power, rho; /* as in nova_stats_samples */
	bool paired;
	double cv;        /* NAN: that of query.metric */
	double per_vm_ns; /* 0: that of query.benchmark or query.metric, if any */
	uint32_t at_once; /* 0: as in that run, else 1 */
	struct nova_earlier_query query;
};
struct nova_samples_plan {
	struct nova_earlier earlier;
	double cv, cv_low, cv_high; /* the interval at `level` by bootstrap; NAN: none, see why */
	char cv_why[80];
	size_t count, count_high; /* VMs a side; at cv_high, 0 without */
	uint32_t at_once;
	double each_ns, time_ns; /* of one VM, of all of both sides; 0: not known */
	double level;            /* of all intervals here */
	size_t least_median, least_p95, least_p99; /* the least n for an interval, for bounds */
};
/*
 * `store` may be NULL if the query is empty. NOVA_E_NOT_FOUND: no such run; NOVA_E_INVALID: its
 * values do not vary, a figure is out of range, or more than 10^12 VMs. `plan` is to be cleared in
 * any case.
 */
int nova_samples_make(struct nova_store *store, const struct nova_samples_request *request,
                      struct nova_samples_plan *plan, struct nova_error *error);
void nova_samples_clear(struct nova_samples_plan *plan);

#endif
