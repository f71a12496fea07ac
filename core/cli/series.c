/* SPDX-License-Identifier: MIT */
/* Reads a series from CSV: which column, which cells are numbers, which rows have none. */
#include "core/cli/series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BLANKS " \t"
/* Of a cell in an error. */
#define SHOWN 40

static const char *const gap_words[] = {"", "nan", "na", "n/a", "null", "none", "-"};

struct reader {
	struct nova_csv csv;
	struct nova_series *series;
	size_t columns, value, time; /* indices of columns; time == columns: none */
	size_t blank;                /* empty lines since the last row */
	double last_time;
};

/* --- cells ------------------------------------------------------------------------------------ */

bool nova_series_number(const char *text, double *value)
{
	size_t length;
	char *end;

	text += strspn(text, BLANKS);
	length = strcspn(text, BLANKS);
	if (text[length + strspn(text + length, BLANKS)])
		return false;
	/* strtod takes hexadecimal numbers and "infinity", too. */
	if (strspn(text, "0123456789+-.eE") < length &&
	    strncasecmp(text + strspn(text, "+-"), "inf", 3) != 0)
		return false;
	*value = strtod(text, &end);
	return length && end == text + length;
}

static bool is_gap(const char *text)
{
	size_t length;

	text += strspn(text, BLANKS);
	length = strcspn(text, BLANKS);
	for (size_t i = 0; i < NOVA_COUNT(gap_words); i++)
		if (strlen(gap_words[i]) == length && !strncasecmp(text, gap_words[i], length))
			return !text[length + strspn(text + length, BLANKS)];
	return false;
}

static char *shown(const char *cell)
{
	char *text = nova_format("%.*s%s", SHOWN, cell, strlen(cell) > SHOWN ? "…" : "");

	nova_utf8_repair(text);
	nova_text_clean(text);
	return text;
}

/* --- the header ------------------------------------------------------------------------------- */

static char *all_names(const struct reader *reader)
{
	struct nova_text names = {0};

	for (size_t i = 0; i < reader->columns && names.length < 400; i++)
		nova_text_addf(&names, "%s%s", i ? ", " : "", nova_csv_field(&reader->csv, i));
	if (names.length >= 400)
		nova_text_add(&names, " …");
	nova_utf8_repair(names.data);
	nova_text_clean(names.data);
	return names.data;
}

/* `name` is the user's: there must be one, and only one. */
static int find_column(struct reader *reader, const char *name, struct nova_error *error)
{
	size_t found = 0;
	NOVA_AUTOFREE char *names = NULL;
	NOVA_AUTOFREE const char **candidates =
	        nova_alloc((reader->columns + 1) * sizeof(*candidates));
	const char *near;

	for (size_t i = 0; i < reader->columns; i++) {
		candidates[i] = nova_csv_field(&reader->csv, i);
		if (strcmp(candidates[i], name) != 0)
			continue;
		reader->value = i;
		found++;
	}
	if (found == 1)
		return 0;
	if (found)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "%s: %zu columns are called \"%s\"; give them different "
		                      "names",
		                      reader->csv.name, found, name);
	near = nova_nearest(name, candidates);
	names = all_names(reader);
	return nova_error_set(error, NOVA_E_INVALID,
	                      "%s: there is no column \"%s\"%s%s%s; it has %s", reader->csv.name,
	                      name, near ? ", did you mean \"" : "", near ? near : "",
	                      near ? "\"?" : "", names);
}

static int choose_column(struct reader *reader, struct nova_error *error)
{
	NOVA_AUTOFREE char *names = NULL;
	size_t called = 0;

	reader->value = reader->columns - 1;
	if (reader->columns <= 2)
		return 0;
	for (size_t i = 0; i < reader->columns; i++)
		if (!strcmp(nova_csv_field(&reader->csv, i), "value")) {
			reader->value = i;
			called++;
		}
	if (called == 1)
		return 0;
	names = all_names(reader);
	return nova_error_set(error, NOVA_E_INVALID,
	                      "%s has %zu columns; say which one with --column NAME: %s",
	                      reader->csv.name, reader->columns, names);
}

static char *name_of(const struct reader *reader, size_t column)
{
	char *name = nova_strdup(nova_csv_field(&reader->csv, column));

	nova_utf8_repair(name);
	return name;
}

static int read_header(struct reader *reader, const char *column, struct nova_error *error)
{
	double number;
	int code = nova_csv_read(&reader->csv, error);

	if (code < 0)
		return code;
	if (!code || reader->csv.blank)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "%s %s; its first line must name the columns, such as "
		                      "time,value",
		                      reader->csv.name,
		                      code ? "begins with an empty line" : "is empty");
	reader->columns = reader->csv.count;
	if (nova_series_number(nova_csv_field(&reader->csv, reader->columns - 1), &number)) {
		NOVA_AUTOFREE char *cell = shown(nova_csv_field(&reader->csv, reader->columns - 1));

		return nova_error_set(error, NOVA_E_INVALID,
		                      "%s has no header: line 1 has the number %s; put a line such "
		                      "as time,value before it",
		                      reader->csv.name, cell);
	}
	code = column ? find_column(reader, column, error) : choose_column(reader, error);
	if (code)
		return code;
	reader->time = reader->columns > 1 && reader->value ? 0 : reader->columns;
	reader->series->column = name_of(reader, reader->value);
	if (reader->time < reader->columns) {
		reader->series->time_column = name_of(reader, reader->time);
		reader->series->time_is_number = true;
	}
	return 0;
}

/* --- rows ------------------------------------------------------------------------------------- */

static int wrong_cell(const struct reader *reader, const char *cell, struct nova_error *error)
{
	NOVA_AUTOFREE char *text = shown(cell);
	double number;

	if (nova_series_number(cell, &number))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "%s, line %zu: %s in column %s is not finite; correct it, or "
		                      "leave the cell empty",
		                      reader->csv.name, reader->csv.line, text,
		                      reader->series->column);
	return nova_error_set(error, NOVA_E_INVALID,
	                      "%s, line %zu: \"%s\" in column %s is no number%s", reader->csv.name,
	                      reader->csv.line, text, reader->series->column,
	                      strchr(cell, ',') ? "; write 1.5, with a point and nothing between "
	                                          "thousands"
	                                        : "; an empty cell is a gap, another column is "
	                                          "named by --column");
}

static void add_gap(struct nova_series *series)
{
	series->gaps = nova_grow(series->gaps, series->gap_count, sizeof(*series->gaps));
	series->gaps[series->gap_count++] = series->rows++;
}

static void add_time(struct reader *reader, const char *cell)
{
	struct nova_series *series = reader->series;
	double time;

	nova_text_add_bytes(&series->times, cell, strlen(cell) + 1);
	if (!series->time_is_number)
		return;
	series->time_is_number = nova_series_number(cell, &time) && isfinite(time);
	if (!series->time_is_number)
		return;
	series->time_falls = series->time_falls || (series->rows && time < reader->last_time);
	reader->last_time = time;
}

/* In a file of one column an empty line is an empty cell, unless nothing follows. */
static void add_blank_rows(struct reader *reader)
{
	for (; reader->blank; reader->blank--)
		if (reader->columns == 1)
			add_gap(reader->series);
}

static int add_row(struct reader *reader, struct nova_error *error)
{
	struct nova_series *series = reader->series;
	const char *cell;
	double value = NAN;

	if (reader->csv.count != reader->columns)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "%s, line %zu has %zu field%s and the header %zu",
		                      reader->csv.name, reader->csv.line, reader->csv.count,
		                      reader->csv.count == 1 ? "" : "s", reader->columns);
	add_blank_rows(reader);
	if (series->rows >= NOVA_SERIES_ROWS)
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "%s has more than %zu rows; analyze a part of it, or means of "
		        "every so many",
		        reader->csv.name, NOVA_SERIES_ROWS);
	if (series->times.length > NOVA_SERIES_TIMES)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "%s: the texts of column %s are longer than 1 GiB; analyze a "
		                      "part of it",
		                      reader->csv.name, series->time_column);
	if (reader->time < reader->columns)
		add_time(reader, nova_csv_field(&reader->csv, reader->time));
	cell = nova_csv_field(&reader->csv, reader->value);
	if (is_gap(cell)) {
		add_gap(series);
		return 0;
	}
	if (!nova_series_number(cell, &value) || !isfinite(value))
		return wrong_cell(reader, cell, error);
	series->values = nova_grow(series->values, series->count, sizeof(*series->values));
	series->values[series->count++] = value;
	series->rows++;
	return 0;
}

static int read_rows(struct reader *reader, struct nova_error *error)
{
	int code;

	while ((code = nova_csv_read(&reader->csv, error)) > 0) {
		if (reader->csv.blank) {
			reader->blank++;
			continue;
		}
		code = add_row(reader, error);
		if (code)
			return code;
	}
	return code;
}

int nova_series_read(FILE *file, const char *name, const char *column, struct nova_series *series,
                     struct nova_error *error)
{
	struct reader reader = {.csv = {.file = file, .name = name}, .series = series};
	int code;

	memset(series, 0, sizeof(*series));
	code = read_header(&reader, column, error);
	if (!code)
		code = read_rows(&reader, error);
	nova_csv_free(&reader.csv);
	if (!code && !series->rows)
		return nova_error_set(error, NOVA_E_INVALID, "%s has a header and no rows", name);
	return code;
}

void nova_series_free(struct nova_series *series)
{
	free(series->column);
	free(series->time_column);
	free(series->values);
	free(series->gaps);
	nova_text_free(&series->times);
	memset(series, 0, sizeof(*series));
}

/* --- places ----------------------------------------------------------------------------------- */

size_t nova_series_row(const struct nova_series *series, size_t i)
{
	for (size_t gap = 0; gap < series->gap_count && series->gaps[gap] <= i; gap++)
		i++;
	return i;
}

void nova_series_times(const struct nova_series *series, const size_t *rows, size_t count,
                       const char **times)
{
	const char *at = series->times.data;
	size_t row = 0;

	for (size_t i = 0; i < count; i++) {
		times[i] = NULL;
		if (!at)
			continue;
		for (; row < rows[i]; row++)
			at += strlen(at) + 1;
		times[i] = at;
	}
}
