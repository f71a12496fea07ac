/* SPDX-License-Identifier: MIT */
/* Scales, axes and frames of the report's figures. */
#include "core/report/html.h"

#include <math.h>
#include <string.h>

/* Beyond it a difference or a margin could be no finite number: such values lie at the end. */
#define LARGEST 1e250
#define MARGIN  0.04 /* of the range, so that no point lies on the frame */

struct nova_scale nova_scale_of(const double *values, size_t count, double log_ratio, double from,
                                double to)
{
	struct nova_scale scale = {INFINITY, -INFINITY, from, to, false};

	for (size_t i = 0; i < count; i++) {
		if (!isfinite(values[i]) || fabs(values[i]) > LARGEST)
			continue;
		scale.low = fmin(scale.low, values[i]);
		scale.high = fmax(scale.high, values[i]);
	}
	if (scale.low > scale.high)
		scale.low = scale.high = 0;
	scale.log = log_ratio > 0 && scale.low > 1 / LARGEST &&
	            log(scale.high) - log(scale.low) > log(log_ratio);
	if (scale.log) {
		double part = exp(MARGIN * (log(scale.high) - log(scale.low)));

		scale.low /= part;
		scale.high *= part;
		return scale;
	}
	double range = scale.high - scale.low;
	double margin = range > fabs(scale.high) * 1e-9 ? MARGIN * range
	                : scale.high != 0               ? fabs(scale.high) * 0.1
	                                                : 1;
	bool from_zero = scale.low >= 0 && scale.low < margin;
	scale.low = from_zero ? 0 : scale.low - margin;
	scale.high += margin;
	return scale;
}

double nova_scale_at(const struct nova_scale *scale, double value)
{
	double part;

	if (isnan(value))
		return scale->from;
	value = fmin(fmax(value, scale->low), scale->high);
	part = scale->log ? (log(value) - log(scale->low)) / (log(scale->high) - log(scale->low))
	                  : (value - scale->low) / (scale->high - scale->low);
	return scale->from + part * (scale->to - scale->from);
}

static size_t decades(const struct nova_scale *scale, double *ticks, size_t room)
{
	static const double steps[] = {1, 2, 5};
	int first = (int)floor(log10(scale->low)), last = (int)ceil(log10(scale->high));
	int every = (last - first + 4) / 5; /* at most about five decades get a label */
	bool fine = log10(scale->high) - log10(scale->low) < 1.7;
	size_t count = 0;

	for (int decade = first; decade <= last && count < room; decade++) {
		if ((decade - first) % (every ? every : 1))
			continue;
		for (size_t i = 0; i < (fine ? NOVA_COUNT(steps) : 1) && count < room; i++) {
			double tick = steps[i] * pow(10, decade);

			if (tick >= scale->low && tick <= scale->high)
				ticks[count++] = tick;
		}
	}
	return count;
}

size_t nova_scale_ticks(const struct nova_scale *scale, uint32_t unit, double *ticks, size_t room)
{
	double largest = fmax(fabs(scale->low), fabs(scale->high)), base = 1, power, step;
	size_t count = 0;

	if (scale->log)
		return decades(scale, ticks, room);
	/* Bytes are shown as KiB, MiB …: round is what is round in those. */
	if (unit == NOVA_UNIT_BYTE && largest >= 1024)
		base = pow(1024, fmin(floor(log2(largest) / 10), 4));
	step = (scale->high - scale->low) / 4 / base;
	power = pow(10, floor(log10(step)));
	step /= power;
	step = base * power * (step < 1.5 ? 1 : step < 3.5 ? 2 : step < 7.5 ? 5 : 10);
	/* Counted, not added up: a step below the numbers' resolution must end, too. */
	for (double at = ceil(scale->low / step), i = 0; count < room && i < 16; i++)
		if ((at + i) * step <= scale->high)
			ticks[count++] = at + i == 0 ? 0 : (at + i) * step;
	return count;
}

static void label(double value, uint32_t unit, char out[32])
{
	if (value == 0)
		snprintf(out, 32, "0");
	else
		nova_report_limit(value, unit, out);
}

void nova_plot_axis_x(struct nova_text *out, const struct nova_scale *scale, double y, double top,
                      uint32_t unit)
{
	double ticks[8], before = -1e9;
	size_t count = nova_scale_ticks(scale, unit, ticks, NOVA_COUNT(ticks));

	nova_text_addf(out, "<path class=\"axis\" d=\"M%.1f %.1fH%.1f\"/>", scale->from, y,
	               scale->to);
	for (size_t i = 0; i < count; i++) {
		double x = nova_scale_at(scale, ticks[i]);
		char text[32];

		nova_text_addf(out, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>", x, y, top);
		if (x - before < 46)
			continue;
		before = x;
		label(ticks[i], unit, text);
		nova_text_addf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", x,
		               y + 14);
		nova_html_text(out, text);
		nova_text_add(out, "</text>");
	}
}

void nova_plot_axis_y(struct nova_text *out, const struct nova_scale *scale, double x, double right,
                      uint32_t unit)
{
	double ticks[8];
	size_t count = nova_scale_ticks(scale, unit, ticks, NOVA_COUNT(ticks));

	for (size_t i = 0; i < count; i++) {
		double y = nova_scale_at(scale, ticks[i]);
		char text[32];

		label(ticks[i], unit, text);
		nova_text_addf(out,
		               "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>"
		               "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">",
		               x, y, right, x - 6, y + 4);
		nova_html_text(out, text);
		nova_text_add(out, "</text>");
	}
}

void nova_plot_begin(struct nova_text *out, unsigned id, double width, double height, bool wide,
                     const char *title, const char *description)
{
	nova_text_addf(out, "<figure%s>", wide ? " class=\"wide\"" : "");
	if (wide) {
		nova_text_add(out,
		              "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"");
		nova_html_text(out, title);
		nova_text_add(out, "\">");
	}
	nova_text_addf(out,
	               "<svg role=\"img\" viewBox=\"0 0 %.0f %.0f\" aria-labelledby=\"t%u d%u\">"
	               "<title id=\"t%u\">",
	               width, height, id, id, id);
	nova_html_text(out, title);
	nova_text_addf(out, "</title><desc id=\"d%u\">", id);
	nova_html_text(out, description);
	nova_text_add(out, "</desc>");
}

void nova_plot_end(struct nova_text *out, bool wide, const char *caption)
{
	nova_text_add(out, wide ? "</svg></div>" : "</svg>");
	nova_html_element(out, "figcaption", NULL, caption);
	nova_text_add(out, "</figure>\n");
}
