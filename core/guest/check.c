/* SPDX-License-Identifier: MIT */
/*
 * What building the appliance needs, each looked at by itself, so that `doctor` names every missing
 * piece at once and not only the first.
 */
#include "core/guest/internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* `text` is "what is wrong; the fix": the part after the first ';' is what to do. */
static void add(json_t *findings, const char *subject, bool ok, const char *text)
{
	const char *cut = ok ? NULL : strstr(text, "; ");
	NOVA_AUTOFREE char *detail =
	        cut != NULL ? nova_format("%.*s", (int)(cut - text), text) : nova_strdup(text);

	json_array_append_new(findings,
	                      json_pack("{s:s, s:b, s:s, s:s?}", "subject", subject, "ok", ok,
	                                "detail", detail, "fix", cut != NULL ? cut + 2 : NULL));
}

static bool in_path(const char *tool)
{
	const char *path = getenv("PATH");
	NOVA_AUTOFREE char *places =
	        nova_format("%s:/usr/sbin:/sbin", path != NULL ? path : "/usr/bin:/bin");
	char *rest = NULL;

	for (char *place = strtok_r(places, ":", &rest); place;
	     place = strtok_r(NULL, ":", &rest)) {
		NOVA_AUTOFREE char *file = nova_format("%s/%s", place, tool);
		if (access(file, X_OK) == 0)
			return true;
	}
	return false;
}

static void check_tools(json_t *findings)
{
	static const struct {
		const char *tool, *package;
	} tools[] = {{"supermin", "supermin"},
	             {"mke2fs", "e2fsprogs"},
	             {"tar", "tar"},
	             {"qemu-img", "qemu-utils"}};

	for (size_t i = 0; i < NOVA_COUNT(tools); i++) {
		bool ok = in_path(tools[i].tool);
		NOVA_AUTOFREE char *text =
		        ok ? nova_strdup("installed")
		           : nova_format("%s is not installed; run: apt-get install %s",
		                         tools[i].tool, tools[i].package);
		add(findings, tools[i].tool, ok, text);
	}
}

static void check_packages(json_t *findings)
{
	struct nova_error error = {0};
	NOVA_AUTOJSON json_t *closure = NULL;
	NOVA_AUTOFREE char *listing = guest_packages_query(&error);

	if (listing != NULL &&
	    guest_packages_closure(listing, guest_packages, &closure, &error) == 0) {
		NOVA_AUTOFREE char *text = nova_format("%zu packages with their dependencies",
		                                       json_object_size(closure));
		add(findings, "guest packages", true, text);
	} else {
		add(findings, "guest packages", false, error.text);
	}
}

static void check_kernel(const struct nova_guest_options *options, json_t *findings)
{
	struct nova_error error = {0};
	struct guest_kernel kernel;
	struct guest_modules modules;

	if (guest_kernel_choose("", options != NULL ? options->kernel : NULL, &kernel, &error) !=
	    0) {
		add(findings, "guest kernel", false, error.text);
		return;
	}
	bool ok = guest_modules_select(kernel.modules, &modules, &error) == 0;
	add(findings, "guest kernel", ok, ok ? kernel.image : error.text);
	if (ok)
		guest_modules_free(&modules);
	guest_kernel_free(&kernel);
}

static void check_init(const struct nova_guest_options *options, json_t *findings)
{
	struct nova_error error = {0};
	NOVA_AUTOFREE char *path =
	        guest_program_path(options != NULL ? options->init : NULL, "init", &error);

	add(findings, "guest init", path != NULL, path != NULL ? path : error.text);
}

json_t *nova_guest_check(const struct nova_guest_options *options)
{
	json_t *findings = json_array();

	check_tools(findings);
	check_packages(findings);
	check_kernel(options, findings);
	check_init(options, findings);
	return findings;
}
