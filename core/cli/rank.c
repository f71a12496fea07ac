/* SPDX-License-Identifier: MIT */
/* novacore rank: targets by a metric, as far as their intervals separate. */
#include "core/cli/judging.h"

#include "core/report/report.h"

#include <stdlib.h>
#include <string.h>

static const char help[] =
        "usage: novacore rank METRIC [RUN…] [OPTION]…\n"
        "\n"
        "Ranks targets by the metric: one is before another only where their intervals separate, "
        "and a\n"
        "tie is shown as one. Without RUN, each target stands with its newest value. What was "
        "defined or\n"
        "measured otherwise (accelerator, host, shape of the VMs, parameters, source of end "
        "points) is not\n"
        "comparable and stands apart, with the reason. Simulated values are never ranked.\n"
        "\n"
        "examples:\n"
        "  novacore rank lifecycle.start.ready\n"
        "  novacore rank lifecycle.start.ready last\n"
        "  novacore rank lifecycle.start.ready --format json\n"
        "\n"
        "  --format FORMAT       table (default), json, csv\n"
        "  --output FILE         instead of standard output; appears only when complete\n"
        "  --config FILE         a configuration file over the system's and "
        "yours\n" NOVA_COMMON_HELP;

enum { OPTION_FORMAT = 1, OPTION_OUTPUT, OPTION_CONFIG };

static const struct option options[] = {{"format", required_argument, NULL, OPTION_FORMAT},
                                        {"output", required_argument, NULL, OPTION_OUTPUT},
                                        {"config", required_argument, NULL, OPTION_CONFIG},
                                        NOVA_COMMON_OPTIONS,
                                        {NULL, 0, NULL, 0}};

struct command {
	const char *metric, *format, *output, *config;
	char **words; /* runs */
	int count;
	char **runs; /* their whole ids */
	struct judging judging;
};

static int parse(struct command *command, int argc, char **argv)
{
	int option, code = -1;

	optind = 0;
	opterr = 0;
	while (code < 0 && (option = getopt_long(argc, argv, ":", options, NULL)) >= 0)
		switch (option) {
		case OPTION_FORMAT: command->format = optarg; break;
		case OPTION_OUTPUT: command->output = optarg; break;
		case OPTION_CONFIG: command->config = optarg; break;
		default: code = nova_common_option(option, argv, options, help); break;
		}
	if (code >= 0)
		return code;
	if (optind >= argc) {
		fputs("novacore: rank takes a METRIC, such as lifecycle.start.ready, and perhaps "
		      "runs; --help has examples\n",
		      stderr);
		return 2;
	}
	command->metric = argv[optind];
	command->words = argv + optind + 1;
	command->count = argc - optind - 1;
	return -1;
}

static int resolve_runs(struct command *command, struct nova_error *error)
{
	command->runs = nova_alloc(((size_t)command->count + 1) * sizeof(*command->runs));
	for (int i = 0; i < command->count; i++) {
		struct nova_run_record run;
		int code =
		        nova_store_run_get(command->judging.store, command->words[i], &run, error);

		if (code)
			return code;
		command->runs[i] = nova_strdup(run.id);
		nova_run_record_clear(&run);
	}
	return 0;
}

static int rank(struct command *command, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *ranking = NULL;
	int code = judging_check_format("rank", command->format, judging_formats, error);

	if (!code)
		code = judging_open(command->config, &command->judging, error);
	if (!code)
		code = resolve_runs(command, error);
	if (!code)
		code = nova_rank(command->judging.store, command->metric,
		                 command->count ? (const char *const *)command->runs : NULL,
		                 (size_t)command->count, &ranking, error);
	if (!code)
		code = judging_deliver(ranking, command->format, command->output, nova_report_rank,
		                       error);
	return code;
}

int nova_command_rank(int argc, char **argv)
{
	struct command command = {.format = "table"};
	struct nova_error error = {0};
	int code = parse(&command, argc, argv);

	if (code >= 0)
		return code;
	code = rank(&command, &error);
	for (int i = 0; command.runs && i < command.count; i++)
		free(command.runs[i]);
	free(command.runs);
	judging_close(&command.judging);
	return code ? nova_complain(&error) : 0;
}
