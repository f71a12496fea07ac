/* SPDX-License-Identifier: MIT */
/*
 * Inside core/cli: environment profiles, whether a plugin's or a user's file, by name.
 */
#ifndef NOVACORE_CLI_PROFILES_H
#define NOVACORE_CLI_PROFILES_H

#include "core/cli/cli.h"

#define PROFILE_SYSTEM_FOLDER "/etc/novacore/profiles"

struct profile {
	char *name, *summary, *inherits; /* inherits: NULL for none */
	char *path;                      /* of a user's file; NULL: a plugin's */
	char *text;                      /* NULL: it could not be read, see `problem` */
	char *problem;                   /* why it cannot be used, or NULL */
};
void profile_clear(struct profile *profile);

struct profile_list {
	struct profile *items;
	size_t count;
};
/* All there are, sorted by name; unusable ones with their problem. */
void profile_list_read(const struct nova_registry *registry, struct profile_list *list);
void profile_list_free(struct profile_list *list);
#define PROFILE_AUTOLIST NOVA_AUTO(profile_list_free)

/* "ml" → "ml-training"; a name that is not short as it is. */
const char *profile_canonical(const char *name);
/* The short form of a name, or NULL. */
const char *profile_short(const char *name);
/* In `list`; NULL with an error that names the nearest, or the problem. */
const struct profile *profile_find(const struct profile_list *list, const char *name,
                                   struct nova_error *error);
/* Adds the texts of `name` and all that it inherits from, the base first. */
int profile_add(const struct profile_list *list, const char *name, struct nova_config *config,
                struct nova_error *error);
/* Where `profile create` writes; owned by the caller. */
char *profile_path(const char *name);

/* With every parameter of every plugin declared; nothing else is loaded. */
struct nova_config *settings_declare(const struct nova_registry *registry);
/* Goals against what the installed benchmarks' metrics are: existence, unit, direction. */
int settings_check_goals(const struct nova_registry *registry, const struct nova_config *config,
                         struct nova_error *error);
/* Names in run.suite that no installed benchmark has. */
int settings_check_suite(const struct nova_registry *registry, const struct nova_config *config,
                         struct nova_error *error);

/* Text in columns: rows of `columns` cells each, the first row the heading. The last column is not
 * padded. */
struct grid {
	size_t columns, count;
	char **cells;
};
void grid_add(struct grid *grid, const char *cell); /* NULL: "–" */
void grid_print(struct grid *grid, FILE *out);
void grid_print_markdown(struct grid *grid, FILE *out);
void grid_free(struct grid *grid);
#define GRID_AUTO NOVA_AUTO(grid_free)

#endif
