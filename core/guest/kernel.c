/* SPDX-License-Identifier: MIT */
/*
 * Chooses the guest's kernel among those installed here. A cloud kernel is preferred: it has what a
 * VM has, and nothing to probe for besides.
 */
#include "core/guest/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void guest_kernel_free(struct guest_kernel *kernel)
{
	free(kernel->image);
	free(kernel->release);
	free(kernel->modules);
	*kernel = (struct guest_kernel){0};
}

/* The setup header: Documentation/arch/x86/boot.rst, "kernel_version" at 0x20e, magic at 0x202. */
char *guest_kernel_release(const char *image)
{
	unsigned char header[0x210];
	char text[256] = "";
	NOVA_AUTOCLOSE int fd = open(image, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || pread(fd, header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
	    memcmp(header + 0x202, "HdrS", 4) != 0)
		return NULL;
	off_t at = (header[0x20e] | header[0x20f] << 8) + 0x200;
	if (pread(fd, text, sizeof(text) - 1, at) <= 0)
		return NULL;
	text[strcspn(text, " \n")] = '\0';
	return *text != '\0' ? nova_strdup(text) : NULL;
}

static bool has_modules(const char *root, const char *release, char **modules)
{
	NOVA_AUTOFREE char *list = nova_format("%s/lib/modules/%s/modules.dep", root, release);

	if (access(list, R_OK) != 0)
		return false;
	*modules = nova_format("%s/lib/modules/%s", root, release);
	return true;
}

/* Release by name: what follows the first '-' of vmlinuz-RELEASE, or the directory's name. */
static char *release_of(const char *path)
{
	const char *base = strrchr(path, '/') + 1;
	const char *dash = strchr(base, '-');
	char *release = guest_kernel_release(path);

	if (release != NULL)
		return release;
	if (dash != NULL)
		return nova_strdup(dash + 1);
	NOVA_AUTOFREE char *directory = nova_format("%.*s", (int)(base - 1 - path), path);
	const char *slash = strrchr(directory, '/');
	return nova_strdup(slash != NULL ? slash + 1 : directory);
}

static bool is_cloud(const char *release)
{
	return strstr(release, "-cloud") != NULL || strstr(release, "-kvm") != NULL ||
	       strstr(release, "-virtual") != NULL;
}

static bool better(const char *release, const char *than)
{
	if (than == NULL)
		return true;
	if (is_cloud(release) != is_cloud(than))
		return is_cloud(release);
	return strverscmp(release, than) > 0;
}

static int named(const char *root, const char *image, struct guest_kernel *kernel,
                 struct nova_error *error)
{
	if (access(image, R_OK) != 0)
		return nova_error_errno(error, "cannot read the guest's kernel %s", image);
	kernel->image =
	        strchr(image, '/') != NULL ? nova_strdup(image) : nova_format("./%s", image);
	kernel->release = release_of(kernel->image);
	if (has_modules(root, kernel->release, &kernel->modules))
		return 0;
	nova_error_set(
	        error, NOVA_E_UNAVAILABLE,
	        "cannot use the kernel %s: its modules, %s/lib/modules/%s, are not installed",
	        image, root, kernel->release);
	guest_kernel_free(kernel);
	return NOVA_E_UNAVAILABLE;
}

static int none(const char *unreadable, struct nova_error *error)
{
	if (unreadable == NULL)
		return nova_error_set(error, NOVA_E_UNAVAILABLE,
		                      "no kernel for the guest: none of /boot/vmlinuz-* has its "
		                      "modules in /lib/modules; run: apt-get install "
		                      "linux-image-cloud-amd64 (or any linux-image package)");
	return nova_error_set(error, NOVA_E_PERMISSION,
	                      "cannot read %s: this distribution keeps kernels readable by root "
	                      "only; run: sudo chmod 0644 %s (and after each kernel update), or "
	                      "build the appliance as root",
	                      unreadable, unreadable);
}

int guest_kernel_choose(const char *root, const char *image, struct guest_kernel *kernel,
                        struct nova_error *error)
{
	NOVA_AUTOFREE char *in_boot = nova_format("%s/boot/vmlinu[xz]-*", root);
	NOVA_AUTOFREE char *in_lib = nova_format("%s/lib/modules/*/vmlinuz", root);
	NOVA_AUTOFREE char *unreadable = NULL;
	glob_t found = {0};

	*kernel = (struct guest_kernel){0};
	if (image != NULL)
		return named(root, image, kernel, error);
	glob(in_boot, 0, NULL, &found);
	glob(in_lib, GLOB_APPEND, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *path = found.gl_pathv[i];
		struct guest_kernel candidate = {nova_strdup(path), release_of(path), NULL};
		bool usable = has_modules(root, candidate.release, &candidate.modules);
		if (usable && access(path, R_OK) != 0) {
			free(unreadable);
			unreadable = nova_strdup(path);
		} else if (usable && better(candidate.release, kernel->release)) {
			struct guest_kernel former = *kernel;
			*kernel = candidate;
			candidate = former;
		}
		guest_kernel_free(&candidate);
	}
	globfree(&found);
	return kernel->image != NULL ? 0 : none(unreadable, error);
}
