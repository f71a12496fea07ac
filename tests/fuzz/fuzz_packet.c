// rooms: run
/* SPDX-License-Identifier: MIT */
/* Any bytes as a packet: checked or refused; what is accepted can be read and sent on. */
#include "core/run/wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nova_error error = {0};
	json_t *packet = NULL;

	if (nova_wire_parse((const char *)data, size, &packet, &error)) {
		if (packet || !error.code || !error.text[0])
			abort();
		return 0;
	}
	if (!nova_wire_is(packet) || strlen(nova_wire_is(packet)) > 20)
		abort();
	nova_wire_i64(packet, "number");
	nova_wire_f64(packet, "value");
	nova_wire_text(packet, "name");
	json_decref(packet);
	return 0;
}
