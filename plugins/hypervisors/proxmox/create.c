/* SPDX-License-Identifier: MIT */
/* Making VMs: numbers for them, clones of templates and of VMs, VMs from a disk image. */
#include "proxmox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLASHES 50u
#define MIB     1048576u
#define GIB     1073741824u

static void choose_vmid(struct call *call);

/* --- a number for it -------------------------------------------------------------------------- */

static void make(struct call *call);

static void take_vmid(struct call *call, json_t *data)
{
	struct proxmox *self = call->self;
	int64_t vmid = json_is_string(data) ? strtoll(json_string_value(data), NULL, 10)
	                                    : (int64_t)json_integer_value(data);

	if (vmid < 100 || vmid > 999999999) {
		nova_call_fail(&call->base, NOVA_E_PROTOCOL,
		               "%s: Proxmox gave no number for a new VM",
		               nova_call_what(&call->base));
		return;
	}
	if (!call->vmid) { /* the cluster's own choice: the same for all that ask at once */
		if (vmid < self->next_vmid) {
			choose_vmid(call);
			return;
		}
		call->vmid = vmid;
		self->next_vmid = vmid + 1;
	}
	make(call);
}

static int next_vmid(struct call *call)
{
	if (call->attempts++ >= CLASHES)
		return 0;
	choose_vmid(call);
	return 1;
}

static int vmid_taken(struct nova_call *base, const struct nova_refusal *refusal)
{
	return refusal->status == 400 && strstr(refusal->words, "already exists") &&
	       next_vmid((struct call *)base);
}

/* Numbers are handed out here one after the other, so that ops at the same time do not clash with
 * each other; with other clients they still may. */
static void choose_vmid(struct call *call)
{
	struct proxmox *self = call->self;

	if (self->next_vmid == 0) {
		call->vmid = 0;
		call_send(call, take_vmid, "GET", NULL, "/cluster/nextid");
		return;
	}
	call->vmid = self->next_vmid++;
	call_send(call, take_vmid, "GET", NULL, "/cluster/nextid?vmid=%lld", (long long)call->vmid);
	nova_call_on_refusal(&call->base, vmid_taken);
}

/* --- after the task --------------------------------------------------------------------------- */

static void configured(struct call *call, json_t *data)
{
	(void)data;
	nova_call_done(&call->base);
}

static void made(struct call *call, json_t *data)
{
	char id[96];

	(void)data;
	snprintf(id, sizeof(id), "%s/%lld", call->node, (long long)call->vmid);
	call->self->host->put_fact(call->base.op, NOVA_FIELD_ID, "", id);
	if (call->knobs)
		knobs_set(call, configured);
	else
		nova_call_done(&call->base);
}

static void add_size(struct call *call)
{
	nova_form_add_number(&call->form, "cores", call->vcpus);
	nova_form_add_number(&call->form, "memory", call->memory_mib);
	if (call->self->agent)
		nova_form_add(&call->form, "agent", "1");
}

static void grow(struct call *call, json_t *data)
{
	char body[64];

	if (!call->disk_gib || !call->image || call->from_vmid) {
		made(call, data);
		return;
	}
	snprintf(body, sizeof(body), "disk=scsi0&size=%lldG", (long long)call->disk_gib);
	call_task(call, made, "PUT", body, "/nodes/%s/qemu/%lld/resize", call->node,
	          (long long)call->vmid);
}

static void cloned(struct call *call, json_t *data)
{
	(void)data;
	nova_text_free(&call->form);
	add_size(call);
	if (call->form.broken)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else
		call_send(call, made, "PUT", call->form.text, "/nodes/%s/qemu/%lld/config",
		          call->node, (long long)call->vmid);
}

/* --- clash ------------------------------------------------------------------------------------ */

/* The number is somebody's: if the name is ours, our request arrived twice and its first task is
 * lost to us; making another one would leave a VM behind. */
static void look_at_holder(struct call *call, json_t *data)
{
	if (strcmp(nova_json_text(data, "name", ""), call->name) == 0)
		nova_call_fail(&call->base, NOVA_E_EXISTS,
		               "VM %lld on %s has the name '%s' already; delete it first",
		               (long long)call->vmid, call->node, call->name);
	else if (!next_vmid(call))
		nova_call_fail(
		        &call->base, NOVA_E_EXISTS,
		        "%u numbers in a row were taken by other VMs; set vmid_min to the start of "
		        "a free range",
		        CLASHES);
}

static int holder_unseen(struct nova_call *base, const struct nova_refusal *refusal)
{
	(void)refusal;
	return next_vmid((struct call *)base);
}

static int is_clash(struct nova_call *base, int code, const char *words)
{
	struct call *call = (struct call *)base;

	(void)code;
	if (!strstr(words, "already exists"))
		return 0;
	call_send(call, look_at_holder, "GET", NULL, "/nodes/%s/qemu/%lld/status/current",
	          call->node, (long long)call->vmid);
	nova_call_on_refusal(&call->base, holder_unseen);
	return 1;
}

static int make_refused(struct nova_call *base, const struct nova_refusal *refusal)
{
	return (refusal->status == 400 || refusal->status == 500) &&
	       is_clash(base, refusal->code, refusal->words);
}

/* --- the task --------------------------------------------------------------------------------- */

static void add_disk(struct call *call)
{
	const char *storage = call->place ? call->place : call->self->storage;
	struct nova_text disk = {0};

	if (call->image)
		nova_text_printf(&disk, "%s:0,import-from=%s", storage, call->image);
	else
		nova_text_printf(&disk, "%s:%lld", storage, (long long)call->disk_gib);
	if (disk.broken)
		call->form.broken = 1;
	else
		nova_form_add(&call->form, "scsi0", disk.text);
	nova_text_free(&disk);
	nova_form_add(&call->form, "scsihw", "virtio-scsi-single");
	nova_form_add(&call->form, "boot", "order=scsi0");
}

/* One for each network of the shape, else one on the parameter's bridge. */
static void add_cards(struct call *call)
{
	size_t count =
	        call->networks ? json_array_size(call->networks) : call->self->bridge != NULL;

	for (size_t i = 0; i < count; i++) {
		const char *bridge =
		        call->networks ? nova_json_text(json_array_get(call->networks, i), "", "")
		                       : call->self->bridge;
		char name[32], card[96];

		snprintf(name, sizeof(name), "net%zu", i);
		snprintf(card, sizeof(card), "virtio,bridge=%.64s", bridge);
		nova_form_add(&call->form, name, card);
	}
}

static void make_empty(struct call *call)
{
	nova_form_add_number(&call->form, "vmid", call->vmid);
	nova_form_add(&call->form, "name", call->name);
	if (call->self->pool)
		nova_form_add(&call->form, "pool", call->self->pool);
	nova_form_add(&call->form, "ostype", "l26");
	add_size(call);
	add_disk(call);
	add_cards(call);
	if (call->form.broken)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else
		call_task(call, grow, "POST", call->form.text, "/nodes/%s/qemu", call->node);
}

static void make_clone(struct call *call)
{
	nova_form_add_number(&call->form, "newid", call->vmid);
	nova_form_add(&call->form, "name", call->name);
	if (call->self->pool)
		nova_form_add(&call->form, "pool", call->self->pool);
	nova_form_add(&call->form, "full", call->full ? "1" : "0");
	if (call->full &&
	    (call->place || call->self->storage)) /* a linked one is at its template */
		nova_form_add(&call->form, "storage",
		              call->place ? call->place : call->self->storage);
	if (call->form.broken)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else
		call_task(call, cloned, "POST", call->form.text, "/nodes/%s/qemu/%lld/clone",
		          call->node, (long long)call->from_vmid);
}

static void make(struct call *call)
{
	nova_text_free(&call->form);
	if (call->from_vmid)
		make_clone(call);
	else
		make_empty(call);
	nova_call_on_refusal(&call->base, make_refused);
	call->task_failed = is_clash;
}

/* --- the ops ---------------------------------------------------------------------------------- */

/* Proxmox lets two VMs have one name; which of them is meant would never be known again. */
static int is_taken(struct call *call, json_t *list)
{
	size_t i;
	json_t *vm;

	json_array_foreach(list, i, vm)
	{
		if (strcmp(nova_json_text(vm, "name", ""), call->name) != 0)
			continue;
		nova_call_fail(&call->base, NOVA_E_EXISTS,
		               "VM %lld on %s has the name '%s' already; delete it first",
		               (long long)nova_json_number(vm, "vmid", 0), call->node, call->name);
		return 1;
	}
	return 0;
}

/* An image is a volume by its whole name, or one that was uploaded, by its own. */
static void take_volume(struct call *call, json_t *unused)
{
	(void)unused;
	if (!call->volume[0]) {
		nova_call_fail(
		        &call->base, NOVA_E_NOT_FOUND,
		        "there is no image '%s' on the storage %s of %s; a volume is written "
		        "as local:import/debian.qcow2",
		        call->image, call->self->image_storage, call->node);
		return;
	}
	free(call->image);
	call->image = strdup(call->volume);
	if (call->image)
		choose_vmid(call);
	else
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
}

static void look_for_name(struct call *call, json_t *data)
{
	if (is_taken(call, data))
		return;
	if (call->image && !call->from_vmid && !strchr(call->image, ':'))
		image_find(call, take_volume);
	else
		choose_vmid(call);
}

static void find_template(struct call *call, json_t *data)
{
	char *end;
	int64_t wanted = strtoll(call->image, &end, 10);
	int other = 0;
	size_t i;
	json_t *vm;

	if (is_taken(call, data))
		return;
	if (*end)
		wanted = 0;
	json_array_foreach(data, i, vm)
	{
		int64_t vmid = nova_json_number(vm, "vmid", 0);

		if (wanted ? vmid != wanted
		           : strcmp(nova_json_text(vm, "name", ""), call->image) != 0)
			continue;
		if (nova_json_number(vm, "template", 0)) {
			call->from_vmid = vmid;
			choose_vmid(call);
			return;
		}
		other = 1;
	}
	nova_call_fail(
	        &call->base, NOVA_E_NOT_FOUND,
	        other ? "'%s' on %s is a VM, not a template: convert it (qm template), or name "
	                "another one in hypervisor.proxmox.template"
	              : "there is no template '%s' on %s that the token may see (VM.Audit)",
	        call->image, call->node);
}

/* 0: the call has ended. */
static int take_shape(struct call *call, const struct nova_shape *shape)
{
	const char *const *networks = shape->networks;
	int good = 1;

	if (!knobs_take(call, shape->knobs))
		return 0;
	if (networks && networks[0])
		call->networks = json_array();
	for (size_t i = 0; networks && networks[i]; i++)
		good = json_array_append_new(call->networks, json_string(networks[i])) == 0 && good;
	if (shape->place && shape->place[0]) {
		call->place = strdup(shape->place);
		call->full = 1; /* not where its template is */
		good = good && call->place;
	}
	if (!good)
		nova_call_fail(&call->base, NOVA_E_INVALID,
		               "a name in the shape is not UTF-8, as Proxmox VE takes them");
	call->vcpus = shape->vcpus ? shape->vcpus : 1;
	call->memory_mib = (int64_t)((shape->memory_bytes + MIB - 1) / MIB);
	call->disk_gib = (int64_t)((shape->disk_bytes + GIB - 1) / GIB);
	if (call->memory_mib < 16)
		call->memory_mib = 512;
	return good;
}

/* What a shape asks for that this driver cannot give; NULL: nothing. */
static const char *impossible(const struct proxmox *self, const struct nova_shape *shape)
{
	const char *image = shape->image && shape->image[0] ? shape->image : NULL;

	if (shape->boot == NOVA_BOOT_DIRECT)
		return "Proxmox VE lets only root@pam boot a kernel directly (args): set "
		       "vm.SHAPE.boot to template or disk (run.shape says which SHAPE is used)";
	if (shape->boot == NOVA_BOOT_STUB)
		return "a boot sector would have to be uploaded and imported for each VM: use boot "
		       "= "
		       "\"template\" or \"disk\"";
	if (shape->networks && shape->networks[0] && shape->boot == NOVA_BOOT_TEMPLATE)
		return "a clone has the network cards of its template";
	if (shape->boot == NOVA_BOOT_TEMPLATE && !image && !self->template)
		return "no template named: set hypervisor.proxmox.template or the shape's image";
	if (shape->boot == NOVA_BOOT_TEMPLATE && shape->disk_bytes)
		return "a clone has the disk of its template: set the shape's disk to 0";
	if (shape->boot == NOVA_BOOT_DISK && !self->storage && !(shape->place && shape->place[0]))
		return "no storage for the disk: set hypervisor.proxmox.storage";
	if (shape->boot == NOVA_BOOT_DISK && !image && !shape->disk_bytes)
		return "neither an image (a volume such as local:import/debian.qcow2) nor the size "
		       "of a disk: set the shape's image or disk";
	return NULL;
}

int proxmox_vm_create(void *self, nova_op op, const char *name, const struct nova_shape *shape)
{
	struct proxmox *proxmox = self;
	const char *why = impossible(proxmox, shape);
	const char *image = shape->image && shape->image[0] ? shape->image : NULL;
	struct call *call;

	if (why)
		return proxmox->host->error(op, NOVA_E_UNSUPPORTED, why);
	if (shape->boot == NOVA_BOOT_TEMPLATE && !image)
		image = proxmox->template;
	call = call_new(proxmox, op, NULL);
	if (!call)
		return NOVA_E_MEMORY;
	if (!call_set_name(call, name))
		return nova_call_return(&call->base);
	call->image = image ? strdup(image) : NULL;
	call->full = proxmox->full_clone;
	if (!take_shape(call, shape))
		return nova_call_return(&call->base);
	if (image && !call->image)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else if (!nova_call_claim(&call->base, name))
		return nova_call_return(&call->base);
	else if (shape->boot == NOVA_BOOT_TEMPLATE)
		call_send(call, find_template, "GET", NULL, "/nodes/%s/qemu", call->node);
	else
		call_send(call, look_for_name, "GET", NULL, "/nodes/%s/qemu", call->node);
	return nova_call_return(&call->base);
}

/* The source was found to be ours; from here on the call is about the new VM. */
static void clone_source(struct call *call, json_t *data)
{
	(void)data;
	call->from_vmid = call->vmid;
	call->full = 1; /* linked clones are of templates only */
	if (call_set_name(call, call->image) && nova_call_claim(&call->base, call->name))
		call_send(call, look_for_name, "GET", NULL, "/nodes/%s/qemu", call->node);
}

int proxmox_vm_clone(void *self, nova_op op, const char *name, const struct nova_ref *from,
                     const struct nova_shape *shape)
{
	struct proxmox *proxmox = self;
	struct call *call = call_new(proxmox, op, from);

	if (!call)
		return NOVA_E_INVALID;
	if (!take_shape(call, shape))
		return nova_call_return(&call->base);
	call->image = strdup(name);
	if (!call->image)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else
		vm_identify(call, clone_source);
	return nova_call_return(&call->base);
}
