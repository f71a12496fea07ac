/* SPDX-License-Identifier: MIT */
/*
 * The lab of a test: targets where nothing runs. A call takes simulated time, changes a VM's state,
 * and has the VM's events come later. It is as strict as novacore, and complains where that would
 * only fail.
 */
#include "inside.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MILLISECOND_NS     1000000ll
#define DEFAULT_TIMEOUT_NS 120000000000ll /* as run.op_timeout and run.ready_timeout are */
#define EVENT_ERROR_NS     1000
#define MEBIBYTE           1048576ll
#define STRUCT_MAX         4096u /* no struct of the ABI is so large */

/* One call of the lab while it lasts, all of it under the lock. */
struct doing {
	struct task *task;
	struct nova_testhost *host;
	struct lab *lab;
	struct vm *vm;
	const char *word; /* "vm_power.start" */
	int64_t deadline_ns, started_ns;
};

/* --- the beginning and the end of every call -------------------------------------------------- */

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
static int go(struct doing *doing, int status)
{
	if (status < 0 && status >= NOVA_E_UNKNOWN)
		doing->lab->returned |= 1u << -status;
	doing->task->watch = NULL;
	pthread_mutex_unlock(&th_lock);
	return status;
}

/* The host has recorded the failure: its text stands among the replicate's errors. */
__attribute__((format(printf, 3, 4))) static int fail(struct doing *doing, int status,
                                                      const char *format, ...)
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
__attribute__((format(printf, 2, 3))) static int broken(struct doing *doing, const char *format,
                                                        ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	th_complain(doing->host, "%s: %s", doing->word, text);
	return fail(doing, NOVA_E_INVALID, "%s", text);
}

/* NOVA_DONE, and locked, with the deadline in force; or how the call has ended. */
static int begin(struct doing *doing, nova_run run, const char *word, nova_vm vm,
                 int64_t deadline_ns)
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
		return go(doing, NOVA_E_INTERRUPTED);
	}
	/* A deadline that has passed makes `wait` a look at what has come. */
	if (deadline_ns < 0 || (deadline_ns > 0 && deadline_ns < CLOCK_BEGIN &&
	                        (strncmp(word, "wait", 4) != 0 || deadline_ns >= MILLISECOND_NS)))
		return go(doing,
		          broken(doing,
		                 "deadline_ns %lld is no time of now_ns(); is it a duration?",
		                 (long long)deadline_ns));
	doing->deadline_ns = deadline_ns ? deadline_ns : doing->started_ns + DEFAULT_TIMEOUT_NS;
	return NOVA_DONE;
}

/* Of what the benchmark hands over: the struct that this SDK has, or a later one. */
static int sized(struct doing *doing, const char *what, uint32_t is, size_t least)
{
	if (is >= least && is <= STRUCT_MAX)
		return NOVA_DONE;
	return broken(doing, "struct_size of the %s is %u, not %zu", what, is, least);
}

struct vm *th_lab_vm(struct lab *lab, nova_vm number)
{
	return number > 0 && number <= lab->vm_count ? lab->vms[number - 1] : NULL;
}

static int find(struct doing *doing, nova_vm number)
{
	unsigned long long shown = number;

	doing->vm = th_lab_vm(doing->lab, number);
	if (!doing->vm)
		broken(doing, "there is no VM %llu", shown);
	else if (doing->vm->existence == VM_DELETED)
		broken(doing, "VM %llu is deleted", shown);
	else if (doing->vm->existence != VM_THERE)
		broken(doing, "VM %llu was not created", shown);
	else
		return NOVA_DONE;
	return NOVA_E_NOT_FOUND;
}

/* --- capabilities ------------------------------------------------------------------------------
 */

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
static int able(struct doing *doing, const char *capability)
{
	const char *why = th_script_denial(doing->lab, capability);

	/* A target that makes no VMs is none; who is strict about that helps nobody. */
	if (!asked(doing->host, capability) && strcmp(capability, NOVA_CAN_CREATE) != 0) {
		th_complain(doing->host,
		            "%s: \"%s\" is neither in `needs` nor asked for with `can`",
		            doing->word, capability);
		remember(doing->lab, capability);
	}
	return why ? fail(doing, NOVA_E_UNSUPPORTED, "the target cannot %s: %s", capability, why)
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

/* --- time and results --------------------------------------------------------------------------
 */

static void put_i64(struct doing *doing, uint32_t field, int64_t value)
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

static void put_fact(struct doing *doing, uint32_t field, const char *key, const char *text)
{
	th_add_result(&doing->task->last, &(struct result){.field = field,
	                                                   .type = 't',
	                                                   .key = (char *)(uintptr_t)key,
	                                                   .text = (char *)(uintptr_t)text});
}

/* What the test has set beyond what the call puts anyhow. */
static void put_presets(struct doing *doing, uint32_t from, uint32_t to)
{
	uint32_t count;

	for (uint32_t i = 0; i < doing->lab->preset_count; i++) {
		const struct preset *preset = &doing->lab->presets[i];

		if (preset->field >= from && preset->field <= to &&
		    !th_find_result(&doing->task->last, preset->field, 0, &count))
			put_i64(doing, preset->field, preset->i64);
	}
}

/* The call passes as it is scripted to, and at most until its deadline. What the last one put is
 * gone from here on. */
static int pass(struct doing *doing)
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
	put_i64(doing, NOVA_FIELD_STARTED_NS, doing->started_ns);
	put_i64(doing, NOVA_FIELD_RETURNED_NS, task->now_ns);
	if (doing->vm && (int64_t)doing->vm->existence != vm_was)
		return fail(doing, NOVA_E_NOT_FOUND, "the VM was deleted meanwhile");
	if (status == NOVA_E_INTERRUPTED)
		doing->lab->interrupted = task->interrupted = 1;
	if (status == NOVA_E_TIMEOUT)
		return fail(doing, status, "it had not ended at its deadline");
	return status == NOVA_DONE ? status : fail(doing, status, "failed as scripted");
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
		return go(&doing, broken(&doing, "no room for the result"));
	if (sized(&doing, "result", result->struct_size, sizeof(*result)) != NOVA_DONE)
		return go(&doing, NOVA_E_INVALID);
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

/* --- events ------------------------------------------------------------------------------------
 */

static int stops(const struct happening *event)
{
	return event->status == NOVA_DONE && event->kind >= NOVA_EVENT_STOPPED;
}

/* When the VM stops by itself or has stopped; INT64_MAX: it does not. */
static int64_t stop_ns(const struct vm *vm)
{
	int64_t earliest_ns = INT64_MAX;

	for (uint32_t i = 0; i < vm->event_count; i++)
		if (stops(&vm->events[i]) && vm->events[i].t_ns < earliest_ns)
			earliest_ns = vm->events[i].t_ns;
	return earliest_ns;
}

/* When it comes; INT64_MAX: not, as things are. */
static int64_t due_ns(const struct vm *vm, const struct happening *event)
{
	if (vm->paused_ns && event->t_ns > vm->paused_ns)
		return INT64_MAX;
	return !stops(event) && event->t_ns > stop_ns(vm) ? INT64_MAX : event->t_ns;
}

static int is_ready(const struct vm *vm, int64_t now_ns)
{
	int64_t last_ns = 0;
	int ready = vm->ready;

	for (uint32_t i = 0; i < vm->event_count; i++) {
		const struct happening *event = &vm->events[i];
		int64_t t_ns = due_ns(vm, event);

		if (t_ns > now_ns || t_ns < last_ns || event->status != NOVA_DONE ||
		    (event->kind != NOVA_EVENT_READY && event->kind != NOVA_EVENT_UNREADY))
			continue;
		ready = event->kind == NOVA_EVENT_READY;
		last_ns = t_ns;
	}
	return ready && stop_ns(vm) > now_ns;
}

static uint32_t state_of(const struct vm *vm, int64_t now_ns)
{
	return stop_ns(vm) <= now_ns ? NOVA_STATE_OFF : vm->state;
}

/* A call that changes the VM begins: what has come is no longer waited for. */
static void forget_past(struct vm *vm, int64_t now_ns)
{
	uint32_t left = 0;

	vm->ready = is_ready(vm, now_ns);
	vm->state = state_of(vm, now_ns);
	for (uint32_t i = 0; i < vm->event_count; i++)
		if (vm->state != NOVA_STATE_OFF && due_ns(vm, &vm->events[i]) > now_ns)
			vm->events[left++] = vm->events[i];
	vm->event_count = left;
}

/* `after_ns` from now, or as it is scripted. */
static void happen(struct doing *doing, uint32_t kind, int64_t after_ns)
{
	struct lab *lab = doing->lab;
	struct vm *vm = doing->vm;
	struct script script;
	const char *needed = kind == NOVA_EVENT_READY || kind == NOVA_EVENT_UNREADY ? NOVA_CAN_READY
	                     : kind == NOVA_EVENT_FIRST || kind == NOVA_EVENT_USERSPACE
	                             ? NOVA_CAN_BEAT
	                     : kind == NOVA_EVENT_ADDRESS ? NOVA_CAN_ADDRESS
	                                                  : NULL;
	struct happening *event;

	if (needed && th_script_denial(lab, needed))
		return;
	script = th_script_take(lab, th_event_word(kind));
	if (script.status == NOVA_E_TIMEOUT)
		return;
	vm->events = th_memory(vm->events, (vm->event_count + 1) * sizeof(*vm->events));
	event = &vm->events[vm->event_count++];
	event->kind = script.status == NOVA_E_FAILED ? NOVA_EVENT_CRASHED : kind;
	event->status = script.status == NOVA_E_FAILED ? NOVA_DONE : script.status;
	event->t_ns = doing->task->now_ns + (script.latency_ns ? script.latency_ns : after_ns);
	th_tasks_wake(&lab->clock, vm, doing->task->now_ns);
}

/* The first that has come, or the time at which to look again. */
static const struct happening *look(const struct vm *vm, uint32_t kind, int64_t now_ns,
                                    int64_t *next_ns)
{
	const struct happening *found = NULL;

	*next_ns = stop_ns(vm);
	for (uint32_t i = 0; i < vm->event_count; i++) {
		const struct happening *event = &vm->events[i];
		int64_t t_ns = due_ns(vm, event);

		if (event->kind != kind)
			continue;
		if (t_ns <= now_ns && (!found || t_ns < due_ns(vm, found)))
			found = event;
		else if (t_ns < *next_ns)
			*next_ns = t_ns;
	}
	return found;
}

static int await_event(struct doing *doing, uint32_t kind, struct nova_event *out)
{
	struct task *task = doing->task;
	const struct happening *event;
	int64_t next_ns;

	for (;;) {
		if (doing->vm->existence != VM_THERE)
			return fail(doing, NOVA_E_NOT_FOUND, "the VM was deleted meanwhile");
		event = look(doing->vm, kind, task->now_ns, &next_ns);
		if (event)
			break;
		if (doing->lab->interrupted) {
			task->interrupted = 1;
			return NOVA_E_INTERRUPTED;
		}
		if (next_ns <= task->now_ns)
			return fail(doing, NOVA_E_FAILED, "the VM has stopped");
		if (task->now_ns >= doing->deadline_ns)
			return NOVA_E_TIMEOUT;
		task->watch = doing->vm;
		th_task_pass(task, next_ns < doing->deadline_ns ? next_ns : doing->deadline_ns);
	}
	if (event->status == NOVA_E_INTERRUPTED)
		doing->lab->interrupted = task->interrupted = 1;
	if (event->status != NOVA_DONE)
		return fail(doing, event->status, "failed as scripted");
	if (out)
		*out = (struct nova_event){.struct_size = sizeof(*out),
		                           .kind = kind,
		                           .source = NOVA_SOURCE_MODEL,
		                           .name = doing->vm->name,
		                           .t_ns = event->t_ns,
		                           .resolution_ns = EVENT_ERROR_NS};
	return NOVA_DONE;
}

static int lab_wait(nova_run run, nova_vm number, uint32_t kind, int64_t deadline_ns,
                    struct nova_event *event)
{
	const char *word = th_wait_word(kind);
	struct doing doing;
	int status = begin(&doing, run, word ? word : "wait", number, deadline_ns);

	if (status != NOVA_DONE)
		return status;
	if (!word)
		return go(&doing, broken(&doing, "there is no event %u", kind));
	status = find(&doing, number);
	if (status == NOVA_DONE && event)
		status = sized(&doing, "event", event->struct_size, sizeof(*event));
	if (status == NOVA_DONE && kind == NOVA_EVENT_READY)
		able(&doing, NOVA_CAN_READY);
	if (status == NOVA_DONE)
		status = await_event(&doing, kind, event);
	return go(&doing, status);
}

/* --- a VM's life -------------------------------------------------------------------------------
 */

static const char *boot_capability(uint32_t boot)
{
	static const char *const names[] = {NULL, NOVA_CAN_DIRECT, NOVA_CAN_DISK, NOVA_CAN_STUB,
	                                    NOVA_CAN_TEMPLATE};

	return boot <= NOVA_BOOT_TEMPLATE ? names[boot] : NULL;
}

static int check_shape(struct doing *doing, const struct nova_shape *shape)
{
	const char *const *knob;
	const char *why;

	if (!shape)
		return NOVA_DONE;
	if (sized(doing, "shape", shape->struct_size, sizeof(*shape)) != NOVA_DONE)
		return NOVA_E_INVALID;
	if (shape->boot > NOVA_BOOT_TEMPLATE)
		return broken(doing, "the shape's boot is %u: NOVA_BOOT_* or 0", shape->boot);
	for (knob = shape->knobs; knob && *knob; knob++)
		if (!strchr(*knob, '=') || **knob == '=')
			return broken(doing, "the shape's knob \"%s\" is not name=value", *knob);
	if (!shape->boot)
		return NOVA_DONE;
	why = th_script_denial(doing->lab, boot_capability(shape->boot));
	return why ? fail(doing, NOVA_E_UNSUPPORTED, "the target cannot boot so: %s", why)
	           : NOVA_DONE;
}

static struct vm *new_vm(struct lab *lab, uint32_t target, const struct nova_shape *shape)
{
	struct vm *vm = th_memory(NULL, sizeof(*vm));

	memset(vm, 0, sizeof(*vm));
	lab->vms = th_grow(lab->vms, lab->vm_count, sizeof(*lab->vms));
	lab->vms[lab->vm_count++] = vm;
	vm->number = lab->vm_count;
	snprintf(vm->name, sizeof(vm->name), "novacore-testhost-%u", lab->vm_count);
	vm->target = target;
	vm->state = NOVA_STATE_OFF;
	vm->vcpus = shape && shape->vcpus ? shape->vcpus : 1;
	vm->memory_bytes = shape && shape->memory_bytes ? shape->memory_bytes : 1024ull * MEBIBYTE;
	vm->existence = VM_UNKNOWN;
	return vm;
}

static int lab_vm_create(nova_run run, uint32_t target, const struct nova_shape *shape,
                         int64_t deadline_ns, nova_vm *out)
{
	struct doing doing;
	int status = begin(&doing, run, "vm_create", 0, deadline_ns);
	char id[32];

	if (out)
		*out = 0;
	if (status != NOVA_DONE)
		return status;
	if (!out)
		return go(&doing, broken(&doing, "no room for the VM's number"));
	if (target >= doing.lab->table.targets)
		return go(&doing, broken(&doing, "there is no target %u", target));
	status = check_shape(&doing, shape);
	if (status == NOVA_DONE)
		status = able(&doing, NOVA_CAN_CREATE);
	if (status != NOVA_DONE)
		return go(&doing, status);
	doing.vm = new_vm(doing.lab, target, shape);
	doing.lab->journal[doing.lab->journal_count - 1].vm = *out = doing.vm->number;
	status = pass(&doing);
	if (status == NOVA_DONE) {
		doing.vm->existence = VM_THERE;
		snprintf(id, sizeof(id), "testhost-%u", (unsigned)doing.vm->number);
		put_fact(&doing, NOVA_FIELD_ID, "", id);
	} else if (status != NOVA_E_TIMEOUT && status != NOVA_E_UNKNOWN) {
		doing.vm->existence = VM_FAILED;
	}
	return go(&doing, status);
}

static void boot(struct doing *doing)
{
	static const uint32_t kinds[] = {NOVA_EVENT_RUNNING, NOVA_EVENT_FIRST, NOVA_EVENT_USERSPACE,
	                                 NOVA_EVENT_READY, NOVA_EVENT_ADDRESS};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		happen(doing, kinds[i], ((int64_t)i + 1) * MILLISECOND_NS);
}

/* What the guest would still have done comes later by as long as it was paused. */
static void resume(struct doing *doing)
{
	struct vm *vm = doing->vm;

	for (uint32_t i = 0; i < vm->event_count; i++)
		if (vm->events[i].t_ns > vm->paused_ns)
			vm->events[i].t_ns += doing->task->now_ns - vm->paused_ns;
	vm->paused_ns = 0;
	vm->state = NOVA_STATE_RUNNING;
	happen(doing, NOVA_EVENT_RESUMED, 0);
}

static void start_over(struct doing *doing)
{
	doing->vm->event_count = 0;
	doing->vm->paused_ns = 0;
	doing->vm->state = NOVA_STATE_RUNNING;
	doing->vm->started_ns = doing->task->now_ns;
}

static void after_power(struct doing *doing, uint32_t action)
{
	struct vm *vm = doing->vm;
	int was_ready = is_ready(vm, doing->task->now_ns);

	switch (action) {
	case NOVA_POWER_START:
		start_over(doing);
		boot(doing);
		break;
	case NOVA_POWER_RESET:
		start_over(doing);
		if (was_ready)
			happen(doing, NOVA_EVENT_UNREADY, 0);
		boot(doing);
		break;
	case NOVA_POWER_PAUSE:
		vm->state = NOVA_STATE_PAUSED;
		vm->paused_ns = doing->task->now_ns;
		happen(doing, NOVA_EVENT_PAUSED, 0);
		break;
	case NOVA_POWER_RESUME: resume(doing); break;
	default:
		if (state_of(vm, doing->task->now_ns) == NOVA_STATE_OFF)
			break;
		vm->event_count = 0;
		vm->paused_ns = 0;
		vm->ready = 0;
		vm->state = NOVA_STATE_OFF;
		if (action == NOVA_POWER_SHUTDOWN)
			happen(doing, NOVA_EVENT_SHUTDOWN, 0);
		happen(doing, NOVA_EVENT_STOPPED, 0);
		break;
	}
}

static const struct power {
	uint32_t action;
	const char *word, *capability;
	uint32_t states; /* bit s: from NOVA_STATE_s */
} POWERS[] = {
#define FROM(state) (1u << NOVA_STATE_##state)
        {NOVA_POWER_START, "vm_power.start", NOVA_CAN_START, FROM(OFF)},
        {NOVA_POWER_SHUTDOWN, "vm_power.shutdown", NOVA_CAN_SHUTDOWN, FROM(RUNNING)},
        {NOVA_POWER_OFF, "vm_power.off", NOVA_CAN_START, FROM(OFF) | FROM(RUNNING) | FROM(PAUSED)},
        {NOVA_POWER_RESET, "vm_power.reset", NOVA_CAN_RESET, FROM(RUNNING) | FROM(PAUSED)},
        {NOVA_POWER_PAUSE, "vm_power.pause", NOVA_CAN_PAUSE, FROM(RUNNING)},
        {NOVA_POWER_RESUME, "vm_power.resume", NOVA_CAN_PAUSE, FROM(PAUSED)},
};

static int in_state(struct doing *doing, uint32_t states)
{
	static const char *const words[] = {"", "off", "running", "paused", "in another state"};
	uint32_t state = state_of(doing->vm, doing->task->now_ns);

	return states & (1u << state) ? NOVA_DONE
	                              : fail(doing, NOVA_E_BUSY, "the VM is %s", words[state]);
}

static int lab_vm_power(nova_run run, nova_vm number, uint32_t action, int64_t deadline_ns)
{
	const struct power *power = POWERS, *end = POWERS + sizeof(POWERS) / sizeof(POWERS[0]);
	struct doing doing;
	int status;

	while (power < end && power->action != action)
		power++;
	status = begin(&doing, run, power < end ? power->word : "vm_power", number, deadline_ns);
	if (status != NOVA_DONE)
		return status;
	if (power == end)
		return go(&doing, broken(&doing, "there is no action %u", action));
	status = find(&doing, number);
	if (status == NOVA_DONE)
		status = able(&doing, power->capability);
	if (status == NOVA_DONE)
		status = in_state(&doing, power->states);
	if (status != NOVA_DONE)
		return go(&doing, status);
	forget_past(doing.vm, doing.started_ns);
	status = pass(&doing);
	if (status == NOVA_DONE)
		after_power(&doing, action);
	return go(&doing, status);
}

static int lab_vm_delete(nova_run run, nova_vm number, int64_t deadline_ns)
{
	struct doing doing;
	int status = begin(&doing, run, "vm_delete", number, deadline_ns);

	if (status != NOVA_DONE)
		return status;
	doing.vm = th_lab_vm(doing.lab, number);
	/* "Not there already" is fine, but deleting twice is a mistake. */
	if (!doing.vm || doing.vm->existence == VM_DELETED)
		return go(&doing, find(&doing, number));
	status = able(&doing, NOVA_CAN_CREATE);
	if (status == NOVA_DONE)
		status = pass(&doing);
	if (status == NOVA_DONE) {
		doing.vm->existence = VM_DELETED;
		th_tasks_wake(&doing.lab->clock, doing.vm, doing.task->now_ns);
	}
	return go(&doing, status);
}

/* --- snapshots ---------------------------------------------------------------------------------
 */

static uint32_t find_snapshot(const struct vm *vm, const char *name)
{
	uint32_t i = 0;

	while (i < vm->snapshot_count && strcmp(vm->snapshots[i], name) != 0)
		i++;
	return i;
}

static void after_snapshot(struct doing *doing, const char *name, uint32_t action)
{
	struct vm *vm = doing->vm;
	uint32_t at = find_snapshot(vm, name);

	if (action == NOVA_SNAPSHOT_CREATE && at == vm->snapshot_count) {
		vm->snapshots = th_grow(vm->snapshots, vm->snapshot_count, sizeof(*vm->snapshots));
		vm->snapshots[vm->snapshot_count++] = th_copy(name);
	} else if (action == NOVA_SNAPSHOT_DELETE && at < vm->snapshot_count) {
		free(vm->snapshots[at]);
		vm->snapshots[at] = vm->snapshots[--vm->snapshot_count];
	} else if (action == NOVA_SNAPSHOT_RESTORE) {
		int was_ready = is_ready(vm, doing->task->now_ns);

		start_over(doing);
		happen(doing, NOVA_EVENT_RUNNING, MILLISECOND_NS);
		if (was_ready)
			happen(doing, NOVA_EVENT_UNREADY, MILLISECOND_NS);
		happen(doing, NOVA_EVENT_READY, 4 * MILLISECOND_NS);
	}
}

static int lab_snapshot(nova_run run, nova_vm number, const char *name, uint32_t action,
                        int64_t deadline_ns)
{
	struct doing doing;
	const char *word = action == NOVA_SNAPSHOT_CREATE    ? "snapshot.create"
	                   : action == NOVA_SNAPSHOT_RESTORE ? "snapshot.restore"
	                   : action == NOVA_SNAPSHOT_DELETE  ? "snapshot.delete"
	                                                     : NULL;
	int status = begin(&doing, run, word ? word : "snapshot", number, deadline_ns), there;

	if (status != NOVA_DONE)
		return status;
	if (!word)
		return go(&doing, broken(&doing, "there is no action %u", action));
	if (!name || !*name)
		return go(&doing, broken(&doing, "the snapshot has no name"));
	status = find(&doing, number);
	if (status == NOVA_DONE)
		status = able(&doing, NOVA_CAN_SNAPSHOT);
	if (status == NOVA_DONE && action == NOVA_SNAPSHOT_CREATE)
		status = in_state(&doing, FROM(RUNNING) | FROM(PAUSED));
	if (status != NOVA_DONE)
		return go(&doing, status);
	there = find_snapshot(doing.vm, name) < doing.vm->snapshot_count;
	if (there && action == NOVA_SNAPSHOT_CREATE)
		return go(&doing, fail(&doing, NOVA_E_EXISTS, "\"%s\" exists already", name));
	if (!there && action != NOVA_SNAPSHOT_CREATE)
		return go(&doing, fail(&doing, NOVA_E_NOT_FOUND, "there is no \"%s\"", name));
	forget_past(doing.vm, doing.started_ns);
	status = pass(&doing);
	if (status == NOVA_DONE)
		after_snapshot(&doing, name, action);
	return go(&doing, status);
}

/* --- queries, programs, migration, networks -----------------------------------------------------
 */

/* A VM keeps a quarter of a CPU and of its memory busy. */
static void put_stats(struct doing *doing)
{
	const struct vm *vm = doing->vm;
	int64_t up_ns = vm->started_ns ? doing->task->now_ns - vm->started_ns : 0;

	put_i64(doing, NOVA_FIELD_CPU_NS, up_ns / 4);
	put_i64(doing, NOVA_FIELD_MEMORY_BYTES, (int64_t)vm->memory_bytes);
	put_i64(doing, NOVA_FIELD_RESIDENT_BYTES, (int64_t)vm->memory_bytes / 4);
	put_i64(doing, NOVA_FIELD_DISK_READ_BYTES, 64 * MEBIBYTE);
	put_i64(doing, NOVA_FIELD_DISK_WRITE_BYTES, 16 * MEBIBYTE);
	put_i64(doing, NOVA_FIELD_DISK_READS, 1024);
	put_i64(doing, NOVA_FIELD_DISK_WRITES, 256);
	put_i64(doing, NOVA_FIELD_NET_RX_BYTES, MEBIBYTE);
	put_i64(doing, NOVA_FIELD_NET_TX_BYTES, MEBIBYTE);
	put_i64(doing, NOVA_FIELD_DISK_ALLOCATED_BYTES, 16 * MEBIBYTE);
	put_presets(doing, NOVA_FIELD_CPU_NS, NOVA_FIELD_TICKET - 1);
}

static int lab_vm_query(nova_run run, nova_vm number, uint32_t what, int64_t deadline_ns)
{
	static const char *const words[] = {"vm_query", "vm_query.state", "vm_query.stats",
	                                    "vm_query.address"};
	struct doing doing;
	int status = begin(&doing, run, words[what <= NOVA_QUERY_ADDRESS ? what : 0], number,
	                   deadline_ns);
	char address[32];

	if (status != NOVA_DONE)
		return status;
	if (what < NOVA_QUERY_STATE || what > NOVA_QUERY_ADDRESS)
		return go(&doing, broken(&doing, "there is no query %u", what));
	status = find(&doing, number);
	if (status == NOVA_DONE && what != NOVA_QUERY_STATE)
		status = able(&doing, what == NOVA_QUERY_STATS ? NOVA_CAN_STATS : NOVA_CAN_ADDRESS);
	if (status == NOVA_DONE)
		status = pass(&doing);
	if (status != NOVA_DONE)
		return go(&doing, status);
	if (what == NOVA_QUERY_STATE) {
		put_i64(&doing, NOVA_FIELD_STATE, state_of(doing.vm, doing.task->now_ns));
		put_i64(&doing, NOVA_FIELD_PID, 1000 + (int64_t)number);
	} else if (what == NOVA_QUERY_STATS) {
		put_stats(&doing);
	} else { /* 192.0.2.0/24 is for documents (RFC 5737) */
		snprintf(address, sizeof(address), "192.0.2.%u", (unsigned)(number % 254 + 1));
		put_fact(&doing, NOVA_FIELD_ADDRESS, "eth0", address);
	}
	return go(&doing, status);
}

/* argv with blanks between. */
static char *command_line(const char *const *argv)
{
	size_t used = 0;
	char *all = NULL;

	for (; *argv; argv++) {
		all = th_memory(all, used + strlen(*argv) + 2);
		used += (size_t)sprintf(all + used, used ? " %s" : "%s", *argv);
	}
	return all;
}

static int check_exec(struct doing *doing, const struct nova_exec *exec)
{
	if (!exec || sized(doing, "exec", exec->struct_size, sizeof(*exec)) != NOVA_DONE)
		return exec ? NOVA_E_INVALID : broken(doing, "no program");
	if (!exec->argv || !exec->argv[0] || !exec->argv[0][0])
		return broken(doing, "no program: argv is empty");
	for (const char *const *env = exec->env; env && *env; env++)
		if (!strchr(*env, '='))
			return broken(doing, "\"%s\" of env is not NAME=value", *env);
	if (exec->input_bytes > 0 && !exec->input)
		return broken(doing, "input_bytes, but no input");
	return NOVA_DONE;
}

static int run_program(struct doing *doing, const struct nova_exec *exec)
{
	struct lab *lab = doing->lab;
	const struct program *program = th_script_program(lab, exec->argv[0]);
	int64_t ended = program ? program->status : 0;
	int status;

	lab->commands = th_grow(lab->commands, lab->command_count, sizeof(*lab->commands));
	lab->commands[lab->command_count++] = command_line(exec->argv);
	status = pass(doing);
	if (status != NOVA_DONE)
		return status;
	if (doing->vm)
		put_i64(doing, NOVA_FIELD_GUEST_PID, 1000 + lab->command_count);
	if (program && *program->output)
		th_add_result(&doing->task->last,
		              &(struct result){.field = NOVA_FIELD_STDOUT,
		                               .type = 'b',
		                               .text = program->output,
		                               .bytes = strlen(program->output)});
	put_i64(doing, ended < 0 ? NOVA_FIELD_SIGNAL : NOVA_FIELD_EXIT_STATUS,
	        ended < 0 ? -ended : ended);
	put_presets(doing, NOVA_FIELD_STDOUT, NOVA_FIELD_STARTED_NS - 1);
	return NOVA_DONE;
}

static int lab_exec(nova_run run, nova_vm number, const struct nova_exec *exec, int64_t deadline_ns)
{
	struct doing doing;
	int status = begin(&doing, run, "exec", number, deadline_ns);

	if (status != NOVA_DONE)
		return status;
	status = check_exec(&doing, exec);
	if (status == NOVA_DONE && number != 0) {
		status = find(&doing, number);
		if (status == NOVA_DONE)
			status = able(&doing, NOVA_CAN_EXEC);
		if (status == NOVA_DONE)
			status = in_state(&doing, FROM(RUNNING));
		if (status == NOVA_DONE && !is_ready(doing.vm, doing.started_ns) &&
		    !th_script_denial(doing.lab, NOVA_CAN_READY))
			status = fail(&doing, NOVA_E_BUSY,
			              "the VM takes no commands yet: wait for READY");
	}
	if (status == NOVA_DONE)
		status = run_program(&doing, exec);
	return go(&doing, status);
}

int th_lab_process(struct nova_testhost *host, const struct nova_exec *exec,
                   void (*output)(void *, uint32_t, const void *, uint64_t), void *context,
                   int32_t *ended)
{
	struct doing doing;
	int status = begin(&doing, host->instance, "process", 0, 0);
	const struct result *found;
	char *text = NULL;
	uint32_t count;

	if (status != NOVA_DONE)
		return status;
	doing.word = "exec"; /* scripts of it hold for this too */
	status = check_exec(&doing, exec);
	if (status == NOVA_DONE)
		status = run_program(&doing, exec);
	if (status == NOVA_DONE) {
		found = th_find_result(&doing.task->last, NOVA_FIELD_SIGNAL, 0, &count);
		if (ended && found)
			*ended = -(int32_t)found->i64;
		found = th_find_result(&doing.task->last, NOVA_FIELD_EXIT_STATUS, 0, &count);
		if (ended && found)
			*ended = (int32_t)found->i64;
		found = th_find_result(&doing.task->last, NOVA_FIELD_STDOUT, 0, &count);
		text = found ? th_copy(found->text) : NULL;
	}
	status = go(&doing, status);
	if (text && output)
		output(context, NOVA_FIELD_STDOUT, text, strlen(text));
	free(text);
	return status;
}

static int lab_migrate(nova_run run, nova_vm number, uint32_t target,
                       const struct nova_migrate *how, int64_t deadline_ns)
{
	struct doing doing;
	int status = begin(&doing, run, "migrate", number, deadline_ns);
	int64_t took_ns;

	if (status != NOVA_DONE)
		return status;
	if (!how)
		return go(&doing, broken(&doing, "not said how: a struct nova_migrate is wanted"));
	if (sized(&doing, "migrate", how->struct_size, sizeof(*how)) != NOVA_DONE)
		return go(&doing, NOVA_E_INVALID);
	if (target >= doing.lab->table.targets)
		return go(&doing, broken(&doing, "there is no target %u", target));
	status = find(&doing, number);
	if (status == NOVA_DONE && doing.vm->target == target)
		status = broken(&doing, "the VM is on target %u already", target);
	if (status == NOVA_DONE)
		status = able(&doing, NOVA_CAN_MIGRATE);
	if (status == NOVA_DONE)
		status = in_state(&doing, FROM(RUNNING));
	if (status != NOVA_DONE)
		return go(&doing, status);
	forget_past(doing.vm, doing.started_ns);
	status = pass(&doing);
	if (status == NOVA_DONE) {
		took_ns = doing.task->now_ns - doing.started_ns;
		doing.vm->target = target;
		put_i64(&doing, NOVA_FIELD_DURATION_NS, took_ns);
		put_i64(&doing, NOVA_FIELD_DOWNTIME_NS, took_ns / 10);
		put_i64(&doing, NOVA_FIELD_MOVED_BYTES, (int64_t)doing.vm->memory_bytes);
		put_i64(&doing, NOVA_FIELD_ITERATIONS, 1);
		put_presets(&doing, NOVA_FIELD_TICKET, NOVA_FIELD_KNOB - 1);
		happen(&doing, NOVA_EVENT_MIGRATED, 0);
	}
	return go(&doing, status);
}

static int lab_net_create(nova_run run, uint32_t target, uint32_t kind, int64_t deadline_ns,
                          char name[64])
{
	struct doing doing;
	int status = begin(&doing, run, "net_create", 0, deadline_ns);

	if (status != NOVA_DONE)
		return status;
	if (!name)
		return go(&doing, broken(&doing, "no room for the name"));
	*name = 0;
	if (target >= doing.lab->table.targets)
		return go(&doing, broken(&doing, "there is no target %u", target));
	if (kind != NOVA_NET_ISOLATED && kind != NOVA_NET_NAT)
		return go(&doing, broken(&doing, "there is no kind %u of a network", kind));
	status = able(&doing, NOVA_CAN_NETWORK);
	if (status == NOVA_DONE)
		status = pass(&doing);
	if (status == NOVA_DONE)
		snprintf(name, 64, "novacore-testhost-net%u", ++doing.lab->net_count);
	return go(&doing, status);
}

/* --- fan out -----------------------------------------------------------------------------------
 */

static int lab_fan_out(nova_run run, uint32_t count, uint32_t limit, double per_s,
                       int (*one)(void *context, uint32_t i, int64_t intended_ns), void *context)
{
	struct doing doing;
	int status = begin(&doing, run, "fan_out", 0, 0);

	if (status != NOVA_DONE)
		return status;
	if (!one || !isfinite(per_s) || per_s < 0)
		return go(&doing, broken(&doing, "no function, or a rate that is none"));
	status = th_fan_out(doing.task, count, limit, per_s, one, context);
	if (status == NOVA_E_INTERRUPTED)
		doing.task->interrupted = 1;
	return go(&doing, status);
}

/* --- the table ---------------------------------------------------------------------------------
 */

void th_lab_new(struct nova_testhost *host)
{
	const struct nova_benchmark *ops = host->plugin->ops;
	struct lab *lab = th_memory(NULL, sizeof(*lab));

	memset(lab, 0, sizeof(*lab));
	lab->table = (struct nova_lab){
	        .struct_size = sizeof(lab->table),
	        .targets = ops->targets_min > 1 ? ops->targets_min : 1,
	        .can = lab_can,
	        .vm_create = lab_vm_create,
	        .vm_power = lab_vm_power,
	        .vm_delete = lab_vm_delete,
	        .vm_query = lab_vm_query,
	        .snapshot = lab_snapshot,
	        .exec = lab_exec,
	        .wait = lab_wait,
	        .migrate = lab_migrate,
	        .net_create = lab_net_create,
	        .result = lab_result,
	        .fan_out = lab_fan_out,
	        .sample = th_record_sample,
	        .attempt = th_record_attempt,
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
