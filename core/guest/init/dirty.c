/* SPDX-License-Identifier: MIT */
/*
 * A load on the VM's memory: a process that writes to pages at a given rate, round and round
 * through its working set, and says how far it is. What it could not do in time it does not make up
 * for, so what a migration takes from it shows.
 */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#define PAGE     4096u
#define TICK_NS  1000000  /* how often it looks at the clock */
#define LATE_NS  10000000 /* what is later than this is lost */
#define SAY_NS   10000000 /* how often it says how far it is */
#define PROGRESS "/run/novacore-dirty"
#define MOST     (UINT64_C(1) << 40) /* times LATE_NS fits in 64 bits */

static bool take_number(const char **text, uint64_t *number)
{
	char *end;

	if (**text < '0' || **text > '9')
		return false;
	errno = 0;
	*number = strtoull(*text, &end, 10);
	*text = end;
	return errno == 0;
}

bool dirty_parse(const char *text, struct dirty *dirty)
{
	return take_number(&text, &dirty->bytes_per_s) && *text++ == ',' &&
	       take_number(&text, &dirty->working_set) && *text == '\0' &&
	       dirty->bytes_per_s >= PAGE && dirty->bytes_per_s <= MOST &&
	       dirty->working_set >= PAGE && dirty->working_set <= MOST;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* "PAGES NS\n": pages written so far, and the guest's clock then. Always of one length. */
static void say(int fd, uint64_t pages, uint64_t ns)
{
	char line[64];
	int length = snprintf(line, sizeof(line), "%020llu %020llu\n", (unsigned long long)pages,
	                      (unsigned long long)ns);

	if (pwrite(fd, line, (size_t)length, 0) != length)
		complain("cannot write to %s: %m", PROGRESS);
}

static void work(const struct dirty *dirty, volatile uint64_t *memory, int fd)
{
	const struct timespec tick = {.tv_nsec = TICK_NS};
	const uint64_t pages = dirty->working_set / PAGE, page_cost = PAGE * UINT64_C(1000000000);
	uint64_t last = now_ns(), said = last, done = 0, at = 0, owed = 0; /* owed: bytes × ns */

	for (;;) {
		uint64_t now = now_ns(), passed = now - last;
		last = now;
		owed += (passed < LATE_NS ? passed : LATE_NS) * dirty->bytes_per_s;
		for (; owed >= page_cost; owed -= page_cost) {
			memory[at * (PAGE / sizeof(*memory))] = ++done;
			at = at + 1 < pages ? at + 1 : 0;
		}
		if (now - said >= SAY_NS) {
			said = now;
			say(fd, done, now);
		}
		nanosleep(&tick, NULL);
	}
}

/* Never returns. */
static void run(const struct dirty *dirty, int fd)
{
	sigset_t none;
	void *memory = mmap(NULL, dirty->working_set, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	prctl(PR_SET_NAME, "novacore-dirty");
	/* PID 1 blocks what it waits for; this process shall die of it */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (memory == MAP_FAILED) {
		complain("cannot load the memory: %m");
		_exit(1);
	}
	memset(memory, 0x5a, dirty->working_set); /* all of it is there from the beginning */
	work(dirty, memory, fd);
}

void dirty_start(const struct dirty *dirty)
{
	struct sysinfo about;
	pid_t pid;
	int fd;

	/* The rest of the guest must live, or it ends with nothing to be measured. */
	if (sysinfo(&about) == 0 &&
	    dirty->working_set > (uint64_t)about.freeram * about.mem_unit / 4 * 3) {
		complain("novacore.dirty: a working set of %llu bytes does not fit: %llu are free, "
		         "of which it may have three quarters",
		         (unsigned long long)dirty->working_set,
		         (unsigned long long)about.freeram * about.mem_unit);
		return;
	}
	fd = open(PROGRESS, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0) {
		complain("cannot write to %s: %m", PROGRESS);
		return;
	}
	say(fd, 0, now_ns()); /* whoever asks before the load has begun reads that */
	pid = fork();
	if (pid < 0)
		complain("cannot start the load on memory: %m");
	if (pid == 0)
		run(dirty, fd);
	close(fd);
}
