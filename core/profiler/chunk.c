/* SPDX-License-Identifier: MIT */
/* Reads a recording chunk by chunk. One whose sum is wrong, or that is not all there, is the end: a
 * process that was killed could not write on. */
#include "core/profiler/record.h"

#include <string.h>
#include <zlib.h>

uint64_t chunk_number(struct chunk *chunk)
{
	uint64_t number = 0;

	for (unsigned shift = 0; shift < 64 && chunk->at < chunk->end; shift += 7) {
		unsigned char byte = (unsigned char)*chunk->at++;

		number |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return number;
	}
	chunk->bad = true;
	chunk->at = chunk->end;
	return 0;
}

const char *chunk_text(struct chunk *chunk, size_t *length)
{
	uint64_t wanted = chunk_number(chunk);
	const char *text = chunk->at;

	*length = 0;
	if (chunk->bad || wanted > (size_t)(chunk->end - chunk->at)) {
		chunk->bad = true;
		chunk->at = chunk->end;
		return "";
	}
	*length = (size_t)wanted;
	chunk->at += wanted;
	return text;
}

static int have(struct source *source, size_t bytes, struct nova_error *error)
{
	while (source->end - source->at < bytes && !source->ended) {
		int code = source_more(source, error);

		if (code)
			return code;
	}
	return 0;
}

int chunk_next(struct source *source, struct chunk *chunk, uint64_t *torn, struct nova_error *error)
{
	uint32_t head[3] = {0};
	const char *at;
	int code = have(source, CHUNK_HEAD, error);

	if (code)
		return code;
	if (source->end - source->at >= CHUNK_HEAD)
		memcpy(head, source->data + source->at, sizeof(head));
	if (head[1] <= CHUNK_BYTES)
		code = have(source, CHUNK_HEAD + head[1], error);
	if (code)
		return code;
	at = source->data + source->at;
	*torn = source->end - source->at;
	if (*torn < CHUNK_HEAD || head[1] > CHUNK_BYTES || *torn - CHUNK_HEAD < head[1] ||
	    head[2] != crc32(crc32(0, (const Bytef *)head, 8), (const Bytef *)at + CHUNK_HEAD,
	                     (uInt)head[1]))
		return 0;
	*torn = 0;
	*chunk = (struct chunk){head[0], at + CHUNK_HEAD, at + CHUNK_HEAD + head[1], false};
	source->at += CHUNK_HEAD + head[1];
	return 1;
}
