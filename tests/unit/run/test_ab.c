/* SPDX-License-Identifier: MIT */
/* The plan of A against B from the plans of each, and what is said of their blocks. */
#include "core/judge/judge.h"
#include "core/run/run.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static json_t *plan(const char *benchmark, const char *uri, int memory, int at_once)
{
	json_t *made = json_pack(
	        "{s[{ss ss s{ss}}] s[{si ss s[i] s{si si} si}] s{s{ss} s{ss}} s{si} si s{ss} ss}",
	        "targets", "name", "local", "plugin", "sim", "params", "uri", uri, "steps", "index",
	        0, "benchmark", benchmark, "targets", 0, "params", "memory", memory, "threads", 2,
	        "samples", 10, "metrics", "x.time", "better", "lower", "x.rate", "better", "higher",
	        "shape", "vcpus", memory, "at_once", at_once, "command", "config", "c", "profile",
	        memory > 1 ? "large" : "small");

	assert_non_null(made);
	return made;
}

static struct nova_ab_request request_of(const json_t *a, const json_t *b)
{
	return (struct nova_ab_request){
	        .a = a, .b = b, .alpha = 0.05, .minimum_effect = 0.03, .max_pairs = 20};
}

static const json_t *step_of(const json_t *made)
{
	return json_array_get(json_object_get(made, "steps"), 0);
}

static void joins_what_is_alike_and_keeps_what_differs_apart(void **state)
{
	NOVA_AUTOJSON json_t *a = plan("x", "sim:one", 1, 1), *b = plan("x", "sim:two", 4, 3);
	struct nova_ab_request request = request_of(a, b);
	NOVA_AUTOJSON json_t *made = NULL, *params = NULL, *shown = NULL, *sides = NULL;
	struct nova_error error = {0};
	const json_t *ab;

	(void)state;
	assert_int_equal(nova_ab_plan(&request, &made, &error), 0);
	params = json_loads("{\"memory\":{\"a\":1,\"b\":4},\"threads\":2}", 0, NULL);
	shown = json_loads("[0,1]", 0, NULL);
	sides = json_loads("[3,4]", 0, NULL);
	assert_true(json_equal(json_object_get(step_of(made), "params"), params));
	assert_true(json_equal(json_object_get(step_of(made), "targets"), shown));
	assert_true(json_equal(json_object_get(step_of(made), "sides"), sides));
	assert_int_equal(json_integer_value(json_object_get(step_of(made), "samples")), 20);
	assert_int_equal(json_integer_value(json_object_get(made, "at_once")), 3);
	ab = json_object_get(made, "ab");
	assert_string_equal(nova_json_text(ab, "metric"), "x.time");
	assert_string_equal(nova_json_text(json_object_get(ab, "a"), "profile"), "small");
	assert_string_equal(nova_json_text(json_object_get(ab, "b"), "profile"), "large");
	assert_int_equal(json_integer_value(json_array_get(
	                         json_object_get(json_object_get(ab, "b"), "targets"), 0)),
	                 1);
	assert_string_equal(
	        nova_json_text(json_array_get(json_object_get(made, "targets"), 1), "name"),
	        "local-b");
	/* What was given is as it was. */
	assert_string_equal(
	        nova_json_text(json_array_get(json_object_get(a, "targets"), 0), "name"), "local");
}

static void one_target_stays_one(void **state)
{
	NOVA_AUTOJSON json_t *a = plan("x", "sim:one", 1, 1), *b = plan("x", "sim:one", 4, 1);
	struct nova_ab_request request = request_of(a, b);
	NOVA_AUTOJSON json_t *made = NULL;
	struct nova_error error = {0};

	(void)state;
	request.metric = "x.rate";
	assert_int_equal(nova_ab_plan(&request, &made, &error), 0);
	assert_int_equal(json_array_size(json_object_get(made, "targets")), 1);
	assert_string_equal(nova_json_text(json_object_get(made, "ab"), "metric"), "x.rate");
}

static void refuses_what_cannot_be_compared(void **state)
{
	NOVA_AUTOJSON json_t *a = plan("x", "sim:one", 1, 1), *b = plan("y", "sim:one", 1, 1);
	NOVA_AUTOJSON json_t *two = plan("x", "sim:one", 1, 1);
	const struct {
		const json_t *b;
		const char *metric, *says;
		double alpha, effect;
		uint32_t pairs;
	} cases[] = {
	        {b, NULL, "side a is benchmark x and side b y", 0.05, 0.03, 20},
	        {two, NULL, "side b has 2 steps", 0.05, 0.03, 20},
	        {a, "x.tim", "did you mean x.time", 0.05, 0.03, 20},
	        {a, NULL, "alpha must be", 0, 0.03, 20},
	        {a, NULL, "alpha must be", NAN, 0.03, 20},
	        {a, NULL, "minimum effect must be", 0.05, 1, 20},
	        {a, NULL, "minimum effect must be", 0.05, NAN, 20},
	        {a, NULL, "pairs must be", 0.05, 0.03, 0},
	        {a, NULL, "pairs must be", 0.05, 0.03, 100001},
	};

	(void)state;
	json_array_append_new(json_object_get(two, "steps"), json_copy((json_t *)step_of(two)));
	for (size_t i = 0; i < NOVA_COUNT(cases); i++) {
		struct nova_ab_request request = request_of(a, cases[i].b);
		struct nova_error error = {0};
		json_t *made = a;

		request.metric = cases[i].metric;
		request.alpha = cases[i].alpha;
		request.minimum_effect = cases[i].effect;
		request.max_pairs = cases[i].pairs;
		assert_int_equal(nova_ab_plan(&request, &made, &error), NOVA_E_INVALID);
		assert_null(made);
		if (!strstr(error.text, cases[i].says))
			fail_msg("\"%s\" does not say \"%s\"", error.text, cases[i].says);
	}
}

#define PAIRS 40

static json_t *say(double factor, uint32_t b_count, bool lower)
{
	double a[PAIRS], b[PAIRS];
	uint32_t blocks[PAIRS];
	NOVA_AUTOJSON json_t *ab = json_loads(
	        "{\"metric\":\"x.time\",\"alpha\":0.05,\"minimum_effect\":0.03,\"max_pairs\":40,"
	        "\"a\":{\"settings\":[\"k=1\"]},\"b\":{\"settings\":[\"k=2\"]}}",
	        0, NULL);

	for (uint32_t i = 0; i < PAIRS; i++) {
		blocks[i] = i;
		a[i] = 10 + i % 7;
		b[i] = a[i] * factor * (1 + (i % 3) * 0.001);
	}
	/* Those that B has are the last ones. */
	return nova_ab_said(ab, lower, &(struct nova_side_values){"a", a, blocks, PAIRS},
	                    &(struct nova_side_values){"b", b + PAIRS - b_count,
	                                               blocks + PAIRS - b_count, b_count});
}

static void says_which_side_is_better_by_the_direction(void **state)
{
	NOVA_AUTOJSON json_t *slower = say(1.2, PAIRS, true), *more = say(1.2, PAIRS, false);
	NOVA_AUTOJSON json_t *same = say(1.001, PAIRS, true);

	(void)state;
	assert_string_equal(nova_json_text(slower, "state"), "greater");
	assert_non_null(
	        strstr(nova_json_text(slower, "says"), "b is worse than a: x.time is greater"));
	assert_non_null(strstr(nova_json_text(more, "says"), "b is better than a"));
	assert_string_equal(nova_json_text(same, "state"), "same");
	assert_true(json_integer_value(json_object_get(slower, "decided_at")) < PAIRS);
}

/* Most of B's replicates fail: whatever the others say, B is worse in either direction. */
static void failures_of_one_side_are_against_it(void **state)
{
	NOVA_AUTOJSON json_t *lower = say(0.9, PAIRS / 4, true),
	                     *higher = say(1.1, PAIRS / 4, false);
	NOVA_AUTOJSON json_t *none = say(1, 0, true);

	(void)state;
	assert_int_equal(json_integer_value(json_object_get(lower, "lost")), PAIRS * 3 / 4);
	assert_string_not_equal(nova_json_text(lower, "state"), "less");
	assert_string_not_equal(nova_json_text(higher, "state"), "greater");
	assert_string_equal(nova_json_text(none, "state"), "greater");
	assert_non_null(strstr(nova_json_text(none, "says"), "b is worse"));
}

/* Told of each block once, as they come, the test decides where it does when it is told all. */
static void decides_block_by_block_as_at_once(void **state)
{
	NOVA_AUTOJSON json_t *all = say(1.2, PAIRS, true);
	NOVA_AUTOJSON json_t *ab =
	        json_pack("{ss sf sf}", "metric", "x.time", "alpha", 0.05, "minimum_effect", 0.03);
	struct nova_sequential *test = NULL;
	json_int_t decided_at = 0;

	(void)state;
	for (uint32_t i = 0; i < PAIRS && !decided_at; i++) {
		double a_value = 0, b_value = 0;
		struct nova_side_values a = {"a", &a_value, &i, 1}, b = {"b", &b_value, &i, 1};

		a_value = 10 + i % 7;
		b_value = a_value * 1.2 * (1 + (i % 3) * 0.001);
		if (nova_ab_decides(ab, true, &a, &b, &test))
			decided_at = i + 1;
	}
	nova_sequential_free(test);
	assert_int_equal(decided_at, json_integer_value(json_object_get(all, "decided_at")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(joins_what_is_alike_and_keeps_what_differs_apart),
	        cmocka_unit_test(one_target_stays_one),
	        cmocka_unit_test(refuses_what_cannot_be_compared),
	        cmocka_unit_test(says_which_side_is_better_by_the_direction),
	        cmocka_unit_test(failures_of_one_side_are_against_it),
	        cmocka_unit_test(decides_block_by_block_as_at_once),
	};

	return cmocka_run_group_tests_name("run_ab", tests, NULL, NULL);
}
