/* SPDX-License-Identifier: MIT */
/*
 * What a command works with: the plugins that are there, and the configuration of all layers,
 * checked against what those plugins declare.
 */
#include "core/cli/profiles.h"

#include <stdlib.h>
#include <string.h>

#define PROFILE_DEFAULT "development"

struct nova_config *settings_declare(const struct nova_registry *registry)
{
	struct nova_config *config = nova_config_new();

	for (size_t i = 0; i < registry->plugin_count; i++) {
		const struct nova_manifest *plugin = registry->plugins[i];
		if (plugin->kind == NOVA_KIND_PROFILE)
			continue;
		NOVA_AUTOFREE char *prefix =
		        nova_format("%s.%s", nova_kind_name(plugin->kind), plugin->name);
		nova_config_declare(config, prefix, plugin->specs, plugin->spec_count);
	}
	return config;
}

static const struct nova_manifest *benchmark(const struct nova_registry *registry, const char *name,
                                             size_t length)
{
	for (size_t i = 0; i < registry->plugin_count; i++) {
		const struct nova_manifest *plugin = registry->plugins[i];
		if (plugin->kind == NOVA_KIND_BENCHMARK && strlen(plugin->name) == length &&
		    strncmp(plugin->name, name, length) == 0)
			return plugin;
	}
	return NULL;
}

static int no_metric(const struct nova_manifest *plugin, const struct nova_goal *goal,
                     struct nova_error *error)
{
	NOVA_AUTOFREE const char **names = nova_alloc((plugin->metric_count + 1) * sizeof(*names));
	for (size_t i = 0; i < plugin->metric_count; i++)
		names[i] = plugin->metrics[i].name;
	const char *nearest = nova_nearest(goal->metric, names);
	return nova_error_set(error, NOVA_E_INVALID,
	                      "%s: goals: the benchmark %s has no metric %s%s%s%s; see novacore "
	                      "plugin info %s",
	                      goal->origin, plugin->name, goal->metric,
	                      nearest ? ", did you mean " : "", nearest ? nearest : "",
	                      nearest ? "?" : "", plugin->name);
}

static const struct nova_manifest_metric *find_metric(const struct nova_manifest *plugin,
                                                      const char *name, size_t length)
{
	for (size_t i = 0; i < plugin->metric_count; i++)
		if (strlen(plugin->metrics[i].name) == length &&
		    strncmp(plugin->metrics[i].name, name, length) == 0)
			return &plugin->metrics[i];
	return NULL;
}

/* "cpu.rate.overhead": what a VM loses against this host, of a benchmark that measures both. */
static bool is_overhead(const struct nova_manifest *plugin, const char *name)
{
	static const char suffix[] = ".overhead";
	size_t length = strlen(name), end = sizeof(suffix) - 1;

	return plugin->native && length > end && strcmp(name + length - end, suffix) == 0 &&
	       find_metric(plugin, name, length - end);
}

static int check_goal(const struct nova_manifest *plugin, const struct nova_goal *goal,
                      struct nova_error *error)
{
	const struct nova_manifest_metric *metric =
	        find_metric(plugin, goal->metric, strlen(goal->metric));
	static const struct nova_manifest_metric overhead = {.unit = NOVA_UNIT_ONE,
	                                                     .better = NOVA_BETTER_LOWER};

	if (!metric && is_overhead(plugin, goal->metric))
		metric = &overhead;
	if (!metric)
		return no_metric(plugin, goal, error);
	if (metric == &overhead && goal->unit != NOVA_UNIT_ONE)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "%s: goals: %s is a share, and the limit is not; write it "
		                      "like \"3%%\" or \"0.03\"",
		                      goal->origin, goal->metric);
	if (metric->unit != goal->unit)
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "%s: goals: %s is measured in %s, and the limit is not; write it "
		        "with such a unit (\"10s\", \"100MB/s\", \"16GiB\")",
		        goal->origin, goal->metric, nova_unit_name(metric->unit));
	bool higher = metric->better == NOVA_BETTER_HIGHER;
	if (goal->has_acceptable &&
	    (higher ? goal->acceptable > goal->pass : goal->acceptable < goal->pass))
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "%s: goals: %s: what is acceptable is harder to reach than what "
		        "passes (%s is better); exchange the two",
		        goal->origin, goal->metric, higher ? "higher" : "lower");
	return 0;
}

int settings_check_goals(const struct nova_registry *registry, const struct nova_config *config,
                         struct nova_error *error)
{
	const struct nova_goal *goal;

	for (size_t i = 0; (goal = nova_config_goal_at(config, i)); i++) {
		const struct nova_manifest *plugin =
		        benchmark(registry, goal->metric, strcspn(goal->metric, "."));
		/* a goal may be for what is not installed here, and the built-in ones are ours */
		if (!plugin || strcmp(goal->origin, "default") == 0)
			continue;
		int code = check_goal(plugin, goal, error);
		if (code != 0)
			return code;
	}
	return 0;
}

int settings_check_suite(const struct nova_registry *registry, const struct nova_config *config,
                         struct nova_error *error)
{
	for (size_t i = 0; i < nova_config_count(config, "run.suite"); i++) {
		const char *name = nova_config_text(config, "run.suite", i);
		if (benchmark(registry, name, strlen(name)))
			continue;
		struct nova_error why = {0};
		nova_registry_find(registry, NOVA_KIND_BENCHMARK, name, &why);
		return nova_error_set(error, NOVA_E_INVALID,
		                      "%s: run.suite: the benchmark \"%.80s\" is not installed: %s",
		                      nova_config_origin(config, "run.suite"), name, why.text);
	}
	return 0;
}

int nova_settings_check_suite(const struct nova_settings *settings, struct nova_error *error)
{
	return settings_check_suite(settings->registry, settings->config, error);
}

/* Where the settings of a user come from besides the profile. */
struct layers {
	bool alone; /* no configuration file */
	const char *file;
	const char *const *settings;
	size_t count;
};

static int add_files(struct nova_config *config, const char *file, struct nova_error *error)
{
	NOVA_AUTOFREE char *system = nova_place(NOVA_PLACE_SYSTEM, "novacore.conf");
	NOVA_AUTOFREE char *user = nova_place(NOVA_PLACE_CONFIG, "novacore.conf");
	bool own = strcmp(user, system) != 0; /* root's is the system's */
	int code = nova_config_add_file(config, NOVA_LAYER_SYSTEM, system, false, error);

	if (code == 0 && own)
		code = nova_config_add_file(config, NOVA_LAYER_USER, user, false, error);
	if (code == 0 && file)
		code = nova_config_add_file(config, NOVA_LAYER_FILE, file, true, error);
	return code;
}

static int add_layers(struct nova_config *config, const struct layers *layers,
                      struct nova_error *error)
{
	int code = layers->alone ? 0 : add_files(config, layers->file, error);

	for (size_t i = 0; code == 0 && i < layers->count; i++)
		code = nova_config_add_setting(config, layers->settings[i], error);
	return code;
}

static int load(const char *profile, const struct layers *layers, struct nova_settings *out,
                struct nova_error *error)
{
	PROFILE_AUTOLIST struct profile_list profiles = {0};

	int code = nova_registry_scan(&out->registry, error);
	if (code != 0)
		return code;
	out->config = settings_declare(out->registry);
	code = add_layers(out->config, layers, error);
	if (code == 0 && profile)
		code = nova_config_add_option(out->config, "--profile", "profile",
		                              profile_canonical(profile), error);
	if (code != 0)
		return code;
	profile_list_read(out->registry, &profiles);
	const char *chosen = nova_config_early(out->config, "profile");
	out->profile = nova_strdup(profile_canonical(chosen ? chosen : PROFILE_DEFAULT));
	/* a host without any profile plugin still has the built-in defaults */
	if (chosen || profiles.count > 0)
		code = profile_add(&profiles, out->profile, out->config, error);
	if (code == 0)
		code = nova_config_finish(out->config, error);
	return code == 0 ? settings_check_goals(out->registry, out->config, error) : code;
}

static int load_or_free(const char *profile, const struct layers *layers, struct nova_settings *out,
                        struct nova_error *error)
{
	struct nova_error own = {0};

	error = error ? error : &own;
	*out = (struct nova_settings){0};
	int code = load(profile, layers, out, error);
	if (code != 0)
		nova_settings_free(out);
	return code;
}

int nova_settings_load_planned(const json_t *command, const char *profile,
                               struct nova_settings *out, struct nova_error *error)
{
	const json_t *stored = json_object_get(command, "settings");
	size_t count = json_array_size(stored);
	NOVA_AUTOFREE const char **settings = nova_alloc((count + 1) * sizeof(*settings));

	for (size_t i = 0; i < count; i++)
		settings[i] = json_string_value(json_array_get(stored, i));
	return nova_settings_load(profile, json_string_value(json_object_get(command, "config")),
	                          settings, count, out, error);
}

int nova_settings_load(const char *profile, const char *file, const char *const *settings,
                       size_t setting_count, struct nova_settings *out, struct nova_error *error)
{
	const struct layers layers = {.file = file, .settings = settings, .count = setting_count};

	return load_or_free(profile, &layers, out, error);
}

int nova_settings_load_alone(const char *profile, const char *const *settings, size_t setting_count,
                             struct nova_settings *out, struct nova_error *error)
{
	const struct layers layers = {.alone = true, .settings = settings, .count = setting_count};

	return load_or_free(profile, &layers, out, error);
}

void nova_settings_free(struct nova_settings *settings)
{
	nova_config_free(settings->config);
	nova_registry_free(settings->registry);
	free(settings->profile);
	*settings = (struct nova_settings){0};
}
