/* SPDX-License-Identifier: MIT */
/* The two clocks, and UTC as text. Durations are always taken from the monotonic one. */
#include <time.h>

#include "core/base/base.h"

static int64_t read_clock(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * NOVA_SECOND_NS + now.tv_nsec;
}

int64_t nova_now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t nova_utc_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

void nova_utc_format(int64_t utc_ns, char out[32])
{
	int64_t rest = utc_ns % NOVA_SECOND_NS;
	time_t seconds = (time_t)(utc_ns / NOVA_SECOND_NS);
	struct tm parts;

	if (rest < 0) { /* before 1970: round down, not towards zero */
		rest += NOVA_SECOND_NS;
		seconds--;
	}
	gmtime_r(&seconds, &parts);
	size_t length = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(out + length, 32 - length, ".%03dZ", (int)(rest / 1000000));
}
