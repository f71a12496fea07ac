/* SPDX-License-Identifier: MIT */
/* VMs: identity, power, listing, queries. Deleting is in delete.c, making in create.c. */
#include "hyperv.h"

#include <stdio.h>
#include <string.h>

#define MIB 1048576

/* --- identity --------------------------------------------------------------------------------- */

/*
 * WQL compares names without regard to case, so they are compared again here. The VM with our id
 * counts before those with our name; a VM that has our name and another id is not the one we made.
 */
static void look_at_vm(struct call *call, const struct nova_xml_node *instance)
{
	const char *guid = item_text(instance, "Name");
	const char *name = item_text(instance, "ElementName");

	if (!cim_is_guid(guid)) /* the host itself is one, too */
		return;
	if (call->guid[0] && strcasecmp(guid, call->guid) == 0 && strcmp(name, call->name) != 0) {
		snprintf(call->other, sizeof(call->other), "%.150s", name);
		return;
	}
	if (strcmp(name, call->name) != 0)
		return;
	if (call->guid[0] && strcasecmp(guid, call->guid) != 0 && !call->missing_is_done)
		return;
	call->found++;
	if (call->guid[0] && strcasecmp(guid, call->guid) != 0)
		return; /* another one's disk has the name that ours had */
	snprintf(call->seen, sizeof(call->seen), "%s", guid);
	call->state = item_number(instance, "EnabledState", 0);
}

static void identified(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	if (call->other[0]) {
		nova_call_fail(&call->base, NOVA_E_REFUSED,
		               "VM %s is named '%.80s', not '%s': it is not ours, so nothing was "
		               "done to it",
		               call->guid, call->other, call->name);
	} else if (strncmp(call->name, OUR_PREFIX, strlen(OUR_PREFIX)) != 0) {
		nova_call_fail(&call->base, NOVA_E_REFUSED,
		               "'%s' has not our prefix, " OUR_PREFIX ": it is not ours, so "
		               "nothing was done to it",
		               call->name);
	} else if (!call->guid[0] && call->found > 1) {
		nova_call_fail(&call->base, NOVA_E_REFUSED,
		               "%zu VMs on %s are named '%s': which one is meant is unknown, so "
		               "nothing was done; delete them by hand",
		               call->found, call->self->computer, call->name);
	} else if (!call->seen[0] && !call->missing_is_done) {
		nova_call_fail(&call->base, NOVA_E_NOT_FOUND, "there is no VM named '%s'%s%s on %s",
		               call->name, call->guid[0] ? " with the id " : "", call->guid,
		               call->self->computer);
	} else {
		if (call->seen[0])
			snprintf(call->guid, sizeof(call->guid), "%s", call->seen);
		else
			call->guid[0] = '\0';
		call->seen[0] = '\0';
		call->identified(call, NULL);
	}
}

void vm_identify(struct call *call, call_step then)
{
	struct nova_text *wql =
	        wql_begin(call, "select * from Msvm_ComputerSystem where ElementName='");

	call->identified = then;
	call->found = 0;
	call->other[0] = '\0';
	call->seen[0] = '\0';
	cim_add_wql(wql, call->name);
	nova_text_add(wql, "'");
	if (call->guid[0])
		nova_text_printf(wql, " or Name='%s'", call->guid);
	wql_send(call, CIM_VIRT, look_at_vm, identified);
}

void vm_stamp_start(struct call *call)
{
	call->self->host->put_i64(call->base.op, NOVA_FIELD_STARTED_NS, nova_http_now_ns());
}

const char *vm_settings(const struct call *call, char id[64])
{
	snprintf(id, 64, "Microsoft:%s", call->guid);
	return id;
}

void vm_ask_settings(struct call *call, const char *class_name, item_step each, call_step then)
{
	nova_text_printf(wql_begin(call, ""),
	                 "select * from %s where InstanceID like 'Microsoft:%s%%'", class_name,
	                 call->guid);
	wql_send(call, CIM_VIRT, each, then);
}

/* --- power ------------------------------------------------------------------------------------ */

void vm_change_state(struct call *call, int64_t state, call_step then)
{
	order_begin(call, "Msvm_ComputerSystem", "RequestStateChange", "Name", call->guid);
	order_add_number(call, "RequestedState", state);
	order_send(call, then);
}

static const struct power {
	uint32_t action;
	int64_t state;
	uint32_t event;
	uint32_t from; /* bits of the states in which it makes sense */
} powers[] = {
        {NOVA_POWER_START, STATE_RUNNING, NOVA_EVENT_RUNNING, 1u << STATE_OFF | 1u << STATE_SAVED},
        {NOVA_POWER_SHUTDOWN, STATE_OFF, NOVA_EVENT_STOPPED, ~0u},
        {NOVA_POWER_OFF, STATE_OFF, NOVA_EVENT_STOPPED, ~0u},
        {NOVA_POWER_RESET, STATE_RESET, NOVA_EVENT_RUNNING,
         1u << STATE_RUNNING | 1u << STATE_PAUSED},
        {NOVA_POWER_PAUSE, STATE_PAUSED, NOVA_EVENT_PAUSED, 1u << STATE_RUNNING},
        {NOVA_POWER_RESUME, STATE_RUNNING, NOVA_EVENT_RESUMED, 1u << STATE_PAUSED},
};

static const struct power *find_power(uint32_t action)
{
	for (size_t i = 0; i < sizeof(powers) / sizeof(powers[0]); i++) {
		if (powers[i].action == action)
			return &powers[i];
	}
	return NULL;
}

static const char *state_name(int64_t state)
{
	return state == STATE_RUNNING  ? "running"
	       : state == STATE_OFF    ? "off"
	       : state == STATE_PAUSED ? "paused"
	       : state == STATE_SAVED  ? "saved"
	                               : "between two states";
}

/* Reset takes the guest away at once; that it no longer answers need not be asked. */
static void guest_gone(struct call *call)
{
	if (call->self->heartbeat)
		nova_call_event(&call->base, call->name, NOVA_EVENT_UNREADY, NOVA_SOURCE_API,
		                call->base.answered_ns,
		                call->base.answered_ns - call->base.asked_ns);
}

static void power_ended(struct call *call, const struct nova_xml_node *output)
{
	(void)output;
	if (call->action == NOVA_POWER_RESET && !call->polled)
		guest_gone(call);
	call_event(call, find_power(call->action)->event);
	if (call->action == NOVA_POWER_START || call->action == NOVA_POWER_RESET)
		watch_ready(call, call->action == NOVA_POWER_RESET);
	nova_call_done(&call->base);
}

/* --- graceful --------------------------------------------------------------------------------- */

static void look_for_off(struct call *call, const struct nova_xml_node *instance)
{
	if (strcasecmp(item_text(instance, "Name"), call->guid) == 0)
		call->state = item_number(instance, "EnabledState", 0);
}

static void ask_for_off(struct call *call, const struct nova_xml_node *unused);

/* Shutting down is no job: whether it is over, the VM's state tells. */
static void off_or_not(struct call *call, const struct nova_xml_node *unused)
{
	int64_t interval_ns = call->base.asked_ns - call->moved_ns;

	(void)unused;
	if (call->state == STATE_OFF) {
		nova_call_event(&call->base, call->name, NOVA_EVENT_STOPPED, NOVA_SOURCE_POLL,
		                call->base.answered_ns, call->base.answered_ns - call->moved_ns);
		nova_call_done(&call->base);
		return;
	}
	call->moved_ns = call->base.asked_ns; /* then it still ran */
	interval_ns += interval_ns / 2;
	if (interval_ns < call->self->poll_first_ns)
		interval_ns = call->self->poll_first_ns;
	if (interval_ns > call->self->poll_longest_ns)
		interval_ns = call->self->poll_longest_ns;
	call_pause(call, ask_for_off, interval_ns);
}

static void ask_for_off(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	nova_text_printf(wql_begin(call, ""), "select * from Msvm_ComputerSystem where Name='%s'",
	                 call->guid);
	wql_send(call, CIM_VIRT, look_for_off, off_or_not);
}

static void told_to_shut_down(struct call *call, const struct nova_xml_node *output)
{
	nova_call_event(&call->base, call->name, NOVA_EVENT_SHUTDOWN, NOVA_SOURCE_API,
	                call->base.answered_ns, call->base.answered_ns - call->base.asked_ns);
	call->moved_ns = call->base.asked_ns;
	ask_for_off(call, output);
}

static void keep_component(struct call *call, const struct nova_xml_node *instance)
{
	if (strcasecmp(item_text(instance, "SystemName"), call->guid) == 0)
		snprintf(call->component, sizeof(call->component), "%s",
		         item_text(instance, "DeviceID"));
}

static void send_shutdown(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	if (!call->component[0]) {
		nova_call_fail(
		        &call->base, NOVA_E_FAILED,
		        "the guest of VM %s has no shutdown service that Hyper-V can reach: it "
		        "needs the integration services (Linux: hv_utils), and must have "
		        "booted",
		        call->name);
		return;
	}
	vm_stamp_start(call);
	order_begin(call, "Msvm_ShutdownComponent", "InitiateShutdown", "DeviceID",
	            call->component);
	order_add(call, "Force", "true"); /* programs that do not answer do not stop it */
	order_add(call, "Reason", "novacore");
	order_send(call, told_to_shut_down);
}

static void shut_down(struct call *call)
{
	call->component[0] = '\0';
	nova_text_printf(wql_begin(call, ""),
	                 "select * from Msvm_ShutdownComponent where SystemName='%s'", call->guid);
	wql_send(call, CIM_VIRT, keep_component, send_shutdown);
}

static void send_power(struct call *call, const struct nova_xml_node *unused)
{
	const struct power *power = find_power(call->action);

	(void)unused;
	if (power->state == STATE_OFF && call->state == STATE_OFF) {
		nova_call_done(&call->base);
		return;
	}
	if (call->state < 0 || call->state > 31 || !(power->from & 1u << (call->state & 31))) {
		/* asked to start, Hyper-V would resume a VM that is paused, and the other way round
		 */
		nova_call_fail(&call->base, NOVA_E_BUSY, "VM %s is %s", call->name,
		               state_name(call->state));
		return;
	}
	if (power->state == STATE_OFF || call->action == NOVA_POWER_RESET)
		watch_forget(call->self, call->guid);
	if (call->action == NOVA_POWER_SHUTDOWN && call->state == STATE_RUNNING) {
		shut_down(call);
		return;
	}
	if (call->action == NOVA_POWER_SHUTDOWN) {
		nova_call_fail(&call->base, NOVA_E_BUSY,
		               "VM %s is %s: no guest runs that could shut down", call->name,
		               state_name(call->state));
		return;
	}
	if (call->action == NOVA_POWER_RESET)
		call->job_begun = guest_gone;
	vm_stamp_start(call);
	vm_change_state(call, power->state, power_ended);
}

int hyperv_vm_power(void *self, nova_op op, const struct nova_ref *vm, uint32_t action)
{
	struct hyperv *hyperv = self;
	struct call *call;

	if (!find_power(action))
		return hyperv->host->errorf(op, NOVA_E_UNSUPPORTED,
		                            "this driver has no power action %u", action);
	call = call_new(hyperv, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	call->action = action;
	vm_identify(call, send_power);
	return nova_call_return(&call->base);
}

/* --- list ------------------------------------------------------------------------------------- */

static void put_vm(struct call *call, const struct nova_xml_node *instance)
{
	const char *guid = item_text(instance, "Name");
	const char *name = item_text(instance, "ElementName");

	if (cim_is_guid(guid) && strncmp(name, call->prefix, strlen(call->prefix)) == 0)
		call->self->host->put_fact(call->base.op, NOVA_FIELD_VM, name, guid);
}

static void listed(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	nova_call_done(&call->base);
}

int hyperv_vm_list(void *self, nova_op op, const char *prefix)
{
	struct call *call = call_new(self, op, NULL);
	struct nova_text *wql;

	if (!call)
		return NOVA_E_MEMORY;
	if (strlen(prefix) >= sizeof(call->prefix)) {
		nova_call_fail(&call->base, NOVA_E_INVALID,
		               "no VM's name begins with so long a text");
		return nova_call_return(&call->base);
	}
	snprintf(call->prefix, sizeof(call->prefix), "%s", prefix);
	wql = wql_begin(call, "select * from Msvm_ComputerSystem where ElementName like '");
	cim_add_like(wql, prefix);
	nova_text_add(wql, "%'");
	wql_send(call, CIM_VIRT, put_vm, listed);
	return nova_call_return(&call->base);
}

/* --- queries ---------------------------------------------------------------------------------- */

static void put_state(struct call *call, const struct nova_xml_node *unused)
{
	int64_t state = call->state == STATE_RUNNING  ? NOVA_STATE_RUNNING
	                : call->state == STATE_OFF    ? NOVA_STATE_OFF
	                : call->state == STATE_PAUSED ? NOVA_STATE_PAUSED
	                                              : NOVA_STATE_OTHER;

	(void)unused;
	call->self->host->put_i64(call->base.op, NOVA_FIELD_STATE, state);
	nova_call_done(&call->base);
}

/* Run time of one virtual processor, in 100 ns: "NAME:Hv VP 0". */
static void add_run_time(struct call *call, const struct nova_xml_node *instance)
{
	const char *name = item_text(instance, "Name");
	size_t length = strlen(call->name);

	if (strncmp(name, call->name, length) == 0 && strncmp(name + length, ":Hv VP ", 7) == 0) {
		call->moved_ns += 100 * item_number(instance, "PercentTotalRunTime", 0);
		call->found++;
	}
}

static void put_run_time(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	if (call->found)
		call->self->host->put_i64(call->base.op, NOVA_FIELD_CPU_NS, call->moved_ns);
	nova_call_done(&call->base);
}

static void ask_run_time(struct call *call)
{
	struct nova_text *wql = wql_begin(
	        call, "select * from Win32_PerfRawData_HvStats_HyperVHypervisorVirtualProcessor "
	              "where Name like '");

	call->found = 0;
	call->moved_ns = 0;
	cim_add_like(wql, call->name);
	nova_text_add(wql, ":Hv VP %'");
	wql_send(call, CIM_HOST, add_run_time, put_run_time);
}

static void put_summary(struct call *call, const struct nova_xml_node *output)
{
	const struct nova_host *host = call->self->host;
	struct instance summary;
	int64_t used_mib;

	cim_open(nova_xml_first(output, NULL, "SummaryInformation"), &summary);
	used_mib = cim_number(&summary, "MemoryUsage", -1);
	if (!summary.node) {
		nova_call_puzzled(&call->base, "no summary in it");
	} else {
		if (used_mib >= 0 && used_mib < INT64_MAX / MIB)
			host->put_i64(call->base.op, NOVA_FIELD_RESIDENT_BYTES, used_mib * MIB);
		if (call->self->may & MAY_HOST)
			ask_run_time(call);
		else
			nova_call_done(&call->base);
	}
	cim_close(&summary);
}

static void keep_memory(struct call *call, const struct nova_xml_node *instance)
{
	int64_t mib = item_number(instance, "VirtualQuantity", -1);

	if (mib >= 0 && mib < INT64_MAX / MIB)
		call->self->host->put_i64(call->base.op, NOVA_FIELD_MEMORY_BYTES, mib * MIB);
}

static void ask_summary(struct call *call, const struct nova_xml_node *unused)
{
	static const int wanted[] = {100, 103}; /* EnabledState, MemoryUsage */
	char id[64];

	(void)unused;
	order_service(call, MANAGE, "GetSummaryInformation");
	order_add_reference(call, "SettingData", "Msvm_VirtualSystemSettingData",
	                    vm_settings(call, id));
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		order_add_number(call, "RequestedInformation", wanted[i]);
	order_send(call, put_summary);
}

static void ask_memory(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	vm_ask_settings(call, MEMORY_SETTINGS, keep_memory, ask_summary);
}

int vm_has_card(const struct call *call, const struct nova_xml_node *instance)
{
	return strcasestr(item_text(instance, "InstanceID"), call->guid) != NULL;
}

/* "Microsoft:GuestNetwork\VM\CARD"; the key is the card. */
static void put_addresses(struct call *call, const struct nova_xml_node *instance)
{
	const char *id = item_text(instance, "InstanceID");
	const char *card = strrchr(id, '\\');
	const struct nova_xml_node *one = nova_xml_first(instance, NULL, "IPAddresses");

	if (!vm_has_card(call, instance))
		return;
	for (; one; one = nova_xml_next(one, NULL, "IPAddresses")) {
		const char *address = nova_xml_text(one, NULL, "", "");

		if (*address)
			call->self->host->put_fact(call->base.op, NOVA_FIELD_ADDRESS,
			                           card ? card + 1 : "?", address);
	}
}

void vm_ask_cards(struct call *call, item_step each, call_step then)
{
	nova_text_printf(wql_begin(call, ""),
	                 "select * from Msvm_GuestNetworkAdapterConfiguration where InstanceID "
	                 "like '%%%s%%'",
	                 call->guid);
	wql_send(call, CIM_VIRT, each, then);
}

static void ask_addresses(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	vm_ask_cards(call, put_addresses, listed);
}

int hyperv_vm_query(void *self, nova_op op, const struct nova_ref *vm, uint32_t what)
{
	struct hyperv *hyperv = self;
	call_step then = what == NOVA_QUERY_STATE     ? put_state
	                 : what == NOVA_QUERY_STATS   ? ask_memory
	                 : what == NOVA_QUERY_ADDRESS ? ask_addresses
	                                              : NULL;
	struct call *call;

	if (!then)
		return hyperv->host->errorf(op, NOVA_E_UNSUPPORTED, "this driver has no query %u",
		                            what);
	call = call_new(hyperv, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	vm_identify(call, then);
	return nova_call_return(&call->base);
}
