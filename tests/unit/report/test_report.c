/* SPDX-License-Identifier: MIT */
/*
 * What the formats print of a result (result.json beside this file), and what is refused.
 * schema.py beside it compares with the published schema and with an XML parser.
 */
#include "core/report/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static json_t *fixture(void)
{
	json_error_t why;
	json_t *result = json_load_file(FIXTURE, 0, &why);

	if (!result)
		fail_msg("%s: %s", FIXTURE, why.text);
	return result;
}

static char *render(const json_t *result, const char *format,
                    const struct nova_report_options *options)
{
	char *text = NULL;
	size_t bytes = 0;
	struct nova_error error = {0};
	FILE *out = open_memstream(&text, &bytes);

	if (nova_report_write(result, format, out, options, &error))
		fail_msg("%s", error.text);
	fclose(out);
	return text;
}

static void assert_contains(const char *text, const char *piece)
{
	if (!strstr(text, piece))
		fail_msg("\"%s\" is not in:\n%s", piece, text);
}

static void assert_lacks(const char *text, const char *piece)
{
	if (strstr(text, piece))
		fail_msg("\"%s\" is in:\n%s", piece, text);
}

/* The line that contains `piece`, owned by the caller. */
static char *line_with(const char *text, const char *piece)
{
	const char *at = strstr(text, piece);

	if (!at)
		fail_msg("\"%s\" is not in:\n%s", piece, text);
	while (at > text && at[-1] != '\n')
		at--;
	return strndup(at, strcspn(at, "\n"));
}

static json_t *first_metric(json_t *result)
{
	return json_array_get(
	        json_object_get(json_array_get(json_object_get(result, "steps"), 0), "metrics"), 0);
}

/* --- table ----------------------------------------------------------------------------------- */

static void table_says_what_ran_where_and_why(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();
	NOVA_AUTOFREE char *text = render(result, "table", NULL);

	(void)state;
	assert_contains(text, "Run 01932b5e-0000-7000-8000-00000000000a, profile hpc: complete");
	assert_contains(text, "Target local: kvm, QEMU 7.2.15, accelerator tcg (the trial boot "
	                      "under KVM did not end in 10 s)");
	assert_contains(text, "lifecycle on local: concurrency=1, stop=graceful, wait=5s");
	assert_contains(text, "seed 7");
}

static void every_value_has_unit_interval_and_count(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();
	NOVA_AUTOFREE char *text = render(result, "table", NULL);
	NOVA_AUTOFREE char *running = line_with(text, "  start.running");
	NOVA_AUTOFREE char *rate = line_with(text, "  disk.rate");

	(void)state;
	assert_contains(text, "95 % interval");
	assert_contains(running, "260 ms");
	assert_contains(running, "250 ms … 290 ms");
	assert_contains(running, "10/10");
	assert_contains(running, "≤ 10 s (≤ 12.5 s acceptable)");
	assert_contains(running, "pass");
	assert_contains(rate, "153 MB/s");
	assert_contains(rate, "≥ 100 MB/s");
	assert_contains(rate, "(native)");
}

static void what_is_not_above_its_floor_is_at_most_the_floor(void **state)
{
	static const char *const formats[] = {"table", "markdown", "html"};
	NOVA_AUTOJSON json_t *result = fixture();
	json_t *metrics =
	        json_object_get(json_array_get(json_object_get(result, "steps"), 0), "metrics");
	json_t *floor = json_deep_copy(first_metric(result));

	(void)state;
	json_object_set_new(first_metric(result), "name", json_string("lifecycle.stun.observed"));
	json_object_set_new(floor, "name", json_string("lifecycle.stun.floor"));
	json_array_append_new(metrics, floor);
	for (int above = 0; above < 2; above++) {
		json_object_set_new(floor, "value", json_real(above ? 0.1 : 0.262));
		for (size_t i = 0; i < NOVA_COUNT(formats); i++) {
			NOVA_AUTOFREE char *text = render(result, formats[i], NULL);

			(above ? assert_lacks : assert_contains)(text, "≤ 262 ms");
			assert_contains(text, above ? "260 ms" : "262 ms");
		}
	}
	NOVA_AUTOFREE char *json = render(result, "json", NULL);
	assert_lacks(json, "≤");
	assert_contains(json, "\"lifecycle.stun.observed\"");
}

static void too_few_samples_are_said_to_be_too_few(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();
	NOVA_AUTOFREE char *text = render(result, "table", NULL);
	NOVA_AUTOFREE char *gone = line_with(text, "  stop.gone  ");

	(void)state;
	assert_contains(gone, "n too small (3 < 6): 1.20 s … 1.50 s");
	assert_contains(gone, "3/4, 1 timed out");
	assert_contains(text, "stop.gone: n too small for an interval (3 < 6): judged by");
}

static void equal_remarks_are_printed_once(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();
	json_t *metric = first_metric(result);

	(void)state;
	json_object_set_new(metric, "verdict_why",
	                    json_string("the interval holds the limit 30 s"));
	NOVA_AUTOFREE char *text = render(result, "table", NULL);
	assert_contains(text,
	                "  start.running, snapshot.create: the interval holds the limit 30 s");
	assert_null(strstr(strstr(text, "holds the limit") + 1, "holds the limit"));
}

static void metric_without_any_success_shows_no_number(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();
	json_t *metric = first_metric(result);

	(void)state;
	json_object_set_new(metric, "n", json_integer(0));
	json_object_set_new(metric, "value", json_null());
	json_object_set_new(metric, "min", json_null());
	json_object_set_new(metric, "max", json_null());
	json_object_set_new(metric, "interval", json_null());
	NOVA_AUTOFREE char *text = render(result, "table", NULL);
	NOVA_AUTOFREE char *line = line_with(text, "  start.running");
	assert_contains(line, "none");
	assert_contains(line, "0/10");
	assert_lacks(line, " 0 s ");
}

static void columns_are_aligned(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();
	NOVA_AUTOFREE char *text = render(result, "table", NULL);
	NOVA_AUTOFREE char *head = line_with(text, "95 % interval");
	NOVA_AUTOFREE char *running = line_with(text, "  start.running");
	NOVA_AUTOFREE char *ready = line_with(text, "  start.ready");

	(void)state;
	*strstr(head, "goal") = '\0';
	*strstr(running, "≤") = '\0';
	*strstr(ready, "≤") = '\0';
	assert_int_equal(nova_columns(head), nova_columns(running));
	assert_int_equal(nova_columns(head), nova_columns(ready));
}

static void says_what_was_left_out_and_what_to_do_next(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();
	NOVA_AUTOFREE char *text = NULL;
	json_t *step;
	size_t i;

	(void)state;
	/* where A and B are compared, more samples are not the advice */
	json_array_foreach(json_object_get(result, "steps"), i, step)
	{
		json_array_clear(json_object_get(step, "comparisons"));
		json_object_set_new(step, "ab", json_null());
	}
	text = render(result, "table", NULL);
	assert_contains(text, "Left out\n  migration, step 2: needs a second target; add --pair "
	                      "local");
	assert_lacks(text, "migration on local");
	assert_contains(text, "step 3 failed: the worker was killed");
	assert_contains(text, "3 pass, 1 acceptable, 1 needs optimization, 1 inconclusive, 1 "
	                      "without a goal");
	assert_contains(text, "--set run.samples=N");
	assert_contains(text, "restore: internal snapshots of large disks are slow");
	assert_contains(text, "The plan was cut from 30 to 10 samples");
	assert_contains(text, "memory-huge-pages: QEMU's memory");
}

static void missed_goal_says_what_to_look_at(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();
	json_t *step = json_array_get(json_object_get(result, "steps"), 0);
	json_t *metric = json_array_get(json_object_get(step, "metrics"), 4);

	(void)state;
	json_object_set_new(metric, "advice", json_null());
	NOVA_AUTOFREE char *slow = render(result, "table", NULL);
	assert_contains(slow, "restore: the goal is missed: look at novacore doctor");
	json_object_set_new(json_object_get(metric, "counts"), "failed", json_integer(1));
	NOVA_AUTOFREE char *failed = render(result, "table", NULL);
	assert_contains(failed, "restore: the goal is missed: look at what failed first");
	json_object_set_new(json_object_get(metric, "counts"), "timed_out", json_integer(1));
	NOVA_AUTOFREE char *late = render(result, "table", NULL);
	assert_contains(late, "look at what timed out first");
	json_object_set_new(metric, "verdict", json_string("pass"));
	NOVA_AUTOFREE char *passed = render(result, "table", NULL);
	assert_lacks(passed, "the goal is missed");
}

static void interrupted_run_says_how_to_go_on(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();
	json_t *run = json_object_get(result, "run");

	(void)state;
	json_object_set_new(run, "state", json_string("interrupted"));
	json_object_set_new(run, "ended", json_null());
	NOVA_AUTOFREE char *text = render(result, "table", NULL);
	assert_contains(text, "novacore run --resume 01932b5e-0000-7000-8000-00000000000a");
	assert_contains(text, "(not ended)");
}

static void simulated_results_are_marked(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();
	NOVA_AUTOFREE char *before = render(result, "table", NULL);

	(void)state;
	assert_lacks(before, "simulated");
	json_object_set_new(json_array_get(json_object_get(result, "targets"), 0), "simulated",
	                    json_true());
	NOVA_AUTOFREE char *text = render(result, "table", NULL);
	assert_contains(text, "simulated: these are not measurements");
}

static void verbose_adds_meaning_percentiles_and_facts(void **state)
{
	const struct nova_report_options options = {.verbose = true};
	NOVA_AUTOJSON json_t *result = fixture();
	NOVA_AUTOFREE char *text = render(result, "table", &options);
	NOVA_AUTOFREE char *brief = render(result, "table", NULL);

	(void)state;
	assert_contains(text, "p99 n too small (10 < 299)");
	assert_contains(text, "from the request to the VM being in the state running; source QMP; "
	                      "resolution 1.00 us");
	assert_contains(text, "cpu AMD EPYC 7763");
	assert_contains(text, "cannot migrate: needs a second target");
	assert_lacks(brief, "p99");
}

static void colours_only_when_asked(void **state)
{
	const struct nova_report_options options = {.colour = true};
	NOVA_AUTOJSON json_t *result = fixture();
	NOVA_AUTOFREE char *plain = render(result, "table", NULL);
	NOVA_AUTOFREE char *coloured = render(result, "table", &options);

	(void)state;
	assert_lacks(plain, "\033");
	assert_contains(coloured, "\033[31mneeds optimization\033[0m");
	assert_contains(coloured, "\033[32mpass\033[0m");
}

static void narrow_terminal_loses_nothing(void **state)
{
	const struct nova_report_options options = {.width = 60};
	NOVA_AUTOJSON json_t *result = fixture();
	NOVA_AUTOFREE char *text = render(result, "table", &options);
	char *rest = text, *line;

	(void)state;
	assert_contains(text,
	                "start.running: pass\n    260 ms [250 ms, 290 ms], n = 10 of 10; goal");
	while ((line = strsep(&rest, "\n")))
		if (nova_columns(line) > 60)
			fail_msg("wider than 60: %s", line);
}

static void control_characters_do_not_reach_the_terminal(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();
	json_t *steps = json_object_get(result, "steps");

	(void)state;
	json_object_set_new(json_array_get(steps, 2), "why",
	                    json_string("a\033[2Jb\rc\nd\x7f\xc2\x9b"
	                                "e é"));
	json_object_set_new(json_object_get(json_array_get(steps, 0), "params"), "\033k",
	                    json_string("\a"));
	NOVA_AUTOFREE char *text = render(result, "table", NULL);
	assert_contains(text, "a?[2Jb c d??e é");
	for (const char *at = text; *at; at++)
		assert_true((unsigned char)*at >= 0x20 || *at == '\n');
}

/* --- JSON, CSV, JUnit ------------------------------------------------------------------------ */

static void json_reads_back_equal(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();

	(void)state;
	json_object_set_new(first_metric(result), "value", json_real(0.1 + 0.2));
	json_object_set_new(first_metric(result), "min", json_real(5e-324));
	json_object_set_new(first_metric(result), "max", json_real(1e300));
	NOVA_AUTOFREE char *text = render(result, "json", NULL);
	NOVA_AUTOJSON json_t *back = json_loads(text, 0, NULL);
	assert_true(json_equal(result, back));
	assert_contains(text, "0.30000000000000004");
	assert_contains(text, "[0.25, 0.29]");
}

static void csv_has_a_row_per_sample_with_its_unit(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();
	NOVA_AUTOFREE char *text = render(result, "csv", NULL);
	unsigned rows = 0;

	(void)state;
	assert_int_equal(
	        strncmp(text,
	                "run,step,benchmark,targets,params,replicate,attempt,side,vm,metric,unit,"
	                "status,value,t_ns,seq,intended_ns,error_ns,counted,why\r\n",
	                128),
	        0);
	assert_contains(
	        text,
	        "01932b5e-0000-7000-8000-00000000000a,0,lifecycle,local,"
	        "\"{\"\"concurrency\"\":1,\"\"stop\"\":\"\"graceful\"\",\"\"wait\"\":5000000000}"
	        "\",1,1,vm,1,"
	        "lifecycle.start.running,s,ok,0.26,1000001000,0,0,1000,1,\r\n");
	assert_contains(text, ",2,lifecycle.stop.gone,s,timed_out,,1000001000,0,0,1000,1,"
	                      "\"the guest did not answer:\n<silence>\"\r\n");
	assert_contains(text, ",1,1,vm,,lifecycle.stop.gone,s,ok,0.1,");
	for (const char *at = text; (at = strstr(at, "\r\n")); at += 2)
		rows++;
	assert_int_equal(rows, 1 + 4);
}

static void csv_quotes_only_what_must_be(void **state)
{
	static const struct {
		const char *text, *field;
	} cases[] = {{"plain", "plain"},   {"", ""},           {NULL, ""},
	             {"a,b", "\"a,b\""},   {"\"", "\"\"\"\""}, {"a\nb", "\"a\nb\""},
	             {"a\rb", "\"a\rb\""}, {" a b ", " a b "}};

	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(cases); i++) {
		NOVA_AUTOTEXT struct nova_text out = {0};

		nova_report_csv_field(&out, cases[i].text);
		assert_string_equal(nova_text_get(&out), cases[i].field);
	}
}

static void junit_maps_verdicts_to_outcomes(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();
	NOVA_AUTOFREE char *text = render(result, "junit", NULL);

	(void)state;
	assert_contains(text, "<testsuite name=\"lifecycle on local\" id=\"0\" tests=\"8\" "
	                      "failures=\"2\" errors=\"0\" skipped=\"2\"");
	assert_contains(text, "name=\"lifecycle.restore\">\n   <failure message=\"45.5 s [44.0 s, "
	                      "47.0 s], n = 10 of 10, goal ≤ 30 s: needs optimization");
	assert_contains(text, "name=\"lifecycle.disk.rate (native)\"");
	assert_contains(text, "<error message=\"failed: the worker was killed by signal 9 &lt;out "
	                      "of memory&gt; &amp; &quot;so on&quot;\" type=\"failed\"/>");
	assert_contains(text, "<skipped message=\"skipped: needs a second target\"/>");
}

static void xml_escapes_everything_that_xml_cannot_hold(void **state)
{
	static const struct {
		const char *text, *xml;
	} cases[] = {
	        {"<a href=\"x\">&'</a>", "&lt;a href=&quot;x&quot;&gt;&amp;'&lt;/a&gt;"},
	        {"]]>", "]]&gt;"},
	        {"a\x01\x1f\033b", "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
	                           "b"},
	        {"\t\n\r", "&#9;&#10;&#13;"},
	        {"é€😀", "é€😀"},
	        {"\xc3", "\xef\xbf\xbd"},
	        {"\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd"},
	        {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"}, /* overlong */
	        {"\xed\xa0\x80", "\xef\xbf\xbd"},         /* surrogate */
	        {"\xef\xbf\xbe", "\xef\xbf\xbd"},         /* U+FFFE */
	        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
	        {"", ""},
	};

	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(cases); i++) {
		NOVA_AUTOTEXT struct nova_text out = {0};

		nova_report_xml(&out, cases[i].text);
		assert_string_equal(nova_text_get(&out), cases[i].xml);
	}
}

/* --- HTML and Markdown ----------------------------------------------------------------------- */

/* As render(), of a document that nova_report_check may not know all members of yet. */
static char *render_page(const json_t *result, const struct nova_report_options *options)
{
	static const struct nova_report_options plain;
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);

	nova_report_html(result, out, options ? options : &plain);
	fclose(out);
	return text;
}

static void html_says_verdict_value_interval_and_count(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();
	NOVA_AUTOFREE char *page = render(result, "html", NULL);

	(void)state;
	assert_contains(page, "<h1>hpc on local (kvm)</h1>");
	assert_contains(page, "<b><data value=\"0.26\">260 ms</data></b>");
	assert_contains(page, "<data value=\"0.25\">250 ms</data> … <data value=\"0.29\">");
	assert_contains(page, "10 of 10");
	assert_contains(page, "n too small (3 &lt; 6)");
	assert_contains(page, "</svg>pass</span>");
	assert_contains(page, "Emulated (TCG).");
	assert_lacks(page, "Simulated.");
	assert_lacks(page, "Control-plane");
}

static json_t *first_recording(json_t *result)
{
	json_t *step = json_array_get(json_object_get(result, "steps"), 0);

	return json_array_get(json_object_get(json_object_get(step, "recorded"), "recordings"), 0);
}

static void recordings_are_told_with_what_they_cost(void **state)
{
	static const char line[] =
	        "recorded (cpu): 510 samples in 2.57 s of all processes; it took "
	        "0.18 % of the host's CPUs: on another-host, "
	        "/var/lib/novacore/recordings/20261120-113920-1a2b";
	NOVA_AUTOJSON json_t *result = fixture();
	NOVA_AUTOFREE char *table = render(result, "table", NULL);
	NOVA_AUTOFREE char *text = render(result, "markdown", NULL);
	NOVA_AUTOFREE char *page = render(result, "html", NULL);

	(void)state;
	assert_contains(table, line);
	assert_contains(text, "- recorded (cpu): 510 samples");
	assert_contains(page, "510 samples");
	assert_lacks(page, "file:");
}

static void a_flame_graph_of_this_host_is_linked_while_it_is_there(void **state)
{
	char name[256] = "", directory[] = "/tmp/novacore \"report\" XXXXXX";
	NOVA_AUTOJSON json_t *result = fixture();
	json_t *recording = first_recording(result);

	(void)state;
	gethostname(name, sizeof(name) - 1);
	assert_non_null(mkdtemp(directory));
	NOVA_AUTOFREE char *flame = nova_format("%s/cpu.html", directory);
	NOVA_AUTOFREE char *link = nova_format(
	        "<a href=\"file:///tmp/novacore%%20%%22report%%22%%20%s/cpu.html\">flame graph "
	        "(cpu)"
	        "</a>",
	        directory + strlen(directory) - 6);
	assert_int_equal(nova_file_write(flame, "x", 1, 0600, NULL), 0);
	json_object_set_new(recording, "host", json_string(name));
	json_object_set_new(recording, "directory", json_string(directory));
	NOVA_AUTOFREE char *page = render(result, "html", NULL);
	assert_contains(page, link);
	json_object_set_new(recording, "flames", json_pack("[s]", "../../cpu"));
	NOVA_AUTOFREE char *strange = render(result, "html", NULL);
	assert_lacks(strange, "file:");
	nova_directory_remove(directory, NULL);
	NOVA_AUTOFREE char *gone = render(result, "html", NULL);
	assert_contains(gone, "20261120-113920-1a2b is deleted");
	assert_lacks(gone, "file:");
}

static void html_loads_and_runs_nothing(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();
	NOVA_AUTOFREE char *page = render(result, "html", NULL);

	(void)state;
	assert_contains(page, "default-src 'none'");
	assert_lacks(page, "<script");
	assert_lacks(page, "src=");
	assert_lacks(page, "url(");
	assert_lacks(page, "http://");
	assert_lacks(page, "https://");
}

static void nothing_of_a_document_becomes_markup(void **state)
{
	static const char bad[] = "</td><script>x</script>\"' onload=\"x|\n# y\033[1m\xe2\x80\xae";
	NOVA_AUTOJSON json_t *result = fixture();
	json_t *step = json_array_get(json_object_get(result, "steps"), 0);

	(void)state;
	json_object_set_new(json_object_get(result, "run"), "profile", json_string(bad));
	json_object_set_new(step, "benchmark", json_string(bad));
	json_object_set_new(json_object_get(step, "params"), bad, json_string(bad));
	json_object_set_new(first_metric(result), "name", json_string(bad));
	json_object_set_new(first_metric(result), "advice", json_string(bad));
	json_array_append_new(json_object_get(result, "notes"), json_string(bad));
	NOVA_AUTOFREE char *page = render(result, "html", NULL);
	NOVA_AUTOFREE char *text = render(result, "markdown", NULL);

	assert_lacks(page, "<script");
	assert_lacks(page, "\" onload");
	assert_lacks(page, "\033");
	assert_lacks(page, "\xe2\x80\xae");
	assert_lacks(page, "novacore run --profile");
	assert_lacks(text, "<script");
	assert_lacks(text, "\n# y");
	assert_lacks(text, "x|");
	assert_lacks(text, "\033");
}

static void long_texts_are_cut_between_characters(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();
	NOVA_AUTOTEXT struct nova_text note = {0};

	(void)state;
	nova_text_add(&note, "x");
	while (note.length < 100000)
		nova_text_add(&note, "ü");
	json_array_append_new(json_object_get(result, "notes"), json_string(note.data));
	NOVA_AUTOFREE char *page = render(result, "html", NULL);

	assert_true(strlen(page) < 60000);
	assert_contains(page, "ü…</li>");
}

static void comparisons_say_difference_interval_and_goal(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();
	json_t *step = json_array_get(json_object_get(result, "steps"), 0);

	(void)state;
	json_object_set_new(
	        step, "comparisons",
	        json_pack("[{ss ss ss ss ss ss ss ss si sf s[ff] sn sf sf s{sf sf} ss sn}]", "name",
	                  "cpu.rate.overhead", "metric", "cpu.rate", "a", "native", "b", "vm", "of",
	                  "overhead", "unit", "1", "better", "lower", "method", "pairs", "n", 12,
	                  "value", 0.125, "interval", 0.0625, 0.25, "interval_why", "level", 0.95,
	                  "p", 0.003, "goal", "pass", 0.03, "acceptable", 0.05, "verdict",
	                  "needs optimization", "verdict_why"));
	NOVA_AUTOFREE char *page = render_page(result, NULL);

	assert_contains(page, "<b><data value=\"0.125\">+12.5 %</data></b>");
	assert_contains(page,
	                "<data value=\"0.0625\">+6.25 %</data> … <data value=\"0.25\">+25.0 %");
	assert_contains(page, "aria-label=\"+12.5 %, interval +6.25 % to +25.0 %\"");
	assert_contains(page, "≤ 3 %");
	assert_contains(page, "vm against native; pairs");
	/* What was missed stands in the summary, too. */
	assert_contains(page, "<code>cpu.rate.overhead</code></a> <data value=\"0.125\">");
}

static void regressions_come_first_with_their_baseline(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();

	(void)state;
	json_object_set_new(first_metric(result), "verdict", json_string("regressed"));
	json_object_set_new(first_metric(result), "baseline",
	                    json_pack("{ss sf}", "name", "monday", "value", 0.125));
	NOVA_AUTOFREE char *page = render_page(result, NULL);

	assert_contains(page, "got worse than its baseline.");
	assert_contains(page, "baseline monday: <data value=\"0.125\">125 ms</data>");
}

static void stub_guests_are_labelled_everywhere(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();
	json_t *step = json_array_get(json_object_get(result, "steps"), 0);

	(void)state;
	json_object_set_new(json_object_get(step, "params"), "guest", json_string("stub"));
	NOVA_AUTOFREE char *page = render(result, "html", NULL);
	NOVA_AUTOFREE char *text = render(result, "markdown", NULL);

	assert_contains(page, "Control-plane test.");
	assert_contains(text, "**Control-plane test**");
}

static void history_needs_two_points_and_tells_changes(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();
	NOVA_AUTOJSON json_t *history = json_pack(
	        "[{ss ss ss s[{ss sf}]}, {ss ss ss s[{ss sf} {ss sf}] s[{si sf sf sf sf}]}]",
	        "metric", "lonely", "side", "vm", "unit", "s", "points", "started", "2026-01-01",
	        "value", 1.0, "metric", "pair", "side", "vm", "unit", "s", "points", "started",
	        "2026-01-01", "value", 1.0, "started", "2026-01-02", "value", 2.0, "changes",
	        "index", 1, "before", 1.0, "after", 2.0, "shift", 1.0, "p", 0.001);
	struct nova_report_options options = {.history = history};

	(void)state;
	assert_non_null(history);
	NOVA_AUTOFREE char *page = render_page(result, &options);

	assert_lacks(page, "lonely");
	assert_contains(page, "2 runs from 2026-01-01 to 2026-01-02; this one 2.00 s. Changed at "
	                      "2026-01-02 (point 2): 1.00 s before, 2.00 s after (+100.0 %)");
}

static void markdown_has_a_table_for_each_step(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();
	NOVA_AUTOFREE char *text = render(result, "markdown", NULL);

	(void)state;
	assert_contains(text, "# novacore: hpc\n");
	assert_contains(text, "## lifecycle on local\n");
	assert_contains(text, "Parameters: concurrency=1, stop=graceful, wait=5s\n");
	assert_contains(text, "| metric | median | goal | verdict |\n|---|---|---|---|\n");
	assert_contains(text,
	                "| lifecycle.start.running | 260 ms \\[250 ms, 290 ms\\], n = 10 of 10 | "
	                "≤ 10 s (≤ 12.5 s acceptable) | pass |\n");
}

/* --- refusals -------------------------------------------------------------------------------- */

static int write_code(const json_t *result, const char *format, struct nova_error *error)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	int code = nova_report_write(result, format, out, NULL, error);

	fclose(out);
	assert_int_equal(bytes, 0);
	free(text);
	return code;
}

static void refuses_unknown_format_with_nearest(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();
	struct nova_error error = {0};

	(void)state;
	assert_int_equal(write_code(result, "jsno", &error), NOVA_E_INVALID);
	assert_contains(error.text, "did you mean json?");
	assert_int_equal(write_code(result, "", &error), NOVA_E_INVALID);
	assert_contains(error.text, "table, json, csv, junit, html, markdown");
}

static void refuses_what_is_no_result_with_its_place(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();
	NOVA_AUTOJSON json_t *array = json_array();
	struct nova_error error = {0};

	(void)state;
	json_object_set_new(first_metric(result), "n", json_string("many"));
	assert_int_equal(write_code(result, "table", &error), NOVA_E_INVALID);
	assert_contains(error.text, "steps[0].metrics[0].n is not a whole number");
	assert_int_equal(write_code(array, "json", &error), NOVA_E_INVALID);
	assert_int_equal(write_code(NULL, "json", &error), NOVA_E_INVALID);
	assert_contains(error.text, "not a result of novacore");
}

static void refuses_other_schema_versions(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();
	struct nova_error error = {0};

	(void)state;
	json_object_set_new(result, "schema", json_string("novacore.result/2"));
	assert_int_equal(nova_report_check(result, &error), NOVA_E_UNSUPPORTED);
	assert_contains(error.text, "novacore.result/2");
	json_object_set_new(result, "schema", json_string("novacore.resul"));
	assert_int_equal(nova_report_check(result, &error), NOVA_E_INVALID);
}

static void reports_a_full_disk_while_writing(void **state)
{
	NOVA_AUTOJSON json_t *result = fixture();
	struct nova_error error = {0};
	FILE *out = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(out);
	assert_int_equal(nova_report_write(result, "json", out, NULL, &error), NOVA_E_FULL);
	fclose(out);
}

static void no_color_turns_colours_off(void **state)
{
	struct nova_report_options options = {.colour = true, .width = 3};
	FILE *file = tmpfile();

	(void)state;
	nova_report_options_detect(file, &options);
	assert_false(options.colour);
	assert_int_equal(options.width, 0);
	fclose(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(table_says_what_ran_where_and_why),
	        cmocka_unit_test(every_value_has_unit_interval_and_count),
	        cmocka_unit_test(missed_goal_says_what_to_look_at),
	        cmocka_unit_test(too_few_samples_are_said_to_be_too_few),
	        cmocka_unit_test(equal_remarks_are_printed_once),
	        cmocka_unit_test(metric_without_any_success_shows_no_number),
	        cmocka_unit_test(columns_are_aligned),
	        cmocka_unit_test(says_what_was_left_out_and_what_to_do_next),
	        cmocka_unit_test(interrupted_run_says_how_to_go_on),
	        cmocka_unit_test(simulated_results_are_marked),
	        cmocka_unit_test(verbose_adds_meaning_percentiles_and_facts),
	        cmocka_unit_test(colours_only_when_asked),
	        cmocka_unit_test(narrow_terminal_loses_nothing),
	        cmocka_unit_test(what_is_not_above_its_floor_is_at_most_the_floor),
	        cmocka_unit_test(control_characters_do_not_reach_the_terminal),
	        cmocka_unit_test(json_reads_back_equal),
	        cmocka_unit_test(csv_has_a_row_per_sample_with_its_unit),
	        cmocka_unit_test(csv_quotes_only_what_must_be),
	        cmocka_unit_test(junit_maps_verdicts_to_outcomes),
	        cmocka_unit_test(xml_escapes_everything_that_xml_cannot_hold),
	        cmocka_unit_test(html_says_verdict_value_interval_and_count),
	        cmocka_unit_test(recordings_are_told_with_what_they_cost),
	        cmocka_unit_test(a_flame_graph_of_this_host_is_linked_while_it_is_there),
	        cmocka_unit_test(html_loads_and_runs_nothing),
	        cmocka_unit_test(nothing_of_a_document_becomes_markup),
	        cmocka_unit_test(long_texts_are_cut_between_characters),
	        cmocka_unit_test(comparisons_say_difference_interval_and_goal),
	        cmocka_unit_test(regressions_come_first_with_their_baseline),
	        cmocka_unit_test(stub_guests_are_labelled_everywhere),
	        cmocka_unit_test(history_needs_two_points_and_tells_changes),
	        cmocka_unit_test(markdown_has_a_table_for_each_step),
	        cmocka_unit_test(refuses_unknown_format_with_nearest),
	        cmocka_unit_test(refuses_what_is_no_result_with_its_place),
	        cmocka_unit_test(refuses_other_schema_versions),
	        cmocka_unit_test(reports_a_full_disk_while_writing),
	        cmocka_unit_test(no_color_turns_colours_off),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
