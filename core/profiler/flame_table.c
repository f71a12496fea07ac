/* SPDX-License-Identifier: MIT */
/* What each function has itself, and with all that it calls. */
#include "core/profiler/flame.h"

#include <string.h>

static int by_self(const void *left, const void *right, void *context)
{
	const struct nova_frame *frames = context;
	const struct flame_function *one = left, *two = right;
	uint64_t a = one->self[0] + one->self[1], b = two->self[0] + two->self[1];
	int order = (a < b) - (a > b);

	if (order == 0) {
		a = one->total[0] + one->total[1];
		b = two->total[0] + two->total[1];
		order = (a < b) - (a > b);
	}
	if (order == 0)
		order = strcmp(frames[one->frame].name, frames[two->frame].name);
	return order ? order : (one->frame > two->frame) - (one->frame < two->frame);
}

struct step {
	uint32_t node, child;
};

/* Adds what each node has to its function, unless that is among those that called it. */
static void add_totals(const struct nova_stacks *stacks, const struct flame_order *order,
                       const uint64_t *self, const uint64_t *total, uint32_t which,
                       struct flame_function *functions)
{
	uint32_t *active = nova_alloc((stacks->frame_count + 1) * sizeof(*active));
	struct step *steps = nova_grow(NULL, 0, sizeof(*steps));
	uint32_t depth = 0;

	steps[depth++] = (struct step){0, order->begin[0]};
	while (depth > 0) {
		struct step *top = &steps[depth - 1];
		uint32_t node, frame;

		if (top->child == order->begin[top->node + 1]) {
			if (top->node)
				active[stacks->nodes[top->node].frame]--;
			depth--;
			continue;
		}
		node = order->children[top->child++];
		frame = stacks->nodes[node].frame;
		functions[frame].self[which] += self[node];
		if (active[frame]++ == 0)
			functions[frame].total[which] += total[node];
		steps = nova_grow(steps, depth, sizeof(*steps));
		steps[depth++] = (struct step){node, order->begin[node]};
	}
	free(steps);
	free(active);
}

struct flame_function *flame_table(const struct nova_stacks *stacks, uint32_t first, uint32_t types,
                                   uint32_t *count)
{
	struct flame_function *functions =
	        nova_alloc((stacks->frame_count + 1) * sizeof(*functions));
	uint64_t *self = nova_alloc(stacks->node_count * sizeof(*self));
	uint64_t *total = nova_alloc(stacks->node_count * sizeof(*total));
	struct flame_order order;

	flame_order(stacks, &order);
	for (uint32_t i = 0; i < stacks->frame_count; i++)
		functions[i].frame = i;
	for (uint32_t i = 0; i < types; i++) {
		flame_weigh(stacks, first + i, self, total);
		add_totals(stacks, &order, self, total, i, functions);
	}
	flame_order_free(&order);
	free(self);
	free(total);
	*count = 0;
	for (uint32_t i = 0; i < stacks->frame_count; i++)
		if (functions[i].total[0] || functions[i].total[1])
			functions[(*count)++] = functions[i];
	qsort_r(functions, *count, sizeof(*functions), by_self, stacks->frames);
	return functions;
}
