/* SPDX-License-Identifier: MIT */
/*
 * What cannot be measured here because measuring it takes as long: two reads of a clock, the
 * kernel's stamp of a datagram, a sleep's end, a process. Medians, since what is rare is the
 * machine's. They are reported; nothing is subtracted.
 */
#include "core/selftest/check.h"

#include <novacore/types.h>

#include "core/stats/stats.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

#define SLEEP_NS 1000000

/* --- what is timed: each returns ns, or a code (< 0) -------------------------------------------
 */

static int64_t clock_pair(void *unused, struct nova_error *error)
{
	int64_t begin = nova_now_ns();

	(void)unused;
	(void)error;
	return nova_now_ns() - begin;
}

static int64_t wake(void *unused, struct nova_error *error)
{
	int64_t due_ns = nova_now_ns() + SLEEP_NS;
	const struct timespec due = {due_ns / NOVA_SECOND_NS, due_ns % NOVA_SECOND_NS};

	(void)unused;
	(void)error;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
		;
	return nova_now_ns() - due_ns;
}

int64_t nova_selftest_spawn(struct nova_error *error)
{
	char *argv[] = {(char[]){"true"}, NULL};
	int64_t begin = nova_now_ns();
	int code, status = 0;
	pid_t pid;

	code = posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ);
	if (code) {
		errno = code;
		return nova_error_errno(error, "cannot start /bin/true");
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return nova_error_errno(error, "cannot wait for /bin/true");
	return nova_now_ns() - begin;
}

static int64_t spawn(void *unused, struct nova_error *error)
{
	(void)unused;
	return nova_selftest_spawn(error);
}

/* A datagram to ourselves: from before it is sent to the kernel's stamp of its arrival. */
static int64_t stamp(void *context, struct nova_error *error)
{
	char byte = '.', control[128];
	struct iovec part = {&byte, 1};
	struct msghdr message = {.msg_iov = &part,
	                         .msg_iovlen = 1,
	                         .msg_control = control,
	                         .msg_controllen = sizeof(control)};
	int64_t begin = nova_utc_ns();
	int fd = *(int *)context;
	struct timespec at;

	if (send(fd, &byte, 1, 0) != 1 || recvmsg(fd, &message, 0) != 1)
		return nova_error_errno(error, "cannot send a datagram to 127.0.0.1");
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
			int64_t ns;

			memcpy(&at, CMSG_DATA(c), sizeof(at));
			ns = (int64_t)at.tv_sec * NOVA_SECOND_NS + at.tv_nsec - begin;
			return ns < 0 ? 0 : ns; /* the real-time clock was set back */
		}
	return nova_error_set(error, NOVA_E_UNSUPPORTED, "the kernel does not stamp datagrams");
}

static int open_to_itself(struct nova_error *error)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct timeval patience = {.tv_sec = 5};
	socklen_t length = sizeof(address);
	int on = 1, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && !bind(fd, (struct sockaddr *)&address, length) &&
	    !getsockname(fd, (struct sockaddr *)&address, &length) &&
	    !connect(fd, (struct sockaddr *)&address, length) &&
	    !setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) &&
	    !setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)))
		return fd;
	nova_error_errno(error, "cannot open a socket on 127.0.0.1");
	if (fd >= 0)
		close(fd);
	return error->code;
}

/* --- the checks --------------------------------------------------------------------------------
 */

struct floor {
	const char *id, *claim;
	int64_t (*time)(void *context, struct nova_error *error);
	size_t count;
};
static const struct floor FLOORS[] = {
        {"floor.clock", "two reads of the clock, median", clock_pair, 10000},
        {"floor.stamp", "a datagram to the kernel's stamp of it, median", stamp, 2000},
        {"floor.wake", "a sleeping thread wakes late by, median", wake, 500},
        {"floor.spawn", "a process that does nothing, median", spawn, 200},
};

static int measure(const struct floor *one, size_t count, void *context, json_t *report,
                   struct nova_error *error)
{
	NOVA_AUTOFREE double *values = nova_alloc(count * sizeof(*values));
	struct nova_check check = {
	        .id = one->id, .claim = one->claim, .unit = NOVA_UNIT_SECOND, .n = count};
	struct nova_ranks ranks;

	for (size_t i = 0; i < count; i++) {
		int64_t ns = one->time(context, error);

		if (ns < 0)
			return (int)ns;
		values[i] = (double)ns / 1e9;
	}
	nova_stats_sort(values, count);
	ranks = nova_stats_interval(count, 0.5, NOVA_SELFTEST_LEVEL);
	check.value = nova_stats_median(values, count);
	check.has_interval = ranks.low > 0;
	check.low = ranks.low ? values[ranks.low - 1] : 0;
	check.high = ranks.low ? values[ranks.high - 1] : 0;
	nova_check_add(report, &check);
	return 0;
}

int nova_selftest_floors(const struct nova_selftest_request *request, json_t *report,
                         struct nova_error *error)
{
	int fd = open_to_itself(error), code = fd < 0 ? fd : 0;

	nova_selftest_tell(&request->host, -1, "floors of clock, stamp and process");
	for (size_t i = 0; !code && i < NOVA_COUNT(FLOORS); i++) {
		code = nova_selftest_stopped(&request->host, error);
		if (!code)
			code = measure(&FLOORS[i], FLOORS[i].count / (request->quick ? 10 : 1), &fd,
			               report, error);
	}
	if (fd >= 0)
		close(fd);
	return code;
}
