/* SPDX-License-Identifier: MIT */
/*
 * A worker: loads the plugins of one step, and does what the parent says, packet by packet. The
 * main thread reads packets; a second thread opens, replicates, sweeps and closes, so that a "stop"
 * is heard while a replicate runs.
 */
#include "core/run/trace.h"

#include "core/plugin/plugin.h"
#include "core/run/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define SAY_MAX 4000 /* bytes of a message */

struct nova_worker nova_worker = {
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .sending = PTHREAD_MUTEX_INITIALIZER,
        .answered = PTHREAD_COND_INITIALIZER,
};

/* The packet that the second thread is to handle next. */
static json_t *pending;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
static bool set_up;

void nova_tell(json_t *packet)
{
	struct nova_error error = {0};
	int code;

	pthread_mutex_lock(&nova_worker.sending);
	code = nova_wire_send(nova_worker.fd, packet, &error);
	pthread_mutex_unlock(&nova_worker.sending);
	if (code == NOVA_E_IO)
		_exit(0); /* the parent is gone */
}

void nova_tellf(uint32_t level, const char *format, ...)
{
	NOVA_AUTOFREE char *text = NULL;
	json_t *json;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	nova_secret_redact(text);
	if (text && strlen(text) > SAY_MAX)
		text[SAY_MAX] = 0;
	nova_text_clean(text); /* after it was cut: a character may have been, too */
	json = json_string(text ? text : "");
	nova_tell(json_pack("{ss sI so}", "is", "say", "level", (json_int_t)level, "text", json));
}

/* --- open
 * ----------------------------------------------------------------------------------------- */

static void say_loading(uint32_t kind, const char *plugin, const char *stage)
{
	nova_tell(json_pack("{ss sI ss ss}", "is", "loading", "kind", (json_int_t)kind, "plugin",
	                    plugin, "stage", stage));
}

/* Whether it can work here at all; the plugin's own sentence if not. */
static int probe(const struct nova_plugin *plugin, struct instance *instance,
                 struct nova_error *error)
{
	struct nova_trace_span span;
	struct op *op;
	int code;

	if (!NOVA_HAS(plugin, struct nova_plugin, probe) || !plugin->probe)
		return 0;
	op = nova_op_new(instance, 0, nova_now_ns() + 5 * NOVA_SECOND_NS);
	span = nova_trace_plugin("probe", instance->kind, instance->plugin);
	code = plugin->probe(&instance->host, op->number);
	nova_trace_plugin_end(&span, code, op->error.text);
	if (code == NOVA_PENDING || code > 0)
		nova_error_set(&op->error, code = NOVA_E_INTERNAL,
		               "probe of %s did not end at once", instance->plugin);
	if (code && !op->error.code)
		nova_error_set(&op->error, code, "%s is not available here and does not say why",
		               instance->plugin);
	if (code)
		*error = op->error;
	nova_op_forget(op);
	nova_op_release(op);
	return code;
}

static struct instance *load(uint32_t kind, uint32_t target, const json_t *what, const void **ops,
                             struct nova_error *error)
{
	const struct nova_plugin *plugin;
	enum nova_refusal_reason reason = 0;
	const char *name = nova_json_text(what, "plugin");
	struct instance *instance;
	struct nova_trace_span span;
	int code;

	say_loading(kind, name, "load");
	span = nova_trace_plugin("load", kind, name);
	code = nova_plugin_load(nova_json_text(what, "path"), kind, name,
	                        nova_json_text(what, "sha256"), nova_host_table(), &plugin, &reason,
	                        error);
	nova_trace_plugin_end(&span, code, error->text);
	if (code) {
		if (reason)
			nova_tell(json_pack("{ss sI ss sI ss}", "is", "refused", "kind",
			                    (json_int_t)kind, "plugin", name, "reason",
			                    (json_int_t)reason, "text", error->text));
		return NULL;
	}
	instance = nova_instance_new(kind, name, target, json_object_get(what, "params"),
	                             plugin->thread_model);
	instance->boot = json_incref(json_object_get(what, "boot"));
	say_loading(kind, name, "probe");
	if (probe(plugin, instance, error))
		return NULL;
	*ops = plugin->ops;
	return instance;
}

/* Has the driver start the twin of a target that is open, and gives it that URI. `*lack`: why it
 * cannot. */
static int start_twin(json_t *target, char **lack, struct nova_error *error)
{
	uint64_t of = (uint64_t)json_integer_value(json_object_get(target, "twin_of"));
	struct instance *first = of < nova_worker.target_count ? nova_worker.targets[of] : NULL;
	const struct value *uri;
	const char *why;
	struct op *op;
	int code;

	if (!first)
		return nova_error_set(error, NOVA_E_PROTOCOL, "a twin of no target");
	why = json_string_value(json_object_get(first->capabilities, NOVA_CAN_TWIN));
	if (why) {
		*lack = nova_format("%s cannot start a second target here: %s", first->plugin, why);
		return 0;
	}
	op = nova_op_new(first, OP_TWIN, nova_now_ns() + nova_worker.op_timeout_ns);
	code = nova_op_run(op, false);
	uri = nova_op_value(op, NOVA_FIELD_URI, 0, NULL);
	if (code)
		*error = op->error;
	else if (!uri || !uri->bytes)
		code = nova_error_set(error, NOVA_E_PROTOCOL,
		                      "the driver %s started a twin and does not say where",
		                      first->plugin);
	else
		json_object_set_new(json_object_get(target, "params"), "uri",
		                    json_string(uri->bytes));
	nova_op_release(op);
	return code;
}

static int open_targets(const json_t *packet, char **lack, struct nova_error *error)
{
	json_t *targets = json_object_get(packet, "targets"), *target;
	size_t index;
	int code;

	nova_worker.targets =
	        nova_alloc((json_array_size(targets) + 1) * sizeof(struct instance *));
	json_array_foreach(targets, index, target)
	{
		const void *ops;
		struct instance *instance;

		if (json_object_get(target, "twin_of")) {
			code = start_twin(target, lack, error);
			if (code || *lack)
				return code;
		}
		instance = load(NOVA_KIND_HYPERVISOR, (uint32_t)index, target, &ops, error);
		if (!instance)
			return error->code;
		say_loading(NOVA_KIND_HYPERVISOR, instance->plugin, "open");
		nova_worker.targets[nova_worker.target_count++] = instance;
		code = nova_instance_open(instance, ops, error);
		if (code)
			return nova_error_prefix(error, "target %s",
			                         nova_json_text(target, "name"));
	}
	return 0;
}

static int open_benchmark(const json_t *packet, uint32_t *width, struct nova_error *error)
{
	const json_t *what = json_object_get(packet, "benchmark");
	const struct nova_benchmark *ops;
	struct nova_trace_span span;
	const void *pointer;
	int code;

	if (!what)
		return 0; /* a sweep, or a look at the targets */
	nova_worker.benchmark = load(NOVA_KIND_BENCHMARK, 0, what, &pointer, error);
	if (!nova_worker.benchmark)
		return error->code;
	ops = pointer;
	memcpy(&nova_worker.ops, ops,
	       ops->struct_size < sizeof(*ops) ? ops->struct_size : sizeof(*ops));
	nova_worker.lab = *nova_lab_table();
	nova_worker.lab.targets = nova_worker.target_count;
	say_loading(NOVA_KIND_BENCHMARK, nova_worker.benchmark->plugin, "open");
	span = nova_trace_plugin("create", NOVA_KIND_BENCHMARK, nova_worker.benchmark->plugin);
	code = nova_worker.ops.create(&nova_worker.benchmark->host, &nova_worker.lab,
	                              nova_worker.benchmark->op->number, &nova_worker.self);
	nova_trace_plugin_end(&span, code, nova_worker.benchmark->op->error.text);
	if (code) {
		*error = nova_worker.benchmark->op->error;
		nova_worker.self = NULL;
		return error->code
		               ? error->code
		               : nova_error_set(error, code, "the benchmark could not be created");
	}
	*width = nova_worker.ops.width ? nova_worker.ops.width(nova_worker.self) : 1;
	return 0;
}

/* A target that says it cannot boot VMs of the configured kind; one that says nothing may try. */
static char *find_boot_lack(const struct instance *target)
{
	static const char *const names[] = {[NOVA_BOOT_DIRECT] = NOVA_CAN_DIRECT,
	                                    [NOVA_BOOT_DISK] = NOVA_CAN_DISK,
	                                    [NOVA_BOOT_STUB] = NOVA_CAN_STUB,
	                                    [NOVA_BOOT_TEMPLATE] = NOVA_CAN_TEMPLATE};
	json_int_t boot = json_integer_value(nova_lab_configured(target, "boot"));
	const char *why = json_string_value(json_object_get(target->boot, "lacks"));

	if (why)
		return nova_strdup(why);
	if (boot < NOVA_BOOT_DIRECT || boot > NOVA_BOOT_TEMPLATE)
		return NULL;
	why = json_string_value(json_object_get(target->capabilities, names[boot]));
	return why ? nova_format("%s cannot boot %s: %s", target->plugin, names[boot], why) : NULL;
}

/* Between two kinds of hypervisor nothing migrates live, whatever each can do with its own kind:
 * what there is to measure then is the benchmark's to say. */
static bool of_one_kind(void)
{
	for (uint32_t t = 1; t < nova_worker.target_count; t++)
		if (strcmp(nova_worker.targets[t]->plugin, nova_worker.targets[0]->plugin) != 0)
			return false;
	return true;
}

/* The first of the benchmark's needs that a target lacks, as a sentence; NULL if none. */
static char *find_lack(void)
{
	bool one_kind = of_one_kind();

	char why[512], *lack = NULL;

	for (uint32_t t = 0; !lack && t < nova_worker.target_count; t++) {
		const char *plugin = nova_worker.targets[t]->plugin;

		for (size_t i = 0; nova_worker.ops.needs && nova_worker.ops.needs[i]; i++)
			if ((one_kind || strcmp(nova_worker.ops.needs[i], NOVA_CAN_MIGRATE) != 0) &&
			    !nova_worker.lab.can(0, t, nova_worker.ops.needs[i], why, sizeof(why)))
				return nova_format("%s cannot %s: %s", plugin,
				                   nova_worker.ops.needs[i], why);
		lack = find_boot_lack(nova_worker.targets[t]);
	}
	return lack;
}

/* As they stand in a URL, too. */
static void learn_secret(const char *secret)
{
	NOVA_AUTOTEXT struct nova_text quoted = {0};

	nova_secret_add(secret);
	for (const char *c = secret; c && *c; c++)
		if (strchr("-._~", *c) || (*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') ||
		    (*c >= 'A' && *c <= 'Z'))
			nova_text_add_bytes(&quoted, c, 1);
		else
			nova_text_addf(&quoted, "%%%02X", (unsigned char)*c);
	nova_secret_add(quoted.data);
}

/* What plugins say is to be printed, stored and traced without them. */
static void learn_secrets(const json_t *packet)
{
	json_t *target, *name, *value, *item;
	size_t i, j, k;

	json_array_foreach(json_object_get(packet, "targets"), i, target)
	        json_array_foreach(json_object_get(target, "secrets"), j, name)
	{
		value = json_object_get(json_object_get(target, "params"), json_string_value(name));
		learn_secret(json_string_value(value));
		json_array_foreach(value, k, item) learn_secret(json_string_value(item));
	}
}

/* Of a twin only: of the others the parent knows it, and it may hold a password. */
static json_t *twin_uri(const json_t *packet, uint32_t t)
{
	const json_t *target = json_array_get(json_object_get(packet, "targets"), t);

	return json_object_get(target, "twin_of")
	               ? json_object_get(json_object_get(target, "params"), "uri")
	               : NULL;
}

static void do_open(const json_t *packet)
{
	NOVA_AUTOFREE char *lack = NULL;
	struct nova_error error = {0};
	json_t *answer, *targets = json_array();
	uint32_t width = 1;
	int code;

	nova_worker.run = nova_strdup(nova_wire_text(packet, "run"));
	nova_worker.prefix = nova_strdup(nova_wire_text(packet, "prefix"));
	nova_worker.directory = nova_strdup(nova_wire_text(packet, "directory"));
	nova_worker.next_number = (uint64_t)nova_wire_i64(packet, "number");
	nova_worker.op_timeout_ns = nova_wire_i64(packet, "op_timeout_ns");
	nova_worker.ready_timeout_ns = nova_wire_i64(packet, "ready_timeout_ns");
	nova_worker.max_vms = (uint64_t)nova_wire_i64(packet, "max_vms");
	nova_worker.shape = json_incref(json_object_get(packet, "shape"));
	nova_worker.limits = json_incref(json_object_get(packet, "limits"));
	learn_secrets(packet);
	nova_trace_start(packet);
	code = open_targets(packet, &lack, &error);
	if (!code && !lack)
		code = open_benchmark(packet, &width, &error);
	if (!code && !lack)
		lack = find_lack();
	nova_room_begin();
	for (uint32_t t = 0; t < nova_worker.target_count; t++)
		json_array_append_new(
		        targets, json_pack("{sO sO sO*}", "facts", nova_worker.targets[t]->facts,
		                           "capabilities", nova_worker.targets[t]->capabilities,
		                           "uri", twin_uri(packet, t)));
	answer = json_pack("{ss sI ss sI so}", "is", "opened", "code", (json_int_t)code, "text",
	                   error.text, "width", (json_int_t)width, "targets", targets);
	if (lack)
		json_object_set_new(answer, "lacks", json_string(lack));
	nova_tell(answer);
}

/* --- replicate, sweep, close
 * ------------------------------------------------------------------------ */

static bool tainted(void)
{
	for (uint32_t t = 0; t < nova_worker.target_count; t++)
		if (nova_worker.targets[t]->tainted)
			return true;
	return false;
}

static int replicate(uint32_t index)
{
	const struct instance *benchmark = nova_worker.benchmark;
	nova_run run = benchmark->op->number;
	struct nova_trace_span span;
	int code = 0;

	if (!set_up && nova_worker.ops.setup) {
		span = nova_trace_plugin("setup", NOVA_KIND_BENCHMARK, benchmark->plugin);
		code = nova_worker.ops.setup(nova_worker.self, run);
		nova_trace_plugin_end(&span, code, benchmark->op->error.text);
	}
	set_up = !code;
	if (code)
		return code;
	span = nova_trace_plugin("replicate", NOVA_KIND_BENCHMARK, benchmark->plugin);
	code = nova_worker.ops.replicate(nova_worker.self, run, index, nova_worker.side);
	nova_trace_plugin_end(&span, code, benchmark->op->error.text);
	return code;
}

static void do_replicate(const json_t *packet)
{
	struct nova_error error = {0};
	uint32_t left;
	int code = NOVA_E_INVALID;

	nova_worker.side = (uint32_t)nova_wire_i64(packet, "side");
	if (nova_worker.benchmark)
		code = replicate((uint32_t)nova_wire_i64(packet, "index"));
	if (code) {
		error = nova_worker.benchmark ? nova_worker.benchmark->op->error : error;
		if (!error.code)
			nova_error_set(&error, code, "%s",
			               atomic_load(&nova_worker.interrupted)
			                       ? "interrupted"
			                       : "the benchmark gave up");
		if (atomic_load(&nova_worker.interrupted))
			code = NOVA_E_INTERRUPTED;
	}
	left = nova_lab_clean();
	if (left)
		nova_tellf(NOVA_LOG_WARNING,
		           "%u objects could not be deleted; novacore clean tries again", left);
	nova_tell(json_pack("{ss sI ss sb}", "is", "replicated", "code", (json_int_t)code, "text",
	                    error.text, "tainted", tainted()));
}

/* "novacore-<installation>-<run>-<n>": does its run stand in `busy`? */
static bool is_busy(const json_t *busy, const char *name, const char *prefix)
{
	const char *run = name + strlen(prefix);
	size_t index, length = strcspn(run, "-");
	json_t *entry;

	json_array_foreach(busy, index,
	                   entry) if (json_string_length(entry) == length &&
	                              !strncmp(json_string_value(entry), run, length)) return true;
	return false;
}

/* VMs that carry our installation's prefix and are in no journal: after a lost database. */
static int sweep_strays(struct instance *instance, const char *prefix, const json_t *busy,
                        struct nova_error *error)
{
	struct op *op =
	        nova_op_new(instance, OP_VM_LIST, nova_now_ns() + nova_worker.op_timeout_ns);
	int left = 0;

	op->name = nova_strdup(prefix);
	if (nova_op_run(op, true) != NOVA_DONE) {
		*error = op->error;
		left = 1;
	}
	for (size_t i = 0; i < op->value_count; i++) {
		const struct value *vm = &op->values[i];

		if (vm->field != NOVA_FIELD_VM || !vm->key ||
		    strncmp(vm->key, prefix, strlen(prefix)) || is_busy(busy, vm->key, prefix))
			continue;
		left += nova_lab_delete(instance, "vm", vm->key, vm->bytes, false, error) != 0;
	}
	nova_op_release(op);
	return left;
}

static void do_sweep(const json_t *packet)
{
	json_t *objects = json_object_get(packet, "objects"), *object;
	uint64_t target = (uint64_t)nova_wire_i64(packet, "target");
	const char *prefix = nova_wire_text(packet, "prefix");
	struct nova_error error = {0};
	struct instance *instance;
	int64_t left = 0;
	size_t index;

	if (target >= nova_worker.target_count) {
		nova_tell(json_pack("{ss sI ss sI}", "is", "swept", "code",
		                    (json_int_t)NOVA_E_INVALID, "text", "there is no such target",
		                    "left", (json_int_t)0));
		return;
	}
	instance = nova_worker.targets[target];
	json_array_foreach(objects, index, object)
	{
		const char *id = json_string_value(json_object_get(object, "id"));

		left += nova_lab_delete(instance, nova_json_text(object, "kind"),
		                        nova_json_text(object, "name"), id,
		                        json_is_true(json_object_get(object, "moving")),
		                        &error) != 0;
	}
	if (prefix && *prefix)
		left += sweep_strays(instance, prefix, json_object_get(packet, "busy"), &error);
	nova_tell(json_pack("{ss sI ss sI}", "is", "swept", "code", (json_int_t)error.code, "text",
	                    error.text, "left", (json_int_t)left));
}

/* Its deadline is the parent's: it knows how large the file is. */
static void do_image(const json_t *packet)
{
	int64_t deadline_ns = nova_now_ns() + nova_wire_i64(packet, "patience_ns");
	NOVA_AUTOFREE char *name = NULL;
	struct nova_error error = {0};
	int code = NOVA_E_INVALID;

	if (nova_worker.target_count)
		code = nova_lab_image_put(0, nova_wire_text(packet, "path"), deadline_ns, &name,
		                          &error);
	nova_tell(json_pack("{ss sI ss ss}", "is", "stored", "code", (json_int_t)code, "text",
	                    error.text, "name", name ? name : ""));
}

static void close_benchmark(void)
{
	const struct instance *benchmark = nova_worker.benchmark;
	struct nova_trace_span span;

	if (!benchmark || !nova_worker.self)
		return;
	if (set_up && nova_worker.ops.teardown) {
		span = nova_trace_plugin("teardown", NOVA_KIND_BENCHMARK, benchmark->plugin);
		nova_worker.ops.teardown(nova_worker.self, benchmark->op->number);
		nova_trace_plugin_end(&span, 0, NULL);
	}
	if (nova_worker.ops.destroy && !tainted()) {
		span = nova_trace_plugin("destroy", NOVA_KIND_BENCHMARK, benchmark->plugin);
		nova_worker.ops.destroy(nova_worker.self);
		nova_trace_plugin_end(&span, 0, NULL);
	}
}

static void do_close(void)
{
	close_benchmark();
	for (uint32_t t = nova_worker.target_count; t-- > 0;)
		nova_instance_close(nova_worker.targets[t]);
	/* Not exit(): client libraries' threads may still run. */
	_exit(0);
}

/* --- packets
 * ---------------------------------------------------------------------------------------- */

static void *act(void *unused)
{
	(void)unused;
	for (;;) {
		NOVA_AUTOJSON json_t *packet = NULL;
		const char *is;

		nova_lock();
		while (!pending)
			pthread_cond_wait(&arrived, &nova_worker.lock);
		packet = pending;
		pending = NULL;
		nova_unlock();
		is = nova_wire_is(packet);
		if (!strcmp(is, "open"))
			do_open(packet);
		else if (!strcmp(is, "replicate"))
			do_replicate(packet);
		else if (!strcmp(is, "sweep"))
			do_sweep(packet);
		else if (!strcmp(is, "image"))
			do_image(packet);
		else if (!strcmp(is, "close"))
			do_close();
	}
	return NULL;
}

static void answer_intent(const json_t *packet)
{
	uint64_t number = (uint64_t)nova_wire_i64(packet, "number");

	nova_lock();
	for (struct intent *intent = nova_worker.intents; intent; intent = intent->next)
		if (intent->number == number) {
			intent->answered = true;
			intent->code = (int)nova_wire_i64(packet, "code");
		}
	pthread_cond_broadcast(&nova_worker.answered);
	nova_unlock();
}

static void settle_in(void)
{
	struct rlimit files;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	unsetenv("LD_BIND_NOW"); /* QEMU would inherit it */
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

int nova_worker_main(int fd)
{
	struct nova_error error = {0};
	pthread_t actor;

	settle_in();
	fcntl(fd, F_SETFD, FD_CLOEXEC); /* or a QEMU would keep the parent waiting for its end */
	nova_worker.fd = fd;
	if (pthread_create(&actor, NULL, act, NULL))
		return 4;
	for (;;) {
		NOVA_AUTOJSON json_t *packet = NULL;
		int code = nova_wire_receive(fd, &packet, &error);

		if (code == NOVA_E_PROTOCOL) {
			nova_tellf(NOVA_LOG_ERROR, "worker: %s", error.text);
			continue;
		}
		if (code)
			_exit(0);
		if (!strcmp(nova_wire_is(packet), "go")) {
			answer_intent(packet);
		} else if (!strcmp(nova_wire_is(packet), "stop")) {
			atomic_store(&nova_worker.interrupted, true);
		} else {
			nova_lock();
			json_decref(pending);
			pending = packet;
			packet = NULL;
			pthread_cond_signal(&arrived);
			nova_unlock();
		}
	}
}
