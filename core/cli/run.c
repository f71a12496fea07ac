/* SPDX-License-Identifier: MIT */
/* novacore run: settings, plan, run, report. Also the hidden commands `worker` and `recorder`. */
#include "core/cli/progress.h"

#include "core/judge/judge.h"
#include "core/report/report.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static const char help[] =
        "usage: novacore [run] [--profile PROFILE] --plugin DRIVER [OPTION]…\n"
        "       novacore run --resume ID\n"
        "\n"
        "Runs the profile's suite, keeps every sample, and prints what was measured.\n"
        "\n"
        "examples:\n"
        "  novacore --profile hpc --plugin kvm               on this host, libvirt embedded\n"
        "  novacore --profile dev --plugin kvm --uri qemu:///system\n"
        "  novacore --profile dev --plugin sim --set hypervisor.sim.clock=virtual --seed 7\n"
        "  novacore --plugin kvm --benchmark lifecycle --set lifecycle.concurrency=1,4\n"
        "  novacore --profile hpc --plugin kvm --pair local\n"
        "  novacore --profile hpc --plugin kvm --dry-run     what it would do, and how long\n"
        "  novacore run --resume last                        finish what was interrupted\n"
        "  novacore --plugin sim --benchmark mine --worker-wrapper 'gdb --args'\n"
        "  novacore --plugin mine --trace calls.jsonl        what was asked of the driver\n"
        "\n"
        "  --profile NAME        environment profile (novacore profile list)\n"
        "  --plugin NAME         driver of the target \"local\" (novacore plugin list)\n"
        "  --uri URI             where that driver connects to\n"
        "  --target NAME|PLUGIN=URI\n"
        "                        a configured target, or a driver and where; repeatable\n"
        "  --benchmark NAME      instead of the profile's suite; repeatable\n"
        "  --set KEY=VALUE       a setting for this run (novacore config show); repeatable\n"
        "  --config FILE         a configuration file over the system's and yours\n"
        "  --seed N              of orders and simulations; printed, so that a run can be "
        "repeated\n"
        "  --pair local          with a second target on this host, for what needs two\n"
        "  --no-native           do not run benchmarks on this host, too\n"
        "  --record KIND[,KIND]  record this host while steps measure: cpu, off-cpu,\n"
        "                        lock, memory\n"
        "  --full                do not lower repetitions to fit run.budget\n"
        "  --max-vms N           short for --set limits.max_vms=N\n"
        "  --dry-run             print the plan with its time, do nothing\n"
        "  --resume ID           finish an interrupted run (\"last\", or the beginning of its id)\n"
        "  --format FORMAT       table (default), json, csv, junit, html, markdown\n"
        "  --output FILE         instead of standard output\n"
        "  --fail-on WHAT        exit 1 if a goal was missed (goal), if something got worse than "
        "the\n"
        "                        baseline and is not acknowledged (regression), or either\n"
        "                        (goal,regression)\n"
        "  --worker-wrapper COMMAND\n"
        "                        run the workers under it (gdb --args, valgrind, strace -f -o "
        "F),\n"
        "                        without deadlines for loading, opening, a replicate and "
        "closing,\n"
        "                        and without limits.worker_memory; run.op_timeout stays\n"
        "  --trace FILE          add each call, with what came of it, to FILE as JSON "
        "lines\n" NOVA_COMMON_HELP "\n"
        "Ctrl-C stops cleanly: VMs are deleted, results are kept, the run can be resumed.\n"
        "Exit codes: 0 fine, 1 a goal missed or a regression (--fail-on), 2 wrong usage or "
        "configuration, 3\n"
        "host or hypervisor cannot do it, 4 a step failed or was lost, 5 refused for safety, 130\n"
        "interrupted.\n";

enum {
	OPTION_PROFILE = 1,
	OPTION_PLUGIN,
	OPTION_URI,
	OPTION_TARGET,
	OPTION_BENCHMARK,
	OPTION_SET,
	OPTION_CONFIG,
	OPTION_SEED,
	OPTION_PAIR,
	OPTION_NO_NATIVE,
	OPTION_RECORD,
	OPTION_FULL,
	OPTION_MAX_VMS,
	OPTION_DRY_RUN,
	OPTION_RESUME,
	OPTION_FORMAT,
	OPTION_OUTPUT,
	OPTION_FAIL_ON,
	OPTION_WORKER_WRAPPER,
	OPTION_TRACE
};

static const struct option options[] = {
        {"profile", required_argument, NULL, OPTION_PROFILE},
        {"plugin", required_argument, NULL, OPTION_PLUGIN},
        {"uri", required_argument, NULL, OPTION_URI},
        {"target", required_argument, NULL, OPTION_TARGET},
        {"benchmark", required_argument, NULL, OPTION_BENCHMARK},
        {"set", required_argument, NULL, OPTION_SET},
        {"config", required_argument, NULL, OPTION_CONFIG},
        {"seed", required_argument, NULL, OPTION_SEED},
        {"pair", required_argument, NULL, OPTION_PAIR},
        {"no-native", no_argument, NULL, OPTION_NO_NATIVE},
        {"record", required_argument, NULL, OPTION_RECORD},
        {"full", no_argument, NULL, OPTION_FULL},
        {"max-vms", required_argument, NULL, OPTION_MAX_VMS},
        {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
        {"resume", required_argument, NULL, OPTION_RESUME},
        {"format", required_argument, NULL, OPTION_FORMAT},
        {"output", required_argument, NULL, OPTION_OUTPUT},
        {"fail-on", required_argument, NULL, OPTION_FAIL_ON},
        {"worker-wrapper", required_argument, NULL, OPTION_WORKER_WRAPPER},
        {"trace", required_argument, NULL, OPTION_TRACE},
        NOVA_COMMON_OPTIONS,
        {NULL, 0, NULL, 0}};

struct list {
	const char **items; /* NULL-terminated once something was added */
	size_t count;
};

struct command {
	const char *profile, *plugin, *uri, *config, *resume, *format, *output;
	struct list targets, benchmarks, settings;
	struct list owned; /* settings that were made here */
	const char *worker_wrapper, *trace;
	char **wrapper; /* its words */
	uint64_t seed;
	bool dry_run, fail_on_goal, fail_on_regression, quiet, verbose;
	struct nova_settings loaded;
	struct nova_store *store;
};

static void add(struct list *list, const char *item)
{
	list->items = nova_realloc(list->items, (list->count + 2) * sizeof(*list->items));
	list->items[list->count++] = item;
	list->items[list->count] = NULL;
}

static int usage(const char *text)
{
	fprintf(stderr, "novacore: %s\n", text);
	return 2;
}

/* --- options
 * --------------------------------------------------------------------------------------- */

static int parse_seed(const char *text, uint64_t *seed)
{
	char *end;

	errno = 0;
	*seed = strtoull(text, &end, 10);
	if (errno || *end || !*text || strchr(text, '-') || *seed > INT64_MAX)
		return usage("--seed wants a whole number from 0 to 9223372036854775807");
	return -1;
}

static int parse_fail_on(struct command *command, const char *text)
{
	NOVA_AUTOFREE char *copy = nova_strdup(text);
	char *rest = copy, *word;

	while ((word = strsep(&rest, ","))) {
		if (!strcmp(word, "goal"))
			command->fail_on_goal = true;
		else if (!strcmp(word, "regression"))
			command->fail_on_regression = true;
		else
			return usage("--fail-on takes goal, regression, or goal,regression");
	}
	return -1;
}

static int take_option(struct command *command, int option)
{
	switch (option) {
	case OPTION_PROFILE: command->profile = optarg; return -1;
	case OPTION_PLUGIN: command->plugin = optarg; return -1;
	case OPTION_URI: command->uri = optarg; return -1;
	case OPTION_TARGET: add(&command->targets, optarg); return -1;
	case OPTION_BENCHMARK: add(&command->benchmarks, optarg); return -1;
	case OPTION_SET: add(&command->settings, optarg); return -1;
	case OPTION_CONFIG: command->config = optarg; return -1;
	case OPTION_SEED: return parse_seed(optarg, &command->seed);
	case OPTION_PAIR:
		if (strcmp(optarg, "local"))
			return usage("--pair takes \"local\": a second target on this host; name "
			             "targets elsewhere with --target");
		add(&command->settings, "run.pair=local");
		return -1;
	case OPTION_NO_NATIVE: add(&command->settings, "run.native=false"); return -1;
	case OPTION_FULL: add(&command->settings, "run.full=true"); return -1;
	case OPTION_RECORD:
		if (!*optarg)
			return usage("--record wants what to record, such as cpu");
		/* fallthrough */
	case OPTION_MAX_VMS:
		add(&command->owned,
		    nova_format("%s=%s", option == OPTION_RECORD ? "run.record" : "limits.max_vms",
		                optarg));
		add(&command->settings, command->owned.items[command->owned.count - 1]);
		return -1;
	case OPTION_DRY_RUN: command->dry_run = true; return -1;
	case OPTION_RESUME: command->resume = optarg; return -1;
	case OPTION_FORMAT: command->format = optarg; return -1;
	case OPTION_OUTPUT: command->output = optarg; return -1;
	case OPTION_WORKER_WRAPPER: command->worker_wrapper = optarg; return -1;
	case OPTION_TRACE: command->trace = optarg; return -1;
	case OPTION_FAIL_ON: return parse_fail_on(command, optarg);
	default: return -2;
	}
}

static int check_format(const struct command *command)
{
	for (size_t i = 0; nova_report_formats[i]; i++)
		if (!strcmp(nova_report_formats[i], command->format))
			return -1;
	return usage("--format takes table, json, csv, junit, html or markdown");
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
		if (option == NOVA_OPTION_QUIET)
			command->quiet = true;
		if (option == NOVA_OPTION_VERBOSE)
			command->verbose = true;
		if (code >= 0)
			return code;
	}
	if (optind < argc) {
		fprintf(stderr, "novacore: unexpected argument \"%s\"; --help lists the options\n",
		        argv[optind]);
		return 2;
	}
	if (command->uri && !command->plugin)
		return usage("--uri goes with --plugin (or use --target PLUGIN=URI)");
	if (command->resume &&
	    (command->plugin || command->profile || command->targets.count ||
	     command->benchmarks.count || command->settings.count || command->dry_run))
		return usage("--resume finishes the plan as it was: it takes no other choice of "
		             "what to run");
	return check_format(command);
}

/* --- dry run
 * ------------------------------------------------------------------------------------------ */

/* "local (kvm) and this host": where the step runs. */
static char *name_targets(const json_t *plan, const json_t *step)
{
	json_t *indices = json_object_get(step, "targets"), *index;
	size_t i, sides = json_array_size(json_object_get(step, "sides"));
	struct nova_text text = {0};

	json_array_foreach(indices, i, index)
	{
		const json_t *target = json_array_get(json_object_get(plan, "targets"),
		                                      (size_t)json_integer_value(index));

		nova_text_addf(&text, "%s%s (%s)", i ? ", " : "", nova_json_text(target, "name"),
		               nova_json_text(target, "plugin"));
	}
	if (!json_array_size(indices) || sides > 1)
		nova_text_addf(&text, "%sthis host", text.length ? " and natively on " : "");
	return text.data;
}

static void print_left_out(FILE *out, const json_t *plan)
{
	json_t *skipped = json_object_get(plan, "skipped"), *one, *notes, *note;
	size_t i;

	json_array_foreach(skipped, i, one)
	{
		fprintf(out, "   -  %-12s is left out: %s; %s\n", nova_json_text(one, "benchmark"),
		        nova_json_text(one, "why"), nova_json_text(one, "fix"));
	}
	notes = json_object_get(plan, "notes");
	json_array_foreach(notes, i, note) fprintf(out, "%s.\n", json_string_value(note));
}

static void print_step(FILE *out, const json_t *plan, const json_t *step)
{
	NOVA_AUTOJSON json_t *told =
	        json_pack("{sO sO*}", "params", json_object_get(step, "params"), "param_units",
	                  json_object_get(json_object_get(plan, "param_units"),
	                                  nova_json_text(step, "benchmark")));
	NOVA_AUTOFREE char *params = nova_report_params(told);
	NOVA_AUTOFREE char *where = name_targets(plan, step);
	char estimate[32];

	nova_value_format((double)json_integer_value(json_object_get(step, "estimate_ns")) / 1e9,
	                  NOVA_UNIT_SECOND, estimate);
	fprintf(out,
	        "%4lld  %-12s on %s: %lld samples after %lld warm-up, about %s (%s)\n      "
	        "%s\n",
	        (long long)json_integer_value(json_object_get(step, "index")) + 1,
	        nova_json_text(step, "benchmark"), where,
	        (long long)json_integer_value(json_object_get(step, "samples")),
	        (long long)json_integer_value(json_object_get(step, "warmup")), estimate,
	        nova_json_text(step, "estimate_basis"), params);
}

static void print_record(FILE *out, const json_t *plan)
{
	const json_t *record = json_object_get(plan, "record");
	json_t *kinds = json_object_get(record, "kinds"), *kind;
	bool all = !strcmp(nova_json_text(record, "what"), "all");
	size_t i;

	if (!record)
		return;
	fputs("Each step is recorded while it measures (", out);
	json_array_foreach(kinds, i, kind)
	        fprintf(out, "%s%s", i ? ", " : "", json_string_value(kind));
	fprintf(out, "), %s; it may cost %.3g %%.\n",
	        all ? "all processes of this host"
	            : "the processes of the run: all of this host are not permitted",
	        100 * json_number_value(json_object_get(record, "overhead")));
}

static void print_plan(FILE *out, const json_t *plan)
{
	json_t *steps = json_object_get(plan, "steps"), *step, *boot;
	double total = 0,
	       budget = (double)json_integer_value(json_object_get(plan, "budget_ns")) / 1e9;
	char text[32], limit[32];
	size_t index;

	fprintf(out, "Plan of profile %s, seed %lld; nothing has been done.\n",
	        nova_json_text(plan, "profile"),
	        (long long)json_integer_value(json_object_get(plan, "seed")));
	json_array_foreach(steps, index, step)
	{
		print_step(out, plan, step);
		total += (double)json_integer_value(json_object_get(step, "estimate_ns")) / 1e9;
	}
	json_array_foreach(json_object_get(plan, "boots"), index, boot)
	        fprintf(out, "%s\n", json_string_value(boot));
	print_left_out(out, plan);
	print_record(out, plan);
	nova_value_format(total, NOVA_UNIT_SECOND, text);
	nova_value_format(budget, NOVA_UNIT_SECOND, limit);
	fprintf(out, "About %s in all; run.budget is %s%s.\n", text, limit,
	        json_is_true(json_object_get(plan, "full")) ? " and lifted by --full"
	        : total > budget
	                ? ": repetitions will be lowered to fit, and the result will say so"
	                : "");
}

static int dry_run(struct command *command, json_t *plan, struct nova_error *error)
{
	bool json = !strcmp(command->format, "json");
	FILE *out;
	int code;

	if (!json && strcmp(command->format, "table"))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "--dry-run prints --format table or json");
	code = nova_run_record_check(plan, error);
	if (!code)
		code = nova_plan_estimate(plan, command->store, error);
	out = code ? NULL : nova_output_open(command->output, error);
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

/* --- running
 * ------------------------------------------------------------------------------------------ */

/* --plugin takes a driver, or any kind if the name is unique. */
static int place_plugin(struct command *command, struct nova_error *error)
{
	const struct nova_manifest *plugin;

	if (!command->plugin)
		return 0;
	plugin = nova_registry_find(command->loaded.registry, NOVA_KIND_HYPERVISOR, command->plugin,
	                            NULL);
	if (plugin)
		return 0;
	plugin = nova_registry_find(command->loaded.registry, 0, command->plugin, error);
	if (!plugin)
		return error->code;
	if (plugin->kind != NOVA_KIND_BENCHMARK)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "%s is a plugin of kind %s: it cannot be run",
		                      command->plugin, nova_kind_name(plugin->kind));
	add(&command->benchmarks, command->plugin);
	command->plugin = NULL;
	return 0;
}

static int open_store(struct command *command, struct nova_error *error)
{
	return nova_settings_store(&command->loaded, &command->store, error);
}

static int make_plan(struct command *command, json_t **plan, struct nova_error *error)
{
	struct nova_plan_request request = {.config = command->loaded.config,
	                                    .registry = command->loaded.registry,
	                                    .profile = command->loaded.profile,
	                                    .targets = command->targets.items,
	                                    .plugin = command->plugin,
	                                    .uri = command->uri,
	                                    .benchmarks = command->benchmarks.items,
	                                    .seed = command->seed,
	                                    .config_file = command->config,
	                                    .settings = command->settings.items,
	                                    .setting_count = command->settings.count};

	return nova_plan_make(&request, plan, error);
}

/* The settings of the run that is to be resumed; secrets come from where they came from then. */
static int load_resumed(struct command *command, struct nova_error *error)
{
	struct nova_run_record run = {0};
	int code;

	/* The store's place may be a setting of that run: then it must be given again by --config.
	 */
	code = nova_settings_load(NULL, command->config, NULL, 0, &command->loaded, error);
	if (!code)
		code = open_store(command, error);
	if (!code)
		code = nova_store_run_get(command->store, command->resume, &run, error);
	if (code)
		return code;
	nova_settings_free(&command->loaded);
	code = nova_settings_load_planned(json_object_get(run.plan, "command"), run.profile,
	                                  &command->loaded, error);
	command->resume = nova_strdup(run.id);
	nova_run_record_clear(&run);
	return code;
}

static bool is_missed(const json_t *judged)
{
	return !strcmp(nova_json_text(judged, "verdict"), "needs optimization");
}

/* What --fail-on looks for. */
struct found {
	bool missed, regressed;
	bool judged; /* a baseline was there to judge by */
};

static struct found look_for(const json_t *result)
{
	json_t *steps = json_object_get(result, "steps"), *step, *metric;
	struct found found = {0};
	size_t i, j;

	json_array_foreach(steps, i, step)
	{
		json_array_foreach(json_object_get(step, "metrics"), j, metric)
		{
			const json_t *baseline = json_object_get(metric, "baseline");
			bool known = json_is_object(json_object_get(baseline, "acknowledged"));

			found.judged |= json_is_object(baseline);
			found.missed |= is_missed(metric);
			found.regressed |=
			        !known && !strcmp(nova_json_text(baseline, "verdict"), "regressed");
		}
		json_array_foreach(json_object_get(step, "comparisons"), j, metric) found.missed |=
		        is_missed(metric);
	}
	return found;
}

static int report(struct command *command, const char *id, struct found *found,
                  struct nova_error *error)
{
	NOVA_AUTOJSON json_t *result = NULL;
	int code = nova_result_build(command->store, id, &result, error);

	if (code)
		return code;
	*found = look_for(result);
	return nova_result_print(result, command->format, command->output, command->verbose, error);
}

static int execute(struct command *command, json_t *plan, struct nova_error *error)
{
	struct nova_run_request request = {.config = command->loaded.config,
	                                   .registry = command->loaded.registry,
	                                   .store = command->store,
	                                   .plan = plan,
	                                   .resume = command->resume,
	                                   .wrapper = command->wrapper,
	                                   .trace = command->trace,
	                                   .watch = nova_progress_watch()};
	struct nova_run_outcome outcome;
	struct nova_error reporting = {0};
	struct found found = {0};
	int code, exit_code;

	/* Told beside what it took; a run is not worse for not knowing. */
	if (plan)
		nova_plan_estimate(plan, command->store, &reporting);
	reporting.code = 0;
	/* A wrapper writes there, too. */
	nova_progress_begin(command->quiet, !command->wrapper);
	code = nova_run_execute(&request, &outcome, error);
	nova_progress_end();
	exit_code = outcome.exit_code;
	if (code && !exit_code)
		exit_code = nova_code_exit(code);
	if (code)
		nova_complain(error);
	if (!outcome.id[0])
		return exit_code;
	if (report(command, outcome.id, &found, &reporting))
		exit_code = nova_more_urgent(exit_code, nova_complain(&reporting));
	nova_measured_update(command->store, NULL); /* else the next history does it */
	if (command->fail_on_regression && !found.judged)
		nova_log(
		        NOVA_LOG_WARNING,
		        "--fail-on regression had nothing to judge by: no baseline is set for this "
		        "where; novacore baseline set last makes this run one");
	if ((found.missed && command->fail_on_goal) ||
	    (found.regressed && command->fail_on_regression))
		return nova_more_urgent(exit_code, 1);
	return exit_code;
}

static int act(struct command *command, struct nova_error *error, int *exit_code)
{
	NOVA_AUTOJSON json_t *plan = NULL;
	int code = 0;

	if (command->worker_wrapper)
		code = nova_wrapper_parse(command->worker_wrapper, &command->wrapper, error);
	if (code)
		return code;
	if (command->resume) {
		code = load_resumed(command, error);
	} else {
		code = nova_settings_load(command->profile, command->config,
		                          command->settings.items, command->settings.count,
		                          &command->loaded, error);
		if (!code)
			code = place_plugin(command, error);
		if (!code)
			code = make_plan(command, &plan, error);
		if (!code)
			code = open_store(command, error);
	}
	if (code)
		return code;
	if (command->dry_run)
		return dry_run(command, plan, error);
	*exit_code = execute(command, plan, error);
	return 0;
}

int nova_command_run(int argc, char **argv)
{
	struct command command = {.format = "table"};
	struct nova_error error = {0};
	int code, exit_code = 0;

	if (getrandom(&command.seed, sizeof(command.seed), 0) < 0)
		command.seed = (uint64_t)nova_utc_ns();
	command.seed &= INT32_MAX; /* short enough to type again */
	code = parse(&command, argc, argv);
	if (code >= 0)
		return code;
	code = act(&command, &error, &exit_code);
	nova_store_close(command.store);
	nova_settings_free(&command.loaded);
	free(command.targets.items);
	free(command.benchmarks.items);
	free(command.settings.items);
	for (size_t i = 0; i < command.owned.count; i++)
		free((char *)(uintptr_t)command.owned.items[i]);
	free(command.owned.items);
	nova_wrapper_free(command.wrapper);
	return code ? nova_complain(&error) : exit_code;
}

/* On descriptor 3 a process that run has started finds it. */
static bool is_started_by_run(const char *command)
{
	struct stat packets;

	if (!fstat(3, &packets) && S_ISSOCK(packets.st_mode))
		return true;
	fprintf(stderr, "novacore: %s is started by novacore run, not by hand\n", command);
	return false;
}

int nova_command_recorder(int argc, char **argv)
{
	(void)argc;
	return is_started_by_run(argv[0]) ? nova_recorder_main(3) : 2;
}

int nova_command_worker(int argc, char **argv)
{
	if (!is_started_by_run(argv[0]))
		return 2;
	return argc > 1 ? nova_worker_wrapped(argv + 1) : nova_worker_main(3);
}
