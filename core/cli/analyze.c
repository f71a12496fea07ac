/* SPDX-License-Identifier: MIT */
/* novacore analyze: where the level of any series changes, judged as novacore's own are. */
#include "core/cli/cli.h"
#include "core/cli/series.h"

#include "core/stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
        "usage: novacore analyze FILE|- [--column NAME] [--sensitivity low|default|high]\n"
        "                        [--min-effect 5%] [--format table|json] [--output FILE]\n"
        "\n"
        "Finds where the level of a series changes, as novacore judges its own: noise, spikes and\n"
        "autocorrelation are no change, and looking again after every new point is allowed for.\n"
        "FILE is CSV with a header: a time or an index, and a value (- is standard input).\n"
        "\n"
        "examples:\n"
        "  novacore analyze requests.csv\n"
        "  novacore analyze requests.csv --column p99 --min-effect 5%\n"
        "  novacore analyze - --format json <requests.csv | jq '.change_points[].time'\n"
        "\n"
        "  --column NAME         the column of values; needed if there are more than two and none\n"
        "                        is called value. The first of several columns is the time\n"
        "  --sensitivity low|default|high\n"
        "                        how often a series without a change may be said to have one, "
        "over\n"
        "                        all looks at up to 100 points: 0.1 %, 1 % or 5 %\n"
        "  --min-effect SHARE    leave out changes by less (5%, or 0.05)\n"
        "  --format FORMAT       table (default) or json (novacore.analysis/1)\n"
        "  --output FILE         instead of standard output; appears only when "
        "complete\n" NOVA_COMMON_HELP "\n"
        "Empty cells (also NaN, NA, null, -) are gaps: said, and left out. Anything else that is "
        "no\n"
        "number is refused with its line. Fewer than 20 values have no change that could be "
        "told.\n";

/* Autocorrelation and trend are told of series up to so many values. */
#define DESCRIBED 10000
/* Of the rows of gaps, in notes. */
#define GAPS_SHOWN 8
#define LEVEL      0.95
#define LEAST_P    1e-6 /* stats.h: p is no less */

enum { OPTION_COLUMN = 1, OPTION_SENSITIVITY, OPTION_MIN_EFFECT, OPTION_FORMAT, OPTION_OUTPUT };

static const struct option options[] = {
        {"column", required_argument, NULL, OPTION_COLUMN},
        {"sensitivity", required_argument, NULL, OPTION_SENSITIVITY},
        {"min-effect", required_argument, NULL, OPTION_MIN_EFFECT},
        {"format", required_argument, NULL, OPTION_FORMAT},
        {"output", required_argument, NULL, OPTION_OUTPUT},
        NOVA_COMMON_OPTIONS,
        {NULL, 0, NULL, 0}};

/* In the order of enum nova_sensitivity. */
static const char *const sensitivities[] = {"low", "default", "high", NULL};
static const double false_alarms[] = {0.001, 0.01, 0.05};
static const char *const formats[] = {"table", "json", NULL};

struct command {
	const char *file, *column, *sensitivity, *minimum, *format, *output;
	struct nova_change_options options;
	struct nova_series series;
	struct nova_change_point *changes;
	size_t change_count;
};

/* --- the document ----------------------------------------------------------------------------- */

static json_t *real_or_null(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *time_of(const struct nova_series *series, const char *text)
{
	double number = NAN;

	if (!text)
		return json_null();
	if (series->time_is_number && nova_series_number(text, &number))
		return fabs(number) < 0x1p53 && number == floor(number)
		               ? json_integer((json_int_t)number)
		               : json_real(number);
	NOVA_AUTOFREE char *copy = nova_strdup(text);
	nova_utf8_repair(copy);
	return json_string(copy);
}

static json_t *describe_changes(const struct command *command)
{
	size_t count = command->change_count;
	NOVA_AUTOFREE size_t *rows = nova_alloc((count + 1) * sizeof(*rows));
	NOVA_AUTOFREE const char **times = nova_alloc((count + 1) * sizeof(*times));
	json_t *all = json_array();

	for (size_t i = 0; i < count; i++)
		rows[i] = nova_series_row(&command->series, command->changes[i].index);
	nova_series_times(&command->series, rows, count, times);
	for (size_t i = 0; i < count; i++) {
		const struct nova_change_point *change = &command->changes[i];

		json_array_append_new(
		        all,
		        json_pack("{sI so sf sf so sf sI sI}", "index", (json_int_t)rows[i], "time",
		                  time_of(&command->series, times[i]), "before", change->before,
		                  "after", change->after, "shift", real_or_null(change->shift), "p",
		                  change->p, "low",
		                  (json_int_t)nova_series_row(&command->series, change->low),
		                  "high",
		                  (json_int_t)nova_series_row(&command->series, change->high)));
	}
	return all;
}

/* Values less the level that they belong to. */
static double *about_levels(const struct command *command)
{
	const struct nova_series *series = &command->series;
	double *rest = nova_alloc((series->count + 1) * sizeof(*rest));
	double level = 0;

	for (size_t i = 0, next = 0; i < series->count; i++) {
		if (!i && command->change_count)
			level = command->changes[0].before;
		if (next < command->change_count && command->changes[next].index == i)
			level = command->changes[next++].after;
		rest[i] = series->values[i] - level;
	}
	return rest;
}

/* Of the noise: what is left when the levels are taken away. */
static json_t *describe_autocorrelation(const struct command *command)
{
	NOVA_AUTOFREE double *rest = NULL;

	if (command->series.count < 4 || command->series.count > DESCRIBED)
		return json_null();
	rest = about_levels(command);
	return json_real(nova_stats_rank_autocorrelation(rest, command->series.count));
}

static json_t *describe_trend(const struct command *command)
{
	const struct nova_series *series = &command->series;
	struct nova_effect slope;
	double p;

	if (series->count < NOVA_STATS_CHANGES_NEED || series->count > DESCRIBED)
		return json_null();
	nova_stats_theil_sen(NULL, series->values, series->count, LEVEL, &slope);
	p = nova_stats_mann_kendall(series->values, series->count, NULL);
	return json_pack("{so so sf}", "slope", real_or_null(slope.value), "interval",
	                 slope.available ? json_pack("[ff]", slope.low, slope.high) : json_null(),
	                 "p", p);
}

static void add_note(json_t *notes, const char *format, ...) NOVA_PRINTF(2, 3);
static void add_note(json_t *notes, const char *format, ...)
{
	NOVA_AUTOFREE char *text = NULL;
	va_list list;

	va_start(list, format);
	if (vasprintf(&text, format, list) >= 0)
		json_array_append_new(notes, json_string(text));
	va_end(list);
}

static void note_gaps(const struct nova_series *series, json_t *notes)
{
	NOVA_AUTOTEXT struct nova_text rows = {0};

	if (!series->gap_count)
		return;
	for (size_t i = 0; i < series->gap_count && i < GAPS_SHOWN; i++)
		nova_text_addf(&rows, "%s%zu", i ? ", " : "", series->gaps[i]);
	add_note(notes,
	         "%zu of %zu rows have no value (index %s%s): they are left out, as if their "
	         "neighbours followed each other",
	         series->gap_count, series->rows, nova_text_get(&rows),
	         series->gap_count > GAPS_SHOWN ? " …" : "");
}

static bool all_equal(const struct nova_series *series)
{
	for (size_t i = 1; i < series->count; i++)
		if (series->values[i] != series->values[0])
			return false;
	return true;
}

/* At least three changes, all up or all down. */
static bool one_way(const struct command *command)
{
	size_t up = 0;

	for (size_t i = 0; i < command->change_count; i++)
		up += command->changes[i].after > command->changes[i].before;
	return command->change_count >= 3 && (up == 0 || up == command->change_count);
}

static json_t *describe_notes(const struct command *command, const json_t *trend)
{
	const struct nova_series *series = &command->series;
	json_t *notes = json_array();

	note_gaps(series, notes);
	if (series->count < NOVA_STATS_CHANGES_NEED)
		add_note(notes, "n too small (%zu < %d): no change could be told from noise",
		         series->count, NOVA_STATS_CHANGES_NEED);
	else if (all_equal(series))
		add_note(notes, "all values are equal");
	if (series->time_falls)
		add_note(notes,
		         "the times in column %s do not rise; rows are taken in the order of "
		         "the file",
		         series->time_column);
	if (json_number_value(json_object_get(trend, "p")) < 1 - LEVEL && one_way(command))
		add_note(notes,
		         "all changes go the same way: a steady trend is reported like this");
	if (series->count > NOVA_STATS_CHANGES_BLOCKED)
		add_note(
		        notes,
		        "more than %d values: changes are looked for among medians of blocks, then "
		        "located among the values",
		        NOVA_STATS_CHANGES_BLOCKED);
	return notes;
}

static json_t *describe(const struct command *command)
{
	const struct nova_series *series = &command->series;
	json_t *trend = describe_trend(command), *notes = describe_notes(command, trend);
	size_t level = (size_t)command->options.sensitivity - 1;

	return json_pack("{ss sI so ss ss* sI sI ss sf sf so so so}", "schema",
	                 "novacore.analysis/1", "n", (json_int_t)series->count, "change_points",
	                 describe_changes(command), "column", series->column, "time_column",
	                 series->time_column, "rows", (json_int_t)series->rows, "gaps",
	                 (json_int_t)series->gap_count, "sensitivity", sensitivities[level],
	                 "false_alarms", false_alarms[level], "minimum_effect",
	                 command->options.minimum_effect, "autocorrelation",
	                 describe_autocorrelation(command), "trend", trend, "notes", notes);
}

/* --- the table -------------------------------------------------------------------------------- */

static void format_share(double share, char out[32])
{
	if (isfinite(share))
		snprintf(out, 32, "%+.3g %%", 100 * share);
	else
		strcpy(out, "–");
}

static void print_row(FILE *out, const char *const cells[7], const int widths[7])
{
	for (int i = 0; i < 7; i++) {
		int blanks = widths[i] - (int)nova_columns(cells[i]);

		fprintf(out, "%s%s%*s", i ? "  " : "", cells[i], i < 6 && blanks > 0 ? blanks : 0,
		        "");
	}
	fputc('\n', out);
}

/* A time as it stands in the file. */
static char *time_text(const json_t *time)
{
	char *text = json_is_string(time)    ? nova_strdup(json_string_value(time))
	             : json_is_integer(time) ? nova_format("%lld", json_integer_value(time))
	             : json_is_real(time)    ? nova_format("%.15g", json_real_value(time))
	                                     : nova_strdup("–");

	nova_text_clean(text);
	return text;
}

/* Prints the row if `widths` are known, else widens them. */
static void change_row(FILE *out, const json_t *change, int widths[7], bool print)
{
	NOVA_AUTOFREE char *time = time_text(json_object_get(change, "time"));
	char index[32], before[32], after[32], shift[32], p[32], range[48];
	const char *const cells[7] = {index, time, before, after, shift, p, range};
	const json_t *share = json_object_get(change, "shift");
	double chance;

	snprintf(index, sizeof(index), "%lld",
	         json_integer_value(json_object_get(change, "index")));
	snprintf(before, sizeof(before), "%.6g",
	         json_number_value(json_object_get(change, "before")));
	snprintf(after, sizeof(after), "%.6g", json_number_value(json_object_get(change, "after")));
	format_share(json_is_number(share) ? json_number_value(share) : NAN, shift);
	chance = json_number_value(json_object_get(change, "p"));
	snprintf(p, sizeof(p), "%s%.2g", chance <= LEAST_P ? "≤ " : "", chance);
	snprintf(range, sizeof(range), "%lld … %lld",
	         json_integer_value(json_object_get(change, "low")),
	         json_integer_value(json_object_get(change, "high")));
	if (print)
		print_row(out, cells, widths);
	for (int i = 0; i < 7; i++)
		if ((int)nova_columns(cells[i]) > widths[i])
			widths[i] = (int)nova_columns(cells[i]);
}

static void print_changes(FILE *out, const json_t *changes)
{
	static const char *const titles[7] = {"index", "time", "before",      "after",
	                                      "shift", "p",    "95 % between"};
	int widths[7];
	size_t i;
	json_t *change;

	if (!json_array_size(changes)) {
		fputs("no change\n", out);
		return;
	}
	for (i = 0; i < 7; i++)
		widths[i] = (int)nova_columns(titles[i]);
	json_array_foreach(changes, i, change) change_row(out, change, widths, false);
	print_row(out, titles, widths);
	json_array_foreach(changes, i, change) change_row(out, change, widths, true);
}

static void print_table(FILE *out, const struct command *command, const json_t *document)
{
	const json_t *autocorrelation = json_object_get(document, "autocorrelation");
	NOVA_AUTOFREE char *column = nova_strdup(command->series.column);
	size_t i;
	json_t *note;

	nova_text_clean(column);
	fprintf(out, "%s: n = %zu, sensitivity %s (false alarms ≤ %g %%)", column,
	        command->series.count, nova_json_text(document, "sensitivity"),
	        100 * json_number_value(json_object_get(document, "false_alarms")));
	if (json_is_number(autocorrelation))
		fprintf(out, ", autocorrelation %.2f", json_number_value(autocorrelation));
	fputs("\n\n", out);
	print_changes(out, json_object_get(document, "change_points"));
	json_array_foreach(json_object_get(document, "notes"), i, note)
	{
		NOVA_AUTOFREE char *text = nova_strdup(json_string_value(note));

		nova_text_clean(text);
		fprintf(out, "%snote: %s\n", i ? "" : "\n", text);
	}
}

/* --- the command ------------------------------------------------------------------------------ */

static int write_document(const struct command *command, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *document = describe(command);
	FILE *out = nova_output_open(command->output, error);

	if (!out)
		return error->code;
	if (!strcmp(command->format, "table")) {
		print_table(out, command, document);
	} else {
		json_dumpf(document, out, JSON_INDENT(1));
		fputc('\n', out);
	}
	return nova_output_close(out, command->output, error);
}

static int read_series(struct command *command, struct nova_error *error)
{
	bool standard = !strcmp(command->file, "-");
	FILE *file = standard ? stdin : fopen(command->file, "re");
	int code;

	if (!file)
		return nova_error_errno(error, "cannot read %s", command->file);
	code = nova_series_read(file, standard ? "standard input" : command->file, command->column,
	                        &command->series, error);
	if (!standard)
		fclose(file);
	return code;
}

static void find_changes(struct command *command)
{
	size_t room = 64, found;

	do {
		room *= 2;
		command->changes = nova_realloc(command->changes, room * sizeof(*command->changes));
		found = nova_stats_changes(command->series.values, command->series.count,
		                           &command->options, command->changes, room);
	} while (found > room && (room = found / 2 + 1));
	command->change_count = found;
}

static int choose(const char *what, const char *word, const char *const *words, size_t *index,
                  struct nova_error *error)
{
	const char *near;

	for (*index = 0; words[*index]; ++*index)
		if (!strcmp(words[*index], word))
			return 0;
	near = nova_nearest(word, words);
	return nova_error_set(error, NOVA_E_INVALID,
	                      "analyze has no %s \"%s\"%s%s%s; it has %s%s%s%s%s", what, word,
	                      near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "",
	                      words[0], words[2] ? ", " : " and ", words[1],
	                      words[2] ? " and " : "", words[2] ? words[2] : "");
}

/* "5%" or "0.05", at least 0 and at most a thousandfold. */
static int parse_share(const char *text, double *share, struct nova_error *error)
{
	size_t length = strlen(text);
	bool percent = length && text[length - 1] == '%';
	NOVA_AUTOFREE char *number = nova_format("%.*s", (int)(length - percent), text);

	if (!nova_series_number(number, share) || !(*share >= 0) ||
	    !((*share /= percent ? 100 : 1) <= 1000))
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "--min-effect %s: a share of the level before is wanted, from 0 "
		        "to 1000, such as 5%% or 0.05",
		        text);
	return 0;
}

static int check(struct command *command, struct nova_error *error)
{
	size_t index;
	int code = choose("format", command->format, formats, &index, error);

	if (!code)
		code = choose("sensitivity", command->sensitivity, sensitivities, &index, error);
	command->options.sensitivity = (enum nova_sensitivity)(index + 1);
	if (!code && command->minimum)
		code = parse_share(command->minimum, &command->options.minimum_effect, error);
	return code;
}

static int parse(struct command *command, int argc, char **argv)
{
	int option, code = -1;

	optind = 0;
	opterr = 0;
	while (code < 0 && (option = getopt_long(argc, argv, ":", options, NULL)) >= 0)
		switch (option) {
		case OPTION_COLUMN: command->column = optarg; break;
		case OPTION_SENSITIVITY: command->sensitivity = optarg; break;
		case OPTION_MIN_EFFECT: command->minimum = optarg; break;
		case OPTION_FORMAT: command->format = optarg; break;
		case OPTION_OUTPUT: command->output = optarg; break;
		default: code = nova_common_option(option, argv, options, help); break;
		}
	if (code >= 0)
		return code;
	if (optind + 1 != argc) {
		fprintf(stderr,
		        "novacore: analyze takes one FILE (- is standard input)%s; --help "
		        "explains it\n",
		        optind < argc ? ", not more" : "");
		return 2;
	}
	command->file = argv[optind];
	return -1;
}

int nova_command_analyze(int argc, char **argv)
{
	struct command command = {.format = "table", .sensitivity = "default"};
	struct nova_error error = {0};
	int code = parse(&command, argc, argv);

	if (code >= 0)
		return code;
	code = check(&command, &error);
	if (!code)
		code = read_series(&command, &error);
	if (!code) {
		find_changes(&command);
		code = write_document(&command, &error);
	}
	nova_series_free(&command.series);
	free(command.changes);
	return code ? nova_complain(&error) : 0;
}
