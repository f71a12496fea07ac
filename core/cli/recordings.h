/* SPDX-License-Identifier: MIT */
/* Where recordings are kept, for the commands record and recordings. */
#ifndef NOVACORE_CLI_RECORDINGS_H
#define NOVACORE_CLI_RECORDINGS_H

#include "core/base/base.h"

#define RECORDING_FILE "recording.nova"
#define RECORDING_MARK "continuous" /* a file: it is deleted when its time has come */

/* The directory that all of them stand in, or of one of them. The caller's. */
char *recordings_place(const char *id);
/* "20261128-073007-1a2b": when it began, and four digits that tell two of a second apart. */
void recordings_new_id(char id[32]);
bool recordings_is_id(const char *id);
/* One of novacore.recording/1 for people. */
void recordings_print(const json_t *about, FILE *out);
/* The bytes of the files in a directory. */
int64_t recordings_bytes(const char *directory);
/* Of continuous recordings, deletes those that are older than `age_ns`, then the oldest until all
 * of them take no more than `bytes`. How many. */
size_t recordings_retain(int64_t age_ns, int64_t bytes);

#endif
