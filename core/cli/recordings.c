/* SPDX-License-Identifier: MIT */
/* novacore recordings: what novacore record keeps; list, show, delete. */
#include "core/cli/recordings.h"
#include "core/cli/recording.h"

#include "core/profiler/profiler.h"
#include "core/report/report.h"
#include "core/store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char help[] =
        "usage: novacore recordings list [--format table|json]\n"
        "       novacore recordings show ID [--format table|json]\n"
        "       novacore recordings delete ID…\n"
        "       novacore recordings delete --older TIME\n"
        "\n"
        "What novacore record has written without --output. Where an ID is taken, a recording's "
        "directory is,\n"
        "too, except by delete.\n"
        "\n"
        "examples:\n"
        "  novacore recordings list\n"
        "  novacore recordings show 20261128-073007-1a2b\n"
        "  novacore recordings delete --older 7d\n"
        "\n"
        "  --older TIME          all that ended longer ago: 7d, 12h\n"
        "  --format FORMAT       table (default) or json\n" NOVA_COMMON_HELP;

enum { OPTION_OLDER = 1, OPTION_FORMAT };

static const struct option options[] = {{"older", required_argument, NULL, OPTION_OLDER},
                                        {"format", required_argument, NULL, OPTION_FORMAT},
                                        NOVA_COMMON_OPTIONS,
                                        {NULL, 0, NULL, 0}};

/* --- for people ---------------------------------------------------------------------------------
 */

static double real_of(const json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}

static long long number_of(const json_t *object, const char *name)
{
	return (long long)json_integer_value(json_object_get(object, name));
}

/* Whose the samples of a VM are. */
static void print_vm(const json_t *vm, FILE *out)
{
	static const struct {
		const char *name, *words;
	} parts[] = {{"guest", "inside of the guest"},   {"vcpu_host", "vCPUs, outside of it"},
	             {"emulator", "emulator"},           {"io_threads", "I/O threads"},
	             {"vhost", "vhost (in the kernel)"}, {"other_threads", "other threads"}};
	const json_t *shares = json_object_get(vm, "shares");
	const char *head = "VM";

	for (size_t i = 0; json_is_object(shares) && i < NOVA_COUNT(parts); i++) {
		const json_t *part = json_object_get(shares, parts[i].name);
		const json_t *interval = json_object_get(part, "interval");

		if (!number_of(part, "samples"))
			continue;
		fprintf(out, "%-10s %.1f %% (%.1f … %.1f) %s\n", head, real_of(part, "share") * 100,
		        json_number_value(json_array_get(interval, 0)) * 100,
		        json_number_value(json_array_get(interval, 1)) * 100, parts[i].words);
		head = "";
	}
}

static bool is_clocked(const char *lane)
{
	return !strcmp(lane, "cpu");
}

int recordings_print_hotspots(const json_t *about, const struct nova_stacks *stacks,
                              struct nova_error *error)
{
	int code = 0;

	for (uint32_t lane = 0; !code && 2 * lane < stacks->type_count; lane++) {
		NOVA_AUTO(nova_stacks_cleanup)
		struct nova_stacks *one = nova_recording_lane(about, stacks, lane);
		const struct nova_hotspots_request request = {
		        .type = one->shown, .threshold = 0.05, .level = 0.95};
		NOVA_AUTOJSON json_t *document = NULL;

		if (!one->count_count)
			continue;
		code = nova_hotspots(one, &request, &document, error);
		if (code)
			break;
		/* what is true of all of them is said once */
		if (2 * lane + 2 < stacks->type_count)
			json_array_clear(json_object_get(document, "notes"));
		putchar('\n');
		code = nova_report_hotspots(document, "table", stdout, error);
	}
	return code;
}

/* "1234 waits that have begun": of what each lane counts. */
static void print_lane(const json_t *about, uint32_t lane, bool alone, FILE *out)
{
	static const struct {
		const char *lane, *what;
	} whats[] = {{"off-cpu", "waits that have begun"},
	             {"lock", "waits for locks"},
	             {"faults", "samples of page faults"},
	             {"allocations", "samples of allocations"}};
	const char *name = nova_recording_lane_name(about, lane);
	const json_t *counted = json_object_get(json_object_get(about, "lanes_counted"), name);
	const json_t *from = counted ? counted : about;

	fprintf(out, "%-10s %lld", alone ? "samples" : name, number_of(from, "samples"));
	for (size_t i = 0; i < NOVA_COUNT(whats); i++)
		if (!strcmp(name, whats[i].lane))
			fprintf(out, " %s", whats[i].what);
	if (is_clocked(name))
		fprintf(out, " at %.0f Hz", real_of(about, "mean_frequency"));
	fprintf(out, ", %lld lost%s\n", number_of(from, "lost"),
	        !number_of(from, "lowered") ? ""
	        : is_clocked(name)          ? "; the frequency was lowered"
	                                    : "; a part of them only, to keep it cheap");
}

static void print_lanes(const json_t *about, FILE *out)
{
	const json_t *missing = json_object_get(about, "missing"), *one;
	uint32_t count = (uint32_t)json_array_size(json_object_get(about, "lanes"));
	size_t i;

	for (uint32_t lane = 0; lane < (count ? count : 1); lane++)
		print_lane(about, lane, count < 2, out);
	json_array_foreach(missing, i, one)
	{
		NOVA_AUTOFREE char *text = nova_format("%s: %s", nova_json_text(one, "what"),
		                                       nova_json_text(one, "why"));

		nova_text_clean(text);
		fprintf(out, "%-10s %s\n", "missing", text);
	}
}

/* Memory over time: what it was first, last and at most. */
static void print_resident(const json_t *about, FILE *out)
{
	const json_t *series = json_object_get(about, "resident"), *point;
	double first = 0, last = 0, peak = 0;
	char texts[3][32];
	size_t i;

	json_array_foreach(series, i, point)
	{
		last = json_number_value(json_array_get(point, 1));
		first = i ? first : last;
		peak = last > peak ? last : peak;
	}
	if (!json_array_size(series))
		return;
	nova_value_format(first, NOVA_UNIT_BYTE, texts[0]);
	nova_value_format(last, NOVA_UNIT_BYTE, texts[1]);
	nova_value_format(peak, NOVA_UNIT_BYTE, texts[2]);
	fprintf(out, "%-10s %s at first, %s at last, %s at most\n", "resident", texts[0], texts[1],
	        texts[2]);
}

/* Of which step of which run, for novacore results show. */
static void print_run(const json_t *run, FILE *out)
{
	NOVA_AUTOTEXT struct nova_text line = {0};
	json_t *target;
	size_t i;

	if (!json_is_object(run))
		return;
	nova_text_addf(&line, "%s, step %lld: %s", nova_json_text(run, "id"),
	               number_of(run, "step") + 1, nova_json_text(run, "benchmark"));
	json_array_foreach(json_object_get(run, "targets"), i, target)
	        nova_text_addf(&line, "%s%s", i ? ", " : " on ",
	                       json_is_string(target) ? json_string_value(target) : "?");
	nova_text_clean(line.data);
	fprintf(out, "%-10s %s\n", "run", line.data);
}

void recordings_print(const json_t *about, FILE *out)
{
	const json_t *overhead = json_object_get(about, "overhead");
	const char *why = json_string_value(json_object_get(about, "event_why"));
	bool killed = json_is_false(json_object_get(about, "complete"));
	/* a command always ends */
	bool ended = json_is_true(json_object_get(about, "ended")) &&
	             !strcmp(nova_json_text(about, "what"), "process");
	char title[256], memory[32];

	snprintf(title, sizeof(title), "%s", nova_json_text(about, "title"));
	nova_text_clean(title);
	nova_value_format(real_of(about, "memory_bytes"), NOVA_UNIT_BYTE, memory);
	fprintf(out, "%-10s %s on %s, %.1f s from %s%s\n", "recorded", title,
	        nova_json_text(about, "host"), real_of(about, "duration_ns") / 1e9,
	        nova_json_text(about, "began"),
	        killed  ? "; it was killed"
	        : ended ? "; the process ended by itself"
	                : "");
	print_run(json_object_get(about, "run"), out);
	print_lanes(about, out);
	print_resident(about, out);
	fprintf(out, "%-10s %s%s%s%s\n", "event", nova_json_text(about, "event"), why ? ": " : "",
	        why ? why : "",
	        json_is_false(json_object_get(about, "kernel_sampled"))
	                ? "; without the kernel's part, which needs sysctl "
	                  "kernel.perf_event_paranoid=1 or CAP_PERFMON"
	                : "");
	why = json_string_value(json_object_get(about, "stacks_why"));
	if (why)
		fprintf(out, "%-10s by DWARF: %s\n", "stacks", why);
	print_vm(json_object_get(about, "vm"), out);
	fprintf(out,
	        "%-10s %.2f %% of this host's CPUs, %.2f %% of what was sampled (allowed: %.2f "
	        "%%); "
	        "a sample costs %.1f us; memory %s\n",
	        "overhead", real_of(overhead, "host") * 100, real_of(overhead, "sampled") * 100,
	        real_of(overhead, "target") * 100, real_of(overhead, "sample_ns") / 1e3, memory);
}

/* --- all of them --------------------------------------------------------------------------------
 */

int64_t recordings_bytes(const char *directory)
{
	struct dirent *entry;
	int64_t bytes = 0;
	DIR *open = opendir(directory);
	struct stat is;

	while (open && (entry = readdir(open)))
		if (!fstatat(dirfd(open), entry->d_name, &is, AT_SYMLINK_NOFOLLOW) &&
		    S_ISREG(is.st_mode))
			bytes += is.st_size;
	if (open)
		closedir(open);
	return bytes;
}

static json_t *describe(const char *id)
{
	NOVA_AUTOFREE char *directory = nova_recordings_place(id);
	NOVA_AUTOFREE char *file = nova_format("%s/" NOVA_RECORDING_FILE, directory);
	struct nova_error error = {0};
	json_t *about = NULL;
	int code = nova_recording_about(file, &about, &error);

	return json_pack("{ss ss sI so so*}", "id", id, "directory", directory, "bytes",
	                 (json_int_t)recordings_bytes(directory), "about",
	                 about ? about : json_null(), "why", code ? json_string(error.text) : NULL);
}

static int older_first(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_recording(const struct dirent *entry)
{
	return nova_recordings_is_id(entry->d_name);
}

static json_t *list_all(void)
{
	NOVA_AUTOFREE char *place = nova_recordings_place(NULL);
	struct dirent **entries = NULL;
	json_t *list = json_array();
	int count = scandir(place, &entries, is_recording, older_first);

	for (int i = 0; i < count; i++) {
		json_array_append_new(list, describe(entries[i]->d_name));
		free(entries[i]);
	}
	free(entries);
	return list;
}

/* --- the runs that they show --------------------------------------------------------------------
 */

#define RUN_ID_LENGTH 36
#define RUN_DIGITS    13 /* which tell it from all others */

/* "run" of each: {"id", "deleted"}, or null. A store that cannot be read has deleted nothing. */
static void look_for_runs(json_t *all)
{
	struct nova_settings settings = {0};
	struct nova_store *store = NULL;
	struct nova_error error = {0};
	bool open = false;
	json_t *one;
	size_t i;

	json_array_foreach(all, i, one)
	{
		const json_t *about = json_object_get(one, "about");
		const char *id = nova_json_text(json_object_get(about, "run"), "id");
		struct nova_run_record run = {0};
		int code = 0;

		if (strlen(id) != RUN_ID_LENGTH) /* a beginning of one might be another's */
			id = "";
		if (*id && !open) {
			open = true;
			if (nova_settings_load(NULL, NULL, NULL, 0, &settings, &error) ||
			    nova_settings_store(&settings, &store, &error))
				nova_log(NOVA_LOG_WARNING,
				         "which runs are deleted is not known: %s", error.text);
		}
		if (*id && store)
			code = nova_store_run_get(store, id, &run, &error);
		nova_run_record_clear(&run);
		json_object_set_new(
		        one, "run",
		        *id ? json_pack("{ss sb}", "id", id, "deleted", code == NOVA_E_NOT_FOUND)
		            : json_null());
	}
	nova_store_close(store);
	nova_settings_free(&settings);
}

static void name_run(const json_t *run, char out[32])
{
	snprintf(out, 32, "%.*s%s", RUN_DIGITS,
	         json_is_object(run) ? nova_json_text(run, "id") : "-",
	         json_is_true(json_object_get(run, "deleted")) ? " deleted" : "");
	nova_text_clean(out);
}

/* --- the actions --------------------------------------------------------------------------------
 */

static int print_json(const json_t *document, struct nova_error *error)
{
	if (json_dumpf(document, stdout, JSON_INDENT(1)) || putchar('\n') == EOF)
		return nova_error_errno(error, "cannot write to standard output");
	return 0;
}

static int list(const char *format, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *all = list_all();
	json_t *one;
	size_t i;

	look_for_runs(all);
	if (!strcmp(format, "json")) {
		NOVA_AUTOJSON json_t *document = json_pack("{sO}", "recordings", all);

		return print_json(document, error);
	}
	if (!json_array_size(all)) {
		puts("There is no recording yet; novacore record --all makes one.");
		return 0;
	}
	printf("%-20s  %9s  %8s  %8s  %9s  %-21s  %s\n", "recording", "duration", "samples",
	       "overhead", "size", "run", "of");
	json_array_foreach(all, i, one)
	{
		const json_t *about = json_object_get(one, "about");
		char size[32], run[32], title[256];

		nova_value_format(real_of(one, "bytes"), NOVA_UNIT_BYTE, size);
		name_run(json_object_get(one, "run"), run);
		snprintf(title, sizeof(title), "%s",
		         json_is_null(about) ? nova_json_text(one, "why")
		                             : nova_json_text(about, "title"));
		nova_text_clean(title);
		printf("%-20s  %7.1f s  %8lld  %6.2f %%  %9s  %-21s  %s%s\n",
		       nova_json_text(one, "id"), real_of(about, "duration_ns") / 1e9,
		       number_of(about, "samples"),
		       real_of(json_object_get(about, "overhead"), "host") * 100, size, run, title,
		       json_is_false(json_object_get(about, "complete")) ? " (killed, or still "
		                                                           "being written)"
		                                                         : "");
	}
	return 0;
}

static int show(const char *word, const char *format, struct nova_error *error)
{
	NOVA_AUTO(nova_stacks_cleanup) struct nova_stacks *stacks = NULL;
	NOVA_AUTOJSON json_t *about = NULL;
	NOVA_AUTOFREE char *file = recording_file(word);
	int code = nova_recording_about(file, &about, error);

	if (!code && !strcmp(format, "json"))
		return print_json(about, error);
	if (code)
		return code;
	/* of who never ran there is that to tell */
	if (number_of(about, "samples"))
		code = nova_stacks_read(file, NULL, &stacks, error);
	if (code)
		return code;
	recordings_print(about, stdout);
	if (!stacks)
		return 0;
	return recordings_print_hotspots(about, stacks, error);
}

/* A recording that is being written has been written to within the last seconds. */
static bool is_alive(const char *directory)
{
	NOVA_AUTOFREE char *file = nova_format("%s/" NOVA_RECORDING_FILE, directory);
	struct nova_error error = {0};
	json_t *about = NULL;
	struct stat is;
	bool alive = false;

	if (!stat(file, &is) && nova_utc_ns() / NOVA_SECOND_NS - is.st_mtim.tv_sec < 5 &&
	    !nova_recording_about(file, &about, &error))
		alive = json_is_false(json_object_get(about, "complete"));
	json_decref(about);
	return alive;
}

static int delete_one(const char *id, struct nova_error *error)
{
	NOVA_AUTOFREE char *directory = nova_recordings_place(id);

	if (!nova_recordings_is_id(id))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "\"%.60s\" is no recording of novacore recordings list; what "
		                      "has another place is yours to delete",
		                      id);
	if (access(directory, F_OK))
		return nova_error_set(error, NOVA_E_NOT_FOUND, "there is no recording %s", id);
	if (is_alive(directory))
		return nova_error_set(error, NOVA_E_BUSY, "%s is being written; end it first", id);
	return nova_directory_remove(directory, error);
}

static int delete_older(const char *text, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *all = list_all();
	double age;
	json_t *one;
	size_t i, count = 0;
	int code = nova_quantity_parse(text, NOVA_DURATION, &age, error);

	if (code)
		return nova_error_prefix(error, "--older");
	json_array_foreach(all, i, one)
	{
		const json_t *about = json_object_get(one, "about");
		double ended = real_of(about, "began_ns") + real_of(about, "duration_ns");

		if (json_is_null(about) || (double)nova_utc_ns() - ended <= age)
			continue;
		code = delete_one(nova_json_text(one, "id"), error);
		if (code && code != NOVA_E_BUSY)
			return code;
		count += !code;
	}
	printf("%zu recording%s deleted\n", count, count == 1 ? "" : "s");
	return 0;
}

static int act(const char *action, int count, char **words, const char *older, const char *format,
               struct nova_error *error)
{
	int code = 0;

	if (!strcmp(action, "list") && !count)
		return list(format, error);
	if (!strcmp(action, "show") && count == 1)
		return show(words[0], format, error);
	if (!strcmp(action, "delete") && older && !count)
		return delete_older(older, error);
	if (!strcmp(action, "delete") && count && !older) {
		for (int i = 0; i < count && !code; i++)
			code = delete_one(words[i], error);
		return code;
	}
	return nova_error_set(error, NOVA_E_INVALID,
	                      "recordings takes list, show ID, delete ID… or delete --older TIME; "
	                      "novacore recordings --help has examples");
}

int nova_command_recordings(int argc, char **argv)
{
	const char *format = "table", *older = NULL;
	struct nova_error error = {0};
	int option, code;

	optind = 0;
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) >= 0) {
		code = -1;
		if (option == OPTION_FORMAT)
			format = optarg;
		else if (option == OPTION_OLDER)
			older = optarg;
		else
			code = nova_common_option(option, argv, options, help);
		if (code >= 0)
			return code;
	}
	if (strcmp(format, "table") != 0 && strcmp(format, "json") != 0) {
		fputs("novacore: --format takes table or json\n", stderr);
		return 2;
	}
	code = act(optind < argc ? argv[optind] : "", argc - optind - 1, argv + optind + 1, older,
	           format, &error);
	return code ? nova_complain(&error) : 0;
}
