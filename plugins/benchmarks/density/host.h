/* SPDX-License-Identifier: MIT */
/* What this host does while VMs come and go: CPU and memory, from /proc. */
#ifndef NOVACORE_BENCHMARKS_DENSITY_HOST_H
#define NOVACORE_BENCHMARKS_DENSITY_HOST_H

#include <stdint.h>

struct host_use {
	uint64_t busy, total; /* CPU time of all CPUs since boot, ticks */
	double memory_bytes;  /* in use: MemTotal less MemAvailable */
};

/* 0; -1 if /proc does not tell. @thread any */
int host_use_read(struct host_use *use);
/* From the texts of /proc/stat and /proc/meminfo. 0; -1 if they are not understood. */
int host_use_parse(const char *stat, const char *meminfo, struct host_use *use);
/* Share of all CPUs' time that was busy in between, 0…1; < 0: no time has passed. */
double host_use_cpu(const struct host_use *from, const struct host_use *to);

#endif
