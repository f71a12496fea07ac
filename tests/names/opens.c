/* SPDX-License-Identifier: MIT */
/* Spins in a library until so many seconds of CPU time are over: opens LIBRARY SECONDS. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static clock_t until;

static void step(void)
{
	if (clock() > until)
		exit(0);
}

int main(int argc, char **argv)
{
	void *library = argc > 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
	void (*spin)(void (*step)(void)) = NULL;

	if (library)
		*(void **)&spin = dlsym(library, "spin");
	if (!spin) {
		fprintf(stderr, "usage: %s LIBRARY SECONDS\n", argv[0]);
		return 2;
	}
	until = atoi(argv[2]) * CLOCKS_PER_SEC;
	spin(step);
	return 0;
}
