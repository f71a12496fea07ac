/* SPDX-License-Identifier: MIT */
/* symbols FILE [cached]: names the offsets of that file that stand on standard input, as a
 * recording's are named; a line each, the innermost function, "??" without one. */
#include "core/profiler/record.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	struct object object = {.kind = OBJECT_FILE, .fd = -1};
	const struct nova_value_type type = {"samples", "count"};
	struct recording recording = {.objects = &object, .object_count = 1};
	struct nova_error error = {0};
	uint64_t offset;

	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: %s FILE [cached] <OFFSETS\n", argv[0]);
		return 2;
	}
	object.path = argv[1];
	recording.cached = argc == 3;
	object.fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (object.fd >= 0)
		object.build_id_bytes = (uint8_t)object_build_id(object.fd, object.build_id);
	recording.texts = nova_stacks_new(&type, 1);
	while (scanf("%" SCNx64, &offset) == 1) {
		recording.addresses = nova_grow(recording.addresses, recording.address_count,
		                                sizeof(*recording.addresses));
		recording.addresses[recording.address_count++] = (struct address){.offset = offset};
	}
	if (recording_symbolise(&recording, NULL, &error)) {
		fprintf(stderr, "%s\n", error.text);
		return 1;
	}
	for (uint32_t i = 0; i < recording.address_count; i++) {
		const struct address *address = &recording.addresses[i];

		puts(address->count
		             ? recording.texts
		                       ->frames[recording
		                                        .names[address->first + address->count - 1]]
		                       .name
		             : "??");
	}
	return 0;
}
