/* SPDX-License-Identifier: MIT */
/* The density benchmark on a simulated host: calls, samples, failures, limits. */
#include "test_fleet.h"

#include <unistd.h>

#include "host.h"

#define TRIED   "vm_create vm_power.start wait.running wait.ready vm_query.state room vm_delete"
#define BORN    "vm_create vm_power.start wait.running"
#define LIVED   BORN " wait.ready wait.first vm_delete"
#define STUB(x) "density.control-plane." x

/* --- a burst ------------------------------------------------------------------------------ */

static void brings_up_and_deletes_as_many_as_asked_for(void **state)
{
	(void)state;
	MAKE("count=10", "concurrency=3");
	assert_int_equal(nova_testhost_width(host), 10);
	assert_int_equal(run(), NOVA_DONE);
	assert_int_equal(nova_testhost_vms(host), 11);
	assert_attempts(10, 0, 0);
	assert_int_equal(fine("density.running"), 10);
	assert_int_equal(fine("density.first"), 10);
	assert_int_equal(fine("density.ready"), 10);
	assert_int_equal(fine("density.api"), 20);
	assert_int_equal(fine("density.delete"), 10);
	for (nova_vm vm = 2; vm <= 11; vm++)
		assert_string_equal(nova_testhost_calls(host, vm), LIVED);
	assert_int_equal(nova_testhost_leftovers(host), 0);
}

static void tries_one_vm_before_it_orders_the_others(void **state)
{
	(void)state;
	MAKE("count=2");
	assert_int_equal(run(), NOVA_DONE);
	assert_string_equal(nova_testhost_calls(host, 1), TRIED);
	for (uint32_t i = 0; nova_testhost_sample(host, i); i++)
		assert_int_not_equal(nova_testhost_sample(host, i)->vm, 1);
	/* once, not before each burst */
	assert_int_equal(nova_testhost_replicate(host, 1, NOVA_SIDE_VM), NOVA_DONE);
	assert_int_equal(nova_testhost_vms(host), 5);
}

static void a_vm_that_cannot_come_up_is_found_before_the_burst(void **state)
{
	(void)state;
	MAKE("count=50");
	script("event.ready", NOVA_E_TIMEOUT, 0, 1);
	assert_int_equal(run(), NOVA_E_FAILED);
	assert_int_equal(nova_testhost_vms(host), 1);
	assert_non_null(strstr(nova_testhost_error(host), "its agent is ready"));
	assert_int_equal(nova_testhost_leftovers(host), 0);
	assert_attempts(0, 0, 0);
}

static void nothing_is_ordered_where_there_is_no_room(void **state)
{
	(void)state;
	MAKE("count=50");
	script("room", NOVA_E_REFUSED, 0, 1);
	assert_int_equal(run(), NOVA_E_REFUSED);
	assert_int_equal(nova_testhost_vms(host), 1);
	assert_attempts(0, 0, 0);
}

static void holds_itself_to_a_number_per_target(void **state)
{
	(void)state;
	MAKE("count=201");
	assert_int_equal(run(), NOVA_E_REFUSED);
	assert_int_equal(nova_testhost_vms(host), 0);
	assert_non_null(strstr(nova_testhost_error(host), "201 on each"));
	MAKE("count=201", "per_target=201");
	assert_int_equal(run(), NOVA_DONE);
	assert_attempts(201, 0, 0);
	MAKE("count=201", "guest=stub"); /* the issue's own command has 400 */
	assert_int_equal(run(), NOVA_DONE);
	assert_attempts(201, 0, 0);
	MAKE("count=9", "guest=stub", "per_target=8");
	assert_int_equal(run(), NOVA_E_REFUSED);
}

static void rates_are_of_the_whole_burst(void **state)
{
	(void)state;
	MAKE("count=4", "concurrency=2");
	script("vm_create", NOVA_DONE, 10 * MS, 0);
	script("vm_power.start", NOVA_DONE, 20 * MS, 0);
	script("vm_delete", NOVA_DONE, 40 * MS, 0);
	assert_int_equal(run(), NOVA_DONE);
	/* two after each other on each of two lanes: 2 (10 + 20 + 4) ms */
	assert_near(value_of("density.burst"), 0.068);
	assert_near(value_of("density.rate"), 4 / 0.068);
	assert_near(value_of("density.delete.rate"), 4 / 0.040);
}

static void an_open_loop_counts_from_the_intended_start(void **state)
{
	const struct nova_sample *sample;

	(void)state;
	/* One lane that takes 34 ms a VM, and 100 starts a second: each waits longer. */
	MAKE("count=5", "rate=100/s", "concurrency=1");
	script("vm_create", NOVA_DONE, 10 * MS, 0);
	script("vm_power.start", NOVA_DONE, 20 * MS, 0);
	assert_int_equal(run(), NOVA_DONE);
	for (uint32_t i = 0; i < 5; i++) {
		sample = nova_testhost_sample_of(host, "density.ready", i);
		assert_non_null(sample);
		assert_near(sample->value, 0.034 * (i + 1) - 0.010 * i);
		assert_int_not_equal(sample->intended_ns, 0);
	}
	MAKE("count=5", "concurrency=1");
	assert_int_equal(run(), NOVA_DONE);
	sample = nova_testhost_sample_of(host, "density.ready", 4);
	assert_near(sample->value, 0.006);
	assert_int_equal(sample->intended_ns, 0);
}

static void an_open_loop_is_not_held_up_by_slow_vms(void **state)
{
	(void)state;
	MAKE("count=20", "rate=100/s");
	script("event.ready", NOVA_DONE, 5000 * MS, 0);
	assert_int_equal(run(), NOVA_DONE);
	/* all were ordered within 0.2 s: 0.19 + create 1 + start 1 + 5000 ms after the start */
	assert_near(value_of("density.burst"), 0.190 + 0.002 + 5.0);
}

/* --- what fails --------------------------------------------------------------------------- */

static void a_failure_is_a_sample_in_each_metric_that_was_to_come(void **state)
{
	static const struct {
		const char *fails;
		const char *metrics[4];
	} cases[] = {
	        {"vm_create", {"density.api", "density.running", "density.ready"}},
	        {"vm_power.start", {"density.api", "density.running", "density.ready"}},
	        {"event.running", {"density.running", "density.ready"}},
	        {"event.ready", {"density.ready"}},
	};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t late = i % 2;
		uint32_t status = late ? NOVA_SAMPLE_TIMED_OUT : NOVA_SAMPLE_FAILED;

		MAKE("count=5", "concurrency=1");
		script(cases[i / 2].fails, NOVA_DONE, 0, 3); /* the one that is tried, and two */
		script(cases[i / 2].fails, late ? NOVA_E_TIMEOUT : NOVA_E_FAILED, 0, 1);
		assert_int_equal(run(), NOVA_DONE);
		assert_attempts(4, !late, late);
		for (size_t m = 0; cases[i / 2].metrics[m]; m++)
			assert_int_equal(count_of(cases[i / 2].metrics[m], status), 1);
		assert_int_equal(fine("density.ready"), 4);
		assert_int_equal(fine("density.delete"), 4);
		/* of five that were ordered four came: the rate counts these */
		assert_near(value_of("density.rate") * value_of("density.burst"), 4);
		assert_int_equal(nova_testhost_leftovers(host), 0);
	}
}

static void a_deletion_that_fails_is_a_sample_too(void **state)
{
	(void)state;
	MAKE("count=3", "concurrency=1");
	script("vm_delete", NOVA_DONE, 0, 2);
	script("vm_delete", NOVA_E_FAILED, 0, 1);
	assert_int_equal(run(), NOVA_DONE);
	assert_int_equal(fine("density.delete"), 2);
	assert_int_equal(count_of("density.delete", NOVA_SAMPLE_FAILED), 1);
}

static void returns_at_once_when_interrupted(void **state)
{
	static const char *const points[] = {"vm_create",     "vm_power.start", "event.running",
	                                     "event.ready",   "event.first",    "vm_delete",
	                                     "vm_query.state"};

	(void)state;
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		for (uint32_t after = 0; after < 2; after++) {
			if (after && !strcmp(points[i], "vm_query.state"))
				continue; /* there is only one */
			if (!after && !strcmp(points[i], "event.first"))
				continue; /* not waited for by the one that is tried */
			MAKE("count=3", "concurrency=1", "churn=20ms");
			if (after)
				script(points[i], NOVA_DONE, 0, 2);
			script(points[i], NOVA_E_INTERRUPTED, 0, 1);
			assert_int_equal(run(), NOVA_E_INTERRUPTED);
		}
}

/* --- guests ------------------------------------------------------------------------------- */

static void a_stub_is_measured_under_a_name_of_its_own(void **state)
{
	const struct nova_sample *sample;

	(void)state;
	MAKE("count=3", "guest=stub");
	assert_int_equal(run(), NOVA_DONE);
	assert_int_equal(fine(STUB("first")), 3);
	assert_int_equal(fine(STUB("running")), 3);
	assert_int_equal(fine(STUB("rate")), 1);
	for (uint32_t i = 0; (sample = nova_testhost_sample(host, i)); i++)
		assert_int_equal(strncmp(sample->metric, STUB(""), strlen(STUB(""))), 0);
	assert_string_equal(nova_testhost_calls(host, 2), BORN " wait.first wait.first vm_delete");
}

static void the_boot_sector_is_one(void **state)
{
	unsigned char sector[513];
	char path[4096];
	FILE *file;

	(void)state;
	MAKE("count=1", "guest=stub");
	assert_int_equal(run(), NOVA_DONE);
	snprintf(
	        path, sizeof(path), "%s/stub.img",
	        nova_testhost_table()->directory(nova_testhost_instance(host), NOVA_DIRECTORY_RUN));
	file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fread(sector, 1, sizeof(sector), file), 512);
	fclose(file);
	assert_int_equal(sector[510], 0x55);
	assert_int_equal(sector[511], 0xaa);
	assert_int_equal(sector[0], 0xba); /* mov dx */
	assert_int_equal(sector[1] | sector[2] << 8, 0x2f8);
}

static void what_the_target_cannot_boot_is_unsupported(void **state)
{
	(void)state;
	MAKE("count=3", "guest=stub");
	nova_testhost_deny(host, NOVA_CAN_STUB, "it never learnt to");
	assert_int_equal(run(), NOVA_E_UNSUPPORTED);
	assert_non_null(strstr(nova_testhost_error(host), "it never learnt to"));
	assert_int_equal(nova_testhost_vms(host), 0);
	MAKE("count=3", "guest=image", "image=mine.qcow2");
	nova_testhost_deny(host, NOVA_CAN_DISK, "it never learnt to");
	assert_int_equal(run(), NOVA_E_UNSUPPORTED);
	MAKE("count=3", "guest=image"); /* as configured: whatever that is */
	assert_int_equal(run(), NOVA_DONE);
	assert_attempts(3, 0, 0);
}

static void the_end_point_is_the_last_that_can_be_told(void **state)
{
	(void)state;
	MAKE("count=1");
	nova_testhost_deny(host, NOVA_CAN_READY, "no agent");
	assert_int_equal(run(), NOVA_DONE);
	assert_string_equal(nova_testhost_calls(host, 2), BORN " wait.first wait.first vm_delete");
	assert_int_equal(fine("density.first"), 1);
	MAKE("count=1");
	nova_testhost_deny(host, NOVA_CAN_READY, "no agent");
	nova_testhost_deny(host, NOVA_CAN_BEAT, "no port");
	assert_int_equal(run(), NOVA_DONE);
	assert_string_equal(nova_testhost_calls(host, 2), BORN " vm_delete");
	MAKE("count=1", "until=running");
	assert_int_equal(run(), NOVA_DONE);
	assert_string_equal(nova_testhost_calls(host, 2), BORN " vm_delete");
	MAKE("count=1", "until=ready");
	nova_testhost_deny(host, NOVA_CAN_READY, "no agent");
	assert_int_equal(run(), NOVA_E_UNSUPPORTED);
	MAKE("count=1", "until=ready", "guest=stub");
	assert_int_equal(run(), NOVA_E_INVALID);
	assert_non_null(strstr(nova_testhost_error(host), "until=first"));
}

/* --- percentile, churn, cool-down, host ----------------------------------------------------- */

static void claims_a_percentile_only_with_calls_enough(void **state)
{
	(void)state;
	MAKE("count=149", "concurrency=4"); /* 298 calls */
	assert_int_equal(run(), NOVA_DONE);
	assert_int_equal(fine("density.api.p99"), 0);
	assert_true(nova_testhost_logged(host, "298 < 299"));
	MAKE("count=150", "concurrency=1");
	script("vm_create", NOVA_DONE, 0, 148);
	script("vm_create", NOVA_DONE, 9 * MS, 1); /* three of 300 are slow: rank 297 is not */
	script("vm_create", NOVA_DONE, 8 * MS, 1);
	script("vm_create", NOVA_DONE, 7 * MS, 1);
	assert_int_equal(run(), NOVA_DONE);
	assert_near(value_of("density.api.p99"), 0.001);
	MAKE("count=150", "concurrency=1");
	script("vm_create", NOVA_DONE, 0, 147);
	for (int64_t ms = 9; ms > 5; ms--) /* four are, so that it is the fastest of them */
		script("vm_create", NOVA_DONE, ms * MS, 1);
	assert_int_equal(run(), NOVA_DONE);
	assert_near(value_of("density.api.p99"), 0.006);
}

static void a_percentile_is_not_fine_when_too_many_calls_fail(void **state)
{
	(void)state;
	MAKE("count=160", "concurrency=1");
	script("vm_create", NOVA_DONE, 0, 1);
	script("vm_create", NOVA_E_FAILED, 0, 5);
	assert_int_equal(run(), NOVA_DONE);
	assert_int_equal(count_of("density.api.p99", NOVA_SAMPLE_FAILED), 1);
}

static void churn_replaces_vms_at_a_steady_number(void **state)
{
	double rate;

	(void)state;
	MAKE("count=4", "concurrency=2", "churn=70ms");
	assert_int_equal(run(), NOVA_DONE);
	/* Each lane: delete 1, create 1, start 1, ready 4 ms: 7 ms a VM, ten in the time. */
	assert_int_equal(fine("density.churn.up"), 20);
	rate = value_of("density.churn.rate");
	assert_true(rate > 20 / 0.080 && rate <= 20 / 0.070);
	assert_attempts(24, 0, 0);
	assert_int_equal(fine("density.ready"), 4);
	assert_int_equal(fine("density.delete"), 4);
	assert_int_equal(nova_testhost_leftovers(host), 0);
}

static void a_failure_in_churn_is_counted_and_replaced_in_its_turn(void **state)
{
	(void)state;
	MAKE("count=2", "concurrency=1", "churn=70ms");
	script("vm_create", NOVA_DONE, 0, 4);
	script("vm_create", NOVA_E_FAILED, 0, 1);
	assert_int_equal(run(), NOVA_DONE);
	assert_int_equal(count_of("density.churn.up", NOVA_SAMPLE_FAILED), 1);
	assert_int_equal(nova_testhost_attempts(host, NOVA_SAMPLE_FAILED), 1);
	assert_true(fine("density.churn.up") > 5);
}

static void bursts_keep_a_distance(void **state)
{
	int64_t end_ns, next_ns;

	(void)state;
	MAKE("count=1", "cooldown=3s");
	assert_int_equal(run(), NOVA_DONE);
	end_ns = nova_testhost_now_ns(host);
	assert_int_equal(nova_testhost_replicate(host, 1, NOVA_SIDE_VM), NOVA_DONE);
	/* its first stamp: the create call's return */
	next_ns = nova_testhost_sample_of(host, "density.api", 2)->t_ns;
	assert_true(next_ns >= end_ns + 3000 * MS);
	assert_true(next_ns < end_ns + 3010 * MS);
}

static void watches_the_host_only_where_vms_are_its_processes(void **state)
{
	(void)state;
	MAKE("count=2");
	nova_testhost_unset(host, NOVA_FIELD_PID);
	script("event.ready", NOVA_DONE, 2000 * MS, 0);
	assert_int_equal(run(), NOVA_DONE);
	assert_int_equal(fine("density.host.memory"), 0);
	MAKE("count=2");
	nova_testhost_set_i64(host, NOVA_FIELD_PID, getpid());
	script("event.ready", NOVA_DONE, 2000 * MS, 0);
	assert_int_equal(run(), NOVA_DONE);
	assert_true(fine("density.host.memory") >= 4); /* each half second of two */
	assert_true(nova_testhost_sample_of(host, "density.host.memory", 0)->value > 0);
}

static void reads_what_the_kernel_tells(void **state)
{
	struct host_use from, to;

	(void)state;
	assert_int_equal(
	        host_use_parse("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3 4\n",
	                       "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:   600 kB\n",
	                       &from),
	        0);
	assert_near(from.memory_bytes, 400 * 1024.0);
	assert_int_equal(host_use_parse("cpu  130 10 60 840 60 0 0 0 7 7\n",
	                                "MemTotal: 1000 kB\nMemAvailable: 600 kB\n", &to),
	                 0);
	assert_near(host_use_cpu(&from, &to), 0.5); /* 50 of 100; guest time counts once */
	assert_true(host_use_cpu(&to, &to) < 0);
	assert_true(host_use_cpu(&to, &from) < 0);
	assert_int_equal(host_use_parse("cpu  1 2\n", "MemTotal: 1 kB\nMemAvailable: 1 kB\n", &to),
	                 -1);
	assert_int_equal(
	        host_use_parse("intr 1 2 3 4\n", "MemTotal: 1 kB\nMemAvailable: 1 kB\n", &to), -1);
	assert_int_equal(host_use_parse("cpu  1 2 3 4\n", "MemTotal: 1 kB\n", &to), -1);
	assert_int_equal(
	        host_use_parse("cpu  1 2 3 4\n", "MemTotal: 1 kB\nMemAvailable: lots\n", &to), -1);
	assert_int_equal(host_use_read(&to), 0);
	assert_true(to.memory_bytes > 0 && to.total > to.busy);
}

static void refuses_wrong_parameters(void **state)
{
	static const char *const wrong[] = {"count=0",      "count=4001",     "count=x",
	                                    "rate=0/s",     "rate=5",         "guest=linux",
	                                    "memory=16",    "concurrency=-1", "churn=5",
	                                    "cooldown=-1s", "until=never",    "per_target=0",
	                                    "vcpus=0",      "memory=1KiB",    "counts=3",
	                                    "rate=1001/s",  "op_timeout=0s",  NULL};

	(void)state;
	assert_refused(wrong);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(brings_up_and_deletes_as_many_as_asked_for),
	        TEST(tries_one_vm_before_it_orders_the_others),
	        TEST(a_vm_that_cannot_come_up_is_found_before_the_burst),
	        TEST(nothing_is_ordered_where_there_is_no_room),
	        TEST(holds_itself_to_a_number_per_target),
	        TEST(rates_are_of_the_whole_burst),
	        TEST(an_open_loop_counts_from_the_intended_start),
	        TEST(an_open_loop_is_not_held_up_by_slow_vms),
	        TEST(a_failure_is_a_sample_in_each_metric_that_was_to_come),
	        TEST(a_deletion_that_fails_is_a_sample_too),
	        TEST(returns_at_once_when_interrupted),
	        TEST(a_stub_is_measured_under_a_name_of_its_own),
	        TEST(the_boot_sector_is_one),
	        TEST(what_the_target_cannot_boot_is_unsupported),
	        TEST(the_end_point_is_the_last_that_can_be_told),
	        TEST(claims_a_percentile_only_with_calls_enough),
	        TEST(a_percentile_is_not_fine_when_too_many_calls_fail),
	        TEST(churn_replaces_vms_at_a_steady_number),
	        TEST(a_failure_in_churn_is_counted_and_replaced_in_its_turn),
	        TEST(bursts_keep_a_distance),
	        TEST(watches_the_host_only_where_vms_are_its_processes),
	        TEST(reads_what_the_kernel_tells),
	        TEST(refuses_wrong_parameters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
