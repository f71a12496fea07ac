/* SPDX-License-Identifier: MIT */
/*
 * Where time goes, as the document novacore.hotspots/1: by function, library or process, what each
 * has itself (self), and together with what it calls (total; a stack in which it is several times
 * counts once). Each share has Wilson's interval, for the samples that there are.
 */
#include "core/profiler/inside.h"

#include "core/stats/stats.h"

#include <math.h>
#include <string.h>

struct spot {
	const char *name, *library; /* library: "" but by function */
	uint64_t self, total;
	uint64_t on_path; /* how often it is in the stack that is being walked */
};

/* One stacks, taken together by what was asked for. */
struct spots {
	struct nova_stacks *keys; /* its frames are what the spots are called: numbers to names */
	struct spot *spots;       /* by number */
	uint64_t all, samples;    /* samples 0: not known how many there were */
};

/* --- taking together
 * -------------------------------------------------------------------------------
 */

static struct spot *spot_of(struct spots *spots, const char *name, const char *library)
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
	return &spots->spots[number];
}

static struct spot *spot_of_box(struct spots *spots, enum nova_hotspots_by by,
                                const struct nova_flame_box *box)
{
	if (by == NOVA_HOT_LIBRARY)
		return spot_of(spots, box->library[0] ? box->library : "[unknown]", "");
	return spot_of(spots, box->name, box->library);
}

/* A walk over the boxes: whoever is left is taken off the path. */
static void gather_stacks(struct spots *spots, const struct nova_stacks *stacks, uint32_t type,
                          enum nova_hotspots_by by)
{
	const struct nova_flame_request request = {.type = type};
	struct nova_flame flame;
	uint32_t *path, depth = 0; /* numbers of spots */

	nova_flame_make(stacks, &request, &flame);
	path = nova_alloc((flame.depth + 1) * sizeof(*path));
	for (uint32_t i = 1; i < flame.count; i++) {
		const struct nova_flame_box *box = &flame.boxes[i];
		struct spot *spot = spot_of_box(spots, by, box);

		while (depth >= box->depth)
			spots->spots[path[--depth]].on_path--;
		spot->self += box->self;
		if (spot->on_path++ == 0)
			spot->total += box->total;
		path[depth++] = (uint32_t)(spot - spots->spots);
	}
	free(path);
	nova_flame_free(&flame);
}

static void gather_processes(struct spots *spots, const struct nova_stacks *stacks, uint32_t type)
{
	for (uint32_t i = 0; i < stacks->count_count; i++) {
		const char *name = stacks->origins[stacks->counts[i].origin].process;
		struct spot *spot = spot_of(spots, name[0] ? name : "[unknown]", "");

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
	spots->all = nova_stacks_total(stacks, type);
	/* samples of the CPU say nothing of how sure a wait or an allocation is */
	for (uint32_t i = 0; i < stacks->type_count && !spots->samples; i++)
		if (strcmp(stacks->types[i].type, "samples") == 0 &&
		    (stacks->type_count < 3 || (type >= i ? type - i : i - type) < 2))
			spots->samples = nova_stacks_total(stacks, i);
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

static json_t *share_json(const struct spots *spots, uint64_t value, double level)
{
	double share = share_of(spots, value), low, high;
	json_t *json = json_pack("{sI, sf}", "value", (json_int_t)value, "share", share);

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

/* All that there is now, and what there was only before; p adjusted over all of them. */
static size_t rows_of(struct spots *now, struct spots *before, struct row **out)
{
	uint32_t count = now->keys->frame_count;
	size_t most = count + (before ? before->keys->frame_count : 0), rows = 0;
	struct row *all = nova_alloc((most + 1) * sizeof(*all));
	double *p;

	for (uint32_t i = 0; i < count; i++)
		all[rows++] = (struct row){.now = &now->spots[i], .p = NAN};
	*out = all;
	if (!before)
		return rows;
	for (uint32_t i = 0; i < before->keys->frame_count; i++) {
		const struct spot *spot = &before->spots[i];
		uint32_t number = nova_stacks_frame(
		        now->keys,
		        &(struct nova_frame){.name = spot->name, .library = spot->library});

		if (number < count)
			all[number].before = spot;
		else
			all[rows++] = (struct row){.before = spot, .p = NAN};
	}
	p = nova_alloc((rows + 1) * sizeof(*p));
	for (size_t i = 0; i < rows; i++)
		p[i] = difference_p(before, now, all[i].before ? all[i].before->self : 0,
		                    all[i].now ? all[i].now->self : 0);
	if (before->samples && now->samples)
		nova_stats_fdr(p, rows);
	for (size_t i = 0; i < rows; i++)
		all[i].p = p[i];
	free(p);
	return rows;
}

static bool is_shown(const struct row *row, const struct spots *now, const struct spots *before,
                     double threshold)
{
	return (row->now && share_of(now, row->now->total) >= threshold) ||
	       (row->before && share_of(before, row->before->total) >= threshold);
}

static const char *const LISTS[] = {"functions", "libraries", "processes"};

int nova_hotspots(const struct nova_stacks *stacks, const struct nova_hotspots_request *request,
                  json_t **document, struct nova_error *error)
{
	struct spots now = {0}, before = {0};
	uint32_t type_before = 0;
	json_t *list = json_array(), *notes = json_array();
	struct row *rows;
	size_t count;

	if (request->before) {
		type_before = stacks_type_like(request->before, &stacks->types[request->type]);
		if (type_before == UINT32_MAX) {
			json_decref(list);
			json_decref(notes);
			return nova_error_set(
			        error, NOVA_E_INVALID,
			        "the recording before has no values \"%s\" in %s, so the two "
			        "cannot be compared",
			        stacks->types[request->type].type,
			        stacks->types[request->type].unit);
		}
		gather(&before, request->before, type_before, request->by);
	}
	gather(&now, stacks, request->type, request->by);
	count = rows_of(&now, request->before ? &before : NULL, &rows);
	qsort(rows, count, sizeof(*rows), by_weight);
	for (size_t i = 0; i < count; i++)
		if (is_shown(&rows[i], &now, &before, request->threshold))
			json_array_append_new(list,
			                      entry_of(&rows[i], &now,
			                               request->before ? &before : NULL, request));
	for (uint32_t i = 0; i < stacks->note_count; i++)
		json_array_append_new(notes, text_json(stacks->notes[i]));
	*document = json_pack(
	        "{ss, s{ss, ss}, sI, sI, sI, sf, sf, so, so}", "schema", "novacore.hotspots/1",
	        "value", "type", stacks->types[request->type].type, "unit",
	        stacks->types[request->type].unit, "samples", (json_int_t)now.samples, "all",
	        (json_int_t)now.all, "lost", (json_int_t)stacks->lost, "level", request->level,
	        "threshold", request->threshold, LISTS[request->by], list, "notes", notes);
	if (request->before)
		json_object_set_new(*document, "before",
		                    json_pack("{sI, sI}", "samples", (json_int_t)before.samples,
		                              "all", (json_int_t)before.all));
	free(rows);
	drop(&now);
	drop(&before);
	return 0;
}
