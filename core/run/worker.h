/* SPDX-License-Identifier: MIT */
/*
 * Inside a worker: plugin instances, ops in flight, VMs, the façade. Internal to core/run.
 *
 *   worker.c    the packet loop: open, replicate, sweep, close
 *   instance.c  a created plugin, its host table, its pump thread
 *   op.c        one call in flight: deadline, cancellation, results
 *   lab.c       nova_lab, the façade that benchmarks call
 *   room.c      whether this host has room for more VMs
 *   beat.c      receives the heartbeats of guests
 *   beat_window.c  what came of them in a window
 *   trace.c     tells of all of this, if asked to
 *
 * One lock, `nova_worker.lock`, guards every field of ops, VMs and instances that more than one
 * thread touches; it is never held while a plugin or the parent is called.
 */
#ifndef NOVACORE_RUN_WORKER_H
#define NOVACORE_RUN_WORKER_H

#include "core/base/base.h"
#include "core/run/wire.h"

#include <novacore/sdk.h>
#include <pthread.h>
#include <stdatomic.h>

/* --- results of an op --------------------------------------------------------------------------
 */

struct value {
	uint32_t field;
	int64_t i64;
	double f64;
	char *key, *bytes; /* bytes NUL-terminated after `count` */
	uint64_t count;
	bool is_null; /* a fact whose text is NULL */
};

/* --- ops ---------------------------------------------------------------------------------------
 */

enum op_kind {
	OP_CONNECT = 1,
	OP_DESCRIBE,
	OP_VM_CREATE,
	OP_VM_POWER,
	OP_VM_DELETE,
	OP_VM_LIST,
	OP_VM_QUERY,
	OP_SNAPSHOT,
	OP_EXEC,
	OP_NET_CREATE,
	OP_NET_DELETE,
	OP_IMAGE_PUT,
	OP_IMAGE_DELETE,
	OP_MIGRATE_PREPARE,
	OP_MIGRATE,
	OP_MIGRATE_FINISH,
	OP_TWIN,
	OP_DISCONNECT
};

struct instance;

/*
 * One call in flight. Reference counted: the table, the caller and the thread that is inside the
 * driver each hold one, so that an abandoned call finds its arguments until it returns.
 */
struct op {
	nova_op number;
	unsigned references;
	struct op *next; /* in its hash bucket */
	struct instance *instance;
	enum op_kind kind;
	/* arguments, copies of the caller's */
	struct nova_ref ref;
	char *ref_name, *ref_id;
	char *name, *path;
	uint32_t action;
	int32_t outcome;
	struct nova_shape shape;
	struct nova_exec exec;
	struct nova_migrate migrate;
	json_t *copies; /* holds the strings that shape, exec and migrate point to */
	void **blocks;  /* NULL-terminated text arrays of those, and exec's input */
	size_t block_count;
	/* state, under the lock */
	bool ended, given_up;
	bool abandoned; /* it did not end in its grace either */
	int status;
	int64_t deadline_ns;
	int64_t called_ns, ended_ns;     /* this host's clock */
	int64_t started_ns, returned_ns; /* the driver's clock */
	struct nova_error error; /* the first one wins; later texts are appended as causes */
	struct value *values;
	size_t value_count;
	uint64_t bytes_held;
	bool overflowed; /* more was put than is held */
	uint64_t trace;  /* its number in the trace, or 0 */
	long thread;     /* that called the driver */
	pthread_cond_t changed;
};

/* --- instances ---------------------------------------------------------------------------------
 */

struct instance {
	struct op *op; /* its number is the instance's; its error collects what create says */
	uint32_t kind, target;
	char *plugin;
	struct nova_host host;
	uint32_t thread_model;
	struct nova_hypervisor driver; /* a zeroed copy, min(struct_size) */
	void *self;
	json_t *params;
	json_t *boot;          /* what of the shape is otherwise for its VMs, or NULL: see boot.c */
	char *directories[4];  /* by NOVA_DIRECTORY_* */
	pthread_mutex_t *turn; /* SERIAL: of the plugin; PER_INSTANCE: its own; PARALLEL: NULL */
	pthread_mutex_t own_turn;
	atomic_uint waiting; /* calls that wait for their turn */
	atomic_bool stop;    /* tells the pump thread to end */
	pthread_t pump;
	bool pumping;
	bool tainted;                 /* a call was abandoned in it */
	json_t *facts, *capabilities; /* {key: text}, {key: null or why not} */
};

/* --- VMs ---------------------------------------------------------------------------------------
 */

struct stamp {
	uint32_t kind, source;
	int64_t t_ns, resolution_ns;
};

struct vm {
	nova_vm number;  /* n of the name, plus 1 */
	struct vm *next; /* of by_number */
	struct instance *instance;
	struct instance *maybe; /* a migration may have left it there as well, or NULL */
	char *name, *id;
	uint32_t vcpus;
	struct stamp *stamps; /* since the last op that changes its state */
	size_t stamp_count;
	bool exists; /* from the intention until deletion was confirmed */
	int beat_fd;
	uint16_t beat_port;
	uint64_t beats;
	struct beat_window *beat_window; /* beat.c's; NULL: nobody has asked yet */
	pthread_cond_t changed;
};

struct net {
	struct instance *instance;
	char name[64];
	bool exists;
};

/* Waits for the parent's "go"; stands on the stack of the thread that waits. */
struct intent {
	uint64_t number;
	int code;
	bool answered;
	struct intent *next;
};

/* --- the worker --------------------------------------------------------------------------------
 */

struct nova_worker {
	pthread_mutex_t lock;
	int fd; /* to the parent */
	pthread_mutex_t sending;
	char *run, *prefix, *directory;
	int64_t op_timeout_ns, ready_timeout_ns;
	uint64_t next_number;
	uint64_t max_vms, live_vms;
	json_t *shape;  /* the configured one */
	json_t *limits; /* "memory_share", and "cpu_share" if there is one */
	struct instance **targets;
	uint32_t target_count;
	/* the benchmark */
	struct instance *benchmark;
	struct nova_benchmark ops;
	struct nova_lab lab;
	void *self;
	uint32_t side;
	/* VMs and networks of this worker, in order of creation */
	struct vm **vms;
	size_t vm_count;
	struct vm *by_number[4096]; /* the same, chained by `next` */
	struct net **nets;
	size_t net_count;
	atomic_bool interrupted;
	struct intent *intents; /* names that the parent is journaling */
	pthread_cond_t answered;
};

/* A process is a worker once and for all, and the SDK's functions carry no context: hence global.
 */
extern struct nova_worker nova_worker;

void nova_lock(void);
void nova_unlock(void);

/* What a plugin gave or asked for, of a struct that begins with its size: `to` of `room` bytes
 * becomes a zeroed copy of as much as both sides know. NULL: all zero. */
void nova_struct_take(void *to, uint32_t room, const void *from);
/* The other way: fills as much of the plugin's struct as it knows; its size stays. */
void nova_struct_give(void *to, const void *from, uint32_t bytes);

/* Sends to the parent; if it is gone the worker ends at once (nobody could use what follows). */
void nova_tell(json_t *packet);
void nova_tellf(uint32_t level, const char *format, ...) NOVA_PRINTF(2, 3);

/* op.c: a new op with one reference for the caller, in the table. */
struct op *nova_op_new(struct instance *instance, enum op_kind kind, int64_t deadline_ns);
void nova_op_release(struct op *op);
/* By number with a reference, or NULL. */
struct op *nova_op_hold(nova_op number);
/* Copies into the op what the driver will be given. */
void nova_op_set_vm(struct op *op, const struct vm *vm);
void nova_op_set_shape(struct op *op, const struct nova_shape *shape);
void nova_op_set_exec(struct op *op, const struct nova_exec *exec);
void nova_op_set_migrate(struct op *op, const struct nova_migrate *migrate, const char *ticket);
/*
 * Runs the op to its end, its deadline (then cancel, a grace of 5 s, NOVA_E_TIMEOUT) or, unless
 * `always`, an interruption. Returns the status; times, values and error are in the op. Audits
 * calls that change the hypervisor.
 */
int nova_op_run(struct op *op, bool always);
/* Ends an op, from host->done, called at `at_ns`. */
void nova_op_done(struct op *op, int status, int64_t at_ns);
/* Takes it out of the table: whatever is still said about it is ignored. */
void nova_op_forget(struct op *op);
/* NOVA_E_NOT_FOUND: it has ended. */
int nova_op_put(struct op *op, const struct value *value);
const char *nova_op_name(enum op_kind kind);
/* The `index`th value of a field, or NULL. Call under the lock, or after the op has ended. */
const struct value *nova_op_value(const struct op *op, uint32_t field, uint32_t index,
                                  uint32_t *count);

/* instance.c */
struct instance *nova_instance_new(uint32_t kind, const char *plugin, uint32_t target,
                                   json_t *params, uint32_t thread_model);
/* create, start the pump, connect, describe. */
int nova_instance_open(struct instance *instance, const struct nova_hypervisor *driver,
                       struct nova_error *error);
void nova_instance_close(struct instance *instance);
struct instance *nova_instance_find(uint64_t number); /* under the lock or not: never freed */
const struct nova_host *nova_host_table(void);

/* lab.c */
const struct nova_lab *nova_lab_table(void);
struct vm *nova_vm_by_name(const char *name);                 /* under the lock */
void nova_vm_stamp(struct vm *vm, const struct stamp *stamp); /* under the lock */
/* Deletes what the replicate left: VMs, then networks. Never interrupted. Returns what is left. */
uint32_t nova_lab_clean(void);
/* What is configured of the VMs of a target: its own, or the run's shape. */
const json_t *nova_lab_configured(const struct instance *instance, const char *key);
/* Brings a file to a target as an image, whose name is journaled before. `*name` is the caller's in
 * any case. */
int nova_lab_image_put(uint32_t target, const char *path, int64_t deadline_ns, char **name,
                       struct nova_error *error);
/* Deletes one object ("vm", "net", "image") by name, for a sweep. `moving`: it may be on another
 * target as well, so it is not gone yet. */
int nova_lab_delete(struct instance *instance, const char *kind, const char *name, const char *id,
                    bool moving, struct nova_error *error);

/* room.c */
/* Looks at what this process holds before it has VMs. */
void nova_room_begin(void);
/* nova_lab's `room`. */
int nova_room_check(struct vm *vm, uint32_t count, struct nova_error *error);

/* beat.c */
int nova_beat_open(struct vm *vm, struct nova_error *error);
void nova_beat_close(struct vm *vm);
/* nova_lab's `beats`: ends the VM's window and begins the next. NOVA_E_UNSUPPORTED: no heartbeat.
 */
int nova_beat_window(struct vm *vm, struct nova_beats *seen);

/* beat_window.c: memory that does not grow with the beats. All zero: a window that has just begun.
 */
#define NOVA_BEAT_BUCKETS 640 /* up to 2^43 ns, two hours */
struct beat_window {
	struct nova_beats seen;
	int64_t previous_ns; /* the last beat, also if it came before the window; 0: none yet */
	int64_t previous_error_ns;
	uint16_t previous_port;
	uint32_t drops, drops_before; /* by the kernel: so far, and when the window began */
	uint64_t distances;
	uint32_t buckets[NOVA_BEAT_BUCKETS];
};
/* Starts anew; the last beat is kept, so that a gap across the border is seen whole. */
void nova_beat_window_begin(struct beat_window *window);
/* A beat at `t_ns` ± `error_ns` from a process that sends from `port`. */
void nova_beat_window_add(struct beat_window *window, int64_t t_ns, uint16_t port,
                          int64_t error_ns);
/* What came of it; a silence that goes on until `now_ns` counts as a gap so far. */
void nova_beat_window_end(struct beat_window *window, int64_t now_ns, struct nova_beats *seen);

#endif
