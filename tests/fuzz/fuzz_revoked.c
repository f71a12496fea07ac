// rooms: plugin config base
// SPDX-License-Identifier: MIT
/*
 * A revocation list of any content. Every line that is 64 digits counts, whatever stands in the
 * others; and without an error, nothing else stands there but comments.
 */
#include <stdlib.h>
#include <string.h>

#include "core/plugin/inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
	if (!holds)
		abort();
}

/* How many lines are 64 digits and nothing else. */
static size_t count_plain(const char *text, size_t size)
{
	size_t count = 0;

	for (size_t at = 0; at < size;) {
		const char *newline = memchr(text + at, '\n', size - at);
		size_t length = newline ? (size_t)(newline - text) - at : size - at;
		count += length == 64 && strspn(text + at, "0123456789abcdef") >= 64;
		at += length + 1;
	}
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nova_keys *keys = nova_alloc(sizeof(*keys));
	NOVA_AUTOFREE char *text = nova_alloc(size + 1);
	struct nova_error error = {0};

	if (size)
		memcpy(text, data, size);
	int code = nova_revoked_parse("fuzz", text, size, keys, &error);
	require(code == 0 || (code == NOVA_E_INVALID && error.text[0]));
	require(keys->revoked_count >= count_plain(text, size));
	for (size_t i = 0; i < keys->revoked_count; i++)
		require(strlen(keys->revoked[i].digest) == 64 && keys->revoked[i].origin);
	require(code || !size || text[size - 1] == '\n');
	nova_keys_free(keys);
	return 0;
}
