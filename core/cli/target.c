/* SPDX-License-Identifier: MIT */
/* novacore target: configured hypervisors; lists them. Adding one is target_add.c's, trying one
 * target_test.c's. */
#include "core/cli/profiles.h"
#include "core/cli/target_command.h"

#include <stdlib.h>
#include <string.h>

static const char help[] =
        "usage: novacore target add NAME --plugin DRIVER [--uri URI] [--set NAME=VALUE]…\n"
        "                           [--dry-run]\n"
        "       novacore target list [--format table|json]\n"
        "       novacore target test NAME|PLUGIN=URI [--set NAME=VALUE]… [--format table|json]\n"
        "\n"
        "A target is a hypervisor that runs can use by its name: novacore run --target lab. add "
        "writes it\n"
        "into your configuration file, and asks nothing; test connects to it and says what it is, "
        "what it\n"
        "can, and which privileges are missing. test creates nothing there.\n"
        "\n"
        "A secret is given as file:PATH (a file that only you can read), env:NAME or keyring:NAME, "
        "never\n"
        "itself.\n"
        "\n"
        "examples:\n"
        "  novacore target add here --plugin kvm --uri qemu:///system --dry-run\n"
        "  novacore target add pve --plugin proxmox --uri https://pve.example:8006 \\\n"
        "      --set 'token_id=bench@pve!novacore' --set token=file:/home/me/pve.token\n"
        "  novacore target list\n"
        "  novacore target test lab\n"
        "  novacore target test sim=\n"
        "\n"
        "  --plugin DRIVER       add: which hypervisor plugin drives it (novacore plugin list)\n"
        "  --uri URI             add: where it is, in its driver's notation\n"
        "  --set NAME=VALUE      a parameter of the driver (novacore plugin info DRIVER); "
        "repeatable\n"
        "  --dry-run             add: only say what would be written\n"
        "  --format FORMAT       table (default) or json\n"
        "  --config FILE         add: the file to write to, instead of your own; else one over\n"
        "                        the system's and yours\n" NOVA_COMMON_HELP "\n"
        "Exit code of test: 0 it can be used and nothing is missing; 3 it cannot be used, or a "
        "privilege\n"
        "is missing.\n";

enum { OPTION_PLUGIN = 1, OPTION_URI, OPTION_SET, OPTION_DRY_RUN, OPTION_FORMAT, OPTION_CONFIG };

static const struct option options[] = {{"plugin", required_argument, NULL, OPTION_PLUGIN},
                                        {"uri", required_argument, NULL, OPTION_URI},
                                        {"set", required_argument, NULL, OPTION_SET},
                                        {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
                                        {"format", required_argument, NULL, OPTION_FORMAT},
                                        {"config", required_argument, NULL, OPTION_CONFIG},
                                        NOVA_COMMON_OPTIONS,
                                        {NULL, 0, NULL, 0}};

static int usage(const char *text)
{
	fprintf(stderr, "novacore: %s\n", text);
	return 2;
}

void target_print(const json_t *document)
{
	json_dumpf(document, stdout, JSON_INDENT(1));
	putchar('\n');
}

/* --- list ------------------------------------------------------------------------------------- */

static json_t *list_targets(const struct nova_config *config)
{
	const char *const *names = nova_config_groups(config, "target");
	json_t *all = json_array();

	for (size_t i = 0; names && names[i]; i++) {
		NOVA_AUTOFREE char *plugin = nova_format("target.%s.plugin", names[i]);
		NOVA_AUTOFREE char *uri = nova_format("target.%s.uri", names[i]);
		json_array_append_new(all,
		                      json_pack("{ss ss ss? ss?}", "name", names[i], "plugin",
		                                nova_config_text(config, plugin, 0), "uri",
		                                nova_config_has(config, uri)
		                                        ? nova_config_text(config, uri, 0)
		                                        : NULL,
		                                "configured", nova_config_origin(config, plugin)));
	}
	return all;
}

static int list(const struct target_command *command, struct nova_error *error)
{
	GRID_AUTO struct grid grid = {.columns = 4};
	struct nova_settings settings = {0};
	int code = nova_settings_load(NULL, command->config, NULL, 0, &settings, error);
	size_t i;
	json_t *one;

	if (code)
		return code;
	NOVA_AUTOJSON json_t *document =
	        json_pack("{so}", "targets", list_targets(settings.config));
	json_t *all = json_object_get(document, "targets");
	nova_settings_free(&settings);
	if (command->json) {
		target_print(document);
		return 0;
	}
	if (!json_array_size(all)) {
		puts("No target is configured; novacore target add NAME --plugin DRIVER adds one.");
		return 0;
	}
	grid_add(&grid, "TARGET");
	grid_add(&grid, "DRIVER");
	grid_add(&grid, "URI");
	grid_add(&grid, "CONFIGURED AT");
	json_array_foreach(all, i, one)
	{
		grid_add(&grid, nova_json_text(one, "name"));
		grid_add(&grid, nova_json_text(one, "plugin"));
		grid_add(&grid, json_string_value(json_object_get(one, "uri")));
		grid_add(&grid, nova_json_text(one, "configured"));
	}
	grid_print(&grid, stdout);
	return 0;
}

/* --- the command ------------------------------------------------------------------------------ */

static void add_set(struct target_command *command, char *setting)
{
	command->sets = nova_grow(command->sets, command->set_count, sizeof(*command->sets));
	command->sets[command->set_count++] = setting;
}

/* −1: go on. */
static int parse(int argc, char **argv, struct target_command *command)
{
	int option, code;

	optind = 0;
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) >= 0) {
		switch (option) {
		case OPTION_PLUGIN: command->plugin = optarg; break;
		case OPTION_URI: command->uri = optarg; break;
		case OPTION_SET: add_set(command, nova_strdup(optarg)); break;
		case OPTION_DRY_RUN: command->dry_run = true; break;
		case OPTION_CONFIG: command->config = optarg; break;
		case OPTION_FORMAT:
			command->json = !strcmp(optarg, "json");
			if (!command->json && strcmp(optarg, "table"))
				return usage("--format takes table or json");
			break;
		default:
			code = nova_common_option(option, argv, options, help);
			if (code >= 0)
				return code;
		}
	}
	return -1;
}

static int act(const char *action, struct target_command *command)
{
	struct nova_error error = {0};
	int code, result = 0;

	if (!strcmp(action, "add") && command->name && command->plugin) {
		if (command->uri)
			add_set(command, nova_format("uri=%s", command->uri));
		code = target_add(command, &error);
	} else if (!strcmp(action, "list") && !command->name) {
		code = list(command, &error);
	} else if (!strcmp(action, "test") && command->name) {
		code = target_test(command, &result, &error);
	} else if (!strcmp(action, "add")) {
		return usage(
		        "target add takes a name, and --plugin DRIVER; see novacore target --help");
	} else if (!strcmp(action, "test")) {
		return usage("target test takes one target; novacore target list shows them");
	} else if (!strcmp(action, "list")) {
		return usage("target list takes no name");
	} else {
		fprintf(stderr, "novacore: target has the actions add, list and test, not \"%s\"\n",
		        action);
		return 2;
	}
	return code ? nova_complain(&error) : result;
}

int nova_command_target(int argc, char **argv)
{
	struct target_command command = {0};
	int code = parse(argc, argv, &command);

	if (code < 0 && optind == argc)
		code = usage(
		        "target takes an action: add, list or test; see novacore target --help");
	if (code < 0 && argc - optind > 2)
		code = usage("target takes one name at a time");
	if (code < 0) {
		command.name = optind + 1 < argc ? argv[optind + 1] : NULL;
		code = act(argv[optind], &command);
	}
	for (size_t i = 0; i < command.set_count; i++)
		free(command.sets[i]);
	free(command.sets);
	return code;
}
