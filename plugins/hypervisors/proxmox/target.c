/* SPDX-License-Identifier: MIT */
/* The target: connecting, what the token may do there, what is possible and why not. */
#include "option.h"
#include "proxmox.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	uint32_t bit;
} privileges[] = {
        {"VM.Audit", MAY_AUDIT},
        {"VM.Allocate", MAY_ALLOCATE},
        {"VM.Clone", MAY_CLONE},
        {"VM.PowerMgmt", MAY_POWER},
        {"VM.Snapshot", MAY_SNAPSHOT},
        {"VM.Monitor", MAY_AGENT},                 /* until Proxmox VE 8 */
        {"VM.GuestAgent.Unrestricted", MAY_AGENT}, /* from 9 on */
        {"VM.Config.CPU", MAY_CONFIG_CPU},
        {"VM.Config.Memory", MAY_CONFIG_MEMORY},
        {"VM.Config.Disk", MAY_CONFIG_DISK},
        {"VM.Config.Network", MAY_CONFIG_NET},
        {"VM.Config.Options", MAY_CONFIG_OTHER},
        {"VM.Config.HWType", MAY_CONFIG_HW},
        {"Datastore.AllocateSpace", MAY_SPACE},
        {"SDN.Use", MAY_USE_NET},
        {"VM.Migrate", MAY_MIGRATE},
        {"Datastore.AllocateTemplate", MAY_UPLOAD},
        {"Datastore.Allocate", MAY_DELETE_FILES},
};

/* --- connect ---------------------------------------------------------------------------------- */

/* On which of the paths a VM will be is not known yet: what is allowed somewhere counts. */
static uint32_t read_privileges(json_t *paths)
{
	uint32_t may = 0;
	const char *path;
	const char *name;
	json_t *granted;
	json_t *value;

	json_object_foreach(paths, path, granted)
	{
		json_object_foreach(granted, name, value)
		{
			for (size_t i = 0; i < sizeof(privileges) / sizeof(privileges[0]); i++) {
				if (strcmp(privileges[i].name, name) == 0)
					may |= privileges[i].bit;
			}
		}
	}
	return may;
}

static void take_permissions(struct call *call, json_t *data)
{
	struct proxmox *self = call->self;

	self->may = read_privileges(data);
	if (!self->may) {
		nova_call_fail(
		        &call->base, NOVA_E_PERMISSION,
		        "the token is accepted by %s but has no privilege there: give it a role "
		        "on /vms and on the storage (novacore-hypervisor-proxmox(7) shows how), "
		        "also if its user has one (privilege separation)",
		        self->base);
		return;
	}
	self->connected = 1;
	nova_call_done(&call->base);
}

static int use_node(struct call *call, json_t *node, size_t count)
{
	struct proxmox *self = call->self;
	const char *name = nova_json_text(node, "node", "");

	if (strcmp(nova_json_text(node, "status", "online"), "online") != 0) {
		nova_call_fail(&call->base, NOVA_E_UNAVAILABLE, "node %.63s of %s is %.20s", name,
		               self->base, nova_json_text(node, "status", "?"));
		return 0;
	}
	if (!upid_is_node(name)) {
		nova_call_fail(&call->base, NOVA_E_PROTOCOL,
		               "%s has a node with an impossible name", self->base);
		return 0;
	}
	snprintf(self->node, sizeof(self->node), "%s", name);
	self->nodes = count;
	return 1;
}

static void take_nodes(struct call *call, json_t *data)
{
	struct proxmox *self = call->self;
	json_t *chosen = NULL;
	struct nova_text names = {0};
	size_t i;
	json_t *node;

	json_array_foreach(data, i, node)
	{
		const char *name = nova_json_text(node, "node", "");

		nova_text_printf(&names, "%s%.63s", i ? ", " : "", name);
		if (self->node[0] ? strcmp(self->node, name) == 0 : json_array_size(data) == 1)
			chosen = node;
	}
	if (!chosen)
		nova_call_fail(&call->base, self->node[0] ? NOVA_E_NOT_FOUND : NOVA_E_INVALID,
		               self->node[0]
		                       ? "%s has no node '%s'; it has %s"
		                       : "%s has several nodes%s: set hypervisor.proxmox.node to "
		                         "one of %s",
		               self->base, self->node, names.text ? names.text : "none");
	else if (use_node(call, chosen, json_array_size(data)))
		call_send(call, take_permissions, "GET", NULL, "/access/permissions");
	nova_text_free(&names);
}

static void take_version(struct call *call, json_t *data)
{
	snprintf(call->self->version, sizeof(call->self->version), "%s",
	         nova_json_text(data, "version", "unknown"));
	call_send(call, take_nodes, "GET", NULL, "/nodes");
}

int proxmox_connect(void *self, nova_op op)
{
	struct call *call = call_new(self, op, NULL);

	if (!call)
		return NOVA_E_MEMORY;
	call_send(call, take_version, "GET", NULL, "/version");
	return nova_call_return(&call->base);
}

/* --- describe --------------------------------------------------------------------------------- */

/* What each capability needs of the token; `never`: why there is none, whatever the token. */
static const struct {
	const char *capability;
	uint32_t needs;
	int needs_agent;
	const char *never;
} capabilities[] = {
        {NOVA_CAN_CREATE,
         MAY_AUDIT | MAY_ALLOCATE | MAY_SPACE | MAY_CONFIG_CPU | MAY_CONFIG_MEMORY |
                 MAY_CONFIG_OTHER,
         0, NULL},
        {NOVA_CAN_CLONE,
         MAY_AUDIT | MAY_ALLOCATE | MAY_CLONE | MAY_SPACE | MAY_CONFIG_CPU | MAY_CONFIG_MEMORY, 0,
         NULL},
        {NOVA_CAN_START, MAY_AUDIT | MAY_POWER, 0, NULL},
        {NOVA_CAN_SHUTDOWN, MAY_AUDIT | MAY_POWER, 0, NULL},
        {NOVA_CAN_PAUSE, MAY_AUDIT | MAY_POWER, 0, NULL},
        {NOVA_CAN_RESET, MAY_AUDIT | MAY_POWER, 0, NULL},
        {NOVA_CAN_SNAPSHOT, MAY_AUDIT | MAY_SNAPSHOT, 0, NULL},
        {NOVA_CAN_EXEC, MAY_AUDIT | MAY_AGENT, 1, NULL},
        {NOVA_CAN_READY, MAY_AUDIT | MAY_AGENT, 1, NULL},
        {NOVA_CAN_STATS, MAY_AUDIT, 0, NULL},
        {NOVA_CAN_ADDRESS, MAY_AUDIT | MAY_AGENT, 1, NULL},
        {NOVA_CAN_BEAT, 0, 0,
         "a serial port that sends to the network needs QEMU arguments, which Proxmox VE allows "
         "to root@pam only"},
        {NOVA_CAN_DISK, 0, 0, NULL},
        {NOVA_CAN_TEMPLATE, 0, 0, NULL},
        {NOVA_CAN_DIRECT, 0, 0, "Proxmox VE boots no kernel of another host"},
        {NOVA_CAN_STUB, 0, 0,
         "a boot sector alone would have to be uploaded and imported for each VM: name a template"},
        {NOVA_CAN_IMAGE, MAY_UPLOAD | MAY_DELETE_FILES | MAY_SPACE, 0, NULL},
        {NOVA_CAN_PLACE, MAY_SPACE, 0, NULL},
        {NOVA_CAN_NETWORK, 0, 0,
         "a new SDN network means that all nodes of the cluster load their networks anew, which is "
         "not for a benchmark to do: VMs use bridges that are there"},
        {NOVA_CAN_MIGRATE, MAY_AUDIT | MAY_MIGRATE, 0, NULL},
        {NOVA_CAN_CONVERGE, 0, 0,
         "whether Proxmox VE's migrations converge by themselves is QEMU's own choice"},
        {NOVA_CAN_COMPRESS, 0, 0, "Proxmox VE does not compress migrations"},
        {NOVA_CAN_POST_COPY, 0, 0, "Proxmox VE has no post-copy migration"},
        {NOVA_CAN_PARALLEL, 0, 0, "Proxmox VE migrates over one connection"},
        {NOVA_CAN_KNOBS, MAY_AUDIT | MAY_CONFIG_CPU | MAY_CONFIG_DISK, 0, NULL},
        {NOVA_CAN_PIN, 0, 0,
         "Proxmox VE restricts all vCPUs of a VM to one set of CPUs (the knob vm.cpu.mask), not "
         "each to its own"},
        {NOVA_CAN_TWIN, 0, 0, "a second Proxmox VE cannot be started from here"},
};

/* The names of all that is missing, the old one of each pair of names left out. */
static void name_missing(struct nova_text *text, uint32_t missing)
{
	const char *separator = "the token lacks ";

	for (size_t i = 0; i < sizeof(privileges) / sizeof(privileges[0]); i++) {
		if (!(missing & privileges[i].bit) || strcmp(privileges[i].name, "VM.Monitor") == 0)
			continue;
		nova_text_printf(text, "%s%s", separator, privileges[i].name);
		separator = ", ";
	}
	if (missing & MAY_AGENT)
		nova_text_printf(text, " (VM.Monitor before Proxmox VE 9)");
}

/* Making VMs needs more where they get a disk or a network card of their own. */
static uint32_t capability_needs(const struct proxmox *self, size_t i)
{
	uint32_t needs = capabilities[i].needs;

	if (strcmp(capabilities[i].capability, NOVA_CAN_CREATE) != 0)
		return needs;
	if (self->template)
		needs |= MAY_CLONE;
	else
		needs |= MAY_CONFIG_DISK | MAY_CONFIG_HW;
	if (self->bridge)
		needs |= MAY_CONFIG_NET | MAY_USE_NET;
	return needs;
}

static void put_capabilities(const struct proxmox *self, nova_op op)
{
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
		uint32_t missing = capability_needs(self, i) & ~self->may;
		struct nova_text why = {0};
		const char *reason = capabilities[i].never;

		if (!reason && capabilities[i].needs_agent && !self->agent)
			reason = "needs the guest agent in the VMs: set "
			         "hypervisor.proxmox.agent=true";
		if (!reason && !self->template && !self->storage &&
		    strcmp(capabilities[i].capability, NOVA_CAN_CREATE) == 0)
			reason = "neither hypervisor.proxmox.template nor …storage is set";
		if (!reason && strcmp(capabilities[i].capability, NOVA_CAN_IMAGE) == 0 &&
		    !option_version(self->version, 8, 4))
			reason = "Proxmox VE takes disk images by its API from 8.4 on";
		if (!reason && strcmp(capabilities[i].capability, NOVA_CAN_MIGRATE) == 0 &&
		    self->nodes < 2)
			reason = "the cluster has one node";
		if (!reason && missing) {
			name_missing(&why, missing);
			reason = why.text ? why.text : "the token lacks a privilege";
		}
		self->host->put_fact(op, NOVA_FIELD_CAPABILITY, capabilities[i].capability, reason);
		nova_text_free(&why);
	}
}

int proxmox_describe(void *handle, nova_op op)
{
	struct proxmox *self = handle;
	const struct nova_host *host = self->host;
	char poll[80];

	if (!self->connected)
		return host->error(op, NOVA_E_INVALID, "not connected");
	snprintf(poll, sizeof(poll), "tasks are polled every %.3g to %.3g s",
	         (double)self->poll_first_ns / 1e9, (double)self->poll_longest_ns / 1e9);
	host->put_fact(op, NOVA_FIELD_FACT, "product", "Proxmox VE");
	host->put_fact(op, NOVA_FIELD_FACT, "version", self->version);
	host->put_fact(op, NOVA_FIELD_FACT, "node", self->node);
	host->put_fact(op, NOVA_FIELD_FACT, "accel", "kvm");
	host->put_fact(op, NOVA_FIELD_FACT, "accel.why",
	               "Proxmox VE starts VMs with KVM unless their configuration says kvm=0");
	host->put_fact(op, NOVA_FIELD_FACT, "events", poll);
	host->put_fact(op, NOVA_FIELD_FACT, "image.format", "qcow2");
	host->put_fact(op, NOVA_FIELD_FACT, "tls", nova_http_trust(nova_calls_http(self->calls)));
	put_capabilities(self, op);
	return NOVA_DONE;
}
