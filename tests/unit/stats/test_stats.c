/* SPDX-License-Identifier: MIT */
/*
 * Quantiles and intervals against published values, against direct summation, and by simulation:
 * an interval that claims 95 % must hold the truth as often as theory says.
 */
#include "check.h"

#define assert_ranks(n, q, level, l, h, c)                                                         \
	do {                                                                                       \
		struct nova_ranks r_ = nova_stats_interval(n, q, level);                           \
		assert_int_equal(r_.low, l);                                                       \
		assert_int_equal(r_.high, h);                                                      \
		assert_near(r_.coverage, c, 5e-5);                                                 \
	} while (0)

static void sorts_ascending_with_infinities(void **state)
{
	double values[] = {3, INFINITY, -1, 2, -INFINITY, 2};
	const double sorted[] = {-INFINITY, -1, 2, 2, 3, INFINITY};

	(void)state;
	nova_stats_sort(values, 6);
	assert_memory_equal(values, sorted, sizeof(sorted));
	nova_stats_sort(NULL, 0);
}

static void quantile_is_an_order_statistic(void **state)
{
	double sorted[100];

	(void)state;
	for (int i = 0; i < 100; i++)
		sorted[i] = i + 1;
	assert_near(nova_stats_quantile(sorted, 100, 0.99), 99, 0);
	assert_near(nova_stats_quantile(sorted, 100, 0.95), 95, 0);
	assert_near(nova_stats_quantile(sorted, 100, 0.951), 96, 0);
	assert_near(nova_stats_quantile(sorted, 100, 1), 100, 0);
	assert_near(nova_stats_quantile(sorted, 100, 1e-9), 1, 0);
	assert_near(nova_stats_quantile(sorted, 1, 0.5), 1, 0);
	/* 0.07 * 100 is 7.000000000000001 in doubles: still rank 7. */
	assert_near(nova_stats_quantile(sorted, 100, 0.07), 7, 0);
}

static void median_is_the_middle(void **state)
{
	const double odd[] = {1, 2, 9}, even[] = {1, 2, 4, 9};
	const double censored[] = {1, INFINITY}, lost[] = {INFINITY, INFINITY};

	(void)state;
	assert_near(nova_stats_median(odd, 3), 2, 0);
	assert_near(nova_stats_median(even, 4), 3, 0);
	assert_near(nova_stats_median(even, 1), 1, 0);
	assert_true(isinf(nova_stats_median(censored, 2)));
	assert_true(isinf(nova_stats_median(lost, 2)));
}

/* Conover's and Gibbons & Chakraborti's tables for the median. */
static void median_intervals_are_the_published_ones(void **state)
{
	(void)state;
	assert_ranks(5, 0.5, 0.95, 0, 0, 0);
	assert_ranks(6, 0.5, 0.95, 1, 6, 0.96875);
	assert_ranks(8, 0.5, 0.95, 1, 8, 0.9922);
	assert_ranks(9, 0.5, 0.95, 2, 8, 0.9609);
	assert_ranks(10, 0.5, 0.95, 2, 9, 0.9785);
	assert_ranks(20, 0.5, 0.95, 6, 15, 0.9586);
	assert_ranks(100, 0.5, 0.95, 40, 61, 0.9648);
	assert_ranks(10, 0.5, 0.99, 1, 10, 0.9980);
	assert_ranks(7, 0.5, 0.99, 0, 0, 0);
	assert_ranks(6, 0.5, 0.96875, 1, 6, 0.96875);
}

static void counts_needed_are_the_known_ones(void **state)
{
	(void)state;
	assert_int_equal(nova_stats_interval_needs(0.5, 0.95), 6);
	assert_int_equal(nova_stats_interval_needs(0.5, 0.90), 5);
	assert_int_equal(nova_stats_interval_needs(0.5, 0.99), 8);
	assert_int_equal(nova_stats_upper_needs(0.99, 0.95), 299);
	assert_int_equal(nova_stats_upper_needs(0.95, 0.95), 59);
	assert_int_equal(nova_stats_upper_needs(0.99, 0.99), 459);
	assert_int_equal(nova_stats_upper_needs(0.5, 0.5), 1);
	assert_int_equal(nova_stats_upper(298, 0.99, 0.95), 0);
	assert_int_equal(nova_stats_upper(299, 0.99, 0.95), 299);
	assert_int_equal(nova_stats_upper(58, 0.95, 0.95), 0);
	assert_int_equal(nova_stats_upper(59, 0.95, 0.95), 59);
}

static void needs_agree_with_availability(void **state)
{
	const double qs[] = {0.05, 0.5, 0.9, 0.95}, levels[] = {0.5, 0.9, 0.95, 0.99};

	(void)state;
	for (size_t i = 0; i < 4; i++)
		for (size_t j = 0; j < 4; j++) {
			size_t needs = nova_stats_interval_needs(qs[i], levels[j]);
			size_t upper = nova_stats_upper_needs(qs[i], levels[j]);

			assert_true(nova_stats_interval(needs, qs[i], levels[j]).low > 0);
			assert_true(needs == 1 ||
			            nova_stats_interval(needs - 1, qs[i], levels[j]).low == 0);
			assert_true(nova_stats_upper(upper, qs[i], levels[j]) > 0);
			assert_true(nova_stats_upper(upper - 1, qs[i], levels[j]) == 0);
		}
}

/* P(X ≤ k) by Pascal's rule in long double: slow, and independent of the code under test. */
static long double direct_cdf(int n, double p, int k)
{
	static long double row[200];
	long double sum = 0;

	memset(row, 0, sizeof(row));
	row[0] = 1;
	for (int i = 0; i < n; i++)
		for (int j = i + 1; j >= 0; j--)
			row[j] = row[j] * (1 - (long double)p) +
			         (j ? row[j - 1] * (long double)p : 0);
	for (int i = 0; i <= k; i++)
		sum += row[i];
	return sum;
}

static void ranks_agree_with_direct_summation(void **state)
{
	const double qs[] = {0.1, 0.5, 0.75, 0.95};
	unsigned checked = 0;

	(void)state;
	for (int n = 1; n <= 150; n += 7)
		for (size_t i = 0; i < 4; i++) {
			struct nova_ranks ranks = nova_stats_interval((size_t)n, qs[i], 0.95);
			int low = (int)ranks.low, high = (int)ranks.high;

			if (!low)
				continue;
			checked++;
			assert_true(direct_cdf(n, qs[i], low - 1) <= 0.025L);
			assert_true(direct_cdf(n, qs[i], low) > 0.025L);
			assert_true(direct_cdf(n, qs[i], high - 1) >= 0.975L);
			assert_true(direct_cdf(n, qs[i], high - 2) < 0.975L);
			assert_near(ranks.coverage,
			            (double)(direct_cdf(n, qs[i], high - 1) -
			                     direct_cdf(n, qs[i], low - 1)),
			            1e-12);
		}
	assert_true(checked > 50);
}

static void large_counts_agree_with_the_normal_limit(void **state)
{
	struct nova_ranks ranks = nova_stats_interval(1000000, 0.5, 0.95);

	(void)state;
	/* n/2 ± 1.959964 · sqrt(n)/2 */
	assert_in_range(ranks.low, 499019, 499021);
	assert_in_range(ranks.high, 500980, 500982);
	assert_near(ranks.coverage, 0.95, 5e-4);
	assert_int_equal(ranks.low + ranks.high, 1000001);
}

static void refuses_levels_and_quantiles_out_of_range(void **state)
{
	const double wrong[] = {0, 1, -0.5, 1.5, NAN};

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(nova_stats_interval(100, wrong[i], 0.95).low, 0);
		assert_int_equal(nova_stats_interval(100, 0.5, wrong[i]).low, 0);
		assert_int_equal(nova_stats_upper(1000, wrong[i], 0.95), 0);
		assert_int_equal(nova_stats_interval_needs(0.5, wrong[i]), 0);
		assert_int_equal(nova_stats_upper_needs(wrong[i], 0.95), 0);
	}
	assert_int_equal(nova_stats_interval(0, 0.5, 0.95).low, 0);
}

static void summary_says_why_a_claim_is_absent(void **state)
{
	struct nova_summary summary;
	double sorted[300];

	(void)state;
	for (int i = 0; i < 300; i++)
		sorted[i] = i + 1;
	nova_stats_summarise(sorted, 3, 0.95, &summary);
	assert_near(summary.median.value, 2, 0);
	assert_false(summary.median.available);
	assert_string_equal(summary.median.why, "n too small (3 < 6)");
	nova_stats_summarise(sorted, 100, 0.95, &summary);
	assert_true(summary.median.available);
	assert_near(summary.median.low, 40, 0);
	assert_near(summary.median.high, 61, 0);
	assert_string_equal(summary.median.why, "");
	assert_true(summary.p95.available);
	assert_false(summary.p99.available);
	assert_string_equal(summary.p99.why, "n too small (100 < 299)");
	nova_stats_summarise(sorted, 300, 0.95, &summary);
	assert_near(summary.p99.value, 297, 0);
	assert_near(summary.min, 1, 0);
	assert_near(summary.max, 300, 0);
	nova_stats_summarise(NULL, 0, 0.95, &summary);
	assert_string_equal(summary.median.why, "n too small (0 < 6)");
}

/* Exponential, so far from symmetric: its quantile q is -ln(1 - q). */
static unsigned covered(uint64_t seed, size_t n, double q, unsigned trials)
{
	struct nova_ranks ranks = nova_stats_interval(n, q, 0.95);
	double truth = -log1p(-q), values[64];
	struct source source = {.seed = seed};
	unsigned count = 0;

	for (unsigned t = 0; t < trials; t++) {
		for (size_t i = 0; i < n; i++)
			values[i] = -log1p(-draw(&source));
		nova_stats_sort(values, n);
		count += values[ranks.low - 1] <= truth && truth <= values[ranks.high - 1];
	}
	return count;
}

static void simulated_coverage_is_the_claimed_one(void **state)
{
	const uint64_t seeds[] = {1, 42, 20261120, 0xdeadbeef, 0x123456789abcdef};
	const size_t counts[] = {6, 10, 25, 60};
	const unsigned trials = 4000;

	(void)state;
	for (size_t s = 0; s < 5; s++)
		for (size_t c = 0; c < 4; c++) {
			double expected = nova_stats_interval(counts[c], 0.5, 0.95).coverage;

			assert_true(expected >= 0.95);
			assert_near((double)covered(seeds[s], counts[c], 0.5, trials) / trials,
			            expected, sampling_error(expected, trials));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(sorts_ascending_with_infinities),
	        cmocka_unit_test(quantile_is_an_order_statistic),
	        cmocka_unit_test(median_is_the_middle),
	        cmocka_unit_test(median_intervals_are_the_published_ones),
	        cmocka_unit_test(counts_needed_are_the_known_ones),
	        cmocka_unit_test(needs_agree_with_availability),
	        cmocka_unit_test(ranks_agree_with_direct_summation),
	        cmocka_unit_test(large_counts_agree_with_the_normal_limit),
	        cmocka_unit_test(refuses_levels_and_quantiles_out_of_range),
	        cmocka_unit_test(summary_says_why_a_claim_is_absent),
	        cmocka_unit_test(simulated_coverage_is_the_claimed_one),
	};

	return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
