/* SPDX-License-Identifier: MIT */
/*
 * Ops of drivers, and of whatever else has a deadline: their numbers, their turns by the thread
 * model, their cancellation, and what they have left.
 */
#include "inside.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gate serial_gate; /* of all SERIAL plugins together: more than they ask for */
/* op - number_base - 1 → call; NULL once its host is freed. Numbers are never used again, but the
 * array is given back when there is no host. */
static struct call **numbers;
static uint64_t number_base, number_count, host_count;
static _Thread_local nova_op last_op;

/* --- numbers ------------------------------------------------------------------------------ */

/* Under the lock. NULL for a number that never was, or whose host is gone. */
struct call *th_find_call(nova_op op)
{
	return op > number_base && op - number_base <= number_count ? numbers[op - number_base - 1]
	                                                            : NULL;
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
	call->op = number_base + number_count;
	host->calls = th_grow(host->calls, host->call_count, sizeof(*host->calls));
	host->calls[host->call_count++] = call;
	return call;
}

void th_calls_new(struct nova_testhost *host)
{
	if (host->plugin->thread_model == NOVA_THREADS_SERIAL)
		host->gate = &serial_gate;
	else if (host->plugin->thread_model != NOVA_THREADS_PARALLEL)
		host->gate = &host->own_gate;
	pthread_mutex_lock(&th_lock);
	host_count++;
	host->creation = new_call(host, INT64_MAX);
	host->instance = host->creation->op;
	pthread_mutex_unlock(&th_lock);
}

static void free_call(struct call *call)
{
	th_free_results(&call->results);
	free(call->error);
	pthread_cond_destroy(&call->changed);
	free(call);
}

void th_calls_free(struct nova_testhost *host)
{
	pthread_mutex_lock(&th_lock);
	for (uint32_t i = 0; i < host->call_count; i++) {
		numbers[host->calls[i]->op - number_base - 1] = NULL;
		free_call(host->calls[i]);
	}
	if (host->creation && --host_count == 0) {
		number_base += number_count;
		number_count = 0;
		free(numbers);
		numbers = NULL;
	}
	pthread_mutex_unlock(&th_lock);
	free(host->calls);
	free(host->open_calls);
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

void th_threads_start(struct nova_testhost *host)
{
	const struct nova_hypervisor *ops = nova_testhost_ops(host);

	host->watching = 1;
	pthread_create(&host->watch_thread, NULL, watch_loop, host);
	if (!ops || !ops->pump)
		return;
	host->pumping = 1;
	pthread_create(&host->pump_thread, NULL, pump_loop, host);
}

void th_threads_stop(struct nova_testhost *host)
{
	const struct nova_hypervisor *ops = nova_testhost_ops(host);

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
	call = th_find_call(last_op);
	if (!call || call->host != host || !call->open) {
		th_complain(host, "end without begin on this thread");
		pthread_mutex_unlock(&th_lock);
		return NOVA_E_INTERNAL;
	}
	leave(host);
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
