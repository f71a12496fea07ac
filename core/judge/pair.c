/* SPDX-License-Identifier: MIT */
/*
 * Finds what of two sets of results stands against each other: the same metric, on the same side,
 * of the same measurement; and whether the two mean the same.
 */
#include "core/judge/pair.h"

#include "core/stats/stats.h"

#include <stdlib.h>
#include <string.h>

/* --- cells ----------------------------------------------------------------------------------- */

/* How a cell is found again; `targets`: those of the same names and drivers only. */
static char *name_of(const json_t *result, const json_t *step, const json_t *metric, bool targets)
{
	NOVA_AUTOJSON json_t *measurement = nova_measurement(result, step);
	NOVA_AUTOFREE char *canonical = NULL;

	if (!targets)
		json_object_del(measurement, "targets");
	canonical = nova_json_canonical(measurement);
	return nova_format("%s %s %s", nova_json_text(metric, "name"),
	                   nova_json_text(metric, "side"), canonical);
}

static bool same_text(const json_t *a, const json_t *b, const char *member)
{
	return !strcmp(nova_json_text(a, member), nova_json_text(b, member));
}

/* NULL: they mean the same. Else why they do not, owned by the caller. */
static char *difference_in_meaning(const json_t *a, const json_t *b)
{
	NOVA_AUTOFREE char *source_a = nova_source_sorted(nova_json_text(a, "source"));
	NOVA_AUTOFREE char *source_b = nova_source_sorted(nova_json_text(b, "source"));
	long long revision_a = json_integer_value(json_object_get(a, "revision"));
	long long revision_b = json_integer_value(json_object_get(b, "revision"));

	if (revision_a != revision_b)
		return nova_format("the metric has another meaning now: revision %lld, then %lld",
		                   revision_a, revision_b);
	if (!same_text(a, b, "unit") || !same_text(a, b, "better"))
		return nova_format("its unit or direction differs: %s (%s is better), then %s (%s)",
		                   nova_json_text(a, "unit"), nova_json_text(a, "better"),
		                   nova_json_text(b, "unit"), nova_json_text(b, "better"));
	if (*source_a && *source_b && strcmp(source_a, source_b) != 0)
		return nova_format("its end points come from elsewhere: %s, then %s", source_a,
		                   source_b);
	return NULL;
}

static bool same_where(const struct cell *a, const struct cell *b)
{
	NOVA_AUTOJSON json_t *where_a = nova_where_of_step(a->result, a->step);
	NOVA_AUTOJSON json_t *where_b = nova_where_of_step(b->result, b->step);

	return json_equal(where_a, where_b);
}

static void cell_clear(struct cell *cell)
{
	free(cell->values);
	free(cell->medians);
	memset(cell, 0, sizeof(*cell));
}

/* Pools a step's units of one metric with those of older runs; a changed meaning begins anew. */
static void pool(struct cell *cell, const struct cell *newer, struct nova_units *units,
                 bool any_where)
{
	NOVA_AUTOFREE char *differs =
	        cell->metric ? difference_in_meaning(cell->metric, newer->metric) : NULL;

	if (cell->metric && (differs || (!any_where && !same_where(cell, newer))))
		cell_clear(cell);
	cell->result = newer->result;
	cell->step = newer->step;
	cell->metric = newer->metric;
	cell->lost += units->lost;
	if (!units->count)
		return;
	cell->values =
	        nova_realloc(cell->values, (cell->count + units->count) * sizeof(*cell->values));
	memcpy(cell->values + cell->count, units->values, units->count * sizeof(*cell->values));
	cell->count += units->count;
	nova_stats_sort(units->values, units->count);
	cell->medians = nova_grow(cell->medians, cell->runs, sizeof(*cell->medians));
	cell->medians[cell->runs++] = nova_stats_median(units->values, units->count);
}

struct gather {
	struct cell *cells;
	size_t count;
	json_t *index; /* name → number of the cell */
	const char *only;
	bool any_where;
};

static void gather_step(struct gather *gather, const json_t *result, const json_t *step)
{
	struct nova_units *units = nova_units_of(step);
	size_t i;
	json_t *metric;

	json_array_foreach(json_object_get(step, "metrics"), i, metric)
	{
		struct cell newer = {.result = result, .step = step, .metric = metric};
		NOVA_AUTOFREE char *name = name_of(result, step, metric, true);
		json_t *known = json_object_get(gather->index, name);

		if (gather->only && strcmp(gather->only, nova_json_text(metric, "name")) != 0)
			continue;
		if (!known) {
			known = json_integer((json_int_t)gather->count);
			json_object_set_new(gather->index, name, known);
			gather->cells =
			        nova_grow(gather->cells, gather->count, sizeof(*gather->cells));
			gather->cells[gather->count++] = (struct cell){0};
		}
		pool(&gather->cells[json_integer_value(known)], &newer, &units[i],
		     gather->any_where);
	}
	nova_units_free(units, step);
}

static struct cell *gather(const struct nova_contestant *one, const char *metric, bool any_where,
                           size_t *count)
{
	struct gather all = {.index = json_object(), .only = metric, .any_where = any_where};

	for (size_t i = 0; i < one->count; i++) {
		size_t j;
		json_t *step;

		json_array_foreach(json_object_get(one->results[i], "steps"), j, step)
		        gather_step(&all, one->results[i], step);
	}
	json_decref(all.index);
	*count = all.count;
	return all.cells;
}

/* --- facts that differ ------------------------------------------------------------------------ */

static void add_difference(json_t *differs, const char *fact, json_t *a, json_t *b)
{
	size_t i;
	json_t *known;

	if (a && b && json_equal(a, b))
		return;
	json_array_foreach(differs, i, known)
	{
		if (!strcmp(nova_json_text(known, "fact"), fact))
			return;
	}
	json_array_append_new(differs, json_pack("{ss so so}", "fact", fact, "a",
	                                         a ? json_incref(a) : json_null(), "b",
	                                         b ? json_incref(b) : json_null()));
}

static void add_differences(json_t *differs, json_t *a, json_t *b)
{
	const char *fact;
	json_t *value;

	json_object_foreach(a, fact, value)
	        add_difference(differs, fact, value, json_object_get(b, fact));
	json_object_foreach(b, fact, value)
	        add_difference(differs, fact, json_object_get(a, fact), value);
}

/* NULL: under the same circumstances. Else what differs, owned by the caller. */
static char *difference_in_where(const struct cell *a, const struct cell *b)
{
	NOVA_AUTOJSON json_t *where_a = nova_where_of_step(a->result, a->step);
	NOVA_AUTOJSON json_t *where_b = nova_where_of_step(b->result, b->step);
	NOVA_AUTOJSON json_t *differs = json_array();
	struct nova_text text = {0};
	size_t i;
	json_t *one;

	add_differences(differs, where_a, where_b);
	json_array_foreach(differs, i, one)
	{
		NOVA_AUTOFREE char *then = nova_json_canonical(json_object_get(one, "a"));
		NOVA_AUTOFREE char *now = nova_json_canonical(json_object_get(one, "b"));

		nova_text_addf(&text, "%s%s was %.60s, is %.60s",
		               i ? "; " : "measured elsewhere: ", nova_json_text(one, "fact"), then,
		               now);
	}
	return text.data;
}

/* --- pairs ----------------------------------------------------------------------------------- */

static void add_pair(struct pairs *pairs, struct cell *a, struct cell *b)
{
	char *differs = difference_in_meaning(a->metric, b->metric);
	struct pair *pair;

	if (!differs && !pairs->any_where)
		differs = difference_in_where(a, b);
	pairs->items = nova_grow(pairs->items, pairs->count, sizeof(*pairs->items));
	pair = &pairs->items[pairs->count++];
	*pair = (struct pair){.a = a, .b = b, .comparable = !differs, .verdict = "not comparable"};
	snprintf(pair->why, sizeof(pair->why), "%s", differs ? differs : "");
	free(differs);
	a->taken = b->taken = true;
}

/* Pairs cells that are free by their names; the first of equal ones come together. */
static void match(struct pairs *pairs, bool targets)
{
	NOVA_AUTOJSON json_t *index = json_object();

	for (size_t i = pairs->a_count; i-- > 0;) {
		const struct cell *cell = &pairs->a[i];
		NOVA_AUTOFREE char *name = name_of(cell->result, cell->step, cell->metric, targets);

		if (!cell->taken)
			json_object_set_new(index, name, json_integer((json_int_t)i));
	}
	for (size_t i = 0; i < pairs->b_count; i++) {
		struct cell *cell = &pairs->b[i];
		NOVA_AUTOFREE char *name = name_of(cell->result, cell->step, cell->metric, targets);
		const json_t *at = json_object_get(index, name);

		if (!cell->taken && at && !pairs->a[json_integer_value(at)].taken)
			add_pair(pairs, &pairs->a[json_integer_value(at)], cell);
	}
}

/* In the order of b's cells, which is that of the document. */
static int by_b(const void *left, const void *right)
{
	const struct pair *a = left, *b = right;

	return a->b < b->b ? -1 : a->b > b->b;
}

static void add_unmatched(json_t *unmatched, const struct cell *cells, size_t count,
                          const char *only)
{
	for (size_t i = 0; i < count; i++)
		if (!cells[i].taken)
			json_array_append_new(
			        unmatched,
			        json_pack("{sO sO sO sO ss}", "metric",
			                  json_object_get(cells[i].metric, "name"), "side",
			                  json_object_get(cells[i].metric, "side"), "benchmark",
			                  json_object_get(cells[i].step, "benchmark"), "params",
			                  json_object_get(cells[i].step, "params"), "only", only));
}

json_t *pairs_find(struct pairs *pairs, const struct nova_contestant *a,
                   const struct nova_contestant *b, const char *metric)
{
	json_t *unmatched = json_array();

	pairs->a = gather(a, metric, pairs->any_where, &pairs->a_count);
	pairs->b = gather(b, metric, pairs->any_where, &pairs->b_count);
	match(pairs, true);
	if (!pairs->same_targets)
		match(pairs, false);
	if (pairs->count)
		qsort(pairs->items, pairs->count, sizeof(*pairs->items), by_b);
	add_unmatched(unmatched, pairs->a, pairs->a_count, "a");
	add_unmatched(unmatched, pairs->b, pairs->b_count, "b");
	return unmatched;
}

void pairs_free(struct pairs *pairs)
{
	for (size_t i = 0; i < pairs->a_count; i++)
		cell_clear(&pairs->a[i]);
	for (size_t i = 0; i < pairs->b_count; i++)
		cell_clear(&pairs->b[i]);
	free(pairs->a);
	free(pairs->b);
	free(pairs->items);
	memset(pairs, 0, sizeof(*pairs));
}

const struct pair *pairs_native_of(const struct pairs *pairs, const struct pair *vm)
{
	if (strcmp(nova_json_text(vm->b->metric, "side"), "vm") != 0)
		return NULL;
	for (size_t i = 0; i < pairs->count; i++) {
		const struct pair *one = &pairs->items[i];

		if (one->b->step == vm->b->step &&
		    same_text(one->b->metric, vm->b->metric, "name") &&
		    !strcmp(nova_json_text(one->b->metric, "side"), "native"))
			return one;
	}
	return NULL;
}

/* --- what the document says ------------------------------------------------------------------- */

static const json_t *newest(const struct nova_contestant *one)
{
	return one->results[one->count - 1];
}

json_t *pairs_where(const struct pairs *pairs, const struct nova_contestant *a,
                    const struct nova_contestant *b)
{
	json_t *differs = json_array();
	NOVA_AUTOJSON json_t *run_a = nova_where_of_run(newest(a));
	NOVA_AUTOJSON json_t *run_b = nova_where_of_run(newest(b));

	add_differences(differs, run_a, run_b);
	for (size_t i = 0; i < pairs->count; i++) {
		const struct pair *pair = &pairs->items[i];
		bool seen = i && pairs->items[i - 1].b->step == pair->b->step;
		NOVA_AUTOJSON json_t *step_a =
		        seen ? NULL : nova_where_of_step(pair->a->result, pair->a->step);
		NOVA_AUTOJSON json_t *step_b =
		        seen ? NULL : nova_where_of_step(pair->b->result, pair->b->step);

		add_differences(differs, step_a, step_b);
	}
	return differs;
}

/* What is compared, with what of the shape is no part of *where*. */
static json_t *what_of(const json_t *result)
{
	json_t *what = json_copy(json_object_get(json_object_get(result, "what"), "facts"));
	const json_t *shape = json_object_get(
	        json_object_get(json_object_get(result, "where"), "facts"), "shape");
	json_t *knobs = json_object_get(shape, "knobs");

	if (knobs)
		json_object_set(what, "shape.knobs", knobs);
	json_object_set(what, "novacore",
	                json_object_get(json_object_get(result, "run"), "novacore"));
	return what;
}

json_t *pairs_what(const struct nova_contestant *a, const struct nova_contestant *b)
{
	json_t *differs = json_array();
	NOVA_AUTOJSON json_t *what_a = what_of(newest(a));
	NOVA_AUTOJSON json_t *what_b = what_of(newest(b));

	add_differences(differs, what_a, what_b);
	return differs;
}
