/* SPDX-License-Identifier: MIT */
/*
 * A libvirt daemon of our own, for what the embedded driver cannot do: migrate. It has an identity,
 * directories and a socket of its own below the state directory, so that a machine can have two
 * ("daemon" and its "twin"), and it is never privileged: as root it runs as QEMU's user, because
 * two daemons of root would share /run/libvirt whatever they are told.
 *
 * It lives as long as the target. One that was left behind by a process that was killed ends by
 * itself when it has had no VM and no client for a while; else the next one that opens the target
 * takes over its VMs.
 */
#include "kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TEXT_BYTES 512
#define END_MS     10000 /* for SIGTERM to do; a daemon without VMs takes 0.1 s */

/*
 * Everything in the daemon's directory is written by its own user, never by root. $1: the
 * directory, by a short name; $2, $3: settings; $4: libvirtd.
 */
static const char script[] =
        "umask 077\n"
        "mkdir -p \"$1/libvirt\" \"$1/run\" &&\n"
        "printf %s \"$2\" >\"$1/libvirtd.conf\" &&\n"
        "printf %s \"$3\" >\"$1/libvirt/qemu.conf\" &&\n"
        ": >\"$1/libvirtd.log\" || exit\n"
        "HOME=$1 XDG_CONFIG_HOME=$1 XDG_CACHE_HOME=$1 XDG_DATA_HOME=$1 XDG_RUNTIME_DIR=$1/run\n"
        "export HOME XDG_CONFIG_HOME XDG_CACHE_HOME XDG_DATA_HOME XDG_RUNTIME_DIR\n"
        "exec \"$4\" -d -t 30 -f \"$1/libvirtd.conf\" -p \"$1/libvirtd.pid\"\n";

static char *find_libvirtd(void)
{
	static const char *const places[] = {"/usr/sbin/libvirtd", "/usr/local/sbin/libvirtd",
	                                     "/usr/bin/libvirtd", NULL};
	for (int i = 0; places[i]; i++)
		if (access(places[i], X_OK) == 0)
			return strdup(places[i]);
	return NULL;
}

/* Two hosts of a migration must not have the same. A version 4 UUID in form, the same each time. */
static char *host_uuid(const char *root)
{
	uint64_t parts[2] = {UINT64_C(14695981039346656037), UINT64_C(1099511628211)};
	for (int i = 0; i < 2; i++) /* FNV-1a */
		for (const char *c = root; *c; c++)
			parts[i] = (parts[i] ^ (unsigned char)*c) * UINT64_C(1099511628211);
	return kvm_format("%08x-%04x-4%03x-a%03x-%012llx", (unsigned)(parts[0] >> 32),
	                  (unsigned)(parts[0] >> 16 & 0xffff), (unsigned)(parts[0] & 0xfff),
	                  (unsigned)(parts[1] >> 48 & 0xfff),
	                  (unsigned long long)(parts[1] & 0xffffffffffff));
}

/* --- one process at a time ---------------------------------------------------------------------
 */

static int take_lock(struct kvm *self, nova_op op)
{
	char *path = kvm_format("%s.lock", self->root), holder[32] = "";
	int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	int status = NOVA_DONE;
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
		self->daemon_lock = fd;
		if (ftruncate(fd, 0) != 0 || dprintf(fd, "%d", (int)getpid()) < 0)
			status = self->host->errorf(op, NOVA_E_IO, "cannot write %s: %s", path,
			                            strerror(errno));
	} else if (fd >= 0 && errno == EWOULDBLOCK &&
	           pread(fd, holder, sizeof(holder) - 1, 0) >= 0) {
		status = self->host->errorf(
		        op, NOVA_E_BUSY,
		        "another novacore (process %s) is using the libvirt daemon in %s; wait for "
		        "it to end, or give this one another directory with NOVACORE_HOME",
		        holder, self->root);
	} else {
		status = self->host->errorf(op, NOVA_E_IO, "cannot lock %s: %s", path,
		                            strerror(errno));
	}
	if (fd >= 0 && fd != self->daemon_lock)
		close(fd);
	free(path);
	return status;
}

/* --- the process --------------------------------------------------------------------------------
 */

/* Its own user wrote that number: it counts if the process is that user's and this very daemon. */
static bool is_ours(struct kvm *self, pid_t pid)
{
	char words[1024];
	struct stat status;
	char *path = kvm_format("/proc/%d", (int)pid);
	char *file = kvm_format("/proc/%d/cmdline", (int)pid);
	char *wanted = kvm_format("%s/libvirtd.conf", self->alias);
	FILE *stream = file ? fopen(file, "re") : NULL;
	size_t count = stream ? fread(words, 1, sizeof(words) - 1, stream) : 0;
	bool ours = false;
	words[count] = '\0';
	for (size_t at = 0; wanted && at < count; at += strlen(words + at) + 1)
		ours = ours || strcmp(words + at, wanted) == 0;
	ours = ours && path && stat(path, &status) == 0 &&
	       status.st_uid == (self->privileged ? self->qemu_uid : geteuid());
	if (stream)
		fclose(stream);
	free(path);
	free(file);
	free(wanted);
	return ours;
}

/* A descriptor of the daemon's process; -1: there is none. */
static int open_process(struct kvm *self)
{
	char *path = kvm_format("%s/libvirtd.pid", self->root);
	FILE *file = path ? fopen(path, "re") : NULL;
	int pid = 0, fd = -1;
	if (file && fscanf(file, "%d", &pid) == 1 && pid > 1)
		fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd >= 0 &&
	    !is_ours(self, pid)) { /* asked with the descriptor open: no other can come */
		close(fd);
		fd = -1;
	}
	if (file)
		fclose(file);
	free(path);
	return fd;
}

/* Its VMs stay, for the next one. */
static void end_process(struct kvm *self)
{
	int fd = open_process(self);
	struct pollfd ended = {.fd = fd, .events = POLLIN};
	if (fd < 0)
		return;
	syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0);
	if (poll(&ended, 1, END_MS) == 0) {
		syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
		poll(&ended, 1, END_MS);
	}
	close(fd);
}

/* Keeps the last line of what it says. */
static void hear(void *context, uint32_t field, const void *bytes, uint64_t count)
{
	const char *text = bytes, *line;
	size_t length = (size_t)count;
	if (field != NOVA_FIELD_STDERR)
		return;
	while (length > 0 && text[length - 1] == '\n')
		length--;
	line = length ? memrchr(text, '\n', length) : NULL;
	line = line ? line + 1 : text;
	snprintf(context, TEXT_BYTES, "%.*s", (int)(text + length - line), line);
}

static int run_script(struct kvm *self, nova_op op, const char *libvirtd, const char *settings)
{
	char *user = kvm_format("--reuid=%u", (unsigned)self->qemu_uid);
	char *group = kvm_format("--regid=%u", (unsigned)self->qemu_gid);
	const char *const argv[] = {
	        "setpriv",   user,      group,        "--init-groups", "--inh-caps=-all",
	        "--",        "/bin/sh", "-c",         script,          "sh",
	        self->alias, settings,  kvm_settings, libvirtd,        NULL};
	const struct nova_exec exec = {.struct_size = sizeof(exec),
	                               .argv = self->privileged ? argv : argv + 6};
	char said[TEXT_BYTES] = "";
	int32_t code = 0;
	int status = user && group ? self->host->process(op, &exec, hear, said, &code)
	                           : self->host->error(op, NOVA_E_MEMORY, "out of memory");
	if (status == NOVA_DONE && code != 0)
		status =
		        self->host->errorf(op, NOVA_E_UNAVAILABLE,
		                           "a libvirt daemon of novacore's own did not start: "
		                           "%s (exit status %d); its messages are in "
		                           "%s/libvirtd.log",
		                           *said ? said : "it said nothing", (int)code, self->root);
	free(user);
	free(group);
	return status;
}

static int make_root(struct kvm *self, nova_op op)
{
	if ((mkdir(self->root, 0700) != 0 && errno != EEXIST) ||
	    (self->privileged && lchown(self->root, self->qemu_uid, self->qemu_gid) != 0))
		return self->host->errorf(op, NOVA_E_IO, "cannot make the directory %s: %s",
		                          self->root, strerror(errno));
	return kvm_access_path(self, op, self->root);
}

int kvm_daemon_start(struct kvm *self, nova_op op)
{
	char *libvirtd = find_libvirtd(), *uuid = host_uuid(self->root), *settings = NULL;
	int status = NOVA_DONE;
	if (!libvirtd)
		status = self->host->error(op, NOVA_E_UNAVAILABLE,
		                           "libvirtd is not installed; install libvirt-daemon");
	else if (!uuid || !(settings = kvm_format("# Written by novacore at each start\n"
	                                          "host_uuid = \"%s\"\n"
	                                          "unix_sock_dir = \"%s\"\n"
	                                          "unix_sock_rw_perms = \"0700\"\n"
	                                          "auth_unix_rw = \"none\"\n"
	                                          "log_outputs = \"3:file:%s/libvirtd.log\"\n",
	                                          uuid, self->alias, self->alias)))
		status = self->host->error(op, NOVA_E_MEMORY, "out of memory");
	if (status == NOVA_DONE)
		status = make_root(self, op);
	if (status == NOVA_DONE)
		status = take_lock(self, op);
	if (status == NOVA_DONE) {
		end_process(self); /* of one that was killed: it may be of other settings */
		status = run_script(self, op, libvirtd, settings);
	}
	free(libvirtd);
	free(uuid);
	free(settings);
	return status;
}

void kvm_daemon_stop(struct kvm *self)
{
	if (self->daemon_lock < 0)
		return; /* not ours to stop */
	end_process(self);
	unlink(self->alias);
	close(self->daemon_lock);
	self->daemon_lock = -1;
}

const char *kvm_no_twin(struct kvm *self)
{
	if (self->daemon && !self->twin)
		return NULL;
	return "only the libvirt daemon that novacore starts itself has a twin: use "
	       "uri=" KVM_URI_DAEMON ", as --pair local does";
}

int kvm_twin(void *instance, nova_op op)
{
	struct kvm *self = instance;
	const char *why = kvm_no_twin(self);
	return why ? self->host->error(op, NOVA_E_UNSUPPORTED, why)
	           : self->host->put_fact(op, NOVA_FIELD_URI, "", KVM_URI_TWIN);
}
