/* SPDX-License-Identifier: MIT */
/*
 * Opens a target. By default libvirt's QEMU driver runs inside this process ("embed"), with its own
 * directory below the state directory; "daemon" and "twin" are daemons of our own (daemon.c); any
 * libvirt URI works too.
 */
#include "bridge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool executable(const char *name)
{
	static const char *const places[] = {"/usr/bin", "/usr/local/bin", "/bin", "/usr/libexec",
	                                     NULL};
	bool found = false;
	for (int i = 0; places[i] && !found; i++) {
		char *path = kvm_format("%s/%s", places[i], name);
		found = path && access(path, X_OK) == 0;
		free(path);
	}
	return found;
}

static bool embedded(const char *uri)
{
	return !uri || !*uri || strcmp(uri, KVM_URI_EMBED) == 0;
}

static bool own_daemon(const char *uri)
{
	return uri && (strcmp(uri, KVM_URI_DAEMON) == 0 || strcmp(uri, KVM_URI_TWIN) == 0);
}

int kvm_probe(const struct nova_host *host, nova_op op)
{
	struct kvm self = {.host = host, .local = true, .privileged = geteuid() == 0};
	const char *uri = host->param_text(op, "uri", 0);
	if (!embedded(uri) && !own_daemon(uri))
		return NOVA_DONE; /* QEMU is wherever that URI leads */
	if (!executable("qemu-system-x86_64") && !executable("qemu-kvm"))
		return host->error(op, NOVA_E_UNAVAILABLE,
		                   "QEMU is not installed: no qemu-system-x86_64 found; install "
		                   "qemu-system-x86 and libvirt-daemon-driver-qemu");
	if (!executable("qemu-img"))
		return host->error(op, NOVA_E_UNAVAILABLE,
		                   "qemu-img is not installed; install qemu-utils");
	return self.privileged ? kvm_access_user(&self, op) : NOVA_DONE;
}

static int make_directory(struct kvm *self, nova_op op, const char *path)
{
	/* As root QEMU's user must be able to pass through, but not to list. */
	if (mkdir(path, 0711) != 0 && errno != EEXIST)
		return self->host->errorf(op, NOVA_E_IO, "cannot make the directory %s: %s", path,
		                          strerror(errno));
	if (self->privileged && chmod(path, 0711) != 0)
		return self->host->errorf(op, NOVA_E_IO, "cannot set the mode of %s: %s", path,
		                          strerror(errno));
	return NOVA_DONE;
}

/*
 * No daemon for log files, no sVirt; and no relabelling: the driver hands QEMU's user the files it
 * writes, and a shared image keeps its owner.
 */
const char kvm_settings[] = "# Written by novacore at each start\n"
                            "stdio_handler = \"file\"\n"
                            "security_driver = \"none\"\n"
                            "dynamic_ownership = 0\n"
                            "remember_owner = 0\n"
                            "namespaces = [ ]\n"
                            "max_queued = 0\n";

static int write_settings(struct kvm *self, nova_op op)
{
	char *folder = kvm_format("%s/etc", self->root);
	char *path = kvm_format("%s/etc/qemu.conf", self->root);
	char *fresh = kvm_format("%s/etc/qemu.conf.%d", self->root, (int)getpid());
	int status = NOVA_E_MEMORY;
	FILE *file = NULL;
	if (!folder || !path || !fresh)
		goto done;
	status = make_directory(self, op, self->root);
	if (status == NOVA_DONE)
		status = make_directory(self, op, folder);
	if (status != NOVA_DONE)
		goto done;
	file = fopen(fresh, "we");
	if (!file || fputs(kvm_settings, file) < 0 || fclose(file) != 0 || rename(fresh, path) != 0)
		status = self->host->errorf(op, NOVA_E_IO, "cannot write %s: %s", path,
		                            strerror(errno));
done:
	free(folder);
	free(path);
	free(fresh);
	return status;
}

/* Who holds libvirt's lock on its directory; 0: nobody. */
static pid_t holder(struct kvm *self)
{
	char *path = kvm_format("%s/run/qemu/driver.pid", self->root);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0 || fcntl(fd, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK)
		lock.l_pid = 0;
	if (fd >= 0)
		close(fd);
	free(path);
	return lock.l_pid;
}

static int open_uri(struct kvm *self, nova_op op)
{
	pid_t other = self->embedded ? holder(self) : 0;
	if (other == 0)
		self->connection = virConnectOpenAuth(self->uri, virConnectAuthPtrDefault, 0);
	if (self->connection)
		return NOVA_DONE;
	if (self->embedded && other == 0)
		other = holder(self);
	if (other > 0 && other != getpid())
		return self->host->errorf(op, NOVA_E_BUSY,
		                          "another novacore (process %d) is using the embedded "
		                          "libvirt in %s, which serves one process at a time; wait "
		                          "for it to end, or give this one another directory with "
		                          "NOVACORE_HOME",
		                          (int)other, self->root);
	return kvm_fail(self, op, "open", self->uri);
}

/* Paths of UNIX sockets have at most 107 bytes, and libvirt adds 81 to its directory. */
static char *alias_of(const char *root)
{
	uint32_t hash = UINT32_C(2166136261); /* FNV-1a */
	for (const char *c = root; *c; c++)
		hash = (hash ^ (unsigned char)*c) * UINT32_C(16777619);
	return kvm_format("/tmp/nk-%u-%06x", (unsigned)geteuid(), hash & 0xffffff);
}

static int choose_uri(struct kvm *self, nova_op op)
{
	const char *uri = self->host->param_text(self->instance, "uri", 0);
	const char *state = self->host->directory(self->instance, NOVA_DIRECTORY_STATE);
	self->embedded = embedded(uri);
	self->daemon = own_daemon(uri);
	self->twin = self->daemon && strcmp(uri, KVM_URI_TWIN) == 0;
	if (!self->embedded && !self->daemon) {
		const char *server = strstr(uri, "://");
		self->local = server && server[3] == '/';
		self->uri = strdup(uri);
		return self->uri ? NOVA_DONE : NOVA_E_MEMORY;
	}
	if (!state)
		return self->host->error(op, NOVA_E_INTERNAL, "the host gave no state directory");
	self->local = true;
	self->root = kvm_format("%s/%s", state, self->daemon ? uri : "libvirt");
	self->alias = self->root ? alias_of(self->root) : NULL;
	if (self->alias)
		self->uri = self->embedded
		                    ? kvm_format("qemu:///embed?root=%s", self->alias)
		                    : kvm_format("qemu+unix:///session?socket=%s/libvirt-sock",
		                                 self->alias);
	return self->uri ? NOVA_DONE : NOVA_E_MEMORY;
}

/*
 * Anybody may make names in /tmp, so a link that is there is used only if it is ours and leads
 * where it should. The kernel's protected_symlinks lets nobody follow a stranger's there.
 */
static int make_alias(struct kvm *self, nova_op op)
{
	char target[4096] = "";
	struct stat status;
	if (symlink(self->root, self->alias) == 0)
		return NOVA_DONE;
	if (errno == EEXIST && lstat(self->alias, &status) == 0 && status.st_uid == geteuid() &&
	    readlink(self->alias, target, sizeof(target) - 1) > 0 &&
	    strcmp(target, self->root) == 0)
		return NOVA_DONE;
	return self->host->errorf(op, NOVA_E_IO,
	                          "cannot make the link %s to %s, which libvirt's sockets need "
	                          "because their paths are limited to 107 bytes: %s",
	                          self->alias, self->root,
	                          *target ? "another one is there" : strerror(errno));
}

int kvm_connect(void *instance, nova_op op)
{
	struct kvm *self = instance;
	const char *run = self->host->directory(self->instance, NOVA_DIRECTORY_RUN);
	int status;
	if (self->connection)
		return NOVA_DONE;
	if (!run)
		return self->host->error(op, NOVA_E_INTERNAL, "the host gave no run directory");
	self->privileged = geteuid() == 0;
	status = choose_uri(self, op);
	if (status == NOVA_DONE && self->privileged && self->local)
		status = kvm_access_user(self, op);
	self->run = strdup(run);
	self->images = kvm_format("%s/images", run);
	if (status == NOVA_DONE && self->root)
		status = make_directory(
		        self, op, self->host->directory(self->instance, NOVA_DIRECTORY_STATE));
	if (status == NOVA_DONE && self->embedded)
		status = write_settings(self, op);
	if (status == NOVA_DONE)
		status = make_directory(self, op, self->run);
	if (status == NOVA_DONE && self->embedded)
		status = kvm_access_path(self, op, self->root);
	if (status == NOVA_DONE)
		status = kvm_access_path(self, op, self->run);
	if (status == NOVA_DONE)
		status = kvm_transport(self, op);
	if (status != NOVA_DONE)
		return status;
	/* libvirt cannot be interrupted once it opens, which takes seconds where it is embedded */
	if (self->host->now_ns() >= self->host->deadline_ns(op))
		return self->host->error(op, NOVA_E_TIMEOUT,
		                         "the deadline had passed before libvirt was opened");
	if (self->alias)
		status = make_alias(self, op);
	if (status == NOVA_DONE && self->daemon)
		status = kvm_daemon_start(self, op);
	if (status == NOVA_DONE)
		status = open_uri(self, op);
	if (status == NOVA_DONE && self->embedded) /* one that just left may have removed it */
		status = make_alias(self, op);
	if (status == NOVA_DONE)
		status = kvm_watch_start(self, op);
	if (status == NOVA_DONE)
		status = kvm_accelerator(self, op);
	return status;
}

void kvm_disconnect(struct kvm *self)
{
	if (self->connection) {
		kvm_watch_stop(self);
		if (self->embedded)
			unlink(self->alias);
		virConnectClose(self->connection);
		/* What the connection left in the event loop is freed by the loop alone. */
		kvm_pump(self, 0);
	}
	self->connection = NULL;
	kvm_daemon_stop(self);
}
