// rooms: workload
// sources: plugins/benchmarks/storage/fio.c
// SPDX-License-Identifier: MIT
// packages: jansson
/* fio's JSON of any content gives figures above 0, or none and a reason. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/benchmarks/storage/fio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct storage_job jobs[] = {{"read.rand", 0}, {"write.rand", 1}};
	struct storage_figures figures[2] = {{0}};
	char why[64] = "";
	int code = storage_read_fio((const char *)data, size, jobs, 2, figures, why, sizeof(why));

	if (strlen(why) >= sizeof(why) || (code == 0) != !why[0])
		abort();
	for (int i = 0; i < 2; i++) {
		const struct storage_figures *one = &figures[i];

		if (code == 0 && !(one->bytes_per_s > 0 && isfinite(one->bytes_per_s) &&
		                   one->per_s > 0 && one->p50_s > 0 && one->p99_s > 0))
			abort();
		if (code != 0 && one->per_s > 0)
			abort();
	}
	return 0;
}
