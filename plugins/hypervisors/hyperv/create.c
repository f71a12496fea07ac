/* SPDX-License-Identifier: MIT */
/*
 * Making VMs: the VM, its processors and memory, its disk (linked to a template, a copy, or empty),
 * its network cards. One step at a time, as the API wants it.
 */
#include "hyperv.h"

#include <stdio.h>
#include <string.h>

#define MIB          1048576u
#define MEMORY_LEAST 32u /* MiB; Hyper-V takes multiples of two */
#define SETTINGS     "Msvm_VirtualSystemSettingData"
#define SCSI         "Microsoft:Hyper-V:Synthetic SCSI Controller"
#define IDE          "Microsoft:Hyper-V:Emulated IDE Controller"
#define DRIVE        "Microsoft:Hyper-V:Synthetic Disk Drive"
#define DISK         "Microsoft:Hyper-V:Virtual Hard Disk"
#define CARD         "Microsoft:Hyper-V:Synthetic Ethernet Port"
#define CONNECTION   "Microsoft:Hyper-V:Ethernet Connection"
#define RESOURCE     "Msvm_ResourceAllocationSettingData"
#define PORT         "Msvm_SyntheticEthernetPortSettingData"

/* UserSnapshotType: with memory, and without asking the guest. */
#define CHECKPOINT_STANDARD 5
/* Automatic actions: none at the host's start; turn off at its end. */
#define ACTION_NONE 2
#define ACTION_OFF  2
/* Type and Format of Msvm_VirtualHardDiskSettingData. */
#define DISK_DYNAMIC 3
#define DISK_LINKED  4
#define FORMAT_VHD   2
#define FORMAT_VHDX  3

static void made(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	call->self->host->put_fact(call->base.op, NOVA_FIELD_ID, "", call->guid);
	nova_call_done(&call->base);
}

/* --- resources -------------------------------------------------------------------------------- */

static void begin_resource(struct call *call, const char *class_name, uint32_t type,
                           const char *subtype)
{
	char id[64];

	order_service(call, MANAGE, "AddResourceSettings");
	order_add_reference(call, "AffectedConfiguration", SETTINGS, vm_settings(call, id));
	cim_begin(&call->body, "ResourceSettings", class_name);
	cim_property_number(&call->body, "ResourceType", "uint16", type);
	cim_property(&call->body, "ResourceSubType", "string", subtype);
}

static void set_parent(struct call *call, const char *class_name, const char *id)
{
	struct nova_text path = {0};

	cim_add_path(&path, call->self->computer, class_name, id);
	cim_property(&call->body, "Parent", "string", nova_text_get(&path));
	call->body.broken |= path.broken;
	nova_text_free(&path);
}

static void send_resource(struct call *call, call_step then)
{
	cim_end(&call->body, "ResourceSettings");
	order_send(call, then);
}

static void keep_resource(struct call *call, const struct nova_xml_node *instance)
{

	/* a gen-1 VM has two IDE controllers */
	if (strcmp(item_text(instance, "Address"), "1") != 0)
		snprintf(call->component, sizeof(call->component), "%.150s",
		         item_text(instance, "InstanceID"));
}

/* The VM has but one of these: the one that was just added, if its id was not in the answer. */
static void ask_resource(struct call *call, const char *class_name, const char *subtype,
                         call_step then)
{
	call->component[0] = '\0';
	if (call->made.class_name[0]) {
		snprintf(call->component, sizeof(call->component), "%.150s", call->made.value);
		call->made = (struct reference){0};
		then(call, NULL);
		return;
	}
	nova_text_printf(wql_begin(call, ""),
	                 "select * from %s where InstanceID like 'Microsoft:%s%%' and "
	                 "ResourceSubType='%s'",
	                 class_name, call->guid, subtype);
	wql_send(call, CIM_VIRT, keep_resource, then);
}

static int lacks_resource(struct call *call, const char *what)
{
	if (call->component[0])
		return 0;
	nova_call_fail(&call->base, NOVA_E_PROTOCOL, "Hyper-V gave VM %s %s and does not say which",
	               call->name, what);
	return 1;
}

/* --- network cards ---------------------------------------------------------------------------- */

static void next_card(struct call *call, const struct nova_xml_node *unused);

static void card_connected(struct call *call, const struct nova_xml_node *output)
{
	call->next_switch += strlen(call->switches.text + call->next_switch) + 1;
	next_card(call, output);
}

static void connect_card(struct call *call, const struct nova_xml_node *unused)
{
	char path[240];

	(void)unused;
	if (lacks_resource(call, "a network card"))
		return;
	snprintf(path, sizeof(path),
	         "\\\\%s\\root\\virtualization\\v2:Msvm_VirtualEthernetSwitch."
	         "CreationClassName=\"Msvm_VirtualEthernetSwitch\",Name=\"%s\"",
	         call->self->computer, call->network);
	begin_resource(call, "Msvm_EthernetPortAllocationSettingData", 33, CONNECTION);
	set_parent(call, PORT, call->component);
	cim_property_list(&call->body, "HostResource", path);
	send_resource(call, card_connected);
}

static void card_added(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	ask_resource(call, PORT, CARD, connect_card);
}

static void add_card(struct call *call, const struct nova_xml_node *unused)
{
	char guid[40], identifier[48];

	(void)unused;
	if (!call->network[0]) {
		nova_call_fail(&call->base, NOVA_E_NOT_FOUND, "%s has no virtual switch '%.100s'",
		               call->self->computer, call->switches.text + call->next_switch);
		return;
	}
	cim_make_guid(guid);
	snprintf(identifier, sizeof(identifier), "{%s}", guid);
	begin_resource(call, PORT, 10, CARD);
	cim_property(&call->body, "ElementName", "string", "Network Adapter");
	cim_property_list(&call->body, "VirtualSystemIdentifiers", identifier);
	send_resource(call, card_added);
}

static void keep_switch(struct call *call, const struct nova_xml_node *instance)
{
	const char *guid = item_text(instance, "Name");

	if (cim_is_guid(guid) && strcmp(item_text(instance, "ElementName"),
	                                call->switches.text + call->next_switch) == 0)
		snprintf(call->network, sizeof(call->network), "%s", guid);
}

static void next_card(struct call *call, const struct nova_xml_node *unused)
{
	struct nova_text *wql;

	if (call->switches.broken || call->knobs.broken) {
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
		return;
	}
	if (call->next_switch >= call->switches.used) {
		made(call, unused);
		return;
	}
	call->network[0] = '\0';
	wql = wql_begin(call, "select * from Msvm_VirtualEthernetSwitch where ElementName='");
	cim_add_wql(wql, call->switches.text + call->next_switch);
	nova_text_add(wql, "'");
	wql_send(call, CIM_VIRT, keep_switch, add_card);
}

/* --- the disk --------------------------------------------------------------------------------- */

static void attach_disk(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	if (lacks_resource(call, "a disk drive"))
		return;
	begin_resource(call, "Msvm_StorageAllocationSettingData", 31, DISK);
	set_parent(call, RESOURCE, call->component);
	cim_property_list(&call->body, "HostResource", call->disk);
	send_resource(call, next_card);
}

static void drive_added(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	ask_resource(call, RESOURCE, DRIVE, attach_disk);
}

static void add_drive(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	if (lacks_resource(call, "a disk controller"))
		return;
	begin_resource(call, RESOURCE, 17, DRIVE);
	set_parent(call, RESOURCE, call->component);
	cim_property(&call->body, "AddressOnParent", "string", "0");
	send_resource(call, drive_added);
}

static void controller_added(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	ask_resource(call, RESOURCE, SCSI, add_drive);
}

static void add_controller(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	call->made = (struct reference){0};
	if (call->self->generation == 1) { /* has its controllers from the start */
		ask_resource(call, RESOURCE, IDE, add_drive);
		return;
	}
	begin_resource(call, RESOURCE, 6, SCSI);
	send_resource(call, controller_added);
}

/* Only a copy: a linked disk has the size of what it is linked to. */
static void grow_disk(struct call *call, const struct nova_xml_node *unused)
{
	if (!call->parent[0] || !call->full || !call->disk_bytes) {
		add_controller(call, unused);
		return;
	}
	order_service(call, DISKS, "ResizeVirtualHardDisk");
	order_add(call, "Path", call->disk);
	order_add_number(call, "MaxInternalSize", (int64_t)call->disk_bytes);
	order_send(call, add_controller);
}

static void describe_disk(struct call *call)
{
	struct file file;
	int is_old = cim_read_file(call->disk, &file) && strcasecmp(file.extension, "vhd") == 0;

	cim_begin(&call->body, "VirtualDiskSettingData", "Msvm_VirtualHardDiskSettingData");
	cim_property_number(&call->body, "Type", "uint16",
	                    call->parent[0] && !call->full ? DISK_LINKED : DISK_DYNAMIC);
	cim_property_number(&call->body, "Format", "uint16", is_old ? FORMAT_VHD : FORMAT_VHDX);
	cim_property(&call->body, "Path", "string", call->disk);
	if (call->parent[0] && !call->full)
		cim_property(&call->body, "ParentPath", "string", call->parent);
	if (!call->parent[0])
		cim_property_number(&call->body, "MaxInternalSize", "uint64", call->disk_bytes);
	cim_end(&call->body, "VirtualDiskSettingData");
}

static void make_disk(struct call *call, const struct nova_xml_node *unused)
{
	if (!call->parent[0] && !call->disk_bytes) {
		next_card(call, unused);
		return;
	}
	if (call->parent[0] && call->full) {
		order_service(call, DISKS, "ConvertVirtualHardDisk");
		order_add(call, "SourcePath", call->parent);
	} else {
		order_service(call, DISKS, "CreateVirtualHardDisk");
	}
	describe_disk(call);
	order_send(call, grow_disk);
}

/* --- processors and memory -------------------------------------------------------------------- */

static void set_size(struct call *call, const struct nova_xml_node *unused)
{
	struct nova_text *body = &call->body;

	(void)unused;
	if (!call->processor[0] || !call->memory[0]) {
		nova_call_fail(&call->base, NOVA_E_PROTOCOL,
		               "Hyper-V made VM %s and shows no processors or memory of it",
		               call->name);
		return;
	}
	order_service(call, MANAGE, "ModifyResourceSettings");
	cim_begin(body, "ResourceSettings", PROCESSOR_SETTINGS);
	cim_property(body, "InstanceID", "string", call->processor);
	cim_property_number(body, "VirtualQuantity", "uint64", call->vcpus);
	knobs_add(call, PROCESSOR_SETTINGS);
	cim_end(body, "ResourceSettings");
	cim_begin(body, "ResourceSettings", MEMORY_SETTINGS);
	cim_property(body, "InstanceID", "string", call->memory);
	cim_property_number(body, "VirtualQuantity", "uint64", call->memory_mib);
	cim_property_number(body, "Limit", "uint64", call->memory_mib);
	if (!knobs_have(call, "vm.memory.minimum"))
		cim_property_number(body, "Reservation", "uint64", call->memory_mib);
	if (!knobs_have(call, "vm.memory.dynamic"))
		cim_property(body, "DynamicMemoryEnabled", "boolean", "FALSE");
	knobs_add(call, MEMORY_SETTINGS);
	cim_end(body, "ResourceSettings");
	order_send(call, make_disk);
}

static void keep_memory(struct call *call, const struct nova_xml_node *instance)
{

	snprintf(call->memory, sizeof(call->memory), "%.150s", item_text(instance, "InstanceID"));
}

static void ask_memory(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	vm_ask_settings(call, MEMORY_SETTINGS, keep_memory, set_size);
}

static void keep_processor(struct call *call, const struct nova_xml_node *instance)
{

	snprintf(call->processor, sizeof(call->processor), "%.150s",
	         item_text(instance, "InstanceID"));
}

static void ask_processor(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	vm_ask_settings(call, PROCESSOR_SETTINGS, keep_processor, ask_memory);
}

/* --- the VM ----------------------------------------------------------------------------------- */

static void defined(struct call *call, const struct nova_xml_node *unused)
{
	call->guid[0] = '\0';
	if (cim_is_guid(call->made.value)) {
		snprintf(call->guid, sizeof(call->guid), "%.36s", call->made.value);
		ask_processor(call, unused);
	} else {
		vm_identify(call, ask_processor); /* no other has its name: that was looked at */
	}
}

static void define(struct call *call)
{
	struct nova_text *body = &call->body;

	snprintf(call->disk, sizeof(call->disk), "%s%s.vhdx", call->self->directory, call->name);
	vm_stamp_start(call);
	order_service(call, MANAGE, "DefineSystem");
	cim_begin(body, "SystemSettings", SETTINGS);
	cim_property(body, "ElementName", "string", call->name);
	cim_property(body, "VirtualSystemSubType", "string",
	             call->self->generation == 1 ? "Microsoft:Hyper-V:SubType:1"
	                                         : "Microsoft:Hyper-V:SubType:2");
	cim_property_number(body, "UserSnapshotType", "uint16", CHECKPOINT_STANDARD);
	cim_property_number(body, "AutomaticStartupAction", "uint16", ACTION_NONE);
	cim_property_number(body, "AutomaticShutdownAction", "uint16", ACTION_OFF);
	if (call->self->generation == 2)
		cim_property(body, "SecureBootEnabled", "boolean",
		             call->self->secure_boot ? "TRUE" : "FALSE");
	cim_end(body, "SystemSettings");
	order_send(call, defined);
}

/* Hyper-V lets two VMs have one name; which of them is meant would never be known again. */
static void look_for_name(struct call *call, const struct nova_xml_node *instance)
{
	const char *guid = item_text(instance, "Name");

	if (cim_is_guid(guid) && strcasecmp(item_text(instance, "ElementName"), call->name) == 0)
		snprintf(call->seen, sizeof(call->seen), "%s", guid);
}

static void name_is_free(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	if (call->seen[0])
		nova_call_fail(&call->base, NOVA_E_EXISTS,
		               "VM %s on %s has the name '%s' already; delete it first", call->seen,
		               call->self->computer, call->name);
	else
		define(call);
}

static void ask_name(struct call *call)
{
	struct nova_text *wql;

	if (!cim_is_file_name(call->name)) { /* "novacore-\..\x" would leave the directory */
		nova_call_fail(&call->base, NOVA_E_INVALID,
		               "'%s' cannot be a file's name in Windows, as a VM's must that has a "
		               "disk named after it",
		               call->name);
		return;
	}
	if (!nova_call_claim(&call->base, call->name))
		return;
	wql = wql_begin(call, "select * from Msvm_ComputerSystem where ElementName='");
	call->seen[0] = '\0';
	cim_add_wql(wql, call->name);
	nova_text_add(wql, "'");
	wql_send(call, CIM_VIRT, look_for_name, name_is_free);
}

/* --- the ops ---------------------------------------------------------------------------------- */

static int has_text(const char *text)
{
	return text && text[0];
}

/* What a shape asks for that this driver cannot give; NULL: nothing. */
static const char *impossible(const struct hyperv *self, const struct nova_shape *shape)
{
	const char *parent = has_text(shape->image) ? shape->image : self->template;
	struct file file;

	if (shape->boot == NOVA_BOOT_DIRECT)
		return "Hyper-V boots no kernel of another host: set vm.SHAPE.boot to template or "
		       "disk (run.shape says which SHAPE is used)";
	if (shape->boot == NOVA_BOOT_STUB)
		return "WMI carries no files, so no image is put on the host: use boot = "
		       "\"template\" or \"disk\"";
	if (has_text(shape->place))
		return "this driver puts all disks into hypervisor.hyperv.directory";
	if (!self->directory[0])
		return "the host's directory for disks is none that can be cleaned up through WMI "
		       "(a share?): set hypervisor.hyperv.directory to one on a drive, C:\\…";
	if (shape->boot == NOVA_BOOT_TEMPLATE && !has_text(parent))
		return "no template named: set hypervisor.hyperv.template or the shape's image to "
		       "the path of a VHDX on the host";
	if (shape->boot == NOVA_BOOT_TEMPLATE || has_text(shape->image)) {
		if (!cim_read_file(parent, &file))
			return "the template is not a path on the host such as "
			       "C:\\templates\\debian12.vhdx";
		if (shape->disk_bytes && !self->full_clone)
			return "a linked disk has the size of its template: set the shape's disk "
			       "to 0, or hypervisor.hyperv.full_clone=true";
	} else if (!shape->disk_bytes) {
		return "neither an image (a VHDX on the host) nor the size of a disk: set the "
		       "shape's image or disk";
	}
	return NULL;
}

static void take_networks(struct call *call, const struct nova_shape *shape)
{
	const char *const only[] = {call->self->network, NULL};
	const char *const *networks =
	        shape->networks && shape->networks[0] ? shape->networks : only;

	for (size_t i = 0; networks[i]; i++)
		nova_text_append(&call->switches, networks[i], strlen(networks[i]) + 1);
}

static void take_shape(struct call *call, const struct nova_shape *shape)
{
	call->vcpus = shape->vcpus ? shape->vcpus : 1;
	call->memory_mib = (shape->memory_bytes + MIB - 1) / MIB;
	call->memory_mib += call->memory_mib % 2;
	if (!call->memory_mib)
		call->memory_mib = 512;
	if (call->memory_mib < MEMORY_LEAST)
		call->memory_mib = MEMORY_LEAST;
	call->disk_bytes = shape->disk_bytes;
	take_networks(call, shape);
	knobs_take(call, shape->knobs);
}

int hyperv_vm_create(void *self, nova_op op, const char *name, const struct nova_shape *shape)
{
	struct hyperv *hyperv = self;
	const char *why = impossible(hyperv, shape);
	const char *parent = has_text(shape->image)              ? shape->image
	                     : shape->boot == NOVA_BOOT_TEMPLATE ? hyperv->template
	                                                         : "";
	struct call *call;
	int code;

	if (why)
		return hyperv->host->error(op, NOVA_E_UNSUPPORTED, why);
	code = knobs_check(hyperv, op, shape->knobs);
	if (code != NOVA_DONE)
		return code;
	call = call_new(hyperv, op, NULL);
	if (!call)
		return NOVA_E_MEMORY;
	if (!call_set_name(call, name))
		return nova_call_return(&call->base);
	snprintf(call->parent, sizeof(call->parent), "%s", parent);
	call->full = hyperv->full_clone;
	take_shape(call, shape);
	ask_name(call);
	return nova_call_return(&call->base);
}

static void keep_source(struct call *call, const struct nova_xml_node *instance)
{
	const char *path = nova_xml_text(instance, NULL, "HostResource", "");
	struct file file;

	if (cim_read_file(path, &file) && strlen(path) < sizeof(call->parent))
		snprintf(call->parent, sizeof(call->parent), "%s", path);
}

/* The source was found to be ours; from here on the call is about the new VM. */
static void source_known(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	call->guid[0] = '\0';
	if (call_set_name(call, call->label))
		ask_name(call);
}

static void clone_source(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	if (call->state != STATE_OFF) {
		nova_call_fail(
		        &call->base, NOVA_E_BUSY,
		        "VM %s is not off: Hyper-V copies a disk only while nothing writes to "
		        "it",
		        call->name);
		return;
	}
	vm_ask_settings(call, "Msvm_StorageAllocationSettingData", keep_source, source_known);
}

int hyperv_vm_clone(void *self, nova_op op, const char *name, const struct nova_ref *from,
                    const struct nova_shape *shape)
{
	int code = knobs_check(self, op, shape->knobs);
	struct call *call = code == NOVA_DONE ? call_new(self, op, from) : NULL;

	if (!call)
		return code == NOVA_DONE ? NOVA_E_INVALID : code;
	if (strlen(name) >= sizeof(call->label)) {
		nova_call_fail(&call->base, NOVA_E_INVALID, "the clone's name is too long");
		return nova_call_return(&call->base);
	}
	snprintf(call->label, sizeof(call->label), "%s", name);
	take_shape(call, shape);
	call->full = 1; /* a disk that is written to cannot have linked ones */
	call->disk_bytes = 0;
	vm_identify(call, clone_source);
	return nova_call_return(&call->base);
}
