/* SPDX-License-Identifier: MIT */
/* What the files of core/base share among themselves; no other room includes this. */
#ifndef NOVACORE_BASE_INTERNAL_H
#define NOVACORE_BASE_INTERNAL_H

#include <stddef.h>
#include <sys/types.h>

#include "core/base/base.h"

/* Writes all of it, whatever the kernel takes at a time. 0 or -1 with errno. */
int base_write_all(int fd, const void *data, size_t bytes);
/* close() that leaves errno alone, for error paths. */
void base_close_quietly(int fd);

#endif
