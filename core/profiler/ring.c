/* SPDX-License-Identifier: MIT */
/* The kernel's ring buffers: one per CPU, read together in the order of time. */
#include "core/profiler/record.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RECORD_BYTES 65536u /* a record's length has 16 bits */

int ring_map(struct ring *ring, int fd, size_t pages, struct nova_error *error)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *base = mmap(NULL, (pages + 1) * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	memset(ring, 0, sizeof(*ring));
	if (base == MAP_FAILED)
		return nova_error_errno(error, "cannot map a ring of %zu KiB for samples",
		                        pages * page / 1024);
	ring->fd = fd;
	ring->page = base;
	ring->data = (const char *)base + page;
	ring->bytes = pages * page;
	ring->scratch = nova_alloc(RECORD_BYTES);
	return 0;
}

void ring_unmap(struct ring *ring)
{
	if (ring->page)
		munmap(ring->page, ring->bytes + (size_t)sysconf(_SC_PAGESIZE));
	free(ring->scratch);
	memset(ring, 0, sizeof(*ring));
}

static void copy_out(const struct ring *ring, uint64_t at, void *out, size_t bytes)
{
	size_t begin = (size_t)(at & (ring->bytes - 1));
	size_t first = ring->bytes - begin < bytes ? ring->bytes - begin : bytes;

	memcpy(out, ring->data + begin, first);
	memcpy((char *)out + first, ring->data, bytes - first);
}

/* Reads the event at the tail into `next`; false if there is none. What is no record is skipped,
 * and what has no length ends this round: there is no way to know where the next one begins. */
static bool look(struct ring *ring)
{
	struct perf_event_header head;

	while (!ring->next_bytes && ring->head - ring->tail >= sizeof(head)) {
		size_t begin = (size_t)(ring->tail & (ring->bytes - 1));
		const char *record = ring->data + begin;

		copy_out(ring, ring->tail, &head, sizeof(head));
		if (head.size < sizeof(head) || head.size > ring->head - ring->tail) {
			ring->broken++;
			ring->tail = ring->head;
			return false;
		}
		if (head.size > ring->bytes - begin) {
			copy_out(ring, ring->tail, ring->scratch, head.size);
			record = ring->scratch;
		}
		if (event_read(record, head.size, ring->extra, &ring->next)) {
			ring->next.sampler = ring->sampler;
			ring->next_bytes = head.size;
		} else {
			ring->broken++;
			ring->tail += head.size;
		}
	}
	return ring->next_bytes > 0;
}

void rings_drain(struct ring *rings, size_t count, uint64_t until_ns,
                 void (*handle)(void *context, const struct event *event), void *context)
{
	for (size_t i = 0; i < count; i++)
		if (rings[i].page)
			rings[i].head =
			        __atomic_load_n(&rings[i].page->data_head, __ATOMIC_ACQUIRE);
	for (;;) {
		struct ring *first = NULL;

		for (size_t i = 0; i < count; i++)
			if (look(&rings[i]) && rings[i].next.time <= until_ns &&
			    (!first || rings[i].next.time < first->next.time))
				first = &rings[i];
		if (!first)
			break;
		handle(context, &first->next);
		first->tail += first->next_bytes;
		first->next_bytes = 0;
	}
	for (size_t i = 0; i < count; i++)
		if (rings[i].page)
			__atomic_store_n(&rings[i].page->data_tail, rings[i].tail,
			                 __ATOMIC_RELEASE);
}
