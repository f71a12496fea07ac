// rooms: helpers
// sources: plugins/hypervisors/kubevirt/kubeconfig.c
// SPDX-License-Identifier: MIT
// packages: yaml-0.1
/* Kubeconfigs of anybody: read or refused with a reason, nothing else. */
#include "plugins/hypervisors/kubevirt/kubeconfig.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kubeconfig config;
	char why[200] = "";
	int result =
	        kubeconfig_read((const char *)data, size, "/home", NULL, &config, why, sizeof(why));

	/* a good one names a server, a bad one has a reason */
	if (result == 0 ? !config.server || !config.context : !why[0])
		abort();
	kubeconfig_free(&config);
	return 0;
}
