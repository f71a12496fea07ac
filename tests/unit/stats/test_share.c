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

/* R 4.2: 2 · min(phyper(a, A, B, n), phyper(a - 1, A, B, n, lower.tail = FALSE)), at most 1 */
static void shares_differ_as_r_says(void **state)
{
	static const struct {
		size_t a, a_all, b, b_all;
		double p;
	} known[] = {
	        {554, 807, 483, 799, 0.00071241015983288},
	        {3, 10, 8, 10, 0.0697785186949274},
	        {0, 100, 6, 100, 0.0289302820231576},
	        {7, 7, 0, 5, 0.00252525252525253},
	        {160, 807, 220, 799, 0.000343277302307279},
	        {69000, 100000, 70000, 100000, 1.22261316127404e-06},
	        {1, 3, 1, 3, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		double p = nova_stats_same_share(known[i].a, known[i].a_all, known[i].b,
		                                 known[i].b_all);

		assert_true(fabs(p - known[i].p) <= 1e-9 * known[i].p);
		p = nova_stats_same_share(known[i].b, known[i].b_all, known[i].a, known[i].a_all);
		assert_true(fabs(p - known[i].p) <= 1e-9 * known[i].p);
	}
}

static void nothing_and_all_are_the_same_share(void **state)
{
	(void)state;
	assert_true(nova_stats_same_share(0, 10, 0, 20) == 1);
	assert_true(nova_stats_same_share(10, 10, 20, 20) == 1);
	assert_true(nova_stats_same_share(0, 0, 0, 0) == 1);
	assert_true(nova_stats_same_share(11, 10, 1, 20) == 1);
	assert_true(nova_stats_same_share(10, 10, 0, 10) < 1e-4);
}

/* Beyond 10^8 the normal limit takes over, without a step. */
static void great_counts_take_no_longer_and_say_the_same(void **state)
{
	const size_t half = 50000000, step = 9000;
	double below = nova_stats_same_share(half - step, 4 * half, half + step - 2, 4 * half);
	double above = nova_stats_same_share(half - step, 4 * half, half + step + 2, 4 * half);

	(void)state;
	assert_true(fabs(below - above) < 0.002 * below);
	below = nova_stats_same_rate(half - step, 1, half + step - 2, 1);
	above = nova_stats_same_rate(half - step, 1, half + step + 2, 1);
	assert_true(fabs(below - above) < 0.002 * below);
	assert_true(nova_stats_same_rate((size_t)1 << 62, 1, (size_t)1 << 61, 1) == 0);
	assert_true(nova_stats_same_share((size_t)1 << 61, (size_t)1 << 62, (size_t)1 << 60,
	                                  (size_t)1 << 62) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(ends_are_those_of_scipy),
	        cmocka_unit_test(none_and_all_have_closed_forms),
	        cmocka_unit_test(ends_are_just_likely_enough),
	        cmocka_unit_test(mirrors_what_is_counted),
	        cmocka_unit_test(says_nothing_of_nothing),
	        cmocka_unit_test(shares_differ_as_r_says),
	        cmocka_unit_test(nothing_and_all_are_the_same_share),
	        cmocka_unit_test(great_counts_take_no_longer_and_say_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
