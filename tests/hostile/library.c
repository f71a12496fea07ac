/* SPDX-License-Identifier: MIT */
/* A library that is there when a plugin is linked and nowhere when it is to be loaded. */
int nova_hostile_library(void);
int nova_hostile_library(void)
{
	return 1;
}
