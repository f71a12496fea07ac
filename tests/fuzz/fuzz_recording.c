// rooms: profiler
// SPDX-License-Identifier: MIT
/* What a kernel's ring may hold, and a file of recorded samples, of any content: the first byte
 * says which. What goes in as samples comes out of the file. */
#include "core/profiler/record.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RING_BYTES 8192u
#define LIMIT      ((size_t)64 << 20)

static int load(int fd, struct recording *recording)
{
	struct nova_error error = {0};
	struct source source;
	char path[64];
	int code;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (source_open(&source, path, &error))
		abort();
	code = recording_load(&source, LIMIT, recording, &error);
	source_close(&source);
	if (code && !error.text[0])
		abort();
	return code;
}

/* The bytes as records; only processes that are nobody, so that /proc gives nothing. */
static void as_ring(const uint8_t *data, size_t size)
{
	static struct tally tally;
	static char bytes[RING_BYTES], scratch[65536];
	struct ring ring = {.data = bytes, .bytes = RING_BYTES, .scratch = scratch};
	struct writer writer = {.path = "memory"};
	struct recording recording;
	static const enum lane_kind all[LANE_KINDS] = {LANE_CPU, LANE_OFF_CPU, LANE_LOCK,
	                                               LANE_FAULTS, LANE_ALLOCATIONS};
	NOVA_AUTOJSON json_t *about = json_pack("{s[sssss]}", "lanes", lanes[0].name, lanes[1].name,
	                                        lanes[2].name, lanes[3].name, lanes[4].name);

	writer.fd = memfd_create("recording", MFD_CLOEXEC);
	if (writer.fd < 0)
		abort();
	nova_text_add_bytes(&writer.buffer, RECORDING_MAGIC, MAGIC_BYTES);
	writer_json(&writer, CHUNK_ABOUT, about);
	tally_start(&tally, &writer);
	tally_lanes(&tally, all, LANE_KINDS);
	tally.contention_ends = 1;
	/* what the samples have, whose they are, and that a ring may begin anywhere */
	if (size) {
		ring.extra = *data & 7;
		ring.sampler = (*data >> 3) % SAMPLE_KINDS;
		ring.tail = ring.head = *data * 32u;
		data++, size--;
	}
	while (size > 0) {
		for (; size > 0 && ring.head - ring.tail < RING_BYTES; size--)
			bytes[ring.head++ % RING_BYTES] = (char)*data++;
		rings_drain(&ring, 1, UINT64_MAX, tally_take, &tally);
		if (ring.head - ring.tail == RING_BYTES)
			break; /* a record that is longer than the ring */
		tally_flush(&tally);
	}
	tally_waiting(&tally, UINT64_MAX);
	tally_flush(&tally);
	if (writer_flush(&writer, NULL) || load(writer.fd, &recording))
		abort();
	if (recording.torn ||
	    (ring.sampler == SAMPLE_CPU && nova_stacks_total(recording.raw, 0) != tally.samples))
		abort();
	nova_stacks_free(recording_stacks(&recording));
	recording_free(&recording);
	tally_free(&tally);
	close(writer.fd);
	nova_text_free(&writer.buffer);
}

/* The bytes as chunks, whose sums are made right here: else nothing would ever be read. */
static void as_file(const uint8_t *data, size_t size)
{
	struct writer writer = {.path = "memory"};
	struct recording recording;

	writer.fd = memfd_create("recording", MFD_CLOEXEC);
	nova_text_add_bytes(&writer.buffer, RECORDING_MAGIC, MAGIC_BYTES);
	while (size >= 2) {
		size_t length = data[1] < size - 2 ? data[1] : size - 2;

		writer_begin(&writer, data[0] == 32 ? CHUNK_NOTES : data[0] % 14);
		nova_text_add_bytes(&writer.buffer, data + 2, length);
		writer_end(&writer);
		data += 2 + length;
		size -= 2 + length;
	}
	if (writer_flush(&writer, NULL))
		abort();
	if (load(writer.fd, &recording) == 0)
		nova_stacks_free(recording_stacks(&recording));
	recording_free(&recording);
	close(writer.fd);
	nova_text_free(&writer.buffer);
}

/* The bytes as what somebody says a guest's maps are; then a sample anywhere in them. */
static void as_guest(const uint8_t *data, size_t size)
{
	struct nova_error error = {0};
	struct spaces spaces;
	struct guest guest;
	uint64_t offset;
	char path[64];
	int fd = memfd_create("maps", MFD_CLOEXEC);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	spaces_start(&spaces);
	if (guest_start(&guest, &spaces, &(struct nova_record_guest){.maps = path}, &error)) {
		if (!error.text[0])
			abort();
	} else if (guest_place(&guest, PERF_CONTEXT_GUEST_USER, guest.space.maps[0].start,
	                       &offset) >= spaces.object_count) {
		abort();
	}
	guest_free(&guest);
	spaces_free(&spaces);
	close(fd);
}

/* The bytes as texts of others. */
static void as_text(const uint8_t *data, size_t size)
{
	struct object objects[3] = {{.kind = OBJECT_KERNEL, .path = (char[]){"[kernel]"}},
	                            {.kind = OBJECT_JIT, .path = (char[]){"[jit]"}},
	                            {.kind = OBJECT_GUEST, .path = (char[]){"[guest]"}}};
	struct address addresses[3] = {{.offset = 0x1234},
	                               {.offset = 0x1234, .object = 1},
	                               {.offset = 0x1234, .object = 2}};
	struct recording recording = {.objects = objects, .addresses = addresses};
	const struct nova_value_type type = {"samples", "count"};
	const uint32_t numbers[3] = {0, 1, 2};
	struct maps_line line;
	FILE *file;

	recording.texts = nova_stacks_new(&type, 1);
	maps_line_read((const char *)data, size, &line);
	if (size && (file = fmemopen((void *)(uintptr_t)data, size, "r"))) {
		symbols_of_kernel(&(struct address_run){&recording, &objects[0], numbers, 1}, file);
		rewind(file);
		symbols_of_jit(&(struct address_run){&recording, &objects[1], numbers + 1, 1},
		               file);
		rewind(file);
		symbols_of_translated(
		        &(struct address_run){&recording, &objects[2], numbers + 2, 1}, file);
		fclose(file);
	}
	as_guest(data, size);
	NOVA_AUTOFREE char *name = nova_format("_Z%.*s", (int)(size < 256 ? size : 256), data);
	free(symbols_demangle(name));
	nova_stacks_free(recording.texts);
	free(recording.names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	switch (data[0] % 3) {
	case 0: as_ring(data + 1, size - 1); break;
	case 1: as_file(data + 1, size - 1); break;
	default: as_text(data + 1, size - 1); break;
	}
	return 0;
}
