/* SPDX-License-Identifier: MIT */
/* One side against another, block by block, and what is made of it by a goal. */
#include "core/judge/verdict.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define BLOCKS 12

struct sides {
	double native[BLOCKS], vm[BLOCKS];
	uint32_t blocks[BLOCKS];
};

/* A VM that loses `loss` of the rate, on a host whose speed drifts to the double meanwhile. */
static struct sides drifting(double loss)
{
	struct sides sides;

	for (uint32_t i = 0; i < BLOCKS; i++) {
		sides.blocks[i] = i;
		sides.native[i] = 100 * (1 + (double)i / BLOCKS);
		sides.vm[i] = sides.native[i] * (1 - loss) * (1 + (i % 3) * 0.001);
	}
	return sides;
}

static json_t *compare(const struct sides *sides, size_t native, size_t vm, bool lower,
                       const char *goal)
{
	NOVA_AUTOJSON json_t *limits = goal ? json_loads(goal, 0, NULL) : NULL;
	struct nova_side_values a = {"native", sides->native, sides->blocks, native};
	struct nova_side_values b = {"vm", sides->vm, sides->blocks, vm};

	return nova_comparison("x.rate", lower, true, &a, &b, 0.95, 7, limits);
}

static double number(const json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}

static const char *text(const json_t *object, const char *name)
{
	return nova_json_text(object, name);
}

static void drift_that_meets_both_sides_does_not_hide_the_overhead(void **state)
{
	struct sides sides = drifting(0.04);
	NOVA_AUTOJSON json_t *found =
	        compare(&sides, BLOCKS, BLOCKS, false, "{\"pass\":0.05,\"acceptable\":0.08}");
	const json_t *interval = json_object_get(found, "interval");

	(void)state;
	assert_string_equal(text(found, "name"), "x.rate.overhead");
	assert_int_equal(json_integer_value(json_object_get(found, "n")), BLOCKS);
	assert_true(fabs(number(found, "value") - 0.039) < 0.001);
	assert_true(json_number_value(json_array_get(interval, 0)) > 0.037 &&
	            json_number_value(json_array_get(interval, 1)) < 0.0405);
	assert_true(number(found, "p") < 0.01);
	assert_string_equal(text(found, "verdict"), "pass");
}

static void overhead_of_a_duration_is_what_is_longer(void **state)
{
	struct sides sides = drifting(-0.25);
	NOVA_AUTOJSON json_t *found = compare(&sides, BLOCKS, BLOCKS, true, "{\"pass\":0.1}");

	(void)state;
	assert_true(fabs(number(found, "value") - 0.251) < 0.002);
	assert_string_equal(text(found, "better"), "lower");
	assert_string_equal(text(found, "verdict"), "needs optimization");
}

static void limit_within_the_interval_is_inconclusive(void **state)
{
	struct sides sides = drifting(0.04);
	NOVA_AUTOJSON json_t *found = compare(&sides, BLOCKS, BLOCKS, false, "{\"pass\":0.039}");

	(void)state;
	assert_string_equal(text(found, "verdict"), "inconclusive");
	assert_non_null(strstr(text(found, "verdict_why"), "the limit"));
}

/* A VM that did not get through must not be better for it. */
static void blocks_with_one_side_only_count_as_worse(void **state)
{
	struct sides sides = drifting(0.04);
	NOVA_AUTOJSON json_t *one = compare(&sides, BLOCKS, BLOCKS - 1, false, "{\"pass\":0.05}");
	NOVA_AUTOJSON json_t *many = compare(&sides, BLOCKS, BLOCKS / 2, false, "{\"pass\":0.05}");

	(void)state;
	assert_int_equal(json_integer_value(json_object_get(one, "n")), BLOCKS - 1);
	assert_string_equal(text(one, "verdict"), "pass");
	assert_non_null(strstr(text(one, "verdict_why"), "1 of 12 blocks"));
	assert_string_equal(text(many, "verdict"), "inconclusive");
	assert_non_null(strstr(text(many, "verdict_why"), "6 of 12 blocks"));
}

static void one_pair_is_too_few_for_a_verdict(void **state)
{
	struct sides sides = drifting(0.04);
	NOVA_AUTOJSON json_t *good = compare(&sides, 1, 1, false, "{\"pass\":0.5}");
	NOVA_AUTOJSON json_t *bad = compare(&sides, 1, 1, false, "{\"pass\":0.01}");
	NOVA_AUTOJSON json_t *two = compare(&sides, 2, 2, false, "{\"pass\":0.5}");

	(void)state;
	assert_string_equal(text(good, "verdict"), "inconclusive");
	assert_string_equal(text(bad, "verdict"), "inconclusive");
	assert_non_null(strstr(text(bad, "verdict_why"), "n too small (1 < 2)"));
	assert_string_equal(text(two, "verdict"), "pass");
}

static void few_pairs_are_judged_by_the_least_and_the_greatest(void **state)
{
	struct sides sides = drifting(0.04);
	NOVA_AUTOJSON json_t *found = compare(&sides, 3, 3, false, "{\"pass\":0.05}");
	NOVA_AUTOJSON json_t *none = compare(&sides, 0, 3, false, "{\"pass\":0.05}");

	(void)state;
	assert_true(json_is_null(json_object_get(found, "interval")));
	assert_non_null(strstr(text(found, "interval_why"), "too small"));
	assert_string_equal(text(found, "verdict"), "pass");
	assert_non_null(strstr(text(found, "verdict_why"), "3 pairs"));
	assert_true(json_is_null(json_object_get(none, "value")));
	assert_true(json_is_null(json_object_get(none, "p")));
	assert_string_equal(text(none, "verdict"), "inconclusive");
}

static void a_block_of_several_samples_is_its_median(void **state)
{
	const double native[] = {1, 1, 1, 1}, vm[] = {3, 1, 200, 2};
	const uint32_t alone[] = {4, 5, 6, 7}, shared[] = {4, 4, 4, 5};
	struct nova_side_values a = {"native", native, alone, 4}, b = {"vm", vm, shared, 4};
	NOVA_AUTOJSON json_t *found = nova_comparison("x.time", true, false, &a, &b, 0.95, 7, NULL);

	(void)state;
	/* Ratios 3 and 2: Hodges–Lehmann on logarithms is their geometric middle. */
	assert_int_equal(json_integer_value(json_object_get(found, "n")), 2);
	assert_true(fabs(number(found, "value") - sqrt(6)) < 1e-9);
	assert_string_equal(text(found, "name"), "x.time.ratio");
	assert_string_equal(text(found, "verdict"), "none");
}

static void values_without_a_ratio_say_so(void **state)
{
	struct sides sides = drifting(0.04);
	NOVA_AUTOJSON json_t *found = NULL;

	(void)state;
	sides.native[3] = 0;
	found = compare(&sides, BLOCKS, BLOCKS, false, "{\"pass\":0.05}");
	assert_true(json_is_null(json_object_get(found, "value")));
	assert_string_equal(text(found, "verdict"), "inconclusive");
	assert_true(*text(found, "verdict_why") != '\0');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(drift_that_meets_both_sides_does_not_hide_the_overhead),
	        cmocka_unit_test(overhead_of_a_duration_is_what_is_longer),
	        cmocka_unit_test(limit_within_the_interval_is_inconclusive),
	        cmocka_unit_test(blocks_with_one_side_only_count_as_worse),
	        cmocka_unit_test(one_pair_is_too_few_for_a_verdict),
	        cmocka_unit_test(few_pairs_are_judged_by_the_least_and_the_greatest),
	        cmocka_unit_test(a_block_of_several_samples_is_its_median),
	        cmocka_unit_test(values_without_a_ratio_say_so),
	};

	return cmocka_run_group_tests_name("run_verdict", tests, NULL, NULL);
}
