/* SPDX-License-Identifier: MIT */
/* From what the store keeps of steps to series that are never mixed, and where they change. */
#include "core/judge/series.h"

#include "core/judge/result.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *series_side(const struct series *series)
{
	return nova_side_name(series->side);
}

static json_t *copy_or(json_t *value, json_t *none)
{
	if (!value)
		return none;
	json_decref(none);
	return json_incref(value);
}

static struct series *begin_series(struct series_list *list, const char *hash,
                                   const struct nova_measured *step,
                                   const struct nova_reduced *reduced)
{
	struct series *series;

	json_object_set_new(list->index, hash, json_integer((json_int_t)list->count));
	list->items = nova_grow(list->items, list->count, sizeof(*list->items));
	series = &list->items[list->count++];
	*series = (struct series){.side = reduced->side,
	                          .revision = reduced->revision,
	                          .simulated = step->simulated,
	                          .targets = copy_or(step->targets, json_array()),
	                          .params = copy_or(step->params, json_object())};
	memcpy(series->hash, hash, sizeof(series->hash));
	memcpy(series->where, step->where, sizeof(series->where));
	memcpy(series->host, step->host, sizeof(series->host));
	memcpy(series->measurement, step->measurement, sizeof(series->measurement));
	memcpy(series->benchmark, step->benchmark, sizeof(series->benchmark));
	memcpy(series->accel, step->accel, sizeof(series->accel));
	memcpy(series->metric, reduced->metric, sizeof(series->metric));
	memcpy(series->unit, reduced->unit, sizeof(series->unit));
	memcpy(series->better, reduced->better, sizeof(series->better));
	memcpy(series->source, reduced->source, sizeof(series->source));
	return series;
}

static int add_value(void *context, const struct nova_measured *step,
                     const struct nova_reduced *reduced)
{
	struct series_list *list = context;
	const char *side = nova_side_name(reduced->side);
	struct series *series;
	const json_t *known;
	char hash[65];

	nova_series_hash(step->measurement, step->where, reduced->metric, side, reduced->revision,
	                 reduced->source, hash);
	known = json_object_get(list->index, hash);
	series = known ? &list->items[json_integer_value(known)]
	               : begin_series(list, hash, step, reduced);
	if (isnan(reduced->value)) {
		series->gaps++;
		return 0;
	}
	/* A step that a suite names twice is one value of the run: the first. */
	if (series->count && !strcmp(series->points[series->count - 1].run, step->run))
		return 0;
	/* The newest version is what a reader looks for. */
	json_decref(series->targets);
	series->targets = copy_or(step->targets, json_array());
	series->points = nova_grow(series->points, series->count, sizeof(*series->points));
	series->points[series->count++] = (struct point){.step = step->step,
	                                                 .started_utc_ns = step->started_utc_ns,
	                                                 .n = reduced->n,
	                                                 .attempted = reduced->attempted,
	                                                 .value = reduced->value,
	                                                 .low = reduced->low,
	                                                 .high = reduced->high};
	memcpy(series->points[series->count - 1].run, step->run, sizeof(step->run));
	return 0;
}

int series_read(struct nova_store *store, const char *metric, struct series_list *list,
                struct nova_error *error)
{
	int code = nova_measured_update(store, error);

	*list = (struct series_list){.index = json_object()};
	return code ? code : nova_store_reduced_each(store, metric, add_value, list, error);
}

void series_free(struct series_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		json_decref(list->items[i].targets);
		json_decref(list->items[i].params);
		free(list->items[i].points);
	}
	free(list->items);
	json_decref(list->index);
	memset(list, 0, sizeof(*list));
}

size_t series_changes(const struct series *series, const struct nova_judging *judging,
                      struct nova_change_point **changes)
{
	struct nova_change_options options = {.minimum_effect =
	                                              nova_judging_effect(judging, series->metric)};
	NOVA_AUTOFREE double *values = nova_alloc((series->count + 1) * sizeof(*values));
	size_t room = series->count / 2 + 1, found;

	*changes = nova_alloc(room * sizeof(**changes));
	for (size_t i = 0; i < series->count; i++)
		values[i] = series->points[i].value;
	found = nova_stats_changes(values, series->count, &options, *changes, room);
	return found < room ? found : room;
}

void series_change_id(const struct series *series, const struct nova_change_point *change,
                      char id[17])
{
	nova_finding_id("change", series->hash, series->points[change->index].run, id);
}
