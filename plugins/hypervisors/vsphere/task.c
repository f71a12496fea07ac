/* SPDX-License-Identifier: MIT */
/* Waiting for what takes time: tasks, and changes of a VM. The watch hurries the questions. */
#include "vsphere.h"

#include <stdio.h>
#include <string.h>

/* While there is a watch, questions are only in case that it has missed something. */
#define WATCHED_NS (5 * SECOND_NS)

static void begin_waiting(struct call *call, const struct moref *what, struct nova_poll *poll)
{
	const struct vsphere *self = call->self;

	watch_drop(call);
	call->awaited = *what;
	call->running_ns = call->base.asked_ns;
	call->news_ns = 0;
	poll->first_ns = self->watch.up ? WATCHED_NS : self->poll_first_ns;
	poll->longest_ns = self->watch.up ? WATCHED_NS : self->poll_longest_ns;
	poll->at_once = 1; /* short ones have ended already */
}

/* --- tasks --------------------------------------------------------------------------------------
 */

static void ask_task(struct nova_call *base)
{
	struct call *call = (struct call *)base;

	props_ask(call, NULL, &call->awaited,
	          "info.state info.error info.result info.progress info.cancelable");
}

static void stop_task(struct nova_call *base)
{
	struct call *call = (struct call *)base;

	soap_begin(call, "CancelTask", &call->awaited);
	soap_order(call, NULL);
}

/* The object of an answer to ask_task or to a question of task_await_vm; NULL: puzzled. */
static const struct nova_xml_node *looked_at(struct call *call, const struct nova_reply *reply)
{
	const struct nova_xml_node *object =
	        nova_xml_at(nova_xml_first(nova_xml_reply(reply), SOAP, "Body"), VIM,
	                    "RetrievePropertiesExResponse/returnval/objects");
	struct moref found;

	if (props_object(object, &found) && moref_same(&found, &call->awaited))
		return object;
	call_puzzled(call, "it says nothing of the object that was asked for");
	return NULL;
}

static void put_progress(const struct call *call, const struct nova_xml_node *task)
{
	int64_t percent = props_number(task, "info.progress", -1);

	if (call->base.op && percent >= 0 && percent <= 100)
		call->self->host->put_f64(call->base.op, NOVA_FIELD_PROGRESS,
		                          (double)percent / 100);
}

static int look_at_task(struct nova_call *base, const struct nova_reply *reply,
                        struct nova_text *words)
{
	struct call *call = (struct call *)base;
	const struct nova_xml_node *task = looked_at(call, reply);
	const char *state = props_text(task, "info.state", "");
	struct fault fault;

	if (!task)
		return NOVA_E_PROTOCOL;
	if (strcmp(state, "queued") == 0 || strcmp(state, "running") == 0) {
		call->running_ns = base->asked_ns;
		watch_add(call); /* not before: many have ended when they are first looked at */
		put_progress(call, task);
		return NOVA_PENDING;
	}
	watch_drop(call);
	if (strcmp(state, "success") == 0) {
		soap_read_moref(props_value(task, "info.result"), &call->task_result);
		return NOVA_DONE;
	}
	if (strcmp(state, "error") != 0) {
		call_puzzled(call, "a task in a state that there is not");
		return NOVA_E_PROTOCOL;
	}
	fault_of_method(props_value(task, "info.error"), &fault);
	nova_text_add(words, fault.text);
	return fault.code;
}

static void task_ended(struct nova_call *base, const struct nova_reply *reply)
{
	struct call *call = (struct call *)base;

	(void)reply;
	call->task_step(call, NULL);
}

static void take_task(struct call *call, const struct nova_xml_node *result)
{
	struct nova_poll poll = {.ask = ask_task,
	                         .look = look_at_task,
	                         .stop = stop_task,
	                         .then = task_ended,
	                         .failed = call->task_failed};
	struct moref task;

	if (!soap_read_moref(nova_xml_first(result, VIM, "returnval"), &task)) {
		call_puzzled(call, "it was to name a task, and did not");
		return;
	}
	call->task_result = (struct moref){0};
	snprintf(poll.name, sizeof(poll.name), "the task %s of VM '%.100s'", call->method,
	         call->name);
	begin_waiting(call, &task, &poll);
	nova_call_poll(&call->base, &poll);
}

void task_order(struct call *call, call_step step)
{
	call->task_step = step;
	call->task_failed = NULL;
	soap_order(call, take_task);
}

/* Between the last look that saw it running and the news of its end, or the look that saw that. */
void task_event(struct call *call, uint32_t kind)
{
	int told = call->news_ns > call->running_ns;
	int64_t t_ns = told ? call->news_ns : call->base.answered_ns;

	nova_call_event(&call->base, call->name, kind, told ? NOVA_SOURCE_WATCH : NOVA_SOURCE_POLL,
	                t_ns, t_ns - call->running_ns);
}

/* --- VMs ----------------------------------------------------------------------------------------
 */

static void ask_vm(struct nova_call *base)
{
	struct call *call = (struct call *)base;

	props_ask(call, NULL, &call->vm, call->wait.paths);
}

static int look_at_vm(struct nova_call *base, const struct nova_reply *reply,
                      struct nova_text *words)
{
	struct call *call = (struct call *)base;
	const struct nova_xml_node *vm = looked_at(call, reply);
	int code;

	(void)words;
	if (!vm)
		return NOVA_E_PROTOCOL;
	code = call->wait.look(call, vm);
	if (code == NOVA_PENDING) {
		call->running_ns = base->asked_ns;
		watch_add(call);
	} else {
		watch_drop(call);
	}
	return code;
}

static void vm_changed(struct nova_call *base, const struct nova_reply *reply)
{
	struct call *call = (struct call *)base;

	(void)reply;
	call->wait.then(call, NULL);
}

void task_await_vm(struct call *call, const struct vm_wait *wait)
{
	struct nova_poll poll = {.ask = ask_vm, .look = look_at_vm, .then = vm_changed};

	call->wait = *wait;
	snprintf(poll.name, sizeof(poll.name), "%s of VM '%.100s'", wait->what, call->name);
	begin_waiting(call, &call->vm, &poll);
	nova_call_poll(&call->base, &poll);
}
