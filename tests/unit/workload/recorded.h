/* SPDX-License-Identifier: MIT */
/* What programs printed, whole and in pieces. For tests of what reads it. */
#ifndef NOVACORE_TESTS_RECORDED_H
#define NOVACORE_TESTS_RECORDED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct recorded {
	char *text;
	size_t bytes;
};

static inline struct recorded recorded_read(const char *folder, const char *name)
{
	struct recorded file = {NULL, 0};
	char path[512];
	FILE *in;
	long bytes;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	in = fopen(path, "rb");
	if (!in || fseek(in, 0, SEEK_END) != 0 || (bytes = ftell(in)) <= 0) {
		fprintf(stderr, "cannot read %s\n", path);
		exit(1);
	}
	rewind(in);
	file.text = malloc((size_t)bytes);
	file.bytes = file.text ? fread(file.text, 1, (size_t)bytes, in) : 0;
	fclose(in);
	if (file.bytes != (size_t)bytes)
		exit(1);
	return file;
}

/* Without its line that begins at `at`: a text of its own. @return where the next line begins */
static inline size_t recorded_without_line(const struct recorded *file, size_t at,
                                           struct recorded *less)
{
	const char *newline = memchr(file->text + at, '\n', file->bytes - at);
	size_t next = newline ? (size_t)(newline - file->text) + 1 : file->bytes;

	less->bytes = file->bytes - (next - at);
	less->text = malloc(less->bytes + 1);
	if (!less->text)
		exit(1);
	memcpy(less->text, file->text, at);
	memcpy(less->text + at, file->text + next, file->bytes - next);
	return next;
}

#endif
