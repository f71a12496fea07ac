/* SPDX-License-Identifier: MIT */
/*
 * Environment profiles by name: those of plugins (their text stands in the manifest, nothing is
 * executed) and those of users (libconfig files that may inherit). One name, one profile.
 */
#include "core/cli/profiles.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES_MAX (1024 * 1024)
#define SUFFIX         ".conf"

static const char *const short_names[][2] = {
        {"dev", "development"}, {"test", "testing"},   {"stage", "staging"},
        {"prod", "production"}, {"ml", "ml-training"},
};

const char *profile_canonical(const char *name)
{
	for (size_t i = 0; i < NOVA_COUNT(short_names); i++)
		if (strcmp(short_names[i][0], name) == 0)
			return short_names[i][1];
	return name;
}

const char *profile_short(const char *name)
{
	for (size_t i = 0; i < NOVA_COUNT(short_names); i++)
		if (strcmp(short_names[i][1], name) == 0)
			return short_names[i][0];
	return NULL;
}

void profile_clear(struct profile *profile)
{
	free(profile->name);
	free(profile->summary);
	free(profile->inherits);
	free(profile->path);
	free(profile->text);
	free(profile->problem);
}

void profile_list_free(struct profile_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		profile_clear(&list->items[i]);
	free(list->items);
	*list = (struct profile_list){0};
}

char *profile_path(const char *name)
{
	NOVA_AUTOFREE char *below = nova_format("profiles/%s" SUFFIX, name);
	return nova_place(NOVA_PLACE_CONFIG, below);
}

/* The first comment of a text that is not its SPDX line; heap. */
static char *first_comment(const char *text)
{
	while (*text == '#') {
		size_t length = strcspn(text, "\r\n");
		NOVA_AUTOFREE char *line = nova_format("%.*s", (int)length, text);
		const char *words = line + strspn(line, "# \t");
		if (*words && strncmp(words, "SPDX", 4) != 0)
			return nova_strdup(words);
		text += length;
		text += strspn(text, "\r\n");
	}
	return NULL;
}

static struct profile *find(const struct profile_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i].name, name) == 0)
			return &list->items[i];
	return NULL;
}

static struct profile *add(struct profile_list *list, const char *name)
{
	list->items = nova_grow(list->items, list->count, sizeof(*list->items));
	struct profile *added = &list->items[list->count++];
	*added = (struct profile){.name = nova_strdup(name)};
	return added;
}

static char *name_problem(const struct profile_list *list, const char *name, const char *path)
{
	const struct profile *other = find(list, name);

	if (!nova_name_valid(name))
		return nova_format(
		        "%s: a profile's file is named with lower-case letters, digits and "
		        "\"-\"; rename it",
		        path);
	if (strcmp(profile_canonical(name), name) != 0)
		return nova_format("%s: \"%s\" is short for the profile %s; rename the file", path,
		                   name, profile_canonical(name));
	if (other && !other->path)
		return nova_format(
		        "%s: a plugin provides a profile \"%s\" already; rename the file "
		        "(it can say inherits = \"%s\";)",
		        path, name, name);
	return NULL;
}

static void read_file(struct profile *profile)
{
	struct nova_error error = {0};
	size_t bytes = 0;

	profile->text = nova_file_read(profile->path, TEXT_BYTES_MAX, &bytes, &error);
	if (profile->text && strlen(profile->text) != bytes)
		nova_error_set(&error, NOVA_E_INVALID, "%s: a NUL byte; this is not a text file",
		               profile->path);
	else if (profile->text)
		nova_config_inherits(profile->path, profile->text, &profile->inherits, &error);
	if (error.code != 0) {
		profile->problem = nova_strdup(error.text);
		return;
	}
	char *comment = first_comment(profile->text);
	if (!comment)
		comment = profile->inherits ? nova_format("made from %s", profile->inherits)
		                            : nova_strdup("a profile of yours");
	profile->summary = comment;
}

static void read_folder(struct profile_list *list, const char *folder)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;

	if (!directory) {
		if (errno != ENOENT)
			nova_log(NOVA_LOG_WARNING, "cannot read the profiles in %s: %s", folder,
			         strerror(errno));
		return;
	}
	while ((entry = readdir(directory))) {
		size_t length = strlen(entry->d_name), suffix = strlen(SUFFIX);
		if (entry->d_name[0] == '.' || length <= suffix ||
		    strcmp(entry->d_name + length - suffix, SUFFIX) != 0)
			continue;
		NOVA_AUTOFREE char *name =
		        nova_format("%.*s", (int)(length - suffix), entry->d_name);
		NOVA_AUTOFREE char *path = nova_format("%s/%s", folder, entry->d_name);
		char *problem = name_problem(list, name, path);
		struct profile *other = find(list, name);
		if (other && !problem)
			continue; /* the user's folder is read first, and wins */
		/* a clash is recorded at the plugin's profile, so that using it says so */
		struct profile *profile = other ? other : add(list, name);
		if (!other)
			profile->path = nova_strdup(path);
		if (!problem) {
			read_file(profile);
			continue;
		}
		free(profile->problem);
		profile->problem = problem;
	}
	closedir(directory);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct profile *)a)->name, ((const struct profile *)b)->name);
}

void profile_list_read(const struct nova_registry *registry, struct profile_list *list)
{
	*list = (struct profile_list){0};
	for (size_t i = 0; i < registry->plugin_count; i++) {
		const struct nova_manifest *plugin = registry->plugins[i];
		if (plugin->kind != NOVA_KIND_PROFILE)
			continue;
		struct profile *profile = add(list, plugin->name);
		profile->summary = nova_strdup(plugin->summary);
		profile->text = nova_strdup(plugin->settings ? plugin->settings : "");
		struct nova_error error = {0};
		NOVA_AUTOFREE char *origin = nova_format("profile %s", plugin->name);
		if (nova_config_inherits(origin, profile->text, &profile->inherits, &error) != 0)
			profile->problem = nova_strdup(error.text);
	}
	NOVA_AUTOFREE char *own = nova_place(NOVA_PLACE_CONFIG, "profiles");
	read_folder(list, own);
	if (strcmp(own, PROFILE_SYSTEM_FOLDER) != 0)
		read_folder(list, PROFILE_SYSTEM_FOLDER);
	if (list->count > 0)
		qsort(list->items, list->count, sizeof(*list->items), by_name);
}

const struct profile *profile_find(const struct profile_list *list, const char *name,
                                   struct nova_error *error)
{
	const struct profile *found = find(list, profile_canonical(name));

	if (found && found->problem) {
		nova_error_set(error, NOVA_E_INVALID, "%s", found->problem);
		return NULL;
	}
	if (found)
		return found;
	NOVA_AUTOFREE const char **names =
	        nova_alloc((list->count + NOVA_COUNT(short_names) + 1) * sizeof(*names));
	for (size_t i = 0; i < list->count; i++)
		names[i] = list->items[i].name;
	for (size_t i = 0; i < NOVA_COUNT(short_names); i++)
		names[list->count + i] = short_names[i][0];
	const char *nearest = nova_nearest(name, names);
	nova_error_set(error, NOVA_E_NOT_FOUND,
	               "there is no environment profile \"%.80s\"%s%s%s; see novacore profile list",
	               name, nearest ? ", did you mean \"" : "", nearest ? nearest : "",
	               nearest ? "\"?" : "");
	return NULL;
}

/* "a → b → a" */
static int cycle_error(const struct profile *const *chain, size_t count,
                       const struct profile *again, struct nova_error *error)
{
	NOVA_AUTOTEXT struct nova_text path = {0};
	for (size_t i = 0; i < count; i++)
		nova_text_addf(&path, "%s → ", chain[i]->name);
	return nova_error_set(error, NOVA_E_INVALID,
	                      "%s: profiles inherit from each other in a circle (%s%s); remove one "
	                      "of the inherits",
	                      again->path ? again->path : again->name, nova_text_get(&path),
	                      again->name);
}

int profile_add(const struct profile_list *list, const char *name, struct nova_config *config,
                struct nova_error *error)
{
	NOVA_AUTOFREE const struct profile **chain = nova_alloc((list->count + 1) * sizeof(*chain));
	size_t count = 0;

	for (const char *next = name; next; next = chain[count - 1]->inherits) {
		const struct profile *found = profile_find(list, next, error);
		if (!found && count > 0)
			nova_error_prefix(error, "%s inherits \"%s\"",
			                  chain[count - 1]->path ? chain[count - 1]->path
			                                         : chain[count - 1]->name,
			                  next);
		if (!found)
			return error ? error->code : NOVA_E_NOT_FOUND;
		for (size_t i = 0; i < count; i++)
			if (chain[i] == found)
				return cycle_error(chain, count, found, error);
		chain[count++] = found;
	}
	while (count-- > 0) {
		NOVA_AUTOFREE char *origin =
		        chain[count]->path ? nova_strdup(chain[count]->path)
		                           : nova_format("profile %s", chain[count]->name);
		int code = nova_config_add_text(config, NOVA_LAYER_PROFILE, origin,
		                                chain[count]->text, error);
		if (code != 0)
			return code;
	}
	return 0;
}
