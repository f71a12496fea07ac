/* SPDX-License-Identifier: MIT */
/* A ranking (novacore.rank/1) as table and CSV: a tie is shown as one. */
#include "core/report/columns.h"

#include <string.h>

/* "kvm 8.2.2 on local" */
static char *target_of(const json_t *entry)
{
	struct nova_text text = {0};
	size_t i;
	json_t *target;

	json_array_foreach(json_object_get(entry, "targets"), i, target)
	{
		const char *version = nova_report_text(target, "version");

		nova_text_addf(&text, "%s%s%s%s on %s", i ? ", " : "",
		               nova_json_text(target, "plugin"), version ? " " : "",
		               version ? version : "", nova_json_text(target, "name"));
	}
	return text.data ? text.data : nova_strdup("this host");
}

/* "1", or "1-2" where it may be either. */
static void rank_of(const json_t *entry, char out[48])
{
	long long best = nova_report_integer(entry, "rank");
	long long worst = nova_report_integer(entry, "rank_worst");

	if (best == worst)
		snprintf(out, 48, "%lld", best);
	else
		snprintf(out, 48, "%lld-%lld", best, worst);
}

/* The rows that it cannot be told from, as they are numbered in the table. */
static char *ties_of(const json_t *entry)
{
	struct nova_text text = {0};
	size_t i;
	json_t *other;

	json_array_foreach(json_object_get(entry, "tied"), i, other) nova_text_addf(
	        &text, "%s%lld", i ? ", " : "", (long long)json_integer_value(other) + 1);
	return text.data ? text.data : nova_strdup("");
}

static void add_entry(struct columns *columns, const json_t *entry, const char *unit, size_t number)
{
	const json_t *interval = json_object_get(entry, "interval");
	const char *why = nova_report_text(entry, "why");
	NOVA_AUTOFREE char *target = target_of(entry), *ties = ties_of(entry);
	NOVA_AUTOFREE char *n = nova_format("%lld/%lld", nova_report_integer(entry, "n"),
	                                    nova_report_integer(entry, "attempted"));
	NOVA_AUTOFREE char *range = NULL;
	char rank[48], value[32], low[32], high[32], row[24];

	rank_of(entry, rank);
	snprintf(row, sizeof(row), "%zu", number);
	judged_value(json_object_get(entry, "value"), unit, value);
	judged_value(json_array_get(interval, 0), unit, low);
	judged_value(json_array_get(interval, 1), unit, high);
	range = json_is_array(interval) ? nova_format("%s … %s", low, high)
	                                : nova_strdup(why ? why : "-");
	columns_add(columns, row);
	columns_add(columns, rank);
	columns_add(columns, target);
	columns_add(columns, value);
	columns_add(columns, range);
	columns_add(columns, n);
	columns_add(columns, nova_json_text(entry, "run"));
	columns_add(columns, *ties ? ties : "-");
}

static void print_group(const json_t *metric, const json_t *group, FILE *out)
{
	static const char *const head[] = {"row",      "rank", "target", "median",
	                                   "interval", "n",    "run",    "tied with row"};
	struct columns columns = {.columns = NOVA_COUNT(head), .right = 0x9};
	NOVA_AUTOFREE char *label = judged_label(group);
	const char *apart = nova_report_text(group, "not_comparable");
	const char *accel = nova_json_text(group, "accel"),
	           *source = nova_json_text(group, "source");
	size_t i;
	json_t *entry;

	for (i = 0; i < NOVA_COUNT(head); i++)
		columns_add(&columns, head[i]);
	json_array_foreach(json_object_get(group, "entries"), i, entry)
	        add_entry(&columns, entry, nova_json_text(group, "unit"), i + 1);
	if (apart)
		judged_line(out, 0, "Not comparable with the first: %s", apart);
	judged_line(out, 0, "%s, side %s, %s is better: %s", json_string_value(metric),
	            nova_json_text(group, "side"), nova_json_text(group, "better"), label);
	judged_line(out, 2, "where %.12s%s%s, revision %lld%s%s", nova_json_text(group, "where"),
	            *accel ? ", accelerator " : "", accel, nova_report_integer(group, "revision"),
	            *source ? ", end points from " : "", source);
	columns_print(&columns, out);
	fputc('\n', out);
}

static void write_table(const json_t *rank, FILE *out)
{
	size_t i;
	json_t *group;

	json_array_foreach(json_object_get(rank, "groups"), i, group)
	        print_group(json_object_get(rank, "metric"), group, out);
	judged_line(out, 0,
	            "One is before another only where their intervals separate; 1-2 is either.");
	if (nova_report_integer(rank, "simulated"))
		judged_line(out, 0,
		            "%lld simulated value(s) left out: what is invented is not ranked.",
		            nova_report_integer(rank, "simulated"));
}

static void write_csv(const json_t *rank, FILE *out)
{
	static const char *const first[] = {"benchmark", "params", "side",   "where", "revision",
	                                    "unit",      "better", "source", "accel"};
	static const char *const then[] = {"rank",    "rank_worst", "targets",   "run",
	                                   "started", "n",          "attempted", "value"};
	NOVA_AUTOTEXT struct nova_text line = {0};
	size_t i, j;
	json_t *group, *entry;

	fputs("metric,group,benchmark,params,side,where,revision,unit,better,source,accel,rank,"
	      "rank_worst,targets,run,started,n,attempted,value,low,high,not_comparable\r\n",
	      out);
	json_array_foreach(json_object_get(rank, "groups"), i, group)
	{
		json_array_foreach(json_object_get(group, "entries"), j, entry)
		{
			const json_t *interval = json_object_get(entry, "interval");

			judged_csv(&line, json_object_get(rank, "metric"));
			nova_text_addf(&line, "%zu,", i + 1);
			for (size_t k = 0; k < NOVA_COUNT(first); k++)
				judged_csv(&line, json_object_get(group, first[k]));
			for (size_t k = 0; k < NOVA_COUNT(then); k++)
				judged_csv(&line, json_object_get(entry, then[k]));
			judged_csv(&line, json_array_get(interval, 0));
			judged_csv(&line, json_array_get(interval, 1));
			judged_csv(&line, json_object_get(group, "not_comparable"));
			judged_csv_end(&line, out);
		}
	}
}

int nova_report_rank(const json_t *rank, const char *format, FILE *out, struct nova_error *error)
{
	static const struct judged_writers writers = {write_table, write_csv};

	return judged_write(rank, format, &writers, out, error);
}
