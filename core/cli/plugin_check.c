/* SPDX-License-Identifier: MIT */
/* `novacore plugin check`: a plugin against the contract. */
#include "core/cli/cli.h"
#include "core/cli/plugin_actions.h"

int nova_plugin_check(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	fputs("novacore: plugin check is not implemented\n", stderr);
	return 2;
}
