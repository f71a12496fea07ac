// rooms: helpers
// sources: plugins/hypervisors/proxmox/option.c plugins/hypervisors/proxmox/upid.c
// SPDX-License-Identifier: MIT
/* A text of Proxmox VE's of any content, read as each of those that have a form: a task's name, a
 * line of a log, a property string (an option that was set is the only one of that name, and is
 * read as it was set), rows of statistics. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <novacore/helpers/json.h>

#include "plugins/hypervisors/proxmox/option.h"
#include "plugins/hypervisors/proxmox/upid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
	if (!holds)
		abort();
}

static void change_options(const char *options)
{
	struct nova_text with = {0}, without = {0};
	char value[32];

	option_get(options, "cache", value, sizeof(value));
	option_set(&with, options, "cache", "writeback");
	require(option_get(nova_text_get(&with), "cache", value, sizeof(value)) &&
	        strcmp(value, "writeback") == 0);
	option_set(&without, nova_text_get(&with), "cache", "");
	require(without.used < with.used);
	nova_text_free(&with);
	nova_text_free(&without);
}

static void read_name(const char *text)
{
	struct upid upid;

	if (upid_parse(text, &upid))
		require(strcmp(upid.text, text) == 0 && upid_is_node(upid.node) &&
		        !strpbrk(text, " \r\n\t"));
	else
		require(!upid.text[0] && !upid.node[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	json_t *rows;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	read_name(text);
	change_options(text);
	require(option_downtime_ns(text) >= -1);
	option_version(text, 8, 4);
	option_is_image(text, "local", "novacore-a");
	rows = nova_json_parse(text, size, NULL, 0);
	require(isfinite(option_cpu_s(rows, 600)));
	json_decref(rows);
	free(text);
	return 0;
}
