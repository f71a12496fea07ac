// rooms: helpers
// sources: plugins/hypervisors/kubevirt/notice.c
// SPDX-License-Identifier: MIT
/* Lines of a Kubernetes watch: read or refused with a reason, and never a name that is none. */
#include "plugins/hypervisors/kubevirt/notice.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct notice notice;
	struct instance instance;
	char why[200] = "";

	if (notice_read((const char *)data, size, &notice, why, sizeof(why)) != 0) {
		if (!why[0] || notice.object)
			abort();
		return 0;
	}
	if (notice.kind != NOTICE_ERROR && !notice.version[0])
		abort();
	if (instance_read(notice.object, &instance) &&
	    (!is_name(instance.name) || !instance.uid[0]))
		abort();
	condition_complaint(notice.object, "Ready");
	notice_free(&notice);
	return 0;
}
