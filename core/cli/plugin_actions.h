/* SPDX-License-Identifier: MIT */
/*
 * Actions of `novacore plugin` that have a file of their own. As a command: argv[0] is the action's
 * name; each has its own --help, which completion reads; the exit code is returned.
 */
#ifndef NOVACORE_CLI_PLUGIN_ACTIONS_H
#define NOVACORE_CLI_PLUGIN_ACTIONS_H

int nova_plugin_new(int argc, char **argv);    /* plugin_new.c */
int nova_plugin_check(int argc, char **argv);  /* plugin_check.c */
int nova_plugin_keygen(int argc, char **argv); /* plugin_sign.c */
int nova_plugin_sign(int argc, char **argv);
int nova_plugin_verify(int argc, char **argv);

#endif
