/* SPDX-License-Identifier: MIT */
/*
 * From the store's records to the exchange document novacore.result/1 (described in
 * core/report/report.h) and back. What is not in the tables comes from the run's records:
 *
 * run.plan     {"goals": [{"metric", "plugin"|null, "pass", "acceptable"|null}],
 *               "metrics": {name: {"unit": "s", "better": "lower", "revision": 1, "doc": "",
 *                                  "source": text, optional}},
 *               "level": 0.95, "novacore": "0.1.0",
 *               "regression": how it is judged against baselines (judge.h), optional,
 *               "notes": [text], "proposals": [{}], …}
 * run.where    facts, a flat object; run.what likewise. The hash is SHA-256 of the canonical facts
 * run.targets  array of the document's targets; members that are missing become null or false
 * run.skipped  array of the document's skipped; steps in state skipped are added
 *
 * run.plan.skipped  what of the suite was left out already when the plan was made
 *
 * A replicate of state "warmup" is shown and not counted, as is "superseded".
 *
 * Verdict: the bounds are the median's interval or, where n is too small for one, the least and the
 * greatest value (and `verdict_why` says so); failures and timeouts count as worse than any value.
 * Both bounds meet `pass`: pass. Both meet `acceptable`: acceptable. Neither meets the last limit:
 * needs optimization. Else inconclusive. No goal: none. What regressed against the baseline and is
 * not acknowledged is "regressed", unless a goal is missed as well.
 */
#ifndef NOVACORE_JUDGE_RESULT_H
#define NOVACORE_JUDGE_RESULT_H

#include "core/store/store.h"

/* `run_id` as in nova_store_run_get. The document is owned by the caller. With what its metrics say
 * against the baseline of the run's *where*, if there is one (judge.h). */
int nova_result_build(struct nova_store *store, const char *run_id, json_t **result,
                      struct nova_error *error);

/* One member of the document's `steps`, likewise. NOVA_E_NOT_FOUND. */
int nova_result_build_step(struct nova_store *store, const char *run_id, uint32_t step,
                           json_t **result, struct nova_error *error);

/* NOVA_SIDE_* as the document names it. */
const char *nova_side_name(uint32_t side);

/* The same without baselines: what was measured, and nothing that depends on other runs. */
int nova_result_measure(struct nova_store *store, const char *run_id, json_t **result,
                        struct nova_error *error);

/*
 * Stores a document that nova_report_check accepts. NOVA_E_EXISTS if a run of that id with other
 * contents is there; an identical one is left as it is and returns 0 with *imported false.
 */
int nova_result_import(struct nova_store *store, const json_t *result, bool *imported,
                       struct nova_error *error);

#endif
