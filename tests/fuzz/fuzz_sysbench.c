// rooms: workload
// SPDX-License-Identifier: MIT
/* A report of any content gives figures above 0, or none and a reason. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <novacore/workload/sysbench.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
	if (!holds)
		abort();
}

static void judge(const struct nova_report *report, int code, double figure)
{
	require(strlen(report->why) < sizeof(report->why));
	if (code == 0)
		require(!report->why[0] && isfinite(figure) && figure > 0);
	else
		require(report->why[0] && figure < -6); /* untouched */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nova_report cpu = {.text = (const char *)data, .bytes = size}, memory = cpu;
	struct nova_sysbench common;
	double figure = -7;

	judge(&cpu, nova_sysbench_cpu(&cpu, 2, 20000, &common, &figure), figure);
	figure = -7;
	judge(&memory, nova_sysbench_memory(&memory, 2, "write", &common, &figure), figure);
	return 0;
}
