/* SPDX-License-Identifier: MIT */
/*
 * `novacore config`: what is configured and where each value is from, whether a file is right, and
 * which settings there are.
 */
#include "core/cli/profiles.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
        "usage: novacore config show [KEY…] [--origin] [--all] [--profile NAME] [--config FILE]\n"
        "                            [--set KEY=VALUE]… [--format table|json]\n"
        "       novacore config check FILE\n"
        "       novacore config keys [KEY…] [--format table|json|markdown]\n"
        "\n"
        "  show    the settings that a run would have, all layers together: built-in defaults,\n"
        "          the environment profile, /etc/novacore/novacore.conf,\n"
        "          ~/.config/novacore/novacore.conf, --config, --set; the later one wins\n"
        "  check   is this file right? Says ok, or what is wrong and in which line (exit code 2).\n"
        "          Files of profiles (with inherits, or in a folder profiles/) are checked as "
        "such\n"
        "  keys    all settings with type, default, range and meaning; KEY may be a group\n"
        "          (run, hypervisor.kvm): those of plugins are shown when asked for\n"
        "\n"
        "  --origin              show: where each value is from, with the line in a file\n"
        "  --all                 show: settings without a value, too\n"
        "  --profile NAME        show: with this environment profile\n"
        "  --config FILE         show: with this file\n"
        "  --set KEY=VALUE       show: with this setting; may be given several times\n"
        "  --format FORMAT       how to print (default: table)\n" NOVA_COMMON_HELP "\n"
        "A file holds groups of settings. Sizes, durations and rates are texts with a unit:\n"
        "\n"
        "  profile = \"production\";\n"
        "  run = { samples = 40; budget = \"20min\"; shape = \"big\"; };\n"
        "  vm = { big = { vcpus = 4; memory = \"4GiB\"; }; };\n"
        "  benchmark = { lifecycle = { concurrency = [1, 5]; }; };\n"
        "  target = { lab = { plugin = \"kvm\"; uri = \"qemu+ssh://lab/system\"; }; };\n"
        "  goals = ( { metric = \"lifecycle.start.running\"; plugin = \"kvm\"; pass = \"5s\"; } "
        ");\n"
        "\n"
        "examples: on the command line keys have dots, and lists have commas\n"
        "  novacore config show run vm.standard --origin\n"
        "  novacore config show --profile hpc --set vm.compute.memory=2GiB --format json\n"
        "  novacore config show --set lifecycle.concurrency=1,5,10 benchmark\n"
        "  novacore config check ./novacore.conf\n"
        "  novacore config keys limits\n";

struct arguments {
	const char *profile, *file, *format;
	const char **settings;
	size_t setting_count;
	bool origin, all, quiet;
	char **keys; /* the rest of argv */
	int key_count;
};

/* Is `key` asked for: named itself, or by a group that it is in? */
static bool wanted(const struct arguments *arguments, const char *key)
{
	for (int i = 0; i < arguments->key_count; i++) {
		const char *name = arguments->keys[i];
		size_t length = strlen(name);
		if (length > 0 && name[length - 1] == '.')
			length--;
		if (strncmp(key, name, length) == 0 && (key[length] == '\0' || key[length] == '.'))
			return true;
	}
	return arguments->key_count == 0;
}

/* --- show ------------------------------------------------------------------------------------- */

struct showing {
	const struct arguments *arguments;
	const struct nova_config *config;
	struct grid grid;
	json_t *list;
	bool *found; /* for each key of the arguments */
};

static void mark_found(struct showing *showing, const char *key)
{
	for (int i = 0; i < showing->arguments->key_count; i++) {
		struct arguments one = {.keys = &showing->arguments->keys[i], .key_count = 1};
		showing->found[i] |= wanted(&one, key);
	}
}

static void show_entry(void *context, const struct nova_config_entry *entry)
{
	struct showing *showing = context;
	const struct arguments *arguments = showing->arguments;

	if (!wanted(arguments, entry->key))
		return;
	mark_found(showing, entry->key);
	if (!entry->value && !arguments->all && arguments->key_count == 0)
		return;
	grid_add(&showing->grid, entry->key);
	grid_add(&showing->grid, entry->value);
	if (arguments->origin)
		grid_add(&showing->grid, entry->origin);
	char type[32];
	nova_spec_type(entry->spec, type);
	json_t *typed = nova_config_declared(showing->config, entry->key)
	                        ? nova_config_json(showing->config, entry->key)
	                        : NULL;
	if (!typed && entry->value)
		typed = json_string(entry->value);
	json_array_append_new(showing->list, json_pack("{ss so? ss? ss ss?}", "key", entry->key,
	                                               "value", typed, "text", entry->value, "type",
	                                               type, "origin", entry->origin));
}

static int check_found(const struct showing *showing, struct nova_error *error)
{
	for (int i = 0; i < showing->arguments->key_count; i++)
		if (!showing->found[i])
			return nova_error_set(error, NOVA_E_NOT_FOUND,
			                      "there is no setting and no group \"%.80s\"; see "
			                      "novacore config keys",
			                      showing->arguments->keys[i]);
	return 0;
}

static int show(const struct arguments *arguments, struct nova_error *error)
{
	struct nova_settings settings;
	int code = nova_settings_load(arguments->profile, arguments->file, arguments->settings,
	                              arguments->setting_count, &settings, error);
	if (code != 0)
		return code;
	NOVA_AUTOFREE bool *found = nova_alloc((size_t)arguments->key_count * sizeof(*found));
	NOVA_AUTOJSON json_t *list = json_array();
	struct showing showing = {.arguments = arguments,
	                          .config = settings.config,
	                          .grid = {.columns = arguments->origin ? 3 : 2},
	                          .list = list,
	                          .found = found};
	grid_add(&showing.grid, "KEY");
	grid_add(&showing.grid, "VALUE");
	if (arguments->origin)
		grid_add(&showing.grid, "ORIGIN");
	nova_config_each(settings.config, show_entry, &showing);
	code = check_found(&showing, error);
	if (code == 0 && strcmp(arguments->format, "json") == 0) {
		NOVA_AUTOJSON json_t *all =
		        json_pack("{ss ss sO}", "schema", "novacore.config/1", "profile",
		                  settings.profile, "settings", list);
		json_dumpf(all, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (code == 0) {
		grid_print(&showing.grid, stdout);
	}
	grid_free(&showing.grid);
	nova_settings_free(&settings);
	return code;
}

/* --- check ------------------------------------------------------------------------------------ */

/* The name of the profile that `path` is the file of (…/profiles/NAME.conf), or NULL; heap. */
static char *profile_of(const char *path)
{
	NOVA_AUTOFREE char *real = realpath(path, NULL);
	char *slash = real ? strrchr(real, '/') : NULL;
	size_t length = slash ? strlen(slash + 1) : 0;

	if (length <= 5 || strcmp(slash + length - 4, ".conf") != 0)
		return NULL;
	*slash = '\0';
	char *folder = strrchr(real, '/');
	if (!folder || strcmp(folder + 1, "profiles") != 0)
		return NULL;
	return nova_format("%.*s", (int)length - 5, slash + 1);
}

static int check_profile(const struct nova_registry *registry, const struct profile_list *profiles,
                         const char *path, const char *name, const char *base,
                         struct nova_error *error)
{
	NOVA_AUTOCONFIG struct nova_config *config = settings_declare(registry);
	int code = 0;

	if (base && name && strcmp(profile_canonical(base), name) == 0)
		return nova_error_set(error, NOVA_E_INVALID, "%s: the profile %s inherits itself",
		                      path, name);
	/* where it lies, the file is in the list, with what is wrong with its name */
	for (size_t i = 0; name && i < profiles->count; i++)
		if (strcmp(profiles->items[i].name, name) == 0 && profiles->items[i].problem)
			return nova_error_set(error, NOVA_E_INVALID, "%s",
			                      profiles->items[i].problem);
	if (base)
		code = profile_add(profiles, base, config, error);
	if (code != 0) {
		nova_error_prefix(error, "%s", path);
		return code;
	}
	code = nova_config_add_file(config, NOVA_LAYER_PROFILE, path, true, error);
	if (code == 0)
		code = nova_config_finish(config, error);
	if (code == 0)
		code = settings_check_goals(registry, config, error);
	return code == 0 ? settings_check_suite(registry, config, error) : code;
}

/* Some settings count only there. */
static bool is_system_file(const char *path)
{
	NOVA_AUTOFREE char *system = nova_place(NOVA_PLACE_SYSTEM, "novacore.conf");
	NOVA_AUTOFREE char *real = realpath(path, NULL);
	NOVA_AUTOFREE char *real_system = realpath(system, NULL);

	return real && real_system && !strcmp(real, real_system);
}

static int check_settings(const struct nova_registry *registry, const struct profile_list *profiles,
                          const char *path, struct nova_error *error)
{
	NOVA_AUTOCONFIG struct nova_config *config = settings_declare(registry);
	enum nova_layer layer = is_system_file(path) ? NOVA_LAYER_SYSTEM : NOVA_LAYER_FILE;
	int code = nova_config_add_file(config, layer, path, true, error);
	const char *profile = code == 0 ? nova_config_early(config, "profile") : NULL;

	if (profile && (code = profile_add(profiles, profile, config, error)) != 0)
		nova_error_prefix(error, "%s: profile", path);
	if (code == 0)
		code = nova_config_finish(config, error);
	if (code == 0)
		code = settings_check_goals(registry, config, error);
	return code == 0 ? settings_check_suite(registry, config, error) : code;
}

static int check(const struct arguments *arguments, struct nova_error *error)
{
	const char *path = arguments->keys[0];
	NOVA_AUTOFREE char *text = nova_file_read(path, 1024 * 1024, NULL, error);
	NOVA_AUTOFREE char *name = profile_of(path), *base = NULL;
	PROFILE_AUTOLIST struct profile_list profiles = {0};
	struct nova_registry *registry = NULL;

	if (!text)
		return error->code;
	int code = nova_config_inherits(path, text, &base, error);
	if (code == 0)
		code = nova_registry_scan(&registry, error);
	if (code != 0)
		return code;
	profile_list_read(registry, &profiles);
	if (name || base)
		code = check_profile(registry, &profiles, path, name, base, error);
	else
		code = check_settings(registry, &profiles, path, error);
	nova_registry_free(registry);
	if (code == 0 && !arguments->quiet)
		printf("%s: ok%s%s%s\n", path, name || base ? ", a profile" : "",
		       base ? " that inherits " : "", base ? base : "");
	return code;
}

/* --- keys ------------------------------------------------------------------------------------- */

struct listing {
	const struct arguments *arguments;
	struct grid grid;
	json_t *list;
};

static char *range_of(const struct nova_spec *spec)
{
	NOVA_AUTOTEXT struct nova_text text = {0};

	for (char *const *choice = spec->choices; choice && *choice; choice++)
		nova_text_addf(&text, "%s%s", text.length ? ", " : "", *choice);
	if (spec->minimum && spec->maximum)
		nova_text_addf(&text, "%s to %s", spec->minimum, spec->maximum);
	else if (spec->minimum || spec->maximum)
		nova_text_addf(&text, "%s %s", spec->minimum ? "at least" : "at most",
		               spec->minimum ? spec->minimum : spec->maximum);
	return text.length ? nova_strdup(nova_text_get(&text)) : NULL;
}

static void list_entry(void *context, const struct nova_config_entry *entry)
{
	struct listing *listing = context;
	const struct nova_spec *spec = entry->spec;
	char type[32];

	if (!wanted(listing->arguments, entry->key) || strncmp(entry->key, "goal.", 5) == 0)
		return;
	NOVA_AUTOFREE char *range = range_of(spec);
	nova_spec_type(spec, type);
	grid_add(&listing->grid, entry->key);
	grid_add(&listing->grid, type);
	grid_add(&listing->grid, spec->flags & NOVA_PARAM_REQUIRED ? "(required)" : spec->fallback);
	grid_add(&listing->grid, range);
	grid_add(&listing->grid, spec->doc);
	json_array_append_new(listing->list,
	                      json_pack("{ss ss ss? ss? sb ss}", "key", entry->key, "type", type,
	                                "default", spec->fallback, "range", range, "required",
	                                (spec->flags & NOVA_PARAM_REQUIRED) != 0, "meaning",
	                                spec->doc));
}

/* Keys of plugins below what was asked for; the core's own come from its table. */
static void list_plugin_entry(void *context, const struct nova_config_entry *entry)
{
	static const char *const kinds[] = {"hypervisor.", "benchmark.", "optimizer."};
	for (size_t i = 0; i < NOVA_COUNT(kinds); i++)
		if (strncmp(entry->key, kinds[i], strlen(kinds[i])) == 0)
			list_entry(context, entry);
}

static int list_plugins(struct listing *listing, struct nova_error *error)
{
	struct nova_registry *registry = NULL;
	int code = nova_registry_scan(&registry, error);
	if (code != 0)
		return code;
	NOVA_AUTOCONFIG struct nova_config *config = settings_declare(registry);
	nova_config_each(config, list_plugin_entry, listing);
	nova_registry_free(registry);
	return 0;
}

static int keys(const struct arguments *arguments, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *list = json_array();
	struct listing listing = {.arguments = arguments, .grid = {.columns = 5}, .list = list};
	static const char *const headings[] = {"KEY", "TYPE", "DEFAULT", "RANGE", "MEANING"};
	int code = 0;

	for (size_t i = 0; i < NOVA_COUNT(headings); i++)
		grid_add(&listing.grid, headings[i]);
	nova_config_each_core(list_entry, &listing);
	if (arguments->key_count > 0)
		code = list_plugins(&listing, error);
	if (code == 0 && json_array_size(list) == 0)
		code = nova_error_set(error, NOVA_E_NOT_FOUND,
		                      "there is no setting and no group \"%.80s\"; novacore config "
		                      "keys lists the core's, novacore plugin list the plugins",
		                      arguments->keys[0]);
	if (code == 0 && strcmp(arguments->format, "json") == 0) {
		json_dumpf(list, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (code == 0 && strcmp(arguments->format, "markdown") == 0) {
		grid_print_markdown(&listing.grid, stdout);
	} else if (code == 0) {
		grid_print(&listing.grid, stdout);
	}
	grid_free(&listing.grid);
	return code;
}

/* --- command ---------------------------------------------------------------------------------- */

static const char *const show_formats[] = {"table", "json", NULL};
static const char *const keys_formats[] = {"table", "json", "markdown", NULL};

static const struct action {
	const char *name;
	int (*perform)(const struct arguments *arguments, struct nova_error *error);
	const char *const *formats;
} actions[] = {
        {"show", show, show_formats}, {"check", check, show_formats}, {"keys", keys, keys_formats}};

static const struct action *choose(int argc, char **argv, struct nova_error *error)
{
	const char *names[NOVA_COUNT(actions) + 1] = {NULL};

	if (optind == argc) {
		nova_error_set(
		        error, NOVA_E_INVALID,
		        "config needs to know what to do: show, check or keys; see: novacore "
		        "config --help");
		return NULL;
	}
	const char *name = argv[optind++];
	for (size_t i = 0; i < NOVA_COUNT(actions); i++) {
		names[i] = actions[i].name;
		if (strcmp(name, names[i]) == 0)
			return &actions[i];
	}
	const char *nearest = nova_nearest(name, names);
	nova_error_set(error, NOVA_E_INVALID,
	               "config cannot \"%.60s\"; %s%s%s; see: novacore config "
	               "--help",
	               name, nearest ? "did you mean " : "it can ",
	               nearest ? nearest : "show, check and keys", nearest ? "?" : "");
	return NULL;
}

static int check_arguments(const struct action *action, const struct arguments *arguments,
                           struct nova_error *error)
{
	bool known = false;
	for (const char *const *format = action->formats; *format; format++)
		known |= strcmp(*format, arguments->format) == 0;
	if (!known)
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "--format %.40s is not known to config %s; it can be table, json%s",
		        arguments->format, action->name,
		        action->formats == keys_formats ? " or markdown" : "");
	if (action->perform == check && arguments->key_count != 1)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "config check takes one file; see: novacore config --help");
	return 0;
}

int nova_command_config(int argc, char **argv)
{
	enum { ORIGIN = 1, ALL, PROFILE, FILE_, SET, FORMAT };
	static const struct option options[] = {{"origin", no_argument, NULL, ORIGIN},
	                                        {"all", no_argument, NULL, ALL},
	                                        {"profile", required_argument, NULL, PROFILE},
	                                        {"config", required_argument, NULL, FILE_},
	                                        {"set", required_argument, NULL, SET},
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
		case ORIGIN: arguments.origin = true; break;
		case ALL: arguments.all = true; break;
		case PROFILE: arguments.profile = optarg; break;
		case FILE_: arguments.file = optarg; break;
		case SET: settings[arguments.setting_count++] = optarg; break;
		case FORMAT: arguments.format = optarg; break;
		default:
			arguments.quiet |= option == NOVA_OPTION_QUIET;
			int code = nova_common_option(option, argv, options, help);
			if (code >= 0)
				return code;
		}
	}
	const struct action *action = choose(argc, argv, &error);
	if (!action)
		return nova_complain(&error);
	arguments.keys = argv + optind;
	arguments.key_count = argc - optind;
	if (check_arguments(action, &arguments, &error) != 0 ||
	    action->perform(&arguments, &error) != 0)
		return nova_complain(&error);
	return 0;
}
