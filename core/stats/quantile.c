/* SPDX-License-Identifier: MIT */
/*
 * Quantiles and their exact intervals. Binomial probabilities are summed outward from the mode as
 * weights and normalised at the end: no factorial, no cancellation, n into the millions.
 */
#include "core/stats/numbers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Weights below this share of the mode's cannot change a sum of doubles. */
#define NEGLIGIBLE 1e-25

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

void nova_stats_sort(double *values, size_t count)
{
	if (count > 1)
		qsort(values, count, sizeof(*values), compare);
}

double nova_stats_quantile(const double *sorted, size_t count, double q)
{
	double rank = ceil(q * (double)count - NOVA_ROUNDING);

	if (rank < 1)
		rank = 1;
	if (rank > (double)count)
		rank = (double)count;
	return sorted[(size_t)rank - 1];
}

double nova_stats_median(const double *sorted, size_t count)
{
	return nova_midpoint(sorted[(count - 1) / 2], sorted[count / 2]);
}

/* A binomial distribution's part that matters: weights of k = first … last, relative to the mode's.
 */
struct binomial {
	double n, odds; /* odds = p / (1 - p) */
	size_t mode, first, last;
	double first_weight, total;
};

static double next_weight(const struct binomial *b, double weight, size_t k)
{
	return weight * (b->n - (double)k) / ((double)k + 1) * b->odds;
}

static struct binomial binomial(size_t count, double p)
{
	struct binomial b = {.n = (double)count, .odds = p / (1 - p)};
	double weight = 1;

	b.mode = (size_t)floor((b.n + 1) * p);
	if (b.mode > count)
		b.mode = count;
	b.first = b.last = b.mode;
	b.first_weight = b.total = 1;
	for (size_t k = b.mode; k > 0 && weight > NEGLIGIBLE; k--) {
		weight *= (double)k / ((b.n - (double)k + 1) * b.odds);
		b.first = k - 1;
		b.first_weight = weight;
		b.total += weight;
	}
	weight = 1;
	for (size_t k = b.mode; k < count && weight > NEGLIGIBLE; k++) {
		weight = next_weight(&b, weight, k);
		b.last = k + 1;
		b.total += weight;
	}
	return b;
}

/* The greatest k with P(X ≤ k - 1) ≤ limit, and that probability. */
static size_t lower_rank(const struct binomial *b, double limit, double *probability)
{
	double weight = b->first_weight, sum = 0;
	size_t k = b->first;

	while (k < b->last && (sum + weight) / b->total <= limit + NOVA_ROUNDING) {
		sum += weight;
		weight = next_weight(b, weight, k);
		k++;
	}
	*probability = sum / b->total;
	return k;
}

/* The least k with P(X ≤ k - 1) ≥ level, and that probability; beyond n: there is none. */
static size_t upper_rank(const struct binomial *b, double level, double *probability)
{
	double weight = b->first_weight, sum = 0;
	size_t k = b->first;

	for (;; k++) {
		if (sum / b->total >= level - NOVA_ROUNDING || k > b->last)
			break;
		sum += weight;
		weight = next_weight(b, weight, k);
	}
	*probability = sum / b->total;
	return k;
}

static bool in_range(double q, double level)
{
	return q > 0 && q < 1 && level > 0 && level < 1;
}

struct nova_ranks nova_stats_interval(size_t count, double q, double level)
{
	struct nova_ranks ranks = {0, 0, 0};
	double below = 0, up_to = 0, tail = (1 - level) / 2;

	if (!count || !in_range(q, level))
		return ranks;
	struct binomial b = binomial(count, q);
	size_t low = lower_rank(&b, tail, &below);
	size_t high = upper_rank(&b, 1 - tail, &up_to);
	if (low < 1 || high > count || high <= low)
		return ranks;
	ranks.low = low;
	ranks.high = high;
	ranks.coverage = up_to - below;
	return ranks;
}

size_t nova_stats_interval_needs(double q, double level)
{
	double tail = (1 - level) / 2, edge = q > 0.5 ? q : 1 - q;

	if (!in_range(q, level))
		return 0;
	/* The outermost values must leave at most `tail` outside: edge^n ≤ tail. */
	return (size_t)ceil(log(tail) / log(edge) - NOVA_ROUNDING);
}

size_t nova_stats_upper(size_t count, double q, double level)
{
	double reached = 0;

	if (!count || !in_range(q, level))
		return 0;
	struct binomial b = binomial(count, q);
	size_t rank = upper_rank(&b, level, &reached);
	return rank > count ? 0 : rank;
}

size_t nova_stats_upper_needs(double q, double level)
{
	if (!in_range(q, level))
		return 0;
	return (size_t)ceil(log(1 - level) / log(q) - NOVA_ROUNDING);
}

static void too_small(struct nova_estimate *estimate, size_t count, size_t needs)
{
	snprintf(estimate->why, sizeof(estimate->why), "n too small (%zu < %zu)", count, needs);
}

/* A tail quantile is shown only where n carries an upper bound for it. */
static void estimate_tail(const double *sorted, size_t count, double q, double level,
                          struct nova_estimate *estimate)
{
	estimate->available = nova_stats_upper(count, q, level) > 0;
	if (estimate->available)
		estimate->value = nova_stats_quantile(sorted, count, q);
	else
		too_small(estimate, count, nova_stats_upper_needs(q, level));
}

void nova_stats_summarise(const double *sorted, size_t count, double level,
                          struct nova_summary *summary)
{
	struct nova_ranks ranks = nova_stats_interval(count, 0.5, level);

	memset(summary, 0, sizeof(*summary));
	summary->count = count;
	summary->level = level;
	if (count) {
		summary->min = sorted[0];
		summary->max = sorted[count - 1];
		summary->median.value = nova_stats_median(sorted, count);
	}
	summary->median.available = ranks.low > 0;
	if (ranks.low > 0) {
		summary->median.low = sorted[ranks.low - 1];
		summary->median.high = sorted[ranks.high - 1];
		summary->median.coverage = ranks.coverage;
	} else {
		too_small(&summary->median, count, nova_stats_interval_needs(0.5, level));
	}
	estimate_tail(sorted, count, 0.95, level, &summary->p95);
	estimate_tail(sorted, count, 0.99, level, &summary->p99);
}
