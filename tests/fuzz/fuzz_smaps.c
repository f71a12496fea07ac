// rooms: base
// sources: plugins/benchmarks/overhead/process.c
// SPDX-License-Identifier: MIT
/* /proc/PID/smaps of any content gives a size, or leaves it as it was. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "plugins/benchmarks/overhead/process.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t beyond = UINT64_MAX;
	FILE *file = size ? fmemopen((void *)(uintptr_t)data, size, "r") : NULL;

	if (!file)
		return 0;
	if ((overhead_read_smaps(file, 4096, &beyond) == 0) != (beyond != UINT64_MAX))
		abort();
	fclose(file);
	return 0;
}
