/* SPDX-License-Identifier: MIT */
/*
 * Comparisons of two samples and of pairs, against R and SciPy (fixtures/reference.h), and what
 * they do with timeouts, zeros and hardly any values.
 */
#include "check.h"

#include "fixtures/reference.h"

#define LEVEL 0.95

static double relative(double expected)
{
	return 1e-12 * fmax(1, fabs(expected));
}

static void assert_effect(const char *name, const struct nova_effect *effect, double value,
                          int available, double low, double high)
{
	print_message("%s: %g [%g, %g] %s\n", name, effect->value, effect->low, effect->high,
	              effect->why);
	assert_near(effect->value, value, relative(value));
	assert_int_equal(effect->available, available);
	assert_int_equal(effect->why[0] != 0, !available);
	if (!available)
		return;
	assert_near(effect->low, low, relative(low));
	assert_near(effect->high, high, relative(high));
	assert_true(effect->coverage >= LEVEL && effect->coverage < 1);
}

/* --- against R and SciPy --------------------------------------------------------------------- */

static void shift_is_that_of_r(void **state)
{
	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(two_samples); i++) {
		const struct two_samples *at = &two_samples[i];
		struct nova_effect effect;

		nova_stats_shift(at->a, at->a_count, at->b, at->b_count, LEVEL, &effect);
		assert_effect(at->name, &effect, at->value, at->available, at->low, at->high);
	}
}

static void mann_whitney_is_that_of_scipy(void **state)
{
	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(two_samples); i++) {
		const struct two_samples *at = &two_samples[i];

		print_message("%s\n", at->name);
		assert_near(nova_stats_mann_whitney(at->a, at->a_count, at->b, at->b_count), at->p,
		            1e-12);
		assert_near(nova_stats_mann_whitney(at->b, at->b_count, at->a, at->a_count), at->p,
		            1e-12);
	}
	assert_near(nova_stats_mann_whitney(NULL, 0, two_samples[0].a, 5), 1, 0);
}

static void ratio_of_pairs_is_that_of_r(void **state)
{
	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(pairs); i++) {
		const struct pairs *at = &pairs[i];
		struct nova_effect effect;

		nova_stats_ratio_paired(at->a, at->b, at->count, LEVEL, &effect);
		assert_effect(at->name, &effect, at->value, at->available, at->low, at->high);
	}
}

static void permutation_of_few_pairs_is_that_of_scipy(void **state)
{
	unsigned checked = 0;

	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(pairs); i++) {
		const struct pairs *at = &pairs[i];

		if (at->permutation < 0)
			continue;
		checked++;
		assert_near(nova_stats_permutation_paired(at->a, at->b, at->count, 0, 0),
		            at->permutation, 1e-12);
	}
	assert_true(checked >= 5);
}

static void fdr_is_that_of_r(void **state)
{
	double p[NOVA_COUNT(p_raw)];

	(void)state;
	memcpy(p, p_raw, sizeof(p));
	nova_stats_fdr(p, NOVA_COUNT(p));
	for (size_t i = 0; i < NOVA_COUNT(p); i++)
		assert_near(p[i], p_adjusted[i], 1e-15);
	nova_stats_fdr(NULL, 0);
}

/* --- edges ----------------------------------------------------------------------------------- */

/* Values as they come: smooth, over forty orders of magnitude, of few kinds with many ties. */
static double draw_kind(struct source *source, unsigned kind)
{
	switch (kind % 3) {
	case 0: return draw_normal(source);
	case 1: return exp(15 * draw_normal(source));
	default: return floor(10 * draw(source)) - 5;
	}
}

/* An end of an interval is one of all, and as many are below the one as above the other. */
static void assert_ends(const double *all, size_t count, double low, double high)
{
	size_t below = 0, above = 0, low_at = 0, high_at = 0;

	for (size_t i = 0; i < count; i++) {
		below += all[i] < low;
		above += all[i] > high;
		low_at += all[i] == low;
		high_at += all[i] == high;
	}
	assert_true(low_at > 0 && high_at > 0);
	assert_true(below < above + high_at && above < below + low_at);
}

static void shift_is_that_of_all_differences_to_the_last_bit(void **state)
{
	static double all[70 * 61];
	double a[70], b[61];
	struct source source = {.seed = 3};
	struct nova_effect effect;

	(void)state;
	for (unsigned trial = 0; trial < 57; trial++) {
		size_t m = 10 + trial, n = 4 + trial, k = 0;

		for (size_t i = 0; i < m; i++)
			a[i] = draw_kind(&source, trial);
		for (size_t i = 0; i < n; i++)
			b[i] = draw_kind(&source, trial);
		for (size_t i = 0; i < m; i++)
			for (size_t j = 0; j < n; j++)
				all[k++] = b[j] - a[i];
		nova_stats_sort(all, k);
		nova_stats_shift(a, m, b, n, LEVEL, &effect);
		assert_near(effect.value, nova_stats_median(all, k), 0);
		assert_ends(all, k, effect.low, effect.high);
	}
}

static void ratio_of_pairs_is_that_of_all_averages(void **state)
{
	static double all[70 * 71 / 2];
	double a[70], b[70], x[70];
	struct source source = {.seed = 4};
	struct nova_effect effect;

	(void)state;
	for (unsigned trial = 0; trial < 60; trial++) {
		size_t n = 8 + trial, k = 0;

		for (size_t i = 0; i < n; i++) {
			a[i] = 1;
			b[i] = exp(trial % 3 == 1 ? 20 * draw_normal(&source)
			                          : draw_kind(&source, trial));
			x[i] = log(b[i]);
		}
		for (size_t i = 0; i < n; i++)
			for (size_t j = i; j < n; j++)
				all[k++] = (x[i] + x[j]) / 2;
		nova_stats_sort(all, k);
		nova_stats_ratio_paired(a, b, n, LEVEL, &effect);
		assert_near(effect.value, exp(nova_stats_median(all, k)), 1e-12 * effect.value);
		for (size_t i = 0; i < k; i++)
			all[i] = exp(all[i]);
		assert_ends(all, k, effect.low, effect.high);
		assert_true(effect.low <= effect.value && effect.value <= effect.high);
	}
}

static void a_timeout_is_worse_than_any_value(void **state)
{
	const double fine[] = {1, 2, 3, 4, 5}, lost[] = {INFINITY, INFINITY, INFINITY, INFINITY};
	struct nova_effect effect;

	(void)state;
	nova_stats_shift(fine, 5, lost, 4, LEVEL, &effect);
	assert_effect("all timed out", &effect, INFINITY, 1, INFINITY, INFINITY);
	nova_stats_shift(lost, 4, fine, 5, LEVEL, &effect);
	assert_effect("the other way", &effect, -INFINITY, 1, -INFINITY, -INFINITY);
	nova_stats_shift(lost, 4, lost, 4, LEVEL, &effect);
	assert_effect("both", &effect, 0, 1, 0, 0);
	assert_near(nova_stats_mann_whitney(fine, 5, lost, 4),
	            nova_stats_mann_whitney(fine, 5, (const double[]){9, 9, 9, 9}, 4), 0);
	nova_stats_ratio(fine, 5, lost, 4, LEVEL, &effect);
	assert_false(effect.available);
	assert_true(isnan(effect.value));
	assert_string_equal(effect.why, "a ratio needs finite values above 0 (b has inf)");
}

static void ratio_needs_values_above_zero(void **state)
{
	const double good[] = {1, 2, 3, 4, 5, 6}, zero[] = {1, 2, 3, 0, 5, 6};
	struct nova_effect effect;

	(void)state;
	nova_stats_ratio(zero, 6, good, 6, LEVEL, &effect);
	assert_string_equal(effect.why, "a ratio needs finite values above 0 (a has 0)");
	nova_stats_ratio_paired(good, zero, 6, LEVEL, &effect);
	assert_string_equal(effect.why, "a ratio needs finite values above 0 (b has 0)");
	nova_stats_ratio_bootstrap(good, 6, zero, 6, 0.5, LEVEL, 1000, 1, &effect);
	assert_false(effect.available);
	assert_near(nova_stats_permutation_paired(good, zero, 6, 100, 1), 1, 0);
}

static void says_how_few_values_there_are(void **state)
{
	const double one[] = {2}, five[] = {1, 2, 3, 4, 5};
	struct nova_effect effect;

	(void)state;
	nova_stats_shift(NULL, 0, one, 1, LEVEL, &effect);
	assert_true(isnan(effect.value));
	assert_string_equal(effect.why, "n too small (0 and 1)");
	nova_stats_shift(one, 1, five, 5, LEVEL, &effect);
	assert_near(effect.value, 1, 0);
	assert_string_equal(effect.why, "n too small for an interval at 0.95 (1 and 5)");
	nova_stats_ratio(one, 1, one, 1, LEVEL, &effect);
	assert_near(effect.value, 1, 0);
	assert_false(effect.available);
	nova_stats_ratio_paired(NULL, NULL, 0, LEVEL, &effect);
	assert_string_equal(effect.why, "n too small (no pair)");
	nova_stats_ratio_bootstrap(five, 5, five, 5, 0.5, LEVEL, 1000, 1, &effect);
	assert_near(effect.value, 1, 0);
	assert_string_equal(effect.why, "n too small (a: 5 < 6)");
	nova_stats_ratio_bootstrap(five, 5, five, 5, 0.3, 0.5, 2, 1, &effect);
	assert_string_equal(effect.why, "too few resamples (2) for level 0.5");
	nova_stats_ratio_bootstrap(five, 5, five, 5, 1.5, LEVEL, 1000, 1, &effect);
	assert_string_equal(effect.why, "quantile 1.5 or level 0.95 out of range");
}

static void ratio_is_the_shift_of_logarithms(void **state)
{
	double a[30], b[25];
	struct source source = {.seed = 5};
	struct nova_effect ratio, inverse;

	(void)state;
	for (size_t i = 0; i < 30; i++)
		a[i] = exp(draw_normal(&source));
	for (size_t i = 0; i < 25; i++)
		b[i] = exp(1 + draw_normal(&source));
	nova_stats_ratio(a, 30, b, 25, LEVEL, &ratio);
	nova_stats_ratio(b, 25, a, 30, LEVEL, &inverse);
	assert_near(ratio.value, 1 / inverse.value, 1e-12);
	assert_near(ratio.low, 1 / inverse.high, 1e-12);
	assert_near(ratio.high, 1 / inverse.low, 1e-12);
	assert_true(ratio.low < M_E && M_E < ratio.high);
}

/* --- seeds ----------------------------------------------------------------------------------- */

static void same_seed_same_result(void **state)
{
	double a[20], b[20];
	struct source source = {.seed = 19};
	struct nova_effect one, two, other;

	(void)state;
	for (size_t i = 0; i < 20; i++) {
		a[i] = exp(draw_normal(&source));
		b[i] = exp(draw_normal(&source));
	}
	nova_stats_ratio_bootstrap(a, 20, b, 20, 0.5, LEVEL, 500, 7, &one);
	nova_stats_ratio_bootstrap(a, 20, b, 20, 0.5, LEVEL, 500, 7, &two);
	nova_stats_ratio_bootstrap(a, 20, b, 20, 0.5, LEVEL, 500, 8, &other);
	assert_near(one.low, two.low, 0);
	assert_near(one.high, two.high, 0);
	assert_true(one.low != other.low || one.high != other.high);
	assert_near(nova_stats_permutation_paired(a, b, 20, 999, 7),
	            nova_stats_permutation_paired(a, b, 20, 999, 7), 0);
}

/* Drawn flips agree with all 2^16 where both can be made, and never give 0. */
static void drawn_permutations_agree_with_all(void **state)
{
	double a[17], b[17], all;
	struct source source = {.seed = 23};

	(void)state;
	for (size_t i = 0; i < 17; i++) {
		a[i] = 1;
		b[i] = exp(0.4 + draw_normal(&source));
	}
	b[16] = 1; /* a pair that says nothing changes nothing */
	all = nova_stats_permutation_paired(a, b, 16, 0, 0);
	assert_true(all > 0.005 && all < 0.5);
	assert_near(nova_stats_permutation_paired(a, b, 17, 9999, 1), all,
	            sampling_error(all, 9999));
	for (size_t i = 0; i < 17; i++)
		b[i] = 2;
	assert_near(nova_stats_permutation_paired(a, b, 17, 99, 1), 1.0 / 100, 1e-12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(shift_is_that_of_r),
	        cmocka_unit_test(mann_whitney_is_that_of_scipy),
	        cmocka_unit_test(ratio_of_pairs_is_that_of_r),
	        cmocka_unit_test(permutation_of_few_pairs_is_that_of_scipy),
	        cmocka_unit_test(fdr_is_that_of_r),
	        cmocka_unit_test(shift_is_that_of_all_differences_to_the_last_bit),
	        cmocka_unit_test(ratio_of_pairs_is_that_of_all_averages),
	        cmocka_unit_test(a_timeout_is_worse_than_any_value),
	        cmocka_unit_test(ratio_needs_values_above_zero),
	        cmocka_unit_test(says_how_few_values_there_are),
	        cmocka_unit_test(ratio_is_the_shift_of_logarithms),
	        cmocka_unit_test(same_seed_same_result),
	        cmocka_unit_test(drawn_permutations_agree_with_all),
	};

	return cmocka_run_group_tests_name("stats_compare", tests, NULL, NULL);
}
