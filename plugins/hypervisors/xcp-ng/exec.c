/* SPDX-License-Identifier: MIT */
/*
 * Programs in guests: XenAPI runs none, so they are run by SSH at the address that the guest's
 * tools report.
 */
#include "xcpng.h"

#include <string.h>

/* As long as a guest that has just started has no address. */
#define AGAIN_NS (SECOND_NS / 4)

static void find_address(struct call *call, json_t *unused);

/* IPv4 first: a link-local address of IPv6 leads nowhere from here. */
static const char *choose_address(const json_t *networks)
{
	const char *chosen = NULL;
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)networks, key, value)
	{
		const char *address = json_string_value(value);

		if (!address || !address[0] || strncasecmp(address, "fe80:", 5) == 0)
			continue;
		if (!strchr(address, ':'))
			return address;
		chosen = address;
	}
	return chosen;
}

static void take_metrics(struct call *call, json_t *result)
{
	const char *address = choose_address(json_object_get(result, "networks"));

	if (address)
		nova_ssh_run(call->program, &call->base, address);
	else
		call_pause(call, find_address, AGAIN_NS);
}

static int metrics_gone(struct nova_call *base, const struct nova_refusal *refusal)
{
	if (refusal->code != NOVA_E_NOT_FOUND)
		return 0;
	call_pause((struct call *)base, find_address, AGAIN_NS);
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
		call_pause(call, find_address, AGAIN_NS);
	}
}

/* Looked at again each time: it may have stopped meanwhile. */
static void find_address(struct call *call, json_t *unused)
{
	(void)unused;
	vm_identify(call, ask_address);
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
	call->program = exec ? nova_ssh_program(self->ssh, vm->name, exec)
	                     : nova_ssh_killer(self->ssh, vm->name, pid);
	if (call->program)
		find_address(call, NULL);
	else
		nova_call_fail(&call->base, NOVA_E_INVALID,
		               "no program to run, or a variable that no shell could set");
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
