/* SPDX-License-Identifier: MIT */
/*
 * Slopes and trends against SciPy and against counting out all pairs (fixtures/reference.h); error
 * rates of the trend test, with memory in the series and without, by simulation.
 */
#include "check.h"

#include "fixtures/reference.h"

static void slope_is_that_of_all_pairs(void **state)
{
	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(lines); i++) {
		const struct line *at = &lines[i];
		struct nova_effect slope;

		nova_stats_theil_sen(at->t, at->y, at->count, 0.95, &slope);
		print_message("%s: %.15g [%.15g, %.15g]\n", at->name, slope.value, slope.low,
		              slope.high);
		assert_near(slope.value, at->slope, 1e-14);
		assert_int_equal(slope.available, at->available);
		if (!at->available)
			continue;
		assert_near(slope.low, at->low, 1e-14);
		assert_near(slope.high, at->high, 1e-14);
	}
}

static size_t all_slopes(const double *t, const double *y, size_t n, double *all)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			if (t[i] != t[j])
				all[k++] = (y[j] - y[i]) / (t[j] - t[i]);
	nova_stats_sort(all, k);
	return k;
}

/* Whole numbers with many ties in t and y, and values over many orders of magnitude. */
static void slope_is_that_of_all_pairs_whatever_the_values(void **state)
{
	static double all[60 * 59 / 2];
	double t[60], y[60];
	struct source source = {.seed = 27};
	struct nova_effect slope;

	(void)state;
	for (unsigned trial = 0; trial < 100; trial++) {
		size_t n = 10 + trial % 50, k;

		for (size_t i = 0; i < n; i++) {
			t[i] = trial % 2 ? floor(20 * draw(&source)) : 100 * draw(&source);
			y[i] = trial % 4 < 2 ? floor(6 * draw(&source))
			                     : exp(8 * draw_normal(&source));
		}
		k = all_slopes(t, y, n, all);
		nova_stats_theil_sen(t, y, n, 0.95, &slope);
		/* Residuals are rounded where y is: to 1e-16 of the greatest. */
		double rounding = 1e-14 * fmax(fabs(all[0]), fabs(all[k - 1]));

		assert_near(slope.value, nova_stats_median(all, k), rounding);
		assert_true(slope.available && slope.low <= slope.value &&
		            slope.value <= slope.high);
	}
}

static void order_of_points_and_default_times_do_not_matter(void **state)
{
	const double t[] = {3, 0, 2, 1, 4}, y[] = {7, 1, 4, 3, 9}, sorted[] = {1, 3, 4, 7, 9};
	struct nova_effect given, counted;

	(void)state;
	nova_stats_theil_sen(t, y, 5, 0.9, &given);
	nova_stats_theil_sen(NULL, sorted, 5, 0.9, &counted);
	assert_near(given.value, counted.value, 0);
	assert_near(given.value, 2, 0);
}

static void says_why_there_is_no_slope(void **state)
{
	const double same[] = {1, 1, 1}, y[] = {1, 2, 3}, lost[] = {1, INFINITY, 3};
	struct nova_effect slope;

	(void)state;
	nova_stats_theil_sen(same, y, 3, 0.95, &slope);
	assert_true(isnan(slope.value));
	assert_string_equal(slope.why, "n too small (3 points at one time)");
	nova_stats_theil_sen(NULL, y, 1, 0.95, &slope);
	assert_string_equal(slope.why, "n too small (1 points at one time)");
	nova_stats_theil_sen(NULL, NULL, 0, 0.95, &slope);
	assert_false(slope.available);
	nova_stats_theil_sen(NULL, lost, 3, 0.95, &slope);
	assert_string_equal(slope.why, "a slope needs finite values (point 1 is not)");
	nova_stats_theil_sen(NULL, y, 3, 0.95, &slope);
	assert_near(slope.value, 1, 0);
	assert_string_equal(slope.why, "n too small for an interval at 0.95 (3 points)");
}

static void trend_is_that_of_all_pairs(void **state)
{
	double tau;

	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(trends); i++) {
		const struct series *at = &trends[i];

		print_message("%s\n", at->name);
		assert_near(nova_stats_mann_kendall(at->y, at->count, &tau), at->p, 1e-12);
		assert_near(tau, at->tau, 1e-12);
	}
}

static void no_trend_in_what_is_too_short_or_equal(void **state)
{
	const double equal[] = {2, 2, 2, 2, 2}, lost[] = {1, INFINITY, 2, INFINITY, 3, INFINITY};
	double tau = 5;

	(void)state;
	assert_near(nova_stats_mann_kendall(equal, 5, &tau), 1, 0);
	assert_near(tau, 0, 0);
	assert_near(nova_stats_mann_kendall(equal, 2, NULL), 1, 0);
	assert_near(nova_stats_mann_kendall(NULL, 0, NULL), 1, 0);
	assert_near(nova_stats_rank_autocorrelation(equal, 5), 0, 0);
	assert_near(nova_stats_rank_autocorrelation(lost, 3), 0, 0);
	assert_true(nova_stats_mann_kendall(lost, 6, &tau) <= 1);
	assert_true(tau > 0);
}

static void rank_autocorrelation_is_that_of_numpy(void **state)
{
	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(lines); i++)
		assert_near(nova_stats_rank_autocorrelation(lines[i].y, lines[i].count),
		            lines[i].memory, 1e-12);
}

/* Noise that remembers `memory` of the value before, and a trend. */
static void make_series(struct source *source, double memory, double slope, size_t n, double *y)
{
	double noise = draw_normal(source) / sqrt(1 - memory * memory);

	for (size_t i = 0; i < n; i++) {
		y[i] = noise + slope * (double)i;
		noise = memory * noise + draw_normal(source);
	}
}

/* The bars have room for sampling error; the rates themselves are printed. */
static void trend_test_errs_as_often_as_it_claims(void **state)
{
	static const struct {
		double memory, most;
	} at[] = {{0, 0.05}, {0.3, 0.05}, {0.5, 0.06}, {0.8, 0.075}};
	const unsigned trials = 1000;
	double y[100];

	(void)state;
	for (size_t k = 0; k < NOVA_COUNT(at); k++) {
		struct source source = {.seed = 29};
		unsigned wrong = 0;

		for (unsigned trial = 0; trial < trials; trial++) {
			make_series(&source, at[k].memory, 0, 100, y);
			wrong += nova_stats_mann_kendall(y, 100, NULL) < 0.05;
		}
		print_message("memory %g: %.3f at 0.05\n", at[k].memory, (double)wrong / trials);
		assert_true((double)wrong / trials <=
		            at[k].most + 0.6 * sampling_error(at[k].most, trials));
	}
}

static void trend_test_finds_a_trend(void **state)
{
	struct source source = {.seed = 31};
	unsigned found = 0, held = 0;
	const unsigned trials = 300;
	double y[100];

	(void)state;
	for (unsigned trial = 0; trial < trials; trial++) {
		struct nova_effect slope;

		make_series(&source, 0, 0.02, 100, y);
		found += nova_stats_mann_kendall(y, 100, NULL) < 0.05;
		nova_stats_theil_sen(NULL, y, 100, 0.95, &slope);
		held += slope.low <= 0.02 && 0.02 <= slope.high;
	}
	print_message("two standard deviations in 100 points: %.3f; slope held: %.3f\n",
	              (double)found / trials, (double)held / trials);
	assert_true(found > 0.9 * trials);
	assert_near((double)held / trials, 0.95, sampling_error(0.95, trials));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(slope_is_that_of_all_pairs),
	        cmocka_unit_test(slope_is_that_of_all_pairs_whatever_the_values),
	        cmocka_unit_test(order_of_points_and_default_times_do_not_matter),
	        cmocka_unit_test(says_why_there_is_no_slope),
	        cmocka_unit_test(trend_is_that_of_all_pairs),
	        cmocka_unit_test(no_trend_in_what_is_too_short_or_equal),
	        cmocka_unit_test(rank_autocorrelation_is_that_of_numpy),
	        cmocka_unit_test(trend_test_errs_as_often_as_it_claims),
	        cmocka_unit_test(trend_test_finds_a_trend),
	};

	return cmocka_run_group_tests_name("stats_trend", tests, NULL, NULL);
}
