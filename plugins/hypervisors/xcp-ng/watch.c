/* SPDX-License-Identifier: MIT */
/*
 * What the pool pushes: one `event.from` at a time, which the master answers when something has
 * happened. It hurries the ops that wait for tasks, stamps what happens to their VMs, and goes on
 * looking at VMs that run: tools that report, addresses, a guest that switches itself off.
 *
 * Where it cannot be had, ops ask for their tasks themselves, and nothing else is lost but events.
 */
#include "xcpng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The master answers at the latest after that, with nothing. */
#define WAIT_S 30.0
/* It gathers events for 50 ms before it answers; the rest is for its own work. */
#define GATHER_NS (60 * SECOND_NS / 1000)
#define AGAIN_NS  SECOND_NS

struct guest {
	struct guest *next;
	char ref[REF_ROOM], metrics[REF_ROOM];
	char name[256];
	int running; /* was seen to: what was pushed before is older than the order to start */
	int ready, addressed;
};

static void ask(struct call *call, json_t *unused);

/* --- tasks ------------------------------------------------------------------------------------ */

int64_t watch_ended_ns(const struct xcpng *self, const char *task)
{
	for (size_t i = 0; i < ENDED_ROOM; i++) {
		if (self->ended_ns[i] && strcmp(self->ended[i], task) == 0)
			return self->ended_ns[i];
	}
	return 0;
}

static void task_moved(struct xcpng *self, const char *ref, const json_t *snapshot, int64_t t_ns)
{
	char made[REF_ROOM];
	struct nova_text words = {0};
	int runs = snapshot && answer_task(snapshot, made, &words) == ANSWER_RUNS;

	nova_text_free(&words);
	if (runs || watch_ended_ns(self, ref))
		return;
	snprintf(self->ended[self->ended_next], REF_ROOM, "%s", ref);
	self->ended_ns[self->ended_next] = t_ns;
	self->ended_next = (self->ended_next + 1) % ENDED_ROOM;
	for (struct call *call = self->calls_list; call; call = call->next) {
		if (strcmp(call->task, ref) == 0)
			nova_call_poll_now(&call->base, 0);
	}
}

/* --- VMs -------------------------------------------------------------------------------------- */

void watch_event(struct call *call, uint32_t kind, int64_t t_ns)
{
	int64_t since_ns = t_ns - call->ordered_ns;

	nova_call_event(&call->base, call->name, kind, NOVA_SOURCE_WATCH, t_ns,
	                call->ordered_ns && since_ns < GATHER_NS ? since_ns : GATHER_NS);
}

static struct guest **find_guest(struct xcpng *self, const char *ref)
{
	struct guest **link = &self->guests;

	while (*link && strcmp((*link)->ref, ref) != 0)
		link = &(*link)->next;
	return link;
}

static void forget_guest(struct guest **link)
{
	struct guest *guest = *link;

	*link = guest->next;
	free(guest);
}

void watch_guest(struct call *call)
{
	struct guest **link = find_guest(call->self, call->ref);

	if (!*link)
		*link = calloc(1, sizeof(**link));
	if (!*link)
		return; /* its events are not seen */
	(*link)->running = 0;
	(*link)->ready = 0;
	(*link)->addressed = 0;
	(*link)->metrics[0] = '\0';
	snprintf((*link)->ref, REF_ROOM, "%s", call->ref);
	snprintf((*link)->name, sizeof((*link)->name), "%s", call->name);
}

void watch_free(struct xcpng *self)
{
	while (self->guests)
		forget_guest(&self->guests);
	free(self->token);
}

static void guest_event(struct call *call, const struct guest *guest, uint32_t kind,
                        uint32_t source, int64_t t_ns)
{
	nova_call_event(&call->base, guest->name, kind, source, t_ns, GATHER_NS);
}

/* What the tools in the guest have written: xapi pushes it when it reads it. */
static void tools_said(struct call *call, struct guest *guest, const json_t *metrics, int64_t t_ns)
{
	const char *key;
	json_t *value;

	if (!guest->ready && nova_json_flag(metrics, "PV_drivers_detected", 0)) {
		guest->ready = 1;
		guest_event(call, guest, NOVA_EVENT_READY, NOVA_SOURCE_TOOLS, t_ns);
	}
	json_object_foreach(json_object_get(metrics, "networks"), key, value)
	{
		if (guest->addressed || !json_string_length(value))
			continue;
		guest->addressed = 1;
		guest_event(call, guest, NOVA_EVENT_ADDRESS, NOVA_SOURCE_TOOLS, t_ns);
	}
}

static void take_metrics(struct call *call, json_t *result)
{
	struct guest *guest = *find_guest(call->self, call->ref);

	if (guest && strcmp(guest->metrics, call->other) == 0)
		tools_said(call, guest, result, call->base.answered_ns);
	nova_call_done(&call->base);
}

/* The event that told of these may have come before it was known whose they are. */
static void ask_metrics(struct xcpng *self, const struct guest *guest)
{
	struct call *call = call_new(self, 0, NULL);

	if (!call)
		return;
	snprintf(call->ref, sizeof(call->ref), "%s", guest->ref);
	snprintf(call->other, sizeof(call->other), "%s", guest->metrics);
	call_rpc(call, take_metrics, "VM_guest_metrics.get_record", "[s]", guest->metrics);
	nova_call_return(&call->base);
}

static int has_op(const struct xcpng *self, const char *ref)
{
	for (const struct call *call = self->calls_list; call; call = call->next) {
		if (call->base.op && strcmp(call->ref, ref) == 0)
			return 1;
	}
	return 0;
}

static void guest_moved(struct call *watch, struct guest **link, const json_t *vm, int64_t t_ns)
{
	struct guest *guest = *link;
	const char *state = nova_json_text(vm, "power_state", "");
	const char *metrics = nova_json_text(vm, "guest_metrics", "");

	if (strcmp(state, "Halted") == 0 && !guest->running)
		return;
	if (!vm || strcmp(state, "Halted") == 0) {
		if (guest->running && !has_op(watch->self, guest->ref))
			guest_event(watch, guest, NOVA_EVENT_STOPPED, NOVA_SOURCE_WATCH, t_ns);
		forget_guest(link);
		return;
	}
	guest->running = 1;
	if (!watch->self->tools || strcmp(guest->metrics, metrics) == 0)
		return;
	if (guest->ready)
		guest_event(watch, guest, NOVA_EVENT_UNREADY, NOVA_SOURCE_TOOLS, t_ns);
	guest->ready = 0;
	guest->addressed = 0;
	snprintf(guest->metrics, REF_ROOM, "%s", answer_is_ref(metrics) ? metrics : "");
	if (guest->metrics[0])
		ask_metrics(watch->self, guest);
}

/* `vm` NULL: it is gone. */
static void vm_moved(struct call *watch, const char *ref, const json_t *vm, int64_t t_ns)
{
	struct xcpng *self = watch->self;
	const char *state = nova_json_text(vm, "power_state", "");
	struct guest **link = find_guest(self, ref);

	for (struct call *call = self->calls_list; call; call = call->next) {
		if (!call->event || call->told || !call->state || strcmp(call->ref, ref) != 0 ||
		    strcmp(call->state, state) != 0)
			continue;
		call->told = 1;
		watch_event(call, call->event, t_ns);
	}
	if (*link)
		guest_moved(watch, link, vm, t_ns);
}

static void metrics_moved(struct call *watch, const char *ref, const json_t *snapshot, int64_t t_ns)
{
	for (struct guest *guest = watch->self->guests; guest; guest = guest->next) {
		if (strcmp(guest->metrics, ref) == 0)
			tools_said(watch, guest, snapshot, t_ns);
	}
}

/* --- the watch -------------------------------------------------------------------------------- */

static void take_event(struct call *watch, const json_t *json)
{
	int64_t t_ns = watch->base.answered_ns;
	struct answer_event event;

	if (!answer_event(json, &event))
		return;
	if (strcmp(event.kind, "task") == 0)
		task_moved(watch->self, event.ref, event.object, t_ns);
	else if (strcmp(event.kind, "vm") == 0)
		vm_moved(watch, event.ref, event.object, t_ns);
	else if (strcmp(event.kind, "vm_guest_metrics") == 0)
		metrics_moved(watch, event.ref, event.object, t_ns);
}

/* What waits for tasks asks for them itself now. */
static void unwatched(struct xcpng *self)
{
	self->watching = 0;
	for (struct call *call = self->calls_list; call; call = call->next) {
		if (call->task[0])
			nova_call_poll_now(&call->base, self->poll_first_ns);
	}
}

static void take_events(struct call *watch, json_t *result)
{
	struct xcpng *self = watch->self;
	const char *token = nova_json_text(result, "token", NULL);
	char *kept = token ? strdup(token) : NULL;
	size_t i;
	json_t *event;

	if (!kept) {
		unwatched(self);
		nova_call_puzzled(&watch->base, "events without a token");
		return;
	}
	free(self->token);
	self->token = kept;
	json_array_foreach(json_object_get(result, "events"), i, event)
	{
		take_event(watch, event);
	}
	self->watching = 1;
	ask(watch, NULL);
}

/* From the beginning, which says how everything is now. */
static int refused(struct nova_call *base, const struct nova_refusal *refusal)
{
	struct call *watch = (struct call *)base;

	unwatched(watch->self);
	if (refusal->code == NOVA_E_PERMISSION || refusal->code == NOVA_E_UNSUPPORTED)
		return 0;
	free(watch->self->token);
	watch->self->token = NULL;
	call_pause(watch, ask, AGAIN_NS);
	return 1;
}

static int lost(struct nova_call *base, int code, const char *why)
{
	(void)code;
	(void)why;
	unwatched(((struct call *)base)->self);
	call_pause((struct call *)base, ask, AGAIN_NS);
	return 1;
}

static void ask(struct call *watch, json_t *unused)
{
	const struct xcpng *self = watch->self;
	const char *token = self->token ? self->token : "";

	(void)unused;
	if (self->tools)
		call_rpc(watch, take_events, "event.from", "[[sss]sf]", "task", "vm",
		         "vm_guest_metrics", token, WAIT_S);
	else
		call_rpc(watch, take_events, "event.from", "[[ss]sf]", "task", "vm", token, WAIT_S);
	nova_call_on_refusal(&watch->base, refused);
	nova_call_on_loss(&watch->base, lost);
}

void watch_start(struct xcpng *self)
{
	struct call *watch;

	if (self->watch || !(watch = call_new(self, 0, NULL)))
		return;
	self->watch = watch;
	watch->base.deadline_ns = INT64_MAX;
	ask(watch, NULL);
	nova_call_return(&watch->base);
}
