/* SPDX-License-Identifier: MIT */
/* The samples of a step as the figures want them. */
#include "core/report/html.h"

#include <stdlib.h>
#include <string.h>

enum column {
	REPLICATE,
	ATTEMPT,
	SIDE,
	VM,
	METRIC,
	STATUS,
	VALUE,
	T_NS,
	SEQ,
	INTENDED_NS,
	COUNTED,
	WHY,
	COLUMNS
};
static const char *const column_names[COLUMNS] = {"replicate", "attempt",     "side",    "vm",
                                                  "metric",    "status",      "value",   "t_ns",
                                                  "seq",       "intended_ns", "counted", "why"};

/* By name, so that a document of an earlier novacore, with fewer of them, reads as well. */
static void find_columns(const json_t *samples, size_t at[COLUMNS])
{
	size_t i;
	json_t *name;

	for (size_t c = 0; c < COLUMNS; c++)
		at[c] = SIZE_MAX;
	json_array_foreach(json_object_get(samples, "columns"), i, name)
	{
		for (size_t c = 0; c < COLUMNS; c++)
			if (!strcmp(json_string_value(name), column_names[c]))
				at[c] = i;
	}
}

static const char *text_of(const json_t *row, size_t at)
{
	const char *text = json_string_value(json_array_get(row, at));

	return text ? text : "";
}

static int status_of(const char *status)
{
	return !strcmp(status, "ok")       ? NOVA_SAMPLE_OK
	       : !strcmp(status, "failed") ? NOVA_SAMPLE_FAILED
	                                   : NOVA_SAMPLE_TIMED_OUT;
}

static struct nova_html_sample sample_of(const json_t *row, const size_t at[COLUMNS])
{
	const json_t *vm = json_array_get(row, at[VM]);

	return (struct nova_html_sample){
	        .metric = text_of(row, at[METRIC]),
	        .side = text_of(row, at[SIDE]),
	        .why = json_string_value(json_array_get(row, at[WHY])),
	        .replicate = json_integer_value(json_array_get(row, at[REPLICATE])),
	        .attempt = json_integer_value(json_array_get(row, at[ATTEMPT])),
	        .vm = json_is_integer(vm) ? json_integer_value(vm) : -1,
	        .seq = json_integer_value(json_array_get(row, at[SEQ])),
	        .t_ns = json_integer_value(json_array_get(row, at[T_NS])),
	        .intended_ns = json_integer_value(json_array_get(row, at[INTENDED_NS])),
	        .value = json_number_value(json_array_get(row, at[VALUE])),
	        .status = status_of(text_of(row, at[STATUS])),
	};
}

static int by_metric(const void *a, const void *b)
{
	const struct nova_html_sample *left = a, *right = b;
	int order = strcmp(left->metric, right->metric);

	if (!order)
		order = strcmp(left->side, right->side);
	if (!order)
		order = (left->t_ns > right->t_ns) - (left->t_ns < right->t_ns);
	return order ? order : (left->seq > right->seq) - (left->seq < right->seq);
}

struct nova_html_samples nova_html_samples_of(const json_t *step)
{
	const json_t *samples = json_object_get(step, "samples");
	const json_t *rows = json_object_get(samples, "rows");
	struct nova_html_samples found = {
	        nova_alloc((json_array_size(rows) + 1) * sizeof(*found.all)), 0};
	size_t at[COLUMNS], i;
	json_t *row;

	find_columns(samples, at);
	json_array_foreach(rows, i, row)
	{
		if (json_is_true(json_array_get(row, at[COUNTED])))
			found.all[found.count++] = sample_of(row, at);
	}
	if (found.count)
		qsort(found.all, found.count, sizeof(*found.all), by_metric);
	return found;
}

/* The first that is not before (metric, side); with `after` the first that is behind it. */
static size_t bound(const struct nova_html_samples *samples, const char *metric, const char *side,
                    bool after)
{
	size_t low = 0, high = samples->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(samples->all[middle].metric, metric);

		if (!order && side)
			order = strcmp(samples->all[middle].side, side);
		if (order < 0 || (after && order == 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct nova_html_samples nova_html_samples_find(const struct nova_html_samples *samples,
                                                const char *metric, const char *side)
{
	size_t from = bound(samples, metric, side, false);

	return (struct nova_html_samples){samples->all + from,
	                                  bound(samples, metric, side, true) - from};
}
