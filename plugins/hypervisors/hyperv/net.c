/* SPDX-License-Identifier: MIT */
/* Networks: private virtual switches, between VMs of one host only. */
#include "hyperv.h"

#include <stdio.h>
#include <string.h>

static void done(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	nova_call_done(&call->base);
}

static void keep_switch(struct call *call, const struct nova_xml_node *instance)
{
	const char *guid = item_text(instance, "Name");

	if (!cim_is_guid(guid) || strcmp(item_text(instance, "ElementName"), call->name) != 0)
		return;
	call->found++;
	snprintf(call->network, sizeof(call->network), "%s", guid);
}

static void find(struct call *call, call_step then)
{
	struct nova_text *wql =
	        wql_begin(call, "select * from Msvm_VirtualEthernetSwitch where ElementName='");

	cim_add_wql(wql, call->name);
	nova_text_add(wql, "'");
	wql_send(call, CIM_VIRT, keep_switch, then);
}

/* A switch that has no connection to the host or to a card of it is a private one. */
static void define(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	if (call->found) {
		nova_call_fail(&call->base, NOVA_E_EXISTS,
		               "%s has a virtual switch '%s' already; delete it first",
		               call->self->computer, call->name);
		return;
	}
	order_service(call, SWITCHES, "DefineSystem");
	cim_begin(&call->body, "SystemSettings", "Msvm_VirtualEthernetSwitchSettingData");
	cim_property(&call->body, "ElementName", "string", call->name);
	cim_end(&call->body, "SystemSettings");
	order_send(call, done);
}

static void destroy(struct call *call, const struct nova_xml_node *unused)
{
	if (!call->found) {
		done(call, unused);
	} else if (call->found > 1 || strncmp(call->name, OUR_PREFIX, strlen(OUR_PREFIX)) != 0) {
		nova_call_fail(
		        &call->base, NOVA_E_REFUSED,
		        "virtual switch '%s' of %s is not ours, or there are several: nothing "
		        "was done",
		        call->name, call->self->computer);
	} else {
		order_service(call, SWITCHES, "DestroySystem");
		order_add_reference(call, "AffectedSystem", "Msvm_VirtualEthernetSwitch",
		                    call->network);
		order_send(call, done);
	}
}

static int start(void *self, nova_op op, const char *name, call_step then)
{
	struct call *call = call_new(self, op, NULL);

	if (!call)
		return NOVA_E_MEMORY;
	if (call_set_name(call, name))
		find(call, then);
	return nova_call_return(&call->base);
}

int hyperv_net_create(void *self, nova_op op, const char *name, uint32_t kind)
{
	if (kind != NOVA_NET_ISOLATED)
		return ((struct hyperv *)self)
		        ->host->error(op, NOVA_E_UNSUPPORTED,
		                      "this driver makes private switches only: a network with NAT "
		                      "needs addresses of the host (New-NetNat), which are not its "
		                      "to give");
	return start(self, op, name, define);
}

int hyperv_net_delete(void *self, nova_op op, const char *name)
{
	return start(self, op, name, destroy);
}
