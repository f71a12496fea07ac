/* SPDX-License-Identifier: MIT */
/*
 * The parent's side of a run. Internal to core/run.
 *
 *   spawn.c  a worker process: start, watch, end; reaping of every orphan
 *   wrapper.c  the same under a debugger
 *   trace.c  the file of --trace
 *   talk.c   one conversation with a worker: store what it says, until the awaited packet comes
 *   lead.c   the steps of a run, in order; resume, outcome
 *   repeat.c  the replicates of a step: sides, order, budget, precision
 *   record.c has steps recorded while they measure, by recorders: processes of their own
 *   limits.c how many VMs at once, and whether that many may be
 *   targets.c, appliance.c, locks.c  what these steps need, and who else uses it
 *   boot.c   what VMs boot where that is not a file of this host: disks that are uploaded
 *   sweep.c  deletes what dead runs left
 */
#ifndef NOVACORE_RUN_LEAD_H
#define NOVACORE_RUN_LEAD_H

#include "core/base/base.h"
#include "core/guest/guest.h"
#include "core/judge/judge.h"
#include "core/plugin/plugin.h"
#include "core/run/run.h"
#include "core/run/wire.h"

#include <sys/types.h>

/* --- spawn.c
 * ---------------------------------------------------------------------------------------- */

enum worker_end {
	WORKER_RUNS = 0,
	WORKER_ENDED,     /* by itself, as told */
	WORKER_CRASHED,   /* a signal that we did not send */
	WORKER_EXITED,    /* ended although it was not told to */
	WORKER_HUNG,      /* did not answer in time and was killed */
	WORKER_TOO_LARGE, /* over limits.worker_memory and was killed */
	WORKER_BROKEN,    /* said what cannot be understood, and was killed */
	WORKER_TALKATIVE, /* said far too much, and was killed */
	WORKER_FILLS      /* filled the disk, and was killed */
};

struct worker {
	pid_t pid;
	int fd;        /* packets */
	int log;       /* its stdout and stderr; -1 under a wrapper, which has ours */
	bool wrapped;  /* by a debugger or the like: it may take all the time it wants */
	bool terminal; /* which has the terminal until it ends */
	enum worker_end end;
	int status; /* as from waitpid, once it has ended */
	bool reaped;
	int64_t reaped_ns;
	uint64_t log_bytes;    /* of its output so far */
	uint32_t notes;        /* that it had printed */
	uint64_t resident;     /* bytes, last looked */
	uint64_t resident_max; /* bytes */
	/* what it was doing when it died, from "loading" */
	uint32_t loading_kind;
	char loading_plugin[65], loading_stage[16];
	struct nova_text tail; /* the last of what it wrote to its log */
};

/* Blocks SIGINT, SIGTERM and SIGCHLD for this process, makes it the subreaper. The signalfd, or <
 * 0. */
int nova_signals_take(struct nova_error *error);
void nova_signals_return(int fd);

/* `wrapper` may be NULL, `trace` (a descriptor above NOVA_TRACE_FD) 0. */
int nova_spawn(struct worker *worker, char *const *wrapper, int trace, struct nova_error *error);
/* Reaps every child that has ended: the worker, and orphans (QEMUs of dead workers). */
void nova_reap(struct worker *worker);
/* A recorder: its packets, and a descriptor of the process. */
int nova_spawn_recorder(int *fd, int *process, struct nova_error *error);
/* Reads its log; each line is logged at debug level. */
void nova_spawn_read_log(struct worker *worker);
uint64_t nova_resident_bytes(pid_t pid);
/* The disk that `directory` is on is nearly full, and what lies in it is why. */
bool nova_directory_fills_disk(const char *directory);
struct lead;
/* Names the processes that still run when all workers have ended. */
void nova_spawn_tell_left(struct lead *lead);
/* Kills it (SIGKILL) and notes why. */
void nova_spawn_kill(struct worker *worker, enum worker_end why);
/* Waits up to `grace_ns` for it to end, then kills it; frees descriptors. */
void nova_spawn_finish(struct worker *worker, int64_t grace_ns);
/* A sentence on how it ended: "crashed with SIGSEGV while loading benchmark cpu". */
char *nova_spawn_epitaph(const struct worker *worker);

/* --- talk.c
 * ----------------------------------------------------------------------------------------- */

/* To a worker's "intend", due when the name is on disk. */
struct answer {
	uint64_t number;
	int code;
};

struct lead {
	const struct nova_run_request *request;
	struct nova_store *store;
	const struct nova_registry *registry;
	const struct nova_config *config;
	struct nova_run_watch watch;
	struct nova_run_record run;
	bool recorded;     /* the run stands in the store */
	char short_id[13]; /* the run's part of VM names */
	char *prefix;      /* "novacore-<installation>-<run>-" */
	char *directory;   /* files of this run */
	json_t *locks;     /* of its targets: descriptors */
	struct worker worker;
	int trace;       /* the file of --trace, 0 without */
	int signals;     /* signalfd */
	int interrupted; /* 0, SIGINT or SIGTERM */
	unsigned interrupts;
	int64_t started_ns; /* of this process's part of the run */
	int64_t stop_by_ns; /* when a stop must have come to its end; INT64_MAX: none was asked */
	int store_code;     /* the store failed: stop */
	struct nova_error store_error;
	size_t skipped; /* steps */
	/* the step and replicate that run */
	json_t *step;  /* of the plan, borrowed */
	json_t *shape; /* of the plan, or of the side of an A/B that is at work; borrowed */
	struct nova_guest guests[2]; /* what its VMs boot; the second is side b's */
	size_t side;                 /* of A/B that is at work, 0 otherwise */
	json_t *boots[2];            /* by side and target of the plan: see boot.c */
	bool has_images;             /* that its targets hold for this run */
	struct {
		int64_t started_ns, told_ns; /* 0: there is none */
	} upload;
	char *key, *public_key; /* that opens the VMs of this run by SSH, or NULL */
	json_t *step_targets;   /* as "open" has them */
	json_t *targets;        /* that the last "open" named, borrowed: for the journal */
	struct nova_replicate at;
	bool in_replicate;
	bool in_step; /* the worker is a benchmark's, not a sweep's */
	bool lost;    /* the step's worker died */
	uint32_t counts[4];
	uint64_t samples;              /* that came in this replicate */
	uint32_t attempted, succeeded; /* VMs of the step, in this process */
	bool opening;                  /* the step has not come to its first replicate */
	struct nova_run_progress progress;
	json_t *moving; /* of a sweep: targets of VMs that died while being migrated, by name */
	uint32_t left_behind; /* processes that were named */
	struct answer *answers;
	size_t answer_count;
	double *values; /* of progress.metric */
	size_t value_count;
	enum nova_refusal_reason refusal; /* the worker refused a plugin */
	char refusal_text[1024];
	char *replaced; /* which plugin is another file than when the run began, or NULL */
	struct recorder *recorder; /* of the step; NULL: it is not recorded now */
	int64_t worked_until_ns;   /* UTC, before recordings were completed; 0: none was */
};

void nova_lead_note(struct lead *lead, enum nova_level level, const char *format, ...)
        NOVA_PRINTF(3, 4);
/*
 * Handles packets until one of kind `awaited` comes (then *packet is the caller's), the worker
 * ends, `deadline_ns` passes (it is killed) or the store fails. 0; NOVA_E_FAILED: the worker is
 * dead (see worker.end); NOVA_E_INTERRUPTED: a second interrupt; else the store's code.
 */
int nova_talk(struct lead *lead, const char *awaited, int64_t deadline_ns, json_t **packet,
              struct nova_error *error);
/* What there is to read from lead->signals: Ctrl-C. */
void nova_talk_signals(struct lead *lead);
/* Sends; a worker that cannot take it is killed. 0 also if it is dead: nova_talk says how. */
int nova_talk_send(struct lead *lead, json_t *packet, struct nova_error *error);
/* Starts a worker and has it open. `benchmark` may be NULL. 0 and the "opened" packet; or the
 * reason. */
int nova_talk_open(struct lead *lead, json_t *benchmark, json_t *targets, const json_t *shape,
                   json_t **opened, struct nova_error *error);
/* Tells it to close, waits, cleans up. Safe on a dead worker. */
void nova_talk_close(struct lead *lead);

/* --- lead.c
 * ----------------------------------------------------------------------------------------- */

/* Stores the run's record, if it has one yet. */
int nova_lead_save(struct lead *lead, struct nova_error *error);
/* A note for the reader of the result; also told now. */
void nova_lead_add_note(struct lead *lead, const char *text);
/* The step goes on without its side "native"; the result has the reason under "skipped". */
void nova_lead_skip_native(struct lead *lead, const char *why);

/* In a run of A against B: from now on this side's settings and shape count. 0: a, 1: b. */
void nova_lead_enter(struct lead *lead, size_t side);
/* Starts a worker for one replicate of that side of the step. Close it with nova_talk_close. */
int nova_lead_open_side(struct lead *lead, size_t side, struct nova_error *error);

/* --- ab.c
 * ------------------------------------------------------------------------------------------- */

/* The part of the plan that says what A and B are, NULL in a run of anything else. */
json_t *nova_lead_ab(const struct lead *lead);
/* What the test has been told so far; zeroed at first, `test` is the caller's to free. */
struct nova_ab_watch {
	struct nova_sequential *test; /* core/stats */
	uint32_t blocks;              /* that it has */
	size_t values[2];             /* of side a, of side b */
};
/* Whether the test has decided on the first `blocks` blocks, of which only the new ones are read.
 * NOVA_E_FAILED: it cannot, for none of them has given a value on one side. */
int nova_lead_ab_decided(struct lead *lead, struct nova_ab_watch *watch, uint32_t blocks,
                         bool *decided, struct nova_error *error);

/* --- repeat.c
 * --------------------------------------------------------------------------------------- */

/* NOVA_SIDE_* of a planned step: VMs, this host, or both in each block. */
struct nova_step_sides {
	uint32_t side[2];
	size_t count;
};
struct nova_step_sides nova_step_sides(const json_t *step);
/* What the benchmark is told of the side that lead->at is on: a side of A/B is VMs, or this host
 * where the step has no target. */
uint32_t nova_lead_work_side(const struct lead *lead);
/* Blocks that give the step's samples, of `width` VMs each. */
uint32_t nova_step_blocks(const json_t *step, int64_t width);
/*
 * Runs what is left of a step's replicates in the worker that has said `opened`, after warm-ups if
 * `warm_up`; says in the step's "stopped" why it ended. `*tainted`: go on with another worker.
 */
int nova_lead_repeat(struct lead *lead, const json_t *opened, bool warm_up, bool *tainted,
                     struct nova_error *error);

/* --- record.c
 * --------------------------------------------------------------------------------------- */

/* When a run is resumed: recordings that nobody writes any more say so. */
void nova_lead_record_resume(struct lead *lead);
/* A note for the reader of the result if recordings are not of all processes. */
void nova_lead_record_note(struct lead *lead);
/* From now on the step is recorded, as the plan says; nothing if it is already. Returns when
 * sampling has begun. What fails becomes a note. */
void nova_lead_record_begin(struct lead *lead);
/* Sampling ends; nothing is waited for. */
void nova_lead_record_end(struct lead *lead);
/* The same, and waits until the recordings are complete: functions get their names now. Safe at any
 * time. */
void nova_lead_record_finish(struct lead *lead);

/* --- replaced.c
 * ------------------------------------------------------------------------------------- */

/*
 * Whether a plugin of a step is another file than when the run began; lead->replaced says which.
 * `refused`: a worker has refused one, so that files that are just being put into place are waited
 * for (up to 5 s).
 */
bool nova_lead_replaced(struct lead *lead, const json_t *benchmark, const json_t *targets,
                        bool refused);
/* When a run is resumed: notes for the reader where a plugin or novacore is another one than then.
 */
void nova_lead_note_replaced(struct lead *lead);

/* --- locks.c
 * ---------------------------------------------------------------------------------------- */

/* "<runtime>/locks/<name>", locked; < 0 with NOVA_E_BUSY. */
int nova_lead_lock(const char *kind, const char *name, struct nova_error *error);
/* Gives a run's lock back, and leaves no file; `fd` < 0: nothing. */
void nova_lead_unlock_run(const char *short_id, int fd);
/* The last 12 characters of a run's id: its part of a VM's name. */
const char *nova_lead_short(const char *run_id);
/* The run's and its targets' locks; the latter are lead->locks. After a failure, too, they must be
 * released. */
int nova_locks_take(struct lead *lead, int *run_lock, struct nova_error *error);
/* Also the places that the step's drivers, now connected, call their target's: the fact
 * `endpoint`. */
int nova_locks_learn(struct lead *lead, const json_t *step, const json_t *opened,
                     struct nova_error *error);
void nova_locks_release(struct lead *lead, int run_lock);

/* --- limits.c
 * ---------------------------------------------------------------------------------------- */

/* Sets "vms", how many VMs a planned step has at once, and "asks_for_room", whether its benchmark
 * asks itself if this host has room for them. */
void nova_limits_note(json_t *step, const struct nova_manifest *benchmark);
/* Whether a step of it is warmed up by replicates: a benchmark that asks for room has made a VM of
 * the same kind by then, and a warm-up of hundreds would only double the run. What the user or a
 * configuration file says of run.warmup holds in any case. */
bool nova_limits_needs_warmup(const struct nova_manifest *benchmark,
                              const struct nova_config *config);
/*
 * NOVA_E_REFUSED if a step has more VMs at once than limits.max_vms. A number of VMs that stands on
 * the command line is the user's word, and raises a limit that is only novacore's or the profile's
 * default; one of a configuration file or of --max-vms holds. Sets "max_vms", which is in force for
 * the run, "at_once" and "shaped_at_once"; in each step "told", whether it is the user's word.
 */
int nova_limits_check(json_t *plan, const struct nova_registry *registry,
                      const struct nova_config *config, struct nova_error *error);
/* What a worker's `room` holds VMs of the step against: limits.memory_share and limits.cpu_share
 * by the same rule, so that of a profile's shares only novacore's own defaults are left where the
 * number of VMs is the user's word. Owned by the caller. */
json_t *nova_limits_of_room(const json_t *step, const struct nova_config *config);

/* --- appliance.c
 * ------------------------------------------------------------------------------------ */

/* The target of a plan boots files of this host, so it wants the appliance. */
bool nova_lead_wants_appliance(const json_t *target);
/* Finds or builds what VMs boot; nothing if no target boots files of this host. */
int nova_lead_find_guest(struct lead *lead, struct nova_guest *guest, struct nova_error *error);
/* The shape as "open" carries it: the plan's, with the guest's files. Owned by the caller. */
json_t *nova_lead_shape(const struct lead *lead, const struct nova_guest *guest);
/* NOVA_E_REFUSED with arithmetic if the plan's VMs are too large for this host. */
int nova_lead_check_memory(struct lead *lead, struct nova_error *error);
/* Why this host has no memory for the VMs of a step whose parameter `memory` says how large they
 * are (each on all of its targets at once: that is where a migration has it); NULL: it has. Owned.
 */
char *nova_lead_lacks_memory(const struct lead *lead, const json_t *step);
int nova_lead_check_cpus(struct lead *lead, struct nova_error *error);

/* The appliance as a disk. @owner the caller releases it */
int nova_lead_make_disk(struct lead *lead, const struct nova_guest_disk *wish,
                        struct nova_guest *disk, struct nova_error *error);

/* --- boot.c
 * ----------------------------------------------------------------------------------------- */

/* Sets the plan's "boots": a sentence for each target whose VMs do not boot as the shape has it. */
void nova_lead_forecast(json_t *plan, const struct nova_registry *registry,
                        const struct nova_config *config);
/* Decides it for the targets of a side, and uploads disks. What fails is told by nova_lead_boot;
 * only NOVA_E_INTERRUPTED is returned. */
int nova_lead_find_boots(struct lead *lead, size_t side, struct nova_error *error);
/* Adds what was decided for a target of the plan to what a worker is told of it. NOVA_E_*: why it
 * cannot be used. */
int nova_lead_boot(const struct lead *lead, size_t index, json_t *target, struct nova_error *error);
void nova_lead_on_progress(struct lead *lead, double share);
/* Deletes the images of this run. */
void nova_lead_drop_images(struct lead *lead, int *exit_code);
/* The run's SSH key, if it has one, is gone from its directory and from memory. */
void nova_lead_drop_key(struct lead *lead);

/* --- targets.c
 * -------------------------------------------------------------------------------------- */

/* All targets of a step, as nova_lead_target. Owned by the caller; NULL and error. */
json_t *nova_lead_step_targets(struct lead *lead, const json_t *step,
                               const struct nova_guest *guest, struct nova_error *error);
/* One of the plan, by its index. */
json_t *nova_lead_planned_target(struct lead *lead, size_t index, const struct nova_guest *guest,
                                 struct nova_error *error);
/* The benchmark of a step, likewise. */
json_t *nova_lead_benchmark(struct lead *lead, const json_t *step, const struct nova_guest *guest,
                            struct nova_error *error);
/* True if somebody has said what this parameter of a target is: it is not the driver's default. */
bool nova_lead_configured(const struct nova_config *config, const char *plugin, const char *name,
                          const char *parameter);
/*
 * Keeps what the targets said in "opened"; notes in *where* what must match (accelerator), in
 * *what* what is compared (versions).
 */
void nova_lead_learn(struct lead *lead, const json_t *step, const json_t *opened);
/* The target as "open" wants it, with secrets. Owned by the caller; NULL and error. */
json_t *nova_lead_target(const struct nova_config *config, const struct nova_registry *registry,
                         const char *name, const char *plugin, const char *uri, uint64_t seed,
                         const struct nova_guest *guest, struct nova_error *error);

/* --- sweep.c
 * ---------------------------------------------------------------------------------------- */

/* Objects of the journal that belong to dead runs; only those of targets in `only` (plan's form) if
 * not NULL. Counts in found and left. */
int nova_sweep_journal(struct lead *lead, const json_t *only, const char *plugin, bool dry_run,
                       uint32_t *found, uint32_t *left, struct nova_error *error);

#endif
