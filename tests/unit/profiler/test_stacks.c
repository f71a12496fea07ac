/* SPDX-License-Identifier: MIT */
/* Stacks and counts as a tree, and its boxes. */
#include "core/profiler/profiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct nova_value_type SAMPLES = {"samples", "count"};

/* "main;work" */
static void count(struct nova_stacks *stacks, const char *folded, const struct nova_origin *origin,
                  uint64_t value)
{
	uint32_t node = 0;
	char copy[256], *rest = copy;

	snprintf(copy, sizeof(copy), "%s", folded);
	for (char *name; (name = strsep(&rest, ";")) != NULL;)
		node = nova_stacks_call(
		        stacks, node,
		        nova_stacks_frame(stacks, &(struct nova_frame){.name = name}));
	nova_stacks_add(stacks, node, origin ? nova_stacks_origin(stacks, origin) : 0, &value);
}

static void equal_beginnings_are_there_once(void **state)
{
	struct nova_stacks *stacks = nova_stacks_new(&SAMPLES, 1);

	(void)state;
	for (int i = 0; i < 1000; i++) {
		count(stacks, "main;work;a", NULL, 1);
		count(stacks, "main;work;b", NULL, 2);
	}
	assert_int_equal(stacks->node_count, 5); /* the root, too */
	assert_int_equal(stacks->frame_count, 4);
	assert_int_equal(stacks->count_count, 2);
	assert_int_equal(nova_stacks_total(stacks, 0), 3000);
	nova_stacks_free(stacks);
}

static void many_distinct_ones_are_found_again(void **state)
{
	struct nova_stacks *stacks = nova_stacks_new(&SAMPLES, 1);
	char folded[64];

	(void)state;
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 20000; i++) {
			snprintf(folded, sizeof(folded), "f%d;g%d;h%d", i % 7, i % 1001, i);
			count(stacks, folded, NULL, 1);
		}
	assert_int_equal(stacks->count_count, 20000);
	for (uint32_t i = 0; i < stacks->count_count; i++)
		assert_int_equal(stacks->values[i], 2);
	for (uint32_t i = 1; i < stacks->node_count; i++)
		assert_true(stacks->nodes[i].parent < i);
	assert_true(nova_stacks_bytes(stacks) < (8u << 20));
	nova_stacks_free(stacks);
}

static void a_sum_stays_at_the_most_there_is(void **state)
{
	struct nova_stacks *stacks = nova_stacks_new(&SAMPLES, 1);

	(void)state;
	count(stacks, "a", NULL, UINT64_MAX - 1);
	count(stacks, "a", NULL, 5);
	assert_true(nova_stacks_total(stacks, 0) == UINT64_MAX);
	nova_stacks_free(stacks);
}

static const struct nova_flame_box *box_of(const struct nova_flame *flame, const char *name)
{
	for (uint32_t i = 0; i < flame->count; i++)
		if (strcmp(flame->boxes[i].name, name) == 0)
			return &flame->boxes[i];
	return NULL;
}

static void boxes_are_sorted_and_add_up(void **state)
{
	struct nova_stacks *stacks = nova_stacks_new(&SAMPLES, 1);
	struct nova_flame flame;

	(void)state;
	count(stacks, "main;z", NULL, 1);
	count(stacks, "main;a;x", NULL, 6);
	count(stacks, "main", NULL, 2);
	nova_flame_make(stacks, &(struct nova_flame_request){0}, &flame);
	assert_int_equal(flame.count, 5);
	assert_string_equal(flame.boxes[0].name, "all");
	assert_string_equal(flame.boxes[1].name, "main");
	assert_string_equal(flame.boxes[2].name, "a");
	assert_string_equal(flame.boxes[3].name, "x");
	assert_string_equal(flame.boxes[4].name, "z");
	assert_int_equal(flame.boxes[0].total, 9);
	assert_int_equal(flame.boxes[1].self, 2);
	assert_int_equal(flame.boxes[2].total, 6);
	assert_int_equal(flame.boxes[2].self, 0);
	assert_int_equal(flame.boxes[2].next, 4);
	assert_int_equal(flame.boxes[1].next, 5);
	assert_int_equal(flame.depth, 3);
	nova_flame_free(&flame);
	/* what is too narrow is not drawn, and still counted */
	nova_flame_make(stacks, &(struct nova_flame_request){.min_width = 0.2}, &flame);
	assert_null(box_of(&flame, "z"));
	assert_int_equal(box_of(&flame, "main")->total, 9);
	nova_flame_free(&flame);
	nova_stacks_free(stacks);
}

static void from_the_leaf_callers_stand_above(void **state)
{
	struct nova_stacks *stacks = nova_stacks_new(&SAMPLES, 1);
	struct nova_flame flame;

	(void)state;
	count(stacks, "a;copy", NULL, 3);
	count(stacks, "b;copy", NULL, 4);
	nova_flame_make(stacks, &(struct nova_flame_request){.reverse = true}, &flame);
	assert_int_equal(flame.boxes[1].total, 7);
	assert_string_equal(flame.boxes[1].name, "copy");
	assert_int_equal(box_of(&flame, "b")->total, 4);
	nova_flame_free(&flame);
	nova_stacks_free(stacks);
}

static void origins_are_told_apart_when_asked(void **state)
{
	const struct nova_origin one = {.process = "p",
	                                .thread = "worker",
	                                .pid = 1,
	                                .tid = 7,
	                                .cpu = 0,
	                                .vcpu = -1},
	                         two = {.process = "p",
	                                .thread = "worker",
	                                .pid = 1,
	                                .tid = 8,
	                                .cpu = 1,
	                                .vcpu = 3};
	static const struct {
		enum nova_stacks_by by;
		const char *first, *second;
	} ways[] = {{NOVA_BY_CPU, "CPU 0", "CPU 1"},
	            {NOVA_BY_THREAD, "worker 7", "worker 8"},
	            {NOVA_BY_VCPU, "[no vCPU]", "vCPU 3"},
	            {NOVA_BY_PROCESS, "p 1", "p 1"}};
	struct nova_stacks *stacks = nova_stacks_new(&SAMPLES, 1);

	(void)state;
	count(stacks, "main", &one, 5);
	count(stacks, "main", &two, 6);
	for (size_t i = 0; i < NOVA_COUNT(ways); i++) {
		struct nova_flame flame;

		nova_flame_make(stacks, &(struct nova_flame_request){.by = ways[i].by}, &flame);
		assert_non_null(box_of(&flame, ways[i].first));
		assert_non_null(box_of(&flame, ways[i].second));
		nova_flame_free(&flame);
	}
	nova_stacks_free(stacks);
}

static void deep_recursion_takes_no_stack(void **state)
{
	struct nova_stacks *stacks = nova_stacks_new(&SAMPLES, 1);
	const uint64_t one = 1;
	struct nova_flame flame;
	uint32_t frame, node = 0;

	(void)state;
	frame = nova_stacks_frame(stacks, &(struct nova_frame){.name = "again"});
	for (int i = 0; i < 100000; i++)
		node = nova_stacks_call(stacks, node, frame);
	nova_stacks_add(stacks, node, 0, &one);
	nova_flame_make(stacks, &(struct nova_flame_request){.reverse = true}, &flame);
	assert_int_equal(flame.depth, 100000);
	assert_int_equal(flame.count, 100001);
	nova_flame_free(&flame);
	nova_stacks_free(stacks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(equal_beginnings_are_there_once),
	        cmocka_unit_test(many_distinct_ones_are_found_again),
	        cmocka_unit_test(a_sum_stays_at_the_most_there_is),
	        cmocka_unit_test(boxes_are_sorted_and_add_up),
	        cmocka_unit_test(from_the_leaf_callers_stand_above),
	        cmocka_unit_test(origins_are_told_apart_when_asked),
	        cmocka_unit_test(deep_recursion_takes_no_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
