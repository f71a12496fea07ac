/* SPDX-License-Identifier: MIT */
/*
 * A user's own image instead of the appliance: checked for what can be checked without booting it.
 */
#include "core/guest/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { END_BYTES = 1 << 20 };

/* Hashing gigabytes would take minutes: size, time of change and both ends tell images apart. */
static json_t *fingerprint(int fd, const struct stat *about)
{
	NOVA_AUTOFREE char *ends = nova_alloc((size_t)2 * END_BYTES);
	off_t last = about->st_size > END_BYTES ? about->st_size - END_BYTES : 0;
	char digest[65];

	ssize_t first_bytes = pread(fd, ends, END_BYTES, 0);
	ssize_t last_bytes = pread(fd, ends + END_BYTES, END_BYTES, last);
	if (first_bytes < 0 || last_bytes < 0)
		return NULL;
	nova_sha256(ends, (size_t)2 * END_BYTES, digest);
	return json_pack("{s:I, s:I, s:s}", "bytes", (json_int_t)about->st_size, "changed_ns",
	                 (json_int_t)about->st_mtim.tv_sec * NOVA_SECOND_NS +
	                         about->st_mtim.tv_nsec,
	                 "ends_sha256", digest);
}

static int add(json_t *inputs, const char *key, const char *path, char **out,
               struct nova_error *error)
{
	struct stat about;

	if (path == NULL)
		return 0;
	/* not O_NOFOLLOW: links to images are usual; O_NONBLOCK: a FIFO must not hang us */
	NOVA_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &about) != 0)
		return nova_error_errno(error, "cannot open the guest's %s %s", key, path);
	if (!S_ISREG(about.st_mode) && !S_ISBLK(about.st_mode))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "cannot use %s as the guest's %s: it is not a file", path,
		                      key);
	if (S_ISBLK(about.st_mode))
		about.st_size = lseek(fd, 0, SEEK_END);
	if (about.st_size <= 0)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "cannot use %s as the guest's %s: it is empty", path, key);
	json_t *print = fingerprint(fd, &about);
	if (print == NULL)
		return nova_error_errno(error, "cannot read the guest's %s %s", key, path);
	json_object_set_new(inputs, key, print);
	*out = realpath(path, NULL);
	if (*out == NULL)
		*out = nova_strdup(path);
	return 0;
}

int nova_guest_from_image(const char *image, const char *kernel, const char *initrd,
                          const char *cmdline, struct nova_guest *out, struct nova_error *error)
{
	*out = (struct nova_guest){.hold = -1};
	if (image == NULL || *image == '\0')
		return nova_error_set(error, NOVA_E_INVALID, "the guest's image has no name");
	if (kernel == NULL && (initrd != NULL || (cmdline != NULL && *cmdline != '\0')))
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "a guest's initrd or kernel command line needs a kernel; give "
		        "the kernel as well, or let the image boot by itself");
	out->inputs = json_object();
	int failed = add(out->inputs, "image", image, &out->image, error);
	if (failed == 0)
		failed = add(out->inputs, "kernel", kernel, &out->kernel, error);
	if (failed == 0)
		failed = add(out->inputs, "initrd", initrd, &out->initrd, error);
	if (failed != 0) {
		nova_guest_release(out);
		return failed;
	}
	out->cmdline = nova_strdup(kernel != NULL && cmdline != NULL ? cmdline : "");
	NOVA_AUTOFREE char *canonical = nova_json_canonical(out->inputs);
	nova_sha256(canonical, strlen(canonical), out->id);
	return 0;
}
