/* SPDX-License-Identifier: MIT */
/*
 * stress-ng's YAML, of which it writes only ever the one shape: a line for each figure, "..." at
 * the end. Rates are in MB of 1024 × 1024 bytes, as its bogo-ops times the size of its arrays show.
 */
#include "stream.h"

#define MEBIBYTE 1048576.0

int memory_read_stream(struct nova_report *report, double *bytes_per_s)
{
	double read, wrote;

	nova_report_line(report, "- stressor: stream", NULL);
	read = nova_report_positive(report, "memory-read-rate-mb-per-sec: #");
	wrote = nova_report_positive(report, "memory-write-rate-mb-per-sec: #");
	nova_report_line(report, "...", NULL);
	if (report->why[0])
		return -1;
	*bytes_per_s = (read + wrote) * MEBIBYTE;
	return 0;
}
