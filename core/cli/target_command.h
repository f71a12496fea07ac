/* SPDX-License-Identifier: MIT */
/* Inside core/cli: what the files of `novacore target` share. */
#ifndef NOVACORE_CLI_TARGET_COMMAND_H
#define NOVACORE_CLI_TARGET_COMMAND_H

#include "core/cli/targets.h"

struct target_command {
	const char *name, *plugin, *uri, *config;
	char **sets; /* "name=value" */
	size_t set_count;
	bool dry_run, json;
};

/* `sets` may become others: paths of secrets become absolute. */
int target_add(struct target_command *command, struct nova_error *error);
/* `result`: the exit code, if there was no error. */
int target_test(const struct target_command *command, int *result, struct nova_error *error);
void target_print(const json_t *document);

#endif
