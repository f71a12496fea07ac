/* SPDX-License-Identifier: MIT */
/* The arguments of novacore-probe, and what its parts share. */
#include "probe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int probe_fail(const char *format, ...)
{
	va_list arguments;

	fputs("probe: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return 1;
}

bool probe_number(const char *text, uint64_t low, uint64_t high, uint64_t *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*number = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' && *number >= low && *number <= high;
}

static int usage(void)
{
	fputs("usage: probe echo ADDRESS PORT SECONDS [background]\n"
	      "       probe ping ADDRESS PORT RATE COUNT BYTES\n"
	      "       probe watch ADDRESS PORT RATE SECONDS FILE\n"
	      "       probe pair veth|loopback PORT SERVER… -- CLIENT…\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	uint64_t port, a, count, bytes;

	bool veth, background = argc == 6 && strcmp(argv[5], "background") == 0;

	if ((argc == 5 || background) && strcmp(argv[1], "echo") == 0 &&
	    probe_number(argv[3], 1, 65535, &port) && probe_number(argv[4], 1, 86400, &a))
		return probe_echo(argv[2], port, a, background);
	if (argc == 7 && strcmp(argv[1], "ping") == 0 && probe_number(argv[3], 1, 65535, &port) &&
	    probe_number(argv[4], 1, 1000000, &a) &&
	    probe_number(argv[5], 1, PROBE_COUNT_MOST, &count) &&
	    probe_number(argv[6], PROBE_BYTES_MIN, PROBE_BYTES_MOST, &bytes))
		return probe_ping(argv[2], port, a, (uint32_t)count, (uint32_t)bytes);
	if (argc == 7 && strcmp(argv[1], "watch") == 0 && probe_number(argv[3], 1, 65535, &port) &&
	    probe_number(argv[4], 1, 100000, &a) &&
	    probe_number(argv[5], 1, PROBE_COUNT_MOST / a, &count))
		return probe_watch(argv[2], port, a, count, argv[6]);
	veth = argc > 2 && strcmp(argv[2], "veth") == 0;
	if (argc > 6 && strcmp(argv[1], "pair") == 0 &&
	    (veth || strcmp(argv[2], "loopback") == 0) && probe_number(argv[3], 1, 65535, &port))
		return probe_pair(veth, port, argv + 4);
	return usage();
}
