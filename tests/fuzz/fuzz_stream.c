// rooms: workload
// sources: plugins/benchmarks/memory/stream.c
// SPDX-License-Identifier: MIT
/* stress-ng's YAML of any content gives a rate above 0, or none and a reason. */
#include <math.h>
#include <stdlib.h>

#include "plugins/benchmarks/memory/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nova_report report = {.text = (const char *)data, .bytes = size};
	double rate = -7;

	if (memory_read_stream(&report, &rate) == 0) {
		if (report.why[0] || !isfinite(rate) || rate <= 0)
			abort();
	} else if (!report.why[0] || rate > -6) {
		abort();
	}
	return 0;
}
