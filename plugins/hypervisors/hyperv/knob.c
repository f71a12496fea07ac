/* SPDX-License-Identifier: MIT */
/* Knobs: properties of a VM's processor and memory settings. */
#include "hyperv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct knob {
	const char *name;
	const char *class_name, *property, *type; /* boolean: off or on */
	uint64_t least, most, unit, fallback;     /* value × unit is the property */
	const char *doc;
} knobs[] = {
        {"vm.cpu.weight", PROCESSOR_SETTINGS, "Weight", "uint32", 1, 10000, 1, 100,
         "1…10000: share of CPU time against other VMs"},
        {"vm.cpu.reserve", PROCESSOR_SETTINGS, "Reservation", "uint64", 0, 100, 1000, 0,
         "0…100: % of its processors' time that it always gets"},
        {"vm.cpu.limit", PROCESSOR_SETTINGS, "Limit", "uint64", 1, 100, 1000, 100000,
         "1…100: % of its processors' time that it gets at most"},
        {"vm.cpu.nested", PROCESSOR_SETTINGS, "ExposeVirtualizationExtensions", "boolean", 0, 1, 1,
         0, "off or on: it may run VMs itself; from the VM's next start on"},
        {"vm.numa.cpus", PROCESSOR_SETTINGS, "MaxProcessorsPerNumaNode", "uint64", 1, 2048, 1, 0,
         "most processors of one of its NUMA nodes; from the VM's next start on"},
        {"vm.memory.dynamic", MEMORY_SETTINGS, "DynamicMemoryEnabled", "boolean", 0, 1, 1, 0,
         "off or on: between vm.memory.minimum and its size; from the VM's next start on"},
        {"vm.memory.minimum", MEMORY_SETTINGS, "Reservation", "uint64", 32, 1048576, 1, 0,
         "MiB, even, at most its size: the least that dynamic memory leaves it"},
        {"vm.memory.weight", MEMORY_SETTINGS, "Weight", "uint32", 0, 10000, 1, 5000,
         "0…10000: whose dynamic memory grows first"},
};
#define KNOBS (sizeof(knobs) / sizeof(knobs[0]))

static const struct knob *find_knob(const char *name, size_t length)
{
	for (size_t i = 0; i < KNOBS; i++) {
		if (strlen(knobs[i].name) == length && strncmp(knobs[i].name, name, length) == 0)
			return &knobs[i];
	}
	return NULL;
}

static int is_switch(const struct knob *knob)
{
	return strcmp(knob->type, "boolean") == 0;
}

/* 0: it is no value of the knob. */
static int read_value(const struct knob *knob, const char *text, uint64_t *value)
{
	char *end = NULL;

	if (is_switch(knob)) {
		*value = strcmp(text, "on") == 0;
		return *value || strcmp(text, "off") == 0;
	}
	errno = 0;
	*value = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && !*end && !errno && *value >= knob->least &&
	       *value <= knob->most;
}

/* --- a new VM's ------------------------------------------------------------------------------- */

int knobs_check(const struct hyperv *self, nova_op op, const char *const *settings)
{
	for (; settings && *settings; settings++) {
		const char *equals = strchr(*settings, '=');
		const struct knob *knob =
		        equals ? find_knob(*settings, (size_t)(equals - *settings)) : NULL;
		uint64_t value;

		if (!knob)
			return self->host->errorf(op, NOVA_E_UNSUPPORTED,
			                          "this driver has no knob %.80s", *settings);
		if (!read_value(knob, equals + 1, &value))
			return self->host->errorf(op, NOVA_E_INVALID, "%.120s: it is %s", *settings,
			                          knob->doc);
	}
	return NOVA_DONE;
}

void knobs_take(struct call *call, const char *const *settings)
{
	for (; settings && *settings; settings++)
		nova_text_append(&call->knobs, *settings, strlen(*settings) + 1);
}

static void add_property(struct call *call, const struct knob *knob, uint64_t value)
{
	if (is_switch(knob))
		cim_property(&call->body, knob->property, knob->type, value ? "TRUE" : "FALSE");
	else
		cim_property_number(&call->body, knob->property, knob->type, value * knob->unit);
}

/* The last setting of a knob is the one that counts. */
static int is_set(const struct call *call, const struct knob *knob, uint64_t *value)
{
	size_t length = strlen(knob->name);
	int found = 0;

	for (size_t at = 0; at < call->knobs.used; at += strlen(call->knobs.text + at) + 1) {
		const char *setting = call->knobs.text + at;

		if (strncmp(setting, knob->name, length) == 0 && setting[length] == '=')
			found = read_value(knob, setting + length + 1, value);
	}
	return found;
}

int knobs_have(const struct call *call, const char *name)
{
	uint64_t value;

	return is_set(call, find_knob(name, strlen(name)), &value);
}

void knobs_add(struct call *call, const char *class_name)
{
	uint64_t value;

	for (size_t i = 0; i < KNOBS; i++) {
		if (strcmp(knobs[i].class_name, class_name) == 0 && is_set(call, &knobs[i], &value))
			add_property(call, &knobs[i], value);
	}
}

/* --- the ops ---------------------------------------------------------------------------------- */

static void put_knob(const struct call *call, const struct knob *knob,
                     const struct nova_xml_node *instance)
{
	char text[32];

	if (is_switch(knob))
		snprintf(text, sizeof(text), "%s",
		         nova_xml_flag(instance, NULL, knob->property, 0) ? "on" : "off");
	else
		snprintf(
		        text, sizeof(text), "%lld",
		        (long long)(item_number(instance, knob->property, (int64_t)knob->fallback) /
		                    (int64_t)knob->unit));
	call->self->host->put_fact(call->base.op, NOVA_FIELD_KNOB, knob->name, text);
}

static void list_instance(struct call *call, const struct nova_xml_node *instance)
{
	for (size_t i = 0; i < KNOBS; i++) {
		if (strcmp(nova_xml_name(instance), knobs[i].class_name) != 0)
			continue;
		put_knob(call, &knobs[i], instance);
		call->self->host->put_fact(call->base.op, NOVA_FIELD_KNOB_DOC, knobs[i].name,
		                           knobs[i].doc);
	}
}

static void done(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	nova_call_done(&call->base);
}

static void list_memory(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	vm_ask_settings(call, MEMORY_SETTINGS, list_instance, done);
}

static void list_processor(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	vm_ask_settings(call, PROCESSOR_SETTINGS, list_instance, list_memory);
}

static void keep_instance(struct call *call, const struct nova_xml_node *instance)
{
	const struct knob *knob = find_knob(call->label, strlen(call->label));

	snprintf(call->component, sizeof(call->component), "%.150s",
	         item_text(instance, "InstanceID"));
	if (!call->prefix[0])
		put_knob(call, knob, instance);
}

static void change(struct call *call, const struct nova_xml_node *unused)
{
	const struct knob *knob = find_knob(call->label, strlen(call->label));
	uint64_t value = 0;

	(void)unused;
	if (!call->component[0]) {
		nova_call_puzzled(&call->base, "the VM has no such settings");
		return;
	}
	if (!call->prefix[0] || !read_value(knob, call->prefix, &value)) {
		nova_call_done(&call->base);
		return;
	}
	order_service(call, MANAGE, "ModifyResourceSettings");
	cim_begin(&call->body, "ResourceSettings", knob->class_name);
	cim_property(&call->body, "InstanceID", "string", call->component);
	add_property(call, knob, value);
	cim_end(&call->body, "ResourceSettings");
	order_send(call, done);
}

static void look_and_change(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	call->component[0] = '\0';
	vm_ask_settings(call, find_knob(call->label, strlen(call->label))->class_name,
	                keep_instance, change);
}

static int knob_op(struct hyperv *self, nova_op op, const struct nova_ref *vm, const char *name,
                   const char *value, call_step then)
{
	const struct knob *knob = name ? find_knob(name, strlen(name)) : NULL;
	uint64_t number;
	struct call *call;

	if (name && !knob)
		return self->host->errorf(op, NOVA_E_NOT_FOUND, "this driver has no knob '%.60s'",
		                          name);
	if (value && !read_value(knob, value, &number))
		return self->host->errorf(op, NOVA_E_INVALID, "%s=%.60s: it is %s", name, value,
		                          knob->doc);
	call = call_new(self, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	snprintf(call->label, sizeof(call->label), "%s", name ? name : "");
	snprintf(call->prefix, sizeof(call->prefix), "%s", value ? value : "");
	vm_identify(call, then);
	return nova_call_return(&call->base);
}

int hyperv_knob_list(void *self, nova_op op, const struct nova_ref *vm)
{
	return knob_op(self, op, vm, NULL, NULL, list_processor);
}

int hyperv_knob_get(void *self, nova_op op, const struct nova_ref *vm, const char *knob)
{
	return knob_op(self, op, vm, knob, NULL, look_and_change);
}

int hyperv_knob_set(void *self, nova_op op, const struct nova_ref *vm, const char *knob,
                    const char *value)
{
	return knob_op(self, op, vm, knob, value, look_and_change);
}
