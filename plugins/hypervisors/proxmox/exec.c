/* SPDX-License-Identifier: MIT */
/* Programs in a guest, by the QEMU guest agent through Proxmox: start, poll, take all output. */
#include "proxmox.h"

#include <stdio.h>
#include <string.h>

/* What /agent/exec takes as the program's input. */
#define INPUT_BYTES 65536u

static void ask_status(struct call *call, json_t *unused);

static void put_output(struct call *call, json_t *data, const char *key, uint32_t field)
{
	json_t *text = json_object_get(data, key);

	if (json_string_length(text))
		call->self->host->put_bytes(call->op, field, json_string_value(text),
		                            json_string_length(text));
}

static void take_exec_status(struct call *call, json_t *data)
{
	const struct nova_host *host = call->self->host;
	int64_t status = json_number(data, "exitcode", -1);
	int64_t signal = json_number(data, "signal", 0);

	if (!json_number(data, "exited", 0)) {
		call->interval_ns += call->interval_ns / 2;
		if (call->interval_ns > call->self->poll_longest_ns)
			call->interval_ns = call->self->poll_longest_ns;
		call_pause(call, ask_status, call->interval_ns);
		return;
	}
	put_output(call, data, "out-data", NOVA_FIELD_STDOUT);
	put_output(call, data, "err-data", NOVA_FIELD_STDERR);
	if (json_number(data, "out-truncated", 0) || json_number(data, "err-truncated", 0))
		host->put_i64(call->op, NOVA_FIELD_TRUNCATED, 1);
	if (signal > 0)
		host->put_i64(call->op, NOVA_FIELD_SIGNAL, signal);
	else
		host->put_i64(call->op, NOVA_FIELD_EXIT_STATUS, status);
	call_done(call);
}

static void ask_status(struct call *call, json_t *unused)
{
	(void)unused;
	call_send(call, take_exec_status, "GET", NULL,
	          "/nodes/%s/qemu/%lld/agent/exec-status?pid=%lld", call->node,
	          (long long)call->vmid, (long long)call->pid);
}

static void take_pid(struct call *call, json_t *data)
{
	call->pid = json_number(data, "pid", 0);
	if (call->pid <= 0) {
		call_fail(call, NOVA_E_PROTOCOL, "%s: the guest agent gave no process number",
		          call->what);
		return;
	}
	call->self->host->put_i64(call->op, NOVA_FIELD_GUEST_PID, call->pid);
	call->interval_ns = call->self->poll_first_ns;
	ask_status(call, NULL); /* short programs have ended already */
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

static void fill_exec(struct form *form, const struct nova_exec *exec)
{
	if (exec->env && exec->env[0]) { /* the API has no environment, the guest has env(1) */
		form_add(form, "command", "env");
		for (size_t i = 0; exec->env[i]; i++)
			form_add(form, "command", exec->env[i]);
	}
	for (size_t i = 0; exec->argv[i]; i++)
		form_add(form, "command", exec->argv[i]);
	if (exec->input_bytes)
		form_add_bytes(form, "input-data", exec->input, (size_t)exec->input_bytes);
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
		call_fail(call, NOVA_E_MEMORY, "out of memory");
	else
		vm_identify(call, send_exec);
	return call_return(call);
}

int proxmox_exec_kill(void *self, nova_op op, const struct nova_ref *vm, int64_t pid)
{
	char text[24];
	const char *const argv[] = {"kill", "-KILL", text, NULL};
	struct nova_exec exec = {.struct_size = sizeof(exec), .argv = argv};

	snprintf(text, sizeof(text), "%lld", (long long)pid);
	return proxmox_exec(self, op, vm, &exec);
}
