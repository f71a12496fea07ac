/* SPDX-License-Identifier: MIT */
/* Text and values of the HTML report: the only way from a document into the page. */
#include "core/report/html.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void nova_html_text(struct nova_text *out, const char *text)
{
	NOVA_AUTOFREE char *clean = nova_strdup(text ? text : "");
	size_t length = strlen(clean);

	if (length > NOVA_HTML_CLIP) {
		length = NOVA_HTML_CLIP;
		while (length && ((unsigned char)clean[length] & 0xc0) == 0x80)
			length--;
		clean[length] = '\0';
	}
	nova_text_clean(clean);
	nova_report_xml(out, clean);
	if (text && text[length])
		nova_text_add(out, "…");
}

void nova_html_textf(struct nova_text *out, const char *format, ...)
{
	char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		abort();
	va_end(arguments);
	nova_html_text(out, text);
	free(text);
}

void nova_html_element(struct nova_text *out, const char *tag, const char *attributes,
                       const char *text)
{
	nova_text_addf(out, "<%s%s%s>", tag, attributes ? " " : "", attributes ? attributes : "");
	nova_html_text(out, text);
	nova_text_addf(out, "</%s>", tag);
}

void nova_html_value(struct nova_text *out, const json_t *number, uint32_t unit)
{
	char digits[32], value[32];

	if (!json_is_number(number)) {
		nova_text_add(out, "none");
		return;
	}
	nova_report_digits(number, digits);
	nova_value_format(json_number_value(number), unit, value);
	nova_text_addf(out, "<data value=\"%s\">", digits);
	nova_html_text(out, value);
	nova_text_add(out, "</data>");
}

/* --- verdicts -------------------------------------------------------------------------------- */

/* Each has a shape of its own: who sees no colour sees a tick, a wave, a cross … and the word. */
static const struct {
	const char *verdict, *class, *word, *shape;
} verdicts[] = {
        {"pass", "pass", "pass", "<path d=\"M3 8.5 6.5 12 13 4.5\"/>"},
        {"acceptable", "acceptable", "acceptable",
         "<path d=\"M2.5 6.5q2.7-3 5.5 0t5.5 0M2.5 11q2.7-3 5.5 0t5.5 0\"/>"},
        {"needs optimization", "missed", "needs optimization", "<path d=\"M4 4l8 8M12 4l-8 8\"/>"},
        {"regressed", "regressed", "regressed", "<path d=\"M3 4l9 8M12 6.5V12H6.5\"/>"},
        {"inconclusive", "open", "inconclusive",
         "<path d=\"M5.2 5.6q.2-2.6 2.8-2.6t2.8 2.3q0 1.6-1.5 2.3T8 9.8M8 12.3v.9\"/>"},
        {"none", "none", "no goal", "<path d=\"M4 8h8\"/>"},
};

void nova_html_symbols(struct nova_text *out)
{
	nova_text_add(out, "<svg class=\"hidden\" aria-hidden=\"true\" focusable=\"false\"><defs>");
	for (size_t i = 0; i < NOVA_COUNT(verdicts); i++)
		nova_text_addf(out, "<symbol id=\"v-%s\" viewBox=\"0 0 16 16\">%s</symbol>",
		               verdicts[i].class, verdicts[i].shape);
	nova_text_add(out, "</defs></svg>\n");
}

void nova_html_verdict(struct nova_text *out, const char *verdict)
{
	size_t i = 0;

	while (i < NOVA_COUNT(verdicts) && strcmp(verdicts[i].verdict, verdict) != 0)
		i++;
	if (i == NOVA_COUNT(verdicts)) {
		nova_html_element(out, "span", "class=\"verdict\"", verdict);
		return;
	}
	nova_text_addf(out,
	               "<span class=\"verdict %s\"><svg aria-hidden=\"true\" "
	               "focusable=\"false\"><use href=\"#v-%s\"/></svg>%s</span>",
	               verdicts[i].class, verdicts[i].class, verdicts[i].word);
}

void nova_html_fact(struct nova_text *out, const json_t *value)
{
	char digits[32];

	if (json_is_string(value)) {
		nova_html_text(out, json_string_value(value));
	} else if (json_is_number(value)) {
		nova_report_digits(value, digits);
		nova_html_text(out, digits);
	} else {
		NOVA_AUTOFREE char *json = nova_json_canonical(value);
		nova_html_text(out, json_is_null(value) ? "unknown" : json);
	}
}

const char *nova_html_short_name(const json_t *step, const json_t *metric)
{
	const char *name = nova_report_text(metric, "name");
	const char *benchmark = nova_report_text(step, "benchmark");
	size_t length = strlen(benchmark);

	return !strncmp(name, benchmark, length) && name[length] == '.' && name[length + 1]
	               ? name + length + 1
	               : name;
}
