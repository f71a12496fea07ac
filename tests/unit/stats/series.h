/* SPDX-License-Identifier: MIT */
/*
 * Series to try statistics on: noise of many shapes, autocorrelated or not, seeded. For the tests
 * and for bench/, so that both speak of the same series.
 */
#ifndef NOVACORE_TEST_SERIES_H
#define NOVACORE_TEST_SERIES_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

enum series_noise {
	SERIES_NORMAL,
	SERIES_SPIKES,     /* normal, and 2 % of points 8 standard deviations higher */
	SERIES_SPIKES_TWO, /* the same, either way */
	SERIES_STUDENT,    /* t with 3 degrees of freedom */
	SERIES_LAPLACE,
	SERIES_UNIFORM,
	SERIES_LOGNORMAL, /* sigma 0.5 */
	SERIES_EXPONENTIAL,
	SERIES_ROUNDED, /* seven different values */
	SERIES_NOISES
};
static const char *const series_names[SERIES_NOISES] = {
        "normal",  "2 % spikes", "2 % spikes, two-sided", "Student's t, 3", "Laplace",
        "uniform", "lognormal",  "exponential",           "rounded"};

struct series_random {
	uint64_t state;
	double spare; /* Box & Muller make two normal values at a time */
	int has_spare;
};

/* splitmix64 (Steele, Lea & Flood 2014), in (0, 1). */
static inline double series_uniform(struct series_random *random)
{
	uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return ((double)((z ^ (z >> 31)) >> 12) + 0.5) * 0x1p-52;
}

static inline double series_normal(struct series_random *random)
{
	double radius, angle;

	if (random->has_spare) {
		random->has_spare = 0;
		return random->spare;
	}
	radius = sqrt(-2 * log(series_uniform(random)));
	angle = 6.283185307179586 * series_uniform(random);
	random->spare = radius * sin(angle);
	random->has_spare = 1;
	return radius * cos(angle);
}

/* A normal value made one of another shape, of a scale near 1. */
static inline double series_shape(enum series_noise noise, double normal,
                                  struct series_random *random)
{
	double u = 0.5 * erfc(-normal * M_SQRT1_2), squares = 0;

	switch (noise) {
	case SERIES_SPIKES: return normal + (series_uniform(random) < 0.02 ? 8 : 0);
	case SERIES_SPIKES_TWO:
		if (series_uniform(random) >= 0.02)
			return normal;
		return normal + (series_uniform(random) < 0.5 ? 8 : -8);
	case SERIES_STUDENT:
		for (int i = 0; i < 3; i++) {
			double one = series_normal(random);

			squares += one * one;
		}
		return normal / sqrt(squares / 3);
	case SERIES_LAPLACE: return u < 0.5 ? log(2 * u) : -log(2 * (1 - u));
	case SERIES_UNIFORM: return u;
	case SERIES_LOGNORMAL: return exp(0.5 * normal);
	case SERIES_EXPONENTIAL: return -log(1 - u);
	case SERIES_ROUNDED: return round(0.9 * normal);
	case SERIES_NORMAL:
	case SERIES_NOISES: break;
	}
	return normal;
}

/* Stationary noise: a first-order autoregression with coefficient `phi`, then shaped. */
static inline void series_make(struct series_random *random, enum series_noise noise, double phi,
                               double *values, size_t count)
{
	double state = series_normal(random), innovation = sqrt(1 - phi * phi);

	for (size_t i = 0; i < count; i++) {
		if (i)
			state = phi * state + innovation * series_normal(random);
		values[i] = series_shape(noise, state, random);
	}
}

/* From noise around 0 to a level of 100 with a coefficient of variation `cv`, `step` (relative)
 * higher from `at` on. */
static inline void series_step(double *values, size_t count, double cv, size_t at, double step)
{
	for (size_t i = 0; i < count; i++)
		values[i] = 100 * (1 + (i >= at ? step : 0)) + 100 * cv * values[i];
}

#endif
