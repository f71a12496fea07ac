/* SPDX-License-Identifier: MIT */
/*
 * PID 1 of the appliance, from the initramfs to the end: one process, no second exec. It says 'U'
 * before it does anything else, mounts the root disk, starts the guest agent, reaps, powers off.
 */
#include "init.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

#define AGENT_PORT     "org.qemu.guest_agent.0"
#define AGENT_PATIENCE 3 /* seconds; then this VM has no port for it */
#define PATH_VALUE     "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/novacore/bin"

static pid_t agent_pid;
static time_t agent_started, agent_again; /* CLOCK_MONOTONIC seconds; again 0: not waiting */

void complain(const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	dprintf(STDERR_FILENO, "novacore-init: %s\n", text);
}

static time_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static void attach(const char *type, const char *where, unsigned long flags, const char *options)
{
	mkdir(where, 0755);
	if (mount(type, where, type, flags, options) != 0 && errno != EBUSY)
		complain("cannot mount %s on %s: %m", type, where);
}

static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY);

	if (fd < 0)
		fd = open("/dev/null", O_RDWR);
	for (int i = 0; fd >= 0 && i < 3; i++)
		dup2(fd, i);
	if (fd > 2)
		close(fd);
}

static void read_cmdline(char *line, size_t room)
{
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t length = fd >= 0 ? read(fd, line, room - 1) : 0;

	line[length > 0 ? length : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

/* What the host wrote into this VM's SMBIOS goes first, and so before what the disk has. */
static void read_settings(char *line, size_t room)
{
	static unsigned char table[64 * 1024];
	int fd = open("/sys/firmware/dmi/tables/DMI", O_RDONLY | O_CLOEXEC);
	ssize_t length = fd >= 0 ? read(fd, table, sizeof(table)) : 0;
	size_t used = length > 0 ? smbios_words(table, (size_t)length, line, room / 2) : 0;

	if (fd >= 0)
		close(fd);
	read_cmdline(line + used, room - used);
}

static void prepare(const char *cmdline)
{
	char value[128];

	attach("tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=755");
	attach("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "ptmxmode=666");
	attach("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777");
	static const char *const links[][2] = {{"/proc/self/fd", "/dev/fd"},
	                                       {"/proc/self/fd/0", "/dev/stdin"},
	                                       {"/proc/self/fd/1", "/dev/stdout"},
	                                       {"/proc/self/fd/2", "/dev/stderr"}};
	for (unsigned i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlink(links[i][0], links[i][1]) != 0 && errno != EEXIST)
			complain("cannot make %s: %m", links[i][1]);
	if (!cmdline_value(cmdline, "novacore.name", 0, value, sizeof(value)))
		strcpy(value, "novacore");
	if (sethostname(value, strlen(value)) != 0)
		complain("cannot set the host name %s: %m", value);
	setenv("PATH", PATH_VALUE, 1);
	setenv("HOME", "/root", 1);
	setenv("USER", "root", 1);
	setenv("SHELL", "/bin/sh", 1);
	setenv("LANG", "C", 1);
	setenv("TERM", "linux", 1);
}

/* The device node of the agent's port, by the name that the host gave the port. */
static bool find_agent_port(char *device, size_t room)
{
	DIR *ports = opendir("/sys/class/virtio-ports");
	struct dirent *entry;
	bool found = false;

	while (ports != NULL && !found && (entry = readdir(ports)) != NULL) {
		char path[320], name[64] = "";
		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", entry->d_name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || read(fd, name, sizeof(name) - 1) < 0)
			name[0] = '\0';
		if (fd >= 0)
			close(fd);
		name[strcspn(name, "\n")] = '\0';
		snprintf(device, room, "/dev/%s", entry->d_name);
		found = strcmp(name, AGENT_PORT) == 0 && access(device, F_OK) == 0;
	}
	if (ports != NULL)
		closedir(ports);
	return found;
}

int spawn(pid_t *pid, char **argv)
{
	posix_spawnattr_t attributes;
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
	                                              POSIX_SPAWN_SETSID);
	int failed = posix_spawn(pid, argv[0], NULL, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	return failed;
}

static void start_agent(void)
{
	char device[300];
	char *argv[] = {
	        "/usr/sbin/qemu-ga", "-m", "virtio-serial", "-p", device, "-t", "/run", "-l",
	        "/run/qemu-ga.log",  NULL};

	if (agent_pid != 0 || (agent_again != 0 && seconds() < agent_again) ||
	    !find_agent_port(device, sizeof(device)))
		return;
	agent_again = 0;
	int failed = spawn(&agent_pid, argv);
	if (failed != 0) {
		agent_pid = 0;
		agent_again = seconds() + 5;
		complain("cannot start %s: %s", argv[0], strerror(failed));
		return;
	}
	agent_started = seconds();
	pulse(PULSE_AGENT);
}

static void reap(void)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		if (pid != agent_pid)
			continue;
		agent_pid = 0;
		/* One that dies at once would otherwise be restarted without end. */
		agent_again = seconds() + (seconds() - agent_started < 2 ? 2 : 0);
	}
}

static int open_uevents(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	                NETLINK_KOBJECT_UEVENT);

	if (fd >= 0)
		bind(fd, (const struct sockaddr *)&address, sizeof(address));
	return fd;
}

static int open_signals(void)
{
	sigset_t watched;

	sigemptyset(&watched);
	sigaddset(&watched, SIGCHLD);
	sigaddset(&watched, SIGTERM);
	sigaddset(&watched, SIGINT);
	sigaddset(&watched, SIGUSR1);
	sigaddset(&watched, SIGUSR2);
	sigaddset(&watched, SIGPWR);
	sigprocmask(SIG_BLOCK, &watched, NULL);
	return signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void take_signals(int fd)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			reap();
		else
			power_down((int)info.ssi_signo);
	}
}

/* Paravirtual buses of other hypervisors announce their devices when it pleases them. */
static void take_uevents(int fd)
{
	char event[4096];
	bool device = false, network = false;
	ssize_t length;

	while ((length = recv(fd, event, sizeof(event) - 1, 0)) > 0) {
		event[length] = '\0';
		if (strncmp(event, "add@", 4) != 0)
			continue;
		device |= memmem(event, (size_t)length, "SUBSYSTEM=vmbus", 16) != NULL ||
		          memmem(event, (size_t)length, "SUBSYSTEM=xen", 14) != NULL;
		network |= memmem(event, (size_t)length, "SUBSYSTEM=net", 14) != NULL;
	}
	if (device)
		modules_load(PHASE_DEVICE);
	if (network)
		network_more();
}

static void serve(int signals, int uevents)
{
	enum { SIGNALS, UEVENTS, BUTTONS, ALL = 8 };
	struct pollfd watched[ALL] = {{.fd = signals, .events = POLLIN},
	                              {.fd = uevents, .events = POLLIN}};
	int buttons[ALL - BUTTONS];
	unsigned button_count = 0;
	bool idle_done = false;
	time_t started = seconds();

	for (;;) {
		start_agent();
		/* What nobody waits for is loaded when the agent has had a second to come up, or
		 * there is none. */
		if (!idle_done &&
		    seconds() > (agent_pid != 0 ? agent_started : started + AGENT_PATIENCE)) {
			modules_load(PHASE_IDLE);
			button_count = power_buttons(buttons, ALL - BUTTONS);
			for (unsigned i = 0; i < button_count; i++)
				watched[BUTTONS + i] = (struct pollfd){buttons[i], POLLIN, 0};
			idle_done = true;
		}
		int wait_ms = agent_pid == 0 || !idle_done ? 500 : -1;
		if (poll(watched, BUTTONS + button_count, wait_ms) <= 0)
			continue;
		take_signals(signals);
		take_uevents(uevents);
		for (unsigned i = 0; i < button_count; i++)
			if (power_pressed(buttons[i]))
				power_down(SIGUSR2);
	}
}

static void load_memory(const char *cmdline)
{
	char value[64];
	struct dirty dirty;

	if (!cmdline_value(cmdline, "novacore.dirty", 0, value, sizeof(value)))
		return;
	if (dirty_parse(value, &dirty))
		dirty_start(&dirty);
	else
		complain("novacore.dirty=%s is not BYTES_PER_S,WORKING_SET, each from 4096 to "
		         "1099511627776",
		         value);
}

static void boot(void)
{
	char cmdline[4096], value[32];
	long microseconds;

	pulse(PULSE_UP);
	umask(022);
	attach("devtmpfs", "/dev", MS_NOSUID, "mode=755");
	open_console();
	attach("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	attach("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	read_settings(cmdline, sizeof(cmdline));
	int signals = open_signals(), uevents = open_uevents();
	if (cmdline_value(cmdline, "novacore.beat", 0, value, sizeof(value))) {
		if (cmdline_number(value, 10, 10000000, &microseconds))
			pulse_beat(microseconds);
		else
			complain("novacore.beat=%s is not a number from 10 to 10000000", value);
	}
	modules_open("/modules");
	modules_load(PHASE_BASE);
	modules_load(PHASE_BUS);
	modules_load(PHASE_DISK);
	if (root_mount(cmdline))
		root_enter();
	prepare(cmdline);
	modules_load(PHASE_DEVICE);
	network_start(cmdline);
	ssh_start(cmdline);
	load_memory(cmdline);
	serve(signals, uevents);
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');

	if (getpid() != 1)
		return power_command(slash != NULL ? slash + 1 : argv[0], argc, argv);
	boot();
	return 0; /* never reached: a PID 1 that returns would panic the kernel */
}
