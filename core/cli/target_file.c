/* SPDX-License-Identifier: MIT */
/*
 * A target in a configuration file of the user's: the text grows by one group, and everything else
 * in it, comments too, stays as it is.
 */
#include "core/cli/targets.h"

#include <stdlib.h>
#include <string.h>

/* --- finding the place ------------------------------------------------------------------------ */

/* Behind a comment or a string that begins at `at`; `at` itself if none does. */
static const char *skip(const char *at)
{
	const char *end;

	if (*at == '#' || (at[0] == '/' && at[1] == '/'))
		return at + strcspn(at, "\n");
	if (at[0] == '/' && at[1] == '*') {
		end = strstr(at + 2, "*/");
		return end ? end + 2 : at + strlen(at);
	}
	if (*at != '"')
		return at;
	for (at++; *at && *at != '"'; at++)
		at += *at == '\\' && at[1];
	return *at ? at + 1 : at;
}

static const char *skip_blanks(const char *at)
{
	const char *next;

	for (;; at = next) {
		next = *at == '"' ? at : skip(at);
		next += strspn(next, " \t\r\n");
		if (next == at)
			return at;
	}
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '*';
}

/* Behind the brace of the group `target` of a text that libconfig reads; NULL: it has none. */
static const char *find_group(const char *text)
{
	int depth = 0;

	for (const char *at = text, *next; *at; at = next) {
		next = skip(at);
		if (next != at)
			continue;
		next = at + 1;
		depth += *at == '{' || *at == '(' || *at == '[';
		depth -= *at == '}' || *at == ')' || *at == ']';
		if (depth || !is_word(*at))
			continue;
		while (is_word(*next))
			next++;
		if (next - at != 6 || strncmp(at, "target", 6))
			continue;
		at = skip_blanks(next);
		if (*at != '=' && *at != ':')
			continue;
		at = skip_blanks(at + 1);
		if (*at == '{')
			return at + 1;
	}
	return NULL;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void add_quoted(struct nova_text *text, const char *value)
{
	nova_text_add(text, "\"");
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			nova_text_add(text, "\\");
		nova_text_add_bytes(text, value, 1);
	}
	nova_text_add(text, "\"");
}

static bool is_bare_integer(const char *value)
{
	size_t sign = *value == '-', digits = strspn(value + sign, "0123456789");

	return digits && digits <= 9 && !value[sign + digits];
}

static void add_value(struct nova_text *text, const struct nova_spec *spec, const char *value)
{
	bool bare = (spec->type == NOVA_PARAM_INTEGER && is_bare_integer(value)) ||
	            (spec->type == NOVA_PARAM_BOOLEAN &&
	             (!strcmp(value, "true") || !strcmp(value, "false")));

	if (bare)
		nova_text_add(text, value);
	else
		add_quoted(text, value);
}

static void add_list(struct nova_text *text, const struct nova_spec *spec, const char *values)
{
	NOVA_AUTOFREE char *copy = nova_strdup(values);
	char *rest = NULL;
	const char *separator = "";

	nova_text_add(text, "[");
	for (char *one = strtok_r(copy, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
		nova_text_add(text, separator);
		add_value(text, spec, one);
		separator = ", ";
	}
	nova_text_add(text, "]");
}

char *target_group(const struct nova_manifest *driver, const char *name,
                   const char *const *settings, size_t count)
{
	NOVA_AUTOTEXT struct nova_text text = {0};

	nova_text_addf(&text, "  %s = {\n    plugin = \"%s\";\n", name, driver->name);
	for (size_t i = 0; i < count; i++) {
		size_t length = strcspn(settings[i], "=");
		const struct nova_spec *spec = target_spec(driver, settings[i], length),
		                       plain = {.type = NOVA_PARAM_TEXT};
		nova_text_addf(&text, "    %.*s = ", (int)length, settings[i]);
		if (spec && (spec->flags & NOVA_PARAM_LIST))
			add_list(&text, spec, settings[i] + length + 1);
		else
			add_value(&text, spec ? spec : &plain, settings[i] + length + 1);
		nova_text_add(&text, ";\n");
	}
	nova_text_add(&text, "  };\n");
	return nova_strdup(nova_text_get(&text));
}

char *target_insert(const char *text, const char *group)
{
	const char *place = find_group(text);
	size_t length = strlen(text);

	if (place)
		return nova_format("%.*s\n%s%s", (int)(place - text), text, group,
		                   place + (*place == '\n'));
	return nova_format("%s%starget = {\n%s};\n", text,
	                   length && text[length - 1] != '\n' ? "\n" : "", group);
}
