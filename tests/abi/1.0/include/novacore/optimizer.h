/* SPDX-License-Identifier: MIT */
/*
 * An optimizer: looks at the host, the targets and the results, and proposes changes. It never
 * applies one. The host that first has this ABI lists optimizers and calls none of them yet.
 */
#ifndef NOVACORE_OPTIMIZER_H
#define NOVACORE_OPTIMIZER_H

#include <novacore/benchmark.h>

#define NOVA_WHEN_LIVE     100u
#define NOVA_WHEN_RESTART  200u
#define NOVA_WHEN_RECREATE 300u
#define NOVA_WHEN_REBOOT   400u

struct nova_change {
	uint32_t struct_size;
	uint32_t when;      /* NOVA_WHEN_*: when it takes effect */
	const char *object; /* "host", "target:lab", "vm:NAME", "shape:NAME" */
	const char *knob, *from, *to;
};

/* What a proposal is about. 0: none of these; a later minor may have more. */
#define NOVA_CATEGORY_CPU      1u
#define NOVA_CATEGORY_MEMORY   2u
#define NOVA_CATEGORY_STORAGE  3u
#define NOVA_CATEGORY_NETWORK  4u
#define NOVA_CATEGORY_NUMA     5u
#define NOVA_CATEGORY_SECURITY 6u
#define NOVA_CATEGORY_COST     7u

/* How much it matters. 0: not said. */
#define NOVA_SEVERITY_HINT     100u /* could be better */
#define NOVA_SEVERITY_WARNING  200u /* costs something that can be measured */
#define NOVA_SEVERITY_CRITICAL 300u /* what is wanted cannot be had without it */

/* What applying it, or taking it back, may cost. 0: not said, which a host takes for HIGH. */
#define NOVA_RISK_LOW    100u /* nobody notices */
#define NOVA_RISK_MEDIUM 200u /* what runs is disturbed for a moment */
#define NOVA_RISK_HIGH   300u /* VMs may stop, or a protection is lost: name it in `accept_risk` */

/* One transaction. */
struct nova_proposal {
	uint32_t struct_size;
	uint32_t category; /* NOVA_CATEGORY_* */
	uint32_t severity; /* NOVA_SEVERITY_* */
	uint32_t risk;     /* NOVA_RISK_* */
	const char *slug, *why, *source, *metric;
	const char *accept_risk; /* the named risk that must be accepted first, or NULL */
	const struct nova_change *const *changes;     /* NULL-terminated */
	double gain, gain_low, gain_high, confidence; /* ratios; confidence 0…1 */
};

struct nova_view {
	uint32_t struct_size;
	uint32_t reserved; /* 0 */
	int (*fact)(nova_op op, const char *key, char *value, uint32_t room);
	int (*knob)(nova_op op, const char *object, const char *knob, char *value, uint32_t room);
	int (*metric)(nova_op op, const char *name, struct nova_result *result);
	int (*propose)(nova_op op, const struct nova_proposal *proposal);
};

struct nova_optimizer {
	uint32_t struct_size;
	uint32_t flags; /* 0 */
	int (*examine)(const struct nova_host *host, const struct nova_view *view, nova_op op);
};

#endif
