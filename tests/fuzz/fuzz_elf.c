// rooms: profiler
// SPDX-License-Identifier: MIT
/* Programs and libraries of any content, whose functions are looked for, with DWARF if it is there.
 */
#include "core/profiler/record.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ADDRESSES 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct object object = {.kind = OBJECT_FILE, .path = (char[]){"/program"}};
	const struct nova_value_type type = {"samples", "count"};
	struct address addresses[ADDRESSES] = {0};
	struct recording recording = {.objects = &object,
	                              .object_count = 1,
	                              .addresses = addresses,
	                              .address_count = ADDRESSES};
	uint8_t build_id[BUILD_ID_BYTES];
	struct frame_pointers found;
	uint64_t copied;
	int copy;

	object.fd = memfd_create("program", MFD_CLOEXEC);
	if (object.fd < 0 || write(object.fd, data, size) != (ssize_t)size)
		abort();
	for (uint32_t i = 0; i < ADDRESSES; i++)
		addresses[i].offset = i * (size / ADDRESSES + 1);
	if (object_build_id(object.fd, build_id) > BUILD_ID_BYTES)
		abort();
	frame_pointers_of(object.fd, &found);
	copy = frames_copy(object.fd, &copied);
	if (copy >= 0)
		close(copy);
	recording.texts = nova_stacks_new(&type, 1);
	recording_symbolise(&recording, NULL, NULL);
	for (uint32_t i = 0; i < ADDRESSES; i++)
		if (addresses[i].first + addresses[i].count > recording.name_count)
			abort();
	nova_stacks_free(recording.texts);
	free(recording.names);
	close(object.fd);
	return 0;
}
