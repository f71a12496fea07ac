/* SPDX-License-Identifier: MIT */
/*
 * core/machine: what this machine is, what is permitted on it, and what `doctor` says of it. It
 * reads files and asks hwloc; it changes nothing.
 */
#ifndef NOVACORE_MACHINE_H
#define NOVACORE_MACHINE_H

#include "core/base/base.h"

/*
 * The facts of *where* (must match for a comparison: CPU model, topology, memory, nesting) and
 * *what* (kernel and its command line, microcode, mitigations), as flat JSON objects. Facts that
 * cannot be read are null. The caller owns both.
 */
void nova_machine_facts(json_t **where, json_t **what);

/* Bytes that a new VM could use without swapping (MemAvailable, or the cgroup's limit if lower). */
uint64_t nova_machine_memory_available(void);
/* CPUs that this process may use. */
unsigned nova_machine_cpus(void);

/*
 * What runs need of this machine, one object each: [{"subject", "ok", "detail", "fix"}]; `fix` is
 * null where ok, and "optional" is true where novacore works without. Takes up to 3 s (it watches
 * how fast an orphan is reaped). The caller owns it.
 */
json_t *nova_machine_check(void);
/* Adds one finding to such an array; `fix` NULL: it is as it should be. */
void nova_machine_find(json_t *findings, const char *subject, bool optional, const char *fix,
                       const char *format, ...) NOVA_PRINTF(5, 6);

#endif
