/* SPDX-License-Identifier: MIT */
/*
 * Inside core/cli: what a kind of workload asks of a profile, and settings back to text.
 */
#ifndef NOVACORE_CLI_WORKLOAD_H
#define NOVACORE_CLI_WORKLOAD_H

#include "core/config/config.h"

struct workload_change {
	char *key, *from, *to; /* from: NULL without a value before */
	const char *workload, *why;
};

/* "cpu-intensive, memory-intensive, …" */
const char *workload_names(void);
/*
 * Applies the rules of the workloads ("ml,latency-sensitive") to `config`, which is finished, and
 * finishes it again. `*changes` is the caller's, one per key.
 */
int workload_adapt(struct nova_config *config, const char *workloads,
                   struct workload_change **changes, size_t *count, struct nova_error *error);
void workload_changes_free(struct workload_change *changes, size_t count);
/*
 * The settings of the layer COMMAND as the text of a file, groups and goals; above each setting
 * that is in `changes` stands why, as a comment.
 */
void workload_write(const struct nova_config *config, const struct workload_change *changes,
                    size_t count, struct nova_text *text);

#endif
