/* SPDX-License-Identifier: MIT */
/* novacore results: list, show, export, import and delete what runs have left in the store. */
#include "core/cli/cli.h"

#include "core/judge/judge.h"
#include "core/report/report.h"
#include "core/run/run.h"

#include <string.h>
#include <unistd.h>

static const char help[] =
        "usage: novacore results list [--format table|json] [--output FILE]\n"
        "       novacore results show RUN [--format table|json|csv|junit|html|markdown]\n"
        "                             [--output FILE]\n"
        "       novacore results export RUN [--format json|csv|junit|table|html|markdown]\n"
        "                               [--output FILE]\n"
        "       novacore results import FILE…\n"
        "       novacore results delete RUN… [--yes]\n"
        "\n"
        "Every sample of every run is kept until it is deleted. RUN is a run's id, the beginning "
        "of one\n"
        "that no other shares, or \"last\". FILE is what export wrote, here or on another machine "
        "(- is\n"
        "standard input); importing the same result again changes nothing.\n"
        "\n"
        "examples:\n"
        "  novacore results list\n"
        "  novacore results show last --verbose\n"
        "  novacore results export last --output r.json\n"
        "  novacore results export last --format csv | head\n"
        "  novacore results import r.json\n"
        "\n"
        "  --format FORMAT       table (default of list and show), json (default of export), csv "
        "(a row\n"
        "                        per sample), junit (a test case per goal), html and\n"
        "                        markdown (as novacore report writes them)\n"
        "  --output FILE         instead of standard output; appears only when complete\n"
        "  --yes                 delete without asking\n"
        "  --config FILE         a configuration file over the system's and "
        "yours\n" NOVA_COMMON_HELP "\n"
        "With --verbose, show also says what each metric means, percentiles and the facts of the "
        "host.\n";

enum { OPTION_FORMAT = 1, OPTION_OUTPUT, OPTION_YES, OPTION_CONFIG };

static const struct option options[] = {{"format", required_argument, NULL, OPTION_FORMAT},
                                        {"output", required_argument, NULL, OPTION_OUTPUT},
                                        {"yes", no_argument, NULL, OPTION_YES},
                                        {"config", required_argument, NULL, OPTION_CONFIG},
                                        NOVA_COMMON_OPTIONS,
                                        {NULL, 0, NULL, 0}};

struct command {
	const char *action, *format, *output, *config;
	bool yes, verbose;
	char **words; /* what follows the action */
	int count;
	struct nova_settings settings;
	struct nova_store *store;
};

/* --- output ---------------------------------------------------------------------------------- */

/* Writes by `write` to where the user wants it; a file appears whole or not at all. */
static int deliver(const struct command *command,
                   int (*write)(const struct command *command, const json_t *what, FILE *out,
                                struct nova_error *error),
                   const json_t *what, struct nova_error *error)
{
	FILE *out = nova_output_open(command->output, error);
	int code;

	if (!out)
		return error->code;
	code = write(command, what, out, error);
	if (!code)
		return nova_output_close(out, command->output, error);
	nova_output_discard(out, command->output);
	return code;
}

static int write_result(const struct command *command, const json_t *result, FILE *out,
                        struct nova_error *error)
{
	struct nova_report_options look;

	nova_report_options_detect(out, &look);
	look.verbose = command->verbose;
	return nova_report_write(result, command->format, out, &look, error);
}

static int show(const struct command *command, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *result = NULL;
	int code = nova_result_build(command->store, command->words[0], &result, error);

	return code ? code : deliver(command, write_result, result, error);
}

/* --- list ------------------------------------------------------------------------------------ */

/* "kvm tcg, sim": what it ran on. */
static char *targets_of(const struct nova_run_record *run)
{
	const json_t *targets = json_array_size(run->targets)
	                                ? run->targets
	                                : json_object_get(run->plan, "targets");
	struct nova_text text = {0};
	json_t *target;
	size_t i;

	json_array_foreach(targets, i, target)
	{
		const char *plugin = json_string_value(json_object_get(target, "plugin"));
		const char *accel = json_string_value(json_object_get(target, "accel"));

		nova_text_addf(&text, "%s%s%s%s", i ? ", " : "", plugin ? plugin : "?",
		               accel ? " " : "", accel ? accel : "");
	}
	return text.data ? text.data : nova_strdup("-");
}

static int add_run(void *context, const struct nova_run_record *run)
{
	NOVA_AUTOFREE char *targets = targets_of(run);
	char started[32], ended[32];
	/* A run that was killed could not say so. */
	bool killed = !strcmp(run->state, "running") && !nova_run_alive(run->id);

	nova_utc_format(run->started_utc_ns, started);
	nova_utc_format(run->ended_utc_ns, ended);
	json_array_append_new(
	        context,
	        json_pack("{ss ss ss so ss ss}", "id", run->id, "profile", run->profile, "started",
	                  started, "ended", run->ended_utc_ns ? json_string(ended) : json_null(),
	                  "state", killed ? "interrupted" : run->state, "targets", targets));
	return 0;
}

static const char *cell(const json_t *run, const char *name)
{
	const char *text = json_string_value(json_object_get(run, name));

	return text ? text : "-";
}

static int write_list(const struct command *command, const json_t *runs, FILE *out,
                      struct nova_error *error)
{
	size_t i;
	json_t *run;

	if (!strcmp(command->format, "json")) {
		NOVA_AUTOJSON json_t *document = json_pack("{sO}", "runs", runs);

		if (json_dumpf(document, out, JSON_INDENT(1)))
			return nova_error_errno(error, "cannot write the list");
		fputc('\n', out);
		return 0;
	}
	if (!json_array_size(runs)) {
		fputs("There is no run yet; novacore --profile dev --plugin kvm makes one.\n", out);
		return 0;
	}
	fprintf(out, "%-36s  %-24s  %-11s  %-12s  %s\n", "run", "started", "state", "profile",
	        "targets");
	json_array_foreach(runs, i, run) fprintf(
	        out, "%-36s  %-24s  %-11s  %-12s  %s\n", cell(run, "id"), cell(run, "started"),
	        cell(run, "state"), cell(run, "profile"), cell(run, "targets"));
	return 0;
}

static int list(const struct command *command, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *runs = json_array();
	int code = nova_store_run_each(command->store, add_run, runs, error);

	return code ? code : deliver(command, write_list, runs, error);
}

/* --- import ---------------------------------------------------------------------------------- */

static int import_one(const struct command *command, const char *path, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *result = nova_document_read(path, error);
	bool imported = false;
	int code;

	if (!result)
		return error->code;
	code = nova_report_check(result, error);
	if (!code)
		code = nova_result_import(command->store, result, &imported, error);
	if (code)
		return nova_error_prefix(error, "%s", path);
	printf("%s %s\n", json_string_value(json_object_get(json_object_get(result, "run"), "id")),
	       imported ? "imported" : "is stored already, nothing to do");
	return 0;
}

static int import(const struct command *command, struct nova_error *error)
{
	for (int i = 0; i < command->count; i++) {
		int code = import_one(command, command->words[i], error);

		if (code)
			return code;
	}
	return 0;
}

/* --- delete ---------------------------------------------------------------------------------- */

/* All of them must exist before the first is deleted. */
static int resolve(const struct command *command, json_t *ids, struct nova_error *error)
{
	for (int i = 0; i < command->count; i++) {
		struct nova_run_record run;
		int code = nova_store_run_get(command->store, command->words[i], &run, error);
		bool alive = !code && nova_run_alive(run.id);

		if (code)
			return code;
		json_object_set_new(ids, run.id, json_string(run.state));
		if (alive)
			nova_error_set(error, NOVA_E_BUSY,
			               "run %s is being executed; stop it first (Ctrl-C)", run.id);
		nova_run_record_clear(&run);
		if (alive)
			return NOVA_E_BUSY;
	}
	return 0;
}

static bool agreed(json_t *ids)
{
	const char *id;
	char answer[8] = "";
	json_t *state;

	json_object_foreach(ids, id, state) fprintf(stderr, "%s\n", id);
	fprintf(stderr, "Delete %zu with all samples? [y/N] ", json_object_size(ids));
	return fgets(answer, sizeof(answer), stdin) && (*answer == 'y' || *answer == 'Y');
}

static int delete_runs(const struct command *command, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *ids = json_object();
	const char *id;
	json_t *state;
	int code = resolve(command, ids, error);

	if (code)
		return code;
	if (!command->yes && !isatty(STDIN_FILENO))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "results delete asks on a terminal and there is none; say "
		                      "--yes to delete");
	if (!command->yes && !agreed(ids)) {
		puts("nothing was deleted");
		return 0;
	}
	json_object_foreach(ids, id, state)
	{
		code = nova_store_run_delete(command->store, id, error);
		if (code)
			return code;
		printf("%s deleted\n", id);
	}
	return 0;
}

/* --- the command ----------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int (*act)(const struct command *command, struct nova_error *error);
	int least, most; /* words */
	const char *format, *wants;
} actions[] = {
        {"list", list, 0, 0, "table", "nothing more"},
        {"show", show, 1, 1, "table", "one RUN (an id, or last)"},
        {"export", show, 1, 1, "json", "one RUN (an id, or last)"},
        {"import", import, 1, 1 << 20, "table", "at least one FILE"},
        {"delete", delete_runs, 1, 1 << 20, "table", "at least one RUN"},
};

static int open_store(struct command *command, struct nova_error *error)
{
	int code = nova_settings_load(NULL, command->config, NULL, 0, &command->settings, error);

	return code ? code : nova_settings_store(&command->settings, &command->store, error);
}

static int check_format(const struct command *command, struct nova_error *error)
{
	bool listing = !strcmp(command->action, "list");

	for (size_t i = 0; nova_report_formats[i] && (!listing || i < 2); i++)
		if (!strcmp(nova_report_formats[i], command->format))
			return 0;
	return nova_error_set(error, NOVA_E_INVALID, "results %s has no format \"%s\"; it has %s",
	                      command->action, command->format,
	                      listing ? "table and json"
	                              : "table, json, csv, junit, html and markdown");
}

static int act(struct command *command, struct nova_error *error)
{
	const char *names[NOVA_COUNT(actions) + 1] = {NULL};
	const char *near;
	int code;

	for (size_t i = 0; i < NOVA_COUNT(actions); i++) {
		names[i] = actions[i].name;
		if (strcmp(actions[i].name, command->action) != 0)
			continue;
		if (command->count < actions[i].least || command->count > actions[i].most)
			return nova_error_set(error, NOVA_E_INVALID, "results %s takes %s",
			                      command->action, actions[i].wants);
		command->format = command->format ? command->format : actions[i].format;
		code = check_format(command, error);
		if (!code)
			code = open_store(command, error);
		return code ? code : actions[i].act(command, error);
	}
	near = nova_nearest(command->action, names);
	return nova_error_set(error, NOVA_E_INVALID,
	                      "results has no \"%s\"%s%s%s; it has list, show, export, import and "
	                      "delete",
	                      command->action, near ? "; did you mean " : "", near ? near : "",
	                      near ? "?" : "");
}

static int parse(struct command *command, int argc, char **argv)
{
	int option, code = -1;

	optind = 0;
	opterr = 0;
	while (code < 0 && (option = getopt_long(argc, argv, ":", options, NULL)) >= 0)
		switch (option) {
		case OPTION_FORMAT: command->format = optarg; break;
		case OPTION_OUTPUT: command->output = optarg; break;
		case OPTION_YES: command->yes = true; break;
		case OPTION_CONFIG: command->config = optarg; break;
		case NOVA_OPTION_VERBOSE:
			command->verbose = true;
			/* fallthrough */
		default: code = nova_common_option(option, argv, options, help); break;
		}
	if (code >= 0)
		return code;
	if (optind >= argc) {
		fputs(help, stderr);
		return 2;
	}
	command->action = argv[optind];
	command->words = argv + optind + 1;
	command->count = argc - optind - 1;
	return -1;
}

int nova_command_results(int argc, char **argv)
{
	struct command command = {0};
	struct nova_error error = {0};
	int code = parse(&command, argc, argv);

	if (code >= 0)
		return code;
	code = act(&command, &error);
	nova_store_close(command.store);
	nova_settings_free(&command.settings);
	if (!code && (fflush(stdout) || ferror(stdout)))
		code = nova_error_errno(&error, "cannot write to standard output");
	return code ? nova_complain(&error) : 0;
}
