/* SPDX-License-Identifier: MIT */
/*
 * A hypervisor driver: the ops by which the host drives one target.
 *
 * Every op returns NOVA_DONE (the task has finished), NOVA_PENDING (then exactly one host->done())
 * or NOVA_E_* after host->error(). "Finished" means the hypervisor's task; that a VM runs or is
 * ready are events. Input pointers live for the call only: an op that returns NOVA_PENDING copies
 * what it needs. Every op has a deadline, host->deadline_ns(op).
 *
 * Waiting (a task, a watch, a client library's event loop) happens in `pump`. A driver with the
 * thread model PARALLEL may block in its ops instead, up to the deadline.
 *
 * A driver that boots files of this host declares the PATH parameters trial_kernel and
 * trial_initrd: the host then makes its appliance, puts its files into the shapes, and sets these
 * parameters to its kernel and initrd, for a driver that tries out an accelerator before it says
 * which one it uses.
 *
 * At the deadline the host calls `cancel`, waits 5 s for the op to end, and gives it up: time for a
 * driver to stop the task on the other side. An op that ends well in that time has ended well. An
 * order (a call that changes something) is never sent twice: where its outcome is not known, the op
 * fails with NOVA_E_UNKNOWN or NOVA_E_TIMEOUT, and the host sweeps. A driver itself waits for locks
 * of the hypervisor, up to the deadline; NOVA_E_BUSY says that the deadline came first.
 *
 * A VM that is not there, or not under that id, is NOVA_E_NOT_FOUND, except where an op says
 * otherwise.
 *
 * After RESTORE and RESET a driver sends RUNNING again; where an agent's connection breaks, UNREADY
 * and later READY.
 *
 * An op that a driver lacks is NULL; what a target lacks is a capability with a reason. Names of
 * VMs, images and networks come from the host and carry our prefix; a driver never invents one and
 * never touches an object whose name it was not given.
 */
#ifndef NOVACORE_HYPERVISOR_H
#define NOVACORE_HYPERVISOR_H

#include <novacore/plugin.h>

/* Capabilities: keys of NOVA_FIELD_CAPABILITY and a benchmark's `needs`. */
#define NOVA_CAN_CREATE    "create"        /* vm_create, vm_delete */
#define NOVA_CAN_CLONE     "clone"         /* vm_clone */
#define NOVA_CAN_START     "start"         /* vm_power START and OFF */
#define NOVA_CAN_SHUTDOWN  "shutdown"      /* vm_power SHUTDOWN: graceful */
#define NOVA_CAN_PAUSE     "pause"         /* vm_power PAUSE and RESUME */
#define NOVA_CAN_RESET     "reset"         /* vm_power RESET */
#define NOVA_CAN_SNAPSHOT  "snapshot"      /* snapshot CREATE, RESTORE, DELETE of a running VM */
#define NOVA_CAN_EXEC      "exec"          /* exec in the guest */
#define NOVA_CAN_READY     "ready"         /* NOVA_EVENT_READY is sent */
#define NOVA_CAN_BEAT      "beat"          /* nova_shape.heartbeat is honoured */
#define NOVA_CAN_DIRECT    "direct"        /* NOVA_BOOT_DIRECT */
#define NOVA_CAN_DISK      "disk"          /* NOVA_BOOT_DISK */
#define NOVA_CAN_TEMPLATE  "template"      /* NOVA_BOOT_TEMPLATE */
#define NOVA_CAN_STUB      "stub"          /* NOVA_BOOT_STUB */
#define NOVA_CAN_STATS     "stats"         /* vm_query STATS */
#define NOVA_CAN_ADDRESS   "address"       /* vm_query ADDRESS */
#define NOVA_CAN_IMAGE     "image"         /* image_put */
#define NOVA_CAN_NETWORK   "network"       /* net_create */
#define NOVA_CAN_MIGRATE   "migrate"       /* to another target of the same plugin */
#define NOVA_CAN_CONVERGE  "auto-converge" /* NOVA_MIGRATE_AUTO_CONVERGE */
#define NOVA_CAN_COMPRESS  "compress"      /* NOVA_MIGRATE_COMPRESS */
#define NOVA_CAN_POST_COPY "post-copy"     /* NOVA_MIGRATE_POST_COPY */
#define NOVA_CAN_PARALLEL  "parallel"      /* nova_migrate.channels above 1 */
#define NOVA_CAN_KNOBS     "knobs"
#define NOVA_CAN_TWIN      "twin"
#define NOVA_CAN_PIN       "pin"   /* the knob vm.cpu.pin: one host CPU set for each vCPU, "0:1" */
#define NOVA_CAN_PLACE     "place" /* nova_shape.place is honoured */
#define NOVA_CAN_ROAM      "roam"  /* a VM that migrates stays on its network of net_create */

/* A VM that exists. `id` is what the driver put as NOVA_FIELD_ID, or NULL after a crash: then look
 * the VM up by its name. */
struct nova_ref {
	uint32_t struct_size;
	uint32_t flags; /* 0 */
	nova_vm vm;
	const char *name;
	const char *id;
};

#define NOVA_BOOT_DIRECT   1u /* kernel + initrd + command line, root disk from `image` */
#define NOVA_BOOT_DISK     2u /* the disk's own boot loader */
#define NOVA_BOOT_STUB     3u /* `image` is a 512-byte boot sector; no disk to speak of */
#define NOVA_BOOT_TEMPLATE 4u /* clone of the hypervisor's own template named by `image` */

/*
 * What a VM should be. The same for every driver; comes from `vm.<shape>` of the configuration.
 * For a benchmark, 0 and NULL mean "as configured".
 */
struct nova_shape {
	uint32_t struct_size;
	uint32_t boot;  /* NOVA_BOOT_* */
	uint32_t vcpus; /* 1… */
	uint32_t flags; /* 0 */
	uint64_t memory_bytes;
	uint64_t disk_bytes; /* of the writable overlay; 0: the image's own size */
	const char *image;   /* read-only backing file (path) or the target's own image or template
	                        name */
	const char *kernel, *initrd, *cmdline; /* NOVA_BOOT_DIRECT */
	/* "udp:ADDRESS:PORT": send each byte that the guest writes to its second serial port (COM2,
	 * 0x2f8) there as it comes. NULL: none. */
	const char *heartbeat;
	const char *const
	        *networks; /* from net_create or the target's own, NULL-terminated, or NULL */
	/* "vm.disk.cache=none", NULL-terminated, or NULL; of one that is there twice the last
	 * counts. A benchmark's come after the configured ones. */
	const char *const *knobs;
	/* Only from a benchmark, with NOVA_BOOT_DIRECT: the host adds it to `cmdline`, and drivers
	 * never see it. NULL: nothing. */
	const char *arguments;
	/* Where the disks are to lie: a directory of the hypervisor's host, a datastore or storage
	 * by its own name. NULL: where the driver puts them. */
	const char *place;
};

#define NOVA_POWER_START    100u
#define NOVA_POWER_SHUTDOWN 200u /* graceful; done when it is off */
#define NOVA_POWER_OFF      300u /* pull the plug; done when it is off; off already is NOVA_DONE */
#define NOVA_POWER_RESET    400u
#define NOVA_POWER_PAUSE    500u
#define NOVA_POWER_RESUME   600u

#define NOVA_STATE_OFF     1u
#define NOVA_STATE_RUNNING 2u
#define NOVA_STATE_PAUSED  3u
#define NOVA_STATE_OTHER   4u

#define NOVA_QUERY_STATE   1u /* NOVA_FIELD_STATE, NOVA_FIELD_PID */
#define NOVA_QUERY_STATS   2u /* NOVA_FIELD_CPU_NS … */
#define NOVA_QUERY_ADDRESS 3u /* NOVA_FIELD_ADDRESS */

#define NOVA_SNAPSHOT_CREATE  100u /* memory and disks, where the hypervisor can */
#define NOVA_SNAPSHOT_RESTORE 200u /* done when it is back in the state of the snapshot */
#define NOVA_SNAPSHOT_DELETE  300u

#define NOVA_NET_ISOLATED 1u /* between VMs of this run only */
#define NOVA_NET_NAT      2u

#define NOVA_MIGRATE_AUTO_CONVERGE 1u
#define NOVA_MIGRATE_COMPRESS      2u
#define NOVA_MIGRATE_POST_COPY     4u

struct nova_migrate {
	uint32_t struct_size;
	uint32_t flags;                 /* NOVA_MIGRATE_* */
	const char *ticket;             /* from migrate_prepare at the destination */
	uint64_t bandwidth_bytes_per_s; /* 0: no limit */
	int64_t downtime_ns;            /* the limit to configure; 0: the hypervisor's default */
	uint32_t channels;              /* parallel connections; 0: default */
	uint32_t reserved;
};

/* Outcome given to migrate_finish. */
#define NOVA_MIGRATED     1
#define NOVA_NOT_MIGRATED 2

struct nova_hypervisor {
	uint32_t struct_size;
	uint32_t flags; /* 0 */
	/* Makes an instance; no connection yet. Blocks never. On failure `destroy` is not called.
	 */
	int (*create)(const struct nova_host *host, nova_op instance, void **self);
	/* After the last op has ended and `pump` has returned for the last time. */
	void (*destroy)(void *self);
	/*
	 * Waits for and handles whatever there is, at most until `until_ns` (CLOCK_MONOTONIC; it
	 * may be far away), then returns NOVA_DONE; returning earlier is fine. Called in a loop on
	 * a host thread from after `create` until before `destroy`. SERIAL and PER_INSTANCE: never
	 * at the same time as an op; an op may queue what only the next `pump` sends. NULL: nothing
	 * to pump.
	 */
	int (*pump)(void *self, int64_t until_ns);
	/* Makes a `pump` that is waiting, or the next one if none is, return soon. @thread any,
	 * also while `pump` runs. NULL: then the host pumps in slices of 10 ms while calls are
	 * waiting. */
	int (*wake)(void *self);
	/* The host has given up on `op`: stop it if you can; it must still be ended by done() or by
	 * its own return. @thread any for PARALLEL, else as an op. */
	int (*cancel)(void *self, nova_op op);
	/* Opens the target of the parameter `uri` (and credentials). */
	int (*connect)(void *self, nova_op op);
	/* Puts facts ("product", "version", and "accel", "accel.why" where it applies) and all
	 * capabilities. */
	int (*describe)(void *self, nova_op op);
	/* Puts NOVA_FIELD_ID. Created, not started. NOVA_E_EXISTS: a VM of that name is there. */
	int (*vm_create)(void *self, nova_op op, const char *name, const struct nova_shape *shape);
	int (*vm_clone)(void *self, nova_op op, const char *name, const struct nova_ref *from,
	                const struct nova_shape *shape);
	int (*vm_power)(void *self, nova_op op, const struct nova_ref *vm, uint32_t action);
	/* Deletes a VM in any state, with its disks and snapshots. Not there already: NOVA_DONE. */
	int (*vm_delete)(void *self, nova_op op, const struct nova_ref *vm);
	/* Puts NOVA_FIELD_VM for each VM whose name starts with `prefix` (never empty). */
	int (*vm_list)(void *self, nova_op op, const char *prefix);
	int (*vm_query)(void *self, nova_op op, const struct nova_ref *vm, uint32_t what);
	int (*snapshot)(void *self, nova_op op, const struct nova_ref *vm, const char *name,
	                uint32_t action);
	/* Runs a program in the guest to its end. Puts GUEST_PID early, output in chunks as it
	 * comes or at the end, then EXIT_STATUS or SIGNAL. */
	int (*exec)(void *self, nova_op op, const struct nova_ref *vm,
	            const struct nova_exec *exec);
	int (*exec_kill)(void *self, nova_op op, const struct nova_ref *vm, int64_t pid);
	int (*image_put)(void *self, nova_op op, const char *name, const char *path);
	int (*image_delete)(void *self, nova_op op, const char *name);
	int (*net_create)(void *self, nova_op op, const char *name, uint32_t kind);
	int (*net_delete)(void *self, nova_op op, const char *name);
	/* Puts NOVA_FIELD_TICKET. */
	int (*migrate_prepare)(void *destination, nova_op op, const struct nova_ref *vm,
	                       const struct nova_shape *shape);
	int (*migrate)(void *source, nova_op op, const struct nova_ref *vm,
	               const struct nova_migrate *how);
	/* `outcome` is NOVA_MIGRATED or NOVA_NOT_MIGRATED. Puts NOVA_FIELD_ID if the VM has another
	 * identity at the destination: the host uses and journals that one from then on. */
	int (*migrate_finish)(void *destination, nova_op op, const struct nova_ref *vm,
	                      const char *ticket, int32_t outcome);
	int (*knob_list)(void *self, nova_op op, const struct nova_ref *vm);
	int (*knob_get)(void *self, nova_op op, const struct nova_ref *vm, const char *knob);
	int (*knob_set)(void *self, nova_op op, const struct nova_ref *vm, const char *knob,
	                const char *value);
	/* Starts a second target of the same plugin on this host, and puts its NOVA_FIELD_URI, by
	 * which the host opens another instance in the same process. Always the same one, below
	 * NOVA_DIRECTORY_STATE: VMs that a dead process left on it are found there again, and a
	 * server that it left running is taken over. It ends with the instance: `destroy` stops it,
	 * after the other instance was destroyed. */
	int (*twin)(void *self, nova_op op);
	/* Says goodbye to the target: gives back what a `connect`, also a failed one, got (a
	 * session, a ticket), and nothing else. The last op, with a deadline of a few seconds; not
	 * called after an op that hangs. Whatever it returns, `destroy` follows, which itself never
	 * waits for the target. NULL: there is nothing to give back. */
	int (*disconnect)(void *self, nova_op op);
};

#endif
