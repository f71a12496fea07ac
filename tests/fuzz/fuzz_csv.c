// rooms: base
// SPDX-License-Identifier: MIT
/* CSV files come from anywhere. What was read, written with every field quoted, reads the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All records, quoted; NULL if it is no CSV. */
static char *rewrite(const void *data, size_t size, size_t *bytes)
{
	struct nova_csv csv = {.file = fmemopen((void *)(uintptr_t)data, size, "r"), .name = "x"};
	struct nova_error error = {0};
	struct nova_text out = {0};
	int code;

	while ((code = nova_csv_read(&csv, &error)) > 0) {
		if (!csv.count || csv.count > 4096 || (csv.blank && *nova_csv_field(&csv, 0)))
			abort();
		for (size_t i = 0; i < csv.count; i++) {
			char separator[2] = {i ? csv.separator : 0, 0};

			nova_text_add(&out, separator);
			nova_text_add(&out, "\"");
			for (const char *at = nova_csv_field(&csv, i); *at; at++) {
				nova_text_add_bytes(&out, at, 1);
				if (*at == '"')
					nova_text_add(&out, "\"");
			}
			nova_text_add(&out, "\"");
		}
		nova_text_add(&out, "\n");
	}
	fclose(csv.file);
	nova_csv_free(&csv);
	if (code < 0 && (code != NOVA_E_INVALID || !error.text[0]))
		abort();
	if (code < 0) {
		nova_text_free(&out);
		return NULL;
	}
	*bytes = out.length;
	return out.data;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t first_bytes = 0, second_bytes = 0;
	char *first, *second;

	if (!size || size > 1 << 16)
		return 0;
	first = rewrite(data, size, &first_bytes);
	if (!first)
		return 0;
	second = rewrite(first, first_bytes, &second_bytes);
	if (!second || first_bytes != second_bytes || memcmp(first, second, first_bytes) != 0)
		abort();
	free(first);
	free(second);
	return 0;
}
