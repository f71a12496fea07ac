/* SPDX-License-Identifier: MIT */
/*
 * What the files of change points share: the test of one interval for one change, and the limits
 * that its evidence must pass. Nothing outside the room includes this but its tests and the bench
 * that makes the limits.
 */
#ifndef NOVACORE_STATS_CHANGE_H
#define NOVACORE_STATS_CHANGE_H

#include "core/stats/stats.h"

/* The best place for one change of level in an interval. */
struct nova_scan {
	size_t split;    /* first point of the new level, 0: there cannot be one */
	double evidence; /* twice the log likelihood ratio, ≥ 0 */
	double phi;      /* lag-1 autocorrelation about the two levels, corrected for its bias */
};

/* Of count ≥ 1 values, in any order; `room` has place for as many. O(count). */
double nova_change_median(const double *values, size_t count, double *room);

/*
 * Tests `values` (count ≥ 2 · minimum_segment, finite) for one change, at least `minimum_segment`
 * points from either end. `room` has place for 2 · count values. O(count) time.
 */
void nova_change_scan(const double *values, size_t count, size_t minimum_segment, double *room,
                      struct nova_scan *scan);

/*
 * Where the change is, given that there is one and that noise has autocorrelation `phi`, and the
 * places [low, high] that the series cannot tell from it (a 95 % set). Same `values` and `room`.
 */
struct nova_place_of_change {
	size_t split, low, high;
	double evidence;
};
void nova_change_locate(const double *values, size_t count, size_t minimum_segment, double phi,
                        double *room, struct nova_place_of_change *place);

/* The evidence above which a change is reported in a series that is `count` points long, having
 * been looked at from NOVA_STATS_CHANGES_NEED points on. */
double nova_change_limit(size_t count, enum nova_sensitivity sensitivity);
/* The chance that a series without a change shows so much evidence at any look. */
double nova_change_p(size_t count, double evidence);

#endif
