/* SPDX-License-Identifier: MIT */
/*
 * What `perf script` prints: for each sample a line that says whose it is, its stack from the leaf
 * to the root, and an empty line.
 *
 *   stress-ng 1234/1236 [001]  5678.123456:   10101010 cpu-clock:pppH:
 *           ffffffff81001234 do_syscall_64+0x34 ([kernel.kallsyms])
 *                       55d0 main+0x10 (/usr/bin/stress-ng)
 */
#include "core/profiler/inside.h"

#include <ctype.h>
#include <string.h>

/* --- frames --------------------------------------------------------------------------------------
 * Most lines of a stack have been there before, to the letter: a table of those that were seen last
 * at a place saves taking them apart.
 */

#define CACHE_LINES      16384u      /* a power of two */
#define CACHE_BYTES      (2u << 20)  /* of all lines that are kept */
#define CACHE_LINE_BYTES (16u << 10) /* of one */

#define MOST_FRAMES (4u << 20) /* of a stack; the kernel's limit is far below */

struct cached {
	uint32_t frame, length; /* length 0: nothing */
	uint32_t mark, at;      /* of the hash; where the line is */
};

struct reader {
	struct source *source;
	struct nova_stacks *stacks;
	struct cached *cache;
	char *lines; /* of the cache; its pages are touched as they fill */
	uint32_t lines_used;
	char event[64]; /* of the first sample; others are left out */
	uint64_t others;
	/* the stack that is being read, from the leaf */
	uint32_t *frames, depth, room;
	/* the one before, from the root: frame and node of each */
	uint32_t *path, *nodes, path_depth, path_room;
	uint64_t values[2];
	uint32_t origin;
	bool wanted, inside; /* a sample, and its stack is being read */
};

/* "main+0x10" → "main" */
static size_t without_offset(const char *name, size_t length)
{
	size_t at = length;

	while (at > 0 && isxdigit((unsigned char)name[at - 1]))
		at--;
	return at > 3 && at < length && memcmp(name + at - 3, "+0x", 3) == 0 ? at - 3 : length;
}

/* Behind the address: "main+0x10 (/usr/bin/stress-ng)", "work (inlined)", "[unknown] (/x
 * (deleted))", or without the library. */
static uint32_t take_apart(struct nova_stacks *stacks, const char *text, size_t length)
{
	size_t name = length, begin, end = length;

	if (length > 1 && text[length - 1] == ')') {
		begin = end = length - 1;
		if (end > 10 && memcmp(text + end - 10, " (deleted)", 10) == 0)
			begin -= sizeof(" (deleted)") - 1;
		while (begin > 1 && !(text[begin - 1] == '(' && text[begin - 2] == ' '))
			begin--;
		if (begin > 1) {
			name = begin - 2;
			if (end - begin == 7 && memcmp(text + begin, "inlined", 7) == 0)
				return stacks_frame(stacks, text, without_offset(text, name), "", 0,
				                    NOVA_FRAME_INLINED);
			if (end - begin == 9 && memcmp(text + begin, "[unknown]", 9) == 0)
				end = begin; /* perf does not know it either */
			return stacks_frame(stacks, text, without_offset(text, name), text + begin,
			                    end - begin,
			                    stacks_library_flags(text + begin, end - begin));
		}
	}
	return stacks_frame(stacks, text, without_offset(text, name), "", 0, 0);
}

/* Once there is no room for more lines, it begins anew: those of a program are soon there again. */
static void keep_line(struct reader *reader, struct cached *cached, struct cached wanted,
                      const char *line)
{
	if (wanted.length > CACHE_BYTES - reader->lines_used) {
		memset(reader->cache, 0, CACHE_LINES * sizeof(*reader->cache));
		reader->lines_used = 0;
	}
	wanted.at = reader->lines_used;
	memcpy(reader->lines + wanted.at, line, wanted.length);
	reader->lines_used += wanted.length;
	*cached = wanted;
}

/* False: it does not begin with an address. */
static bool take_frame(struct reader *reader, const char *line, size_t length)
{
	struct cached *cached = NULL;
	size_t at = 0, digits;
	uint64_t hash = 0;
	uint32_t frame;

	while (at < length && (line[at] == ' ' || line[at] == '\t'))
		at++;
	line += at;
	length -= at;
	if (length > 0 && length <= CACHE_LINE_BYTES) {
		hash = stacks_hash(line, length);
		cached = &reader->cache[hash & (CACHE_LINES - 1)];
		if (cached->length == length && cached->mark == (uint32_t)(hash >> 32) &&
		    memcmp(reader->lines + cached->at, line, length) == 0) {
			frame = cached->frame;
			goto known;
		}
	}
	for (digits = 0; digits < length && isxdigit((unsigned char)line[digits]); digits++)
		;
	if (digits == 0 || (digits < length && line[digits] != ' '))
		return false;
	for (at = digits; at < length && line[at] == ' '; at++)
		;
	frame = take_apart(reader->stacks, line + at, length - at);
	if (cached)
		keep_line(reader, cached,
		          (struct cached){frame, (uint32_t)length, (uint32_t)(hash >> 32), 0},
		          line);
known:
	if (reader->depth == reader->room) {
		reader->room = reader->room ? reader->room * 2 : 256;
		reader->frames =
		        nova_realloc(reader->frames, reader->room * sizeof(*reader->frames));
	}
	reader->frames[reader->depth++] = frame;
	return true;
}

/* --- samples -------------------------------------------------------------------------------------
 */

struct header {
	const char *comm;
	size_t comm_length;
	const char *event;
	size_t event_length;
	int32_t pid, tid, cpu;
	uint64_t period;  /* 0: it is not said */
	const char *leaf; /* of a sample without a stack: its one frame, up to the line's end */
};

static const char *number(const char *at, const char *end, uint64_t *value)
{
	const char *begin = at;

	for (*value = 0; at < end && isdigit((unsigned char)*at) && at - begin < 19; at++)
		*value = *value * 10 + (uint64_t)(*at - '0');
	return at > begin ? at : NULL;
}

/* "1234 " or "1234/1236 ", what follows a name; NULL: it is no such thing. */
static const char *read_ids(const char *at, const char *end, struct header *header)
{
	uint64_t first, second;

	if (at < end && *at == '-' && (at = number(at + 1, end, &first)) != NULL)
		first = UINT64_MAX; /* perf does not know */
	else if (!at || !(at = number(at, end, &first)))
		return NULL;
	second = first;
	if (at < end && *at == '/' && !(at = number(at + 1, end, &second)))
		return NULL;
	if (at == end || *at != ' ')
		return NULL;
	header->pid = first <= INT32_MAX ? (int32_t)first : -1;
	header->tid = second <= INT32_MAX ? (int32_t)second : -1;
	return at;
}

static const char *skip_spaces(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	return at;
}

/* "[001]", "5678.123456:", "10101010", "cpu-clock:pppH:", of which all but the last may be missing;
 * without call chains a frame follows. */
static bool read_rest(const char *at, const char *end, struct header *header)
{
	uint64_t value;
	const char *next;

	at = skip_spaces(at, end);
	header->cpu = -1;
	if (at < end && *at == '[' && (next = number(at + 1, end, &value)) && next < end &&
	    *next == ']') {
		header->cpu = value <= INT32_MAX ? (int32_t)value : -1;
		at = skip_spaces(next + 1, end);
	}
	next = number(at, end, &value);
	if (next && next + 1 < end && *next == '.') {
		next = number(next + 1, end, &value);
		if (!next || next == end || *next != ':')
			return false;
		at = skip_spaces(next + 1, end);
	}
	header->period = 0;
	next = number(at, end, &value);
	if (next && next < end && *next == ' ') {
		header->period = value;
		at = skip_spaces(next, end);
	}
	for (next = at; next < end && *next != ' ' && *next != '\t'; next++)
		;
	if (next - at < 2 || next[-1] != ':')
		return false;
	header->event = at;
	header->event_length = (size_t)(next - 1 - at);
	header->leaf = skip_spaces(next, end);
	return header->leaf == end || isxdigit((unsigned char)*header->leaf);
}

/* A name may have spaces and numbers in it: what follows decides. */
static bool read_header(const char *line, size_t length, struct header *header)
{
	const char *end = line + length, *at = skip_spaces(line, end);

	header->comm = at;
	while (at < end) {
		const char *space = memchr(at, ' ', (size_t)(end - at)), *rest;

		if (!space)
			return false;
		at = skip_spaces(space, end);
		rest = read_ids(at, end, header);
		if (rest && read_rest(rest, end, header)) {
			header->comm_length = (size_t)(space - header->comm);
			return header->comm_length > 0;
		}
	}
	return false;
}

static bool is_time(const char *event, size_t length)
{
	return (length >= 9 && memcmp(event, "cpu-clock", 9) == 0) ||
	       (length >= 10 && memcmp(event, "task-clock", 10) == 0);
}

static void begin_profile(struct reader *reader, const struct header *header)
{
	struct nova_value_type types[2] = {{"samples", "count"}, {"cpu", "nanoseconds"}};
	size_t length = header->event_length < sizeof(reader->event) - 1
	                        ? header->event_length
	                        : sizeof(reader->event) - 1;

	memcpy(reader->event, header->event, length);
	if (!is_time(header->event, header->event_length)) {
		types[1].type = reader->event;
		types[1].unit = "count";
	}
	reader->stacks = nova_stacks_new(types, header->period ? 2 : 1);
}

static void take_header(struct reader *reader, const struct header *header)
{
	char comm[64];
	size_t length =
	        header->comm_length < sizeof(comm) - 1 ? header->comm_length : sizeof(comm) - 1;

	if (!reader->stacks)
		begin_profile(reader, header);
	reader->inside = true;
	reader->depth = 0;
	reader->wanted = strncmp(reader->event, header->event,
	                         header->event_length < sizeof(reader->event) - 1
	                                 ? header->event_length
	                                 : sizeof(reader->event) - 1) == 0 &&
	                 (header->event_length >= sizeof(reader->event) - 1 ||
	                  reader->event[header->event_length] == '\0');
	if (!reader->wanted) {
		reader->others++;
		return;
	}
	memcpy(comm, header->comm, length);
	comm[length] = '\0';
	reader->values[0] = 1;
	reader->values[1] = header->period;
	reader->origin =
	        nova_stacks_origin(reader->stacks, &(struct nova_origin){.process = comm,
	                                                                 .thread = comm,
	                                                                 .pid = header->pid,
	                                                                 .tid = header->tid,
	                                                                 .cpu = header->cpu,
	                                                                 .vcpu = -1});
}

/* The stack is complete: from the root on, as far as it is the one before, its nodes are known. */
static void end_sample(struct reader *reader)
{
	uint32_t same = 0, node;

	if (!reader->inside)
		return;
	reader->inside = false;
	if (!reader->wanted)
		return;
	while (same < reader->depth && same < reader->path_depth &&
	       reader->path[same] == reader->frames[reader->depth - 1 - same])
		same++;
	if (reader->depth > reader->path_room) {
		reader->path_room = reader->depth * 2;
		reader->path = nova_realloc(reader->path, reader->path_room * sizeof(uint32_t));
		reader->nodes = nova_realloc(reader->nodes, reader->path_room * sizeof(uint32_t));
	}
	node = same ? reader->nodes[same - 1] : 0;
	for (uint32_t i = same; i < reader->depth; i++) {
		uint32_t frame = reader->frames[reader->depth - 1 - i];

		node = nova_stacks_call(reader->stacks, node, frame);
		reader->path[i] = frame;
		reader->nodes[i] = node;
	}
	reader->path_depth = reader->depth;
	nova_stacks_add(reader->stacks, node, reader->origin, reader->values);
}

/* --- lines ---------------------------------------------------------------------------------------
 */

static int complain(const struct reader *reader, const char *line, size_t length,
                    const char *wanted, struct nova_error *error)
{
	char excerpt[64];

	return nova_error_set(error, NOVA_E_INVALID,
	                      "%s:%zu: this is to be the output of perf script, and %s: \"%s\"",
	                      reader->source->name, reader->source->line, wanted,
	                      stacks_excerpt(line, length, excerpt, sizeof(excerpt)));
}

#define CHECK_BYTES (64u << 10)
#define MOST_FRAMES (4u << 20) /* of a stack; the kernel's limit is far below */

static int read_lines(struct reader *reader, size_t limit, struct nova_error *error)
{
	struct header header;
	size_t length, unchecked = 0; /* bytes since it was seen that there is room */
	char *line;
	int status;

	while ((status = source_line(reader->source, &line, &length, error)) == 1) {
		unchecked += length;
		if (unchecked >= CHECK_BYTES && reader->stacks) {
			status = stacks_check_room(reader->stacks, limit, reader->source->name,
			                           error);
			if (status)
				return status;
			unchecked = 0;
		}
		if (length == 0) {
			end_sample(reader);
			continue;
		}
		if (reader->inside && (line[0] == '\t' || line[0] == ' ')) {
			if (reader->depth == MOST_FRAMES)
				return complain(reader, line, length,
				                "a stack has at most 4194304 frames", error);
			if (reader->wanted && !take_frame(reader, line, length))
				return complain(reader, line, length,
				                "a line of a stack begins with an address", error);
			continue;
		}
		if (line[0] == '#')
			continue;
		end_sample(reader); /* without an empty line: samples without stacks */
		if (!read_header(line, length, &header))
			return complain(
			        reader, line, length,
			        "a sample begins with NAME PID [CPU] TIME: PERIOD EVENT:", error);
		take_header(reader, &header);
		if (header.leaf < line + length && reader->wanted)
			take_frame(reader, header.leaf, (size_t)(line + length - header.leaf));
	}
	end_sample(reader);
	return status;
}

int perf_script_read(struct source *source, size_t limit, struct nova_stacks **stacks,
                     struct nova_error *error)
{
	struct reader reader = {.source = source};
	int status;

	reader.cache = nova_alloc(CACHE_LINES * sizeof(*reader.cache));
	reader.lines = nova_alloc(CACHE_BYTES);
	status = read_lines(&reader, limit, error);
	if (!status && !reader.stacks)
		reader.stacks = nova_stacks_new(&(struct nova_value_type){"samples", "count"}, 1);
	if (reader.others)
		nova_stacks_note(
		        reader.stacks,
		        "%llu samples of other events than %s are left out: give each event "
		        "a file of its own (perf script --event)",
		        (unsigned long long)reader.others, reader.event);
	if (!status)
		status = stacks_check_room(reader.stacks, limit, source->name, error);
	*stacks = reader.stacks;
	free(reader.cache);
	free(reader.lines);
	free(reader.frames);
	free(reader.path);
	free(reader.nodes);
	return status;
}
