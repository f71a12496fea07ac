/* SPDX-License-Identifier: MIT */
/* Knobs: what a VM gets of CPU and memory beside others, and how fast it is to be answered. */
#include "vsphere.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_SHARES 1000000 /* the API's own limit, of memory and CPU both */

enum part { RESERVATION, LIMIT, SHARES, LEVEL };

/* In the order of a VirtualMachineConfigSpec. */
static const struct knob {
	const char *name;
	const char *element; /* of the specification, and of the VM's config */
	enum part part;
	int64_t least, most;
	const char *doc;
} knobs[KNOBS] = {
        {"vm.cpu.reservation", "cpuAllocation", RESERVATION, 0, INT32_MAX,
         "MHz that are the VM's alone"},
        {"vm.cpu.limit", "cpuAllocation", LIMIT, -1, INT32_MAX, "most MHz; -1: no limit"},
        {"vm.cpu.shares", "cpuAllocation", SHARES, 1, MOST_SHARES,
         "1…1000000, or low, normal, high: share of CPU time against other VMs"},
        {"vm.memory.reservation", "memoryAllocation", RESERVATION, 0, INT32_MAX,
         "MiB that are the VM's alone"},
        {"vm.memory.limit", "memoryAllocation", LIMIT, -1, INT32_MAX,
         "most MiB of the host's memory; -1: no limit"},
        {"vm.memory.shares", "memoryAllocation", SHARES, 1, MOST_SHARES,
         "1…1000000, or low, normal, high: share of memory against other VMs"},
        {"vm.latency.sensitivity", "latencySensitivity", LEVEL, 0, 1,
         "normal or high; high wants all memory and CPU reserved"},
};

static const char *const levels[] = {"normal", "high"};
/* Of shares: numbers below 0 stand for them. */
static const char *const share_levels[] = {"low", "normal", "high"};
static const char *const parts[] = {"reservation", "limit", "shares/shares", "level"};
/* What holds where a VM says nothing. */
static const char *const fallbacks[] = {"0", "-1", "normal", "normal"};

#define PATHS "config.cpuAllocation config.memoryAllocation config.latencySensitivity"

static int find_knob(const char *name, size_t length)
{
	for (int i = 0; i < KNOBS; i++) {
		if (strlen(knobs[i].name) == length && strncmp(knobs[i].name, name, length) == 0)
			return i;
	}
	return -1;
}

/* --- asking -------------------------------------------------------------------------------------
 */

static void put_knob(const struct call *call, const struct nova_xml_node *vm, int i)
{
	enum part part = knobs[i].part;
	const struct nova_xml_node *element;
	const char *level;
	char path[48];

	snprintf(path, sizeof(path), "config.%s", knobs[i].element);
	element = props_value(vm, path);
	level = nova_xml_text(element, VIM, "shares/level", "custom");
	call->self->host->put_fact(
	        call->base.op, NOVA_FIELD_KNOB, knobs[i].name,
	        part == SHARES && strcmp(level, "custom") != 0
	                ? level
	                : nova_xml_text(element, VIM, parts[part], fallbacks[part]));
}

static void list_knobs(struct call *call, const struct nova_xml_node *result)
{
	for (int i = 0; i < KNOBS; i++) {
		put_knob(call, props_first(result), i);
		call->self->host->put_fact(call->base.op, NOVA_FIELD_KNOB_DOC, knobs[i].name,
		                           knobs[i].doc);
	}
	nova_call_done(&call->base);
}

static void get_knob(struct call *call, const struct nova_xml_node *result)
{
	put_knob(call, props_first(result), find_knob(call->label, strlen(call->label)));
	nova_call_done(&call->base);
}

static void ask_list(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	props_ask(call, list_knobs, &call->vm, PATHS);
}

static void ask_one(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	props_ask(call, get_knob, &call->vm, PATHS);
}

/* --- setting ------------------------------------------------------------------------------------
 */

static int find_level(const char *const *names, int count, const char *text)
{
	for (int i = 0; i < count; i++) {
		if (strcmp(names[i], text) == 0)
			return i;
	}
	return -1;
}

static int read_value(const struct knob *knob, const char *text, int64_t *value)
{
	int level = find_level(share_levels, 3, text);
	char *end;

	if (knob->part == LEVEL) {
		*value = find_level(levels, 2, text);
		return *value >= 0;
	}
	if (knob->part == SHARES && level >= 0) {
		*value = -1 - level;
		return 1;
	}
	*value = strtoll(text, &end, 10);
	return *text && !*end && *value >= knob->least && *value <= knob->most;
}

/* "vm.cpu.shares=2000" */
static int take_knob(struct call *call, const char *setting)
{
	const char *equals = strchr(setting, '=');
	int i = equals ? find_knob(setting, (size_t)(equals - setting)) : -1;

	if (i >= 0 && read_value(&knobs[i], equals + 1, &call->knobs[i])) {
		call->knobs_given |= 1u << i;
		return 1;
	}
	if (i >= 0)
		nova_call_fail(&call->base, NOVA_E_INVALID, "%.100s: it takes %s", setting,
		               knobs[i].doc);
	else
		nova_call_fail(&call->base, NOVA_E_UNSUPPORTED,
		               "vSphere has no knob %.80s here; it has vm.cpu.reservation, …limit "
		               "and …shares, the same of vm.memory, and vm.latency.sensitivity",
		               setting);
	return 0;
}

int knobs_take(struct call *call, const char *const *settings)
{
	for (size_t i = 0; settings && settings[i]; i++) {
		if (!take_knob(call, settings[i]))
			return 0;
	}
	return 1;
}

static void add_part(struct nova_text *body, const struct knob *knob, int64_t value)
{
	if (knob->part == LEVEL) {
		nova_xml_add(body, "level", levels[value]);
	} else if (knob->part == SHARES) {
		nova_text_add(body, "<shares>");
		nova_xml_add_number(body, "shares", value > 0 ? value : 0); /* of a level unread */
		nova_xml_add(body, "level", value > 0 ? "custom" : share_levels[-1 - value]);
		nova_text_add(body, "</shares>");
	} else {
		nova_xml_add_number(body, parts[knob->part], value);
	}
}

void knobs_add(struct nova_text *body, const struct call *call)
{
	const char *open = NULL;

	for (int i = 0; i < KNOBS; i++) {
		if (!(call->knobs_given & 1u << i))
			continue;
		if (open && strcmp(open, knobs[i].element) != 0)
			nova_text_printf(body, "</%s>", open);
		if (!open || strcmp(open, knobs[i].element) != 0)
			nova_text_printf(body, "<%s>", knobs[i].element);
		open = knobs[i].element;
		add_part(body, &knobs[i], call->knobs[i]);
	}
	if (open)
		nova_text_printf(body, "</%s>", open);
}

static void set_done(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	nova_call_done(&call->base);
}

static void send_knob(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	soap_begin(call, "ReconfigVM_Task", &call->vm);
	nova_text_add(&call->body, "<spec>");
	knobs_add(&call->body, call);
	nova_text_add(&call->body, "</spec>");
	task_order(call, set_done);
}

/* --- the ops ------------------------------------------------------------------------------------
 */

static int knob_op(struct vsphere *self, nova_op op, const struct nova_ref *vm, const char *knob,
                   const char *value, call_step then)
{
	struct call *call;
	char setting[128];

	if (knob && find_knob(knob, strlen(knob)) < 0)
		return self->host->errorf(op, NOVA_E_NOT_FOUND, "this driver has no knob '%.60s'",
		                          knob);
	call = call_new(self, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	snprintf(call->label, sizeof(call->label), "%s", knob ? knob : "");
	snprintf(setting, sizeof(setting), "%.40s=%.60s", call->label, value ? value : "");
	if (!value || take_knob(call, setting))
		vm_identify(call, then);
	return nova_call_return(&call->base);
}

int vsphere_knob_list(void *self, nova_op op, const struct nova_ref *vm)
{
	return knob_op(self, op, vm, NULL, NULL, ask_list);
}

int vsphere_knob_get(void *self, nova_op op, const struct nova_ref *vm, const char *knob)
{
	return knob_op(self, op, vm, knob, NULL, ask_one);
}

int vsphere_knob_set(void *self, nova_op op, const struct nova_ref *vm, const char *knob,
                     const char *value)
{
	return knob_op(self, op, vm, knob, value, send_knob);
}
