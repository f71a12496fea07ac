/* SPDX-License-Identifier: MIT */
/* Which process is a VM's QEMU: by its command line, "-name guest=NAME,…" as libvirt writes it, or
 * "-name NAME". */
#include "core/profiler/record.h"

#include <dirent.h>
#include <string.h>

#define COMMAND_BYTES (4u << 20)

/* A copy of what follows -name, without its options; NULL if it is no QEMU. */
static char *name_of(const char *command, size_t bytes)
{
	const char *end = command + bytes, *slash = strrchr(command, '/');
	const char *program = slash ? slash + 1 : command;

	if (strncmp(program, "qemu", 4) != 0 && strncmp(program, "kvm", 3) != 0)
		return NULL;
	for (const char *at = command; at < end; at += strlen(at) + 1) {
		if (strcmp(at, "-name") != 0 && strcmp(at, "--name") != 0)
			continue;
		at += strlen(at) + 1;
		if (at >= end)
			return NULL;
		if (strncmp(at, "guest=", 6) == 0)
			at += 6;
		/* in a value a comma is written twice; ours and most have none */
		return strndup(at, strcspn(at, ","));
	}
	return NULL;
}

static int32_t look(const char *wanted, struct nova_text *names, size_t *found)
{
	DIR *directory = opendir("/proc");
	struct dirent *entry;
	int32_t pid = -1;

	while (directory && (entry = readdir(directory))) {
		char path[64];
		size_t bytes = 0;
		int number = atoi(entry->d_name);

		if (number <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/cmdline", number);
		NOVA_AUTOFREE char *command = nova_file_read(path, COMMAND_BYTES, &bytes, NULL);
		NOVA_AUTOFREE char *name = command && bytes ? name_of(command, bytes) : NULL;
		if (!name)
			continue;
		if (strcmp(name, wanted) == 0) {
			pid = number;
			++*found;
		} else {
			nova_text_addf(names, "%s%s", names->length ? ", " : "", name);
		}
	}
	if (directory)
		closedir(directory);
	return pid;
}

int nova_record_find_vm(const char *name, int32_t *pid, struct nova_error *error)
{
	NOVA_AUTOTEXT struct nova_text names = {0};
	size_t found = 0;

	*pid = look(name, &names, &found);
	if (found == 1)
		return 0;
	if (found > 1)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "%zu QEMU processes have a VM of the name %s; use --pid",
		                      found, name);
	nova_text_clean(names.data ? names.data : (char[]){""});
	return nova_error_set(error, NOVA_E_NOT_FOUND,
	                      "no QEMU process on this host has a VM of the name %s; %s%s", name,
	                      names.length ? "there are: " : "there is none at all",
	                      nova_text_get(&names));
}
