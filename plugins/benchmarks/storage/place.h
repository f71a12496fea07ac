/* SPDX-License-Identifier: MIT */
/* Is a directory of this host on a disk? Direct I/O to memory measures no disk. */
#ifndef NOVACORE_STORAGE_PLACE_H
#define NOVACORE_STORAGE_PLACE_H

#include <stddef.h>
#include <stdint.h>

/* @return 0; −1: it is missing, no directory, not writable, or in memory, and `why` is a sentence
 *   about it. Nothing is written. */
int storage_check_place(const char *place, char *why, size_t room);

/* @return 0; −1: there are not `bytes` free there, and `why` says how many are */
int storage_check_space(const char *place, uint64_t bytes, char *why, size_t room);

#endif
