/* SPDX-License-Identifier: MIT */
/*
 * Between the files of core/plugin: trust, ELF facts, libraries, manifests, the static check.
 * Nothing here executes code of a plugin.
 */
#ifndef NOVACORE_PLUGIN_INSIDE_H
#define NOVACORE_PLUGIN_INSIDE_H

#include "core/plugin/plugin.h"

#include <gelf.h>
#include <sys/stat.h>

#define NOVA_PLUGIN_LIMIT (256u << 20)

/* Sets reason and text; returns NOVA_E_REFUSED, or NOVA_E_UNAVAILABLE for a missing library. */
int nova_refuse(enum nova_refusal_reason *reason, enum nova_refusal_reason value,
                struct nova_error *error, const char *format, ...) NOVA_PRINTF(4, 5);

/* --- trust.c --------------------------------------------------------------------------------- */

/* Who runs. Privileged: root, or more rights than the caller's (set-uid, file capabilities). */
struct nova_trust {
	bool privileged;
	uid_t user; /* effective */
};
struct nova_trust nova_trust_now(void);
/*
 * Privileged: every component of the canonical `path` belongs to root and only root can write to it
 * (a root-owned sticky directory is safe). Else: the directory itself belongs to the user or root
 * and not everybody can write to it.
 */
int nova_trust_directory(const struct nova_trust *trust, const char *path,
                         enum nova_refusal_reason *reason, struct nova_error *error);
int nova_trust_file(const struct nova_trust *trust, const char *path, const struct stat *status,
                    enum nova_refusal_reason *reason, struct nova_error *error);
/* Privileged: forgets the variables by which libraries would load code from elsewhere. */
void nova_trust_environment(const struct nova_trust *trust);

/* --- elf.c ----------------------------------------------------------------------------------- */

#define NOVA_NEEDED_LIMIT 256

struct nova_elf {
	struct nova_note note;
	int note_count;
	bool entry;          /* nova_plugin_entry_v1 is exported */
	unsigned int others; /* how many more are */
	char *other;         /* the first of them, or NULL */
	bool bind_now;
	char *needed[NOVA_NEEDED_LIMIT + 1]; /* DT_NEEDED, NULL-terminated */
};
/* From the dynamic segment, as the dynamic loader sees it. Non-zero: not a library for this
 * machine. */
int nova_elf_read(const void *bytes, size_t count, struct nova_elf *elf, struct nova_error *error);
void nova_elf_clear(struct nova_elf *elf);
/* From an ELF header: the machine, word size and byte order of this program. */
bool nova_elf_is_native(const unsigned char *identity, uint16_t machine);

/* --- library.c ------------------------------------------------------------------------------- */

/* Where the dynamic loader would find a library; remembers what it has looked up. */
struct nova_libraries;
struct nova_libraries *nova_libraries_new(void);
void nova_libraries_free(struct nova_libraries *libraries);
/* Is there such a library for this machine, in the loader's standard places? */
bool nova_libraries_have(struct nova_libraries *libraries, const char *name);
/* For tests and fuzzing: as if /etc/ld.so.cache had these bytes. Copied. */
void nova_libraries_use_cache(struct nova_libraries *libraries, const void *bytes, size_t count);

/* --- manifest.c ------------------------------------------------------------------------------ */

/* Paths are left NULL. Errors have origin:line. */
int nova_manifest_parse(const char *origin, const char *text, size_t bytes,
                        struct nova_manifest **manifest, struct nova_error *error);
void nova_manifest_free(struct nova_manifest *manifest);
/* NULL if the manifest says what the descriptor says, else a sentence; owned by the caller. */
char *nova_manifest_difference(const char *manifest_text, const struct nova_plugin *plugin,
                               enum nova_refusal_reason *reason);

/* --- check.c --------------------------------------------------------------------------------- */

struct nova_check {
	struct nova_trust trust;
	struct nova_libraries *libraries;
	const char *directory; /* canonical */
	int fd;                /* of the directory */
	uint32_t kind;         /* that belongs there */
};
/*
 * All static checks but `duplicate` on <directory>/<file>. `text`, if not NULL, receives the
 * manifest's text; both results are the caller's.
 */
int nova_check_file(const struct nova_check *check, const char *file,
                    struct nova_manifest **manifest, char **text, enum nova_refusal_reason *reason,
                    struct nova_error *error);

/* --- registry.c ------------------------------------------------------------------------------ */

/* `roots` (NULL-terminated) hold <abi-major>/<kind>/<name>.so each; earlier ones win. */
int nova_registry_scan_roots(const char *const *roots, const struct nova_trust *trust,
                             struct nova_registry **registry, struct nova_error *error);

#endif
