/* SPDX-License-Identifier: MIT */
/*
 * Where time goes, as the document novacore.hotspots/1: by function, library or process, what each
 * has itself (self), and together with what it calls (total; a stack in which it is several times
 * counts once). Each share has Wilson's interval, for the samples that there are.
 */
#include "core/profiler/flame.h"

#include "core/stats/stats.h"

#include <math.h>
#include <string.h>

struct spot {
	const char *name, *library; /* library: "" but by function */
	uint64_t self, total;
};

/* One stacks, taken together by what was asked for. */
struct spots {
	struct nova_stacks *keys; /* its frames are what the spots are called: numbers to names */
	struct spot *spots;       /* by number */
	uint32_t spot_count;
	uint64_t all, samples; /* samples 0: not known how many, or it counts none */
};

/* --- taking together
 * -------------------------------------------------------------------------------
 */

static uint32_t spot_number(struct spots *spots, const char *name, const char *library)
{
	uint32_t had = spots->keys->frame_count;
	uint32_t number = nova_stacks_frame(spots->keys,
	                                    &(struct nova_frame){.name = name, .library = library});

	if (number == had) {
		spots->spots = nova_grow(spots->spots, had, sizeof(*spots->spots));
		spots->spots[number] =
		        (struct spot){.name = spots->keys->frames[number].name,
		                      .library = spots->keys->frames[number].library};
	}
	return number;
}

/* Frames that differ in their source or flags alone are the same spot. */
static void gather_stacks(struct spots *spots, const struct nova_stacks *stacks, uint32_t type,
                          enum nova_hotspots_by by)
{
	NOVA_AUTOFREE uint32_t *groups = nova_alloc((stacks->frame_count + 1) * sizeof(*groups));
	NOVA_AUTOFREE struct flame_sum *sums = NULL;

	for (uint32_t i = 0; i < stacks->frame_count; i++) {
		const struct nova_frame *frame = &stacks->frames[i];

		if (by == NOVA_HOT_FUNCTION)
			groups[i] = spot_number(spots, frame->name, frame->library);
		else
			groups[i] = spot_number(
			        spots, frame->library[0] ? frame->library : "[unknown]", "");
	}
	sums = nova_alloc((spots->keys->frame_count + 1) * sizeof(*sums));
	flame_sum(stacks, type, groups, spots->keys->frame_count, sums);
	for (uint32_t i = 0; i < spots->keys->frame_count; i++) {
		spots->spots[i].self = sums[i].self;
		spots->spots[i].total = sums[i].total;
	}
}

static void gather_processes(struct spots *spots, const struct nova_stacks *stacks, uint32_t type)
{
	for (uint32_t i = 0; i < stacks->count_count; i++) {
		const char *name = stacks->origins[stacks->counts[i].origin].process;
		uint32_t number = spot_number(spots, name[0] ? name : "[unknown]", "");
		struct spot *spot = &spots->spots[number];

		spot->self += stacks->values[(size_t)i * stacks->type_count + type];
		spot->total = spot->self;
	}
}

static void gather(struct spots *spots, const struct nova_stacks *stacks, uint32_t type,
                   enum nova_hotspots_by by)
{
	spots->keys = nova_stacks_new(&stacks->types[type], 1);
	if (by == NOVA_HOT_PROCESS)
		gather_processes(spots, stacks, type);
	else
		gather_stacks(spots, stacks, type, by);
	spots->spot_count = spots->keys->frame_count;
	spots->all = nova_stacks_total(stacks, type);
	if (stacks_per_sample(stacks, type) > 0)
		spots->samples =
		        (uint64_t)llround((double)spots->all / stacks_per_sample(stacks, type));
}

static void drop(struct spots *spots)
{
	nova_stacks_free(spots->keys);
	free(spots->spots);
}

/* --- the document --------------------------------------------------------------------------------
 */

static double share_of(const struct spots *spots, uint64_t value)
{
	return spots->all ? (double)value / (double)spots->all : 0;
}

/* JSON's integers end earlier than ours. */
static json_int_t integer(uint64_t value)
{
	return value > INT64_MAX ? INT64_MAX : (json_int_t)value;
}

static json_t *share_json(const struct spots *spots, uint64_t value, double level)
{
	double share = share_of(spots, value), low, high;
	json_t *json = json_pack("{sI, sf}", "value", integer(value), "share", share);

	if (spots->samples &&
	    nova_stats_share_wilson(fmin(share, 1), (double)spots->samples, level, &low, &high))
		json_object_set_new(json, "interval", json_pack("[ff]", low, high));
	else
		json_object_set_new(json, "interval", json_null());
	return json;
}

static json_t *text_json(const char *text)
{
	NOVA_AUTOFREE char *copy = nova_strdup(text);

	nova_utf8_repair(copy);
	return json_string(copy);
}

/* What it was before, and how likely so much of a difference is where there is none. */
static double difference_p(const struct spots *before, const struct spots *after, uint64_t was,
                           uint64_t is)
{
	double was_hits = share_of(before, was) * (double)before->samples,
	       is_hits = share_of(after, is) * (double)after->samples;

	if (!before->samples || !after->samples)
		return NAN;
	return nova_stats_same_share((size_t)llround(was_hits), before->samples,
	                             (size_t)llround(is_hits), after->samples);
}

struct row {
	const struct spot *now; /* NULL: it is gone */
	const struct spot *before;
	double p;
};

static int by_weight(const void *left, const void *right)
{
	const struct row *a = left, *b = right;
	const struct spot *one = a->now ? a->now : a->before, *two = b->now ? b->now : b->before;
	uint64_t one_self = a->now ? one->self : 0, two_self = b->now ? two->self : 0;

	if (one_self != two_self)
		return one_self < two_self ? 1 : -1;
	if (one->total != two->total)
		return one->total < two->total ? 1 : -1;
	if (strcmp(one->name, two->name) != 0)
		return strcmp(one->name, two->name);
	return strcmp(one->library, two->library);
}

static void add_before(json_t *entry, const struct spots *before, const struct row *row,
                       const struct spots *now, double level)
{
	uint64_t was = row->before ? row->before->self : 0, is = row->now ? row->now->self : 0;

	json_object_set_new(
	        entry, "before",
	        json_pack("{so, so}", "self", share_json(before, was, level), "total",
	                  share_json(before, row->before ? row->before->total : 0, level)));
	json_object_set_new(entry, "change", json_real(share_of(now, is) - share_of(before, was)));
	json_object_set_new(entry, "p", isnan(row->p) ? json_null() : json_real(row->p));
	json_object_set_new(entry, "changed",
	                    isnan(row->p) ? json_null() : json_boolean(row->p <= 1 - level));
}

static json_t *entry_of(const struct row *row, const struct spots *now, const struct spots *before,
                        const struct nova_hotspots_request *request)
{
	const struct spot *named = row->now ? row->now : row->before;
	json_t *entry = json_object();

	json_object_set_new(entry, "name", text_json(named->name));
	if (request->by == NOVA_HOT_FUNCTION)
		json_object_set_new(entry, "library", text_json(named->library));
	json_object_set_new(entry, "self",
	                    share_json(now, row->now ? row->now->self : 0, request->level));
	json_object_set_new(entry, "total",
	                    share_json(now, row->now ? row->now->total : 0, request->level));
	if (before)
		add_before(entry, before, row, now, request->level);
	return entry;
}

/* Each with its p, adjusted over all of them. */
static void set_p(const struct spots *now, const struct spots *before, struct row *rows,
                  size_t count)
{
	NOVA_AUTOFREE double *p = nova_alloc((count + 1) * sizeof(*p));

	for (size_t i = 0; i < count; i++)
		p[i] = difference_p(before, now, rows[i].before ? rows[i].before->self : 0,
		                    rows[i].now ? rows[i].now->self : 0);
	if (before->samples && now->samples)
		nova_stats_fdr(p, count);
	for (size_t i = 0; i < count; i++)
		rows[i].p = p[i];
}

/* All that has something now or had it before. */
static size_t rows_of(struct spots *now, const struct spots *before, struct row **out)
{
	uint32_t count = now->keys->frame_count;
	size_t most = count + before->spot_count, all = count, rows = 0;
	struct row *list = nova_alloc((most + 1) * sizeof(*list));

	for (uint32_t i = 0; i < count; i++)
		list[i] = (struct row){.now = &now->spots[i], .p = NAN};
	for (uint32_t i = 0; i < before->spot_count; i++) {
		const struct spot *spot = &before->spots[i];
		uint32_t number = nova_stacks_frame(
		        now->keys,
		        &(struct nova_frame){.name = spot->name, .library = spot->library});

		if (number < count)
			list[number].before = spot;
		else
			list[all++] = (struct row){.before = spot, .p = NAN};
	}
	for (size_t i = 0; i < all; i++)
		if ((list[i].now && list[i].now->total) ||
		    (list[i].before && list[i].before->total))
			list[rows++] = list[i];
	*out = list;
	return rows;
}

static bool is_shown(const struct row *row, const struct spots *now, const struct spots *before,
                     double threshold)
{
	return (row->now && share_of(now, row->now->total) >= threshold) ||
	       (row->before && share_of(before, row->before->total) >= threshold);
}

/* A stack that is very deep has functions without end that are in all of the samples. */
#define MOST_ROWS 100000u

static const char *const LISTS[] = {"functions", "libraries", "processes"};

/* What was counted where the value was measured: samples, waits, allocations; null: nothing. */
static json_t *events_json(const struct nova_stacks *stacks, uint32_t type)
{
	uint32_t events = stacks_type_events(stacks, type);

	if (events == UINT32_MAX)
		return json_null();
	return json_pack("{ss, sI}", "type", stacks->types[events].type, "count",
	                 integer(nova_stacks_total(stacks, events)));
}

static json_t *notes_json(const struct nova_stacks *stacks, const struct spots *now,
                          size_t left_out)
{
	json_t *notes = json_array();

	if (left_out)
		json_array_append_new(notes, json_sprintf("%zu more are left out", left_out));
	if (!now->samples)
		json_array_append_new(
		        notes, json_string("no intervals, and nothing that tells a change from "
		                           "noise: what is counted are no samples"));
	for (uint32_t i = 0; i < stacks->note_count; i++)
		json_array_append_new(notes, text_json(stacks->notes[i]));
	return notes;
}

/* Puts the values of the recording before into `before`. */
static int gather_before(const struct nova_stacks *stacks,
                         const struct nova_hotspots_request *request, struct spots *before,
                         struct nova_error *error)
{
	const struct nova_value_type *value = &stacks->types[request->type];
	uint32_t type;

	if (!request->before)
		return 0;
	type = stacks_type_like(request->before, value);
	if (type == UINT32_MAX)
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "the recording before has no values \"%s\" in %s, so the two cannot be "
		        "compared",
		        value->type, value->unit);
	gather(before, request->before, type, request->by);
	return 0;
}

int nova_hotspots(const struct nova_stacks *stacks, const struct nova_hotspots_request *request,
                  json_t **document, struct nova_error *error)
{
	const struct nova_value_type *value = &stacks->types[request->type];
	struct spots now = {0}, before = {0};
	json_t *list = json_array();
	struct row *rows;
	size_t count, left_out = 0;
	int code = gather_before(stacks, request, &before, error);

	if (code) {
		json_decref(list);
		return code;
	}
	gather(&now, stacks, request->type, request->by);
	count = rows_of(&now, &before, &rows);
	if (request->before)
		set_p(&now, &before, rows, count);
	qsort(rows, count, sizeof(*rows), by_weight);
	for (size_t i = 0; i < count; i++) {
		if (!is_shown(&rows[i], &now, &before, request->threshold))
			continue;
		if (json_array_size(list) == MOST_ROWS)
			left_out++;
		else
			json_array_append_new(list,
			                      entry_of(&rows[i], &now,
			                               request->before ? &before : NULL, request));
	}
	*document = json_pack(
	        "{ss, s{ss, ss}, sI, so, sI, sI, sf, sf, so, so}", "schema", "novacore.hotspots/1",
	        "value", "type", value->type, "unit", value->unit, "samples", integer(now.samples),
	        "events", events_json(stacks, request->type), "all", integer(now.all), "lost",
	        integer(stacks->lost), "level", request->level, "threshold", request->threshold,
	        LISTS[request->by], list, "notes", notes_json(stacks, &now, left_out));
	if (request->before)
		json_object_set_new(*document, "before",
		                    json_pack("{sI, sI}", "samples", integer(before.samples), "all",
		                              integer(before.all)));
	free(rows);
	drop(&now);
	drop(&before);
	return 0;
}
