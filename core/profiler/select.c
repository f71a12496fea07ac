/* SPDX-License-Identifier: MIT */
/* Some of the values of a stacks, as a stacks of its own: what one of several lanes counted. */
#include "core/profiler/inside.h"

static bool pick(const struct nova_stacks *stacks, uint32_t count_at, const uint32_t *types,
                 uint32_t count, uint64_t *values)
{
	bool any = false;

	for (uint32_t i = 0; i < count; i++) {
		values[i] = stacks->values[(size_t)count_at * stacks->type_count + types[i]];
		any = any || values[i];
	}
	return any;
}

/* Which nodes have something, or something above them. */
static bool *used_nodes(const struct nova_stacks *stacks, const uint32_t *types, uint32_t count)
{
	bool *used = nova_alloc(stacks->node_count * sizeof(*used));
	uint64_t values[NOVA_STACKS_VALUES];

	for (uint32_t i = 0; i < stacks->count_count; i++)
		if (pick(stacks, i, types, count, values))
			for (uint32_t node = stacks->counts[i].node; !used[node];
			     node = stacks->nodes[node].parent)
				used[node] = true; /* the root is its own parent */
	return used;
}

struct nova_stacks *nova_stacks_only(const struct nova_stacks *stacks, const uint32_t *types,
                                     uint32_t count, uint32_t shown)
{
	NOVA_AUTOFREE bool *used = used_nodes(stacks, types, count);
	NOVA_AUTOFREE uint32_t *nodes = nova_alloc(stacks->node_count * sizeof(*nodes));
	struct nova_value_type named[NOVA_STACKS_VALUES];
	uint64_t values[NOVA_STACKS_VALUES];
	struct nova_stacks *only;

	for (uint32_t i = 0; i < count; i++)
		named[i] = stacks->types[types[i]];
	only = nova_stacks_new(named, count);
	for (uint32_t i = 1; i < stacks->node_count; i++) /* parents are before their children */
		if (used[i])
			nodes[i] = nova_stacks_call(
			        only, nodes[stacks->nodes[i].parent],
			        nova_stacks_frame(only, &stacks->frames[stacks->nodes[i].frame]));
	for (uint32_t i = 0; i < stacks->count_count; i++)
		if (pick(stacks, i, types, count, values))
			nova_stacks_add(only, nodes[stacks->counts[i].node],
			                nova_stacks_origin(
			                        only, &stacks->origins[stacks->counts[i].origin]),
			                values);
	only->shown = shown;
	only->period = types[shown] == stacks->shown ? stacks->period : 0;
	only->utc_ns = stacks->utc_ns;
	only->duration_ns = stacks->duration_ns;
	only->lost = stacks->lost;
	for (uint32_t i = 0; i < stacks->note_count; i++)
		nova_stacks_note(only, "%s", stacks->notes[i]);
	return only;
}
