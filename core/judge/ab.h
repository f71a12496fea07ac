/* SPDX-License-Identifier: MIT */
/*
 * What the test of A against B says of the blocks that there are. `ab` is the plan's; the order of
 * blocks is that of time; `lower`: lower is better.
 */
#ifndef NOVACORE_JUDGE_AB_H
#define NOVACORE_JUDGE_AB_H

#include "core/judge/verdict.h"
#include "core/stats/stats.h"

/* Has the test decided, with these blocks beside those that it has had? `*test` NULL: the first.
 * nova_sequential_free. */
bool nova_ab_decides(const json_t *ab, bool lower, const struct nova_side_values *a,
                     const struct nova_side_values *b, struct nova_sequential **test);
/* The member `ab` of a step of the result. The caller's. */
json_t *nova_ab_said(const json_t *ab, bool lower, const struct nova_side_values *a,
                     const struct nova_side_values *b);

#endif
