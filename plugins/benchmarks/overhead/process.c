/* SPDX-License-Identifier: MIT */
/* See process.h. */
#include "process.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

/* --- memory ------------------------------------------------------------------------------- */

/* "START-END PERMISSIONS …": @return 1 and the size */
static int is_mapping(const char *line, uint64_t *bytes)
{
	uint64_t start, end;
	char permissions[5];

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4[rwxps-]", &start, &end, permissions) != 3 ||
	    end <= start)
		return 0;
	*bytes = end - start;
	return 1;
}

/* "NAME: NUMBER kB" */
static int is_field(const char *line, const char *name, uint64_t *bytes)
{
	size_t length = strlen(name);
	uint64_t kib;

	if (strncmp(line, name, length) != 0 ||
	    sscanf(line + length, "%" SCNu64 " kB", &kib) != 1 || kib > UINT64_MAX >> 20)
		return 0;
	*bytes = kib * 1024;
	return 1;
}

struct mapping {
	uint64_t bytes, resident, proportional;
	int seen; /* of the two figures */
};

struct sums {
	uint64_t guest_bytes, proportional;
	struct mapping guest; /* the best so far */
	int whole;            /* each mapping had its figures */
};

static void close_mapping(struct sums *sums, const struct mapping *mapping)
{
	if (!mapping->bytes)
		return;
	sums->whole = sums->whole && mapping->seen == 2;
	sums->proportional += mapping->proportional;
	if (mapping->bytes >= sums->guest_bytes &&
	    (!sums->guest.bytes || mapping->resident > sums->guest.resident))
		sums->guest = *mapping;
}

int overhead_read_smaps(FILE *smaps, uint64_t guest_bytes, uint64_t *beyond_bytes)
{
	struct sums sums = {.guest_bytes = guest_bytes, .whole = 1};
	struct mapping mapping = {0};
	char *line = NULL;
	size_t room = 0;
	uint64_t bytes;

	while (getline(&line, &room, smaps) > 0) {
		if (is_mapping(line, &bytes)) {
			close_mapping(&sums, &mapping);
			mapping = (struct mapping){.bytes = bytes};
		} else if (is_field(line, "Rss:", &bytes)) {
			mapping.resident = bytes;
			mapping.seen++;
		} else if (is_field(line, "Pss:", &bytes)) {
			mapping.proportional = bytes;
			mapping.seen++;
		}
	}
	close_mapping(&sums, &mapping);
	free(line);
	if (!sums.guest.bytes || !sums.whole || sums.guest.proportional > sums.proportional)
		return -1;
	*beyond_bytes = sums.proportional - sums.guest.proportional;
	return 0;
}

int overhead_read_memory(int64_t pid, uint64_t guest_bytes, uint64_t *beyond_bytes)
{
	char path[64];
	FILE *file;
	int code = -1;

	snprintf(path, sizeof(path), "/proc/%" PRId64 "/smaps", pid);
	file = fopen(path, "re");
	if (file) {
		code = overhead_read_smaps(file, guest_bytes, beyond_bytes);
		fclose(file);
	}
	return code;
}

/* --- CPU time ----------------------------------------------------------------------------- */

int overhead_is_vcpu(const char *name)
{
	unsigned number;
	char kind[8];

	return sscanf(name, "CPU %u/%7[A-Z]", &number, kind) == 2 &&
	       (strcmp(kind, "KVM") == 0 || strcmp(kind, "TCG") == 0);
}

static int read_line(char *text, int room, const char *path)
{
	FILE *file = fopen(path, "re");
	int found = file && fgets(text, room, file);

	if (file)
		fclose(file);
	return found;
}

/* The first number of schedstat is the time on a CPU in ns (scheduler/sched-stats in the kernel's
 * documents). */
static void add_thread(struct overhead_cpu *cpu, const char *task, const char *thread)
{
	char path[512], text[128];
	int64_t ns;

	snprintf(path, sizeof(path), "%s/%.32s/comm", task, thread);
	if (!read_line(text, sizeof(text), path) || !overhead_is_vcpu(text))
		return;
	snprintf(path, sizeof(path), "%s/%.32s/schedstat", task, thread);
	if (!read_line(text, sizeof(text), path) || sscanf(text, "%" SCNd64, &ns) != 1)
		return;
	cpu->vcpus_ns += ns;
	cpu->vcpus++;
}

int overhead_read_cpu(int64_t pid, struct overhead_cpu *cpu)
{
	struct timespec used;
	struct dirent *entry;
	clockid_t clock;
	char path[64];
	DIR *folder;

	*cpu = (struct overhead_cpu){0};
	snprintf(path, sizeof(path), "/proc/%" PRId64 "/task", pid);
	folder = opendir(path);
	if (!folder)
		return -1;
	/* the threads first: what passes until the whole is read counts as not theirs, once before
	 * and once after, so that it cancels out */
	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.')
			add_thread(cpu, path, entry->d_name);
	closedir(folder);
	if (clock_getcpuclockid((pid_t)pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
		return -1;
	cpu->all_ns = (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
	return 0;
}
