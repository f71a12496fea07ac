/* SPDX-License-Identifier: MIT */
/* The target: what the session may do there, what is possible and why not. */
#include "vsphere.h"

#include <stdio.h>
#include <string.h>

/* --- privileges ---------------------------------------------------------------------------------
 */

#define IN_FOLDER    1u /* and so in all VMs there */
#define ON_POOL      2u
#define ON_DATASTORE 3u
#define ON_NETWORK   4u
#define ON_TEMPLATE  5u

enum right {
	CREATE,
	CREATE_FROM,
	DELETE,
	POWER_ON,
	POWER_OFF,
	SUSPEND,
	RESET,
	CPU,
	MEMORY,
	NEW_DISK,
	DEVICES,
	SNAP_CREATE,
	SNAP_REVERT,
	SNAP_REMOVE,
	GUEST_RUN,
	GUEST_MODIFY,
	GUEST_QUERY,
	CLONE,
	HOT_MIGRATE,
	COLD_MIGRATE,
	USE_POOL,
	USE_SPACE,
	FILES,
	OLD_DISK,
	RESOURCE,
	USE_NETWORK,
	DEPLOY,
	RIGHTS
};

#define BIT(right) (1ull << (right))

static const struct {
	const char *name;
	uint32_t where;
} rights[RIGHTS] = {
        [CREATE] = {"VirtualMachine.Inventory.Create", IN_FOLDER},
        [CREATE_FROM] = {"VirtualMachine.Inventory.CreateFromExisting", IN_FOLDER},
        [DELETE] = {"VirtualMachine.Inventory.Delete", IN_FOLDER},
        [POWER_ON] = {"VirtualMachine.Interact.PowerOn", IN_FOLDER},
        [POWER_OFF] = {"VirtualMachine.Interact.PowerOff", IN_FOLDER},
        [SUSPEND] = {"VirtualMachine.Interact.Suspend", IN_FOLDER},
        [RESET] = {"VirtualMachine.Interact.Reset", IN_FOLDER},
        [CPU] = {"VirtualMachine.Config.CPUCount", IN_FOLDER},
        [MEMORY] = {"VirtualMachine.Config.Memory", IN_FOLDER},
        [NEW_DISK] = {"VirtualMachine.Config.AddNewDisk", IN_FOLDER},
        [DEVICES] = {"VirtualMachine.Config.AddRemoveDevice", IN_FOLDER},
        [SNAP_CREATE] = {"VirtualMachine.State.CreateSnapshot", IN_FOLDER},
        [SNAP_REVERT] = {"VirtualMachine.State.RevertToSnapshot", IN_FOLDER},
        [SNAP_REMOVE] = {"VirtualMachine.State.RemoveSnapshot", IN_FOLDER},
        [GUEST_RUN] = {"VirtualMachine.GuestOperations.Execute", IN_FOLDER},
        [GUEST_MODIFY] = {"VirtualMachine.GuestOperations.Modify", IN_FOLDER},
        [GUEST_QUERY] = {"VirtualMachine.GuestOperations.Query", IN_FOLDER},
        [CLONE] = {"VirtualMachine.Provisioning.Clone", IN_FOLDER},
        [HOT_MIGRATE] = {"Resource.HotMigrate", IN_FOLDER},
        [COLD_MIGRATE] = {"Resource.ColdMigrate", IN_FOLDER},
        [USE_POOL] = {"Resource.AssignVMToPool", ON_POOL},
        [USE_SPACE] = {"Datastore.AllocateSpace", ON_DATASTORE},
        [FILES] = {"Datastore.FileManagement", ON_DATASTORE},
        [OLD_DISK] = {"VirtualMachine.Config.AddExistingDisk", IN_FOLDER},
        [RESOURCE] = {"VirtualMachine.Config.Resource", IN_FOLDER},
        [USE_NETWORK] = {"Network.Assign", ON_NETWORK},
        [DEPLOY] = {"VirtualMachine.Provisioning.DeployTemplate", ON_TEMPLATE},
};

static const struct moref *object_of(const struct vsphere *self, uint32_t where)
{
	switch (where) {
	case IN_FOLDER: return &self->place.folder;
	case ON_POOL: return &self->place.pool;
	case ON_DATASTORE: return &self->place.datastore;
	case ON_NETWORK: return &self->place.network;
	default: return &self->place.template;
	}
}

static void take_entity(struct vsphere *self, const struct nova_xml_node *entity)
{
	const struct nova_xml_node *one = nova_xml_first(entity, VIM, "privAvailability");
	struct moref object;

	soap_read_moref(nova_xml_first(entity, VIM, "entity"), &object);
	for (; one; one = nova_xml_next(one, VIM, "privAvailability")) {
		const char *name = nova_xml_text(one, VIM, "privId", "");

		for (int i = 0; i < RIGHTS; i++) {
			if (strcmp(rights[i].name, name) == 0 &&
			    moref_same(object_of(self, rights[i].where), &object) &&
			    nova_xml_flag(one, VIM, "isGranted", 0) == 0)
				self->missing |= BIT(i);
		}
	}
}

static void take_rights(struct call *call, const struct nova_xml_node *result)
{
	struct vsphere *self = call->self;
	const struct nova_xml_node *entity = nova_xml_first(result, VIM, "returnval");

	self->missing = 0;
	for (; entity; entity = nova_xml_next(entity, VIM, "returnval"))
		take_entity(self, entity);
	call->task_step(call, NULL);
}

/* Then each op says for itself what is not allowed. */
static int rights_not_told(struct nova_call *base, const struct nova_refusal *refusal)
{
	struct call *call = (struct call *)base;

	if (refusal->code != NOVA_E_UNSUPPORTED && refusal->code != NOVA_E_PERMISSION)
		return 0;
	call->self->rights_unknown = 1;
	call->task_step(call, NULL);
	return 1;
}

static void ask_rights(struct call *call)
{
	struct vsphere *self = call->self;

	self->missing = 0;
	self->rights_unknown = !self->rights.value[0];
	if (self->rights_unknown) {
		call->task_step(call, NULL);
		return;
	}
	soap_begin(call, "HasPrivilegeOnEntities", &self->rights);
	for (uint32_t where = IN_FOLDER; where <= ON_TEMPLATE; where++) {
		if (object_of(self, where)->value[0])
			soap_add_moref(&call->body, "entity", object_of(self, where));
	}
	nova_xml_add(&call->body, "sessionId", self->session_key);
	for (int i = 0; i < RIGHTS; i++)
		nova_xml_add(&call->body, "privId", rights[i].name);
	soap_ask(call, take_rights);
	nova_call_on_refusal(&call->base, rights_not_told);
}

/* A host that has no other licence than the free one. */
static void take_licences(struct call *call, const struct nova_xml_node *result)
{
	static const char type[] = "LicenseManagerLicenseInfo";
	const struct nova_xml_node *one =
	        nova_xml_first(props_value(props_first(result), "licenses"), VIM, type);

	call->self->read_only = one != NULL;
	for (; one; one = nova_xml_next(one, VIM, type)) {
		if (strcmp(nova_xml_text(one, VIM, "editionKey", ""), "esxBasic") != 0)
			call->self->read_only = 0;
	}
	ask_rights(call);
}

void target_ask_rights(struct call *call, call_step step)
{
	struct vsphere *self = call->self;

	call->task_step = step;
	self->read_only = 0;
	if (!self->is_vcenter && self->licences.value[0])
		props_ask(call, take_licences, &self->licences, "licenses");
	else
		ask_rights(call);
}

/* --- capabilities -------------------------------------------------------------------------------
 */

#define ANYWHERE     0
#define ON_VCENTER   1 /* a host alone cannot */
#define WITH_TOOLS   2 /* needs VMware Tools in the VMs */
#define WITH_ACCOUNT 3 /* and an account there */
#define NEVER        4

static const struct {
	const char *capability;
	uint64_t needs;
	int where;
	const char *never;
} capabilities[] = {
        {NOVA_CAN_CREATE, BIT(DELETE) | BIT(USE_POOL), ANYWHERE, NULL},
        {NOVA_CAN_CLONE, BIT(CREATE_FROM) | BIT(CLONE) | BIT(USE_POOL) | BIT(USE_SPACE), ON_VCENTER,
         NULL},
        {NOVA_CAN_START, BIT(POWER_ON) | BIT(POWER_OFF), ANYWHERE, NULL},
        {NOVA_CAN_SHUTDOWN, BIT(POWER_OFF), WITH_TOOLS, NULL},
        {NOVA_CAN_PAUSE, BIT(SUSPEND) | BIT(POWER_ON), ANYWHERE, NULL},
        {NOVA_CAN_RESET, BIT(RESET), ANYWHERE, NULL},
        {NOVA_CAN_SNAPSHOT, BIT(SNAP_CREATE) | BIT(SNAP_REVERT) | BIT(SNAP_REMOVE), ANYWHERE, NULL},
        {NOVA_CAN_EXEC, BIT(GUEST_RUN) | BIT(GUEST_MODIFY) | BIT(GUEST_QUERY), WITH_ACCOUNT, NULL},
        {NOVA_CAN_READY, 0, WITH_TOOLS, NULL},
        {NOVA_CAN_ADDRESS, 0, WITH_TOOLS, NULL},
        {NOVA_CAN_STATS, 0, ANYWHERE, NULL},
        {NOVA_CAN_DISK, BIT(CREATE) | BIT(NEW_DISK) | BIT(DEVICES) | BIT(USE_SPACE), ANYWHERE,
         NULL},
        {NOVA_CAN_TEMPLATE,
         BIT(CREATE_FROM) | BIT(DEPLOY) | BIT(USE_SPACE) | BIT(CPU) | BIT(MEMORY), ON_VCENTER,
         NULL},
        {NOVA_CAN_MIGRATE, BIT(HOT_MIGRATE) | BIT(COLD_MIGRATE) | BIT(USE_POOL), ON_VCENTER, NULL},
        {NOVA_CAN_PLACE, 0, NEVER, "the parameter datastore says where the disks are to lie"},
        {NOVA_CAN_BEAT, 0, NEVER,
         "a serial port by network is outside of what this driver makes: vSphere forwards bytes "
         "through TCP and without their times"},
        {NOVA_CAN_DIRECT, 0, NEVER, "vSphere boots no kernel without a disk"},
        {NOVA_CAN_STUB, 0, NEVER, "this driver puts no boot sector on a datastore"},
        {NOVA_CAN_IMAGE, BIT(FILES) | BIT(OLD_DISK) | BIT(DEVICES) | BIT(USE_SPACE), ANYWHERE,
         NULL},
        {NOVA_CAN_NETWORK, 0, NEVER,
         "this driver makes no networks: VMs use the parameter network, or their template's"},
        {NOVA_CAN_CONVERGE, 0, NEVER, "vMotion slows a VM by itself where it must"},
        {NOVA_CAN_COMPRESS, 0, NEVER, "vMotion has no compression to be chosen"},
        {NOVA_CAN_POST_COPY, 0, NEVER, "vMotion has no post-copy"},
        {NOVA_CAN_PARALLEL, 0, NEVER, "vMotion chooses the number of its connections itself"},
        {NOVA_CAN_KNOBS, BIT(RESOURCE), ANYWHERE, NULL},
        {NOVA_CAN_PIN, 0, NEVER,
         "ESXi restricts all vCPUs of a VM to one set of CPUs, not each to its own, and on a host "
         "of "
         "a cluster with DRS none"},
        {NOVA_CAN_TWIN, 0, NEVER, "a second vSphere cannot be started from here"},
};

static void name_missing(struct nova_text *text, const struct vsphere *self, uint64_t missing)
{
	const char *separator = "";

	nova_text_printf(text, "%s lacks ", self->user);
	for (int i = 0; i < RIGHTS; i++) {
		if (!(missing & BIT(i)))
			continue;
		nova_text_printf(text, "%s%s", separator, rights[i].name);
		separator = ", ";
	}
}

static int changes(const char *capability)
{
	return strcmp(capability, NOVA_CAN_STATS) != 0 && strcmp(capability, NOVA_CAN_READY) != 0 &&
	       strcmp(capability, NOVA_CAN_ADDRESS) != 0;
}

/* NULL: nothing is in the way but rights. */
static const char *obstacle(const struct vsphere *self, size_t i)
{
	const char *capability = capabilities[i].capability;

	if (capabilities[i].never)
		return capabilities[i].never;
	if (self->read_only && changes(capability))
		return "the licence of this host lets programs look, and change nothing: vSphere "
		       "Hypervisor (free) has no API for more";
	if (capabilities[i].where == ON_VCENTER && !self->is_vcenter)
		return "a host without vCenter cannot: connect to the vCenter that manages it";
	if (capabilities[i].where >= WITH_TOOLS && capabilities[i].where != NEVER && !self->tools)
		return "needs VMware Tools in the VMs: set hypervisor.vsphere.tools=true";
	if (capabilities[i].where == WITH_ACCOUNT &&
	    (!self->guest_user || !self->guest_password || !self->guest_processes.value[0]))
		return "commands in a guest need an account there: set "
		       "hypervisor.vsphere.guest_user and …guest_password";
	if (strcmp(capability, NOVA_CAN_TEMPLATE) == 0 && !self->template)
		return NULL; /* a shape's image may name one */
	if ((strcmp(capability, NOVA_CAN_DISK) == 0 || strcmp(capability, NOVA_CAN_IMAGE) == 0) &&
	    !self->place.datastore.value[0])
		return "several datastores: set hypervisor.vsphere.datastore";
	if (strcmp(capability, NOVA_CAN_IMAGE) == 0 &&
	    (!self->files.value[0] || !self->disks.value[0]))
		return "the server has no managers of files and virtual disks";
	if (strcmp(capability, NOVA_CAN_CREATE) == 0 && !self->is_vcenter &&
	    !self->place.datastore.value[0])
		return "a host without vCenter makes no clones, and for a disk "
		       "hypervisor.vsphere.datastore is not set";
	return NULL;
}

static void put_capabilities(const struct vsphere *self, nova_op op)
{
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
		uint64_t missing = capabilities[i].needs & self->missing;
		const char *reason = obstacle(self, i);
		struct nova_text why = {0};

		if (!reason && missing) {
			name_missing(&why, self, missing);
			reason = why.text && !why.broken ? why.text : "a privilege is missing";
		}
		self->host->put_fact(op, NOVA_FIELD_CAPABILITY, capabilities[i].capability, reason);
		nova_text_free(&why);
	}
}

/* --- describe -----------------------------------------------------------------------------------
 */

int vsphere_describe(void *handle, nova_op op)
{
	struct vsphere *self = handle;
	const struct nova_host *host = self->host;

	if (!self->connected)
		return host->error(op, NOVA_E_INVALID, "not connected");
	host->put_fact(op, NOVA_FIELD_FACT, "product", self->product);
	host->put_fact(op, NOVA_FIELD_FACT, "version", self->version);
	host->put_fact(op, NOVA_FIELD_FACT, "datacenter", self->place.datacenter_path);
	host->put_fact(op, NOVA_FIELD_FACT, "accel", "vmx");
	host->put_fact(op, NOVA_FIELD_FACT, "accel.why",
	               "ESXi runs VMs by hardware virtualization");
	host->put_fact(op, NOVA_FIELD_FACT, "events",
	               "the server tells of changes (WaitForUpdatesEx); stamped on arrival");
	host->put_fact(op, NOVA_FIELD_FACT, "rights",
	               self->rights_unknown ? "unknown: the server does not tell them" : "checked");
	host->put_fact(op, NOVA_FIELD_FACT, "image.format", "raw");
	host->put_fact(op, NOVA_FIELD_FACT, "tls", nova_http_trust(nova_calls_http(self->calls)));
	put_capabilities(self, op);
	return NOVA_DONE;
}
