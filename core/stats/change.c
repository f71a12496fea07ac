/* SPDX-License-Identifier: MIT */
/*
 * Where the level of a series changes, several times perhaps.
 *
 * Found by binary segmentation: the whole series is tested for one change (change_scan.c); if there
 * is one, both parts are. A change to a level and back can hide from a test of the whole, so where
 * that finds nothing the intervals of a fixed system within it are asked, 20 points long and each
 * next size √2 times as long, half overlapping (Kovács, Bühlmann, Li & Munk, Seeded binary
 * segmentation, Biometrika 110, 2023), with a stricter limit, for they are many.
 * Then each change is located again between its neighbours, and those that do not stand on what
 * lies between their neighbours are dropped, the weakest first: the first splits of a series with
 * several changes need not be any of them.
 *
 * The error rates, and what the series may be, stand in stats.h. Time: O(n log n) for the intervals
 * and O(n) for each level of the segmentation, O(n · changes) at worst. Memory: O(n). Series of
 * more than NOVA_STATS_CHANGES_BLOCKED points are reduced to medians of blocks, and changes located
 * among the points.
 */
#include "core/stats/change.h"

#include "core/base/base.h"

#include <math.h>
#include <string.h>

/* A regime of fewer points is not told from a few odd ones. */
#define MINIMUM_SEGMENT 5
/* Lengths of the intervals within a series. */
#define INTERVAL_FIRST  24
#define INTERVAL_GROWTH M_SQRT2
/* How much more evidence they must show: found by simulation, so that they raise the false alarms
 * of series of up to 100 points by less than a tenth (./dev bench changes). */
#define INTERVAL_EXTRA 6
/* What a change must show between its neighbours. They are known changes: nothing is spent on
 * looks at fewer points. */
#define BETWEEN 100
/* Blocks on either side of where a change was found that are searched for the point. */
#define BLOCKS_AROUND 2

struct interval {
	size_t start, end, split;
	double excess, p; /* evidence beyond the limit, > 0 */
};

struct search {
	const double *values;
	size_t count, edge;
	enum nova_sensitivity sensitivity;
	double *room; /* 2 · count */
	struct interval *intervals;
	size_t interval_count;
	struct nova_change_point *found;
	double *strength; /* evidence beyond what is needed between the neighbours; ≤ 0: too little
	                   */
	size_t found_count;
};

/* --- finding ---------------------------------------------------------------------------------- */

/* Is there a change in [start, end)? */
static bool test(const struct search *search, size_t start, size_t end, double extra,
                 struct interval *interval)
{
	size_t count = end - start;
	struct nova_scan scan;

	if (count < NOVA_STATS_CHANGES_NEED)
		return false;
	nova_change_scan(search->values + start, count, search->edge, search->room, &scan);
	if (!scan.split)
		return false;
	*interval = (struct interval){.start = start,
	                              .end = end,
	                              .split = start + scan.split,
	                              .excess = scan.evidence - extra -
	                                        nova_change_limit(count, search->sensitivity),
	                              .p = nova_change_p(count, scan.evidence - extra)};
	return interval->excess > 0;
}

static void test_intervals(struct search *search)
{
	for (double exact = INTERVAL_FIRST; exact < (double)search->count;
	     exact *= INTERVAL_GROWTH) {
		size_t length = (size_t)exact;

		for (size_t start = 0;; start += length / 2) {
			bool last = start + length >= search->count;
			struct interval interval;

			if (last)
				start = search->count - length;
			if (test(search, start, start + length, INTERVAL_EXTRA, &interval)) {
				search->intervals =
				        nova_grow(search->intervals, search->interval_count,
				                  sizeof(*search->intervals));
				search->intervals[search->interval_count++] = interval;
			}
			if (last)
				break;
		}
	}
}

/* The change in [start, end), if there is one: by all of it, else by the best interval. */
static bool find_one(const struct search *search, size_t start, size_t end, struct interval *best)
{
	if (test(search, start, end, 0, best))
		return true;
	best->excess = 0;
	for (size_t i = 0; i < search->interval_count; i++) {
		const struct interval *one = &search->intervals[i];

		if (one->start >= start && one->end <= end && one->excess > best->excess)
			*best = *one;
	}
	return best->excess > 0;
}

static int compare_changes(const void *a, const void *b)
{
	size_t left = ((const struct nova_change_point *)a)->index;
	size_t right = ((const struct nova_change_point *)b)->index;

	return (left > right) - (left < right);
}

static void find_all(struct search *search)
{
	struct {
		size_t start, end;
	} *todo = NULL, now;
	size_t todo_count = 0;
	struct interval one;

	todo = nova_grow(todo, todo_count, sizeof(*todo));
	todo[todo_count].start = 0;
	todo[todo_count++].end = search->count;
	while (todo_count) {
		now = todo[--todo_count];
		if (!find_one(search, now.start, now.end, &one))
			continue;
		search->found =
		        nova_grow(search->found, search->found_count, sizeof(*search->found));
		search->found[search->found_count++] =
		        (struct nova_change_point){.index = one.split, .p = one.p};
		for (int side = 0; side < 2; side++) {
			todo = nova_grow(todo, todo_count, sizeof(*todo));
			todo[todo_count].start = side ? one.split : now.start;
			todo[todo_count++].end = side ? now.end : one.split;
		}
	}
	free(todo);
	if (search->found_count)
		qsort(search->found, search->found_count, sizeof(*search->found), compare_changes);
}

/* --- locating and dropping -------------------------------------------------------------------- */

static size_t start_of(const struct search *search, size_t i)
{
	return i ? search->found[i - 1].index : 0;
}

static size_t end_of(const struct search *search, size_t i)
{
	return i + 1 < search->found_count ? search->found[i + 1].index : search->count;
}

static double level(const struct search *search, size_t start, size_t end)
{
	return nova_change_median(search->values + start, end - start, search->room);
}

/*
 * Does the shorter side lie beyond the median of the longer one, by a sign test's standard
 * deviation? A few spikes among equal values can explain much of what little variation there is,
 * but they are not a level.
 */
static bool is_level(const struct search *search, size_t start, size_t split, size_t end)
{
	bool left = split - start < end - split; /* is the shorter one */
	size_t from = left ? start : split, to = left ? split : end;
	double other = left ? level(search, split, end) : level(search, start, split);
	size_t above = 0, below = 0;
	double most, count = (double)(to - from);

	for (size_t i = from; i < to; i++) {
		above += search->values[i] > other;
		below += search->values[i] < other;
	}
	most = (double)(above > below ? above : below);
	return most - count / 2 >= sqrt(count) / 2;
}

/* Locates a change between its neighbours, as they are now. */
static void locate(struct search *search, size_t i)
{
	size_t start = start_of(search, i), end = end_of(search, i), count = end - start;
	struct nova_change_point *change = &search->found[i];
	struct nova_place_of_change place;
	struct nova_scan scan;

	nova_change_scan(search->values + start, count, search->edge, search->room, &scan);
	search->strength[i] = scan.evidence - nova_change_limit(count > BETWEEN ? count : BETWEEN,
	                                                        search->sensitivity);
	nova_change_locate(search->values + start, count, search->edge, scan.phi, search->room,
	                   &place);
	if (!place.split)
		return;
	change->index = start + place.split;
	change->low = start + place.low;
	change->high = start + place.high;
	if (!is_level(search, start, change->index, end))
		search->strength[i] = 0;
}

static void drop(struct search *search, size_t i)
{
	size_t after = --search->found_count - i;

	memmove(&search->found[i], &search->found[i + 1], after * sizeof(*search->found));
	memmove(&search->strength[i], &search->strength[i + 1], after * sizeof(double));
}

static void locate_around(struct search *search, size_t i)
{
	if (i)
		locate(search, i - 1);
	if (i < search->found_count)
		locate(search, i);
}

static void settle(struct search *search)
{
	search->strength = nova_alloc((search->found_count + 1) * sizeof(double));
	for (int sweep = 0; sweep < 2; sweep++)
		for (size_t i = 0; i < search->found_count; i++)
			locate(search, i);
	for (;;) {
		size_t weakest = 0;

		for (size_t i = 1; i < search->found_count; i++)
			if (search->strength[i] < search->strength[weakest])
				weakest = i;
		if (!search->found_count || search->strength[weakest] > 0)
			break;
		drop(search, weakest);
		locate_around(search, weakest);
	}
}

/* --- levels ----------------------------------------------------------------------------------- */

static void measure(struct search *search, size_t i)
{
	struct nova_change_point *change = &search->found[i];

	change->before = level(search, start_of(search, i), change->index);
	change->after = level(search, change->index, end_of(search, i));
	if (change->before == change->after)
		change->shift = 0;
	else if (change->before == 0)
		change->shift = NAN;
	else
		change->shift = (change->after - change->before) / fabs(change->before);
}

/* Changes that are too small to matter go, the smallest first: what was between two of them joins
 * its neighbour. */
static void drop_small(struct search *search, double minimum_effect)
{
	for (;;) {
		size_t smallest = 0;

		for (size_t i = 1; i < search->found_count; i++)
			if (isnan(search->found[smallest].shift) ||
			    fabs(search->found[i].shift) < fabs(search->found[smallest].shift))
				smallest = i;
		if (!search->found_count || !(fabs(search->found[smallest].shift) < minimum_effect))
			break;
		drop(search, smallest);
		if (smallest)
			measure(search, smallest - 1);
		if (smallest < search->found_count)
			measure(search, smallest);
	}
}

/* --- very long series ------------------------------------------------------------------------- */

static void make_blocks(const double *values, size_t count, size_t size, double *blocks)
{
	NOVA_AUTOFREE double *room = nova_alloc(2 * size * sizeof(*room));

	for (size_t at = 0, block = 0; at < count; at += size, block++)
		blocks[block] = nova_change_median(values + at,
		                                   count - at < size ? count - at : size, room);
}

/* From blocks to points: searches around the blocks where the change may be. */
static void refine(struct search *search, const double *values, size_t count, size_t size)
{
	for (size_t i = 0; i < search->found_count; i++) {
		struct nova_change_point *change = &search->found[i];
		size_t low = change->low > BLOCKS_AROUND ? change->low - BLOCKS_AROUND : 0;
		size_t start = low * size;
		size_t end = (change->high + 1 + BLOCKS_AROUND) * size;
		struct nova_place_of_change place;
		struct nova_scan scan;

		end = end < count ? end : count;
		NOVA_AUTOFREE double *room = nova_alloc(2 * (end - start) * sizeof(*room));
		nova_change_scan(values + start, end - start, 1, room, &scan);
		nova_change_locate(values + start, end - start, 1, scan.phi, room, &place);
		change->index = place.split ? start + place.split : change->index * size;
		change->low = place.split ? start + place.low : start;
		change->high = place.split ? start + place.high : end - 1;
	}
}

/* --- for others ------------------------------------------------------------------------------- */

static bool all_finite(const double *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!isfinite(values[i]))
			return false;
	return true;
}

size_t nova_stats_changes(const double *values, size_t count,
                          const struct nova_change_options *options,
                          struct nova_change_point *changes, size_t room)
{
	size_t size = (count + NOVA_STATS_CHANGES_BLOCKED - 1) / NOVA_STATS_CHANGES_BLOCKED, found;
	size_t points = size > 1 ? (count + size - 1) / size : count;
	NOVA_AUTOFREE double *blocks = NULL;
	struct search search = {.values = values,
	                        .count = points,
	                        .edge = options->minimum_segment ? options->minimum_segment
	                                                         : MINIMUM_SEGMENT,
	                        .sensitivity = options->sensitivity ? options->sensitivity
	                                                            : NOVA_SENSITIVITY_DEFAULT};

	if (count < NOVA_STATS_CHANGES_NEED || !all_finite(values, count))
		return 0;
	if (size > 1) {
		search.values = blocks = nova_alloc(points * sizeof(*blocks));
		make_blocks(values, count, size, blocks);
	}
	search.room = nova_alloc(2 * points * sizeof(*search.room));
	test_intervals(&search);
	find_all(&search);
	settle(&search);
	for (size_t i = 0; i < search.found_count; i++)
		measure(&search, i);
	drop_small(&search, options->minimum_effect);
	if (size > 1)
		refine(&search, values, count, size);
	found = search.found_count;
	if (found && room)
		memcpy(changes, search.found,
		       (found < room ? found : room) * sizeof(*search.found));
	free(search.room);
	free(search.intervals);
	free(search.found);
	free(search.strength);
	return found;
}
