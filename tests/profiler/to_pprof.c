/* SPDX-License-Identifier: MIT */
/* to_pprof FILE: a recording, as pprof on standard output. */
#include "core/profiler/profiler.h"

int main(int argc, char **argv)
{
	struct nova_error error = {0};
	struct nova_stacks *stacks = NULL;
	int code = argc == 2 ? nova_stacks_read(argv[1], NULL, &stacks, &error)
	                     : nova_error_set(&error, NOVA_E_INVALID, "to_pprof takes one file");

	if (!code)
		code = nova_stacks_write_pprof(stacks, stdout, &error);
	if (code)
		fprintf(stderr, "%s\n", error.text);
	nova_stacks_free(stacks);
	return code ? 1 : 0;
}
