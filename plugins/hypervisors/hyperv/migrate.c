/* SPDX-License-Identifier: MIT */
/*
 * Live migration between two hosts: the ticket is the destination's name, and where its disks lie.
 * The source moves the VM; novacore's accounts on the two are not what lets it (see hyperv.md).
 */
#include "hyperv.h"

#include <stdio.h>
#include <string.h>

/* MigrationType and TransportType of Msvm_VirtualSystemMigrationSettingData. */
#define MOVE_SYSTEM             32768
#define MOVE_SYSTEM_AND_STORAGE 32771
#define OVER_TCP                5

/* --- at the destination ----------------------------------------------------------------------- */

int hyperv_migrate_prepare(void *handle, nova_op op, const struct nova_ref *vm,
                           const struct nova_shape *shape)
{
	struct hyperv *self = handle;
	char ticket[600];

	(void)vm;
	(void)shape;
	if (!self->migrates || !self->dns_name[0])
		return self->host->errorf(
		        op, NOVA_E_UNSUPPORTED,
		        "%s does not take VMs that migrate: Enable-VMMigration there",
		        self->computer);
	snprintf(ticket, sizeof(ticket), "%s|%s", self->dns_name, self->directory);
	self->host->put_fact(op, NOVA_FIELD_TICKET, "", ticket);
	return NOVA_DONE;
}

static void arrived(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	call->self->host->put_fact(call->base.op, NOVA_FIELD_ID, "", call->guid);
	nova_call_done(&call->base);
}

/* Where it did not come to it, Hyper-V itself takes away what it had prepared. */
int hyperv_migrate_finish(void *self, nova_op op, const struct nova_ref *vm, const char *ticket,
                          int32_t outcome)
{
	struct call *call;

	(void)ticket;
	if (outcome != NOVA_MIGRATED)
		return NOVA_DONE;
	call = call_new(self, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	vm_identify(call, arrived); /* it keeps its id */
	return nova_call_return(&call->base);
}

/* --- at the source ---------------------------------------------------------------------------- */

static void moved(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	call_event(call, NOVA_EVENT_MIGRATED);
	call->self->host->put_i64(call->base.op, NOVA_FIELD_DURATION_NS,
	                          nova_http_now_ns() - call->moved_ns);
	nova_call_done(&call->base);
}

static void add_how(struct call *call)
{
	cim_begin(&call->body, "MigrationSettingData", "Msvm_VirtualSystemMigrationSettingData");
	cim_property_number(&call->body, "MigrationType", "uint16",
	                    call->disk[0] ? MOVE_SYSTEM_AND_STORAGE : MOVE_SYSTEM);
	cim_property_number(&call->body, "TransportType", "uint16", OVER_TCP);
	cim_property(&call->body, "EnableCompression", "boolean",
	             call->compress ? "TRUE" : "FALSE");
	cim_end(&call->body, "MigrationSettingData");
}

static void send_move(struct call *call, const struct nova_xml_node *unused)
{
	char *directory = strchr(call->ticket, '|');
	struct file file;
	char path[480];

	(void)unused;
	*directory++ = '\0';
	vm_stamp_start(call);
	call->moved_ns = nova_http_now_ns();
	order_service(call, MIGRATION, "MigrateVirtualSystemToHost");
	order_add_reference(call, "ComputerSystem", "Msvm_ComputerSystem", call->guid);
	order_add(call, "DestinationHost", call->ticket);
	add_how(call);
	if (call->disk[0] && cim_read_file(call->disk, &file)) {
		snprintf(path, sizeof(path), "%s%s.%s", directory, file.stem, file.extension);
		cim_begin(&call->body, "NewResourceSettingData",
		          "Msvm_StorageAllocationSettingData");
		cim_property(&call->body, "InstanceID", "string", call->component);
		cim_property_number(&call->body, "ResourceType", "uint16", 31);
		cim_property(&call->body, "ResourceSubType", "string",
		             "Microsoft:Hyper-V:Virtual Hard Disk");
		cim_property_list(&call->body, "HostResource", path);
		cim_end(&call->body, "NewResourceSettingData");
	}
	order_send(call, moved);
}

static void keep_disk(struct call *call, const struct nova_xml_node *instance)
{
	const char *path = nova_xml_text(instance, NULL, "HostResource", "");
	struct file file;

	if (!cim_read_file(path, &file) || strlen(path) >= sizeof(call->disk))
		return;
	snprintf(call->disk, sizeof(call->disk), "%s", path);
	snprintf(call->component, sizeof(call->component), "%.150s",
	         item_text(instance, "InstanceID"));
}

static void look_at_state(struct call *call, const struct nova_xml_node *unused)
{
	if (call->state != STATE_RUNNING) {
		nova_call_fail(&call->base, NOVA_E_BUSY,
		               "VM %s does not run: only a VM that runs is migrated live",
		               call->name);
		return;
	}
	watch_forget(call->self, call->guid);
	if (!call->self->move_storage) {
		send_move(call, unused);
		return;
	}
	vm_ask_settings(call, "Msvm_StorageAllocationSettingData", keep_disk, send_move);
}

static const char *impossible(const struct hyperv *self, const struct nova_migrate *how)
{
	const char *bar = how->ticket ? strchr(how->ticket, '|') : NULL;

	if (!bar || bar == how->ticket || strlen(how->ticket) >= sizeof(((struct call *)0)->ticket))
		return "the ticket is none of this driver's";
	if (!self->migrates)
		return "this host does not migrate VMs: Enable-VMMigration there";
	if (how->flags & ~NOVA_MIGRATE_COMPRESS)
		return "Hyper-V has neither auto-converge nor post-copy";
	if (how->bandwidth_bytes_per_s || how->downtime_ns || how->channels > 1)
		return "Hyper-V takes no limit of bandwidth or downtime, and no number of "
		       "connections, "
		       "for one migration";
	return NULL;
}

int hyperv_migrate(void *self, nova_op op, const struct nova_ref *vm,
                   const struct nova_migrate *how)
{
	struct hyperv *hyperv = self;
	const char *why = impossible(hyperv, how);
	struct call *call;

	if (why)
		return hyperv->host->error(op, NOVA_E_UNSUPPORTED, why);
	call = call_new(hyperv, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	snprintf(call->ticket, sizeof(call->ticket), "%s", how->ticket);
	call->compress = how->flags & NOVA_MIGRATE_COMPRESS;
	vm_identify(call, look_at_state);
	return nova_call_return(&call->base);
}
