/* SPDX-License-Identifier: MIT */
/* Memory, conditions, complaints and results: what the other files build on. */
#include "inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

pthread_mutex_t th_lock = PTHREAD_MUTEX_INITIALIZER;

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

void th_keep(struct nova_testhost *host, void *pointer)
{
	host->kept = th_grow(host->kept, host->kept_count, sizeof(*host->kept));
	host->kept[host->kept_count++] = pointer;
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
