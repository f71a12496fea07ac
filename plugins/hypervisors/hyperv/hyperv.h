/* SPDX-License-Identifier: MIT */
/*
 * The driver's own state, and `struct call`: one op under way, on the helpers' calls. All of it
 * runs on the thread of `pump` or of the op, never both at once (PER_INSTANCE).
 */
#ifndef HYPERV_HYPERV_H
#define HYPERV_HYPERV_H

#include "cim.h"

#include <novacore/helpers/call.h>
#include <novacore/helpers/ssh.h>
#include <novacore/sdk.h>

#define SECOND_NS 1000000000LL

/* Every VM that this driver touches carries it. */
#define OUR_PREFIX "novacore-"
/* What Hyper-V takes as a VM's name; the name of its disk is made of it. */
#define NAME_LONGEST 100

#define PROCESSOR_SETTINGS "Msvm_ProcessorSettingData"
#define MEMORY_SETTINGS    "Msvm_MemorySettingData"

/* EnabledState of Msvm_ComputerSystem, and what RequestStateChange takes. */
#define STATE_RUNNING 2
#define STATE_OFF     3
#define STATE_SAVED   6
#define STATE_PAUSED  9
#define STATE_RESET   11

/* Why there is none. */
#define NO_EXEC                                                                                    \
	"WMI runs no programs in guests (PowerShell Direct is no part of it): set "                \
	"hypervisor.hyperv.ssh_key, for SSH, and heartbeat=true, for their addresses"

/* What the account sees or may there. */
#define MAY_MANAGE   0x01u /* Msvm_VirtualSystemManagementService */
#define MAY_DISKS    0x02u /* Msvm_ImageManagementService */
#define MAY_SNAPSHOT 0x04u /* Msvm_VirtualSystemSnapshotService */
#define MAY_MIGRATE  0x08u /* Msvm_VirtualSystemMigrationService */
#define MAY_HOST     0x10u /* root/cimv2 */
#define MAY_SWITCH   0x20u /* Msvm_VirtualEthernetSwitchManagementService */

struct call;
struct watched;

enum service { MANAGE, DISKS, SNAPSHOTS, MIGRATION, SWITCHES, SERVICES };

struct hyperv {
	const struct nova_host *host;
	nova_op instance;
	struct nova_calls *calls;
	struct nova_ssh *ssh; /* NULL: no programs in guests */

	char *base; /* https://host:5986 */
	const char *template, *network;
	int full_clone, heartbeat, generation, secure_boot, move_storage;
	int64_t poll_first_ns, poll_longest_ns, ready_ns;

	/* of the host, from `connect` */
	uint32_t may; /* MAY_* */
	int connected, migrates;
	char computer[64];  /* its name in paths */
	char dns_name[256]; /* its name for other hosts */
	char product[128], version[64];
	char service[SERVICES][64]; /* their names there */
	char directory[256];        /* for disks; "": none that can be used */
	char template_why[200];     /* why the template cannot be used; "": it can */

	struct watched *watched; /* VMs whose guest is waited for */
	struct call *watcher;    /* who asks; NULL: nobody */
};

/* `output` is the answer's, borrowed; NULL after a pause, a job, or a question. */
typedef void (*call_step)(struct call *call, const struct nova_xml_node *output);
typedef void (*item_step)(struct call *call, const struct nova_xml_node *instance);

struct call {
	struct nova_call base;
	struct hyperv *self;

	/* the request */
	call_step step;
	item_step each;
	char expected[80];  /* the element that answers it */
	char message[48];   /* its id */
	char resource[120]; /* where its pages are pulled from */
	char context[200];  /* of the enumeration; "": none */
	uint32_t pages;
	uint32_t returns;      /* RETURNS_* */
	struct nova_text body; /* what is being written */
	int order;
	/* what becomes of refused and lost requests, for a call that goes on whatever happens */
	int (*refused)(struct nova_call *base, const struct nova_refusal *refusal);
	int (*lost)(struct nova_call *base, int code, const char *why);

	/* the job that it waits for */
	struct reference job;
	int polled;            /* it was asked for */
	struct reference made; /* what the order made, where its answer says so */
	int (*job_failed)(struct nova_call *base, int code, const char *words);
	void (*job_begun)(struct call *call);

	/* the VM */
	char name[128];
	char guid[40];
	int64_t state; /* STATE_*, from `identify` */
	size_t found;
	int missing_is_done;
	char other[160]; /* the name it has instead */
	char seen[40];   /* its id, as the host says it */
	call_step identified;

	/* what the op needs on its way */
	uint32_t action, attempts;
	char prefix[128];
	char label[128];    /* snapshot */
	char snapshot[160]; /* its id */
	uint64_t vcpus, memory_mib, disk_bytes;
	char parent[480]; /* disk to link to or copy; "": none */
	int full;
	char disk[480]; /* the VM's */
	char component[160];
	char processor[160], memory[160];
	struct nova_text files; /* to be deleted, each ended by a NUL */
	size_t next_file;
	struct nova_text
	        switches; /* networks that are still to be connected, each ended by a NUL */
	size_t next_switch;
	struct nova_text knobs; /* of a new VM, "NAME=VALUE", each ended by a NUL */
	char network[64];       /* the id of the one that is being connected */
	char ticket[512];
	uint32_t compress;
	int64_t moved_ns;
	char address[NOVA_SSH_ADDRESS_ROOM];
	struct nova_ssh_program *program; /* owned */
};

/* --- wsman.c ---------------------------------------------------------------------------------- */

/* A call of `op`; on NULL the error has been said. `vm` may be NULL. */
struct call *call_new(struct hyperv *self, nova_op op, const struct nova_ref *vm);
/* 0: no VM can have that name, and the call has ended. */
int call_set_name(struct call *call, const char *name);

/*
 * A question in WQL: the text in call->body (begun by `wql_begin`), in one of the two namespaces;
 * `each` for each instance, in as many pages as there are, then `then`.
 */
struct nova_text *wql_begin(struct call *call, const char *text);
void wql_send(struct call *call, const char *space, item_step each, call_step then);

/*
 * A method. Parameters are added to call->body between the two; `step` goes on when it has ended
 * well, after its job if there is one. Of what is not constant, values are escaped.
 */
void order_begin(struct call *call, const char *class_name, const char *method, const char *key,
                 const char *value);
/* Of a service of Hyper-V's. */
void order_service(struct call *call, enum service service, const char *method);
void order_add(struct call *call, const char *name, const char *value);
void order_add_number(struct call *call, const char *name, int64_t value);
/* A reference to an object by its one key; of a computer system by its name. */
void order_add_reference(struct call *call, const char *name, const char *class_name,
                         const char *value);
void order_send(struct call *call, call_step step);
/* CIM_DataFile.Delete */
void order_delete_file(struct call *call, const char *path, call_step step);

void call_pause(struct call *call, call_step step, int64_t for_ns);
/* That the VM changed when the order's answer, or its job's end, said so. */
void call_event(struct call *call, uint32_t kind);

/* What the helpers ask: see nova_calls_settings. */
void call_release(struct nova_call *base);
int call_judge(struct nova_call *base, const struct nova_reply *reply, struct nova_text *words);
const char *call_advice(int http_status, int code);

const char *service_class(enum service service);

/* --- vm.c, watch.c, create.c, … --------------------------------------------------------------- */

/* Finds the VM (by id, or by name) and makes sure that it is ours, then goes on. */
void vm_identify(struct call *call, call_step then);
/* The op begins here: looking at the VM first is our caution, not the hypervisor's time. */
void vm_stamp_start(struct call *call);
void vm_change_state(struct call *call, int64_t state, call_step then);
/* The VM's settings of that class, and those of its devices. */
void vm_ask_settings(struct call *call, const char *class_name, item_step each, call_step then);
/* "Microsoft:GUID", the id of the VM's own settings. */
const char *vm_settings(const struct call *call, char id[64]);
/* What the VM's guest says of its network cards; they are its if vm_has_card. */
void vm_ask_cards(struct call *call, item_step each, call_step then);
int vm_has_card(const struct call *call, const struct nova_xml_node *instance);

/* Reports READY as soon as the VM's guest answers; `anew`: after it was silent. */
void watch_ready(const struct call *call, int anew);
void watch_forget(struct hyperv *self, const char *guid);
void watch_close(struct hyperv *self);

/* NOVA_DONE, or the error was said to `op`. */
int knobs_check(const struct hyperv *self, nova_op op, const char *const *settings);
/* For a new VM; they were checked. */
void knobs_take(struct call *call, const char *const *settings);
int knobs_have(const struct call *call, const char *name);
/* The properties of that class that they set. */
void knobs_add(struct call *call, const char *class_name);

int hyperv_connect(void *self, nova_op op);
int hyperv_describe(void *self, nova_op op);
int hyperv_vm_create(void *self, nova_op op, const char *name, const struct nova_shape *shape);
int hyperv_vm_clone(void *self, nova_op op, const char *name, const struct nova_ref *from,
                    const struct nova_shape *shape);
int hyperv_vm_power(void *self, nova_op op, const struct nova_ref *vm, uint32_t action);
int hyperv_vm_delete(void *self, nova_op op, const struct nova_ref *vm);
int hyperv_vm_list(void *self, nova_op op, const char *prefix);
int hyperv_vm_query(void *self, nova_op op, const struct nova_ref *vm, uint32_t what);
int hyperv_snapshot(void *self, nova_op op, const struct nova_ref *vm, const char *name,
                    uint32_t action);
int hyperv_knob_list(void *self, nova_op op, const struct nova_ref *vm);
int hyperv_knob_get(void *self, nova_op op, const struct nova_ref *vm, const char *knob);
int hyperv_knob_set(void *self, nova_op op, const struct nova_ref *vm, const char *knob,
                    const char *value);
int hyperv_exec(void *self, nova_op op, const struct nova_ref *vm, const struct nova_exec *exec);
int hyperv_exec_kill(void *self, nova_op op, const struct nova_ref *vm, int64_t pid);
int hyperv_net_create(void *self, nova_op op, const char *name, uint32_t kind);
int hyperv_net_delete(void *self, nova_op op, const char *name);
int hyperv_migrate_prepare(void *self, nova_op op, const struct nova_ref *vm,
                           const struct nova_shape *shape);
int hyperv_migrate(void *self, nova_op op, const struct nova_ref *vm,
                   const struct nova_migrate *how);
int hyperv_migrate_finish(void *self, nova_op op, const struct nova_ref *vm, const char *ticket,
                          int32_t outcome);

#endif
