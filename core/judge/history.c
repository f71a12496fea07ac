/* SPDX-License-Identifier: MIT */
/* The history of a metric with its change points, and what is known of them. See judge.h. */
#include "core/judge/series.h"

#include "core/machine/machine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- known changes --------------------------------------------------------------------------- */

struct known_change {
	const char *id;
	int64_t from, to; /* when it may have begun */
	json_t *found;
};

/* One more run can move a change by a run or two: it is the same one while it may have begun there.
 */
static int look_at_known(void *context, const struct nova_acknowledgement *one)
{
	struct known_change *known = context;
	char made[32];

	if (strcmp(one->kind, "change") != 0 ||
	    (strcmp(one->id, known->id) != 0 &&
	     (one->began_utc_ns < known->from || one->began_utc_ns > known->to)))
		return 0;
	nova_utc_format(one->made_utc_ns, made);
	known->found =
	        json_pack("{ss ss ss}", "id", one->id, "why", one->why ? one->why : "", "at", made);
	return 1;
}

static json_t *known_change(struct nova_store *store, const struct series *series,
                            const struct nova_change_point *change, const char *id)
{
	size_t low = change->low < series->count ? change->low : change->index;
	size_t high = change->high < series->count ? change->high : change->index;
	struct known_change known = {.id = id,
	                             .from = series->points[low].started_utc_ns,
	                             .to = series->points[high].started_utc_ns};

	nova_store_acknowledged_each(store, series->hash, look_at_known, &known, NULL);
	return known.found ? known.found : json_null();
}

/* --- the document ---------------------------------------------------------------------------- */

static json_t *real_or_null(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *time_json(int64_t utc_ns)
{
	char text[32];

	nova_utc_format(utc_ns, text);
	return json_string(text);
}

static json_t *point_json(const struct point *point)
{
	bool interval = !isnan(point->low) && !isnan(point->high);

	return json_pack("{ss sI so sI sI sf so}", "run", point->run, "step",
	                 (json_int_t)point->step, "started", time_json(point->started_utc_ns), "n",
	                 (json_int_t)point->n, "attempted", (json_int_t)point->attempted, "value",
	                 point->value, "interval",
	                 interval ? json_pack("[f f]", point->low, point->high) : json_null());
}

static json_t *change_json(struct nova_store *store, const struct series *series,
                           const struct nova_change_point *change)
{
	const struct point *point = &series->points[change->index];
	bool lower = !strcmp(series->better, "lower");
	bool worse = lower ? change->after > change->before : change->after < change->before;
	char id[17];

	series_change_id(series, change, id);
	return json_pack("{ss sI ss so sI sI sf sf so so sb so}", "id", id, "index",
	                 (json_int_t)change->index, "run", point->run, "started",
	                 time_json(point->started_utc_ns), "low", (json_int_t)change->low, "high",
	                 (json_int_t)change->high, "before", change->before, "after", change->after,
	                 "shift", real_or_null(change->shift), "p", real_or_null(change->p),
	                 "worse", worse, "acknowledged", known_change(store, series, change, id));
}

/* The test of core/stats finds none in fewer (docs/man/novacore-analyze.md). */
#define LEAST_POINTS 20

static json_t *series_json(struct nova_store *store, const struct series *series,
                           const struct nova_judging *judging)
{
	json_t *points = json_array(), *changes = json_array();
	NOVA_AUTOFREE struct nova_change_point *found = NULL;
	size_t count = series_changes(series, judging, &found);

	for (size_t i = 0; i < series->count; i++)
		json_array_append_new(points, point_json(&series->points[i]));
	for (size_t i = 0; i < count; i++)
		json_array_append_new(changes, change_json(store, series, &found[i]));
	return json_pack(
	        "{ss ss ss sO sO ss sI ss ss so ss sb sI so so so}", "metric", series->metric,
	        "benchmark", series->benchmark, "side", series_side(series), "params",
	        series->params, "targets", series->targets, "where", series->where, "revision",
	        (json_int_t)series->revision, "unit", series->unit, "better", series->better,
	        "source", *series->source ? json_string(series->source) : json_null(), "accel",
	        series->accel, "simulated", series->simulated, "gaps", (json_int_t)series->gaps,
	        "points", points, "changes", changes, "changes_why",
	        series->count < LEAST_POINTS
	                ? json_string("Too few for changes of level to be told from noise")
	                : json_null());
}

/* --- which --------------------------------------------------------------------------------- */

static bool is_on(const struct series *series, const char *plugin)
{
	size_t i;
	json_t *target;

	json_array_foreach(series->targets, i, target)
	{
		if (!strcmp(nova_json_text(target, "plugin"), plugin))
			return true;
	}
	return false;
}

static bool wanted(const struct nova_history_request *request, const struct series *series,
                   const char *here)
{
	const char *where = request->where;

	if (where && !strcmp(where, "this") ? strcmp(series->host, here) != 0
	                                    : where && strncmp(series->where, where, strlen(where)))
		return false;
	return (!request->benchmark || !strcmp(request->benchmark, series->benchmark)) &&
	       (!request->side || !strcmp(request->side, series_side(series))) &&
	       (!request->plugin || is_on(series, request->plugin));
}

/* Only up to a run, and not too many. False: that run has no value in the series. */
static bool cut(const struct nova_history_request *request, struct series *series)
{
	size_t end = series->count, from;

	while (request->run && end && strcmp(series->points[end - 1].run, request->run) != 0)
		end--;
	from = request->most && end > request->most ? end - request->most : 0;
	if (from)
		memmove(series->points, series->points + from,
		        (end - from) * sizeof(*series->points));
	series->count = end - from;
	return end || !request->run;
}

static void this_host(char hash[65])
{
	json_t *where = NULL, *what = NULL;

	nova_machine_facts(&where, &what);
	/* As a result says it: the memory is rounded there. */
	NOVA_AUTOJSON json_t *result = json_pack("{s{so}}", "where", "facts", where);
	NOVA_AUTOJSON json_t *facts = nova_where_of_run(result);
	nova_host_hash(facts, hash);
	json_decref(what);
}

struct names {
	const char **items;
	size_t count;
};

static int add_name(void *context, const struct nova_measured *step,
                    const struct nova_reduced *reduced)
{
	struct names *names = context;

	(void)step;
	if (names->count && !strcmp(names->items[names->count - 1], reduced->metric))
		return 0;
	names->items = nova_realloc(names->items, (names->count + 2) * sizeof(*names->items));
	names->items[names->count++] = nova_strdup(reduced->metric);
	names->items[names->count] = NULL;
	return 0;
}

int nova_metric_unknown(struct nova_store *store, const char *metric, struct nova_error *error)
{
	struct names names = {0};
	int code = nova_store_reduced_each(store, NULL, add_name, &names, error);
	const char *near = names.items ? nova_nearest(metric, names.items) : NULL;

	if (!code)
		code = nova_error_set(error, NOVA_E_NOT_FOUND,
		                      "no run that is done has measured \"%.96s\"%s%s%s", metric,
		                      near ? "; did you mean \"" : "", near ? near : "",
		                      near ? "\"?" : "");
	for (size_t i = 0; i < names.count; i++)
		free((char *)(uintptr_t)names.items[i]);
	free(names.items);
	return code;
}

int nova_history(struct nova_store *store, const struct nova_history_request *request,
                 json_t **history, struct nova_error *error)
{
	json_t *all = json_array();
	struct series_list list;
	char here[65] = "";
	int code = series_read(store, request->metric, &list, error);

	*history = NULL;
	if (request->where && !strcmp(request->where, "this"))
		this_host(here);
	if (!code && request->metric && !list.count)
		code = nova_metric_unknown(store, request->metric, error);
	for (size_t i = 0; i < list.count && !code; i++)
		if (wanted(request, &list.items[i], here) && cut(request, &list.items[i]))
			json_array_append_new(
			        all, series_json(store, &list.items[i], &request->judging));
	series_free(&list);
	if (!code && request->metric && !json_array_size(all))
		code = nova_error_set(
		        error, NOVA_E_NOT_FOUND,
		        "%s was measured, but nothing of it fits --benchmark, "
		        "--plugin, --side and --where together; without them novacore "
		        "history %s shows all",
		        request->metric, request->metric);
	if (!code)
		*history = json_pack("{ss so sO}", "schema", "novacore.history/1", "metric",
		                     request->metric ? json_string(request->metric) : json_null(),
		                     "series", all);
	json_decref(all);
	return code;
}
