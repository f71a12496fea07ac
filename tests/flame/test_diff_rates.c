/* SPDX-License-Identifier: MIT */
/*
 * How often a difference says what is not, and how often it finds what is: recordings are drawn
 * from a program of three functions with 70, 20 and 10 % of the time, over a hundred paths. The
 * rates are printed; the bars are those that the drawings promise.
 */
#include "tests/flame/stacks.h"

#include <math.h>

#define REPETITIONS 1000u
#define SAMPLES_OF  3000u
#define PATHS       120u

static uint64_t drawn_so_far;

static double uniform(void)
{
	return ((double)(nova_seed_derive(20, drawn_so_far++) >> 11) + 0.5) * 0x1p-53;
}

/* Each of the three has a third of the paths, of very different weight. */
static void weigh_paths(double *weights, double hot, double warm, double cold)
{
	double sums[3] = {0}, shares[3] = {hot, warm, cold};

	for (unsigned i = 0; i < PATHS; i++) {
		weights[i] = pow(0.9, i / 3);
		sums[i % 3] += weights[i];
	}
	for (unsigned i = 0; i < PATHS; i++)
		weights[i] *= shares[i % 3] / sums[i % 3];
}

/* A recording of a given time: each path is a Poisson process, so the total varies, too. */
static struct nova_stacks *record(const double *weights, double samples)
{
	static const char *const functions[] = {"hot", "warm", "cold"};
	struct nova_stacks *stacks = nova_stacks_new(&SAMPLES, 1);

	for (unsigned i = 0; i < PATHS; i++) {
		uint64_t counted = 0;
		char folded[96];

		/* Knuth, TAOCP 2, 3.4.1: gaps between the events of a Poisson process */
		for (double at = -log(uniform()); at < weights[i] * samples; at -= log(uniform()))
			counted++;
		if (!counted)
			continue;
		snprintf(folded, sizeof(folded), "main;%s;step%u;leaf%u", functions[i % 3], i / 12,
		         i);
		count(stacks, folded, counted);
	}
	return stacks;
}

static void differ(const double *one, const double *two, double longer,
                   const struct nova_flame_request *request, struct nova_flame *flame)
{
	struct nova_stacks *before = record(one, SAMPLES_OF);
	struct nova_stacks *after = record(two, SAMPLES_OF * longer);
	struct nova_error error = {0};

	assert_int_equal(nova_flame_diff(before, after, request, flame, &error), 0);
	nova_stacks_free(before);
	nova_stacks_free(after);
}

static unsigned marked(const struct nova_flame *flame)
{
	unsigned found = 0;

	for (uint32_t i = 0; i < flame->count; i++)
		found += flame->changes[i].mark == NOVA_MARK_MORE ||
		         flame->changes[i].mark == NOVA_MARK_LESS;
	return found;
}

static void without_a_change_95_of_100_mark_nothing(void **state)
{
	static const struct {
		const char *what;
		double longer;
		struct nova_flame_request request;
	} cases[] = {{"shares", 1, {0}},
	             {"shares, the second recording four times as long", 4, {0}},
	             {"counts", 1, {.absolute = true}},
	             {"shares, from the leaf", 1, {.reverse = true}}};
	double weights[PATHS];

	(void)state;
	weigh_paths(weights, 0.7, 0.2, 0.1);
	for (size_t i = 0; i < NOVA_COUNT(cases); i++) {
		unsigned clean = 0;

		for (unsigned j = 0; j < REPETITIONS; j++) {
			struct nova_flame flame;

			differ(weights, weights, cases[i].longer, &cases[i].request, &flame);
			clean += marked(&flame) == 0;
			nova_flame_free(&flame);
		}
		printf("-- %s: %u of %u repetitions without a change mark nothing\n", cases[i].what,
		       clean, REPETITIONS);
		assert_true(clean >= 0.95 * REPETITIONS);
	}
}

/* By count, only what has changed differs: `hot`, what is in it, and what calls it. */
static bool is_changed(const struct nova_flame *flame, uint32_t i)
{
	uint32_t hot = box_of(flame, "hot");

	return i == 0 || !strcmp(flame->boxes[i].name, "main") ||
	       (i >= hot && i < flame->boxes[hot].next) || (flame->lane && i >= flame->lane);
}

static void a_change_is_marked_and_the_rest_is_not(void **state)
{
	const struct nova_flame_request request = {.absolute = true};
	double one[PATHS], two[PATHS];
	unsigned found = 0, falsely = 0;
	double false_share = 0;

	(void)state;
	weigh_paths(one, 0.7, 0.2, 0.1);
	weigh_paths(two, 0.9, 0.2, 0.1);
	for (unsigned j = 0; j < REPETITIONS; j++) {
		unsigned wrong = 0, all;
		struct nova_flame flame;

		differ(one, two, 1, &request, &flame);
		all = marked(&flame);
		found += flame.changes[box_of(&flame, "hot")].mark == NOVA_MARK_MORE;
		for (uint32_t i = 0; i < flame.count; i++)
			wrong += !is_changed(&flame, i) &&
			         (flame.changes[i].mark == NOVA_MARK_MORE ||
			          flame.changes[i].mark == NOVA_MARK_LESS);
		falsely += wrong > 0;
		false_share += all ? (double)wrong / all : 0;
		nova_flame_free(&flame);
	}
	printf("-- counts, 70 to 90: marked in %u of %u; something else in %u, which is %.2f %% of "
	       "what is marked\n",
	       found, REPETITIONS, falsely, 100 * false_share / REPETITIONS);
	assert_true(found >= 0.99 * REPETITIONS);
	assert_true(false_share / REPETITIONS <= NOVA_FLAME_FALSE);
}

static void a_shift_of_shares_is_marked(void **state)
{
	const struct nova_flame_request request = {0};
	double one[PATHS], two[PATHS];
	unsigned found = 0;

	(void)state;
	weigh_paths(one, 0.7, 0.2, 0.1);
	weigh_paths(two, 0.6, 0.3, 0.1);
	for (unsigned j = 0; j < REPETITIONS; j++) {
		struct nova_flame flame;

		differ(one, two, 1, &request, &flame);
		found += flame.changes[box_of(&flame, "warm")].mark == NOVA_MARK_MORE &&
		         flame.changes[box_of(&flame, "hot")].mark == NOVA_MARK_LESS;
		nova_flame_free(&flame);
	}
	printf("-- shares, 70/20 to 60/30: both are marked in %u of %u\n", found, REPETITIONS);
	assert_true(found >= 0.95 * REPETITIONS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(without_a_change_95_of_100_mark_nothing),
	        cmocka_unit_test(a_change_is_marked_and_the_rest_is_not),
	        cmocka_unit_test(a_shift_of_shares_is_marked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
