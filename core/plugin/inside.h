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

struct nova_keys;

/* Who runs. Privileged: root, or more rights than the caller's (set-uid, file capabilities). */
struct nova_trust {
	bool privileged;
	uid_t user;                   /* effective */
	const char *own;              /* canonical: the prefix's own plugins; NULL for none */
	const struct nova_keys *keys; /* whose signatures count; NULL for nobody's */
};
/* Without `own` and `keys`. */
struct nova_trust nova_trust_now(void);
/*
 * Opens the directory `path` for reading, from / downwards, without following a link. Every
 * component must belong to root, or unless privileged to the user, and others must not be able to
 * write to it (a root-owned sticky directory is safe), nor the group when privileged. @owner *fd is
 * the caller's, -1 on refusal.
 */
int nova_trust_open(const struct nova_trust *trust, const char *path, int *fd,
                    enum nova_refusal_reason *reason, struct nova_error *error);
/* Whether whoever mounted `device` is known from /proc/self/mountinfo's text (only FUSE says). */
bool nova_mount_owner(const char *mountinfo, dev_t device, uid_t *owner);
/* A file as it was when it was read. */
struct nova_opened {
	int fd; /* still open */
	struct stat status;
};
/*
 * The whole regular file `file` in `directory`, NUL-terminated, if owner and mode are as above; a
 * link is not followed. `path` is for messages. `opened`, if not NULL, keeps it open for the
 * caller. NULL on refusal.
 */
char *nova_trust_read(const struct nova_trust *trust, int directory, const char *file,
                      const char *path, size_t limit, size_t *bytes, struct nova_opened *opened,
                      enum nova_refusal_reason *reason, struct nova_error *error);
/* Privileged: forgets the variables by which libraries would load code from elsewhere. */
void nova_trust_environment(const struct nova_trust *trust);

/* --- key.c ----------------------------------------------------------------------------------- */

#define NOVA_KEY_BYTES      32u
#define NOVA_KEY_TEXT_LIMIT 4096u
#define NOVA_REVOKED_LIMIT  (1u << 20)
#define NOVA_KEY_SUFFIX     ".pub"

/* A public key, and where it is from. */
struct nova_key {
	char name[65]; /* of its file */
	char id[65];   /* SHA-256 of the DER SubjectPublicKeyInfo, in hex */
	unsigned char bytes[NOVA_KEY_BYTES];
	char *path; /* NULL outside struct nova_keys */
};

struct nova_revoked {
	char digest[65]; /* a key's id, or the SHA-256 of a plugin or manifest */
	char *origin;    /* "/etc/novacore/keys.d/revoked:3" */
};

struct nova_keys {
	struct nova_key *items;
	size_t count;
	struct nova_revoked *revoked;
	size_t revoked_count;
	char *doubt;     /* why no signature is trusted for now, or NULL */
	char **problems; /* sentences: keys and lists that are not used; `doubt` among them */
	size_t problem_count;
};

/* PEM of an Ed25519 public key exactly as OpenSSL writes it; name and path are left empty. */
int nova_key_parse(const char *origin, const char *text, size_t bytes, struct nova_key *key,
                   struct nova_error *error);
void nova_key_identify(struct nova_key *key);    /* sets id from bytes */
char *nova_key_text(const struct nova_key *key); /* PEM, heap */
/* One digest per line, # begins a comment. What can be read is added whatever else is wrong. */
int nova_revoked_parse(const char *origin, const char *text, size_t bytes, struct nova_keys *keys,
                       struct nova_error *error);
/* Adds <directory>/<name>.pub and <directory>/revoked; a missing directory has neither. */
void nova_keys_read(struct nova_keys *keys, const struct nova_trust *trust, const char *directory);
/* Of this prefix (NULL: none), this system and, unless privileged, this user. */
struct nova_keys *nova_keys_here(const struct nova_trust *trust, const char *prefix);
void nova_keys_free(struct nova_keys *keys);
const struct nova_key *nova_keys_find(const struct nova_keys *keys, const char *id);
const struct nova_revoked *nova_keys_revoked(const struct nova_keys *keys, const char *digest);
/* Bytes to canonical base64 and back; false if `text` is anything but that of `count` bytes. */
void nova_base64_write(const unsigned char *bytes, size_t count, struct nova_text *text);
bool nova_base64_read(const char *text, size_t length, unsigned char *bytes, size_t count);

/* --- signature.c ----------------------------------------------------------------------------- */

#define NOVA_SIGNATURE_BYTES  64u
#define NOVA_SIGNATURE_LIMIT  1024u
#define NOVA_SIGNATURE_SUFFIX ".sig"

/* What stands in <name>.manifest.sig. */
struct nova_signature {
	char key[65];  /* id */
	char name[65]; /* what the signer calls the key: nothing proves that */
	unsigned char bytes[NOVA_SIGNATURE_BYTES];
};
int nova_signature_parse(const char *origin, const char *text, size_t bytes,
                         struct nova_signature *signature, struct nova_error *error);
char *nova_signature_text(const struct nova_signature *signature); /* heap */
/*
 * Is `signature` (from the file `path`) one of these bytes? With a key that is not known here this
 * is not an error: signer->state says so. `signer` is zeroed first; @owner signer->key_path is the
 * caller's.
 */
int nova_signature_check(const struct nova_keys *keys, const char *path,
                         const struct nova_signature *signature, const void *data, size_t bytes,
                         struct nova_signer *signer, enum nova_refusal_reason *reason,
                         struct nova_error *error);

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
	char *search[3]; /* DT_RPATH, DT_RUNPATH as they stand there, likewise */
};
/* From the dynamic segment, as the dynamic loader sees it. Non-zero: not a library for this
 * machine. */
int nova_elf_read(const void *bytes, size_t count, struct nova_elf *elf, struct nova_error *error);
void nova_elf_clear(struct nova_elf *elf);
/* What the loader would look for to load an installed library; nothing if it cannot be read. The
 * names are the caller's. */
struct nova_needs {
	char *names[NOVA_NEEDED_LIMIT + 1];
	bool rpath, runpath; /* it says itself where to look for them */
};
void nova_elf_needs(int fd, struct nova_needs *needs);
/* From an ELF header: the machine, word size and byte order of this program. */
bool nova_elf_is_native(const unsigned char *identity, uint16_t machine);

/* --- library.c ------------------------------------------------------------------------------- */

/* Where the dynamic loader would find a library; remembers what it has looked up. */
struct nova_libraries;
struct nova_libraries *nova_libraries_new(void);
void nova_libraries_free(struct nova_libraries *libraries);
/* Is there such a library for this machine, in the loader's standard places? */
bool nova_libraries_have(struct nova_libraries *libraries, const char *name);
/*
 * The first library, of all that `name` needs in turn, that is not there: its name, and in *by the
 * library that needs it; both live as long as `libraries`. NULL if all are there, or where
 * libraries are looked up cannot be told. `name` itself must be there.
 */
const char *nova_libraries_lack(struct nova_libraries *libraries, const char *name,
                                const char **by);
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
	bool named;            /* somebody named this very file: it need not be signed */
};
/*
 * All static checks but `duplicate` on <directory>/<file>. `text`, if not NULL, receives the
 * manifest's text, `opened` the plugin's file; all results are the caller's.
 */
int nova_check_file(const struct nova_check *check, const char *file,
                    struct nova_manifest **manifest, char **text, struct nova_opened *opened,
                    enum nova_refusal_reason *reason, struct nova_error *error);
/* nova_plugin_inspect; `opened`, if not NULL, keeps the file open for the caller (fd -1: it was not
 * read). */
int nova_inspect(const char *path, struct nova_inspection *inspection, struct nova_opened *opened,
                 struct nova_error *error);
/* Non-zero: `file` is not called <name>.so as a plugin must be. */
bool nova_file_name_valid(const char *file);

/* --- registry.c ------------------------------------------------------------------------------ */

/* nova_trust_now with the own directory and the keys of this prefix; nova_trust_end frees them. */
int nova_trust_begin(struct nova_trust *trust, struct nova_error *error);
void nova_trust_end(struct nova_trust *trust);
/* `roots` (NULL-terminated) hold <abi-major>/<kind>/<name>.so each; earlier ones win. */
int nova_registry_scan_roots(const char *const *roots, const struct nova_trust *trust,
                             struct nova_registry **registry, struct nova_error *error);

/* --- load.c ---------------------------------------------------------------------------------- */

/* nova_plugin_load, for somebody who trusts otherwise. `between`, if not NULL, is called between
 * the last check and the opening: for tests of what can happen there. */
int nova_plugin_load_trusted(const struct nova_trust *trust, const char *path, uint32_t kind,
                             const char *name, const char *sha256, const struct nova_host *host,
                             const struct nova_plugin **plugin, void (*between)(void *),
                             void *context, enum nova_refusal_reason *reason,
                             struct nova_error *error);

#endif
