/* SPDX-License-Identifier: MIT */
/* What the commands record and recordings share. */
#ifndef NOVACORE_CLI_RECORDINGS_H
#define NOVACORE_CLI_RECORDINGS_H

#include "core/profiler/profiler.h"

#define RECORDING_MARK "continuous" /* a file: it is deleted when its time has come */

/* One of novacore.recording/1 for people. */
void recordings_print(const json_t *about, FILE *out);
/* The hottest functions of each, for people. */
int recordings_print_hotspots(const json_t *about, const struct nova_stacks *stacks,
                              struct nova_error *error);
/* The bytes of the files in a directory. */
int64_t recordings_bytes(const char *directory);
/* Of continuous recordings, deletes those that are older than `age_ns`, then the oldest until all
 * of them take no more than `bytes`. How many. */
size_t recordings_retain(int64_t age_ns, int64_t bytes);

#endif
