/* SPDX-License-Identifier: MIT */
/*
 * Loading, in a worker only: the one place in novacore where foreign code is given control. The
 * static check is done again right before, on the canonical path that is then opened; what the
 * plugin says of itself must be what its manifest said.
 */
#include "core/plugin/inside.h"

#include <dlfcn.h>
#include <ltdl.h>
#include <novacore/tools/describe.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Sizes of the ops structs of this host, by kind. */
static const uint32_t ops_bytes[] = {0, sizeof(struct nova_benchmark),
                                     sizeof(struct nova_hypervisor), sizeof(struct nova_optimizer),
                                     sizeof(struct nova_profile)};

static int recheck(const struct nova_trust *trust, const char *path, uint32_t kind,
                   const char *name, const char *sha256, char **text, struct nova_opened *opened,
                   enum nova_refusal_reason *reason, struct nova_error *error)
{
	NOVA_AUTOFREE char *directory = nova_strdup(path);
	char *slash = strrchr(directory, '/');
	struct nova_manifest *manifest = NULL;
	NOVA_AUTOCLOSE int fd = -1;

	/* where it lies decides what it needs, so the path must not lead elsewhere than it says */
	if (*path != '/' || slash == directory || strstr(path, "//") || strstr(path, "/./") ||
	    strstr(path, "/../"))
		return nova_refuse(reason, NOVA_REFUSED_FILE_NAME, error,
		                   "%s is not a plugin's full path", path);
	*slash = '\0';
	if (nova_trust_open(trust, directory, &fd, reason, error))
		return error->code;
	struct nova_check check = {.trust = *trust,
	                           .libraries = nova_libraries_new(),
	                           .directory = directory,
	                           .fd = fd,
	                           .kind = kind};
	int result = nova_check_file(&check, slash + 1, &manifest, text, opened, reason, error);
	if (!result && strcmp(manifest->name, name))
		result = nova_refuse(reason, NOVA_REFUSED_WRONG_MANIFEST, error, "%s is %s, not %s",
		                     path, manifest->name, name);
	if (!result && strcmp(manifest->sha256, sha256))
		result = nova_refuse(
		        reason, NOVA_REFUSED_HASH, error,
		        "%s was replaced since the run began; novacore run --resume goes on "
		        "with the new one",
		        path);
	nova_libraries_free(check.libraries);
	nova_manifest_free(manifest);
	return result;
}

/* Device and inode, as /proc/self/maps has them, of what lies at `address`; "" if nothing does. */
static void find_mapping(const void *address, char out[64])
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[8192];
	unsigned long from, to, at = (unsigned long)(uintptr_t)address;

	out[0] = '\0';
	while (maps && !out[0] && fgets(line, sizeof(line), maps)) {
		char device[32], inode[24];
		if (sscanf(line, "%lx-%lx %*s %*s %31s %23s", &from, &to, device, inode) == 4 &&
		    at >= from && at < to)
			snprintf(out, 64, "%s %s", device, inode);
	}
	if (maps)
		fclose(maps);
}

/*
 * The loader opens by path, after the check. Where others can write to no part of the path, nobody
 * could put another file there in between; should it have happened all the same, the worker ends
 * here, before the plugin is asked anything. The checked file is mapped, too, because the kernel
 * does not name devices in maps as stat does on every file system.
 */
static int check_loaded(const char *path, const void *symbol, const struct nova_opened *opened,
                        enum nova_refusal_reason *reason, struct nova_error *error)
{
	char loaded[64], checked[64] = "";
	struct stat now;
	void *page = mmap(NULL, 1, PROT_READ, MAP_PRIVATE, opened->fd, 0);

	find_mapping(symbol, loaded);
	if (page != MAP_FAILED) {
		find_mapping(page, checked);
		munmap(page, 1);
	}
	bool other = !loaded[0] || strcmp(loaded, checked) != 0;
	bool changed = fstat(opened->fd, &now) || now.st_size != opened->status.st_size ||
	               now.st_mtim.tv_sec != opened->status.st_mtim.tv_sec ||
	               now.st_mtim.tv_nsec != opened->status.st_mtim.tv_nsec;
	if (!other && !changed)
		return 0;
	return nova_refuse(reason, NOVA_REFUSED_HASH, error,
	                   "%s was %s while it was being loaded; find out who writes there, and "
	                   "start the run again",
	                   path, other ? "replaced" : "changed");
}

static lt_dlhandle open_library(const char *path)
{
	lt_dladvise advise;
	lt_dlhandle handle = NULL;

	if (lt_dlinit() || lt_dladvise_init(&advise))
		return NULL;
	if (!lt_dladvise_local(&advise) && !lt_dladvise_resident(&advise))
		handle = lt_dlopenadvise(path, advise);
	lt_dladvise_destroy(&advise);
	return handle;
}

/* libltdl says "file not found" whatever is wrong: the loader itself is asked for the reason. */
static int refuse_load(const char *path, enum nova_refusal_reason *reason, struct nova_error *error)
{
	const char *ltdl = lt_dlerror();

	dlerror();
	const char *why = dlopen(path, RTLD_NOW | RTLD_LOCAL) ? NULL : dlerror();
	why = why ? why : ltdl ? ltdl : "libltdl gives no reason";
	size_t length = strlen(path);
	if (!strncmp(why, path, length) && !strncmp(why + length, ": ", 2))
		why += length + 2; /* the loader begins with the path as well */
	return nova_refuse(reason, NOVA_REFUSED_LOAD, error,
	                   "%s cannot be loaded: %.1000s; install what it needs, or rebuild it for "
	                   "the libraries that are installed",
	                   path,
	                   why    ? why
	                   : ltdl ? ltdl
	                          : "libltdl gives no reason");
}

/* A zeroed copy of `host_bytes`, filled with as much as the plugin knows. */
static void *copy_struct(const void *theirs, uint32_t host_bytes)
{
	char *copy = nova_alloc(host_bytes);
	uint32_t size;

	memcpy(&size, theirs, sizeof(size));
	if (size > host_bytes)
		size = host_bytes;
	memcpy(copy, theirs, size);
	memcpy(copy, &size, sizeof(size));
	return copy;
}

/* Loads the library and calls its entry. NULL with an error, or without: the entry said NULL. */
static const struct nova_plugin *enter(const char *path, const struct nova_opened *opened,
                                       const struct nova_host *host,
                                       enum nova_refusal_reason *reason, struct nova_error *error)
{
	const struct nova_plugin *(*entry)(const struct nova_host *);
	lt_dlhandle handle = open_library(path);

	error->code = 0;
	if (!handle) {
		refuse_load(path, reason, error);
		return NULL;
	}
	void *symbol = lt_dlsym(handle, NOVA_ENTRY_NAME);
	if (!symbol) {
		nova_refuse(reason, NOVA_REFUSED_EXPORTS, error, "%s does not export %s", path,
		            NOVA_ENTRY_NAME);
		return NULL;
	}
	memcpy(&entry, &symbol, sizeof(entry));
	if (check_loaded(path, symbol, opened, reason, error))
		return NULL;
	return entry(host);
}

static const struct nova_plugin *copy_plugin(const struct nova_plugin *theirs, uint32_t kind)
{
	struct nova_plugin *copy = copy_struct(theirs, sizeof(*copy));

	copy->ops = copy_struct(theirs->ops, ops_bytes[kind]);
	return copy;
}

int nova_plugin_load_trusted(const struct nova_trust *trust, const char *path, uint32_t kind,
                             const char *name, const char *sha256, const struct nova_host *host,
                             const struct nova_plugin **plugin, void (*between)(void *),
                             void *context, enum nova_refusal_reason *reason,
                             struct nova_error *error)
{
	NOVA_AUTOFREE char *manifest_text = NULL;
	struct nova_opened opened = {.fd = -1};

	*plugin = NULL;
	nova_trust_environment(trust);
	int result =
	        recheck(trust, path, kind, name, sha256, &manifest_text, &opened, reason, error);
	NOVA_AUTOCLOSE int fd = opened.fd;
	if (result)
		return result;
	if (between)
		between(context);
	const struct nova_plugin *theirs = enter(path, &opened, host, reason, error);
	if (!theirs && error->code)
		return error->code;
	NOVA_AUTOFREE char *difference = nova_manifest_difference(manifest_text, theirs, reason);
	if (difference)
		return nova_refuse(reason, *reason, error, "%s: %s", path, difference);
	*plugin = copy_plugin(theirs, kind);
	return 0;
}

int nova_plugin_load(const char *path, uint32_t kind, const char *name, const char *sha256,
                     const struct nova_host *host, const struct nova_plugin **plugin,
                     enum nova_refusal_reason *reason, struct nova_error *error)
{
	struct nova_error local = {0};
	struct nova_trust trust;

	error = error ? error : &local;
	*plugin = NULL;
	if (nova_trust_begin(&trust, error))
		return error->code;
	int result = nova_plugin_load_trusted(&trust, path, kind, name, sha256, host, plugin, NULL,
	                                      NULL, reason, error);
	nova_trust_end(&trust);
	return result;
}

/* What the SDK does not allow, whatever a manifest says. */
static int describe(const char *path, uint32_t kind, const struct nova_plugin *theirs,
                    enum nova_refusal_reason *reason, struct nova_error *error)
{
	static const enum nova_refusal_reason reasons[] = {
	        [NOVA_DESCRIBE_SIZE] = NOVA_REFUSED_STRUCT_SIZE,
	        [NOVA_DESCRIBE_NULL] = NOVA_REFUSED_NULL_OPS,
	        [NOVA_DESCRIBE_WRONG] = NOVA_REFUSED_DESCRIPTOR};
	config_t config;
	char text[1024];

	config_init(&config);
	enum nova_describe_result result =
	        nova_describe(theirs, config_root_setting(&config), text, sizeof(text));
	config_destroy(&config);
	if (result)
		return nova_refuse(reason, reasons[result], error, "%s: %s", path, text);
	if (theirs->kind != kind)
		return nova_refuse(reason, NOVA_REFUSED_DESCRIPTOR, error,
		                   "%s: its note says that it is a %s, its descriptor that it is a "
		                   "%s; give NOVA_PLUGIN the descriptor's kind",
		                   path, nova_kind_name(kind), nova_kind_name(theirs->kind));
	return 0;
}

int nova_plugin_try(const char *path, const char *sha256, bool compare,
                    const struct nova_host *host, const struct nova_plugin **plugin,
                    enum nova_refusal_reason *reason, struct nova_error *error)
{
	struct nova_inspection file;
	struct nova_opened opened = {.fd = -1};
	struct nova_error local = {0};
	const struct nova_trust trust = nova_trust_now();
	const struct nova_plugin *theirs = NULL;

	error = error ? error : &local;
	*plugin = NULL;
	nova_trust_environment(&trust);
	int result = nova_inspect(path, &file, &opened, error);
	NOVA_AUTOCLOSE int fd = opened.fd;
	if (!result && (file.unsafe || file.unloadable))
		result = nova_refuse(reason, NOVA_REFUSED_LOAD, error,
		                     "%s may not or cannot be loaded", path);
	if (!result && strcmp(file.sha256, sha256))
		result = nova_refuse(reason, NOVA_REFUSED_HASH, error,
		                     "%s was replaced while it was being checked; check it again",
		                     path);
	if (!result) {
		theirs = enter(file.path, &opened, host, reason, error);
		result = theirs ? 0 : error->code;
	}
	if (!result)
		result = describe(path, file.kind, theirs, reason, error);
	NOVA_AUTOFREE char *difference = NULL;
	if (!result && compare && file.manifest_text)
		difference = nova_manifest_difference(file.manifest_text, theirs, reason);
	if (difference)
		result = nova_refuse(reason, *reason, error, "%s: %s", path, difference);
	if (!result)
		*plugin = copy_plugin(theirs, file.kind);
	nova_inspection_free(&file);
	return result;
}
