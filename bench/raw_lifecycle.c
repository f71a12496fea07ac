/* SPDX-License-Identifier: MIT */
/*
 * What a life of a VM costs without novacore: the libvirt calls that the kvm driver makes for it,
 * on the same definition, in an embedded libvirt of its own, and nothing else. A line for each VM,
 * in nanoseconds: create, start, running, first, off, delete, total.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
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

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int64_t resumed_ns;

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void need(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "raw_lifecycle: cannot %s: %s\n", what, virGetLastErrorMessage());
	_exit(1);
}

static void *loop(void *nothing)
{
	while (virEventRunDefaultImpl() == 0)
		;
	return nothing;
}

static void on_monitor(virConnectPtr connection, virDomainPtr domain, const char *event,
                       long long seconds, unsigned int micros, const char *details, void *opaque)
{
	(void)connection, (void)domain, (void)seconds, (void)micros, (void)details, (void)opaque;
	if (strcmp(event, "RESUME") != 0)
		return;
	pthread_mutex_lock(&lock);
	resumed_ns = now();
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

/* As root the driver hands QEMU's user what QEMU writes; so does this. */
static void give(const char *path)
{
	static struct passwd *user;
	if (geteuid() != 0)
		return;
	if (!user)
		user = getpwnam("libvirt-qemu");
	need(user && chown(path, user->pw_uid, user->pw_gid) == 0 && chmod(path, 0600) == 0,
	     "give a file to libvirt-qemu");
}

static void overlay(const char *path, const char *image)
{
	const char *argv[] = {"qemu-img", "create", "-q",  "-f", "qcow2",   "-b",
	                      image,      "-F",     "raw", path, "1048576", NULL};
	pid_t pid;
	int status = -1;
	need(posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ) ==
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
	need(text != NULL, "get memory");
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
	need(fd >= 0 && bind(fd, (struct sockaddr *)&address, length) == 0 &&
	             getsockname(fd, (struct sockaddr *)&address, &length) == 0,
	     "open a socket");
	*port = ntohs(address.sin_port);
	return fd;
}

static void live(virConnectPtr connection, const char *folder, const char *template,
                 const char *image, int number, int report)
{
	char name[64], disk[512], console[512], byte;
	unsigned port;
	int beats = listen_for_beats(&port), file;
	snprintf(name, sizeof(name), "novacore-raw-%d-%d", (int)getpid(), number);
	snprintf(disk, sizeof(disk), "%s/%s.qcow2", folder, name);
	snprintf(console, sizeof(console), "%s/%s.console", folder, name);
	char *xml = fill(template, name, port);

	int64_t t0 = now();
	need((file = open(console, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) >= 0,
	     "make a console file");
	close(file);
	give(console);
	overlay(disk, image);
	virDomainPtr domain = virDomainDefineXMLFlags(connection, xml, VIR_DOMAIN_DEFINE_VALIDATE);
	need(domain != NULL, "define");
	int64_t t1 = now();
	resumed_ns = 0;
	need(virDomainCreate(domain) == 0, "start");
	int64_t t2 = now();
	pthread_mutex_lock(&lock);
	while (!resumed_ns)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	need(recv(beats, &byte, 1, 0) == 1, "hear the guest");
	int64_t t3 = now();
	need(virDomainDestroy(domain) == 0, "power off");
	int64_t t4 = now();
	need(virDomainUndefineFlags(domain, VIR_DOMAIN_UNDEFINE_MANAGED_SAVE |
	                                            VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
	                                            VIR_DOMAIN_UNDEFINE_NVRAM |
	                                            VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA) == 0,
	     "undefine");
	unlink(disk);
	unlink(console);
	virDomainFree(domain);
	int64_t t5 = now();
	if (report)
		printf("%lld %lld %lld %lld %lld %lld %lld\n", (long long)(t1 - t0),
		       (long long)(t2 - t1), (long long)(resumed_ns - t1), (long long)(t3 - t1),
		       (long long)(t4 - t3), (long long)(t5 - t4), (long long)(t5 - t0));
	close(beats);
	free(xml);
}

/*
 * libvirt orphans its QEMUs and polls one that it kills until somebody has reaped it. As in
 * novacore, that is the process above the one that uses libvirt.
 */
static void fork_below_reaper(void)
{
	int ended = 0;
	pid_t child, gone;
	need(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 && (child = fork()) >= 0, "fork");
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		return;
	}
	while ((gone = waitpid(-1, &ended, 0)) != child)
		if (gone < 0)
			exit(1);
	exit(WIFEXITED(ended) ? WEXITSTATUS(ended) : 1);
}

int main(int argc, char **argv)
{
	static char template[65536];
	char uri[512];
	pthread_t thread;
	if (argc != 7) {
		fprintf(stderr, "usage: raw_lifecycle ROOT TEMPLATE IMAGE FOLDER WARMUP COUNT\n");
		return 2;
	}
	fork_below_reaper();
	FILE *file = fopen(argv[2], "re");
	need(file && fread(template, 1, sizeof(template) - 1, file) > 0, "read the template");
	fclose(file);
	need(virEventRegisterDefaultImpl() == 0, "register the event loop");
	need(pthread_create(&thread, NULL, loop, NULL) == 0, "start a thread");
	snprintf(uri, sizeof(uri), "qemu:///embed?root=%s", argv[1]);
	virConnectPtr connection = virConnectOpen(uri);
	need(connection != NULL, "open libvirt");
	need(virConnectDomainQemuMonitorEventRegister(connection, NULL, NULL, on_monitor, NULL,
	                                              NULL, 0) >= 0,
	     "watch events");
	for (int i = 0, warmup = atoi(argv[5]); i < warmup + atoi(argv[6]); i++)
		live(connection, argv[4], template, argv[3], i, i >= warmup);
	fflush(stdout);
	_exit(0);
}
