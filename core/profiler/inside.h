/* SPDX-License-Identifier: MIT */
/* What the files of core/profiler share. */
#ifndef NOVACORE_PROFILER_INSIDE_H
#define NOVACORE_PROFILER_INSIDE_H

#include "core/profiler/profiler.h"

#include <stdlib.h>

/* Of no cryptographic worth. */
uint64_t stacks_hash(const void *bytes, size_t length);
/* As nova_stacks_frame, of texts that do not end. */
uint32_t stacks_frame(struct nova_stacks *stacks, const char *name, size_t name_length,
                      const char *library, size_t library_length, uint32_t flags);
/* The beginning of a line of a file, fit for an error; `text`. */
const char *stacks_excerpt(const char *line, size_t length, char *text, size_t room);
/* NOVA_FRAME_KERNEL, …, as far as the library's name says it. */
uint32_t stacks_library_flags(const char *library, size_t length);
/* Which of its values is of that type and unit, or UINT32_MAX. */
uint32_t stacks_type_like(const struct nova_stacks *stacks, const struct nova_value_type *type);
/* Which of its values counts the events that this one was measured at, perhaps itself; or
 * UINT32_MAX. */
uint32_t stacks_type_events(const struct nova_stacks *stacks, uint32_t type);
/* What one sample adds to a value; 0: that is not known, or no samples are counted. What chance
 * explains is told by their number; waits and allocations have each a weight of its own. */
double stacks_per_sample(const struct nova_stacks *stacks, uint32_t type);
/* What stands above a stack of that origin: "" for NOVA_BY_NOTHING. */
void stacks_label(const struct nova_origin *origin, enum nova_stacks_by by, char *text,
                  size_t room);

/* --- source.c ----------------------------------------------------------------------------------
 */

#define SOURCE_LINE_BYTES ((size_t)16 << 20) /* of the longest line */

/* data[at … end) has been read and not been taken. */
struct source {
	const char *name;
	int fd;
	char *data;
	size_t at, end, room;
	size_t most;     /* that is held at a time */
	size_t line;     /* lines taken */
	uint64_t passed; /* bytes that are gone from `data` */
	bool ended;      /* nothing follows `end` */
	/* with gzip */
	void *unzip;
	unsigned char *packed;
	bool between; /* two members */
};
int source_open(struct source *source, const char *path, struct nova_error *error);
/* Reads on behind `end`; moves what is there to the beginning. */
int source_more(struct source *source, struct nova_error *error);
/* 1: the next line, without its end, until the next call; 0: there is none; NOVA_E_*. */
int source_line(struct source *source, char **line, size_t *length, struct nova_error *error);
/* Forgets what is held, and gives its memory back. */
void source_empty(struct source *source);
void source_close(struct source *source);

/* --- readers -----------------------------------------------------------------------------------
 * Each reads all of the source. `limit`: of the bytes that the stacks take.
 */

int folded_read(struct source *source, size_t limit, struct nova_stacks **stacks,
                struct nova_error *error);
int perf_script_read(struct source *source, size_t limit, struct nova_stacks **stacks,
                     struct nova_error *error);
int pprof_read(struct source *source, size_t limit, struct nova_stacks **stacks,
               struct nova_error *error);
/* NOVA_E_FULL once it takes more than `limit`. */
int stacks_check_room(const struct nova_stacks *stacks, size_t limit, const char *name,
                      struct nova_error *error);

#endif
