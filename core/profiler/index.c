/* SPDX-License-Identifier: MIT */
/* Numbers found again by a hash: open addressing, linear probing, at most three quarters full. */
#include "core/profiler/record.h"

#include <string.h>

bool index_next(const struct index *index, uint64_t hash, uint64_t *at, uint32_t *number)
{
	if (!index->room)
		return false;
	for (;; ++*at) {
		const struct index_slot *slot = &index->slots[*at & (index->room - 1)];

		if (!slot->number)
			return false;
		if (slot->hash == hash) {
			*number = slot->number - 1;
			++*at;
			return true;
		}
	}
}

static void put(struct index *index, uint64_t hash, uint32_t number)
{
	uint64_t at = hash;

	while (index->slots[at & (index->room - 1)].number)
		at++;
	index->slots[at & (index->room - 1)] = (struct index_slot){hash, number + 1};
	index->used++;
}

void index_add(struct index *index, uint64_t hash, uint32_t number)
{
	if ((index->used + 1) * 4 > index->room * 3) {
		struct index old = *index;

		index->room = old.room ? old.room * 2 : 64;
		index->used = 0;
		index->slots = nova_alloc(index->room * sizeof(*index->slots));
		for (size_t i = 0; i < old.room; i++)
			if (old.slots[i].number)
				put(index, old.slots[i].hash, old.slots[i].number - 1);
		free(old.slots);
	}
	put(index, hash, number);
}

void index_clear(struct index *index)
{
	if (index->room)
		memset(index->slots, 0, index->room * sizeof(*index->slots));
	index->used = 0;
}

void index_free(struct index *index)
{
	free(index->slots);
	memset(index, 0, sizeof(*index));
}
