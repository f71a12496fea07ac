/* SPDX-License-Identifier: MIT */
/* Programs in a guest, by the QEMU guest agent through Proxmox: start, poll, take all output. */
#include "proxmox.h"

#include <stdio.h>
#include <string.h>

/* What /agent/exec takes as the program's input. */
#define INPUT_BYTES 65536u

static void ask_status(struct nova_call *base)
{
	const struct call *call = (struct call *)base;

	nova_call_send(base, NULL, "GET", NULL, "/nodes/%s/qemu/%lld/agent/exec-status?pid=%lld",
	               call->node, (long long)call->vmid, (long long)call->pid);
}

static int look_at_status(struct nova_call *base, const struct nova_reply *reply,
                          struct nova_text *words)
{
	(void)words;
	if (!json_object_get(reply->json, "data")) {
		nova_call_puzzled(base, "no \"data\" in it");
		return NOVA_E_PROTOCOL;
	}
	return nova_json_flag(reply->json, "data.exited", 0) ? NOVA_DONE : NOVA_PENDING;
}

static void put_output(struct nova_call *base, json_t *text, uint32_t field)
{
	const struct nova_host *host = ((struct call *)base)->self->host;

	if (json_string_length(text))
		host->put_bytes(base->op, field, json_string_value(text), json_string_length(text));
}

static void exited(struct nova_call *base, const struct nova_reply *reply)
{
	const struct nova_host *host = ((struct call *)base)->self->host;
	json_t *data = json_object_get(reply->json, "data");
	int64_t signal = nova_json_number(data, "signal", 0);

	put_output(base, json_object_get(data, "out-data"), NOVA_FIELD_STDOUT);
	put_output(base, json_object_get(data, "err-data"), NOVA_FIELD_STDERR);
	if (nova_json_flag(data, "out-truncated", 0) || nova_json_flag(data, "err-truncated", 0))
		host->put_i64(base->op, NOVA_FIELD_TRUNCATED, 1);
	if (signal > 0)
		host->put_i64(base->op, NOVA_FIELD_SIGNAL, signal);
	else
		host->put_i64(base->op, NOVA_FIELD_EXIT_STATUS,
		              nova_json_number(data, "exitcode", -1));
	nova_call_done(base);
}

static void take_pid(struct call *call, json_t *data)
{
	struct nova_poll poll = {.name = "the program in the guest",
	                         .first_ns = call->self->poll_first_ns,
	                         .longest_ns = call->self->poll_longest_ns,
	                         .at_once = 1, /* short programs have ended already */
	                         .ask = ask_status,
	                         .look = look_at_status,
	                         .then = exited};

	call->pid = nova_json_number(data, "pid", 0);
	if (call->pid <= 0) {
		nova_call_puzzled(&call->base, "the guest agent gave no process number");
		return;
	}
	call->self->host->put_i64(call->base.op, NOVA_FIELD_GUEST_PID, call->pid);
	nova_call_poll(&call->base, &poll);
}

static void send_exec(struct call *call, json_t *data)
{
	(void)data;
	call_send(call, take_pid, "POST", call->form.text, "/nodes/%s/qemu/%lld/agent/exec",
	          call->node, (long long)call->vmid);
}

static const char *exec_impossible(const struct proxmox *self, const struct nova_exec *exec)
{
	if (!self->agent)
		return "no guest agent: install it in the template and set "
		       "hypervisor.proxmox.agent=true";
	if (!exec->argv || !exec->argv[0])
		return "no program to run";
	if (exec->input_bytes > INPUT_BYTES)
		return "Proxmox VE takes at most 64 KiB of input for a program in a guest";
	return NULL;
}

static void fill_exec(struct nova_text *form, const struct nova_exec *exec)
{
	if (exec->env && exec->env[0]) { /* the API has no environment, the guest has env(1) */
		nova_form_add(form, "command", "env");
		for (size_t i = 0; exec->env[i]; i++)
			nova_form_add(form, "command", exec->env[i]);
	}
	for (size_t i = 0; exec->argv[i]; i++)
		nova_form_add(form, "command", exec->argv[i]);
	if (exec->input_bytes)
		nova_form_add_bytes(form, "input-data", exec->input, (size_t)exec->input_bytes);
}

int proxmox_exec(void *self, nova_op op, const struct nova_ref *vm, const struct nova_exec *exec)
{
	struct proxmox *proxmox = self;
	const char *why = exec_impossible(proxmox, exec);
	struct call *call;

	if (why)
		return proxmox->host->error(op, NOVA_E_UNSUPPORTED, why);
	call = call_new(proxmox, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	fill_exec(&call->form, exec);
	if (call->form.broken)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else
		vm_identify(call, send_exec);
	return nova_call_return(&call->base);
}

int proxmox_exec_kill(void *self, nova_op op, const struct nova_ref *vm, int64_t pid)
{
	char text[24];
	const char *const argv[] = {"kill", "-KILL", text, NULL};
	struct nova_exec exec = {.struct_size = sizeof(exec), .argv = argv};

	snprintf(text, sizeof(text), "%lld", (long long)pid);
	return proxmox_exec(self, op, vm, &exec);
}
