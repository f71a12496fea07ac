/* SPDX-License-Identifier: MIT */
/*
 * Ops under way: requests, answers, tasks, pauses, deadlines. What a VM is it does not know.
 */
#include "proxmox.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For an op without a deadline, and for upkeep. */
#define LONGEST_NS (600 * SECOND_NS)
/* How long stopping a task may take: less than the host's grace after cancel. */
#define STOP_NS (3 * SECOND_NS)
/* A poll may be lost that many times in a row: asking again changes nothing. */
#define LOST_POLLS 4u

/* --- life of a call --------------------------------------------------------------------------- */

static int use_ref(struct call *call, const struct nova_ref *vm)
{
	const char *slash;
	char *end = NULL;

	snprintf(call->name, sizeof(call->name), "%s", vm->name);
	if (!vm->id)
		return 1;
	slash = strchr(vm->id, '/');
	if (!slash || (size_t)(slash - vm->id) >= sizeof(call->node))
		return 0;
	snprintf(call->node, sizeof(call->node), "%.*s", (int)(slash - vm->id), vm->id);
	call->vmid = strtoll(slash + 1, &end, 10);
	return upid_is_node(call->node) && end != slash + 1 && *end == '\0' && call->vmid >= 100;
}

struct call *call_new(struct proxmox *self, nova_op op, const struct nova_ref *vm)
{
	struct call *call = calloc(1, sizeof(*call));
	int64_t deadline = op ? self->host->deadline_ns(op) : 0;

	if (!call) {
		self->host->error(op, NOVA_E_MEMORY, "out of memory");
		return NULL;
	}
	call->self = self;
	call->op = op;
	call->inside = 1;
	call->deadline_ns = deadline > 0 ? deadline : http_now_ns() + LONGEST_NS;
	snprintf(call->node, sizeof(call->node), "%s", self->node);
	call->next = self->calls;
	self->calls = call;
	if (vm && !use_ref(call, vm)) {
		self->host->errorf(op, NOVA_E_INVALID,
		                   "'%s' is not an id that this driver gave (NODE/VMID)", vm->id);
		call_free(call);
		return NULL;
	}
	return call;
}

void call_free(struct call *call)
{
	struct call **link = &call->self->calls;

	while (*link != call)
		link = &(*link)->next;
	*link = call->next;
	http_abort(call->request);
	form_free(&call->form);
	free(call->image);
	free(call);
}

int call_return(struct call *call)
{
	int result = call->result;

	call->inside = 0;
	if (!call->ended)
		return NOVA_PENDING;
	call_free(call);
	return result;
}

static void end(struct call *call, int status)
{
	struct proxmox *self = call->self;
	nova_op op = call->op;

	if (call->inside) { /* call_return tells the host */
		call->result = status;
		call->ended = 1;
		return;
	}
	call_free(call);
	if (op)
		self->host->done(op, status);
}

void call_done(struct call *call)
{
	end(call, call->stopped ? call->stopped : NOVA_DONE);
}

/* The peer's words go into errors: the secret must not, whatever the peer answers. */
static void redact(char *text, const char *secret)
{
	size_t length = strlen(secret);

	for (char *at = strstr(text, secret); length && at; at = strstr(at, secret))
		memset(at, '*', length);
}

void call_fail(struct call *call, int code, const char *format, ...)
{
	char *text = NULL;
	va_list arguments;
	int bytes;

	va_start(arguments, format);
	bytes = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (bytes >= 0) {
		redact(text, call->self->token);
		if (call->op)
			call->self->host->error(call->op, code, text);
		else
			call->self->host->log(call->self->instance, NOVA_SAY_DEBUG, text);
	}
	free(text);
	end(call, call->stopped ? call->stopped : code);
}

/* --- what Proxmox says ------------------------------------------------------------------------ */

const char *json_text(json_t *object, const char *key, const char *fallback)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : fallback;
}

/* Perl turns numbers into texts at whim, and has no booleans. */
int64_t json_number(json_t *object, const char *key, int64_t fallback)
{
	json_t *value = json_object_get(object, key);
	char *rest;
	int64_t number;

	if (json_is_integer(value))
		return json_integer_value(value);
	if (json_is_real(value))
		return (int64_t)json_real_value(value);
	if (json_is_boolean(value))
		return json_is_true(value);
	if (!json_is_string(value) || json_string_length(value) == 0)
		return fallback;
	number = strtoll(json_string_value(value), &rest, 10);
	return *rest == '\0' ? number : fallback;
}

int call_status_of(long http_status, const char *text)
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

static const char *advice(long http_status, int code)
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

/* "Parameter verification failed. (cores: …; memory: …)", printable and of bounded length. */
static void say_refusal(struct form *text, const struct http_answer *answer, json_t *root)
{
	const char *message = json_text(root, "message", answer->reason);
	const char *separator = " (";
	const char *key;
	json_t *value;

	form_printf(text, "%.300s", *message ? message : "no reason given");
	json_object_foreach(json_object_get(root, "errors"), key, value)
	{
		form_printf(text, "%s%.60s: %.200s", separator, key,
		            json_is_string(value) ? json_string_value(value) : "?");
		separator = "; ";
	}
	if (*separator == ';')
		form_append(text, ")", 1);
	for (size_t i = 0; i < text->used; i++) {
		if ((unsigned char)text->text[i] < ' ')
			text->text[i] = ' ';
	}
	while (text->used && text->text[text->used - 1] == ' ')
		text->text[--text->used] = '\0';
}

static void take_refusal(struct call *call, const struct http_answer *answer, json_t *root)
{
	int (*refused)(struct call *, long, const char *) = call->refused;
	struct form text = {0};
	int code;

	say_refusal(&text, answer, root);
	call->refused = NULL;
	if (text.broken) {
		call_fail(call, NOVA_E_MEMORY, "out of memory");
	} else if (!refused || !refused(call, answer->status, text.text)) {
		code = call_status_of(answer->status, text.text);
		call_fail(call, code, "%s at %s: %ld %s%s", call->what, call->self->base,
		          answer->status, text.text, advice(answer->status, code));
	}
	form_free(&text);
}

/* --- requests --------------------------------------------------------------------------------- */

static int poll_again(struct call *call);

static void take_answer(void *context, const struct http_answer *answer)
{
	struct call *call = context;
	json_error_t trouble;
	json_t *root;
	json_t *data;

	call->request = NULL;
	call->answered_ns = answer->end_ns;
	call->asked_ns = answer->end_ns - answer->latency_ns;
	if (answer->result != NOVA_DONE && poll_again(call))
		return;
	if (answer->result != NOVA_DONE) {
		call_fail(call, answer->result, "%s at %s failed: %s%s", call->what,
		          call->self->base, answer->error,
		          answer->result == NOVA_E_PERMISSION
		                  ? "; give its authority by ca_file, or its fingerprint"
		                  : "");
		return;
	}
	if (call->op)
		call->self->host->put_i64(call->op, NOVA_FIELD_API_NS, answer->latency_ns);
	root = json_loadb(answer->body, answer->bytes, JSON_REJECT_DUPLICATES, &trouble);
	if (answer->status < 200 || answer->status > 299) {
		take_refusal(call, answer, root);
		json_decref(root);
		return;
	}
	data = json_object_get(root, "data");
	call->refused = NULL;
	if (data)
		call->step(call, data);
	else
		call_fail(
		        call, NOVA_E_PROTOCOL,
		        "%s: the answer of %s is not Proxmox's (%s); is this the API's port, 8006?",
		        call->what, call->self->base, root ? "no \"data\" in it" : trouble.text);
	json_decref(root);
}

static void send_path(struct call *call, call_step step, const char *method, const char *body,
                      const char *path)
{
	int64_t left_ms = (call->deadline_ns - http_now_ns()) / 1000000;
	struct form url = {0};
	int writes = strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0;

	call->step = step;
	call->due_ns = 0;
	snprintf(call->what, sizeof(call->what), "%s %.*s", method, (int)strcspn(path, "?"), path);
	form_printf(&url, "%s%s", call->self->base, path);
	/* beyond the deadline: call_tick ends the op, and says so better */
	if (!url.broken)
		call->request = http_start(
		        call->self->http, method, url.text, writes ? (body ? body : "") : NULL,
		        (long)(left_ms > 0 ? left_ms : 0) + 2000, take_answer, call);
	form_free(&url);
	if (!call->request)
		call_fail(call, NOVA_E_MEMORY, "out of memory");
}

void call_send(struct call *call, call_step step, const char *method, const char *body,
               const char *path, ...)
{
	char text[640];
	va_list arguments;

	va_start(arguments, path);
	vsnprintf(text, sizeof(text), path, arguments);
	va_end(arguments);
	send_path(call, step, method, body, text);
}

void call_pause(struct call *call, call_step step, int64_t for_ns)
{
	call->step = step;
	call->due_ns = http_now_ns() + for_ns;
}

/* --- tasks ------------------------------------------------------------------------------------ */

static void poll_task(struct call *call, json_t *unused);
static void take_status(struct call *call, json_t *data);

static void task_stopped(struct call *call, json_t *data)
{
	(void)data;
	call_done(call);
}

static void send_task(struct call *call, call_step step, const char *method, const char *after)
{
	struct form path = {0};

	form_printf(&path, "/nodes/%s/tasks/", call->task.node);
	form_escape(&path, call->task.text, strlen(call->task.text));
	form_printf(&path, "%s", after);
	if (path.broken)
		call_fail(call, NOVA_E_MEMORY, "out of memory");
	else
		send_path(call, step, method, NULL, path.text);
	form_free(&path);
}

/* A poll whose answer was lost is asked again: it changes nothing. */
static int poll_again(struct call *call)
{
	if (call->step != take_status || call->lost >= LOST_POLLS)
		return 0;
	call->lost++;
	call_pause(call, poll_task, call->interval_ns);
	return 1;
}

static int poll_refused(struct call *call, long status, const char *text)
{
	return call_status_of(status, text) == NOVA_E_UNAVAILABLE && poll_again(call);
}

static void poll_task(struct call *call, json_t *unused)
{
	(void)unused;
	send_task(call, take_status, "GET", "/status");
	call->refused = poll_refused;
}

static void task_ended(struct call *call, const char *outcome)
{
	call_step step = call->task_step;
	int (*failed)(struct call *, const char *) = call->task_failed;
	char type[sizeof(call->task.type)];
	char id[sizeof(call->task.id)];
	int code;

	snprintf(type, sizeof(type), "%s", call->task.type);
	snprintf(id, sizeof(id), "%s", call->task.id);
	call->task = (struct upid){0};
	call->task_step = NULL;
	call->task_failed = NULL;
	if (strcmp(outcome, "OK") == 0 || strncmp(outcome, "WARNINGS:", 9) == 0) {
		step(call, NULL);
	} else if (!failed || !failed(call, outcome)) {
		code = call_status_of(500, outcome);
		call_fail(call, code, "Proxmox's task %s of VM %s on %s failed: %.400s%s", type, id,
		          call->node, outcome, advice(500, code));
	}
}

static void take_status(struct call *call, json_t *data)
{
	const char *status = json_text(data, "status", "");

	call->lost = 0;
	if (strcmp(status, "running") == 0) {
		call->last_running_ns = call->asked_ns;
		call->interval_ns += call->interval_ns / 2;
		if (call->interval_ns > call->self->poll_longest_ns)
			call->interval_ns = call->self->poll_longest_ns;
		call_pause(call, poll_task, call->interval_ns);
	} else if (strcmp(status, "stopped") == 0) {
		task_ended(call, json_text(data, "exitstatus", "it ended without saying how"));
	} else {
		call_fail(call, NOVA_E_PROTOCOL,
		          "%s: a task that is neither running nor stopped, but '%.40s'", call->what,
		          status);
	}
}

static void take_task(struct call *call, json_t *data)
{
	if (!json_is_string(data) || !upid_parse(json_string_value(data), &call->task)) {
		call_fail(call, NOVA_E_PROTOCOL, "%s: Proxmox was to name a task, and did not",
		          call->what);
		return;
	}
	if (call->stopped) { /* given up while it was being started */
		send_task(call, task_stopped, "DELETE", "");
		return;
	}
	if (call->task_begun)
		call->task_begun(call);
	call->lost = 0;
	call->last_running_ns = call->asked_ns;
	call->interval_ns = call->self->poll_first_ns;
	call_pause(call, poll_task, call->interval_ns);
}

void call_task(struct call *call, call_step step, const char *method, const char *body,
               const char *path, ...)
{
	char text[640];
	va_list arguments;

	va_start(arguments, path);
	vsnprintf(text, sizeof(text), path, arguments);
	va_end(arguments);
	call->task_step = step;
	send_path(call, take_task, method, body, text);
}

void call_event(struct call *call, uint32_t kind, uint32_t source, int64_t t_ns,
                int64_t resolution_ns)
{
	struct nova_event event = {.struct_size = sizeof(event),
	                           .kind = kind,
	                           .source = source,
	                           .name = call->name,
	                           .t_ns = t_ns,
	                           .resolution_ns = resolution_ns > 0 ? resolution_ns : 1};

	call->self->host->event(call->self->instance, &event);
}

/* It happened between the last poll that saw the task run and the one that saw its end. */
void call_task_event(struct call *call, uint32_t kind)
{
	call_event(call, kind, NOVA_SOURCE_POLL, call->answered_ns,
	           call->answered_ns - call->last_running_ns);
}

/* --- giving up -------------------------------------------------------------------------------- */

void call_stop(struct call *call, int status)
{
	if (call->stopped)
		return;
	call->stopped = status;
	call->deadline_ns = http_now_ns() + STOP_NS;
	if (call->task.text[0]) {
		http_abort(call->request);
		call->request = NULL;
		send_task(call, task_stopped, "DELETE", "");
	} else if (!call->task_step || !call->request) {
		call_done(call);
	} /* else the answer tells which task to stop */
}

static void overdue(struct call *call)
{
	if (call->stopped) {
		call_done(call);
		return;
	}
	if (call->op)
		call->self->host->errorf(call->op, NOVA_E_TIMEOUT,
		                         "%s at %s: not finished at the deadline%s%s; how it ended "
		                         "there is unknown",
		                         call->what, call->self->base,
		                         call->task.text[0] ? ", the task was told to stop: " : "",
		                         call->task.text);
	call_stop(call, NOVA_E_TIMEOUT);
}

static struct call *find_due(struct proxmox *self, int64_t now_ns)
{
	for (struct call *call = self->calls; call; call = call->next) {
		if (now_ns >= call->deadline_ns || (call->due_ns && now_ns >= call->due_ns))
			return call;
	}
	return NULL;
}

int64_t call_tick(struct proxmox *self, int64_t now_ns)
{
	int64_t next_ns = INT64_MAX;
	struct call *call;

	/* each of these steps ends the call or moves its times into the future */
	while ((call = find_due(self, now_ns))) {
		if (now_ns >= call->deadline_ns) {
			overdue(call);
		} else {
			call->due_ns = 0;
			call->step(call, NULL);
		}
	}
	for (call = self->calls; call; call = call->next) {
		if (call->deadline_ns < next_ns)
			next_ns = call->deadline_ns;
		if (call->due_ns && call->due_ns < next_ns)
			next_ns = call->due_ns;
	}
	return next_ns;
}
