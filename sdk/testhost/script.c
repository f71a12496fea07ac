/* SPDX-License-Identifier: MIT */
/* What a test has said of how the simulated targets go: all under the lock but the public ones. */
#include "inside.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const CALLS[] = {
        "vm_create",         "vm_power",        "vm_power.start",
        "vm_power.shutdown", "vm_power.off",    "vm_power.reset",
        "vm_power.pause",    "vm_power.resume", "vm_delete",
        "vm_query",          "vm_query.state",  "vm_query.stats",
        "vm_query.address",  "snapshot",        "snapshot.create",
        "snapshot.restore",  "snapshot.delete", "exec",
        "migrate",           "net_create",      "room",
};

#define EVENT(name, word)                                                                          \
	{                                                                                          \
		NOVA_EVENT_##name, "event." word, "wait." word                                     \
	}
static const struct {
	uint32_t kind;
	const char *event, *wait;
} EVENTS[] = {
        EVENT(RUNNING, "running"),   EVENT(FIRST, "first"),     EVENT(USERSPACE, "userspace"),
        EVENT(READY, "ready"),       EVENT(ADDRESS, "address"), EVENT(UNREADY, "unready"),
        EVENT(PAUSED, "paused"),     EVENT(RESUMED, "resumed"), EVENT(MIGRATED, "migrated"),
        EVENT(SHUTDOWN, "shutdown"), EVENT(STOPPED, "stopped"), EVENT(CRASHED, "crashed"),
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char *th_event_word(uint32_t kind)
{
	for (size_t i = 0; i < COUNT(EVENTS); i++)
		if (EVENTS[i].kind == kind)
			return EVENTS[i].event;
	return NULL;
}

const char *th_wait_word(uint32_t kind)
{
	for (size_t i = 0; i < COUNT(EVENTS); i++)
		if (EVENTS[i].kind == kind)
			return EVENTS[i].wait;
	return NULL;
}

static int known(const char *name)
{
	for (size_t i = 0; i < COUNT(CALLS); i++)
		if (strcmp(CALLS[i], name) == 0)
			return 1;
	for (size_t i = 0; i < COUNT(EVENTS); i++)
		if (strcmp(EVENTS[i].event, name) == 0)
			return 1;
	return 0;
}

/* --- calls and events --------------------------------------------------------------------- */

int nova_testhost_script(struct nova_testhost *host, const char *name, int status,
                         int64_t latency_ns, uint32_t times)
{
	struct lab *lab = host->lab;
	struct script *script;

	if (!lab || !name || !known(name) || status > 0 || status < NOVA_E_UNKNOWN ||
	    latency_ns < 0)
		return NOVA_E_INVALID;
	pthread_mutex_lock(&th_lock);
	lab->scripts = th_grow(lab->scripts, lab->script_count, sizeof(*lab->scripts));
	script = &lab->scripts[lab->script_count++];
	*script = (struct script){.name = th_copy(name),
	                          .status = status,
	                          .forever = times == 0,
	                          .latency_ns = latency_ns,
	                          .left = times};
	pthread_mutex_unlock(&th_lock);
	return NOVA_DONE;
}

/* Counted scripts in their order, then the last one for all. */
static struct script *pick(struct lab *lab, const char *name, size_t length)
{
	struct script *found = NULL;

	for (uint32_t i = 0; i < lab->script_count; i++) {
		struct script *script = &lab->scripts[i];

		if (strlen(script->name) != length || strncmp(script->name, name, length) != 0)
			continue;
		if (script->left > 0)
			return script;
		if (script->forever)
			found = script;
	}
	return found;
}

struct script th_script_take(struct lab *lab, const char *name)
{
	struct script *script = pick(lab, name, strlen(name));

	if (!script && strncmp(name, "event.", 6) != 0)
		script = pick(lab, name, strcspn(name, "."));
	if (!script)
		return (struct script){.status = NOVA_DONE};
	if (script->left > 0)
		script->left--;
	return *script;
}

/* --- programs ----------------------------------------------------------------------------- */

void nova_testhost_script_exec(struct nova_testhost *host, const char *program, const char *output,
                               int status)
{
	struct lab *lab = host->lab;

	pthread_mutex_lock(&th_lock);
	if (!lab || !program || !*program) {
		th_complain(host, "script_exec: not a benchmark, or no program");
	} else {
		lab->programs = th_grow(lab->programs, lab->program_count, sizeof(*lab->programs));
		lab->programs[lab->program_count++] =
		        (struct program){.name = th_copy(program),
		                         .output = th_copy(output ? output : ""),
		                         .status = status};
	}
	pthread_mutex_unlock(&th_lock);
}

/* The last one that fits. */
const struct program *th_script_program(const struct lab *lab, const char *program)
{
	size_t length = strlen(program);

	for (uint32_t i = lab->program_count; i-- > 0;) {
		size_t end = strlen(lab->programs[i].name);

		if (end <= length && strcmp(program + length - end, lab->programs[i].name) == 0)
			return &lab->programs[i];
	}
	return NULL;
}

/* --- capabilities ------------------------------------------------------------------------- */

void nova_testhost_deny(struct nova_testhost *host, const char *capability, const char *why)
{
	struct lab *lab = host->lab;

	pthread_mutex_lock(&th_lock);
	if (!lab || !capability) {
		th_complain(host, "deny: not a benchmark, or no capability");
	} else {
		lab->denials = th_grow(lab->denials, lab->denial_count, sizeof(*lab->denials));
		lab->denials[lab->denial_count++] =
		        (struct denial){.capability = th_copy(capability),
		                        .why = th_copy(why ? why : "it is denied")};
	}
	pthread_mutex_unlock(&th_lock);
}

const char *th_script_denial(const struct lab *lab, const char *capability)
{
	for (uint32_t i = lab->denial_count; i-- > 0;)
		if (strcmp(lab->denials[i].capability, capability) == 0)
			return lab->denials[i].why;
	return NULL;
}

/* --- fields ------------------------------------------------------------------------------- */

static void preset(struct nova_testhost *host, struct preset given)
{
	struct lab *lab = host->lab;
	uint32_t i = 0;

	pthread_mutex_lock(&th_lock);
	if (!lab || given.field == 0) {
		th_complain(host, "set of field %u: not a benchmark, or no field", given.field);
	} else {
		while (i < lab->preset_count && lab->presets[i].field != given.field)
			i++;
		if (i == lab->preset_count) {
			lab->presets =
			        th_grow(lab->presets, lab->preset_count, sizeof(*lab->presets));
			lab->preset_count++;
		}
		lab->presets[i] = given;
	}
	pthread_mutex_unlock(&th_lock);
}

void nova_testhost_set_i64(struct nova_testhost *host, uint32_t field, int64_t value)
{
	preset(host, (struct preset){.field = field, .type = 'i', .i64 = value});
}

void nova_testhost_set_f64(struct nova_testhost *host, uint32_t field, double value)
{
	preset(host, (struct preset){.field = field, .type = 'f', .f64 = value});
}

void nova_testhost_unset(struct nova_testhost *host, uint32_t field)
{
	preset(host, (struct preset){.field = field});
}

void nova_testhost_set_beats(struct nova_testhost *host, const struct nova_beats *beats)
{
	if (!host->lab)
		return;
	pthread_mutex_lock(&th_lock);
	host->lab->beats = *beats;
	pthread_mutex_unlock(&th_lock);
}

const struct preset *th_script_preset(const struct lab *lab, uint32_t field)
{
	for (uint32_t i = 0; i < lab->preset_count; i++)
		if (lab->presets[i].field == field)
			return &lab->presets[i];
	return NULL;
}
