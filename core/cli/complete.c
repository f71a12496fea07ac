/* SPDX-License-Identifier: MIT */
/*
 * `novacore complete WORD…`, for shells: what may stand in place of the last word, after those
 * before it. One candidate a line, after a tab what it is; the line ":files" stands for the names
 * of files. Options and actions come from the commands' own --help (or the action's, where it has
 * one), values from what the commands list, so there is little here to keep in step. Whatever goes
 * wrong, there are just no candidates.
 */
#include "core/cli/check.h"
#include "core/cli/cli.h"

#include "core/profiler/profiler.h"
#include "core/report/report.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_NS (5 * NOVA_SECOND_NS)

struct completion {
	char **words; /* after the command */
	size_t count; /* the last is being completed */
	const char *command, *action;
	const char *word; /* what candidates begin with */
	const char *kept; /* stands before each: "--format=", "a,b,"; `word` follows it */
	int kept_length;
	char *help; /* of the command, or of its action where that has one */
};

/* --- asking ---------------------------------------------------------------------------------- */

/* What this program prints for these words, or NULL. Owned by the caller. */
static char *ask(const char *const *words)
{
	const char *argv[8] = {"/proc/self/exe"};
	struct nova_child_result result = {0};
	struct nova_error error = {0};
	char *text = NULL;

	for (size_t i = 1; words[i - 1] && i < NOVA_COUNT(argv) - 1; i++)
		argv[i] = words[i - 1];
	struct nova_child child = {.argv = argv, .deadline_ns = nova_now_ns() + PATIENCE_NS};
	if (!nova_child_check(&child, &result, &error))
		text = nova_strdup(nova_text_get(&result.output));
	nova_child_result_free(&result);
	return text;
}

static json_t *ask_json(const char *const *words)
{
	NOVA_AUTOFREE char *text = ask(words);

	return text ? json_loads(text, 0, NULL) : NULL;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* --- offering -------------------------------------------------------------------------------- */

/*
 * What a candidate is, on one line: texts of plugins are somebody else's, and a shell shows them on
 * a terminal. JSON is UTF-8; of that, 0xc2 0x80 to 0xc2 0x9f are control characters, too.
 */
static void put_doc(const char *doc)
{
	const unsigned char *byte = (const unsigned char *)doc;

	putchar('\t');
	for (; *byte; byte++) {
		bool second = byte[0] == 0xc2 && byte[1] >= 0x80 && byte[1] <= 0x9f;

		putchar(iscntrl(*byte) || second ? ' ' : *byte);
		byte += second;
	}
}

static size_t offered; /* candidates so far */

/* `end` is put after the candidate: "=" where a value has to follow. */
static void offer(const struct completion *completion, const char *text, const char *end,
                  const char *doc)
{
	if (strncmp(text, completion->word, strlen(completion->word)) != 0)
		return;
	/* A shell may type it in for the user, who sees it too late: no name or key has any of it.
	 */
	if (strpbrk(text, " \t\n'\"`$\\;&|<>()*?!#~{}[]") || nova_text_is_dirty(text))
		return;
	offered++;
	printf("%.*s%s%s", completion->kept_length, completion->kept, text, end);
	if (doc && *doc)
		put_doc(doc);
	putchar('\n');
}

/* Those of "a|b" or "a, b" up to a byte that is in neither. */
static void offer_choices(const struct completion *completion, const char *choices)
{
	while (*choices) {
		size_t length = strspn(choices, "abcdefghijklmnopqrstuvwxyz0123456789-_.");

		if (!length)
			return;
		NOVA_AUTOFREE char *choice = nova_format("%.*s", (int)length, choices);
		offer(completion, choice, "", NULL);
		choices += length;
		choices += strspn(choices, "|, ");
	}
}

/* What is after the last comma is completed; what is before it stays. */
static struct completion in_list(const struct completion *completion)
{
	struct completion last = *completion;
	const char *comma = strrchr(completion->word, ',');

	if (comma) {
		last.kept_length += (int)(comma + 1 - completion->word);
		last.word = comma + 1;
	}
	return last;
}

static void offer_files(const struct completion *completion)
{
	(void)completion;
	puts(":files");
}

static void offer_profiles(const struct completion *completion)
{
	NOVA_AUTOJSON json_t *profiles =
	        ask_json((const char *const[]){"profile", "list", "--format", "json", NULL});
	json_t *profile;
	size_t i;

	json_array_foreach(profiles, i, profile)
	{
		offer(completion, text_of(profile, "name"), "", text_of(profile, "summary"));
		if (*text_of(profile, "short"))
			offer(completion, text_of(profile, "short"), "", text_of(profile, "name"));
	}
}

static void offer_plugins_of(const struct completion *completion, const char *kind, const char *end)
{
	NOVA_AUTOJSON json_t *all =
	        ask_json((const char *const[]){"plugin", "list", "--json", NULL});
	json_t *plugin;
	size_t i;

	json_array_foreach(json_object_get(all, "plugins"), i, plugin)
	{
		NOVA_AUTOFREE char *full =
		        nova_format("%s/%s", text_of(plugin, "kind"), text_of(plugin, "name"));

		if (!kind)
			offer(completion, full, end, text_of(plugin, "summary"));
		if (!kind || !strcmp(kind, text_of(plugin, "kind")))
			offer(completion, text_of(plugin, "name"), end, text_of(plugin, "summary"));
	}
}

static void offer_plugins(const struct completion *completion)
{
	offer_plugins_of(completion, NULL, "");
}

static void offer_drivers(const struct completion *completion)
{
	offer_plugins_of(completion, "hypervisor", "");
}

static void offer_benchmarks(const struct completion *completion)
{
	offer_plugins_of(completion, "benchmark", "");
}

static json_t *settings(void)
{
	return ask_json((const char *const[]){"config", "show", "--all", "--format", "json", NULL});
}

static void offer_targets(const struct completion *completion)
{
	NOVA_AUTOJSON json_t *all = settings();
	json_t *setting;
	size_t i;

	json_array_foreach(json_object_get(all, "settings"), i, setting)
	{
		const char *key = text_of(setting, "key"), *end = strrchr(key, '.');

		if (strncmp(key, "target.", 7) != 0 || strcmp(end, ".plugin") != 0)
			continue;
		NOVA_AUTOFREE char *name = nova_format("%.*s", (int)(end - key - 7), key + 7);
		offer(completion, name, "", text_of(setting, "text"));
	}
	offer_plugins_of(completion, "hypervisor", "=");
}

/* Groups too, where no value follows. */
static void offer_keys_with(const struct completion *completion, const char *end)
{
	NOVA_AUTOJSON json_t *all = settings();
	NOVA_AUTOFREE char *before = nova_strdup("");
	json_t *setting;
	size_t i;

	json_array_foreach(json_object_get(all, "settings"), i, setting)
	{
		const char *key = text_of(setting, "key"), *now = text_of(setting, "text");
		NOVA_AUTOFREE char *doc =
		        nova_format("%s%s%s", text_of(setting, "type"), *now ? ", now " : "", now);
		NOVA_AUTOFREE char *group = nova_format("%.*s", (int)strcspn(key, "."), key);

		if (strchr(key, ' ')) /* a goal of one driver has no key */
			continue;
		if (!*end && strcmp(group, before) != 0 && strcmp(group, key) != 0) {
			offer(completion, group, "", "group");
			free(before);
			before = nova_strdup(group);
		}
		offer(completion, key, end, doc);
	}
}

static void offer_keys(const struct completion *completion)
{
	offer_keys_with(completion, "");
}

static void offer_recorded(const struct completion *completion)
{
	struct completion last = in_list(completion);

	for (size_t i = 0; nova_record_kinds[i]; i++)
		offer(&last, nova_record_kinds[i], "", NULL);
}

static void offer_values(const struct completion *completion, const char *key)
{
	NOVA_AUTOJSON json_t *specs =
	        ask_json((const char *const[]){"config", "keys", key, "--format", "json", NULL});
	const json_t *spec = json_array_get(specs, 0);
	const char *type = text_of(spec, "type");

	if (!strcmp(key, "profile"))
		offer_profiles(completion);
	else if (!strcmp(key, "run.suite"))
		offer_benchmarks(completion);
	else if (!strcmp(key, "run.record"))
		offer_recorded(completion);
	else if (!strcmp(type, "boolean"))
		offer_choices(completion, "true|false");
	else if (strstr(type, "choice"))
		offer_choices(completion, text_of(spec, "range"));
	else if (strstr(type, "path"))
		offer_files(completion);
}

static bool takes_value(const struct completion *completion, const char *word);

/* "hypervisor.sim.", if that is what `plugin check` is to check; else NULL. */
static char *prefix_of_checked(const struct completion *completion)
{
	const char *file = NULL;

	for (size_t i = 0; i + 1 < completion->count; i++) {
		const char *word = completion->words[i];

		if (takes_value(completion, word))
			i++;
		else if (word[0] != '-' && strcmp(word, completion->action) != 0)
			file = word;
	}
	if (!file)
		return NULL;
	const char *name = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
	NOVA_AUTOFREE char *bare = nova_format("%.*s", (int)strcspn(name, "."), name);
	NOVA_AUTOJSON json_t *plugin =
	        ask_json((const char *const[]){"plugin", "info", bare, "--json", NULL});
	return plugin ? nova_format("%s.%s.", text_of(plugin, "kind"), text_of(plugin, "name"))
	              : NULL;
}

/* "target.lab." or "hypervisor.sim." of a target as it is named; NULL: none is. */
static char *prefix_of_named(const char *target)
{
	const char *equals = target ? strchr(target, '=') : NULL;

	if (!target)
		return NULL;
	return equals ? nova_format("hypervisor.%.*s.", (int)(equals - target), target)
	              : nova_format("target.%s.", target);
}

/* Whose parameters the short names of --set are, of `target` and of `plugin check`; else NULL. */
static char *prefix_of_parameters(const struct completion *completion)
{
	bool target = !strcmp(completion->command, "target");
	const char *driver = NULL, *named = NULL;

	for (size_t i = 0; i + 2 < completion->count; i++) {
		const char *word = completion->words[i], *next = completion->words[i + 1];

		if (!strcmp(word, target ? "--plugin" : "--conformance"))
			*(target ? &driver : &named) = next;
		else if (target && completion->action && !strcmp(word, completion->action) &&
		         next[0] != '-')
			named = next;
	}
	if (driver)
		return nova_format("hypervisor.%s.", driver);
	return named || target ? prefix_of_named(named) : prefix_of_checked(completion);
}

/* The parameters of one plugin, by their own names. */
static void offer_parameters(const struct completion *completion, const char *prefix)
{
	NOVA_AUTOFREE char *group = nova_format("%.*s", (int)strlen(prefix) - 1, prefix);
	NOVA_AUTOJSON json_t *specs =
	        ask_json((const char *const[]){"config", "keys", group, "--format", "json", NULL});
	json_t *spec;
	size_t i;

	json_array_foreach(specs, i, spec)
	{
		const char *key = text_of(spec, "key");

		if (!strncmp(key, prefix, strlen(prefix)))
			offer(completion, key + strlen(prefix), "=", text_of(spec, "meaning"));
	}
}

static void offer_settings(const struct completion *completion)
{
	const char *equals = strchr(completion->word, '=');
	struct completion value = *completion;
	bool checks = completion->action && (!strcmp(completion->command, "plugin") ||
	                                     !strcmp(completion->command, "target"));
	NOVA_AUTOFREE char *prefix = checks ? prefix_of_parameters(completion) : nova_strdup("");

	if (!prefix)
		return;
	if (!equals) {
		if (checks)
			offer_parameters(completion, prefix);
		else
			offer_keys_with(completion, "=");
		return;
	}
	NOVA_AUTOFREE char *key =
	        nova_format("%s%.*s", prefix, (int)(equals - completion->word), completion->word);
	value.kept_length += (int)(equals + 1 - completion->word);
	value.word = equals + 1;
	value = in_list(&value);
	offer_values(&value, key);
}

static void offer_kinds(const struct completion *completion)
{
	offer_choices(completion, "benchmark|hypervisor|optimizer|profile");
}

static void offer_runs(const struct completion *completion)
{
	NOVA_AUTOJSON json_t *all =
	        ask_json((const char *const[]){"results", "list", "--format", "json", NULL});
	json_t *run;
	size_t i;

	offer(completion, "last", "", "the latest run");
	json_array_foreach(json_object_get(all, "runs"), i, run)
	{
		NOVA_AUTOFREE char *doc = nova_format(
		        "%s, %s, %s: %s", text_of(run, "started"), text_of(run, "profile"),
		        text_of(run, "targets"), text_of(run, "state"));

		offer(completion, text_of(run, "id"), "", doc);
	}
}

/* Files stand alone: a shell adds their names by itself, to nothing else. */
static void offer_files_else(const struct completion *completion)
{
	if (!offered)
		offer_files(completion);
}

static void offer_runs_and_files(const struct completion *completion)
{
	offer_runs(completion);
	offer_files_else(completion);
}

static void offer_baselines(const struct completion *completion)
{
	NOVA_AUTOJSON json_t *all =
	        ask_json((const char *const[]){"baseline", "list", "--format", "json", NULL});
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(all, "baselines"), i, one)
	{
		NOVA_AUTOFREE char *doc = nova_format("baseline of %s, where %.12s",
		                                      text_of(one, "made"), text_of(one, "where"));

		offer(completion, text_of(one, "name"), "", doc);
	}
}

static void offer_compared(const struct completion *completion)
{
	offer_baselines(completion);
	offer_runs(completion);
	offer_files_else(completion);
}

static void offer_metrics(const struct completion *completion)
{
	NOVA_AUTOJSON json_t *all =
	        ask_json((const char *const[]){"plugin", "list", "--json", NULL});
	json_t *plugin, *metric;
	size_t i, j;

	json_array_foreach(json_object_get(all, "plugins"), i, plugin)
	{
		json_array_foreach(json_object_get(plugin, "metrics"), j, metric)
		        offer(completion, text_of(metric, "name"), "", text_of(metric, "doc"));
	}
}

static void offer_wheres(const struct completion *completion)
{
	NOVA_AUTOJSON json_t *all =
	        ask_json((const char *const[]){"baseline", "list", "--format", "json", NULL});
	json_t *one;
	size_t i;

	if (!strcmp(completion->command, "history")) {
		offer(completion, "this", "", "this host");
		return;
	}
	json_array_foreach(json_object_get(all, "baselines"), i, one)
	        offer(completion, text_of(one, "where"), "", text_of(one, "name"));
}

static void offer_sides(const struct completion *completion)
{
	offer_choices(completion, "vm|native");
}

static void offer_acknowledged(const struct completion *completion)
{
	NOVA_AUTOJSON json_t *all =
	        ask_json((const char *const[]){"ack", "--list", "--format", "json", NULL});
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(all, "acknowledgements"), i, one)
	        offer(completion, text_of(one, "id"), "", text_of(one, "why"));
}

static void offer_recordings(const struct completion *completion)
{
	NOVA_AUTOJSON json_t *all =
	        ask_json((const char *const[]){"recordings", "list", "--format", "json", NULL});
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(all, "recordings"), i, one)
	        offer(completion, text_of(one, "id"),
	              text_of(json_object_get(one, "about"), "title"), NULL);
}

static void offer_guests(const struct completion *completion)
{
	NOVA_AUTOJSON json_t *all =
	        ask_json((const char *const[]){"guest", "list", "--format", "json", NULL});
	json_t *guest;
	size_t i;

	json_array_foreach(all, i, guest) offer(completion, text_of(guest, "id"), "", NULL);
}

/* --- the help text --------------------------------------------------------------------------- */

static const char *next_line(const char *line)
{
	const char *end = strchr(line, '\n');

	return end ? end + 1 : line + strlen(line);
}

/* Where the usage of the action is told, or NULL. */
static const char *usage_of(const struct completion *completion, const char *action)
{
	NOVA_AUTOFREE char *words = nova_format("novacore %s %s", completion->command, action);
	const char *usage = strstr(completion->help, words);

	return usage && !isalpha((unsigned char)usage[strlen(words)]) ? usage : NULL;
}

/* "--format table|json" in the usage of the action; else all formats of results. */
static void offer_formats(const struct completion *completion)
{
	const char *usage = usage_of(completion, completion->action ? completion->action : "");
	const char *line = usage ? usage : completion->help, *found;

	for (; *line && *line != '\n'; line = next_line(line)) {
		if (line != usage && usage && strstr(line, "novacore ") &&
		    strstr(line, "novacore ") < next_line(line))
			break;
		found = strstr(line, "--format ");
		if (found && found < next_line(line)) {
			offer_choices(completion, found + strlen("--format "));
			return;
		}
	}
	for (size_t i = 0; nova_report_formats[i]; i++)
		offer(completion, nova_report_formats[i], "", NULL);
}

static void offer_workloads(const struct completion *completion)
{
	struct completion last = in_list(completion);

	offer_choices(&last, "cpu-intensive|memory-intensive|io-intensive|network-intensive|ml|"
	                     "latency-sensitive");
}

static void offer_fail_on(const struct completion *completion)
{
	struct completion last = in_list(completion);

	if (!strcmp(completion->command, "ab")) {
		offer(completion, "worse", "", "exit 1 if B is worse than A");
		return;
	}
	if (strcmp(completion->command, "compare") != 0)
		offer(&last, "goal", "", "exit 1 if a goal was missed");
	offer(&last, "regression", "", "exit 1 if something got worse");
}

static void offer_wrappers(const struct completion *completion)
{
	/* Those that need options need quotes, too, and each shell has its own. */
	offer(completion, "valgrind", "", "a checker of memory");
}

static void offer_checks(const struct completion *completion)
{
	struct completion last = in_list(completion);

	for (const struct own_check *own = own_checks; own->name; own++)
		offer(&last, own->name, "", own->proves);
	for (const struct nova_validator_check *const *at = nova_validator_checks(); *at; at++)
		offer(&last, (*at)->name, "", (*at)->proves);
}

static const struct {
	const char *option;
	void (*offer)(const struct completion *completion);
} values[] = {{"profile", offer_profiles},     {"from", offer_profiles},
              {"plugin", offer_drivers},       {"target", offer_targets},
              {"benchmark", offer_benchmarks}, {"set", offer_settings},
              {"a", offer_settings},           {"b", offer_settings},
              {"kind", offer_kinds},           {"format", offer_formats},
              {"resume", offer_runs},          {"workload", offer_workloads},
              {"fail-on", offer_fail_on},      {"worker-wrapper", offer_wrappers},
              {"record", offer_recorded},      {"only", offer_checks},
              {"metric", offer_metrics},       {"name", offer_baselines},
              {"where", offer_wheres},         {"side", offer_sides},
              {"remove", offer_acknowledged},  {"conformance", offer_targets}};

#define MANY SIZE_MAX

/* What the arguments after an action, or of a command without one, are; the first is number 0. */
static const struct {
	const char *command, *action;
	void (*offer)(const struct completion *completion);
	size_t first, last;
} arguments[] = {
        {"results", "show", offer_runs, 0, 0},
        {"results", "export", offer_runs, 0, 0},
        {"results", "delete", offer_runs, 0, MANY},
        {"results", "import", offer_files, 0, MANY},
        {"plugin", "info", offer_plugins, 0, 0},
        {"plugin", "new", offer_kinds, 0, 0}, /* then a name of one's own */
        {"plugin", "new", offer_files, 2, 2},
        {"plugin", "check", offer_files, 0, MANY},
        {"plugin", "keygen", offer_files, 0, 0},
        {"plugin", "sign", offer_files, 0, MANY},
        {"plugin", "verify", offer_files, 0, MANY},
        {"profile", "show", offer_profiles, 0, 0},
        {"profile", "optimize", offer_profiles, 0, 0},
        {"config", "show", offer_keys, 0, MANY},
        {"config", "keys", offer_keys, 0, MANY},
        {"config", "check", offer_files, 0, 0},
        {"guest", "info", offer_guests, 0, 0},
        {"target", "test", offer_targets, 0, 0},
        {"recordings", "show", offer_recordings, 0, 0},
        {"recordings", "delete", offer_recordings, 0, MANY},
        {"baseline", "set", offer_runs, 0, MANY},
        {"baseline", "show", offer_baselines, 0, 0},
        {"baseline", "delete", offer_baselines, 0, 0},
        /* these have no actions: their first word is one of what is offered */
        {"report", NULL, offer_runs_and_files, 0, 0},
        {"analyze", NULL, offer_files, 0, 0},
        {"compare", NULL, offer_compared, 0, 1},
        {"history", NULL, offer_metrics, 0, 0},
        {"rank", NULL, offer_metrics, 0, 0},
        {"rank", NULL, offer_runs, 1, MANY},
        {"hotspots", NULL, offer_files, 0, 0},
        {"flame", NULL, offer_files, 0, MANY},
};

/* The line "  --NAME …" of the help; NULL if there is none. */
static const char *find_option(const struct completion *completion, const char *name, size_t length)
{
	for (const char *line = completion->help; *line; line = next_line(line))
		if (!strncmp(line, "  --", 4) && !strncmp(line + 4, name, length) &&
		    (line[4 + length] == ' ' || line[4 + length] == '\n'))
			return line;
	return NULL;
}

/* Does `word`, an option, take a value that is the next word? */
static bool takes_value(const struct completion *completion, const char *word)
{
	const char *line;

	if (strncmp(word, "--", 2) != 0 || strchr(word, '='))
		return false;
	line = find_option(completion, word + 2, strlen(word + 2));
	return line && line[strlen(word) + 2] == ' ' && line[strlen(word) + 3] != ' ';
}

/* An option that `values` does not know, by what its help calls the value. */
static void offer_by_name(const struct completion *completion, const char *value)
{
	size_t length = strcspn(value, " \n");
	NOVA_AUTOFREE char *name = nova_format("%.*s", (int)length, value);

	if (!strcmp(name, "FILE") || !strcmp(name, "DIR") || !strcmp(name, "PATH"))
		offer_files(completion);
	else if (strchr(name, '|'))
		offer_choices(completion, name);
}

static void offer_option_value(const struct completion *completion, const char *name, size_t length)
{
	const char *line;

	for (size_t i = 0; i < NOVA_COUNT(values); i++)
		if (strlen(values[i].option) == length &&
		    !strncmp(values[i].option, name, length)) {
			values[i].offer(completion);
			return;
		}
	line = find_option(completion, name, length);
	if (line && line[4 + length] == ' ')
		offer_by_name(completion, line + 4 + length + 1);
}

/* Does the text of an option begin with another action than this one ("list: only …")? */
static bool is_of_other_action(const struct completion *completion, const char *doc)
{
	size_t length = strspn(doc, "abcdefghijklmnopqrstuvwxyz");

	if (!completion->action || doc[length] != ':')
		return false;
	NOVA_AUTOFREE char *action = nova_format("%.*s", (int)length, doc);
	return strcmp(action, completion->action) != 0 && usage_of(completion, action);
}

static void offer_options(const struct completion *completion)
{
	for (const char *line = completion->help; *line; line = next_line(line)) {
		const char *doc;
		size_t length;

		if (strncmp(line, "  --", 4) != 0)
			continue;
		length = strcspn(line + 2, " \n");
		doc = line + 2 + length;
		while (*doc && *doc != '\n' && strncmp(doc, "  ", 2) != 0) /* the value's name */
			doc++;
		doc += strspn(doc, " \n"); /* a long name has its text in the next line */
		if (is_of_other_action(completion, doc))
			continue;
		NOVA_AUTOFREE char *option = nova_format("%.*s", (int)length, line + 2);
		NOVA_AUTOFREE char *text = nova_format("%.*s", (int)strcspn(doc, "\n"), doc);
		offer(completion, option, "", text);
	}
}

/* --- commands and actions -------------------------------------------------------------------- */

/* From the lines "  name   text" of novacore --help between "Commands:" and an empty line. */
static void offer_commands(const struct completion *completion)
{
	NOVA_AUTOFREE char *help = ask((const char *const[]){"--help", NULL});
	const char *line = help ? strstr(help, "\nCommands:\n") : NULL;

	if (!line)
		return;
	for (line = next_line(line + 1); *line && *line != '\n'; line = next_line(line)) {
		size_t length = strcspn(line + 2, " \n");
		const char *doc = line + 2 + length + strspn(line + 2 + length, " ");
		NOVA_AUTOFREE char *name = nova_format("%.*s", (int)length, line + 2);
		NOVA_AUTOFREE char *text = nova_format("%.*s", (int)strcspn(doc, "\n"), doc);

		offer(completion, name, "", text);
	}
}

#define LETTERS "abcdefghijklmnopqrstuvwxyz"

/*
 * Each word after "novacore COMMAND " in the usage, the lines up to the first empty one; "a|b" is
 * two. Offers them; or, given an action, only says whether it is one of them.
 */
static bool each_action(const struct completion *completion, const char *action)
{
	NOVA_AUTOFREE char *start = nova_format("novacore %s ", completion->command);

	for (const char *line = completion->help; *line && *line != '\n'; line = next_line(line)) {
		const char *found = strstr(line, start);

		if (!found || found > next_line(line))
			continue;
		for (found += strlen(start); strspn(found, LETTERS); found++) {
			size_t length = strspn(found, LETTERS);
			NOVA_AUTOFREE char *word = nova_format("%.*s", (int)length, found);

			if (!action)
				offer(completion, word, "", NULL);
			else if (!strcmp(action, word))
				return true;
			found += length;
			if (*found != '|')
				break;
		}
	}
	return false;
}

static void offer_argument(const struct completion *completion, size_t before)
{
	bool known = false;

	for (size_t i = 0; i < NOVA_COUNT(arguments); i++) {
		const char *action = arguments[i].action;
		/* Without actions, what was taken for one is the first argument. */
		size_t at = action ? before : before + (completion->action != NULL);

		if (strcmp(arguments[i].command, completion->command) != 0 ||
		    (action && (!completion->action || strcmp(action, completion->action) != 0)) ||
		    at < arguments[i].first || at > arguments[i].last)
			continue;
		arguments[i].offer(completion);
		known = true;
	}
	if (!completion->action && !known)
		each_action(completion, NULL);
}

/* --- the command ----------------------------------------------------------------------------- */

/* Finds the action and returns how many arguments stand after it, without the last word. */
static size_t read_words(struct completion *completion)
{
	size_t arguments_before = 0;

	for (size_t i = 0; i + 1 < completion->count; i++) {
		const char *word = completion->words[i];

		if (takes_value(completion, word))
			i++;
		else if (word[0] == '-')
			continue;
		else if (!completion->action)
			completion->action = word;
		else
			arguments_before++;
	}
	return arguments_before;
}

/* Some actions have options of their own, and a --help that tells them. */
static bool read_help_of_action(struct completion *completion)
{
	char *help;

	if (!completion->action || !each_action(completion, completion->action))
		return false;
	help = ask((const char *const[]){completion->command, completion->action, "--help", NULL});
	if (!help || !strcmp(help, completion->help)) {
		free(help);
		return false;
	}
	free(completion->help);
	completion->help = help;
	return true;
}

static void complete_word(struct completion *completion)
{
	size_t before = read_words(completion);

	if (read_help_of_action(completion)) {
		completion->action = NULL;
		before = read_words(completion);
	}
	const char *last = completion->word;
	const char *previous =
	        completion->count > 1 ? completion->words[completion->count - 2] : NULL;
	size_t name = strcspn(last, "=");

	if (previous && takes_value(completion, previous)) {
		offer_option_value(completion, previous + 2, strlen(previous + 2));
	} else if (!strncmp(last, "--", 2) && last[name] == '=') {
		completion->kept_length = (int)name + 1;
		completion->word = last + name + 1;
		offer_option_value(completion, last + 2, name - 2);
	} else if (last[0] == '-') {
		offer_options(completion);
	} else {
		offer_argument(completion, before);
	}
}

int nova_command_complete(int argc, char **argv)
{
	struct completion completion = {.words = argv + 1, .count = (size_t)(argc - 1)};

	if (argc < 2) {
		fputs("novacore: complete is for shells: the words after \"novacore\" follow it\n",
		      stderr);
		return 2;
	}
	completion.word = completion.kept = argv[argc - 1];
	completion.command = argv[1][0] == '-' ? "run" : argv[1];
	if (argv[1][0] != '-') {
		if (argc == 2) {
			offer_commands(&completion);
			return 0;
		}
		completion.words++;
		completion.count--;
	} else if (argc == 2) {
		offer(&completion, "--version", "", "the version");
	}
	completion.help = ask((const char *const[]){completion.command, "--help", NULL});
	if (completion.help)
		complete_word(&completion);
	free(completion.help);
	return 0;
}
