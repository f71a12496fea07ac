/* SPDX-License-Identifier: MIT */
/* What the files of the self-test share. Nothing outside includes this but their tests. */
#ifndef NOVACORE_SELFTEST_CHECK_H
#define NOVACORE_SELFTEST_CHECK_H

#include "core/selftest/selftest.h"

#include <pthread.h>

#define NOVA_SELFTEST_LEVEL 0.95

/* One claim and what was measured of it. Zero, but `value`, where there is nothing to say. */
struct nova_check {
	const char *id, *claim;
	uint32_t unit; /* NOVA_UNIT_* */
	double value;  /* NAN: none */
	bool has_interval;
	double low, high; /* at NOVA_SELFTEST_LEVEL */
	size_t n;
	bool has_bar, at_least; /* the value must be at least, else at most `bar` */
	double bar;
	bool timing;
	const char *why; /* or NULL */
};
/* Judges it and adds it to the report's checks. */
void nova_check_add(json_t *report, const struct nova_check *check);
/* A share of `n`, with its interval. */
void nova_check_add_share(json_t *report, struct nova_check *check, size_t hits);
/* The verdict that nova_check_add would put. */
const char *nova_check_verdict(const struct nova_check *check);

/* [1, 5, 15 minutes], or null where the system does not say. */
json_t *nova_selftest_load(void);

/* Where `name` stands among a table's columns; their number if it does not. */
size_t nova_selftest_column(const json_t *columns, const char *name);

/* A request's progress, and whether it has to stop. */
void nova_selftest_tell(const struct nova_selftest_host *host, int64_t left_ns, const char *format,
                        ...) NOVA_PRINTF(3, 4);
int nova_selftest_stopped(const struct nova_selftest_host *host, struct nova_error *error);

/* --- selftest_late.c: a thread that only sleeps, beside what is measured ------------------------
 */

/* How late it wakes is what this machine adds to everything that waits, with or without us. */
struct nova_late {
	pthread_t thread;
	bool runs;
	volatile int stop;
	int64_t *late_ns;
	size_t count;
};
void nova_late_begin(struct nova_late *late);
/* Ends it: the 99th percentile and the worst, 0 if it never slept. */
void nova_late_end(struct nova_late *late, double *p99_s, double *worst_s);

/* --- selftest_floor.c ---------------------------------------------------------------------------
 */

/* Clocks, stamps and processes: reported, no bar. */
int nova_selftest_floors(const struct nova_selftest_request *request, json_t *report,
                         struct nova_error *error);
/* Starts /bin/true and waits for its end: the time in ns, or a code (< 0) with its error. */
int64_t nova_selftest_spawn(struct nova_error *error);

/* --- selftest_recover.c -------------------------------------------------------------------------
 */

/* Latencies that really pass, of many VMs at once: are they found again? */
int nova_selftest_recover(const struct nova_selftest_request *request, json_t *report,
                          struct nova_error *error);
/* Compares two result documents of one plan and seed and adds "recovered" and the checks; `busy` is
 * the reason for what a busy machine misses, or NULL. */
void nova_selftest_compare(const json_t *injected, const json_t *measured, const char *busy,
                           json_t *report);

/* --- selftest_change.c --------------------------------------------------------------------------
 */

/* Injected regressions are found, injected noise is not. */
int nova_selftest_changes(const struct nova_selftest_request *request, json_t *report,
                          struct nova_error *error);
/* True if a change is reported at any of the looks at 20, 21 … points (from 200 on, each a
 * hundredth later) from `from` points on. */
bool nova_selftest_alarm(const double *values, size_t count, size_t from);

#endif
