/* SPDX-License-Identifier: MIT */
/*
 * The SSH server, for hypervisors that cannot run a program in a VM. It knows keys only, never a
 * password. Its host key is made at the first boot and not when the first client comes, so that a
 * snapshot has it.
 */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYS     "/root/.ssh/authorized_keys"
#define HOST_KEY "/etc/dropbear/dropbear_ed25519_host_key"

bool ssh_key_line(const char *text, char *line, size_t room)
{
	static const char types[] = "abcdefghijklmnopqrstuvwxyz0123456789.@-";
	static const char base64[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
	size_t type = strspn(text, types), key = 0;

	if (text[type] == ',')
		key = strspn(text + type + 1, base64);
	if (type == 0 || key == 0 || text[type + 1 + key] != '\0')
		return false;
	int length = snprintf(line, room, "%.*s %s\n", (int)type, text, text + type + 1);
	return length > 0 && (size_t)length < room;
}

static unsigned write_keys(const char *cmdline)
{
	char value[1024], line[1100];
	unsigned count = 0;
	int fd = -1;

	for (unsigned i = 0; cmdline_value(cmdline, "novacore.ssh", i, value, sizeof(value)); i++) {
		if (!ssh_key_line(value, line, sizeof(line))) {
			complain("novacore.ssh=%s is not TYPE,KEY", value);
			continue;
		}
		mkdir("/root/.ssh", 0700);
		if (fd < 0)
			fd = open(KEYS, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0 || write(fd, line, strlen(line)) != (ssize_t)strlen(line))
			complain("cannot write %s: %m", KEYS);
		else
			count++;
	}
	if (fd >= 0)
		close(fd);
	return count;
}

void ssh_start(const char *cmdline)
{
	/* -e: sessions have our environment; -s: no passwords; -j -k: no forwarding */
	char *argv[] = {"/bin/sh", "-c",
	                "test -e " HOST_KEY " || dropbearkey -t ed25519 -f " HOST_KEY " >/dev/null;"
	                "exec dropbear -F -e -s -j -k -m -r " HOST_KEY " -P /run/dropbear.pid",
	                NULL};
	pid_t pid;

	if (write_keys(cmdline) == 0)
		return;
	mkdir("/etc/dropbear", 0700);
	/* the server gives its sessions a PATH of its own, in which this is */
	mkdir("/usr/local", 0755);
	if (symlink("/novacore/bin", "/usr/local/bin") != 0 && errno != EEXIST)
		complain("cannot make /usr/local/bin: %m");
	int failed = spawn(&pid, argv);
	if (failed != 0)
		complain("cannot start the SSH server: %s", strerror(failed));
}
