// rooms: base
// SPDX-License-Identifier: MIT
/* Quantities come from configuration files, command lines and plugins' manifests. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	NOVA_AUTOFREE char *text = nova_alloc(size + 1);
	if (size)
		memcpy(text, data, size);
	for (enum nova_quantity quantity = NOVA_SIZE; quantity <= NOVA_RATE; quantity++) {
		struct nova_error error = {0};
		double value = NAN;
		int code = nova_quantity_parse(text, quantity, &value, &error);
		if (code == 0 && !(value >= 0 && value < 0x1p63))
			abort();
		if (code < 0 && (code != NOVA_E_INVALID || !error.text[0]))
			abort();
	}
	return 0;
}
