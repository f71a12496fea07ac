// rooms: base
// SPDX-License-Identifier: MIT
/* Whatever a child or a peer prints must end up as text that JSON takes. */
#include <stdlib.h>
#include <string.h>

#include "core/base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	NOVA_AUTOFREE char *text = nova_alloc(size + 1);
	if (size)
		memcpy(text, data, size);
	size_t columns = nova_columns(text);
	if (columns > 2 * size)
		abort();
	nova_utf8_repair(text);
	NOVA_AUTOJSON json_t *json = json_string(text);
	if (!json)
		abort();
	return 0;
}
