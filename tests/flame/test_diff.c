/* SPDX-License-Identifier: MIT */
/* Differences between two recordings: what is marked, what vanished, how wide it is. */
#include "tests/flame/stacks.h"

#include <math.h>

static struct nova_stacks *recording(const char *const *folded, const uint64_t *values)
{
	struct nova_stacks *stacks = nova_stacks_new(&SAMPLES, 1);

	for (size_t i = 0; folded[i]; i++)
		if (values[i])
			count(stacks, folded[i], values[i]);
	return stacks;
}

static const char *const PATHS[] = {"main;hot",        "main;cold",   "main;old;deep",
                                    "main;fresh;deep", "main;rare;x", NULL};
static const uint64_t BEFORE[] = {5000, 4000, 1000, 0, 1};
static const uint64_t AFTER[] = {7000, 2400, 0, 600, 0};

static void difference(const uint64_t *one, const uint64_t *two,
                       const struct nova_flame_request *request, struct nova_flame *flame)
{
	struct nova_stacks *before = recording(PATHS, one), *after = recording(PATHS, two);
	struct nova_error error = {0};

	assert_int_equal(nova_flame_diff(before, after, request, flame, &error), 0);
	/* the difference has all that it needs */
	nova_stacks_free(before);
	nova_stacks_free(after);
}

static const struct nova_flame_change *change_of(const struct nova_flame *flame, const char *name)
{
	return &flame->changes[box_of(flame, name)];
}

static void changes_are_marked_as_what_they_are(void **state)
{
	const struct nova_flame_request request = {0};
	struct nova_flame flame;

	(void)state;
	difference(BEFORE, AFTER, &request, &flame);
	assert_int_equal(change_of(&flame, "hot")->mark, NOVA_MARK_MORE);
	assert_int_equal(change_of(&flame, "cold")->mark, NOVA_MARK_LESS);
	assert_int_equal(change_of(&flame, "fresh")->mark, NOVA_MARK_MORE);
	assert_int_equal(change_of(&flame, "main")->mark, NOVA_MARK_NOISE);
	assert_int_equal(change_of(&flame, "old")->mark, NOVA_MARK_LESS);
	assert_int_equal(change_of(&flame, "rare")->mark, NOVA_MARK_FEW);
	assert_string_equal(
	        flame_mark_name(&flame.boxes[box_of(&flame, "fresh")], change_of(&flame, "fresh")),
	        "new");
	assert_true(change_of(&flame, "hot")->q >= change_of(&flame, "hot")->p);
	/* old and deep are one test, fresh and deep too; main has all, and rare too little */
	assert_int_equal(flame.tests, 4);
	nova_flame_free(&flame);
}

static void vanished_paths_stand_in_the_lane_among_their_callers(void **state)
{
	const struct nova_flame_request request = {0};
	struct nova_flame flame;

	(void)state;
	difference(BEFORE, AFTER, &request, &flame);
	assert_true(flame.lane > 0);
	assert_string_equal(flame.boxes[flame.lane].name, "paths that vanished");
	assert_true(box_of(&flame, "old") > flame.lane);
	assert_true(box_of(&flame, "rare") > flame.lane);
	assert_true(box_of(&flame, "hot") < flame.lane);
	assert_string_equal(flame.boxes[flame.lane + 1].name, "main");
	assert_int_equal(flame.changes[flame.lane + 1].mark, NOVA_MARK_CALLER);
	assert_int_equal(flame.changes[flame.lane + 1].total, 1001);
	assert_true(fabs(flame.changes[flame.lane].width - 1001.0 / 10001) < 1e-12);
	assert_int_equal(flame.lane_depth, 3);
	assert_int_equal(flame.boxes[0].next, flame.lane);
	nova_flame_free(&flame);
}

static void boxes_are_as_wide_as_the_mean_of_both_sides(void **state)
{
	const struct nova_flame_request request = {0};
	struct nova_flame flame;

	(void)state;
	difference(BEFORE, AFTER, &request, &flame);
	assert_true(fabs(change_of(&flame, "all")->width - 1) < 1e-12);
	assert_true(fabs(change_of(&flame, "hot")->width - (0.5 * 5000 / 10001 + 0.35)) < 1e-12);
	for (uint32_t i = 0; i < flame.count; i++) {
		double inside = 0;

		for (uint32_t j = i + 1; j < flame.boxes[i].next; j = flame.boxes[j].next)
			inside += flame.changes[j].width;
		assert_true(inside <= flame.changes[i].width + 1e-12);
	}
	nova_flame_free(&flame);
}

/* Twice as long a recording has twice the samples: by share nothing has changed, by count all. */
static void shares_and_counts_are_two_questions(void **state)
{
	static const uint64_t one[] = {500, 400, 100, 0, 0}, two[] = {1000, 800, 200, 0, 0};
	struct nova_flame_request request = {0};
	struct nova_flame flame;

	(void)state;
	difference(one, two, &request, &flame);
	for (uint32_t i = 0; i < flame.count; i++)
		assert_int_equal(flame.changes[i].mark, NOVA_MARK_NOISE);
	nova_flame_free(&flame);
	request.absolute = true;
	difference(one, two, &request, &flame);
	for (uint32_t i = 0; i < flame.count; i++)
		assert_int_equal(flame.changes[i].mark, NOVA_MARK_MORE);
	nova_flame_free(&flame);
}

/* … unless it is known that it was twice as long. */
static void counts_are_compared_per_time_where_it_is_known(void **state)
{
	static const uint64_t one[] = {500, 400, 100, 0, 0}, two[] = {1000, 800, 200, 0, 0};
	const struct nova_flame_request request = {.absolute = true};
	struct nova_stacks *before = recording(PATHS, one), *after = recording(PATHS, two);
	struct nova_error error = {0};
	struct nova_flame flame;

	(void)state;
	before->duration_ns = 10 * NOVA_SECOND_NS;
	after->duration_ns = 20 * NOVA_SECOND_NS;
	assert_int_equal(nova_flame_diff(before, after, &request, &flame, &error), 0);
	for (uint32_t i = 0; i < flame.count; i++)
		assert_int_equal(flame.changes[i].mark, NOVA_MARK_NOISE);
	nova_flame_free(&flame);
	nova_stacks_free(before);
	nova_stacks_free(after);
}

/* 70,000 ns are evidence for nothing if a sample is 10,000 ns. */
static void nanoseconds_are_tested_as_samples(void **state)
{
	const struct nova_value_type cpu = {"cpu", "nanoseconds"};
	const struct nova_flame_request request = {0};
	struct nova_stacks *sides[2];
	struct nova_error error = {0};
	struct nova_flame flame;

	(void)state;
	for (int i = 0; i < 2; i++) {
		sides[i] = nova_stacks_new(&cpu, 1);
		sides[i]->period = 10000;
		count(sides[i], "main;a", i ? 60000 : 70000);
		count(sides[i], "main;b", 50000);
	}
	assert_int_equal(nova_flame_diff(sides[0], sides[1], &request, &flame, &error), 0);
	assert_int_equal(change_of(&flame, "a")->mark, NOVA_MARK_NOISE);
	assert_null(flame.untested);
	nova_flame_free(&flame);
	sides[1]->period = 0;
	assert_int_equal(nova_flame_diff(sides[0], sides[1], &request, &flame, &error), 0);
	assert_non_null(flame.untested);
	assert_int_equal(flame.tests, 0);
	assert_int_equal(change_of(&flame, "a")->mark, NOVA_MARK_FEW);
	nova_flame_free(&flame);
	nova_stacks_free(sides[0]);
	nova_stacks_free(sides[1]);
}

/* Each wait has a length of its own: how many there were says nothing of chance. */
static void waits_are_not_tested(void **state)
{
	static const struct nova_value_type waits[] = {{"waits", "count"},
	                                               {"off-cpu", "nanoseconds"}};
	struct nova_stacks *sides[2];
	struct nova_error error = {0};

	(void)state;
	for (int i = 0; i < 2; i++) {
		const uint64_t values[] = {1000, i ? 3600000000000 : 1000000000};

		sides[i] = nova_stacks_new(waits, 2);
		nova_stacks_add(sides[i], call(sides[i], 0, "sleep", 0), 0, values);
		nova_stacks_add(sides[i], call(sides[i], 0, "poll", 0), 0,
		                (const uint64_t[]){1000, 5000000000});
	}
	for (uint32_t type = 0; type < 2; type++) {
		const struct nova_flame_request request = {.type = type};
		struct nova_flame flame;

		assert_int_equal(nova_flame_diff(sides[0], sides[1], &request, &flame, &error), 0);
		assert_non_null(flame.untested);
		assert_int_equal(flame.tests, 0);
		assert_int_equal(change_of(&flame, "sleep")->mark, NOVA_MARK_FEW);
		nova_flame_free(&flame);
	}
	nova_stacks_free(sides[0]);
	nova_stacks_free(sides[1]);
}

static void processes_are_the_same_by_name(void **state)
{
	const struct nova_flame_request request = {.by = NOVA_BY_PROCESS};
	struct nova_stacks *sides[2];
	struct nova_error error = {0};
	struct nova_flame flame;

	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct nova_origin origin = {
		        .process = "qemu", .thread = "CPU 0/KVM", .pid = 100 + i, .tid = 200 + i};

		sides[i] = nova_stacks_new(&SAMPLES, 1);
		nova_stacks_add(sides[i], call(sides[i], 0, "main", 0),
		                nova_stacks_origin(sides[i], &origin), &(uint64_t){100});
	}
	assert_int_equal(nova_flame_diff(sides[0], sides[1], &request, &flame, &error), 0);
	assert_int_equal(flame.count, 3);
	assert_string_equal(flame.boxes[1].name, "qemu");
	assert_int_equal(flame.changes[1].mark, NOVA_MARK_NOISE);
	nova_flame_free(&flame);
	nova_stacks_free(sides[0]);
	nova_stacks_free(sides[1]);
}

static void different_values_are_refused(void **state)
{
	const struct nova_flame_request request = {0};
	struct nova_stacks *one = recording(PATHS, BEFORE);
	struct nova_stacks *two =
	        nova_stacks_new(&(struct nova_value_type){"cpu", "nanoseconds"}, 1);
	struct nova_stacks *empty = nova_stacks_new(&SAMPLES, 1);
	struct nova_error error = {0};
	struct nova_flame flame;

	(void)state;
	count(two, "main", 1);
	assert_int_equal(nova_flame_diff(one, two, &request, &flame, &error), NOVA_E_INVALID);
	assert_non_null(strstr(error.text, "samples in count"));
	assert_int_equal(nova_flame_diff(one, empty, &request, &flame, &error), NOVA_E_INVALID);
	assert_non_null(strstr(error.text, "nothing was counted after"));
	assert_null(flame.boxes);
	nova_stacks_free(one);
	nova_stacks_free(two);
	nova_stacks_free(empty);
}

static void drawings_say_what_has_changed(void **state)
{
	const struct nova_flame_request request = {0};
	struct nova_flame flame;

	(void)state;
	difference(BEFORE, AFTER, &request, &flame);
	NOVA_AUTOFREE char *svg = drawn(nova_flame_write_svg, &flame, "t");
	assert_non_null(
	        strstr(svg, ">hot\n50 % → 70 % (+20 points; 5,000 samples → 7,000): more, q "));
	assert_non_null(strstr(svg, ">old\n10 % of before (1,000 samples) in paths that vanished: "
	                            "vanished, q "));
	assert_non_null(strstr(svg, "Paths that vanished"));
	NOVA_AUTOFREE char *html = drawn(nova_flame_write_html, &flame, "t");
	assert_non_null(strstr(html, "\"words\":[\"noise\",\"less\",\"new\",\"more\","));
	assert_non_null(strstr(html, "<td class=\"n\">+20.00</td>"));
	nova_flame_free(&flame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(changes_are_marked_as_what_they_are),
	        cmocka_unit_test(vanished_paths_stand_in_the_lane_among_their_callers),
	        cmocka_unit_test(boxes_are_as_wide_as_the_mean_of_both_sides),
	        cmocka_unit_test(shares_and_counts_are_two_questions),
	        cmocka_unit_test(counts_are_compared_per_time_where_it_is_known),
	        cmocka_unit_test(nanoseconds_are_tested_as_samples),
	        cmocka_unit_test(waits_are_not_tested),
	        cmocka_unit_test(processes_are_the_same_by_name),
	        cmocka_unit_test(different_values_are_refused),
	        cmocka_unit_test(drawings_say_what_has_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
