/* SPDX-License-Identifier: MIT */
/* Very many distinct stacks, and nothing but allocations: many SECONDS. */
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

static uint64_t state = 88172645463325252ull;

static uint64_t any(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void left(int depth);
static void right(int depth);

__attribute__((noinline)) static void step(int depth)
{
	void *volatile block;

	if (depth > 0 && (any() & 1))
		left(depth - 1);
	else if (depth > 0)
		right(depth - 1);
	block = malloc(64);
	free(block);
}

/* Two callers at each depth: 2^40 ways down. */
__attribute__((noinline)) static void left(int depth)
{
	step(depth);
	__asm__ volatile("");
}

__attribute__((noinline)) static void right(int depth)
{
	step(depth);
	__asm__ volatile("");
}

int main(int argc, char **argv)
{
	time_t until = time(NULL) + (argc > 1 ? atoi(argv[1]) : 1);

	while (time(NULL) < until)
		step(40);
	return 0;
}
