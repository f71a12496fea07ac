// rooms: profiler
// SPDX-License-Identifier: MIT
/* Names of functions, of any content: they come from files of others. */
#include "core/profiler/record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST_TEXT 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const begins[] = {"_R", "_Z", "_ZN", ""};

	if (!size)
		return 0;
	for (size_t i = 0; i < NOVA_COUNT(begins); i++) {
		NOVA_AUTOFREE char *name =
		        nova_format("%s%.*s", begins[i], (int)size, (const char *)data);
		NOVA_AUTOFREE char *readable = symbols_demangle(name);

		if (readable && (!readable[0] || strlen(readable) > MOST_TEXT))
			abort();
	}
	return 0;
}
