/* SPDX-License-Identifier: MIT */
/* Three functions with 70, 20 and 10 of 100 parts of the time: workload SECONDS [THREADS [STATUS]].
 * Seconds are of CPU time, so that a busy machine takes no samples away. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

static double until;

static double now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
	return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

/* What calls nothing saves no frame pointer, and hides who called it: these call this. */
__attribute__((noinline)) static void nothing_much(void)
{
	__asm__ volatile("");
}

#define WORK(name, parts)                                                                          \
	__attribute__((noinline)) static void name(volatile uint64_t *sum)                         \
	{                                                                                          \
		for (int i = 0; i < (parts); i++) {                                                \
			for (int k = 0; k < 1000; k++)                                             \
				*sum = *sum * 3 + 1;                                               \
			nothing_much();                                                            \
		}                                                                                  \
	}
WORK(seventy, 70)
WORK(twenty, 20)
WORK(ten, 10)

__attribute__((noinline)) static void *work(void *nothing)
{
	volatile uint64_t sum = 0;

	while (now() < until) {
		seventy(&sum);
		twenty(&sum);
		ten(&sum);
	}
	return nothing;
}

int main(int argc, char **argv)
{
	int threads = argc > 2 ? atoi(argv[2]) : 0;
	pthread_t thread;

	until = now() + (argc > 1 ? atof(argv[1]) : 1);
	for (int i = 0; i < threads; i++)
		pthread_create(&thread, NULL, work, NULL);
	work(NULL);
	for (int i = 0; i < threads; i++)
		if (i == threads - 1)
			pthread_join(thread, NULL);
	return argc > 3 ? atoi(argv[3]) : 0;
}
