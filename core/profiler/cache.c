/* SPDX-License-Identifier: MIT */
/*
 * What was found in a file with DWARF is kept by its build-id, so that the next recording of the
 * same program need not read it again: ranges of offsets, and the functions that all of a range are
 * in. Without DWARF it is not worth it (docs/bench.md, symbols), and what is found changes as soon
 * as debug information is installed. A file here is: a word and a version, the CRC-32 of the rest,
 * the number of functions and each one (name and file with their ends, flags), then of each range
 * its start behind the last one's end, its length, and its functions' numbers. What is not like
 * that is as good as not there, and is written anew.
 */
#include "core/profiler/record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define CACHE_MAGIC "novanam\1"
#define HEAD_BYTES  (MAGIC_BYTES + sizeof(uint32_t))
#define MOST_FILE   (32u << 20)
#define MOST_ALL    (128u << 20)
#define NEW         ".new-" /* how a file begins that is being written */

struct known {
	uint64_t start, end;
	size_t first, count; /* in `numbers` */
};

struct names_cache {
	int directory;
	char name[2 * BUILD_ID_BYTES + 1];
	char *data; /* what was read; texts are in it */
	struct known *ranges;
	size_t count, sorted;      /* those behind are new */
	struct nova_frame *frames; /* each once, without library */
	size_t frame_count;
	struct index frame_index;
	uint32_t *numbers; /* of frames */
	size_t number_count;
};

/* --- reading ------------------------------------------------------------------------------------
 */

/* Nobody else's, and for nobody else. */
static int open_directory(void)
{
	NOVA_AUTOFREE char *path = nova_place(NOVA_PLACE_CACHE, "names");
	struct stat is;
	int fd;

	if (nova_directory_make(path, 0700, NULL))
		return -1;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && (fstat(fd, &is) || is.st_uid != geteuid() || (is.st_mode & 077))) {
		close(fd);
		return -1;
	}
	return fd;
}

static char *read_file(const struct names_cache *cache, size_t *bytes)
{
	NOVA_AUTOCLOSE int fd = openat(cache->directory, cache->name,
	                               O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat is;
	char *data;

	if (fd < 0 || fstat(fd, &is) || !S_ISREG(is.st_mode) || is.st_uid != geteuid() ||
	    is.st_size < (off_t)HEAD_BYTES || is.st_size > (off_t)MOST_FILE)
		return NULL;
	*bytes = (size_t)is.st_size;
	data = nova_alloc(*bytes);
	if (read(fd, data, *bytes) != is.st_size) {
		free(data);
		return NULL;
	}
	futimens(fd, NULL); /* used now: what was not for the longest time goes first */
	return data;
}

static const char *take_text(struct chunk *chunk)
{
	size_t length;
	const char *text = chunk_text(chunk, &length);

	if (!length || text[length - 1] || memchr(text, '\0', length - 1)) {
		chunk->bad = true;
		return "";
	}
	return text;
}

static uint32_t frame_of(struct names_cache *cache, const struct nova_frame *frame)
{
	uint64_t hash = stacks_hash(frame->name, strlen(frame->name)) * 31 +
	                stacks_hash(frame->file, strlen(frame->file)) + frame->flags;
	uint64_t at = hash;
	uint32_t number;

	while (index_next(&cache->frame_index, hash, &at, &number))
		if (strcmp(cache->frames[number].name, frame->name) == 0 &&
		    strcmp(cache->frames[number].file, frame->file) == 0 &&
		    cache->frames[number].flags == frame->flags)
			return number;
	cache->frames = nova_grow(cache->frames, cache->frame_count, sizeof(*cache->frames));
	cache->frames[cache->frame_count] = *frame;
	index_add(&cache->frame_index, hash, (uint32_t)cache->frame_count);
	return (uint32_t)cache->frame_count++;
}

static void add_number(struct names_cache *cache, uint32_t frame)
{
	cache->numbers = nova_grow(cache->numbers, cache->number_count, sizeof(*cache->numbers));
	cache->numbers[cache->number_count++] = frame;
}

/* Of the last `count` numbers. */
static void add_range(struct names_cache *cache, uint64_t start, uint64_t end, size_t count)
{
	cache->ranges = nova_grow(cache->ranges, cache->count, sizeof(*cache->ranges));
	cache->ranges[cache->count++] =
	        (struct known){start, end, cache->number_count - count, count};
}

static void take_frames(struct names_cache *cache, struct chunk *chunk)
{
	uint64_t count = chunk_number(chunk);

	for (uint64_t i = 0; i < count && !chunk->bad; i++) {
		struct nova_frame frame = {.name = take_text(chunk), .library = ""};

		frame.file = take_text(chunk);
		frame.flags = (uint32_t)chunk_number(chunk);
		if (!chunk->bad && frame_of(cache, &frame) != i)
			chunk->bad = true;
	}
}

static void take_ranges(struct names_cache *cache, struct chunk *chunk)
{
	uint64_t at = 0;

	while (chunk->at < chunk->end && !chunk->bad) {
		uint64_t start = chunk_number(chunk), length = chunk_number(chunk);
		uint64_t count = chunk_number(chunk);

		if (start > UINT64_MAX - at || !length || length > UINT64_MAX - at - start ||
		    count > (size_t)(chunk->end - chunk->at))
			chunk->bad = true;
		at += start;
		for (uint64_t i = 0; i < count && !chunk->bad; i++) {
			uint64_t number = chunk_number(chunk);

			chunk->bad = chunk->bad || number >= cache->frame_count;
			add_number(cache, (uint32_t)number);
		}
		if (!chunk->bad)
			add_range(cache, at, at + length, (size_t)count);
		at += length;
	}
}

/* Nothing of what is not whole. */
static void take_all(struct names_cache *cache, size_t bytes)
{
	struct chunk chunk = {.at = cache->data + HEAD_BYTES, .end = cache->data + bytes};
	uint32_t crc;

	memcpy(&crc, cache->data + MAGIC_BYTES, sizeof(crc));
	if (memcmp(cache->data, CACHE_MAGIC, MAGIC_BYTES) != 0 ||
	    crc != crc32(0, (const Bytef *)chunk.at, (uInt)(bytes - HEAD_BYTES)))
		return;
	take_frames(cache, &chunk);
	take_ranges(cache, &chunk);
	if (chunk.bad)
		cache->count = 0;
	cache->sorted = cache->count;
}

struct names_cache *cache_open(const struct object *object)
{
	struct names_cache *cache;
	size_t bytes = 0;
	int directory = object->build_id_bytes ? open_directory() : -1;

	if (directory < 0)
		return NULL;
	cache = nova_alloc(sizeof(*cache));
	cache->directory = directory;
	for (uint32_t i = 0; i < object->build_id_bytes; i++)
		snprintf(cache->name + 2 * (size_t)i, 3, "%02x", object->build_id[i]);
	cache->data = read_file(cache, &bytes);
	if (cache->data)
		take_all(cache, bytes);
	return cache;
}

/* --- what is known ------------------------------------------------------------------------------
 */

bool cache_name(const struct names_cache *cache, const struct address_run *run, uint32_t address)
{
	uint64_t offset = run->recording->addresses[address].offset;
	size_t low = 0, high = cache->sorted;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (cache->ranges[middle].start <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || offset >= cache->ranges[low - 1].end)
		return false;
	for (size_t i = 0; i < cache->ranges[low - 1].count; i++) {
		struct nova_frame frame =
		        cache->frames[cache->numbers[cache->ranges[low - 1].first + i]];

		frame.library = run->object->path;
		recording_name(run->recording, address, &frame);
	}
	return true;
}

void cache_add(struct names_cache *cache, const struct recording *recording, uint32_t number,
               uint64_t start, uint64_t end)
{
	const struct address *address = &recording->addresses[number];

	/* addresses come sorted, many of them in the range of the last one */
	if (cache->count > cache->sorted && start < cache->ranges[cache->count - 1].end)
		return;
	for (uint32_t i = 0; i < address->count; i++) {
		uint32_t name = recording->names[address->first + i];

		add_number(cache, frame_of(cache, &recording->texts->frames[name]));
	}
	add_range(cache, start, end, address->count);
}

/* --- writing ------------------------------------------------------------------------------------
 */

static int by_start(const void *a, const void *b)
{
	const struct known *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static void write_all(const struct names_cache *cache, struct writer *writer)
{
	uint64_t at = 0;

	writer_number(writer, cache->frame_count);
	for (size_t i = 0; i < cache->frame_count; i++) {
		writer_text(writer, cache->frames[i].name, strlen(cache->frames[i].name) + 1);
		writer_text(writer, cache->frames[i].file, strlen(cache->frames[i].file) + 1);
		writer_number(writer, cache->frames[i].flags);
	}
	for (size_t i = 0; i < cache->count; i++) {
		const struct known *range = &cache->ranges[i];
		uint64_t start = range->start > at ? range->start : at;

		if (start >= range->end)
			continue;
		writer_number(writer, start - at);
		writer_number(writer, range->end - start);
		writer_number(writer, range->count);
		for (size_t j = 0; j < range->count; j++)
			writer_number(writer, cache->numbers[range->first + j]);
		at = range->end;
	}
}

/* Old ones go until there is room; and what a process that died was writing. */
static void make_room(int directory)
{
	char oldest[NAME_MAX + 1];
	uint64_t all;

	do {
		int own = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		DIR *list = own >= 0 ? fdopendir(own) : NULL;
		struct timespec when = {0};
		struct dirent *entry;

		oldest[0] = '\0';
		all = 0;
		while (list && (entry = readdir(list))) {
			struct stat is;

			if (fstatat(directory, entry->d_name, &is, AT_SYMLINK_NOFOLLOW) ||
			    !S_ISREG(is.st_mode))
				continue;
			all += (uint64_t)is.st_size;
			if (!oldest[0] || is.st_mtim.tv_sec < when.tv_sec ||
			    (is.st_mtim.tv_sec == when.tv_sec &&
			     is.st_mtim.tv_nsec < when.tv_nsec)) {
				snprintf(oldest, sizeof(oldest), "%s", entry->d_name);
				when = is.st_mtim;
			}
		}
		if (list)
			closedir(list);
		else
			nova_cleanup_close(&own);
	} while (all > MOST_ALL && oldest[0] && unlinkat(directory, oldest, 0) == 0);
}

/* Without fsync: what a machine that stops leaves of it has another sum. */
static void write_file(const struct names_cache *cache)
{
	struct writer writer = {.fd = -1};
	uint32_t crc = 0;
	char name[64];
	bool whole;
	int fd;

	snprintf(name, sizeof(name), NEW "%d", (int)getpid());
	nova_text_add_bytes(&writer.buffer, CACHE_MAGIC, MAGIC_BYTES);
	nova_text_add_bytes(&writer.buffer, &crc, sizeof(crc));
	write_all(cache, &writer);
	if (writer.buffer.length > MOST_FILE) { /* what was there stays */
		nova_text_free(&writer.buffer);
		return;
	}
	crc = (uint32_t)crc32(0, (const Bytef *)writer.buffer.data + HEAD_BYTES,
	                      (uInt)(writer.buffer.length - HEAD_BYTES));
	memcpy(writer.buffer.data + MAGIC_BYTES, &crc, sizeof(crc));
	unlinkat(cache->directory, name, 0);
	fd = openat(cache->directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	            0600);
	if (fd >= 0) {
		whole = write(fd, writer.buffer.data, writer.buffer.length) ==
		        (ssize_t)writer.buffer.length;
		close(fd);
		if (!whole || renameat(cache->directory, name, cache->directory, cache->name) != 0)
			unlinkat(cache->directory, name, 0);
		make_room(cache->directory);
	}
	nova_text_free(&writer.buffer);
}

void cache_close(struct names_cache *cache)
{
	if (!cache)
		return;
	if (cache->count > cache->sorted) {
		qsort(cache->ranges, cache->count, sizeof(*cache->ranges), by_start);
		write_file(cache);
	}
	close(cache->directory);
	free(cache->data);
	free(cache->ranges);
	free(cache->frames);
	index_free(&cache->frame_index);
	free(cache->numbers);
	free(cache);
}
