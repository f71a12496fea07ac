/* SPDX-License-Identifier: MIT */
/*
 * Receives what guests write to their second serial port, one UDP socket a VM on 127.0.0.1, stamped
 * by the kernel on arrival. 'U' is "user space is up"; any byte is a sign of life.
 *
 * The kernel stamps in CLOCK_REALTIME; each stamp is converted by an offset that is measured
 * between two reads of CLOCK_MONOTONIC at the time of the conversion, whose distance is part of the
 * resolution.
 */
#include "core/run/worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int epoll_fd = -1;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Source of the conversion's error: the two clocks are not read at the same instant. */
static int64_t to_monotonic(const struct timespec *stamp, int64_t *resolution_ns)
{
	int64_t before = nova_now_ns(), real = nova_utc_ns(), after = nova_now_ns();
	int64_t at = (int64_t)stamp->tv_sec * NOVA_SECOND_NS + stamp->tv_nsec;

	*resolution_ns = after - before + 1000;
	return at - real + before + (after - before) / 2;
}

static void receive(struct vm *vm)
{
	char bytes[2048], control[128];
	struct iovec part = {bytes, sizeof(bytes)};
	struct msghdr message = {.msg_iov = &part,
	                         .msg_iovlen = 1,
	                         .msg_control = control,
	                         .msg_controllen = sizeof(control)};
	int64_t t_ns = nova_now_ns(), resolution_ns = 100000;
	ssize_t count = recvmsg(vm->beat_fd, &message, MSG_DONTWAIT);

	if (count <= 0)
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
		struct timespec stamp;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
		t_ns = to_monotonic(&stamp, &resolution_ns);
	}
	if (!vm->beats++)
		nova_vm_stamp(vm, &(struct stamp){NOVA_EVENT_FIRST, NOVA_SOURCE_BEAT, t_ns,
		                                  resolution_ns});
	if (memchr(bytes, 'U', (size_t)count))
		nova_vm_stamp(vm, &(struct stamp){NOVA_EVENT_USERSPACE, NOVA_SOURCE_BEAT, t_ns,
		                                  resolution_ns});
}

static void *listen_thread(void *unused)
{
	struct epoll_event events[64];

	(void)unused;
	for (;;) {
		int count = epoll_wait(epoll_fd, events, NOVA_COUNT(events), -1);

		nova_lock();
		for (int i = 0; i < count; i++) {
			struct vm *vm = events[i].data.ptr; /* never freed */

			if (vm->beat_fd >= 0) /* it may have been closed since */
				receive(vm);
		}
		nova_unlock();
	}
	return NULL;
}

static void start(void)
{
	pthread_attr_t attributes;
	pthread_t thread;

	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	if (epoll_fd >= 0 && pthread_create(&thread, &attributes, listen_thread, NULL)) {
		close(epoll_fd);
		epoll_fd = -1;
	}
	pthread_attr_destroy(&attributes);
}

int nova_beat_open(struct vm *vm, struct nova_error *error)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event event = {.events = EPOLLIN};
	socklen_t length = sizeof(address);
	int on = 1, room = 1 << 20;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	pthread_once(&once, start);
	if (fd < 0 || epoll_fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    getsockname(fd, (struct sockaddr *)&address, &length) ||
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on))) {
		nova_error_errno(error, "cannot open a socket for the guest's heartbeat");
		if (fd >= 0)
			close(fd);
		return error->code;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	event.data.ptr = vm;
	nova_lock();
	vm->beat_fd = fd;
	vm->beat_port = ntohs(address.sin_port);
	nova_unlock();
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
	return 0;
}

int nova_beat_window(struct vm *vm, struct nova_beats *seen)
{
	(void)vm;
	(void)seen;
	return NOVA_E_UNSUPPORTED;
}

void nova_beat_close(struct vm *vm)
{
	int fd;

	nova_lock();
	fd = vm->beat_fd;
	vm->beat_fd = -1;
	nova_unlock();
	if (fd >= 0)
		close(fd); /* leaves the epoll set by itself */
}
