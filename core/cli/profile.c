/* SPDX-License-Identifier: MIT */
/*
 * `novacore profile`: which environment profiles there are, what one sets, a new one from a base,
 * and one adapted to a workload. What is written is a libconfig file of the user's that inherits.
 */
#include "core/cli/profiles.h"
#include "core/cli/workload.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
        "usage: novacore profile list [--format table|json]\n"
        "       novacore profile show NAME [--format table|json|markdown]\n"
        "       novacore profile create NAME --from BASE [--set KEY=VALUE]… [--force]\n"
        "       novacore profile optimize NAME --workload KIND[,KIND…] [--as NEWNAME]\n"
        "                                 [--dry-run] [--force] [--format table|json]\n"
        "\n"
        "An environment profile says what a run measures and how: suite, samples, concurrency,\n"
        "VM shape, limits, goals, and what may be tuned. Use one with: novacore --profile NAME\n"
        "\n"
        "  list      all profiles, of plugins and of yours\n"
        "  show      what a profile sets, and which file or plugin each value is from\n"
        "  create    a profile of your own, which inherits BASE and changes what --set says\n"
        "  optimize  a profile of your own, which adapts NAME to a kind of workload; prints each\n"
        "            change with its reason\n"
        "\n"
        "  --from BASE           create: the profile to start from\n"
        "  --set KEY=VALUE       create: a setting that differs; may be given several times\n"
        "  --workload KIND       optimize: cpu-intensive, memory-intensive, io-intensive,\n"
        "                        network-intensive, ml or latency-sensitive; several: the later\n"
        "                        wins where they disagree\n"
        "  --as NEWNAME          optimize: its name (default: NAME-KIND)\n"
        "  --dry-run             optimize: print the changes, write nothing\n"
        "  --force               replace a profile of yours that has this name\n"
        "  --format FORMAT       how to print (default: table)\n" NOVA_COMMON_HELP "\n"
        "Short names: dev, test, stage, prod, ml (ml-training).\n"
        "\n"
        "examples:\n"
        "  novacore profile show hpc\n"
        "  novacore profile create nightly --from testing --set run.samples=50 \\\n"
        "    --set lifecycle.concurrency=1,20 --set goal.lifecycle.start.ready=20s,30s\n"
        "  novacore profile optimize production --workload cpu-intensive --dry-run\n"
        "  novacore profile optimize cloud --workload ml --as training-in-the-cloud\n";

struct arguments {
	const char *from, *workload, *as, *format;
	const char **settings;
	size_t setting_count;
	bool force, dry_run, quiet;
	char *name; /* NULL: none given */
	const struct nova_registry *registry;
	const struct profile_list *profiles;
};

static bool is_json(const struct arguments *arguments)
{
	return strcmp(arguments->format, "json") == 0;
}

static void print_json(const json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
}

/* --- list ------------------------------------------------------------------------------------- */

static int list(const struct arguments *arguments, struct nova_error *error)
{
	GRID_AUTO struct grid grid = {.columns = 4};
	NOVA_AUTOJSON json_t *all = json_array();
	static const char *const headings[] = {"NAME", "SHORT", "FROM", "SUMMARY"};

	(void)error;
	for (size_t i = 0; i < NOVA_COUNT(headings); i++)
		grid_add(&grid, headings[i]);
	for (size_t i = 0; i < arguments->profiles->count; i++) {
		const struct profile *profile = &arguments->profiles->items[i];
		NOVA_AUTOFREE char *problem =
		        profile->problem ? nova_format("cannot be used: %s", profile->problem)
		                         : NULL;
		const char *summary = problem ? problem : profile->summary;
		const char *from = profile->path ? profile->path : "plugin";
		grid_add(&grid, profile->name);
		grid_add(&grid, profile_short(profile->name));
		grid_add(&grid, from);
		grid_add(&grid, summary);
		json_array_append_new(all,
		                      json_pack("{ss ss? ss ss? ss? ss?}", "name", profile->name,
		                                "short", profile_short(profile->name), "from", from,
		                                "inherits", profile->inherits, "summary",
		                                profile->summary, "problem", profile->problem));
	}
	if (is_json(arguments))
		print_json(all);
	else
		grid_print(&grid, stdout);
	return 0;
}

/* --- show ------------------------------------------------------------------------------------- */

struct showing {
	const struct nova_config *config;
	bool markdown;
	struct grid grid;
	json_t *list;
};

static void show_entry(void *context, const struct nova_config_entry *entry)
{
	struct showing *showing = context;

	if (entry->layer != NOVA_LAYER_PROFILE)
		return;
	grid_add(&showing->grid, entry->key);
	grid_add(&showing->grid, entry->value);
	grid_add(&showing->grid, showing->markdown ? entry->spec->doc : entry->origin);
	json_t *typed = nova_config_declared(showing->config, entry->key)
	                        ? nova_config_json(showing->config, entry->key)
	                        : json_string(entry->value);
	json_array_append_new(showing->list,
	                      json_pack("{ss so ss ss}", "key", entry->key, "value", typed, "text",
	                                entry->value, "origin", entry->origin));
}

/* The configuration of defaults and one profile. */
static int load(const struct arguments *arguments, const char *name, struct nova_config **config,
                struct nova_error *error)
{
	*config = settings_declare(arguments->registry);
	int code = profile_add(arguments->profiles, name, *config, error);
	return code == 0 ? nova_config_finish(*config, error) : code;
}

static int show(const struct arguments *arguments, struct nova_error *error)
{
	NOVA_AUTOCONFIG struct nova_config *config = NULL;
	const struct profile *profile = profile_find(arguments->profiles, arguments->name, error);
	if (!profile)
		return error->code;
	int code = load(arguments, profile->name, &config, error);
	if (code != 0)
		return code;
	NOVA_AUTOJSON json_t *entries = json_array();
	bool markdown = strcmp(arguments->format, "markdown") == 0;
	struct showing showing = {
	        .config = config, .markdown = markdown, .grid = {.columns = 3}, .list = entries};
	grid_add(&showing.grid, "KEY");
	grid_add(&showing.grid, "VALUE");
	grid_add(&showing.grid, markdown ? "MEANING" : "ORIGIN");
	nova_config_each(config, show_entry, &showing);
	if (is_json(arguments)) {
		NOVA_AUTOJSON json_t *all = json_pack(
		        "{ss ss? ss? ss? ss? sO}", "name", profile->name, "short",
		        profile_short(profile->name), "summary", profile->summary, "file",
		        profile->path, "inherits", profile->inherits, "settings", entries);
		print_json(all);
	} else if (markdown) {
		grid_print_markdown(&showing.grid, stdout);
	} else {
		printf("%s: %s\n", profile->name, profile->summary);
		printf("from %s%s%s%s\n\n", profile->path ? profile->path : "a plugin",
		       profile->inherits ? ", inherits " : "",
		       profile->inherits ? profile->inherits : "", "");
		grid_print(&showing.grid, stdout);
	}
	grid_free(&showing.grid);
	return 0;
}

/* --- writing ---------------------------------------------------------------------------------- */

static int check_new_name(const struct arguments *arguments, const char *name,
                          struct nova_error *error)
{
	if (!nova_name_valid(name))
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "\"%.80s\" cannot be the name of a profile; use lower-case letters, "
		        "digits and \"-\", at most 64",
		        name);
	if (strcmp(profile_canonical(name), name) != 0)
		return nova_error_set(error, NOVA_E_INVALID, "\"%s\" is short for the profile %s",
		                      name, profile_canonical(name));
	for (size_t i = 0; i < arguments->profiles->count; i++) {
		const struct profile *other = &arguments->profiles->items[i];
		if (strcmp(other->name, name) != 0)
			continue;
		if (!other->path)
			return nova_error_set(
			        error, NOVA_E_EXISTS,
			        "a plugin provides the profile %s; choose another name", name);
		if (!arguments->force)
			return nova_error_set(
			        error, NOVA_E_EXISTS,
			        "there is a profile %s already, in %s; --force replaces it", name,
			        other->path);
	}
	return 0;
}

/* Is the text a right profile, here and now? Then it becomes the file of `name`. */
static int write_profile(const struct arguments *arguments, const char *name, const char *base,
                         const char *text, struct nova_error *error)
{
	NOVA_AUTOCONFIG struct nova_config *config = settings_declare(arguments->registry);
	NOVA_AUTOFREE char *path = profile_path(name);
	NOVA_AUTOFREE char *folder = nova_place(NOVA_PLACE_CONFIG, "profiles");

	int code = profile_add(arguments->profiles, base, config, error);
	if (code == 0)
		code = nova_config_add_text(config, NOVA_LAYER_PROFILE, path, text, error);
	if (code == 0)
		code = nova_config_finish(config, error);
	if (code == 0)
		code = settings_check_goals(arguments->registry, config, error);
	if (code == 0)
		code = nova_directory_make(folder, 0755, error);
	if (code == 0)
		code = nova_file_write(path, text, strlen(text), 0644, error);
	if (code == 0 && !arguments->quiet && !is_json(arguments))
		printf("%s written; use it with: novacore --profile %s\n", path, name);
	return code;
}

/* A profile that is replaced must not be its own base, however far up. */
static int check_base(const struct arguments *arguments, const char *name, const char *base,
                      struct nova_error *error)
{
	const struct profile *at = profile_find(arguments->profiles, base, error);

	for (size_t steps = 0; at && steps <= arguments->profiles->count; steps++) {
		if (strcmp(at->name, name) == 0)
			return nova_error_set(error, NOVA_E_INVALID,
			                      "%s cannot be made from %s, which is or inherits %s",
			                      name, base, name);
		if (!at->inherits)
			return 0;
		at = profile_find(arguments->profiles, at->inherits, error);
	}
	return at ? 0 : error->code; /* a circle: profile_add explains it */
}

/* --- create ----------------------------------------------------------------------------------- */

static int create(const struct arguments *arguments, struct nova_error *error)
{
	NOVA_AUTOCONFIG struct nova_config *config = NULL;
	NOVA_AUTOTEXT struct nova_text text = {0};

	if (!arguments->from)
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "profile create needs --from BASE, the profile to start from; "
		        "novacore profile list shows them");
	const char *base = profile_canonical(arguments->from);
	int code = check_new_name(arguments, arguments->name, error);
	if (code == 0)
		code = check_base(arguments, arguments->name, base, error);
	if (code == 0)
		code = load(arguments, base, &config, error);
	for (size_t i = 0; code == 0 && i < arguments->setting_count; i++)
		code = nova_config_add_setting(config, arguments->settings[i], error);
	if (code == 0)
		code = nova_config_finish(config, error);
	if (code != 0)
		return code;
	nova_text_addf(&text, "# Made from %s by novacore profile create\n\ninherits = \"%s\";\n",
	               base, base);
	workload_write(config, NULL, 0, &text);
	return write_profile(arguments, arguments->name, base, nova_text_get(&text), error);
}

/* --- optimize --------------------------------------------------------------------------------- */

static void print_changes(const struct workload_change *changes, size_t count)
{
	GRID_AUTO struct grid grid = {.columns = 4};
	static const char *const headings[] = {"KEY", "FROM", "TO", "WHY"};

	for (size_t i = 0; i < NOVA_COUNT(headings); i++)
		grid_add(&grid, headings[i]);
	for (size_t i = 0; i < count; i++) {
		grid_add(&grid, changes[i].key);
		grid_add(&grid, changes[i].from);
		grid_add(&grid, changes[i].to);
		grid_add(&grid, changes[i].why);
	}
	grid_print(&grid, stdout);
}

static json_t *changes_json(const struct workload_change *changes, size_t count)
{
	json_t *list_of = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list_of,
		                      json_pack("{ss ss? ss ss ss}", "key", changes[i].key, "from",
		                                changes[i].from, "to", changes[i].to, "workload",
		                                changes[i].workload, "why", changes[i].why));
	return list_of;
}

static char *new_name(const struct arguments *arguments, const char *base)
{
	if (arguments->as)
		return nova_strdup(arguments->as);
	char *name = nova_format("%s-%s", base, arguments->workload);
	for (char *at = name; *at; at++)
		if (*at == ',')
			*at = '-';
	return name;
}

static int write_optimized(const struct arguments *arguments, const char *name, const char *base,
                           const struct nova_config *config, const struct workload_change *changes,
                           size_t count, struct nova_error *error)
{
	NOVA_AUTOTEXT struct nova_text text = {0};
	int code = check_new_name(arguments, name, error);
	if (code == 0)
		code = check_base(arguments, name, base, error);
	if (code != 0)
		return code;
	nova_text_addf(&text,
	               "# %s, adapted to %s by novacore profile optimize\n\n"
	               "inherits = \"%s\";\n",
	               base, arguments->workload, base);
	workload_write(config, changes, count, &text);
	return write_profile(arguments, name, base, nova_text_get(&text), error);
}

static int optimize(const struct arguments *arguments, struct nova_error *error)
{
	NOVA_AUTOCONFIG struct nova_config *config = NULL;
	struct workload_change *changes = NULL;
	size_t count = 0;

	if (!arguments->workload)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "profile optimize needs --workload; there are %s",
		                      workload_names());
	const char *base = profile_canonical(arguments->name);
	NOVA_AUTOFREE char *name = new_name(arguments, base);
	int code = load(arguments, base, &config, error);
	if (code == 0)
		code = workload_adapt(config, arguments->workload, &changes, &count, error);
	bool write = !arguments->dry_run && count > 0;
	if (code == 0 && !is_json(arguments) && count == 0)
		printf("%s already suits %s: nothing to change\n", base, arguments->workload);
	else if (code == 0 && !is_json(arguments))
		print_changes(changes, count);
	if (code == 0 && write)
		code = write_optimized(arguments, name, base, config, changes, count, error);
	if (code == 0 && is_json(arguments)) {
		NOVA_AUTOJSON json_t *all =
		        json_pack("{ss ss ss sb so}", "base", base, "name", name, "workload",
		                  arguments->workload, "written", write, "changes",
		                  changes_json(changes, count));
		print_json(all);
	}
	workload_changes_free(changes, count);
	return code;
}

/* --- command ---------------------------------------------------------------------------------- */

static const struct action {
	const char *name;
	int (*perform)(const struct arguments *arguments, struct nova_error *error);
	bool named, markdown;
} actions[] = {{"list", list, false, false},
               {"show", show, true, true},
               {"create", create, true, false},
               {"optimize", optimize, true, false}};

static const struct action *choose(int argc, char **argv, struct arguments *arguments,
                                   struct nova_error *error)
{
	const char *names[NOVA_COUNT(actions) + 1] = {NULL};
	const char *word = optind < argc ? argv[optind++] : NULL;

	for (size_t i = 0; i < NOVA_COUNT(actions); i++) {
		names[i] = actions[i].name;
		if (!word || strcmp(word, names[i]) != 0)
			continue;
		if (actions[i].named && optind < argc)
			arguments->name = argv[optind++];
		if (actions[i].named && !arguments->name)
			nova_error_set(error, NOVA_E_INVALID,
			               "profile %s needs a name; see: novacore profile --help",
			               word);
		else if (optind < argc)
			nova_error_set(
			        error, NOVA_E_INVALID,
			        "unexpected argument \"%.80s\" after profile %s; see: novacore "
			        "profile --help",
			        argv[optind], word);
		else
			return &actions[i];
		return NULL;
	}
	const char *nearest = word ? nova_nearest(word, names) : NULL;
	nova_error_set(error, NOVA_E_INVALID, "profile %s%.60s%s; see: novacore profile --help",
	               word ? "cannot \""
	                    : "needs to know what to do: list, show, create or optimize",
	               word ? word : "",
	               nearest ? "\"; did you mean "
	               : word  ? "\""
	                       : "");
	if (nearest)
		nova_error_set(
		        error, NOVA_E_INVALID,
		        "profile cannot \"%.60s\"; did you mean %s? See: novacore profile --help",
		        word, nearest);
	return NULL;
}

static int check_format(const struct action *action, const char *format, struct nova_error *error)
{
	if (strcmp(format, "table") == 0 || strcmp(format, "json") == 0 ||
	    (action->markdown && strcmp(format, "markdown") == 0))
		return 0;
	return nova_error_set(
	        error, NOVA_E_INVALID,
	        "--format %.40s is not known to profile %s; it can be table or json%s", format,
	        action->name, action->markdown ? " or markdown" : "");
}

static int perform(const struct action *action, struct arguments *arguments,
                   struct nova_error *error)
{
	PROFILE_AUTOLIST struct profile_list profiles = {0};
	struct nova_registry *registry = NULL;

	int code = check_format(action, arguments->format, error);
	if (code == 0)
		code = nova_registry_scan(&registry, error);
	if (code != 0)
		return code;
	profile_list_read(registry, &profiles);
	arguments->registry = registry;
	arguments->profiles = &profiles;
	code = action->perform(arguments, error);
	nova_registry_free(registry);
	return code;
}

int nova_command_profile(int argc, char **argv)
{
	enum { FROM = 1, SET, WORKLOAD, AS, DRY_RUN, FORCE, FORMAT };
	static const struct option options[] = {{"from", required_argument, NULL, FROM},
	                                        {"set", required_argument, NULL, SET},
	                                        {"workload", required_argument, NULL, WORKLOAD},
	                                        {"as", required_argument, NULL, AS},
	                                        {"dry-run", no_argument, NULL, DRY_RUN},
	                                        {"force", no_argument, NULL, FORCE},
	                                        {"format", required_argument, NULL, FORMAT},
	                                        NOVA_COMMON_OPTIONS,
	                                        {NULL, 0, NULL, 0}};
	NOVA_AUTOFREE const char **settings = nova_alloc((size_t)argc * sizeof(*settings));
	struct arguments arguments = {.format = "table", .settings = settings};
	struct nova_error error = {0};
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		switch (option) {
		case FROM: arguments.from = optarg; break;
		case SET: settings[arguments.setting_count++] = optarg; break;
		case WORKLOAD: arguments.workload = optarg; break;
		case AS: arguments.as = optarg; break;
		case DRY_RUN: arguments.dry_run = true; break;
		case FORCE: arguments.force = true; break;
		case FORMAT: arguments.format = optarg; break;
		default:
			arguments.quiet |= option == NOVA_OPTION_QUIET;
			int code = nova_common_option(option, argv, options, help);
			if (code >= 0)
				return code;
		}
	}
	const struct action *action = choose(argc, argv, &arguments, &error);
	if (!action || perform(action, &arguments, &error) != 0)
		return nova_complain(&error);
	return 0;
}
