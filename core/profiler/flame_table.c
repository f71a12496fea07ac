/* SPDX-License-Identifier: MIT */
/* What each function has itself, and with all that it calls: of the page, and of hotspots. */
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
	uint32_t node, child, group;
};

struct walk {
	const struct nova_stacks *stacks;
	struct flame_order order;
	const uint32_t *groups;
	uint64_t *self, *total;
	uint32_t *active; /* how often the group is in the stack that is being walked */
};

static void add(uint64_t *sum, uint64_t value)
{
	*sum = *sum > UINT64_MAX - value ? UINT64_MAX : *sum + value;
}

/* Adds what each node has to its group; the total only if nobody who called it is of that group. */
static void walk_down(const struct walk *walk, struct flame_sum *sums)
{
	struct step *steps = nova_grow(NULL, 0, sizeof(*steps));
	uint32_t depth = 0;

	steps[depth++] = (struct step){0, walk->order.begin[0], 0};
	while (depth > 0) {
		struct step *top = &steps[depth - 1];
		uint32_t node, group;

		if (top->child == walk->order.begin[top->node + 1]) {
			if (top->node)
				walk->active[top->group]--;
			depth--;
			continue;
		}
		node = walk->order.children[top->child++];
		group = walk->stacks->nodes[node].frame;
		if (walk->groups)
			group = walk->groups[group];
		add(&sums[group].self, walk->self[node]);
		if (walk->active[group]++ == 0)
			add(&sums[group].total, walk->total[node]);
		steps = nova_grow(steps, depth, sizeof(*steps));
		steps[depth++] = (struct step){node, walk->order.begin[node], group};
	}
	free(steps);
}

void flame_sum(const struct nova_stacks *stacks, uint32_t type, const uint32_t *groups,
               uint32_t group_count, struct flame_sum *sums)
{
	struct walk walk = {.stacks = stacks,
	                    .groups = groups,
	                    .self = nova_alloc(stacks->node_count * sizeof(uint64_t)),
	                    .total = nova_alloc(stacks->node_count * sizeof(uint64_t)),
	                    .active = nova_alloc((group_count + 1) * sizeof(uint32_t))};

	flame_weigh(stacks, type, walk.self, walk.total);
	flame_order(stacks, &walk.order);
	walk_down(&walk, sums);
	flame_order_free(&walk.order);
	free(walk.self);
	free(walk.total);
	free(walk.active);
}

struct flame_function *flame_table(const struct nova_stacks *stacks, uint32_t first, uint32_t types,
                                   uint32_t *count)
{
	struct flame_function *functions =
	        nova_alloc((stacks->frame_count + 1) * sizeof(*functions));

	for (uint32_t i = 0; i < types; i++) {
		struct flame_sum *sums = nova_alloc((stacks->frame_count + 1) * sizeof(*sums));

		flame_sum(stacks, first + i, NULL, stacks->frame_count, sums);
		for (uint32_t j = 0; j < stacks->frame_count; j++) {
			functions[j].self[i] = sums[j].self;
			functions[j].total[i] = sums[j].total;
		}
		free(sums);
	}
	*count = 0;
	for (uint32_t i = 0; i < stacks->frame_count; i++) {
		functions[i].frame = i;
		if (functions[i].total[0] || functions[i].total[1])
			functions[(*count)++] = functions[i];
	}
	qsort_r(functions, *count, sizeof(*functions), by_self, stacks->frames);
	return functions;
}
