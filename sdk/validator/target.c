/* SPDX-License-Identifier: MIT */
/* A connected target, and the calls that most checks of drivers begin with. */
#include "target.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const capability_names[CAPABILITIES] = {
        NOVA_CAN_CREATE,  NOVA_CAN_CLONE,    NOVA_CAN_START,    NOVA_CAN_SHUTDOWN, NOVA_CAN_PAUSE,
        NOVA_CAN_RESET,   NOVA_CAN_SNAPSHOT, NOVA_CAN_EXEC,     NOVA_CAN_READY,    NOVA_CAN_BEAT,
        NOVA_CAN_DIRECT,  NOVA_CAN_DISK,     NOVA_CAN_TEMPLATE, NOVA_CAN_STUB,     NOVA_CAN_STATS,
        NOVA_CAN_ADDRESS, NOVA_CAN_IMAGE,    NOVA_CAN_NETWORK,  NOVA_CAN_MIGRATE,  NOVA_CAN_KNOBS,
        NOVA_CAN_TWIN};

/* Which ops a capability is about. */
#define OP(name) offsetof(struct nova_hypervisor, name), #name
static const struct {
	enum capability capability;
	size_t offset;
	const char *op;
} pairs[] = {
        {CAN_CREATE, OP(vm_create)},
        {CAN_CREATE, OP(vm_delete)},
        {CAN_CREATE, OP(vm_list)},
        {CAN_CLONE, OP(vm_clone)},
        {CAN_START, OP(vm_power)},
        {CAN_SHUTDOWN, OP(vm_power)},
        {CAN_PAUSE, OP(vm_power)},
        {CAN_RESET, OP(vm_power)},
        {CAN_SNAPSHOT, OP(snapshot)},
        {CAN_EXEC, OP(exec)},
        {CAN_STATS, OP(vm_query)},
        {CAN_ADDRESS, OP(vm_query)},
        {CAN_IMAGE, OP(image_put)},
        {CAN_IMAGE, OP(image_delete)},
        {CAN_NETWORK, OP(net_create)},
        {CAN_NETWORK, OP(net_delete)},
        {CAN_MIGRATE, OP(migrate_prepare)},
        {CAN_MIGRATE, OP(migrate)},
        {CAN_MIGRATE, OP(migrate_finish)},
        {CAN_KNOBS, OP(knob_list)},
        {CAN_KNOBS, OP(knob_get)},
        {CAN_KNOBS, OP(knob_set)},
        {CAN_TWIN, OP(twin)},
};

static int has_op(const struct nova_hypervisor *ops, size_t offset)
{
	void (*op)(void);

	memcpy(&op, (const char *)ops + offset, sizeof(op));
	return op != NULL;
}

const char *missing_op(const struct nova_hypervisor *ops, enum capability capability)
{
	for (size_t i = 0; i < COUNT(pairs); i++)
		if (pairs[i].capability == capability && !has_op(ops, pairs[i].offset))
			return pairs[i].op;
	return NULL;
}

/* A boot sector that halts: cli; hlt; jmp to hlt. */
static int write_sector(char *path, size_t room)
{
	const char *base = getenv("TMPDIR");
	unsigned char sector[512] = {0xfa, 0xf4, 0xeb, 0xfd};
	int fd;

	sector[510] = 0x55;
	sector[511] = 0xaa;
	snprintf(path, room, "%s/sector-XXXXXX", base && *base ? base : "/tmp");
	fd = mkstemp(path);
	if (fd < 0 || write(fd, sector, sizeof(sector)) != (ssize_t)sizeof(sector) ||
	    fchmod(fd, 0644) != 0)
		path[0] = 0;
	if (fd >= 0)
		close(fd);
	return path[0] != 0;
}

/* The smallest VM that the target and what is given allow. */
static void choose_shape(struct target *target)
{
	const struct nova_validator_request *request = target->v->request;
	struct nova_shape *shape = &target->shape;

	*shape = (struct nova_shape){.struct_size = sizeof(*shape),
	                             .vcpus = 1,
	                             .memory_bytes = 256u << 20,
	                             .image = request->image,
	                             .kernel = request->kernel,
	                             .initrd = request->initrd,
	                             .cmdline = request->cmdline};
	if (request->kernel)
		shape->boot = NOVA_BOOT_DIRECT;
	else if (request->image) /* a path is a disk's, anything else is the target's own name */
		shape->boot = target->can[CAN_TEMPLATE] && !strchr(request->image, '/')
		                      ? NOVA_BOOT_TEMPLATE
		                      : NOVA_BOOT_DISK;
	else if (target->can[CAN_STUB] && write_sector(target->sector, sizeof(target->sector)))
		shape->boot = NOVA_BOOT_STUB, shape->image = target->sector;
	else if (target->can[CAN_DIRECT])
		shape->boot = NOVA_BOOT_DIRECT;
	else
		shape->boot = target->can[CAN_DISK] ? NOVA_BOOT_DISK : NOVA_BOOT_TEMPLATE;
}

int connect_target(struct target *target, struct validator *v, struct nova_testhost *host)
{
	int status;

	memset(target, 0, sizeof(*target));
	target->v = v;
	target->host = host;
	target->ops = nova_testhost_ops(host);
	status = CALL(target, connect);
	if (status != NOVA_DONE) {
		if (*nova_testhost_error(host))
			untried(v, "it cannot connect: %s (%s)", nova_testhost_error(host),
			        status_name(status));
		else if (!nova_testhost_ended(host))
			fail(v, "connect had not ended 5 s after its deadline");
		else
			fail(v, "connect returns %s and says no reason", status_name(status));
		return 0;
	}
	status = CALL(target, describe);
	if (!expect_done(target, "describe", status))
		return 0;
	for (int i = 0; i < CAPABILITIES; i++) {
		const char *why =
		        nova_testhost_fact(host, NOVA_FIELD_CAPABILITY, capability_names[i]);
		target->can[i] = nova_testhost_can(host, capability_names[i]) &&
		                 !missing_op(target->ops, (enum capability)i);
		snprintf(target->why[i], sizeof(target->why[i]), "%s", why ? why : "");
	}
	choose_shape(target);
	return 1;
}

int open_target(struct target *target, struct validator *v)
{
	struct nova_testhost *host = open_host(v, NULL);

	if (!host)
		return 0;
	if (connect_target(target, v, host))
		return 1;
	close_host_quietly(v, host);
	return 0;
}

void close_target(struct target *target)
{
	if (target->quiet)
		close_host_quietly(target->v, target->host);
	else
		close_host(target->v, target->host);
	if (target->sector[0])
		unlink(target->sector);
}

int demand(struct target *target, enum capability capability)
{
	if (!target->can[capability])
		untried(target->v, "the target lacks the capability `%s`%s%s",
		        capability_names[capability], target->why[capability][0] ? ": " : "",
		        target->why[capability]);
	return target->can[capability];
}

int expect_done(struct target *target, const char *what, int status)
{
	if (status == NOVA_DONE)
		return 1;
	if (status > 0 || status < NOVA_E_UNKNOWN)
		fail(target->v, "%s returned %d, which is no status", what, status);
	else if (!nova_testhost_ended(target->host))
		fail(target->v,
		     "%s had not ended 5 s after its deadline (%lld ms): every op that returned "
		     "NOVA_PENDING must be ended by one done()",
		     what, (long long)target->v->op_timeout_ms);
	else
		fail(target->v, "%s failed with %s: %s", what, status_name(status),
		     *nova_testhost_error(target->host) ? nova_testhost_error(target->host)
		                                        : "it says no reason");
	return 0;
}

void expect_status(struct target *target, const char *what, int status, int wanted)
{
	if (status != wanted)
		fail(target->v, "%s: %s instead of %s%s%s", what, status_name(status),
		     status_name(wanted), *nova_testhost_error(target->host) ? ": " : "",
		     nova_testhost_error(target->host));
	else if (wanted != NOVA_DONE && !*nova_testhost_error(target->host))
		fail(target->v, "%s: %s without a reason by host->error()", what,
		     status_name(status));
}

struct nova_ref ref_to(const char *name)
{
	return (struct nova_ref){.struct_size = sizeof(struct nova_ref), .vm = 1, .name = name};
}

void new_name(struct validator *v, char name[NAME_ROOM])
{
	snprintf(name, NAME_ROOM, "%s%u", v->request->prefix, ++v->names);
}

/* Without a word of what to boot, a target may need one. */
static int lacks_image(const struct target *target, int status)
{
	const struct nova_validator_request *request = target->v->request;

	return !request->image && !request->kernel &&
	       (status == NOVA_E_UNSUPPORTED || status == NOVA_E_INVALID ||
	        status == NOVA_E_NOT_FOUND) &&
	       *nova_testhost_error(target->host);
}

int make_vm(struct target *target, struct made *vm)
{
	const char *id;
	int status;

	memset(vm, 0, sizeof(*vm));
	new_name(target->v, vm->name);
	vm->ref = ref_to(vm->name);
	status = CALL(target, vm_create, vm->name, &target->shape);
	if (lacks_image(target, status)) {
		untried(target->v,
		        "vm_create says: %s (%s); give --image, or --kernel and --initrd",
		        nova_testhost_error(target->host), status_name(status));
		return 0;
	}
	if (!expect_done(target, "vm_create", status))
		return 0;
	id = nova_testhost_fact(target->host, NOVA_FIELD_ID, "");
	if (!id || !*id) {
		fail(target->v, "vm_create did not put NOVA_FIELD_ID");
		return 1;
	}
	snprintf(vm->id, sizeof(vm->id), "%s", id);
	vm->ref.id = vm->id;
	return 1;
}

int start_vm(struct target *target, struct made *vm)
{
	size_t from = nova_testhost_event_count(target->host);

	return expect_done(target, "vm_power START",
	                   CALL(target, vm_power, &vm->ref, NOVA_POWER_START)) &&
	       expect_event(target, vm, from, NOVA_EVENT_RUNNING, "vm_power START");
}

void drop_vm(struct target *target, struct made *vm)
{
	expect_done(target, "vm_delete", CALL(target, vm_delete, &vm->ref));
}

int count_vms(struct target *target, const char *prefix)
{
	const char *name, *id;
	uint32_t count;

	if (!target->ops->vm_list) {
		fail(target->v, "the driver has no op vm_list: what a dead run left could never be "
		                "found");
		return -1;
	}
	if (!expect_done(target, "vm_list", CALL(target, vm_list, prefix)))
		return -1;
	count = nova_testhost_count(target->host, NOVA_FIELD_VM);
	for (uint32_t i = 0; i < count; i++)
		if (nova_testhost_fact_at(target->host, NOVA_FIELD_VM, i, &name, &id) ==
		            NOVA_DONE &&
		    strncmp(name, prefix, strlen(prefix)) != 0)
			fail(target->v,
			     "vm_list of \"%s\" gives the VM \"%.100s\", which is not "
			     "ours",
			     prefix, name);
	return (int)count;
}

int expect_event(struct target *target, const struct made *vm, size_t from, uint32_t kind,
                 const char *what)
{
	if (nova_testhost_wait(target->host, from, vm->name, kind, EVENT_MS))
		return 1;
	fail(target->v, "%s is done, and the event %u did not come within %d s", what, kind,
	     EVENT_MS / 1000);
	return 0;
}

void expect_state(struct target *target, struct made *vm, int64_t wanted)
{
	int64_t state = 0;

	if (!target->ops->vm_query) {
		fail(target->v, "the driver has no op vm_query");
		return;
	}
	if (!expect_done(target, "vm_query STATE",
	                 CALL(target, vm_query, &vm->ref, NOVA_QUERY_STATE)))
		return;
	if (nova_testhost_i64(target->host, NOVA_FIELD_STATE, 0, &state) != NOVA_DONE)
		fail(target->v, "vm_query STATE did not put NOVA_FIELD_STATE");
	else if (state != wanted)
		fail(target->v, "vm_query STATE says %lld, the VM should be in state %lld",
		     (long long)state, (long long)wanted);
}
