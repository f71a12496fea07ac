/* SPDX-License-Identifier: MIT */
/*
 * The file of --trace: opened by the parent, written by one worker after the other. What it holds
 * is for people to read and to send to each other, so secrets are taken out of every text before
 * it is cut.
 */
#include "core/run/trace.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TEXT_MAX   1024 /* bytes of one text */
#define LIST_MAX   64   /* texts of one list */
#define VALUES_MAX 256  /* results of one op */
#define LATE_MAX   1000 /* lines of one worker about ops that have ended */

bool nova_trace_on;
_Thread_local uint64_t nova_trace_within;

static int trace_fd = -1;
static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;
static bool warned; /* that the file cannot be written */
static atomic_uint_fast64_t last_number;
static atomic_uint late_count;

/* --- texts
 * ----------------------------------------------------------------------------------------- */

json_t *nova_trace_bytes(const void *bytes, uint64_t count)
{
	NOVA_AUTOFREE char *copy = NULL;
	size_t length = count;

	if (!bytes)
		return json_null();
	copy = nova_alloc(length + sizeof("…"));
	memcpy(copy, bytes, length);
	for (size_t i = 0; i < length; i++)
		if (!copy[i])
			copy[i] = '?';
	nova_secret_redact(copy);
	nova_text_clean(copy);
	length = strlen(copy);
	if (length > TEXT_MAX) {
		length = TEXT_MAX;
		while (((unsigned char)copy[length] & 0xc0) == 0x80)
			length--;
		memcpy(copy + length, "…", sizeof("…"));
	}
	return json_string(copy);
}

json_t *nova_trace_text(const char *text)
{
	return text ? nova_trace_bytes(text, strlen(text)) : json_null();
}

static json_t *text_list(const char *const *list)
{
	json_t *array;
	size_t count = 0;

	if (!list)
		return json_null();
	array = json_array();
	for (; list[count] && count < LIST_MAX; count++)
		json_array_append_new(array, nova_trace_text(list[count]));
	if (list[count])
		json_array_append_new(array, json_string("…"));
	return array;
}

/* "NAME=value": a value may be a password that nobody declared. */
static json_t *environment(const char *const *list)
{
	json_t *array;
	size_t count = 0;

	if (!list)
		return json_null();
	array = json_array();
	for (; list[count] && count < LIST_MAX; count++) {
		NOVA_AUTOFREE char *name =
		        nova_format("%.*s=***", (int)strcspn(list[count], "="), list[count]);

		json_array_append_new(array, nova_trace_text(name));
	}
	if (list[count])
		json_array_append_new(array, json_string("…"));
	return array;
}

json_t *nova_trace_shape(const struct nova_shape *shape)
{
	if (!shape)
		return json_null();
	return json_pack("{so sI sI sI so so so so so so so so}", "boot",
	                 nova_trace_name(NOVA_TRACE_BOOT, shape->boot), "vcpus",
	                 (json_int_t)shape->vcpus, "memory_bytes", (json_int_t)shape->memory_bytes,
	                 "disk_bytes", (json_int_t)shape->disk_bytes, "image",
	                 nova_trace_text(shape->image), "kernel", nova_trace_text(shape->kernel),
	                 "initrd", nova_trace_text(shape->initrd), "cmdline",
	                 nova_trace_text(shape->cmdline), "heartbeat",
	                 nova_trace_text(shape->heartbeat), "networks", text_list(shape->networks),
	                 "knobs", text_list(shape->knobs), "place", nova_trace_text(shape->place));
}

json_t *nova_trace_exec(const struct nova_exec *exec)
{
	if (!exec)
		return json_null();
	return json_pack("{so so sI}", "argv", text_list(exec->argv), "env", environment(exec->env),
	                 "input_bytes", (json_int_t)exec->input_bytes);
}

/* A ticket may carry credentials that nobody has named as secrets. */
static json_t *trace_ticket(const char *ticket)
{
	return ticket ? json_pack("{sI}", "bytes", (json_int_t)strlen(ticket)) : json_null();
}

json_t *nova_trace_migrate(const struct nova_migrate *migrate)
{
	if (!migrate)
		return json_null();
	return json_pack("{sI so sI sI sI}", "flags", (json_int_t)migrate->flags, "ticket",
	                 trace_ticket(migrate->ticket), "bandwidth_bytes_per_s",
	                 (json_int_t)migrate->bandwidth_bytes_per_s, "downtime_ns",
	                 (json_int_t)migrate->downtime_ns, "channels",
	                 (json_int_t)migrate->channels);
}

/* --- lines
 * ----------------------------------------------------------------------------------------- */

static json_t *new_line(const char *is, uint64_t number)
{
	char utc[32];
	json_t *line = json_object();

	nova_utc_format(nova_utc_ns(), utc);
	json_object_set_new(line, "is", json_string(is));
	if (number)
		json_object_set_new(line, "n", json_integer((json_int_t)number));
	json_object_set_new(line, "utc", json_string(utc));
	json_object_set_new(line, "t_ns", json_integer((json_int_t)nova_now_ns()));
	json_object_set_new(line, "pid", json_integer((json_int_t)getpid()));
	json_object_set_new(line, "thread", json_integer((json_int_t)syscall(SYS_gettid)));
	return line;
}

/* A line that does not fit is taken back, so that what comes later stands on a line of its own. */
static int write_line(int fd, const char *text, size_t length)
{
	size_t written = 0;

	while (written < length) {
		ssize_t count = write(fd, text + written, length - written);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0) {
			int why = errno;
			off_t end = lseek(fd, 0, SEEK_END);

			if (written && end >= (off_t)written && ftruncate(fd, end - (off_t)written))
				why = errno;
			errno = why;
			return -1;
		}
		written += (size_t)count;
	}
	return 0;
}

static int write_json(int fd, json_t *line)
{
	NOVA_AUTOJSON json_t *owned = line;
	NOVA_AUTOFREE char *text = json_dumps(owned, JSON_COMPACT | JSON_REAL_PRECISION(17));
	size_t length = text ? strlen(text) : 0;

	if (!text)
		return 0;
	text[length] = '\n'; /* in place of the terminator: one write, no copy */
	return write_line(fd, text, length + 1);
}

static void put_line(json_t *line)
{
	bool first = false;
	int why = 0;

	pthread_mutex_lock(&writing);
	if (write_json(trace_fd, line)) {
		why = errno;
		first = !warned;
		warned = true;
	}
	pthread_mutex_unlock(&writing);
	if (first)
		nova_tellf(NOVA_LOG_WARNING,
		           "the trace cannot be written: %s; it lacks lines from here on, the run "
		           "goes on",
		           strerror(why));
}

static void add(json_t *line, json_t *more)
{
	if (more)
		json_object_update(line, more);
	json_decref(more);
}

static void add_text(json_t *line, const char *key, const char *text)
{
	if (text && *text)
		json_object_set_new(line, key, nova_trace_text(text));
}

uint64_t nova_trace_begin(const char *kind, const char *name, json_t *more)
{
	uint64_t number;
	json_t *line;

	if (!nova_trace_on) {
		json_decref(more);
		return 0;
	}
	number = atomic_fetch_add(&last_number, 1) + 1;
	line = new_line("begin", number);
	json_object_set_new(line, "kind", json_string(kind));
	json_object_set_new(line, "name", json_string(name));
	if (nova_trace_within)
		json_object_set_new(line, "within", json_integer((json_int_t)nova_trace_within));
	add(line, more);
	put_line(line);
	return number;
}

static json_t *end_line(const char *is, uint64_t number, const char *kind, const char *name,
                        int64_t duration_ns, int status)
{
	json_t *line = new_line(is, number);

	json_object_set_new(line, "kind", json_string(kind));
	json_object_set_new(line, "name", json_string(name));
	json_object_set_new(line, "duration_ns", json_integer((json_int_t)duration_ns));
	json_object_set_new(line, "status",
	                    json_string(status > 0 ? "pending" : nova_code_name(status)));
	return line;
}

void nova_trace_end(uint64_t number, const char *kind, const char *name, int64_t began_ns,
                    int status, const char *error, json_t *more)
{
	json_t *line;

	if (!number) {
		json_decref(more);
		return;
	}
	line = end_line("end", number, kind, name, nova_now_ns() - began_ns, status);
	add_text(line, "error", error);
	add(line, more);
	put_line(line);
}

void nova_trace_once(const char *kind, const char *name, int64_t began_ns, int status, json_t *more)
{
	json_t *line = end_line("once", atomic_fetch_add(&last_number, 1) + 1, kind, name,
	                        nova_now_ns() - began_ns, status);

	if (nova_trace_within)
		json_object_set_new(line, "within", json_integer((json_int_t)nova_trace_within));
	add(line, more);
	put_line(line);
}

/* --- ops
 * ------------------------------------------------------------------------------------------- */

static json_t *op_args(const struct op *op)
{
	json_t *args = json_object();

	switch (op->kind) {
	case OP_VM_CREATE:
	case OP_MIGRATE_PREPARE:
		json_object_set_new(args, "shape", nova_trace_shape(&op->shape));
		break;
	case OP_VM_POWER:
		json_object_set_new(args, "action", nova_trace_name(NOVA_TRACE_POWER, op->action));
		break;
	case OP_VM_LIST: json_object_set_new(args, "prefix", nova_trace_text(op->name)); break;
	case OP_VM_QUERY:
		json_object_set_new(args, "what", nova_trace_name(NOVA_TRACE_QUERY, op->action));
		break;
	case OP_SNAPSHOT:
		json_object_set_new(args, "snapshot", nova_trace_text(op->name));
		json_object_set_new(args, "action",
		                    nova_trace_name(NOVA_TRACE_SNAPSHOT, op->action));
		break;
	case OP_EXEC: json_object_set_new(args, "exec", nova_trace_exec(&op->exec)); break;
	case OP_NET_CREATE:
		json_object_set_new(args, "net", nova_trace_text(op->name));
		json_object_set_new(args, "kind", nova_trace_name(NOVA_TRACE_NET, op->action));
		break;
	case OP_NET_DELETE: json_object_set_new(args, "net", nova_trace_text(op->name)); break;
	case OP_IMAGE_PUT:
	case OP_IMAGE_DELETE: json_object_set_new(args, "image", nova_trace_text(op->name)); break;
	case OP_MIGRATE: json_object_set_new(args, "how", nova_trace_migrate(&op->migrate)); break;
	case OP_MIGRATE_FINISH:
		json_object_set_new(args, "ticket", trace_ticket(op->name));
		json_object_set_new(args, "migrated", json_boolean(op->outcome == NOVA_MIGRATED));
		break;
	default: break;
	}
	return args;
}

static json_t *op_about(const struct op *op)
{
	const struct instance *instance = op->instance;
	json_t *about =
	        json_pack("{sI ss}", "op", (json_int_t)op->number, "plugin", instance->plugin);

	if (instance->kind == NOVA_KIND_HYPERVISOR)
		json_object_set_new(about, "target", json_integer((json_int_t)instance->target));
	if (op->ref_name)
		json_object_set_new(about, "vm",
		                    json_pack("{sI so so}", "number", (json_int_t)op->ref.vm,
		                              "name", nova_trace_text(op->ref_name), "id",
		                              nova_trace_text(op->ref_id)));
	return about;
}

void nova_trace_op_begin(struct op *op)
{
	json_t *about;

	if (!nova_trace_on)
		return;
	about = op_about(op);
	json_object_set_new(about, "deadline_ns", json_integer((json_int_t)op->deadline_ns));
	json_object_set_new(about, "args", op_args(op));
	op->trace = nova_trace_begin("op", nova_op_name(op->kind), about);
}

static json_t *one_result(const struct value *value)
{
	json_t *result = json_object();

	json_object_set_new(result, "field", nova_trace_name(NOVA_TRACE_FIELD, value->field));
	if (value->key && *value->key)
		json_object_set_new(result, "key", nova_trace_text(value->key));
	if (value->field == NOVA_FIELD_TICKET)
		json_object_set_new(result, "bytes", json_integer((json_int_t)value->count));
	else if (value->bytes || value->key)
		json_object_set_new(result, "text", nova_trace_bytes(value->bytes, value->count));
	else if (value->i64)
		json_object_set_new(result, "value", json_integer((json_int_t)value->i64));
	else
		json_object_set_new(result, "value",
		                    isfinite(value->f64) ? json_real(value->f64) : json_null());
	return result;
}

/* Output comes in pieces, and a secret may lie across two of them: they are joined first. */
static void add_output(json_t *results, const struct op *op, uint32_t field)
{
	NOVA_AUTOTEXT struct nova_text all = {0};
	bool any = false;

	for (size_t i = 0; i < op->value_count; i++) {
		if (op->values[i].field != field)
			continue;
		nova_text_add_bytes(&all, op->values[i].bytes, op->values[i].count);
		any = true;
	}
	if (any)
		json_array_append_new(results, json_pack("{so sI so}", "field",
		                                         nova_trace_name(NOVA_TRACE_FIELD, field),
		                                         "bytes", (json_int_t)all.length, "text",
		                                         nova_trace_bytes(all.data, all.length)));
}

/* Under the lock. */
static json_t *op_results(const struct op *op)
{
	json_t *results = json_array();
	size_t left_out = 0;

	for (size_t i = 0; i < op->value_count; i++) {
		const struct value *value = &op->values[i];

		if (value->field == NOVA_FIELD_STDOUT || value->field == NOVA_FIELD_STDERR)
			continue;
		if (json_array_size(results) < VALUES_MAX)
			json_array_append_new(results, one_result(value));
		else
			left_out++;
	}
	add_output(results, op, NOVA_FIELD_STDOUT);
	add_output(results, op, NOVA_FIELD_STDERR);
	if (left_out)
		json_array_append_new(
		        results, json_pack("{ss sI}", "field", "…", "value", (json_int_t)left_out));
	return results;
}

void nova_trace_op_end(struct op *op)
{
	json_t *line;

	if (!op->trace)
		return;
	nova_lock();
	line = end_line("end", op->trace, "op", nova_op_name(op->kind),
	                op->called_ns ? op->ended_ns - op->called_ns : 0, op->status);
	add(line, op_about(op));
	if (op->thread)
		json_object_set_new(line, "thread", json_integer((json_int_t)op->thread));
	json_object_set_new(line, "called_ns", json_integer((json_int_t)op->called_ns));
	if (op->started_ns != op->called_ns || op->returned_ns != op->ended_ns) {
		json_object_set_new(line, "started_ns", json_integer((json_int_t)op->started_ns));
		json_object_set_new(line, "returned_ns", json_integer((json_int_t)op->returned_ns));
	}
	if (op->status != NOVA_DONE)
		add_text(line, "error", op->error.text);
	json_object_set_new(line, "timed_out",
	                    json_boolean(op->given_up && op->status == NOVA_E_TIMEOUT));
	json_object_set_new(line, "cancelled", json_boolean(op->given_up));
	json_object_set_new(line, "abandoned", json_boolean(op->abandoned));
	json_object_set_new(line, "results", op_results(op));
	nova_unlock();
	put_line(line);
}

void nova_trace_event(const struct instance *instance, const struct nova_event *event, bool known)
{
	json_t *line;

	if (!nova_trace_on)
		return;
	line = new_line("event", 0);
	if (instance) {
		json_object_set_new(line, "plugin", json_string(instance->plugin));
		json_object_set_new(line, "target", json_integer((json_int_t)instance->target));
	}
	json_object_set_new(line, "vm", nova_trace_text(event->name));
	json_object_set_new(line, "known", json_boolean(known));
	json_object_set_new(line, "event", nova_trace_name(NOVA_TRACE_EVENT, event->kind));
	json_object_set_new(line, "source", nova_trace_name(NOVA_TRACE_SOURCE, event->source));
	json_object_set_new(line, "at_ns", json_integer((json_int_t)event->t_ns));
	json_object_set_new(line, "resolution_ns", json_integer((json_int_t)event->resolution_ns));
	put_line(line);
}

void nova_trace_late(nova_op number, const char *what, json_t *more)
{
	json_t *line;

	if (!nova_trace_on || atomic_fetch_add(&late_count, 1) >= LATE_MAX) {
		json_decref(more);
		return;
	}
	line = new_line("late", 0);
	json_object_set_new(line, "op", json_integer((json_int_t)number));
	json_object_set_new(line, "what", json_string(what));
	add(line, more);
	put_line(line);
}

/* --- a plugin's own functions
 * ---------------------------------------------------------------------- */

struct nova_trace_span nova_trace_plugin(const char *name, uint32_t kind, const char *plugin)
{
	static const char *const kinds[] = {
	        [NOVA_KIND_BENCHMARK] = "benchmark", [NOVA_KIND_HYPERVISOR] = "hypervisor"};
	struct nova_trace_span span = {.name = name, .within = nova_trace_within};

	if (!nova_trace_on)
		return span;
	span.began_ns = nova_now_ns();
	span.number = nova_trace_begin("plugin", name,
	                               json_pack("{ss ss}", "of", kinds[kind], "plugin", plugin));
	nova_trace_within = span.number;
	return span;
}

void nova_trace_plugin_end(const struct nova_trace_span *span, int status, const char *error)
{
	nova_trace_within = span->within;
	nova_trace_end(span->number, "plugin", span->name, span->began_ns, status,
	               status ? error : NULL, NULL);
}

/* --- beginning
 * ------------------------------------------------------------------------------------- */

static json_t *parameters(const json_t *what)
{
	json_t *params = json_object(), *value, *name;
	const char *key;
	size_t i;

	json_object_foreach(json_object_get(what, "params"), key, value) json_object_set_new(
	        params, key,
	        json_is_string(value) ? nova_trace_text(json_string_value(value))
	                              : json_deep_copy(value));
	json_array_foreach(json_object_get(what, "secrets"), i, name)
	{
		key = json_string_value(name);
		if (key && json_object_get(params, key))
			json_object_set_new(params, key, json_string("***"));
	}
	return json_pack("{sO* sO* so}", "name", json_object_get(what, "name"), "plugin",
	                 json_object_get(what, "plugin"), "params", params);
}

void nova_trace_start(const json_t *packet)
{
	json_t *line, *targets, *target;
	size_t i;

	if (!json_is_true(json_object_get(packet, "trace")))
		return;
	fcntl(NOVA_TRACE_FD, F_SETFD, FD_CLOEXEC);
	trace_fd = NOVA_TRACE_FD;
	nova_trace_on = true;
	targets = json_array();
	json_array_foreach(json_object_get(packet, "targets"), i, target)
	        json_array_append_new(targets, parameters(target));
	line = new_line("worker", 0);
	json_object_set(line, "step", json_object_get(packet, "step"));
	if (json_object_get(packet, "benchmark"))
		json_object_set_new(line, "benchmark",
		                    parameters(json_object_get(packet, "benchmark")));
	json_object_set_new(line, "targets", targets);
	put_line(line);
}

/* What others could read is no place for what was said to a hypervisor. */
static int check_file(int fd, const char *path, struct nova_error *error)
{
	struct stat about;

	if (fstat(fd, &about))
		return nova_error_errno(error, "cannot look at the trace %s", path);
	if (S_ISREG(about.st_mode) && about.st_mode & 077)
		return nova_error_set(error, NOVA_E_REFUSED,
		                      "will not add a trace to %s, which others may read (mode "
		                      "%04o): chmod 600 it, or name another file",
		                      path, (unsigned)(about.st_mode & 07777));
	return 0;
}

/* The last line of a trace whose disk was full, or whose machine was, may have no end. */
static void end_last_line(int fd, const char *path)
{
	NOVA_AUTOCLOSE int reading = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char last = '\n';

	if (reading >= 0 && lseek(reading, -1, SEEK_END) >= 0 && read(reading, &last, 1) == 1 &&
	    last != '\n')
		(void)!write(fd, "\n", 1);
}

int nova_trace_open(const char *path, const char *run, struct nova_error *error)
{
	/* Without waiting for a pipe's reader: nobody could interrupt that. */
	int fd =
	        open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
	json_t *line;
	int high;

	if (fd < 0 && errno == ENXIO)
		return nova_error_set(error, NOVA_E_UNAVAILABLE,
		                      "cannot open the trace %s: nobody reads that pipe; start "
		                      "its reader first",
		                      path);
	if (fd < 0)
		return nova_error_errno(error, "cannot open the trace %s", path);
	high = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	fcntl(fd, F_SETFL, O_APPEND);
	close(fd);
	if (high < 0)
		return nova_error_errno(error, "cannot open the trace %s", path);
	if (check_file(high, path, error)) {
		close(high);
		return error->code;
	}
	end_last_line(high, path);
	line = new_line("trace", 0);
	json_object_set_new(line, "schema", json_string("novacore.trace/1"));
	json_object_set_new(line, "novacore", json_string(NOVACORE_VERSION));
	json_object_set_new(line, "run", json_string(run));
	if (write_json(high, line))
		nova_log(NOVA_LOG_WARNING, "the trace %s cannot be written: %s; the run goes on",
		         path, strerror(errno));
	return high;
}
