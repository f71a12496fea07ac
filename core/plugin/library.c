/* SPDX-License-Identifier: MIT */
/*
 * Which shared libraries are installed, without loading one: the loader's own search path
 * (dlinfo), then its cache, /etc/ld.so.cache (layout: glibc's sysdeps/generic/dl-cache.h; only
 * documented there). What a library needs in turn is looked up as well, unless one on the way says
 * itself where its libraries are: then the loader alone can tell.
 */
#include "core/plugin/inside.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CACHE_PATH  "/etc/ld.so.cache"
#define CACHE_LIMIT (16u << 20)
#define CACHE_MAGIC "glibc-ld.so.cache1.1"

struct cache_head {
	char magic[20];
	uint32_t count, string_bytes;
	uint32_t more[5];
};

struct cache_entry {
	int32_t flags;
	uint32_t name, path; /* offsets from cache_head */
	uint32_t os_version;
	uint64_t capabilities;
};

struct known {
	char *name, *path; /* NULL: not found */
	bool examined;     /* what it needs, too */
	char *lack, *by;
};

struct nova_libraries {
	char *cache; /* NUL-terminated */
	size_t cache_bytes;
	bool cache_read;
	void *self;
	Dl_serinfo *path;
	struct known *known;
	size_t known_count;
};

/* The directories that the loader searches for a plugin, LD_LIBRARY_PATH included. */
static void read_path(struct nova_libraries *libraries)
{
	Dl_serinfo size;

	libraries->self = dlopen(NULL, RTLD_LAZY);
	if (!libraries->self || dlinfo(libraries->self, RTLD_DI_SERINFOSIZE, &size))
		return;
	libraries->path = nova_alloc(size.dls_size);
	if (dlinfo(libraries->self, RTLD_DI_SERINFOSIZE, libraries->path) ||
	    dlinfo(libraries->self, RTLD_DI_SERINFO, libraries->path)) {
		free(libraries->path);
		libraries->path = NULL;
	}
}

struct nova_libraries *nova_libraries_new(void)
{
	struct nova_libraries *libraries = nova_alloc(sizeof(*libraries));

	read_path(libraries);
	return libraries;
}

void nova_libraries_free(struct nova_libraries *libraries)
{
	if (!libraries)
		return;
	for (size_t i = 0; i < libraries->known_count; i++) {
		free(libraries->known[i].name);
		free(libraries->known[i].path);
		free(libraries->known[i].lack);
		free(libraries->known[i].by);
	}
	free(libraries->known);
	free(libraries->path);
	if (libraries->self)
		dlclose(libraries->self);
	free(libraries->cache);
	free(libraries);
}

void nova_libraries_use_cache(struct nova_libraries *libraries, const void *bytes, size_t count)
{
	free(libraries->cache);
	libraries->cache = nova_alloc(count + 1);
	memcpy(libraries->cache, bytes, count);
	libraries->cache_bytes = count;
	libraries->cache_read = true;
}

/* The cache may begin with one in the old format; the new one follows, 8-byte aligned. */
static const char *find_head(const struct nova_libraries *libraries)
{
	if (!libraries->cache)
		return NULL;
	return memmem(libraries->cache, libraries->cache_bytes, CACHE_MAGIC,
	              sizeof(CACHE_MAGIC) - 1);
}

static bool for_this_machine(const char *path)
{
	ElfW(Ehdr) header;
	NOVA_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || read(fd, &header, sizeof(header)) != (ssize_t)sizeof(header) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG))
		return false;
	return nova_elf_is_native(header.e_ident, header.e_machine);
}

/* The text at `offset` from the head, or NULL if it lies outside. The buffer is NUL-terminated. */
static const char *cache_text(const char *head, size_t bytes, uint32_t offset)
{
	return offset < bytes ? head + offset : NULL;
}

static char *in_cache(struct nova_libraries *libraries, const char *name)
{
	if (!libraries->cache_read) {
		libraries->cache_read = true;
		libraries->cache =
		        nova_file_read(CACHE_PATH, CACHE_LIMIT, &libraries->cache_bytes, NULL);
	}
	const char *start = find_head(libraries);
	if (!start)
		return NULL;

	size_t bytes = libraries->cache_bytes - (size_t)(start - libraries->cache);
	struct cache_head head;
	if (bytes < sizeof(head))
		return NULL;
	memcpy(&head, start, sizeof(head));
	if (head.count > (bytes - sizeof(head)) / sizeof(struct cache_entry))
		return NULL;
	for (uint32_t i = 0; i < head.count; i++) {
		struct cache_entry entry;
		memcpy(&entry, start + sizeof(head) + i * sizeof(entry), sizeof(entry));
		const char *found = cache_text(start, bytes, entry.name);
		const char *path = cache_text(start, bytes, entry.path);
		if (found && path && !strcmp(found, name) && for_this_machine(path))
			return nova_strdup(path);
	}
	return NULL;
}

static char *in_path(const struct nova_libraries *libraries, const char *name)
{
	for (unsigned int i = 0; libraries->path && i < libraries->path->dls_cnt; i++) {
		const char *directory = libraries->path->dls_serpath[i].dls_name;
		if (*directory != '/')
			continue;
		char *path = nova_format("%s/%s", directory, name);
		if (for_this_machine(path))
			return path;
		free(path);
	}
	return NULL;
}

static char *find_path(struct nova_libraries *libraries, const char *name)
{
	if (strchr(name, '/'))
		return for_this_machine(name) ? nova_strdup(name) : NULL;
	char *path = in_cache(libraries, name);
	return path ? path : in_path(libraries, name);
}

/* Its place in `known`, which moves when it grows. */
static size_t look_up(struct nova_libraries *libraries, const char *name)
{
	for (size_t i = 0; i < libraries->known_count; i++) {
		if (!strcmp(libraries->known[i].name, name))
			return i;
	}
	libraries->known =
	        nova_grow(libraries->known, libraries->known_count, sizeof(struct known));
	libraries->known[libraries->known_count] =
	        (struct known){.name = nova_strdup(name), .path = find_path(libraries, name)};
	return libraries->known_count++;
}

bool nova_libraries_have(struct nova_libraries *libraries, const char *name)
{
	size_t at = look_up(libraries, name);

	return libraries->known[at].path != NULL;
}

static void set_lack(struct known *known, const char *lack, const char *by)
{
	known->lack = nova_strdup(lack);
	known->by = nova_strdup(by);
}

/* Each library is examined once, also where they need each other in a circle. */
static void examine(struct nova_libraries *libraries, size_t at)
{
	struct nova_needs needs;

	libraries->known[at].examined = true;
	NOVA_AUTOCLOSE int fd =
	        open(libraries->known[at].path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return;
	nova_elf_needs(fd, &needs);
	for (char **name = needs.names; *name; name++) {
		size_t next = look_up(libraries, *name);
		struct known *known = &libraries->known[next];
		bool more = !needs.rpath && !libraries->known[at].lack;

		if (more && !known->path && !needs.runpath) {
			set_lack(&libraries->known[at], *name, libraries->known[at].name);
		} else if (more && known->path) {
			if (!known->examined)
				examine(libraries, next);
			known = &libraries->known[next];
			if (known->lack)
				set_lack(&libraries->known[at], known->lack, known->by);
		}
		free(*name);
	}
}

const char *nova_libraries_lack(struct nova_libraries *libraries, const char *name, const char **by)
{
	size_t at = look_up(libraries, name);

	if (libraries->known[at].path && !libraries->known[at].examined)
		examine(libraries, at);
	*by = libraries->known[at].by;
	return libraries->known[at].lack;
}
