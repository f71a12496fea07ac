/* SPDX-License-Identifier: MIT */
/* Snapshots: of the disks of a VM that is off, of its memory as well (a checkpoint) if it runs. */
#include "xcpng.h"

#include <stdio.h>
#include <string.h>

static void done(struct call *call, json_t *unused)
{
	(void)unused;
	nova_call_done(&call->base);
}

/* --- restore ---------------------------------------------------------------------------------- */

/* A checkpoint comes back suspended. */
static void resume(struct call *call, json_t *state)
{
	const char *host = call->self->host_ref;

	if (strcmp(nova_json_text(state, "", ""), "Suspended") != 0) {
		nova_call_done(&call->base);
		return;
	}
	call->event = NOVA_EVENT_RUNNING;
	call->state = "Running";
	watch_guest(call);
	if (host[0])
		call_task(call, done, "VM.resume_on", "[ssbb]", call->ref, host, 0, 0);
	else
		call_task(call, done, "VM.resume", "[sbb]", call->ref, 0, 0);
}

static void reverted(struct call *call, json_t *unused)
{
	(void)unused;
	nova_ssh_forget(call->self->ssh, call->name); /* it may not have had a host key then */
	call_rpc(call, resume, "VM.get_power_state", "[s]", call->ref);
}

/* --- finding it ------------------------------------------------------------------------------- */

static int is_its(const struct call *call, const char *ref)
{
	size_t i;
	json_t *snapshot;

	json_array_foreach(json_object_get(call->record, "snapshots"), i, snapshot)
	{
		if (strcmp(nova_json_text(snapshot, "", ""), ref) == 0)
			return 1;
	}
	return 0;
}

static void create(struct call *call)
{
	int runs = strcmp(vm_state(call), "Halted") != 0;

	vm_stamp_start(call);
	call_task(call, done, runs ? "VM.checkpoint" : "VM.snapshot", "[ss]", call->ref,
	          call->label);
}

static void act(struct call *call)
{
	int ran = strcmp(vm_state(call), "Running") == 0;

	vm_stamp_start(call);
	if (call->action == NOVA_SNAPSHOT_DELETE) {
		char snapshot[REF_ROOM];

		snprintf(snapshot, sizeof(snapshot), "%s", call->other);
		vm_destroy(call, snapshot, done);
		return;
	}
	if (ran && call->self->tools)
		nova_call_event(&call->base, call->name, NOVA_EVENT_UNREADY, NOVA_SOURCE_API,
		                call->base.answered_ns,
		                call->base.answered_ns - call->base.asked_ns);
	call_task(call, reverted, "VM.revert", "[s]", call->other);
}

/* Other VMs may have snapshots of that name. */
static void take_named(struct call *call, json_t *result)
{
	size_t count = 0;
	size_t i;
	json_t *one;

	json_array_foreach(result, i, one)
	{
		const char *ref = nova_json_text(one, "", "");

		if (!is_its(call, ref) || !answer_is_ref(ref))
			continue;
		snprintf(call->other, sizeof(call->other), "%s", ref);
		count++;
	}
	if (call->action == NOVA_SNAPSHOT_CREATE && count == 0)
		create(call);
	else if (call->action == NOVA_SNAPSHOT_CREATE)
		nova_call_fail(&call->base, NOVA_E_EXISTS,
		               "the VM '%s' has a snapshot '%s' already", call->name, call->label);
	else if (count == 1)
		act(call);
	else
		nova_call_fail(&call->base, count ? NOVA_E_REFUSED : NOVA_E_NOT_FOUND,
		               count ? "the VM '%s' has several snapshots '%s': which is meant is "
		                       "unknown, so nothing was done"
		                     : "the VM '%s' has no snapshot '%s'",
		               call->name, call->label);
}

static void find(struct call *call, json_t *record)
{
	(void)record;
	call_rpc(call, take_named, "VM.get_by_name_label", "[s]", call->label);
}

int xcpng_snapshot(void *self, nova_op op, const struct nova_ref *vm, const char *name,
                   uint32_t action)
{
	struct xcpng *xcpng = self;
	struct call *call;

	if (!name[0] || strlen(name) >= sizeof(call->label))
		return xcpng->host->errorf(op, NOVA_E_INVALID,
		                           "a snapshot's name has 1 to %zu bytes, not %zu",
		                           sizeof(call->label) - 1, strlen(name));
	if (action != NOVA_SNAPSHOT_CREATE && action != NOVA_SNAPSHOT_RESTORE &&
	    action != NOVA_SNAPSHOT_DELETE)
		return xcpng->host->errorf(op, NOVA_E_UNSUPPORTED,
		                           "this driver has no snapshot action %u", action);
	call = call_new(xcpng, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	call->action = action;
	snprintf(call->label, sizeof(call->label), "%s", name);
	vm_identify(call, find);
	return nova_call_return(&call->base);
}
