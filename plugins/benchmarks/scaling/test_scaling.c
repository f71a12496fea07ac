/* SPDX-License-Identifier: MIT */
/* The scaling benchmark on a simulated host: times from the demand, replacements, overshoot. */
#include "../density/test_fleet.h"

#define BORN "vm_create vm_power.start wait.running wait.ready"

static void counts_from_the_demand_to_each_and_to_all(void **state)
{
	(void)state;
	MAKE("levels=4", "concurrency=1"); /* one after the other: 1 + 1 + 4 ms each */
	assert_int_equal(nova_testhost_width(host), 4);
	assert_int_equal(run(), NOVA_DONE);
	for (uint32_t i = 0; i < 4; i++)
		assert_near(nova_testhost_sample_of(host, "scaling.ready", i)->value,
		            0.006 * (i + 1));
	assert_near(value_of("scaling.satisfied"), 0.024);
	assert_near(value_of("scaling.overshoot"), 0);
	assert_near(value_of("scaling.replaced"), 0);
	assert_attempts(4, 0, 0);
}

static void orders_all_of_a_demand_at_the_same_time(void **state)
{
	(void)state;
	MAKE("levels=20");
	assert_int_equal(run(), NOVA_DONE);
	assert_near(value_of("scaling.satisfied"), 0.006);
	assert_int_equal(fine("scaling.ready"), 20);
}

static void a_population_is_there_before_and_not_measured(void **state)
{
	const struct nova_sample *sample;

	(void)state;
	MAKE("levels=2", "base=5");
	assert_int_equal(run(), NOVA_DONE);
	/* the one that is tried, five, two */
	assert_int_equal(nova_testhost_vms(host), 8);
	assert_attempts(2, 0, 0);
	for (uint32_t i = 0; (sample = nova_testhost_sample(host, i)); i++)
		assert_true(sample->vm == 0 || sample->vm > 6);
	assert_near(value_of("scaling.satisfied"), 0.006);
	assert_near(value_of("scaling.overshoot"), 0);
}

static void a_population_that_does_not_come_up_ends_it(void **state)
{
	(void)state;
	MAKE("levels=2", "base=3");
	script("vm_power.start", NOVA_DONE, 0, 2);
	script("vm_power.start", NOVA_E_FAILED, 0, 1);
	assert_int_equal(run(), NOVA_E_FAILED);
	assert_non_null(strstr(nova_testhost_error(host), "population"));
	assert_attempts(0, 0, 0);
}

static void one_that_fails_is_deleted_and_replaced(void **state)
{
	(void)state;
	MAKE("levels=3", "concurrency=1");
	script("vm_power.start", NOVA_DONE, 0, 2);
	script("vm_power.start", NOVA_E_FAILED, 0, 1);
	assert_int_equal(run(), NOVA_DONE);
	assert_attempts(3, 1, 0);
	assert_string_equal(nova_testhost_calls(host, 3), "vm_create vm_power.start vm_delete");
	assert_string_equal(nova_testhost_calls(host, 4), BORN);
	assert_near(value_of("scaling.replaced"), 1);
	assert_near(value_of("scaling.overshoot"), 0); /* it is gone by then */
	/* 6 ms; create, start and delete of the one that failed, then 6 ms; 6 ms */
	assert_near(value_of("scaling.satisfied"), 0.006 + 0.003 + 0.006 + 0.006);
}

static void one_that_is_late_stays_and_is_overshoot(void **state)
{
	(void)state;
	MAKE("levels=2", "concurrency=1", "patience=20ms");
	script("event.ready", NOVA_DONE, 0, 1);
	script("event.ready", NOVA_DONE, 500 * MS, 1);
	assert_int_equal(run(), NOVA_DONE);
	assert_attempts(2, 0, 1);
	assert_string_equal(nova_testhost_calls(host, 2), BORN); /* late, not deleted */
	assert_near(value_of("scaling.replaced"), 1);
	assert_near(value_of("scaling.overshoot"), 1);
	assert_int_equal(nova_testhost_leftovers(host), 3);
}

static void a_demand_that_is_not_met_says_so(void **state)
{
	(void)state;
	MAKE("levels=3", "concurrency=1", "retries=0");
	script("vm_create", NOVA_DONE, 0, 2);
	script("vm_create", NOVA_E_FAILED, 0, 1);
	assert_int_equal(run(), NOVA_DONE);
	assert_attempts(2, 1, 0);
	assert_int_equal(fine("scaling.ready"), 2);
	assert_int_equal(count_of("scaling.ready", NOVA_SAMPLE_FAILED), 1);
	assert_int_equal(count_of("scaling.satisfied", NOVA_SAMPLE_FAILED), 1);
	assert_null(nova_testhost_sample_of(host, "scaling.overshoot", 0));
	MAKE("levels=2", "concurrency=1", "retries=2");
	script("vm_create", NOVA_DONE, 0, 1);
	script("vm_create", NOVA_E_TIMEOUT, 0, 0);
	assert_int_equal(run(), NOVA_DONE);
	assert_attempts(0, 0, 6);
	assert_int_equal(count_of("scaling.ready", NOVA_SAMPLE_TIMED_OUT), 2);
	assert_near(value_of("scaling.replaced"), 4);
}

static void a_stub_is_measured_under_a_name_of_its_own(void **state)
{
	(void)state;
	MAKE("levels=2", "guest=stub");
	assert_int_equal(run(), NOVA_DONE);
	assert_int_equal(fine("scaling.control-plane.ready"), 2);
	assert_int_equal(fine("scaling.control-plane.satisfied"), 1);
	assert_int_equal(fine("scaling.ready"), 0);
}

static void each_demand_begins_anew(void **state)
{
	(void)state;
	MAKE("levels=2");
	assert_int_equal(run(), NOVA_DONE);
	assert_int_equal(nova_testhost_replicate(host, 1, NOVA_SIDE_VM), NOVA_DONE);
	assert_int_equal(nova_testhost_complaints(host), 0);
	assert_int_equal(fine("scaling.satisfied"), 2);
	assert_near(nova_testhost_sample_of(host, "scaling.satisfied", 1)->value, 0.006);
	assert_near(nova_testhost_sample_of(host, "scaling.overshoot", 1)->value, 0);
}

static void returns_at_once_when_interrupted(void **state)
{
	static const char *const points[] = {"vm_create", "vm_power.start", "event.running",
	                                     "event.ready"};

	(void)state;
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		for (uint32_t after = 0; after < 3; after++) { /* tried, population, demand */
			MAKE("levels=2", "base=1", "concurrency=1");
			if (after)
				script(points[i], NOVA_DONE, 0, after);
			script(points[i], NOVA_E_INTERRUPTED, 0, 1);
			assert_int_equal(run(), NOVA_E_INTERRUPTED);
			assert_attempts(0, 0, 0);
		}
}

static void refuses_wrong_parameters(void **state)
{
	static const char *const wrong[] = {"levels=0",   "levels=1001", "levels=one",
	                                    "base=-1",    "retries=11",  "patience=0s",
	                                    "patience=5", "guest=none",  "concurrency=x",
	                                    "level=3",    NULL};

	(void)state;
	assert_refused(wrong);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(counts_from_the_demand_to_each_and_to_all),
	        TEST(orders_all_of_a_demand_at_the_same_time),
	        TEST(a_population_is_there_before_and_not_measured),
	        TEST(a_population_that_does_not_come_up_ends_it),
	        TEST(one_that_fails_is_deleted_and_replaced),
	        TEST(one_that_is_late_stays_and_is_overshoot),
	        TEST(a_demand_that_is_not_met_says_so),
	        TEST(a_stub_is_measured_under_a_name_of_its_own),
	        TEST(each_demand_begins_anew),
	        TEST(returns_at_once_when_interrupted),
	        TEST(refuses_wrong_parameters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
