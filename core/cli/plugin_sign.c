/* SPDX-License-Identifier: MIT */
/* `novacore plugin keygen`, `sign` and `verify`. */
#include "core/cli/cli.h"
#include "core/cli/plugin_actions.h"

int nova_plugin_keygen(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	fputs("novacore: plugin keygen is not implemented\n", stderr);
	return 2;
}

int nova_plugin_sign(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	fputs("novacore: plugin sign is not implemented\n", stderr);
	return 2;
}

int nova_plugin_verify(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	fputs("novacore: plugin verify is not implemented\n", stderr);
	return 2;
}
