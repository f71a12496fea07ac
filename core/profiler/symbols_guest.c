/* SPDX-License-Identifier: MIT */
/* Functions inside of a VM, from copies of files of the guest. All of them are made by who has the
 * guest: nothing is opened that is not below the directory that stands for its root. */
#include "core/profiler/record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "[guest]" before what it is of: functions of the host and of the guest may have equal names. */
#define MARK "[guest] "

static const char *file_of(const struct address_run *run, const char *which)
{
	return nova_json_text(json_object_get(run->recording->about, "guest"), which);
}

/* --- its kernel ---------------------------------------------------------------------------------
 */

static FILE *open_kallsyms(const struct address_run *run)
{
	const char *path = file_of(run, "kallsyms");
	NOVA_AUTOCLOSE int fd = path[0] ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	struct stat is;
	FILE *file = NULL;

	if (fd >= 0 && !fstat(fd, &is) && S_ISREG(is.st_mode))
		file = fdopen(fd, "r");
	if (file)
		fd = -1; /* it is the stream's */
	else if (path[0])
		nova_stacks_note(
		        run->recording->texts,
		        "functions of the guest's kernel have no names: %s is not here any "
		        "more, or may not be read",
		        path);
	return file;
}

/* "tcp_ack", or "virtnet_poll\t[virtio_net]", which is of "[guest] [virtio_net]". */
static void name_kernel(const struct address_run *run, uint32_t address, const char *text)
{
	const char *module = strchr(text, '[');
	NOVA_AUTOFREE char *name = strndup(text, strcspn(text, "\t "));
	NOVA_AUTOFREE char *library = nova_format(MARK "%s", module ? module : "[kernel]");

	recording_name(run->recording, address,
	               &(struct nova_frame){.name = name,
	                                    .library = library,
	                                    .flags = NOVA_FRAME_GUEST | NOVA_FRAME_KERNEL});
}

void symbols_of_guest_kernel(const struct address_run *run)
{
	FILE *file = open_kallsyms(run);
	struct symbols_table table = {0};

	if (!file)
		return;
	symbols_read_kallsyms(&table, file, SIZE_MAX);
	fclose(file);
	symbols_table_finish(&table);
	symbols_end_modules(&table);
	for (size_t i = 0; i < run->count; i++) {
		const struct address *address = &run->recording->addresses[run->addresses[i]];
		const struct symbol *symbol =
		        symbols_find(table.symbols, table.count, address->offset);

		if (symbol && address->offset)
			name_kernel(run, run->addresses[i], symbol->name);
	}
	symbols_table_free(&table);
}

/* --- a process of it ----------------------------------------------------------------------------
 */

void symbols_of_guest_file(const struct address_run *run)
{
	const char *root = file_of(run, "root");
	NOVA_AUTOCLOSE int fd = root[0] ? object_open_below(root, run->object->path) : -1;
	const char *why = fd < 0 ? strerror(errno) : "it is no file"; /* before errno changes */
	NOVA_AUTOFREE char *path = nova_format(MARK "%s", run->object->path);
	struct object object = *run->object;
	struct stat is;

	object.path = path;
	if (!root[0])
		nova_stacks_note(run->recording->texts,
		                 "functions of %s have no names: --guest-root says where the "
		                 "guest's files are",
		                 path);
	else if (fd < 0 || fstat(fd, &is) || !S_ISREG(is.st_mode))
		nova_stacks_note(run->recording->texts,
		                 "functions of %s have no names: below %s: %s", path, root, why);
	else
		symbols_of_elf(
		        &(struct address_run){run->recording, &object, run->addresses, run->count},
		        fd);
}

/* --- code that QEMU makes of the guest's
 * ---------------------------------------------------------- With -perfmap it writes for each
 * instruction of the guest where its code is, and what it is: "guest-0xffffffff81000000", or if
 * QEMU has read the kernel's symbols "do_idle+0x1c" (accel/tcg/perf.c).
 */

static void name_translated(const struct address_run *run, uint32_t address, const char *text,
                            const struct symbols_table *kernel)
{
	const char *plus = strrchr(text, '+');
	uint64_t place;

	if (sscanf(text, "guest-0x%" SCNx64, &place) == 1) {
		const struct symbol *symbol = symbols_find(kernel->symbols, kernel->count, place);

		/* one box for each instruction would say less than [guest] does */
		if (symbol)
			name_kernel(run, address, symbol->name);
		return;
	}
	NOVA_AUTOFREE char *name =
	        strndup(text, plus && plus > text ? (size_t)(plus - text) : strlen(text));
	recording_name(run->recording, address,
	               &(struct nova_frame){.name = name,
	                                    .library = run->object->path,
	                                    .flags = NOVA_FRAME_GUEST | NOVA_FRAME_JIT});
}

void symbols_of_translated(const struct address_run *run, FILE *map)
{
	const char *kallsyms = file_of(run, "kallsyms");
	FILE *file = kallsyms[0] ? open_kallsyms(run) : NULL;
	struct symbols_table code = {0}, kernel = {0};

	if (file) {
		symbols_read_kallsyms(&kernel, file, SIZE_MAX);
		fclose(file);
	}
	symbols_table_finish(&kernel);
	symbols_end_modules(&kernel);
	symbols_read_jit(&code, map);
	symbols_table_finish(&code);
	for (size_t i = 0; i < run->count; i++) {
		const struct symbol *symbol =
		        symbols_find(code.symbols, code.count,
		                     run->recording->addresses[run->addresses[i]].offset);

		if (symbol)
			name_translated(run, run->addresses[i], symbol->name, &kernel);
	}
	symbols_table_free(&code);
	symbols_table_free(&kernel);
}
