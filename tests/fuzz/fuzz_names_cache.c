// rooms: profiler
// SPDX-License-Identifier: MIT
/* What was kept of a program's names, of any content, with a sum that is right. What is added to it
 * is there the next time. */
#include "core/profiler/record.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char home[] = "/tmp/nct-fuzz-XXXXXX";
static char *file;

static void remove_home(void)
{
	nova_directory_remove(home, NULL);
}

static void make_home(void)
{
	NOVA_AUTOFREE char *names = nova_format("%s/cache/names", mkdtemp(home));

	setenv("NOVACORE_HOME", home, 1);
	atexit(remove_home);
	if (nova_directory_make(names, 0700, NULL))
		abort();
	file = nova_format("%s/ab", names);
}

static void write_file(const uint8_t *data, size_t size)
{
	uint32_t crc = (uint32_t)crc32(0, data, (uInt)size);
	NOVA_AUTOTEXT struct nova_text text = {0};
	FILE *out = fopen(file, "we");

	nova_text_add_bytes(&text, "novanam\1", 8);
	nova_text_add_bytes(&text, &crc, sizeof(crc));
	nova_text_add_bytes(&text, data, size);
	if (!out || fwrite(text.data, 1, text.length, out) != text.length || fclose(out))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct object object = {.kind = OBJECT_FILE,
	                        .path = (char[]){"/program"},
	                        .build_id = {0xab},
	                        .build_id_bytes = 1};
	const struct nova_value_type type = {"samples", "count"};
	struct address addresses[3] = {{.offset = 1}, {.offset = 77}, {.offset = 1u << 20}};
	struct recording recording = {.objects = &object, .addresses = addresses};
	const struct address_run run = {&recording, &object, NULL, 0};
	struct names_cache *cache;
	bool known[3];

	if (!file)
		make_home();
	write_file(data, size);
	recording.texts = nova_stacks_new(&type, 1);
	for (int round = 0; round < 2; round++) {
		cache = cache_open(&object);
		if (!cache)
			abort();
		for (uint32_t i = 0; i < 3; i++) {
			addresses[i].count = 0;
			known[i] = cache_name(cache, &run, i);
			if (!known[i] && round)
				abort();
			if (!known[i])
				recording_name(&recording, i, &(struct nova_frame){.name = "new"});
			if (!known[i])
				cache_add(cache, &recording, i, addresses[i].offset,
				          addresses[i].offset + 1);
		}
		cache_close(cache);
	}
	nova_stacks_free(recording.texts);
	free(recording.names);
	return 0;
}
