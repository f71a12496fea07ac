/* SPDX-License-Identifier: MIT */
/*
 * The end: the commands that ask PID 1 for it, the power button, and what PID 1 then does.
 */
#include "init.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The signals that sysvinit's and busybox's commands use, so that theirs work as well. */
enum { SIGNAL_HALT = SIGUSR1, SIGNAL_OFF = SIGUSR2, SIGNAL_REBOOT = SIGTERM };

int power_signal(const char *name, int argc, char **argv)
{
	if (strcmp(name, "poweroff") == 0)
		return SIGNAL_OFF;
	if (strcmp(name, "halt") == 0)
		return SIGNAL_HALT;
	if (strcmp(name, "reboot") == 0)
		return SIGNAL_REBOOT;
	if (strcmp(name, "shutdown") != 0)
		return 0;
	/* shutdown [-h] [-P|-H|-r] TIME [MESSAGE]: the agent's call. Delays are not for us. */
	int wanted = SIGNAL_OFF;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-c") == 0)
			return 0;
		if (strcmp(argv[i], "-r") == 0)
			wanted = SIGNAL_REBOOT;
		else if (strcmp(argv[i], "-H") == 0)
			wanted = SIGNAL_HALT;
		else if (strcmp(argv[i], "-P") == 0)
			wanted = SIGNAL_OFF;
	}
	return wanted;
}

int power_command(const char *name, int argc, char **argv)
{
	int wanted = power_signal(name, argc, argv);

	if (wanted == 0) {
		fprintf(stderr, "%s: cannot do that here; use poweroff, halt or reboot\n", name);
		return 2;
	}
	if (kill(1, wanted) != 0) {
		fprintf(stderr, "%s: cannot signal PID 1: %s\n", name, strerror(errno));
		return 1;
	}
	return 0;
}

/* Reaps until no child is left or `ms` have passed. */
static void wait_for_all(int ms)
{
	struct timespec moment = {.tv_nsec = 2000000};

	for (; ms > 0; ms -= 2) {
		pid_t pid;
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			continue;
		if (pid < 0 && errno == ECHILD)
			return;
		nanosleep(&moment, NULL);
	}
}

void power_down(int signal)
{
	pulse(PULSE_DOWN);
	kill(-1, SIGTERM);
	kill(-1, SIGCONT);
	wait_for_all(1000);
	kill(-1, SIGKILL);
	wait_for_all(1000);
	sync();
	/* Nothing writes any more: with this the disk is clean, whatever its file system. */
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL) != 0)
		complain("cannot remount / read-only: %m");
	if (signal == SIGNAL_REBOOT || signal == SIGINT)
		reboot((int)RB_AUTOBOOT);
	else if (signal == SIGNAL_HALT)
		reboot((int)RB_HALT_SYSTEM);
	else
		reboot((int)RB_POWER_OFF);
	for (;;)
		pause();
}

unsigned power_buttons(int *fds, unsigned room)
{
	DIR *inputs = opendir("/dev/input");
	struct dirent *entry;
	unsigned count = 0;

	while (inputs != NULL && (entry = readdir(inputs)) != NULL && count < room) {
		unsigned long keys[KEY_CNT / (8 * sizeof(long)) + 1] = {0};
		const unsigned bits = 8 * sizeof(long);
		if (strncmp(entry->d_name, "event", 5) != 0)
			continue;
		int fd = openat(dirfd(inputs), entry->d_name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			continue;
		ioctl(fd, EVIOCGBIT(EV_KEY, sizeof(keys)), keys);
		if (keys[KEY_POWER / bits] >> (KEY_POWER % bits) & 1)
			fds[count++] = fd;
		else
			close(fd);
	}
	if (inputs != NULL)
		closedir(inputs);
	return count;
}

bool power_pressed(int fd)
{
	struct input_event event;
	bool pressed = false;

	while (read(fd, &event, sizeof(event)) == (ssize_t)sizeof(event))
		pressed |= event.type == EV_KEY && event.code == KEY_POWER && event.value == 1;
	return pressed;
}
