/* SPDX-License-Identifier: MIT */
/* Inside core/cli: compare --confirm, a fresh A/B of what was compared. */
#ifndef NOVACORE_CLI_CONFIRM_H
#define NOVACORE_CLI_CONFIRM_H

#include "core/judge/judge.h"
#include "core/run/run.h"

struct confirm {
	struct nova_store *store;
	json_t *comparison; /* gets the member "confirmation" (novacore-compare(1)) */
	const struct nova_contestant *a, *b;
	double alpha, effect; /* effect 0: the metric's, as it was compared */
	uint32_t pairs;
	uint64_t seed;
	bool full, force, quiet;
};
/*
 * Chooses what of the comparison is confirmed (the metric with the gravest verdict and the largest
 * shift), runs it again on both sides until the test has decided, and says what that saw. On 0
 * `*exit_code` is that of the run, which may have failed or been interrupted: then it has said so.
 * NOVA_E_REFUSED: this host, or the shape as it is configured now, is another *where*.
 */
int confirm(const struct confirm *request, int *exit_code, struct nova_error *error);
/* True if the A/B has found that this row of the comparison did not regress. */
bool confirm_clears(const json_t *comparison, size_t row);

#endif
