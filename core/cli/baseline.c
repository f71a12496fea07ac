/* SPDX-License-Identifier: MIT */
/* novacore baseline: name the runs by which later ones are judged. */
#include "core/cli/judging.h"

#include "core/run/run.h"

#include <stdlib.h>
#include <string.h>

static const char help[] =
        "usage: novacore baseline set RUN… [--name NAME] [--force]\n"
        "       novacore baseline list [--format table|json]\n"
        "       novacore baseline show [NAME] [--where HASH] [--format table|json]\n"
        "       novacore baseline delete NAME [--where HASH]\n"
        "\n"
        "A baseline is one run, or several, by which later runs are judged: every run whose where\n"
        "(host, guest, shape of the VMs) is the same says of each metric whether it got worse. "
        "There is\n"
        "one of a name for each where. Runs are judged by the one that regression.baseline names\n"
        "(\"default\"). Several runs are better than one: they show what differs from run to run.\n"
        "RUN is a run's id, the beginning of one, or \"last\".\n"
        "\n"
        "examples:\n"
        "  novacore baseline set last\n"
        "  novacore baseline set last --name before-upgrade\n"
        "  novacore baseline list\n"
        "  novacore baseline show default --format json\n"
        "\n"
        "  --name NAME           set: the baseline's name (default: what regression.baseline "
        "says)\n"
        "  --where HASH          the beginning of the where of the one that is meant\n"
        "  --force               set: take a run that is not complete as well\n"
        "  --format FORMAT       table (default) or json\n"
        "  --output FILE         instead of standard output; appears only when complete\n"
        "  --config FILE         a configuration file over the system's and "
        "yours\n" NOVA_COMMON_HELP "\n"
        "A simulated run never becomes a baseline (exit code 5).\n";

enum { OPTION_NAME = 1, OPTION_WHERE, OPTION_FORCE, OPTION_FORMAT, OPTION_OUTPUT, OPTION_CONFIG };

static const struct option options[] = {{"name", required_argument, NULL, OPTION_NAME},
                                        {"where", required_argument, NULL, OPTION_WHERE},
                                        {"force", no_argument, NULL, OPTION_FORCE},
                                        {"format", required_argument, NULL, OPTION_FORMAT},
                                        {"output", required_argument, NULL, OPTION_OUTPUT},
                                        {"config", required_argument, NULL, OPTION_CONFIG},
                                        NOVA_COMMON_OPTIONS,
                                        {NULL, 0, NULL, 0}};

struct command {
	const char *action, *name, *where, *format, *output, *config;
	bool force;
	char **words; /* what follows the action */
	int count;
	struct judging judging;
};

static const char *name_of(const struct command *command)
{
	return command->name ? command->name
	                     : nova_json_text(command->judging.regression, "baseline");
}

/* --- actions --------------------------------------------------------------------------------- */

static int set(struct command *command, struct nova_error *error)
{
	struct nova_baseline_record made = {0};
	int code = nova_baseline_set(command->judging.store, (const char *const *)command->words,
	                             (size_t)command->count, name_of(command), command->force,
	                             &made, error);

	if (code)
		return code;
	printf("baseline %s of where %.12s: %zu run%s\n", made.name, made.where,
	       json_array_size(made.runs), json_array_size(made.runs) == 1 ? "" : "s");
	json_decref(made.runs);
	return 0;
}

static int add_baseline(void *context, const struct nova_baseline_record *baseline)
{
	char made[32];

	nova_utc_format(baseline->made_utc_ns, made);
	json_array_append_new(context,
	                      json_pack("{ss ss ss sO}", "name", baseline->name, "where",
	                                baseline->where, "made", made, "runs", baseline->runs));
	return 0;
}

static void print_list(const json_t *baselines, FILE *out)
{
	size_t i;
	json_t *one;

	if (!json_array_size(baselines)) {
		fputs("There is no baseline yet; novacore baseline set last makes one of the "
		      "latest "
		      "run.\n",
		      out);
		return;
	}
	fprintf(out, "%-24s  %-12s  %-24s  %5s  %s\n", "name", "where", "made", "runs",
	        "newest run");
	json_array_foreach(baselines, i, one)
	{
		const json_t *runs = json_object_get(one, "runs");
		size_t count = json_array_size(runs);

		fprintf(out, "%-24s  %.12s  %-24s  %5zu  %s\n", nova_json_text(one, "name"),
		        nova_json_text(one, "where"), nova_json_text(one, "made"), count,
		        count ? json_string_value(json_array_get(runs, count - 1)) : "-");
	}
}

static int write_json(const json_t *document, FILE *out, struct nova_error *error)
{
	if (json_dumpf(document, out, JSON_INDENT(1)))
		return nova_error_errno(error, "cannot write the baselines");
	fputc('\n', out);
	return 0;
}

static int write_list(const json_t *document, const char *format, FILE *out,
                      struct nova_error *error)
{
	if (!strcmp(format, "json"))
		return write_json(document, out, error);
	print_list(json_object_get(document, "baselines"), out);
	return 0;
}

static int list(struct command *command, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *document = json_pack("{s[]}", "baselines");
	int code = nova_store_baseline_each(command->judging.store, NULL, NULL, add_baseline,
	                                    json_object_get(document, "baselines"), error);

	return code ? code
	            : judging_deliver(document, command->format, command->output, write_list,
	                              error);
}

static void print_baseline(const json_t *document, FILE *out)
{
	size_t i;
	json_t *run, *value;
	const char *fact;

	fprintf(out, "Baseline %s, made %s\n  where %.12s\n", nova_json_text(document, "name"),
	        nova_json_text(document, "made"), nova_json_text(document, "where"));
	json_object_foreach(json_object_get(document, "facts"), fact, value)
	{
		NOVA_AUTOFREE char *text = nova_json_canonical(value);

		nova_text_clean(text);
		fprintf(out, "    %s: %s\n", fact, text);
	}
	json_array_foreach(json_object_get(document, "runs"), i, run)
	        fprintf(out, "  run %s, profile %s, %s, %s: %lld values of %lld metrics\n",
	                nova_json_text(run, "id"), nova_json_text(run, "profile"),
	                nova_json_text(run, "started"), nova_json_text(run, "state"),
	                (long long)json_integer_value(json_object_get(run, "n")),
	                (long long)json_integer_value(json_object_get(run, "metrics")));
}

static int write_baseline(const json_t *document, const char *format, FILE *out,
                          struct nova_error *error)
{
	if (!strcmp(format, "json"))
		return write_json(document, out, error);
	print_baseline(document, out);
	return 0;
}

/* A run of it: what it is, and how much it has measured. */
static json_t *run_json(const json_t *result)
{
	const json_t *run = json_object_get(result, "run");
	json_int_t metrics = 0, n = 0;
	size_t i, j;
	json_t *step, *metric;

	json_array_foreach(json_object_get(result, "steps"), i, step)
	{
		json_array_foreach(json_object_get(step, "metrics"), j, metric)
		{
			metrics++;
			n += json_integer_value(json_object_get(metric, "n"));
		}
	}
	return json_pack("{sO sO sO sO sI sI}", "id", json_object_get(run, "id"), "profile",
	                 json_object_get(run, "profile"), "started",
	                 json_object_get(run, "started"), "state", json_object_get(run, "state"),
	                 "metrics", metrics, "n", n);
}

static int show(struct command *command, struct nova_error *error)
{
	const char *name = command->count ? command->words[0] : name_of(command);
	struct nova_baseline_record found;
	NOVA_AUTOJSON json_t *results = NULL, *document = NULL, *runs = json_array();
	char made[32];
	size_t i;
	json_t *result;
	int code = nova_baseline_find(command->judging.store, name, command->where, &found, error);

	if (!code)
		code = nova_baseline_results(command->judging.store, &found, &results, error);
	json_array_foreach(results, i, result) json_array_append_new(runs, run_json(result));
	nova_utc_format(found.made_utc_ns, made);
	json_decref(found.runs);
	if (code)
		return code;
	document = json_pack("{ss ss ss so sO}", "name", found.name, "where", found.where, "made",
	                     made, "facts", nova_where_of_run(json_array_get(results, 0)), "runs",
	                     runs);
	return judging_deliver(document, command->format, command->output, write_baseline, error);
}

static int delete (struct command *command, struct nova_error *error)
{
	struct nova_baseline_record found;
	int code = nova_baseline_find(command->judging.store, command->words[0], command->where,
	                              &found, error);

	json_decref(found.runs);
	if (!code)
		code = nova_store_baseline_delete(command->judging.store, found.name, found.where,
		                                  error);
	if (!code)
		printf("baseline %s of where %.12s deleted; its runs stay\n", found.name,
		       found.where);
	return code;
}

/* --- the command ----------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int (*act)(struct command *command, struct nova_error *error);
	int least, most; /* words */
	const char *wants;
} actions[] = {{"set", set, 1, 1 << 16, "at least one RUN (an id, or last)"},
               {"list", list, 0, 0, "nothing more"},
               {"show", show, 0, 1, "one NAME"},
               {"delete", delete, 1, 1, "one NAME"}};

static int act(struct command *command, struct nova_error *error)
{
	static const char *const formats[] = {"table", "json", NULL};
	const char *names[NOVA_COUNT(actions) + 1] = {NULL}, *near;

	for (size_t i = 0; i < NOVA_COUNT(actions); i++) {
		int code;

		names[i] = actions[i].name;
		if (strcmp(actions[i].name, command->action) != 0)
			continue;
		if (command->count < actions[i].least || command->count > actions[i].most)
			return nova_error_set(error, NOVA_E_INVALID, "baseline %s takes %s",
			                      command->action, actions[i].wants);
		code = judging_check_format("baseline", command->format, formats, error);
		if (!code)
			code = judging_open(command->config, &command->judging, error);
		return code ? code : actions[i].act(command, error);
	}
	near = nova_nearest(command->action, names);
	return nova_error_set(error, NOVA_E_INVALID,
	                      "baseline has no \"%.40s\"%s%s%s; it has set, list, show and delete",
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
		case OPTION_NAME: command->name = optarg; break;
		case OPTION_WHERE: command->where = optarg; break;
		case OPTION_FORCE: command->force = true; break;
		case OPTION_FORMAT: command->format = optarg; break;
		case OPTION_OUTPUT: command->output = optarg; break;
		case OPTION_CONFIG: command->config = optarg; break;
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

int nova_command_baseline(int argc, char **argv)
{
	struct command command = {.format = "table"};
	struct nova_error error = {0};
	int code = parse(&command, argc, argv);

	if (code >= 0)
		return code;
	code = act(&command, &error);
	judging_close(&command.judging);
	return code ? nova_complain(&error) : 0;
}
