/* SPDX-License-Identifier: MIT */
/*
 * Live migration between two targets: a fresh VM with a load on its memory goes there, back, or
 * both. What the hypervisor reports stands beside what was seen from outside. This file:
 * parameters, and a VM's life around its trips.
 */
#include "migration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THERE 1u /* targets by number */
#define HERE  0u

/* --- metrics ------------------------------------------------------------------------------ */

#define METRIC(variable, name_, unit_, better_, doc_)                                              \
	const struct nova_metric variable = {.struct_size = sizeof(variable),                      \
	                                     .unit = NOVA_UNIT_##unit_,                            \
	                                     .better = NOVA_BETTER_##better_,                      \
	                                     .revision = 1,                                        \
	                                     .name = "migration." name_,                           \
	                                     .doc = (doc_)}

METRIC(DURATION, "duration", SECOND, LOWER,
       "From the call that migrates the running VM to its return");
METRIC(REPORTED, "downtime.reported", SECOND, LOWER,
       "How long the VM stood still, as the hypervisor reports it");
METRIC(OBSERVED, "stun.observed", SECOND, LOWER,
       "From the last heartbeat of the guest at the source to the first one at the destination, as "
       "this host received them");
METRIC(FLOOR, "stun.floor", SECOND, LOWER,
       "The longest time without a heartbeat in migration.window before the migration: a stun "
       "below "
       "it cannot be told from none");
METRIC(EXCESS, "stun.excess", SECOND, LOWER, "stun.observed less downtime.reported");
METRIC(MOVED, "moved", BYTE, LOWER, "Memory that was sent, as the hypervisor reports it");
METRIC(ITERATIONS, "iterations", ONE, LOWER,
       "Passes over the memory, as the hypervisor reports them");
METRIC(DIRTY, "dirty_rate", BYTE_PER_SECOND, LOWER,
       "How fast the guest wrote to memory in the last pass, as the hypervisor reports it");
METRIC(RATE, "rate", BYTE_PER_SECOND, HIGHER,
       "Memory sent per second, as the hypervisor reports it, else moved / duration");
METRIC(SETUP, "setup", SECOND, LOWER,
       "Before the first byte of memory was sent, as the hypervisor reports it");
METRIC(THROTTLE, "throttle", ONE, LOWER,
       "The largest share of the guest's CPU time that auto-converge took away");
METRIC(WORK_LOST, "work.lost", ONE, LOWER,
       "1 less the load's progress per second during the migration over that before it");
METRIC(BLACKOUT, "blackout.observed", SECOND, LOWER,
       "The longest time between two answers of the VM to another one on its network, from before "
       "the migration until after it");
METRIC(QUIET, "blackout.floor", SECOND, LOWER,
       "The same in migration.window before the migration: a blackout below it cannot be told "
       "from none");
METRIC(TO_RAW, "conversion.raw", SECOND, LOWER,
       "Offline, not live: conversion of the guest's qcow2 disk to raw by qemu-img");
METRIC(TO_VMDK, "conversion.vmdk", SECOND, LOWER,
       "Offline, not live: conversion of the guest's qcow2 disk to vmdk by qemu-img");
METRIC(TO_VHDX, "conversion.vhdx", SECOND, LOWER,
       "Offline, not live: conversion of the guest's qcow2 disk to vhdx by qemu-img");

static const struct nova_metric *const METRICS[] = {
        &DURATION, &REPORTED, &OBSERVED,  &FLOOR,    &EXCESS, &MOVED,  &ITERATIONS, &DIRTY,   &RATE,
        &SETUP,    &THROTTLE, &WORK_LOST, &BLACKOUT, &QUIET,  &TO_RAW, &TO_VMDK,    &TO_VHDX, NULL};

/* --- parameters --------------------------------------------------------------------------- */

#define PARAMETER(variable, name_, type_, fallback_, doc_, ...)                                    \
	static const struct nova_parameter variable = {.struct_size = sizeof(variable),            \
	                                               .type = NOVA_PARAM_##type_,                 \
	                                               .name = (name_),                            \
	                                               .fallback = (fallback_),                    \
	                                               .doc = (doc_),                              \
	                                               ##__VA_ARGS__}

static const char *const DIRECTIONS[] = {"there", "back", "both", NULL};
static const char *const MODES[] = {"precopy",  "auto-converge", "compress",
                                    "parallel", "post-copy",     NULL};

PARAMETER(P_MEMORY, "memory", SIZE, "1GiB", "Memory of the VM, one step for each value",
          .flags = NOVA_PARAM_LIST | NOVA_PARAM_EACH, .minimum = "128MiB", .maximum = "1TiB");
PARAMETER(P_LOAD, "load", RATE, "32MB/s",
          "How fast the guest writes to its memory (novacore's appliance only); 0: not at all",
          .minimum = "0B/s", .maximum = "1TB/s");
PARAMETER(P_WORKING_SET, "working_set", SIZE, "64MiB",
          "How much memory it writes to, round and round; at most half of the VM's",
          .minimum = "4KiB", .maximum = "512GiB");
PARAMETER(P_MODE, "mode", CHOICE, "precopy", "How memory is sent; what a target cannot is skipped",
          .choices = MODES);
PARAMETER(P_CHANNELS, "channels", INTEGER, "2", "Connections of mode=parallel", .minimum = "2",
          .maximum = "64");
PARAMETER(P_DIRECTION, "direction", CHOICE, "both",
          "From the first target to the second (there), the other way (back), or there and back",
          .choices = DIRECTIONS);
PARAMETER(P_REPEAT, "repeat", INTEGER, "1", "How often each VM makes its way", .minimum = "1",
          .maximum = "1000");
PARAMETER(P_BANDWIDTH, "bandwidth", RATE, NULL,
          "The most that is sent per second; default: no limit", .minimum = "1MB/s");
PARAMETER(P_DOWNTIME, "downtime", DURATION, NULL,
          "The downtime to aim at; default: the hypervisor's", .minimum = "1ms", .maximum = "600s");
PARAMETER(P_TIMEOUT, "timeout", DURATION, "600s", "Deadline of one migration or conversion",
          .minimum = "100ms", .maximum = "1d");
PARAMETER(P_BEAT, "beat", DURATION, "50us",
          "Distance of the guest's heartbeats, the resolution of the stun", .minimum = "10us",
          .maximum = "1s");
PARAMETER(P_WINDOW, "window", DURATION, "3s",
          "How long the heartbeat is observed before a migration, for stun.floor",
          .minimum = "10ms", .maximum = "600s");
PARAMETER(P_BLACKOUT, "blackout", BOOLEAN, "true",
          "Also ask the VM over a network all the while, from a second one that stays, where the "
          "targets' networks reach both");
PARAMETER(P_PROBE, "probe_interval", DURATION, "2ms",
          "Time from one question to the next, the resolution of the blackout", .minimum = "100us",
          .maximum = "1s");
PARAMETER(P_CONVERSION, "conversion", BOOLEAN, "false",
          "Also convert the guest's disk for other hypervisors, offline; done anyway between two "
          "kinds of hypervisor, which cannot migrate live");
PARAMETER(P_IMAGE, "guest_image", PATH, NULL,
          "Image whose disk is converted; default: the one that VMs boot from");

static const struct nova_parameter *const PARAMETERS[] = {
        &P_MEMORY,   &P_LOAD,      &P_WORKING_SET, &P_MODE,    &P_CHANNELS, &P_DIRECTION,
        &P_REPEAT,   &P_BANDWIDTH, &P_DOWNTIME,    &P_TIMEOUT, &P_BEAT,     &P_WINDOW,
        &P_BLACKOUT, &P_PROBE,     &P_CONVERSION,  &P_IMAGE,   NULL};

/* --- small things that all files use -------------------------------------------------------- */

void say(struct migration *self, uint32_t severity, const char *text)
{
	self->host->log(self->run, severity, text);
}

int ends_the_run(int status)
{
	return status == NOVA_E_INTERRUPTED || status == NOVA_E_REFUSED;
}

uint32_t sample_status(int status)
{
	return status == NOVA_DONE        ? NOVA_SAMPLE_OK
	       : status == NOVA_E_TIMEOUT ? NOVA_SAMPLE_TIMED_OUT
	                                  : NOVA_SAMPLE_FAILED;
}

/* An event that does not come, unless the VM stops: a sleep that an interruption ends. */
int let_pass(struct traveller *traveller, int64_t ns)
{
	struct migration *self = traveller->self;
	int status = self->lab->wait(self->run, traveller->vm, NOVA_EVENT_SHUTDOWN,
	                             self->host->now_ns() + ns, NULL);

	return status == NOVA_E_TIMEOUT ? NOVA_DONE : status == NOVA_DONE ? NOVA_E_FAILED : status;
}

int put_sample(struct traveller *traveller, const struct nova_sample *sample)
{
	struct nova_sample whole = *sample;
	int status;

	whole.vm = traveller->vm;
	whole.seq = traveller->trips;
	status = traveller->self->lab->sample(traveller->self->run, &whole);
	if (status != NOVA_DONE)
		traveller->stop = status;
	return status;
}

/* --- a VM's life ---------------------------------------------------------------------------- */

/* Creates, starts, and waits until it can be worked with. */
static int set_out(struct traveller *traveller)
{
	struct migration *self = traveller->self;
	struct nova_shape shape = {.struct_size = sizeof(shape), .memory_bytes = self->memory};
	char arguments[192];
	int length = snprintf(arguments, sizeof(arguments), "novacore.beat=%lld",
	                      (long long)(self->beat_ns / 1000));
	int status;

	if (self->load)
		length += snprintf(arguments + length, sizeof(arguments) - (size_t)length,
		                   " novacore.dirty=%llu,%llu", (unsigned long long)self->load,
		                   (unsigned long long)self->working_set);
	shape.arguments = arguments;
	status = make_network(traveller, &shape, arguments + length,
	                      sizeof(arguments) - (size_t)length);
	if (status != NOVA_DONE)
		return status;
	status = self->lab->vm_create(self->run, traveller->at, &shape, 0, &traveller->vm);
	if (status == NOVA_DONE)
		status = self->lab->vm_power(self->run, traveller->vm, NOVA_POWER_START, 0);
	if (status == NOVA_DONE)
		status = self->lab->wait(self->run, traveller->vm,
		                         self->ready ? NOVA_EVENT_READY : NOVA_EVENT_RUNNING, 0,
		                         NULL);
	return status;
}

/* A VM that never got so far has failed to migrate, too. */
static int never_left(struct traveller *traveller, int status, const char *why)
{
	struct migration *self = traveller->self;
	const struct nova_sample sample = {.struct_size = sizeof(sample),
	                                   .status = sample_status(status),
	                                   .metric = DURATION.name,
	                                   .why = why};

	if (ends_the_run(status))
		return status;
	put_sample(traveller, &sample);
	self->lab->attempt(self->run, sample_status(status));
	return traveller->stop;
}

/* Between two kinds of hypervisor there is no live migration. */
static void say_not_live(struct migration *self)
{
	if (!self->said_not_live)
		say(self, NOVA_SAY_WARNING,
		    "there is no live migration between these two targets: the disk's offline "
		    "conversion is measured instead");
	self->said_not_live = 1;
}

static int go_all_ways(struct traveller *traveller)
{
	const struct migration *self = traveller->self;
	int64_t trips = self->repeat * (self->direction == DIRECTION_BOTH ? 2 : 1);
	int status = NOVA_DONE;

	for (int64_t i = 0; i < trips && status == NOVA_DONE; i++) {
		uint32_t target = traveller->at == HERE ? THERE : HERE;

		/* One way again: the way back is only travelled, and not measured. */
		if (i > 0 && self->direction != DIRECTION_BOTH) {
			status = self->lab->migrate(self->run, traveller->vm, target, NULL,
			                            self->host->now_ns() + self->timeout_ns);
			if (status != NOVA_DONE)
				break;
			traveller->at = target;
			target = target == HERE ? THERE : HERE;
		}
		status = travel(traveller, target);
	}
	return status;
}

static int replicate(void *context, nova_run run, uint32_t index, uint32_t side)
{
	struct migration *self = context;
	struct traveller traveller = {.self = self,
	                              .at = self->direction == DIRECTION_BACK ? THERE : HERE};
	uint32_t failed = 0;
	int status, otherwise;

	(void)run;
	(void)index;
	(void)side;
	status = set_out(&traveller);
	if (status != NOVA_DONE)
		return never_left(&traveller, status,
		                  "the VM that was to be migrated did not become ready");
	status = await_load(&traveller);
	if (status == NOVA_E_UNSUPPORTED) /* as with every other VM of this image */
		return status;
	if (status != NOVA_DONE)
		return never_left(&traveller, status, "the load on its memory did not start");
	status = call_witness(&traveller);
	if (status != NOVA_DONE)
		return status;
	status = go_all_ways(&traveller);
	otherwise = status == NOVA_E_UNSUPPORTED;
	if (otherwise) {
		say_not_live(self);
		status = NOVA_DONE;
	} else if (!ends_the_run(status)) { /* a failed migration is a sample */
		status = traveller.stop;
	}
	if (status == NOVA_DONE && (otherwise || self->conversion))
		status = convert(self, &failed);
	if (status == NOVA_DONE && otherwise) /* it is all that there is */
		status =
		        self->lab->attempt(self->run, failed ? NOVA_SAMPLE_FAILED : NOVA_SAMPLE_OK);
	return status;
}

/* --- the benchmark -------------------------------------------------------------------------- */

static int64_t whole(const struct migration *self, const char *name)
{
	int64_t value = 0;

	return self->host->param_i64(self->run, name, 0, &value) == NOVA_DONE ? value : 0;
}

static uint64_t rate(const struct migration *self, const char *name)
{
	double value = 0;

	return self->host->param_f64(self->run, name, 0, &value) == NOVA_DONE ? (uint64_t)value : 0;
}

static int choice_of(const struct migration *self, const char *name, const char *const *choices)
{
	const char *text = self->host->param_text(self->run, name, 0);
	int at = 0;

	while (text && choices[at] && strcmp(choices[at], text) != 0)
		at++;
	return text && choices[at] ? at : 0;
}

static void take_mode(struct migration *self)
{
	static const uint32_t flags[] = {0, NOVA_MIGRATE_AUTO_CONVERGE, NOVA_MIGRATE_COMPRESS, 0,
	                                 NOVA_MIGRATE_POST_COPY};
	int mode = choice_of(self, "mode", MODES);

	self->flags = flags[mode];
	if (strcmp(MODES[mode], "parallel") == 0)
		self->channels = (uint32_t)whole(self, "channels");
}

static int create(const struct nova_host *host, const struct nova_lab *lab, nova_run run,
                  void **out)
{
	struct migration *self = calloc(1, sizeof(*self));
	uint64_t most;

	if (!self)
		return host->error(run, NOVA_E_MEMORY, "out of memory");
	self->host = host;
	self->lab = lab;
	self->run = run;
	self->memory = (uint64_t)whole(self, "memory");
	self->load = rate(self, "load");
	self->working_set = (uint64_t)whole(self, "working_set");
	self->bandwidth = rate(self, "bandwidth");
	self->downtime_ns = whole(self, "downtime");
	self->timeout_ns = whole(self, "timeout");
	self->beat_ns = whole(self, "beat");
	self->window_ns = whole(self, "window");
	self->probe_ns = whole(self, "probe_interval");
	self->blackout = whole(self, "blackout") != 0;
	self->repeat = whole(self, "repeat");
	self->conversion = whole(self, "conversion") != 0;
	self->direction = (enum direction)choice_of(self, "direction", DIRECTIONS);
	take_mode(self);
	most = self->memory / 2;
	if (self->load && self->working_set > most) {
		host->errorf(run, NOVA_E_INVALID,
		             "migration.working_set is %llu MiB, more than half of the VM's "
		             "migration.memory, %llu MiB / 2 = %llu MiB",
		             (unsigned long long)(self->working_set >> 20),
		             (unsigned long long)(self->memory >> 20),
		             (unsigned long long)(most >> 20));
		free(self);
		return NOVA_E_INVALID;
	}
	*out = self;
	return NOVA_DONE;
}

/* What both targets must be able to do for the mode; NULL: nothing more. */
static const char *wanted_of(const struct migration *self)
{
	return self->flags & NOVA_MIGRATE_AUTO_CONVERGE ? NOVA_CAN_CONVERGE
	       : self->flags & NOVA_MIGRATE_COMPRESS    ? NOVA_CAN_COMPRESS
	       : self->flags & NOVA_MIGRATE_POST_COPY   ? NOVA_CAN_POST_COPY
	       : self->channels > 1                     ? NOVA_CAN_PARALLEL
	                                                : NULL;
}

static int both_can(struct migration *self, const char *capability, char *why, uint32_t room)
{
	return self->lab->can(self->run, HERE, capability, why, room) &&
	       self->lab->can(self->run, THERE, capability, why, room);
}

/* Whether a network can be there for both; why not is said, once. */
static void look_for_network(struct migration *self)
{
	static const char *const needs[] = {NOVA_CAN_NETWORK, NOVA_CAN_ROAM, NOVA_CAN_EXEC,
	                                    NOVA_CAN_READY, NULL};
	char why[256] = "", text[WHY_BYTES];

	for (int i = 0; needs[i] && self->blackout; i++)
		if (!both_can(self, needs[i], why, sizeof(why))) {
			snprintf(text, sizeof(text), "no migration.blackout: %.250s", why);
			say(self, NOVA_SAY_INFO, text);
			self->blackout = 0;
		}
}

static int setup(void *context, nova_run run)
{
	struct migration *self = context;
	const char *wanted = wanted_of(self);
	char why[256] = "", text[WHY_BYTES];

	if (wanted && !both_can(self, wanted, why, sizeof(why)))
		return self->host->errorf(run, NOVA_E_UNSUPPORTED,
		                          "the targets cannot migrate by %s: %s", wanted, why);
	self->ready = both_can(self, NOVA_CAN_READY, NULL, 0);
	self->exec = both_can(self, NOVA_CAN_EXEC, NULL, 0);
	look_for_network(self);
	self->beat = both_can(self, NOVA_CAN_BEAT, why, sizeof(why));
	if (self->beat)
		return NOVA_DONE;
	snprintf(text, sizeof(text), "no migration.stun: the targets have no heartbeat: %.250s",
	         why);
	say(self, NOVA_SAY_INFO, text);
	return NOVA_DONE;
}

static void destroy(void *self)
{
	free(self);
}

static const char *const NEEDS[] = {NOVA_CAN_CREATE, NOVA_CAN_START, NOVA_CAN_MIGRATE, NULL};

static const struct nova_benchmark BENCHMARK = {
        .struct_size = sizeof(BENCHMARK),
        .targets_min = 2,
        .targets_max = 2,
        .needs = NEEDS,
        .metrics = METRICS,
        .create = create,
        .setup = setup,
        .replicate = replicate,
        .destroy = destroy,
};

static const struct nova_plugin MIGRATION = {
        .struct_size = sizeof(MIGRATION),
        .kind = NOVA_KIND_BENCHMARK,
        .thread_model = NOVA_THREADS_PARALLEL,
        .name = "migration",
        .version = "1",
        .summary =
                "Live migration between two targets: reported downtime and observed stun side by "
                "side",
        .license = "MIT",
        .parameters = PARAMETERS,
        .ops = &BENCHMARK,
};

NOVA_PLUGIN(NOVA_KIND_BENCHMARK, MIGRATION)
