/* SPDX-License-Identifier: MIT */
/*
 * The driver's own state, and `struct call`: one op under way, on the helpers' calls. All of it
 * runs on the thread of `pump` or of the op, never both at once (PER_INSTANCE).
 */
#ifndef XCP_NG_XCPNG_H
#define XCP_NG_XCPNG_H

#include "answer.h"

#include <novacore/helpers/call.h>
#include <novacore/helpers/ssh.h>
#include <novacore/sdk.h>

#define SECOND_NS 1000000000LL
#define MIB       1048576u

/* Every VM that this driver touches carries it. */
#define OUR_PREFIX "novacore-"

#define NULL_REF "OpaqueRef:NULL"

/* Tasks whose end was seen before the answer that names them. */
#define ENDED_ROOM 256u

struct call;
struct guest;

struct xcpng {
	const struct nova_host *host;
	nova_op instance;
	struct nova_calls *calls;
	struct nova_ssh *ssh; /* NULL: no programs in guests */

	char *base;   /* https://host:port, of the pool's master once it is known */
	char port[8]; /* ":8443", or "" */
	const char *user, *password, *template, *base_template;
	const char *host_name, *sr_name, *network_name; /* as configured; NULL: none */
	int full_copy, tools;
	int64_t poll_first_ns, poll_longest_ns;

	/* the session */
	char session[REF_ROOM];
	int64_t rpc_id;
	int redirected; /* to the master, once in a login */
	int leaving;    /* no session is asked for any more */

	/* the target, from `connect` */
	int connected;
	char pool[UUID_ROOM];
	char version[64], brand[64];
	char host_ref[REF_ROOM], host_base[300]; /* the parameter `host`; "": any, the master */
	char sr[REF_ROOM], network[REF_ROOM];    /* "": none */
	uint32_t hosts;                          /* in the pool */
	int superuser;
	json_t *permissions; /* set of lower-case names: {"vm.start": true} */

	/* --- watch.c --- */
	struct call *watch; /* NULL: there is none, or it has ended */
	char *token;
	int watching; /* 1: answers come */
	char ended[ENDED_ROOM][REF_ROOM];
	int64_t ended_ns[ENDED_ROOM];
	uint32_t ended_next;
	struct guest *guests;
	struct call *calls_list; /* all of them */
};

/* `result` is the answer's, borrowed; NULL after a pause or a task. */
typedef void (*call_step)(struct call *call, json_t *result);

struct call {
	struct nova_call base;
	struct xcpng *self;
	struct call *next; /* of all */
	call_step step;
	int plain;              /* the request is HTTP, not JSON-RPC */
	int64_t rpc_id;         /* of the last request */
	char session[REF_ROOM]; /* that it was sent with */

	/* the task that it waits for */
	char task[REF_ROOM], task_name[48];
	call_step task_step;
	int (*task_failed)(struct nova_call *base, int code, const char *words);
	char made[REF_ROOM];         /* what it has made; "": nothing */
	int64_t ordered_ns, seen_ns; /* order sent, its end pushed (0: not) */

	/* the VM */
	char name[256];
	char uuid[UUID_ROOM], ref[REF_ROOM];
	json_t *record; /* from `vm_identify`; owned */
	int missing_is_done, anywhere;
	call_step identified;

	/* what the task will bring about, for the watch */
	uint32_t event;
	const char *state; /* power_state; NULL: only the task's end tells */
	int told;

	/* what the op needs on its way */
	uint32_t action, attempts;
	char *text, *path;   /* owned */
	char label[256];     /* of a snapshot */
	json_t *list, *more; /* owned: what is still to be done */
	size_t index;
	char other[REF_ROOM], disk[REF_ROOM];
	int64_t vcpus, memory, disk_bytes, file_bytes;
	uint32_t boot;
	const char *format; /* of a file to be sent */
	call_step after;
	struct nova_ssh_program *program; /* owned */
};

/* --- rpc.c ------------------------------------------------------------------------------------ */

/* A call of `op`; on NULL the error has been said. `vm` may be NULL. */
struct call *call_new(struct xcpng *self, nova_op op, const struct nova_ref *vm);
/* 0: no VM can have that name, and the call has ended. */
int call_set_name(struct call *call, const char *name);
/* Calls METHOD(session, …); the arguments are json_pack's, an array: "[ss]". */
void call_rpc(struct call *call, call_step step, const char *method, const char *format, ...);
/* The same for what takes time, as a task; `step` follows when it has ended well. */
void call_task(struct call *call, call_step step, const char *method, const char *format, ...);
void call_pause(struct call *call, call_step step, int64_t for_ns);
/* HTTP with the session. `host_base`: https://… of the host that is to answer. */
void call_http(struct call *call, call_step step, const char *what, const char *host_base,
               struct nova_http_request *request);
/* A reference in an answer, copied; 0: there is none, and the call has ended. */
int call_take_ref(struct call *call, const json_t *result, char ref[REF_ROOM]);
/* The expected event, unless the watch was faster. At a task's end. */
void call_tell(struct call *call);
/* Logs in, as the first step of `call`. */
void rpc_login(struct call *call, call_step then);
int rpc_open(struct xcpng *self);
/* A session that is left behind counts against the pool's limit for a day. */
int xcpng_disconnect(void *self, nova_op op);

/* --- watch.c ---------------------------------------------------------------------------------- */

/* Begins to watch what happens in the pool, or goes on. */
void watch_start(struct xcpng *self);
/* When its end was pushed; 0: it was not yet. */
int64_t watch_ended_ns(const struct xcpng *self, const char *task);
/* That it happened to the call's VM, as was pushed then. */
void watch_event(struct call *call, uint32_t kind, int64_t t_ns);
/* From now on its tools, its addresses and its end are looked at. */
void watch_guest(struct call *call);
void watch_free(struct xcpng *self);

/* --- vm.c, snapshot.c, migrate.c, image.c, create.c, target.c, query.c, knob.c -----------------
 */

/* Finds the VM (by id, or by name), makes sure that it is ours, and goes on. */
void vm_identify(struct call *call, call_step then);
const char *vm_state(const struct call *call);
/* The op began here: looking at the VM first is our caution, not the hypervisor's time. */
void vm_stamp_start(struct call *call);
/* Destroys the disks of the VM or snapshot `ref` that nobody else has, then the object itself. */
void vm_destroy(struct call *call, const char *ref, call_step then);
/* Sends the file call->path to the disk call->disk. */
void image_send(struct call *call, call_step then);
/* Size and format of call->path; 0: the call has ended. */
int image_look(struct call *call);

int xcpng_connect(void *self, nova_op op);
int xcpng_describe(void *self, nova_op op);
int xcpng_vm_create(void *self, nova_op op, const char *name, const struct nova_shape *shape);
int xcpng_vm_clone(void *self, nova_op op, const char *name, const struct nova_ref *from,
                   const struct nova_shape *shape);
int xcpng_vm_power(void *self, nova_op op, const struct nova_ref *vm, uint32_t action);
int xcpng_vm_delete(void *self, nova_op op, const struct nova_ref *vm);
int xcpng_vm_list(void *self, nova_op op, const char *prefix);
int xcpng_vm_query(void *self, nova_op op, const struct nova_ref *vm, uint32_t what);
int xcpng_snapshot(void *self, nova_op op, const struct nova_ref *vm, const char *name,
                   uint32_t action);
int xcpng_exec(void *self, nova_op op, const struct nova_ref *vm, const struct nova_exec *exec);
int xcpng_exec_kill(void *self, nova_op op, const struct nova_ref *vm, int64_t pid);
int xcpng_image_put(void *self, nova_op op, const char *name, const char *path);
int xcpng_image_delete(void *self, nova_op op, const char *name);
int xcpng_net_create(void *self, nova_op op, const char *name, uint32_t kind);
int xcpng_net_delete(void *self, nova_op op, const char *name);
int xcpng_migrate_prepare(void *self, nova_op op, const struct nova_ref *vm,
                          const struct nova_shape *shape);
int xcpng_migrate(void *self, nova_op op, const struct nova_ref *vm,
                  const struct nova_migrate *how);
int xcpng_migrate_finish(void *self, nova_op op, const struct nova_ref *vm, const char *ticket,
                         int32_t outcome);
int xcpng_knob_list(void *self, nova_op op, const struct nova_ref *vm);
int xcpng_knob_get(void *self, nova_op op, const struct nova_ref *vm, const char *knob);
int xcpng_knob_set(void *self, nova_op op, const struct nova_ref *vm, const char *knob,
                   const char *value);

#endif
