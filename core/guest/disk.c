/* SPDX-License-Identifier: MIT */
/*
 * The appliance as a bootable disk, in the format that a hypervisor takes. The disks of an
 * appliance lie in its directory and go with it: disk-ID.FORMAT, and disk-ID.json, which is written
 * last and so says that the disk is whole.
 */
#include "core/guest/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define DISK_SCHEMA  "novacore.disk/1"
#define DISK_DEFAULT (UINT64_C(4) << 30)
#define DISK_MOST    (UINT64_C(2) << 40) /* what a stream-optimized vmdk can have */
/* Counts up whenever the same inputs would be made into another disk. */
enum { DISK_RECIPE = 1, DESCRIPTION_LIMIT = 1 << 20 };

const char *const nova_guest_formats[] = {"raw",  "qcow2",         "vmdk", "vhd",
                                          "vhdx", "containerdisk", NULL};

/* How qemu-img makes it; in the order of the names. */
static const struct format {
	const char *suffix, *driver, *options;
} formats[] = {{"raw", NULL, NULL},
               {"qcow2", "qcow2", NULL},
               {"vmdk", "vmdk", "subformat=streamOptimized"},
               /* its size in the footer as it is, not rounded to what a BIOS could address */
               {"vhd", "vpc", "subformat=dynamic,force_size=on"},
               {"vhdx", "vhdx", "subformat=dynamic"},
               {"tar", "qcow2", NULL}};

struct making {
	const struct nova_guest_disk *disk;
	const struct format *format;
	struct guest_build build;
	struct nova_guest guest; /* the appliance */
	char *command_line, *path, *description;
	json_t *inputs;
	char id[65];
	uint64_t bytes;
	bool container, compress;
};

static int choose_format(struct making *making, struct nova_error *error)
{
	const char *wanted = making->disk->format;

	for (size_t i = 0; nova_guest_formats[i] != NULL; i++)
		if (strcmp(wanted, nova_guest_formats[i]) == 0)
			making->format = &formats[i];
	if (making->format == NULL)
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "the appliance cannot be made a disk of format \"%s\"; it can "
		        "be raw, qcow2, vmdk, vhd, vhdx or containerdisk",
		        wanted);
	making->container = strcmp(wanted, "containerdisk") == 0;
	making->compress = making->disk->compress || making->container;
	if (making->disk->compress && strcmp(wanted, "qcow2") != 0)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "only a disk of format qcow2 can be asked to be compressed "
		                      "(vmdk and containerdisk always are)");
	return 0;
}

static int check_wishes(struct making *making, struct nova_error *error)
{
	struct utsname machine;
	uint64_t bytes = making->disk->bytes != 0 ? making->disk->bytes : DISK_DEFAULT;
	int failed = choose_format(making, error);

	if (failed != 0)
		return failed;
	uname(&machine);
	if (strcmp(machine.machine, "x86_64") != 0)
		return nova_error_set(error, NOVA_E_UNAVAILABLE,
		                      "a bootable disk is not implemented for %s, only for x86_64; "
		                      "the appliance itself boots from its kernel",
		                      machine.machine);
	if (bytes > DISK_MOST || bytes % (1 << 20) != 0)
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "a disk of %llu bytes cannot be made; give whole MiB, 2 TiB at "
		        "most",
		        (unsigned long long)bytes);
	making->bytes = bytes;
	NOVA_AUTOFREE char *keys = making->disk->ssh_key != NULL
	                                   ? guest_keys_read(making->disk->ssh_key, error)
	                                   : NULL;
	if (making->disk->ssh_key != NULL && keys == NULL)
		return error->code;
	failed = guest_loader_command_line(keys, &making->command_line, error);
	return failed != 0 ? failed : guest_loader_check(error);
}

static int name_disk(struct making *making, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *loader = NULL;
	const char *directory = making->disk->directory;
	int failed = guest_loader_describe(&loader, error);

	if (failed != 0)
		return failed;
	if (directory == NULL)
		directory = making->guest.directory;
	making->inputs = json_pack("{s:s, s:O, s:{s:i, s:s, s:I, s:b, s:s, s:O}}", "appliance",
	                           making->guest.id, "inputs", making->guest.inputs, "disk",
	                           "recipe", DISK_RECIPE, "format", making->disk->format, "bytes",
	                           (json_int_t)making->bytes, "compress", making->compress,
	                           "cmdline", making->command_line, "loader", loader);
	NOVA_AUTOFREE char *canonical = nova_json_canonical(making->inputs);
	nova_sha256(canonical, strlen(canonical), making->id);
	making->path =
	        nova_format("%s/disk-%.16s.%s", directory, making->id, making->format->suffix);
	making->description = nova_format("%s/disk-%.16s.json", directory, making->id);
	return 0;
}

/* --- what is there ---------------------------------------------------------------------------- */

/* The description of a whole disk, or NULL. */
static json_t *read_description(const char *path)
{
	NOVA_AUTOFREE char *text = nova_file_read(path, DESCRIPTION_LIMIT, NULL, NULL);
	NOVA_AUTOJSON json_t *json = text != NULL ? json_loads(text, 0, NULL) : NULL;
	const char *schema = nova_json_text(json, "schema"), *file = nova_json_text(json, "file");
	struct stat about;

	if (schema == NULL || strcmp(schema, DISK_SCHEMA) != 0 || file == NULL ||
	    strchr(file, '/') != NULL)
		return NULL;
	NOVA_AUTOFREE char *disk =
	        nova_format("%.*s%s", (int)(strrchr(path, '/') + 1 - path), path, file);
	if (stat(disk, &about) != 0 ||
	    about.st_size != json_integer_value(json_object_get(json, "file_bytes")))
		return NULL;
	json_object_set_new(json, "file", json_string(disk));
	return json_incref(json);
}

json_t *guest_disk_list(const char *directory)
{
	NOVA_AUTOFREE char *pattern = nova_format("%s/disk-*.json", directory);
	json_t *list = json_array();
	glob_t found = {0};

	glob(pattern, 0, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		NOVA_AUTOJSON json_t *one = read_description(found.gl_pathv[i]);
		if (one == NULL)
			continue;
		json_object_del(one, "schema");
		json_array_append(list, one);
	}
	globfree(&found);
	return list;
}

static bool is_there(const struct making *making)
{
	NOVA_AUTOJSON json_t *description = read_description(making->description);
	const char *id = nova_json_text(description, "id");

	return id != NULL && strcmp(id, making->id) == 0;
}

/* --- making it -------------------------------------------------------------------------------- */

static int convert(const struct making *making, const struct guest_site *site, const char *to,
                   struct nova_error *error)
{
	const struct format *format = making->format;
	const char *argv[16] = {"qemu-img", "convert", "-f", "raw", "-O", format->driver};
	size_t count = 6;
	struct nova_child_result result = {0};

	if (making->compress)
		argv[count++] = "-c";
	if (format->options != NULL) {
		argv[count++] = "-o";
		argv[count++] = format->options;
	}
	argv[count++] = "disk.raw";
	argv[count++] = to;
	int failed = guest_site_check(site, argv, NULL, &result, error);
	nova_child_result_free(&result);
	return failed;
}

/* On disk before it is said to be there. */
static int commit(const struct making *making, const char *made, struct nova_error *error)
{
	struct stat about;
	NOVA_AUTOCLOSE int fd = open(made, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fchmod(fd, 0644) != 0 || fdatasync(fd) != 0 || fstat(fd, &about) != 0)
		return nova_error_errno(error, "cannot write %s to disk", made);
	if (rename(made, making->path) != 0)
		return nova_error_errno(error, "cannot make the disk %s", making->path);
	if (making->disk->directory != NULL)
		return 0; /* nobody looks for it */
	NOVA_AUTOJSON json_t *json = json_pack(
	        "{s:s, s:s, s:s, s:s, s:I, s:I}", "schema", DISK_SCHEMA, "id", making->id, "format",
	        making->disk->format, "file", strrchr(making->path, '/') + 1, "bytes",
	        (json_int_t)making->bytes, "file_bytes", (json_int_t)about.st_size);
	NOVA_AUTOFREE char *text = json_dumps(json, JSON_INDENT(2));
	return guest_site_file(making->description, text, strlen(text), 0644, error);
}

static int make_in(const struct making *making, const struct guest_site *site,
                   struct nova_error *error)
{
	NOVA_AUTOFREE char *raw = nova_format("%s/disk.raw", site->directory);
	NOVA_AUTOFREE char *converted = nova_format("%s/converted", site->directory);
	NOVA_AUTOFREE char *archive = nova_format("%s/archive", site->directory);

	guest_build_say(&making->build, "disk: putting the appliance and its boot loader on it");
	int failed = guest_loader_disk(site, &making->guest, making->id, making->command_line,
	                               making->bytes, raw, error);
	if (failed != 0 || making->format->driver == NULL)
		return failed != 0 ? failed : commit(making, raw, error);
	guest_build_say(&making->build, "disk: writing it as %s", making->disk->format);
	failed = convert(making, site, converted, error);
	if (failed == 0 && making->container)
		failed = guest_container_write(site, converted, making->id, archive, error);
	return failed != 0 ? failed
	                   : commit(making, making->container ? archive : converted, error);
}

/* In a directory of the caller's, where nobody else makes any. */
static int make_apart(struct making *making, struct nova_error *error)
{
	const char *cache = making->build.cache;
	struct guest_site site;

	making->build.cache = making->disk->directory;
	int failed = guest_site_open(&making->build, &site, error);
	if (failed == 0)
		failed = guest_site_close(&site, make_in(making, &site, error), error);
	making->build.cache = cache;
	return failed;
}

static int make_locked(const struct making *making, struct nova_error *error)
{
	int64_t started_ns = nova_now_ns();
	struct guest_site site;
	int lock = guest_cache_lock(&making->build, error);

	if (lock < 0)
		return lock;
	int failed = 0;
	/* While we waited, another process may have made just this one. */
	if (!is_there(making)) {
		guest_cache_sweep(making->build.cache);
		failed = guest_site_open(&making->build, &site, error);
		if (failed == 0)
			failed = guest_site_close(&site, make_in(making, &site, error), error);
		if (failed == 0)
			guest_build_say(&making->build, "disk: ready after %.1f s",
			                (double)(nova_now_ns() - started_ns) / 1e9);
	}
	close(lock);
	return failed;
}

static int obtain(struct making *making, struct nova_error *error)
{
	int failed = check_wishes(making, error);

	if (failed == 0)
		failed = nova_guest_ensure(making->build.options, making->build.progress,
		                           making->build.context, &making->guest, error);
	if (failed == 0)
		failed = name_disk(making, error);
	if (failed == 0 && making->disk->directory != NULL)
		return make_apart(making, error);
	if (failed == 0 && !is_there(making))
		failed = make_locked(making, error);
	return failed;
}

int nova_guest_disk(const struct nova_guest_options *options, const struct nova_guest_disk *disk,
                    void (*progress)(void *, const char *), void *context, struct nova_guest *out,
                    struct nova_error *error)
{
	struct nova_error own = {0};
	NOVA_AUTOFREE char *cache = guest_cache_path(options);
	struct making making = {.disk = disk,
	                        .build = {options, NULL, cache, progress, context},
	                        .guest = {.hold = -1}};

	*out = (struct nova_guest){.hold = -1};
	int failed = obtain(&making, error != NULL ? error : &own);
	if (failed == 0) {
		memcpy(out->id, making.id, sizeof(out->id));
		out->directory = nova_strdup(making.guest.directory);
		out->image = making.path;
		out->cmdline = nova_strdup("");
		out->inputs = making.inputs;
		out->hold = making.guest.hold;
		making.guest.hold = -1;
	} else {
		free(making.path);
		json_decref(making.inputs);
	}
	nova_guest_release(&making.guest);
	free(making.command_line);
	free(making.description);
	return failed;
}
