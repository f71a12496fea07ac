// rooms: workload
// sources: plugins/benchmarks/network/report.c
// SPDX-License-Identifier: MIT
// packages: jansson
/* Reports of iperf3 and of the probe: of any content they give figures that can be, or none and a
 * reason. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/benchmarks/network/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct network_latency latency = {-2, -2, -2, -2};
	char why[64] = "";
	int code;

	for (int i = 0; i < 4; i++) {
		const struct network_test test = {i & 1, i >> 1, i & 1 ? 1 : 4};
		struct network_figures figures = {-1, -1, -1, -1};

		why[0] = '\0';
		code = network_read_iperf(text, size, &test, &figures, why, sizeof(why));
		expect(strlen(why) < sizeof(why) && (code == 0) == !why[0]);
		if (code != 0)
			expect(figures.bytes_per_s < 0 && figures.loss < 0);
		else if (test.udp)
			expect(figures.loss >= 0 && figures.loss < 1 && figures.jitter_s >= 0 &&
			       isfinite(figures.jitter_s));
		else
			expect(figures.bytes_per_s > 0 && isfinite(figures.bytes_per_s) &&
			       figures.retransmits_per_s >= 0);
	}
	why[0] = '\0';
	code = network_read_probe(text, size, 400, &latency, why, sizeof(why));
	expect(strlen(why) < sizeof(why) && (code == 0) == !why[0]);
	if (code == 0)
		expect(latency.loss >= 0 && latency.loss <= 1 &&
		       (latency.p99_s < 0 || latency.p50_s >= 0));
	else
		expect(latency.loss < -1);
	return 0;
}
