/* SPDX-License-Identifier: MIT */
/* A fixed amount of work, to see what a profiler makes of it: victim compute|calls AMOUNT. Prints
 * its wall time and its CPU time in nanoseconds. Built with frame pointers and some depth, as what
 * is profiled has.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile uint64_t sum;

static __attribute__((noinline)) void compute(long amount)
{
	for (long i = 0; i < amount * 1000; i++)
		sum = sum * 3 + 1;
}

static __attribute__((noinline)) void calls(long amount)
{
	for (long i = 0; i < amount; i++)
		sum += (uint64_t)syscall(SYS_getppid);
}

static __attribute__((noinline)) void deep(void (*work)(long), long amount, int depth)
{
	if (depth > 0)
		deep(work, amount, depth - 1);
	else
		work(amount);
	__asm__ volatile("" ::: "memory"); /* no tail call: each is a frame */
}

static long long now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int argc, char **argv)
{
	long long wall, cpu;

	if (argc != 3)
		return 2;
	wall = now_ns(CLOCK_MONOTONIC);
	cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	deep(strcmp(argv[1], "calls") == 0 ? calls : compute, atol(argv[2]), 20);
	cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	wall = now_ns(CLOCK_MONOTONIC) - wall;
	printf("%lld %lld\n", wall, cpu);
	return 0;
}
