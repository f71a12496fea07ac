/* SPDX-License-Identifier: MIT */
/*
 * The driver's own state, and `struct call`: one op under way, on the helpers' calls. All of it
 * runs on the thread of `pump` or of the op, never both at once (PER_INSTANCE).
 */
#ifndef PROXMOX_PROXMOX_H
#define PROXMOX_PROXMOX_H

#include "upid.h"

#include <novacore/helpers/call.h>
#include <novacore/sdk.h>

#define SECOND_NS 1000000000LL

/* Every VM that this driver touches carries it. */
#define OUR_PREFIX "novacore-"

/* Privileges of the token, as /access/permissions tells. */
#define MAY_AUDIT         0x001u
#define MAY_ALLOCATE      0x002u
#define MAY_CLONE         0x004u
#define MAY_POWER         0x008u
#define MAY_SNAPSHOT      0x010u
#define MAY_AGENT         0x040u
#define MAY_CONFIG_CPU    0x080u
#define MAY_CONFIG_MEMORY 0x100u
#define MAY_CONFIG_DISK   0x200u
#define MAY_CONFIG_NET    0x400u
#define MAY_CONFIG_OTHER  0x800u
#define MAY_CONFIG_HW     0x1000u
#define MAY_SPACE         0x2000u
#define MAY_USE_NET       0x4000u
#define MAY_MIGRATE       0x8000u
#define MAY_UPLOAD        0x10000u
#define MAY_DELETE_FILES  0x20000u

struct call;

struct proxmox {
	const struct nova_host *host;
	nova_op instance;
	struct nova_calls *calls;

	char *base; /* https://host:port/api2/json */
	char node[64];
	const char *template, *storage, *bridge, *pool; /* the host's; NULL: none */
	const char *image_storage;
	int full_clone, agent;
	int64_t vmid_min;
	int64_t poll_first_ns, poll_longest_ns, ready_ns;

	char version[64];
	uint32_t may; /* MAY_* */
	size_t nodes; /* in the cluster */
	int connected;
	int64_t next_vmid; /* 0: ask the cluster */
};

/* `data` is the answer's, borrowed; NULL after a pause. */
typedef void (*call_step)(struct call *call, json_t *data);

struct call {
	struct nova_call base;
	struct proxmox *self;
	call_step step;

	/* the task that it waits for */
	struct upid task;
	call_step task_step;
	int (*task_failed)(struct nova_call *base, int code, const char *words);
	void (*task_begun)(struct call *call);

	/* the VM */
	char name[128];
	char node[64];
	int64_t vmid;
	char status[16], qmpstatus[32]; /* from `identify` */
	int missing_is_done, searched;
	call_step identified;

	/* what the op needs on its way */
	uint32_t action;
	uint32_t attempts;
	char label[64];    /* snapshot */
	int64_t from_vmid; /* VM to clone; 0: make an empty one */
	int full;
	int64_t vcpus, memory_mib, disk_gib;
	char *image, *path, *place;
	char volume[256];         /* of an image, on a storage */
	json_t *knobs, *networks; /* texts; NULL: none */
	int64_t bandwidth_kib, downtime_ns, uptime_s;
	struct nova_text form;
	int64_t pid;       /* in the guest */
	int64_t silent_ns; /* asked then, the agent was not there */
};

/* --- call.c ----------------------------------------------------------------------------------- */

/* A call of `op`; on NULL the error has been said. `vm` may be NULL. */
struct call *call_new(struct proxmox *self, nova_op op, const struct nova_ref *vm);
/* 0: no VM can have that name, and the call has ended. */
int call_set_name(struct call *call, const char *name);

/* Sends a request; `path` begins after /api2/json, its variables are escaped. */
void call_send(struct call *call, call_step step, const char *method, const char *body,
               const char *path, ...) __attribute__((format(printf, 5, 6)));
/* The same for a call that starts a task; `step` follows when it has ended well. */
void call_task(struct call *call, call_step step, const char *method, const char *body,
               const char *path, ...) __attribute__((format(printf, 5, 6)));
/* The same for a file; `what` names it in sentences. */
void call_upload(struct call *call, call_step step, const char *what,
                 const struct nova_http_request *request);
/* Waits for a task that has begun. */
void call_wait(struct call *call, call_step step, const struct upid *task);
void call_pause(struct call *call, call_step step, int64_t for_ns);
/* The op began here: looking at the VM first is our caution, not the hypervisor's time. */
void call_stamp_start(struct call *call);

/* What the helpers ask: see nova_calls_settings. */
void call_release(struct nova_call *base);
int call_judge(struct nova_call *base, const struct nova_reply *reply, struct nova_text *words);
const char *call_advice(int http_status, int code);

/* --- vm.c, exec.c, target.c, knob.c, image.c, migrate.c
 * ------------------------------------------------------------------- */

/* Finds the VM (by id, or by name) and makes sure that it is ours, then goes on. */
void vm_identify(struct call *call, call_step then);

/* Keeps what is to be set; 0: it cannot be, and the call has ended. Then sets all of it. */
int knobs_take(struct call *call, const char *const *settings);
void knobs_set(struct call *call, call_step then);
/* Finds the volume of the image call->image; call->volume "": there is none. */
void image_find(struct call *call, call_step then);

int proxmox_connect(void *self, nova_op op);
int proxmox_describe(void *self, nova_op op);
int proxmox_vm_create(void *self, nova_op op, const char *name, const struct nova_shape *shape);
int proxmox_vm_clone(void *self, nova_op op, const char *name, const struct nova_ref *from,
                     const struct nova_shape *shape);
int proxmox_vm_power(void *self, nova_op op, const struct nova_ref *vm, uint32_t action);
int proxmox_vm_delete(void *self, nova_op op, const struct nova_ref *vm);
int proxmox_vm_list(void *self, nova_op op, const char *prefix);
int proxmox_vm_query(void *self, nova_op op, const struct nova_ref *vm, uint32_t what);
int proxmox_snapshot(void *self, nova_op op, const struct nova_ref *vm, const char *name,
                     uint32_t action);
int proxmox_exec(void *self, nova_op op, const struct nova_ref *vm, const struct nova_exec *exec);
int proxmox_exec_kill(void *self, nova_op op, const struct nova_ref *vm, int64_t pid);
int proxmox_image_put(void *self, nova_op op, const char *name, const char *path);
int proxmox_image_delete(void *self, nova_op op, const char *name);
int proxmox_migrate_prepare(void *self, nova_op op, const struct nova_ref *vm,
                            const struct nova_shape *shape);
int proxmox_migrate(void *self, nova_op op, const struct nova_ref *vm,
                    const struct nova_migrate *how);
int proxmox_migrate_finish(void *self, nova_op op, const struct nova_ref *vm, const char *ticket,
                           int32_t outcome);
int proxmox_knob_list(void *self, nova_op op, const struct nova_ref *vm);
int proxmox_knob_get(void *self, nova_op op, const struct nova_ref *vm, const char *knob);
int proxmox_knob_set(void *self, nova_op op, const struct nova_ref *vm, const char *knob,
                     const char *value);

#endif
