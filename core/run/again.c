/* SPDX-License-Identifier: MIT */
/*
 * One step of a stored run planned again, with the words and settings of then and the plugins, the
 * configuration files and the host of now; and what of then is not so any more. See run.h.
 */
#include "core/judge/judge.h"
#include "core/run/run.h"

#include "core/machine/machine.h"

#include <string.h>

/* --- planning ------------------------------------------------------------------------------------
 */

/* The texts of an array, borrowed, NULL-terminated; NULL of an empty one. The caller's. */
static const char **words_of(const json_t *array)
{
	size_t count = json_array_size(array);
	const char **words = count ? nova_alloc((count + 1) * sizeof(*words)) : NULL;

	for (size_t i = 0; i < count; i++)
		words[i] = json_string_value(json_array_get(array, i));
	return words;
}

static const char *name_at(const json_t *plan, const json_t *index)
{
	return nova_json_text(
	        json_array_get(json_object_get(plan, "targets"), (size_t)json_integer_value(index)),
	        "name");
}

static bool same_targets(const json_t *then, const json_t *step_then, const json_t *now,
                         const json_t *step_now)
{
	const json_t *left = json_object_get(step_then, "targets");
	const json_t *right = json_object_get(step_now, "targets");

	for (size_t i = 0; i < json_array_size(left); i++)
		if (strcmp(name_at(then, json_array_get(left, i)),
		           name_at(now, json_array_get(right, i))) != 0)
			return false;
	return json_array_size(left) == json_array_size(right);
}

/* The like of `then`'s step, or NULL: the configuration plans others now. */
static json_t *find_step(const json_t *then, const json_t *step, const json_t *now)
{
	size_t i;
	json_t *other;

	json_array_foreach(json_object_get(now, "steps"), i, other)
	{
		if (!strcmp(nova_json_text(step, "benchmark"),
		            nova_json_text(other, "benchmark")) &&
		    json_equal(json_object_get(step, "params"), json_object_get(other, "params")) &&
		    same_targets(then, step, now, other))
			return other;
	}
	return NULL;
}

static json_t *moved(const json_t *kept, const json_t *old)
{
	for (size_t i = 0; i < json_array_size(kept); i++)
		if (json_equal(json_array_get(kept, i), old))
			return json_integer((json_int_t)i);
	return json_integer(0);
}

/* Leaves nothing in the plan but this step and its targets. */
static void keep_only(json_t *plan, json_t *step)
{
	NOVA_AUTOJSON json_t *kept = json_incref(json_object_get(step, "targets"));
	NOVA_AUTOJSON json_t *all = json_incref(json_object_get(plan, "targets"));
	json_t *targets = json_array(), *indices = json_array(), *index;
	size_t i;

	json_incref(step);
	json_array_foreach(kept, i, index)
	{
		json_t *target = json_array_get(all, (size_t)json_integer_value(index));
		const json_t *twin = json_object_get(target, "twin_of");

		if (twin)
			json_object_set_new(target, "twin_of", moved(kept, twin));
		json_array_append(targets, target);
		json_array_append_new(indices, json_integer((json_int_t)i));
	}
	json_object_set_new(step, "index", json_integer(0));
	json_object_set_new(step, "targets", indices);
	json_object_set_new(plan, "targets", targets);
	json_object_set_new(plan, "steps", json_pack("[o]", step));
	json_object_set_new(plan, "skipped", json_array());
}

static int check_planned(const json_t *stored, struct nova_error *error)
{
	if (json_is_true(json_object_get(stored, "imported")))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "it was imported, and only its results are known, not how it "
		                      "was planned");
	if (json_object_get(stored, "ab"))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "it compares A with B itself; novacore results show tells "
		                      "what it saw");
	if (!json_object_get(json_object_get(stored, "command"), "targets"))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "an earlier novacore has planned it and did not keep with "
		                      "which words; run it again and compare with that");
	return 0;
}

int nova_plan_again(const struct nova_again_request *request, json_t **plan,
                    struct nova_error *error)
{
	const json_t *command = json_object_get(request->stored, "command");
	const json_t *then =
	        json_array_get(json_object_get(request->stored, "steps"), request->step);
	NOVA_AUTOFREE const char **targets = words_of(json_object_get(command, "targets"));
	NOVA_AUTOFREE const char **benchmarks = words_of(json_object_get(command, "benchmarks"));
	NOVA_AUTOFREE const char **settings = words_of(json_object_get(command, "settings"));
	struct nova_plan_request made = {
	        .config = request->config,
	        .registry = request->registry,
	        .profile = nova_json_text(request->stored, "profile"),
	        .targets = targets,
	        .plugin = json_string_value(json_object_get(command, "plugin")),
	        .uri = json_string_value(json_object_get(command, "uri")),
	        .benchmarks = benchmarks,
	        .seed = request->seed,
	        .config_file = json_string_value(json_object_get(command, "config")),
	        .settings = settings,
	        .setting_count = json_array_size(json_object_get(command, "settings"))};
	NOVA_AUTOJSON json_t *now = NULL;
	json_t *step;
	int code = check_planned(request->stored, error);

	*plan = NULL;
	if (!code)
		code = nova_plan_make(&made, &now, error);
	if (code)
		return code;
	step = find_step(request->stored, then, now);
	if (!step)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "its step %zu (%s) cannot be planned again: with what is "
		                      "configured and installed now, parameters or targets are "
		                      "others; novacore config show --origin tells where they come "
		                      "from",
		                      request->step + 1, nova_json_text(then, "benchmark"));
	keep_only(now, step);
	*plan = json_incref(now);
	return 0;
}

/* --- what is not so any more ---------------------------------------------------------------------
 */

/* Of objects what differs in them: of twenty parameters one. */
static void note(json_t *differs, const char *fact, json_t *then, json_t *now)
{
	const char *name;
	json_t *value;

	if (then == now || json_equal(then, now))
		return;
	if (!json_is_object(then) || !json_is_object(now)) {
		json_array_append_new(
		        differs, json_pack("{ss sO? sO?}", "fact", fact, "then", then, "now", now));
		return;
	}
	json_object_foreach(then, name, value)
	{
		NOVA_AUTOFREE char *full = nova_format("%s.%s", fact, name);

		note(differs, full, value, json_object_get(now, name));
	}
	json_object_foreach(now, name, value)
	{
		NOVA_AUTOFREE char *full = nova_format("%s.%s", fact, name);

		if (!json_object_get(then, name))
			note(differs, full, NULL, value);
	}
}

json_t *nova_where_differs(const json_t *result, const json_t *plan)
{
	/* As a result says it: memory is rounded there, names and knobs of a shape are left out. */
	NOVA_AUTOJSON json_t *here = json_object();
	NOVA_AUTOJSON json_t *then = nova_where_of_run(result);
	NOVA_AUTOJSON json_t *now = NULL;
	json_t *where, *what, *value, *differs = json_array();
	const char *fact;

	nova_machine_facts(&where, &what);
	json_object_set_new(where, "shape", json_deep_copy(json_object_get(plan, "shape")));
	json_object_set_new(here, "where", json_pack("{so}", "facts", where));
	now = nova_where_of_run(here);
	json_object_foreach(now, fact, value)
	        note(differs, fact, json_object_get(then, fact), value);
	json_decref(what);
	return differs;
}

/* A fact of side "a" or "b": where the two differ in their targets, the names say which. */
static json_t *fact_of(const json_t *facts, const char *fact, const char *side)
{
	NOVA_AUTOFREE char *own = nova_format("%s-%s", fact, side);
	json_t *value = json_object_get(facts, own);

	return value ? value : json_object_get(facts, fact);
}

/* Only what both tell: a run has more steps and targets than the one that was run again. */
static void note_facts(json_t *differs, const json_t *then, const json_t *now, const char *side)
{
	/* checked before; of each metric its own */
	static const char *const left_out[] = {"shape", "metric_revisions"};
	const char *fact;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)then, fact, value)
	{
		json_t *other = fact_of(now, fact, side);
		bool wanted = other != NULL;

		for (size_t i = 0; i < NOVA_COUNT(left_out); i++)
			wanted = wanted && strcmp(fact, left_out[i]) != 0;
		if (wanted)
			note(differs, fact, value, other);
	}
}

static void note_member(json_t *differs, const json_t *then, const json_t *now, const char *member,
                        const char *side)
{
	note_facts(differs, json_object_get(json_object_get(then, member), "facts"),
	           json_object_get(json_object_get(now, member), "facts"), side);
}

json_t *nova_not_restored(const json_t *then, const json_t *now, const char *side)
{
	json_t *differs = json_array();
	const json_t *where = json_object_get(json_object_get(then, "where"), "facts");

	note_member(differs, then, now, "where", side);
	note_member(differs, then, now, "what", side);
	/* An A/B has none. */
	note(differs, "worker_wrapper", json_object_get(where, "worker_wrapper"), NULL);
	note(differs, "novacore", json_object_get(json_object_get(then, "run"), "novacore"),
	     json_object_get(json_object_get(now, "run"), "novacore"));
	return differs;
}
