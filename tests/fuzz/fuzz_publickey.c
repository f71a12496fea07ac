// rooms: plugin config base
// SPDX-License-Identifier: MIT
/* A public key's file of any content. What is read can be written, and is then the same text. */
#include <stdlib.h>
#include <string.h>

#include "core/plugin/inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	NOVA_AUTOFREE char *text = nova_alloc(size + 1);
	struct nova_error error = {0};
	struct nova_key key;

	if (size)
		memcpy(text, data, size);
	int code = nova_key_parse("fuzz", text, size, &key, &error);
	require(code == 0 || (code == NOVA_E_INVALID && error.text[0]));
	if (code)
		return 0;
	require(strlen(key.id) == 64);
	NOVA_AUTOFREE char *again = nova_key_text(&key);
	require(strlen(again) == size && !memcmp(again, data, size));
	return 0;
}
