/* SPDX-License-Identifier: MIT */
/* pprof's profile.proto, written by whomever. Numbers in it lead anywhere until they are checked.
 */
#include "core/profiler/inside.h"

#include "pprof.pb-c.h"

#include <inttypes.h>
#include <string.h>

/* --- memory --------------------------------------------------------------------------------------
 * A few bytes of a message become many once they are taken apart.
 */

struct budget {
	size_t left;
};

static void *take(void *context, size_t bytes)
{
	struct budget *budget = context;
	size_t *head;

	if (bytes > budget->left)
		return NULL;
	head = malloc(bytes + 2 * sizeof(size_t));
	if (!head)
		return NULL;
	budget->left -= bytes;
	*head = bytes;
	return head + 2;
}

static void give_back(void *context, void *pointer)
{
	struct budget *budget = context;

	if (!pointer)
		return;
	budget->left += *((size_t *)pointer - 2);
	free((size_t *)pointer - 2);
}

/* --- what is found by its number
 * ------------------------------------------------------------------
 */

/* Numbers of locations, functions and mappings: any, but mostly 1, 2, 3, … */
struct by_id {
	struct pair {
		uint64_t id;
		size_t index;
	} * pairs;
	size_t count;
};

static int by_number(const void *left, const void *right)
{
	const struct pair *a = left, *b = right;

	return (a->id > b->id) - (a->id < b->id);
}

static void sort_ids(struct by_id *ids)
{
	if (ids->count)
		qsort(ids->pairs, ids->count, sizeof(*ids->pairs), by_number);
}

static bool find_id(const struct by_id *ids, uint64_t id, size_t *index)
{
	const struct pair *found;

	if (id >= 1 && id <= ids->count && ids->pairs[id - 1].id == id) {
		*index = ids->pairs[id - 1].index;
		return true;
	}
	found = ids->count ? bsearch(&(struct pair){id, 0}, ids->pairs, ids->count,
	                             sizeof(*ids->pairs), by_number)
	                   : NULL;
	if (found)
		*index = found->index;
	return found != NULL;
}

#define SORT_IDS(message, field, ids)                                                              \
	do {                                                                                       \
		(ids)->count = (message)->n_##field;                                               \
		(ids)->pairs = nova_alloc(((ids)->count + 1) * sizeof(*(ids)->pairs));             \
		for (size_t index_ = 0; index_ < (ids)->count; index_++)                           \
			(ids)->pairs[index_] =                                                     \
			        (struct pair){(message)->field[index_]->id, index_};               \
		sort_ids(ids);                                                                     \
	} while (0)

/* --- reading -------------------------------------------------------------------------------------
 */

#define MOST_WALKED (UINT64_C(1) << 32) /* frames of all samples: what takes a minute */

struct reader {
	const char *name;
	const Pprof__Profile *from;
	struct nova_stacks *stacks;
	struct by_id locations, functions, mappings;
	/* frames of a location, from the leaf: frames[begin[i] … begin[i + 1]) */
	uint32_t *frames;
	size_t *begin;
	uint32_t types[NOVA_STACKS_VALUES]; /* which of the file's */
	size_t limit;                       /* of the bytes that the stacks take */
	uint64_t walked;                    /* frames of all samples */
	struct nova_error *error;
};

static int bad(struct reader *reader, const char *format, ...) NOVA_PRINTF(2, 3);
static int bad(struct reader *reader, const char *format, ...)
{
	char text[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return nova_error_set(reader->error, NOVA_E_INVALID, "%s is to be a pprof file, but %s",
	                      reader->name, text);
}

/* A string by its number; "" for one that is not there. Cut at a NUL. */
static const char *text_of(struct reader *reader, int64_t number, size_t *length)
{
	const ProtobufCBinaryData *text;

	*length = 0;
	if (number <= 0 || (uint64_t)number >= reader->from->n_string_table)
		return "";
	text = &reader->from->string_table[number];
	if (text->len)
		*length = strnlen((const char *)text->data, text->len);
	return text->data ? (const char *)text->data : "";
}

static const char *keep_text(struct reader *reader, int64_t number)
{
	size_t length;
	const char *text = text_of(reader, number, &length);

	return nova_stacks_text(reader->stacks, text, length);
}

static uint32_t frame_of(struct reader *reader, const Pprof__Location *location, size_t line)
{
	const char *name = "", *file = "", *library = "";
	uint32_t flags = 0;
	size_t index;
	char address[32];

	if (find_id(&reader->mappings, location->mapping_id, &index))
		library = keep_text(reader, reader->from->mapping[index]->filename);
	if (line < location->n_line &&
	    find_id(&reader->functions, location->line[line]->function_id, &index)) {
		name = keep_text(reader, reader->from->function[index]->name);
		if (!name[0])
			name = keep_text(reader, reader->from->function[index]->system_name);
		file = keep_text(reader, reader->from->function[index]->filename);
	}
	if (!name[0] && location->address) {
		snprintf(address, sizeof(address), "[0x%" PRIx64 "]", location->address);
		name = address;
	}
	if (line + 1 < location->n_line)
		flags |= NOVA_FRAME_INLINED;
	return nova_stacks_frame(
	        reader->stacks,
	        &(struct nova_frame){.name = name,
	                             .library = library,
	                             .file = file,
	                             .flags = flags |
	                                      stacks_library_flags(library, strlen(library))});
}

static void read_locations(struct reader *reader)
{
	const Pprof__Profile *from = reader->from;
	size_t count = 0;

	reader->begin = nova_alloc((from->n_location + 1) * sizeof(*reader->begin));
	for (size_t i = 0; i < from->n_location; i++) {
		reader->begin[i] = count;
		count += from->location[i]->n_line ? from->location[i]->n_line : 1;
	}
	reader->begin[from->n_location] = count;
	reader->frames = nova_alloc((count + 1) * sizeof(*reader->frames));
	for (size_t i = 0; i < from->n_location; i++)
		for (size_t line = 0; line < reader->begin[i + 1] - reader->begin[i]; line++)
			reader->frames[reader->begin[i] + line] =
			        frame_of(reader, from->location[i], line);
}

static int32_t number_of(const Pprof__Label *label)
{
	return label->num >= 0 && label->num <= INT32_MAX ? (int32_t)label->num : -1;
}

static uint32_t origin_of(struct reader *reader, const Pprof__Sample *sample)
{
	struct nova_origin origin = {
	        .process = "", .thread = "", .pid = -1, .tid = -1, .cpu = -1, .vcpu = -1};

	for (size_t i = 0; i < sample->n_label; i++) {
		const Pprof__Label *label = sample->label[i];
		const char *key = keep_text(reader, label->key);

		if (strcmp(key, "process") == 0)
			origin.process = keep_text(reader, label->str);
		else if (strcmp(key, "thread") == 0)
			origin.thread = keep_text(reader, label->str);
		else if (strcmp(key, "pid") == 0)
			origin.pid = number_of(label);
		else if (strcmp(key, "tid") == 0)
			origin.tid = number_of(label);
		else if (strcmp(key, "cpu") == 0)
			origin.cpu = number_of(label);
		else if (strcmp(key, "vcpu") == 0)
			origin.vcpu = number_of(label);
	}
	return nova_stacks_origin(reader->stacks, &origin);
}

/* A location of many lines in a stack of many locations is a small message and a huge stack. */
static int check_walk(struct reader *reader)
{
	if (++reader->walked & 0xffff)
		return 0;
	if (reader->walked > MOST_WALKED)
		return nova_error_set(reader->error, NOVA_E_FULL,
		                      "%s: its samples have more than %" PRIu64 " frames",
		                      reader->name, MOST_WALKED);
	return stacks_check_room(reader->stacks, reader->limit, reader->name, reader->error);
}

static int read_sample(struct reader *reader, size_t number)
{
	const Pprof__Sample *sample = reader->from->sample[number];
	uint64_t values[NOVA_STACKS_VALUES];
	uint32_t node = 0;
	size_t index;
	int code;

	if (sample->n_value != reader->from->n_sample_type)
		return bad(reader, "sample %zu has %zu values, not %zu", number + 1,
		           sample->n_value, reader->from->n_sample_type);
	for (uint32_t i = 0; i < reader->stacks->type_count; i++) {
		int64_t value = sample->value[reader->types[i]];

		if (value < 0)
			return bad(reader,
			           "sample %zu has the negative value %" PRId64
			           ": differences of profiles are not read, give both of them",
			           number + 1, value);
		values[i] = (uint64_t)value;
	}
	for (size_t i = sample->n_location_id; i > 0; i--) {
		if (!find_id(&reader->locations, sample->location_id[i - 1], &index))
			return bad(reader,
			           "sample %zu names location %" PRIu64 ", which is not there",
			           number + 1, sample->location_id[i - 1]);
		for (size_t frame = reader->begin[index + 1]; frame > reader->begin[index];
		     frame--) {
			node = nova_stacks_call(reader->stacks, node, reader->frames[frame - 1]);
			code = check_walk(reader);
			if (code)
				return code;
		}
	}
	nova_stacks_add(reader->stacks, node, origin_of(reader, sample), values);
	return 0;
}

/* The first ones, but the one that is meant if nobody says is always among them. */
static int begin_profile(struct reader *reader)
{
	const Pprof__Profile *from = reader->from;
	struct nova_value_type types[NOVA_STACKS_VALUES];
	char texts[NOVA_STACKS_VALUES][2][64];
	uint32_t count = 0;
	size_t shown, length;

	if (from->n_sample_type == 0)
		return bad(reader, "it does not say what its values are (sample_type)");
	shown = from->n_sample_type - 1; /* pprof's own choice */
	for (size_t i = 0; i < from->n_sample_type; i++)
		if (from->default_sample_type &&
		    from->sample_type[i]->type == from->default_sample_type)
			shown = i;
	for (size_t i = 0; i < from->n_sample_type && count < NOVA_STACKS_VALUES; i++) {
		size_t which = count == NOVA_STACKS_VALUES - 1 && shown > i ? shown : i;
		const char *text = text_of(reader, from->sample_type[which]->type, &length);

		snprintf(texts[count][0], sizeof(texts[0][0]), "%.*s", (int)(length & 63), text);
		text = text_of(reader, from->sample_type[which]->unit, &length);
		snprintf(texts[count][1], sizeof(texts[0][1]), "%.*s", (int)(length & 63), text);
		types[count] = (struct nova_value_type){texts[count][0], texts[count][1]};
		reader->types[count++] = (uint32_t)which;
	}
	reader->stacks = nova_stacks_new(types, count);
	for (uint32_t i = 0; i < count; i++)
		if (reader->types[i] == shown)
			reader->stacks->shown = i;
	if (from->n_sample_type > count)
		nova_stacks_note(reader->stacks, "of %zu kinds of value %u are read",
		                 from->n_sample_type, count);
	reader->stacks->utc_ns = from->time_nanos > 0 ? from->time_nanos : 0;
	reader->stacks->duration_ns = from->duration_nanos > 0 ? from->duration_nanos : 0;
	reader->stacks->period = from->period > 0 ? from->period : 0;
	for (size_t i = 0; i < from->n_comment && i < 64; i++)
		nova_stacks_note(reader->stacks, "%s", keep_text(reader, from->comment[i]));
	return 0;
}

static int read_message(struct reader *reader)
{
	const Pprof__Profile *from = reader->from;
	int code = begin_profile(reader);

	if (code)
		return code;
	SORT_IDS(from, location, &reader->locations);
	SORT_IDS(from, function, &reader->functions);
	SORT_IDS(from, mapping, &reader->mappings);
	read_locations(reader);
	for (size_t i = 0; i < from->n_sample && !code; i++) {
		code = read_sample(reader, i);
		if (!code && (i & 1023) == 1023)
			code = stacks_check_room(reader->stacks, reader->limit, reader->name,
			                         reader->error);
	}
	free(reader->locations.pairs);
	free(reader->functions.pairs);
	free(reader->mappings.pairs);
	free(reader->begin);
	free(reader->frames);
	return code ? code
	            : stacks_check_room(reader->stacks, reader->limit, reader->name, reader->error);
}

int pprof_read(struct source *source, size_t limit, struct nova_stacks **stacks,
               struct nova_error *error)
{
	struct reader reader = {.name = source->name, .error = error};
	struct budget budget = {limit};
	ProtobufCAllocator allocator = {take, give_back, &budget};
	Pprof__Profile *from;
	int code = 0;

	source->most = limit / 4;
	while (!code && !source->ended)
		code = source_more(source, error);
	if (code)
		return code;
	from = pprof__profile__unpack(&allocator, source->end - source->at,
	                              (const uint8_t *)source->data + source->at);
	if (!from && budget.left < limit / 8)
		return nova_error_set(error, NOVA_E_FULL,
		                      "%s: reading it takes more than %zu MiB of memory",
		                      source->name, limit >> 20);
	if (!from)
		return bad(&reader, "its bytes are no message of that kind: it is cut off, or "
		                    "something else (novacore reads pprof, perf script and folded "
		                    "stacks)");
	reader.from = from;
	reader.limit = budget.left; /* both are there at the same time */
	source_empty(source);
	code = read_message(&reader);
	pprof__profile__free_unpacked(from, &allocator);
	*stacks = reader.stacks;
	return code;
}
