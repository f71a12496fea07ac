/* SPDX-License-Identifier: MIT */
/*
 * The driver's own state, and `struct call`: one op under way, on the helpers' calls. All of it
 * runs on the thread of `pump` or of the op, never both at once (PER_INSTANCE).
 */
#ifndef VSPHERE_VSPHERE_H
#define VSPHERE_VSPHERE_H

#include "fault.h"

#include <novacore/helpers/call.h>
#include <novacore/helpers/xml.h>
#include <novacore/sdk.h>

#define SECOND_NS 1000000000LL
#define KNOBS     7 /* see knob.c */

/* Every VM that this driver touches carries it. */
#define OUR_PREFIX "novacore-"

/* vCenter's own limit for names in its inventory, in characters; and what they may take. */
#define NAME_LONGEST 80
#define NAME_BYTES   (NAME_LONGEST * 4)

/* A managed object: of which type, and the server's own name for it. Empty: none. */
struct moref {
	char type[48];
	char value[160];
};

struct call;
/* `result` is the answer's element METHODResponse, borrowed; NULL after a pause. */
typedef void (*call_step)(struct call *call, const struct nova_xml_node *result);

/* Where VMs are made; found when connecting. */
struct place {
	struct moref datacenter, compute, pool, host, folder, datastore, network, template;
	char datacenter_path[512];
	char datastore_name[NAME_BYTES + 1], network_name[NAME_BYTES + 1];
	char portgroup[64], switch_uuid[64]; /* of a distributed network; "" of another */
};

/* A collector of changes with a list of what calls wait for; see watch.c. */
struct watch {
	struct call *call; /* the long question; NULL: there is no watch */
	struct moref collector, list;
	char version[64];
	int up;        /* it has answered, and can be relied upon */
	int modifying; /* a change of the list is under way */
	int64_t pause_ns;
	struct nova_text done_with; /* <remove> for the next change of the list */
};

/* Counters whose sums are told of a VM. */
#define COUNTERS 5

struct vsphere {
	const struct nova_host *host;
	nova_op instance;
	struct nova_calls *calls;
	struct call *first_waiting; /* calls that the watch tells of changes */

	char *base; /* https://host[:port] */
	const char *datacenter, *cluster, *host_name, *pool, *folder, *datastore, *network,
	        *template;
	const char *user, *password, *guest_user, *guest_password, *guest_id;
	int linked, tools;
	int64_t poll_first_ns, poll_longest_ns;

	/* the service's own objects */
	struct moref root, properties, search, session, views, rights;
	struct moref files, disks, counters; /* their managers */
	int counters_known;
	int64_t counter_keys[COUNTERS]; /* of stats.c; 0: the server has none */
	struct moref licences, guest_operations, guest_files, guest_processes;
	char session_key[64];
	int leaving; /* no session is asked for any more */
	char product[128], version[64], instance_uuid[64];
	int is_vcenter;

	struct place place;
	uint64_t missing;   /* privileges that are not there: bits, by the table of target.c */
	int rights_unknown; /* the server could not be asked */
	int read_only;      /* the licence lets nothing be changed */
	int connected;
	struct watch watch;
};

/* What a call waits for of its VM. */
struct vm_wait {
	const char *what;  /* for sentences: "the shutdown" */
	const char *paths; /* properties */
	int (*look)(struct call *call, const struct nova_xml_node *object); /* NOVA_* */
	call_step then;
};

struct call {
	struct nova_call base;
	struct vsphere *self;
	call_step step;
	char method[48];       /* of the request under way */
	struct nova_text body; /* being made */

	struct moref parent; /* see props_ask_each */
	int parent_seen;

	/* the task, or the change of a VM, that it waits for */
	struct moref awaited;
	struct call *next_waiting;
	int is_waiting, is_listed;
	int64_t running_ns, news_ns; /* asked then it still ran; then a notification came */
	struct vm_wait wait;
	call_step task_step;
	int (*task_failed)(struct nova_call *base, int code, const char *words);
	struct moref task_result;

	/* the VM */
	char name[NAME_BYTES + 1];
	struct moref vm;
	char power[24], tools[40];
	struct moref runs_on;
	int missing_is_done, missed; /* missed: how often it was not found */
	call_step identified;

	/* what the op needs on its way */
	uint32_t action;
	uint32_t attempts;
	char since[40];      /* when the VM was started, as vSphere writes it */
	struct moref object; /* snapshot, template, datastore, destination: as the op has it */
	struct moref pool, host;
	char label[NAME_BYTES + 1];
	int64_t vcpus, memory_mib, disk_kib;
	int64_t knobs[KNOBS];
	uint32_t knobs_given; /* bits: which of them */
	uint32_t boot;
	char *image;
	char *directory; /* in the guest; of an image: the file here, or a VM's disk there */
	struct nova_text command; /* arguments for its shell */
	struct nova_text input;
	struct nova_text prefix; /* of vm_list */
	int64_t pid, exit_code;
	uint32_t field; /* output that is being fetched */
};

/* --- soap.c: requests ---------------------------------------------------------------------------
 */

/* A call of `op`; on NULL the error has been said. `vm` may be NULL. */
struct call *call_new(struct vsphere *self, nova_op op, const struct nova_ref *vm);
/* 1: a name is UTF-8 without control characters, so that it arrives as it is. */
int soap_can_hold(const char *name);
/* 0: no VM can have that name, and the call has ended. */
int call_set_name(struct call *call, const char *name);

/* Begins the request `method` to `object`; then arguments are added to call->body, in the order of
 * the API's definition; then one of: */
void soap_begin(struct call *call, const char *method, const struct moref *object);
/* a question, which may be sent again where no answer came; */
void soap_ask(struct call *call, call_step step);
/* an order, which must not. */
void soap_order(struct call *call, call_step step);

void soap_add_moref(struct nova_text *body, const char *name, const struct moref *object);
/* 0: it is none, or longer than any that there is. */
int soap_read_moref(const struct nova_xml_node *node, struct moref *object);
int moref_same(const struct moref *one, const struct moref *other);

void call_pause(struct call *call, call_step step, int64_t for_ns);
void call_puzzled(struct call *call, const char *why);

/* What the helpers ask: see nova_calls_settings. */
void soap_release(struct nova_call *base);
int soap_judge(struct nova_call *base, const struct nova_reply *reply, struct nova_text *words);
const char *soap_advice(int http_status, int code);
int soap_expired(struct nova_call *base, const struct nova_refusal *refusal);
void soap_renew(struct nova_call *base);
/* Logs in; then `then`, with no result. */
void soap_login(struct call *call, call_step then);

/* --- connect.c ----------------------------------------------------------------------------------
 */

int vsphere_connect(void *self, nova_op op);
/* A session that is left behind counts against the server's limit for half an hour. */
int vsphere_disconnect(void *self, nova_op op);

/* --- props.c: what is known of objects ----------------------------------------------------------
 */

/* Asks for these properties of the object; "a b.c", separated by blanks. */
void props_ask(struct call *call, call_step step, const struct moref *object, const char *paths);
/* The same of all objects that the property `via` of the object names; they are of `type`. The
 * object is among the answer's: whoever may not look at it, or is not logged in any more, would
 * else be told of an empty list. So for the first of an answer's objects: */
const struct nova_xml_node *props_first_of(struct call *call, const struct nova_xml_node *result);
/* and after the last answer: 0: it was not there, and the call has ended. */
int props_all_seen(struct call *call);
void props_ask_each(struct call *call, call_step step, const struct moref *object, const char *via,
                    const char *type, const char *paths);
/* Asks for the rest of an answer that had a token. 0: there was none, and nothing was asked. */
int props_ask_more(struct call *call, call_step step, const struct nova_xml_node *result);
/* The specification of a filter: of those of a list view that are of `type`. */
void props_add_list_filter(struct nova_text *body, const struct moref *list, const char *type,
                           const char *paths);
/* The objects of an answer. */
const struct nova_xml_node *props_first(const struct nova_xml_node *result);
const struct nova_xml_node *props_next(const struct nova_xml_node *object);
int props_object(const struct nova_xml_node *object, struct moref *out);
/* A property's value, or NULL. */
const struct nova_xml_node *props_value(const struct nova_xml_node *object, const char *path);
const char *props_text(const struct nova_xml_node *object, const char *path, const char *fallback);
int64_t props_number(const struct nova_xml_node *object, const char *path, int64_t fallback);

/* --- watch.c: notifications ---------------------------------------------------------------------
 */

void watch_start(struct vsphere *self);
/* From now on the call's poll is hurried whenever something of call->awaited changes. */
void watch_add(struct call *call);
void watch_drop(struct call *call);

/* --- task.c -------------------------------------------------------------------------------------
 */

/* Sends the order that soap_begin began; it starts a task, and `step` follows when that has ended
 * well: its result is in call->task_result. call->task_failed, if set then, looks at failures. */
void task_order(struct call *call, call_step step);
/* What happened when the task ended. */
void task_event(struct call *call, uint32_t kind);
/* Waits until wait->look says something else than NOVA_PENDING of the VM; then wait->then. */
void task_await_vm(struct call *call, const struct vm_wait *wait);

/* --- target.c -----------------------------------------------------------------------------------
 */

/* Asks what the session and the licence let do where VMs are made; then `step`. */
void target_ask_rights(struct call *call, call_step step);
int vsphere_describe(void *self, nova_op op);

/* --- vm.c ---------------------------------------------------------------------------------------
 */

/* Finds the VM (by id, or by name) and makes sure that it is ours, then goes on. */
void vm_identify(struct call *call, call_step then);
/* The op began here: looking at the VM first is our caution, not the hypervisor's time. */
void vm_stamp_start(struct call *call);
int vm_is(const struct call *call, const char *power);
/* Of reading or reverting: its guest is gone, or comes. */
void vm_watch_ready(const struct call *started);
void vm_agent_gone(struct call *call);
/* Adds a name as vSphere writes it. */
void vm_add_name(struct nova_text *text, const char *name);
/* Looks the name up in the folder where VMs are made: returnval of the answer, if there is one. */
void vm_find(struct call *call, call_step then);
/* A name of vCenter's ("%2f" for '/', "%25" for '%') is that name. */
int vm_same_name(const char *stored, const char *name);

int vsphere_vm_power(void *self, nova_op op, const struct nova_ref *vm, uint32_t action);
int vsphere_vm_delete(void *self, nova_op op, const struct nova_ref *vm);
int vsphere_vm_list(void *self, nova_op op, const char *prefix);
/* stats.c */
void stats_ask(struct call *call, const struct nova_xml_node *unused);

int vsphere_vm_query(void *self, nova_op op, const struct nova_ref *vm, uint32_t what);

/* --- image.c ------------------------------------------------------------------------------------
 */

/* Gives the new VM, call->vm, a copy of the image call->image; ends the call. */
void image_attach(struct call *call);
/* Why it cannot be an image; NULL: it can. */
const char *image_wrong(const char *name);
int vsphere_image_put(void *self, nova_op op, const char *name, const char *path);
int vsphere_image_delete(void *self, nova_op op, const char *name);

/* --- knob.c -------------------------------------------------------------------------------------
 */

/* Adds a shape's knobs, as elements of a VirtualMachineConfigSpec from cpuAllocation on; 0: there
 * is no such knob, and the call has ended. */
int knobs_take(struct call *call, const char *const *knobs);
void knobs_add(struct nova_text *body, const struct call *call);
int vsphere_knob_list(void *self, nova_op op, const struct nova_ref *vm);
int vsphere_knob_get(void *self, nova_op op, const struct nova_ref *vm, const char *knob);
int vsphere_knob_set(void *self, nova_op op, const struct nova_ref *vm, const char *knob,
                     const char *value);

/* --- create.c, snapshot.c, exec.c, migrate.c ----------------------------------------------------
 */

int vsphere_vm_create(void *self, nova_op op, const char *name, const struct nova_shape *shape);
int vsphere_vm_clone(void *self, nova_op op, const char *name, const struct nova_ref *from,
                     const struct nova_shape *shape);
int vsphere_snapshot(void *self, nova_op op, const struct nova_ref *vm, const char *name,
                     uint32_t action);
int vsphere_exec(void *self, nova_op op, const struct nova_ref *vm, const struct nova_exec *exec);
int vsphere_exec_kill(void *self, nova_op op, const struct nova_ref *vm, int64_t pid);
int vsphere_migrate_prepare(void *destination, nova_op op, const struct nova_ref *vm,
                            const struct nova_shape *shape);
int vsphere_migrate(void *source, nova_op op, const struct nova_ref *vm,
                    const struct nova_migrate *how);
int vsphere_migrate_finish(void *destination, nova_op op, const struct nova_ref *vm,
                           const char *ticket, int32_t outcome);

#endif
