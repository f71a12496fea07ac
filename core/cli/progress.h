/* SPDX-License-Identifier: MIT */
/* What the commands that run something share: progress on stderr, and the result at the end. */
#ifndef NOVACORE_CLI_PROGRESS_H
#define NOVACORE_CLI_PROGRESS_H

#include "core/cli/cli.h"
#include "core/run/run.h"

/* For nova_run_execute; between begin and end. `may_be_live`: nobody else writes to the terminal.
 */
struct nova_run_watch nova_progress_watch(void);
void nova_progress_begin(bool quiet, bool may_be_live);
void nova_progress_end(void);
/* Any other text in that line; without a terminal once in a while, or `always`. */
void nova_progress_say(const char *text, bool always);

/* In `format` to `path` (NULL: stdout), which appears only when it is complete. */
int nova_result_print(const json_t *result, const char *format, const char *path, bool verbose,
                      struct nova_error *error);
/* The exit code that is more urgent (architecture: 143 and 130, 5, 2, 3, 4, 1, 0). */
int nova_more_urgent(int left, int right);

#endif
