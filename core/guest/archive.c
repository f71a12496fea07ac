/* SPDX-License-Identifier: MIT */
/*
 * Writes an initramfs in memory. A few hundred kilobytes, device nodes without being root, the same
 * bytes for the same input: no tool does all three.
 */
#include "core/guest/internal.h"

#include <string.h>
#include <sys/stat.h>

static void pad(struct nova_text *archive)
{
	static const char zeros[4];

	nova_text_add_bytes(archive, zeros, (4 - archive->length % 4) % 4);
}

static void entry(struct nova_text *archive, const char *name, unsigned mode, unsigned major,
                  unsigned minor, const void *data, size_t bytes)
{
	/* inode numbers need only differ between files that are not links to each other: 0 with
	 * one link each is never taken for a hard link */
	nova_text_addf(archive, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", 0u,
	               mode, 0u, 0u, 1u, 0u, bytes, 0u, 0u, major, minor, strlen(name) + 1, 0u);
	nova_text_add_bytes(archive, name, strlen(name) + 1);
	pad(archive);
	if (bytes > 0)
		nova_text_add_bytes(archive, data, bytes);
	pad(archive);
}

void guest_archive_directory(struct nova_text *archive, const char *name)
{
	entry(archive, name, S_IFDIR | 0755, 0, 0, NULL, 0);
}

void guest_archive_device(struct nova_text *archive, const char *name, unsigned major,
                          unsigned minor)
{
	entry(archive, name, S_IFCHR | 0600, major, minor, NULL, 0);
}

void guest_archive_file(struct nova_text *archive, const char *name, unsigned mode,
                        const void *data, size_t bytes)
{
	entry(archive, name, S_IFREG | mode, 0, 0, data, bytes);
}

void guest_archive_end(struct nova_text *archive)
{
	entry(archive, "TRAILER!!!", 0, 0, 0, NULL, 0);
	while (archive->length % 512 != 0)
		nova_text_add_bytes(archive, "", 1);
}
