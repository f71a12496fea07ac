/* SPDX-License-Identifier: MIT */
/*
 * What is mapped where in each process: from /proc when a recording begins, then followed event by
 * event. Only what can be executed is kept. Files are numbered by path, device and inode (or
 * build-id); nothing of them is opened here.
 */
#include "core/profiler/record.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

/* Of all spaces together; beyond it nothing new is followed (36 bytes each). */
#define MOST_MAPS    300000u
#define MOST_OBJECTS 50000u

/* --- objects -----------------------------------------------------------------------------------*/

static bool starts(const char *text, size_t length, const char *with)
{
	size_t bytes = strlen(with);

	return length >= bytes && memcmp(text, with, bytes) == 0;
}

/* How the kernel names what is no file (proc(5), kernel/events/core.c). */
static enum object_kind kind_of(const char *path, size_t length)
{
	static const char *const made[] = {"//anon",  "[anon",     "[heap]", "[stack",
	                                   "/memfd:", "/dev/zero", "/SYSV",  "anon_inode:"};

	if (length == 0)
		return OBJECT_JIT;
	for (size_t i = 0; i < NOVA_COUNT(made); i++)
		if (starts(path, length, made[i]))
			return OBJECT_JIT;
	if (starts(path, length, "[vdso]"))
		return OBJECT_VDSO;
	return path[0] == '/' ? OBJECT_FILE : OBJECT_UNKNOWN;
}

static uint64_t object_hash(const struct object *object)
{
	struct {
		uint64_t path, inode;
		uint32_t major, minor, kind, pid;
		uint8_t build_id[BUILD_ID_BYTES + 4];
	} key = {.path = stacks_hash(object->path, strlen(object->path)),
	         .inode = object->inode,
	         .major = object->major,
	         .minor = object->minor,
	         .kind = object->kind,
	         .pid = (uint32_t)object->pid};

	memcpy(key.build_id, object->build_id, object->build_id_bytes);
	return stacks_hash(&key, sizeof(key));
}

static bool object_equal(const struct object *a, const struct object *b)
{
	return a->kind == b->kind && a->pid == b->pid && a->inode == b->inode &&
	       a->major == b->major && a->minor == b->minor &&
	       a->build_id_bytes == b->build_id_bytes &&
	       memcmp(a->build_id, b->build_id, a->build_id_bytes) == 0 &&
	       strcmp(a->path, b->path) == 0;
}

/* Takes `path` of `wanted`, which is the heap's. Those that are there keep the identity that they
 * were looked up by, though a build-id may have been found since: `inode` tells them apart. */
static uint32_t object_of(struct spaces *spaces, struct object *wanted)
{
	uint64_t hash = object_hash(wanted), at = hash;
	uint32_t number;

	while (index_next(&spaces->object_index, hash, &at, &number))
		if (object_equal(&spaces->objects[number], wanted) ||
		    (wanted->inode && spaces->objects[number].inode == wanted->inode &&
		     strcmp(spaces->objects[number].path, wanted->path) == 0)) {
			free(wanted->path);
			return number;
		}
	if (spaces->object_count >= MOST_OBJECTS) {
		free(wanted->path);
		return OBJECT_NUMBER_UNKNOWN;
	}
	spaces->objects =
	        nova_grow(spaces->objects, spaces->object_count, sizeof(*spaces->objects));
	wanted->fd = -1;
	spaces->objects[spaces->object_count] = *wanted;
	index_add(&spaces->object_index, hash, spaces->object_count);
	return spaces->object_count++;
}

static uint32_t object_named(struct spaces *spaces, const struct maps_line *line, int32_t pid,
                             const uint8_t *build_id, uint32_t build_id_bytes)
{
	static const char deleted[] = " (deleted)";
	const size_t tail = sizeof(deleted) - 1;
	size_t length = line->path_length;
	struct object object = {.kind = (uint8_t)kind_of(line->path, length)};

	if (object.kind == OBJECT_UNKNOWN)
		return OBJECT_NUMBER_UNKNOWN;
	if (length > tail && memcmp(line->path + length - tail, deleted, tail) == 0)
		length -= tail;
	if (object.kind == OBJECT_FILE) {
		object.path = strndup(line->path, length);
		object.inode = line->inode;
		object.major = line->major;
		object.minor = line->minor;
		object.build_id_bytes = (uint8_t)build_id_bytes;
		if (build_id_bytes)
			memcpy(object.build_id, build_id, build_id_bytes);
	} else {
		object.pid = object.kind == OBJECT_JIT ? pid : 0;
		object.path = nova_strdup(object.kind == OBJECT_JIT ? "[jit]" : "[vdso]");
	}
	return object_of(spaces, &object);
}

/* --- one space ----------------------------------------------------------------------------------
 */

const struct map *space_find(const struct space *space, uint64_t address)
{
	uint32_t low = 0, high = space->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (space->maps[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < space->count && space->maps[low].start <= address ? &space->maps[low] : NULL;
}

static void shift(struct map *map, uint64_t start)
{
	map->offset += start - map->start;
	map->start = start;
}

void space_insert(struct spaces *spaces, struct space *space, const struct map *map)
{
	struct map *maps, *out;
	bool in = false;

	if (map->start >= map->end || spaces->map_count + 2 > MOST_MAPS)
		return;
	/* the new one may cut one that is there in two */
	maps = out = nova_alloc((space->count + 2) * sizeof(*maps));
	for (uint32_t i = 0; i < space->count; i++) {
		const struct map *old = &space->maps[i];

		if (old->start < map->start) {
			*out = *old;
			if (out->end > map->start)
				out->end = map->start;
			out++;
		}
		if (!in && old->end > map->start) {
			*out++ = *map;
			in = true;
		}
		if (old->end > map->end) {
			*out = *old;
			if (out->start < map->end)
				shift(out, map->end);
			out++;
		}
	}
	if (!in)
		*out++ = *map;
	free(space->maps);
	spaces->map_count -= space->count;
	space->changes++;
	space->maps = maps;
	space->count = (uint32_t)(out - maps);
	spaces->map_count += space->count;
}

static void space_empty(struct spaces *spaces, struct space *space)
{
	free(space->maps);
	spaces->map_count -= space->count;
	space->changes++;
	space->maps = NULL;
	space->count = 0;
}

/* --- /proc --------------------------------------------------------------------------------------
 */

bool maps_line_read(const char *line, size_t length, struct maps_line *out)
{
	char text[160], permissions[5];
	size_t head = length < sizeof(text) - 1 ? length : sizeof(text) - 1;
	int path = 0;

	memset(out, 0, sizeof(*out));
	memcpy(text, line, head);
	text[head] = '\0';
	if (sscanf(text,
	           "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %" SCNx32 ":%" SCNx32 " %" SCNu64 " %n",
	           &out->start, &out->end, permissions, &out->offset, &out->major, &out->minor,
	           &out->inode, &path) < 7 ||
	    out->start > out->end || path == 0)
		return false;
	out->executable = strchr(permissions, 'x') != NULL;
	out->path = line + path;
	out->path_length = length - (size_t)path;
	return true;
}

static void space_load(struct spaces *spaces, struct space *space)
{
	char path[32], *line = NULL;
	size_t room = 0;
	ssize_t length;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", space->pid);
	file = fopen(path, "re");
	if (!file)
		return;
	while ((length = getline(&line, &room, file)) > 0) {
		struct maps_line parts;

		if (line[length - 1] == '\n')
			length--;
		if (!maps_line_read(line, (size_t)length, &parts) || !parts.executable)
			continue;
		space_insert(spaces, space,
		             &(struct map){parts.start, parts.end, parts.offset,
		                           object_named(spaces, &parts, space->pid, NULL, 0)});
	}
	free(line);
	fclose(file);
}

/* --- all of them --------------------------------------------------------------------------------
 */

static void add_object(struct spaces *spaces, enum object_kind kind, const char *name)
{
	struct object object = {.kind = (uint8_t)kind, .path = nova_strdup(name)};

	object_of(spaces, &object);
}

void spaces_start(struct spaces *spaces)
{
	memset(spaces, 0, sizeof(*spaces));
	add_object(spaces, OBJECT_UNKNOWN, "");
	add_object(spaces, OBJECT_KERNEL, "[kernel]");
	add_object(spaces, OBJECT_GUEST, "[guest]");
	add_object(spaces, OBJECT_UNKNOWN, "[waiting for a CPU]");
	add_object(spaces, OBJECT_GUEST_KERNEL, "[guest kernel]");
	add_object(spaces, OBJECT_GUEST_USER, "[guest user]");
}

/* Its addresses are kept only if QEMU says (-perfmap) what they are: they are many. */
uint32_t spaces_translated(struct spaces *spaces, struct space *space)
{
	struct object object = {.kind = OBJECT_GUEST, .pid = space->pid};
	NOVA_AUTOCLOSE int map = space->guest ? -1 : object_jit_map(space->pid);

	if (space->guest)
		return space->guest;
	space->guest = OBJECT_NUMBER_GUEST;
	if (map >= 0) {
		object.path = nova_strdup("[guest]");
		space->guest = object_of(spaces, &object);
	}
	return space->guest;
}

uint32_t spaces_guest_file(struct spaces *spaces, const char *path, size_t length)
{
	struct object object = {.kind = OBJECT_GUEST_FILE, .path = strndup(path, length)};

	return object_of(spaces, &object);
}

static uint64_t pid_hash(int32_t pid)
{
	return stacks_hash(&pid, sizeof(pid));
}

static struct space *find(struct spaces *spaces, int32_t pid)
{
	uint64_t hash = pid_hash(pid), at = hash;
	uint32_t number;

	while (index_next(&spaces->by_pid, hash, &at, &number))
		if (spaces->spaces[number].pid == pid)
			return &spaces->spaces[number];
	return NULL;
}

static struct space *make(struct spaces *spaces, int32_t pid)
{
	struct space *space;

	spaces->spaces = nova_grow(spaces->spaces, spaces->count, sizeof(*spaces->spaces));
	space = &spaces->spaces[spaces->count];
	*space = (struct space){.pid = pid};
	index_add(&spaces->by_pid, pid_hash(pid), spaces->count++);
	return space;
}

struct space *spaces_of(struct spaces *spaces, int32_t pid)
{
	struct space *space = find(spaces, pid);

	if (!space) {
		space = make(spaces, pid);
		space_load(spaces, space);
	}
	return space;
}

void spaces_map(struct spaces *spaces, const struct event *event)
{
	struct maps_line line = {.inode = event->inode,
	                         .major = event->major,
	                         .minor = event->minor,
	                         .path = event->name,
	                         .path_length = event->name_length};
	struct space *space;

	if (!event->executable)
		return;
	space = spaces_of(spaces, (int32_t)event->pid);
	space_insert(spaces, space,
	             &(struct map){event->start, event->start + event->length, event->offset,
	                           object_named(spaces, &line, space->pid, event->build_id,
	                                        event->build_id_bytes)});
}

void spaces_fork(struct spaces *spaces, int32_t parent, int32_t child)
{
	uint32_t from, to;

	if (parent == child)
		return;
	from = (uint32_t)(spaces_of(spaces, parent) - spaces->spaces);
	to = (uint32_t)((find(spaces, child) ? find(spaces, child) : make(spaces, child)) -
	                spaces->spaces);
	space_empty(spaces, &spaces->spaces[to]);
	spaces->spaces[to].dead = false;
	if (!spaces->spaces[from].count ||
	    spaces->map_count + spaces->spaces[from].count > MOST_MAPS)
		return;
	spaces->spaces[to].maps = nova_alloc(spaces->spaces[from].count * sizeof(struct map));
	memcpy(spaces->spaces[to].maps, spaces->spaces[from].maps,
	       spaces->spaces[from].count * sizeof(struct map));
	spaces->spaces[to].changes++;
	spaces->spaces[to].count = spaces->spaces[from].count;
	spaces->map_count += spaces->spaces[to].count;
}

void spaces_exec(struct spaces *spaces, int32_t pid)
{
	struct space *space = find(spaces, pid);

	if (!space)
		space = make(spaces, pid);
	space_empty(spaces, space);
	space->dead = false;
}

void spaces_exit(struct spaces *spaces, int32_t pid)
{
	struct space *space = find(spaces, pid);

	if (space)
		space->dead = true;
}

void spaces_sweep(struct spaces *spaces)
{
	uint32_t kept = 0;

	/* The first thread may end before the others do. */
	for (uint32_t i = 0; i < spaces->count; i++) {
		struct space *space = &spaces->spaces[i];

		if (space->dead && kill(space->pid, 0) && errno == ESRCH)
			space_empty(spaces, space);
		else
			spaces->spaces[kept++] = *space;
	}
	if (kept == spaces->count)
		return;
	index_clear(&spaces->by_pid);
	for (uint32_t i = 0; i < kept; i++)
		index_add(&spaces->by_pid, pid_hash(spaces->spaces[i].pid), i);
	spaces->count = kept;
}

void spaces_free(struct spaces *spaces)
{
	for (uint32_t i = 0; i < spaces->object_count; i++) {
		free(spaces->objects[i].path);
		if (spaces->objects[i].fd >= 0)
			nova_cleanup_close(&spaces->objects[i].fd);
	}
	for (uint32_t i = 0; i < spaces->count; i++)
		free(spaces->spaces[i].maps);
	free(spaces->objects);
	free(spaces->spaces);
	index_free(&spaces->object_index);
	index_free(&spaces->by_pid);
	memset(spaces, 0, sizeof(*spaces));
}
