/* SPDX-License-Identifier: MIT */
/* A library whose function spins, and calls back now and then. */
#include <stdint.h>

void spin(void (*step)(void));

/* Nothing but code: what it keeps in the file's data would be lost with a piece of the file. */
__attribute__((noinline)) static void inner(uint64_t count)
{
	volatile uint64_t sum = 0;

	for (uint64_t i = 0; i < count; i++)
		sum = sum * 3 + i;
}

void spin(void (*step)(void))
{
	for (;;) {
		inner(1000000);
		step();
	}
}

/* What comes behind the code in the file, so that there is something to cut off. */
__attribute__((used)) static const char padding[65536] = {1};
