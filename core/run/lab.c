/* SPDX-License-Identifier: MIT */
/*
 * The façade that benchmarks call. It names VMs and has them journaled before they are created,
 * applies the limits, keeps each VM's stamps, and deletes what a replicate leaves behind.
 */
#include "core/run/trace.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FAN_STACK     (256 * 1024)
#define DELETE_LIMIT  64 /* VMs deleted at once when cleaning up: mostly one waits for each */
#define STAMPS_MAX    4096
#define WHY_MAX       4096 /* bytes of a failed sample's evidence (benchmark.h) */
#define OVERALL_LIMIT 2000 /* threads of one fan_out */

/* What `result` speaks of: the last call of this thread. */
static _Thread_local struct op *last_call;
static _Thread_local nova_vm last_vm;
/* The VM number reserved for this thread's index in a fan_out, plus 1; 0 if none. */
static _Thread_local uint64_t reserved_number;

static void remember(struct op *op, nova_vm vm)
{
	nova_op_release(last_call);
	last_call = op;
	last_vm = vm;
}

/* Under the lock. `number` is n of the name, plus 1. */
static struct vm **bucket_of(nova_vm number)
{
	return &nova_worker.by_number[number % NOVA_COUNT(nova_worker.by_number)];
}

static struct vm *find_vm(nova_vm number)
{
	struct vm *vm = *bucket_of(number);

	while (vm && vm->number != number)
		vm = vm->next;
	return vm;
}

/* With a thousand VMs every event of each comes here: the number in the name finds it. */
struct vm *nova_vm_by_name(const char *name)
{
	size_t length = strlen(nova_worker.prefix);
	struct vm *vm;

	if (strncmp(name, nova_worker.prefix, length))
		return NULL;
	vm = find_vm(strtoull(name + length, NULL, 10) + 1);
	return vm && !strcmp(vm->name, name) ? vm : NULL;
}

/* Under the lock. */
static void keep_vm(struct vm *vm)
{
	struct vm **bucket = bucket_of(vm->number);

	nova_worker.vms =
	        nova_grow(nova_worker.vms, nova_worker.vm_count, sizeof(*nova_worker.vms));
	nova_worker.vms[nova_worker.vm_count++] = vm;
	vm->next = *bucket;
	*bucket = vm;
}

void nova_vm_stamp(struct vm *vm, const struct stamp *stamp)
{
	if (vm->stamp_count >= STAMPS_MAX)
		return;
	vm->stamps = nova_grow(vm->stamps, vm->stamp_count, sizeof(*vm->stamps));
	vm->stamps[vm->stamp_count++] = *stamp;
	pthread_cond_broadcast(&vm->changed);
}

static int64_t or_default(int64_t deadline_ns)
{
	return deadline_ns ? deadline_ns : nova_now_ns() + nova_worker.op_timeout_ns;
}

static bool interrupted(void)
{
	return atomic_load(&nova_worker.interrupted);
}

/* --- names --------------------------------------------------------------------------------------
 */

/* Has the parent journal what is about to be, durably, before it is. */
static int ask(uint64_t number, json_t *packet)
{
	struct intent intent = {.number = number}, **at;

	nova_lock();
	intent.next = nova_worker.intents;
	nova_worker.intents = &intent;
	nova_unlock();
	nova_tell(packet);
	nova_lock();
	while (!intent.answered)
		pthread_cond_wait(&nova_worker.answered, &nova_worker.lock);
	for (at = &nova_worker.intents; *at != &intent; at = &(*at)->next)
		;
	*at = intent.next;
	nova_unlock();
	return intent.code;
}

/* The name of an object, before the object exists. */
static int intend(uint64_t number, uint32_t target, const char *kind, const char *name)
{
	return ask(number,
	           json_pack("{ss sI sI ss ss}", "is", "intend", "number", (json_int_t)number,
	                     "target", (json_int_t)target, "kind", kind, "name", name));
}

/* That a VM may soon be on another target as well, before it is migrated. */
static int intend_move(const struct vm *vm, const struct instance *destination)
{
	return ask(vm->number - 1,
	           json_pack("{ss sI sI ss ss sI}", "is", "intend", "number",
	                     (json_int_t)(vm->number - 1), "target",
	                     (json_int_t)destination->target, "kind", "move", "name", vm->name,
	                     "from", (json_int_t)vm->instance->target));
}

/* Under the lock. */
static uint64_t take_number(void)
{
	uint64_t number = reserved_number ? reserved_number - 1 : nova_worker.next_number++;

	reserved_number = 0;
	return number;
}

/* --- VMs ----------------------------------------------------------------------------------------
 */

const json_t *nova_lab_configured(const struct instance *instance, const char *key)
{
	const json_t *own = json_object_get(instance->boot, key);

	return own ? own : json_object_get(nova_worker.shape, key);
}

static const char *configured_text(const struct instance *instance, const char *key)
{
	return json_string_value(nova_lab_configured(instance, key));
}

static int64_t configured(const struct instance *instance, const char *key)
{
	return json_integer_value(nova_lab_configured(instance, key));
}

/* The configured shape, with what the benchmark asks for over it. `knobs` is scratch space. */
static struct nova_shape merge_shape(const struct instance *at, const struct nova_shape *wanted,
                                     const char *knobs[64])
{
	struct nova_shape shape = {.struct_size = sizeof(shape)}, over;
	json_t *list = json_object_get(nova_worker.shape, "knobs");
	size_t index, count = 0;
	json_t *knob;

	nova_struct_take(&over, sizeof(over), wanted);
	json_array_foreach(list, index, knob) if (count < 63) knobs[count++] =
	        json_string_value(knob);
	for (const char *const *more = over.knobs; more && *more && count < 63; more++)
		knobs[count++] = *more;
	knobs[count] = NULL;
	shape.boot = over.boot ? over.boot : (uint32_t)configured(at, "boot");
	shape.vcpus = over.vcpus ? over.vcpus : (uint32_t)configured(at, "vcpus");
	shape.memory_bytes =
	        over.memory_bytes ? over.memory_bytes : (uint64_t)configured(at, "memory_bytes");
	shape.disk_bytes =
	        over.disk_bytes ? over.disk_bytes : (uint64_t)configured(at, "disk_bytes");
	shape.image = over.image ? over.image : configured_text(at, "image");
	shape.kernel = over.kernel ? over.kernel : configured_text(at, "kernel");
	shape.initrd = over.initrd ? over.initrd : configured_text(at, "initrd");
	shape.cmdline = over.cmdline ? over.cmdline : configured_text(at, "cmdline");
	shape.networks = over.networks;
	shape.knobs = knobs;
	shape.arguments = over.arguments;
	shape.place = over.place ? over.place : configured_text(at, "place");
	return shape;
}

static bool instance_can(const struct instance *instance, const char *capability, const char **why)
{
	const json_t *value = json_object_get(instance->capabilities, capability);

	*why = value ? json_string_value(value) : "the driver does not say that it can";
	return json_is_null(value);
}

static struct vm *vm_new(struct instance *instance)
{
	struct vm *vm = nova_alloc(sizeof(*vm));
	pthread_condattr_t monotonic;
	uint64_t number;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&vm->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	vm->instance = instance;
	vm->beat_fd = -1;
	vm->exists = true;
	nova_lock();
	number = take_number();
	vm->number = number + 1;
	vm->name = nova_format("%s%llu", nova_worker.prefix, (unsigned long long)number);
	keep_vm(vm);
	nova_worker.live_vms++;
	nova_unlock();
	return vm;
}

static void vm_gone(struct vm *vm)
{
	nova_beat_close(vm);
	nova_lock();
	if (vm->exists)
		nova_worker.live_vms--;
	vm->exists = false;
	free(vm->stamps);
	vm->stamps = NULL;
	vm->stamp_count = 0;
	nova_unlock();
	nova_tell(json_pack("{ss ss}", "is", "gone", "name", vm->name));
}

static int admit(uint32_t target)
{
	bool full;

	if (interrupted())
		return NOVA_E_INTERRUPTED;
	if (target >= nova_worker.target_count)
		return NOVA_E_INVALID;
	nova_lock();
	full = nova_worker.live_vms >= nova_worker.max_vms;
	nova_unlock();
	if (!full)
		return 0;
	nova_tellf(NOVA_LOG_WARNING,
	           "a VM was not created: %llu exist and limits.max_vms is %llu; raise it with "
	           "--max-vms",
	           (unsigned long long)nova_worker.live_vms,
	           (unsigned long long)nova_worker.max_vms);
	return NOVA_E_REFUSED;
}

static void create_beat(struct vm *vm, struct nova_shape *shape, char text[64])
{
	struct nova_error error = {0};
	const char *why;

	if (!instance_can(vm->instance, NOVA_CAN_BEAT, &why))
		return;
	if (nova_beat_open(vm, &error)) {
		nova_tellf(NOVA_LOG_WARNING, "%s", error.text);
		return;
	}
	snprintf(text, 64, "udp:127.0.0.1:%u", vm->beat_port);
	shape->heartbeat = text;
}

static int lab_vm_create(nova_run run, uint32_t target, const struct nova_shape *wanted,
                         int64_t deadline_ns, nova_vm *out)
{
	const char *knobs[64];
	struct nova_shape shape;
	NOVA_AUTOFREE char *cmdline = NULL;
	char heartbeat[64];
	struct vm *vm;
	struct op *op;
	const struct value *id;
	int code = admit(target);

	(void)run;
	*out = 0;
	if (code)
		return code;
	shape = merge_shape(nova_worker.targets[target], wanted, knobs);
	vm = vm_new(nova_worker.targets[target]);
	*out = vm->number;
	code = intend(vm->number - 1, target, "vm", vm->name);
	if (code) { /* not journaled: it must not be created */
		nova_lock();
		nova_worker.live_vms--;
		vm->exists = false;
		nova_unlock();
		return code;
	}
	vm->vcpus = shape.vcpus;
	create_beat(vm, &shape, heartbeat);
	if (shape.boot == NOVA_BOOT_DIRECT && shape.cmdline)
		shape.cmdline = cmdline = nova_format("%s novacore.name=%s%s%s", shape.cmdline,
		                                      vm->name, shape.arguments ? " " : "",
		                                      shape.arguments ? shape.arguments : "");
	shape.arguments = NULL;
	op = nova_op_new(vm->instance, OP_VM_CREATE, or_default(deadline_ns));
	nova_op_set_vm(op, vm);
	nova_op_set_shape(op, &shape);
	code = nova_op_run(op, false);
	id = nova_op_value(op, NOVA_FIELD_ID, 0, NULL);
	if (id && id->bytes) {
		nova_lock();
		vm->id = nova_strdup(id->bytes);
		nova_unlock();
	}
	remember(op, vm->number);
	return code;
}

static void clear_stamps(struct vm *vm)
{
	nova_lock();
	vm->stamp_count = 0;
	nova_unlock();
}

/* An op on an existing VM; its results stay for `result`. */
static int vm_call(struct vm *vm, enum op_kind kind, uint32_t action, const char *name,
                   int64_t deadline_ns, bool always)
{
	struct op *op = nova_op_new(vm->instance, kind, or_default(deadline_ns));
	int code;

	nova_op_set_vm(op, vm);
	op->action = action;
	op->name = nova_strdup(name);
	code = nova_op_run(op, always);
	remember(op, vm->number);
	return code;
}

static int lab_vm(nova_vm number, struct vm **vm)
{
	nova_lock();
	*vm = find_vm(number);
	nova_unlock();
	if (!*vm || !(*vm)->exists)
		return NOVA_E_NOT_FOUND;
	return interrupted() ? NOVA_E_INTERRUPTED : 0;
}

static int lab_vm_power(nova_run run, nova_vm number, uint32_t action, int64_t deadline_ns)
{
	struct vm *vm;
	int code = lab_vm(number, &vm);

	(void)run;
	if (code)
		return code;
	clear_stamps(vm);
	return vm_call(vm, OP_VM_POWER, action, NULL, deadline_ns, false);
}

/* First where a migration of unknown outcome may have left it: the last call is what counts. */
static int delete_everywhere(struct vm *vm, int64_t deadline_ns, bool always)
{
	struct instance *instance = vm->instance;
	int code = NOVA_DONE;

	if (vm->maybe) {
		vm->instance = vm->maybe;
		code = vm_call(vm, OP_VM_DELETE, 0, NULL, deadline_ns, always);
		vm->instance = instance;
	}
	if (code == NOVA_DONE)
		vm->maybe = NULL;
	else
		return code;
	return vm_call(vm, OP_VM_DELETE, 0, NULL, deadline_ns, always);
}

static int lab_vm_delete(nova_run run, nova_vm number, int64_t deadline_ns)
{
	struct vm *vm;
	int code = lab_vm(number, &vm);

	(void)run;
	if (code)
		return code;
	code = delete_everywhere(vm, deadline_ns, false);
	if (code == NOVA_DONE)
		vm_gone(vm);
	return code;
}

static int lab_vm_query(nova_run run, nova_vm number, uint32_t what, int64_t deadline_ns)
{
	struct vm *vm;
	int code = lab_vm(number, &vm);

	(void)run;
	return code ? code : vm_call(vm, OP_VM_QUERY, what, NULL, deadline_ns, false);
}

static int lab_snapshot(nova_run run, nova_vm number, const char *name, uint32_t action,
                        int64_t deadline_ns)
{
	struct vm *vm;
	int code = lab_vm(number, &vm);

	(void)run;
	if (code)
		return code;
	clear_stamps(vm);
	return vm_call(vm, OP_SNAPSHOT, action, name, deadline_ns, false);
}

static void put_bytes(struct op *op, uint32_t field, struct nova_text *text)
{
	if (text->length)
		nova_op_put(op, &(struct value){.field = field,
		                                .bytes = text->data,
		                                .count = text->length});
}

/* The same program on this host: the native side of a comparison. */
static int exec_here(const struct nova_exec *exec, int64_t deadline_ns)
{
	struct op *op = nova_op_new(nova_worker.benchmark, OP_EXEC, or_default(deadline_ns));
	struct nova_child_result result = {0};
	struct nova_child child = {.argv = exec->argv,
	                           .env = exec->env,
	                           .input = exec->input,
	                           .input_bytes = exec->input_bytes,
	                           .deadline_ns = op->deadline_ns};
	int code;

	nova_op_set_exec(op, exec);
	nova_trace_op_begin(op);
	op->called_ns = op->started_ns = nova_now_ns();
	code = nova_child_run(&child, &result, &op->error);
	op->returned_ns = nova_now_ns();
	put_bytes(op, NOVA_FIELD_STDOUT, &result.output);
	put_bytes(op, NOVA_FIELD_STDERR, &result.errors);
	if (!code)
		nova_op_put(op, &(struct value){.field = result.status < 0 ? NOVA_FIELD_SIGNAL
		                                                           : NOVA_FIELD_EXIT_STATUS,
		                                .i64 = labs(result.status)});
	nova_child_result_free(&result);
	nova_op_done(op, code, op->returned_ns);
	nova_op_forget(op);
	nova_trace_op_end(op);
	remember(op, 0);
	return code;
}

static int lab_exec(nova_run run, nova_vm number, const struct nova_exec *exec, int64_t deadline_ns)
{
	struct vm *vm;
	struct op *op;
	int code;

	(void)run;
	if (!number)
		return interrupted() ? NOVA_E_INTERRUPTED : exec_here(exec, deadline_ns);
	code = lab_vm(number, &vm);
	if (code)
		return code;
	op = nova_op_new(vm->instance, OP_EXEC, or_default(deadline_ns));
	nova_op_set_vm(op, vm);
	nova_op_set_exec(op, exec);
	code = nova_op_run(op, false);
	remember(op, number);
	return code;
}

/* --- waiting ------------------------------------------------------------------------------------
 */

/* Under the lock. The first stamp of that kind; or, if the VM has stopped, `*stopped`. */
static const struct stamp *find_stamp(const struct vm *vm, uint32_t kind, bool *stopped)
{
	*stopped = false;
	for (size_t i = 0; i < vm->stamp_count; i++) {
		if (vm->stamps[i].kind == kind)
			return &vm->stamps[i];
		if (vm->stamps[i].kind >= NOVA_EVENT_STOPPED)
			*stopped = true;
	}
	return NULL;
}

static int lab_wait(nova_run run, nova_vm number, uint32_t kind, int64_t deadline_ns,
                    struct nova_event *event)
{
	const struct stamp *stamp;
	bool stopped;
	struct vm *vm;
	int code = lab_vm(number, &vm);

	(void)run;
	if (code)
		return code;
	if (!deadline_ns)
		deadline_ns = nova_now_ns() + nova_worker.ready_timeout_ns;
	nova_lock();
	while (!(stamp = find_stamp(vm, kind, &stopped)) && !stopped && !interrupted() &&
	       nova_now_ns() < deadline_ns) {
		int64_t slice = nova_now_ns() + 200000000;
		int64_t until = slice < deadline_ns ? slice : deadline_ns;
		struct timespec at = {.tv_sec = until / NOVA_SECOND_NS,
		                      .tv_nsec = until % NOVA_SECOND_NS};

		pthread_cond_timedwait(&vm->changed, &nova_worker.lock, &at);
	}
	if (stamp && event) {
		struct nova_event found = {.kind = kind,
		                           .source = stamp->source,
		                           .name = vm->name,
		                           .t_ns = stamp->t_ns,
		                           .resolution_ns = stamp->resolution_ns};
		nova_struct_give(event, &found, sizeof(found));
	}
	nova_unlock();
	if (stamp)
		return NOVA_DONE;
	return stopped ? NOVA_E_FAILED : interrupted() ? NOVA_E_INTERRUPTED : NOVA_E_TIMEOUT;
}

/* --- migration and networks ----------------------------------------------------------------------
 */

static int prepare(struct vm *vm, struct instance *destination, int64_t deadline_ns, char **ticket)
{
	const char *knobs[64];
	struct nova_shape shape = merge_shape(destination, NULL, knobs);
	struct op *op = nova_op_new(destination, OP_MIGRATE_PREPARE, deadline_ns);
	const struct value *value;
	int code;

	nova_op_set_vm(op, vm);
	nova_op_set_shape(op, &shape);
	code = nova_op_run(op, false);
	value = nova_op_value(op, NOVA_FIELD_TICKET, 0, NULL);
	*ticket = nova_strdup(value && value->bytes ? value->bytes : "");
	nova_op_release(op);
	return code;
}

static int finish(struct vm *vm, struct instance *destination, const char *ticket, int32_t outcome)
{
	struct op *op = nova_op_new(destination, OP_MIGRATE_FINISH, or_default(0));
	const struct value *id;
	int code;

	nova_op_set_vm(op, vm);
	op->name = nova_strdup(ticket);
	op->outcome = outcome;
	code = nova_op_run(op, true);
	id = nova_op_value(op, NOVA_FIELD_ID, 0, NULL);
	if (outcome == NOVA_MIGRATED && id && id->bytes) {
		nova_lock();
		vm->id = nova_strdup(id->bytes); /* the old one may still be read */
		nova_unlock();
	}
	nova_op_release(op);
	return code;
}

/* Where the VM is after a migration; unless that is known, it may be on both sides. */
static void settle(struct vm *vm, struct instance *destination, int moved, int finished)
{
	bool unknown = moved == NOVA_E_UNKNOWN || moved == NOVA_E_TIMEOUT ||
	               moved == NOVA_E_INTERRUPTED || finished;

	if (moved == NOVA_DONE) {
		if (finished)
			vm->maybe = vm->instance;
		vm->instance = destination;
	}
	if (unknown)
		return;
	vm->maybe = NULL;
	nova_tell(json_pack("{ss ss sI}", "is", "moved", "name", vm->name, "target",
	                    (json_int_t)vm->instance->target));
}

static int lab_migrate(nova_run run, nova_vm number, uint32_t target,
                       const struct nova_migrate *how, int64_t deadline_ns)
{
	NOVA_AUTOFREE char *ticket = NULL;
	struct instance *destination;
	struct vm *vm;
	struct op *op;
	int code = lab_vm(number, &vm), finished;

	(void)run;
	if (code)
		return code;
	if (target >= nova_worker.target_count)
		return NOVA_E_INVALID;
	destination = nova_worker.targets[target];
	if (strcmp(destination->plugin, vm->instance->plugin) != 0)
		return NOVA_E_UNSUPPORTED; /* a ticket means nothing to another driver */
	deadline_ns = or_default(deadline_ns);
	clear_stamps(vm);
	code = intend_move(vm, destination);
	if (code)
		return code;
	vm->maybe = destination;
	code = prepare(vm, destination, deadline_ns, &ticket);
	if (code)
		return code;
	op = nova_op_new(vm->instance, OP_MIGRATE, deadline_ns);
	nova_op_set_vm(op, vm);
	nova_op_set_migrate(op, how, ticket);
	code = nova_op_run(op, false);
	finished = finish(vm, destination, ticket,
	                  code == NOVA_DONE ? NOVA_MIGRATED : NOVA_NOT_MIGRATED);
	settle(vm, destination, code, finished);
	remember(op, number);
	return code ? code : finished;
}

static int lab_net_create(nova_run run, uint32_t target, uint32_t kind, int64_t deadline_ns,
                          char name[64])
{
	struct net *net;
	struct op *op;
	uint64_t number;
	int code = interrupted() ? NOVA_E_INTERRUPTED : 0;

	(void)run;
	if (code || target >= nova_worker.target_count)
		return code ? code : NOVA_E_INVALID;
	net = nova_alloc(sizeof(*net));
	net->instance = nova_worker.targets[target];
	net->exists = true;
	nova_lock();
	number = nova_worker.next_number++;
	snprintf(net->name, sizeof(net->name), "%s%llu", nova_worker.prefix,
	         (unsigned long long)number);
	nova_worker.nets =
	        nova_grow(nova_worker.nets, nova_worker.net_count, sizeof(*nova_worker.nets));
	nova_worker.nets[nova_worker.net_count++] = net;
	nova_unlock();
	code = intend(number, target, "net", net->name);
	if (code) {
		net->exists = false;
		return code;
	}
	op = nova_op_new(net->instance, OP_NET_CREATE, or_default(deadline_ns));
	op->name = nova_strdup(net->name);
	op->action = kind;
	code = nova_op_run(op, false);
	nova_op_release(op);
	memcpy(name, net->name, sizeof(net->name));
	return code;
}

/* --- results, samples
 * ----------------------------------------------------------------------------- */

static int find_result(nova_vm vm, uint32_t field, uint32_t index, struct nova_result *result)
{
	const struct value *value;
	uint32_t count = 0;

	if (!last_call || last_vm != vm)
		return NOVA_E_NOT_FOUND;
	if (!index && (field == NOVA_FIELD_STARTED_NS || field == NOVA_FIELD_RETURNED_NS)) {
		result->count = 1;
		result->i64 = field == NOVA_FIELD_STARTED_NS ? last_call->started_ns
		                                             : last_call->returned_ns;
		return NOVA_DONE;
	}
	value = nova_op_value(last_call, field, index, &count);
	if (!value)
		return NOVA_E_NOT_FOUND;
	*result = (struct nova_result){.count = count,
	                               .i64 = value->i64,
	                               .f64 = value->f64,
	                               .bytes = value->bytes,
	                               .byte_count = value->count,
	                               .key = value->key};
	return NOVA_DONE;
}

static int lab_result(nova_run run, nova_vm vm, uint32_t field, uint32_t index,
                      struct nova_result *result)
{
	struct nova_result found = {0};
	int code = find_result(vm, field, index, &found);

	(void)run;
	nova_struct_give(result, &found, sizeof(found));
	return code;
}

static bool declared(const char *metric)
{
	for (size_t i = 0; nova_worker.ops.metrics && nova_worker.ops.metrics[i]; i++)
		if (!strcmp(nova_worker.ops.metrics[i]->name, metric))
			return true;
	return false;
}

/* The evidence for a failed sample, fit to be shown and stored. Owned by the caller. */
static char *evidence(const struct nova_sample *sample)
{
	char *why;

	if (sample->status == NOVA_SAMPLE_OK || !sample->why || !*sample->why)
		return NULL;
	why = nova_strdup(sample->why);
	nova_secret_redact(why); /* before it is cut: half a secret is not known for one */
	if (strlen(why) > WHY_MAX)
		why[WHY_MAX] = 0;
	nova_text_clean(why); /* after it: a character may have been cut, too */
	return why;
}

static int lab_sample(nova_run run, const struct nova_sample *given)
{
	NOVA_AUTOFREE char *why = NULL;
	struct nova_sample sample;

	(void)run;
	nova_struct_take(&sample, sizeof(sample), given);
	if (!sample.metric || !declared(sample.metric) || sample.status < NOVA_SAMPLE_OK ||
	    sample.status > NOVA_SAMPLE_TIMED_OUT ||
	    (sample.status == NOVA_SAMPLE_OK && !isfinite(sample.value))) {
		nova_tellf(NOVA_LOG_WARNING,
		           "the benchmark gave a sample of \"%s\" that is not declared, "
		           "has no status or no finite value; it is not counted",
		           sample.metric ? sample.metric : "");
		return NOVA_E_INVALID;
	}
	why = evidence(&sample);
	nova_tell(json_pack("{ss ss sI sI sI sI sf sI sI sI sI ss*}", "is", "sample", "metric",
	                    sample.metric, "status", (json_int_t)sample.status, "side",
	                    (json_int_t)(sample.side ? sample.side : nova_worker.side), "seq",
	                    (json_int_t)sample.seq, "vm", (json_int_t)sample.vm, "value",
	                    sample.status == NOVA_SAMPLE_OK ? sample.value : 0.0, "t_ns",
	                    (json_int_t)sample.t_ns, "intended_ns", (json_int_t)sample.intended_ns,
	                    "error_ns", (json_int_t)sample.error_ns, "source",
	                    (json_int_t)sample.source, "why", why));
	return NOVA_DONE;
}

static int lab_attempt(nova_run run, uint32_t status)
{
	(void)run;
	nova_tell(json_pack("{ss sI}", "is", "attempt", "status", (json_int_t)status));
	return NOVA_DONE;
}

static int lab_beats(nova_run run, nova_vm number, struct nova_beats *beats)
{
	struct nova_beats seen = {0};
	struct vm *vm;
	int code = lab_vm(number, &vm);

	(void)run;
	if (!code)
		code = nova_beat_window(vm, &seen);
	if (!code && beats)
		nova_struct_give(beats, &seen, sizeof(seen));
	return code;
}

/* What stands in the way is the benchmark's error, too: it can only return. */
static int lab_room(nova_run run, nova_vm number, uint32_t count)
{
	struct nova_error error = {0};
	struct vm *vm;
	int code = lab_vm(number, &vm);

	(void)run;
	if (!code)
		code = nova_room_check(vm, count, &error);
	if (code && error.code)
		nova_worker.benchmark->host.error(nova_worker.benchmark->op->number, code,
		                                  error.text);
	return code;
}

static int lab_can(nova_run run, uint32_t target, const char *capability, char *why, uint32_t room)
{
	const char *reason = "there is no such target";
	bool can = false;

	(void)run;
	if (target < nova_worker.target_count)
		can = instance_can(nova_worker.targets[target], capability, &reason);
	if (why && room)
		snprintf(why, room, "%s", can || !reason ? "" : reason);
	return can;
}

/* --- fan out
 * --------------------------------------------------------------------------------------- */

struct fan {
	uint32_t count, next;
	uint64_t first_number;
	double per_s;
	int64_t start_ns;
	int (*one)(void *, uint32_t, int64_t);
	void *context;
	int failure;
	pthread_mutex_t lock;
};

/* Sleeps in slices, because an interruption has no signal. */
static void sleep_until(int64_t until_ns)
{
	int64_t now;

	while ((now = nova_now_ns()) < until_ns && !interrupted()) {
		int64_t rest = until_ns - now < 100000000 ? until_ns - now : 100000000;
		struct timespec nap = {.tv_nsec = rest};

		nanosleep(&nap, NULL);
	}
}

static void *fan_thread(void *argument)
{
	struct fan *fan = argument;

	for (;;) {
		int64_t intended;
		uint32_t i;
		int code;

		pthread_mutex_lock(&fan->lock);
		i = fan->next++;
		pthread_mutex_unlock(&fan->lock);
		if (i >= fan->count)
			break;
		intended = 0; /* nothing is intended in a closed loop */
		if (fan->per_s > 0) {
			intended = fan->start_ns + (int64_t)((double)i / fan->per_s * 1e9);
			sleep_until(intended);
		}
		reserved_number = fan->first_number + i + 1;
		code = interrupted() ? NOVA_E_INTERRUPTED : fan->one(fan->context, i, intended);
		reserved_number = 0;
		pthread_mutex_lock(&fan->lock);
		if (code && !fan->failure)
			fan->failure = code;
		pthread_mutex_unlock(&fan->lock);
	}
	remember(NULL, 0);
	return NULL;
}

static int run_fan(struct fan *fan, uint32_t threads)
{
	pthread_t *ids = nova_alloc(threads * sizeof(*ids));
	pthread_attr_t attributes;
	uint32_t started = 0;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, FAN_STACK);
	while (started < threads && !pthread_create(&ids[started], &attributes, fan_thread, fan))
		started++;
	pthread_attr_destroy(&attributes);
	if (!started) {
		nova_tellf(NOVA_LOG_ERROR,
		           "cannot start a thread; raise the limit on processes (ulimit -u)");
		fan->failure = NOVA_E_UNAVAILABLE;
	} else if (started < threads) {
		nova_tellf(NOVA_LOG_WARNING,
		           "only %u of %u threads could be started: concurrency is lower", started,
		           threads);
	}
	for (uint32_t i = 0; i < started; i++)
		pthread_join(ids[i], NULL);
	free(ids);
	return fan->failure;
}

static int lab_fan_out(nova_run run, uint32_t count, uint32_t limit, double per_s,
                       int (*one)(void *, uint32_t, int64_t), void *context)
{
	struct fan fan = {.count = count,
	                  .per_s = per_s,
	                  .one = one,
	                  .context = context,
	                  .start_ns = nova_now_ns(),
	                  .lock = PTHREAD_MUTEX_INITIALIZER};
	uint32_t threads = limit && limit < count ? limit : count;

	(void)run;
	if (!count)
		return NOVA_DONE;
	/* VM numbers by index, not by which thread comes first: a simulated run is the same each
	 * time. */
	nova_lock();
	fan.first_number = nova_worker.next_number;
	nova_worker.next_number += count;
	nova_unlock();
	return run_fan(&fan, threads < OVERALL_LIMIT ? threads : OVERALL_LIMIT);
}

/* --- images --------------------------------------------------------------------------------------
 */

int nova_lab_image_put(uint32_t target, const char *path, int64_t deadline_ns, char **name,
                       struct nova_error *error)
{
	struct instance *instance = nova_worker.targets[target];
	uint64_t number;
	struct op *op;
	int code;

	nova_lock();
	number = take_number();
	nova_unlock();
	*name = nova_format("%s%llu", nova_worker.prefix, (unsigned long long)number);
	code = intend(number, target, "image", *name);
	if (code)
		return nova_error_set(error, code, "the image's name could not be journaled");
	op = nova_op_new(instance, OP_IMAGE_PUT, deadline_ns);
	op->name = nova_strdup(*name);
	op->path = nova_strdup(path);
	code = nova_op_run(op, false);
	if (code)
		*error = op->error;
	nova_op_release(op);
	return code;
}

/* --- cleaning up
 * ------------------------------------------------------------------------------------ */

static int clean_one(void *context, uint32_t i, int64_t intended_ns)
{
	struct vm **left = context;
	int code;

	(void)intended_ns;
	code = delete_everywhere(left[i], 0, true);
	if (code == NOVA_DONE)
		vm_gone(left[i]);
	return code;
}

static void *clean_thread(void *argument)
{
	struct fan *fan = argument;

	for (;;) {
		uint32_t i;

		pthread_mutex_lock(&fan->lock);
		i = fan->next++;
		pthread_mutex_unlock(&fan->lock);
		if (i >= fan->count)
			break;
		clean_one(fan->context, i, 0);
	}
	remember(NULL, 0);
	return NULL;
}

uint32_t nova_lab_clean(void)
{
	struct vm **left = nova_alloc((nova_worker.vm_count + 1) * sizeof(*left));
	struct fan fan = {.context = left, .lock = PTHREAD_MUTEX_INITIALIZER};
	pthread_t threads[DELETE_LIMIT];
	uint32_t started = 0, remaining = 0;

	nova_lock();
	for (size_t i = 0; i < nova_worker.vm_count; i++)
		if (nova_worker.vms[i]->exists)
			left[fan.count++] = nova_worker.vms[i];
	nova_unlock();
	/* Not by fan_out: this must go on when the run is being interrupted. */
	while (started < DELETE_LIMIT && started < fan.count &&
	       !pthread_create(&threads[started], NULL, clean_thread, &fan))
		started++;
	for (uint32_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	for (uint32_t i = 0; i < fan.count; i++)
		remaining += left[i]->exists;
	free(left);
	for (size_t i = 0; i < nova_worker.net_count; i++) {
		struct net *net = nova_worker.nets[i];

		if (net->exists &&
		    !nova_lab_delete(net->instance, "net", net->name, NULL, false, NULL))
			net->exists = false;
		remaining += net->exists;
	}
	return remaining;
}

int nova_lab_delete(struct instance *instance, const char *kind, const char *name, const char *id,
                    bool moving, struct nova_error *error)
{
	struct vm vm = {.name = (char *)(uintptr_t)name, .id = (char *)(uintptr_t)id};
	bool is_vm = !strcmp(kind, "vm");
	struct op *op = nova_op_new(instance,
	                            is_vm                  ? OP_VM_DELETE
	                            : !strcmp(kind, "net") ? OP_NET_DELETE
	                                                   : OP_IMAGE_DELETE,
	                            or_default(0));
	int code;

	if (is_vm)
		nova_op_set_vm(op, &vm);
	op->name = nova_strdup(name);
	code = nova_op_run(op, true);
	if (code && error)
		*error = op->error;
	if (!code)
		nova_tell(json_pack("{ss ss}", "is", moving ? "settled" : "gone", "name", name));
	nova_op_release(op);
	return code;
}

static const struct nova_lab lab_table = {
        .struct_size = sizeof(struct nova_lab),
        .can = lab_can,
        .vm_create = lab_vm_create,
        .vm_power = lab_vm_power,
        .vm_delete = lab_vm_delete,
        .vm_query = lab_vm_query,
        .snapshot = lab_snapshot,
        .exec = lab_exec,
        .wait = lab_wait,
        .migrate = lab_migrate,
        .net_create = lab_net_create,
        .result = lab_result,
        .fan_out = lab_fan_out,
        .sample = lab_sample,
        .attempt = lab_attempt,
        .beats = lab_beats,
        .room = lab_room,
};

const struct nova_lab *nova_lab_table(void)
{
	return nova_trace_on ? nova_trace_lab(&lab_table) : &lab_table;
}
