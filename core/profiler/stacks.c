/* SPDX-License-Identifier: MIT */
/* The tree of stacks: texts, frames, origins, nodes and counts, each found again by a hash table.
 */
#include "core/profiler/inside.h"

#include <string.h>

#define BLOCK_BYTES (256u * 1024u)

/* --- hash tables of numbers ---------------------------------------------------------------------
 * Open addressing with linear probing, at most three quarters full. A slot holds the number of what
 * it finds plus 1, and the upper half of its hash, so that most others are told apart unseen.
 */

struct slot {
	uint32_t number, mark;
};
struct table {
	struct slot *slots;
	size_t room, used; /* room: 0, or a power of two */
};

struct block {
	struct block *next;
	size_t used, room;
	char bytes[];
};

struct text_entry {
	const char *text;
	size_t length;
	uint32_t frame; /* plus 1: the one of that name that was looked for last; 0: none was */
};

/* Most nodes have one child, and a count for one origin. What comes first stands with its node,
 * where it is found without a hash, and mostly in the cache; the tables hold all others. */
struct first {
	uint32_t child; /* 0: none; the root is nobody's */
	uint32_t count; /* plus 1 */
};

struct nova_stacks_index {
	struct table texts, frames, origins, nodes, counts;
	struct text_entry *entries;
	uint32_t entry_count;
	struct first *firsts; /* of each node */
	struct block *blocks;
	size_t block_bytes;
	uint32_t frame_room, origin_room, node_room, count_room, entry_room, note_room;
};

/* Multiplication and folding (Lemire and Kaser, "Faster 64-bit universal hashing"): quick, and good
 * enough where an attacker gains nothing but time that the limits bound. */
__extension__ typedef unsigned __int128 wide;

static uint64_t mix(uint64_t a, uint64_t b)
{
	wide product = (wide)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t stacks_hash(const void *bytes, size_t length)
{
	const uint64_t k0 = UINT64_C(0x9e3779b97f4a7c15), k1 = UINT64_C(0xd6e8feb86659fd93);
	const unsigned char *at = bytes;
	uint64_t hash = k0 ^ length, a, b;

	for (; length >= 16; length -= 16, at += 16) {
		memcpy(&a, at, 8);
		memcpy(&b, at + 8, 8);
		hash = mix(a ^ k1, b ^ hash);
	}
	a = b = 0;
	if (length >= 8) {
		memcpy(&a, at, 8);
		memcpy(&b, at + length - 8, 8);
	} else {
		for (size_t i = 0; i < length; i++) /* no call for so few */
			a |= (uint64_t)at[i] << 8 * i;
	}
	return mix(mix(a ^ k1, b ^ hash), k0 ^ length);
}

static uint64_t hash_pair(uint32_t a, uint32_t b)
{
	return mix(((uint64_t)a << 32 | b) ^ UINT64_C(0xd6e8feb86659fd93),
	           UINT64_C(0x9e3779b97f4a7c15));
}

static void put(struct table *table, uint64_t hash, uint32_t number)
{
	size_t at = (size_t)hash & (table->room - 1);

	while (table->slots[at].number)
		at = (at + 1) & (table->room - 1);
	table->slots[at] = (struct slot){number + 1, (uint32_t)(hash >> 32)};
}

typedef uint64_t hash_function(const struct nova_stacks *stacks, uint32_t number);

static void enlarge(struct table *table, hash_function *rehash, const struct nova_stacks *stacks)
{
	struct table old = *table;

	table->room = old.room ? old.room * 2 : 64;
	table->slots = nova_alloc(table->room * sizeof(*table->slots));
	for (size_t i = 0; i < old.room; i++)
		if (old.slots[i].number)
			put(table, rehash(stacks, old.slots[i].number - 1),
			    old.slots[i].number - 1);
	free(old.slots);
}

/* Makes room for one more; `rehash` gives the hash of a number that is there. */
static inline void make_room(struct table *table, hash_function *rehash,
                             const struct nova_stacks *stacks)
{
	if ((table->used + 1) * 4 > table->room * 3)
		enlarge(table, rehash, stacks);
}

/* An array that doubles. */
static void *room_for(void *array, uint32_t count, uint32_t *room, size_t element_bytes)
{
	if (count < *room)
		return array;
	*room = *room ? *room * 2 : 16;
	return nova_realloc(array, *room * element_bytes);
}

static const char NOTHING[] = "";

/* --- texts ---------------------------------------------------------------------------------------
 */

static uint64_t text_hash(const struct nova_stacks *stacks, uint32_t number)
{
	const struct text_entry *entry = &stacks->index->entries[number];

	return stacks_hash(entry->text, entry->length);
}

static char *keep(struct nova_stacks_index *index, const char *text, size_t length)
{
	struct block *block = index->blocks;
	char *copy;

	if (!block || block->room - block->used < length + 1) {
		size_t room = length + 1 > BLOCK_BYTES ? length + 1 : BLOCK_BYTES;

		block = nova_alloc(sizeof(*block) + room);
		block->room = room;
		block->next = index->blocks;
		index->blocks = block;
		index->block_bytes += room;
	}
	copy = block->bytes + block->used;
	memcpy(copy, text, length);
	copy[length] = '\0';
	block->used += length + 1;
	return copy;
}

/* The number of its entry. */
static uint32_t find_text(struct nova_stacks *stacks, const char *text, size_t length)
{
	struct nova_stacks_index *index = stacks->index;
	uint64_t hash = stacks_hash(text, length);

	make_room(&index->texts, text_hash, stacks);
	for (size_t at = (size_t)hash & (index->texts.room - 1); index->texts.slots[at].number;
	     at = (at + 1) & (index->texts.room - 1)) {
		const struct slot *slot = &index->texts.slots[at];
		const struct text_entry *entry = &index->entries[slot->number - 1];

		if (slot->mark == (uint32_t)(hash >> 32) && entry->length == length &&
		    memcmp(entry->text, text, length) == 0)
			return slot->number - 1;
	}
	index->entries = room_for(index->entries, index->entry_count, &index->entry_room,
	                          sizeof(*index->entries));
	index->entries[index->entry_count] =
	        (struct text_entry){keep(index, text, length), length, 0};
	put(&index->texts, hash, index->entry_count);
	index->texts.used++;
	return index->entry_count++;
}

const char *nova_stacks_text(struct nova_stacks *stacks, const char *text, size_t length)
{
	uint32_t number;

	if (length == 0)
		return NOTHING;
	number = find_text(stacks, text, length); /* which may move the entries */
	return stacks->index->entries[number].text;
}

static const char *keep_text(struct nova_stacks *stacks, const char *text)
{
	return nova_stacks_text(stacks, text, text ? strlen(text) : 0);
}

/* --- frames and origins --------------------------------------------------------------------------
 */

/* Equal texts are the same pointer, so the bytes of what holds them tell equal ones. */
static uint64_t frame_hash(const struct nova_stacks *stacks, uint32_t number)
{
	const struct nova_frame *frame = &stacks->frames[number];

	return mix((uint64_t)(uintptr_t)frame->name ^ UINT64_C(0xd6e8feb86659fd93),
	           (uint64_t)(uintptr_t)frame->library ^ UINT64_C(0x9e3779b97f4a7c15)) ^
	       mix((uint64_t)(uintptr_t)frame->file ^ UINT64_C(0x9e3779b97f4a7c15),
	           UINT64_C(0xd6e8feb86659fd93) + frame->flags);
}

static bool same_frame(const struct nova_frame *one, const struct nova_frame *two)
{
	return one->name == two->name && one->library == two->library && one->file == two->file &&
	       one->flags == two->flags;
}

static uint32_t find_frame(struct nova_stacks *stacks, struct nova_frame frame)
{
	struct nova_stacks_index *index = stacks->index;
	struct table *table = &index->frames;
	uint64_t hash;

	make_room(table, frame_hash, stacks);
	stacks->frames = room_for(stacks->frames, stacks->frame_count, &index->frame_room,
	                          sizeof(*stacks->frames));
	/* The new one lies ready behind the others while it is looked for. */
	stacks->frames[stacks->frame_count] = frame;
	hash = frame_hash(stacks, stacks->frame_count);
	for (size_t at = (size_t)hash & (table->room - 1); table->slots[at].number;
	     at = (at + 1) & (table->room - 1)) {
		if (table->slots[at].mark == (uint32_t)(hash >> 32) &&
		    same_frame(&stacks->frames[table->slots[at].number - 1], &frame))
			return table->slots[at].number - 1;
	}
	put(table, hash, stacks->frame_count);
	table->used++;
	return stacks->frame_count++;
}

/* Of a name, and the rest of a frame with texts of these stacks. Most names have one frame. */
static uint32_t frame_of(struct nova_stacks *stacks, const char *name, size_t length,
                         struct nova_frame frame)
{
	uint32_t text =
	        length ? find_text(stacks, name, length) : find_text(stacks, "[unknown]", 9);
	struct text_entry *entry = &stacks->index->entries[text];

	frame.name = entry->text;
	if (!entry->frame || !same_frame(&stacks->frames[entry->frame - 1], &frame))
		entry->frame = find_frame(stacks, frame) + 1;
	return entry->frame - 1;
}

uint32_t stacks_frame(struct nova_stacks *stacks, const char *name, size_t name_length,
                      const char *library, size_t library_length, uint32_t flags)
{
	const char *text = nova_stacks_text(stacks, library, library_length);

	return frame_of(stacks, name, name_length,
	                (struct nova_frame){.library = text, .file = NOTHING, .flags = flags});
}

uint32_t nova_stacks_frame(struct nova_stacks *stacks, const struct nova_frame *wanted)
{
	const char *library = keep_text(stacks, wanted->library);
	const char *file = keep_text(stacks, wanted->file);

	return frame_of(
	        stacks, wanted->name, wanted->name ? strlen(wanted->name) : 0,
	        (struct nova_frame){.library = library, .file = file, .flags = wanted->flags});
}

static uint64_t origin_hash(const struct nova_stacks *stacks, uint32_t number)
{
	const struct nova_origin *origin = &stacks->origins[number];

	return mix((uint64_t)(uintptr_t)origin->process ^ UINT64_C(0xd6e8feb86659fd93),
	           (uint64_t)(uintptr_t)origin->thread ^ UINT64_C(0x9e3779b97f4a7c15)) ^
	       hash_pair((uint32_t)origin->pid, (uint32_t)origin->tid) ^
	       mix(hash_pair((uint32_t)origin->cpu, (uint32_t)origin->vcpu), 3);
}

uint32_t nova_stacks_origin(struct nova_stacks *stacks, const struct nova_origin *wanted)
{
	struct nova_stacks_index *index = stacks->index;
	struct table *table = &index->origins;
	struct nova_origin origin = *wanted;
	uint64_t hash;

	origin.process = keep_text(stacks, wanted->process);
	origin.thread = keep_text(stacks, wanted->thread);
	make_room(table, origin_hash, stacks);
	stacks->origins = room_for(stacks->origins, stacks->origin_count, &index->origin_room,
	                           sizeof(*stacks->origins));
	stacks->origins[stacks->origin_count] = origin;
	hash = origin_hash(stacks, stacks->origin_count);
	for (size_t at = (size_t)hash & (table->room - 1); table->slots[at].number;
	     at = (at + 1) & (table->room - 1)) {
		const struct nova_origin *there = &stacks->origins[table->slots[at].number - 1];

		if (table->slots[at].mark == (uint32_t)(hash >> 32) &&
		    there->process == origin.process && there->thread == origin.thread &&
		    there->pid == origin.pid && there->tid == origin.tid &&
		    there->cpu == origin.cpu && there->vcpu == origin.vcpu)
			return table->slots[at].number - 1;
	}
	put(table, hash, stacks->origin_count);
	table->used++;
	return stacks->origin_count++;
}

/* --- nodes and counts ----------------------------------------------------------------------------
 */

static uint64_t node_hash(const struct nova_stacks *stacks, uint32_t number)
{
	return hash_pair(stacks->nodes[number].parent, stacks->nodes[number].frame);
}

static uint32_t add_node(struct nova_stacks *stacks, uint32_t parent, uint32_t frame)
{
	struct nova_stacks_index *index = stacks->index;
	uint32_t room = index->node_room;

	stacks->nodes = room_for(stacks->nodes, stacks->node_count, &index->node_room,
	                         sizeof(*stacks->nodes));
	if (index->node_room != room)
		index->firsts =
		        nova_realloc(index->firsts, index->node_room * sizeof(*index->firsts));
	stacks->nodes[stacks->node_count] = (struct nova_stack_node){parent, frame};
	index->firsts[stacks->node_count] = (struct first){0, 0};
	return stacks->node_count++;
}

uint32_t nova_stacks_call(struct nova_stacks *stacks, uint32_t parent, uint32_t frame)
{
	struct nova_stacks_index *index = stacks->index;
	struct table *table = &index->nodes;
	uint32_t first = index->firsts[parent].child, node;
	uint64_t hash;

	if (!first) {
		node = add_node(stacks, parent, frame); /* which may move the firsts */
		index->firsts[parent].child = node;
		return node;
	}
	if (stacks->nodes[first].frame == frame)
		return first;
	hash = hash_pair(parent, frame);
	make_room(table, node_hash, stacks);
	for (size_t at = (size_t)hash & (table->room - 1); table->slots[at].number;
	     at = (at + 1) & (table->room - 1)) {
		const struct slot *slot = &table->slots[at];

		if (slot->mark == (uint32_t)(hash >> 32) &&
		    stacks->nodes[slot->number - 1].parent == parent &&
		    stacks->nodes[slot->number - 1].frame == frame)
			return slot->number - 1;
	}
	node = add_node(stacks, parent, frame);
	put(table, hash, node);
	table->used++;
	return node;
}

static uint64_t count_hash(const struct nova_stacks *stacks, uint32_t number)
{
	return hash_pair(stacks->counts[number].node, stacks->counts[number].origin);
}

static uint32_t add_count(struct nova_stacks *stacks, uint32_t node, uint32_t origin)
{
	struct nova_stacks_index *index = stacks->index;
	uint32_t room = index->count_room;

	stacks->counts = room_for(stacks->counts, stacks->count_count, &index->count_room,
	                          sizeof(*stacks->counts));
	if (index->count_room != room)
		stacks->values = nova_realloc(stacks->values, (size_t)index->count_room *
		                                                      stacks->type_count *
		                                                      sizeof(*stacks->values));
	stacks->counts[stacks->count_count] = (struct nova_stack_count){node, origin};
	memset(stacks->values + (size_t)stacks->count_count * stacks->type_count, 0,
	       stacks->type_count * sizeof(*stacks->values));
	return stacks->count_count++;
}

static uint32_t count_of(struct nova_stacks *stacks, uint32_t node, uint32_t origin)
{
	struct nova_stacks_index *index = stacks->index;
	struct table *table = &index->counts;
	uint32_t first = index->firsts[node].count, count;
	uint64_t hash;

	if (!first) {
		count = add_count(stacks, node, origin);
		index->firsts[node].count = count + 1;
		return count;
	}
	if (stacks->counts[first - 1].origin == origin)
		return first - 1;
	hash = hash_pair(node, origin);
	make_room(table, count_hash, stacks);
	for (size_t at = (size_t)hash & (table->room - 1); table->slots[at].number;
	     at = (at + 1) & (table->room - 1)) {
		const struct slot *slot = &table->slots[at];

		if (slot->mark == (uint32_t)(hash >> 32) &&
		    stacks->counts[slot->number - 1].node == node &&
		    stacks->counts[slot->number - 1].origin == origin)
			return slot->number - 1;
	}
	count = add_count(stacks, node, origin);
	put(table, hash, count);
	table->used++;
	return count;
}

void nova_stacks_add(struct nova_stacks *stacks, uint32_t node, uint32_t origin,
                     const uint64_t *values)
{
	size_t number = count_of(stacks, node, origin); /* which may move the values */
	uint64_t *kept = stacks->values + number * stacks->type_count;

	for (uint32_t i = 0; i < stacks->type_count; i++)
		kept[i] = kept[i] > UINT64_MAX - values[i] ? UINT64_MAX : kept[i] + values[i];
}

uint64_t nova_stacks_total(const struct nova_stacks *stacks, uint32_t type)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < stacks->count_count; i++) {
		uint64_t value = stacks->values[(size_t)i * stacks->type_count + type];

		total = total > UINT64_MAX - value ? UINT64_MAX : total + value;
	}
	return total;
}

uint32_t stacks_type_like(const struct nova_stacks *stacks, const struct nova_value_type *type)
{
	for (uint32_t i = 0; i < stacks->type_count; i++)
		if (strcmp(stacks->types[i].type, type->type) == 0 &&
		    strcmp(stacks->types[i].unit, type->unit) == 0)
			return i;
	return UINT32_MAX;
}

static bool is_count(const struct nova_stacks *stacks, uint32_t type)
{
	return strcmp(stacks->types[type].unit, "count") == 0;
}

static bool is_samples(const struct nova_stacks *stacks, uint32_t type)
{
	return is_count(stacks, type) && strcmp(stacks->types[type].type, "samples") == 0;
}

/* Writers of pprof put a count before what was measured with it: samples, cpu; waits, off-cpu. */
uint32_t stacks_type_events(const struct nova_stacks *stacks, uint32_t type)
{
	if (is_samples(stacks, type))
		return type;
	if (type > 0 && is_samples(stacks, type - 1))
		return type - 1; /* of cycles, too, which are a count themselves */
	if (is_count(stacks, type))
		return type;
	if (type > 0 && is_count(stacks, type - 1))
		return type - 1;
	return stacks->type_count == 2 && is_count(stacks, 1 - type) ? 1 - type : UINT32_MAX;
}

double stacks_per_sample(const struct nova_stacks *stacks, uint32_t type)
{
	uint32_t events = stacks_type_events(stacks, type);

	if (events != UINT32_MAX && is_samples(stacks, events)) {
		uint64_t count = nova_stacks_total(stacks, events);

		return count ? (double)nova_stacks_total(stacks, type) / (double)count : 0;
	}
	return !strcmp(stacks->types[type].type, "cpu") && type == stacks->shown &&
	                       stacks->period > 0
	               ? (double)stacks->period
	               : 0;
}

/* --- the whole -----------------------------------------------------------------------------------
 */

struct nova_stacks *nova_stacks_new(const struct nova_value_type *types, uint32_t count)
{
	struct nova_stacks *stacks = nova_alloc(sizeof(*stacks));
	const struct nova_origin nowhere = {.pid = -1, .tid = -1, .cpu = -1, .vcpu = -1};

	stacks->index = nova_alloc(sizeof(*stacks->index));
	for (uint32_t i = 0; i < count && i < NOVA_STACKS_VALUES; i++) {
		stacks->types[i].type = keep_text(stacks, types[i].type);
		stacks->types[i].unit = keep_text(stacks, types[i].unit);
		stacks->type_count++;
	}
	nova_stacks_origin(stacks, &nowhere);
	add_node(stacks, 0, UINT32_MAX); /* the root, which nobody looks for */
	return stacks;
}

void nova_stacks_note(struct nova_stacks *stacks, const char *format, ...)
{
	char *text = NULL;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	stacks->notes = room_for(stacks->notes, stacks->note_count, &stacks->index->note_room,
	                         sizeof(*stacks->notes));
	stacks->notes[stacks->note_count++] = nova_stacks_text(stacks, text, (size_t)length);
	free(text);
}

static size_t table_bytes(const struct table *table)
{
	return table->room * sizeof(*table->slots);
}

size_t nova_stacks_bytes(const struct nova_stacks *stacks)
{
	const struct nova_stacks_index *index = stacks->index;

	return sizeof(*stacks) + sizeof(*index) + table_bytes(&index->texts) +
	       table_bytes(&index->frames) + table_bytes(&index->origins) +
	       table_bytes(&index->nodes) + table_bytes(&index->counts) + index->block_bytes +
	       index->frame_room * sizeof(*stacks->frames) +
	       index->origin_room * sizeof(*stacks->origins) +
	       index->node_room * (sizeof(*stacks->nodes) + sizeof(*index->firsts)) +
	       index->count_room *
	               (sizeof(*stacks->counts) + stacks->type_count * sizeof(*stacks->values)) +
	       index->entry_room * sizeof(*index->entries) +
	       index->note_room * sizeof(*stacks->notes);
}

void nova_stacks_free(struct nova_stacks *stacks)
{
	if (!stacks)
		return;
	free(stacks->frames);
	free(stacks->origins);
	free(stacks->nodes);
	free(stacks->counts);
	free(stacks->values);
	free(stacks->notes);
	free(stacks->index->texts.slots);
	free(stacks->index->frames.slots);
	free(stacks->index->origins.slots);
	free(stacks->index->nodes.slots);
	free(stacks->index->counts.slots);
	free(stacks->index->entries);
	free(stacks->index->firsts);
	for (struct block *block = stacks->index->blocks, *next; block; block = next) {
		next = block->next;
		free(block);
	}
	free(stacks->index);
	free(stacks);
}

void nova_stacks_cleanup(struct nova_stacks **stacks)
{
	nova_stacks_free(*stacks);
}
