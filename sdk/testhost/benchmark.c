/* SPDX-License-Identifier: MIT */
/*
 * A benchmark's life: setup, replicates, teardown, and what it records meanwhile. It repeats,
 * counts leftovers and refuses samples as novacore does.
 */
#include "inside.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const PHASES[] = {"nothing", "setup", "replicate", "teardown"};

static const struct nova_benchmark *ops_of(const struct nova_testhost *host)
{
	return host->plugin->ops;
}

/* --- samples ------------------------------------------------------------------------------ */

/* Locks; NULL, and not locked, outside of a replicate. */
static struct lab *record_begin(nova_run run, const char *function)
{
	struct task *task = th_task_self();
	struct nova_testhost *host;

	pthread_mutex_lock(&th_lock);
	host = th_find_instance(run);
	if (!host || host->instance != run || !host->lab || !task || task->host != host)
		th_complain(task ? task->host : host,
		            "%s: not this benchmark's run, or not its thread", function);
	else if (host->lab->phase != PHASE_REPLICATE)
		th_complain(host, "%s was called in %s: only a replicate measures", function,
		            PHASES[host->lab->phase]);
	else
		return host->lab;
	pthread_mutex_unlock(&th_lock);
	return NULL;
}

static int declared(const struct nova_testhost *host, const char *metric)
{
	const struct nova_metric *const *at = ops_of(host)->metrics;

	for (; at && *at; at++)
		if ((*at)->name && strcmp((*at)->name, metric) == 0)
			return 1;
	return 0;
}

static int recorded_before(const struct lab *lab, const struct nova_sample *sample)
{
	for (uint32_t i = lab->first_sample; i < lab->sample_count; i++) {
		const struct nova_sample *other = lab->samples[i];

		if (other->vm == sample->vm && other->seq == sample->seq &&
		    strcmp(other->metric, sample->metric) == 0)
			return 1;
	}
	return 0;
}

/* What novacore would not count. */
static const char *refuse(const struct nova_testhost *host, const struct nova_sample *sample)
{
	if (!sample->metric)
		return "it has no metric";
	if (!declared(host, sample->metric))
		return "the metric is not declared";
	if (sample->status < NOVA_SAMPLE_OK || sample->status > NOVA_SAMPLE_TIMED_OUT)
		return "its status is none";
	if (sample->status == NOVA_SAMPLE_OK && !isfinite(sample->value))
		return "it is OK, but its value is not finite";
	if (sample->vm != 0 && !th_lab_vm(host->lab, sample->vm))
		return "there is no such VM";
	if (recorded_before(host->lab, sample))
		return "this replicate has a sample of that metric, vm and seq: number them by seq";
	return NULL;
}

/* What novacore would count, and nobody could use. */
static const char *doubt(const struct lab *lab, const struct nova_sample *sample, int64_t now_ns)
{
	if (sample->side != 0 && sample->side != lab->side)
		return "its side is not the replicate's";
	if (sample->status == NOVA_SAMPLE_OK && sample->t_ns < CLOCK_BEGIN)
		return "t_ns is not the time at which what was measured had ended";
	if (sample->t_ns > now_ns)
		return "t_ns has not come yet";
	if (sample->intended_ns != 0 &&
	    (sample->intended_ns < CLOCK_BEGIN ||
	     (sample->status == NOVA_SAMPLE_OK && sample->intended_ns > sample->t_ns)))
		return "intended_ns is no time before t_ns";
	if (sample->error_ns < 0)
		return "error_ns is negative";
	if (sample->source > NOVA_SOURCE_API)
		return "its source is none";
	if (sample->reserved != 0)
		return "reserved is not 0";
	return NULL;
}

int th_record_sample(nova_run run, const struct nova_sample *sample)
{
	struct lab *lab = record_begin(run, "sample");
	struct nova_testhost *host;
	struct nova_sample *kept;
	const char *wrong;

	if (!lab)
		return NOVA_E_INVALID;
	host = th_task_self()->host;
	if (!sample || sample->struct_size < sizeof(*sample))
		wrong = "struct_size is not the sample's";
	else
		wrong = refuse(host, sample);
	if (wrong) {
		th_complain(host, "sample of %s: %s",
		            sample && sample->struct_size >= sizeof(*sample) && sample->metric
		                    ? sample->metric
		                    : "nothing",
		            wrong);
		lab->returned |= 1u << -NOVA_E_INVALID;
		pthread_mutex_unlock(&th_lock);
		return NOVA_E_INVALID;
	}
	wrong = doubt(lab, sample, th_task_self()->now_ns);
	if (wrong)
		th_complain(host, "sample of %s: %s", sample->metric, wrong);
	kept = th_memory(NULL, sizeof(*kept));
	*kept = *sample;
	kept->struct_size = sizeof(*kept);
	kept->side = sample->side ? sample->side : lab->side;
	kept->metric = th_copy(sample->metric);
	kept->why = sample->why ? th_copy(sample->why) : NULL;
	lab->samples = th_grow(lab->samples, lab->sample_count, sizeof(*lab->samples));
	lab->samples[lab->sample_count++] = kept;
	lab->recorded++;
	pthread_mutex_unlock(&th_lock);
	return NOVA_DONE;
}

int th_record_attempt(nova_run run, uint32_t status)
{
	struct lab *lab = record_begin(run, "attempt");
	int outcome = NOVA_DONE;

	if (!lab)
		return NOVA_E_INVALID;
	if (status < NOVA_SAMPLE_OK || status > NOVA_SAMPLE_TIMED_OUT) {
		th_complain(th_task_self()->host, "attempt: %u is no NOVA_SAMPLE_* status", status);
		lab->returned |= 1u << -NOVA_E_INVALID;
		outcome = NOVA_E_INVALID;
	} else {
		lab->attempts[status]++;
		lab->recorded++;
	}
	pthread_mutex_unlock(&th_lock);
	return outcome;
}

/* --- phases ------------------------------------------------------------------------------- */

static void begin_phase(struct nova_testhost *host, enum phase phase)
{
	struct call *creation = host->creation;

	pthread_mutex_lock(&th_lock);
	host->lab->phase = phase;
	host->lab->returned = 0;
	host->lab->interrupted = 0;
	if (creation->error)
		th_keep(host, creation->error);
	creation->error = NULL;
	creation->said = 0;
	th_task_begin(host);
	pthread_mutex_unlock(&th_lock);
}

/* A failure needs a text: the benchmark's, or that of the lab's call which failed so. */
static void end_phase(struct nova_testhost *host, int status)
{
	struct lab *lab = host->lab;
	const char *phase = PHASES[lab->phase];

	pthread_mutex_lock(&th_lock);
	th_task_end(host);
	lab->phase = PHASE_NONE;
	if (status > 0 || status < NOVA_E_UNKNOWN)
		th_complain(host, "%s returned %d, which is no status", phase, status);
	else if (status != NOVA_DONE && !host->creation->said && !(lab->returned & 1u << -status))
		th_complain(host, "%s failed with %d and no error()", phase, status);
	pthread_mutex_unlock(&th_lock);
}

int th_benchmark_create(struct nova_testhost *host)
{
	const struct nova_benchmark *ops = ops_of(host);
	int status = ops->create(&th_table, &host->lab->table, host->instance, &host->self);

	host->lab->width = 1;
	if (status == NOVA_DONE && NOVA_HAS(ops, struct nova_benchmark, width) && ops->width)
		host->lab->width = ops->width(host->self);
	if (host->lab->width > 0)
		return status;
	pthread_mutex_lock(&th_lock);
	th_complain(host, "width is 0: how many fresh VMs a replicate makes at once, at least 1");
	pthread_mutex_unlock(&th_lock);
	return status;
}

static int set_up(struct nova_testhost *host)
{
	const struct nova_benchmark *ops = ops_of(host);
	int status = NOVA_DONE;

	if (host->lab->set_up)
		return NOVA_DONE;
	if (ops->setup) {
		begin_phase(host, PHASE_SETUP);
		status = ops->setup(host->self, host->instance);
		end_phase(host, status);
	}
	host->lab->set_up = status == NOVA_DONE;
	return status;
}

/* As novacore does after each replicate. */
static void clean(struct nova_testhost *host)
{
	struct lab *lab = host->lab;

	pthread_mutex_lock(&th_lock);
	for (uint32_t i = 0; i < lab->vm_count; i++) {
		struct vm *vm = lab->vms[i];

		lab->leftovers += vm->existence == VM_THERE || vm->existence == VM_UNKNOWN;
		vm->existence = VM_DELETED;
	}
	pthread_mutex_unlock(&th_lock);
}

/* What the targets lack, and the benchmark cannot do without: novacore skips the step. */
static int lacks(struct nova_testhost *host)
{
	const char *const *need = ops_of(host)->needs;
	const char *why = NULL;
	char text[512];

	pthread_mutex_lock(&th_lock);
	for (; need && *need && !why; need++) {
		why = th_script_denial(host->lab, *need);
		if (!why)
			continue;
		snprintf(text, sizeof(text), "the target cannot %s: %s", *need, why);
		th_add_error(host->creation, text);
	}
	pthread_mutex_unlock(&th_lock);
	return why ? NOVA_E_UNSUPPORTED : NOVA_DONE;
}

int nova_testhost_replicate(struct nova_testhost *host, uint32_t index, uint32_t side)
{
	struct lab *lab = host->lab;
	int status;

	if (!lab || !host->created || host->destroyed || side < NOVA_SIDE_VM || side > NOVA_SIDE_B)
		return NOVA_E_INVALID;
	status = lacks(host);
	if (status == NOVA_DONE)
		status = set_up(host);
	if (status != NOVA_DONE) {
		clean(host);
		return status;
	}
	lab->side = side;
	lab->recorded = 0;
	lab->first_sample = lab->sample_count;
	begin_phase(host, PHASE_REPLICATE);
	status = ops_of(host)->replicate(host->self, host->instance, index, side);
	end_phase(host, status);
	clean(host);
	pthread_mutex_lock(&th_lock);
	if (status == NOVA_DONE && lab->recorded == 0)
		th_complain(host, "replicate %u was fine, and gave no sample and no attempt",
		            index);
	pthread_mutex_unlock(&th_lock);
	return status;
}

void th_benchmark_stop(struct nova_testhost *host)
{
	const struct nova_benchmark *ops = ops_of(host);
	int status;

	if (host->lab->set_up && ops->teardown) {
		begin_phase(host, PHASE_TEARDOWN);
		status = ops->teardown(host->self, host->instance);
		end_phase(host, status);
		clean(host);
	}
	host->lab->set_up = 0;
	if (ops->destroy)
		ops->destroy(host->self);
}

/* --- for the test ------------------------------------------------------------------------- */

uint32_t nova_testhost_width(struct nova_testhost *host)
{
	return host->lab ? host->lab->width : 0;
}

uint32_t nova_testhost_vms(struct nova_testhost *host)
{
	uint32_t count;

	pthread_mutex_lock(&th_lock);
	count = host->lab ? host->lab->vm_count : 0;
	pthread_mutex_unlock(&th_lock);
	return count;
}

uint32_t nova_testhost_leftovers(struct nova_testhost *host)
{
	uint32_t count;

	pthread_mutex_lock(&th_lock);
	count = host->lab ? host->lab->leftovers : 0;
	pthread_mutex_unlock(&th_lock);
	return count;
}

int64_t nova_testhost_now_ns(struct nova_testhost *host)
{
	struct task *task = th_task_self();
	int64_t now;

	if (!host->lab)
		return th_clock_ns();
	if (task && task->host == host)
		return task->now_ns;
	pthread_mutex_lock(&th_lock);
	now = host->lab->clock.main.now_ns;
	pthread_mutex_unlock(&th_lock);
	return now ? now : CLOCK_BEGIN;
}

const char *nova_testhost_calls(struct nova_testhost *host, nova_vm vm)
{
	size_t used = 0;
	char *all = NULL;

	pthread_mutex_lock(&th_lock);
	for (uint32_t i = 0; host->lab && i < host->lab->journal_count; i++) {
		const struct entry *entry = &host->lab->journal[i];

		if (vm != 0 && entry->vm != vm)
			continue;
		all = th_memory(all, used + strlen(entry->word) + 2);
		used += (size_t)sprintf(all + used, used ? " %s" : "%s", entry->word);
	}
	if (all)
		th_keep(host, all);
	pthread_mutex_unlock(&th_lock);
	return all ? all : "";
}

const char *nova_testhost_command(struct nova_testhost *host, uint32_t index)
{
	const char *command;

	pthread_mutex_lock(&th_lock);
	command = host->lab && index < host->lab->command_count ? host->lab->commands[index] : NULL;
	pthread_mutex_unlock(&th_lock);
	return command;
}

uint32_t nova_testhost_sample_count(struct nova_testhost *host)
{
	uint32_t count;

	pthread_mutex_lock(&th_lock);
	count = host->lab ? host->lab->sample_count : 0;
	pthread_mutex_unlock(&th_lock);
	return count;
}

const struct nova_sample *nova_testhost_sample(struct nova_testhost *host, uint32_t index)
{
	const struct nova_sample *sample = NULL;

	pthread_mutex_lock(&th_lock);
	if (host->lab && index < host->lab->sample_count)
		sample = host->lab->samples[index];
	pthread_mutex_unlock(&th_lock);
	return sample;
}

const struct nova_sample *nova_testhost_sample_of(struct nova_testhost *host, const char *metric,
                                                  uint32_t index)
{
	const struct nova_sample *sample;

	for (uint32_t i = 0; (sample = nova_testhost_sample(host, i)); i++)
		if (strcmp(sample->metric, metric) == 0 && index-- == 0)
			return sample;
	return NULL;
}

uint32_t nova_testhost_attempts(struct nova_testhost *host, uint32_t status)
{
	uint32_t count = 0;

	pthread_mutex_lock(&th_lock);
	if (host->lab && status >= NOVA_SAMPLE_OK && status <= NOVA_SAMPLE_TIMED_OUT)
		count = host->lab->attempts[status];
	pthread_mutex_unlock(&th_lock);
	return count;
}
