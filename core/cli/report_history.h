/* SPDX-License-Identifier: MIT */
/* The history of a run's metrics for its report. */
#ifndef NOVACORE_REPORT_HISTORY_H
#define NOVACORE_REPORT_HISTORY_H

#include "core/store/store.h"

/*
 * Medians of the metrics of `result` in earlier complete runs that the store has of the same
 * *where* and step (at most the latest 60), as nova_report_options wants them; the run itself is
 * the last point. O(samples of those runs). Owned by the caller.
 */
int nova_cli_history(struct nova_store *store, const json_t *result, json_t **history,
                     struct nova_error *error);

#endif
