/* SPDX-License-Identifier: MIT */
/*
 * Judging across runs: baselines, comparisons, history, ranks. It reads result documents
 * (novacore.result/1) and what the store keeps of steps, computes by core/stats, and prints
 * nothing. Everything is deterministic.
 *
 * What is compared with what:
 *
 *   unit          one fresh VM: the median of its successful samples of a metric on a side (of
 *                 those without a VM: one replicate). A unit none of whose samples succeeded is
 *                 lost, and counts as worse than any value.
 *   measurement   benchmark, its parameters, and the targets' names and drivers: "the same step" in
 *                 another run. The drivers' versions and parameters are not part of it, they are
 *                 what may be compared.
 *   where         of a run: its facts of *where* without `metric_revisions` (each metric has its
 *                 own), without the accelerators (each step has its own), with the memory rounded
 *                 up to a power of two near a twentieth of it (kernels keep more or less), and
 *                 without the shape's name and knobs (they are *what*). Of a step: with its
 *                 targets' accelerators and the hosts of their URIs.
 *   series        measurement, where of the step, metric, side, revision, source of end points.
 *
 * Regressed: Mann-Whitney's p, adjusted over all metrics that are compared (Benjamini-Hochberg), is
 * at most `alpha`, and the Hodges-Lehmann ratio is worse by the minimum effect or more. Improved:
 * the same in the other direction. Same: all of the ratio's interval is closer to 1 than the
 * minimum effect. Else inconclusive. Where the baseline has three runs or more, the new median must
 * also lie beyond all of theirs: what differs from run to run is seen only between runs. Where the
 * native side of a step shifted as well, the host has drifted: the side "vm" is inconclusive.
 */
#ifndef NOVACORE_JUDGE_H
#define NOVACORE_JUDGE_H

#include "core/config/config.h"
#include "core/judge/ab.h"
#include "core/judge/result.h"
#include "core/judge/samples.h"
#include "core/store/store.h"

#define NOVA_BASELINE_DEFAULT "default"

/* --- how it is judged ---------------------------------------------------------------------------
 */

struct nova_judging {
	double level;          /* of intervals, in (0, 1) */
	double alpha;          /* highest adjusted p that is evidence, in (0, 1) */
	double minimum_effect; /* relative, > 0 */
	const json_t *metrics; /* {"cpu.rate": 0.03, "cpu.*": 0.05} or NULL; borrowed */
};
/*
 * The keys regression.* as they stand in a plan: {"baseline": name, "alpha", "minimum_effect",
 * "metrics": {}}. NOVA_E_INVALID: an entry of regression.metrics is not METRIC=EFFECT. Owned by the
 * caller.
 */
int nova_judging_configured(const struct nova_config *config, json_t **regression,
                            struct nova_error *error);
/* From that (NULL or anything else: the defaults) and a level (0: 0.95). `regression` is borrowed.
 */
void nova_judging_read(const json_t *regression, double level, struct nova_judging *judging);
/* "5%" or "0.05" → 0.05; NOVA_E_INVALID unless it is in (0, 100]. */
int nova_effect_parse(const char *text, double *effect);
/* Of a metric: its own, else that of the longest "prefix.*", else the general one. */
double nova_judging_effect(const struct nova_judging *judging, const char *metric);

/* --- measurement.c ------------------------------------------------------------------------------
 */

/* The facts, owned by the caller. */
json_t *nova_where_of_run(const json_t *result);
json_t *nova_where_of_step(const json_t *result, const json_t *step);
void nova_facts_hash(const json_t *facts, char hash[65]);
/* [{"name", "plugin", "version"|null}] of a step's targets. Owned by the caller. */
json_t *nova_measurement_targets(const json_t *result, const json_t *step);
/* {"benchmark", "params", "targets": [{"name", "plugin"}]}; owned by the caller. */
json_t *nova_measurement(const json_t *result, const json_t *step);
/* "QMP; agent" and "agent; QMP" are one: the parts in order. Owned by the caller; NULL: "". */
char *nova_source_sorted(const char *source);
bool nova_result_simulated(const json_t *result);
/* SHA-256 of a series' parts: what acknowledgements belong to. */
void nova_series_hash(const char *measurement, const char *where, const char *metric,
                      const char *side, int64_t revision, const char *source, char hash[65]);
/* The id that people type: the first 12 hex digits of SHA-256 of kind, series and `at`. */
void nova_finding_id(const char *kind, const char *series, const char *at, char id[17]);

/* The units of one metric on one side of a step. */
struct nova_units {
	double *values; /* of those that succeeded, in order of replicate and VM */
	size_t count, lost;
};
/* One for each element of the step's `metrics`; O(rows log rows). nova_units_free. */
struct nova_units *nova_units_of(const json_t *step);
void nova_units_free(struct nova_units *units, const json_t *step);

/* --- judge.c ------------------------------------------------------------------------------------
 */

/* What is compared: documents that nova_report_check accepts, oldest first. */
struct nova_contestant {
	const char *name;             /* for messages and the document */
	const json_t *const *results; /* at least one */
	size_t count;
};
/*
 * How `b` differs from `a`, as the document novacore.comparison/1 (docs/man/novacore-compare.md).
 * NOVA_E_REFUSED: *where* differs, with the facts, unless `force` (then "forced" is true). `metric`
 * NULL: all. Owned by the caller. O(samples log samples).
 */
int nova_compare(const struct nova_contestant *a, const struct nova_contestant *b,
                 const struct nova_judging *judging, const char *metric, bool force,
                 json_t **comparison, struct nova_error *error);

/* --- baseline.c ---------------------------------------------------------------------------------
 */

/*
 * Makes these runs the baseline `name` of their *where*, replacing the one that was.
 * NOVA_E_REFUSED: simulated or an A/B trial (always), not complete (unless `force`), of different
 * *where*; NOVA_E_INVALID: no such name, no such run, nothing was measured. `made` (or NULL) is
 * set: clear its `runs`.
 */
int nova_baseline_set(struct nova_store *store, const char *const *runs, size_t count,
                      const char *name, bool force, struct nova_baseline_record *made,
                      struct nova_error *error);
/*
 * The one baseline of that name, and whose *where* begins with `where` (NULL: any).
 * NOVA_E_NOT_FOUND names the nearest; NOVA_E_INVALID: several, with their *where*. Clear its
 * `runs`.
 */
int nova_baseline_find(struct nova_store *store, const char *name, const char *where,
                       struct nova_baseline_record *found, struct nova_error *error);
/* Its runs' results, oldest first, without comparisons of their own. Array owned by the caller. */
int nova_baseline_results(struct nova_store *store, const struct nova_baseline_record *baseline,
                          json_t **results, struct nova_error *error);
/* Sets `baseline` of every metric of `result` and its verdict; called by nova_result_build. */
int nova_baseline_judge(struct nova_store *store, const json_t *regression, double level,
                        json_t *result, struct nova_error *error);
/* Steps that are done and not yet kept as what they amount to are reduced, run by run. */
int nova_measured_update(struct nova_store *store, struct nova_error *error);

/* --- history.c, rank.c --------------------------------------------------------------------------
 */

struct nova_history_request {
	const char *metric;                    /* NULL: all metrics */
	const char *benchmark, *plugin, *side; /* NULL: any */
	const char *where;                     /* "this", the beginning of a hash, or NULL */
	const char *run;                       /* an id: only what it measured, up to it; or NULL */
	size_t most;                           /* the newest so many of a series; 0: all */
	struct nova_judging judging;           /* the minimum effect of changes */
};
/*
 * One value a run in order of time, in series that are never mixed, with change points, as the
 * document novacore.history/1 (docs/man/novacore-history.md). O(values), and what
 * nova_stats_changes takes for each series. Owned by the caller.
 */
int nova_history(struct nova_store *store, const struct nova_history_request *request,
                 json_t **history, struct nova_error *error);

/*
 * Acknowledges the change point or the regression with that id (or its beginning, at least 4
 * digits). NOVA_E_NOT_FOUND: there is none now; NOVA_E_INVALID: several begin so. `known` is set:
 * free its `why`.
 */
int nova_acknowledge(struct nova_store *store, const struct nova_judging *judging, const char *id,
                     const char *why, struct nova_acknowledgement *known, struct nova_error *error);

/*
 * Targets by a metric, in groups whose definitions agree, as the document novacore.rank/1
 * (docs/man/novacore-rank.md): of `runs` (ids; NULL: of each target its newest value). Simulated
 * ones are left out and counted. Owned by the caller.
 */
int nova_rank(struct nova_store *store, const char *metric, const char *const *runs, size_t count,
              json_t **rank, struct nova_error *error);

#endif
