/* SPDX-License-Identifier: MIT */
/*
 * An environment profile: a text in the configuration's language, which also stands in the
 * manifest, so that nothing needs to run to read it.
 */
#ifndef NOVACORE_PROFILE_H
#define NOVACORE_PROFILE_H

#include <novacore/plugin.h>

struct nova_profile {
	uint32_t struct_size;
	uint32_t flags;       /* 0 */
	const char *settings; /* libconfig text */
	/* Settings for a workload ("cpu-intensive", "ml", …): puts NOVA_FIELD_FACT key → value for
	 * each setting that differs. NULL: the core's own rules apply. */
	int (*adapt)(const struct nova_host *host, nova_op op, const char *workload);
};

#endif
