/* SPDX-License-Identifier: MIT */
/* Writes a recording: whole chunks, appended by one write() each time, so that a process that is
 * killed leaves at most one that is torn, at the end. */
#include "core/profiler/record.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

int writer_open(struct writer *writer, const char *path, struct nova_error *error)
{
	memset(writer, 0, sizeof(*writer));
	writer->path = path;
	/* Names and addresses of other users' processes are in it. */
	writer->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (writer->fd < 0)
		return nova_error_errno(error, "cannot write %s", path);
	nova_text_add_bytes(&writer->buffer, RECORDING_MAGIC, MAGIC_BYTES);
	return 0;
}

int writer_reopen(struct writer *writer, const char *path, uint64_t at, struct nova_error *error)
{
	memset(writer, 0, sizeof(*writer));
	writer->path = path;
	writer->bytes = at;
	writer->fd = open(path, O_WRONLY | O_CLOEXEC);
	if (writer->fd < 0 || ftruncate(writer->fd, (off_t)at) ||
	    lseek(writer->fd, (off_t)at, SEEK_SET) < 0) {
		nova_error_errno(error, "cannot write %s", path);
		nova_cleanup_close(&writer->fd);
		return error ? error->code : NOVA_E_IO;
	}
	return 0;
}

void writer_begin(struct writer *writer, enum chunk_kind kind)
{
	uint32_t head[3] = {(uint32_t)kind, 0, 0};

	nova_text_add_bytes(&writer->buffer, head, sizeof(head));
	writer->open = writer->buffer.length;
}

void writer_end(struct writer *writer)
{
	uint32_t head[3];
	char *at = writer->buffer.data + writer->open - CHUNK_HEAD;
	size_t length = writer->buffer.length - writer->open;

	memcpy(head, at, sizeof(head));
	head[1] = (uint32_t)length;
	head[2] = (uint32_t)crc32(crc32(0, (const Bytef *)head, 8), (const Bytef *)at + CHUNK_HEAD,
	                          (uInt)length);
	memcpy(at, head, sizeof(head));
}

void writer_number(struct writer *writer, uint64_t number)
{
	unsigned char bytes[10];
	size_t count = 0;

	do {
		bytes[count] = (unsigned char)(number & 0x7f);
		number >>= 7;
		if (number)
			bytes[count] |= 0x80;
		count++;
	} while (number);
	nova_text_add_bytes(&writer->buffer, bytes, count);
}

void writer_text(struct writer *writer, const void *text, size_t length)
{
	writer_number(writer, length);
	nova_text_add_bytes(&writer->buffer, text, length);
}

void writer_json(struct writer *writer, enum chunk_kind kind, const json_t *json)
{
	NOVA_AUTOFREE char *text = json_dumps(json, JSON_COMPACT);

	writer_begin(writer, kind);
	if (text)
		nova_text_add(&writer->buffer, text);
	writer_end(writer);
}

int writer_flush(struct writer *writer, struct nova_error *error)
{
	size_t at = 0;

	while (at < writer->buffer.length) {
		ssize_t put =
		        write(writer->fd, writer->buffer.data + at, writer->buffer.length - at);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0) {
			int code = nova_error_errno(error, "cannot write %s", writer->path);

			/* whole chunks or nothing, if there is room for that */
			if (ftruncate(writer->fd, (off_t)writer->bytes) == 0)
				lseek(writer->fd, (off_t)writer->bytes, SEEK_SET);
			return code;
		}
		at += (size_t)put;
	}
	writer->bytes += at;
	writer->buffer.length = 0;
	return 0;
}

int writer_close(struct writer *writer, struct nova_error *error)
{
	int code = writer_flush(writer, error);

	if (fsync(writer->fd) && !code && errno != EINVAL)
		code = nova_error_errno(error, "cannot write %s", writer->path);
	close(writer->fd);
	nova_text_free(&writer->buffer);
	writer->fd = -1;
	return code;
}
