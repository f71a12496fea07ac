/* SPDX-License-Identifier: MIT */
/*
 * core/run: from settings to a plan, from a plan to samples in the store. The parent's side never
 * loads code: each step runs in a worker, the same binary re-executed, and what the worker says is
 * stored as it arrives.
 */
#ifndef NOVACORE_RUN_H
#define NOVACORE_RUN_H

#include "core/config/config.h"
#include "core/plugin/plugin.h"
#include "core/store/store.h"

/* --- plan ---------------------------------------------------------------------------------------
 */

struct nova_plan_request {
	const struct nova_config *config;
	const struct nova_registry *registry;
	const char *profile;
	const char *const
	        *targets;   /* configured names, or "PLUGIN=URI"; NULL-terminated, or NULL */
	const char *plugin; /* short for one target of that driver, or NULL */
	const char *uri;    /* of that target, or NULL */
	const char *const
	        *benchmarks; /* instead of the profile's suite; NULL-terminated, or NULL */
	uint64_t seed;
	/* what --resume needs to load the same settings again */
	const char *config_file;
	const char *const *settings;
	size_t setting_count;
};

/*
 * An ordered list of steps with everything a resume needs and no secret (decisions.md: identity).
 * Refuses unknown plugins, suites without benchmark, shapes beyond the limits (with arithmetic).
 */
int nova_plan_make(const struct nova_plan_request *request, json_t **plan,
                   struct nova_error *error);
/* How long the plan takes, from earlier runs in the store where there are any: sets "estimate_ns"
 * and "estimate_basis" of each step. */
int nova_plan_estimate(json_t *plan, struct nova_store *store, struct nova_error *error);

/*
 * Whether the steps of a plan can be recorded here as its "record" wants it, by trying it; sets in
 * there "what" it will be: "all" processes of this host or, where that is not permitted, "process":
 * those of the run. NOVA_E_PERMISSION says what to change. 0 for a plan that wants none.
 */
int nova_run_record_check(json_t *plan, struct nova_error *error);

/* --- A against B --------------------------------------------------------------------------------
 */

/*
 * One benchmark under two choices of settings, in blocks: in each, both sides run once, in a drawn
 * order, each in a worker and with VMs of its own. After every block an always-valid test looks
 * (core/stats), and the run ends when it has decided.
 */
struct nova_ab_request {
	const json_t *a, *b; /* plans of one step each, of the same benchmark; borrowed */
	/* What makes the two differ, for the record: "key=value", NULL-terminated, or NULL. */
	const char *const *a_settings, *const *b_settings;
	const char *metric;    /* that is decided on; NULL: objective.metric, or the first one */
	const char *objective; /* objective.metric, or NULL */
	double alpha; /* in (0, 0.5]: how often it may find a difference where there is none */
	double minimum_effect; /* in [0, 1): smaller differences do not matter; 0: each does */
	uint32_t max_pairs;    /* 1…100000 */
};
/* The plan of both, for nova_run_execute with `config_b`. NOVA_E_INVALID says what does not fit. */
int nova_ab_plan(const struct nova_ab_request *request, json_t **plan, struct nova_error *error);

/* --- once more ----------------------------------------------------------------------------------
 */

/* A step of a stored run, to be run again with the settings that it had. */
struct nova_again_request {
	const json_t *stored; /* the run's plan; borrowed */
	size_t step;          /* its index there */
	/* As that plan's "command" and profile say them, loaded now. */
	const struct nova_config *config;
	const struct nova_registry *registry;
	uint64_t seed; /* a new one: with the old one a simulator repeats itself */
};
/*
 * A plan of that one step, of the plugins and configuration files that there are now.
 * NOVA_E_INVALID: it was imported, is an A/B itself, or comes out as another step now; and what
 * nova_plan_make says. `*plan` is the caller's.
 */
int nova_plan_again(const struct nova_again_request *request, json_t **plan,
                    struct nova_error *error);
/* In what this host, and the shape in `plan`, are another *where* than that of `result`:
 * [{"fact", "then", "now"}]. The caller's. */
json_t *nova_where_differs(const json_t *result, const json_t *plan);
/* The facts of `then` that are others in `now`, an A/B on whose `side` ("a" or "b") it was run
 * again: kernel, novacore, plugins, … Both are results. [{"fact", "then", "now"}]; the caller's. */
json_t *nova_not_restored(const json_t *then, const json_t *now, const char *side);

/* --- run ----------------------------------------------------------------------------------------
 */

struct nova_run_progress {
	uint32_t step, steps;           /* from 0 */
	const char *benchmark, *target; /* of the step */
	const char *params;             /* what tells this step from its siblings, or "" */
	const char *side;               /* that runs, where the step has several, or "" */
	uint32_t replicate, replicates; /* ended, planned; of all sides, warm-ups included */
	bool warming_up;
	uint64_t samples;   /* of the step */
	const char *metric; /* the step's first metric with samples, or NULL */
	double median;      /* of its samples so far */
	uint32_t unit;
	int64_t left_ns; /* until the end of the run; < 0: not known yet */
};

/* Called on the thread that called nova_run_execute. Any may be NULL. */
struct nova_run_watch {
	void (*progress)(void *context, const struct nova_run_progress *progress);
	void (*note)(void *context, enum nova_level level, const char *text);
	void *context;
};

struct nova_run_request {
	const struct nova_config *config;
	const struct nova_registry *registry;
	struct nova_store *store;
	const struct nova_config *config_b; /* of side b, for a plan of nova_ab_plan; else NULL */
	json_t *plan;                       /* for a new run; borrowed */
	const char *resume;                 /* a run's id, or NULL */
	/* From nova_wrapper_parse: the workers of steps run under it, and their deadlines and
	 * limits of memory are off. NULL: as they are. */
	char *const *wrapper;
	const char *trace; /* a file for every call (docs/trace.md), or NULL */
	struct nova_run_watch watch;
};

struct nova_run_outcome {
	char id[37];
	int exit_code; /* 0, 3, 4, 5, 130, 143: what the steps came to, before --fail-on */
};

/*
 * Runs (or resumes) to the end, to an interruption (SIGINT, SIGTERM) or to a failure of the store.
 * The outcome's id is set as soon as the run exists, also on failure.
 */
int nova_run_execute(const struct nova_run_request *request, struct nova_run_outcome *outcome,
                     struct nova_error *error);

/* --- sweep --------------------------------------------------------------------------------------
 */

struct nova_sweep_request {
	const struct nova_config *config;
	const struct nova_registry *registry;
	struct nova_store *store;
	const char *plugin; /* only targets of this driver, or NULL */
	bool strays;        /* also VMs of this installation that are in no journal */
	bool dry_run;       /* only tell */
	struct nova_run_watch watch;
};
/* Deletes what dead runs of this installation left. `*found`, `*left`: objects. */
int nova_run_sweep(const struct nova_sweep_request *request, uint32_t *found, uint32_t *left,
                   struct nova_error *error);

/* --- preflight ----------------------------------------------------------------------------------
 */

struct nova_preflight_request {
	const struct nova_config *config;
	const struct nova_registry *registry;
	const char *name, *plugin; /* the target's, and its driver's */
	const char *uri;           /* instead of the configured one, or NULL */
	struct nova_run_watch watch;
};
/*
 * Connects to a target in a worker and has it described; creates nothing. {"facts": {NAME: TEXT},
 * "capabilities": {NAME: null|WHY}}, the caller's; or the reason why it cannot be used.
 */
int nova_preflight(const struct nova_preflight_request *request, json_t **said,
                   struct nova_error *error);

/* True if a process holds the run: it is being executed now. */
bool nova_run_alive(const char *id);

/* --- worker -------------------------------------------------------------------------------------
 */

/* The whole life of a worker; `fd` is the socket to the parent. */
int nova_worker_main(int fd);
/* The same of a recorder, which samples while a step measures. */
int nova_recorder_main(int fd);
/*
 * The command of --worker-wrapper as words: quotes and backslashes as in a shell, nothing else of
 * one. NOVA_E_INVALID: no command, or a quote without end; NOVA_E_UNAVAILABLE: no such program.
 * `*words` is NULL-terminated and the caller's in any case: nova_wrapper_free.
 */
int nova_wrapper_parse(const char *text, char ***words, struct nova_error *error);
void nova_wrapper_free(char **words);
/* In the new process: becomes WRAPPER… novacore worker. Returns an exit code if it cannot. */
int nova_worker_wrapped(char *const *wrapper);

#endif
