/* SPDX-License-Identifier: MIT */
/*
 * `run --trace FILE`: every call as JSON lines (docs/trace.md). The parent opens the file and a
 * worker writes it, each line with one write, so that a crash loses at most the line that was being
 * written. All of it costs one look at nova_trace_on while it is off. Internal to core/run.
 */
#ifndef NOVACORE_RUN_TRACE_H
#define NOVACORE_RUN_TRACE_H

#include "core/run/worker.h"

/* Parent: opens or appends to the file and writes its first line. Descriptor > NOVA_TRACE_FD. */
int nova_trace_open(const char *path, const char *run, struct nova_error *error);

/* --- worker, any thread
 * ---------------------------------------------------------------------------- */

extern bool nova_trace_on;
/* The call that this thread is in, 0: none. */
extern _Thread_local uint64_t nova_trace_within;

/* From the packet "open". Its secrets are known by then: nova_secret_add. */
void nova_trace_start(const json_t *packet);
/*
 * A call begins: `kind` is "op", "lab" or "plugin"; members of `more` (consumed, may be NULL) are
 * added to the line. Returns its number, 0 if nothing is traced.
 */
uint64_t nova_trace_begin(const char *kind, const char *name, json_t *more);
/* It has ended. `error` may be NULL. */
void nova_trace_end(uint64_t number, const char *kind, const char *name, int64_t began_ns,
                    int status, const char *error, json_t *more);
/* Begun and ended in one line: what never waits. */
void nova_trace_once(const char *kind, const char *name, int64_t began_ns, int status,
                     json_t *more);
void nova_trace_op_begin(struct op *op);
void nova_trace_op_end(struct op *op);
void nova_trace_event(const struct instance *instance, const struct nova_event *event, bool known);
/* Something was said of an op that has ended, or of none at all. */
void nova_trace_late(nova_op number, const char *what, json_t *more);

/* A plugin's own functions: load, probe, create, setup, replicate, … */
struct nova_trace_span {
	uint64_t number, within;
	const char *name;
	int64_t began_ns;
};
struct nova_trace_span nova_trace_plugin(const char *name, uint32_t kind, const char *plugin);
void nova_trace_plugin_end(const struct nova_trace_span *span, int status, const char *error);

/* --- texts and names
 * ------------------------------------------------------------------------------- */

/* Redacted, repaired and cut; null for NULL. */
json_t *nova_trace_text(const char *text);
json_t *nova_trace_bytes(const void *bytes, uint64_t count);
json_t *nova_trace_shape(const struct nova_shape *shape);
json_t *nova_trace_exec(const struct nova_exec *exec);
json_t *nova_trace_migrate(const struct nova_migrate *migrate);
/* The word for a value of types.h or hypervisor.h, or the number as text. */
enum nova_trace_names {
	NOVA_TRACE_FIELD = 1,
	NOVA_TRACE_EVENT,
	NOVA_TRACE_SOURCE,
	NOVA_TRACE_POWER,
	NOVA_TRACE_QUERY,
	NOVA_TRACE_SNAPSHOT,
	NOVA_TRACE_NET,
	NOVA_TRACE_BOOT,
	NOVA_TRACE_SAMPLE,
	NOVA_TRACE_SIDE
};
json_t *nova_trace_name(enum nova_trace_names of, uint32_t value);

/* trace_lab.c: the façade with each call traced around `real`. */
const struct nova_lab *nova_trace_lab(const struct nova_lab *real);

#endif
