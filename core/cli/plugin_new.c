/* SPDX-License-Identifier: MIT */
/* `novacore plugin new`: a project for a plugin of one's own. */
#include "core/cli/cli.h"
#include "core/cli/plugin_actions.h"

int nova_plugin_new(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	fputs("novacore: plugin new is not implemented\n", stderr);
	return 2;
}
