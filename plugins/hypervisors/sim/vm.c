/* SPDX-License-Identifier: MIT */
/* Simulated VMs: the table of them, and the ops that create, start, stop, save and delete them. */
#include "sim.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Virtual clock: VM n's time line begins at n of these. */
#define VIRTUAL_STEP_NS 60000000000
#define NUMBER_MAX      100000000u /* keeps n steps within int64_t */

#define DEFAULT_MEMORY (512ull << 20)
#define DEFAULT_DISK   (1ull << 30)

static uint64_t hash(const char *text)
{
	uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3u;
	return h;
}

/* The decimal number at the end of a name; of a name without one, a number made of its letters. */
static uint64_t number_of(const char *name)
{
	const char *digits = name + strlen(name);

	while (digits > name && isdigit((unsigned char)digits[-1]))
		digits--;
	return (*digits ? strtoull(digits, NULL, 10) : hash(name)) % NUMBER_MAX;
}

struct vm *vm_find(struct sim *sim, const char *name)
{
	struct vm *vm = sim->buckets[hash(name) % BUCKETS];

	while (vm && strcmp(vm->name, name) != 0)
		vm = vm->next;
	return vm;
}

void vm_link(struct sim *sim, struct vm *vm)
{
	struct vm **bucket = &sim->buckets[hash(vm->name) % BUCKETS];

	vm->next = *bucket;
	*bucket = vm;
	sim->vm_count++;
}

void vm_unlink(struct sim *sim, struct vm *vm)
{
	struct vm **at = &sim->buckets[hash(vm->name) % BUCKETS];

	while (*at != vm)
		at = &(*at)->next;
	*at = vm->next;
	sim->vm_count--;
}

void vm_free(struct vm *vm)
{
	for (int i = 0; i < SNAPSHOTS_MAX; i++)
		free(vm->snapshots[i]);
	free(vm->name);
	free(vm->id);
	free(vm);
}

static struct vm *new_vm(struct sim *sim, const char *name, const struct nova_shape *shape)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	char id[48];

	if (!vm)
		return NULL;
	snprintf(id, sizeof(id), "sim-%llu", (unsigned long long)++sim->counter);
	vm->name = strdup(name);
	vm->id = strdup(id);
	if (!vm->name || !vm->id) {
		vm_free(vm);
		return NULL;
	}
	vm->number = number_of(name);
	vm->state = NOVA_STATE_OFF;
	vm->vcpus = shape && shape->vcpus ? shape->vcpus : 1;
	vm->memory_bytes = shape && shape->memory_bytes ? shape->memory_bytes : DEFAULT_MEMORY;
	vm->disk_bytes = shape && shape->disk_bytes ? shape->disk_bytes : DEFAULT_DISK;
	vm->now_ns = ((int64_t)vm->number + 1) * VIRTUAL_STEP_NS;
	vm->factor = 1;
	vm->shares = 1024;
	strcpy(vm->cache, "none");
	return vm;
}

static int apply_knobs(struct sim *sim, nova_op op, struct vm *vm, const struct nova_shape *shape)
{
	const char *const *knob = shape ? shape->knobs : NULL;
	const char *equals;
	char name[64];
	int status;

	for (; knob && *knob; knob++) {
		equals = strchr(*knob, '=');
		if (!equals || (size_t)(equals - *knob) >= sizeof(name))
			return sim->host->errorf(op, NOVA_E_INVALID, "knob \"%s\": want NAME=VALUE",
			                         *knob);
		memcpy(name, *knob, (size_t)(equals - *knob));
		name[equals - *knob] = 0;
		status = knob_apply(sim, op, vm, name, equals + 1);
		if (status != NOVA_DONE)
			return status;
	}
	return NOVA_DONE;
}

struct vm *vm_add(struct sim *sim, nova_op op, const char *name, const struct nova_shape *shape,
                  int *status)
{
	const struct nova_host *host = sim->host;
	struct vm *vm;

	if (!name || !*name || strlen(name) > NAME_MAX_BYTES) {
		*status = host->errorf(op, NOVA_E_INVALID, "a VM's name has 1 to %d bytes",
		                       NAME_MAX_BYTES);
		return NULL;
	}
	if (vm_find(sim, name)) {
		*status = host->errorf(op, NOVA_E_EXISTS, "VM %s exists already", name);
		return NULL;
	}
	if (sim->vm_count >= sim->capacity) {
		*status = host->errorf(op, NOVA_E_FULL,
		                       "cannot create VM %s: the simulated host has its capacity "
		                       "of %lld VMs; raise hypervisor.sim.capacity",
		                       name, (long long)sim->capacity);
		return NULL;
	}
	vm = new_vm(sim, name, shape);
	if (!vm) {
		*status = host->error(op, NOVA_E_MEMORY, "out of memory");
		return NULL;
	}
	*status = apply_knobs(sim, op, vm, shape);
	if (*status != NOVA_DONE) {
		vm_free(vm);
		return NULL;
	}
	vm_link(sim, vm);
	return vm;
}

struct vm *vm_enter(struct sim *sim, nova_op op, const struct nova_ref *ref, int exclusive,
                    int *status)
{
	const struct nova_host *host = sim->host;
	struct vm *vm;

	pthread_mutex_lock(&sim->lock);
	vm = ref && ref->name ? vm_find(sim, ref->name) : NULL;
	if (!vm || (!vm->exists && !vm->busy)) {
		*status = host->errorf(op, NOVA_E_NOT_FOUND, "there is no VM %s",
		                       ref && ref->name ? ref->name : "without a name");
	} else if (ref->id && strcmp(ref->id, vm->id) != 0) {
		*status = host->errorf(op, NOVA_E_NOT_FOUND,
		                       "VM %s is %s, not %s: another VM of that name", ref->name,
		                       vm->id, ref->id);
	} else if (exclusive && vm->busy) {
		*status = host->errorf(op, NOVA_E_BUSY, "VM %s: %s is still in progress", ref->name,
		                       OPERATION_NAMES[vm->busy->operation]);
	} else {
		return vm;
	}
	pthread_mutex_unlock(&sim->lock);
	return NULL;
}

/* Under the lock, which it releases: an op that is over at once, stamped where the VM stands. */
static int at_once(struct sim *sim, nova_op op, const struct vm *vm, int status)
{
	if (sim->is_virtual && vm) {
		sim->host->put_i64(op, NOVA_FIELD_STARTED_NS, vm->now_ns);
		sim->host->put_i64(op, NOVA_FIELD_RETURNED_NS, vm->now_ns);
	}
	pthread_mutex_unlock(&sim->lock);
	return status;
}

/* Under the lock, which it releases: starts an exclusive op of the VM. */
static int begin(struct sim *sim, nova_op op, struct vm *vm, enum operation operation,
                 uint32_t kind, const char *text,
                 int (*finish)(struct sim *, struct task *, struct vm *))
{
	struct task *task = task_new(op, operation, vm->name);

	if (!task || (text && !(task->text = strdup(text)))) {
		if (task)
			task_free(task);
		if (operation == CREATE) {
			vm_unlink(sim, vm);
			vm_free(vm);
		}
		pthread_mutex_unlock(&sim->lock);
		return sim->host->error(op, NOVA_E_MEMORY, "out of memory");
	}
	task->exclusive = 1;
	task->kind = kind;
	task->finish = finish;
	return task_run(sim, task, vm);
}

/* --- create, delete ----------------------------------------------------------------------- */

static int finish_create(struct sim *sim, struct task *task, struct vm *vm)
{
	(void)sim;
	(void)task;
	vm->exists = 1;
	return NOVA_DONE;
}

static int create(struct sim *sim, nova_op op, const char *name, const struct nova_shape *shape)
{
	struct vm *vm;
	int status;

	pthread_mutex_lock(&sim->lock);
	vm = vm_add(sim, op, name, shape, &status);
	if (!vm) {
		pthread_mutex_unlock(&sim->lock);
		return status;
	}
	sim->host->put_fact(op, NOVA_FIELD_ID, "", vm->id);
	return begin(sim, op, vm, CREATE, 0, NULL, finish_create);
}

int sim_vm_create(void *self, nova_op op, const char *name, const struct nova_shape *shape)
{
	int status = sim_can(self, op, NOVA_CAN_CREATE);

	op_begins(self);
	return status == NOVA_DONE ? create(self, op, name, shape) : status;
}

int sim_vm_clone(void *self, nova_op op, const char *name, const struct nova_ref *from,
                 const struct nova_shape *shape)
{
	struct sim *sim = self;
	int status = sim_can(sim, op, NOVA_CAN_CLONE);
	struct nova_shape same = {.struct_size = sizeof(same)};
	struct vm *vm;

	op_begins(sim);
	if (status != NOVA_DONE)
		return status;
	vm = vm_enter(sim, op, from, 0, &status);
	if (!vm)
		return status;
	same.vcpus = vm->vcpus;
	same.memory_bytes = vm->memory_bytes;
	same.disk_bytes = vm->disk_bytes;
	pthread_mutex_unlock(&sim->lock);
	return create(sim, op, name, shape ? shape : &same);
}

static int finish_delete(struct sim *sim, struct task *task, struct vm *vm)
{
	if (vm->state != NOVA_STATE_OFF)
		event_send(sim, vm->name, NOVA_EVENT_STOPPED, task->due_ns);
	vm_unlink(sim, vm);
	vm_free(vm);
	return NOVA_DONE;
}

int sim_vm_delete(void *self, nova_op op, const struct nova_ref *ref)
{
	struct sim *sim = self;
	struct vm *vm;
	int status;

	op_begins(sim);
	pthread_mutex_lock(&sim->lock);
	vm = ref && ref->name ? vm_find(sim, ref->name) : NULL;
	if (!vm || (!vm->exists && !vm->busy)) {
		pthread_mutex_unlock(&sim->lock);
		return NOVA_DONE;
	}
	pthread_mutex_unlock(&sim->lock);
	vm = vm_enter(sim, op, ref, 1, &status);
	return vm ? begin(sim, op, vm, DELETE, 0, NULL, finish_delete) : status;
}

/* --- power -------------------------------------------------------------------------------- */

/* The events of a boot that began with a START whose end is `task`. */
static int boot(struct sim *sim, struct task *task, struct vm *vm)
{
	static const uint32_t kinds[] = {NOVA_EVENT_FIRST, NOVA_EVENT_USERSPACE, NOVA_EVENT_READY};
	int64_t t_ns = task->due_ns;
	int status = NOVA_DONE;

	vm->state = NOVA_STATE_RUNNING;
	vm->life = ++sim->counter;
	vm->since_ns = t_ns;
	event_send(sim, vm->name, NOVA_EVENT_RUNNING, t_ns);
	for (int i = 0; i < 3 && status == NOVA_DONE; i++) {
		t_ns += task->stage_ns[i];
		status = event_at(sim, vm, kinds[i], t_ns, task->stage_end[i]);
		if (task->stage_end[i] != STAGE_COMES)
			break;
	}
	return status == NOVA_DONE ? status : sim->host->error(task->op, status, "out of memory");
}

static void halt(struct sim *sim, struct vm *vm, int64_t t_ns)
{
	vm->state = NOVA_STATE_OFF;
	vm->life = 0;
	vm->ready = 0;
	event_send(sim, vm->name, NOVA_EVENT_STOPPED, t_ns);
}

static void unready(struct sim *sim, struct vm *vm, int64_t t_ns)
{
	if (vm->ready && sim_can(sim, 0, NOVA_CAN_READY) == NOVA_DONE)
		event_send(sim, vm->name, NOVA_EVENT_UNREADY, t_ns);
	vm->ready = 0;
}

static int finish_power(struct sim *sim, struct task *task, struct vm *vm)
{
	switch (task->kind) {
	case NOVA_POWER_RESET: unready(sim, vm, task->due_ns); /* fall through */
	case NOVA_POWER_START: return boot(sim, task, vm);
	case NOVA_POWER_SHUTDOWN:
	case NOVA_POWER_OFF: halt(sim, vm, task->due_ns); break;
	case NOVA_POWER_PAUSE:
		vm->state = NOVA_STATE_PAUSED;
		event_send(sim, vm->name, NOVA_EVENT_PAUSED, task->due_ns);
		break;
	default:
		vm->state = NOVA_STATE_RUNNING;
		event_send(sim, vm->name, NOVA_EVENT_RESUMED, task->due_ns);
		break;
	}
	return NOVA_DONE;
}

static const struct power {
	uint32_t action, from; /* from 0: any state but off */
	enum operation operation;
	const char *capability, *verb;
} POWER[] = {
        {NOVA_POWER_START, NOVA_STATE_OFF, START, NOVA_CAN_START, "start"},
        {NOVA_POWER_SHUTDOWN, NOVA_STATE_RUNNING, STOP, NOVA_CAN_SHUTDOWN, "shut down"},
        {NOVA_POWER_OFF, 0, OFF, NOVA_CAN_START, "power off"},
        {NOVA_POWER_RESET, 0, START, NOVA_CAN_RESET, "reset"},
        {NOVA_POWER_PAUSE, NOVA_STATE_RUNNING, PAUSE, NOVA_CAN_PAUSE, "pause"},
        {NOVA_POWER_RESUME, NOVA_STATE_PAUSED, PAUSE, NOVA_CAN_PAUSE, "resume"},
};

static const char *state_name(uint32_t state)
{
	return state == NOVA_STATE_OFF ? "off" : state == NOVA_STATE_PAUSED ? "paused" : "running";
}

int sim_vm_power(void *self, nova_op op, const struct nova_ref *ref, uint32_t action)
{
	struct sim *sim = self;
	const struct power *power = POWER;
	struct vm *vm;
	int status;

	op_begins(sim);
	while (power->action != action)
		if (++power == POWER + sizeof(POWER) / sizeof(POWER[0]))
			return sim->host->errorf(op, NOVA_E_INVALID, "there is no power action %u",
			                         action);
	status = sim_can(sim, op, power->capability);
	if (status != NOVA_DONE)
		return status;
	vm = vm_enter(sim, op, ref, 1, &status);
	if (!vm)
		return status;
	if (action == NOVA_POWER_OFF && vm->state == NOVA_STATE_OFF)
		return at_once(sim, op, vm, NOVA_DONE);
	if (power->from ? vm->state != power->from : vm->state == NOVA_STATE_OFF) {
		status = sim->host->errorf(op, NOVA_E_BUSY, "cannot %s VM %s: it is %s",
		                           power->verb, vm->name, state_name(vm->state));
		return at_once(sim, op, vm, status);
	}
	return begin(sim, op, vm, power->operation, action, NULL, finish_power);
}

/* --- snapshots ---------------------------------------------------------------------------- */

static int find_snapshot(const struct vm *vm, const char *name)
{
	for (int i = 0; i < SNAPSHOTS_MAX; i++)
		if (name ? vm->snapshots[i] && strcmp(vm->snapshots[i], name) == 0
		         : !vm->snapshots[i])
			return i;
	return -1;
}

static int finish_snapshot(struct sim *sim, struct task *task, struct vm *vm)
{
	int at, was_ready;

	switch (task->kind) {
	case NOVA_SNAPSHOT_CREATE:
		at = find_snapshot(vm, NULL);
		vm->snapshots[at] = task->text;
		task->text = NULL;
		return NOVA_DONE;
	case NOVA_SNAPSHOT_DELETE:
		at = find_snapshot(vm, task->text);
		free(vm->snapshots[at]);
		vm->snapshots[at] = NULL;
		return NOVA_DONE;
	default: break;
	}
	/* The agent's connection does not survive a restore (platform.md): it goes, and comes back.
	 */
	was_ready = vm->ready || vm->state == NOVA_STATE_OFF;
	unready(sim, vm, task->due_ns);
	vm->state = NOVA_STATE_RUNNING;
	vm->life = ++sim->counter;
	event_send(sim, vm->name, NOVA_EVENT_RUNNING, task->due_ns);
	if (!was_ready)
		return NOVA_DONE;
	return event_at(sim, vm, NOVA_EVENT_READY, task->due_ns + task->stage_ns[0],
	                task->stage_end[0]);
}

int sim_snapshot(void *self, nova_op op, const struct nova_ref *ref, const char *name,
                 uint32_t action)
{
	struct sim *sim = self;
	const struct nova_host *host = sim->host;
	int status = sim_can(sim, op, NOVA_CAN_SNAPSHOT), found;
	struct vm *vm;

	op_begins(sim);
	if (status != NOVA_DONE)
		return status;
	if (!name || !*name || strlen(name) > NAME_MAX_BYTES)
		return host->error(op, NOVA_E_INVALID, "a snapshot needs a name");
	vm = vm_enter(sim, op, ref, 1, &status);
	if (!vm)
		return status;
	found = find_snapshot(vm, name) >= 0;
	if (action == NOVA_SNAPSHOT_CREATE && found)
		status = host->errorf(op, NOVA_E_EXISTS, "VM %s has a snapshot %s already",
		                      vm->name, name);
	else if (action == NOVA_SNAPSHOT_CREATE && vm->state == NOVA_STATE_OFF)
		status = host->errorf(op, NOVA_E_BUSY, "cannot save VM %s: it is off", vm->name);
	else if (action == NOVA_SNAPSHOT_CREATE && find_snapshot(vm, NULL) < 0)
		status = host->errorf(op, NOVA_E_FULL, "VM %s has %d snapshots: no more fit",
		                      vm->name, SNAPSHOTS_MAX);
	else if (action != NOVA_SNAPSHOT_CREATE && !found)
		status = host->errorf(op, NOVA_E_NOT_FOUND, "VM %s has no snapshot %s", vm->name,
		                      name);
	else if (action != NOVA_SNAPSHOT_CREATE && action != NOVA_SNAPSHOT_RESTORE &&
	         action != NOVA_SNAPSHOT_DELETE)
		status = host->errorf(op, NOVA_E_INVALID, "there is no snapshot action %u", action);
	if (status != NOVA_DONE)
		return at_once(sim, op, vm, status);
	return begin(sim, op, vm, action == NOVA_SNAPSHOT_RESTORE ? RESTORE : SNAPSHOT, action,
	             name, finish_snapshot);
}

/* --- looking ------------------------------------------------------------------------------ */

int sim_vm_list(void *self, nova_op op, const char *prefix)
{
	struct sim *sim = self;

	if (!prefix || !*prefix)
		return sim->host->error(op, NOVA_E_INVALID, "a list needs a prefix");
	pthread_mutex_lock(&sim->lock);
	for (uint32_t i = 0; i < BUCKETS; i++)
		for (struct vm *vm = sim->buckets[i]; vm; vm = vm->next)
			if (vm->exists && strncmp(vm->name, prefix, strlen(prefix)) == 0)
				sim->host->put_fact(op, NOVA_FIELD_VM, vm->name, vm->id);
	pthread_mutex_unlock(&sim->lock);
	return NOVA_DONE;
}

/* What a VM has used since its start: rates with a factor of its own, between 0.5 and 1.5. */
static void put_stats(struct sim *sim, nova_op op, const struct vm *vm)
{
	const struct nova_host *host = sim->host;
	double own = 0.5 + draw_uniform(sim->model.seed, 5, vm->number);
	double up_ns = vm->state == NOVA_STATE_OFF ? 0 : (double)(vm_now(sim, vm) - vm->since_ns);
	double written = up_ns / 1e9 * sim->model.disk * own;
	double share = sim->model.memory * own < 1 ? sim->model.memory * own : 1;

	if (up_ns < 0)
		up_ns = 0;
	host->put_i64(op, NOVA_FIELD_CPU_NS,
	              (int64_t)(up_ns * sim->model.cpu * own * (double)vm->vcpus));
	host->put_i64(op, NOVA_FIELD_MEMORY_BYTES, (int64_t)vm->memory_bytes);
	host->put_i64(op, NOVA_FIELD_RESIDENT_BYTES,
	              vm->state == NOVA_STATE_OFF ? 0
	                                          : (int64_t)((double)vm->memory_bytes * share));
	host->put_i64(op, NOVA_FIELD_DISK_READ_BYTES, (int64_t)(2 * written));
	host->put_i64(op, NOVA_FIELD_DISK_WRITE_BYTES, (int64_t)written);
	host->put_i64(op, NOVA_FIELD_DISK_READS, (int64_t)(2 * written / 4096));
	host->put_i64(op, NOVA_FIELD_DISK_WRITES, (int64_t)(written / 4096));
	host->put_i64(op, NOVA_FIELD_DISK_ALLOCATED_BYTES,
	              (int64_t)((double)vm->disk_bytes * 0.1 * own));
}

int sim_vm_query(void *self, nova_op op, const struct nova_ref *ref, uint32_t what)
{
	struct sim *sim = self;
	const struct nova_host *host = sim->host;
	char address[32];
	struct vm *vm;
	int status = NOVA_DONE;

	if (what == NOVA_QUERY_STATS)
		status = sim_can(sim, op, NOVA_CAN_STATS);
	else if (what == NOVA_QUERY_ADDRESS)
		status = sim_can(sim, op, NOVA_CAN_ADDRESS);
	else if (what != NOVA_QUERY_STATE)
		return host->errorf(op, NOVA_E_INVALID, "there is no query %u", what);
	if (status != NOVA_DONE)
		return status;
	vm = vm_enter(sim, op, ref, 0, &status);
	if (!vm)
		return status;
	if (what == NOVA_QUERY_STATE)
		host->put_i64(op, NOVA_FIELD_STATE, vm->state);
	if (what == NOVA_QUERY_STATS)
		put_stats(sim, op, vm);
	if (what == NOVA_QUERY_ADDRESS && vm->ready) {
		/* TEST-NET-2 of RFC 5737: never a real machine's */
		snprintf(address, sizeof(address), "198.51.100.%u",
		         (unsigned)(vm->number % 254) + 1);
		host->put_fact(op, NOVA_FIELD_ADDRESS, "sim0", address);
	}
	return at_once(sim, op, vm, NOVA_DONE);
}
