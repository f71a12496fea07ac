/* SPDX-License-Identifier: MIT */
/* Allocates in three functions 70, 20 and 10 of 100 parts of the bytes, and keeps some of them:
 * allocating SECONDS [MiB that stay]. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

/* Different in size and number, so that neither alone gives the shares. */
__attribute__((noinline)) static void allocate_seventy(void)
{
	for (int i = 0; i < 7; i++) {
		void *volatile block = malloc(1000);

		free(block);
	}
}

__attribute__((noinline)) static void allocate_twenty(void)
{
	for (int i = 0; i < 20; i++) {
		void *volatile block = calloc(10, 10);

		free(block);
	}
}

__attribute__((noinline)) static void allocate_ten(void)
{
	void *volatile block = realloc(NULL, 500);

	block = realloc(block, 500);
	free(block);
}

__attribute__((noinline)) static void touch(size_t bytes)
{
	volatile char *block = malloc(bytes);

	for (size_t i = 0; i < bytes; i += 4096)
		block[i] = 1;
}

int main(int argc, char **argv)
{
	double until = now() + (argc > 1 ? atof(argv[1]) : 1);

	if (argc > 2)
		touch((size_t)atoi(argv[2]) << 20);
	while (now() < until) {
		for (int i = 0; i < 20; i++) {
			allocate_seventy();
			allocate_twenty();
			allocate_ten();
		}
		/* so that a second has some ten thousand of them */
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	}
	return 0;
}
