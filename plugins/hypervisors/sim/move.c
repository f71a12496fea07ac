/* SPDX-License-Identifier: MIT */
/*
 * Migration between two instances in one process, and the twin that is the second one. Locks: the
 * list of instances first, then one instance's lock at a time.
 */
#include "sim.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t instances_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sim *instances;

void sim_register(struct sim *sim)
{
	pthread_mutex_lock(&instances_lock);
	sim->next = instances;
	instances = sim;
	pthread_mutex_unlock(&instances_lock);
}

void sim_unregister(struct sim *sim)
{
	struct sim **at = &instances;

	pthread_mutex_lock(&instances_lock);
	while (*at != sim)
		at = &(*at)->next;
	*at = sim->next;
	pthread_mutex_unlock(&instances_lock);
}

/* "sim/INSTANCE/NAME" */
int sim_migrate_prepare(void *destination, nova_op op, const struct nova_ref *ref,
                        const struct nova_shape *shape)
{
	struct sim *sim = destination;
	char ticket[NAME_MAX_BYTES + 40];
	struct vm *vm;
	int status = sim_can(sim, op, NOVA_CAN_MIGRATE);

	if (status != NOVA_DONE)
		return status;
	if (!ref || !ref->name)
		return sim->host->error(op, NOVA_E_INVALID, "no VM to prepare for");
	pthread_mutex_lock(&sim->lock);
	vm = vm_add(sim, op, ref->name, shape, &status);
	if (vm) { /* a place is kept: invisible until the VM arrives */
		snprintf(ticket, sizeof(ticket), "sim/%" PRIu64 "/%s", sim->instance, ref->name);
		status = sim->host->put_fact(op, NOVA_FIELD_TICKET, "", ticket);
	}
	pthread_mutex_unlock(&sim->lock);
	return status;
}

/* The VM takes the place kept for it, with its own past. Owns `vm` if it returns NOVA_DONE. */
static int arrive(const char *ticket, struct vm *vm, int64_t t_ns)
{
	uint64_t instance;
	struct vm *kept;
	struct sim *sim;
	int status = NOVA_E_NOT_FOUND;

	if (sscanf(ticket, "sim/%" SCNu64 "/", &instance) != 1)
		return status;
	pthread_mutex_lock(&instances_lock);
	for (sim = instances; sim && sim->instance != instance; sim = sim->next)
		;
	if (sim) {
		pthread_mutex_lock(&sim->lock);
		kept = vm_find(sim, vm->name);
		if (kept && !kept->exists && !kept->busy) {
			vm_unlink(sim, kept);
			vm_free(kept);
			vm->life = ++sim->counter;
			vm_link(sim, vm);
			event_send(sim, vm->name, NOVA_EVENT_MIGRATED, t_ns);
			status = NOVA_DONE;
		}
		pthread_mutex_unlock(&sim->lock);
	}
	pthread_mutex_unlock(&instances_lock);
	return status;
}

/* What a hypervisor would report: a model, in which a quarter of the memory is worth moving. */
static void report(struct sim *sim, const struct task *task, uint64_t memory_bytes)
{
	const struct nova_host *host = sim->host;
	double total_ns = (double)(task->due_ns - task->start_ns);
	double moved = (double)memory_bytes / 4;
	double downtime_ns = total_ns / 50;

	if (task->downtime_limit_ns > 0 && downtime_ns > task->downtime_limit_ns)
		downtime_ns = task->downtime_limit_ns;
	host->put_i64(task->op, NOVA_FIELD_DURATION_NS, (int64_t)total_ns);
	host->put_i64(task->op, NOVA_FIELD_DOWNTIME_NS, (int64_t)downtime_ns);
	host->put_i64(task->op, NOVA_FIELD_MOVED_BYTES, (int64_t)moved);
	host->put_i64(task->op, NOVA_FIELD_ITERATIONS, 3);
	host->put_f64(task->op, NOVA_FIELD_DIRTY_PER_S,
	              total_ns > 0 ? moved / 10 / (total_ns / 1e9) : 0);
}

static int finish_migrate(struct sim *sim, struct task *task, struct vm *vm)
{
	uint64_t memory_bytes = vm->memory_bytes, life = vm->life;
	int status;

	/* It belongs to neither side while the locks change hands. */
	vm_unlink(sim, vm);
	pthread_mutex_unlock(&sim->lock);
	status = arrive(task->text, vm, task->due_ns);
	pthread_mutex_lock(&sim->lock);
	if (status == NOVA_DONE) {
		report(sim, task, memory_bytes);
		return status;
	}
	vm->life = life;
	vm_link(sim, vm);
	return sim->host->errorf(task->op, status,
	                         "cannot migrate VM %s: its destination (%s) does not await it",
	                         vm->name, task->text);
}

int sim_migrate(void *source, nova_op op, const struct nova_ref *ref,
                const struct nova_migrate *how)
{
	struct sim *sim = source;
	const struct nova_host *host = sim->host;
	struct task *task;
	struct vm *vm;
	int status = sim_can(sim, op, NOVA_CAN_MIGRATE);

	op_begins(sim);
	if (status != NOVA_DONE)
		return status;
	if (!how || !how->ticket)
		return host->error(op, NOVA_E_INVALID,
		                   "a migration needs its destination's ticket");
	vm = vm_enter(sim, op, ref, 1, &status);
	if (!vm)
		return status;
	if (vm->state != NOVA_STATE_RUNNING) {
		status = host->errorf(op, NOVA_E_BUSY, "cannot migrate VM %s: it does not run",
		                      vm->name);
		pthread_mutex_unlock(&sim->lock);
		return status;
	}
	task = task_new(op, MIGRATE, vm->name);
	if (!task || !(task->text = strdup(how->ticket))) {
		pthread_mutex_unlock(&sim->lock);
		if (task)
			task_free(task);
		return host->error(op, NOVA_E_MEMORY, "out of memory");
	}
	task->exclusive = 1;
	task->downtime_limit_ns = (double)how->downtime_ns;
	task->finish = finish_migrate;
	return task_run(sim, task, vm);
}

int sim_migrate_finish(void *destination, nova_op op, const struct nova_ref *ref,
                       const char *ticket, int32_t outcome)
{
	struct sim *sim = destination;
	const struct nova_host *host = sim->host;
	struct vm *vm;
	int status = NOVA_DONE;

	(void)ticket;
	if (!ref || !ref->name)
		return host->error(op, NOVA_E_INVALID, "no VM to finish with");
	pthread_mutex_lock(&sim->lock);
	vm = vm_find(sim, ref->name);
	if (outcome == NOVA_MIGRATED) {
		status = vm && vm->exists ? host->put_fact(op, NOVA_FIELD_ID, "", vm->id)
		                          : host->errorf(op, NOVA_E_NOT_FOUND,
		                                         "VM %s did not arrive", ref->name);
	} else if (vm && !vm->exists && !vm->busy) {
		vm_unlink(sim, vm);
		vm_free(vm);
	}
	pthread_mutex_unlock(&sim->lock);
	return status;
}

int sim_twin(void *self, nova_op op)
{
	struct sim *sim = self;
	int status = sim_can(sim, op, NOVA_CAN_TWIN);

	return status == NOVA_DONE ? sim->host->put_fact(op, NOVA_FIELD_URI, "", "sim:twin")
	                           : status;
}
