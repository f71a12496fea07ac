/* SPDX-License-Identifier: MIT */
/*
 * CSV (RFC 4180): one row per sample, nothing reduced, so that any other tool can judge for itself.
 * The header is documented in report.h.
 */
#include "core/report/internal.h"

#include <string.h>

static const char header[] =
        "run,step,benchmark,targets,params,replicate,attempt,side,vm,metric,unit,status,value,"
        "t_ns,seq,intended_ns,error_ns,counted,why\r\n";

void nova_report_csv_field(struct nova_text *out, const char *text)
{
	if (!text)
		return;
	if (!strpbrk(text, "\",\r\n")) {
		nova_text_add(out, text);
		return;
	}
	nova_text_add(out, "\"");
	for (; *text; text++) {
		if (*text == '"')
			nova_text_add(out, "\"");
		nova_text_add_bytes(out, text, 1);
	}
	nova_text_add(out, "\"");
}

static void add_cell(struct nova_text *line, const json_t *cell)
{
	char digits[32];

	nova_text_add(line, ",");
	if (json_is_string(cell)) {
		nova_report_csv_field(line, json_string_value(cell));
	} else if (json_is_boolean(cell)) {
		nova_text_add(line, json_is_true(cell) ? "1" : "0");
	} else if (json_is_number(cell)) {
		nova_report_digits(cell, digits);
		nova_text_add(line, digits);
	}
}

static const char *unit_of(const json_t *step, const char *name)
{
	size_t i;
	json_t *metric;

	json_array_foreach(json_object_get(step, "metrics"), i, metric)
	{
		if (!strcmp(nova_report_text(metric, "name"), name))
			return nova_report_text(metric, "unit");
	}
	return "";
}

/* What all rows of a step begin with. */
static void add_head(struct nova_text *line, const json_t *result, const json_t *step)
{
	NOVA_AUTOFREE char *params = nova_json_canonical(json_object_get(step, "params"));
	NOVA_AUTOTEXT struct nova_text names = {0};
	size_t i;
	json_t *index;

	json_array_foreach(json_object_get(step, "targets"), i, index)
	{
		const json_t *target = json_array_get(json_object_get(result, "targets"),
		                                      (size_t)json_integer_value(index));

		nova_text_addf(&names, "%s%s", i ? " " : "", nova_report_text(target, "name"));
	}
	nova_report_csv_field(line, nova_report_text(json_object_get(result, "run"), "id"));
	nova_text_addf(line, ",%lld,", nova_report_integer(step, "index"));
	nova_report_csv_field(line, nova_report_text(step, "benchmark"));
	nova_text_add(line, ",");
	nova_report_csv_field(line, nova_text_get(&names));
	nova_text_add(line, ",");
	nova_report_csv_field(line, params);
}

static void write_row(const char *head, const json_t *step, const json_t *row, FILE *out)
{
	NOVA_AUTOTEXT struct nova_text line = {0};
	size_t i;
	json_t *cell;

	nova_text_add(&line, head);
	json_array_foreach(row, i, cell)
	{
		add_cell(&line, cell);
		if (i == 4) { /* metric: its unit comes with it */
			nova_text_add(&line, ",");
			nova_report_csv_field(&line, unit_of(step, json_string_value(cell)));
		}
	}
	nova_text_add(&line, "\r\n");
	fputs(nova_text_get(&line), out);
}

void nova_report_csv(const json_t *result, FILE *out)
{
	size_t i, j;
	json_t *step, *row;

	fputs(header, out);
	json_array_foreach(json_object_get(result, "steps"), i, step)
	{
		NOVA_AUTOTEXT struct nova_text head = {0};

		add_head(&head, result, step);
		json_array_foreach(json_object_get(json_object_get(step, "samples"), "rows"), j,
		                   row) write_row(nova_text_get(&head), step, row, out);
	}
}
