/* SPDX-License-Identifier: MIT */
/* The reader of CSV: what RFC 4180 allows is read, what it does not is refused with its line. */
#include "core/base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* All records as "a|b/c|d/", or the error's text. */
static const char *read_bytes(const char *text, size_t bytes)
{
	static char all[4096];
	struct nova_csv csv = {.file = fmemopen((void *)(uintptr_t)text, bytes, "r"),
	                       .name = "x.csv"};
	struct nova_error error = {0};
	int code;

	all[0] = 0;
	assert_non_null(csv.file);
	while ((code = nova_csv_read(&csv, &error)) > 0) {
		for (size_t i = 0; i < csv.count; i++) {
			strcat(all, i ? "|" : "");
			strcat(all, nova_csv_field(&csv, i));
		}
		strcat(all, csv.blank ? "(blank)/" : "/");
	}
	if (code < 0) {
		assert_int_equal(code, NOVA_E_INVALID);
		strcpy(all, error.text);
	}
	fclose(csv.file);
	nova_csv_free(&csv);
	return all;
}

static const char *read_text(const char *text)
{
	return read_bytes(text, strlen(text));
}

static void reads_records_of_either_line_end(void **state)
{
	(void)state;
	assert_string_equal(read_text("a,b\n1,2\n"), "a|b/1|2/");
	assert_string_equal(read_text("a,b\r\n1,2\r\n"), "a|b/1|2/");
	assert_string_equal(read_text("a,b\n1,2"), "a|b/1|2/");
	assert_string_equal(read_text(",\n,"), "|/|/");
	assert_string_equal(read_text("a"), "a/");
}

static void skips_a_byte_order_mark(void **state)
{
	(void)state;
	assert_string_equal(read_text("\xef\xbb\xbf"
	                              "a,b\n"),
	                    "a|b/");
	assert_string_equal(read_text("\xef\xbb\xbf"), "");
	assert_string_equal(read_text("\xef\xbb,1"), "x.csv, line 1: a broken byte order mark");
}

static void reads_quoted_fields(void **state)
{
	(void)state;
	assert_string_equal(read_text("\"a,b\",\"say \"\"hi\"\"\"\n"), "a,b|say \"hi\"/");
	assert_string_equal(read_text("\"two\r\nlines\",x\n"), "two\nlines|x/");
	assert_string_equal(read_text("\"\"\n"), "/");
	assert_string_equal(read_text("\"\""), "/");
}

static void the_first_separator_is_the_one(void **state)
{
	(void)state;
	assert_string_equal(read_text("a;b\n1,5;2\n"), "a|b/1,5|2/");
	assert_string_equal(read_text("a\tb\n1;5\t2\n"), "a|b/1;5|2/");
	assert_string_equal(read_text("\"a;x\",b\n1;5,2\n"), "a;x|b/1;5|2/");
	assert_string_equal(read_text("a\n1;5\n"), "a/1;5/");
}

static void empty_lines_are_blank(void **state)
{
	(void)state;
	assert_string_equal(read_text("a\n\n1\n\"\"\n"), "a/(blank)/1//");
	assert_string_equal(read_text("\n"), "(blank)/");
	assert_string_equal(read_text("\r\n"), "(blank)/");
}

static void refuses_what_is_no_csv_with_the_line(void **state)
{
	(void)state;
	assert_string_equal(read_text("a\n1\"2\n"),
	                    "x.csv, line 2: a quote within a field that does not begin with one");
	assert_string_equal(read_text("a\n\"1\"2\n"),
	                    "x.csv, line 2: text behind a closing quote; a quote within a field is "
	                    "written twice");
	assert_string_equal(read_text("a\n\n\"1\n2\n"), "x.csv, line 3: a quote is not closed");
	assert_string_equal(read_text("a\r1\r"),
	                    "x.csv, line 1: a carriage return without a line feed; end lines with "
	                    "LF or CRLF");
	assert_string_equal(read_bytes("a\n1\0002\n", 6),
	                    "x.csv, line 2: byte 0x00 is no text; a CSV file is wanted, in UTF-8");
	assert_string_equal(read_text("\x7f"
	                              "ELF"),
	                    "x.csv, line 1: byte 0x7f is no text; a CSV file is wanted, in UTF-8");
}

static void memory_is_bounded(void **state)
{
	size_t bytes = (size_t)3 << 20;
	char *text = malloc(bytes);

	(void)state;
	memset(text, 'x', bytes);
	assert_string_equal(read_bytes(text, bytes),
	                    "x.csv, line 1: a record of more than 1 MiB; is a quote not closed?");
	memset(text, ',', bytes);
	assert_string_equal(read_bytes(text, 5000), "x.csv, line 1: more than 4096 fields");
	free(text);
}

static void a_file_that_cannot_be_read_is_an_error(void **state)
{
	struct nova_csv csv = {.file = fopen("/", "re"), .name = "/"};
	struct nova_error error = {0};

	(void)state;
	assert_non_null(csv.file);
	assert_true(nova_csv_read(&csv, &error) < 0);
	assert_string_equal(error.text, "cannot read /: is a directory");
	fclose(csv.file);
	nova_csv_free(&csv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(reads_records_of_either_line_end),
	        cmocka_unit_test(skips_a_byte_order_mark),
	        cmocka_unit_test(reads_quoted_fields),
	        cmocka_unit_test(the_first_separator_is_the_one),
	        cmocka_unit_test(empty_lines_are_blank),
	        cmocka_unit_test(refuses_what_is_no_csv_with_the_line),
	        cmocka_unit_test(memory_is_bounded),
	        cmocka_unit_test(a_file_that_cannot_be_read_is_an_error),
	};

	return cmocka_run_group_tests_name("base_csv", tests, NULL, NULL);
}
