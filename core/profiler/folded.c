/* SPDX-License-Identifier: MIT */
/*
 * Folded stacks: "main;work;memcpy_[k] 12", a line for each distinct stack, root first. What kind
 * of frame it is stands behind its name, as others write it: _[k] kernel, _[i] inlined, _[j] JIT;
 * and _[g] in a VM.
 */
#include "core/profiler/inside.h"

#include <ctype.h>
#include <string.h>

static const struct {
	char letter;
	uint32_t flag;
} MARKS[] = {{'k', NOVA_FRAME_KERNEL},
             {'i', NOVA_FRAME_INLINED},
             {'j', NOVA_FRAME_JIT},
             {'g', NOVA_FRAME_GUEST}};

/* --- reading -------------------------------------------------------------------------------------
 */

/* The line before: where its frames end, and at which nodes. Sorted files begin as it does. */
struct before {
	char *text;
	size_t length, room;
	struct place {
		size_t end;
		uint32_t node;
	} * places;
	uint32_t count, place_room;
};

static size_t common(const char *one, const char *two, size_t most)
{
	size_t at = 0;

	for (; at + 8 <= most; at += 8) {
		uint64_t a, b;

		memcpy(&a, one + at, 8);
		memcpy(&b, two + at, 8);
		if (a != b)
			return at + (size_t)(__builtin_ctzll(a ^ b) / 8); /* little endian */
	}
	while (at < most && one[at] == two[at])
		at++;
	return at;
}

static uint32_t frame_of(struct nova_stacks *stacks, const char *name, size_t length)
{
	uint32_t flags = 0;

	if (length > 4 && name[length - 1] == ']' && name[length - 3] == '[' &&
	    name[length - 4] == '_')
		for (size_t i = 0; i < NOVA_COUNT(MARKS); i++)
			if (name[length - 2] == MARKS[i].letter)
				flags = MARKS[i].flag;
	return stacks_frame(stacks, name, flags ? length - 4 : length, "", 0, flags);
}

/* Puts the count behind the stack into `*value` and cuts it off; false: there is none. */
static bool cut_count(const char *line, size_t *length, uint64_t *value)
{
	size_t end = *length, begin;

	while (end > 0 && (line[end - 1] == ' ' || line[end - 1] == '\t'))
		end--;
	begin = end;
	while (begin > 0 && (isdigit((unsigned char)line[begin - 1]) || line[begin - 1] == '.'))
		begin--;
	if (begin == end || begin < 2 || line[begin - 1] != ' ' || line[begin] == '.')
		return false;
	*value = 0;
	for (size_t i = begin; i < end && line[i] != '.'; i++) {
		unsigned digit = (unsigned)(line[i] - '0');

		if (*value > (UINT64_MAX - digit) / 10)
			return false;
		*value = *value * 10 + digit;
	}
	while (begin > 0 && line[begin - 1] == ' ')
		begin--;
	*length = begin;
	return begin > 0;
}

static void remember(struct before *before, uint32_t at, size_t end, uint32_t node)
{
	if (at == before->place_room) {
		before->place_room = before->place_room ? before->place_room * 2 : 64;
		before->places =
		        nova_realloc(before->places, before->place_room * sizeof(*before->places));
	}
	before->places[at] = (struct place){end, node};
}

static uint32_t node_of(struct nova_stacks *stacks, struct before *before, const char *stack,
                        size_t length)
{
	size_t same =
	        common(before->text, stack, length < before->length ? length : before->length);
	uint32_t depth = before->count;
	uint32_t node;
	size_t at;

	/* a frame is the same if its end, and what separates it from the next, is */
	while (depth > 0 && (before->places[depth - 1].end > same ||
	                     (before->places[depth - 1].end < length
	                              ? stack[before->places[depth - 1].end] != ';'
	                              : false)))
		depth--;
	node = depth ? before->places[depth - 1].node : 0;
	at = depth ? before->places[depth - 1].end + 1 : 0;
	while (at < length) {
		const char *separator = memchr(stack + at, ';', length - at);
		size_t end = separator ? (size_t)(separator - stack) : length;

		if (end > at)
			node = nova_stacks_call(stacks, node,
			                        frame_of(stacks, stack + at, end - at));
		remember(before, depth++, end, node);
		at = end + 1;
	}
	before->count = depth;
	if (before->room < length) {
		before->room = length * 2;
		before->text = nova_realloc(before->text, before->room);
	}
	memcpy(before->text + (same < length ? same : length),
	       stack + (same < length ? same : length), length - (same < length ? same : length));
	before->length = length;
	return node;
}

#define CHECK_BYTES (64u << 10)

static int read_lines(struct source *source, size_t limit, struct nova_stacks *stacks,
                      struct before *before, struct nova_error *error)
{
	size_t length, unchecked = 0; /* bytes since it was seen that there is room */
	uint64_t value;
	char *line;
	int status;

	while ((status = source_line(source, &line, &length, error)) == 1) {
		if (length == 0 || line[0] == '#')
			continue;
		if (!cut_count(line, &length, &value))
			return nova_error_set(
			        error, NOVA_E_INVALID,
			        "%s:%zu: folded stacks end with a space and a count "
			        "(\"main;work 12\"), and this line does not: \"%.60s\"",
			        source->name, source->line,
			        stacks_excerpt(line, length, (char[64]){0}, 64));
		nova_stacks_add(stacks, node_of(stacks, before, line, length), 0, &value);
		unchecked += length;
		if (unchecked >= CHECK_BYTES) {
			status = stacks_check_room(stacks, limit, source->name, error);
			if (status)
				return status;
			unchecked = 0;
		}
	}
	return status;
}

int folded_read(struct source *source, size_t limit, struct nova_stacks **stacks,
                struct nova_error *error)
{
	struct before before = {0};
	int status;

	*stacks = nova_stacks_new(&(struct nova_value_type){"samples", "count"}, 1);
	status = read_lines(source, limit, *stacks, &before, error);
	if (status == 0)
		status = stacks_check_room(*stacks, limit, source->name, error);
	free(before.text);
	free(before.places);
	return status;
}

/* --- writing -------------------------------------------------------------------------------------
 */

static void put_name(FILE *file, const char *name, uint32_t flags)
{
	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;

		fputc(c == ';' ? ':' : c < 0x20 || c == 0x7f ? '?' : c, file);
	}
	for (size_t i = 0; i < NOVA_COUNT(MARKS); i++)
		if (flags & MARKS[i].flag) {
			fprintf(file, "_[%c]", MARKS[i].letter);
			break;
		}
}

int nova_stacks_write_folded(const struct nova_stacks *stacks, uint32_t type,
                             enum nova_stacks_by by, FILE *file, struct nova_error *error)
{
	const struct nova_flame_request request = {.type = type, .by = by};
	struct nova_flame flame;
	uint32_t *path;

	nova_flame_make(stacks, &request, &flame);
	path = nova_alloc((flame.depth + 1) * sizeof(*path));
	if (flame.boxes[0].self) /* nothing but its origin is known of it */
		fprintf(file, "[unknown] %llu\n", (unsigned long long)flame.boxes[0].self);
	for (uint32_t i = 1; i < flame.count && !ferror(file); i++) {
		const struct nova_flame_box *box = &flame.boxes[i];

		path[box->depth] = i;
		if (box->self == 0)
			continue;
		for (uint32_t depth = 1; depth <= box->depth; depth++) {
			if (depth > 1)
				fputc(';', file);
			put_name(file, flame.boxes[path[depth]].name,
			         flame.boxes[path[depth]].flags);
		}
		fprintf(file, " %llu\n", (unsigned long long)box->self);
	}
	free(path);
	nova_flame_free(&flame);
	return ferror(file) ? nova_error_errno(error, "cannot write folded stacks") : 0;
}
