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
	NOVA_REFUSED_SIGNATURE,       /* signature: next issue */
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
	uint32_t targets_min;
	char *settings; /* a profile's libconfig text */
};

struct nova_refusal {
	enum nova_refusal_reason reason;
	uint32_t kind; /* of the directory it was found in */
	char *path;
	char *text; /* a sentence: what, why, what to do */
};

struct nova_registry {
	struct nova_manifest **plugins; /* sorted by kind, then name */
	size_t plugin_count;
	struct nova_refusal *refusals;
	size_t refusal_count;
};

/*
 * Scans `<prefix>/lib/novacore/plugins/<abi-major>/<kind>/`, the prefix being that of the running
 * binary (or the build tree), then the directories of NOVACORE_PLUGIN_PATH (separated by colons,
 * absolute, unprivileged only), each of which holds `<abi-major>/<kind>/`. The first of two plugins
 * of one kind and name wins. Refused plugins are recorded, not errors. Executes nothing.
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

#endif
