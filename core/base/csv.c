/* SPDX-License-Identifier: MIT */
/*
 * CSV (RFC 4180), one record at a time, so that a file may be longer than memory. Strict where
 * leniency would guess: a quote in the middle of a field, text behind a closing one and control
 * characters are errors with their line.
 */
#include "core/base/base.h"

#include <stdlib.h>
#include <string.h>

#define LONGEST_RECORD ((size_t)1 << 20)
#define MOST_FIELDS    4096
#define BOM            "\xef\xbb\xbf"

/* What ends a field, beside the separator. */
enum { END_OF_RECORD = '\n', END_OF_FILE = EOF, FAILED = -1000 };

static int fail(const struct nova_csv *csv, size_t line, struct nova_error *error, const char *why)
{
	nova_error_set(error, NOVA_E_INVALID, "%s, line %zu: %s", csv->name, line, why);
	return FAILED;
}

/* The next byte, with CRLF as LF; FAILED if no text can have it. */
static int next(struct nova_csv *csv, struct nova_error *error)
{
	int byte = getc_unlocked(csv->file);

	if (byte == '\r') {
		byte = getc_unlocked(csv->file);
		if (byte != '\n')
			return fail(csv, csv->at, error,
			            "a carriage return without a line feed; end lines with LF or "
			            "CRLF");
	}
	if (byte == '\n')
		csv->at++;
	else if (byte == EOF && ferror(csv->file)) {
		nova_error_errno(error, "cannot read %s", csv->name);
		return FAILED;
	} else if (byte >= 0 && (byte < 0x20 || byte == 0x7f) && byte != '\t') {
		nova_error_set(error, NOVA_E_INVALID,
		               "%s, line %zu: byte 0x%02x is no text; a CSV file is wanted, in "
		               "UTF-8",
		               csv->name, csv->at, (unsigned)byte);
		return FAILED;
	}
	return byte;
}

static int keep(struct nova_csv *csv, int byte, struct nova_error *error)
{
	char character = (char)byte;

	if (csv->text.length >= LONGEST_RECORD)
		return fail(csv, csv->line, error,
		            "a record of more than 1 MiB; is a quote not closed?");
	nova_text_add_bytes(&csv->text, &character, 1);
	return byte;
}

/* In the first record, the first that could be one is it. */
static bool is_separator(struct nova_csv *csv, int byte)
{
	if (!csv->separator && byte > 0 && strchr(",;\t", byte))
		csv->separator = (char)byte;
	return csv->separator && byte == csv->separator;
}

static bool ends_field(struct nova_csv *csv, int byte)
{
	return byte == FAILED || byte == END_OF_FILE || byte == END_OF_RECORD ||
	       is_separator(csv, byte);
}

/* After the opening quote; returns what ended the field. */
static int read_quoted(struct nova_csv *csv, struct nova_error *error)
{
	size_t opened = csv->at;

	for (;;) {
		int byte = next(csv, error);

		if (byte == END_OF_FILE)
			return fail(csv, opened, error, "a quote is not closed");
		if (byte == '"') {
			byte = next(csv, error);
			if (ends_field(csv, byte))
				return byte;
			if (byte != '"')
				return fail(csv, csv->at, error,
				            "text behind a closing quote; a quote within a field "
				            "is "
				            "written twice");
		}
		if (byte == FAILED || keep(csv, byte, error) == FAILED)
			return FAILED;
	}
}

static int read_field(struct nova_csv *csv, int byte, struct nova_error *error)
{
	if (csv->count >= MOST_FIELDS)
		return fail(csv, csv->line, error, "more than 4096 fields");
	csv->starts = nova_grow(csv->starts, csv->count, sizeof(*csv->starts));
	csv->starts[csv->count++] = csv->text.length;
	if (byte == '"') {
		csv->blank = false;
		byte = read_quoted(csv, error);
	} else {
		for (; !ends_field(csv, byte); byte = next(csv, error)) {
			if (byte == '"')
				return fail(csv, csv->at, error,
				            "a quote within a field that does not begin with one");
			if (keep(csv, byte, error) == FAILED)
				return FAILED;
		}
	}
	nova_text_add_bytes(&csv->text, "", 1); /* its NUL */
	return byte;
}

static int skip_bom(struct nova_csv *csv, int byte, struct nova_error *error)
{
	for (size_t i = 0; BOM[i]; i++) {
		if (byte != (unsigned char)BOM[i])
			return i ? fail(csv, 1, error, "a broken byte order mark") : byte;
		byte = next(csv, error);
	}
	return byte;
}

int nova_csv_read(struct nova_csv *csv, struct nova_error *error)
{
	bool first = !csv->at;
	int byte;

	csv->at += first;
	csv->line = csv->at;
	csv->count = csv->text.length = 0;
	csv->blank = true;
	byte = next(csv, error);
	if (first)
		byte = skip_bom(csv, byte, error);
	if (byte == END_OF_FILE)
		return 0;
	while ((byte = read_field(csv, byte, error)) != FAILED) {
		csv->blank = csv->blank && csv->count == 1 && csv->text.length == 1;
		if (byte == END_OF_RECORD || byte == END_OF_FILE) {
			if (first && !csv->separator)
				csv->separator = ',';
			return 1;
		}
		byte = next(csv, error);
	}
	return error ? error->code : NOVA_E_INVALID;
}

const char *nova_csv_field(const struct nova_csv *csv, size_t i)
{
	return csv->text.data + csv->starts[i];
}

void nova_csv_free(struct nova_csv *csv)
{
	nova_text_free(&csv->text);
	free(csv->starts);
	csv->starts = NULL;
	csv->count = 0;
}
