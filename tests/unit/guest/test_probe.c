/* SPDX-License-Identifier: MIT */
/* The probe's figures and numbers; that it flies is shown by tests/workloads/test_probe.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/guest/probe/probe.h"

/* Of probe.c, whose main is the program's. */
int probe_fail(const char *format, ...)
{
	(void)format;
	return 1;
}

static void assert_print(const int64_t *latency, uint32_t count, const char *wanted)
{
	int64_t *copy = malloc(count * sizeof(*copy));
	struct probe_flight flight = {.count = count, .latency = copy};
	char text[512];

	assert_non_null(copy);
	memcpy(copy, latency, count * sizeof(*copy));
	assert_true(probe_print(&flight, text, sizeof(text)) > 0);
	if (!strstr(text, wanted))
		fail_msg("%s is not in %s", wanted, text);
	free(copy);
}

static void percentiles_are_exact(void **state)
{
	int64_t latency[1000];

	(void)state;
	for (int i = 0; i < 1000; i++)
		latency[i] = (i * 7919) % 1000 + 1; /* 1 … 1000, in some order */
	assert_print(
	        latency, 1000,
	        "\"latency_ns\":{\"min\":1,\"p50\":500,\"p99\":990,\"p999\":999,\"max\":1000}");
	assert_print((const int64_t[]){5}, 1,
	             "{\"min\":5,\"p50\":5,\"p99\":5,\"p999\":5,\"max\":5}");
	assert_print((const int64_t[]){9, 3}, 2,
	             "{\"min\":3,\"p50\":3,\"p99\":9,\"p999\":9,\"max\":9}");
}

static void what_is_lost_is_slower_than_all(void **state)
{
	int64_t latency[100];

	(void)state;
	for (int i = 0; i < 100; i++)
		latency[i] = i < 2 ? -1 : i;
	assert_print(latency, 100, "\"sent\":100,\"received\":98,");
	assert_print(latency, 100, "{\"min\":2,\"p50\":51,\"p99\":null,\"p999\":null,\"max\":99}");
	latency[1] = 1;
	assert_print(latency, 100, "{\"min\":1,\"p50\":50,\"p99\":99,\"p999\":null,\"max\":99}");
	assert_print((const int64_t[]){-1, -1}, 2,
	             "{\"min\":null,\"p50\":null,\"p99\":null,\"p999\":null,\"max\":null}");
}

static void a_watch_tells_the_longest_gap_and_the_silence_at_the_end(void **state)
{
	struct probe_flight flight = {.heard = 100};
	char text[128];

	(void)state;
	probe_hear(&flight, 130);
	probe_hear(&flight, 190);
	probe_hear(&flight, 200);
	probe_print_watch(&flight, 9, 3, 195, text, sizeof(text));
	assert_string_equal(text, "60 0 9 3\n");
	probe_print_watch(&flight, 9, 3, 1000, text, sizeof(text));
	assert_string_equal(text, "60 800 9 3\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(percentiles_are_exact),
	        cmocka_unit_test(what_is_lost_is_slower_than_all),
	        cmocka_unit_test(a_watch_tells_the_longest_gap_and_the_silence_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
