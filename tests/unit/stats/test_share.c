/* SPDX-License-Identifier: MIT */
/* The interval of a share against published values, closed forms, and its own definition. */
#include "check.h"

#include <math.h>

static void ends_are_those_of_scipy(void **state)
{
	/* scipy.stats.binomtest(k, n).proportion_ci(level, "exact") */
	static const struct {
		size_t hits, count;
		double level, low, high;
	} known[] = {
	        {5, 100, 0.95, 0.016431879, 0.112834914},
	        {1, 10, 0.95, 0.002528579, 0.445016117},
	        {5, 10, 0.95, 0.187086028, 0.812913972},
	};

	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(known); i++) {
		double low, high;

		assert_true(nova_stats_share(known[i].hits, known[i].count, known[i].level, &low,
		                             &high));
		assert_near(low, known[i].low, 1e-6);
		assert_near(high, known[i].high, 1e-6);
	}
}

static void none_and_all_have_closed_forms(void **state)
{
	(void)state;
	for (size_t n = 1; n < 3000000; n = 3 * n + 1) {
		double low, high, end = pow(0.025, 1 / (double)n);

		assert_true(nova_stats_share(0, n, 0.95, &low, &high));
		assert_true(low == 0);
		assert_near(high, 1 - end, 1e-6);
		assert_true(nova_stats_share(n, n, 0.95, &low, &high));
		assert_near(low, end, 1e-9);
		assert_true(high == 1);
	}
}

/* P(X ≤ k), summed as it is defined. */
static double at_most(int n, int k, double p)
{
	double sum = 0, choose = 1;

	for (int i = 0; i <= k; i++) {
		sum += choose * pow(p, i) * pow(1 - p, n - i);
		choose = choose * (n - i) / (i + 1);
	}
	return sum;
}

static void ends_are_just_likely_enough(void **state)
{
	(void)state;
	for (int n = 1; n <= 60; n += 7)
		for (int k = 1; k < n; k++) {
			double low, high;

			assert_true(nova_stats_share((size_t)k, (size_t)n, 0.9, &low, &high));
			assert_near(at_most(n, k, high), 0.05, 1e-9);
			assert_near(1 - at_most(n, k - 1, low), 0.05, 1e-9);
		}
}

static void mirrors_what_is_counted(void **state)
{
	(void)state;
	for (size_t n = 2; n < 200000; n = 5 * n + 3) {
		double low, high, other_low, other_high;

		nova_stats_share(n / 3, n, 0.99, &low, &high);
		nova_stats_share(n - n / 3, n, 0.99, &other_low, &other_high);
		assert_near(low, 1 - other_high, 1e-9);
		assert_near(high, 1 - other_low, 1e-9);
		assert_true(low < (double)(n / 3) / (double)n + 1e-12);
		assert_true(high > (double)(n / 3) / (double)n);
	}
}

static void says_nothing_of_nothing(void **state)
{
	double low, high;

	(void)state;
	assert_false(nova_stats_share(0, 0, 0.95, &low, &high));
	assert_true(low == 0 && high == 1);
	assert_false(nova_stats_share(2, 1, 0.95, &low, &high));
	assert_false(nova_stats_share(1, 2, 0, &low, &high));
	assert_false(nova_stats_share(1, 2, 1, &low, &high));
	assert_false(nova_stats_share(1, 2, NAN, &low, &high));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(ends_are_those_of_scipy),
	        cmocka_unit_test(none_and_all_have_closed_forms),
	        cmocka_unit_test(ends_are_just_likely_enough),
	        cmocka_unit_test(mirrors_what_is_counted),
	        cmocka_unit_test(says_nothing_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
