/* SPDX-License-Identifier: MIT */
/*
 * One libconfig text to assignments: keys with dots, values as they were written, file and line.
 * Nothing is known here of which keys exist.
 */
#include <libconfig.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/config/internal.h"

struct reader {
	struct nova_config *config;
	enum nova_layer layer;
	const char *origin;
	bool exposed;
	struct nova_error *error;
};

struct assignment *assignment_add(struct nova_config *config, enum nova_layer layer,
                                  const char *key, char *origin)
{
	config->assignments = nova_grow(config->assignments, config->assignment_count,
	                                sizeof(*config->assignments));
	struct assignment *added = &config->assignments[config->assignment_count++];
	*added = (struct assignment){.layer = layer, .key = nova_strdup(key), .origin = origin};
	return added;
}

void assignment_item(struct assignment *assignment, enum raw_kind kind, const char *text)
{
	assignment->items =
	        nova_grow(assignment->items, assignment->count, sizeof(*assignment->items));
	assignment->items[assignment->count++] = (struct raw){kind, nova_strdup(text)};
}

void assignment_clear(struct assignment *assignment)
{
	for (size_t i = 0; i < assignment->count; i++)
		free(assignment->items[i].text);
	free(assignment->items);
	free(assignment->key);
	free(assignment->origin);
}

void goal_entry_clear(struct goal_entry *entry)
{
	free(entry->origin);
	free(entry->metric);
	free(entry->plugin);
	free(entry->upto);
	free(entry->pass);
	free(entry->acceptable);
}

static char *where(const struct reader *reader, const config_setting_t *setting)
{
	return nova_format("%s:%u", reader->origin, config_setting_source_line(setting));
}

static int fail(const struct reader *reader, const config_setting_t *setting, const char *key,
                const char *text)
{
	return nova_error_set(reader->error, NOVA_E_INVALID, "%s:%u: %s: %s", reader->origin,
	                      config_setting_source_line(setting), key, text);
}

static int add_scalar(const struct reader *reader, struct assignment *assignment,
                      const config_setting_t *setting)
{
	char text[40];
	double number;

	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		snprintf(text, sizeof(text), "%lld", config_setting_get_int64(setting));
		assignment_item(assignment, RAW_INTEGER, text);
		return 0;
	case CONFIG_TYPE_FLOAT:
		number = config_setting_get_float(setting);
		if (!isfinite(number))
			return fail(reader, setting, assignment->key, "the number is too large");
		/* the shortest form that reads back as the same number */
		for (int digits = 1; digits <= 17; digits++) {
			snprintf(text, sizeof(text), "%.*g", digits, number);
			if (strtod(text, NULL) == number)
				break;
		}
		assignment_item(assignment, RAW_NUMBER, text);
		return 0;
	case CONFIG_TYPE_BOOL:
		assignment_item(assignment, RAW_BOOLEAN,
		                config_setting_get_bool(setting) ? "true" : "false");
		return 0;
	case CONFIG_TYPE_STRING:
		/* It will be printed; and no value that means something has them. */
		if (nova_text_is_dirty(config_setting_get_string(setting)))
			return fail(reader, setting, assignment->key,
			            "the text holds control characters, or is not UTF-8");
		assignment_item(assignment, RAW_TEXT, config_setting_get_string(setting));
		return 0;
	default:
		return fail(reader, setting, assignment->key,
		            "a list holds single values, such as [1, 5] or [\"a\", \"b\"]");
	}
}

static int read_goal(struct reader *reader, config_setting_t *group)
{
	struct nova_config *config = reader->config;
	config->goal_entries = nova_grow(config->goal_entries, config->goal_entry_count,
	                                 sizeof(*config->goal_entries));
	struct goal_entry *entry = &config->goal_entries[config->goal_entry_count++];
	*entry = (struct goal_entry){
	        .layer = reader->layer, .text = config->texts, .origin = where(reader, group)};
	const struct {
		const char *name;
		char **value;
	} fields[] = {{"metric", &entry->metric},
	              {"plugin", &entry->plugin},
	              {"upto", &entry->upto},
	              {"pass", &entry->pass},
	              {"acceptable", &entry->acceptable}};
	static const char *const names[] = {"metric", "plugin", "upto", "pass", "acceptable", NULL};

	for (unsigned i = 0; i < (unsigned)config_setting_length(group); i++) {
		config_setting_t *member = config_setting_get_elem(group, i);
		const char *name = config_setting_name(member);
		size_t at = 0;
		while (at < NOVA_COUNT(fields) && strcmp(fields[at].name, name) != 0)
			at++;
		if (at == NOVA_COUNT(fields)) {
			const char *nearest = nova_nearest(name, names);
			NOVA_AUTOFREE char *text = nova_format(
			        "a goal has no \"%.60s\"; %s%s%s", name,
			        nearest ? "did you mean \""
			                : "it has metric, plugin, upto, pass and acceptable",
			        nearest ? nearest : "", nearest ? "\"?" : "");
			return fail(reader, member, "goals", text);
		}
		if (config_setting_is_number(member) && at >= 3) {
			struct assignment number = {.key = (char *)"goals"};
			int code = add_scalar(reader, &number, member);
			if (code == 0)
				*fields[at].value = nova_strdup(number.items[0].text);
			number.key = NULL;
			assignment_clear(&number);
			if (code != 0)
				return code;
		} else if (config_setting_type(member) == CONFIG_TYPE_STRING) {
			*fields[at].value = nova_strdup(config_setting_get_string(member));
		} else {
			return fail(reader, member, "goals", "each part of a goal is a text");
		}
	}
	return 0;
}

static int read_goals(struct reader *reader, config_setting_t *setting)
{
	static const char form[] = "is a list of groups: ( { metric = "
	                           "\"lifecycle.start.running\"; plugin = \"kvm\"; pass = \"5s\"; "
	                           "acceptable = \"8s\"; } )";

	if (!config_setting_is_list(setting))
		return fail(reader, setting, "goals", form);
	for (unsigned i = 0; i < (unsigned)config_setting_length(setting); i++) {
		config_setting_t *group = config_setting_get_elem(setting, i);
		if (!config_setting_is_group(group))
			return fail(reader, group, "goals", form);
		int code = read_goal(reader, group);
		if (code != 0)
			return code;
	}
	return 0;
}

/* Recursion is bounded: scan_text has refused deep nesting. */
static int read_group(struct reader *reader, config_setting_t *group, const char *prefix)
{
	for (unsigned i = 0; i < (unsigned)config_setting_length(group); i++) {
		config_setting_t *setting = config_setting_get_elem(group, i);
		const char *name = config_setting_name(setting);
		NOVA_AUTOFREE char *key =
		        *prefix ? nova_format("%s.%s", prefix, name) : nova_strdup(name);
		int code = 0;

		if (strcmp(key, "goals") == 0) {
			code = read_goals(reader, setting);
			if (code != 0)
				return code;
			continue;
		}
		if (strcmp(key, "inherits") == 0 && reader->layer == NOVA_LAYER_PROFILE)
			continue; /* nova_config_inherits has read it */
		struct assignment *added =
		        assignment_add(reader->config, reader->layer, key, where(reader, setting));
		added->exposed = reader->exposed;
		if (config_setting_is_group(setting)) {
			added->group = true;
			code = read_group(reader, setting, key);
		} else if (config_setting_is_aggregate(setting)) {
			added->list = true;
			for (unsigned j = 0; j < (unsigned)config_setting_length(setting); j++)
				if ((code = add_scalar(reader, added,
				                       config_setting_get_elem(setting, j))) != 0)
					return code;
		} else {
			code = add_scalar(reader, added, setting);
		}
		if (code != 0)
			return code;
	}
	return 0;
}

static locale_t c_locale;

static void make_c_locale(void)
{
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static int parse_error(const config_t *parsed, const char *origin, struct nova_error *error)
{
	const char *text = config_error_text(parsed), *why = text ? text : "syntax error";

	if (strcmp(why, "syntax error") == 0)
		why = "not understood; each setting is name = value; and each group name = { … };, "
		      "and "
		      "the mistake is here or just before";
	else if (strstr(why, "duplicate"))
		why = "this name is already set in this group; keep one of the two";
	else if (strstr(why, "mismatched"))
		why = "the values of a list must all be of one type, such as [1, 5] or [0.5, 1.0]";
	return nova_error_set(error, NOVA_E_INVALID, "%s:%d: %s", origin, config_error_line(parsed),
	                      why);
}

/* `parsed` is to be destroyed in any case. Numbers are read in the C locale, whatever is set. */
static int parse(config_t *parsed, const char *origin, const char *text, struct nova_error *error)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	config_init(parsed);
	config_set_include_dir(parsed, "/dev/null"); /* scan_text refuses @include: to be sure */
	int code = scan_text(origin, text, error);
	if (code != 0)
		return code;
	/* libconfig takes a // comment as one only if its line ends */
	NOVA_AUTOFREE char *lines = nova_format("%s\n", text);
	pthread_once(&once, make_c_locale);
	locale_t before = uselocale(c_locale);
	int done = config_read_string(parsed, lines);
	uselocale(before);
	return done ? 0 : parse_error(parsed, origin, error);
}

int text_read(struct nova_config *config, enum nova_layer layer, const char *origin,
              const char *text, bool exposed, struct nova_error *error)
{
	struct reader reader = {config, layer, origin, exposed, error};
	config_t parsed;

	config->texts++;
	int code = parse(&parsed, origin, text, error);
	if (code == 0) {
		locale_t before = uselocale(c_locale);
		code = read_group(&reader, config_root_setting(&parsed), "");
		uselocale(before);
	}
	config_destroy(&parsed);
	return code;
}

int nova_config_inherits(const char *origin, const char *text, char **base,
                         struct nova_error *error)
{
	config_t parsed;

	*base = NULL;
	int code = parse(&parsed, origin, text, error);
	config_setting_t *setting =
	        code == 0 ? config_setting_get_member(config_root_setting(&parsed), "inherits")
	                  : NULL;
	if (setting && config_setting_type(setting) == CONFIG_TYPE_STRING)
		*base = nova_strdup(config_setting_get_string(setting));
	else if (setting)
		code = nova_error_set(
		        error, NOVA_E_INVALID,
		        "%s:%u: inherits: write the name of one profile in quotes, such "
		        "as inherits = \"production\";",
		        origin, config_setting_source_line(setting));
	config_destroy(&parsed);
	return code;
}
