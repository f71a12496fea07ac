/* SPDX-License-Identifier: MIT */
/* What is asked about a VM: its state, its memory, its addresses. */
#include "kubevirt.h"

#include <stdlib.h>
#include <string.h>

static void put_state(struct call *call, json_t *data)
{
	int64_t state = NOVA_STATE_OTHER; /* being scheduled, started, stopped */

	(void)data;
	if (!vm_has_instance(call) || instance_is_final(&call->now))
		state = NOVA_STATE_OFF;
	else if (vm_is_running(call))
		state = call->now.paused ? NOVA_STATE_PAUSED : NOVA_STATE_RUNNING;
	call->self->host->put_i64(call->base.op, NOVA_FIELD_STATE, state);
	nova_call_done(&call->base);
}

/* --- statistics ------------------------------------------------------------------------------- */

/* Kubernetes' quantities: "1500m", "128Mi", "1.5Gi", "12e3". −1: it is none. */
static double quantity(const char *text)
{
	static const struct {
		const char *suffix;
		double times;
	} suffixes[] = {{"", 1},           {"n", 1e-9},          {"u", 1e-6},
	                {"m", 1e-3},       {"k", 1e3},           {"M", 1e6},
	                {"G", 1e9},        {"T", 1e12},          {"Ki", 1024.0},
	                {"Mi", 1048576.0}, {"Gi", 1073741824.0}, {"Ti", 1099511627776.0}};
	char *end = NULL;
	double value = strtod(text, &end);

	for (size_t i = 0; end != text && i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		if (strcmp(end, suffixes[i].suffix) == 0 && value >= 0 && value < 1e15)
			return value * suffixes[i].times;
	}
	return -1;
}

/* Of the pod that the VM runs in: QEMU, and what KubeVirt has put around it. */
static void put_pod(struct call *call, json_t *data)
{
	double used = 0;
	int found = 0;
	size_t i, k;
	json_t *pod, *container;

	json_array_foreach(json_object_get(data, "items"), i, pod)
	{
		json_array_foreach(json_object_get(pod, "containers"), k, container)
		{
			double bytes = quantity(nova_json_text(container, "usage.memory", ""));

			if (bytes >= 0) {
				used += bytes;
				found = 1;
			}
		}
	}
	/* metrics-server looks at a new pod only after some seconds: then there is nothing yet */
	if (found)
		call->self->host->put_i64(call->base.op, NOVA_FIELD_RESIDENT_BYTES, (int64_t)used);
	nova_call_done(&call->base);
}

static void put_stats(struct call *call, json_t *data)
{
	double given =
	        quantity(nova_json_text(data, "status.memory.guestCurrent",
	                                nova_json_text(data, "spec.domain.memory.guest", "")));

	if (!vm_is_running(call)) {
		nova_call_fail(&call->base, NOVA_E_BUSY, "VM '%s' in %s is not running", call->name,
		               call->self->namespace);
		return;
	}
	if (given >= 0)
		call->self->host->put_i64(call->base.op, NOVA_FIELD_MEMORY_BYTES, (int64_t)given);
	call_send(call, put_pod, "GET", NULL,
	          METRICS "/%s/pods?labelSelector=vm.kubevirt.io%%2Fname%%3D%s",
	          call->self->namespace, call->name);
}

/* --- addresses -------------------------------------------------------------------------------- */

static void put_interface(struct call *call, const json_t *interface)
{
	const char *name =
	        nova_json_text(interface, "interfaceName", nova_json_text(interface, "name", "?"));
	const json_t *list = json_object_get(interface, "ipAddresses");
	const char *first = nova_json_text(interface, "ipAddress", "");
	size_t i;
	json_t *address;

	if (!json_array_size(list) && *first)
		call->self->host->put_fact(call->base.op, NOVA_FIELD_ADDRESS, name, first);
	json_array_foreach(list, i, address)
	{
		if (json_string_length(address))
			call->self->host->put_fact(call->base.op, NOVA_FIELD_ADDRESS, name,
			                           json_string_value(address));
	}
}

static void put_addresses(struct call *call, json_t *data)
{
	size_t i;
	json_t *interface;

	json_array_foreach(nova_json_at(data, "status.interfaces"), i, interface)
	{
		put_interface(call, interface);
	}
	nova_call_done(&call->base);
}

int kubevirt_vm_query(void *self, nova_op op, const struct nova_ref *vm, uint32_t what)
{
	struct kubevirt *kubevirt = self;
	call_step then = what == NOVA_QUERY_STATE     ? put_state
	                 : what == NOVA_QUERY_STATS   ? put_stats
	                 : what == NOVA_QUERY_ADDRESS ? put_addresses
	                                              : NULL;
	struct call *call;

	if (!then)
		return kubevirt->host->errorf(op, NOVA_E_UNSUPPORTED, "this driver has no query %u",
		                              what);
	if (what == NOVA_QUERY_STATS && !(kubevirt->has & HAS_METRICS))
		return kubevirt->host->error(op, NOVA_E_UNSUPPORTED,
		                             "this cluster has no metrics.k8s.io (metrics-server)");
	call = call_new(kubevirt, op, vm);
	if (!call)
		return NOVA_E_MEMORY;
	if (call->name[0])
		vm_look(call, then);
	return nova_call_return(&call->base);
}
