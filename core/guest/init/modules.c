/* SPDX-License-Identifier: MIT */
/*
 * Loads kernel modules by the list that was written when the appliance was built. A line is
 *   PHASE PATTERNS FILE…
 * PATTERNS are device aliases with wildcards (as in modules.alias), separated by commas, or "-";
 * the FILEs are loaded in their order if a device matches. So only what the VM has is probed.
 */
#include "init.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ALIASES_MAX = 256, LOADED_MAX = 128 };

static int directory_fd = -1;
static char *list;
static char *aliases[ALIASES_MAX];
static unsigned alias_count;
static char *loaded[LOADED_MAX];
static unsigned loaded_count;

static char *read_at(int directory, const char *path, size_t limit)
{
	int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	char *text = malloc(limit + 1);
	size_t length = 0;
	ssize_t got;
	while (text != NULL && length < limit &&
	       (got = read(fd, text + length, limit - length)) > 0)
		length += (size_t)got;
	close(fd);
	if (text != NULL)
		text[length] = '\0';
	return text;
}

void modules_open(const char *directory)
{
	directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory_fd >= 0)
		list = read_at(directory_fd, "list", 256 * 1024);
	if (list == NULL)
		complain("no list of kernel modules in %s: %m", directory);
}

static void collect_bus(const char *bus)
{
	char path[512];

	snprintf(path, sizeof(path), "/sys/bus/%s/devices", bus);
	DIR *devices = opendir(path);
	struct dirent *entry;
	while (devices != NULL && (entry = readdir(devices)) != NULL) {
		if (entry->d_name[0] == '.' || alias_count == ALIASES_MAX)
			continue;
		snprintf(path, sizeof(path), "/sys/bus/%s/devices/%.255s/modalias", bus,
		         entry->d_name);
		char *alias = read_at(AT_FDCWD, path, 512);
		if (alias != NULL) {
			alias[strcspn(alias, "\n")] = '\0';
			aliases[alias_count++] = alias;
		}
	}
	if (devices != NULL)
		closedir(devices);
}

static void collect(void)
{
	while (alias_count > 0)
		free(aliases[--alias_count]);
	static const char *const buses[] = {"pci", "virtio", "acpi", "vmbus", "xen"};
	for (unsigned i = 0; i < sizeof(buses) / sizeof(buses[0]); i++)
		collect_bus(buses[i]);
}

bool modules_match(const char *patterns, const char *alias)
{
	char pattern[256];

	if (strcmp(patterns, "-") == 0)
		return true;
	while (alias != NULL && *patterns != '\0') {
		size_t length = strcspn(patterns, ",");
		if (length < sizeof(pattern)) {
			memcpy(pattern, patterns, length);
			pattern[length] = '\0';
			if (fnmatch(pattern, alias, 0) == 0)
				return true;
		}
		patterns += length;
		patterns += *patterns == ',';
	}
	return false;
}

static bool wanted(const char *patterns)
{
	if (modules_match(patterns, NULL))
		return true;
	for (unsigned i = 0; i < alias_count; i++)
		if (modules_match(patterns, aliases[i]))
			return true;
	return false;
}

static void load(char *file)
{
	for (unsigned i = 0; i < loaded_count; i++)
		if (strcmp(loaded[i], file) == 0)
			return;
	if (loaded_count < LOADED_MAX)
		loaded[loaded_count++] = strdup(file);
	int fd = openat(directory_fd, file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST))
		complain("cannot load the kernel module %s: %m", file);
	if (fd >= 0)
		close(fd);
}

void modules_load(enum phase phase)
{
	char *rest = NULL, *copy = list != NULL ? strdup(list) : NULL;

	if (copy == NULL)
		return;
	if (phase != PHASE_BASE && phase != PHASE_IDLE)
		collect();
	for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *words = NULL, *number = strtok_r(line, " ", &words);
		char *patterns = strtok_r(NULL, " ", &words), *file;
		if (number == NULL || patterns == NULL || atoi(number) != (int)phase ||
		    !wanted(patterns))
			continue;
		while ((file = strtok_r(NULL, " ", &words)) != NULL)
			load(file);
	}
	free(copy);
}
