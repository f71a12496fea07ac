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

#endif
