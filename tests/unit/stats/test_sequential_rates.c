/* SPDX-License-Identifier: MIT */
/*
 * How often the always-valid test errs when it is looked at after each of 1,000 pairs, and how soon
 * it decides, on five kinds of values. Simulated, seeded; the rates are printed.
 */
#include "check.h"

#define ALPHA  0.05
#define LOOKS  1000
#define SERIES 400

static double normal(struct source *source)
{
	return 1 + 0.05 * draw_normal(source);
}

static double spiky(struct source *source)
{
	return normal(source) * (draw(source) < 0.02 ? 3 : 1);
}

static double skewed(struct source *source)
{
	return exp(draw_normal(source));
}

/* Log-normal with sigma 3: the mean is 90 times the median. */
static double heavy(struct source *source)
{
	return exp(3 * draw_normal(source));
}

/* 10, 11 or 12: one pair in three is tied. */
static double whole(struct source *source)
{
	return 10 + floor(3 * draw(source));
}

static const struct kind {
	const char *name;
	double (*value)(struct source *source);
} kinds[] = {{"normal, CV 5 %", normal},
             {"2 % spikes", spiky},
             {"log-normal", skewed},
             {"heavy tail", heavy},
             {"ties", whole}};

struct outcome {
	unsigned states[4];
	size_t median; /* pairs until it was decided; LOOKS + 1: it was not */
	unsigned lost; /* series whose sequence left the true ratio out before it was decided */
};

static int compare(const void *a, const void *b)
{
	size_t left = *(const size_t *)a, right = *(const size_t *)b;

	return (left > right) - (left < right);
}

static size_t one_series(const struct kind *kind, struct source *source, double ratio,
                         double margin, struct outcome *outcome)
{
	struct nova_sequential *test = nova_sequential_new(ALPHA, margin);
	struct nova_sequential_view view = {0};
	bool lost;

	/* It looks for itself after each pair: decisions stay, and the sequence only gets closer.
	 */
	for (int pair = 1; pair <= LOOKS && !view.state; pair++) {
		double a = kind->value(source), b = ratio * kind->value(source);

		nova_sequential_add(test, a, b);
		if (pair % 50 == 0)
			nova_sequential_look(test, &view);
	}
	lost = view.low > ratio * (1 + 1e-12) || view.high < ratio * (1 - 1e-12);
	nova_sequential_free(test);
	outcome->states[view.state]++;
	outcome->lost += lost;
	return view.state ? view.decided_at : LOOKS + 1;
}

static struct outcome simulate(const struct kind *kind, double ratio, double margin)
{
	struct source source = {.seed = 41 + (uint64_t)(kind - kinds)};
	struct outcome outcome = {0};
	size_t decided[SERIES];

	for (size_t i = 0; i < SERIES; i++)
		decided[i] = one_series(kind, &source, ratio, margin, &outcome);
	qsort(decided, SERIES, sizeof(*decided), compare);
	outcome.median = decided[SERIES / 2];
	print_message("%-15s ratio %.2f, margin %.2f: greater %.3f, less %.3f, same %.3f; "
	              "half after %zu pairs; truth lost %.3f\n",
	              kind->name, ratio, margin,
	              outcome.states[NOVA_SEQUENTIAL_GREATER] / (double)SERIES,
	              outcome.states[NOVA_SEQUENTIAL_LESS] / (double)SERIES,
	              outcome.states[NOVA_SEQUENTIAL_SAME] / (double)SERIES, outcome.median,
	              outcome.lost / (double)SERIES);
	return outcome;
}

/* Two standard deviations above what is promised of all series ever. */
static void assert_rare(unsigned count)
{
	assert_true(count <= SERIES * (ALPHA + 0.4 * sampling_error(ALPHA, SERIES)));
}

static void a_against_a_keeps_its_error(void **state)
{
	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(kinds); i++) {
		struct outcome outcome = simulate(&kinds[i], 1, 0);

		assert_rare(outcome.states[NOVA_SEQUENTIAL_GREATER] +
		            outcome.states[NOVA_SEQUENTIAL_LESS]);
		assert_rare(outcome.lost);
		assert_int_equal(outcome.states[NOVA_SEQUENTIAL_SAME], 0);
	}
}

/* The hardest case: the effect is the margin itself. */
static void an_effect_on_the_margin_keeps_its_error(void **state)
{
	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(kinds); i++) {
		struct outcome above = simulate(&kinds[i], 1.05, 0.05);
		struct outcome below = simulate(&kinds[i], 0.95, 0.05);

		assert_rare(SERIES - above.states[NOVA_SEQUENTIAL_UNDECIDED]);
		assert_rare(SERIES - below.states[NOVA_SEQUENTIAL_UNDECIDED]);
		assert_rare(above.lost);
		assert_rare(below.lost);
	}
}

static void no_difference_is_said_to_be_none(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct outcome outcome = simulate(&kinds[i], 1, 0.05);

		assert_true(outcome.states[NOVA_SEQUENTIAL_SAME] >= 0.95 * SERIES);
		assert_in_range(outcome.median, 8, 60);
		assert_rare(outcome.states[NOVA_SEQUENTIAL_GREATER] +
		            outcome.states[NOVA_SEQUENTIAL_LESS]);
	}
}

/* 10 % at CV 5 %: soon without a margin, in a few tens of pairs with one of half the effect. */
static void a_difference_is_found_in_tens_of_pairs(void **state)
{
	static const struct {
		double margin;
		size_t most;
	} at[] = {{0, 20}, {0.02, 25}, {0.05, 50}};

	(void)state;
	for (size_t i = 0; i < 2; i++)
		for (size_t m = 0; m < NOVA_COUNT(at); m++) {
			struct outcome more = simulate(&kinds[i], 1.1, at[m].margin);
			struct outcome less = simulate(&kinds[i], 1 / 1.1, at[m].margin);

			assert_true(more.states[NOVA_SEQUENTIAL_GREATER] >= 0.95 * SERIES);
			assert_true(less.states[NOVA_SEQUENTIAL_LESS] >= 0.95 * SERIES);
			assert_in_range(more.median, 8, at[m].most);
			assert_in_range(less.median, 8, at[m].most + 20);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_against_a_keeps_its_error),
	        cmocka_unit_test(an_effect_on_the_margin_keeps_its_error),
	        cmocka_unit_test(no_difference_is_said_to_be_none),
	        cmocka_unit_test(a_difference_is_found_in_tens_of_pairs),
	};

	return cmocka_run_group_tests_name("stats_sequential_rates", tests, NULL, NULL);
}
