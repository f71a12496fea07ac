/* SPDX-License-Identifier: MIT */
/*
 * What all layers mean together: groups below vm and target become keys, every assignment finds its
 * key or is an error that names the nearest, later layers win, defaults fill the rest.
 */
#include <stdlib.h>
#include <string.h>

#include "core/config/internal.h"

static bool starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* "target.lab.uri" → "lab"; heap. NULL if there is no second component. */
static char *second(const char *key)
{
	const char *dot = strchr(key, '.');
	if (!dot || dot[1] == '\0')
		return NULL;
	return nova_format("%.*s", (int)strcspn(dot + 1, "."), dot + 1);
}

static int collect_groups(struct nova_config *config, struct nova_error *error)
{
	names_clear(&config->targets);
	names_clear(&config->shapes);
	names_add(&config->shapes, "standard");
	for (size_t i = 0; i < config->assignment_count; i++) {
		const struct assignment *at = &config->assignments[i];
		bool target = starts(at->key, "target."), shape = starts(at->key, "vm.");
		NOVA_AUTOFREE char *name = target || shape ? second(at->key) : NULL;
		if (!name)
			continue;
		if (!nova_name_valid(name))
			return nova_error_set(
			        error, NOVA_E_INVALID,
			        "%s: \"%.80s\" is not a valid name for a %s; use lower-case "
			        "letters, digits and \"-\", at most 64, such as %s",
			        at->origin, name, target ? "target" : "VM shape",
			        target ? "target.lab-1" : "vm.large");
		names_add(target ? &config->targets : &config->shapes, name);
	}
	return 0;
}

static void drop_dynamic(struct nova_config *config)
{
	size_t kept = 0;
	for (size_t i = 0; i < config->key_count; i++) {
		key_unset(&config->keys[i]);
		if (config->keys[i].dynamic)
			key_clear(&config->keys[i]);
		else
			config->keys[kept++] = config->keys[i];
	}
	config->key_count = kept;
}

static size_t spec_count(const struct nova_spec *specs)
{
	size_t count = 0;
	while (specs[count].name)
		count++;
	return count;
}

/* Keys below target.<name> for the parameters of its driver; the values default to the driver's. */
static void declare_driver(struct nova_config *config, const char *target, const char *driver)
{
	size_t length = strlen(driver), count = config->key_count;

	for (size_t i = 0; i < count; i++) {
		const char *name = config->keys[i].name;
		if (!starts(name, driver) || name[length] != '.')
			continue;
		struct nova_spec spec;
		spec_copy(&spec, &config->keys[i].spec);
		config_declare(config, target, &spec, 1, true, false);
		nova_spec_free(&spec);
	}
}

/* The nearest of the second components of declared prefixes of `kind` ("hypervisor."); heap. */
static char *nearest_plugin(const struct nova_config *config, const char *kind, const char *word)
{
	struct names names = {0};
	for (size_t i = 0; i < config->prefixes.count; i++)
		if (starts(config->prefixes.items[i], kind))
			names_add(&names, config->prefixes.items[i] + strlen(kind));
	char *nearest = nova_strdup(nova_nearest(word, (const char *const *)names.items));
	names_clear(&names);
	return nearest;
}

static int declare_target(struct nova_config *config, const char *name, struct nova_error *error)
{
	NOVA_AUTOFREE char *prefix = nova_format("target.%s", name);
	NOVA_AUTOFREE char *key = nova_format("%s.plugin", prefix);
	const char *plugin = nova_config_early(config, key);

	config_declare(config, prefix, keys_of_target, spec_count(keys_of_target), true, true);
	if (!plugin) {
		const char *origin = "?";
		for (size_t i = 0; i < config->assignment_count; i++)
			if (starts(config->assignments[i].key, prefix)) {
				origin = config->assignments[i].origin;
				break;
			}
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "%s: target.%s does not say which plugin drives it; add plugin = "
		        "\"kvm\"; or another hypervisor plugin",
		        origin, name);
	}
	NOVA_AUTOFREE char *driver = nova_format("hypervisor.%s", plugin);
	declare_driver(config, prefix, driver);
	return 0;
}

/* After values are read, so that the origin is known. */
static int check_target(struct nova_config *config, const char *name, struct nova_error *error)
{
	NOVA_AUTOFREE char *prefix = nova_format("target.%s", name);
	NOVA_AUTOFREE char *key = nova_format("%s.plugin", prefix);
	const char *plugin = nova_config_text(config, key, 0);
	NOVA_AUTOFREE char *driver = nova_format("hypervisor.%s", plugin);

	if (names_have(&config->prefixes, driver))
		return 0;
	NOVA_AUTOFREE char *nearest = nearest_plugin(config, "hypervisor.", plugin);
	return nova_error_set(error, NOVA_E_INVALID,
	                      "%s: %s: no hypervisor plugin \"%.80s\" is installed%s%s%s; see "
	                      "novacore plugin list",
	                      nova_config_origin(config, key), key, plugin,
	                      nearest ? ", did you mean \"" : "", nearest ? nearest : "",
	                      nearest ? "\"?" : "");
}

static int check_required(struct nova_config *config, const char *name, struct nova_error *error)
{
	NOVA_AUTOFREE char *prefix = nova_format("target.%s", name);
	NOVA_AUTOFREE char *key = nova_format("%s.plugin", prefix);
	NOVA_AUTOFREE char *driver =
	        nova_format("hypervisor.%s.", nova_config_text(config, key, 0));

	for (size_t i = 0; i < config->key_count; i++) {
		const struct key *at = &config->keys[i];
		if (!starts(at->name, driver) || at->set || !(at->spec.flags & NOVA_PARAM_REQUIRED))
			continue;
		NOVA_AUTOFREE char *own = nova_format("%s.%s", prefix, at->name + strlen(driver));
		if (!nova_config_has(config, own))
			return nova_error_set(error, NOVA_E_INVALID,
			                      "%s: %s has no value, and must have one (%s)",
			                      nova_config_origin(config, key), own, at->spec.doc);
	}
	return 0;
}

/* Is `key` a group of declared keys, or one that holds groups? */
static bool is_group(const struct nova_config *config, const char *key)
{
	static const char *const holders[] = {"vm",        "target",    "hypervisor",
	                                      "benchmark", "optimizer", "goals"};
	size_t length = strlen(key);

	for (size_t i = 0; i < NOVA_COUNT(holders); i++)
		if (strcmp(key, holders[i]) == 0)
			return true;
	for (size_t i = 0; i < config->key_count; i++)
		if (starts(config->keys[i].name, key) && config->keys[i].name[length] == '.')
			return true;
	return names_have(&config->prefixes, key);
}

/* "hypervisor.kmv.accel" → "hypervisor.kmv" if plugins of that kind exist; heap, or NULL. */
static char *plugin_part(const char *key)
{
	static const char *const kinds[] = {"hypervisor.", "benchmark.", "optimizer."};
	for (size_t i = 0; i < NOVA_COUNT(kinds); i++) {
		size_t length = strlen(kinds[i]);
		if (starts(key, kinds[i]) && key[length])
			return nova_format("%.*s", (int)(length + strcspn(key + length, ".")), key);
	}
	return NULL;
}

static char *nearest_key(const struct nova_config *config, const char *key)
{
	NOVA_AUTOFREE const char **names = nova_alloc((config->key_count + 2) * sizeof(*names));
	NOVA_AUTOFREE char *full = nova_format("benchmark.%s", key);

	if (config_find(config, full) || names_have(&config->prefixes, full))
		return nova_strdup(full);
	for (size_t i = 0; i < config->key_count; i++)
		names[i] = config->keys[i].name;
	names[config->key_count] = "goals";
	const char *nearest = nova_nearest(key, names);
	if (!nearest)
		nearest = nova_nearest(full, names);
	if (nearest)
		return nova_strdup(nearest);
	/* a right name in the wrong group: "samples" for "run.samples" */
	const char *dot = strrchr(key, '.'), *last = dot ? dot + 1 : key;
	for (size_t i = 0; i < config->key_count; i++) {
		const char *end = strrchr(names[i], '.');
		if (end && strcmp(end + 1, last) == 0)
			return nova_strdup(names[i]);
	}
	return NULL;
}

/* The nearest group that holds keys, for a group that does not exist; heap. */
static char *nearest_group(const struct nova_config *config, const char *key)
{
	struct names groups = {0};
	for (size_t i = 0; i < config->key_count; i++) {
		const char *name = config->keys[i].name, *dot = name;
		while ((dot = strchr(dot, '.'))) {
			NOVA_AUTOFREE char *group = nova_format("%.*s", (int)(dot - name), name);
			names_add(&groups, group);
			dot++;
		}
	}
	char *nearest = nova_strdup(nova_nearest(key, (const char *const *)groups.items));
	names_clear(&groups);
	return nearest ? nearest : nearest_key(config, key);
}

static int unknown_plugin(const struct nova_config *config, const struct assignment *at,
                          const char *plugin, struct nova_error *error)
{
	const char *dot = strchr(plugin, '.');
	NOVA_AUTOFREE char *kind = nova_format("%.*s", (int)(dot - plugin) + 1, plugin);
	NOVA_AUTOFREE char *nearest = nearest_plugin(config, kind, dot + 1);

	/* a profile describes an environment, whatever is installed here */
	if (!nearest && at->layer == NOVA_LAYER_PROFILE) {
		nova_log(NOVA_LOG_DEBUG, "%s: %s is ignored: that plugin is not installed",
		         at->origin, at->key);
		return 0;
	}
	return nova_error_set(
	        error, NOVA_E_INVALID, "%s: %s: no %.*s plugin \"%s\" is installed%s%s%s%s",
	        at->origin, at->key, (int)(dot - plugin), plugin, dot + 1,
	        nearest ? ", did you mean \"" : "", nearest ? kind : "", nearest ? nearest : "",
	        nearest ? "\"?" : "; see novacore plugin list");
}

static int unknown(const struct nova_config *config, const struct assignment *at,
                   struct nova_error *error)
{
	NOVA_AUTOFREE char *plugin = plugin_part(at->key);

	if (plugin && !names_have(&config->prefixes, plugin))
		return unknown_plugin(config, at, plugin, error);
	if (strcmp(at->key, "inherits") == 0)
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "%s: inherits belongs into the file of a profile; here, choose "
		        "one with profile = \"…\";",
		        at->origin);
	if (is_group(config, at->key))
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "%s: %s is a group of settings; write %s = { name = value; };", at->origin,
		        at->key, at->key);
	NOVA_AUTOFREE char *nearest =
	        at->group ? nearest_group(config, at->key) : nearest_key(config, at->key);
	return nova_error_set(error, NOVA_E_INVALID, "%s: there is no setting %.120s%s%s%s",
	                      at->origin, at->key, nearest ? ", did you mean " : "",
	                      nearest ? nearest : "", nearest ? "?" : "; see novacore config keys");
}

static struct key *find_for(const struct nova_config *config, const struct assignment *at)
{
	struct key *key = config_find(config, at->key);
	if (key || at->layer != NOVA_LAYER_COMMAND)
		return key;
	NOVA_AUTOFREE char *full = nova_format("benchmark.%s", at->key);
	return config_find(config, full);
}

static int assign(struct nova_config *config, const struct assignment *at, struct nova_error *error)
{
	if (at->group && is_group(config, at->key)) {
		NOVA_AUTOFREE char *plugin = plugin_part(at->key);
		if (plugin && !names_have(&config->prefixes, plugin))
			return unknown_plugin(config, at, plugin, error);
		return 0;
	}
	struct key *key = find_for(config, at);
	if (key && at->group)
		return nova_error_set(error, NOVA_E_INVALID, "%s: %s takes a value, not a group",
		                      at->origin, at->key);
	if (!key)
		return unknown(config, at, error);
	if (at->layer == NOVA_LAYER_PROFILE && strcmp(at->key, "profile") == 0)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "%s: a profile cannot choose a profile; to build on another, "
		                      "write inherits = \"%s\";",
		                      at->origin, at->count ? at->items[0].text : "…");
	if (at->layer != NOVA_LAYER_SYSTEM && keys_system_only(key->name))
		return nova_error_set(
		        error, NOVA_E_REFUSED,
		        "%s: %s decides whose code runs, so it counts only in the system's file, "
		        "/etc/novacore/novacore.conf, which root alone can change; set it there, "
		        "or as an ordinary user set NOVACORE_PLUGIN_PATH",
		        at->origin, key->name);
	return key_assign(key, at, error);
}

static int assign_all(struct nova_config *config, struct nova_error *error)
{
	for (enum nova_layer layer = NOVA_LAYER_PROFILE; layer <= NOVA_LAYER_COMMAND; layer++)
		for (size_t i = 0; i < config->assignment_count; i++) {
			if (config->assignments[i].layer != layer)
				continue;
			int code = assign(config, &config->assignments[i], error);
			if (code != 0)
				return code;
		}
	for (size_t i = 0; i < config->key_count; i++) {
		int code = key_fallback(&config->keys[i], error);
		if (code != 0)
			return code;
	}
	return 0;
}

static int check_shape(const struct nova_config *config, struct nova_error *error)
{
	const char *shape = nova_config_text(config, "run.shape", 0);
	if (names_have(&config->shapes, shape))
		return 0;
	const char *nearest = nova_nearest(shape, nova_config_groups(config, "vm"));
	return nova_error_set(
	        error, NOVA_E_INVALID,
	        "%s: run.shape: there is no VM shape \"%.80s\"%s%s%s; define it as vm = "
	        "{ %.80s = { vcpus = 1; memory = \"512MiB\"; }; };",
	        nova_config_origin(config, "run.shape"), shape, nearest ? ", did you mean \"" : "",
	        nearest ? nearest : "", nearest ? "\"?" : "", shape);
}

int nova_config_finish(struct nova_config *config, struct nova_error *error)
{
	drop_dynamic(config);
	int code = collect_groups(config, error);
	for (size_t i = 0; code == 0 && i < config->shapes.count; i++) {
		NOVA_AUTOFREE char *prefix = nova_format("vm.%s", config->shapes.items[i]);
		config_declare(config, prefix, keys_of_shape, spec_count(keys_of_shape), true,
		               true);
	}
	for (size_t i = 0; code == 0 && i < config->targets.count; i++)
		code = declare_target(config, config->targets.items[i], error);
	if (code == 0)
		code = assign_all(config, error);
	for (size_t i = 0; code == 0 && i < config->targets.count; i++)
		if ((code = check_target(config, config->targets.items[i], error)) == 0)
			code = check_required(config, config->targets.items[i], error);
	if (code == 0)
		code = check_shape(config, error);
	return code == 0 ? goals_read(config, error) : code;
}
