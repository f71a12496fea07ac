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

/* "42.1 % (39.9 … 44.3)" */
static char *share_of(const json_t *one)
{
	const json_t *interval = json_object_get(one, "interval");
	double share = json_number_value(json_object_get(one, "share")) * 100;

	if (!json_is_array(interval))
		return nova_format("%.1f %%", share);
	return nova_format("%.1f %% (%.1f … %.1f)", share,
	                   json_number_value(json_array_get(interval, 0)) * 100,
	                   json_number_value(json_array_get(interval, 1)) * 100);
}

static void add_share(struct columns *columns, const json_t *one)
{
	NOVA_AUTOFREE char *text = share_of(one);

	columns_add(columns, text);
}

/* Points of percent, not percent of what was there. */
static void add_change(struct columns *columns, const json_t *entry)
{
	const json_t *changed = json_object_get(entry, "changed");
	NOVA_AUTOFREE char *text =
	        nova_format("%+.1f pt", json_number_value(json_object_get(entry, "change")) * 100);
	char p[32];

	judged_p(json_object_get(entry, "p"), p);
	add_share(columns, json_object_get(json_object_get(entry, "before"), "self"));
	columns_add(columns, text);
	columns_add(columns, p);
	columns_add(columns, json_is_true(changed)    ? "changed"
	                     : json_is_false(changed) ? "noise"
	                                              : "-");
}

static void write_table(const json_t *document, FILE *out)
{
	const json_t *value = json_object_get(document, "value");
	long long samples = nova_report_integer(document, "samples"),
	          lost = nova_report_integer(document, "lost");
	bool compared = json_is_object(json_object_get(document, "before"));
	const char *name;
	const json_t *list = list_of(document, &name), *entry;
	bool library = strcmp(name, "functions") == 0;
	struct columns columns = {.columns = 3u + library + (compared ? 4u : 0u)};
	size_t i;

	judged_line(out, 0, "%s (%s): %lld samples, %lld lost; %s with %.3g %% or more in total",
	            nova_json_text(value, "type"), nova_json_text(value, "unit"), samples, lost,
	            name, json_number_value(json_object_get(document, "threshold")) * 100);
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
		add_share(&columns, json_object_get(entry, "self"));
		add_share(&columns, json_object_get(entry, "total"));
		if (compared)
			add_change(&columns, entry);
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
