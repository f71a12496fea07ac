// rooms: helpers
// sources: plugins/hypervisors/xcp-ng/answer.c
// SPDX-License-Identifier: MIT
/* What a XenAPI server answers, of any content, read as every kind of answer: nothing that is taken
 * for a reference, an address or a UUID can leave its place in a URL, a header or a sentence. */
#include <stdlib.h>
#include <string.h>

#include <novacore/helpers/json.h>
#include <novacore/types.h>

#include "plugins/hypervisors/xcp-ng/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
	if (!holds)
		abort();
}

static void read_texts(const char *text)
{
	char ref[REF_ROOM], address[80];
	struct nova_text words = {0};

	if (answer_task_ref(text, ref))
		require(answer_is_ref(ref) && strlen(ref) < REF_ROOM && strstr(text, ref));
	else
		require(!ref[0]);
	if (answer_is_ref(text))
		require(!strpbrk(text, " \r\n\t;&?/#%") && strlen(text) < REF_ROOM);
	if (answer_is_uuid(text))
		require(strlen(text) == 36 && !strpbrk(text, " \r\n&?/#%:"));
	if (answer_address(text, address, sizeof(address)))
		require(strlen(address) < sizeof(address) && !strpbrk(address, " /?#@\r\n%"));
	require(answer_time(text) >= -1);
	answer_error(text, NULL, 0, &words);
	require(!strpbrk(nova_text_get(&words), "\r\n"));
	nova_text_free(&words);
}

static void read_events(const json_t *list)
{
	struct answer_event event;
	size_t i;
	json_t *one;

	json_array_foreach(list, i, one)
	{
		if (answer_event(one, &event))
			require(answer_is_ref(event.ref) && event.kind);
	}
}

static void read_answer(const json_t *json)
{
	const json_t *error = json_object_get(json, "error");
	struct answer_stats stats;
	struct nova_text words = {0};
	const char *why;
	char made[REF_ROOM];
	const json_t *result = answer_result(json, 1, &why);
	int code = answer_task(result ? result : json, made, &words);

	require((result != NULL) != (why != NULL));
	require(code <= ANSWER_RUNS && (!made[0] || answer_is_ref(made)));
	answer_error(nova_json_text(error, "message", ""), json_object_get(error, "data"), 0,
	             &words);
	read_events(json_object_get(result, "events"));
	if (answer_rrd(json, "3c2f0e80-58a2-4c5e-8a0b-1b1b2f9c7d11", &stats, &why))
		require(!why && !(stats.cpu_s < -1));
	else
		require(why && why[0]);
	nova_text_free(&words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	json_t *json;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	read_texts(text);
	json = nova_json_parse(text, size, NULL, 0);
	if (json)
		read_answer(json);
	json_decref(json);
	free(text);
	return 0;
}
