/* SPDX-License-Identifier: MIT */
/* novacore compare: how two runs, baselines or result files differ, metric by metric. */
#include "core/cli/confirm.h"
#include "core/cli/judging.h"
#include "core/cli/progress.h"
#include "core/cli/sequential.h"

#include "core/report/report.h"
#include "core/run/run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
        "usage: novacore compare A B [OPTION]…\n"
        "\n"
        "Says of each metric how much B differs from A, with an interval, a p-value, and a "
        "verdict: "
        "same,\n"
        "regressed, improved or inconclusive. A and B are each a run (an id, the beginning of one, "
        "or\n"
        "\"last\"), the name of a baseline, or a file that novacore results export wrote. What "
        "differed\n"
        "between them (kernel, hypervisor, parameters) is printed; different hosts, guests or VM "
        "shapes\n"
        "are not compared.\n"
        "\n"
        "examples:\n"
        "  novacore compare default last\n"
        "  novacore compare before.json after.json --metric lifecycle.start.ready\n"
        "  novacore compare default last --minimum-effect 5% --format csv\n"
        "  novacore compare default last --confirm   run both again, interleaved\n"
        "\n"
        "  --metric NAME         only this metric\n"
        "  --level LEVEL         of the intervals (default: run.level, 0.95)\n"
        "  --minimum-effect SHARE\n"
        "                        least change that counts, such as 5% or 0.05, of every metric\n"
        "                        (default: regression.metrics, else regression.minimum_effect)\n"
        "  --force               also what was measured under different circumstances; marked\n"
        "  --fail-on regression  exit 1 if something regressed\n"
        "  --confirm             a fresh A/B of the two runs (of baselines, their newest), with\n"
        "                        the settings they had, on this host, in pairs, until it is\n"
        "                        decided: of --metric, or of what changed most\n"
        "  --max-pairs N         with --confirm: stop undecided after so many (default 200)\n"
        "  --alpha P             with --confirm: how often it may find a difference where there\n"
        "                        is none (0.05)\n"
        "  --full                with --confirm: do not stop when run.budget is spent\n"
        "  --seed N              with --confirm: of the order and of simulations\n"
        "  --format FORMAT       table (default), json, csv\n"
        "  --output FILE         instead of standard output; appears only when complete\n"
        "  --config FILE         a configuration file over the system's and "
        "yours\n" NOVA_COMMON_HELP "\n"
        "Exit codes: 0 fine, 1 something regressed (--fail-on) and was not cleared by --confirm, "
        "2 wrong\n"
        "usage, 5 refused: not measured under the same circumstances; with --confirm also as "
        "those of ab.\n";

enum {
	OPTION_METRIC = 1,
	OPTION_LEVEL,
	OPTION_EFFECT,
	OPTION_FORCE,
	OPTION_FAIL_ON,
	OPTION_CONFIRM,
	OPTION_PAIRS,
	OPTION_ALPHA,
	OPTION_FULL,
	OPTION_SEED,
	OPTION_FORMAT,
	OPTION_OUTPUT,
	OPTION_CONFIG
};

static const struct option options[] = {{"metric", required_argument, NULL, OPTION_METRIC},
                                        {"level", required_argument, NULL, OPTION_LEVEL},
                                        {"minimum-effect", required_argument, NULL, OPTION_EFFECT},
                                        {"force", no_argument, NULL, OPTION_FORCE},
                                        {"fail-on", required_argument, NULL, OPTION_FAIL_ON},
                                        {"confirm", no_argument, NULL, OPTION_CONFIRM},
                                        {"max-pairs", required_argument, NULL, OPTION_PAIRS},
                                        {"alpha", required_argument, NULL, OPTION_ALPHA},
                                        {"full", no_argument, NULL, OPTION_FULL},
                                        {"seed", required_argument, NULL, OPTION_SEED},
                                        {"format", required_argument, NULL, OPTION_FORMAT},
                                        {"output", required_argument, NULL, OPTION_OUTPUT},
                                        {"config", required_argument, NULL, OPTION_CONFIG},
                                        NOVA_COMMON_OPTIONS,
                                        {NULL, 0, NULL, 0}};

/* One of the two, once it is found. */
struct side {
	const char *word;
	bool file;
	json_t *results; /* array, oldest first */
	struct nova_contestant contestant;
};

struct command {
	const char *metric, *format, *output, *config;
	double level, effect; /* 0: as configured */
	bool force, fail;
	bool confirm;
	struct confirm again;     /* how */
	const char *only_confirm; /* an option that is nothing without it, or NULL */
	struct side a, b;
	struct judging judging;
};

/* --- what A and B are ------------------------------------------------------------------------ */

static bool looks_like_file(const char *word)
{
	size_t length = strlen(word);

	return !strcmp(word, "-") || strchr(word, '/') ||
	       (length > 5 && !strcmp(word + length - 5, ".json"));
}

static int read_file(struct side *side, struct nova_error *error)
{
	json_t *result = nova_document_read(side->word, error);

	if (!result)
		return error->code;
	if (nova_report_check(result, error)) {
		json_decref(result);
		return nova_error_prefix(error, "%s", side->word);
	}
	side->file = true;
	side->results = json_array();
	json_array_append_new(side->results, result);
	return 0;
}

static int read_run(struct command *command, struct side *side, struct nova_error *error)
{
	json_t *result = NULL;
	int code = nova_result_measure(command->judging.store, side->word, &result, error);

	if (code)
		return code;
	side->results = json_array();
	json_array_append_new(side->results, result);
	side->word = nova_json_text(json_object_get(result, "run"), "id");
	return 0;
}

/* `where` of the other side, if that is known already: the baseline that fits it. */
static int read_baseline(struct command *command, struct side *side, const char *where,
                         struct nova_error *error)
{
	struct nova_baseline_record found;
	int code = nova_baseline_find(command->judging.store, side->word, where, &found, error);

	if (code && where) /* another where: then the comparison says what differs */
		code = nova_baseline_find(command->judging.store, side->word, NULL, &found, error);
	if (!code)
		code = nova_baseline_results(command->judging.store, &found, &side->results, error);
	json_decref(found.runs);
	return code;
}

static bool is_baseline(const struct command *command, const char *word)
{
	struct nova_baseline_record found = {0};
	struct nova_error ignored = {0};
	int code = nova_baseline_find(command->judging.store, word, NULL, &found, &ignored);

	json_decref(found.runs);
	return code != NOVA_E_NOT_FOUND;
}

/* A file or a run. NOVA_E_NOT_FOUND without text: a baseline's name, to be read later. */
static int read_plain(struct command *command, struct side *side, struct nova_error *error)
{
	int code;

	if (looks_like_file(side->word))
		return read_file(side, error);
	code = read_run(command, side, error);
	if (!code)
		return 0;
	if (is_baseline(command, side->word)) {
		memset(error, 0, sizeof(*error));
		return NOVA_E_NOT_FOUND;
	}
	if (!access(side->word, R_OK))
		return read_file(side, error);
	if (!nova_name_valid(side->word) ||
	    strspn(side->word, "0123456789abcdef-") == strlen(side->word))
		return code;
	return nova_error_set(error, NOVA_E_NOT_FOUND,
	                      "\"%.80s\" is no run, no baseline and no file; novacore results list "
	                      "and novacore baseline list show what there is",
	                      side->word);
}

static void take_results(struct side *side)
{
	size_t count = json_array_size(side->results);
	const json_t **results = nova_alloc((count + 1) * sizeof(*results));

	for (size_t i = 0; i < count; i++)
		results[i] = json_array_get(side->results, i);
	side->contestant = (struct nova_contestant){side->word, results, count};
}

static int read_later(struct command *command, struct side *side, const struct side *other,
                      struct nova_error *error)
{
	NOVA_AUTOJSON json_t *facts = NULL;
	char where[65];

	if (side->results)
		return 0;
	if (!other->results)
		return read_baseline(command, side, NULL, error);
	facts = nova_where_of_run(json_array_get(other->results, 0));
	nova_facts_hash(facts, where);
	return read_baseline(command, side, where, error);
}

/* Files and runs first: a baseline's name is that of the where of the other. */
static int read_sides(struct command *command, struct nova_error *error)
{
	struct side *sides[] = {&command->a, &command->b};
	int code = 0;

	for (size_t i = 0; i < 2; i++) {
		code = read_plain(command, sides[i], error);
		if (code && (code != NOVA_E_NOT_FOUND || error->code))
			return code;
	}
	for (size_t i = 0; i < 2; i++) {
		code = read_later(command, sides[i], sides[1 - i], error);
		if (code)
			return code;
		take_results(sides[i]);
	}
	return 0;
}

/* --- comparing ------------------------------------------------------------------------------- */

/* What a fresh A/B says not to have, has not; what only that has found, has. */
static bool regressed(const json_t *comparison)
{
	const json_t *confirmation = json_object_get(comparison, "confirmation");
	bool found = !strcmp(nova_json_text(confirmation, "verdict"), "regressed");
	size_t i;
	json_t *row;

	json_array_foreach(json_object_get(comparison, "metrics"), i, row)
	{
		if (!strcmp(nova_json_text(row, "verdict"), "regressed") &&
		    !confirm_clears(comparison, i))
			found = true;
	}
	return found;
}

static int check_confirm(const struct command *command, struct nova_error *error)
{
	if (!command->confirm && command->only_confirm)
		return nova_error_set(error, NOVA_E_INVALID, "%s goes with --confirm",
		                      command->only_confirm);
	if (command->confirm && !strcmp(command->format, "csv"))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "--confirm prints --format table or json: in CSV there is no "
		                      "place for what it saw");
	return 0;
}

static int refuse_file(const struct side *side, struct nova_error *error)
{
	return nova_error_set(
	        error, NOVA_E_INVALID,
	        "--confirm runs both again, and %s is a file, which does not tell how "
	        "it was planned; name runs or baselines of this installation",
	        strcmp(side->word, "-") ? side->word : "standard input");
}

static int confirm_it(struct command *command, json_t *comparison, int *exit_code,
                      struct nova_error *error)
{
	struct confirm *again = &command->again;

	if (command->a.file || command->b.file)
		return refuse_file(command->a.file ? &command->a : &command->b, error);
	again->store = command->judging.store;
	again->comparison = comparison;
	again->a = &command->a.contestant;
	again->b = &command->b.contestant;
	again->effect = command->effect;
	again->force = command->force;
	return confirm(again, exit_code, error);
}

static int check_metric(const struct command *command, const json_t *comparison,
                        struct nova_error *error)
{
	if (!command->metric || json_array_size(json_object_get(comparison, "metrics")) ||
	    json_array_size(json_object_get(comparison, "unmatched")))
		return 0;
	return nova_error_set(error, NOVA_E_NOT_FOUND,
	                      "neither of them has measured \"%.96s\"; without --metric all are "
	                      "shown",
	                      command->metric);
}

static int compare(struct command *command, int *exit_code, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *comparison = NULL;
	int code = judging_check_format("compare", command->format, judging_formats, error);

	if (!code)
		code = check_confirm(command, error);
	if (!code)
		code = judging_open(command->config, &command->judging, error);
	if (!code)
		code = read_sides(command, error);
	if (code)
		return code;
	if (command->level > 0)
		command->judging.by.level = command->level;
	if (command->effect > 0) {
		command->judging.by.minimum_effect = command->effect;
		command->judging.by.metrics = NULL;
	}
	code = nova_compare(&command->a.contestant, &command->b.contestant, &command->judging.by,
	                    command->metric, command->force, &comparison, error);
	if (!code)
		code = check_metric(command, comparison, error);
	if (!code && command->confirm)
		code = confirm_it(command, comparison, exit_code, error);
	if (!code)
		code = judging_deliver(comparison, command->format, command->output,
		                       nova_report_comparison, error);
	if (!code && command->fail && regressed(comparison))
		*exit_code = nova_more_urgent(*exit_code, 1);
	return code;
}

/* --- the command ----------------------------------------------------------------------------- */

static int usage(const char *text)
{
	fprintf(stderr, "novacore: %s\n", text);
	return 2;
}

static int parse_level(const char *text, double *level)
{
	size_t digits = strspn(text, "0123456789.");

	*level = digits && !text[digits] ? strtod(text, NULL) : 0;
	if (*level >= 0.5 && *level <= 0.999)
		return -1;
	return usage("--level wants a share from 0.5 to 0.999, such as 0.95");
}

static int take_confirm(struct command *command, int option)
{
	static const char *const names[] = {[OPTION_PAIRS] = "--max-pairs",
	                                    [OPTION_ALPHA] = "--alpha",
	                                    [OPTION_FULL] = "--full",
	                                    [OPTION_SEED] = "--seed"};

	if (option == OPTION_CONFIRM) {
		command->confirm = true;
		return -1;
	}
	command->only_confirm = names[option];
	switch (option) {
	case OPTION_PAIRS: return sequential_parse_pairs(optarg, &command->again.pairs);
	case OPTION_ALPHA: return sequential_parse_alpha(optarg, &command->again.alpha);
	case OPTION_SEED: return sequential_parse_seed(optarg, &command->again.seed);
	default: command->again.full = true; return -1;
	}
}

static int take_option(struct command *command, int option, char **argv)
{
	switch (option) {
	case OPTION_CONFIRM:
	case OPTION_PAIRS:
	case OPTION_ALPHA:
	case OPTION_FULL:
	case OPTION_SEED: return take_confirm(command, option);
	case NOVA_OPTION_QUIET:
		command->again.quiet = true;
		return nova_common_option(option, argv, options, help);
	case OPTION_METRIC: command->metric = optarg; return -1;
	case OPTION_LEVEL: return parse_level(optarg, &command->level);
	case OPTION_EFFECT:
		if (nova_effect_parse(optarg, &command->effect))
			return usage("--minimum-effect wants a share above 0, such as 5% or 0.05");
		return -1;
	case OPTION_FORCE: command->force = true; return -1;
	case OPTION_FAIL_ON:
		if (strcmp(optarg, "regression") != 0)
			return usage("--fail-on takes regression: a comparison has no goals");
		command->fail = true;
		return -1;
	case OPTION_FORMAT: command->format = optarg; return -1;
	case OPTION_OUTPUT: command->output = optarg; return -1;
	case OPTION_CONFIG: command->config = optarg; return -1;
	default: return nova_common_option(option, argv, options, help);
	}
}

static int parse(struct command *command, int argc, char **argv)
{
	int option, code = -1;

	optind = 0;
	opterr = 0;
	while (code < 0 && (option = getopt_long(argc, argv, ":", options, NULL)) >= 0)
		code = take_option(command, option, argv);
	if (code >= 0)
		return code;
	if (argc - optind != 2)
		return usage("compare takes two: A and B, each a run, a baseline or a file; --help "
		             "has examples");
	command->a.word = argv[optind];
	command->b.word = argv[optind + 1];
	if (!strcmp(command->a.word, "-") && !strcmp(command->b.word, "-"))
		return usage("standard input can be A or B, not both");
	return -1;
}

int nova_command_compare(int argc, char **argv)
{
	struct command command = {.format = "table",
	                          .again = {.alpha = SEQUENTIAL_ALPHA,
	                                    .pairs = SEQUENTIAL_PAIRS,
	                                    .seed = sequential_seed()}};
	struct nova_error error = {0};
	int exit_code = 0, code = parse(&command, argc, argv);

	if (code >= 0)
		return code;
	code = compare(&command, &exit_code, &error);
	free((void *)(uintptr_t)command.a.contestant.results);
	free((void *)(uintptr_t)command.b.contestant.results);
	json_decref(command.a.results);
	json_decref(command.b.results);
	judging_close(&command.judging);
	return code ? nova_complain(&error) : exit_code;
}
