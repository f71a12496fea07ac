/* SPDX-License-Identifier: MIT */
/* novacore ab: two choices of settings, compared in interleaved blocks until a test has decided. */
#include "core/cli/progress.h"
#include "core/cli/sequential.h"

#include "core/judge/judge.h"
#include "core/report/report.h"

#include <stdlib.h>
#include <string.h>

static const char help[] =
        "usage: novacore ab --plugin DRIVER --benchmark NAME --a SETTINGS --b SETTINGS [OPTION]…\n"
        "       novacore ab --resume ID\n"
        "\n"
        "Runs a benchmark with A's settings and with B's, in pairs, each in fresh VMs and a fresh\n"
        "worker, in a drawn order, and looks after every pair. It stops when it knows whether B "
        "is\n"
        "greater, less or the same, or at --max-pairs; and errs with at most --alpha, although it "
        "looks\n"
        "so often. SETTINGS are KEY=VALUE[,KEY=VALUE…]; any may differ.\n"
        "\n"
        "examples:\n"
        "  novacore ab --plugin kvm --benchmark cpu --a vm.standard.vcpus=1 --b "
        "vm.standard.vcpus=2\n"
        "  novacore ab --plugin sim --benchmark lifecycle --a run.warmup=0 "
        "--b run.warmup=1 --dry-run\n"
        "  novacore ab --plugin kvm --benchmark lifecycle --a run.shape=standard "
        "--b run.shape=standard\n"
        "  novacore ab --resume last\n"
        "\n"
        "  --a SETTINGS          what side A has over the other settings; repeatable\n"
        "  --b SETTINGS          what side B has; repeatable\n"
        "  --benchmark NAME      what is run on both sides\n"
        "  --metric NAME         what is decided on; default: objective.metric, if it is the\n"
        "                        benchmark's, else its first one\n"
        "  --minimum-effect P    differences below it do not matter (default 3%); 0: each does\n"
        "  --alpha P             how often it may find a difference where there is none (0.05)\n"
        "  --max-pairs N         stop undecided after so many (default 200)\n"
        "  --profile NAME        environment profile (novacore profile list)\n"
        "  --plugin NAME         driver of the target \"local\" (novacore plugin list)\n"
        "  --uri URI             where that driver connects to\n"
        "  --target NAME|PLUGIN=URI\n"
        "                        a configured target, or a driver and where; repeatable\n"
        "  --pair local          with a second target on this host, for what needs two\n"
        "  --set KEY=VALUE       a setting of both sides; repeatable\n"
        "  --config FILE         a configuration file over the system's and yours\n"
        "  --seed N              of the order and of simulations\n"
        "  --full                do not stop when run.budget is spent\n"
        "  --max-vms N           short for --set limits.max_vms=N\n"
        "  --dry-run             print both sides with the time, do nothing\n"
        "  --resume ID           finish an interrupted one (\"last\", or the beginning of its id)\n"
        "  --format FORMAT       table (default), json, csv, junit\n"
        "  --output FILE         instead of standard output\n"
        "  --fail-on worse       exit 1 if B is worse than A\n" NOVA_COMMON_HELP;

enum {
	OPTION_A = 1,
	OPTION_B,
	OPTION_BENCHMARK,
	OPTION_METRIC,
	OPTION_EFFECT,
	OPTION_ALPHA,
	OPTION_PAIRS,
	OPTION_PROFILE,
	OPTION_PLUGIN,
	OPTION_URI,
	OPTION_TARGET,
	OPTION_PAIR,
	OPTION_SET,
	OPTION_CONFIG,
	OPTION_SEED,
	OPTION_FULL,
	OPTION_MAX_VMS,
	OPTION_DRY_RUN,
	OPTION_RESUME,
	OPTION_FORMAT,
	OPTION_OUTPUT,
	OPTION_FAIL_ON
};

static const struct option options[] = {{"a", required_argument, NULL, OPTION_A},
                                        {"b", required_argument, NULL, OPTION_B},
                                        {"benchmark", required_argument, NULL, OPTION_BENCHMARK},
                                        {"metric", required_argument, NULL, OPTION_METRIC},
                                        {"minimum-effect", required_argument, NULL, OPTION_EFFECT},
                                        {"alpha", required_argument, NULL, OPTION_ALPHA},
                                        {"max-pairs", required_argument, NULL, OPTION_PAIRS},
                                        {"profile", required_argument, NULL, OPTION_PROFILE},
                                        {"plugin", required_argument, NULL, OPTION_PLUGIN},
                                        {"uri", required_argument, NULL, OPTION_URI},
                                        {"target", required_argument, NULL, OPTION_TARGET},
                                        {"pair", required_argument, NULL, OPTION_PAIR},
                                        {"set", required_argument, NULL, OPTION_SET},
                                        {"config", required_argument, NULL, OPTION_CONFIG},
                                        {"seed", required_argument, NULL, OPTION_SEED},
                                        {"full", no_argument, NULL, OPTION_FULL},
                                        {"max-vms", required_argument, NULL, OPTION_MAX_VMS},
                                        {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
                                        {"resume", required_argument, NULL, OPTION_RESUME},
                                        {"format", required_argument, NULL, OPTION_FORMAT},
                                        {"output", required_argument, NULL, OPTION_OUTPUT},
                                        {"fail-on", required_argument, NULL, OPTION_FAIL_ON},
                                        NOVA_COMMON_OPTIONS,
                                        {NULL, 0, NULL, 0}};

/* Texts that are owned; NULL-terminated once there is one. */
struct texts {
	char **items;
	size_t count;
};

struct side {
	struct texts given;    /* --a, as it was typed */
	struct texts own;      /* the single settings of it */
	struct texts settings; /* all: --set, then its own */
	struct nova_settings loaded;
	json_t *plan;
};

struct command {
	struct side a, b;
	struct texts targets, common;
	const char *benchmark, *metric, *profile, *plugin, *uri, *config, *resume, *format, *output;
	double alpha, effect;
	uint32_t pairs;
	uint64_t seed;
	bool dry_run, fail_on_worse, quiet, verbose;
	struct nova_store *store;
};

static void add(struct texts *texts, char *owned)
{
	texts->items = nova_realloc(texts->items, (texts->count + 2) * sizeof(*texts->items));
	texts->items[texts->count++] = owned;
	texts->items[texts->count] = NULL;
}

static void drop(struct texts *texts)
{
	for (size_t i = 0; i < texts->count; i++)
		free(texts->items[i]);
	free(texts->items);
	memset(texts, 0, sizeof(*texts));
}

static const char *const *list(const struct texts *texts)
{
	return (const char *const *)texts->items;
}

/* --- options
 * --------------------------------------------------------------------------------------- */

static int usage(const char *text)
{
	fprintf(stderr, "novacore: %s\n", text);
	return 2;
}

static int take_option(struct command *command, int option)
{
	switch (option) {
	case OPTION_A: add(&command->a.given, nova_strdup(optarg)); return -1;
	case OPTION_B: add(&command->b.given, nova_strdup(optarg)); return -1;
	case OPTION_BENCHMARK:
		if (command->benchmark)
			return usage("--benchmark was given twice; A and B are compared in one");
		command->benchmark = optarg;
		return -1;
	case OPTION_METRIC: command->metric = optarg; return -1;
	case OPTION_EFFECT: return sequential_parse_effect(optarg, &command->effect);
	case OPTION_ALPHA: return sequential_parse_alpha(optarg, &command->alpha);
	case OPTION_PAIRS: return sequential_parse_pairs(optarg, &command->pairs);
	case OPTION_SEED: return sequential_parse_seed(optarg, &command->seed);
	case OPTION_PROFILE: command->profile = optarg; return -1;
	case OPTION_PLUGIN: command->plugin = optarg; return -1;
	case OPTION_URI: command->uri = optarg; return -1;
	case OPTION_TARGET: add(&command->targets, nova_strdup(optarg)); return -1;
	case OPTION_PAIR: add(&command->common, nova_format("run.pair=%s", optarg)); return -1;
	case OPTION_SET: add(&command->common, nova_strdup(optarg)); return -1;
	case OPTION_CONFIG: command->config = optarg; return -1;
	case OPTION_FULL: add(&command->common, nova_strdup("run.full=true")); return -1;
	case OPTION_MAX_VMS:
		add(&command->common, nova_format("limits.max_vms=%s", optarg));
		return -1;
	case OPTION_DRY_RUN: command->dry_run = true; return -1;
	case OPTION_RESUME: command->resume = optarg; return -1;
	case OPTION_FORMAT: command->format = optarg; return -1;
	case OPTION_OUTPUT: command->output = optarg; return -1;
	case OPTION_FAIL_ON:
		if (strcmp(optarg, "worse"))
			return usage("--fail-on takes \"worse\"");
		command->fail_on_worse = true;
		return -1;
	default: return -2;
	}
}

static int check(const struct command *command)
{
	bool chosen = command->benchmark || command->plugin || command->targets.count ||
	              command->a.given.count || command->b.given.count || command->common.count ||
	              command->profile || command->metric || command->dry_run;
	bool known = false;

	for (size_t i = 0; nova_report_formats[i]; i++)
		known |= !strcmp(nova_report_formats[i], command->format);
	if (!known)
		return usage("--format takes table, json, csv or junit");
	if (command->resume)
		return chosen ? usage("--resume finishes it as it was planned: it takes no other "
		                      "choice of what to run")
		              : -1;
	if (!command->benchmark)
		return usage("name what is to be run on both sides: --benchmark cpu");
	if (!command->a.given.count || !command->b.given.count)
		return usage("ab wants --a and --b, the settings of both sides, such as --a "
		             "vm.standard.vcpus=1 --b vm.standard.vcpus=2");
	if (command->uri && !command->plugin)
		return usage("--uri goes with --plugin (or use --target PLUGIN=URI)");
	return -1;
}

static int parse(struct command *command, int argc, char **argv)
{
	int option, code;

	optind = 0;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:", options, NULL)) >= 0) {
		code = take_option(command, option);
		if (code == -2)
			code = nova_common_option(option, argv, options, help);
		command->quiet |= option == NOVA_OPTION_QUIET;
		command->verbose |= option == NOVA_OPTION_VERBOSE;
		if (code >= 0)
			return code;
	}
	if (optind < argc) {
		fprintf(stderr, "novacore: unexpected argument \"%s\"; --help lists the options\n",
		        argv[optind]);
		return 2;
	}
	return check(command);
}

/* --- settings
 * ------------------------------------------------------------------------------------------ */

/* A comma ends a setting only where another one begins: values are lists with commas, too, and
 * hold assignments ("vm.standard.knobs=vm.disk.cache=none,vm.disk.io=native"). */
static bool begins_setting(const struct nova_config *config, const char *text)
{
	size_t length = strcspn(text, "=,");
	NOVA_AUTOFREE char *key = nova_format("%.*s", (int)length, text);
	NOVA_AUTOFREE char *full = nova_format("benchmark.%s", key);

	return text[length] == '=' && length &&
	       (nova_config_declared(config, key) || nova_config_declared(config, full) ||
	        strncmp(key, "goal.", 5) == 0);
}

static void split(const struct nova_config *config, struct side *side)
{
	for (size_t i = 0; i < side->given.count; i++) {
		const char *from = side->given.items[i], *at = from;

		while ((at = strchr(at, ','))) {
			at++;
			if (!begins_setting(config, at))
				continue;
			add(&side->own, nova_format("%.*s", (int)(at - from) - 1, from));
			from = at;
		}
		add(&side->own, nova_strdup(from));
	}
}

static int load_side(struct command *command, struct side *side, const char *name,
                     struct nova_error *error)
{
	int code;

	for (size_t i = 0; i < command->common.count; i++)
		add(&side->settings, nova_strdup(command->common.items[i]));
	/* What is compared is A and B, not either of them with this host. */
	add(&side->settings, nova_strdup("run.native=false"));
	for (size_t i = 0; i < side->own.count; i++)
		add(&side->settings, nova_strdup(side->own.items[i]));
	code = nova_settings_load(command->profile, command->config, list(&side->settings),
	                          side->settings.count, &side->loaded, error);
	return code ? nova_error_prefix(error, "--%s", name) : 0;
}

static int plan_side(struct command *command, struct side *side, const char *name,
                     struct nova_error *error)
{
	const char *const benchmarks[] = {command->benchmark, NULL};
	struct nova_plan_request request = {.config = side->loaded.config,
	                                    .registry = side->loaded.registry,
	                                    .profile = side->loaded.profile,
	                                    .targets = list(&command->targets),
	                                    .plugin = command->plugin,
	                                    .uri = command->uri,
	                                    .benchmarks = benchmarks,
	                                    .seed = command->seed,
	                                    .config_file = command->config,
	                                    .settings = list(&side->settings),
	                                    .setting_count = side->settings.count};
	int code = nova_plan_make(&request, &side->plan, error);

	return code ? nova_error_prefix(error, "--%s", name) : 0;
}

static int open_store(struct command *command, const struct nova_config *config,
                      struct nova_error *error)
{
	const char *path = nova_config_has(config, "store.path")
	                           ? nova_config_text(config, "store.path", 0)
	                           : NULL;

	return nova_store_open(path, &command->store, error);
}

static int make_plan(struct command *command, json_t **plan, struct nova_error *error)
{
	struct nova_settings common = {0};
	struct nova_ab_request request = {.metric = command->metric,
	                                  .alpha = command->alpha,
	                                  .minimum_effect = command->effect,
	                                  .max_pairs = command->pairs};
	int code = nova_settings_load(command->profile, command->config, list(&command->common),
	                              command->common.count, &common, error);

	if (!code) {
		split(common.config, &command->a);
		split(common.config, &command->b);
		code = load_side(command, &command->a, "a", error);
	}
	if (!code)
		code = load_side(command, &command->b, "b", error);
	if (!code)
		code = plan_side(command, &command->a, "a", error);
	if (!code)
		code = plan_side(command, &command->b, "b", error);
	if (!code) {
		request.a = command->a.plan;
		request.b = command->b.plan;
		request.a_settings = list(&command->a.own);
		request.b_settings = list(&command->b.own);
		request.objective =
		        nova_config_text(command->a.loaded.config, "objective.metric", 0);
		code = nova_ab_plan(&request, plan, error);
	}
	if (!code)
		code = open_store(command, command->a.loaded.config, error);
	nova_settings_free(&common);
	return code;
}

static int load_planned(const json_t *planned, const char *profile, struct side *side,
                        struct nova_error *error)
{
	const char *own = json_string_value(json_object_get(planned, "profile"));

	return nova_settings_load_planned(json_object_get(planned, "command"), own ? own : profile,
	                                  &side->loaded, error);
}

static int load_resumed(struct command *command, char **id, struct nova_error *error)
{
	struct nova_settings plain = {0};
	struct nova_run_record run = {0};
	const json_t *ab;
	int code = nova_settings_load(NULL, command->config, NULL, 0, &plain, error);

	if (!code)
		code = open_store(command, plain.config, error);
	if (!code)
		code = nova_store_run_get(command->store, command->resume, &run, error);
	nova_settings_free(&plain);
	if (code)
		return code;
	ab = json_object_get(run.plan, "ab");
	if (!ab)
		code = nova_error_set(error, NOVA_E_INVALID,
		                      "run %s does not compare A with B; novacore run --resume %s "
		                      "finishes it",
		                      run.id, run.id);
	if (!code)
		code = load_planned(json_object_get(ab, "a"), run.profile, &command->a, error);
	if (!code)
		code = load_planned(json_object_get(ab, "b"), run.profile, &command->b, error);
	*id = nova_strdup(run.id);
	nova_run_record_clear(&run);
	return code;
}

/* --- running
 * ------------------------------------------------------------------------------------------ */

static void print_side(FILE *out, const json_t *plan, const char *name)
{
	const json_t *side = json_object_get(json_object_get(plan, "ab"), name);
	json_t *setting;
	size_t i;

	fprintf(out, "  %s: ", name);
	json_array_foreach(json_object_get(side, "settings"), i, setting)
	        fprintf(out, "%s%s", i ? ", " : "", json_string_value(setting));
	fputc('\n', out);
}

static void print_plan(FILE *out, const json_t *plan)
{
	const json_t *ab = json_object_get(plan, "ab");
	const json_t *step = json_array_get(json_object_get(plan, "steps"), 0);
	char text[32];

	nova_value_format((double)json_integer_value(json_object_get(step, "estimate_ns")) / 1e9,
	                  NOVA_UNIT_SECOND, text);
	fprintf(out, "A against B in %s, decided on %s; nothing has been done.\n",
	        nova_json_text(step, "benchmark"), nova_json_text(ab, "metric"));
	print_side(out, plan, "a");
	print_side(out, plan, "b");
	fprintf(out,
	        "At most %lld pairs, about %s (%s); it stops earlier when it knows of more or less "
	        "than %g %%, with an error of at most %g over all looks.\n",
	        (long long)json_integer_value(json_object_get(ab, "max_pairs")), text,
	        nova_json_text(step, "estimate_basis"),
	        100 * json_number_value(json_object_get(ab, "minimum_effect")),
	        json_number_value(json_object_get(ab, "alpha")));
}

static int dry_run(const struct command *command, const json_t *plan, struct nova_error *error)
{
	bool json = !strcmp(command->format, "json");
	FILE *out;

	if (!json && strcmp(command->format, "table"))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "--dry-run prints --format table or json");
	out = nova_output_open(command->output, error);
	if (!out)
		return error->code;
	if (json) {
		json_dumpf(plan, out, JSON_INDENT(2));
		fputc('\n', out);
	} else {
		print_plan(out, plan);
	}
	return nova_output_close(out, command->output, error);
}

static int execute(struct command *command, json_t *plan, const char *resume,
                   struct nova_error *error)
{
	struct nova_run_request request = {.config = command->a.loaded.config,
	                                   .config_b = command->b.loaded.config,
	                                   .registry = command->a.loaded.registry,
	                                   .store = command->store,
	                                   .plan = plan,
	                                   .resume = resume,
	                                   .watch = nova_progress_watch()};
	NOVA_AUTOJSON json_t *result = NULL;
	struct nova_run_outcome outcome;
	struct nova_error reporting = {0};
	int code, exit_code;

	nova_progress_begin(command->quiet, true);
	code = nova_run_execute(&request, &outcome, error);
	nova_progress_end();
	exit_code = outcome.exit_code;
	if (code) {
		nova_complain(error);
		exit_code = exit_code ? exit_code : nova_code_exit(code);
	}
	if (!outcome.id[0])
		return exit_code;
	code = nova_result_build(command->store, outcome.id, &result, &reporting);
	if (!code)
		code = nova_result_print(result, command->format, command->output, command->verbose,
		                         &reporting);
	if (code)
		return nova_more_urgent(exit_code, nova_complain(&reporting));
	return command->fail_on_worse && !strcmp(sequential_said(result), "worse")
	               ? nova_more_urgent(exit_code, 1)
	               : exit_code;
}

static int act(struct command *command, int *exit_code, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *plan = NULL;
	NOVA_AUTOFREE char *resumed = NULL;
	int code;

	code = command->resume ? load_resumed(command, &resumed, error)
	                       : make_plan(command, &plan, error);
	if (!code && plan)
		code = nova_plan_estimate(plan, command->store, error);
	if (code)
		return code;
	if (command->dry_run)
		return dry_run(command, plan, error);
	*exit_code = execute(command, plan, resumed, error);
	return 0;
}

static void drop_side(struct side *side)
{
	drop(&side->given);
	drop(&side->own);
	drop(&side->settings);
	nova_settings_free(&side->loaded);
	json_decref(side->plan);
}

int nova_command_ab(int argc, char **argv)
{
	struct command command = {.format = "table",
	                          .alpha = SEQUENTIAL_ALPHA,
	                          .effect = 0.03,
	                          .pairs = SEQUENTIAL_PAIRS,
	                          .seed = sequential_seed()};
	struct nova_error error = {0};
	int code, exit_code = 0;

	code = parse(&command, argc, argv);
	if (code < 0) {
		code = act(&command, &exit_code, &error);
		code = code ? nova_complain(&error) : exit_code;
	}
	nova_store_close(command.store);
	drop_side(&command.a);
	drop_side(&command.b);
	drop(&command.targets);
	drop(&command.common);
	return code;
}
