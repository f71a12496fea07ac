/* SPDX-License-Identifier: MIT */
/*
 * The ratio of two quantiles, and the coefficient of variation, each with a percentile bootstrap
 * interval (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13). No BCa: the
 * jackknife that it needs is inconsistent for quantiles.
 *
 * A resample's quantile needs no resample. It is the value with the rank r among n drawn indices,
 * and the r-th smallest of n uniform draws has the distribution Beta(r, n + 1 - r) (David &
 * Nagaraja, section 2.3): one draw in place of n.
 */
#include "core/stats/numbers.h"

#include <math.h>
#include <stdlib.h>

/* Gamma with shape ≥ 1 and scale 1: Marsaglia & Tsang, ACM TOMS 26, 2000. */
static double draw_gamma(struct nova_draws *draws, double shape)
{
	double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);

	for (;;) {
		double x = nova_draw_normal(draws), v = 1 + c * x;

		if (v <= 0)
			continue;
		v = v * v * v;
		if (log(nova_draw_uniform(draws)) < x * x / 2 + d - d * v + d * log(v))
			return d * v;
	}
}

static double resampled(const double *sorted, size_t count, double q, struct nova_draws *draws)
{
	double n = (double)count, rank = fmin(fmax(ceil(q * n - NOVA_ROUNDING), 1), n);
	double below = draw_gamma(draws, rank), above = draw_gamma(draws, n + 1 - rank);
	size_t index = (size_t)(n * below / (below + above));

	return sorted[index < count ? index : count - 1];
}

static bool carries(size_t count, const char *name, double q, double level,
                    struct nova_effect *effect)
{
	size_t needs = nova_stats_interval_needs(q, level);

	if (needs && count >= needs)
		return true;
	if (needs)
		snprintf(effect->why, sizeof(effect->why), "n too small (%s: %zu < %zu)", name,
		         count, needs);
	else
		snprintf(effect->why, sizeof(effect->why), "quantile %g or level %g out of range",
		         q, level);
	return false;
}

/* The interval from what `rounds` resamples gave. */
static void percentiles(double *found, uint32_t rounds, struct nova_effect *effect)
{
	double low = floor((1 - effect->level) / 2 * ((double)rounds + 1) + NOVA_ROUNDING);

	if (low < 1) {
		snprintf(effect->why, sizeof(effect->why), "too few resamples (%u) for level %g",
		         (unsigned)rounds, effect->level);
		return;
	}
	nova_stats_sort(found, rounds);
	effect->available = true;
	effect->low = found[(size_t)low - 1];
	effect->high = found[rounds - (size_t)low];
	effect->coverage = effect->level;
}

void nova_stats_ratio_bootstrap(const double *a, size_t a_count, const double *b, size_t b_count,
                                double q, double level, uint32_t rounds, uint64_t seed,
                                struct nova_effect *effect)
{
	struct nova_draws draws = {.seed = seed};

	nova_effect_begin(effect, level);
	if (!nova_ratio_usable(a, a_count, "a", effect->why) ||
	    !nova_ratio_usable(b, b_count, "b", effect->why))
		return;
	NOVA_AUTOFREE double *a_sorted = nova_sorted(a, a_count);
	NOVA_AUTOFREE double *b_sorted = nova_sorted(b, b_count);

	if (a_count && b_count)
		effect->value = nova_stats_quantile(b_sorted, b_count, q) /
		                nova_stats_quantile(a_sorted, a_count, q);
	if (!carries(a_count, "a", q, level, effect) || !carries(b_count, "b", q, level, effect))
		return;
	NOVA_AUTOFREE double *ratios = nova_alloc(((size_t)rounds + 1) * sizeof(*ratios));

	for (uint32_t i = 0; i < rounds; i++)
		ratios[i] = resampled(b_sorted, b_count, q, &draws) /
		            resampled(a_sorted, a_count, q, &draws);
	percentiles(ratios, rounds, effect);
}

/* --- variation ------------------------------------------------------------------------------- */

/* Two passes: a constant that is added to all values costs no digits. */
static double variation_of(const double *values, size_t count)
{
	double mean = 0, square = 0;

	for (size_t i = 0; i < count; i++)
		mean += values[i] / (double)count;
	for (size_t i = 0; i < count; i++)
		square += (values[i] - mean) * (values[i] - mean);
	return sqrt(square / ((double)count - 1)) / mean;
}

static bool varies(const double *values, size_t count, struct nova_effect *variation)
{
	double sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += values[i];
	if (count < 2)
		snprintf(variation->why, sizeof(variation->why), "n too small (%zu < 2)", count);
	else if (!(sum > 0) || !isfinite(sum))
		snprintf(variation->why, sizeof(variation->why),
		         "the values have no mean that is finite and above 0");
	return !variation->why[0];
}

void nova_stats_variation(const double *values, size_t count, double level, uint32_t rounds,
                          uint64_t seed, struct nova_effect *variation)
{
	struct nova_draws draws = {.seed = seed};

	nova_effect_begin(variation, level);
	if (!varies(values, count, variation))
		return;
	variation->value = variation_of(values, count);
	if (!carries(count, "values", 0.5, level, variation))
		return;
	NOVA_AUTOFREE double *resample = nova_alloc(count * sizeof(*resample));
	NOVA_AUTOFREE double *found = nova_alloc(((size_t)rounds + 1) * sizeof(*found));

	for (uint32_t round = 0; round < rounds; round++) {
		for (size_t i = 0; i < count; i++)
			resample[i] = values[(size_t)((double)count * nova_draw_uniform(&draws))];
		found[round] = variation_of(resample, count);
	}
	percentiles(found, rounds, variation);
}
