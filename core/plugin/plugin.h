/* SPDX-License-Identifier: MIT */
/*
 * core/plugin: find → trust → read note and manifest → (in a worker only) load. Nothing else in
 * novacore may load code. The parent only reads files: scanning executes nothing.
 */
#ifndef NOVACORE_CORE_PLUGIN_H
#define NOVACORE_CORE_PLUGIN_H

#include "core/config/config.h"

#include <novacore/sdk.h>

/* Why a plugin was refused. The words of nova_refusal_code() are stable. */
enum nova_refusal_reason {
	/* static: decided from file and manifest */
	NOVA_REFUSED_FILE_NAME = 1,   /* file-name */
	NOVA_REFUSED_SYMLINK,         /* symlink */
	NOVA_REFUSED_OWNER,           /* owner */
	NOVA_REFUSED_WRITABLE,        /* writable */
	NOVA_REFUSED_UNREADABLE,      /* unreadable */
	NOVA_REFUSED_NO_MANIFEST,     /* no-manifest */
	NOVA_REFUSED_BAD_MANIFEST,    /* bad-manifest */
	NOVA_REFUSED_WRONG_MANIFEST,  /* wrong-manifest: of another plugin */
	NOVA_REFUSED_HASH,            /* hash */
	NOVA_REFUSED_SIGNATURE,       /* signature: there is one, and it is not right */
	NOVA_REFUSED_NOT_ELF,         /* not-elf */
	NOVA_REFUSED_NO_NOTE,         /* no-note */
	NOVA_REFUSED_ABI_MAJOR,       /* abi-major */
	NOVA_REFUSED_ABI_MINOR,       /* abi-minor: needs a newer host */
	NOVA_REFUSED_ABI_DRAFT,       /* abi-draft */
	NOVA_REFUSED_KIND,            /* kind */
	NOVA_REFUSED_DUPLICATE,       /* duplicate */
	NOVA_REFUSED_MISSING_LIBRARY, /* missing-library */
	NOVA_REFUSED_LAZY_BINDING,    /* lazy-binding */
	NOVA_REFUSED_EXPORTS,         /* exports: none, another, or more than one */
	NOVA_REFUSED_UNSIGNED,        /* unsigned: and a signature is needed there */
	NOVA_REFUSED_UNKNOWN_KEY,  /* unknown-key: a signature is needed, and nobody knows whose */
	NOVA_REFUSED_REVOKED,      /* revoked: the file, its manifest or the key */
	NOVA_REFUSED_LIBRARY_PATH, /* library-path: others could put a library where it looks */
	/* dynamic: seen in a worker */
	NOVA_REFUSED_LOAD = 100,  /* load: undefined symbol and the like */
	NOVA_REFUSED_CRASH,       /* crash: while loading, in the entry, or in probe */
	NOVA_REFUSED_HANG,        /* hang */
	NOVA_REFUSED_EXIT,        /* exit: ended the process */
	NOVA_REFUSED_STRUCT_SIZE, /* struct-size */
	NOVA_REFUSED_NULL_OPS,    /* null-ops: descriptor, ops, or a required op missing */
	NOVA_REFUSED_DESCRIPTOR,  /* descriptor: differs from the manifest */
	NOVA_REFUSED_MEMORY,      /* memory: grew beyond the worker's limit */
};
const char *nova_refusal_code(enum nova_refusal_reason reason);

struct nova_manifest_metric {
	char *name, *doc;
	uint32_t unit, better, revision;
};

/* Why a plugin is trusted that was not refused: nova_trusted_word() gives the words. */
enum nova_trusted {
	NOVA_TRUSTED_PREFIX = 1, /* prefix: only its owners can write where novacore is installed */
	NOVA_TRUSTED_SIGNATURE,  /* signature: of a trusted key */
	NOVA_TRUSTED_OWNER /* owner: it is the user's or root's, and nobody runs with privileges */
};
const char *nova_trusted_word(enum nova_trusted trusted);

enum nova_signed {
	NOVA_SIGNED_NOT = 1, /* none: there is no signature */
	NOVA_SIGNED_UNKNOWN, /* unknown-key: with a key that is not known here, so nothing is proven
	                      */
	NOVA_SIGNED_WELL     /* valid */
};
const char *nova_signed_word(enum nova_signed state);

/* Who signed a manifest. */
struct nova_signer {
	enum nova_signed state;
	char name[65];  /* of the key; with NOVA_SIGNED_UNKNOWN what the signer calls it */
	char id[65];    /* of the key */
	char *key_path; /* of the public key that verified it, or NULL */
};

/* What a manifest says, and where the plugin is. Read-only for everybody else. */
struct nova_manifest {
	uint32_t kind, thread_model;
	uint32_t major, minor, min_minor, draft;
	char *name, *version, *summary, *license;
	char *path; /* canonical, of the .so */
	char *manifest_path;
	char sha256[65]; /* of the .so */
	struct nova_spec *specs;
	size_t spec_count;
	struct nova_manifest_metric *metrics; /* benchmarks */
	size_t metric_count;
	char **ops;   /* names of the ops present, NULL-terminated */
	char **needs; /* a benchmark's needs, NULL-terminated */
	char **hints; /* "libvirt.so.0=libvirt0": package for a library, NULL-terminated */
	uint32_t targets_min, targets_max; /* a benchmark's; the latter ≥ 1 */
	bool native;                       /* has a native side, too */
	char *settings;                    /* a profile's libconfig text */
	enum nova_trusted trusted;
	struct nova_signer signer;
};

struct nova_refusal {
	enum nova_refusal_reason reason;
	uint32_t kind; /* of the directory it was found in */
	char *path;    /* without control characters */
	char *text;    /* a sentence: what, why, what to do */
};

struct nova_registry {
	struct nova_manifest **plugins; /* sorted by kind, then name */
	size_t plugin_count;
	struct nova_refusal *refusals;
	size_t refusal_count;
	char **problems; /* sentences about keys, revocation lists and directories not used */
	size_t problem_count;
};

/*
 * Where novacore is installed: the directory that holds the running program's bin/, or the build
 * tree, which holds the program itself. "" stands for "/". The caller frees it; NULL and `error`
 * without /proc.
 */
char *nova_prefix(struct nova_error *error);

/*
 * Scans `<prefix>/lib/novacore/plugins/<abi-major>/<kind>/`, the prefix being that of the running
 * binary (or the build tree), then the directories of `plugins.path` in the system's configuration
 * file, then those of NOVACORE_PLUGIN_PATH (separated by colons, absolute, unprivileged only), each
 * of which holds `<abi-major>/<kind>/`. Outside the prefix a privileged process wants a signature.
 * The first of two plugins of one kind and name wins. Refused plugins are recorded, not errors;
 * problems are logged, too. Executes nothing.
 * O(plugins + their sizes). NOVA_E_UNAVAILABLE without /proc. As root it unsets HWLOC_PLUGINS_PATH
 * and LIBVIRT_DRIVER_DIR, so call it before other threads start. The caller frees the registry.
 */
int nova_registry_scan(struct nova_registry **registry, struct nova_error *error);
void nova_registry_free(struct nova_registry *registry);

/*
 * By name; `kind` 0: any, if unique. An error names the nearest plugin, or that (and why) a plugin
 * of that name was refused, or the kinds among which it is ambiguous.
 */
const struct nova_manifest *nova_registry_find(const struct nova_registry *registry, uint32_t kind,
                                               const char *name, struct nova_error *error);
const char *nova_kind_name(uint32_t kind);  /* "benchmark", … */
uint32_t nova_kind_parse(const char *name); /* 0 if none */
/* Words for NOVA_PARAM_*, NOVA_THREADS_* and NOVA_BETTER_*; "unknown" for any other value. */
const char *nova_param_type_name(uint32_t type);    /* "duration" */
const char *nova_thread_model_name(uint32_t model); /* "per-instance" */
const char *nova_better_name(uint32_t better);      /* "lower" */

/*
 * Worker only: checks the file once more against the manifest, loads it (libltdl, local, resident,
 * all symbols now), calls its entry and checks the descriptor. `*plugin` and its `ops` are copies
 * of this host's size, zeroed where the plugin's are shorter, and live until exit; so NOVA_HAS is
 * needed only for what they point to. `host` must live until exit. On refusal returns
 * NOVA_E_REFUSED (NOVA_E_UNAVAILABLE: missing library) and sets *reason; the text names the true
 * cause (dlerror, not "file not found"). The process may crash, hang, exit or grow here: that is
 * for the parent to see. `probe` is not called. @thread the worker's first, before any other.
 */
int nova_plugin_load(const char *path, uint32_t kind, const char *name, const char *sha256,
                     const struct nova_host *host, const struct nova_plugin **plugin,
                     enum nova_refusal_reason *reason, struct nova_error *error);

/* --- signing --------------------------------------------------------------------------------- */

/* The private half of a key. */
struct nova_private_key;

/*
 * Makes <directory>/<name>.key (PKCS#8, mode 0600) and <directory>/<name>.pub, which must not be
 * there. `passphrase` NULL: not encrypted. `id` receives the key's id.
 */
int nova_key_make(const char *directory, const char *name, const char *passphrase, char id[65],
                  struct nova_error *error);
/*
 * Reads a private key that nobody else can read; NOVA_E_REFUSED otherwise. Only if it is encrypted,
 * `ask` writes a passphrase of at most `room` bytes with its NUL and returns 0, or an error with
 * its text. @owner *key is the caller's.
 */
int nova_private_key_open(const char *path,
                          int (*ask)(void *context, char *passphrase, size_t room,
                                     struct nova_error *error),
                          void *context, struct nova_private_key **key, struct nova_error *error);
void nova_private_key_free(struct nova_private_key *key);
const char *nova_private_key_id(const struct nova_private_key *key);
const char *nova_private_key_name(const struct nova_private_key *key); /* from its file's name */
/*
 * Signs the manifest of the plugin `file` (its .so or .manifest) into `output`, NULL for
 * <name>.manifest.sig beside it. NOVA_E_REFUSED if the manifest is not that of the .so beside it.
 * `*written` is the caller's.
 */
int nova_signature_make(const struct nova_private_key *key, const char *file, const char *output,
                        char **written, struct nova_error *error);

/* What nova_signature_verify found. */
struct nova_verified {
	enum nova_refusal_reason reason; /* 0: signed well */
	struct nova_signer signer;
	char *signature_path;
};
/*
 * Is the plugin `file` (.so, .manifest or .manifest.sig) what its manifest says, and its manifest
 * signed by a key that counts here, or with `public_key` by that one, and nothing of it revoked?
 * NOVA_E_REFUSED with `reason` and a sentence if not; other codes if it cannot be told. `verified`
 * is set in any case: free it in any case. Owners and modes are not looked at.
 */
int nova_signature_verify(const char *file, const char *public_key, struct nova_verified *verified,
                          struct nova_error *error);
void nova_verified_free(struct nova_verified *verified);

/* --- one file, wherever it lies: `novacore plugin check` ------------------------------------- */

/* What a static check looked at. */
enum nova_aspect {
	NOVA_ASPECT_FILE,      /* name, link, owner, mode, can it be read, is it a library */
	NOVA_ASPECT_MANIFEST,  /* there, readable, this plugin's, of this very file */
	NOVA_ASPECT_SIGNATURE, /* if there is one, it holds; nothing is revoked */
	NOVA_ASPECT_NOTE,
	NOVA_ASPECT_EXPORTS,
	NOVA_ASPECT_BINDING,
	NOVA_ASPECT_LIBRARIES,
	NOVA_ASPECTS
};
struct nova_aspect_result {
	bool tried;                      /* false: `text` says what stood in the way */
	enum nova_refusal_reason reason; /* 0: nothing is wrong */
	char *text;                      /* a sentence, or NULL */
};
struct nova_inspection {
	char *path;                     /* canonical, absolute */
	char *name;                     /* of the file, without .so */
	char sha256[65];                /* "" if the file could not be read */
	uint32_t kind;                  /* of the note, 0 without one */
	struct nova_note note;          /* zeros without one */
	struct nova_manifest *manifest; /* NULL: none that can be read */
	char *manifest_text;            /* the same */
	struct nova_aspect_result aspects[NOVA_ASPECTS];
	/* Set: it must not be given control, for the reason that the first failed aspect says. */
	bool unsafe;
	/* Set: it cannot be loaded by this host at all. */
	bool unloadable;
};
/*
 * All static checks but `kind` (the directory's) and `duplicate`, each also after another one has
 * failed. Executes nothing. An error only if there is no such file; free the inspection in any
 * case.
 */
int nova_plugin_inspect(const char *path, struct nova_inspection *inspection,
                        struct nova_error *error);
void nova_inspection_free(struct nova_inspection *inspection);

/*
 * As nova_plugin_load, for a file that nova_plugin_inspect takes for neither unsafe nor unloadable:
 * other flaws, such as a missing manifest, do not keep it from being tried. What the plugin says of
 * itself is compared with its manifest, if it has a readable one and `compare` is true.
 * @thread a process that may die
 */
int nova_plugin_try(const char *path, const char *sha256, bool compare,
                    const struct nova_host *host, const struct nova_plugin **plugin,
                    enum nova_refusal_reason *reason, struct nova_error *error);

#endif
