/* SPDX-License-Identifier: MIT */
/*
 * Intervals of ratios hold the truth as often as they claim, and the bootstrap's short cut is the
 * bootstrap. Simulated, seeded.
 */
#include "check.h"

#define LEVEL 0.95

/* Two exponentials, 20 against 25, b twice a: the interval of the ratio is exact. */
static void interval_of_a_ratio_holds_the_truth(void **state)
{
	struct source source = {.seed = 11};
	const unsigned trials = 1000;
	unsigned held = 0;
	double expected = 0;

	(void)state;
	for (unsigned trial = 0; trial < trials; trial++) {
		double a[20], b[25];
		struct nova_effect effect;

		for (size_t i = 0; i < 20; i++)
			a[i] = -log(draw(&source));
		for (size_t i = 0; i < 25; i++)
			b[i] = -2 * log(draw(&source));
		nova_stats_ratio(a, 20, b, 25, LEVEL, &effect);
		held += effect.low <= 2 && 2 <= effect.high;
		expected = effect.coverage;
	}
	assert_near((double)held / trials, expected, sampling_error(expected, trials));
}

/* Of 40 and 50 log-normal values the median and the third quartile, b 1.5 times a. */
static void bootstrap_interval_holds_the_truth(void **state)
{
	const double qs[] = {0.5, 0.75};
	const unsigned trials = 600;

	(void)state;
	for (size_t q = 0; q < 2; q++) {
		struct source source = {.seed = 13};
		unsigned held = 0;

		for (unsigned trial = 0; trial < trials; trial++) {
			double a[40], b[50];
			struct nova_effect effect;

			for (size_t i = 0; i < 40; i++)
				a[i] = exp(draw_normal(&source));
			for (size_t i = 0; i < 50; i++)
				b[i] = 1.5 * exp(draw_normal(&source));
			nova_stats_ratio_bootstrap(a, 40, b, 50, qs[q], LEVEL, 400, trial, &effect);
			held += effect.low <= 1.5 && 1.5 <= effect.high;
		}
		print_message("q %g: %.3f\n", qs[q], (double)held / trials);
		/* A percentile interval is not exact: 0.95 within 0.02 and the sampling error. */
		assert_near((double)held / trials, LEVEL, 0.02 + sampling_error(LEVEL, trials));
	}
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

/* The short cut by the beta distribution against resamples that are really drawn. */
static void bootstrap_is_that_of_drawn_resamples(void **state)
{
	enum { N = 31, ROUNDS = 4000 };
	static double ratios[ROUNDS];
	struct source source = {.seed = 17};
	double a[N], b[N];
	struct nova_effect effect;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		a[i] = exp(draw_normal(&source));
		b[i] = exp(draw_normal(&source));
	}
	for (size_t round = 0; round < ROUNDS; round++) {
		double x[N], y[N];

		for (size_t i = 0; i < N; i++) {
			x[i] = a[(size_t)(N * draw(&source))];
			y[i] = b[(size_t)(N * draw(&source))];
		}
		qsort(x, N, sizeof(double), compare);
		qsort(y, N, sizeof(double), compare);
		ratios[round] = y[15] / x[15];
	}
	qsort(ratios, ROUNDS, sizeof(double), compare);
	nova_stats_ratio_bootstrap(a, N, b, N, 0.5, LEVEL, ROUNDS, 1, &effect);
	/* The ends are quantiles of 4,000 draws: ± 5 standard errors of their ranks. */
	size_t slack = (size_t)(ROUNDS * sampling_error(0.025, ROUNDS) * M_SQRT2), end = 100;
	assert_in_range(slack, 50, 99);
	assert_true(ratios[end - slack] <= effect.low && effect.low <= ratios[end + slack]);
	assert_true(ratios[ROUNDS - end - slack] <= effect.high &&
	            effect.high <= ratios[ROUNDS - end + slack]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(interval_of_a_ratio_holds_the_truth),
	        cmocka_unit_test(bootstrap_interval_holds_the_truth),
	        cmocka_unit_test(bootstrap_is_that_of_drawn_resamples),
	};

	return cmocka_run_group_tests_name("stats_compare_rates", tests, NULL, NULL);
}
