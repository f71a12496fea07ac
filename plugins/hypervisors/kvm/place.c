/* SPDX-License-Identifier: MIT */
/*
 * Disks outside of the run's own directory. What lies there goes with no directory of ours, so each
 * is written down before it is made: a link of the VM's name in the state directory, which leads to
 * it. Whoever deletes the VM, a later process too, finds it by that.
 */
#include "kvm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *link_of(struct kvm *self, const char *name)
{
	const char *state = self->host->directory(self->instance, NOVA_DIRECTORY_STATE);

	return state ? kvm_format("%s/disks/%s", state, name) : NULL;
}

static int check(struct kvm *self, nova_op op, const char *place)
{
	struct stat status;

	if (!self->local)
		return self->host->errorf(op, NOVA_E_UNSUPPORTED,
		                          "disks cannot be put in %s: this host cannot make files "
		                          "on the hypervisor's",
		                          place);
	if (*place != '/')
		return self->host->errorf(op, NOVA_E_INVALID,
		                          "%s cannot be a place for disks: write the whole path of "
		                          "a directory",
		                          place);
	if (stat(place, &status) != 0)
		return self->host->errorf(op, errno == ENOENT ? NOVA_E_NOT_FOUND : NOVA_E_IO,
		                          "cannot put disks in %s: %s; make the directory, or name "
		                          "another place",
		                          place, strerror(errno));
	if (!S_ISDIR(status.st_mode))
		return self->host->errorf(op, NOVA_E_INVALID,
		                          "cannot put disks in %s: it is no directory", place);
	if (access(place, W_OK | X_OK) != 0)
		return self->host->errorf(
		        op, errno == EROFS ? NOVA_E_IO : NOVA_E_PERMISSION,
		        "cannot put disks in %s: %s; name another place, or let novacore write "
		        "there",
		        place, strerror(errno));
	return kvm_access_path(self, op, place);
}

static int write_down(struct kvm *self, nova_op op, const char *name, const char *disk)
{
	char *link = link_of(self, name), *folder = link ? strdup(link) : NULL;
	int status = NOVA_DONE;

	if (!link || !folder) {
		status = self->host->error(op, NOVA_E_MEMORY, "out of memory");
		goto done;
	}
	*strrchr(folder, '/') = '\0';
	if ((mkdir(folder, 0700) != 0 && errno != EEXIST) ||
	    (unlink(link) != 0 && errno != ENOENT) || symlink(disk, link) != 0)
		status = self->host->errorf(op, errno == ENOSPC ? NOVA_E_FULL : NOVA_E_IO,
		                            "cannot write down in %s where the disk of VM %s is: "
		                            "%s",
		                            folder, name, strerror(errno));
done:
	free(link);
	free(folder);
	return status;
}

int kvm_place_disk(struct kvm *self, nova_op op, const char *name, const char *place, char **disk)
{
	int status = place ? check(self, op, place) : NOVA_DONE;

	if (status != NOVA_DONE)
		return status;
	*disk = kvm_format("%s/%s.qcow2", place ? place : self->run, name);
	if (!*disk)
		return self->host->error(op, NOVA_E_MEMORY, "out of memory");
	return place ? write_down(self, op, name, *disk) : NOVA_DONE;
}

void kvm_place_forget(struct kvm *self, const char *name)
{
	char *link = link_of(self, name), path[4096];
	ssize_t length = link ? readlink(link, path, sizeof(path) - 1) : -1;
	const char *base;

	if (length > 0) {
		path[length] = '\0';
		base = strrchr(path, '/');
		length = (ssize_t)strlen(name);
		/* Only what bears the VM's name, whatever the link says. */
		if (base && strncmp(base + 1, name, (size_t)length) == 0 &&
		    strcmp(base + 1 + length, ".qcow2") == 0 && unlink(path) != 0 &&
		    errno != ENOENT) {
			free(link); /* it stays, for the next try */
			return;
		}
		unlink(link);
	}
	free(link);
}
