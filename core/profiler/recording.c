/* SPDX-License-Identifier: MIT */
/* Reads a recording: counts on stacks of addresses, which names turn into stacks of functions. */
#include "core/profiler/record.h"

#include <string.h>

#define LIMIT_BYTES ((size_t)1 << 30)
#define MOST_POINTS 2048u /* of memory over time */

/* --- chunks -------------------------------------------------------------------------------------
 */

struct reader {
	struct recording *recording;
	struct source *source;
	size_t limit;
	bool head_only; /* what is told of it, not what is in it */
};

static int bad_chunk(const struct reader *reader, const char *what, struct nova_error *error)
{
	return nova_error_set(
	        error, NOVA_E_INVALID, "%s: byte %llu: %s, which no recording of novacore has",
	        reader->source->name, (unsigned long long)reader->recording->end, what);
}

static void take_json(struct chunk *chunk, json_t **json)
{
	json_t *read = json_loadb(chunk->at, (size_t)(chunk->end - chunk->at),
	                          JSON_REJECT_DUPLICATES, NULL);

	if (!json_is_object(read)) {
		json_decref(read);
		chunk->bad = true;
		return;
	}
	json_decref(*json);
	*json = read;
}

/* As many values as its lanes need; what has counts already has them. */
static struct nova_stacks *new_raw(const struct recording *recording)
{
	struct nova_value_type types[2 * LANE_KINDS];

	for (uint32_t i = 0; i < recording->lane_count; i++) {
		types[2 * i] = lanes[recording->lanes[i]].often;
		types[2 * i + 1] = lanes[recording->lanes[i]].much;
	}
	return nova_stacks_new(types, 2 * recording->lane_count);
}

/* What it counts: of "lanes", or of older ones "kind". */
static void take_about(struct recording *recording, struct chunk *chunk)
{
	bool first = !recording->about;
	const json_t *names, *name;
	size_t i;

	take_json(chunk, &recording->about);
	names = json_object_get(recording->about, "lanes");
	/* texts of threads and stacks stand in what would be replaced */
	if (chunk->bad || !first || recording->stack_count || recording->thread_count ||
	    recording->ksymbol_count || recording->address_count)
		return;
	recording->lane_count = 0;
	json_array_foreach(names, i, name)
	{
		enum lane_kind kind = lane_of(json_is_string(name) ? json_string_value(name) : "");

		chunk->bad =
		        chunk->bad || kind == LANE_KINDS || recording->lane_count == LANE_KINDS;
		if (chunk->bad)
			break;
		recording->lanes[recording->lane_count++] = kind;
	}
	if (!recording->lane_count) {
		enum lane_kind kind = lane_of(nova_json_text(recording->about, "kind"));

		recording->lanes[recording->lane_count++] = kind < LANE_KINDS ? kind : LANE_CPU;
	}
	nova_stacks_free(recording->raw);
	recording->raw = new_raw(recording);
}

/* Of each second: how much memory was resident then. Of a long recording every second, every
 * fourth … of them, because a picture has no more points. */
static void take_status(struct recording *recording, struct chunk *chunk)
{
	const json_t *resident;

	take_json(chunk, &recording->status);
	resident = json_object_get(recording->status, "resident_bytes");
	if (chunk->bad || !json_is_integer(resident))
		return;
	if (!recording->series)
		recording->series = json_array();
	if (recording->series_seen++ % recording->series_step == 0)
		json_array_append_new(recording->series,
		                      json_pack("[I, I]",
		                                json_integer_value(json_object_get(
		                                        recording->status, "duration_ns")),
		                                json_integer_value(resident)));
	if (json_array_size(recording->series) < MOST_POINTS)
		return;
	for (size_t i = 1; i < json_array_size(recording->series); i++)
		json_array_remove(recording->series, i);
	recording->series_step *= 2;
}

static void take_objects(struct recording *recording, struct chunk *chunk)
{
	while (chunk->at < chunk->end) {
		uint64_t kind = chunk_number(chunk), pid = chunk_number(chunk);
		size_t id_bytes, path_bytes;
		const char *id = chunk_text(chunk, &id_bytes), *path;
		struct object *object;

		path = chunk_text(chunk, &path_bytes);
		chunk->bad = chunk->bad || kind >= OBJECT_KINDS || id_bytes > BUILD_ID_BYTES ||
		             memchr(path, '\0', path_bytes);
		if (chunk->bad)
			return;
		recording->objects = nova_grow(recording->objects, recording->object_count,
		                               sizeof(*recording->objects));
		object = &recording->objects[recording->object_count++];
		*object = (struct object){.kind = (uint8_t)kind,
		                          .pid = (int32_t)pid,
		                          .build_id_bytes = (uint8_t)id_bytes,
		                          .path = strndup(path, path_bytes),
		                          .fd = -1};
		memcpy(object->build_id, id, id_bytes);
		nova_utf8_repair(object->path);
	}
}

static uint32_t address_of(struct recording *recording, uint32_t object, uint64_t offset)
{
	uint64_t key[2] = {object, offset}, hash = stacks_hash(key, sizeof(key)), at = hash;
	uint32_t number;

	while (index_next(&recording->address_index, hash, &at, &number))
		if (recording->addresses[number].object == object &&
		    recording->addresses[number].offset == offset)
			return number;
	recording->addresses = nova_grow(recording->addresses, recording->address_count,
	                                 sizeof(*recording->addresses));
	recording->addresses[recording->address_count] =
	        (struct address){.offset = offset, .object = object};
	index_add(&recording->address_index, hash, recording->address_count);
	return recording->address_count++;
}

static int check_limit(const struct reader *reader, struct nova_error *error)
{
	const struct recording *recording = reader->recording;
	size_t bytes = nova_stacks_bytes(recording->raw) +
	               recording->address_count * sizeof(*recording->addresses) +
	               recording->address_index.room * sizeof(struct index_slot) +
	               recording->object_count * sizeof(*recording->objects);

	if (bytes <= reader->limit)
		return 0;
	return nova_error_set(error, NOVA_E_FULL,
	                      "%s: its stacks take more than %zu MiB of memory; record for a "
	                      "shorter time or at a lower frequency",
	                      reader->source->name, reader->limit >> 20);
}

static int take_stacks(const struct reader *reader, struct chunk *chunk, struct nova_error *error)
{
	struct recording *recording = reader->recording;
	struct {
		uint32_t object;
		uint64_t offset;
	} *frames = NULL;
	int code = 0;

	while (chunk->at < chunk->end && !chunk->bad && !code) {
		uint64_t depth = chunk_number(chunk);
		uint32_t node = 0;

		/* a frame has two bytes or more */
		if (depth > (size_t)(chunk->end - chunk->at) / 2) {
			chunk->bad = true;
			break;
		}
		frames = nova_realloc(frames, (depth ? (size_t)depth : 1) * sizeof(*frames));
		for (uint64_t i = 0; i < depth; i++) {
			uint64_t object = chunk_number(chunk);

			frames[i].offset = chunk_number(chunk);
			chunk->bad = chunk->bad || object >= recording->object_count;
			frames[i].object = (uint32_t)object;
		}
		if (chunk->bad)
			break;
		for (uint64_t i = depth; i-- > 0;) /* they are written from the leaf */
			node = nova_stacks_call(
			        recording->raw, node,
			        address_of(recording, frames[i].object, frames[i].offset));
		recording->stack_nodes = nova_grow(recording->stack_nodes, recording->stack_count,
		                                   sizeof(*recording->stack_nodes));
		recording->stack_nodes[recording->stack_count++] = node;
		code = check_limit(reader, error);
	}
	free(frames);
	return code;
}

static const char *take_name(struct recording *recording, struct chunk *chunk)
{
	size_t length;
	const char *text = chunk_text(chunk, &length);
	NOVA_AUTOFREE char *copy = strndup(text, length);

	nova_text_clean(copy);
	return nova_stacks_text(recording->raw, copy, strlen(copy));
}

static void take_threads(struct recording *recording, struct chunk *chunk)
{
	while (chunk->at < chunk->end) {
		uint64_t pid = chunk_number(chunk), tid = chunk_number(chunk);
		uint64_t vcpu = chunk_number(chunk);
		const char *process = take_name(recording, chunk);
		const char *thread = take_name(recording, chunk);

		if (chunk->bad)
			return;
		recording->threads = nova_grow(recording->threads, recording->thread_count,
		                               sizeof(*recording->threads));
		recording->threads[recording->thread_count++] =
		        (struct nova_origin){.process = process,
		                             .thread = thread,
		                             .pid = (int32_t)pid,
		                             .tid = (int32_t)tid,
		                             .vcpu = (int32_t)vcpu - 1};
	}
}

static int take_counts(const struct reader *reader, struct chunk *chunk, struct nova_error *error)
{
	struct recording *recording = reader->recording;
	uint64_t lane = chunk->kind == CHUNK_LANE ? chunk_number(chunk) : 0;

	if (chunk->bad || lane >= recording->lane_count) {
		chunk->bad = true;
		return 0;
	}
	while (chunk->at < chunk->end) {
		uint64_t stack = chunk_number(chunk), thread = chunk_number(chunk);
		uint64_t cpu = chunk_number(chunk), values[NOVA_STACKS_VALUES] = {0};
		struct nova_origin origin;
		int code = check_limit(reader, error);

		values[2 * lane] = chunk_number(chunk);
		values[2 * lane + 1] = chunk_number(chunk);
		chunk->bad = chunk->bad || stack >= recording->stack_count ||
		             thread >= recording->thread_count;
		if (chunk->bad || code)
			return code;
		origin = recording->threads[thread];
		origin.cpu = (int32_t)(cpu & INT32_MAX) - 1;
		nova_stacks_add(recording->raw, recording->stack_nodes[stack],
		                nova_stacks_origin(recording->raw, &origin), values);
	}
	return 0;
}

void recording_name(struct recording *recording, uint32_t number, const struct nova_frame *frame)
{
	struct address *address = &recording->addresses[number];

	if (!address->count)
		address->first = recording->name_count;
	recording->names =
	        nova_grow(recording->names, recording->name_count, sizeof(*recording->names));
	recording->names[recording->name_count++] = nova_stacks_frame(recording->texts, frame);
	address->count++;
}

static void take_symbols(struct recording *recording, struct chunk *chunk)
{
	uint64_t object = chunk_number(chunk);

	if (chunk->bad || object >= recording->object_count) {
		chunk->bad = true;
		return;
	}
	recording->objects[object].named = true;
	while (chunk->at < chunk->end) {
		uint64_t offset = chunk_number(chunk), count = chunk_number(chunk);
		uint32_t address;

		if (chunk->bad)
			return;
		address = address_of(recording, (uint32_t)object, offset);
		recording->addresses[address].count = 0; /* the last word counts */
		for (uint64_t i = 0; i < count && !chunk->bad; i++) {
			struct nova_frame frame;

			frame.name = take_name(recording, chunk);
			frame.library = take_name(recording, chunk);
			frame.file = take_name(recording, chunk);
			frame.flags = (uint32_t)chunk_number(chunk);
			if (!chunk->bad)
				recording_name(recording, address, &frame);
		}
	}
}

static void take_ksymbols(struct recording *recording, struct chunk *chunk)
{
	struct ksymbol *symbol;

	recording->ksymbols = nova_grow(recording->ksymbols, recording->ksymbol_count,
	                                sizeof(*recording->ksymbols));
	symbol = &recording->ksymbols[recording->ksymbol_count];
	symbol->start = chunk_number(chunk);
	symbol->length = chunk_number(chunk);
	symbol->name = take_name(recording, chunk);
	recording->ksymbol_count += !chunk->bad;
}

static void take_notes(struct recording *recording, struct chunk *chunk)
{
	while (chunk->at < chunk->end) {
		const char *text = take_name(recording, chunk);

		if (chunk->bad)
			return;
		nova_stacks_note(recording->texts, "%s", text);
	}
}

static int take_chunk(const struct reader *reader, struct chunk *chunk, struct nova_error *error)
{
	struct recording *recording = reader->recording;
	bool head = chunk->kind == CHUNK_ABOUT || chunk->kind == CHUNK_STATUS ||
	            chunk->kind == CHUNK_END;
	int code = 0;

	if (reader->head_only && !head)
		return 0;
	switch (chunk->kind) {
	case CHUNK_ABOUT: take_about(recording, chunk); break;
	case CHUNK_END: recording->complete = true; /* fall through */
	case CHUNK_STATUS: take_status(recording, chunk); break;
	case CHUNK_OBJECTS: take_objects(recording, chunk); break;
	case CHUNK_STACKS: code = take_stacks(reader, chunk, error); break;
	case CHUNK_THREADS: take_threads(recording, chunk); break;
	case CHUNK_LANE:
	case CHUNK_COUNTS: code = take_counts(reader, chunk, error); break;
	case CHUNK_RESET: recording->stack_count = recording->thread_count = 0; break;
	case CHUNK_SYMBOLS: take_symbols(recording, chunk); break;
	case CHUNK_KSYMBOLS: take_ksymbols(recording, chunk); break;
	case CHUNK_NOTES: take_notes(recording, chunk); break;
	default: return bad_chunk(reader, "a part of unknown kind", error);
	}
	if (!code && chunk->bad)
		code = bad_chunk(reader, "a part whose content does not fit together", error);
	return code ? code : check_limit(reader, error);
}

static int load(const struct reader *reader, struct nova_error *error)
{
	struct recording *recording = reader->recording;
	struct source *source = reader->source;
	struct chunk chunk;
	int code = 0, got;

	memset(recording, 0, sizeof(*recording));
	recording->lane_count = 1; /* the CPU, until it says */
	recording->series_step = 1;
	recording->raw = new_raw(recording);
	recording->texts = new_raw(recording);
	while (!code && source->end - source->at < MAGIC_BYTES && !source->ended)
		code = source_more(source, error);
	if (code)
		return code;
	if (source->end - source->at < MAGIC_BYTES ||
	    memcmp(source->data + source->at, RECORDING_MAGIC, MAGIC_BYTES) != 0)
		return nova_error_set(error, NOVA_E_INVALID, "%s is no recording of novacore",
		                      source->name);
	source->at += MAGIC_BYTES;
	recording->end = MAGIC_BYTES;
	while ((got = chunk_next(source, &chunk, &recording->torn, error)) == 1) {
		code = take_chunk(reader, &chunk, error);
		if (code)
			return code;
		recording->end = source->passed + source->at;
	}
	if (!got && !recording->about)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "%s: the beginning of the recording is broken", source->name);
	return got;
}

int recording_load(struct source *source, size_t limit, struct recording *recording,
                   struct nova_error *error)
{
	return load(&(struct reader){recording, source, limit ? limit : LIMIT_BYTES, false}, error);
}

void recording_free(struct recording *recording)
{
	json_decref(recording->about);
	json_decref(recording->status);
	json_decref(recording->series);
	for (uint32_t i = 0; i < recording->object_count; i++) {
		free(recording->objects[i].path);
		nova_cleanup_close(&recording->objects[i].fd);
	}
	free(recording->objects);
	free(recording->addresses);
	index_free(&recording->address_index);
	free(recording->names);
	free(recording->ksymbols);
	nova_stacks_free(recording->raw);
	nova_stacks_free(recording->texts);
	free(recording->stack_nodes);
	free(recording->threads);
	memset(recording, 0, sizeof(*recording));
}

/* --- stacks of functions ------------------------------------------------------------------------
 */

static uint32_t flags_of(const struct object *object)
{
	switch (object->kind) {
	case OBJECT_KERNEL: return NOVA_FRAME_KERNEL;
	case OBJECT_GUEST:
	case OBJECT_GUEST_USER:
	case OBJECT_GUEST_FILE: return NOVA_FRAME_GUEST;
	case OBJECT_GUEST_KERNEL: return NOVA_FRAME_GUEST | NOVA_FRAME_KERNEL;
	case OBJECT_JIT: return NOVA_FRAME_JIT;
	default: return 0;
	}
}

static uint32_t guest_frame(struct nova_stacks *stacks, const struct object *object)
{
	const char *name = object->kind == OBJECT_GUEST_FILE ? "[guest user]" : object->path;

	return nova_stacks_frame(
	        stacks,
	        &(struct nova_frame){.name = name, .library = name, .flags = flags_of(object)});
}

/* The functions of an address above `node`. */
static uint32_t call(const struct recording *recording, struct nova_stacks *stacks, uint32_t node,
                     const struct address *address)
{
	const struct object *object = &recording->objects[address->object];
	bool guest = guest_has(object->kind);

	/* below all that is of the guest: [guest kernel], …, which is all that may be known */
	if (guest)
		node = nova_stacks_call(stacks, node, guest_frame(stacks, object));
	for (uint32_t i = 0; i < address->count; i++) {
		struct nova_frame frame =
		        recording->texts->frames[recording->names[address->first + i]];

		if (guest)
			frame.flags |= NOVA_FRAME_GUEST;
		node = nova_stacks_call(stacks, node, nova_stacks_frame(stacks, &frame));
	}
	if (!address->count && !guest) {
		/* what stands for itself: a wait for a CPU */
		bool itself = object->kind == OBJECT_UNKNOWN && object->path[0];
		const struct nova_frame unknown = {
		        .name = itself ? object->path : NULL,
		        .library = object->kind == OBJECT_UNKNOWN ? "" : object->path,
		        .flags = flags_of(object)};

		node = nova_stacks_call(stacks, node, nova_stacks_frame(stacks, &unknown));
	}
	return node;
}

static int64_t number_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

/* What would tell more of a VM. */
static void note_vm(const struct recording *recording, struct nova_stacks *stacks)
{
	const json_t *vm = json_object_get(recording->status, "vm");
	const json_t *shares = json_object_get(vm, "shares");
	const char *accelerator = nova_json_text(vm, "accelerator");
	bool guest = number_of(json_object_get(shares, "guest"), "samples") > 0;
	bool translated = false;

	for (uint32_t i = 0; i < recording->object_count; i++)
		translated = translated || (recording->objects[i].kind == OBJECT_GUEST &&
		                            recording->objects[i].pid);
	if (number_of(json_object_get(shares, "other_threads"), "samples") &&
	    json_is_false(json_object_get(vm, "vcpus_named")))
		nova_stacks_note(stacks, "its vCPUs are not told apart from its other threads: "
		                         "QEMU names them with -name NAME,debug-threads=on");
	if (guest && !strcmp(accelerator, "tcg") && !translated)
		nova_stacks_note(stacks, "the guest's code is translated by QEMU (TCG), and has no "
		                         "addresses of the guest here: QEMU 8.1 and later names it "
		                         "with -perfmap");
	else if (guest && !json_object_get(recording->about, "guest"))
		nova_stacks_note(stacks, "functions of the guest have no names: record "
		                         "--guest-kallsyms takes a copy of its /proc/kallsyms");
}

/* What this kernel or user did not have. */
static void add_missing(const json_t *about, struct nova_stacks *stacks)
{
	const json_t *all = json_object_get(about, "missing"), *one;
	size_t i;

	json_array_foreach(all, i, one)
	{
		NOVA_AUTOFREE char *text =
		        nova_format("not recorded: %s: %s", nova_json_text(one, "what"),
		                    nova_json_text(one, "why"));

		nova_text_clean(text);
		nova_stacks_note(stacks, "%s", text);
	}
}

static void add_notes(const struct recording *recording, struct nova_stacks *stacks)
{
	const json_t *about = recording->about, *status = recording->status;
	const char *why = json_string_value(json_object_get(about, "event_why"));
	int64_t user = number_of(status, "user_stacks"), flat = number_of(status, "short_stacks");

	if (why)
		nova_stacks_note(stacks, "sampled by the CPU's clock: %s", why);
	add_missing(about, stacks);
	if (json_is_false(json_object_get(about, "kernel_sampled")))
		nova_stacks_note(stacks, "the kernel's part was not sampled: it needs sysctl "
		                         "kernel.perf_event_paranoid=1 or CAP_PERFMON");
	if (!recording->complete)
		nova_stacks_note(stacks, "the recording was killed; what it had written is here");
	if (recording->torn)
		nova_stacks_note(stacks, "its last %llu bytes were not whole and are left out",
		                 (unsigned long long)recording->torn);
	if (stacks->lost)
		nova_stacks_note(stacks, "the kernel dropped %llu samples",
		                 (unsigned long long)stacks->lost);
	if (number_of(status, "lowered"))
		nova_stacks_note(stacks,
		                 "the frequency was lowered %lld times to keep the overhead low",
		                 (long long)number_of(status, "lowered"));
	if (flat * 10 > user * 3 && user >= 20)
		nova_stacks_note(
		        stacks, "%lld of %lld stacks have one frame of their program only: %s",
		        (long long)flat, (long long)user,
		        strcmp(nova_json_text(about, "stacks"), "dwarf") == 0
		                ? "it may lack what exceptions need (.eh_frame), or its frames are "
		                  "larger than the 8 KiB that are copied"
		                : "it may be built without frame pointers "
		                  "(-fno-omit-frame-pointer has them; record --stacks dwarf needs "
		                  "none)");
	note_vm(recording, stacks);
	for (uint32_t i = 0; i < recording->texts->note_count; i++)
		nova_stacks_note(stacks, "%s", recording->texts->notes[i]);
}

struct nova_stacks *recording_stacks(const struct recording *recording)
{
	const struct nova_stacks *raw = recording->raw;
	struct nova_stacks *stacks = nova_stacks_new(raw->types, raw->type_count);
	NOVA_AUTOFREE uint32_t *nodes = nova_alloc(raw->node_count * sizeof(*nodes));

	for (uint32_t i = 1; i < raw->node_count; i++)
		nodes[i] = call(recording, stacks, nodes[raw->nodes[i].parent],
		                &recording->addresses[raw->nodes[i].frame]);
	for (uint32_t i = 0; i < raw->count_count; i++)
		nova_stacks_add(stacks, nodes[raw->counts[i].node],
		                nova_stacks_origin(stacks, &raw->origins[raw->counts[i].origin]),
		                raw->values + (size_t)i * raw->type_count);
	stacks->shown = lanes[recording->lanes[0]].shows_much;
	stacks->utc_ns = number_of(recording->about, "began_ns");
	stacks->duration_ns = number_of(recording->status, "duration_ns");
	stacks->lost = (uint64_t)number_of(recording->status, "lost");
	add_notes(recording, stacks);
	return stacks;
}

int recording_read(struct source *source, size_t limit, struct nova_stacks **stacks,
                   struct nova_error *error)
{
	struct recording recording;
	int code = recording_load(source, limit, &recording, error);

	recording.fetch_ns = NOVA_FETCH_NS;
	recording.cached = true;
	if (!code)
		code = recording_symbolise(&recording, NULL, error);
	if (!code)
		*stacks = recording_stacks(&recording);
	recording_free(&recording);
	return code;
}

int nova_recording_about(const char *path, json_t **about, struct nova_error *error)
{
	struct recording recording;
	struct source source;
	int code = source_open(&source, path, error);

	*about = NULL;
	if (code)
		return code;
	code = load(&(struct reader){&recording, &source, LIMIT_BYTES, true}, error);
	source_close(&source);
	if (!code) {
		*about = json_incref(recording.about);
		json_object_set_new(*about, "complete", json_boolean(recording.complete));
		json_object_set_new(*about, "torn_bytes", json_integer((json_int_t)recording.torn));
		if (recording.status)
			json_object_update(*about, recording.status);
		if (recording.series)
			json_object_set(*about, "resident", recording.series);
	}
	recording_free(&recording);
	return code;
}
