/* SPDX-License-Identifier: MIT */
/* From stacks to the boxes of a flame graph. */
#include "core/profiler/flame.h"

#include <string.h>

/* --- stacks as they are to be drawn --------------------------------------------------------------
 */

static const char *or_unknown(const char *text)
{
	return text[0] ? text : "[unknown]";
}

/* A VM's thread that is no vCPU: by its name it is the emulator, an I/O thread, … */
static bool of_vm(const struct nova_origin *origin)
{
	return origin->thread[0] && (strncmp(origin->process, "qemu", 4) == 0 ||
	                             strncmp(origin->process, "kvm", 3) == 0 ||
	                             strncmp(origin->process, "vhost-", 6) == 0);
}

void stacks_label(const struct nova_origin *origin, enum nova_stacks_by by, char *text, size_t room)
{
	switch (by) {
	case NOVA_BY_CPU:
		snprintf(text, room, origin->cpu < 0 ? "CPU [unknown]" : "CPU %d", origin->cpu);
		break;
	case NOVA_BY_VCPU:
		if (origin->vcpu >= 0)
			snprintf(text, room, "vCPU %d", origin->vcpu);
		else
			snprintf(text, room, "%s", of_vm(origin) ? origin->thread : "[no vCPU]");
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

static uint32_t label_node(struct nova_stacks *turned, const struct nova_origin *origin,
                           enum nova_stacks_by by)
{
	char label[128];

	stacks_label(origin, by, label, sizeof(label));
	if (!label[0])
		return 0;
	return nova_stacks_call(
	        turned, 0,
	        nova_stacks_frame(turned,
	                          &(struct nova_frame){.name = label, .flags = FLAME_LABEL}));
}

struct nova_stacks *flame_turn(const struct nova_stacks *stacks,
                               const struct nova_flame_request *request)
{
	struct nova_stacks *turned;
	uint32_t *frames, *path = NULL, room = 0;

	if (!request->reverse && request->by == NOVA_BY_NOTHING)
		return NULL;
	turned = nova_stacks_new(stacks->types, stacks->type_count);
	frames = nova_alloc((stacks->frame_count + 1) * sizeof(*frames));
	for (uint32_t i = 0; i < stacks->frame_count; i++)
		frames[i] = nova_stacks_frame(turned, &stacks->frames[i]);
	for (uint32_t i = 0; i < stacks->count_count; i++) {
		const struct nova_stack_count *count = &stacks->counts[i];
		uint32_t depth = path_of(stacks, count->node, &path, &room);
		uint32_t node = label_node(turned, &stacks->origins[count->origin], request->by);

		for (uint32_t j = 0; j < depth; j++)
			node = nova_stacks_call(turned, node,
			                        frames[path[request->reverse ? j : depth - 1 - j]]);
		nova_stacks_add(turned, node, 0, &stacks->values[(size_t)i * stacks->type_count]);
	}
	free(frames);
	free(path);
	return turned;
}

/* --- several in one ------------------------------------------------------------------------------
 */

static uint32_t *join_origins(struct nova_stacks *into, const struct nova_stacks *from,
                              bool nameless)
{
	uint32_t *origins = nova_alloc((from->origin_count + 1) * sizeof(*origins));

	for (uint32_t i = 0; i < from->origin_count; i++) {
		struct nova_origin origin = from->origins[i];

		if (nameless)
			origin.pid = origin.tid = -1;
		origins[i] = nova_stacks_origin(into, &origin);
	}
	return origins;
}

static bool has_note(const struct nova_stacks *stacks, const char *note)
{
	for (uint32_t i = 0; i < stacks->note_count; i++)
		if (!strcmp(stacks->notes[i], note))
			return true;
	return false;
}

void flame_join(struct nova_stacks *into, const struct nova_stacks *from, const uint32_t *slots,
                bool nameless)
{
	uint32_t *nodes = nova_alloc(from->node_count * sizeof(*nodes));
	uint32_t *frames = nova_alloc((from->frame_count + 1) * sizeof(*frames));
	uint32_t *origins = join_origins(into, from, nameless);

	for (uint32_t i = 0; i < from->frame_count; i++)
		frames[i] = nova_stacks_frame(into, &from->frames[i]);
	for (uint32_t i = 1; i < from->node_count; i++) /* parents are before their children */
		nodes[i] = nova_stacks_call(into, nodes[from->nodes[i].parent],
		                            frames[from->nodes[i].frame]);
	for (uint32_t i = 0; i < from->count_count; i++) {
		uint64_t values[NOVA_STACKS_VALUES] = {0};

		for (uint32_t j = 0; j < from->type_count; j++)
			if (slots[j] != UINT32_MAX)
				values[slots[j]] = from->values[(size_t)i * from->type_count + j];
		nova_stacks_add(into, nodes[from->counts[i].node], origins[from->counts[i].origin],
		                values);
	}
	for (uint32_t i = 0; i < from->note_count; i++)
		if (!has_note(into, from->notes[i]))
			nova_stacks_note(into, "%s", from->notes[i]);
	into->lost += from->lost;
	free(nodes);
	free(frames);
	free(origins);
}

int nova_stacks_join(struct nova_stacks *into, const struct nova_stacks *from,
                     struct nova_error *error)
{
	uint32_t slots[NOVA_STACKS_VALUES];

	for (uint32_t i = 0; i < from->type_count; i++)
		slots[i] = stacks_type_like(into, &from->types[i]);
	for (uint32_t i = 0; i < into->type_count; i++)
		if (stacks_type_like(from, &into->types[i]) == UINT32_MAX)
			return nova_error_set(error, NOVA_E_INVALID,
			                      "only the first counts %s in %s, so they cannot be "
			                      "added",
			                      into->types[i].type, into->types[i].unit);
	flame_join(into, from, slots, false);
	into->duration_ns += from->duration_ns;
	if (into->period != from->period)
		into->period = 0;
	return 0;
}

/* --- in order ------------------------------------------------------------------------------------
 */

static int by_name(const void *left, const void *right, void *context)
{
	const struct nova_stacks *stacks = context;
	const struct nova_frame *one =
	        &stacks->frames[stacks->nodes[*(const uint32_t *)left].frame];
	const struct nova_frame *two =
	        &stacks->frames[stacks->nodes[*(const uint32_t *)right].frame];
	int order = strcmp(one->name, two->name);

	if (order == 0)
		order = strcmp(one->library, two->library);
	if (order == 0)
		order = strcmp(one->file, two->file);
	return order ? order : (one->flags > two->flags) - (one->flags < two->flags);
}

/* Most nodes have one child, and parents are near their children. */
void flame_order(const struct nova_stacks *stacks, struct flame_order *order)
{
	uint32_t count = stacks->node_count, *begin = nova_alloc((count + 2) * sizeof(*begin));
	uint32_t *children = nova_alloc(count * sizeof(*children));

	for (uint32_t i = 1; i < count; i++)
		begin[stacks->nodes[i].parent + 2]++;
	for (uint32_t i = 1; i <= count; i++)
		begin[i] += begin[i - 1];
	/* Each begin[parent + 1] goes from where the parent's begin to where they end. */
	for (uint32_t i = 1; i < count; i++)
		children[begin[stacks->nodes[i].parent + 1]++] = i;
	for (uint32_t i = 0; i < count; i++)
		if (begin[i + 1] - begin[i] > 1)
			qsort_r(children + begin[i], begin[i + 1] - begin[i], sizeof(*children),
			        by_name, (void *)stacks);
	*order = (struct flame_order){children, begin};
}

void flame_order_free(struct flame_order *order)
{
	free(order->children);
	free(order->begin);
}

static void add(uint64_t *sum, uint64_t value)
{
	*sum = *sum > UINT64_MAX - value ? UINT64_MAX : *sum + value;
}

void flame_weigh(const struct nova_stacks *stacks, uint32_t type, uint64_t *self, uint64_t *total)
{
	memset(self, 0, stacks->node_count * sizeof(*self));
	for (uint32_t i = 0; i < stacks->count_count; i++)
		add(&self[stacks->counts[i].node],
		    stacks->values[(size_t)i * stacks->type_count + type]);
	memcpy(total, self, stacks->node_count * sizeof(*total));
	for (uint32_t i = stacks->node_count - 1; i > 0; i--)
		add(&total[stacks->nodes[i].parent], total[i]);
}

/* --- boxes ---------------------------------------------------------------------------------------
 */

struct step {
	uint32_t node, box, child; /* child: the next one to be visited */
};

static uint32_t add_box(struct nova_flame *flame, const struct flame_walk *walk, uint32_t node,
                        uint32_t parent, uint32_t *nodes)
{
	const struct nova_stacks *stacks = walk->stacks;
	const struct nova_frame *frame = node ? &stacks->frames[stacks->nodes[node].frame] : NULL;
	uint32_t number = flame->count;

	flame->boxes[number] =
	        (struct nova_flame_box){.parent = frame ? parent : number,
	                                .depth = frame ? flame->boxes[parent].depth + 1 : 0,
	                                .name = frame ? frame->name : walk->root,
	                                .library = frame ? frame->library : "",
	                                .flags = frame ? frame->flags : FLAME_LABEL,
	                                .total = walk->total[node],
	                                .self = walk->self[node]};
	if (nodes)
		nodes[number] = node;
	return flame->count++;
}

uint32_t flame_walk(struct nova_flame *flame, const struct flame_walk *walk, uint32_t **nodes)
{
	const struct flame_order *order = walk->order;
	struct step *steps = nova_grow(NULL, 0, sizeof(*steps));
	uint32_t depth = 0, highest = 0, *whose = NULL;
	size_t most = (size_t)flame->count + 1;

	for (uint32_t i = 1; i < walk->stacks->node_count; i++)
		most += walk->wanted(walk->context, i);
	flame->boxes = nova_realloc(flame->boxes, most * sizeof(*flame->boxes));
	if (nodes)
		whose = *nodes = nova_realloc(*nodes, most * sizeof(**nodes));
	steps[depth++] = (struct step){0, add_box(flame, walk, 0, 0, whose), order->begin[0]};
	while (depth > 0) {
		struct step *top = &steps[depth - 1];
		uint32_t child;

		if (top->child == order->begin[top->node + 1]) {
			flame->boxes[top->box].next = flame->count;
			depth--;
			continue;
		}
		child = order->children[top->child++];
		if (!walk->wanted(walk->context, child))
			continue;
		steps = nova_grow(steps, depth, sizeof(*steps));
		steps[depth] = (struct step){
		        child, add_box(flame, walk, child, steps[depth - 1].box, whose),
		        order->begin[child]};
		if (depth > highest)
			highest = depth;
		depth++;
	}
	free(steps);
	return highest;
}

struct least {
	const uint64_t *total;
	double least;
};

static bool wide_enough(const void *context, uint32_t node)
{
	const struct least *least = context;

	return least->total[node] > 0 && (double)least->total[node] >= least->least;
}

void nova_flame_make(const struct nova_stacks *stacks, const struct nova_flame_request *request,
                     struct nova_flame *flame)
{
	struct flame_order order;
	struct least least;
	struct flame_walk walk;
	uint64_t *self, *total;

	memset(flame, 0, sizeof(*flame));
	flame->stacks = stacks;
	flame->type = request->type;
	flame->reverse = request->reverse;
	flame->turned = flame_turn(stacks, request);
	if (flame->turned)
		stacks = flame->turned;
	self = nova_alloc(stacks->node_count * sizeof(*self));
	total = nova_alloc(stacks->node_count * sizeof(*total));
	flame_weigh(stacks, request->type, self, total);
	flame_order(stacks, &order);
	least = (struct least){total, request->min_width * (double)total[0]};
	walk = (struct flame_walk){.stacks = stacks,
	                           .order = &order,
	                           .self = self,
	                           .total = total,
	                           .root = "all",
	                           .wanted = wide_enough,
	                           .context = &least};
	flame->depth = flame_walk(flame, &walk, NULL);
	for (uint32_t i = 1; i < stacks->node_count; i++)
		flame->left_out += total[i] > 0;
	flame->left_out -= flame->count - 1;
	flame_order_free(&order);
	free(self);
	free(total);
}

void nova_flame_free(struct nova_flame *flame)
{
	free(flame->boxes);
	free(flame->changes);
	nova_stacks_free(flame->turned);
	nova_stacks_free(flame->merged);
	memset(flame, 0, sizeof(*flame));
}
