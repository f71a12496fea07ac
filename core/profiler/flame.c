/* SPDX-License-Identifier: MIT */
/* From stacks to the boxes of a flame graph. */
#include "core/profiler/inside.h"

#include <string.h>

/* --- stacks as they are to be drawn --------------------------------------------------------------
 */

static const char *or_unknown(const char *text)
{
	return text[0] ? text : "[unknown]";
}

void stacks_label(const struct nova_origin *origin, enum nova_stacks_by by, char *text, size_t room)
{
	switch (by) {
	case NOVA_BY_CPU:
		snprintf(text, room, origin->cpu < 0 ? "CPU [unknown]" : "CPU %d", origin->cpu);
		break;
	case NOVA_BY_VCPU:
		snprintf(text, room, origin->vcpu < 0 ? "[no vCPU]" : "vCPU %d", origin->vcpu);
		break;
	case NOVA_BY_THREAD:
		if (origin->tid >= 0)
			snprintf(text, room, "%s %d", or_unknown(origin->thread), origin->tid);
		else
			snprintf(text, room, "%s", or_unknown(origin->thread));
		break;
	case NOVA_BY_PROCESS:
		if (origin->pid >= 0)
			snprintf(text, room, "%s %d", or_unknown(origin->process), origin->pid);
		else
			snprintf(text, room, "%s", or_unknown(origin->process));
		break;
	default: text[0] = '\0';
	}
}

/* The node's frames from the leaf to the root, into `*path`, which grows. */
static uint32_t path_of(const struct nova_stacks *stacks, uint32_t node, uint32_t **path,
                        uint32_t *room)
{
	uint32_t depth = 0;

	for (; node; node = stacks->nodes[node].parent) {
		if (depth == *room) {
			*room = *room ? *room * 2 : 128;
			*path = nova_realloc(*path, *room * sizeof(**path));
		}
		(*path)[depth++] = stacks->nodes[node].frame;
	}
	return depth;
}

/* The same stacks under a frame for what they are told apart by, or the other way round, or both.
 */
static struct nova_stacks *turn(const struct nova_stacks *stacks,
                                const struct nova_flame_request *request)
{
	struct nova_stacks *turned = nova_stacks_new(&stacks->types[request->type], 1);
	uint32_t *frames = nova_alloc((stacks->frame_count + 1) * sizeof(*frames));
	uint32_t *path = NULL, room = 0;

	for (uint32_t i = 0; i < stacks->frame_count; i++)
		frames[i] = nova_stacks_frame(turned, &stacks->frames[i]);
	for (uint32_t i = 0; i < stacks->count_count; i++) {
		uint32_t depth = path_of(stacks, stacks->counts[i].node, &path, &room), node = 0;
		char label[128];

		stacks_label(&stacks->origins[stacks->counts[i].origin], request->by, label,
		             sizeof(label));
		if (label[0])
			node = nova_stacks_call(
			        turned, node,
			        nova_stacks_frame(turned, &(struct nova_frame){.name = label}));
		for (uint32_t j = 0; j < depth; j++)
			node = nova_stacks_call(turned, node,
			                        frames[path[request->reverse ? j : depth - 1 - j]]);
		nova_stacks_add(turned, node, 0,
		                &stacks->values[(size_t)i * stacks->type_count + request->type]);
	}
	free(frames);
	free(path);
	return turned;
}

/* --- boxes ---------------------------------------------------------------------------------------
 */

struct sorting {
	const struct nova_stacks *stacks;
	uint32_t *children; /* all nodes, those of one parent together and in order */
	uint32_t *begin;    /* of a node's children; begin[node + 1] is their end */
};

static int by_name(const void *left, const void *right, void *context)
{
	const struct nova_stacks *stacks = context;
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	const struct nova_frame *one = &stacks->frames[stacks->nodes[a].frame],
	                        *two = &stacks->frames[stacks->nodes[b].frame];
	int order = strcmp(one->name, two->name);

	if (order == 0)
		order = strcmp(one->library, two->library);
	if (order == 0)
		order = strcmp(one->file, two->file);
	return order ? order : (one->flags > two->flags) - (one->flags < two->flags);
}

static void sort_children(struct sorting *sorting)
{
	const struct nova_stacks *stacks = sorting->stacks;
	uint32_t count = stacks->node_count;
	uint32_t *fill = nova_alloc((count + 1) * sizeof(*fill));

	sorting->begin = nova_alloc((count + 2) * sizeof(*sorting->begin));
	sorting->children = nova_alloc((count + 1) * sizeof(*sorting->children));
	for (uint32_t i = 1; i < count; i++)
		sorting->begin[stacks->nodes[i].parent + 1]++;
	for (uint32_t i = 1; i <= count; i++)
		sorting->begin[i] += sorting->begin[i - 1];
	memcpy(fill, sorting->begin, count * sizeof(*fill));
	for (uint32_t i = 1; i < count; i++)
		sorting->children[fill[stacks->nodes[i].parent]++] = i;
	for (uint32_t i = 0; i < count; i++)
		if (sorting->begin[i + 1] - sorting->begin[i] > 1)
			qsort_r(sorting->children + sorting->begin[i],
			        sorting->begin[i + 1] - sorting->begin[i],
			        sizeof(*sorting->children), by_name, (void *)stacks);
	free(fill);
}

/* What each node has itself, and with what it calls. */
static void weigh(const struct nova_stacks *stacks, uint32_t type, uint64_t *self, uint64_t *total)
{
	for (uint32_t i = 0; i < stacks->count_count; i++)
		self[stacks->counts[i].node] +=
		        stacks->values[(size_t)i * stacks->type_count + type];
	memcpy(total, self, stacks->node_count * sizeof(*total));
	for (uint32_t i = stacks->node_count - 1; i > 0; i--)
		total[stacks->nodes[i].parent] += total[i];
}

struct walk {
	uint32_t node, box, child; /* child: the next one to be visited */
};

static uint32_t add_box(struct nova_flame *flame, uint32_t parent, const struct nova_frame *frame,
                        uint64_t total, uint64_t self)
{
	struct nova_flame_box *box;

	flame->boxes = nova_grow(flame->boxes, flame->count, sizeof(*flame->boxes));
	box = &flame->boxes[flame->count];
	*box = (struct nova_flame_box){.parent = parent,
	                               .name = frame ? frame->name : "all",
	                               .library = frame ? frame->library : "",
	                               .flags = frame ? frame->flags : 0,
	                               .total = total,
	                               .self = self};
	if (frame)
		box->depth = flame->boxes[parent].depth + 1;
	if (box->depth > flame->depth)
		flame->depth = box->depth;
	return flame->count++;
}

void nova_flame_make(const struct nova_stacks *stacks, const struct nova_flame_request *request,
                     struct nova_flame *flame)
{
	bool turned = request->reverse || request->by != NOVA_BY_NOTHING;
	uint32_t type = turned ? 0 : request->type;
	struct sorting sorting = {0};
	uint64_t *self, *total;
	struct walk *walk;
	uint32_t depth = 0;
	double least;

	memset(flame, 0, sizeof(*flame));
	if (turned)
		stacks = flame->turned = turn(stacks, request);
	sorting.stacks = stacks;
	self = nova_alloc(stacks->node_count * sizeof(*self));
	total = nova_alloc(stacks->node_count * sizeof(*total));
	weigh(stacks, type, self, total);
	sort_children(&sorting);
	least = request->min_width * (double)total[0];
	walk = nova_grow(NULL, 0, sizeof(*walk));
	walk[depth++] =
	        (struct walk){0, add_box(flame, 0, NULL, total[0], self[0]), sorting.begin[0]};
	while (depth > 0) {
		struct walk *top = &walk[depth - 1];
		uint32_t child;

		if (top->child == sorting.begin[top->node + 1]) {
			flame->boxes[top->box].next = flame->count;
			depth--;
			continue;
		}
		child = sorting.children[top->child++];
		if (total[child] == 0 || (double)total[child] < least)
			continue;
		walk = nova_grow(walk, depth, sizeof(*walk));
		walk[depth] = (struct walk){child,
		                            add_box(flame, walk[depth - 1].box,
		                                    &stacks->frames[stacks->nodes[child].frame],
		                                    total[child], self[child]),
		                            sorting.begin[child]};
		depth++;
	}
	free(walk);
	free(self);
	free(total);
	free(sorting.begin);
	free(sorting.children);
}

void nova_flame_free(struct nova_flame *flame)
{
	free(flame->boxes);
	nova_stacks_free(flame->turned);
	memset(flame, 0, sizeof(*flame));
}
