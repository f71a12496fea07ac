/* SPDX-License-Identifier: MIT */
/*
 * The driver's own state, and `struct call`: one op under way, on the helpers' calls. All of it
 * runs on the thread of `pump` or of the op, never both at once (PER_INSTANCE).
 */
#ifndef KUBEVIRT_KUBEVIRT_H
#define KUBEVIRT_KUBEVIRT_H

#include "kubeconfig.h"
#include "notice.h"

#include <novacore/helpers/call.h>
#include <novacore/helpers/ssh.h>
#include <novacore/sdk.h>

#define SECOND_NS 1000000000LL

/* Every VM that this driver touches has this prefix, and this label with the installation's name.
 */
#define OUR_PREFIX "novacore-"
#define OUR_LABEL  "novacore"

/* Why there is none. */
#define NO_EXEC                                                                                    \
	"KubeVirt's API runs no programs in a guest: set hypervisor.kubevirt.ssh_key, for SSH"

/* Groups of the API. */
#define KUBEVIRT     "/apis/kubevirt.io/v1/namespaces"
#define SUBRESOURCES "/apis/subresources.kubevirt.io/v1"
#define METRICS      "/apis/metrics.k8s.io/v1beta1/namespaces"

/* Rights, each one line of the table in target.c. */
#define MAY_VM_GET      0x00001u
#define MAY_VM_LIST     0x00002u
#define MAY_VM_CREATE   0x00004u
#define MAY_VM_PATCH    0x00008u
#define MAY_VM_DELETE   0x00010u
#define MAY_VMI_GET     0x00020u
#define MAY_VMI_LIST    0x00040u
#define MAY_VMI_WATCH   0x00080u
#define MAY_STOP        0x00100u
#define MAY_PAUSE       0x00200u
#define MAY_UNPAUSE     0x00400u
#define MAY_RESET       0x00800u
#define MAY_SNAP_CREATE 0x01000u
#define MAY_SNAP_GET    0x02000u
#define MAY_SNAP_DELETE 0x04000u
#define MAY_REST_CREATE 0x08000u
#define MAY_REST_GET    0x10000u
#define MAY_REST_DELETE 0x20000u
#define MAY_MIG_CREATE  0x40000u
#define MAY_MIG_GET     0x80000u
#define MAY_MIG_DELETE  0x100000u
#define MAY_METRICS     0x200000u

#define MAY_WATCH (MAY_VM_GET | MAY_VMI_GET | MAY_VMI_LIST | MAY_VMI_WATCH)

/* Parts that a cluster has or has not. */
#define HAS_SNAPSHOTS 1u
#define HAS_METRICS   2u
#define HAS_STOP      4u
#define HAS_PAUSE     8u
#define HAS_RESET     16u

/* A VM that an op was about, and what the watch says of its VirtualMachineInstance. */
struct vm {
	struct vm *next;
	char name[NAME_BYTES];
	struct instance seen;      /* uid "": there is none */
	int primed;                /* `seen` is known */
	int listed;                /* in the list that is being read */
	int ran, ended;            /* RUNNING, STOPPED were sent of this instance */
	int held;                  /* a restore is under way: see watch_hold */
	struct nova_event stopped; /* held back; kind 0: none */
};

struct call;

struct watch {
	struct nova_call *call; /* NULL: none runs */
	char version[VERSION_BYTES];
	int relist;
	int64_t alive_ns;   /* it was known to be complete then */
	int64_t opened_ns;  /* the stream */
	int64_t gap_end_ns; /* until then, what arrives may have happened since `gap_ns` */
	int64_t gap_ns;
	int64_t broken_ns; /* since when it fails; 0: it does not */
	int64_t pause_ns;
	char trouble[256];
};

struct kubevirt {
	const struct nova_host *host;
	nova_op instance;
	struct nova_calls *calls;
	struct nova_ssh *ssh; /* NULL: no programs in guests */

	struct kubeconfig config;
	char *base;                                                   /* https://host:6443 */
	char *namespace;                                              /* where VMs are made */
	const char *template, *container_disk, *storage_class, *node; /* the host's; NULL: none */
	int agent, spread, cloud_init, may_run;
	int64_t grace_s;
	int64_t poll_first_ns, poll_longest_ns;

	char version[64], kubernetes[64], snapshots[16]; /* v1beta1 */
	uint32_t may, has;
	int connected;

	struct watch watch;
	struct vm *vms;
	struct call *waiting;
	int64_t trip_ns; /* a recent question's round trip */
};

/* `data` is the answer, borrowed; NULL if it is empty, or after a pause. */
typedef void (*call_step)(struct call *call, json_t *data);

struct call {
	struct nova_call base;
	struct kubevirt *self;
	call_step step;

	/* the VM */
	char name[NAME_BYTES];
	char id[UID_BYTES]; /* uid; the host's until `vm_identify`, then the cluster's; "" unknown
	                     */
	json_t *object;     /* the VirtualMachine, after `vm_identify` */
	json_t *body;       /* its VirtualMachineInstance, after `vm_look`, or NULL */
	struct instance now;
	int missing_is_done;
	call_step identified, looked;

	/* waiting for what the watch tells */
	struct call *next_waiting;
	int waiting;
	int (*look)(struct call *call, const struct vm *vm); /* NOVA_PENDING, DONE, or it failed */
	call_step then, recheck;
	int64_t recheck_ns;
	int64_t trouble_ns; /* since when it does not look well */

	/* what the op needs on its way */
	uint32_t action;
	size_t right;   /* connect: which is asked for */
	char path[640]; /* of a list, snapshot, restore or migration */
	char label[NAME_BYTES];
	char part[256]; /* name of a restore, migration or knob */
	int was_running, holds;
	json_t *spec; /* of a VM to make */
	char *prefix; /* vm_list; the name of a clone; a knob's value; why it failed */
	int failure;
	uint32_t vcpus; /* of a clone */
	uint64_t memory_bytes;
	struct nova_ssh_program *program; /* owned */
};

/* --- call.c ----------------------------------------------------------------------------------- */

/* A call of `op`; on NULL the error has been said. `vm` may be NULL. */
struct call *call_new(struct kubevirt *self, nova_op op, const struct nova_ref *vm);
/* 0: no VM can have that name, and the call has ended. */
int call_set_name(struct call *call, const char *name);

/* Sends a request; takes `body` over (NULL: none), PATCH is JSON Patch. What is put into `path` has
 * been checked or escaped. */
void call_send(struct call *call, call_step step, const char *method, json_t *body,
               const char *path, ...) __attribute__((format(printf, 5, 6)));
void call_pause(struct call *call, call_step step, int64_t for_ns);
/* Body of a DELETE: with what belongs to the object, and if `uid` is not NULL only if it is that.
 */
json_t *call_delete_options(const char *uid);
/* For a nova_poll's `failed`: what failed is at call->path, and is removed before that is said. */
int call_remove_failed(struct nova_call *base, int code, const char *words);
/* A step that ends the call well. */
void call_end(struct call *call, json_t *data);

/* What the helpers ask: see nova_calls_settings. */
void call_release(struct nova_call *base);
int call_judge(struct nova_call *base, const struct nova_reply *reply, struct nova_text *words);
const char *call_advice(int http_status, int code);

/* --- login.c ---------------------------------------------------------------------------------- */

/* Reads kubeconfig and parameters: where the cluster is, and who we are. */
int login_read(struct kubevirt *self);
/* Opens `calls`. */
int login_open(struct kubevirt *self);
/* Gets a token where it comes from a program. NOVA_DONE, or the error was said to `op`. */
int login_begin(struct kubevirt *self, nova_op op);
/* See nova_calls_settings. */
int login_expired(struct nova_call *base, const struct nova_refusal *refusal);
void login_renew(struct nova_call *base);
const char *param_text(const struct kubevirt *self, const char *name);
int64_t param_number(const struct kubevirt *self, const char *name, int64_t fallback);

/* --- watch.c ---------------------------------------------------------------------------------- */

void watch_start(struct kubevirt *self);
/* The VM of that name, made known if it was not. NULL: out of memory. */
struct vm *watch_know(struct kubevirt *self, const char *name);
void watch_forget(struct kubevirt *self, const char *name);
void watch_free(struct kubevirt *self);
/* What a question said of an instance that the watch has not spoken of yet; NULL: there is none. */
void watch_prime(struct kubevirt *self, const char *name, const struct instance *now);
/* Goes on with `then` when `look` says NOVA_DONE; asks it again when the watch says something of
 * call->name. `recheck` (or NULL) is done every `every_ns`, and waits again itself. */
void watch_wait(struct call *call, int (*look)(struct call *call, const struct vm *vm),
                call_step then, call_step recheck, int64_t every_ns);
void watch_unwait(struct call *call);
/* Until the call is over, its VM's stop is part of something that the VM survives, and no event:
 * that comes at the end of the call, if the VM did not run again. */
void watch_hold(struct call *call);
void watch_unhold(struct call *call);

/* --- vm.c ------------------------------------------------------------------------------------- */

/* Finds the VM by name, and makes sure that it is ours and the one meant, then goes on. */
void vm_identify(struct call *call, call_step then);
/* Then its instance, if there is one (call->now, call->body). */
void vm_look(struct call *call, call_step then);
/* One operation of JSON Patch, taken over, unless the VM is another one by now. */
void vm_change(struct call *call, call_step then, json_t *change);
/* Changes spec.runStrategy, unless the VM is another one by now. */
void vm_set_strategy(struct call *call, call_step then, const char *strategy);
/* Of a VM that was looked at: off at once, on; `then` when that is so. */
void vm_off(struct call *call, call_step then);
void vm_on(struct call *call, call_step then);
/* The op began here: looking at the VM first is our caution, not the hypervisor's time. */
void vm_stamp_start(struct call *call);
int vm_has_instance(const struct call *call);
int vm_is_running(const struct call *call);

/* --- knob.c ----------------------------------------------------------------------------------- */

/* NOVA_DONE, or the error was said to `op`. */
int knobs_check(const struct kubevirt *self, nova_op op, const char *const *settings);
/* Into a new VM's template; they were checked. */
void knobs_put(json_t *template, const char *const *settings);
/* From one VirtualMachine to another. */
void knobs_copy(const json_t *from, json_t *to);

/* --- the ops ---------------------------------------------------------------------------------- */

int kubevirt_connect(void *self, nova_op op);
int kubevirt_describe(void *self, nova_op op);
int kubevirt_vm_create(void *self, nova_op op, const char *name, const struct nova_shape *shape);
int kubevirt_vm_clone(void *self, nova_op op, const char *name, const struct nova_ref *from,
                      const struct nova_shape *shape);
int kubevirt_vm_power(void *self, nova_op op, const struct nova_ref *vm, uint32_t action);
int kubevirt_vm_delete(void *self, nova_op op, const struct nova_ref *vm);
int kubevirt_vm_list(void *self, nova_op op, const char *prefix);
int kubevirt_vm_query(void *self, nova_op op, const struct nova_ref *vm, uint32_t what);
int kubevirt_snapshot(void *self, nova_op op, const struct nova_ref *vm, const char *name,
                      uint32_t action);
int kubevirt_knob_list(void *self, nova_op op, const struct nova_ref *vm);
int kubevirt_knob_get(void *self, nova_op op, const struct nova_ref *vm, const char *knob);
int kubevirt_knob_set(void *self, nova_op op, const struct nova_ref *vm, const char *knob,
                      const char *value);
int kubevirt_exec(void *self, nova_op op, const struct nova_ref *vm, const struct nova_exec *exec);
int kubevirt_exec_kill(void *self, nova_op op, const struct nova_ref *vm, int64_t pid);
int kubevirt_migrate_prepare(void *self, nova_op op, const struct nova_ref *vm,
                             const struct nova_shape *shape);
int kubevirt_migrate(void *self, nova_op op, const struct nova_ref *vm,
                     const struct nova_migrate *how);
int kubevirt_migrate_finish(void *self, nova_op op, const struct nova_ref *vm, const char *ticket,
                            int32_t outcome);

#endif
