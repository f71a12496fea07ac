/* SPDX-License-Identifier: MIT */
/*
 * Programs in guests: WMI runs none, so they are run by SSH at the address that the integration
 * services report.
 */
#include "hyperv.h"

static void keep_address(struct call *call, const struct nova_xml_node *instance)
{
	const struct nova_xml_node *one = nova_xml_first(instance, NULL, "IPAddresses");

	if (!vm_has_card(call, instance))
		return;
	for (; one; one = nova_xml_next(one, NULL, "IPAddresses"))
		nova_ssh_consider(call->address, nova_xml_text(one, NULL, "", ""));
}

static void address_known(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	nova_ssh_at(&call->base, call->address);
}

static void ask_address(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	call->address[0] = '\0';
	if (call->state == STATE_RUNNING)
		vm_ask_cards(call, keep_address, address_known);
	else
		nova_call_fail(&call->base, NOVA_E_BUSY, "VM %s does not run", call->name);
}

/* Looked at again each time: it may have stopped meanwhile. */
static void find_address(struct nova_call *base)
{
	vm_identify((struct call *)base, ask_address);
}

static int run(struct hyperv *self, nova_op op, const struct nova_ref *vm,
               const struct nova_exec *exec, int64_t pid)
{
	struct call *call;

	if (!self->ssh || !self->heartbeat)
		return self->host->error(op, NOVA_E_UNSUPPORTED, NO_EXEC);
	call = call_new(self, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	call->program = nova_ssh_exec(self->ssh, &call->base, vm->name, exec, pid, find_address);
	return nova_call_return(&call->base);
}

int hyperv_exec(void *self, nova_op op, const struct nova_ref *vm, const struct nova_exec *exec)
{
	return run(self, op, vm, exec, 0);
}

int hyperv_exec_kill(void *self, nova_op op, const struct nova_ref *vm, int64_t pid)
{
	return run(self, op, vm, NULL, pid);
}
