/* SPDX-License-Identifier: MIT */
/*
 * Settings and plugins to a plan: an ordered list of steps in JSON, which stands in the store, so
 * that a resume finds exactly what was meant. Plans hold no secrets.
 */
#include "core/run/run.h"

#include "core/profiler/profiler.h"
#include "core/run/lead.h"

#include <ctype.h>
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
	return code;
}

static bool has_op(const struct nova_plan_request *request, const char *plugin, const char *op)
{
	const struct nova_manifest *driver =
	        nova_registry_find(request->registry, NOVA_KIND_HYPERVISOR, plugin, NULL);
	char **ops = driver ? driver->ops : NULL;

	while (ops && *ops && strcmp(*ops, op))
		ops++;
	return ops && *ops;
}

/* A driver whose usual target cannot have a twin says which can, with the parameter pair_uri. */
static const json_t *pair_uri(const struct nova_plan_request *request, const json_t *first)
{
	json_t *params = json_object_get(first, "params"),
	       *uri = json_object_get(params, "pair_uri");
	const char *plugin = nova_json_text(first, "plugin"), *name = nova_json_text(first, "name");
	bool named = request->targets && strchr(request->targets[0], '=');

	if (!uri || (request->plugin ? request->uri != NULL : named) ||
	    nova_lead_configured(request->config, plugin, name, "uri"))
		return NULL;
	return uri;
}

/* How many of the benchmarks that are to be run need one target, and how many need more. */
static void count_needs(const struct nova_plan_request *request, size_t *one, size_t *more)
{
	size_t count = nova_config_count(request->config, "run.suite");
	const char *name;

	*one = *more = 0;
	for (size_t i = 0; request->benchmarks ? request->benchmarks[i] != NULL : i < count; i++) {
		const struct nova_manifest *benchmark;

		name = request->benchmarks ? request->benchmarks[i]
		                           : nova_config_text(request->config, "run.suite", i);
		benchmark = nova_registry_find(request->registry, NOVA_KIND_BENCHMARK, name, NULL);
		if (benchmark)
			*(benchmark->targets_min > 1 ? more : one) += 1;
	}
}

/*
 * The target that the twin is to be of, by its index: the first one; or, where a driver has pairs
 * only elsewhere and the run also has benchmarks that want the usual target, one more for the pair.
 */
static size_t first_of_pair(json_t *plan, const struct nova_plan_request *request, bool shared)
{
	json_t *targets = json_object_get(plan, "targets"), *first = json_array_get(targets, 0);
	const json_t *uri = pair_uri(request, first);

	if (uri && shared) {
		json_t *made = json_deep_copy(first);

		json_object_set_new(made, "name",
		                    json_sprintf("%s-pair", nova_json_text(first, "name")));
		json_object_set(made, "configured", json_object_get(first, "name"));
		json_object_set_new(made, "pair", json_true());
		json_array_append_new(targets, made);
		first = made;
	}
	if (uri)
		json_object_set(json_object_get(first, "params"), "uri", (json_t *)(uintptr_t)uri);
	return uri && shared ? json_array_size(targets) - 1 : 0;
}

/* Where it is, its driver says when it starts it: in the worker of each step that needs it. */
static void add_twin(json_t *plan, const struct nova_plan_request *request)
{
	json_t *targets = json_object_get(plan, "targets");
	json_t *first = json_array_get(targets, 0), *twin;
	size_t one, more, index;

	if (strcmp(nova_config_text(request->config, "run.pair", 0), "local") || !first)
		return;
	if (!has_op(request, nova_json_text(first, "plugin"), "twin")) {
		json_array_append_new(
		        json_object_get(plan, "notes"),
		        json_sprintf("run.pair is local, but the driver %s cannot start a second "
		                     "target on this host; name two with --target",
		                     nova_json_text(first, "plugin")));
		return;
	}
	count_needs(request, &one, &more);
	if (!more)
		return; /* nothing would use it */
	index = first_of_pair(plan, request, one > 0);
	twin = json_deep_copy(json_array_get(targets, index));
	json_object_del(twin, "pair");
	json_object_set_new(twin, "name", json_sprintf("%s-twin", nova_json_text(first, "name")));
	json_object_del(json_object_get(twin, "params"), "uri");
	json_object_set_new(twin, "twin_of", json_integer((json_int_t)index));
	json_array_append_new(targets, twin);
}

/* --- steps
 * ---------------------------------------------------------------------------------------- */

/* VMs, this host, or both in each block: see repeat.c. */
static json_t *sides_of(const struct nova_plan_request *request,
                        const struct nova_manifest *benchmark)
{
	if (!benchmark->targets_min)
		return json_pack("[i]", (int)NOVA_SIDE_NATIVE);
	if (benchmark->native && nova_config_flag(request->config, "run.native"))
		return json_pack("[ii]", (int)NOVA_SIDE_VM, (int)NOVA_SIDE_NATIVE);
	return json_pack("[i]", (int)NOVA_SIDE_VM);
}

static void add_step(json_t *plan, const struct nova_plan_request *request,
                     const struct nova_manifest *benchmark, json_t *targets, json_t *params)
{
	json_t *steps = json_object_get(plan, "steps");
	json_t *step = json_pack(
	        "{sI ss ss ss sO so so sI sI sf}", "index", (json_int_t)json_array_size(steps),
	        "benchmark", benchmark->name, "version", benchmark->version, "sha256",
	        benchmark->sha256, "targets", targets, "params", params, "sides",
	        sides_of(request, benchmark), "samples",
	        (json_int_t)nova_config_i64(request->config, "run.samples", 0), "warmup",
	        nova_limits_needs_warmup(benchmark, request->config)
	                ? (json_int_t)nova_config_i64(request->config, "run.warmup", 0)
	                : (json_int_t)0,
	        "precision", nova_config_f64(request->config, "run.precision", 0));

	nova_limits_note(step, benchmark);
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
                         const struct nova_manifest *benchmark, json_t *targets)
{
	NOVA_AUTOFREE char *prefix = nova_format("benchmark.%s", benchmark->name);
	NOVA_AUTOJSON json_t *params = nova_config_params(request->config, prefix, NULL, false);
	const char *each = each_parameter(benchmark);
	NOVA_AUTOJSON json_t *values = each ? json_incref(json_object_get(params, each)) : NULL;
	json_t *value;
	size_t index;

	if (!json_is_array(values) || !json_array_size(values)) {
		add_step(plan, request, benchmark, targets, json_incref(params));
		return;
	}
	json_array_foreach(values, index, value)
	{
		json_t *one = json_copy(params);

		json_object_set(one, each, value);
		add_step(plan, request, benchmark, targets, one);
	}
}

/* "10/s", and not "10MB/s" */
static bool counts(const char *text)
{
	const char *slash = text ? strchr(text, '/') : NULL;

	return slash && slash > text && isdigit((unsigned char)slash[-1]);
}

/* In which unit a parameter's number is; NULL: it is none, or just a number. */
static const char *unit_of(const struct nova_spec *spec)
{
	switch (spec->type) {
	case NOVA_PARAM_SIZE: return "B";
	case NOVA_PARAM_DURATION: return "ns";
	case NOVA_PARAM_RATE:
		return counts(spec->fallback) || counts(spec->minimum) || counts(spec->maximum)
		               ? "1/s"
		               : "B/s";
	default: return NULL;
	}
}

static void add_param_units(json_t *plan, const struct nova_manifest *benchmark)
{
	json_t *units = json_object();

	for (size_t i = 0; i < benchmark->spec_count; i++) {
		const char *unit = unit_of(&benchmark->specs[i]);

		if (unit)
			json_object_set_new(units, benchmark->specs[i].name, json_string(unit));
	}
	json_object_set_new(json_object_get(plan, "param_units"), benchmark->name, units);
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

static void add_goal(json_t *plan, const struct nova_plan_request *request, const char *metric,
                     const char *plugin)
{
	const struct nova_goal *goal = nova_config_goal(request->config, metric, plugin);

	if (goal)
		json_array_append_new(json_object_get(plan, "goals"),
		                      json_pack("{ss ss? sf so}", "metric", metric, "plugin",
		                                plugin, "pass", goal->pass, "acceptable",
		                                goal->has_acceptable ? json_real(goal->acceptable)
		                                                     : json_null()));
}

/* Of each metric, and of its overhead against this host: goal.cpu.rate.overhead = "3%,5%". */
static void add_goals(json_t *plan, const struct nova_plan_request *request)
{
	json_t *metrics = json_object_get(plan, "metrics"), *metric;
	json_t *targets = json_object_get(plan, "targets"), *target;
	const char *name;
	size_t index;

	json_object_foreach(metrics, name, metric)
	{
		NOVA_AUTOFREE char *overhead = nova_format("%s.overhead", name);

		add_goal(plan, request, name, NULL); /* for steps without a target */
		add_goal(plan, request, overhead, NULL);
		json_array_foreach(targets, index, target)
		{
			const char *plugin = json_string_value(json_object_get(target, "plugin"));

			add_goal(plan, request, name, plugin);
			add_goal(plan, request, overhead, plugin);
		}
	}
}

/* Those that hold up to a parameter's value: each step has the one that fits it. */
static void add_conditional_goals(json_t *plan, const struct nova_plan_request *request)
{
	const struct nova_goal *goal;

	for (size_t i = 0; (goal = nova_config_goal_at(request->config, i)); i++)
		if (goal->param && json_object_get(json_object_get(plan, "metrics"), goal->metric))
			json_array_append_new(
			        json_object_get(plan, "goals"),
			        json_pack("{ss ss? sf so ss sf}", "metric", goal->metric, "plugin",
			                  goal->plugin, "pass", goal->pass, "acceptable",
			                  goal->has_acceptable ? json_real(goal->acceptable)
			                                       : json_null(),
			                  "param", goal->param, "most", goal->most));
}

/* --- which targets a benchmark gets
 * ---------------------------------------------------------------- */

/* It is there only for what cannot do with one target. */
static bool is_of_pair(const json_t *target)
{
	return json_object_get(target, "twin_of") || json_object_get(target, "pair");
}

/* The first target, where another one takes its place in the pair. */
static bool is_replaced(const json_t *targets, size_t index)
{
	json_t *target;
	size_t i;

	json_array_foreach(targets, i, target)
	{
		if (!index && json_object_get(target, "pair"))
			return true;
	}
	return false;
}

/* Those that a benchmark may have. */
static json_t *targets_for(const json_t *plan, const struct nova_manifest *benchmark)
{
	json_t *targets = json_object_get(plan, "targets"), *target, *indices = json_array();
	size_t i;

	json_array_foreach(targets, i, target)
	{
		if (json_array_size(indices) < benchmark->targets_max &&
		    (benchmark->targets_min > 1 ? !is_replaced(targets, i) : !is_of_pair(target)))
			json_array_append_new(indices, json_integer((json_int_t)i));
	}
	return indices;
}

static bool lacks_targets(const json_t *plan, const struct nova_manifest *benchmark)
{
	NOVA_AUTOJSON json_t *targets = targets_for(plan, benchmark);

	return json_array_size(targets) < benchmark->targets_min;
}

#define MORE_TARGETS "add --pair local for a second one on this host, or name more with --target"

static int refuse_targets(const json_t *plan, const struct nova_manifest *benchmark,
                          struct nova_error *error)
{
	size_t there = json_array_size(json_object_get(plan, "targets"));

	if (!there)
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "there is nothing to run on; name a driver with --plugin (for example "
		        "--plugin kvm), or targets with --target or run.targets");
	return nova_error_set(error, NOVA_E_INVALID,
	                      "benchmark %s needs %u targets and there is %zu; " MORE_TARGETS,
	                      benchmark->name, benchmark->targets_min, there);
}

/* Of a suite the rest is run, and the result says what was not. Takes `why` and `fix`. */
static void leave_out(json_t *plan, const char *benchmark, json_t *why, json_t *fix)
{
	json_array_append_new(json_object_get(plan, "skipped"),
	                      json_pack("{sn ss sn sn so so}", "step", "benchmark", benchmark,
	                                "metric", "target", "why", why, "fix", fix));
}

static void leave_out_for_targets(json_t *plan, const struct nova_manifest *benchmark)
{
	size_t there = json_array_size(json_object_get(plan, "targets"));

	leave_out(plan, benchmark->name,
	          json_sprintf("needs %u targets and there is %zu", benchmark->targets_min, there),
	          json_string(MORE_TARGETS));
}

/* A profile describes an environment, whatever is installed here; what somebody has written
 * themselves must be there. */
static bool is_left_out(const struct nova_plan_request *request, const char *name)
{
	const char *origin = nova_config_origin(request->config, "run.suite");

	return !nova_registry_find(request->registry, NOVA_KIND_BENCHMARK, name, NULL) && origin &&
	       !strncmp(origin, "profile ", 8);
}

static void add_one_step(json_t *plan, const struct nova_plan_request *request,
                         const struct nova_manifest *benchmark)
{
	NOVA_AUTOJSON json_t *targets =
	        benchmark->targets_min ? targets_for(plan, benchmark) : json_array();

	add_steps_on(plan, request, benchmark, targets);
}

static void add_step_per_target(json_t *plan, const struct nova_plan_request *request,
                                const struct nova_manifest *benchmark)
{
	json_t *targets = json_object_get(plan, "targets"), *target;
	size_t i;

	json_array_foreach(targets, i, target)
	{
		NOVA_AUTOJSON json_t *one = json_pack("[i]", (int)i);

		if (!is_of_pair(target))
			add_steps_on(plan, request, benchmark, one);
	}
}

static int add_benchmark(json_t *plan, const struct nova_plan_request *request, const char *name,
                         struct nova_error *error)
{
	const struct nova_manifest *benchmark =
	        nova_registry_find(request->registry, NOVA_KIND_BENCHMARK, name, error);

	if (!benchmark)
		return error->code;
	if (lacks_targets(plan, benchmark)) {
		if (request->benchmarks || !json_array_size(json_object_get(plan, "targets")))
			return refuse_targets(plan, benchmark, error);
		leave_out_for_targets(plan, benchmark);
		return 0;
	}
	add_metrics(plan, benchmark);
	add_param_units(plan, benchmark);
	if (!benchmark->targets_min || benchmark->targets_max > 1)
		add_one_step(plan, request, benchmark);
	else
		add_step_per_target(plan, request, benchmark);
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
	for (size_t i = 0; !code && i < count; i++) {
		const char *name = nova_config_text(request->config, "run.suite", i);

		if (is_left_out(request, name))
			leave_out(plan, name, json_string("this benchmark is not installed"),
			          json_sprintf("install novacore-benchmark-%s", name));
		else
			code = add_benchmark(plan, request, name, error);
	}
	if (code)
		return nova_error_prefix(error, "run.suite (%s)",
		                         nova_config_origin(request->config, "run.suite"));
	if (!count)
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "the suite is empty; name benchmarks with --benchmark or run.suite");
	if (!json_array_size(json_object_get(plan, "steps")))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "nothing of the suite can be run: all of it needs more "
		                      "targets than there are; " MORE_TARGETS);
	return 0;
}

/* --- shape
 * ------------------------------------------------------------------------------------------ */

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
	return json_pack("{ss si sO? sO? sO? sO? sO? sO?}", "name", name, "boot", (int)kind,
	                 "vcpus", json_object_get(values, "vcpus"), "memory_bytes",
	                 json_object_get(values, "memory"), "disk_bytes",
	                 json_object_get(values, "disk"), "image", json_object_get(values, "image"),
	                 "place", json_object_get(values, "place"), "knobs",
	                 json_object_get(values, "knobs"));
}

/* --- recordings
 * ------------------------------------------------------------------------------------- */

static int add_kind(json_t *kinds, const struct nova_config *config, const char *name,
                    struct nova_error *error)
{
	const char *near = nova_nearest(name, nova_record_kinds);
	NOVA_AUTOTEXT struct nova_text all = {0};
	bool known = false;
	json_t *one;
	size_t i;

	for (i = 0; nova_record_kinds[i]; i++) {
		known = known || !strcmp(name, nova_record_kinds[i]);
		nova_text_addf(&all, "%s%s", i ? ", " : "", nova_record_kinds[i]);
	}
	if (!known)
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "run.record (%s): there is no kind of recording \"%s\"%s%s%s; "
		        "there are %s",
		        nova_config_origin(config, "run.record"), name,
		        near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "",
		        nova_text_get(&all));
	json_array_foreach(kinds, i, one)
	{
		if (!strcmp(json_string_value(one), name))
			return 0;
	}
	json_array_append_new(kinds, json_string(name));
	return 0;
}

/* What of steps is recorded while they measure: see record.c. */
static int add_record(json_t *plan, const struct nova_config *config, struct nova_error *error)
{
	size_t count = nova_config_count(config, "run.record");
	NOVA_AUTOJSON json_t *kinds = json_array();
	int code = 0;

	for (size_t i = 0; !code && i < count; i++)
		code = add_kind(kinds, config, nova_config_text(config, "run.record", i), error);
	if (!code && json_array_size(kinds))
		json_object_set_new(
		        plan, "record",
		        json_pack("{sO sI sf}", "kinds", kinds, "frequency",
		                  (json_int_t)nova_config_i64(config, "run.record_frequency", 0),
		                  "overhead", nova_config_f64(config, "run.record_overhead", 0)));
	return code;
}

/* --- the whole
 * -------------------------------------------------------------------------------------- */

static json_t *words_of(const char *const *words)
{
	json_t *array = json_array();

	for (size_t i = 0; words && words[i]; i++)
		json_array_append_new(array, json_string(words[i]));
	return array;
}

/* What was asked for, so that it can be planned again: see again.c. */
static json_t *make_command(const struct nova_plan_request *request)
{
	json_t *settings = json_array();

	for (size_t i = 0; i < request->setting_count; i++)
		json_array_append_new(settings, json_string(request->settings[i]));
	return json_pack("{ss? so ss? ss? so so}", "config", request->config_file, "settings",
	                 settings, "plugin", request->plugin, "uri", request->uri, "targets",
	                 words_of(request->targets), "benchmarks", words_of(request->benchmarks));
}

int nova_plan_make(const struct nova_plan_request *request, json_t **plan, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *made = json_pack(
	        "{ss ss sI sf s[] s[] s[] s{} s{} s[] s[] s[] so sI sb sI sI}", "novacore",
	        NOVACORE_VERSION, "profile", request->profile, "seed",
	        (json_int_t)(request->seed & INT64_MAX), "level",
	        nova_config_f64(request->config, "run.level", 0), "targets", "steps", "goals",
	        "metrics", "param_units", "notes", "proposals", "skipped", "command",
	        make_command(request), "budget_ns",
	        (json_int_t)nova_config_i64(request->config, "run.budget", 0), "full",
	        nova_config_flag(request->config, "run.full"), "op_timeout_ns",
	        (json_int_t)nova_config_i64(request->config, "run.op_timeout", 0), "max_vms",
	        (json_int_t)nova_config_i64(request->config, "limits.max_vms", 0));
	json_t *shape, *regression = NULL;
	int code;

	*plan = NULL;
	code = nova_judging_configured(request->config, &regression, error);
	json_object_set_new(made, "regression", regression ? regression : json_null());
	if (!code)
		code = add_targets(made, request, error);
	if (!code)
		add_twin(made, request);
	if (!code)
		code = add_suite(made, request, error);
	if (!code)
		code = add_record(made, request->config, error);
	if (code)
		return code;
	add_goals(made, request);
	add_conditional_goals(made, request);
	shape = make_shape(request->config, error);
	if (!shape)
		return error->code;
	json_object_set_new(made, "shape", shape);
	nova_lead_forecast(made, request->registry, request->config);
	code = nova_limits_check(made, request->registry, request->config, error);
	if (code)
		return code;
	*plan = json_incref(made);
	return 0;
}
