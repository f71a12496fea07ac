/* SPDX-License-Identifier: MIT */
/* novacore flame: a recording as a flame graph, or the difference between two. */
#include "core/cli/recording.h"
#include "core/cli/recordings.h"

#include <string.h>
#include <unistd.h>

static const char help[] =
        "usage: novacore flame FILE… [OPTION]…\n"
        "       novacore flame --diff BEFORE AFTER [OPTION]…\n"
        "\n"
        "Draws the stacks of a recording: a box for each function, as wide as its part of the\n"
        "samples, on the one that called it. FILE is a directory of novacore record, an ID of\n"
        "novacore recordings list, or what perf script prints, folded stacks or pprof, with gzip\n"
        "or without; - is standard input; several are added up. SVG is a picture for everywhere;\n"
        "HTML is a page that also opens recordings of a million stacks, with a table of\n"
        "functions. --diff draws what has changed: red is more, blue is less, violet is new, and\n"
        "grey is no more than noise.\n"
        "\n"
        "examples:\n"
        "  perf script | novacore flame - --output flame.svg\n"
        "  novacore flame web.pb.gz --output flame.html --by thread\n"
        "  novacore flame --diff before.folded after.folded --output change.html\n"
        "\n"
        "  --output FILE         instead of standard output; its name says whether it is SVG or "
        "HTML\n"
        "  --format FORMAT       svg (default) or html, whatever the name says\n"
        "  --diff                compare two recordings, BEFORE and AFTER\n"
        "  --absolute            with --diff: compare how much was counted, not shares of the "
        "total\n"
        "  --reverse             from the leaf: what calls the functions that have the samples\n"
        "  --by WHAT             a graph each per cpu, process, thread or vcpu\n"
        "  --min-width SHARE     leave out what has less of the total; default: what would be "
        "thinner\n"
        "                        than a tenth of a pixel, 0.01% (svg) or 0.001% (html)\n"
        "  --value TYPE          what is counted, where the recording has several: cpu, samples, "
        "…\n"
        "  --title TEXT          above the picture; default: the names of the "
        "files\n" NOVA_COMMON_HELP;

enum {
	OPTION_OUTPUT = 1,
	OPTION_FORMAT,
	OPTION_DIFF,
	OPTION_ABSOLUTE,
	OPTION_REVERSE,
	OPTION_BY,
	OPTION_MIN_WIDTH,
	OPTION_VALUE,
	OPTION_TITLE
};

static const struct option options[] = {{"output", required_argument, NULL, OPTION_OUTPUT},
                                        {"format", required_argument, NULL, OPTION_FORMAT},
                                        {"diff", no_argument, NULL, OPTION_DIFF},
                                        {"absolute", no_argument, NULL, OPTION_ABSOLUTE},
                                        {"reverse", no_argument, NULL, OPTION_REVERSE},
                                        {"by", required_argument, NULL, OPTION_BY},
                                        {"min-width", required_argument, NULL, OPTION_MIN_WIDTH},
                                        {"value", required_argument, NULL, OPTION_VALUE},
                                        {"title", required_argument, NULL, OPTION_TITLE},
                                        NOVA_COMMON_OPTIONS,
                                        {NULL, 0, NULL, 0}};

#define SVG_LEAST  (0.1 / 1180) /* a tenth of a pixel */
#define HTML_LEAST 1e-5         /* it can be zoomed */

struct command {
	char **files;
	int count;
	const char *output, *format, *value, *title;
	bool diff, html;
	struct nova_flame_request request; /* min_width < 0: nobody said */
};

/* --- the command line ------------------------------------------------------------------------ */

static int usage(const char *format, ...) NOVA_PRINTF(1, 2);
static int usage(const char *format, ...)
{
	va_list arguments;

	fputs("novacore: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputs("\n", stderr);
	return 2;
}

/* Which of the words it is, or -1 when that has been complained of. */
static int word_of(const char *option, const char *text, const char *const *words, const char *list)
{
	const char *near = nova_nearest(text, words);

	for (int i = 0; words[i]; i++)
		if (!strcmp(words[i], text))
			return i;
	if (near)
		usage("--%s takes %s; did you mean %s?", option, list, near);
	else
		usage("--%s takes %s, not \"%.60s\"", option, list, text);
	return -1;
}

static int take(struct command *command, int option)
{
	static const char *const by[] = {"cpu", "process", "thread", "vcpu", NULL};
	static const enum nova_stacks_by means[] = {NOVA_BY_CPU, NOVA_BY_PROCESS, NOVA_BY_THREAD,
	                                            NOVA_BY_VCPU};
	int word;

	switch (option) {
	case OPTION_BY:
		word = word_of("by", optarg, by, "cpu, process, thread or vcpu");
		if (word < 0)
			return 2;
		command->request.by = means[word];
		return -1;
	case OPTION_MIN_WIDTH:
		if (recording_share(optarg, &command->request.min_width) != 0)
			return usage("--min-width takes a share of the total such as 0.1%% or "
			             "0.001, not \"%.60s\"",
			             optarg);
		return -1;
	case OPTION_DIFF: command->diff = true; return -1;
	case OPTION_ABSOLUTE: command->request.absolute = true; return -1;
	case OPTION_REVERSE: command->request.reverse = true; return -1;
	case OPTION_VALUE: command->value = optarg; return -1;
	case OPTION_TITLE: command->title = optarg; return -1;
	case OPTION_FORMAT: command->format = optarg; return -1;
	default: command->output = optarg; return -1;
	}
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), most = strlen(end);

	return length >= most && !strcasecmp(text + length - most, end);
}

/* What is to be drawn, by --format or by the name of the output; -1: go on. */
static int choose_format(struct command *command)
{
	static const char *const formats[] = {"svg", "html", NULL};
	int word = 0;

	if (command->format)
		word = word_of("format", command->format, formats, "svg or html");
	else if (command->output && strcmp(command->output, "-") != 0 &&
	         (ends_with(command->output, ".html") || ends_with(command->output, ".htm")))
		word = 1;
	else if (command->output && strcmp(command->output, "-") != 0 &&
	         strncmp(command->output, "/dev/", 5) != 0 && !ends_with(command->output, ".svg"))
		return usage("%s: a name that ends with .svg or .html says what it is to be; or "
		             "say it with --format",
		             command->output);
	if (word < 0)
		return 2;
	command->html = word == 1;
	if (command->request.min_width < 0)
		command->request.min_width = command->html ? HTML_LEAST : SVG_LEAST;
	return -1;
}

static int parse(struct command *command, int argc, char **argv)
{
	int option, code = -1, dashes = 0;

	optind = 0;
	opterr = 0;
	while (code < 0 && (option = getopt_long(argc, argv, ":", options, NULL)) != -1)
		code = option <= OPTION_TITLE ? take(command, option)
		                              : nova_common_option(option, argv, options, help);
	if (code >= 0)
		return code;
	command->files = argv + optind;
	command->count = argc - optind;
	for (int i = 0; i < command->count; i++)
		dashes += !strcmp(command->files[i], "-");
	if (command->diff && command->count != 2)
		return usage("flame --diff takes two files, BEFORE and AFTER; --help has examples");
	if (command->count == 0)
		return usage("flame takes FILEs, or - for standard input; --help has examples");
	if (dashes > 1)
		return usage("standard input can be read only once");
	if (command->request.absolute && !command->diff)
		return usage("--absolute is for --diff: it says what is compared");
	return choose_format(command);
}

/* --- drawing --------------------------------------------------------------------------------- */

static int add_files(const struct command *command, struct nova_stacks **stacks,
                     struct nova_error *error)
{
	int code = recording_take(command->files[0], stacks, error);

	for (int i = 1; !code && i < command->count; i++) {
		NOVA_AUTO(nova_stacks_cleanup) struct nova_stacks *more = NULL;

		code = recording_take(command->files[i], &more, error);
		if (!code && nova_stacks_join(*stacks, more, error))
			code = nova_error_prefix(error, "%s and %s", command->files[0],
			                         command->files[i]);
	}
	return code;
}

/* What people call a file: recordings of novacore all have the same name, in directories of theirs.
 */
static char *name_of(const char *file)
{
	static const char own[] = "/" NOVA_RECORDING_FILE;
	size_t length = strlen(file), tail = sizeof(own) - 1;
	NOVA_AUTOFREE char *place = nova_strdup(file);
	const char *slash;

	if (!strcmp(file, "-"))
		return nova_strdup("standard input");
	if (length > tail && !strcmp(file + length - tail, own))
		place[length - tail] = '\0';
	slash = strrchr(place, '/');
	return nova_strdup(slash && slash[1] ? slash + 1 : place);
}

static char *default_title(const struct command *command)
{
	NOVA_AUTOTEXT struct nova_text text = {0};

	for (int i = 0; i < command->count; i++) {
		NOVA_AUTOFREE char *name = name_of(command->files[i]);

		if (i == 3 && command->count > 4) {
			nova_text_addf(&text, " and %d more", command->count - i);
			break;
		}
		nova_text_addf(&text, "%s%s", i == 0 ? "" : command->diff ? " → " : " + ", name);
	}
	return nova_strdup(nova_text_get(&text));
}

static int deliver(const struct command *command, const struct nova_flame *flame,
                   struct nova_error *error)
{
	NOVA_AUTOFREE char *names = default_title(command);
	const char *title = command->title ? command->title : names;
	FILE *file = nova_output_open(command->output, error);
	int code;

	if (!file)
		return error->code;
	code = command->html ? nova_flame_write_html(flame, title, file, error)
	                     : nova_flame_write_svg(flame, title, file, error);
	if (code) {
		nova_output_discard(file, command->output);
		return code;
	}
	return nova_output_close(file, command->output, error);
}

/* Folded stacks know no CPUs, for instance: one box for all of it would be a puzzle. */
static void warn_of_unknown(const struct command *command, const struct nova_stacks *stacks)
{
	static const char *const words[] = {[NOVA_BY_CPU] = "on which CPU",
	                                    [NOVA_BY_PROCESS] = "in which process",
	                                    [NOVA_BY_THREAD] = "in which thread",
	                                    [NOVA_BY_VCPU] = "on which vCPU"};
	bool known = command->request.by == NOVA_BY_NOTHING;

	for (uint32_t i = 0; !known && i < stacks->origin_count; i++) {
		const struct nova_origin *origin = &stacks->origins[i];

		switch (command->request.by) {
		case NOVA_BY_CPU: known = origin->cpu >= 0; break;
		case NOVA_BY_VCPU: known = origin->vcpu >= 0; break;
		case NOVA_BY_THREAD: known = origin->tid >= 0 || origin->thread[0]; break;
		default: known = origin->pid >= 0 || origin->process[0]; break;
		}
	}
	if (!known)
		nova_log(NOVA_LOG_WARNING, "%s does not say %s its samples were taken",
		         command->files[0], words[command->request.by]);
}

/* What the picture shows, for who has only the terminal. */
static void tell(const struct command *command, const struct nova_flame *flame)
{
	uint32_t more = 0, less = 0;

	if (!command->output || !strcmp(command->output, "-"))
		return;
	if (!flame->changes) {
		nova_log(NOVA_LOG_INFO, "%s: %u boxes, the highest stack has %u", command->output,
		         flame->count - 1, flame->depth);
		return;
	}
	for (uint32_t i = 1; i < flame->count; i++) {
		more += flame->changes[i].mark == NOVA_MARK_MORE;
		less += flame->changes[i].mark == NOVA_MARK_LESS;
	}
	if (flame->untested)
		nova_log(NOVA_LOG_WARNING, "%s: no path was tested: %s", command->output,
		         flame->untested);
	else
		nova_log(NOVA_LOG_INFO,
		         "%s: %u paths tested; %u boxes are marked as more, %u as less%s",
		         command->output, flame->tests, more, less,
		         more + less ? "" : ": nothing but noise");
}

static int draw(struct command *command, struct nova_error *error)
{
	NOVA_AUTO(nova_stacks_cleanup) struct nova_stacks *stacks = NULL, *after = NULL;
	struct nova_flame flame = {0};
	int code;

	if (!command->output && isatty(STDOUT_FILENO))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "a picture is nothing for a terminal: say --output flame.svg "
		                      "or --output flame.html");
	if (!command->diff) {
		code = add_files(command, &stacks, error);
		if (!code)
			code = recording_value(stacks, command->files[0], command->value,
			                       &command->request.type, error);
		if (!code)
			nova_flame_make(stacks, &command->request, &flame);
	} else {
		code = recording_take(command->files[0], &stacks, error);
		if (!code)
			code = recording_take(command->files[1], &after, error);
		if (!code)
			code = recording_value(stacks, command->files[0], command->value,
			                       &command->request.type, error);
		if (!code && nova_flame_diff(stacks, after, &command->request, &flame, error))
			code = nova_error_prefix(error, "%s and %s", command->files[0],
			                         command->files[1]);
	}
	if (!code)
		warn_of_unknown(command, stacks);
	if (!code)
		code = deliver(command, &flame, error);
	if (!code)
		tell(command, &flame);
	nova_flame_free(&flame);
	return code;
}

int nova_command_flame(int argc, char **argv)
{
	struct command command = {.request = {.min_width = -1}};
	struct nova_error error = {0};
	int code = parse(&command, argc, argv);

	if (code >= 0)
		return code;
	code = draw(&command, &error);
	return code ? nova_complain(&error) : 0;
}
