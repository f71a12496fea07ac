/* SPDX-License-Identifier: MIT */
/* Checkpoints. Hyper-V names a new one itself; it is renamed, because names are how the host asks.
 */
#include "hyperv.h"

#include <stdio.h>
#include <string.h>

#define FULL 2 /* SnapshotType of CreateSnapshot */
#define KIND "Microsoft:Hyper-V:Snapshot:Realized"

static void done(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	nova_call_done(&call->base);
}

/* --- create ----------------------------------------------------------------------------------- */

static void rename_it(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	if (!call->snapshot[0]) {
		nova_call_fail(&call->base, NOVA_E_PROTOCOL,
		               "Hyper-V made a checkpoint of VM %s and does not say which",
		               call->name);
		return;
	}
	order_service(call, MANAGE, "ModifySystemSettings");
	cim_begin(&call->body, "SystemSettings", "Msvm_VirtualSystemSettingData");
	cim_property(&call->body, "InstanceID", "string", call->snapshot);
	cim_property(&call->body, "ElementName", "string", call->label);
	cim_end(&call->body, "SystemSettings");
	order_send(call, done);
}

static void keep_snapshot(struct call *call, const struct nova_xml_node *instance)
{

	if (strcasecmp(item_text(instance, "VirtualSystemIdentifier"), call->guid) == 0)
		snprintf(call->snapshot, sizeof(call->snapshot), "%.150s",
		         item_text(instance, "InstanceID"));
}

/* The answer may name it before the job has begun; else the job's elements are asked for. */
static void snapshot_made(struct call *call, const struct nova_xml_node *output)
{
	struct nova_text *wql;

	snprintf(call->snapshot, sizeof(call->snapshot), "%.150s", call->made.value);
	if (call->made.class_name[0] || !call->job.class_name[0]) {
		rename_it(call, output);
		return;
	}
	wql = wql_begin(call, "associators of {");
	nova_text_printf(wql, "%s.InstanceID='", call->job.class_name);
	cim_add_wql(wql, call->job.value);
	nova_text_add(wql, "'} where AssocClass=Msvm_AffectedJobElement "
	                   "ResultClass=Msvm_VirtualSystemSettingData");
	wql_send(call, CIM_VIRT, keep_snapshot, rename_it);
}

static void take_snapshot(struct call *call)
{
	order_service(call, SNAPSHOTS, "CreateSnapshot");
	order_add_reference(call, "AffectedSystem", "Msvm_ComputerSystem", call->guid);
	order_add(call, "SnapshotSettings", "");
	order_add_number(call, "SnapshotType", FULL);
	order_send(call, snapshot_made);
}

/* --- restore ---------------------------------------------------------------------------------- */

static void running_again(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	call_event(call, NOVA_EVENT_RUNNING);
	watch_ready(call, 0);
	nova_call_done(&call->base);
}

/* A checkpoint with memory leaves the VM saved: the state that it is to be in is one step further.
 */
static void restored(struct call *call, const struct nova_xml_node *unused)
{
	if (call->state == STATE_SAVED)
		vm_change_state(call, STATE_RUNNING, running_again);
	else
		done(call, unused);
}

static void look_again(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	nova_ssh_forget(call->self->ssh, call->name); /* it may not have had a host key then */
	vm_identify(call, restored);
}

static void apply(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	order_service(call, SNAPSHOTS, "ApplySnapshot");
	order_add_reference(call, "Snapshot", "Msvm_VirtualSystemSettingData", call->snapshot);
	order_send(call, look_again);
}

static void stop_and_apply(struct call *call)
{
	watch_forget(call->self, call->guid);
	if (call->state == STATE_OFF || call->state == STATE_SAVED) {
		apply(call, NULL);
		return;
	}
	if (call->self->heartbeat)
		nova_call_event(&call->base, call->name, NOVA_EVENT_UNREADY, NOVA_SOURCE_API,
		                nova_http_now_ns(), 1);
	vm_change_state(call, STATE_OFF, apply); /* Hyper-V applies none to a VM that runs */
}

/* --- which one -------------------------------------------------------------------------------- */

static void look_at_snapshot(struct call *call, const struct nova_xml_node *instance)
{

	if (strcmp(item_text(instance, "ElementName"), call->label) != 0)
		return;
	call->found++;
	snprintf(call->snapshot, sizeof(call->snapshot), "%.150s",
	         item_text(instance, "InstanceID"));
}

static void found_or_not(struct call *call, const struct nova_xml_node *unused)
{
	int creates = call->action == NOVA_SNAPSHOT_CREATE;

	(void)unused;
	if (creates && call->found) {
		nova_call_fail(&call->base, NOVA_E_EXISTS,
		               "VM %s has a checkpoint '%s' already; delete it first", call->name,
		               call->label);
	} else if (!creates && call->found != 1) {
		nova_call_fail(&call->base, call->found ? NOVA_E_REFUSED : NOVA_E_NOT_FOUND,
		               call->found
		                       ? "VM %s has several checkpoints '%s': which one is meant "
		                         "is unknown, so nothing was done"
		                       : "VM %s has no checkpoint '%s'",
		               call->name, call->label);
	} else {
		vm_stamp_start(call);
		if (creates)
			take_snapshot(call);
		else if (call->action == NOVA_SNAPSHOT_RESTORE)
			stop_and_apply(call);
		else {
			order_service(call, SNAPSHOTS, "DestroySnapshot");
			order_add_reference(call, "AffectedSnapshot",
			                    "Msvm_VirtualSystemSettingData", call->snapshot);
			order_send(call, done);
		}
	}
}

static void find(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	call->found = 0;
	call->snapshot[0] = '\0';
	nova_text_printf(wql_begin(call, ""),
	                 "select * from Msvm_VirtualSystemSettingData where "
	                 "VirtualSystemIdentifier='%s' and VirtualSystemType='" KIND "'",
	                 call->guid);
	wql_send(call, CIM_VIRT, look_at_snapshot, found_or_not);
}

/* Its name stands in XML, and in file names nowhere. */
static int is_label(const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || length > 100)
		return 0;
	for (size_t i = 0; i < length; i++) {
		if (name[i] < ' ' || name[i] > '~')
			return 0;
	}
	return 1;
}

int hyperv_snapshot(void *self, nova_op op, const struct nova_ref *vm, const char *name,
                    uint32_t action)
{
	struct hyperv *hyperv = self;
	struct call *call;

	if (!is_label(name))
		return hyperv->host->errorf(op, NOVA_E_INVALID,
		                            "'%.120s' cannot be a checkpoint's name: 1 to 100 "
		                            "printable ASCII characters",
		                            name);
	if (action != NOVA_SNAPSHOT_CREATE && action != NOVA_SNAPSHOT_RESTORE &&
	    action != NOVA_SNAPSHOT_DELETE)
		return hyperv->host->errorf(op, NOVA_E_UNSUPPORTED,
		                            "this driver has no snapshot action %u", action);
	call = call_new(hyperv, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	call->action = action;
	snprintf(call->label, sizeof(call->label), "%s", name);
	vm_identify(call, find);
	return nova_call_return(&call->base);
}
