/* SPDX-License-Identifier: MIT */
/* The words that a trace has for the SDK's numbers: the names of the headers in lower case. */
#include "core/run/trace.h"

#include <ctype.h>

struct name {
	uint32_t value;
	const char *text;
};

#define N(NAME)                                                                                    \
	{                                                                                          \
		NOVA_FIELD_##NAME, #NAME                                                           \
	}
static const struct name fields[] = {N(FACT),
                                     N(CAPABILITY),
                                     N(ID),
                                     N(VM),
                                     N(STATE),
                                     N(ADDRESS),
                                     N(PID),
                                     N(STDOUT),
                                     N(STDERR),
                                     N(EXIT_STATUS),
                                     N(SIGNAL),
                                     N(GUEST_PID),
                                     N(TRUNCATED),
                                     N(STARTED_NS),
                                     N(RETURNED_NS),
                                     N(API_NS),
                                     N(CPU_NS),
                                     N(MEMORY_BYTES),
                                     N(RESIDENT_BYTES),
                                     N(PROPORTIONAL_BYTES),
                                     N(DISK_READ_BYTES),
                                     N(DISK_WRITE_BYTES),
                                     N(DISK_READS),
                                     N(DISK_WRITES),
                                     N(NET_RX_BYTES),
                                     N(NET_TX_BYTES),
                                     N(DISK_ALLOCATED_BYTES),
                                     N(TICKET),
                                     N(DURATION_NS),
                                     N(SETUP_NS),
                                     N(DOWNTIME_NS),
                                     N(MOVED_BYTES),
                                     N(ITERATIONS),
                                     N(DIRTY_PER_S),
                                     N(MOVED_PER_S),
                                     N(THROTTLE),
                                     N(POST_COPY),
                                     N(URI),
                                     N(KNOB),
                                     N(KNOB_DOC),
                                     N(PROGRESS),
                                     {0, NULL}};
#undef N
#define N(NAME)                                                                                    \
	{                                                                                          \
		NOVA_EVENT_##NAME, #NAME                                                           \
	}
static const struct name events[] = {N(RUNNING), N(FIRST),   N(USERSPACE), N(READY),    N(ADDRESS),
                                     N(UNREADY), N(PAUSED),  N(RESUMED),   N(MIGRATED), N(SHUTDOWN),
                                     N(STOPPED), N(CRASHED), {0, NULL}};
#undef N
#define N(NAME)                                                                                    \
	{                                                                                          \
		NOVA_SOURCE_##NAME, #NAME                                                          \
	}
static const struct name sources[] = {N(QMP),  N(AGENT), N(TOOLS), N(WATCH), N(POLL),
                                      N(BEAT), N(MODEL), N(API),   {0, NULL}};
#undef N
#define N(NAME)                                                                                    \
	{                                                                                          \
		NOVA_POWER_##NAME, #NAME                                                           \
	}
static const struct name powers[] = {N(START), N(SHUTDOWN), N(OFF),   N(RESET),
                                     N(PAUSE), N(RESUME),   {0, NULL}};
#undef N
#define N(NAME)                                                                                    \
	{                                                                                          \
		NOVA_QUERY_##NAME, #NAME                                                           \
	}
static const struct name queries[] = {N(STATE), N(STATS), N(ADDRESS), {0, NULL}};
#undef N
#define N(NAME)                                                                                    \
	{                                                                                          \
		NOVA_SNAPSHOT_##NAME, #NAME                                                        \
	}
static const struct name snapshots[] = {N(CREATE), N(RESTORE), N(DELETE), {0, NULL}};
#undef N
#define N(NAME)                                                                                    \
	{                                                                                          \
		NOVA_NET_##NAME, #NAME                                                             \
	}
static const struct name nets[] = {N(ISOLATED), N(NAT), {0, NULL}};
#undef N
#define N(NAME)                                                                                    \
	{                                                                                          \
		NOVA_BOOT_##NAME, #NAME                                                            \
	}
static const struct name boots[] = {N(DIRECT), N(DISK), N(STUB), N(TEMPLATE), {0, NULL}};
#undef N
#define N(NAME)                                                                                    \
	{                                                                                          \
		NOVA_SAMPLE_##NAME, #NAME                                                          \
	}
static const struct name samples[] = {N(OK), N(FAILED), N(TIMED_OUT), {0, NULL}};
#undef N
#define N(NAME)                                                                                    \
	{                                                                                          \
		NOVA_SIDE_##NAME, #NAME                                                            \
	}
static const struct name sides[] = {N(VM), N(NATIVE), N(A), N(B), {0, NULL}};
#undef N

static const struct name *const tables[] = {
        [NOVA_TRACE_FIELD] = fields,   [NOVA_TRACE_EVENT] = events,
        [NOVA_TRACE_SOURCE] = sources, [NOVA_TRACE_POWER] = powers,
        [NOVA_TRACE_QUERY] = queries,  [NOVA_TRACE_SNAPSHOT] = snapshots,
        [NOVA_TRACE_NET] = nets,       [NOVA_TRACE_BOOT] = boots,
        [NOVA_TRACE_SAMPLE] = samples, [NOVA_TRACE_SIDE] = sides,
};

json_t *nova_trace_name(enum nova_trace_names of, uint32_t value)
{
	char text[64] = "";
	size_t length = 0;

	for (const struct name *name = tables[of]; name->text; name++) {
		if (name->value != value)
			continue;
		for (const char *c = name->text; *c && length < sizeof(text) - 1; c++)
			text[length++] = (char)tolower((unsigned char)*c);
		text[length] = 0;
		return json_string(text);
	}
	snprintf(text, sizeof(text), "%u", value);
	return json_string(text);
}
