/* SPDX-License-Identifier: MIT */
/*
 * What Proxmox VE's API has of its own: what its refusals mean, where its answers are ("data"), and
 * its tasks. What a VM is this file does not know.
 */
#include "proxmox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- calls ------------------------------------------------------------------------------------ */

int call_set_name(struct call *call, const char *name)
{
	if (strlen(name) >= sizeof(call->name)) {
		nova_call_fail(&call->base, NOVA_E_INVALID,
		               "a VM's name of %zu characters is more than Proxmox VE takes",
		               strlen(name));
		return 0;
	}
	snprintf(call->name, sizeof(call->name), "%s", name);
	return 1;
}

/* "pve1/100": a number is the whole cluster's; the VM is looked for on this target's node, to which
 * it may have been migrated. */
static int read_id(struct call *call, const char *id)
{
	const char *slash = strchr(id, '/');
	char *end = NULL;
	char node[sizeof(call->node)];

	if (!slash || (size_t)(slash - id) >= sizeof(node))
		return 0;
	snprintf(node, sizeof(node), "%.*s", (int)(slash - id), id);
	call->vmid = strtoll(slash + 1, &end, 10);
	return upid_is_node(node) && end != slash + 1 && *end == '\0' && call->vmid >= 100;
}

static int use_ref(struct call *call, const struct nova_ref *vm)
{
	if (!call_set_name(call, vm->name))
		return 0;
	if (!vm->id || read_id(call, vm->id))
		return 1;
	nova_call_fail(&call->base, NOVA_E_INVALID,
	               "'%s' is not an id that this driver gave (NODE/VMID)", vm->id);
	return 0;
}

struct call *call_new(struct proxmox *self, nova_op op, const struct nova_ref *vm)
{
	struct call *call = (struct call *)nova_call_new(self->calls, op);

	if (!call)
		return NULL;
	call->self = self;
	snprintf(call->node, sizeof(call->node), "%s", self->node);
	if (vm && !use_ref(call, vm)) {
		nova_call_return(&call->base);
		return NULL;
	}
	return call;
}

void call_release(struct nova_call *base)
{
	struct call *call = (struct call *)base;

	nova_text_free(&call->form);
	json_decref(call->knobs);
	json_decref(call->networks);
	free(call->image);
	free(call->path);
	free(call->place);
}

/* --- what Proxmox says ------------------------------------------------------------------------ */

static int code_of(int http_status, const char *text)
{
	static const struct {
		const char *words;
		int code;
	} said[] = {
	        {"Agent error", NOVA_E_FAILED}, /* the guest says so, whatever follows */
	        {"does not exist", NOVA_E_NOT_FOUND}, {"no such", NOVA_E_NOT_FOUND},
	        {"already exists", NOVA_E_EXISTS},    {"already used", NOVA_E_EXISTS},
	        {"is locked", NOVA_E_BUSY},           {"can't lock", NOVA_E_BUSY},
	        {"already running", NOVA_E_BUSY},     {"not running", NOVA_E_BUSY},
	        {"is running", NOVA_E_BUSY},          {"is paused", NOVA_E_BUSY},
	        {"got timeout", NOVA_E_FAILED},       {"no space left", NOVA_E_FULL},
	        {"out of space", NOVA_E_FULL},
	};

	if (http_status == 401 || http_status == 403)
		return NOVA_E_PERMISSION;
	if (http_status == 501)
		return NOVA_E_UNSUPPORTED;
	/* 595 … 599: pveproxy could not reach the node that it forwards to */
	if (http_status == 502 || http_status == 503 || http_status == 504 || http_status >= 595)
		return NOVA_E_UNAVAILABLE;
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		if (strcasestr(text, said[i].words))
			return said[i].code;
	}
	return http_status == 400 ? NOVA_E_INVALID : NOVA_E_FAILED;
}

const char *call_advice(int http_status, int code)
{
	if (http_status == 401)
		return "; check the parameters token_id and token";
	if (http_status == 403)
		return "; give the token that privilege (novacore-hypervisor-proxmox(7) lists the "
		       "role)";
	if (code == NOVA_E_BUSY)
		return "; wait for what is going on there, or look at the VM's tasks in Proxmox";
	return "";
}

/* "Parameter verification failed. (cores: …; memory: …)" */
int call_judge(struct nova_call *base, const struct nova_reply *reply, struct nova_text *words)
{
	const char *message = nova_json_text(reply->json, "message", reply->http->reason);
	const char *separator = " (";
	const char *key;
	json_t *value;

	(void)base;
	if (nova_http_code(reply->http->status) == NOVA_DONE)
		return NOVA_DONE;
	nova_text_add_printable(words, *message ? message : "no reason given", 300);
	json_object_foreach(json_object_get(reply->json, "errors"), key, value)
	{
		nova_text_printf(words, "%s%.60s: %.200s", separator, key,
		                 json_is_string(value) ? json_string_value(value) : "?");
		separator = "; ";
	}
	if (*separator == ';')
		nova_text_add(words, ")");
	return code_of(reply->http->status, nova_text_get(words));
}

/* --- requests --------------------------------------------------------------------------------- */

static void take(struct nova_call *base, const struct nova_reply *reply)
{
	struct call *call = (struct call *)base;
	json_t *data = reply ? json_object_get(reply->json, "data") : NULL;

	if (reply && !data)
		nova_call_puzzled(base, "no \"data\" in it");
	else
		call->step(call, data);
}

static void send_path(struct call *call, nova_step step, const char *method, const char *body,
                      const char *format, va_list arguments)
{
	struct nova_text path = {0};

	nova_text_vprintf(&path, format, arguments);
	if (path.broken)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else
		nova_call_send(&call->base, step, method, body, "%s", path.text);
	nova_text_free(&path);
}

void call_send(struct call *call, call_step step, const char *method, const char *body,
               const char *path, ...)
{
	va_list arguments;

	call->step = step;
	va_start(arguments, path);
	send_path(call, take, method, body, path, arguments);
	va_end(arguments);
}

/* The op began here: looking at the VM first is our caution, not the hypervisor's time. */
void call_stamp_start(struct call *call)
{
	call->self->host->put_i64(call->base.op, NOVA_FIELD_STARTED_NS, nova_http_now_ns());
}

void call_pause(struct call *call, call_step step, int64_t for_ns)
{
	call->step = step;
	nova_call_pause(&call->base, take, for_ns);
}

/* --- tasks ------------------------------------------------------------------------------------ */

static void send_task(struct nova_call *base, const char *method, const char *after)
{
	const struct call *call = (struct call *)base;
	struct nova_text task = {0};

	nova_text_escape_url(&task, call->task.text, strlen(call->task.text));
	nova_call_send(base, NULL, method, NULL, "/nodes/%s/tasks/%s%s", call->task.node,
	               nova_text_get(&task), after);
	nova_text_free(&task);
}

static void ask_task(struct nova_call *base)
{
	send_task(base, "GET", "/status");
}

static void stop_task(struct nova_call *base)
{
	send_task(base, "DELETE", "");
}

static int look_at_task(struct nova_call *base, const struct nova_reply *reply,
                        struct nova_text *words)
{
	json_t *data = json_object_get(reply->json, "data");
	const char *status = nova_json_text(data, "status", "");
	const char *outcome = nova_json_text(data, "exitstatus", "it ended without saying how");

	if (strcmp(status, "running") == 0)
		return NOVA_PENDING;
	if (strcmp(status, "stopped") != 0) {
		nova_call_puzzled(base, "a task that is neither running nor stopped");
		return NOVA_E_PROTOCOL;
	}
	if (strcmp(outcome, "OK") == 0 || strncmp(outcome, "WARNINGS:", 9) == 0)
		return NOVA_DONE;
	nova_text_add(words, outcome);
	return code_of(500, outcome);
}

static void task_ended(struct nova_call *base, const struct nova_reply *reply)
{
	struct call *call = (struct call *)base;

	(void)reply;
	call->task_step(call, NULL);
}

static void poll_task(struct call *call)
{
	struct nova_poll poll = {.first_ns = call->self->poll_first_ns,
	                         .longest_ns = call->self->poll_longest_ns,
	                         .ask = ask_task,
	                         .look = look_at_task,
	                         .stop = stop_task,
	                         .then = task_ended,
	                         .failed = call->task_failed};

	snprintf(poll.name, sizeof(poll.name), "Proxmox's task %s of VM %s on %s", call->task.type,
	         call->task.id, call->node);
	if (call->task_begun)
		call->task_begun(call);
	nova_call_poll(&call->base, &poll);
}

static void take_task(struct nova_call *base, const struct nova_reply *reply)
{
	struct call *call = (struct call *)base;

	if (upid_parse(nova_json_text(reply->json, "data", ""), &call->task))
		poll_task(call);
	else
		nova_call_puzzled(base, "it was to name a task, and did not");
}

void call_wait(struct call *call, call_step step, const struct upid *task)
{
	call->task_step = step;
	call->task_failed = NULL;
	call->task = *task;
	poll_task(call);
}

void call_upload(struct call *call, call_step step, const char *what,
                 const struct nova_http_request *request)
{
	call->task_step = step;
	call->task_failed = NULL;
	nova_call_request(&call->base, take_task, what, request);
}

void call_task(struct call *call, call_step step, const char *method, const char *body,
               const char *path, ...)
{
	va_list arguments;

	call->task_step = step;
	call->task_failed = NULL;
	va_start(arguments, path);
	send_path(call, take_task, method, body, path, arguments);
	va_end(arguments);
}
