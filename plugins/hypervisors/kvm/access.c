/* SPDX-License-Identifier: MIT */
/*
 * As root QEMU runs as libvirt's own unprivileged user. Here: who that is, whether it can reach our
 * files, and handing it the few that it writes to. As an ordinary user there is nothing to do.
 */
#include "kvm.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The names that distributions build libvirt with. */
static const char *const users[] = {"libvirt-qemu", "qemu", NULL};

int kvm_access_user(struct kvm *self, nova_op op)
{
	struct passwd entry, *found = NULL;
	char space[4096];
	for (int i = 0; users[i] && !found; i++)
		if (getpwnam_r(users[i], &entry, space, sizeof(space), &found) != 0)
			found = NULL;
	if (!found)
		return self->host->error(op, NOVA_E_UNAVAILABLE,
		                         "as root QEMU runs as the user libvirt-qemu, which does "
		                         "not exist here; install libvirt-daemon-system, or run "
		                         "novacore as an ordinary user");
	self->qemu_uid = found->pw_uid;
	self->qemu_gid = found->pw_gid;
	return NOVA_DONE;
}

static bool may(const struct kvm *self, const struct stat *status, mode_t bit)
{
	if (status->st_uid == self->qemu_uid)
		return status->st_mode & bit << 6;
	if (status->st_gid == self->qemu_gid)
		return status->st_mode & bit << 3;
	return status->st_mode & bit;
}

/* Can QEMU's user enter every directory above `path` and read the file itself? */
int kvm_access_path(struct kvm *self, nova_op op, const char *path)
{
	struct stat status;
	char *copy = strdup(path);
	int result = NOVA_DONE;
	if (!self->privileged || !self->local)
		goto done;
	if (!copy) {
		result = self->host->error(op, NOVA_E_MEMORY, "out of memory");
		goto done;
	}
	for (char *slash = strchr(copy + 1, '/'); result == NOVA_DONE;
	     slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = '\0';
		mode_t bit = slash ? 1 : 4;
		if (stat(copy, &status) != 0)
			result = self->host->errorf(op,
			                            errno == ENOENT ? NOVA_E_NOT_FOUND : NOVA_E_IO,
			                            "cannot look at %s: %s", copy, strerror(errno));
		else if (S_ISDIR(status.st_mode))
			bit = 1;
		if (result == NOVA_DONE && !may(self, &status, bit))
			result = self->host->errorf(
			        op, NOVA_E_PERMISSION,
			        "QEMU, which runs as user id %u when novacore is root, may not %s "
			        "%s (mode %04o), which it needs for %s; %s, or run novacore as an "
			        "ordinary user",
			        (unsigned)self->qemu_uid, bit == 1 ? "enter" : "read", copy,
			        (unsigned)(status.st_mode & 07777), path,
			        bit == 1 ? "chmod o+x it, or keep novacore's state and images "
			                   "elsewhere"
			                 : "chmod o+r it");
		if (!slash)
			break;
		*slash = '/';
	}
done:
	free(copy);
	return result;
}

bool kvm_access_device(struct kvm *self)
{
	struct stat status;
	struct passwd entry, *found = NULL;
	char space[4096];
	gid_t groups[256];
	int count = 256;
	if (stat("/dev/kvm", &status) != 0)
		return false;
	if (!self->privileged)
		return access("/dev/kvm", R_OK | W_OK) == 0;
	if (may(self, &status, 4) && may(self, &status, 2))
		return true;
	if (getpwuid_r(self->qemu_uid, &entry, space, sizeof(space), &found) != 0 || !found ||
	    getgrouplist(entry.pw_name, self->qemu_gid, groups, &count) < 0)
		return false;
	for (int i = 0; i < count; i++)
		if (groups[i] == status.st_gid && (status.st_mode & 0060) == 0060)
			return true;
	return false;
}

/* Makes a file that QEMU writes to its user's. */
int kvm_access_give(struct kvm *self, nova_op op, const char *file)
{
	if (!self->privileged || !self->local)
		return NOVA_DONE;
	if (chown(file, self->qemu_uid, self->qemu_gid) == 0 && chmod(file, 0600) == 0)
		return NOVA_DONE;
	return self->host->errorf(op, NOVA_E_PERMISSION, "cannot give %s to QEMU's user: %s", file,
	                          strerror(errno));
}
