/* SPDX-License-Identifier: MIT */
/*
 * The door of the room: picks the format, writes JSON, and says what all formats say alike (a value
 * with its interval and count, a goal, a step's title).
 */
#include "core/report/internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

const char *const nova_report_formats[] = {"table", "json",     "csv", "junit",
                                           "html",  "markdown", NULL};

/* --- reading --------------------------------------------------------------------------------- */

const char *nova_report_text(const json_t *object, const char *member)
{
	return json_string_value(json_object_get(object, member));
}

double nova_report_number(const json_t *object, const char *member)
{
	return json_number_value(json_object_get(object, member));
}

long long nova_report_integer(const json_t *object, const char *member)
{
	return json_integer_value(json_object_get(object, member));
}

uint32_t nova_report_unit(const char *name)
{
	static const uint32_t all[] = {NOVA_UNIT_SECOND, NOVA_UNIT_BYTE, NOVA_UNIT_BYTE_PER_SECOND,
	                               NOVA_UNIT_PER_SECOND};

	for (size_t i = 0; name && i < NOVA_COUNT(all); i++)
		if (!strcmp(nova_unit_name(all[i]), name))
			return all[i];
	return NOVA_UNIT_ONE;
}

void nova_report_digits(const json_t *number, char out[32])
{
	/* 15 digits often suffice, 17 always do. jansson writes a point in every locale. */
	for (size_t digits = 15; digits <= 17; digits++) {
		NOVA_AUTOFREE char *text =
		        json_dumps(number, JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
		NOVA_AUTOJSON json_t *back = json_loads(text ? text : "0", JSON_DECODE_ANY, NULL);

		snprintf(out, 32, "%s", text ? text : "0");
		if (json_equal(number, back))
			return;
	}
}

/* A whole number of its unit; a part of one, as 0.5/s, is written as it is. */
static void add_number(struct nova_text *text, const json_t *value, const char *unit)
{
	static const struct {
		const char *unit;
		enum nova_quantity quantity;
	} known[] = {{"B", NOVA_SIZE}, {"ns", NOVA_DURATION}, {"B/s", NOVA_RATE}};
	double number = json_number_value(value);
	char digits[32];

	for (size_t i = 0; unit && i < NOVA_COUNT(known); i++) {
		if (!strcmp(unit, known[i].unit) && number == floor(number) &&
		    fabs(number) < 0x1p53) {
			nova_quantity_format((int64_t)number, known[i].quantity, digits);
			nova_text_add(text, digits);
			return;
		}
	}
	nova_report_digits(value, digits);
	nova_text_addf(text, "%s%s", digits, !unit ? "" : !strcmp(unit, "1/s") ? "/s" : unit);
}

void nova_report_add(struct nova_text *text, const json_t *value, const char *unit)
{
	const char *key, *between = "";
	json_t *inner;
	size_t i;

	if (json_is_number(value)) {
		add_number(text, value, unit);
	} else if (json_is_string(value)) {
		nova_text_add(text, json_string_value(value));
	} else if (json_is_object(value)) {
		json_object_foreach((json_t *)(uintptr_t)value, key, inner)
		{
			nova_text_addf(text, "%s%s ", between, key);
			nova_report_add(text, inner, unit);
			between = " / ";
		}
	} else if (json_is_array(value)) {
		json_array_foreach(value, i, inner)
		{
			nova_text_add(text, between);
			nova_report_add(text, inner, unit);
			between = ",";
		}
	} else {
		NOVA_AUTOFREE char *json = nova_json_canonical(value);
		nova_text_add(text, json);
	}
}

void nova_report_param(struct nova_text *text, const json_t *step, const char *name,
                       const json_t *value)
{
	nova_report_add(text, value, nova_report_text(json_object_get(step, "param_units"), name));
}

char *nova_report_params(const json_t *step)
{
	struct nova_text text = {0};
	const char *name;
	json_t *value;

	json_object_foreach(json_object_get(step, "params"), name, value)
	{
		nova_text_addf(&text, "%s%s=", text.length ? ", " : "", name);
		nova_report_param(&text, step, name, value);
	}
	return text.data ? text.data : nova_strdup("");
}

char *nova_report_step_title(const json_t *result, const json_t *step)
{
	const json_t *targets = json_object_get(result, "targets");
	struct nova_text title = {0};
	size_t i;
	json_t *index;

	nova_text_add(&title, nova_report_text(step, "benchmark"));
	json_array_foreach(json_object_get(step, "targets"), i, index)
	{
		const json_t *target = json_array_get(targets, (size_t)json_integer_value(index));

		nova_text_addf(&title, "%s%s", i ? ", " : " on ", nova_report_text(target, "name"));
	}
	return title.data;
}

void nova_report_limit(double value, uint32_t unit, char out[32])
{
	char *point, *end;

	nova_value_format(value, unit, out);
	point = strchr(out, '.');
	if (!point)
		return;
	end = point + 1 + strspn(point + 1, "0123456789");
	char *last = end;
	while (last[-1] == '0')
		last--;
	if (last[-1] == '.')
		last--;
	memmove(last, end, strlen(end) + 1);
}

char *nova_report_goal(const json_t *metric)
{
	const json_t *goal = json_object_get(metric, "goal");
	const char *sign = strcmp(nova_report_text(metric, "better"), "lower") ? "≥" : "≤";
	uint32_t unit = nova_report_unit(nova_report_text(metric, "unit"));
	struct nova_text text = {0};
	char number[32];

	if (!json_is_object(goal))
		return NULL;
	nova_report_limit(nova_report_number(goal, "pass"), unit, number);
	nova_text_addf(&text, "%s %s", sign, number);
	if (json_is_number(json_object_get(goal, "acceptable"))) {
		nova_report_limit(nova_report_number(goal, "acceptable"), unit, number);
		nova_text_addf(&text, " (%s %s acceptable)", sign, number);
	}
	return text.data;
}

void nova_report_figure(const json_t *metric, char out[32])
{
	uint32_t unit = nova_report_unit(nova_report_text(metric, "unit"));
	const json_t *floor = json_object_get(metric, "floor");
	double value = nova_report_number(metric, "value");
	char number[32];

	if (!json_is_number(floor) || value > json_number_value(floor)) {
		nova_value_format(value, unit, out);
		return;
	}
	nova_value_format(json_number_value(floor), unit, number);
	snprintf(out, 32, "≤ %.27s", number);
}

char *nova_report_value(const json_t *metric)
{
	const json_t *interval = json_object_get(metric, "interval");
	const json_t *counts = json_object_get(metric, "counts");
	uint32_t unit = nova_report_unit(nova_report_text(metric, "unit"));
	struct nova_text text = {0};
	char value[32], low[32], high[32];

	if (!json_is_number(json_object_get(metric, "value"))) {
		nova_text_addf(&text, "no value, n = 0 of %lld",
		               nova_report_integer(counts, "attempted"));
		return text.data;
	}
	nova_report_figure(metric, value);
	if (json_is_array(interval)) {
		nova_value_format(json_number_value(json_array_get(interval, 0)), unit, low);
		nova_value_format(json_number_value(json_array_get(interval, 1)), unit, high);
		nova_text_addf(&text, "%s [%s, %s]", value, low, high);
	} else {
		nova_value_format(nova_report_number(metric, "min"), unit, low);
		nova_value_format(nova_report_number(metric, "max"), unit, high);
		nova_text_addf(&text, "%s (all between %s and %s)", value, low, high);
	}
	nova_text_addf(&text, ", n = %lld of %lld", nova_report_integer(metric, "n"),
	               nova_report_integer(counts, "attempted"));
	return text.data;
}

/* --- comparisons ----------------------------------------------------------------------------- */

/* What a comparison's numbers are shown in: an overhead in per cent. */
static void effect_format(const json_t *comparison, double value, char out[32])
{
	if (!strcmp(nova_report_text(comparison, "of"), "overhead"))
		snprintf(out, 32, fabs(value) < 10 ? "%.3g %%" : "%.0f %%", 100 * value);
	else
		snprintf(out, 32, "%.4g", value);
}

static void add_effect(struct nova_text *line, const json_t *comparison)
{
	const json_t *interval = json_object_get(comparison, "interval");
	const char *why = nova_report_text(comparison, "interval_why");
	char value[32], low[32], high[32];

	if (!json_is_number(json_object_get(comparison, "value"))) {
		nova_text_addf(line, "none%s%s", why ? ": " : "", why ? why : "");
		return;
	}
	effect_format(comparison, nova_report_number(comparison, "value"), value);
	nova_text_add(line, value);
	if (json_is_array(interval)) {
		effect_format(comparison, json_number_value(json_array_get(interval, 0)), low);
		effect_format(comparison, json_number_value(json_array_get(interval, 1)), high);
		nova_text_addf(line, " [%s, %s]", low, high);
	} else {
		nova_text_addf(line, " (%s)", why ? why : "none");
	}
}

static void add_limits(struct nova_text *line, const json_t *comparison)
{
	const json_t *goal = json_object_get(comparison, "goal");
	const json_t *softer = json_object_get(goal, "acceptable");
	const char *sign = strcmp(nova_report_text(comparison, "better"), "lower") ? "≥" : "≤";
	char limit[32];

	if (!json_is_object(goal))
		return;
	effect_format(comparison, nova_report_number(goal, "pass"), limit);
	nova_text_addf(line, ", goal %s %s", sign, limit);
	if (!json_is_number(softer))
		return;
	effect_format(comparison, json_number_value(softer), limit);
	nova_text_addf(line, " (%s %s acceptable)", sign, limit);
}

char *nova_report_effect(const json_t *comparison)
{
	struct nova_text line = {0};

	nova_text_addf(&line, "%s against %s, %s ", nova_report_text(comparison, "b"),
	               nova_report_text(comparison, "a"), nova_report_text(comparison, "of"));
	add_effect(&line, comparison);
	nova_text_addf(&line, ", %lld pairs", nova_report_integer(comparison, "n"));
	if (json_is_number(json_object_get(comparison, "p")))
		nova_text_addf(&line, ", p %.2g", nova_report_number(comparison, "p"));
	add_limits(&line, comparison);
	return line.data;
}

/* --- JSON ------------------------------------------------------------------------------------ */

static bool is_container(const json_t *value)
{
	return json_is_object(value) || json_is_array(value);
}

/* What holds no further container stands on one line: a sample is a line, a run is readable. */
static bool is_flat(json_t *value)
{
	const char *key;
	json_t *inner;
	size_t i;

	json_object_foreach(value, key, inner) if (is_container(inner)) return false;
	json_array_foreach(value, i, inner) if (is_container(inner)) return false;
	return true;
}

static void write_scalar(const json_t *value, FILE *out)
{
	char digits[32];

	if (json_is_real(value)) {
		nova_report_digits(value, digits);
		fputs(digits, out);
		return;
	}
	NOVA_AUTOFREE char *text = json_dumps(value, JSON_ENCODE_ANY);
	fputs(text ? text : "null", out);
}

static void write_json(json_t *value, unsigned depth, bool one_line, FILE *out);

static void write_break(unsigned depth, bool one_line, bool first, FILE *out)
{
	if (one_line)
		fputs(first ? "" : " ", out);
	else
		fprintf(out, "\n%*s", (int)depth, "");
}

static void write_members(json_t *value, unsigned depth, bool one_line, FILE *out)
{
	const char *key;
	json_t *inner;
	bool first = true;
	size_t i;

	json_object_foreach(value, key, inner)
	{
		NOVA_AUTOJSON json_t *name = json_string(key);

		fputs(first ? "" : ",", out);
		write_break(depth, one_line, first, out);
		write_scalar(name, out);
		fputs(": ", out);
		write_json(inner, depth, one_line, out);
		first = false;
	}
	json_array_foreach(value, i, inner)
	{
		fputs(i ? "," : "", out);
		write_break(depth, one_line, i == 0, out);
		write_json(inner, depth, one_line, out);
	}
}

static void write_json(json_t *value, unsigned depth, bool one_line, FILE *out)
{
	bool object = json_is_object(value);

	if (!is_container(value)) {
		write_scalar(value, out);
		return;
	}
	one_line = one_line || is_flat(value);
	fputs(object ? "{" : "[", out);
	write_members(value, depth + 1, one_line, out);
	if (!one_line)
		write_break(depth, false, false, out);
	fputs(object ? "}" : "]", out);
}

void nova_report_json(const json_t *result, FILE *out)
{
	write_json((json_t *)result, 0, false, out);
	fputc('\n', out);
}

/* --- noise floors ----------------------------------------------------------------------------- */

/* Of "x.observed" it is "x.floor" of the same side; NULL: it has none. */
static const json_t *floor_of(const json_t *metrics, const json_t *metric)
{
	static const char observed[] = ".observed";
	const char *name = nova_report_text(metric, "name"),
	           *side = nova_report_text(metric, "side");
	size_t length = strlen(name), tail = strlen(observed), i;
	json_t *other;

	if (length <= tail || strcmp(name + length - tail, observed) != 0)
		return NULL;
	json_array_foreach((json_t *)metrics, i, other)
	{
		const char *candidate = nova_report_text(other, "name");

		if (!strncmp(candidate, name, length - tail) &&
		    !strcmp(candidate + length - tail, ".floor") &&
		    !strcmp(nova_report_text(other, "side"), side))
			return json_object_get(other, "value");
	}
	return NULL;
}

static json_t *step_with_floors(json_t *step)
{
	json_t *metrics = json_object_get(step, "metrics"), *metric, *fresh = json_array();
	size_t i;

	json_array_foreach(metrics, i, metric)
	{
		json_t *copy = json_copy(metric);

		json_object_set(copy, "floor", (json_t *)floor_of(metrics, metric));
		json_array_append_new(fresh, copy);
	}
	step = json_copy(step);
	json_object_set_new(step, "metrics", fresh);
	return step;
}

/* For the formats that people read: each metric with its noise floor. The samples are not copied.
 */
static json_t *with_floors(const json_t *result)
{
	json_t *copy = json_copy((json_t *)result), *steps = json_array(), *step;
	size_t i;

	json_array_foreach(json_object_get(result, "steps"), i, step)
	        json_array_append_new(steps, step_with_floors(step));
	json_object_set_new(copy, "steps", steps);
	return copy;
}

/* --- the door -------------------------------------------------------------------------------- */

void nova_report_options_detect(FILE *out, struct nova_report_options *options)
{
	const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
	struct winsize size;

	memset(options, 0, sizeof(*options));
	if (!isatty(fileno(out)))
		return;
	/* no-color.org: any value that is not empty. */
	options->colour = !(no_colour && *no_colour) && terminal && strcmp(terminal, "dumb") != 0;
	if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0)
		options->width = size.ws_col;
}

static int unknown_format(const char *format, struct nova_error *error)
{
	const char *nearest = nova_nearest(format, nova_report_formats);

	return nova_error_set(error, NOVA_E_INVALID,
	                      "there is no format \"%s\"; formats are table, json, csv, junit, "
	                      "html, markdown%s%s%s",
	                      format, nearest ? " (did you mean " : "", nearest ? nearest : "",
	                      nearest ? "?)" : "");
}

int nova_report_write(const json_t *result, const char *format, FILE *out,
                      const struct nova_report_options *options, struct nova_error *error)
{
	static const struct nova_report_options plain;
	int code = nova_report_check(result, error);
	NOVA_AUTOJSON json_t *floors = NULL;

	if (code)
		return nova_error_prefix(error, "cannot print the result");
	floors = with_floors(result);
	errno = 0;
	if (!strcmp(format, "table"))
		nova_report_table(floors, out, options ? options : &plain);
	else if (!strcmp(format, "json"))
		nova_report_json(result, out);
	else if (!strcmp(format, "csv"))
		nova_report_csv(result, out);
	else if (!strcmp(format, "junit"))
		nova_report_junit(floors, out);
	else if (!strcmp(format, "html"))
		nova_report_html(floors, out, options ? options : &plain);
	else if (!strcmp(format, "markdown"))
		nova_report_markdown(floors, out);
	else
		return unknown_format(format, error);
	if (fflush(out) || ferror(out))
		return nova_error_errno(error, "cannot write the result");
	return 0;
}
