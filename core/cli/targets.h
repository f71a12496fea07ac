/* SPDX-License-Identifier: MIT */
/* Inside core/cli: a target as it is named on the command line. */
#ifndef NOVACORE_CLI_TARGETS_H
#define NOVACORE_CLI_TARGETS_H

#include "core/cli/cli.h"

/* "lab" (configured) or "proxmox=https://…". */
struct chosen_target {
	char *name;   /* "lab"; of PLUGIN=URI the plugin's */
	char *over;   /* "target.lab"; NULL of PLUGIN=URI */
	char *prefix; /* "hypervisor.proxmox" */
	char *uri;    /* of PLUGIN=URI, else NULL */
	const struct nova_manifest *driver;
};

/* NOVA_E_INVALID: there is no such target; else what its driver lacks. Free it in any case. */
int target_choose(const struct nova_settings *settings, const char *text,
                  struct chosen_target *target, struct nova_error *error);
void target_free(struct chosen_target *target);
#define TARGET_AUTO NOVA_AUTO(target_free)

/* The key by which a parameter of the target has its value: its own if that is set, else its
 * driver's. Owned by the caller. */
char *target_key(const struct nova_config *config, const struct chosen_target *target,
                 const char *parameter);
/* `assignment` with what a short name lacks: "uri=…" is "target.lab.uri=…". Owned by the caller. */
char *target_setting(const char *text, const char *assignment);
/* A parameter of the driver, by its name, or NULL. */
const struct nova_spec *target_spec(const struct nova_manifest *driver, const char *name,
                                    size_t length);

/* --- target_file.c ---------------------------------------------------------------------------- */

/* The target as a group of a configuration file; `settings` are "name=value". The caller's. */
char *target_group(const struct nova_manifest *driver, const char *name,
                   const char *const *settings, size_t count);
/* The configuration `text` with the group in it, below `target`. The caller's. */
char *target_insert(const char *text, const char *group);

#endif
