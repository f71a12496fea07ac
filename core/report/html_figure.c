/* SPDX-License-Identifier: MIT */
/*
 * Figures of a step's samples: distributions and series over time. Each says its numbers in its
 * description, too, and what colour tells is also told by form (solid and dashed, disc and ring).
 */
#include "core/report/html.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STEPS   160 /* of a distribution's curve, and */
#define COLUMNS 240 /* of a series over time, however many samples there are */
#define RUG     100 /* up to this many, each value is drawn */

/* Samples of no VM that follow each other within a replicate: they are drawn over time. */
static bool is_series(const struct nova_html_samples *own)
{
	size_t several = 0;

	for (size_t i = 0; i < own->count; i++)
		several += own->all[i].vm < 0 && own->all[i].seq > 0;
	return several >= 8;
}

/* --- distributions --------------------------------------------------------------------------- */

struct distribution {
	const json_t *metric;
	double *values; /* ascending */
	size_t count, attempted;
};

static int ascending(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static struct distribution distribution_of(const json_t *metric,
                                           const struct nova_html_samples *samples)
{
	struct nova_html_samples own = nova_html_samples_find(
	        samples, nova_report_text(metric, "name"), nova_report_text(metric, "side"));
	struct distribution found = {metric, nova_alloc((own.count + 1) * sizeof(double)), 0,
	                             own.count};

	for (size_t i = 0; i < own.count; i++)
		if (own.all[i].status == NOVA_SAMPLE_OK)
			found.values[found.count++] = own.all[i].value;
	if (found.count)
		qsort(found.values, found.count, sizeof(double), ascending);
	return found;
}

/* The share of all attempts that ended well within x: what failed keeps the curve below 100 %. */
static void draw_curve(struct nova_text *out, const struct distribution *of, const char *class,
                       const struct nova_scale *x, const struct nova_scale *y)
{
	size_t drawn = of->count < STEPS ? of->count : STEPS;

	nova_text_addf(out, "<path class=\"%s\" d=\"M%.1f %.1f", class, x->from,
	               nova_scale_at(y, 0));
	for (size_t i = 1; i <= drawn; i++) {
		size_t rank = (size_t)ceil((double)i * (double)of->count / (double)drawn);

		nova_text_addf(out, "H%.1fV%.1f", nova_scale_at(x, of->values[rank - 1]),
		               nova_scale_at(y, (double)rank / (double)of->attempted));
	}
	nova_text_addf(out, "H%.1f\"/>", x->to);
	for (size_t i = 0; of->count <= RUG && i < of->count; i++)
		nova_text_addf(out, "<path class=\"%s rug\" d=\"M%.1f %.1fv-5\"/>", class,
		               nova_scale_at(x, of->values[i]), y->from);
}

static void draw_goal(struct nova_text *out, const json_t *metric, const struct nova_scale *x,
                      double top, double bottom)
{
	static const char *const members[] = {"pass", "acceptable"};
	const json_t *goal = json_object_get(metric, "goal");

	for (size_t i = 0; i < NOVA_COUNT(members); i++) {
		const json_t *limit = json_object_get(goal, members[i]);
		double at = nova_scale_at(x, json_number_value(limit));

		if (!json_is_number(limit) || json_number_value(limit) < x->low ||
		    json_number_value(limit) > x->high)
			continue;
		bool left = at > (x->from + x->to) / 2;
		nova_text_addf(out,
		               "<path class=\"goal%s\" d=\"M%.1f %.1fV%.1f\"/><text class=\"note\" "
		               "x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>",
		               i ? " second" : "", at, top, bottom, at + (left ? -4 : 4),
		               top + 9 + 12 * (double)i, left ? "end" : "start",
		               i ? "acceptable" : "goal");
	}
}

/* The median with its interval, on the line of one half. */
static void draw_median(struct nova_text *out, const json_t *metric, const struct nova_scale *x,
                        double y)
{
	const json_t *interval = json_object_get(metric, "interval");

	if (!json_is_number(json_object_get(metric, "value")))
		return;
	if (json_is_array(interval))
		nova_text_addf(out, "<path class=\"whisker\" d=\"M%.1f %.1fv8m0-4H%.1fm0-4v8\"/>",
		               nova_scale_at(x, json_number_value(json_array_get(interval, 0))),
		               y - 4,
		               nova_scale_at(x, json_number_value(json_array_get(interval, 1))));
	nova_text_addf(out, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"/>",
	               nova_scale_at(x, nova_report_number(metric, "value")), y);
}

static void add_percentile(struct nova_text *text, const json_t *metric, const char *which)
{
	const json_t *percentile = json_object_get(metric, which);
	char value[32];

	/* That n is too small for it is said in the table. */
	if (!json_is_number(json_object_get(percentile, "value")))
		return;
	nova_value_format(nova_report_number(percentile, "value"),
	                  nova_report_unit(nova_report_text(metric, "unit")), value);
	nova_text_addf(text, "; %s ≤ %s", which, value);
}

/* "vm: 260 ms [250 ms, 290 ms], n = 10 of 10; p95 …": the numbers behind the curve. */
static void add_numbers(struct nova_text *text, const json_t *metric, const char *line)
{
	NOVA_AUTOFREE char *value = nova_report_value(metric);

	nova_text_addf(text, "%s%s%s: median %s", text->length ? ". " : "",
	               nova_report_text(metric, "side"), line, value);
	add_percentile(text, metric, "p95");
	add_percentile(text, metric, "p99");
}

static void draw_distributions(struct nova_html *html, const json_t *step,
                               const struct distribution *all, size_t count)
{
	static const char *const classes[] = {"curve first", "curve second", "curve third",
	                                      "curve fourth"};
	static const char *const lines[] = {" (solid)", " (dashed)", " (dotted)",
	                                    " (dash and dot)"};
	const json_t *metric = all[0].metric;
	uint32_t unit = nova_report_unit(nova_report_text(metric, "unit"));
	struct nova_scale y = {0, 1, 140, 26, false};
	NOVA_AUTOTEXT struct nova_text numbers = {0};
	double ends[16];
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		ends[n++] = all[i].values[0];
		ends[n++] = all[i].values[all[i].count - 1];
		add_numbers(&numbers, all[i].metric, count > 1 ? lines[i % NOVA_COUNT(lines)] : "");
	}
	struct nova_scale bare = nova_scale_of(ends, n, 20, 0, 1);
	const json_t *pass = json_object_get(json_object_get(metric, "goal"), "pass");
	/* A goal far away would press the curve flat; it stands in the table. */
	if (json_is_number(pass) &&
	    json_number_value(pass) < bare.high + 2 * (bare.high - bare.low) &&
	    json_number_value(pass) > bare.low - 2 * (bare.high - bare.low))
		ends[n++] = json_number_value(pass);
	struct nova_scale x = nova_scale_of(ends, n, 20, 44, 318);
	NOVA_AUTOFREE char *title =
	        nova_format("Distribution of %s", nova_html_short_name(step, metric));

	nova_plot_begin(&html->out, html->figures++, 340, 166, false, title,
	                nova_text_get(&numbers));
	nova_text_add(&html->out, "<text class=\"title\" x=\"0\" y=\"12\">");
	nova_html_text(&html->out, nova_html_short_name(step, metric));
	nova_text_add(&html->out, "</text>");
	for (int part = 0; part <= 100; part += 50)
		nova_text_addf(&html->out,
		               "<path class=\"grid\" d=\"M44 %.1fH318\"/><text x=\"38\" y=\"%.1f\" "
		               "text-anchor=\"end\">%d %%</text>",
		               nova_scale_at(&y, part / 100.0), nova_scale_at(&y, part / 100.0) + 4,
		               part);
	nova_plot_axis_x(&html->out, &x, y.from, y.to, unit);
	draw_goal(&html->out, metric, &x, y.to, y.from);
	for (size_t i = 0; i < count; i++)
		draw_curve(&html->out, &all[i], classes[i % NOVA_COUNT(classes)], &x, &y);
	for (size_t i = 0; i < count; i++)
		draw_median(&html->out, all[i].metric, &x, nova_scale_at(&y, 0.5));
	nova_plot_end(&html->out, false, nova_text_get(&numbers));
}

void nova_html_distributions(struct nova_html *html, const json_t *step,
                             const struct nova_html_samples *samples)
{
	json_t *metrics = json_object_get(step, "metrics"), *metric, *other;
	size_t i, j, drawn = 0;

	json_array_foreach(metrics, i, metric)
	{
		struct distribution sides[4];
		size_t count = 0;
		const char *name = nova_report_text(metric, "name");

		/* Sides of one metric share a figure, drawn where the first of them stands. */
		json_array_foreach(metrics, j, other)
		{
			struct nova_html_samples own;

			if (strcmp(nova_report_text(other, "name"), name) != 0)
				continue;
			if (j < i || count == NOVA_COUNT(sides))
				break;
			own = nova_html_samples_find(samples, name,
			                             nova_report_text(other, "side"));
			if (is_series(&own))
				continue;
			sides[count] = distribution_of(other, samples);
			if (sides[count].count >= 2)
				count++;
			else
				free(sides[count].values);
		}
		if (count && !drawn++)
			nova_text_add(&html->out,
			              "<h4>Distributions</h4>\n<p class=\"hint\">The share of all "
			              "attempts that took at most so much (or reached at most so "
			              "much); the dot is the median with its interval, ticks below "
			              "are single samples. What failed keeps a curve below "
			              "100&#160;%.</p>\n<div class=\"small-multiples\">\n");
		if (count)
			draw_distributions(html, step, sides, count);
		while (count)
			free(sides[--count].values);
	}
	if (drawn)
		nova_text_add(&html->out, "</div>\n");
}

/* --- series over time ------------------------------------------------------------------------ */

/* Least and greatest of each column of the picture: no peak is lost, however many samples. */
static void draw_series(struct nova_text *out, const struct nova_html_samples *own,
                        const struct nova_scale *x, const struct nova_scale *y)
{
	size_t i = 0;
	char command = 'M';

	nova_text_add(out, "<path class=\"curve first\" d=\"");
	while (i < own->count) {
		double least = INFINITY, greatest = -INFINITY;
		double at = nova_scale_at(x, (double)own->all[i].t_ns / 1e9);
		size_t column = (size_t)((at - x->from) * COLUMNS / (x->to - x->from));

		for (; i < own->count; i++) {
			double here = nova_scale_at(x, (double)own->all[i].t_ns / 1e9);

			if ((size_t)((here - x->from) * COLUMNS / (x->to - x->from)) != column)
				break;
			if (own->all[i].status != NOVA_SAMPLE_OK)
				continue;
			least = fmin(least, own->all[i].value);
			greatest = fmax(greatest, own->all[i].value);
		}
		if (least > greatest)
			continue;
		nova_text_addf(out, "%c%.1f %.1f", command, at, nova_scale_at(y, least));
		if (greatest > least)
			nova_text_addf(out, "V%.1f", nova_scale_at(y, greatest));
		command = 'L';
	}
	nova_text_add(out, "\"/>");
}

static void draw_over_time(struct nova_html *html, const json_t *step, const json_t *metric,
                           const struct nova_html_samples *own)
{
	uint32_t unit = nova_report_unit(nova_report_text(metric, "unit"));
	double times[2] = {0, (double)(own->all[own->count - 1].t_ns - own->all[0].t_ns) / 1e9};
	double values[3] = {nova_report_number(metric, "min"), nova_report_number(metric, "max"),
	                    0};
	struct nova_scale x = nova_scale_of(times, 2, 0, 60, 930), y;
	struct nova_html_samples moved = {nova_alloc(own->count * sizeof(*moved.all)), own->count};
	char low[32], high[32];

	/* From zero where that leaves the line more than a third of the height. */
	y = nova_scale_of(values, values[0] > 0 && values[0] < values[1] * 2 / 3 ? 3 : 2, 0, 150,
	                  28);
	x.low = 0;
	x.high = fmax(times[1], 1e-9);
	for (size_t i = 0; i < own->count; i++) {
		moved.all[i] = own->all[i];
		moved.all[i].t_ns -= own->all[0].t_ns;
	}
	nova_value_format(values[0], unit, low);
	nova_value_format(values[1], unit, high);
	NOVA_AUTOFREE char *title = nova_format("%s over time", nova_html_short_name(step, metric));
	NOVA_AUTOFREE char *numbers =
	        nova_format("%zu samples in %.3g s, least %s, greatest %s. %s", own->count,
	                    times[1], low, high, nova_report_text(metric, "doc"));
	nova_plot_begin(&html->out, html->figures++, 960, 180, true, title, numbers);
	nova_text_add(&html->out, "<text class=\"title\" x=\"0\" y=\"12\">");
	nova_html_text(&html->out, title);
	nova_text_add(&html->out, "</text>");
	nova_plot_axis_y(&html->out, &y, x.from, x.to, unit);
	nova_plot_axis_x(&html->out, &x, y.from, y.to, NOVA_UNIT_SECOND);
	draw_series(&html->out, &moved, &x, &y);
	nova_plot_end(&html->out, true, numbers);
	free(moved.all);
}

void nova_html_series(struct nova_html *html, const json_t *step,
                      const struct nova_html_samples *samples)
{
	size_t i, drawn = 0;
	json_t *metric;

	json_array_foreach(json_object_get(step, "metrics"), i, metric)
	{
		struct nova_html_samples own =
		        nova_html_samples_find(samples, nova_report_text(metric, "name"),
		                               nova_report_text(metric, "side"));

		if (!is_series(&own))
			continue;
		if (!drawn++)
			nova_text_add(&html->out, "<h4>Over time</h4>\n");
		draw_over_time(html, step, metric, &own);
	}
}
