/* SPDX-License-Identifier: MIT */
/*
 * Parameters of the plugin under test: in the configuration's notation, which is read as strictly
 * here as by novacore, and checked against the declared table.
 */
#include "inside.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS     "0123456789"
#define SECRET_MIN 4 /* a shorter one stands in many a text by chance */

struct number {
	int64_t i64;
	double f64;
};

struct scale {
	const char *unit;
	double factor;
};

static const struct scale SIZES[] = {
        {"B", 1},           {"kB", 1e3},           {"MB", 1e6},
        {"GB", 1e9},        {"TB", 1e12},          {"KiB", 1024.0},
        {"MiB", 1048576.0}, {"GiB", 1073741824.0}, {"TiB", 1099511627776.0},
        {NULL, 0},
};
static const struct scale DURATIONS[] = {
        {"ns", 1},     {"us", 1e3},   {"ms", 1e6},    {"s", 1e9},
        {"min", 6e10}, {"h", 3.6e12}, {"d", 8.64e13}, {NULL, 0},
};
static const struct scale RATES[] = {
        {"/s", 1},
        {"B/s", 1},
        {"kB/s", 1e3},
        {"MB/s", 1e6},
        {"GB/s", 1e9},
        {"TB/s", 1e12},
        {"KiB/s", 1024.0},
        {"MiB/s", 1048576.0},
        {"GiB/s", 1073741824.0},
        {"TiB/s", 1099511627776.0},
        {"kbit/s", 125},
        {"Mbit/s", 125e3},
        {"Gbit/s", 125e6},
        {NULL, 0},
};

/* --- texts ------------------------------------------------------------------------------------ */

static locale_t c_locale;

static void make_c_locale(void)
{
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* strtod, whatever the test program's locale is. */
static double to_double(const char *text, char **end)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_c_locale);
	return strtod_l(text, end, c_locale);
}

/* Each returns what is wanted instead, or NULL. */

static const char *read_integer(const char *text, struct number *out)
{
	size_t sign = *text == '-' || *text == '+';

	errno = 0;
	out->i64 = strtoll(text, NULL, 10);
	out->f64 = (double)out->i64;
	return text[sign] && !text[sign + strspn(text + sign, DIGITS)] && !errno
	               ? NULL
	               : "a whole number, such as 10";
}

static const char *read_plain(const char *text, struct number *out)
{
	char *end;

	out->f64 = to_double(text, &end);
	return *text && !text[strspn(text, "+-.eE" DIGITS)] && !*end && isfinite(out->f64)
	               ? NULL
	               : "a number, such as 0.5";
}

/* ^[0-9]+(\.[0-9]+)?UNIT$; 0 needs no unit. */
static const char *read_quantity(const char *text, const struct scale *scale, int whole,
                                 struct number *out)
{
	size_t length = strspn(text, DIGITS), fraction;

	if (length == 0)
		return "a number and a unit";
	if (text[length] == '.') {
		fraction = strspn(text + length + 1, DIGITS);
		if (fraction == 0)
			return "a number and a unit";
		length += 1 + fraction;
	}
	out->f64 = to_double(text, NULL);
	out->i64 = 0;
	if (!text[length] && out->f64 == 0)
		return NULL;
	while (scale->unit && strcmp(scale->unit, text + length) != 0)
		scale++;
	if (!scale->unit)
		return "a unit, such as in 16GiB, 30s, 100MB/s";
	out->f64 *= scale->factor;
	if (whole && scale->factor <= 1 && out->f64 != floor(out->f64))
		return "no fraction of that unit";
	if (whole)
		out->f64 = round(out->f64);
	if (!(out->f64 < 0x1p63))
		return "something smaller";
	out->i64 = (int64_t)out->f64;
	return NULL;
}

static const char *read_number(const char *text, uint32_t type, struct number *out)
{
	switch (type) {
	case NOVA_PARAM_INTEGER: return read_integer(text, out);
	case NOVA_PARAM_NUMBER: return read_plain(text, out);
	case NOVA_PARAM_SIZE: return read_quantity(text, SIZES, 1, out);
	case NOVA_PARAM_DURATION: return read_quantity(text, DURATIONS, 1, out);
	case NOVA_PARAM_RATE: return read_quantity(text, RATES, 0, out);
	case NOVA_PARAM_BOOLEAN:
		out->i64 = strcmp(text, "true") == 0;
		return out->i64 || strcmp(text, "false") == 0 ? NULL : "true or false";
	default: return "text";
	}
}

static int is_text(uint32_t type)
{
	return type == NOVA_PARAM_TEXT || type == NOVA_PARAM_PATH || type == NOVA_PARAM_SECRET ||
	       type == NOVA_PARAM_CHOICE;
}

/* Doubles cannot tell integers beyond 2^53 apart. */
static int is_below(uint32_t type, const struct number *a, const struct number *b)
{
	return type == NOVA_PARAM_INTEGER ? a->i64 < b->i64 : a->f64 < b->f64;
}

/* --- checks ----------------------------------------------------------------------------------- */

static int check_choice(const struct nova_parameter *p, const char *text, char *refusal,
                        size_t room)
{
	size_t used = 0;

	for (const char *const *choice = p->choices; choice && *choice; choice++)
		if (strcmp(*choice, text) == 0)
			return NOVA_DONE;
	used = (size_t)snprintf(refusal, room, "%s: \"%.60s\" is not one of", p->name, text);
	for (const char *const *choice = p->choices; choice && *choice && used < room; choice++)
		used += (size_t)snprintf(refusal + used, room - used, " %s", *choice);
	return NOVA_E_INVALID;
}

/* NOVA_DONE if the text is a value of the parameter. */
static int check(const struct nova_parameter *p, const char *text, char *refusal, size_t room)
{
	struct number value = {0, 0}, limit;
	const char *wanted;

	if (p->type == NOVA_PARAM_CHOICE)
		return check_choice(p, text, refusal, room);
	if (is_text(p->type))
		return NOVA_DONE;
	wanted = read_number(text, p->type, &value);
	if (wanted) {
		snprintf(refusal, room, "%s: \"%.60s\" is not a value of it: wanted is %s", p->name,
		         text, wanted);
		return NOVA_E_INVALID;
	}
	if (p->type == NOVA_PARAM_BOOLEAN)
		return NOVA_DONE;
	if ((p->minimum && !read_number(p->minimum, p->type, &limit) &&
	     is_below(p->type, &value, &limit)) ||
	    (p->maximum && !read_number(p->maximum, p->type, &limit) &&
	     is_below(p->type, &limit, &value))) {
		snprintf(refusal, room, "%s: %.60s is out of range (%s to %s)", p->name, text,
		         p->minimum ? p->minimum : "any", p->maximum ? p->maximum : "any");
		return NOVA_E_INVALID;
	}
	return NOVA_DONE;
}

static void drop(struct value *value)
{
	for (uint32_t i = 0; i < value->count; i++)
		free(value->texts[i]);
	free(value->texts);
	value->texts = NULL;
	value->count = 0;
}

/* A path below the home directory is written "~/…". */
static void add(struct value *value, const char *text, size_t length)
{
	const char *home = getenv("HOME");
	size_t before = 0;
	char *one;

	if (value->parameter->type == NOVA_PARAM_PATH && length >= 2 && home &&
	    strncmp(text, "~/", 2) == 0) {
		before = strlen(home);
		text++;
		length--;
	}
	one = th_memory(NULL, before + length + 1);
	if (before)
		memcpy(one, home, before);
	memcpy(one + before, text, length);
	one[before + length] = 0;
	value->texts = th_memory(value->texts, (value->count + 1) * sizeof(*value->texts));
	value->texts[value->count++] = one;
}

/* One text, or for a list the parts between commas without the blanks around them. */
static int assign(struct value *value, const char *text, char *refusal, size_t room)
{
	const struct nova_parameter *p = value->parameter;
	const char *end;
	size_t length;
	int status = NOVA_DONE;

	drop(value);
	if (!(p->flags & NOVA_PARAM_LIST))
		add(value, text, strlen(text));
	while ((p->flags & NOVA_PARAM_LIST) && *text) {
		text += strspn(text, " ");
		end = text + strcspn(text, ",");
		for (length = (size_t)(end - text); length > 0 && text[length - 1] == ' ';)
			length--;
		add(value, text, length);
		text = *end ? end + 1 : end;
	}
	for (uint32_t i = 0; i < value->count && status == NOVA_DONE; i++)
		status = check(p, value->texts[i], refusal, room);
	return status;
}

static struct value *find(const struct parameters *all, const char *name, size_t length)
{
	for (uint32_t i = 0; i < all->count; i++) {
		const char *other = all->values[i].parameter->name;

		if (strlen(other) == length && memcmp(other, name, length) == 0)
			return &all->values[i];
	}
	return NULL;
}

/* --- reading ---------------------------------------------------------------------------------- */

static int read_defaults(struct parameters *all, const struct nova_plugin *plugin, char *refusal,
                         size_t room)
{
	const struct nova_parameter *const *declared = plugin->parameters;
	struct value *value;
	int status = NOVA_DONE;

	for (; declared && *declared && status == NOVA_DONE; declared++) {
		all->values = th_memory(all->values, (all->count + 1) * sizeof(*all->values));
		value = &all->values[all->count++];
		memset(value, 0, sizeof(*value));
		value->parameter = *declared;
		if ((*declared)->fallback)
			status = assign(value, (*declared)->fallback, refusal, room);
		/* The host makes one step for each value: this is the first of them. */
		while (((*declared)->flags & NOVA_PARAM_EACH) && value->count > 1)
			free(value->texts[--value->count]);
	}
	return status;
}

static int read_given(struct parameters *all, const char *given, char *refusal, size_t room)
{
	const char *equals = strchr(given, '=');
	struct value *value = equals ? find(all, given, (size_t)(equals - given)) : NULL;
	size_t used;
	int status;

	if (!value) {
		used = (size_t)snprintf(refusal, room, "%.60s: %s has no such parameter%s", given,
		                        all->plugin->name, all->count ? "; it has" : "");
		for (uint32_t i = 0; i < all->count && used < room; i++)
			used += (size_t)snprintf(refusal + used, room - used, " %s",
			                         all->values[i].parameter->name);
		return NOVA_E_INVALID;
	}
	status = assign(value, equals + 1, refusal, room);
	if (status == NOVA_DONE && (value->parameter->flags & NOVA_PARAM_EACH) &&
	    value->count != 1) {
		snprintf(refusal, room,
		         "%s: one value, because novacore makes a step of its own for each",
		         value->parameter->name);
		return NOVA_E_INVALID;
	}
	return status;
}

int th_parameters_read(struct parameters *all, const struct nova_plugin *plugin,
                       const char *const *given, char *refusal, size_t room)
{
	int status;

	memset(all, 0, sizeof(*all));
	all->plugin = plugin;
	status = read_defaults(all, plugin, refusal, room);
	for (; given && *given && status == NOVA_DONE; given++)
		status = read_given(all, *given, refusal, room);
	for (uint32_t i = 0; i < all->count && status == NOVA_DONE; i++)
		if ((all->values[i].parameter->flags & NOVA_PARAM_REQUIRED) &&
		    all->values[i].count == 0) {
			snprintf(refusal, room, "%s is required", all->values[i].parameter->name);
			status = NOVA_E_INVALID;
		}
	return status;
}

void th_parameters_free(struct parameters *all)
{
	for (uint32_t i = 0; i < all->count; i++)
		drop(&all->values[i]);
	free(all->values);
	memset(all, 0, sizeof(*all));
}

/* --- what the plugin asks for ------------------------------------------------------------------
 */

const char *th_parameters_doubt(const struct parameters *all, const char *name, char type)
{
	const struct value *value = name ? find(all, name, strlen(name)) : NULL;
	uint32_t is = value ? value->parameter->type : 0;

	if (!value)
		return "is not declared";
	if (type == 'i' && is != NOVA_PARAM_INTEGER && is != NOVA_PARAM_SIZE &&
	    is != NOVA_PARAM_DURATION && is != NOVA_PARAM_BOOLEAN)
		return "is no integer, size, duration or boolean";
	if (type == 'f' && is != NOVA_PARAM_NUMBER && is != NOVA_PARAM_RATE)
		return "is no number or rate";
	return NULL;
}

const char *th_parameters_secret(const struct parameters *all, const char *text)
{
	for (uint32_t i = 0; i < all->count; i++)
		for (uint32_t j = 0; j < all->values[i].count; j++)
			if (all->values[i].parameter->type == NOVA_PARAM_SECRET &&
			    strlen(all->values[i].texts[j]) >= SECRET_MIN &&
			    strstr(text, all->values[i].texts[j]))
				return all->values[i].parameter->name;
	return NULL;
}

const char *th_parameters_text(const struct parameters *all, const char *name, uint32_t index)
{
	const struct value *value = name ? find(all, name, strlen(name)) : NULL;

	return value && index < value->count ? value->texts[index] : NULL;
}

static int number(const struct parameters *all, const char *name, uint32_t index, char type,
                  struct number *out)
{
	const char *text = th_parameters_text(all, name, index);

	if (th_parameters_doubt(all, name, type))
		return text ? NOVA_E_INVALID : NOVA_E_NOT_FOUND;
	if (!text)
		return NOVA_E_NOT_FOUND;
	return read_number(text, find(all, name, strlen(name))->parameter->type, out)
	               ? NOVA_E_INVALID
	               : NOVA_DONE;
}

int th_parameters_i64(const struct parameters *all, const char *name, uint32_t index,
                      int64_t *value)
{
	struct number found;
	int status = number(all, name, index, 'i', &found);

	if (status == NOVA_DONE)
		*value = found.i64;
	return status;
}

int th_parameters_f64(const struct parameters *all, const char *name, uint32_t index, double *value)
{
	struct number found;
	int status = number(all, name, index, 'f', &found);

	if (status == NOVA_DONE)
		*value = found.f64;
	return status;
}
