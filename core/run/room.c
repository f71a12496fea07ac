/* SPDX-License-Identifier: MIT */
/*
 * Whether this host has room for more VMs like one that runs: what that one takes, as the kernel
 * tells, times as many, against what is free. Refused with arithmetic before hundreds are created;
 * a host that begins to swap, or a worker without descriptors, would measure only that.
 *
 * The VM that is looked at has been made in this worker by itself, so what this process holds more
 * than before is what it takes of it: the descriptors and threads of a client library.
 */
#include "core/run/worker.h"

#include "core/machine/machine.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

/* Sockets, stacks and the like in the kernel, which no process is charged with. */
#define KERNEL_SHARE 0.05
#define SETTLE_NS    500000000 /* between two looks at a VM's memory */
#define LOOKS_MAX    6
/* Descriptors and threads for all else that a worker does meanwhile. */
#define SPARE 64

static struct held {
	uint64_t descriptors, threads;
} before; /* there were VMs */

/* --- what is taken -------------------------------------------------------------------------- */

/* "Threads:\t7" and "RssAnon:\t 1234 kB" of /proc/PID/status; 0 if it is not there. */
static uint64_t status_of(pid_t pid, const char *name)
{
	NOVA_AUTOFREE char *path =
	        pid ? nova_format("/proc/%d/status", (int)pid) : nova_strdup("/proc/self/status");
	NOVA_AUTOFREE char *text = nova_file_read(path, 65536, NULL, NULL);
	size_t length = strlen(name);

	for (char *rest = text, *line; rest && (line = strsep(&rest, "\n"));)
		if (!strncmp(line, name, length) && line[length] == ':')
			return strtoull(line + length + 1, NULL, 10);
	return 0;
}

static uint64_t count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	uint64_t count = 0;

	while (folder && readdir(folder))
		count++;
	if (folder)
		closedir(folder);
	return count;
}

static struct held held_now(void)
{
	return (struct held){count_descriptors(), status_of(0, "Threads")};
}

void nova_room_begin(void)
{
	before = held_now();
}

static uint64_t more(uint64_t now, uint64_t then)
{
	return now > then ? now - then : 0;
}

/* Memory that one more VM needs: pages of its own. Those of files (QEMU's program and libraries,
 * the image) are shared, and there already. */
static uint64_t memory_of(pid_t pid)
{
	uint64_t own =
	        status_of(pid, "RssAnon") + status_of(pid, "RssShmem") + status_of(pid, "VmPTE");

	return (uint64_t)((double)own * 1024 * (1 + KERNEL_SHARE));
}

/* A hypervisor that has just started a VM frees what it needed for that a little later (QEMU: a
 * fifth of a stub's memory within a second), and a guest may go on taking: until two looks are
 * alike. */
static uint64_t settled_memory(pid_t pid)
{
	uint64_t now = memory_of(pid), last;
	unsigned looks = 0;

	do {
		last = now;
		nanosleep(&(struct timespec){.tv_nsec = SETTLE_NS}, NULL);
		now = memory_of(pid);
	} while ((now > last ? now - last : last - now) > last / 100 && ++looks < LOOKS_MAX);
	return now;
}

/* What its files in the run's directory take: an overlay, a console. Disks that lie elsewhere
 * (vm.NAME.place) are not seen. */
static uint64_t disk_of(const struct vm *vm, const char *folder)
{
	DIR *entries = opendir(folder);
	size_t length = strlen(vm->name);
	struct dirent *entry;
	struct stat status;
	uint64_t bytes = 0;

	while (entries && (entry = readdir(entries)))
		if (!strncmp(entry->d_name, vm->name, length) && entry->d_name[length] == '.' &&
		    !fstatat(dirfd(entries), entry->d_name, &status, AT_SYMLINK_NOFOLLOW))
			bytes += (uint64_t)status.st_blocks * 512;
	if (entries)
		closedir(entries);
	return bytes;
}

/* 0: the VM has no process on this host, or its driver does not say which. */
static pid_t process_of(struct vm *vm)
{
	struct op *op =
	        nova_op_new(vm->instance, OP_VM_QUERY, nova_now_ns() + nova_worker.op_timeout_ns);
	const struct value *value;
	pid_t pid = 0;

	nova_op_set_vm(op, vm);
	op->action = NOVA_QUERY_STATE;
	if (nova_op_run(op, false) == NOVA_DONE) {
		value = nova_op_value(op, NOVA_FIELD_PID, 0, NULL);
		pid = value ? (pid_t)value->i64 : 0;
	}
	nova_op_release(op);
	return pid;
}

/* --- what is free --------------------------------------------------------------------------- */

/* The first number of a file; UINT64_MAX if it is not there or says "max". */
static uint64_t number_in(const char *path)
{
	NOVA_AUTOFREE char *text = nova_file_read(path, 4096, NULL, NULL);
	char *end = text;
	uint64_t number = text ? strtoull(text, &end, 10) : 0;

	return text && end != text ? number : UINT64_MAX;
}

/* Tasks that exist on this host: "0.61 0.53 0.49 3/412 9988" of /proc/loadavg. */
static uint64_t tasks_there(void)
{
	NOVA_AUTOFREE char *text = nova_file_read("/proc/loadavg", 256, NULL, NULL);
	const char *slash = text ? strchr(text, '/') : NULL;

	return slash ? strtoull(slash + 1, NULL, 10) : 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Threads that may still be started: the kernel's limits, and those of the control group. That of
 * the user (RLIMIT_NPROC) counts processes of other sessions as well, and not for root. */
static uint64_t free_threads(void)
{
	uint64_t there = tasks_there(), room;
	uint64_t used = number_in("/sys/fs/cgroup/pids.current");
	struct rlimit user;

	room = least(number_in("/proc/sys/kernel/threads-max"),
	             number_in("/proc/sys/kernel/pid_max"));
	if (geteuid() && !getrlimit(RLIMIT_NPROC, &user) && user.rlim_cur != RLIM_INFINITY)
		room = least(room, user.rlim_cur);
	room = more(room, there);
	if (used != UINT64_MAX)
		room = least(room, more(number_in("/sys/fs/cgroup/pids.max"), used));
	return room;
}

static uint64_t free_descriptors(const struct held *now)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return more(files.rlim_cur, now->descriptors);
}

/* --- the arithmetic ------------------------------------------------------------------------- */

static double limit(const char *name)
{
	return json_number_value(json_object_get(nova_worker.limits, name));
}

static int check_memory(uint32_t count, pid_t pid, struct nova_error *error)
{
	double each = (double)settled_memory(pid), share = limit("memory_share");
	double have = (double)nova_machine_memory_available() * share;
	char one[32], need[32], allowed[32];

	if (have <= 0 || each * count <= have)
		return 0;
	nova_value_format(each, NOVA_UNIT_BYTE, one);
	nova_value_format(each * count, NOVA_UNIT_BYTE, need);
	nova_value_format(have, NOVA_UNIT_BYTE, allowed);
	return nova_error_set(
	        error, NOVA_E_REFUSED,
	        "%u VMs take %s of memory (%s each, as one took that was tried); "
	        "limits.memory_share allows %s (%.0f %% of what is available): %.0f of them; ask "
	        "for fewer or smaller ones",
	        count, need, one, allowed, share * 100, floor(have / each));
}

static int check_disk(const struct vm *vm, uint32_t count, struct nova_error *error)
{
	const char *folder = vm->instance->directories[NOVA_DIRECTORY_RUN];
	double each = (double)disk_of(vm, folder), have;
	char one[32], need[32], left[32];
	struct statvfs disk;

	if (statvfs(folder, &disk))
		return 0;
	have = (double)disk.f_bavail * (double)disk.f_frsize;
	if (each * count <= have)
		return 0;
	nova_value_format(each, NOVA_UNIT_BYTE, one);
	nova_value_format(each * count, NOVA_UNIT_BYTE, need);
	nova_value_format(have, NOVA_UNIT_BYTE, left);
	return nova_error_set(error, NOVA_E_REFUSED,
	                      "the files of %u VMs take %s (%s each, as one took that was tried), "
	                      "and %s are left on the disk of %s; make room, or ask for fewer VMs",
	                      count, need, one, left, folder);
}

static int check_cpus(const struct vm *vm, uint32_t count, struct nova_error *error)
{
	unsigned cpus = nova_machine_cpus();
	double share = limit("cpu_share"), wanted = (double)vm->vcpus * count;

	if (share <= 0 || wanted <= share * cpus)
		return 0;
	return nova_error_set(
	        error, NOVA_E_REFUSED,
	        "%u VMs with %u virtual CPUs each have %.0f; limits.cpu_share allows %g (%g per "
	        "CPU, of %u); ask for fewer VMs",
	        count, vm->vcpus, wanted, share * cpus, share, cpus);
}

static int check_kind(uint32_t count, uint64_t each, uint64_t have, const char *what,
                      const char *fix, struct nova_error *error)
{
	uint64_t need = each * count + SPARE;

	if (need <= have)
		return 0;
	return nova_error_set(error, NOVA_E_REFUSED,
	                      "%u VMs take %llu %s (%llu each, as one took that was tried, and %d "
	                      "beside them); there are %llu left; %s, or ask for fewer VMs",
	                      count, (unsigned long long)need, what, (unsigned long long)each,
	                      SPARE, (unsigned long long)have, fix);
}

int nova_room_check(struct vm *vm, uint32_t count, struct nova_error *error)
{
	struct held now = held_now();
	pid_t pid = process_of(vm);
	int code = check_kind(count, more(now.descriptors, before.descriptors),
	                      free_descriptors(&now), "descriptors of this process",
	                      "raise the limit on open files (ulimit -n)", error);

	if (code || pid <= 0)
		return code;
	code = check_memory(count, pid, error);
	if (!code)
		code = check_disk(vm, count, error);
	if (!code)
		code = check_cpus(vm, count, error);
	if (!code)
		code = check_kind(
		        count, more(now.threads, before.threads) + status_of(pid, "Threads"),
		        free_threads(), "threads",
		        "raise kernel.threads-max, kernel.pid_max or the control group's pids.max",
		        error);
	return code;
}
