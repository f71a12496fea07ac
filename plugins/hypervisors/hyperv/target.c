/* SPDX-License-Identifier: MIT */
/* The target: connecting, what the account sees and may there, what is possible and why not. */
#include "hyperv.h"

#include <stdio.h>
#include <string.h>

/* --- connect: what the host is ---------------------------------------------------------------- */

static void keep_system(struct call *call, const struct nova_xml_node *instance)
{
	struct hyperv *self = call->self;

	self->may |= MAY_HOST;
	snprintf(self->product, sizeof(self->product), "%.100s", item_text(instance, "Caption"));
	snprintf(self->version, sizeof(self->version), "%.60s", item_text(instance, "Version"));
}

static void keep_computer(struct call *call, const struct nova_xml_node *instance)
{
	struct hyperv *self = call->self;
	const char *host = item_text(instance, "DNSHostName");
	const char *domain = item_text(instance, "Domain");
	int joined = nova_xml_flag(instance, NULL, "PartOfDomain", 0) && *domain;

	snprintf(self->dns_name, sizeof(self->dns_name), "%.63s%s%.180s", host, joined ? "." : "",
	         joined ? domain : "");
}

/* Hyper-V hides its services from who may not use them. */
static void keep_service(struct call *call, const struct nova_xml_node *instance)
{
	static const uint32_t bits[SERVICES] = {[MANAGE] = MAY_MANAGE,
	                                        [DISKS] = MAY_DISKS,
	                                        [SNAPSHOTS] = MAY_SNAPSHOT,
	                                        [MIGRATION] = MAY_MIGRATE,
	                                        [SWITCHES] = MAY_SWITCH};
	struct hyperv *self = call->self;

	for (size_t i = 0; i < SERVICES; i++) {
		if (strcmp(nova_xml_name(instance), service_class((enum service)i)) != 0)
			continue;
		self->may |= bits[i];
		snprintf(self->service[i], sizeof(self->service[i]), "%.63s",
		         item_text(instance, "Name"));
		snprintf(self->computer, sizeof(self->computer), "%.63s",
		         item_text(instance, "SystemName"));
	}
}

static void keep_directory(struct call *call, const struct nova_xml_node *instance)
{
	const char *path = item_text(instance, "DefaultVirtualHardDiskPath");
	struct hyperv *self = call->self;
	struct file file;

	if (!self->directory[0] && cim_read_directory(path, &file))
		snprintf(self->directory, sizeof(self->directory), "%s%s", file.drive,
		         file.directory);
}

static void keep_migration(struct call *call, const struct nova_xml_node *instance)
{
	call->self->migrates = nova_xml_flag(instance, NULL, "EnableVirtualSystemMigration", 0);
}

static void keep_template(struct call *call, const struct nova_xml_node *instance)
{
	(void)instance;
	call->self->template_why[0] = '\0';
}

static const struct {
	const char *space, *wql;
	item_step each;
} questions[] = {
        {CIM_VIRT, "select * from Msvm_VirtualSystemManagementService", keep_service},
        {CIM_VIRT, "select * from Msvm_ImageManagementService", keep_service},
        {CIM_VIRT, "select * from Msvm_VirtualSystemSnapshotService", keep_service},
        {CIM_VIRT, "select * from Msvm_VirtualSystemMigrationService", keep_service},
        {CIM_VIRT, "select * from Msvm_VirtualEthernetSwitchManagementService", keep_service},
        {CIM_VIRT, "select * from Msvm_VirtualSystemManagementServiceSettingData", keep_directory},
        {CIM_VIRT, "select * from Msvm_VirtualSystemMigrationServiceSettingData", keep_migration},
        {CIM_HOST, "select * from Win32_OperatingSystem", keep_system},
        {CIM_HOST, "select * from Win32_ComputerSystem", keep_computer},
};

#define QUESTIONS (sizeof(questions) / sizeof(questions[0]))

static void connected(struct call *call)
{
	struct hyperv *self = call->self;

	if (!(self->may & MAY_MANAGE)) {
		nova_call_fail(&call->base, NOVA_E_PERMISSION,
		               "%s lets the account in, but shows it no Hyper-V: put it into the "
		               "group Hyper-V Administrators (or install the role Hyper-V there)",
		               self->base);
		return;
	}
	self->connected = 1;
	nova_call_done(&call->base);
}

static void next_question(struct call *call, const struct nova_xml_node *unused);

/* Who may not see the one may see the other: what is missing is told by `describe`. */
static int not_for_us(struct nova_call *base, const struct nova_refusal *refusal)
{
	if (refusal->status == 401 ||
	    (refusal->code != NOVA_E_PERMISSION && refusal->code != NOVA_E_UNSUPPORTED &&
	     refusal->code != NOVA_E_NOT_FOUND))
		return 0;
	next_question((struct call *)base, NULL);
	return 1;
}

static void template_seen(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	connected(call);
}

static void ask_template(struct call *call)
{
	struct hyperv *self = call->self;
	struct nova_text *wql = wql_begin(call, "select * from CIM_DataFile where Name='");

	snprintf(self->template_why, sizeof(self->template_why),
	         "the host has no file %.120s that the account may see", self->template);
	cim_add_wql(wql, self->template);
	nova_text_add(wql, "'");
	wql_send(call, CIM_HOST, keep_template, template_seen);
}

static void next_question(struct call *call, const struct nova_xml_node *unused)
{
	size_t i = call->attempts++;

	(void)unused;
	if (i < QUESTIONS) {
		wql_begin(call, questions[i].wql);
		wql_send(call, questions[i].space, questions[i].each, next_question);
		nova_call_on_refusal(&call->base, not_for_us);
	} else if (call->self->template && (call->self->may & MAY_HOST)) {
		ask_template(call);
	} else {
		connected(call);
	}
}

int hyperv_connect(void *self, nova_op op)
{
	struct call *call = call_new(self, op, NULL);

	if (!call)
		return NOVA_E_MEMORY;
	call->self->may = 0;
	next_question(call, NULL);
	return nova_call_return(&call->base);
}

/* --- describe --------------------------------------------------------------------------------- */

/* What each capability needs to see; `never`: why there is none, whatever the account. */
static const struct {
	const char *capability;
	uint32_t needs;
	int needs_heartbeat;
	const char *never;
} capabilities[] = {
        {NOVA_CAN_CREATE, MAY_MANAGE | MAY_DISKS | MAY_HOST, 0, NULL},
        {NOVA_CAN_CLONE, MAY_MANAGE | MAY_DISKS | MAY_HOST, 0, NULL},
        {NOVA_CAN_START, MAY_MANAGE, 0, NULL},
        {NOVA_CAN_SHUTDOWN, MAY_MANAGE, 1, NULL},
        {NOVA_CAN_PAUSE, MAY_MANAGE, 0, NULL},
        {NOVA_CAN_RESET, MAY_MANAGE, 0, NULL},
        {NOVA_CAN_SNAPSHOT, MAY_MANAGE | MAY_SNAPSHOT, 0, NULL},
        {NOVA_CAN_READY, MAY_MANAGE, 1, NULL},
        {NOVA_CAN_ADDRESS, MAY_MANAGE, 1, NULL},
        {NOVA_CAN_STATS, MAY_MANAGE | MAY_HOST, 0, NULL},
        {NOVA_CAN_DISK, MAY_MANAGE | MAY_DISKS, 0, NULL},
        {NOVA_CAN_TEMPLATE, MAY_MANAGE | MAY_DISKS, 0, NULL},
        {NOVA_CAN_NETWORK, MAY_SWITCH, 0, NULL},
        {NOVA_CAN_MIGRATE, MAY_MIGRATE, 0, NULL},
        {NOVA_CAN_COMPRESS, MAY_MIGRATE, 0, NULL},
        {NOVA_CAN_EXEC, MAY_MANAGE, 1, NULL},
        {NOVA_CAN_BEAT, 0, 0, "a Hyper-V VM's serial port is a named pipe of the host"},
        {NOVA_CAN_DIRECT, 0, 0,
         "Hyper-V boots no kernel of another host: set vm.standard.boot to template or disk"},
        {NOVA_CAN_STUB, 0, 0, "WMI carries no files, so no image is put on the host"},
        {NOVA_CAN_IMAGE, 0, 0,
         "WMI carries no files: put a VHDX on the host and name it in hypervisor.hyperv.template"},
        {NOVA_CAN_CONVERGE, 0, 0, "Hyper-V has no auto-converge"},
        {NOVA_CAN_POST_COPY, 0, 0, "Hyper-V has no post-copy"},
        {NOVA_CAN_PARALLEL, 0, 0, "Hyper-V takes no number of connections for one migration"},
        {NOVA_CAN_KNOBS, MAY_MANAGE, 0, NULL},
        {NOVA_CAN_PIN, 0, 0, "Hyper-V pins no virtual processors (CPU groups are of the host)"},
        {NOVA_CAN_PLACE, 0, 0, "this driver puts all disks into hypervisor.hyperv.directory"},
        {NOVA_CAN_TWIN, 0, 0, "a second Hyper-V cannot be started from here"},
};

static const struct {
	uint32_t bit;
	const char *why;
} rights[] = {
        {MAY_MANAGE, "Msvm_VirtualSystemManagementService (group Hyper-V Administrators)"},
        {MAY_DISKS, "Msvm_ImageManagementService (group Hyper-V Administrators)"},
        {MAY_SNAPSHOT, "Msvm_VirtualSystemSnapshotService (group Hyper-V Administrators)"},
        {MAY_MIGRATE, "Msvm_VirtualSystemMigrationService (group Hyper-V Administrators)"},
        {MAY_SWITCH, "Msvm_VirtualEthernetSwitchManagementService (group Hyper-V "
                     "Administrators)"},
        {MAY_HOST, "the WMI namespace root/cimv2 (group Remote Management Users, or its right "
                   "Remote Enable), without which disks could not be deleted again"},
};

static void name_missing(struct nova_text *text, uint32_t missing)
{
	const char *separator = "the account lacks access to ";

	for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
		if (missing & rights[i].bit) {
			nova_text_printf(text, "%s%s", separator, rights[i].why);
			separator = ", and to ";
		}
	}
}

/* What stands in the way besides rights; NULL: nothing. */
static const char *reason_of(const struct hyperv *self, size_t i)
{
	const char *capability = capabilities[i].capability;

	if (capabilities[i].never)
		return capabilities[i].never;
	if (capabilities[i].needs_heartbeat && !self->heartbeat)
		return "needs the integration services in the VMs: set "
		       "hypervisor.hyperv.heartbeat=true";
	if ((strcmp(capability, NOVA_CAN_CREATE) == 0 || strcmp(capability, NOVA_CAN_CLONE) == 0) &&
	    !self->directory[0])
		return "the host's directory for disks is on no drive: set "
		       "hypervisor.hyperv.directory to one on a drive, C:\\…";
	if (strcmp(capability, NOVA_CAN_EXEC) == 0 && !self->ssh)
		return NO_EXEC;
	if (strcmp(capability, NOVA_CAN_TEMPLATE) == 0 && self->template_why[0])
		return self->template_why;
	if ((strcmp(capability, NOVA_CAN_MIGRATE) == 0 ||
	     strcmp(capability, NOVA_CAN_COMPRESS) == 0) &&
	    !self->migrates)
		return "live migration is off on this host: Enable-VMMigration";
	return NULL;
}

static void put_capabilities(const struct hyperv *self, nova_op op)
{
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
		uint32_t missing = capabilities[i].needs & ~self->may;
		struct nova_text why = {0};
		const char *reason = reason_of(self, i);

		if (missing && !capabilities[i].never) {
			name_missing(&why, missing);
			reason = why.text ? why.text : "the account lacks a right";
		}
		self->host->put_fact(op, NOVA_FIELD_CAPABILITY, capabilities[i].capability, reason);
		nova_text_free(&why);
	}
}

int hyperv_describe(void *handle, nova_op op)
{
	struct hyperv *self = handle;
	const struct nova_host *host = self->host;
	char poll[120];

	if (!self->connected)
		return host->error(op, NOVA_E_INVALID, "not connected");
	snprintf(poll, sizeof(poll),
	         "jobs are polled every %.3g to %.3g s, heartbeats every %.3g s",
	         (double)self->poll_first_ns / 1e9, (double)self->poll_longest_ns / 1e9,
	         (double)self->ready_ns / 1e9);
	host->put_fact(op, NOVA_FIELD_FACT, "product",
	               self->product[0] ? self->product : "Hyper-V");
	host->put_fact(op, NOVA_FIELD_FACT, "version",
	               self->version[0] ? self->version : "unknown");
	host->put_fact(op, NOVA_FIELD_FACT, "node", self->computer);
	host->put_fact(op, NOVA_FIELD_FACT, "accel", "hyper-v");
	host->put_fact(op, NOVA_FIELD_FACT, "accel.why", "Hyper-V runs VMs on the hardware only");
	host->put_fact(op, NOVA_FIELD_FACT, "events", poll);
	host->put_fact(op, NOVA_FIELD_FACT, "tls", nova_http_trust(nova_calls_http(self->calls)));
	put_capabilities(self, op);
	return NOVA_DONE;
}
