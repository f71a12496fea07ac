/* SPDX-License-Identifier: MIT */
/*
 * `novacore plugin`: which plugins there are, which were refused and why, and what one of them
 * measures, takes and needs. All of it comes from manifests: nothing is loaded.
 */
#include "core/cli/cli.h"
#include "core/cli/plugin_actions.h"
#include "core/cli/profiles.h"

#include <novacore/tools/reference.h>

#include <stdlib.h>
#include <string.h>

static const char help[] =
        "usage: novacore plugin list [--kind KIND] [--refused] [--format table|json]\n"
        "       novacore plugin info NAME|KIND/NAME [--format table|json|markdown]\n"
        "       novacore plugin new KIND NAME [DIR]\n"
        "       novacore plugin check FILE|NAME [--set NAME=VALUE]…\n"
        "       novacore plugin keygen NAME [--output DIR]\n"
        "       novacore plugin sign FILE --key KEY\n"
        "       novacore plugin verify FILE [--key PUB]\n"
        "\n"
        "Plugins are what novacore can measure (benchmark), drive (hypervisor), suggest "
        "(optimizer)\n"
        "and how it is set up for an environment (profile).\n"
        "\n"
        "  list   every plugin, and those that were found but refused, each with a stable code\n"
        "         and what to do about it\n"
        "  info   one plugin: its parameters and how to set them, its metrics, what it needs\n"
        "  new    a project for a plugin of your own, ready to build\n"
        "  check  put a plugin through the contract, each check in a process of its own\n"
        "  keygen, sign, verify   keys and signatures: whose code may run\n"
        "\n"
        "  --kind KIND           list: only benchmark, hypervisor, optimizer or profile\n"
        "  --refused             list: only what was refused\n"
        "  --format FORMAT       how to print: table (default), json; info also markdown: "
        "summary,\n"
        "                        parameters and metrics, as in the plugin's manual page\n"
        "  --json                short for --format json\n" NOVA_COMMON_HELP "\n"
        "Plugins are found in lib/novacore/plugins below the prefix of this program, then in the\n"
        "directories of plugins.path in /etc/novacore/novacore.conf, then, for ordinary users, in\n"
        "those of NOVACORE_PLUGIN_PATH (absolute, separated by colons), each with a tree like "
        "that\n"
        "one: 1/hypervisor/NAME.so and NAME.manifest beside it. Nothing is loaded to list it.\n"
        "Privileged processes use only files that root alone can change, and outside the prefix\n"
        "only signed ones; see each action's --help.\n"
        "\n"
        "examples:\n"
        "  novacore plugin list --kind hypervisor\n"
        "  novacore plugin info lifecycle           what it measures and which parameters it "
        "takes\n"
        "  novacore plugin info profile/hpc         the settings of a profile\n"
        "  novacore run --plugin kvm --set benchmark.lifecycle.concurrency=4\n";

struct arguments {
	const char *action, *name;
	uint32_t kind;
	bool refused, json, markdown;
};

/* --- tables ---------------------------------------------------------------------------------- */

static void add_cells(struct grid *grid, const char *const cells[])
{
	for (size_t i = 0; i < grid->columns; i++)
		grid_add(grid, cells[i]);
}

static char *join(char *const *texts)
{
	struct nova_text list = {0};

	for (char *const *text = texts; text && *text; text++)
		nova_text_addf(&list, "%s%s", list.length ? ", " : "", *text);
	if (!list.data)
		nova_text_add(&list, "–");
	return list.data;
}

/* --- JSON ------------------------------------------------------------------------------------ */

static json_t *strings_json(char *const *texts)
{
	json_t *array = json_array();

	for (char *const *text = texts; text && *text; text++)
		json_array_append_new(array, json_string(*text));
	return array;
}

static json_t *parameters_json(const struct nova_manifest *plugin)
{
	json_t *array = json_array();

	for (size_t i = 0; i < plugin->spec_count; i++) {
		const struct nova_spec *spec = &plugin->specs[i];
		json_array_append_new(
		        array,
		        json_pack("{s:s,s:s,s:b,s:b,s:b,s:b,s:s?,s:s?,s:s?,s:o,s:s}", "name",
		                  spec->name, "type", nova_param_type_name(spec->type), "list",
		                  (spec->flags & NOVA_PARAM_LIST) != 0, "required",
		                  (spec->flags & NOVA_PARAM_REQUIRED) != 0, "each",
		                  (spec->flags & NOVA_PARAM_EACH) != 0, "vms",
		                  (spec->flags & NOVA_PARAM_VMS) != 0, "default", spec->fallback,
		                  "minimum", spec->minimum, "maximum", spec->maximum, "choices",
		                  spec->choices ? strings_json(spec->choices) : json_null(), "doc",
		                  spec->doc));
	}
	return array;
}

static json_t *metrics_json(const struct nova_manifest *plugin)
{
	json_t *array = json_array();

	for (size_t i = 0; i < plugin->metric_count; i++) {
		const struct nova_manifest_metric *metric = &plugin->metrics[i];
		json_array_append_new(array,
		                      json_pack("{s:s,s:s,s:s,s:i,s:s}", "name", metric->name,
		                                "unit", nova_unit_name(metric->unit), "better",
		                                nova_better_name(metric->better), "revision",
		                                (int)metric->revision, "doc", metric->doc));
	}
	return array;
}

static json_t *trust_json(const struct nova_manifest *plugin)
{
	const struct nova_signer *signer = &plugin->signer;
	bool is_signed = signer->id[0] != '\0';

	return json_pack("{s:s,s:s,s:s?,s:s?,s:s?}", "because", nova_trusted_word(plugin->trusted),
	                 "signature", nova_signed_word(signer->state), "key",
	                 is_signed ? signer->name : NULL, "key_id", is_signed ? signer->id : NULL,
	                 "key_file", signer->key_path);
}

static json_t *plugin_json(const struct nova_manifest *plugin)
{
	return json_pack(
	        "{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:{s:i,s:i,s:i},s:s,s:i,s:i,s:b,s:o,s:o,s:o,s:o,"
	        "s:o,s:s?,s:o}",
	        "kind", nova_kind_name(plugin->kind), "name", plugin->name, "version",
	        plugin->version, "summary", plugin->summary, "license", plugin->license, "path",
	        plugin->path, "sha256", plugin->sha256, "abi", "major", (int)plugin->major, "minor",
	        (int)plugin->minor, "min_minor", (int)plugin->min_minor, "threads",
	        nova_thread_model_name(plugin->thread_model), "targets_min",
	        (int)plugin->targets_min, "targets_max", (int)plugin->targets_max, "native",
	        (int)plugin->native, "needs", strings_json(plugin->needs), "ops",
	        strings_json(plugin->ops), "hints", strings_json(plugin->hints), "parameters",
	        parameters_json(plugin), "metrics", metrics_json(plugin), "settings",
	        plugin->settings, "trust", trust_json(plugin));
}

static json_t *refusal_json(const struct nova_refusal *refusal)
{
	return json_pack("{s:s,s:s,s:s,s:s}", "code", nova_refusal_code(refusal->reason), "kind",
	                 nova_kind_name(refusal->kind), "path", refusal->path, "why",
	                 refusal->text);
}

static void print_json(json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
}

/* --- list ------------------------------------------------------------------------------------ */

static bool is_listed(const struct arguments *arguments, uint32_t kind)
{
	return !arguments->kind || arguments->kind == kind;
}

static void list_json(const struct arguments *arguments, const struct nova_registry *registry)
{
	json_t *plugins = json_array(), *refused = json_array(), *problems = json_array();

	for (size_t i = 0; i < registry->plugin_count && !arguments->refused; i++) {
		if (is_listed(arguments, registry->plugins[i]->kind))
			json_array_append_new(plugins, plugin_json(registry->plugins[i]));
	}
	for (size_t i = 0; i < registry->refusal_count; i++) {
		if (is_listed(arguments, registry->refusals[i].kind))
			json_array_append_new(refused, refusal_json(&registry->refusals[i]));
	}
	for (size_t i = 0; i < registry->problem_count; i++)
		json_array_append_new(problems, json_string(registry->problems[i]));
	print_json(json_pack("{s:s,s:{s:i,s:i},s:o,s:o,s:o}", "schema", "novacore.plugins/1", "abi",
	                     "major", (int)NOVA_ABI_MAJOR, "minor", (int)NOVA_ABI_MINOR, "plugins",
	                     plugins, "refused", refused, "problems", problems));
}

static void list_accepted(const struct arguments *arguments, const struct nova_registry *registry)
{
	GRID_AUTO struct grid grid = {.columns = 4};
	NOVA_AUTOFREE char *kind =
	        nova_format("%s%s", arguments->kind ? nova_kind_name(arguments->kind) : "",
	                    arguments->kind ? " " : "");

	add_cells(&grid, (const char *const[]){"KIND", "NAME", "VERSION", "SUMMARY"});
	for (size_t i = 0; i < registry->plugin_count; i++) {
		const struct nova_manifest *plugin = registry->plugins[i];
		if (is_listed(arguments, plugin->kind))
			add_cells(&grid,
			          (const char *const[]){nova_kind_name(plugin->kind), plugin->name,
			                                plugin->version, plugin->summary});
	}
	if (grid.count > grid.columns)
		grid_print(&grid, stdout);
	else
		printf("No %splugin was found. They are installed with novacore, or stand in the\n"
		       "directories of NOVACORE_PLUGIN_PATH; see novacore plugin --help\n",
		       kind);
}

static void list_refused(const struct arguments *arguments, const struct nova_registry *registry)
{
	size_t count = 0;

	for (size_t i = 0; i < registry->refusal_count; i++)
		count += is_listed(arguments, registry->refusals[i].kind);
	if (!count) {
		if (arguments->refused)
			puts("No plugin was refused.");
		return;
	}
	printf("%sRefused:\n", arguments->refused ? "" : "\n");
	for (size_t i = 0; i < registry->refusal_count; i++) {
		const struct nova_refusal *refusal = &registry->refusals[i];
		if (is_listed(arguments, refusal->kind))
			printf("  %-15s  %s\n", nova_refusal_code(refusal->reason), refusal->text);
	}
}

static int list(const struct arguments *arguments, const struct nova_registry *registry)
{
	if (arguments->json) {
		list_json(arguments, registry);
		return 0;
	}
	if (!arguments->refused)
		list_accepted(arguments, registry);
	list_refused(arguments, registry);
	return 0;
}

/* --- info ------------------------------------------------------------------------------------ */

static char *values_of(const struct nova_spec *spec)
{
	if (spec->choices)
		return join(spec->choices);
	if (spec->type == NOVA_PARAM_BOOLEAN)
		return nova_strdup("true, false");
	if (spec->minimum && spec->maximum)
		return nova_format("%s … %s", spec->minimum, spec->maximum);
	if (spec->minimum)
		return nova_format("at least %s", spec->minimum);
	if (spec->maximum)
		return nova_format("at most %s", spec->maximum);
	return nova_strdup("any");
}

static const char *default_of(const struct nova_spec *spec)
{
	if (spec->flags & NOVA_PARAM_REQUIRED)
		return "(required)";
	return spec->fallback && !*spec->fallback ? "(empty)" : spec->fallback;
}

static void print_parameters(const struct nova_manifest *plugin)
{
	GRID_AUTO struct grid grid = {.columns = 5};

	if (!plugin->spec_count)
		return;
	printf("\nParameters: --set %s.%s.NAME=VALUE%s\n", nova_kind_name(plugin->kind),
	       plugin->name,
	       plugin->kind == NOVA_KIND_HYPERVISOR
	               ? ", or for one target --set target.TARGET.NAME=VALUE"
	               : "");
	add_cells(&grid, (const char *const[]){"  NAME", "TYPE", "DEFAULT", "VALUES", "MEANING"});
	for (size_t i = 0; i < plugin->spec_count; i++) {
		const struct nova_spec *spec = &plugin->specs[i];
		const char *extra = spec->flags & NOVA_PARAM_EACH   ? ", one step each"
		                    : spec->flags & NOVA_PARAM_LIST ? ", list"
		                                                    : "";
		NOVA_AUTOFREE char *name = nova_format("  %s", spec->name);
		NOVA_AUTOFREE char *type =
		        nova_format("%s%s", nova_param_type_name(spec->type), extra);
		NOVA_AUTOFREE char *values = values_of(spec);
		add_cells(&grid,
		          (const char *const[]){name, type, default_of(spec), values, spec->doc});
	}
	grid_print(&grid, stdout);
}

static void print_metrics(const struct nova_manifest *plugin)
{
	GRID_AUTO struct grid grid = {.columns = 5};

	if (!plugin->metric_count)
		return;
	puts("\nMetrics");
	add_cells(&grid, (const char *const[]){"  NAME", "UNIT", "BETTER", "REVISION", "MEANING"});
	for (size_t i = 0; i < plugin->metric_count; i++) {
		const struct nova_manifest_metric *metric = &plugin->metrics[i];
		NOVA_AUTOFREE char *name = nova_format("  %s", metric->name);
		NOVA_AUTOFREE char *revision = nova_format("%u", metric->revision);
		add_cells(&grid, (const char *const[]){name, nova_unit_name(metric->unit),
		                                       nova_better_name(metric->better), revision,
		                                       metric->doc});
	}
	grid_print(&grid, stdout);
}

/* What the plugin's manual page takes from the manifest: the same printer as novacore-manifest's.
 */
static int info_markdown(const struct nova_manifest *plugin)
{
	struct nova_error error = {0};
	config_t config;
	int result = 0;

	config_init(&config);
	if (config_read_file(&config, plugin->manifest_path)) {
		nova_reference_print(&config, stdout);
	} else {
		nova_error_set(&error, NOVA_E_IO, "%s:%d: %s", plugin->manifest_path,
		               config_error_line(&config), config_error_text(&config));
		result = nova_complain(&error);
	}
	config_destroy(&config);
	return result;
}

static void print_settings(const struct nova_manifest *plugin)
{
	NOVA_AUTOFREE char *text = nova_strdup(plugin->settings);
	char *rest = NULL;

	if (!text)
		return;
	puts("\nSettings");
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, "# SPDX", 6))
			printf("  %s\n", line);
	}
}

static void print_trust(const struct nova_manifest *plugin)
{
	static const char *const because[] = {
	        [NOVA_TRUSTED_PREFIX] = "it lies in the prefix of this novacore",
	        [NOVA_TRUSTED_SIGNATURE] = "its signature is of a trusted key",
	        [NOVA_TRUSTED_OWNER] = "it belongs to you or to root",
	};
	const struct nova_signer *signer = &plugin->signer;

	printf("  trusted   %s: %s\n", nova_trusted_word(plugin->trusted),
	       because[plugin->trusted]);
	if (signer->state == NOVA_SIGNED_WELL)
		printf("  signed    by %s (%s), %s\n", signer->name, signer->id, signer->key_path);
	else if (signer->state == NOVA_SIGNED_UNKNOWN)
		printf("  signed    with a key that is not known here, so it proves nothing:\n"
		       "            %s, which calls itself %s\n",
		       signer->id, signer->name);
	else
		puts("  signed    no");
}

static void print_targets(const struct nova_manifest *plugin, const char *needs)
{
	printf("  targets   at least %u", plugin->targets_min);
	if (plugin->targets_max == NOVA_TARGETS_ALL)
		printf(", all of a run in one step");
	else if (plugin->targets_max > plugin->targets_min && plugin->targets_max > 1)
		printf(", up to %u in one step", plugin->targets_max);
	printf("%s\n  needs     %s\n", plugin->native ? ", beside this host itself" : "", needs);
}

static void info_table(const struct nova_manifest *plugin)
{
	NOVA_AUTOFREE char *ops = join(plugin->ops);
	NOVA_AUTOFREE char *needs = join(plugin->needs);

	printf("%s/%s %s\n%s\n\n", nova_kind_name(plugin->kind), plugin->name, plugin->version,
	       plugin->summary);
	printf("  file      %s\n  sha256    %s\n  license   %s\n", plugin->path, plugin->sha256,
	       plugin->license);
	print_trust(plugin);
	printf("  ABI       %u.%u: works with %u.%u and later\n", plugin->major, plugin->minor,
	       plugin->major, plugin->min_minor);
	printf("  threads   %s\n", nova_thread_model_name(plugin->thread_model));
	if (plugin->kind == NOVA_KIND_BENCHMARK)
		print_targets(plugin, needs);
	if (plugin->kind != NOVA_KIND_PROFILE)
		printf("  ops       %s\n", ops);
	print_parameters(plugin);
	print_metrics(plugin);
	print_settings(plugin);
}

static int info(const struct arguments *arguments, const struct nova_registry *registry)
{
	struct nova_error error = {0};
	NOVA_AUTOFREE char *name = nova_strdup(arguments->name);
	char *slash = strchr(name, '/');
	uint32_t kind = arguments->kind;

	if (slash) {
		*slash = '\0';
		kind = nova_kind_parse(name);
		if (!kind) {
			nova_error_set(&error, NOVA_E_INVALID,
			               "`%s` is no kind of plugin: benchmark, hypervisor, "
			               "optimizer, profile",
			               name);
			return nova_complain(&error);
		}
	}
	const struct nova_manifest *plugin =
	        nova_registry_find(registry, kind, slash ? slash + 1 : name, &error);
	if (!plugin)
		return nova_complain(&error);
	if (arguments->json)
		print_json(plugin_json(plugin));
	else if (arguments->markdown)
		return info_markdown(plugin);
	else
		info_table(plugin);
	return 0;
}

/* --- the command ----------------------------------------------------------------------------- */

NOVA_PRINTF(1, 2) static int usage(const char *format, ...)
{
	struct nova_error error = {0};
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	nova_error_set(&error, NOVA_E_INVALID, "%s", text);
	return nova_complain(&error);
}

/* Values that are chosen from a few words. Returns -1 to go on. */
static int take_option(int option, struct arguments *arguments)
{
	switch (option) {
	case 'k':
		arguments->kind = nova_kind_parse(optarg);
		if (!arguments->kind)
			return usage(
			        "--kind %s: there are benchmark, hypervisor, optimizer, profile",
			        optarg);
		return -1;
	case 'f':
		arguments->json = !strcmp(optarg, "json");
		arguments->markdown = !strcmp(optarg, "markdown");
		if (!arguments->json && !arguments->markdown && strcmp(optarg, "table"))
			return usage("--format %s: there are table, json and (info) markdown",
			             optarg);
		return -1;
	case 'j': arguments->json = true; return -1;
	default: arguments->refused = true; return -1;
	}
}

/* Actions with files of their own, and their own --help. */
static const struct {
	const char *name;
	int (*act)(int argc, char **argv);
} actions[] = {{"new", nova_plugin_new},
               {"check", nova_plugin_check},
               {"keygen", nova_plugin_keygen},
               {"sign", nova_plugin_sign},
               {"verify", nova_plugin_verify}};

static int unknown_action(const char *word)
{
	const char *names[NOVA_COUNT(actions) + 3] = {"list", "info"};

	for (size_t i = 0; i < NOVA_COUNT(actions); i++)
		names[i + 2] = actions[i].name;
	const char *near = nova_nearest(word, names);
	return usage("there is no novacore plugin %s%s%s%s; see novacore plugin --help", word,
	             near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
}

static int parse(int argc, char **argv, struct arguments *arguments)
{
	static const struct option options[] = {{"kind", required_argument, NULL, 'k'},
	                                        {"refused", no_argument, NULL, 'r'},
	                                        {"format", required_argument, NULL, 'f'},
	                                        {"json", no_argument, NULL, 'j'},
	                                        NOVA_COMMON_OPTIONS,
	                                        {NULL, 0, NULL, 0}};
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		bool own = option == 'k' || option == 'r' || option == 'f' || option == 'j';
		int result = own ? take_option(option, arguments)
		                 : nova_common_option(option, argv, options, help);
		if (result >= 0)
			return result;
	}
	argc -= optind;
	argv += optind;
	if (!argc)
		return usage(
		        "say what to do: list, info NAME, new, check, keygen, sign or verify; see "
		        "novacore plugin --help");
	arguments->action = argv[0];
	arguments->name = argc > 1 ? argv[1] : NULL;
	bool info = !strcmp(arguments->action, "info");
	if (!info && strcmp(arguments->action, "list"))
		return unknown_action(arguments->action);
	if (info && !arguments->name)
		return usage("novacore plugin info needs the name of a plugin; see novacore "
		             "plugin list");
	if (argc > (info ? 2 : 1))
		return usage("what is `%s`? see novacore plugin --help", argv[info ? 2 : 1]);
	if (info && arguments->refused)
		return usage("--refused goes with list");
	if (!info && arguments->markdown)
		return usage("--format markdown goes with info");
	return -1;
}

int nova_command_plugin(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < NOVA_COUNT(actions); i++)
		if (!strcmp(argv[1], actions[i].name))
			return actions[i].act(argc - 1, argv + 1);

	struct arguments arguments = {0};
	struct nova_registry *registry;
	struct nova_error error = {0};
	int result = parse(argc, argv, &arguments);

	if (result >= 0)
		return result;
	if (nova_registry_scan(&registry, &error))
		return nova_complain(&error);
	result = !strcmp(arguments.action, "info") ? info(&arguments, registry)
	                                           : list(&arguments, registry);
	nova_registry_free(registry);
	return result;
}
