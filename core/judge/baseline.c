/* SPDX-License-Identifier: MIT */
/*
 * Baselines: which runs are one, and what a result says against it. The rule is in judge.h.
 */
#include "core/judge/judge.h"
#include "core/judge/pair.h"
#include "core/judge/recorded.h"
#include "core/judge/result.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- setting --------------------------------------------------------------------------------- */

static bool has_values(const json_t *result)
{
	size_t i, j;
	json_t *step, *metric;

	json_array_foreach(json_object_get(result, "steps"), i, step)
	{
		json_array_foreach(json_object_get(step, "metrics"), j, metric)
		{
			if (json_is_number(json_object_get(metric, "value")))
				return true;
		}
	}
	return false;
}

/* Sides a and b, whose settings are an experiment's. */
static bool is_trial(const json_t *result)
{
	size_t i, j;
	json_t *step, *metric;

	json_array_foreach(json_object_get(result, "steps"), i, step)
	{
		json_array_foreach(json_object_get(step, "metrics"), j, metric)
		{
			if (strlen(nova_json_text(metric, "side")) == 1)
				return true;
		}
	}
	return false;
}

static int check_run(const json_t *result, bool force, struct nova_error *error)
{
	const json_t *run = json_object_get(result, "run");
	const char *id = nova_json_text(run, "id"), *state = nova_json_text(run, "state");

	if (nova_result_simulated(result))
		return nova_error_set(error, NOVA_E_REFUSED,
		                      "run %s is simulated: its values are invented, and nothing "
		                      "real is to be judged by them",
		                      id);
	if (!has_values(result))
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "run %s has measured nothing: there is nothing to compare with", id);
	if (is_trial(result))
		return nova_error_set(
		        error, NOVA_E_REFUSED,
		        "run %s compares two settings (novacore ab): what it measured is "
		        "no state of affairs to be judged by",
		        id);
	if (strcmp(state, "complete") != 0 && !force)
		return nova_error_set(
		        error, NOVA_E_REFUSED,
		        "run %s is %s, not complete: parts of the suite would have no "
		        "baseline; finish it (novacore run --resume %s), or say "
		        "--force",
		        id, state, id);
	return 0;
}

/* Adds the run's id, unless it is there already, and its *where*, which must be that of the others.
 */
static int add_run(struct nova_baseline_record *made, const json_t *result, bool force,
                   struct nova_error *error)
{
	const char *id = nova_json_text(json_object_get(result, "run"), "id");
	NOVA_AUTOJSON json_t *where = nova_where_of_run(result);
	int code = check_run(result, force, error);
	char hash[65];
	size_t i;
	json_t *known;

	if (code)
		return code;
	nova_facts_hash(where, hash);
	if (json_array_size(made->runs) && strcmp(hash, made->where) != 0)
		return nova_error_set(error, NOVA_E_REFUSED,
		                      "run %s was made elsewhere (where %.12s) than the others "
		                      "(where %.12s); a baseline holds runs of one where",
		                      id, hash, made->where);
	memcpy(made->where, hash, sizeof(made->where));
	json_array_foreach(made->runs, i, known)
	{
		if (!strcmp(json_string_value(known), id))
			return 0;
	}
	json_array_append_new(made->runs, json_string(id));
	return 0;
}

int nova_baseline_set(struct nova_store *store, const char *const *runs, size_t count,
                      const char *name, bool force, struct nova_baseline_record *made,
                      struct nova_error *error)
{
	struct nova_baseline_record local = {.runs = json_array(), .made_utc_ns = nova_utc_ns()};
	int code = 0;

	if (made)
		made->runs = NULL;
	if (!nova_name_valid(name))
		code = nova_error_set(
		        error, NOVA_E_INVALID,
		        "\"%.80s\" is no name for a baseline: use lower-case letters, "
		        "digits and -, at most 64",
		        name);
	snprintf(local.name, sizeof(local.name), "%.64s", name);
	for (size_t i = 0; i < count && !code; i++) {
		NOVA_AUTOJSON json_t *result = NULL;

		code = nova_result_measure(store, runs[i], &result, error);
		if (!code)
			code = add_run(&local, result, force, error);
	}
	if (!code)
		code = nova_store_baseline_put(store, &local, error);
	if (!code && made)
		*made = local;
	else
		json_decref(local.runs);
	return code;
}

/* --- finding --------------------------------------------------------------------------------- */

struct finding {
	const char *name, *where;
	struct nova_baseline_record *found;
	size_t count;
	struct nova_text hashes;
	const char **names; /* of all there are, for the nearest */
	size_t name_count;
};

static int look_at_baseline(void *context, const struct nova_baseline_record *baseline)
{
	struct finding *finding = context;

	finding->names =
	        nova_realloc(finding->names, (finding->name_count + 2) * sizeof(*finding->names));
	finding->names[finding->name_count++] = nova_strdup(baseline->name);
	finding->names[finding->name_count] = NULL;
	if (strcmp(baseline->name, finding->name) != 0 ||
	    (finding->where &&
	     strncmp(baseline->where, finding->where, strlen(finding->where)) != 0))
		return 0;
	nova_text_addf(&finding->hashes, "%s%.12s", finding->count ? ", " : "", baseline->where);
	if (finding->count++ == 0) {
		*finding->found = *baseline;
		json_incref(finding->found->runs);
	}
	return 0;
}

static int report_finding(const struct finding *finding, struct nova_error *error)
{
	const char *near = NULL;

	if (finding->count == 1)
		return 0;
	if (finding->count > 1)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "there are %zu baselines \"%s\", one for each where: %s; say "
		                      "which by --where",
		                      finding->count, finding->name,
		                      nova_text_get(&finding->hashes));
	if (finding->names)
		near = nova_nearest(finding->name, finding->names);
	if (near && !strcmp(near, finding->name))
		return nova_error_set(error, NOVA_E_NOT_FOUND,
		                      "there is no baseline \"%s\" whose where begins with %s",
		                      finding->name, finding->where);
	return nova_error_set(error, NOVA_E_NOT_FOUND,
	                      "there is no baseline \"%.80s\"%s%s%s; novacore baseline list shows "
	                      "those there are",
	                      finding->name, near ? "; did you mean \"" : "", near ? near : "",
	                      near ? "\"?" : "");
}

int nova_baseline_find(struct nova_store *store, const char *name, const char *where,
                       struct nova_baseline_record *found, struct nova_error *error)
{
	struct finding finding = {.name = name, .where = where, .found = found};
	int code;

	memset(found, 0, sizeof(*found));
	code = nova_store_baseline_each(store, NULL, NULL, look_at_baseline, &finding, error);
	if (!code)
		code = report_finding(&finding, error);
	for (size_t i = 0; i < finding.name_count; i++)
		free((char *)(uintptr_t)finding.names[i]);
	free(finding.names);
	nova_text_free(&finding.hashes);
	if (code) {
		json_decref(found->runs);
		found->runs = NULL;
	}
	return code;
}

int nova_baseline_results(struct nova_store *store, const struct nova_baseline_record *baseline,
                          json_t **results, struct nova_error *error)
{
	size_t i;
	json_t *id;

	*results = json_array();
	json_array_foreach(baseline->runs, i, id)
	{
		json_t *result = NULL;
		int code = nova_result_measure(store, json_string_value(id), &result, error);

		if (code) {
			json_decref(*results);
			*results = NULL;
			return code;
		}
		json_array_append_new(*results, result);
	}
	return 0;
}

/* --- what a result says against it ------------------------------------------------------------ */

struct judged {
	struct nova_store *store;
	const struct nova_baseline_record *baseline;
	const json_t *newest; /* result of the baseline */
	json_t *result;
};

static void series_of(const struct pair *pair, char series[65])
{
	NOVA_AUTOJSON json_t *measurement = nova_measurement(pair->b->result, pair->b->step);
	NOVA_AUTOJSON json_t *where = nova_where_of_step(pair->b->result, pair->b->step);
	NOVA_AUTOFREE char *source = nova_source_sorted(nova_json_text(pair->b->metric, "source"));
	char measured[65], place[65];

	nova_facts_hash(measurement, measured);
	nova_facts_hash(where, place);
	nova_series_hash(measured, place, nova_json_text(pair->b->metric, "name"),
	                 nova_json_text(pair->b->metric, "side"),
	                 json_integer_value(json_object_get(pair->b->metric, "revision")), source,
	                 series);
}

static int64_t started(const json_t *result)
{
	const json_t *anchor = json_object_get(json_object_get(result, "run"), "anchor");

	return json_integer_value(json_object_get(anchor, "utc_ns"));
}

/* What is known of a series: the shift that somebody expects by now. */
struct known {
	const char *id;
	int64_t after, until; /* changes between them count */
	double factor;        /* of all of them together */
	char *why;
	int64_t made_utc_ns;
};

static int look_at_known(void *context, const struct nova_acknowledgement *one)
{
	struct known *known = context;
	bool change = !strcmp(one->kind, "change");

	if (change ? one->began_utc_ns <= known->after || one->began_utc_ns > known->until
	           : strcmp(one->id, known->id) != 0)
		return 0;
	known->factor = change ? known->factor * (1 + one->shift) : 1 + one->shift;
	free(known->why);
	known->why = nova_strdup(one->why);
	known->made_utc_ns = one->made_utc_ns;
	return !change;
}

/* An acknowledgement covers what was acknowledged, not what got worse by the minimum effect since.
 */
static json_t *acknowledged(const struct judged *judged, const struct pair *pair,
                            const char *series, const char *id)
{
	struct known known = {.id = id,
	                      .after = started(judged->newest),
	                      .until = started(judged->result),
	                      .factor = 1};
	bool lower = !strcmp(nova_json_text(pair->b->metric, "better"), "lower");
	double further;
	char made[32];
	json_t *object = NULL;

	nova_store_acknowledged_each(judged->store, series, look_at_known, &known, NULL);
	further = lower ? (1 + pair->shift) / known.factor : known.factor / (1 + pair->shift);
	if (known.why && (!pair->has_shift || further < 1 + pair->minimum_effect)) {
		nova_utc_format(known.made_utc_ns, made);
		object = json_pack("{ss ss}", "why", known.why, "at", made);
	}
	free(known.why);
	return object ? object : json_null();
}

static char *recorded_differs(const struct judged *judged, const struct pair *pair)
{
	NOVA_AUTOFREE char *name = nova_format("baseline %s", judged->baseline->name);

	return nova_recorded_differs(pair->a->step, name, pair->b->step, "this run");
}

static json_t *against(const struct judged *judged, const struct pair *pair,
                       const struct nova_judging *judging)
{
	NOVA_AUTOJSON json_t *row = nova_pair_json(pair, judging);
	NOVA_AUTOFREE char *runs = nova_json_canonical(judged->baseline->runs);
	const json_t *a = json_object_get(row, "a");
	bool regressed = !strcmp(pair->verdict, "regressed");
	NOVA_AUTOFREE char *recorded = recorded_differs(judged, pair);
	char series[65], id[17];

	series_of(pair, series);
	nova_finding_id("regression", series, runs, id);
	if (recorded)
		json_object_set_new(
		        row, "why",
		        json_sprintf("%s%s%s", pair->why, *pair->why ? "; " : "", recorded));
	return json_pack(
	        "{ss sO sI sO sO sO sO sO sO sO sO sO sO so so}", "name", judged->baseline->name,
	        "run", json_object_get(json_object_get(judged->newest, "run"), "id"), "runs",
	        (json_int_t)json_array_size(judged->baseline->runs), "n", json_object_get(a, "n"),
	        "value", json_object_get(a, "value"), "shift", json_object_get(row, "shift"),
	        "interval", json_object_get(row, "interval"), "interval_why",
	        json_object_get(row, "interval_why"), "p", json_object_get(row, "p"), "p_adjusted",
	        json_object_get(row, "p_adjusted"), "minimum_effect",
	        json_object_get(row, "minimum_effect"), "verdict", json_object_get(row, "verdict"),
	        "why", json_object_get(row, "why"), "id", regressed ? json_string(id) : json_null(),
	        "acknowledged", regressed ? acknowledged(judged, pair, series, id) : json_null());
}

/* A missed goal stays one; else a regression is what the reader must know. */
static void set_verdict(const struct judged *judged, json_t *metric, const struct pair *pair,
                        const json_t *against)
{
	NOVA_AUTOFREE char *recorded = recorded_differs(judged, pair);
	const char *verdict = nova_json_text(metric, "verdict");
	const char *why = nova_json_text(metric, "verdict_why");
	const json_t *known = json_object_get(against, "acknowledged");
	NOVA_AUTOTEXT struct nova_text text = {0};

	if (strcmp(pair->verdict, "regressed") != 0)
		return;
	nova_text_addf(&text, "%s%s", why, *why ? "; " : "");
	if (pair->has_shift)
		nova_text_addf(&text, "%+.1f %%", 100 * pair->shift);
	if (pair->has_interval)
		nova_text_addf(&text, " [%+.1f %%, %+.1f %%]", 100 * pair->low, 100 * pair->high);
	nova_text_addf(&text, "%s%s%s against baseline %s (adjusted p %.2g), %s %s", pair->why,
	               *pair->why && pair->has_shift ? " " : "", pair->has_shift ? "" : ",",
	               nova_json_text(against, "name"), pair->p_adjusted,
	               json_is_object(known) ? "acknowledged:" : "id",
	               json_is_object(known) ? nova_json_text(known, "why")
	                                     : nova_json_text(against, "id"));
	if (recorded)
		nova_text_addf(&text, "; %s", recorded);
	json_object_set_new(metric, "verdict_why", json_string(nova_text_get(&text)));
	if (!json_is_object(known) && strcmp(verdict, "needs optimization") != 0)
		json_object_set_new(metric, "verdict", json_string("regressed"));
}

static int judge_against(struct judged *judged, const json_t *results,
                         const struct nova_judging *judging)
{
	size_t count = json_array_size(results);
	NOVA_AUTOFREE const json_t **older = nova_alloc((count + 1) * sizeof(*older));
	const json_t *const newer[] = {judged->result};
	struct nova_contestant a = {judged->baseline->name, older, count}, b = {"", newer, 1};
	struct pairs pairs = {.same_targets = true}; /* another driver is no regression */

	for (size_t i = 0; i < count; i++)
		older[i] = json_array_get(results, i);
	judged->newest = older[count - 1];
	json_decref(pairs_find(&pairs, &a, &b, NULL));
	nova_pairs_judge(&pairs, judging);
	for (size_t i = 0; i < pairs.count; i++) {
		const struct pair *pair = &pairs.items[i];
		json_t *metric = (json_t *)(uintptr_t)pair->b->metric;
		json_t *said = against(judged, pair, judging);

		set_verdict(judged, metric, pair, said);
		json_object_set_new(metric, "baseline", said);
	}
	pairs_free(&pairs);
	return 0;
}

static int keep_baseline(void *context, const struct nova_baseline_record *baseline)
{
	struct nova_baseline_record *found = context;

	*found = *baseline;
	json_incref(found->runs);
	return 1;
}

/* A run is not judged by itself, nor by a baseline of runs that came later. */
static bool is_older(const struct nova_baseline_record *baseline, const json_t *results,
                     const json_t *result)
{
	const char *id = nova_json_text(json_object_get(result, "run"), "id");
	size_t i;
	json_t *one;

	json_array_foreach(baseline->runs, i, one)
	{
		if (!strcmp(json_string_value(one), id))
			return false;
	}
	return started(json_array_get(results, json_array_size(results) - 1)) <= started(result);
}

int nova_baseline_judge(struct nova_store *store, const json_t *regression, double level,
                        json_t *result, struct nova_error *error)
{
	const char *name = nova_json_text(regression, "baseline");
	NOVA_AUTOJSON json_t *where = nova_where_of_run(result);
	NOVA_AUTOJSON json_t *results = NULL;
	struct nova_baseline_record found = {0};
	struct judged judged = {.store = store, .baseline = &found, .result = result};
	struct nova_judging judging;
	char hash[65];
	int code;

	nova_judging_read(regression, level, &judging);
	nova_facts_hash(where, hash);
	code = nova_store_baseline_each(store, *name ? name : NOVA_BASELINE_DEFAULT, hash,
	                                keep_baseline, &found, error);
	if (!code && json_array_size(found.runs))
		code = nova_baseline_results(store, &found, &results, error);
	if (!code && json_array_size(results) && is_older(&found, results, result))
		code = judge_against(&judged, results, &judging);
	json_decref(found.runs);
	return code;
}
