/* SPDX-License-Identifier: MIT */
/*
 * The interval of a share: Clopper & Pearson, Biometrika 26 (1934), p. 404. Its ends are the
 * probabilities under which so many hits, or more, and so many, or fewer, are just likely enough.
 * And what stands on the same distribution: whether two counts have one rate, or one share.
 */
#include "core/stats/numbers.h"

#include <math.h>

/* The normal limit has converged by then, and summing would take as long as someone likes. */
#define EXACT_MOST 100000000u

#define HALVINGS 60 /* more than a double has digits of a number in (0, 1) */

static double log_choose(double n, double k)
{
	int sign;

	return lgamma_r(n + 1, &sign) - lgamma_r(k + 1, &sign) - lgamma_r(n - k + 1, &sign);
}

static double probability(double n, double k, double p)
{
	return exp(log_choose(n, k) + k * log(p) + (n - k) * log1p(-p));
}

/* P(X ≤ k) of a binomial, summed away from its mode, so that terms only fall. */
static double at_most(size_t count, size_t k, double p)
{
	double n = (double)count, i = (double)k, sum = 0, term;
	bool below = i <= n * p;

	if (k >= count)
		return 1;
	if (!below)
		i += 1;
	term = probability(n, i, p);
	while (term > 0 && term > sum * 1e-17) {
		sum += term;
		if (below && i <= 0)
			break;
		term *= below ? i / (n - i + 1) * (1 - p) / p : (n - i) / (i + 1) * p / (1 - p);
		i += below ? -1 : 1;
	}
	return below ? sum : 1 - sum;
}

/* The p at which P(X ≤ k) is `goal`; it falls with p. */
static double solve(size_t count, size_t k, double goal)
{
	double low = 0, high = 1;

	for (int i = 0; i < HALVINGS; i++) {
		double middle = (low + high) / 2;

		if (at_most(count, k, middle) > goal)
			low = middle;
		else
			high = middle;
	}
	return (low + high) / 2;
}

bool nova_stats_share(size_t hits, size_t count, double level, double *low, double *high)
{
	double side = (1 - level) / 2;

	*low = 0;
	*high = 1;
	if (!count || hits > count || !(level > 0) || !(level < 1))
		return false;
	if (hits > 0)
		*low = solve(count, hits - 1, 1 - side);
	if (hits < count)
		*high = solve(count, hits, side);
	return true;
}

bool nova_stats_share_wilson(double share, double count, double level, double *low, double *high)
{
	double z, middle, half, scale;

	*low = 0;
	*high = 1;
	if (!(count > 0) || !(share >= 0) || !(share <= 1) || !(level > 0) || !(level < 1))
		return false;
	z = nova_normal_quantile((1 + level) / 2);
	scale = 1 + z * z / count;
	middle = (share + z * z / (2 * count)) / scale;
	half = z * sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / scale;
	if (share > 0)
		*low = fmax(middle - half, 0);
	if (share < 1)
		*high = fmin(middle + half, 1);
	return true;
}

double nova_stats_same_rate(size_t a, double a_exposure, size_t b, double b_exposure)
{
	size_t sum = a + b;
	double p = a_exposure / (a_exposure + b_exposure), below, above;

	if (sum == 0)
		return 1;
	if (sum > EXACT_MOST) {
		double off = fabs((double)a - p * (double)sum) - 0.5;

		return erfc(fmax(off, 0) / sqrt(2 * p * (1 - p) * (double)sum));
	}
	below = at_most(sum, a, p);
	above = a ? 1 - at_most(sum, a - 1, p) : 1;
	return fmax(0, fmin(2 * fmin(below, above), 1));
}

double nova_stats_same_share(size_t a, size_t a_all, size_t b, size_t b_all)
{
	double i = (double)a, in = (double)a_all, out = (double)b_all, n = i + (double)b;
	double all = in + out, mean = n * in / all, sum = 0, term;
	bool below = i <= mean;

	if (a > a_all || b > b_all || n <= 0 || n >= all)
		return 1;
	if (n > EXACT_MOST) {
		double variance = mean * (out / all) * ((all - n) / (all - 1));

		return erfc(fmax(fabs(i - mean) - 0.5, 0) / sqrt(2 * variance));
	}
	term = exp(log_choose(in, i) + log_choose(out, n - i) - log_choose(all, n));
	while (term > 0 && term > sum * 1e-17) {
		sum += term;
		if (below)
			term *= i * (out - n + i) / ((in - i + 1) * (n - i + 1));
		else
			term *= (in - i) * (n - i) / ((i + 1) * (out - n + i + 1));
		i += below ? -1 : 1;
	}
	return fmin(2 * sum, 1);
}
