/* SPDX-License-Identifier: MIT */
/* novacore status: runs that are being executed, or were and can be resumed. */
#include "core/cli/cli.h"

#include "core/run/run.h"

#include <string.h>

static const char help[] = "usage: novacore status [--format table|json]\n"
                           "\n"
                           "Shows each run that is being executed now and how far it is, and those "
                           "that ended early and can\n"
                           "be resumed.\n"
                           "\n"
                           "examples:\n"
                           "  novacore status\n"
                           "  novacore status --format json | jq .runs[0].state\n"
                           "\n"
                           "  --format FORMAT       table (default) or json\n"
                           "  --config FILE         a configuration file over the system's and "
                           "yours\n" NOVA_COMMON_HELP;

enum { OPTION_FORMAT = 1, OPTION_CONFIG };

static const struct option options[] = {{"format", required_argument, NULL, OPTION_FORMAT},
                                        {"config", required_argument, NULL, OPTION_CONFIG},
                                        NOVA_COMMON_OPTIONS,
                                        {NULL, 0, NULL, 0}};

struct status {
	struct nova_store *store;
	json_t *runs;
	json_t *steps; /* of the run being looked at */
	char run[37];
	uint32_t replicates;
};

static int count_replicate(void *context, const struct nova_replicate *replicate, const char *state,
                           const uint32_t counts[4], const char *why)
{
	struct status *status = context;

	(void)replicate;
	(void)counts;
	(void)why;
	status->replicates += !strcmp(state, "done");
	return 0;
}

static int add_step(void *context, const struct nova_step_record *step)
{
	struct status *status = context;

	status->replicates = 0;
	nova_store_replicate_each(status->store, status->run, step->index, count_replicate, status,
	                          NULL);
	json_array_append_new(status->steps,
	                      json_pack("{sI ss ss sI}", "index", (json_int_t)step->index,
	                                "benchmark", step->benchmark, "state", step->state,
	                                "replicates", (json_int_t)status->replicates));
	return 0;
}

static int add_run(void *context, const struct nova_run_record *run)
{
	struct status *status = context;
	bool alive;
	char started[32];

	if (!strcmp(run->state, "complete"))
		return 0;
	alive = nova_run_alive(run->id);
	/* Imported and failed runs have nothing that could go on. */
	if (!alive && !json_object_get(run->plan, "steps"))
		return 0;
	memcpy(status->run, run->id, sizeof(status->run));
	status->steps = json_array();
	nova_store_step_each(status->store, run->id, add_step, status, NULL);
	nova_utc_format(run->started_utc_ns, started);
	json_array_append_new(status->runs, json_pack("{ss ss ss ss so}", "id", run->id, "profile",
	                                              run->profile, "started", started, "state",
	                                              alive                            ? "running"
	                                              : !strcmp(run->state, "running") ? "died"
	                                                                               : run->state,
	                                              "steps", status->steps));
	return 0;
}

static void print_runs(const json_t *runs)
{
	json_t *run, *step;
	size_t i, j;

	if (!json_array_size(runs))
		puts("Nothing is running, and no run waits to be resumed.");
	json_array_foreach(runs, i, run)
	{
		const char *id = json_string_value(json_object_get(run, "id"));
		const char *state = json_string_value(json_object_get(run, "state"));

		printf("%s  %s  profile %s, since %s\n", id, state,
		       json_string_value(json_object_get(run, "profile")),
		       json_string_value(json_object_get(run, "started")));
		json_array_foreach(json_object_get(run, "steps"), j, step)
		        printf("  step %lld  %-12s %-8s %lld replicates done\n",
		               (long long)json_integer_value(json_object_get(step, "index")) + 1,
		               json_string_value(json_object_get(step, "benchmark")),
		               json_string_value(json_object_get(step, "state")),
		               (long long)json_integer_value(json_object_get(step, "replicates")));
		if (strcmp(state, "running"))
			printf("  novacore run --resume %s finishes it\n", id);
	}
}

static int show(const char *config, bool as_json, struct nova_error *error)
{
	struct nova_settings settings = {0};
	struct status status = {.runs = json_array()};
	const char *path;
	int code = nova_settings_load(NULL, config, NULL, 0, &settings, error);

	if (!code) {
		path = nova_config_has(settings.config, "store.path")
		               ? nova_config_text(settings.config, "store.path", 0)
		               : NULL;
		code = nova_store_open(path, &status.store, error);
	}
	if (!code)
		code = nova_store_run_each(status.store, add_run, &status, error);
	if (!code && as_json) {
		NOVA_AUTOJSON json_t *all = json_pack("{sO}", "runs", status.runs);

		json_dumpf(all, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (!code) {
		print_runs(status.runs);
	}
	json_decref(status.runs);
	nova_store_close(status.store);
	nova_settings_free(&settings);
	return code;
}

int nova_command_status(int argc, char **argv)
{
	const char *format = "table", *config = NULL;
	struct nova_error error = {0};
	int option, code;

	optind = 0;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:", options, NULL)) >= 0) {
		if (option == OPTION_FORMAT) {
			format = optarg;
		} else if (option == OPTION_CONFIG) {
			config = optarg;
		} else {
			code = nova_common_option(option, argv, options, help);
			if (code >= 0)
				return code;
		}
	}
	if (optind < argc || (strcmp(format, "table") && strcmp(format, "json"))) {
		fputs("novacore: status takes --format table or json and no argument\n", stderr);
		return 2;
	}
	return show(config, !strcmp(format, "json"), &error) ? nova_complain(&error) : 0;
}
