/* SPDX-License-Identifier: MIT */
/* Pairs, each of two values that were measured one after the other: the ratio within the pair. */
#include "core/stats/numbers.h"

#include <math.h>
#include <stdlib.h>

/* log(b_i / a_i); owned by the caller. */
static double *log_ratios(const double *a, const double *b, size_t count)
{
	double *ratios = nova_alloc((count + 1) * sizeof(*ratios));

	for (size_t i = 0; i < count; i++)
		ratios[i] = log(b[i]) - log(a[i]);
	return ratios;
}

/* --- Hodges–Lehmann -------------------------------------------------------------------------- */

struct one {
	const double *x; /* ascending */
	size_t count;
};

/* Sums x_i + x_j, i ≤ j, up to `sum`: for greater i, fewer j do. O(n). */
static struct nova_counted sums_up_to(const void *context, double sum)
{
	const struct one *one = context;
	const double *x = one->x;
	struct nova_counted found = {0, -INFINITY, INFINITY};
	size_t end = one->count;

	for (size_t i = 0; i < one->count; i++) {
		while (end > i && x[i] + x[end - 1] > sum)
			end--;
		if (end <= i) { /* from here on the least is x_i + x_i */
			found.above = fmin(found.above, x[i] + x[i]);
			break;
		}
		found.count += (double)(end - i);
		found.at_most = fmax(found.at_most, x[i] + x[end - 1]);
		if (end < one->count)
			found.above = fmin(found.above, x[i] + x[end]);
	}
	return found;
}

static double signed_rank_below(const void *context, double t)
{
	const struct one *one = context;

	return nova_signed_rank_below(one->count, t);
}

static void walsh(const struct one *one, double level, struct nova_effect *effect)
{
	double n = (double)one->count, averages = n * (n + 1) / 2, limit;
	double least = 2 * one->x[0], most = 2 * one->x[one->count - 1];

	effect->value = nova_select_median(sums_up_to, one, averages, least, most) / 2;
	limit = nova_rank_limit(signed_rank_below, one, averages, (1 - level) / 2);
	if (limit < 1) {
		snprintf(effect->why, sizeof(effect->why),
		         "n too small for an interval at %g (%zu pairs)", level, one->count);
		return;
	}
	effect->available = true;
	effect->low = nova_select(sums_up_to, one, limit, averages, least, most) / 2;
	effect->high =
	        nova_select(sums_up_to, one, averages + 1 - limit, averages, least, most) / 2;
	effect->coverage = 1 - 2 * signed_rank_below(one, limit - 1);
}

void nova_stats_ratio_paired(const double *a, const double *b, size_t count, double level,
                             struct nova_effect *effect)
{
	nova_effect_begin(effect, level);
	if (!count)
		snprintf(effect->why, sizeof(effect->why), "n too small (no pair)");
	if (!count || !nova_ratio_usable(a, count, "a", effect->why) ||
	    !nova_ratio_usable(b, count, "b", effect->why))
		return;
	NOVA_AUTOFREE double *ratios = log_ratios(a, b, count);

	nova_stats_sort(ratios, count);
	walsh(&(struct one){ratios, count}, level, effect);
	nova_effect_exp(effect);
}

/* --- permutation ----------------------------------------------------------------------------- */

/* All 2^n signs are tried up to here. */
#define EVERY_SIGN 16

/* The share of all choices of signs whose sum is at least as far from 0. In the order of a Gray
 * code each differs from the one before in one sign. */
static double every_flip(const double *x, size_t count, double observed, double rounding)
{
	uint32_t all = UINT32_C(1) << count, hits = 0;
	double sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += x[i];
	for (uint32_t code = 0; code < all; code++) {
		hits += fabs(sum) >= observed - rounding;
		if (code + 1 < all) {
			unsigned changed = (unsigned)__builtin_ctz(code + 1);
			bool negative = (code ^ code >> 1) >> changed & 1;

			sum += (negative ? 2 : -2) * x[changed];
		}
	}
	return (double)hits / (double)all;
}

static double drawn_flips(const double *x, size_t count, double observed, double rounding,
                          uint32_t rounds, uint64_t seed)
{
	static const double sign[] = {-1, 1}; /* no branch: nobody can predict it */
	struct nova_draws draws = {.seed = seed};
	double hits = 0;

	for (uint32_t round = 0; round < rounds; round++) {
		uint64_t signs = 0;
		double sum = 0;

		for (size_t i = 0; i < count; i++) {
			signs = i % 64 ? signs >> 1 : nova_draw_bits(&draws);
			sum += sign[signs & 1] * x[i];
		}
		hits += fabs(sum) >= observed - rounding;
	}
	return (hits + 1) / ((double)rounds + 1);
}

double nova_stats_permutation_paired(const double *a, const double *b, size_t count,
                                     uint32_t rounds, uint64_t seed)
{
	double observed = 0, size = 0;
	char why[80];

	if (!nova_ratio_usable(a, count, "a", why) || !nova_ratio_usable(b, count, "b", why))
		return 1;
	NOVA_AUTOFREE double *x = log_ratios(a, b, count);

	for (size_t i = 0; i < count; i++) {
		observed += x[i];
		size += fabs(x[i]);
	}
	observed = fabs(observed);
	return count <= EVERY_SIGN
	               ? every_flip(x, count, observed, size * NOVA_ROUNDING)
	               : drawn_flips(x, count, observed, size * NOVA_ROUNDING, rounds, seed);
}
