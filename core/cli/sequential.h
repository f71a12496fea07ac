/* SPDX-License-Identifier: MIT */
/* Inside core/cli: what the commands share that compare until a test has decided (ab, compare
 * --confirm). */
#ifndef NOVACORE_CLI_SEQUENTIAL_H
#define NOVACORE_CLI_SEQUENTIAL_H

#include "core/cli/cli.h"

#define SEQUENTIAL_ALPHA 0.05
#define SEQUENTIAL_PAIRS 200

/* What an option says. Returns -1, or 2 after saying what it wants. */
int sequential_parse_alpha(const char *text, double *alpha);
int sequential_parse_effect(const char *text, double *effect);
int sequential_parse_pairs(const char *text, uint32_t *pairs);
int sequential_parse_seed(const char *text, uint64_t *seed);
/* A new one, short enough to type again. */
uint64_t sequential_seed(void);

/* Of the A/B in a result: "worse" or "better" (B than A), "same" or "undecided". */
const char *sequential_said(const json_t *result);

#endif
