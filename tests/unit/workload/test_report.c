/* SPDX-License-Identifier: MIT */
/* Lines of reports: only what is there, once and whole, is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include <novacore/workload/report.h>

static struct nova_report report_of(const char *text)
{
	return (struct nova_report){.text = text, .bytes = strlen(text)};
}

/* The text has one such line with this number. */
static void assert_number(const char *text, const char *pattern, double expected)
{
	struct nova_report report = report_of(text);
	double value = nova_report_number(&report, pattern);

	assert_string_equal(report.why, "");
	assert_true(value >= expected && value <= expected);
}

static void assert_none(const char *text, const char *pattern)
{
	struct nova_report report = report_of(text);
	double values[2] = {-7, -7};

	assert_int_equal(nova_report_line(&report, pattern, values), -1);
	assert_true(strstr(report.why, pattern) != NULL);
	assert_true(values[0] < -6 && values[1] < -6);
}

static void reads_a_number_in_a_line_whatever_the_blanks(void **state)
{
	(void)state;
	assert_number("a\n  total time:   1.0327s \nb\n", "total time: #s", 1.0327);
	assert_number("total time:\t12s\n", "total time: #s", 12);
	assert_number("total time: 12s\r\n", "total time: #s", 12);
	assert_number("n ( 785.5 per s)\n", "n (# per s)", 785.5);
	assert_number("n (8785.5 per s)\n", "n (# per s)", 8785.5);
	assert_number("x 0\n", "x #", 0);
	assert_number("x 123456789012345678\n", "x #", 123456789012345678.0);
	assert_number("x 0.00000000000000001\n", "x #", 1e-17);
}

static void reads_several_numbers_of_a_line(void **state)
{
	struct nova_report report = report_of("events (avg/stddev): 379.5000/2.25\n");
	double values[2];

	(void)state;
	assert_int_equal(nova_report_line(&report, "events (avg/stddev): #/#", values), 0);
	assert_true(values[0] > 379.4 && values[0] < 379.6 && values[1] > 2.2 && values[1] < 2.3);
}

static void refuses_what_is_no_plain_number(void **state)
{
	static const char *const wrong[] = {
	        "x -1\n",  "x +1\n",    "x 1e3\n", "x nan\n",  "x inf\n", "x 1.\n",
	        "x .5\n",  "x 1.2.3\n", "x \n",    "x 0x10\n", "x 1,5\n", "x 1234567890123456789\n",
	        "x 1 2\n", "x one\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_none(wrong[i], "x #");
}

static void a_line_ends_with_a_newline(void **state)
{
	(void)state;
	assert_none("total: 12", "total: #");
	assert_none("", "total: #");
	assert_number("total: 12\n", "total: #", 12);
}

static void refuses_a_line_that_is_there_twice(void **state)
{
	struct nova_report report = report_of("total: 1\ntotal: 2\n");

	(void)state;
	assert_int_equal(nova_report_line(&report, "total: #", NULL), -1);
	assert_string_equal(report.why, "it has more than one line \"total: #\"");
}

static void a_line_is_the_whole_line(void **state)
{
	(void)state;
	assert_none("the total: 1\n", "total: #");
	assert_none("total: 1 of 2\n", "total: #");
	assert_none("total:1\n", "total: words");
}

static void keeps_the_first_reason(void **state)
{
	struct nova_report report = report_of("a: 0\n");

	(void)state;
	nova_report_positive(&report, "a: #");
	assert_string_equal(report.why, "the number of its line \"a: #\" is 0");
	nova_report_number(&report, "b: #");
	assert_string_equal(report.why, "the number of its line \"a: #\" is 0");
}

static void reads_no_text_at_all(void **state)
{
	struct nova_report report = {0};

	(void)state;
	assert_int_equal(nova_report_line(&report, "a", NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(reads_a_number_in_a_line_whatever_the_blanks),
	        cmocka_unit_test(reads_several_numbers_of_a_line),
	        cmocka_unit_test(refuses_what_is_no_plain_number),
	        cmocka_unit_test(a_line_ends_with_a_newline),
	        cmocka_unit_test(refuses_a_line_that_is_there_twice),
	        cmocka_unit_test(a_line_is_the_whole_line),
	        cmocka_unit_test(keeps_the_first_reason),
	        cmocka_unit_test(reads_no_text_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
