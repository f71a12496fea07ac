/* SPDX-License-Identifier: MIT */
/*
 * core/guest: what its files share and nobody else needs.
 */
#ifndef NOVACORE_GUEST_INTERNAL_H
#define NOVACORE_GUEST_INTERNAL_H

#include "core/guest/guest.h"

#define GUEST_SCHEMA     "novacore.guest/1"
#define GUEST_DISK_BYTES (INT64_C(1) << 30)
/* Counts up whenever the same inputs would be built into something else. */
#define GUEST_RECIPE 2

/* The packages that the guest is made of; everything they depend on comes along. NULL-terminated.
 */
extern const char *const guest_packages[];

/* --- packages.c --- */
/*
 * {"package": "version", …} of the guest's packages and all that they depend on, as installed here.
 * `listing` is dpkg-query's output (guest_packages_query); NOVA_E_UNAVAILABLE names what is
 * missing.
 */
int guest_packages_closure(const char *listing, const char *const *wanted, json_t **closure,
                           struct nova_error *error);
/* dpkg's view of this machine, as text for guest_packages_closure; heap, NULL on failure. */
char *guest_packages_query(struct nova_error *error);

/* --- kernel.c --- */
struct guest_kernel {
	char *image, *release, *modules; /* modules: /lib/modules/<release> */
};
void guest_kernel_free(struct guest_kernel *kernel);
/*
 * Chooses a kernel under `root` ("" for this machine) that has its modules and can be read: the
 * newest cloud kernel, else the newest. `image` (may be NULL) asks for that one.
 */
int guest_kernel_choose(const char *root, const char *image, struct guest_kernel *kernel,
                        struct nova_error *error);
/* The release in the header of an x86 kernel image, or NULL; heap. */
char *guest_kernel_release(const char *image);

/* --- modules.c --- */
struct guest_modules {
	char *list;   /* the text of /modules/list, for the init */
	char **files; /* paths on this machine, each once */
	size_t count;
};
void guest_modules_free(struct guest_modules *modules);
/* The modules that the init shall load; NOVA_E_UNAVAILABLE if one without which no VM runs is
 * missing. */
int guest_modules_select(const char *directory, struct guest_modules *modules,
                         struct nova_error *error);
/* The name that a module has in the initrd: without directory and without compression. Heap. */
char *guest_modules_name(const char *path);

/* --- inputs.c --- */
struct guest_inputs {
	char id[65];
	json_t *json;
	char *init, *probe; /* paths of our own programs */
	struct guest_kernel kernel;
	struct guest_modules modules;
};
int guest_inputs_collect(const struct nova_guest_options *options, struct guest_inputs *inputs,
                         struct nova_error *error);
void guest_inputs_free(struct guest_inputs *inputs);
/* Where our program of that name is: `given`, else beside the running program. Heap; NULL: not
 * there.
 */
char *guest_program_path(const char *given, const char *name, struct nova_error *error);

/* --- archive.c: an initramfs ("newc" cpio, see initramfs-buffer-format in the kernel's documents)
 * --- */
void guest_archive_directory(struct nova_text *archive, const char *name);
void guest_archive_device(struct nova_text *archive, const char *name, unsigned major,
                          unsigned minor);
void guest_archive_file(struct nova_text *archive, const char *name, unsigned mode,
                        const void *data, size_t bytes);
void guest_archive_end(struct nova_text *archive);

struct guest_build {
	const struct nova_guest_options *options; /* may be NULL */
	const struct guest_inputs *inputs;
	const char *cache;
	void (*progress)(void *context, const char *line);
	void *context;
};
/* One build's working directory. */
struct guest_site {
	const struct guest_build *build;
	char *directory; /* of the build; removed at its end */
	char *out;       /* in it: what becomes the appliance */
};

/* --- site.c --- */
/* A new directory in the cache, which has room. The builders' lock must be held until it is closed.
 */
int guest_site_open(const struct guest_build *build, struct guest_site *site,
                    struct nova_error *error);
/* Removes it. Returns `failed`, what came of the build, with the words for it. */
int guest_site_close(struct guest_site *site, int failed, struct nova_error *error);
int guest_site_file(const char *path, const void *data, size_t bytes, mode_t mode,
                    struct nova_error *error);
int guest_site_directory(const char *path, mode_t mode, struct nova_error *error);
int guest_site_copy(const char *from, const char *to, mode_t mode, struct nova_error *error);
/* Runs a program in the site; `env` may be NULL. Free `result` in any case. */
int guest_site_run(const struct guest_site *site, const char *const *argv, const char *const *env,
                   struct nova_child_result *result, struct nova_error *error);
/* As guest_site_run, but the program must succeed. */
int guest_site_check(const struct guest_site *site, const char *const *argv, const char *const *env,
                     struct nova_child_result *result, struct nova_error *error);

/* --- build.c --- */
/* Tells the caller of the build what happens now, if it wants to know. */
void guest_build_say(const struct guest_build *build, const char *format, ...) NOVA_PRINTF(2, 3);
/*
 * Builds in a directory of its own and moves it to `directory` when complete. The builders' lock
 * must be held.
 */
int guest_build_run(const struct guest_build *build, const char *directory,
                    struct nova_error *error);

/* --- loader.c --- */
/* What a bootable disk needs is installed; NOVA_E_UNAVAILABLE names all that is not. */
int guest_loader_check(struct nova_error *error);
/* What of the boot loader goes into the disk, for its id. @owner the caller */
int guest_loader_describe(json_t **out, struct nova_error *error);
/* The kernel command line of a disk with `more` words (may be NULL); heap. */
int guest_loader_command_line(const char *more, char **line, struct nova_error *error);
/* Writes a raw disk of `bytes` that boots the appliance with BIOS and UEFI. */
int guest_loader_disk(const struct guest_site *site, const struct nova_guest *guest, const char *id,
                      const char *command_line, uint64_t bytes, const char *path,
                      struct nova_error *error);

/* --- keys.c --- */
/*
 * "novacore.ssh=TYPE,KEY …" from the public keys in `path`, a file as authorized_keys is; heap,
 * NULL on failure: not readable, none in it, or a private key.
 */
char *guest_keys_read(const char *path, struct nova_error *error);

/* --- container.c --- */
/* A container image in `to` (OCI layout, which `docker load` takes as well) around a qcow2 disk. */
int guest_container_write(const struct guest_site *site, const char *disk, const char *id,
                          const char *to, struct nova_error *error);

/* --- disk.c --- */
/* The disks that have been made of the appliance in `directory`: [{"file", "format", "bytes"}]. */
json_t *guest_disk_list(const char *directory);

/* --- cache.c --- */
#define GUEST_BUILDING_PREFIX ".building-"
#define GUEST_TRASH_PREFIX    ".trash-"

/* The cache's directory for these options; heap. */
char *guest_cache_path(const struct nova_guest_options *options);
/* The directory of one appliance in it; heap. */
char *guest_cache_directory(const char *cache, const char *id);
/* Makes the cache's directory; as root readable to the user that QEMU runs as. */
int guest_cache_make(const struct nova_guest_options *options, const char *cache,
                     struct nova_error *error);
/* Opens and holds a complete appliance; NOVA_E_NOT_FOUND if there is none. */
int guest_cache_open(const char *directory, struct nova_guest *guest, struct nova_error *error);
/* The lock that builders take; waits for another builder until the deadline. A descriptor. */
int guest_cache_lock(const struct guest_build *build, struct nova_error *error);
/* Moves a directory out of the way at once, then removes it. */
int guest_cache_discard(const char *cache, const char *directory, struct nova_error *error);
/* Removes what killed builds left; the builders' lock must be held. */
void guest_cache_sweep(const char *cache);

#endif
