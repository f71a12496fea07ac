/* SPDX-License-Identifier: MIT */
/* The history of a metric (novacore.history/1) as table and CSV. */
#include "core/report/columns.h"

#include <string.h>

/* The change point that begins at a point, or NULL. */
static const json_t *change_at(const json_t *series, size_t index)
{
	size_t i;
	json_t *change;

	json_array_foreach(json_object_get(series, "changes"), i, change)
	{
		if ((size_t)nova_report_integer(change, "index") == index)
			return change;
	}
	return NULL;
}

/* "changed by +21 % (worse), p 0.002, id 4be1…": with a reason, if it is known. */
static char *describe_change(const json_t *change)
{
	const json_t *known = json_object_get(change, "acknowledged");
	char shift[32], p[32];

	if (!change)
		return nova_strdup("");
	judged_percent(json_object_get(change, "shift"), shift);
	judged_p(json_object_get(change, "p"), p);
	return nova_format("changed by %s (%s), p %s, id %s%s%s", shift,
	                   json_is_true(json_object_get(change, "worse")) ? "worse" : "better", p,
	                   nova_json_text(change, "id"),
	                   known && !json_is_null(known) ? "; acknowledged: " : "",
	                   nova_json_text(known, "why"));
}

static void add_point(struct columns *columns, const json_t *series, const json_t *point,
                      size_t index)
{
	const json_t *interval = json_object_get(point, "interval");
	const char *unit = nova_json_text(series, "unit");
	NOVA_AUTOFREE char *n = nova_format("%lld/%lld", nova_report_integer(point, "n"),
	                                    nova_report_integer(point, "attempted"));
	NOVA_AUTOFREE char *change = describe_change(change_at(series, index));
	NOVA_AUTOFREE char *range = NULL;
	char value[32], low[32], high[32];

	judged_value(json_object_get(point, "value"), unit, value);
	judged_value(json_array_get(interval, 0), unit, low);
	judged_value(json_array_get(interval, 1), unit, high);
	range = json_is_array(interval) ? nova_format("%s … %s", low, high) : nova_strdup("-");
	columns_add(columns, nova_json_text(point, "started"));
	columns_add(columns, nova_json_text(point, "run"));
	columns_add(columns, value);
	columns_add(columns, range);
	columns_add(columns, n);
	columns_add(columns, change);
}

static void print_series(const json_t *series, FILE *out)
{
	static const char *const head[] = {"run of", "id", "median", "interval", "n", ""};
	struct columns columns = {.columns = NOVA_COUNT(head), .right = 0x4};
	NOVA_AUTOFREE char *label = judged_label(series);
	const char *source = nova_report_text(series, "source");
	const char *accel = nova_json_text(series, "accel");
	size_t i;
	json_t *point;

	for (i = 0; i < NOVA_COUNT(head); i++)
		columns_add(&columns, head[i]);
	json_array_foreach(json_object_get(series, "points"), i, point)
	        add_point(&columns, series, point, i);
	judged_line(out, 0, "%s, side %s: %s", nova_json_text(series, "metric"),
	            nova_json_text(series, "side"), label);
	judged_line(out, 2, "where %.12s%s%s, revision %lld%s%s%s", nova_json_text(series, "where"),
	            *accel ? ", accelerator " : "", accel, nova_report_integer(series, "revision"),
	            source ? ", end points from " : "", source ? source : "",
	            json_is_true(json_object_get(series, "simulated"))
	                    ? "; simulated: these are not measurements of a hypervisor"
	                    : "");
	columns_print(&columns, out);
	if (nova_report_integer(series, "gaps"))
		judged_line(out, 2, "%lld runs without a value: nothing succeeded",
		            nova_report_integer(series, "gaps"));
	fputc('\n', out);
}

static void write_table(const json_t *history, FILE *out)
{
	size_t i, changes = 0, count = json_array_size(json_object_get(history, "series"));
	json_t *series;

	json_array_foreach(json_object_get(history, "series"), i, series)
	{
		print_series(series, out);
		changes += json_array_size(json_object_get(series, "changes"));
	}
	judged_line(out, 0, "%zu series, %zu change point%s", count, changes,
	            changes == 1 ? "" : "s");
}

static void write_csv(const json_t *history, FILE *out)
{
	static const char *const first[] = {"metric", "benchmark", "params", "targets", "side",
	                                    "where",  "revision",  "unit",   "source"};
	static const char *const then[] = {"run", "step", "started", "n", "attempted", "value"};
	NOVA_AUTOTEXT struct nova_text line = {0};
	size_t i, j;
	json_t *series, *point;

	fputs("metric,benchmark,params,targets,side,where,revision,unit,source,run,step,started,n,"
	      "attempted,value,low,high,change,shift,p,acknowledged\r\n",
	      out);
	json_array_foreach(json_object_get(history, "series"), i, series)
	{
		json_array_foreach(json_object_get(series, "points"), j, point)
		{
			const json_t *interval = json_object_get(point, "interval");
			const json_t *change = change_at(series, j);

			for (size_t k = 0; k < NOVA_COUNT(first); k++)
				judged_csv(&line, json_object_get(series, first[k]));
			for (size_t k = 0; k < NOVA_COUNT(then); k++)
				judged_csv(&line, json_object_get(point, then[k]));
			judged_csv(&line, json_array_get(interval, 0));
			judged_csv(&line, json_array_get(interval, 1));
			judged_csv(&line, json_object_get(change, "id"));
			judged_csv(&line, json_object_get(change, "shift"));
			judged_csv(&line, json_object_get(change, "p"));
			judged_csv(&line,
			           json_object_get(json_object_get(change, "acknowledged"), "why"));
			judged_csv_end(&line, out);
		}
	}
}

int nova_report_history(const json_t *history, const char *format, FILE *out,
                        struct nova_error *error)
{
	static const struct judged_writers writers = {write_table, write_csv};

	return judged_write(history, format, &writers, out, error);
}
