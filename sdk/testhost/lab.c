/* SPDX-License-Identifier: MIT */
/*
 * What every call of the lab has in common: who may call, what is checked, how long it takes, what
 * it puts. The targets are in vm.c and guest.c.
 */
#include "lab.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_TIMEOUT_NS 120000000000ll /* as run.op_timeout and run.ready_timeout are */
#define STRUCT_MAX         4096u          /* no struct of the ABI is so large */

/* --- the beginning and the end of every call ---------------------------------------------- */

/* Locks; NULL, and not locked, if nobody may call the lab now. */
static struct task *come(nova_run run, const char *function)
{
	struct task *task = th_task_self();
	struct nova_testhost *host;

	pthread_mutex_lock(&th_lock);
	host = th_find_instance(run);
	if (!host || host->instance != run || !host->lab) {
		th_complain(task ? task->host : host, "%s: %llu is not this benchmark's run",
		            function, (unsigned long long)run);
	} else if (host->destroyed) {
		th_complain(host, "%s was called after destroy", function);
	} else if (!task || task->host != host) {
		th_complain(
		        host,
		        "%s was called outside of setup, replicate and teardown, or on a thread "
		        "that is not the host's",
		        function);
	} else {
		task->readings = 0;
		th_task_pass(task, task->now_ns);
		return task;
	}
	pthread_mutex_unlock(&th_lock);
	return NULL;
}

/* Unlocks. */
int th_go(struct doing *doing, int status)
{
	if (status < 0 && status >= NOVA_E_UNKNOWN)
		doing->lab->returned |= 1u << -status;
	doing->task->watch = NULL;
	doing->task->idle = 0;
	pthread_mutex_unlock(&th_lock);
	return status;
}

/* The host has recorded the failure: its text stands among the replicate's errors. */
int th_fail(struct doing *doing, int status, const char *format, ...)
{
	char text[512];
	va_list arguments;
	int used = snprintf(text, sizeof(text), "%s: ", doing->word);

	va_start(arguments, format);
	vsnprintf(text + used, sizeof(text) - (size_t)used, format, arguments);
	va_end(arguments);
	th_add_error(doing->host->creation, text);
	return status;
}

/* The same for what breaks the contract. */
int th_broken(struct doing *doing, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	th_complain(doing->host, "%s: %s", doing->word, text);
	return th_fail(doing, NOVA_E_INVALID, "%s", text);
}

/* NOVA_DONE, and locked, with the deadline in force; or how the call has ended. */
int th_begin(struct doing *doing, nova_run run, const char *word, nova_vm vm, int64_t deadline_ns)
{
	struct lab *lab;

	memset(doing, 0, sizeof(*doing));
	doing->word = word;
	doing->task = come(run, word);
	if (!doing->task)
		return NOVA_E_INVALID;
	doing->host = doing->task->host;
	doing->lab = lab = doing->host->lab;
	doing->started_ns = doing->task->now_ns;
	lab->journal = th_grow(lab->journal, lab->journal_count, sizeof(*lab->journal));
	lab->journal[lab->journal_count++] = (struct entry){.word = word, .vm = vm};
	if (doing->task->interrupted)
		th_complain(doing->host, "%s was called after NOVA_E_INTERRUPTED: return at once",
		            word);
	if (lab->interrupted) {
		doing->task->interrupted = 1;
		return th_go(doing, NOVA_E_INTERRUPTED);
	}
	/* A deadline that has passed makes `wait` a look at what has come. */
	if (deadline_ns < 0 || (deadline_ns > 0 && deadline_ns < CLOCK_BEGIN &&
	                        (strncmp(word, "wait", 4) != 0 || deadline_ns >= MILLISECOND_NS)))
		return th_go(doing,
		             th_broken(doing,
		                       "deadline_ns %lld is no time of now_ns(); is it a duration?",
		                       (long long)deadline_ns));
	doing->deadline_ns = deadline_ns ? deadline_ns : doing->started_ns + DEFAULT_TIMEOUT_NS;
	return NOVA_DONE;
}

/* Of what the benchmark hands over: the struct that this SDK has, or a later one. */
int th_sized(struct doing *doing, const char *what, uint32_t is, size_t least)
{
	if (is >= least && is <= STRUCT_MAX)
		return NOVA_DONE;
	return th_broken(doing, "struct_size of the %s is %u, not %zu", what, is, least);
}

struct vm *th_lab_vm(struct lab *lab, nova_vm number)
{
	return number > 0 && number <= lab->vm_count ? lab->vms[number - 1] : NULL;
}

int th_find(struct doing *doing, nova_vm number)
{
	unsigned long long shown = number;

	doing->vm = th_lab_vm(doing->lab, number);
	if (!doing->vm)
		th_broken(doing, "there is no VM %llu", shown);
	else if (doing->vm->existence == VM_DELETED)
		th_broken(doing, "VM %llu is deleted", shown);
	else if (doing->vm->existence != VM_THERE)
		th_broken(doing, "VM %llu was not created", shown);
	else
		return NOVA_DONE;
	return NOVA_E_NOT_FOUND;
}

/* --- capabilities ------------------------------------------------------------------------- */

static int asked(const struct nova_testhost *host, const char *capability)
{
	const struct nova_benchmark *ops = host->plugin->ops;

	for (const char *const *need = ops->needs; need && *need; need++)
		if (strcmp(*need, capability) == 0)
			return 1;
	for (uint32_t i = 0; i < host->lab->asked_count; i++)
		if (strcmp(host->lab->asked[i], capability) == 0)
			return 1;
	return 0;
}

static void remember(struct lab *lab, const char *capability)
{
	lab->asked = th_grow(lab->asked, lab->asked_count, sizeof(*lab->asked));
	lab->asked[lab->asked_count++] = th_copy(capability);
}

/* What is neither needed nor asked for fails on targets that lack it, where it could be skipped. */
int th_able(struct doing *doing, const char *capability)
{
	const char *why = th_script_denial(doing->lab, capability);

	/* A target that makes no VMs is none; who is strict about that helps nobody. */
	if (!asked(doing->host, capability) && strcmp(capability, NOVA_CAN_CREATE) != 0) {
		th_complain(doing->host,
		            "%s: \"%s\" is neither in `needs` nor asked for with `can`",
		            doing->word, capability);
		remember(doing->lab, capability);
	}
	return why ? th_fail(doing, NOVA_E_UNSUPPORTED, "the target cannot %s: %s", capability, why)
	           : NOVA_DONE;
}

static int lab_can(nova_run run, uint32_t target, const char *capability, char *why, uint32_t room)
{
	struct task *task = come(run, "can");
	const char *reason = "there is no such target";
	struct nova_testhost *host;

	if (why && room > 0)
		*why = 0;
	if (!task)
		return 0;
	host = task->host;
	if (target >= host->lab->table.targets) {
		th_complain(host, "can: there is no target %u", target);
	} else if (!capability) {
		th_complain(host, "can: no capability");
		reason = "no capability";
	} else {
		if (!asked(host, capability))
			remember(host->lab, capability);
		reason = th_script_denial(host->lab, capability);
	}
	if (reason && why && room > 0)
		snprintf(why, room, "%s", reason);
	pthread_mutex_unlock(&th_lock);
	return reason == NULL;
}

/* The window that the test has set, on every call but a VM's first. */
static int lab_beats(nova_run run, nova_vm vm, struct nova_beats *beats)
{
	struct task *task = come(run, "beats");
	int status = NOVA_DONE;
	struct lab *lab;

	if (!task)
		return NOVA_E_INVALID;
	lab = task->host->lab;
	if (!th_lab_vm(lab, vm)) {
		th_complain(task->host, "beats: there is no VM %llu", (unsigned long long)vm);
		status = NOVA_E_NOT_FOUND;
	} else if (th_script_denial(lab, NOVA_CAN_BEAT)) {
		status = NOVA_E_UNSUPPORTED;
	} else if (beats) {
		uint32_t size = beats->struct_size;

		if (size > sizeof(*beats))
			size = sizeof(*beats);
		memcpy(beats, &lab->beats, size);
		beats->struct_size = size;
	}
	pthread_mutex_unlock(&th_lock);
	return status;
}

/* Nothing runs here, so there always is; unless the test scripts "room" otherwise. */
static int lab_room(nova_run run, nova_vm vm, uint32_t count)
{
	struct doing doing;
	int status = th_begin(&doing, run, "room", vm, 0);

	if (status != NOVA_DONE)
		return status;
	status = th_find(&doing, vm);
	if (status == NOVA_DONE && count == 0)
		status = th_broken(&doing, "room for no VM");
	if (status == NOVA_DONE)
		status = th_pass(&doing);
	return th_go(&doing, status);
}

/* --- time and results --------------------------------------------------------------------- */

void th_put_i64(struct doing *doing, uint32_t field, int64_t value)
{
	const struct preset *preset = th_script_preset(doing->lab, field);
	struct result result = {.field = field, .type = 'i', .i64 = value};

	if (preset) {
		result.type = preset->type;
		result.i64 = preset->i64;
		result.f64 = preset->f64;
	}
	if (result.type)
		th_add_result(&doing->task->last, &result);
}

void th_put_fact(struct doing *doing, uint32_t field, const char *key, const char *text)
{
	th_add_result(&doing->task->last, &(struct result){.field = field,
	                                                   .type = 't',
	                                                   .key = (char *)(uintptr_t)key,
	                                                   .text = (char *)(uintptr_t)text});
}

/* What the test has set beyond what the call puts anyhow. */
void th_put_presets(struct doing *doing, uint32_t from, uint32_t to)
{
	uint32_t count;

	for (uint32_t i = 0; i < doing->lab->preset_count; i++) {
		const struct preset *preset = &doing->lab->presets[i];

		if (preset->field >= from && preset->field <= to &&
		    !th_find_result(&doing->task->last, preset->field, 0, &count))
			th_put_i64(doing, preset->field, preset->i64);
	}
}

/* The call passes as it is scripted to, and at most until its deadline. What the last one put is
 * gone from here on. */
int th_pass(struct doing *doing)
{
	struct script script = th_script_take(doing->lab, doing->word);
	struct task *task = doing->task;
	int64_t latency_ns = script.latency_ns                 ? script.latency_ns
	                     : script.status == NOVA_E_TIMEOUT ? INT64_MAX
	                                                       : MILLISECOND_NS;
	int64_t rest_ns = doing->deadline_ns - doing->started_ns;
	int64_t vm_was = doing->vm ? (int64_t)doing->vm->existence : 0;
	int status = script.status;

	if (latency_ns > rest_ns) {
		latency_ns = rest_ns > 0 ? rest_ns : 0;
		status = NOVA_E_TIMEOUT;
	}
	th_free_results(&task->last);
	task->has_last = 1;
	task->last_vm = doing->vm ? doing->vm->number : 0;
	th_task_pass(task, doing->started_ns + latency_ns);
	th_put_i64(doing, NOVA_FIELD_STARTED_NS, doing->started_ns);
	th_put_i64(doing, NOVA_FIELD_RETURNED_NS, task->now_ns);
	if (doing->vm && (int64_t)doing->vm->existence != vm_was)
		return th_fail(doing, NOVA_E_NOT_FOUND, "the VM was deleted meanwhile");
	if (status == NOVA_E_INTERRUPTED)
		th_tasks_interrupt(task);
	if (status == NOVA_E_TIMEOUT)
		return th_fail(doing, status, "it had not ended at its deadline");
	return status == NOVA_DONE ? status : th_fail(doing, status, "failed as scripted");
}

static int lab_result(nova_run run, nova_vm vm, uint32_t field, uint32_t index,
                      struct nova_result *result)
{
	struct doing doing = {.word = "result", .task = come(run, "result")};
	const struct result *found = NULL;
	int status = NOVA_E_NOT_FOUND;
	uint32_t count = 0;

	if (!doing.task)
		return NOVA_E_INVALID;
	doing.host = doing.task->host;
	doing.lab = doing.host->lab;
	if (!result)
		return th_go(&doing, th_broken(&doing, "no room for the result"));
	if (th_sized(&doing, "result", result->struct_size, sizeof(*result)) != NOVA_DONE)
		return th_go(&doing, NOVA_E_INVALID);
	if (!doing.task->has_last)
		th_complain(doing.host, "result: this thread has made no call");
	else if (doing.task->last_vm != vm)
		th_complain(doing.host,
		            "result of VM %llu: this thread's last call was on VM %llu; ask right "
		            "after the call",
		            (unsigned long long)vm, (unsigned long long)doing.task->last_vm);
	else
		found = th_find_result(&doing.task->last, field, index, &count);
	if (found) {
		*result = (struct nova_result){.struct_size = sizeof(*result),
		                               .count = count,
		                               .i64 = found->i64,
		                               .f64 = found->f64,
		                               .bytes = found->text,
		                               .byte_count = found->bytes,
		                               .key = found->key};
		if (found->type == 't' && found->text)
			result->byte_count = strlen(found->text);
		status = NOVA_DONE;
	}
	pthread_mutex_unlock(&th_lock);
	return status;
}

/* --- networks ----------------------------------------------------------------------------- */

static int lab_net_create(nova_run run, uint32_t target, uint32_t kind, int64_t deadline_ns,
                          char name[64])
{
	struct doing doing;
	int status = th_begin(&doing, run, "net_create", 0, deadline_ns);

	if (status != NOVA_DONE)
		return status;
	if (!name)
		return th_go(&doing, th_broken(&doing, "no room for the name"));
	*name = 0;
	if (target >= doing.lab->table.targets)
		return th_go(&doing, th_broken(&doing, "there is no target %u", target));
	if (kind != NOVA_NET_ISOLATED && kind != NOVA_NET_NAT)
		return th_go(&doing, th_broken(&doing, "there is no kind %u of a network", kind));
	status = th_able(&doing, NOVA_CAN_NETWORK);
	if (status == NOVA_DONE)
		status = th_pass(&doing);
	if (status == NOVA_DONE)
		snprintf(name, 64, "novacore-testhost-net%u", ++doing.lab->net_count);
	return th_go(&doing, status);
}

/* --- fan out ------------------------------------------------------------------------------ */

static int lab_fan_out(nova_run run, uint32_t count, uint32_t limit, double per_s,
                       int (*one)(void *context, uint32_t i, int64_t intended_ns), void *context)
{
	struct doing doing;
	int status = th_begin(&doing, run, "fan_out", 0, 0);

	if (status != NOVA_DONE)
		return status;
	if (!one || !isfinite(per_s) || per_s < 0)
		return th_go(&doing, th_broken(&doing, "no function, or a rate that is none"));
	status = th_fan_out(doing.task, count, limit, per_s, one, context);
	if (status == NOVA_E_INTERRUPTED)
		doing.task->interrupted = 1;
	return th_go(&doing, status);
}

/* --- the table ---------------------------------------------------------------------------- */

void th_lab_new(struct nova_testhost *host)
{
	const struct nova_benchmark *ops = host->plugin->ops;
	struct lab *lab = th_memory(NULL, sizeof(*lab));

	memset(lab, 0, sizeof(*lab));
	lab->table = (struct nova_lab){
	        .struct_size = sizeof(lab->table),
	        .targets = ops->targets_min > 1 ? ops->targets_min : 1,
	        .can = lab_can,
	        .vm_create = th_lab_vm_create,
	        .vm_power = th_lab_vm_power,
	        .vm_delete = th_lab_vm_delete,
	        .vm_query = th_lab_vm_query,
	        .snapshot = th_lab_snapshot,
	        .exec = th_lab_exec,
	        .wait = th_lab_wait,
	        .migrate = th_lab_migrate,
	        .net_create = lab_net_create,
	        .result = lab_result,
	        .fan_out = lab_fan_out,
	        .sample = th_record_sample,
	        .attempt = th_record_attempt,
	        .beats = lab_beats,
	        .room = lab_room,
	};
	host->lab = lab;
}

static void free_vm(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->snapshot_count; i++)
		free(vm->snapshots[i]);
	free(vm->snapshots);
	free(vm->events);
	free(vm);
}

static void free_scripts(struct lab *lab)
{
	for (uint32_t i = 0; i < lab->script_count; i++)
		free(lab->scripts[i].name);
	for (uint32_t i = 0; i < lab->program_count; i++) {
		free(lab->programs[i].name);
		free(lab->programs[i].output);
	}
	for (uint32_t i = 0; i < lab->denial_count; i++) {
		free(lab->denials[i].capability);
		free(lab->denials[i].why);
	}
	for (uint32_t i = 0; i < lab->asked_count; i++)
		free(lab->asked[i]);
	free(lab->scripts);
	free(lab->programs);
	free(lab->denials);
	free(lab->presets);
	free(lab->asked);
}

void th_lab_free(struct lab *lab)
{
	if (!lab)
		return;
	for (uint32_t i = 0; i < lab->vm_count; i++)
		free_vm(lab->vms[i]);
	for (uint32_t i = 0; i < lab->sample_count; i++) {
		free((char *)(uintptr_t)lab->samples[i]->metric);
		free((char *)(uintptr_t)lab->samples[i]->why);
		free(lab->samples[i]);
	}
	for (uint32_t i = 0; i < lab->command_count; i++)
		free(lab->commands[i]);
	free_scripts(lab);
	free(lab->vms);
	free(lab->samples);
	free(lab->commands);
	free(lab->journal);
	free(lab);
}
