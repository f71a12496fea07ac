/* SPDX-License-Identifier: MIT */
/* VMs: identity, power, deletion, listing. Making them is in create.c, asking about them in
 * query.c. */
#include "kubevirt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long a VM may look as if it could not start before that is its end. */
#define TROUBLE_NS (5 * SECOND_NS)
#define CHECK_NS   (2 * SECOND_NS)
#define PAGE       500

/* --- identity --------------------------------------------------------------------------------- */

static int is_ours(const struct call *call, const json_t *object)
{
	return strncmp(call->name, OUR_PREFIX, strlen(OUR_PREFIX)) == 0 &&
	       strcmp(nova_json_text(object, "metadata.name", ""), call->name) == 0 &&
	       nova_json_text(object, "metadata.labels." OUR_LABEL, "")[0];
}

static void not_there(struct call *call, const char *why)
{
	if (call->missing_is_done) {
		watch_forget(call->self, call->name);
		nova_ssh_forget(call->self->ssh, call->name);
		nova_call_done(&call->base);
	} else {
		nova_call_fail(&call->base, NOVA_E_NOT_FOUND, "there is no VM '%s' in %s%s",
		               call->name, call->self->namespace, why);
	}
}

/*
 * A name may have become somebody else's VM. The uid is compared here, and where something is
 * changed it goes with the request, so that the API server itself compares it once more.
 */
static void take_vm(struct call *call, json_t *data)
{
	const char *uid = nova_json_text(data, "metadata.uid", "");

	if (!uid[0] || strlen(uid) >= sizeof(call->id)) {
		nova_call_puzzled(&call->base, "a VirtualMachine without uid");
	} else if (call->id[0] && strcmp(call->id, uid) != 0) {
		not_there(call, " any more: that name is another VM's now, and nothing was done to "
		                "it");
	} else if (!is_ours(call, data)) {
		nova_call_fail(&call->base, NOVA_E_REFUSED,
		               "VM '%s' in %s has not our prefix, " OUR_PREFIX
		               ", or not our label, " OUR_LABEL
		               ": it is not ours, so nothing was done to it",
		               call->name, call->self->namespace);
	} else {
		strcpy(call->id, uid);
		json_decref(call->object);
		call->object = json_incref(data);
		call->identified(call, data);
	}
}

/* "Not found" is about the VM, not about the whole API. */
static int is_missing(const struct nova_refusal *refusal)
{
	return refusal->code == NOVA_E_NOT_FOUND &&
	       nova_json_text(refusal->reply->json, "details.name", NULL) != NULL;
}

static int vm_missing(struct nova_call *base, const struct nova_refusal *refusal)
{
	if (!is_missing(refusal))
		return 0;
	not_there((struct call *)base, "");
	return 1;
}

void vm_identify(struct call *call, call_step then)
{
	call->identified = then;
	call_send(call, take_vm, "GET", NULL, KUBEVIRT "/%s/virtualmachines/%s",
	          call->self->namespace, call->name);
	nova_call_on_refusal(&call->base, vm_missing);
}

static void seen(struct call *call, json_t *data, const struct instance *now)
{
	json_decref(call->body);
	call->body = json_incref(data);
	memset(&call->now, 0, sizeof(call->now));
	if (now)
		call->now = *now;
	watch_prime(call->self, call->name, now);
	call->looked(call, data);
}

static void take_instance(struct call *call, json_t *data)
{
	struct instance now;

	if (!instance_read(data, &now) || strcmp(now.name, call->name) != 0)
		nova_call_puzzled(&call->base, "no VirtualMachineInstance of that name");
	else
		seen(call, data, &now);
}

static int no_instance(struct nova_call *base, const struct nova_refusal *refusal)
{
	if (!is_missing(refusal))
		return 0;
	seen((struct call *)base, NULL, NULL);
	return 1;
}

static void ask_instance(struct call *call, json_t *data)
{
	(void)data;
	call_send(call, take_instance, "GET", NULL, KUBEVIRT "/%s/virtualmachineinstances/%s",
	          call->self->namespace, call->name);
	nova_call_on_refusal(&call->base, no_instance);
}

void vm_look(struct call *call, call_step then)
{
	call->looked = then;
	vm_identify(call, ask_instance);
}

int vm_has_instance(const struct call *call)
{
	return call->now.uid[0] != '\0';
}

int vm_is_running(const struct call *call)
{
	return strcmp(call->now.phase, "Running") == 0 && !call->now.deleting;
}

void vm_stamp_start(struct call *call)
{
	call->self->host->put_i64(call->base.op, NOVA_FIELD_STARTED_NS, nova_http_now_ns());
}

/* --- runStrategy ------------------------------------------------------------------------------ */

static void changed_under_us(struct call *call, json_t *data)
{
	(void)data;
	nova_call_fail(&call->base, NOVA_E_BUSY,
	               "VM '%s' in %s was changed by somebody else at the same moment; try again",
	               call->name, call->self->namespace);
}

/* The uid in the request did not hold, or something else is not valid: which, tells a look. */
static int strategy_refused(struct nova_call *base, const struct nova_refusal *refusal)
{
	const char *words = refusal->words;

	if (is_missing(refusal)) {
		not_there((struct call *)base, "");
		return 1;
	}
	if (refusal->status != 409 &&
	    !(refusal->status == 422 && (strstr(words, "error in our request") ||
	                                 strstr(words, "test failed") || strstr(words, "testing"))))
		return 0;
	vm_identify((struct call *)base, changed_under_us);
	return 1;
}

void vm_change(struct call *call, call_step then, json_t *change)
{
	json_t *patch = json_pack("[{ssssss}o]", "op", "test", "path", "/metadata/uid", "value",
	                          call->id, change);

	call_send(call, then, "PATCH", patch, KUBEVIRT "/%s/virtualmachines/%s",
	          call->self->namespace, call->name);
	nova_call_on_refusal(&call->base, strategy_refused);
}

void vm_set_strategy(struct call *call, call_step then, const char *strategy)
{
	vm_change(
	        call, then,
	        json_pack("{ssssss}", "op", "add", "path", "/spec/runStrategy", "value", strategy));
}

/* --- off -------------------------------------------------------------------------------------- */

static int is_gone(struct call *call, const struct vm *vm)
{
	return strcmp(vm->seen.uid, call->now.uid) == 0 && call->now.uid[0] ? NOVA_PENDING
	                                                                    : NOVA_DONE;
}

static void ask_whether_gone(struct call *call, json_t *data);

/* The watch should have told; this is for when it is broken and nobody has noticed. */
static void look_whether_gone(struct call *call, json_t *data)
{
	struct instance now = call->now;
	call_step then = call->then;

	if (data && instance_read(data, &now) && strcmp(now.uid, call->now.uid) == 0)
		watch_wait(call, is_gone, then, ask_whether_gone, 5 * CHECK_NS);
	else
		then(call, NULL);
}

static int gone_for_sure(struct nova_call *base, const struct nova_refusal *refusal)
{
	struct call *call = (struct call *)base;

	if (!is_missing(refusal))
		return 0;
	call->then(call, NULL);
	return 1;
}

static void ask_whether_gone(struct call *call, json_t *data)
{
	(void)data;
	call_send(call, look_whether_gone, "GET", NULL, KUBEVIRT "/%s/virtualmachineinstances/%s",
	          call->self->namespace, call->name);
	nova_call_on_refusal(&call->base, gone_for_sure);
}

static void await_gone(struct call *call, json_t *data)
{
	(void)data;
	watch_wait(call, is_gone, call->then, ask_whether_gone, 5 * CHECK_NS);
}

/* "VM is not running": it ended by itself meanwhile, or its end is under way. */
static int stop_refused(struct nova_call *base, const struct nova_refusal *refusal)
{
	if (refusal->code != NOVA_E_BUSY && !is_missing(refusal))
		return 0;
	await_gone((struct call *)base, NULL);
	return 1;
}

/* One that has ended stays until its VM is told to halt. */
void vm_off(struct call *call, call_step then)
{
	call->then = then;
	if (!vm_has_instance(call)) {
		then(call, NULL);
	} else if (instance_is_final(&call->now)) {
		vm_set_strategy(call, await_gone, "Halted");
	} else {
		call_send(call, await_gone, "PUT", json_pack("{si}", "gracePeriod", 0),
		          SUBRESOURCES "/namespaces/%s/virtualmachines/%s/stop",
		          call->self->namespace, call->name);
		nova_call_on_refusal(&call->base, stop_refused);
	}
}

/* --- on --------------------------------------------------------------------------------------- */

static int fail_start(struct call *call, int code, const char *what, const char *why)
{
	nova_call_fail(&call->base, code, "VM '%s' in %s does not start: %s%s%.300s", call->name,
	               call->self->namespace, what, why[0] ? ": " : "", why);
	return code;
}

static int is_on(struct call *call, const struct vm *vm)
{
	const struct instance *seen = &vm->seen;

	if (!seen->uid[0] || strcmp(seen->uid, call->now.uid) == 0)
		return NOVA_PENDING;
	if (strcmp(seen->phase, "Running") == 0)
		return NOVA_DONE;
	if (instance_is_final(seen))
		return fail_start(call, NOVA_E_FAILED, "its instance ended as", seen->phase);
	return NOVA_PENDING;
}

/* What KubeVirt says of a VM that cannot start, and what it means here. */
static const struct {
	const char *status;
	int code;
} troubles[] = {
        {"ErrorUnschedulable", NOVA_E_FULL},
        {"ErrImagePull", NOVA_E_FAILED},
        {"ImagePullBackOff", NOVA_E_FAILED},
        {"CrashLoopBackOff", NOVA_E_FAILED},
        {"DataVolumeError", NOVA_E_FAILED},
        {"ErrorPvcNotFound", NOVA_E_NOT_FOUND},
        {"ErrorDataVolumeNotFound", NOVA_E_NOT_FOUND},
};

static int find_trouble(const char *status)
{
	for (size_t i = 0; i < sizeof(troubles) / sizeof(troubles[0]); i++) {
		if (strcmp(troubles[i].status, status) == 0)
			return troubles[i].code;
	}
	return NOVA_DONE;
}

/* Trouble may pass (an image's registry, a pod that is just leaving), so it must last. */
static int has_lasting_trouble(struct call *call)
{
	const char *status = nova_json_text(call->object, "status.printableStatus", "");
	const char *why = condition_complaint(call->body, "PodScheduled");
	int code = find_trouble(status);
	int64_t now_ns = nova_http_now_ns();

	if (code == NOVA_DONE) {
		call->trouble_ns = 0;
		return 0;
	}
	if (!why)
		why = condition_complaint(call->object, "Ready");
	if (!call->trouble_ns)
		call->trouble_ns = now_ns;
	if (now_ns - call->trouble_ns < TROUBLE_NS)
		return 0;
	fail_start(call, code, status, why ? why : "");
	return 1;
}

static void check_start(struct call *call, json_t *data);

static void checked_start(struct call *call, json_t *data)
{
	(void)data;
	/* call->now stays what it was before the start: the watch is compared with it */
	if (!has_lasting_trouble(call))
		watch_wait(call, is_on, call->then, check_start, CHECK_NS);
}

static void take_start_body(struct call *call, json_t *data)
{
	json_decref(call->body);
	call->body = json_incref(data);
	checked_start(call, data);
}

static int no_start_body(struct nova_call *base, const struct nova_refusal *refusal)
{
	if (!is_missing(refusal))
		return 0;
	take_start_body((struct call *)base, NULL);
	return 1;
}

static void ask_start_body(struct call *call, json_t *data)
{
	(void)data;
	call_send(call, take_start_body, "GET", NULL, KUBEVIRT "/%s/virtualmachineinstances/%s",
	          call->self->namespace, call->name);
	nova_call_on_refusal(&call->base, no_start_body);
}

static void check_start(struct call *call, json_t *data)
{
	(void)data;
	vm_identify(call, ask_start_body);
}

static void await_on(struct call *call, json_t *data)
{
	(void)data;
	watch_wait(call, is_on, call->then, check_start, CHECK_NS);
}

void vm_on(struct call *call, call_step then)
{
	call->then = then;
	call->trouble_ns = 0;
	/* with a container disk it is new at each start, and so is its host key */
	if (!nova_json_count(call->object, "spec.dataVolumeTemplates"))
		nova_ssh_forget(call->self->ssh, call->name);
	/* not Always: a VM that stops by itself is a result, and must not be started again */
	vm_set_strategy(call, await_on, "Once");
}

/* --- power ------------------------------------------------------------------------------------ */

static void start_now(struct call *call, json_t *data)
{
	(void)data;
	vm_stamp_start(call);
	vm_on(call, call_end);
}

static void send_start(struct call *call)
{
	if (!vm_has_instance(call))
		start_now(call, NULL);
	else if (instance_is_final(&call->now)) /* it shut itself down: first clear that away */
		vm_off(call, start_now);
	else if (call->now.deleting)
		watch_wait(call, is_gone, start_now, ask_whether_gone, 5 * CHECK_NS);
	else
		nova_call_fail(&call->base, NOVA_E_BUSY, "VM '%s' in %s is %s already", call->name,
		               call->self->namespace,
		               call->now.paused ? "paused: resume it"
		                                : "running, or being started");
}

static void told_to_shut_down(struct call *call, json_t *data)
{
	(void)data;
	nova_call_event(&call->base, call->name, NOVA_EVENT_SHUTDOWN, NOVA_SOURCE_API,
	                call->base.answered_ns, call->base.answered_ns - call->base.asked_ns);
	call->then = call_end;
	await_gone(call, NULL);
}

static void send_off(struct call *call)
{
	vm_stamp_start(call);
	if (!vm_has_instance(call))
		nova_call_done(&call->base);
	else if (call->action == NOVA_POWER_SHUTDOWN && !instance_is_final(&call->now))
		vm_set_strategy(call, told_to_shut_down, "Halted");
	else
		vm_off(call, call_end);
}

static int is_paused(struct call *call, const struct vm *vm)
{
	if (strcmp(vm->seen.uid, call->now.uid) != 0) {
		nova_call_fail(&call->base, NOVA_E_FAILED, "VM '%s' has stopped meanwhile",
		               call->name);
		return NOVA_E_FAILED;
	}
	return vm->seen.paused == (call->action == NOVA_POWER_PAUSE) ? NOVA_DONE : NOVA_PENDING;
}

static void await_paused(struct call *call, json_t *data)
{
	(void)data;
	watch_wait(call, is_paused, call_end, NULL, 0);
}

static void was_reset(struct call *call, json_t *data)
{
	(void)data;
	nova_call_event(&call->base, call->name, NOVA_EVENT_RUNNING, NOVA_SOURCE_API,
	                call->base.answered_ns, call->base.answered_ns - call->base.asked_ns);
	nova_call_done(&call->base);
}

static void send_verb(struct call *call)
{
	static const struct {
		uint32_t action;
		const char *verb;
		call_step then;
	} verbs[] = {{NOVA_POWER_PAUSE, "pause", await_paused},
	             {NOVA_POWER_RESUME, "unpause", await_paused},
	             {NOVA_POWER_RESET, "reset", was_reset}};

	if (!vm_is_running(call)) {
		nova_call_fail(&call->base, NOVA_E_BUSY, "VM '%s' in %s is not running", call->name,
		               call->self->namespace);
		return;
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (verbs[i].action != call->action)
			continue;
		vm_stamp_start(call);
		call_send(call, verbs[i].then, "PUT", json_object(),
		          SUBRESOURCES "/namespaces/%s/virtualmachineinstances/%s/%s",
		          call->self->namespace, call->name, verbs[i].verb);
	}
}

static void send_power(struct call *call, json_t *data)
{
	(void)data;
	switch (call->action) {
	case NOVA_POWER_START: send_start(call); break;
	case NOVA_POWER_SHUTDOWN:
	case NOVA_POWER_OFF: send_off(call); break;
	default: send_verb(call); break;
	}
}

int kubevirt_vm_power(void *self, nova_op op, const struct nova_ref *vm, uint32_t action)
{
	struct kubevirt *kubevirt = self;
	struct call *call;

	if (action != NOVA_POWER_START && action != NOVA_POWER_SHUTDOWN &&
	    action != NOVA_POWER_OFF && action != NOVA_POWER_PAUSE && action != NOVA_POWER_RESUME &&
	    action != NOVA_POWER_RESET)
		return kubevirt->host->errorf(op, NOVA_E_UNSUPPORTED,
		                              "this driver has no power action %u", action);
	if (action == NOVA_POWER_RESET && !(kubevirt->has & HAS_RESET))
		return kubevirt->host->error(op, NOVA_E_UNSUPPORTED,
		                             "this KubeVirt has no reset of a VM yet");
	call = call_new(kubevirt, op, vm);
	if (!call)
		return NOVA_E_MEMORY;
	call->action = action;
	if (call->name[0])
		vm_look(call, send_power);
	return nova_call_return(&call->base);
}

/* --- delete ----------------------------------------------------------------------------------- */

static void ask_deleted(struct nova_call *base)
{
	const struct call *call = (const struct call *)base;

	nova_call_send(base, NULL, "GET", NULL, KUBEVIRT "/%s/virtualmachines/%s",
	               call->self->namespace, call->name);
	nova_call_on_refusal(base, vm_missing);
}

static int look_deleted(struct nova_call *base, const struct nova_reply *reply,
                        struct nova_text *words)
{
	const struct call *call = (const struct call *)base;

	(void)words;
	/* another VM of that name is none of ours */
	return strcmp(nova_json_text(reply->json, "metadata.uid", ""), call->id) == 0 ? NOVA_PENDING
	                                                                              : NOVA_DONE;
}

static void deleted(struct nova_call *base, const struct nova_reply *reply)
{
	(void)reply;
	not_there((struct call *)base, "");
}

static void await_deleted(struct call *call, json_t *data)
{
	struct nova_poll poll = {.first_ns = call->self->poll_first_ns,
	                         .longest_ns = call->self->poll_longest_ns,
	                         .at_once = 1,
	                         .ask = ask_deleted,
	                         .look = look_deleted,
	                         .then = deleted};

	(void)data;
	snprintf(poll.name, sizeof(poll.name), "the deletion of VM %s", call->name);
	nova_call_poll(&call->base, &poll);
}

static void send_delete(struct call *call, json_t *data)
{
	(void)data;
	call_send(call, await_deleted, "DELETE", call_delete_options(call->id),
	          KUBEVIRT "/%s/virtualmachines/%s", call->self->namespace, call->name);
	nova_call_on_refusal(&call->base, strategy_refused);
}

/* Deleting alone would wait for the guest to shut down, up to the VM's grace period. */
static void stop_first(struct call *call, json_t *data)
{
	(void)data;
	vm_stamp_start(call);
	vm_off(call, send_delete);
}

int kubevirt_vm_delete(void *self, nova_op op, const struct nova_ref *vm)
{
	struct call *call = call_new(self, op, NULL);

	if (!call)
		return NOVA_E_MEMORY;
	call->missing_is_done = 1;
	if (call_set_name(call, vm->name)) {
		snprintf(call->id, sizeof(call->id), "%s", vm->id ? vm->id : "");
		if (!watch_know(self, vm->name))
			nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
		else
			vm_look(call, stop_first);
	}
	return nova_call_return(&call->base);
}

/* --- list ------------------------------------------------------------------------------------- */

static void ask_vms(struct call *call, const char *token);

static void take_vms(struct call *call, json_t *data)
{
	const char *token = nova_json_text(data, "metadata.continue", "");
	size_t length = strlen(call->prefix);
	size_t i;
	json_t *vm;

	if (!json_is_array(json_object_get(data, "items"))) {
		nova_call_puzzled(&call->base, "the list of VMs is not a list");
		return;
	}
	json_array_foreach(json_object_get(data, "items"), i, vm)
	{
		const char *name = nova_json_text(vm, "metadata.name", "");

		if (strncmp(name, call->prefix, length) == 0)
			call->self->host->put_fact(call->base.op, NOVA_FIELD_VM, name,
			                           nova_json_text(vm, "metadata.uid", ""));
	}
	if (*token)
		ask_vms(call, token);
	else
		nova_call_done(&call->base);
}

static void ask_vms(struct call *call, const char *token)
{
	struct nova_text escaped = {0};

	nova_text_escape_url(&escaped, token, strlen(token));
	call_send(call, take_vms, "GET", NULL,
	          KUBEVIRT "/%s/virtualmachines?labelSelector=" OUR_LABEL "&limit=%d&continue=%s",
	          call->self->namespace, PAGE, nova_text_get(&escaped));
	nova_text_free(&escaped);
}

int kubevirt_vm_list(void *self, nova_op op, const char *prefix)
{
	struct kubevirt *kubevirt = self;
	struct call *call;

	if (!prefix[0])
		return kubevirt->host->error(op, NOVA_E_INVALID, "a list of VMs needs a prefix");
	call = call_new(kubevirt, op, NULL);
	if (!call)
		return NOVA_E_MEMORY;
	call->prefix = strdup(prefix);
	if (!call->prefix)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else
		ask_vms(call, "");
	return nova_call_return(&call->base);
}
