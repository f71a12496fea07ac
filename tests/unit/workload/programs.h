/* SPDX-License-Identifier: MIT */
/* A PATH with just the programs of the workloads, which tests only seem to run: what is installed
 * where the tests run does not count. */
#ifndef NOVACORE_TESTS_PROGRAMS_H
#define NOVACORE_TESTS_PROGRAMS_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const programs_names[] = {"sysbench", "stress-ng", "fio",
                                             "iperf3",   "taskset",   "tool"};
static char programs_folder[64];

/* The `i`th program's path, in one buffer. */
static inline const char *programs_path(size_t i)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", programs_folder, programs_names[i]);
	return path;
}

static inline int programs_make(void **state)
{
	(void)state;
	strcpy(programs_folder, "/tmp/novacore-programs-XXXXXX");
	if (!mkdtemp(programs_folder))
		return -1;
	for (size_t i = 0; i < sizeof(programs_names) / sizeof(programs_names[0]); i++) {
		int fd = open(programs_path(i), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

		if (fd < 0)
			return -1;
		close(fd);
	}
	return setenv("PATH", programs_folder, 1);
}

static inline int programs_remove(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(programs_names) / sizeof(programs_names[0]); i++)
		unlink(programs_path(i));
	return rmdir(programs_folder);
}

#endif
