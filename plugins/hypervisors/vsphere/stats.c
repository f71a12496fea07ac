/* SPDX-License-Identifier: MIT */
/*
 * A VM's statistics: what the VM says of itself, and what the performance counters of the last hour
 * add up to. They are kept in samples of 20 s; a VM that has run for longer than they reach back
 * has no sums.
 */
#include "vsphere.h"

#include <stdint.h>
#include <string.h>

#define INTERVAL_S 20
#define SAMPLES    180 /* of an hour: more are not kept */
#define KIB        INT64_C(1024)
#define MIB        (KIB * KIB)

/* By group, name and roll-up: their numbers differ between servers. `unit`: of a sample's value. */
static const struct counter {
	const char *group, *name, *rollup;
	uint32_t field;
	int64_t unit;
} counters[COUNTERS] = {
        {"cpu", "used", "summation", NOVA_FIELD_CPU_NS, INT64_C(1000000)},
        {"disk", "read", "average", NOVA_FIELD_DISK_READ_BYTES, KIB *INTERVAL_S},
        {"disk", "write", "average", NOVA_FIELD_DISK_WRITE_BYTES, KIB *INTERVAL_S},
        {"net", "received", "average", NOVA_FIELD_NET_RX_BYTES, KIB *INTERVAL_S},
        {"net", "transmitted", "average", NOVA_FIELD_NET_TX_BYTES, KIB *INTERVAL_S},
};

/* --- the sums -----------------------------------------------------------------------------------
 */

/* Of one counter's samples; −1 for one that is missing. */
static void put_sum(struct call *call, const struct counter *counter,
                    const struct nova_xml_node *series)
{
	const struct nova_xml_node *value = nova_xml_first(series, VIM, "value");
	int64_t sum = 0;
	size_t count = 0;

	for (; value; value = nova_xml_next(value, VIM, "value"), count++) {
		int64_t sample = nova_xml_number(value, VIM, "", -1);

		if (sample > 0 && sample < INT64_MAX / counter->unit / SAMPLES)
			sum += sample * counter->unit;
	}
	if (count > 0 && count < SAMPLES)
		call->self->host->put_i64(call->base.op, counter->field, sum);
}

static void put_sums(struct call *call, const struct nova_xml_node *result)
{
	const struct nova_xml_node *series =
	        nova_xml_first(nova_xml_first(result, VIM, "returnval"), VIM, "value");

	for (; series; series = nova_xml_next(series, VIM, "value")) {
		int64_t key = nova_xml_number(series, VIM, "id/counterId", -1);

		for (size_t i = 0; i < COUNTERS; i++)
			if (key > 0 && call->self->counter_keys[i] == key)
				put_sum(call, &counters[i], series);
	}
	nova_call_done(&call->base);
}

/* An account that may not ask for counters still gets the rest. */
static int without_sums(struct nova_call *base, const struct nova_refusal *refusal)
{
	if (refusal->code != NOVA_E_PERMISSION && refusal->code != NOVA_E_INVALID)
		return 0;
	nova_call_done(base);
	return 1;
}

static void ask_sums(struct call *call)
{
	int any = 0;

	soap_begin(call, "QueryPerf", &call->self->counters);
	nova_text_add(&call->body, "<querySpec>");
	soap_add_moref(&call->body, "entity", &call->vm);
	nova_xml_add(&call->body, "startTime", call->since);
	nova_xml_add_number(&call->body, "maxSample", SAMPLES);
	for (size_t i = 0; i < COUNTERS; i++) {
		if (call->self->counter_keys[i] <= 0)
			continue;
		nova_text_add(&call->body, "<metricId>");
		nova_xml_add_number(&call->body, "counterId", call->self->counter_keys[i]);
		nova_xml_add(&call->body, "instance", "");
		nova_text_add(&call->body, "</metricId>");
		any = 1;
	}
	nova_xml_add_number(&call->body, "intervalId", INTERVAL_S);
	nova_text_add(&call->body, "</querySpec>");
	if (!any) {
		nova_text_wipe(&call->body);
		nova_call_done(&call->base);
		return;
	}
	soap_ask(call, put_sums);
	nova_call_on_refusal(&call->base, without_sums);
}

/* --- which counters there are -------------------------------------------------------------------
 */

static int is_counter(const struct counter *counter, const struct nova_xml_node *info)
{
	return strcmp(nova_xml_text(info, VIM, "groupInfo/key", ""), counter->group) == 0 &&
	       strcmp(nova_xml_text(info, VIM, "nameInfo/key", ""), counter->name) == 0 &&
	       strcmp(nova_xml_text(info, VIM, "rollupType", ""), counter->rollup) == 0;
}

static void take_counters(struct call *call, const struct nova_xml_node *result)
{
	const struct nova_xml_node *info = nova_xml_first(
	        props_value(props_first(result), "perfCounter"), VIM, "PerfCounterInfo");

	for (; info; info = nova_xml_next(info, VIM, "PerfCounterInfo"))
		for (size_t i = 0; i < COUNTERS; i++)
			if (is_counter(&counters[i], info))
				call->self->counter_keys[i] = nova_xml_number(info, VIM, "key", -1);
	call->self->counters_known = 1;
	ask_sums(call);
}

/* --- the query ----------------------------------------------------------------------------------
 */

static void put_stats(struct call *call, const struct nova_xml_node *result)
{
	static const struct {
		const char *path;
		uint32_t field;
		int64_t unit;
	} known[] = {
	        {"summary.config.memorySizeMB", NOVA_FIELD_MEMORY_BYTES, MIB},
	        {"summary.quickStats.hostMemoryUsage", NOVA_FIELD_RESIDENT_BYTES, MIB},
	        {"summary.storage.committed", NOVA_FIELD_DISK_ALLOCATED_BYTES, 1},
	};
	const char *since = props_text(props_first(result), "runtime.bootTime", "");

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		int64_t value = props_number(props_first(result), known[i].path, -1);

		if (value >= 0 && value < INT64_MAX / MIB)
			call->self->host->put_i64(call->base.op, known[i].field,
			                          value * known[i].unit);
	}
	if (!vm_is(call, "poweredOn") || !*since || strlen(since) >= sizeof(call->since) ||
	    !call->self->counters.value[0]) {
		nova_call_done(&call->base);
		return;
	}
	memcpy(call->since, since, strlen(since) + 1);
	if (call->self->counters_known)
		ask_sums(call);
	else
		props_ask(call, take_counters, &call->self->counters, "perfCounter");
}

void stats_ask(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	props_ask(call, put_stats, &call->vm,
	          "summary.config.memorySizeMB summary.quickStats.hostMemoryUsage "
	          "summary.storage.committed runtime.bootTime");
}
