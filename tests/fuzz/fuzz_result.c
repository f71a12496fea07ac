// rooms: report judge
// SPDX-License-Identifier: MIT
/* Result documents are imported from elsewhere: what passes the check can be stored, and whatever
 * was stored is exported and printed in every format. */
#include "core/report/report.h"
#include "core/judge/result.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char directory[] = "/tmp/novacore-fuzz-XXXXXX";

static void remove_directory(void)
{
	nova_directory_remove(directory, NULL);
}

static struct nova_store *open_store(void)
{
	struct nova_store *store = NULL;
	char path[64];

	if (!mkdtemp(directory))
		abort();
	atexit(remove_directory);
	snprintf(path, sizeof(path), "%s/n.db", directory);
	if (nova_store_open(path, &store, NULL))
		abort();
	return store;
}

/* Every element that is opened is closed, in order, whatever the document says: if a text of it
 * could become markup, libFuzzer would find one that does not balance. */
static void check_balance(const char *page)
{
	const char *open[64];
	size_t depth = 0;

	for (const char *at = strchr(page, '<'); at; at = strchr(at + 1, '<')) {
		const char *end = strchr(at, '>');
		size_t length;

		if (!end)
			abort();
		if (at[1] == '!' || end[-1] == '/')
			continue;
		if (at[1] != '/') {
			if (depth == sizeof(open) / sizeof(open[0]))
				abort();
			open[depth++] = at + 1;
			continue;
		}
		length = (size_t)(end - at) - 2;
		if (!depth-- || strncmp(open[depth], at + 2, length) != 0 ||
		    !strchr(" >", open[depth][length]))
			abort();
	}
	if (depth || strstr(page, "<script") || strstr(page, "nan\"") || strstr(page, "inf\""))
		abort();
}

static void print_all(const json_t *result)
{
	const struct nova_report_options options = {.colour = true, .verbose = true, .width = 40};

	for (size_t i = 0; nova_report_formats[i]; i++) {
		char *text = NULL;
		size_t bytes = 0;
		FILE *out = open_memstream(&text, &bytes);

		if (!out || nova_report_write(result, nova_report_formats[i], out, &options, NULL))
			abort();
		fclose(out);
		if (!strcmp(nova_report_formats[i], "html"))
			check_balance(text);
		free(text);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct nova_store *store;
	NOVA_AUTOJSON json_t *result = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);
	NOVA_AUTOJSON json_t *stored = NULL;
	struct nova_error error = {0};
	bool imported = false;
	const char *id;

	store = store ? store : open_store();
	nova_log_terminal(NOVA_LOG_ERROR);
	if (nova_report_check(result, &error)) {
		if (!error.text[0])
			abort();
		return 0;
	}
	print_all(result);
	id = json_string_value(json_object_get(json_object_get(result, "run"), "id"));
	if (nova_result_import(store, result, &imported, &error) == 0) {
		if (nova_result_build(store, id, &stored, &error) ||
		    nova_report_check(stored, &error))
			abort();
		print_all(stored);
		if (nova_store_run_delete(store, id, &error))
			abort();
	}
	return 0;
}
