/* SPDX-License-Identifier: MIT */
/* What a recording can count, and what its values are called: in pprof's words. */
#include "core/profiler/record.h"

#include <string.h>

const struct lane lanes[LANE_KINDS] = {
        [LANE_CPU] = {"cpu", {"samples", "count"}, {"cpu", "nanoseconds"}, false},
        [LANE_OFF_CPU] = {"off-cpu", {"waits", "count"}, {"off-cpu", "nanoseconds"}, true},
        [LANE_LOCK] = {"lock", {"contentions", "count"}, {"lock", "nanoseconds"}, true},
        [LANE_FAULTS] = {"faults", {"faults", "count"}, {"faulted", "bytes"}, true},
        [LANE_ALLOCATIONS] = {
                "allocations", {"allocations", "count"}, {"allocated", "bytes"}, true}};

enum lane_kind lane_of(const char *name)
{
	enum lane_kind kind = LANE_CPU;

	while (kind < LANE_KINDS && strcmp(lanes[kind].name, name) != 0)
		kind++;
	return kind;
}
