/* SPDX-License-Identifier: MIT */
/* novacore report: one run as a page to read, to send and to keep. */
#include "core/cli/judging.h"

#include "core/report/report.h"
#include "core/run/run.h"

#include <string.h>
#include <sys/stat.h>

static const char help[] =
        "usage: novacore report RUN [--format html|markdown|json|csv|junit|table] [--output FILE]\n"
        "\n"
        "A run as a page to read: one HTML file that needs nothing else and loads nothing, with "
        "verdicts,\n"
        "intervals, distributions, the timeline of each VM, comparisons, history, and how to run "
        "it "
        "again.\n"
        "RUN is a run's id, the beginning of one that no other shares, \"last\", or a file that "
        "results export\n"
        "wrote (- is standard input).\n"
        "\n"
        "examples:\n"
        "  novacore report last --output report.html\n"
        "  novacore report last --output report.md   Markdown, by the file's name\n"
        "  novacore report last --format markdown | head\n"
        "  novacore report r.json --output r.html    of a result from anywhere\n"
        "\n"
        "  --format FORMAT       html, markdown, json, csv (a row per sample), junit (a test case "
        "per goal)\n"
        "                        or table; default: what FILE's ending says, else html\n"
        "  --output FILE         instead of standard output; appears only when complete\n"
        "  --no-history          leave out earlier runs of the same in the same place\n"
        "  --config FILE         a configuration file over the system's and "
        "yours\n" NOVA_COMMON_HELP;

enum { OPTION_FORMAT = 1, OPTION_OUTPUT, OPTION_NO_HISTORY, OPTION_CONFIG };

static const struct option options[] = {{"format", required_argument, NULL, OPTION_FORMAT},
                                        {"output", required_argument, NULL, OPTION_OUTPUT},
                                        {"no-history", no_argument, NULL, OPTION_NO_HISTORY},
                                        {"config", required_argument, NULL, OPTION_CONFIG},
                                        NOVA_COMMON_OPTIONS,
                                        {NULL, 0, NULL, 0}};

struct command {
	const char *run, *format, *output, *config;
	bool history, verbose;
	struct judging judging;
};

/* So many earlier runs a figure shows. */
#define MOST_POINTS 60

/* --- reading --------------------------------------------------------------------------------- */

/* A run's id has neither a point nor a slash; who names a file means one. */
static bool is_file(const char *run)
{
	struct stat status;

	return !strcmp(run, "-") || strpbrk(run, "./") ||
	       (strcmp(run, "last") != 0 && stat(run, &status) == 0 && S_ISREG(status.st_mode));
}

static int read_file(const struct command *command, json_t **result, struct nova_error *error)
{
	*result = nova_document_read(command->run, error);
	if (!*result)
		return error->code;
	return nova_report_check(*result, error) ? nova_error_prefix(error, "%s", command->run) : 0;
}

static int read_run(struct command *command, json_t **result, struct nova_error *error)
{
	int code;

	if (is_file(command->run))
		return read_file(command, result, error);
	code = judging_open(command->config, &command->judging, error);
	return code ? code : nova_result_build(command->judging.store, command->run, result, error);
}

static const json_t *series_of(const json_t *all, const json_t *step, const json_t *metric)
{
	size_t i;
	json_t *series;

	json_array_foreach(all, i, series)
	{
		const json_t *points = json_object_get(series, "points");
		const json_t *last = json_array_get(points, json_array_size(points) - 1);

		if (json_equal(json_object_get(last, "step"), json_object_get(step, "index")) &&
		    json_equal(json_object_get(series, "metric"),
		               json_object_get(metric, "name")) &&
		    json_equal(json_object_get(series, "side"), json_object_get(metric, "side")))
			return series;
	}
	return NULL;
}

/* What the run has measured, in the order of its result; the run is the last point. */
static int read_history(const struct command *command, const json_t *result, json_t **out,
                        struct nova_error *error)
{
	struct nova_history_request request = {
	        .run = nova_json_text(json_object_get(result, "run"), "id"),
	        .most = MOST_POINTS,
	        .judging = command->judging.by};
	NOVA_AUTOJSON json_t *history = NULL;
	int code = nova_history(command->judging.store, &request, &history, error);
	size_t i, j;
	json_t *step, *metric;

	*out = json_array();
	json_array_foreach(json_object_get(result, "steps"), i, step)
	{
		json_array_foreach(json_object_get(step, "metrics"), j, metric)
		{
			const json_t *series =
			        series_of(json_object_get(history, "series"), step, metric);

			if (series)
				json_array_append(*out, (json_t *)(uintptr_t)series);
		}
	}
	return code;
}

/* --- writing --------------------------------------------------------------------------------- */

static const char *format_of(const char *path)
{
	static const struct {
		const char *ending, *format;
	} all[] = {{".html", "html"},         {".htm", "html"},  {".md", "markdown"},
	           {".markdown", "markdown"}, {".json", "json"}, {".csv", "csv"},
	           {".xml", "junit"},         {".txt", "table"}};
	const char *ending = path ? strrchr(path, '.') : NULL;

	for (size_t i = 0; ending && i < NOVA_COUNT(all); i++)
		if (!strcmp(all[i].ending, ending))
			return all[i].format;
	return "html";
}

static int check_format(const char *format, struct nova_error *error)
{
	const char *near = nova_nearest(format, nova_report_formats);

	for (size_t i = 0; nova_report_formats[i]; i++)
		if (!strcmp(nova_report_formats[i], format))
			return 0;
	return nova_error_set(
	        error, NOVA_E_INVALID,
	        "report has no format \"%s\"%s%s%s; it has html, markdown, json, csv, "
	        "junit and table",
	        format, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static int act(struct command *command, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *result = NULL, *history = NULL;
	struct nova_report_options look;
	FILE *out;
	int code = check_format(command->format, error);

	if (!code)
		code = read_run(command, &result, error);
	/* A result from elsewhere has its history elsewhere. */
	if (!code && command->history && command->judging.store && !strcmp(command->format, "html"))
		code = read_history(command, result, &history, error);
	if (code)
		return code;
	out = nova_output_open(command->output, error);
	if (!out)
		return error->code;
	nova_report_options_detect(out, &look);
	look.verbose = command->verbose;
	look.history = history;
	code = nova_report_write(result, command->format, out, &look, error);
	if (!code)
		return nova_output_close(out, command->output, error);
	nova_output_discard(out, command->output);
	return code;
}

/* --- the command ----------------------------------------------------------------------------- */

static int parse(struct command *command, int argc, char **argv)
{
	int option, code = -1;

	optind = 0;
	opterr = 0;
	while (code < 0 && (option = getopt_long(argc, argv, ":", options, NULL)) >= 0)
		switch (option) {
		case OPTION_FORMAT: command->format = optarg; break;
		case OPTION_OUTPUT: command->output = optarg; break;
		case OPTION_NO_HISTORY: command->history = false; break;
		case OPTION_CONFIG: command->config = optarg; break;
		case NOVA_OPTION_VERBOSE:
			command->verbose = true;
			/* fallthrough */
		default: code = nova_common_option(option, argv, options, help); break;
		}
	if (code >= 0)
		return code;
	if (argc - optind != 1) {
		fprintf(stderr, "novacore: report takes one RUN: an id, \"last\" or a file that "
		                "results export wrote\n");
		return 2;
	}
	command->run = argv[optind];
	command->format = command->format ? command->format : format_of(command->output);
	return -1;
}

int nova_command_report(int argc, char **argv)
{
	struct command command = {.history = true};
	struct nova_error error = {0};
	int code = parse(&command, argc, argv);

	if (code >= 0)
		return code;
	code = act(&command, &error);
	judging_close(&command.judging);
	if (!code && (fflush(stdout) || ferror(stdout)))
		code = nova_error_errno(&error, "cannot write to standard output");
	return code ? nova_complain(&error) : 0;
}
