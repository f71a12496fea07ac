/* SPDX-License-Identifier: MIT */
/*
 * How long the functions of core/stats take: stats REPETITIONS. A line for each time that one was
 * called: its name, n, the CPU time in ns. The values are log-normal, new ones for each call; the
 * functions take their turns, so that whatever else the machine does meets them all.
 */
#include "core/base/base.h"
#include "core/stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

#define MOST 10000

static double a[MOST], b[MOST];
static volatile double result; /* so that no call is optimised away */

static void fill(double *values, size_t count, double factor)
{
	static uint64_t drawn;

	for (size_t i = 0; i < count; i++) {
		double u = ((double)(nova_seed_derive(1, drawn++) >> 11) + 0.5) * 0x1p-53;
		double v = ((double)(nova_seed_derive(2, drawn) >> 11) + 0.5) * 0x1p-53;

		values[i] = factor * exp(0.2 * sqrt(-2 * log(u)) * cos(2 * M_PI * v));
	}
}

static void summarise(size_t n)
{
	struct nova_summary summary;

	nova_stats_sort(a, n);
	nova_stats_summarise(a, n, 0.95, &summary);
	result = summary.median.value;
}

static void shift(size_t n)
{
	struct nova_effect effect;

	nova_stats_shift(a, n, b, n, 0.95, &effect);
	result = effect.low;
}

static void ratio(size_t n)
{
	struct nova_effect effect;

	nova_stats_ratio(a, n, b, n, 0.95, &effect);
	result = effect.low;
}

static void ratio_paired(size_t n)
{
	struct nova_effect effect;

	nova_stats_ratio_paired(a, b, n, 0.95, &effect);
	result = effect.low;
}

static void ratio_bootstrap(size_t n)
{
	struct nova_effect effect;

	nova_stats_ratio_bootstrap(a, n, b, n, 0.5, 0.95, 2000, 1, &effect);
	result = effect.low;
}

static void mann_whitney(size_t n)
{
	result = nova_stats_mann_whitney(a, n, b, n);
}

static void permutation_paired(size_t n)
{
	result = nova_stats_permutation_paired(a, b, n, 999, 1);
}

static void sequential(size_t n)
{
	struct nova_sequential *test = nova_sequential_new(0.05, 0.02);
	struct nova_sequential_view view;

	for (size_t i = 0; i < n; i++) {
		nova_sequential_add(test, a[i], b[i]);
		nova_sequential_look(test, &view);
	}
	result = view.p;
	nova_sequential_free(test);
}

static void fdr(size_t n)
{
	for (size_t i = 0; i < n; i++)
		a[i] = fmin(1, a[i] / 2);
	nova_stats_fdr(a, n);
	result = a[0];
}

static void variation(size_t n)
{
	struct nova_effect effect;

	nova_stats_variation(a, n, 0.95, 2000, 1, &effect);
	result = effect.low;
}

static void theil_sen(size_t n)
{
	struct nova_effect slope;

	nova_stats_theil_sen(NULL, a, n, 0.95, &slope);
	result = slope.low;
}

static void mann_kendall(size_t n)
{
	result = nova_stats_mann_kendall(a, n, NULL);
}

static void rank_autocorrelation(size_t n)
{
	result = nova_stats_rank_autocorrelation(a, n);
}

static const struct {
	const char *name;
	void (*call)(size_t n);
} functions[] = {
        {"summarise", summarise},
        {"shift", shift},
        {"ratio", ratio},
        {"ratio_paired", ratio_paired},
        {"ratio_bootstrap", ratio_bootstrap},
        {"mann_whitney", mann_whitney},
        {"permutation_paired", permutation_paired},
        {"sequential", sequential},
        {"fdr", fdr},
        {"variation", variation},
        {"theil_sen", theil_sen},
        {"mann_kendall", mann_kendall},
        {"rank_autocorrelation", rank_autocorrelation},
};

/* They are pure: what they cost is what this thread computes, whatever else the machine does. */
static int64_t computed_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * NOVA_SECOND_NS + t.tv_nsec;
}

int main(int argc, char **argv)
{
	static const size_t counts[] = {100, 1000, MOST};
	long repetitions = argc == 2 ? strtol(argv[1], NULL, 10) : 0;

	if (repetitions < 1) {
		fputs("usage: stats REPETITIONS\n", stderr);
		return 2;
	}
	for (long repetition = 0; repetition < repetitions; repetition++)
		for (size_t i = 0; i < NOVA_COUNT(functions); i++)
			for (size_t c = 0; c < NOVA_COUNT(counts); c++) {
				fill(a, counts[c], 1);
				fill(b, counts[c], 1.03);
				int64_t began = computed_ns();

				functions[i].call(counts[c]);
				printf("%s %zu %lld\n", functions[i].name, counts[c],
				       (long long)(computed_ns() - began));
			}
	return 0;
}
