/* SPDX-License-Identifier: MIT */
/* Quantities: what is read exactly, what is refused with which words, what people see. */
#include "check.h"

#include <math.h>

static void reads_numbers_with_units(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum nova_quantity quantity;
		double value;
	} good[] = {
	        {"0", NOVA_SIZE, 0},
	        {"1B", NOVA_SIZE, 1},
	        {"16GiB", NOVA_SIZE, 17179869184.0},
	        {"1.5GiB", NOVA_SIZE, 1610612736.0},
	        {"1kB", NOVA_SIZE, 1000},
	        {"1KiB", NOVA_SIZE, 1024},
	        {"0.1GB", NOVA_SIZE, 100000000},
	        {"2TiB", NOVA_SIZE, 2199023255552.0},
	        {"007MB", NOVA_SIZE, 7e6},
	        {"30s", NOVA_DURATION, 30e9},
	        {"1.5s", NOVA_DURATION, 1.5e9},
	        {"0.3s", NOVA_DURATION, 3e8},
	        {"250ms", NOVA_DURATION, 250e6},
	        {"10us", NOVA_DURATION, 10e3},
	        {"7ns", NOVA_DURATION, 7},
	        {"2min", NOVA_DURATION, 120e9},
	        {"1h", NOVA_DURATION, 3600e9},
	        {"1d", NOVA_DURATION, 86400e9},
	        {"0s", NOVA_DURATION, 0},
	        {"100MB/s", NOVA_RATE, 1e8},
	        {"1KiB/s", NOVA_RATE, 1024},
	        {"10/s", NOVA_RATE, 10},
	        {"0.5/s", NOVA_RATE, 0.5},
	        {"1Gbit/s", NOVA_RATE, 125e6},
	};
	for (size_t i = 0; i < NOVA_COUNT(good); i++) {
		struct nova_error error = {0};
		double value = -1;
		if (nova_quantity_parse(good[i].text, good[i].quantity, &value, &error) != 0)
			fail_msg("%s: %s", good[i].text, error.text);
		if (value != good[i].value)
			fail_msg("%s: %.17g", good[i].text, value);
	}
}

static void refuses_everything_else_and_says_why(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum nova_quantity quantity;
		const char *why;
	} bad[] = {
	        {"", NOVA_SIZE, "does not start with a number"},
	        {"16", NOVA_SIZE, "no unit"},
	        {"0.5", NOVA_DURATION, "no unit"},
	        {"GiB", NOVA_SIZE, "does not start with a number"},
	        {"-1GiB", NOVA_SIZE, "negative"},
	        {"-0", NOVA_SIZE, "negative"},
	        {"+1GiB", NOVA_SIZE, "does not start with a number"},
	        {" 1GiB", NOVA_SIZE, "does not start with a number"},
	        {"1 GiB", NOVA_SIZE, "no unit \" GiB\""},
	        {"1GiB ", NOVA_SIZE, "no unit"},
	        {"1,5GiB", NOVA_SIZE, "no unit"},
	        {"1.GiB", NOVA_SIZE, "does not start with a number"},
	        {".5GiB", NOVA_SIZE, "does not start with a number"},
	        {"1e3B", NOVA_SIZE, "no unit"},
	        {"0x10B", NOVA_SIZE, "no unit"},
	        {"nans", NOVA_DURATION, "does not start with a number"},
	        {"infs", NOVA_DURATION, "does not start with a number"},
	        {"1gib", NOVA_SIZE, "did you mean \"GiB\""},
	        {"16G", NOVA_SIZE, "did you mean \"GB\""},
	        {"5sec", NOVA_DURATION, "no unit \"sec\""},
	        {"5S", NOVA_DURATION, "did you mean \"s\""},
	        {"30s", NOVA_SIZE, "not a size"},
	        {"1GiB", NOVA_DURATION, "not a duration"},
	        {"1GiB", NOVA_RATE, "did you mean \"GiB/s\""},
	        {"10", NOVA_RATE, "no unit"},
	        {"1.5B", NOVA_SIZE, "no fraction"},
	        {"0.5ns", NOVA_DURATION, "no fraction"},
	        {"9223372036854775808B", NOVA_SIZE, "too large"},
	        {"9000000TiB", NOVA_SIZE, "too large"},
	        {"300000h", NOVA_DURATION, ""},
	        {"99999999999999999999999999999999d", NOVA_DURATION, "too large"},
	};
	for (size_t i = 0; i < NOVA_COUNT(bad); i++) {
		struct nova_error error = {0};
		double value = 42;
		int code = nova_quantity_parse(bad[i].text, bad[i].quantity, &value, &error);
		if (strcmp(bad[i].text, "300000h") == 0) { /* 34 years: fine */
			assert_int_equal(code, 0);
			continue;
		}
		if (code != NOVA_E_INVALID)
			fail_msg("\"%s\" gave %d", bad[i].text, code);
		assert_contains(error.text, bad[i].why);
		assert_contains(error.text, bad[i].text);
		assert_true(value == 42);
	}
}

static void refuses_a_number_of_a_thousand_digits(void **state)
{
	(void)state;
	char text[1010] = {0};
	memset(text, '9', 1000);
	strcpy(text + 1000, "s");
	double value;
	struct nova_error error = {0};
	assert_int_equal(nova_quantity_parse(text, NOVA_DURATION, &value, &error), NOVA_E_INVALID);
	assert_int_equal(nova_quantity_parse("1s", (enum nova_quantity)9, &value, &error),
	                 NOVA_E_INTERNAL);
}

static void shows_three_digits_and_a_fitting_unit(void **state)
{
	(void)state;
	static const struct {
		double value;
		uint32_t unit;
		const char *text;
	} shown[] = {
	        {0, NOVA_UNIT_SECOND, "0 s"},
	        {0.26, NOVA_UNIT_SECOND, "260 ms"},
	        {0.0003, NOVA_UNIT_SECOND, "300 us"},
	        {5e-9, NOVA_UNIT_SECOND, "5.00 ns"},
	        {1.234567, NOVA_UNIT_SECOND, "1.23 s"},
	        {0.99999, NOVA_UNIT_SECOND, "1.00 s"},
	        {0.9994, NOVA_UNIT_SECOND, "999 ms"},
	        {-0.26, NOVA_UNIT_SECOND, "-260 ms"},
	        {59.96, NOVA_UNIT_SECOND, "60.0 s"},
	        {1800, NOVA_UNIT_SECOND, "30.0 min"},
	        {86400, NOVA_UNIT_SECOND, "24.0 h"},
	        {8640000, NOVA_UNIT_SECOND, "100 d"},
	        {512, NOVA_UNIT_BYTE, "512 B"},
	        {1073741824, NOVA_UNIT_BYTE, "1.00 GiB"},
	        {1.5e8, NOVA_UNIT_BYTE_PER_SECOND, "150 MB/s"},
	        {12, NOVA_UNIT_PER_SECOND, "12/s"},
	        {15234, NOVA_UNIT_PER_SECOND, "15.2k/s"},
	        {0.0123456, NOVA_UNIT_ONE, "0.0123"},
	        {7, NOVA_UNIT_ONE, "7"},
	        {1234, NOVA_UNIT_ONE, "1234"},
	        {1.007, NOVA_UNIT_ONE, "1.01"},
	        {2.5e6, NOVA_UNIT_ONE, "2.50M"},
	        {NAN, NOVA_UNIT_SECOND, "n/a"},
	        {INFINITY, NOVA_UNIT_BYTE, "inf"},
	        {-INFINITY, NOVA_UNIT_BYTE, "-inf"},
	        {7, 999, "7"},
	};
	for (size_t i = 0; i < NOVA_COUNT(shown); i++) {
		char text[32];
		nova_value_format(shown[i].value, shown[i].unit, text);
		assert_string_equal(text, shown[i].text);
	}
}

static void writes_a_quantity_as_it_can_be_read(void **state)
{
	static const struct {
		int64_t value;
		enum nova_quantity quantity;
		const char *text;
	} cases[] = {
	        {0, NOVA_SIZE, "0"},
	        {67108864, NOVA_SIZE, "64MiB"},
	        {1000000, NOVA_SIZE, "1MB"},
	        {4097, NOVA_SIZE, "4097B"},
	        {5000000000, NOVA_DURATION, "5s"},
	        {1500000000, NOVA_DURATION, "1500ms"},
	        {3600000000000, NOVA_DURATION, "1h"},
	        {123456789, NOVA_DURATION, "123456789ns"},
	        {32000000, NOVA_RATE, "32MB/s"},
	        {1048576, NOVA_RATE, "1MiB/s"},
	        {INT64_MAX, NOVA_SIZE, "9223372036854775807B"},
	};

	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(cases); i++) {
		char text[32];
		double value;

		nova_quantity_format(cases[i].value, cases[i].quantity, text);
		assert_string_equal(text, cases[i].text);
		if (cases[i].value < INT64_MAX) {
			assert_int_equal(
			        0, nova_quantity_parse(text, cases[i].quantity, &value, NULL));
			assert_true(value == (double)cases[i].value);
		}
	}
}

static void every_finite_value_fits(void **state)
{
	(void)state;
	for (uint32_t unit = 0; unit < 8; unit++)
		for (int exponent = -1074; exponent < 1024; exponent++) {
			char text[32];
			memset(text, 'x', sizeof(text));
			nova_value_format(-ldexp(1.2345, exponent), unit, text);
			assert_non_null(memchr(text, '\0', sizeof(text)));
		}
}

static void names_the_base_units(void **state)
{
	(void)state;
	assert_string_equal(nova_unit_name(NOVA_UNIT_SECOND), "s");
	assert_string_equal(nova_unit_name(NOVA_UNIT_BYTE_PER_SECOND), "B/s");
	assert_string_equal(nova_unit_name(NOVA_UNIT_ONE), "1");
	assert_string_equal(nova_unit_name(0), "?");
	assert_string_equal(nova_unit_name(77), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(reads_numbers_with_units),
	        cmocka_unit_test(refuses_everything_else_and_says_why),
	        cmocka_unit_test(refuses_a_number_of_a_thousand_digits),
	        cmocka_unit_test(shows_three_digits_and_a_fitting_unit),
	        cmocka_unit_test(writes_a_quantity_as_it_can_be_read),
	        cmocka_unit_test(every_finite_value_fits),
	        cmocka_unit_test(names_the_base_units),
	};
	return cmocka_run_group_tests_name("unit", tests, NULL, NULL);
}
