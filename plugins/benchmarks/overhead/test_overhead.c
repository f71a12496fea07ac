/* SPDX-License-Identifier: MIT */
/* The overhead benchmark in the test host; the slope; what it reads of a process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <novacore/testhost.h>

#include "process.h"
#include "slope.h"

const struct nova_plugin *nova_plugin_entry_v1(const struct nova_host *host);

static struct nova_testhost *host;

static int clean(void **state)
{
	(void)state;
	nova_testhost_free(host);
	host = NULL;
	return 0;
}

static void make(const char *const *parameters)
{
	clean(NULL);
	host = nova_testhost_new(nova_plugin_entry_v1(NULL), parameters);
	assert_non_null(host);
	assert_int_equal(nova_testhost_start(host), NOVA_DONE);
	nova_testhost_set_i64(host, NOVA_FIELD_RESIDENT_BYTES, 300 << 20);
	nova_testhost_set_i64(host, NOVA_FIELD_PROPORTIONAL_BYTES, 200 << 20);
	nova_testhost_set_i64(host, NOVA_FIELD_DISK_ALLOCATED_BYTES, 3 << 20);
	nova_testhost_set_i64(host, NOVA_FIELD_MEMORY_BYTES, 1 << 20);
}
#define PLAIN ((const char *const[]){"vms=3", NULL})

static void run(void)
{
	assert_int_equal(nova_testhost_replicate(host, 0, NOVA_SIDE_VM), NOVA_DONE);
	for (uint32_t i = 0; i < nova_testhost_complaints(host); i++)
		print_error("%s\n", nova_testhost_complaint(host, i));
	assert_int_equal(nova_testhost_complaints(host), 0);
}

static void assert_value(const char *metric, double expected)
{
	const struct nova_sample *sample = nova_testhost_sample_of(host, metric, 0);

	assert_non_null(sample);
	assert_int_equal(sample->status, NOVA_SAMPLE_OK);
	assert_true(fabs(sample->value - expected) <= fabs(expected) * 1e-9);
}

/* --- the benchmark -------------------------------------------------------------------------- */

static void says_what_each_vm_adds(void **state)
{
	(void)state;
	make(PLAIN);
	run();
	assert_int_equal(nova_testhost_width(host), 3);
	assert_int_equal(nova_testhost_vms(host), 3);
	assert_value("overhead.memory.resident", 300 << 20);
	assert_value("overhead.memory.proportional", 200 << 20);
	assert_value("overhead.disk", 3 << 20);
	assert_int_equal(nova_testhost_attempts(host, NOVA_SAMPLE_OK), 1);
}

static void loads_as_many_vms_as_there_are(void **state)
{
	uint32_t count = 0;

	(void)state;
	make(PLAIN);
	run();
	while (nova_testhost_command(host, count))
		count++;
	assert_int_equal(count, 1 + 2 + 3);
	assert_non_null(strstr(nova_testhost_command(host, 0), "timeout"));
	make((const char *const[]){"vms=2", "load=none", NULL});
	run();
	assert_null(nova_testhost_command(host, 0));
	assert_false(nova_testhost_logged(host, "no overhead.cpu.loaded"));
}

static void what_is_not_told_is_no_sample(void **state)
{
	(void)state;
	make(PLAIN);
	nova_testhost_unset(host, NOVA_FIELD_PROPORTIONAL_BYTES);
	run();
	assert_null(nova_testhost_sample_of(host, "overhead.memory.proportional", 0));
	assert_null(nova_testhost_sample_of(host, "overhead.memory.beyond", 0));
	assert_null(nova_testhost_sample_of(host, "overhead.cpu.idle", 0));
	assert_true(nova_testhost_logged(host, "no overhead.memory.proportional: the driver, or"));
	assert_value("overhead.memory.resident", 300 << 20);
}

/* The process that is looked at is this one: it is on this host, and has no guest's CPU. */
static void looks_at_the_process_where_there_is_one(void **state)
{
	const struct nova_sample *sample;

	(void)state;
	make(PLAIN);
	nova_testhost_set_i64(host, NOVA_FIELD_PID, getpid());
	run();
	sample = nova_testhost_sample_of(host, "overhead.memory.beyond", 0);
	assert_non_null(sample);
	assert_true(sample->status == NOVA_SAMPLE_OK && sample->value > 0);
	assert_non_null(nova_testhost_sample_of(host, "overhead.cpu.idle", 0));
	assert_null(nova_testhost_sample_of(host, "overhead.cpu.loaded", 0));
}

static void a_vm_that_does_not_come_fails_the_replicate(void **state)
{
	static const char *const calls[] = {"vm_create", "vm_power.start", "vm_query.stats",
	                                    "exec"};

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		const struct nova_sample *sample;

		make(PLAIN);
		nova_testhost_script(host, calls[i], NOVA_DONE, 0, 1);
		nova_testhost_script(host, calls[i], NOVA_E_FAILED, 0, 0);
		run();
		sample = nova_testhost_sample_of(host, "overhead.memory.resident", 0);
		assert_non_null(sample);
		assert_int_equal(sample->status, NOVA_SAMPLE_FAILED);
		assert_non_null(strstr(sample->why, "could not be"));
		assert_int_equal(nova_testhost_attempts(host, NOVA_SAMPLE_FAILED), 1);
	}
	make(PLAIN);
	nova_testhost_script(host, "event.ready", NOVA_E_TIMEOUT, 0, 0);
	run();
	assert_int_equal(nova_testhost_attempts(host, NOVA_SAMPLE_TIMED_OUT), 1);
}

static void an_interruption_is_no_failure(void **state)
{
	(void)state;
	make(PLAIN);
	nova_testhost_script(host, "vm_query.stats", NOVA_E_INTERRUPTED, 0, 0);
	assert_int_equal(nova_testhost_replicate(host, 0, NOVA_SIDE_VM), NOVA_E_INTERRUPTED);
	assert_int_equal(nova_testhost_sample_count(host), 0);
}

static void refuses_wrong_parameters(void **state)
{
	static const char *const wrong[] = {"vms=1",    "vms=257",      "vms=two",   "window=10ms",
	                                    "window=2", "settle=11min", "load=disk", "vm=2"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *parameters[] = {wrong[i], NULL};

		assert_null(nova_testhost_new(nova_plugin_entry_v1(NULL), parameters));
	}
}

/* --- the slope ------------------------------------------------------------------------------- */

static void the_slope_is_per_vm_and_not_the_mean(void **state)
{
	static const double shared[] = {150, 200, 250, 300}; /* 100 shared, 50 each */
	static const double bent[] = {10, 20, 30, 4000, 50, 60};

	(void)state;
	assert_true(fabs(overhead_slope(shared, 4, 0) - 50) < 1e-12);
	assert_true(fabs(overhead_slope(shared, 2, 0) - 50) < 1e-12);
	assert_true(fabs(overhead_slope(bent, 6, 0) - 10) < 1e-12);
	assert_true(isnan(overhead_slope(shared, 1, 1)));
	assert_true(isnan(overhead_slope((const double[]){1, NAN}, 2, 0)));
	assert_true(isnan(overhead_slope((const double[]){NAN, 1, 2, 3}, 4, 1)));
	/* without the 0 it would be 9 */
	assert_true(fabs(overhead_slope((const double[]){11, 20}, 2, 1) - 10) < 1e-12);
}

/* --- a process ------------------------------------------------------------------------------- */

static int read_text(const char *text, uint64_t guest, uint64_t *beyond)
{
	FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	int code;

	assert_non_null(file);
	code = overhead_read_smaps(file, guest, beyond);
	fclose(file);
	return code;
}

#define MAPPING(range, rss, pss)                                                                   \
	range " rw-p 00000000 00:00 0  [heap]\nSize: 9 kB\nRss:  " rss " kB\nPss:   " pss          \
	      " kB\nPss_Dirty: 7 kB\n"

static void leaves_the_guests_memory_out(void **state)
{
	static const char text[] =
	        MAPPING("1000-2000", "4", "2") MAPPING("10000-110000", "900", "800")
	                MAPPING("200000-400000", "100", "90") MAPPING("500000-501000", "4", "3");
	uint64_t beyond = 7;

	(void)state;
	assert_int_equal(read_text(text, 1 << 20, &beyond), 0);
	assert_int_equal(beyond, (2 + 90 + 3) * 1024);
	assert_int_equal(read_text(text, 2 << 20, &beyond), 0);
	assert_int_equal(beyond, (2 + 800 + 3) * 1024);
	beyond = 7;
	assert_int_equal(read_text(text, 4 << 20, &beyond), -1);
	assert_int_equal(read_text("x", 1, &beyond), -1);
	assert_int_equal(read_text("1000-2000 rw-p 0\nRss: 4 kB\n", 1, &beyond), -1);
	assert_int_equal(read_text("1000-2000 rw-p 0\nRss: x kB\nPss: 4 kB\n", 1, &beyond), -1);
	assert_int_equal(read_text("2000-1000 rw-p 0\nRss: 4 kB\nPss: 4 kB\n", 1, &beyond), -1);
	assert_int_equal(beyond, 7);
}

static void knows_the_threads_of_virtual_cpus(void **state)
{
	(void)state;
	assert_true(overhead_is_vcpu("CPU 0/KVM\n"));
	assert_true(overhead_is_vcpu("CPU 12/TCG"));
	assert_false(overhead_is_vcpu("CPU 0/HVM"));
	assert_false(overhead_is_vcpu("qemu-system-x86"));
	assert_false(overhead_is_vcpu("IO mon_iothread"));
	assert_false(overhead_is_vcpu(""));
}

static void reads_this_process(void **state)
{
	struct overhead_cpu cpu;
	uint64_t beyond = 0;

	(void)state;
	assert_int_equal(overhead_read_cpu(getpid(), &cpu), 0);
	assert_true(cpu.all_ns > 0 && cpu.vcpus == 0);
	assert_int_equal(overhead_read_memory(getpid(), 4096, &beyond), 0);
	assert_true(beyond > 0);
	assert_int_equal(overhead_read_cpu(0x7ffffffe, &cpu), -1);
	assert_int_equal(overhead_read_memory(0x7ffffffe, 1, &beyond), -1);
}

#define TEST(name) cmocka_unit_test_teardown(name, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(says_what_each_vm_adds),
	        TEST(loads_as_many_vms_as_there_are),
	        TEST(what_is_not_told_is_no_sample),
	        TEST(looks_at_the_process_where_there_is_one),
	        TEST(a_vm_that_does_not_come_fails_the_replicate),
	        TEST(an_interruption_is_no_failure),
	        TEST(refuses_wrong_parameters),
	        TEST(the_slope_is_per_vm_and_not_the_mean),
	        TEST(leaves_the_guests_memory_out),
	        TEST(knows_the_threads_of_virtual_cpus),
	        TEST(reads_this_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
