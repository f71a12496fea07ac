/* SPDX-License-Identifier: MIT */
/*
 * Notifications: one long question for the whole instance, of whatever its calls wait for (tasks,
 * VMs), which stand in a list that is kept on the server. News only hurry a call's own question: so
 * a watch that is lost, late or not to be had costs time, never a wrong answer.
 */
#include "vsphere.h"

#include <stdio.h>
#include <string.h>

/* The server answers that nothing has changed after so long. */
#define WAIT_S           25
#define LONGEST_PAUSE_NS (60 * SECOND_NS)

static void wait_for_news(struct call *call, const struct nova_xml_node *unused);
static void build(struct call *call, const struct nova_xml_node *unused);
static void modify_list(struct vsphere *self);

/* --- the watch is lost --------------------------------------------------------------------------
 */

/* Whoever waited for news asks for himself, and waits for the next watch. */
static void lose(struct call *call)
{
	struct watch *watch = &call->self->watch;

	watch->up = 0;
	for (struct call *one = call->self->first_waiting; one; one = one->next_waiting) {
		one->is_listed = 0;
		nova_call_poll_now(&one->base, call->self->poll_longest_ns);
	}
	watch->pause_ns = watch->pause_ns ? watch->pause_ns * 2 : SECOND_NS;
	if (watch->pause_ns > LONGEST_PAUSE_NS)
		watch->pause_ns = LONGEST_PAUSE_NS;
	call_pause(call, build, watch->pause_ns);
}

static int refused(struct nova_call *base, const struct nova_refusal *refusal)
{
	(void)refusal;
	lose((struct call *)base);
	return 1;
}

static int lost(struct nova_call *base, int code, const char *why)
{
	(void)code;
	(void)why;
	lose((struct call *)base);
	return 1;
}

static void ask(struct call *call, call_step step)
{
	soap_order(call, step); /* what it makes there would be made twice */
	nova_call_on_refusal(&call->base, refused);
	nova_call_on_loss(&call->base, lost);
}

/* --- news ---------------------------------------------------------------------------------------
 */

static void take_update(struct call *call, const struct nova_xml_node *update)
{
	struct moref object;

	if (!soap_read_moref(nova_xml_first(update, VIM, "obj"), &object))
		return;
	for (struct call *one = call->self->first_waiting; one; one = one->next_waiting) {
		if (!moref_same(&one->awaited, &object))
			continue;
		one->news_ns = call->base.answered_ns;
		nova_call_poll_now(&one->base, 0);
	}
}

static void take_news(struct call *call, const struct nova_xml_node *result)
{
	struct watch *watch = &call->self->watch;
	const struct nova_xml_node *set = nova_xml_first(result, VIM, "returnval");
	const struct nova_xml_node *filter = nova_xml_first(set, VIM, "filterSet");
	const char *version = nova_xml_text(set, VIM, "version", "");

	for (; filter; filter = nova_xml_next(filter, VIM, "filterSet")) {
		const struct nova_xml_node *update = nova_xml_first(filter, VIM, "objectSet");

		for (; update; update = nova_xml_next(update, VIM, "objectSet"))
			take_update(call, update);
	}
	if (*version)
		snprintf(watch->version, sizeof(watch->version), "%s", version);
	watch->up = 1;
	watch->pause_ns = 0;
	modify_list(call->self); /* what began to wait meanwhile */
	/* with nothing in the list there may be no version yet, and no waiting */
	call_pause(call, wait_for_news, *version ? 0 : SECOND_NS);
}

static void wait_for_news(struct call *call, const struct nova_xml_node *unused)
{
	struct watch *watch = &call->self->watch;

	(void)unused;
	soap_begin(call, "WaitForUpdatesEx", &watch->collector);
	if (watch->version[0])
		nova_xml_add(&call->body, "version", watch->version);
	nova_text_add(&call->body, "<options>");
	nova_xml_add_number(&call->body, "maxWaitSeconds", watch->version[0] ? WAIT_S : 0);
	nova_text_add(&call->body, "</options>");
	call->base.deadline_ns = INT64_MAX;
	ask(call, take_news);
}

/* --- making it ----------------------------------------------------------------------------------
 */

static void filter_vms(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	soap_begin(call, "CreateFilter", &call->self->watch.collector);
	props_add_list_filter(&call->body, &call->self->watch.list, "VirtualMachine",
	                      "runtime.powerState guest.toolsRunningStatus");
	ask(call, wait_for_news);
}

/* A filter each: where one names several types, some servers stumble over objects that are gone. */
static void filter_tasks(struct call *call, const struct nova_xml_node *result)
{
	struct watch *watch = &call->self->watch;

	if (!soap_read_moref(nova_xml_first(result, VIM, "returnval"), &watch->list)) {
		lose(call);
		return;
	}
	soap_begin(call, "CreateFilter", &watch->collector);
	props_add_list_filter(&call->body, &watch->list, "Task", "info.state");
	ask(call, filter_vms);
}

static void make_list(struct call *call, const struct nova_xml_node *result)
{
	struct watch *watch = &call->self->watch;

	if (!soap_read_moref(nova_xml_first(result, VIM, "returnval"), &watch->collector)) {
		lose(call);
		return;
	}
	soap_begin(call, "CreateListView", &call->self->views);
	ask(call, filter_tasks);
}

/* A collector of our own: the session's may be somebody else's, too. */
static void build(struct call *call, const struct nova_xml_node *unused)
{
	struct watch *watch = &call->self->watch;

	(void)unused;
	watch->version[0] = '\0';
	soap_begin(call, "CreatePropertyCollector", &call->self->properties);
	ask(call, make_list);
}

void watch_start(struct vsphere *self)
{
	struct call *call = self->watch.call ? NULL : call_new(self, 0, NULL);

	if (!call)
		return;
	self->watch.call = call;
	call->base.deadline_ns = INT64_MAX;
	build(call, NULL);
	nova_call_return(&call->base);
}

/* --- the list -----------------------------------------------------------------------------------
 */

static void modified(struct call *call, const struct nova_xml_node *result)
{
	(void)result;
	call->self->watch.modifying = 0;
	modify_list(call->self);
	nova_call_done(&call->base);
}

/* Something of it is gone already: whoever waits for the rest asks for himself. */
static int not_modified(struct nova_call *base, const struct nova_refusal *refusal)
{
	(void)refusal;
	((struct call *)base)->self->watch.modifying = 0;
	nova_call_done(base);
	return 1;
}

static int modifying_lost(struct nova_call *base, int code, const char *why)
{
	(void)code;
	(void)why;
	return not_modified(base, NULL);
}

/* One change at a time, of all that has come up until then. */
static void modify_list(struct vsphere *self)
{
	struct call *call = NULL;

	if (!self->watch.up || self->watch.modifying)
		return;
	for (struct call *one = self->first_waiting; one; one = one->next_waiting) {
		if (one->is_listed)
			continue;
		if (!call) {
			call = call_new(self, 0, NULL);
			if (!call)
				return;
			soap_begin(call, "ModifyListView", &self->watch.list);
		}
		soap_add_moref(&call->body, "add", &one->awaited);
		one->is_listed = 1;
	}
	if (!call)
		return;
	self->watch.modifying = 1;
	nova_text_append(&call->body, self->watch.done_with.text, self->watch.done_with.used);
	nova_text_free(&self->watch.done_with);
	soap_order(call, modified);
	nova_call_on_refusal(&call->base, not_modified);
	nova_call_on_loss(&call->base, modifying_lost);
	nova_call_return(&call->base);
}

void watch_add(struct call *call)
{
	struct vsphere *self = call->self;

	if (call->is_waiting)
		return;
	call->is_listed = 0;
	call->is_waiting = 1;
	call->next_waiting = self->first_waiting;
	self->first_waiting = call;
	modify_list(self);
}

void watch_drop(struct call *call)
{
	struct call **link = call->is_waiting ? &call->self->first_waiting : NULL;

	if (!link)
		return;
	while (*link != call)
		link = &(*link)->next_waiting;
	*link = call->next_waiting;
	call->is_waiting = 0;
	/* goes with the next change of the list; two may wait for one VM: then it is put in again
	 */
	if (call->is_listed)
		soap_add_moref(&call->self->watch.done_with, "remove", &call->awaited);
}
