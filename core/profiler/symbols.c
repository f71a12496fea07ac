/* SPDX-License-Identifier: MIT */
/* Names for addresses, one object after another: each file is opened once, whatever is in it is
 * sorted once, and no other program is asked. */
#include "core/profiler/record.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- a sorted table -----------------------------------------------------------------------------
 */

static int by_start(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return strcmp(x->name, y->name);
}

void symbols_sort(struct symbol *symbols, size_t count)
{
	if (count)
		qsort(symbols, count, sizeof(*symbols), by_start);
}

const struct symbol *symbols_find(const struct symbol *symbols, size_t count, uint64_t address)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (symbols[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || (symbols[low - 1].end && address >= symbols[low - 1].end))
		return NULL;
	return &symbols[low - 1];
}

/* --- one object ---------------------------------------------------------------------------------
 */

static void note(const struct address_run *run, const char *why)
{
	nova_stacks_note(run->recording->texts, "functions of %s have no names: %s",
	                 run->object->path, why);
}

/* The file that was mapped, if it is here; -1, and why it is not. */
static int open_here(const struct object *object, const char **why)
{
	uint8_t build_id[BUILD_ID_BYTES];
	int fd = object->fd >= 0 ? dup(object->fd)
	                         : open(object->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat is;

	*why = NULL;
	if (fd < 0 || fstat(fd, &is) || !S_ISREG(is.st_mode))
		*why = "the file is not here any more, or may not be read";
	else if (object->build_id_bytes &&
	         (object_build_id(fd, build_id) != object->build_id_bytes ||
	          memcmp(build_id, object->build_id, object->build_id_bytes) != 0))
		*why = "there is another file of that name by now (its build-id differs)";
	if (*why)
		nova_cleanup_close(&fd);
	return *why ? -1 : fd;
}

static void look_into_file(const struct address_run *run)
{
	NOVA_AUTOFREE char *path = NULL;
	const char *why;
	NOVA_AUTOCLOSE int fd = open_here(run->object, &why);

	if (fd < 0)
		fd = debuginfod_fetch(run->recording->debuginfod, run->object, false, &path);
	if (fd >= 0)
		symbols_of_elf(run, fd);
	else
		note(run, why);
}

static void of_file(const struct address_run *run)
{
	struct recording *recording = run->recording;
	NOVA_AUTOFREE uint32_t *left = nova_alloc((run->count + 1) * sizeof(*left));
	struct address_run rest = {recording, run->object, left, 0};

	recording->cache = recording->cached ? cache_open(run->object) : NULL;
	for (size_t i = 0; i < run->count; i++)
		if (!recording->cache || !cache_name(recording->cache, run, run->addresses[i]))
			left[rest.count++] = run->addresses[i];
	if (rest.count)
		look_into_file(&rest);
	cache_close(recording->cache);
	recording->cache = NULL;
}

static void of_vdso(const struct address_run *run)
{
	NOVA_AUTOCLOSE int fd = object_vdso();

	if (fd >= 0)
		symbols_of_elf(run, fd);
}

static void of_kernel(const struct address_run *run)
{
	NOVA_AUTOFREE char *boot =
	        nova_file_read("/proc/sys/kernel/random/boot_id", 64, NULL, NULL);
	const char *then = nova_json_text(run->recording->about, "boot");
	FILE *file;

	if (!boot || strncmp(boot, then, strlen(then)) != 0 || !then[0]) {
		note(run, "it was recorded on another machine, or before this one was restarted");
		return;
	}
	file = fopen("/proc/kallsyms", "re");
	if (!file) {
		note(run, "/proc/kallsyms cannot be read");
		return;
	}
	symbols_of_kernel(run, file);
	fclose(file);
}

/* What a JIT compiler wrote about itself; as perf does, of root or our own only. */
static void of_jit(const struct address_run *run,
                   void (*name_all)(const struct address_run *run, FILE *map))
{
	int fd = object_jit_map(run->object->pid);
	struct stat is;
	FILE *file;

	if (fd < 0)
		return;
	file = fdopen(fd, "r");
	if (!file) {
		close(fd);
		return;
	}
	if (!fstat(fd, &is) && S_ISREG(is.st_mode) &&
	    (geteuid() == 0 || is.st_uid == 0 || is.st_uid == geteuid()))
		name_all(run, file);
	fclose(file);
}

static void name_run(const struct address_run *run)
{
	switch (run->object->kind) {
	case OBJECT_FILE: of_file(run); break;
	case OBJECT_VDSO: of_vdso(run); break;
	case OBJECT_KERNEL: of_kernel(run); break;
	case OBJECT_JIT: of_jit(run, symbols_of_jit); break;
	case OBJECT_GUEST: of_jit(run, symbols_of_translated); break;
	case OBJECT_GUEST_KERNEL: symbols_of_guest_kernel(run); break;
	case OBJECT_GUEST_FILE: symbols_of_guest_file(run); break;
	default: break;
	}
}

static void write_run(const struct address_run *run, struct writer *writer)
{
	const struct recording *recording = run->recording;
	const struct nova_stacks *texts = recording->texts;
	uint32_t object = (uint32_t)(run->object - recording->objects);

	writer_begin(writer, CHUNK_SYMBOLS);
	writer_number(writer, object);
	for (size_t i = 0; i < run->count; i++) {
		const struct address *address = &recording->addresses[run->addresses[i]];

		if (writer->buffer.length - writer->open > CHUNK_BYTES / 2) {
			writer_end(writer);
			writer_begin(writer, CHUNK_SYMBOLS);
			writer_number(writer, object);
		}
		writer_number(writer, address->offset);
		writer_number(writer, address->count);
		for (uint32_t j = 0; j < address->count; j++) {
			const struct nova_frame *frame =
			        &texts->frames[recording->names[address->first + j]];

			writer_text(writer, frame->name, strlen(frame->name));
			writer_text(writer, frame->library, strlen(frame->library));
			writer_text(writer, frame->file, strlen(frame->file));
			writer_number(writer, frame->flags);
		}
	}
	writer_end(writer);
}

/* What could not be found, from the note of that number on. */
static void write_notes(const struct recording *recording, uint32_t first, struct writer *writer)
{
	const struct nova_stacks *texts = recording->texts;

	if (first == texts->note_count)
		return;
	writer_begin(writer, CHUNK_NOTES);
	for (uint32_t i = first; i < texts->note_count; i++)
		writer_text(writer, texts->notes[i], strlen(texts->notes[i]));
	writer_end(writer);
}

int recording_pass_over(struct recording *recording, uint32_t number, const char *why,
                        struct writer *writer, struct nova_error *error)
{
	const struct address_run run = {recording, &recording->objects[number], NULL, 0};
	uint32_t notes = recording->texts->note_count;

	note(&run, why);
	recording->objects[number].named = true;
	write_run(&run, writer);
	write_notes(recording, notes, writer);
	return writer_flush(writer, error);
}

/* --- all of them --------------------------------------------------------------------------------
 */

static int by_object(const void *a, const void *b, void *context)
{
	const struct address *addresses = context;
	const struct address *x = &addresses[*(const uint32_t *)a];
	const struct address *y = &addresses[*(const uint32_t *)b];

	if (x->object != y->object)
		return x->object < y->object ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int name_object(struct recording *recording, const struct address_run *run,
                       struct writer *writer, struct nova_error *error)
{
	struct object *object = &recording->objects[run->object - recording->objects];
	uint32_t notes = recording->texts->note_count;
	int code = 0;

	if (object->named)
		return 0;
	if (recording->at_work)
		*recording->at_work = (uint32_t)(object - recording->objects) + 1;
	name_run(run);
	object->named = true;
	if (writer) {
		write_run(run, writer);
		write_notes(recording, notes, writer);
		code = writer_flush(writer, error);
	}
	if (recording->at_work)
		*recording->at_work = 0;
	return code;
}

int recording_symbolise(struct recording *recording, struct writer *writer,
                        struct nova_error *error)
{
	NOVA_AUTOFREE uint32_t *order = nova_alloc((recording->address_count + 1) * sizeof(*order));
	uint32_t notes;
	int code = 0;

	recording->debuginfod = debuginfod_new(recording->fetch_ns);
	for (uint32_t i = 0; i < recording->address_count; i++)
		order[i] = i;
	qsort_r(order, recording->address_count, sizeof(*order), by_object, recording->addresses);
	for (uint32_t i = 0, next; i < recording->address_count && !code; i = next) {
		uint32_t object = recording->addresses[order[i]].object;
		struct address_run run = {recording, &recording->objects[object], order + i, 0};

		for (next = i; next < recording->address_count &&
		               recording->addresses[order[next]].object == object;
		     next++)
			run.count++;
		code = name_object(recording, &run, writer, error);
	}
	notes = recording->texts->note_count;
	debuginfod_free(recording->debuginfod, recording->texts);
	recording->debuginfod = NULL;
	if (writer && !code) {
		write_notes(recording, notes, writer);
		code = writer_flush(writer, error);
	}
	return code;
}
