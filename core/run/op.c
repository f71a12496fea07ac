/* SPDX-License-Identifier: MIT */
/*
 * One call into a driver: its arguments (copied, so that an abandoned call never reads freed
 * memory), its turn, its deadline, its cancellation, what it puts. The only file that calls a
 * driver's ops.
 */
#include "core/run/trace.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BUCKETS        1024
#define GRACE_NS       (5 * NOVA_SECOND_NS)
#define BYTES_HELD_MAX (UINT64_C(64) << 20) /* of one op's results */
#define CALL_STACK     (512 * 1024)

static struct op *table[BUCKETS];
static uint64_t last_number;

void nova_lock(void)
{
	pthread_mutex_lock(&nova_worker.lock);
}

void nova_unlock(void)
{
	pthread_mutex_unlock(&nova_worker.lock);
}

struct op *nova_op_new(struct instance *instance, enum op_kind kind, int64_t deadline_ns)
{
	struct op *op = nova_alloc(sizeof(*op));
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&op->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	op->instance = instance;
	op->kind = kind;
	op->deadline_ns = deadline_ns;
	op->references = 2; /* the caller and the table */
	nova_lock();
	op->number = ++last_number;
	op->next = table[op->number % BUCKETS];
	table[op->number % BUCKETS] = op;
	nova_unlock();
	return op;
}

static void op_free(struct op *op)
{
	for (size_t i = 0; i < op->value_count; i++) {
		free(op->values[i].key);
		free(op->values[i].bytes);
	}
	free(op->values);
	for (size_t i = 0; i < op->block_count; i++)
		free(op->blocks[i]);
	free(op->blocks);
	json_decref(op->copies);
	free(op->ref_name);
	free(op->ref_id);
	free(op->name);
	free(op->path);
	pthread_cond_destroy(&op->changed);
	free(op);
}

/* Under the lock. */
static void drop(struct op *op)
{
	if (--op->references == 0)
		op_free(op);
}

void nova_op_release(struct op *op)
{
	if (!op)
		return;
	nova_lock();
	drop(op);
	nova_unlock();
}

void nova_op_forget(struct op *op)
{
	struct op **at = &table[op->number % BUCKETS];

	nova_lock();
	while (*at && *at != op)
		at = &(*at)->next;
	if (*at) {
		*at = op->next;
		drop(op);
	}
	nova_unlock();
}

struct op *nova_op_hold(nova_op number)
{
	struct op *op;

	nova_lock();
	for (op = table[number % BUCKETS]; op && op->number != number; op = op->next)
		;
	if (op)
		op->references++;
	nova_unlock();
	return op;
}

/* --- arguments ---------------------------------------------------------------------------------
 */

static void *keep(struct op *op, void *block)
{
	op->blocks = nova_grow(op->blocks, op->block_count, sizeof(*op->blocks));
	op->blocks[op->block_count++] = block;
	return block;
}

static char *keep_text(struct op *op, const char *text)
{
	return text ? keep(op, nova_strdup(text)) : NULL;
}

static const char *const *keep_list(struct op *op, const char *const *list)
{
	const char **copy;
	size_t count = 0;

	if (!list)
		return NULL;
	while (list[count])
		count++;
	copy = keep(op, nova_alloc((count + 1) * sizeof(*copy)));
	for (size_t i = 0; i < count; i++)
		copy[i] = keep_text(op, list[i]);
	return copy;
}

void nova_struct_take(void *to, uint32_t room, const void *from)
{
	uint32_t size = 0;

	memset(to, 0, room);
	if (from)
		memcpy(&size, from, sizeof(size));
	if (size)
		memcpy(to, from, size < room ? size : room);
	memcpy(to, &room, sizeof(room));
}

void nova_struct_give(void *to, const void *from, uint32_t bytes)
{
	uint32_t size;

	memcpy(&size, to, sizeof(size));
	if (size > sizeof(size))
		memcpy((char *)to + sizeof(size), (const char *)from + sizeof(size),
		       (size < bytes ? size : bytes) - sizeof(size));
}

void nova_op_set_vm(struct op *op, const struct vm *vm)
{
	op->ref_name = nova_strdup(vm->name);
	op->ref_id = nova_strdup(vm->id);
	op->ref = (struct nova_ref){.struct_size = sizeof(op->ref),
	                            .vm = vm->number,
	                            .name = op->ref_name,
	                            .id = op->ref_id};
}

void nova_op_set_shape(struct op *op, const struct nova_shape *shape)
{
	op->shape = *shape;
	op->shape.struct_size = sizeof(op->shape);
	op->shape.image = keep_text(op, shape->image);
	op->shape.kernel = keep_text(op, shape->kernel);
	op->shape.initrd = keep_text(op, shape->initrd);
	op->shape.cmdline = keep_text(op, shape->cmdline);
	op->shape.heartbeat = keep_text(op, shape->heartbeat);
	op->shape.arguments = keep_text(op, shape->arguments);
	op->shape.place = keep_text(op, shape->place);
	op->shape.networks = keep_list(op, shape->networks);
	op->shape.knobs = keep_list(op, shape->knobs);
}

void nova_op_set_exec(struct op *op, const struct nova_exec *exec)
{
	nova_struct_take(&op->exec, sizeof(op->exec), exec);
	op->exec.argv = keep_list(op, op->exec.argv);
	op->exec.env = keep_list(op, op->exec.env);
	if (op->exec.input_bytes) {
		void *input = keep(op, nova_alloc(op->exec.input_bytes));

		memcpy(input, op->exec.input, op->exec.input_bytes);
		op->exec.input = input;
	}
}

void nova_op_set_migrate(struct op *op, const struct nova_migrate *migrate, const char *ticket)
{
	nova_struct_take(&op->migrate, sizeof(op->migrate), migrate);
	op->migrate.struct_size = sizeof(op->migrate); /* nobody may have said how */
	op->migrate.ticket = keep_text(op, ticket);
}

/* --- results -----------------------------------------------------------------------------------
 */

/* Under the lock. An op is not done if not all of what it put is there: see `end`. */
static int take_no_more(struct op *op)
{
	op->overflowed = true;
	if (!op->error.code)
		nova_error_set(&op->error, NOVA_E_FAILED, "%s put more than %d MiB of results",
		               op->instance->plugin, (int)(BYTES_HELD_MAX >> 20));
	return NOVA_E_FULL;
}

int nova_op_put(struct op *op, const struct value *value)
{
	struct value *to;
	int code = 0;

	nova_lock();
	/* Nobody else looks at the values before it has ended, or changes them after. */
	if (op->ended)
		code = NOVA_E_NOT_FOUND;
	else if (value->count > BYTES_HELD_MAX ||
	         op->bytes_held + value->count + sizeof(*value) > BYTES_HELD_MAX)
		code = take_no_more(op);
	if (code) {
		nova_unlock();
		return code;
	}
	op->bytes_held += value->count + sizeof(*value);
	op->values = nova_grow(op->values, op->value_count, sizeof(*op->values));
	to = &op->values[op->value_count++];
	*to = *value;
	to->key = nova_strdup(value->key);
	to->bytes = NULL;
	if (value->bytes) {
		to->bytes = nova_alloc(value->count + 1);
		memcpy(to->bytes, value->bytes, value->count);
	}
	/* A driver whose clock is not this host's says itself when its op began and ended. */
	if (value->field == NOVA_FIELD_STARTED_NS)
		op->started_ns = value->i64;
	if (value->field == NOVA_FIELD_RETURNED_NS)
		op->returned_ns = value->i64;
	nova_unlock();
	if (value->field == NOVA_FIELD_PROGRESS && op->kind == OP_IMAGE_PUT)
		nova_tell(json_pack("{ss sf}", "is", "progress", "share", value->f64));
	return NOVA_DONE;
}

const struct value *nova_op_value(const struct op *op, uint32_t field, uint32_t index,
                                  uint32_t *count)
{
	const struct value *found = NULL;
	uint32_t seen = 0;

	for (size_t i = 0; i < op->value_count; i++)
		if (op->values[i].field == field && seen++ == index)
			found = &op->values[i];
	if (count)
		*count = seen;
	return found;
}

/* --- the call ----------------------------------------------------------------------------------
 */

static const struct {
	const char *name;
	bool changes; /* the hypervisor: goes to the audit log */
} op_facts[] = {
        [OP_CONNECT] = {"connect", false},
        [OP_DESCRIBE] = {"describe", false},
        [OP_VM_CREATE] = {"vm_create", true},
        [OP_VM_POWER] = {"vm_power", true},
        [OP_VM_DELETE] = {"vm_delete", true},
        [OP_VM_LIST] = {"vm_list", false},
        [OP_VM_QUERY] = {"vm_query", false},
        [OP_SNAPSHOT] = {"snapshot", true},
        [OP_EXEC] = {"exec", true},
        [OP_NET_CREATE] = {"net_create", true},
        [OP_NET_DELETE] = {"net_delete", true},
        [OP_IMAGE_PUT] = {"image_put", true},
        [OP_IMAGE_DELETE] = {"image_delete", true},
        [OP_MIGRATE_PREPARE] = {"migrate_prepare", true},
        [OP_MIGRATE] = {"migrate", true},
        [OP_MIGRATE_FINISH] = {"migrate_finish", true},
        [OP_TWIN] = {"twin", true},
        [OP_DISCONNECT] = {"disconnect", false},
};

const char *nova_op_name(enum op_kind kind)
{
	return op_facts[kind].name;
}

static int lacks(struct op *op)
{
	return nova_error_set(&op->error, NOVA_E_UNSUPPORTED, "the driver %s has no %s",
	                      op->instance->plugin, op_facts[op->kind].name);
}

/* Calls the driver; every op of the vtable that the façade uses stands here once. */
static int dispatch(struct op *op)
{
	const struct nova_hypervisor *driver = &op->instance->driver;
	void *self = op->instance->self;
	nova_op number = op->number;

#define CALL(function, ...) (driver->function ? driver->function(__VA_ARGS__) : lacks(op))
	switch (op->kind) {
	case OP_CONNECT: return driver->connect ? driver->connect(self, number) : NOVA_DONE;
	case OP_DESCRIBE: return CALL(describe, self, number);
	case OP_VM_CREATE: return CALL(vm_create, self, number, op->ref_name, &op->shape);
	case OP_VM_POWER: return CALL(vm_power, self, number, &op->ref, op->action);
	case OP_VM_DELETE: return CALL(vm_delete, self, number, &op->ref);
	case OP_VM_LIST: return CALL(vm_list, self, number, op->name);
	case OP_VM_QUERY: return CALL(vm_query, self, number, &op->ref, op->action);
	case OP_SNAPSHOT: return CALL(snapshot, self, number, &op->ref, op->name, op->action);
	case OP_EXEC: return CALL(exec, self, number, &op->ref, &op->exec);
	case OP_NET_CREATE: return CALL(net_create, self, number, op->name, op->action);
	case OP_NET_DELETE: return CALL(net_delete, self, number, op->name);
	case OP_IMAGE_PUT: return CALL(image_put, self, number, op->name, op->path);
	case OP_IMAGE_DELETE: return CALL(image_delete, self, number, op->name);
	case OP_MIGRATE_PREPARE: return CALL(migrate_prepare, self, number, &op->ref, &op->shape);
	case OP_MIGRATE: return CALL(migrate, self, number, &op->ref, &op->migrate);
	case OP_MIGRATE_FINISH:
		return CALL(migrate_finish, self, number, &op->ref, op->name, op->outcome);
	case OP_TWIN: return CALL(twin, self, number);
	case OP_DISCONNECT:
		return driver->disconnect ? driver->disconnect(self, number) : NOVA_DONE;
	}
#undef CALL
	return NOVA_E_INTERNAL;
}

/* Under the lock. Ends the op unless it has ended already. */
static void end(struct op *op, int status, int64_t at_ns)
{
	if (op->ended)
		return;
	op->ended = true;
	op->status = status == NOVA_DONE && op->overflowed ? NOVA_E_FAILED : status;
	op->ended_ns = at_ns;
	if (!op->returned_ns)
		op->returned_ns = at_ns;
	pthread_cond_broadcast(&op->changed);
}

/* For host->done. */
void nova_op_done(struct op *op, int status, int64_t at_ns)
{
	bool late;

	nova_lock();
	/* Of what has not been called yet nobody can say that it is done: a wrong number. */
	late = op->ended || !op->called_ns;
	if (!late)
		end(op, status > 0 ? NOVA_E_INTERNAL : status, at_ns);
	nova_unlock();
	if (late)
		nova_trace_late(op->number, "done", NULL);
}

static void call(struct op *op)
{
	int64_t returned_ns;
	bool late;
	int status;

	if (nova_trace_on)
		op->thread = syscall(SYS_gettid);
	op->called_ns = nova_now_ns();
	op->started_ns = op->called_ns;
	status = dispatch(op);
	if (status == NOVA_PENDING)
		return;
	returned_ns = nova_now_ns(); /* before the lock: waiting for it is not the driver's time */
	nova_lock();
	late = op->ended;
	end(op, status > 0 ? NOVA_E_INTERNAL : status, returned_ns);
	nova_unlock();
	if (late)
		nova_trace_late(op->number, "return", NULL);
}

/* A PARALLEL driver may block: it is called on a thread that can be abandoned. */
static void *call_thread(void *argument)
{
	struct op *op = argument;

	call(op);
	nova_op_release(op);
	return NULL;
}

static int call_aside(struct op *op)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int code;

	nova_lock();
	op->references++;
	nova_unlock();
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, CALL_STACK);
	code = pthread_create(&thread, &attributes, call_thread, op);
	pthread_attr_destroy(&attributes);
	if (code) {
		nova_op_release(op);
		return nova_error_set(&op->error, NOVA_E_UNAVAILABLE,
		                      "cannot start a thread for a call: %s; raise the limit on "
		                      "processes (ulimit -u) or lower the concurrency",
		                      strerror(code));
	}
	return 0;
}

static void take_turn(struct instance *instance)
{
	if (!instance->turn)
		return;
	atomic_fetch_add(&instance->waiting, 1);
	if (instance->driver.wake && instance->self)
		instance->driver.wake(instance->self);
	pthread_mutex_lock(instance->turn);
	atomic_fetch_sub(&instance->waiting, 1);
}

static void give_turn(struct instance *instance)
{
	if (instance->turn)
		pthread_mutex_unlock(instance->turn);
}

/* Under the lock. Waits until the op has ended or `until_ns`; true if it has ended. */
static bool wait_ended(struct op *op, int64_t until_ns, bool always)
{
	while (!op->ended && (always || !atomic_load(&nova_worker.interrupted))) {
		int64_t now = nova_now_ns(), slice = now + 200000000;
		int64_t wake = until_ns < slice ? until_ns : slice; /* the flag has no condition */
		struct timespec at = {.tv_sec = wake / NOVA_SECOND_NS,
		                      .tv_nsec = wake % NOVA_SECOND_NS};

		if (now >= until_ns)
			break;
		pthread_cond_timedwait(&op->changed, &nova_worker.lock, &at);
	}
	return op->ended;
}

/* The deadline has passed, or the user wants to stop: cancel, wait a little, give the op up. */
static void give_up(struct op *op)
{
	struct instance *instance = op->instance;
	bool timed_out = nova_now_ns() >= op->deadline_ns;

	nova_lock();
	op->given_up = true;
	nova_unlock();
	if (instance->driver.cancel && instance->self) {
		struct nova_trace_span span;

		take_turn(instance);
		span = nova_trace_plugin("cancel", instance->kind, instance->plugin);
		nova_trace_plugin_end(&span, instance->driver.cancel(instance->self, op->number),
		                      NULL);
		give_turn(instance);
	}
	nova_lock();
	if (!wait_ended(op, nova_now_ns() + GRACE_NS, true)) {
		instance->tainted = op->abandoned = true;
		end(op, timed_out ? NOVA_E_TIMEOUT : NOVA_E_INTERRUPTED, nova_now_ns());
	}
	/* A call that ended well in its grace has ended well. */
	if (op->status != NOVA_DONE)
		op->status = timed_out ? NOVA_E_TIMEOUT : NOVA_E_INTERRUPTED;
	if (op->status == NOVA_E_TIMEOUT)
		nova_error_set(&op->error, NOVA_E_TIMEOUT, "%s of %s did not end in %.1f s%s",
		               op_facts[op->kind].name,
		               op->ref_name ? op->ref_name : instance->plugin,
		               (double)(op->deadline_ns - op->called_ns) / 1e9,
		               instance->tainted ? ", and could not be cancelled" : "");
	nova_unlock();
}

static void audit(const struct op *op)
{
	const char *object = op->ref_name ? op->ref_name : op->name ? op->name : "";
	json_t *packet = json_pack(
	        "{ss ss sI sI sI ss}", "is", "call", "call", op_facts[op->kind].name, "target",
	        (json_int_t)op->instance->target, "code", (json_int_t)op->status, "duration_ns",
	        (json_int_t)(op->returned_ns - op->started_ns), "object", object);

	if (op->status != NOVA_DONE)
		json_object_set_new(packet, "text", json_string(op->error.text));
	nova_tell(packet);
}

int nova_op_run(struct op *op, bool always)
{
	struct instance *instance = op->instance;
	bool in_time;

	nova_trace_op_begin(op);
	if (instance->thread_model == NOVA_THREADS_PARALLEL) {
		if (call_aside(op)) {
			nova_lock();
			end(op, NOVA_E_UNAVAILABLE, nova_now_ns());
			nova_unlock();
		}
	} else {
		take_turn(instance);
		call(op);
		give_turn(instance);
	}
	nova_lock();
	in_time = wait_ended(op, op->deadline_ns, always);
	nova_unlock();
	if (!in_time)
		give_up(op);
	nova_op_forget(op);
	nova_lock();
	if (op->status != NOVA_DONE && !op->error.code)
		nova_error_set(
		        &op->error, op->status, "%s of %s failed (%s); the driver gave no reason",
		        op_facts[op->kind].name, op->ref_name ? op->ref_name : instance->plugin,
		        nova_code_name(op->status));
	nova_unlock();
	nova_trace_op_end(op);
	if (op_facts[op->kind].changes)
		audit(op);
	return op->status;
}
