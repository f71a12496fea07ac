/* SPDX-License-Identifier: MIT */
/*
 * Which plugins there are: looks into the known directories, keeps what passes the static check,
 * records what does not and why. Executes nothing.
 */
#include "core/plugin/inside.h"

#include <novacore/tools/describe.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYSTEM_FILE_LIMIT (1u << 20)

static const uint32_t kinds[] = {NOVA_KIND_BENCHMARK, NOVA_KIND_HYPERVISOR, NOVA_KIND_OPTIMIZER,
                                 NOVA_KIND_PROFILE};

static const char *word_or_unknown(const char *word)
{
	return word ? word : "unknown";
}

const char *nova_kind_name(uint32_t kind)
{
	return word_or_unknown(nova_word_of(nova_kind_words, kind));
}

uint32_t nova_kind_parse(const char *name)
{
	return *name ? nova_word_value(nova_kind_words, name) : 0;
}

const char *nova_param_type_name(uint32_t type)
{
	return word_or_unknown(nova_word_of(nova_param_words, type));
}

const char *nova_thread_model_name(uint32_t model)
{
	return word_or_unknown(model % 1000 ? NULL : nova_word_of(nova_thread_words, model / 1000));
}

const char *nova_better_name(uint32_t better)
{
	return word_or_unknown(nova_word_of(nova_better_words, better));
}

/* --- scanning -------------------------------------------------------------------------------- */

/* On one line, and nothing that a terminal would obey. */
static void tidy(char *text)
{
	nova_text_clean(text);
	for (; text && *text; text++)
		if (*text == '\n' || *text == '\t')
			*text = '?';
}

/* Names of files are chosen by whoever put them there: they must not reach a terminal, or JSON,
 * with anything in them but text. */
static char *printable(const char *text)
{
	char *copy = nova_strdup(text);

	tidy(copy);
	return copy;
}

/* So is what a manifest says; the worker compares the plugin with the file itself. */
static void tidy_list(char **texts)
{
	for (; texts && *texts; texts++)
		tidy(*texts);
}

static void tidy_manifest(struct nova_manifest *manifest)
{
	tidy(manifest->version);
	tidy(manifest->summary);
	tidy(manifest->license);
	tidy_list(manifest->ops);
	tidy_list(manifest->needs);
	tidy_list(manifest->hints);
	nova_text_clean(manifest->settings);
	for (size_t i = 0; i < manifest->spec_count; i++) {
		struct nova_spec *spec = &manifest->specs[i];

		tidy(spec->name);
		tidy(spec->doc);
		tidy(spec->fallback);
		tidy(spec->minimum);
		tidy(spec->maximum);
		tidy_list(spec->choices);
	}
	for (size_t i = 0; i < manifest->metric_count; i++) {
		tidy(manifest->metrics[i].name);
		tidy(manifest->metrics[i].doc);
	}
}

static void record_refusal(struct nova_registry *registry, enum nova_refusal_reason reason,
                           uint32_t kind, const char *path, const char *text)
{
	registry->refusals =
	        nova_grow(registry->refusals, registry->refusal_count, sizeof(struct nova_refusal));
	registry->refusals[registry->refusal_count++] = (struct nova_refusal){
	        .reason = reason,
	        .kind = kind,
	        .path = printable(path),
	        .text = printable(text),
	};
}

static const struct nova_manifest *find_exact(const struct nova_registry *registry, uint32_t kind,
                                              const char *name)
{
	for (size_t i = 0; i < registry->plugin_count; i++) {
		const struct nova_manifest *plugin = registry->plugins[i];
		if (plugin->kind == kind && !strcmp(plugin->name, name))
			return plugin;
	}
	return NULL;
}

/* Takes the manifest over. */
static void add_plugin(struct nova_registry *registry, struct nova_manifest *manifest)
{
	const struct nova_manifest *first = find_exact(registry, manifest->kind, manifest->name);

	if (first) {
		NOVA_AUTOFREE char *text = nova_format(
		        "%s is a second plugin %s/%s; the first, %s, is used. Remove one of them",
		        manifest->path, nova_kind_name(manifest->kind), manifest->name,
		        first->path);
		record_refusal(registry, NOVA_REFUSED_DUPLICATE, manifest->kind, manifest->path,
		               text);
		nova_manifest_free(manifest);
		return;
	}
	tidy_manifest(manifest);
	registry->plugins = nova_grow(registry->plugins, registry->plugin_count,
	                              sizeof(struct nova_manifest *));
	registry->plugins[registry->plugin_count++] = manifest;
}

/* Files that are meant as plugins: what ends in .so, or has a version after it. */
static int is_candidate(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);
	const char *so = strstr(entry->d_name, ".so.");

	if (length >= 3 && !strcmp(entry->d_name + length - 3, ".so"))
		return 1;
	return so && so[4] && !so[4 + strspn(so + 4, "0123456789.")];
}

static void scan_file(struct nova_registry *registry, const struct nova_check *check,
                      bool directory_refused, enum nova_refusal_reason reason, const char *file,
                      struct nova_error *error)
{
	struct nova_manifest *manifest;

	if (!directory_refused &&
	    !nova_check_file(check, file, &manifest, NULL, NULL, &reason, error)) {
		add_plugin(registry, manifest);
		return;
	}
	NOVA_AUTOFREE char *path = nova_format("%s/%s", check->directory, file);
	record_refusal(registry, reason, check->kind, path, error->text);
}

/* `refused`, and then `reason` and `error`: the directory itself is not trusted, and so is nothing
 * in it. */
static void scan_directory(struct nova_registry *registry, struct nova_check *check, bool refused,
                           enum nova_refusal_reason reason, struct nova_error *error)
{
	struct dirent **entries;
	int count = scandirat(check->fd, ".", &entries, is_candidate, alphasort);

	if (count < 0) {
		NOVA_AUTOFREE char *text = nova_format("cannot list the directory %s: %s",
		                                       check->directory, strerror(errno));
		record_refusal(registry, NOVA_REFUSED_UNREADABLE, check->kind, check->directory,
		               text);
		return;
	}
	for (int i = 0; i < count; i++) {
		scan_file(registry, check, refused, reason, entries[i]->d_name, error);
		free(entries[i]);
	}
	free(entries);
}

static void scan_kind(struct nova_registry *registry, struct nova_check *check, const char *root,
                      uint32_t kind)
{
	NOVA_AUTOFREE char *path =
	        nova_format("%s/%u/%s", root, NOVA_ABI_MAJOR, nova_kind_name(kind));
	NOVA_AUTOFREE char *canonical = realpath(path, NULL);
	enum nova_refusal_reason reason = NOVA_REFUSED_UNREADABLE;
	struct nova_error error = {0};
	NOVA_AUTOCLOSE int fd = -1;

	if (!canonical && errno == ENOENT)
		return;
	if (!canonical)
		nova_error_errno(&error, "cannot open the directory %s", path);
	bool refused =
	        !canonical || nova_trust_open(&check->trust, canonical, &fd, &reason, &error);
	if (refused && canonical) /* only to say which plugins are refused with it */
		fd = open(canonical, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		record_refusal(registry, reason, kind, path, error.text);
		return;
	}
	check->directory = canonical;
	check->fd = fd;
	check->kind = kind;
	scan_directory(registry, check, refused, reason, &error);
}

static int compare_plugins(const void *a, const void *b)
{
	const struct nova_manifest *left = *(struct nova_manifest *const *)a;
	const struct nova_manifest *right = *(struct nova_manifest *const *)b;

	if (left->kind != right->kind)
		return left->kind < right->kind ? -1 : 1;
	return strcmp(left->name, right->name);
}

int nova_registry_scan_roots(const char *const *roots, const struct nova_trust *trust,
                             struct nova_registry **registry, struct nova_error *error)
{
	struct nova_registry *result = nova_alloc(sizeof(*result));
	struct nova_check check = {.trust = *trust, .libraries = nova_libraries_new()};

	(void)error;
	for (const char *const *root = roots; *root; root++) {
		for (size_t i = 0; i < NOVA_COUNT(kinds); i++)
			scan_kind(result, &check, *root, kinds[i]);
	}
	nova_libraries_free(check.libraries);
	if (result->plugin_count)
		qsort(result->plugins, result->plugin_count, sizeof(*result->plugins),
		      compare_plugins);
	*registry = result;
	return 0;
}

/* --- where ----------------------------------------------------------------------------------- */

/* <prefix>/bin/novacore, or <build>/novacore. */
char *nova_prefix(struct nova_error *error)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (length < 0) {
		nova_error_errno(error, "cannot find the running program in /proc/self/exe, and "
		                        "with it its plugins; is /proc mounted?");
		return NULL;
	}
	path[length] = '\0';
	*strrchr(path, '/') = '\0';
	NOVA_AUTOFREE char *beside = nova_format("%s/lib/novacore/plugins", path);
	char *name = strrchr(path, '/');
	if (name && !strcmp(name, "/bin") && access(beside, F_OK))
		*name = '\0';
	return nova_strdup(path);
}

int nova_trust_begin(struct nova_trust *trust, struct nova_error *error)
{
	NOVA_AUTOFREE char *prefix = nova_prefix(error);

	*trust = nova_trust_now();
	if (!prefix)
		return error ? error->code : NOVA_E_UNAVAILABLE;
	NOVA_AUTOFREE char *own = nova_format("%s/lib/novacore/plugins", prefix);
	trust->own = realpath(own, NULL);
	trust->keys = nova_keys_here(trust, prefix);
	return 0;
}

void nova_trust_end(struct nova_trust *trust)
{
	free((char *)(uintptr_t)trust->own);
	nova_keys_free((struct nova_keys *)(uintptr_t)trust->keys);
	*trust = (struct nova_trust){0};
}

/* Directories to search. */
struct roots {
	char **items; /* NULL-terminated */
	size_t count;
};

/* Takes `text` over. What is named twice is searched once, or each plugin were its own double. */
static void add_root(struct roots *roots, char *text)
{
	NOVA_AUTOFREE char *real = realpath(text, NULL);

	for (size_t i = 0; real && i < roots->count; i++) {
		NOVA_AUTOFREE char *other = realpath(roots->items[i], NULL);
		if (other && !strcmp(real, other)) {
			free(text);
			return;
		}
	}
	roots->items = nova_realloc(roots->items, (roots->count + 2) * sizeof(*roots->items));
	roots->items[roots->count++] = text;
	roots->items[roots->count] = NULL;
}

static void clear_roots(struct roots *roots)
{
	for (size_t i = 0; i < roots->count; i++)
		free(roots->items[i]);
	free(roots->items);
}

NOVA_PRINTF(2, 3)
static void add_problem(struct nova_registry *registry, const char *format, ...)
{
	struct nova_error text = {0};
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text.text, sizeof(text.text), format, arguments);
	va_end(arguments);
	registry->problems = nova_grow(registry->problems, registry->problem_count, sizeof(char *));
	registry->problems[registry->problem_count++] = printable(text.text);
}

/* The system's configuration, if nobody could have changed it who must not; heap. */
static char *read_system_file(const struct nova_trust *trust, const char *path,
                              struct nova_error *error)
{
	NOVA_AUTOFREE char *canonical = realpath(path, NULL);
	enum nova_refusal_reason reason;
	NOVA_AUTOCLOSE int fd = -1;
	size_t bytes;

	if (!canonical) {
		nova_error_errno(error, "cannot look at %s", path);
		return NULL;
	}
	char *slash = strrchr(canonical, '/');
	*slash = '\0';
	if (nova_trust_open(trust, *canonical ? canonical : "/", &fd, &reason, error))
		return NULL;
	return nova_trust_read(trust, fd, slash + 1, path, SYSTEM_FILE_LIMIT, &bytes, NULL, &reason,
	                       error);
}

/*
 * `plugins.path` says whose code runs, so it is taken only from a file that obeys the rules for
 * plugins. Whether the rest of that file is right is for those who need the rest.
 */
static void add_configured(struct nova_registry *registry, const struct nova_trust *trust,
                           struct roots *roots)
{
	NOVA_AUTOCONFIG struct nova_config *config = nova_config_new();
	NOVA_AUTOFREE char *path = nova_place(NOVA_PLACE_SYSTEM, "novacore.conf");
	struct nova_error error = {0};

	if (access(path, F_OK) && errno == ENOENT)
		return;
	NOVA_AUTOFREE char *text = read_system_file(trust, path, &error);
	/* who does not use plugins.path need not hear of it */
	NOVA_AUTOFREE char *anyway =
	        text ? NULL : nova_file_read(path, SYSTEM_FILE_LIMIT, NULL, NULL);
	const char *said = text ? text : anyway;
	if (said && !strstr(said, "plugins"))
		return;
	if (!text || nova_config_add_text(config, NOVA_LAYER_SYSTEM, path, text, &error)) {
		add_problem(registry, "%s; directories that %s names for plugins are not searched",
		            error.text, path);
		return;
	}
	char **list = nova_config_early_list(config, "plugins.path");
	for (size_t i = 0; list && list[i]; i++) {
		if (*list[i] == '/' && !access(list[i], F_OK)) {
			add_root(roots, list[i]);
			continue;
		}
		add_problem(registry, "%s: plugins.path: %.200s is %s; it is not searched", path,
		            list[i], *list[i] != '/' ? "not an absolute path" : strerror(errno));
		free(list[i]);
	}
	free(list);
}

/* NOVACORE_PLUGIN_PATH; only absolute directories count, since the current directory is nobody's
 * decision. */
static void add_environment(struct roots *roots, const struct nova_trust *trust)
{
	NOVA_AUTOFREE char *list = nova_strdup(getenv("NOVACORE_PLUGIN_PATH"));
	char *rest = NULL;

	if (!list || !*list)
		return;
	if (trust->privileged) {
		nova_log(NOVA_LOG_WARNING, "NOVACORE_PLUGIN_PATH is ignored, because novacore runs "
		                           "with privileges; name the directory in plugins.path of "
		                           "/etc/novacore/novacore.conf");
		return;
	}
	for (char *entry = strtok_r(list, ":", &rest); entry; entry = strtok_r(NULL, ":", &rest)) {
		if (*entry == '/' && !access(entry, F_OK))
			add_root(roots, nova_strdup(entry));
		else
			nova_log(NOVA_LOG_WARNING,
			         "NOVACORE_PLUGIN_PATH: %s is %s; it is not searched", entry,
			         *entry != '/' ? "not an absolute path" : "not there");
	}
}

static void log_problems(const struct nova_registry *registry, const struct nova_keys *keys)
{
	for (size_t i = 0; i < registry->problem_count; i++)
		nova_log(keys->doubt && !strcmp(registry->problems[i], keys->doubt)
		                 ? NOVA_LOG_ERROR
		                 : NOVA_LOG_WARNING,
		         "%s", registry->problems[i]);
}

int nova_registry_scan(struct nova_registry **registry, struct nova_error *error)
{
	struct nova_trust trust;
	struct roots roots = {0};
	struct nova_registry found = {0};

	*registry = NULL;
	NOVA_AUTOFREE char *prefix = nova_prefix(error);
	if (!prefix || nova_trust_begin(&trust, error))
		return error ? error->code : NOVA_E_UNAVAILABLE;
	nova_trust_environment(&trust);
	add_root(&roots, nova_format("%s/lib/novacore/plugins", prefix));
	add_configured(&found, &trust, &roots);
	add_environment(&roots, &trust);
	for (size_t i = 0; i < trust.keys->problem_count; i++)
		add_problem(&found, "%s", trust.keys->problems[i]);
	log_problems(&found, trust.keys);
	int code =
	        nova_registry_scan_roots((const char *const *)roots.items, &trust, registry, error);
	(*registry)->problems = found.problems;
	(*registry)->problem_count = found.problem_count;
	clear_roots(&roots);
	nova_trust_end(&trust);
	return code;
}

void nova_registry_free(struct nova_registry *registry)
{
	if (!registry)
		return;
	for (size_t i = 0; i < registry->plugin_count; i++)
		nova_manifest_free(registry->plugins[i]);
	for (size_t i = 0; i < registry->refusal_count; i++) {
		free(registry->refusals[i].path);
		free(registry->refusals[i].text);
	}
	for (size_t i = 0; i < registry->problem_count; i++)
		free(registry->problems[i]);
	free(registry->plugins);
	free(registry->refusals);
	free(registry->problems);
	free(registry);
}

/* --- finding --------------------------------------------------------------------------------- */

static bool is_file_of(const char *path, const char *name)
{
	const char *file = strrchr(path, '/') + 1;
	size_t length = strlen(name);

	return !strncmp(file, name, length) && !strcmp(file + length, ".so");
}

static int say_refused(const struct nova_registry *registry, uint32_t kind, const char *name,
                       struct nova_error *error)
{
	for (size_t i = 0; i < registry->refusal_count; i++) {
		const struct nova_refusal *refusal = &registry->refusals[i];
		if ((kind && refusal->kind != kind) || !is_file_of(refusal->path, name))
			continue;
		return nova_error_set(
		        error,
		        refusal->reason == NOVA_REFUSED_MISSING_LIBRARY ? NOVA_E_UNAVAILABLE
		                                                        : NOVA_E_REFUSED,
		        "the %s plugin `%s` was refused (%s): %s", nova_kind_name(refusal->kind),
		        name, nova_refusal_code(refusal->reason), refusal->text);
	}
	return 0;
}

static int say_unknown(const struct nova_registry *registry, uint32_t kind, const char *name,
                       struct nova_error *error)
{
	NOVA_AUTOFREE const char **names =
	        nova_alloc((registry->plugin_count + 1) * sizeof(const char *));
	NOVA_AUTOTEXT struct nova_text list = {0};
	size_t count = 0;

	for (size_t i = 0; i < registry->plugin_count; i++) {
		if (!kind || registry->plugins[i]->kind == kind)
			names[count++] = registry->plugins[i]->name;
	}
	const char *nearest = nova_nearest(name, names);
	const char *what = kind ? nova_kind_name(kind) : "plugin";
	if (nearest)
		return nova_error_set(error, NOVA_E_NOT_FOUND,
		                      "there is no %s `%.64s`; did you mean `%s`?", what, name,
		                      nearest);
	for (size_t i = 0; i < count; i++)
		nova_text_addf(&list, "%s%s", i ? ", " : "", names[i]);
	if (!count)
		return nova_error_set(error, NOVA_E_NOT_FOUND,
		                      "there is no %s `%.64s`, and no other of that kind is "
		                      "installed; see novacore plugin list",
		                      what, name);
	return nova_error_set(error, NOVA_E_NOT_FOUND, "there is no %s `%.64s`; there are: %.900s",
	                      what, name, nova_text_get(&list));
}

const struct nova_manifest *nova_registry_find(const struct nova_registry *registry, uint32_t kind,
                                               const char *name, struct nova_error *error)
{
	const struct nova_manifest *found = NULL;
	NOVA_AUTOTEXT struct nova_text where = {0};
	size_t count = 0;

	for (size_t i = 0; i < registry->plugin_count; i++) {
		const struct nova_manifest *plugin = registry->plugins[i];
		if ((kind && plugin->kind != kind) || strcmp(plugin->name, name))
			continue;
		nova_text_addf(&where, "%s%s/%s", count++ ? ", " : "", nova_kind_name(plugin->kind),
		               name);
		found = plugin;
	}
	if (count == 1)
		return found;
	if (count > 1)
		nova_error_set(error, NOVA_E_INVALID,
		               "`%s` is the name of several plugins: %s; say which", name,
		               nova_text_get(&where));
	else if (!say_refused(registry, kind, name, error))
		say_unknown(registry, kind, name, error);
	return NULL;
}
