/* SPDX-License-Identifier: MIT */
/*
 * Inside core/stats: the normal distribution, ranks, draws, and the k-th smallest of more numbers
 * than one would store.
 */
#ifndef NOVACORE_STATS_NUMBERS_H
#define NOVACORE_STATS_NUMBERS_H

#include "core/base/base.h"
#include "core/stats/stats.h"

/* Rounding in sums, so that a probability that equals a limit is not taken for beyond it. */
#define NOVA_ROUNDING 1e-12

/* P(Z ≤ z), and its inverse for p in (0, 1): to about 1e-15 of itself, in the tails too. */
double nova_normal_below(double z);
double nova_normal_quantile(double p);

/* The mean of two values, low ≤ high; of an infinity and itself that infinity, of both 0. */
double nova_midpoint(double low, double high);
/* b - a, and 0 where both are the same infinity: two timeouts are tied. */
double nova_difference(double a, double b);
/* A sorted copy. Owned by the caller. */
double *nova_sorted(const double *values, size_t count);
/* Ranks from 1 of `values` in their own order, ties sharing their mean; returns the sum of t³ - t
 * over groups of t tied values. O(n log n). */
double nova_mid_ranks(const double *values, size_t count, double *ranks);

/*
 * The k-th smallest (from 1) of `total` numbers that are too many to be stored, but can be counted:
 * `count` tells how many do not exceed x, the greatest of these, and the least of the others. All
 * lie in [low, high]. The answer is one of the numbers, to the last bit.
 *
 * It interpolates the rank between two ends (regula falsi with the Illinois rule: Dowell & Jarratt,
 * BIT 11, 1971): ten to twenty counts where the numbers are spread smoothly; where they are not, it
 * halves the range of doubles in the end, and never counts more than 104 times.
 */
struct nova_counted {
	double count, at_most, above; /* -INFINITY, INFINITY: there is none */
};
typedef struct nova_counted nova_count(const void *context, double x);
double nova_select(nova_count *count, const void *context, double k, double total, double low,
                   double high);
/* The median of all: the middle one, or the mean of both. */
double nova_select_median(nova_count *count, const void *context, double total, double low,
                          double high);

/* A stream of draws: the k-th is nova_seed_derive(seed, k). */
struct nova_draws {
	uint64_t seed, drawn;
};
uint64_t nova_draw_bits(struct nova_draws *draws);
double nova_draw_uniform(struct nova_draws *draws); /* in (0, 1) */
double nova_draw_normal(struct nova_draws *draws);

/*
 * Where both samples are so small that the distribution under "no difference" is counted out, and
 * elsewhere by its normal limit with a correction for continuity.
 */
/* 50 against 50, 1 against 2,500. */
bool nova_rank_sum_is_exact(size_t a_count, size_t b_count);
/* P(U ≤ u) of Mann–Whitney's U without ties. */
double nova_rank_sum_below(size_t a_count, size_t b_count, double u);
/* P(T ≤ t) of Wilcoxon's signed-rank sum without ties or zeros. */
double nova_signed_rank_below(size_t count, double t);
/*
 * The greatest c with below(c - 1) ≤ tail, so that [the c-th smallest, the c-th largest] is an
 * interval with at most `tail` on each side; 0: there is none. `most`: the statistic's greatest
 * value; below(most) is 1.
 */
double nova_rank_limit(double (*below)(const void *context, double statistic), const void *context,
                       double most, double tail);

/* Nothing known yet: NAN, not available. */
void nova_effect_begin(struct nova_effect *effect, double level);
/* Of logarithms to a ratio. */
void nova_effect_exp(struct nova_effect *effect);
/* All values are > 0 and finite: a ratio needs that. Else `why` says which is not. */
bool nova_ratio_usable(const double *values, size_t count, const char *name, char why[80]);
/* As long as `values`, log of each; owned by the caller. */
double *nova_logarithms(const double *values, size_t count);

#endif
