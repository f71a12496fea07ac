/* SPDX-License-Identifier: MIT */
/* A comparison (novacore.comparison/1) as table and CSV. */
#include "core/report/columns.h"

#include <string.h>

static const char *const verdicts[] = {"regressed", "improved", "same", "inconclusive",
                                       "not comparable"};

static void print_contestant(const json_t *comparison, const char *which, FILE *out)
{
	const json_t *one = json_object_get(comparison, which);
	const json_t *runs = json_object_get(one, "runs");
	size_t count = json_array_size(runs);
	const json_t *first = json_array_get(runs, 0), *last = json_array_get(runs, count - 1);
	bool own = !strcmp(nova_json_text(one, "name"), nova_json_text(first, "id"));

	if (count == 1)
		judged_line(out, 2, "%s: %s%srun %s of %s, %s", which,
		            own ? "" : nova_json_text(one, "name"), own ? "" : ", ",
		            nova_json_text(first, "id"), nova_json_text(first, "started"),
		            nova_json_text(first, "state"));
	else
		judged_line(out, 2, "%s: %s, %zu runs from %s to %s", which,
		            nova_json_text(one, "name"), count, nova_json_text(first, "started"),
		            nova_json_text(last, "started"));
}

static void print_differences(const json_t *comparison, const char *which, const char *heading,
                              FILE *out)
{
	const json_t *differs = json_object_get(json_object_get(comparison, which), "differs");
	size_t i;
	json_t *one;

	json_array_foreach(differs, i, one)
	{
		NOVA_AUTOFREE char *a = nova_json_canonical(json_object_get(one, "a"));
		NOVA_AUTOFREE char *b = nova_json_canonical(json_object_get(one, "b"));

		if (i == 0)
			judged_line(out, 2, "%s", heading);
		judged_line(out, 4, "%s: %s in a, %s in b", nova_json_text(one, "fact"), a, b);
	}
}

static void add_row(struct columns *columns, const json_t *row)
{
	const json_t *a = json_object_get(row, "a"), *b = json_object_get(row, "b");
	const char *unit = nova_json_text(row, "unit");
	NOVA_AUTOFREE char *interval = judged_interval(json_object_get(row, "interval"));
	NOVA_AUTOFREE char *n =
	        nova_format("%lld, %lld", nova_report_integer(a, "n"), nova_report_integer(b, "n"));
	char text[32];

	columns_add(columns, nova_json_text(row, "metric"));
	columns_add(columns, nova_json_text(row, "side"));
	judged_value(json_object_get(a, "value"), unit, text);
	columns_add(columns, text);
	judged_value(json_object_get(b, "value"), unit, text);
	columns_add(columns, text);
	columns_add(columns, n);
	judged_percent(json_object_get(row, "shift"), text);
	columns_add(columns, text);
	columns_add(columns, interval);
	judged_p(json_object_get(row, "p"), text);
	columns_add(columns, text);
	judged_p(json_object_get(row, "p_adjusted"), text);
	columns_add(columns, text);
	snprintf(text, sizeof(text), "%.3g %%", 100 * nova_report_number(row, "minimum_effect"));
	columns_add(columns, text);
	columns_add(columns, nova_json_text(row, "verdict"));
}

/* The rows of one step, which stand together, with their reasons below. Returns the next row. */
static size_t print_step(const json_t *rows, size_t from, FILE *out)
{
	static const char *const head[] = {"metric",   "side",   "a",        "b",
	                                   "n",        "shift",  "interval", "p",
	                                   "adjusted", "effect", "verdict"};
	struct columns columns = {.columns = NOVA_COUNT(head), .right = 0x3ac};
	NOVA_AUTOFREE char *label = judged_label(json_array_get(rows, from));
	size_t to = from;

	for (size_t i = 0; i < NOVA_COUNT(head); i++)
		columns_add(&columns, head[i]);
	for (; to < json_array_size(rows); to++) {
		NOVA_AUTOFREE char *other = judged_label(json_array_get(rows, to));

		if (strcmp(label, other) != 0)
			break;
		add_row(&columns, json_array_get(rows, to));
	}
	fputc('\n', out);
	judged_line(out, 0, "%s", label);
	columns_print(&columns, out);
	for (size_t i = from; i < to; i++) {
		const json_t *row = json_array_get(rows, i);
		const char *why = nova_report_text(row, "why"), *side = nova_json_text(row, "side");

		if (why)
			judged_line(out, 2, "%s%s%s%s: %s", nova_json_text(row, "metric"),
			            strcmp(side, "vm") ? " (" : "", strcmp(side, "vm") ? side : "",
			            strcmp(side, "vm") ? ")" : "", why);
	}
	return to;
}

static void print_summary(const json_t *comparison, FILE *out)
{
	const json_t *rows = json_object_get(comparison, "metrics");
	NOVA_AUTOTEXT struct nova_text text = {0};
	size_t i;
	json_t *row;

	for (size_t v = 0; v < NOVA_COUNT(verdicts); v++) {
		unsigned count = 0;

		json_array_foreach(rows, i, row) count +=
		        !strcmp(nova_json_text(row, "verdict"), verdicts[v]);
		if (count)
			nova_text_addf(&text, "%s%u %s", text.length ? ", " : "", count,
			               verdicts[v]);
	}
	judged_line(out, 0, "%s",
	            text.length ? nova_text_get(&text) : "Nothing stands in both of them");
}

static void print_unmatched(const json_t *comparison, FILE *out)
{
	size_t i;
	json_t *one;

	json_array_foreach(json_object_get(comparison, "unmatched"), i, one)
	{
		NOVA_AUTOFREE char *label = judged_label(one);

		judged_line(out, 2, "only in %s: %s (%s) of %s", nova_json_text(one, "only"),
		            nova_json_text(one, "metric"), nova_json_text(one, "side"), label);
	}
}

/* --- what a fresh A/B saw (--confirm) -------------------------------------------------------- */

static const char *outcome_of(const json_t *seen)
{
	const json_t *confirmed = json_object_get(seen, "confirmed");
	bool open = !strcmp(nova_json_text(seen, "verdict"), "inconclusive");

	if (strcmp(nova_json_text(seen, "state"), "complete") != 0)
		return "it did not get to its end";
	if (json_is_null(confirmed))
		return open ? "not decided" : "decided";
	return json_is_true(confirmed) ? "confirmed" : "not confirmed";
}

static void print_settings(const json_t *ab, const char *which, FILE *out)
{
	NOVA_AUTOTEXT struct nova_text text = {0};
	size_t i;
	json_t *one;

	json_array_foreach(json_object_get(ab, which), i, one)
	        nova_text_addf(&text, "%s%s", i ? ", " : "", json_string_value(one));
	if (text.length)
		judged_line(out, 4, "only %s has %s", which, nova_text_get(&text));
}

static void print_then_and_now(const json_t *facts, const char *of, FILE *out)
{
	size_t i;
	json_t *one;

	json_array_foreach(facts, i, one)
	{
		NOVA_AUTOFREE char *then = nova_json_canonical(json_object_get(one, "then"));
		NOVA_AUTOFREE char *now = nova_json_canonical(json_object_get(one, "now"));

		judged_line(out, 4, "%s: %s%s, now %s", nova_json_text(one, "fact"),
		            json_object_get(one, "then") ? then : "none", of,
		            json_object_get(one, "now") ? now : "none");
	}
}

static void print_confirmation(const json_t *seen, FILE *out)
{
	const json_t *ab = json_object_get(seen, "ab"),
	             *lost = json_object_get(seen, "not_restored");
	const json_t *of_a = json_object_get(lost, "a"), *of_b = json_object_get(lost, "b");
	NOVA_AUTOFREE char *label = judged_label(seen);

	if (!json_is_object(seen))
		return;
	fputc('\n', out);
	judged_line(out, 0, "A fresh A/B of %s (%s), run %s: %s", nova_json_text(seen, "metric"),
	            label, nova_json_text(seen, "run"), outcome_of(seen));
	judged_line(out, 2, "%s", nova_json_text(ab, "says"));
	if (!strcmp(nova_json_text(seen, "stopped"), "budget"))
		judged_line(out, 2, "it stopped because run.budget was spent; --full goes on");
	if (json_is_true(json_object_get(seen, "alike")))
		judged_line(out, 2,
		            "a and b have the same settings: it compares the same with itself, and "
		            "what else differed between the runs is not in it");
	print_settings(ab, "a", out);
	print_settings(ab, "b", out);
	if (json_array_size(json_object_get(seen, "where")))
		judged_line(out, 2, "FORCED: other circumstances than those of the runs");
	print_then_and_now(json_object_get(seen, "where"), " then", out);
	if (json_array_size(of_a) || json_array_size(of_b))
		judged_line(out, 2, "not restored: both sides ran with what is here now");
	print_then_and_now(of_a, " in a", out);
	print_then_and_now(of_b, " in b", out);
}

static void write_table(const json_t *comparison, FILE *out)
{
	const json_t *rows = json_object_get(comparison, "metrics");
	size_t count = json_array_size(rows), i;
	json_t *note;

	judged_line(out, 0, "How b differs from a");
	print_contestant(comparison, "a", out);
	print_contestant(comparison, "b", out);
	print_differences(
	        comparison, "where",
	        "FORCED: measured under different circumstances, so that a difference says "
	        "nothing of what is compared",
	        out);
	print_differences(comparison, "what", "what differs:", out);
	json_array_foreach(json_object_get(comparison, "notes"), i, note)
	        judged_line(out, 2, "%s", json_string_value(note));
	for (size_t at = 0; at < count;)
		at = print_step(rows, at, out);
	fputc('\n', out);
	print_summary(comparison, out);
	print_unmatched(comparison, out);
	print_confirmation(json_object_get(comparison, "confirmation"), out);
}

static void write_csv(const json_t *comparison, FILE *out)
{
	static const char *const plain[] = {"benchmark", "params", "targets", "metric",
	                                    "side",      "unit",   "better",  "revision"};
	static const char *const numbers[] = {"n", "lost", "runs", "value"};
	static const char *const judged[] = {"level",          "p",       "p_adjusted",
	                                     "minimum_effect", "verdict", "why"};
	NOVA_AUTOTEXT struct nova_text line = {0};
	size_t i;
	json_t *row;

	fputs("benchmark,params,targets,metric,side,unit,better,revision,n_a,lost_a,runs_a,value_a,"
	      "n_b,lost_b,runs_b,value_b,shift,low,high,level,p,p_adjusted,minimum_effect,verdict,"
	      "why\r\n",
	      out);
	json_array_foreach(json_object_get(comparison, "metrics"), i, row)
	{
		const json_t *interval = json_object_get(row, "interval");

		for (size_t k = 0; k < NOVA_COUNT(plain); k++)
			judged_csv(&line, json_object_get(row, plain[k]));
		for (size_t k = 0; k < NOVA_COUNT(numbers); k++)
			judged_csv(&line, json_object_get(json_object_get(row, "a"), numbers[k]));
		for (size_t k = 0; k < NOVA_COUNT(numbers); k++)
			judged_csv(&line, json_object_get(json_object_get(row, "b"), numbers[k]));
		judged_csv(&line, json_object_get(row, "shift"));
		judged_csv(&line, json_array_get(interval, 0));
		judged_csv(&line, json_array_get(interval, 1));
		for (size_t k = 0; k < NOVA_COUNT(judged); k++)
			judged_csv(&line, json_object_get(row, judged[k]));
		judged_csv_end(&line, out);
	}
}

int nova_report_comparison(const json_t *comparison, const char *format, FILE *out,
                           struct nova_error *error)
{
	static const struct judged_writers writers = {write_table, write_csv};

	return judged_write(comparison, format, &writers, out, error);
}
