/* SPDX-License-Identifier: MIT */
/*
 * Snapshots: of disks only, memory is not in them. Each is an object that belongs to its VM, so
 * that Kubernetes removes it when the VM is deleted. A restore needs the VM to be off; one whose
 * snapshot was taken while it ran is started again, and boots.
 */
#include "kubevirt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RAN "novacore/ran"

static const char *const plurals[] = {"virtualmachinesnapshots", "virtualmachinerestores"};

static void set_path(struct call *call, int restore, const char *name)
{
	snprintf(call->path, sizeof(call->path),
	         "/apis/snapshot.kubevirt.io/%s/namespaces/%s/%s%s%s", call->self->snapshots,
	         call->self->namespace, plurals[restore], name[0] ? "/" : "", name);
}

/* An object of this group that goes when the VM does. */
static json_t *owned(const struct call *call, const char *kind, const char *name_key,
                     const char *name, json_t *spec)
{
	char version[48];
	json_t *owner = json_pack("{ssssssss}", "apiVersion", "kubevirt.io/v1", "kind",
	                          "VirtualMachine", "name", call->name, "uid", call->id);
	const char *installation = nova_json_text(call->object, "metadata.labels." OUR_LABEL, "x");

	snprintf(version, sizeof(version), "snapshot.kubevirt.io/%s", call->self->snapshots);
	return json_pack("{sssss{sss{ss}s{ss}s[o]}so}", "apiVersion", version, "kind", kind,
	                 "metadata", name_key, name, "labels", OUR_LABEL, installation,
	                 "annotations", RAN, vm_is_running(call) ? "true" : "false",
	                 "ownerReferences", owner, "spec", spec);
}

static json_t *reference(const struct call *call)
{
	return json_pack("{ssssss}", "apiGroup", "kubevirt.io", "kind", "VirtualMachine", "name",
	                 call->name);
}

/* --- polling ---------------------------------------------------------------------------------- */

static void ask_object(struct nova_call *base)
{
	nova_call_send(base, NULL, "GET", NULL, "%s", ((struct call *)base)->path);
}

static void remove_object(struct nova_call *base)
{
	nova_call_send(base, NULL, "DELETE", NULL, "%s", ((struct call *)base)->path);
}

static void poll_object(struct call *call, const char *what,
                        int (*look)(struct nova_call *, const struct nova_reply *,
                                    struct nova_text *),
                        nova_step then, void (*stop)(struct nova_call *))
{
	struct nova_poll poll = {.first_ns = call->self->poll_first_ns,
	                         .longest_ns = call->self->poll_longest_ns,
	                         .ask = ask_object,
	                         .look = look,
	                         .stop = stop,
	                         .then = then,
	                         .failed = call_remove_failed};

	snprintf(poll.name, sizeof(poll.name), "%s %s of VM %s", what, call->label, call->name);
	nova_call_poll(&call->base, &poll);
}

static int look_snapshot(struct nova_call *base, const struct nova_reply *reply,
                         struct nova_text *words)
{
	const char *phase = nova_json_text(reply->json, "status.phase", "");

	(void)base;
	if (nova_json_flag(reply->json, "status.readyToUse", 0))
		return NOVA_DONE;
	if (strcmp(phase, "Failed") != 0)
		return NOVA_PENDING;
	nova_text_printf(words, "the snapshot failed: %s",
	                 nova_json_text(reply->json, "status.error.message", "no reason given"));
	return NOVA_E_FAILED;
}

static int look_restore(struct nova_call *base, const struct nova_reply *reply,
                        struct nova_text *words)
{
	const char *why = condition_complaint(reply->json, "Ready");

	(void)base;
	if (nova_json_flag(reply->json, "status.complete", 0))
		return NOVA_DONE;
	if (!condition_is_true(reply->json, "Failure"))
		return NOVA_PENDING;
	nova_text_printf(words, "the restore failed: %s", why ? why : "no reason given");
	return NOVA_E_FAILED;
}

static void ended(struct nova_call *base, const struct nova_reply *reply)
{
	(void)reply;
	nova_call_done(base);
}

/* --- create ----------------------------------------------------------------------------------- */

static void await_snapshot(struct call *call, json_t *data)
{
	(void)data;
	set_path(call, 0, call->part);
	poll_object(call, "snapshot", look_snapshot, ended, remove_object);
}

static void make_snapshot(struct call *call)
{
	json_t *spec = json_pack("{so}", "source", reference(call));

	vm_stamp_start(call);
	set_path(call, 0, "");
	call_send(call, await_snapshot, "POST",
	          owned(call, "VirtualMachineSnapshot", "name", call->part, spec), "%s",
	          call->path);
}

/* --- restore ---------------------------------------------------------------------------------- */

/* A restore that is done is of no more use; its trace would only be in the way. */
static void cleared(struct call *call, json_t *data)
{
	if (call->was_running)
		vm_on(call, call_end);
	else
		call_end(call, data);
}

static void restored(struct nova_call *base, const struct nova_reply *reply)
{
	struct call *call = (struct call *)base;

	(void)reply;
	call_send(call, cleared, "DELETE", call_delete_options(NULL), "%s", call->path);
}

static void await_restore(struct call *call, json_t *data)
{
	const char *name = nova_json_text(data, "metadata.name", "");

	if (!name[0] || strlen(name) >= sizeof(call->part) ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") != strlen(name)) {
		nova_call_puzzled(&call->base, "a restore without a name");
		return;
	}
	set_path(call, 1, name);
	poll_object(call, "restore", look_restore, restored, remove_object);
}

static void send_restore(struct call *call, json_t *data)
{
	char prefix[NAME_BYTES + 16];
	json_t *spec = json_pack("{soss}", "target", reference(call), "virtualMachineSnapshotName",
	                         call->part);

	(void)data;
	snprintf(prefix, sizeof(prefix), "%s-restore-", call->name);
	set_path(call, 1, "");
	call_send(call, await_restore, "POST",
	          owned(call, "VirtualMachineRestore", "generateName", prefix, spec), "%s",
	          call->path);
}

/* --- delete ----------------------------------------------------------------------------------- */

static int snapshot_gone(struct nova_call *base, const struct nova_refusal *refusal)
{
	if (refusal->code != NOVA_E_NOT_FOUND)
		return 0;
	nova_call_done(base);
	return 1;
}

static void ask_gone(struct nova_call *base)
{
	ask_object(base);
	nova_call_on_refusal(base, snapshot_gone);
}

static int look_gone(struct nova_call *base, const struct nova_reply *reply,
                     struct nova_text *words)
{
	(void)base;
	(void)reply;
	(void)words;
	return NOVA_PENDING;
}

static void await_gone(struct call *call, json_t *data)
{
	struct nova_poll poll = {.first_ns = call->self->poll_first_ns,
	                         .longest_ns = call->self->poll_longest_ns,
	                         .at_once = 1,
	                         .ask = ask_gone,
	                         .look = look_gone,
	                         .then = ended};

	(void)data;
	snprintf(poll.name, sizeof(poll.name), "the deletion of snapshot %s of VM %s", call->label,
	         call->name);
	nova_call_poll(&call->base, &poll);
}

/* --- the one that is meant -------------------------------------------------------------------- */

static int belongs(const struct call *call, const json_t *object)
{
	size_t i;
	json_t *owner;

	json_array_foreach(nova_json_at(object, "metadata.ownerReferences"), i, owner)
	{
		if (strcmp(nova_json_text(owner, "uid", ""), call->id) == 0)
			return 1;
	}
	return 0;
}

static void no_snapshot(struct call *call)
{
	nova_call_fail(&call->base, NOVA_E_NOT_FOUND, "VM '%s' in %s has no snapshot '%s'",
	               call->name, call->self->namespace, call->label);
}

static void use_snapshot(struct call *call, json_t *data)
{
	const char *uid = nova_json_text(data, "metadata.uid", "");

	if (!belongs(call, data)) {
		no_snapshot(call);
	} else if (call->action == NOVA_SNAPSHOT_DELETE) {
		vm_stamp_start(call);
		call_send(call, await_gone, "DELETE", call_delete_options(uid), "%s", call->path);
		nova_call_on_refusal(&call->base, snapshot_gone);
	} else if (!nova_json_flag(data, "status.readyToUse", 0)) {
		nova_call_fail(&call->base, NOVA_E_BUSY,
		               "snapshot '%s' of VM '%s' is not ready to use", call->label,
		               call->name);
	} else {
		call->was_running =
		        strcmp(nova_json_text(data, "metadata.annotations[\"" RAN "\"]", ""),
		               "true") == 0;
		vm_stamp_start(call);
		nova_ssh_forget(call->self->ssh, call->name); /* it may not have had a host key */
		watch_hold(call);
		vm_off(call, send_restore);
	}
}

static int snapshot_missing(struct nova_call *base, const struct nova_refusal *refusal)
{
	if (refusal->code != NOVA_E_NOT_FOUND)
		return 0;
	no_snapshot((struct call *)base);
	return 1;
}

static void send_snapshot(struct call *call, json_t *data)
{
	(void)data;
	if (call->action == NOVA_SNAPSHOT_CREATE) {
		make_snapshot(call);
		return;
	}
	set_path(call, 0, call->part);
	call_send(call, use_snapshot, "GET", NULL, "%s", call->path);
	nova_call_on_refusal(&call->base, snapshot_missing);
}

int kubevirt_snapshot(void *self, nova_op op, const struct nova_ref *vm, const char *name,
                      uint32_t action)
{
	struct kubevirt *kubevirt = self;
	struct call *call;

	if (action != NOVA_SNAPSHOT_CREATE && action != NOVA_SNAPSHOT_RESTORE &&
	    action != NOVA_SNAPSHOT_DELETE)
		return kubevirt->host->errorf(op, NOVA_E_UNSUPPORTED,
		                              "this driver has no snapshot action %u", action);
	if (!(kubevirt->has & HAS_SNAPSHOTS))
		return kubevirt->host->error(op, NOVA_E_UNSUPPORTED,
		                             "this cluster has no snapshot.kubevirt.io");
	if (!is_name(name))
		return kubevirt->host->errorf(op, NOVA_E_INVALID,
		                              "'%.100s' cannot be a snapshot's name in Kubernetes: "
		                              "a-z, 0-9 and -, at most 63 of them",
		                              name);
	call = call_new(kubevirt, op, vm);
	if (!call)
		return NOVA_E_MEMORY;
	call->action = action;
	snprintf(call->label, sizeof(call->label), "%s", name);
	snprintf(call->part, sizeof(call->part), "%s-%s", call->name, name);
	if (call->name[0])
		vm_look(call, send_snapshot);
	return nova_call_return(&call->base);
}
