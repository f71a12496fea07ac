/* SPDX-License-Identifier: MIT */
/*
 * Change points keep their promises on simulated series: false alarms over all looks, power, place.
 * Seeded, so the same each time; as many series as a few seconds allow. `./dev bench changes` makes
 * more of them, and of more kinds.
 */
#include "core/stats/stats.h"
#include "tests/unit/stats/series.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define POINTS 100
#define SERIES 800

static const struct nova_change_options options = {0};

/* Series without a change in which one is reported at 20, 21 … 100 points. */
static unsigned alarms(uint64_t seed, enum series_noise noise, double phi)
{
	struct series_random random = {.state = seed};
	double values[POINTS];
	unsigned count = 0;

	for (int i = 0; i < SERIES; i++) {
		series_make(&random, noise, phi, values, POINTS);
		for (size_t look = 20; look <= POINTS; look++)
			if (nova_stats_changes(values, look, &options, NULL, 0)) {
				count++;
				break;
			}
	}
	return count;
}

/* 1 %, and three standard deviations of the count at that rate: 8 + 3 · 2.8. */
#define MOST_ALARMS 16

static void alarms_are_rare_on_normal_noise(void **state)
{
	(void)state;
	assert_in_range(alarms(1, SERIES_NORMAL, 0), 0, MOST_ALARMS);
}

static void alarms_are_rare_with_spikes(void **state)
{
	(void)state;
	assert_in_range(alarms(2, SERIES_SPIKES, 0), 0, MOST_ALARMS);
}

static void alarms_are_rare_at_autocorrelation_one_half(void **state)
{
	(void)state;
	assert_in_range(alarms(3, SERIES_NORMAL, 0.5), 0, MOST_ALARMS);
}

static unsigned found_within_ten(uint64_t seed, size_t before, unsigned series)
{
	struct series_random random = {.state = seed};
	double values[200];
	unsigned count = 0;

	for (unsigned i = 0; i < series; i++) {
		series_make(&random, SERIES_NORMAL, 0, values, before + 10);
		series_step(values, before + 10, 0.05, before, 0.1);
		for (size_t look = before + 1; look <= before + 10; look++)
			if (nova_stats_changes(values, look, &options, NULL, 0)) {
				count++;
				break;
			}
	}
	return count;
}

/* 90 %, less three standard deviations of the count at that rate: 900 - 3 · 9.5. */
static void a_step_of_two_deviations_is_found_within_ten_points(void **state)
{
	(void)state;
	assert_in_range(found_within_ten(4, 90, 1000), 872, 1000);
	assert_in_range(found_within_ten(5, 150, 1000), 872, 1000);
}

static void a_step_that_is_found_is_located(void **state)
{
	struct series_random random = {.state = 6};
	double values[POINTS];
	unsigned found = 0, near = 0, covered = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct nova_change_point change;
		size_t at = 30 + (size_t)(i % 41);

		series_make(&random, SERIES_NORMAL, 0, values, POINTS);
		series_step(values, POINTS, 0.05, at, 0.1);
		if (nova_stats_changes(values, POINTS, &options, &change, 1) != 1)
			continue;
		found++;
		near += change.index + 2 >= at && change.index <= at + 2;
		covered += change.low <= at && at <= change.high;
	}
	assert_true(found > 970);
	assert_true(near >= 0.9 * found);
	assert_true(covered >= 0.95 * found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(alarms_are_rare_on_normal_noise),
	        cmocka_unit_test(alarms_are_rare_with_spikes),
	        cmocka_unit_test(alarms_are_rare_at_autocorrelation_one_half),
	        cmocka_unit_test(a_step_of_two_deviations_is_found_within_ten_points),
	        cmocka_unit_test(a_step_that_is_found_is_located),
	};

	return cmocka_run_group_tests_name("stats_change_rates", tests, NULL, NULL);
}
