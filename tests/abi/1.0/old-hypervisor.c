/* SPDX-License-Identifier: MIT */
/*
 * A driver whose VMs are entries of a list: they can be created, started, stopped, listed and
 * deleted, and run nothing. Replace each op's middle by a call to your hypervisor; what is around it
 * (names, states, events, errors) stays. Contract of every op: <novacore/hypervisor.h>.
 *
 * Thread model PER_INSTANCE: one call at a time, so nothing here needs a lock; in return no op may
 * block. A driver whose calls take time is PARALLEL and locks, or returns NOVA_PENDING and waits in
 * `pump`.
 */
#include <novacore/sdk.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vm {
	struct vm *next;
	uint32_t state; /* NOVA_STATE_* */
	char id[24];    /* the hypervisor's own: names may come again, these never */
	char name[];
};

/* One target: what the `self` of every op points to. */
struct target {
	const struct nova_host *host;
	nova_op instance;
	struct vm *vms;
	unsigned int count; /* of all that were ever created */
};

/* --- the target ------------------------------------------------------------------------------ */

static int create(const struct nova_host *host, nova_op instance, void **self)
{
	struct target *target = calloc(1, sizeof(*target));

	if (!target)
		return host->error(instance, NOVA_E_MEMORY, "out of memory");
	target->host = host;
	target->instance = instance;
	*self = target;
	return NOVA_DONE;
}

static void destroy(void *self)
{
	struct target *target = self;
	struct vm *vm;

	while ((vm = target->vms)) {
		target->vms = vm->next;
		free(vm);
	}
	free(target);
}

static int connect(void *self, nova_op op)
{
	struct target *target = self;
	const char *uri = target->host->param_text(target->instance, "uri", 0);

	/* Here a session would be opened. An error says what failed, on what, and what to do. */
	if (strncmp(uri, "old-hypervisor:", sizeof("old-hypervisor:") - 1) != 0)
		return target->host->errorf(op, NOVA_E_INVALID,
		                            "%s is no target of old-hypervisor; write old-hypervisor:NAME", uri);
	return NOVA_DONE;
}

#define NO_PROGRAM "its VMs run no program"
#define NOT_YET    "the driver does not do it yet"

/* Every capability, with the reason where it is lacking: a benchmark that needs it is then skipped. */
static const struct {
	const char *name, *why_not;
} capabilities[] = {
	{NOVA_CAN_CREATE, NULL},         {NOVA_CAN_START, NULL},        {NOVA_CAN_DIRECT, NULL},
	{NOVA_CAN_DISK, NULL},           {NOVA_CAN_CLONE, NOT_YET},     {NOVA_CAN_PAUSE, NOT_YET},
	{NOVA_CAN_RESET, NOT_YET},       {NOVA_CAN_SNAPSHOT, NOT_YET},  {NOVA_CAN_TEMPLATE, NOT_YET},
	{NOVA_CAN_STATS, NOT_YET},       {NOVA_CAN_IMAGE, NOT_YET},     {NOVA_CAN_NETWORK, NOT_YET},
	{NOVA_CAN_MIGRATE, NOT_YET},     {NOVA_CAN_KNOBS, NOT_YET},     {NOVA_CAN_TWIN, NOT_YET},
	{NOVA_CAN_READY, NO_PROGRAM},    {NOVA_CAN_EXEC, NO_PROGRAM},   {NOVA_CAN_BEAT, NO_PROGRAM},
	{NOVA_CAN_SHUTDOWN, NO_PROGRAM}, {NOVA_CAN_STUB, NO_PROGRAM},   {NOVA_CAN_ADDRESS, NO_PROGRAM},
};

/* What this target is, and what it can do. */
static int describe(void *self, nova_op op)
{
	const struct nova_host *host = ((struct target *)self)->host;

	host->put_fact(op, NOVA_FIELD_FACT, "product", "old-hypervisor");
	host->put_fact(op, NOVA_FIELD_FACT, "version", "0.1");
	/* Its figures say nothing of any hypervisor. Remove this line once they do. */
	host->put_fact(op, NOVA_FIELD_FACT, "simulated", "true");
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++)
		host->put_fact(op, NOVA_FIELD_CAPABILITY, capabilities[i].name, capabilities[i].why_not);
	return NOVA_DONE;
}

/* --- VMs ------------------------------------------------------------------------------------- */

/* The place that points to the VM, or to NULL. `id` NULL: after a crash only the name is known. */
static struct vm **find(struct target *target, const char *name, const char *id)
{
	struct vm **at = &target->vms;

	while (*at && (strcmp((*at)->name, name) || (id && strcmp((*at)->id, id))))
		at = &(*at)->next;
	return at;
}

/* The VM that an op is about; NULL after it was said that there is none. */
static struct vm *need(struct target *target, nova_op op, const struct nova_ref *ref)
{
	struct vm *vm = *find(target, ref->name, ref->id);

	if (!vm)
		target->host->errorf(op, NOVA_E_NOT_FOUND, "there is no VM %s", ref->name);
	return vm;
}

static int vm_create(void *self, nova_op op, const char *name, const struct nova_shape *shape)
{
	struct target *target = self;
	const struct nova_host *host = target->host;
	size_t bytes = strlen(name) + 1;
	struct vm *vm;

	(void)shape; /* vCPUs, memory, disk, what to boot, knobs */
	if (*find(target, name, NULL))
		return host->errorf(op, NOVA_E_EXISTS, "there is a VM %s already", name);
	vm = calloc(1, sizeof(*vm) + bytes);
	if (!vm)
		return host->error(op, NOVA_E_MEMORY, "out of memory");
	memcpy(vm->name, name, bytes);
	snprintf(vm->id, sizeof(vm->id), "%u", ++target->count);
	vm->state = NOVA_STATE_OFF;
	vm->next = target->vms;
	target->vms = vm;
	/* As soon as it is known: then it can be deleted even if the rest fails. */
	return host->put_fact(op, NOVA_FIELD_ID, "", vm->id);
}

/* Tells of a VM what is true from now on. Where the hypervisor has a stamp of its own, use that. */
static void tell(struct target *target, const struct vm *vm, uint32_t kind)
{
	const struct nova_event event = {.struct_size = sizeof(event),
	                                 .kind = kind,
	                                 .source = NOVA_SOURCE_API,
	                                 .name = vm->name,
	                                 .t_ns = target->host->now_ns(),
	                                 .resolution_ns = 1000};

	target->host->event(target->instance, &event);
}

static int vm_power(void *self, nova_op op, const struct nova_ref *ref, uint32_t action)
{
	struct target *target = self;
	struct vm *vm = need(target, op, ref);

	if (!vm)
		return NOVA_E_NOT_FOUND;
	if (action == NOVA_POWER_START && vm->state != NOVA_STATE_OFF)
		return target->host->errorf(op, NOVA_E_BUSY, "VM %s runs already", ref->name);
	if (action != NOVA_POWER_START && action != NOVA_POWER_OFF)
		return target->host->errorf(op, NOVA_E_UNSUPPORTED,
		                            "VMs of old-hypervisor are started and switched off, no more");
	if (action == NOVA_POWER_OFF && vm->state == NOVA_STATE_OFF)
		return NOVA_DONE; /* off is off */
	vm->state = action == NOVA_POWER_START ? NOVA_STATE_RUNNING : NOVA_STATE_OFF;
	tell(target, vm, action == NOVA_POWER_START ? NOVA_EVENT_RUNNING : NOVA_EVENT_STOPPED);
	return NOVA_DONE;
}

/* In any state; what is not there is deleted. */
static int vm_delete(void *self, nova_op op, const struct nova_ref *ref)
{
	struct vm **at = find(self, ref->name, ref->id), *vm = *at;

	(void)op;
	if (vm) {
		*at = vm->next;
		free(vm);
	}
	return NOVA_DONE;
}

/* How novacore finds what a dead run has left: never tell of a VM without the prefix. */
static int vm_list(void *self, nova_op op, const char *prefix)
{
	struct target *target = self;

	for (struct vm *vm = target->vms; vm; vm = vm->next)
		if (!strncmp(vm->name, prefix, strlen(prefix)))
			target->host->put_fact(op, NOVA_FIELD_VM, vm->name, vm->id);
	return NOVA_DONE;
}

static int vm_query(void *self, nova_op op, const struct nova_ref *ref, uint32_t what)
{
	struct target *target = self;
	struct vm *vm = need(target, op, ref);

	if (!vm)
		return NOVA_E_NOT_FOUND;
	if (what != NOVA_QUERY_STATE)
		return target->host->error(op, NOVA_E_UNSUPPORTED, "old-hypervisor knows only states");
	return target->host->put_i64(op, NOVA_FIELD_STATE, vm->state);
}

/* --- the plugin ------------------------------------------------------------------------------ */

static const struct nova_parameter uri = {.struct_size = sizeof(uri), .type = NOVA_PARAM_TEXT,
	.name = "uri", .fallback = "old-hypervisor:local", .doc = "The target: old-hypervisor:NAME"};
static const struct nova_parameter *const parameters[] = {&uri, NULL};

static const struct nova_hypervisor ops = {.struct_size = sizeof(ops), .create = create,
	.destroy = destroy, .connect = connect, .describe = describe, .vm_create = vm_create,
	.vm_power = vm_power, .vm_delete = vm_delete, .vm_list = vm_list, .vm_query = vm_query};
static const struct nova_plugin plugin = {.struct_size = sizeof(plugin), .ops = &ops,
	.kind = NOVA_KIND_HYPERVISOR, .thread_model = NOVA_THREADS_PER_INSTANCE, .name = "old-hypervisor",
	.version = "0.1", .license = "MIT", .parameters = parameters,
	.summary = "VMs that exist in memory only"};
NOVA_PLUGIN(NOVA_KIND_HYPERVISOR, plugin)
