/* SPDX-License-Identifier: MIT */
/*
 * A flame graph as a page. What a reader without scripts needs, the table of functions, stands in
 * it as HTML; the rest is data for flame_html.js: each name once, each box four numbers.
 */
#include "core/profiler/flame.h"

#include <math.h>
#include <string.h>

#define ROWS_READ 100u /* of the table, without scripts */

struct page {
	struct put *put;
	const struct nova_flame *flame;
	struct nova_stacks *names; /* every frame that is named, once */
	struct flame_function *functions;
	uint32_t function_count;
};

static const struct nova_value_type *type_of(const struct page *page)
{
	return &page->flame->stacks->types[page->flame->type];
}

static uint32_t number_of(const struct page *page, const char *name, const char *library,
                          uint32_t flags)
{
	return nova_stacks_frame(
	        page->names,
	        &(struct nova_frame){.name = name, .library = library, .flags = flags});
}

/* --- data ----------------------------------------------------------------------------------------
 */

static void put_comma(struct put *put, bool wanted)
{
	if (wanted)
		put_bytes(put, ",", 1);
}

/* Of each box its frame, how many boxes ended before it, total and self. */
static void put_boxes(const struct page *page)
{
	const struct nova_flame *flame = page->flame;
	struct put *put = page->put;

	put_literal(put, "\"boxes\":[");
	for (uint32_t i = 0; i < flame->count; i++) {
		const struct nova_flame_box *box = &flame->boxes[i];

		put_comma(put, i > 0);
		put_number(put, number_of(page, box->name, box->library, box->flags));
		put_bytes(put, ",", 1);
		put_number(put, i ? flame->boxes[i - 1].depth + 1 - box->depth : 0);
		put_bytes(put, ",", 1);
		put_number(put, box->total);
		put_bytes(put, ",", 1);
		put_number(put, box->self);
	}
	put_literal(put, "],\n");
}

static void put_functions(const struct page *page)
{
	struct put *put = page->put;
	bool both = page->flame->changes != NULL;
	unsigned now = both ? 1 : 0;

	put_literal(put, "\"functions\":[");
	for (uint32_t i = 0; i < page->function_count; i++) {
		const struct flame_function *one = &page->functions[i];
		const struct nova_frame *frame = &page->flame->stacks->frames[one->frame];

		put_comma(put, i > 0);
		put_number(put, number_of(page, frame->name, frame->library, frame->flags));
		put_bytes(put, ",", 1);
		put_number(put, one->self[now]);
		put_bytes(put, ",", 1);
		put_number(put, one->total[now]);
		for (int side = 0; both && side < 2; side++) {
			put_bytes(put, ",", 1);
			put_number(put, side ? one->total[0] : one->self[0]);
		}
	}
	put_literal(put, "],\n");
}

#define WORDS 16u

static uint32_t word_number(const char **words, uint32_t *count, const char *word)
{
	uint32_t i = 0;

	while (i < *count && words[i] != word)
		i++;
	if (i == *count && i + 1 < WORDS)
		words[(*count)++] = word;
	return i;
}

/* Of each box total, self, width, colour and word, before; and q. */
static void put_changes(const struct page *page)
{
	const struct nova_flame *flame = page->flame;
	struct put *put = page->put;
	const char *words[WORDS];
	uint32_t count = 0;
	char text[32];

	if (!flame->changes) {
		put_literal(put, "\"changes\":null,\n");
		return;
	}
	put_literal(put, "\"changes\":[");
	for (uint32_t i = 0; i < flame->count; i++) {
		const struct nova_flame_change *change = &flame->changes[i];

		put_comma(put, i > 0);
		put_number(put, change->total);
		put_bytes(put, ",", 1);
		put_number(put, change->self);
		snprintf(text, sizeof(text), ",%.9g,", change->width);
		put_literal(put, text);
		put_number(put, flame_change_colour(&flame->boxes[i], change, flame->boxes[0].total,
		                                    flame->changes[0].total));
		put_bytes(put, ",", 1);
		put_number(put,
		           word_number(words, &count, flame_mark_name(&flame->boxes[i], change)));
	}
	put_literal(put, "],\n\"words\":[");
	for (uint32_t i = 0; i < count; i++) {
		put_comma(put, i > 0);
		put_json(put, words[i]);
	}
	put_literal(put, "],\n\"q\":[");
	for (uint32_t i = 0; i < flame->count; i++) {
		put_comma(put, i > 0);
		if (!flame_is_tested(&flame->changes[i])) {
			put_literal(put, "null");
		} else {
			snprintf(text, sizeof(text), "%.2g", flame->changes[i].q);
			put_literal(put, text);
		}
	}
	put_literal(put, "],\n");
}

/* Of each frame name, library, kind in a word ("" for what is ordinary) and colour. */
static void put_frames(const struct page *page)
{
	struct put *put = page->put;

	put_literal(put, "\"frames\":[");
	for (uint32_t i = 0; i < page->names->frame_count; i++) {
		const struct nova_frame *frame = &page->names->frames[i];
		enum flame_kind kind = flame_kind(frame->name, frame->flags);

		put_literal(put, i ? ",\n[" : "[");
		put_json(put, frame->name);
		put_bytes(put, ",", 1);
		put_json(put, frame->library);
		put_literal(put, ",\"");
		put_literal(put,
		            kind == FLAME_USER || kind == FLAME_OTHER ? "" : flame_kind_name(kind));
		put_literal(put, "\",");
		put_number(put, flame_colour(frame->name, frame->flags));
		put_literal(put, "]");
	}
	put_literal(put, "],\n");
}

static void put_data(const struct page *page)
{
	struct put *put = page->put;
	char hex[8];

	put_literal(put, "<script type=\"application/json\" id=\"data\">{\n\"unit\":");
	put_json(put, type_of(page)->unit);
	put_literal(put, ",\"what\":");
	put_json(put, strcmp(type_of(page)->unit, "count") != 0 ? type_of(page)->unit
	                                                        : type_of(page)->type);
	put_literal(put, ",\n");
	put_boxes(page);
	put_changes(page);
	put_functions(page);
	put_frames(page); /* all have been named by now */
	put_literal(put, "\"colours\":[");
	for (unsigned i = 0; i < FLAME_COLOURS; i++) {
		flame_colour_hex(i, hex);
		put_literal(put, i ? ",\"" : "\"");
		put_literal(put, hex);
		put_literal(put, "\"");
	}
	put_literal(put, "]\n}</script>\n");
}

/* --- the table, to be read -----------------------------------------------------------------------
 */

static void put_cell_percent(struct put *put, double value)
{
	char text[48];

	snprintf(text, sizeof(text), "<td class=\"n\">%.2f %%</td>", 100 * value);
	put_literal(put, text);
}

static void put_cell_points(struct put *put, double value)
{
	char text[48];

	snprintf(text, sizeof(text), "<td class=\"n\">%s%.2f</td>", value < 0 ? "−" : "+",
	         100 * fabs(value));
	put_literal(put, text);
}

static void put_cell_value(const struct page *page, uint64_t value)
{
	put_literal(page->put, "<td class=\"n\">");
	put_value(page->put, type_of(page), value);
	put_literal(page->put, "</td>");
}

static void put_row(const struct page *page, const struct flame_function *one)
{
	const struct nova_flame *flame = page->flame;
	const struct nova_frame *frame = &flame->stacks->frames[one->frame];
	uint64_t all = flame->boxes[0].total;
	struct put *put = page->put;

	put_literal(put, "<tr><th scope=\"row\">");
	put_text(put, frame->name);
	if (frame->library[0]) {
		put_literal(put, " ");
		put_text(put, frame->library);
	}
	put_literal(put, "</th>");
	if (flame->changes) {
		uint64_t before = flame->changes[0].total;

		for (int what = 0; what < 2; what++) {
			const uint64_t *sides = what ? one->total : one->self;

			put_cell_percent(put, flame_share(sides[0], before));
			put_cell_percent(put, flame_share(sides[1], all));
			put_cell_points(put,
			                flame_share(sides[1], all) - flame_share(sides[0], before));
		}
	} else {
		put_cell_percent(put, flame_share(one->self[0], all));
		put_cell_value(page, one->self[0]);
		put_cell_percent(put, flame_share(one->total[0], all));
		put_cell_value(page, one->total[0]);
	}
	put_literal(put, "</tr>\n");
}

static void put_table(const struct page *page)
{
	static const char *const PLAIN[] = {"Self", "Self, counted", "Total", "Total, counted",
	                                    NULL};
	static const char *const BOTH[] = {
	        "Self before",   "Self after", "Self, points", "Total before", "Total after",
	        "Total, points", NULL};
	struct put *put = page->put;

	put_literal(put,
	            "<section id=\"functions\" aria-labelledby=\"f\"><h2 id=\"f\">Functions</h2>\n"
	            "<div class=\"scroll\"><table><caption>What each function has itself, and with "
	            "all that it calls; a recursion counts once. <span id=\"listed\">");
	put_grouped(put, page->function_count < ROWS_READ ? page->function_count : ROWS_READ);
	put_literal(put, " of ");
	put_grouped(put, page->function_count);
	put_literal(put, " functions</span></caption>\n<thead><tr><th scope=\"col\">Function</th>");
	for (const char *const *head = page->flame->changes ? BOTH : PLAIN; *head; head++) {
		put_literal(put, "<th scope=\"col\" class=\"n\">");
		put_literal(put, *head);
		put_literal(put, "</th>");
	}
	put_literal(put, "</tr></thead>\n<tbody>\n");
	for (uint32_t i = 0; i < page->function_count && i < ROWS_READ; i++)
		put_row(page, &page->functions[i]);
	put_literal(put, "</tbody></table></div>\n<p><button type=\"button\" id=\"more\" "
	                 "hidden>more</button></p></section>\n");
}

/* --- the page ------------------------------------------------------------------------------------
 */

static void put_legend_entry(struct put *put, unsigned colour, const char *text)
{
	char hex[8];

	flame_colour_hex(colour, hex);
	put_literal(put, "<li><svg aria-hidden=\"true\" viewBox=\"0 0 1 1\"><path fill=\"");
	put_literal(put, hex);
	put_literal(put, "\" d=\"M0 0h1v1H0z\"/></svg>");
	put_literal(put, text);
	put_literal(put, "</li>");
}

static void put_legend(const struct page *page)
{
	struct put *put = page->put;
	bool seen[FLAME_KINDS];

	put_literal(put, "<ul class=\"legend\">");
	if (page->flame->changes) {
		put_legend_entry(put, FLAME_KINDS * FLAME_SHADES + FLAME_STEPS + 2, "more");
		put_legend_entry(put, FLAME_NEW, "new");
		put_legend_entry(put, FLAME_KINDS * FLAME_SHADES + 2, "less, or vanished");
		put_legend_entry(put, FLAME_NOISE, "noise, or too few samples to tell");
	} else {
		flame_kinds(page->flame, seen);
		for (unsigned i = 0; i < FLAME_KINDS; i++)
			if (seen[i])
				put_legend_entry(put, i * FLAME_SHADES + 2, flame_kind_name(i));
	}
	put_literal(put, "</ul>\n");
}

static void put_tools(const struct page *page)
{
	struct put *put = page->put;

	put_literal(
	        put,
	        "<section aria-labelledby=\"g\"><h2 id=\"g\">Flame graph</h2>\n"
	        "<noscript><p>The picture needs scripts; the table below does not. novacore "
	        "flame also writes SVG, which needs none.</p></noscript>\n"
	        "<div class=\"tools\" data-live hidden><input type=\"search\" id=\"search\" "
	        "aria-label=\"search functions\" placeholder=\"search: /\"><output "
	        "id=\"found\"></output><button type=\"button\" id=\"back\">back</button><button "
	        "type=\"button\" id=\"reset\">reset</button>");
	if (page->flame->changes)
		put_literal(
		        put,
		        "<label>as wide as <select id=\"layout\"><option value=\"both\">the mean "
		        "of both sides</option><option value=\"after\">after</option><option "
		        "value=\"before\">before</option></select></label>");
	put_literal(
	        put,
	        "</div>\n<div id=\"graph\" data-live hidden tabindex=\"0\" role=\"application\" "
	        "aria-label=\"flame graph; arrow keys go from function to function\" "
	        "aria-describedby=\"info\"><canvas></canvas><div id=\"deep\"></div></div>\n"
	        "<p id=\"info\" role=\"status\" data-live hidden></p>\n");
	put_legend(page);
	put_literal(
	        put,
	        "<p class=\"keys\" data-live hidden>Click or Enter zooms; arrows walk; Backspace "
	        "zooms out by one; Escape resets; / searches.</p></section>\n");
}

int nova_flame_write_html(const struct nova_flame *flame, const char *title, FILE *file,
                          struct nova_error *error)
{
	const struct nova_value_type nothing = {"", ""};
	struct page page = {.put = nova_alloc(sizeof(*page.put)),
	                    .flame = flame,
	                    .names = nova_stacks_new(&nothing, 1)};
	int code;

	page.put->file = file;
	page.functions = flame_table(flame->stacks, flame->changes ? 0 : flame->type,
	                             flame->changes ? 2 : 1, &page.function_count);
	if (!title)
		title = "Flame graph";
	put_literal(page.put,
	            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	            "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
	            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	            "script-src 'unsafe-inline'; style-src 'unsafe-inline'\">\n<title>");
	put_text(page.put, title);
	put_literal(page.put, "</title>\n<style>\n");
	put_literal(page.put, flame_html_style);
	put_literal(page.put,
	            "</style></head>\n<body><a class=\"skip\" href=\"#functions\">to the table "
	            "of functions</a>\n<header><h1>");
	put_text(page.put, title);
	put_literal(page.put, "</h1>\n");
	put_literal(page.put, "<p class=\"sub\">");
	put_summary(page.put, flame);
	put_literal(page.put, ".</p>\n<ul class=\"notes\">");
	put_notes(page.put, flame, "<li>", "</li>");
	put_literal(page.put, "</ul>\n");
	put_literal(page.put, "</header>\n<main>\n");
	put_tools(&page);
	put_table(&page);
	put_literal(page.put, "</main>\n");
	put_data(&page);
	put_literal(page.put, "<script>\n");
	put_literal(page.put, flame_html_script);
	put_literal(page.put, "</script>\n</body></html>\n");
	code = put_end(page.put, error);
	free(page.functions);
	nova_stacks_free(page.names);
	free(page.put);
	return code;
}
