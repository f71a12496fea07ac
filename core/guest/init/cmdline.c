/* SPDX-License-Identifier: MIT */
/*
 * Words of the kernel command line. Text in, text out: tested on the host.
 */
#include "init.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool cmdline_value(const char *line, const char *key, unsigned nth, char *value, size_t room)
{
	size_t key_length = strlen(key);

	while (*line != '\0') {
		line += strspn(line, " \t\n");
		size_t length = strcspn(line, " \t\n");
		if (length > key_length && line[key_length] == '=' &&
		    strncmp(line, key, key_length) == 0 && nth-- == 0) {
			size_t value_length = length - key_length - 1;
			if (value_length >= room)
				return false;
			memcpy(value, line + key_length + 1, value_length);
			value[value_length] = '\0';
			return true;
		}
		line += length;
	}
	return false;
}

bool cmdline_number(const char *text, long low, long high, long *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	long value = strtol(text, &end, 10);
	if (errno != 0 || *end != '\0' || value < low || value > high)
		return false;
	*number = value;
	return true;
}
