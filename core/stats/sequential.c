/* SPDX-License-Identifier: MIT */
/*
 * The always-valid test of pairs: a bet, pair after pair, on which side of a line the ratio b / a
 * falls.
 *
 * If the median of the ratios is at most the line, the next ratio lies above it with probability
 * at most 1/2, whatever the distribution: skewed, heavy-tailed, with ties. Whoever stakes the share
 * 2p - 1 of what he has on "above" has, after k of t above, 2^t p^k (1 - p)^(t-k) times his stake,
 * and for p ≥ 1/2 no way to gain from that in expectation: a supermartingale. The e-value here
 * spreads the stake evenly over p in [1/2, 1]:
 *
 *     E(t, k) = 2 ∫ 2^t p^k (1 - p)^(t-k) dp  over [1/2, 1]
 *             = 2^(t+1) / ((t + 1) C(t, k)) · P(Bin(t + 1, 1/2) ≤ k)
 *
 * (the incomplete beta function as a binomial tail: Abramowitz & Stegun, 26.5.24). By Ville's
 * inequality it ever reaches 1 / error with probability at most `error`. The method of mixtures is
 * Robbins' (Annals of Mathematical Statistics 41, 1970); for sequences of confidence intervals of
 * quantiles: Howard & Ramdas, Bernoulli 28, 2022; for e-processes: Ramdas, Grünwald, Vovk & Shafer,
 * Statistical Science 38, 2023.
 *
 * E grows with k, so for each t there is a least k that decides, and "above" is decided for every
 * line below one of the ratios observed: that order statistic is the end of the confidence
 * sequence. All lines share one bet in each direction, at alpha / 2; so with probability 1 - alpha
 * the sequence holds the true median at all times, and GREATER, LESS and SAME are statements about
 * where it lies. That is why one alpha pays for the three of them.
 */
#include "core/stats/numbers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Lines across which the ratios are counted. */
enum { LOWER, NONE, UPPER, LINES }; /* 1 - margin, 1, 1 + margin */

/* A ratio that equals a line but for the rounding of its logarithm lies on it, so on neither side.
 * Whole numbers make many of those: a rate of 21 against one of 20, and 5 %. */
#define ON_THE_LINE 1e-12

struct nova_sequential {
	double log_error; /* log(1 / (alpha / 2)) */
	double line[LINES];
	size_t above[LINES], below[LINES];
	double *ratios; /* logarithms, ascending */
	size_t count, room;
	double *log_factorial;
	size_t wins; /* the least k that decides; count + 1: not even all */
	double low, high;
	double most_of_none; /* greatest mean of both directions' e-values at NONE, as logarithm */
	enum nova_sequential_state state;
	size_t decided_at;
};

struct nova_sequential *nova_sequential_new(double alpha, double minimum_effect)
{
	struct nova_sequential *test;

	if (!(alpha > 0 && alpha < 1) || !(minimum_effect >= 0 && minimum_effect < 1))
		return NULL;
	test = nova_alloc(sizeof(*test));
	test->log_error = log(2 / alpha);
	test->line[LOWER] = log1p(-minimum_effect);
	test->line[UPPER] = log1p(minimum_effect);
	test->log_factorial = nova_alloc(2 * sizeof(double));
	test->wins = 1;
	test->low = -INFINITY;
	test->high = INFINITY;
	return test;
}

void nova_sequential_free(struct nova_sequential *test)
{
	if (!test)
		return;
	free(test->ratios);
	free(test->log_factorial);
	free(test);
}

/* --- the e-value ----------------------------------------------------------------------------- */

/* P(Bin(n, 1/2) ≤ k), k < n: from the side that is the smaller, whose terms only get smaller. */
static double half_binomial_below(const struct nova_sequential *test, size_t n, size_t k)
{
	const double *f = test->log_factorial;
	bool upper = 2 * (k + 1) > n;
	size_t at = upper ? n - k - 1 : k; /* P(X ≥ k + 1) is P(X ≤ n - k - 1) */
	double term = 1, sum = 0;

	for (size_t i = at; term > 1e-17 * sum; i--) {
		sum += term;
		if (!i)
			break;
		term *= (double)i / (double)(n - i + 1);
	}
	sum *= exp(f[n] - f[at] - f[n - at] - (double)n * M_LN2);
	return upper ? 1 - sum : sum;
}

/* log E(t, k), t being the pairs so far. */
static double log_e(const struct nova_sequential *test, size_t k)
{
	const double *f = test->log_factorial;
	size_t t = test->count;

	return (double)(t + 1) * M_LN2 - log((double)t + 1) - (f[t] - f[k] - f[t - k]) +
	       log(half_binomial_below(test, t + 1, k));
}

/* The mean of both directions' e-values is one, too. */
static double log_e_of_none(const struct nova_sequential *test)
{
	double above = log_e(test, test->above[NONE]), below = log_e(test, test->below[NONE]);
	double most = fmax(above, below), least = fmin(above, below);

	return most + log1p(exp(least - most)) - M_LN2;
}

/* --- a pair ---------------------------------------------------------------------------------- */

static bool log_ratio(double a, double b, double *ratio)
{
	if (!(a > 0) || !(b > 0) || (isinf(a) && isinf(b)))
		return false;
	*ratio = log(b) - log(a);
	return true;
}

static void insert(struct nova_sequential *test, double ratio)
{
	size_t from = 0, to = test->count;

	if (test->count == test->room) {
		test->room = test->room ? 2 * test->room : 64;
		test->ratios = nova_realloc(test->ratios, test->room * sizeof(double));
		test->log_factorial =
		        nova_realloc(test->log_factorial, (test->room + 2) * sizeof(double));
	}
	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (test->ratios[middle] <= ratio)
			from = middle + 1;
		else
			to = middle;
	}
	memmove(test->ratios + from + 1, test->ratios + from,
	        (test->count - from) * sizeof(double));
	test->ratios[from] = ratio;
	test->count++;
	test->log_factorial[test->count + 1] =
	        test->log_factorial[test->count] + log((double)test->count + 1);
}

/* With one more pair `wins` stays or grows by 1. Then both ends of the sequence, which only get
 * closer; they never cross, though drifting data would have them do so. */
static void narrow(struct nova_sequential *test)
{
	size_t t = test->count;
	double low, high;

	while (test->wins <= t && log_e(test, test->wins) < test->log_error)
		test->wins++;
	if (test->wins > t)
		return;
	low = fmax(test->low, test->ratios[t - test->wins]);
	high = fmin(test->high, test->ratios[test->wins - 1]);
	if (low > high)
		return;
	test->low = low;
	test->high = high;
}

static bool is_above(double ratio, double line)
{
	return ratio > line + ON_THE_LINE;
}

static void decide(struct nova_sequential *test)
{
	enum nova_sequential_state state = NOVA_SEQUENTIAL_UNDECIDED;

	if (test->state)
		return;
	if (is_above(test->low, test->line[UPPER]))
		state = NOVA_SEQUENTIAL_GREATER;
	else if (is_above(test->line[LOWER], test->high))
		state = NOVA_SEQUENTIAL_LESS;
	else if (is_above(test->low, test->line[LOWER]) && is_above(test->line[UPPER], test->high))
		state = NOVA_SEQUENTIAL_SAME;
	test->state = state;
	test->decided_at = state ? test->count : 0;
}

bool nova_sequential_add(struct nova_sequential *test, double a, double b)
{
	double ratio;

	if (!log_ratio(a, b, &ratio))
		return false;
	insert(test, ratio);
	for (int i = 0; i < LINES; i++) {
		test->above[i] += is_above(ratio, test->line[i]);
		test->below[i] += is_above(test->line[i], ratio);
	}
	test->most_of_none = fmax(test->most_of_none, log_e_of_none(test));
	narrow(test);
	decide(test);
	return true;
}

void nova_sequential_look(const struct nova_sequential *test, struct nova_sequential_view *view)
{
	*view = (struct nova_sequential_view){.state = test->state,
	                                      .pairs = test->count,
	                                      .decided_at = test->decided_at,
	                                      .e_greater = 1,
	                                      .e_less = 1,
	                                      .p = exp(-test->most_of_none),
	                                      .ratio = NAN,
	                                      .low = NAN,
	                                      .high = NAN};
	if (!test->count)
		return;
	view->e_greater = exp(log_e(test, test->above[UPPER]));
	view->e_less = exp(log_e(test, test->below[LOWER]));
	view->ratio = exp(nova_stats_median(test->ratios, test->count));
	if (test->wins > test->count)
		return;
	view->low = exp(test->low);
	view->high = exp(test->high);
}
