/* SPDX-License-Identifier: MIT */
/*
 * What the files of the test host share. Nobody else includes this; names begin with th_, because a
 * plugin's own sources are linked into the same program.
 */
#ifndef NOVACORE_TESTHOST_INSIDE_H
#define NOVACORE_TESTHOST_INSIDE_H

#include <novacore/testhost.h>

#include <limits.h>
#include <pthread.h>

/* Parameter values, checked, with defaults filled in. */
struct parameters {
	const struct nova_plugin *plugin;
	struct value {
		const struct nova_parameter *parameter;
		char **texts;
		uint32_t count;
	} * values;
	uint32_t count;
};

/* NOVA_DONE, or NOVA_E_INVALID with a sentence in `refusal`. */
int th_parameters_read(struct parameters *all, const struct nova_plugin *plugin,
                       const char *const *given, char *refusal, size_t room);
void th_parameters_free(struct parameters *all);
int th_parameters_i64(const struct parameters *all, const char *name, uint32_t index,
                      int64_t *value);
int th_parameters_f64(const struct parameters *all, const char *name, uint32_t index,
                      double *value);
const char *th_parameters_text(const struct parameters *all, const char *name, uint32_t index);
/* What is wrong with asking for it as 'i', 'f' or 't'; NULL: nothing. */
const char *th_parameters_doubt(const struct parameters *all, const char *name, char type);
/* The name of a secret whose text is part of this one, or NULL. */
const char *th_parameters_secret(const struct parameters *all, const char *text);

/* host->process; `deadline_ns` INT64_MAX: none; `cancelled(op)` is asked every 50 ms. */
int th_process_run(const struct nova_exec *exec, int64_t deadline_ns, int (*cancelled)(nova_op),
                   nova_op op,
                   void (*output)(void *context, uint32_t field, const void *bytes, uint64_t count),
                   void *context, int32_t *status);

/* --- base.c, op.c, table.c: hosts, calls, complaints
 * ------------------------------------------------- */

struct result {
	uint32_t field;
	int64_t i64;
	double f64;
	char *key, *text; /* text: a fact's, or bytes */
	uint64_t bytes;
	char type; /* i f b t */
};

struct results {
	struct result *all;
	uint32_t count;
};

struct call {
	struct nova_testhost *host;
	nova_op op;
	int64_t deadline_ns;
	int open, cancelled, expired, done, done_status, ended;
	int said; /* how often error() was called */
	char *error;
	struct results results;
	pthread_cond_t changed;
};

/* Who may enter the plugin: one at a time unless it is PARALLEL. */
struct gate {
	int busy, waiting;
};

struct nova_testhost {
	const struct nova_plugin *plugin;
	struct parameters parameters;
	uint64_t instance;
	struct call *creation;
	void *self;
	struct gate own_gate, *gate; /* gate NULL: PARALLEL */
	struct call **calls;         /* all there were */
	struct call **open_calls;    /* those of them that have not ended */
	uint32_t call_count, open_count;
	int64_t next_ns; /* when the watch thread looks again */
	struct nova_event **events;
	size_t event_count;
	char **complaints, **lines;
	uint32_t complaint_count, line_count;
	void **kept; /* freed with the host */
	uint32_t kept_count;
	char *directories[4];
	char scratch[PATH_MAX];
	pthread_t pump_thread, watch_thread;
	int watching, pumping, stopping, created, destroyed;
	pthread_cond_t changed; /* events, the gate, deadlines, stopping */
	struct lab *lab;        /* a benchmark's */
	struct view *view;      /* an optimizer's */
};

extern pthread_mutex_t th_lock; /* guards everything; no plugin code runs under it */
extern const struct nova_host th_table;

int64_t th_clock_ns(void);
void *th_memory(void *old, size_t bytes); /* realloc that never fails; bytes > 0 */
char *th_copy(const char *text);          /* strdup; NULL stays NULL */
void *th_grow(void *array, size_t count, size_t size);
void th_init_condition(pthread_cond_t *condition);
void th_wait_until(pthread_cond_t *condition, int64_t until_ns);

/* All under the lock. */
__attribute__((format(printf, 2, 3))) void th_complain(struct nova_testhost *host,
                                                       const char *format, ...);
struct call *th_find_call(nova_op op); /* NULL: never was, or its host is gone */
struct nova_testhost *th_find_instance(uint64_t instance);
void th_add_error(struct call *call, const char *text);
/* What a test was given a pointer to, and is to live until the host is freed. */
void th_keep(struct nova_testhost *host, void *pointer);
void th_add_result(struct results *results, const struct result *given); /* copies */
const struct result *th_find_result(const struct results *results, uint32_t field, uint32_t index,
                                    uint32_t *count);
void th_free_results(struct results *results);

/* Not under the lock: the call that stands for the instance; the threads that pump and watch. */
void th_calls_new(struct nova_testhost *host);
void th_calls_free(struct nova_testhost *host);
void th_threads_start(struct nova_testhost *host);
void th_threads_stop(struct nova_testhost *host);

/* --- clock.c: simulated time, one clock per benchmark ------------------------------------- */

/* Where simulated time begins: no duration is that long, so that one in place of a time shows. */
#define CLOCK_BEGIN 1000000000000000ll

struct vm;

/* A thread of the benchmark and its own time. Of all tasks only the earliest one runs. */
struct task {
	struct nova_testhost *host;
	struct task *next, *parent;
	struct fan *fan;
	int64_t now_ns;
	uint64_t order; /* who goes first at the same time */
	enum { TASK_RUNNING, TASK_WAITING, TASK_JOINING, TASK_ENDED } state;
	uint32_t children;
	uint32_t readings;      /* of the clock since the last call of the lab */
	const struct vm *watch; /* wakes up early if something happens to it */
	int idle;               /* waits for an event or its turn in a schedule, not for a call */
	int interrupted;        /* was told so */
	struct results last;    /* of its last call, on `last_vm` */
	nova_vm last_vm;
	int has_last;
	pthread_t thread;
	pthread_cond_t turn;
};

struct clock {
	struct task *tasks, *running, main;
	uint64_t orders, turns;
};

struct task *th_task_self(void); /* of the calling thread, or NULL */
void th_task_begin(struct nova_testhost *host);
void th_task_end(struct nova_testhost *host);
/* Under the lock: lets simulated time pass up to `until_ns`, and whoever is earlier run. */
void th_task_pass(struct task *task, int64_t until_ns);
void th_tasks_wake(struct clock *clock, const struct vm *vm, int64_t now_ns);
/* Nobody waits for an event or by a schedule any longer. */
void th_tasks_interrupt(struct task *by);
/* Under the lock. */
int th_fan_out(struct task *task, uint32_t count, uint32_t limit, double per_s,
               int (*one)(void *context, uint32_t i, int64_t intended_ns), void *context);
int64_t th_now_ns(void); /* host->now_ns */

/* --- lab.c, script.c, benchmark.c: benchmarks --------------------------------------------- */

enum phase { PHASE_NONE, PHASE_SETUP, PHASE_REPLICATE, PHASE_TEARDOWN };

struct happening {
	uint32_t kind;
	int status; /* NOVA_DONE: it comes */
	int64_t t_ns;
};

struct vm {
	nova_vm number;
	char name[64];
	uint32_t target, state, vcpus;
	uint64_t memory_bytes;
	enum { VM_FAILED, VM_THERE, VM_UNKNOWN, VM_DELETED } existence;
	int ready; /* before `events` */
	int64_t started_ns, paused_ns;
	struct happening *events; /* since the last call that changes its state, in their order */
	uint32_t event_count;
	char **snapshots;
	uint32_t snapshot_count;
};

struct lab {
	struct nova_lab table;
	struct clock clock;
	enum phase phase;
	int set_up, interrupted;
	uint32_t width, side, recorded; /* recorded: samples and attempts of this replicate */
	uint32_t leftovers, attempts[4];
	uint32_t returned; /* bit s: a call of the lab returned -s in this phase */
	struct vm **vms;
	uint32_t vm_count, net_count;
	struct nova_sample **samples;
	uint32_t sample_count, first_sample; /* of this replicate */
	struct entry {
		const char *word; /* "vm_power.start" */
		nova_vm vm;
	} * journal;
	char **commands;
	uint32_t journal_count, command_count;
	struct script {
		char *name;
		int status, forever;
		int64_t latency_ns;
		uint32_t left;
	} * scripts;
	struct program {
		char *name, *output;
		int status;
	} * programs;
	struct denial {
		char *capability, *why;
	} * denials;
	struct preset {
		uint32_t field;
		char type; /* i, f; 0: not put */
		int64_t i64;
		double f64;
	} * presets;
	struct nova_beats beats; /* as the test set them; struct_size 0: it did not */
	char **asked;            /* capabilities that `can` was asked for, or complained of */
	uint32_t script_count, program_count, denial_count, preset_count, asked_count;
};

void th_lab_new(struct nova_testhost *host);
void th_lab_free(struct lab *lab);
/* host->process of a benchmark. */
int th_lab_process(struct nova_testhost *host, const struct nova_exec *exec,
                   void (*output)(void *, uint32_t, const void *, uint64_t), void *context,
                   int32_t *status);
struct vm *th_lab_vm(struct lab *lab, nova_vm number);
int th_benchmark_create(struct nova_testhost *host);
void th_benchmark_stop(struct nova_testhost *host);
int th_record_sample(nova_run run, const struct nova_sample *sample);
int th_record_attempt(nova_run run, uint32_t status);

/* script.c; under the lock. */
/* How "vm_power.start" goes now; scripts of "vm_power" speak for it too. */
struct script th_script_take(struct lab *lab, const char *name);
const struct program *th_script_program(const struct lab *lab, const char *program);
const char *th_script_denial(const struct lab *lab, const char *capability);
/* The field as the test set it; NULL: it did not. */
const struct preset *th_script_preset(const struct lab *lab, uint32_t field);
const char *th_event_word(uint32_t kind); /* "event.ready"; NULL: no such event */
const char *th_wait_word(uint32_t kind);  /* "wait.ready" */

/* --- optimizer.c -------------------------------------------------------------------------- */

void th_view_new(struct nova_testhost *host);
void th_view_free(struct view *view);

#endif
