/* SPDX-License-Identifier: MIT */
/*
 * Is the harness right, on this host? What the simulator injects must be found again; what our own
 * clocks, stamps and processes cost is measured; and the detector of changes is held against this
 * host's own noise. No hypervisor is needed. The claims and their bars: measuring.md, "Proof that
 * the harness is right".
 */
#ifndef NOVACORE_SELFTEST_H
#define NOVACORE_SELFTEST_H

#include "core/base/base.h"

/* What the checks need of the program around them. */
struct nova_selftest_host {
	/*
	 * Runs `lifecycle` on the simulator with these settings ("key=value") and gives the result
	 * document, which the caller owns. A failure, or any sample that the simulator did not mean
	 * to fail, is an error.
	 */
	int (*simulate)(void *context, uint64_t seed, const char *const *settings, size_t count,
	                json_t **result, struct nova_error *error);
	/* What is being done now, for a person who waits; `left_ns` < 0: not known. */
	void (*progress)(void *context, const char *what, int64_t left_ns);
	const volatile int *stop; /* non-zero ends it soon, NOVA_E_INTERRUPTED */
	void *context;
};

struct nova_selftest_request {
	struct nova_selftest_host host;
	bool quick;    /* fewer VMs and series: does it work? */
	uint64_t seed; /* of what is simulated, at most INT64_MAX */
};
/*
 * {"schema": "novacore.selftest/1", "novacore", "seed", "quick", "started", "time_s", "machine":
 *  {"processors", "load_before": [3], "load_after": [3], "busy", "late_p99_s", "late_worst_s"},
 *  "recovered": [{"metric", "n", "p50", "p95", "p99", "worst"}], the relative errors,
 *  "checks": [{"id", "claim", "unit", "value"|null, "interval": [2]|null, "level", "n",
 *  "bar"|null, "timing", "verdict", "why"|null}], "passed"}
 *
 * A check's verdict is "met", "missed", "undecided" (its interval holds the bar) or "reported" (it
 * has no bar). `timing`: it holds on a quiet machine only. `passed`: none is missed.
 */
int nova_selftest_run(const struct nova_selftest_request *request, json_t **report,
                      struct nova_error *error);

struct nova_selftest_aa_request {
	struct nova_selftest_host host; /* simulate is not called */
	uint32_t series;                /* of real measurements, 1…100000 */
	uint32_t points;                /* of each, 20…10000 */
	uint64_t seed;                  /* of the permutations */
};
/*
 * How often the change-point detector says "changed" of series in which novacore changed nothing,
 * in the order in which they were measured and in a drawn one. The report, also of an interruption
 * (which returns 0; `done` < `series`):
 *
 * {"schema": "novacore.selftest-aa/1", "novacore", "seed", "series", "done", "points", "level",
 *  "sensitivity", "started", "time_s", "machine": {"processors", "load_before", "load_after"},
 *  "kinds": [{"kind", "what", "series", "median_s", "autocorrelation": {"median", "p90"}|null,
 *  "measured": {"alarms", "rate"|null, "interval"|null}, "permuted": {likewise}}]}
 *
 * The last of `kinds` is "all".
 */
int nova_selftest_aa(const struct nova_selftest_aa_request *request, json_t **report,
                     struct nova_error *error);

#endif
