/* SPDX-License-Identifier: MIT */
/* The target: connecting, what the user's role allows there, what is possible and why not. */
#include "xcpng.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* --- connect ---------------------------------------------------------------------------------- */

static void connected(struct call *call)
{
	call->self->connected = 1;
	watch_start(call->self);
	nova_call_done(&call->base);
}

/* The one record of that name or UUID; NULL: there is none or there are several, and the call has
 * ended. */
static const char *find_named(struct call *call, const json_t *records, const char *kind,
                              const char *wanted)
{
	const char *found = NULL;
	size_t count = 0;
	const char *ref;
	json_t *record;

	json_object_foreach((json_t *)records, ref, record)
	{
		if (strcmp(nova_json_text(record, "uuid", ""), wanted) != 0 &&
		    strcmp(nova_json_text(record, "name_label", ""), wanted) != 0 &&
		    strcmp(nova_json_text(record, "hostname", ""), wanted) != 0)
			continue;
		found = ref;
		count++;
	}
	if (count == 1 && answer_is_ref(found))
		return found;
	nova_call_fail(&call->base, count ? NOVA_E_INVALID : NOVA_E_NOT_FOUND,
	               count ? "%s has several %s named '%s': give the UUID of one"
	                     : "%s has no %s '%s', by name or UUID",
	               call->self->base, kind, wanted);
	return NULL;
}

static int keep_named(struct call *call, const json_t *records, const char *kind,
                      const char *wanted, char ref[REF_ROOM])
{
	const char *found = find_named(call, records, kind, wanted);

	if (found)
		snprintf(ref, REF_ROOM, "%s", found);
	return found != NULL;
}

static void take_networks(struct call *call, json_t *result)
{
	if (keep_named(call, result, "network", call->self->network_name, call->self->network))
		connected(call);
}

static void find_network(struct call *call)
{
	if (call->self->network_name)
		call_rpc(call, take_networks, "network.get_all_records", "[]");
	else
		connected(call);
}

static void take_srs(struct call *call, json_t *result)
{
	if (keep_named(call, result, "storage repository", call->self->sr_name, call->self->sr))
		find_network(call);
}

static void find_sr(struct call *call)
{
	if (call->self->sr_name)
		call_rpc(call, take_srs, "SR.get_all_records", "[]");
	else
		find_network(call);
}

static void take_hosts(struct call *call, json_t *result)
{
	struct xcpng *self = call->self;
	const char *ref = NULL;
	char address[256];
	json_t *host;

	self->hosts = (uint32_t)json_object_size(result);
	if (self->host_name && !(ref = find_named(call, result, "host", self->host_name)))
		return;
	host = ref ? json_object_get(result, ref) : json_object_get(result, call->other);
	snprintf(self->version, sizeof(self->version), "%s",
	         nova_json_text(host, "software_version.product_version", "unknown"));
	snprintf(self->brand, sizeof(self->brand), "%s",
	         nova_json_text(host, "software_version.product_brand", "XenServer"));
	if (ref && !answer_address(nova_json_text(host, "address", ""), address, sizeof(address))) {
		nova_call_puzzled(&call->base, "a host with an impossible address");
		return;
	}
	if (ref) {
		snprintf(self->host_ref, sizeof(self->host_ref), "%s", ref);
		snprintf(self->host_base, sizeof(self->host_base), "https://%s%s", address,
		         self->port);
	}
	find_sr(call);
}

static void take_pools(struct call *call, json_t *result)
{
	struct xcpng *self = call->self;
	json_t *pool = json_object_iter_value(json_object_iter(result));
	const char *uuid = nova_json_text(pool, "uuid", "");
	const char *sr = nova_json_text(pool, "default_SR", "");

	if (json_object_size(result) != 1 || !answer_is_uuid(uuid)) {
		nova_call_puzzled(&call->base, "it was to be one pool");
		return;
	}
	snprintf(self->pool, sizeof(self->pool), "%s", uuid);
	snprintf(self->sr, sizeof(self->sr), "%s", answer_is_ref(sr) ? sr : "");
	snprintf(call->other, sizeof(call->other), "%s", nova_json_text(pool, "master", ""));
	call_rpc(call, take_hosts, "host.get_all_records", "[]");
}

static void take_permissions(struct call *call, json_t *result)
{
	struct xcpng *self = call->self;
	size_t i;
	json_t *name;

	json_decref(self->permissions);
	self->permissions = json_object();
	self->superuser = nova_json_flag(result, "is_local_superuser", 0);
	json_array_foreach(json_object_get(result, "rbac_permissions"), i, name)
	{
		char lower[96];
		size_t length = 0;

		for (const char *c = nova_json_text(name, "", ""); *c && length < 95; c++)
			lower[length++] = (char)tolower((unsigned char)*c);
		lower[length] = '\0';
		json_object_set_new(self->permissions, lower, json_true());
	}
	call_rpc(call, take_pools, "pool.get_all_records", "[]");
}

static void ask_permissions(struct call *call, json_t *result)
{
	(void)result;
	call_rpc(call, take_permissions, "session.get_record", "[s]", call->self->session);
}

int xcpng_connect(void *self, nova_op op)
{
	struct call *call = call_new(self, op, NULL);

	if (!call)
		return NOVA_E_MEMORY;
	rpc_login(call, ask_permissions);
	return nova_call_return(&call->base);
}

/* --- describe --------------------------------------------------------------------------------- */

/* What each capability calls, as RBAC names it; `never`: why there is none, whatever the role. */
static const struct {
	const char *capability;
	const char *calls[10];
	int needs_tools, needs_pool;
	const char *never;
} capabilities[] = {
        {.capability = NOVA_CAN_CREATE,
         .calls = {"vm.clone", "vm.provision", "vm.set_is_a_template", "vm.set_memory_limits",
                   "vm.set_vcpus_max", "vm.set_vcpus_at_startup", "vm.destroy", "vdi.destroy",
                   "vm.hard_shutdown"}},
        {.capability = NOVA_CAN_CLONE,
         .calls = {"vm.clone", "vm.set_is_a_template", "vm.set_memory_limits", "vm.set_vcpus_max",
                   "vm.set_vcpus_at_startup"}},
        {.capability = NOVA_CAN_START, .calls = {"vm.start", "vm.hard_shutdown"}},
        {.capability = NOVA_CAN_SHUTDOWN, .calls = {"vm.clean_shutdown"}},
        {.capability = NOVA_CAN_PAUSE, .calls = {"vm.pause", "vm.unpause"}},
        {.capability = NOVA_CAN_RESET, .calls = {"vm.hard_reboot"}},
        {.capability = NOVA_CAN_SNAPSHOT,
         .calls = {"vm.snapshot", "vm.checkpoint", "vm.revert", "vm.resume", "vm.destroy",
                   "vdi.destroy"}},
        {.capability = NOVA_CAN_DISK,
         .calls = {"vdi.create", "vdi.clone", "vdi.copy", "vdi.resize", "vbd.create",
                   "vif.create"}},
        {.capability = NOVA_CAN_TEMPLATE},
        {.capability = NOVA_CAN_PLACE, .calls = {"vm.copy", "vdi.copy"}},
        {.capability = NOVA_CAN_STUB,
         .calls = {"vdi.create", "vbd.create", "http/put_import_raw_vdi"}},
        {.capability = NOVA_CAN_IMAGE,
         .calls = {"vdi.create", "vdi.destroy", "http/put_import_raw_vdi"}},
        {.capability = NOVA_CAN_NETWORK, .calls = {"network.create", "network.destroy"}},
        {.capability = NOVA_CAN_STATS, .calls = {"http/get_rrd_updates"}},
        {.capability = NOVA_CAN_MIGRATE,
         .calls = {"vm.pool_migrate", "vm.migrate_send", "host.migrate_receive"},
         .needs_pool = 1},
        {.capability = NOVA_CAN_KNOBS,
         .calls = {"vm.add_to_vcpus_params", "vm.remove_from_vcpus_params"}},
        {.capability = NOVA_CAN_READY, .needs_tools = 1},
        {.capability = NOVA_CAN_ADDRESS, .needs_tools = 1},
        {.capability = NOVA_CAN_EXEC, .needs_tools = 1},
        {.capability = NOVA_CAN_BEAT,
         .never = "Xen gives a VM one serial port, which does not send to the network"},
        {.capability = NOVA_CAN_DIRECT,
         .never = "XCP-ng boots kernels of its own control domain only, none of another host"},
        {.capability = NOVA_CAN_CONVERGE, .never = "Xen's migration has no auto-converge"},
        {.capability = NOVA_CAN_COMPRESS,
         .never = "whether memory is compressed on the way is a setting of the pool "
                  "(migration-compression), not of one migration"},
        {.capability = NOVA_CAN_POST_COPY, .never = "Xen has no post-copy migration"},
        {.capability = NOVA_CAN_PARALLEL, .never = "Xen migrates over one connection"},
        {.capability = NOVA_CAN_PIN,
         .never = "XCP-ng restricts all vCPUs of a VM to one set of CPUs (the knob vm.cpu.mask), "
                  "not each to its own"},
        {.capability = NOVA_CAN_TWIN, .never = "a second XCP-ng cannot be started from here"},
};

static void name_lack(const struct xcpng *self, const char *call, const char **separator,
                      struct nova_text *why)
{
	if (json_object_get(self->permissions, call))
		return;
	nova_text_printf(why, "%s%s", *separator, call);
	*separator = ", ";
}

static void name_missing(const struct xcpng *self, size_t i, struct nova_text *why)
{
	const char *separator = "the user's role lacks ";

	if (self->superuser)
		return;
	for (const char *const *call = capabilities[i].calls; *call; call++)
		name_lack(self, *call, &separator, why);
	/* where a VM is to run may not be everybody's to say */
	if (self->host_ref[0] && strcmp(capabilities[i].capability, NOVA_CAN_CREATE) == 0)
		name_lack(self, "vm.set_affinity", &separator, why);
	if (self->host_ref[0] && strcmp(capabilities[i].capability, NOVA_CAN_START) == 0)
		name_lack(self, "vm.start_on", &separator, why);
	if (self->host_ref[0] && strcmp(capabilities[i].capability, NOVA_CAN_SNAPSHOT) == 0)
		name_lack(self, "vm.resume_on", &separator, why);
}

static const char *why_not(const struct xcpng *self, size_t i)
{
	const char *capability = capabilities[i].capability;

	if (capabilities[i].never)
		return capabilities[i].never;
	if (capabilities[i].needs_tools && !self->tools)
		return "needs XenServer's or Xen's tools in the VMs: set "
		       "hypervisor.xcp-ng.tools=true";
	if (strcmp(capability, NOVA_CAN_EXEC) == 0 && !self->ssh)
		return "XenAPI runs no programs in guests, whose tools only report: set "
		       "hypervisor.xcp-ng.ssh_key to a key that opens their SSH server";
	if (strcmp(capability, NOVA_CAN_CREATE) == 0 && !self->template && !self->sr[0])
		return "neither hypervisor.xcp-ng.template nor …sr is set, and the pool has no "
		       "default storage repository";
	if (!self->sr[0] &&
	    (strcmp(capability, NOVA_CAN_DISK) == 0 || strcmp(capability, NOVA_CAN_STUB) == 0 ||
	     strcmp(capability, NOVA_CAN_IMAGE) == 0))
		return "no storage repository: set hypervisor.xcp-ng.sr, or the pool's default";
	if (capabilities[i].needs_pool && !self->host_ref[0])
		return "where to is not known: two targets each name a host, "
		       "hypervisor.xcp-ng.host";
	return NULL;
}

static void put_capabilities(const struct xcpng *self, nova_op op)
{
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
		struct nova_text why = {0};
		const char *reason = why_not(self, i);

		if (!reason)
			name_missing(self, i, &why);
		if (why.broken)
			reason = "out of memory";
		self->host->put_fact(op, NOVA_FIELD_CAPABILITY, capabilities[i].capability,
		                     reason ? reason : why.text);
		nova_text_free(&why);
	}
}

int xcpng_describe(void *handle, nova_op op)
{
	struct xcpng *self = handle;
	const struct nova_host *host = self->host;
	char hosts[32];

	if (!self->connected)
		return host->error(op, NOVA_E_INVALID, "not connected");
	snprintf(hosts, sizeof(hosts), "%u", self->hosts);
	host->put_fact(op, NOVA_FIELD_FACT, "product", self->brand);
	host->put_fact(op, NOVA_FIELD_FACT, "version", self->version);
	host->put_fact(op, NOVA_FIELD_FACT, "pool", self->pool);
	host->put_fact(op, NOVA_FIELD_FACT, "hosts", hosts);
	host->put_fact(op, NOVA_FIELD_FACT, "host", self->host_name ? self->host_name : "any");
	host->put_fact(op, NOVA_FIELD_FACT, "accel", "xen");
	host->put_fact(op, NOVA_FIELD_FACT, "accel.why", "XCP-ng runs VMs on Xen, always");
	host->put_fact(op, NOVA_FIELD_FACT, "events",
	               self->watching ? "pushed by event.from, gathered for 50 ms"
	                              : "polled: event.from does not answer yet");
	host->put_fact(op, NOVA_FIELD_FACT, "image.format", "vhd");
	host->put_fact(op, NOVA_FIELD_FACT, "tls", nova_http_trust(nova_calls_http(self->calls)));
	put_capabilities(self, op);
	return NOVA_DONE;
}
