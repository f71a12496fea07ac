/* SPDX-License-Identifier: MIT */
/*
 * Whose code may run: ownership and permissions of the path to a plugin. A privileged process
 * trusts root alone; anybody else trusts themselves and root. Signatures are not checked yet, so a
 * privileged process uses only the prefix's own directory (registry.c).
 */
#include "core/plugin/inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

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
	                   "%s %s belongs to user %u, neither to you (user %u) nor to root; copy "
	                   "the plugin into a directory of your own",
	                   what, path, (unsigned int)status->st_uid, (unsigned int)trust->user);
}

/* Who may not write: group and others when privileged. A user's own group is their affair (many
 * systems give each user a private one and the umask 002). */
static mode_t forbidden(const struct nova_trust *trust)
{
	return trust->privileged ? S_IWGRP | S_IWOTH : S_IWOTH;
}

static int check_directory(const struct nova_trust *trust, const char *path,
                           enum nova_refusal_reason *reason, struct nova_error *error)
{
	struct stat status;

	if (lstat(path, &status))
		return nova_refuse(reason, NOVA_REFUSED_UNREADABLE, error,
		                   "cannot look at the directory %s: %s", path, strerror(errno));
	if (!owned_well(trust, &status))
		return refuse_owner("the directory", path, &status, trust, reason, error);
	if (!(status.st_mode & forbidden(trust)))
		return 0;
	if ((status.st_mode & S_ISVTX) && status.st_uid == 0)
		return 0;
	return nova_refuse(reason, NOVA_REFUSED_WRITABLE, error,
	                   "the directory %s can be written to by others (mode %04o), who could "
	                   "replace the plugin; chmod %s it",
	                   path, status.st_mode & 07777, trust->privileged ? "go-w" : "o-w");
}

int nova_trust_directory(const struct nova_trust *trust, const char *path,
                         enum nova_refusal_reason *reason, struct nova_error *error)
{
	if (!trust->privileged)
		return check_directory(trust, path, reason, error);

	NOVA_AUTOFREE char *part = nova_strdup(path);
	if (check_directory(trust, "/", reason, error))
		return error->code;
	for (char *slash = strchr(part + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = '\0';
		int result = check_directory(trust, part, reason, error);
		if (result || !slash)
			return result;
		*slash = '/';
	}
}

int nova_trust_file(const struct nova_trust *trust, const char *path, const struct stat *status,
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

void nova_trust_environment(const struct nova_trust *trust)
{
	if (!trust->privileged)
		return;
	unsetenv("HWLOC_PLUGINS_PATH");
	unsetenv("LIBVIRT_DRIVER_DIR");
}
