/* SPDX-License-Identifier: MIT */
/* A file as bytes or lines, with gzip or without, of which one piece is held at a time. */
#include "core/profiler/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define PIECE_BYTES (128u << 10) /* what the cache holds, and few pages to be touched first */

int source_open(struct source *source, const char *path, struct nova_error *error)
{
	ssize_t got = 0;

	memset(source, 0, sizeof(*source));
	source->name = strcmp(path, "-") == 0 ? "standard input" : path;
	source->fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	if (source->fd < 0)
		return nova_error_errno(error, "cannot read %s", source->name);
	source->room = PIECE_BYTES;
	source->most = SOURCE_LINE_BYTES;
	source->data = nova_alloc(source->room + 1);
	while (source->end < 2 &&
	       (got = read(source->fd, source->data + source->end, source->room - source->end)) > 0)
		source->end += (size_t)got;
	if (got < 0) {
		int code = nova_error_errno(error, "cannot read %s", source->name);

		source_close(source);
		return code;
	}
	source->ended = got == 0;
	if (source->end >= 2 && memcmp(source->data, "\x1f\x8b", 2) == 0) {
		z_stream *unzip = nova_alloc(sizeof(*unzip));

		source->packed = nova_alloc(PIECE_BYTES);
		memcpy(source->packed, source->data, source->end);
		unzip->next_in = source->packed;
		unzip->avail_in = (unsigned)source->end;
		source->end = 0;
		source->ended = false;
		source->unzip = unzip;
		if (inflateInit2(unzip, 15 + 16) != Z_OK) {
			free(unzip);
			source->unzip = NULL;
			source_close(source);
			return nova_error_set(error, NOVA_E_FAILED, "zlib does not start");
		}
	}
	return 0;
}

static int bad_gzip(const struct source *source, struct nova_error *error)
{
	const z_stream *unzip = source->unzip;

	return nova_error_set(error, NOVA_E_INVALID,
	                      "%s: the gzip data are broken at byte %llu (%s)", source->name,
	                      (unsigned long long)unzip->total_in,
	                      unzip->msg ? unzip->msg : "they end too early");
}

/* Up to `room` bytes more, 0 at the end, or NOVA_E_*. */
static ssize_t inflate_more(struct source *source, char *at, size_t room, struct nova_error *error)
{
	z_stream *unzip = source->unzip;
	int status = Z_OK;

	unzip->next_out = (unsigned char *)at;
	unzip->avail_out = (unsigned)room;
	while (unzip->avail_out == room) {
		if (unzip->avail_in == 0) {
			ssize_t got = read(source->fd, source->packed, PIECE_BYTES);

			if (got < 0)
				return nova_error_errno(error, "cannot read %s", source->name);
			if (got == 0)
				return status == Z_STREAM_END || source->between
				               ? 0
				               : bad_gzip(source, error);
			unzip->next_in = source->packed;
			unzip->avail_in = (unsigned)got;
		}
		if (source->between) { /* another member follows */
			inflateReset(unzip);
			source->between = false;
		}
		status = inflate(unzip, Z_NO_FLUSH);
		source->between = status == Z_STREAM_END;
		if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
			return bad_gzip(source, error);
	}
	return (ssize_t)(room - unzip->avail_out);
}

int source_more(struct source *source, struct nova_error *error)
{
	ssize_t got;

	if (source->at > 0) {
		memmove(source->data, source->data + source->at, source->end - source->at);
		source->end -= source->at;
		source->passed += source->at;
		source->at = 0;
	}
	if (source->end == source->room) {
		if (source->room >= source->most)
			return nova_error_set(
			        error, NOVA_E_INVALID,
			        "%s: from byte %llu (line %zu) on there are more than %zu "
			        "MiB in one piece, which novacore does not take",
			        source->name, (unsigned long long)source->passed, source->line + 1,
			        source->most >> 20);
		source->room *= 2;
		source->data = nova_realloc(source->data, source->room + 1);
	}
	if (source->ended)
		return 0;
	if (source->unzip) {
		got = inflate_more(source, source->data + source->end, source->room - source->end,
		                   error);
		if (got < 0)
			return (int)got;
	} else {
		do
			got = read(source->fd, source->data + source->end,
			           source->room - source->end);
		while (got < 0 && errno == EINTR);
		if (got < 0)
			return nova_error_errno(error, "cannot read %s", source->name);
	}
	source->ended = got == 0;
	source->end += (size_t)got;
	return 0;
}

int source_line(struct source *source, char **line, size_t *length, struct nova_error *error)
{
	size_t looked = 0;
	int code;

	for (;;) {
		char *begin = source->data + source->at;
		size_t have = source->end - source->at;
		char *newline = memchr(begin + looked, '\n', have - looked);

		if (newline || (source->ended && have > 0)) {
			*line = begin;
			*length = newline ? (size_t)(newline - begin) : have;
			source->at += *length + (newline ? 1 : 0);
			source->line++;
			if (*length > 0 && begin[*length - 1] == '\r')
				--*length;
			return 1;
		}
		if (source->ended)
			return 0;
		looked = have;
		code = source_more(source, error);
		if (code)
			return code;
	}
}

void source_empty(struct source *source)
{
	source->passed += source->end;
	source->at = source->end = 0;
	source->room = PIECE_BYTES;
	source->data = nova_realloc(source->data, source->room + 1);
}

void source_close(struct source *source)
{
	if (source->fd >= 0)
		close(source->fd);
	if (source->unzip) {
		inflateEnd(source->unzip);
		free(source->unzip);
	}
	free(source->packed);
	free(source->data);
	memset(source, 0, sizeof(*source));
	source->fd = -1;
}
