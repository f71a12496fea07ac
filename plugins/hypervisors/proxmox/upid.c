/* SPDX-License-Identifier: MIT */
/* Parses the names of tasks. */
#include "upid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

int upid_is_node(const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || length > 63 || !letter_or_digit(name[0]) ||
	    !letter_or_digit(name[length - 1]))
		return 0;
	for (size_t i = 0; i < length; i++) {
		if (!letter_or_digit(name[i]) && name[i] != '-')
			return 0;
	}
	return 1;
}

/* 8 hexadecimal digits, or 9: the tick count of a process outgrows 8 after 497 days. */
static int parse_hex(const char *text, size_t longest, uint64_t *value)
{
	size_t length = strlen(text);

	if (length < 8 || length > longest || strspn(text, "0123456789ABCDEFabcdef") != length)
		return 0;
	*value = strtoull(text, NULL, 16);
	return 1;
}

static int copy_field(char *to, size_t room, const char *from, int may_be_empty)
{
	size_t length = strlen(from);

	if (length >= room || (length == 0 && !may_be_empty))
		return 0;
	for (size_t i = 0; i < length; i++) {
		if (from[i] <= ' ' || from[i] > '~')
			return 0;
	}
	memcpy(to, from, length + 1);
	return 1;
}

static int parse_fields(char *fields[9], struct upid *upid)
{
	uint64_t pstart;

	return strcmp(fields[0], "UPID") == 0 && upid_is_node(fields[1]) &&
	       copy_field(upid->node, sizeof(upid->node), fields[1], 0) &&
	       parse_hex(fields[2], 8, &upid->pid) && parse_hex(fields[3], 9, &pstart) &&
	       parse_hex(fields[4], 8, &upid->start_s) &&
	       copy_field(upid->type, sizeof(upid->type), fields[5], 0) &&
	       copy_field(upid->id, sizeof(upid->id), fields[6], 1) &&
	       copy_field(upid->user, sizeof(upid->user), fields[7], 0) && fields[8][0] == '\0';
}

int upid_parse(const char *text, struct upid *upid)
{
	char copy[sizeof(upid->text)];
	char *fields[9];
	char *rest = copy;
	size_t count = 0;

	*upid = (struct upid){0};
	if (strlen(text) >= sizeof(copy))
		return 0;
	snprintf(copy, sizeof(copy), "%s", text);
	while (rest && count < 9)
		fields[count++] = strsep(&rest, ":");
	if (count != 9 || rest || !parse_fields(fields, upid)) {
		*upid = (struct upid){0};
		return 0;
	}
	snprintf(upid->text, sizeof(upid->text), "%s", text);
	return 1;
}
