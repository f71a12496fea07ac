// rooms: plugin config base
// SPDX-License-Identifier: MIT
/* A signature's file of any content. What is read can be written, and is then the same text. */
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
	struct nova_signature signature;
	struct nova_signer signer;
	struct nova_keys keys = {0};
	enum nova_refusal_reason reason = 0;
	struct nova_error error = {0};

	if (size)
		memcpy(text, data, size);
	int code = nova_signature_parse("fuzz", text, size, &signature, &error);
	require(code == 0 || (code == NOVA_E_INVALID && error.text[0] && !signature.key[0]));
	if (code)
		return 0;
	require(strlen(signature.key) == 64 && nova_name_valid(signature.name));
	NOVA_AUTOFREE char *again = nova_signature_text(&signature);
	require(!strcmp(again, text));
	require(!nova_signature_check(&keys, "fuzz", &signature, text, size, &signer, &reason,
	                              &error));
	require(signer.state == NOVA_SIGNED_UNKNOWN);
	return 0;
}
