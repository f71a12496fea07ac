/* SPDX-License-Identifier: MIT */
/* novacore clean: deletes what dead runs of this installation left on hypervisors. */
#include "core/cli/cli.h"

#include "core/run/run.h"

#include <string.h>

static const char help[] =
        "usage: novacore clean [--plugin DRIVER] [--dry-run]\n"
        "\n"
        "Deletes VMs and networks that runs of this installation made and could not delete, "
        "because they\n"
        "were killed. Runs that are being executed are left alone, and so is everything that does "
        "not\n"
        "carry this installation's name. With --plugin, VMs of this installation that no journal "
        "knows\n"
        "(after a lost database) are looked for on that driver's default target and deleted too.\n"
        "\n"
        "examples:\n"
        "  novacore clean --dry-run\n"
        "  novacore clean --plugin kvm\n"
        "\n"
        "  --plugin DRIVER       only targets of this driver\n"
        "  --dry-run             only say how much there is\n"
        "  --set KEY=VALUE       a setting; repeatable\n"
        "  --config FILE         a configuration file over the system's and "
        "yours\n" NOVA_COMMON_HELP;

enum { OPTION_PLUGIN = 1, OPTION_DRY_RUN, OPTION_CONFIG, OPTION_SET };

static const struct option options[] = {{"plugin", required_argument, NULL, OPTION_PLUGIN},
                                        {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
                                        {"config", required_argument, NULL, OPTION_CONFIG},
                                        {"set", required_argument, NULL, OPTION_SET},
                                        NOVA_COMMON_OPTIONS,
                                        {NULL, 0, NULL, 0}};

static void on_note(void *context, enum nova_level level, const char *text)
{
	(void)context;
	nova_log(level, "%s", text);
}

static int clean(const char *config, const char *const *sets, size_t set_count,
                 struct nova_sweep_request *request, uint32_t *left, struct nova_error *error)
{
	struct nova_settings settings = {0};
	uint32_t found = 0;
	int code = nova_settings_load(NULL, config, sets, set_count, &settings, error);

	if (!code && request->plugin &&
	    !nova_registry_find(settings.registry, NOVA_KIND_HYPERVISOR, request->plugin, error))
		code = error->code;
	if (!code)
		code = nova_store_open(nova_config_has(settings.config, "store.path")
		                               ? nova_config_text(settings.config, "store.path", 0)
		                               : NULL,
		                       &request->store, error);
	request->config = settings.config;
	request->registry = settings.registry;
	if (!code)
		code = nova_run_sweep(request, &found, left, error);
	if (!code)
		printf(request->dry_run
		               ? "%u objects of dead runs are there; nothing was deleted.\n"
		               : "%u objects of dead runs were found.\n",
		       found);
	if (!code && *left)
		printf("%u could not be deleted; the messages above say why.\n", *left);
	nova_store_close(request->store);
	nova_settings_free(&settings);
	return code;
}

int nova_command_clean(int argc, char **argv)
{
	struct nova_sweep_request request = {.strays = true, .watch = {NULL, on_note, NULL}};
	const char *config = NULL, *sets[64];
	struct nova_error error = {0};
	size_t set_count = 0;
	uint32_t left = 0;
	int option, code;

	optind = 0;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:", options, NULL)) >= 0) {
		if (option == OPTION_PLUGIN) {
			request.plugin = optarg;
		} else if (option == OPTION_DRY_RUN) {
			request.dry_run = true;
		} else if (option == OPTION_CONFIG) {
			config = optarg;
		} else if (option == OPTION_SET && set_count < NOVA_COUNT(sets)) {
			sets[set_count++] = optarg;
		} else {
			code = nova_common_option(option, argv, options, help);
			if (code >= 0)
				return code;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "novacore: unexpected argument \"%s\"; --help lists the options\n",
		        argv[optind]);
		return 2;
	}
	code = clean(config, sets, set_count, &request, &left, &error);
	if (code)
		return nova_complain(&error);
	return left ? 4 : 0;
}
