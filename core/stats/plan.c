/* SPDX-License-Identifier: MIT */
/*
 * How many values a comparison needs, before anything is measured: the least n at which the rank
 * test finds the effect with the power asked for.
 *
 * The model: both sides log-normal with the same coefficient of variation, b's median 1 + effect
 * times a's. The rank tests see order only, so that is two normal distributions that lie
 * d = log(1 + effect) / sqrt(log(1 + cv²)) standard deviations apart. Mean and variance of the
 * statistic under that alternative are Lehmann's (Nonparametrics, 1975, sections 2.2 and 4.2); the
 * limit that it has to pass is the exact one where the test is exact. For small effects and large n
 * it is the formula of the textbooks, 2 (z_alpha/2 + z_power)² (cv / effect)² / (3/π).
 */
#include "core/stats/numbers.h"

#include <math.h>

/* P(Z₁ < x + shift and Z₂ < x + shift) over a normal x: that one value exceeds two others. The
 * trapezoid rule converges faster than any power for such a function. */
static double both_below(double shift)
{
	const double step = 1.0 / 16;
	double sum = 0;

	for (int i = -160; i <= 160; i++) {
		double x = i * step, below = nova_normal_below(x + shift);

		sum += below * below * exp(-x * x / 2);
	}
	return sum * step / sqrt(2 * M_PI);
}

/* A test of n values a side, or n pairs. */
struct design {
	bool paired;
	double d;    /* distance of the medians in standard deviations: of a side, of a pair */
	double one;  /* P(a value is above) */
	double two;  /* P(two sums are) */
	double both; /* P(two that share a value are) */
	double tail; /* of the null distribution, each side */
};

static double below_null(const void *context, double statistic)
{
	const double *n = context;

	return n[1] > 0 ? nova_signed_rank_below((size_t)n[0], statistic)
	                : nova_rank_sum_below((size_t)n[0], (size_t)n[0], statistic);
}

/* The probability that the statistic, under the alternative, passes its limit. */
static double power_of(const struct design *design, double n)
{
	double most = design->paired ? n * (n + 1) / 2 : n * n, mean, variance, limit;
	const double null[2] = {n, design->paired};

	if (design->paired) {
		double excess = design->one - design->two;

		mean = n * design->one + n * (n - 1) / 2 * design->two;
		variance = n * (n - 1) * (n - 2) * (design->both - design->two * design->two) +
		           n * (n - 1) / 2 *
		                   (2 * excess * excess + 3 * design->two * (1 - design->two)) +
		           n * design->one * (1 - design->one);
	} else {
		double one = design->one;

		mean = n * n * one;
		variance =
		        n * n * one * (1 - one) + 2 * n * n * (n - 1) * (design->both - one * one);
	}
	limit = nova_rank_limit(below_null, null, most, design->tail);
	if (limit < 1)
		return 0;
	/* It rejects above most - limit; variance 0: the sides do not overlap. */
	return nova_normal_below((mean - (most - limit + 0.5)) / sqrt(fmax(variance, 1e-9)));
}

/* Up to where the power itself is asked; beyond, n grows as 1 / d² does. */
#define COUNTED 1e6

static double least_count(const struct design *design, double power)
{
	double low = 0, high = 1;

	while (high < COUNTED && power_of(design, high) < power) {
		low = high;
		high *= 2;
	}
	while (high - low > 1) {
		double middle = floor((low + high) / 2);

		if (power_of(design, middle) < power)
			low = middle;
		else
			high = middle;
	}
	return high;
}

/* Normal theory with Mann–Whitney's (and Wilcoxon's) asymptotic relative efficiency. */
static double limit_count(const struct design *design, double alpha, double power)
{
	double z = nova_normal_quantile(1 - alpha / 2) + nova_normal_quantile(power);

	return ceil((design->paired ? 1 : 2) * z * z / (design->d * design->d) / (3 / M_PI));
}

static bool in_range(double effect, double cv, double alpha, double power, double rho)
{
	return effect > 0 && isfinite(effect) && cv > 0 && isfinite(cv) && alpha > 0 && alpha < 1 &&
	       power > 0 && power < 1 && rho > -1 && rho < 1;
}

size_t nova_stats_samples(double effect, double cv, double alpha, double power, bool paired,
                          double rho)
{
	double spread = sqrt(log1p(cv * cv) * (paired ? 2 * (1 - rho) : 1)), count;
	struct design design = {.paired = paired, .tail = alpha / 2};

	if (!in_range(effect, cv, alpha, power, rho))
		return 0;
	design.d = log1p(effect) / spread;
	design.one = nova_normal_below(paired ? design.d : design.d / M_SQRT2);
	design.two = nova_normal_below(design.d * M_SQRT2);
	design.both = both_below(paired ? 2 * design.d : design.d);
	count = limit_count(&design, alpha, power);
	if (count < COUNTED)
		count = least_count(&design, power);
	return count < (double)SIZE_MAX ? (size_t)count : SIZE_MAX;
}
