/* SPDX-License-Identifier: MIT */
/* Text in columns, and what comparisons, histories and ranks say alike. */
#include "core/report/columns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- columns --------------------------------------------------------------------------------- */

static char *cleaned_line(const char *text)
{
	char *copy = nova_strdup(text);

	nova_text_clean(copy);
	for (char *at = copy; *at; at++)
		if (*at == '\n' || *at == '\t')
			*at = ' ';
	return copy;
}

void columns_add(struct columns *columns, const char *cell)
{
	columns->cells = nova_grow(columns->cells, columns->count, sizeof(*columns->cells));
	columns->cells[columns->count++] = cleaned_line(cell ? cell : "-");
}

static void print_cell(const char *cell, size_t width, bool right, bool last, FILE *out)
{
	int pad = (int)(width - nova_columns(cell));

	if (last && !*cell)
		return;
	if (right)
		fprintf(out, "  %*s%s", pad, "", cell);
	else
		fprintf(out, "  %s%*s", cell, last ? 0 : pad, "");
}

void columns_print(struct columns *columns, FILE *out)
{
	NOVA_AUTOFREE size_t *widths = nova_alloc((columns->columns + 1) * sizeof(*widths));

	for (size_t i = 0; i < columns->count; i++) {
		size_t width = nova_columns(columns->cells[i]), at = i % columns->columns;

		widths[at] = width > widths[at] ? width : widths[at];
	}
	for (size_t i = 0; i < columns->count; i++) {
		size_t at = i % columns->columns;
		bool last = at + 1 == columns->columns;

		print_cell(columns->cells[i], widths[at], columns->right >> at & 1, last, out);
		fputs(last ? "\n" : "", out);
		free(columns->cells[i]);
	}
	free(columns->cells);
	columns->cells = NULL;
	columns->count = 0;
}

void judged_line(FILE *out, unsigned indent, const char *format, ...)
{
	NOVA_AUTOFREE char *line = NULL, *clean = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&line, format, arguments) < 0)
		abort();
	va_end(arguments);
	clean = cleaned_line(line);
	fprintf(out, "%*s%s\n", (int)indent, "", clean);
}

/* --- cells ----------------------------------------------------------------------------------- */

static void add_value(struct nova_text *text, const json_t *value)
{
	char digits[32];

	if (json_is_string(value)) {
		nova_text_add(text, json_string_value(value));
	} else if (json_is_number(value)) {
		nova_report_digits(value, digits);
		nova_text_add(text, digits);
	} else {
		NOVA_AUTOFREE char *json = nova_json_canonical(value);
		nova_text_add(text, json);
	}
}

char *judged_label(const json_t *one)
{
	NOVA_AUTOFREE char *params = nova_report_params(one);
	struct nova_text text = {0};
	json_t *value;
	size_t i;

	nova_text_add(&text, nova_json_text(one, "benchmark"));
	json_array_foreach(json_object_get(one, "targets"), i, value)
	        nova_text_addf(&text, "%s%s (%s)", i ? ", " : " on ", nova_json_text(value, "name"),
	                       nova_json_text(value, "plugin"));
	if (*params)
		nova_text_addf(&text, ", %s", params);
	return text.data ? text.data : nova_strdup("");
}

void judged_percent(const json_t *number, char out[32])
{
	if (json_is_number(number))
		snprintf(out, 32, "%+.1f %%", 100 * json_number_value(number));
	else
		snprintf(out, 32, "-");
}

char *judged_interval(const json_t *interval)
{
	char low[32], high[32];

	if (!json_is_array(interval))
		return nova_strdup("-");
	judged_percent(json_array_get(interval, 0), low);
	judged_percent(json_array_get(interval, 1), high);
	return nova_format("%s … %s", low, high);
}

void judged_value(const json_t *number, const char *unit, char out[32])
{
	if (json_is_number(number))
		nova_value_format(json_number_value(number), nova_report_unit(unit), out);
	else
		snprintf(out, 32, "-");
}

void judged_p(const json_t *number, char out[32])
{
	if (json_is_number(number))
		snprintf(out, 32, "%.2g", json_number_value(number));
	else
		snprintf(out, 32, "-");
}

/* --- CSV ------------------------------------------------------------------------------------- */

void judged_csv(struct nova_text *line, const json_t *value)
{
	NOVA_AUTOTEXT struct nova_text cell = {0};

	if (json_is_boolean(value))
		nova_text_add(&cell, json_is_true(value) ? "1" : "0");
	else if (value && !json_is_null(value))
		add_value(&cell, value);
	nova_report_csv_field(line, nova_text_get(&cell));
	nova_text_add(line, ",");
}

void judged_csv_end(struct nova_text *line, FILE *out)
{
	if (line->length)
		line->data[--line->length] = '\0';
	fprintf(out, "%s\r\n", nova_text_get(line));
	line->length = 0;
}

/* --- formats --------------------------------------------------------------------------------- */

int judged_write(const json_t *document, const char *format, const struct judged_writers *writers,
                 FILE *out, struct nova_error *error)
{
	errno = 0;
	if (!strcmp(format, "json"))
		nova_report_json(document, out);
	else if (!strcmp(format, "table"))
		writers->table(document, out);
	else if (!strcmp(format, "csv"))
		writers->csv(document, out);
	else
		return nova_error_set(error, NOVA_E_INVALID,
		                      "there is no format \"%s\"; formats are table, json and csv",
		                      format);
	if (fflush(out) || ferror(out))
		return nova_error_errno(error, "cannot write the result");
	return 0;
}
