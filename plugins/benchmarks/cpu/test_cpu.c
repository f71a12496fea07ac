/* SPDX-License-Identifier: MIT */
/* The cpu benchmark in the test host, where sysbench prints what each test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <novacore/testhost.h>

#include "programs.h"
#include "recorded.h"

const struct nova_plugin *nova_plugin_entry_v1(const struct nova_host *host);

static struct nova_testhost *host;

static int clean(void **state)
{
	(void)state;
	nova_testhost_free(host);
	host = NULL;
	return 0;
}

/* A host whose sysbench prints this file, up to so many bytes. */
static void make(const char *file, size_t bytes)
{
	const char *parameters[] = {"threads=2", "cpus=none", NULL};
	struct recorded report = recorded_read(RECORDED, file);
	char *text = strndup(report.text, bytes < report.bytes ? bytes : report.bytes);

	clean(NULL);
	host = nova_testhost_new(nova_plugin_entry_v1(NULL), parameters);
	assert_non_null(host);
	assert_int_equal(nova_testhost_start(host), NOVA_DONE);
	nova_testhost_script_exec(host, "sysbench", text, 0);
	free(text);
	free(report.text);
}

static void run(uint32_t side)
{
	assert_int_equal(nova_testhost_replicate(host, 0, side), NOVA_DONE);
	assert_int_equal(nova_testhost_complaints(host), 0);
}

static void assert_value(const char *metric, double expected)
{
	const struct nova_sample *sample = nova_testhost_sample_of(host, metric, 0);

	assert_non_null(sample);
	assert_int_equal(sample->status, NOVA_SAMPLE_OK);
	assert_true(fabs(sample->value - expected) <= fabs(expected) * 1e-9);
}

static void measures_the_same_in_a_vm_and_here(void **state)
{
	(void)state;
	make("sysbench-cpu-guest.txt", SIZE_MAX);
	run(NOVA_SIDE_VM);
	assert_value("cpu.rate", 66.87);
	assert_string_equal(
	        nova_testhost_command(host, 1),
	        "sysbench cpu --cpu-max-prime=20000 --threads=2 --time=5 --events=0 run");
	assert_int_equal(nova_testhost_attempts(host, NOVA_SAMPLE_OK), 1);
	make("sysbench-cpu-host.txt", SIZE_MAX);
	run(NOVA_SIDE_NATIVE);
	assert_value("cpu.rate", 534.45);
	assert_string_equal(
	        nova_testhost_command(host, 0),
	        "sysbench cpu --cpu-max-prime=20000 --threads=2 --time=5 --events=0 run");
	assert_int_equal(nova_testhost_vms(host), 0);
}

static void latencies_are_in_seconds(void **state)
{
	double average;

	(void)state;
	make("sysbench-cpu-host.txt", SIZE_MAX);
	run(NOVA_SIDE_NATIVE);
	average = nova_testhost_sample_of(host, "cpu.latency.average", 0)->value;
	assert_true(average > 1e-4 && average < 0.1);
	assert_true(nova_testhost_sample_of(host, "cpu.latency.maximum", 0)->value >= average);
	assert_true(nova_testhost_sample_of(host, "cpu.latency.p95", 0)->value > 0);
}

static void a_report_that_was_cut_off_is_a_failure_with_the_text(void **state)
{
	(void)state;
	make("sysbench-cpu-host.txt", 500);
	run(NOVA_SIDE_VM);
	for (uint32_t i = 0; i < 4; i++) {
		const struct nova_sample *sample = nova_testhost_sample(host, i);

		assert_int_equal(sample->status, NOVA_SAMPLE_FAILED);
		assert_non_null(strstr(sample->why, "sysbench's report is not what it should be"));
		assert_non_null(strstr(sample->why, "Prime numbers limit: 20000"));
	}
	assert_int_equal(nova_testhost_attempts(host, NOVA_SAMPLE_FAILED), 1);
}

static void refuses_wrong_parameters(void **state)
{
	static const char *const wrong[] = {
	        "prime=99",     "prime=x", "threads=0", "threads=257", "duration=5",
	        "duration=1ms", "cpu=1",   "prime=",    "duration=2h", "threads="};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *parameters[] = {wrong[i], NULL};

		assert_null(nova_testhost_new(nova_plugin_entry_v1(NULL), parameters));
	}
}

#define TEST(name) cmocka_unit_test_teardown(name, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(measures_the_same_in_a_vm_and_here),
	        TEST(latencies_are_in_seconds),
	        TEST(a_report_that_was_cut_off_is_a_failure_with_the_text),
	        TEST(refuses_wrong_parameters),
	};

	return cmocka_run_group_tests(tests, programs_make, programs_remove);
}
