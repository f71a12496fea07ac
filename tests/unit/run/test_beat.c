/* SPDX-License-Identifier: MIT */
/*
 * The observer of heartbeats against a sender that knows what it did: it reads the clock before and
 * after each datagram, and the loopback device delivers within the call, so what the observer may
 * say is bounded by the sender's own stamps however loaded the machine is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/run/worker.h"

#define MS          INT64_C(1000000)
#define INTERVAL_NS (MS / 10)
/* measuring.md: the bar of the stun's resolution */
#define RESOLUTION_NS (MS / 10)

struct sent {
	int64_t before_ns, after_ns;
};

static struct vm vm;
static int senders[2];

static int sender(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	                         .sin_port = htons(vm.beat_port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static int open_all(void **state)
{
	struct nova_error error = {0};

	(void)state;
	vm = (struct vm){.beat_fd = -1};
	pthread_cond_init(&vm.changed, NULL);
	assert_int_equal(nova_beat_open(&vm, &error), 0);
	senders[0] = sender();
	senders[1] = sender();
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	nova_beat_close(&vm);
	close(senders[0]);
	close(senders[1]);
	free(vm.stamps);
	pthread_cond_destroy(&vm.changed);
	return 0;
}

static void wait_until(int64_t when_ns)
{
	const struct timespec at = {when_ns / NOVA_SECOND_NS, when_ns % NOVA_SECOND_NS};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL))
		;
}

static struct sent send_one(int fd)
{
	struct sent sent;

	sent.before_ns = nova_now_ns();
	assert_int_equal(send(fd, ".", 1, 0), 1);
	sent.after_ns = nova_now_ns();
	return sent;
}

/* Beats until `until_ns`; the last one. `longest_ns`: the longest distance that there may have
 * been. */
static struct sent send_until(int fd, int64_t until_ns, struct sent last, int64_t *longest_ns)
{
	int64_t next_ns = nova_now_ns();

	while (nova_now_ns() < until_ns) {
		struct sent now = send_one(fd);

		if (last.before_ns && now.after_ns - last.before_ns > *longest_ns)
			*longest_ns = now.after_ns - last.before_ns;
		last = now;
		next_ns += INTERVAL_NS;
		wait_until(next_ns);
	}
	return last;
}

static struct nova_beats window(void)
{
	struct nova_beats seen = {0};

	assert_int_equal(nova_beat_window(&vm, &seen), NOVA_DONE);
	assert_int_equal(seen.flags & NOVA_BEATS_LOST, 0);
	return seen;
}

/* The distance of two beats that were sent then. */
static void assert_between(int64_t ns, struct sent from, struct sent to, int64_t error_ns)
{
	assert_in_range(ns, to.before_ns - from.after_ns - error_ns,
	                to.after_ns - from.before_ns + error_ns);
}

/* A silence of `silence_ns`, after which `to` goes on. */
static struct nova_beats observe(int from, int to, int64_t silence_ns, struct sent *last,
                                 struct sent *first, int64_t *longest_ns)
{
	window();
	*last = send_until(from, nova_now_ns() + 20 * MS, (struct sent){0}, longest_ns);
	wait_until(last->after_ns + silence_ns);
	*first = send_one(to);
	send_until(to, nova_now_ns() + 20 * MS, *first, longest_ns);
	return window();
}

static void recovers_a_gap(void **state)
{
	static const int64_t silences[] = {5 * MS, 20 * MS};

	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(silences); i++) {
		struct sent last, first;
		int64_t longest_ns = 0;
		struct nova_beats seen =
		        observe(senders[0], senders[0], silences[i], &last, &first, &longest_ns);

		assert_true(seen.error_ns <= RESOLUTION_NS);
		assert_true(seen.count > 2);
		/* a loaded machine may have made the sender silent for longer at another time */
		assert_true(seen.gap_ns >= first.before_ns - last.after_ns - seen.error_ns);
		if (longest_ns < silences[i]) {
			assert_between(seen.gap_ns, last, first, seen.error_ns);
			assert_in_range(seen.gap_at_ns, last.before_ns - seen.error_ns,
			                last.after_ns + seen.error_ns);
		}
		assert_int_equal(seen.handover_ns, 0);
	}
}

static void recovers_the_gap_at_a_handover(void **state)
{
	struct sent last, first;
	int64_t longest_ns = 0;
	struct nova_beats seen =
	        observe(senders[0], senders[1], 5 * MS, &last, &first, &longest_ns);

	(void)state;
	assert_true(seen.error_ns <= RESOLUTION_NS);
	assert_between(seen.handover_ns, last, first, seen.error_ns);
	assert_in_range(seen.handover_at_ns, last.before_ns - seen.error_ns,
	                last.after_ns + seen.error_ns);
	assert_true(seen.gap_ns >= seen.handover_ns);
}

static void a_silence_that_lasts_is_a_gap_already(void **state)
{
	struct sent last, now;
	struct nova_beats seen;

	(void)state;
	window();
	last = send_one(senders[0]);
	wait_until(last.after_ns + 10 * MS);
	now.before_ns = nova_now_ns();
	seen = window();
	now.after_ns = nova_now_ns();
	assert_int_equal(seen.count, 1);
	assert_between(seen.gap_ns, last, now, seen.error_ns + MS / 1000);
}

static void a_gap_across_two_windows_is_whole_in_the_second(void **state)
{
	struct sent last, first;
	struct nova_beats seen;

	(void)state;
	window();
	last = send_one(senders[0]);
	wait_until(last.after_ns + 3 * MS);
	window();
	wait_until(last.after_ns + 6 * MS);
	first = send_one(senders[0]);
	seen = window();
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.first_ns, seen.last_ns);
	assert_between(seen.gap_ns, last, first, seen.error_ns);
}

static void nothing_received_is_nothing_claimed(void **state)
{
	struct nova_beats seen;

	(void)state;
	window();
	seen = window();
	assert_int_equal(seen.count, 0);
	assert_int_equal(seen.gap_ns, 0);
	assert_int_equal(seen.typical_ns, 0);
	assert_int_equal(seen.handover_ns, 0);
}

static void a_vm_without_heartbeat_has_no_window(void **state)
{
	struct nova_beats seen;

	(void)state;
	nova_beat_close(&vm);
	assert_int_equal(nova_beat_window(&vm, &seen), NOVA_E_UNSUPPORTED);
}

static void stamps_the_first_beat_and_user_space(void **state)
{
	struct nova_beats seen;

	(void)state;
	assert_int_equal(send(senders[0], ".", 1, 0), 1);
	assert_int_equal(send(senders[0], "U", 1, 0), 1);
	seen = window(); /* takes what has come */
	assert_int_equal(vm.stamp_count, 2);
	assert_int_equal(vm.stamps[0].kind, NOVA_EVENT_FIRST);
	assert_int_equal(vm.stamps[1].kind, NOVA_EVENT_USERSPACE);
	assert_true(vm.stamps[0].t_ns <= vm.stamps[1].t_ns);
	(void)seen;
}

/* --- the numbers alone -------------------------------------------------------------------------
 */

static void what_the_kernel_dropped_is_said(void **state)
{
	static struct beat_window numbers;
	struct nova_beats seen;

	(void)state;
	numbers.drops = 3; /* before the first window */
	nova_beat_window_begin(&numbers);
	nova_beat_window_end(&numbers, 1, &seen);
	assert_int_equal(seen.flags, 0);
	numbers.drops = 4;
	nova_beat_window_end(&numbers, 1, &seen);
	assert_int_equal(seen.flags, NOVA_BEATS_LOST);
}

static void the_median_distance_is_within_a_sixteenth(void **state)
{
	static const int64_t distances[] = {1,     31,     32,        1000,
	                                    50000, 100000, 123456789, MS * 3600000};

	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(distances); i++) {
		static struct beat_window numbers;
		int64_t t_ns = 1000;
		struct nova_beats seen;

		memset(&numbers, 0, sizeof(numbers));
		for (int n = 0; n < 5; n++, t_ns += distances[i])
			nova_beat_window_add(&numbers, t_ns, 1, 10);
		nova_beat_window_add(&numbers, t_ns + 40 * distances[i], 1, 10);
		nova_beat_window_end(&numbers, t_ns, &seen);
		assert_in_range(seen.typical_ns, distances[i] - distances[i] / 16,
		                distances[i] + distances[i] / 16);
		assert_int_equal(seen.error_ns, 20);
	}
}

static void distances_beyond_the_histogram_are_kept_in_its_last_bucket(void **state)
{
	static struct beat_window numbers;
	struct nova_beats seen;

	(void)state;
	nova_beat_window_add(&numbers, 1, 1, 0);
	nova_beat_window_add(&numbers, INT64_MAX, 2, 0);
	nova_beat_window_add(&numbers, 5, 1, 0); /* a clock that went back */
	nova_beat_window_end(&numbers, 6, &seen);
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.gap_ns, INT64_MAX - 1);
	assert_int_equal(seen.handover_ns, INT64_MAX - 1);
}

int main(void)
{
#define WITH_SOCKETS(test) cmocka_unit_test_setup_teardown(test, open_all, close_all)
	const struct CMUnitTest tests[] = {
	        WITH_SOCKETS(recovers_a_gap),
	        WITH_SOCKETS(recovers_the_gap_at_a_handover),
	        WITH_SOCKETS(a_silence_that_lasts_is_a_gap_already),
	        WITH_SOCKETS(a_gap_across_two_windows_is_whole_in_the_second),
	        WITH_SOCKETS(nothing_received_is_nothing_claimed),
	        WITH_SOCKETS(a_vm_without_heartbeat_has_no_window),
	        WITH_SOCKETS(stamps_the_first_beat_and_user_space),
	        cmocka_unit_test(what_the_kernel_dropped_is_said),
	        cmocka_unit_test(the_median_distance_is_within_a_sixteenth),
	        cmocka_unit_test(distances_beyond_the_histogram_are_kept_in_its_last_bucket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
