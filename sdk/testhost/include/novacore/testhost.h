/* SPDX-License-Identifier: MIT */
/*
 * A host for a test program: it stands where novacore stands, so that a plugin of any kind can be
 * unit-tested without it. Link NovacoreSDK::testhost (libnovacore_testhost.a, -pthread -lm; nothing
 * else) together with the plugin's own sources; its other symbols begin with th_.
 *
 *	const char *parameters[] = {"uri=test:", "timeout=5s", NULL};
 *	struct nova_testhost *host = nova_testhost_new(nova_plugin_entry_v1(NULL), parameters);
 *	nova_testhost_start(host);
 *	int status = nova_testhost_call(host, 1000, vm_create, "novacore-x-y-1", &shape);
 *	... nova_testhost_fact(host, NOVA_FIELD_ID, "") ...
 *	assert_int_equal(nova_testhost_complaints(host), 0);
 *	nova_testhost_free(host);
 *
 * It honours the thread model (`pump` runs on a thread of its own and never at the same time as an
 * op unless the plugin is PARALLEL), gives each op its deadline, cancels it there, and complains of
 * whatever breaks the contract: an error without a text, two done(), a result after the end, a
 * parameter that is not declared or of another type, a secret in the log or in an error, a process
 * run by a driver that may not block, a call after `destroy`. Each complaint also goes to standard
 * error, with "testhost: " before it.
 *
 * Functions may be called from any thread unless they say otherwise. Text and events that are
 * returned belong to the host and live until nova_testhost_free. Out of memory aborts.
 */
#ifndef NOVACORE_TESTHOST_H
#define NOVACORE_TESTHOST_H

#include <stddef.h>

#include <novacore/sdk.h>

#ifdef __cplusplus
extern "C" {
#endif

struct nova_testhost;

/* How long an op may take to end after it was cancelled at its deadline, ms. */
#define NOVA_TESTHOST_GRACE_MS 5000

/*
 * A host with one instance of `plugin`, nothing called yet. `parameters` are NULL-terminated
 * "name=value" texts in the configuration's notation, or NULL; they are checked against the
 * plugin's table as strictly as novacore does, and what is missing gets its default (of a
 * NOVA_PARAM_EACH the first value). NULL if one is wrong: nova_testhost_refusal() says why.
 */
struct nova_testhost *nova_testhost_new(const struct nova_plugin *plugin,
                                        const char *const *parameters);
/* Why the last nova_testhost_new of this thread returned NULL. */
const char *nova_testhost_refusal(void);
/*
 * Ends what nova_testhost_start has begun: stops pumping, calls `teardown` and `destroy`. What the
 * plugin does wrong there, or does afterwards, is in the complaints; they and all else can be read
 * until nova_testhost_free. @thread one from which no call is in flight any more
 */
void nova_testhost_stop(struct nova_testhost *host);
/* nova_testhost_stop, and removes the directories. NULL is fine. */
void nova_testhost_free(struct nova_testhost *host);

/* The table, and the instance's number: for calling a plugin by hand. */
const struct nova_host *nova_testhost_table(void);
uint64_t nova_testhost_instance(const struct nova_testhost *host);

/*
 * `probe`, and for a driver `create`, then `pump` on a thread until nova_testhost_free. Returns
 * the first failure; its text is nova_testhost_error.
 */
int nova_testhost_start(struct nova_testhost *host);
/* The driver's instance, for calling ops by hand. */
void *nova_testhost_self(const struct nova_testhost *host);
const struct nova_hypervisor *nova_testhost_ops(const struct nova_testhost *host);

/*
 * One op, begun, called and waited for: nova_testhost_call(host, 1000, vm_delete, &ref).
 * Returns NOVA_DONE, NOVA_E_*, or NOVA_E_TIMEOUT if it had not ended `timeout_ms` after its begin.
 * Other threads may have calls in flight at the same time.
 */
#define nova_testhost_call(host, timeout_ms, op_name, ...)                                         \
	nova_testhost_end((host),                                                                  \
	                  nova_testhost_ops(host)->op_name(                                        \
	                          nova_testhost_self(host),                                        \
	                          nova_testhost_begin((host), (timeout_ms)), ##__VA_ARGS__))
/*
 * The two halves of it. `begin` takes the turn that the thread model asks for; every begin needs
 * its end on the same thread, with what the op returned, right after the op has returned.
 */
nova_op nova_testhost_begin(struct nova_testhost *host, int64_t timeout_ms);
int nova_testhost_end(struct nova_testhost *host, int returned);
/* Gives up on an op in flight before its deadline; its end then returns what the driver says. */
void nova_testhost_cancel(struct nova_testhost *host, nova_op op);
/* 1 if the calling thread's last op was ended by the driver, 0 if it was abandoned after the grace.
 */
int nova_testhost_ended(struct nova_testhost *host);

/* What the calling thread's last op put (before the first one: what `create` put). */
const char *nova_testhost_error(struct nova_testhost *host); /* all texts, "; " between; or "" */
uint32_t nova_testhost_count(struct nova_testhost *host, uint32_t field);
/* NOVA_DONE or NOVA_E_NOT_FOUND. `index` counts the field's values from 0. */
int nova_testhost_i64(struct nova_testhost *host, uint32_t field, uint32_t index, int64_t *value);
int nova_testhost_f64(struct nova_testhost *host, uint32_t field, uint32_t index, double *value);
/* All chunks of the field, NUL-terminated; "" if none. `count` may be NULL. */
const char *nova_testhost_bytes(struct nova_testhost *host, uint32_t field, uint64_t *count);
/* The text under `key`, or NULL if it was not put or was put as NULL. */
const char *nova_testhost_fact(struct nova_testhost *host, uint32_t field, const char *key);
int nova_testhost_fact_at(struct nova_testhost *host, uint32_t field, uint32_t index,
                          const char **key, const char **text);
/* 1: `describe` (the calling thread's last op) said that it can. */
int nova_testhost_can(struct nova_testhost *host, const char *capability);

/* Events in the order of their arrival; index from 0. NULL beyond the last. */
size_t nova_testhost_event_count(struct nova_testhost *host);
const struct nova_event *nova_testhost_event(struct nova_testhost *host, size_t index);
/* The first event at or after `from` with this VM's name (NULL: any) and kind; waits for it; NULL
 * after `timeout_ms`. */
const struct nova_event *nova_testhost_wait(struct nova_testhost *host, size_t from,
                                            const char *name, uint32_t kind, int64_t timeout_ms);

/* How often the plugin broke the contract, and how: 0 in a good test. */
uint32_t nova_testhost_complaints(struct nova_testhost *host);
const char *nova_testhost_complaint(struct nova_testhost *host, uint32_t index);
/* 1 if a line was logged that contains `part`. */
int nova_testhost_logged(struct nova_testhost *host, const char *part);

/*
 * --- benchmarks --------------------------------------------------------------------------------
 *
 * nova_testhost_start calls `probe` and `create` with a lab of its own: as many simulated targets
 * as the plugin needs (at least one), where nothing runs. Each call takes 1 ms and succeeds; a VM
 * that was started sends RUNNING, FIRST, USERSPACE, READY and ADDRESS 1, 2, 3, 4 and 5 ms after the
 * call has returned; one that was restored RUNNING and (if it had been ready) UNREADY after 1 ms,
 * and READY after 4; one that was stopped STOPPED at the return. `exec` and host->process run
 * nothing, print nothing and exit with 0. What should go otherwise is scripted before it is asked
 * for.
 *
 *	nova_testhost_script(host, "vm_create", NOVA_E_FAILED, 0, 1);    // fails once
 *	nova_testhost_script(host, "event.ready", NOVA_E_TIMEOUT, 0, 0); // never comes
 *	nova_testhost_script(host, "vm_delete", NOVA_DONE, 2000000, 0);  // takes 2 ms each time
 *	nova_testhost_script_exec(host, "sysbench", "events per second: 12.5\n", 0);
 *	assert_int_equal(nova_testhost_replicate(host, 0, NOVA_SIDE_VM), NOVA_DONE);
 *	... nova_testhost_sample_of(host, "mine.rate", 0)->value ...
 *
 * Time is simulated, on the calling thread of setup, replicate and teardown and on fan_out's: only
 * calls of the lab let it pass, and it jumps to the next thing that happens, so no test waits and
 * each run is the same. Functions of fan_out overlap in that time as they would in the real one, in
 * threads of which one runs at a time. (Who reads the clock a thousand times without a call between
 * is taken to be waiting for it: each further reading takes 1 ms.) A deadline that is not in that
 * time, as 5000000000 for "in five seconds", is complained of.
 *
 * Further complaints: a sample of an undeclared metric, without status, OK but not finite, a second
 * one of a metric, vm and seq in one replicate, of a VM that there is not, with another side than
 * the replicate's, with times that cannot be, or outside of a replicate; a replicate that is fine
 * and records nothing; calls with a VM that is deleted or was not created; wrong structs, actions,
 * targets; a capability that is used (but "create"), and neither in `needs` nor asked for with
 * `can`; a call after NOVA_E_INTERRUPTED; a failure without text; a result that is asked for after
 * another VM's call; calls after destroy, or on threads that are not the host's.
 */

/*
 * How calls of a lab function go from now on: "vm_create", "vm_power" (or only "vm_power.start",
 * ".shutdown", ".off", ".reset", ".pause", ".resume"), "vm_delete", "vm_query" (".state", ".stats",
 * ".address"), "snapshot" (".create", ".restore", ".delete"), "exec", "migrate", "net_create",
 * "room"; or events: "event.running", ".first", ".userspace", ".ready", ".address", ".unready",
 * ".paused",
 * ".resumed", ".migrated", ".shutdown", ".stopped".
 *
 * `status` and `latency_ns` are those of the next `times` calls, 0: of all. Scripts of one name are
 * used up in their order, then the last one for all holds; one of "vm_power.start" goes before
 * those of "vm_power". latency_ns 0: as usual; for NOVA_E_TIMEOUT until the deadline. After
 * NOVA_E_INTERRUPTED every call says so until the replicate has ended.
 *
 * An event's script is used when the call returns that causes the event, and latency_ns counts from
 * there: NOVA_E_TIMEOUT: it never comes; NOVA_E_FAILED: the VM crashes instead; any other failure:
 * `wait` returns it.
 *
 * NOVA_E_INVALID: no such name, a status that is none, or not a benchmark.
 */
int nova_testhost_script(struct nova_testhost *host, const char *name, int status,
                         int64_t latency_ns, uint32_t times);
/* What every program whose argv[0] ends in `program` prints and exits with (minus a signal's number
 * if it was ended by one), in VMs and natively. The last one that fits holds. */
void nova_testhost_script_exec(struct nova_testhost *host, const char *program, const char *output,
                               int status);
/* `can` says no, because of `why`, and calls that need it fail with NOVA_E_UNSUPPORTED; without
 * "ready", "beat" and "address" their events never come. If the benchmark needs it, replicates are
 * not called. */
void nova_testhost_deny(struct nova_testhost *host, const char *capability, const char *why);
/* What calls that put this field (NOVA_FIELD_*) put from now on; unset: they do not. */
void nova_testhost_set_i64(struct nova_testhost *host, uint32_t field, int64_t value);
void nova_testhost_set_f64(struct nova_testhost *host, uint32_t field, double value);
void nova_testhost_unset(struct nova_testhost *host, uint32_t field);
/* What `beats` gives from now on, of every VM; before: nothing was received. */
void nova_testhost_set_beats(struct nova_testhost *host, const struct nova_beats *beats);

/*
 * One replicate; `setup` before the first. VMs that it leaves are deleted as novacore would.
 * Returns what setup or replicate returned, NOVA_E_UNSUPPORTED if a need is denied, NOVA_E_INVALID
 * before start, after stop, or for no NOVA_SIDE_*. nova_testhost_error has all texts of it, the
 * lab's too.
 */
int nova_testhost_replicate(struct nova_testhost *host, uint32_t index, uint32_t side);
/* How many VMs replicates have left for the host to delete. (Networks always are the host's.) */
uint32_t nova_testhost_leftovers(struct nova_testhost *host);
/* How many VMs were created, or tried to be. They have the numbers 1, 2, … in that order. */
uint32_t nova_testhost_vms(struct nova_testhost *host);
/* What `width` said after `create`; 1 if there is none. */
uint32_t nova_testhost_width(struct nova_testhost *host);
/* The simulated time, ns; of other kinds CLOCK_MONOTONIC. */
int64_t nova_testhost_now_ns(struct nova_testhost *host);
/* The calls on a VM in their order, 0: all: "vm_create vm_power.start wait.ready vm_delete". */
const char *nova_testhost_calls(struct nova_testhost *host, nova_vm vm);
/* What was to be run, in order: its arguments with blanks between. NULL beyond the last. */
const char *nova_testhost_command(struct nova_testhost *host, uint32_t index);

/* What was measured, in order. NULL beyond the last. Its text is the host's copy; `side` is never
 * 0. What was refused is not among it. */
uint32_t nova_testhost_sample_count(struct nova_testhost *host);
const struct nova_sample *nova_testhost_sample(struct nova_testhost *host, uint32_t index);
/* The `index`th sample of a metric, from 0. */
const struct nova_sample *nova_testhost_sample_of(struct nova_testhost *host, const char *metric,
                                                  uint32_t index);
/* How many attempts of that status the benchmark has counted (NOVA_SAMPLE_*). */
uint32_t nova_testhost_attempts(struct nova_testhost *host, uint32_t status);

/*
 * --- optimizers --------------------------------------------------------------------------------
 *
 * What `examine` is shown: nothing but what the test sets, before or between examinations. Values
 * are copied; the same key again replaces it. The view's `fact` and `knob` say NOVA_E_FULL, with
 * the value cut, if there is no room for all of it.
 *
 * A proposal is refused with a complaint if its struct_size is not set, its slug is not lower-case
 * letters, digits and '-' or was used already, it does not say why, has no changes, or changes a
 * knob twice or from what it is not or to what it is; if gain_low <= gain <= gain_high does not
 * hold, or the confidence is not in 0…1.
 */
void nova_testhost_set_fact(struct nova_testhost *host, const char *key, const char *value);
void nova_testhost_set_knob(struct nova_testhost *host, const char *object, const char *knob,
                            const char *value);
void nova_testhost_set_metric(struct nova_testhost *host, const char *name, double value);
/* One examination; returns as nova_testhost_call does. NOVA_E_INVALID: not an optimizer, or not
 * started. */
int nova_testhost_examine(struct nova_testhost *host, int64_t timeout_ms);
/* Of all examinations, in order. NULL beyond the last; a deep copy. */
uint32_t nova_testhost_proposal_count(struct nova_testhost *host);
const struct nova_proposal *nova_testhost_proposal(struct nova_testhost *host, uint32_t index);

/*
 * --- profiles ----------------------------------------------------------------------------------
 */

/* Calls `adapt`; its settings are nova_testhost_fact(host, NOVA_FIELD_FACT, key). Complains of a
 * setting without a name or value, of one put twice, and of anything else put.
 * NOVA_E_UNSUPPORTED: the profile has none; NOVA_E_INVALID: no profile, no workload, not started.
 */
int nova_testhost_adapt(struct nova_testhost *host, const char *workload, int64_t timeout_ms);

/* --- for a test program without a test library ------------------------------------------------ */

/* Ends the program with exit code 1, and says where and what, unless `condition` holds. */
#define NOVA_TESTHOST_EXPECT(condition)                                                            \
	((condition) ? (void)0 : nova_testhost_expected(#condition, __FILE__, __LINE__))
void nova_testhost_expected(const char *condition, const char *file, int line);

#ifdef __cplusplus
}
#endif

#endif
