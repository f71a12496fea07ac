// rooms: profiler
// SPDX-License-Identifier: MIT
/* Recordings of others: what is read, in whatever format, is written as pprof and read again, and
 * nothing is lost on the way. */
#include "core/profiler/profiler.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct nova_stacks_limits LIMITS = {.bytes = 64u << 20};

static struct nova_stacks *read_bytes(const void *data, size_t size, struct nova_error *error)
{
	struct nova_stacks *stacks = NULL;
	char path[64];
	int fd = memfd_create("stacks", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) != 0)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (nova_stacks_read(path, &LIMITS, &stacks, error) != 0 && (!error->text[0] || stacks))
		abort();
	close(fd);
	return stacks;
}

static void check_flame(const struct nova_stacks *stacks, bool reverse)
{
	const struct nova_flame_request request = {
	        .type = stacks->shown, .by = NOVA_BY_PROCESS, .reverse = reverse};
	struct nova_flame flame;
	uint64_t self = 0;

	nova_flame_make(stacks, &request, &flame);
	for (uint32_t i = 0; i < flame.count; i++) {
		const struct nova_flame_box *box = &flame.boxes[i];

		/* sums stop at the greatest number */
		self = self > UINT64_MAX - box->self ? UINT64_MAX : self + box->self;
		if (box->next <= i || box->next > flame.count || box->self > box->total ||
		    (i && box->total > flame.boxes[box->parent].total))
			abort();
	}
	if (self != flame.boxes[0].total)
		abort();
	nova_flame_free(&flame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nova_error error = {0};
	struct nova_stacks *stacks = read_bytes(data, size, &error), *again;
	char *bytes = NULL;
	size_t length = 0;
	FILE *out;

	if (!stacks)
		return 0;
	out = open_memstream(&bytes, &length);
	if (!out || nova_stacks_write_pprof(stacks, out, &error) || fclose(out))
		abort();
	again = read_bytes(bytes, length, &error);
	if (!again || nova_stacks_total(again, 0) != nova_stacks_total(stacks, 0) ||
	    again->type_count != stacks->type_count || again->count_count > stacks->count_count)
		abort();
	free(bytes);
	/* sums of what an attacker chose may wrap around: then there is nothing to compare */
	if (nova_stacks_total(stacks, stacks->shown) < UINT64_MAX / 4) {
		check_flame(stacks, false);
		check_flame(stacks, true);
	}
	nova_stacks_free(again);
	nova_stacks_free(stacks);
	return 0;
}
