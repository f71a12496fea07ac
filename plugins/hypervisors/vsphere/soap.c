/* SPDX-License-Identifier: MIT */
/*
 * Requests of the vim25 API, what its refusals mean, its session. What a VM is this file does not
 * know.
 */
#include "vsphere.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COOKIE "vmware_soap_session"

/* The version of the API that requests are written in: vSphere 6.5, and what came after it. */
static const char *const headers[] = {"SOAPAction: \"urn:vim25/6.5\"", NULL};

/* --- calls --------------------------------------------------------------------------------------
 */

static size_t count(const char *text, char wanted)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == wanted;
	return n;
}

/* What XML cannot hold would become '?', and the VM another's. */
int soap_can_hold(const char *name)
{
	struct nova_text text = {0};
	int good;

	nova_text_escape_xml(&text, name);
	good = !text.broken && count(nova_text_get(&text), '?') == count(name, '?');
	nova_text_free(&text);
	return good && !strpbrk(name, "\t\r\n");
}

int call_set_name(struct call *call, const char *name)
{
	size_t length = 0;

	/* the server keeps '/', '\' and '%' as three characters each */
	for (const char *at = name; *at; at++)
		length += strchr("/\\%", *at) ? 3 : (*at & 0xc0) != 0x80;
	if (length == 0 || length > NAME_LONGEST) {
		nova_call_fail(
		        &call->base, NOVA_E_INVALID,
		        "a name of %zu characters, as vSphere counts them, cannot be a VM's: 1 "
		        "to %d",
		        length, NAME_LONGEST);
		return 0;
	}
	if (strlen(name) >= sizeof(call->name) || !soap_can_hold(name)) {
		nova_call_fail(&call->base, NOVA_E_INVALID,
		               "a name with control characters, or that is not UTF-8, cannot be a "
		               "VM's in vSphere");
		return 0;
	}
	snprintf(call->name, sizeof(call->name), "%s", name);
	return 1;
}

/* The id that this driver gives a VM is its object's name: "vm-101", on a single host "12". */
static int read_id(struct call *call, const char *id)
{
	size_t length = strlen(id);

	if (length == 0 || length >= sizeof(call->vm.value) || strpbrk(id, "<>&'\" /\r\n\t"))
		return 0;
	snprintf(call->vm.type, sizeof(call->vm.type), "VirtualMachine");
	snprintf(call->vm.value, sizeof(call->vm.value), "%s", id);
	return 1;
}

static int use_ref(struct call *call, const struct nova_ref *vm)
{
	if (!call_set_name(call, vm->name))
		return 0;
	if (!vm->id || read_id(call, vm->id))
		return 1;
	nova_call_fail(&call->base, NOVA_E_INVALID,
	               "'%.80s' is not an id that this driver gave (vm-101)", vm->id);
	return 0;
}

struct call *call_new(struct vsphere *self, nova_op op, const struct nova_ref *vm)
{
	struct call *call = (struct call *)nova_call_new(self->calls, op);

	if (!call)
		return NULL;
	call->self = self;
	if (vm && !use_ref(call, vm)) {
		nova_call_return(&call->base);
		return NULL;
	}
	return call;
}

void soap_release(struct nova_call *base)
{
	struct call *call = (struct call *)base;

	watch_drop(call);
	if (call->self && call->self->watch.call == call)
		call->self->watch.call = NULL;
	nova_text_wipe(&call->body);
	nova_text_wipe(&call->command);
	nova_text_wipe(&call->input);
	nova_text_free(&call->prefix);
	free(call->image);
	free(call->directory);
}

void call_puzzled(struct call *call, const char *why)
{
	nova_call_puzzled(&call->base, why);
}

/* --- objects ------------------------------------------------------------------------------------
 */

void soap_add_moref(struct nova_text *body, const char *name, const struct moref *object)
{
	nova_text_printf(body, "<%s type=\"", name);
	nova_text_escape_xml(body, object->type);
	nova_text_add(body, "\">");
	nova_text_escape_xml(body, object->value);
	nova_text_printf(body, "</%s>", name);
}

int soap_read_moref(const struct nova_xml_node *node, struct moref *object)
{
	const char *type = nova_xml_attribute(node, NULL, "type");
	const char *value = nova_xml_text(node, NULL, "", NULL);

	*object = (struct moref){0};
	if (!type || !value || !*type || !*value || strlen(type) >= sizeof(object->type) ||
	    strlen(value) >= sizeof(object->value))
		return 0;
	snprintf(object->type, sizeof(object->type), "%s", type);
	snprintf(object->value, sizeof(object->value), "%s", value);
	return 1;
}

int moref_same(const struct moref *one, const struct moref *other)
{
	return strcmp(one->value, other->value) == 0 && strcmp(one->type, other->type) == 0;
}

/* --- requests -----------------------------------------------------------------------------------
 */

void soap_begin(struct call *call, const char *method, const struct moref *object)
{
	nova_text_wipe(&call->body);
	snprintf(call->method, sizeof(call->method), "%s", method);
	nova_text_printf(&call->body,
	                 "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	                 "<soapenv:Envelope xmlns:soapenv=\"" SOAP "\" "
	                 "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
	                 "xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">"
	                 "<soapenv:Body><%s xmlns=\"" VIM "\">",
	                 method);
	soap_add_moref(&call->body, "_this", object);
}

static void take(struct nova_call *base, const struct nova_reply *reply)
{
	struct call *call = (struct call *)base;
	const struct nova_xml_node *result = NULL;
	char name[sizeof(call->method) + 16];

	if (reply) {
		snprintf(name, sizeof(name), "%sResponse", call->method);
		result =
		        nova_xml_first(nova_xml_at(nova_xml_reply(reply), SOAP, "Body"), VIM, name);
		if (!result) {
			call_puzzled(call, "it does not answer what was asked");
			return;
		}
	}
	call->step(call, result);
}

static void send(struct call *call, call_step step, int repeatable)
{
	struct nova_http_request request = {.method = "POST", .url = "/sdk", .headers = headers};

	nova_text_printf(&call->body, "</%s></soapenv:Body></soapenv:Envelope>", call->method);
	request.body = call->body.text;
	request.bytes = call->body.used;
	request.repeatable = repeatable;
	request.attempts = repeatable ? 3 : 0;
	/* the watch's question has no deadline: a server that is gone is found out by its silence
	 */
	request.idle_ns = call == call->self->watch.call ? 60 * SECOND_NS : 0;
	call->step = step;
	if (call->body.broken)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else
		nova_call_request(&call->base, step ? take : NULL, call->method, &request);
	nova_text_wipe(&call->body);
}

void soap_ask(struct call *call, call_step step)
{
	send(call, step, 1);
}

void soap_order(struct call *call, call_step step)
{
	send(call, step, 0);
}

void call_pause(struct call *call, call_step step, int64_t for_ns)
{
	call->step = step;
	nova_call_pause(&call->base, take, for_ns);
}

/* --- what the server says -----------------------------------------------------------------------
 */

int soap_judge(struct nova_call *base, const struct nova_reply *reply, struct nova_text *words)
{
	struct fault fault;

	(void)base;
	if (fault_of_reply(nova_xml_reply(reply), &fault) ||
	    fault_of_properties(nova_xml_reply(reply), &fault)) {
		nova_text_add(words, fault.text);
		return fault.code;
	}
	return nova_http_code(reply->http->status);
}

const char *soap_advice(int http_status, int code)
{
	if (http_status == 404)
		return "; is this a vCenter or an ESXi host?";
	if (code == NOVA_E_PERMISSION)
		return "; check the parameters user and password, and that user's role "
		       "(novacore-hypervisor-vsphere(7) lists its privileges)";
	if (code == NOVA_E_BUSY)
		return "; wait for what is going on there, or look at the VM's recent tasks";
	if (code == NOVA_E_UNSUPPORTED)
		return "; a host without vCenter lacks this, or the licence forbids it";
	return "";
}

/* --- the session --------------------------------------------------------------------------------
 */

int soap_expired(struct nova_call *base, const struct nova_refusal *refusal)
{
	const struct vsphere *self = nova_calls_driver(base->calls);
	const struct nova_xml_node *root = nova_xml_reply(refusal->reply);
	struct fault fault;

	return !self->leaving &&
	       (fault_of_reply(root, &fault) || fault_of_properties(root, &fault)) &&
	       strcmp(fault.type, "NotAuthenticated") == 0;
}

/* "vmware_soap_session="52…"; Path=/; HttpOnly": what goes back is the first part, as it is. */
static int keep_cookie(struct vsphere *self, const struct nova_reply *reply)
{
	const char *line;
	char cookie[300];
	int kept = 0;

	for (size_t i = 0; (line = nova_http_header(reply->http, "Set-Cookie", i)); i++) {
		size_t length = strcspn(line, "; \t\r\n");

		if (strncmp(line, COOKIE "=", sizeof(COOKIE)) != 0 || length >= sizeof(cookie))
			continue;
		snprintf(cookie, sizeof(cookie), "%.*s", (int)length, line);
		kept = nova_calls_add_secret(self->calls, cookie + sizeof(COOKIE)) == NOVA_DONE &&
		       nova_http_set_header(nova_calls_http(self->calls), "Cookie", cookie);
	}
	return kept;
}

static void logged_in(struct nova_call *base, const struct nova_reply *reply)
{
	struct call *call = (struct call *)base;
	const char *key = nova_xml_text(nova_xml_first(nova_xml_reply(reply), SOAP, "Body"), VIM,
	                                "LoginResponse/returnval/key", "");

	if (!*key || !keep_cookie(call->self, reply)) {
		call_puzzled(call, "it gave no session");
		return;
	}
	nova_calls_add_secret(call->self->calls, key); /* some servers use it as the cookie */
	snprintf(call->self->session_key, sizeof(call->self->session_key), "%s", key);
	if (call->step)
		call->step(call, NULL);
	else
		nova_call_done(base);
}

void soap_login(struct call *call, call_step then)
{
	struct vsphere *self = call->self;
	struct nova_http_request request = {.method = "POST",
	                                    .url = "/sdk",
	                                    .headers = headers,
	                                    .repeatable = 1,
	                                    .attempts = 3};

	/* who is logged in is not let in a second time */
	nova_http_set_header(nova_calls_http(self->calls), "Cookie", NULL);
	soap_begin(call, "Login", &self->session);
	nova_xml_add(&call->body, "userName", self->user);
	nova_xml_add(&call->body, "password", self->password);
	nova_xml_add(&call->body, "locale", "en_US");
	nova_text_add(&call->body, "</Login></soapenv:Body></soapenv:Envelope>");
	call->step = then;
	request.body = call->body.text;
	request.bytes = call->body.used;
	if (call->body.broken)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else
		nova_call_request(&call->base, logged_in, "Login", &request);
	nova_text_wipe(&call->body);
}

void soap_renew(struct nova_call *base)
{
	struct call *call = (struct call *)base;

	call->self = nova_calls_driver(base->calls);
	soap_login(call, NULL);
}

static void logged_out(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	call->self->session_key[0] = '\0';
	nova_call_done(&call->base);
}

int vsphere_disconnect(void *handle, nova_op op)
{
	struct vsphere *self = handle;
	struct call *call;

	self->leaving = 1; /* what the watch hears when it is over does not log in again */
	if (!self->session_key[0])
		return NOVA_DONE;
	call = call_new(self, op, NULL);
	if (!call)
		return NOVA_E_MEMORY;
	soap_begin(call, "Logout", &self->session);
	soap_order(call, logged_out);
	return nova_call_return(&call->base);
}
