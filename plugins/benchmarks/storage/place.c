/* SPDX-License-Identifier: MIT */
/* What statfs and the kernel's lists of mounts and block devices say of a directory. */
#include "place.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#define MEBIBYTE (UINT64_C(1) << 20)
#define DEEPEST  4 /* overlays over overlays */

/* The value of "upperdir=" in the options of the overlay that is mounted at `mount`; free(). */
static char *upper_of(const char *place)
{
	char *line = NULL, *found = NULL, *resolved = realpath(place, NULL);
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	size_t room = 0, best = 0;

	while (mounts && resolved && getline(&line, &room, mounts) > 0) {
		char point[4096], *options = strstr(line, "upperdir=");
		size_t length;

		/* proc_pid_mountinfo(5): the fifth field is the mount point */
		if (!strstr(line, " - overlay ") || !options ||
		    sscanf(line, "%*s %*s %*s %*s %4095s", point) != 1)
			continue;
		length = strcmp(point, "/") == 0 ? 0 : strlen(point);
		if (strncmp(resolved, point, length) != 0 ||
		    (resolved[length] != '/' && resolved[length]) || (found && length < best))
			continue;
		free(found);
		options += strlen("upperdir=");
		found = strndup(options, strcspn(options, ",\n"));
		best = length;
	}
	if (mounts)
		fclose(mounts);
	free(line);
	free(resolved);
	return found;
}

/* The block device's name where it is a disk made of memory, else "". */
static void memory_disk(const char *place, char name[64])
{
	char path[64], target[512];
	struct stat status;
	ssize_t length;
	const char *base;

	name[0] = '\0';
	if (stat(place, &status) != 0)
		return;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(status.st_dev),
	         minor(status.st_dev));
	length = readlink(path, target, sizeof(target) - 1);
	if (length <= 0)
		return;
	target[length] = '\0';
	base = strrchr(target, '/');
	base = base ? base + 1 : target;
	if (strncmp(base, "ram", 3) == 0 || strncmp(base, "zram", 4) == 0)
		snprintf(name, 64, "%.63s", base);
}

static int check_kind(const char *place, char *why, size_t room, int depth)
{
	static const char *const advice = "direct I/O there measures no disk; name a directory on "
	                                  "one with place";
	struct statfs about;
	char disk[64], *upper;
	int result = 0;

	if (statfs(place, &about) != 0) {
		snprintf(why, room, "cannot look at the file system of %s: %s", place,
		         strerror(errno));
		return -1;
	}
	memory_disk(place, disk);
	if (about.f_type == TMPFS_MAGIC || about.f_type == RAMFS_MAGIC || disk[0]) {
		snprintf(why, room, "%s is in memory (%s): %s", place,
		         disk[0]                       ? disk
		         : about.f_type == TMPFS_MAGIC ? "tmpfs"
		                                       : "ramfs",
		         advice);
		return -1;
	}
	if (about.f_type != OVERLAYFS_SUPER_MAGIC || depth == DEEPEST)
		return 0;
	/* An upper layer that cannot be seen from here (a container's) is given the benefit. */
	upper = upper_of(place);
	if (upper && access(upper, F_OK) == 0)
		result = check_kind(upper, why, room, depth + 1);
	free(upper);
	return result;
}

int storage_check_place(const char *place, char *why, size_t room)
{
	struct stat status;

	if (stat(place, &status) != 0) {
		snprintf(why, room,
		         "cannot use %s on this host: %s; make the directory, or name "
		         "another with place",
		         place, strerror(errno));
		return -1;
	}
	if (!S_ISDIR(status.st_mode)) {
		snprintf(why, room, "%s is no directory; name one with place", place);
		return -1;
	}
	if (access(place, W_OK | X_OK) != 0) {
		snprintf(why, room, "cannot write to %s: %s; name another directory with place",
		         place, strerror(errno));
		return -1;
	}
	return check_kind(place, why, room, 0);
}

int storage_check_space(const char *place, uint64_t bytes, char *why, size_t room)
{
	struct statvfs about;
	uint64_t bytes_free;

	if (statvfs(place, &about) != 0)
		return 0; /* whoever writes there will say it better */
	bytes_free = (uint64_t)about.f_bavail * about.f_frsize;
	if (bytes_free >= bytes)
		return 0;
	snprintf(why, room,
	         "%s has %llu MiB free, and %llu MiB are needed; choose a smaller size, "
	         "or another place",
	         place, (unsigned long long)(bytes_free / MEBIBYTE),
	         (unsigned long long)(bytes / MEBIBYTE));
	return -1;
}
