/* SPDX-License-Identifier: MIT */
/* What the probe in the second VM says of the first one's silence: "GAP SILENT SENT RECEIVED". */
#include "migration.h"

#include <ctype.h>

int read_silence(const char *text, struct silence *silence)
{
	int64_t *const numbers[] = {&silence->gap_ns, &silence->silent_ns, &silence->sent,
	                            &silence->received};

	for (int i = 0; i < 4; i++) {
		unsigned long long number = 0;
		int digits = 0;

		for (; isdigit((unsigned char)*text) && digits < 18; text++, digits++)
			number = number * 10 + (unsigned)(*text - '0');
		if (digits == 0 || *text++ != (i < 3 ? ' ' : '\n'))
			return -1;
		*numbers[i] = (int64_t)number;
	}
	return *text == '\0' && silence->received <= silence->sent ? 0 : -1;
}
