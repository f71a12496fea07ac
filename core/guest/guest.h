/* SPDX-License-Identifier: MIT */
/*
 * core/guest: the appliance, our own small guest. It is built by supermin from packages that are
 * installed on this machine (nothing is downloaded), gets our init, and is kept in a cache under a
 * hash of all that went into it. This room knows files, not hypervisors.
 *
 * Inside a VM (see core/guest/init/init.h for the whole command line):
 *   the disk is a raw ext2 image, meant as read-only backing file of one overlay per VM; on an
 * overlay that is larger than the image the file system grows to fill it (1 s for 8 GiB without
 * KVM); the second serial port (COM2) says 'U' when user space runs, 'A' when the agent has been
 *   started, '.' for each heartbeat if novacore.beat=MICROSECONDS is on the command line, 'D' when
 *   it goes down; the agent listens on the virtio port org.qemu.guest_agent.0.
 *
 * Functions may be called from any thread; errors as in core/base.
 */
#ifndef NOVACORE_GUEST_H
#define NOVACORE_GUEST_H

#include "core/base/base.h"

struct nova_guest_options {
	const char
	        *cache; /* where appliances live; NULL: nova_place(NOVA_PLACE_CACHE, "appliance") */
	const char
	        *init; /* our init; NULL: lib/novacore/guest/init of this build or installation */
	const char *kernel;  /* a kernel image; NULL: the newest cloud kernel, else the newest */
	int64_t deadline_ns; /* CLOCK_MONOTONIC, for building and for waiting for a builder; 0: none
	                      */
	const volatile int *stop; /* or NULL: non-zero ends a build, NOVA_E_INTERRUPTED */
};

struct nova_guest {
	char id[65];           /* hash of the inputs */
	char *directory;       /* NULL for an image of the user's */
	char *kernel, *initrd; /* NULL for a user's image that boots by its own loader */
	char *image;    /* root disk: raw for the appliance, a user's image in its own format */
	char *cmdline;  /* kernel command line to start from; "" if there is no kernel */
	json_t *inputs; /* what the id is a hash of */
	int hold;       /* shared lock: while it is held nobody cleans the appliance away; or -1 */
};

/*
 * The appliance for these inputs: from the cache (some 50 ms), or built now (some seconds), one
 * builder at a time. `progress` (may be NULL) gets a line per stage of a build, none on a hit.
 * @return 0, NOVA_E_UNAVAILABLE (a tool, package, kernel or module is missing: the text names the
 *         fix), NOVA_E_PERMISSION (kernel not readable), NOVA_E_FULL, NOVA_E_TIMEOUT,
 *         NOVA_E_INTERRUPTED, NOVA_E_FAILED (supermin)
 * @owner  the caller releases `out` with nova_guest_release; it is empty after a failure
 */
int nova_guest_ensure(const struct nova_guest_options *options,
                      void (*progress)(void *context, const char *line), void *context,
                      struct nova_guest *out, struct nova_error *error);
/* As nova_guest_ensure, but never builds: NOVA_E_NOT_FOUND if it would have to. */
int nova_guest_find(const struct nova_guest_options *options, struct nova_guest *out,
                    struct nova_error *error);
/*
 * A disk image of the user's, with or without a kernel for direct boot (`kernel`, `initrd`,
 * `cmdline` may be NULL; an initrd needs a kernel). Checks that the files are there, readable and
 * not empty; the id is a hash of each file's size, time of change, first and last MiB.
 * @return 0, NOVA_E_NOT_FOUND, NOVA_E_PERMISSION, NOVA_E_INVALID
 */
int nova_guest_from_image(const char *image, const char *kernel, const char *initrd,
                          const char *cmdline, struct nova_guest *out, struct nova_error *error);
/* Frees what `guest` owns and lets go of the appliance; afterwards it is empty. */
void nova_guest_release(struct nova_guest *guest);

struct nova_guest_disk {
	const char *format;  /* one of nova_guest_formats */
	uint64_t bytes;      /* size that a VM sees; 0: 4 GiB */
	bool compress;       /* qcow2: smaller, and slower at the first read */
	const char *ssh_key; /* file with public keys that may log in by SSH as root, or NULL */
	/* Where the disk is made, and is then the caller's to delete: one that is of no use to the
	 * next run, such as one with the run's own key. NULL: kept beside the appliance. */
	const char *directory;
};
/* "raw", "qcow2", "vmdk" (stream-optimized), "vhd" and "vhdx" (dynamic), "containerdisk";
 * NULL-terminated. */
extern const char *const nova_guest_formats[];
/*
 * The appliance as a disk that boots by itself, with BIOS and with UEFI: of those that have been
 * made of it, or made now. `out` has the disk as its image, no kernel, an id of its own (of the
 * appliance's and of `disk`), and holds the appliance.
 * @return as nova_guest_ensure, and NOVA_E_INVALID (format, size or keys)
 * @owner  as nova_guest_ensure
 */
int nova_guest_disk(const struct nova_guest_options *options, const struct nova_guest_disk *disk,
                    void (*progress)(void *context, const char *line), void *context,
                    struct nova_guest *out, struct nova_error *error);

/*
 * The cached appliances, newest first: [{"id", "directory", "built" (UTC), "bytes" (on disk),
 * "kernel_release", "current" (of today's inputs), "used" (by a run)}]. "current" is null when
 * today's inputs cannot be determined.
 */
int nova_guest_list(const struct nova_guest_options *options, json_t **list,
                    struct nova_error *error);
/*
 * Everything about one appliance: an element of the list, with "cmdline", "build_seconds",
 * "kernel", "initrd", "image", "inputs", "disks" ([{"file", "format", "bytes"}]). `id` is an id or
 * a unique beginning of one; NULL: the current one.
 */
int nova_guest_info(const struct nova_guest_options *options, const char *id, json_t **info,
                    struct nova_error *error);

struct nova_guest_cleaned {
	unsigned removed;
	unsigned used;  /* kept, because a run or a build holds them */
	uint64_t bytes; /* freed */
};
/*
 * Removes appliances of former inputs and what killed builds left; with `all` the current one too.
 * Whatever a running build or run holds stays. Without `all`, today's inputs must be known: errors
 * of nova_guest_find.
 */
int nova_guest_clean(const struct nova_guest_options *options, bool all,
                     struct nova_guest_cleaned *cleaned, struct nova_error *error);
/*
 * What building needs, one object each: [{"subject", "ok", "detail", "fix"}]; `fix` is null where
 * ok. Builds nothing and changes nothing. @owner the caller
 */
json_t *nova_guest_check(const struct nova_guest_options *options);

#endif
