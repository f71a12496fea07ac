/* SPDX-License-Identifier: MIT */
/* A manifest as Markdown: what the manual page of a plugin takes from it. Runs and loads nothing.
 */
#ifndef NOVACORE_REFERENCE_H
#define NOVACORE_REFERENCE_H

#include <libconfig.h>

#include <stdio.h>

/*
 * The summary in the first line, then a table of the parameters and one of the metrics, as far as
 * there are any. What the manifest lacks is left out: for one that nobody has checked, too.
 */
void nova_reference_print(const config_t *manifest, FILE *out);

#endif
