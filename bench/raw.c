/* SPDX-License-Identifier: MIT */
#include "raw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

int64_t raw_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void raw_need(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "%s: cannot %s: %s\n", program_invocation_short_name, what,
	        virGetLastErrorMessage());
	_exit(1);
}

static void *loop(void *nothing)
{
	while (virEventRunDefaultImpl() == 0)
		;
	return nothing;
}

/* As root the driver hands QEMU's user what QEMU writes; so does this. */
static void give(const char *path)
{
	static struct passwd *user;
	if (geteuid() != 0)
		return;
	if (!user)
		user = getpwnam("libvirt-qemu");
	raw_need(user && chown(path, user->pw_uid, user->pw_gid) == 0 && chmod(path, 0600) == 0,
	         "give a file to libvirt-qemu");
}

static void overlay(const char *path, const char *image)
{
	const char *argv[] = {"qemu-img", "create", "-q",  "-f", "qcow2",   "-b",
	                      image,      "-F",     "raw", path, "1048576", NULL};
	pid_t pid;
	int status = -1;
	raw_need(posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ) ==
	                         0 &&
	                 waitpid(pid, &status, 0) == pid && status == 0,
	         "run qemu-img");
	give(path);
}

/* The template with @NAME@ and @PORT@ filled in. */
static char *fill(const char *template, const char *name, unsigned port)
{
	size_t room = strlen(template) + 4096, count = 0;
	char *text = calloc(1, room), number[16];
	raw_need(text != NULL, "get memory");
	snprintf(number, sizeof(number), "%u", port);
	for (const char *at = template; *at && count + 64 < room;) {
		const char *put = strncmp(at, "@NAME@", 6) == 0   ? name
		                  : strncmp(at, "@PORT@", 6) == 0 ? number
		                                                  : NULL;
		if (put)
			count += (size_t)snprintf(text + count, room - count, "%s", put);
		else
			text[count++] = *at;
		at += put ? 6 : 1;
	}
	return text;
}

static int listen_for_beats(unsigned *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	raw_need(fd >= 0 && bind(fd, (struct sockaddr *)&address, length) == 0 &&
	                 getsockname(fd, (struct sockaddr *)&address, &length) == 0,
	         "open a socket");
	*port = ntohs(address.sin_port);
	return fd;
}

void raw_fork_below_reaper(void)
{
	int ended = 0;
	pid_t child, gone;
	raw_need(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 && (child = fork()) >= 0, "fork");
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		return;
	}
	while ((gone = waitpid(-1, &ended, 0)) != child)
		if (gone < 0)
			exit(1);
	exit(WIFEXITED(ended) ? WEXITSTATUS(ended) : 1);
}

char *raw_read_template(const char *path)
{
	char *text = calloc(1, 65536);
	FILE *file = fopen(path, "re");
	raw_need(text && file && fread(text, 1, 65535, file) > 0, "read the template");
	fclose(file);
	return text;
}

virConnectPtr raw_open(const char *root)
{
	char uri[512];
	pthread_t thread;
	raw_need(virEventRegisterDefaultImpl() == 0, "register the event loop");
	raw_need(pthread_create(&thread, NULL, loop, NULL) == 0, "start a thread");
	snprintf(uri, sizeof(uri), "qemu:///embed?root=%s", root);
	virConnectPtr connection = virConnectOpen(uri);
	raw_need(connection != NULL, "open libvirt");
	return connection;
}

void raw_define(struct raw_vm *vm, virConnectPtr connection, const char *folder,
                const char *template, const char *image, int number, int64_t *begun_ns)
{
	unsigned port;
	int file;
	vm->beats = listen_for_beats(&port);
	snprintf(vm->name, sizeof(vm->name), "novacore-raw-%d-%d", (int)getpid(), number);
	snprintf(vm->disk, sizeof(vm->disk), "%s/%s.qcow2", folder, vm->name);
	snprintf(vm->console, sizeof(vm->console), "%s/%s.console", folder, vm->name);
	char *xml = fill(template, vm->name, port);
	if (begun_ns)
		*begun_ns = raw_now();
	raw_need((file = open(vm->console, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) >= 0,
	         "make a console file");
	close(file);
	give(vm->console);
	overlay(vm->disk, image);
	vm->domain = virDomainDefineXMLFlags(connection, xml, VIR_DOMAIN_DEFINE_VALIDATE);
	raw_need(vm->domain != NULL, "define");
	free(xml);
}

void raw_start(struct raw_vm *vm)
{
	raw_need(virDomainCreate(vm->domain) == 0, "start");
}

void raw_hear(struct raw_vm *vm)
{
	char byte;
	raw_need(recv(vm->beats, &byte, 1, 0) == 1, "hear the guest");
}

void raw_off(struct raw_vm *vm)
{
	raw_need(virDomainDestroy(vm->domain) == 0, "power off");
}

void raw_delete(struct raw_vm *vm)
{
	raw_need(virDomainUndefineFlags(vm->domain,
	                                VIR_DOMAIN_UNDEFINE_MANAGED_SAVE |
	                                        VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
	                                        VIR_DOMAIN_UNDEFINE_NVRAM |
	                                        VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA) == 0,
	         "undefine");
	unlink(vm->disk);
	unlink(vm->console);
	virDomainFree(vm->domain);
}

void raw_close(struct raw_vm *vm)
{
	close(vm->beats);
}
