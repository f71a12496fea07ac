/* SPDX-License-Identifier: MIT */
/*
 * Ranks targets by a metric, only as far as the intervals carry it. A is before B where all of A's
 * interval is better than all of B's: that is a strict order (an interval order), while "tied" is
 * not transitive, so that each entry gets the range of ranks that it may have, and the names of
 * those that it cannot be told from.
 */
#include "core/judge/series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The newest value of a series, or that of a run that was asked for. */
struct entry {
	const struct series *series;
	const struct point *point;
	size_t before, after; /* entries of the group that are certainly better, worse */
	bool taken;
};

struct ranking {
	struct entry *entries;
	size_t count, simulated;
};

static bool asked_for(const char *run, const char *const *runs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(runs[i], run))
			return true;
	return !runs;
}

static void add_entry(struct ranking *ranking, const struct series *series,
                      const struct point *point)
{
	ranking->entries = nova_grow(ranking->entries, ranking->count, sizeof(*ranking->entries));
	ranking->entries[ranking->count++] = (struct entry){.series = series, .point = point};
}

/* Without runs: the newest of each measurement, where, side …; else each that is of those runs. */
static void collect(struct ranking *ranking, const struct series_list *list,
                    const char *const *runs, size_t count)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct series *series = &list->items[i];
		size_t found = 0;

		for (size_t j = series->count; j-- > 0 && !(found && !runs);) {
			const struct point *point = &series->points[j];

			if (!asked_for(point->run, runs, count))
				continue;
			found++;
			if (series->simulated)
				ranking->simulated++;
			else
				add_entry(ranking, series, point);
		}
	}
}

/* --- groups ---------------------------------------------------------------------------------- */

/* What the members of a group have in common: the series without its targets' names and drivers. */
static bool same_group(const struct series *a, const struct series *b)
{
	return a->side == b->side && a->revision == b->revision && !strcmp(a->unit, b->unit) &&
	       !strcmp(a->better, b->better) && !strcmp(a->source, b->source) &&
	       !strcmp(a->accel, b->accel) && !strcmp(a->where, b->where) &&
	       !strcmp(a->benchmark, b->benchmark) && json_equal(a->params, b->params);
}

static void add_reason(struct nova_text *why, const char *what, const char *a, const char *b)
{
	if (strcmp(a, b) != 0)
		nova_text_addf(why, "%s%s %s, there %s", why->length ? "; " : "", what,
		               *b ? b : "unknown", *a ? a : "unknown");
}

/* Why `b` cannot stand in the group of `a`. Owned by the caller. */
static char *reason(const struct series *a, const struct series *b)
{
	NOVA_AUTOFREE char *params_a = nova_json_canonical(a->params);
	NOVA_AUTOFREE char *params_b = nova_json_canonical(b->params);
	NOVA_AUTOFREE char *revision_a = nova_format("%lld", (long long)a->revision);
	NOVA_AUTOFREE char *revision_b = nova_format("%lld", (long long)b->revision);
	struct nova_text why = {0};

	add_reason(&why, "side", series_side(a), series_side(b));
	add_reason(&why, "benchmark", a->benchmark, b->benchmark);
	add_reason(&why, "parameters", params_a, params_b);
	add_reason(&why, "revision", revision_a, revision_b);
	add_reason(&why, "unit", a->unit, b->unit);
	add_reason(&why, "end points from", a->source, b->source);
	add_reason(&why, "accelerator", a->accel, b->accel);
	if (strcmp(a->where, b->where) != 0 && !strcmp(a->accel, b->accel))
		nova_text_addf(&why, "%swhere %.12s, there %.12s (host, shape or guest)",
		               why.length ? "; " : "", b->where, a->where);
	return why.data ? why.data : nova_strdup("");
}

/* --- order ----------------------------------------------------------------------------------- */

static bool has_interval(const struct entry *entry)
{
	return !isnan(entry->point->low) && !isnan(entry->point->high);
}

static bool certainly_better(const struct entry *a, const struct entry *b)
{
	bool lower = !strcmp(a->series->better, "lower");

	if (!has_interval(a) || !has_interval(b))
		return false;
	return lower ? a->point->high < b->point->low : a->point->low > b->point->high;
}

/* By certain order, then by value, then by run: the same list from the same store. */
static int by_rank(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;
	double better = !strcmp(a->series->better, "lower") ? a->point->value - b->point->value
	                                                    : b->point->value - a->point->value;

	if (a->before != b->before)
		return a->before < b->before ? -1 : 1;
	if (a->after != b->after)
		return a->after > b->after ? -1 : 1;
	if (better < 0 || better > 0)
		return better < 0 ? -1 : 1;
	return strcmp(a->point->run, b->point->run);
}

static void order(struct entry *group, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < count; j++) {
			group[i].before += certainly_better(&group[j], &group[i]);
			group[i].after += certainly_better(&group[i], &group[j]);
		}
	qsort(group, count, sizeof(*group), by_rank);
}

/* --- the document ---------------------------------------------------------------------------- */

static json_t *ties_of(const struct entry *group, size_t count, size_t at)
{
	json_t *ties = json_array();

	for (size_t i = 0; i < count; i++)
		if (i != at && !certainly_better(&group[i], &group[at]) &&
		    !certainly_better(&group[at], &group[i]))
			json_array_append_new(ties, json_integer((json_int_t)i));
	return ties;
}

static json_t *entry_json(const struct entry *group, size_t count, size_t at)
{
	const struct entry *entry = &group[at];
	const struct point *point = entry->point;
	char started[32], why[64] = "";

	nova_utc_format(point->started_utc_ns, started);
	if (!has_interval(entry))
		snprintf(why, sizeof(why), "no interval: n = %u of %u", point->n, point->attempted);
	return json_pack(
	        "{sI sI so sO ss ss sI sI sf so so}", "rank", (json_int_t)entry->before + 1,
	        "rank_worst", (json_int_t)(count - entry->after), "tied", ties_of(group, count, at),
	        "targets", entry->series->targets, "run", point->run, "started", started, "n",
	        (json_int_t)point->n, "attempted", (json_int_t)point->attempted, "value",
	        point->value, "interval",
	        has_interval(entry) ? json_pack("[f f]", point->low, point->high) : json_null(),
	        "why", *why ? json_string(why) : json_null());
}

static json_t *group_json(struct entry *group, size_t count, const struct series *first)
{
	const struct series *series = group[0].series;
	NOVA_AUTOFREE char *why = first ? reason(first, series) : nova_strdup("");
	json_t *entries = json_array();

	order(group, count);
	for (size_t i = 0; i < count; i++)
		json_array_append_new(entries, entry_json(group, count, i));
	return json_pack("{ss ss sO ss sI ss ss ss ss so so}", "benchmark", series->benchmark,
	                 "side", series_side(series), "params", series->params, "where",
	                 series->where, "revision", (json_int_t)series->revision, "unit",
	                 series->unit, "better", series->better, "source", series->source, "accel",
	                 series->accel, "not_comparable", *why ? json_string(why) : json_null(),
	                 "entries", entries);
}

/* The members of the group of entries[from] to its side; how many. */
static size_t pick(struct ranking *ranking, size_t from, struct entry *group)
{
	size_t count = 0;

	for (size_t i = from; i < ranking->count; i++) {
		struct entry *entry = &ranking->entries[i];

		if (entry->taken || !same_group(ranking->entries[from].series, entry->series))
			continue;
		entry->taken = true;
		group[count++] = *entry;
	}
	return count;
}

struct group {
	struct entry *entries;
	size_t count;
};

/* The largest first: the others are told by what they differ from it in. */
static int by_size(const void *left, const void *right)
{
	const struct group *a = left, *b = right;

	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	return strcmp(a->entries[0].series->hash, b->entries[0].series->hash);
}

/* O(entries · groups), and O(n²) within a group: entries are targets, not runs, unless runs are
 * named. */
static json_t *groups_json(struct ranking *ranking)
{
	NOVA_AUTOFREE struct group *groups = nova_alloc((ranking->count + 1) * sizeof(*groups));
	json_t *all = json_array();
	size_t count = 0;

	for (size_t i = 0; i < ranking->count; i++) {
		if (ranking->entries[i].taken)
			continue;
		groups[count].entries = nova_alloc(ranking->count * sizeof(struct entry));
		groups[count].count = pick(ranking, i, groups[count].entries);
		count++;
	}
	qsort(groups, count, sizeof(*groups), by_size);
	for (size_t i = 0; i < count; i++) {
		const struct series *first = groups[0].entries[0].series;

		json_array_append_new(
		        all, group_json(groups[i].entries, groups[i].count, i ? first : NULL));
	}
	for (size_t i = 0; i < count; i++)
		free(groups[i].entries);
	return all;
}

static int check_found(struct nova_store *store, const char *metric, const struct series_list *list,
                       const struct ranking *ranking, struct nova_error *error)
{
	if (!list->count)
		return nova_metric_unknown(store, metric, error);
	if (ranking->count)
		return 0;
	if (ranking->simulated)
		return nova_error_set(error, NOVA_E_REFUSED,
		                      "all values of %s are simulated; what is invented is not "
		                      "ranked",
		                      metric);
	return nova_error_set(error, NOVA_E_NOT_FOUND, "none of these runs has a value of %s",
	                      metric);
}

int nova_rank(struct nova_store *store, const char *metric, const char *const *runs, size_t count,
              json_t **rank, struct nova_error *error)
{
	struct ranking ranking = {0};
	struct series_list list = {0};
	int code = series_read(store, metric, &list, error);

	*rank = NULL;
	if (!code) {
		collect(&ranking, &list, runs, count);
		code = check_found(store, metric, &list, &ranking, error);
	}
	if (!code)
		*rank = json_pack("{ss ss sI so}", "schema", "novacore.rank/1", "metric", metric,
		                  "simulated", (json_int_t)ranking.simulated, "groups",
		                  groups_json(&ranking));
	free(ranking.entries);
	series_free(&list);
	return code;
}
