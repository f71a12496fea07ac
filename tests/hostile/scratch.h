/* SPDX-License-Identifier: MIT */
/* What the tests of hostile plugins share: a scratch directory with copies of `good`, a plugin with
 * which nothing is wrong, to spoil in one way at a time. */
#ifndef HOSTILE_SCRATCH_H
#define HOSTILE_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/plugin/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* A scratch root with copies of `good`, removed after each test. */
struct scratch {
	char *root, *directory;
};

static inline struct nova_trust own_trust(void)
{
	return (struct nova_trust){.privileged = false, .user = geteuid()};
}

static inline char *slurp(const char *path, size_t *bytes)
{
	struct nova_error error = {0};
	char *data = nova_file_read(path, 64u << 20, bytes, &error);

	if (!data)
		fail_msg("%.500s", error.text);
	return data;
}

static inline void put(const char *path, const void *data, size_t bytes)
{
	struct nova_error error = {0};

	if (nova_file_write(path, data, bytes, 0644, &error))
		fail_msg("%.500s", error.text);
}

static inline char *in(const struct scratch *scratch, const char *file)
{
	return nova_format("%s/%s", scratch->directory, file);
}

static inline void copy_good(const struct scratch *scratch, const char *extension, const char *file)
{
	size_t bytes;
	NOVA_AUTOFREE char *from = nova_format(HOSTILE_ROOT "/1/benchmark/good.%s", extension);
	NOVA_AUTOFREE char *to = in(scratch, file);
	NOVA_AUTOFREE char *data = slurp(from, &bytes);

	put(to, data, bytes);
}

static inline int set_up(void **state)
{
	struct scratch *scratch = nova_alloc(sizeof(*scratch));
	char name[] = "/tmp/novacore-hostile-XXXXXX";

	assert_non_null(mkdtemp(name));
	scratch->root = nova_strdup(name);
	scratch->directory = nova_format("%s/1/benchmark", name);
	assert_int_equal(nova_directory_make(scratch->directory, 0755, NULL), 0);
	copy_good(scratch, "so", "good.so");
	copy_good(scratch, "manifest", "good.manifest");
	*state = scratch;
	return 0;
}

static inline int tear_down(void **state)
{
	struct scratch *scratch = *state;

	nova_directory_remove(scratch->root, NULL);
	free(scratch->root);
	free(scratch->directory);
	free(scratch);
	return 0;
}

static inline struct nova_registry *scan(const struct nova_trust *trust, const char *first,
                                         const char *second)
{
	const char *const roots[] = {first, second, NULL};
	struct nova_registry *registry;

	assert_int_equal(nova_registry_scan_roots(roots, trust, &registry, NULL), 0);
	return registry;
}

/* The only plugin in the scratch root is refused for `reason`, and the text says `part`. */
static inline void assert_refused_as(const struct nova_trust *trust, const struct scratch *scratch,
                                     const char *code, const char *part)
{
	struct nova_registry *registry = scan(trust, scratch->root, NULL);

	assert_int_equal(registry->plugin_count, 0);
	assert_int_equal(registry->refusal_count, 1);
	assert_string_equal(nova_refusal_code(registry->refusals[0].reason), code);
	if (!strstr(registry->refusals[0].text, part))
		fail_msg("`%s` does not say `%s`", registry->refusals[0].text, part);
	nova_registry_free(registry);
}

static inline void assert_refused(const struct scratch *scratch, const char *code, const char *part)
{
	const struct nova_trust trust = own_trust();

	assert_refused_as(&trust, scratch, code, part);
}

/* Replaces `from` by `to` in the manifest. */
static inline void edit_manifest(const struct scratch *scratch, const char *from, const char *to)
{
	NOVA_AUTOFREE char *path = in(scratch, "good.manifest");
	NOVA_AUTOFREE char *text = slurp(path, NULL);
	char *at = strstr(text, from);

	assert_non_null(at);
	NOVA_AUTOFREE char *edited =
	        nova_format("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	put(path, edited, strlen(edited));
}

/* Writes the file anew with its manifest's digest put right. */
static inline void put_plugin(const struct scratch *scratch, const char *data, size_t bytes)
{
	NOVA_AUTOFREE char *path = in(scratch, "good.so");
	NOVA_AUTOFREE char *manifest_path = in(scratch, "good.manifest");
	NOVA_AUTOFREE char *manifest = slurp(manifest_path, NULL);
	char digest[65];

	put(path, data, bytes);
	nova_sha256(data, bytes, digest);
	memcpy(strstr(manifest, "sha256 = \"") + strlen("sha256 = \""), digest, 64);
	put(manifest_path, manifest, strlen(manifest));
}

#define SCRATCH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
