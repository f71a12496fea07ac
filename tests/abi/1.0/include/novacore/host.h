/* SPDX-License-Identifier: MIT */
/*
 * The services that the host gives to a plugin. All of them arrive in `struct nova_host`; the host
 * exports no symbol.
 *
 * Threads: every function here may be called from any thread of the worker, also from inside an op
 * and from client libraries' callbacks, unless it says otherwise. None of them blocks, except
 * `process`. None of them may be called after `destroy` has returned.
 *
 * Lifetimes: what the plugin passes lives for the call only, the host copies. What the host returns
 * as a pointer is the host's and lives until `destroy` of the instance.
 */
#ifndef NOVACORE_HOST_H
#define NOVACORE_HOST_H

#include <novacore/types.h>

/* Severity of host->log. */
#define NOVA_SAY_DEBUG   1u
#define NOVA_SAY_INFO    2u
#define NOVA_SAY_WARNING 3u

/* Directories of host->directory: absolute, existing, writable for this process, on a disk. */
#define NOVA_DIRECTORY_STATE 1u /* of this user and plugin, kept between runs */
#define NOVA_DIRECTORY_RUN                                                                         \
	2u /* of this run and plugin, removed with everything in it at its end                     \
	    */
#define NOVA_DIRECTORY_CACHE                                                                       \
	3u /* of this user and plugin, may be emptied at any time between runs */

/*
 * What can be pushed with an op's result. Append-only. (i) put_i64, (f) put_f64, (b) put_bytes in
 * chunks, (t) put_fact(op, field, key, text).
 */
/* describe */
/* t short facts: "product", "version", "accel", "accel.why", "simulated" ("true"), "tls"
 * ("verified", "pinned" or "insecure") */
#define NOVA_FIELD_FACT 100u
#define NOVA_FIELD_CAPABILITY                                                                      \
	110u /* t key: NOVA_CAN_*; text NULL: it can, else the reason why not */
/* a VM */
/* t key "": the hypervisor's own identity of the VM. Put it as soon as the hypervisor has accepted
 * the order: the host journals it at once, and it counts even if the op fails afterwards. */
#define NOVA_FIELD_ID      200u
#define NOVA_FIELD_VM      210u /* t vm_list: key is the VM's name, text its id */
#define NOVA_FIELD_STATE   220u /* i NOVA_STATE_* */
#define NOVA_FIELD_ADDRESS 230u /* t key: interface, text: IP address */
#define NOVA_FIELD_PID     240u /* i the VM's process on this host, where there is one */
/* exec; exec_kill takes the FIELD_GUEST_PID that exec put early */
#define NOVA_FIELD_STDOUT      300u /* b */
#define NOVA_FIELD_STDERR      310u /* b */
#define NOVA_FIELD_EXIT_STATUS 320u /* i */
#define NOVA_FIELD_SIGNAL      330u /* i put instead of the exit status if a signal ended it */
#define NOVA_FIELD_GUEST_PID   340u /* i */
#define NOVA_FIELD_TRUNCATED   350u /* i 1: the output was longer than the hypervisor gives */
/* when, ns. The host stamps both around the op, in CLOCK_MONOTONIC. A driver may put either itself:
 * in that clock, where the hypervisor's time begins later than the call (its own checks come
 * first); or in another one (a simulator's), and then every event of it is in that clock. */
#define NOVA_FIELD_STARTED_NS  400u /* i */
#define NOVA_FIELD_RETURNED_NS 410u /* i */
#define NOVA_FIELD_API_NS      420u /* i one remote call's latency; may be put many times */
/* vm_query STATS, since the VM's start; what a hypervisor does not know it does not put */
#define NOVA_FIELD_CPU_NS               500u /* i CPU time used by vCPUs and hypervisor for this VM */
#define NOVA_FIELD_MEMORY_BYTES         510u /* i given to the guest */
#define NOVA_FIELD_RESIDENT_BYTES       520u /* i resident on the hypervisor */
#define NOVA_FIELD_PROPORTIONAL_BYTES   525u /* i the same, shared pages divided by their users */
#define NOVA_FIELD_DISK_READ_BYTES      530u /* i */
#define NOVA_FIELD_DISK_WRITE_BYTES     540u /* i */
#define NOVA_FIELD_DISK_READS           550u /* i */
#define NOVA_FIELD_DISK_WRITES          560u /* i */
#define NOVA_FIELD_NET_RX_BYTES         570u /* i */
#define NOVA_FIELD_NET_TX_BYTES         580u /* i */
#define NOVA_FIELD_DISK_ALLOCATED_BYTES 590u /* i space that the VM's disks take */
/* migration */
/* t key "": what `migrate` needs, opaque to the host. It may carry credentials: the host hands it
 * on and shows, logs, traces and stores no more of it than its length. */
#define NOVA_FIELD_TICKET      600u
#define NOVA_FIELD_DURATION_NS 610u /* i total, as the hypervisor reports it */
#define NOVA_FIELD_SETUP_NS    615u /* i before the first byte of memory moved */
#define NOVA_FIELD_DOWNTIME_NS 620u /* i as the hypervisor reports it */
#define NOVA_FIELD_MOVED_BYTES 630u /* i */
#define NOVA_FIELD_ITERATIONS  640u /* i */
#define NOVA_FIELD_DIRTY_PER_S 650u /* f bytes per second */
#define NOVA_FIELD_MOVED_PER_S 655u /* f bytes per second, as the hypervisor reports it */
#define NOVA_FIELD_URI         660u /* t key "": twin: the second target's URI */
#define NOVA_FIELD_THROTTLE    670u /* f share of CPU time that auto-converge took away, 0…1 */
#define NOVA_FIELD_POST_COPY   680u /* i 1: it ended by post-copy */
/* knobs */
#define NOVA_FIELD_KNOB 700u /* t key: knob name, text: current value */
#define NOVA_FIELD_KNOB_DOC                                                                        \
	710u /* t key: knob name, text: values that it takes, and its meaning                      \
	      */
/* progress of a long op, 0…1 (f) */
#define NOVA_FIELD_PROGRESS 800u

/* What to run: in a guest (driver's exec, nova_lab's exec) or on this host (host->process). */
struct nova_exec {
	uint32_t struct_size;
	uint32_t flags;          /* 0 */
	const char *const *argv; /* NULL-terminated; argv[0] searched in PATH there */
	const char *const *env;  /* additions "NAME=value", NULL-terminated, or NULL */
	const void *input;       /* to standard input, or NULL */
	uint64_t input_bytes;
};

/* Events about a VM, pushed by drivers. Values leave gaps; order is the order of a VM's life. */
#define NOVA_EVENT_RUNNING   100u /* the hypervisor says that its vCPUs run */
#define NOVA_EVENT_FIRST     200u /* the first byte of any kind from inside the guest */
#define NOVA_EVENT_USERSPACE 300u /* user space of the guest says so (our init's first byte) */
#define NOVA_EVENT_READY     400u /* an agent or tools in the guest take commands */
#define NOVA_EVENT_ADDRESS   500u /* the guest has an address */
#define NOVA_EVENT_UNREADY   600u /* the agent went away */
#define NOVA_EVENT_PAUSED    700u
#define NOVA_EVENT_RESUMED   710u
#define NOVA_EVENT_MIGRATED  720u /* runs at its destination */
#define NOVA_EVENT_SHUTDOWN  800u /* the guest has begun, or has been told, to power off */
#define NOVA_EVENT_STOPPED   900u /* powered off; its resources are being, or have been, freed */
#define NOVA_EVENT_CRASHED   910u /* stopped without being asked to */

/* Where an event's time comes from. A ranking never mixes them silently. */
#define NOVA_SOURCE_QMP   1u /* QEMU's own stamp */
#define NOVA_SOURCE_AGENT 2u /* an agent's connection */
#define NOVA_SOURCE_TOOLS 3u /* vendor's tools */
#define NOVA_SOURCE_WATCH 4u /* a pushed notification, on arrival */
#define NOVA_SOURCE_POLL  5u /* polled: resolution is the polling interval */
#define NOVA_SOURCE_BEAT  6u /* a byte from the guest */
#define NOVA_SOURCE_MODEL 7u /* invented by a simulator */
#define NOVA_SOURCE_API   8u /* the return of the call itself */

struct nova_event {
	uint32_t struct_size;
	uint32_t kind;    /* NOVA_EVENT_* */
	uint32_t source;  /* NOVA_SOURCE_* */
	uint32_t flags;   /* 0 */
	const char *name; /* the VM's name */
	int64_t t_ns; /* CLOCK_MONOTONIC of this host, or the driver's (NOVA_FIELD_STARTED_NS) */
	int64_t resolution_ns; /* > 0: it happened in [t_ns - resolution_ns, t_ns] */
};

/*
 * `instance` is the number by which the host knows one created plugin instance: the op given to a
 * driver's `create`, the run given to a benchmark's. It is valid until `destroy` returns.
 */
struct nova_host {
	uint32_t struct_size;
	uint32_t abi_minor; /* of the host; its major is the plugin's */

	/* --- ops ----------------------------------------------------------------------------- */

	/* Ends an op that returned NOVA_PENDING, once: `status` is NOVA_DONE or NOVA_E_*. A late
	 * one (after the deadline) is ignored, so it is always safe to call. */
	void (*done)(nova_op op, int32_t status);
	/* Says why an op is failing; returns `code`, so that `return host->error(…)` works. */
	int (*error)(nova_op op, int32_t code, const char *text);
	/* The same, printf-like. */
	int (*errorf)(nova_op op, int32_t code, const char *format, ...);
	/* When the op must have ended, CLOCK_MONOTONIC ns. */
	int64_t (*deadline_ns)(nova_op op);
	/* 1 once the host has given up on the op: stop waiting, clean up, return NOVA_E_CANCELLED.
	 */
	int (*cancelled)(nova_op op);

	/* --- results of an op ------------------------------------------------------------------
	 */

	/* NOVA_DONE; NOVA_E_NOT_FOUND: the op has ended; NOVA_E_FULL: an op holds at most 64 MiB,
	 * and fails with what is beyond. */
	int (*put_i64)(nova_op op, uint32_t field, int64_t value);
	int (*put_f64)(nova_op op, uint32_t field, double value);
	int (*put_bytes)(nova_op op, uint32_t field, const void *bytes, uint64_t count);
	/* `text` may be NULL where the field says so. */
	int (*put_fact)(nova_op op, uint32_t field, const char *key, const char *text);

	/* --- events -------------------------------------------------------------------------- */

	int (*event)(nova_op instance, const struct nova_event *event);

	/* --- parameters, validated by the host against the declared table ----------------------
	 */

	/* integer and size (bytes) and duration (ns). `index` selects in a list, else 0.
	 * NOVA_DONE; NOVA_E_NOT_FOUND: unset and without default, or beyond the list's end. */
	int (*param_i64)(uint64_t instance, const char *name, uint32_t index, int64_t *value);
	/* number and rate (per second) */
	int (*param_f64)(uint64_t instance, const char *name, uint32_t index, double *value);
	/* every type as text; NULL if not found. A secret's text is only ever available here. */
	const char *(*param_text)(uint64_t instance, const char *name, uint32_t index);

	/* --- the rest ------------------------------------------------------------------------- */

	int64_t (*now_ns)(void); /* CLOCK_MONOTONIC */
	void (*log)(uint64_t instance, uint32_t severity, const char *text);
	const char *(*directory)(uint64_t instance, uint32_t which);
	/*
	 * Runs a process on this host to its end or to the op's deadline. Blocks: from a PARALLEL
	 * driver, a benchmark, and any driver's `connect`. A driver of another thread model that
	 * must log in again later may do it there as well, for as short as it can: until then no
	 * other call of the instance goes on. Output arrives through `output` (field
	 * NOVA_FIELD_STDOUT or …_STDERR, called on the calling thread, may be NULL). `*status`:
	 * exit status, or minus the signal. NOVA_DONE also for a non-zero status; NOVA_E_* if it
	 * could not be run.
	 */
	int (*process)(uint64_t op_or_instance, const struct nova_exec *exec,
	               void (*output)(void *context, uint32_t field, const void *bytes,
	                              uint64_t count),
	               void *context, int32_t *status);
};

#endif
