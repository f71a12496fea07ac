/* SPDX-License-Identifier: MIT */
/* What `stress-ng --stream N --metrics --yaml FILE` writes. */
#ifndef NOVACORE_MEMORY_STREAM_H
#define NOVACORE_MEMORY_STREAM_H

#include <novacore/workload/report.h>

/*
 * @param bytes_per_s takes what one stressor read and wrote together, in bytes per second
 * @return 0, or -1 with the reason in report->why: too short a run has no rates
 */
int memory_read_stream(struct nova_report *report, double *bytes_per_s);

#endif
