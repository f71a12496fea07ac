/* SPDX-License-Identifier: MIT */
/* Code that is made at run time, and a map of it for profilers: jit SECONDS. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	/* mov $50000000, %ecx; loop: dec %ecx; jne loop; ret */
	static const unsigned char code[] = {0xb9, 0x80, 0xf0, 0xfa, 0x02,
	                                     0xff, 0xc9, 0x75, 0xfc, 0xc3};
	void *made = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
	                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void (*run)(void);
	char path[64];
	FILE *map;

	memcpy(made, code, sizeof(code));
	memcpy(&run, &made, sizeof(run));
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	map = fopen(path, "w");
	if (!map)
		return 1;
	fprintf(map, "%lx %zx made at run time\n", (unsigned long)(uintptr_t)made, sizeof(code));
	fclose(map);
	for (clock_t until = atoi(argc > 1 ? argv[1] : "1") * CLOCKS_PER_SEC; clock() < until;)
		run();
	return 0;
}
