/* SPDX-License-Identifier: MIT */
/* VMs: identity, power, deletion, listing, queries, snapshots. Making them is in create.c. */
#include "option.h"
#include "proxmox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A VM is locked while a task that was told to stop cleans up. */
#define LOCK_PAUSE_NS SECOND_NS
#define LOCK_ATTEMPTS 20u

#define MINUTE_S 60

/* --- identity --------------------------------------------------------------------------------- */

/*
 * Numbers of VMs are reused, and somebody else's VM may have got ours. So the name is looked at
 * again before anything is changed; between the look and the act Proxmox has no lock for us.
 */
static int is_ours(const struct call *call, const char *name)
{
	return strncmp(name, OUR_PREFIX, strlen(OUR_PREFIX)) == 0 && strcmp(name, call->name) == 0;
}

static void take_current(struct call *call, json_t *data)
{
	const char *name = nova_json_text(data, "name", "");

	if (!is_ours(call, name)) {
		nova_call_fail(&call->base, NOVA_E_REFUSED,
		               "VM %lld on %s is named '%.80s', not '%s' (or has not our "
		               "prefix, " OUR_PREFIX "): it is not ours, so nothing was done to it",
		               (long long)call->vmid, call->node, name, call->name);
		return;
	}
	if (nova_json_number(data, "template", 0)) {
		nova_call_fail(&call->base, NOVA_E_REFUSED,
		               "VM %lld on %s is a template: nothing was done",
		               (long long)call->vmid, call->node);
		return;
	}
	snprintf(call->status, sizeof(call->status), "%s", nova_json_text(data, "status", ""));
	snprintf(call->qmpstatus, sizeof(call->qmpstatus), "%s",
	         nova_json_text(data, "qmpstatus", ""));
	call->identified(call, data);
}

static void look_closer(struct call *call);

/* What is to be deleted may have been migrated: a run that died has nobody who knows. */
static void take_resources(struct call *call, json_t *data)
{
	size_t i;
	json_t *vm;

	json_array_foreach(data, i, vm)
	{
		const char *node = nova_json_text(vm, "node", "");

		if (strcmp(nova_json_text(vm, "name", ""), call->name) != 0 ||
		    (call->vmid && nova_json_number(vm, "vmid", 0) != call->vmid) ||
		    !upid_is_node(node) || strcmp(node, call->node) == 0)
			continue;
		snprintf(call->node, sizeof(call->node), "%s", node);
		call->vmid = nova_json_number(vm, "vmid", 0);
		look_closer(call);
		return;
	}
	nova_call_done(&call->base);
}

static void search_cluster(struct call *call)
{
	if (call->searched || call->self->nodes < 2) {
		nova_call_done(&call->base);
		return;
	}
	call->searched = 1;
	call_send(call, take_resources, "GET", NULL, "/cluster/resources?type=vm");
}

static int gone(struct nova_call *base, const struct nova_refusal *refusal)
{
	if (!((struct call *)base)->missing_is_done || refusal->code != NOVA_E_NOT_FOUND)
		return 0;
	search_cluster((struct call *)base);
	return 1;
}

static void look_closer(struct call *call)
{
	call_send(call, take_current, "GET", NULL, "/nodes/%s/qemu/%lld/status/current", call->node,
	          (long long)call->vmid);
	nova_call_on_refusal(&call->base, gone);
}

static void find_by_name(struct call *call, json_t *data)
{
	int64_t found = 0;
	size_t count = 0;
	size_t i;
	json_t *vm;

	json_array_foreach(data, i, vm)
	{
		if (strcmp(nova_json_text(vm, "name", ""), call->name) == 0) {
			found = nova_json_number(vm, "vmid", 0);
			count++;
		}
	}
	if (count == 0 && call->missing_is_done) {
		search_cluster(call);
	} else if (count == 0) {
		nova_call_fail(&call->base, NOVA_E_NOT_FOUND, "there is no VM named '%s' on %s",
		               call->name, call->node);
	} else if (count > 1) {
		nova_call_fail(
		        &call->base, NOVA_E_REFUSED,
		        "%zu VMs on %s are named '%s': which one is meant is unknown, so nothing "
		        "was done; delete them by their numbers",
		        count, call->node, call->name);
	} else {
		call->vmid = found;
		look_closer(call);
	}
}

void vm_identify(struct call *call, call_step then)
{
	call->identified = then;
	if (call->vmid)
		look_closer(call);
	else
		call_send(call, find_by_name, "GET", NULL, "/nodes/%s/qemu", call->node);
}

static int is_running(const struct call *call)
{
	return strcmp(call->status, "running") == 0;
}

/* --- ready ------------------------------------------------------------------------------------ */

static void ping(struct call *call, json_t *unused);

static void agent_answered(struct call *call, json_t *data)
{
	(void)data;
	nova_call_event(&call->base, call->name, NOVA_EVENT_READY, NOVA_SOURCE_POLL,
	                call->base.answered_ns, call->base.answered_ns - call->silent_ns);
	nova_call_done(&call->base);
}

static int agent_silent(struct nova_call *base, const struct nova_refusal *refusal)
{
	struct call *call = (struct call *)base;

	if (!strcasestr(refusal->words, "agent is not running"))
		return 0; /* the VM has stopped, or has no agent: the watch ends */
	call->silent_ns = call->base.asked_ns;
	call_pause(call, ping, call->self->ready_ns);
	return 1;
}

static void ping(struct call *call, json_t *unused)
{
	(void)unused;
	call_send(call, agent_answered, "POST", NULL, "/nodes/%s/qemu/%lld/agent/ping", call->node,
	          (long long)call->vmid);
	nova_call_on_refusal(&call->base, agent_silent);
}

/* Outlives the op that started the VM; ends with the event, with the VM, or after ten minutes. */
static void watch_ready(const struct call *started)
{
	struct call *call = call_new(started->self, 0, NULL);

	if (!call)
		return;
	snprintf(call->name, sizeof(call->name), "%s", started->name);
	snprintf(call->node, sizeof(call->node), "%s", started->node);
	call->vmid = started->vmid;
	call->silent_ns = nova_http_now_ns();
	ping(call, NULL);
	nova_call_return(&call->base);
}

/* --- power ------------------------------------------------------------------------------------ */

static const struct power {
	uint32_t action;
	const char *verb;
	uint32_t event;  /* once the task has ended; 0: none */
	int off_is_done; /* nothing to do for a VM that is off */
} powers[] = {
        {NOVA_POWER_START, "start", NOVA_EVENT_RUNNING, 0},
        {NOVA_POWER_SHUTDOWN, "shutdown", NOVA_EVENT_STOPPED, 1},
        {NOVA_POWER_OFF, "stop", NOVA_EVENT_STOPPED, 1},
        {NOVA_POWER_RESET, "reset", NOVA_EVENT_RUNNING, 0},
        {NOVA_POWER_PAUSE, "suspend", NOVA_EVENT_PAUSED, 0},
        {NOVA_POWER_RESUME, "resume", NOVA_EVENT_RESUMED, 0},
};

static const struct power *find_power(uint32_t action)
{
	for (size_t i = 0; i < sizeof(powers) / sizeof(powers[0]); i++) {
		if (powers[i].action == action)
			return &powers[i];
	}
	return NULL;
}

/* Reset and rollback take the guest away at once; that its agent is gone need not be asked. */
static void agent_gone(struct call *call)
{
	if (call->self->agent)
		nova_call_event(&call->base, call->name, NOVA_EVENT_UNREADY, NOVA_SOURCE_API,
		                call->base.answered_ns,
		                call->base.answered_ns - call->base.asked_ns);
}

static void power_ended(struct call *call, json_t *data)
{
	const struct power *power = find_power(call->action);

	(void)data;
	if (power->event)
		nova_call_poll_event(&call->base, call->name, power->event);
	if (call->self->agent &&
	    (call->action == NOVA_POWER_START || call->action == NOVA_POWER_RESET))
		watch_ready(call);
	nova_call_done(&call->base);
}

static void told_to_shut_down(struct call *call)
{
	nova_call_event(&call->base, call->name, NOVA_EVENT_SHUTDOWN, NOVA_SOURCE_API,
	                call->base.answered_ns, call->base.answered_ns - call->base.asked_ns);
}

static void send_power(struct call *call, json_t *data)
{
	const struct power *power = find_power(call->action);
	int64_t left_s = (call->base.deadline_ns - nova_http_now_ns()) / SECOND_NS - 2;
	char body[48] = "";

	(void)data;
	if (power->off_is_done && !is_running(call)) {
		nova_call_done(&call->base);
		return;
	}
	if (call->action == NOVA_POWER_SHUTDOWN) {
		/* forceStop is off by default: a guest that does not listen is a result */
		snprintf(body, sizeof(body), "timeout=%lld", (long long)(left_s > 1 ? left_s : 1));
		call->task_begun = told_to_shut_down;
	}
	if (call->action == NOVA_POWER_RESET)
		call->task_begun = agent_gone;
	call_stamp_start(call);
	call_task(call, power_ended, "POST", body, "/nodes/%s/qemu/%lld/status/%s", call->node,
	          (long long)call->vmid, power->verb);
}

int proxmox_vm_power(void *self, nova_op op, const struct nova_ref *vm, uint32_t action)
{
	struct proxmox *proxmox = self;
	struct call *call;

	if (!find_power(action))
		return proxmox->host->errorf(op, NOVA_E_UNSUPPORTED,
		                             "this driver has no power action %u", action);
	call = call_new(proxmox, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	call->action = action;
	vm_identify(call, send_power);
	return nova_call_return(&call->base);
}

/* --- delete ----------------------------------------------------------------------------------- */

static void delete_again(struct call *call, json_t *unused);

static int wait_for_lock(struct call *call, int code)
{
	if (code == NOVA_E_NOT_FOUND) { /* somebody was faster */
		nova_call_done(&call->base);
		return 1;
	}
	if (code != NOVA_E_BUSY || call->attempts >= LOCK_ATTEMPTS)
		return 0;
	call->attempts++;
	call_pause(call, delete_again, LOCK_PAUSE_NS);
	return 1;
}

static int delete_refused(struct nova_call *base, const struct nova_refusal *refusal)
{
	return wait_for_lock((struct call *)base, refusal->code);
}

static int delete_failed(struct nova_call *base, int code, const char *words)
{
	(void)words;
	return wait_for_lock((struct call *)base, code);
}

static void deleted(struct call *call, json_t *data)
{
	(void)data;
	nova_call_done(&call->base);
}

static void send_delete(struct call *call, json_t *data)
{
	(void)data;
	if (call->action) /* it was running */
		nova_call_poll_event(&call->base, call->name, NOVA_EVENT_STOPPED);
	call->action = 0;
	/* purge: also from backup jobs and the like. Disks that the VM's configuration does not
	 * name stay: they are not ours to judge. */
	call_task(call, deleted, "DELETE", NULL, "/nodes/%s/qemu/%lld?purge=1", call->node,
	          (long long)call->vmid);
	nova_call_on_refusal(&call->base, delete_refused);
	call->task_failed = delete_failed;
}

static void stop_first(struct call *call, json_t *data)
{
	if (!call->attempts)
		call_stamp_start(call);
	if (!is_running(call)) {
		send_delete(call, data);
		return;
	}
	call->action = NOVA_POWER_OFF;
	call_task(call, send_delete, "POST", NULL, "/nodes/%s/qemu/%lld/status/stop", call->node,
	          (long long)call->vmid);
	nova_call_on_refusal(&call->base, delete_refused);
	call->task_failed = delete_failed;
}

/* From the start: what the VM is may have changed meanwhile. */
static void delete_again(struct call *call, json_t *unused)
{
	(void)unused;
	call->action = 0;
	vm_identify(call, stop_first);
}

int proxmox_vm_delete(void *self, nova_op op, const struct nova_ref *vm)
{
	struct call *call = call_new(self, op, vm);

	if (!call)
		return NOVA_E_INVALID;
	call->missing_is_done = 1;
	vm_identify(call, stop_first);
	return nova_call_return(&call->base);
}

/* --- list and query --------------------------------------------------------------------------- */

static void list_vms(struct call *call, json_t *data)
{
	const struct nova_host *host = call->self->host;
	size_t i;
	json_t *vm;

	if (!json_is_array(data)) {
		nova_call_fail(&call->base, NOVA_E_PROTOCOL, "%s: the answer is not a list of VMs",
		               nova_call_what(&call->base));
		return;
	}
	json_array_foreach(data, i, vm)
	{
		const char *name = nova_json_text(vm, "name", "");
		char id[96];

		if (strncmp(name, call->name, strlen(call->name)) != 0 ||
		    nova_json_number(vm, "template", 0))
			continue;
		snprintf(id, sizeof(id), "%.63s/%lld", nova_json_text(vm, "node", call->node),
		         (long long)nova_json_number(vm, "vmid", 0));
		host->put_fact(call->base.op, NOVA_FIELD_VM, name, id);
	}
	nova_call_done(&call->base);
}

int proxmox_vm_list(void *self, nova_op op, const char *prefix)
{
	struct proxmox *proxmox = self;
	struct call *call;

	if (!prefix[0])
		return proxmox->host->error(op, NOVA_E_INVALID, "a list of VMs needs a prefix");
	call = call_new(proxmox, op, NULL);
	if (!call)
		return NOVA_E_MEMORY;
	if (strlen(prefix) >= sizeof(call->name)) /* no name is so long */
		nova_call_done(&call->base);
	else if (call_set_name(call, prefix) && proxmox->nodes > 1) /* where one may have gone */
		call_send(call, list_vms, "GET", NULL, "/cluster/resources?type=vm");
	else
		call_send(call, list_vms, "GET", NULL, "/nodes/%s/qemu", call->node);
	return nova_call_return(&call->base);
}

static void put_state(struct call *call, json_t *data)
{
	int64_t state = NOVA_STATE_OTHER;

	(void)data;
	if (strcmp(call->status, "stopped") == 0)
		state = NOVA_STATE_OFF;
	else if (strcmp(call->qmpstatus, "paused") == 0)
		state = NOVA_STATE_PAUSED;
	else if (is_running(call) &&
	         (!call->qmpstatus[0] || strcmp(call->qmpstatus, "running") == 0))
		state = NOVA_STATE_RUNNING;
	call->self->host->put_i64(call->base.op, NOVA_FIELD_STATE, state);
	nova_call_done(&call->base);
}

/* CPU time is known as its share of each minute only. */
static void put_cpu_time(struct call *call, json_t *data)
{
	double cpu_s = option_cpu_s(data, call->uptime_s);

	if (cpu_s >= 0)
		call->self->host->put_i64(call->base.op, NOVA_FIELD_CPU_NS, (int64_t)(cpu_s * 1e9));
	nova_call_done(&call->base);
}

static void put_stats(struct call *call, json_t *data)
{
	static const struct {
		const char *key;
		uint32_t field;
	} known[] = {
	        {"maxmem", NOVA_FIELD_MEMORY_BYTES},
	        {"mem", NOVA_FIELD_RESIDENT_BYTES},
	        {"diskread", NOVA_FIELD_DISK_READ_BYTES},
	        {"diskwrite", NOVA_FIELD_DISK_WRITE_BYTES},
	        {"netin", NOVA_FIELD_NET_RX_BYTES},
	        {"netout", NOVA_FIELD_NET_TX_BYTES},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		int64_t value = nova_json_number(data, known[i].key, -1);

		if (value >= 0)
			call->self->host->put_i64(call->base.op, known[i].field, value);
	}
	call->uptime_s = nova_json_number(data, "uptime", 0);
	if (is_running(call) && call->uptime_s >= MINUTE_S)
		call_send(call, put_cpu_time, "GET", NULL,
		          "/nodes/%s/qemu/%lld/rrddata?timeframe=hour&cf=AVERAGE", call->node,
		          (long long)call->vmid);
	else
		nova_call_done(&call->base);
}

static void put_addresses(struct call *call, json_t *data)
{
	size_t i, k;
	json_t *interface;
	json_t *address;

	json_array_foreach(json_object_get(data, "result"), i, interface)
	{
		const char *name = nova_json_text(interface, "name", "?");

		if (strcmp(name, "lo") == 0)
			continue;
		json_array_foreach(json_object_get(interface, "ip-addresses"), k, address)
		{
			const char *text = nova_json_text(address, "ip-address", NULL);

			if (text)
				call->self->host->put_fact(call->base.op, NOVA_FIELD_ADDRESS, name,
				                           text);
		}
	}
	nova_call_done(&call->base);
}

static void ask_addresses(struct call *call, json_t *data)
{
	(void)data;
	call_send(call, put_addresses, "GET", NULL,
	          "/nodes/%s/qemu/%lld/agent/network-get-interfaces", call->node,
	          (long long)call->vmid);
}

int proxmox_vm_query(void *self, nova_op op, const struct nova_ref *vm, uint32_t what)
{
	struct proxmox *proxmox = self;
	call_step then = what == NOVA_QUERY_STATE     ? put_state
	                 : what == NOVA_QUERY_STATS   ? put_stats
	                 : what == NOVA_QUERY_ADDRESS ? ask_addresses
	                                              : NULL;
	struct call *call;

	if (!then)
		return proxmox->host->errorf(op, NOVA_E_UNSUPPORTED, "this driver has no query %u",
		                             what);
	call = call_new(proxmox, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	vm_identify(call, then);
	return nova_call_return(&call->base);
}

/* --- snapshots -------------------------------------------------------------------------------- */

static void restored(struct call *call, json_t *data)
{
	(void)data;
	/* since when is known as well as the end of the task is */
	if (is_running(call)) {
		nova_call_poll_event(&call->base, call->name, NOVA_EVENT_RUNNING);
		if (call->self->agent)
			watch_ready(call);
	}
	nova_call_done(&call->base);
}

static void snapshot_ended(struct call *call, json_t *data)
{
	(void)data;
	if (call->action == NOVA_SNAPSHOT_RESTORE)
		vm_identify(call, restored);
	else
		nova_call_done(&call->base);
}

static void send_snapshot(struct call *call, json_t *data)
{
	char body[96];

	(void)data;
	call_stamp_start(call);
	if (call->action == NOVA_SNAPSHOT_CREATE) {
		snprintf(body, sizeof(body), "snapname=%s%s", call->label,
		         is_running(call) ? "&vmstate=1" : "");
		call_task(call, snapshot_ended, "POST", body, "/nodes/%s/qemu/%lld/snapshot",
		          call->node, (long long)call->vmid);
	} else if (call->action == NOVA_SNAPSHOT_RESTORE) {
		if (is_running(call))
			call->task_begun = agent_gone;
		call_task(call, snapshot_ended, "POST", NULL,
		          "/nodes/%s/qemu/%lld/snapshot/%s/rollback", call->node,
		          (long long)call->vmid, call->label);
	} else {
		call_task(call, snapshot_ended, "DELETE", NULL, "/nodes/%s/qemu/%lld/snapshot/%s",
		          call->node, (long long)call->vmid, call->label);
	}
}

/* Proxmox's rule for names of snapshots. */
static int is_label(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t length = strlen(name);

	return length >= 2 && length <= 40 && strchr(letters, name[0]) &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
	               length;
}

int proxmox_snapshot(void *self, nova_op op, const struct nova_ref *vm, const char *name,
                     uint32_t action)
{
	struct proxmox *proxmox = self;
	struct call *call;

	if (!is_label(name))
		return proxmox->host->errorf(
		        op, NOVA_E_INVALID,
		        "'%s' cannot be a snapshot's name in Proxmox VE: a "
		        "letter, then letters, digits, - and _, 2 to 40 in all",
		        name);
	if (action != NOVA_SNAPSHOT_CREATE && action != NOVA_SNAPSHOT_RESTORE &&
	    action != NOVA_SNAPSHOT_DELETE)
		return proxmox->host->errorf(op, NOVA_E_UNSUPPORTED,
		                             "this driver has no snapshot action %u", action);
	call = call_new(proxmox, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	call->action = action;
	snprintf(call->label, sizeof(call->label), "%s", name);
	vm_identify(call, send_snapshot);
	return nova_call_return(&call->base);
}
