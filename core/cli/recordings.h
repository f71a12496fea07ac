/* SPDX-License-Identifier: MIT */
/* Where recordings are kept, for the commands record and recordings. */
#ifndef NOVACORE_CLI_RECORDINGS_H
#define NOVACORE_CLI_RECORDINGS_H

#include "core/base/base.h"
#include "core/profiler/profiler.h"

#define RECORDING_FILE "recording.nova"
#define RECORDING_MARK "continuous" /* a file: it is deleted when its time has come */

/* The directory that all of them stand in, or of one of them. The caller's. */
char *recordings_place(const char *id);
/* "20261128-073007-1a2b": when it began, and four digits that tell two of a second apart. */
void recordings_new_id(char id[32]);
bool recordings_is_id(const char *id);
/* One of novacore.recording/1 for people. */
void recordings_print(const json_t *about, FILE *out);
/* What it counts is called, and what is of it in stacks that were read of it: the caller's. */
const char *recordings_lane_name(const json_t *about, uint32_t lane);
struct nova_stacks *recordings_lane(const json_t *about, const struct nova_stacks *stacks,
                                    uint32_t lane);
/* The hottest functions of each, for people. */
int recordings_print_hotspots(const json_t *about, const struct nova_stacks *stacks,
                              struct nova_error *error);
/* The bytes of the files in a directory. */
int64_t recordings_bytes(const char *directory);
/* Of continuous recordings, deletes those that are older than `age_ns`, then the oldest until all
 * of them take no more than `bytes`. How many. */
size_t recordings_retain(int64_t age_ns, int64_t bytes);

#endif
