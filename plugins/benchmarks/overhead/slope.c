/* SPDX-License-Identifier: MIT */
/* See slope.h. */
#include "slope.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double overhead_slope(const double *values, uint32_t count, int from_nothing)
{
	size_t pairs = (size_t)count * (count + 1) / 2, used = 0;
	double *slopes, median;

	if (count < 2 || count > OVERHEAD_VMS_MOST)
		return NAN;
	slopes = malloc(pairs * sizeof(*slopes));
	if (!slopes)
		return NAN;
	for (uint32_t i = 0; i < count; i++) {
		if (from_nothing)
			slopes[used++] = values[i] / (i + 1);
		for (uint32_t j = i + 1; j < count; j++)
			slopes[used++] = (values[j] - values[i]) / (j - i);
	}
	for (size_t i = 0; i < used; i++)
		if (!isfinite(slopes[i])) {
			free(slopes);
			return NAN;
		}
	qsort(slopes, used, sizeof(*slopes), compare);
	median = used % 2 ? slopes[used / 2] : (slopes[used / 2 - 1] + slopes[used / 2]) / 2;
	free(slopes);
	return median;
}
