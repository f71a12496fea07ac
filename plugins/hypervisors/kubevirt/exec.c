/* SPDX-License-Identifier: MIT */
/*
 * Programs in guests: KubeVirt's API runs none, so they are run by SSH at the address of the pod
 * that the VM runs in, which must be one that this machine reaches.
 */
#include "kubevirt.h"

static void take_addresses(struct call *call, json_t *body)
{
	char best[NOVA_SSH_ADDRESS_ROOM] = "";
	size_t i, k;
	json_t *interface, *address;

	if (!vm_is_running(call) || call->now.paused) {
		nova_call_fail(&call->base, NOVA_E_BUSY, "VM '%s' in %s does not run", call->name,
		               call->self->namespace);
		return;
	}
	json_array_foreach(nova_json_at(body, "status.interfaces"), i, interface)
	{
		nova_ssh_consider(best, nova_json_text(interface, "ipAddress", ""));
		json_array_foreach(json_object_get(interface, "ipAddresses"), k, address)
		{
			if (json_is_string(address))
				nova_ssh_consider(best, json_string_value(address));
		}
	}
	nova_ssh_at(&call->base, best);
}

/* Looked at again each time: it may have stopped meanwhile. */
static void find_address(struct nova_call *base)
{
	vm_look((struct call *)base, take_addresses);
}

static int run(struct kubevirt *self, nova_op op, const struct nova_ref *vm,
               const struct nova_exec *exec, int64_t pid)
{
	struct call *call;

	if (!self->ssh)
		return self->host->error(op, NOVA_E_UNSUPPORTED, NO_EXEC);
	call = call_new(self, op, vm);
	if (!call)
		return NOVA_E_MEMORY;
	if (call->name[0])
		call->program =
		        nova_ssh_exec(self->ssh, &call->base, vm->name, exec, pid, find_address);
	return nova_call_return(&call->base);
}

int kubevirt_exec(void *self, nova_op op, const struct nova_ref *vm, const struct nova_exec *exec)
{
	return run(self, op, vm, exec, 0);
}

int kubevirt_exec_kill(void *self, nova_op op, const struct nova_ref *vm, int64_t pid)
{
	return run(self, op, vm, NULL, pid);
}
