/* SPDX-License-Identifier: MIT */
/*
 * The pulse port: the second serial port, written by port I/O and not through the tty layer, so
 * that a byte leaves the VM at the very instruction that writes it and needs no interrupt and no
 * driver.
 */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { PORT_UNKNOWN, PORT_DIRECT, PORT_TTY, PORT_NONE };
static int port_state = PORT_UNKNOWN;
static int port_tty = -1;

#if defined(__x86_64__) || defined(__i386__)
#include <sys/io.h>

enum { COM2 = 0x2f8, COM2_STATUS = COM2 + 5, STATUS_EMPTY = 0x20 };

static bool direct_open(void)
{
	/* A port that nobody drives reads as all ones. */
	return ioperm(COM2, 8, 1) == 0 && inb(COM2_STATUS) != 0xff;
}

static bool direct_write(char byte)
{
	/* The host may be slow to take a byte: wait a while, then rather lose one than hang. */
	for (int spins = 0; spins < 10000 && !(inb(COM2_STATUS) & STATUS_EMPTY); spins++)
		continue;
	outb((unsigned char)byte, COM2);
	return true;
}
#else
static bool direct_open(void)
{
	return false;
}

static bool direct_write(char byte)
{
	(void)byte;
	return false;
}
#endif

static bool tty_open(void)
{
	struct termios raw;

	port_tty = open("/dev/ttyS1", O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (port_tty < 0)
		return false;
	if (tcgetattr(port_tty, &raw) == 0) {
		cfmakeraw(&raw);
		raw.c_cflag |= CLOCAL;
		tcsetattr(port_tty, TCSANOW, &raw);
	}
	return true;
}

void pulse(char byte)
{
	if (port_state == PORT_UNKNOWN)
		port_state = direct_open() ? PORT_DIRECT : tty_open() ? PORT_TTY : PORT_NONE;
	if (port_state == PORT_DIRECT)
		direct_write(byte);
	else if (port_state == PORT_TTY && write(port_tty, &byte, 1) < 0 && errno == EIO)
		port_state = PORT_NONE; /* the node is there, the port is not */
}

static void beat(long microseconds)
{
	struct sched_param first = {.sched_priority = 1};
	struct timespec next;
	sigset_t none;

	prctl(PR_SET_NAME, "novacore-beat");
	/* PID 1 blocks what it waits for; this process shall die of it */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Load in the guest must not look like a stun of the VM; without the right it may. */
	sched_setscheduler(0, SCHED_FIFO, &first);
	prctl(PR_SET_TIMERSLACK, 1);
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (;;) {
		struct timespec now;
		long ns = next.tv_nsec + microseconds % 1000000 * 1000;
		next.tv_sec += microseconds / 1000000 + ns / 1000000000;
		next.tv_nsec = ns % 1000000000;
		clock_gettime(CLOCK_MONOTONIC, &now);
		/* Beats that were missed are missed: no burst makes up for them. */
		if (now.tv_sec > next.tv_sec ||
		    (now.tv_sec == next.tv_sec && now.tv_nsec > next.tv_nsec))
			next = now;
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR)
			continue;
		pulse(PULSE_BEAT);
	}
}

void pulse_beat(long microseconds)
{
	pid_t pid = fork();

	if (pid < 0)
		complain("cannot start the heartbeat: %m");
	if (pid == 0)
		beat(microseconds);
}
