/* SPDX-License-Identifier: MIT */
/*
 * How fast flame graphs are drawn: flame FILE svg|html [BEFORE]. The CPU time in ns of reading
 * FILE, of making its boxes (or of the difference since BEFORE, which is read first), and of
 * drawing them to nowhere; then how many boxes there are, how many nodes FILE has, and the largest
 * resident set in bytes, its own: what the parent is told begins with the parent's.
 */
#include "core/profiler/profiler.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static long long cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (long long)now.tv_sec * NOVA_SECOND_NS + now.tv_nsec;
}

static long long most_resident(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[256];
	long long kib = 0;

	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "VmHWM: %lld kB", &kib) == 1)
			break;
	if (status)
		fclose(status);
	return kib * 1024;
}

int main(int argc, char **argv)
{
	bool html = argc > 2 && !strcmp(argv[2], "html");
	const struct nova_flame_request request = {.min_width = html ? 1e-5 : 0.1 / 1180};
	struct nova_stacks *stacks = NULL, *before = NULL;
	struct nova_error error = {0};
	struct nova_flame flame = {0};
	FILE *nowhere = fopen("/dev/null", "w");
	long long begin, read, made;
	int code;

	if (argc < 3 || !nowhere ||
	    (argc > 3 && nova_stacks_read(argv[3], NULL, &before, &error))) {
		fprintf(stderr, "flame: %s\n", error.code ? error.text : "FILE svg|html [BEFORE]");
		return 1;
	}
	begin = cpu_ns();
	code = nova_stacks_read(argv[1], NULL, &stacks, &error);
	read = cpu_ns();
	if (!code && before)
		code = nova_flame_diff(before, stacks, &request, &flame, &error);
	else if (!code)
		nova_flame_make(stacks, &request, &flame);
	made = cpu_ns();
	if (!code)
		code = (html ? nova_flame_write_html : nova_flame_write_svg)(&flame, "bench",
		                                                             nowhere, &error);
	if (code) {
		fprintf(stderr, "flame: %s\n", error.text);
		return 1;
	}
	printf("%lld %lld %lld %u %u %lld\n", read - begin, made - read, cpu_ns() - made,
	       flame.count, stacks->node_count, most_resident());
	nova_flame_free(&flame);
	nova_stacks_free(stacks);
	nova_stacks_free(before);
	fclose(nowhere);
	return 0;
}
