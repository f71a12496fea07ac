/* SPDX-License-Identifier: MIT */
/*
 * core/store: runs, steps, replicates, samples, the journal of VMs, the audit log. One interface;
 * SQLite (WAL, STRICT, synchronous=FULL) behind it. Each call is one durable transaction unless it
 * stands between nova_store_begin and nova_store_commit. One thread at a time per handle.
 *
 * Errors: NOVA_E_FULL on a full disk (nothing stored is lost), NOVA_E_PERMISSION, NOVA_E_BUSY,
 * NOVA_E_IO (damaged), NOVA_E_UNSUPPORTED (schema of a newer novacore).
 */
#ifndef NOVACORE_STORE_H
#define NOVACORE_STORE_H

#include "core/base/base.h"

struct nova_store;

/* Opens or creates; migrates an older schema. `path` NULL: <state place>/novacore.db. */
int nova_store_open(const char *path, struct nova_store **store, struct nova_error *error);
void nova_store_close(struct nova_store *store);
int nova_store_begin(struct nova_store *store, struct nova_error *error);
/* If a call inside the transaction ran into a full or failing disk, all of it is undone and that
 * error is returned. */
int nova_store_commit(struct nova_store *store, struct nova_error *error);
/* Undoes everything since nova_store_begin. */
void nova_store_rollback(struct nova_store *store);

/* This installation's id: 8 lower-case hex digits made at the store's creation. */
const char *nova_store_installation(const struct nova_store *store);

/* Run states: "running", "complete", "interrupted", "failed". */
struct nova_run_record {
	char id[37];
	char profile[65];
	char state[16];
	uint64_t seed;
	int64_t started_utc_ns, ended_utc_ns; /* 0: not ended */
	int64_t anchor_monotonic_ns, anchor_utc_ns;
	char boot_id[37];
	/* JSON objects: plan (all that --resume needs, no secrets), where, what, targets (array),
	 * skipped (array). NULL allowed: on update it keeps what is stored. Borrowed when written,
	 * owned by the caller when read. core/judge/result.h says what they hold. */
	json_t *plan, *where, *what, *targets, *skipped;
};
void nova_run_record_clear(struct nova_run_record *run);
/* Inserts, or updates the run of that id. */
int nova_store_run_put(struct nova_store *store, const struct nova_run_record *run,
                       struct nova_error *error);
/* `id` may be a unique prefix of at least 4 characters, or "last". NOVA_E_NOT_FOUND, …_INVALID. */
int nova_store_run_get(struct nova_store *store, const char *id, struct nova_run_record *run,
                       struct nova_error *error);
/* Newest first; return non-zero from `visit` to stop. */
int nova_store_run_each(struct nova_store *store,
                        int (*visit)(void *context, const struct nova_run_record *run),
                        void *context, struct nova_error *error);
/* With everything that belongs to it but the audit log. Refused (NOVA_E_BUSY) while VMs of it are
 * not known to be gone, and (NOVA_E_REFUSED) while it belongs to a baseline. */
int nova_store_run_delete(struct nova_store *store, const char *id, struct nova_error *error);

/* Step states: "planned", "running", "done", "failed", "skipped", "lost". */
struct nova_step_record {
	uint32_t index;
	char hash[65]; /* SHA-256 of canonical {benchmark, targets, parameters} */
	char benchmark[65];
	char state[16];
	char *why; /* or NULL */
	uint64_t order_seed;
	json_t *targets; /* array of indices into the run's targets */
	json_t *params;  /* object */
	int64_t started_utc_ns, ended_utc_ns;
	char stopped[16];    /* "samples", "precision", "budget"; "": it is not known */
	int64_t estimate_ns; /* what it was thought to take, 0: nothing was said */
};
void nova_step_record_clear(struct nova_step_record *step);
int nova_store_step_put(struct nova_store *store, const char *run,
                        const struct nova_step_record *step, struct nova_error *error);
/* In order of index. */
int nova_store_step_each(struct nova_store *store, const char *run,
                         int (*visit)(void *context, const struct nova_step_record *step),
                         void *context, struct nova_error *error);

/* A replicate's attempt. States: "running", "done", "failed", "superseded", "warmup" (done, its
 * samples are kept and not counted). */
struct nova_replicate {
	uint32_t step, replicate, side, attempt; /* side NOVA_SIDE_*; attempt ≥ 1 */
	uint32_t order; /* its place in the step, by time, from 1; 0: it is not known */
};
/* NOVA_E_EXISTS: this attempt has begun already. */
int nova_store_replicate_begin(struct nova_store *store, const char *run,
                               const struct nova_replicate *replicate, struct nova_error *error);
/* `counts`: attempted, succeeded, failed, timed out; may be NULL. `why` may be NULL. */
int nova_store_replicate_end(struct nova_store *store, const char *run,
                             const struct nova_replicate *replicate, const char *state,
                             const uint32_t counts[4], const char *why, struct nova_error *error);
int nova_store_replicate_each(struct nova_store *store, const char *run, uint32_t step,
                              int (*visit)(void *context, const struct nova_replicate *replicate,
                                           const char *state, const uint32_t counts[4],
                                           const char *why),
                              void *context, struct nova_error *error);
/* Marks every attempt that is "running" as superseded (before a resume). Their samples stay. */
int nova_store_supersede(struct nova_store *store, const char *run, struct nova_error *error);

struct nova_sample_record {
	struct nova_replicate at;
	uint64_t vm; /* its number in the run + 1; 0: none */
	char metric[97];
	uint32_t seq, status;                /* NOVA_SAMPLE_* */
	double value;                        /* only if status is OK */
	int64_t t_ns, intended_ns, error_ns; /* t_ns: run's monotonic clock */
	const char *why; /* unless status is OK: the reason, or NULL; the visit's when read */
};
/* The key (run, step, replicate, attempt, side, vm, metric, seq) is unique: NOVA_E_EXISTS.
 * NOVA_E_NOT_FOUND: the replicate has not begun. NOVA_E_INVALID: OK with a value that is no number.
 */
int nova_store_sample_put(struct nova_store *store, const char *run,
                          const struct nova_sample_record *sample, struct nova_error *error);
/* Ordered by key. Without `superseded` only those of attempts that count (neither superseded nor
 * warm-up). */
int nova_store_sample_each(struct nova_store *store, const char *run, uint32_t step,
                           bool superseded,
                           int (*visit)(void *context, const struct nova_sample_record *sample),
                           void *context, struct nova_error *error);

/* Of those that count, only the replicates `first` … `end` - 1: for whoever reads them as they
 * come. */
int nova_store_sample_range(struct nova_store *store, const char *run, uint32_t step,
                            uint32_t first, uint32_t end,
                            int (*visit)(void *context, const struct nova_sample_record *sample),
                            void *context, struct nova_error *error);

/* The journal: a VM's name stands here, durably, before the VM is created. Object kinds: "vm",
 * "net", "image". */
struct nova_journal_record {
	char run[37];
	char kind[8];
	char name[97];
	char *id; /* the hypervisor's own, or NULL */
	/* {name, plugin, uri}: enough to find it again; no secrets. With `twin_of`, the same of the
	 * target that starts it again; with `also`, the same of where it may be as well, because it
	 * was being migrated there. */
	json_t *target;
	uint64_t number; /* n of novacore-<installation>-<run>-<n> */
};
int nova_store_journal_intend(struct nova_store *store, const struct nova_journal_record *record,
                              struct nova_error *error);
int nova_store_journal_id(struct nova_store *store, const char *name, const char *id,
                          struct nova_error *error);
int nova_store_journal_gone(struct nova_store *store, const char *name, struct nova_error *error);
/* It is, or may be, elsewhere now. */
int nova_store_journal_target(struct nova_store *store, const char *name, const json_t *target,
                              struct nova_error *error);
/* Those not known to be gone; `run` NULL: of all runs. */
int nova_store_journal_each(struct nova_store *store, const char *run,
                            int (*visit)(void *context, const struct nova_journal_record *record),
                            void *context, struct nova_error *error);
/* The next free VM number of a run. */
int nova_store_journal_next(struct nova_store *store, const char *run, uint64_t *number,
                            struct nova_error *error);

/* Every call that changes a hypervisor. Append-only. */
int nova_store_audit(struct nova_store *store, const char *run, const char *target,
                     const char *call, const char *object, int32_t status, int64_t duration_ns,
                     struct nova_error *error);
int nova_store_audit_each(struct nova_store *store, const char *run,
                          int (*visit)(void *context, int64_t utc_ns, const char *target,
                                       const char *call, const char *object, int32_t status,
                                       int64_t duration_ns),
                          void *context, struct nova_error *error);

/* Small facts that outlive a run (e.g. the trial boot's outcome). NULL value deletes. */
int nova_store_fact_put(struct nova_store *store, const char *key, const char *value,
                        struct nova_error *error);
char *nova_store_fact_get(struct nova_store *store, const char *key); /* owned by the caller */

/* --- baselines ----------------------------------------------------------------------------------
 */

/* A named set of runs; one of a name for each *where* (core/judge/judge.h says what that is). */
struct nova_baseline_record {
	char name[65];
	char where[65]; /* SHA-256 in hex */
	int64_t made_utc_ns;
	json_t *runs; /* array of ids, oldest first. Borrowed when written */
};
/* Replaces the one of that name and *where*. NOVA_E_NOT_FOUND: a run is not there. */
int nova_store_baseline_put(struct nova_store *store, const struct nova_baseline_record *baseline,
                            struct nova_error *error);
/* By name and *where*; `name` and `where` NULL: all. Return non-zero from `visit` to stop. */
int nova_store_baseline_each(struct nova_store *store, const char *name, const char *where,
                             int (*visit)(void *context,
                                          const struct nova_baseline_record *baseline),
                             void *context, struct nova_error *error);
/* NOVA_E_NOT_FOUND. Its runs stay. */
int nova_store_baseline_delete(struct nova_store *store, const char *name, const char *where,
                               struct nova_error *error);

/* --- acknowledgements ---------------------------------------------------------------------------
 */

/* That somebody knows of a change point or a regression, and why it is so. */
struct nova_acknowledgement {
	char id[17];
	char kind[16];   /* "change", "regression" */
	char series[65]; /* of which metric where: see core/judge/judge.h */
	char metric[97];
	char run[37];         /* at which it begins */
	int64_t began_utc_ns; /* when that began */
	double shift;         /* relative, as it was when it was acknowledged */
	char *why;            /* borrowed when written */
	int64_t made_utc_ns;
};
/* Inserts, or replaces the one of that id. */
int nova_store_acknowledge(struct nova_store *store, const struct nova_acknowledgement *known,
                           struct nova_error *error);
/* Oldest first; `series` NULL: of all. Return non-zero from `visit` to stop. */
int nova_store_acknowledged_each(struct nova_store *store, const char *series,
                                 int (*visit)(void *context,
                                              const struct nova_acknowledgement *known),
                                 void *context, struct nova_error *error);
/* NOVA_E_NOT_FOUND. */
int nova_store_acknowledged_remove(struct nova_store *store, const char *id,
                                   struct nova_error *error);

/* --- what steps amount to -----------------------------------------------------------------------
 */

/* A step that is done, by what makes it comparable. Can be computed from the run at any time. */
struct nova_measured {
	char run[37];
	uint32_t step;
	char measurement[65], where[65], host[65]; /* see core/judge/judge.h */
	char benchmark[65];                        /* read only, as are: */
	int64_t started_utc_ns;                    /* of the run */
	char accel[33];                            /* of its targets, "" for none */
	json_t *targets;                           /* [{"name", "plugin", "version"}] */
	json_t *params;                            /* read only */
	bool simulated;
};
/* One metric on one side of such a step. */
struct nova_reduced {
	char metric[97];
	uint32_t side; /* NOVA_SIDE_* */
	int64_t revision;
	char unit[8], better[8];
	char source[129];      /* of its end points, "" for none */
	uint32_t n, attempted; /* fresh VMs (or replicates) */
	double value;          /* their median; NaN: none succeeded */
	double low, high;      /* its interval; both NaN: n is too small for one; one: no bound */
};
/* Both in one call, replacing what was there. */
int nova_store_measured_put(struct nova_store *store, const struct nova_measured *step,
                            const struct nova_reduced *metrics, size_t count,
                            struct nova_error *error);
/* Runs that are not running and have steps that are done and not reduced yet; oldest first. */
int nova_store_measured_missing(struct nova_store *store,
                                int (*visit)(void *context, const char *run), void *context,
                                struct nova_error *error);
/*
 * Every value of `metric` (NULL: of all metrics), by metric, side and the start of its run. Reads
 * no samples: O(values). Return non-zero from `visit` to stop.
 */
int nova_store_reduced_each(struct nova_store *store, const char *metric,
                            int (*visit)(void *context, const struct nova_measured *step,
                                         const struct nova_reduced *reduced),
                            void *context, struct nova_error *error);

#endif
