/* SPDX-License-Identifier: MIT */
/*
 * Receives what guests write to their second serial port, one UDP socket a VM on 127.0.0.1, stamped
 * by the kernel on arrival. 'U' is "user space is up"; any byte is a sign of life.
 *
 * Since the kernel stamps, nobody has to be quick: one thread looks around at most once in a
 * millisecond and takes what has come meanwhile, which bounds what ten thousand beats a second
 * cost.
 *
 * The kernel stamps in CLOCK_REALTIME; each batch is converted by an offset that is measured
 * between two reads of CLOCK_MONOTONIC at the time, whose distance is part of the resolution. So a
 * step of the real-time clock makes no gap.
 *
 * Locks: `turn` of this file first, then nova_lock.
 */
#include "core/run/worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BATCH       64
#define BYTES_KEPT  16         /* of a datagram: a UART sends one at a time */
#define ROOM_WANTED (16 << 20) /* of the receive buffer; without privilege less */
#define PAUSE_NS    1000000    /* between two looks */
#define STAMP_NS    1000       /* what the kernel's stamp may be late by itself */
#define DRAIN_MOST  1024       /* batches: a flood must not hold a caller */
#define EAGER       (-10)      /* nice value of the thread, where it is allowed */

static int epoll_fd = -1;
static pthread_once_t once = PTHREAD_ONCE_INIT;
/* Of every VM's beat_fd and window, and of `batch`. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static struct {
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH];
	struct sockaddr_in from[BATCH];
	char bytes[BATCH][BYTES_KEPT];
	char control[BATCH][128];
} batch;

/* What is subtracted from CLOCK_REALTIME to get CLOCK_MONOTONIC, and by how much it may be wrong:
 * the two clocks are not read at the same instant. The tightest of a few brackets. */
static int64_t clock_offset(int64_t *error_ns)
{
	int64_t offset = 0;

	*error_ns = INT64_MAX;
	for (int i = 0; i < 5; i++) {
		int64_t before = nova_now_ns(), real = nova_utc_ns(), after = nova_now_ns();
		int64_t half = (after - before + 1) / 2;

		if (half < *error_ns) {
			*error_ns = half;
			offset = real - before - half;
		}
	}
	return offset;
}

/* The kernel's stamp of a datagram, or 0; and how many it has dropped so far, if it says so. */
static int64_t read_control(struct msghdr *message, uint32_t *drops)
{
	int64_t t_ns = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		struct timespec stamp;

		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_TIMESTAMPNS) {
			memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
			t_ns = (int64_t)stamp.tv_sec * NOVA_SECOND_NS + stamp.tv_nsec;
		} else if (c->cmsg_type == SO_RXQ_OVFL) {
			memcpy(drops, CMSG_DATA(c), sizeof(*drops));
		}
	}
	return t_ns;
}

static void stamp_vm(struct vm *vm, uint32_t kind, int64_t t_ns, int64_t error_ns)
{
	nova_lock();
	nova_vm_stamp(vm, &(struct stamp){kind, NOVA_SOURCE_BEAT, t_ns, error_ns});
	nova_unlock();
}

static void take(struct vm *vm, int i, int64_t offset_ns, int64_t error_ns)
{
	struct beat_window *window = vm->beat_window;
	uint32_t drops = window ? window->drops : 0;
	int64_t t_ns = read_control(&batch.messages[i].msg_hdr, &drops);

	if (!t_ns) /* not stamped: it is no sign of when */
		return;
	t_ns -= offset_ns;
	if (!vm->beats++)
		stamp_vm(vm, NOVA_EVENT_FIRST, t_ns, error_ns);
	if (memchr(batch.bytes[i], 'U', batch.messages[i].msg_len))
		stamp_vm(vm, NOVA_EVENT_USERSPACE, t_ns, error_ns);
	if (!window)
		return;
	window->drops = drops;
	nova_beat_window_add(window, t_ns, ntohs(batch.from[i].sin_port), error_ns);
}

/* Under the turn. Takes one batch; false: there is no more. */
static bool receive(struct vm *vm)
{
	int64_t offset_ns, error_ns;
	int count;

	for (int i = 0; i < BATCH; i++) {
		batch.parts[i] = (struct iovec){batch.bytes[i], BYTES_KEPT};
		batch.messages[i].msg_hdr = (struct msghdr){
		        .msg_name = &batch.from[i],
		        .msg_namelen = sizeof(batch.from[i]),
		        .msg_iov = &batch.parts[i],
		        .msg_iovlen = 1,
		        .msg_control = batch.control[i],
		        .msg_controllen = sizeof(batch.control[i]),
		};
	}
	count = recvmmsg(vm->beat_fd, batch.messages, BATCH, MSG_DONTWAIT, NULL);
	if (count <= 0)
		return false;
	offset_ns = clock_offset(&error_ns);
	for (int i = 0; i < count; i++)
		take(vm, i, offset_ns, error_ns + STAMP_NS);
	return count == BATCH;
}

/* Under the turn. */
static void drain(struct vm *vm)
{
	for (int i = 0; i < DRAIN_MOST && receive(vm); i++)
		;
}

static void *listen_thread(void *unused)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	struct epoll_event events[64];

	(void)unused;
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), EAGER);
	for (;;) {
		int count = epoll_wait(epoll_fd, events, NOVA_COUNT(events), -1);

		for (int i = 0; i < count; i++) {
			struct vm *vm = events[i].data.ptr; /* never freed */

			pthread_mutex_lock(&turn);
			if (vm->beat_fd >= 0) /* it may have been closed since */
				drain(vm);
			pthread_mutex_unlock(&turn);
		}
		nanosleep(&pause, NULL);
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

/* A burst that comes while the thread has no CPU must fit; without the right to more, what fits
 * below net.core.rmem_max. Dropped ones are counted. */
static void make_room(int fd)
{
	int on = 1, room = ROOM_WANTED;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on));
}

int nova_beat_open(struct vm *vm, struct nova_error *error)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event event = {.events = EPOLLIN};
	socklen_t length = sizeof(address);
	int on = 1;
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
	make_room(fd);
	event.data.ptr = vm;
	pthread_mutex_lock(&turn);
	vm->beat_fd = fd;
	vm->beat_port = ntohs(address.sin_port);
	pthread_mutex_unlock(&turn);
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
	return 0;
}

int nova_beat_window(struct vm *vm, struct nova_beats *seen)
{
	int code = NOVA_E_UNSUPPORTED;

	pthread_mutex_lock(&turn);
	if (vm->beat_fd >= 0) {
		code = NOVA_DONE;
		drain(vm); /* what has come so far belongs to the window that ends */
		if (!vm->beat_window)
			vm->beat_window = nova_alloc(sizeof(*vm->beat_window));
		nova_beat_window_end(vm->beat_window, nova_now_ns(), seen);
		nova_beat_window_begin(vm->beat_window);
	}
	pthread_mutex_unlock(&turn);
	return code;
}

void nova_beat_close(struct vm *vm)
{
	pthread_mutex_lock(&turn);
	if (vm->beat_fd >= 0)
		close(vm->beat_fd); /* leaves the epoll set by itself */
	vm->beat_fd = -1;
	free(vm->beat_window);
	vm->beat_window = NULL;
	pthread_mutex_unlock(&turn);
}
