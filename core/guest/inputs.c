/* SPDX-License-Identifier: MIT */
/*
 * Everything that the appliance is made of, and the hash that is its identity. Two builds of the
 * same inputs differ in every byte of the disk (times, inode order), so the inputs are hashed.
 */
#include "core/guest/internal.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

char *guest_program_path(const char *given, const char *name, struct nova_error *error)
{
	static const char *const places[] = {"lib/novacore/guest", "../lib/novacore/guest"};
	char self[PATH_MAX];

	if (given != NULL) {
		if (access(given, R_OK) == 0)
			return nova_strdup(given);
		nova_error_errno(error, "cannot read the guest's %s %s", name, given);
		return NULL;
	}
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[length > 0 ? length : 0] = '\0';
	char *slash = strrchr(self, '/');
	if (slash != NULL)
		*slash = '\0';
	for (size_t i = 0; i < NOVA_COUNT(places); i++) {
		char *path = nova_format("%s/%s/%s", self, places[i], name);
		if (access(path, R_OK) == 0)
			return path;
		free(path);
	}
	nova_error_set(error, NOVA_E_UNAVAILABLE,
	               "the guest's %s is not where it belongs, %s/lib/novacore/guest/%s; "
	               "install novacore again, or build the target novacore-%s",
	               name, self, name, name);
	return NULL;
}

static int add_digest(json_t *object, const char *key, const char *path, struct nova_error *error)
{
	char digest[65];

	if (nova_sha256_file(path, digest, error) != 0)
		return error != NULL ? error->code : NOVA_E_IO;
	json_object_set_new(object, key, json_string(digest));
	return 0;
}

static json_t *describe_modules(const struct guest_modules *modules, struct nova_error *error)
{
	char digest[65];
	json_t *files = json_object();

	for (size_t i = 0; i < modules->count; i++) {
		NOVA_AUTOFREE char *name = guest_modules_name(modules->files[i]);
		if (add_digest(files, name, modules->files[i], error) != 0) {
			json_decref(files);
			return NULL;
		}
	}
	nova_sha256(modules->list, strlen(modules->list), digest);
	return json_pack("{s:s, s:o}", "list", digest, "files", files);
}

static json_t *describe_kernel(const struct guest_kernel *kernel, struct nova_error *error)
{
	json_t *json = json_pack("{s:s}", "release", kernel->release);

	if (add_digest(json, "sha256", kernel->image, error) == 0)
		return json;
	json_decref(json);
	return NULL;
}

static json_t *describe(const struct guest_inputs *inputs, json_t *packages,
                        struct nova_error *error)
{
	NOVA_AUTOJSON json_t *kernel = describe_kernel(&inputs->kernel, error);
	NOVA_AUTOJSON json_t *modules =
	        kernel != NULL ? describe_modules(&inputs->modules, error) : NULL;
	NOVA_AUTOJSON json_t *init = json_object();
	NOVA_AUTOJSON json_t *probe = json_object();
	struct utsname machine;

	if (modules == NULL || add_digest(init, "sha256", inputs->init, error) != 0 ||
	    add_digest(probe, "sha256", inputs->probe, error) != 0)
		return NULL;
	uname(&machine);
	return json_pack("{s:i, s:s, s:I, s:O, s:O, s:O, s:O, s:O}", "recipe", GUEST_RECIPE,
	                 "architecture", machine.machine, "disk_bytes",
	                 (json_int_t)GUEST_DISK_BYTES, "packages", packages, "kernel", kernel,
	                 "modules", modules, "init", init, "probe", probe);
}

int guest_inputs_collect(const struct nova_guest_options *options, struct guest_inputs *inputs,
                         struct nova_error *error)
{
	struct nova_error own = {0};
	NOVA_AUTOJSON json_t *packages = NULL;

	error = error != NULL ? error : &own;
	*inputs = (struct guest_inputs){0};
	NOVA_AUTOFREE char *listing = guest_packages_query(error);
	if (listing == NULL)
		return error->code;
	int failed = guest_packages_closure(listing, guest_packages, &packages, error);
	if (failed == 0 && (inputs->init = guest_program_path(
	                            options != NULL ? options->init : NULL, "init", error)) == NULL)
		failed = error->code;
	if (failed == 0 && (inputs->probe = guest_program_path(NULL, "probe", error)) == NULL)
		failed = error->code;
	if (failed == 0)
		failed = guest_kernel_choose("", options != NULL ? options->kernel : NULL,
		                             &inputs->kernel, error);
	if (failed == 0)
		failed = guest_modules_select(inputs->kernel.modules, &inputs->modules, error);
	if (failed == 0 && (inputs->json = describe(inputs, packages, error)) == NULL)
		failed = error->code;
	if (failed != 0) {
		guest_inputs_free(inputs);
		return failed;
	}
	NOVA_AUTOFREE char *canonical = nova_json_canonical(inputs->json);
	nova_sha256(canonical, strlen(canonical), inputs->id);
	return 0;
}

void guest_inputs_free(struct guest_inputs *inputs)
{
	json_decref(inputs->json);
	free(inputs->init);
	free(inputs->probe);
	guest_kernel_free(&inputs->kernel);
	guest_modules_free(&inputs->modules);
	*inputs = (struct guest_inputs){0};
}
