/* SPDX-License-Identifier: MIT */
/*
 * core/report: the same result as table, JSON, CSV, JUnit, HTML and Markdown. It prints what it is
 * given and judges nothing; what it prints is the document below, built by nova_result_build() from
 * the store.
 *
 * The document, `novacore.result/1` (docs/result.schema.json is the precise form; every member
 * named here is always there, "|null" says where null stands for "none"; times are RFC 3339 UTC):
 *
 * schema    "novacore.result/1"
 * run       {id, profile, started, ended|null, seed, state: running|complete|interrupted|failed,
 *            novacore: version|null, anchor: {monotonic_ns, utc_ns, boot_id}}
 * where     {hash, facts: {name: any}}   what must match for a comparison
 * what      {hash, facts: {name: any}}   what is compared
 * targets   [{name, plugin, uri|null (no credentials), product|null, version|null, accel|null,
 *             why|null, simulated: bool, capabilities: {name: {ok: bool, why|null}},
 *             facts: {name: any}}]
 * steps     [{index, hash, benchmark, targets: [index into targets], params: {}, order_seed,
 *             state: planned|running|done|failed|skipped|lost, why|null, started|null, ended|null,
 *             stopped: samples|precision|budget|null, estimate_s|null (made before it ran),
 *             recorded: {…} (absent if it was not),
 *             counts: {attempted, succeeded, failed, timed_out}, metrics: […],
 *             comparisons: […], ab: {…}|null, replicates: […],
 *             samples: {columns: […], rows: [[…]]}}]
 *   recorded   {kinds: [text], overhead_host|null, overhead_sampled|null (shares: what recording it
 *               cost, which the values include), recordings: [{id, directory, host, kinds, what:
 *               all|process, state: running|complete|interrupted|failed, why|null, samples|null,
 *               lost|null, duration_s|null, overhead_host|null, overhead_sampled|null, flames:
 *               [names of flame graphs in the directory, NAME.html]}]}
 *   metrics    {name, unit: s|B|B/s|1/s|1, better: lower|higher, revision, doc,
 *               side: vm|native|a|b, n (successful samples that count), counts {as above},
 *               value|null, of: "median", interval: [low, high]|null, interval_why|null,
 *               level (asked for), coverage|null (the interval's true one, ≥ level),
 *               min|null, max|null, p95: {value|null, why|null}, p99: {value|null, why|null},
 *               goal: {pass, acceptable|null}|null,
 *               baseline: {name, run, runs, n, value|null, shift|null (relative), interval: [low,
 *                 high]|null, interval_why|null, p|null, p_adjusted|null, minimum_effect,
 *                 verdict: same|regressed|improved|inconclusive|not comparable, why|null, id|null,
 *                 acknowledged: {why, at}|null}|null,
 *               verdict: pass|acceptable|needs optimization|regressed|inconclusive|none,
 *               verdict_why|null, source|null, resolution_s|null, advice|null}
 *   comparisons {name: METRIC.overhead or METRIC.ratio, metric, a, b: two sides,
 *               of: overhead|ratio (what b loses against a, or b / a), unit: "1", better, method,
 *               n (pairs), value|null, interval|null, interval_why|null, level, p|null,
 *               goal, verdict, verdict_why: as of a metric}
 *   ab         {metric, alpha, minimum_effect, max_pairs, a, b: [settings],
 *               state: undecided|greater|less|same (what b is), pairs, decided_at|null,
 *               ratio|null, interval|null (a confidence sequence), p|null (always valid),
 *               lost (blocks with one side only), says: a sentence}
 *   replicates {replicate, side, attempt, order|null (its place in the step, from 1),
 *               state: running|done|failed|superseded|warmup, counts {as above}, why|null}
 *   samples    columns: replicate, attempt, side, vm|null, metric, status: ok|failed|timed_out,
 *               value|null, t_ns, seq, intended_ns, error_ns, counted (not of a warm-up or
 *               superseded attempt), why|null (unless ok: the evidence);
 *               rows sorted by replicate, attempt, side, vm, metric, seq
 * proposals [{…as the optimizer made it}]
 * skipped   [{step|null, benchmark|null, metric|null, target|null, why, fix|null}]
 * notes     [text]
 */
#ifndef NOVACORE_REPORT_H
#define NOVACORE_REPORT_H

#include "core/base/base.h"

struct nova_report_options {
	bool colour;    /* ANSI colours in a table; the caller has looked at NO_COLOR and isatty */
	bool verbose;   /* also doc, percentiles, replicates and facts */
	unsigned width; /* columns of the terminal; 0: no limit */
	/* HTML: metrics over earlier runs, or NULL. Borrowed. Series as novacore.history/1 has them
	 * (core/judge/judge.h), of which this run is the last point. */
	const json_t *history;
};

/*
 * "table", "json", "csv", "junit", "html", "markdown", NULL. The HTML is one file that loads
 * nothing; its size depends on what it tells, not on the number of samples (html.c). The CSV (RFC
 * 4180) has one row per sample and the header
 * run,step,benchmark,targets,params,replicate,attempt,side,vm,metric,unit,status,value,t_ns,seq,
 * intended_ns,error_ns,counted,why: targets are names separated by blanks, params canonical JSON,
 * value in `unit` and empty unless status is ok, t_ns on the run's monotonic clock, counted 1 or 0,
 * why empty if status is ok.
 */
extern const char *const nova_report_formats[];

/*
 * Writes `result` in `format`. NOVA_E_INVALID: unknown format (with the nearest) or a document that
 * is no novacore.result/1; NOVA_E_IO, NOVA_E_FULL: writing failed. `options` may be NULL.
 */
int nova_report_write(const json_t *result, const char *format, FILE *out,
                      const struct nova_report_options *options, struct nova_error *error);

/*
 * The documents that core/judge/judge.h describes: novacore.comparison/1, novacore.history/1,
 * novacore.rank/1. `format` is "table", "json" or "csv" (RFC 4180, a row per metric, value or
 * target). NOVA_E_INVALID: another format; NOVA_E_IO, NOVA_E_FULL: writing failed.
 */
int nova_report_comparison(const json_t *comparison, const char *format, FILE *out,
                           struct nova_error *error);
int nova_report_history(const json_t *history, const char *format, FILE *out,
                        struct nova_error *error);
int nova_report_rank(const json_t *rank, const char *format, FILE *out, struct nova_error *error);
/* The same of novacore.hotspots/1 (docs/hotspots.md); a row per function, library or process. */
int nova_report_hotspots(const json_t *document, const char *format, FILE *out,
                         struct nova_error *error);

/* NO_COLOR, TERM and the terminal behind `out` decide. */
void nova_report_options_detect(FILE *out, struct nova_report_options *options);

/*
 * Is it a novacore.result/1? Structure, types, ranges and references (not the numbers' truth).
 * NOVA_E_UNSUPPORTED: another schema version; NOVA_E_INVALID with the member's path.
 */
int nova_report_check(const json_t *result, struct nova_error *error);

/* The parameters of a step of a result, or of a plan with its "param_units": "duration=5s,
 * size=64MiB";
 * "" without any. The caller owns it. */
char *nova_report_params(const json_t *step);

#endif
