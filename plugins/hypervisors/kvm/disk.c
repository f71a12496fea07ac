/* SPDX-License-Identifier: MIT */
/* Disks: a qcow2 overlay for each VM over a read-only image, copies, and imported images. */
#include "kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * By its first bytes. Only these two: whoever hands in an image of another format learns so here,
 * and not from a guest that finds nothing on its disk.
 */
const char *kvm_disk_format(const char *path)
{
	static const unsigned char magic[4] = {'Q', 'F', 'I', 0xfb};
	unsigned char bytes[4] = {0};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t count = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
	int error = errno;
	if (fd >= 0)
		close(fd);
	errno = error;
	if (count < 0)
		return NULL;
	if (count == 4 && memcmp(bytes, magic, 4) == 0)
		return "qcow2";
	if (count == 4 && (memcmp(bytes, "KDMV", 4) == 0 || memcmp(bytes, "vhdx", 4) == 0)) {
		errno = EMEDIUMTYPE;
		return NULL;
	}
	return "raw";
}

struct said {
	char text[512];
	size_t count;
};

static void listen_to(void *context, uint32_t field, const void *bytes, uint64_t count)
{
	struct said *said = context;
	size_t room = sizeof(said->text) - 1 - said->count;
	size_t take = count < room ? (size_t)count : room;
	if (field != NOVA_FIELD_STDERR)
		return;
	memcpy(said->text + said->count, bytes, take);
	said->count += take;
	while (said->count > 0 && said->text[said->count - 1] == '\n')
		said->count--;
	said->text[said->count] = '\0';
}

/* Runs a program on this host and turns its last words into an error. */
static int run(struct kvm *self, nova_op op, const char *const *argv, const char *what)
{
	const struct nova_exec exec = {.struct_size = sizeof(exec), .argv = argv};
	struct said said = {.count = 0};
	int32_t code = 0;
	int status = self->host->process(op, &exec, listen_to, &said, &code);
	if (status != NOVA_DONE || code == 0)
		return status;
	return self->host->errorf(
	        op, strstr(said.text, "No space left") ? NOVA_E_FULL : NOVA_E_FAILED,
	        "cannot make %s: %s says: %s", what, argv[0], said.count ? said.text : "nothing");
}

int kvm_disk_overlay(struct kvm *self, nova_op op, const char *overlay, const char *backing,
                     const char *format, uint64_t bytes)
{
	const char *argv[16] = {"qemu-img", "create", "-q", "-f", "qcow2"};
	char size[24];
	int count = 5;
	if (backing) {
		argv[count++] = "-b";
		argv[count++] = backing;
		argv[count++] = "-F";
		argv[count++] = format;
	}
	argv[count++] = overlay;
	if (bytes) {
		snprintf(size, sizeof(size), "%llu", (unsigned long long)bytes);
		argv[count++] = size;
	}
	int status = run(self, op, argv, overlay);
	return status == NOVA_DONE ? kvm_access_give(self, op, overlay) : status;
}

/* Shares the blocks where the file system can, else copies. */
int kvm_disk_copy(struct kvm *self, nova_op op, const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int status = NOVA_DONE;
	ssize_t moved = 1;
	if (out < 0) {
		status = self->host->errorf(op,
		                            errno == ENOENT   ? NOVA_E_NOT_FOUND
		                            : errno == EEXIST ? NOVA_E_EXISTS
		                                              : NOVA_E_IO,
		                            "cannot copy %s to %s: %s", from, to, strerror(errno));
		goto done;
	}
	if (ioctl(out, FICLONE, in) == 0)
		goto done;
	while (moved > 0 && !self->host->cancelled(op))
		moved = copy_file_range(in, NULL, out, NULL, 1 << 26, 0);
	if (moved != 0) {
		status = moved > 0
		                 ? NOVA_E_CANCELLED
		                 : self->host->errorf(op, errno == ENOSPC ? NOVA_E_FULL : NOVA_E_IO,
		                                      "cannot copy %s to %s: %s", from, to,
		                                      strerror(errno));
		unlink(to);
	}
done:
	if (out >= 0)
		close(out);
	if (in >= 0)
		close(in);
	return status;
}

static int image_path(struct kvm *self, nova_op op, const char *name, char **path)
{
	if (!name || !*name || strchr(name, '/') || *name == '.')
		return self->host->errorf(op, NOVA_E_INVALID, "%s cannot be an image's name",
		                          name ? name : "nothing");
	*path = kvm_format("%s/%s", self->images, name);
	return *path ? NOVA_DONE : NOVA_E_MEMORY;
}

int kvm_image_put(void *instance, nova_op op, const char *name, const char *path)
{
	struct kvm *self = instance;
	char *to = NULL;
	int status = image_path(self, op, name, &to);
	if (status == NOVA_DONE && !kvm_disk_format(path))
		status = self->host->errorf(
		        op, errno == EMEDIUMTYPE ? NOVA_E_UNSUPPORTED : NOVA_E_IO,
		        "cannot use %s as an image: %s; qcow2 and raw work", path, strerror(errno));
	if (status == NOVA_DONE && mkdir(self->images, 0711) != 0 && errno != EEXIST)
		status = self->host->errorf(op, NOVA_E_IO, "cannot make the directory %s: %s",
		                            self->images, strerror(errno));
	if (status == NOVA_DONE)
		status = kvm_disk_copy(self, op, path, to);
	free(to);
	return status;
}

int kvm_image_delete(void *instance, nova_op op, const char *name)
{
	struct kvm *self = instance;
	char *path = NULL;
	int status = image_path(self, op, name, &path);
	if (status == NOVA_DONE && unlink(path) != 0 && errno != ENOENT)
		status = self->host->errorf(op, NOVA_E_IO, "cannot delete the image %s: %s", path,
		                            strerror(errno));
	free(path);
	return status;
}
