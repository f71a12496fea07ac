/* SPDX-License-Identifier: MIT */
/*
 * Reduces steps that are done to one value a metric and side, kept in the store beside the samples,
 * so that the history of ten thousand runs is a query. Each run is read once, ever.
 */
#include "core/judge/result.h"
#include "core/judge/series.h"
#include "core/stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The facts that a machine says of itself, whatever runs on it: core/machine. */
static const char *const host_facts[] = {"cpu",    "memory",  "topology",
                                         "nested", "product", "architecture"};

void nova_host_hash(const json_t *where, char hash[65])
{
	NOVA_AUTOJSON json_t *host = json_object();

	for (size_t i = 0; i < NOVA_COUNT(host_facts); i++)
		json_object_set(host, host_facts[i], json_object_get(where, host_facts[i]));
	nova_facts_hash(host, hash);
}

static uint32_t side_of(const char *name)
{
	for (uint32_t side = NOVA_SIDE_NATIVE; side <= NOVA_SIDE_B; side++)
		if (!strcmp(nova_side_name(side), name))
			return side;
	return NOVA_SIDE_VM;
}

/* Median and its interval, lost units being worse than any value: a bound among them is none. */
static void reduce_units(const struct nova_units *units, bool lower, double level,
                         struct nova_reduced *out)
{
	size_t all = units->count + units->lost;
	struct nova_ranks ranks = nova_stats_interval(all, 0.5, level);
	NOVA_AUTOFREE double *sorted = nova_alloc((all + 1) * sizeof(*sorted));
	double lost = lower ? (double)INFINITY : -(double)INFINITY;

	for (size_t i = 0; i < all; i++)
		sorted[i] = i < units->count ? units->values[i] : lost;
	out->n = (uint32_t)units->count;
	out->attempted = (uint32_t)all;
	out->value = out->low = out->high = (double)NAN;
	if (ranks.low) {
		nova_stats_sort(sorted, all);
		out->low = sorted[ranks.low - 1];
		out->high = sorted[ranks.high - 1];
	}
	out->low = isfinite(out->low) ? out->low : (double)NAN;
	out->high = isfinite(out->high) ? out->high : (double)NAN;
	if (units->count) {
		memcpy(sorted, units->values, units->count * sizeof(*sorted));
		nova_stats_sort(sorted, units->count);
		out->value = nova_stats_median(sorted, units->count);
	}
}

static void reduce_metric(const json_t *metric, const struct nova_units *units,
                          struct nova_reduced *out)
{
	NOVA_AUTOFREE char *source = nova_source_sorted(nova_json_text(metric, "source"));
	double level = json_number_value(json_object_get(metric, "level"));

	memset(out, 0, sizeof(*out));
	snprintf(out->metric, sizeof(out->metric), "%s", nova_json_text(metric, "name"));
	snprintf(out->unit, sizeof(out->unit), "%s", nova_json_text(metric, "unit"));
	snprintf(out->better, sizeof(out->better), "%s", nova_json_text(metric, "better"));
	snprintf(out->source, sizeof(out->source), "%s", source);
	out->side = side_of(nova_json_text(metric, "side"));
	out->revision = json_integer_value(json_object_get(metric, "revision"));
	reduce_units(units, !strcmp(out->better, "lower"), level, out);
}

/* "tcg", or "tcg, kvm" of several targets. */
static void accel_of(const json_t *result, const json_t *step, char *out, size_t room)
{
	NOVA_AUTOTEXT struct nova_text text = {0};
	size_t i;
	json_t *index;

	json_array_foreach(json_object_get(step, "targets"), i, index)
	{
		const json_t *target = json_array_get(json_object_get(result, "targets"),
		                                      (size_t)json_integer_value(index));
		const char *accel = nova_json_text(target, "accel");

		if (*accel)
			nova_text_addf(&text, "%s%s", text.length ? ", " : "", accel);
	}
	snprintf(out, room, "%s", nova_text_get(&text));
}

static bool step_simulated(const json_t *result, const json_t *step)
{
	size_t i;
	json_t *index;

	json_array_foreach(json_object_get(step, "targets"), i, index)
	{
		const json_t *target = json_array_get(json_object_get(result, "targets"),
		                                      (size_t)json_integer_value(index));

		if (json_is_true(json_object_get(target, "simulated")))
			return true;
	}
	return false;
}

static int reduce_step(struct nova_store *store, const json_t *result, const json_t *step,
                       struct nova_error *error)
{
	const json_t *metrics = json_object_get(step, "metrics");
	struct nova_measured measured = {
	        .step = (uint32_t)json_integer_value(json_object_get(step, "index")),
	        .simulated = step_simulated(result, step)};
	NOVA_AUTOJSON json_t *targets = nova_measurement_targets(result, step);
	NOVA_AUTOJSON json_t *measurement = nova_measurement(result, step);
	NOVA_AUTOJSON json_t *where = nova_where_of_step(result, step);
	NOVA_AUTOFREE struct nova_reduced *reduced =
	        nova_alloc((json_array_size(metrics) + 1) * sizeof(*reduced));
	struct nova_units *units = nova_units_of(step);
	size_t i, count = 0;
	json_t *metric;

	json_array_foreach(metrics, i, metric)
	{
		/* Sides a and b have the settings of one experiment: no series goes through them.
		 */
		if (side_of(nova_json_text(metric, "side")) < NOVA_SIDE_A)
			reduce_metric(metric, &units[i], &reduced[count++]);
	}
	nova_units_free(units, step);
	snprintf(measured.run, sizeof(measured.run), "%s",
	         nova_json_text(json_object_get(result, "run"), "id"));
	nova_facts_hash(measurement, measured.measurement);
	nova_facts_hash(where, measured.where);
	nova_host_hash(where, measured.host);
	accel_of(result, step, measured.accel, sizeof(measured.accel));
	measured.targets = targets;
	return nova_store_measured_put(store, &measured, reduced, count, error);
}

/* A commit waits for the disk: one for so many runs, when ten thousand are reduced at once. */
#define RUNS_AT_ONCE 50

struct update {
	struct nova_store *store;
	struct nova_error *error;
	int code;
	unsigned pending; /* runs in the transaction under way */
};

/* Ends the transaction under way, if there is one. */
static void end_update(struct update *update)
{
	if (!update->pending)
		return;
	update->pending = 0;
	if (update->code)
		nova_store_rollback(update->store);
	else
		update->code = nova_store_commit(update->store, update->error);
}

static int reduce_run(void *context, const char *run)
{
	struct update *update = context;
	NOVA_AUTOJSON json_t *result = NULL;
	size_t i;
	json_t *step;

	update->code = nova_result_measure(update->store, run, &result, update->error);
	if (!update->code && !update->pending)
		update->code = nova_store_begin(update->store, update->error);
	if (update->code && !update->pending)
		return 1;
	update->pending++;
	json_array_foreach(json_object_get(result, "steps"), i, step)
	{
		if (!update->code && !strcmp(nova_json_text(step, "state"), "done"))
			update->code = reduce_step(update->store, result, step, update->error);
	}
	if (update->code || update->pending >= RUNS_AT_ONCE)
		end_update(update);
	return update->code;
}

int nova_measured_update(struct nova_store *store, struct nova_error *error)
{
	struct nova_error local = {0};
	struct update update = {.store = store, .error = error ? error : &local};
	int code = nova_store_measured_missing(store, reduce_run, &update, update.error);

	end_update(&update);
	return code ? code : update.code;
}
