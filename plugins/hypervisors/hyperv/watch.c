/* SPDX-License-Identifier: MIT */
/*
 * When guests answer: one question about the heartbeats of all VMs at each interval, however many
 * are waited for. It outlives the ops that began to wait.
 */
#include "hyperv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_NS (600 * SECOND_NS)

/* OperationalStatus of Msvm_HeartbeatComponent: the guest answers. */
#define BEATS 2

struct watched {
	struct watched *next;
	char guid[40], name[128];
	int anew;          /* its heartbeat is still the one before the reset */
	int64_t silent_ns; /* asked then, the guest did not answer */
	int64_t until_ns;
};

static void drop(struct watched **link)
{
	struct watched *one = *link;

	*link = one->next;
	free(one);
}

void watch_forget(struct hyperv *self, const char *guid)
{
	struct watched **link = &self->watched;

	while (*link) {
		if (strcasecmp((*link)->guid, guid) == 0)
			drop(link);
		else
			link = &(*link)->next;
	}
}

void watch_close(struct hyperv *self)
{
	while (self->watched)
		drop(&self->watched);
}

static struct watched **find(struct hyperv *self, const char *guid)
{
	struct watched **link = &self->watched;

	while (*link && strcasecmp((*link)->guid, guid) != 0)
		link = &(*link)->next;
	return *link ? link : NULL;
}

static void look_at_heartbeat(struct call *call, const struct nova_xml_node *instance)
{
	struct watched **link = find(call->self, item_text(instance, "SystemName"));
	int64_t asked_ns = call->base.asked_ns;

	/* what was asked before the VM was waited for says nothing about it */
	if (!link || (*link)->silent_ns > asked_ns)
		return;
	if (item_number(instance, "OperationalStatus", 0) != BEATS) {
		(*link)->anew = 0;
		(*link)->silent_ns = asked_ns;
	} else if (!(*link)->anew) {
		nova_call_event(&call->base, (*link)->name, NOVA_EVENT_READY, NOVA_SOURCE_POLL,
		                call->base.answered_ns,
		                call->base.answered_ns - (*link)->silent_ns);
		drop(link);
	}
}

static void ask(struct call *call, const struct nova_xml_node *unused);

static void asked(struct call *call, const struct nova_xml_node *unused)
{
	struct watched **link = &call->self->watched;

	(void)unused;
	while (*link) {
		if (nova_http_now_ns() > (*link)->until_ns)
			drop(link);
		else
			link = &(*link)->next;
	}
	if (call->self->watched) {
		call_pause(call, ask, call->self->ready_ns);
	} else {
		call->self->watcher = NULL;
		nova_call_done(&call->base);
	}
}

static int refused(struct nova_call *base, const struct nova_refusal *refusal)
{
	(void)refusal;
	call_pause((struct call *)base, ask, ((struct call *)base)->self->ready_ns);
	return 1;
}

/* A host that is away for a while has guests that may yet answer. */
static int lost(struct nova_call *base, int code, const char *why)
{
	(void)code;
	(void)why;
	return refused(base, NULL);
}

static void ask(struct call *call, const struct nova_xml_node *unused)
{
	if (!call->self->watched) {
		asked(call, unused);
		return;
	}
	wql_begin(call, "select * from Msvm_HeartbeatComponent");
	wql_send(call, CIM_VIRT, look_at_heartbeat, asked);
}

void watch_ready(const struct call *started, int anew)
{
	struct hyperv *self = started->self;
	struct watched *one = self->heartbeat ? calloc(1, sizeof(*one)) : NULL;
	struct call *call;

	if (!one)
		return;
	watch_forget(self, started->guid);
	snprintf(one->guid, sizeof(one->guid), "%s", started->guid);
	snprintf(one->name, sizeof(one->name), "%s", started->name);
	one->anew = anew;
	one->silent_ns = nova_http_now_ns();
	one->until_ns = one->silent_ns + WAIT_NS;
	one->next = self->watched;
	self->watched = one;
	if (self->watcher)
		return;
	call = call_new(self, 0, NULL);
	if (!call)
		return;
	call->base.deadline_ns = INT64_MAX;
	call->refused = refused;
	call->lost = lost;
	self->watcher = call;
	ask(call, NULL);
	nova_call_return(&call->base);
}
