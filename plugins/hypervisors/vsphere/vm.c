/* SPDX-License-Identifier: MIT */
/* VMs: identity, power, deletion, listing, queries. Making them is in create.c. */
#include "vsphere.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A VM is busy while a task that was told to stop cleans up. */
#define BUSY_PAUSE_NS SECOND_NS
#define BUSY_ATTEMPTS 20u

/* --- names --------------------------------------------------------------------------------------
 */

/* vSphere keeps these as three characters each, and wants them so. */
void vm_add_name(struct nova_text *text, const char *name)
{
	char one[2] = "";

	for (; *name; name++) {
		one[0] = *name;
		nova_text_add(text, *name == '/'    ? "%2f"
		                    : *name == '\\' ? "%5c"
		                    : *name == '%'  ? "%25"
		                                    : one);
	}
}

/* Takes one character of a stored name. */
static char next_character(const char **at)
{
	static const struct {
		const char *stored;
		char is;
	} escapes[] = {{"%2f", '/'}, {"%5c", '\\'}, {"%25", '%'}};

	for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
		if (strncasecmp(*at, escapes[i].stored, 3) == 0) {
			*at += 3;
			return escapes[i].is;
		}
	}
	return *(*at)++;
}

int vm_same_name(const char *stored, const char *name)
{
	while (*stored && *name) {
		if (next_character(&stored) != *name++)
			return 0;
	}
	return !*stored && !*name;
}

/* --- identity -----------------------------------------------------------------------------------
 */

static const char facts[] = "name config.template runtime.powerState runtime.host "
                            "guest.toolsRunningStatus";

/*
 * A host alone gives the numbers of deleted VMs to new ones, and somebody may have renamed ours. So
 * the name is looked at again before anything is changed; between the look and the act vSphere has
 * no lock for us.
 */
static void take_facts(struct call *call, const struct nova_xml_node *result)
{
	const struct nova_xml_node *vm = props_first(result);
	const char *name = props_text(vm, "name", "");
	struct moref found;

	if (!props_object(vm, &found) || !moref_same(&found, &call->vm)) {
		call_puzzled(call, "it says nothing of the VM that was asked for");
		return;
	}
	if (strncmp(call->name, OUR_PREFIX, strlen(OUR_PREFIX)) != 0 ||
	    !vm_same_name(name, call->name)) {
		nova_call_fail(
		        &call->base, NOVA_E_REFUSED,
		        "VM %s is named '%.80s', not '%s' (or has not our prefix, " OUR_PREFIX
		        "): it is not ours, so nothing was done to it",
		        call->vm.value, name, call->name);
		return;
	}
	if (strcmp(props_text(vm, "config.template", "false"), "true") == 0) {
		nova_call_fail(&call->base, NOVA_E_REFUSED,
		               "VM %s ('%s') is a template: nothing "
		               "was done",
		               call->vm.value, call->name);
		return;
	}
	snprintf(call->power, sizeof(call->power), "%s", props_text(vm, "runtime.powerState", ""));
	snprintf(call->tools, sizeof(call->tools), "%s",
	         props_text(vm, "guest.toolsRunningStatus", ""));
	soap_read_moref(props_value(vm, "runtime.host"), &call->runs_on);
	call->identified(call, NULL);
}

static int gone(struct nova_call *base, const struct nova_refusal *refusal)
{
	if (!((struct call *)base)->missing_is_done || refusal->code != NOVA_E_NOT_FOUND)
		return 0;
	nova_call_done(base);
	return 1;
}

static void look_closer(struct call *call)
{
	props_ask(call, take_facts, &call->vm, facts);
	nova_call_on_refusal(&call->base, gone);
}

/* That a VM is gone is believed the second time: a server that deletes others at the same moment
 * may pass it over in its list (vcsim does), and one that is left behind costs more than a
 * question. */
static void take_child(struct call *call, const struct nova_xml_node *result)
{
	const struct nova_xml_node *child = nova_xml_first(result, VIM, "returnval");

	if (soap_read_moref(child, &call->vm) && strcmp(call->vm.type, "VirtualMachine") == 0)
		look_closer(call);
	else if (call->missing_is_done && !call->missed++)
		vm_find(call, take_child);
	else if (call->missing_is_done)
		nova_call_done(&call->base);
	else
		nova_call_fail(&call->base, NOVA_E_NOT_FOUND,
		               "there is no VM named '%s' in the folder where %s makes them",
		               call->name, call->self->user);
}

void vm_find(struct call *call, call_step then)
{
	struct nova_text name = {0};

	vm_add_name(&name, call->name);
	soap_begin(call, "FindChild", &call->self->search);
	soap_add_moref(&call->body, "entity", &call->self->place.folder);
	nova_xml_add(&call->body, "name", nova_text_get(&name));
	call->body.broken |= name.broken;
	nova_text_free(&name);
	soap_ask(call, then);
}

void vm_identify(struct call *call, call_step then)
{
	call->identified = then;
	if (call->vm.value[0])
		look_closer(call);
	else
		vm_find(call, take_child);
}

void vm_stamp_start(struct call *call)
{
	call->self->host->put_i64(call->base.op, NOVA_FIELD_STARTED_NS, nova_http_now_ns());
}

int vm_is(const struct call *call, const char *power)
{
	return strcmp(call->power, power) == 0;
}

/* --- ready --------------------------------------------------------------------------------------
 */

static int look_for_tools(struct call *call, const struct nova_xml_node *vm)
{
	(void)call;
	if (strcmp(props_text(vm, "guest.toolsRunningStatus", ""), "guestToolsRunning") == 0)
		return NOVA_DONE;
	/* a VM that was stopped again has no tools to wait for */
	return strcmp(props_text(vm, "runtime.powerState", ""), "poweredOn") == 0
	               ? NOVA_PENDING
	               : NOVA_E_CANCELLED;
}

static void tools_run(struct call *call, const struct nova_xml_node *unused)
{
	int told = call->news_ns > call->running_ns;
	int64_t t_ns = told ? call->news_ns : call->base.answered_ns;

	(void)unused;
	nova_call_event(&call->base, call->name, NOVA_EVENT_READY, NOVA_SOURCE_TOOLS, t_ns,
	                t_ns - call->running_ns);
	nova_call_done(&call->base);
}

/* Outlives the op that started the VM; ends with the event, with the VM, or after ten minutes. */
void vm_watch_ready(const struct call *started)
{
	static const struct vm_wait wait = {.what = "VMware Tools",
	                                    .paths = "guest.toolsRunningStatus runtime.powerState",
	                                    .look = look_for_tools,
	                                    .then = tools_run};
	struct call *call = started->self->tools ? call_new(started->self, 0, NULL) : NULL;

	if (!call)
		return;
	snprintf(call->name, sizeof(call->name), "%s", started->name);
	call->vm = started->vm;
	call->base.asked_ns = nova_http_now_ns();
	task_await_vm(call, &wait);
	nova_call_return(&call->base);
}

void vm_agent_gone(struct call *call)
{
	if (call->self->tools)
		nova_call_event(&call->base, call->name, NOVA_EVENT_UNREADY, NOVA_SOURCE_API,
		                call->base.answered_ns,
		                call->base.answered_ns - call->base.asked_ns);
}

/* --- power --------------------------------------------------------------------------------------
 */

static const struct power {
	uint32_t action;
	const char *method;
	uint32_t event;
	const char *from; /* the only state in which it makes sense; NULL: the server knows */
	int off_is_done;  /* nothing to do for a VM that is off */
} powers[] = {
        {NOVA_POWER_START, "PowerOnVM_Task", NOVA_EVENT_RUNNING, "poweredOff", 0},
        {NOVA_POWER_SHUTDOWN, "ShutdownGuest", NOVA_EVENT_STOPPED, NULL, 1},
        {NOVA_POWER_OFF, "PowerOffVM_Task", NOVA_EVENT_STOPPED, NULL, 1},
        {NOVA_POWER_RESET, "ResetVM_Task", NOVA_EVENT_RUNNING, "poweredOn", 0},
        {NOVA_POWER_PAUSE, "SuspendVM_Task", NOVA_EVENT_PAUSED, "poweredOn", 0},
        {NOVA_POWER_RESUME, "PowerOnVM_Task", NOVA_EVENT_RESUMED, "suspended", 0},
};

static const struct power *find_power(uint32_t action)
{
	for (size_t i = 0; i < sizeof(powers) / sizeof(powers[0]); i++) {
		if (powers[i].action == action)
			return &powers[i];
	}
	return NULL;
}

static void power_ended(struct call *call, const struct nova_xml_node *unused)
{
	const struct power *power = find_power(call->action);

	(void)unused;
	if (call->action == NOVA_POWER_RESET)
		vm_agent_gone(call);
	task_event(call, power->event);
	if (call->action == NOVA_POWER_START || call->action == NOVA_POWER_RESET)
		vm_watch_ready(call);
	nova_call_done(&call->base);
}

static int look_for_off(struct call *call, const struct nova_xml_node *vm)
{
	(void)call;
	return strcmp(props_text(vm, "runtime.powerState", ""), "poweredOff") == 0 ? NOVA_DONE
	                                                                           : NOVA_PENDING;
}

static void told_to_shut_down(struct call *call, const struct nova_xml_node *unused)
{
	static const struct vm_wait wait = {.what = "the shutdown",
	                                    .paths = "runtime.powerState",
	                                    .look = look_for_off,
	                                    .then = power_ended};

	(void)unused;
	nova_call_event(&call->base, call->name, NOVA_EVENT_SHUTDOWN, NOVA_SOURCE_API,
	                call->base.answered_ns, call->base.answered_ns - call->base.asked_ns);
	task_await_vm(call, &wait);
}

static void send_power(struct call *call, const struct nova_xml_node *unused)
{
	const struct power *power = find_power(call->action);

	(void)unused;
	if (power->off_is_done && vm_is(call, "poweredOff")) {
		nova_call_done(&call->base);
		return;
	}
	/* PowerOn also wakes a suspended VM: who asks for one of the two does not mean the other */
	if (power->from && !vm_is(call, power->from)) {
		nova_call_fail(&call->base, NOVA_E_BUSY, "%s of VM '%s': it is %s, not %s",
		               power->method, call->name, call->power, power->from);
		return;
	}
	vm_stamp_start(call);
	soap_begin(call, power->method, &call->vm);
	if (call->action == NOVA_POWER_SHUTDOWN)
		soap_order(call, told_to_shut_down);
	else
		task_order(call, power_ended);
}

int vsphere_vm_power(void *self, nova_op op, const struct nova_ref *vm, uint32_t action)
{
	struct vsphere *vsphere = self;
	struct call *call;

	if (!find_power(action))
		return vsphere->host->errorf(op, NOVA_E_UNSUPPORTED,
		                             "this driver has no power action %u", action);
	call = call_new(vsphere, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	call->action = action;
	vm_identify(call, send_power);
	return nova_call_return(&call->base);
}

/* --- delete -------------------------------------------------------------------------------------
 */

static void delete_again(struct call *call, const struct nova_xml_node *unused);

static int wait_until_free(struct call *call, int code)
{
	if (code == NOVA_E_NOT_FOUND) { /* somebody was faster */
		nova_call_done(&call->base);
		return 1;
	}
	if (code != NOVA_E_BUSY || call->attempts >= BUSY_ATTEMPTS)
		return 0;
	call->attempts++;
	call_pause(call, delete_again, BUSY_PAUSE_NS);
	return 1;
}

static int delete_refused(struct nova_call *base, const struct nova_refusal *refusal)
{
	return wait_until_free((struct call *)base, refusal->code);
}

static int delete_failed(struct nova_call *base, int code, const char *words)
{
	(void)words;
	return wait_until_free((struct call *)base, code);
}

static void deleted(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	nova_call_done(&call->base);
}

static void send_delete(struct call *call)
{
	soap_begin(call, "Destroy_Task", &call->vm);
	task_order(call, deleted);
	nova_call_on_refusal(&call->base, delete_refused);
	call->task_failed = delete_failed;
}

/* It may have been a while since it was looked at. */
static void stopped(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	task_event(call, NOVA_EVENT_STOPPED);
	delete_again(call, NULL);
}

static void stop_first(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	if (!call->action)
		vm_stamp_start(call);
	call->action = 1; /* the time has begun */
	if (vm_is(call, "poweredOff")) {
		send_delete(call);
		return;
	}
	soap_begin(call, "PowerOffVM_Task", &call->vm);
	task_order(call, stopped);
	nova_call_on_refusal(&call->base, delete_refused);
	call->task_failed = delete_failed;
}

/* From the start: what the VM is may have changed meanwhile. */
static void delete_again(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	vm_identify(call, stop_first);
}

int vsphere_vm_delete(void *self, nova_op op, const struct nova_ref *vm)
{
	struct call *call = call_new(self, op, vm);

	if (!call)
		return NOVA_E_INVALID;
	call->missing_is_done = 1;
	vm_identify(call, stop_first);
	return nova_call_return(&call->base);
}

/* --- list ---------------------------------------------------------------------------------------
 */

/* As it is called outside of vSphere. */
static void put_vm(const struct call *call, const char *stored, const char *id)
{
	char name[NAME_BYTES + 1] = "";
	size_t used = 0;

	while (*stored && used + 1 < sizeof(name))
		name[used++] = next_character(&stored);
	if (strncmp(name, nova_text_get(&call->prefix), call->prefix.used) == 0)
		call->self->host->put_fact(call->base.op, NOVA_FIELD_VM, name, id);
}

static void list_vms(struct call *call, const struct nova_xml_node *result)
{
	const struct nova_xml_node *vm = props_first_of(call, result);

	for (; vm; vm = props_next(vm)) {
		struct moref object;

		if (props_object(vm, &object) && strcmp(object.type, "VirtualMachine") == 0 &&
		    strcmp(props_text(vm, "config.template", "false"), "true") != 0)
			put_vm(call, props_text(vm, "name", ""), object.value);
	}
	if (!props_ask_more(call, list_vms, result) && props_all_seen(call))
		nova_call_done(&call->base);
}

int vsphere_vm_list(void *self, nova_op op, const char *prefix)
{
	struct vsphere *vsphere = self;
	struct call *call;

	if (!prefix[0])
		return vsphere->host->error(op, NOVA_E_INVALID, "a list of VMs needs a prefix");
	call = call_new(vsphere, op, NULL);
	if (!call)
		return NOVA_E_MEMORY;
	nova_text_add(&call->prefix, prefix);
	if (call->prefix.broken)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else
		props_ask_each(call, list_vms, &vsphere->place.folder, "childEntity",
		               "VirtualMachine", "name config.template");
	return nova_call_return(&call->base);
}

/* --- queries ------------------------------------------------------------------------------------
 */

static void put_state(struct call *call, const struct nova_xml_node *unused)
{
	int64_t state = vm_is(call, "poweredOn")    ? NOVA_STATE_RUNNING
	                : vm_is(call, "poweredOff") ? NOVA_STATE_OFF
	                : vm_is(call, "suspended")  ? NOVA_STATE_PAUSED
	                                            : NOVA_STATE_OTHER;

	(void)unused;
	call->self->host->put_i64(call->base.op, NOVA_FIELD_STATE, state);
	nova_call_done(&call->base);
}

static void put_addresses(struct call *call, const struct nova_xml_node *result)
{
	const struct nova_xml_node *card =
	        nova_xml_first(props_value(props_first(result), "guest.net"), VIM, "GuestNicInfo");

	for (; card; card = nova_xml_next(card, VIM, "GuestNicInfo")) {
		const char *name = nova_xml_text(card, VIM, "macAddress", "?");
		const struct nova_xml_node *address = nova_xml_first(card, VIM, "ipAddress");

		for (; address; address = nova_xml_next(address, VIM, "ipAddress"))
			call->self->host->put_fact(call->base.op, NOVA_FIELD_ADDRESS, name,
			                           nova_xml_text(address, VIM, "", ""));
	}
	nova_call_done(&call->base);
}

static void ask_addresses(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	props_ask(call, put_addresses, &call->vm, "guest.net");
}

int vsphere_vm_query(void *self, nova_op op, const struct nova_ref *vm, uint32_t what)
{
	struct vsphere *vsphere = self;
	call_step then = what == NOVA_QUERY_STATE     ? put_state
	                 : what == NOVA_QUERY_STATS   ? stats_ask
	                 : what == NOVA_QUERY_ADDRESS ? ask_addresses
	                                              : NULL;
	struct call *call;

	if (!then)
		return vsphere->host->errorf(op, NOVA_E_UNSUPPORTED, "this driver has no query %u",
		                             what);
	call = call_new(vsphere, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	vm_identify(call, then);
	return nova_call_return(&call->base);
}
