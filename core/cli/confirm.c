/* SPDX-License-Identifier: MIT */
/* compare --confirm: what was compared is run again, both sides interleaved on this host now. */
#include "core/cli/confirm.h"

#include "core/cli/progress.h"
#include "core/cli/sequential.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One of the two: a step of a stored run, with the settings that it had. */
struct side {
	const char *name;     /* "a", "b" */
	const json_t *result; /* the run's, as it was compared; borrowed */
	struct nova_run_record run;
	struct nova_settings loaded;
	json_t *plan;
	const char **
	        settings; /* what the other has not: "key=value", "--plugin kvm"; NULL-terminated */
	size_t count;
};

struct confirming {
	const struct confirm *request;
	size_t row_index;
	const json_t *row; /* of the comparison */
	struct side a, b;
	json_t *where; /* how this host is another one, if that is forced */
	json_t *plan, *result;
};

/* --- what is confirmed ---------------------------------------------------------------------------
 */

/* Native values come only from steps without targets: an A/B has no side beside its VMs. */
static bool can_be_run(const json_t *row)
{
	const char *side = nova_json_text(row, "side");
	bool alone = !json_array_size(json_object_get(row, "targets"));

	return strcmp(nova_json_text(row, "verdict"), "not comparable") != 0 &&
	       !strcmp(side, alone ? "native" : "vm");
}

/* What regressed first, then what improved; of these the largest shift, either way alike. */
static double weight_of(const json_t *row)
{
	const char *verdict = nova_json_text(row, "verdict");
	const json_t *said = json_object_get(row, "shift");
	double shift = json_number_value(said), size = fabs(shift > -1 ? log1p(shift) : shift);
	bool regressed = !strcmp(verdict, "regressed"), improved = !strcmp(verdict, "improved");

	if (!json_is_number(said)) /* nothing succeeded on one side */
		size = regressed || improved ? HUGE_VAL : 0;
	size = size < 1e6 ? size : 1e6;
	return size + (regressed ? 2e7 : improved ? 1e7 : 0);
}

static int choose(struct confirming *all, struct nova_error *error)
{
	const json_t *rows = json_object_get(all->request->comparison, "metrics"), *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		if (!can_be_run(row) || (all->row && weight_of(row) <= weight_of(all->row)))
			continue;
		all->row = row;
		all->row_index = i;
	}
	if (all->row)
		return 0;
	return nova_error_set(error, NOVA_E_INVALID,
	                      "--confirm: nothing of this comparison can be run again in VMs; "
	                      "without --metric there may be more");
}

/* --- as it was -----------------------------------------------------------------------------------
 */

static const json_t *result_of(const struct nova_contestant *one, const char *id)
{
	for (size_t i = 0; i < one->count; i++)
		if (!strcmp(nova_json_text(json_object_get(one->results[i], "run"), "id"), id))
			return one->results[i];
	return NULL;
}

static int plan_side(struct confirming *all, struct side *side,
                     const struct nova_contestant *contestant, struct nova_error *error)
{
	const json_t *then = json_object_get(all->row, side->name);
	struct nova_again_request request = {
	        .step = (size_t)json_integer_value(json_object_get(then, "step")),
	        .seed = all->request->seed};
	int code;

	side->result = result_of(contestant, nova_json_text(then, "run"));
	code = nova_store_run_get(all->request->store, nova_json_text(then, "run"), &side->run,
	                          error);
	if (!code)
		code = nova_settings_load_planned(json_object_get(side->run.plan, "command"),
		                                  side->run.profile, &side->loaded, error);
	request.stored = side->run.plan;
	request.config = side->loaded.config;
	request.registry = side->loaded.registry;
	if (!code)
		code = nova_plan_again(&request, &side->plan, error);
	return code ? nova_error_prefix(error, "--confirm: run %s", nova_json_text(then, "run"))
	            : 0;
}

static bool stands_in(const json_t *list, const json_t *one)
{
	size_t i;
	json_t *other;

	json_array_foreach(list, i, other)
	{
		if (json_equal(one, other))
			return true;
	}
	return false;
}

static void add_words(struct side *side, char *owned)
{
	side->settings = nova_realloc(side->settings, (side->count + 2) * sizeof(*side->settings));
	side->settings[side->count++] = owned;
	side->settings[side->count] = NULL;
}

/* What one was asked for and the other was not. */
static void tell_apart(struct side *side, const struct side *other)
{
	static const char *const words[] = {"config", "plugin", "uri"};
	const json_t *own = json_object_get(side->run.plan, "command");
	const json_t *its = json_object_get(other->run.plan, "command"), *setting;
	size_t i;

	if (strcmp(side->run.profile, other->run.profile) != 0)
		add_words(side, nova_format("--profile %s", side->run.profile));
	for (i = 0; i < NOVA_COUNT(words); i++)
		if (*nova_json_text(own, words[i]) &&
		    strcmp(nova_json_text(own, words[i]), nova_json_text(its, words[i])) != 0)
			add_words(side,
			          nova_format("--%s %s", words[i], nova_json_text(own, words[i])));
	json_array_foreach(json_object_get(own, "targets"), i, setting)
	{
		if (!stands_in(json_object_get(its, "targets"), setting))
			add_words(side, nova_format("--target %s", json_string_value(setting)));
	}
	json_array_foreach(json_object_get(own, "settings"), i, setting)
	{
		if (!stands_in(json_object_get(its, "settings"), setting))
			add_words(side, nova_strdup(json_string_value(setting)));
	}
}

/* True: both sides come out as the same. What was another kernel then is the same one now. */
static bool is_alike(const struct confirming *all)
{
	const json_t *a = all->a.plan, *b = all->b.plan;

	return !all->a.count && !all->b.count &&
	       json_equal(json_object_get(a, "targets"), json_object_get(b, "targets")) &&
	       json_equal(json_object_get(a, "shape"), json_object_get(b, "shape"));
}

static void add_where(json_t *all, const json_t *own)
{
	size_t i;
	json_t *one;

	json_array_foreach(own, i, one)
	{
		if (!stands_in(all, one))
			json_array_append(all, one);
	}
}

static int check_where(struct confirming *all, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *of_a = nova_where_differs(all->a.result, all->a.plan);
	NOVA_AUTOJSON json_t *of_b = nova_where_differs(all->b.result, all->b.plan);
	NOVA_AUTOTEXT struct nova_text names = {0};
	size_t i;
	json_t *one;

	all->where = json_array();
	add_where(all->where, of_a);
	add_where(all->where, of_b);
	if (!json_array_size(all->where) || all->request->force)
		return 0;
	json_array_foreach(all->where, i, one)
	{
		NOVA_AUTOFREE char *then = nova_json_canonical(json_object_get(one, "then"));
		NOVA_AUTOFREE char *now = nova_json_canonical(json_object_get(one, "now"));

		nova_text_addf(&names, "%s%s was %.80s, is %.80s", i ? "; " : "",
		               nova_json_text(one, "fact"), then, now);
	}
	return nova_error_set(error, NOVA_E_REFUSED,
	                      "--confirm: here and now are not the circumstances of those runs, so "
	                      "it would confirm nothing of them: %s; --force runs it all the same, "
	                      "and says so",
	                      nova_text_get(&names));
}

static int make_plan(struct confirming *all, struct nova_error *error)
{
	const struct confirm *request = all->request;
	struct nova_ab_request ab = {
	        .a = all->a.plan,
	        .b = all->b.plan,
	        .a_settings = (const char *const *)all->a.settings,
	        .b_settings = (const char *const *)all->b.settings,
	        .metric = nova_json_text(all->row, "metric"),
	        .alpha = request->alpha,
	        .minimum_effect =
	                request->effect > 0
	                        ? request->effect
	                        : json_number_value(json_object_get(all->row, "minimum_effect")),
	        .max_pairs = request->pairs};
	int code = nova_ab_plan(&ab, &all->plan, error);

	if (!code && request->full)
		json_object_set_new(all->plan, "full", json_true());
	if (!code)
		code = nova_plan_estimate(all->plan, request->store, error);
	return code ? nova_error_prefix(error, "--confirm") : 0;
}

/* --- running it ----------------------------------------------------------------------------------
 */

static int execute(struct confirming *all, int *exit_code, struct nova_error *error)
{
	struct nova_run_request request = {.config = all->a.loaded.config,
	                                   .config_b = all->b.loaded.config,
	                                   .registry = all->a.loaded.registry,
	                                   .store = all->request->store,
	                                   .plan = all->plan,
	                                   .watch = nova_progress_watch()};
	struct nova_run_outcome outcome;
	int code;

	nova_progress_begin(all->request->quiet, true);
	code = nova_run_execute(&request, &outcome, error);
	nova_progress_end();
	*exit_code = outcome.exit_code;
	if (!outcome.id[0])
		return code;
	if (code) {
		nova_complain(error);
		*exit_code = *exit_code ? *exit_code : nova_code_exit(code);
		memset(error, 0, sizeof(*error));
	}
	return nova_result_build(all->request->store, outcome.id, &all->result, error);
}

/* --- what it saw ---------------------------------------------------------------------------------
 */

static const struct {
	const char *said, *verdict;
} verdicts[] = {{"worse", "regressed"},
                {"better", "improved"},
                {"same", "same"},
                {"undecided", "inconclusive"}};

static const char *verdict_of(const json_t *result)
{
	const char *said = sequential_said(result);

	for (size_t i = 0; i < NOVA_COUNT(verdicts); i++)
		if (!strcmp(verdicts[i].said, said))
			return verdicts[i].verdict;
	return "inconclusive";
}

/* Null where one of the two has not decided. */
static json_t *confirmed(const char *compared, const char *seen)
{
	if (!strcmp(compared, "inconclusive") || !strcmp(seen, "inconclusive"))
		return json_null();
	return json_boolean(!strcmp(compared, seen));
}

static void add_confirmation(const struct confirming *all)
{
	const json_t *row = all->row, *run = json_object_get(all->result, "run");
	const json_t *step = json_array_get(json_object_get(all->result, "steps"), 0);
	json_t *ab = json_object_get(step, "ab");
	const char *verdict = verdict_of(all->result);

	json_object_set_new(
	        all->request->comparison, "confirmation",
	        json_pack("{sO sO sO sO sI sO sO sI so sO s{so so} ss so sO? sO}", "benchmark",
	                  json_object_get(row, "benchmark"), "params",
	                  json_object_get(row, "params"), "targets",
	                  json_object_get(row, "targets"), "metric", json_object_get(row, "metric"),
	                  "row", (json_int_t)all->row_index, "run", json_object_get(run, "id"),
	                  "state", json_object_get(run, "state"), "seed",
	                  (json_int_t)all->request->seed, "alike", json_boolean(is_alike(all)),
	                  "where", all->where, "not_restored", "a",
	                  nova_not_restored(all->a.result, all->result, "a"), "b",
	                  nova_not_restored(all->b.result, all->result, "b"), "verdict", verdict,
	                  "confirmed", confirmed(nova_json_text(row, "verdict"), verdict),
	                  "stopped", json_object_get(step, "stopped"), "ab", ab));
}

bool confirm_clears(const json_t *comparison, size_t row)
{
	const json_t *seen = json_object_get(comparison, "confirmation");
	const char *verdict = nova_json_text(seen, "verdict");

	return json_is_object(seen) &&
	       json_integer_value(json_object_get(seen, "row")) == (json_int_t)row &&
	       (!strcmp(verdict, "same") || !strcmp(verdict, "improved"));
}

/* --- all of it -----------------------------------------------------------------------------------
 */

static void drop(struct side *side)
{
	for (size_t i = 0; i < side->count; i++)
		free((char *)(uintptr_t)side->settings[i]);
	free(side->settings);
	nova_run_record_clear(&side->run);
	nova_settings_free(&side->loaded);
	json_decref(side->plan);
}

int confirm(const struct confirm *request, int *exit_code, struct nova_error *error)
{
	struct confirming all = {.request = request, .a.name = "a", .b.name = "b"};
	int code = choose(&all, error);

	if (!code)
		code = plan_side(&all, &all.a, request->a, error);
	if (!code)
		code = plan_side(&all, &all.b, request->b, error);
	if (!code)
		code = check_where(&all, error);
	if (!code) {
		tell_apart(&all.a, &all.b);
		tell_apart(&all.b, &all.a);
		code = make_plan(&all, error);
	}
	if (!code)
		code = execute(&all, exit_code, error);
	if (!code && all.result)
		add_confirmation(&all);
	drop(&all.a);
	drop(&all.b);
	json_decref(all.where);
	json_decref(all.plan);
	json_decref(all.result);
	return code;
}
