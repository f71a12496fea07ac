/* SPDX-License-Identifier: MIT */
/*
 * All that one recording samples by: which events the lanes need, and what stands in for those that
 * this kernel or user does not have. The first one carries the records of maps and names for all.
 */
#include "core/profiler/record.h"

#include <string.h>
#include <unistd.h>

static void add_lane(struct samplers *samplers, enum lane_kind kind)
{
	samplers->lanes[samplers->lane_count++] = kind;
}

void samplers_miss(struct samplers *samplers, const char *what, const char *why)
{
	if (!samplers->missing)
		samplers->missing = json_array();
	json_array_append_new(samplers->missing, json_pack("{ss, ss}", "what", what, "why", why));
}

static int open_one(struct samplers *samplers, enum sampler_kind kind,
                    struct sampler_target *target, uint32_t frequency, struct nova_error *error)
{
	struct sampler *sampler = &samplers->all[samplers->count];
	int code;

	target->follows = samplers->count == 0;
	code = sampler_open(sampler, kind, target, frequency,
	                    samplers->rings + samplers->ring_count, error);
	if (code)
		return code;
	samplers->ring_count += sampler->ring_count;
	samplers->count++;
	return 0;
}

/* --- locks --------------------------------------------------------------------------------------
 */

static int open_locks(struct samplers *samplers, struct sampler_target *target,
                      struct nova_error *error)
{
	struct nova_error refused = {0};
	char why[200];

	if (locks_tracepoints(&target->begins, &target->ends, why)) {
		samplers->tracepoints =
		        open_one(samplers, SAMPLE_CONTENTION, target, SAMPLER_ALL, &refused) == 0;
		samplers->contention_begins = target->begins;
		samplers->contention_ends = target->ends;
	}
	if (!samplers->tracepoints) {
		/* those that put a thread to sleep are told by its switches */
		samplers_miss(samplers, "spinning for kernel locks",
		              refused.text[0] ? refused.text : why);
	}
	samplers->locks = locks_new(!samplers->tracepoints);
	if (samplers->locks)
		return 0;
	if (!samplers->tracepoints)
		return nova_error_set(
		        error, NOVA_E_PERMISSION,
		        "which waits are for locks is told by functions of the kernel, whose "
		        "addresses this user may not read; as root: sysctl "
		        "kernel.kptr_restrict=0 and kernel.perf_event_paranoid=1, or record as "
		        "root");
	samplers_miss(samplers, "futexes",
	              "which waits are for futexes is told by functions of the kernel, and "
	              "/proc/kallsyms does not give their addresses; as root: sysctl "
	              "kernel.kptr_restrict=0");
	return 0;
}

/* --- memory -------------------------------------------------------------------------------------
 */

/* On each CPU an event into which the program at malloc gives out what it sees, whoever it is. */
static int open_allocations(struct samplers *samplers, const struct sampler_target *target,
                            struct nova_error *error)
{
	struct sampler_target all = *target;
	const struct sampler *sampler = &samplers->all[samplers->count];
	int code;

	all.tid_count = 0;
	all.cgroup = -1;
	all.on_exec = false;
	code = open_one(samplers, SAMPLE_ALLOCATIONS, &all, SAMPLER_ALL, error);
	if (code)
		return code;
	samplers->allocations =
	        allocations_open(&(struct allocations_target){.cpus = samplers->cpus,
	                                                      .fds = sampler->fds,
	                                                      .cpu_count = samplers->cpu_count,
	                                                      .cgroup = target->cgroup,
	                                                      .everywhere = !target->tid_count},
	                         error);
	if (samplers->allocations)
		return 0;
	samplers->ring_count -= sampler->ring_count;
	sampler_close(&samplers->all[--samplers->count]);
	return error->code;
}

static int open_memory(struct samplers *samplers, struct sampler_target *target,
                       struct nova_error *error)
{
	struct nova_error refused = {0};
	int code = open_one(samplers, SAMPLE_FAULTS, target, SAMPLER_ALL, error);

	if (code)
		return code;
	add_lane(samplers, LANE_FAULTS);
	if (open_allocations(samplers, target, &refused))
		samplers_miss(samplers, "allocations", refused.text);
	else
		add_lane(samplers, LANE_ALLOCATIONS);
	return 0;
}

/* --- all ----------------------------------------------------------------------------------------
 */

static bool wants(const struct samplers *samplers, enum nova_record_kind kind)
{
	return (samplers->kinds & (unsigned)kind) != 0;
}

static size_t most_samplers(const struct samplers *samplers)
{
	return (size_t)(wants(samplers, NOVA_RECORD_CPU) +
	                (wants(samplers, NOVA_RECORD_OFF_CPU) ||
	                 wants(samplers, NOVA_RECORD_LOCK)) +
	                wants(samplers, NOVA_RECORD_LOCK) +
	                2 * wants(samplers, NOVA_RECORD_MEMORY));
}

static int open_all(struct samplers *samplers, struct sampler_target *target, uint32_t frequency,
                    struct nova_error *error)
{
	int code = 0;

	if (wants(samplers, NOVA_RECORD_CPU)) {
		add_lane(samplers, LANE_CPU);
		code = open_one(samplers, SAMPLE_CPU, target, frequency, error);
	}
	if (!code && (wants(samplers, NOVA_RECORD_OFF_CPU) || wants(samplers, NOVA_RECORD_LOCK)))
		code = open_one(samplers, SAMPLE_SWITCHES, target, SAMPLER_ALL, error);
	if (!code && wants(samplers, NOVA_RECORD_OFF_CPU))
		add_lane(samplers, LANE_OFF_CPU);
	if (!code && wants(samplers, NOVA_RECORD_LOCK)) {
		add_lane(samplers, LANE_LOCK);
		code = open_locks(samplers, target, error);
	}
	if (!code && wants(samplers, NOVA_RECORD_MEMORY))
		code = open_memory(samplers, target, error);
	return code;
}

int samplers_open(struct samplers *samplers, unsigned kinds, struct sampler_target *target,
                  uint32_t frequency, struct nova_error *error)
{
	int code;

	memset(samplers, 0, sizeof(*samplers));
	samplers->kinds = kinds ? kinds : NOVA_RECORD_CPU;
	code = sampler_cpus(&samplers->cpus, &samplers->cpu_count, error);
	if (code)
		return code;
	target->cpus = samplers->cpus;
	target->cpu_count = samplers->cpu_count;
	target->sampler_count = most_samplers(samplers);
	samplers->rings = nova_alloc(SAMPLE_KINDS * samplers->cpu_count * sizeof(*samplers->rings));
	code = open_all(samplers, target, frequency, error);
	if (code)
		samplers_close(samplers);
	return code;
}

int samplers_start(struct samplers *samplers, struct nova_error *error)
{
	int code = 0;

	for (size_t i = 0; i < samplers->count && !code; i++)
		code = sampler_start(&samplers->all[i], error);
	return code;
}

void samplers_stop(struct samplers *samplers)
{
	for (size_t i = 0; i < samplers->count; i++)
		sampler_stop(&samplers->all[i]);
}

void samplers_close(struct samplers *samplers)
{
	allocations_free(samplers->allocations);
	for (size_t i = 0; i < samplers->count; i++)
		sampler_close(&samplers->all[i]);
	free(samplers->rings);
	free(samplers->cpus);
	locks_free(samplers->locks);
	json_decref(samplers->missing);
	memset(samplers, 0, sizeof(*samplers));
}
