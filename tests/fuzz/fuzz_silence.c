// rooms: base
// sources: plugins/benchmarks/migration/silence.c
// SPDX-License-Identifier: MIT
/* Any text is either four numbers, as many answers as questions at most, or refused. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/benchmarks/migration/migration.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct silence silence = {0};
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	if (read_silence(text, &silence) == 0 &&
	    (silence.gap_ns < 0 || silence.silent_ns < 0 || silence.received < 0 ||
	     silence.received > silence.sent))
		abort();
	free(text);
	return 0;
}
