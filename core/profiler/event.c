/* SPDX-License-Identifier: MIT */
/* Records of perf_event_open(2), as include/uapi/linux/perf_event.h describes them, for events with
 * EVENT_SAMPLE_TYPE and sample_id_all. Each length is checked: a test may feed it anything. */
#include "core/profiler/record.h"

#include <string.h>

/* pid, tid; time; cpu, reserved: behind each record that is no sample */
#define TRAILER_BYTES 24u

struct cursor {
	const char *at, *end;
	bool bad;
};

static void take(struct cursor *cursor, void *out, size_t bytes)
{
	if ((size_t)(cursor->end - cursor->at) < bytes) {
		cursor->bad = true;
		cursor->at = cursor->end;
		memset(out, 0, bytes);
		return;
	}
	memcpy(out, cursor->at, bytes);
	cursor->at += bytes;
}

static uint32_t take32(struct cursor *cursor)
{
	uint32_t value;

	take(cursor, &value, sizeof(value));
	return value;
}

static uint64_t take64(struct cursor *cursor)
{
	uint64_t value;

	take(cursor, &value, sizeof(value));
	return value;
}

/* A text that ends inside of what is left. */
static void take_name(struct cursor *cursor, struct event *event)
{
	size_t left = (size_t)(cursor->end - cursor->at);
	const char *end = left ? memchr(cursor->at, '\0', left) : NULL;

	cursor->bad = cursor->bad || !end;
	event->name = end ? cursor->at : "";
	event->name_length = end ? (size_t)(end - cursor->at) : 0;
}

/* Registers and stack of the user's part; of a kernel thread there are none. */
static void read_stack(struct cursor *cursor, struct event *event)
{
	uint64_t kind = take64(cursor), bytes, used = 0;

	if (kind) {
		if ((size_t)(cursor->end - cursor->at) < EVENT_REGISTER_COUNT * 8) {
			cursor->bad = true;
			return;
		}
		event->registers = cursor->at;
		cursor->at += EVENT_REGISTER_COUNT * 8;
	}
	bytes = take64(cursor);
	if (cursor->bad || bytes > (size_t)(cursor->end - cursor->at)) {
		cursor->bad = true;
		return;
	}
	event->stack = cursor->at;
	cursor->at += bytes;
	if (bytes)
		used = take64(cursor);
	event->stack_bytes = (size_t)(used < bytes ? used : bytes);
}

static void read_raw(struct cursor *cursor, struct event *event)
{
	uint32_t bytes = take32(cursor);

	if (cursor->bad || bytes > (size_t)(cursor->end - cursor->at)) {
		cursor->bad = true;
		return;
	}
	event->raw = cursor->at;
	event->raw_bytes = bytes;
	cursor->at += bytes;
}

static void read_sample(struct cursor *cursor, unsigned extra, struct event *event)
{
	uint64_t depth;

	event->ip = take64(cursor);
	event->pid = take32(cursor);
	event->tid = take32(cursor);
	event->time = take64(cursor);
	event->cpu = take32(cursor);
	take32(cursor);
	event->period = extra & EVENT_EQUAL ? 0 : take64(cursor);
	depth = take64(cursor);
	if (depth > (size_t)(cursor->end - cursor->at) / 8) {
		cursor->bad = true;
		return;
	}
	event->chain = cursor->at;
	event->depth = (size_t)depth;
	cursor->at += depth * 8;
	if (extra & EVENT_RAW)
		read_raw(cursor, event);
	if (extra & EVENT_STACKS)
		read_stack(cursor, event);
}

static void read_map(struct cursor *cursor, struct event *event)
{
	unsigned char where[24]; /* of a device and inode, or a build-id with its length */
	uint32_t protection;

	event->pid = take32(cursor);
	event->tid = take32(cursor);
	event->start = take64(cursor);
	event->length = take64(cursor);
	event->offset = take64(cursor);
	take(cursor, where, sizeof(where));
	protection = take32(cursor);
	take32(cursor); /* flags */
	event->executable = (protection & 4u) != 0;
	if (event->misc & PERF_RECORD_MISC_MMAP_BUILD_ID) {
		event->build_id_bytes = where[0] <= BUILD_ID_BYTES ? where[0] : 0;
		memcpy(event->build_id, where + 4, BUILD_ID_BYTES);
	} else {
		memcpy(&event->major, where, 4);
		memcpy(&event->minor, where + 4, 4);
		memcpy(&event->inode, where + 8, 8);
	}
	take_name(cursor, event);
	cursor->bad = cursor->bad || event->start > UINT64_MAX - event->length;
}

static void read_body(struct cursor *cursor, struct event *event)
{
	switch (event->type) {
	case PERF_RECORD_MMAP2: read_map(cursor, event); break;
	case PERF_RECORD_COMM:
		event->pid = take32(cursor);
		event->tid = take32(cursor);
		take_name(cursor, event);
		break;
	case PERF_RECORD_FORK:
	case PERF_RECORD_EXIT:
		event->pid = take32(cursor);
		event->parent = take32(cursor);
		event->tid = take32(cursor);
		break;
	case PERF_RECORD_LOST:
		take64(cursor); /* of which event */
		event->lost = take64(cursor);
		break;
	case PERF_RECORD_LOST_SAMPLES: event->lost = take64(cursor); break;
	case PERF_RECORD_KSYMBOL:
		event->start = take64(cursor);
		event->length = take32(cursor);
		/* u16 of its type, u16 of flags */
		event->unregister =
		        (take32(cursor) >> 16 & PERF_RECORD_KSYMBOL_FLAGS_UNREGISTER) != 0;
		take_name(cursor, event);
		break;
	default: break;
	}
}

bool event_read(const void *record, size_t bytes, unsigned extra, struct event *event)
{
	struct cursor cursor = {record, (const char *)record + bytes, false}, trailer;
	struct perf_event_header head;

	memset(event, 0, sizeof(*event));
	take(&cursor, &head, sizeof(head));
	if (cursor.bad || head.size != bytes)
		return false;
	event->type = head.type;
	event->misc = head.misc;
	if (head.type == PERF_RECORD_SAMPLE) {
		read_sample(&cursor, extra, event);
		return !cursor.bad;
	}
	if ((size_t)(cursor.end - cursor.at) < TRAILER_BYTES)
		return false;
	cursor.end -= TRAILER_BYTES;
	trailer = (struct cursor){cursor.end, cursor.end + TRAILER_BYTES, false};
	event->pid = take32(&trailer);
	event->tid = take32(&trailer);
	event->time = take64(&trailer);
	event->cpu = take32(&trailer);
	read_body(&cursor, event);
	return !cursor.bad;
}

uint64_t event_chain_at(const struct event *event, size_t i)
{
	uint64_t address;

	memcpy(&address, (const char *)event->chain + i * 8, 8);
	return address;
}

uint64_t event_register(const struct event *event, size_t place)
{
	uint64_t value;

	memcpy(&value, (const char *)event->registers + place * 8, 8);
	return value;
}
