/* SPDX-License-Identifier: MIT */
/* Where recordings are kept that have no other place, named by when they began. */
#include "core/profiler/profiler.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define NEW_IDS 16 /* of one second, until one is free */

char *nova_recordings_place(const char *id)
{
	NOVA_AUTOFREE char *below = nova_format("recordings%s%s", id ? "/" : "", id ? id : "");

	return nova_place(NOVA_PLACE_STATE, below);
}

static void make_id(char id[32])
{
	time_t now = (time_t)(nova_utc_ns() / NOVA_SECOND_NS);
	struct tm parts;
	char random[37];
	size_t length;

	gmtime_r(&now, &parts);
	nova_uuid7(random);
	length = strftime(id, 32, "%Y%m%d-%H%M%S-", &parts);
	snprintf(id + length, 32 - length, "%.4s", random + 32);
}

bool nova_recordings_is_id(const char *id)
{
	size_t length = strlen(id);

	if (length != 20 || id[8] != '-' || id[15] != '-')
		return false;
	for (size_t i = 0; i < length; i++)
		if (i != 8 && i != 15 && !isxdigit((unsigned char)id[i]))
			return false;
	return true;
}

int nova_recordings_new(char id[32], char **directory, struct nova_error *error)
{
	NOVA_AUTOFREE char *all = nova_recordings_place(NULL);
	int code = nova_directory_make(all, 0700, error);

	*directory = NULL;
	for (int i = 0; !code && i < NEW_IDS; i++) {
		free(*directory);
		make_id(id);
		*directory = nova_recordings_place(id);
		if (!mkdir(*directory, 0700))
			return 0;
		if (errno != EEXIST)
			break;
	}
	return code ? code : nova_error_errno(error, "cannot make %s", *directory);
}
