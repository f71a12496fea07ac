/* SPDX-License-Identifier: MIT */
/* What the files of core/profiler share. */
#ifndef NOVACORE_PROFILER_INSIDE_H
#define NOVACORE_PROFILER_INSIDE_H

#include "core/profiler/profiler.h"

#include <stdlib.h>

/* Of no cryptographic worth. */
uint64_t profile_hash(const void *bytes, size_t length);
/* What stands above a stack of that origin: "" for NOVA_BY_NOTHING. */
void profile_label(const struct nova_origin *origin, enum nova_profile_by by, char *text,
                   size_t room);

#endif
