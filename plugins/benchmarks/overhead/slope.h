/* SPDX-License-Identifier: MIT */
/* What one more VM adds. */
#ifndef NOVACORE_OVERHEAD_SLOPE_H
#define NOVACORE_OVERHEAD_SLOPE_H

#include <stdint.h>

#define OVERHEAD_VMS_MOST 256u

/*
 * The slope of a line through values[0…count-1], which stand for 1, 2, … VMs, and, with
 * `from_nothing`, a 0 for none of them: the median of the slopes between each two of them (Theil
 * 1950, Sen 1968). One value that is off, where something else happened on this host, does not bend
 * it. Time O(count² log count).
 * @param count 2 … OVERHEAD_VMS_MOST
 * @return per VM; NAN: out of memory, or another count
 */
double overhead_slope(const double *values, uint32_t count, int from_nothing);

#endif
