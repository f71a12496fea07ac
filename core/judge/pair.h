/* SPDX-License-Identifier: MIT */
/*
 * What of two sets of results stands against each other. Internal to core/judge: pair.c finds the
 * pairs, judge.c decides what they mean, baseline.c puts it into a result.
 */
#ifndef NOVACORE_JUDGE_PAIR_H
#define NOVACORE_JUDGE_PAIR_H

#include "core/judge/judge.h"

/* One metric on one side of one measurement, over all results of a contestant. */
struct cell {
	const json_t *result, *step, *metric; /* of the newest */
	double *values;                       /* of the units that succeeded */
	size_t count, lost;
	double *medians; /* of each run that has values */
	size_t runs;
	bool taken; /* stands in a pair */
};
static inline size_t cell_units(const struct cell *cell)
{
	return cell->count + cell->lost;
}

struct pair {
	const struct cell *a, *b;
	bool comparable; /* else `verdict` and `why` are there from the beginning */
	bool has_shift, has_interval;
	bool ratio;              /* else a difference, relative to the median of a */
	double badness;          /* b / a so that more is worse */
	double shift, low, high; /* relative: 0.1 is +10 % */
	char interval_why[96];
	double p, p_adjusted;
	double minimum_effect;
	const char *verdict; /* "same", "regressed", "improved", "inconclusive", "not comparable" */
	char why[256];
	bool drifted; /* the host has shifted as well */
};

struct pairs {
	struct cell *a, *b;
	size_t a_count, b_count;
	struct pair *items;
	size_t count;
	bool any_where;    /* steps of different *where* are comparable (--force) */
	bool same_targets; /* only those on targets of the same names and drivers */
};

/* Fills `pairs`; returns what has no counterpart: [{"metric", "side", "benchmark", "only": "a"}].
 * Owned by the caller. `metric` NULL: all. */
json_t *pairs_find(struct pairs *pairs, const struct nova_contestant *a,
                   const struct nova_contestant *b, const char *metric);
void pairs_free(struct pairs *pairs);
/* The side "native" of a pair's step and metric, or NULL. */
const struct pair *pairs_native_of(const struct pairs *pairs, const struct pair *vm);
/* Facts of *where* that differ, of the runs and of the steps that stand against each other:
 * [{"fact", "a", "b"}]. Owned by the caller. */
json_t *pairs_where(const struct pairs *pairs, const struct nova_contestant *a,
                    const struct nova_contestant *b);
/* Facts of *what* that differ, likewise. */
json_t *pairs_what(const struct nova_contestant *a, const struct nova_contestant *b);

/* Judges all pairs. */
void nova_pairs_judge(struct pairs *pairs, const struct nova_judging *judging);
/* One as it stands in novacore.comparison/1. Owned by the caller. */
json_t *nova_pair_json(const struct pair *pair, const struct nova_judging *judging);

#endif
