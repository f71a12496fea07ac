/* SPDX-License-Identifier: MIT */
/*
 * Secrets stay where the user keeps them: the configuration holds a reference (a file that only its
 * owner can read, an environment variable, the kernel's keyring), or, in a file that only its owner
 * can read, the secret itself. A secret that has been read is known to the log, which hides it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/config/internal.h"

#define SECRET_BYTES_MAX 65536
#define KEYCTL_READ      11 /* linux/keyctl.h; keyctl(2) */

static const char *after(const char *text, const char *scheme)
{
	size_t length = strlen(scheme);
	return strncmp(text, scheme, length) == 0 ? text + length : NULL;
}

bool secret_is_reference(const char *text)
{
	return after(text, "file:") || after(text, "env:") || after(text, "keyring:");
}

static char *read_file(const char *path, struct nova_error *error)
{
	struct stat about;
	NOVA_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0 || fstat(fd, &about) < 0) {
		nova_error_errno(error, "cannot read the secret in %s", path);
		return NULL;
	}
	if (!S_ISREG(about.st_mode) || (about.st_mode & 077) ||
	    (about.st_uid != geteuid() && about.st_uid != 0)) {
		nova_error_set(
		        error, NOVA_E_PERMISSION,
		        "the secret in %s is not safe there: it must be a plain file of yours "
		        "that nobody else can read; chmod 600 %s",
		        path, path);
		return NULL;
	}
	char *text = nova_alloc(SECRET_BYTES_MAX);
	ssize_t got = read(fd, text, SECRET_BYTES_MAX - 1);
	if (got < 0)
		nova_error_errno(error, "cannot read the secret in %s", path);
	if (got >= 0) {
		text[strcspn(text, "\r\n")] = '\0'; /* of a file, the first line */
		return text;
	}
	free(text);
	return NULL;
}

/* libkeyutils would only wrap these two calls. */
static char *read_keyring(const char *name, struct nova_error *error)
{
	long serial = syscall(SYS_request_key, "user", name, NULL, 0);
	char *text = nova_alloc(SECRET_BYTES_MAX);
	long got = -1;

	if (serial >= 0)
		got = syscall(SYS_keyctl, KEYCTL_READ, serial, text, SECRET_BYTES_MAX - 1);
	if (got >= 0 && got < SECRET_BYTES_MAX)
		return text;
	nova_error_errno(error, "cannot read the secret user key \"%s\" from the keyring", name);
	free(text);
	return NULL;
}

char *secret_resolve(const char *text, struct nova_error *error)
{
	const char *name;
	char *secret = NULL;

	if ((name = after(text, "file:"))) {
		secret = read_file(name, error);
	} else if ((name = after(text, "env:"))) {
		secret = nova_strdup(getenv(name));
		if (!secret)
			nova_error_set(
			        error, NOVA_E_NOT_FOUND,
			        "the environment variable %s, which holds the secret, is not set",
			        name);
	} else if ((name = after(text, "keyring:"))) {
		secret = read_keyring(name, error);
	} else {
		secret = nova_strdup(text);
	}
	if (secret && *secret)
		nova_secret_add(secret);
	return secret;
}
