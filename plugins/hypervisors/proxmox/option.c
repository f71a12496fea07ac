/* SPDX-License-Identifier: MIT */
/* Reads and changes texts of Proxmox VE's. */
#include "option.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <novacore/helpers/json.h>

/* rrddata's rows are a minute apart within the last hour. */
#define ROW_S 60

/* Is the part at `options`, of `length` bytes, the one "KEY=…"? */
static int is_part(const char *options, size_t length, const char *key)
{
	size_t bytes = strlen(key);

	return length > bytes && strncmp(options, key, bytes) == 0 && options[bytes] == '=';
}

static const char *next_part(const char *options, size_t length)
{
	return options + length + (options[length] == ',');
}

int option_get(const char *options, const char *key, char *value, size_t room)
{
	size_t length = strcspn(options, ",");
	size_t skipped = strlen(key) + 1;

	while (*options && !is_part(options, length, key)) {
		options = next_part(options, length);
		length = strcspn(options, ",");
	}
	if (!*options || length - skipped >= room)
		return 0;
	snprintf(value, room, "%.*s", (int)(length - skipped), options + skipped);
	return 1;
}

void option_set(struct nova_text *out, const char *options, const char *key, const char *value)
{
	const char *separator = "";

	while (*options) {
		size_t length = strcspn(options, ",");

		if (length && !is_part(options, length, key)) {
			nova_text_add(out, separator);
			nova_text_append(out, options, length);
			separator = ",";
		}
		options = next_part(options, length);
	}
	if (value[0])
		nova_text_printf(out, "%s%s=%s", separator, key, value);
}

int option_version(const char *version, int64_t major, int64_t minor)
{
	char *end;
	int64_t first = strtoll(version, &end, 10);
	int64_t second = *end == '.' ? strtoll(end + 1, NULL, 10) : 0;

	return first > major || (first == major && second >= minor);
}

int option_is_image(const char *volume, const char *storage, const char *name)
{
	static const char *const ends[] = {".qcow2", ".raw", ".vmdk"};
	size_t before = strlen(storage), middle = strlen(name);

	if (strncmp(volume, storage, before) != 0 || strncmp(volume + before, ":import/", 8) != 0)
		return 0;
	volume += before + 8;
	if (strncmp(volume, name, middle) != 0)
		return 0;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		if (strcmp(volume + middle, ends[i]) == 0)
			return 1;
	}
	return 0;
}

int64_t option_downtime_ns(const char *line)
{
	static const char before[] = "downtime ";
	const char *at = strstr(line, before);
	char *end;
	int64_t ms;

	if (!at || at[sizeof(before) - 1] < '0' || at[sizeof(before) - 1] > '9')
		return -1;
	ms = strtoll(at + sizeof(before) - 1, &end, 10);
	return strncmp(end, " ms", 3) == 0 && ms >= 0 && ms < 86400000 ? ms * 1000000 : -1;
}

double option_cpu_s(const json_t *rows, int64_t uptime_s)
{
	double sum = -1;
	int64_t newest = 0;
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row)
	{
		int64_t time = nova_json_number(row, "time", 0);

		newest = time > newest ? time : newest;
	}
	json_array_foreach(rows, i, row)
	{
		double share = nova_json_real(row, "cpu", NAN);
		double cpus = nova_json_real(row, "maxcpu", NAN);

		if (nova_json_number(row, "time", 0) <= newest - uptime_s ||
		    !(share >= 0 && share <= 1024) || !(cpus >= 0 && cpus <= 1e6))
			continue;
		sum = (sum < 0 ? 0 : sum) + share * cpus * ROW_S;
	}
	return sum;
}
