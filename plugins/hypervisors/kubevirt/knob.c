/* SPDX-License-Identifier: MIT */
/* Knobs: members of the VM's template, which its next instance is made of. */
#include "kubevirt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEMPLATE "spec.template.spec."

/* A knob's values and what they are in the cluster; the first one is no member at all. */
struct value {
	const char *name, *text; /* text NULL: true */
};

static const struct value switches[] = {{"off", NULL}, {"on", NULL}, {NULL, NULL}};
static const struct value threads[] = {
        {"off", NULL}, {"shared", "shared"}, {"auto", "auto"}, {NULL, NULL}};
static const struct value pages[] = {{"off", NULL}, {"2MiB", "2Mi"}, {"1GiB", "1Gi"}, {NULL, NULL}};
static const struct value caches[] = {{"default", NULL},
                                      {"none", "none"},
                                      {"writethrough", "writethrough"},
                                      {"writeback", "writeback"},
                                      {NULL, NULL}};
static const struct value ios[] = {
        {"default", NULL}, {"native", "native"}, {"threads", "threads"}, {NULL, NULL}};

static const struct knob {
	const char *name;
	const char *object, *member;
	const struct value *values; /* NULL: a name, or default */
	const char *inner;          /* the member is an object with it, and nothing else */
	const char *doc;
} knobs[] = {
        {"vm.cpu.mode", "domain.cpu", "model", NULL, NULL,
         "default, host-model, host-passthrough, or a model"},
        {"vm.cpu.dedicated", "domain.cpu", "dedicatedCpuPlacement", switches, NULL,
         "off or on: each vCPU has a CPU of the node for itself, by the kubelet's CPU manager"},
        {"vm.memory.hugepages", "domain.memory", "hugepages", pages, "pageSize",
         "off, 2MiB or 1GiB: of the node's that are set aside"},
        {"vm.disk.iothreads", "domain", "ioThreadsPolicy", threads, NULL,
         "off, shared (one for all disks) or auto"},
        {"vm.disk.cache", "domain.devices.disks[0]", "cache", caches, NULL,
         "default (KubeVirt chooses), none, writethrough or writeback"},
        {"vm.disk.io", "domain.devices.disks[0]", "io", ios, NULL,
         "default (KubeVirt chooses), native or threads"},
        {"vm.disk.queues", "domain.devices", "blockMultiQueue", switches, NULL,
         "off or on: a queue for each vCPU"},
        {"vm.net.queues", "domain.devices", "networkInterfaceMultiqueue", switches, NULL,
         "off or on: a queue for each vCPU"},
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

/* --- values ----------------------------------------------------------------------------------- */

static const struct value *find_value(const struct knob *knob, const char *name)
{
	for (const struct value *value = knob->values; value->name; value++) {
		if (strcmp(value->name, name) == 0)
			return value;
	}
	return NULL;
}

static int is_model(const char *name)
{
	return name[0] && strlen(name) < 64 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
	               strlen(name);
}

static int is_value(const struct knob *knob, const char *name)
{
	return knob->values ? find_value(knob, name) != NULL : is_model(name);
}

/* What a value is in the template; NULL: nothing. */
static json_t *to_member(const struct knob *knob, const char *name)
{
	const struct value *value = knob->values ? find_value(knob, name) : NULL;

	if (value == knob->values && (value || strcmp(name, "default") == 0))
		return NULL;
	if (value && !value->text)
		return json_true();
	return knob->inner ? json_pack("{ss}", knob->inner, value->text)
	                   : json_string(value ? value->text : name);
}

static const char *from_member(const struct knob *knob, const json_t *member)
{
	const json_t *inner = knob->inner ? json_object_get(member, knob->inner) : member;
	const char *text = json_string_value(inner);

	if (!knob->values)
		return text ? text : "default";
	for (const struct value *value = knob->values + 1; value->name; value++) {
		if (value->text ? text && strcmp(text, value->text) == 0 : json_is_true(inner))
			return value->name;
	}
	return text ? text : knob->values->name;
}

/* --- a new VM's ------------------------------------------------------------------------------- */

int knobs_check(const struct kubevirt *self, nova_op op, const char *const *settings)
{
	for (; settings && *settings; settings++) {
		const char *equals = strchr(*settings, '=');
		const struct knob *knob =
		        equals ? find_knob(*settings, (size_t)(equals - *settings)) : NULL;

		if (!knob)
			return self->host->errorf(op, NOVA_E_UNSUPPORTED,
			                          "this driver has no knob %.80s", *settings);
		if (!is_value(knob, equals + 1))
			return self->host->errorf(op, NOVA_E_INVALID, "%.120s: it is %s", *settings,
			                          knob->doc);
	}
	return NOVA_DONE;
}

void knobs_put(json_t *template, const char *const *settings)
{
	for (; settings && *settings; settings++) {
		const char *equals = strchr(*settings, '=');
		const struct knob *knob = find_knob(*settings, (size_t)(equals - *settings));
		char path[96];

		snprintf(path, sizeof(path), "spec.%s", knob->object);
		json_object_set_new(nova_json_at(template, path), knob->member,
		                    to_member(knob, equals + 1));
	}
}

static json_t *member_of(const json_t *object, const struct knob *knob)
{
	char path[96];

	snprintf(path, sizeof(path), TEMPLATE "%s.%s", knob->object, knob->member);
	return nova_json_at(object, path);
}

void knobs_copy(const json_t *from, json_t *to)
{
	for (size_t i = 0; i < KNOBS; i++) {
		json_t *member = member_of(from, &knobs[i]);
		char path[96];

		snprintf(path, sizeof(path), TEMPLATE "%s", knobs[i].object);
		if (member)
			json_object_set(nova_json_at(to, path), knobs[i].member, member);
	}
}

/* --- the ops ---------------------------------------------------------------------------------- */

static void put_knob(const struct call *call, const struct knob *knob)
{
	call->self->host->put_fact(call->base.op, NOVA_FIELD_KNOB, knob->name,
	                           from_member(knob, member_of(call->object, knob)));
}

static void list_knobs(struct call *call, json_t *data)
{
	(void)data;
	for (size_t i = 0; i < KNOBS; i++) {
		char doc[160];

		snprintf(doc, sizeof(doc), "%s; from the VM's next start on", knobs[i].doc);
		put_knob(call, &knobs[i]);
		call->self->host->put_fact(call->base.op, NOVA_FIELD_KNOB_DOC, knobs[i].name, doc);
	}
	nova_call_done(&call->base);
}

static void get_knob(struct call *call, json_t *data)
{
	(void)data;
	put_knob(call, find_knob(call->part, strlen(call->part)));
	nova_call_done(&call->base);
}

/* "domain.devices.disks[0]" and "io" as a JSON pointer. */
static void write_pointer(const struct knob *knob, struct nova_text *pointer)
{
	char path[96];

	snprintf(path, sizeof(path), TEMPLATE "%s.%s", knob->object, knob->member);
	nova_text_add(pointer, "/");
	for (const char *at = path; *at; at++) {
		if (*at == '.' || *at == '[')
			nova_text_add(pointer, "/");
		else if (*at != ']')
			nova_text_append(pointer, at, 1);
	}
}

static void set_knob(struct call *call, json_t *data)
{
	const struct knob *knob = find_knob(call->part, strlen(call->part));
	json_t *member = to_member(knob, call->prefix);
	struct nova_text pointer = {0};
	json_t *change;

	(void)data;
	if (!member && !member_of(call->object, knob)) {
		nova_call_done(&call->base);
		return;
	}
	write_pointer(knob, &pointer);
	change = json_pack("{ssss}", "op", member ? "add" : "remove", "path",
	                   nova_text_get(&pointer));
	if (member)
		json_object_set_new(change, "value", member);
	vm_change(call, call_end, change);
	nova_text_free(&pointer);
}

static int knob_op(struct kubevirt *self, nova_op op, const struct nova_ref *vm, const char *name,
                   const char *value, call_step then)
{
	const struct knob *knob = name ? find_knob(name, strlen(name)) : NULL;
	struct call *call;

	if (name && !knob)
		return self->host->errorf(op, NOVA_E_NOT_FOUND, "this driver has no knob '%.60s'",
		                          name);
	if (value && !is_value(knob, value))
		return self->host->errorf(op, NOVA_E_INVALID, "%s=%.60s: it is %s", name, value,
		                          knob->doc);
	call = call_new(self, op, vm);
	if (!call)
		return NOVA_E_MEMORY;
	snprintf(call->part, sizeof(call->part), "%s", name ? name : "");
	call->prefix = strdup(value ? value : "");
	if (!call->prefix)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else if (call->name[0])
		vm_identify(call, then);
	return nova_call_return(&call->base);
}

int kubevirt_knob_list(void *self, nova_op op, const struct nova_ref *vm)
{
	return knob_op(self, op, vm, NULL, NULL, list_knobs);
}

int kubevirt_knob_get(void *self, nova_op op, const struct nova_ref *vm, const char *knob)
{
	return knob_op(self, op, vm, knob, NULL, get_knob);
}

int kubevirt_knob_set(void *self, nova_op op, const struct nova_ref *vm, const char *knob,
                      const char *value)
{
	return knob_op(self, op, vm, knob, value, set_knob);
}
