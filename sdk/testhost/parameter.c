/* SPDX-License-Identifier: MIT */
/*
 * Parameters of the plugin under test: the same notation as the configuration's, checked against
 * the declared table.
 */
#include "inside.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	double factor;
} SIZES[] = {{"B", 1},           {"kB", 1e3},           {"MB", 1e6},
             {"GB", 1e9},        {"TB", 1e12},          {"KiB", 1024.0},
             {"MiB", 1048576.0}, {"GiB", 1073741824.0}, {"TiB", 1099511627776.0}},
  DURATIONS[] = {{"ns", 1},     {"us", 1e3},   {"ms", 1e6},   {"s", 1e9},
                 {"min", 6e10}, {"h", 3.6e12}, {"d", 8.64e13}};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* "1.5GiB": a number and a unit of the type; 0 needs none. A rate's unit ends in "/s". */
static int quantity(const char *text, uint32_t type, double *value)
{
	char *unit;
	char name[16];
	size_t length, i;

	errno = 0;
	*value = strtod(text, &unit);
	if (unit == text || errno || !isfinite(*value))
		return NOVA_E_INVALID;
	length = strlen(unit);
	if (length == 0)
		return *value == 0 ? NOVA_DONE : NOVA_E_INVALID;
	if (type == NOVA_PARAM_RATE) {
		if (length < 2 || length >= sizeof(name) || strcmp(unit + length - 2, "/s") != 0)
			return NOVA_E_INVALID;
		length -= 2;
	}
	if (length >= sizeof(name))
		return NOVA_E_INVALID;
	memcpy(name, unit, length);
	name[length] = 0;
	if (type == NOVA_PARAM_RATE && length == 0)
		return NOVA_DONE;
	if (type == NOVA_PARAM_DURATION) {
		for (i = 0; i < COUNT(DURATIONS); i++)
			if (strcmp(name, DURATIONS[i].name) == 0)
				return *value *= DURATIONS[i].factor, NOVA_DONE;
		return NOVA_E_INVALID;
	}
	for (i = 0; i < COUNT(SIZES); i++)
		if (strcmp(name, SIZES[i].name) == 0)
			return *value *= SIZES[i].factor, NOVA_DONE;
	return NOVA_E_INVALID;
}

static int number(const char *text, uint32_t type, double *value)
{
	char *end;

	switch (type) {
	case NOVA_PARAM_INTEGER:
		errno = 0;
		*value = (double)strtoll(text, &end, 10);
		return end == text || *end || errno ? NOVA_E_INVALID : NOVA_DONE;
	case NOVA_PARAM_NUMBER:
		*value = strtod(text, &end);
		return end == text || *end || !isfinite(*value) ? NOVA_E_INVALID : NOVA_DONE;
	case NOVA_PARAM_BOOLEAN:
		*value = strcmp(text, "true") == 0;
		return *value != 0 || strcmp(text, "false") == 0 ? NOVA_DONE : NOVA_E_INVALID;
	case NOVA_PARAM_SIZE:
	case NOVA_PARAM_DURATION:
	case NOVA_PARAM_RATE: return quantity(text, type, value);
	default: return NOVA_E_INVALID;
	}
}

/* True if the text is a value of the parameter. */
static int fits(const struct nova_parameter *p, const char *text)
{
	const char *const *choice;
	double value, limit;

	switch (p->type) {
	case NOVA_PARAM_TEXT:
	case NOVA_PARAM_PATH:
	case NOVA_PARAM_SECRET: return 1;
	case NOVA_PARAM_CHOICE:
		for (choice = p->choices; choice && *choice; choice++)
			if (strcmp(*choice, text) == 0)
				return 1;
		return 0;
	default: break;
	}
	if (number(text, p->type, &value) != NOVA_DONE)
		return 0;
	if (p->minimum && number(p->minimum, p->type, &limit) == NOVA_DONE && value < limit)
		return 0;
	return !(p->maximum && number(p->maximum, p->type, &limit) == NOVA_DONE && value > limit);
}

static void drop(struct value *value)
{
	for (uint32_t i = 0; i < value->count; i++)
		free(value->texts[i]);
	free(value->texts);
	value->texts = NULL;
	value->count = 0;
}

static void add(struct value *value, const char *text, size_t length)
{
	char *one = th_memory(NULL, length + 1);

	memcpy(one, text, length);
	one[length] = 0;
	value->texts = th_memory(value->texts, (value->count + 1) * sizeof(*value->texts));
	value->texts[value->count++] = one;
}

/* One text, or for a list the parts between commas without the blanks around them. */
static int assign(struct value *value, const char *text, char *refusal, size_t room)
{
	const struct nova_parameter *p = value->parameter;
	const char *end;
	size_t length;

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
	for (uint32_t i = 0; i < value->count; i++)
		if (!fits(p, value->texts[i])) {
			snprintf(refusal, room, "%s: \"%s\" is not a value of it (%s%s%s%s)",
			         p->name, value->texts[i], p->doc ? p->doc : "",
			         p->minimum ? ", from " : "", p->minimum ? p->minimum : "",
			         p->maximum ? ", limited" : "");
			return NOVA_E_INVALID;
		}
	return NOVA_DONE;
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

int th_parameters_read(struct parameters *all, const struct nova_plugin *plugin,
                       const char *const *given, char *refusal, size_t room)
{
	const struct nova_parameter *const *declared = plugin->parameters;
	struct value *value;
	const char *equals;
	int status;

	memset(all, 0, sizeof(*all));
	all->plugin = plugin;
	for (; declared && *declared; declared++) {
		all->values = th_memory(all->values, (all->count + 1) * sizeof(*all->values));
		value = &all->values[all->count++];
		memset(value, 0, sizeof(*value));
		value->parameter = *declared;
		if (!(*declared)->fallback)
			continue;
		status = assign(value, (*declared)->fallback, refusal, room);
		if (status != NOVA_DONE)
			return status;
	}
	for (; given && *given; given++) {
		equals = strchr(*given, '=');
		value = equals ? find(all, *given, (size_t)(equals - *given)) : NULL;
		if (!value) {
			snprintf(refusal, room, "%s: %s has no such parameter", *given,
			         plugin->name);
			return NOVA_E_INVALID;
		}
		status = assign(value, equals + 1, refusal, room);
		if (status != NOVA_DONE)
			return status;
	}
	for (uint32_t i = 0; i < all->count; i++)
		if ((all->values[i].parameter->flags & NOVA_PARAM_REQUIRED) &&
		    all->values[i].count == 0) {
			snprintf(refusal, room, "%s is required", all->values[i].parameter->name);
			return NOVA_E_INVALID;
		}
	return NOVA_DONE;
}

void th_parameters_free(struct parameters *all)
{
	for (uint32_t i = 0; i < all->count; i++)
		drop(&all->values[i]);
	free(all->values);
	memset(all, 0, sizeof(*all));
}

const char *th_parameters_text(const struct parameters *all, const char *name, uint32_t index)
{
	const struct value *value = name ? find(all, name, strlen(name)) : NULL;

	return value && index < value->count ? value->texts[index] : NULL;
}

int th_parameters_i64(const struct parameters *all, const char *name, uint32_t index,
                      int64_t *value)
{
	const char *text = th_parameters_text(all, name, index);
	const struct value *entry;
	double wide;
	uint32_t type;

	if (!text)
		return NOVA_E_NOT_FOUND;
	entry = find(all, name, strlen(name));
	type = entry->parameter->type;
	if (type == NOVA_PARAM_INTEGER) {
		*value = strtoll(text, NULL, 10);
		return NOVA_DONE;
	}
	if ((type != NOVA_PARAM_SIZE && type != NOVA_PARAM_DURATION &&
	     type != NOVA_PARAM_BOOLEAN) ||
	    number(text, type, &wide) != NOVA_DONE)
		return NOVA_E_INVALID;
	*value = (int64_t)llround(wide);
	return NOVA_DONE;
}

int th_parameters_f64(const struct parameters *all, const char *name, uint32_t index, double *value)
{
	const char *text = th_parameters_text(all, name, index);
	uint32_t type;

	if (!text)
		return NOVA_E_NOT_FOUND;
	type = find(all, name, strlen(name))->parameter->type;
	if (type != NOVA_PARAM_NUMBER && type != NOVA_PARAM_RATE)
		return NOVA_E_INVALID;
	return number(text, type, value);
}
