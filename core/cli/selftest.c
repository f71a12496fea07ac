/* SPDX-License-Identifier: MIT */
/* novacore selftest: is the harness right, on this host? No hypervisor is needed. */
#include "core/cli/profiles.h"
#include "core/judge/judge.h"
#include "core/selftest/selftest.h"
#include "core/cli/progress.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static const char help[] =
        "usage: novacore selftest [--quick] [--seed N] [--format table|json] [--output FILE]\n"
        "       novacore selftest --aa [--series N] [--points N] [--seed N]\n"
        "                         [--format table|json] [--output FILE]\n"
        "\n"
        "Checks on this host, without a hypervisor, that novacore measures and judges rightly: a\n"
        "simulator injects latencies, noise and regressions, and what comes out is held against\n"
        "what went in. Prints each claim, its bar, what was measured, and the verdict.\n"
        "\n"
        "examples:\n"
        "  novacore selftest                     1,000 VMs at once, in real time: about a minute\n"
        "  novacore selftest --quick             100 VMs, fewer series\n"
        "  novacore selftest --aa                how noisy is this host: false alarms\n"
        "  novacore selftest --aa --series 1000 --points 200\n"
        "  novacore selftest --quick --format json | jq '.checks[] | {id, value, verdict}'\n"
        "\n"
        "  --quick               fewer VMs and series: does it work?\n"
        "  --aa                  A against A: measure this host itself, with nothing changed, and\n"
        "                        report how often the detector of changes says otherwise\n"
        "  --series N            with --aa: series of measurements, 1 to 100000 (default 400)\n"
        "  --points N            with --aa: measurements of each, 20 to 10000 (default 100)\n"
        "  --seed N              of what is simulated or shuffled; printed, to repeat it\n"
        "  --format FORMAT       table (default) or json (novacore.selftest/1)\n"
        "  --output FILE         instead of standard output; appears only when "
        "complete\n" NOVA_COMMON_HELP "\n"
        "What is marked \"timing\" holds on a quiet machine only; on a busy one it may be missed, "
        "and\n"
        "the table says how busy it was.\n"
        "Exit codes: 0 no bar was missed (--aa has none), 1 one was, 2 wrong usage, 3 this host "
        "cannot\n"
        "do it, 4 a simulated run failed, 130 interrupted.\n";

enum {
	OPTION_QUICK = 1,
	OPTION_AA,
	OPTION_SERIES,
	OPTION_POINTS,
	OPTION_SEED,
	OPTION_FORMAT,
	OPTION_OUTPUT
};

static const struct option options[] = {{"quick", no_argument, NULL, OPTION_QUICK},
                                        {"aa", no_argument, NULL, OPTION_AA},
                                        {"series", required_argument, NULL, OPTION_SERIES},
                                        {"points", required_argument, NULL, OPTION_POINTS},
                                        {"seed", required_argument, NULL, OPTION_SEED},
                                        {"format", required_argument, NULL, OPTION_FORMAT},
                                        {"output", required_argument, NULL, OPTION_OUTPUT},
                                        NOVA_COMMON_OPTIONS,
                                        {NULL, 0, NULL, 0}};

static const char *const formats[] = {"table", "json", NULL};

struct command {
	bool quick, aa, quiet, verbose;
	uint64_t series, points, seed; /* 0: not given */
	bool seeded;
	const char *format, *output;
	char *directory; /* of the runs' store */
	struct nova_store *store;
};

static volatile int stop;

static void on_signal(int number)
{
	stop = number;
}

/* --- options -----------------------------------------------------------------------------------
 */

static int read_whole(const char *option, uint64_t least, uint64_t most, uint64_t *value,
                      struct nova_error *error)
{
	char *end;

	errno = 0;
	*value = strtoull(optarg, &end, 10);
	if (*optarg >= '0' && *optarg <= '9' && !errno && !*end && *value >= least &&
	    *value <= most)
		return 0;
	return nova_error_set(error, NOVA_E_INVALID,
	                      "--%s is \"%s\"; it wants a whole number from %llu to %llu", option,
	                      optarg, (unsigned long long)least, (unsigned long long)most);
}

static int read_format(struct command *command, struct nova_error *error)
{
	const char *near = nova_nearest(optarg, formats);

	for (size_t i = 0; formats[i]; i++)
		if (!strcmp(formats[i], optarg)) {
			command->format = formats[i];
			return 0;
		}
	return nova_error_set(error, NOVA_E_INVALID,
	                      "selftest has no format \"%s\"; it has table and json%s%s%s", optarg,
	                      near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static int take_option(struct command *command, int option, struct nova_error *error)
{
	switch (option) {
	case OPTION_QUICK: command->quick = true; return 0;
	case OPTION_AA: command->aa = true; return 0;
	case OPTION_SERIES: return read_whole("series", 1, 100000, &command->series, error);
	case OPTION_POINTS: return read_whole("points", 20, 10000, &command->points, error);
	case OPTION_SEED:
		command->seeded = true;
		return read_whole("seed", 0, INT64_MAX, &command->seed, error);
	case OPTION_FORMAT: return read_format(command, error);
	default: command->output = optarg; return 0;
	}
}

static int check_options(const struct command *command, const char *argument,
                         struct nova_error *error)
{
	if (argument)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "selftest takes options only, no \"%s\"; --help has examples",
		                      argument);
	if (!command->aa && (command->series || command->points))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "--series and --points say how much --aa measures; give "
		                      "--aa, too");
	if (command->aa && command->quick)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "--aa is as quick as --series says, such as --series 40; "
		                      "leave --quick out");
	return 0;
}

/* --- a simulated run --------------------------------------------------------------------------
 */

/* In a store of our own, which is deleted: nothing of this is a result of the user's. */
static int open_store(struct command *command, struct nova_error *error)
{
	const char *top = getenv("TMPDIR");
	NOVA_AUTOFREE char *path = NULL;

	command->directory = nova_format("%s/novacore-selftest-XXXXXX", top && *top ? top : "/tmp");
	if (!mkdtemp(command->directory)) {
		nova_error_errno(error, "cannot make a directory in %s",
		                 top && *top ? top : "/tmp");
		free(command->directory);
		command->directory = NULL;
		return error->code;
	}
	path = nova_format("%s/novacore.db", command->directory);
	return nova_store_open(path, &command->store, error);
}

static void close_store(struct command *command)
{
	nova_store_close(command->store);
	if (command->directory)
		nova_directory_remove(command->directory, NULL);
	free(command->directory);
}

/* A run says much that is of no interest here. */
static void on_note(void *context, enum nova_level level, const char *text)
{
	const struct command *command = context;

	if (command->verbose || level >= NOVA_LOG_ERROR)
		nova_log(level, "%s", text);
}

/* Not how to resume it: there is nothing to resume. */
static int interrupted(struct nova_error *error)
{
	return nova_error_set(error, NOVA_E_INTERRUPTED,
	                      "interrupted: nothing was judged, and nothing is left");
}

static int execute(struct command *command, const struct nova_settings *settings, json_t *plan,
                   json_t **result, struct nova_error *error)
{
	struct nova_run_request request = {.config = settings->config,
	                                   .registry = settings->registry,
	                                   .store = command->store,
	                                   .plan = plan,
	                                   .watch = {.note = on_note, .context = command}};
	struct nova_run_outcome outcome = {0};
	int code = nova_run_execute(&request, &outcome, error);

	if (outcome.exit_code == 130 || outcome.exit_code == 143) {
		stop = outcome.exit_code - 128;
		return interrupted(error);
	}
	if (code)
		return code;
	if (outcome.exit_code)
		return nova_error_set(error, NOVA_E_FAILED,
		                      "a simulated run ended with exit code %d; --verbose shows "
		                      "what it said",
		                      outcome.exit_code);
	return nova_result_build(command->store, outcome.id, result, error);
}

static int load_and_run(struct command *command, uint64_t seed, const char *const *given,
                        size_t count, json_t **result, struct nova_error *error)
{
	static const char *const fixed[] = {"run.warmup=0", "run.full=true", "run.native=false",
	                                    "run.precision=0"};
	static const char *const benchmarks[] = {"lifecycle", NULL};
	const char **settings = nova_alloc((NOVA_COUNT(fixed) + count) * sizeof(*settings));
	struct nova_settings loaded = {0};
	NOVA_AUTOJSON json_t *plan = NULL;
	int code;

	memcpy(settings, fixed, sizeof(fixed));
	memcpy(settings + NOVA_COUNT(fixed), given, count * sizeof(*settings));
	count += NOVA_COUNT(fixed);
	code = nova_settings_load_alone("development", settings, count, &loaded, error);
	if (!code) {
		struct nova_plan_request request = {
		        .config = loaded.config,
		        .registry = loaded.registry,
		        .profile = loaded.profile,
		        .plugin = "sim",
		        .uri = "sim:selftest", /* two at once would disturb each other */
		        .benchmarks = benchmarks,
		        .seed = seed,
		        .settings = settings,
		        .setting_count = count};
		code = nova_plan_make(&request, &plan, error);
	}
	if (!code)
		code = execute(command, &loaded, plan, result, error);
	nova_settings_free(&loaded);
	free(settings);
	return code;
}

/*
 * A run hears of signals itself, but only while it goes on. One that comes before that waits for
 * it, instead of being forgotten for as long as the run takes.
 */
static int simulate(void *context, uint64_t seed, const char *const *given, size_t count,
                    json_t **result, struct nova_error *error)
{
	sigset_t signals, before;
	int code;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, &before);
	code = stop ? interrupted(error) : load_and_run(context, seed, given, count, result, error);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return !code && stop ? interrupted(error) : code;
}

static void on_progress(void *context, const char *what, int64_t left_ns)
{
	int64_t s = (left_ns + NOVA_SECOND_NS - 1) / NOVA_SECOND_NS;
	NOVA_AUTOFREE char *text = left_ns < 0
	                                   ? nova_strdup(what)
	                                   : nova_format("%s · %lld:%02lld left", what,
	                                                 (long long)(s / 60), (long long)(s % 60));

	(void)context;
	nova_progress_say(text, left_ns < 0);
}

/* --- tables ------------------------------------------------------------------------------------
 */

static char *format_share(double share)
{
	return nova_format("%.3g %%", 100 * share);
}

/* Ratios as per cent, counts and times as they are. */
static char *format_value(const json_t *check, const json_t *value)
{
	const char *id = nova_json_text(check, "id");
	bool counts = !strcmp(id, "recovery.samples") || !strcmp(id, "recovery.early");
	char text[32];

	if (!json_is_number(value))
		return nova_strdup("–");
	if (!strcmp(nova_json_text(check, "unit"), "s")) {
		nova_value_format(json_number_value(value), NOVA_UNIT_SECOND, text);
		return nova_strdup(text);
	}
	return counts ? nova_format("%.0f", json_number_value(value))
	              : format_share(json_number_value(value));
}

static void add_check(struct grid *grid, const json_t *check)
{
	const json_t *bar = json_object_get(check, "bar");
	const json_t *interval = json_object_get(check, "interval");
	NOVA_AUTOFREE char *value = format_value(check, json_object_get(check, "value"));
	NOVA_AUTOFREE char *limit = format_value(check, bar);
	NOVA_AUTOFREE char *low = format_value(check, json_array_get(interval, 0));
	NOVA_AUTOFREE char *high = format_value(check, json_array_get(interval, 1));
	NOVA_AUTOFREE char *wanted =
	        nova_format("%s%s",
	                    json_is_null(bar)                                  ? ""
	                    : json_is_true(json_object_get(check, "at_least")) ? "≥ "
	                                                                       : "≤ ",
	                    limit);
	NOVA_AUTOFREE char *between = nova_format("%s … %s", low, high);
	NOVA_AUTOFREE char *n =
	        nova_format("%lld", (long long)json_integer_value(json_object_get(check, "n")));
	NOVA_AUTOFREE char *verdict =
	        nova_format("%s%s", nova_json_text(check, "verdict"),
	                    json_is_true(json_object_get(check, "timing")) ? " (timing)" : "");

	grid_add(grid, nova_json_text(check, "claim"));
	grid_add(grid, wanted);
	grid_add(grid, value);
	grid_add(grid, json_is_null(interval) ? NULL : between);
	grid_add(grid, n);
	grid_add(grid, verdict);
}

static void print_reasons(FILE *out, const json_t *checks)
{
	json_t *check;
	size_t i;

	json_array_foreach(checks, i, check)
	{
		if (*nova_json_text(check, "why"))
			fprintf(out, "%s: %s.\n", nova_json_text(check, "id"),
			        nova_json_text(check, "why"));
	}
}

static void print_recovered(FILE *out, const json_t *recovered)
{
	static const char *const errors[] = {"p50", "p95", "p99", "worst"};
	GRID_AUTO struct grid grid = {.columns = 6};
	json_t *metric;
	size_t i;

	grid_add(&grid, "measured over injected, less 1");
	grid_add(&grid, "n");
	for (size_t k = 0; k < NOVA_COUNT(errors); k++)
		grid_add(&grid, k == 3 ? "worst VM" : errors[k]);
	json_array_foreach(recovered, i, metric)
	{
		NOVA_AUTOFREE char *n = nova_format(
		        "%lld", (long long)json_integer_value(json_object_get(metric, "n")));

		grid_add(&grid, nova_json_text(metric, "metric"));
		grid_add(&grid, n);
		for (size_t k = 0; k < NOVA_COUNT(errors); k++) {
			NOVA_AUTOFREE char *error = nova_format(
			        "%+.3f %%",
			        100 * json_number_value(json_object_get(metric, errors[k])));
			grid_add(&grid, error);
		}
	}
	grid_print(&grid, out);
}

static void print_machine(FILE *out, const json_t *report)
{
	const json_t *machine = json_object_get(report, "machine");
	const json_t *late = json_object_get(machine, "late_p99_s");
	char p99[32], worst[32];

	fprintf(out, "\nLoad %.2f before and %.2f after, on %lld processors",
	        json_number_value(json_array_get(json_object_get(machine, "load_before"), 0)),
	        json_number_value(json_array_get(json_object_get(machine, "load_after"), 0)),
	        (long long)json_integer_value(json_object_get(machine, "processors")));
	if (late) {
		nova_value_format(json_number_value(late), NOVA_UNIT_SECOND, p99);
		nova_value_format(json_number_value(json_object_get(machine, "late_worst_s")),
		                  NOVA_UNIT_SECOND, worst);
		fprintf(out, "; a thread that only sleeps woke %s late (p99), %s at worst", p99,
		        worst);
	}
	fprintf(out, ". Seed %lld, %.0f s.\n",
	        (long long)json_integer_value(json_object_get(report, "seed")),
	        json_number_value(json_object_get(report, "time_s")));
}

static size_t count_verdicts(const json_t *checks, const char *verdict)
{
	size_t count = 0, i;
	json_t *check;

	json_array_foreach(checks, i, check) count +=
	        !strcmp(nova_json_text(check, "verdict"), verdict);
	return count;
}

static void print_table(FILE *out, const json_t *report)
{
	static const char *const titles[] = {"claim",         "bar", "measured",
	                                     "95 % interval", "n",   "verdict"};
	const json_t *checks = json_object_get(report, "checks");
	GRID_AUTO struct grid grid = {.columns = NOVA_COUNT(titles)};
	json_t *check;
	size_t i;

	for (i = 0; i < NOVA_COUNT(titles); i++)
		grid_add(&grid, titles[i]);
	json_array_foreach(checks, i, check) add_check(&grid, check);
	grid_print(&grid, out);
	fputc('\n', out);
	print_recovered(out, json_object_get(report, "recovered"));
	print_machine(out, report);
	print_reasons(out, checks);
	if (json_is_false(json_object_get(report, "passed")))
		fputs("Not passed: a bar was missed.\n", out);
	else
		fprintf(out, "Passed: no bar was missed%s.\n",
		        count_verdicts(checks, "undecided")
		                ? "; what is undecided has too few series to tell"
		                : "");
}

static char *format_rate(const json_t *rate)
{
	const json_t *interval = json_object_get(rate, "interval");

	if (json_is_null(interval))
		return nova_strdup("–");
	return nova_format("%.2f %% [%.2f, %.2f]",
	                   100 * json_number_value(json_object_get(rate, "rate")),
	                   100 * json_number_value(json_array_get(interval, 0)),
	                   100 * json_number_value(json_array_get(interval, 1)));
}

static void add_kind(struct grid *grid, const json_t *kind)
{
	const json_t *correlation = json_object_get(kind, "autocorrelation");
	NOVA_AUTOFREE char *n =
	        nova_format("%lld", (long long)json_integer_value(json_object_get(kind, "series")));
	NOVA_AUTOFREE char *measured = format_rate(json_object_get(kind, "measured"));
	NOVA_AUTOFREE char *permuted = format_rate(json_object_get(kind, "permuted"));
	NOVA_AUTOFREE char *rho =
	        json_is_null(correlation)
	                ? NULL
	                : nova_format("%.2f, %.2f",
	                              json_number_value(json_object_get(correlation, "median")),
	                              json_number_value(json_object_get(correlation, "p90")));
	const json_t *median = json_object_get(kind, "median_s");
	char each[32];

	nova_value_format(json_number_value(median), NOVA_UNIT_SECOND, each);
	grid_add(grid, nova_json_text(kind, "what"));
	grid_add(grid, json_is_null(median) ? NULL : each);
	grid_add(grid, n);
	grid_add(grid, measured);
	grid_add(grid, permuted);
	grid_add(grid, rho);
}

static void print_aa(FILE *out, const json_t *report)
{
	static const char *const titles[] = {
	        "what was measured", "each",     "series",
	        "as measured",       "shuffled", "autocorrelation (median, p90)"};
	GRID_AUTO struct grid grid = {.columns = NOVA_COUNT(titles)};
	json_int_t done = json_integer_value(json_object_get(report, "done"));
	json_int_t series = json_integer_value(json_object_get(report, "series"));
	json_t *kind;
	size_t i;

	if (done < series)
		fprintf(out, "Interrupted after %lld of %lld series.\n", (long long)done,
		        (long long)series);
	fprintf(out,
	        "Series of %lld points in which nothing was changed, and the share of them in "
	        "which a\nchange is reported at any look from 20 points on [95 %% interval]:\n\n",
	        (long long)json_integer_value(json_object_get(report, "points")));
	for (i = 0; i < NOVA_COUNT(titles); i++)
		grid_add(&grid, titles[i]);
	json_array_foreach(json_object_get(report, "kinds"), i, kind) add_kind(&grid, kind);
	grid_print(&grid, out);
	print_machine(out, report);
	fputs("Shuffled, a series cannot change: what is reported there is false; the promise is 1 "
	      "% "
	      "for\nup to 100 points. What the measured order has beyond that is this host's own "
	      "drift.\n",
	      out);
}

/* --- the command ------------------------------------------------------------------------------ */

static int make_report(struct command *command, json_t **report, struct nova_error *error)
{
	const struct nova_selftest_host host = {simulate, on_progress, &stop, command};
	int code;

	if (command->aa) {
		const struct nova_selftest_aa_request request = {
		        .host = host,
		        .series = (uint32_t)(command->series ? command->series : 400),
		        .points = (uint32_t)(command->points ? command->points : 100),
		        .seed = command->seed};

		return nova_selftest_aa(&request, report, error);
	}
	const struct nova_selftest_request request = {host, command->quick, command->seed};

	code = open_store(command, error);
	if (!code)
		code = nova_selftest_run(&request, report, error);
	close_store(command);
	return code;
}

static int print_report(const struct command *command, const json_t *report,
                        struct nova_error *error)
{
	FILE *out = nova_output_open(command->output, error);

	if (!out)
		return error->code;
	if (!strcmp(command->format, "json")) {
		json_dumpf(report, out, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
		fputc('\n', out);
	} else if (command->aa) {
		print_aa(out, report);
	} else {
		print_table(out, report);
	}
	return nova_output_close(out, command->output, error);
}

static int act(struct command *command, struct nova_error *error)
{
	const struct sigaction catching = {.sa_handler = on_signal};
	NOVA_AUTOJSON json_t *report = NULL;
	int code;

	sigaction(SIGINT, &catching, NULL);
	sigaction(SIGTERM, &catching, NULL);
	nova_progress_begin(command->quiet, true);
	code = make_report(command, &report, error);
	nova_progress_end();
	if (code)
		return nova_more_urgent(nova_complain(error), stop ? 128 + stop : 0);
	code = print_report(command, report, error);
	if (code)
		return nova_complain(error);
	if (stop)
		return 128 + stop;
	return command->aa || json_is_true(json_object_get(report, "passed")) ? 0 : 1;
}

int nova_command_selftest(int argc, char **argv)
{
	struct command command = {.format = "table"};
	struct nova_error error = {0};
	int option, code = 0;

	optind = 0;
	opterr = 0;
	while (!code && (option = getopt_long(argc, argv, "+:", options, NULL)) >= 0) {
		if (option >= OPTION_QUICK && option <= OPTION_OUTPUT) {
			code = take_option(&command, option, &error);
			continue;
		}
		int exit_code = nova_common_option(option, argv, options, help);

		if (exit_code >= 0)
			return exit_code;
		command.quiet |= option == NOVA_OPTION_QUIET;
		command.verbose |= option == NOVA_OPTION_VERBOSE;
	}
	if (!code)
		code = check_options(&command, argv[optind], &error);
	if (code)
		return nova_complain(&error);
	if (!command.seeded) {
		if (getrandom(&command.seed, sizeof(command.seed), 0) < 0)
			command.seed = (uint64_t)nova_utc_ns();
		command.seed &= INT32_MAX; /* short enough to type again */
	}
	return act(&command, &error);
}
