/* SPDX-License-Identifier: MIT */
/*
 * One interval, one change: the likelihood ratio of "the level changes at k" against "it does not",
 * both with first-order autoregressive noise, maximal over k.
 *
 * Three things make it stand what measured series are like:
 *
 *  - Values are clipped at three robust standard deviations from the median (Huber's proposal:
 *    Robust Statistics, 1981): spikes and heavy tails weigh no more than an ordinary deviation. A
 *    rank test stands them, too, but finds fewer of the changes whose new level is still short.
 *  - Noise that is autocorrelated wanders and looks like changes. The autocorrelation is estimated
 *    about the two levels of the best split, or a change would count as autocorrelation, and the
 *    values are whitened with more than was found: with its upper confidence limit.
 *  - The evidence is compared with limits that were simulated (change_limit.c), not with a
 *    distribution that would hold for long series of normal noise only.
 */
#include "core/stats/change.h"

#include "core/stats/numbers.h"

#include <math.h>
#include <string.h>

/* In robust standard deviations. */
#define CLIP 3.0
/* The standard deviation of a normal distribution in units of its MAD, of its mean deviation. */
#define MAD_TO_SIGMA            1.4826
#define MEAN_DEVIATION_TO_SIGMA 1.2533
/*
 * The whitening coefficient is phi · (1 + SLOPE/√n) + MARGIN/√n, at most HIGHEST. SLOPE and MARGIN
 * were chosen by simulation: of those that keep the error rates they give the most power to a step
 * of two standard deviations.
 */
#define SLOPE   5.0
#define MARGIN  0.5
#define HIGHEST 0.99
/* Evidence of a split that leaves nothing unexplained: finite, and beyond every limit. */
#define LEAST_REST 1e-12
/*
 * The places k with evidence(best) - evidence(k) up to this are a 95 % set: (1 - e^(-x/2))² = 0.95
 * (Siegmund, Confidence sets in change-point problems, Int. Stat. Review 56, 1988, for changes that
 * are small against the noise; larger ones are covered more often).
 */
#define PLACE_SET 7.35

/* --- scores ---------------------------------------------------------------------------------- */

/* The k-th smallest, 0-based; reorders `v`. Hoare's quickselect, O(n) on average; the pivot is
 * drawn, so that no order of values that measuring could give is a bad one. */
static double kth(double *v, size_t n, size_t k)
{
	size_t low = 0, high = n - 1;
	uint64_t drawn = 88172645463325252ULL;

	while (low < high) {
		drawn ^= drawn << 13; /* xorshift64 (Marsaglia 2003) */
		drawn ^= drawn >> 7;
		drawn ^= drawn << 17;
		double pivot = v[low + (size_t)(drawn % (high - low + 1))];
		size_t i = low, j = high;

		while (i <= j) {
			while (v[i] < pivot)
				i++;
			while (v[j] > pivot)
				j--;
			if (i <= j) {
				double swap = v[i];

				v[i++] = v[j];
				v[j] = swap;
				if (!j)
					break;
				j--;
			}
		}
		if (k <= j)
			high = j;
		else if (k >= i)
			low = i;
		else
			break;
	}
	return v[k];
}

/* Reorders `v`. */
static double middle(double *v, size_t n)
{
	double upper = kth(v, n, n / 2), lower = v[0];

	if (n % 2)
		return upper;
	for (size_t i = 1; i < n / 2; i++) /* kth has put the smaller ones before it */
		lower = fmax(lower, v[i]);
	return nova_midpoint(lower, upper);
}

double nova_change_median(const double *values, size_t count, double *room)
{
	memcpy(room, values, count * sizeof(*room));
	return middle(room, count);
}

/* Centred, scaled and clipped into `score`; false if all values are equal. `room`: count. */
static bool score_values(const double *values, size_t count, double *score, double *room)
{
	double centre, scale, sum = 0;

	centre = nova_change_median(values, count, room);
	for (size_t i = 0; i < count; i++) {
		score[i] = values[i] - centre;
		room[i] = fabs(score[i]);
		sum += room[i] / (double)count;
	}
	scale = MAD_TO_SIGMA * middle(room, count);
	if (!(scale > 0)) /* more than half are equal */
		scale = MEAN_DEVIATION_TO_SIGMA * sum;
	if (!(scale > 0) || !isfinite(scale))
		return false;
	for (size_t i = 0; i < count; i++)
		score[i] = fmax(-CLIP, fmin(CLIP, score[i] / scale));
	return true;
}

/* --- the likelihood ratio --------------------------------------------------------------------- */

/* Sums over the whitened scores e_t = z_t - phi · z_(t-1), e_0 = √(1 - phi²) · z_0: generalised
 * least squares for a level a and a step b at k (Prais & Winsten 1954). */
struct whitened {
	double step, first; /* what a level of 1 becomes: 1 - phi, and at t = 0 */
	double aa, mean;    /* level · level; estimated level without a step */
	double rest;        /* sum of squares that the level leaves */
	double sum;         /* of e_t, t ≥ 1 */
};

static double whiten(const double *score, size_t t, double phi)
{
	return score[t] - phi * score[t - 1];
}

static void whiten_all(const double *score, size_t count, double phi, struct whitened *w)
{
	double squares, level;

	w->step = 1 - phi;
	w->first = sqrt(1 - phi * phi);
	w->sum = 0;
	squares = w->first * score[0] * w->first * score[0];
	for (size_t t = 1; t < count; t++) {
		double e = whiten(score, t, phi);

		w->sum += e;
		squares += e * e;
	}
	level = w->first * w->first * score[0] + w->step * w->sum;
	w->aa = w->first * w->first + (double)(count - 1) * w->step * w->step;
	w->mean = level / w->aa;
	w->rest = squares - level * w->mean;
}

/* What of the sum of squares a step at k explains; `tail` is the sum of e_t, t > k. */
static double explained(const double *score, size_t count, size_t k, double phi, double tail,
                        const struct whitened *w)
{
	double after = (double)(count - k - 1);
	double bb = 1 + after * w->step * w->step;
	double ab = w->step * (1 + after * w->step);
	double gain = whiten(score, k, phi) + w->step * tail - ab * w->mean;

	return gain * gain / (bb - ab * ab / w->aa);
}

static double evidence_of(double part, size_t count, const struct whitened *w)
{
	double left = w->rest > 0 ? 1 - part / w->rest : 1;

	return -(double)count * log(fmax(left, LEAST_REST));
}

/* The split that explains the most, and its evidence. */
static size_t best_split(const double *score, size_t count, size_t edge, double phi,
                         double *evidence)
{
	struct whitened w;
	double tail, most = -1;
	size_t split = 0;

	whiten_all(score, count, phi, &w);
	tail = w.sum;
	for (size_t k = 1; k + edge <= count; k++) {
		tail -= whiten(score, k, phi);
		if (k < edge)
			continue;
		double part = explained(score, count, k, phi, tail, &w);
		if (part > most) {
			most = part;
			split = k;
		}
	}
	*evidence = evidence_of(most, count, &w);
	return split;
}

/* --- autocorrelation -------------------------------------------------------------------------- */

static double mean_of(const double *v, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += v[i];
	return sum / (double)n;
}

/* Lag 1, about the levels on both sides of `split`. An estimate about an estimated mean is too low
 * by (1 + 3·phi)/n in first order (Marriott & Pope 1954). */
static double autocorrelation(const double *score, size_t count, size_t split)
{
	double before = mean_of(score, split), after = mean_of(score + split, count - split);
	double squares = 0, products = 0, last = 0, phi;

	for (size_t i = 0; i < count; i++) {
		double rest = score[i] - (i < split ? before : after);

		squares += rest * rest;
		products += rest * last;
		last = rest;
	}
	phi = squares > 0 ? products / squares : 0;
	return phi + (1 + 3 * fmax(phi, 0)) / (double)count;
}

static double whitening_for(double phi, size_t count)
{
	double root = sqrt((double)count);

	return fmax(0, fmin(HIGHEST, phi * (1 + SLOPE / root) + MARGIN / root));
}

/* --- for others ------------------------------------------------------------------------------- */

void nova_change_scan(const double *values, size_t count, size_t minimum_segment, double *room,
                      struct nova_scan *scan)
{
	double *score = room;
	double plain;

	memset(scan, 0, sizeof(*scan));
	if (count < 2 * minimum_segment || count < 4 ||
	    !score_values(values, count, score, room + count))
		return;
	scan->split = best_split(score, count, minimum_segment, 0, &plain);
	scan->phi = autocorrelation(score, count, scan->split);
	scan->split = best_split(score, count, minimum_segment, whitening_for(scan->phi, count),
	                         &scan->evidence);
}

void nova_change_locate(const double *values, size_t count, size_t minimum_segment, double phi,
                        double *room, struct nova_place_of_change *place)
{
	double *score = room;
	struct whitened w;
	double tail, used = fmax(0, fmin(HIGHEST, phi));

	memset(place, 0, sizeof(*place));
	if (count < 2 * minimum_segment || count < 4 ||
	    !score_values(values, count, score, room + count))
		return;
	place->split = best_split(score, count, minimum_segment, used, &place->evidence);
	place->low = place->high = place->split;
	whiten_all(score, count, used, &w);
	tail = w.sum;
	for (size_t k = 1; k + minimum_segment <= count; k++) {
		tail -= whiten(score, k, used);
		if (k < minimum_segment ||
		    place->evidence - evidence_of(explained(score, count, k, used, tail, &w), count,
		                                  &w) >
		            PLACE_SET)
			continue;
		if (k < place->low)
			place->low = k;
		if (k > place->high)
			place->high = k;
	}
}
