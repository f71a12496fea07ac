/* SPDX-License-Identifier: MIT */
/*
 * How long the steps of a plan take: as long for each replicate as in the newest run in the store
 * that has measured the same, and where there is none, an assumption that is said to be one.
 */
#include "core/run/lead.h"

#include <string.h>

/* Without any earlier run: per fresh VM, and for a program on this host, in ns. */
#define ASSUMED_LOCAL_NS  (15 * NOVA_SECOND_NS)
#define ASSUMED_OTHER_NS  (5 * NOVA_SECOND_NS)
#define ASSUMED_NATIVE_NS (5 * NOVA_SECOND_NS)
#define RUNS_LOOKED_AT    50

struct found { /* of one step of the plan */
	int64_t replicate_ns, width;
};

struct history {
	struct nova_store *store;
	const json_t *plan;
	struct found *found; /* one per step */
	size_t missing;
	unsigned runs;
	const struct nova_run_record *run; /* that is being looked at */
	uint32_t replicates;
};

static int64_t number_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

/* The driver of a step's first target, "" if it has none. */
static const char *plugin_of(const json_t *targets, const json_t *indices)
{
	const json_t *index = json_array_get(indices, 0);

	return index ? nova_json_text(json_array_get(targets, (size_t)json_integer_value(index)),
	                              "plugin")
	             : "";
}

static int count_replicate(void *context, const struct nova_replicate *replicate, const char *state,
                           const uint32_t counts[4], const char *why)
{
	struct history *history = context;

	(void)replicate;
	(void)counts;
	(void)why;
	history->replicates += !strcmp(state, "done") || !strcmp(state, "warmup");
	return 0;
}

static bool is_alike(const struct history *history, const json_t *step,
                     const struct nova_step_record *then)
{
	const json_t *targets = json_object_get(history->plan, "targets");

	return !strcmp(then->benchmark, nova_json_text(step, "benchmark")) &&
	       json_array_size(then->targets) ==
	               json_array_size(json_object_get(step, "targets")) &&
	       !strcmp(plugin_of(history->run->targets, then->targets),
	               plugin_of(targets, json_object_get(step, "targets"))) &&
	       json_equal(then->params, json_object_get(step, "params"));
}

static int look_at_step(void *context, const struct nova_step_record *then)
{
	struct history *history = context;
	const json_t *planned =
	        json_array_get(json_object_get(history->run->plan, "steps"), then->index);
	json_t *step;
	size_t i;

	if (strcmp(then->state, "done") || then->ended_utc_ns <= then->started_utc_ns)
		return 0;
	json_array_foreach(json_object_get(history->plan, "steps"), i, step)
	{
		struct found *found = &history->found[i];

		if (found->replicate_ns || !is_alike(history, step, then))
			continue;
		history->replicates = 0;
		nova_store_replicate_each(history->store, history->run->id, then->index,
		                          count_replicate, history, NULL);
		if (!history->replicates)
			return 0;
		found->replicate_ns =
		        (then->ended_utc_ns - then->started_utc_ns) / history->replicates;
		found->width = number_of(planned, "width");
		history->missing--;
	}
	return 0;
}

static int look_at_run(void *context, const struct nova_run_record *run)
{
	struct history *history = context;

	history->run = run;
	nova_store_step_each(history->store, run->id, look_at_step, history, NULL);
	return !history->missing || ++history->runs >= RUNS_LOOKED_AT;
}

/* Without history: a block's replicates, a fresh VM each. */
static int64_t assumed_ns(const json_t *plan, const json_t *step, int64_t width)
{
	struct nova_step_sides sides = nova_step_sides(step);
	const json_t *index = json_array_get(json_object_get(step, "targets"), 0);
	const json_t *target =
	        json_array_get(json_object_get(plan, "targets"), (size_t)json_integer_value(index));
	int64_t sum = 0;

	for (size_t i = 0; i < sides.count; i++)
		sum += sides.side[i] == NOVA_SIDE_NATIVE   ? ASSUMED_NATIVE_NS
		       : nova_lead_wants_appliance(target) ? width * ASSUMED_LOCAL_NS
		                                           : width * ASSUMED_OTHER_NS;
	return sum / (int64_t)sides.count;
}

static void estimate(const json_t *plan, json_t *step, const struct found *found)
{
	int64_t width = found->width > 0 ? found->width : number_of(step, "vms");
	int64_t each = found->replicate_ns, blocks;

	width = width > 0 ? width : 1;
	if (!each)
		each = assumed_ns(plan, step, width);
	blocks = nova_step_blocks(step, width) + number_of(step, "warmup");
	json_object_set_new(step, "estimate_ns",
	                    json_integer(blocks * (int64_t)nova_step_sides(step).count * each));
	json_object_set_new(step, "estimate_basis",
	                    json_string(found->replicate_ns ? "an earlier run here"
	                                                    : "assumed: no earlier run here"));
}

int nova_plan_estimate(json_t *plan, struct nova_store *store, struct nova_error *error)
{
	json_t *steps = json_object_get(plan, "steps"), *step;
	size_t count = json_array_size(steps), i;
	NOVA_AUTOFREE struct found *found = nova_alloc((count + 1) * sizeof(*found));
	struct history history = {.store = store, .plan = plan, .found = found, .missing = count};
	int code = store ? nova_store_run_each(store, look_at_run, &history, error) : 0;

	if (code < 0)
		return code;
	json_array_foreach(steps, i, step) estimate(plan, step, &found[i]);
	return 0;
}
