/* SPDX-License-Identifier: MIT */
/* A step of the HTML report: what it was, its metrics, remarks, figures, what failed. */
#include "core/report/html.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MOST_FAILURES 40 /* different ones that are told */

/* --- what it was ----------------------------------------------------------------------------- */

static void add_params(struct nova_text *out, const json_t *step)
{
	json_t *params = json_object_get(step, "params"), *value;
	const char *key;

	if (!json_object_size(params))
		return;
	nova_text_add(out, "<ul class=\"params\" aria-label=\"Parameters\">");
	json_object_foreach(params, key, value)
	{
		NOVA_AUTOTEXT struct nova_text text = {0};

		nova_html_element(out, "li", NULL, key);
		out->length -= strlen("</li>");
		nova_text_add(out, " <b>");
		nova_report_param(&text, step, key, value);
		nova_html_text(out, nova_text_get(&text));
		nova_text_add(out, "</b></li>");
	}
	nova_text_add(out, "</ul>\n");
}

static const char *why_stopped(const json_t *step)
{
	static const struct {
		const char *name, *text;
	} all[] = {{"samples", "It ended with the samples that were planned."},
	           {"precision", "It ended early: the intervals were narrow enough."},
	           {"budget", "It ended early: the run's budget of time was used up."}};
	const char *stopped = nova_report_text(step, "stopped");

	for (size_t i = 0; stopped && i < NOVA_COUNT(all); i++)
		if (!strcmp(all[i].name, stopped))
			return all[i].text;
	return "";
}

static void add_head(struct nova_html *html, const json_t *step)
{
	NOVA_AUTOFREE char *title = nova_report_step_title(html->result, step);
	const json_t *counts = json_object_get(step, "counts");
	const char *state = nova_report_text(step, "state"), *why = nova_report_text(step, "why");
	struct nova_text *out = &html->out;
	long long index = nova_report_integer(step, "index");

	nova_text_addf(out,
	               "<section class=\"step\" id=\"step-%lld\" aria-labelledby=\"h-%lld\">"
	               "<h3 id=\"h-%lld\"><span class=\"ordinal\">Step %lld</span> ",
	               index, index, index, index + 1);
	nova_html_text(out, title);
	nova_text_add(out, "</h3>\n");
	if (nova_report_is_control_plane(step))
		nova_text_add(out,
		              "<p class=\"label\"><b>Control-plane test.</b> The guests are stubs "
		              "of a few bytes that run no operating system: this measures the "
		              "hypervisor's management, not how fast VMs boot.</p>\n");
	add_params(out, step);
	nova_text_add(out, "<p class=\"facts\">");
	nova_html_textf(
	        out, "%s%s%s. %lld of %lld attempts succeeded, %lld failed, %lld timed out. %s",
	        state, why ? ": " : "", why ? why : "", nova_report_integer(counts, "succeeded"),
	        nova_report_integer(counts, "attempted"), nova_report_integer(counts, "failed"),
	        nova_report_integer(counts, "timed_out"), why_stopped(step));
	nova_text_add(out, "</p>\n");
}

/* --- the interval as a picture --------------------------------------------------------------- */

static size_t numbers_of(const json_t *metric, double *values)
{
	const json_t *interval = json_object_get(metric, "interval");
	const json_t *goal = json_object_get(metric, "goal");
	const json_t *all[] = {json_object_get(metric, "value"),
	                       json_object_get(goal, "pass"),
	                       json_object_get(goal, "acceptable"),
	                       json_array_get(interval, 0),
	                       json_array_get(interval, 1),
	                       json_is_array(interval) ? NULL : json_object_get(metric, "min"),
	                       json_is_array(interval) ? NULL : json_object_get(metric, "max")};
	size_t count = 0;

	for (size_t i = 0; i < NOVA_COUNT(all); i++)
		if (json_is_number(all[i]))
			values[count++] = json_number_value(all[i]);
	/* Without a goal the interval stands against zero: its length says how sure it is. */
	if (!json_is_object(goal))
		values[count++] = 0;
	return count;
}

/* The goal's side that passes is hatched; the limit itself a line, dashed for "acceptable". */
static void draw_limits(struct nova_text *out, const json_t *metric, const struct nova_scale *x)
{
	const json_t *goal = json_object_get(metric, "goal");
	bool lower = !strcmp(nova_report_text(metric, "better"), "lower");

	if (!json_is_object(goal))
		return;
	double pass = nova_scale_at(x, nova_report_number(goal, "pass"));
	double edge = lower ? 0 : 160;

	nova_text_addf(out,
	               "<rect class=\"good\" x=\"%.1f\" y=\"3\" width=\"%.1f\" height=\"20\"/>",
	               lower ? edge : pass, lower ? pass - edge : edge - pass);
	nova_text_addf(out, "<path class=\"goal\" d=\"M%.1f 1V25\"/>", pass);
	if (json_is_number(json_object_get(goal, "acceptable")))
		nova_text_addf(out, "<path class=\"goal second\" d=\"M%.1f 1V25\"/>",
		               nova_scale_at(x, nova_report_number(goal, "acceptable")));
}

void nova_html_interval(struct nova_html *html, const json_t *metric)
{
	const json_t *interval = json_object_get(metric, "interval");
	NOVA_AUTOFREE char *goal = nova_report_goal(metric);
	NOVA_AUTOFREE char *value = nova_report_value(metric);
	struct nova_text *out = &html->out;
	double values[8];
	size_t count = numbers_of(metric, values);

	if (!json_is_number(json_object_get(metric, "value")))
		return;
	struct nova_scale x = nova_scale_of(values, count, 20, 6, 154);
	double low = json_is_array(interval) ? json_number_value(json_array_get(interval, 0))
	                                     : nova_report_number(metric, "min");
	double high = json_is_array(interval) ? json_number_value(json_array_get(interval, 1))
	                                      : nova_report_number(metric, "max");

	nova_text_add(out,
	              "<svg class=\"spark\" role=\"img\" viewBox=\"0 0 160 26\" aria-label=\"");
	nova_html_textf(out, "median %s%s%s%s", value, goal ? ", goal " : "", goal ? goal : "",
	                x.log ? ", logarithmic" : "");
	nova_text_add(out, "\">");
	draw_limits(out, metric, &x);
	nova_text_addf(out,
	               "<path class=\"axis\" d=\"M0 13H160\"/>"
	               "<path class=\"whisker%s\" d=\"M%.1f 8v10m0-5H%.1fm0-5v10\"/>"
	               "<circle class=\"dot\" cx=\"%.1f\" cy=\"13\" r=\"4\"/></svg>",
	               json_is_array(interval) ? "" : " weak", nova_scale_at(&x, low),
	               nova_scale_at(&x, high),
	               nova_scale_at(&x, nova_report_number(metric, "value")));
}

/* --- metrics --------------------------------------------------------------------------------- */

static void add_name(struct nova_text *out, const json_t *step, const json_t *metric)
{
	const char *side = nova_report_text(metric, "side");

	nova_text_add(out, "<th scope=\"row\" role=\"rowheader\"><code>");
	nova_html_text(out, nova_html_short_name(step, metric));
	nova_text_add(out, "</code>");
	if (strcmp(side, "vm") != 0)
		nova_text_addf(out, " <span class=\"side\">%s</span>", side);
	nova_html_element(out, "small", NULL, nova_report_text(metric, "doc"));
	nova_text_add(out, "</th>");
}

static void add_estimate(struct nova_text *out, const json_t *metric, uint32_t unit)
{
	const json_t *interval = json_object_get(metric, "interval");
	bool known = json_is_number(json_object_get(metric, "value"));

	nova_text_add(out, "<td role=\"cell\" class=\"number\" data-label=\"median\"><b>");
	nova_html_value(out, json_object_get(metric, "value"), unit);
	nova_text_add(out, "</b><small>");
	if (json_is_array(interval)) {
		nova_html_value(out, json_array_get(interval, 0), unit);
		nova_text_add(out, " … ");
		nova_html_value(out, json_array_get(interval, 1), unit);
	} else if (known) {
		nova_html_element(out, "span", "class=\"why\"",
		                  nova_report_text(metric, "interval_why"));
		nova_text_add(out, ": ");
		nova_html_value(out, json_object_get(metric, "min"), unit);
		nova_text_add(out, " … ");
		nova_html_value(out, json_object_get(metric, "max"), unit);
	}
	nova_text_add(out, "</small></td>");
}

static void add_counts(struct nova_text *out, const json_t *metric)
{
	const json_t *counts = json_object_get(metric, "counts");
	long long failed = nova_report_integer(counts, "failed");
	long long timed_out = nova_report_integer(counts, "timed_out");

	nova_text_addf(
	        out, "<td role=\"cell\" class=\"number few\" data-label=\"n\">%lld of %lld<small>",
	        nova_report_integer(metric, "n"), nova_report_integer(counts, "attempted"));
	if (failed)
		nova_text_addf(out, "%lld failed%s", failed, timed_out ? ", " : "");
	if (timed_out)
		nova_text_addf(out, "%lld timed out", timed_out);
	nova_text_add(out, "</small></td>");
}

static void add_tail(struct nova_text *out, const json_t *metric, uint32_t unit)
{
	static const char *const names[] = {"p95", "p99"};

	nova_text_add(out, "<td role=\"cell\" class=\"number\" data-label=\"p95, p99\">");
	for (size_t i = 0; i < NOVA_COUNT(names); i++) {
		const json_t *one = json_object_get(metric, names[i]);

		nova_text_addf(out, "<span class=\"tail\"><small>%s</small> ", names[i]);
		if (json_is_number(json_object_get(one, "value")))
			nova_html_value(out, json_object_get(one, "value"), unit);
		else
			nova_html_element(out, "small", "class=\"why\"",
			                  nova_report_text(one, "why"));
		nova_text_add(out, "</span>");
	}
	nova_text_add(out, "</td>");
}

static void add_limit(struct nova_text *out, const json_t *limit, bool lower, uint32_t unit)
{
	char digits[32], value[32];

	nova_report_digits(limit, digits);
	nova_report_limit(json_number_value(limit), unit, value);
	nova_text_addf(out, "%s <data value=\"%s\">", lower ? "≤" : "≥", digits);
	nova_html_text(out, value);
	nova_text_add(out, "</data>");
}

static void add_goal(struct nova_text *out, const json_t *metric, uint32_t unit)
{
	const json_t *goal = json_object_get(metric, "goal");
	const json_t *acceptable = json_object_get(goal, "acceptable");
	bool lower = !strcmp(nova_report_text(metric, "better"), "lower");

	nova_text_add(out, "<td role=\"cell\" class=\"limit\" data-label=\"goal\"><span>");
	if (json_is_object(goal))
		add_limit(out, json_object_get(goal, "pass"), lower, unit);
	else
		nova_text_add(out, "none");
	nova_text_add(out, "</span>");
	if (json_is_number(acceptable)) {
		nova_text_add(out, "<small>acceptable ");
		add_limit(out, acceptable, lower, unit);
		nova_text_add(out, "</small>");
	}
	nova_text_add(out, "</td>");
}

/* "baseline NAME: 240 ms", where the metric has one. */
static void add_baseline(struct nova_text *out, const json_t *metric, uint32_t unit)
{
	const json_t *baseline = json_object_get(metric, "baseline");
	const char *name = nova_report_text(baseline, "name");

	if (!json_is_object(baseline))
		return;
	nova_text_add(out, "<small>baseline ");
	nova_html_text(out, name ? name : "");
	if (json_is_number(json_object_get(baseline, "value"))) {
		nova_text_add(out, ": ");
		nova_html_value(out, json_object_get(baseline, "value"), unit);
	}
	nova_text_add(out, "</small>");
}

static void add_metric(struct nova_html *html, const json_t *step, const json_t *metric)
{
	uint32_t unit = nova_report_unit(nova_report_text(metric, "unit"));
	struct nova_text *out = &html->out;

	nova_text_add(out, "<tr role=\"row\">");
	add_name(out, step, metric);
	add_estimate(out, metric, unit);
	nova_text_add(out, "<td role=\"cell\" data-label=\"picture\">");
	nova_html_interval(html, metric);
	nova_text_add(out, "</td>");
	add_counts(out, metric);
	add_tail(out, metric, unit);
	add_goal(out, metric, unit);
	nova_text_add(out, "<td role=\"cell\" data-label=\"verdict\">");
	nova_html_verdict(out, nova_report_text(metric, "verdict"));
	add_baseline(out, metric, unit);
	nova_text_add(out, "</td></tr>\n");
}

static void add_metrics(struct nova_html *html, const json_t *step)
{
	json_t *metrics = json_object_get(step, "metrics"), *metric;
	struct nova_text *out = &html->out;
	size_t i;

	if (!json_array_size(metrics)) {
		nova_text_add(out, "<p>No metric was measured.</p>\n");
		return;
	}
	nova_text_addf(out,
	               "<table class=\"metrics\" role=\"table\"><caption>Metrics; intervals of the "
	               "median at %g&#160;%%</caption><thead role=\"rowgroup\"><tr role=\"row\">",
	               100 * nova_report_number(json_array_get(metrics, 0), "level"));
	static const char *const heads[] = {
	        "metric", "median", "interval and goal", "n", "p95, p99", "goal", "verdict"};
	for (i = 0; i < NOVA_COUNT(heads); i++)
		nova_html_element(out, "th",
		                  i == 1 || i == 3 || i == 4
		                          ? "scope=\"col\" role=\"columnheader\" class=\"number\""
		                          : "scope=\"col\" role=\"columnheader\"",
		                  heads[i]);
	nova_text_add(out, "</tr></thead><tbody role=\"rowgroup\">\n");
	json_array_foreach(metrics, i, metric) add_metric(html, step, metric);
	nova_text_add(out, "</tbody></table>\n");
}

/* --- what failed ----------------------------------------------------------------------------- */

struct failure {
	const char *what, *how, *why;
	unsigned times;
};

static void count_failure(struct failure *all, size_t *count, const char *what, const char *how,
                          const char *why)
{
	size_t i = 0;

	while (i < *count && (strcmp(all[i].what, what) != 0 || strcmp(all[i].how, how) != 0 ||
	                      strcmp(all[i].why, why) != 0))
		i++;
	if (i == MOST_FAILURES)
		return;
	if (i == *count)
		all[(*count)++] = (struct failure){what, how, why, 0};
	all[i].times++;
}

void nova_html_failures(struct nova_html *html, const json_t *step,
                        const struct nova_html_samples *samples)
{
	struct failure all[MOST_FAILURES];
	struct nova_text *out = &html->out;
	size_t count = 0, i;
	json_t *one;

	for (i = 0; i < samples->count; i++) {
		const struct nova_html_sample *sample = &samples->all[i];

		if (sample->status != NOVA_SAMPLE_OK)
			count_failure(all, &count, sample->metric,
			              sample->status == NOVA_SAMPLE_FAILED ? "failed" : "timed out",
			              sample->why ? sample->why : "no reason was recorded");
	}
	json_array_foreach(json_object_get(step, "replicates"), i, one)
	{
		if (nova_report_text(one, "why"))
			count_failure(all, &count, "a replicate", nova_report_text(one, "state"),
			              nova_report_text(one, "why"));
	}
	if (!count)
		return;
	nova_text_add(out,
	              "<h4>What failed, and why</h4>\n<div class=\"scroll\" tabindex=\"0\" "
	              "role=\"group\" aria-label=\"What failed\"><table><caption "
	              "class=\"quiet\">Failures by reason</caption><thead><tr><th "
	              "scope=\"col\">what</th><th scope=\"col\">how</th><th scope=\"col\" "
	              "class=\"number\">times</th><th scope=\"col\">why</th></tr></thead><tbody>"
	              "\n");
	for (i = 0; i < count; i++) {
		nova_text_add(out, "<tr>");
		nova_html_element(out, "th", "scope=\"row\"", all[i].what);
		nova_html_element(out, "td", NULL, all[i].how);
		nova_text_addf(out, "<td class=\"number\">%u</td>", all[i].times);
		nova_html_element(out, "td", "class=\"evidence\"", all[i].why);
		nova_text_add(out, "</tr>\n");
	}
	nova_text_addf(out, "</tbody></table></div>\n%s",
	               count == MOST_FAILURES ? "<p>More reasons than these are in the JSON.</p>\n"
	                                      : "");
}

/* --- the step -------------------------------------------------------------------------------- */

static void add_remarks(struct nova_html *html, const json_t *step)
{
	json_t *metrics = json_object_get(step, "metrics"), *metric;
	struct nova_text *out = &html->out;
	size_t i, count = 0;

	json_array_foreach(metrics, i, metric)
	{
		const char *why = nova_report_text(metric, "verdict_why");
		const char *advice = nova_report_advice(metric);

		if (!why && !advice)
			continue;
		nova_text_add(out, count++ ? "<li><code>" : "<ul class=\"remarks\"><li><code>");
		nova_html_text(out, nova_html_short_name(step, metric));
		nova_text_add(out, "</code> ");
		nova_html_textf(out, "%s%s%s", why ? why : "", why && advice ? "; " : "",
		                advice ? advice : "");
		nova_text_add(out, "</li>\n");
	}
	nova_text_add(out, count ? "</ul>\n" : "");
}

/* A path as the address of a link: nothing of it means anything there. */
static void add_address(struct nova_text *out, const char *path)
{
	nova_text_add(out, "file://");
	for (; *path; path++)
		if (isalnum((unsigned char)*path) || strchr("/-_.~", *path))
			nova_text_addf(out, "%c", *path);
		else
			nova_text_addf(out, "%%%02X", (unsigned)(unsigned char)*path);
}

static void add_flames(struct nova_text *out, const json_t *recording)
{
	json_t *name;
	size_t i;

	json_array_foreach(json_object_get(recording, "flames"), i, name)
	{
		NOVA_AUTOFREE char *path = nova_report_flame(recording, json_string_value(name));

		if (!path)
			continue;
		nova_text_add(out, " <a href=\"");
		add_address(out, path);
		nova_text_add(out, "\">");
		nova_html_textf(out, "flame graph (%s)", json_string_value(name));
		nova_text_add(out, "</a>");
	}
}

static void add_recordings(struct nova_html *html, const json_t *step)
{
	json_t *all = json_object_get(json_object_get(step, "recorded"), "recordings"), *one;
	struct nova_text *out = &html->out;
	size_t i;

	if (!json_array_size(all))
		return;
	nova_text_add(out, "<ul class=\"remarks\" aria-label=\"Recordings\">");
	json_array_foreach(all, i, one)
	{
		NOVA_AUTOFREE char *line = nova_report_recording(one);

		nova_html_element(out, "li", NULL, line);
		out->length -= strlen("</li>");
		add_flames(out, one);
		nova_text_add(out, "</li>");
	}
	nova_text_add(out, "</ul>\n");
}

void nova_html_step(struct nova_html *html, const json_t *step)
{
	struct nova_html_samples samples = nova_html_samples_of(step);

	add_head(html, step);
	add_metrics(html, step);
	add_remarks(html, step);
	add_recordings(html, step);
	nova_html_comparisons(html, step);
	nova_html_distributions(html, step, &samples);
	nova_html_timeline(html, step, &samples);
	nova_html_migrations(html, step, &samples);
	nova_html_series(html, step, &samples);
	nova_html_failures(html, step, &samples);
	nova_text_add(&html->out, "</section>\n");
	free(samples.all);
}
