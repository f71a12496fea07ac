/* SPDX-License-Identifier: MIT */
/*
 * How one set of results differs from another: the rule is in judge.h. Which steps and metrics
 * stand against each other is found in pair.c; here it is decided what that means.
 */
#include "core/judge/pair.h"
#include "core/judge/recorded.h"

#include "core/stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What did not succeed is worse than any value: so much worse that every ratio with it is beyond
 * LOST, and two of them are alike. */
#define WORSE_BY 1e12
#define LOST     1e6

/* --- one pair -------------------------------------------------------------------------------- */

static bool lower_is_better(const struct cell *cell)
{
	return !strcmp(nova_json_text(cell->metric, "better"), "lower");
}

/* The values so that more is worse, those of lost units last; `positive`: as ratios need them. */
static double *badness_of(const struct cell *cell, bool positive, double lost)
{
	bool lower = lower_is_better(cell);
	double *badness = nova_alloc((cell->count + cell->lost + 1) * sizeof(*badness));

	for (size_t i = 0; i < cell->count; i++)
		badness[i] = lower      ? cell->values[i]
		             : positive ? 1 / cell->values[i]
		                        : -cell->values[i];
	for (size_t i = 0; i < cell->lost; i++)
		badness[cell->count + i] = lost;
	return badness;
}

static double worst_of(const struct cell *cell, bool positive)
{
	NOVA_AUTOFREE double *badness = badness_of(cell, positive, 0);
	double worst = -HUGE_VAL;

	for (size_t i = 0; i < cell->count; i++)
		worst = badness[i] > worst ? badness[i] : worst;
	return worst;
}

static bool all_positive(const struct cell *cell)
{
	for (size_t i = 0; i < cell->count; i++)
		if (!(cell->values[i] > 0))
			return false;
	return true;
}

/* As a median of values that need not be sorted. */
static double median_of(const double *values, size_t count)
{
	NOVA_AUTOFREE double *sorted = nova_alloc((count + 1) * sizeof(*sorted));

	if (count)
		memcpy(sorted, values, count * sizeof(*sorted));
	nova_stats_sort(sorted, count);
	return count ? nova_stats_median(sorted, count) : (double)NAN;
}

/* A ratio of badness as a relative shift of the metric: 1.25 is +25 %, or -20 % of a rate. */
static double shift_of(double ratio, bool lower)
{
	return (lower ? ratio : 1 / ratio) - 1;
}

static void take_ratio(struct pair *pair, double level)
{
	double worst_a = worst_of(pair->a, true), worst_b = worst_of(pair->b, true);
	double lost = WORSE_BY * (worst_a > worst_b ? worst_a : worst_b);
	NOVA_AUTOFREE double *a = badness_of(pair->a, true, lost);
	NOVA_AUTOFREE double *b = badness_of(pair->b, true, lost);
	bool lower = lower_is_better(pair->b);
	struct nova_effect effect = {0};
	double low, high;

	nova_stats_ratio(a, cell_units(pair->a), b, cell_units(pair->b), level, &effect);
	pair->has_shift = effect.value > 1 / LOST && effect.value < LOST;
	pair->badness = effect.value;
	pair->shift = shift_of(effect.value, lower);
	low = shift_of(effect.low, lower);
	high = shift_of(effect.high, lower);
	pair->has_interval = effect.available && effect.low > 1 / LOST && effect.high < LOST;
	pair->low = low < high ? low : high;
	pair->high = low < high ? high : low;
	if (effect.available && !pair->has_interval)
		snprintf(pair->interval_why, sizeof(pair->interval_why),
		         "it reaches to what did not succeed");
	else
		snprintf(pair->interval_why, sizeof(pair->interval_why), "%s", effect.why);
}

/* Where zeros or negative values forbid ratios: the difference, relative to the median of a. */
static void take_difference(struct pair *pair, double level)
{
	const struct cell *a = pair->a, *b = pair->b;
	double median = fabs(median_of(a->values, a->count));
	struct nova_effect effect = {0};

	nova_stats_shift(a->values, a->count, b->values, b->count, level, &effect);
	pair->has_shift = median > 0;
	pair->has_interval = effect.available && median > 0;
	pair->shift = effect.value / median;
	pair->low = effect.low / median;
	pair->high = effect.high / median;
	pair->badness = 1 + (lower_is_better(b) ? pair->shift : -pair->shift);
	snprintf(pair->interval_why, sizeof(pair->interval_why), "%s",
	         median > 0 ? effect.why : "the median is 0: nothing is relative to it");
}

static double p_of(const struct pair *pair)
{
	double worst_a = worst_of(pair->a, false), worst_b = worst_of(pair->b, false);
	double worst = worst_a > worst_b ? worst_a : worst_b;
	double lost = isfinite(worst) ? worst + fabs(worst) + 1 : 0;
	NOVA_AUTOFREE double *a = badness_of(pair->a, false, lost);
	NOVA_AUTOFREE double *b = badness_of(pair->b, false, lost);

	return nova_stats_mann_whitney(a, cell_units(pair->a), b, cell_units(pair->b));
}

static void measure_pair(struct pair *pair, const struct nova_judging *judging)
{
	pair->minimum_effect =
	        nova_judging_effect(judging, nova_json_text(pair->b->metric, "name"));
	if (!pair->comparable)
		return;
	pair->p = p_of(pair);
	pair->ratio = all_positive(pair->a) && all_positive(pair->b);
	if (pair->a->count + pair->b->count == 0)
		snprintf(pair->interval_why, sizeof(pair->interval_why), "nothing succeeded");
	else if (pair->ratio)
		take_ratio(pair, judging->level);
	else if (pair->a->count && pair->b->count)
		take_difference(pair, judging->level);
}

/* All p of the comparison at once: what is looked for in many places is found in some by chance. */
static void adjust(struct pairs *pairs)
{
	NOVA_AUTOFREE double *p = nova_alloc((pairs->count + 1) * sizeof(*p));
	size_t count = 0;

	for (size_t i = 0; i < pairs->count; i++)
		if (pairs->items[i].comparable)
			p[count++] = pairs->items[i].p;
	nova_stats_fdr(p, count);
	count = 0;
	for (size_t i = 0; i < pairs->count; i++)
		if (pairs->items[i].comparable)
			pairs->items[i].p_adjusted = p[count++];
}

/* --- verdicts -------------------------------------------------------------------------------- */

/* True: the new median is not beyond all medians of the (three or more) runs of a. */
static bool within_runs(const struct pair *pair, bool worse)
{
	const struct cell *a = pair->a;
	double now = median_of(pair->b->values, pair->b->count);
	bool up = worse == lower_is_better(pair->b);

	if (a->runs < 3 || !pair->b->count)
		return false;
	for (size_t i = 0; i < a->runs; i++)
		if (up ? now <= a->medians[i] : now >= a->medians[i])
			return true;
	return false;
}

static void say(struct pair *pair, const char *verdict, const char *format, ...) NOVA_PRINTF(3, 4);
static void say(struct pair *pair, const char *verdict, const char *format, ...)
{
	va_list arguments;

	pair->verdict = verdict;
	va_start(arguments, format);
	vsnprintf(pair->why, sizeof(pair->why), format, arguments);
	va_end(arguments);
}

static void say_why_not(struct pair *pair, const struct nova_judging *judging)
{
	double effect = 100 * pair->minimum_effect;

	if (!pair->has_interval)
		say(pair, "inconclusive", "no interval: %s", pair->interval_why);
	else if (pair->p_adjusted > judging->alpha)
		say(pair, "inconclusive",
		    "the interval reaches beyond %.3g %% and there is no evidence of a change "
		    "(adjusted p %.2g > %g): more samples decide",
		    effect, pair->p_adjusted, judging->alpha);
	else
		say(pair, "inconclusive",
		    "it has changed, but whether by %.3g %% is open: more samples decide", effect);
}

static void judge_pair(struct pair *pair, const struct nova_judging *judging)
{
	double effect = pair->minimum_effect;
	bool evidence = pair->p_adjusted <= judging->alpha;
	double change = lower_is_better(pair->b) ? pair->shift : -pair->shift;
	bool lost = !pair->has_shift && pair->ratio && pair->badness >= LOST;
	bool found =
	        !pair->has_shift && pair->ratio && pair->badness > 0 && pair->badness <= 1 / LOST;
	bool worse = lost || (pair->has_shift && change >= effect);
	bool better = found || (pair->has_shift && change <= -effect);

	if (!pair->comparable)
		return;
	if (!cell_units(pair->a) || !cell_units(pair->b))
		say(pair, "inconclusive", "nothing was measured on one side");
	else if (evidence && (worse || better) && within_runs(pair, worse))
		say(pair, "inconclusive",
		    "a run of the baseline alone was %s: such a difference is between runs, too",
		    worse ? "no better" : "no worse");
	else if (evidence && worse)
		say(pair, "regressed", "%s", lost ? "what succeeded then, does not now" : "");
	else if (evidence && better)
		say(pair, "improved", "%s", found ? "what did not succeed then, does now" : "");
	else if (pair->has_interval && pair->low > -effect && pair->high < effect)
		say(pair, "same", "%s", "");
	else
		say_why_not(pair, judging);
}

/*
 * The canary: the same step without hypervisor. If that has shifted to the same side, by at least
 * half as much, what the VM's side shows is the host's (measuring.md).
 */
static void judge_by_native(struct pairs *pairs, const struct nova_judging *judging)
{
	for (size_t i = 0; i < pairs->count; i++) {
		struct pair *vm = &pairs->items[i];
		const struct pair *native = pairs_native_of(pairs, vm);
		bool moved = strcmp(vm->verdict, "regressed") == 0 ||
		             strcmp(vm->verdict, "improved") == 0;

		if (!native || !native->comparable || !moved || !vm->has_shift ||
		    !native->has_shift || native->p_adjusted > judging->alpha ||
		    native->shift * vm->shift <= 0 || fabs(native->shift) < fabs(vm->shift) / 2)
			continue;
		say(vm, "inconclusive",
		    "the host drifted: without hypervisor it shifted by %+.1f %% as well "
		    "(adjusted p %.2g)",
		    100 * native->shift, native->p_adjusted);
		vm->drifted = true;
	}
}

/* --- the document ---------------------------------------------------------------------------- */

static json_t *side_json(const struct cell *cell)
{
	double median = median_of(cell->values, cell->count);

	return json_pack("{sI sI sI so sO sO}", "n", (json_int_t)cell->count, "lost",
	                 (json_int_t)cell->lost, "runs", (json_int_t)cell->runs, "value",
	                 cell->count ? json_real(median) : json_null(), "run",
	                 json_object_get(json_object_get(cell->result, "run"), "id"), "step",
	                 json_object_get(cell->step, "index"));
}

static json_t *text_or_null(const char *text)
{
	return *text ? json_string(text) : json_null();
}

static json_t *real_if(bool there, double value)
{
	return there && isfinite(value) ? json_real(value) : json_null();
}

json_t *nova_pair_json(const struct pair *pair, const struct nova_judging *judging)
{
	const json_t *metric = pair->b->metric;
	bool interval = pair->comparable && pair->has_interval;
	const char *how = pair->ratio ? "Hodges-Lehmann, ratio"
	                              : "Hodges-Lehmann, difference relative to the median";

	return json_pack(
	        "{sO sO so sO sO sO sO sO so so so so so so sf so so sf ss so}", "benchmark",
	        json_object_get(pair->b->step, "benchmark"), "params",
	        json_object_get(pair->b->step, "params"), "targets",
	        nova_measurement_targets(pair->b->result, pair->b->step), "metric",
	        json_object_get(metric, "name"), "side", json_object_get(metric, "side"), "unit",
	        json_object_get(metric, "unit"), "better", json_object_get(metric, "better"),
	        "revision", json_object_get(metric, "revision"), "a", side_json(pair->a), "b",
	        side_json(pair->b), "method", pair->comparable ? json_string(how) : json_null(),
	        "shift", real_if(pair->comparable && pair->has_shift, pair->shift), "interval",
	        interval ? json_pack("[f f]", pair->low, pair->high) : json_null(), "interval_why",
	        interval ? json_null() : text_or_null(pair->interval_why), "level", judging->level,
	        "p", real_if(pair->comparable, pair->p), "p_adjusted",
	        real_if(pair->comparable, pair->p_adjusted), "minimum_effect", pair->minimum_effect,
	        "verdict", pair->verdict, "why", text_or_null(pair->why));
}

void nova_pairs_judge(struct pairs *pairs, const struct nova_judging *judging)
{
	for (size_t i = 0; i < pairs->count; i++)
		measure_pair(&pairs->items[i], judging);
	adjust(pairs);
	for (size_t i = 0; i < pairs->count; i++)
		judge_pair(&pairs->items[i], judging);
	judge_by_native(pairs, judging);
}

static json_t *contestant_json(const struct nova_contestant *one)
{
	json_t *runs = json_array();

	for (size_t i = 0; i < one->count; i++) {
		const json_t *run = json_object_get(one->results[i], "run");

		json_array_append_new(runs,
		                      json_pack("{sO sO sO sO}", "id", json_object_get(run, "id"),
		                                "started", json_object_get(run, "started"), "state",
		                                json_object_get(run, "state"), "profile",
		                                json_object_get(run, "profile")));
	}
	return json_pack("{ss so}", "name", one->name, "runs", runs);
}

/* Each once: all metrics of a step share it. */
static json_t *notes_of(const struct pairs *pairs)
{
	json_t *notes = json_array(), *said;
	size_t k;

	for (size_t i = 0; i < pairs->count; i++) {
		const struct pair *pair = &pairs->items[i];
		NOVA_AUTOFREE char *text =
		        nova_recorded_differs(pair->a->step, "a", pair->b->step, "b");
		json_t *note = text ? json_sprintf("%s: %s",
		                                   nova_json_text(pair->b->step, "benchmark"), text)
		                    : NULL;
		bool there = !note;

		json_array_foreach(notes, k, said) there = there || json_equal(said, note);
		if (!there)
			json_array_append(notes, note);
		json_decref(note);
	}
	return notes;
}

static int check_where(const json_t *differs, struct nova_error *error)
{
	NOVA_AUTOTEXT struct nova_text names = {0};
	size_t i;
	json_t *one;

	if (!json_array_size(differs))
		return 0;
	json_array_foreach(differs, i, one)
	{
		NOVA_AUTOFREE char *a = nova_json_canonical(json_object_get(one, "a"));
		NOVA_AUTOFREE char *b = nova_json_canonical(json_object_get(one, "b"));

		nova_text_addf(&names, "%s%s (%.80s, %.80s)", i ? "; " : "",
		               nova_json_text(one, "fact"), a, b);
	}
	return nova_error_set(error, NOVA_E_REFUSED,
	                      "these were not measured under the same circumstances, so a "
	                      "difference would say nothing of what is compared: %s; --force "
	                      "compares all the same, and says so",
	                      nova_text_get(&names));
}

int nova_compare(const struct nova_contestant *a, const struct nova_contestant *b,
                 const struct nova_judging *judging, const char *metric, bool force,
                 json_t **comparison, struct nova_error *error)
{
	struct pairs pairs = {.any_where = force};
	NOVA_AUTOJSON json_t *where = NULL;
	json_t *rows = json_array(), *unmatched;
	int code;

	*comparison = NULL;
	unmatched = pairs_find(&pairs, a, b, metric);
	where = pairs_where(&pairs, a, b);
	code = force ? 0 : check_where(where, error);
	if (!code) {
		nova_pairs_judge(&pairs, judging);
		for (size_t i = 0; i < pairs.count; i++)
			json_array_append_new(rows, nova_pair_json(&pairs.items[i], judging));
		*comparison =
		        json_pack("{ss so so sb s{sO} s{so} sf so so so}", "schema",
		                  "novacore.comparison/1", "a", contestant_json(a), "b",
		                  contestant_json(b), "forced", force && json_array_size(where),
		                  "where", "differs", where, "what", "differs", pairs_what(a, b),
		                  "alpha", judging->alpha, "metrics", json_incref(rows),
		                  "unmatched", json_incref(unmatched), "notes", notes_of(&pairs));
	}
	json_decref(rows);
	json_decref(unmatched);
	pairs_free(&pairs);
	return code;
}
