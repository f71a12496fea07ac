/* SPDX-License-Identifier: MIT */
/* The target: connecting, what we may do there, what is possible and why not. */
#include "kubevirt.h"

#include <stdio.h>
#include <string.h>

/* What is asked of the API server, one by one: its own answer is the only one that counts. */
static const struct right {
	uint32_t bit;
	const char *verb, *group, *resource, *subresource;
} rights[] = {
        {MAY_VM_GET, "get", "kubevirt.io", "virtualmachines", NULL},
        {MAY_VM_LIST, "list", "kubevirt.io", "virtualmachines", NULL},
        {MAY_VM_CREATE, "create", "kubevirt.io", "virtualmachines", NULL},
        {MAY_VM_PATCH, "patch", "kubevirt.io", "virtualmachines", NULL},
        {MAY_VM_DELETE, "delete", "kubevirt.io", "virtualmachines", NULL},
        {MAY_VMI_GET, "get", "kubevirt.io", "virtualmachineinstances", NULL},
        {MAY_VMI_LIST, "list", "kubevirt.io", "virtualmachineinstances", NULL},
        {MAY_VMI_WATCH, "watch", "kubevirt.io", "virtualmachineinstances", NULL},
        {MAY_STOP, "update", "subresources.kubevirt.io", "virtualmachines", "stop"},
        {MAY_PAUSE, "update", "subresources.kubevirt.io", "virtualmachineinstances", "pause"},
        {MAY_UNPAUSE, "update", "subresources.kubevirt.io", "virtualmachineinstances", "unpause"},
        {MAY_RESET, "update", "subresources.kubevirt.io", "virtualmachineinstances", "reset"},
        {MAY_SNAP_CREATE, "create", "snapshot.kubevirt.io", "virtualmachinesnapshots", NULL},
        {MAY_SNAP_GET, "get", "snapshot.kubevirt.io", "virtualmachinesnapshots", NULL},
        {MAY_SNAP_DELETE, "delete", "snapshot.kubevirt.io", "virtualmachinesnapshots", NULL},
        {MAY_REST_CREATE, "create", "snapshot.kubevirt.io", "virtualmachinerestores", NULL},
        {MAY_REST_GET, "get", "snapshot.kubevirt.io", "virtualmachinerestores", NULL},
        {MAY_REST_DELETE, "delete", "snapshot.kubevirt.io", "virtualmachinerestores", NULL},
        {MAY_MIG_CREATE, "create", "kubevirt.io", "virtualmachineinstancemigrations", NULL},
        {MAY_MIG_GET, "get", "kubevirt.io", "virtualmachineinstancemigrations", NULL},
        {MAY_MIG_DELETE, "delete", "kubevirt.io", "virtualmachineinstancemigrations", NULL},
        {MAY_METRICS, "list", "metrics.k8s.io", "pods", NULL},
};
#define RIGHTS (sizeof(rights) / sizeof(rights[0]))

/* --- rights ----------------------------------------------------------------------------------- */

static void connected(struct call *call)
{
	struct kubevirt *self = call->self;

	if (!(self->may & (MAY_VM_GET | MAY_VM_LIST))) {
		nova_call_fail(
		        &call->base, NOVA_E_PERMISSION,
		        "we are known to %s but may not even get or list virtualmachines in "
		        "the namespace '%s': bind the role of docs/roles/kubevirt.yaml there",
		        self->base, self->namespace);
		return;
	}
	self->connected = 1;
	if ((self->may & MAY_WATCH) == MAY_WATCH)
		watch_start(self);
	nova_call_done(&call->base);
}

static void ask_right(struct call *call);

static void take_right(struct call *call, json_t *data)
{
	if (nova_json_flag(data, "status.allowed", 0))
		call->self->may |= rights[call->right].bit;
	if (++call->right < RIGHTS)
		ask_right(call);
	else
		connected(call);
}

static void ask_right(struct call *call)
{
	const struct right *right = &rights[call->right];
	json_t *about = json_pack("{ssssssss}", "namespace", call->self->namespace, "verb",
	                          right->verb, "group", right->group, "resource", right->resource);

	if (right->subresource)
		json_object_set_new(about, "subresource", json_string(right->subresource));
	call_send(call, take_right, "POST",
	          json_pack("{sssss{so}}", "apiVersion", "authorization.k8s.io/v1", "kind",
	                    "SelfSubjectAccessReview", "spec", "resourceAttributes", about),
	          "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews");
}

/* --- what there is ---------------------------------------------------------------------------- */

static void take_groups(struct call *call, json_t *data)
{
	struct kubevirt *self = call->self;
	size_t i;
	json_t *group;

	json_array_foreach(json_object_get(data, "groups"), i, group)
	{
		const char *name = nova_json_text(group, "name", "");
		const char *version = nova_json_text(group, "preferredVersion.version", "");

		if (strcmp(name, "metrics.k8s.io") == 0)
			self->has |= HAS_METRICS;
		if (strcmp(name, "snapshot.kubevirt.io") != 0 || !is_name(version) ||
		    strlen(version) >= sizeof(self->snapshots))
			continue;
		self->has |= HAS_SNAPSHOTS;
		snprintf(self->snapshots, sizeof(self->snapshots), "%s", version);
	}
	call->right = 0;
	self->may = 0;
	ask_right(call);
}

static void ask_groups(struct call *call)
{
	call_send(call, take_groups, "GET", NULL, "/apis");
}

static void take_version(struct call *call, json_t *data)
{
	snprintf(call->self->version, sizeof(call->self->version), "%s",
	         nova_json_text(data, "gitVersion", "unknown"));
	ask_groups(call);
}

static int no_version(struct nova_call *base, const struct nova_refusal *refusal)
{
	struct call *call = (struct call *)base;

	if (refusal->status == 401)
		return 0;
	snprintf(call->self->version, sizeof(call->self->version), "unknown");
	ask_groups(call);
	return 1;
}

static void take_subresources(struct call *call, json_t *data)
{
	static const struct {
		const char *name;
		uint32_t bit;
	} known[] = {{"virtualmachines/stop", HAS_STOP},
	             {"virtualmachineinstances/pause", HAS_PAUSE},
	             {"virtualmachineinstances/reset", HAS_RESET}};
	size_t i;
	json_t *resource;

	json_array_foreach(json_object_get(data, "resources"), i, resource)
	{
		for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
			if (strcmp(nova_json_text(resource, "name", ""), known[k].name) == 0)
				call->self->has |= known[k].bit;
		}
	}
	call_send(call, take_version, "GET", NULL, SUBRESOURCES "/version");
	nova_call_on_refusal(&call->base, no_version);
}

static int no_kubevirt(struct nova_call *base, const struct nova_refusal *refusal)
{
	if (refusal->status != 404)
		return 0;
	nova_call_fail(
	        base, NOVA_E_UNSUPPORTED,
	        "the cluster at %s has no KubeVirt (no subresources.kubevirt.io/v1): install "
	        "it, or name another cluster",
	        ((struct call *)base)->self->base);
	return 1;
}

static void take_kubernetes(struct call *call, json_t *data)
{
	snprintf(call->self->kubernetes, sizeof(call->self->kubernetes), "%s",
	         nova_json_text(data, "gitVersion", "unknown"));
	call_send(call, take_subresources, "GET", NULL, SUBRESOURCES);
	nova_call_on_refusal(&call->base, no_kubevirt);
}

int kubevirt_connect(void *handle, nova_op op)
{
	struct kubevirt *self = handle;
	struct call *call;
	int result = login_begin(self, op);

	if (result != NOVA_DONE)
		return result;
	call = call_new(self, op, NULL);
	if (!call)
		return NOVA_E_MEMORY;
	self->has = 0;
	call_send(call, take_kubernetes, "GET", NULL, "/version");
	return nova_call_return(&call->base);
}

/* --- describe --------------------------------------------------------------------------------- */

#define MAY_HAVE (MAY_WATCH | MAY_VM_LIST)
#define MAY_SNAP                                                                                   \
	(MAY_SNAP_CREATE | MAY_SNAP_GET | MAY_SNAP_DELETE | MAY_REST_CREATE | MAY_REST_GET |       \
	 MAY_REST_DELETE | MAY_STOP | MAY_VM_PATCH)

/* What each capability needs; `never`: why there is none, whatever the cluster. */
static const struct capability {
	const char *name;
	uint32_t rights, parts;
	const char *never;
} capabilities[] = {
        {NOVA_CAN_CREATE, MAY_HAVE | MAY_VM_CREATE | MAY_VM_DELETE | MAY_VM_PATCH | MAY_STOP,
         HAS_STOP, NULL},
        {NOVA_CAN_CLONE, MAY_HAVE | MAY_VM_CREATE | MAY_VM_DELETE, 0, NULL},
        {NOVA_CAN_START, MAY_HAVE | MAY_VM_PATCH | MAY_STOP, HAS_STOP, NULL},
        {NOVA_CAN_SHUTDOWN, MAY_HAVE | MAY_VM_PATCH, 0, NULL},
        {NOVA_CAN_PAUSE, MAY_HAVE | MAY_PAUSE | MAY_UNPAUSE, HAS_PAUSE, NULL},
        {NOVA_CAN_RESET, MAY_HAVE | MAY_RESET, HAS_RESET, NULL},
        {NOVA_CAN_SNAPSHOT, MAY_HAVE | MAY_SNAP, HAS_SNAPSHOTS, NULL},
        {NOVA_CAN_READY, MAY_HAVE, 0, NULL},
        {NOVA_CAN_STATS, MAY_HAVE | MAY_METRICS, HAS_METRICS, NULL},
        {NOVA_CAN_ADDRESS, MAY_HAVE, 0, NULL},
        {NOVA_CAN_DISK, 0, 0, NULL},
        {NOVA_CAN_TEMPLATE, 0, 0, NULL},
        {NOVA_CAN_PLACE, 0, 0, NULL},
        {NOVA_CAN_MIGRATE, MAY_HAVE | MAY_MIG_CREATE | MAY_MIG_GET | MAY_MIG_DELETE, 0, NULL},
        {NOVA_CAN_EXEC, MAY_HAVE, 0, NULL},
        {NOVA_CAN_BEAT, 0, 0, "KubeVirt has no serial port that sends to the network"},
        {NOVA_CAN_DIRECT, 0, 0,
         "KubeVirt boots only kernels that are in a container image: set vm.standard.boot to disk "
         "or template"},
        {NOVA_CAN_STUB, 0, 0, "KubeVirt takes no boot sector from this host"},
        {NOVA_CAN_IMAGE, 0, 0,
         "images come from a container registry or a volume of the cluster: set container_disk or "
         "template"},
        {NOVA_CAN_NETWORK, 0, 0, "this driver makes no networks: VMs use the pod network"},
        {NOVA_CAN_CONVERGE, 0, 0, "the cluster's MigrationPolicy decides, not the migration"},
        {NOVA_CAN_COMPRESS, 0, 0, "KubeVirt's migrations are not compressed"},
        {NOVA_CAN_POST_COPY, 0, 0, "the cluster's MigrationPolicy decides, not the migration"},
        {NOVA_CAN_PARALLEL, 0, 0, "the cluster decides how many connections a migration has"},
        {NOVA_CAN_KNOBS, MAY_HAVE | MAY_VM_PATCH, 0, NULL},
        {NOVA_CAN_PIN, 0, 0,
         "KubeVirt pins by the kubelet's CPU manager, not to CPUs of our choice"},
        {NOVA_CAN_TWIN, 0, 0, "a second cluster cannot be started from here"},
};

static void name_missing(struct nova_text *text, uint32_t missing, const char *namespace)
{
	const char *separator = "lacks the right to ";

	for (size_t i = 0; i < RIGHTS; i++) {
		if (!(missing & rights[i].bit))
			continue;
		nova_text_printf(text, "%s%s %s%s%s", separator, rights[i].verb, rights[i].resource,
		                 rights[i].subresource ? "/" : "",
		                 rights[i].subresource ? rights[i].subresource : "");
		separator = ", ";
	}
	nova_text_printf(text, " in the namespace %s", namespace);
}

/* Why not, where that is not a matter of rights; NULL: nothing is in the way. */
static const char *obstacle(const struct kubevirt *self, const struct capability *capability)
{
	const char *name = capability->name;
	uint32_t lacking = capability->parts & ~self->has;

	if (capability->never)
		return capability->never;
	if (lacking & HAS_SNAPSHOTS)
		return "this cluster has no snapshot.kubevirt.io (is KubeVirt's feature Snapshot "
		       "on?)";
	if (lacking & HAS_METRICS)
		return "this cluster has no metrics.k8s.io: install metrics-server";
	if (lacking)
		return "this KubeVirt is too old: it has no such subresource";
	if (strcmp(name, NOVA_CAN_CREATE) == 0 && !self->template && !self->container_disk)
		return "neither hypervisor.kubevirt.container_disk nor …template is set";
	if (strcmp(name, NOVA_CAN_SNAPSHOT) == 0 && !self->template)
		return "snapshots hold volumes, and a container disk is none: set "
		       "hypervisor.kubevirt.template";
	if (strcmp(name, NOVA_CAN_EXEC) == 0 && !self->ssh)
		return NO_EXEC;
	if (strcmp(name, NOVA_CAN_READY) == 0 && !self->agent)
		return "needs the guest agent in the VMs: set hypervisor.kubevirt.agent=true";
	if (strcmp(name, NOVA_CAN_MIGRATE) == 0 && self->node)
		return "this target's VMs are bound to one node (hypervisor.kubevirt.node)";
	return NULL;
}

static void put_capability(const struct kubevirt *self, nova_op op,
                           const struct capability *capability)
{
	const char *reason = obstacle(self, capability);
	uint32_t missing = capability->rights & ~self->may;
	struct nova_text why = {0};

	if (!reason && missing) {
		name_missing(&why, missing, self->namespace);
		reason = why.broken ? "lacks a right" : nova_text_get(&why);
	}
	self->host->put_fact(op, NOVA_FIELD_CAPABILITY, capability->name, reason);
	nova_text_free(&why);
}

int kubevirt_describe(void *handle, nova_op op)
{
	struct kubevirt *self = handle;
	const struct nova_host *host = self->host;

	if (!self->connected)
		return host->error(op, NOVA_E_INVALID, "not connected");
	host->put_fact(op, NOVA_FIELD_FACT, "product", "KubeVirt");
	host->put_fact(op, NOVA_FIELD_FACT, "version", self->version);
	host->put_fact(op, NOVA_FIELD_FACT, "kubernetes", self->kubernetes);
	host->put_fact(op, NOVA_FIELD_FACT, "endpoint", self->base); /* runs lock it */
	host->put_fact(op, NOVA_FIELD_FACT, "namespace", self->namespace);
	host->put_fact(op, NOVA_FIELD_FACT, "node", self->node ? self->node : "any");
	host->put_fact(op, NOVA_FIELD_FACT, "accel", "kvm");
	host->put_fact(op, NOVA_FIELD_FACT, "accel.why",
	               "KubeVirt uses KVM unless the cluster's configuration says useEmulation");
	host->put_fact(op, NOVA_FIELD_FACT, "events",
	               "notifications of the API server, stamped on arrival");
	host->put_fact(op, NOVA_FIELD_FACT, "tls", nova_http_trust(nova_calls_http(self->calls)));
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++)
		put_capability(self, op, &capabilities[i]);
	return NOVA_DONE;
}
