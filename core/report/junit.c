/* SPDX-License-Identifier: MIT */
/*
 * JUnit XML as CI systems read it: a suite per step, a test case per metric that has a goal. A
 * missed goal is a failure, as is a regression; an inconclusive one is skipped, a step that failed
 * is an error.
 */
#include "core/report/internal.h"

#include <string.h>

/* Length of the UTF-8 sequence at `at`, 0 if it is none (RFC 3629), and its character. */
static size_t read_utf8(const unsigned char *at, uint32_t *character)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = *at < 0x80       ? 1
	                : *at >> 5 == 6  ? 2
	                : *at >> 4 == 14 ? 3
	                : *at >> 3 == 30 ? 4
	                                 : 0;

	if (length == 0)
		return 0;
	*character = length == 1 ? *at : *at & (0xffu >> (length + 1));
	for (size_t i = 1; i < length; i++) {
		if (at[i] >> 6 != 2)
			return 0;
		*character = *character << 6 | (at[i] & 0x3f);
	}
	return *character >= least[length] && *character <= 0x10ffff ? length : 0;
}

/* XML 1.0, production [2] Char. */
static bool xml_holds(uint32_t c)
{
	return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c <= 0xd7ff) ||
	       (c >= 0xe000 && c <= 0xfffd) || c >= 0x10000;
}

void nova_report_xml(struct nova_text *out, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	while (*at) {
		uint32_t character = 0;
		size_t length = read_utf8(at, &character);

		if (!length || !xml_holds(character))
			nova_text_add(out, "\xef\xbf\xbd");
		else if (character == '<')
			nova_text_add(out, "&lt;");
		else if (character == '>')
			nova_text_add(out, "&gt;");
		else if (character == '&')
			nova_text_add(out, "&amp;");
		else if (character == '"')
			nova_text_add(out, "&quot;");
		else if (character < 0x20) /* else an attribute's line breaks become blanks */
			nova_text_addf(out, "&#%u;", character);
		else
			nova_text_add_bytes(out, at, length);
		at += length ? length : 1;
	}
}

static void add_attribute(struct nova_text *out, const char *name, const char *value)
{
	nova_text_addf(out, " %s=\"", name);
	nova_report_xml(out, value ? value : "");
	nova_text_add(out, "\"");
}

struct tally {
	unsigned tests, failures, errors, skipped;
};

static void add_outcome(struct nova_text *out, const json_t *metric, struct tally *tally)
{
	const char *verdict = nova_report_text(metric, "verdict");
	const char *why = nova_report_text(metric, "verdict_why");
	const char *advice = nova_report_text(metric, "advice");
	NOVA_AUTOFREE char *goal = nova_report_goal(metric);
	NOVA_AUTOFREE char *value = nova_report_value(metric);
	NOVA_AUTOFREE char *line = nova_format(
	        "%s, goal %s: %s%s%s%s%s", value, goal ? goal : "none", verdict, why ? ", " : "",
	        why ? why : "", advice ? "; " : "", advice ? advice : "");

	bool regressed = !strcmp(verdict, "regressed");

	if (regressed || !strcmp(verdict, "needs optimization")) {
		nova_text_add(out, "   <failure");
		add_attribute(out, "message", line);
		add_attribute(out, "type", regressed ? "regression" : "goal missed");
		tally->failures++;
	} else if (!strcmp(verdict, "inconclusive") || !strcmp(verdict, "none")) {
		nova_text_add(out, "   <skipped");
		add_attribute(out, "message", line);
		tally->skipped++;
	} else {
		nova_text_add(out, "   <system-out>");
		nova_report_xml(out, line);
		nova_text_add(out, "</system-out>\n");
		return;
	}
	nova_text_add(out, "/>\n");
}

/* The test case of a comparison: only one with a goal is a test. */
static void add_comparison(struct nova_text *out, const char *title, const json_t *comparison,
                           struct tally *tally)
{
	const char *verdict = nova_report_text(comparison, "verdict");
	const char *why = nova_report_text(comparison, "verdict_why");
	NOVA_AUTOFREE char *effect = nova_report_effect(comparison);
	NOVA_AUTOFREE char *line =
	        nova_format("%s: %s%s%s", effect, verdict, why ? ", " : "", why ? why : "");
	bool missed = !strcmp(verdict, "needs optimization");
	bool open = !strcmp(verdict, "inconclusive");

	if (!strcmp(verdict, "none"))
		return;
	tally->tests++;
	tally->failures += missed;
	tally->skipped += open;
	nova_text_add(out, "  <testcase");
	add_attribute(out, "classname", title);
	add_attribute(out, "name", nova_report_text(comparison, "name"));
	nova_text_addf(out, ">\n   <%s", missed ? "failure" : open ? "skipped" : "system-out");
	if (missed || open) {
		add_attribute(out, "message", line);
		if (missed)
			add_attribute(out, "type", "goal missed");
		nova_text_add(out, "/>\n");
	} else {
		nova_text_add(out, ">");
		nova_report_xml(out, line);
		nova_text_add(out, "</system-out>\n");
	}
	nova_text_add(out, "  </testcase>\n");
}

static void add_metric(struct nova_text *out, const char *title, const json_t *metric,
                       struct tally *tally)
{
	const char *side = nova_report_text(metric, "side");
	NOVA_AUTOFREE char *name = nova_format(
	        "%s%s%s%s", nova_report_text(metric, "name"), strcmp(side, "vm") ? " (" : "",
	        strcmp(side, "vm") ? side : "", strcmp(side, "vm") ? ")" : "");

	tally->tests++;
	nova_text_add(out, "  <testcase");
	add_attribute(out, "classname", title);
	add_attribute(out, "name", name);
	nova_text_add(out, ">\n");
	add_outcome(out, metric, tally);
	nova_text_add(out, "  </testcase>\n");
}

/* The step as a whole: only if it did not do what was planned. */
static void add_step_state(struct nova_text *out, const char *title, const json_t *step,
                           struct tally *tally)
{
	const char *state = nova_report_text(step, "state"), *why = nova_report_text(step, "why");
	bool lost = !strcmp(state, "failed") || !strcmp(state, "lost");
	NOVA_AUTOFREE char *message = nova_format("%s%s%s", state, why ? ": " : "", why ? why : "");

	if (!strcmp(state, "done"))
		return;
	tally->tests++;
	tally->errors += lost ? 1 : 0;
	tally->skipped += lost ? 0 : 1;
	nova_text_add(out, "  <testcase");
	add_attribute(out, "classname", title);
	add_attribute(out, "name", "step");
	nova_text_addf(out, ">\n   <%s", lost ? "error" : "skipped");
	add_attribute(out, "message", message);
	if (lost)
		add_attribute(out, "type", state);
	nova_text_add(out, "/>\n  </testcase>\n");
}

static void write_step(const json_t *result, const json_t *step, FILE *out)
{
	NOVA_AUTOFREE char *title = nova_report_step_title(result, step);
	NOVA_AUTOTEXT struct nova_text cases = {0}, head = {0};
	struct tally tally = {0};
	size_t i;
	json_t *metric;

	add_step_state(&cases, title, step, &tally);
	json_array_foreach(json_object_get(step, "metrics"), i, metric)
	        add_metric(&cases, title, metric, &tally);
	json_array_foreach(json_object_get(step, "comparisons"), i, metric)
	        add_comparison(&cases, title, metric, &tally);
	nova_text_add(&head, " <testsuite");
	add_attribute(&head, "name", title);
	nova_text_addf(&head, " id=\"%lld\"", nova_report_integer(step, "index"));
	nova_text_addf(&head, " tests=\"%u\" failures=\"%u\" errors=\"%u\" skipped=\"%u\"",
	               tally.tests, tally.failures, tally.errors, tally.skipped);
	if (nova_report_text(step, "started"))
		add_attribute(&head, "timestamp", nova_report_text(step, "started"));
	fprintf(out, "%s>\n%s </testsuite>\n", nova_text_get(&head), nova_text_get(&cases));
}

void nova_report_junit(const json_t *result, FILE *out)
{
	const json_t *run = json_object_get(result, "run");
	NOVA_AUTOFREE char *title = nova_format("novacore %s %s", nova_report_text(run, "profile"),
	                                        nova_report_text(run, "id"));
	NOVA_AUTOTEXT struct nova_text head = {0};
	size_t i;
	json_t *step;

	add_attribute(&head, "name", title);
	fprintf(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites%s>\n",
	        nova_text_get(&head));
	json_array_foreach(json_object_get(result, "steps"), i, step) write_step(result, step, out);
	fputs("</testsuites>\n", out);
}
