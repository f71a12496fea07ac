/* SPDX-License-Identifier: MIT */
/*
 * stun ROUNDS: the observer of heartbeats (core/run/beat.c) against gaps that were put there. A
 * guest that beats each 0.1 ms falls silent for a drawn time. A line for each round, ns: drawn, the
 * least and the most that the longest silence was by the sender's clock, what the observer says,
 * and the resolution that it claims. Every fourth round has no silence: the floor, which is the
 * sender's own scheduling.
 */
#include "core/run/worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BEAT_NS   100000
#define AROUND_NS 20000000 /* beats before and after the silence */
#define LEAST_NS  1000000
#define MOST_NS   50000000

static void wait_until(int64_t when_ns)
{
	const struct timespec at = {when_ns / NOVA_SECOND_NS, when_ns % NOVA_SECOND_NS};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

/* Each beat left some time between two reads of the sender's clock, so it knows two limits of its
 * longest silence; they are far apart where it lost the processor in between. */
struct guest {
	int fd;
	int64_t before_ns, after_ns; /* of the last beat */
	int64_t least_ns, most_ns;   /* the longest silence */
};

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void beat(struct guest *guest)
{
	int64_t before_ns = nova_now_ns(), after_ns;

	if (send(guest->fd, ".", 1, 0) != 1) {
		perror("stun: cannot send");
		exit(1);
	}
	after_ns = nova_now_ns();
	guest->least_ns = larger(guest->least_ns, before_ns - guest->after_ns);
	guest->most_ns = larger(guest->most_ns, after_ns - guest->before_ns);
	guest->before_ns = before_ns;
	guest->after_ns = after_ns;
}

static void beat_for(struct guest *guest, int64_t ns)
{
	int64_t next_ns = nova_now_ns(), end_ns = next_ns + ns;

	while (next_ns < end_ns) {
		beat(guest);
		next_ns += BEAT_NS;
		wait_until(next_ns);
	}
}

static void play(struct guest *guest, struct vm *vm, int64_t silent_ns)
{
	struct nova_beats seen = {0};

	beat_for(guest, BEAT_NS);
	nova_beat_window(vm, &seen);
	guest->least_ns = guest->most_ns = 0;
	beat_for(guest, AROUND_NS);
	if (silent_ns)
		wait_until(guest->after_ns + silent_ns);
	beat_for(guest, AROUND_NS);
	nova_beat_window(vm, &seen);
	printf("%lld %lld %lld %lld %lld%s\n", (long long)silent_ns, (long long)guest->least_ns,
	       (long long)guest->most_ns, (long long)seen.gap_ns, (long long)seen.error_ns,
	       seen.flags & NOVA_BEATS_LOST ? " lost" : "");
}

static void open_guest(struct guest *guest, const struct vm *vm)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	                         .sin_port = htons(vm->beat_port)};

	guest->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (guest->fd < 0 || connect(guest->fd, (struct sockaddr *)&to, sizeof(to))) {
		perror("stun: cannot reach the observer");
		exit(1);
	}
}

int main(int argc, char **argv)
{
	struct vm vm = {.beat_fd = -1};
	struct nova_error error = {0};
	struct guest guest = {0};

	if (argc != 2) {
		fprintf(stderr, "usage: stun ROUNDS\n");
		return 2;
	}
	pthread_cond_init(&vm.changed, NULL);
	if (nova_beat_open(&vm, &error)) {
		fprintf(stderr, "stun: %s\n", error.text);
		return 1;
	}
	open_guest(&guest, &vm);
	srand((unsigned)nova_now_ns());
	for (int i = 0; i < atoi(argv[1]); i++)
		play(&guest, &vm,
		     i % 4 == 3 ? 0 : LEAST_NS + (int64_t)rand() % (MOST_NS - LEAST_NS));
	nova_beat_close(&vm);
	close(guest.fd);
	return 0;
}
