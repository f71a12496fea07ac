/* SPDX-License-Identifier: MIT */
/*
 * Programs in guests: XenAPI runs none, so they are run by SSH at the address that the guest's
 * tools report.
 */
#include "xcpng.h"

#include <string.h>

static void take_metrics(struct call *call, json_t *result)
{
	char best[NOVA_SSH_ADDRESS_ROOM] = "";
	const char *key;
	json_t *value;

	json_object_foreach(json_object_get(result, "networks"), key, value)
	{
		if (json_is_string(value))
			nova_ssh_consider(best, json_string_value(value));
	}
	nova_ssh_at(&call->base, best);
}

static int metrics_gone(struct nova_call *base, const struct nova_refusal *refusal)
{
	if (refusal->code != NOVA_E_NOT_FOUND)
		return 0;
	nova_ssh_at(base, NULL);
	return 1;
}

static void ask_address(struct call *call, json_t *record)
{
	const char *metrics = nova_json_text(record, "guest_metrics", "");

	if (strcmp(vm_state(call), "Running") != 0) {
		nova_call_fail(&call->base, NOVA_E_BUSY, "the VM '%s' does not run", call->name);
	} else if (answer_is_ref(metrics)) {
		call_rpc(call, take_metrics, "VM_guest_metrics.get_record", "[s]", metrics);
		nova_call_on_refusal(&call->base, metrics_gone);
	} else {
		nova_ssh_at(&call->base, NULL);
	}
}

/* Looked at again each time: it may have stopped meanwhile. */
static void find_address(struct nova_call *base)
{
	vm_identify((struct call *)base, ask_address);
}

static int run(struct xcpng *self, nova_op op, const struct nova_ref *vm,
               const struct nova_exec *exec, int64_t pid)
{
	struct call *call;

	if (!self->ssh)
		return self->host->error(op, NOVA_E_UNSUPPORTED,
		                         "XenAPI runs no programs in guests: set "
		                         "hypervisor.xcp-ng.ssh_key, for SSH, and tools=true");
	call = call_new(self, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	call->program = nova_ssh_exec(self->ssh, &call->base, vm->name, exec, pid, find_address);
	return nova_call_return(&call->base);
}

int xcpng_exec(void *self, nova_op op, const struct nova_ref *vm, const struct nova_exec *exec)
{
	return run(self, op, vm, exec, 0);
}

int xcpng_exec_kill(void *self, nova_op op, const struct nova_ref *vm, int64_t pid)
{
	return run(self, op, vm, NULL, pid);
}
