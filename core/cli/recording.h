/* SPDX-License-Identifier: MIT */
/* What the commands on recordings share. */
#ifndef NOVACORE_CLI_RECORDING_H
#define NOVACORE_CLI_RECORDING_H

#include "core/cli/cli.h"
#include "core/profiler/profiler.h"

/* The file that is meant by one, by "-", by a directory of novacore record, or by an ID of novacore
 * recordings list. The caller's. */
char *recording_file(const char *word);
/* Reads it. */
int recording_take(const char *word, struct nova_stacks **stacks, struct nova_error *error);
/* "5%", "0.05" or "0"; -1: it is no share of something. */
int recording_share(const char *text, double *share);
/* Which of the values is called `wanted`; NULL: the one that is meant if nobody says. `file` is for
 * errors. */
int recording_value(const struct nova_stacks *stacks, const char *file, const char *wanted,
                    uint32_t *type, struct nova_error *error);

#endif
