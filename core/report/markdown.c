/* SPDX-License-Identifier: MIT */
/*
 * Markdown as GitHub and GitLab read it (tables), for issues, merge requests and wikis: the
 * summary, a table for each step, what was left out, where and what. What comes from the document
 * can neither become markup nor end a table's cell.
 */
#include "core/report/internal.h"

#include <stdlib.h>
#include <string.h>

/* CommonMark 2.4: any ASCII punctuation may be escaped; '<', '>' and '&' as entities, because not
 * every reader takes "\<". A line break would end a table's row. */
static void add_text(struct nova_text *out, const char *text)
{
	NOVA_AUTOFREE char *clean = nova_strdup(text ? text : "");

	nova_text_clean(clean);
	nova_utf8_repair(clean);
	for (const char *at = clean; *at; at++) {
		if (*at == '\n' || *at == '\r' || *at == '\t')
			nova_text_add(out, " ");
		else if (*at == '<')
			nova_text_add(out, "&lt;");
		else if (*at == '>')
			nova_text_add(out, "&gt;");
		else if (*at == '&')
			nova_text_add(out, "&amp;");
		else if (strchr("\\`*_[]#|~$@", *at) || (*at == ':' && at[1] == '/'))
			nova_text_addf(out, "\\%c", *at);
		else
			nova_text_add_bytes(out, at, 1);
	}
}

static void add_cell(struct nova_text *out, const char *text)
{
	nova_text_add(out, "| ");
	add_text(out, text);
	nova_text_add(out, " ");
}

static void add_line(struct nova_text *out, const char *before, const char *text)
{
	nova_text_add(out, before);
	add_text(out, text);
	nova_text_add(out, "\n");
}

static void add_head(struct nova_text *out, const json_t *result)
{
	const json_t *run = json_object_get(result, "run");
	const char *ended = nova_report_text(run, "ended"),
	           *version = nova_report_text(run, "novacore");
	unsigned counts[NOVA_REPORT_VERDICTS];
	NOVA_AUTOFREE char *sentence = nova_report_sentence(result, counts);
	NOVA_AUTOFREE char *facts =
	        nova_format("Run %s, %s, %s to %s, seed %lld%s%s", nova_report_text(run, "id"),
	                    nova_report_text(run, "state"), nova_report_text(run, "started"),
	                    ended ? ended : "(not ended)", nova_report_integer(run, "seed"),
	                    version ? ", novacore " : "", version ? version : "");
	size_t i;
	json_t *target;

	add_line(out, "# novacore: ", nova_report_text(run, "profile"));
	nova_text_add(out, "\n**");
	add_text(out, sentence);
	nova_text_add(out, "**\n\n");
	add_line(out, "", facts);
	nova_text_add(out, "\n");
	json_array_foreach(json_object_get(result, "targets"), i, target)
	{
		const char *accel = nova_report_text(target, "accel");
		const char *product = nova_report_text(target, "product");
		const char *release = nova_report_text(target, "version");
		bool simulated = json_is_true(json_object_get(target, "simulated"));
		NOVA_AUTOFREE char *line = nova_format(
		        "Target %s: %s%s%s%s%s%s%s%s", nova_report_text(target, "name"),
		        nova_report_text(target, "plugin"), product ? ", " : "",
		        product ? product : "", release ? " " : "", release ? release : "",
		        accel ? ", accelerator " : "", accel ? accel : "",
		        simulated ? "; simulated, these are not measurements of a hypervisor" : "");

		add_line(out, "- ", line);
	}
	nova_text_add(out, json_array_size(json_object_get(result, "targets")) ? "\n" : "");
}

static void add_metric(struct nova_text *out, const json_t *metric)
{
	const char *side = nova_report_text(metric, "side");
	NOVA_AUTOFREE char *goal = nova_report_goal(metric);
	NOVA_AUTOFREE char *value = nova_report_value(metric);
	NOVA_AUTOFREE char *name = nova_format(
	        "%s%s%s%s", nova_report_text(metric, "name"), strcmp(side, "vm") ? " (" : "",
	        strcmp(side, "vm") ? side : "", strcmp(side, "vm") ? ")" : "");

	add_cell(out, name);
	add_cell(out, value);
	add_cell(out, goal ? goal : "none");
	add_cell(out, nova_report_text(metric, "verdict"));
	nova_text_add(out, "|\n");
}

static void add_comparisons(struct nova_text *out, const json_t *step)
{
	json_t *all = json_object_get(step, "comparisons"), *one;
	size_t i;

	if (!json_array_size(all))
		return;
	nova_text_add(out, "\n| comparison | difference | n | p | verdict |\n"
	                   "|---|---|--:|--:|---|\n");
	json_array_foreach(all, i, one)
	{
		const json_t *interval = json_object_get(one, "interval");
		const json_t *p = json_object_get(one, "p");
		NOVA_AUTOTEXT struct nova_text value = {0};
		NOVA_AUTOFREE char *name =
		        nova_format("%s: %s against %s, %s", nova_json_text(one, "metric"),
		                    nova_json_text(one, "b"), nova_json_text(one, "a"),
		                    nova_json_text(one, "of"));

		if (json_is_number(json_object_get(one, "value")))
			nova_text_addf(&value, "%.4g", nova_report_number(one, "value"));
		else
			nova_text_add(&value, "none");
		if (json_is_array(interval))
			nova_text_addf(&value, " [%.4g, %.4g]",
			               json_number_value(json_array_get(interval, 0)),
			               json_number_value(json_array_get(interval, 1)));
		add_cell(out, name);
		add_cell(out, nova_text_get(&value));
		nova_text_addf(out, "| %lld ", nova_report_integer(one, "n"));
		nova_text_addf(out, json_is_number(p) ? "| %.2g " : "| – ", json_number_value(p));
		add_cell(out, nova_json_text(one, "verdict"));
		nova_text_add(out, "|\n");
	}
}

static void add_step(struct nova_text *out, const json_t *result, const json_t *step)
{
	NOVA_AUTOFREE char *title = nova_report_step_title(result, step);
	NOVA_AUTOFREE char *params = nova_report_params(step);
	const json_t *metrics = json_object_get(step, "metrics");
	const char *state = nova_report_text(step, "state"), *why = nova_report_text(step, "why");
	json_t *metric, *one;
	size_t i;

	/* It stands with its reason under "Left out". */
	if (!strcmp(state, "skipped"))
		return;
	add_line(out, "## ", title);
	nova_text_add(out, "\n");
	if (nova_report_is_control_plane(step))
		nova_text_add(out, "**Control-plane test**: its guests are stubs.\n\n");
	if (*params) {
		add_line(out, "Parameters: ", params);
		nova_text_add(out, "\n");
	}
	if (strcmp(state, "done") != 0) {
		NOVA_AUTOFREE char *line =
		        nova_format("%s%s%s", state, why ? ": " : "", why ? why : "");
		add_line(out, "Step ", line);
		nova_text_add(out, "\n");
	}
	if (json_array_size(metrics))
		nova_text_add(out, "| metric | median | goal | verdict |\n|---|---|---|---|\n");
	json_array_foreach(metrics, i, metric) add_metric(out, metric);
	add_comparisons(out, step);
	nova_text_add(out, "\n");
	json_array_foreach(metrics, i, metric)
	{
		const char *verdict_why = nova_report_text(metric, "verdict_why");
		const char *advice = nova_report_advice(metric);
		NOVA_AUTOFREE char *line =
		        nova_format("%s: %s%s%s", nova_report_text(metric, "name"),
		                    verdict_why ? verdict_why : "",
		                    verdict_why && advice ? "; " : "", advice ? advice : "");

		if (verdict_why || advice)
			add_line(out, "- ", line);
	}
	json_array_foreach(json_object_get(json_object_get(step, "recorded"), "recordings"), i, one)
	{
		NOVA_AUTOFREE char *line = nova_report_recording(one);

		add_line(out, "- ", line);
	}
	nova_text_add(out, "\n");
}

static void add_lists(struct nova_text *out, const json_t *result)
{
	json_t *skipped = json_object_get(result, "skipped"), *one;
	size_t i;

	if (json_array_size(skipped))
		nova_text_add(out, "## Left out\n\n");
	json_array_foreach(skipped, i, one)
	{
		NOVA_AUTOFREE char *what = nova_report_skipped(one);
		const char *fix = nova_report_text(one, "fix");
		NOVA_AUTOFREE char *line =
		        nova_format("%s%s%s%s", what, nova_report_text(one, "why"), fix ? "; " : "",
		                    fix ? fix : "");

		add_line(out, "- ", line);
	}
	if (json_array_size(json_object_get(result, "notes")))
		nova_text_add(out, "\n## Notes\n\n");
	json_array_foreach(json_object_get(result, "notes"), i, one)
	        add_line(out, "- ", json_string_value(one));
}

static void add_place(struct nova_text *out, const json_t *result)
{
	static const char *const parts[] = {"where", "what"};
	NOVA_AUTOFREE char *command = nova_report_command(result);

	nova_text_add(out, "\n## Where and what\n\n| | fact | value |\n|---|---|---|\n");
	for (size_t i = 0; i < NOVA_COUNT(parts); i++) {
		json_t *facts = json_object_get(json_object_get(result, parts[i]), "facts"), *value;
		const char *key;

		json_object_foreach(facts, key, value)
		{
			NOVA_AUTOFREE char *json = nova_json_canonical(value);

			nova_text_addf(out, "| %s ", parts[i]);
			add_cell(out, key);
			add_cell(out, json_is_string(value) ? json_string_value(value) : json);
			nova_text_add(out, "|\n");
		}
	}
	if (command)
		nova_text_addf(out, "\n## Do it again\n\n```\n%s\n```\n", command);
}

void nova_report_markdown(const json_t *result, FILE *out)
{
	NOVA_AUTOTEXT struct nova_text text = {0};
	size_t i;
	json_t *step;

	add_head(&text, result);
	json_array_foreach(json_object_get(result, "steps"), i, step) add_step(&text, result, step);
	add_lists(&text, result);
	add_place(&text, result);
	fputs(nova_text_get(&text), out);
}
