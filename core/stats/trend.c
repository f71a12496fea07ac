/* SPDX-License-Identifier: MIT */
/*
 * A series over time: its slope, whether there is a trend at all, and how much a value remembers of
 * the one before. Everything here rests on how many pairs of points are in order, which a merge
 * sort counts: O(n log n) time, O(n) memory.
 */
#include "core/stats/numbers.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A series that remembers more than this has no mean to speak of. */
#define MOST_MEMORY 0.95

/* --- pairs in order -------------------------------------------------------------------------- */

struct item {
	double value;
	size_t index;
};

/* Sorts `items`; returns how many pairs i < j had a greater value at i, or (`equal`) one at least
 * as great. Without a branch on the values: nobody can predict it. */
static double inversions(struct item *items, struct item *spare, size_t count, bool equal)
{
	size_t half = count / 2, i = 0, j = half, k = 0;
	double found;

	if (count < 2)
		return 0;
	found = inversions(items, spare, half, equal) +
	        inversions(items + half, spare, count - half, equal);
	while (i < half && j < count) {
		bool right = (items[j].value < items[i].value) |
		             (equal & (items[j].value == items[i].value));

		found += right ? (double)(half - i) : 0;
		spare[k++] = items[right ? j : i];
		j += right;
		i += !right;
	}
	memcpy(spare + k, items + i, (half - i) * sizeof(*items));
	memcpy(items, spare, (k + half - i) * sizeof(*items));
	return found;
}

/* Over groups of k equal values, sorted: the sums of k (k - 1) / 2 and k (k - 1) (2k + 5). */
static void tied_groups(const double *sorted, size_t count, double *pairs, double *variance)
{
	*pairs = *variance = 0;
	for (size_t first = 0, next; first < count; first = next) {
		for (next = first + 1; next < count && sorted[next] == sorted[first];)
			next++;
		double k = (double)(next - first);

		*pairs += k * (k - 1) / 2;
		*variance += k * (k - 1) * (2 * k + 5);
	}
}

/* --- slope ----------------------------------------------------------------------------------- */

struct point {
	double t, y;
};
struct line {
	struct point *points; /* by t, then by y: so no pair of one t counts as falling */
	struct item *residuals, *spare;
	size_t count;
	double pairs; /* of different t */
	double same;  /* pairs of points that are equal in both */
};

static int compare_points(const void *a, const void *b)
{
	const struct point *left = a, *right = b;

	if (left->t != right->t)
		return left->t < right->t ? -1 : 1;
	return (left->y > right->y) - (left->y < right->y);
}

/*
 * A pair's slope is at most `slope` where its residuals y - slope · t do not rise. The slopes next
 * to it are those of points whose residuals are neighbours: a little further and they change
 * places.
 */
static struct nova_counted slopes_up_to(const void *context, double slope)
{
	const struct line *line = context;
	struct nova_counted found = {0, -INFINITY, INFINITY};

	for (size_t i = 0; i < line->count; i++)
		line->residuals[i] =
		        (struct item){line->points[i].y - slope * line->points[i].t, i};
	found.count = inversions(line->residuals, line->spare, line->count, true) - line->same;
	for (size_t i = 1; i < line->count; i++) {
		const struct item *left = &line->residuals[i - 1], *right = &line->residuals[i];
		const struct point *a = &line->points[left->index];
		const struct point *b = &line->points[right->index];
		double between = (b->y - a->y) / (b->t - a->t);

		if (a->t == b->t)
			continue;
		if (left->index > right->index)
			found.at_most = fmax(found.at_most, between);
		else
			found.above = fmin(found.above, between);
	}
	/* There may be none but for rounding; the slope that was asked for is as good then. */
	found.at_most = isinf(found.at_most) ? slope : found.at_most;
	found.above = isinf(found.above) ? slope : found.above;
	return found;
}

static double slope_of_rank(const struct line *line, double rank, double steepest)
{
	return nova_select(slopes_up_to, line, rank, line->pairs, -steepest, steepest);
}

/* No pair is steeper than all of y's range in the least step of t; 0: all t are the same. */
static double steepest_of(const struct line *line)
{
	double least = INFINITY, low = INFINITY, high = -INFINITY;

	for (size_t i = 0; i < line->count; i++) {
		double step = i ? line->points[i].t - line->points[i - 1].t : 0;

		if (step > 0)
			least = fmin(least, step);
		low = fmin(low, line->points[i].y);
		high = fmax(high, line->points[i].y);
	}
	return isinf(least) ? 0 : (high - low) / least;
}

static bool line_begin(struct line *line, const double *t, const double *y, size_t count,
                       char why[80])
{
	line->points = nova_alloc((count + 1) * sizeof(*line->points));
	line->residuals = nova_alloc((count + 1) * sizeof(*line->residuals));
	line->spare = nova_alloc((count + 1) * sizeof(*line->spare));
	line->count = count;
	for (size_t i = 0; i < count; i++) {
		line->points[i] = (struct point){t ? t[i] : (double)i, y[i]};
		if (!isfinite(line->points[i].t) || !isfinite(y[i])) {
			snprintf(why, 80, "a slope needs finite values (point %zu is not)", i);
			return false;
		}
	}
	qsort(line->points, count, sizeof(*line->points), compare_points);
	/* Points of one t so far, and of one t and y: with each of them the next makes no pair. */
	for (size_t i = 1, of_t = 0, of_both = 0; i < count; i++) {
		const struct point *left = &line->points[i - 1], *right = &line->points[i];

		of_t = left->t == right->t ? of_t + 1 : 0;
		of_both = compare_points(left, right) ? 0 : of_both + 1;
		line->pairs += (double)(i - of_t);
		line->same += (double)of_both;
	}
	return true;
}

static void line_end(struct line *line)
{
	free(line->points);
	free(line->residuals);
	free(line->spare);
}

/* Kendall's variance of the number of rising less falling pairs, with ties in both (Sen 1968,
 * equation 2.6). */
static double kendall_variance(const struct line *line)
{
	NOVA_AUTOFREE double *values = nova_alloc((line->count + 1) * sizeof(*values));
	double n = (double)line->count, t_part, y_part, unused;

	for (size_t i = 0; i < line->count; i++)
		values[i] = line->points[i].t;
	tied_groups(values, line->count, &unused, &t_part);
	for (size_t i = 0; i < line->count; i++)
		values[i] = line->points[i].y;
	nova_stats_sort(values, line->count);
	tied_groups(values, line->count, &unused, &y_part);
	return (n * (n - 1) * (2 * n + 5) - t_part - y_part) / 18;
}

static void fit(const struct line *line, double level, struct nova_effect *slope)
{
	double steepest = steepest_of(line), rank, reach;

	if (line->pairs < 1) {
		snprintf(slope->why, sizeof(slope->why), "n too small (%zu points at one time)",
		         line->count);
		return;
	}
	slope->value = nova_select_median(slopes_up_to, line, line->pairs, -steepest, steepest);
	reach = nova_normal_quantile((1 + level) / 2) * sqrt(kendall_variance(line));
	rank = floor((line->pairs - reach) / 2);
	if (rank < 1) {
		snprintf(slope->why, sizeof(slope->why),
		         "n too small for an interval at %g (%zu points)", level, line->count);
		return;
	}
	slope->available = true;
	slope->low = slope_of_rank(line, rank, steepest);
	slope->high = slope_of_rank(line, line->pairs + 1 - rank, steepest);
	slope->coverage = level;
}

/* Of equidistant points. Those that are not finite have none: 0. */
static double median_slope(const double *y, size_t count)
{
	struct line line = {0};
	double steepest, slope = 0;
	char why[80];

	if (line_begin(&line, NULL, y, count, why)) {
		steepest = steepest_of(&line);
		slope = nova_select_median(slopes_up_to, &line, line.pairs, -steepest, steepest);
	}
	line_end(&line);
	return slope;
}

void nova_stats_theil_sen(const double *t, const double *y, size_t count, double level,
                          struct nova_effect *slope)
{
	struct line line = {0};

	nova_effect_begin(slope, level);
	if (line_begin(&line, t, y, count, slope->why))
		fit(&line, level, slope);
	line_end(&line);
}

/* --- memory ---------------------------------------------------------------------------------- */

/* Sum of deviations' products at this lag over that at lag 0; 0 if all are equal. */
static double autocorrelation(const double *values, size_t count, double mean, size_t lag)
{
	double product = 0, square = 0;

	for (size_t i = 0; i < count; i++) {
		square += (values[i] - mean) * (values[i] - mean);
		if (i >= lag)
			product += (values[i] - mean) * (values[i - lag] - mean);
	}
	return square > 0 ? product / square : 0;
}

double nova_stats_rank_autocorrelation(const double *y, size_t count)
{
	NOVA_AUTOFREE double *ranks = nova_alloc((count + 1) * sizeof(*ranks));

	if (count < 4)
		return 0;
	nova_mid_ranks(y, count, ranks);
	return autocorrelation(ranks, count, ((double)count + 1) / 2, 1);
}

/* --- trend ----------------------------------------------------------------------------------- */

/*
 * Autocorrelation of what is left of `y` without its slope, as a first-order model sees it.
 *
 * Hamed & Rao (Journal of Hydrology 204, 1998) put the estimated correlation of each lag into the
 * formula below, where it is significant. Each of them is estimated too low, and at
 * autocorrelation 0.5 the test of 100 points then errs in 14.5 % of series instead of 5 (2,000
 * simulated). So only the first is estimated, the bias that taking out a mean and a slope leaves
 * (Kendall, Biometrika 41, 1954; -(2 + 4 r) / n with the slope) and half a standard error are
 * added, and lag k has its k-th power: 5.1 %. tests/unit/stats/test_trend.c has the rates.
 */
static double memory_of(const double *y, size_t count)
{
	NOVA_AUTOFREE double *rest = nova_alloc((count + 1) * sizeof(*rest));
	double n = (double)count, slope = median_slope(y, count), first;

	for (size_t i = 0; i < count; i++)
		rest[i] = y[i] - slope * (double)i;
	first = nova_stats_rank_autocorrelation(rest, count);
	first += (2 + 4 * first) / n + sqrt((1 - first * first) / n) / 2;
	return fmin(fmax(first, 0), MOST_MEMORY);
}

/* What the variance without autocorrelation is to be multiplied with: Hamed & Rao, equation 8. */
static double correction(const double *y, size_t count)
{
	double n = (double)count, memory = memory_of(y, count), sum = 0;

	for (size_t lag = 1; lag + 2 < count; lag++) {
		double left = n - (double)lag;

		sum += left * (left - 1) * (left - 2) * pow(memory, (double)lag);
	}
	return 1 + 2 / (n * (n - 1) * (n - 2)) * sum;
}

/* Rising less falling pairs; `*ties` and `*part`: pairs of equal values, and what they take from
 * the variance. */
static double score_of(const double *y, size_t count, double *ties, double *part)
{
	NOVA_AUTOFREE struct item *items = nova_alloc((count + 1) * sizeof(*items));
	NOVA_AUTOFREE struct item *spare = nova_alloc((count + 1) * sizeof(*spare));
	NOVA_AUTOFREE double *sorted = nova_sorted(y, count);
	double pairs = (double)count * ((double)count - 1) / 2;

	for (size_t i = 0; i < count; i++)
		items[i] = (struct item){y[i], i};
	tied_groups(sorted, count, ties, part);
	return pairs - *ties - 2 * inversions(items, spare, count, false);
}

double nova_stats_mann_kendall(const double *y, size_t count, double *tau)
{
	double n = (double)count, pairs = n * (n - 1) / 2, ties, part, score, variance;

	if (tau)
		*tau = 0;
	if (count < 3)
		return 1;
	score = score_of(y, count, &ties, &part);
	variance = (n * (n - 1) * (2 * n + 5) - part) / 18;
	if (!(variance > 0))
		return 1;
	if (tau)
		*tau = score / sqrt(pairs * (pairs - ties));
	variance *= correction(y, count);
	return fmin(1, 2 * nova_normal_below(-fmax(0, fabs(score) - 1) / sqrt(variance)));
}
