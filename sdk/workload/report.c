/* SPDX-License-Identifier: MIT */
/* One line of a report at a time, compared with a pattern. */
#include <novacore/workload/report.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DIGITS_MOST 18 /* of a number: an int64_t holds them */
#define VALUES_MOST 8  /* of a line */

static int is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *skip_blanks(const char *at, const char *end)
{
	while (at < end && is_blank(*at))
		at++;
	return at;
}

/* Not by strtod: that takes signs, exponents and "nan", and asks the locale for its point. */
static const char *read_number(const char *at, const char *end, double *value)
{
	int64_t digits = 0, scale = 1;
	int count = 0, point = 0;

	at = skip_blanks(at, end);
	for (; at < end; at++) {
		if (*at == '.' && !point && count && at + 1 < end && is_digit(at[1])) {
			point = 1;
			continue;
		}
		if (!is_digit(*at))
			break;
		if (++count > DIGITS_MOST)
			return NULL;
		digits = digits * 10 + (*at - '0');
		scale *= point ? 10 : 1;
	}
	*value = (double)digits / (double)scale;
	return count ? at : NULL;
}

/* 1: the line is the pattern. */
static int fits(const char *at, const char *end, const char *pattern, double values[VALUES_MOST])
{
	int count = 0;

	at = skip_blanks(at, end);
	while (end > at && is_blank(end[-1]))
		end--;
	for (; *pattern; pattern++) {
		if (*pattern == '#') {
			at = count < VALUES_MOST ? read_number(at, end, &values[count++]) : NULL;
			if (!at)
				return 0;
		} else if (*pattern == ' ') {
			if (at == end || !is_blank(*at))
				return 0;
			at = skip_blanks(at, end);
		} else if (at == end || *at++ != *pattern) {
			return 0;
		}
	}
	return at == end;
}

int nova_report_fail(struct nova_report *report, const char *format, ...)
{
	va_list arguments;

	if (report->why[0])
		return -1;
	va_start(arguments, format);
	vsnprintf(report->why, sizeof(report->why), format, arguments);
	va_end(arguments);
	return -1;
}

int nova_report_line(struct nova_report *report, const char *pattern, double *values)
{
	const char *at = report->text, *end = at ? at + report->bytes : NULL, *newline;
	double found[VALUES_MOST] = {0}, first[VALUES_MOST] = {0};
	int lines = 0, count = 0;

	for (; at && at < end && (newline = memchr(at, '\n', (size_t)(end - at))); at = newline + 1)
		if (fits(at, newline, pattern, found) && ++lines == 1)
			memcpy(first, found, sizeof(first));
	if (lines != 1)
		return nova_report_fail(report,
		                        lines ? "it has more than one line \"%s\""
		                              : "it has no complete line \"%s\"",
		                        pattern);
	for (; *pattern && values; pattern++)
		if (*pattern == '#') {
			values[count] = first[count];
			count++;
		}
	return 0;
}

double nova_report_number(struct nova_report *report, const char *pattern)
{
	double values[VALUES_MOST] = {0};

	nova_report_line(report, pattern, values);
	return values[0];
}

double nova_report_positive(struct nova_report *report, const char *pattern)
{
	double value = nova_report_number(report, pattern);

	if (value <= 0)
		nova_report_fail(report, "the number of its line \"%s\" is 0", pattern);
	return value;
}
