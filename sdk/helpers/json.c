/* SPDX-License-Identifier: MIT */
/* JSON that comes from elsewhere: parsed strictly, read by paths. */
#include <novacore/helpers/json.h>

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- parsing ---------------------------------------------------------------------------------- */

/* jansson's own limit is 2048 calls deep, more stack than a plugin should ask for. */
static int too_deep(const char *text, size_t bytes)
{
	int depth = 0;
	int quoted = 0;

	for (size_t i = 0; i < bytes; i++) {
		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted && (text[i] == '{' || text[i] == '['))
			depth++;
		else if (!quoted && (text[i] == '}' || text[i] == ']'))
			depth--;
		if (depth > NOVA_JSON_DEPTH)
			return 1;
	}
	return 0;
}

/* jansson quotes the text behind " near": that is left out, it may be anything. */
static void explain(const json_error_t *error, size_t bytes, char *why, size_t room)
{
	const char *near = strstr(error->text, " near ");
	int length = near ? (int)(near - error->text) : (int)strlen(error->text);

	if (bytes == 0)
		snprintf(why, room, "no JSON: it is empty");
	else if (json_error_code(error) == json_error_duplicate_key)
		snprintf(why, room, "no JSON: a key twice in an object, at line %d, column %d",
		         error->line, error->column);
	else
		snprintf(why, room, "no JSON: %.*s at line %d, column %d", length, error->text,
		         error->line, error->column);
}

json_t *nova_json_parse(const char *text, size_t bytes, char *why, size_t room)
{
	json_error_t error;
	json_t *value;

	if (too_deep(text, bytes)) {
		snprintf(why, room, "no JSON to be read: nested deeper than %d", NOVA_JSON_DEPTH);
		return NULL;
	}
	value = json_loadb(bytes ? text : "", bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
	                   &error);
	if (!value)
		explain(&error, bytes, why, room);
	return value;
}

static int write_part(const char *part, size_t bytes, void *text)
{
	nova_text_append(text, part, bytes);
	return 0;
}

void nova_json_write(struct nova_text *text, const json_t *value)
{
	if (json_dump_callback(value, write_part, text, JSON_COMPACT | JSON_ENCODE_ANY) != 0)
		text->broken = 1;
}

/* --- paths ------------------------------------------------------------------------------------ */

/* One step of a path: an index, or a key of `length` bytes. Returns what follows; NULL: no path. */
static const char *next_step(const char *path, const char **key, size_t *length, size_t *index)
{
	char *end;

	*key = NULL;
	if (path[0] == '[' && path[1] == '"') {
		end = strstr(path + 2, "\"]");
		if (!end)
			return NULL;
		*key = path + 2;
		*length = (size_t)(end - *key);
		return end + 2;
	}
	if (path[0] == '[') {
		if (path[1] < '0' || path[1] > '9')
			return NULL;
		*index = strtoull(path + 1, &end, 10);
		return *end == ']' ? end + 1 : NULL;
	}
	*length = strcspn(path, ".[");
	*key = path;
	return *length ? path + *length : NULL;
}

json_t *nova_json_at(const json_t *value, const char *path)
{
	while (value && *path) {
		const char *key;
		size_t length = 0;
		size_t index = 0;

		path = next_step(path, &key, &length, &index);
		if (!path)
			return NULL;
		value = key ? json_object_getn(value, key, length) : json_array_get(value, index);
		if (*path == '.')
			path++;
	}
	return (json_t *)value; /* jansson, too, gives what is in a const one to be changed */
}

/* --- with a fallback -------------------------------------------------------------------------- */

const char *nova_json_text(const json_t *value, const char *path, const char *fallback)
{
	const char *text = json_string_value(nova_json_at(value, path));

	return text ? text : fallback;
}

static int read_number(const json_t *found, int64_t *number)
{
	const char *text = json_string_value(found);
	double real = json_real_value(found);
	char *end;

	if (json_is_integer(found)) {
		*number = json_integer_value(found);
		return 1;
	}
	if (json_is_boolean(found)) {
		*number = json_is_true(found);
		return 1;
	}
	/* 2^63 is the first that does not fit */
	if (json_is_real(found) && real >= -0x1p63 && real < 0x1p63 && real == floor(real)) {
		*number = (int64_t)real;
		return 1;
	}
	if (!text || !(text[0] == '-' || (text[0] >= '0' && text[0] <= '9')))
		return 0;
	errno = 0;
	*number = strtoll(text, &end, 10);
	return end != text && *end == '\0' && errno == 0;
}

int64_t nova_json_number(const json_t *value, const char *path, int64_t fallback)
{
	int64_t number;

	return read_number(nova_json_at(value, path), &number) ? number : fallback;
}

/* Not by strtod: it obeys the locale, jansson does not. */
static double read_real(const char *text, double fallback)
{
	json_t *number;
	double real = fallback;

	if (strcmp(text, "NaN") == 0)
		return NAN;
	if (strcmp(text, "Infinity") == 0)
		return INFINITY;
	if (strcmp(text, "-Infinity") == 0)
		return -INFINITY;
	number = json_loads(text, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
	if (json_is_real(number))
		real = json_real_value(number);
	json_decref(number);
	return real;
}

double nova_json_real(const json_t *value, const char *path, double fallback)
{
	const json_t *found = nova_json_at(value, path);

	if (json_is_number(found))
		return json_number_value(found);
	if (json_is_string(found) && json_string_length(found) < 64)
		return read_real(json_string_value(found), fallback);
	return fallback;
}

int nova_json_flag(const json_t *value, const char *path, int fallback)
{
	const json_t *found = nova_json_at(value, path);
	const char *text = json_string_value(found);
	int64_t number;

	if (text && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
		return text[0] == 't';
	if (!read_number(found, &number) || number < 0 || number > 1)
		return fallback;
	return (int)number;
}

size_t nova_json_count(const json_t *value, const char *path)
{
	const json_t *found = nova_json_at(value, path);

	return json_is_object(found) ? json_object_size(found) : json_array_size(found);
}

/* --- with a sentence -------------------------------------------------------------------------- */

static const char *type_name(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT: return "an object";
	case JSON_ARRAY: return "an array";
	case JSON_STRING: return "a text";
	case JSON_INTEGER:
	case JSON_REAL: return "a number";
	case JSON_TRUE:
	case JSON_FALSE: return "a truth value";
	default: return "null";
	}
}

static void complain(struct nova_json_reader *reader, const char *path, const json_t *found,
                     const char *wanted)
{
	const char *name = *path ? path : "it";

	if (!found)
		snprintf(reader->error, sizeof(reader->error), "%.140s is missing", name);
	else if (strcmp(wanted, type_name(found)) == 0)
		snprintf(reader->error, sizeof(reader->error),
		         "%.140s is not a whole number of at most 64 bits", name);
	else
		snprintf(reader->error, sizeof(reader->error), "%.140s is %s, not %s", name,
		         type_name(found), wanted);
}

/* What is at the path, and the path itself; NULL once something has failed. */
static json_t *look(struct nova_json_reader *reader, char path[160], const char *format,
                    va_list arguments)
{
	int bytes = vsnprintf(path, 160, format, arguments);

	if (reader->error[0])
		return NULL;
	if (bytes < 0 || bytes >= 160) {
		snprintf(reader->error, sizeof(reader->error), "the path %.60s... is too long",
		         path);
		return NULL;
	}
	return nova_json_at(reader->value, path);
}

const char *nova_json_need_text(struct nova_json_reader *reader, const char *format, ...)
{
	char path[160];
	va_list arguments;
	json_t *found;

	va_start(arguments, format);
	found = look(reader, path, format, arguments);
	va_end(arguments);
	if (!json_is_string(found) && !reader->error[0])
		complain(reader, path, found, "a text");
	return reader->error[0] ? "" : json_string_value(found);
}

int64_t nova_json_need_number(struct nova_json_reader *reader, const char *format, ...)
{
	char path[160];
	va_list arguments;
	json_t *found;
	int64_t number = 0;

	va_start(arguments, format);
	found = look(reader, path, format, arguments);
	va_end(arguments);
	if (!reader->error[0] && !read_number(found, &number))
		complain(reader, path, found, "a number");
	return reader->error[0] ? 0 : number;
}

json_t *nova_json_need_array(struct nova_json_reader *reader, const char *format, ...)
{
	char path[160];
	va_list arguments;
	json_t *found;

	va_start(arguments, format);
	found = look(reader, path, format, arguments);
	va_end(arguments);
	if (!json_is_array(found) && !reader->error[0])
		complain(reader, path, found, "an array");
	return reader->error[0] ? NULL : found;
}

json_t *nova_json_need_object(struct nova_json_reader *reader, const char *format, ...)
{
	char path[160];
	va_list arguments;
	json_t *found;

	va_start(arguments, format);
	found = look(reader, path, format, arguments);
	va_end(arguments);
	if (!json_is_object(found) && !reader->error[0])
		complain(reader, path, found, "an object");
	return reader->error[0] ? NULL : found;
}
