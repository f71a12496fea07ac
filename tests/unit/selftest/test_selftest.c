/* SPDX-License-Identifier: MIT */
/*
 * Would the self-test see a harness that is wrong? Documents in which something was lost, invented,
 * made shorter or longer, and figures on either side of a bar.
 */
#include "core/selftest/check.h"

#include <novacore/types.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* A result of `vms` VMs of 1 s, 1.001 s, …; what is not ok has no value. */
static json_t *result_of(int vms)
{
	json_t *rows = json_array();

	for (int i = 0; i < vms; i++) {
		json_array_append_new(rows, json_pack("[isisfb]", i + 1, "lifecycle.start.api", 0,
		                                      "ok", 1 + 0.001 * i, true));
		json_array_append_new(
		        rows, json_pack("[isisfb]", i + 1, "lifecycle.total", 0, "ok", 2.0, true));
	}
	return json_pack("{s[{sis{s[ssssss]so}}]}", "steps", "index", 0, "samples", "columns", "vm",
	                 "metric", "seq", "status", "value", "counted", "rows", rows);
}

static json_t *rows_of(json_t *result)
{
	return json_object_get(
	        json_object_get(json_array_get(json_object_get(result, "steps"), 0), "samples"),
	        "rows");
}

/* Puts `value` into column `column` of row `row`. */
static void change(json_t *result, size_t row, size_t column, json_t *value)
{
	json_array_set_new(json_array_get(rows_of(result), row), column, value);
}

enum { STATUS = 3, VALUE = 4, COUNTED = 5 };

/* Compares and frees both. */
static json_t *compare(json_t *injected, json_t *measured, const char *busy)
{
	json_t *report = json_pack("{s[]s[]}", "recovered", "checks");

	nova_selftest_compare(injected, measured, busy, report);
	json_decref(injected);
	json_decref(measured);
	return report;
}

static const json_t *check_of(const json_t *report, const char *id)
{
	json_t *check;
	size_t i;

	json_array_foreach(json_object_get(report, "checks"), i, check)
	{
		if (!strcmp(nova_json_text(check, "id"), id))
			return check;
	}
	fail_msg("there is no check %s", id);
	return NULL;
}

static double value_of(const json_t *report, const char *id)
{
	return json_number_value(json_object_get(check_of(report, id), "value"));
}

static void assert_verdict(const json_t *report, const char *id, const char *verdict)
{
	assert_string_equal(nova_json_text(check_of(report, id), "verdict"), verdict);
}

static void finds_nothing_where_nothing_is(void **state)
{
	json_t *report = compare(result_of(100), result_of(100), NULL), *check;
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(json_object_get(report, "checks")), 6);
	json_array_foreach(json_object_get(report, "checks"), i, check)
	{
		assert_string_equal(nova_json_text(check, "verdict"), "met");
		assert_true(json_is_null(json_object_get(check, "why")));
	}
	assert_int_equal(json_array_size(json_object_get(report, "recovered")), 2);
	json_decref(report);
}

static void misses_what_was_lost_or_invented(void **state)
{
	json_t *injected = result_of(10), *measured = result_of(10), *report;

	(void)state;
	json_array_remove(rows_of(measured), 0); /* lost */
	json_array_remove(rows_of(injected), 5); /* invented */
	change(measured, 6, STATUS, json_string("failed"));
	change(injected, 10, COUNTED, json_false());
	report = compare(injected, measured, NULL);
	assert_true(value_of(report, "recovery.samples") == 4);
	assert_verdict(report, "recovery.samples", "missed");
	json_decref(report);
}

static void sees_what_ended_too_early(void **state)
{
	json_t *measured = result_of(10), *report;

	(void)state;
	change(measured, 4, VALUE, json_real(1.002 - 1e-6));
	report = compare(result_of(10), measured, NULL);
	assert_true(value_of(report, "recovery.early") == 1);
	assert_verdict(report, "recovery.early", "missed");
	assert_verdict(report, "recovery.vm", "met");
	json_decref(report);
}

static void one_vm_that_is_off_misses_the_bar_of_each_vm_only(void **state)
{
	json_t *measured = result_of(100), *report;
	const char *why;

	(void)state;
	change(measured, 100, VALUE, json_real(1.05 * 1.02)); /* VM 51, in the middle */
	report = compare(result_of(100), measured, "the machine was busy");
	assert_true(fabs(value_of(report, "recovery.vm") - 0.02) < 1e-9);
	assert_verdict(report, "recovery.vm", "missed");
	assert_verdict(report, "recovery.p50", "met");
	assert_verdict(report, "recovery.p99", "met");
	why = nova_json_text(check_of(report, "recovery.vm"), "why");
	assert_string_equal(why, "most in lifecycle.start.api; the machine was busy");
	json_decref(report);
}

static void latencies_that_all_grow_miss_every_bar(void **state)
{
	json_t *measured = result_of(100), *report;

	(void)state;
	for (size_t i = 0; i < 100; i++)
		change(measured, 2 * i, VALUE, json_real((1 + 0.001 * (double)i) * 1.02));
	report = compare(result_of(100), measured, NULL);
	assert_verdict(report, "recovery.p50", "missed");
	assert_verdict(report, "recovery.p95", "missed");
	assert_verdict(report, "recovery.p99", "missed");
	assert_verdict(report, "recovery.vm", "missed");
	json_decref(report);
}

static void the_total_is_shown_and_not_judged(void **state)
{
	json_t *measured = result_of(10), *report;

	(void)state;
	change(measured, 1, VALUE, json_real(4));
	report = compare(result_of(10), measured, NULL);
	assert_verdict(report, "recovery.vm", "met");
	assert_true(json_number_value(json_object_get(
	                    json_array_get(json_object_get(report, "recovered"), 1), "worst")) ==
	            1);
	json_decref(report);
}

static void nothing_measured_is_nothing_proved(void **state)
{
	json_t *report = compare(result_of(10), result_of(0), NULL);

	(void)state;
	assert_verdict(report, "recovery.samples", "undecided");
	assert_verdict(report, "recovery.vm", "undecided");
	assert_true(json_is_null(json_object_get(check_of(report, "recovery.p50"), "value")));
	json_decref(report);
}

static void only_what_cannot_be_chance_misses_its_bar(void **state)
{
	struct nova_check check = {.has_bar = true, .bar = 0.1, .has_interval = true, .value = 0.2};

	(void)state;
	check.low = 0.15, check.high = 0.3;
	assert_string_equal(nova_check_verdict(&check), "missed");
	check.low = 0.05;
	assert_string_equal(nova_check_verdict(&check), "undecided");
	check.low = 0.01, check.high = 0.1;
	assert_string_equal(nova_check_verdict(&check), "met");
	check.at_least = true;
	assert_string_equal(nova_check_verdict(&check), "undecided");
	check.low = 0.1, check.high = 0.3;
	assert_string_equal(nova_check_verdict(&check), "met");
	check.low = 0, check.high = 0.09;
	assert_string_equal(nova_check_verdict(&check), "missed");
	check.has_bar = false;
	assert_string_equal(nova_check_verdict(&check), "reported");
}

static void alarms_at_a_step_and_at_no_look_before_it(void **state)
{
	double values[100];

	(void)state;
	for (int i = 0; i < 100; i++)
		values[i] = sin(i * i) + (i < 60 ? 0 : 20);
	assert_true(nova_selftest_alarm(values, 100, 0));
	assert_false(nova_selftest_alarm(values, 60, 0));
	assert_false(nova_selftest_alarm(values, 19, 0));
	assert_true(nova_selftest_alarm(values, 100, 100));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(finds_nothing_where_nothing_is),
	        cmocka_unit_test(misses_what_was_lost_or_invented),
	        cmocka_unit_test(sees_what_ended_too_early),
	        cmocka_unit_test(one_vm_that_is_off_misses_the_bar_of_each_vm_only),
	        cmocka_unit_test(latencies_that_all_grow_miss_every_bar),
	        cmocka_unit_test(the_total_is_shown_and_not_judged),
	        cmocka_unit_test(nothing_measured_is_nothing_proved),
	        cmocka_unit_test(only_what_cannot_be_chance_misses_its_bar),
	        cmocka_unit_test(alarms_at_a_step_and_at_no_look_before_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
