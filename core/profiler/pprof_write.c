/* SPDX-License-Identifier: MIT */
/*
 * pprof's profile.proto with gzip, written in one pass: a message is the sum of its pieces, so each
 * sample, function and string goes out as soon as it is made.
 */
#include "core/profiler/inside.h"

#include "pprof.pb-c.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

struct writer {
	const struct nova_stacks *stacks;
	z_stream zip;
	FILE *file;
	bool failed;
	int64_t string_count;
	struct nova_stacks *chains; /* see find_locations */
	uint32_t *locations;
	uint8_t *piece;
	size_t piece_room;
	unsigned char out[1 << 16];
};

static void zip(struct writer *writer, const void *bytes, size_t length, int flush)
{
	int status;

	writer->zip.next_in = (unsigned char *)(uintptr_t)bytes;
	writer->zip.avail_in = (unsigned)length;
	do {
		size_t made;

		writer->zip.next_out = writer->out;
		writer->zip.avail_out = sizeof(writer->out);
		status = deflate(&writer->zip, flush);
		made = sizeof(writer->out) - writer->zip.avail_out;
		if (fwrite(writer->out, 1, made, writer->file) != made || status == Z_STREAM_ERROR)
			writer->failed = true;
	} while (!writer->failed && writer->zip.avail_out == 0);
}

/* A part of the whole message, which may be any. */
static void put(struct writer *writer, const Pprof__Profile *part)
{
	size_t length = pprof__profile__get_packed_size(part);

	if (length > writer->piece_room) {
		writer->piece_room = length * 2;
		writer->piece = nova_realloc(writer->piece, writer->piece_room);
	}
	pprof__profile__pack(part, writer->piece);
	zip(writer, writer->piece, length, Z_NO_FLUSH);
}

static int64_t put_string(struct writer *writer, const char *text)
{
	size_t length = strlen(text);
	ProtobufCBinaryData data = {length, (uint8_t *)(uintptr_t)text};
	Pprof__Profile part = PPROF__PROFILE__INIT;

	part.n_string_table = 1;
	part.string_table = &data;
	put(writer, &part);
	return writer->string_count++;
}

/* --- the parts -----------------------------------------------------------------------------------
 */

static void put_types(struct writer *writer)
{
	const struct nova_stacks *stacks = writer->stacks;
	Pprof__Profile part = PPROF__PROFILE__INIT;
	Pprof__ValueType types[NOVA_STACKS_VALUES];
	Pprof__ValueType *pointers[NOVA_STACKS_VALUES];

	put_string(writer, ""); /* the table begins with it */
	for (uint32_t i = 0; i < stacks->type_count; i++) {
		pprof__value_type__init(&types[i]);
		types[i].type = put_string(writer, stacks->types[i].type);
		types[i].unit = put_string(writer, stacks->types[i].unit);
		pointers[i] = &types[i];
	}
	part.n_sample_type = stacks->type_count;
	part.sample_type = pointers;
	part.time_nanos = stacks->utc_ns;
	part.duration_nanos = stacks->duration_ns;
	part.default_sample_type = types[stacks->shown].type;
	part.period = stacks->period;
	if (stacks->period)
		part.period_type = &types[stacks->shown];
	put(writer, &part);
}

static void put_comment(struct writer *writer, const char *text)
{
	Pprof__Profile part = PPROF__PROFILE__INIT;
	int64_t string = put_string(writer, text);

	part.n_comment = 1;
	part.comment = &string;
	put(writer, &part);
}

static void put_notes(struct writer *writer)
{
	const struct nova_stacks *stacks = writer->stacks;
	char text[64];

	for (uint32_t i = 0; i < stacks->note_count; i++)
		put_comment(writer, stacks->notes[i]);
	if (stacks->lost) {
		snprintf(text, sizeof(text), "%llu samples were lost",
		         (unsigned long long)stacks->lost);
		put_comment(writer, text);
	}
}

/* The number of the mapping of a library, written when it comes first. */
static uint64_t mapping_of(struct writer *writer, json_t *known, const char *library)
{
	Pprof__Profile part = PPROF__PROFILE__INIT;
	Pprof__Mapping mapping = PPROF__MAPPING__INIT, *pointer = &mapping;
	json_t *there;

	if (!library[0])
		return 0;
	there = json_object_get(known, library);
	if (there)
		return (uint64_t)json_integer_value(there);
	mapping.id = json_object_size(known) + 1;
	mapping.filename = put_string(writer, library);
	mapping.has_functions = true;
	part.n_mapping = 1;
	part.mapping = &pointer;
	put(writer, &part);
	json_object_set_new_nocheck(known, library, json_integer((json_int_t)mapping.id));
	return mapping.id;
}

/* Frame i is function i + 1. */
static void put_functions(struct writer *writer)
{
	for (uint32_t i = 0; i < writer->stacks->frame_count; i++) {
		const struct nova_frame *frame = &writer->stacks->frames[i];
		Pprof__Profile part = PPROF__PROFILE__INIT;
		Pprof__Function function = PPROF__FUNCTION__INIT, *functions = &function;

		function.id = i + 1;
		function.name = function.system_name = put_string(writer, frame->name);
		function.filename = frame->file[0] ? put_string(writer, frame->file) : 0;
		part.n_function = 1;
		part.function = &functions;
		put(writer, &part);
	}
}

static bool is_inlined(const struct nova_stacks *stacks, uint32_t node)
{
	return (stacks->frames[stacks->nodes[node].frame].flags & NOVA_FRAME_INLINED) &&
	       stacks->nodes[node].parent;
}

/*
 * A location is a function together with those that are inlined in it on the way: `chains` has them
 * as calls, so that equal ones are one node, whose number is the location's; `locations` says which
 * one each node of the stacks belongs to.
 */
static void find_locations(struct writer *writer)
{
	const struct nova_stacks *stacks = writer->stacks;

	writer->chains = nova_stacks_new(stacks->types, 1);
	writer->locations = nova_alloc(stacks->node_count * sizeof(*writer->locations));
	for (uint32_t i = 1; i < stacks->node_count; i++)
		writer->locations[i] = nova_stacks_call(
		        writer->chains,
		        is_inlined(stacks, i) ? writer->locations[stacks->nodes[i].parent] : 0,
		        stacks->nodes[i].frame);
}

static void put_locations(struct writer *writer)
{
	const struct nova_stacks *stacks = writer->stacks, *chains = writer->chains;
	NOVA_AUTOJSON json_t *mappings = json_object();
	NOVA_AUTOFREE Pprof__Line *lines = NULL;
	NOVA_AUTOFREE Pprof__Line **pointers = NULL;
	size_t room = 0;

	for (uint32_t i = 1; i < chains->node_count; i++) {
		Pprof__Profile part = PPROF__PROFILE__INIT;
		Pprof__Location location = PPROF__LOCATION__INIT, *locations = &location;
		uint32_t outermost = 0;

		for (uint32_t node = i; node; node = chains->nodes[node].parent) {
			if (location.n_line == room) {
				room = room ? room * 2 : 16;
				lines = nova_realloc(lines, room * sizeof(*lines));
				pointers = nova_realloc(pointers, room * sizeof(Pprof__Line *));
			}
			pprof__line__init(&lines[location.n_line]);
			outermost = chains->nodes[node].frame;
			lines[location.n_line++].function_id = outermost + 1;
		}
		for (size_t line = 0; line < location.n_line; line++)
			pointers[line] = &lines[line];
		location.id = i;
		location.mapping_id =
		        mapping_of(writer, mappings, stacks->frames[outermost].library);
		location.line = pointers;
		part.n_location = 1;
		part.location = &locations;
		put(writer, &part);
	}
}

enum { LABEL_PROCESS, LABEL_THREAD, LABEL_PID, LABEL_TID, LABEL_CPU, LABEL_VCPU, LABELS };
static const char *const KEYS[LABELS] = {"process", "thread", "pid", "tid", "cpu", "vcpu"};

/* Numbers of the strings of an origin: process, thread; 0: not known. */
struct origin_strings {
	int64_t process, thread;
};

static size_t labels_of(const struct nova_origin *origin, const struct origin_strings *strings,
                        const int64_t *keys, Pprof__Label *labels)
{
	const int64_t texts[] = {strings->process, strings->thread};
	const int32_t numbers[] = {origin->pid, origin->tid, origin->cpu, origin->vcpu};
	size_t count = 0;

	for (size_t i = 0; i < LABELS; i++) {
		bool text = i < LABEL_PID;

		if (text ? texts[i] == 0 : numbers[i - LABEL_PID] < 0)
			continue;
		pprof__label__init(&labels[count]);
		labels[count].key = keys[i];
		if (text)
			labels[count].str = texts[i];
		else
			labels[count].num = numbers[i - LABEL_PID];
		count++;
	}
	return count;
}

static void put_samples(struct writer *writer)
{
	const struct nova_stacks *stacks = writer->stacks;
	struct origin_strings *strings = nova_alloc(stacks->origin_count * sizeof(*strings));
	Pprof__Label labels[LABELS], *pointers[LABELS];
	uint64_t *path = NULL;
	size_t room = 0;
	int64_t keys[LABELS], values[NOVA_STACKS_VALUES];

	for (size_t i = 0; i < LABELS; i++) {
		keys[i] = put_string(writer, KEYS[i]);
		pointers[i] = &labels[i];
	}
	for (uint32_t i = 0; i < stacks->origin_count; i++) {
		const struct nova_origin *origin = &stacks->origins[i];

		if (origin->process[0])
			strings[i].process = put_string(writer, origin->process);
		if (origin->thread[0])
			strings[i].thread = put_string(writer, origin->thread);
	}
	for (uint32_t i = 0; i < stacks->count_count && !writer->failed; i++) {
		uint32_t origin = stacks->counts[i].origin;
		Pprof__Profile part = PPROF__PROFILE__INIT;
		Pprof__Sample sample = PPROF__SAMPLE__INIT, *samples = &sample;

		for (uint32_t node = stacks->counts[i].node; node;
		     node = stacks->nodes[node].parent) {
			if (sample.n_location_id == room) {
				room = room ? room * 2 : 256;
				path = nova_realloc(path, room * sizeof(*path));
			}
			path[sample.n_location_id++] = writer->locations[node];
			while (is_inlined(stacks, node))
				node = stacks->nodes[node].parent;
		}
		for (uint32_t j = 0; j < stacks->type_count; j++) {
			uint64_t value = stacks->values[(size_t)i * stacks->type_count + j];

			values[j] = value > INT64_MAX ? INT64_MAX : (int64_t)value;
		}
		sample.location_id = path;
		sample.n_value = stacks->type_count;
		sample.value = values;
		sample.n_label =
		        labels_of(&stacks->origins[origin], &strings[origin], keys, labels);
		sample.label = pointers;
		part.n_sample = 1;
		part.sample = &samples;
		put(writer, &part);
	}
	free(path);
	free(strings);
}

int nova_stacks_write_pprof(const struct nova_stacks *stacks, FILE *file, struct nova_error *error)
{
	struct writer *writer = nova_alloc(sizeof(*writer));
	bool failed;

	writer->stacks = stacks;
	writer->file = file;
	/* 31: gzip's header, which then names no time and no file */
	if (deflateInit2(&writer->zip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 31, 8,
	                 Z_DEFAULT_STRATEGY) != Z_OK) {
		free(writer);
		return nova_error_set(error, NOVA_E_FAILED, "zlib does not start");
	}
	put_types(writer);
	put_notes(writer);
	put_functions(writer);
	find_locations(writer);
	put_locations(writer);
	put_samples(writer);
	zip(writer, NULL, 0, Z_FINISH);
	deflateEnd(&writer->zip);
	failed = writer->failed || ferror(file);
	nova_stacks_free(writer->chains);
	free(writer->locations);
	free(writer->piece);
	free(writer);
	return failed ? nova_error_errno(error, "cannot write the pprof file") : 0;
}
