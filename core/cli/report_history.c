/* SPDX-License-Identifier: MIT */
/* The history of a run's metrics: the same step, in the same place, in earlier runs. */
#include "core/cli/report_history.h"

#include "core/stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_RUNS   60
#define MOST_SERIES 24
/* nova_stats_changes finds none in fewer. */
#define LEAST_POINTS 20

struct past {
	char id[37], started[32];
};

struct series {
	const json_t *metric; /* the result's */
	uint32_t side;
	json_t *entry, *points;
	double *values; /* of the run that is being read */
	size_t count;
};

struct history {
	struct nova_store *store;
	const json_t *result;
	struct past runs[MOST_RUNS]; /* newest first */
	size_t run_count;
	const struct past *run; /* the one that is being read */
	const json_t *step;     /* of the result, whose like is looked for */
	struct series series[MOST_SERIES];
	size_t series_count;
	struct nova_error *error;
	int code;
};

/* --- which runs ------------------------------------------------------------------------------ */

static int take_run(void *context, const struct nova_run_record *record)
{
	struct history *history = context;
	const json_t *run = json_object_get(history->result, "run");
	const json_t *where = json_object_get(json_object_get(history->result, "where"), "facts");
	struct past *past = &history->runs[history->run_count];

	nova_utc_format(record->started_utc_ns, past->started);
	if (strcmp(record->state, "complete") != 0 || !json_equal(record->where, where) ||
	    strcmp(past->started, nova_json_text(run, "started")) >= 0 ||
	    !strcmp(record->id, nova_json_text(run, "id")))
		return 0;
	memcpy(past->id, record->id, sizeof(past->id));
	return ++history->run_count == MOST_RUNS;
}

/* --- which values ---------------------------------------------------------------------------- */

static uint32_t side_of(const json_t *metric)
{
	static const char *const names[] = {"", "vm", "native", "a", "b"};

	for (uint32_t side = 1; side < NOVA_COUNT(names); side++)
		if (!strcmp(names[side], nova_json_text(metric, "side")))
			return side;
	return 0;
}

static void begin_series(struct history *history)
{
	json_t *metrics = json_object_get(history->step, "metrics"), *metric;
	size_t i;

	history->series_count = 0;
	json_array_foreach(metrics, i, metric)
	{
		struct series *series = &history->series[history->series_count];

		if (history->series_count == MOST_SERIES ||
		    !json_is_number(json_object_get(metric, "value")))
			continue;
		*series = (struct series){
		        .metric = metric, .side = side_of(metric), .points = json_array()};
		series->entry = json_pack("{ss ss ss so}", "metric", nova_json_text(metric, "name"),
		                          "side", nova_json_text(metric, "side"), "unit",
		                          nova_json_text(metric, "unit"), "points", series->points);
		history->series_count++;
	}
}

static int take_sample(void *context, const struct nova_sample_record *sample)
{
	struct history *history = context;

	for (size_t i = 0; sample->status == NOVA_SAMPLE_OK && i < history->series_count; i++) {
		struct series *series = &history->series[i];

		if (series->side != sample->at.side ||
		    strcmp(nova_json_text(series->metric, "name"), sample->metric) != 0)
			continue;
		series->values = nova_grow(series->values, series->count, sizeof(double));
		series->values[series->count++] = sample->value;
		break;
	}
	return 0;
}

static void add_point(struct series *series, const char *id, const char *started, double value)
{
	json_array_append_new(series->points, json_pack("{ss ss sf}", "id", id, "started", started,
	                                                "value", value));
}

static int take_step(void *context, const struct nova_step_record *step)
{
	struct history *history = context;

	if (strcmp(step->hash, nova_json_text(history->step, "hash")) != 0 ||
	    strcmp(step->state, "done") != 0)
		return 0;
	history->code = nova_store_sample_each(history->store, history->run->id, step->index, false,
	                                       take_sample, history, history->error);
	for (size_t i = 0; i < history->series_count; i++) {
		struct series *series = &history->series[i];

		if (!series->count)
			continue;
		nova_stats_sort(series->values, series->count);
		add_point(series, history->run->id, history->run->started,
		          nova_stats_median(series->values, series->count));
		free(series->values);
		series->values = NULL;
		series->count = 0;
	}
	return 1;
}

/* Where the level of a series changed, or why nobody looked. */
static void add_changes(struct series *series)
{
	const struct nova_change_options options = {.sensitivity = NOVA_SENSITIVITY_DEFAULT};
	struct nova_change_point changes[8];
	size_t count = json_array_size(series->points), found, i;
	NOVA_AUTOFREE double *values = nova_alloc((count + 1) * sizeof(*values));
	json_t *list = json_array(), *point;

	json_array_foreach(series->points, i, point) values[i] =
	        json_number_value(json_object_get(point, "value"));
	json_object_set_new(series->entry, "changes", list);
	if (count < LEAST_POINTS) {
		json_object_set_new(
		        series->entry, "changes_why",
		        json_string("Too few for changes of level to be told from noise"));
		return;
	}
	found = nova_stats_changes(values, count, &options, changes, NOVA_COUNT(changes));
	for (i = 0; i < found && i < NOVA_COUNT(changes); i++)
		json_array_append_new(
		        list, json_pack("{sI sf sf sf sf}", "index", (json_int_t)changes[i].index,
		                        "before", changes[i].before, "after", changes[i].after,
		                        "shift", isfinite(changes[i].shift) ? changes[i].shift : 0,
		                        "p", changes[i].p));
}

static void end_series(struct history *history, json_t *all)
{
	const json_t *run = json_object_get(history->result, "run");

	for (size_t i = 0; i < history->series_count; i++) {
		struct series *series = &history->series[i];

		add_point(series, nova_json_text(run, "id"), nova_json_text(run, "started"),
		          json_number_value(json_object_get(series->metric, "value")));
		add_changes(series);
		json_array_append_new(all, series->entry);
		free(series->values);
	}
}

int nova_cli_history(struct nova_store *store, const json_t *result, json_t **out,
                     struct nova_error *error)
{
	NOVA_AUTOFREE struct history *history = nova_alloc(sizeof(*history));
	json_t *step;
	size_t i;

	*out = json_array();
	history->store = store;
	history->result = result;
	history->error = error;
	history->code = nova_store_run_each(store, take_run, history, error);
	json_array_foreach(json_object_get(result, "steps"), i, step)
	{
		history->step = step;
		begin_series(history);
		for (size_t r = history->run_count; !history->code && r-- > 0;) {
			int code;

			history->run = &history->runs[r];
			code = nova_store_step_each(store, history->run->id, take_step, history,
			                            error);
			history->code = history->code ? history->code : code;
		}
		end_series(history, *out);
	}
	return history->code;
}
