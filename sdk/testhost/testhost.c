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

struct result {
	uint32_t field;
	int64_t i64;
	double f64;
	char *key, *text; /* text: a fact's, or bytes */
	uint64_t bytes;
	char type; /* i f b t */
};

struct call {
	struct nova_testhost *host;
	nova_op op;
	int64_t deadline_ns;
	int open, cancelled, expired, done, done_status, ended;
	char *error;
	struct result *results;
	uint32_t result_count;
	pthread_cond_t changed;
};

/* Who may enter the plugin: one at a time unless it is PARALLEL. */
struct gate {
	int busy, waiting;
};

struct nova_testhost {
	const struct nova_plugin *plugin;
	struct parameters parameters;
	uint64_t instance;
	struct call *creation;
	void *self;
	struct gate own_gate, *gate; /* gate NULL: PARALLEL */
	struct call **calls;         /* all there were */
	struct call **open_calls;    /* those of them that have not ended */
	uint32_t call_count, open_count;
	int64_t next_ns; /* when the watch thread looks again */
	struct nova_event **events;
	size_t event_count;
	char **complaints, **lines;
	uint32_t complaint_count, line_count;
	char *directories[4];
	char scratch[PATH_MAX];
	pthread_t pump_thread, watch_thread;
	int running, stopping;
	pthread_cond_t changed; /* events, the gate, deadlines, stopping */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct gate serial_gate; /* of all SERIAL plugins together: more than they ask for */
static struct call **numbers;   /* op - 1 → call; NULL once its host is freed */
static uint64_t number_count;
static _Thread_local nova_op last_op;
static _Thread_local char refusal[512];

/* --- small helpers ------------------------------------------------------------------------ */

int64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void *memory(void *old, size_t bytes)
{
	void *fresh = realloc(old, bytes);

	if (!fresh)
		abort();
	return fresh;
}

char *copy(const char *text)
{
	return text ? strcpy(memory(NULL, strlen(text) + 1), text) : NULL;
}

/* Room for one more element; grows by doubling, so `count` alone says when. */
static void *grow(void *array, size_t count, size_t size)
{
	return (count & (count - 1)) == 0 ? memory(array, (count ? 2 * count : 1) * size) : array;
}

static void init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
}

/* Waits under the lock until signalled or `until_ns`. */
static void wait_until(pthread_cond_t *condition, int64_t until_ns)
{
	struct timespec t = {until_ns / 1000000000, until_ns % 1000000000};

	pthread_cond_timedwait(condition, &lock, &t);
}

__attribute__((format(printf, 2, 3))) static void complain(struct nova_testhost *host,
                                                           const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	fprintf(stderr, "testhost: %s\n", text);
	if (!host)
		return;
	host->complaints = grow(host->complaints, host->complaint_count, sizeof(*host->complaints));
	host->complaints[host->complaint_count++] = copy(text);
}

/* Under the lock. NULL for a number that never was, or whose host is gone. */
static struct call *find(nova_op op)
{
	return op > 0 && op <= number_count ? numbers[op - 1] : NULL;
}

static struct nova_testhost *find_instance(uint64_t instance)
{
	struct call *call = find(instance);

	return call ? call->host : NULL;
}

static struct call *new_call(struct nova_testhost *host, int64_t deadline_ns)
{
	struct call *call = memory(NULL, sizeof(*call));

	memset(call, 0, sizeof(*call));
	call->host = host;
	call->deadline_ns = deadline_ns;
	call->open = 1;
	init_condition(&call->changed);
	numbers = grow(numbers, number_count, sizeof(*numbers));
	numbers[number_count++] = call;
	call->op = number_count;
	host->calls = grow(host->calls, host->call_count, sizeof(*host->calls));
	host->calls[host->call_count++] = call;
	return call;
}

/* --- the table ---------------------------------------------------------------------------- */

static void table_done(nova_op op, int32_t status)
{
	struct call *call;

	pthread_mutex_lock(&lock);
	call = find(op);
	if (!call)
		complain(NULL, "done(%llu): no such op", (unsigned long long)op);
	else if (status > 0)
		complain(call->host, "done() with status %d: NOVA_DONE or NOVA_E_*", status);
	else if (call->done)
		complain(call->host, "done() twice for op %llu", (unsigned long long)op);
	else {
		call->done = 1;
		call->done_status = status;
		pthread_cond_broadcast(&call->changed);
	}
	pthread_mutex_unlock(&lock);
}

static int table_error(nova_op op, int32_t code, const char *text)
{
	struct call *call;
	size_t before;

	pthread_mutex_lock(&lock);
	call = find(op);
	if (!call || !text || code >= 0) {
		complain(call ? call->host : NULL, "error(%llu, %d, \"%s\"): wrong argument",
		         (unsigned long long)op, code, text ? text : "(null)");
	} else {
		before = call->error ? strlen(call->error) + 2 : 0;
		call->error = memory(call->error, before + strlen(text) + 1);
		if (before)
			memcpy(call->error + before - 2, "; ", 2);
		strcpy(call->error + before, text);
	}
	pthread_mutex_unlock(&lock);
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

	pthread_mutex_lock(&lock);
	call = find(op);
	deadline_ns = call ? call->deadline_ns : 0;
	pthread_mutex_unlock(&lock);
	return deadline_ns;
}

static int table_cancelled(nova_op op)
{
	struct call *call;
	int cancelled;

	pthread_mutex_lock(&lock);
	call = find(op);
	cancelled = !call || call->cancelled;
	pthread_mutex_unlock(&lock);
	return cancelled;
}

static int put(nova_op op, const struct result *given)
{
	struct call *call;
	struct result *result;
	int status = NOVA_DONE;

	pthread_mutex_lock(&lock);
	call = find(op);
	if (!call || given->field == 0 || (given->type == 't' && !given->key)) {
		complain(call ? call->host : NULL, "put of field %u into op %llu: wrong argument",
		         given->field, (unsigned long long)op);
		status = NOVA_E_INVALID;
	} else if (!call->open || call->done) {
		if (!call->expired)
			complain(call->host, "put of field %u after the op has ended",
			         given->field);
		status = NOVA_E_INVALID;
	} else {
		call->results = grow(call->results, call->result_count, sizeof(*call->results));
		result = &call->results[call->result_count++];
		*result = *given;
		result->key = copy(given->key);
		if (given->type == 't')
			result->text = copy(given->text);
		if (given->type == 'b') {
			result->text = memory(NULL, given->bytes + 1);
			if (given->bytes)
				memcpy(result->text, given->text, given->bytes);
		}
	}
	pthread_mutex_unlock(&lock);
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

	pthread_mutex_lock(&lock);
	host = find_instance(instance);
	if (!host || host->instance != instance) {
		complain(host, "event for %llu, which is not an instance",
		         (unsigned long long)instance);
	} else if (!event || event->struct_size < sizeof(*event) || !event->name || !event->kind ||
	           !event->source || event->resolution_ns <= 0) {
		complain(host,
		         "event: struct_size, name, kind, source and resolution_ns must be set");
	} else {
		kept = memory(NULL, sizeof(*kept));
		*kept = *event;
		kept->struct_size = sizeof(*kept);
		kept->name = copy(event->name);
		host->events = grow(host->events, host->event_count, sizeof(*host->events));
		host->events[host->event_count++] = kept;
		pthread_cond_broadcast(&host->changed);
		status = NOVA_DONE;
	}
	pthread_mutex_unlock(&lock);
	return status;
}

/* Parameters and directories do not change once the host is made: no lock while they are read. */
static struct nova_testhost *instance_or_complain(uint64_t instance, const char *function)
{
	struct nova_testhost *host;

	pthread_mutex_lock(&lock);
	host = find_instance(instance);
	if (!host)
		complain(NULL, "%s: no instance %llu", function, (unsigned long long)instance);
	pthread_mutex_unlock(&lock);
	return host;
}

static int table_param_i64(uint64_t instance, const char *name, uint32_t index, int64_t *value)
{
	struct nova_testhost *host = instance_or_complain(instance, "param_i64");

	return host ? parameters_i64(&host->parameters, name, index, value) : NOVA_E_INVALID;
}

static int table_param_f64(uint64_t instance, const char *name, uint32_t index, double *value)
{
	struct nova_testhost *host = instance_or_complain(instance, "param_f64");

	return host ? parameters_f64(&host->parameters, name, index, value) : NOVA_E_INVALID;
}

static const char *table_param_text(uint64_t instance, const char *name, uint32_t index)
{
	struct nova_testhost *host = instance_or_complain(instance, "param_text");

	return host ? parameters_text(&host->parameters, name, index) : NULL;
}

static void table_log(uint64_t instance, uint32_t severity, const char *text)
{
	struct nova_testhost *host;

	pthread_mutex_lock(&lock);
	host = find_instance(instance);
	if (!host || severity < NOVA_SAY_DEBUG || severity > NOVA_SAY_WARNING || !text) {
		complain(host, "log: wrong argument");
	} else {
		host->lines = grow(host->lines, host->line_count, sizeof(*host->lines));
		host->lines[host->line_count++] = copy(text);
	}
	pthread_mutex_unlock(&lock);
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
	int64_t deadline_ns = table_deadline(op_or_instance);
	int outcome = process_run(exec, deadline_ns, table_cancelled, op_or_instance, output,
	                          context, status);

	if (outcome != NOVA_DONE)
		table_errorf(op_or_instance, outcome, "cannot run %s: error %d",
		             exec && exec->argv && exec->argv[0] ? exec->argv[0] : "nothing",
		             outcome);
	return outcome;
}

static const struct nova_host TABLE = {
        .struct_size = sizeof(TABLE),
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
        .now_ns = clock_ns,
        .log = table_log,
        .directory = table_directory,
        .process = table_process,
};

const struct nova_host *nova_testhost_table(void)
{
	return &TABLE;
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
		if (host->running && NOVA_HAS(ops, struct nova_hypervisor, wake) && ops->wake) {
			pthread_mutex_unlock(&lock);
			ops->wake(host->self);
			pthread_mutex_lock(&lock);
		}
		if (gate->busy)
			wait_until(&host->changed, clock_ns() + 5000000);
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

	pthread_mutex_lock(&lock);
	while (!host->stopping) {
		if (host->gate && (host->gate->busy || host->gate->waiting)) {
			wait_until(&host->changed, clock_ns() + 5000000);
			continue;
		}
		if (host->gate)
			host->gate->busy = 1;
		pthread_mutex_unlock(&lock);
		status = ops->pump(host->self, clock_ns() + slice_ns);
		pthread_mutex_lock(&lock);
		leave(host);
		if (status != NOVA_DONE) {
			complain(host, "pump returned %d", status);
			break;
		}
	}
	pthread_mutex_unlock(&lock);
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
	pthread_mutex_unlock(&lock);
	ops->cancel(call->host->self, call->op);
	pthread_mutex_lock(&lock);
	leave(call->host);
}

/* Cancels each op at its deadline. */
static void *watch_loop(void *context)
{
	struct nova_testhost *host = context;
	struct call *call, *due;
	int64_t next_ns;

	pthread_mutex_lock(&lock);
	while (!host->stopping) {
		due = NULL;
		next_ns = clock_ns() + 3600000000000;
		for (uint32_t i = 0; i < host->open_count; i++) {
			call = host->open_calls[i];
			if (call->done || call->cancelled)
				continue;
			if (call->deadline_ns <= clock_ns())
				due = call;
			else if (call->deadline_ns < next_ns)
				next_ns = call->deadline_ns;
		}
		if (due) {
			due->expired = 1;
			give_up(due);
		} else {
			host->next_ns = next_ns;
			wait_until(&host->changed, next_ns);
		}
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* --- an op -------------------------------------------------------------------------------- */

nova_op nova_testhost_begin(struct nova_testhost *host, int64_t timeout_ms)
{
	struct call *call;

	pthread_mutex_lock(&lock);
	enter(host);
	call = new_call(host, clock_ns() + timeout_ms * 1000000);
	host->open_calls = grow(host->open_calls, host->open_count, sizeof(*host->open_calls));
	host->open_calls[host->open_count++] = call;
	if (call->deadline_ns < host->next_ns)
		pthread_cond_broadcast(&host->changed);
	last_op = call->op;
	pthread_mutex_unlock(&lock);
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

	while (!call->done && clock_ns() < last_ns)
		wait_until(&call->changed, last_ns);
	if (!call->done) {
		complain(call->host, "op %llu was not ended within the grace after its deadline",
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

	pthread_mutex_lock(&lock);
	leave(host);
	call = find(last_op);
	if (!call || call->host != host || !call->open) {
		complain(host, "end without begin on this thread");
		pthread_mutex_unlock(&lock);
		return NOVA_E_INTERNAL;
	}
	if (returned == NOVA_PENDING) {
		status = await(call);
	} else {
		call->ended = 1;
		if (call->done)
			complain(host, "done() for an op that did not return NOVA_PENDING");
		if (returned > 0 || returned < NOVA_E_UNKNOWN)
			complain(host, "an op returned %d, which is no status", returned);
	}
	if (status < 0 && status != NOVA_E_CANCELLED && status != NOVA_E_TIMEOUT && !call->error)
		complain(host, "an op failed with %d and no error()", status);
	close_call(call);
	if (call->expired)
		status = NOVA_E_TIMEOUT;
	pthread_mutex_unlock(&lock);
	return status;
}

void nova_testhost_cancel(struct nova_testhost *host, nova_op op)
{
	struct call *call;

	pthread_mutex_lock(&lock);
	call = find(op);
	if (!call || call->host != host)
		complain(host, "cancel of an op that is not of this host");
	else if (call->open && !call->done && !call->cancelled)
		give_up(call);
	pthread_mutex_unlock(&lock);
}

/* --- what an op left ---------------------------------------------------------------------- */

/* Under the lock: the calling thread's last op of this host, else its creation. */
static struct call *last(struct nova_testhost *host)
{
	struct call *call = find(last_op);

	return call && call->host == host ? call : host->creation;
}

int nova_testhost_ended(struct nova_testhost *host)
{
	int ended;

	pthread_mutex_lock(&lock);
	ended = last(host)->ended;
	pthread_mutex_unlock(&lock);
	return ended;
}

const char *nova_testhost_error(struct nova_testhost *host)
{
	const char *text;

	pthread_mutex_lock(&lock);
	text = last(host)->error;
	pthread_mutex_unlock(&lock);
	return text ? text : "";
}

uint32_t nova_testhost_count(struct nova_testhost *host, uint32_t field)
{
	struct call *call;
	uint32_t count = 0;

	pthread_mutex_lock(&lock);
	call = last(host);
	for (uint32_t i = 0; i < call->result_count; i++)
		count += call->results[i].field == field;
	pthread_mutex_unlock(&lock);
	return count;
}

static int pick(struct nova_testhost *host, uint32_t field, uint32_t index, char type,
                struct result *found)
{
	struct call *call;
	int status = NOVA_E_NOT_FOUND;

	pthread_mutex_lock(&lock);
	call = last(host);
	for (uint32_t i = 0; i < call->result_count && status != NOVA_DONE; i++) {
		if (call->results[i].field != field || index-- > 0)
			continue;
		if (call->results[i].type != type)
			break;
		*found = call->results[i];
		status = NOVA_DONE;
	}
	pthread_mutex_unlock(&lock);
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
	struct call *call;

	pthread_mutex_lock(&lock);
	call = last(host);
	for (uint32_t i = 0; i < call->result_count; i++) {
		next = &call->results[i];
		if (next->field != field || next->type != 'b')
			continue;
		if (!first) {
			first = next;
			continue;
		}
		first->text = memory(first->text, first->bytes + next->bytes + 1);
		memcpy(first->text + first->bytes, next->text, next->bytes);
		first->bytes += next->bytes;
		next->bytes = 0;
	}
	if (first)
		first->text[first->bytes] = 0;
	pthread_mutex_unlock(&lock);
	if (count)
		*count = first ? first->bytes : 0;
	return first ? first->text : "";
}

/* --- events, complaints, log -------------------------------------------------------------- */

size_t nova_testhost_event_count(struct nova_testhost *host)
{
	size_t count;

	pthread_mutex_lock(&lock);
	count = host->event_count;
	pthread_mutex_unlock(&lock);
	return count;
}

const struct nova_event *nova_testhost_event(struct nova_testhost *host, size_t index)
{
	const struct nova_event *event;

	pthread_mutex_lock(&lock);
	event = index < host->event_count ? host->events[index] : NULL;
	pthread_mutex_unlock(&lock);
	return event;
}

const struct nova_event *nova_testhost_wait(struct nova_testhost *host, size_t from,
                                            const char *name, uint32_t kind, int64_t timeout_ms)
{
	int64_t until_ns = clock_ns() + timeout_ms * 1000000;
	const struct nova_event *event, *found = NULL;

	pthread_mutex_lock(&lock);
	for (;;) {
		for (; from < host->event_count && !found; from++) {
			event = host->events[from];
			if (event->kind == kind && (!name || strcmp(event->name, name) == 0))
				found = event;
		}
		if (found || clock_ns() >= until_ns)
			break;
		wait_until(&host->changed, until_ns);
	}
	pthread_mutex_unlock(&lock);
	return found;
}

uint32_t nova_testhost_complaints(struct nova_testhost *host)
{
	uint32_t count;

	pthread_mutex_lock(&lock);
	count = host->complaint_count;
	pthread_mutex_unlock(&lock);
	return count;
}

const char *nova_testhost_complaint(struct nova_testhost *host, uint32_t index)
{
	const char *text;

	pthread_mutex_lock(&lock);
	text = index < host->complaint_count ? host->complaints[index] : NULL;
	pthread_mutex_unlock(&lock);
	return text;
}

int nova_testhost_logged(struct nova_testhost *host, const char *part)
{
	int found = 0;

	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < host->line_count && !found; i++)
		found = strstr(host->lines[i], part) != NULL;
	pthread_mutex_unlock(&lock);
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
		host->directories[i] = copy(path);
	}
	return 1;
}

struct nova_testhost *nova_testhost_new(const struct nova_plugin *plugin,
                                        const char *const *parameters)
{
	struct nova_testhost *host = memory(NULL, sizeof(*host));

	memset(host, 0, sizeof(*host));
	host->plugin = plugin;
	init_condition(&host->changed);
	if (!plugin || parameters_read(&host->parameters, plugin, parameters, refusal,
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
	pthread_mutex_lock(&lock);
	host->creation = new_call(host, INT64_MAX);
	host->instance = host->creation->op;
	pthread_mutex_unlock(&lock);
	return host;
}

int nova_testhost_start(struct nova_testhost *host)
{
	const struct nova_hypervisor *ops = nova_testhost_ops(host);
	int status = NOVA_DONE;

	last_op = host->instance;
	if (host->plugin->probe)
		status = host->plugin->probe(&TABLE, host->instance);
	if (status == NOVA_DONE && ops)
		status = ops->create(&TABLE, host->instance, &host->self);
	if (status != NOVA_DONE) {
		host->self = NULL;
		if (!host->creation->error)
			complain(host, "probe or create failed with %d and no error()", status);
		return status;
	}
	host->creation->ended = 1;
	if (!ops)
		return NOVA_DONE;
	host->running = 1 + (ops->pump != NULL);
	pthread_create(&host->watch_thread, NULL, watch_loop, host);
	if (ops->pump)
		pthread_create(&host->pump_thread, NULL, pump_loop, host);
	return NOVA_DONE;
}

static void stop(struct nova_testhost *host)
{
	const struct nova_hypervisor *ops = nova_testhost_ops(host);

	if (!host->running)
		return;
	pthread_mutex_lock(&lock);
	host->stopping = 1;
	pthread_cond_broadcast(&host->changed);
	pthread_mutex_unlock(&lock);
	pthread_join(host->watch_thread, NULL);
	if (ops->pump) {
		if (NOVA_HAS(ops, struct nova_hypervisor, wake) && ops->wake)
			ops->wake(host->self);
		pthread_join(host->pump_thread, NULL);
	}
	host->running = 0;
	if (ops->destroy)
		ops->destroy(host->self);
}

static void free_call(struct call *call)
{
	for (uint32_t i = 0; i < call->result_count; i++) {
		free(call->results[i].key);
		free(call->results[i].text);
	}
	free(call->results);
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
	stop(host);
	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < host->call_count; i++) {
		numbers[host->calls[i]->op - 1] = NULL;
		free_call(host->calls[i]);
	}
	pthread_mutex_unlock(&lock);
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
	for (int i = 0; i < 4; i++)
		free(host->directories[i]);
	if (host->scratch[0])
		nftw(host->scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	parameters_free(&host->parameters);
	pthread_cond_destroy(&host->changed);
	free(host);
}
