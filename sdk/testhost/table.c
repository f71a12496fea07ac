/* SPDX-License-Identifier: MIT */
/*
 * The table of host functions that the plugin is given. It looks the op or instance up, checks what
 * it is given, and keeps it.
 */
#include "inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Under the lock. */
static void guard_life(struct nova_testhost *host, const char *function)
{
	if (host && host->destroyed)
		th_complain(host, "%s was called after destroy", function);
}

static void table_done(nova_op op, int32_t status)
{
	struct call *call;

	pthread_mutex_lock(&th_lock);
	call = th_find_call(op);
	guard_life(call ? call->host : NULL, "done");
	if (!call)
		th_complain(NULL, "done(%llu): no such op", (unsigned long long)op);
	else if (status > 0)
		th_complain(call->host, "done() with status %d: NOVA_DONE or NOVA_E_*", status);
	else if (call->done)
		th_complain(call->host, "done() twice for op %llu", (unsigned long long)op);
	else {
		call->done = 1;
		call->done_status = status;
		pthread_cond_broadcast(&call->changed);
	}
	pthread_mutex_unlock(&th_lock);
}

/* Under the lock. */
static void guard_secrets(struct nova_testhost *host, const char *where, const char *text)
{
	const char *secret = th_parameters_secret(&host->parameters, text);

	if (secret)
		th_complain(host, "the secret \"%s\" stands in %s", secret, where);
}

static int table_error(nova_op op, int32_t code, const char *text)
{
	struct call *call;

	pthread_mutex_lock(&th_lock);
	call = th_find_call(op);
	guard_life(call ? call->host : NULL, "error");
	if (!call || !text || code >= 0) {
		th_complain(call ? call->host : NULL, "error(%llu, %d, \"%s\"): wrong argument",
		            (unsigned long long)op, code, text ? text : "(null)");
	} else {
		guard_secrets(call->host, "an error", text);
		th_add_error(call, text);
		call->said++;
	}
	pthread_mutex_unlock(&th_lock);
	return code;
}

static int table_errorf(nova_op op, int32_t code, const char *format, ...)
{
	char text[2048];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return table_error(op, code, text);
}

static int64_t table_deadline(nova_op op)
{
	struct call *call;
	int64_t deadline_ns;

	pthread_mutex_lock(&th_lock);
	call = th_find_call(op);
	deadline_ns = call ? call->deadline_ns : 0;
	pthread_mutex_unlock(&th_lock);
	return deadline_ns;
}

static int table_cancelled(nova_op op)
{
	struct call *call;
	int cancelled;

	pthread_mutex_lock(&th_lock);
	call = th_find_call(op);
	cancelled = !call || call->cancelled;
	pthread_mutex_unlock(&th_lock);
	return cancelled;
}

static int put(nova_op op, const struct result *given)
{
	struct call *call;
	int status = NOVA_DONE;

	pthread_mutex_lock(&th_lock);
	call = th_find_call(op);
	guard_life(call ? call->host : NULL, "put");
	if (!call || given->field == 0 || (given->type == 't' && !given->key)) {
		th_complain(call ? call->host : NULL,
		            "put of field %u into op %llu: wrong argument", given->field,
		            (unsigned long long)op);
		status = NOVA_E_INVALID;
	} else if (!call->open || call->done) {
		if (!call->expired)
			th_complain(call->host, "put of field %u after the op has ended",
			            given->field);
		status = NOVA_E_NOT_FOUND;
	} else {
		th_add_result(&call->results, given);
	}
	pthread_mutex_unlock(&th_lock);
	return status;
}

static int table_put_i64(nova_op op, uint32_t field, int64_t value)
{
	return put(op, &(struct result){.field = field, .i64 = value, .type = 'i'});
}

static int table_put_f64(nova_op op, uint32_t field, double value)
{
	return put(op, &(struct result){.field = field, .f64 = value, .type = 'f'});
}

static int table_put_bytes(nova_op op, uint32_t field, const void *bytes, uint64_t count)
{
	return put(op, &(struct result){.field = field,
	                                .text = (char *)(uintptr_t)bytes,
	                                .bytes = count,
	                                .type = 'b'});
}

static int table_put_fact(nova_op op, uint32_t field, const char *key, const char *text)
{
	return put(op, &(struct result){.field = field,
	                                .key = (char *)(uintptr_t)key,
	                                .text = (char *)(uintptr_t)text,
	                                .type = 't'});
}

static int table_event(nova_op instance, const struct nova_event *event)
{
	struct nova_testhost *host;
	struct nova_event *kept;
	int status = NOVA_E_INVALID;

	pthread_mutex_lock(&th_lock);
	host = th_find_instance(instance);
	guard_life(host, "event");
	if (!host || host->instance != instance) {
		th_complain(host, "event for %llu, which is not an instance",
		            (unsigned long long)instance);
	} else if (!event || event->struct_size < sizeof(*event) || !event->name || !event->kind ||
	           !event->source || event->resolution_ns <= 0) {
		th_complain(host,
		            "event: struct_size, name, kind, source and resolution_ns must be set");
	} else {
		kept = th_memory(NULL, sizeof(*kept));
		*kept = *event;
		kept->struct_size = sizeof(*kept);
		kept->name = th_copy(event->name);
		host->events = th_grow(host->events, host->event_count, sizeof(*host->events));
		host->events[host->event_count++] = kept;
		pthread_cond_broadcast(&host->changed);
		status = NOVA_DONE;
	}
	pthread_mutex_unlock(&th_lock);
	return status;
}

/* Parameters and directories do not change once the host is made: no lock while they are read. */
static struct nova_testhost *instance_or_complain(uint64_t instance, const char *function)
{
	struct nova_testhost *host;

	pthread_mutex_lock(&th_lock);
	host = th_find_instance(instance);
	guard_life(host, function);
	if (!host)
		th_complain(NULL, "%s: no instance %llu", function, (unsigned long long)instance);
	pthread_mutex_unlock(&th_lock);
	return host;
}

static struct nova_testhost *parameters_of(uint64_t instance, const char *function,
                                           const char *name, char type)
{
	struct nova_testhost *host = instance_or_complain(instance, function);
	const char *wrong = host ? th_parameters_doubt(&host->parameters, name, type) : NULL;

	if (!wrong)
		return host;
	pthread_mutex_lock(&th_lock);
	th_complain(host, "%s: the parameter \"%s\" %s", function, name ? name : "(null)", wrong);
	pthread_mutex_unlock(&th_lock);
	return host;
}

static int table_param_i64(uint64_t instance, const char *name, uint32_t index, int64_t *value)
{
	struct nova_testhost *host = parameters_of(instance, "param_i64", name, 'i');

	return host ? th_parameters_i64(&host->parameters, name, index, value) : NOVA_E_INVALID;
}

static int table_param_f64(uint64_t instance, const char *name, uint32_t index, double *value)
{
	struct nova_testhost *host = parameters_of(instance, "param_f64", name, 'f');

	return host ? th_parameters_f64(&host->parameters, name, index, value) : NOVA_E_INVALID;
}

static const char *table_param_text(uint64_t instance, const char *name, uint32_t index)
{
	struct nova_testhost *host = parameters_of(instance, "param_text", name, 't');

	return host ? th_parameters_text(&host->parameters, name, index) : NULL;
}

static void table_log(uint64_t instance, uint32_t severity, const char *text)
{
	struct nova_testhost *host;

	pthread_mutex_lock(&th_lock);
	host = th_find_instance(instance);
	guard_life(host, "log");
	if (!host || severity < NOVA_SAY_DEBUG || severity > NOVA_SAY_WARNING || !text) {
		th_complain(host, "log: wrong argument");
	} else {
		guard_secrets(host, "the log", text);
		host->lines = th_grow(host->lines, host->line_count, sizeof(*host->lines));
		host->lines[host->line_count++] = th_copy(text);
	}
	pthread_mutex_unlock(&th_lock);
}

static const char *table_directory(uint64_t instance, uint32_t which)
{
	struct nova_testhost *host = instance_or_complain(instance, "directory");

	if (host && which >= NOVA_DIRECTORY_STATE && which <= NOVA_DIRECTORY_CACHE)
		return host->directories[which];
	pthread_mutex_lock(&th_lock);
	if (host)
		th_complain(host, "directory: %u is no NOVA_DIRECTORY_*", which);
	pthread_mutex_unlock(&th_lock);
	return NULL;
}

/* What is wrong with the call, or NULL. */
static const char *doubt_process(const struct nova_exec *exec)
{
	if (!exec || exec->struct_size < sizeof(*exec))
		return "struct_size of the exec is not set";
	return NULL;
}

static const char *process_failure(int status)
{
	switch (status) {
	case NOVA_E_INVALID: return "there is no program in argv";
	case NOVA_E_NOT_FOUND: return "there is no such program in PATH";
	case NOVA_E_PERMISSION: return "it may not be executed";
	case NOVA_E_TIMEOUT: return "it had not ended at the deadline, and was killed";
	case NOVA_E_CANCELLED: return "it was cancelled, and killed";
	default: return "it could not be started";
	}
}

static int table_process(uint64_t op_or_instance, const struct nova_exec *exec,
                         void (*output)(void *, uint32_t, const void *, uint64_t), void *context,
                         int32_t *status)
{
	struct nova_testhost *host = instance_or_complain(op_or_instance, "process");
	const char *wrong;
	int outcome;

	if (!host)
		return NOVA_E_INVALID;
	if (host->lab)
		return th_lab_process(host, exec, output, context, status);
	wrong = doubt_process(exec);
	if (wrong) {
		pthread_mutex_lock(&th_lock);
		th_complain(host, "process: %s", wrong);
		pthread_mutex_unlock(&th_lock);
		return NOVA_E_INVALID;
	}
	outcome = th_process_run(exec, table_deadline(op_or_instance), table_cancelled,
	                         op_or_instance, output, context, status);
	if (outcome != NOVA_DONE)
		table_errorf(op_or_instance, outcome, "cannot run %s: %s",
		             exec->argv && exec->argv[0] ? exec->argv[0] : "nothing",
		             process_failure(outcome));
	return outcome;
}

const struct nova_host th_table = {
        .struct_size = sizeof(th_table),
        .abi_minor = NOVA_ABI_MINOR,
        .done = table_done,
        .error = table_error,
        .errorf = table_errorf,
        .deadline_ns = table_deadline,
        .cancelled = table_cancelled,
        .put_i64 = table_put_i64,
        .put_f64 = table_put_f64,
        .put_bytes = table_put_bytes,
        .put_fact = table_put_fact,
        .event = table_event,
        .param_i64 = table_param_i64,
        .param_f64 = table_param_f64,
        .param_text = table_param_text,
        .now_ns = th_now_ns,
        .log = table_log,
        .directory = table_directory,
        .process = table_process,
};

const struct nova_host *nova_testhost_table(void)
{
	return &th_table;
}
