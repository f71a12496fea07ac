/* SPDX-License-Identifier: MIT */
/* Sleeps very often, in threads and a child that begin once it runs, and says how often:
 * switching SECONDS. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double until;

static double now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void *sleep_often(void *count)
{
	for (; now() < until; ++*(long *)count)
		nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
	return NULL;
}

int main(int argc, char **argv)
{
	long counts[3] = {0}, of_child = 0;
	pthread_t threads[3];
	int ends[2];

	until = now() + (argc > 1 ? atof(argv[1]) : 1);
	if (pipe(ends))
		return 1;
	if (fork() == 0) {
		sleep_often(&of_child);
		return write(ends[1], &of_child, sizeof(of_child)) != sizeof(of_child);
	}
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, sleep_often, &counts[i]);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	if (read(ends[0], &of_child, sizeof(of_child)) != sizeof(of_child))
		return 1;
	wait(NULL);
	printf("%ld sleeps\n", counts[0] + counts[1] + counts[2] + of_child);
	return 0;
}
