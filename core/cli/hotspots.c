/* SPDX-License-Identifier: MIT */
/* novacore hotspots: where the time of a recording goes, and what of it has changed. */
#include "core/cli/judging.h"
#include "core/cli/recording.h"

#include "core/report/report.h"

#include <string.h>

static const char help[] =
        "usage: novacore hotspots FILE [OPTION]…\n"
        "\n"
        "Shows which functions have the samples of a recording: by themselves (self), and\n"
        "together with what they call (total), each with its interval. FILE is a directory of\n"
        "novacore record, an ID of novacore recordings list, or what perf script prints, folded\n"
        "stacks or pprof, with gzip or without; - is standard input. With --diff the change of\n"
        "each since an earlier recording stands beside it, and whether it is more than noise.\n"
        "\n"
        "examples:\n"
        "  perf script | novacore hotspots -\n"
        "  novacore hotspots after.pb.gz --diff before.pb.gz\n"
        "  novacore hotspots web.folded --by library --threshold 1% --format json\n"
        "\n"
        "  --threshold SHARE     leave out what has less in total: 5% (default), 0.05, 0\n"
        "  --diff BEFORE         compare with this recording\n"
        "  --by WHAT             function (default), library or process\n"
        "  --value TYPE          what is counted, where the recording has several: cpu, samples, "
        "…\n"
        "  --level SHARE         of intervals, and of what counts as changed; default: 95%\n"
        "  --format FORMAT       table (default), json, csv\n"
        "  --output FILE         instead of standard output; appears only when "
        "complete\n" NOVA_COMMON_HELP;

enum {
	OPTION_THRESHOLD = 1,
	OPTION_DIFF,
	OPTION_BY,
	OPTION_VALUE,
	OPTION_LEVEL,
	OPTION_FORMAT,
	OPTION_OUTPUT
};

static const struct option options[] = {{"threshold", required_argument, NULL, OPTION_THRESHOLD},
                                        {"diff", required_argument, NULL, OPTION_DIFF},
                                        {"by", required_argument, NULL, OPTION_BY},
                                        {"value", required_argument, NULL, OPTION_VALUE},
                                        {"level", required_argument, NULL, OPTION_LEVEL},
                                        {"format", required_argument, NULL, OPTION_FORMAT},
                                        {"output", required_argument, NULL, OPTION_OUTPUT},
                                        NOVA_COMMON_OPTIONS,
                                        {NULL, 0, NULL, 0}};

struct command {
	const char *file, *before, *value, *format, *output;
	struct nova_hotspots_request request;
};

static int usage(const char *format, const char *word)
{
	fputs("novacore: ", stderr);
	fprintf(stderr, format, word); /* one of ours, with one %s */
	fputs("\n", stderr);
	return 2;
}

static int take(struct command *command, int option)
{
	static const char *const by[] = {"function", "library", "process", NULL};
	const char *near;

	switch (option) {
	case OPTION_THRESHOLD:
		if (recording_share(optarg, &command->request.threshold) != 0)
			return usage("--threshold takes a share such as 5%% or 0.05, not \"%s\"",
			             optarg);
		return -1;
	case OPTION_LEVEL:
		if (recording_share(optarg, &command->request.level) != 0 ||
		    command->request.level <= 0 || command->request.level >= 1)
			return usage(
			        "--level takes a share between 0 and 100 %%, such as 95%%, not "
			        "\"%s\"",
			        optarg);
		return -1;
	case OPTION_BY:
		for (int i = 0; by[i]; i++)
			if (!strcmp(by[i], optarg)) {
				command->request.by = (enum nova_hotspots_by)i;
				return -1;
			}
		near = nova_nearest(optarg, by);
		return near ? usage("--by takes function, library or process; did you mean %s?",
		                    near)
		            : usage("--by takes function, library or process, not \"%s\"", optarg);
	case OPTION_DIFF: command->before = optarg; return -1;
	case OPTION_VALUE: command->value = optarg; return -1;
	case OPTION_FORMAT: command->format = optarg; return -1;
	default: command->output = optarg; return -1;
	}
}

static int parse(struct command *command, int argc, char **argv)
{
	int option, code = -1;

	optind = 0;
	opterr = 0;
	while (code < 0 && (option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		code = option <= OPTION_OUTPUT ? take(command, option)
		                               : nova_common_option(option, argv, options, help);
	}
	if (code >= 0)
		return code;
	if (argc - optind != 1) {
		fputs("novacore: hotspots takes one FILE, or - for standard input; --help has "
		      "examples\n",
		      stderr);
		return 2;
	}
	command->file = argv[optind];
	return -1;
}

static int find(struct command *command, struct nova_error *error)
{
	NOVA_AUTO(nova_stacks_cleanup) struct nova_stacks *stacks = NULL, *before = NULL;
	NOVA_AUTOJSON json_t *document = NULL;
	int code = judging_check_format("hotspots", command->format, judging_formats, error);

	if (!code)
		code = recording_take(command->file, &stacks, error);
	if (!code)
		code = recording_value(stacks, command->file, command->value,
		                       &command->request.type, error);
	if (!code && command->before)
		code = recording_take(command->before, &before, error);
	command->request.before = before;
	if (!code)
		code = nova_hotspots(stacks, &command->request, &document, error);
	if (!code)
		code = judging_deliver(document, command->format, command->output,
		                       nova_report_hotspots, error);
	return code;
}

int nova_command_hotspots(int argc, char **argv)
{
	struct command command = {.format = "table", .request = {.threshold = 0.05, .level = 0.95}};
	struct nova_error error = {0};
	int code = parse(&command, argc, argv);

	if (code >= 0)
		return code;
	code = find(&command, &error);
	return code ? nova_complain(&error) : 0;
}
