/* SPDX-License-Identifier: MIT */
/* fio's JSON (format of fio 3) by jansson. Only what is asked for is looked at. */
#include "fio.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define JOBS_MOST 8

struct reading {
	char *why;
	size_t room;
	int failed;
};

static int fail(struct reading *reading, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

static int fail(struct reading *reading, const char *format, ...)
{
	va_list arguments;

	if (!reading->failed) {
		va_start(arguments, format);
		vsnprintf(reading->why, reading->room, format, arguments);
		va_end(arguments);
	}
	reading->failed = 1;
	return -1;
}

/* A number above 0: a job that moved nothing has measured nothing. */
static double positive(struct reading *reading, const json_t *object, const char *key,
                       const char *job)
{
	const json_t *value = json_object_get(object, key);
	double number = json_number_value(value);

	if (!json_is_number(value) || !isfinite(number) || number <= 0) {
		fail(reading, "job %s has no \"%s\" above 0", job, key);
		return 0;
	}
	return number;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static int check_error(struct reading *reading, const json_t *job, const char *name)
{
	const json_t *value = json_object_get(job, "error");
	int number = (int)json_integer_value(value);
	char buffer[80];

	if (!json_is_integer(value))
		return fail(reading, "job %s does not say whether it failed", name);
	if (number == ENOSPC)
		return fail(reading,
		            "job %s found no space left: choose a smaller size, or "
		            "another place",
		            name);
	if (number != 0)
		return fail(reading, "job %s failed: %s", name,
		            strerror_r(number, buffer, sizeof(buffer)));
	return 0;
}

static int read_job(struct reading *reading, const json_t *job, const struct storage_job *wanted,
                    struct storage_figures *figures)
{
	const json_t *half = json_object_get(job, wanted->writes ? "write" : "read");
	const json_t *percentiles = json_object_get(json_object_get(half, "lat_ns"), "percentile");

	if (strcmp(text_of(job, "jobname"), wanted->name) != 0)
		return fail(reading, "job %s is not where it should be", wanted->name);
	if (check_error(reading, job, wanted->name) != 0)
		return -1;
	positive(reading, half, "total_ios", wanted->name);
	positive(reading, half, "runtime", wanted->name);
	*figures = (struct storage_figures){
	        .bytes_per_s = positive(reading, half, "bw_bytes", wanted->name),
	        .per_s = positive(reading, half, "iops", wanted->name),
	        .p50_s = positive(reading, percentiles, "50.000000", wanted->name) / 1e9,
	        .p99_s = positive(reading, percentiles, "99.000000", wanted->name) / 1e9,
	};
	return reading->failed ? -1 : 0;
}

static void read_document(struct reading *reading, const json_t *document,
                          const struct storage_job *jobs, size_t count,
                          struct storage_figures *figures)
{
	const json_t *list = json_object_get(document, "jobs");

	if (strncmp(text_of(document, "fio version"), "fio-", 4) != 0)
		fail(reading, "it does not say that it is fio's");
	else if (strcmp(text_of(json_object_get(document, "global options"), "direct"), "1") != 0)
		fail(reading, "it is not of direct=1");
	else if (json_array_size(list) != count)
		fail(reading, "it has %zu jobs, not %zu", json_array_size(list), count);
	for (size_t i = 0; i < count && !reading->failed; i++)
		read_job(reading, json_array_get(list, i), &jobs[i], &figures[i]);
}

int storage_read_fio(const char *text, size_t bytes, const struct storage_job *jobs, size_t count,
                     struct storage_figures *figures, char *why, size_t room)
{
	struct storage_figures found[JOBS_MOST];
	struct reading reading = {.why = why, .room = room};
	json_error_t error;
	json_t *document;

	if (count > JOBS_MOST)
		return fail(&reading, "%zu jobs are too many", count);
	document = json_loadb(text, bytes, 0, &error);
	if (!document)
		return fail(&reading, "it is no JSON: line %d: %s", error.line, error.text);
	read_document(&reading, document, jobs, count, found);
	if (!reading.failed)
		memcpy(figures, found, count * sizeof(*figures));
	json_decref(document);
	return reading.failed ? -1 : 0;
}
