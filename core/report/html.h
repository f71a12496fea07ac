/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the HTML report share. html.c is the page from top to bottom; html_step.c a
 * step's tables, html_figure.c its figures, html_compare.c comparisons and history, html_plot.c
 * scales and axes, html_write.c text and values, html_style.c how it looks.
 *
 * Everything that comes from the document goes through nova_html_text or nova_html_value and so is
 * escaped, freed of control and reordering characters, and clipped: nothing in a result can become
 * markup. Everything else that is written is a constant of ours or a number.
 */
#ifndef NOVACORE_REPORT_HTML_H
#define NOVACORE_REPORT_HTML_H

#include "core/report/internal.h"

/* --- text and values (html_write.c) ---------------------------------------------------------- */

/* Escaped for content and for attributes in double quotes; at most NOVA_HTML_CLIP bytes of it. */
#define NOVA_HTML_CLIP 2000
void nova_html_text(struct nova_text *out, const char *text);
/* The same of a formatted text. */
void nova_html_textf(struct nova_text *out, const char *format, ...) NOVA_PRINTF(2, 3);
/* <TAG ATTRIBUTES>text</TAG>; `attributes` is ours (or NULL), `text` may be anybody's (or NULL). */
void nova_html_element(struct nova_text *out, const char *tag, const char *attributes,
                       const char *text);
/* <data value="0.26">260 ms</data>: for people, and exactly, for programs; "none" of null. */
void nova_html_value(struct nova_text *out, const json_t *number, uint32_t unit);
/* The verdict's sign and word. A verdict that is not known is printed as it is. */
void nova_html_verdict(struct nova_text *out, const char *verdict);
/* The signs of verdicts as <symbol>s, once a page. */
void nova_html_symbols(struct nova_text *out);
/* A fact's value: text and numbers as they are, else JSON. Escaped. */
void nova_html_fact(struct nova_text *out, const json_t *value);
/* "<name>" without "<benchmark>." before it. Points into the metric. */
const char *nova_html_short_name(const json_t *step, const json_t *metric);

extern const char nova_html_style[];

/* --- scales and axes (html_plot.c) ----------------------------------------------------------- */

struct nova_scale {
	double low, high; /* values; low < high */
	double from, to;  /* where they lie, in units of the picture */
	bool log;
};
/* One that holds all `values` (those that are no finite numbers are left out), with a margin;
 * logarithmic where they are positive and their ratio is beyond `log_ratio` (0: never). */
struct nova_scale nova_scale_of(const double *values, size_t count, double log_ratio, double from,
                                double to);
/* Where a value lies; beyond the ends: the end. */
double nova_scale_at(const struct nova_scale *scale, double value);
/* Round values within the scale, ascending; returns how many (at most `room`). */
size_t nova_scale_ticks(const struct nova_scale *scale, uint32_t unit, double *ticks, size_t room);
/* The lower axis with its ticks and their labels, at `y`; grid lines up to `top`. */
void nova_plot_axis_x(struct nova_text *out, const struct nova_scale *scale, double y, double top,
                      uint32_t unit);
void nova_plot_axis_y(struct nova_text *out, const struct nova_scale *scale, double x, double right,
                      uint32_t unit);
/* Opens <figure><svg role=img> with title and description; ids are made unique by `id`. */
void nova_plot_begin(struct nova_text *out, unsigned id, double width, double height, bool wide,
                     const char *title, const char *description);
/* Closes both, with a caption (escaped). `wide` as at the beginning. */
void nova_plot_end(struct nova_text *out, bool wide, const char *caption);

/* --- samples of a step (html_samples.c) ------------------------------------------------------ */

struct nova_html_sample {
	const char *metric, *side, *why; /* the document's; `why` may be NULL */
	long long replicate, attempt, vm, seq, t_ns, intended_ns; /* vm -1: none */
	double value;
	int status; /* NOVA_SAMPLE_* */
};
struct nova_html_samples {
	struct nova_html_sample *all; /* those that count, by metric, side, time */
	size_t count;
};
/* O(n log n). `all` is the caller's. */
struct nova_html_samples nova_html_samples_of(const json_t *step);
/* Those of one metric (and side, unless NULL): a range of `samples`. */
struct nova_html_samples nova_html_samples_find(const struct nova_html_samples *samples,
                                                const char *metric, const char *side);

/* --- parts ----------------------------------------------------------------------------------- */

struct nova_html {
	struct nova_text out;
	const json_t *result;
	const struct nova_report_options *options;
	unsigned figures; /* so far: ids */
};

/* A whole step (html_step.c). */
void nova_html_step(struct nova_html *html, const json_t *step);
/* Failed samples and replicates by their reason; nothing if there are none. */
void nova_html_failures(struct nova_html *html, const json_t *step,
                        const struct nova_html_samples *samples);
/* The picture of an interval against its goals, in a table's cell. */
void nova_html_interval(struct nova_html *html, const json_t *metric);

/* html_figure.c */
void nova_html_distributions(struct nova_html *html, const json_t *step,
                             const struct nova_html_samples *samples);
void nova_html_timeline(struct nova_html *html, const json_t *step,
                        const struct nova_html_samples *samples);
void nova_html_series(struct nova_html *html, const json_t *step,
                      const struct nova_html_samples *samples);
void nova_html_migrations(struct nova_html *html, const json_t *step,
                          const struct nova_html_samples *samples);

/* html_compare.c */
void nova_html_comparisons(struct nova_html *html, const json_t *step);
/* A comparison's value, its interval and its goal: "+12 % [+9 %, +16 %]; goal ≤ 3 %". */
void nova_html_effect(struct nova_text *out, const json_t *one);
void nova_html_history(struct nova_html *html);

#endif
