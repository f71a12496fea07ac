/* SPDX-License-Identifier: MIT */
/*
 * Plugins that become other files while a run is going, because their packages are upgraded. A step
 * that has begun has its files in memory and ends with them. Before the next one the run is paused:
 * going on would mix two versions without saying so. Resuming goes on, and says so.
 */
#include "core/run/lead.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOKS   25
#define LOOK_US 200000

/* True, and why, if the file is not the one that the run began with. */
static bool differs(const json_t *plugin, const char *kind, struct nova_error *why)
{
	const char *path = nova_json_text(plugin, "path"), *name = nova_json_text(plugin, "plugin");
	struct nova_error reading = {0};
	char digest[65];

	if (nova_sha256_file(path, digest, &reading))
		nova_error_set(why, NOVA_E_REFUSED,
		               "the %s plugin %s cannot be read any more, as if it were being "
		               "removed or upgraded (%s)",
		               kind, name, reading.text);
	else if (strcmp(digest, nova_json_text(plugin, "sha256")) != 0)
		nova_error_set(why, NOVA_E_REFUSED,
		               "the %s plugin %s was replaced while the run was going, as by an "
		               "upgrade of its package (%s is another file than at the beginning)",
		               kind, name, path);
	else
		return false;
	return true;
}

static bool any_differs(const json_t *benchmark, const json_t *targets, struct nova_error *why)
{
	const json_t *target;
	size_t i;

	if (benchmark && differs(benchmark, "benchmark", why))
		return true;
	json_array_foreach(targets, i, target) if (differs(target, "hypervisor", why)) return true;
	return false;
}

bool nova_lead_replaced(struct lead *lead, const json_t *benchmark, const json_t *targets,
                        bool refused)
{
	struct nova_error why = {0};

	/* A packaging tool puts one file after the other into place: the worker may have seen the
	 * new manifest beside the old plugin. */
	for (int look = 0; !any_differs(benchmark, targets, &why); look++) {
		if (!refused || look == LOOKS)
			return false;
		usleep(LOOK_US);
	}
	free(lead->replaced);
	lead->replaced = nova_strdup(why.text);
	return true;
}

/* One note for each plugin, however many steps it has and however often the run is resumed. */
static void note_once(struct lead *lead, const char *text)
{
	json_t *notes = json_object_get(lead->run.plan, "notes"), *note;
	size_t i;

	json_array_foreach(notes, i, note) if (!strcmp(json_string_value(note), text)) return;
	nova_lead_add_note(lead, text);
}

static void compare(struct lead *lead, uint32_t kind, const json_t *planned, const char *name)
{
	const struct nova_manifest *now = nova_registry_find(lead->registry, kind, name, NULL);
	NOVA_AUTOFREE char *text = NULL;

	if (!now || !strcmp(now->sha256, nova_json_text(planned, "sha256")))
		return;
	text = nova_format("resumed with %s %s %s (%.12s); what was measured before was measured "
	                   "with %s (%.12s)",
	                   nova_kind_name(kind), name, now->version, now->sha256,
	                   nova_json_text(planned, "version"), nova_json_text(planned, "sha256"));
	note_once(lead, text);
}

void nova_lead_note_replaced(struct lead *lead)
{
	const char *begun = nova_json_text(lead->run.plan, "novacore");
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(lead->run.plan, "targets"), i, item)
	        compare(lead, NOVA_KIND_HYPERVISOR, item, nova_json_text(item, "plugin"));
	json_array_foreach(json_object_get(lead->run.plan, "steps"), i, item)
	        compare(lead, NOVA_KIND_BENCHMARK, item, nova_json_text(item, "benchmark"));
	if (strcmp(begun, NOVACORE_VERSION) != 0) {
		NOVA_AUTOFREE char *text =
		        nova_format("begun by novacore %s, resumed by %s", begun, NOVACORE_VERSION);
		note_once(lead, text);
	}
}
