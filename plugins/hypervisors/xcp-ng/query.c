/* SPDX-License-Identifier: MIT */
/* Questions about a VM: its state, what it has used, its addresses; and its few knobs. */
#include "xcpng.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- state ------------------------------------------------------------------------------------ */

static void put_state(struct call *call, json_t *record)
{
	static const struct {
		const char *name;
		int64_t state;
	} states[] = {
	        {"Halted", NOVA_STATE_OFF},
	        {"Running", NOVA_STATE_RUNNING},
	        {"Paused", NOVA_STATE_PAUSED},
	};
	int64_t state = NOVA_STATE_OTHER;

	(void)record;
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (strcmp(states[i].name, vm_state(call)) == 0)
			state = states[i].state;
	}
	call->self->host->put_i64(call->base.op, NOVA_FIELD_STATE, state);
	nova_call_done(&call->base);
}

/* --- statistics ------------------------------------------------------------------------------- */

static void put(const struct call *call, uint32_t field, double value)
{
	if (isfinite(value) && value >= 0 && value < 0x1p62)
		call->self->host->put_i64(call->base.op, field, (int64_t)value);
}

static void put_rates(struct call *call, json_t *rrd)
{
	struct answer_stats stats;
	const char *why;

	if (!answer_rrd(rrd, call->uuid, &stats, &why)) {
		nova_call_puzzled(&call->base, why);
		return;
	}
	put(call, NOVA_FIELD_CPU_NS, stats.cpu_s * 1e9);
	put(call, NOVA_FIELD_DISK_READ_BYTES, stats.read_bytes);
	put(call, NOVA_FIELD_DISK_WRITE_BYTES, stats.write_bytes);
	put(call, NOVA_FIELD_NET_RX_BYTES, stats.received_bytes);
	put(call, NOVA_FIELD_NET_TX_BYTES, stats.sent_bytes);
	nova_call_done(&call->base);
}

static void ask_rates(struct call *call, const char *host_base)
{
	char url[256];

	snprintf(url, sizeof(url),
	         "/rrd_updates?start=%lld&cf=AVERAGE&host=false&json=true&vm_uuid=%s",
	         (long long)call->memory, call->uuid);
	call_http(call, put_rates, "GET /rrd_updates", host_base,
	          &(struct nova_http_request){.url = url});
}

/* Statistics are with the host that runs the VM. */
static void take_host(struct call *call, json_t *result)
{
	char address[256], base[300];

	if (!answer_address(nova_json_text(result, "", ""), address, sizeof(address))) {
		nova_call_puzzled(&call->base, "a host with an impossible address");
		return;
	}
	snprintf(base, sizeof(base), "https://%s%s", address, call->self->port);
	ask_rates(call, base);
}

static void take_metrics(struct call *call, json_t *result)
{
	const char *resident = nova_json_text(call->record, "resident_on", "");
	int64_t memory = nova_json_number(result, "memory_actual", -1);

	call->memory = answer_time(nova_json_text(result, "start_time", ""));
	put(call, NOVA_FIELD_MEMORY_BYTES, (double)memory);
	put(call, NOVA_FIELD_RESIDENT_BYTES, (double)memory); /* Xen gives all of it at the start */
	if (call->memory < 0 || strcmp(vm_state(call), "Halted") == 0)
		nova_call_done(&call->base);
	else if (call->self->hosts == 1)
		ask_rates(call, call->self->base);
	else if (answer_is_ref(resident))
		call_rpc(call, take_host, "host.get_address", "[s]", resident);
	else
		nova_call_done(&call->base);
}

static void ask_stats(struct call *call, json_t *record)
{
	const char *metrics = nova_json_text(record, "metrics", "");

	if (!answer_is_ref(metrics))
		nova_call_done(&call->base); /* it never ran */
	else
		call_rpc(call, take_metrics, "VM_metrics.get_record", "[s]", metrics);
}

/* --- addresses -------------------------------------------------------------------------------- */

/* "0/ip", "0/ipv4/0", "0/ipv6/0": the same address may stand there twice. */
static void put_addresses(struct call *call, json_t *result)
{
	const json_t *networks = json_object_get(result, "networks");
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)networks, key, value)
	{
		const char *rest = strchr(key, '/');
		char interface[32];

		if (!rest || !json_string_length(value) || strcmp(rest, "/ip") == 0)
			continue;
		snprintf(interface, sizeof(interface), "eth%.*s", (int)(rest - key), key);
		call->self->host->put_fact(call->base.op, NOVA_FIELD_ADDRESS, interface,
		                           json_string_value(value));
	}
	json_object_foreach((json_t *)networks, key, value)
	{
		const char *rest = strchr(key, '/');
		char interface[32], newer[32];

		if (!rest || !json_string_length(value) || strcmp(rest, "/ip") != 0)
			continue;
		snprintf(newer, sizeof(newer), "%.*s/ipv4/0", (int)(rest - key), key);
		snprintf(interface, sizeof(interface), "eth%.*s", (int)(rest - key), key);
		if (!json_object_get(networks, newer)) /* old tools know only that */
			call->self->host->put_fact(call->base.op, NOVA_FIELD_ADDRESS, interface,
			                           json_string_value(value));
	}
	nova_call_done(&call->base);
}

static void ask_addresses(struct call *call, json_t *record)
{
	const char *metrics = nova_json_text(record, "guest_metrics", "");

	if (!answer_is_ref(metrics))
		nova_call_fail(
		        &call->base, NOVA_E_UNAVAILABLE,
		        "the guest tools of the VM '%s' have not reported: are they installed "
		        "in it, and does it run?",
		        call->name);
	else
		call_rpc(call, put_addresses, "VM_guest_metrics.get_record", "[s]", metrics);
}

int xcpng_vm_query(void *self, nova_op op, const struct nova_ref *vm, uint32_t what)
{
	struct xcpng *xcpng = self;
	call_step then = what == NOVA_QUERY_STATE     ? put_state
	                 : what == NOVA_QUERY_STATS   ? ask_stats
	                 : what == NOVA_QUERY_ADDRESS ? ask_addresses
	                                              : NULL;
	struct call *call;

	if (!then)
		return xcpng->host->errorf(op, NOVA_E_UNSUPPORTED, "this driver has no query %u",
		                           what);
	call = call_new(xcpng, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	vm_identify(call, then);
	return nova_call_return(&call->base);
}

/* --- knobs ------------------------------------------------------------------------------------ */

static const struct knob {
	const char *name, *key, *fallback, *doc;
} knobs[] = {
        {"vm.cpu.weight", "weight", "256",
         "1…65535: share of CPU time against other VMs; from the VM's next start on"},
        {"vm.cpu.cap", "cap", "0",
         "most CPU time in per cent of one CPU, 0: no limit; from the VM's next start on"},
        {"vm.cpu.mask", "mask", "",
         "host CPUs that its vCPUs may run on, 0,1,2; empty: all; from the VM's next start on"},
};

static const struct knob *find_knob(const char *name)
{
	for (size_t i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++) {
		if (strcmp(knobs[i].name, name) == 0)
			return &knobs[i];
	}
	return NULL;
}

static void put_knob(const struct call *call, const struct knob *knob)
{
	char path[64];

	snprintf(path, sizeof(path), "VCPUs_params.%s", knob->key);
	call->self->host->put_fact(call->base.op, NOVA_FIELD_KNOB, knob->name,
	                           nova_json_text(call->record, path, knob->fallback));
}

static void list_knobs(struct call *call, json_t *record)
{
	(void)record;
	for (size_t i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++) {
		put_knob(call, &knobs[i]);
		call->self->host->put_fact(call->base.op, NOVA_FIELD_KNOB_DOC, knobs[i].name,
		                           knobs[i].doc);
	}
	nova_call_done(&call->base);
}

static void get_knob(struct call *call, json_t *record)
{
	(void)record;
	put_knob(call, find_knob(call->label));
	nova_call_done(&call->base);
}

static void knob_set(struct call *call, json_t *result)
{
	(void)result;
	nova_call_done(&call->base);
}

static void add_knob(struct call *call, json_t *result)
{
	(void)result;
	if (!call->other[0]) {
		nova_call_done(&call->base);
		return;
	}
	call_rpc(call, knob_set, "VM.add_to_VCPUs_params", "[sss]", call->ref,
	         find_knob(call->label)->key, call->other);
}

static void drop_knob(struct call *call, json_t *record)
{
	(void)record;
	call_rpc(call, add_knob, "VM.remove_from_VCPUs_params", "[ss]", call->ref,
	         find_knob(call->label)->key);
}

static int knob_op(struct xcpng *self, nova_op op, const struct nova_ref *vm, const char *knob,
                   call_step then, const char *value)
{
	struct call *call;

	if (knob && !find_knob(knob))
		return self->host->errorf(op, NOVA_E_NOT_FOUND,
		                          "XCP-ng has no knob '%s' for a VM; it has vm.cpu.weight, "
		                          "vm.cpu.cap and vm.cpu.mask",
		                          knob);
	if (value &&
	    (strlen(value) >= sizeof(call->other) || strspn(value, "0123456789,") != strlen(value)))
		return self->host->errorf(op, NOVA_E_INVALID,
		                          "%s is a number or a list of CPUs, not "
		                          "'%.40s'",
		                          knob, value);
	call = call_new(self, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	snprintf(call->label, sizeof(call->label), "%s", knob ? knob : "");
	snprintf(call->other, sizeof(call->other), "%s", value ? value : "");
	vm_identify(call, then);
	return nova_call_return(&call->base);
}

int xcpng_knob_list(void *self, nova_op op, const struct nova_ref *vm)
{
	return knob_op(self, op, vm, NULL, list_knobs, NULL);
}

int xcpng_knob_get(void *self, nova_op op, const struct nova_ref *vm, const char *knob)
{
	return knob_op(self, op, vm, knob, get_knob, NULL);
}

int xcpng_knob_set(void *self, nova_op op, const struct nova_ref *vm, const char *knob,
                   const char *value)
{
	return knob_op(self, op, vm, knob, drop_knob, value);
}
