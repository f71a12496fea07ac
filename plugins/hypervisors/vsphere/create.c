/* SPDX-License-Identifier: MIT */
/* Making VMs: clones of a template or of a VM, and VMs with an empty disk. */
#include "vsphere.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIB 1024u
#define MIB 1048576u

/* Keys of devices that are being added: negative, as they are not the server's yet. */
#define CONTROLLER_KEY (-101)
#define DISK_KEY       (-102)
#define CARD_KEY       (-103)

/* --- after the task -----------------------------------------------------------------------------
 */

static void made(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	if (strcmp(call->task_result.type, "VirtualMachine") != 0) {
		call_puzzled(call, "a task that made a VM does not say which");
		return;
	}
	call->self->host->put_fact(call->base.op, NOVA_FIELD_ID, "", call->task_result.value);
	call->vm = call->task_result;
	if (call->boot == NOVA_BOOT_DISK && call->image)
		image_attach(call);
	else
		nova_call_done(&call->base);
}

/* --- an empty VM --------------------------------------------------------------------------------
 */

static void add_device(struct nova_text *body, const char *type, int64_t key)
{
	nova_text_printf(body,
	                 "<deviceChange xsi:type=\"VirtualDeviceConfigSpec\">"
	                 "<operation>add</operation>%s<device xsi:type=\"%s\">",
	                 strcmp(type, "VirtualDisk") == 0 ? "<fileOperation>create</fileOperation>"
	                                                  : "",
	                 type);
	nova_xml_add_number(body, "key", key);
}

static void end_device(struct nova_text *body)
{
	nova_text_add(body, "</device></deviceChange>");
}

static void add_disk(struct nova_text *body, const struct call *call)
{
	add_device(body, "ParaVirtualSCSIController", CONTROLLER_KEY);
	nova_xml_add_number(body, "busNumber", 0);
	nova_xml_add(body, "sharedBus", "noSharing");
	end_device(body);
	add_device(body, "VirtualDisk", DISK_KEY);
	nova_text_add(body, "<backing xsi:type=\"VirtualDiskFlatVer2BackingInfo\">");
	nova_text_add(body, "<fileName>[");
	nova_text_escape_xml(body, call->self->place.datastore_name);
	nova_text_add(body, "]</fileName>");
	nova_xml_add(body, "diskMode", "persistent");
	nova_xml_add_flag(body, "thinProvisioned", 1);
	nova_text_add(body, "</backing>");
	nova_xml_add_number(body, "controllerKey", CONTROLLER_KEY);
	nova_xml_add_number(body, "unitNumber", 0);
	nova_xml_add_number(body, "capacityInKB", call->disk_kib);
	end_device(body);
}

static void add_card(struct nova_text *body, const struct place *place)
{
	if (!place->network.value[0])
		return;
	add_device(body, "VirtualVmxnet3", CARD_KEY);
	if (place->portgroup[0]) {
		nova_text_add(body,
		              "<backing xsi:type=\""
		              "VirtualEthernetCardDistributedVirtualPortBackingInfo\"><port>");
		nova_xml_add(body, "switchUuid", place->switch_uuid);
		nova_xml_add(body, "portgroupKey", place->portgroup);
		nova_text_add(body, "</port></backing>");
	} else {
		nova_text_add(body, "<backing xsi:type=\"VirtualEthernetCardNetworkBackingInfo\">");
		nova_xml_add(body, "deviceName", place->network_name);
		nova_text_add(body, "</backing>");
	}
	nova_xml_add(body, "addressType", "generated");
	end_device(body);
}

static void add_name(struct call *call, const char *element)
{
	struct nova_text name = {0};

	vm_add_name(&name, call->name);
	nova_xml_add(&call->body, element, nova_text_get(&name));
	call->body.broken |= name.broken;
	nova_text_free(&name);
}

static void make_empty(struct call *call)
{
	const struct place *place = &call->self->place;
	struct nova_text *body = &call->body;

	vm_stamp_start(call);
	soap_begin(call, "CreateVM_Task", &place->folder);
	nova_text_add(body, "<config>");
	add_name(call, "name");
	nova_xml_add(body, "guestId", call->self->guest_id);
	nova_text_add(body, "<files><vmPathName>[");
	nova_text_escape_xml(body, place->datastore_name);
	nova_text_add(body, "]</vmPathName></files>");
	nova_xml_add_number(body, "numCPUs", call->vcpus);
	nova_xml_add_number(body, "memoryMB", call->memory_mib);
	if (!call->image)
		add_disk(body, call);
	add_card(body, place);
	knobs_add(body, call);
	nova_text_add(body, "</config>");
	soap_add_moref(body, "pool", &place->pool);
	if (place->host.value[0])
		soap_add_moref(body, "host", &place->host);
	task_order(call, made);
}

/* --- clones -------------------------------------------------------------------------------------
 */

static void make_clone(struct call *call)
{
	const struct place *place = &call->self->place;
	struct nova_text *body = &call->body;

	vm_stamp_start(call);
	soap_begin(call, "CloneVM_Task", &call->vm);
	soap_add_moref(body, "folder", &place->folder);
	add_name(call, "name");
	nova_text_add(body, "<spec><location>");
	if (place->datastore.value[0])
		soap_add_moref(body, "datastore", &place->datastore);
	if (call->object.value[0])
		nova_xml_add(body, "diskMoveType", "createNewChildDiskBacking");
	soap_add_moref(body, "pool", &place->pool);
	if (place->host.value[0])
		soap_add_moref(body, "host", &place->host);
	nova_text_add(body, "</location>");
	nova_xml_add_flag(body, "template", 0);
	nova_text_add(body, "<config>");
	nova_xml_add_number(body, "numCPUs", call->vcpus);
	nova_xml_add_number(body, "memoryMB", call->memory_mib);
	knobs_add(body, call);
	nova_text_add(body, "</config>");
	nova_xml_add_flag(body, "powerOn", 0);
	if (call->object.value[0])
		soap_add_moref(body, "snapshot", &call->object);
	nova_text_add(body, "</spec>");
	task_order(call, made);
}

static void take_snapshot(struct call *call, const struct nova_xml_node *result)
{
	const struct nova_xml_node *vm = props_first(result);

	if (soap_read_moref(props_value(vm, "snapshot.currentSnapshot"), &call->object))
		make_clone(call);
	else
		nova_call_fail(&call->base, NOVA_E_INVALID,
		               "'%.80s' has no snapshot to link clones to: take one, or set "
		               "hypervisor.vsphere.linked=false",
		               props_text(vm, "name", "?"));
}

static void clone_from(struct call *call, int linked)
{
	if (linked)
		props_ask(call, take_snapshot, &call->vm, "name snapshot.currentSnapshot");
	else
		make_clone(call);
}

static void take_template(struct call *call, const struct nova_xml_node *result)
{
	if (soap_read_moref(nova_xml_first(result, VIM, "returnval"), &call->vm) &&
	    strcmp(call->vm.type, "VirtualMachine") == 0)
		clone_from(call, call->self->linked);
	else
		nova_call_fail(&call->base, NOVA_E_NOT_FOUND,
		               "there is no template '%s' in the folder vm of %s that %s may see",
		               call->image, call->self->place.datacenter_path, call->self->user);
}

static void find_template(struct call *call)
{
	struct nova_text path = {0};

	nova_text_printf(&path, "%s/vm/%s", call->self->place.datacenter_path, call->image);
	soap_begin(call, "FindByInventoryPath", &call->self->search);
	nova_xml_add(&call->body, "inventoryPath", nova_text_get(&path));
	call->body.broken |= path.broken;
	nova_text_free(&path);
	soap_ask(call, take_template);
}

/* --- the ops ------------------------------------------------------------------------------------
 */

/* The name is free: in one folder vSphere sees to that itself, but only once a clone has begun. */
static void look_for_name(struct call *call, const struct nova_xml_node *result)
{
	struct moref other;

	if (soap_read_moref(nova_xml_first(result, VIM, "returnval"), &other)) {
		nova_call_fail(&call->base, NOVA_E_EXISTS,
		               "%s has the name '%s' already; delete it first", other.value,
		               call->name);
		return;
	}
	if (call->boot != NOVA_BOOT_TEMPLATE)
		make_empty(call);
	else if (call->vm.value[0])
		clone_from(call, call->action == NOVA_BOOT_TEMPLATE && call->self->linked);
	else
		find_template(call);
}

static void take_shape(struct call *call, const struct nova_shape *shape)
{
	call->boot = shape->boot;
	call->vcpus = shape->vcpus ? shape->vcpus : 1;
	/* vSphere takes multiples of 4 MiB */
	call->memory_mib = (int64_t)((shape->memory_bytes + 4 * MIB - 1) / (4 * MIB) * 4);
	call->disk_kib = (int64_t)((shape->disk_bytes + KIB - 1) / KIB);
	if (call->memory_mib < 4)
		call->memory_mib = 512;
}

/* What a shape asks for that this driver cannot give; NULL: nothing. */
static const char *impossible(const struct vsphere *self, const struct nova_shape *shape)
{
	const char *image = shape->image && shape->image[0] ? shape->image : NULL;

	if (shape->boot == NOVA_BOOT_DIRECT)
		return "vSphere boots no kernel without a disk: set vm.SHAPE.boot to template or "
		       "disk (run.shape says which SHAPE is used)";
	if (shape->boot == NOVA_BOOT_STUB)
		return "this driver puts no boot sector on a datastore: use boot = \"template\" or "
		       "\"disk\"";
	if (shape->networks && shape->networks[0])
		return "this driver makes no networks: VMs use the parameter network";
	if (shape->place && shape->place[0])
		return "the parameter datastore says where disks lie, not the shape's place";
	if (shape->heartbeat)
		return "this driver forwards no bytes of a VM's serial port";
	if (shape->boot == NOVA_BOOT_TEMPLATE && !self->is_vcenter)
		return "a host without vCenter makes no clones: connect to the vCenter, or use "
		       "boot = "
		       "\"disk\"";
	if (shape->boot == NOVA_BOOT_TEMPLATE && !image && !self->template)
		return "no template named: set hypervisor.vsphere.template or the shape's image";
	if (shape->boot == NOVA_BOOT_TEMPLATE && shape->disk_bytes)
		return "a clone has the disk of its template: set the shape's disk to 0";
	if (shape->boot == NOVA_BOOT_DISK && image && image_wrong(image))
		return image_wrong(image);
	if (shape->boot == NOVA_BOOT_DISK && image && shape->disk_bytes)
		return "the disk of an image has its size: set the shape's disk to 0";
	if (shape->boot == NOVA_BOOT_DISK && !self->place.datastore.value[0])
		return "several datastores: set hypervisor.vsphere.datastore";
	if (shape->boot == NOVA_BOOT_DISK && !image && !shape->disk_bytes)
		return "no size of a disk: set the shape's disk";
	return NULL;
}

int vsphere_vm_create(void *self, nova_op op, const char *name, const struct nova_shape *shape)
{
	struct vsphere *vsphere = self;
	const char *why = impossible(vsphere, shape);
	const char *image = shape->image && shape->image[0] ? shape->image : NULL;
	struct call *call;

	if (why)
		return vsphere->host->error(op, NOVA_E_UNSUPPORTED, why);
	call = call_new(vsphere, op, NULL);
	if (!call)
		return NOVA_E_MEMORY;
	if (!call_set_name(call, name))
		return nova_call_return(&call->base);
	take_shape(call, shape);
	call->action = shape->boot;
	if (shape->boot == NOVA_BOOT_TEMPLATE && !image)
		call->vm = vsphere->place.template;
	call->image = image ? strdup(image) : NULL;
	if (image && !call->image)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else if (knobs_take(call, shape->knobs))
		vm_find(call, look_for_name);
	return nova_call_return(&call->base);
}

/* The source was found to be ours; from here on the call is about the new VM. */
static void clone_source(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	if (call_set_name(call, call->image))
		vm_find(call, look_for_name);
}

int vsphere_vm_clone(void *self, nova_op op, const char *name, const struct nova_ref *from,
                     const struct nova_shape *shape)
{
	struct vsphere *vsphere = self;
	struct call *call;

	if (!vsphere->is_vcenter)
		return vsphere->host->error(op, NOVA_E_UNSUPPORTED,
		                            "a host without vCenter makes no clones");
	call = call_new(vsphere, op, from);
	if (!call)
		return NOVA_E_INVALID;
	take_shape(call, shape);
	call->boot = NOVA_BOOT_TEMPLATE; /* from call->vm, with disks of its own */
	call->image = strdup(name);
	if (!call->image)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else if (knobs_take(call, shape->knobs))
		vm_identify(call, clone_source);
	return nova_call_return(&call->base);
}
