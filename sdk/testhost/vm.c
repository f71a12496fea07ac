/* SPDX-License-Identifier: MIT */
/*
 * A simulated VM: its state, its life, its snapshots, and its events, which come in simulated time
 * after the calls that cause them.
 */
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENT_ERROR_NS 1000

/* --- events ------------------------------------------------------------------------------- */

static int stops(const struct happening *event)
{
	return event->status == NOVA_DONE && event->kind >= NOVA_EVENT_STOPPED;
}

/* When the VM stops by itself or has stopped; INT64_MAX: it does not. */
static int64_t stop_ns(const struct vm *vm)
{
	int64_t earliest_ns = INT64_MAX;

	for (uint32_t i = 0; i < vm->event_count; i++)
		if (stops(&vm->events[i]) && vm->events[i].t_ns < earliest_ns)
			earliest_ns = vm->events[i].t_ns;
	return earliest_ns;
}

/* When it comes; INT64_MAX: not, as things are. */
static int64_t due_ns(const struct vm *vm, const struct happening *event)
{
	if (vm->paused_ns && event->t_ns > vm->paused_ns)
		return INT64_MAX;
	return !stops(event) && event->t_ns > stop_ns(vm) ? INT64_MAX : event->t_ns;
}

int th_is_ready(const struct vm *vm, int64_t now_ns)
{
	int64_t last_ns = 0;
	int ready = vm->ready;

	for (uint32_t i = 0; i < vm->event_count; i++) {
		const struct happening *event = &vm->events[i];
		int64_t t_ns = due_ns(vm, event);

		if (t_ns > now_ns || t_ns < last_ns || event->status != NOVA_DONE ||
		    (event->kind != NOVA_EVENT_READY && event->kind != NOVA_EVENT_UNREADY))
			continue;
		ready = event->kind == NOVA_EVENT_READY;
		last_ns = t_ns;
	}
	return ready && stop_ns(vm) > now_ns;
}

uint32_t th_state_of(const struct vm *vm, int64_t now_ns)
{
	return stop_ns(vm) <= now_ns ? NOVA_STATE_OFF : vm->state;
}

/* A call that changes the VM begins: what has come is no longer waited for. */
static void forget_past(struct vm *vm, int64_t now_ns)
{
	uint32_t left = 0;

	vm->ready = th_is_ready(vm, now_ns);
	vm->state = th_state_of(vm, now_ns);
	for (uint32_t i = 0; i < vm->event_count; i++)
		if (vm->state != NOVA_STATE_OFF && due_ns(vm, &vm->events[i]) > now_ns)
			vm->events[left++] = vm->events[i];
	vm->event_count = left;
}

/* `after_ns` from now, or as it is scripted. */
static void happen(struct doing *doing, uint32_t kind, int64_t after_ns)
{
	struct lab *lab = doing->lab;
	struct vm *vm = doing->vm;
	struct script script;
	const char *needed = kind == NOVA_EVENT_READY || kind == NOVA_EVENT_UNREADY ? NOVA_CAN_READY
	                     : kind == NOVA_EVENT_FIRST || kind == NOVA_EVENT_USERSPACE
	                             ? NOVA_CAN_BEAT
	                     : kind == NOVA_EVENT_ADDRESS ? NOVA_CAN_ADDRESS
	                                                  : NULL;
	struct happening *event;

	if (needed && th_script_denial(lab, needed))
		return;
	script = th_script_take(lab, th_event_word(kind));
	if (script.status == NOVA_E_TIMEOUT)
		return;
	vm->events = th_memory(vm->events, (vm->event_count + 1) * sizeof(*vm->events));
	event = &vm->events[vm->event_count++];
	event->kind = script.status == NOVA_E_FAILED ? NOVA_EVENT_CRASHED : kind;
	event->status = script.status == NOVA_E_FAILED ? NOVA_DONE : script.status;
	event->t_ns = doing->task->now_ns + (script.latency_ns ? script.latency_ns : after_ns);
	th_tasks_wake(&lab->clock, vm, doing->task->now_ns);
}

/* The first that has come, or the time at which to look again. */
static const struct happening *look(const struct vm *vm, uint32_t kind, int64_t now_ns,
                                    int64_t *next_ns)
{
	const struct happening *found = NULL;

	*next_ns = stop_ns(vm);
	for (uint32_t i = 0; i < vm->event_count; i++) {
		const struct happening *event = &vm->events[i];
		int64_t t_ns = due_ns(vm, event);

		if (event->kind != kind)
			continue;
		if (t_ns <= now_ns && (!found || t_ns < due_ns(vm, found)))
			found = event;
		else if (t_ns < *next_ns)
			*next_ns = t_ns;
	}
	return found;
}

static int await_event(struct doing *doing, uint32_t kind, struct nova_event *out)
{
	struct task *task = doing->task;
	const struct happening *event;
	int64_t next_ns;

	for (;;) {
		if (doing->vm->existence != VM_THERE)
			return th_fail(doing, NOVA_E_NOT_FOUND, "the VM was deleted meanwhile");
		event = look(doing->vm, kind, task->now_ns, &next_ns);
		if (event)
			break;
		if (doing->lab->interrupted) {
			task->interrupted = 1;
			return NOVA_E_INTERRUPTED;
		}
		if (next_ns <= task->now_ns)
			return th_fail(doing, NOVA_E_FAILED, "the VM has stopped");
		if (task->now_ns >= doing->deadline_ns)
			return NOVA_E_TIMEOUT;
		task->watch = doing->vm;
		task->idle = 1;
		th_task_pass(task, next_ns < doing->deadline_ns ? next_ns : doing->deadline_ns);
	}
	if (event->status == NOVA_E_INTERRUPTED)
		th_tasks_interrupt(task);
	if (event->status != NOVA_DONE)
		return th_fail(doing, event->status, "failed as scripted");
	if (out)
		*out = (struct nova_event){.struct_size = sizeof(*out),
		                           .kind = kind,
		                           .source = NOVA_SOURCE_MODEL,
		                           .name = doing->vm->name,
		                           .t_ns = event->t_ns,
		                           .resolution_ns = EVENT_ERROR_NS};
	return NOVA_DONE;
}

int th_lab_wait(nova_run run, nova_vm number, uint32_t kind, int64_t deadline_ns,
                struct nova_event *event)
{
	const char *word = th_wait_word(kind);
	struct doing doing;
	int status = th_begin(&doing, run, word ? word : "wait", number, deadline_ns);

	if (status != NOVA_DONE)
		return status;
	if (!word)
		return th_go(&doing, th_broken(&doing, "there is no event %u", kind));
	status = th_find(&doing, number);
	if (status == NOVA_DONE && event)
		status = th_sized(&doing, "event", event->struct_size, sizeof(*event));
	if (status == NOVA_DONE && kind == NOVA_EVENT_READY)
		th_able(&doing, NOVA_CAN_READY);
	if (status == NOVA_DONE)
		status = await_event(&doing, kind, event);
	return th_go(&doing, status);
}

/* --- a VM's life -------------------------------------------------------------------------- */

static const char *boot_capability(uint32_t boot)
{
	static const char *const names[] = {NULL, NOVA_CAN_DIRECT, NOVA_CAN_DISK, NOVA_CAN_STUB,
	                                    NOVA_CAN_TEMPLATE};

	return boot <= NOVA_BOOT_TEMPLATE ? names[boot] : NULL;
}

static int check_shape(struct doing *doing, const struct nova_shape *shape)
{
	const char *const *knob;
	const char *why;

	if (!shape)
		return NOVA_DONE;
	if (th_sized(doing, "shape", shape->struct_size, sizeof(*shape)) != NOVA_DONE)
		return NOVA_E_INVALID;
	if (shape->boot > NOVA_BOOT_TEMPLATE)
		return th_broken(doing, "the shape's boot is %u: NOVA_BOOT_* or 0", shape->boot);
	for (knob = shape->knobs; knob && *knob; knob++)
		if (!strchr(*knob, '=') || **knob == '=')
			return th_broken(doing, "the shape's knob \"%s\" is not name=value", *knob);
	if (!shape->boot)
		return NOVA_DONE;
	why = th_script_denial(doing->lab, boot_capability(shape->boot));
	return why ? th_fail(doing, NOVA_E_UNSUPPORTED, "the target cannot boot so: %s", why)
	           : NOVA_DONE;
}

static struct vm *new_vm(struct lab *lab, uint32_t target, const struct nova_shape *shape)
{
	struct vm *vm = th_memory(NULL, sizeof(*vm));

	memset(vm, 0, sizeof(*vm));
	lab->vms = th_grow(lab->vms, lab->vm_count, sizeof(*lab->vms));
	lab->vms[lab->vm_count++] = vm;
	vm->number = lab->vm_count;
	snprintf(vm->name, sizeof(vm->name), "novacore-testhost-%u", lab->vm_count);
	vm->target = target;
	vm->state = NOVA_STATE_OFF;
	vm->vcpus = shape && shape->vcpus ? shape->vcpus : 1;
	vm->memory_bytes = shape && shape->memory_bytes ? shape->memory_bytes : 1024ull * MEBIBYTE;
	vm->existence = VM_UNKNOWN;
	return vm;
}

int th_lab_vm_create(nova_run run, uint32_t target, const struct nova_shape *shape,
                     int64_t deadline_ns, nova_vm *out)
{
	struct doing doing;
	int status = th_begin(&doing, run, "vm_create", 0, deadline_ns);
	char id[32];

	if (out)
		*out = 0;
	if (status != NOVA_DONE)
		return status;
	if (!out)
		return th_go(&doing, th_broken(&doing, "no room for the VM's number"));
	if (target >= doing.lab->table.targets)
		return th_go(&doing, th_broken(&doing, "there is no target %u", target));
	status = check_shape(&doing, shape);
	if (status == NOVA_DONE)
		status = th_able(&doing, NOVA_CAN_CREATE);
	if (status != NOVA_DONE)
		return th_go(&doing, status);
	doing.vm = new_vm(doing.lab, target, shape);
	doing.lab->journal[doing.lab->journal_count - 1].vm = *out = doing.vm->number;
	status = th_pass(&doing);
	if (status == NOVA_DONE) {
		doing.vm->existence = VM_THERE;
		snprintf(id, sizeof(id), "testhost-%u", (unsigned)doing.vm->number);
		th_put_fact(&doing, NOVA_FIELD_ID, "", id);
	} else if (status != NOVA_E_TIMEOUT && status != NOVA_E_UNKNOWN) {
		doing.vm->existence = VM_FAILED;
	}
	return th_go(&doing, status);
}

static void boot(struct doing *doing)
{
	static const uint32_t kinds[] = {NOVA_EVENT_RUNNING, NOVA_EVENT_FIRST, NOVA_EVENT_USERSPACE,
	                                 NOVA_EVENT_READY, NOVA_EVENT_ADDRESS};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		happen(doing, kinds[i], ((int64_t)i + 1) * MILLISECOND_NS);
}

/* What the guest would still have done comes later by as long as it was paused. */
static void resume(struct doing *doing)
{
	struct vm *vm = doing->vm;

	for (uint32_t i = 0; i < vm->event_count; i++)
		if (vm->events[i].t_ns > vm->paused_ns)
			vm->events[i].t_ns += doing->task->now_ns - vm->paused_ns;
	vm->paused_ns = 0;
	vm->state = NOVA_STATE_RUNNING;
	happen(doing, NOVA_EVENT_RESUMED, 0);
}

static void start_over(struct doing *doing)
{
	doing->vm->event_count = 0;
	doing->vm->paused_ns = 0;
	doing->vm->state = NOVA_STATE_RUNNING;
	doing->vm->started_ns = doing->task->now_ns;
}

static void after_power(struct doing *doing, uint32_t action)
{
	struct vm *vm = doing->vm;
	int was_ready = th_is_ready(vm, doing->task->now_ns);

	switch (action) {
	case NOVA_POWER_START:
		start_over(doing);
		boot(doing);
		break;
	case NOVA_POWER_RESET:
		start_over(doing);
		if (was_ready)
			happen(doing, NOVA_EVENT_UNREADY, 0);
		boot(doing);
		break;
	case NOVA_POWER_PAUSE:
		vm->state = NOVA_STATE_PAUSED;
		vm->paused_ns = doing->task->now_ns;
		happen(doing, NOVA_EVENT_PAUSED, 0);
		break;
	case NOVA_POWER_RESUME: resume(doing); break;
	default:
		if (th_state_of(vm, doing->task->now_ns) == NOVA_STATE_OFF)
			break;
		vm->event_count = 0;
		vm->paused_ns = 0;
		vm->ready = 0;
		vm->state = NOVA_STATE_OFF;
		if (action == NOVA_POWER_SHUTDOWN)
			happen(doing, NOVA_EVENT_SHUTDOWN, 0);
		happen(doing, NOVA_EVENT_STOPPED, 0);
		break;
	}
}

static const struct power {
	uint32_t action;
	const char *word, *capability;
	uint32_t states; /* bit s: from NOVA_STATE_s */
} POWERS[] = {
        {NOVA_POWER_START, "vm_power.start", NOVA_CAN_START, FROM(OFF)},
        {NOVA_POWER_SHUTDOWN, "vm_power.shutdown", NOVA_CAN_SHUTDOWN, FROM(RUNNING)},
        {NOVA_POWER_OFF, "vm_power.off", NOVA_CAN_START, FROM(OFF) | FROM(RUNNING) | FROM(PAUSED)},
        {NOVA_POWER_RESET, "vm_power.reset", NOVA_CAN_RESET, FROM(RUNNING) | FROM(PAUSED)},
        {NOVA_POWER_PAUSE, "vm_power.pause", NOVA_CAN_PAUSE, FROM(RUNNING)},
        {NOVA_POWER_RESUME, "vm_power.resume", NOVA_CAN_PAUSE, FROM(PAUSED)},
};

int th_in_state(struct doing *doing, uint32_t states)
{
	static const char *const words[] = {"", "off", "running", "paused", "in another state"};
	uint32_t state = th_state_of(doing->vm, doing->task->now_ns);

	return states & (1u << state) ? NOVA_DONE
	                              : th_fail(doing, NOVA_E_BUSY, "the VM is %s", words[state]);
}

int th_lab_vm_power(nova_run run, nova_vm number, uint32_t action, int64_t deadline_ns)
{
	const struct power *power = POWERS, *end = POWERS + sizeof(POWERS) / sizeof(POWERS[0]);
	struct doing doing;
	int status;

	while (power < end && power->action != action)
		power++;
	status = th_begin(&doing, run, power < end ? power->word : "vm_power", number, deadline_ns);
	if (status != NOVA_DONE)
		return status;
	if (power == end)
		return th_go(&doing, th_broken(&doing, "there is no action %u", action));
	status = th_find(&doing, number);
	if (status == NOVA_DONE)
		status = th_able(&doing, power->capability);
	if (status == NOVA_DONE)
		status = th_in_state(&doing, power->states);
	if (status != NOVA_DONE)
		return th_go(&doing, status);
	forget_past(doing.vm, doing.started_ns);
	status = th_pass(&doing);
	if (status == NOVA_DONE)
		after_power(&doing, action);
	return th_go(&doing, status);
}

int th_lab_vm_delete(nova_run run, nova_vm number, int64_t deadline_ns)
{
	struct doing doing;
	int status = th_begin(&doing, run, "vm_delete", number, deadline_ns);

	if (status != NOVA_DONE)
		return status;
	doing.vm = th_lab_vm(doing.lab, number);
	/* "Not there already" is fine, but deleting twice is a mistake. */
	if (!doing.vm || doing.vm->existence == VM_DELETED)
		return th_go(&doing, th_find(&doing, number));
	status = th_able(&doing, NOVA_CAN_CREATE);
	if (status == NOVA_DONE)
		status = th_pass(&doing);
	if (status == NOVA_DONE) {
		doing.vm->existence = VM_DELETED;
		th_tasks_wake(&doing.lab->clock, doing.vm, doing.task->now_ns);
	}
	return th_go(&doing, status);
}

/* --- snapshots ---------------------------------------------------------------------------- */

static uint32_t find_snapshot(const struct vm *vm, const char *name)
{
	uint32_t i = 0;

	while (i < vm->snapshot_count && strcmp(vm->snapshots[i], name) != 0)
		i++;
	return i;
}

static void after_snapshot(struct doing *doing, const char *name, uint32_t action)
{
	struct vm *vm = doing->vm;
	uint32_t at = find_snapshot(vm, name);

	if (action == NOVA_SNAPSHOT_CREATE && at == vm->snapshot_count) {
		vm->snapshots = th_grow(vm->snapshots, vm->snapshot_count, sizeof(*vm->snapshots));
		vm->snapshots[vm->snapshot_count++] = th_copy(name);
	} else if (action == NOVA_SNAPSHOT_DELETE && at < vm->snapshot_count) {
		free(vm->snapshots[at]);
		vm->snapshots[at] = vm->snapshots[--vm->snapshot_count];
	} else if (action == NOVA_SNAPSHOT_RESTORE) {
		int was_ready = th_is_ready(vm, doing->task->now_ns);

		start_over(doing);
		happen(doing, NOVA_EVENT_RUNNING, MILLISECOND_NS);
		if (was_ready)
			happen(doing, NOVA_EVENT_UNREADY, MILLISECOND_NS);
		happen(doing, NOVA_EVENT_READY, 4 * MILLISECOND_NS);
	}
}

int th_lab_snapshot(nova_run run, nova_vm number, const char *name, uint32_t action,
                    int64_t deadline_ns)
{
	struct doing doing;
	const char *word = action == NOVA_SNAPSHOT_CREATE    ? "snapshot.create"
	                   : action == NOVA_SNAPSHOT_RESTORE ? "snapshot.restore"
	                   : action == NOVA_SNAPSHOT_DELETE  ? "snapshot.delete"
	                                                     : NULL;
	int status = th_begin(&doing, run, word ? word : "snapshot", number, deadline_ns), there;

	if (status != NOVA_DONE)
		return status;
	if (!word)
		return th_go(&doing, th_broken(&doing, "there is no action %u", action));
	if (!name || !*name)
		return th_go(&doing, th_broken(&doing, "the snapshot has no name"));
	status = th_find(&doing, number);
	if (status == NOVA_DONE)
		status = th_able(&doing, NOVA_CAN_SNAPSHOT);
	if (status == NOVA_DONE && action == NOVA_SNAPSHOT_CREATE)
		status = th_in_state(&doing, FROM(RUNNING) | FROM(PAUSED));
	if (status != NOVA_DONE)
		return th_go(&doing, status);
	there = find_snapshot(doing.vm, name) < doing.vm->snapshot_count;
	if (there && action == NOVA_SNAPSHOT_CREATE)
		return th_go(&doing, th_fail(&doing, NOVA_E_EXISTS, "\"%s\" exists already", name));
	if (!there && action != NOVA_SNAPSHOT_CREATE)
		return th_go(&doing, th_fail(&doing, NOVA_E_NOT_FOUND, "there is no \"%s\"", name));
	forget_past(doing.vm, doing.started_ns);
	status = th_pass(&doing);
	if (status == NOVA_DONE)
		after_snapshot(&doing, name, action);
	return th_go(&doing, status);
}

int th_lab_migrate(nova_run run, nova_vm number, uint32_t target, const struct nova_migrate *how,
                   int64_t deadline_ns)
{
	struct doing doing;
	int status = th_begin(&doing, run, "migrate", number, deadline_ns);
	int64_t took_ns;

	if (status != NOVA_DONE)
		return status;
	if (how && th_sized(&doing, "migrate", how->struct_size, sizeof(*how)) != NOVA_DONE)
		return th_go(&doing, NOVA_E_INVALID);
	if (target >= doing.lab->table.targets)
		return th_go(&doing, th_broken(&doing, "there is no target %u", target));
	status = th_find(&doing, number);
	if (status == NOVA_DONE && doing.vm->target == target)
		status = th_broken(&doing, "the VM is on target %u already", target);
	if (status == NOVA_DONE)
		status = th_able(&doing, NOVA_CAN_MIGRATE);
	if (status == NOVA_DONE)
		status = th_in_state(&doing, FROM(RUNNING));
	if (status != NOVA_DONE)
		return th_go(&doing, status);
	forget_past(doing.vm, doing.started_ns);
	status = th_pass(&doing);
	if (status == NOVA_DONE) {
		took_ns = doing.task->now_ns - doing.started_ns;
		doing.vm->target = target;
		th_put_i64(&doing, NOVA_FIELD_DURATION_NS, took_ns);
		th_put_i64(&doing, NOVA_FIELD_DOWNTIME_NS, took_ns / 10);
		th_put_i64(&doing, NOVA_FIELD_MOVED_BYTES, (int64_t)doing.vm->memory_bytes);
		th_put_i64(&doing, NOVA_FIELD_ITERATIONS, 1);
		th_put_presets(&doing, NOVA_FIELD_TICKET, NOVA_FIELD_KNOB - 1);
		happen(&doing, NOVA_EVENT_MIGRATED, 0);
	}
	return th_go(&doing, status);
}
