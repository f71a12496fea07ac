// rooms: helpers
// SPDX-License-Identifier: MIT
/* A line that is a path, then an answer of any content: accessors take both, and what was read can
 * be written and read again. */
#include <stdlib.h>
#include <string.h>

#include <novacore/helpers/json.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
	if (!holds)
		abort();
}

static void need(const json_t *value, const char *path)
{
	struct nova_json_reader reader = {.value = value};

	nova_json_need_number(&reader, "%s", path);
	require(reader.error[0] ||
	        nova_json_number(value, path, 1) == nova_json_number(value, path, 2));
	nova_json_need_text(&reader, "%s", path);
	nova_json_need_array(&reader, "%s", path);
	nova_json_need_object(&reader, "%s", path);
	require(strlen(reader.error) > 0); /* nothing is all of them */
}

static void check(json_t *value, const char *path)
{
	struct nova_text text = {0};
	char why[200];
	json_t *again;

	nova_json_text(value, path, NULL);
	nova_json_real(value, path, 0);
	nova_json_flag(value, path, 0);
	nova_json_count(value, path);
	need(value, path);
	nova_json_write(&text, value);
	require(!text.broken);
	again = nova_json_parse(text.text, text.used, why, sizeof(why));
	require(again && json_equal(value, again));
	json_decref(again);
	nova_text_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *newline = memchr(data, '\n', size);
	char path[200] = "";
	char why[200] = "";
	json_t *value;

	if (!newline)
		return 0;
	memcpy(path, data, (size_t)(newline - data) < 199 ? (size_t)(newline - data) : 199);
	newline++;
	value = nova_json_parse((const char *)newline, size - (size_t)(newline - data), why,
	                        sizeof(why));
	if (value)
		check(value, path);
	else
		require(strncmp(why, "no JSON", 7) == 0);
	json_decref(value);
	return 0;
}
