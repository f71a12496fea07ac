/* SPDX-License-Identifier: MIT */
/*
 * The table: what ran where, one line per metric, what was left out and why, what to do next. It
 * adapts to the terminal's width and lets no control character of the document through.
 */
#include "core/report/internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define INDENT 2

struct table {
	FILE *out;
	struct nova_report_options options;
	unsigned verdicts[6]; /* as in verdict_names */
	unsigned changes[5];  /* against the baseline, as in change_names */
	unsigned known;       /* of the regressed ones: acknowledged */
	const char *baseline; /* its name, or NULL */
	bool small;           /* a value without an interval was printed */
	bool ab;              /* A was compared with B: how many pairs it takes, the test says */
};

static const char *const verdict_names[] = {"pass",         "acceptable", "needs optimization",
                                            "inconclusive", "regressed",  "none"};
static const char *const verdict_colours[] = {"32", "33", "31", "36", "31", "2"};
#define NO_VERDICT 5 /* "none" */
static const char *const change_names[] = {"regressed", "improved", "same", "inconclusive",
                                           "not comparable"};

/* --- text ------------------------------------------------------------------------------------ */

/* A terminal obeys what it is sent: control characters (C0, DEL, C1) become '?', breaks blanks. */
static json_t *clean_text(const char *text)
{
	NOVA_AUTOTEXT struct nova_text clean = {0};

	for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
		if (*at == '\n' || *at == '\t' || *at == '\r')
			nova_text_add(&clean, " ");
		else if (*at < 0x20 || *at == 0x7f)
			nova_text_add(&clean, "?");
		else if (*at == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f)
			nova_text_add(&clean, at++ ? "?" : "");
		else
			nova_text_add_bytes(&clean, at, 1);
	}
	return json_string(nova_text_get(&clean));
}

/* The document without samples, fit for a terminal. */
static json_t *cleaned(json_t *value)
{
	json_t *copy, *inner;
	const char *key;
	size_t i;

	if (json_is_string(value))
		return clean_text(json_string_value(value));
	if (json_is_array(value)) {
		copy = json_array();
		json_array_foreach(value, i, inner) json_array_append_new(copy, cleaned(inner));
		return copy;
	}
	if (!json_is_object(value))
		return json_incref(value);
	copy = json_object();
	json_object_foreach(value, key, inner)
	{
		NOVA_AUTOJSON json_t *name = clean_text(key);

		if (strcmp(key, "samples") != 0 || !json_is_object(inner))
			json_object_set_new(copy, json_string_value(name), cleaned(inner));
	}
	return copy;
}

static void colour(const struct table *table, struct nova_text *line, const char *code,
                   const char *text)
{
	if (table->options.colour)
		nova_text_addf(line, "\033[%sm%s\033[0m", code, text);
	else
		nova_text_add(line, text);
}

static void pad(struct nova_text *line, size_t from, size_t to)
{
	for (; from < to; from++)
		nova_text_add(line, " ");
}

/* Prints `text` after `indent` blanks, broken at blanks so that no line is wider than the terminal
 * if that is possible; following lines are indented by `hang`. */
static void print_wrapped(const struct table *table, unsigned indent, unsigned hang,
                          const char *text)
{
	NOVA_AUTOFREE char *copy = nova_strdup(text);
	NOVA_AUTOTEXT struct nova_text line = {0};
	char *rest = copy, *word;
	bool empty = true;

	pad(&line, 0, indent);
	while ((word = strsep(&rest, " "))) {
		size_t width = nova_columns(nova_text_get(&line)) + nova_columns(word) + 1;

		if (!empty && table->options.width && width > table->options.width) {
			fprintf(table->out, "%s\n", nova_text_get(&line));
			nova_text_free(&line);
			memset(&line, 0, sizeof(line));
			pad(&line, 0, hang);
			empty = true;
		}
		nova_text_addf(&line, "%s%s", empty ? "" : " ", word);
		empty = false;
	}
	fprintf(table->out, "%s\n", nova_text_get(&line));
}

static void heading(const struct table *table, const char *text)
{
	NOVA_AUTOTEXT struct nova_text line = {0};

	colour(table, &line, "1", text);
	fputc('\n', table->out);
	print_wrapped(table, 0, INDENT, nova_text_get(&line));
}

/* --- the head -------------------------------------------------------------------------------- */

static void print_run(const struct table *table, const json_t *result)
{
	const json_t *run = json_object_get(result, "run");
	const char *ended = nova_report_text(run, "ended"), *version;
	NOVA_AUTOTEXT struct nova_text line = {0}, first = {0};

	nova_text_addf(&line, "Run %s, profile %s: %s", nova_report_text(run, "id"),
	               nova_report_text(run, "profile"), nova_report_text(run, "state"));
	colour(table, &first, "1", nova_text_get(&line));
	print_wrapped(table, 0, INDENT, nova_text_get(&first));
	version = nova_report_text(run, "novacore");
	line.length = 0;
	nova_text_addf(&line, "%s to %s, seed %lld%s%s", nova_report_text(run, "started"),
	               ended ? ended : "(not ended)", nova_report_integer(run, "seed"),
	               version ? ", novacore " : "", version ? version : "");
	print_wrapped(table, INDENT, INDENT, nova_text_get(&line));
}

static void print_facts(const struct table *table, json_t *result, const char *which)
{
	json_t *facts = json_object_get(json_object_get(result, which), "facts"), *value;
	const char *key, *hash = nova_report_text(json_object_get(result, which), "hash");
	NOVA_AUTOTEXT struct nova_text line = {0};

	nova_text_addf(&line, "%s %.12s", which, *hash ? hash : "(unknown)");
	if (table->options.verbose)
		json_object_foreach(facts, key, value)
		{
			nova_text_addf(&line, ", %s ", key);
			nova_report_add(&line, value, NULL);
		}
	print_wrapped(table, INDENT, INDENT + 2, nova_text_get(&line));
}

static void print_target(const struct table *table, json_t *target)
{
	const char *product = nova_report_text(target, "product");
	const char *version = nova_report_text(target, "version");
	const char *accel = nova_report_text(target, "accel");
	const char *why = nova_report_text(target, "why");
	const char *uri = nova_report_text(target, "uri");
	NOVA_AUTOTEXT struct nova_text line = {0};

	nova_text_addf(&line, "Target %s: %s", nova_report_text(target, "name"),
	               nova_report_text(target, "plugin"));
	if (product || version)
		nova_text_addf(&line, ", %s%s%s", product ? product : "version", version ? " " : "",
		               version ? version : "");
	if (accel)
		nova_text_addf(&line, ", accelerator %s", accel);
	if (why)
		nova_text_addf(&line, " (%s)", why);
	if (uri && table->options.verbose)
		nova_text_addf(&line, ", %s", uri);
	if (json_is_true(json_object_get(target, "simulated")))
		nova_text_add(&line, "; simulated: these are not measurements of a hypervisor");
	print_wrapped(table, 0, INDENT, nova_text_get(&line));
}

static void print_cannot(const struct table *table, json_t *target)
{
	const char *name;
	json_t *capability;

	json_object_foreach(json_object_get(target, "capabilities"), name, capability)
	{
		const char *why = nova_report_text(capability, "why");
		NOVA_AUTOTEXT struct nova_text line = {0};

		if (json_is_true(json_object_get(capability, "ok")))
			continue;
		nova_text_addf(&line, "cannot %s: %s", name, why ? why : "no reason given");
		print_wrapped(table, INDENT, INDENT + 2, nova_text_get(&line));
	}
}

/* --- metrics --------------------------------------------------------------------------------- */

enum column { METRIC, VALUE, INTERVAL, COUNT, GOAL, VERDICT, COLUMNS };

struct line {
	char *cells[COLUMNS];
	unsigned verdict; /* index into verdict_names */
};

static unsigned verdict_of(const json_t *metric)
{
	unsigned i = 0;

	while (i + 1 < NOVA_COUNT(verdict_names) &&
	       strcmp(verdict_names[i], nova_report_text(metric, "verdict")) != 0)
		i++;
	return i;
}

static char *short_name(const json_t *step, const json_t *metric)
{
	const char *name = nova_report_text(metric, "name");
	const char *benchmark = nova_report_text(step, "benchmark");
	const char *side = nova_report_text(metric, "side");
	size_t length = strlen(benchmark);

	if (!strncmp(name, benchmark, length) && name[length] == '.' && name[length + 1])
		name += length + 1;
	return strcmp(side, "vm") ? nova_format("%s (%s)", name, side) : nova_strdup(name);
}

static char *interval_cell(const json_t *metric, uint32_t unit)
{
	const json_t *interval = json_object_get(metric, "interval");
	const char *why = nova_report_text(metric, "interval_why");
	char low[32], high[32];

	if (json_is_array(interval)) {
		nova_value_format(json_number_value(json_array_get(interval, 0)), unit, low);
		nova_value_format(json_number_value(json_array_get(interval, 1)), unit, high);
		return nova_format("%s … %s", low, high);
	}
	if (!json_is_number(json_object_get(metric, "value")))
		return nova_strdup("");
	nova_value_format(nova_report_number(metric, "min"), unit, low);
	nova_value_format(nova_report_number(metric, "max"), unit, high);
	return nova_format("%s: %s … %s", why ? why : "none", low, high);
}

static char *count_cell(const json_t *metric)
{
	const json_t *counts = json_object_get(metric, "counts");
	long long failed = nova_report_integer(counts, "failed");
	long long timed_out = nova_report_integer(counts, "timed_out");
	struct nova_text text = {0};

	nova_text_addf(&text, "%lld/%lld", nova_report_integer(metric, "n"),
	               nova_report_integer(counts, "attempted"));
	if (failed)
		nova_text_addf(&text, ", %lld failed", failed);
	if (timed_out)
		nova_text_addf(&text, ", %lld timed out", timed_out);
	return text.data;
}

static struct line metric_line(const json_t *step, const json_t *metric)
{
	uint32_t unit = nova_report_unit(nova_report_text(metric, "unit"));
	struct line line = {.verdict = verdict_of(metric)};
	char value[32] = "none";
	char *goal = nova_report_goal(metric);

	if (json_is_number(json_object_get(metric, "value")))
		nova_report_figure(metric, value);
	line.cells[METRIC] = short_name(step, metric);
	line.cells[VALUE] = nova_strdup(value);
	line.cells[INTERVAL] = interval_cell(metric, unit);
	line.cells[COUNT] = count_cell(metric);
	line.cells[GOAL] = goal ? goal : nova_strdup("none");
	line.cells[VERDICT] =
	        nova_strdup(line.verdict == NO_VERDICT ? "-" : verdict_names[line.verdict]);
	return line;
}

static void print_cells(const struct table *table, const struct line *line, const size_t *widths,
                        bool head)
{
	NOVA_AUTOTEXT struct nova_text text = {0};

	pad(&text, 0, INDENT);
	for (size_t i = 0; i < COLUMNS; i++) {
		size_t width = nova_columns(line->cells[i]);

		if (i == VALUE)
			pad(&text, width, widths[i]);
		if (head)
			colour(table, &text, "4", line->cells[i]);
		else if (i == VERDICT)
			colour(table, &text, verdict_colours[line->verdict], line->cells[i]);
		else
			nova_text_add(&text, line->cells[i]);
		if (i != VALUE && i != VERDICT)
			pad(&text, width, widths[i]);
		if (i != VERDICT)
			nova_text_add(&text, "  ");
	}
	fprintf(table->out, "%s\n", nova_text_get(&text));
}

/* For terminals too narrow for columns: two lines a metric, nothing cut off. */
static void print_stacked(const struct table *table, const json_t *metric, const struct line *line)
{
	NOVA_AUTOFREE char *value = nova_report_value(metric);
	NOVA_AUTOTEXT struct nova_text text = {0};
	const char *why = nova_report_text(metric, "interval_why");

	nova_text_addf(&text, "%s: ", line->cells[METRIC]);
	colour(table, &text, verdict_colours[line->verdict],
	       line->verdict == NO_VERDICT ? "no goal" : line->cells[VERDICT]);
	print_wrapped(table, INDENT, INDENT + 2, nova_text_get(&text));
	text.length = 0;
	nova_text_addf(&text, "%s%s%s%s%s", value, why ? "; no interval: " : "", why ? why : "",
	               line->verdict == NO_VERDICT ? "" : "; goal ",
	               line->verdict == NO_VERDICT ? "" : line->cells[GOAL]);
	print_wrapped(table, INDENT + 2, INDENT + 2, nova_text_get(&text));
}

static void count_change(struct table *table, const json_t *metric)
{
	const json_t *baseline = json_object_get(metric, "baseline");
	const char *verdict = nova_report_text(baseline, "verdict");

	if (!verdict)
		return;
	table->baseline = nova_report_text(baseline, "name");
	table->known += json_is_object(json_object_get(baseline, "acknowledged"));
	for (size_t i = 0; i < NOVA_COUNT(change_names); i++)
		table->changes[i] += !strcmp(change_names[i], verdict);
}

static void print_metrics(struct table *table, const json_t *step)
{
	json_t *metrics = json_object_get(step, "metrics"), *metric;
	size_t count = json_array_size(metrics), widths[COLUMNS] = {0}, total = INDENT, i;
	NOVA_AUTOFREE struct line *lines = nova_alloc((count + 1) * sizeof(*lines));
	NOVA_AUTOFREE char *level = nova_format(
	        "%g %% interval", 100 * nova_report_number(json_array_get(metrics, 0), "level"));
	const struct line head = {{(char *)"metric", (char *)"median", level, (char *)"n",
	                           (char *)"goal", (char *)"verdict"},
	                          0};

	if (!count)
		return;
	lines[0] = head;
	json_array_foreach(metrics, i, metric) lines[i + 1] = metric_line(step, metric);
	for (size_t row = 0; row <= count; row++)
		for (size_t c = 0; c < COLUMNS; c++) {
			size_t width = nova_columns(lines[row].cells[c]);
			widths[c] = width > widths[c] ? width : widths[c];
		}
	for (size_t c = 0; c < COLUMNS; c++)
		total += widths[c] + (c ? 2 : 0);
	bool columns = !table->options.width || total <= table->options.width;
	if (columns)
		print_cells(table, &lines[0], widths, true);
	json_array_foreach(metrics, i, metric)
	{
		if (columns)
			print_cells(table, &lines[i + 1], widths, false);
		else
			print_stacked(table, metric, &lines[i + 1]);
		table->verdicts[lines[i + 1].verdict]++;
		count_change(table, metric);
		table->small |= json_is_number(json_object_get(metric, "value")) &&
		                !json_is_array(json_object_get(metric, "interval"));
		for (size_t c = 0; c < COLUMNS; c++)
			free(lines[i + 1].cells[c]);
	}
}

static void add_percentile(struct nova_text *line, const json_t *metric, const char *which)
{
	const json_t *percentile = json_object_get(metric, which);
	const char *why = nova_report_text(percentile, "why");
	char value[32] = "";

	if (json_is_number(json_object_get(percentile, "value")))
		nova_value_format(nova_report_number(percentile, "value"),
		                  nova_report_unit(nova_report_text(metric, "unit")), value);
	nova_text_addf(line, "; %s %s", which, *value ? value : why ? why : "unknown");
}

/* Against the baseline: what improved, and with --verbose also the rest; what regressed stands in
 * the verdict's reason. */
static void add_change(const struct table *table, struct nova_text *line, const json_t *metric)
{
	const json_t *baseline = json_object_get(metric, "baseline");
	const json_t *interval = json_object_get(baseline, "interval");
	const char *verdict = nova_report_text(baseline, "verdict");
	const char *why = nova_report_text(baseline, "why");

	if (!verdict || !strcmp(verdict, "regressed") ||
	    (strcmp(verdict, "improved") != 0 && !table->options.verbose))
		return;
	nova_text_addf(line, "; %s against baseline %s", verdict,
	               nova_report_text(baseline, "name"));
	if (json_is_number(json_object_get(baseline, "shift")))
		nova_text_addf(line, ", %+.1f %%", 100 * nova_report_number(baseline, "shift"));
	if (json_is_array(interval))
		nova_text_addf(line, " [%+.1f %%, %+.1f %%]",
		               100 * json_number_value(json_array_get(interval, 0)),
		               100 * json_number_value(json_array_get(interval, 1)));
	if (why)
		nova_text_addf(line, ": %s", why);
}

/* What a metric's line has no room for: why this verdict, percentiles, what it measures. NULL: all
 * is said. Owned by the caller. */
static char *remark_on(const struct table *table, const json_t *metric)
{
	const char *why = nova_report_text(metric, "verdict_why");
	const char *advice = nova_report_advice(metric);
	const char *source = nova_report_text(metric, "source");
	bool percentiles = json_is_number(json_object_get(json_object_get(metric, "p95"), "value"));
	NOVA_AUTOTEXT struct nova_text line = {0};
	char resolution[32];

	if (why)
		nova_text_addf(&line, "; %s", why);
	add_change(table, &line, metric);
	if (advice)
		nova_text_addf(&line, "; %s", advice);
	if (percentiles || table->options.verbose) {
		add_percentile(&line, metric, "p95");
		add_percentile(&line, metric, "p99");
	}
	if (table->options.verbose) {
		nova_text_addf(&line, "; %s", nova_report_text(metric, "doc"));
		if (source)
			nova_text_addf(&line, "; source %s", source);
		nova_value_format(nova_report_number(metric, "resolution_s"), NOVA_UNIT_SECOND,
		                  resolution);
		if (json_is_number(json_object_get(metric, "resolution_s")))
			nova_text_addf(&line, "; resolution %s", resolution);
	}
	return line.length ? nova_strdup(nova_text_get(&line) + 2) : NULL;
}

/* Each remark once, with the names of all metrics that it is true of. */
static void print_remarks(const struct table *table, const json_t *step)
{
	const json_t *metrics = json_object_get(step, "metrics");
	size_t count = json_array_size(metrics);
	NOVA_AUTOFREE char **remarks = nova_alloc((count + 1) * sizeof(*remarks));

	for (size_t i = 0; i < count; i++)
		remarks[i] = remark_on(table, json_array_get(metrics, i));
	for (size_t i = 0; i < count; i++) {
		NOVA_AUTOFREE char *remark = remarks[i];
		NOVA_AUTOTEXT struct nova_text line = {0};

		for (size_t j = i; remark && j < count; j++) {
			if (!remarks[j] || strcmp(remarks[j], remark) != 0)
				continue;
			NOVA_AUTOFREE char *name = short_name(step, json_array_get(metrics, j));
			nova_text_addf(&line, "%s%s", line.length ? ", " : "", name);
			if (j > i)
				free(remarks[j]);
			remarks[j] = NULL;
		}
		nova_text_addf(&line, ": %s", remark ? remark : "");
		if (remark)
			print_wrapped(table, INDENT, INDENT + 2, nova_text_get(&line));
	}
}

/* --- one side against another ----------------------------------------------------------------- */

/* "rate: vm against native, overhead 2.10 % [1.50 %, 3.00 %], 12 pairs, p 0.003, goal …: pass" */
static void print_comparison(struct table *table, const json_t *step, const json_t *comparison)
{
	const char *name = nova_report_text(comparison, "metric");
	const char *benchmark = nova_report_text(step, "benchmark");
	const char *why = nova_report_text(comparison, "verdict_why");
	NOVA_AUTOFREE char *effect = nova_report_effect(comparison);
	unsigned verdict = verdict_of(comparison);
	NOVA_AUTOTEXT struct nova_text line = {0};
	size_t length = strlen(benchmark);

	if (!strncmp(name, benchmark, length) && name[length] == '.' && name[length + 1])
		name += length + 1;
	nova_text_addf(&line, "%s: %s", name, effect);
	if (verdict != 4) {
		nova_text_add(&line, ": ");
		colour(table, &line, verdict_colours[verdict], verdict_names[verdict]);
		table->verdicts[verdict]++;
	}
	if (why)
		nova_text_addf(&line, " (%s)", why);
	print_wrapped(table, INDENT, INDENT + 2, nova_text_get(&line));
}

/* Of a time as the document has it, in seconds since 1970; its form has been checked. */
static double seconds_of(const char *stamp)
{
	struct tm parts = {0};
	const char *rest = strptime(stamp, "%Y-%m-%dT%H:%M:%S", &parts);

	return (double)timegm(&parts) + (rest ? strtod(rest, NULL) : 0);
}

/* < 0: it has not ended. */
static double took_s(const json_t *step)
{
	const char *started = nova_report_text(step, "started");
	const char *ended = nova_report_text(step, "ended");

	return started && ended ? seconds_of(ended) - seconds_of(started) : -1;
}

/* What ended the step, if that was not its samples; and how long it took beside the estimate. */
static void print_end(const struct table *table, const json_t *step)
{
	const char *stopped = nova_report_text(step, "stopped");
	double estimate = nova_report_number(step, "estimate_s"), took = took_s(step);
	char took_text[32], estimate_text[32];
	NOVA_AUTOTEXT struct nova_text line = {0};

	if (stopped && !strcmp(stopped, "precision") &&
	    !json_is_object(json_object_get(step, "ab")))
		nova_text_add(&line, "; stopped early: the intervals are as narrow as "
		                     "run.precision wants them");
	if (stopped && !strcmp(stopped, "budget"))
		nova_text_add(&line, "; as many samples as fit into run.budget");
	if (took >= 0 && table->options.verbose) {
		nova_value_format(took, NOVA_UNIT_SECOND, took_text);
		nova_value_format(estimate, NOVA_UNIT_SECOND, estimate_text);
		nova_text_addf(&line, "; took %s", took_text);
		if (estimate > 0)
			nova_text_addf(&line, ", thought to take %s", estimate_text);
	}
	if (line.length)
		print_wrapped(table, INDENT, INDENT + 2, nova_text_get(&line) + 2);
}

static void print_recordings(const struct table *table, const json_t *step)
{
	json_t *all = json_object_get(json_object_get(step, "recorded"), "recordings"), *one;
	size_t i;

	json_array_foreach(all, i, one)
	{
		NOVA_AUTOFREE char *line = nova_report_recording(one);

		print_wrapped(table, INDENT, INDENT + 2, line);
	}
}

static void print_step(struct table *table, const json_t *result, const json_t *step)
{
	json_t *comparison;
	const char *says;
	size_t i;

	NOVA_AUTOFREE char *title = nova_report_step_title(result, step);
	NOVA_AUTOFREE char *params = nova_report_params(step);
	NOVA_AUTOTEXT struct nova_text line = {0};
	const char *state = nova_report_text(step, "state"), *why = nova_report_text(step, "why");

	/* It stands with its reason under "Left out". */
	if (!strcmp(state, "skipped"))
		return;
	nova_text_add(&line, title);
	if (*params)
		nova_text_addf(&line, ": %s", params);
	heading(table, nova_text_get(&line));
	if (strcmp(state, "done") != 0) {
		line.length = 0;
		nova_text_addf(&line, "step %lld %s%s%s", nova_report_integer(step, "index") + 1,
		               state, why ? ": " : "", why ? why : "");
		print_wrapped(table, INDENT, INDENT + 2, nova_text_get(&line));
	}
	print_metrics(table, step);
	json_array_foreach(json_object_get(step, "comparisons"), i, comparison)
	        print_comparison(table, step, comparison);
	says = nova_report_text(json_object_get(step, "ab"), "says");
	table->ab |= says != NULL;
	if (says)
		print_wrapped(table, INDENT, INDENT + 2, says);
	print_remarks(table, step);
	print_end(table, step);
	print_recordings(table, step);
}

/* --- the end --------------------------------------------------------------------------------- */

static void print_skipped(const struct table *table, const json_t *result)
{
	json_t *skipped = json_object_get(result, "skipped"), *one;
	size_t i;

	if (json_array_size(skipped))
		heading(table, "Left out");
	json_array_foreach(skipped, i, one)
	{
		NOVA_AUTOFREE char *what = nova_report_skipped(one);
		const char *fix = nova_report_text(one, "fix");
		NOVA_AUTOFREE char *line =
		        nova_format("%s%s%s%s", what, nova_report_text(one, "why"), fix ? "; " : "",
		                    fix ? fix : "");

		print_wrapped(table, INDENT, INDENT + 2, line);
	}
}

static void print_proposals(const struct table *table, const json_t *result)
{
	json_t *proposals = json_object_get(result, "proposals"), *one;
	size_t i;

	if (json_array_size(proposals))
		heading(table, "Proposals");
	json_array_foreach(proposals, i, one)
	{
		const char *slug = nova_report_text(one, "slug");
		const char *why = nova_report_text(one, "why");
		NOVA_AUTOFREE char *line = nova_format("%s%s%s", slug ? slug : "proposal",
		                                       why ? ": " : "", why ? why : "");

		print_wrapped(table, INDENT, INDENT + 2, line);
	}
}

static void print_changes(const struct table *table)
{
	NOVA_AUTOTEXT struct nova_text line = {0};

	if (!table->baseline)
		return;
	nova_text_addf(&line, "Against baseline %s:", table->baseline);
	for (size_t i = 0; i < NOVA_COUNT(change_names); i++)
		if (table->changes[i])
			nova_text_addf(&line, "%s %u %s", strchr(line.data, ':')[1] ? "," : "",
			               table->changes[i], change_names[i]);
	if (table->known)
		nova_text_addf(&line, "; %u acknowledged", table->known);
	print_wrapped(table, INDENT, INDENT + 2, nova_text_get(&line));
}

static void print_counted(const struct table *table)
{
	NOVA_AUTOTEXT struct nova_text line = {0};

	for (size_t i = 0; i < NOVA_COUNT(verdict_names); i++) {
		const char *name = i == NO_VERDICT ? "without a goal" : verdict_names[i];

		if (table->verdicts[i])
			nova_text_addf(&line, "%s%u %s", line.length ? ", " : "",
			               table->verdicts[i], name);
	}
	heading(table, line.length ? nova_text_get(&line) : "No metric was measured");
	print_changes(table);
}

static void print_command(const struct table *table, const char *what, const char *command,
                          const char *id, const char *option)
{
	NOVA_AUTOFREE char *line =
	        nova_format("%s: novacore results %s %s%s", what, command, id, option);

	print_wrapped(table, INDENT, INDENT + 2, line);
}

static void print_next(const struct table *table, const json_t *result)
{
	const json_t *run = json_object_get(result, "run");
	const char *state = nova_report_text(run, "state"), *id = nova_report_text(run, "id");
	size_t i;
	json_t *note;

	json_array_foreach(json_object_get(result, "notes"), i, note)
	        print_wrapped(table, INDENT, INDENT + 2, json_string_value(note));
	if (strcmp(state, "interrupted") == 0) {
		NOVA_AUTOFREE char *line =
		        nova_format("Finish what is left: novacore run --resume %s", id);
		print_wrapped(table, INDENT, INDENT + 2, line);
	}
	if ((table->verdicts[3] || table->small) && !table->ab)
		print_wrapped(table, INDENT, INDENT + 2,
		              table->verdicts[3]
		                      ? "More samples decide what is inconclusive: run again with "
		                        "a larger --set run.samples=N"
		                      : "More samples give an interval: run again with a larger "
		                        "--set run.samples=N");
	if (!table->options.verbose)
		print_command(table, "What each metric means", "show", id, " --verbose");
	print_command(table, "Every sample, to keep or to compare", "export", id,
	              " --output r.json");
}

void nova_report_table(const json_t *result, FILE *out, const struct nova_report_options *options)
{
	NOVA_AUTOJSON json_t *document = cleaned((json_t *)result);
	struct table table = {.out = out, .options = *options};
	size_t i;
	json_t *one;

	print_run(&table, document);
	print_facts(&table, document, "where");
	print_facts(&table, document, "what");
	json_array_foreach(json_object_get(document, "targets"), i, one)
	{
		print_target(&table, one);
		if (options->verbose)
			print_cannot(&table, one);
	}
	json_array_foreach(json_object_get(document, "steps"), i, one)
	        print_step(&table, document, one);
	print_skipped(&table, document);
	print_proposals(&table, document);
	print_counted(&table);
	print_next(&table, document);
}
