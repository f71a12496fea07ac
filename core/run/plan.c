/* SPDX-License-Identifier: MIT */
/*
 * Settings and plugins to a plan: an ordered list of steps in JSON, which stands in the store, so
 * that a resume finds exactly what was meant. Plans hold no secrets.
 */
#include "core/run/run.h"

#include "core/run/lead.h"

#include <math.h>
#include <string.h>

/* --- targets
 * -------------------------------------------------------------------------------------- */

/* A driver with the parameter trial_kernel boots files of this host: the appliance's
 * (hypervisor.h). */
static bool declares(const struct nova_manifest *manifest, const char *parameter)
{
	for (size_t i = 0; i < manifest->spec_count; i++)
		if (!strcmp(manifest->specs[i].name, parameter))
			return true;
	return false;
}

static int add_target(json_t *plan, const struct nova_plan_request *request, const char *name,
                      const char *plugin, const char *uri, struct nova_error *error)
{
	const struct nova_manifest *manifest =
	        nova_registry_find(request->registry, NOVA_KIND_HYPERVISOR, plugin, error);
	NOVA_AUTOFREE char *prefix = NULL, *over = NULL;
	json_t *target, *params;

	if (!manifest)
		return error->code;
	prefix = nova_format("hypervisor.%s", manifest->name);
	over = nova_format("target.%s", name);
	params = nova_config_params(request->config, prefix, over, false);
	if (uri)
		json_object_set_new(params, "uri", json_string(uri));
	target = json_pack("{ss ss ss ss so sb}", "name", name, "plugin", manifest->name, "version",
	                   manifest->version, "sha256", manifest->sha256, "params", params,
	                   "appliance", declares(manifest, "trial_kernel"));
	json_array_append_new(json_object_get(plan, "targets"), target);
	return 0;
}

static bool is_configured(const struct nova_config *config, const char *name)
{
	const char *const *groups = nova_config_groups(config, "target");

	for (size_t i = 0; groups && groups[i]; i++)
		if (!strcmp(groups[i], name))
			return true;
	return false;
}

/* "lab" (configured) or "kvm=qemu:///system". */
static int add_named_target(json_t *plan, const struct nova_plan_request *request, const char *text,
                            struct nova_error *error)
{
	NOVA_AUTOFREE char *key = NULL;
	const char *equals = strchr(text, '=');

	if (equals) {
		NOVA_AUTOFREE char *plugin = nova_format("%.*s", (int)(equals - text), text);
		size_t count = json_array_size(json_object_get(plan, "targets"));
		NOVA_AUTOFREE char *name = nova_format("%s-%zu", plugin, count + 1);

		return add_target(plan, request, name, plugin, equals + 1, error);
	}
	if (!is_configured(request->config, text)) {
		const char *near =
		        nova_nearest(text, nova_config_groups(request->config, "target"));

		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "there is no target \"%s\"%s%s%s; configure target.%s.plugin and "
		        "target.%s.uri, or use --target PLUGIN=URI",
		        text, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "",
		        text, text);
	}
	key = nova_format("target.%s.plugin", text);
	return add_target(plan, request, text, nova_config_text(request->config, key, 0), NULL,
	                  error);
}

static int add_targets(json_t *plan, const struct nova_plan_request *request,
                       struct nova_error *error)
{
	size_t configured = nova_config_count(request->config, "run.targets");
	int code = 0;

	if (request->plugin)
		code = add_target(plan, request, "local", request->plugin, request->uri, error);
	for (size_t i = 0; !code && request->targets && request->targets[i]; i++)
		code = add_named_target(plan, request, request->targets[i], error);
	if (code || request->plugin || request->targets)
		return code;
	for (size_t i = 0; !code && i < configured; i++)
		code = add_named_target(plan, request,
		                        nova_config_text(request->config, "run.targets", i), error);
	if (!code && !configured)
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "there is nothing to run on; name a driver with --plugin (for example "
		        "--plugin kvm), or targets with --target or run.targets");
	return code;
}

/* --- steps
 * ---------------------------------------------------------------------------------------- */

static void add_step(json_t *plan, const struct nova_plan_request *request,
                     const struct nova_manifest *benchmark, size_t target, json_t *params)
{
	json_t *steps = json_object_get(plan, "steps");
	json_t *step = json_pack(
	        "{sI ss ss ss s[i] so sI sI}", "index", (json_int_t)json_array_size(steps),
	        "benchmark", benchmark->name, "version", benchmark->version, "sha256",
	        benchmark->sha256, "targets", (int)target, "params", params, "samples",
	        (json_int_t)nova_config_i64(request->config, "run.samples", 0), "warmup",
	        (json_int_t)nova_config_i64(request->config, "run.warmup", 0));

	json_object_set_new(
	        step, "order_seed",
	        json_integer((json_int_t)(nova_seed_derive(request->seed, json_array_size(steps)) >>
	                                  11)));
	json_array_append_new(steps, step);
}

/* The parameter that makes one step per value, or NULL. */
static const char *each_parameter(const struct nova_manifest *benchmark)
{
	for (size_t i = 0; i < benchmark->spec_count; i++)
		if (benchmark->specs[i].flags & NOVA_PARAM_EACH)
			return benchmark->specs[i].name;
	return NULL;
}

static void add_steps_on(json_t *plan, const struct nova_plan_request *request,
                         const struct nova_manifest *benchmark, size_t target)
{
	NOVA_AUTOFREE char *prefix = nova_format("benchmark.%s", benchmark->name);
	NOVA_AUTOJSON json_t *params = nova_config_params(request->config, prefix, NULL, false);
	const char *each = each_parameter(benchmark);
	NOVA_AUTOJSON json_t *values = each ? json_incref(json_object_get(params, each)) : NULL;
	json_t *value;
	size_t index;

	if (!json_is_array(values) || !json_array_size(values)) {
		add_step(plan, request, benchmark, target, json_incref(params));
		return;
	}
	json_array_foreach(values, index, value)
	{
		json_t *one = json_copy(params);

		json_object_set(one, each, value);
		add_step(plan, request, benchmark, target, one);
	}
}

static void add_metrics(json_t *plan, const struct nova_manifest *benchmark)
{
	json_t *metrics = json_object_get(plan, "metrics");

	for (size_t i = 0; i < benchmark->metric_count; i++) {
		const struct nova_manifest_metric *metric = &benchmark->metrics[i];

		json_object_set_new(
		        metrics, metric->name,
		        json_pack("{ss ss si ss}", "unit", nova_unit_name(metric->unit), "better",
		                  metric->better == NOVA_BETTER_HIGHER ? "higher" : "lower",
		                  "revision", (int)metric->revision, "doc", metric->doc));
	}
}

static void add_goals(json_t *plan, const struct nova_plan_request *request)
{
	json_t *goals = json_object_get(plan, "goals"), *metrics = json_object_get(plan, "metrics");
	json_t *targets = json_object_get(plan, "targets"), *target, *metric;
	const char *name;
	size_t index;

	json_array_foreach(targets, index, target)
	{
		const char *plugin = json_string_value(json_object_get(target, "plugin"));

		json_object_foreach(metrics, name, metric)
		{
			const struct nova_goal *goal =
			        nova_config_goal(request->config, name, plugin);

			if (goal)
				json_array_append_new(
				        goals,
				        json_pack("{ss ss sf so}", "metric", name, "plugin", plugin,
				                  "pass", goal->pass, "acceptable",
				                  goal->has_acceptable ? json_real(goal->acceptable)
				                                       : json_null()));
		}
	}
}

static int add_benchmark(json_t *plan, const struct nova_plan_request *request, const char *name,
                         struct nova_error *error)
{
	const struct nova_manifest *benchmark =
	        nova_registry_find(request->registry, NOVA_KIND_BENCHMARK, name, error);
	size_t targets = json_array_size(json_object_get(plan, "targets"));

	if (!benchmark)
		return error->code;
	if (benchmark->targets_min > 1)
		return nova_error_set(
		        error, NOVA_E_UNSUPPORTED,
		        "benchmark %s needs %u targets at once, which is not implemented", name,
		        benchmark->targets_min);
	add_metrics(plan, benchmark);
	for (size_t target = 0; target < targets; target++)
		add_steps_on(plan, request, benchmark, target);
	return 0;
}

static int add_suite(json_t *plan, const struct nova_plan_request *request,
                     struct nova_error *error)
{
	size_t count = nova_config_count(request->config, "run.suite");
	int code = 0;

	for (size_t i = 0; !code && request->benchmarks && request->benchmarks[i]; i++)
		code = add_benchmark(plan, request, request->benchmarks[i], error);
	if (request->benchmarks)
		return code;
	for (size_t i = 0; !code && i < count; i++)
		code = add_benchmark(plan, request,
		                     nova_config_text(request->config, "run.suite", i), error);
	if (code)
		return nova_error_prefix(error, "profile %s, run.suite", request->profile);
	if (!count)
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "the suite is empty; name benchmarks with --benchmark or run.suite");
	return 0;
}

/* --- shape and limits
 * ------------------------------------------------------------------------------- */

static const char *const boot_names[] = {"direct", "disk", "stub", "template", NULL};

static json_t *make_shape(const struct nova_config *config, struct nova_error *error)
{
	const char *name = nova_config_text(config, "run.shape", 0);
	const char *const *groups = nova_config_groups(config, "vm");
	NOVA_AUTOFREE char *prefix = nova_format("vm.%s", name);
	NOVA_AUTOJSON json_t *values = NULL;
	const char *boot;
	uint32_t kind = 1;
	bool known = false;

	for (size_t i = 0; groups && groups[i]; i++)
		known = known || !strcmp(groups[i], name);
	if (!known) {
		nova_error_set(error, NOVA_E_INVALID,
		               "run.shape names \"%s\", but there is no vm.%s", name, name);
		return NULL;
	}
	values = nova_config_params(config, prefix, NULL, false);
	boot = json_string_value(json_object_get(values, "boot"));
	for (uint32_t i = 0; boot && boot_names[i]; i++)
		if (!strcmp(boot, boot_names[i]))
			kind = i + 1;
	return json_pack("{ss si sO? sO? sO? sO? sO?}", "name", name, "boot", (int)kind, "vcpus",
	                 json_object_get(values, "vcpus"), "memory_bytes",
	                 json_object_get(values, "memory"), "disk_bytes",
	                 json_object_get(values, "disk"), "image", json_object_get(values, "image"),
	                 "knobs", json_object_get(values, "knobs"));
}

static int64_t widest(const json_t *plan)
{
	json_t *steps = json_object_get(plan, "steps"), *step;
	int64_t width = 1;
	size_t index;

	json_array_foreach(steps, index, step)
	{
		int64_t c = json_integer_value(
		        json_object_get(json_object_get(step, "params"), "concurrency"));

		if (c > width)
			width = c;
	}
	return width;
}

static int check_limits(json_t *plan, const struct nova_config *config, struct nova_error *error)
{
	int64_t at_once = widest(plan), max_vms = nova_config_i64(config, "limits.max_vms", 0);

	if (at_once > max_vms)
		return nova_error_set(
		        error, NOVA_E_REFUSED,
		        "the plan has up to %lld VMs at once and limits.max_vms is %lld; lower "
		        "the concurrency, or raise the limit with --max-vms %lld",
		        (long long)at_once, (long long)max_vms, (long long)at_once);
	json_object_set_new(plan, "at_once", json_integer(at_once));
	return 0;
}

/* --- the whole
 * -------------------------------------------------------------------------------------- */

static json_t *make_command(const struct nova_plan_request *request)
{
	json_t *settings = json_array();

	for (size_t i = 0; i < request->setting_count; i++)
		json_array_append_new(settings, json_string(request->settings[i]));
	return json_pack("{ss? so}", "config", request->config_file, "settings", settings);
}

int nova_plan_make(const struct nova_plan_request *request, json_t **plan, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *made = json_pack(
	        "{ss ss sI sf s[] s[] s[] s{} s[] s[] so sI sb sI sI}", "novacore",
	        NOVACORE_VERSION, "profile", request->profile, "seed",
	        (json_int_t)(request->seed & INT64_MAX), "level",
	        nova_config_f64(request->config, "run.level", 0), "targets", "steps", "goals",
	        "metrics", "notes", "proposals", "command", make_command(request), "budget_ns",
	        (json_int_t)nova_config_i64(request->config, "run.budget", 0), "full",
	        nova_config_flag(request->config, "run.full"), "op_timeout_ns",
	        (json_int_t)nova_config_i64(request->config, "run.op_timeout", 0), "max_vms",
	        (json_int_t)nova_config_i64(request->config, "limits.max_vms", 0));
	json_t *shape;
	int code;

	*plan = NULL;
	code = add_targets(made, request, error);
	if (!code)
		code = add_suite(made, request, error);
	if (code)
		return code;
	add_goals(made, request);
	shape = make_shape(request->config, error);
	if (!shape)
		return error->code;
	json_object_set_new(made, "shape", shape);
	code = check_limits(made, request->config, error);
	if (code)
		return code;
	*plan = json_incref(made);
	return 0;
}

/* --- estimate
 * --------------------------------------------------------------------------------------- */

/* Without any earlier run: per fresh VM, in ns. Assumed, and said so. */
#define ASSUMED_LOCAL_NS (15 * NOVA_SECOND_NS)
#define ASSUMED_OTHER_NS (5 * NOVA_SECOND_NS)
#define RUNS_LOOKED_AT   50

struct history {
	struct nova_store *store;
	const json_t *step, *targets;
	const char *plugin;
	char run[37];
	unsigned runs;
	int64_t replicate_ns; /* found */
	uint32_t replicates;
	const json_t *run_targets;
};

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

static int look_at_step(void *context, const struct nova_step_record *step)
{
	struct history *history = context;
	const char *benchmark = json_string_value(json_object_get(history->step, "benchmark"));
	json_t *target = json_array_get(
	        history->run_targets, (size_t)json_integer_value(json_array_get(step->targets, 0)));
	const char *plugin = json_string_value(json_object_get(target, "plugin"));

	if (strcmp(step->state, "done") || strcmp(step->benchmark, benchmark) || !plugin ||
	    strcmp(plugin, history->plugin) ||
	    !json_equal(step->params, json_object_get(history->step, "params")))
		return 0;
	history->replicates = 0;
	nova_store_replicate_each(history->store, history->run, step->index, count_replicate,
	                          history, NULL);
	if (history->replicates && step->ended_utc_ns > step->started_utc_ns)
		history->replicate_ns =
		        (step->ended_utc_ns - step->started_utc_ns) / history->replicates;
	return history->replicate_ns != 0;
}

static int look_at_run(void *context, const struct nova_run_record *run)
{
	struct history *history = context;

	memcpy(history->run, run->id, sizeof(history->run));
	history->run_targets = run->targets;
	nova_store_step_each(history->store, run->id, look_at_step, history, NULL);
	return history->replicate_ns || ++history->runs >= RUNS_LOOKED_AT;
}

int nova_plan_estimate(json_t *plan, struct nova_store *store, struct nova_error *error)
{
	json_t *steps = json_object_get(plan, "steps"), *step;
	size_t index;

	json_array_foreach(steps, index, step)
	{
		json_t *target = json_array_get(json_object_get(plan, "targets"),
		                                (size_t)json_integer_value(json_array_get(
		                                        json_object_get(step, "targets"), 0)));
		struct history history = {
		        .store = store,
		        .step = step,
		        .plugin = json_string_value(json_object_get(target, "plugin"))};
		int64_t width = json_integer_value(
		        json_object_get(json_object_get(step, "params"), "concurrency"));
		int64_t samples = json_integer_value(json_object_get(step, "samples"));
		int64_t replicates, each;
		int code = store ? nova_store_run_each(store, look_at_run, &history, error) : 0;

		if (code < 0)
			return code;
		width = width > 0 ? width : 1;
		replicates = (samples + width - 1) / width +
		             json_integer_value(json_object_get(step, "warmup"));
		each = history.replicate_ns;
		if (!each)
			each = width * (nova_lead_wants_appliance(target) ? ASSUMED_LOCAL_NS
			                                                  : ASSUMED_OTHER_NS);
		json_object_set_new(step, "estimate_ns", json_integer(replicates * each));
		json_object_set_new(step, "estimate_basis",
		                    json_string(history.replicate_ns
		                                        ? "an earlier run here"
		                                        : "assumed: no earlier run here"));
	}
	return 0;
}
