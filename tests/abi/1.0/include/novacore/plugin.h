/* SPDX-License-Identifier: MIT */
/*
 * The descriptor that every plugin returns from its entry: who it is, what it takes, how it may be
 * called.
 *
 * Lifecycle: entry → probe → create → (work)* → destroy. The entry and all constructors must have
 * no side effect. Plugins never print, exit, abort, install signal handlers or change the locale;
 * they start no threads of their own (drivers wait in `pump`, on a host thread) and no processes
 * but by host->process or by a client library that cannot do otherwise. They are never unloaded.
 */
#ifndef NOVACORE_PLUGIN_H
#define NOVACORE_PLUGIN_H

#include <novacore/abi.h>
#include <novacore/host.h>
#include <novacore/types.h>

/* Thread models. */
#define NOVA_THREADS_SERIAL       1000u /* one call at a time into the whole plugin; ops do not block */
#define NOVA_THREADS_PER_INSTANCE 2000u /* one call at a time per instance; ops do not block */
#define NOVA_THREADS_PARALLEL                                                                      \
	3000u /* any number of calls at once, on host threads; ops may block */

/* Parameter types. The text forms are those of the configuration. */
#define NOVA_PARAM_INTEGER  1u /* "42" */
#define NOVA_PARAM_NUMBER   2u /* "0.05" */
#define NOVA_PARAM_SIZE     3u /* "16GiB"; bytes */
#define NOVA_PARAM_DURATION 4u /* "30s"; ns */
#define NOVA_PARAM_RATE     5u /* "100MB/s", "5/s"; per second */
#define NOVA_PARAM_CHOICE   6u /* one of `choices` */
#define NOVA_PARAM_TEXT     7u
#define NOVA_PARAM_PATH     8u
#define NOVA_PARAM_SECRET                                                                          \
	9u /* text never shown, stored or logged; from file, environment or keyring */
#define NOVA_PARAM_BOOLEAN 10u /* "true" or "false"; param_i64 gives 1 or 0 */

#define NOVA_PARAM_LIST                                                                            \
	1u /* flag: zero or more values, in the default text separated by commas                   \
	    */
#define NOVA_PARAM_REQUIRED 2u /* flag: no default, must be configured */
/* flag, with LIST, benchmarks only: the host makes one step for each value and gives the plugin
 * that single value, not the list */
#define NOVA_PARAM_EACH 4u
/* flag, of an integer, benchmarks only: so many VMs a replicate has at once, the sum where several
 * parameters say so. The host holds it against limits.max_vms before anything runs. Whether there
 * is room for them on the hypervisor's host the benchmark asks itself: nova_lab's `room` */
#define NOVA_PARAM_VMS 8u

/* One parameter. All text in the configuration's notation; NULL: none. Must live for ever. */
struct nova_parameter {
	uint32_t struct_size;
	uint32_t type;  /* NOVA_PARAM_* */
	uint32_t flags; /* NOVA_PARAM_LIST, …_REQUIRED, …_EACH, …_VMS */
	uint32_t reserved;
	const char *name;              /* ^[a-z][a-z0-9_]*$ */
	const char *doc;               /* one line, no full stop */
	const char *fallback;          /* default */
	const char *minimum, *maximum; /* inclusive */
	const char *const *choices;    /* NULL-terminated, for NOVA_PARAM_CHOICE */
};

/* Must live for ever, unchanged. */
struct nova_plugin {
	uint32_t struct_size;
	uint32_t kind;         /* NOVA_KIND_*, the note's */
	uint32_t thread_model; /* NOVA_THREADS_* */
	uint32_t flags;        /* 0 */
	const char *name;      /* ^[a-z0-9][a-z0-9-]*$, the file's name without .so */
	const char *version;   /* of the plugin, free form */
	const char *summary;   /* one line */
	const char *license;   /* SPDX expression */
	const struct nova_parameter *const *parameters; /* NULL-terminated, or NULL */
	/*
	 * Can it work here? No side effect, no network, at most 1 s. NOVA_DONE, or
	 * NOVA_E_UNAVAILABLE or …_PERMISSION after host->error() with a sentence that a user can
	 * act on. May be NULL: always available.
	 */
	int (*probe)(const struct nova_host *host, nova_op op);
	/* struct nova_benchmark, nova_hypervisor, nova_optimizer or nova_profile, by kind. */
	const void *ops;
};

#endif
