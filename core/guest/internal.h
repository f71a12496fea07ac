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
#define GUEST_RECIPE 1

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

/* --- build.c --- */
struct guest_build {
	const struct nova_guest_options *options; /* may be NULL */
	const struct guest_inputs *inputs;
	const char *cache;
	void (*progress)(void *context, const char *line);
	void *context;
};
/* Tells the caller of the build what happens now, if it wants to know. */
void guest_build_say(const struct guest_build *build, const char *format, ...) NOVA_PRINTF(2, 3);
/*
 * Builds in a directory of its own and moves it to `directory` when complete. The builders' lock
 * must be held.
 */
int guest_build_run(const struct guest_build *build, const char *directory,
                    struct nova_error *error);

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
