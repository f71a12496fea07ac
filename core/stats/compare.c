/* SPDX-License-Identifier: MIT */
/*
 * Two samples of which nothing pairs the values: the Mann–Whitney test, the Hodges–Lehmann shift
 * that goes with it, and the correction for many such tests at once.
 */
#include "core/stats/numbers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- shift ----------------------------------------------------------------------------------- */

struct two {
	const double *a, *b; /* ascending */
	size_t a_count, b_count;
};

/* Differences b_j - a_i up to x: for greater a, more of b do. O(a + b). */
static struct nova_counted differences_up_to(const void *context, double x)
{
	const struct two *two = context;
	struct nova_counted found = {0, -INFINITY, INFINITY};
	size_t j = 0;

	for (size_t i = 0; i < two->a_count; i++) {
		while (j < two->b_count && nova_difference(two->a[i], two->b[j]) <= x)
			j++;
		found.count += (double)j;
		if (j > 0)
			found.at_most =
			        fmax(found.at_most, nova_difference(two->a[i], two->b[j - 1]));
		if (j < two->b_count)
			found.above = fmin(found.above, nova_difference(two->a[i], two->b[j]));
	}
	return found;
}

static double rank_sum_below(const void *context, double u)
{
	const struct two *two = context;

	return nova_rank_sum_below(two->a_count, two->b_count, u);
}

static void shift_sorted(const struct two *two, double level, struct nova_effect *effect)
{
	double pairs = (double)two->a_count * (double)two->b_count, limit;
	double least, most;

	if (!two->a_count || !two->b_count) {
		snprintf(effect->why, sizeof(effect->why), "n too small (%zu and %zu)",
		         two->a_count, two->b_count);
		return;
	}
	least = nova_difference(two->a[two->a_count - 1], two->b[0]);
	most = nova_difference(two->a[0], two->b[two->b_count - 1]);
	effect->value = nova_select_median(differences_up_to, two, pairs, least, most);
	limit = nova_rank_limit(rank_sum_below, two, pairs, (1 - level) / 2);
	if (limit < 1) {
		snprintf(effect->why, sizeof(effect->why),
		         "n too small for an interval at %g (%zu and %zu)", level, two->a_count,
		         two->b_count);
		return;
	}
	effect->available = true;
	effect->low = nova_select(differences_up_to, two, limit, pairs, least, most);
	effect->high = nova_select(differences_up_to, two, pairs + 1 - limit, pairs, least, most);
	effect->coverage = 1 - 2 * rank_sum_below(two, limit - 1);
}

void nova_stats_shift(const double *a, size_t a_count, const double *b, size_t b_count,
                      double level, struct nova_effect *effect)
{
	NOVA_AUTOFREE double *a_sorted = nova_sorted(a, a_count);
	NOVA_AUTOFREE double *b_sorted = nova_sorted(b, b_count);
	struct two two = {a_sorted, b_sorted, a_count, b_count};

	nova_effect_begin(effect, level);
	shift_sorted(&two, level, effect);
}

void nova_stats_ratio(const double *a, size_t a_count, const double *b, size_t b_count,
                      double level, struct nova_effect *effect)
{
	nova_effect_begin(effect, level);
	if (!nova_ratio_usable(a, a_count, "a", effect->why) ||
	    !nova_ratio_usable(b, b_count, "b", effect->why))
		return;
	NOVA_AUTOFREE double *a_logs = nova_logarithms(a, a_count);
	NOVA_AUTOFREE double *b_logs = nova_logarithms(b, b_count);

	nova_stats_shift(a_logs, a_count, b_logs, b_count, level, effect);
	nova_effect_exp(effect);
}

/* --- Mann–Whitney ---------------------------------------------------------------------------- */

/* Two-sided, by the normal limit; `distance`: of U from its mean. Tie correction: Lehmann,
 * Nonparametrics, 1975, section 1.4. */
static double normal_two_sided(double distance, double m, double n, double ties)
{
	double total = m + n;
	double variance = m * n / 12 * (total + 1 - ties / (total * (total - 1)));

	if (!(variance > 0)) /* all are equal */
		return 1;
	return fmin(1, 2 * nova_normal_below(-fmax(0, distance - 0.5) / sqrt(variance)));
}

double nova_stats_mann_whitney(const double *a, size_t a_count, const double *b, size_t b_count)
{
	size_t total = a_count + b_count;
	NOVA_AUTOFREE double *values = nova_alloc((total + 1) * sizeof(*values));
	NOVA_AUTOFREE double *ranks = nova_alloc((total + 1) * sizeof(*ranks));
	double m = (double)a_count, n = (double)b_count, u, ties;

	if (!a_count || !b_count)
		return 1;
	memcpy(values, a, a_count * sizeof(*a));
	memcpy(values + a_count, b, b_count * sizeof(*b));
	ties = nova_mid_ranks(values, total, ranks);
	u = -m * (m + 1) / 2;
	for (size_t i = 0; i < a_count; i++)
		u += ranks[i];
	u = fmin(u, m * n - u);
	if (ties > 0 || !nova_rank_sum_is_exact(a_count, b_count))
		return normal_two_sided(m * n / 2 - u, m, n, ties);
	return fmin(1, 2 * nova_rank_sum_below(a_count, b_count, u));
}

/* --- many tests ------------------------------------------------------------------------------ */

static int descending(const void *a, const void *b)
{
	const double *left = *(const double *const *)a, *right = *(const double *const *)b;

	return (*left < *right) - (*left > *right);
}

void nova_stats_fdr(double *p, size_t count)
{
	NOVA_AUTOFREE double **order = nova_alloc((count + 1) * sizeof(*order));
	double least = 1;

	for (size_t i = 0; i < count; i++)
		order[i] = &p[i];
	qsort(order, count, sizeof(*order), descending);
	for (size_t i = 0; i < count; i++) {
		least = fmin(least, *order[i] * (double)count / (double)(count - i));
		*order[i] = least;
	}
}
