/* SPDX-License-Identifier: MIT */
/*
 * A against B: the plan of both from the plans of each, and whether the test has decided. How they
 * are run is in repeat.c and lead.c, what is made of it in ab_judge.c.
 */
#include "core/run/lead.h"

#include <string.h>

#define HOPELESS 5 /* blocks without a pair, after which no more are run */

/* --- the plan ------------------------------------------------------------------------------------
 */

static json_t *only_step(const json_t *plan)
{
	return json_array_get(json_object_get(plan, "steps"), 0);
}

static int check_alike(const struct nova_ab_request *request, struct nova_error *error)
{
	const json_t *plans[] = {request->a, request->b};
	const char *a = nova_json_text(only_step(request->a), "benchmark");
	const char *b = nova_json_text(only_step(request->b), "benchmark");

	for (size_t i = 0; i < 2; i++) {
		size_t steps = json_array_size(json_object_get(plans[i], "steps"));

		if (steps != 1)
			return nova_error_set(
			        error, NOVA_E_INVALID,
			        "side %s has %zu steps, and A is compared with B in one: name one "
			        "benchmark and one target, and one value of each parameter",
			        i ? "b" : "a", steps);
	}
	if (strcmp(a, b))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "side a is benchmark %s and side b %s: only one benchmark "
		                      "can be compared with itself",
		                      a, b);
	return 0;
}

static int check_numbers(const struct nova_ab_request *request, struct nova_error *error)
{
	if (!(request->alpha > 0 && request->alpha <= 0.5))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "alpha must be greater than 0 and at most 0.5");
	if (!(request->minimum_effect >= 0 && request->minimum_effect < 1))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "the minimum effect must be at least 0 and less than 100%%");
	if (!request->max_pairs || request->max_pairs > 100000)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "the pairs must be at least 1 and at most 100000");
	return 0;
}

/* The one to decide on: asked for, or the profile's first concern, or the benchmark's first. */
static const char *choose_metric(const struct nova_ab_request *request, struct nova_error *error)
{
	json_t *metrics = json_object_get(request->a, "metrics");
	size_t count = json_object_size(metrics);
	NOVA_AUTOFREE const char **names = nova_alloc((count + 1) * sizeof(*names));
	const char *name, *near;
	json_t *metric;
	size_t i = 0;

	json_object_foreach(metrics, name, metric) names[i++] = name;
	if (request->metric) {
		if (json_object_get(metrics, request->metric))
			return request->metric;
		near = nova_nearest(request->metric, names);
		nova_error_set(error, NOVA_E_INVALID,
		               "benchmark %s has no metric \"%s\"%s%s%s; novacore plugin info %s "
		               "lists them",
		               nova_json_text(only_step(request->a), "benchmark"), request->metric,
		               near ? "; did you mean " : "", near ? near : "", near ? "?" : "",
		               nova_json_text(only_step(request->a), "benchmark"));
		return NULL;
	}
	if (request->objective && json_object_get(metrics, request->objective))
		return request->objective;
	if (!count)
		nova_error_set(error, NOVA_E_INVALID, "benchmark %s has no metric",
		               nova_json_text(only_step(request->a), "benchmark"));
	return count ? names[0] : NULL;
}

static json_t *texts(const char *const *list)
{
	json_t *array = json_array();

	for (size_t i = 0; list && list[i]; i++)
		json_array_append_new(array, json_string(list[i]));
	return array;
}

/* Adds B's targets to A's, if they are others; both sides' get names that tell them apart. Returns
 * B's indices. */
static json_t *join_targets(json_t *plan, const struct nova_ab_request *request)
{
	json_t *all = json_object_get(plan, "targets"), *target;
	const json_t *others = json_object_get(request->b, "targets");
	const json_t *used = json_object_get(only_step(request->b), "targets"), *index;
	size_t count = json_array_size(all), i;
	json_t *indices;

	if (json_equal(all, others))
		return json_deep_copy(used);
	indices = json_array();
	json_array_foreach(others, i, target) json_array_append_new(all, json_deep_copy(target));
	json_array_foreach(all, i, target)
	{
		const char *name = nova_json_text(target, "name");

		if (!json_object_get(target, "configured"))
			json_object_set_new(target, "configured", json_string(name));
		json_object_set_new(target, "name",
		                    json_sprintf("%s-%s", name, i < count ? "a" : "b"));
		if (i >= count && json_object_get(target, "twin_of"))
			json_object_set_new(target, "twin_of",
			                    json_integer(json_integer_value(json_object_get(
			                                         target, "twin_of")) +
			                                 (json_int_t)count));
	}
	json_array_foreach(used, i, index) json_array_append_new(
	        indices, json_integer(json_integer_value(index) + (json_int_t)count));
	return indices;
}

/* Parameters as the result shows them: what differs as {"a": …, "b": …}. */
static json_t *join_params(const json_t *a, const json_t *b)
{
	json_t *joined = json_copy((json_t *)a), *value;
	const char *name;

	json_object_foreach((json_t *)b, name, value)
	{
		json_t *other = json_object_get(a, name);

		if (!other || !json_equal(other, value))
			json_object_set_new(joined, name,
			                    json_pack("{sO? sO}", "a", other, "b", value));
	}
	return joined;
}

static json_t *side_of(const json_t *plan, json_t *targets, const char *const *settings)
{
	return json_pack("{so sO? sO? so sO sO}", "settings", texts(settings), "profile",
	                 json_object_get(plan, "profile"), "command",
	                 json_object_get(plan, "command"), "targets", targets, "params",
	                 json_object_get(only_step(plan), "params"), "shape",
	                 json_object_get(plan, "shape"));
}

/* What this host must have room for is what the larger side wants. */
static void take_greater(json_t *joined, const json_t *other, const char *name)
{
	json_t *theirs = json_object_get(other, name);

	if (json_integer_value(theirs) > json_integer_value(json_object_get(joined, name)))
		json_object_set(joined, name, theirs);
}

int nova_ab_plan(const struct nova_ab_request *request, json_t **plan, struct nova_error *error)
{
	int code = check_alike(request, error);
	json_t *joined, *step, *of_a, *of_b, *shown, *index;
	const char *metric;
	size_t i;

	*plan = NULL;
	if (!code)
		code = check_numbers(request, error);
	metric = code ? NULL : choose_metric(request, error);
	if (!metric)
		return error->code;
	joined = json_deep_copy(request->a);
	take_greater(joined, request->b, "at_once");
	take_greater(joined, request->b, "shaped_at_once");
	step = only_step(joined);
	of_a = json_deep_copy(json_object_get(step, "targets"));
	of_b = join_targets(joined, request);
	shown = json_deep_copy(of_a);
	json_array_foreach(of_b, i, index)
	{
		if (!json_equal(of_a, of_b))
			json_array_append(shown, index);
	}
	json_object_set_new(step, "targets", shown);
	json_object_set_new(step, "params",
	                    join_params(json_object_get(step, "params"),
	                                json_object_get(only_step(request->b), "params")));
	json_object_set_new(step, "sides", json_pack("[ii]", (int)NOVA_SIDE_A, (int)NOVA_SIDE_B));
	json_object_set_new(step, "samples", json_integer(request->max_pairs));
	json_object_set_new(step, "precision", json_real(0));
	json_object_set_new(joined, "ab",
	                    json_pack("{ss sf sf sI so so}", "metric", metric, "alpha",
	                              request->alpha, "minimum_effect", request->minimum_effect,
	                              "max_pairs", (json_int_t)request->max_pairs, "a",
	                              side_of(request->a, of_a, request->a_settings), "b",
	                              side_of(request->b, of_b, request->b_settings)));
	*plan = joined;
	return 0;
}

/* --- looking -------------------------------------------------------------------------------------
 */

struct collecting {
	const char *metric;
	struct {
		double *values;
		uint32_t *blocks;
		size_t count;
	} side[2];
};

static int collect(void *context, const struct nova_sample_record *sample)
{
	struct collecting *all = context;
	size_t side = sample->at.side == NOVA_SIDE_B, n = all->side[side].count;

	if (strcmp(sample->metric, all->metric) || sample->status != NOVA_SAMPLE_OK ||
	    sample->at.side < NOVA_SIDE_A)
		return 0;
	all->side[side].values = nova_grow(all->side[side].values, n, sizeof(double));
	all->side[side].blocks = nova_grow(all->side[side].blocks, n, sizeof(uint32_t));
	all->side[side].values[n] = sample->value;
	all->side[side].blocks[n] = sample->at.replicate;
	all->side[side].count++;
	return 0;
}

json_t *nova_lead_ab(const struct lead *lead)
{
	return json_object_get(lead->run.plan, "ab");
}

static bool is_lower_better(const json_t *plan, const char *metric)
{
	const json_t *declared = json_object_get(json_object_get(plan, "metrics"), metric);

	return strcmp(nova_json_text(declared, "better"), "higher") != 0;
}

int nova_lead_ab_decided(struct lead *lead, struct nova_ab_watch *watch, uint32_t blocks,
                         bool *decided, struct nova_error *error)
{
	const json_t *ab = nova_lead_ab(lead);
	struct collecting all = {.metric = nova_json_text(ab, "metric")};
	int code = nova_store_sample_range(
	        lead->store, lead->run.id,
	        (uint32_t)json_integer_value(json_object_get(lead->step, "index")), watch->blocks,
	        blocks, collect, &all, error);

	if (!code) {
		struct nova_side_values a = {"a", all.side[0].values, all.side[0].blocks,
		                             all.side[0].count};
		struct nova_side_values b = {"b", all.side[1].values, all.side[1].blocks,
		                             all.side[1].count};

		*decided = nova_ab_decides(ab, is_lower_better(lead->run.plan, all.metric), &a, &b,
		                           &watch->test);
		watch->blocks = blocks;
		watch->values[0] += a.count;
		watch->values[1] += b.count;
	}
	if (!code && blocks >= HOPELESS && (!watch->values[0] || !watch->values[1]))
		code = nova_error_set(error, NOVA_E_FAILED,
		                      "not one value of %s on side %s in %u blocks; the messages "
		                      "above say why",
		                      all.metric, watch->values[0] ? "b" : "a", blocks);
	for (size_t side = 0; side < 2; side++) {
		free(all.side[side].values);
		free(all.side[side].blocks);
	}
	return code;
}
