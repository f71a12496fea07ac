/* SPDX-License-Identifier: MIT */
/* What the tests of density and scaling share: a simulated host, and words for what it has seen. */
#ifndef NOVACORE_BENCHMARKS_TEST_FLEET_H
#define NOVACORE_BENCHMARKS_TEST_FLEET_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <novacore/testhost.h>

const struct nova_plugin *nova_plugin_entry_v1(const struct nova_host *host);

#define MS 1000000ll

static struct nova_testhost *host;

static int clean(void **state)
{
	(void)state;
	nova_testhost_free(host);
	host = NULL;
	return 0;
}

static void script(const char *name, int status, int64_t latency_ns, uint32_t times)
{
	assert_int_equal(nova_testhost_script(host, name, status, latency_ns, times), NOVA_DONE);
}

static void make(const char *const *parameters)
{
	clean(NULL);
	host = nova_testhost_new(nova_plugin_entry_v1(NULL), parameters);
	if (!host)
		print_message("%s\n", nova_testhost_refusal());
	assert_non_null(host);
	assert_int_equal(nova_testhost_start(host), NOVA_DONE);
}
#define MAKE(...) make((const char *const[]){__VA_ARGS__, NULL})

static int run(void)
{
	int status = nova_testhost_replicate(host, 0, NOVA_SIDE_VM);

	assert_int_equal(nova_testhost_complaints(host), 0);
	return status;
}

/* How many samples of the metric have that status. */
static uint32_t count_of(const char *metric, uint32_t status)
{
	const struct nova_sample *sample;
	uint32_t found = 0;

	for (uint32_t i = 0; (sample = nova_testhost_sample_of(host, metric, i)); i++)
		found += sample->status == status;
	return found;
}

static uint32_t fine(const char *metric)
{
	return count_of(metric, NOVA_SAMPLE_OK);
}

static void assert_attempts(uint32_t ok, uint32_t failed, uint32_t timed_out)
{
	assert_int_equal(nova_testhost_attempts(host, NOVA_SAMPLE_OK), ok);
	assert_int_equal(nova_testhost_attempts(host, NOVA_SAMPLE_FAILED), failed);
	assert_int_equal(nova_testhost_attempts(host, NOVA_SAMPLE_TIMED_OUT), timed_out);
}

/* The value of the only sample. */
static double value_of(const char *metric)
{
	const struct nova_sample *sample = nova_testhost_sample_of(host, metric, 0);

	assert_non_null(sample);
	assert_null(nova_testhost_sample_of(host, metric, 1));
	assert_int_equal(sample->status, NOVA_SAMPLE_OK);
	return sample->value;
}

static void assert_near(double value, double wanted)
{
	if (fabs(value - wanted) > 1e-9)
		print_message("%.9f is not %.9f\n", value, wanted);
	assert_true(fabs(value - wanted) <= 1e-9);
}

/* Each one alone makes the plugin refuse to be configured. */
static void assert_refused(const char *const *wrong)
{
	for (; *wrong; wrong++) {
		const char *parameters[] = {*wrong, NULL};

		assert_null(nova_testhost_new(nova_plugin_entry_v1(NULL), parameters));
	}
}

#define TEST(name) cmocka_unit_test_teardown(name, clean)

#endif
