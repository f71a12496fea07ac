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

const char *nova_recording_lane_name(const json_t *about, uint32_t lane)
{
	const json_t *name = json_array_get(json_object_get(about, "lanes"), lane);

	/* older ones have one, and say its kind */
	return json_is_string(name) ? json_string_value(name) : nova_json_text(about, "kind");
}

struct nova_stacks *nova_recording_lane(const json_t *about, const struct nova_stacks *stacks,
                                        uint32_t lane)
{
	const char *name = nova_recording_lane_name(about, lane);
	const json_t *counted = json_object_get(json_object_get(about, "lanes_counted"), name);
	enum lane_kind kind = lane_of(name);
	bool much = kind == LANE_KINDS || lanes[kind].shows_much;
	struct nova_stacks *one =
	        nova_stacks_only(stacks, (uint32_t[]){2 * lane, 2 * lane + 1}, 2, much);

	if (counted)
		one->lost = (uint64_t)json_integer_value(json_object_get(counted, "lost"));
	return one;
}
