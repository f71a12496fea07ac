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

/*
 * Interval of the share hits / count, exact (Clopper & Pearson 1934): it covers at least `level`.
 * False, and [0, 1], if count is 0, hits > count or level is not in (0, 1). O(√count).
 */
bool nova_stats_share(size_t hits, size_t count, double level, double *low, double *high);
/*
 * The interval by scores (Wilson, J. Am. Stat. Assoc. 22 (1927), p. 209): it covers `level` on the
 * average, not at least, and is shorter. `share` in [0, 1] need not be a whole number of hits.
 * False, and [0, 1], as above. O(1).
 */
bool nova_stats_share_wilson(double share, double count, double level, double *low, double *high);
/*
 * P-value, two-sided, of two counts in which there is no difference but that of their exposures
 * (> 0): given their sum, the first is binomial (Przyborowski & Wilenski, Biometrika 31 (1940),
 * p. 313). Exact, so on the safe side; twice the smaller tail, at most 1; beyond a sum of 10^8 by
 * the normal limit. O(√(a + b)).
 */
double nova_stats_same_rate(size_t a, double a_exposure, size_t b, double b_exposure);
/*
 * P-value, two-sided, of two shares a / a_all and b / b_all between which there is no difference:
 * given both totals and a + b, a is hypergeometric (Fisher, J. R. Stat. Soc. 98 (1935), p. 39).
 * Exact, twice the smaller tail, at most 1; beyond a sum of 10^8 by the normal limit. Where shares
 * are large it finds much more than the test of rates, which knows nothing of the totals.
 * 1 if a > a_all or b > b_all. O(√(a + b)).
 */
double nova_stats_same_share(size_t a, size_t a_all, size_t b, size_t b_all);

/* --- two samples --------------------------------------------------------------------------------
 */

/* A difference or a ratio, with its interval. What is not known is NAN. */
struct nova_effect {
	bool available;          /* the interval; the value is there from one value a side on */
	double value, low, high; /* a ratio: b / a; a difference: b - a */
	double level, coverage;  /* asked for; the true one where it is known, else `level` */
	char why[80];            /* why there is no interval, or "" */
};

/*
 * How `b` differs from `a`: Hodges–Lehmann, the median of all differences b_j - a_i, with the
 * interval that inverts the Mann–Whitney test (Hollander, Wolfe & Chicken, Nonparametric
 * Statistical Methods, 3rd ed. 2014, section 4.3). Its ranks are exact where a_count · b_count ≤
 * 2500, else of the normal limit; without a correction for ties, with which it covers at least what
 * it claims. Two equal infinities do not differ. Any order. O(n log n) time in the number of
 * values, O(n) memory.
 */
void nova_stats_shift(const double *a, size_t a_count, const double *b, size_t b_count,
                      double level, struct nova_effect *effect);
/* The same on logarithms: b / a. All values > 0 and finite, else there is no value either and `why`
 * says so; this goes for all ratios here. */
void nova_stats_ratio(const double *a, size_t a_count, const double *b, size_t b_count,
                      double level, struct nova_effect *effect);
/*
 * Of pairs: Hodges–Lehmann on log(b_i / a_i), the median of Walsh averages, with the interval that
 * inverts Wilcoxon's signed-rank test (Hollander, section 3.3); its ranks are exact up to n = 50.
 * O(n log n) time, O(n) memory.
 */
void nova_stats_ratio_paired(const double *a, const double *b, size_t count, double level,
                             struct nova_effect *effect);
/* Ratio of the quantiles `q`, with a percentile bootstrap interval of `rounds` resamples. Each side
 * needs as many values as nova_stats_interval_needs(q, level) says. O(n log n + rounds log rounds).
 */
void nova_stats_ratio_bootstrap(const double *a, size_t a_count, const double *b, size_t b_count,
                                double q, double level, uint32_t rounds, uint64_t seed,
                                struct nova_effect *effect);

/* Mann–Whitney, two-sided, mid-ranks for ties; exact without ties where a_count · b_count ≤ 2500,
 * else normal with tie and continuity correction. 1 if either side is empty. O(n log n). */
double nova_stats_mann_whitney(const double *a, size_t a_count, const double *b, size_t b_count);
/*
 * Permutation test of pairs that were run in a drawn order: the sign of each log ratio flips.
 * Two-sided, statistic: mean; all 2^n flips up to n = 16, else `rounds` drawn ones, (hits + 1) /
 * (rounds + 1) (Phipson & Smyth 2010). 1 (no evidence) if a value is not > 0 and finite.
 */
double nova_stats_permutation_paired(const double *a, const double *b, size_t count,
                                     uint32_t rounds, uint64_t seed);

/* --- always valid -------------------------------------------------------------------------------
 */

/*
 * A test that may be looked at after every pair. With probability 1 - alpha its interval [low,
 * high] holds the median of b / a at all times, from the first pair to the last; so an error in any
 * of what it says, ever, has at most the probability alpha. It bets on signs only, on which side of
 * a line a ratio falls: of the values nothing is assumed but that each pair's ratio has that
 * median, whatever came before. Skew, spikes, heavy tails and ties cost time, not validity. The
 * method and its sources: core/stats/sequential.c; measured:
 * tests/unit/stats/test_sequential_rates.c.
 *
 * O(n) memory; a pair costs O(√n) time and a move within the sorted ratios.
 */
struct nova_sequential;
/* alpha in (0, 1), minimum_effect in [0, 1); NULL if not. With 0 it never says SAME. */
struct nova_sequential *nova_sequential_new(double alpha, double minimum_effect);
void nova_sequential_free(struct nova_sequential *test); /* NULL is fine */
/*
 * Returns false, and the pair does not count, if it has no ratio: a value that is not > 0, or both
 * infinite. One infinite value, a timeout, counts.
 */
bool nova_sequential_add(struct nova_sequential *test, double a, double b);
enum nova_sequential_state {
	NOVA_SEQUENTIAL_UNDECIDED = 0,
	NOVA_SEQUENTIAL_GREATER, /* b > a by more than minimum_effect */
	NOVA_SEQUENTIAL_LESS,    /* b < a by more than minimum_effect */
	NOVA_SEQUENTIAL_SAME     /* |b / a - 1| < minimum_effect */
};
struct nova_sequential_view {
	enum nova_sequential_state state; /* stays once it is decided */
	size_t pairs, decided_at;         /* pairs when it was decided, 0 if not */
	/* Evidence (e-values, now) against "at most 1 + minimum_effect" and against "at least 1 -
	 * minimum_effect"; either decides when it reaches 2 / alpha. */
	double e_greater, e_less;
	double p;                /* always-valid, two-sided, of a median that is 1 */
	double ratio, low, high; /* median of b / a, and the sequence (NAN: not yet) */
};
void nova_sequential_look(const struct nova_sequential *test, struct nova_sequential_view *view);

/* --- many tests, planning -----------------------------------------------------------------------
 */

/* Benjamini–Hochberg: `p` becomes adjusted p-values, in place and in the same order. O(n log n). */
void nova_stats_fdr(double *p, size_t count);

/*
 * How many values a side a comparison needs to find a relative `effect` at a coefficient of
 * variation `cv` (of each side), two-sided error `alpha`, `power`, by the rank tests above: their
 * power under log-normal values, by Lehmann's approximation with the tests' exact limits
 * (core/stats/plan.c); simulated power is within 0.02 of it, or more where n is so small that it
 * comes in steps. `paired`: how many pairs, whose values correlate by `rho`.
 * effect, cv > 0; alpha, power in (0, 1); rho in (-1, 1). 0: out of range. At most SIZE_MAX.
 */
size_t nova_stats_samples(double effect, double cv, double alpha, double power, bool paired,
                          double rho);
/* Coefficient of variation, standard deviation (n - 1) over mean, with a percentile bootstrap
 * interval of `rounds` resamples; values finite and with a mean above 0; an interval from n = 6 on.
 * O(n · rounds). */
void nova_stats_variation(const double *values, size_t count, double level, uint32_t rounds,
                          uint64_t seed, struct nova_effect *variation);

/* --- series over time ---------------------------------------------------------------------------
 */

/* Median of all pairwise slopes with its interval (Sen 1968; the ranks by Kendall's variance, with
 * ties); `t` NULL: 0, 1, 2 … Finite values in any order. O(n log n) time, O(n) memory. */
void nova_stats_theil_sen(const double *t, const double *y, size_t count, double level,
                          struct nova_effect *slope);
/*
 * Mann–Kendall's trend test, its variance corrected for autocorrelation by Hamed & Rao's formula
 * (1998), with the correlations of a first-order model (core/stats/trend.c says why; simulated at
 * 0.05 and 100 points: 0.05 at autocorrelation 0.5, 0.06 at 0.8, 0.04 without). Two-sided p; *tau
 * (may be NULL) is Kendall's tau-b. 1 and 0 below 3 values or if all are equal. O(n log n).
 */
double nova_stats_mann_kendall(const double *y, size_t count, double *tau);
/* Lag-1 autocorrelation of the ranks, in [-1, 1]; 0 below 4 values. O(n log n). */
double nova_stats_rank_autocorrelation(const double *y, size_t count);

/* --- change points ------------------------------------------------------------------------------
 */

/*
 * False alarms of one series of up to 100 points, of all looks together if it is looked at again
 * after every point. Simulated (./dev bench changes prints the rates): they hold for normal noise
 * with autocorrelation up to 0.5, and without autocorrelation for noise of every shape that was
 * tried, spikes among them. They do not hold for noise that is both skewed or spiky and
 * autocorrelated (1 to 4 % instead of 1 %), nor beyond an autocorrelation of 0.5 (1 to 4 %). A
 * random walk is seldom reported; a steady trend is, as several changes. With more points the rates
 * grow slowly: see change_limit.c.
 */
enum nova_sensitivity {
	NOVA_SENSITIVITY_LOW = 1, /* ≤ 0.1 % */
	NOVA_SENSITIVITY_DEFAULT, /* ≤ 1 % */
	NOVA_SENSITIVITY_HIGH     /* ≤ 5 % */
};
struct nova_change_options {
	enum nova_sensitivity sensitivity; /* 0: default */
	size_t minimum_segment; /* points of a regime, ≥ 2; 0: 5, what the rates are for */
	double minimum_effect;  /* |shift| below it is no change; 0: none */
};
struct nova_change_point {
	size_t index;         /* first point of the new regime, 0-based */
	size_t low, high;     /* where else it may have been: holds the truth in 95 % */
	double before, after; /* medians of the segments on either side */
	double shift;         /* (after - before) / |before|; NaN if only before is 0 */
	double p; /* that a series without a change shows as much, over all looks; ≥ 1e-6 */
};
/* With fewer values there is no change that could be told. */
#define NOVA_STATS_CHANGES_NEED 20
/* With more they are looked for among medians of blocks, then located among the values. */
#define NOVA_STATS_CHANGES_BLOCKED 100000
/*
 * Where the level of a series changes; several changes, ascending. `values` in order of time, all
 * finite, or there is none; nor is there with fewer than NOVA_STATS_CHANGES_NEED. At most `room`
 * are stored in `changes` (may be NULL if 0); returns how many there are. Deterministic. O(n log n)
 * time where changes are few, O(n · changes) at worst; O(n) memory. Beyond 100,000 points a regime
 * must last a 20,000th of the series. Method: core/stats/change.c.
 */
size_t nova_stats_changes(const double *values, size_t count,
                          const struct nova_change_options *options,
                          struct nova_change_point *changes, size_t room);

#endif
