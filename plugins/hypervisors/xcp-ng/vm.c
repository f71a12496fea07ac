/* SPDX-License-Identifier: MIT */
/* VMs: identity, power, deletion, listing. Making them is in create.c, asking in query.c. */
#include "xcpng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Something that was told to stop cleans up, and holds the VM meanwhile. */
#define BUSY_PAUSE_NS SECOND_NS
#define BUSY_ATTEMPTS 20u

/* --- identity --------------------------------------------------------------------------------- */

static int field(const struct call *call, const char *name)
{
	return nova_json_flag(call->record, name, 0);
}

const char *vm_state(const struct call *call)
{
	return nova_json_text(call->record, "power_state", "");
}

static void not_ours(struct call *call, const char *why)
{
	nova_call_fail(&call->base, NOVA_E_REFUSED,
	               "the VM %s is %s: it is not ours, so nothing was done to it", call->uuid,
	               why);
}

/* A template of that name is what is left where making a VM was cut short, unless somebody made it
 * one on purpose: only deleting takes it, and the one that VMs are cloned from never. */
static int is_ours(struct call *call)
{
	const char *name = nova_json_text(call->record, "name_label", "");
	const char *uuid = nova_json_text(call->record, "uuid", "");
	const char *template = call->self->template;
	char why[256];

	if (strncmp(name, OUR_PREFIX, strlen(OUR_PREFIX)) != 0 || strcmp(name, call->name) != 0) {
		snprintf(why, sizeof(why),
		         "named '%.60s', not '%.60s' (or has not our prefix, " OUR_PREFIX ")", name,
		         call->name);
		not_ours(call, why);
	} else if (call->uuid[0] && strcmp(uuid, call->uuid) != 0) {
		not_ours(call, "another one by now");
	} else if (field(call, "is_control_domain") || field(call, "is_a_snapshot")) {
		not_ours(call, "a control domain or a snapshot");
	} else if (field(call, "is_a_template") &&
	           (!call->missing_is_done || field(call, "is_default_template") ||
	            (template && (strcmp(template, name) == 0 || strcmp(template, uuid) == 0)))) {
		not_ours(call, "a template");
	} else {
		return 1;
	}
	return 0;
}

/* A pool has many hosts, a target may be one of them: that where it runs, else where it is to. */
static int is_here(const struct call *call)
{
	const char *resident = nova_json_text(call->record, "resident_on", "");
	const char *affinity = nova_json_text(call->record, "affinity", "");
	const char *where = answer_is_ref(resident) ? resident : affinity;

	return call->anywhere || !call->self->host_ref[0] || !answer_is_ref(where) ||
	       strcmp(where, call->self->host_ref) == 0;
}

static int gone(struct nova_call *base, const struct nova_refusal *refusal)
{
	struct call *call = (struct call *)base;

	if (refusal->code != NOVA_E_NOT_FOUND)
		return 0;
	if (call->missing_is_done)
		call->identified(call, NULL);
	else
		nova_call_fail(base, NOVA_E_NOT_FOUND, "there is no VM '%s' in the pool of %s (%s)",
		               call->name, call->self->base, refusal->words);
	return 1;
}

static void take_record(struct call *call, json_t *result)
{
	json_decref(call->record);
	call->record = json_incref(result);
	if (!is_ours(call))
		return;
	snprintf(call->uuid, sizeof(call->uuid), "%s", nova_json_text(result, "uuid", ""));
	if (is_here(call))
		call->identified(call, result);
	else
		nova_call_fail(&call->base, NOVA_E_NOT_FOUND,
		               "the VM '%s' is on another host of the pool than %s", call->name,
		               call->self->host_name);
}

static void ask_record(struct call *call)
{
	call_rpc(call, take_record, "VM.get_record", "[s]", call->ref);
	nova_call_on_refusal(&call->base, gone);
}

static void take_vm(struct call *call, json_t *result)
{
	if (call_take_ref(call, result, call->ref))
		ask_record(call);
}

static void take_named(struct call *call, json_t *result)
{
	size_t count = json_array_size(result);

	if (count == 0 && call->missing_is_done)
		call->identified(call, NULL);
	else if (count == 0)
		nova_call_fail(&call->base, NOVA_E_NOT_FOUND, "there is no VM named '%s' at %s",
		               call->name, call->self->base);
	else if (count > 1)
		nova_call_fail(&call->base, NOVA_E_REFUSED,
		               "%zu VMs at %s are named '%s': which one is meant is unknown, so "
		               "nothing was done; delete them by their UUIDs (xe vm-uninstall)",
		               count, call->self->base, call->name);
	else
		take_vm(call, json_array_get(result, 0));
}

void vm_identify(struct call *call, call_step then)
{
	call->identified = then;
	if (call->uuid[0])
		call_rpc(call, take_vm, "VM.get_by_uuid", "[s]", call->uuid);
	else
		call_rpc(call, take_named, "VM.get_by_name_label", "[s]", call->name);
	nova_call_on_refusal(&call->base, gone);
}

void vm_stamp_start(struct call *call)
{
	call->self->host->put_i64(call->base.op, NOVA_FIELD_STARTED_NS, nova_http_now_ns());
}

/* --- power ------------------------------------------------------------------------------------ */

static const struct power {
	uint32_t action;
	const char *method;
	uint32_t event;
	const char *state; /* when it has happened; NULL: the task's end tells */
	int off_is_done;   /* nothing to do for a VM that is off */
} powers[] = {
        {NOVA_POWER_START, "VM.start", NOVA_EVENT_RUNNING, "Running", 0},
        {NOVA_POWER_SHUTDOWN, "VM.clean_shutdown", NOVA_EVENT_STOPPED, "Halted", 1},
        {NOVA_POWER_OFF, "VM.hard_shutdown", NOVA_EVENT_STOPPED, "Halted", 1},
        {NOVA_POWER_RESET, "VM.hard_reboot", NOVA_EVENT_RUNNING, NULL, 0},
        {NOVA_POWER_PAUSE, "VM.pause", NOVA_EVENT_PAUSED, "Paused", 0},
        {NOVA_POWER_RESUME, "VM.unpause", NOVA_EVENT_RESUMED, "Running", 0},
};

static const struct power *find_power(uint32_t action)
{
	for (size_t i = 0; i < sizeof(powers) / sizeof(powers[0]); i++) {
		if (powers[i].action == action)
			return &powers[i];
	}
	return NULL;
}

static void said(struct call *call, uint32_t event)
{
	nova_call_event(&call->base, call->name, event, NOVA_SOURCE_API, call->base.answered_ns,
	                call->base.answered_ns - call->base.asked_ns);
}

static void power_ended(struct call *call, json_t *result)
{
	(void)result;
	nova_call_done(&call->base);
}

static void send_power(struct call *call, json_t *record)
{
	const struct power *power = find_power(call->action);
	const char *host = call->self->host_ref;

	(void)record;
	if (power->off_is_done && strcmp(vm_state(call), "Halted") == 0) {
		nova_call_done(&call->base);
		return;
	}
	vm_stamp_start(call);
	call->event = power->event;
	call->state = power->state;
	if (call->action == NOVA_POWER_SHUTDOWN)
		said(call, NOVA_EVENT_SHUTDOWN);
	if (call->action == NOVA_POWER_RESET && call->self->tools)
		said(call, NOVA_EVENT_UNREADY);
	if (call->action == NOVA_POWER_START || call->action == NOVA_POWER_RESET)
		watch_guest(call);
	if (call->action == NOVA_POWER_START && host[0])
		call_task(call, power_ended, "VM.start_on", "[ssbb]", call->ref, host, 0, 0);
	else if (call->action == NOVA_POWER_START)
		call_task(call, power_ended, power->method, "[sbb]", call->ref, 0, 0);
	else
		call_task(call, power_ended, power->method, "[s]", call->ref);
}

int xcpng_vm_power(void *self, nova_op op, const struct nova_ref *vm, uint32_t action)
{
	struct xcpng *xcpng = self;
	struct call *call;

	if (!find_power(action))
		return xcpng->host->errorf(op, NOVA_E_UNSUPPORTED,
		                           "this driver has no power action %u", action);
	call = call_new(xcpng, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	call->action = action;
	vm_identify(call, send_power);
	return nova_call_return(&call->base);
}

/* --- destroying a VM or a snapshot ------------------------------------------------------------
 *
 * Disks first: what is cut short is found again by the VM's name. A disk that another VM has as
 * well is not ours to destroy.
 */

static void next_disk(struct call *call, json_t *unused);

static void object_destroyed(struct call *call, json_t *result)
{
	(void)result;
	call->after(call, NULL);
}

static int already_gone(struct nova_call *base, const struct nova_refusal *refusal)
{
	if (refusal->code != NOVA_E_NOT_FOUND)
		return 0;
	object_destroyed((struct call *)base, NULL);
	return 1;
}

static void destroy_object(struct call *call)
{
	if (!call->other[0]) { /* disks of a VM that is gone */
		call->after(call, NULL);
		return;
	}
	call_rpc(call, object_destroyed, "VM.destroy", "[s]", call->other);
	nova_call_on_refusal(&call->base, already_gone);
}

static int disk_failed(struct nova_call *base, int code, const char *words)
{
	(void)words;
	if (code != NOVA_E_NOT_FOUND)
		return 0;
	next_disk((struct call *)base, NULL);
	return 1;
}

static int disk_refused(struct nova_call *base, const struct nova_refusal *refusal)
{
	return disk_failed(base, refusal->code, refusal->words);
}

/* Whose it is: the devices of the object are in call->more, those of others are not. */
static void judge_disk(struct call *call, json_t *result)
{
	const json_t *devices = json_object_get(result, "VBDs");
	size_t i;
	json_t *device;

	json_array_foreach(devices, i, device)
	{
		if (!json_object_get(call->more, nova_json_text(device, "", ""))) {
			next_disk(call, NULL); /* another VM's as well */
			return;
		}
	}
	call_task(call, next_disk, "VDI.destroy", "[s]", call->disk);
	nova_call_on_refusal(&call->base, disk_refused);
	call->task_failed = disk_failed;
}

static void next_disk(struct call *call, json_t *unused)
{
	const char *disk = nova_json_text(json_array_get(call->list, call->index), "", NULL);

	(void)unused;
	if (!disk) {
		destroy_object(call);
		return;
	}
	call->index++;
	snprintf(call->disk, sizeof(call->disk), "%s", disk);
	call_rpc(call, judge_disk, "VDI.get_record", "[s]", call->disk);
	nova_call_on_refusal(&call->base, disk_refused);
}

static void add_disk(struct call *call, const char *disk)
{
	size_t i;
	json_t *known;

	if (!answer_is_ref(disk))
		return;
	json_array_foreach(call->list, i, known)
	{
		if (strcmp(json_string_value(known), disk) == 0)
			return;
	}
	json_array_append_new(call->list, json_string(disk));
}

static void next_device(struct call *call, json_t *unused);

static void take_device(struct call *call, json_t *result)
{
	if (strcmp(nova_json_text(result, "type", ""), "Disk") == 0)
		add_disk(call, nova_json_text(result, "VDI", ""));
	next_device(call, NULL);
}

static int device_gone(struct nova_call *base, const struct nova_refusal *refusal)
{
	if (refusal->code != NOVA_E_NOT_FOUND)
		return 0;
	next_device((struct call *)base, NULL);
	return 1;
}

static void named_disks(struct call *call, json_t *result)
{
	size_t i;
	json_t *disk;

	json_array_foreach(result, i, disk)
	{
		add_disk(call, nova_json_text(disk, "", ""));
	}
	call->index = 0;
	next_disk(call, NULL);
}

/* Those that were made for a VM, and not attached yet, have its name. */
static void find_named_disks(struct call *call)
{
	if (call->other[0] && strcmp(call->other, call->ref) != 0) /* a snapshot */
		named_disks(call, NULL);
	else
		call_rpc(call, named_disks, "VDI.get_by_name_label", "[s]", call->name);
}

static void next_device(struct call *call, json_t *unused)
{
	void *at = json_object_iter(call->more);

	(void)unused;
	for (size_t i = 0; at && i < call->index; i++)
		at = json_object_iter_next(call->more, at);
	if (!at) {
		find_named_disks(call);
		return;
	}
	call->index++;
	call_rpc(call, take_device, "VBD.get_record", "[s]", json_object_iter_key(at));
	nova_call_on_refusal(&call->base, device_gone);
}

static void take_object(struct call *call, json_t *result)
{
	size_t i;
	json_t *device;

	json_array_foreach(json_object_get(result, "VBDs"), i, device)
	{
		json_object_set_new(call->more, nova_json_text(device, "", "?"), json_true());
	}
	add_disk(call, nova_json_text(result, "suspend_VDI", ""));
	next_device(call, NULL);
}

void vm_destroy(struct call *call, const char *ref, call_step then)
{
	call->after = then;
	call->index = 0;
	json_decref(call->list);
	json_decref(call->more);
	call->list = json_array();
	call->more = json_object();
	snprintf(call->other, sizeof(call->other), "%s", ref);
	if (!call->list || !call->more) {
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	} else if (!ref[0]) {
		find_named_disks(call);
	} else {
		call_rpc(call, take_object, "VM.get_record", "[s]", ref);
		nova_call_on_refusal(&call->base, already_gone);
	}
}

/* --- delete ----------------------------------------------------------------------------------- */

static void delete_again(struct call *call, json_t *unused);

static int wait_while_busy(struct call *call, int code)
{
	if (code != NOVA_E_BUSY || call->attempts >= BUSY_ATTEMPTS)
		return 0;
	call->attempts++;
	call->event = 0;
	call_pause(call, delete_again, BUSY_PAUSE_NS);
	return 1;
}

static int stop_refused(struct nova_call *base, const struct nova_refusal *refusal)
{
	return wait_while_busy((struct call *)base, refusal->code);
}

static int stop_failed(struct nova_call *base, int code, const char *words)
{
	(void)words;
	return wait_while_busy((struct call *)base, code);
}

static void deleted(struct call *call, json_t *unused)
{
	(void)unused;
	nova_ssh_forget(call->self->ssh, call->name);
	nova_call_done(&call->base);
}

static void next_snapshot(struct call *call, json_t *unused);

static void destroy_snapshot(struct call *call, json_t *record)
{
	const char *of = nova_json_text(record, "snapshot_of", "");

	if (nova_json_flag(record, "is_a_snapshot", 0) && strcmp(of, call->ref) == 0)
		vm_destroy(call,
		           nova_json_text(json_array_get(json_object_get(call->record, "snapshots"),
		                                         call->action - 1),
		                          "", ""),
		           next_snapshot);
	else
		next_snapshot(call, NULL);
}

static int snapshot_gone(struct nova_call *base, const struct nova_refusal *refusal)
{
	if (refusal->code != NOVA_E_NOT_FOUND)
		return 0;
	next_snapshot((struct call *)base, NULL);
	return 1;
}

/* The record is as old as the deletion's first look: each snapshot is looked at again. */
static void next_snapshot(struct call *call, json_t *unused)
{
	const json_t *snapshots = json_object_get(call->record, "snapshots");
	const char *snapshot = nova_json_text(json_array_get(snapshots, call->action), "", NULL);

	(void)unused;
	if (!snapshot) {
		vm_destroy(call, call->ref, deleted);
		return;
	}
	call->action++;
	call_rpc(call, destroy_snapshot, "VM.get_record", "[s]", snapshot);
	nova_call_on_refusal(&call->base, snapshot_gone);
}

/* Once more before what cannot be undone: stopping it took a while. */
static void look_again(struct call *call, json_t *record)
{
	if (!record) { /* somebody was faster */
		vm_destroy(call, "", deleted);
	} else if (strcmp(vm_state(call), "Halted") != 0) {
		nova_call_fail(&call->base, NOVA_E_BUSY,
		               "the VM '%s' is %s again after it was switched off: somebody else "
		               "works with it",
		               call->name, vm_state(call));
	} else {
		call->action = 0;
		next_snapshot(call, NULL);
	}
}

static void stopped(struct call *call, json_t *unused)
{
	(void)unused;
	vm_identify(call, look_again);
}

static void stop_first(struct call *call, json_t *record)
{
	if (!record) { /* a disk of its name may be left */
		vm_destroy(call, "", deleted);
		return;
	}
	if (!call->attempts)
		vm_stamp_start(call);
	if (strcmp(vm_state(call), "Halted") == 0) {
		call->action = 0;
		next_snapshot(call, NULL);
		return;
	}
	call->event = NOVA_EVENT_STOPPED;
	call->state = "Halted";
	call_task(call, stopped, "VM.hard_shutdown", "[s]", call->ref);
	nova_call_on_refusal(&call->base, stop_refused);
	call->task_failed = stop_failed;
}

static void delete_again(struct call *call, json_t *unused)
{
	(void)unused;
	vm_identify(call, stop_first);
}

int xcpng_vm_delete(void *self, nova_op op, const struct nova_ref *vm)
{
	struct call *call = call_new(self, op, vm);

	if (!call)
		return NOVA_E_INVALID;
	if (strncmp(call->name, OUR_PREFIX, strlen(OUR_PREFIX)) != 0) {
		nova_call_fail(&call->base, NOVA_E_REFUSED,
		               "'%s' has not our prefix, " OUR_PREFIX ": nothing was done",
		               call->name);
		return nova_call_return(&call->base);
	}
	call->missing_is_done = 1;
	call->anywhere = 1; /* a pool is one place to clean up in */
	vm_identify(call, stop_first);
	return nova_call_return(&call->base);
}

/* --- list ------------------------------------------------------------------------------------- */

/* What is left of a VM whose making was cut short is still a template, and has a run's name. */
static int is_listed(const struct call *call, const json_t *vm)
{
	const char *name = nova_json_text(vm, "name_label", "");
	const char *uuid = nova_json_text(vm, "uuid", "");
	const char *template = call->self->template;

	if (strncmp(name, call->name, strlen(call->name)) != 0 ||
	    nova_json_flag(vm, "is_a_snapshot", 0) || nova_json_flag(vm, "is_control_domain", 0))
		return 0;
	return !nova_json_flag(vm, "is_a_template", 0) ||
	       (strlen(call->name) > strlen(OUR_PREFIX) &&
	        !nova_json_flag(vm, "is_default_template", 0) &&
	        !(template && (strcmp(template, name) == 0 || strcmp(template, uuid) == 0)));
}

static void list_vms(struct call *call, json_t *result)
{
	const char *ref;
	json_t *vm;

	if (!json_is_object(result)) {
		nova_call_puzzled(&call->base, "it was to be all VMs");
		return;
	}
	json_object_foreach(result, ref, vm)
	{
		const char *uuid = nova_json_text(vm, "uuid", "");

		if (is_listed(call, vm) && answer_is_uuid(uuid))
			call->self->host->put_fact(call->base.op, NOVA_FIELD_VM,
			                           nova_json_text(vm, "name_label", ""), uuid);
	}
	nova_call_done(&call->base);
}

int xcpng_vm_list(void *self, nova_op op, const char *prefix)
{
	struct xcpng *xcpng = self;
	struct call *call;

	if (!prefix[0])
		return xcpng->host->error(op, NOVA_E_INVALID, "a list of VMs needs a prefix");
	call = call_new(xcpng, op, NULL);
	if (!call)
		return NOVA_E_MEMORY;
	if (strlen(prefix) >= sizeof(call->name)) /* no name of ours is so long */
		nova_call_done(&call->base);
	else if (call_set_name(call, prefix))
		call_rpc(call, list_vms, "VM.get_all_records", "[]");
	return nova_call_return(&call->base);
}
