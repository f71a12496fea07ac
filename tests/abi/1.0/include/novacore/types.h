/* SPDX-License-Identifier: MIT */
/*
 * Status codes, units and the fixed-width types that every other SDK header uses.
 *
 * Errors, once for the whole SDK: a function returns NOVA_DONE, NOVA_PENDING (only where its
 * contract says so) or one of NOVA_E_*. The text for a person goes to host->error(); the first
 * error of an op wins, later ones are kept as its cause chain. Values are fixed for ever.
 *
 * Lists of values are open: a later minor may add codes, events, fields, sources, states and units.
 * Whoever gets one that it does not know treats a negative status as a failure, and leaves the rest
 * aside. Flags and `reserved` are 0 where this minor names none; who gets a flag that it does not
 * know refuses it, because flags change what a call means.
 */
#ifndef NOVACORE_TYPES_H
#define NOVACORE_TYPES_H

#include <stdint.h>

/* Host's numbers. 0 is "none" in each. */
typedef uint64_t nova_op;  /* one call in flight; the op of `create` names the instance */
typedef uint64_t nova_vm;  /* one VM of this run; as a benchmark's exec target 0 is this host */
typedef uint64_t nova_run; /* one benchmark instance in a worker */

#define NOVA_DONE    0 /* the task has finished, not merely been accepted */
#define NOVA_PENDING 1 /* exactly one host->done() will follow */

#define NOVA_E_INVALID     (-1)  /* wrong argument, parameter or configuration */
#define NOVA_E_UNSUPPORTED (-2)  /* this hypervisor, or this target's licence, cannot do it */
#define NOVA_E_UNAVAILABLE (-3)  /* not installed, not running, not reachable */
#define NOVA_E_PERMISSION  (-4)  /* the peer or the kernel said no */
#define NOVA_E_NOT_FOUND   (-5)  /* the named object does not exist */
#define NOVA_E_EXISTS      (-6)  /* an object of that name exists already */
#define NOVA_E_BUSY        (-7)  /* locked or in the wrong state; trying again may help */
#define NOVA_E_TIMEOUT     (-8)  /* the deadline passed; the outcome is unknown */
#define NOVA_E_CANCELLED   (-9)  /* cancelled on request */
#define NOVA_E_FAILED      (-10) /* the hypervisor tried and failed */
#define NOVA_E_PROTOCOL    (-11) /* the peer sent what cannot be understood */
#define NOVA_E_MEMORY      (-12) /* out of memory */
#define NOVA_E_IO          (-13) /* reading or writing failed */
#define NOVA_E_FULL        (-14) /* no space left where it was to be written */
#define NOVA_E_REFUSED     (-15) /* refused for safety; nothing was done */
#define NOVA_E_INTERNAL    (-16) /* a bug on this side of the call */
#define NOVA_E_INTERRUPTED (-17) /* the user or the system asked to stop */
#define NOVA_E_UNKNOWN     (-18) /* an order was sent and its outcome is not known: never retried */

/* Plugin kinds. */
#define NOVA_KIND_BENCHMARK  1u
#define NOVA_KIND_HYPERVISOR 2u
#define NOVA_KIND_OPTIMIZER  3u
#define NOVA_KIND_PROFILE    4u

/* Base units of metrics and statistics; displays scale them, data never does. */
#define NOVA_UNIT_SECOND          1u
#define NOVA_UNIT_BYTE            2u
#define NOVA_UNIT_BYTE_PER_SECOND 3u
#define NOVA_UNIT_PER_SECOND      4u
#define NOVA_UNIT_ONE             5u /* counts and ratios */

#define NOVA_BETTER_LOWER  1u
#define NOVA_BETTER_HIGHER 2u

/* A sample's status. A timeout is a censored value, never a measurement. */
#define NOVA_SAMPLE_OK        1u
#define NOVA_SAMPLE_FAILED    2u
#define NOVA_SAMPLE_TIMED_OUT 3u

/* On which side of a paired comparison a replicate runs. */
#define NOVA_SIDE_VM     1u
#define NOVA_SIDE_NATIVE 2u
#define NOVA_SIDE_A      3u
#define NOVA_SIDE_B      4u

#endif
