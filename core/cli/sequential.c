/* SPDX-License-Identifier: MIT */
/* Options of a comparison that goes on until a test has decided, and what it came to. */
#include "core/cli/sequential.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static int usage(const char *text)
{
	fprintf(stderr, "novacore: %s\n", text);
	return 2;
}

/* "0.05" or "5%". */
static bool read_share(const char *text, double *value)
{
	char *end;

	errno = 0;
	*value = strtod(text, &end);
	if (end == text || errno)
		return false;
	if (*end == '%') {
		*value /= 100;
		end++;
	}
	return !*end && *value >= 0 && *value < 1;
}

static bool read_whole(const char *text, uint64_t most, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !errno && !*end && *value <= most;
}

int sequential_parse_alpha(const char *text, double *alpha)
{
	if (read_share(text, alpha) && *alpha > 0 && *alpha <= 0.5)
		return -1;
	return usage("--alpha wants a share greater than 0 and at most 0.5, such as 0.05");
}

int sequential_parse_effect(const char *text, double *effect)
{
	return read_share(text, effect)
	               ? -1
	               : usage("--minimum-effect wants a share, such as 3% or 0.03, below 100%; 0: "
	                       "each difference matters");
}

int sequential_parse_pairs(const char *text, uint32_t *pairs)
{
	uint64_t whole = 0;

	if (!read_whole(text, 100000, &whole) || !whole)
		return usage("--max-pairs wants a whole number from 1 to 100000");
	*pairs = (uint32_t)whole;
	return -1;
}

int sequential_parse_seed(const char *text, uint64_t *seed)
{
	if (read_whole(text, INT64_MAX, seed))
		return -1;
	return usage("--seed wants a whole number from 0 to 9223372036854775807");
}

uint64_t sequential_seed(void)
{
	uint64_t seed;

	if (getrandom(&seed, sizeof(seed), 0) < 0)
		seed = (uint64_t)nova_utc_ns();
	return seed & INT32_MAX;
}

const char *sequential_said(const json_t *result)
{
	const json_t *step = json_array_get(json_object_get(result, "steps"), 0), *metric;
	const json_t *ab = json_object_get(step, "ab");
	const char *state = nova_json_text(ab, "state");
	bool lower = true;
	size_t i;

	json_array_foreach(json_object_get(step, "metrics"), i, metric)
	{
		if (!strcmp(nova_json_text(metric, "name"), nova_json_text(ab, "metric")))
			lower = strcmp(nova_json_text(metric, "better"), "higher") != 0;
	}
	if (!strcmp(state, "greater"))
		return lower ? "worse" : "better";
	if (!strcmp(state, "less"))
		return lower ? "better" : "worse";
	return !strcmp(state, "same") ? "same" : "undecided";
}
