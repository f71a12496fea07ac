/* SPDX-License-Identifier: MIT */
/*
 * How XenAPI is spoken: JSON-RPC 2.0 with the session as the first argument, tasks for what takes
 * time, a session that ends, a master that answers for the pool. What a VM is this file does not
 * know.
 */
#include "xcpng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUT_NS (60 * SECOND_NS)

/* --- calls ------------------------------------------------------------------------------------ */

static void adopt(struct xcpng *self, struct call *call)
{
	call->self = self;
	call->next = self->calls_list;
	self->calls_list = call;
}

static void release(struct nova_call *base)
{
	struct call *call = (struct call *)base;
	struct xcpng *self = nova_calls_driver(base->calls);

	for (struct call **link = &self->calls_list; *link; link = &(*link)->next) {
		if (*link == call) {
			*link = call->next;
			break;
		}
	}
	if (self->watch == call) {
		self->watch = NULL;
		self->watching = 0;
	}
	nova_ssh_free(call->program);
	json_decref(call->record);
	json_decref(call->list);
	json_decref(call->more);
	free(call->text);
	free(call->path);
}

int call_set_name(struct call *call, const char *name)
{
	if (strlen(name) >= sizeof(call->name)) {
		nova_call_fail(&call->base, NOVA_E_INVALID,
		               "a VM's name of %zu characters is more than this driver takes (%zu)",
		               strlen(name), sizeof(call->name) - 1);
		return 0;
	}
	snprintf(call->name, sizeof(call->name), "%s", name);
	return 1;
}

struct call *call_new(struct xcpng *self, nova_op op, const struct nova_ref *vm)
{
	struct call *call = (struct call *)nova_call_new(self->calls, op);

	if (!call)
		return NULL;
	adopt(self, call);
	if (vm && vm->id && !answer_is_uuid(vm->id))
		nova_call_fail(&call->base, NOVA_E_INVALID,
		               "'%.60s' is not an id that this driver gave (a UUID)", vm->id);
	else if (vm && call_set_name(call, vm->name))
		snprintf(call->uuid, sizeof(call->uuid), "%s", vm->id ? vm->id : "");
	if (!vm || call->name[0])
		return call;
	nova_call_return(&call->base);
	return NULL;
}

/* --- answers ---------------------------------------------------------------------------------- */

static const char *advice(int status, int code)
{
	(void)status;
	if (code == NOVA_E_PERMISSION)
		return "; check the parameters user and password, and the user's role "
		       "(novacore-hypervisor-xcp-ng(7) says what it must allow)";
	if (code == NOVA_E_BUSY)
		return "; wait for what is going on there, or look at the VM's tasks (xe "
		       "task-list)";
	if (code == NOVA_E_FULL)
		return "; make room on the storage repository, or name another one by sr";
	return "";
}

static int judge(struct nova_call *base, const struct nova_reply *reply, struct nova_text *words)
{
	const struct call *call = (const struct call *)base;
	const json_t *error = json_object_get(reply->json, "error");
	int code = nova_http_code(reply->http->status);

	if (code != NOVA_DONE || call->plain || !error || json_is_null(error))
		return code;
	return answer_error(nova_json_text(error, "message", "no reason given"),
	                    json_object_get(error, "data"), 0, words);
}

static int expired(struct nova_call *base, const struct nova_refusal *refusal)
{
	struct call *call = (struct call *)base;

	return !call->plain && !call->self->leaving &&
	       strncmp(refusal->words, "SESSION_INVALID", 15) == 0;
}

/* What is called returned that; NULL: this is no answer to it, and the call has ended. */
static json_t *result_of(struct call *call, const struct nova_reply *reply)
{
	const char *why;
	json_t *result = answer_result(reply->json, call->rpc_id, &why);

	if (why)
		nova_call_puzzled(&call->base, why);
	return result;
}

static void take(struct nova_call *base, const struct nova_reply *reply)
{
	struct call *call = (struct call *)base;
	json_t *result = NULL;

	if (reply && call->plain) {
		call->step(call, reply->json);
		return;
	}
	if (reply)
		result = result_of(call, reply);
	if (!reply || result)
		call->step(call, result);
}

int call_take_ref(struct call *call, const json_t *result, char ref[REF_ROOM])
{
	const char *text = nova_json_text(result, "", "");

	if (answer_is_ref(text)) {
		snprintf(ref, REF_ROOM, "%s", text);
		return 1;
	}
	nova_call_puzzled(&call->base, "it was to be a reference, and is not");
	return 0;
}

/* --- requests --------------------------------------------------------------------------------- */

static int is_question(const char *method)
{
	return strstr(method, ".get_") || strcmp(method, "event.from") == 0 ||
	       strncmp(method, "session.login", 13) == 0;
}

/* Takes `params`, to which the session has been added. */
static void post(struct call *call, nova_step step, const char *method, json_t *params)
{
	json_t *request = json_pack("{ss ss so sI}", "jsonrpc", "2.0", "method", method, "params",
	                            params, "id", (json_int_t)++call->self->rpc_id);
	struct nova_text body = {0};

	call->rpc_id = call->self->rpc_id;
	call->plain = 0;
	if (request)
		nova_json_write(&body, request);
	if (!request || body.broken)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else
		nova_call_request(&call->base, step, method,
		                  &(struct nova_http_request){
		                          .method = "POST",
		                          .url = "/jsonrpc",
		                          .content_type = "application/json",
		                          .body = body.text,
		                          .bytes = body.used,
		                          .repeatable = is_question(method),
		                          .deadline_ns = call->base.deadline_ns == INT64_MAX
		                                                 ? nova_http_now_ns() + OUT_NS
		                                                 : 0});
	json_decref(request);
	nova_text_wipe(&body);
}

static void send_list(struct call *call, nova_step step, const char *method, const char *format,
                      va_list arguments)
{
	json_error_t error;
	json_t *params = json_vpack_ex(&error, 0, format, arguments);

	if (!params || json_array_insert_new(params, 0, json_string(call->self->session)) != 0) {
		json_decref(params);
		nova_call_fail(&call->base, NOVA_E_INVALID,
		               "%s: a name in it is not UTF-8, as XenAPI takes them", method);
		return;
	}
	snprintf(call->session, sizeof(call->session), "%s", call->self->session);
	post(call, step, method, params);
}

void call_rpc(struct call *call, call_step step, const char *method, const char *format, ...)
{
	va_list arguments;

	call->step = step;
	va_start(arguments, format);
	send_list(call, take, method, format, arguments);
	va_end(arguments);
}

void call_pause(struct call *call, call_step step, int64_t for_ns)
{
	call->step = step;
	nova_call_pause(&call->base, take, for_ns);
}

/* The session goes in a cookie: in a URL it would stand in the log of every proxy. */
void call_http(struct call *call, call_step step, const char *what, const char *host_base,
               struct nova_http_request *request)
{
	struct nova_text cookie = {0};
	struct nova_text url = {0};
	const char *headers[] = {NULL, NULL};

	nova_text_printf(&cookie, "Cookie: session_id=%s", call->self->session);
	nova_text_printf(&url, "%s%s", host_base, request->url);
	headers[0] = cookie.text;
	request->headers = headers;
	request->url = url.text;
	call->step = step;
	call->plain = 1;
	if (cookie.broken || url.broken)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else
		nova_call_request(&call->base, take, what, request);
	nova_text_wipe(&cookie);
	nova_text_free(&url);
}

/* --- tasks ------------------------------------------------------------------------------------ */

static void one_word(struct nova_call *base, nova_step step, const char *method, const char *word)
{
	struct call *call = (struct call *)base;

	snprintf(call->session, sizeof(call->session), "%s", call->self->session);
	post(call, step, method, json_pack("[ss]", call->session, word));
}

static int task_forgotten(struct nova_call *base, const struct nova_refusal *refusal)
{
	struct call *call = (struct call *)base;

	if (refusal->code != NOVA_E_NOT_FOUND)
		return 0;
	nova_call_fail(
	        base, NOVA_E_UNKNOWN,
	        "%s: its task is gone (was the toolstack restarted?); how it ended is unknown",
	        call->task_name);
	return 1;
}

static void ask_task(struct nova_call *base)
{
	one_word(base, NULL, "task.get_record", ((struct call *)base)->task);
	nova_call_on_refusal(base, task_forgotten);
}

static void stop_task(struct nova_call *base)
{
	one_word(base, NULL, "task.cancel", ((struct call *)base)->task);
}

static void tidied(struct call *call, json_t *result)
{
	(void)result;
	nova_call_done(&call->base);
}

/* Tasks stay in the pool's database for a day unless they are destroyed. */
static void tidy_task(struct call *call)
{
	struct call *tidy = call_new(call->self, 0, NULL);

	if (!tidy)
		return;
	call_rpc(tidy, tidied, "task.destroy", "[s]", call->task);
	nova_call_return(&tidy->base);
}

static int look_at_task(struct nova_call *base, const struct nova_reply *reply,
                        struct nova_text *words)
{
	struct call *call = (struct call *)base;
	json_t *task = result_of(call, reply);
	int code;

	if (!task)
		return NOVA_E_PROTOCOL;
	code = answer_task(task, call->made, words);
	if (code == NOVA_E_PROTOCOL)
		nova_call_puzzled(base, "a task that is neither running nor over");
	return code == ANSWER_RUNS ? NOVA_PENDING : code;
}

static void task_ended(struct nova_call *base, const struct nova_reply *reply)
{
	struct call *call = (struct call *)base;

	(void)reply;
	call->seen_ns = watch_ended_ns(call->self, call->task);
	tidy_task(call);
	call->task[0] = '\0';
	call_tell(call);
	call->event = 0;
	call->task_step(call, NULL);
}

static int task_failed(struct nova_call *base, int code, const char *words)
{
	struct call *call = (struct call *)base;

	tidy_task(call);
	call->task[0] = '\0';
	call->event = 0;
	return call->task_failed && call->task_failed(base, code, words);
}

/* What was pushed is asked for at once: a question gives the whole of it, and costs a millisecond.
 */
static void take_task(struct nova_call *base, const struct nova_reply *reply)
{
	struct call *call = (struct call *)base;
	json_t *result = result_of(call, reply);
	struct nova_poll poll = {.first_ns = call->self->poll_first_ns,
	                         .longest_ns = call->self->poll_longest_ns,
	                         .ask = ask_task,
	                         .look = look_at_task,
	                         .stop = stop_task,
	                         .then = task_ended,
	                         .failed = task_failed};

	if (!result || !call_take_ref(call, result, call->task))
		return;
	call->ordered_ns = base->asked_ns;
	snprintf(poll.name, sizeof(poll.name), "XenAPI's task %s%s%.100s", call->task_name,
	         call->name[0] ? " of " : "", call->name);
	/* without pushes every look counts */
	if (call->self->watching)
		poll.first_ns = poll.longest_ns;
	poll.at_once = watch_ended_ns(call->self, call->task) != 0;
	nova_call_poll(base, &poll);
}

void call_task(struct call *call, call_step step, const char *method, const char *format, ...)
{
	char name[64];
	va_list arguments;

	call->task_step = step;
	call->task_failed = NULL;
	call->made[0] = '\0';
	call->seen_ns = 0;
	call->told = 0;
	snprintf(call->task_name, sizeof(call->task_name), "%s", method);
	snprintf(name, sizeof(name), "Async.%s", method);
	va_start(arguments, format);
	send_list(call, take_task, name, format, arguments);
	va_end(arguments);
}

void call_tell(struct call *call)
{
	if (!call->event || call->told)
		return;
	call->told = 1;
	if (call->seen_ns)
		watch_event(call, call->event, call->seen_ns);
	else
		nova_call_poll_event(&call->base, call->name, call->event);
}

/* --- the session ------------------------------------------------------------------------------ */

static void logged_in(struct call *call, json_t *result)
{
	struct xcpng *self = call->self;

	if (!call_take_ref(call, result, self->session))
		return;
	if (nova_calls_add_secret(self->calls, self->session) != NOVA_DONE) {
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
		return;
	}
	if (self->connected && !self->watch) /* it ended with a session that could not be renewed */
		watch_start(self);
	call->after(call, NULL);
}

static void send_login(struct call *call);

/* A pool's other hosts name their master, and do nothing else. */
static int other_master(struct nova_call *base, const struct nova_refusal *refusal)
{
	struct call *call = (struct call *)base;
	struct xcpng *self = call->self;
	char address[256], *master;

	if (strncmp(refusal->words, "HOST_IS_SLAVE", 13) != 0 || self->redirected)
		return 0;
	if (!answer_address(nova_json_text(refusal->reply->json, "error.data[0]", ""), address,
	                    sizeof(address))) {
		nova_call_puzzled(base, "it names a master that can be no host");
		return 1;
	}
	if (asprintf(&master, "https://%s%s", address, self->port) < 0 ||
	    nova_calls_set_base(self->calls, master) != NOVA_DONE) {
		nova_call_fail(base, NOVA_E_MEMORY, "out of memory");
		return 1;
	}
	free(self->base);
	self->base = master;
	self->redirected = 1;
	send_login(call);
	return 1;
}

static void send_login(struct call *call)
{
	struct xcpng *self = call->self;

	call->step = logged_in;
	post(call, take, "session.login_with_password",
	     json_pack("[ssss]", self->user, self->password, "1.0", "novacore"));
	nova_call_on_refusal(&call->base, other_master);
}

void rpc_login(struct call *call, call_step then)
{
	call->after = then;
	call->self->redirected = 0;
	send_login(call);
}

static void renewed(struct call *call, json_t *result)
{
	(void)result;
	nova_call_done(&call->base);
}

static void renew(struct nova_call *base)
{
	struct call *call = (struct call *)base;

	adopt(nova_calls_driver(base->calls), call);
	rpc_login(call, renewed);
}

static void refresh(struct nova_call *base, struct nova_text *body)
{
	struct call *call = (struct call *)base;

	nova_text_replace(body, call->session, call->self->session);
	snprintf(call->session, sizeof(call->session), "%s", call->self->session);
}

static void logged_out(struct call *call, json_t *result)
{
	(void)result;
	call->self->session[0] = 0;
	nova_call_done(&call->base);
}

int xcpng_disconnect(void *handle, nova_op op)
{
	struct xcpng *self = handle;
	struct call *call;

	self->leaving = 1; /* what the watch hears when it is over does not log in again */
	if (!self->session[0])
		return NOVA_DONE;
	call = call_new(self, op, NULL);
	if (!call)
		return NOVA_E_MEMORY;
	call_rpc(call, logged_out, "session.logout", "[]");
	return nova_call_return(&call->base);
}

/* --- opening ---------------------------------------------------------------------------------- */

int rpc_open(struct xcpng *self)
{
	const struct nova_host *host = self->host;
	const char *pin = host->param_text(self->instance, "fingerprint", 0);
	int64_t insecure = 0;

	host->param_i64(self->instance, "insecure", 0, &insecure);
	return nova_calls_open(
	        &(struct nova_calls_settings){
	                .host = host,
	                .instance = self->instance,
	                .base = self->base,
	                .peer = "XenAPI",
	                .stranger = "; is this the address of a XCP-ng or XenServer host?",
	                .trust_advice = "; give its authority by ca_file, or its fingerprint",
	                .format = NOVA_REPLY_JSON,
	                .secrets = (const char *const[]){self->password, NULL},
	                .http = {.ca_file = host->param_text(self->instance, "ca_file", 0),
	                         .pin = pin && pin[0] ? pin : NULL,
	                         .insecure = !(pin && pin[0]) && insecure,
	                         .headers = (const char *const[]){"Accept: application/json", NULL},
	                         .answer_bytes = 64u * MIB, /* all VMs of a large pool */
	                         .proxy = ""}, /* hosts are near, whatever the environment says */
	                .call_bytes = sizeof(struct call),
	                .release = release,
	                .judge = judge,
	                .advice = advice,
	                .expired = expired,
	                .renew = renew,
	                .refresh = refresh,
	                .driver = self},
	        &self->calls);
}
