/* SPDX-License-Identifier: MIT */
/*
 * The always-valid test: its e-value against SciPy's incomplete beta function, its confidence
 * sequence against trying every line, what it does with pairs that say nothing.
 */
#include "check.h"

#include "fixtures/reference.h"

static struct nova_sequential_view look(const struct nova_sequential *test)
{
	struct nova_sequential_view view;

	nova_sequential_look(test, &view);
	return view;
}

static void e_value_is_that_of_scipy(void **state)
{
	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(e_values); i++) {
		struct nova_sequential *test = nova_sequential_new(0.05, 0);

		for (size_t pair = 0; pair < e_values[i].t; pair++)
			assert_true(nova_sequential_add(test, 1, pair < e_values[i].k ? 2 : 0.5));
		assert_near(log(look(test).e_greater), e_values[i].log_e, 1e-9);
		nova_sequential_free(test);
	}
}

/* 8 of 8: E = 2^9 / 9 · (1 - 2^-9) = 56.8 passes 2 / 0.05; 7 of 7 is 31.9. */
static void decides_at_the_eighth_pair_at_the_earliest(void **state)
{
	struct nova_sequential *greater = nova_sequential_new(0.05, 0.02);
	struct nova_sequential *less = nova_sequential_new(0.05, 0.02);

	(void)state;
	for (int pair = 1; pair <= 20; pair++) {
		enum nova_sequential_state expected =
		        pair < 8 ? NOVA_SEQUENTIAL_UNDECIDED : NOVA_SEQUENTIAL_GREATER;

		nova_sequential_add(greater, 100, 103 + pair % 3);
		nova_sequential_add(less, 103 + pair % 3, 100);
		assert_int_equal(look(greater).state, expected);
		assert_int_equal(look(less).state, expected ? NOVA_SEQUENTIAL_LESS : expected);
		assert_int_equal(look(greater).decided_at, pair < 8 ? 0 : 8);
		assert_int_equal(isnan(look(greater).low), pair < 8);
	}
	assert_int_equal(look(less).pairs, 20);
	assert_true(look(greater).p < 1e-4);
	assert_near(look(greater).ratio, 1.04, 1e-12);
	assert_near(look(greater).ratio * look(less).ratio, 1, 1e-12);
	nova_sequential_free(greater);
	nova_sequential_free(less);
}

static void same_needs_both_ends_inside_the_margin(void **state)
{
	struct nova_sequential *test = nova_sequential_new(0.05, 0.05);
	struct nova_sequential *strict = nova_sequential_new(0.05, 0);
	struct nova_sequential_view view;

	(void)state;
	for (int pair = 0; pair < 12; pair++) {
		nova_sequential_add(test, 100, 99 + pair % 3);
		nova_sequential_add(strict, 100, 100);
	}
	view = look(test);
	assert_int_equal(view.state, NOVA_SEQUENTIAL_SAME);
	assert_near(view.low, 0.99, 1e-12);
	assert_near(view.high, 1.01, 1e-12);
	view = look(strict);
	assert_int_equal(view.state, NOVA_SEQUENTIAL_UNDECIDED);
	assert_near(view.p, 1, 0);
	assert_near(view.low, 1, 0);
	assert_near(view.high, 1, 0);
	nova_sequential_free(test);
	nova_sequential_free(strict);
}

/* 21 against 20, with a margin of 5 %: on the line, whichever way its logarithm is rounded. */
static void a_ratio_on_the_line_is_on_neither_side(void **state)
{
	struct nova_sequential *test = nova_sequential_new(0.05, 0.05);

	(void)state;
	for (int pair = 1; pair < 200; pair++)
		nova_sequential_add(test, 20 * pair, 21 * pair);
	assert_int_equal(look(test).state, NOVA_SEQUENTIAL_UNDECIDED);
	assert_true(look(test).p < 1e-9);
	nova_sequential_free(test);
}

static void a_decision_stays(void **state)
{
	struct nova_sequential *test = nova_sequential_new(0.05, 0.02);

	(void)state;
	for (int pair = 0; pair < 10; pair++)
		nova_sequential_add(test, 1, 2);
	for (int pair = 0; pair < 100; pair++)
		nova_sequential_add(test, 2, 1);
	assert_int_equal(look(test).state, NOVA_SEQUENTIAL_GREATER);
	assert_int_equal(look(test).decided_at, 8);
	assert_true(look(test).low <= look(test).high);
	nova_sequential_free(test);
}

static void a_timeout_on_one_side_counts_and_on_both_says_nothing(void **state)
{
	struct nova_sequential *test = nova_sequential_new(0.05, 0.02);

	(void)state;
	assert_false(nova_sequential_add(test, INFINITY, INFINITY));
	assert_false(nova_sequential_add(test, 0, 1));
	assert_false(nova_sequential_add(test, 1, -1));
	assert_false(nova_sequential_add(test, NAN, 1));
	assert_false(nova_sequential_add(test, 1, NAN));
	assert_int_equal(look(test).pairs, 0);
	assert_true(isnan(look(test).ratio));
	assert_near(look(test).p, 1, 0);
	for (int pair = 0; pair < 8; pair++)
		assert_true(nova_sequential_add(test, 1, INFINITY));
	assert_int_equal(look(test).state, NOVA_SEQUENTIAL_GREATER);
	assert_near(look(test).high, INFINITY, 0);
	nova_sequential_free(test);
}

static void refuses_alpha_and_margin_out_of_range(void **state)
{
	(void)state;
	assert_null(nova_sequential_new(0, 0.1));
	assert_null(nova_sequential_new(1, 0.1));
	assert_null(nova_sequential_new(NAN, 0.1));
	assert_null(nova_sequential_new(0.05, -0.1));
	assert_null(nova_sequential_new(0.05, 1));
	assert_null(nova_sequential_new(0.05, NAN));
	nova_sequential_free(NULL);
}

/* A line is ruled out when a test of that line alone, with one bet a direction, has been. */
static void confidence_sequence_is_the_lines_not_ruled_out(void **state)
{
	enum { PAIRS = 60, GRID = 81 };
	struct source source = {.seed = 37};
	struct nova_sequential *whole = nova_sequential_new(0.1, 0);
	struct nova_sequential *each[GRID];
	bool out[GRID] = {false};

	(void)state;
	for (size_t line = 0; line < GRID; line++)
		each[line] = nova_sequential_new(0.1, 0);
	for (int pair = 0; pair < PAIRS; pair++) {
		double b = exp(0.2 + draw_normal(&source));

		nova_sequential_add(whole, 1, b);
		for (size_t line = 0; line < GRID; line++) {
			struct nova_sequential_view view;

			nova_sequential_add(each[line], exp(-2 + 0.05 * (double)line), b);
			view = look(each[line]);
			out[line] |= view.e_greater >= 20 || view.e_less >= 20;
		}
	}
	for (size_t line = 0; line < GRID; line++) {
		double at = exp(-2 + 0.05 * (double)line);

		assert_int_equal(out[line], at < look(whole).low || at > look(whole).high);
		nova_sequential_free(each[line]);
	}
	assert_true(look(whole).low > exp(-1.9) && look(whole).high < exp(1.9));
	nova_sequential_free(whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(e_value_is_that_of_scipy),
	        cmocka_unit_test(decides_at_the_eighth_pair_at_the_earliest),
	        cmocka_unit_test(same_needs_both_ends_inside_the_margin),
	        cmocka_unit_test(a_ratio_on_the_line_is_on_neither_side),
	        cmocka_unit_test(a_decision_stays),
	        cmocka_unit_test(a_timeout_on_one_side_counts_and_on_both_says_nothing),
	        cmocka_unit_test(refuses_alpha_and_margin_out_of_range),
	        cmocka_unit_test(confidence_sequence_is_the_lines_not_ruled_out),
	};

	return cmocka_run_group_tests_name("stats_sequential", tests, NULL, NULL);
}
