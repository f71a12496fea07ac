/* SPDX-License-Identifier: MIT */
/* novacore ack: a change point or a regression is known, and why it is so. */
#include "core/cli/judging.h"

#include <stdlib.h>
#include <string.h>

static const char help[] =
        "usage: novacore ack ID --why TEXT\n"
        "       novacore ack --list [--format table|json]\n"
        "       novacore ack --remove ID\n"
        "\n"
        "Acknowledges a change point (as novacore history shows it) or a regression (as a run's "
        "result\n"
        "shows it): it is marked with the reason, and run --fail-on regression does not fail for "
        "it any\n"
        "more. What gets worse again, by the minimum effect, is told again. ID is what stands "
        "there, or\n"
        "its first digits.\n"
        "\n"
        "examples:\n"
        "  novacore history lifecycle.start.ready\n"
        "  novacore ack --list\n"
        "\n"
        "  --why TEXT            the reason, for whoever reads it later\n"
        "  --list                what is acknowledged\n"
        "  --remove ID           it is not known any more\n"
        "  --format FORMAT       table (default) or json, of --list\n"
        "  --config FILE         a configuration file over the system's and "
        "yours\n" NOVA_COMMON_HELP;

enum { OPTION_WHY = 1, OPTION_LIST, OPTION_REMOVE, OPTION_FORMAT, OPTION_CONFIG };

static const struct option options[] = {{"why", required_argument, NULL, OPTION_WHY},
                                        {"list", no_argument, NULL, OPTION_LIST},
                                        {"remove", required_argument, NULL, OPTION_REMOVE},
                                        {"format", required_argument, NULL, OPTION_FORMAT},
                                        {"config", required_argument, NULL, OPTION_CONFIG},
                                        NOVA_COMMON_OPTIONS,
                                        {NULL, 0, NULL, 0}};

struct command {
	const char *id, *why, *remove, *format, *config;
	bool list;
	struct judging judging;
};

static int usage(const char *text)
{
	fprintf(stderr, "novacore: %s\n", text);
	return 2;
}

static int add_known(void *context, const struct nova_acknowledgement *known)
{
	char began[32], made[32];

	nova_utc_format(known->began_utc_ns, began);
	nova_utc_format(known->made_utc_ns, made);
	json_array_append_new(context,
	                      json_pack("{ss ss ss ss ss sf ss ss}", "id", known->id, "kind",
	                                known->kind, "metric", known->metric, "run", known->run,
	                                "began", began, "shift", known->shift, "why",
	                                known->why ? known->why : "", "at", made));
	return 0;
}

static int list(const struct command *command, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *document = json_pack("{s[]}", "acknowledgements");
	json_t *all = json_object_get(document, "acknowledgements"), *one;
	size_t i;
	int code =
	        nova_store_acknowledged_each(command->judging.store, NULL, add_known, all, error);

	if (code)
		return code;
	if (!strcmp(command->format, "json")) {
		json_dumpf(document, stdout, JSON_INDENT(1));
		putchar('\n');
		return 0;
	}
	if (!json_array_size(all))
		puts("Nothing is acknowledged; novacore history METRIC shows what could be.");
	json_array_foreach(all, i, one)
	{
		NOVA_AUTOFREE char *why = nova_strdup(nova_json_text(one, "why"));

		nova_text_clean(why);
		printf("%s  %-10s  %s  %+.1f %%  since run %s of %s: %s\n",
		       nova_json_text(one, "id"), nova_json_text(one, "kind"),
		       nova_json_text(one, "metric"),
		       100 * json_number_value(json_object_get(one, "shift")),
		       nova_json_text(one, "run"), nova_json_text(one, "began"), why);
	}
	return 0;
}

static int acknowledge(struct command *command, struct nova_error *error)
{
	struct nova_acknowledgement known;
	int code = nova_acknowledge(command->judging.store, &command->judging.by, command->id,
	                            command->why, &known, error);

	if (!code)
		printf("%s acknowledged: the %s of %s by %+.1f %%, since run %s\n", known.id,
		       !strcmp(known.kind, "change") ? "change" : "regression", known.metric,
		       100 * known.shift, known.run);
	free(known.why);
	return code;
}

static int act(struct command *command, struct nova_error *error)
{
	static const char *const formats[] = {"table", "json", NULL};
	int code = judging_check_format("ack --list", command->format, formats, error);

	if (!code)
		code = judging_open(command->config, &command->judging, error);
	if (code)
		return code;
	if (command->list)
		return list(command, error);
	if (!command->remove)
		return acknowledge(command, error);
	code = nova_store_acknowledged_remove(command->judging.store, command->remove, error);
	if (!code)
		printf("%s is not acknowledged any more\n", command->remove);
	return code;
}

static int check(struct command *command, int argc, char **argv)
{
	int words = argc - optind;

	if (command->list + !!command->remove + !!words > 1 || words > 1)
		return usage("ack takes one of ID, --list and --remove ID");
	if (command->list || command->remove)
		return command->why ? usage("--why goes with an ID that is acknowledged") : -1;
	if (!words)
		return usage("ack takes the ID of a change point or a regression; --help has "
		             "examples");
	command->id = argv[optind];
	if (!command->why || !command->why[strspn(command->why, " \t\n")])
		return usage("ack wants a reason: --why TEXT");
	if (nova_text_is_dirty(command->why))
		return usage("--why holds what is no UTF-8, or control characters");
	return strlen(command->why) > 1000 ? usage("--why is longer than 1000 bytes") : -1;
}

static int parse(struct command *command, int argc, char **argv)
{
	int option, code = -1;

	optind = 0;
	opterr = 0;
	while (code < 0 && (option = getopt_long(argc, argv, ":", options, NULL)) >= 0)
		switch (option) {
		case OPTION_WHY: command->why = optarg; break;
		case OPTION_LIST: command->list = true; break;
		case OPTION_REMOVE: command->remove = optarg; break;
		case OPTION_FORMAT: command->format = optarg; break;
		case OPTION_CONFIG: command->config = optarg; break;
		default: code = nova_common_option(option, argv, options, help); break;
		}
	return code >= 0 ? code : check(command, argc, argv);
}

int nova_command_ack(int argc, char **argv)
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
