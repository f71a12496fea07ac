/* SPDX-License-Identifier: MIT */
/* Where time goes (novacore.hotspots/1) as table and CSV. */
#include "core/report/columns.h"

#include <string.h>

static const char *const LISTS[] = {"functions", "libraries", "processes"};

static const json_t *list_of(const json_t *document, const char **name)
{
	for (size_t i = 0; i < NOVA_COUNT(LISTS); i++) {
		const json_t *list = json_object_get(document, LISTS[i]);

		*name = LISTS[i];
		if (list)
			return list;
	}
	return NULL;
}

/* "1.92 s", "3.2 MiB"; what is counted as digits. */
static void amount_of(const json_t *document, const json_t *value, char out[32])
{
	const char *unit = nova_json_text(json_object_get(document, "value"), "unit");
	double number = json_number_value(value);

	if (!strcmp(unit, "nanoseconds"))
		nova_value_format(number / 1e9, NOVA_UNIT_SECOND, out);
	else if (!strcmp(unit, "bytes"))
		nova_value_format(number, NOVA_UNIT_BYTE, out);
	else
		snprintf(out, 32, "%.0f", number);
}

/* "42.1 % (39.9 … 44.3)" of samples; of what is no sample "1.92 s, 63.9 %". */
static char *share_of(const json_t *document, const json_t *one)
{
	const json_t *interval = json_object_get(one, "interval");
	double share = json_number_value(json_object_get(one, "share")) * 100;
	char amount[32];

	if (json_is_array(interval))
		return nova_format("%.1f %% (%.1f … %.1f)", share,
		                   json_number_value(json_array_get(interval, 0)) * 100,
		                   json_number_value(json_array_get(interval, 1)) * 100);
	amount_of(document, json_object_get(one, "value"), amount);
	return nova_format("%s, %.1f %%", amount, share);
}

static void add_share(struct columns *columns, const json_t *document, const json_t *one)
{
	NOVA_AUTOFREE char *text = share_of(document, one);

	columns_add(columns, text);
}

/* Points of percent, not percent of what was there. */
static void add_change(struct columns *columns, const json_t *document, const json_t *entry)
{
	const json_t *changed = json_object_get(entry, "changed");
	NOVA_AUTOFREE char *text =
	        nova_format("%+.1f pt", json_number_value(json_object_get(entry, "change")) * 100);
	char p[32];

	judged_p(json_object_get(entry, "p"), p);
	add_share(columns, document, json_object_get(json_object_get(entry, "before"), "self"));
	columns_add(columns, text);
	columns_add(columns, p);
	columns_add(columns, json_is_true(changed)    ? "changed"
	                     : json_is_false(changed) ? "noise"
	                                              : "-");
}

/* "off-cpu (nanoseconds): 3.02 s in 93 waits, 0 lost; functions with …" */
static void write_head(const json_t *document, const char *name, FILE *out)
{
	const json_t *value = json_object_get(document, "value"),
	             *events = json_object_get(document, "events");
	const char *type = nova_json_text(value, "type"), *counted = nova_json_text(events, "type");
	NOVA_AUTOTEXT struct nova_text what = {0};
	char amount[32];

	if (strcmp(type, counted) != 0) {
		amount_of(document, json_object_get(document, "all"), amount);
		nova_text_addf(&what, "%s%s", amount, counted[0] ? " in " : "");
	}
	if (counted[0])
		nova_text_addf(&what, "%lld %s", nova_report_integer(events, "count"), counted);
	judged_line(out, 0, "%s (%s): %s, %lld lost; %s with %.3g %% or more in total", type,
	            nova_json_text(value, "unit"), what.data, nova_report_integer(document, "lost"),
	            name, json_number_value(json_object_get(document, "threshold")) * 100);
}

static void write_table(const json_t *document, FILE *out)
{
	bool compared = json_is_object(json_object_get(document, "before"));
	const char *name;
	const json_t *list = list_of(document, &name), *entry;
	bool library = strcmp(name, "functions") == 0;
	struct columns columns = {.columns = 3u + library + (compared ? 4u : 0u)};
	size_t i;

	write_head(document, name, out);
	columns_add(&columns, "self");
	columns_add(&columns, "total");
	if (compared) {
		columns_add(&columns, "self before");
		columns_add(&columns, "change");
		columns_add(&columns, "p");
		columns_add(&columns, "verdict");
	}
	columns_add(&columns, "name");
	if (library)
		columns_add(&columns, "library");
	json_array_foreach((json_t *)list, i, entry)
	{
		add_share(&columns, document, json_object_get(entry, "self"));
		add_share(&columns, document, json_object_get(entry, "total"));
		if (compared)
			add_change(&columns, document, entry);
		columns_add(&columns, nova_json_text(entry, "name"));
		if (library)
			columns_add(&columns, nova_json_text(entry, "library"));
	}
	columns_print(&columns, out);
	json_array_foreach(json_object_get(document, "notes"), i, entry)
	        judged_line(out, 0, "Note: %s", json_string_value(entry));
}

static void add_csv_share(struct nova_text *line, const json_t *one)
{
	const json_t *interval = json_object_get(one, "interval");

	judged_csv(line, json_object_get(one, "value"));
	judged_csv(line, json_object_get(one, "share"));
	judged_csv(line, json_array_get(interval, 0));
	judged_csv(line, json_array_get(interval, 1));
}

static void write_csv(const json_t *document, FILE *out)
{
	NOVA_AUTOTEXT struct nova_text line = {0};
	const char *name;
	const json_t *list = list_of(document, &name), *entry;
	size_t i;

	fputs("name,library,self,self_share,self_low,self_high,total,total_share,total_low,total_"
	      "high,"
	      "before,before_share,before_low,before_high,change,p,changed\r\n",
	      out);
	json_array_foreach((json_t *)list, i, entry)
	{
		judged_csv(&line, json_object_get(entry, "name"));
		judged_csv(&line, json_object_get(entry, "library"));
		add_csv_share(&line, json_object_get(entry, "self"));
		add_csv_share(&line, json_object_get(entry, "total"));
		add_csv_share(&line, json_object_get(json_object_get(entry, "before"), "self"));
		judged_csv(&line, json_object_get(entry, "change"));
		judged_csv(&line, json_object_get(entry, "p"));
		judged_csv(&line, json_object_get(entry, "changed"));
		judged_csv_end(&line, out);
	}
}

int nova_report_hotspots(const json_t *document, const char *format, FILE *out,
                         struct nova_error *error)
{
	static const struct judged_writers writers = {write_table, write_csv};

	return judged_write(document, format, &writers, out, error);
}
