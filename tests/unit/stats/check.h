/* SPDX-License-Identifier: MIT */
/* What the tests of core/stats share: comparing doubles, and draws of their own. */
#ifndef NOVACORE_TEST_STATS_CHECK_H
#define NOVACORE_TEST_STATS_CHECK_H

#include "core/base/base.h"
#include "core/stats/stats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* cmocka's own compares as float. Equal infinities are near. */
#define assert_near(actual, expected, tolerance)                                                   \
	do {                                                                                       \
		double a_ = (actual), e_ = (expected);                                             \
		if (a_ != e_ && !(fabs(a_ - e_) <= (tolerance)))                                   \
			fail_msg("%s is %.15g, not %.15g", #actual, a_, e_);                       \
	} while (0)

/* The simulations draw with splitmix64, as core/base's seeds do. */
struct source {
	uint64_t seed, drawn;
};

static inline double draw(struct source *source)
{
	uint64_t bits = nova_seed_derive(source->seed, source->drawn++);

	return ((double)(bits >> 11) + 0.5) * 0x1p-53;
}

/* Box & Muller (1958). */
static inline double draw_normal(struct source *source)
{
	double radius = sqrt(-2 * log(draw(source)));

	return radius * cos(2 * M_PI * draw(source));
}

/* How far a share of `trials` may be from `expected`: five standard deviations, one false alarm
 * in two million. */
static inline double sampling_error(double expected, unsigned trials)
{
	return 5 * sqrt(expected * (1 - expected) / trials);
}

#endif
