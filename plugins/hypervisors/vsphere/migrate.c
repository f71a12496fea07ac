/* SPDX-License-Identifier: MIT */
/*
 * vMotion between two targets of one vCenter: it is the same VM before and after, so the
 * destination only says where, and looks whether it came.
 */
#include "vsphere.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- tickets: VCENTER POOL HOST DATASTORE, "-" for none ------------------------------------------
 */

struct ticket {
	char vcenter[64];
	struct moref pool, host, datastore;
};

static const char *or_dash(const char *text)
{
	return text[0] ? text : "-";
}

static int take_part(const char **at, const char *type, struct moref *out)
{
	size_t length = strcspn(*at, " ");

	*out = (struct moref){0};
	if (length == 0 || length >= sizeof(out->value))
		return 0;
	if (strncmp(*at, "-", length) != 0) {
		snprintf(out->type, sizeof(out->type), "%s", type);
		snprintf(out->value, sizeof(out->value), "%.*s", (int)length, *at);
	}
	*at += length;
	*at += **at == ' ';
	return 1;
}

static int read_ticket(const char *text, struct ticket *ticket)
{
	size_t length = text ? strcspn(text, " ") : 0;

	if (length == 0 || length >= sizeof(ticket->vcenter))
		return 0;
	snprintf(ticket->vcenter, sizeof(ticket->vcenter), "%.*s", (int)length, text);
	text += length + (text[length] == ' ');
	return take_part(&text, "ResourcePool", &ticket->pool) &&
	       take_part(&text, "HostSystem", &ticket->host) &&
	       take_part(&text, "Datastore", &ticket->datastore) && *text == '\0' &&
	       ticket->pool.value[0];
}

/* --- prepare ------------------------------------------------------------------------------------
 */

int vsphere_migrate_prepare(void *destination, nova_op op, const struct nova_ref *vm,
                            const struct nova_shape *shape)
{
	struct vsphere *self = destination;
	const struct place *place = &self->place;
	char ticket[800];

	(void)vm;
	(void)shape;
	if (!self->is_vcenter)
		return self->host->error(op, NOVA_E_UNSUPPORTED,
		                         "a host without vCenter takes part in no vMotion");
	/* disks stay where they are, unless a datastore was asked for */
	snprintf(ticket, sizeof(ticket), "%s %s %s %s", or_dash(self->instance_uuid),
	         place->pool.value, or_dash(place->host.value),
	         self->datastore ? or_dash(place->datastore.value) : "-");
	self->host->put_fact(op, NOVA_FIELD_TICKET, "", ticket);
	return NOVA_DONE;
}

/* --- migrate ------------------------------------------------------------------------------------
 */

static void moved(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	task_event(call, NOVA_EVENT_MIGRATED);
	nova_call_done(&call->base);
}

static void send_move(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	if (call->host.value[0] && moref_same(&call->host, &call->runs_on)) {
		nova_call_fail(&call->base, NOVA_E_INVALID,
		               "VM '%s' is on %s already: give the two targets different hosts by "
		               "hypervisor.vsphere.host",
		               call->name, call->host.value);
		return;
	}
	vm_stamp_start(call);
	soap_begin(call, "RelocateVM_Task", &call->vm);
	nova_text_add(&call->body, "<spec>");
	if (call->object.value[0])
		soap_add_moref(&call->body, "datastore", &call->object);
	if (!moref_same(&call->pool, &call->self->place.pool))
		soap_add_moref(&call->body, "pool", &call->pool);
	if (call->host.value[0])
		soap_add_moref(&call->body, "host", &call->host);
	nova_text_add(&call->body, "</spec>");
	task_order(call, moved);
}

static const char *impossible(const struct nova_migrate *how)
{
	if (how->flags)
		return "vMotion has no choice of auto-converge, compression or post-copy";
	if (how->bandwidth_bytes_per_s || how->downtime_ns)
		return "vMotion takes neither a limit of bandwidth nor one of downtime";
	if (how->channels > 1)
		return "vMotion chooses the number of its connections itself";
	return NULL;
}

int vsphere_migrate(void *source, nova_op op, const struct nova_ref *vm,
                    const struct nova_migrate *how)
{
	struct vsphere *self = source;
	const char *why = impossible(how);
	struct ticket ticket;
	struct call *call;

	if (why)
		return self->host->error(op, NOVA_E_UNSUPPORTED, why);
	if (!read_ticket(how->ticket, &ticket))
		return self->host->error(op, NOVA_E_INVALID,
		                         "that ticket is not one of this driver's");
	if (strcmp(ticket.vcenter, or_dash(self->instance_uuid)) != 0)
		return self->host->errorf(op, NOVA_E_UNSUPPORTED,
		                          "the destination is in another vCenter than %s: this "
		                          "driver moves VMs within one",
		                          self->base);
	if (!ticket.host.value[0] && strcmp(ticket.pool.value, self->place.pool.value) == 0)
		return self->host->error(
		        op, NOVA_E_INVALID,
		        "the destination is the same cluster, and names no host: set "
		        "its hypervisor.vsphere.host");
	call = call_new(self, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	call->pool = ticket.pool;
	call->host = ticket.host;
	call->object = ticket.datastore;
	vm_identify(call, send_move);
	return nova_call_return(&call->base);
}

/* --- finish -------------------------------------------------------------------------------------
 */

static void look_where(struct call *call, const struct nova_xml_node *unused)
{
	const struct moref *host = &call->self->place.host;

	(void)unused;
	if (host->value[0] && !moref_same(host, &call->runs_on)) {
		nova_call_fail(&call->base, NOVA_E_FAILED,
		               "VM '%s' is on %s, not on %s where it was to go", call->name,
		               call->runs_on.value, host->value);
		return;
	}
	call->self->host->put_fact(call->base.op, NOVA_FIELD_ID, "", call->vm.value);
	nova_call_done(&call->base);
}

int vsphere_migrate_finish(void *destination, nova_op op, const struct nova_ref *vm,
                           const char *ticket, int32_t outcome)
{
	struct call *call;

	(void)ticket;
	if (outcome != NOVA_MIGRATED)
		return NOVA_DONE; /* nothing was prepared */
	call = call_new(destination, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	vm_identify(call, look_where);
	return nova_call_return(&call->base);
}
