/* SPDX-License-Identifier: MIT */
/*
 * Random numbers that depend on the seed, the operation and the VM's number only: never on the
 * order in which threads ask. So each VM's fate can be computed at any time, by anyone.
 */
#include "sim.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LATENCY_MAX_NS 8.64e13 /* a day */

/* SplitMix64's finaliser (Steele, Lea, Flood 2014): a bijection that mixes every bit. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

double draw_uniform(uint64_t seed, uint64_t stream, uint64_t number)
{
	uint64_t bits = mix(mix(mix(seed) ^ stream) ^ number) >> 11;

	return ((double)bits + 0.5) * 0x1p-53;
}

/* Box and Muller 1958, one of the pair. */
static double normal(uint64_t seed, uint64_t stream, uint64_t number)
{
	double radius = sqrt(-2 * log(draw_uniform(seed, stream * 2, number)));

	return radius * cos(6.283185307179586 * draw_uniform(seed, stream * 2 + 1, number));
}

static uint64_t stream_of(enum operation operation, uint32_t k, uint64_t salt)
{
	return ((uint64_t)k << 16) | ((uint64_t)operation << 8) | (salt << 4);
}

/*
 * z(n) = rho z(n-1) + sqrt(1-rho²) e(n), z(0) = e(0): standard normal for each n. Unrolled, so that
 * it needs no earlier VM; terms below 1e-9 are left out.
 */
static double correlated(const struct model *model, uint64_t stream, uint64_t number)
{
	double sum = 0, weight = sqrt(1 - model->rho * model->rho);
	uint64_t back = 0;

	if (model->rho == 0)
		return normal(model->seed, stream, number);
	for (; back < number && fabs(weight) > 1e-9; back++, weight *= model->rho)
		sum += weight * normal(model->seed, stream, number - back);
	if (back == number)
		sum += weight / sqrt(1 - model->rho * model->rho) * normal(model->seed, stream, 0);
	return sum;
}

/* The law's quantile at Phi(z). */
static double quantile(const struct law *law, double z)
{
	double p = 0.5 * erfc(-z / 1.4142135623730951);

	switch (law->kind) {
	case CONSTANT: return law->a;
	case NORMAL: return law->a + law->b * z;
	case LOGNORMAL: return law->a * exp(law->b * z);
	/* log of the upper tail: exact where 1 - p would lose its digits */
	case EXPONENTIAL: return -law->a * log(0.5 * erfc(z / 1.4142135623730951));
	case UNIFORM: return law->a + (law->b - law->a) * p;
	}
	return 0;
}

int64_t draw_latency(const struct model *model, enum operation operation, uint32_t k,
                     uint64_t number, int64_t age_ns)
{
	double ns = quantile(&model->laws[operation],
	                     correlated(model, stream_of(operation, k, 3), number));

	if (model->spike_probability > 0 && draw_uniform(model->seed, stream_of(operation, k, 4),
	                                                 number) < model->spike_probability)
		ns *= model->spike_factor;
	if ((model->regression_vm >= 0 && number >= (uint64_t)model->regression_vm) ||
	    (model->regression_after_ns >= 0 && age_ns >= model->regression_after_ns))
		ns *= model->regression_factor;
	return (int64_t)llround(fmin(fmax(ns, 0), LATENCY_MAX_NS));
}

int draw_chance(const struct model *model, const double *probability, enum operation operation,
                uint32_t k, uint64_t number, uint64_t salt)
{
	return probability[operation] > 0 &&
	       draw_uniform(model->seed, stream_of(operation, k, salt), number) <
	               probability[operation];
}

/* "20ms" → ns */
static int parse_duration(const char *text, double *ns)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"min", 6e10}, {"h", 3.6e12}};
	char *unit;
	double number = strtod(text, &unit);

	if (unit == text || !isfinite(number) || number < 0)
		return NOVA_E_INVALID;
	if (number == 0 && *unit == 0)
		return *ns = 0, NOVA_DONE;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(unit, units[i].unit) == 0) {
			*ns = number * units[i].ns;
			return *ns <= LATENCY_MAX_NS ? NOVA_DONE : NOVA_E_INVALID;
		}
	return NOVA_E_INVALID;
}

static const struct {
	const char *name, *form;
	enum law_kind kind;
	int arguments;
} LAWS[] = {
        {"constant", "constant:DURATION", CONSTANT, 1},
        {"normal", "normal:MEAN:DEVIATION", NORMAL, 2},
        {"lognormal", "lognormal:MEDIAN:SIGMA", LOGNORMAL, 2},
        {"exponential", "exponential:MEAN", EXPONENTIAL, 1},
        {"uniform", "uniform:LOWEST:HIGHEST", UNIFORM, 2},
};

/* The second argument; a lognormal's is a number. */
static int parse_second(struct law *law, const char *text)
{
	char *end;

	if (law->kind == LOGNORMAL) {
		law->b = strtod(text, &end);
		return end != text && !*end && law->b >= 0 && law->b <= 5 ? NOVA_DONE
		                                                          : NOVA_E_INVALID;
	}
	if (parse_duration(text, &law->b) != NOVA_DONE)
		return NOVA_E_INVALID;
	return law->kind == UNIFORM && law->b < law->a ? NOVA_E_INVALID : NOVA_DONE;
}

int law_parse(const char *text, struct law *law, char *why, size_t room)
{
	char copy[128], *first, *second;
	size_t i;

	if (strlen(text) >= sizeof(copy))
		goto error_form;
	strcpy(copy, text);
	first = strchr(copy, ':');
	if (!first)
		goto error_form;
	*first++ = 0;
	second = strchr(first, ':');
	if (second)
		*second++ = 0;
	for (i = 0; i < sizeof(LAWS) / sizeof(LAWS[0]); i++)
		if (strcmp(copy, LAWS[i].name) == 0)
			break;
	if (i == sizeof(LAWS) / sizeof(LAWS[0]))
		goto error_form;
	law->kind = LAWS[i].kind;
	law->b = 0;
	if ((second != NULL) != (LAWS[i].arguments == 2) ||
	    parse_duration(first, &law->a) != NOVA_DONE ||
	    (second && parse_second(law, second) != NOVA_DONE)) {
		snprintf(why, room,
		         "\"%s\" is not of the form %s, durations with a unit (20ms), at most 24h",
		         text, LAWS[i].form);
		return NOVA_E_INVALID;
	}
	return NOVA_DONE;
error_form:
	snprintf(why, room,
	         "\"%s\" is no latency: constant:D, normal:MEAN:DEVIATION, lognormal:MEDIAN:SIGMA, "
	         "exponential:MEAN or uniform:LOWEST:HIGHEST, for example lognormal:20ms:0.3",
	         text);
	return NOVA_E_INVALID;
}
