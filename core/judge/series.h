/* SPDX-License-Identifier: MIT */
/*
 * Series of values over time as history, acknowledgements and ranks need them. Internal to
 * core/judge.
 */
#ifndef NOVACORE_JUDGE_SERIES_H
#define NOVACORE_JUDGE_SERIES_H

#include "core/judge/judge.h"
#include "core/stats/stats.h"

struct point {
	char run[37];
	uint32_t step;
	int64_t started_utc_ns;
	uint32_t n, attempted;
	double value, low, high;
};

/* Values that mean the same, made under the same circumstances, in order of time. */
struct series {
	char hash[65];
	char where[65], host[65], measurement[65], benchmark[65];
	char metric[97], unit[8], better[8], source[129], accel[33];
	uint32_t side;
	int64_t revision;
	bool simulated;
	json_t *targets, *params;
	struct point *points; /* one a run */
	size_t count;
	size_t gaps; /* runs in which none succeeded */
};

struct series_list {
	struct series *items;
	size_t count;
	json_t *index; /* hash → number */
};

/* All series of `metric` (NULL: of all metrics). Reduces first what is not reduced yet. O(values).
 */
int series_read(struct nova_store *store, const char *metric, struct series_list *list,
                struct nova_error *error);
void series_free(struct series_list *list);
const char *series_side(const struct series *series);
/* The change points of a series: how many; `*changes` is the caller's. */
size_t series_changes(const struct series *series, const struct nova_judging *judging,
                      struct nova_change_point **changes);
/* Of a change point: of the series, and the run at which it begins. */
void series_change_id(const struct series *series, const struct nova_change_point *change,
                      char id[17]);

/* NOVA_E_NOT_FOUND, with the nearest metric that was measured. */
int nova_metric_unknown(struct nova_store *store, const char *metric, struct nova_error *error);
/* SHA-256 of what a machine says of itself among the facts of *where*. */
void nova_host_hash(const json_t *where, char hash[65]);

#endif
