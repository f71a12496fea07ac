/* SPDX-License-Identifier: MIT */
/* A small benchmark on the library, in the test host: what a replicate does, and how it fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <novacore/testhost.h>
#include <novacore/workload/workload.h>

#include "programs.h"

#define MS 1000000ll

/* --- the benchmark: one program, whose output is a number ---------------------------------------
 */

NOVA_WORKLOAD_METRIC(SPEED, PER_SECOND, HIGHER, "tried.speed", "What the tool says of itself");
NOVA_WORKLOAD_METRIC(OTHER, PER_SECOND, HIGHER, "tried.other", "The same once more");
NOVA_WORKLOAD_HOST_METRICS("tried");

static const struct nova_metric *const MEASURED[] = {&SPEED, &OTHER, NULL};
static const struct nova_metric *const METRICS[] = {
        &SPEED, &OTHER, &HOST_FREQUENCY, &HOST_CELSIUS, &HOST_STEAL, &GUEST_STEAL, NULL};
static const struct nova_workload_program PROGRAMS[] = {{"tool", "tool-package"}, {NULL, NULL}};
static const struct nova_workload_kind KIND = {
        .name = "tried",
        .programs = PROGRAMS,
        .measured = MEASURED,
        .frequency = &HOST_FREQUENCY,
        .celsius = &HOST_CELSIUS,
        .steal = &HOST_STEAL,
        .guest_steal = &GUEST_STEAL,
};
static const struct nova_parameter *const PARAMETERS[] = {&nova_workload_threads,
                                                          &nova_workload_cpus, NULL};

static struct nova_workload work;

static int create(const struct nova_host *on, const struct nova_lab *lab, nova_run run, void **self)
{
	*self = &work;
	return nova_workload_create(&work, &KIND, on, lab, run);
}

static int replicate(void *self, nova_run run, uint32_t index, uint32_t side)
{
	static const char *const argv[] = {"tool", "--fast", NULL};
	double value;

	(void)self;
	(void)run;
	(void)index;
	if (nova_workload_begin(&work, side) == NOVA_DONE &&
	    nova_workload_run(&work, argv, 5 * NOVA_WORKLOAD_SECOND_NS, MEASURED) == NOVA_DONE) {
		if (sscanf(work.output, "%lf", &value) == 1) {
			nova_workload_put(&work, &SPEED, value);
			nova_workload_put(&work, &OTHER, value);
		} else {
			nova_workload_reject(&work, MEASURED, "it says no number");
		}
	}
	return nova_workload_end(&work);
}

static void destroy(void *self)
{
	nova_workload_free(self);
}

static const char *const NEEDS[] = {NOVA_CAN_CREATE, NOVA_CAN_START, NOVA_CAN_READY, NOVA_CAN_EXEC,
                                    NULL};
static const struct nova_benchmark BENCHMARK = {
        .struct_size = sizeof(BENCHMARK),
        .flags = NOVA_BENCHMARK_NATIVE,
        .targets_min = 1,
        .needs = NEEDS,
        .metrics = METRICS,
        .create = create,
        .replicate = replicate,
        .destroy = destroy,
};
static const struct nova_plugin PLUGIN = {
        .struct_size = sizeof(PLUGIN),
        .kind = NOVA_KIND_BENCHMARK,
        .thread_model = NOVA_THREADS_PARALLEL,
        .name = "tried",
        .version = "1",
        .summary = "For tests",
        .license = "MIT",
        .parameters = PARAMETERS,
        .ops = &BENCHMARK,
};

/* --- around it ----------------------------------------------------------------------------------
 */

static struct nova_testhost *host;

static int clean(void **state)
{
	(void)state;
	nova_testhost_free(host);
	host = NULL;
	return 0;
}

static void make(const char *parameter)
{
	const char *parameters[] = {parameter, NULL};

	clean(NULL);
	host = nova_testhost_new(&PLUGIN, parameters);
	assert_non_null(host);
	assert_int_equal(nova_testhost_start(host), NOVA_DONE);
	nova_testhost_script_exec(host, "tool", "12.5\n", 0);
}

static int make_plain(void **state)
{
	(void)state;
	make("cpus=none");
	return 0;
}

static void script(const char *name, int status, uint32_t times)
{
	assert_int_equal(nova_testhost_script(host, name, status, 0, times), NOVA_DONE);
}

static int run(uint32_t side)
{
	int status = nova_testhost_replicate(host, 0, side);

	assert_int_equal(nova_testhost_complaints(host), 0);
	return status;
}

static void assert_attempt(uint32_t status)
{
	for (uint32_t i = NOVA_SAMPLE_OK; i <= NOVA_SAMPLE_TIMED_OUT; i++)
		assert_int_equal(nova_testhost_attempts(host, i), i == status);
}

/* Both metrics have failed, and say so with `why` in it. */
static void assert_failed(uint32_t status, const char *why)
{
	for (const struct nova_metric *const *metric = MEASURED; *metric; metric++) {
		const struct nova_sample *sample =
		        nova_testhost_sample_of(host, (*metric)->name, 0);

		assert_non_null(sample);
		assert_null(nova_testhost_sample_of(host, (*metric)->name, 1));
		assert_int_equal(sample->status, status);
		assert_non_null(sample->why);
		if (!strstr(sample->why, why))
			fail_msg("\"%s\" is not in \"%s\"", why, sample->why);
		assert_true(strlen(sample->why) < 4096);
	}
	assert_attempt(status);
}

/* --- tests --------------------------------------------------------------------------------------
 */

static void runs_the_program_in_a_fresh_vm(void **state)
{
	const struct nova_sample *sample;

	(void)state;
	assert_int_equal(run(NOVA_SIDE_VM), NOVA_DONE);
	assert_string_equal(nova_testhost_calls(host, 1),
	                    "vm_create vm_power.start wait.ready vm_query.state exec exec exec");
	assert_string_equal(nova_testhost_command(host, 1), "tool --fast");
	sample = nova_testhost_sample_of(host, "tried.speed", 0);
	assert_non_null(sample);
	assert_true(sample->value > 12.4 && sample->value < 12.6);
	assert_int_equal(sample->vm, 1);
	assert_int_equal(sample->side, NOVA_SIDE_VM);
	assert_attempt(NOVA_SAMPLE_OK);
	assert_int_equal(nova_testhost_leftovers(host), 1); /* the host deletes it */
	assert_int_equal(run(NOVA_SIDE_VM), NOVA_DONE);
	assert_int_equal(nova_testhost_vms(host), 2);
}

static void runs_the_same_here_without_a_vm(void **state)
{
	(void)state;
	assert_int_equal(run(NOVA_SIDE_NATIVE), NOVA_DONE);
	assert_int_equal(nova_testhost_vms(host), 0);
	assert_string_equal(nova_testhost_command(host, 0), "tool --fast");
	assert_null(nova_testhost_command(host, 1));
	assert_int_equal(nova_testhost_sample_of(host, "tried.speed", 0)->side, NOVA_SIDE_NATIVE);
	assert_attempt(NOVA_SAMPLE_OK);
}

static void pins_the_program_here_to_as_many_cpus_as_threads(void **state)
{
	char wanted[64];

	(void)state;
	make("cpus=auto");
	assert_int_equal(run(NOVA_SIDE_NATIVE), NOVA_DONE);
	assert_non_null(strchr("0123456789", work.cpus[0]));
	assert_null(strchr(work.cpus, ','));
	snprintf(wanted, sizeof(wanted), "taskset -c %.20s tool --fast", work.cpus);
	assert_string_equal(nova_testhost_command(host, 0), wanted);
	/* not in the VM, whose vCPUs are pinned */
	assert_int_equal(run(NOVA_SIDE_VM), NOVA_DONE);
	assert_string_equal(nova_testhost_command(host, 2), "tool --fast");
}

static void says_where_vms_cannot_be_pinned(void **state)
{
	(void)state;
	make("cpus=auto");
	nova_testhost_deny(host, NOVA_CAN_PIN, "it never learnt to");
	assert_int_equal(run(NOVA_SIDE_VM), NOVA_DONE);
	assert_true(
	        nova_testhost_logged(host, "not pinned: the target cannot: it never learnt to"));
}

static void refuses_cpus_that_it_cannot_use(void **state)
{
	static const char *const wrong[][2] = {{"cpus=1-", "no list of CPUs"},
	                                       {"cpus=1023", "CPU 1023 is not one of"},
	                                       {"cpus=", "no list of CPUs"}};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *parameters[] = {wrong[i][0], NULL};
		const char *too_few[] = {"cpus=0", "threads=2", NULL};

		clean(NULL);
		host = nova_testhost_new(&PLUGIN, parameters);
		assert_non_null(host);
		assert_int_equal(nova_testhost_start(host), NOVA_E_INVALID);
		assert_non_null(strstr(nova_testhost_error(host), wrong[i][1]));
		clean(NULL);
		host = nova_testhost_new(&PLUGIN, too_few);
		assert_int_equal(nova_testhost_start(host), NOVA_E_INVALID);
		assert_non_null(strstr(nova_testhost_error(host), "1 CPUs are too few for 2"));
	}
}

static void a_vm_that_does_not_come_fails_all_that_it_owes(void **state)
{
	static const struct {
		const char *name;
		int status;
		uint32_t sample;
		const char *why;
	} cases[] = {
	        {"vm_create", NOVA_E_FAILED, NOVA_SAMPLE_FAILED, "could not be created; the log"},
	        {"vm_create", NOVA_E_TIMEOUT, NOVA_SAMPLE_TIMED_OUT,
	         "could not be created in time"},
	        {"vm_power.start", NOVA_E_BUSY, NOVA_SAMPLE_FAILED, "could not be started"},
	        {"event.ready", NOVA_E_TIMEOUT, NOVA_SAMPLE_TIMED_OUT,
	         "could not be ready in time"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make("cpus=none");
		script(cases[i].name, cases[i].status, 0);
		assert_int_equal(run(NOVA_SIDE_VM), NOVA_DONE);
		assert_failed(cases[i].sample, cases[i].why);
		assert_int_equal(nova_testhost_sample_count(host), 2);
		assert_true(nova_testhost_logged(host, cases[i].why));
	}
}

static void a_program_that_fails_says_how_and_shows_its_output(void **state)
{
	static const struct {
		const char *output;
		int status;
		const char *why;
	} cases[] = {
	        {"", 1, "tool ended with exit status 1"},
	        {"no such thing\n", 2, "exit status 2; standard output: no such thing"},
	        {"", 127, "tool is not there (exit status 127); install the package tool-package"},
	        {"", -9, "tool was ended by signal 9"},
	        {"gr\xc3\xbc\x01\x1b[0m\n", 0, "it says no number; standard output: gr???"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make("cpus=none");
		nova_testhost_script_exec(host, "tool", cases[i].output, cases[i].status);
		assert_int_equal(run(NOVA_SIDE_VM), NOVA_DONE);
		assert_failed(NOVA_SAMPLE_FAILED, cases[i].why);
	}
}

static void a_program_that_is_not_here_ends_only_the_native_side(void **state)
{
	(void)state;
	programs_remove(state);
	assert_int_equal(run(NOVA_SIDE_VM), NOVA_DONE);
	assert_attempt(NOVA_SAMPLE_OK);
	assert_int_equal(run(NOVA_SIDE_NATIVE), NOVA_E_UNAVAILABLE);
	assert_non_null(strstr(nova_testhost_error(host), "tool is not installed on this host"));
	assert_non_null(strstr(nova_testhost_error(host), "apt-get install tool-package"));
	assert_non_null(strstr(nova_testhost_error(host), "run.native=false"));
	assert_attempt(NOVA_SAMPLE_OK);
	programs_make(state);
}

static void a_program_that_cannot_be_run_or_does_not_end_has_failed(void **state)
{
	(void)state;
	script("exec", NOVA_DONE, 1);
	script("exec", NOVA_E_UNAVAILABLE, 1);
	assert_int_equal(run(NOVA_SIDE_VM), NOVA_DONE);
	assert_failed(NOVA_SAMPLE_FAILED, "tool could not be run in the VM");
	make("cpus=none");
	script("exec", NOVA_E_TIMEOUT, 1);
	assert_int_equal(run(NOVA_SIDE_NATIVE), NOVA_DONE);
	assert_failed(NOVA_SAMPLE_TIMED_OUT, "tool had not ended 120 s after it should have");
}

static void output_without_end_is_not_swallowed(void **state)
{
	char *endless = malloc((2 << 20) + 1);

	(void)state;
	assert_non_null(endless);
	memset(endless, '1', 2 << 20);
	endless[2 << 20] = '\0';
	nova_testhost_script_exec(host, "tool", endless, 0);
	assert_int_equal(run(NOVA_SIDE_VM), NOVA_DONE);
	assert_failed(NOVA_SAMPLE_FAILED, "the output of tool was cut off");
	free(endless);
}

static void output_that_the_hypervisor_cut_off_is_not_used(void **state)
{
	(void)state;
	nova_testhost_set_i64(host, NOVA_FIELD_TRUNCATED, 1);
	assert_int_equal(run(NOVA_SIDE_VM), NOVA_DONE);
	assert_failed(NOVA_SAMPLE_FAILED, "the output of tool was cut off");
}

static void returns_at_once_when_interrupted_or_refused(void **state)
{
	static const char *const points[] = {"vm_create", "vm_power.start", "event.ready",
	                                     "vm_query", "exec"};
	static const int statuses[] = {NOVA_E_INTERRUPTED, NOVA_E_REFUSED};

	(void)state;
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		for (size_t j = 0; j < 2; j++) {
			if (j == 1 && i == 2)
				continue; /* an event is not refused */
			make("cpus=none");
			script(points[i], statuses[j], 0);
			assert_int_equal(run(NOVA_SIDE_VM), statuses[j]);
			assert_int_equal(nova_testhost_sample_count(host), 0);
			assert_attempt(0);
		}
}

static void counts_the_time_that_a_guest_was_robbed_of(void **state)
{
	(void)state;
	/* the same both times: nothing passed, so there is no share */
	nova_testhost_script_exec(host, "cat", "cpu  1 2 3 4 5 6 7 8 0 0\n", 0);
	assert_int_equal(run(NOVA_SIDE_VM), NOVA_DONE);
	assert_null(nova_testhost_sample_of(host, "tried.guest.steal", 0));
	assert_true(nova_testhost_logged(host, "no tried.guest.steal"));
	assert_attempt(NOVA_SAMPLE_OK);
}

static void durations_become_whole_seconds(void **state)
{
	(void)state;
	assert_int_equal(nova_workload_whole_seconds(1), 1);
	assert_int_equal(nova_workload_whole_seconds(0), 1);
	assert_int_equal(nova_workload_whole_seconds(1000 * MS), 1);
	assert_int_equal(nova_workload_whole_seconds(1001 * MS), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_plain, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(runs_the_program_in_a_fresh_vm),
	        TEST(runs_the_same_here_without_a_vm),
	        TEST(pins_the_program_here_to_as_many_cpus_as_threads),
	        TEST(says_where_vms_cannot_be_pinned),
	        TEST(refuses_cpus_that_it_cannot_use),
	        TEST(a_vm_that_does_not_come_fails_all_that_it_owes),
	        TEST(a_program_that_fails_says_how_and_shows_its_output),
	        TEST(a_program_that_is_not_here_ends_only_the_native_side),
	        TEST(a_program_that_cannot_be_run_or_does_not_end_has_failed),
	        TEST(output_without_end_is_not_swallowed),
	        TEST(output_that_the_hypervisor_cut_off_is_not_used),
	        TEST(returns_at_once_when_interrupted_or_refused),
	        TEST(counts_the_time_that_a_guest_was_robbed_of),
	        TEST(durations_become_whole_seconds),
	};

	return cmocka_run_group_tests(tests, programs_make, programs_remove);
}
