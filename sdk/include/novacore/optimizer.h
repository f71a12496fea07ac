/* SPDX-License-Identifier: MIT */
/*
 * An optimizer: looks at the host, the targets and the results, and proposes changes. It never
 * applies one. (Draft: core/tune is not built yet; the host only lists optimizers.)
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

/* One transaction. */
struct nova_proposal {
	uint32_t struct_size;
	uint32_t category, severity, risk;
	const char *slug, *why, *source, *metric;
	const char *accept_risk; /* the named risk that must be accepted first, or NULL */
	const struct nova_change *const *changes;     /* NULL-terminated */
	double gain, gain_low, gain_high, confidence; /* ratios; confidence 0…1 */
};

struct nova_view {
	uint32_t struct_size;
	uint32_t reserved;
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
