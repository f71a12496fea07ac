/* SPDX-License-Identifier: MIT */
/*
 * `novacore plugin check --conformance TARGET`: which plugin that is, with which parameters, and
 * which checks count, by topics. They are run as all checks are (plugin_check.c).
 */
#include "core/cli/checking.h"
#include "core/cli/targets.h"

#include <stdlib.h>
#include <string.h>

/* --- the target's parameters ------------------------------------------------------------------ */

static const char *text_of_secret(const json_t *params, const char *name)
{
	const char *secret = json_string_value(json_object_get(params, name));

	nova_secret_add(secret);
	return secret;
}

/* A list's elements with commas between. Owned by the caller. */
static char *text_of(const struct nova_config *config, const char *key)
{
	NOVA_AUTOTEXT struct nova_text text = {0};
	size_t count = nova_config_count(config, key);

	for (size_t i = 0; i < count; i++)
		nova_text_addf(&text, "%s%s", i ? "," : "", nova_config_text(config, key, i));
	return nova_strdup(nova_text_get(&text));
}

/* "name=value" of everything that somebody has said; the test host knows the defaults. */
static void collect(struct checking *checking, const struct nova_config *config,
                    const struct chosen_target *target)
{
	NOVA_AUTOJSON json_t *params =
	        nova_config_params(config, target->prefix, target->over, true);

	for (size_t i = 0; i < target->driver->spec_count; i++) {
		const struct nova_spec *spec = &target->driver->specs[i];
		NOVA_AUTOFREE char *key = target_key(config, target, spec->name), *value = NULL;
		const char *origin = nova_config_origin(config, key);

		if (!strcmp(spec->name, "uri") && target->uri && *target->uri)
			value = nova_strdup(target->uri);
		else if (!origin || !strcmp(origin, "default"))
			continue;
		else if (spec->type == NOVA_PARAM_SECRET)
			value = nova_strdup(text_of_secret(params, spec->name));
		else
			value = text_of(config, key);
		if (value)
			json_array_append_new(checking->parameters,
			                      json_sprintf("%s=%s", spec->name, value));
	}
}

static int take_target(struct checking *checking, const struct nova_settings *settings,
                       struct nova_error *error)
{
	TARGET_AUTO struct chosen_target target = {0};
	int code = target_choose(settings, checking->arguments->target, &target, error);

	if (!code)
		code = nova_config_ready(settings->config, target.prefix, target.over,
		                         target.uri && *target.uri ? "uri" : NULL, error);
	if (!code)
		code = nova_plugin_inspect(target.driver->path, &checking->file, error);
	if (!code)
		collect(checking, settings->config, &target);
	return code;
}

int conformance_find(struct checking *checking, struct nova_error *error)
{
	const struct arguments *arguments = checking->arguments;
	size_t count = arguments->setting_count;
	char **sets = nova_alloc((count + 1) * sizeof(*sets));
	struct nova_settings settings = {0};
	int code;

	for (size_t i = 0; i < count; i++)
		sets[i] = target_setting(arguments->target, arguments->settings[i]);
	checking->parameters = json_array();
	code = nova_settings_load(NULL, arguments->config, (const char *const *)sets, count,
	                          &settings, error);
	if (!code)
		code = take_target(checking, &settings, error);
	nova_settings_free(&settings);
	for (size_t i = 0; i < count; i++)
		free(sets[i]);
	free(sets);
	return code;
}

/* --- its checks ------------------------------------------------------------------------------- */

static struct row *find(struct row *rows, size_t count, const char *name, size_t length)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(rows[i].name) == length && !strncmp(rows[i].name, name, length))
			return &rows[i];
	return NULL;
}

/* Whether something needs this row. Nothing needs what nobody has asked for. */
static bool is_needed(const struct row *row)
{
	static const char *const needed[] = {"load", "sizes", "probe", "create"};

	if (row->aspect >= 0)
		return true;
	for (size_t i = 0; i < NOVA_COUNT(needed); i++)
		if (!strcmp(row->name, needed[i]))
			return true;
	return false;
}

void conformance_arrange(struct checking *checking)
{
	struct row *rows = nova_alloc(checking->count * sizeof(*rows));
	size_t count = 0;

	for (size_t i = 0; i < checking->count; i++)
		if (is_needed(&checking->rows[i]))
			rows[count++] = checking->rows[i];
	for (const struct nova_conformance_topic *topic = nova_conformance_topics(); topic->name;
	     topic++) {
		for (const char *at = topic->checks; *at; at += strspn(at, " ")) {
			size_t length = strcspn(at, " ");
			struct row *row = find(checking->rows, checking->count, at, length);
			if (row) {
				rows[count] = *row;
				rows[count++].topic = topic->name;
			}
			at += length;
		}
	}
	free(checking->rows);
	checking->rows = rows;
	checking->count = count;
}
