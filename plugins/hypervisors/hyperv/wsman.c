/* SPDX-License-Identifier: MIT */
/*
 * WS-Management: envelopes, enumerations page by page, methods and their jobs. What a VM is this
 * file does not know.
 */
#include "hyperv.h"

#include "fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENUMERATION "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
#define TRANSFER    "http://schemas.xmlsoap.org/ws/2004/09/transfer"
#define WQL         "http://schemas.microsoft.com/wbem/wsman/1/WQL"

/* WinRM's own default, and the largest that every version of it takes (its MaxEnvelopeSizekb). */
#define ENVELOPE_BYTES 512000
/* More pages than 10 000 VMs have: a peer that never comes to an end. */
#define PAGES      2000u
#define ITEMS      100
#define SILENCE_NS (30 * SECOND_NS)

/* JobState of CIM_ConcreteJob. */
#define JOB_COMPLETED        7
#define JOB_TERMINATED       8
#define JOB_EXCEPTION        10
#define JOB_COMPLETED_WARNED 32768
/* RequestStateChange of a job. */
#define JOB_TERMINATE 4

static const char *const services[SERVICES] = {
        [MANAGE] = "Msvm_VirtualSystemManagementService",
        [DISKS] = "Msvm_ImageManagementService",
        [SNAPSHOTS] = "Msvm_VirtualSystemSnapshotService",
        [MIGRATION] = "Msvm_VirtualSystemMigrationService",
        [SWITCHES] = "Msvm_VirtualEthernetSwitchManagementService",
};

const char *service_class(enum service service)
{
	return services[service];
}

/* --- calls ------------------------------------------------------------------------------------ */

/* What XML cannot hold would become '?', and the VM another's. */
static int can_be_written(const char *name)
{
	struct nova_text text = {0};
	size_t marks = 0;
	size_t found = 0;

	nova_text_escape_xml(&text, name);
	for (const char *at = name; *at; at++)
		marks += *at == '?';
	for (const char *at = nova_text_get(&text); *at; at++)
		found += *at == '?';
	nova_text_free(&text);
	return marks == found && !strpbrk(name, "\t\r\n");
}

int call_set_name(struct call *call, const char *name)
{
	size_t length = 0;

	for (const char *at = name; *at; at++)
		length += (*at & 0xc0) != 0x80;
	if (length == 0 || length > NAME_LONGEST || strlen(name) >= sizeof(call->name)) {
		nova_call_fail(&call->base, NOVA_E_INVALID,
		               "a name of %zu characters cannot be a VM's in Hyper-V: 1 to %d",
		               length, NAME_LONGEST);
		return 0;
	}
	if (!can_be_written(name)) {
		nova_call_fail(&call->base, NOVA_E_INVALID,
		               "a name with control characters, or that is not UTF-8, cannot be a "
		               "VM's in Hyper-V");
		return 0;
	}
	snprintf(call->name, sizeof(call->name), "%s", name);
	return 1;
}

struct call *call_new(struct hyperv *self, nova_op op, const struct nova_ref *vm)
{
	struct call *call = (struct call *)nova_call_new(self->calls, op);
	int good = 1;

	if (!call)
		return NULL;
	call->self = self;
	if (vm)
		good = call_set_name(call, vm->name);
	if (good && vm && vm->id && !cim_is_guid(vm->id)) {
		nova_call_fail(&call->base, NOVA_E_INVALID,
		               "'%.80s' is not an id that this driver gave (a GUID)", vm->id);
		good = 0;
	}
	if (!good) {
		nova_call_return(&call->base);
		return NULL;
	}
	if (vm && vm->id)
		snprintf(call->guid, sizeof(call->guid), "%s", vm->id);
	return call;
}

void call_release(struct nova_call *base)
{
	struct call *call = (struct call *)base;

	if (call->self && call->self->watcher == call)
		call->self->watcher = NULL;
	nova_text_free(&call->body);
	nova_text_free(&call->files);
	nova_text_free(&call->switches);
	nova_text_free(&call->knobs);
	nova_ssh_free(call->program);
}

/* --- envelopes -------------------------------------------------------------------------------- */

/* The service gives up then, and says so; libcurl's deadline is a little later. */
static long long operation_timeout_s(const struct call *call)
{
	int64_t left_s = (call->base.deadline_ns - nova_http_now_ns()) / SECOND_NS;

	return left_s < 1 ? 1 : left_s > 60 ? 60 : left_s;
}

/* `selectors` is a whole SelectorSet, or "". */
static void begin_envelope(struct call *call, struct nova_text *text, const char *resource,
                           const char *action, const char *selectors)
{
	char guid[40];

	cim_make_guid(guid);
	snprintf(call->message, sizeof(call->message), "uuid:%s", guid);
	nova_text_printf(
	        text,
	        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
	        "<s:Envelope xmlns:s=\"" FAULT_SOAP "\" xmlns:a=\"" CIM_ADDRESS
	        "\" xmlns:w=\"" CIM_WSMAN "\"><s:Header><a:To>%s/wsman</a:To>"
	        "<w:ResourceURI s:mustUnderstand=\"true\">%s</w:ResourceURI>"
	        "<a:ReplyTo><a:Address s:mustUnderstand=\"true\">" CIM_ANYBODY
	        "</a:Address></a:ReplyTo><a:Action s:mustUnderstand=\"true\">%s</a:Action>"
	        "<w:MaxEnvelopeSize s:mustUnderstand=\"true\">%d</w:MaxEnvelopeSize>"
	        "<a:MessageID>%s</a:MessageID>"
	        "<w:OperationTimeout>PT%lld.000S</w:OperationTimeout>%s</s:Header><s:Body>",
	        call->self->base, resource, action, ENVELOPE_BYTES, call->message,
	        operation_timeout_s(call), selectors);
}

static void take(struct nova_call *base, const struct nova_reply *reply);

/* What is in `text` is sent; `what` stands in sentences. */
static void send(struct call *call, nova_step step, const char *what, struct nova_text *text,
                 int order, int repeatable)
{
	struct nova_http_request request = {.method = "POST", .url = "/wsman"};

	nova_text_add(text, "</s:Body></s:Envelope>");
	request.body = text->text;
	request.bytes = text->used;
	request.repeatable = repeatable;
	request.attempts = repeatable ? 3 : 0;
	/* upkeep has no deadline: a host that is gone is found out by its silence */
	request.idle_ns = call->base.op ? 0 : SILENCE_NS;
	call->order = order;
	if (text->broken)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else
		nova_call_request(&call->base, step, what, &request);
	nova_text_free(text);
	if (call->refused)
		nova_call_on_refusal(&call->base, call->refused);
	if (call->lost)
		nova_call_on_loss(&call->base, call->lost);
}

/* --- questions -------------------------------------------------------------------------------- */

struct nova_text *wql_begin(struct call *call, const char *text)
{
	nova_text_free(&call->body);
	nova_text_add(&call->body, text);
	return &call->body;
}

void wql_send(struct call *call, const char *space, item_step each, call_step then)
{
	struct nova_text text = {0};

	snprintf(call->resource, sizeof(call->resource), CIM_RESOURCES "%s/*", space);
	call->each = each;
	call->step = then;
	call->pages = 0;
	call->context[0] = '\0';
	snprintf(call->expected, sizeof(call->expected), "EnumerateResponse");
	begin_envelope(call, &text, call->resource, ENUMERATION "/Enumerate", "");
	nova_text_printf(&text,
	                 "<n:Enumerate xmlns:n=\"" ENUMERATION "\"><w:OptimizeEnumeration/>"
	                 "<w:MaxElements>%d</w:MaxElements><w:Filter Dialect=\"" WQL "\">",
	                 ITEMS);
	nova_text_escape_xml(&text, nova_text_get(&call->body));
	nova_text_add(&text, "</w:Filter></n:Enumerate>");
	text.broken |= call->body.broken;
	nova_text_free(&call->body);
	send(call, take, "a query", &text, 0, 1);
}

/* A context that was pulled from is another one then: this is no question that may be repeated. */
static void pull(struct call *call)
{
	struct nova_text text = {0};

	snprintf(call->expected, sizeof(call->expected), "PullResponse");
	begin_envelope(call, &text, call->resource, ENUMERATION "/Pull", "");
	nova_text_add(&text, "<n:Pull xmlns:n=\"" ENUMERATION "\"><n:EnumerationContext>");
	nova_text_escape_xml(&text, call->context);
	nova_text_printf(&text, "</n:EnumerationContext><n:MaxElements>%d</n:MaxElements></n:Pull>",
	                 ITEMS);
	send(call, take, "a query's next page", &text, 0, 0);
}

static void take_page(struct call *call, const struct nova_xml_node *page)
{
	const struct nova_xml_node *items = nova_xml_first(page, NULL, "Items");
	const struct nova_xml_node *item = nova_xml_first(items, NULL, NULL);
	const struct nova_xml_node *context =
	        nova_xml_first(page, ENUMERATION, "EnumerationContext");
	const char *name = nova_xml_text(context, NULL, "", "");

	for (; item; item = nova_xml_next(item, NULL, NULL))
		call->each(call, item);
	if (nova_xml_first(page, NULL, "EndOfSequence")) {
		call->step(call, NULL);
		return;
	}
	if (context && strlen(name) < sizeof(call->context))
		snprintf(call->context, sizeof(call->context), "%s", name);
	if (!call->context[0] || (context && strlen(name) >= sizeof(call->context)))
		nova_call_puzzled(&call->base, "a page that is neither the last nor has a next");
	else if (++call->pages > PAGES)
		nova_call_puzzled(&call->base, "a list without an end");
	else
		pull(call);
}

/* --- orders ----------------------------------------------------------------------------------- */

static void add_selector(struct nova_text *text, const char *name, const char *value)
{
	nova_text_printf(text, "<w:Selector Name=\"%s\">", name);
	nova_text_escape_xml(text, value);
	nova_text_add(text, "</w:Selector>");
}

/* What a class's instances are told apart by. */
static void add_selectors(const struct call *call, struct nova_text *text, const char *class_name,
                          const char *key, const char *value)
{
	int of_host = strstr(class_name, "Service") != NULL;
	int of_vm = strstr(class_name, "Component") != NULL;

	nova_text_add(text, "<w:SelectorSet>");
	if (strcmp(key, "InstanceID") != 0 && strncmp(class_name, "Msvm_", 5) == 0)
		add_selector(text, "CreationClassName", class_name);
	if (of_host || of_vm) {
		add_selector(text, "SystemCreationClassName", "Msvm_ComputerSystem");
		add_selector(text, "SystemName", of_vm ? call->guid : call->self->computer);
	}
	add_selector(text, key, value);
	nova_text_add(text, "</w:SelectorSet>");
}

static void begin_order(struct call *call, const char *space, const char *class_name,
                        const char *method, const char *key, const char *value)
{
	struct nova_text selectors = {0};
	char action[240];

	nova_text_free(&call->body);
	add_selectors(call, &selectors, class_name, key, value);
	snprintf(call->resource, sizeof(call->resource), CIM_RESOURCES "%s/%s", space, class_name);
	snprintf(action, sizeof(action), "%s/%s", call->resource, method);
	begin_envelope(call, &call->body, call->resource, action, nova_text_get(&selectors));
	nova_text_printf(&call->body, "<p:%s_INPUT xmlns:p=\"%s\">", method, call->resource);
	snprintf(call->expected, sizeof(call->expected), "%s_OUTPUT", method);
	call->body.broken |= selectors.broken;
	call->returns = RETURNS_CIM;
	nova_text_free(&selectors);
}

void order_begin(struct call *call, const char *class_name, const char *method, const char *key,
                 const char *value)
{
	begin_order(call, CIM_VIRT, class_name, method, key, value);
}

void order_service(struct call *call, enum service service, const char *method)
{
	order_begin(call, services[service], method, "Name", call->self->service[service]);
}

void order_add(struct call *call, const char *name, const char *value)
{
	nova_text_printf(&call->body, "<p:%s>", name);
	nova_text_escape_xml(&call->body, value);
	nova_text_printf(&call->body, "</p:%s>", name);
}

void order_add_number(struct call *call, const char *name, int64_t value)
{
	nova_text_printf(&call->body, "<p:%s>%lld</p:%s>", name, (long long)value, name);
}

void order_add_reference(struct call *call, const char *name, const char *class_name,
                         const char *value)
{
	int named = strcmp(class_name, "Msvm_ComputerSystem") == 0 || strstr(class_name, "Switch");

	nova_text_printf(&call->body,
	                 "<p:%s><a:Address>" CIM_ANYBODY "</a:Address><a:ReferenceParameters>"
	                 "<w:ResourceURI>" CIM_RESOURCES CIM_VIRT "/%s</w:ResourceURI>",
	                 name, class_name);
	add_selectors(call, &call->body, class_name, named ? "Name" : "InstanceID", value);
	nova_text_printf(&call->body, "</a:ReferenceParameters></p:%s>", name);
}

static const char *method_of(const struct call *call, char method[80])
{
	snprintf(method, 80, "%s", call->expected);
	method[strlen(method) - strlen("_OUTPUT")] = '\0';
	return method;
}

void order_send(struct call *call, call_step step)
{
	char method[80];

	call->step = step;
	call->job = (struct reference){0};
	call->made = (struct reference){0};
	call->polled = 0;
	call->job_failed = NULL;
	nova_text_printf(&call->body, "</p:%s_INPUT>", method_of(call, method));
	send(call, take, method, &call->body, 1, 0);
}

void order_delete_file(struct call *call, const char *path, call_step step)
{
	begin_order(call, CIM_HOST, "CIM_DataFile", "Delete", "Name", path);
	call->returns = RETURNS_FILE;
	order_send(call, step);
}

void call_pause(struct call *call, call_step step, int64_t for_ns)
{
	call->step = step;
	nova_call_pause(&call->base, take, for_ns);
}

void call_event(struct call *call, uint32_t kind)
{
	if (call->polled)
		nova_call_poll_event(&call->base, call->name, kind);
	else
		nova_call_event(&call->base, call->name, kind, NOVA_SOURCE_API,
		                call->base.answered_ns,
		                call->base.answered_ns - call->base.asked_ns);
}

/* --- what the host says ----------------------------------------------------------------------- */

static const struct nova_xml_node *answer_of(const struct call *call,
                                             const struct nova_reply *reply)
{
	const struct nova_xml_node *body = nova_xml_at(nova_xml_reply(reply), FAULT_SOAP, "Body");

	return nova_xml_first(body, NULL, call->expected);
}

int call_judge(struct nova_call *base, const struct nova_reply *reply, struct nova_text *words)
{
	struct call *call = (struct call *)base;
	int code = fault_read(nova_xml_reply(reply), call->order, words);
	const struct nova_xml_node *output;
	const char *meaning;
	int64_t number;

	if (code == NOVA_DONE)
		code = nova_http_code(reply->http->status);
	output = answer_of(call, reply);
	if (code == NOVA_DONE && !output && call->refused)
		return NOVA_E_UNAVAILABLE; /* whatever that was, it will be asked again */
	if (code != NOVA_DONE || !call->order)
		return code;
	number = nova_xml_number(output, NULL, "ReturnValue", -1);
	if (!output || number == 0 || number == RETURNED_JOB)
		return NOVA_DONE; /* the step says what is not as it must be */
	if (number < 0) {
		nova_text_add(words, "no result in its answer");
		return NOVA_E_PROTOCOL;
	}
	code = fault_of_number(call->returns, number, &meaning);
	nova_text_printf(words, "it returned %lld: %s", (long long)number, meaning);
	return code;
}

const char *call_advice(int http_status, int code)
{
	if (http_status == 401)
		return "; check the parameters user and password (with auth = negotiate the "
		       "Kerberos ticket: klist); the account must be in the group Remote "
		       "Management Users or Administrators of the host";
	if (http_status == 404)
		return "; is this the port of WinRM over HTTPS, 5986?";
	if (code == NOVA_E_PERMISSION)
		return "; the account must be in the groups Hyper-V Administrators and Remote "
		       "Management Users (novacore-hypervisor-hyperv(7))";
	if (code == NOVA_E_BUSY)
		return "; wait for what is going on there, or look at the VM in Hyper-V Manager";
	return "";
}

/* --- jobs ------------------------------------------------------------------------------------- */

/* Questions and orders about the job, of which `step` is the helpers' own. */
static void ask_job(struct nova_call *base)
{
	struct call *call = (struct call *)base;
	struct nova_text text = {0};
	struct nova_text selectors = {0};
	char resource[200];

	snprintf(resource, sizeof(resource), CIM_RESOURCES CIM_VIRT "/%s", call->job.class_name);
	snprintf(call->expected, sizeof(call->expected), "%s", call->job.class_name);
	add_selectors(call, &selectors, call->job.class_name, call->job.key, call->job.value);
	begin_envelope(call, &text, resource, TRANSFER "/Get", nova_text_get(&selectors));
	text.broken |= selectors.broken;
	nova_text_free(&selectors);
	send(call, NULL, "a job's state", &text, 0, 1);
}

static void stop_job(struct nova_call *base)
{
	struct call *call = (struct call *)base;
	char class_name[sizeof(call->job.class_name)];

	snprintf(class_name, sizeof(class_name), "%s", call->job.class_name);
	order_begin(call, class_name, "RequestStateChange", call->job.key, call->job.value);
	order_add_number(call, "RequestedState", JOB_TERMINATE);
	nova_text_add(&call->body, "</p:RequestStateChange_INPUT>");
	send(call, NULL, "stopping a job", &call->body, 1, 0);
}

static int look_at_job(struct nova_call *base, const struct nova_reply *reply,
                       struct nova_text *words)
{
	struct call *call = (struct call *)base;
	struct instance job = {.node = answer_of(call, reply)};
	int64_t state = cim_number(&job, "JobState", -1);
	int64_t number = cim_number(&job, "ErrorCode", 0);
	const char *said = cim_text(&job, "ErrorDescription", "");
	const char *meaning;
	int code;

	if (state == JOB_COMPLETED || state == JOB_COMPLETED_WARNED)
		return NOVA_DONE;
	if (state >= 2 && state < JOB_COMPLETED)
		return NOVA_PENDING;
	if (state < JOB_TERMINATED || state > JOB_EXCEPTION) {
		nova_call_puzzled(base, "a job that neither runs nor has ended");
		return NOVA_E_PROTOCOL;
	}
	code = fault_of_number(RETURNS_CIM, number, &meaning);
	if (!*said)
		said = cim_text(&job, "ErrorSummaryDescription", "");
	nova_text_add(words, *said ? said : meaning);
	nova_text_printf(words, " (job state %lld, error %lld)", (long long)state,
	                 (long long)number);
	return code;
}

static void job_ended(struct nova_call *base, const struct nova_reply *reply)
{
	struct call *call = (struct call *)base;

	(void)reply;
	call->polled = 1;
	call->step(call, NULL);
}

static void wait_for_job(struct call *call, const struct nova_xml_node *output)
{
	struct nova_poll poll = {.first_ns = call->self->poll_first_ns,
	                         .longest_ns = call->self->poll_longest_ns,
	                         .ask = ask_job,
	                         .look = look_at_job,
	                         .stop = stop_job,
	                         .then = job_ended,
	                         .failed = call->job_failed};
	char method[80];

	if (!cim_read_reference(nova_xml_first(output, NULL, "Job"), &call->job)) {
		nova_call_puzzled(&call->base, "it was to name a job, and did not");
		return;
	}
	snprintf(poll.name, sizeof(poll.name), "Hyper-V's job for %s of VM %.100s",
	         method_of(call, method), call->name[0] ? call->name : "(none)");
	if (call->job_begun)
		call->job_begun(call);
	nova_call_poll(&call->base, &poll);
}

/* --- answers ---------------------------------------------------------------------------------- */

/* DefineSystem and the like name what they made; of a list the first counts: we ask for one. */
static void keep_made(struct call *call, const struct nova_xml_node *output)
{
	const struct nova_xml_node *one = nova_xml_first(output, NULL, NULL);

	for (; one && !call->made.class_name[0]; one = nova_xml_next(one, NULL, NULL)) {
		if (strncmp(nova_xml_name(one), "Resulting", 9) == 0)
			cim_read_reference(one, &call->made);
	}
}

static void take(struct nova_call *base, const struct nova_reply *reply)
{
	struct call *call = (struct call *)base;
	const struct nova_xml_node *output;
	const char *about;

	if (!reply) {
		call->step(call, NULL);
		return;
	}
	about = nova_xml_text(nova_xml_reply(reply), NULL, "Header/RelatesTo", call->message);
	output = answer_of(call, reply);
	if (strcasecmp(about, call->message) != 0) {
		nova_call_puzzled(base, "it answers another message");
	} else if (!output) {
		nova_call_puzzled(base, "it does not answer what was asked");
	} else if (!call->order) {
		take_page(call, output);
	} else {
		keep_made(call, output);
		if (nova_xml_number(output, NULL, "ReturnValue", 0) == RETURNED_JOB)
			wait_for_job(call, output);
		else
			call->step(call, output);
	}
}
