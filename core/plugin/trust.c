/* SPDX-License-Identifier: MIT */
/*
 * Whose code may run: ownership and permissions of the path to a plugin, a key or a list. A
 * privileged process trusts root alone; anybody else trusts themselves and root. What is checked
 * is what is opened: each directory is entered by the descriptor of the one above, links are not
 * followed, and owner and mode are those of the open descriptor.
 */
#include "core/plugin/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <linux/magic.h>
#include <sys/auxv.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#define MOUNTINFO_LIMIT (16u << 20)

struct nova_trust nova_trust_now(void)
{
	uid_t user = geteuid();

	return (struct nova_trust){.privileged = user == 0 || getauxval(AT_SECURE), .user = user};
}

static bool owned_well(const struct nova_trust *trust, const struct stat *status)
{
	return status->st_uid == 0 || (!trust->privileged && status->st_uid == trust->user);
}

static int refuse_owner(const char *what, const char *path, const struct stat *status,
                        const struct nova_trust *trust, enum nova_refusal_reason *reason,
                        struct nova_error *error)
{
	if (trust->privileged)
		return nova_refuse(
		        reason, NOVA_REFUSED_OWNER, error,
		        "%s %s belongs to user %u, and a privileged novacore trusts only what "
		        "belongs to root; chown it to root, or run novacore as that user",
		        what, path, (unsigned int)status->st_uid);
	return nova_refuse(reason, NOVA_REFUSED_OWNER, error,
	                   "%s %s belongs to user %u, neither to you (user %u) nor to root; use a "
	                   "copy in a directory of your own",
	                   what, path, (unsigned int)status->st_uid, (unsigned int)trust->user);
}

/* Who may not write: group and others when privileged. A user's own group is their affair (many
 * systems give each user a private one and the umask 002). */
static mode_t forbidden(const struct nova_trust *trust)
{
	return trust->privileged ? S_IWGRP | S_IWOTH : S_IWOTH;
}

static int check_directory(const struct nova_trust *trust, const char *path,
                           const struct stat *status, enum nova_refusal_reason *reason,
                           struct nova_error *error)
{
	if (!owned_well(trust, status))
		return refuse_owner("the directory", path, status, trust, reason, error);
	if (!(status->st_mode & forbidden(trust)))
		return 0;
	if ((status->st_mode & S_ISVTX) && status->st_uid == 0)
		return 0;
	return nova_refuse(reason, NOVA_REFUSED_WRITABLE, error,
	                   "the directory %s can be written to by others (mode %04o), who could "
	                   "replace what is in it; chmod %s it",
	                   path, status->st_mode & 07777, trust->privileged ? "go-w" : "o-w");
}

static int refuse_component(int above, const char *name, const char *path,
                            enum nova_refusal_reason *reason, struct nova_error *error)
{
	int why = errno;
	struct stat status;

	if (!fstatat(above, name, &status, AT_SYMLINK_NOFOLLOW) && S_ISLNK(status.st_mode))
		return nova_refuse(reason, NOVA_REFUSED_SYMLINK, error,
		                   "%s is a symbolic link, which could come to mean another "
		                   "directory after it was checked; name the directory itself",
		                   path);
	return nova_refuse(reason, NOVA_REFUSED_UNREADABLE, error,
	                   "cannot open the directory %s: %s", path, strerror(why));
}

bool nova_mount_owner(const char *mountinfo, dev_t device, uid_t *owner)
{
	NOVA_AUTOFREE char *wanted = nova_format("%u:%u", major(device), minor(device));
	NOVA_AUTOFREE char *lines = nova_strdup(mountinfo);
	char *rest = lines, *line, where[32];

	/* proc(5): id, parent, major:minor, …, " - ", type, source, options of the file system */
	while ((line = strsep(&rest, "\n"))) {
		const char *more = strstr(line, " - ");
		if (!more || sscanf(line, "%*s %*s %31s", where) != 1 || strcmp(where, wanted))
			continue;
		const char *user = strstr(more, "user_id=");
		unsigned int number;
		if (user && strchr(" ,", user[-1]) && sscanf(user, "user_id=%u", &number) == 1) {
			*owner = (uid_t)number;
			return true;
		}
	}
	return false;
}

/*
 * A file system in user space says of its files what whoever mounted it likes, and something else
 * each time it is asked.
 */
static int check_mount(const struct nova_trust *trust, int fd, const char *path,
                       enum nova_refusal_reason *reason, struct nova_error *error)
{
	struct statfs system;
	struct stat status;
	uid_t owner;

	if (fstatfs(fd, &system) || system.f_type != FUSE_SUPER_MAGIC || fstat(fd, &status))
		return 0;
	NOVA_AUTOFREE char *mounts =
	        nova_file_read("/proc/self/mountinfo", MOUNTINFO_LIMIT, NULL, NULL);
	if (!mounts || !nova_mount_owner(mounts, status.st_dev, &owner) || owner == 0 ||
	    (!trust->privileged && owner == trust->user))
		return 0;
	return nova_refuse(reason, NOVA_REFUSED_OWNER, error,
	                   "the directory %s lies on a file system that user %u mounted and that "
	                   "can claim any owner; use a copy on one of the system's",
	                   path, (unsigned int)owner);
}

int nova_trust_open(const struct nova_trust *trust, const char *path, int *out,
                    enum nova_refusal_reason *reason, struct nova_error *error)
{
	NOVA_AUTOCLOSE int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	NOVA_AUTOFREE char *parts = nova_strdup(path);
	NOVA_AUTOTEXT struct nova_text seen = {0};
	const char *where = "/";
	char *rest = NULL, *part = strtok_r(parts, "/", &rest);
	struct stat status;

	*out = -1;
	for (;; part = strtok_r(NULL, "/", &rest)) {
		if (at < 0 || fstat(at, &status))
			return nova_refuse(reason, NOVA_REFUSED_UNREADABLE, error,
			                   "cannot look at the directory %s: %s", where,
			                   strerror(errno));
		int result = check_directory(trust, where, &status, reason, error);
		if (result)
			return result;
		if (!part)
			break;
		nova_text_addf(&seen, "/%s", part);
		where = nova_text_get(&seen);
		int next = openat(at, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return refuse_component(at, part, where, reason, error);
		close(at);
		at = next;
	}
	*out = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*out < 0)
		return nova_refuse(reason, NOVA_REFUSED_UNREADABLE, error,
		                   "cannot read the directory %s: %s", path, strerror(errno));
	int result = check_mount(trust, *out, path, reason, error);
	if (result) {
		close(*out);
		*out = -1;
	}
	return result;
}

static int check_file(const struct nova_trust *trust, const char *path, const struct stat *status,
                      enum nova_refusal_reason *reason, struct nova_error *error)
{
	if (!owned_well(trust, status))
		return refuse_owner("the file", path, status, trust, reason, error);
	if (status->st_mode & forbidden(trust))
		return nova_refuse(reason, NOVA_REFUSED_WRITABLE, error,
		                   "the file %s can be written to by others (mode %04o); chmod %s "
		                   "it and make sure that it is what you installed",
		                   path, status->st_mode & 07777,
		                   trust->privileged ? "go-w" : "o-w");
	return 0;
}

/* `limit` bounds what a growing or lying file can take. */
static char *read_to_end(int fd, size_t expected, size_t limit, size_t *bytes)
{
	size_t room = expected + 1, count = 0;
	char *data = nova_alloc(room + 1);

	for (;;) {
		ssize_t got = read(fd, data + count, room - count);
		if (got < 0 && errno == EINTR)
			continue;
		if (got > 0 && count + (size_t)got > limit)
			errno = EFBIG;
		if (got < 0 || (got > 0 && count + (size_t)got > limit)) {
			free(data);
			return NULL;
		}
		if (!got)
			break;
		count += (size_t)got;
		if (count == room) {
			room *= 2;
			data = nova_realloc(data, room + 1);
		}
	}
	data[count] = '\0';
	*bytes = count;
	return data;
}

/* The descriptor of a regular file that is trusted and small enough, or -1. */
static int open_file(const struct nova_trust *trust, int directory, const char *file,
                     const char *path, size_t limit, struct stat *status,
                     enum nova_refusal_reason *reason, struct nova_error *error)
{
	NOVA_AUTOCLOSE int fd =
	        openat(directory, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 && errno == ELOOP) {
		nova_refuse(reason, NOVA_REFUSED_SYMLINK, error,
		            "%s is a symbolic link, which could come to mean another file after it "
		            "was checked; copy the file itself there",
		            path);
		return -1;
	}
	if (fd < 0 || fstat(fd, status)) {
		nova_refuse(reason, NOVA_REFUSED_UNREADABLE, error, "cannot open %s: %s", path,
		            strerror(errno));
		return -1;
	}
	if (!S_ISREG(status->st_mode)) {
		nova_refuse(reason,
		            nova_file_name_valid(file) ? NOVA_REFUSED_NOT_ELF
		                                       : NOVA_REFUSED_UNREADABLE,
		            error, "%s is not a regular file; remove it", path);
		return -1;
	}
	if (check_file(trust, path, status, reason, error))
		return -1;
	if ((uint64_t)status->st_size > limit) {
		bool large = limit >= 1u << 20;
		nova_refuse(reason, NOVA_REFUSED_UNREADABLE, error,
		            "%s is larger than the %zu %s allowed", path,
		            limit >> (large ? 20 : 10), large ? "MiB" : "KiB");
		return -1;
	}
	int result = fd;
	fd = -1;
	return result;
}

char *nova_trust_read(const struct nova_trust *trust, int directory, const char *file,
                      const char *path, size_t limit, size_t *bytes, struct nova_opened *opened,
                      enum nova_refusal_reason *reason, struct nova_error *error)
{
	struct stat status;
	NOVA_AUTOCLOSE int fd =
	        open_file(trust, directory, file, path, limit, &status, reason, error);

	if (fd < 0)
		return NULL;
	char *data = read_to_end(fd, (size_t)status.st_size, limit, bytes);
	if (!data) {
		nova_refuse(reason, NOVA_REFUSED_UNREADABLE, error, "cannot read %s: %s", path,
		            strerror(errno));
		return NULL;
	}
	if (opened) {
		*opened = (struct nova_opened){.fd = fd, .status = status};
		fd = -1;
	}
	return data;
}

void nova_trust_environment(const struct nova_trust *trust)
{
	if (!trust->privileged)
		return;
	unsetenv("HWLOC_PLUGINS_PATH");
	unsetenv("LIBVIRT_DRIVER_DIR");
}
