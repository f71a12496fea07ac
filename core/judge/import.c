/* SPDX-License-Identifier: MIT */
/*
 * A result document of elsewhere into the store: every record that the document was built from, so
 * that it is shown, compared and exported like a run of this machine. Nothing in it is executed,
 * and no path or URI in it is opened.
 */
#include "core/judge/judge.h"
#include "core/judge/recorded.h"
#include "core/judge/result.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct importing {
	struct nova_store *store;
	const json_t *result;
	const char *run;
	struct nova_error *error;
};

static const char *text(const json_t *object, const char *member)
{
	const char *value = json_string_value(json_object_get(object, member));

	return value ? value : "";
}

static int64_t number(const json_t *object, const char *member)
{
	return json_integer_value(json_object_get(object, member));
}

/* Copies text that must not be cut. */
static int copy_text(char *out, size_t room, const char *value, const char *what,
                     struct nova_error *error)
{
	if (strlen(value) >= room)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "cannot import: %s is longer than %zu characters", what,
		                      room - 1);
	memcpy(out, value, strlen(value) + 1);
	return 0;
}

static int small(const json_t *value, const char *what, uint32_t *out, struct nova_error *error)
{
	json_int_t whole = json_integer_value(value);

	if (whole < 0 || whole > UINT32_MAX)
		return nova_error_set(error, NOVA_E_INVALID, "cannot import: %s is out of range",
		                      what);
	*out = (uint32_t)whole;
	return 0;
}

/* "2026-11-20T11:39:16.123Z", whose form has been checked; null is 0. */
static int64_t time_of(const json_t *value)
{
	const char *stamp = json_string_value(value);
	struct tm parts = {0};
	const char *rest = stamp ? strptime(stamp, "%Y-%m-%dT%H:%M:%S", &parts) : NULL;

	if (!rest || *rest != '.')
		return 0;
	return timegm(&parts) * NOVA_SECOND_NS + strtol(rest + 1, NULL, 10) * 1000000;
}

static uint32_t index_of(const char *word, const char *const *words)
{
	for (uint32_t i = 0; words[i]; i++)
		if (!strcmp(words[i], word))
			return i + 1;
	return 0;
}

static uint32_t side_of(const char *name)
{
	static const char *const names[] = {"vm", "native", "a", "b", NULL};

	return index_of(name, names);
}

static uint32_t status_of(const char *name)
{
	static const char *const names[] = {"ok", "failed", "timed_out", NULL};

	return index_of(name, names);
}

/* Facts that were altered no longer fit the hash by which runs are compared. */
static int check_facts(const struct importing *import, const char *which)
{
	const json_t *part = json_object_get(import->result, which);
	NOVA_AUTOFREE char *canonical = nova_json_canonical(json_object_get(part, "facts"));
	char hash[65];

	nova_sha256(canonical, strlen(canonical), hash);
	if (!strcmp(hash, text(part, "hash")))
		return 0;
	return nova_error_set(import->error, NOVA_E_INVALID,
	                      "cannot import: the facts in \"%s\" do not fit their hash; the "
	                      "result was altered",
	                      which);
}

/* --- the plan that the document implies ------------------------------------------------------ */

/* Of a metric, or of a comparison. */
static void add_goal(json_t *goals, const json_t *metric, const char *plugin)
{
	const json_t *goal = json_object_get(metric, "goal");
	size_t i;
	json_t *known;

	if (!json_is_object(goal))
		return;
	json_array_foreach(goals, i,
	                   known) if (!strcmp(text(known, "metric"), text(metric, "name")) &&
	                              !strcmp(text(known, "plugin"), plugin)) return;
	json_array_append_new(goals, json_pack("{ss ss? sO sO}", "metric", text(metric, "name"),
	                                       "plugin", *plugin ? plugin : NULL, "pass",
	                                       json_object_get(goal, "pass"), "acceptable",
	                                       json_object_get(goal, "acceptable")));
}

/* As the plan has it; its settings are only shown. */
static json_t *ab_of(const json_t *said)
{
	return json_pack("{sO sO sO sO s{sO} s{sO}}", "metric", json_object_get(said, "metric"),
	                 "alpha", json_object_get(said, "alpha"), "minimum_effect",
	                 json_object_get(said, "minimum_effect"), "max_pairs",
	                 json_object_get(said, "max_pairs"), "a", "settings",
	                 json_object_get(said, "a"), "b", "settings", json_object_get(said, "b"));
}

static void add_declarations(const struct importing *import, json_t *plan, const json_t *step)
{
	static const char *const kept[] = {"unit", "better", "revision", "doc", "source", "advice"};
	const json_t *index = json_array_get(json_object_get(step, "targets"), 0);
	const json_t *target = json_array_get(json_object_get(import->result, "targets"),
	                                      (size_t)json_integer_value(index));
	const char *plugin = index ? text(target, "plugin") : "";
	size_t i;
	json_t *metric;

	json_array_foreach(json_object_get(step, "metrics"), i, metric)
	{
		json_t *declaration = json_object();

		for (size_t k = 0; k < NOVA_COUNT(kept); k++)
			json_object_set(declaration, kept[k], json_object_get(metric, kept[k]));
		json_object_set_new(json_object_get(plan, "metrics"), text(metric, "name"),
		                    declaration);
		json_object_set(plan, "level", json_object_get(metric, "level"));
		add_goal(json_object_get(plan, "goals"), metric, plugin);
	}
	if (json_object_get(step, "param_units"))
		json_object_set(json_object_get(plan, "param_units"), text(step, "benchmark"),
		                json_object_get(step, "param_units"));
	if (json_is_object(json_object_get(step, "ab")))
		json_object_set_new(plan, "ab", ab_of(json_object_get(step, "ab")));
	json_array_foreach(json_object_get(step, "comparisons"), i, metric)
	        add_goal(json_object_get(plan, "goals"), metric, plugin);
}

static json_t *plan_of(const struct importing *import)
{
	json_t *plan = json_pack(
	        "{s{} s{} s[] s[] sO sO sO sb}", "metrics", "param_units", "goals", "recordings",
	        "notes", json_object_get(import->result, "notes"), "proposals",
	        json_object_get(import->result, "proposals"), "novacore",
	        json_object_get(json_object_get(import->result, "run"), "novacore"), "imported", 1);
	size_t i;
	json_t *step;

	json_array_foreach(json_object_get(import->result, "steps"), i, step)
	{
		add_declarations(import, plan, step);
		nova_recorded_back(json_object_get(step, "recorded"),
		                   (uint32_t)number(step, "index"),
		                   json_object_get(plan, "recordings"));
	}
	return plan;
}

/* --- records --------------------------------------------------------------------------------- */

static int import_run(const struct importing *import)
{
	const json_t *run = json_object_get(import->result, "run");
	const json_t *anchor = json_object_get(run, "anchor");
	NOVA_AUTOJSON json_t *plan = plan_of(import);
	struct nova_run_record record = {
	        .seed = (uint64_t)number(run, "seed"),
	        .started_utc_ns = time_of(json_object_get(run, "started")),
	        .ended_utc_ns = time_of(json_object_get(run, "ended")),
	        .anchor_monotonic_ns = number(anchor, "monotonic_ns"),
	        .anchor_utc_ns = number(anchor, "utc_ns"),
	        .plan = plan,
	        .where = json_object_get(json_object_get(import->result, "where"), "facts"),
	        .what = json_object_get(json_object_get(import->result, "what"), "facts"),
	        .targets = json_object_get(import->result, "targets"),
	        .skipped = json_object_get(import->result, "skipped")};
	struct nova_error *error = import->error;
	int code = copy_text(record.id, sizeof(record.id), import->run, "run.id", error);

	if (!code)
		code = copy_text(record.profile, sizeof(record.profile), text(run, "profile"),
		                 "run.profile", error);
	if (!code)
		code = copy_text(record.state, sizeof(record.state), text(run, "state"),
		                 "run.state", error);
	if (!code)
		code = copy_text(record.boot_id, sizeof(record.boot_id), text(anchor, "boot_id"),
		                 "run.anchor.boot_id", error);
	return code ? code : nova_store_run_put(import->store, &record, error);
}

/* In ns, as it was: a second more than 2^53 ns is no estimate that novacore makes. */
static int64_t estimate_of(const json_t *step)
{
	double seconds = json_number_value(json_object_get(step, "estimate_s"));

	return seconds > 0 && seconds < 9e6 ? llround(seconds * 1e9) : 0;
}

static int import_step(const struct importing *import, const json_t *step)
{
	const char *why = json_string_value(json_object_get(step, "why"));
	struct nova_step_record record = {.order_seed = (uint64_t)number(step, "order_seed"),
	                                  .why = (char *)(uintptr_t)why,
	                                  .targets = json_object_get(step, "targets"),
	                                  .params = json_object_get(step, "params"),
	                                  .started_utc_ns =
	                                          time_of(json_object_get(step, "started")),
	                                  .ended_utc_ns = time_of(json_object_get(step, "ended")),
	                                  .estimate_ns = estimate_of(step)};
	struct nova_error *error = import->error;
	int code = small(json_object_get(step, "index"), "a step's index", &record.index, error);

	if (!code)
		code = copy_text(record.hash, sizeof(record.hash), text(step, "hash"),
		                 "a step's hash", error);
	if (!code)
		code = copy_text(record.benchmark, sizeof(record.benchmark),
		                 text(step, "benchmark"), "a benchmark's name", error);
	if (!code)
		code = copy_text(record.state, sizeof(record.state), text(step, "state"),
		                 "a step's state", error);
	if (!code)
		code = copy_text(record.stopped, sizeof(record.stopped), text(step, "stopped"),
		                 "why a step stopped", error);
	return code ? code : nova_store_step_put(import->store, import->run, &record, error);
}

static int import_replicate(const struct importing *import, uint32_t step, const json_t *one)
{
	static const char *const names[] = {"attempted", "succeeded", "failed", "timed_out"};
	const char *why = json_string_value(json_object_get(one, "why"));
	struct nova_replicate at = {.step = step, .side = side_of(text(one, "side"))};
	struct nova_error *error = import->error;
	uint32_t counts[4];
	int code = small(json_object_get(one, "replicate"), "a replicate", &at.replicate, error);

	if (!code)
		code = small(json_object_get(one, "attempt"), "an attempt", &at.attempt, error);
	if (!code)
		code = small(json_object_get(one, "order"), "a replicate's order", &at.order,
		             error);
	for (size_t i = 0; i < 4 && !code; i++)
		code = small(json_object_get(json_object_get(one, "counts"), names[i]), "a count",
		             &counts[i], error);
	if (!code)
		code = nova_store_replicate_begin(import->store, import->run, &at, error);
	if (!code)
		code = nova_store_replicate_end(import->store, import->run, &at, text(one, "state"),
		                                counts, why, error);
	return code;
}

static int import_sample(const struct importing *import, uint32_t step, const json_t *row)
{
	struct nova_sample_record sample = {
	        .at = {.step = step, .side = side_of(json_string_value(json_array_get(row, 2)))},
	        .vm = (uint64_t)json_integer_value(json_array_get(row, 3)),
	        .status = status_of(json_string_value(json_array_get(row, 5))),
	        .value = json_number_value(json_array_get(row, 6)),
	        .t_ns = json_integer_value(json_array_get(row, 7)),
	        .intended_ns = json_integer_value(json_array_get(row, 9)),
	        .error_ns = json_integer_value(json_array_get(row, 10)),
	        .why = json_string_value(json_array_get(row, 12))};
	struct nova_error *error = import->error;
	int code = small(json_array_get(row, 0), "a replicate", &sample.at.replicate, error);

	if (!code)
		code = small(json_array_get(row, 1), "an attempt", &sample.at.attempt, error);
	if (!code)
		code = small(json_array_get(row, 8), "a sample's seq", &sample.seq, error);
	if (!code)
		code = copy_text(sample.metric, sizeof(sample.metric),
		                 json_string_value(json_array_get(row, 4)), "a metric's name",
		                 error);
	return code ? code : nova_store_sample_put(import->store, import->run, &sample, error);
}

static int import_steps(const struct importing *import)
{
	size_t i, j;
	json_t *step, *one;
	int code = 0;

	json_array_foreach(json_object_get(import->result, "steps"), i, step)
	{
		uint32_t index = (uint32_t)number(step, "index");

		code = import_step(import, step);
		json_array_foreach(json_object_get(step, "replicates"), j, one)
		{
			if (!code)
				code = import_replicate(import, index, one);
		}
		json_array_foreach(json_object_get(json_object_get(step, "samples"), "rows"), j,
		                   one)
		{
			if (!code)
				code = import_sample(import, index, one);
		}
		if (code)
			return nova_error_prefix(import->error, "step %u", index);
	}
	return 0;
}

/* --- the whole ------------------------------------------------------------------------------- */

/*
 * What was measured, without what it says against a baseline: that depends on the store it was
 * written from. `stored` has none; a verdict that a baseline has made counts as that of `stored`.
 */
static bool same_measured(const json_t *stored, const json_t *imported)
{
	NOVA_AUTOJSON json_t *copy = json_deep_copy(imported);
	size_t i, j;
	json_t *step, *metric;

	json_array_foreach(json_object_get(copy, "steps"), i, step)
	{
		const json_t *here = json_array_get(json_object_get(stored, "steps"), i);

		json_array_foreach(json_object_get(step, "metrics"), j, metric)
		{
			json_t *one = json_array_get(json_object_get(here, "metrics"), j);

			if (!one || !json_is_object(json_object_get(metric, "baseline")))
				continue;
			json_object_set_new(metric, "baseline", json_null());
			json_object_set(metric, "verdict", json_object_get(one, "verdict"));
			json_object_set(metric, "verdict_why", json_object_get(one, "verdict_why"));
		}
	}
	return json_equal(stored, copy);
}

/* 0 and *there: the same run is stored already. */
static int compare_stored(const struct importing *import, bool *there)
{
	NOVA_AUTOJSON json_t *stored = NULL;
	int code = nova_result_measure(import->store, import->run, &stored, import->error);

	*there = false;
	if (code == NOVA_E_NOT_FOUND)
		return 0;
	if (code)
		return code;
	*there = same_measured(stored, import->result);
	if (*there)
		return 0;
	return nova_error_set(import->error, NOVA_E_EXISTS,
	                      "run %s is stored already, with other contents; delete it first "
	                      "(novacore results delete) to replace it",
	                      import->run);
}

/* What the samples amount to must be what the document says they do. */
static int check_rebuilt(const struct importing *import)
{
	NOVA_AUTOJSON json_t *stored = NULL;
	int code = nova_result_measure(import->store, import->run, &stored, import->error);

	if (!code && !same_measured(stored, import->result))
		nova_log(NOVA_LOG_WARNING,
		         "the result of run %s says of its samples what this novacore does not "
		         "find in them; what is shown is computed anew",
		         import->run);
	return code;
}

int nova_result_import(struct nova_store *store, const json_t *result, bool *imported,
                       struct nova_error *error)
{
	struct nova_error local = {0};
	struct importing import = {.store = store,
	                           .result = result,
	                           .run = text(json_object_get(result, "run"), "id"),
	                           .error = error ? error : &local};
	bool there = false;
	int code = compare_stored(&import, &there);

	*imported = false;
	if (code || there)
		return code;
	code = check_facts(&import, "where");
	if (!code)
		code = check_facts(&import, "what");
	if (!code)
		code = nova_store_begin(store, import.error);
	if (code)
		return code;
	code = import_run(&import);
	if (!code)
		code = import_steps(&import);
	if (!code)
		code = check_rebuilt(&import);
	if (code) {
		nova_store_rollback(store);
		return code;
	}
	code = nova_store_commit(store, import.error);
	*imported = !code;
	if (!code)
		nova_measured_update(store, NULL); /* else the next history does it */
	return code;
}
