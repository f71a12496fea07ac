/* SPDX-License-Identifier: MIT */
/*
 * Makes the limits in core/stats/change_limit.c: change_limits [SERIES], 60,000 unless told
 * otherwise, some minutes. Prints rows of its table; nothing else uses it.
 *
 * A series without a change is looked at from 20 points on after every point. Of all looks
 * together, the share that the sensitivity promises may show more evidence than the limit; this is
 * what is spent on 20 to 100 points. A look at n points gets a part that grows with n²: the fewer
 * the points, the less is known of their autocorrelation, and what is spent there buys little.
 * Noise is normal with autocorrelation 0, 0.2, 0.35 and 0.5; a look's limit is the highest that any
 * of them needs, and so is the whole.
 */
#include "core/stats/change.h"
#include "tests/unit/stats/series.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST 100
#define LOOKS   (LONGEST - NOVA_STATS_CHANGES_NEED + 1)
#define APART   5 /* between the nodes of the table */
#define NODES   ((LONGEST - NOVA_STATS_CHANGES_NEED) / APART + 1)
#define AROUND  6 /* looks on either side that a node is the mean of */
#define NOISES  4
/* Of what is promised: the rest is for the intervals within a series, and for error here. */
#define SPENT 0.85
/* The share of the series that is kept in order; and the one whose tail is taken to be exponential
 * where few series are left. */
#define TAIL        0.04
#define EXPONENTIAL 0.004
#define FEW         40

static const double autocorrelations[NOISES] = {0, 0.2, 0.35, 0.5};

struct looks {
	size_t series;
	float *evidence[NOISES][LOOKS];   /* by series */
	float *descending[NOISES][LOOKS]; /* the highest TAIL of them */
};

static int descends(const void *a, const void *b)
{
	float left = *(const float *)a, right = *(const float *)b;

	return (left < right) - (left > right);
}

static void simulate(struct looks *looks, size_t noise)
{
	struct series_random random = {.state = 1000 + noise};
	double values[LONGEST], room[2 * LONGEST];
	size_t tail = (size_t)(TAIL * (double)looks->series);

	for (size_t at = 0; at < looks->series; at++) {
		series_make(&random, SERIES_NORMAL, autocorrelations[noise], values, LONGEST);
		for (size_t look = 0; look < LOOKS; look++) {
			struct nova_scan scan;

			nova_change_scan(values, NOVA_STATS_CHANGES_NEED + look, 5, room, &scan);
			looks->evidence[noise][look][at] = (float)scan.evidence;
		}
	}
	for (size_t look = 0; look < LOOKS; look++) {
		float *sorted = malloc(looks->series * sizeof(*sorted));

		memcpy(sorted, looks->evidence[noise][look], looks->series * sizeof(*sorted));
		qsort(sorted, looks->series, sizeof(*sorted), descends);
		memcpy(looks->descending[noise][look], sorted, tail * sizeof(*sorted));
		free(sorted);
	}
}

/* What the share `alpha` of the series exceeds. */
static double exceeded_by(const float *descending, size_t series, double alpha)
{
	size_t tail = (size_t)(EXPONENTIAL * (double)series);
	double position = fmin(alpha, TAIL / 2) * (double)series, excess = 0;
	double least = descending[tail - 1];

	if (position > FEW) {
		double part = position - floor(position);

		return descending[(size_t)position] * (1 - part) +
		       descending[(size_t)position + 1] * part;
	}
	for (size_t i = 0; i < tail; i++)
		excess += (descending[i] - least) / (double)tail;
	return least + excess * log(EXPONENTIAL / alpha);
}

static void make_nodes(const struct looks *looks, double alpha, double nodes[NODES])
{
	double highest[LOOKS];

	for (size_t look = 0; look < LOOKS; look++) {
		double n = (double)(NOVA_STATS_CHANGES_NEED + look);

		highest[look] = 0;
		for (size_t noise = 0; noise < NOISES; noise++)
			highest[look] =
			        fmax(highest[look],
			             exceeded_by(looks->descending[noise][look], looks->series,
			                         alpha * n * n / LONGEST / LONGEST));
	}
	for (size_t node = 0; node < NODES; node++) {
		size_t centre = node * APART, count = 0;

		nodes[node] = 0;
		for (size_t look = centre < AROUND ? 0 : centre - AROUND;
		     look <= centre + AROUND && look < LOOKS; look++, count++)
			nodes[node] += highest[look];
		nodes[node] /= (double)count;
	}
}

static double between(const double nodes[NODES], size_t look)
{
	size_t node = look / APART;
	double part = (double)(look % APART) / APART;

	return part > 0 ? nodes[node] * (1 - part) + nodes[node + 1] * part : nodes[node];
}

/* The share of series in which any look exceeds its limit. */
static double alarms(const struct looks *looks, size_t noise, const double nodes[NODES])
{
	size_t hits = 0;

	for (size_t at = 0; at < looks->series; at++)
		for (size_t look = 0; look < LOOKS; look++)
			if (looks->evidence[noise][look][at] > between(nodes, look)) {
				hits++;
				break;
			}
	return (double)hits / (double)looks->series;
}

static void make_limits(const struct looks *looks, double promised)
{
	double low = promised * 1e-4, high = promised, nodes[NODES], worst;

	for (int step = 0; step < 16; step++) {
		double alpha = sqrt(low * high);

		make_nodes(looks, alpha, nodes);
		worst = 0;
		for (size_t noise = 0; noise < NOISES; noise++)
			worst = fmax(worst, alarms(looks, noise, nodes));
		if (worst > promised * SPENT)
			high = alpha;
		else
			low = alpha;
	}
	printf("/* %g: alarms", promised);
	for (size_t noise = 0; noise < NOISES; noise++)
		printf(" %.4f", alarms(looks, noise, nodes));
	printf(" */\n{");
	for (size_t node = 0; node < NODES; node++)
		printf("%.1f%s", nodes[node], node + 1 < NODES ? ", " : "},\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct looks looks = {.series = argc > 1 ? strtoul(argv[1], NULL, 10) : 60000};
	const double promised[] = {0.001, 0.01, 0.05};

	for (size_t noise = 0; noise < NOISES; noise++) {
		for (size_t look = 0; look < LOOKS; look++) {
			looks.evidence[noise][look] = malloc(looks.series * sizeof(float));
			looks.descending[noise][look] = malloc(looks.series * sizeof(float));
		}
		simulate(&looks, noise);
	}
	for (size_t i = 0; i < 3; i++)
		make_limits(&looks, promised[i]);
	return 0;
}
