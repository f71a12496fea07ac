/* SPDX-License-Identifier: MIT */
/* What the files of the simulated lab share; inside.h has the rest. */
#ifndef NOVACORE_TESTHOST_LAB_H
#define NOVACORE_TESTHOST_LAB_H

#include "inside.h"

#define MILLISECOND_NS 1000000ll
#define MEBIBYTE       1048576ll
#define FROM(state)    (1u << NOVA_STATE_##state) /* for th_in_state */

/* One call of the lab while it lasts, all of it under the lock. */
struct doing {
	struct task *task;
	struct nova_testhost *host;
	struct lab *lab;
	struct vm *vm;
	const char *word; /* "vm_power.start" */
	int64_t deadline_ns, started_ns;
};

/* --- lab.c ------------------------------------------------------------------------------- */

/* NOVA_DONE, and locked, with the deadline in force; or how the call has ended. */
int th_begin(struct doing *doing, nova_run run, const char *word, nova_vm vm, int64_t deadline_ns);
/* Unlocks; returns `status`. */
int th_go(struct doing *doing, int status);
/* Records a failure, as novacore does for each: its text stands among the replicate's errors.
 * Returns `status`. */
__attribute__((format(printf, 3, 4))) int th_fail(struct doing *doing, int status,
                                                  const char *format, ...);
/* The same for what breaks the contract, which is complained of; returns NOVA_E_INVALID. */
__attribute__((format(printf, 2, 3))) int th_broken(struct doing *doing, const char *format, ...);
/* Checks the struct_size of what the benchmark hands over. */
int th_sized(struct doing *doing, const char *what, uint32_t is, size_t least);
int th_find(struct doing *doing, nova_vm number);
/* NOVA_E_UNSUPPORTED if the capability is denied; complains if it was never asked for. */
int th_able(struct doing *doing, const char *capability);
/* Lets the call pass as it is scripted, at most until its deadline. What the last one put is gone
 * from here on. */
int th_pass(struct doing *doing);
/* A result, or in its place what the test has set; and what it has set of fields besides. */
void th_put_i64(struct doing *doing, uint32_t field, int64_t value);
void th_put_fact(struct doing *doing, uint32_t field, const char *key, const char *text);
void th_put_presets(struct doing *doing, uint32_t from, uint32_t to);

/* --- vm.c -------------------------------------------------------------------------------- */

int th_is_ready(const struct vm *vm, int64_t now_ns);
uint32_t th_state_of(const struct vm *vm, int64_t now_ns);
/* NOVA_E_BUSY unless the VM is in one of the states, FROM(OFF) | … */
int th_in_state(struct doing *doing, uint32_t states);

/* --- functions of struct nova_lab ---------------------------------------------------------- */

int th_lab_vm_create(nova_run run, uint32_t target, const struct nova_shape *shape,
                     int64_t deadline_ns, nova_vm *out);
int th_lab_vm_power(nova_run run, nova_vm number, uint32_t action, int64_t deadline_ns);
int th_lab_vm_delete(nova_run run, nova_vm number, int64_t deadline_ns);
int th_lab_vm_query(nova_run run, nova_vm number, uint32_t what, int64_t deadline_ns);
int th_lab_snapshot(nova_run run, nova_vm number, const char *name, uint32_t action,
                    int64_t deadline_ns);
int th_lab_exec(nova_run run, nova_vm number, const struct nova_exec *exec, int64_t deadline_ns);
int th_lab_wait(nova_run run, nova_vm number, uint32_t kind, int64_t deadline_ns,
                struct nova_event *event);
int th_lab_migrate(nova_run run, nova_vm number, uint32_t target, const struct nova_migrate *how,
                   int64_t deadline_ns);

#endif
