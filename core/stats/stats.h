/* SPDX-License-Identifier: MIT */
/*
 * core/stats: pure functions over numbers. No I/O, no allocation that outlives a call, no state:
 * any thread. Values may be infinite (a timeout counts as worse than any value) and never NaN.
 *
 * Quantiles are order statistics of the raw values, and their intervals are exact: they follow from
 * the binomial distribution of the number of values below the true quantile and assume nothing
 * about the values' distribution but that they are independent and alike (David & Nagaraja, Order
 * Statistics, 3rd ed. 2003, section 7.1; Conover, Practical Nonparametric Statistics, 3rd ed.,
 * section 3.2). With ties they cover at least what they claim.
 */
#ifndef NOVACORE_STATS_H
#define NOVACORE_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ascending, in place. */
void nova_stats_sort(double *values, size_t count);

/* The least value that at least the fraction `q` of the values do not exceed: rank ceil(q·n).
 * `sorted` has count ≥ 1 values; q in (0, 1]. Never interpolated. */
double nova_stats_quantile(const double *sorted, size_t count, double q);

/* The mean of the two middle values, or the middle one. count ≥ 1. */
double nova_stats_median(const double *sorted, size_t count);

/* Ranks count from 1: the interval is [sorted[low - 1], sorted[high - 1]]. */
struct nova_ranks {
	size_t low, high; /* 0, 0: n is too small */
	double coverage;  /* the true one, ≥ the level asked for */
};

/*
 * Two-sided interval for the quantile `q` with at most (1 - level) / 2 outside on each side. `q`
 * and `level` in (0, 1); anything else gives 0, 0.
 */
struct nova_ranks nova_stats_interval(size_t count, double q, double level);
/* The least n for which there is one: 6 for the median at 0.95. 0: q or level out of range. */
size_t nova_stats_interval_needs(double q, double level);

/* Rank of the upper one-sided confidence bound for the quantile `q`, 0: n is too small. */
size_t nova_stats_upper(size_t count, double q, double level);
/* The least n for which there is one: 299 for q = 0.99 at 0.95; ceil(ln(1 - level) / ln(q)). */
size_t nova_stats_upper_needs(double q, double level);

/* What is said of one series. A claim that n does not carry is absent, and `why` says the numbers:
 * "n too small (100 < 299)"; else `why` is empty. */
struct nova_estimate {
	bool available;
	double value, low, high; /* low, high: of the median only */
	double coverage;
	char why[64];
};
struct nova_summary {
	size_t count;
	double level;
	double min, max;             /* 0 if count is 0 */
	struct nova_estimate median; /* its value is there from n = 1; `available`: the interval */
	struct nova_estimate p95, p99;
};
void nova_stats_summarise(const double *sorted, size_t count, double level,
                          struct nova_summary *summary);

#endif
