/* SPDX-License-Identifier: MIT */
/* Change points: what is one, what is none, and where. Their error rates: test_change_rates.c. */
#include "core/stats/change.h"
#include "tests/unit/stats/series.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MANY 64

static struct nova_change_point changes[MANY];
static double values[120000];

static size_t find(size_t count)
{
	const struct nova_change_options options = {0};

	memset(changes, 0, sizeof(changes));
	return nova_stats_changes(values, count, &options, changes, MANY);
}

static void fill(uint64_t seed, size_t count)
{
	struct series_random random = {.state = seed};

	series_make(&random, SERIES_NORMAL, 0, values, count);
}

static void raise_from(size_t start, size_t end, double by)
{
	for (size_t i = start; i < end; i++)
		values[i] += by;
}

static void assert_near(size_t i, size_t index)
{
	if (changes[i].index + 2 < index || changes[i].index > index + 2)
		fail_msg("change %zu is at %zu, not at %zu", i, changes[i].index, index);
}

static void finds_the_first_point_of_the_new_level(void **state)
{
	(void)state;
	fill(1, 100);
	series_step(values, 100, 0.01, 60, 0.1);
	assert_int_equal(find(100), 1);
	assert_int_equal(changes[0].index, 60);
	assert_true(changes[0].low <= 60 && changes[0].high >= 60);
	assert_true(changes[0].low >= 58 && changes[0].high <= 62);
	assert_true(fabs(changes[0].before - 100) < 0.5);
	assert_true(fabs(changes[0].after - 110) < 0.5);
	assert_true(fabs(changes[0].shift - 0.1) < 0.01);
	assert_true(changes[0].p > 0 && changes[0].p <= 1e-6);
}

static void finds_a_fall_as_a_rise(void **state)
{
	(void)state;
	fill(2, 80);
	series_step(values, 80, 0.02, 40, -0.1);
	assert_int_equal(find(80), 1);
	assert_near(0, 40);
	assert_true(changes[0].shift < -0.08 && changes[0].shift > -0.12);
}

static void scale_and_offset_change_nothing(void **state)
{
	size_t index;

	(void)state;
	fill(3, 100);
	raise_from(50, 100, 4);
	assert_int_equal(find(100), 1);
	index = changes[0].index;
	for (size_t i = 0; i < 100; i++)
		values[i] = 1e-9 * values[i] - 5;
	assert_int_equal(find(100), 1);
	assert_int_equal(changes[0].index, index);
	for (size_t i = 0; i < 100; i++)
		values[i] *= 1e200;
	assert_int_equal(find(100), 1);
}

static void too_few_points_have_no_change(void **state)
{
	(void)state;
	for (size_t i = 0; i < 19; i++)
		values[i] = i < 10;
	for (size_t count = 0; count < 20; count++)
		assert_int_equal(find(count), 0);
}

static void twenty_points_show_a_large_change(void **state)
{
	(void)state;
	fill(4, 20);
	raise_from(10, 20, 10);
	assert_int_equal(find(20), 1);
	assert_int_equal(changes[0].index, 10);
}

static void equal_values_have_no_change(void **state)
{
	(void)state;
	for (size_t i = 0; i < 1000; i++)
		values[i] = 7.25;
	assert_int_equal(find(1000), 0);
}

static void two_constant_levels_have_one(void **state)
{
	(void)state;
	for (size_t i = 0; i < 100; i++)
		values[i] = i < 70 ? 0 : 3;
	assert_int_equal(find(100), 1);
	assert_int_equal(changes[0].index, 70);
	assert_int_equal(changes[0].low, 70);
	assert_int_equal(changes[0].high, 70);
	assert_true(isnan(changes[0].shift)); /* of nothing */
	assert_true(changes[0].after == 3);
}

static void a_spike_is_no_change(void **state)
{
	(void)state;
	for (size_t at = 5; at < 100; at += 13) {
		fill(5, 100);
		values[at] += 1000;
		assert_int_equal(find(100), 0);
		for (size_t i = 0; i < 100; i++)
			values[i] = i == at ? 9 : 1;
		assert_int_equal(find(100), 0);
	}
}

static void three_odd_points_are_no_regime_and_five_far_ones_are(void **state)
{
	(void)state;
	fill(6, 100);
	raise_from(97, 100, 30);
	assert_int_equal(find(100), 0);
	fill(6, 100);
	raise_from(95, 100, 30);
	assert_int_equal(find(100), 1);
	assert_int_equal(changes[0].index, 95);
}

static void finds_several(void **state)
{
	const size_t at[] = {60, 110, 170, 200, 260};
	const double by[] = {4, -6, 5, -4, 6};

	(void)state;
	for (uint64_t seed = 10; seed < 30; seed++)
		for (size_t count = 2; count <= 5; count++) {
			fill(seed, 320);
			for (size_t i = 0; i < count; i++)
				raise_from(at[i], 320, by[i]);
			assert_int_equal(find(320), count);
			for (size_t i = 0; i < count; i++)
				assert_near(i, at[i]);
		}
}

/* From far away nothing has changed: the mean before and after is the same. */
static void finds_a_bump_that_the_whole_series_hides(void **state)
{
	(void)state;
	for (uint64_t seed = 40; seed < 60; seed++) {
		fill(seed, 1000);
		raise_from(480, 520, 3);
		assert_int_equal(find(1000), 2);
		assert_near(0, 480);
		assert_near(1, 520);
		assert_true(changes[0].p < 0.01 && changes[1].p < 0.01);
	}
}

static void small_changes_are_left_out_on_request(void **state)
{
	struct nova_change_options options = {.minimum_effect = 0.05};

	(void)state;
	fill(7, 200);
	series_step(values, 200, 0.005, 100, 0.03);
	assert_int_equal(nova_stats_changes(values, 200, &options, changes, MANY), 0);
	options.minimum_effect = 0.02;
	assert_int_equal(nova_stats_changes(values, 200, &options, changes, MANY), 1);
	/* What is left after one has gone is measured again. */
	fill(8, 300);
	series_step(values, 300, 0.005, 200, 0.2);
	raise_from(100, 300, 3);
	options.minimum_effect = 0.05;
	assert_int_equal(nova_stats_changes(values, 300, &options, changes, MANY), 1);
	assert_int_equal(changes[0].index, 200);
	assert_true(fabs(changes[0].before - 101.5) < 1.6);
}

static void sensitivity_orders_what_is_found(void **state)
{
	size_t found[4] = {0};

	(void)state;
	for (uint64_t seed = 100; seed < 300; seed++)
		for (int level = 1; level <= 3; level++) {
			const struct nova_change_options options = {
			        .sensitivity = (enum nova_sensitivity)level};

			fill(seed, 100);
			raise_from(92, 100, 2);
			found[level] += nova_stats_changes(values, 100, &options, NULL, 0) > 0;
		}
	assert_true(found[NOVA_SENSITIVITY_LOW] + 20 < found[NOVA_SENSITIVITY_DEFAULT]);
	assert_true(found[NOVA_SENSITIVITY_DEFAULT] + 10 < found[NOVA_SENSITIVITY_HIGH]);
}

static void limits_and_p_agree(void **state)
{
	const double promised[] = {0, 0.001, 0.01, 0.05};

	(void)state;
	for (size_t count = 20; count < 100000; count += 1 + count / 10) {
		for (int level = 1; level <= 3; level++) {
			double limit = nova_change_limit(count, (enum nova_sensitivity)level);
			double p = nova_change_p(count, limit);

			assert_true(fabs(p / promised[level] - 1) < 1e-9);
			assert_true(nova_change_p(count, limit + 1) < p);
			assert_true(nova_change_p(count, limit - 1) > p);
		}
		assert_true(nova_change_p(count, 0) <= 1);
	}
	assert_true(isinf(nova_change_limit(19, NOVA_SENSITIVITY_HIGH)));
	assert_true(nova_change_p(19, 1000) == 1);
}

static void what_is_not_finite_has_no_change(void **state)
{
	(void)state;
	for (size_t i = 0; i < 100; i++)
		values[i] = i < 50 ? 0 : 100;
	assert_int_equal(find(100), 1);
	values[80] = NAN;
	assert_int_equal(find(100), 0);
	values[80] = INFINITY;
	assert_int_equal(find(100), 0);
}

static void extreme_values_are_survived(void **state)
{
	(void)state;
	for (size_t i = 0; i < 100; i++)
		values[i] = i % 2 ? 1.7e308 : -1.7e308;
	assert_int_equal(find(100), 0);
	for (size_t i = 0; i < 100; i++)
		values[i] = i < 50 ? 5e-324 : 1e-323;
	assert_true(find(100) <= 1);
}

static void stores_no_more_than_there_is_room_for(void **state)
{
	const struct nova_change_options options = {0};

	(void)state;
	fill(9, 300);
	raise_from(100, 200, 9);
	changes[1].index = 12345;
	assert_int_equal(nova_stats_changes(values, 300, &options, changes, 1), 2);
	assert_near(0, 100);
	assert_int_equal(changes[1].index, 12345);
	assert_int_equal(nova_stats_changes(values, 300, &options, NULL, 0), 2);
}

static void the_same_series_gives_the_same_answer(void **state)
{
	struct nova_change_point first[MANY];

	(void)state;
	fill(11, 2000);
	raise_from(700, 1300, 2);
	assert_int_equal(find(2000), 2);
	memcpy(first, changes, sizeof(first));
	assert_int_equal(find(2000), 2);
	assert_memory_equal(first, changes, sizeof(first));
}

/* Beyond 100,000 points changes are looked for among medians of blocks, then among the points. */
static void a_very_long_series_is_located_to_the_point(void **state)
{
	(void)state;
	fill(12, 120000);
	raise_from(40001, 90010, 5);
	assert_int_equal(find(120000), 2);
	assert_near(0, 40001);
	assert_near(1, 90010);
	assert_true(changes[0].low <= 40001 && changes[0].high >= 40001);
}

/* It has no level, and so no change of one. */
static void a_random_walk_is_no_change(void **state)
{
	size_t walks = 0;

	(void)state;
	for (uint64_t seed = 60; seed < 100; seed++) {
		fill(seed, 200);
		for (size_t i = 1; i < 200; i++)
			values[i] += values[i - 1];
		walks += find(200) > 0;
	}
	assert_in_range(walks, 0, 3);
}

/* Not a promise, but a fact that stats.h states. */
static void a_trend_is_reported_as_changes(void **state)
{
	(void)state;
	fill(13, 200);
	for (size_t i = 0; i < 200; i++)
		values[i] += 0.05 * (double)i;
	assert_true(find(200) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(finds_the_first_point_of_the_new_level),
	        cmocka_unit_test(finds_a_fall_as_a_rise),
	        cmocka_unit_test(scale_and_offset_change_nothing),
	        cmocka_unit_test(too_few_points_have_no_change),
	        cmocka_unit_test(twenty_points_show_a_large_change),
	        cmocka_unit_test(equal_values_have_no_change),
	        cmocka_unit_test(two_constant_levels_have_one),
	        cmocka_unit_test(a_spike_is_no_change),
	        cmocka_unit_test(three_odd_points_are_no_regime_and_five_far_ones_are),
	        cmocka_unit_test(finds_several),
	        cmocka_unit_test(finds_a_bump_that_the_whole_series_hides),
	        cmocka_unit_test(small_changes_are_left_out_on_request),
	        cmocka_unit_test(sensitivity_orders_what_is_found),
	        cmocka_unit_test(limits_and_p_agree),
	        cmocka_unit_test(what_is_not_finite_has_no_change),
	        cmocka_unit_test(extreme_values_are_survived),
	        cmocka_unit_test(stores_no_more_than_there_is_room_for),
	        cmocka_unit_test(the_same_series_gives_the_same_answer),
	        cmocka_unit_test(a_very_long_series_is_located_to_the_point),
	        cmocka_unit_test(a_random_walk_is_no_change),
	        cmocka_unit_test(a_trend_is_reported_as_changes),
	};

	return cmocka_run_group_tests_name("stats_change", tests, NULL, NULL);
}
