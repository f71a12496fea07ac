/* SPDX-License-Identifier: MIT */
/*
 * Acknowledging a change point or a regression by the id that was printed. Ids are not kept: they
 * follow from what they name, so all that there are now are gone through until one fits.
 */
#include "core/judge/result.h"
#include "core/judge/series.h"

#include <stdlib.h>
#include <string.h>

/* How many of the newest runs of a series are compared, to find how far it has shifted. */
#define RUNS_LOOKED_AT 20

struct search {
	struct nova_store *store;
	const struct nova_judging *judging;
	const char *id;
	struct nova_acknowledgement *known;
	size_t count;
	struct nova_text ids;
	struct nova_error *error;
	int code;
};

static bool fits(const struct search *search, const char *id)
{
	return !strncmp(id, search->id, strlen(search->id));
}

static void take(struct search *search, const char *id, const char *kind,
                 const struct series *series, const struct point *from, double shift)
{
	struct nova_acknowledgement *known = search->known;

	/* Two names of one set of runs are one baseline. */
	if (search->count && !strcmp(known->id, id))
		return;
	nova_text_addf(&search->ids, "%s%s", search->count ? ", " : "", id);
	if (search->count++)
		return;
	snprintf(known->id, sizeof(known->id), "%s", id);
	snprintf(known->kind, sizeof(known->kind), "%s", kind);
	snprintf(known->series, sizeof(known->series), "%s", series->hash);
	snprintf(known->metric, sizeof(known->metric), "%s", series->metric);
	snprintf(known->run, sizeof(known->run), "%s", from->run);
	known->began_utc_ns = from->started_utc_ns;
	known->shift = shift;
}

static void search_changes(struct search *search, const struct series *series)
{
	NOVA_AUTOFREE struct nova_change_point *changes = NULL;
	size_t count = series_changes(series, search->judging, &changes);

	for (size_t i = 0; i < count; i++) {
		char id[17];

		series_change_id(series, &changes[i], id);
		if (fits(search, id))
			take(search, id, "change", series, &series->points[changes[i].index],
			     changes[i].after / changes[i].before - 1);
	}
}

/* The metric of this series in a result, or NULL. */
static const json_t *metric_in(const json_t *result, const struct series *series, uint32_t step)
{
	const json_t *one = json_array_get(json_object_get(result, "steps"), step);
	size_t i;
	json_t *metric;

	json_array_foreach(json_object_get(one, "metrics"), i, metric)
	{
		if (!strcmp(nova_json_text(metric, "name"), series->metric) &&
		    !strcmp(nova_json_text(metric, "side"), series_side(series)))
			return metric;
	}
	return NULL;
}

/* The newest run of the series that has the regression of this id, and how far it shifted. */
static void measure_regression(struct search *search, const struct series *series, const char *id)
{
	size_t looked = 0;

	for (size_t i = series->count; i-- > 0 && looked < RUNS_LOOKED_AT; looked++) {
		const struct point *point = &series->points[i];
		NOVA_AUTOJSON json_t *result = NULL;
		const json_t *baseline;

		search->code = nova_result_build(search->store, point->run, &result, search->error);
		if (search->code)
			return;
		baseline = json_object_get(metric_in(result, series, point->step), "baseline");
		if (strcmp(nova_json_text(baseline, "id"), id) != 0)
			continue;
		take(search, id, "regression", series, point,
		     json_number_value(json_object_get(baseline, "shift")));
		return;
	}
}

struct regressions {
	struct search *search;
	const struct series_list *list;
};

static int search_baseline(void *context, const struct nova_baseline_record *baseline)
{
	struct regressions *regressions = context;
	struct search *search = regressions->search;
	NOVA_AUTOFREE char *runs = nova_json_canonical(baseline->runs);

	for (size_t i = 0; i < regressions->list->count && !search->code; i++) {
		const struct series *series = &regressions->list->items[i];
		char id[17];

		nova_finding_id("regression", series->hash, runs, id);
		if (fits(search, id))
			measure_regression(search, series, id);
	}
	return search->code;
}

static int report(const struct search *search, struct nova_error *error)
{
	if (search->code)
		return search->code;
	if (search->count > 1)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "%zu findings begin with %s: %s; give more digits",
		                      search->count, search->id, nova_text_get(&search->ids));
	if (!search->count)
		return nova_error_set(error, NOVA_E_NOT_FOUND,
		                      "there is no change point and no regression %s now; novacore "
		                      "history METRIC and the results of runs show their ids",
		                      search->id);
	return 0;
}

static int check_id(const char *id, struct nova_error *error)
{
	size_t length = strlen(id);

	if (length >= 4 && length <= 12 && strspn(id, "0123456789abcdef") == length)
		return 0;
	return nova_error_set(error, NOVA_E_INVALID,
	                      "\"%.40s\" is no id of a change point or regression: give its 12 hex "
	                      "digits, or at least the first 4",
	                      id);
}

int nova_acknowledge(struct nova_store *store, const struct nova_judging *judging, const char *id,
                     const char *why, struct nova_acknowledgement *known, struct nova_error *error)
{
	struct search search = {
	        .store = store, .judging = judging, .id = id, .known = known, .error = error};
	struct series_list list = {0};
	struct regressions regressions = {&search, &list};
	int code;

	memset(known, 0, sizeof(*known));
	code = check_id(id, error);
	if (!code)
		code = series_read(store, NULL, &list, error);
	for (size_t i = 0; i < list.count && !code; i++)
		search_changes(&search, &list.items[i]);
	if (!code)
		code = nova_store_baseline_each(store, NULL, NULL, search_baseline, &regressions,
		                                error);
	if (!code)
		code = report(&search, error);
	if (!code) {
		known->why = nova_strdup(why);
		known->made_utc_ns = nova_utc_ns();
		code = nova_store_acknowledge(store, known, error);
	}
	series_free(&list);
	nova_text_free(&search.ids);
	return code;
}
