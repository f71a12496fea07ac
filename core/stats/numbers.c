/* SPDX-License-Identifier: MIT */
/* What the other files of this room share; numbers.h says what it is. */
#include "core/stats/numbers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- the normal distribution ----------------------------------------------------------------- */

double nova_normal_below(double z)
{
	return erfc(-z / M_SQRT2) / 2;
}

/*
 * Newton's method on the tail's logarithm, which is concave: it converges from everywhere, and
 * keeps its precision where the probability itself is tiny. The start is the tail's own leading
 * term, Φ(-z) ≈ exp(-z²/2) / 2 (Abramowitz & Stegun, 26.2.12 and after).
 */
double nova_normal_quantile(double p)
{
	double tail = p < 0.5 ? p : 1 - p, z;

	if (p == 0.5)
		return 0;
	z = -sqrt(fmax(0, -2 * log(2 * tail)));
	for (int i = 0; i < 60; i++) {
		double below = nova_normal_below(z);
		double density = exp(-z * z / 2) / sqrt(2 * M_PI);
		double step = (log(tail) - log(below)) * below / density;

		z += step;
		if (fabs(step) < 1e-15 * (1 + fabs(z)))
			break;
	}
	return p < 0.5 ? z : -z;
}

/* --- order and ranks ------------------------------------------------------------------------- */

double nova_midpoint(double low, double high)
{
	if (low == high)
		return low;
	if (isinf(low) && isinf(high))
		return 0;
	return isinf(low) || isinf(high) ? low + high : low + (high - low) / 2;
}

double nova_difference(double a, double b)
{
	return a == b ? 0 : b - a;
}

double *nova_sorted(const double *values, size_t count)
{
	double *sorted = nova_alloc((count + 1) * sizeof(*sorted));

	if (count)
		memcpy(sorted, values, count * sizeof(*sorted));
	nova_stats_sort(sorted, count);
	return sorted;
}

struct place {
	double value;
	size_t index;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *left = a, *right = b;

	return (left->value > right->value) - (left->value < right->value);
}

double nova_mid_ranks(const double *values, size_t count, double *ranks)
{
	NOVA_AUTOFREE struct place *places = nova_alloc((count + 1) * sizeof(*places));
	double ties = 0;

	for (size_t i = 0; i < count; i++)
		places[i] = (struct place){values[i], i};
	qsort(places, count, sizeof(*places), compare_places);
	for (size_t first = 0, next; first < count; first = next) {
		for (next = first + 1; next < count && places[next].value == places[first].value;)
			next++;
		double tied = (double)(next - first);

		ties += tied * tied * tied - tied;
		for (size_t i = first; i < next; i++)
			ranks[places[i].index] = ((double)first + 1 + (double)next) / 2;
	}
	return ties;
}

/* --- selection ------------------------------------------------------------------------------- */

/* So long the next place to look at is interpolated; what is not found then is bisected. */
#define SMOOTH_ROUNDS 40

/* Doubles in ascending order as unsigned numbers: the sign's bit flipped, or all of a negative. */
static uint64_t position_of(double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

static double value_at(uint64_t position)
{
	uint64_t bits = position >> 63 ? position & ~(UINT64_C(1) << 63) : ~position;
	double value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* What is known of the number that is looked for. */
struct bracket {
	double low, high;
	double short_of, beyond; /* how far the ranks at the ends are from its own */
	int side;                /* -1, 1: the end that moved last */
};

static double halfway(const struct bracket *at)
{
	uint64_t from = position_of(at->low), to = position_of(at->high);

	return value_at(from + (to - from) / 2);
}

static double interpolated(const struct bracket *at)
{
	double share = at->short_of / (at->short_of + at->beyond);
	double x = at->low + share * (at->high - at->low);

	/* Not where an end is infinite. */
	return x >= at->low && x < at->high ? x : halfway(at);
}

/* The Illinois rule: an end that stays twice counts half as much. */
static void move(struct bracket *at, int side, double to, double rank_distance)
{
	if (side < 0) {
		at->low = to;
		at->short_of = rank_distance;
		at->beyond /= at->side == side ? 2 : 1;
	} else {
		at->high = to;
		at->beyond = rank_distance;
		at->short_of /= at->side == side ? 2 : 1;
	}
	at->side = side;
}

double nova_select(nova_count *count, const void *context, double k, double total, double low,
                   double high)
{
	struct bracket at = {.low = low, .high = high, .short_of = k, .beyond = total - k + 1};

	for (int round = 1; at.low < at.high; round++) {
		double x = round < SMOOTH_ROUNDS ? interpolated(&at) : halfway(&at);
		struct nova_counted found = count(context, x);

		if (found.count == k)
			return found.at_most + 0.0; /* -0 becomes 0 */
		if (found.count == k - 1)
			return found.above + 0.0;
		if (found.count > k)
			move(&at, 1, fmin(found.at_most, x), found.count - k + 0.5);
		else
			move(&at, -1, fmax(found.above, nextafter(x, INFINITY)),
			     k - 0.5 - found.count);
	}
	return at.low + 0.0;
}

double nova_select_median(nova_count *count, const void *context, double total, double low,
                          double high)
{
	double half = floor(total / 2);
	double upper = nova_select(count, context, half + 1, total, low, high);

	if (total > 2 * half)
		return upper;
	return nova_midpoint(nova_select(count, context, half, total, low, high), upper);
}

/* --- draws ----------------------------------------------------------------------------------- */

uint64_t nova_draw_bits(struct nova_draws *draws)
{
	return nova_seed_derive(draws->seed, draws->drawn++);
}

double nova_draw_uniform(struct nova_draws *draws)
{
	return ((double)(nova_draw_bits(draws) >> 11) + 0.5) * 0x1p-53;
}

/* Marsaglia & Bray's polar method (SIAM Review 6, 1964); the second of the two is not kept. */
double nova_draw_normal(struct nova_draws *draws)
{
	double x, y, square;

	do {
		x = 2 * nova_draw_uniform(draws) - 1;
		y = 2 * nova_draw_uniform(draws) - 1;
		square = x * x + y * y;
	} while (square >= 1 || square == 0);
	return x * sqrt(-2 * log(square) / square);
}

/* --- rank distributions ---------------------------------------------------------------------- */

/* So far U and T are counted out. */
#define EXACT_PAIRS  2500
#define EXACT_SIGNED 50

bool nova_rank_sum_is_exact(size_t a_count, size_t b_count)
{
	return (double)a_count * (double)b_count <= EXACT_PAIRS;
}

/*
 * The number of ways to each U is a coefficient of the Gaussian binomial, the product over i of
 * (1 - q^(b+i)) / (1 - q^i); multiplied and divided factor by factor (Harding, Applied Statistics
 * 33, 1984). A coefficient depends on lower ones only, so the lower tail keeps its precision.
 * O(a · u).
 */
static double exact_rank_sum(size_t a_count, size_t b_count, size_t u)
{
	NOVA_AUTOFREE double *ways = nova_alloc((u + 1) * sizeof(*ways));
	double below = 0, all = 1;

	ways[0] = 1;
	for (size_t i = 1; i <= a_count; i++) {
		all *= (double)(b_count + i) / (double)i;
		for (size_t k = u; k >= b_count + i; k--)
			ways[k] -= ways[k - b_count - i];
		for (size_t k = i; k <= u; k++)
			ways[k] += ways[k - i];
	}
	for (size_t k = 0; k <= u; k++)
		below += ways[k];
	return below / all;
}

static double normal_rank_below(double statistic, double mean, double variance)
{
	return nova_normal_below((statistic + 0.5 - mean) / sqrt(variance));
}

double nova_rank_sum_below(size_t a_count, size_t b_count, double u)
{
	double m = (double)a_count, n = (double)b_count, pairs = m * n;

	u = floor(u);
	if (u < 0)
		return 0;
	if (u >= pairs)
		return 1;
	if (!nova_rank_sum_is_exact(a_count, b_count))
		return normal_rank_below(u, pairs / 2, pairs * (m + n + 1) / 12);
	if (u > pairs / 2)
		return 1 - nova_rank_sum_below(a_count, b_count, pairs - u - 1);
	return a_count < b_count ? exact_rank_sum(a_count, b_count, (size_t)u)
	                         : exact_rank_sum(b_count, a_count, (size_t)u);
}

/* Ways to choose ranks 1 … n with the sum k, by adding one rank after the other; O(n · t). */
static double exact_signed_rank(size_t count, size_t t)
{
	NOVA_AUTOFREE double *ways = nova_alloc((t + 1) * sizeof(*ways));
	double below = 0;

	ways[0] = 1;
	for (size_t rank = 1; rank <= count; rank++)
		for (size_t k = t; k >= rank; k--)
			ways[k] += ways[k - rank];
	for (size_t k = 0; k <= t; k++)
		below += ways[k];
	return ldexp(below, -(int)count);
}

double nova_signed_rank_below(size_t count, double t)
{
	double n = (double)count, most = n * (n + 1) / 2;

	t = floor(t);
	if (t < 0)
		return 0;
	if (t >= most)
		return 1;
	if (count > EXACT_SIGNED)
		return normal_rank_below(t, most / 2, most * (2 * n + 1) / 12);
	return exact_signed_rank(count, (size_t)t);
}

double nova_rank_limit(double (*below)(const void *context, double statistic), const void *context,
                       double most, double tail)
{
	double good = 0, bad = floor(most / 2) + 1; /* below the median it is at most 1/2 */

	while (bad - good > 1) {
		double middle = floor((good + bad) / 2);

		if (below(context, middle - 1) <= tail + NOVA_ROUNDING)
			good = middle;
		else
			bad = middle;
	}
	return good;
}

/* --- effects --------------------------------------------------------------------------------- */

void nova_effect_begin(struct nova_effect *effect, double level)
{
	*effect = (struct nova_effect){
	        .value = NAN, .low = NAN, .high = NAN, .level = level, .coverage = NAN};
}

void nova_effect_exp(struct nova_effect *effect)
{
	effect->value = exp(effect->value);
	effect->low = exp(effect->low);
	effect->high = exp(effect->high);
}

bool nova_ratio_usable(const double *values, size_t count, const char *name, char why[80])
{
	for (size_t i = 0; i < count; i++)
		if (!(values[i] > 0) || isinf(values[i])) {
			snprintf(why, 80, "a ratio needs finite values above 0 (%s has %g)", name,
			         values[i]);
			return false;
		}
	return true;
}

double *nova_logarithms(const double *values, size_t count)
{
	double *logs = nova_alloc((count + 1) * sizeof(*logs));

	for (size_t i = 0; i < count; i++)
		logs[i] = log(values[i]);
	return logs;
}
