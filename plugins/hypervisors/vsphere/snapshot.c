/* SPDX-License-Identifier: MIT */
/* Snapshots. vSphere lets several have one name; here a name is of one. */
#include "vsphere.h"

#include <stdio.h>
#include <string.h>

/* How many snapshots stand on each other: vSphere's own limit is 32. */
#define DEEPEST 64

/* --- finding one --------------------------------------------------------------------------------
 */

/* How many of the tree have that name; the last is in *found. */
static size_t search(const struct nova_xml_node *parent, const char *list, const char *name,
                     int depth, struct moref *found)
{
	const struct nova_xml_node *one = nova_xml_first(parent, VIM, list);
	size_t count = 0;

	for (; one && depth < DEEPEST; one = nova_xml_next(one, VIM, list)) {
		if (vm_same_name(nova_xml_text(one, VIM, "name", ""), name))
			count += (size_t)soap_read_moref(nova_xml_first(one, VIM, "snapshot"),
			                                 found);
		count += search(one, "childSnapshotList", name, depth + 1, found);
	}
	return count;
}

/* --- the ops ------------------------------------------------------------------------------------
 */

static void restored(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	/* since when is known as well as the end of the task is */
	if (vm_is(call, "poweredOn")) {
		task_event(call, NOVA_EVENT_RUNNING);
		vm_watch_ready(call);
	}
	nova_call_done(&call->base);
}

static void reverted(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	if (vm_is(call, "poweredOn"))
		vm_agent_gone(call);
	vm_identify(call, restored);
}

static void ended(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	nova_call_done(&call->base);
}

static void send_create(struct call *call)
{
	struct nova_text name = {0};

	vm_add_name(&name, call->label);
	soap_begin(call, "CreateSnapshot_Task", &call->vm);
	nova_xml_add(&call->body, "name", nova_text_get(&name));
	nova_xml_add(&call->body, "description", "made by novacore");
	nova_xml_add_flag(&call->body, "memory", vm_is(call, "poweredOn"));
	nova_xml_add_flag(&call->body, "quiesce", 0);
	call->body.broken |= name.broken;
	nova_text_free(&name);
	task_order(call, ended);
}

static void send_snapshot(struct call *call, const struct nova_xml_node *result)
{
	size_t count = search(props_value(props_first(result), "snapshot.rootSnapshotList"),
	                      "VirtualMachineSnapshotTree", call->label, 0, &call->object);

	if (call->action == NOVA_SNAPSHOT_CREATE && count) {
		nova_call_fail(&call->base, NOVA_E_EXISTS,
		               "VM '%s' has a snapshot '%s' already; delete it first", call->name,
		               call->label);
		return;
	}
	if (call->action != NOVA_SNAPSHOT_CREATE && count != 1) {
		nova_call_fail(&call->base, count ? NOVA_E_REFUSED : NOVA_E_NOT_FOUND,
		               count ? "VM '%s' has several snapshots '%s': which one is meant is "
		                       "unknown, so nothing was done"
		                     : "VM '%s' has no snapshot '%s'",
		               call->name, call->label);
		return;
	}
	vm_stamp_start(call);
	if (call->action == NOVA_SNAPSHOT_CREATE) {
		send_create(call);
	} else if (call->action == NOVA_SNAPSHOT_RESTORE) {
		soap_begin(call, "RevertToSnapshot_Task", &call->object);
		task_order(call, reverted);
	} else {
		soap_begin(call, "RemoveSnapshot_Task", &call->object);
		nova_xml_add_flag(&call->body, "removeChildren", 0);
		task_order(call, ended);
	}
}

static void ask_snapshots(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	props_ask(call, send_snapshot, &call->vm, "snapshot.rootSnapshotList");
}

int vsphere_snapshot(void *self, nova_op op, const struct nova_ref *vm, const char *name,
                     uint32_t action)
{
	struct vsphere *vsphere = self;
	struct call *call;

	if (!name[0] || strlen(name) > NAME_BYTES || !soap_can_hold(name))
		return vsphere->host->errorf(op, NOVA_E_INVALID,
		                             "'%.100s' cannot be a snapshot's name: UTF-8 without "
		                             "control characters, at most %d bytes",
		                             name, NAME_BYTES);
	if (action != NOVA_SNAPSHOT_CREATE && action != NOVA_SNAPSHOT_RESTORE &&
	    action != NOVA_SNAPSHOT_DELETE)
		return vsphere->host->errorf(op, NOVA_E_UNSUPPORTED,
		                             "this driver has no snapshot action %u", action);
	call = call_new(vsphere, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	call->action = action;
	snprintf(call->label, sizeof(call->label), "%s", name);
	vm_identify(call, ask_snapshots);
	return nova_call_return(&call->base);
}
