/* SPDX-License-Identifier: MIT */
/* What a sample inside of a VM is: the kernel tells an address and whether it was the guest's
 * kernel that ran. Addresses that nothing can name are many, and are not kept. */
#include "core/profiler/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A copy of a file: a fifo or a device would not end. */
static FILE *open_copy(const char *option, const char *path, struct nova_error *error)
{
	NOVA_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat is;
	FILE *file;

	if (fd < 0 || fstat(fd, &is)) {
		nova_error_errno(error, "%s: cannot open %s", option, path);
		return NULL;
	}
	if (!S_ISREG(is.st_mode)) {
		nova_error_set(error, NOVA_E_INVALID,
		               "%s: %s is no file: it takes a copy of the guest's", option, path);
		return NULL;
	}
	file = fdopen(fd, "r");
	if (file)
		fd = -1; /* it is the stream's */
	else
		nova_error_errno(error, "%s: cannot open %s", option, path);
	return file;
}

static int check_kallsyms(const char *path, struct nova_error *error)
{
	FILE *file = open_copy("--guest-kallsyms", path, error);
	struct symbols_table table = {0};
	size_t count;

	if (!file)
		return error->code;
	symbols_read_kallsyms(&table, file, 1);
	fclose(file);
	count = table.count;
	symbols_table_free(&table);
	if (count)
		return 0;
	if (table.hidden)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "--guest-kallsyms: all addresses in %s are 0: the guest's "
		                      "kernel hides them; copy /proc/kallsyms there as root, with "
		                      "sysctl kernel.kptr_restrict=0",
		                      path);
	return nova_error_set(error, NOVA_E_INVALID,
	                      "--guest-kallsyms: %s has no functions; it should be a copy of the "
	                      "guest's /proc/kallsyms",
	                      path);
}

static int load_maps(struct guest *guest, struct spaces *spaces, const char *path,
                     struct nova_error *error)
{
	FILE *file = open_copy("--guest-maps", path, error);
	NOVA_AUTOFREE char *line = NULL;
	size_t room = 0;
	ssize_t length;

	if (!file)
		return error->code;
	while ((length = getline(&line, &room, file)) > 0) {
		struct maps_line parts;

		if (line[length - 1] == '\n')
			length--;
		if (maps_line_read(line, (size_t)length, &parts) && parts.executable &&
		    parts.path_length && parts.path[0] == '/')
			space_insert(spaces, &guest->space,
			             &(struct map){parts.start, parts.end, parts.offset,
			                           spaces_guest_file(spaces, parts.path,
			                                             parts.path_length)});
	}
	fclose(file);
	if (!guest->space.count)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "--guest-maps: %s maps no program; it should be a copy of "
		                      "/proc/PID/maps of a process of the guest, as root reads it",
		                      path);
	return 0;
}

static int check_root(const char *path, struct nova_error *error)
{
	struct stat is;

	if (stat(path, &is))
		return nova_error_errno(error, "--guest-root: cannot look at %s", path);
	if (!S_ISDIR(is.st_mode))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "--guest-root: %s is no directory; it takes that in which "
		                      "files of the guest are",
		                      path);
	return 0;
}

int guest_start(struct guest *guest, struct spaces *spaces, const struct nova_record_guest *files,
                struct nova_error *error)
{
	int code = 0;

	memset(guest, 0, sizeof(*guest));
	guest->kernel = files->kallsyms != NULL;
	if (files->kallsyms)
		code = check_kallsyms(files->kallsyms, error);
	if (!code && files->root)
		code = check_root(files->root, error);
	if (!code && files->maps)
		code = load_maps(guest, spaces, files->maps, error);
	return code;
}

uint32_t guest_place(const struct guest *guest, uint64_t context, uint64_t address,
                     uint64_t *offset)
{
	const struct map *map;

	*offset = 0;
	/* of a guest whose state is protected the kernel knows nothing */
	if (!address || context == PERF_CONTEXT_GUEST)
		return OBJECT_NUMBER_GUEST;
	if (context == PERF_CONTEXT_GUEST_KERNEL) {
		if (guest->kernel)
			*offset = address;
		return OBJECT_NUMBER_GUEST_KERNEL;
	}
	map = space_find(&guest->space, address);
	if (!map)
		return OBJECT_NUMBER_GUEST_USER;
	*offset = address - map->start + map->offset;
	return map->object;
}

json_t *guest_about(const struct nova_record_guest *files)
{
	NOVA_AUTOFREE char *kallsyms = files->kallsyms ? realpath(files->kallsyms, NULL) : NULL;
	NOVA_AUTOFREE char *root = files->root ? realpath(files->root, NULL) : NULL;

	return json_pack("{ss? ss?}", "kallsyms", kallsyms, "root", root);
}

bool guest_has(enum object_kind kind)
{
	return kind >= OBJECT_GUEST && kind <= OBJECT_GUEST_FILE;
}

void guest_free(struct guest *guest)
{
	free(guest->space.maps);
	memset(guest, 0, sizeof(*guest));
}
