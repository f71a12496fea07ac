/* SPDX-License-Identifier: MIT */
/*
 * Manifests: libconfig text to struct nova_manifest, and the comparison with what a loaded plugin
 * says of itself. Unknown settings are ignored, so that a plugin built with a newer SDK still
 * lists; a known setting of the wrong type is an error with its line.
 */
#include "core/plugin/inside.h"

#include <novacore/tools/describe.h>

#include <stdlib.h>
#include <string.h>

#define NOVA_AUTOLIBCONFIG NOVA_AUTO(destroy_config)

static void destroy_config(config_t *config)
{
	config_destroy(config);
}

struct reader {
	const char *origin;
	struct nova_error *error;
};

NOVA_PRINTF(3, 4)
static int bad(struct reader *reader, const config_setting_t *at, const char *format, ...)
{
	va_list arguments;
	char text[512];

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return nova_error_set(reader->error, NOVA_E_INVALID, "%s:%u: %s", reader->origin,
	                      at ? config_setting_source_line(at) : 1, text);
}

/* --- typed members --------------------------------------------------------------------------- */

static int read_text(struct reader *reader, const config_setting_t *group, const char *name,
                     bool required, char **out)
{
	const config_setting_t *setting = config_setting_get_member(group, name);

	if (!setting)
		return required ? bad(reader, group, "`%s` is missing", name) : 0;
	const char *text = config_setting_get_string(setting);
	if (!text)
		return bad(reader, setting, "`%s` must be text", name);
	*out = nova_strdup(text);
	return 0;
}

/* One of the words of a table, as its index. */
static int read_word(struct reader *reader, const config_setting_t *group, const char *name,
                     const char *const *words, uint32_t *out)
{
	NOVA_AUTOFREE char *word = NULL;

	if (read_text(reader, group, name, true, &word))
		return -1;
	*out = nova_word_value(words, word);
	if (!*out)
		return bad(reader, group, "`%s`: `%.64s` is not known here", name, word);
	return 0;
}

static int read_number(struct reader *reader, const config_setting_t *group, const char *name,
                       bool required, uint32_t *out)
{
	const config_setting_t *setting = config_setting_get_member(group, name);

	if (!setting)
		return required ? bad(reader, group, "`%s` is missing", name) : 0;
	if (config_setting_type(setting) != CONFIG_TYPE_INT || config_setting_get_int(setting) < 0)
		return bad(reader, setting, "`%s` must be a whole number, not negative", name);
	*out = (uint32_t)config_setting_get_int(setting);
	return 0;
}

static int read_flag(struct reader *reader, const config_setting_t *group, const char *name,
                     uint32_t flag, uint32_t *flags)
{
	const config_setting_t *setting = config_setting_get_member(group, name);

	if (!setting)
		return 0;
	if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
		return bad(reader, setting, "`%s` must be true or false", name);
	if (config_setting_get_bool(setting))
		*flags |= flag;
	return 0;
}

/* An array of text, NULL-terminated; a missing one is empty. */
static int read_texts(struct reader *reader, const config_setting_t *group, const char *name,
                      char ***out)
{
	const config_setting_t *array = config_setting_get_member(group, name);

	if (array && !config_setting_is_array(array))
		return bad(reader, array, "`%s` must be an array of text", name);
	int count = array ? config_setting_length(array) : 0;
	*out = nova_alloc(((size_t)count + 1) * sizeof(**out));
	for (int i = 0; i < count; i++) {
		const char *text = config_setting_get_string_elem(array, i);
		if (!text)
			return bad(reader, array, "`%s` must be an array of text", name);
		(*out)[i] = nova_strdup(text);
	}
	return 0;
}

/* A list of groups, or NULL and *count 0 if it is missing. */
static int find_groups(struct reader *reader, const config_setting_t *root, const char *name,
                       const config_setting_t **list, size_t *count)
{
	*list = config_setting_get_member(root, name);
	*count = 0;
	if (!*list)
		return 0;
	if (!config_setting_is_list(*list))
		return bad(reader, *list, "`%s` must be a list of groups", name);
	*count = (size_t)config_setting_length(*list);
	for (size_t i = 0; i < *count; i++) {
		if (!config_setting_is_group(config_setting_get_elem(*list, (unsigned int)i)))
			return bad(reader, *list, "`%s` must be a list of groups", name);
	}
	return 0;
}

/* --- the whole ------------------------------------------------------------------------------- */

static int read_spec(struct reader *reader, const config_setting_t *group, struct nova_spec *spec)
{
	if (read_text(reader, group, "name", true, &spec->name) ||
	    read_word(reader, group, "type", nova_param_words, &spec->type) ||
	    read_flag(reader, group, "list", NOVA_PARAM_LIST, &spec->flags) ||
	    read_flag(reader, group, "required", NOVA_PARAM_REQUIRED, &spec->flags) ||
	    read_flag(reader, group, "each", NOVA_PARAM_EACH, &spec->flags) ||
	    read_flag(reader, group, "vms", NOVA_PARAM_VMS, &spec->flags) ||
	    read_text(reader, group, "fallback", false, &spec->fallback) ||
	    read_text(reader, group, "minimum", false, &spec->minimum) ||
	    read_text(reader, group, "maximum", false, &spec->maximum) ||
	    read_text(reader, group, "doc", true, &spec->doc))
		return -1;
	if (!config_setting_get_member(group, "choices"))
		return spec->type == NOVA_PARAM_CHOICE
		               ? bad(reader, group, "the choice `%.64s` has no `choices`",
		                     spec->name)
		               : 0;
	return read_texts(reader, group, "choices", &spec->choices);
}

static int read_specs(struct reader *reader, const config_setting_t *root,
                      struct nova_manifest *manifest)
{
	const config_setting_t *list;
	size_t count;

	if (find_groups(reader, root, "parameters", &list, &count))
		return -1;
	manifest->specs = nova_alloc((count + 1) * sizeof(*manifest->specs));
	manifest->spec_count = count;
	for (size_t i = 0; i < count; i++) {
		if (read_spec(reader, config_setting_get_elem(list, (unsigned int)i),
		              &manifest->specs[i]))
			return -1;
	}
	return 0;
}

static int read_metrics(struct reader *reader, const config_setting_t *root,
                        struct nova_manifest *manifest)
{
	const config_setting_t *list;
	size_t count;

	if (find_groups(reader, root, "metrics", &list, &count))
		return -1;
	manifest->metrics = nova_alloc((count + 1) * sizeof(*manifest->metrics));
	manifest->metric_count = count;
	for (size_t i = 0; i < count; i++) {
		const config_setting_t *group = config_setting_get_elem(list, (unsigned int)i);
		struct nova_manifest_metric *metric = &manifest->metrics[i];
		if (read_text(reader, group, "name", true, &metric->name) ||
		    read_word(reader, group, "unit", nova_unit_words, &metric->unit) ||
		    read_word(reader, group, "better", nova_better_words, &metric->better) ||
		    read_number(reader, group, "revision", true, &metric->revision) ||
		    read_text(reader, group, "doc", true, &metric->doc))
			return -1;
	}
	return 0;
}

static int read_abi(struct reader *reader, const config_setting_t *root,
                    struct nova_manifest *manifest)
{
	const config_setting_t *abi = config_setting_get_member(root, "abi");

	if (!abi || !config_setting_is_group(abi))
		return bad(reader, abi, "the group `abi` is missing");
	return read_number(reader, abi, "major", true, &manifest->major) ||
	       read_number(reader, abi, "minor", true, &manifest->minor) ||
	       read_number(reader, abi, "min_minor", true, &manifest->min_minor) ||
	       read_number(reader, abi, "draft", false, &manifest->draft);
}

static int read_digest(struct reader *reader, const config_setting_t *root,
                       struct nova_manifest *manifest)
{
	NOVA_AUTOFREE char *digest = NULL;

	if (read_text(reader, root, "sha256", true, &digest))
		return -1;
	if (strlen(digest) != 64 || strspn(digest, "0123456789abcdef") != 64)
		return bad(reader, root, "`sha256` is not 64 lower-case hexadecimal digits");
	memcpy(manifest->sha256, digest, sizeof(manifest->sha256));
	return 0;
}

static int read_root(struct reader *reader, const config_setting_t *root,
                     struct nova_manifest *manifest)
{
	uint32_t format = 0, flags = 0;

	if (read_number(reader, root, "format", true, &format))
		return -1;
	if (format != NOVA_MANIFEST_FORMAT)
		return bad(reader, root, "manifest format %u, this novacore reads %u", format,
		           (unsigned int)NOVA_MANIFEST_FORMAT);
	if (read_word(reader, root, "kind", nova_kind_words, &manifest->kind) ||
	    read_text(reader, root, "name", true, &manifest->name) ||
	    read_text(reader, root, "version", true, &manifest->version) ||
	    read_text(reader, root, "summary", true, &manifest->summary) ||
	    read_text(reader, root, "license", true, &manifest->license) ||
	    read_word(reader, root, "threads", nova_thread_words, &manifest->thread_model) ||
	    read_number(reader, root, "targets_min", false, &manifest->targets_min) ||
	    read_number(reader, root, "targets_max", false, &manifest->targets_max) ||
	    read_flag(reader, root, "native", NOVA_BENCHMARK_NATIVE, &flags) ||
	    read_texts(reader, root, "ops", &manifest->ops) ||
	    read_texts(reader, root, "needs", &manifest->needs) ||
	    read_texts(reader, root, "hints", &manifest->hints) ||
	    read_text(reader, root, "settings", manifest->kind == NOVA_KIND_PROFILE,
	              &manifest->settings) ||
	    read_abi(reader, root, manifest) || read_digest(reader, root, manifest) ||
	    read_specs(reader, root, manifest) || read_metrics(reader, root, manifest))
		return -1;
	manifest->native = flags & NOVA_BENCHMARK_NATIVE;
	if (!manifest->targets_max)
		manifest->targets_max = manifest->targets_min > 1 ? manifest->targets_min : 1;
	if (manifest->targets_max < manifest->targets_min)
		return bad(reader, root, "`targets_max` is less than `targets_min`");
	manifest->thread_model *= 1000; /* NOVA_THREADS_SERIAL is 1000, and so on */
	if (!nova_name_valid(manifest->name))
		return bad(reader, root, "`%.64s` is not the name of a plugin", manifest->name);
	return 0;
}

/* libconfig would follow @include to any file; our generator writes none. */
static bool has_include(const char *text)
{
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += strspn(line, " \t\r\n\f\v");
		if (!strncmp(line, "@include", 8))
			return true;
	}
	return false;
}

static int parse_text(const char *origin, const char *text, config_t *config,
                      struct nova_error *error)
{
	if (has_include(text))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "%s: a manifest must not contain @include", origin);
	if (!config_read_string(config, text))
		return nova_error_set(error, NOVA_E_INVALID, "%s:%d: %s", origin,
		                      config_error_line(config), config_error_text(config));
	return 0;
}

int nova_manifest_parse(const char *origin, const char *text, size_t bytes,
                        struct nova_manifest **manifest, struct nova_error *error)
{
	NOVA_AUTOLIBCONFIG config_t config;
	struct nova_error local = {0};
	struct reader reader = {.origin = origin, .error = error ? error : &local};
	struct nova_manifest *result;

	*manifest = NULL;
	config_init(&config);
	if (bytes > NOVA_MANIFEST_LIMIT)
		return nova_error_set(error, NOVA_E_INVALID, "%s: larger than %u KiB", origin,
		                      NOVA_MANIFEST_LIMIT >> 10);
	if (strlen(text) != bytes)
		return nova_error_set(error, NOVA_E_INVALID, "%s: contains a NUL byte", origin);
	if (parse_text(origin, text, &config, reader.error))
		return NOVA_E_INVALID;
	result = nova_alloc(sizeof(*result));
	if (read_root(&reader, config_root_setting(&config), result)) {
		nova_manifest_free(result);
		return NOVA_E_INVALID;
	}
	*manifest = result;
	return 0;
}

static void free_texts(char **texts)
{
	for (char **text = texts; text && *text; text++)
		free(*text);
	free(texts);
}

static void free_spec(struct nova_spec *spec)
{
	free(spec->name);
	free(spec->doc);
	free(spec->fallback);
	free(spec->minimum);
	free(spec->maximum);
	free_texts(spec->choices);
}

void nova_manifest_free(struct nova_manifest *manifest)
{
	if (!manifest)
		return;
	for (size_t i = 0; i < manifest->spec_count; i++)
		free_spec(&manifest->specs[i]);
	for (size_t i = 0; i < manifest->metric_count; i++) {
		free(manifest->metrics[i].name);
		free(manifest->metrics[i].doc);
	}
	free(manifest->specs);
	free(manifest->metrics);
	free_texts(manifest->ops);
	free_texts(manifest->needs);
	free_texts(manifest->hints);
	free(manifest->name);
	free(manifest->version);
	free(manifest->summary);
	free(manifest->license);
	free(manifest->path);
	free(manifest->manifest_path);
	free(manifest->settings);
	free(manifest->signer.key_path);
	free(manifest);
}

/* --- comparison ------------------------------------------------------------------------------ */

/* Settings that do not come from the descriptor. */
static bool of_the_file(const char *name)
{
	return !strcmp(name, "format") || !strcmp(name, "abi") || !strcmp(name, "hints") ||
	       !strcmp(name, "sha256");
}

static bool same_scalar(const config_setting_t *a, const config_setting_t *b)
{
	switch (config_setting_type(a)) {
	case CONFIG_TYPE_STRING:
		return !strcmp(config_setting_get_string(a), config_setting_get_string(b));
	case CONFIG_TYPE_INT: return config_setting_get_int(a) == config_setting_get_int(b);
	case CONFIG_TYPE_BOOL: return config_setting_get_bool(a) == config_setting_get_bool(b);
	default: return false;
	}
}

static char *differ(const config_setting_t *said, const char *path)
{
	const char *text = said ? config_setting_get_string(said) : NULL;

	return nova_format("the plugin's descriptor differs from its manifest at `%s`%s%.80s%s: "
	                   "the file or its manifest was exchanged; install the plugin again",
	                   path, text ? " (the plugin says \"" : "", text ? text : "",
	                   text ? "\")" : "");
}

/* Equal in both directions; a newer SDK's manifest (`newer`) may say more than this host reads. */
static char *compare(const config_setting_t *said, const config_setting_t *written,
                     const char *path, bool newer)
{
	int count = config_setting_length(said);

	if (config_setting_type(said) != config_setting_type(written))
		return differ(said, path);
	if (!config_setting_is_aggregate(said))
		return same_scalar(said, written) ? NULL : differ(said, path);
	if (!config_setting_is_group(said) && count != config_setting_length(written))
		return differ(NULL, path);
	for (int i = 0; i < count; i++) {
		const config_setting_t *element = config_setting_get_elem(said, (unsigned int)i);
		const char *name = config_setting_name(element);
		const config_setting_t *other =
		        name ? config_setting_get_member(written, name)
		             : config_setting_get_elem(written, (unsigned int)i);
		NOVA_AUTOFREE char *below =
		        name ? nova_format("%s%s%s", path, *path ? "." : "", name)
		             : nova_format("%s[%d]", path, i);
		if (newer && name && !strcmp(name, "ops"))
			continue;
		char *difference =
		        other ? compare(element, other, below, newer) : differ(element, below);
		if (difference)
			return difference;
	}
	if (!config_setting_is_group(said) || newer)
		return NULL;
	for (int i = 0; i < config_setting_length(written); i++) {
		const char *name =
		        config_setting_name(config_setting_get_elem(written, (unsigned int)i));
		if (!config_setting_get_member(said, name) && (*path || !of_the_file(name))) {
			NOVA_AUTOFREE char *below =
			        nova_format("%s%s%s", path, *path ? "." : "", name);
			return differ(NULL, below);
		}
	}
	return NULL;
}

char *nova_manifest_difference(const char *manifest_text, const struct nova_plugin *plugin,
                               enum nova_refusal_reason *reason)
{
	static const enum nova_refusal_reason reasons[] = {
	        [NOVA_DESCRIBE_SIZE] = NOVA_REFUSED_STRUCT_SIZE,
	        [NOVA_DESCRIBE_NULL] = NOVA_REFUSED_NULL_OPS,
	        [NOVA_DESCRIBE_WRONG] = NOVA_REFUSED_DESCRIPTOR,
	};
	NOVA_AUTOLIBCONFIG config_t said;
	NOVA_AUTOLIBCONFIG config_t written;
	char text[512];
	int minor = 0;

	config_init(&said);
	config_init(&written);
	*reason = NOVA_REFUSED_DESCRIPTOR;
	enum nova_describe_result result =
	        nova_describe(plugin, config_root_setting(&said), text, sizeof(text));
	if (result != NOVA_DESCRIBE_DONE) {
		*reason = reasons[result];
		return nova_strdup(text);
	}
	if (!config_read_string(&written, manifest_text))
		return nova_strdup("the manifest cannot be read any more");
	config_lookup_int(&written, "abi.minor", &minor);
	return compare(config_root_setting(&said), config_root_setting(&written), "",
	               (uint32_t)minor > NOVA_ABI_MINOR);
}
