/* SPDX-License-Identifier: MIT */
/* The files that processes have mapped: opening them, and their build-ids. Nothing of their content
 * is trusted; they are read, not mapped, so that one that shrinks meanwhile is an error only. */
#include "core/profiler/record.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <gelf.h>
#include <inttypes.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define VDSO_BYTES (1u << 20)

static uint32_t build_id_of_notes(Elf_Data *data, uint8_t build_id[BUILD_ID_BYTES])
{
	size_t at = 0, name, description;
	GElf_Nhdr note;

	while (data && (at = gelf_getnote(data, at, &note, &name, &description)) > 0)
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
		    memcmp((char *)data->d_buf + name, "GNU", 4) == 0 && note.n_descsz > 0 &&
		    note.n_descsz <= BUILD_ID_BYTES) {
			memcpy(build_id, (char *)data->d_buf + description, note.n_descsz);
			return note.n_descsz;
		}
	return 0;
}

uint32_t object_build_id(int fd, uint8_t build_id[BUILD_ID_BYTES])
{
	size_t count = 0;
	uint32_t bytes = 0;
	Elf *elf;

	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf)
		return 0;
	if (elf_kind(elf) != ELF_K_ELF || elf_getphdrnum(elf, &count))
		count = 0;
	for (size_t i = 0; i < count && !bytes; i++) {
		GElf_Phdr head;

		if (gelf_getphdr(elf, (int)i, &head) && head.p_type == PT_NOTE &&
		    head.p_filesz < 65536)
			bytes = build_id_of_notes(
			        elf_getdata_rawchunk(elf, (int64_t)head.p_offset,
			                             (size_t)head.p_filesz,
			                             head.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR),
			        build_id);
	}
	elf_end(elf);
	return bytes;
}

uint32_t object_kernel_build_id(uint8_t build_id[BUILD_ID_BYTES])
{
	size_t bytes = 0, at = 0;
	NOVA_AUTOFREE char *notes = nova_file_read("/sys/kernel/notes", 65536, &bytes, NULL);

	/* a note: three words, then name and description, each rounded up to four bytes */
	while (notes && bytes - at >= 16) {
		uint32_t head[3];
		size_t name, description;

		memcpy(head, notes + at, sizeof(head));
		name = ((size_t)head[0] + 3) & ~(size_t)3;
		description = ((size_t)head[1] + 3) & ~(size_t)3;
		at += sizeof(head);
		if (name + description > bytes - at)
			return 0;
		if (head[2] == NT_GNU_BUILD_ID && head[0] == 4 && head[1] <= BUILD_ID_BYTES &&
		    memcmp(notes + at, "GNU", 4) == 0) {
			memcpy(build_id, notes + at + name, head[1]);
			return head[1];
		}
		at += name + description;
	}
	return 0;
}

int object_open_below(const char *root, const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
	                       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	NOVA_AUTOCLOSE int directory = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (directory < 0)
		return -1;
	return (int)syscall(SYS_openat2, directory, path, &how, sizeof(how));
}

/* The number that the process has in its own container. */
static int32_t inner_pid(int32_t pid)
{
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	NOVA_AUTOFREE char *text = nova_file_read(path, 1 << 20, NULL, NULL);
	char *line = text ? strstr(text, "\nNSpid:") : NULL, *last;

	if (!line)
		return pid;
	line[1 + strcspn(line + 1, "\n")] = '\0';
	last = strrchr(line, '\t');
	return last ? (int32_t)atoi(last) : pid;
}

int object_jit_map(int32_t pid)
{
	char path[64], root[48];
	int fd;

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (fd >= 0)
		return fd;
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", inner_pid(pid));
	snprintf(root, sizeof(root), "/proc/%d/root", pid);
	return object_open_below(root, path);
}

int object_vdso(void)
{
	const char *image = (const char *)getauxval(AT_SYSINFO_EHDR);
	size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes;
	Elf64_Ehdr head;
	int fd;

	if (!image)
		return -1;
	/* its section headers stand at its end */
	memcpy(&head, image, sizeof(head));
	bytes = (size_t)head.e_shoff + (size_t)head.e_shnum * head.e_shentsize;
	bytes = (bytes + page - 1) & ~(page - 1);
	if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || bytes > VDSO_BYTES)
		return -1;
	fd = memfd_create("vdso", MFD_CLOEXEC);
	if (fd >= 0 && write(fd, image, bytes) != (ssize_t)bytes) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* A regular file; and the one that was mapped, if its inode is known. A device or a pipe of that
 * name must not hold us up. */
static int open_same(const char *path, const struct object *object)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat is;

	if (fd >= 0 && (fstat(fd, &is) || !S_ISREG(is.st_mode) ||
	                (object->inode && is.st_ino != object->inode))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Through the process: map_files needs privileges, its root the right to look into it. */
static int open_through(const struct object *object, int32_t pid, const struct map *map)
{
	char path[4200];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid, map->start,
	         map->end);
	fd = open_same(path, object);
	if (fd < 0) {
		snprintf(path, sizeof(path), "/proc/%d/root%s", pid, object->path);
		fd = open_same(path, object);
	}
	return fd;
}

int object_open(const struct object *object, int32_t pid, const struct map *map)
{
	int fd = object->fd >= 0 ? dup(object->fd) : open_through(object, pid, map);

	return fd >= 0 ? fd : open_same(object->path, object);
}

void object_probe(struct object *object, int32_t pid, const struct map *map)
{
	uint8_t build_id[BUILD_ID_BYTES] = {0};
	uint32_t bytes = 0;
	int own = open_same(object->path, object), fd = open_through(object, pid, map);

	if (fd >= 0 || own >= 0)
		bytes = object_build_id(fd >= 0 ? fd : own, build_id);
	if (!object->build_id_bytes && bytes) {
		memcpy(object->build_id, build_id, bytes);
		object->build_id_bytes = (uint8_t)bytes;
	}
	/* Another file has this path by now, or here: only this descriptor leads there. */
	if (fd >= 0 && own >= 0) {
		uint8_t other[BUILD_ID_BYTES] = {0};
		struct stat a, b;
		bool same = !fstat(fd, &a) && !fstat(own, &b) && a.st_ino == b.st_ino &&
		            a.st_dev == b.st_dev;

		if (!same && bytes && object_build_id(own, other) == bytes)
			same = memcmp(other, build_id, bytes) == 0;
		if (same) {
			close(fd);
			fd = -1;
		}
	}
	if (own >= 0)
		close(own);
	object->fd = fd;
}
