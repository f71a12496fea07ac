/* SPDX-License-Identifier: MIT */
/*
 * Opens the events: cycles, or where the machine does not count them the CPU's clock; with the
 * kernel's part or, where that is not permitted, without; with what older kernels do not know left
 * out. For a process each of its threads has an event on each CPU, because the kernel gives no ring
 * to an event that children inherit unless it is bound to a CPU; all of a CPU share a ring. What
 * counts something else than the CPU has events, and rings, of its own.
 */
#include "core/profiler/record.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Of all rings together. */
#define RING_BYTES     ((size_t)16 << 20)
#define RING_PAGES     128u /* of one at most: what users may lock by default (516 KiB) */
#define RING_PAGES_MIN 8u

static int open_event(const struct perf_event_attr *attr, pid_t pid, int cpu, unsigned long flags)
{
	return (int)syscall(SYS_perf_event_open, attr, pid, cpu, -1, flags | PERF_FLAG_FD_CLOEXEC);
}

/* "0-3,8": /sys/devices/system/cpu/online. */
int sampler_cpus(int **cpus, size_t *count, struct nova_error *error)
{
	NOVA_AUTOFREE char *text =
	        nova_file_read("/sys/devices/system/cpu/online", 65536, NULL, error);
	char *at = text;

	if (!text)
		return error->code;
	while (*at >= '0' && *at <= '9') {
		long first = strtol(at, &at, 10), last = first;

		if (*at == '-')
			last = strtol(at + 1, &at, 10);
		for (long cpu = first; cpu <= last && cpu < 65536; cpu++) {
			*cpus = nova_grow(*cpus, *count, sizeof(**cpus));
			(*cpus)[(*count)++] = (int)cpu;
		}
		at += *at == ',';
	}
	return *count ? 0
	              : nova_error_set(error, NOVA_E_UNSUPPORTED,
	                               "/sys/devices/system/cpu/online names no CPU");
}

bool sampler_is_clocked(enum sampler_kind kind)
{
	return kind == SAMPLE_CPU;
}

uint8_t sampler_extra(const struct perf_event_attr *attr)
{
	return (uint8_t)((attr->sample_type & PERF_SAMPLE_STACK_USER ? EVENT_STACKS : 0) |
	                 (attr->sample_type & PERF_SAMPLE_RAW ? EVENT_RAW : 0) |
	                 (attr->sample_type & PERF_SAMPLE_PERIOD ? 0 : EVENT_EQUAL));
}

/* What differs from one kind to the other. */
static void describe_kind(struct sampler *sampler, const struct sampler_target *target)
{
	struct perf_event_attr *attr = &sampler->attr;

	attr->freq = sampler_is_clocked(sampler->kind);
	if (attr->freq) {
		attr->sample_freq = sampler->frequency;
	} else {
		/* A software event whose samples say their period is sampled each time, whatever
		 * its period is (perf_swevent_event in kernel/events/core.c). */
		attr->sample_period = 1;
		attr->sample_type &= ~(uint64_t)PERF_SAMPLE_PERIOD;
	}
	attr->type = PERF_TYPE_SOFTWARE;
	switch (sampler->kind) {
	case SAMPLE_SWITCHES:
		/* each switch with its stack, and records of when threads leave and come */
		attr->config = PERF_COUNT_SW_CONTEXT_SWITCHES;
		attr->context_switch = 1;
		break;
	case SAMPLE_FAULTS: attr->config = PERF_COUNT_SW_PAGE_FAULTS; break;
	case SAMPLE_CONTENTION:
		attr->type = PERF_TYPE_TRACEPOINT;
		attr->config = target->begins;
		attr->sample_type |= PERF_SAMPLE_RAW;
		break;
	case SAMPLE_ALLOCATIONS: /* what a program of ours gives out */
		attr->config = PERF_COUNT_SW_BPF_OUTPUT;
		attr->sample_type |= PERF_SAMPLE_RAW;
		attr->exclude_callchain_kernel = 1;
		break;
	default:
		attr->type = PERF_TYPE_HARDWARE;
		attr->config = PERF_COUNT_HW_CPU_CYCLES;
		attr->exclude_idle = 1;
	}
}

static void describe(struct sampler *sampler, const struct sampler_target *target)
{
	struct perf_event_attr *attr = &sampler->attr;

	attr->size = sizeof(*attr);
	attr->sample_type = EVENT_SAMPLE_TYPE;
	attr->disabled = 1;
	attr->enable_on_exec = target->on_exec;
	attr->inherit = target->tid_count > 0;
	attr->exclude_hv = 1;
	attr->mmap = target->follows;
	attr->mmap2 = target->follows;
	attr->comm = target->follows;
	attr->comm_exec = target->follows;
	attr->task = target->follows;
	attr->build_id = target->follows;
	attr->ksymbol = target->follows;
	attr->sample_id_all = 1;
	attr->use_clockid = 1;
	attr->clockid = CLOCK_MONOTONIC;
	attr->watermark = 1;
	describe_kind(sampler, target);
	if (sampler->kind == SAMPLE_CPU
	            ? target->stacks
	            : sampler->kind != SAMPLE_ALLOCATIONS && target->all_stacks) {
		attr->sample_type |= PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER;
		attr->sample_regs_user = EVENT_REGISTERS;
		attr->sample_stack_user = EVENT_STACK_BYTES;
		attr->exclude_callchain_user = 1;
	}
}

static int refused(const struct sampler *sampler, const struct sampler_target *target,
                   struct nova_error *error)
{
	NOVA_AUTOFREE char *text =
	        nova_file_read("/proc/sys/kernel/perf_event_paranoid", 32, NULL, NULL);
	int level = text ? atoi(text) : 2;

	if (geteuid() == 0 && level < 3)
		return nova_error_set(
		        error, NOVA_E_PERMISSION,
		        "the kernel refuses to sample, even for root: a container "
		        "needs CAP_PERFMON (or CAP_SYS_ADMIN) and a seccomp profile that "
		        "allows perf_event_open, and a locked-down kernel refuses it "
		        "altogether");
	if (sampler->kind == SAMPLE_SWITCHES && target->tid_count && level > 1)
		return nova_error_set(
		        error, NOVA_E_PERMISSION,
		        "where threads wait is in the kernel, which may not be sampled: "
		        "kernel.perf_event_paranoid is %d; as root: sysctl "
		        "kernel.perf_event_paranoid=1, or setcap cap_perfmon+ep on novacore",
		        level);
	if (target->tid_count && level > 2)
		return nova_error_set(
		        error, NOVA_E_PERMISSION,
		        "the kernel lets nobody sample without privileges: "
		        "kernel.perf_event_paranoid is %d; as root: sysctl "
		        "kernel.perf_event_paranoid=2 (own processes, without the kernel's part; 1 "
		        "with it), or setcap cap_perfmon+ep on novacore",
		        level);
	if (target->tid_count)
		return nova_error_set(
		        error, NOVA_E_PERMISSION,
		        "the kernel refuses to sample this process: it belongs to "
		        "another user or may not be traced; do it as that user, or as "
		        "root, or setcap cap_perfmon,cap_sys_ptrace+ep on novacore");
	return nova_error_set(
	        error, NOVA_E_PERMISSION,
	        "the kernel refuses to sample all processes: kernel.perf_event_paranoid is %d; as "
	        "root: sysctl kernel.perf_event_paranoid=0, or setcap cap_perfmon+ep on novacore; "
	        "without: --pid of a process of yours, or a command",
	        level);
}

/* Opens one event, and learns on the way what this kernel and machine can: what it learns stays in
 * the attributes for the next one. */
static int open_learning(struct sampler *sampler, const struct sampler_target *target, pid_t pid,
                         int cpu, int *fd, struct nova_error *error)
{
	struct perf_event_attr *attr = &sampler->attr;
	unsigned long flags = target->cgroup >= 0 ? PERF_FLAG_PID_CGROUP : 0;

	while ((*fd = open_event(attr, pid, cpu, flags)) < 0) {
		bool cycles = attr->type == PERF_TYPE_HARDWARE;

		if ((errno == ENOENT || errno == EOPNOTSUPP || errno == ENODEV) && cycles) {
			attr->type = PERF_TYPE_SOFTWARE;
			attr->config = PERF_COUNT_SW_CPU_CLOCK;
		} else if (errno == EACCES && !attr->exclude_kernel && target->tid_count &&
		           (sampler->kind == SAMPLE_CPU || sampler->kind == SAMPLE_FAULTS)) {
			attr->exclude_kernel = 1;
		} else if ((errno == EINVAL || errno == E2BIG) && attr->build_id) {
			attr->build_id = 0;
		} else if ((errno == EINVAL || errno == E2BIG || errno == EACCES) &&
		           attr->ksymbol) {
			attr->ksymbol = 0;
		} else if (errno == EINVAL && cycles) { /* a PMU that cannot interrupt */
			attr->type = PERF_TYPE_SOFTWARE;
			attr->config = PERF_COUNT_SW_CPU_CLOCK;
		} else if (target->cgroup >= 0 &&
		           (errno == ESRCH || errno == EBADF || errno == ENOENT)) {
			return nova_error_set(
			        error, NOVA_E_INVALID,
			        "this is no cgroup of the hierarchy that has "
			        "perf_event; of version 2 all are, of version 1 those "
			        "below a mount with perf_event (grep cgroup "
			        "/proc/mounts)");
		} else if (errno == ESRCH) {
			return NOVA_E_NOT_FOUND;
		} else if (errno == EACCES || errno == EPERM) {
			return refused(sampler, target, error);
		} else if (errno == EMFILE || errno == ENFILE) {
			return nova_error_errno(
			        error,
			        "cannot open more than %zu events: a thread needs one per CPU; "
			        "raise the limit of open files (ulimit -n), or use --all",
			        sampler->fd_count);
		} else if (errno == EINVAL && attr->freq) {
			return nova_error_errno(
			        error,
			        "the kernel refuses a frequency of %u Hz; sysctl "
			        "kernel.perf_event_max_sample_rate says what it allows",
			        sampler->frequency);
		} else {
			nova_error_errno(error, "cannot open an event for samples");
			return NOVA_E_FAILED; /* whatever it is, no thread has ended */
		}
	}
	sampler->hardware = attr->type == PERF_TYPE_HARDWARE;
	sampler->user_only = attr->exclude_kernel;
	return 0;
}

static int map_ring(struct sampler *sampler, int fd, int cpu, struct nova_error *error)
{
	struct ring *ring = &sampler->rings[sampler->ring_count];
	int code = ring_map(ring, fd, sampler->ring_pages, error);

	/* Users may lock little; all rings are of the same length. */
	while (code == NOVA_E_PERMISSION && sampler->ring_count == 0 &&
	       sampler->ring_pages > RING_PAGES_MIN) {
		sampler->ring_pages /= 2;
		code = ring_map(ring, fd, sampler->ring_pages, error);
	}
	if (code == NOVA_E_PERMISSION)
		nova_error_set(error, code,
		               "too little memory may be locked for the samples of %zu CPUs: raise "
		               "sysctl kernel.perf_event_mlock_kb, or the limit (ulimit -l)",
		               sampler->cpu_count);
	if (!code) {
		ring->extra = sampler_extra(&sampler->attr);
		ring->sampler = (uint8_t)sampler->kind;
		ring->cpu = cpu;
		sampler->ring_count++;
	}
	return code;
}

/* Into the ring of `*first`, or a new one. */
static int add_event(struct sampler *sampler, int fd, int cpu, int *first, struct nova_error *error)
{
	sampler->fds = nova_grow(sampler->fds, sampler->fd_count, sizeof(*sampler->fds));
	sampler->fds[sampler->fd_count++] = fd;
	if (*first < 0) {
		*first = fd;
		return map_ring(sampler, fd, cpu, error);
	}
	if (ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, *first))
		return nova_error_errno(error, "cannot put two events into one ring");
	return 0;
}

/* Where the wait for a lock ends nobody needs a stack. */
static int add_end(struct sampler *sampler, const struct sampler_target *target, pid_t pid, int cpu,
                   int *first, struct nova_error *error)
{
	struct perf_event_attr attr = sampler->attr;
	int fd;

	attr.config = target->ends;
	attr.sample_max_stack = 1;
	attr.exclude_callchain_user = 1;
	fd = open_event(&attr, pid, cpu, target->cgroup >= 0 ? PERF_FLAG_PID_CGROUP : 0);
	if (fd < 0 && errno != ESRCH)
		return nova_error_errno(error, "cannot open lock:contention_end");
	if (fd < 0) { /* keeps the place of one: every second is an end */
		sampler->fds = nova_grow(sampler->fds, sampler->fd_count, sizeof(*sampler->fds));
		sampler->fds[sampler->fd_count++] = -1;
		return 0;
	}
	return add_event(sampler, fd, cpu, first, error);
}

/* All events of one CPU, which share a ring: that of the event `first`, or a new one. */
static int open_cpu(struct sampler *sampler, const struct sampler_target *target, int cpu,
                    int first, struct nova_error *error)
{
	int code = 0;
	size_t count = target->tid_count ? target->tid_count : 1;

	for (size_t i = 0; i < count && !code; i++) {
		pid_t pid = target->tid_count ? target->tids[i] : target->cgroup;
		int fd = -1;

		code = open_learning(sampler, target, pid, cpu, &fd, error);
		if (code == NOVA_E_NOT_FOUND) { /* the thread has ended */
			code = 0;
			continue;
		}
		if (!code)
			code = add_event(sampler, fd, cpu, &first, error);
		if (!code && sampler->kind == SAMPLE_CONTENTION)
			code = add_end(sampler, target, pid, cpu, &first, error);
	}
	return code;
}

/* A ring holds what comes in the second until it is read: header and 127 frames a sample. Users may
 * lock as much as two of the largest of each CPU; samplers share that, and the whole. */
static size_t pages_of(const struct sampler_target *target)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = RING_PAGES;
	size_t most = RING_BYTES / page / target->cpu_count / target->sampler_count;

	if (most > 2 * RING_PAGES / target->sampler_count)
		most = 2 * RING_PAGES / target->sampler_count;
	while (pages > most && pages > RING_PAGES_MIN)
		pages /= 2;
	return pages;
}

static void more_files(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int sampler_open(struct sampler *sampler, enum sampler_kind kind,
                 const struct sampler_target *target, uint32_t frequency, struct ring *rings,
                 struct nova_error *error)
{
	int code = 0;

	memset(sampler, 0, sizeof(*sampler));
	sampler->kind = kind;
	sampler->frequency = frequency;
	sampler->cpu_count = target->cpu_count;
	sampler->rings = rings;
	more_files();
	sampler->ring_pages = pages_of(target);
	describe(sampler, target);
	/* half of a ring, but long before that each second */
	sampler->attr.wakeup_watermark =
	        (uint32_t)(sampler->ring_pages * (size_t)sysconf(_SC_PAGESIZE) / 2);
	for (size_t i = 0; i < target->cpu_count && !code; i++)
		code = open_cpu(sampler, target, target->cpus[i], -1, error);
	if (!code && !sampler->fd_count)
		code = nova_error_set(error, NOVA_E_NOT_FOUND, "the process has ended");
	if (code)
		sampler_close(sampler);
	return code;
}

int sampler_start(struct sampler *sampler, struct nova_error *error)
{
	for (size_t i = 0; i < sampler->fd_count && !sampler->attr.enable_on_exec; i++)
		if (sampler->fds[i] >= 0 && ioctl(sampler->fds[i], PERF_EVENT_IOC_ENABLE, 0))
			return nova_error_errno(error, "cannot enable an event");
	return 0;
}

/* What the kernel calls it: the CPU's clock has no frequency of its own, but a period. */
static uint64_t period_of(const struct sampler *sampler, uint32_t frequency)
{
	return sampler->hardware             ? frequency
	       : sampler->kind == SAMPLE_CPU ? (uint64_t)NOVA_SECOND_NS / frequency
	                                     : SAMPLER_ALL / frequency;
}

void sampler_set_frequency(struct sampler *sampler, uint32_t frequency)
{
	uint64_t value = period_of(sampler, frequency);
	/* each end of a wait is needed, whichever beginnings are seen */
	size_t step = sampler->kind == SAMPLE_CONTENTION ? 2 : 1;

	for (size_t i = 0; i < sampler->fd_count; i += step)
		ioctl(sampler->fds[i], PERF_EVENT_IOC_PERIOD, &value);
	sampler->frequency = frequency;
}

static bool has_ring(const struct sampler *sampler, int fd)
{
	for (size_t i = 0; i < sampler->ring_count; i++)
		if (sampler->rings[i].fd == fd)
			return true;
	return false;
}

/* The events whose rings go on must stay open, though they count no more. */
static void retire(struct sampler *sampler)
{
	sampler_stop(sampler);
	for (size_t i = 0; i < sampler->fd_count; i++) {
		int fd = sampler->fds[i];

		if (has_ring(sampler, fd)) {
			sampler->kept = nova_grow(sampler->kept, sampler->kept_count,
			                          sizeof(*sampler->kept));
			sampler->kept[sampler->kept_count++] = fd;
		} else if (fd >= 0) {
			close(fd);
		}
	}
	free(sampler->fds);
}

int sampler_renew(struct sampler *sampler, const struct sampler_target *target, uint32_t frequency,
                  struct nova_error *error)
{
	struct sampler again = *sampler;
	int code = 0;

	again.fds = NULL;
	again.fd_count = 0;
	again.frequency = frequency;
	again.attr.enable_on_exec = 0;
	if (again.attr.freq)
		again.attr.sample_freq = frequency;
	else
		again.attr.sample_period = period_of(sampler, frequency);
	for (size_t i = 0; i < sampler->ring_count && !code; i++)
		code = open_cpu(&again, target, sampler->rings[i].cpu, sampler->rings[i].fd, error);
	if (!code && !again.fd_count)
		code = nova_error_set(error, NOVA_E_NOT_FOUND, "the process has ended");
	if (!code)
		code = sampler_start(&again, error);
	if (code) {
		for (size_t i = 0; i < again.fd_count; i++)
			nova_cleanup_close(&again.fds[i]);
		free(again.fds);
		return code;
	}
	retire(sampler);
	again.kept = sampler->kept;
	again.kept_count = sampler->kept_count;
	*sampler = again;
	return 0;
}

void sampler_stop(struct sampler *sampler)
{
	for (size_t i = 0; i < sampler->fd_count; i++)
		ioctl(sampler->fds[i], PERF_EVENT_IOC_DISABLE, 0);
}

void sampler_close(struct sampler *sampler)
{
	for (size_t i = 0; i < sampler->ring_count; i++)
		ring_unmap(&sampler->rings[i]);
	for (size_t i = 0; i < sampler->fd_count; i++)
		nova_cleanup_close(&sampler->fds[i]);
	for (size_t i = 0; i < sampler->kept_count; i++)
		close(sampler->kept[i]);
	free(sampler->kept);
	free(sampler->fds);
	memset(sampler, 0, sizeof(*sampler));
}
