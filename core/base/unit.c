/* SPDX-License-Identifier: MIT */
/*
 * Quantities with units: the strict reader for what people configure, the scaled writer for what
 * they look at. Neither depends on the locale.
 */
#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/base.h"

#define KIB    1024.0
#define DIGITS "0123456789"

struct scale {
	const char *unit;
	double factor;
};

static const struct scale sizes[] = {
        {"B", 1},
        {"kB", 1e3},
        {"MB", 1e6},
        {"GB", 1e9},
        {"TB", 1e12},
        {"KiB", KIB},
        {"MiB", KIB *KIB},
        {"GiB", KIB *KIB *KIB},
        {"TiB", KIB *KIB *KIB *KIB},
        {NULL, 0},
};
static const struct scale durations[] = {
        {"ns", 1},     {"us", 1e3},   {"ms", 1e6},    {"s", 1e9},
        {"min", 60e9}, {"h", 3600e9}, {"d", 86400e9}, {NULL, 0},
};
static const struct scale rates[] = {
        {"/s", 1},
        {"B/s", 1},
        {"kB/s", 1e3},
        {"MB/s", 1e6},
        {"GB/s", 1e9},
        {"TB/s", 1e12},
        {"KiB/s", KIB},
        {"MiB/s", KIB *KIB},
        {"GiB/s", KIB *KIB *KIB},
        {"TiB/s", KIB *KIB *KIB *KIB},
        {"kbit/s", 125},
        {"Mbit/s", 125e3},
        {"Gbit/s", 125e6},
        {NULL, 0},
};

static const struct {
	const char *noun, *example;
	const struct scale *scales;
} quantities[] = {
        [NOVA_SIZE] = {"size", "16GiB", sizes},
        [NOVA_DURATION] = {"duration", "30s", durations},
        [NOVA_RATE] = {"rate", "100MB/s", rates},
};

static int refuse(const char *text, enum nova_quantity quantity, const char *why,
                  struct nova_error *error)
{
	NOVA_AUTOTEXT struct nova_text units = {0};
	for (const struct scale *at = quantities[quantity].scales; at->unit; at++)
		nova_text_addf(&units, "%s%s", units.length ? ", " : "", at->unit);
	return nova_error_set(error, NOVA_E_INVALID,
	                      "\"%s\" is not a %s: %s; write a number and a unit such as \"%s\" "
	                      "(units: %s)",
	                      text, quantities[quantity].noun, why, quantities[quantity].example,
	                      nova_text_get(&units));
}

static int refuse_unit(const char *text, const char *unit, enum nova_quantity quantity,
                       struct nova_error *error)
{
	const char *nearest = NULL;
	for (const struct scale *at = quantities[quantity].scales; at->unit && !nearest; at++)
		if (strcasecmp(at->unit, unit) == 0 ||
		    (strncasecmp(at->unit, unit, strlen(unit)) == 0 && strlen(unit) > 0))
			nearest = at->unit;
	NOVA_AUTOFREE char *why =
	        nearest ? nova_format("there is no unit \"%s\", did you mean \"%s\"", unit, nearest)
	                : nova_format("there is no unit \"%s\"", unit);
	return refuse(text, quantity, why, error);
}

/* The length of ^[0-9]+(\.[0-9]+)? at the start of `text`, or 0. */
static size_t number_length(const char *text)
{
	size_t length = strspn(text, DIGITS);
	if (length == 0 || text[length] != '.')
		return length;
	size_t fraction = strspn(text + length + 1, DIGITS);
	return fraction ? length + 1 + fraction : 0;
}

static locale_t c_locale;

static void make_c_locale(void)
{
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

int nova_quantity_parse(const char *text, enum nova_quantity quantity, double *value,
                        struct nova_error *error)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (quantity < NOVA_SIZE || quantity > NOVA_RATE || !text)
		return nova_error_set(error, NOVA_E_INTERNAL, "no such quantity");
	size_t length = number_length(text);
	if (text[0] == '-')
		return refuse(text, quantity, "it is negative", error);
	if (length == 0)
		return refuse(text, quantity, "it does not start with a number", error);
	const char *unit = text + length;
	pthread_once(&once, make_c_locale);
	double number = strtod_l(text, NULL, c_locale);
	if (*unit == '\0' && number == 0) {
		*value = 0;
		return 0;
	}
	if (*unit == '\0')
		return refuse(text, quantity, "it has no unit", error);
	const struct scale *scale = quantities[quantity].scales;
	while (scale->unit && strcmp(scale->unit, unit) != 0)
		scale++;
	if (!scale->unit)
		return refuse_unit(text, unit, quantity, error);
	double result = number * scale->factor;
	if (quantity != NOVA_RATE) {
		if (scale->factor <= 1 && result != floor(result))
			return refuse(text, quantity, "there is no fraction of that unit", error);
		result = round(result); /* whole bytes and nanoseconds: "0.1GB", "0.3s" */
	}
	if (!(result < 0x1p63)) /* callers keep it in an int64_t */
		return refuse(text, quantity, "it is too large", error);
	*value = result;
	return 0;
}

void nova_quantity_format(int64_t value, enum nova_quantity quantity, char out[32])
{
	const struct scale *scale = quantities[quantity].scales;
	size_t shortest = 0;

	if (value == 0) {
		strcpy(out, "0");
		return;
	}
	/* The base unit writes any value, so one is always found. */
	for (; scale->unit; scale++) {
		int64_t factor = (int64_t)scale->factor;
		char text[32];
		size_t length;

		if (value % factor != 0 || (quantity == NOVA_RATE && !strchr(scale->unit, 'B')))
			continue;
		length = (size_t)snprintf(text, sizeof(text), "%lld%s", (long long)(value / factor),
		                          scale->unit);
		if (shortest && length > shortest)
			continue;
		shortest = length;
		memcpy(out, text, length + 1);
	}
}

const char *nova_unit_name(uint32_t unit)
{
	static const char *const names[] = {"?", "s", "B", "B/s", "1/s", "1"};
	return unit < NOVA_COUNT(names) ? names[unit] : names[0];
}

/* Each list is ascending; `from` is the value from which on the unit is used. */
struct display {
	double from, factor;
	const char *unit;
};

static const struct display show_seconds[] = {
        {0, 1e-9, " ns"},  {1e-6, 1e-6, " us"}, {1e-3, 1e-3, " ms"},  {1, 1, " s"},
        {600, 60, " min"}, {36e3, 3600, " h"},  {864e3, 86400, " d"}, {0, 0, NULL},
};
static const struct display show_bytes[] = {
        {0, 1, " B"},
        {KIB, KIB, " KiB"},
        {KIB * KIB, KIB *KIB, " MiB"},
        {KIB * KIB * KIB, KIB *KIB *KIB, " GiB"},
        {KIB * KIB * KIB * KIB, KIB *KIB *KIB *KIB, " TiB"},
        {0, 0, NULL},
};
static const struct display show_bytes_per_second[] = {
        {0, 1, " B/s"},      {1e3, 1e3, " kB/s"},   {1e6, 1e6, " MB/s"},
        {1e9, 1e9, " GB/s"}, {1e12, 1e12, " TB/s"}, {0, 0, NULL},
};
static const struct display show_per_second[] = {
        {0, 1, "/s"}, {1e4, 1e3, "k/s"}, {1e6, 1e6, "M/s"}, {1e9, 1e9, "G/s"}, {0, 0, NULL},
};
static const struct display show_one[] = {
        {0, 1, ""}, {1e4, 1e3, "k"}, {1e6, 1e6, "M"}, {1e9, 1e9, "G"}, {0, 0, NULL},
};

/* Three significant digits, never in exponent form within [1e-6, 1e6). */
static void three_digits(double value, char out[24])
{
	double size = fabs(value);
	int places = size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.9995 ? 2 : -1;
	if (places >= 0 && size < 1e6)
		snprintf(out, 24, "%.*f", places, value);
	else
		snprintf(out, 24, "%.3g", value);
}

void nova_value_format(double value, uint32_t unit, char out[32])
{
	static const struct display *const displays[] = {
	        [NOVA_UNIT_SECOND] = show_seconds,
	        [NOVA_UNIT_BYTE] = show_bytes,
	        [NOVA_UNIT_BYTE_PER_SECOND] = show_bytes_per_second,
	        [NOVA_UNIT_PER_SECOND] = show_per_second,
	        [NOVA_UNIT_ONE] = show_one,
	};
	const struct display *display =
	        unit < NOVA_COUNT(displays) && displays[unit] ? displays[unit] : show_one;
	char digits[24];

	if (!isfinite(value)) {
		snprintf(out, 32, "%s", isnan(value) ? "n/a" : value > 0 ? "inf" : "-inf");
		return;
	}
	if (value == 0) {
		snprintf(out, 32, "0%s", unit == NOVA_UNIT_SECOND ? " s" : display->unit);
		return;
	}
	/* 0.9996 ms prints as 1.00 ms: choose the unit for what will be printed */
	while (display[1].unit && fabs(value) * 1.0005 >= display[1].from)
		display++;
	three_digits(value / display->factor, digits);
	if (display->factor == 1 && value == floor(value) && fabs(value) < 1e4 &&
	    unit != NOVA_UNIT_SECOND)
		snprintf(digits, sizeof(digits), "%.0f", value); /* 5 VMs, not 5.00 VMs */
	snprintf(out, 32, "%s%s", digits, display->unit);
}
