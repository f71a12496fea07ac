/* SPDX-License-Identifier: MIT */
/*
 * Round trips of UDP datagrams on a schedule (open loop): a datagram that could only be sent late,
 * because something stalled, is measured from when it was due. Otherwise a stall would hide all the
 * waiting that it causes but the first.
 */
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)
#define GRACE_NS  SECOND_NS /* for the last answers */
#define BUFFER    (4 << 20) /* of the sockets: a burst after a stall must not be lost here */
#define MAGIC     UINT64_C(0x65626f7270766f6e)

/* The beginning of a datagram; both ends are this program on machines of one byte order. */
struct head {
	uint64_t magic, run, number;
};

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

static int open_socket(const char *address, uint64_t port, struct sockaddr_in *peer)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), size = BUFFER;

	*peer = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	if (inet_pton(AF_INET, address, &peer->sin_addr) != 1) {
		probe_fail("%s is no IPv4 address", address);
		close(fd);
		return -1;
	}
	if (fd < 0) {
		probe_fail("cannot make a socket: %m");
		return -1;
	}
	/* FORCE needs root; the other is cut to the system's limit, and may do */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return fd;
}

/* --- echo --------------------------------------------------------------------------------------
 */

static void answer(int fd, int64_t end_ns)
{
	struct pollfd watched = {.fd = fd, .events = POLLIN};
	char bytes[PROBE_BYTES_MOST];
	int64_t left;

	while ((left = end_ns - now_ns()) > 0) {
		struct sockaddr_in from;
		socklen_t length = sizeof(from);
		ssize_t got;

		poll(&watched, 1, (int)(left / 1000000 + 1));
		while ((got = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from,
		                       &length)) >= 0)
			if (sendto(fd, bytes, (size_t)got, 0, (struct sockaddr *)&from, length) < 0)
				break; /* lost, as on any way */
	}
}

int probe_echo(const char *address, uint64_t port, uint64_t seconds, bool background)
{
	struct sockaddr_in own;
	int fd = open_socket(address, port, &own);
	pid_t child;

	if (fd < 0)
		return 1;
	if (bind(fd, (struct sockaddr *)&own, sizeof(own)) != 0)
		return probe_fail("cannot listen on %s, port %u: %m", address, (unsigned)port);
	if (background) {
		child = fork();
		if (child < 0)
			return probe_fail("cannot start a process: %m");
		if (child > 0)
			return 0;
		setsid();
		for (int i = 0; i < 3; i++)
			close(i); /* whoever started it waits for the end of its output */
	}
	answer(fd, now_ns() + (int64_t)seconds * SECOND_NS);
	return 0;
}

/* --- ping --------------------------------------------------------------------------------------
 */

struct ping {
	int fd;
	uint64_t run;
	int64_t begin_ns, last_ns, rate; /* last_ns: when the latest was sent */
	uint32_t sent, back, bytes;
	struct probe_flight flight;
};

static int64_t due_ns(const struct ping *ping, uint32_t number)
{
	return ping->begin_ns + (int64_t)number * SECOND_NS / ping->rate;
}

/* What has come; each number counts once. */
static void receive(struct ping *ping)
{
	char bytes[PROBE_BYTES_MOST];
	struct head head;
	ssize_t got;

	while ((got = recv(ping->fd, bytes, sizeof(bytes), 0)) >= 0) {
		int64_t now = now_ns();

		memcpy(&head, bytes, sizeof(head));
		if (got != (ssize_t)ping->bytes || head.magic != MAGIC || head.run != ping->run ||
		    head.number >= ping->sent)
			continue;
		if (ping->flight.latency[head.number] >= 0) {
			ping->flight.duplicates++;
			continue;
		}
		ping->flight.latency[head.number] = now - due_ns(ping, (uint32_t)head.number);
		probe_hear(&ping->flight, now);
		ping->back++;
	}
}

/* All that are due; one that the kernel does not take is lost. */
static int send_due(struct ping *ping)
{
	char bytes[PROBE_BYTES_MOST] = {0};
	struct head head = {.magic = MAGIC, .run = ping->run};
	int64_t now;

	while (ping->sent < ping->flight.count && (now = now_ns()) >= due_ns(ping, ping->sent)) {
		int64_t late = now - due_ns(ping, ping->sent);

		ping->last_ns = now;
		head.number = ping->sent++;
		memcpy(bytes, &head, sizeof(head));
		if (send(ping->fd, bytes, ping->bytes, 0) < 0 && errno != EAGAIN &&
		    errno != ENOBUFS && errno != EINTR)
			return probe_fail("cannot send: %m");
		ping->flight.late = late > ping->flight.late ? late : ping->flight.late;
		receive(ping);
	}
	return 0;
}

static volatile sig_atomic_t ended; /* by a signal: send nothing more */

static int fly(struct ping *ping)
{
	struct pollfd watched = {.fd = ping->fd, .events = POLLIN};

	for (;;) {
		int64_t now = now_ns(), next;

		if (ended) /* nothing more is due; what is on its way still counts */
			ping->flight.count = ping->sent;
		receive(ping);
		if (send_due(ping) != 0)
			return 1;
		next = ping->sent < ping->flight.count ? due_ns(ping, ping->sent)
		                                       : ping->last_ns + GRACE_NS;
		if (ping->back == ping->flight.count ||
		    (ping->sent == ping->flight.count && now >= next))
			return 0;
		now = next - now_ns();
		if (now > 0) {
			struct timespec wait = {now / SECOND_NS, now % SECOND_NS};

			ppoll(&watched, 1, &wait, NULL);
		}
	}
}

void probe_hear(struct probe_flight *flight, int64_t now_ns)
{
	if (now_ns - flight->heard > flight->gap)
		flight->gap = now_ns - flight->heard;
	flight->heard = now_ns;
}

/* Round trips before the schedule: addresses are found and caches filled. */
static int warm_up(struct ping *ping)
{
	uint32_t count = ping->flight.count;

	for (int tries = 0; tries < 50; tries++) {
		ping->flight.count = 1;
		ping->flight.latency[0] = -1;
		ping->sent = ping->back = 0;
		ping->begin_ns = now_ns();
		if (fly(ping) != 0)
			return 1;
		if (ping->back == 1)
			break;
	}
	if (ping->back == 0)
		return probe_fail("nothing came back in 50 s");
	ping->run++;
	ping->sent = ping->back = 0;
	ping->flight = (struct probe_flight){.count = count, .latency = ping->flight.latency};
	for (uint32_t i = 0; i < count; i++)
		ping->flight.latency[i] = -1;
	return 0;
}

static void begin(struct ping *ping)
{
	ping->begin_ns = ping->flight.heard = now_ns() + SECOND_NS / 100;
}

static int prepare(struct ping *ping, const char *address, uint64_t port)
{
	struct sockaddr_in peer;

	ping->fd = open_socket(address, port, &peer);
	ping->flight.latency = calloc(ping->flight.count, sizeof(*ping->flight.latency));
	if (ping->fd < 0 || !ping->flight.latency)
		return 1;
	if (connect(ping->fd, (struct sockaddr *)&peer, sizeof(peer)) != 0)
		return probe_fail("there is no way to %s: %m", address);
	/* else the kernel may wake it 50 µs late, to save power */
	prctl(PR_SET_TIMERSLACK, 1);
	ping->run = (uint64_t)now_ns() * 2;
	return warm_up(ping);
}

int probe_ping(const char *address, uint64_t port, uint64_t rate, uint32_t count, uint32_t bytes)
{
	struct ping ping = {.rate = (int64_t)rate, .bytes = bytes, .flight.count = count};
	char text[512];
	int failed = prepare(&ping, address, port);

	begin(&ping);
	if (!failed)
		failed = fly(&ping);
	if (!failed && probe_print(&ping.flight, text, sizeof(text)) > 0)
		puts(text);
	free(ping.flight.latency);
	return failed;
}

/* --- watch -------------------------------------------------------------------------------------
 */

static void end(int signal)
{
	(void)signal;
	ended = 1;
}

/* There is a whole file or none. */
static int write_whole(const char *file, const char *text)
{
	char fresh[PATH_MAX];
	FILE *out;

	snprintf(fresh, sizeof(fresh), "%s.new", file);
	out = fopen(fresh, "we");
	if (!out || fputs(text, out) < 0 || fclose(out) != 0 || rename(fresh, file) != 0)
		return probe_fail("cannot write %s: %m", file);
	return 0;
}

static int watch_until_ended(struct ping *ping, const char *file)
{
	char text[128];

	begin(ping);
	if (fly(ping) != 0)
		return 1;
	probe_print_watch(&ping->flight, ping->sent, ping->back, ping->last_ns, text, sizeof(text));
	return write_whole(file, text);
}

int probe_watch(const char *address, uint64_t port, uint64_t rate, uint64_t seconds,
                const char *file)
{
	struct ping ping = {.rate = (int64_t)rate,
	                    .bytes = PROBE_BYTES_MIN,
	                    .flight.count = (uint32_t)(rate * seconds)};
	struct sigaction on_end = {.sa_handler = end};
	pid_t child;

	if (prepare(&ping, address, port) != 0)
		return 1;
	unlink(file);
	sigaction(SIGTERM, &on_end, NULL);
	child = fork();
	if (child < 0)
		return probe_fail("cannot start a process: %m");
	if (child > 0)
		return printf("%d\n", (int)child) > 0 ? 0 : 1;
	setsid();
	for (int i = 0; i < 3; i++)
		close(i); /* whoever started it waits for the end of its output */
	return watch_until_ended(&ping, file);
}

/* --- figures ------------------------------------------------------------------------------------
 */

/* Those that are lost, last. */
static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	if (x < 0 || y < 0)
		return (x < 0) - (y < 0);
	return (x > y) - (x < y);
}

static void put(char *text, size_t room, const struct probe_flight *flight, uint64_t rank)
{
	int64_t value = flight->latency[rank > 0 ? rank - 1 : 0];

	if (value < 0)
		snprintf(text, room, "null");
	else
		snprintf(text, room, "%lld", (long long)value);
}

int probe_print_watch(const struct probe_flight *flight, uint32_t sent, uint32_t received,
                      int64_t last_ns, char *text, size_t room)
{
	int64_t silent = last_ns > flight->heard ? last_ns - flight->heard : 0;

	return snprintf(text, room, "%lld %lld %u %u\n", (long long)flight->gap, (long long)silent,
	                sent, received);
}

int probe_print(struct probe_flight *flight, char *text, size_t room)
{
	static const uint64_t per_mille[] = {0, 500, 990, 999};
	uint32_t back = 0;
	char values[5][24];

	for (uint32_t i = 0; i < flight->count; i++)
		back += flight->latency[i] >= 0;
	qsort(flight->latency, flight->count, sizeof(*flight->latency), compare);
	for (int i = 0; i < 4; i++)
		put(values[i], sizeof(values[i]), flight,
		    (per_mille[i] * flight->count + 999) / 1000);
	put(values[4], sizeof(values[4]), flight, back);
	return snprintf(
	        text, room,
	        "{\"probe\":1,\"sent\":%u,\"received\":%u,\"duplicates\":%u,\"late_ns\":%lld,"
	        "\"latency_ns\":{\"min\":%s,\"p50\":%s,\"p99\":%s,\"p999\":%s,\"max\":%s}}",
	        flight->count, back, flight->duplicates, (long long)flight->late, values[0],
	        values[1], values[2], values[3], values[4]);
}
