/* SPDX-License-Identifier: MIT */
/* novacore plan-samples: how many VMs a comparison needs, and how long they take, before any runs.
 */
#include "core/cli/cli.h"

#include "core/judge/judge.h"
#include "core/run/run.h"

#include <stdlib.h>
#include <string.h>

static const char help[] =
        "usage: novacore plan-samples --effect SHARE (--cv SHARE | --metric NAME) [OPTION]…\n"
        "                             [--format table|json]\n"
        "\n"
        "Says how many VMs a comparison needs to find a difference of a size that matters, and how "
        "long they\n"
        "take. A SHARE is written 3% or 0.03. The coefficient of variation (standard deviation "
        "over "
        "mean) is\n"
        "given, or that of a metric's values in its newest run here.\n"
        "\n"
        "examples:\n"
        "  novacore plan-samples --effect 3% --cv 6%\n"
        "  novacore plan-samples --effect 3% --cv 6% --paired --rho 0.5 --per-vm 15s\n"
        "  novacore plan-samples --effect 10% --metric lifecycle.start.running\n"
        "  novacore plan-samples --effect 5% --cv 8% --benchmark lifecycle --format json\n"
        "\n"
        "  --effect SHARE        the difference that must not be missed, relative; up to 1000%\n"
        "  --cv SHARE            coefficient of variation of the values of one side\n"
        "  --metric NAME         take it from the newest run that measured NAME, with its "
        "interval\n"
        "  --benchmark NAME      take the time from this benchmark's newest run, and --metric, "
        "too\n"
        "  --plugin NAME         only runs on this driver\n"
        "  --alpha SHARE         error, two-sided: how often a difference may be seen that is "
        "none\n"
        "                        (default 5%)\n"
        "  --power SHARE         how often the effect must be found (default 90%)\n"
        "  --paired              VMs in pairs, one of each side right after the other, as ab does\n"
        "  --rho NUMBER          with --paired: correlation within a pair, above -1 and below 1\n"
        "                        (default 0: none, the careful choice)\n"
        "  --per-vm DURATION     how long one VM takes from its creation to its deletion: 15s\n"
        "  --concurrency N       VMs at once, 1 to 100000 (default 1, or as in the run)\n"
        "  --format FORMAT       table (default) or json\n"
        "  --config FILE         a configuration file over the system's and "
        "yours\n" NOVA_COMMON_HELP;

enum {
	OPTION_EFFECT = 1,
	OPTION_CV,
	OPTION_METRIC,
	OPTION_BENCHMARK,
	OPTION_PLUGIN,
	OPTION_ALPHA,
	OPTION_POWER,
	OPTION_PAIRED,
	OPTION_RHO,
	OPTION_PER_VM,
	OPTION_CONCURRENCY,
	OPTION_FORMAT,
	OPTION_CONFIG
};

static const struct option options[] = {
        {"effect", required_argument, NULL, OPTION_EFFECT},
        {"cv", required_argument, NULL, OPTION_CV},
        {"metric", required_argument, NULL, OPTION_METRIC},
        {"benchmark", required_argument, NULL, OPTION_BENCHMARK},
        {"plugin", required_argument, NULL, OPTION_PLUGIN},
        {"alpha", required_argument, NULL, OPTION_ALPHA},
        {"power", required_argument, NULL, OPTION_POWER},
        {"paired", no_argument, NULL, OPTION_PAIRED},
        {"rho", required_argument, NULL, OPTION_RHO},
        {"per-vm", required_argument, NULL, OPTION_PER_VM},
        {"concurrency", required_argument, NULL, OPTION_CONCURRENCY},
        {"format", required_argument, NULL, OPTION_FORMAT},
        {"config", required_argument, NULL, OPTION_CONFIG},
        NOVA_COMMON_OPTIONS,
        {NULL, 0, NULL, 0}};

#define MOST_EFFECT  10
#define MOST_AT_ONCE 100000

struct command {
	struct nova_samples_request request;
	bool json;
	const char *config;
	struct nova_samples_plan plan;
};

/* --- options --------------------------------------------------------------------------------- */

/* "0.5", "-.25", "1e-3": a number to its end, finite. */
static bool read_number(const char *text, double *number)
{
	char *end = NULL;

	if (!*text || text[strspn(text, "0123456789.eE+-")])
		return false;
	*number = strtod(text, &end);
	return !*end && isfinite(*number);
}

/* "3%" or "0.03": above 0 and up to `most`; a bare 3 would be 300 %, and was hardly meant. */
static int read_share(const char *name, const char *text, double most, double *share,
                      struct nova_error *error)
{
	size_t length = strlen(text);
	bool percent = length > 1 && text[length - 1] == '%';
	NOVA_AUTOFREE char *digits = nova_format("%.*s", (int)(length - percent), text);

	if (!read_number(digits, share))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "--%s is \"%s\", which is no share; write it as 3%% or 0.03",
		                      name, text);
	if (!percent && *share >= 1)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "--%s is \"%s\"; if that is to be per cent, write \"%s%%\"",
		                      name, text, text);
	*share /= percent ? 100 : 1;
	if (!(*share > 0) || *share > most || (most <= 1 && *share >= most))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "--%s is \"%s\"; it must be above 0 and %s %g%%", name, text,
		                      most <= 1 ? "below" : "at most", most * 100);
	return 0;
}

static int read_rho(const char *text, double *rho, struct nova_error *error)
{
	if (read_number(text, rho) && *rho > -1 && *rho < 1)
		return 0;
	return nova_error_set(error, NOVA_E_INVALID,
	                      "--rho is \"%s\"; it must be a number above -1 and below 1, such as "
	                      "0.5",
	                      text);
}

static int read_duration(const char *text, double *ns, struct nova_error *error)
{
	if (nova_quantity_parse(text, NOVA_DURATION, ns, error))
		return nova_error_prefix(error, "--per-vm");
	if (*ns > 0)
		return 0;
	return nova_error_set(error, NOVA_E_INVALID, "--per-vm is \"%s\"; no VM takes no time",
	                      text);
}

static int read_concurrency(const char *text, uint32_t *count, struct nova_error *error)
{
	bool digits = *text && !text[strspn(text, "0123456789")];
	unsigned long long read = digits ? strtoull(text, NULL, 10) : 0;

	if (read < 1 || read > MOST_AT_ONCE)
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "--concurrency is \"%s\"; it must be a whole number from 1 to %d", text,
		        MOST_AT_ONCE);
	*count = (uint32_t)read;
	return 0;
}

static int read_format(const char *text, bool *json, struct nova_error *error)
{
	const char *formats[] = {"table", "json", NULL}, *near = nova_nearest(text, formats);

	*json = !strcmp(text, "json");
	if (*json || !strcmp(text, "table"))
		return 0;
	return nova_error_set(error, NOVA_E_INVALID,
	                      "plan-samples has no format \"%s\"; it has table and json%s%s%s",
	                      text, near ? "; did you mean " : "", near ? near : "",
	                      near ? "?" : "");
}

static int take_option(struct command *command, int option, struct nova_error *error)
{
	struct nova_samples_request *request = &command->request;

	switch (option) {
	case OPTION_EFFECT:
		return read_share("effect", optarg, MOST_EFFECT, &request->effect, error);
	case OPTION_CV: return read_share("cv", optarg, MOST_EFFECT, &request->cv, error);
	case OPTION_ALPHA: return read_share("alpha", optarg, 1, &request->alpha, error);
	case OPTION_POWER: return read_share("power", optarg, 1, &request->power, error);
	case OPTION_RHO: return read_rho(optarg, &request->rho, error);
	case OPTION_PER_VM: return read_duration(optarg, &request->per_vm_ns, error);
	case OPTION_CONCURRENCY: return read_concurrency(optarg, &request->at_once, error);
	case OPTION_FORMAT: return read_format(optarg, &command->json, error);
	case OPTION_PAIRED: request->paired = true; return 0;
	case OPTION_METRIC: request->query.metric = optarg; return 0;
	case OPTION_BENCHMARK: request->query.benchmark = optarg; return 0;
	case OPTION_PLUGIN: request->query.plugin = optarg; return 0;
	default: command->config = optarg; return 0;
	}
}

static int check_options(struct nova_samples_request *request, const char *argument,
                         struct nova_error *error)
{
	const struct nova_earlier_query *query = &request->query;
	const char *wrong = NULL;

	if (argument)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "plan-samples takes options only, no \"%s\"; --help has "
		                      "examples",
		                      argument);
	if (isnan(request->effect))
		wrong = "--effect is missing: the difference that must not be missed, such as "
		        "--effect 3%";
	else if (isnan(request->cv) == !query->metric)
		wrong = "say how the values vary by one of --cv SHARE and --metric NAME";
	else if (!isnan(request->rho) && !request->paired)
		wrong = "--rho is the correlation within a pair: it needs --paired";
	else if (query->plugin && !query->benchmark && !query->metric)
		wrong = "--plugin chooses among the runs of a --benchmark or --metric: name one";
	if (isnan(request->rho))
		request->rho = 0;
	return wrong ? nova_error_set(error, NOVA_E_INVALID, "%s", wrong) : 0;
}

/* The store is opened only if it is asked: the figures alone need none. */
static int make_plan(struct command *command, struct nova_error *error)
{
	const struct nova_earlier_query *query = &command->request.query;
	struct nova_settings settings = {0};
	struct nova_store *store = NULL;
	const char *path = NULL;
	int code = 0;

	if (query->benchmark || query->metric || command->config)
		code = nova_settings_load(NULL, command->config, NULL, 0, &settings, error);
	if (!code && (query->benchmark || query->metric)) {
		if (nova_config_has(settings.config, "store.path"))
			path = nova_config_text(settings.config, "store.path", 0);
		code = nova_store_open(path, &store, error);
	}
	if (!code)
		code = nova_samples_make(store, &command->request, &command->plan, error);
	nova_store_close(store);
	nova_settings_free(&settings);
	return code;
}

/* --- JSON ------------------------------------------------------------------------------------ */

static json_t *earlier_json(const struct nova_earlier *earlier)
{
	char started[32];

	if (!earlier->run[0])
		return json_null();
	nova_utc_format(earlier->started_utc_ns, started);
	return json_pack("{ss ss ss ss sb sf sI}", "run", earlier->run, "started", started,
	                 "benchmark", earlier->benchmark, "plugin", earlier->plugin, "simulated",
	                 earlier->simulated, "replicate_s", (double)earlier->replicate_ns / 1e9,
	                 "at_once", (json_int_t)earlier->at_once);
}

static json_t *variation_json(const struct command *command)
{
	const struct nova_samples_plan *plan = &command->plan;
	json_t *interval =
	        isnan(plan->cv_high) ? json_null() : json_pack("[ff]", plan->cv_low, plan->cv_high);

	if (!command->request.query.metric) {
		json_decref(interval);
		return json_pack("{sf sn sn sn sn sn}", "value", plan->cv, "metric", "n", "failed",
		                 "interval", "interval_why");
	}
	return json_pack("{sf ss sI sI so ss?}", "value", plan->cv, "metric",
	                 command->request.query.metric, "n", (json_int_t)plan->earlier.count,
	                 "failed", (json_int_t)plan->earlier.failed, "interval", interval,
	                 "interval_why", plan->cv_why[0] ? plan->cv_why : NULL);
}

static void print_json(const struct command *command)
{
	const struct nova_samples_request *request = &command->request;
	const struct nova_samples_plan *plan = &command->plan;
	json_t *least = json_pack("{sI sI sI}", "median_interval", (json_int_t)plan->least_median,
	                          "p95_bound", (json_int_t)plan->least_p95, "p99_bound",
	                          (json_int_t)plan->least_p99);
	NOVA_AUTOJSON json_t *document = json_pack(
	        "{ss sf so sf sf sb so sI so sI sI so sf so so}", "schema",
	        "novacore.plan-samples/1", "effect", request->effect, "cv", variation_json(command),
	        "alpha", request->alpha, "power", request->power, "paired", request->paired, "rho",
	        request->paired ? json_real(request->rho) : json_null(), "vms_a_side",
	        (json_int_t)plan->count, "vms_a_side_at_cv_high",
	        plan->count_high ? json_integer((json_int_t)plan->count_high) : json_null(), "vms",
	        (json_int_t)(2 * plan->count), "at_once", (json_int_t)plan->at_once, "time_s",
	        plan->time_ns > 0 ? json_real(plan->time_ns / 1e9) : json_null(), "level",
	        plan->level, "least", least, "earlier", earlier_json(&plan->earlier));

	json_dumpf(document, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
	putchar('\n');
}

/* --- table ----------------------------------------------------------------------------------- */

static void print_time(const struct command *command)
{
	const struct nova_samples_plan *plan = &command->plan;
	char total[32], each[32];

	if (!(plan->time_ns > 0)) {
		puts("  time        not known; say --per-vm 15s, or --benchmark NAME for that of "
		     "its "
		     "newest run");
		return;
	}
	nova_value_format(plan->time_ns / 1e9, NOVA_UNIT_SECOND, total);
	nova_value_format(plan->each_ns / 1e9, NOVA_UNIT_SECOND, each);
	printf("  time        %s (%u at once, %s each, %s)\n", total, (unsigned)plan->at_once, each,
	       command->request.per_vm_ns > 0 ? "as given" : "as in the run below");
}

static void print_variation(const struct nova_samples_plan *plan, const char *metric)
{
	bool interval = !plan->cv_why[0];

	printf("There %s varies by %.3g%%", metric, plan->cv * 100);
	if (interval)
		printf(" [%.3g%%, %.3g%%] (%g%%, by bootstrap)", plan->cv_low * 100,
		       plan->cv_high * 100, plan->level * 100);
	printf(", n = %zu", plan->earlier.count);
	if (plan->earlier.failed)
		printf("; %zu failed and are not in it", plan->earlier.failed);
	if (interval)
		printf(".\nAt the upper end of that interval it takes %zu VMs a side.\n",
		       plan->count_high);
	else
		printf("; no interval: %s.\n", plan->cv_why);
}

static void print_earlier(const struct command *command)
{
	const struct nova_earlier *earlier = &command->plan.earlier;
	char started[32];

	if (!earlier->run[0])
		return;
	nova_utc_format(earlier->started_utc_ns, started);
	printf("\nThe run: %s of %s, %s on %s%s.\n", earlier->run, started, earlier->benchmark,
	       earlier->plugin[0] ? earlier->plugin : "this host",
	       earlier->simulated ? " (simulated: no measurement)" : "");
	if (command->request.query.metric)
		print_variation(&command->plan, command->request.query.metric);
}

static void print_table(const struct command *command)
{
	const struct nova_samples_request *request = &command->request;
	const struct nova_samples_plan *plan = &command->plan;

	printf("To find a difference of %.3g%% where values vary by %.3g%% (error %.3g%%, power "
	       "%.3g%%%s):\n",
	       request->effect * 100, plan->cv * 100, request->alpha * 100, request->power * 100,
	       request->paired ? ", in pairs" : "");
	printf("  VMs a side  %zu%s\n", plan->count, request->paired ? " (one a pair)" : "");
	printf("  VMs in all  %zu\n", 2 * plan->count);
	print_time(command);
	printf("\nLeast for an interval of the median: %zu; for a bound of p95: %zu, of p99: %zu "
	       "(at %g%%).\n",
	       plan->least_median, plan->least_p95, plan->least_p99, plan->level * 100);
	print_earlier(command);
}

int nova_command_plan_samples(int argc, char **argv)
{
	struct command command = {
	        .request = {.effect = NAN, .cv = NAN, .rho = NAN, .alpha = 0.05, .power = 0.9}};
	struct nova_error error = {0};
	int option, code = 0;

	optind = 0;
	opterr = 0;
	while (!code && (option = getopt_long(argc, argv, ":", options, NULL)) >= 0) {
		if (option >= OPTION_EFFECT && option <= OPTION_CONFIG) {
			code = take_option(&command, option, &error);
			continue;
		}
		int exit_code = nova_common_option(option, argv, options, help);

		if (exit_code >= 0)
			return exit_code;
	}
	if (!code)
		code = check_options(&command.request, argv[optind], &error);
	if (!code)
		code = make_plan(&command, &error);
	if (!code && command.json)
		print_json(&command);
	else if (!code)
		print_table(&command);
	nova_samples_clear(&command.plan);
	return code ? nova_complain(&error) : 0;
}
