/* SPDX-License-Identifier: MIT */
/* Which format a file has, by how it begins. */
#include "core/profiler/record.h"

#include <ctype.h>
#include <string.h>

#define LIMIT_BYTES ((size_t)1 << 30)
#define LOOK_BYTES  4096u

const char *stacks_excerpt(const char *line, size_t length, char *text, size_t room)
{
	size_t count = length < room - 1 ? length : room - 1;

	memcpy(text, line, count);
	text[count] = '\0';
	for (size_t i = 0; i < count; i++)
		if (text[i] == '\0' || text[i] == '\t')
			text[i] = ' ';
	nova_text_clean(text);
	return text;
}

int stacks_check_room(const struct nova_stacks *stacks, size_t limit, const char *name,
                      struct nova_error *error)
{
	char most[32];

	if (nova_stacks_bytes(stacks) <= limit)
		return 0;
	nova_value_format((double)limit, NOVA_UNIT_BYTE, most);
	return nova_error_set(error, NOVA_E_FULL,
	                      "%s: its stacks are so many that they take more than %s of memory; "
	                      "record for a shorter time or at a lower frequency, or split it",
	                      name, most);
}

typedef int read_function(struct source *source, size_t limit, struct nova_stacks **stacks,
                          struct nova_error *error);

static bool is_binary(const char *data, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)data[i] < 0x09)
			return true;
	return false;
}

/* The first line that says something decides: a sample of perf script has a word with a colon
 * behind it that is followed by nothing or a frame, a folded stack ends with a count. */
static bool is_perf_script(const char *data, size_t length)
{
	const char *end = data + length, *line = data;

	while (line < end) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		const char *stop = newline ? newline : end, *last = stop;

		while (last > line && isspace((unsigned char)last[-1]))
			last--;
		if (last == line || *line == '#') {
			line = newline ? newline + 1 : end;
			continue;
		}
		return last[-1] == ':' || last[-1] == ')';
	}
	return false;
}

static read_function *reader_of(const struct source *source)
{
	const char *data = source->data + source->at;
	size_t length = source->end - source->at;

	if (length > LOOK_BYTES)
		length = LOOK_BYTES;
	if (length >= MAGIC_BYTES && memcmp(data, RECORDING_MAGIC, MAGIC_BYTES) == 0)
		return recording_read;
	return is_binary(data, length)        ? pprof_read
	       : is_perf_script(data, length) ? perf_script_read
	                                      : folded_read;
}

int nova_stacks_read(const char *path, const struct nova_stacks_limits *limits,
                     struct nova_stacks **stacks, struct nova_error *error)
{
	size_t limit = limits && limits->bytes ? limits->bytes : LIMIT_BYTES;
	struct source source;
	int code = source_open(&source, path, error);

	*stacks = NULL;
	if (code)
		return code;
	while (!code && source.end < LOOK_BYTES && !source.ended)
		code = source_more(&source, error);
	if (!code && source.end == 0)
		code = nova_error_set(error, NOVA_E_INVALID, "%s is empty", source.name);
	if (!code)
		code = reader_of(&source)(&source, limit, stacks, error);
	if (!code && (*stacks)->count_count == 0)
		code = nova_error_set(error, NOVA_E_INVALID, "%s: no sample is in it", source.name);
	source_close(&source);
	if (code) {
		nova_stacks_free(*stacks);
		*stacks = NULL;
	}
	return code;
}
