/* SPDX-License-Identifier: MIT */
/* A VM's knobs: two without and one with a known effect, for whoever tests tuning. */
#include "sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FACTOR "vm.sim.factor"
#define CACHE  "vm.disk.cache"
#define SHARES "vm.cpu.shares"

static const struct {
	const char *name, *doc;
} KNOBS[] = {
        {FACTOR, "number from 0.1 to 10: multiplies every latency of the VM"},
        {CACHE, "none, writeback or writethrough: no effect"},
        {SHARES, "integer from 2 to 262144: no effect"},
};
#define KNOB_COUNT (sizeof(KNOBS) / sizeof(KNOBS[0]))

static int value_of(const struct vm *vm, const char *knob, char *value, size_t room)
{
	if (strcmp(knob, FACTOR) == 0)
		snprintf(value, room, "%g", vm->factor);
	else if (strcmp(knob, CACHE) == 0)
		snprintf(value, room, "%s", vm->cache);
	else if (strcmp(knob, SHARES) == 0)
		snprintf(value, room, "%llu", (unsigned long long)vm->shares);
	else
		return NOVA_E_NOT_FOUND;
	return NOVA_DONE;
}

/* True if the value was taken. */
static int take(struct vm *vm, const char *knob, const char *value)
{
	char *end;
	double number;

	if (strcmp(knob, CACHE) == 0) {
		if (strcmp(value, "none") != 0 && strcmp(value, "writeback") != 0 &&
		    strcmp(value, "writethrough") != 0)
			return 0;
		strcpy(vm->cache, value);
		return 1;
	}
	number = strtod(value, &end);
	if (end == value || *end)
		return 0;
	if (strcmp(knob, FACTOR) == 0) {
		if (!(number >= 0.1 && number <= 10))
			return 0;
		vm->factor = number;
		return 1;
	}
	if (!(number >= 2 && number <= 262144) || strspn(value, "0123456789") != strlen(value))
		return 0;
	vm->shares = (uint64_t)number;
	return 1;
}

static int unknown(const struct sim *sim, nova_op op, const char *knob)
{
	return sim->host->errorf(op, NOVA_E_NOT_FOUND,
	                         "there is no knob %s; a simulated VM has " FACTOR ", " CACHE
	                         " and " SHARES,
	                         knob ? knob : "without a name");
}

int knob_apply(struct sim *sim, nova_op op, struct vm *vm, const char *knob, const char *value)
{
	for (size_t i = 0; i < KNOB_COUNT; i++) {
		if (!knob || strcmp(knob, KNOBS[i].name) != 0)
			continue;
		if (value && take(vm, knob, value))
			return NOVA_DONE;
		return sim->host->errorf(op, NOVA_E_INVALID, "%s: \"%s\" is not a value of it (%s)",
		                         knob, value ? value : "", KNOBS[i].doc);
	}
	return unknown(sim, op, knob);
}

/* Takes the lock and finds the VM; on failure as vm_enter. */
static struct vm *enter(struct sim *sim, nova_op op, const struct nova_ref *ref, int *status)
{
	*status = sim_can(sim, op, NOVA_CAN_KNOBS);
	return *status == NOVA_DONE ? vm_enter(sim, op, ref, 0, status) : NULL;
}

int sim_knob_list(void *self, nova_op op, const struct nova_ref *ref)
{
	struct sim *sim = self;
	char value[32];
	struct vm *vm;
	int status;

	vm = enter(sim, op, ref, &status);
	if (!vm)
		return status;
	for (size_t i = 0; i < KNOB_COUNT; i++) {
		value_of(vm, KNOBS[i].name, value, sizeof(value));
		sim->host->put_fact(op, NOVA_FIELD_KNOB, KNOBS[i].name, value);
		sim->host->put_fact(op, NOVA_FIELD_KNOB_DOC, KNOBS[i].name, KNOBS[i].doc);
	}
	pthread_mutex_unlock(&sim->lock);
	return NOVA_DONE;
}

int sim_knob_get(void *self, nova_op op, const struct nova_ref *ref, const char *knob)
{
	struct sim *sim = self;
	char value[32];
	struct vm *vm;
	int status;

	vm = enter(sim, op, ref, &status);
	if (!vm)
		return status;
	status = knob ? value_of(vm, knob, value, sizeof(value)) : NOVA_E_NOT_FOUND;
	status = status == NOVA_DONE ? sim->host->put_fact(op, NOVA_FIELD_KNOB, knob, value)
	                             : unknown(sim, op, knob);
	pthread_mutex_unlock(&sim->lock);
	return status;
}

int sim_knob_set(void *self, nova_op op, const struct nova_ref *ref, const char *knob,
                 const char *value)
{
	struct sim *sim = self;
	struct vm *vm;
	int status;

	vm = enter(sim, op, ref, &status);
	if (!vm)
		return status;
	status = knob_apply(sim, op, vm, knob, value);
	pthread_mutex_unlock(&sim->lock);
	return status;
}
