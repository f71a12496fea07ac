// rooms: plugin config base
// SPDX-License-Identifier: MIT
/* The loader's cache of libraries, of any content: only ever a yes or a no. */
#include "core/plugin/inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nova_libraries *libraries = nova_libraries_new();

	nova_libraries_use_cache(libraries, data, size);
	nova_libraries_have(libraries, "libnovacore-fuzz.so.1");
	nova_libraries_free(libraries);
	return 0;
}
