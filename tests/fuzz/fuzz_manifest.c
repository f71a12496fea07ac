// rooms: plugin config base
// SPDX-License-Identifier: MIT
/* A manifest of any content. Whatever is accepted has all that the rest of the core relies on. */
#include <stdlib.h>
#include <string.h>

#include "core/plugin/inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 leaks the string that it was reading when it met a syntax error. */
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig.so\n";
}

static void require(int holds)
{
	if (!holds)
		abort();
}

static void check(const struct nova_manifest *manifest)
{
	require(strcmp(nova_kind_name(manifest->kind), "unknown") != 0);
	require(nova_name_valid(manifest->name));
	require(manifest->version && manifest->summary && manifest->license);
	require(strlen(manifest->sha256) == 64);
	require(manifest->ops && manifest->needs && manifest->hints);
	require(manifest->kind != NOVA_KIND_PROFILE || manifest->settings);
	for (size_t i = 0; i < manifest->spec_count; i++) {
		const struct nova_spec *spec = &manifest->specs[i];
		require(spec->name && spec->doc && spec->type);
		require(spec->type != NOVA_PARAM_CHOICE || spec->choices);
	}
	for (size_t i = 0; i < manifest->metric_count; i++)
		require(manifest->metrics[i].name && manifest->metrics[i].unit &&
		        manifest->metrics[i].better);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nova_manifest *manifest;
	struct nova_error error = {0};
	NOVA_AUTOFREE char *text = nova_alloc(size + 1);

	if (size)
		memcpy(text, data, size);
	int code = nova_manifest_parse("fuzz", text, size, &manifest, &error);
	require((code == 0) == (manifest != NULL));
	require(code == 0 || (code == NOVA_E_INVALID && error.text[0]));
	if (manifest)
		check(manifest);
	nova_manifest_free(manifest);
	return 0;
}
