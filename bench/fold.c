/* SPDX-License-Identifier: MIT */
/*
 * How fast core/profiler reads and draws: fold FILE. Two numbers, the CPU time in ns of reading the
 * file, and of making and walking the boxes of its flame graph; and the bytes of memory at the end.
 */
#include "core/profiler/profiler.h"

#include <stdlib.h>
#include <time.h>

static long long cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (long long)now.tv_sec * NOVA_SECOND_NS + now.tv_nsec;
}

int main(int argc, char **argv)
{
	const struct nova_flame_request request = {.min_width = 0.0001};
	struct nova_stacks *stacks = NULL;
	struct nova_error error = {0};
	struct nova_flame flame;
	long long begin = cpu_ns(), read;

	if (argc != 2 || nova_stacks_read(argv[1], NULL, &stacks, &error)) {
		fprintf(stderr, "fold: %s\n", argc == 2 ? error.text : "one FILE");
		return 1;
	}
	read = cpu_ns();
	nova_flame_make(stacks, &request, &flame);
	printf("%lld %lld %zu %u\n", read - begin, cpu_ns() - read, nova_stacks_bytes(stacks),
	       stacks->node_count);
	nova_flame_free(&flame);
	nova_stacks_free(stacks);
	return 0;
}
