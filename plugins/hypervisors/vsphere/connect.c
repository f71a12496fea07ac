/* SPDX-License-Identifier: MIT */
/*
 * Connecting: what the service is, the session, and by their names the places where VMs are to be
 * made. Whatever is not named is taken if there is only one.
 */
#include "vsphere.h"

#include <stdio.h>
#include <string.h>

static void find_compute(struct call *call, const struct nova_xml_node *result);
static void find_host(struct call *call, const struct nova_xml_node *unused);
static void find_pool(struct call *call, const struct nova_xml_node *unused);
static void find_folder(struct call *call, const struct nova_xml_node *unused);
static void find_datastore(struct call *call, const struct nova_xml_node *unused);
static void find_network(struct call *call, const struct nova_xml_node *unused);
static void find_template(struct call *call, const struct nova_xml_node *unused);
static void finish(struct call *call, const struct nova_xml_node *unused);

/* --- looking for things -------------------------------------------------------------------------
 */

/* Paths are as vSphere writes them: names with '/' in them have "%2f" there. */
static void find(struct call *call, call_step then, const char *below, const char *path)
{
	struct nova_text text = {0};

	nova_text_add(&text, call->self->place.datacenter_path);
	if (below)
		nova_text_printf(&text, "/%s/%s", below, path);
	soap_begin(call, "FindByInventoryPath", &call->self->search);
	nova_xml_add(&call->body, "inventoryPath", nova_text_get(&text));
	call->body.broken |= text.broken;
	nova_text_free(&text);
	soap_ask(call, then);
}

/* The answer to `find`; 0: there is none of that type, and the call has ended. */
static int found(struct call *call, const struct nova_xml_node *result, const char *parameter,
                 const char *value, const char *const types[], struct moref *out)
{
	const struct nova_xml_node *object = nova_xml_first(result, VIM, "returnval");

	soap_read_moref(object, out);
	for (size_t i = 0; types[i]; i++) {
		if (strcmp(out->type, types[i]) == 0)
			return 1;
	}
	if (out->value[0])
		nova_call_fail(&call->base, NOVA_E_INVALID,
		               "hypervisor.vsphere.%s: '%s' in %s is a %s, not a %s", parameter,
		               value, call->self->base, out->type, types[0]);
	else
		nova_call_fail(&call->base, NOVA_E_NOT_FOUND,
		               "hypervisor.vsphere.%s: there is no '%s' in %s that %s may see",
		               parameter, value, call->self->base, call->self->user);
	return 0;
}

/* Of the objects of an answer the one of that name, or the only one. */
struct choice {
	const char *parameter, *wanted;
	int optional;
	struct moref *out;
	char *name; /* NAME_BYTES + 1; NULL: not needed */
};

static const struct nova_xml_node *pick(struct call *call, const struct nova_xml_node *result,
                                        const struct choice *choice, struct nova_text *names)
{
	const struct nova_xml_node *one = props_first_of(call, result);
	const struct nova_xml_node *picked = NULL;
	size_t count = 0;

	for (; one; one = props_next(one)) {
		const char *name = props_text(one, "name", "");
		struct moref object;

		if (!props_object(one, &object) || moref_same(&object, &call->parent))
			continue;
		nova_text_add(names, count++ ? ", " : "");
		nova_text_add_printable(names, name, NAME_BYTES);
		if (choice->wanted ? vm_same_name(name, choice->wanted) : count == 1)
			picked = one;
	}
	return choice->wanted || count == 1 ? picked : NULL;
}

/* 0: the call has ended, or asks for more. */
static int choose(struct call *call, const struct nova_xml_node *result,
                  const struct choice *choice)
{
	struct nova_text names = {0};
	const struct nova_xml_node *picked = pick(call, result, choice, &names);
	int good = picked && props_object(picked, choice->out);

	if (good && choice->name)
		snprintf(choice->name, NAME_BYTES + 1, "%s", props_text(picked, "name", ""));
	if (!good && choice->wanted && props_ask_more(call, call->step, result))
		; /* it may be there */
	else if (!good && !props_all_seen(call))
		good = -1;
	else if (!good && choice->wanted)
		nova_call_fail(&call->base, NOVA_E_NOT_FOUND,
		               "hypervisor.vsphere.%s: %s has no '%s'; it has %s",
		               choice->parameter, call->self->base, choice->wanted,
		               names.used ? names.text : "none");
	else if (!good && !choice->optional)
		nova_call_fail(&call->base, NOVA_E_INVALID,
		               "%s has %s: set hypervisor.vsphere.%s to one of %s",
		               call->self->base, names.used ? "several" : "none that can be seen",
		               choice->parameter,
		               names.used ? names.text : "those that it ought to have");
	nova_text_free(&names);
	return good > 0 || (good == 0 && !choice->wanted && choice->optional);
}

/* --- datacenter ---------------------------------------------------------------------------------
 */

static void take_datacenter(struct call *call, const struct nova_xml_node *result)
{
	static const char *const types[] = {"Datacenter", NULL};
	struct vsphere *self = call->self;

	if (found(call, result, "datacenter", self->datacenter, types, &self->place.datacenter))
		props_ask(call, find_compute, &self->place.datacenter, "name hostFolder vmFolder");
}

static void take_datacenters(struct call *call, const struct nova_xml_node *result)
{
	struct place *place = &call->self->place;
	char name[NAME_BYTES + 1] = "";
	struct choice choice = {.parameter = "datacenter", .out = &place->datacenter, .name = name};

	if (!choose(call, result, &choice))
		return;
	snprintf(place->datacenter_path, sizeof(place->datacenter_path), "%s", name);
	props_ask(call, find_compute, &place->datacenter, "name hostFolder vmFolder");
}

static void find_datacenter(struct call *call, const struct nova_xml_node *unused)
{
	struct vsphere *self = call->self;

	(void)unused;
	if (!self->datacenter) {
		props_ask_each(call, take_datacenters, &self->root, "childEntity", "Datacenter",
		               "name");
		return;
	}
	snprintf(self->place.datacenter_path, sizeof(self->place.datacenter_path), "%s",
	         self->datacenter);
	find(call, take_datacenter, NULL, NULL);
}

/* --- cluster, host, pool ------------------------------------------------------------------------
 */

static const char *const computes[] = {"ComputeResource", "ClusterComputeResource", NULL};

static void take_compute_facts(struct call *call, const struct nova_xml_node *result)
{
	struct place *place = &call->self->place;
	const struct nova_xml_node *object = props_first(result);

	if (!soap_read_moref(props_value(object, "resourcePool"), &place->pool)) {
		call_puzzled(call, "a cluster without resource pool");
		return;
	}
	find_host(call, NULL);
}

static void ask_compute_facts(struct call *call)
{
	props_ask(call, take_compute_facts, &call->self->place.compute, "name resourcePool");
}

static void take_compute(struct call *call, const struct nova_xml_node *result)
{
	struct vsphere *self = call->self;

	if (found(call, result, "cluster", self->cluster, computes, &self->place.compute))
		ask_compute_facts(call);
}

static void take_computes(struct call *call, const struct nova_xml_node *result)
{
	struct choice choice = {.parameter = "cluster", .out = &call->self->place.compute};

	if (choose(call, result, &choice))
		ask_compute_facts(call);
}

static void find_compute(struct call *call, const struct nova_xml_node *result)
{
	struct vsphere *self = call->self;
	const struct nova_xml_node *object = props_first(result);
	struct moref hosts;

	if (!soap_read_moref(props_value(object, "hostFolder"), &hosts) ||
	    !soap_read_moref(props_value(object, "vmFolder"), &self->place.folder)) {
		call_puzzled(call, "a datacenter without folders");
		return;
	}
	if (self->cluster)
		find(call, take_compute, "host", self->cluster);
	else
		props_ask_each(call, take_computes, &hosts, "childEntity", "ComputeResource",
		               "name");
}

static void take_hosts(struct call *call, const struct nova_xml_node *result)
{
	struct vsphere *self = call->self;
	struct choice choice = {.parameter = "host",
	                        .wanted = self->host_name,
	                        .optional = 1,
	                        .out = &self->place.host};

	if (choose(call, result, &choice))
		find_pool(call, NULL);
}

static void find_host(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	props_ask_each(call, take_hosts, &call->self->place.compute, "host", "HostSystem", "name");
}

static void take_pool(struct call *call, const struct nova_xml_node *result)
{
	static const char *const types[] = {"ResourcePool", "VirtualApp", NULL};
	struct vsphere *self = call->self;

	if (found(call, result, "pool", self->pool, types, &self->place.pool))
		find_folder(call, NULL);
}

static void find_pool(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	if (call->self->pool)
		find(call, take_pool, "host", call->self->pool);
	else
		find_folder(call, NULL);
}

/* --- folder, datastore, network, template -------------------------------------------------------
 */

static void take_folder(struct call *call, const struct nova_xml_node *result)
{
	static const char *const types[] = {"Folder", NULL};
	struct vsphere *self = call->self;

	if (found(call, result, "folder", self->folder, types, &self->place.folder))
		find_datastore(call, NULL);
}

static void find_folder(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	if (call->self->folder)
		find(call, take_folder, "vm", call->self->folder);
	else
		find_datastore(call, NULL);
}

static void take_datastores(struct call *call, const struct nova_xml_node *result)
{
	struct vsphere *self = call->self;
	struct choice choice = {.parameter = "datastore",
	                        .wanted = self->datastore,
	                        .optional = 1,
	                        .out = &self->place.datastore,
	                        .name = self->place.datastore_name};

	if (choose(call, result, &choice))
		find_network(call, NULL);
}

static void find_datastore(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	props_ask_each(call, take_datastores, &call->self->place.compute, "datastore", "Datastore",
	               "name");
}

static void take_switch(struct call *call, const struct nova_xml_node *result)
{
	struct place *place = &call->self->place;

	snprintf(place->switch_uuid, sizeof(place->switch_uuid), "%s",
	         props_text(props_first(result), "uuid", ""));
	if (!place->switch_uuid[0])
		call_puzzled(call, "a distributed switch without UUID");
	else
		find_template(call, NULL);
}

static void take_portgroup(struct call *call, const struct nova_xml_node *result)
{
	struct place *place = &call->self->place;
	const struct nova_xml_node *object = props_first(result);
	struct moref dvs;

	snprintf(place->portgroup, sizeof(place->portgroup), "%s", props_text(object, "key", ""));
	if (!place->portgroup[0] ||
	    !soap_read_moref(props_value(object, "config.distributedVirtualSwitch"), &dvs))
		call_puzzled(call, "a distributed port group without switch");
	else
		props_ask(call, take_switch, &dvs, "uuid");
}

static void take_networks(struct call *call, const struct nova_xml_node *result)
{
	struct vsphere *self = call->self;
	struct choice choice = {.parameter = "network",
	                        .wanted = self->network,
	                        .out = &self->place.network,
	                        .name = self->place.network_name};

	if (!choose(call, result, &choice))
		return;
	if (strcmp(self->place.network.type, "DistributedVirtualPortgroup") == 0)
		props_ask(call, take_portgroup, &self->place.network,
		          "key config.distributedVirtualSwitch");
	else
		find_template(call, NULL);
}

static void find_network(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	if (call->self->network)
		props_ask_each(call, take_networks, &call->self->place.compute, "network",
		               "Network", "name");
	else
		find_template(call, NULL);
}

static void take_template(struct call *call, const struct nova_xml_node *result)
{
	static const char *const types[] = {"VirtualMachine", NULL};
	struct vsphere *self = call->self;

	if (found(call, result, "template", self->template, types, &self->place.template))
		finish(call, NULL);
}

static void find_template(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	if (call->self->template)
		find(call, take_template, "vm", call->self->template);
	else
		finish(call, NULL);
}

/* --- the rest -----------------------------------------------------------------------------------
 */

static void connected(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	call->self->connected = 1;
	watch_start(call->self);
	nova_call_done(&call->base);
}

static void take_managers(struct call *call, const struct nova_xml_node *result)
{
	struct vsphere *self = call->self;
	const struct nova_xml_node *object = props_first(result);

	soap_read_moref(props_value(object, "fileManager"), &self->guest_files);
	soap_read_moref(props_value(object, "processManager"), &self->guest_processes);
	target_ask_rights(call, connected);
}

static void finish(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	if (call->self->guest_operations.value[0])
		props_ask(call, take_managers, &call->self->guest_operations,
		          "fileManager processManager");
	else
		target_ask_rights(call, connected);
}

/* --- the service --------------------------------------------------------------------------------
 */

static void read_about(struct vsphere *self, const struct nova_xml_node *about)
{
	snprintf(self->product, sizeof(self->product), "%s",
	         nova_xml_text(about, VIM, "name", "VMware vSphere"));
	snprintf(self->version, sizeof(self->version), "%s build-%s",
	         nova_xml_text(about, VIM, "version", "unknown"),
	         nova_xml_text(about, VIM, "build", "unknown"));
	snprintf(self->instance_uuid, sizeof(self->instance_uuid), "%s",
	         nova_xml_text(about, VIM, "instanceUuid", ""));
	self->is_vcenter = strcmp(nova_xml_text(about, VIM, "apiType", ""), "VirtualCenter") == 0;
}

static void take_content(struct call *call, const struct nova_xml_node *result)
{
	struct vsphere *self = call->self;
	const struct nova_xml_node *content = nova_xml_first(result, VIM, "returnval");
	const struct {
		const char *name;
		struct moref *to;
		int needed;
	} managers[] = {
	        {"rootFolder", &self->root, 1},
	        {"propertyCollector", &self->properties, 1},
	        {"searchIndex", &self->search, 1},
	        {"sessionManager", &self->session, 1},
	        {"viewManager", &self->views, 0},
	        {"authorizationManager", &self->rights, 0},
	        {"licenseManager", &self->licences, 0},
	        {"guestOperationsManager", &self->guest_operations, 0},
	        {"fileManager", &self->files, 0},
	        {"virtualDiskManager", &self->disks, 0},
	        {"perfManager", &self->counters, 0},
	};

	for (size_t i = 0; i < sizeof(managers) / sizeof(managers[0]); i++) {
		if (soap_read_moref(nova_xml_first(content, VIM, managers[i].name),
		                    managers[i].to) ||
		    !managers[i].needed)
			continue;
		call_puzzled(call, "it lacks a manager that every vSphere has");
		return;
	}
	read_about(self, nova_xml_first(content, VIM, "about"));
	soap_login(call, find_datacenter);
}

int vsphere_connect(void *handle, nova_op op)
{
	static const struct moref instance = {.type = "ServiceInstance",
	                                      .value = "ServiceInstance"};
	struct vsphere *self = handle;
	struct call *call = call_new(self, op, NULL);

	if (!call)
		return NOVA_E_MEMORY;
	self->place = (struct place){0};
	soap_begin(call, "RetrieveServiceContent", &instance);
	soap_ask(call, take_content);
	return nova_call_return(&call->base);
}
