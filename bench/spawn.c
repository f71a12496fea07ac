/* SPDX-License-Identifier: MIT */
/*
 * Times a program from posix_spawn to its end, again and again: a line "nanoseconds KiB" for each,
 * wall time and largest resident set. A small program does it because a child's largest resident
 * set begins with its parent's: this one's is below 2 MiB.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int main(int argc, char **argv)
{
	posix_spawn_file_actions_t actions;
	if (argc < 4) {
		fprintf(stderr, "usage: spawn WARMUP COUNT PROGRAM [ARGUMENT…]\n");
		return 2;
	}
	int warmup = atoi(argv[1]), count = atoi(argv[2]);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	for (int i = 0; i < warmup + count; i++) {
		struct rusage usage;
		pid_t pid;
		int status = 0;
		int64_t begin = now();
		if (posix_spawn(&pid, argv[3], &actions, NULL, argv + 3, environ) != 0 ||
		    wait4(pid, &status, 0, &usage) != pid || status != 0) {
			fprintf(stderr, "spawn: %s failed\n", argv[3]);
			return 1;
		}
		int64_t end = now();
		if (i >= warmup)
			printf("%lld %ld\n", (long long)(end - begin), usage.ru_maxrss);
	}
	return 0;
}
