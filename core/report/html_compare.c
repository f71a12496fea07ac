/* SPDX-License-Identifier: MIT */
/* Comparisons of a step as a forest plot in a table, and metrics over earlier runs. */
#include "core/report/html.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_HISTORIES 24

/* --- comparisons ----------------------------------------------------------------------------- */

/* "≤ 3 %": a limit is exact. */
static void format_limit(double value, bool overhead, char out[32])
{
	snprintf(out, 32, overhead ? "%.6g %%" : "× %.6g", overhead ? 100 * value : value);
}

/* Per cent of an overhead, a ratio as "× 1.02". */
static void format_effect(double value, bool overhead, char out[32])
{
	if (overhead)
		snprintf(out, 32, "%+.*f %%", fabs(value) < 0.1 ? 2 : 1, 100 * value);
	else
		snprintf(out, 32, "× %.4g", value);
}

static void add_effect(struct nova_text *out, const json_t *number, bool overhead)
{
	char digits[32], text[32];

	if (!json_is_number(number)) {
		nova_text_add(out, "none");
		return;
	}
	nova_report_digits(number, digits);
	format_effect(json_number_value(number), overhead, text);
	nova_text_addf(out, "<data value=\"%s\">%s</data>", digits, text);
}

static bool is_overhead(const json_t *one)
{
	return strcmp(nova_json_text(one, "of"), "overhead") == 0;
}

void nova_html_effect(struct nova_text *out, const json_t *one)
{
	const json_t *interval = json_object_get(one, "interval");
	const json_t *goal = json_object_get(one, "goal");
	bool overhead = is_overhead(one);
	char limit[32];

	add_effect(out, json_object_get(one, "value"), overhead);
	if (json_is_array(interval)) {
		nova_text_add(out, " [");
		add_effect(out, json_array_get(interval, 0), overhead);
		nova_text_add(out, ", ");
		add_effect(out, json_array_get(interval, 1), overhead);
		nova_text_add(out, "]");
	}
	if (json_is_number(json_object_get(goal, "pass"))) {
		format_limit(nova_report_number(goal, "pass"), overhead, limit);
		nova_text_addf(out, "; goal %s %s",
		               strcmp(nova_json_text(one, "better"), "higher") ? "≤" : "≥", limit);
	}
}

static size_t effect_numbers(const json_t *one, double values[5])
{
	const json_t *interval = json_object_get(one, "interval");
	const json_t *goal = json_object_get(one, "goal");
	const json_t *all[] = {json_object_get(one, "value"), json_array_get(interval, 0),
	                       json_array_get(interval, 1), json_object_get(goal, "pass"),
	                       json_object_get(goal, "acceptable")};
	size_t count = 0;

	for (size_t i = 0; i < NOVA_COUNT(all); i++)
		if (json_is_number(all[i]))
			values[count++] = json_number_value(all[i]);
	return count;
}

/* One scale for all comparisons of a kind, with "no difference" in it: their rows line up. */
static struct nova_scale common_scale(const json_t *all, bool overhead)
{
	NOVA_AUTOFREE double *values = nova_alloc((5 * json_array_size(all) + 2) * sizeof(*values));
	double neutral = overhead ? 0 : 1;
	size_t count = 1, i;
	json_t *one;

	values[0] = neutral;
	json_array_foreach(all, i, one)
	{
		if (is_overhead(one) == overhead)
			count += effect_numbers(one, values + count);
	}
	struct nova_scale scale = nova_scale_of(values, count, overhead ? 0 : 4, 6, 234);
	return scale;
}

static void draw_effect(struct nova_html *html, const json_t *one, const struct nova_scale *x)
{
	const json_t *interval = json_object_get(one, "interval");
	const json_t *goal = json_object_get(one, "goal");
	struct nova_text *out = &html->out;
	bool overhead = is_overhead(one);
	char value[32], low[32] = "", high[32] = "";

	if (!json_is_number(json_object_get(one, "value")))
		return;
	format_effect(nova_report_number(one, "value"), overhead, value);
	format_effect(json_number_value(json_array_get(interval, 0)), overhead, low);
	format_effect(json_number_value(json_array_get(interval, 1)), overhead, high);
	nova_text_add(out,
	              "<svg class=\"forest\" role=\"img\" viewBox=\"0 0 240 26\" aria-label=\"");
	nova_html_textf(out, "%s%s%s%s%s%s", value, json_is_array(interval) ? ", interval " : "",
	                json_is_array(interval) ? low : "", json_is_array(interval) ? " to " : "",
	                json_is_array(interval) ? high : ", no interval",
	                x->log ? ", logarithmic" : "");
	nova_text_addf(out,
	               "\"><path class=\"axis\" d=\"M0 13H240\"/><path class=\"neutral\" "
	               "d=\"M%.1f 0V26\"/>",
	               nova_scale_at(x, overhead ? 0 : 1));
	for (size_t i = 0; i < 2; i++) {
		const json_t *limit = json_object_get(goal, i ? "acceptable" : "pass");

		if (json_is_number(limit))
			nova_text_addf(out, "<path class=\"goal%s\" d=\"M%.1f 1V25\"/>",
			               i ? " second" : "",
			               nova_scale_at(x, json_number_value(limit)));
	}
	if (json_is_array(interval))
		nova_text_addf(out, "<path class=\"whisker\" d=\"M%.1f 8v10m0-5H%.1fm0-5v10\"/>",
		               nova_scale_at(x, json_number_value(json_array_get(interval, 0))),
		               nova_scale_at(x, json_number_value(json_array_get(interval, 1))));
	nova_text_addf(out,
	               "<rect class=\"dot\" x=\"%.1f\" y=\"9\" width=\"8\" height=\"8\"/></svg>",
	               nova_scale_at(x, nova_report_number(one, "value")) - 4);
}

static void add_interval(struct nova_text *out, const json_t *one)
{
	const json_t *interval = json_object_get(one, "interval");

	nova_text_add(out, "<td class=\"number\"><b>");
	add_effect(out, json_object_get(one, "value"), is_overhead(one));
	nova_text_add(out, "</b><small>");
	if (json_is_array(interval)) {
		add_effect(out, json_array_get(interval, 0), is_overhead(one));
		nova_text_add(out, " … ");
		add_effect(out, json_array_get(interval, 1), is_overhead(one));
	} else {
		nova_html_text(out, nova_json_text(one, "interval_why"));
	}
	nova_text_add(out, "</small></td>");
}

static void add_comparison(struct nova_html *html, const json_t *one,
                           const struct nova_scale scales[2])
{
	struct nova_text *out = &html->out;
	const json_t *goal = json_object_get(one, "goal");
	const json_t *p = json_object_get(one, "p");
	bool overhead = is_overhead(one);
	char text[32];

	nova_text_add(out, "<tr><th scope=\"row\"><code>");
	nova_html_text(out, nova_json_text(one, "name"));
	nova_text_add(out, "</code><small>");
	nova_html_textf(out, "%s against %s; %s", nova_json_text(one, "b"),
	                nova_json_text(one, "a"), nova_json_text(one, "method"));
	nova_text_add(out, "</small></th>");
	add_interval(out, one);
	nova_text_add(out, "<td>");
	draw_effect(html, one, &scales[overhead]);
	nova_text_addf(out, "</td><td class=\"number\">%lld</td><td class=\"number\">",
	               nova_report_integer(one, "n"));
	if (json_is_number(p))
		nova_text_addf(out, "%.2g", json_number_value(p));
	else
		nova_text_add(out, "–");
	nova_text_add(out, "</td><td class=\"number\">");
	if (json_is_number(json_object_get(goal, "pass"))) {
		format_limit(nova_report_number(goal, "pass"), overhead, text);
		nova_html_textf(out, "%s %s",
		                strcmp(nova_json_text(one, "better"), "higher") ? "≤" : "≥", text);
	} else {
		nova_text_add(out, "none");
	}
	nova_text_add(out, "</td><td>");
	nova_html_verdict(out, nova_json_text(one, "verdict"));
	nova_html_element(out, "small", NULL, nova_json_text(one, "verdict_why"));
	nova_text_add(out, "</td></tr>\n");
}

void nova_html_comparisons(struct nova_html *html, const json_t *step)
{
	static const char *const heads[] = {"comparison", "difference", "interval", "n",
	                                    "p",          "goal",       "verdict"};
	json_t *all = json_object_get(step, "comparisons"), *one;
	struct nova_text *out = &html->out;
	size_t i;

	if (!json_array_size(all))
		return;
	struct nova_scale scales[2] = {common_scale(all, false), common_scale(all, true)};
	nova_text_add(out,
	              "<h4>Comparisons</h4>\n<p class=\"hint\">An overhead is what is lost "
	              "against the other side, a ratio how many times as much it is. The thick "
	              "line stands where there is no difference; an interval that does not touch "
	              "it is one.</p>\n<div class=\"scroll\" tabindex=\"0\" role=\"group\" "
	              "aria-label=\"Comparisons\"><table class=\"comparisons\"><caption "
	              "class=\"quiet\">Comparisons of sides</caption><thead><tr>");
	for (i = 0; i < NOVA_COUNT(heads); i++)
		nova_html_element(out, "th",
		                  i == 1 || (i > 2 && i < 6) ? "scope=\"col\" class=\"number\""
		                                             : "scope=\"col\"",
		                  heads[i]);
	nova_text_add(out, "</tr></thead><tbody>\n");
	json_array_foreach(all, i, one) add_comparison(html, one, scales);
	nova_text_add(out, "</tbody></table></div>\n");
}

/* --- history --------------------------------------------------------------------------------- */

static void draw_points(struct nova_text *out, const double *values, size_t count,
                        const struct nova_scale *x, const struct nova_scale *y)
{
	nova_text_add(out, "<path class=\"link\" d=\"");
	for (size_t i = 0; i < count; i++)
		nova_text_addf(out, "%c%.1f %.1f", i ? 'L' : 'M', nova_scale_at(x, (double)i),
		               nova_scale_at(y, values[i]));
	nova_text_add(out, "\"/>");
	for (size_t i = 0; i < count; i++)
		nova_text_addf(out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%s\"/>",
		               i + 1 == count ? "dot" : "ring", nova_scale_at(x, (double)i),
		               nova_scale_at(y, values[i]), i + 1 == count ? "4.5" : "2.5");
}

/* The change points, drawn and as sentences; the days are those of the runs. */
static void add_changes(struct nova_text *out, struct nova_text *said, const json_t *series,
                        const struct nova_scale *x, const struct nova_scale *y, uint32_t unit)
{
	const json_t *points = json_object_get(series, "points");
	size_t i;
	json_t *change;

	json_array_foreach(json_object_get(series, "changes"), i, change)
	{
		size_t index = (size_t)nova_report_integer(change, "index");
		double at = nova_scale_at(x, (double)index - 0.5),
		       p = nova_report_number(change, "p");
		char before[32], after[32];

		nova_value_format(nova_report_number(change, "before"), unit, before);
		nova_value_format(nova_report_number(change, "after"), unit, after);
		nova_text_addf(out, "<path class=\"change\" d=\"M%.1f %.1fV%.1f\"/>", at, y->to - 6,
		               y->from);
		nova_text_addf(
		        said, " Changed at %s (point %zu): %s before, %s after (%+.1f %%), p %.2g.",
		        nova_json_text(json_array_get(points, index), "started"), index + 1, before,
		        after, 100 * nova_report_number(change, "shift"), p);
	}
}

static void draw_history(struct nova_html *html, const json_t *series)
{
	const json_t *points = json_object_get(series, "points");
	size_t count = json_array_size(points), i;
	NOVA_AUTOFREE double *values = nova_alloc((count + 1) * sizeof(*values));
	uint32_t unit = nova_report_unit(nova_json_text(series, "unit"));
	double span[2] = {0, (double)(count - 1)};
	struct nova_scale x = nova_scale_of(span, 2, 0, 74, 930), y;
	NOVA_AUTOTEXT struct nova_text said = {0}, marks = {0};
	char last[32];

	for (i = 0; i < count; i++)
		values[i] = nova_report_number(json_array_get(points, i), "value");
	y = nova_scale_of(values, count, 0, 140, 34);
	nova_value_format(values[count - 1], unit, last);
	NOVA_AUTOFREE char *title = nova_format("%s, %s", nova_json_text(series, "metric"),
	                                        nova_json_text(series, "side"));
	nova_text_addf(&said, "%zu runs from %.10s to %.10s; this one %s.", count,
	               nova_json_text(json_array_get(points, 0), "started"),
	               nova_json_text(json_array_get(points, count - 1), "started"), last);
	add_changes(&marks, &said, series, &x, &y, unit);
	if (nova_json_text(series, "changes_why")[0])
		nova_text_addf(&said, " %s.", nova_json_text(series, "changes_why"));
	nova_plot_begin(&html->out, html->figures++, 960, 166, true, title, nova_text_get(&said));
	nova_text_add(&html->out, "<text class=\"title\" x=\"0\" y=\"12\">");
	nova_html_text(&html->out, title);
	nova_text_add(&html->out, "</text>");
	nova_plot_axis_y(&html->out, &y, x.from - 8, x.to, unit);
	nova_text_add(&html->out, nova_text_get(&marks));
	draw_points(&html->out, values, count, &x, &y);
	for (i = 0; i < 2; i++) {
		const json_t *point = json_array_get(points, i ? count - 1 : 0);

		nova_text_addf(&html->out, "<text x=\"%.1f\" y=\"160\" text-anchor=\"%s\">",
		               i ? x.to : x.from, i ? "end" : "start");
		nova_html_textf(&html->out, "%.10s", nova_json_text(point, "started"));
		nova_text_add(&html->out, "</text>");
	}
	nova_plot_end(&html->out, true, nova_text_get(&said));
}

void nova_html_history(struct nova_html *html)
{
	const json_t *all = html->options->history;
	size_t i, drawn = 0;
	json_t *series;

	json_array_foreach(all, i, series)
	{
		if (json_array_size(json_object_get(series, "points")) < 2 ||
		    drawn == MOST_HISTORIES)
			continue;
		if (!drawn++)
			nova_text_add(
			        &html->out,
			        "<section id=\"history\" aria-labelledby=\"h-history\"><h2 "
			        "id=\"h-history\">History</h2>\n<p class=\"hint\">Medians of "
			        "the fresh VMs of earlier runs of the same step in the same place "
			        "(<i>where</i>) that this machine has stored, oldest first; this "
			        "run is the full disc. A dashed line is a change of level that is "
			        "more than "
			        "noise.</p>\n");
		draw_history(html, series);
	}
	if (drawn)
		nova_text_add(&html->out, "</section>\n");
}
