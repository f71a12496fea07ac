/* SPDX-License-Identifier: MIT */
/*
 * How many values a comparison needs: against the formula of the textbooks where that holds, and
 * against how often the tests really find the effect, simulated.
 */
#include "check.h"

static void agrees_with_the_textbook_for_small_effects(void **state)
{
	/* 2 (1.959964 + 1.281552)² (6 / 3)² / (3 / π) = 88.02 and (1.959964 + 0.841621)² … */
	static const struct {
		double effect, cv, alpha, power;
		bool paired;
		double rho, expected;
	} at[] = {{0.03, 0.06, 0.05, 0.9, false, 0, 88.02},
	          {0.01, 0.10, 0.05, 0.8, false, 0, 1643.9},
	          {0.01, 0.05, 0.05, 0.9, true, 0.5, 275.1},
	          {0.001, 0.05, 0.01, 0.9, false, 0, 77910}};

	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(at); i++) {
		size_t n = nova_stats_samples(at[i].effect, at[i].cv, at[i].alpha, at[i].power,
		                              at[i].paired, at[i].rho);

		print_message("%g at %g: %zu\n", at[i].effect, at[i].cv, n);
		/* The logarithm of the effect is smaller than the effect: n grows by as much. */
		assert_near((double)n / at[i].expected, 1, 0.02 + at[i].effect);
	}
}

static void needs_more_for_less_and_less_for_pairs_that_agree(void **state)
{
	(void)state;
	for (double effect = 0.5; effect > 0.001; effect /= 2)
		assert_true(nova_stats_samples(effect, 0.1, 0.05, 0.9, false, 0) <
		            nova_stats_samples(effect / 2, 0.1, 0.05, 0.9, false, 0));
	assert_true(nova_stats_samples(0.05, 0.1, 0.05, 0.9, true, 0.9) <
	            nova_stats_samples(0.05, 0.1, 0.05, 0.9, true, 0.5));
	assert_true(nova_stats_samples(0.05, 0.1, 0.05, 0.9, false, 0) <
	            nova_stats_samples(0.05, 0.1, 0.01, 0.9, false, 0));
	/* However large the effect, 4 a side are the least that can be told apart at 0.05, 6 pairs.
	 */
	assert_int_equal(nova_stats_samples(10, 0.01, 0.05, 0.9, false, 0), 4);
	assert_int_equal(nova_stats_samples(10, 0.01, 0.05, 0.9, true, 0), 6);
	assert_true(nova_stats_samples(1e-12, 1e3, 0.05, 0.9, false, 0) == SIZE_MAX);
}

static void refuses_what_is_out_of_range(void **state)
{
	const double wrong[] = {0, -1, NAN, INFINITY};

	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(wrong); i++) {
		assert_int_equal(nova_stats_samples(wrong[i], 0.1, 0.05, 0.9, false, 0), 0);
		assert_int_equal(nova_stats_samples(0.1, wrong[i], 0.05, 0.9, false, 0), 0);
		assert_int_equal(nova_stats_samples(0.1, 0.1, wrong[i], 0.9, false, 0), 0);
		assert_int_equal(nova_stats_samples(0.1, 0.1, 0.05, wrong[i], false, 0), 0);
	}
	assert_int_equal(nova_stats_samples(0.1, 0.1, 1, 0.9, false, 0), 0);
	assert_int_equal(nova_stats_samples(0.1, 0.1, 0.05, 1, false, 0), 0);
	assert_int_equal(nova_stats_samples(0.1, 0.1, 0.05, 0.9, true, 1), 0);
	assert_int_equal(nova_stats_samples(0.1, 0.1, 0.05, 0.9, true, NAN), 0);
}

static void variation_is_the_deviation_over_the_mean(void **state)
{
	const double values[] = {9, 10, 11, 10, 9, 11}, loss[] = {1, -1, 2, -2, 0, 0};
	const double lost[] = {1, 2, INFINITY};
	struct nova_effect found, again;

	(void)state;
	nova_stats_variation(values, 6, 0.95, 2000, 1, &found);
	assert_near(found.value, sqrt(0.8) / 10, 1e-15);
	assert_true(found.available && found.low < found.value && found.value < found.high);
	nova_stats_variation(values, 6, 0.95, 2000, 1, &again);
	assert_near(found.low, again.low, 0);
	nova_stats_variation(values, 5, 0.95, 2000, 1, &found);
	assert_string_equal(found.why, "n too small (values: 5 < 6)");
	assert_true(found.value > 0);
	nova_stats_variation(values, 1, 0.95, 2000, 1, &found);
	assert_string_equal(found.why, "n too small (1 < 2)");
	assert_true(isnan(found.value));
	nova_stats_variation(loss, 6, 0.95, 2000, 1, &found);
	assert_string_equal(found.why, "the values have no mean that is finite and above 0");
	nova_stats_variation(lost, 3, 0.95, 2000, 1, &found);
	assert_string_equal(found.why, "the values have no mean that is finite and above 0");
}

/* --- what the tests really find -------------------------------------------------------------- */

/* Log-normal values with the coefficient of variation `cv` and this median. */
static void draw_values(struct source *source, double median, double cv, size_t n, double *values)
{
	double sigma = sqrt(log1p(cv * cv));

	for (size_t i = 0; i < n; i++)
		values[i] = median * exp(sigma * draw_normal(source));
}

static void mann_whitney_has_the_power_that_was_planned(void **state)
{
	static const struct {
		double effect, cv, alpha, power;
	} at[] = {{0.03, 0.06, 0.05, 0.9}, {0.10, 0.05, 0.05, 0.9}, {0.05, 0.05, 0.05, 0.8},
	          {0.10, 0.15, 0.01, 0.9}, {0.50, 0.40, 0.05, 0.8}, {0.20, 0.05, 0.05, 0.9}};
	const unsigned trials = 1500;
	double a[500], b[500];

	(void)state;
	for (size_t k = 0; k < NOVA_COUNT(at); k++) {
		size_t n = nova_stats_samples(at[k].effect, at[k].cv, at[k].alpha, at[k].power,
		                              false, 0);
		struct source source = {.seed = 43};
		unsigned found = 0;
		double share;

		assert_in_range(n, 4, 500);
		for (unsigned trial = 0; trial < trials; trial++) {
			draw_values(&source, 1, at[k].cv, n, a);
			draw_values(&source, 1 + at[k].effect, at[k].cv, n, b);
			found += nova_stats_mann_whitney(a, n, b, n) <= at[k].alpha;
		}
		share = (double)found / trials;
		print_message("%g at CV %g, alpha %g: n %zu, power %.3f for %g\n", at[k].effect,
		              at[k].cv, at[k].alpha, n, share, at[k].power);
		assert_true(share >=
		            at[k].power - 0.02 - 0.4 * sampling_error(at[k].power, trials));
		/* With so few values power comes in steps. */
		assert_true(n < 10 || share <= at[k].power + 0.03 +
		                                       0.4 * sampling_error(at[k].power, trials));
	}
}

/* Pairs of which each has a level of its own: with CV c of that level and of each value beside it,
 * rho is one half. The interval of the ratio excludes 1 just where the signed-rank test rejects. */
static void pairs_have_the_power_that_was_planned(void **state)
{
	static const struct {
		double effect, cv, power;
	} at[] = {{0.03, 0.06, 0.9}, {0.10, 0.05, 0.9}, {0.05, 0.10, 0.8}};
	const unsigned trials = 1000;
	double a[200], b[200], level[200];

	(void)state;
	for (size_t k = 0; k < NOVA_COUNT(at); k++) {
		double cv = at[k].cv, part = sqrt(expm1(log1p(cv * cv) / 2));
		size_t n = nova_stats_samples(at[k].effect, cv, 0.05, at[k].power, true, 0.5);
		struct source source = {.seed = 47};
		unsigned found = 0;
		double share;

		assert_in_range(n, 6, 200);
		for (unsigned trial = 0; trial < trials; trial++) {
			struct nova_effect effect;

			draw_values(&source, 1, part, n, level);
			draw_values(&source, 1, part, n, a);
			draw_values(&source, 1 + at[k].effect, part, n, b);
			for (size_t i = 0; i < n; i++) {
				a[i] *= level[i];
				b[i] *= level[i];
			}
			nova_stats_ratio_paired(a, b, n, 0.95, &effect);
			found += effect.low > 1 || effect.high < 1;
		}
		share = (double)found / trials;
		print_message("%g at CV %g: %zu pairs, power %.3f for %g\n", at[k].effect, cv, n,
		              share, at[k].power);
		assert_true(share >=
		            at[k].power - 0.02 - 0.4 * sampling_error(at[k].power, trials));
		assert_true(n < 12 || share <= at[k].power + 0.03 +
		                                       0.4 * sampling_error(at[k].power, trials));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(agrees_with_the_textbook_for_small_effects),
	        cmocka_unit_test(needs_more_for_less_and_less_for_pairs_that_agree),
	        cmocka_unit_test(refuses_what_is_out_of_range),
	        cmocka_unit_test(variation_is_the_deviation_over_the_mean),
	        cmocka_unit_test(mann_whitney_has_the_power_that_was_planned),
	        cmocka_unit_test(pairs_have_the_power_that_was_planned),
	};

	return cmocka_run_group_tests_name("stats_plan", tests, NULL, NULL);
}
