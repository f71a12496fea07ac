/* SPDX-License-Identifier: MIT */
/*
 * One list and watch of all VirtualMachineInstances with our label, for as long as the target is
 * connected: what it says becomes events, and lets ops go on that wait. After a break it goes on
 * where it was; where the server has forgotten that place (410 Gone), it reads the list again.
 */
#include "kubevirt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The server ends a watch after that long; one that is silent for longer is dead. */
#define STREAM_S   240
#define IDLE_NS    (300 * SECOND_NS)
#define PAUSE_NS   (SECOND_NS / 5)
#define PAUSE_MOST (5 * SECOND_NS)
/* Ops that wait are told after so long that nothing will come. */
#define BROKEN_NS (20 * SECOND_NS)
#define FAR_NS    (3600 * SECOND_NS)
#define PAGE      500

static void begin_list(struct call *call, json_t *unused);
static void begin_stream(struct call *call, json_t *unused);

/* --- VMs that ops were about ------------------------------------------------------------------ */

static struct vm *find(const struct kubevirt *self, const char *name)
{
	struct vm *vm = self->vms;

	while (vm && strcmp(vm->name, name) != 0)
		vm = vm->next;
	return vm;
}

struct vm *watch_know(struct kubevirt *self, const char *name)
{
	struct vm *vm = find(self, name);

	if (vm)
		return vm;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return NULL;
	snprintf(vm->name, sizeof(vm->name), "%s", name);
	vm->listed = 1; /* a list that is being read may have passed it */
	vm->next = self->vms;
	self->vms = vm;
	return vm;
}

void watch_forget(struct kubevirt *self, const char *name)
{
	for (struct vm **link = &self->vms; *link; link = &(*link)->next) {
		struct vm *vm = *link;

		if (strcmp(vm->name, name) == 0) {
			*link = vm->next;
			free(vm);
			return;
		}
	}
}

void watch_free(struct kubevirt *self)
{
	while (self->vms)
		watch_forget(self, self->vms->name);
}

/* --- waiting ---------------------------------------------------------------------------------- */

void watch_unwait(struct call *call)
{
	struct call **link = &call->self->waiting;

	while (*link && *link != call)
		link = &(*link)->next_waiting;
	if (*link)
		*link = call->next_waiting;
	call->waiting = 0;
}

static void wait_more(struct call *call);

static void woken(struct nova_call *base, const struct nova_reply *reply)
{
	struct call *call = (struct call *)base;
	int due = call->recheck && nova_http_now_ns() >= call->recheck_ns;

	(void)reply;
	watch_unwait(call);
	if (due)
		call->recheck(call, NULL);
	else
		wait_more(call);
}

static void wait_more(struct call *call)
{
	const struct vm *vm = find(call->self, call->name);
	int64_t now_ns = nova_http_now_ns();
	int code = vm ? call->look(call, vm) : NOVA_DONE; /* forgotten: deleted by another op */

	if (code == NOVA_DONE) {
		call->then(call, NULL);
	} else if (code == NOVA_PENDING) {
		call->waiting = 1;
		call->next_waiting = call->self->waiting;
		call->self->waiting = call;
		nova_call_pause(&call->base, woken,
		                call->recheck ? call->recheck_ns - now_ns : FAR_NS);
	}
}

void watch_wait(struct call *call, int (*look)(struct call *call, const struct vm *vm),
                call_step then, call_step recheck, int64_t every_ns)
{
	watch_start(call->self); /* unless it runs, as it should */
	call->look = look;
	call->then = then;
	call->recheck = recheck;
	call->recheck_ns = nova_http_now_ns() + every_ns;
	wait_more(call);
}

static void wake(struct kubevirt *self, const char *name)
{
	for (struct call *call = self->waiting; call; call = call->next_waiting) {
		if (strcmp(call->name, name) == 0)
			nova_call_pause(&call->base, woken, 0);
	}
}

static void fail_waiting(struct kubevirt *self)
{
	struct call *next;

	for (struct call *call = self->waiting; call; call = next) {
		next = call->next_waiting;
		nova_call_fail(&call->base, NOVA_E_UNAVAILABLE,
		               "the watch of VirtualMachineInstances in %s at %s is broken: %s",
		               self->namespace, self->base, self->watch.trouble);
		watch_unwait(call);
	}
}

/* --- events ----------------------------------------------------------------------------------- */

/* When and how exactly it is known. */
struct stamp {
	int64_t t_ns, resolution_ns;
	uint32_t source;
};

static void emit(struct kubevirt *self, struct vm *vm, uint32_t kind, const struct stamp *stamp)
{
	struct nova_event event = {.struct_size = sizeof(event),
	                           .kind = kind,
	                           .source = stamp->source,
	                           .name = vm->name,
	                           .t_ns = stamp->t_ns,
	                           .resolution_ns =
	                                   stamp->resolution_ns > 0 ? stamp->resolution_ns : 1};

	if (kind == NOVA_EVENT_STOPPED && vm->held) {
		vm->stopped = event;
		return;
	}
	if (kind == NOVA_EVENT_RUNNING)
		vm->stopped.kind = 0;
	self->host->event(self->instance, &event);
}

void watch_hold(struct call *call)
{
	struct vm *vm = find(call->self, call->name);

	if (vm)
		vm->held = call->holds = 1;
}

void watch_unhold(struct call *call)
{
	struct vm *vm = call->holds ? find(call->self, call->name) : NULL;

	if (!vm)
		return;
	vm->held = call->holds = 0;
	if (vm->stopped.kind)
		call->self->host->event(call->self->instance, &vm->stopped);
	vm->stopped.kind = 0;
}

static void tell_end(struct kubevirt *self, struct vm *vm, int crashed, const struct stamp *stamp)
{
	if (vm->ended || !vm->ran)
		return;
	vm->ended = 1;
	if (vm->seen.agent)
		emit(self, vm, NOVA_EVENT_UNREADY, stamp);
	emit(self, vm, crashed ? NOVA_EVENT_CRASHED : NOVA_EVENT_STOPPED, stamp);
}

static void tell_changes(struct kubevirt *self, struct vm *vm, const struct instance *now,
                         const struct stamp *stamp)
{
	const struct instance *old = &vm->seen;

	if (!vm->ran && strcmp(now->phase, "Running") == 0) {
		vm->ran = 1;
		emit(self, vm, NOVA_EVENT_RUNNING, stamp);
	}
	if (instance_is_final(now)) {
		tell_end(self, vm, strcmp(now->phase, "Failed") == 0, stamp);
		return;
	}
	if (now->agent != old->agent)
		emit(self, vm, now->agent ? NOVA_EVENT_READY : NOVA_EVENT_UNREADY, stamp);
	if (now->addressed && !old->addressed)
		emit(self, vm, NOVA_EVENT_ADDRESS, stamp);
	if (vm->ran && now->paused != old->paused)
		emit(self, vm, now->paused ? NOVA_EVENT_PAUSED : NOVA_EVENT_RESUMED, stamp);
	if (vm->ran && old->node[0] && strcmp(now->node, old->node) != 0)
		emit(self, vm, NOVA_EVENT_MIGRATED, stamp);
}

/* `now` NULL: there is no instance any more. */
static void change(struct kubevirt *self, struct vm *vm, const struct instance *now,
                   const struct stamp *stamp)
{
	static const struct instance none = {.uid = ""};
	int same = now && strcmp(now->uid, vm->seen.uid) == 0;

	if (!same && vm->primed)
		tell_end(self, vm, 0, stamp);
	if (!same) {
		vm->seen = none;
		vm->ran = vm->ended = 0;
	}
	if (now && vm->primed)
		tell_changes(self, vm, now, stamp);
	else if (now)
		vm->ran = strcmp(now->phase, "Running") == 0;
	vm->seen = now ? *now : none;
	vm->primed = 1;
	wake(self, vm->name);
}

void watch_prime(struct kubevirt *self, const char *name, const struct instance *now)
{
	struct vm *vm = find(self, name);

	if (vm && !vm->primed)
		change(self, vm, now, &(struct stamp){0});
}

/* --- the stream ------------------------------------------------------------------------------- */

static struct stamp stamp_arrival(const struct kubevirt *self)
{
	const struct watch *watch = &self->watch;
	struct stamp stamp = {.t_ns = nova_http_now_ns(), .source = NOVA_SOURCE_WATCH};

	/* on its way for about half of what a question and its answer need; after a break, it may
	 * have waited there */
	stamp.resolution_ns =
	        stamp.t_ns < watch->gap_end_ns ? stamp.t_ns - watch->gap_ns : self->trip_ns;
	return stamp;
}

static int go_on_anew(struct watch *watch, const char *why)
{
	watch->relist = 1;
	snprintf(watch->trouble, sizeof(watch->trouble), "%s", why);
	return 1;
}

static void take_notice(struct kubevirt *self, const struct notice *notice)
{
	struct stamp stamp = stamp_arrival(self);
	struct instance now;
	struct vm *vm;
	int gone = notice->kind == NOTICE_DELETED;

	snprintf(self->watch.version, sizeof(self->watch.version), "%s", notice->version);
	if (notice->kind == NOTICE_BOOKMARK || !instance_read(notice->object, &now))
		return;
	vm = find(self, now.name);
	/* the end of an earlier instance is no news of the present one */
	if (vm && (!gone || !vm->primed || strcmp(vm->seen.uid, now.uid) == 0))
		change(self, vm, gone ? NULL : &now, &stamp);
}

static int take_line(void *context, const char *line, size_t length)
{
	struct kubevirt *self = ((struct call *)context)->self;
	struct watch *watch = &self->watch;
	struct notice notice;
	char why[200];

	if (!length)
		return 0;
	if (notice_read(line, length, &notice, why, sizeof(why)) != NOVA_DONE)
		return go_on_anew(watch, why);
	if (notice.kind == NOTICE_ERROR) {
		snprintf(why, sizeof(why), "%.160s", notice.message);
		notice_free(&notice);
		return go_on_anew(watch, why);
	}
	watch->alive_ns = nova_http_now_ns();
	watch->broken_ns = 0;
	watch->pause_ns = 0;
	take_notice(self, &notice);
	notice_free(&notice);
	return 0;
}

/* --- again ------------------------------------------------------------------------------------ */

static void again(struct call *call)
{
	struct kubevirt *self = call->self;
	struct watch *watch = &self->watch;
	int64_t now_ns = nova_http_now_ns();

	if (!watch->broken_ns)
		watch->broken_ns = now_ns;
	else if (now_ns - watch->broken_ns > BROKEN_NS)
		fail_waiting(self);
	watch->pause_ns = watch->pause_ns ? watch->pause_ns * 2 : PAUSE_NS;
	if (watch->pause_ns > PAUSE_MOST)
		watch->pause_ns = PAUSE_MOST;
	call_pause(call, watch->relist ? begin_list : begin_stream, watch->pause_ns);
}

/* It ended, by the server's own time limit or because of what was in it. */
static void stream_ended(struct call *call)
{
	if (nova_http_now_ns() - call->self->watch.opened_ns > SECOND_NS)
		call_pause(call, call->self->watch.relist ? begin_list : begin_stream, 0);
	else
		again(call);
}

static int lost(struct nova_call *base, int code, const char *why)
{
	struct call *call = (struct call *)base;

	(void)code;
	snprintf(call->self->watch.trouble, sizeof(call->self->watch.trouble), "%s", why);
	again(call);
	return 1;
}

static int refused(struct nova_call *base, const struct nova_refusal *refusal)
{
	struct call *call = (struct call *)base;
	struct watch *watch = &call->self->watch;

	snprintf(watch->trouble, sizeof(watch->trouble), "%d %s", refusal->status, refusal->words);
	if (refusal->status == 410 || refusal->status == 400) /* what we know of is too old */
		watch->relist = 1;
	again(call);
	return 1;
}

static void stream_over(struct nova_call *base, const struct nova_reply *reply)
{
	(void)reply;
	stream_ended((struct call *)base);
}

static void begin_stream(struct call *call, json_t *unused)
{
	struct kubevirt *self = call->self;
	struct watch *watch = &self->watch;
	struct nova_text url = {0};
	struct nova_http_request request = {.line = take_line, .idle_ns = IDLE_NS};

	(void)unused;
	nova_text_printf(&url,
	                 KUBEVIRT "/%s/virtualmachineinstances?labelSelector=" OUR_LABEL
	                          "&watch=true&allowWatchBookmarks=true&timeoutSeconds=%d"
	                          "&resourceVersion=",
	                 self->namespace, STREAM_S);
	nova_text_escape_url(&url, watch->version, strlen(watch->version));
	request.url = nova_text_get(&url);
	watch->opened_ns = nova_http_now_ns();
	watch->gap_ns = watch->alive_ns;
	watch->gap_end_ns = watch->opened_ns + SECOND_NS;
	nova_call_request(&call->base, stream_over, "the watch of VirtualMachineInstances",
	                  &request);
	nova_call_on_refusal(&call->base, refused);
	nova_call_on_loss(&call->base, lost);
	nova_text_free(&url);
}

/* --- the list --------------------------------------------------------------------------------- */

static void take_item(struct kubevirt *self, const json_t *item)
{
	struct stamp stamp = {.t_ns = nova_http_now_ns(), .source = NOVA_SOURCE_POLL};
	struct instance now;
	struct vm *vm = instance_read(item, &now) ? find(self, now.name) : NULL;

	if (!vm)
		return;
	stamp.resolution_ns = stamp.t_ns - self->watch.alive_ns;
	vm->listed = 1;
	change(self, vm, &now, &stamp);
}

static void miss_others(struct kubevirt *self)
{
	struct stamp stamp = {.t_ns = nova_http_now_ns(), .source = NOVA_SOURCE_POLL};

	stamp.resolution_ns = stamp.t_ns - self->watch.alive_ns;
	for (struct vm *vm = self->vms; vm; vm = vm->next) {
		if (!vm->listed)
			change(self, vm, NULL, &stamp);
	}
}

static void ask_page(struct call *call, const char *token);

static void take_page(struct call *call, json_t *data)
{
	struct kubevirt *self = call->self;
	const char *version = nova_json_text(data, "metadata.resourceVersion", "");
	const char *token = nova_json_text(data, "metadata.continue", "");
	size_t i;
	json_t *item;

	if (!version[0] || strlen(version) >= sizeof(self->watch.version) ||
	    !json_is_array(json_object_get(data, "items"))) {
		lost(&call->base, NOVA_E_PROTOCOL, "the list of instances is not a list");
		return;
	}
	json_array_foreach(json_object_get(data, "items"), i, item)
	{
		take_item(self, item);
	}
	if (*token) {
		ask_page(call, token);
		return;
	}
	snprintf(self->watch.version, sizeof(self->watch.version), "%s", version);
	miss_others(self);
	self->watch.relist = 0;
	self->watch.alive_ns = nova_http_now_ns();
	begin_stream(call, NULL);
}

static void ask_page(struct call *call, const char *token)
{
	struct nova_text escaped = {0};

	nova_text_escape_url(&escaped, token, strlen(token));
	call_send(call, take_page, "GET", NULL,
	          KUBEVIRT "/%s/virtualmachineinstances?labelSelector=" OUR_LABEL
	                   "&limit=%d&continue=%s",
	          call->self->namespace, PAGE, nova_text_get(&escaped));
	nova_call_on_refusal(&call->base, refused);
	nova_call_on_loss(&call->base, lost);
	nova_text_free(&escaped);
}

static void begin_list(struct call *call, json_t *unused)
{
	(void)unused;
	call->self->watch.relist = 1;
	for (struct vm *vm = call->self->vms; vm; vm = vm->next)
		vm->listed = 0;
	ask_page(call, "");
}

void watch_start(struct kubevirt *self)
{
	struct call *call;

	if (self->watch.call)
		return;
	call = (struct call *)nova_call_new(self->calls, 0);
	if (!call)
		return;
	call->self = self;
	call->base.deadline_ns = INT64_MAX;
	self->watch.call = &call->base;
	self->watch.alive_ns = nova_http_now_ns();
	begin_list(call, NULL);
	nova_call_return(&call->base);
}
