/* SPDX-License-Identifier: MIT */
/*
 * Error rates of change points on simulated series; bench/changes.py asks and prints.
 *
 *   change_rates alarms NOISE PHI POINTS SENSITIVITY SERIES   a change at any look from 20 points
 * on change_rates power BEFORE AFTER STEP SERIES    a step of STEP (0.1: 10 %) at a CV of 5 %, seen
 * at any look at up to AFTER points after it change_rates place BEFORE AFTER STEP SERIES    one
 * look: found, within 2, within [low, high] change_rates speed POINTS                      seconds,
 * with ten steps
 *
 * Prints counts on one line.
 */
#include "core/stats/stats.h"
#include "tests/unit/stats/series.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CV 0.05

/* Which looks: all up to 200 points, then each a hundredth longer. */
static size_t next_look(size_t points)
{
	return points + (points < 200 ? 1 : points / 100);
}

static unsigned long arg(char **argv, int i)
{
	return strtoul(argv[i], NULL, 10);
}

static int alarms(char **argv)
{
	enum series_noise noise = (enum series_noise)arg(argv, 2);
	struct nova_change_options options = {.sensitivity = (enum nova_sensitivity)arg(argv, 5)};
	size_t points = arg(argv, 4), series = arg(argv, 6), hits = 0;
	double phi = strtod(argv[3], NULL), *values = malloc(points * sizeof(*values));
	struct series_random random = {.state = 4711 + 10 * (uint64_t)noise};

	for (size_t i = 0; i < series; i++) {
		series_make(&random, noise, phi, values, points);
		for (size_t look = 20; look <= points; look = next_look(look))
			if (nova_stats_changes(values, look, &options, NULL, 0)) {
				hits++;
				break;
			}
	}
	free(values);
	printf("%zu %zu\n", hits, series);
	return 0;
}

static int power(char **argv)
{
	struct nova_change_options options = {0};
	size_t before = arg(argv, 2), after = arg(argv, 3), series = arg(argv, 5), hits = 0;
	double step = strtod(argv[4], NULL), *values = malloc((before + after) * sizeof(*values));
	struct series_random random = {.state = 815 + before};

	for (size_t i = 0; i < series; i++) {
		series_make(&random, SERIES_NORMAL, 0, values, before + after);
		series_step(values, before + after, CV, before, step);
		for (size_t look = before + 1; look <= before + after; look++)
			if (nova_stats_changes(values, look, &options, NULL, 0)) {
				hits++;
				break;
			}
	}
	free(values);
	printf("%zu %zu\n", hits, series);
	return 0;
}

static int place(char **argv)
{
	struct nova_change_options options = {0};
	size_t before = arg(argv, 2), after = arg(argv, 3), series = arg(argv, 5);
	size_t found = 0, near = 0, covered = 0;
	double step = strtod(argv[4], NULL), *values = malloc((before + after) * sizeof(*values));
	struct series_random random = {.state = 42 + before};

	for (size_t i = 0; i < series; i++) {
		struct nova_change_point change;

		series_make(&random, SERIES_NORMAL, 0, values, before + after);
		series_step(values, before + after, CV, before, step);
		if (!nova_stats_changes(values, before + after, &options, &change, 1))
			continue;
		found++;
		near += change.index + 2 >= before && change.index <= before + 2;
		covered += change.low <= before && before <= change.high;
	}
	free(values);
	printf("%zu %zu %zu %zu\n", found, near, covered, series);
	return 0;
}

static int speed(char **argv)
{
	struct nova_change_options options = {0};
	size_t points = arg(argv, 2), found;
	double *values = malloc(points * sizeof(*values));
	struct series_random random = {.state = 7};
	struct timespec start, end;

	series_make(&random, SERIES_NORMAL, 0, values, points);
	for (size_t i = 0; i < points; i++)
		values[i] += 10 * i / points % 2 ? 2 : 0;
	clock_gettime(CLOCK_MONOTONIC, &start);
	found = nova_stats_changes(values, points, &options, NULL, 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	free(values);
	printf("%zu %.6f\n", found,
	       (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 7 && !strcmp(argv[1], "alarms") && arg(argv, 2) < SERIES_NOISES)
		return alarms(argv);
	if (argc == 6 && !strcmp(argv[1], "power"))
		return power(argv);
	if (argc == 6 && !strcmp(argv[1], "place"))
		return place(argv);
	if (argc == 3 && !strcmp(argv[1], "speed"))
		return speed(argv);
	fprintf(stderr, "usage: see the head of bench/change_rates.c\n");
	return 2;
}
