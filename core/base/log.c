/* SPDX-License-Identifier: MIT */
/*
 * The log: one JSON line a record to a file, plain text to stderr. Also the list of secrets, which
 * must never reach either. Lines go out in one write each, so that processes can share a file.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/base.h"
#include "core/base/internal.h"

/* Shorter ones would blacken innocent text, and "***" would no longer fit in their place. */
#define SECRET_BYTES_MIN 4

static const char *const level_names[] = {"", "debug", "info", "warning", "error"};

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static int log_file = -1;
static enum nova_level log_lowest = NOVA_LOG_WARNING;
static void (*log_before)(void);
static void (*log_after)(void);

static pthread_mutex_t secret_lock = PTHREAD_MUTEX_INITIALIZER;
static char **secrets; /* longest first: a secret may contain another */
static size_t secret_count;

void nova_secret_add(const char *secret)
{
	size_t length = secret ? strlen(secret) : 0;
	if (length < SECRET_BYTES_MIN)
		return;
	pthread_mutex_lock(&secret_lock);
	size_t at = secret_count;
	for (size_t i = secret_count; i-- > 0;) {
		if (strcmp(secrets[i], secret) == 0) {
			pthread_mutex_unlock(&secret_lock);
			return;
		}
		if (strlen(secrets[i]) < length)
			at = i;
	}
	secrets = nova_grow(secrets, secret_count, sizeof(*secrets));
	memmove(secrets + at + 1, secrets + at, (secret_count - at) * sizeof(*secrets));
	secrets[at] = nova_strdup(secret);
	secret_count++;
	pthread_mutex_unlock(&secret_lock);
}

void nova_secret_redact(char *text)
{
	if (!text)
		return;
	pthread_mutex_lock(&secret_lock);
	for (size_t i = 0; i < secret_count; i++) {
		size_t length = strlen(secrets[i]);
		for (char *at = text; (at = strstr(at, secrets[i])); at += 3) {
			memmove(at + 3, at + length, strlen(at + length) + 1);
			memcpy(at, "***", 3);
		}
	}
	pthread_mutex_unlock(&secret_lock);
}

int nova_log_open(const char *path, struct nova_error *error)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
	if (fd < 0)
		return nova_error_errno(error, "cannot open log file %s", path);
	pthread_mutex_lock(&log_lock);
	if (log_file >= 0)
		close(log_file);
	log_file = fd;
	pthread_mutex_unlock(&log_lock);
	return 0;
}

void nova_log_terminal(enum nova_level lowest)
{
	pthread_mutex_lock(&log_lock);
	log_lowest = lowest;
	pthread_mutex_unlock(&log_lock);
}

void nova_log_around(void (*before)(void), void (*after)(void))
{
	pthread_mutex_lock(&log_lock);
	log_before = before;
	log_after = after;
	pthread_mutex_unlock(&log_lock);
}

static void to_file(const char *level, const char *text)
{
	char time[32];
	nova_utc_format(nova_utc_ns(), time);
	NOVA_AUTOJSON json_t *record =
	        json_pack("{s:s, s:I, s:I, s:s, s:s}", "time", time, "monotonic_ns",
	                  (json_int_t)nova_now_ns(), "pid", (json_int_t)getpid(), "level", level,
	                  "text", text);
	NOVA_AUTOFREE char *dump = record ? json_dumps(record, JSON_COMPACT) : NULL;
	if (!dump)
		return;
	NOVA_AUTOFREE char *line = nova_format("%s\n", dump);
	/* A log that cannot be written must not stop what is being logged. */
	(void)base_write_all(log_file, line, strlen(line));
}

static void to_terminal(const char *level, const char *text)
{
	/* What goes well needs no label. */
	bool plain = strcmp(level, "info") == 0;
	NOVA_AUTOFREE char *line =
	        plain ? nova_format("%s\n", text) : nova_format("novacore: %s: %s\n", level, text);
	if (log_before)
		log_before();
	(void)base_write_all(STDERR_FILENO, line, strlen(line));
	if (log_after)
		log_after();
}

void nova_log(enum nova_level level, const char *format, ...)
{
	int saved = errno;
	char *text = NULL;
	va_list list;

	if (level < NOVA_LOG_DEBUG)
		level = NOVA_LOG_DEBUG;
	if (level > NOVA_LOG_ERROR)
		level = NOVA_LOG_ERROR;
	va_start(list, format);
	if (vasprintf(&text, format, list) < 0)
		text = nova_strdup(format);
	va_end(list);
	nova_secret_redact(text);
	nova_text_clean(text);

	pthread_mutex_lock(&log_lock);
	if (log_file >= 0)
		to_file(level_names[level], text);
	if (level >= log_lowest)
		to_terminal(level_names[level], text);
	pthread_mutex_unlock(&log_lock);
	free(text);
	errno = saved;
}
