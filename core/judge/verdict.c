/* SPDX-License-Identifier: MIT */
/* Judging by a goal, and comparing two sides block by block. Pure: no store, no plan. */
#include "core/judge/verdict.h"

#include "core/stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FLIPS 10000 /* drawn ones of the permutation test, where all would be too many */

/* --- a goal --------------------------------------------------------------------------------------
 */

static bool meets(double value, double limit, bool lower)
{
	return lower ? value <= limit : value >= limit;
}

static void say_straddle(struct nova_text *why, const struct nova_bounds *bounds, double limit,
                         uint32_t unit)
{
	char best[32], worst[32], at[32];

	nova_value_format(bounds->best, unit, best);
	nova_value_format(bounds->worst, unit, worst);
	nova_value_format(limit, unit, at);
	nova_text_addf(why, "%sthe limit %s lies within %s … %s", why->length ? "; " : "", at, best,
	               isfinite(bounds->worst) ? worst : "failure");
}

const char *nova_verdict(const struct nova_bounds *bounds, const json_t *goal, bool lower,
                         uint32_t unit, struct nova_text *why)
{
	double pass = json_number_value(json_object_get(goal, "pass"));
	const json_t *softer = json_object_get(goal, "acceptable");
	double last = json_is_number(softer) ? json_number_value(softer) : pass;

	if (!goal)
		return "none";
	if (meets(bounds->worst, pass, lower))
		return "pass";
	if (meets(bounds->worst, last, lower))
		return "acceptable";
	if (!meets(bounds->best, last, lower))
		return "needs optimization";
	say_straddle(why, bounds, meets(bounds->best, pass, lower) ? pass : last, unit);
	return "inconclusive";
}

/* --- pairs ---------------------------------------------------------------------------------------
 */

struct sample {
	uint32_t block;
	double value;
};

static int by_block(const void *left, const void *right)
{
	const struct sample *a = left, *b = right;

	if (a->block != b->block)
		return a->block < b->block ? -1 : 1;
	return (a->value > b->value) - (a->value < b->value);
}

/* One value per block, in order of blocks: the median of the block's. Owned by the caller. */
static struct sample *medians(const struct nova_side_values *side, size_t *count)
{
	struct sample *samples = nova_alloc((side->count + 1) * sizeof(*samples));
	size_t first = 0;

	*count = 0;
	for (size_t i = 0; i < side->count; i++)
		samples[i] = (struct sample){side->blocks[i], side->values[i]};
	qsort(samples, side->count, sizeof(*samples), by_block);
	for (size_t i = 1; i <= side->count; i++) {
		if (i < side->count && samples[i].block == samples[first].block)
			continue;
		/* of an even number the mean of the middle two, as nova_stats_median */
		samples[(*count)++] = (struct sample){
		        samples[first].block,
		        (samples[(first + i - 1) / 2].value + samples[(first + i) / 2].value) / 2};
		first = i;
	}
	return samples;
}

void nova_blocks_pair(const struct nova_side_values *a, const struct nova_side_values *b,
                      struct nova_blocks *blocks)
{
	size_t a_count, b_count, i = 0, j = 0, n = 0;
	NOVA_AUTOFREE struct sample *left = medians(a, &a_count), *right = medians(b, &b_count);

	blocks->a = nova_alloc((a_count + b_count + 1) * sizeof(double));
	blocks->b = nova_alloc((a_count + b_count + 1) * sizeof(double));
	for (; i < a_count || j < b_count; n++) {
		bool of_a = j >= b_count || (i < a_count && left[i].block <= right[j].block);
		bool of_b = i >= a_count || (j < b_count && right[j].block <= left[i].block);

		blocks->a[n] = of_a ? left[i].value : (double)NAN;
		blocks->b[n] = of_b ? right[j].value : (double)NAN;
		i += of_a;
		j += of_b;
	}
	blocks->count = n;
}

void nova_blocks_free(struct nova_blocks *blocks)
{
	free(blocks->a);
	free(blocks->b);
}

struct pairs {
	double *a, *b;
	size_t count, lost; /* blocks of which only one side has a value */
};

/* Only those with a value on both sides; takes the memory over. */
static struct pairs whole_pairs(struct nova_blocks *blocks)
{
	struct pairs pairs = {.a = blocks->a, .b = blocks->b};

	for (size_t i = 0; i < blocks->count; i++) {
		if (isnan(blocks->a[i]) || isnan(blocks->b[i])) {
			pairs.lost++;
			continue;
		}
		pairs.a[pairs.count] = blocks->a[i];
		pairs.b[pairs.count++] = blocks->b[i];
	}
	return pairs;
}

/* --- a comparison --------------------------------------------------------------------------------
 */

/* What `b` loses against `a`, from the ratio b / a; or the ratio itself. */
static double effect_of(double ratio, bool lower, bool overhead)
{
	return !overhead ? ratio : lower ? ratio - 1 : 1 - ratio;
}

/*
 * The interval; where there is none, or some blocks are lost, what the pairs' own effects bound:
 * their median's interval with the lost ones as worse than any, or the least and the greatest.
 */
static struct nova_bounds bounds_of(const struct pairs *pairs, const struct nova_effect *effect,
                                    bool lower, bool overhead)
{
	size_t all = pairs->count + pairs->lost;
	bool small_is_good = overhead || lower;
	NOVA_AUTOFREE double *badness = nova_alloc((all + 1) * sizeof(*badness));
	struct nova_ranks ranks = nova_stats_interval(all, 0.5, effect->level);
	struct nova_bounds bounds = {.interval = effect->available && !pairs->lost};
	double low = effect_of(effect->low, lower, overhead);
	double high = effect_of(effect->high, lower, overhead);
	double sign = small_is_good ? 1 : -1;

	if (bounds.interval) {
		bounds.best = small_is_good ? fmin(low, high) : fmax(low, high);
		bounds.worst = small_is_good ? fmax(low, high) : fmin(low, high);
		return bounds;
	}
	for (size_t i = 0; i < all; i++)
		badness[i] = i < pairs->count
		                     ? sign * effect_of(pairs->b[i] / pairs->a[i], lower, overhead)
		                     : (double)INFINITY;
	nova_stats_sort(badness, all);
	bounds.interval = ranks.low > 0;
	bounds.best = sign * badness[ranks.low ? ranks.low - 1 : 0];
	bounds.worst = sign * badness[ranks.low ? ranks.high - 1 : all - 1];
	return bounds;
}

static void say_basis(struct nova_text *why, const struct pairs *pairs,
                      const struct nova_bounds *bounds)
{
	if (!bounds->interval)
		nova_text_addf(why,
		               "n too small for an interval (%zu pairs): judged by the least and "
		               "the greatest pair",
		               pairs->count);
	if (pairs->lost)
		nova_text_addf(why,
		               "%s%zu of %zu blocks have a value on one side only and count as "
		               "worse than any",
		               why->length ? "; " : "", pairs->lost, pairs->count + pairs->lost);
}

static const char *judge(const struct pairs *pairs, const struct nova_effect *effect, bool lower,
                         bool overhead, const json_t *goal, struct nova_text *why)
{
	struct nova_bounds bounds;

	if (!goal)
		return "none";
	if (!pairs->count || !isfinite(effect->value)) {
		nova_text_add(why, pairs->count ? effect->why : "there is no pair");
		return "inconclusive";
	}
	if (pairs->count + pairs->lost < 2) {
		nova_text_add(why, "n too small (1 < 2): one pair shows no spread");
		return "inconclusive";
	}
	bounds = bounds_of(pairs, effect, lower, overhead);
	say_basis(why, pairs, &bounds);
	return nova_verdict(&bounds, goal, overhead || lower, NOVA_UNIT_ONE, why);
}

static json_t *interval_of(const struct nova_effect *effect, bool lower, bool overhead)
{
	double low = effect_of(effect->low, lower, overhead);
	double high = effect_of(effect->high, lower, overhead);

	return effect->available ? json_pack("[f f]", fmin(low, high), fmax(low, high))
	                         : json_null();
}

static json_t *text_or_null(const char *text)
{
	return text && *text ? json_string(text) : json_null();
}

json_t *nova_comparison(const char *metric, bool lower, bool overhead,
                        const struct nova_side_values *a, const struct nova_side_values *b,
                        double level, uint64_t seed, const json_t *goal)
{
	const char *of = overhead ? "overhead" : "ratio";
	const json_t *softer = json_object_get(goal, "acceptable");
	NOVA_AUTOTEXT struct nova_text why = {0};
	struct nova_blocks blocks;
	struct nova_effect effect;
	struct pairs pairs;
	const char *verdict;
	json_t *made;
	bool there;

	nova_blocks_pair(a, b, &blocks);
	pairs = whole_pairs(&blocks);
	nova_stats_ratio_paired(pairs.a, pairs.b, pairs.count, level, &effect);
	effect.level = level;
	there = pairs.count && isfinite(effect.value);
	verdict = judge(&pairs, &effect, lower, overhead, goal, &why);
	made = json_pack(
	        "{so ss ss ss ss ss ss ss sI so so so sf so}", "name",
	        json_sprintf("%s.%s", metric, of), "metric", metric, "a", a->side, "b", b->side,
	        "of", of, "unit", "1", "better", overhead || lower ? "lower" : "higher", "method",
	        "Hodges-Lehmann of pairs", "n", (json_int_t)pairs.count, "value",
	        there ? json_real(effect_of(effect.value, lower, overhead)) : json_null(),
	        "interval", interval_of(&effect, lower, overhead), "interval_why",
	        effect.available ? json_null() : text_or_null(effect.why), "level", level, "p",
	        there && pairs.count > 1 ? json_real(nova_stats_permutation_paired(
	                                           pairs.a, pairs.b, pairs.count, FLIPS, seed))
	                                 : json_null());
	json_object_set_new(
	        made, "goal",
	        goal ? json_pack("{sO so}", "pass", json_object_get(goal, "pass"), "acceptable",
	                         json_is_number(softer) ? json_copy((json_t *)softer) : json_null())
	             : json_null());
	json_object_set_new(made, "verdict", json_string(verdict));
	json_object_set_new(made, "verdict_why", text_or_null(nova_text_get(&why)));
	free(pairs.a);
	free(pairs.b);
	return made;
}
