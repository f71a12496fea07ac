/* SPDX-License-Identifier: MIT */
/*
 * Making VMs: clones of templates and of VMs, VMs with a disk of their own. All begin as a clone
 * of a template, as XenAPI wants it; each then has its name from the first moment on.
 */
#include "xcpng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STUB_BYTES (4ll * MIB) /* less than storage repositories take is rounded up */

static void created(struct call *call, json_t *unused);

static void not_one(struct call *call, size_t count, const char *kind, const char *name)
{
	nova_call_fail(&call->base, count ? NOVA_E_INVALID : NOVA_E_NOT_FOUND,
	               "there must be one %s '%s' at %s, and there are %zu%s", kind, name,
	               call->self->base, count, count ? ": give its UUID" : "");
}

/* --- knobs, network card, size: one after the other ------------------------------------------- */

static void next_knob(struct call *call, json_t *unused)
{
	const json_t *knob = json_array_get(call->more, call->index);

	(void)unused;
	if (!knob) {
		created(call, NULL);
		return;
	}
	call->index++;
	call_rpc(call, next_knob, "VM.add_to_VCPUs_params", "[sss]", call->ref,
	         nova_json_text(knob, "[0]", ""), nova_json_text(knob, "[1]", ""));
}

static void drop_knob(struct call *call, json_t *unused)
{
	const json_t *knob = json_array_get(call->more, call->index);

	(void)unused;
	if (!knob) {
		call->index = 0;
		next_knob(call, NULL);
		return;
	}
	call->index++; /* the template may have it already */
	call_rpc(call, drop_knob, "VM.remove_from_VCPUs_params", "[ss]", call->ref,
	         nova_json_text(knob, "[0]", ""));
}

static void set_affinity(struct call *call, json_t *unused)
{
	(void)unused;
	call->index = 0;
	if (call->self->host_ref[0])
		call_rpc(call, drop_knob, "VM.set_affinity", "[ss]", call->ref,
		         call->self->host_ref);
	else
		drop_knob(call, NULL);
}

/* There are never more at the start than at most, not even for a moment. */
static void set_cpus_last(struct call *call, json_t *unused)
{
	int more = call->vcpus > nova_json_number(call->record, "VCPUs_max", 1);
	char number[24];

	(void)unused;
	snprintf(number, sizeof(number), "%lld", (long long)call->vcpus);
	call_rpc(call, set_affinity, more ? "VM.set_VCPUs_at_startup" : "VM.set_VCPUs_max", "[ss]",
	         call->ref, number);
}

/* Integers are texts on this wire. */
static void set_cpus_first(struct call *call, json_t *unused)
{
	int more = call->vcpus > nova_json_number(call->record, "VCPUs_max", 1);
	char number[24];

	(void)unused;
	snprintf(number, sizeof(number), "%lld", (long long)call->vcpus);
	call_rpc(call, set_cpus_last, more ? "VM.set_VCPUs_max" : "VM.set_VCPUs_at_startup", "[ss]",
	         call->ref, number);
}

static void set_memory(struct call *call, json_t *unused)
{
	int64_t least = nova_json_number(call->record, "memory_static_min", 0);
	char number[24], smallest[24];

	(void)unused;
	if (least <= 0 || least > call->memory)
		least = call->memory;
	snprintf(number, sizeof(number), "%lld", (long long)call->memory);
	snprintf(smallest, sizeof(smallest), "%lld", (long long)least);
	call_rpc(call, set_cpus_first, "VM.set_memory_limits", "[sssss]", call->ref, smallest,
	         number, number, number);
}

static void add_card(struct call *call, json_t *unused)
{
	const char *network = call->text ? call->text : call->self->network;

	(void)unused;
	if (call->boot == NOVA_BOOT_TEMPLATE || !network[0]) {
		set_memory(call, NULL); /* a clone has its template's */
		return;
	}
	call_rpc(call, set_memory, "VIF.create", "[{ss ss ss ss ss s{} ss s{}}]", "device", "0",
	         "network", network, "VM", call->ref, "MAC", "", "MTU", "1500", "other_config",
	         "qos_algorithm_type", "", "qos_algorithm_params");
}

/* --- a disk of its own ------------------------------------------------------------------------ */

static void attach(struct call *call, json_t *unused)
{
	(void)unused;
	call_rpc(call, add_card, "VBD.create", "[{ss ss ss sb ss ss sb sb s{} ss s{}}]", "VM",
	         call->ref, "VDI", call->disk, "userdevice", "0", "bootable", 1, "mode", "RW",
	         "type", "Disk", "unpluggable", 1, "empty", 0, "other_config", "qos_algorithm_type",
	         "", "qos_algorithm_params");
}

static void take_disk(struct call *call, json_t *result)
{
	if (!call_take_ref(call, result, call->disk))
		return;
	if (call->boot == NOVA_BOOT_STUB)
		image_send(call, attach);
	else
		attach(call, NULL);
}

static void make_disk(struct call *call)
{
	char size[24];

	snprintf(size, sizeof(size), "%lld", (long long)call->disk_bytes);
	call_rpc(call, take_disk, "VDI.create", "[{ss ss ss ss ss sb sb s{}}]", "name_label",
	         call->name, "name_description", "made by novacore", "SR", call->other,
	         "virtual_size", size, "type", "user", "sharable", 0, "read_only", 0,
	         "other_config");
}

static void disk_named(struct call *call, json_t *unused)
{
	char size[24];

	(void)unused;
	if (call->disk_bytes <= call->file_bytes) {
		attach(call, NULL);
		return;
	}
	snprintf(size, sizeof(size), "%lld", (long long)call->disk_bytes);
	call_rpc(call, attach, "VDI.resize", "[ss]", call->disk, size);
}

static void disk_cloned(struct call *call, json_t *unused)
{
	(void)unused;
	if (!call->made[0]) {
		nova_call_puzzled(&call->base, "a copy of a disk without a reference");
		return;
	}
	snprintf(call->disk, sizeof(call->disk), "%s", call->made);
	call_rpc(call, disk_named, "VDI.set_name_label", "[ss]", call->disk, call->name);
}

static void clone_disk(struct call *call, json_t *record)
{
	const char *sr = nova_json_text(record, "SR", "");

	call->file_bytes = nova_json_number(record, "virtual_size", 0);
	if (strcmp(sr, call->other) == 0)
		call_task(call, disk_cloned, "VDI.clone", "[s{}]", call->disk);
	else
		call_task(call, disk_cloned, "VDI.copy", "[ss]", call->disk, call->other);
}

static void take_image(struct call *call, json_t *result)
{
	size_t count = json_is_array(result) ? json_array_size(result) : 1;
	const json_t *one = json_is_array(result) ? json_array_get(result, 0) : result;

	if (count != 1)
		not_one(call, count, "disk (VDI)", call->path);
	else if (call_take_ref(call, one, call->disk))
		call_rpc(call, clone_disk, "VDI.get_record", "[s]", call->disk);
}

static void begin_disk(struct call *call)
{
	if (call->boot == NOVA_BOOT_DISK && call->path && answer_is_uuid(call->path))
		call_rpc(call, take_image, "VDI.get_by_uuid", "[s]", call->path);
	else if (call->boot == NOVA_BOOT_DISK && call->path)
		call_rpc(call, take_image, "VDI.get_by_name_label", "[s]", call->path);
	else
		make_disk(call);
}

static void take_place(struct call *call, json_t *result)
{
	if (json_array_size(result) != 1)
		not_one(call, json_array_size(result), "storage repository", call->label);
	else if (call_take_ref(call, json_array_get(result, 0), call->other))
		call->after(call, NULL);
}

/* The storage repository, from the shape or the parameters. */
static void find_place(struct call *call, call_step then)
{
	call->after = then;
	if (call->label[0]) {
		call_rpc(call, take_place, "SR.get_by_name_label", "[s]", call->label);
		return;
	}
	snprintf(call->other, sizeof(call->other), "%s", call->self->sr);
	then(call, NULL);
}

/* --- from the clone on ------------------------------------------------------------------------ */

static void created(struct call *call, json_t *unused)
{
	(void)unused;
	nova_call_done(&call->base);
}

static void disk_placed(struct call *call, json_t *unused);

/* What the template says of disks has been carried out; from here on it is no template, also where
 * the version does not see to that. */
static void provisioned(struct call *call, json_t *unused)
{
	(void)unused;
	call_rpc(call, call->boot == NOVA_BOOT_TEMPLATE ? set_memory : disk_placed,
	         "VM.set_is_a_template", "[sb]", call->ref, 0);
}

static void take_clone(struct call *call, json_t *record)
{
	const char *uuid = nova_json_text(record, "uuid", "");

	json_decref(call->record);
	call->record = json_incref(record);
	if (!answer_is_uuid(uuid)) {
		nova_call_puzzled(&call->base, "a VM without a UUID");
		return;
	}
	call->self->host->put_fact(call->base.op, NOVA_FIELD_ID, "", uuid);
	if (nova_json_flag(record, "is_a_template", 0))
		call_task(call, provisioned, "VM.provision", "[s]", call->ref);
	else
		set_memory(call, NULL); /* of a VM */
}

static void cloned(struct call *call, json_t *unused)
{
	(void)unused;
	if (!call->made[0]) {
		nova_call_puzzled(&call->base, "a clone without a reference");
		return;
	}
	snprintf(call->ref, sizeof(call->ref), "%s", call->made);
	call_rpc(call, take_clone, "VM.get_record", "[s]", call->ref);
}

static void send_copy(struct call *call, json_t *unused)
{
	(void)unused;
	call_task(call, cloned, "VM.copy", "[sss]", call->ref, call->name,
	          call->other[0] ? call->other : NULL_REF);
}

static void disk_begins(struct call *call, json_t *unused)
{
	(void)unused;
	begin_disk(call);
}

static void disk_placed(struct call *call, json_t *unused)
{
	(void)unused;
	find_place(call, disk_begins);
}

static void clone_template(struct call *call, json_t *record)
{
	if (!nova_json_flag(record, "is_a_template", 0) ||
	    nova_json_flag(record, "is_a_snapshot", 0)) {
		nova_call_fail(&call->base, NOVA_E_NOT_FOUND,
		               "'%s' at %s is a VM, not a template: make it one (xe vm-param-set "
		               "is-a-template=true), or name another one",
		               call->label, call->self->base);
		return;
	}
	snprintf(call->label, sizeof(call->label), "%s", nova_json_text(call->list, "[0]", ""));
	if (call->boot == NOVA_BOOT_TEMPLATE && (call->self->full_copy || call->label[0]))
		find_place(call, send_copy);
	else
		call_task(call, cloned, "VM.clone", "[ss]", call->ref, call->name);
}

static void take_template(struct call *call, json_t *result)
{
	size_t count = json_is_array(result) ? json_array_size(result) : 1;
	const json_t *one = json_is_array(result) ? json_array_get(result, 0) : result;

	if (count != 1)
		not_one(call, count, "template or VM", call->label);
	else if (call_take_ref(call, one, call->ref))
		call_rpc(call, clone_template, "VM.get_record", "[s]", call->ref);
}

/* XenAPI lets two VMs have one name; which of them is meant would never be known again. */
static int is_taken(struct call *call, const json_t *refs)
{
	if (!json_array_size(refs))
		return 0;
	nova_call_fail(&call->base, NOVA_E_EXISTS,
	               "a VM at %s has the name '%s' already; delete it first", call->self->base,
	               call->name);
	return 1;
}

static void find_template(struct call *call, json_t *result)
{
	if (is_taken(call, result))
		return;
	if (answer_is_uuid(call->label))
		call_rpc(call, take_template, "VM.get_by_uuid", "[s]", call->label);
	else
		call_rpc(call, take_template, "VM.get_by_name_label", "[s]", call->label);
}

/* --- the ops ---------------------------------------------------------------------------------- */

/* "vm.cpu.weight=512": the names that Xen has for them are without "vm.cpu.". */
static int add_knob(struct call *call, const char *knob)
{
	static const char before[] = "vm.cpu.";
	const char *equals = strchr(knob, '=');
	const char *name = knob + sizeof(before) - 1;

	if (!equals || strncmp(knob, before, sizeof(before) - 1) != 0 ||
	    (strncmp(name, "weight=", 7) != 0 && strncmp(name, "cap=", 4) != 0 &&
	     strncmp(name, "mask=", 5) != 0)) {
		nova_call_fail(&call->base, NOVA_E_UNSUPPORTED,
		               "XCP-ng has no knob %.80s; it has vm.cpu.weight, vm.cpu.cap and "
		               "vm.cpu.mask",
		               knob);
		return 0;
	}
	json_array_append_new(call->more,
	                      json_pack("[s%s]", name, (size_t)(equals - name), equals + 1));
	return 1;
}

static void take_shape(struct call *call, const struct nova_shape *shape)
{
	call->boot = shape->boot;
	call->vcpus = shape->vcpus ? shape->vcpus : 1;
	call->memory = (int64_t)((shape->memory_bytes + MIB - 1) / MIB * MIB);
	if (call->memory < 16ll * MIB)
		call->memory = 512ll * MIB;
	call->disk_bytes = (int64_t)((shape->disk_bytes + MIB - 1) / MIB * MIB);
	call->more = json_array();
	if (shape->place && shape->place[0])
		call->list = json_pack("[s]", shape->place);
	for (size_t i = 0; shape->knobs && shape->knobs[i] && add_knob(call, shape->knobs[i]); i++)
		;
}

/* What a shape asks for that this driver cannot give; NULL: nothing. */
static const char *impossible(const struct xcpng *self, const struct nova_shape *shape)
{
	const char *image = shape->image && shape->image[0] ? shape->image : NULL;

	if (shape->boot == NOVA_BOOT_DIRECT)
		return "XCP-ng boots no kernel of another host: set vm.SHAPE.boot to template or "
		       "disk "
		       "(run.shape says which SHAPE is used)";
	if (shape->networks && shape->networks[0] && shape->networks[1])
		return "this driver gives a VM at most one network card";
	if (shape->networks && shape->networks[0] && shape->boot == NOVA_BOOT_TEMPLATE)
		return "a clone has the network cards of its template";
	if (shape->heartbeat && shape->heartbeat[0])
		return "Xen gives a VM no serial port that sends to the network";
	if (shape->boot == NOVA_BOOT_TEMPLATE && !image && !self->template)
		return "no template named: set hypervisor.xcp-ng.template or the shape's image";
	if (shape->boot == NOVA_BOOT_TEMPLATE && shape->disk_bytes)
		return "a clone has the disk of its template: set the shape's disk to 0";
	if (shape->boot != NOVA_BOOT_TEMPLATE && !self->sr[0] && !(shape->place && shape->place[0]))
		return "no storage repository for the disk: set hypervisor.xcp-ng.sr";
	if (shape->boot == NOVA_BOOT_DISK && !image && !shape->disk_bytes)
		return "neither an image (a disk of the pool, by name or UUID) nor the size of a "
		       "disk: "
		       "set the shape's image or disk";
	if (shape->boot == NOVA_BOOT_STUB && !image)
		return "no boot sector: the shape has no image";
	return NULL;
}

static void begin(struct call *call, json_t *unused)
{
	(void)unused;
	if (nova_call_claim(&call->base, call->name))
		call_rpc(call, find_template, "VM.get_by_name_label", "[s]", call->name);
}

static void take_net(struct call *call, json_t *result)
{
	char ref[REF_ROOM];

	if (json_array_size(result) != 1) {
		not_one(call, json_array_size(result), "network", call->text);
		return;
	}
	if (!call_take_ref(call, json_array_get(result, 0), ref))
		return;
	free(call->text);
	call->text = strdup(ref);
	if (call->text)
		begin(call, NULL);
	else
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
}

static void find_net(struct call *call, const char *name)
{
	call->text = strdup(name);
	call_rpc(call, take_net, "network.get_by_name_label", "[s]", name);
}

int xcpng_vm_create(void *self, nova_op op, const char *name, const struct nova_shape *shape)
{
	struct xcpng *xcpng = self;
	const char *why = impossible(xcpng, shape);
	const char *image = shape->image && shape->image[0] ? shape->image : NULL;
	const char *template = xcpng->base_template;
	struct call *call;

	if (why)
		return xcpng->host->error(op, NOVA_E_UNSUPPORTED, why);
	call = call_new(xcpng, op, NULL);
	if (!call)
		return NOVA_E_MEMORY;
	if (!call_set_name(call, name))
		return nova_call_return(&call->base);
	take_shape(call, shape);
	if (shape->boot == NOVA_BOOT_TEMPLATE)
		template = image ? image : xcpng->template;
	else if (image)
		call->path = strdup(image);
	if (strlen(template) >= sizeof(call->label))
		nova_call_fail(&call->base, NOVA_E_INVALID, "the template's name is too long");
	snprintf(call->label, sizeof(call->label), "%s", template);
	if (shape->boot == NOVA_BOOT_STUB) {
		call->disk_bytes = STUB_BYTES;
		if (!image_look(call))
			return nova_call_return(&call->base);
	}
	if (shape->networks && shape->networks[0])
		find_net(call, shape->networks[0]);
	else
		begin(call, NULL);
	return nova_call_return(&call->base);
}

/* --- clone of a VM ---------------------------------------------------------------------------- */

static void clone_vm(struct call *call, json_t *result)
{
	if (is_taken(call, result))
		return;
	call_task(call, cloned, "VM.clone", "[ss]", call->ref, call->name);
}

/* The source was found to be ours; from here on the call is about the new VM. */
static void clone_source(struct call *call, json_t *unused)
{
	(void)unused;
	if (!call_set_name(call, call->text))
		return;
	call->uuid[0] = '\0';
	if (nova_call_claim(&call->base, call->name))
		call_rpc(call, clone_vm, "VM.get_by_name_label", "[s]", call->name);
}

int xcpng_vm_clone(void *self, nova_op op, const char *name, const struct nova_ref *from,
                   const struct nova_shape *shape)
{
	struct call *call = call_new(self, op, from);

	if (!call)
		return NOVA_E_INVALID;
	take_shape(call, shape);
	call->boot = NOVA_BOOT_TEMPLATE;
	call->text = strdup(name);
	if (!call->text)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else
		vm_identify(call, clone_source);
	return nova_call_return(&call->base);
}
