/* SPDX-License-Identifier: MIT */
/*
 * Which waits are waits for locks. A thread that waits for a futex, or for one of the kernel's
 * mutexes and semaphores, has left its CPU in one of few functions of the kernel, which are found
 * by name: that needs nothing but stacks of switches. Of the kernel's own locks the tracepoints of
 * contention tell more, spinning too, but their numbers are in tracefs, which may not be mounted.
 */
#include "core/profiler/record.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define MOST_RANGES 256u
#define FRAMES      12u /* of the kernel, from the leaf, that are looked at */

struct range {
	uint64_t start, end;
};
struct locks {
	struct range ranges[MOST_RANGES];
	size_t count;
};

/* A name that ends with '*' is the beginning of one. kernel/futex, kernel/locking. */
static const char *const FUTEXES[] = {"futex_wait*", "__futex_wait*", "futex_do_wait*",
                                      "futex_lock_pi*", "__futex_lock_pi*"};
static const char *const KERNEL[] = {"mutex_lock*",
                                     "__mutex_lock*",
                                     "ww_mutex_lock*",
                                     "__ww_mutex_lock*",
                                     "rwsem_down_*",
                                     "down_read",
                                     "down_read_interruptible",
                                     "down_read_killable",
                                     "down_write",
                                     "down_write_killable",
                                     "__down_read*",
                                     "__down_write*",
                                     "down",
                                     "down_interruptible",
                                     "down_killable",
                                     "down_timeout",
                                     "__down",
                                     "__down_*",
                                     "percpu_down_*",
                                     "__percpu_down_*",
                                     "percpu_rwsem_wait*",
                                     "rt_mutex_lock*",
                                     "rt_mutex_slowlock*",
                                     "__rt_mutex_slowlock*",
                                     "rtlock_slowlock*"};

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(names[i]);
		bool begins = names[i][length - 1] == '*';

		if (begins ? !strncmp(name, names[i], length - 1) : !strcmp(name, names[i]))
			return true;
	}
	return false;
}

struct locks *locks_read(FILE *kallsyms, bool kernel)
{
	struct locks *locks = nova_alloc(sizeof(*locks));
	char *line = NULL, name[128], type;
	unsigned long long address;
	struct range *open = NULL; /* it ends where the next symbol begins */
	size_t room = 0;

	/* the file is sorted by address, but for modules, which have none of these */
	while (getline(&line, &room, kallsyms) > 0) {
		if (sscanf(line, "%llx %c %127s", &address, &type, name) != 3 || !address)
			continue;
		if (open && address > open->start) {
			open->end = address;
			open = NULL;
		}
		if ((type != 't' && type != 'T') || locks->count == MOST_RANGES || open)
			continue;
		if (is_one_of(name, FUTEXES, NOVA_COUNT(FUTEXES)) ||
		    (kernel && is_one_of(name, KERNEL, NOVA_COUNT(KERNEL)))) {
			open = &locks->ranges[locks->count++];
			*open = (struct range){address, address + 1};
		}
	}
	free(line);
	if (locks->count)
		return locks;
	free(locks);
	return NULL;
}

struct locks *locks_new(bool kernel)
{
	FILE *kallsyms = fopen("/proc/kallsyms", "re");
	struct locks *locks = kallsyms ? locks_read(kallsyms, kernel) : NULL;

	if (kallsyms)
		fclose(kallsyms);
	return locks;
}

void locks_free(struct locks *locks)
{
	free(locks);
}

bool locks_wait(const struct locks *locks, const struct event *event)
{
	bool kernel = (event->misc & PERF_RECORD_MISC_CPUMODE_MASK) == PERF_RECORD_MISC_KERNEL;

	for (size_t i = 0, frames = 0; i < event->depth && frames < FRAMES; i++) {
		uint64_t address = event_chain_at(event, i);

		if (address >= PERF_CONTEXT_MAX) {
			kernel = address == PERF_CONTEXT_KERNEL;
			continue;
		}
		if (!kernel)
			break;
		frames++;
		/* what a call returns to may be the next function's first byte */
		for (size_t j = 0; j < locks->count; j++)
			if (address - 1 >= locks->ranges[j].start &&
			    address - 1 < locks->ranges[j].end)
				return true;
	}
	return false;
}

/* --- tracepoints --------------------------------------------------------------------------------
 */

/* Its number, if its records have the lock where they are known to have it. */
static uint16_t tracepoint(const char *root, const char *name)
{
	NOVA_AUTOFREE char *id_path = nova_format("%s/events/lock/%s/id", root, name);
	NOVA_AUTOFREE char *format_path = nova_format("%s/events/lock/%s/format", root, name);
	NOVA_AUTOFREE char *id = nova_file_read(id_path, 32, NULL, NULL);
	NOVA_AUTOFREE char *format = nova_file_read(format_path, 65536, NULL, NULL);
	long number = id ? strtol(id, NULL, 10) : 0;

	if (!format || !strstr(format, "lock_addr;\toffset:8;\tsize:8;"))
		return 0;
	return number > 0 && number < UINT16_MAX ? (uint16_t)number : 0;
}

bool locks_tracepoints(uint16_t *begins, uint16_t *ends, char why[200])
{
	static const char *const roots[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
	bool mounted = false, readable = false;

	for (size_t i = 0; i < NOVA_COUNT(roots); i++) {
		NOVA_AUTOFREE char *events = nova_format("%s/events", roots[i]);

		*begins = tracepoint(roots[i], "contention_begin");
		*ends = tracepoint(roots[i], "contention_end");
		if (*begins && *ends)
			return true;
		mounted = mounted || access(events, F_OK) == 0 || errno == EACCES;
		readable = readable || access(events, R_OK | X_OK) == 0;
	}
	*begins = *ends = 0;
	snprintf(why, 200, "%s",
	         readable  ? "this kernel has no tracepoint lock:contention_begin as of Linux 5.19"
	         : mounted ? "tracefs is for root only; as root, or with its group: mount -o "
	                     "remount,gid=GROUP,mode=750 /sys/kernel/tracing"
	                   : "tracefs is not mounted; as root: mount -t tracefs nodev "
	                     "/sys/kernel/tracing");
	return false;
}
