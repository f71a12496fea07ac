/* SPDX-License-Identifier: MIT */
/* A flame graph as SVG: it reads without scripts, and behaves as flame_svg.js says with them. */
#include "core/profiler/flame.h"

#define WIDTH     1200
#define MARGIN    10
#define ACROSS    1180.0 /* WIDTH without margins; as in flame_svg.js, like the next three */
#define ROW       17
#define CHARACTER 6.7 /* of the monospaced font at its size, and a little */
#define GAP       0.3 /* between two boxes */

static const char STYLE[] =
        "svg{color-scheme:light dark;font:11px ui-monospace,'DejaVu Sans Mono',monospace;"
        "--paper:#fcfbf9;--ink:#1c2127;--soft:#59616b;background:var(--paper)}"
        "@media(prefers-color-scheme:dark){svg{--paper:#14171b;--ink:#e6e4e0;--soft:#a2a9b2}}"
        ".paper{fill:var(--paper)}.title{font:600 17px system-ui,sans-serif;fill:var(--ink)}"
        ".sub,.legend text,.found,.info{font:12px system-ui,sans-serif;fill:var(--soft)}"
        ".info{fill:var(--ink)}.found{text-anchor:end}"
        ".flame text{fill:#14171b;pointer-events:none}"
        ".live .flame g{cursor:pointer}.flame g:hover rect,.flame .at rect{stroke:#14171b}"
        ".caller{opacity:.55}.flame .hit rect{fill:#e9a6ff}.untold rect{stroke:#8a8f96;"
        "stroke-dasharray:2 2}input,button{width:100%;box-sizing:border-box;font:12px "
        "system-ui,sans-serif}";

static void put_style(struct put *put)
{
	put_literal(put, "<style>");
	put_literal(put, STYLE);
	for (unsigned i = 0; i < FLAME_COLOURS; i++) {
		char rule[40], hex[8];

		flame_colour_hex(i, hex);
		snprintf(rule, sizeof(rule), ".c%u{fill:%s}", i, hex);
		put_literal(put, rule);
	}
	put_literal(put, "</style>\n");
}

/* --- boxes ---------------------------------------------------------------------------------------
 */

/* Of the whole picture. */
static double width_of(const struct nova_flame *flame, uint32_t box)
{
	if (flame->changes)
		return flame->changes[box].width;
	return flame->boxes[0].total
	               ? (double)flame->boxes[box].total / (double)flame->boxes[0].total
	               : 1;
}

static unsigned colour_of(const struct nova_flame *flame, uint32_t i)
{
	const struct nova_flame_box *box = &flame->boxes[i];

	if (!flame->changes)
		return flame_colour(box->name, box->flags);
	return flame_change_colour(box, &flame->changes[i], flame->boxes[0].total,
	                           flame->changes[0].total);
}

static void put_title(struct put *put, const struct nova_flame *flame, uint32_t i, double share)
{
	const struct nova_flame_box *box = &flame->boxes[i];

	put_literal(put, "<title>");
	put_name(put, box);
	put_literal(put, "\n");
	if (flame->changes) {
		put_change(put, flame, i);
	} else {
		put_value(put, &flame->stacks->types[flame->type], box->total);
		put_literal(put, ", ");
		put_percent(put, share);
		if (box->self && box->self != box->total) {
			put_literal(put, "; itself ");
			put_again(put, &flame->stacks->types[flame->type], box->self);
		}
	}
	put_literal(put, "</title>");
}

/* "q.." tells nothing: a name stands whole, or three letters of it do; as in flame_svg.js. */
static bool has_label(const char *name, double width)
{
	double room = (width - 6) / CHARACTER;

	return room >= 5 || (room >= 1 && strlen(name) <= (size_t)room);
}

static void put_box(struct put *put, const struct nova_flame *flame, uint32_t i, double share,
                    double x, uint32_t y)
{
	double width = share * ACROSS;
	bool untold = flame->changes && flame->changes[i].mark == NOVA_MARK_FEW &&
	              (flame->changes[i].total == 0 || flame->boxes[i].total == 0);

	put_literal(put, untold ? "<g class=\"untold\">" : "<g>");
	put_title(put, flame, i, share);
	put_literal(put, "<rect x=\"");
	put_fixed(put, x);
	put_literal(put, "\" y=\"");
	put_number(put, y);
	put_literal(put, "\" width=\"");
	put_fixed(put, width > 2 * GAP ? width - GAP : width > 0.1 ? width : 0.1);
	put_literal(put, "\" height=\"16\" class=\"c");
	put_number(put, colour_of(flame, i));
	if (has_label(flame->boxes[i].name, width)) {
		put_literal(put, "\"/><text x=\"");
		put_fixed(put, x + 3);
		put_literal(put, "\" y=\"");
		put_number(put, y + 12);
		put_literal(put, "\">");
		put_clipped(put, flame->boxes[i].name, (size_t)((width - 6) / CHARACTER));
		put_literal(put, "</text></g>\n");
		return;
	}
	put_literal(put, "\"/></g>\n");
}

/* Widths as the script needs them: exact, where those of the boxes are rounded to pixels. */
static void put_widths(struct put *put, const struct nova_flame *flame, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		if (i > from)
			put_bytes(put, " ", 1);
		put_number(put, flame->changes ? (uint64_t)(flame->changes[i].width * 1e12)
		                               : flame->boxes[i].total);
	}
}

/* The boxes from `from` to `to`, one tree, of so much depth; its upper edge is at `top`. */
static void put_tree(struct put *put, const struct nova_flame *flame, uint32_t from, uint32_t to,
                     uint32_t depth, uint32_t top)
{
	double *cursor = nova_alloc(((size_t)depth + 2) * sizeof(*cursor));
	char text[96];

	snprintf(text, sizeof(text), "<g class=\"flame\" transform=\"translate(0 %u)\" data-all=\"",
	         top);
	put_literal(put, text);
	put_number(put, flame->changes ? UINT64_C(1000000000000) : flame->boxes[0].total);
	put_literal(put, "\" data-w=\"");
	put_widths(put, flame, from, to);
	put_literal(put, "\">\n");
	cursor[0] = MARGIN;
	for (uint32_t i = from; i < to; i++) {
		uint32_t at = flame->boxes[i].depth;
		double share = width_of(flame, i);

		put_box(put, flame, i, share, cursor[at], (flame->reverse ? at : depth - at) * ROW);
		cursor[at + 1] = cursor[at];
		cursor[at] += share * ACROSS;
	}
	put_literal(put, "</g>\n");
	free(cursor);
}

/* --- around them ---------------------------------------------------------------------------------
 */

static void put_legend_entry(struct put *put, unsigned colour, const char *text, uint32_t *x,
                             uint32_t y, uint32_t width)
{
	char piece[192];

	snprintf(piece, sizeof(piece),
	         "<rect x=\"%u\" y=\"%u\" width=\"14\" height=\"14\" class=\"c%u\"/>"
	         "<text x=\"%u\" y=\"%u\">%s</text>",
	         *x, y, colour, *x + 19, y + 11, text);
	put_literal(put, piece);
	*x += width;
}

static void put_legend(struct put *put, const struct nova_flame *flame, uint32_t y)
{
	bool seen[FLAME_KINDS];
	uint32_t x = MARGIN;

	put_literal(put, "<g class=\"legend\">");
	if (flame->changes) {
		put_legend_entry(put, FLAME_KINDS * FLAME_SHADES + FLAME_STEPS + 2, "more", &x, y,
		                 70);
		put_legend_entry(put, FLAME_NEW, "new", &x, y, 70);
		put_legend_entry(put, FLAME_KINDS * FLAME_SHADES + 2, "less, or vanished", &x, y,
		                 140);
		put_legend_entry(
		        put, FLAME_NOISE,
		        "noise, or too few samples to tell (dashed: of a path that is on one "
		        "side only)",
		        &x, y, 500);
	} else {
		flame_kinds(flame, seen);
		for (unsigned i = 0; i < FLAME_KINDS; i++)
			if (seen[i])
				put_legend_entry(put, i * FLAME_SHADES + 2, flame_kind_name(i), &x,
				                 y, 100);
	}
	put_literal(put, "</g>\n");
}

static void put_line(struct put *put, const char *class, uint32_t x, uint32_t y)
{
	char text[64];

	snprintf(text, sizeof(text), "<text class=\"%s\" x=\"%u\" y=\"%u\">", class, x, y);
	put_literal(put, text);
}

static uint32_t note_count(const struct nova_flame *flame)
{
	return flame->stacks->note_count + (flame->untested ? 1 : 0) + (flame->left_out ? 1 : 0) +
	       (flame->stacks->lost ? 1 : 0);
}

static void put_head(struct put *put, const struct nova_flame *flame, const char *title,
                     uint32_t height)
{
	char text[256];

	snprintf(text, sizeof(text),
	         "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg "
	         "xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" viewBox=\"0 0 %d "
	         "%u\" role=\"group\" aria-labelledby=\"t\">\n<title id=\"t\">",
	         WIDTH, height, WIDTH, height);
	put_literal(put, text);
	put_text(put, title);
	put_literal(put, "</title>\n");
	put_style(put);
	put_literal(put, "<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n");
	put_line(put, "title", MARGIN, 26);
	put_clipped(put, title, 100);
	put_literal(put, "</text>\n");
	put_line(put, "sub", MARGIN, 46);
	put_summary(put, flame);
	put_literal(put, "</text>\n");
	put_line(put, "found", WIDTH - MARGIN, 50);
	put_literal(put, "</text>\n");
}

int nova_flame_write_svg(const struct nova_flame *flame, const char *title, FILE *file,
                         struct nova_error *error)
{
	uint32_t top = 60, lane_top = top + (flame->depth + 1) * ROW + 30;
	uint32_t bottom = flame->lane ? lane_top + (flame->lane_depth + 1) * ROW : lane_top - 30;
	uint32_t notes = note_count(flame), y = bottom + 60;
	struct put *put = nova_alloc(sizeof(*put));
	char line[64];
	int code;

	put->file = file;
	put_head(put, flame, title ? title : "Flame graph", bottom + 60 + notes * 16);
	put_tree(put, flame, 0, flame->lane ? flame->lane : flame->count, flame->depth, top);
	if (flame->lane) {
		put_line(put, "sub", MARGIN, lane_top - 8);
		put_literal(
		        put,
		        "Paths that vanished, among their callers, as wide as they were:</text>\n");
		put_tree(put, flame, flame->lane, flame->count, flame->lane_depth, lane_top);
	}
	put_line(put, "info", MARGIN, bottom + 20);
	put_literal(put, "</text>\n");
	put_legend(put, flame, bottom + 32);
	snprintf(line, sizeof(line), "<text class=\"sub\" y=\"%u\">", y - 16);
	put_literal(put, line);
	put_notes(put, flame, "<tspan x=\"10\" dy=\"16\">", "</tspan>");
	put_literal(put, "</text>\n<script>//<![CDATA[\n");
	put_literal(put, flame_svg_script);
	put_literal(put, "//]]></script>\n</svg>\n");
	code = put_end(put, error);
	free(put);
	return code;
}
