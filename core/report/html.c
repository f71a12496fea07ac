/* SPDX-License-Identifier: MIT */
/*
 * The HTML report: one file that needs nothing else, no network and no script. It reads from top to
 * bottom: what came out, each step, history, what was left out, where and what, how to do it again.
 *
 * It is well-formed as XML, too (elements are closed, no named entities but XML's): so tests and
 * the fuzzer can prove that nothing in a document becomes markup.
 *
 * Its size is bounded by what it tells, not by how many samples there are: a curve has at most 160
 * points, a series 240 columns, a timeline 2,000 lines of about 60 bytes, a text 2,000 bytes. 800
 * VMs with 12 metrics come to some 150 kB.
 */
#include "core/report/html.h"

#include <stdlib.h>
#include <string.h>

/* --- the head -------------------------------------------------------------------------------- */

static const char policy[] = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
                             "base-uri 'none'; form-action 'none'";

/* "development on local (sim)": what the page is called. */
static char *title_of(const json_t *result)
{
	json_t *targets = json_object_get(result, "targets"), *target;
	struct nova_text title = {0};
	size_t i;

	nova_text_addf(&title, "%s", nova_report_text(json_object_get(result, "run"), "profile"));
	json_array_foreach(targets, i, target)
	{
		if (i == 4) {
			nova_text_addf(&title, " and %zu more", json_array_size(targets) - i);
			break;
		}
		nova_text_addf(&title, "%s%s (%s)", i ? ", " : " on ",
		               nova_report_text(target, "name"),
		               nova_report_text(target, "plugin"));
	}
	return title.data;
}

static void add_fact(struct nova_text *out, const char *name, const char *value)
{
	nova_text_addf(out, "<div><dt>%s</dt><dd>", name);
	nova_html_text(out, value);
	nova_text_add(out, "</dd></div>");
}

static void add_head(struct nova_html *html)
{
	const json_t *run = json_object_get(html->result, "run");
	NOVA_AUTOFREE char *title = title_of(html->result);
	const char *version = nova_report_text(run, "novacore"),
	           *ended = nova_report_text(run, "ended");
	NOVA_AUTOFREE char *seed = nova_format("%lld", nova_report_integer(run, "seed"));
	struct nova_text *out = &html->out;

	nova_text_addf(out,
	               "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
	               "<meta http-equiv=\"Content-Security-Policy\" content=\"%s\"/>\n"
	               "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
	               "<meta name=\"color-scheme\" content=\"light dark\"/>\n"
	               "<meta name=\"generator\" content=\"novacore\"/>\n<title>",
	               policy);
	nova_html_textf(out, "novacore: %s", title);
	nova_text_addf(out,
	               "</title>\n<style>%s</style>\n</head>\n<body>\n"
	               "<a class=\"skip\" href=\"#summary\">Skip to the summary</a>\n",
	               nova_html_style);
	nova_html_symbols(out);
	nova_text_add(out, "<header><p class=\"brand\">novacore <span>report</span></p>\n");
	nova_html_element(out, "h1", NULL, title);
	nova_text_add(out, "\n<dl class=\"run\">");
	add_fact(out, "Run", nova_report_text(run, "id"));
	add_fact(out, "State", nova_report_text(run, "state"));
	add_fact(out, "Started", nova_report_text(run, "started"));
	add_fact(out, "Ended", ended ? ended : "not yet");
	add_fact(out, "Seed", seed);
	add_fact(out, "novacore", version ? version : "unknown");
	nova_text_add(out, "</dl>\n</header>\n");
}

/* What nobody may miss who reads a number of this page. */
static void add_labels(struct nova_html *html)
{
	json_t *one;
	size_t i;
	bool simulated = false, emulated = false, control = false;
	struct nova_text *out = &html->out;

	json_array_foreach(json_object_get(html->result, "targets"), i, one)
	{
		simulated |= json_is_true(json_object_get(one, "simulated"));
		emulated |= !strcmp(nova_json_text(one, "accel"), "tcg");
	}
	json_array_foreach(json_object_get(html->result, "steps"), i, one) control |=
	        nova_report_is_control_plane(one);
	if (simulated)
		nova_text_add(out, "<p class=\"label\"><b>Simulated.</b> Latencies were drawn, no "
		                   "hypervisor ran: these are not measurements of one.</p>\n");
	if (emulated)
		nova_text_add(out, "<p class=\"label\"><b>Emulated (TCG).</b> The guests' "
		                   "instructions were translated, not run by the CPU: "
		                   "compare only with other emulated runs.</p>\n");
	if (control)
		nova_text_add(out, "<p class=\"label\"><b>Control-plane test.</b> Guests of some "
		                   "steps are stubs that run no operating system.</p>\n");
}

/* --- the summary ----------------------------------------------------------------------------- */

static void add_tiles(struct nova_html *html, const unsigned counts[NOVA_REPORT_VERDICTS])
{
	struct nova_text *out = &html->out;

	nova_text_add(out, "<ul class=\"tiles\" aria-label=\"Verdicts\">");
	for (size_t i = 0; i < NOVA_REPORT_VERDICTS; i++) {
		if (!counts[i])
			continue;
		nova_text_addf(out, "<li><b>%u</b> ", counts[i]);
		nova_html_verdict(out, nova_report_verdicts[i]);
		nova_text_add(out, "</li>");
	}
	nova_text_add(out, "</ul>\n");
}

/* Begins a line for what was missed, open or got worse; false: it was not. */
static bool begin_missed(struct nova_text *out, const json_t *step, const json_t *judged,
                         size_t *count)
{
	const char *verdict = nova_json_text(judged, "verdict");

	if (strcmp(verdict, "needs optimization") != 0 && strcmp(verdict, "regressed") != 0 &&
	    strcmp(verdict, "inconclusive") != 0)
		return false;
	nova_text_add(out, (*count)++ ? "<li>" : "<ul class=\"look\">\n<li>");
	nova_html_verdict(out, verdict);
	nova_text_addf(out, " <a href=\"#step-%lld\"><code>", nova_report_integer(step, "index"));
	nova_html_text(out, nova_json_text(judged, "name"));
	nova_text_add(out, "</code></a> ");
	return true;
}

static void add_missed_comparison(struct nova_text *out, const json_t *step, const json_t *one,
                                  size_t *count)
{
	if (!begin_missed(out, step, one, count))
		return;
	nova_html_effect(out, one);
	nova_html_element(out, "small", NULL, nova_json_text(one, "verdict_why"));
	nova_text_add(out, "</li>\n");
}

/* With what to do. */
static void add_missed(struct nova_text *out, const json_t *step, const json_t *metric,
                       size_t *count)
{
	NOVA_AUTOFREE char *value = nova_report_value(metric);
	NOVA_AUTOFREE char *goal = nova_report_goal(metric);
	const char *why = nova_report_text(metric, "verdict_why");
	const char *advice = nova_report_advice(metric);

	if (!begin_missed(out, step, metric, count))
		return;
	nova_html_textf(out, "%s%s%s", value, goal ? "; goal " : "", goal ? goal : "");
	if (why || advice) {
		nova_text_add(out, "<small>");
		nova_html_textf(out, "%s%s%s", why ? why : "", why && advice ? "; " : "",
		                advice ? advice : "");
		nova_text_add(out, "</small>");
	}
	nova_text_add(out, "</li>\n");
}

static void add_step_row(struct nova_html *html, const json_t *step)
{
	NOVA_AUTOFREE char *title = nova_report_step_title(html->result, step);
	NOVA_AUTOFREE char *params = nova_report_params(step);
	const json_t *counts = json_object_get(step, "counts");
	const char *state = nova_report_text(step, "state");
	struct nova_text *out = &html->out;

	nova_text_addf(out, "<tr><td class=\"number\">%lld</td><th scope=\"row\">",
	               nova_report_integer(step, "index") + 1);
	if (strcmp(state, "skipped") != 0)
		nova_text_addf(out, "<a href=\"#step-%lld\">", nova_report_integer(step, "index"));
	nova_html_text(out, title);
	nova_text_add(out, strcmp(state, "skipped") != 0 ? "</a><small>" : "<small>");
	nova_html_text(out, params);
	nova_text_add(out, "</small></th>");
	nova_html_element(out, "td", NULL, state);
	nova_text_addf(
	        out,
	        "<td class=\"number\">%lld</td><td class=\"number\">%lld</td>"
	        "<td class=\"number\">%lld</td><td class=\"number\">%lld</td></tr>\n",
	        nova_report_integer(counts, "attempted"), nova_report_integer(counts, "succeeded"),
	        nova_report_integer(counts, "failed"), nova_report_integer(counts, "timed_out"));
}

static void add_step_table(struct nova_html *html)
{
	json_t *steps = json_object_get(html->result, "steps"), *step;
	struct nova_text *out = &html->out;
	size_t i;

	if (!json_array_size(steps)) {
		nova_text_add(out, "<p>The run has no step.</p>\n");
		return;
	}
	nova_text_add(out,
	              "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Steps\">"
	              "<table><caption>Steps</caption><thead><tr><th scope=\"col\" "
	              "class=\"number\">#</th><th scope=\"col\">step</th><th "
	              "scope=\"col\">state</th><th scope=\"col\" "
	              "class=\"number\">attempted</th><th scope=\"col\" "
	              "class=\"number\">succeeded</th><th scope=\"col\" "
	              "class=\"number\">failed</th><th scope=\"col\" "
	              "class=\"number\">timed out</th></tr></thead><tbody>\n");
	json_array_foreach(steps, i, step) add_step_row(html, step);
	nova_text_add(out, "</tbody></table></div>\n");
}

static void add_summary(struct nova_html *html)
{
	unsigned counts[NOVA_REPORT_VERDICTS];
	NOVA_AUTOFREE char *sentence = nova_report_sentence(html->result, counts);
	struct nova_text *out = &html->out;
	json_t *step, *metric;
	size_t i, j, missed = 0;

	nova_text_add(out, "<section id=\"summary\" aria-labelledby=\"h-summary\"><h2 "
	                   "id=\"h-summary\">Summary</h2>\n");
	nova_html_element(out, "p", "class=\"lede\"", sentence);
	nova_text_add(out, "\n");
	add_labels(html);
	add_tiles(html, counts);
	json_array_foreach(json_object_get(html->result, "steps"), i, step)
	{
		/* It has no section to lead to. */
		if (!strcmp(nova_report_text(step, "state"), "skipped"))
			continue;
		json_array_foreach(json_object_get(step, "metrics"), j, metric)
		        add_missed(out, step, metric, &missed);
		json_array_foreach(json_object_get(step, "comparisons"), j, metric)
		        add_missed_comparison(out, step, metric, &missed);
	}
	nova_text_add(out, missed ? "</ul>\n" : "");
	add_step_table(html);
	nova_text_add(out, "</section>\n");
}

/* --- the rest -------------------------------------------------------------------------------- */

static void add_steps(struct nova_html *html)
{
	json_t *step;
	size_t i, told = 0;

	json_array_foreach(json_object_get(html->result, "steps"), i, step)
	{
		/* It stands with its reason under "Left out". */
		if (!strcmp(nova_report_text(step, "state"), "skipped"))
			continue;
		if (!told++)
			nova_text_add(&html->out,
			              "<section id=\"steps\" aria-labelledby=\"h-steps\"><h2 "
			              "id=\"h-steps\">Step by step</h2>\n");
		nova_html_step(html, step);
	}
	nova_text_add(&html->out, told ? "</section>\n" : "");
}

static void add_skipped(struct nova_html *html)
{
	json_t *skipped = json_object_get(html->result, "skipped"), *one;
	struct nova_text *out = &html->out;
	size_t i;

	if (!json_array_size(skipped))
		return;
	nova_text_add(out, "<section id=\"skipped\" aria-labelledby=\"h-skipped\"><h2 "
	                   "id=\"h-skipped\">Left out, and why</h2>\n<ul>\n");
	json_array_foreach(skipped, i, one)
	{
		NOVA_AUTOFREE char *what = nova_report_skipped(one);
		const char *fix = nova_report_text(one, "fix");

		nova_text_add(out, "<li>");
		nova_html_element(out, "b", NULL, what);
		nova_html_textf(out, " %s%s%s", nova_report_text(one, "why"), fix ? "; " : "",
		                fix ? fix : "");
		nova_text_add(out, "</li>\n");
	}
	nova_text_add(out, "</ul></section>\n");
}

static void add_proposals(struct nova_html *html)
{
	json_t *proposals = json_object_get(html->result, "proposals"), *one;
	struct nova_text *out = &html->out;
	size_t i;

	if (!json_array_size(proposals))
		return;
	nova_text_add(out, "<section id=\"proposals\" aria-labelledby=\"h-proposals\"><h2 "
	                   "id=\"h-proposals\">Proposals</h2>\n<ul>\n");
	json_array_foreach(proposals, i, one)
	{
		const char *slug = nova_json_text(one, "slug");

		nova_text_add(out, "<li>");
		nova_html_element(out, "b", NULL, *slug ? slug : "proposal");
		nova_html_textf(out, " %s", nova_json_text(one, "why"));
		nova_text_add(out, "</li>\n");
	}
	nova_text_add(out, "</ul></section>\n");
}

static void add_notes(struct nova_html *html)
{
	json_t *notes = json_object_get(html->result, "notes"), *note;
	size_t i;

	if (!json_array_size(notes))
		return;
	nova_text_add(&html->out, "<section id=\"notes\" aria-labelledby=\"h-notes\"><h2 "
	                          "id=\"h-notes\">Notes</h2>\n<ul>\n");
	json_array_foreach(notes, i, note)
	{
		nova_html_element(&html->out, "li", NULL, json_string_value(note));
		nova_text_add(&html->out, "\n");
	}
	nova_text_add(&html->out, "</ul></section>\n");
}

static void add_facts(struct nova_html *html, const char *which, const char *meaning)
{
	const json_t *part = json_object_get(html->result, which);
	json_t *facts = json_object_get(part, "facts"), *value;
	struct nova_text *out = &html->out;
	const char *key, *hash = nova_report_text(part, "hash");

	nova_text_addf(out, "<h3>%s</h3>\n<p class=\"hint\">%s", which, meaning);
	nova_html_textf(out, " Its digest is %.12s.", *hash ? hash : "not known");
	nova_text_add(out, "</p>\n<dl class=\"facts\">\n");
	json_object_foreach(facts, key, value)
	{
		nova_text_add(out, "<div>");
		nova_html_element(out, "dt", NULL, key);
		nova_text_add(out, "<dd>");
		nova_html_fact(out, value);
		nova_text_add(out, "</dd></div>\n");
	}
	nova_text_add(out, "</dl>\n");
}

static void add_target(struct nova_html *html, const json_t *target)
{
	static const struct {
		const char *member, *title;
	} rows[] = {{"plugin", "driver"},     {"product", "product"}, {"version", "version"},
	            {"accel", "accelerator"}, {"why", "because"},     {"uri", "address"}};
	json_t *capabilities = json_object_get(target, "capabilities"), *capability;
	struct nova_text *out = &html->out;
	const char *name;

	nova_text_add(out, "<h3>Target ");
	nova_html_text(out, nova_report_text(target, "name"));
	nova_text_add(out, "</h3>\n<dl class=\"facts\">\n");
	for (size_t i = 0; i < NOVA_COUNT(rows); i++)
		if (nova_report_text(target, rows[i].member))
			add_fact(out, rows[i].title, nova_report_text(target, rows[i].member));
	json_object_foreach(capabilities, name, capability)
	{
		if (json_is_true(json_object_get(capability, "ok")))
			continue;
		const char *why = nova_report_text(capability, "why");

		nova_text_add(out, "<div><dt>cannot ");
		nova_html_text(out, name);
		nova_text_add(out, "</dt><dd>");
		nova_html_text(out, why ? why : "no reason given");
		nova_text_add(out, "</dd></div>\n");
	}
	nova_text_add(out, "</dl>\n");
}

static void add_place(struct nova_html *html)
{
	json_t *target;
	size_t i;

	nova_text_add(&html->out, "<section id=\"place\" aria-labelledby=\"h-place\"><h2 "
	                          "id=\"h-place\">Where and what</h2>\n");
	add_facts(html, "where", "What must be the same in two runs that are compared.");
	add_facts(html, "what", "What may differ between them, and is being compared.");
	json_array_foreach(json_object_get(html->result, "targets"), i, target)
	        add_target(html, target);
	nova_text_add(&html->out, "</section>\n");
}

static void add_again(struct nova_html *html)
{
	NOVA_AUTOFREE char *command = nova_report_command(html->result);
	const char *id = nova_report_text(json_object_get(html->result, "run"), "id");
	struct nova_text *out = &html->out;

	nova_text_add(out,
	              "<section id=\"again\" aria-labelledby=\"h-again\"><h2 id=\"h-again\">Do it "
	              "again</h2>\n");
	if (command) {
		nova_text_add(out,
		              "<p>The same suite with the same order of repetitions; settings of "
		              "configuration files are not in it:</p>\n<pre tabindex=\"0\"><code>");
		nova_html_text(out, command);
		nova_text_add(out, "</code></pre>\n");
	}
	nova_text_addf(out,
	               "<p>Every sample of it, where the run is stored:</p>\n<pre "
	               "tabindex=\"0\"><code>novacore results export %s --output "
	               "r.json</code></pre>\n</section>\n",
	               id);
}

static void add_contents(struct nova_html *html)
{
	static const struct {
		const char *id, *title, *member;
	} parts[] = {{"summary", "Summary", NULL},       {"steps", "Step by step", "steps"},
	             {"skipped", "Left out", "skipped"}, {"proposals", "Proposals", "proposals"},
	             {"place", "Where and what", NULL},  {"again", "Do it again", NULL}};

	nova_text_add(&html->out, "<nav aria-label=\"Contents\"><ul>");
	for (size_t i = 0; i < NOVA_COUNT(parts); i++)
		if (!parts[i].member ||
		    json_array_size(json_object_get(html->result, parts[i].member)))
			nova_text_addf(&html->out, "<li><a href=\"#%s\">%s</a></li>", parts[i].id,
			               parts[i].title);
	nova_text_add(&html->out, "</ul></nav>\n<main>\n");
}

void nova_report_html(const json_t *result, FILE *out, const struct nova_report_options *options)
{
	struct nova_html html = {.result = result, .options = options};

	add_head(&html);
	add_contents(&html);
	add_summary(&html);
	add_steps(&html);
	nova_html_history(&html);
	add_skipped(&html);
	add_proposals(&html);
	add_notes(&html);
	add_place(&html);
	add_again(&html);
	nova_text_add(&html.out,
	              "</main>\n<footer><p>Written by novacore. This page is complete: it "
	              "loads nothing and runs nothing.</p></footer>\n</body>\n</html>\n");
	fwrite(html.out.data, 1, html.out.length, out);
	nova_text_free(&html.out);
}
