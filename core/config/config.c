/* SPDX-License-Identifier: MIT */
/*
 * The configuration as others see it: declaring keys, adding layers, asking for values. What the
 * layers mean together is decided in finish.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/config/internal.h"

#define TEXT_BYTES_MAX (1024 * 1024)

void names_add(struct names *names, const char *name)
{
	if (names_have(names, name))
		return;
	names->items = nova_realloc(names->items, (names->count + 2) * sizeof(*names->items));
	names->items[names->count++] = nova_strdup(name);
	names->items[names->count] = NULL;
}

bool names_have(const struct names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->items[i], name) == 0)
			return true;
	return false;
}

void names_clear(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->items[i]);
	free(names->items);
	*names = (struct names){0};
}

struct nova_config *nova_config_new(void)
{
	struct nova_config *config = nova_alloc(sizeof(*config));
	keys_declare(config);
	names_add(&config->shapes, "standard");
	return config;
}

void nova_config_free(struct nova_config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->assignment_count; i++)
		assignment_clear(&config->assignments[i]);
	for (size_t i = 0; i < config->goal_entry_count; i++)
		goal_entry_clear(&config->goal_entries[i]);
	for (size_t i = 0; i < config->key_count; i++)
		key_clear(&config->keys[i]);
	goals_clear(config);
	names_clear(&config->prefixes);
	names_clear(&config->targets);
	names_clear(&config->shapes);
	free(config->assignments);
	free(config->goal_entries);
	free(config->keys);
	free(config);
}

void nova_config_cleanup(struct nova_config **config)
{
	nova_config_free(*config);
}

struct key *config_find(const struct nova_config *config, const char *name)
{
	for (size_t i = 0; i < config->key_count; i++)
		if (strcmp(config->keys[i].name, name) == 0)
			return &config->keys[i];
	return NULL;
}

void config_declare(struct nova_config *config, const char *prefix, const struct nova_spec *specs,
                    size_t count, bool dynamic, bool fallbacks)
{
	for (size_t i = 0; i < count; i++) {
		NOVA_AUTOFREE char *name = *prefix ? nova_format("%s.%s", prefix, specs[i].name)
		                                   : nova_strdup(specs[i].name);
		if (config_find(config, name)) /* target.lab.uri: the core's declaration stays */
			continue;
		config->keys = nova_grow(config->keys, config->key_count, sizeof(*config->keys));
		struct key *key = &config->keys[config->key_count++];
		*key = (struct key){.name = name, .dynamic = dynamic};
		spec_copy(&key->spec, &specs[i]);
		if (!fallbacks) {
			free(key->spec.fallback);
			key->spec.fallback = NULL;
		}
		name = NULL;
	}
}

void nova_config_declare(struct nova_config *config, const char *prefix,
                         const struct nova_spec *specs, size_t count)
{
	names_add(&config->prefixes, prefix);
	config_declare(config, prefix, specs, count, false, true);
}

int nova_config_add_text(struct nova_config *config, enum nova_layer layer, const char *origin,
                         const char *text, struct nova_error *error)
{
	return text_read(config, layer, origin, text, true, error);
}

int nova_config_add_file(struct nova_config *config, enum nova_layer layer, const char *path,
                         bool required, struct nova_error *error)
{
	struct stat about = {0};
	size_t bytes = 0;

	if (!required && stat(path, &about) < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	NOVA_AUTOFREE char *text = nova_file_read(path, TEXT_BYTES_MAX, &bytes, error);
	if (!text)
		return error ? error->code : NOVA_E_IO;
	if (strlen(text) != bytes) {
		unsigned line = 1;
		for (const char *at = text; *at; at++)
			line += *at == '\n';
		return nova_error_set(error, NOVA_E_INVALID,
		                      "%s:%u: a NUL byte; this is not a text file", path, line);
	}
	bool exposed = stat(path, &about) < 0 || (about.st_mode & 077);
	return text_read(config, layer, path, text, exposed, error);
}

/* "10s,20s" for a goal: what passes, and what is acceptable. */
static void add_goal(struct nova_config *config, const char *origin, const char *metric,
                     const char *value)
{
	size_t length = strcspn(value, ",");
	config->goal_entries = nova_grow(config->goal_entries, config->goal_entry_count,
	                                 sizeof(*config->goal_entries));
	config->goal_entries[config->goal_entry_count++] = (struct goal_entry){
	        .layer = NOVA_LAYER_COMMAND,
	        .text = ++config->texts,
	        .origin = nova_strdup(origin),
	        .metric = nova_strdup(metric),
	        .pass = nova_format("%.*s", (int)length, value),
	        .acceptable = value[length] ? nova_strdup(value + length + 1) : NULL,
	};
}

int nova_config_add_option(struct nova_config *config, const char *option, const char *key,
                           const char *value, struct nova_error *error)
{
	if (*key == '\0' || key[strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                                    "0123456789._-")] != '\0')
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "%s: \"%.80s\" is not the name of a setting; write key=value, "
		        "such as run.samples=20",
		        option, key);
	NOVA_AUTOJSON json_t *checked = json_string(value);
	if (!checked) /* it could not be stored in a result */
		return nova_error_set(error, NOVA_E_INVALID, "%s: %s: the value is not UTF-8",
		                      option, key);
	if (strncmp(key, "goal.", 5) == 0) {
		add_goal(config, option, key + 5, value);
		return 0;
	}
	struct assignment *added =
	        assignment_add(config, NOVA_LAYER_COMMAND, key, nova_strdup(option));
	added->exposed = true;
	assignment_item(added, RAW_WORD, value);
	return 0;
}

int nova_config_add_setting(struct nova_config *config, const char *assignment,
                            struct nova_error *error)
{
	const char *equals = strchr(assignment, '=');

	if (!equals)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "--set: \"%.80s\" has no \"=\"; write key=value, such as "
		                      "run.samples=20",
		                      assignment);
	NOVA_AUTOFREE char *key = nova_format("%.*s", (int)(equals - assignment), assignment);
	return nova_config_add_option(config, "--set", key, equals + 1, error);
}

const char *nova_config_early(const struct nova_config *config, const char *key)
{
	const struct assignment *best = NULL;

	for (size_t i = 0; i < config->assignment_count; i++) {
		const struct assignment *at = &config->assignments[i];
		if (strcmp(at->key, key) == 0 && at->count == 1 && !at->list &&
		    (!best || at->layer >= best->layer))
			best = at;
	}
	return best ? best->items[0].text : NULL;
}

char **nova_config_early_list(const struct nova_config *config, const char *key)
{
	const struct assignment *best = NULL;

	for (size_t i = 0; i < config->assignment_count; i++) {
		const struct assignment *at = &config->assignments[i];
		if (strcmp(at->key, key) == 0 && at->list && (!best || at->layer >= best->layer))
			best = at;
	}
	if (!best)
		return NULL;
	char **list = nova_alloc((best->count + 1) * sizeof(*list));
	for (size_t i = 0; i < best->count; i++)
		list[i] = nova_strdup(best->items[i].text);
	return list;
}

/* --- asking ----------------------------------------------------------------------------------- */

static const struct key *need(const struct nova_config *config, const char *name)
{
	const struct key *key = config_find(config, name);
	if (!key) {
		nova_log(NOVA_LOG_ERROR, "bug: the key %s was never declared", name);
		abort();
	}
	return key;
}

static const struct scalar *item(const struct nova_config *config, const char *name, size_t index)
{
	static const struct scalar nothing;
	const struct key *key = need(config, name);

	if (index < key->count)
		return &key->items[index];
	if (index > 0) {
		nova_log(NOVA_LOG_ERROR, "bug: %s has no value %zu", name, index);
		abort();
	}
	return &nothing;
}

bool nova_config_declared(const struct nova_config *config, const char *key)
{
	return config_find(config, key);
}

bool nova_config_has(const struct nova_config *config, const char *key)
{
	return need(config, key)->set;
}

size_t nova_config_count(const struct nova_config *config, const char *key)
{
	return need(config, key)->count;
}

int64_t nova_config_i64(const struct nova_config *config, const char *key, size_t index)
{
	return item(config, key, index)->i64;
}

double nova_config_f64(const struct nova_config *config, const char *key, size_t index)
{
	return item(config, key, index)->f64;
}

const char *nova_config_text(const struct nova_config *config, const char *key, size_t index)
{
	return item(config, key, index)->text;
}

bool nova_config_flag(const struct nova_config *config, const char *key)
{
	return item(config, key, 0)->i64 != 0;
}

const char *nova_config_origin(const struct nova_config *config, const char *key)
{
	return need(config, key)->origin;
}

static json_t *scalar_json(const struct nova_spec *spec, const struct scalar *value)
{
	switch (spec->type) {
	case NOVA_PARAM_INTEGER:
	case NOVA_PARAM_SIZE:
	case NOVA_PARAM_DURATION: return json_integer(value->i64);
	case NOVA_PARAM_NUMBER:
	case NOVA_PARAM_RATE: return json_real(value->f64);
	case NOVA_PARAM_BOOLEAN: return json_boolean(value->i64);
	default: return json_string(value->text);
	}
}

static json_t *key_json(const struct key *key)
{
	if (!(key->spec.flags & NOVA_PARAM_LIST))
		return scalar_json(&key->spec, &key->items[0]);
	json_t *list = json_array();
	for (size_t i = 0; i < key->count; i++)
		json_array_append_new(list, scalar_json(&key->spec, &key->items[i]));
	return list;
}

json_t *nova_config_json(const struct nova_config *config, const char *name)
{
	const struct key *key = need(config, name);
	if (!key->set)
		return NULL;
	return key->spec.type == NOVA_PARAM_SECRET ? json_string("***") : key_json(key);
}

/* The part of a key's name below `prefix`, or NULL. */
static const char *below(const char *name, const char *prefix)
{
	size_t length = strlen(prefix);
	return strncmp(name, prefix, length) == 0 && name[length] == '.' ? name + length + 1 : NULL;
}

/* Secrets as they are; the list form of a secret is read element by element. */
static json_t *secret_json(const struct key *key, struct nova_error *error)
{
	json_t *list = json_array();
	for (size_t i = 0; i < key->count; i++) {
		NOVA_AUTOFREE char *secret = secret_resolve(key->items[i].text, error);
		if (!secret) {
			json_decref(list);
			return NULL;
		}
		json_array_append_new(list, json_string(secret));
	}
	if (key->spec.flags & NOVA_PARAM_LIST)
		return list;
	json_t *only = json_incref(json_array_get(list, 0));
	json_decref(list);
	return only;
}

static void put_params(const struct nova_config *config, const char *prefix, bool target,
                       bool secrets, json_t *into)
{
	for (size_t i = 0; i < config->key_count; i++) {
		const struct key *key = &config->keys[i];
		const char *name = below(key->name, prefix);
		if (!name || !key->set || (target && strcmp(name, "plugin") == 0))
			continue;
		if (key->spec.type != NOVA_PARAM_SECRET) {
			json_object_set_new(into, name, key_json(key));
			continue;
		}
		struct nova_error error = {0};
		json_t *secret = secrets ? secret_json(key, &error) : NULL;
		if (secret)
			json_object_set_new(into, name, secret);
		else if (secrets)
			nova_log(NOVA_LOG_ERROR, "%s: %s", key->name, error.text);
	}
}

json_t *nova_config_params(const struct nova_config *config, const char *prefix, const char *over,
                           bool secrets)
{
	json_t *params = json_object();
	put_params(config, prefix, strncmp(prefix, "target.", 7) == 0, secrets, params);
	if (over)
		put_params(config, over, strncmp(over, "target.", 7) == 0, secrets, params);
	return params;
}

static const struct key *effective(const struct nova_config *config, const struct key *key,
                                   const char *name, const char *over)
{
	NOVA_AUTOFREE char *upper = over ? nova_format("%s.%s", over, name) : NULL;
	const struct key *other = upper ? config_find(config, upper) : NULL;
	return other && other->set ? other : key;
}

int nova_config_ready(const struct nova_config *config, const char *prefix, const char *over,
                      const char *given, struct nova_error *error)
{
	for (size_t i = 0; i < config->key_count; i++) {
		const char *name = below(config->keys[i].name, prefix);
		if (!name || (given && strcmp(name, given) == 0))
			continue;
		const struct key *key = effective(config, &config->keys[i], name, over);
		if (!key->set && (key->spec.flags & NOVA_PARAM_REQUIRED))
			return nova_error_set(
			        error, NOVA_E_INVALID,
			        "%s.%s has no value, and must have one (%s); use --set %s.%s=%s",
			        over ? over : prefix, name, key->spec.doc, over ? over : prefix,
			        name, key->spec.type == NOVA_PARAM_SECRET ? "file:PATH" : "…");
		if (!key->set || key->spec.type != NOVA_PARAM_SECRET)
			continue;
		json_t *secret = secret_json(key, error);
		if (!secret) {
			nova_error_prefix(error, "%s: %s", key->origin, key->name);
			return error ? error->code : NOVA_E_NOT_FOUND;
		}
		json_decref(secret);
	}
	return 0;
}

const char *const *nova_config_groups(const struct nova_config *config, const char *parent)
{
	static const char *const none[] = {NULL};
	const struct names *names = strcmp(parent, "vm") == 0 ? &config->shapes : &config->targets;
	return names->count ? (const char *const *)names->items : none;
}

void nova_config_each(const struct nova_config *config,
                      void (*visit)(void *context, const struct nova_config_entry *entry),
                      void *context)
{
	static const struct nova_spec limit = {
	        .type = NOVA_PARAM_TEXT,
	        .name = (char *)"goal",
	        .doc = (char *)"what passes and, after a comma, what is acceptable"};

	for (size_t i = 0; i < config->key_count; i++) {
		const struct key *key = &config->keys[i];
		visit(context, &(struct nova_config_entry){key->name, &key->spec, key->shown,
		                                           key->origin, key->layer});
	}
	for (size_t i = 0; i < config->goal_count; i++) {
		const struct goal *goal = &config->goals[i];
		bool both = goal->plugin && goal->param;
		NOVA_AUTOFREE char *name =
		        nova_format(goal->plugin || goal->param ? "goal.%s (%s%s%s)" : "goal.%s",
		                    goal->metric, goal->plugin ? goal->plugin : "",
		                    both ? ", " : "", goal->param ? goal->upto : "");
		visit(context, &(struct nova_config_entry){name, &limit, goal->shown, goal->origin,
		                                           goal->layer});
	}
}
