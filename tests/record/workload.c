/* SPDX-License-Identifier: MIT */
/*
 * Three functions with 70, 20 and 10 of 100 parts of the time, or as many as is said:
 * workload SECONDS [THREADS [STATUS [PARTS PARTS PARTS]]]. Seconds are of CPU time, so that a busy
 * machine takes no samples away. Rounds are of different length, so that a clock that samples does
 * not fall into step with them; within each the parts are the same.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

static double until;
static int parts[] = {70, 20, 10};

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

#define WORK(name)                                                                                 \
	__attribute__((noinline)) static void name(volatile uint64_t *sum, int times)              \
	{                                                                                          \
		for (int i = 0; i < times; i++) {                                                  \
			__asm__ volatile("# " #name); /* else they are one: -fipa-icf */           \
			for (int k = 0; k < 1000; k++)                                             \
				*sum = *sum * 3 + 1;                                               \
			nothing_much();                                                            \
		}                                                                                  \
	}
WORK(seventy)
WORK(twenty)
WORK(ten)

__attribute__((noinline)) static void *work(void *nothing)
{
	volatile uint64_t sum = 0;
	uint64_t drawn = (uint64_t)(uintptr_t)&sum | 1; /* another one in each thread and process */

	while (now() < until) {
		int longer;

		drawn = drawn * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
		longer = 1 + (int)(drawn >> 61);
		seventy(&sum, parts[0] * longer);
		twenty(&sum, parts[1] * longer);
		ten(&sum, parts[2] * longer);
	}
	return nothing;
}

int main(int argc, char **argv)
{
	int threads = argc > 2 ? atoi(argv[2]) : 0;
	pthread_t thread;

	for (int i = 0; i < 3 && argc > 6; i++)
		parts[i] = atoi(argv[4 + i]);
	until = now() + (argc > 1 ? atof(argv[1]) : 1);
	for (int i = 0; i < threads; i++)
		pthread_create(&thread, NULL, work, NULL);
	work(NULL);
	for (int i = 0; i < threads; i++)
		if (i == threads - 1)
			pthread_join(thread, NULL);
	return argc > 3 ? atoi(argv[3]) : 0;
}
