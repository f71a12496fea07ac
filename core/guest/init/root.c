/* SPDX-License-Identifier: MIT */
/*
 * The root disk: found by the name that the command line gives it, grown, mounted, entered.
 */
#include "init.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

/* fs/ext4/ext4.h: not among the kernel's exported headers everywhere */
#ifndef EXT4_IOC_RESIZE_FS
#define EXT4_IOC_RESIZE_FS _IOW('f', 16, uint64_t)
#endif
#define BY_LABEL "PARTLABEL="

/* The partition that some disk's GPT calls `label`; what disks are called depends on the host. */
static bool find_partition(const char *label, char *device, size_t room)
{
	DIR *blocks = opendir("/sys/class/block");
	struct dirent *entry;
	char expected[160];
	bool found = false;

	snprintf(expected, sizeof(expected), "\nPARTNAME=%s\n", label);
	while (blocks != NULL && !found && (entry = readdir(blocks)) != NULL) {
		char path[320], about[512] = "";
		snprintf(path, sizeof(path), "%.255s/uevent", entry->d_name);
		int fd = openat(dirfd(blocks), path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || read(fd, about, sizeof(about) - 1) < 0)
			about[0] = '\0';
		if (fd >= 0)
			close(fd);
		snprintf(device, room, "/dev/%s", entry->d_name);
		found = strstr(about, expected) != NULL && access(device, F_OK) == 0;
	}
	if (blocks != NULL)
		closedir(blocks);
	return found;
}

static bool find_disk(const char *cmdline, char *device, size_t room)
{
	static const char *const usual[] = {"/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/xvda"};
	char named[128];

	if (cmdline_value(cmdline, "root", 0, named, sizeof(named))) {
		if (strncmp(named, BY_LABEL, strlen(BY_LABEL)) == 0)
			return find_partition(named + strlen(BY_LABEL), device, room);
		snprintf(device, room, "%s", named);
		return access(device, F_OK) == 0;
	}
	for (unsigned i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
		snprintf(device, room, "%s", usual[i]);
		if (access(device, F_OK) == 0)
			return true;
	}
	return false;
}

/* Waits up to `ms` for the root disk's node; fills `device`. */
static bool wait_for_disk(const char *cmdline, char *device, size_t room, int ms)
{
	struct timespec moment = {.tv_nsec = 2000000};

	for (int passed = 0; passed <= ms; passed += 2) {
		if (find_disk(cmdline, device, room))
			return true;
		/* what is on a paravirtual bus may be announced only now */
		if (passed % 100 == 98)
			modules_load(PHASE_DISK);
		nanosleep(&moment, NULL);
	}
	return false;
}

/*
 * Grows the file system to a disk that the host has made larger than the image. The file system is
 * always our own or ext4; any other says no, and stays as it is.
 */
static void grow_root(const char *device)
{
	uint64_t bytes = 0;
	struct statfs about;
	int disk = open(device, O_RDONLY | O_CLOEXEC);
	int root = open("/root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (disk >= 0 && root >= 0 && ioctl(disk, BLKGETSIZE64, &bytes) == 0 &&
	    fstatfs(root, &about) == 0) {
		uint64_t block = (uint64_t)about.f_bsize, blocks = bytes / block;
		/* statfs leaves the metadata out, a few percent: only a real growth counts */
		if (blocks > (uint64_t)about.f_blocks + (uint64_t)about.f_blocks / 4 &&
		    ioctl(root, EXT4_IOC_RESIZE_FS, &blocks) != 0)
			complain("cannot grow the root file system to %s: %m", device);
	}
	if (disk >= 0)
		close(disk);
	if (root >= 0)
		close(root);
}

bool root_mount(const char *cmdline)
{
	static const char *const types[] = {"ext4", "ext2", "xfs", "btrfs"};
	char device[300] = "";

	mkdir("/root", 0755);
	if (!wait_for_disk(cmdline, device, sizeof(device), 20)) {
		modules_load(PHASE_FALLBACK);
		if (!wait_for_disk(cmdline, device, sizeof(device), 10000)) {
			if (!cmdline_value(cmdline, "root", 0, device, sizeof(device)))
				device[0] = '\0';
			complain("no root disk%s%s; going on without tools", *device ? ": " : "",
			         device);
			return false;
		}
	}
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (mount(device, "/root", types[i], MS_NOATIME, NULL) == 0) {
			grow_root(device);
			return true;
		}
		if (mount(device, "/root", types[i], MS_NOATIME | MS_RDONLY, NULL) == 0) {
			complain("%s can only be read", device);
			return true;
		}
	}
	complain("cannot mount the root disk %s: %m", device);
	return false;
}

void root_enter(void)
{
	static const char *const carried[] = {"dev", "proc", "sys"};
	char target[32];

	for (unsigned i = 0; i < sizeof(carried) / sizeof(carried[0]); i++) {
		snprintf(target, sizeof(target), "/root/%s", carried[i]);
		mkdir(target, 0755);
		if (mount(target + 5, target, NULL, MS_MOVE, NULL) != 0)
			complain("cannot move %s: %m", target + 5);
	}
	if (chdir("/root") != 0 || mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0 ||
	    chdir("/") != 0)
		complain("cannot enter the root disk: %m");
}
