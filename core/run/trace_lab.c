/* SPDX-License-Identifier: MIT */
/*
 * The façade as a benchmark has it while its calls are traced: each function tells what it was
 * given and what came of it, around the real one. What never waits is one line.
 */
#include "core/run/trace.h"

#include <math.h>
#include <string.h>

static const struct nova_lab *real;

struct span {
	uint64_t number, within;
	const char *name;
	int64_t began_ns;
};

/* `args` is consumed. */
static struct span begin(const char *name, int64_t deadline_ns, json_t *args)
{
	json_t *more = json_pack("{so}", "args", args);
	struct span span = {.name = name, .within = nova_trace_within};

	if (deadline_ns)
		json_object_set_new(more, "deadline_ns", json_integer((json_int_t)deadline_ns));
	span.number = nova_trace_begin("lab", name, more);
	span.began_ns = nova_now_ns();
	nova_trace_within = span.number;
	return span;
}

static int end(const struct span *span, int code, json_t *more)
{
	nova_trace_within = span->within;
	nova_trace_end(span->number, "lab", span->name, span->began_ns, code, NULL, more);
	return code;
}

static json_int_t number(uint64_t value)
{
	return (json_int_t)value;
}

static int trace_can(nova_run run, uint32_t target, const char *capability, char *why,
                     uint32_t room)
{
	int64_t began = nova_now_ns();
	char own[512] = "";
	int can = real->can(run, target, capability, own, sizeof(own));

	if (why && room)
		snprintf(why, room, "%s", own);
	nova_trace_once("lab", "can", began, NOVA_DONE,
	                json_pack("{s{sI so} sb so}", "args", "target", number(target),
	                          "capability", nova_trace_text(capability), "can", can, "why",
	                          nova_trace_text(*own ? own : NULL)));
	return can;
}

static int trace_vm_create(nova_run run, uint32_t target, const struct nova_shape *shape,
                           int64_t deadline_ns, nova_vm *vm)
{
	struct nova_shape given;
	struct span span;
	int code;

	nova_struct_take(&given, sizeof(given), shape);
	span = begin("vm_create", deadline_ns,
	             json_pack("{sI so}", "target", number(target), "shape",
	                       nova_trace_shape(shape ? &given : NULL)));
	code = real->vm_create(run, target, shape, deadline_ns, vm);
	return end(&span, code, json_pack("{sI}", "vm", number(*vm)));
}

static int trace_vm_power(nova_run run, nova_vm vm, uint32_t action, int64_t deadline_ns)
{
	struct span span = begin("vm_power", deadline_ns,
	                         json_pack("{sI so}", "vm", number(vm), "action",
	                                   nova_trace_name(NOVA_TRACE_POWER, action)));

	return end(&span, real->vm_power(run, vm, action, deadline_ns), NULL);
}

static int trace_vm_delete(nova_run run, nova_vm vm, int64_t deadline_ns)
{
	struct span span = begin("vm_delete", deadline_ns, json_pack("{sI}", "vm", number(vm)));

	return end(&span, real->vm_delete(run, vm, deadline_ns), NULL);
}

static int trace_vm_query(nova_run run, nova_vm vm, uint32_t what, int64_t deadline_ns)
{
	struct span span = begin("vm_query", deadline_ns,
	                         json_pack("{sI so}", "vm", number(vm), "what",
	                                   nova_trace_name(NOVA_TRACE_QUERY, what)));

	return end(&span, real->vm_query(run, vm, what, deadline_ns), NULL);
}

static int trace_snapshot(nova_run run, nova_vm vm, const char *name, uint32_t action,
                          int64_t deadline_ns)
{
	struct span span =
	        begin("snapshot", deadline_ns,
	              json_pack("{sI so so}", "vm", number(vm), "snapshot", nova_trace_text(name),
	                        "action", nova_trace_name(NOVA_TRACE_SNAPSHOT, action)));

	return end(&span, real->snapshot(run, vm, name, action, deadline_ns), NULL);
}

static int trace_exec(nova_run run, nova_vm vm, const struct nova_exec *exec, int64_t deadline_ns)
{
	struct span span =
	        begin("exec", deadline_ns,
	              json_pack("{sI so}", "vm", number(vm), "exec", nova_trace_exec(exec)));

	return end(&span, real->exec(run, vm, exec, deadline_ns), NULL);
}

static int trace_wait(nova_run run, nova_vm vm, uint32_t kind, int64_t deadline_ns,
                      struct nova_event *event)
{
	struct span span = begin("wait", deadline_ns,
	                         json_pack("{sI so}", "vm", number(vm), "event",
	                                   nova_trace_name(NOVA_TRACE_EVENT, kind)));
	struct nova_event own = {.struct_size = sizeof(own)};
	int code = real->wait(run, vm, kind, deadline_ns, &own);
	json_t *more = NULL;

	if (!code) {
		more = json_pack("{sI sI so}", "at_ns", (json_int_t)own.t_ns, "resolution_ns",
		                 (json_int_t)own.resolution_ns, "source",
		                 nova_trace_name(NOVA_TRACE_SOURCE, own.source));
		if (event)
			nova_struct_give(event, &own, sizeof(own));
	}
	return end(&span, code, more);
}

static int trace_migrate(nova_run run, nova_vm vm, uint32_t target, const struct nova_migrate *how,
                         int64_t deadline_ns)
{
	struct span span = begin("migrate", deadline_ns,
	                         json_pack("{sI sI so}", "vm", number(vm), "target", number(target),
	                                   "how", nova_trace_migrate(how)));

	return end(&span, real->migrate(run, vm, target, how, deadline_ns), NULL);
}

static int trace_net_create(nova_run run, uint32_t target, uint32_t kind, int64_t deadline_ns,
                            char name[64])
{
	struct span span = begin("net_create", deadline_ns,
	                         json_pack("{sI so}", "target", number(target), "kind",
	                                   nova_trace_name(NOVA_TRACE_NET, kind)));
	int code = real->net_create(run, target, kind, deadline_ns, name);

	return end(&span, code, code ? NULL : json_pack("{so}", "net", nova_trace_text(name)));
}

static int trace_result(nova_run run, nova_vm vm, uint32_t field, uint32_t index,
                        struct nova_result *result)
{
	int64_t began = nova_now_ns();
	int code = real->result(run, vm, field, index, result);
	json_t *more = json_pack("{s{sI so sI}}", "args", "vm", number(vm), "field",
	                         nova_trace_name(NOVA_TRACE_FIELD, field), "index", number(index));

	/* What was put stands at the op's end; bytes not again. */
	if (!code && result->bytes)
		json_object_set_new(more, "bytes", json_integer(number(result->byte_count)));
	else if (!code)
		json_object_set_new(more, "value",
		                    result->i64 || !isfinite(result->f64)
		                            ? json_integer((json_int_t)result->i64)
		                            : json_real(result->f64));
	nova_trace_once("lab", "result", began, code, more);
	return code;
}

/* --- fan_out: what its threads call is within it -------------------------------------------------
 */

struct fan {
	int (*one)(void *, uint32_t, int64_t);
	void *context;
	uint64_t within;
};

static int one_of_many(void *context, uint32_t i, int64_t intended_ns)
{
	const struct fan *fan = context;

	nova_trace_within = fan->within;
	return fan->one(fan->context, i, intended_ns);
}

static int trace_fan_out(nova_run run, uint32_t count, uint32_t limit, double per_s,
                         int (*one)(void *, uint32_t, int64_t), void *context)
{
	struct span span = begin("fan_out", 0,
	                         json_pack("{sI sI sf}", "count", number(count), "limit",
	                                   number(limit), "per_s", isfinite(per_s) ? per_s : 0.0));
	struct fan fan = {one, context, span.number};

	return end(&span, real->fan_out(run, count, limit, per_s, one_of_many, &fan), NULL);
}

/* --- samples ------------------------------------------------------------------------------------
 */

static int trace_sample(nova_run run, const struct nova_sample *given)
{
	int64_t began = nova_now_ns();
	struct nova_sample sample;
	int code = real->sample(run, given);

	nova_struct_take(&sample, sizeof(sample), given);
	nova_trace_once(
	        "lab", "sample", began, code,
	        json_pack("{s{so so so sI sI so sI so}}", "args", "metric",
	                  nova_trace_text(sample.metric), "status",
	                  nova_trace_name(NOVA_TRACE_SAMPLE, sample.status), "side",
	                  sample.side ? nova_trace_name(NOVA_TRACE_SIDE, sample.side) : json_null(),
	                  "seq", number(sample.seq), "vm", number(sample.vm), "value",
	                  isfinite(sample.value) ? json_real(sample.value) : json_null(), "at_ns",
	                  (json_int_t)sample.t_ns, "source",
	                  nova_trace_name(NOVA_TRACE_SOURCE, sample.source)));
	return code;
}

static int trace_attempt(nova_run run, uint32_t status)
{
	int64_t began = nova_now_ns();
	int code = real->attempt(run, status);

	nova_trace_once(
	        "lab", "attempt", began, code,
	        json_pack("{s{so}}", "args", "status", nova_trace_name(NOVA_TRACE_SAMPLE, status)));
	return code;
}

static int trace_beats(nova_run run, nova_vm vm, struct nova_beats *beats)
{
	int64_t began = nova_now_ns();
	struct nova_beats own = {.struct_size = sizeof(own)};
	int code = real->beats(run, vm, &own);
	json_t *more = json_pack("{s{sI}}", "args", "vm", number(vm));

	if (!code) {
		json_object_set_new(more, "count", json_integer(number(own.count)));
		json_object_set_new(more, "gap_ns", json_integer((json_int_t)own.gap_ns));
		json_object_set_new(more, "handover_ns", json_integer((json_int_t)own.handover_ns));
		if (beats)
			nova_struct_give(beats, &own, sizeof(own));
	}
	nova_trace_once("lab", "beats", began, code, more);
	return code;
}

static int trace_room(nova_run run, nova_vm vm, uint32_t count)
{
	struct span span =
	        begin("room", 0, json_pack("{sI sI}", "vm", number(vm), "count", number(count)));

	return end(&span, real->room(run, vm, count), NULL);
}

static const struct nova_lab traced = {
        .struct_size = sizeof(struct nova_lab),
        .can = trace_can,
        .vm_create = trace_vm_create,
        .vm_power = trace_vm_power,
        .vm_delete = trace_vm_delete,
        .vm_query = trace_vm_query,
        .snapshot = trace_snapshot,
        .exec = trace_exec,
        .wait = trace_wait,
        .migrate = trace_migrate,
        .net_create = trace_net_create,
        .result = trace_result,
        .fan_out = trace_fan_out,
        .sample = trace_sample,
        .attempt = trace_attempt,
        .beats = trace_beats,
        .room = trace_room,
};

const struct nova_lab *nova_trace_lab(const struct nova_lab *table)
{
	real = table;
	return &traced;
}
