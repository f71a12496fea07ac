/* SPDX-License-Identifier: MIT */
/*
 * The simulator's inside. Everything of an instance is guarded by its `lock`; host functions do not
 * block, so they may be called under it, except `done`, which is called after it is released.
 */
#ifndef NOVACORE_SIM_H
#define NOVACORE_SIM_H

#include <pthread.h>

#include <novacore/sdk.h>

/* What has a latency of its own. The names are the parameters'. */
enum operation {
	CONNECT,
	CREATE,
	START,
	FIRST,
	USERSPACE,
	READY,
	SNAPSHOT,
	RESTORE,
	BACK,
	STOP,
	OFF,
	PAUSE,
	DELETE,
	EXEC,
	MIGRATE,
	OPERATIONS
};
extern const char *const OPERATION_NAMES[OPERATIONS];

/* A latency distribution; a and b in ns, or b a plain sigma for LOGNORMAL. */
enum law_kind { CONSTANT, NORMAL, LOGNORMAL, EXPONENTIAL, UNIFORM };
struct law {
	enum law_kind kind;
	double a, b;
};

struct model {
	uint64_t seed;
	struct law laws[OPERATIONS];
	double fail[OPERATIONS], hang[OPERATIONS];
	double rho;
	double spike_probability, spike_factor;
	double regression_factor;
	int64_t regression_vm, regression_after_ns; /* negative: never */
	double cpu, memory, disk; /* use of a VM: cores, share, bytes per second */
};

#define SNAPSHOTS_MAX  32
#define NAME_MAX_BYTES 200

struct task;

struct vm {
	struct vm *next; /* in its bucket */
	char *name, *id;
	uint64_t number; /* the decimal number at the end of its name */
	uint64_t life;   /* of this boot; 0: off. Events of an earlier life are void */
	uint32_t state;  /* NOVA_STATE_* */
	uint32_t vcpus;
	uint64_t memory_bytes, disk_bytes;
	int exists; /* 0 while it is being created, or awaited from a migration */
	int ready;  /* the agent answers */
	struct task *busy;
	int64_t now_ns;   /* virtual clock: where its own time line stands */
	int64_t since_ns; /* when it started */
	uint32_t draws[OPERATIONS];
	char *snapshots[SNAPSHOTS_MAX];
	double factor;   /* knob vm.sim.factor */
	char cache[16];  /* knob vm.disk.cache */
	uint64_t shares; /* knob vm.cpu.shares */
};

#define BUCKETS 4096u

struct sim {
	const struct nova_host *host;
	nova_op instance;
	int is_virtual, is_sync;
	struct model model;
	uint64_t without; /* bit i: capability i of CAPABILITIES is switched off */
	int64_t capacity, born_ns;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* the heap's top, or woken */
	int woken;
	struct task **heap;
	size_t heap_count, heap_room;
	struct task *tasks; /* ops in flight */
	struct vm *buckets[BUCKETS];
	int64_t vm_count;
	uint64_t counter; /* lives, ids, pids, order of timers */
	struct sim *next; /* all instances of this process, for migration */
};

/*
 * An op in flight, or (op 0) an event to come. `finish` applies what the op does and returns its
 * status; it is called under the lock at `due_ns`.
 */
struct task {
	struct task *next, *previous;
	nova_op op;
	enum operation operation;
	char *name; /* the VM's */
	uint64_t life;
	int exclusive; /* it is its VM's `busy` */
	int64_t start_ns, due_ns;
	int hangs, fails, cancelled, killed;
	int (*finish)(struct sim *sim, struct task *task, struct vm *vm);
	uint64_t order;
	size_t place;            /* in the heap, or NOWHERE */
	pthread_cond_t *sleeper; /* ops=sync: the op's own thread waits here */
	uint32_t kind;           /* an event's kind, a power action, a snapshot action */
	char *text;              /* a snapshot's name, a program's output, a ticket */
	uint64_t text_bytes;
	int64_t pid, exit_status;
	int to_stderr, tells_progress;
	int64_t stage_ns[3];   /* of a boot: first, userspace, ready, each after the one before */
	uint32_t stage_end[3]; /* STAGE_* */
	double downtime_limit_ns;
};
#define NOWHERE        SIZE_MAX
#define STAGE_COMES    0u
#define STAGE_CRASHES  1u
#define STAGE_IS_NEVER 2u

/* draw.c: numbers from the seed, the VM's number and nothing else */

/* "lognormal:20ms:0.3" …; NOVA_E_INVALID with a sentence in `why`. */
int law_parse(const char *text, struct law *law, char *why, size_t room);
/* The `k`th sample of an operation on VM `number`, ns. `age_ns`: since the instance began. */
int64_t draw_latency(const struct model *model, enum operation operation, uint32_t k,
                     uint64_t number, int64_t age_ns);
/* Uniform in (0, 1). */
double draw_uniform(uint64_t seed, uint64_t stream, uint64_t number);
int draw_chance(const struct model *model, const double *probability, enum operation operation,
                uint32_t k, uint64_t number, uint64_t salt);
#define SALT_FAIL 1u
#define SALT_HANG 2u

/* clock.c: when tasks end */

/* First thing in an op that takes time: real latencies count from here, before any lock. */
void op_begins(const struct sim *sim);
int sim_pump(void *self, int64_t until_ns);
int sim_wake(void *self);
int sim_cancel(void *self, nova_op op);
/* Under the lock, which it releases: draws latency and fate, then lets the op take its time.
 * Returns what the op has to return. `vm` NULL: an op on no VM. Owns `task`. */
int task_run(struct sim *sim, struct task *task, struct vm *vm);
/* Under the lock: NULL if out of memory. */
struct task *task_new(nova_op op, enum operation operation, const char *name);
void task_free(struct task *task);
/* Under the lock: an event at `due_ns`; now, where the clock is virtual. */
int event_at(struct sim *sim, struct vm *vm, uint32_t kind, int64_t due_ns, uint32_t end);
/* Ends a task before its time, killed. */
int task_kill(struct sim *sim, int64_t pid);
/* Under the lock: sends it, stamped `t_ns`. */
void event_send(struct sim *sim, const char *name, uint32_t kind, int64_t t_ns);
/* Where time stands for this VM. */
int64_t vm_now(const struct sim *sim, const struct vm *vm);

/* vm.c */

struct vm *vm_find(struct sim *sim, const char *name);
/* Under the lock: adds an empty VM; 0 and the reason by host->error if it cannot. */
struct vm *vm_add(struct sim *sim, nova_op op, const char *name, const struct nova_shape *shape,
                  int *status);
void vm_unlink(struct sim *sim, struct vm *vm);
void vm_link(struct sim *sim, struct vm *vm);
void vm_free(struct vm *vm);
/* Takes the lock and finds the VM of an op; on failure has released it and sets *status. */
struct vm *vm_enter(struct sim *sim, nova_op op, const struct nova_ref *ref, int exclusive,
                    int *status);
int sim_vm_create(void *self, nova_op op, const char *name, const struct nova_shape *shape);
int sim_vm_clone(void *self, nova_op op, const char *name, const struct nova_ref *from,
                 const struct nova_shape *shape);
int sim_vm_power(void *self, nova_op op, const struct nova_ref *ref, uint32_t action);
int sim_vm_delete(void *self, nova_op op, const struct nova_ref *ref);
int sim_vm_list(void *self, nova_op op, const char *prefix);
int sim_vm_query(void *self, nova_op op, const struct nova_ref *ref, uint32_t what);
int sim_snapshot(void *self, nova_op op, const struct nova_ref *ref, const char *name,
                 uint32_t action);

/* guest.c */

int sim_exec(void *self, nova_op op, const struct nova_ref *ref, const struct nova_exec *exec);
int sim_exec_kill(void *self, nova_op op, const struct nova_ref *ref, int64_t pid);

/* move.c */

void sim_register(struct sim *sim);
void sim_unregister(struct sim *sim);
int sim_migrate_prepare(void *destination, nova_op op, const struct nova_ref *ref,
                        const struct nova_shape *shape);
int sim_migrate(void *source, nova_op op, const struct nova_ref *ref,
                const struct nova_migrate *how);
int sim_migrate_finish(void *destination, nova_op op, const struct nova_ref *ref,
                       const char *ticket, int32_t outcome);
int sim_twin(void *self, nova_op op);

/* knob.c */

int sim_knob_list(void *self, nova_op op, const struct nova_ref *ref);
int sim_knob_get(void *self, nova_op op, const struct nova_ref *ref, const char *knob);
int sim_knob_set(void *self, nova_op op, const struct nova_ref *ref, const char *knob,
                 const char *value);
/* Under the lock: "name=value"; NOVA_E_* after host->error. */
int knob_apply(struct sim *sim, nova_op op, struct vm *vm, const char *knob, const char *value);

/* sim.c */

/* NOVA_DONE, or NOVA_E_UNSUPPORTED after host->error (op 0: silently) if it is switched off. */
int sim_can(const struct sim *sim, nova_op op, const char *capability);

#endif
