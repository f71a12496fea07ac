/* SPDX-License-Identifier: MIT */
/* Targets as they are named on the command line: configured ones, and PLUGIN=URI. */
#include "core/cli/targets.h"

#include <stdlib.h>
#include <string.h>

static bool is_configured(const struct nova_config *config, const char *name)
{
	const char *const *groups = nova_config_groups(config, "target");

	while (groups && *groups && strcmp(*groups, name))
		groups++;
	return groups && *groups;
}

static int no_target(const struct nova_config *config, const char *name, struct nova_error *error)
{
	const char *near = nova_nearest(name, nova_config_groups(config, "target"));

	return nova_error_set(error, NOVA_E_INVALID,
	                      "there is no target \"%s\"%s%s%s; novacore target list shows them, "
	                      "novacore target add makes one, PLUGIN=URI needs none",
	                      name, near ? "; did you mean \"" : "", near ? near : "",
	                      near ? "\"?" : "");
}

int target_choose(const struct nova_settings *settings, const char *text,
                  struct chosen_target *target, struct nova_error *error)
{
	const char *equals = strchr(text, '='), *plugin;

	*target = (struct chosen_target){0};
	target->name = equals ? nova_format("%.*s", (int)(equals - text), text) : nova_strdup(text);
	if (!equals && !is_configured(settings->config, text))
		return no_target(settings->config, text, error);
	if (equals) {
		target->uri = nova_strdup(equals + 1);
		plugin = target->name;
	} else {
		target->over = nova_format("target.%s", text);
		NOVA_AUTOFREE char *key = nova_format("%s.plugin", target->over);
		plugin = nova_config_text(settings->config, key, 0);
	}
	target->prefix = nova_format("hypervisor.%s", plugin);
	target->driver =
	        nova_registry_find(settings->registry, NOVA_KIND_HYPERVISOR, plugin, error);
	return target->driver ? 0 : error->code;
}

void target_free(struct chosen_target *target)
{
	free(target->name);
	free(target->over);
	free(target->prefix);
	free(target->uri);
	*target = (struct chosen_target){0};
}

char *target_key(const struct nova_config *config, const struct chosen_target *target,
                 const char *parameter)
{
	char *own = target->over ? nova_format("%s.%s", target->over, parameter) : NULL;

	if (own && nova_config_declared(config, own) && nova_config_has(config, own))
		return own;
	free(own);
	return nova_format("%s.%s", target->prefix, parameter);
}

const struct nova_spec *target_spec(const struct nova_manifest *driver, const char *name,
                                    size_t length)
{
	for (size_t i = 0; i < driver->spec_count; i++)
		if (strlen(driver->specs[i].name) == length &&
		    !strncmp(driver->specs[i].name, name, length))
			return &driver->specs[i];
	return NULL;
}

char *target_setting(const char *text, const char *assignment)
{
	const char *equals = strchr(text, '=');
	size_t key = strcspn(assignment, "=");

	if (memchr(assignment, '.', key))
		return nova_strdup(assignment);
	return equals ? nova_format("hypervisor.%.*s.%s", (int)(equals - text), text, assignment)
	              : nova_format("target.%s.%s", text, assignment);
}
