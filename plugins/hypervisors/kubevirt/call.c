/* SPDX-License-Identifier: MIT */
/*
 * What the Kubernetes API has of its own: how it refuses (a Status with a reason), and how requests
 * are sent. What a VM is this file does not know.
 */
#include "kubevirt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- calls ------------------------------------------------------------------------------------ */

int call_set_name(struct call *call, const char *name)
{
	if (is_name(name)) {
		snprintf(call->name, sizeof(call->name), "%s", name);
		return 1;
	}
	if (call->missing_is_done) /* no VM can have that name, so it is not there */
		nova_call_done(&call->base);
	else
		nova_call_fail(
		        &call->base, NOVA_E_INVALID,
		        "'%.100s' cannot be a VM's name in Kubernetes: a-z, 0-9 and -, at most "
		        "63 of them",
		        name);
	return 0;
}

static int use_ref(struct call *call, const struct nova_ref *vm)
{
	if (!call_set_name(call, vm->name))
		return 0;
	if (vm->id && strlen(vm->id) >= sizeof(call->id)) {
		nova_call_fail(&call->base, NOVA_E_NOT_FOUND,
		               "'%.100s' is not an id that this driver gave", vm->id);
		return 0;
	}
	snprintf(call->id, sizeof(call->id), "%s", vm->id ? vm->id : "");
	if (watch_know(call->self, call->name))
		return 1;
	nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	return 0;
}

struct call *call_new(struct kubevirt *self, nova_op op, const struct nova_ref *vm)
{
	struct call *call = (struct call *)nova_call_new(self->calls, op);

	if (!call)
		return NULL;
	call->self = self;
	if (vm)
		use_ref(call, vm);
	return call;
}

void call_release(struct nova_call *base)
{
	struct call *call = (struct call *)base;

	if (call->self && call->self->watch.call == base)
		call->self->watch.call = NULL;
	if (call->self) {
		watch_unwait(call);
		watch_unhold(call);
	}
	json_decref(call->object);
	json_decref(call->body);
	json_decref(call->spec);
	nova_ssh_free(call->program);
	free(call->prefix);
}

/* --- what Kubernetes says --------------------------------------------------------------------- */

static int code_of(int http_status, const char *reason, const char *text)
{
	static const struct {
		const char *reason;
		int code;
	} said[] = {
	        {"AlreadyExists", NOVA_E_EXISTS},
	        {"NotFound", NOVA_E_NOT_FOUND},
	        {"Conflict", NOVA_E_BUSY},
	        {"Invalid", NOVA_E_INVALID},
	        {"BadRequest", NOVA_E_INVALID},
	        {"Unauthorized", NOVA_E_PERMISSION},
	        {"ServerTimeout", NOVA_E_UNAVAILABLE},
	        {"Timeout", NOVA_E_UNAVAILABLE},
	        {"TooManyRequests", NOVA_E_UNAVAILABLE},
	        {"ServiceUnavailable", NOVA_E_UNAVAILABLE},
	        {"MethodNotAllowed", NOVA_E_UNSUPPORTED},
	        {"Expired", NOVA_E_FAILED},
	        {"InternalError", NOVA_E_FAILED},
	};

	if (strstr(text, "exceeded quota"))
		return NOVA_E_FULL;
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		if (strcmp(reason, said[i].reason) == 0)
			return said[i].code;
	}
	return nova_http_code(http_status);
}

const char *call_advice(int http_status, int code)
{
	if (http_status == 401)
		return "; check the token or client certificate, and that it has not expired";
	if (http_status == 403)
		return "; give that account the right (docs/roles/kubevirt.yaml has the role)";
	if (code == NOVA_E_FULL)
		return "; raise the namespace's quota, or measure fewer VMs";
	if (code == NOVA_E_BUSY)
		return "; look at the VM in the cluster, or try again";
	return "";
}

int call_judge(struct nova_call *base, const struct nova_reply *reply, struct nova_text *words)
{
	const char *message = nova_json_text(reply->json, "message", reply->http->reason);

	(void)base;
	if (nova_http_code(reply->http->status) == NOVA_DONE)
		return NOVA_DONE;
	nova_text_add_printable(words, *message ? message : "no reason given", 360);
	return code_of(reply->http->status, nova_json_text(reply->json, "reason", ""), message);
}

/* --- requests --------------------------------------------------------------------------------- */

static void take(struct nova_call *base, const struct nova_reply *reply)
{
	struct call *call = (struct call *)base;

	if (reply)
		call->self->trip_ns = base->answered_ns - base->asked_ns;
	call->step(call, reply ? reply->json : NULL);
}

void call_send(struct call *call, call_step step, const char *method, json_t *body,
               const char *path, ...)
{
	struct nova_text url = {0}, text = {0};
	struct nova_http_request request = {.method = method};
	va_list arguments;

	call->step = step;
	va_start(arguments, path);
	nova_text_vprintf(&url, path, arguments);
	va_end(arguments);
	if (body)
		nova_json_write(&text, body);
	request.url = nova_text_get(&url);
	request.body = text.text;
	request.bytes = text.used;
	if (strcmp(method, "PATCH") == 0)
		request.content_type = "application/json-patch+json";
	if (url.broken || text.broken || (!body && strcmp(method, "GET") != 0))
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else
		nova_call_request(&call->base, take, NULL, &request);
	json_decref(body);
	nova_text_free(&url);
	nova_text_free(&text);
}

json_t *call_delete_options(const char *uid)
{
	json_t *options = json_pack("{ssssss}", "kind", "DeleteOptions", "apiVersion", "v1",
	                            "propagationPolicy", "Background");

	if (uid)
		json_object_set_new(options, "preconditions", json_pack("{ss}", "uid", uid));
	return options;
}

void call_pause(struct call *call, call_step step, int64_t for_ns)
{
	call->step = step;
	nova_call_pause(&call->base, take, for_ns);
}

static void say_failed(struct call *call, json_t *data)
{
	(void)data;
	nova_call_fail(&call->base, call->failure, "VM '%s' in %s: %s", call->name,
	               call->self->namespace, call->prefix);
}

static int not_removed(struct nova_call *base, const struct nova_refusal *refusal)
{
	(void)refusal;
	say_failed((struct call *)base, NULL);
	return 1;
}

int call_remove_failed(struct nova_call *base, int code, const char *words)
{
	struct call *call = (struct call *)base;

	free(call->prefix);
	call->prefix = strdup(words);
	if (!call->prefix)
		return 0;
	call->failure = code;
	call_send(call, say_failed, "DELETE", call_delete_options(NULL), "%s", call->path);
	nova_call_on_refusal(base, not_removed);
	return 1;
}

void call_end(struct call *call, json_t *data)
{
	(void)data;
	nova_call_done(&call->base);
}
