/* SPDX-License-Identifier: MIT */
/* The table of deeds: one line for each op and action. */
#include "deed.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CLEAR_MS 20000 /* for a target to come to rest after something was broken off */

#define SELF(target) nova_testhost_self((target)->host)

/* --- calls -------------------------------------------------------------------------------- */

static int call_describe(struct target *target, nova_op op, struct made *vm)
{
	(void)vm;
	return target->ops->describe(SELF(target), op);
}

static int call_list(struct target *target, nova_op op, struct made *vm)
{
	(void)vm;
	return target->ops->vm_list(SELF(target), op, target->v->request->prefix);
}

static int call_create(struct target *target, nova_op op, struct made *vm)
{
	return target->ops->vm_create(SELF(target), op, vm->name, &target->shape);
}

static void copy_name(const struct made *vm, char name[NAME_ROOM + 8])
{
	snprintf(name, NAME_ROOM + 8, "%s-copy", vm->name);
}

static int call_clone(struct target *target, nova_op op, struct made *vm)
{
	char name[NAME_ROOM + 8];

	copy_name(vm, name);
	return target->ops->vm_clone(SELF(target), op, name, &vm->ref, &target->shape);
}

static int call_delete(struct target *target, nova_op op, struct made *vm)
{
	return target->ops->vm_delete(SELF(target), op, &vm->ref);
}

#define POWER(name, action)                                                                        \
	static int call_##name(struct target *target, nova_op op, struct made *vm)                 \
	{                                                                                          \
		return target->ops->vm_power(SELF(target), op, &vm->ref, action);                  \
	}
POWER(start, NOVA_POWER_START)
POWER(shutdown, NOVA_POWER_SHUTDOWN)
POWER(off, NOVA_POWER_OFF)
POWER(reset, NOVA_POWER_RESET)
POWER(pause, NOVA_POWER_PAUSE)
POWER(resume, NOVA_POWER_RESUME)

#define QUERY(name, what)                                                                          \
	static int call_##name(struct target *target, nova_op op, struct made *vm)                 \
	{                                                                                          \
		return target->ops->vm_query(SELF(target), op, &vm->ref, what);                    \
	}
QUERY(state, NOVA_QUERY_STATE)
QUERY(stats, NOVA_QUERY_STATS)
QUERY(address, NOVA_QUERY_ADDRESS)

#define SNAPSHOT(name, action)                                                                     \
	static int call_##name(struct target *target, nova_op op, struct made *vm)                 \
	{                                                                                          \
		return target->ops->snapshot(SELF(target), op, &vm->ref, "check", action);         \
	}
SNAPSHOT(save, NOVA_SNAPSHOT_CREATE)
SNAPSHOT(restore, NOVA_SNAPSHOT_RESTORE)
SNAPSHOT(forget, NOVA_SNAPSHOT_DELETE)

static int call_exec(struct target *target, nova_op op, struct made *vm)
{
	static const char *const argv[] = {"true", NULL};
	const struct nova_exec exec = {.struct_size = sizeof(exec), .argv = argv};

	return target->ops->exec(SELF(target), op, &vm->ref, &exec);
}

static int call_knobs(struct target *target, nova_op op, struct made *vm)
{
	return target->ops->knob_list(SELF(target), op, &vm->ref);
}

static int call_network(struct target *target, nova_op op, struct made *vm)
{
	return target->ops->net_create(SELF(target), op, vm->name, NOVA_NET_ISOLATED);
}

#define IMAGE_FILE "image"

/* An image of 1 MiB in the working directory, which is this check's own. */
static int call_image(struct target *target, nova_op op, struct made *vm)
{
	char path[4096];
	int fd = open(IMAGE_FILE, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	if (fd >= 0) {
		(void)!ftruncate(fd, 1 << 20);
		close(fd);
	}
	if (!getcwd(path, sizeof(path) - sizeof(IMAGE_FILE) - 1))
		return NOVA_E_IO;
	strcat(path, "/" IMAGE_FILE);
	return target->ops->image_put(SELF(target), op, vm->name, path);
}

#define NOTHING CAPABILITIES

const struct deed deeds[] = {{"describe", STANDS_ABSENT, NOTHING, 0, call_describe},
                             {"vm_list", STANDS_ABSENT, NOTHING, 0, call_list},
                             {"vm_create", STANDS_ABSENT, CAN_CREATE, 0, call_create},
                             {"vm_clone", STANDS_OFF, CAN_CLONE, 0, call_clone},
                             {"vm_power START", STANDS_OFF, CAN_START, 0, call_start},
                             {"vm_query STATE", STANDS_RUNNING, CAN_START, 0, call_state},
                             {"vm_query STATS", STANDS_RUNNING, CAN_STATS, 0, call_stats},
                             {"vm_query ADDRESS", STANDS_RUNNING, CAN_ADDRESS, 1, call_address},
                             {"vm_power OFF", STANDS_RUNNING, CAN_START, 0, call_off},
                             {"vm_power PAUSE", STANDS_RUNNING, CAN_PAUSE, 0, call_pause},
                             {"vm_power RESUME", STANDS_PAUSED, CAN_PAUSE, 0, call_resume},
                             {"vm_power RESET", STANDS_RUNNING, CAN_RESET, 0, call_reset},
                             {"vm_power SHUTDOWN", STANDS_RUNNING, CAN_SHUTDOWN, 1, call_shutdown},
                             {"snapshot CREATE", STANDS_RUNNING, CAN_SNAPSHOT, 0, call_save},
                             {"snapshot RESTORE", STANDS_SAVED, CAN_SNAPSHOT, 0, call_restore},
                             {"snapshot DELETE", STANDS_SAVED, CAN_SNAPSHOT, 0, call_forget},
                             {"exec", STANDS_RUNNING, CAN_EXEC, 1, call_exec},
                             {"knob_list", STANDS_OFF, CAN_KNOBS, 0, call_knobs},
                             {"image_put", STANDS_ABSENT, CAN_IMAGE, 0, call_image},
                             {"net_create", STANDS_ABSENT, CAN_NETWORK, 0, call_network},
                             {"vm_delete", STANDS_RUNNING, CAN_CREATE, 0, call_delete},
                             {NULL, STANDS_ABSENT, NOTHING, 0, NULL}};

/* --- before ------------------------------------------------------------------------------- */

int can_deed(const struct target *target, const struct deed *deed)
{
	int running = deed->stand != STANDS_ABSENT && deed->stand != STANDS_OFF;

	if (deed->call == call_list && !target->ops->vm_list)
		return 0;
	if (deed->call == call_state && !target->ops->vm_query)
		return 0;
	if (deed->stand != STANDS_ABSENT && !target->can[CAN_CREATE])
		return 0;
	if ((running && !target->can[CAN_START] && deed->call != call_delete) ||
	    (deed->needs != NOTHING && !target->can[deed->needs]))
		return 0;
	return !deed->needs_agent ||
	       (target->can[CAN_READY] && target->shape.boot != NOVA_BOOT_STUB);
}

int prepare_deed(struct target *target, const struct deed *deed, struct made *vm)
{
	int done = 1;

	memset(vm, 0, sizeof(*vm));
	if (deed->stand == STANDS_ABSENT) {
		new_name(target->v, vm->name);
		vm->ref = ref_to(vm->name);
		return 1;
	}
	if (!make_vm(target, vm))
		return 0;
	if (deed->stand != STANDS_OFF && target->can[CAN_START])
		done = start_vm(target, vm);
	if (done && deed->needs_agent)
		done = expect_event(target, vm, 0, NOVA_EVENT_READY, "vm_power START");
	if (done && deed->stand == STANDS_PAUSED)
		done = expect_done(target, "vm_power PAUSE",
		                   CALL(target, vm_power, &vm->ref, NOVA_POWER_PAUSE));
	if (done && deed->stand == STANDS_SAVED)
		done = expect_done(target, "snapshot CREATE",
		                   CALL(target, snapshot, &vm->ref, "check", NOVA_SNAPSHOT_CREATE));
	if (!done)
		drop_vm(target, vm);
	return done;
}

int do_deed(struct target *target, const struct deed *deed, struct made *vm, int64_t timeout_ms)
{
	nova_op op = nova_testhost_begin(target->host, timeout_ms);

	return nova_testhost_end(target->host, deed->call(target, op, vm));
}

/* --- afterwards --------------------------------------------------------------------------- */

/* What is no VM, and was made beside it. */
static int clear_beside(struct target *target, const struct deed *deed, const struct made *vm)
{
	if (deed->call == call_network)
		return CALL(target, net_delete, vm->name);
	return deed->call == call_image ? CALL(target, image_delete, vm->name) : NOVA_DONE;
}

/* Every VM whose name begins with this one's: it, and its copy. 0: none is left. */
static int clear_once(struct target *target, struct made *vm)
{
	char name[NAME_ROOM + 8] = "";
	struct nova_ref copy = ref_to(name), by_name = ref_to(vm->name);
	int status;

	copy_name(vm, name);
	if (target->can[CAN_CLONE] && CALL(target, vm_delete, &copy) != NOVA_DONE)
		return -1;
	status = CALL(target, vm_delete, &by_name); /* whatever was made, also without an id */
	if (status != NOVA_DONE)
		return -1;
	if (CALL(target, vm_list, vm->name) != NOVA_DONE)
		return -1;
	return (int)nova_testhost_count(target->host, NOVA_FIELD_VM);
}

void clear_deed(struct target *target, const struct deed *deed, struct made *vm)
{
	int64_t until = now_ms() + CLEAR_MS;
	int left;

	while (clear_beside(target, deed, vm) != NOVA_DONE && now_ms() < until)
		sleep_ms(200);
	if (!target->ops->vm_list || !target->can[CAN_CREATE])
		return;
	while ((left = clear_once(target, vm)) != 0 && now_ms() < until)
		sleep_ms(200);
	if (left > 0)
		fail(target->v, "after %s was broken off, %d VM%s cannot be deleted", deed->name,
		     left, left == 1 ? "" : "s");
	else if (left < 0)
		fail(target->v, "after %s was broken off, the target cannot be used any more: %s",
		     deed->name,
		     *nova_testhost_error(target->host) ? nova_testhost_error(target->host)
		                                        : "it says no reason");
}

void judge_deed(struct target *target, const char *what, int status, int64_t begin_ms,
                int64_t given_ms)
{
	int64_t late = now_ms() - begin_ms - given_ms;

	if (!nova_testhost_ended(target->host) || late > NOVA_TESTHOST_GRACE_MS + SLACK_MS)
		fail(target->v, "%s had not ended 5 s after that", what);
	else if (status > 0 || status < NOVA_E_UNKNOWN)
		fail(target->v, "%s returned %d, which is no status", what, status);
	else if (status != NOVA_DONE && status != NOVA_E_CANCELLED && status != NOVA_E_TIMEOUT &&
	         !*nova_testhost_error(target->host))
		fail(target->v, "%s: %s without a reason by host->error()", what,
		     status_name(status));
}
