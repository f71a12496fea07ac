/* SPDX-License-Identifier: MIT */
/* A created plugin in a worker: its host table, its parameters, its pump thread. */
#include "core/run/trace.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define PUMP_SLICE_NS (500 * INT64_C(1000000)) /* with `wake` */
#define PUMP_SHORT_NS (10 * INT64_C(1000000))  /* without */
#define GOODBYE_NS    (3 * INT64_C(1000000000))
#define ID_BYTES_MAX  4096
#define FACTS_MAX     200 /* that a target may tell of itself, all in a packet that fits */
#define FACT_KEY_MAX  64
#define FACT_TEXT_MAX 1024
#define FACTS_BYTES   (24 * 1024)

static struct instance **instances;
static size_t instance_count;

/* The mutex of each SERIAL plugin, shared by its instances. */
static struct {
	char *plugin;
	pthread_mutex_t turn;
} serial[16];

struct instance *nova_instance_find(uint64_t number)
{
	for (size_t i = 0; i < instance_count; i++)
		if (instances[i]->op->number == number)
			return instances[i];
	return NULL;
}

/* --- host table: ops ----------------------------------------------------------------------------
 */

static void host_done(nova_op number, int32_t status)
{
	int64_t at_ns = nova_now_ns(); /* before any lock: it ends what is measured */
	struct op *op = nova_op_hold(number);

	if (!op) { /* the op was given up, or never was */
		nova_trace_late(number, "done", NULL);
		return;
	}
	nova_op_done(op, status, at_ns);
	nova_op_release(op);
}

static int host_error(nova_op number, int32_t code, const char *text)
{
	struct op *op = nova_op_hold(number);

	if (code >= 0)
		code = NOVA_E_INTERNAL;
	if (!op)
		return code;
	nova_lock();
	if (!op->error.code) {
		nova_error_set(&op->error, code, "%s", text ? text : "");
	} else if (text && !strstr(op->error.text, text)) {
		char first[sizeof(op->error.text)];

		memcpy(first, op->error.text, sizeof(first));
		nova_error_set(&op->error, op->error.code, "%s; cause: %s", first, text);
	}
	nova_unlock();
	nova_op_release(op);
	return code;
}

static int host_errorf(nova_op op, int32_t code, const char *format, ...)
{
	/* Not cut here: half a secret would not be known for one. */
	NOVA_AUTOFREE char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	return host_error(op, code, text);
}

static int64_t host_deadline_ns(nova_op number)
{
	struct op *op = nova_op_hold(number);
	int64_t deadline = op ? op->deadline_ns : nova_now_ns();

	nova_op_release(op);
	return deadline;
}

static int host_cancelled(nova_op number)
{
	struct op *op = nova_op_hold(number);
	int cancelled = 1;

	if (op) {
		nova_lock();
		cancelled = op->given_up;
		nova_unlock();
	}
	nova_op_release(op);
	return cancelled;
}

/* --- host table: results ------------------------------------------------------------------------
 */

static int put(nova_op number, const struct value *value)
{
	struct op *op = nova_op_hold(number);
	int code = op ? nova_op_put(op, value) : NOVA_E_NOT_FOUND;

	nova_op_release(op);
	if (code == NOVA_E_NOT_FOUND)
		nova_trace_late(number, "put",
		                json_pack("{so}", "field",
		                          nova_trace_name(NOVA_TRACE_FIELD, value->field)));
	return code;
}

static int host_put_i64(nova_op op, uint32_t field, int64_t number)
{
	return put(op, &(struct value){.field = field, .i64 = number, .f64 = (double)number});
}

static int host_put_f64(nova_op op, uint32_t field, double number)
{
	return put(op, &(struct value){.field = field, .f64 = number});
}

static int host_put_bytes(nova_op op, uint32_t field, const void *bytes, uint64_t count)
{
	return put(op, &(struct value){
	                       .field = field, .bytes = (char *)(uintptr_t)bytes, .count = count});
}

/* A VM's identity is journaled as soon as it is known: the op may still fail, or this process die.
 */
static void journal_id(nova_op number, const char *id)
{
	struct op *op = nova_op_hold(number);
	NOVA_AUTOFREE char *clean = nova_format("%.*s", ID_BYTES_MAX, id);

	nova_text_clean(clean);
	if (op && op->ref_name && op->ref.vm)
		nova_tell(json_pack("{ss ss ss}", "is", "id", "name", op->ref_name, "id", clean));
	nova_op_release(op);
}

static int host_put_fact(nova_op op, uint32_t field, const char *key, const char *text)
{
	if (field == NOVA_FIELD_ID && text)
		journal_id(op, text);
	return put(op, &(struct value){.field = field,
	                               .key = (char *)(uintptr_t)(key ? key : ""),
	                               .bytes = (char *)(uintptr_t)text,
	                               .count = text ? strlen(text) : 0,
	                               .is_null = !text});
}

/* --- host table: events, parameters, the rest ----------------------------------------------------
 */

static int host_event(nova_op number, const struct nova_event *event)
{
	struct nova_event e;
	struct vm *vm;

	nova_struct_take(&e, sizeof(e), event);
	if (!e.name)
		return NOVA_E_INVALID;
	nova_lock();
	vm = nova_vm_by_name(e.name);
	if (vm)
		nova_vm_stamp(vm, &(struct stamp){e.kind, e.source, e.t_ns, e.resolution_ns});
	nova_unlock();
	if (nova_trace_on)
		nova_trace_event(nova_instance_find(number), &e, vm);
	return vm ? NOVA_DONE : NOVA_E_NOT_FOUND;
}

static const json_t *param(uint64_t number, const char *name, uint32_t index)
{
	struct instance *instance = nova_instance_find(number);
	const json_t *value = instance ? json_object_get(instance->params, name) : NULL;

	if (json_is_array(value))
		return json_array_get(value, index);
	return index ? NULL : value;
}

static int host_param_i64(uint64_t instance, const char *name, uint32_t index, int64_t *out)
{
	const json_t *value = param(instance, name, index);

	if (json_is_boolean(value))
		*out = json_boolean_value(value);
	else if (json_is_integer(value))
		*out = json_integer_value(value);
	else
		return NOVA_E_NOT_FOUND;
	return NOVA_DONE;
}

static int host_param_f64(uint64_t instance, const char *name, uint32_t index, double *out)
{
	const json_t *value = param(instance, name, index);

	if (!json_is_number(value))
		return NOVA_E_NOT_FOUND;
	*out = json_number_value(value);
	return NOVA_DONE;
}

/* Text of numbers is made once and kept in the parameters under a name that none can have. */
static const char *host_param_text(uint64_t number, const char *name, uint32_t index)
{
	const json_t *value = param(number, name, index);
	struct instance *instance = nova_instance_find(number);
	NOVA_AUTOFREE char *key = NULL, *text = NULL;
	const char *kept;

	if (!value || json_is_string(value))
		return json_string_value(value);
	key = nova_format("=%s[%u]", name, index);
	text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	nova_lock();
	if (!json_object_get(instance->params, key))
		json_object_set_new(instance->params, key, json_string(text));
	kept = json_string_value(json_object_get(instance->params, key));
	nova_unlock();
	return kept;
}

static int64_t host_now_ns(void)
{
	return nova_now_ns();
}

static void host_log(uint64_t number, uint32_t severity, const char *text)
{
	struct instance *instance = nova_instance_find(number);

	nova_tellf(severity >= NOVA_SAY_WARNING ? NOVA_LOG_WARNING
	           : severity == NOVA_SAY_INFO  ? NOVA_LOG_INFO
	                                        : NOVA_LOG_DEBUG,
	           "%s: %s", instance ? instance->plugin : "plugin", text ? text : "");
}

static const char *host_directory(uint64_t number, uint32_t which)
{
	struct instance *instance = nova_instance_find(number);

	if (!instance || which < NOVA_DIRECTORY_STATE || which > NOVA_DIRECTORY_CACHE)
		return NULL;
	return instance->directories[which];
}

static int host_process(uint64_t number, const struct nova_exec *exec,
                        void (*output)(void *context, uint32_t field, const void *bytes,
                                       uint64_t count),
                        void *context, int32_t *status)
{
	struct op *op = nova_op_hold(number);
	struct nova_child_result result = {0};
	struct nova_error error = {0};
	struct nova_child child = {
	        .argv = exec->argv,
	        .env = exec->env,
	        .input = exec->input,
	        .input_bytes = exec->input_bytes,
	        .deadline_ns = op ? op->deadline_ns : nova_now_ns() + nova_worker.op_timeout_ns,
	};
	int code = nova_child_run(&child, &result, &error);

	if (code) {
		host_error(number, code, error.text);
	} else {
		if (output && result.output.length)
			output(context, NOVA_FIELD_STDOUT, result.output.data,
			       result.output.length);
		if (output && result.errors.length)
			output(context, NOVA_FIELD_STDERR, result.errors.data,
			       result.errors.length);
		*status = result.status;
	}
	nova_child_result_free(&result);
	nova_op_release(op);
	return code;
}

static const struct nova_host host_table = {
        .struct_size = sizeof(struct nova_host),
        .abi_minor = NOVA_ABI_MINOR,
        .done = host_done,
        .error = host_error,
        .errorf = host_errorf,
        .deadline_ns = host_deadline_ns,
        .cancelled = host_cancelled,
        .put_i64 = host_put_i64,
        .put_f64 = host_put_f64,
        .put_bytes = host_put_bytes,
        .put_fact = host_put_fact,
        .event = host_event,
        .param_i64 = host_param_i64,
        .param_f64 = host_param_f64,
        .param_text = host_param_text,
        .now_ns = host_now_ns,
        .log = host_log,
        .directory = host_directory,
        .process = host_process,
};

const struct nova_host *nova_host_table(void)
{
	return &host_table;
}

/* --- instances ----------------------------------------------------------------------------------
 */

static pthread_mutex_t *serial_turn(const char *plugin)
{
	for (size_t i = 0; i < NOVA_COUNT(serial); i++) {
		if (!serial[i].plugin) {
			serial[i].plugin = nova_strdup(plugin);
			pthread_mutex_init(&serial[i].turn, NULL);
		}
		if (!strcmp(serial[i].plugin, plugin))
			return &serial[i].turn;
	}
	return &serial[0].turn; /* more than 16 plugins in a step: they only share a lock */
}

static char *make_directory(enum nova_place place, const char *plugin)
{
	NOVA_AUTOFREE char *below = nova_format("plugins/%s", plugin);
	char *path = nova_place(place, below);

	nova_directory_make(path, 0755, NULL);
	return path;
}

struct instance *nova_instance_new(uint32_t kind, const char *plugin, uint32_t target,
                                   json_t *params, uint32_t thread_model)
{
	struct instance *instance = nova_alloc(sizeof(*instance));

	instance->op = nova_op_new(instance, 0, INT64_MAX);
	instance->kind = kind;
	instance->plugin = nova_strdup(plugin);
	instance->target = target;
	instance->params = json_incref(params);
	instance->host = host_table;
	instance->thread_model = thread_model;
	instance->facts = json_object();
	instance->capabilities = json_object();
	pthread_mutex_init(&instance->own_turn, NULL);
	if (thread_model == NOVA_THREADS_SERIAL)
		instance->turn = serial_turn(plugin);
	else if (thread_model != NOVA_THREADS_PARALLEL)
		instance->turn = &instance->own_turn;
	instance->directories[NOVA_DIRECTORY_STATE] = make_directory(NOVA_PLACE_STATE, plugin);
	instance->directories[NOVA_DIRECTORY_CACHE] = make_directory(NOVA_PLACE_CACHE, plugin);
	instance->directories[NOVA_DIRECTORY_RUN] =
	        nova_format("%s/%s", nova_worker.directory, plugin);
	nova_directory_make(instance->directories[NOVA_DIRECTORY_RUN], 0755, NULL);
	instances = nova_grow(instances, instance_count, sizeof(*instances));
	instances[instance_count++] = instance;
	return instance;
}

static void *pump_thread(void *argument)
{
	struct instance *instance = argument;
	int64_t slice = instance->driver.wake ? PUMP_SLICE_NS : PUMP_SHORT_NS;

	while (!atomic_load(&instance->stop)) {
		if (instance->turn) {
			struct timespec yield = {.tv_nsec = 20000};

			/* Mutexes are not fair: let those who wait in first. */
			if (atomic_load(&instance->waiting)) {
				nanosleep(&yield, NULL);
				continue;
			}
			pthread_mutex_lock(instance->turn);
		}
		instance->driver.pump(instance->self, nova_now_ns() + slice);
		if (instance->turn)
			pthread_mutex_unlock(instance->turn);
	}
	return NULL;
}

/* Runs an op of the opening, and moves its error to `error`. */
static struct op *open_op(struct instance *instance, enum op_kind kind, struct nova_error *error)
{
	struct op *op = nova_op_new(instance, kind, nova_now_ns() + nova_worker.op_timeout_ns);

	if (nova_op_run(op, false) != NOVA_DONE) {
		*error = op->error;
		nova_op_release(op);
		return NULL;
	}
	return op;
}

/* As much of a text as is told; what a terminal must not be sent is taken out. */
static char *tellable(const char *text, size_t limit)
{
	char *clean = nova_strdup(text);

	nova_secret_redact(clean); /* before it is cut: half a secret is not known for one */
	if (strlen(clean) > limit)
		clean[limit] = 0;
	nova_text_clean(clean);
	return clean;
}

static void learn(struct instance *instance, const struct op *op)
{
	size_t bytes = 0, count = 0;

	for (size_t i = 0; i < op->value_count; i++) {
		const struct value *value = &op->values[i];
		json_t *to = value->field == NOVA_FIELD_FACT         ? instance->facts
		             : value->field == NOVA_FIELD_CAPABILITY ? instance->capabilities
		                                                     : NULL;
		NOVA_AUTOFREE char *key = tellable(value->key ? value->key : "", FACT_KEY_MAX);
		NOVA_AUTOFREE char *text =
		        tellable(value->bytes ? value->bytes : "", FACT_TEXT_MAX);

		if (!to)
			continue;
		bytes += strlen(key) + strlen(text) + 16;
		if (++count > FACTS_MAX || bytes > FACTS_BYTES) {
			nova_tellf(NOVA_LOG_WARNING,
			           "%s tells more of its target than fits; the rest is left out",
			           instance->plugin);
			return;
		}
		json_object_set_new(to, key, value->is_null ? json_null() : json_string(text));
	}
}

int nova_instance_open(struct instance *instance, const struct nova_hypervisor *driver,
                       struct nova_error *error)
{
	struct nova_trace_span span;
	struct op *op;
	int code;

	memcpy(&instance->driver, driver,
	       driver->struct_size < sizeof(*driver) ? driver->struct_size : sizeof(*driver));
	span = nova_trace_plugin("create", instance->kind, instance->plugin);
	code = instance->driver.create(&instance->host, instance->op->number, &instance->self);
	nova_trace_plugin_end(&span, code, instance->op->error.text);
	if (code != NOVA_DONE) {
		instance->self = NULL;
		*error = instance->op->error;
		if (!error->code)
			nova_error_set(error, code, "the driver %s could not be created",
			               instance->plugin);
		return error->code;
	}
	if (instance->driver.pump) {
		code = pthread_create(&instance->pump, NULL, pump_thread, instance);
		if (code)
			return nova_error_set(error, NOVA_E_UNAVAILABLE,
			                      "cannot start a thread: %s", strerror(code));
		instance->pumping = true;
	}
	op = open_op(instance, OP_CONNECT, error);
	if (!op)
		return error->code;
	nova_op_release(op);
	op = open_op(instance, OP_DESCRIBE, error);
	if (!op)
		return error->code;
	learn(instance, op);
	nova_op_release(op);
	return 0;
}

/* What a driver has got from its target it gives back. That it cannot costs nothing but a word. */
static void disconnect(struct instance *instance)
{
	struct op *op;

	if (!instance->driver.disconnect)
		return;
	op = nova_op_new(instance, OP_DISCONNECT, nova_now_ns() + GOODBYE_NS);
	if (nova_op_run(op, true) != NOVA_DONE)
		nova_tellf(NOVA_LOG_INFO, "%s could not log out: %s", instance->plugin,
		           op->error.text);
	nova_op_release(op);
}

void nova_instance_close(struct instance *instance)
{
	if (instance && instance->self && !instance->tainted)
		disconnect(instance);
	/* A call that hangs inside the driver makes destroy unsafe: the process ends soon anyway.
	 */
	if (!instance || instance->tainted || !instance->self)
		return;
	if (instance->pumping) {
		atomic_store(&instance->stop, true);
		if (instance->driver.wake)
			instance->driver.wake(instance->self);
		pthread_join(instance->pump, NULL);
		instance->pumping = false;
	}
	if (instance->driver.destroy) {
		struct nova_trace_span span =
		        nova_trace_plugin("destroy", instance->kind, instance->plugin);

		instance->driver.destroy(instance->self);
		nova_trace_plugin_end(&span, 0, NULL);
	}
	instance->self = NULL;
}
