/* SPDX-License-Identifier: MIT */
/* See host.h. The files: proc(5), "/proc/stat" and "/proc/meminfo". */
#include "host.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* user, nice, system, idle, iowait, irq, softirq, steal; guest time is in user's already. */
#define FIELDS 8
#define IDLE   3
#define IOWAIT 4

static int parse_stat(const char *text, struct host_use *use)
{
	uint64_t field[FIELDS] = {0};
	int fields = sscanf(text,
	                    "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
	                    " %" SCNu64 " %" SCNu64 " %" SCNu64,
	                    &field[0], &field[1], &field[2], &field[3], &field[4], &field[5],
	                    &field[6], &field[7]);

	if (fields <= IDLE)
		return -1;
	use->total = 0;
	for (int i = 0; i < FIELDS; i++)
		use->total += field[i];
	use->busy = use->total - field[IDLE] - field[IOWAIT];
	return 0;
}

static int parse_kib(const char *text, const char *name, double *bytes)
{
	const char *at = strstr(text, name);
	uint64_t kib;

	if (!at || sscanf(at + strlen(name), " %" SCNu64 " kB", &kib) != 1)
		return -1;
	*bytes = (double)kib * 1024;
	return 0;
}

int host_use_parse(const char *stat, const char *meminfo, struct host_use *use)
{
	double total, available;

	if (parse_stat(stat, use) || parse_kib(meminfo, "MemTotal:", &total) ||
	    parse_kib(meminfo, "MemAvailable:", &available) || available > total)
		return -1;
	use->memory_bytes = total - available;
	return 0;
}

static int read_text(const char *path, char *text, size_t room)
{
	FILE *file = fopen(path, "re");
	size_t count = file ? fread(text, 1, room - 1, file) : 0;

	if (file)
		fclose(file);
	text[count] = '\0';
	return count ? 0 : -1;
}

int host_use_read(struct host_use *use)
{
	char stat[1024], meminfo[1024]; /* the lines that are wanted come first */

	if (read_text("/proc/stat", stat, sizeof(stat)) ||
	    read_text("/proc/meminfo", meminfo, sizeof(meminfo)))
		return -1;
	return host_use_parse(stat, meminfo, use);
}

double host_use_cpu(const struct host_use *from, const struct host_use *to)
{
	if (to->total <= from->total || to->busy < from->busy)
		return -1;
	return (double)(to->busy - from->busy) / (double)(to->total - from->total);
}
