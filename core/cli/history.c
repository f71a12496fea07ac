/* SPDX-License-Identifier: MIT */
/* novacore history: a metric over all runs, with the points at which it changed. */
#include "core/cli/judging.h"

#include "core/report/report.h"

#include <string.h>

static const char help[] =
        "usage: novacore history METRIC [OPTION]…\n"
        "\n"
        "Shows one value of the metric per run in order of time, and where its level changed. "
        "Values are\n"
        "kept apart where they do not mean the same: another where (host, guest, shape of the "
        "VMs),\n"
        "benchmark, parameters, target, side, definition or source of end points is another "
        "series.\n"
        "Changes that novacore ack has acknowledged are marked.\n"
        "\n"
        "examples:\n"
        "  novacore history lifecycle.start.ready\n"
        "  novacore history lifecycle.start.ready --where this --plugin kvm\n"
        "  novacore history lifecycle.start.ready --format csv --output h.csv\n"
        "\n"
        "  --benchmark NAME      only of this benchmark\n"
        "  --plugin NAME         only on targets of this driver (novacore plugin list)\n"
        "  --side SIDE           only of this side: vm or native\n"
        "  --where HASH|this     only of this where: the beginning of a hash, or this host\n"
        "  --format FORMAT       table (default), json, csv\n"
        "  --output FILE         instead of standard output; appears only when complete\n"
        "  --config FILE         a configuration file over the system's and "
        "yours\n" NOVA_COMMON_HELP;

enum {
	OPTION_BENCHMARK = 1,
	OPTION_PLUGIN,
	OPTION_SIDE,
	OPTION_WHERE,
	OPTION_FORMAT,
	OPTION_OUTPUT,
	OPTION_CONFIG
};

static const struct option options[] = {{"benchmark", required_argument, NULL, OPTION_BENCHMARK},
                                        {"plugin", required_argument, NULL, OPTION_PLUGIN},
                                        {"side", required_argument, NULL, OPTION_SIDE},
                                        {"where", required_argument, NULL, OPTION_WHERE},
                                        {"format", required_argument, NULL, OPTION_FORMAT},
                                        {"output", required_argument, NULL, OPTION_OUTPUT},
                                        {"config", required_argument, NULL, OPTION_CONFIG},
                                        NOVA_COMMON_OPTIONS,
                                        {NULL, 0, NULL, 0}};

struct command {
	const char *format, *output, *config;
	struct nova_history_request request;
	struct judging judging;
};

static int usage(const char *text)
{
	fprintf(stderr, "novacore: %s\n", text);
	return 2;
}

static int take_side(struct command *command, const char *side)
{
	static const char *const sides[] = {"vm", "native"};

	for (size_t i = 0; i < NOVA_COUNT(sides); i++)
		if (!strcmp(sides[i], side)) {
			command->request.side = side;
			return -1;
		}
	return usage("--side takes vm or native: what novacore ab compared has no history");
}

static int take_where(struct command *command, const char *where)
{
	command->request.where = where;
	if (!strcmp(where, "this") ||
	    (*where && strspn(where, "0123456789abcdef") == strlen(where) && strlen(where) <= 64))
		return -1;
	return usage("--where takes \"this\", or the beginning of a hash as novacore history shows "
	             "it");
}

static int take_option(struct command *command, int option, char **argv)
{
	switch (option) {
	case OPTION_BENCHMARK: command->request.benchmark = optarg; return -1;
	case OPTION_PLUGIN: command->request.plugin = optarg; return -1;
	case OPTION_SIDE: return take_side(command, optarg);
	case OPTION_WHERE: return take_where(command, optarg);
	case OPTION_FORMAT: command->format = optarg; return -1;
	case OPTION_OUTPUT: command->output = optarg; return -1;
	case OPTION_CONFIG: command->config = optarg; return -1;
	default: return nova_common_option(option, argv, options, help);
	}
}

static int parse(struct command *command, int argc, char **argv)
{
	int option, code = -1;

	optind = 0;
	opterr = 0;
	while (code < 0 && (option = getopt_long(argc, argv, ":", options, NULL)) >= 0)
		code = take_option(command, option, argv);
	if (code >= 0)
		return code;
	if (argc - optind != 1)
		return usage("history takes one METRIC, such as lifecycle.start.ready; --help has "
		             "examples");
	command->request.metric = argv[optind];
	return -1;
}

static int show(struct command *command, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *history = NULL;
	int code = judging_check_format("history", command->format, judging_formats, error);

	if (!code)
		code = judging_open(command->config, &command->judging, error);
	command->request.judging = command->judging.by;
	if (!code)
		code = nova_history(command->judging.store, &command->request, &history, error);
	if (!code)
		code = judging_deliver(history, command->format, command->output,
		                       nova_report_history, error);
	return code;
}

int nova_command_history(int argc, char **argv)
{
	struct command command = {.format = "table"};
	struct nova_error error = {0};
	int code = parse(&command, argc, argv);

	if (code >= 0)
		return code;
	code = show(&command, &error);
	judging_close(&command.judging);
	return code ? nova_complain(&error) : 0;
}
