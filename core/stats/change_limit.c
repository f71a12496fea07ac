/* SPDX-License-Identifier: MIT */
/*
 * How much evidence a change must show. bench/change_limits.c made the table by simulation: `build/
 * bench/change_limits` prints its rows again.
 *
 * The limits are for looking at a series again after every new point, so they spend what a
 * sensitivity promises over all looks together: that much on those at 20 to 100 points, more of it
 * on the later ones, and on all looks beyond about as much again, by limits that grow with log n
 * (what is exceeded by chance grows as fast: P(evidence > x) falls like e^(-x/2)).
 */
#include "core/stats/change.h"

#include <math.h>

#define FIRST NOVA_STATS_CHANGES_NEED
#define APART 5
#define NODES 17
#define LAST  (FIRST + APART * (NODES - 1))
/* Beyond LAST, for each e-fold of points. */
#define GROWTH 3.0

static const double promised[] = {0.001, 0.01, 0.05};

static const double limits[][NODES] = {
        {47.0, 47.2, 46.2, 43.6, 41.4, 39.5, 37.6, 34.6, 32.0, 29.6, 28.8, 28.1, 27.4, 26.1, 25.1,
         24.5, 24.1},
        {36.7, 36.3, 34.7, 32.2, 29.9, 27.9, 26.1, 23.9, 22.1, 20.6, 19.7, 19.0, 18.5, 17.8, 17.5,
         17.1, 16.8},
        {30.6, 29.8, 28.1, 25.4, 22.9, 20.8, 19.0, 17.4, 16.3, 15.4, 14.7, 14.2, 13.8, 13.5, 13.1,
         12.8, 12.7},
};

static double limit(size_t count, size_t row)
{
	double at = ((double)count - FIRST) / APART, part = at - floor(at);
	size_t node = (size_t)at;

	if (count < FIRST)
		return INFINITY;
	if (count >= LAST)
		return limits[row][NODES - 1] + GROWTH * log((double)count / LAST);
	return limits[row][node] * (1 - part) + limits[row][node + 1] * part;
}

double nova_change_limit(size_t count, enum nova_sensitivity sensitivity)
{
	return limit(count, (size_t)sensitivity - 1);
}

/* What is rarer was not simulated. */
#define LEAST_P 1e-6

/* log p falls linearly with evidence: on the line through the two limits next to it. */
double nova_change_p(size_t count, double evidence)
{
	size_t high = evidence > limit(count, 1) ? 0 : 1; /* the row of more evidence */
	double x0, x1, y0, y1;

	if (count < FIRST)
		return 1;
	x0 = limit(count, high);
	x1 = limit(count, high + 1);
	y0 = log(promised[high]);
	y1 = log(promised[high + 1]);
	return fmax(LEAST_P, fmin(1, exp(y0 + (evidence - x0) * (y1 - y0) / (x1 - x0))));
}
