/* SPDX-License-Identifier: MIT */
/* Hotspots of stacks whose shares are known: drawn, so that what is said of chance is tried. */
#include "core/profiler/profiler.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct nova_value_type SAMPLES = {"samples", "count"};
static const char *const NAMES[] = {"much", "some", "little"};

static void add(struct nova_stacks *stacks, const char *const *path, uint64_t value)
{
	uint32_t node = 0;

	for (; *path; path++)
		node = nova_stacks_call(
		        stacks, node,
		        nova_stacks_frame(stacks, &(struct nova_frame){.name = *path}));
	nova_stacks_add(stacks, node, 0, &value);
}

/* `count` samples of three functions by chance, of which they have these shares. */
static struct nova_stacks *draw(uint64_t seed, int count, const double *shares)
{
	struct nova_stacks *stacks = nova_stacks_new(&SAMPLES, 1);

	for (int i = 0; i < count; i++) {
		double at = (double)(nova_seed_derive(seed, (uint64_t)i) >> 11) * 0x1p-53;
		size_t which = at < shares[0] ? 0 : at < shares[0] + shares[1] ? 1 : 2;

		add(stacks, (const char *const[]){"main", NAMES[which], NULL}, 1);
	}
	return stacks;
}

static json_t *spots_of(const struct nova_stacks *stacks, const struct nova_stacks *before)
{
	const struct nova_hotspots_request request = {.level = 0.95, .before = before};
	struct nova_error error = {0};
	json_t *document = NULL;

	assert_int_equal(nova_hotspots(stacks, &request, &document, &error), 0);
	return document;
}

static json_t *function(const json_t *document, const char *name)
{
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(document, "functions"), i, one)
	{
		if (strcmp(nova_json_text(one, "name"), name) == 0)
			return one;
	}
	return NULL;
}

static double number(const json_t *function, const char *what, const char *name)
{
	return json_number_value(json_object_get(json_object_get(function, what), name));
}

static void recursion_counts_once(void **state)
{
	struct nova_stacks *stacks = nova_stacks_new(&SAMPLES, 1);
	json_t *document;

	(void)state;
	add(stacks, (const char *const[]){"main", "a", "b", "a", "b", NULL}, 3);
	add(stacks, (const char *const[]){"main", "b", NULL}, 1);
	document = spots_of(stacks, NULL);
	assert_true(number(function(document, "a"), "total", "value") == 3);
	assert_true(number(function(document, "b"), "total", "value") == 4);
	assert_true(number(function(document, "b"), "self", "value") == 4);
	assert_true(number(function(document, "a"), "self", "value") == 0);
	assert_true(number(function(document, "main"), "total", "share") == 1);
	json_decref(document);
	nova_stacks_free(stacks);
}

/* 70/20/10: each interval covers its share in about 95 % of repetitions. */
static void intervals_cover_what_was_drawn(void **state)
{
	static const double shares[] = {0.7, 0.2, 0.1};
	const int rounds = 600;
	int covered[3] = {0};

	(void)state;
	for (int round = 0; round < rounds; round++) {
		struct nova_stacks *stacks = draw((uint64_t)round, 500, shares);
		json_t *document = spots_of(stacks, NULL);

		for (size_t i = 0; i < 3; i++) {
			const json_t *self = json_object_get(function(document, NAMES[i]), "self");
			const json_t *interval = json_object_get(self, "interval");

			covered[i] += json_number_value(json_array_get(interval, 0)) <= shares[i] &&
			              json_number_value(json_array_get(interval, 1)) >= shares[i];
		}
		json_decref(document);
		nova_stacks_free(stacks);
	}
	for (size_t i = 0; i < 3; i++) {
		print_message("%s: covered %.1f %%\n", NAMES[i], 100.0 * covered[i] / rounds);
		/* 4 standard deviations of 600 tries at 95 % are 3.6 points */
		assert_true(covered[i] >= rounds * 914 / 1000 && covered[i] <= rounds * 986 / 1000);
	}
}

static int changed(const json_t *document)
{
	int count = 0;
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(document, "functions"), i, one) count +=
	        json_is_true(json_object_get(one, "changed"));
	return count;
}

static void noise_is_called_noise(void **state)
{
	static const double shares[] = {0.7, 0.2, 0.1};
	const int rounds = 400;
	int quiet = 0;

	(void)state;
	for (int round = 0; round < rounds; round++) {
		struct nova_stacks *before = draw((uint64_t)round + 1000, 700, shares),
		                   *after = draw((uint64_t)round + 5000, 1100, shares);
		json_t *document = spots_of(after, before);

		quiet += changed(document) == 0;
		json_decref(document);
		nova_stacks_free(before);
		nova_stacks_free(after);
	}
	print_message("without a change nothing is marked in %.1f %%\n", 100.0 * quiet / rounds);
	assert_true(quiet >= rounds * 95 / 100);
}

static void a_change_is_found_and_what_vanished_is_told(void **state)
{
	static const double was[] = {0.7, 0.2, 0.1}, is[] = {0.4, 0.5, 0.1};
	struct nova_stacks *before = draw(1, 1000, was), *after = draw(2, 1000, is);
	json_t *document;

	(void)state;
	add(before, (const char *const[]){"main", "gone", NULL}, 60);
	document = spots_of(after, before);
	assert_true(json_is_true(json_object_get(function(document, "much"), "changed")));
	assert_true(json_is_true(json_object_get(function(document, "some"), "changed")));
	assert_true(json_is_true(json_object_get(function(document, "gone"), "changed")));
	assert_true(json_is_false(json_object_get(function(document, "little"), "changed")));
	assert_true(number(function(document, "gone"), "self", "value") == 0);
	json_decref(document);
	nova_stacks_free(before);
	nova_stacks_free(after);
}

static void what_cannot_be_compared_is_refused(void **state)
{
	struct nova_stacks *one = nova_stacks_new(&SAMPLES, 1),
	                   *other = nova_stacks_new(&(struct nova_value_type){"space", "bytes"}, 1);
	const struct nova_hotspots_request request = {.level = 0.95, .before = other};
	struct nova_error error = {0};
	json_t *document = NULL;

	(void)state;
	assert_int_equal(nova_hotspots(one, &request, &document, &error), NOVA_E_INVALID);
	assert_non_null(strstr(error.text, "\"samples\""));
	nova_stacks_free(one);
	nova_stacks_free(other);
}

/* Two waits of an hour and two of a second: an hour is no sixty samples of a minute. */
static void what_is_no_sample_has_no_interval(void **state)
{
	static const struct nova_value_type waits[] = {{"waits", "count"},
	                                               {"off-cpu", "nanoseconds"}};
	struct nova_stacks *stacks = nova_stacks_new(waits, 2);
	const struct nova_hotspots_request request = {.type = 1, .level = 0.95, .before = stacks};
	struct nova_error error = {0};
	NOVA_AUTOJSON json_t *document = NULL;
	json_t *one;
	size_t i;

	(void)state;
	for (int j = 0; j < 4; j++) {
		const struct nova_frame frame = {.name = NAMES[j % 2]};
		const uint64_t values[] = {1, j % 2 ? 1000000000 : 3600000000000};

		nova_stacks_add(stacks,
		                nova_stacks_call(stacks, 0, nova_stacks_frame(stacks, &frame)), 0,
		                values);
	}
	assert_int_equal(nova_hotspots(stacks, &request, &document, &error), 0);
	json_array_foreach(json_object_get(document, "functions"), i, one)
	{
		assert_true(
		        json_is_null(json_object_get(json_object_get(one, "self"), "interval")));
		assert_true(json_is_null(json_object_get(one, "p")));
		assert_true(json_is_null(json_object_get(one, "changed")));
	}
	assert_int_equal(i, 2);
	one = json_object_get(document, "events");
	assert_string_equal(nova_json_text(one, "type"), "waits");
	assert_int_equal(json_integer_value(json_object_get(one, "count")), 4);
	assert_int_equal(json_integer_value(json_object_get(document, "samples")), 0);
	nova_stacks_free(stacks);
}

/* Samples, what they stand for, and waits in one recording: each value has its own events. */
static void of_several_values_each_has_its_own_events(void **state)
{
	static const struct nova_value_type types[] = {{"samples", "count"},
	                                               {"cpu", "nanoseconds"},
	                                               {"waits", "count"},
	                                               {"off-cpu", "nanoseconds"}};
	static const struct {
		const char *type;
		int count, samples;
	} wanted[] = {
	        {"samples", 100, 100}, {"samples", 100, 100}, {"waits", 7, 0}, {"waits", 7, 0}};
	struct nova_stacks *stacks = nova_stacks_new(types, 4);
	const struct nova_frame frame = {.name = "f"};
	struct nova_error error = {0};

	(void)state;
	nova_stacks_add(stacks, nova_stacks_call(stacks, 0, nova_stacks_frame(stacks, &frame)), 0,
	                (const uint64_t[]){100, 1000000000, 7, 3600000000000});
	for (uint32_t i = 0; i < 4; i++) {
		const struct nova_hotspots_request request = {.type = i, .level = 0.95};
		json_t *document = NULL, *events;

		assert_int_equal(nova_hotspots(stacks, &request, &document, &error), 0);
		events = json_object_get(document, "events");
		assert_string_equal(nova_json_text(events, "type"), wanted[i].type);
		assert_int_equal(json_integer_value(json_object_get(events, "count")),
		                 wanted[i].count);
		assert_int_equal(json_integer_value(json_object_get(document, "samples")),
		                 wanted[i].samples);
		json_decref(document);
	}
	nova_stacks_free(stacks);
}

/* Names that differ in their source alone are one function, and a recursion through them is one. */
static void a_function_is_the_same_whatever_line_called_it(void **state)
{
	struct nova_stacks *stacks = nova_stacks_new(&SAMPLES, 1);
	const struct nova_frame one = {.name = "f", .file = "a.c"},
	                        two = {.name = "f", .file = "b.c"};
	uint32_t node;
	json_t *document;

	(void)state;
	node = nova_stacks_call(stacks, 0, nova_stacks_frame(stacks, &one));
	node = nova_stacks_call(stacks, node, nova_stacks_frame(stacks, &two));
	nova_stacks_add(stacks, node, 0, &(uint64_t){5});
	document = spots_of(stacks, NULL);
	assert_int_equal(json_array_size(json_object_get(document, "functions")), 1);
	assert_true(number(function(document, "f"), "total", "value") == 5);
	assert_true(number(function(document, "f"), "self", "value") == 5);
	json_decref(document);
	nova_stacks_free(stacks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(recursion_counts_once),
	        cmocka_unit_test(intervals_cover_what_was_drawn),
	        cmocka_unit_test(noise_is_called_noise),
	        cmocka_unit_test(a_change_is_found_and_what_vanished_is_told),
	        cmocka_unit_test(what_cannot_be_compared_is_refused),
	        cmocka_unit_test(what_is_no_sample_has_no_interval),
	        cmocka_unit_test(of_several_values_each_has_its_own_events),
	        cmocka_unit_test(a_function_is_the_same_whatever_line_called_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
