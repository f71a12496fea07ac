// rooms: plugin config base
// SPDX-License-Identifier: MIT
// sources: core/cli/target_file.c
// packages: libconfig
/* A configuration of any content that is read, and the value of a parameter: with a target added to
 * it it is read as well, and the target has that value. */
#include "core/cli/targets.h"

#include <novacore/types.h>

#include <libconfig.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct nova_spec specs[] = {{.name = "uri", .type = NOVA_PARAM_TEXT}};
static const struct nova_manifest driver = {.name = "sim", .specs = specs, .spec_count = 1};

const struct nova_spec *target_spec(const struct nova_manifest *manifest, const char *name,
                                    size_t length)
{
	(void)manifest;
	return length == 3 && !strncmp(name, "uri", 3) ? &specs[0] : NULL;
}

static void require(int holds)
{
	if (!holds)
		abort();
}

/* It is read, and there is room for a target in it. One whose end is in a comment has none, and
 * novacore takes none such. */
static int is_open(const char *text)
{
	NOVA_AUTOFREE char *grown = nova_format("%s\nseen = 1;\n", text);
	config_setting_t *target;
	config_t config;
	int open;

	config_init(&config);
	open = config_read_string(&config, text) && config_read_string(&config, grown) &&
	       config_lookup(&config, "seen");
	target = config_lookup(&config, "target");
	open = open && (!target || (config_setting_is_group(target) &&
	                            !config_setting_get_member(target, "fuzzed")));
	config_destroy(&config);
	return open;
}

static void check_added(const char *before, const char *value)
{
	NOVA_AUTOFREE char *setting = nova_format("uri=%s", value);
	NOVA_AUTOFREE char *group =
	        target_group(&driver, "fuzzed", (const char *const[]){setting}, 1);
	NOVA_AUTOFREE char *after = target_insert(before, group);
	const char *found = NULL;
	config_t config;

	config_init(&config);
	require(config_read_string(&config, after));
	require(config_lookup_string(&config, "target.fuzzed.uri", &found) &&
	        !strcmp(found, value));
	config_destroy(&config);
}

/* "VALUE\nCONFIGURATION" */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	NOVA_AUTOFREE char *text = nova_format("%.*s", (int)size, (const char *)data);
	char *before = strchr(text, '\n');

	if (!before || strstr(before, "@include"))
		return 0;
	*before++ = '\0';
	for (const char *at = text; *at; at++)
		if ((unsigned char)*at < ' ')
			return 0; /* target_add.c takes none */
	if (is_open(before))
		check_added(before, text);
	return 0;
}
