/* SPDX-License-Identifier: MIT */
/* Preloaded: reading a file whose name has "breaks" in it ends whoever reads it, "circles" never
 * ends, "devours" takes all memory. */
#include <dlfcn.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef void *report_function(void *dwfl, const char *name, const char *file, int fd, uint64_t base,
                              bool add);
report_function dwfl_report_elf;

void *dwfl_report_elf(void *dwfl, const char *name, const char *file, int fd, uint64_t base,
                      bool add)
{
	report_function *real;

	*(void **)&real = dlsym(RTLD_NEXT, "dwfl_report_elf");
	if (strstr(file, "breaks"))
		raise(SIGSEGV);
	while (strstr(file, "devours"))
		if (!malloc((size_t)1 << 24))
			raise(SIGABRT); /* as novacore's own allocation does */
	return real(dwfl, name, file, fd, base, add);
}
