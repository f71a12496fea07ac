/* SPDX-License-Identifier: MIT */
/*
 * What XenAPI writes in forms of its own: names of errors, results of tasks, addresses, times,
 * statistics. No network, no state: what comes in is a peer's, and may be anything.
 */
#ifndef XCP_NG_ANSWER_H
#define XCP_NG_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <novacore/helpers/text.h>

#define REF_ROOM  96 /* "OpaqueRef:" and a UUID */
#define UUID_ROOM 40

/* NOVA_E_* of an error's name, such as VM_BAD_POWER_STATE; unknown ones are NOVA_E_FAILED. */
int answer_code(const char *name);
/* Appends "NAME (first, second)" of ["NAME", "first", "second"], from the item `first` on, and
 * returns its code. */
int answer_error(const char *name, const json_t *details, size_t first, struct nova_text *words);

/* What a JSON-RPC 2.0 answer to request `id` says, borrowed; NULL: it is none, and *why is a clause
 * of static lifetime. */
json_t *answer_result(const json_t *answer, int64_t id, const char **why);

/* One of those that event.from gives; texts are borrowed. */
struct answer_event {
	const char *kind, *ref;
	const json_t *object; /* as it is now; NULL: it is gone */
};

/* 0: it is none. */
int answer_event(const json_t *event, struct answer_event *out);

#define ANSWER_RUNS 1 /* the task does */
/* ANSWER_RUNS; NOVA_DONE, and what it made in `made` (or ""); NOVA_E_*, and why in `words`;
 * NOVA_E_PROTOCOL without words: it is no task. */
int answer_task(const json_t *task, char made[REF_ROOM], struct nova_text *words);

/* 1: `text` is a reference (and not the null one), and can stand in a URL or a header. */
int answer_is_ref(const char *text);
int answer_is_uuid(const char *text);
/* A host's name or IP address, as "https://" takes it: an IPv6 address gets its brackets. 0: it is
 * neither. */
int answer_address(const char *text, char *address, size_t room);
/* The reference in a task's result, "<value>OpaqueRef:…</value>"; 0: there is none. */
int answer_task_ref(const char *result, char ref[REF_ROOM]);
/* "20241128T03:05:09Z" as seconds since 1970; -1: it is no time. */
int64_t answer_time(const char *text);

/* Since the VM's start, from rates and states at each step; -1: none of them is known. */
struct answer_stats {
	double cpu_s, read_bytes, write_bytes, received_bytes, sent_bytes;
};

/* Of rrd_updates in JSON, for the VM with that UUID. 0: it is not of that form, and `why` (of
 * static lifetime) is a clause. */
int answer_rrd(const json_t *rrd, const char *uuid, struct answer_stats *stats, const char **why);

#endif
