/* SPDX-License-Identifier: MIT */
/*
 * The test host: numbers instances and ops, keeps what they push, gives each op its turn, its
 * deadline and its cancellation. One lock guards everything; no plugin code runs under it.
 */
#include "inside.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

pthread_mutex_t th_lock = PTHREAD_MUTEX_INITIALIZER;
static struct gate serial_gate; /* of all SERIAL plugins together: more than they ask for */
static struct call **numbers;   /* op - 1 → call; NULL once its host is freed */
static uint64_t number_count;
static _Thread_local nova_op last_op;
static _Thread_local char refusal[512];

/* --- small helpers ------------------------------------------------------------------------ */

int64_t th_clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void *th_memory(void *old, size_t bytes)
{
	void *fresh = realloc(old, bytes);

	if (!fresh)
		abort();
	return fresh;
}

char *th_copy(const char *text)
{
	return text ? strcpy(th_memory(NULL, strlen(text) + 1), text) : NULL;
}

/* Room for one more element; grows by doubling, so `count` alone says when. */
void *th_grow(void *array, size_t count, size_t size)
{
	return (count & (count - 1)) == 0 ? th_memory(array, (count ? 2 * count : 1) * size)
	                                  : array;
}

void th_init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
}

/* Waits under the lock until signalled or `until_ns`. */
void th_wait_until(pthread_cond_t *condition, int64_t until_ns)
{
	struct timespec t = {until_ns / 1000000000, until_ns % 1000000000};

	pthread_cond_timedwait(condition, &th_lock, &t);
}

void th_complain(struct nova_testhost *host, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	fprintf(stderr, "testhost: %s\n", text);
	if (!host)
		return;
	host->complaints =
	        th_grow(host->complaints, host->complaint_count, sizeof(*host->complaints));
	host->complaints[host->complaint_count++] = th_copy(text);
}

/* Under the lock. NULL for a number that never was, or whose host is gone. */
struct call *th_find_call(nova_op op)
{
	return op > 0 && op <= number_count ? numbers[op - 1] : NULL;
}

struct nova_testhost *th_find_instance(uint64_t instance)
{
	struct call *call = th_find_call(instance);

	return call ? call->host : NULL;
}

static struct call *new_call(struct nova_testhost *host, int64_t deadline_ns)
{
	struct call *call = th_memory(NULL, sizeof(*call));

	memset(call, 0, sizeof(*call));
	call->host = host;
	call->deadline_ns = deadline_ns;
	call->open = 1;
	th_init_condition(&call->changed);
	numbers = th_grow(numbers, number_count, sizeof(*numbers));
	numbers[number_count++] = call;
	call->op = number_count;
	host->calls = th_grow(host->calls, host->call_count, sizeof(*host->calls));
	host->calls[host->call_count++] = call;
	return call;
}

void th_keep(struct nova_testhost *host, void *pointer)
{
	host->kept = th_grow(host->kept, host->kept_count, sizeof(*host->kept));
	host->kept[host->kept_count++] = pointer;
}

/* Texts that a test was given live on: a longer one is another one. */
void th_add_error(struct call *call, const char *text)
{
	size_t before = call->error ? strlen(call->error) + 2 : 0;
	char *all = th_memory(NULL, before + strlen(text) + 1);

	if (before) {
		memcpy(all, call->error, before - 2);
		memcpy(all + before - 2, "; ", 2);
		th_keep(call->host, call->error);
	}
	strcpy(all + before, text);
	call->error = all;
}

void th_add_result(struct results *results, const struct result *given)
{
	struct result *result;

	results->all = th_grow(results->all, results->count, sizeof(*results->all));
	result = &results->all[results->count++];
	*result = *given;
	result->key = th_copy(given->key);
	if (given->type == 't')
		result->text = th_copy(given->text);
	if (given->type == 'b') {
		result->text = th_memory(NULL, given->bytes + 1);
		if (given->bytes)
			memcpy(result->text, given->text, given->bytes);
		result->text[given->bytes] = 0;
	}
}

const struct result *th_find_result(const struct results *results, uint32_t field, uint32_t index,
                                    uint32_t *count)
{
	const struct result *found = NULL;

	*count = 0;
	for (uint32_t i = 0; i < results->count; i++)
		if (results->all[i].field == field && (*count)++ == index)
			found = &results->all[i];
	return found;
}

void th_free_results(struct results *results)
{
	for (uint32_t i = 0; i < results->count; i++) {
		free(results->all[i].key);
		free(results->all[i].text);
	}
	free(results->all);
	results->all = NULL;
	results->count = 0;
}

/* --- the table ---------------------------------------------------------------------------- */

static void table_done(nova_op op, int32_t status)
{
	struct call *call;

	pthread_mutex_lock(&th_lock);
	call = th_find_call(op);
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

static int table_error(nova_op op, int32_t code, const char *text)
{
	struct call *call;

	pthread_mutex_lock(&th_lock);
	call = th_find_call(op);
	if (!call || !text || code >= 0) {
		th_complain(call ? call->host : NULL, "error(%llu, %d, \"%s\"): wrong argument",
		            (unsigned long long)op, code, text ? text : "(null)");
	} else {
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
	if (!call || given->field == 0 || (given->type == 't' && !given->key)) {
		th_complain(call ? call->host : NULL,
		            "put of field %u into op %llu: wrong argument", given->field,
		            (unsigned long long)op);
		status = NOVA_E_INVALID;
	} else if (!call->open || call->done) {
		if (!call->expired)
			th_complain(call->host, "put of field %u after the op has ended",
			            given->field);
		status = NOVA_E_INVALID;
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
	if (!host)
		th_complain(NULL, "%s: no instance %llu", function, (unsigned long long)instance);
	pthread_mutex_unlock(&th_lock);
	return host;
}

static int table_param_i64(uint64_t instance, const char *name, uint32_t index, int64_t *value)
{
	struct nova_testhost *host = instance_or_complain(instance, "param_i64");

	return host ? th_parameters_i64(&host->parameters, name, index, value) : NOVA_E_INVALID;
}

static int table_param_f64(uint64_t instance, const char *name, uint32_t index, double *value)
{
	struct nova_testhost *host = instance_or_complain(instance, "param_f64");

	return host ? th_parameters_f64(&host->parameters, name, index, value) : NOVA_E_INVALID;
}

static const char *table_param_text(uint64_t instance, const char *name, uint32_t index)
{
	struct nova_testhost *host = instance_or_complain(instance, "param_text");

	return host ? th_parameters_text(&host->parameters, name, index) : NULL;
}

static void table_log(uint64_t instance, uint32_t severity, const char *text)
{
	struct nova_testhost *host;

	pthread_mutex_lock(&th_lock);
	host = th_find_instance(instance);
	if (!host || severity < NOVA_SAY_DEBUG || severity > NOVA_SAY_WARNING || !text) {
		th_complain(host, "log: wrong argument");
	} else {
		host->lines = th_grow(host->lines, host->line_count, sizeof(*host->lines));
		host->lines[host->line_count++] = th_copy(text);
	}
	pthread_mutex_unlock(&th_lock);
}

static const char *table_directory(uint64_t instance, uint32_t which)
{
	struct nova_testhost *host = instance_or_complain(instance, "directory");

	return host && which >= NOVA_DIRECTORY_STATE && which <= NOVA_DIRECTORY_CACHE
	               ? host->directories[which]
	               : NULL;
}

static int table_process(uint64_t op_or_instance, const struct nova_exec *exec,
                         void (*output)(void *, uint32_t, const void *, uint64_t), void *context,
                         int32_t *status)
{
	struct nova_testhost *host = instance_or_complain(op_or_instance, "process");
	int64_t deadline_ns = table_deadline(op_or_instance);
	int outcome;

	if (!host)
		return NOVA_E_INVALID;
	if (host->lab)
		return th_lab_process(host, exec, output, context, status);
	outcome = th_process_run(exec, deadline_ns, table_cancelled, op_or_instance, output,
	                         context, status);

	if (outcome != NOVA_DONE)
		table_errorf(op_or_instance, outcome, "cannot run %s: error %d",
		             exec && exec->argv && exec->argv[0] ? exec->argv[0] : "nothing",
		             outcome);
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

/* --- turns: the thread model -------------------------------------------------------------- */

/* All under the lock; ops go before the pump, which could otherwise take every turn. */
static void enter(struct nova_testhost *host)
{
	struct gate *gate = host->gate;
	const struct nova_hypervisor *ops = nova_testhost_ops(host);

	if (!gate)
		return;
	gate->waiting++;
	while (gate->busy) {
		if (host->watching && NOVA_HAS(ops, struct nova_hypervisor, wake) && ops->wake) {
			pthread_mutex_unlock(&th_lock);
			ops->wake(host->self);
			pthread_mutex_lock(&th_lock);
		}
		if (gate->busy)
			th_wait_until(&host->changed, th_clock_ns() + 5000000);
	}
	gate->waiting--;
	gate->busy = 1;
}

static void leave(struct nova_testhost *host)
{
	if (!host->gate)
		return;
	host->gate->busy = 0;
	pthread_cond_broadcast(&host->changed);
}

static void *pump_loop(void *context)
{
	struct nova_testhost *host = context;
	const struct nova_hypervisor *ops = nova_testhost_ops(host);
	/* Without `wake` a pump cannot be made to return: short slices, as the contract says. */
	int64_t slice_ns = ops->wake || !host->gate ? 100000000 : 10000000;
	int status;

	pthread_mutex_lock(&th_lock);
	while (!host->stopping) {
		if (host->gate && (host->gate->busy || host->gate->waiting)) {
			th_wait_until(&host->changed, th_clock_ns() + 5000000);
			continue;
		}
		if (host->gate)
			host->gate->busy = 1;
		pthread_mutex_unlock(&th_lock);
		status = ops->pump(host->self, th_clock_ns() + slice_ns);
		pthread_mutex_lock(&th_lock);
		leave(host);
		if (status != NOVA_DONE) {
			th_complain(host, "pump returned %d", status);
			break;
		}
	}
	pthread_mutex_unlock(&th_lock);
	return NULL;
}

/* Under the lock. */
static void give_up(struct call *call)
{
	const struct nova_hypervisor *ops = nova_testhost_ops(call->host);

	call->cancelled = 1;
	pthread_cond_broadcast(&call->changed);
	if (!ops || !call->host->self || !NOVA_HAS(ops, struct nova_hypervisor, cancel) ||
	    !ops->cancel)
		return;
	enter(call->host);
	pthread_mutex_unlock(&th_lock);
	ops->cancel(call->host->self, call->op);
	pthread_mutex_lock(&th_lock);
	leave(call->host);
}

/* Cancels each op at its deadline. */
static void *watch_loop(void *context)
{
	struct nova_testhost *host = context;
	struct call *call, *due;
	int64_t next_ns;

	pthread_mutex_lock(&th_lock);
	while (!host->stopping) {
		due = NULL;
		next_ns = th_clock_ns() + 3600000000000;
		for (uint32_t i = 0; i < host->open_count; i++) {
			call = host->open_calls[i];
			if (call->done || call->cancelled)
				continue;
			if (call->deadline_ns <= th_clock_ns())
				due = call;
			else if (call->deadline_ns < next_ns)
				next_ns = call->deadline_ns;
		}
		if (due) {
			due->expired = 1;
			give_up(due);
		} else {
			host->next_ns = next_ns;
			th_wait_until(&host->changed, next_ns);
		}
	}
	pthread_mutex_unlock(&th_lock);
	return NULL;
}

/* --- an op -------------------------------------------------------------------------------- */

nova_op nova_testhost_begin(struct nova_testhost *host, int64_t timeout_ms)
{
	struct call *call;

	pthread_mutex_lock(&th_lock);
	enter(host);
	call = new_call(host, th_clock_ns() + timeout_ms * 1000000);
	host->open_calls = th_grow(host->open_calls, host->open_count, sizeof(*host->open_calls));
	host->open_calls[host->open_count++] = call;
	if (call->deadline_ns < host->next_ns)
		pthread_cond_broadcast(&host->changed);
	last_op = call->op;
	pthread_mutex_unlock(&th_lock);
	return call->op;
}

/* Under the lock. */
static void close_call(struct call *call)
{
	struct nova_testhost *host = call->host;
	uint32_t i = 0;

	call->open = 0;
	while (i < host->open_count && host->open_calls[i] != call)
		i++;
	if (i < host->open_count)
		host->open_calls[i] = host->open_calls[--host->open_count];
}

/* Under the lock: how the op that returned NOVA_PENDING ends. */
static int await(struct call *call)
{
	int64_t last_ns = call->deadline_ns + NOVA_TESTHOST_GRACE_MS * 1000000ll;

	while (!call->done && th_clock_ns() < last_ns)
		th_wait_until(&call->changed, last_ns);
	if (!call->done) {
		th_complain(call->host, "op %llu was not ended within the grace after its deadline",
		            (unsigned long long)call->op);
		return NOVA_E_TIMEOUT;
	}
	call->ended = 1;
	return call->done_status;
}

int nova_testhost_end(struct nova_testhost *host, int returned)
{
	struct call *call;
	int status = returned;

	pthread_mutex_lock(&th_lock);
	leave(host);
	call = th_find_call(last_op);
	if (!call || call->host != host || !call->open) {
		th_complain(host, "end without begin on this thread");
		pthread_mutex_unlock(&th_lock);
		return NOVA_E_INTERNAL;
	}
	if (returned == NOVA_PENDING) {
		status = await(call);
	} else {
		call->ended = 1;
		if (call->done)
			th_complain(host, "done() for an op that did not return NOVA_PENDING");
		if (returned > 0 || returned < NOVA_E_UNKNOWN)
			th_complain(host, "an op returned %d, which is no status", returned);
		if (th_clock_ns() > call->deadline_ns + NOVA_TESTHOST_GRACE_MS * 1000000ll)
			th_complain(host, "an op returned later than the grace after its deadline");
	}
	if (status < 0 && status != NOVA_E_CANCELLED && status != NOVA_E_TIMEOUT && !call->error)
		th_complain(host, "an op failed with %d and no error()", status);
	close_call(call);
	if (call->expired)
		status = NOVA_E_TIMEOUT;
	pthread_mutex_unlock(&th_lock);
	return status;
}

void nova_testhost_cancel(struct nova_testhost *host, nova_op op)
{
	struct call *call;

	pthread_mutex_lock(&th_lock);
	call = th_find_call(op);
	if (!call || call->host != host)
		th_complain(host, "cancel of an op that is not of this host");
	else if (call->open && !call->done && !call->cancelled)
		give_up(call);
	pthread_mutex_unlock(&th_lock);
}

/* --- what an op left ---------------------------------------------------------------------- */

/* Under the lock: the calling thread's last op of this host, else its creation. */
static struct call *last(struct nova_testhost *host)
{
	struct call *call = th_find_call(last_op);

	return call && call->host == host ? call : host->creation;
}

int nova_testhost_ended(struct nova_testhost *host)
{
	int ended;

	pthread_mutex_lock(&th_lock);
	ended = last(host)->ended;
	pthread_mutex_unlock(&th_lock);
	return ended;
}

const char *nova_testhost_error(struct nova_testhost *host)
{
	const char *text;

	pthread_mutex_lock(&th_lock);
	text = last(host)->error;
	pthread_mutex_unlock(&th_lock);
	return text ? text : "";
}

uint32_t nova_testhost_count(struct nova_testhost *host, uint32_t field)
{
	uint32_t count;

	pthread_mutex_lock(&th_lock);
	th_find_result(&last(host)->results, field, 0, &count);
	pthread_mutex_unlock(&th_lock);
	return count;
}

static int pick(struct nova_testhost *host, uint32_t field, uint32_t index, char type,
                struct result *found)
{
	const struct result *result;
	int status = NOVA_E_NOT_FOUND;
	uint32_t count;

	pthread_mutex_lock(&th_lock);
	result = th_find_result(&last(host)->results, field, index, &count);
	if (result && result->type == type) {
		*found = *result;
		status = NOVA_DONE;
	}
	pthread_mutex_unlock(&th_lock);
	return status;
}

int nova_testhost_i64(struct nova_testhost *host, uint32_t field, uint32_t index, int64_t *value)
{
	struct result found;
	int status = pick(host, field, index, 'i', &found);

	if (status == NOVA_DONE)
		*value = found.i64;
	return status;
}

int nova_testhost_f64(struct nova_testhost *host, uint32_t field, uint32_t index, double *value)
{
	struct result found;
	int status = pick(host, field, index, 'f', &found);

	if (status == NOVA_DONE)
		*value = found.f64;
	return status;
}

int nova_testhost_fact_at(struct nova_testhost *host, uint32_t field, uint32_t index,
                          const char **key, const char **text)
{
	struct result found;
	int status = pick(host, field, index, 't', &found);

	if (status == NOVA_DONE) {
		*key = found.key;
		*text = found.text;
	}
	return status;
}

const char *nova_testhost_fact(struct nova_testhost *host, uint32_t field, const char *key)
{
	const char *other, *text;

	for (uint32_t i = 0; i < nova_testhost_count(host, field); i++)
		if (nova_testhost_fact_at(host, field, i, &other, &text) == NOVA_DONE &&
		    strcmp(other, key) == 0)
			return text;
	return NULL;
}

int nova_testhost_can(struct nova_testhost *host, const char *capability)
{
	const char *key, *text;

	for (uint32_t i = 0; i < nova_testhost_count(host, NOVA_FIELD_CAPABILITY); i++)
		if (nova_testhost_fact_at(host, NOVA_FIELD_CAPABILITY, i, &key, &text) ==
		            NOVA_DONE &&
		    strcmp(key, capability) == 0)
			return text == NULL;
	return 0;
}

/* Joins the chunks into the first one, so that the text lives as long as the op. */
const char *nova_testhost_bytes(struct nova_testhost *host, uint32_t field, uint64_t *count)
{
	struct result *first = NULL, *next;
	struct results *results;

	pthread_mutex_lock(&th_lock);
	results = &last(host)->results;
	for (uint32_t i = 0; i < results->count; i++) {
		next = &results->all[i];
		if (next->field != field || next->type != 'b')
			continue;
		if (!first) {
			first = next;
			continue;
		}
		first->text = th_memory(first->text, first->bytes + next->bytes + 1);
		memcpy(first->text + first->bytes, next->text, next->bytes);
		first->bytes += next->bytes;
		next->bytes = 0;
	}
	if (first)
		first->text[first->bytes] = 0;
	pthread_mutex_unlock(&th_lock);
	if (count)
		*count = first ? first->bytes : 0;
	return first ? first->text : "";
}

/* --- events, complaints, log -------------------------------------------------------------- */

size_t nova_testhost_event_count(struct nova_testhost *host)
{
	size_t count;

	pthread_mutex_lock(&th_lock);
	count = host->event_count;
	pthread_mutex_unlock(&th_lock);
	return count;
}

const struct nova_event *nova_testhost_event(struct nova_testhost *host, size_t index)
{
	const struct nova_event *event;

	pthread_mutex_lock(&th_lock);
	event = index < host->event_count ? host->events[index] : NULL;
	pthread_mutex_unlock(&th_lock);
	return event;
}

const struct nova_event *nova_testhost_wait(struct nova_testhost *host, size_t from,
                                            const char *name, uint32_t kind, int64_t timeout_ms)
{
	int64_t until_ns = th_clock_ns() + timeout_ms * 1000000;
	const struct nova_event *event, *found = NULL;

	pthread_mutex_lock(&th_lock);
	for (;;) {
		for (; from < host->event_count && !found; from++) {
			event = host->events[from];
			if (event->kind == kind && (!name || strcmp(event->name, name) == 0))
				found = event;
		}
		if (found || th_clock_ns() >= until_ns)
			break;
		th_wait_until(&host->changed, until_ns);
	}
	pthread_mutex_unlock(&th_lock);
	return found;
}

uint32_t nova_testhost_complaints(struct nova_testhost *host)
{
	uint32_t count;

	pthread_mutex_lock(&th_lock);
	count = host->complaint_count;
	pthread_mutex_unlock(&th_lock);
	return count;
}

const char *nova_testhost_complaint(struct nova_testhost *host, uint32_t index)
{
	const char *text;

	pthread_mutex_lock(&th_lock);
	text = index < host->complaint_count ? host->complaints[index] : NULL;
	pthread_mutex_unlock(&th_lock);
	return text;
}

int nova_testhost_logged(struct nova_testhost *host, const char *part)
{
	int found = 0;

	pthread_mutex_lock(&th_lock);
	for (uint32_t i = 0; i < host->line_count && !found; i++)
		found = strstr(host->lines[i], part) != NULL;
	pthread_mutex_unlock(&th_lock);
	return found;
}

/* --- life --------------------------------------------------------------------------------- */

const char *nova_testhost_refusal(void)
{
	return refusal;
}

uint64_t nova_testhost_instance(const struct nova_testhost *host)
{
	return host->instance;
}

void *nova_testhost_self(const struct nova_testhost *host)
{
	return host->self;
}

const struct nova_hypervisor *nova_testhost_ops(const struct nova_testhost *host)
{
	return host->plugin->kind == NOVA_KIND_HYPERVISOR ? host->plugin->ops : NULL;
}

/* False if a directory cannot be made. */
static int make_directories(struct nova_testhost *host)
{
	static const char *const names[] = {NULL, "state", "run", "cache"};
	const char *base = getenv("TMPDIR");
	char path[PATH_MAX + 8];

	snprintf(host->scratch, sizeof(host->scratch) - 8, "%s/novacore-testhost-XXXXXX",
	         base && *base ? base : "/tmp");
	if (!mkdtemp(host->scratch)) {
		host->scratch[0] = 0;
		return 0;
	}
	for (int i = NOVA_DIRECTORY_STATE; i <= (int)NOVA_DIRECTORY_CACHE; i++) {
		snprintf(path, sizeof(path), "%s/%s", host->scratch, names[i]);
		if (mkdir(path, 0700) != 0)
			return 0;
		host->directories[i] = th_copy(path);
	}
	return 1;
}

struct nova_testhost *nova_testhost_new(const struct nova_plugin *plugin,
                                        const char *const *parameters)
{
	struct nova_testhost *host = th_memory(NULL, sizeof(*host));

	memset(host, 0, sizeof(*host));
	host->plugin = plugin;
	th_init_condition(&host->changed);
	if (!plugin || th_parameters_read(&host->parameters, plugin, parameters, refusal,
	                                  sizeof(refusal)) != NOVA_DONE) {
		nova_testhost_free(host);
		return NULL;
	}
	if (!make_directories(host)) {
		snprintf(refusal, sizeof(refusal), "cannot make a directory: %s", strerror(errno));
		nova_testhost_free(host);
		return NULL;
	}
	if (plugin->thread_model == NOVA_THREADS_SERIAL)
		host->gate = &serial_gate;
	else if (plugin->thread_model != NOVA_THREADS_PARALLEL)
		host->gate = &host->own_gate;
	pthread_mutex_lock(&th_lock);
	host->creation = new_call(host, INT64_MAX);
	host->instance = host->creation->op;
	pthread_mutex_unlock(&th_lock);
	if (plugin->kind == NOVA_KIND_BENCHMARK)
		th_lab_new(host);
	if (plugin->kind == NOVA_KIND_OPTIMIZER)
		th_view_new(host);
	return host;
}

static void start_threads(struct nova_testhost *host)
{
	const struct nova_hypervisor *ops = nova_testhost_ops(host);

	host->watching = 1;
	pthread_create(&host->watch_thread, NULL, watch_loop, host);
	if (!ops || !ops->pump)
		return;
	host->pumping = 1;
	pthread_create(&host->pump_thread, NULL, pump_loop, host);
}

int nova_testhost_start(struct nova_testhost *host)
{
	const struct nova_hypervisor *ops = nova_testhost_ops(host);
	int status = NOVA_DONE;

	last_op = host->instance;
	if (host->created || host->destroyed)
		return NOVA_E_INVALID;
	if (host->plugin->probe)
		status = host->plugin->probe(&th_table, host->instance);
	if (status == NOVA_DONE && ops)
		status = ops->create(&th_table, host->instance, &host->self);
	else if (status == NOVA_DONE && host->lab)
		status = th_benchmark_create(host);
	if (status != NOVA_DONE) {
		host->self = NULL;
		pthread_mutex_lock(&th_lock);
		if (!host->creation->error)
			th_complain(host, "probe or create failed with %d and no error()", status);
		pthread_mutex_unlock(&th_lock);
		return status;
	}
	host->creation->ended = 1;
	host->created = 1;
	if (!host->lab)
		start_threads(host);
	return NOVA_DONE;
}

void nova_testhost_stop(struct nova_testhost *host)
{
	const struct nova_hypervisor *ops = nova_testhost_ops(host);

	if (!host->created || host->destroyed)
		return;
	if (host->watching) {
		pthread_mutex_lock(&th_lock);
		host->stopping = 1;
		pthread_cond_broadcast(&host->changed);
		pthread_mutex_unlock(&th_lock);
		pthread_join(host->watch_thread, NULL);
	}
	if (host->pumping) {
		if (NOVA_HAS(ops, struct nova_hypervisor, wake) && ops->wake)
			ops->wake(host->self);
		pthread_join(host->pump_thread, NULL);
	}
	host->watching = host->pumping = 0;
	if (ops && ops->destroy)
		ops->destroy(host->self);
	if (host->lab)
		th_benchmark_stop(host);
	host->destroyed = 1;
}

static void free_call(struct call *call)
{
	th_free_results(&call->results);
	free(call->error);
	pthread_cond_destroy(&call->changed);
	free(call);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

void nova_testhost_free(struct nova_testhost *host)
{
	if (!host)
		return;
	nova_testhost_stop(host);
	pthread_mutex_lock(&th_lock);
	for (uint32_t i = 0; i < host->call_count; i++) {
		numbers[host->calls[i]->op - 1] = NULL;
		free_call(host->calls[i]);
	}
	pthread_mutex_unlock(&th_lock);
	free(host->calls);
	free(host->open_calls);
	for (size_t i = 0; i < host->event_count; i++) {
		free((char *)(uintptr_t)host->events[i]->name);
		free(host->events[i]);
	}
	free(host->events);
	for (uint32_t i = 0; i < host->complaint_count; i++)
		free(host->complaints[i]);
	free(host->complaints);
	for (uint32_t i = 0; i < host->line_count; i++)
		free(host->lines[i]);
	free(host->lines);
	for (uint32_t i = 0; i < host->kept_count; i++)
		free(host->kept[i]);
	free(host->kept);
	th_lab_free(host->lab);
	th_view_free(host->view);
	for (int i = 0; i < 4; i++)
		free(host->directories[i]);
	if (host->scratch[0])
		nftw(host->scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	th_parameters_free(&host->parameters);
	pthread_cond_destroy(&host->changed);
	free(host);
}

/* --- without a test library --------------------------------------------------------------- */

void nova_testhost_expected(const char *condition, const char *file, int line)
{
	fprintf(stderr, "%s:%d: %s does not hold\n", file, line, condition);
	exit(1);
}
