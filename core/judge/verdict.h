/* SPDX-License-Identifier: MIT */
/*
 * What of a result is judged: bounds against a goal, and one side against another. Internal to
 * core/judge; the rules are in result.h.
 */
#ifndef NOVACORE_JUDGE_VERDICT_H
#define NOVACORE_JUDGE_VERDICT_H

#include "core/base/base.h"

#include <stddef.h>

/* Where the truth may lie, from best to worst; infinite where failures decide. */
struct nova_bounds {
	double best, worst;
	bool interval; /* else: the least and the greatest value */
};

/*
 * The verdict on `bounds` by a goal {pass, acceptable|null}; "none" without one. Appends to `why`
 * what an inconclusive one lacks. `unit`: NOVA_UNIT_*.
 */
const char *nova_verdict(const struct nova_bounds *bounds, const json_t *goal, bool lower,
                         uint32_t unit, struct nova_text *why);

/* One metric on one side of a step: the successful samples that count, each with its block. */
struct nova_side_values {
	const char *side; /* as the document names it */
	const double *values;
	const uint32_t *blocks;
	size_t count;
};
/* What each side has in each block, in order of blocks: the median of its samples there, NAN if it
 * has none. Blocks that no side has a value in are left out. */
struct nova_blocks {
	double *a, *b;
	size_t count;
};
void nova_blocks_pair(const struct nova_side_values *a, const struct nova_side_values *b,
                      struct nova_blocks *blocks);
void nova_blocks_free(struct nova_blocks *blocks);

/*
 * A member of a step's `comparisons`: `b` against `a`, paired by block; a side's value in a block
 * is the median of its samples there. `overhead`: how much b loses against a, else the ratio b / a.
 * Blocks that only one side has a value in count as worse than any where there is a goal. The
 * caller's.
 */
json_t *nova_comparison(const char *metric, bool lower, bool overhead,
                        const struct nova_side_values *a, const struct nova_side_values *b,
                        double level, uint64_t seed, const json_t *goal);

#endif
