/* SPDX-License-Identifier: MIT */
/*
 * The cache of appliances. A directory is complete from the moment it has its name: builds happen
 * beside it and are renamed. Each has a file "lock": shared while somebody uses it, exclusive while
 * it is taken away.
 */
#include "core/guest/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { JSON_LIMIT = 4 << 20, NAME_LENGTH = 16 };

char *guest_cache_path(const struct nova_guest_options *options)
{
	if (options != NULL && options->cache != NULL)
		return nova_strdup(options->cache);
	return nova_place(NOVA_PLACE_CACHE, "appliance");
}

/* A part of the id is enough for a name, and keeps paths readable; the whole id is inside. */
char *guest_cache_directory(const char *cache, const char *id)
{
	return nova_format("%s/%.*s", cache, NAME_LENGTH, id);
}

/* libvirt's own user reads the images: whatever our umask is, it must get there. */
static void open_to_others(const char *path)
{
	struct stat about;

	if (stat(path, &about) == 0 && about.st_uid == 0 && (about.st_mode & 0055) != 0055 &&
	    chmod(path, (about.st_mode & 07777) | 0055) != 0)
		nova_log(NOVA_LOG_WARNING, "cannot make %s readable to others: %s", path,
		         strerror(errno));
}

int guest_cache_make(const struct nova_guest_options *options, const char *cache,
                     struct nova_error *error)
{
	int failed = nova_directory_make(cache, 0755, error);

	if (failed != 0 || geteuid() != 0)
		return failed;
	open_to_others(cache);
	/* Ours as well; above a directory of the user's choice nothing is. */
	if (options == NULL || options->cache == NULL) {
		NOVA_AUTOFREE char *above = nova_place(NOVA_PLACE_CACHE, NULL);
		open_to_others(above);
	}
	return 0;
}

static json_t *read_description(const char *directory)
{
	NOVA_AUTOFREE char *path = nova_format("%s/guest.json", directory);
	NOVA_AUTOFREE char *text = nova_file_read(path, JSON_LIMIT, NULL, NULL);
	json_t *json = text != NULL ? json_loads(text, 0, NULL) : NULL;
	const char *schema = json_string_value(json_object_get(json, "schema"));

	if (schema != NULL && strcmp(schema, GUEST_SCHEMA) == 0)
		return json;
	json_decref(json);
	return NULL;
}

/* Each file has the size that was written down when it was built. */
static bool is_complete(const char *directory, const json_t *description)
{
	const char *name;
	const json_t *bytes;
	json_t *files = json_object_get(description, "files");
	struct stat about;

	json_object_foreach(files, name, bytes)
	{
		NOVA_AUTOFREE char *path = nova_format("%s/%s", directory, name);
		if (stat(path, &about) != 0 || about.st_size != json_integer_value(bytes))
			return false;
	}
	return json_object_size(files) > 0;
}

/* The lock of the appliance that has this name now; -1 if it has gone or is not to be had. */
static int hold(const char *directory, int operation)
{
	NOVA_AUTOFREE char *path = nova_format("%s/lock", directory);
	struct stat held, named;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	/* A shared lock is waited for: exclusive ones are held for an instant only. */
	int failed;
	while ((failed = flock(fd, operation)) != 0 && errno == EINTR)
		continue;
	if (failed == 0 && fstat(fd, &held) == 0 && stat(path, &named) == 0 &&
	    held.st_ino == named.st_ino && held.st_dev == named.st_dev)
		return fd;
	int saved = failed != 0 ? errno : ENOENT;
	close(fd);
	errno = saved;
	return -1;
}

int guest_cache_open(const char *directory, struct nova_guest *guest, struct nova_error *error)
{
	int fd = hold(directory, LOCK_SH);
	NOVA_AUTOJSON json_t *description = fd >= 0 ? read_description(directory) : NULL;
	const char *id = json_string_value(json_object_get(description, "id"));
	const char *cmdline = json_string_value(json_object_get(description, "cmdline"));

	*guest = (struct nova_guest){.hold = -1};
	if (id == NULL || strlen(id) != 64 || cmdline == NULL ||
	    !is_complete(directory, description)) {
		if (fd >= 0)
			close(fd);
		return nova_error_set(error, NOVA_E_NOT_FOUND,
		                      "there is no appliance in %s yet; run: novacore guest build",
		                      directory);
	}
	strcpy(guest->id, id);
	guest->directory = nova_strdup(directory);
	guest->kernel = nova_format("%s/kernel", directory);
	guest->initrd = nova_format("%s/initrd", directory);
	guest->image = nova_format("%s/root.img", directory);
	guest->cmdline = nova_strdup(cmdline);
	guest->inputs = json_incref(json_object_get(description, "inputs"));
	guest->hold = fd;
	return 0;
}

int guest_cache_lock(const struct guest_build *build, struct nova_error *error)
{
	NOVA_AUTOFREE char *path = nova_format("%s/build.lock", build->cache);
	const struct nova_guest_options *options = build->options;
	int64_t deadline_ns = options != NULL ? options->deadline_ns : 0;
	struct timespec moment = {.tv_nsec = 100000000};

	for (bool said = false;; said = true) {
		int fd = nova_file_lock(path, error);
		if (fd != NOVA_E_BUSY)
			return fd;
		if (!said)
			guest_build_say(build, "waiting: another process builds an appliance");
		if (options != NULL && options->stop != NULL && *options->stop)
			return nova_error_set(error, NOVA_E_INTERRUPTED,
			                      "stopped while waiting for another appliance build");
		if (deadline_ns != 0 && nova_now_ns() >= deadline_ns)
			return nova_error_set(
			        error, NOVA_E_TIMEOUT,
			        "another process has been building an appliance in %s "
			        "for too long; wait for it, or end it",
			        build->cache);
		nanosleep(&moment, NULL);
	}
}

int guest_cache_discard(const char *cache, const char *directory, struct nova_error *error)
{
	const char *name = strrchr(directory, '/') + 1;
	NOVA_AUTOFREE char *trash =
	        nova_format("%s/" GUEST_TRASH_PREFIX "%ld-%s", cache, (long)getpid(), name);

	if (rename(directory, trash) != 0)
		return errno == ENOENT ? 0 : nova_error_errno(error, "cannot remove %s", directory);
	return nova_directory_remove(trash, error);
}

static bool has_prefix(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

void guest_cache_sweep(const char *cache)
{
	DIR *entries = opendir(cache);
	struct dirent *entry;

	while (entries != NULL && (entry = readdir(entries)) != NULL) {
		struct nova_error error = {0};
		NOVA_AUTOFREE char *path = nova_format("%s/%s", cache, entry->d_name);
		if (!has_prefix(entry->d_name, GUEST_BUILDING_PREFIX) &&
		    !has_prefix(entry->d_name, GUEST_TRASH_PREFIX))
			continue;
		if (nova_directory_remove(path, &error) == 0)
			nova_log(NOVA_LOG_INFO, "removed what a killed build left: %s", path);
		else
			nova_log(NOVA_LOG_WARNING, "%s", error.text);
	}
	if (entries != NULL)
		closedir(entries);
}

/* --- list, info, clean ------------------------------------------------------------------------ */

static uint64_t bytes_on_disk(const char *directory)
{
	DIR *entries = opendir(directory);
	struct dirent *entry;
	struct stat about;
	uint64_t bytes = 0;

	while (entries != NULL && (entry = readdir(entries)) != NULL)
		if (fstatat(dirfd(entries), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(about.st_mode))
			bytes += (uint64_t)about.st_blocks * 512;
	if (entries != NULL)
		closedir(entries);
	return bytes;
}

static bool is_used(const char *directory)
{
	int fd = hold(directory, LOCK_EX | LOCK_NB);
	bool used = fd < 0 && errno == EWOULDBLOCK;

	if (fd >= 0)
		close(fd);
	return used;
}

/* An element of the list, and with `all` what only info shows; NULL for what is no appliance. */
static json_t *describe(const char *directory, const char *current, bool all)
{
	NOVA_AUTOJSON json_t *description = read_description(directory);
	const char *id = json_string_value(json_object_get(description, "id"));
	json_t *json = json_object();

	if (id == NULL || !is_complete(directory, description)) {
		json_decref(json);
		return NULL;
	}
	json_object_set_new(json, "id", json_string(id));
	json_object_set_new(json, "directory", json_string(directory));
	json_object_set(json, "built", json_object_get(description, "built"));
	json_object_set_new(json, "bytes", json_integer((json_int_t)bytes_on_disk(directory)));
	json_object_set(json, "kernel_release", json_object_get(description, "kernel_release"));
	json_object_set_new(json, "current",
	                    current != NULL ? json_boolean(strcmp(current, id) == 0) : json_null());
	json_object_set_new(json, "used", json_boolean(is_used(directory)));
	if (!all)
		return json;
	static const char *const copied[] = {"cmdline", "build_seconds", "inputs"};
	for (size_t i = 0; i < NOVA_COUNT(copied); i++)
		json_object_set(json, copied[i], json_object_get(description, copied[i]));
	static const char *const files[] = {"kernel", "initrd", "root.img"};
	static const char *const keys[] = {"kernel", "initrd", "image"};
	for (size_t i = 0; i < NOVA_COUNT(files); i++) {
		NOVA_AUTOFREE char *path = nova_format("%s/%s", directory, files[i]);
		json_object_set_new(json, keys[i], json_string(path));
	}
	json_object_set_new(json, "disks", guest_disk_list(directory));
	return json;
}

/* Calls `each` for every appliance's directory; a cache that is not there has none. */
static int walk(const char *cache, int (*each)(void *context, const char *directory), void *context,
                struct nova_error *error)
{
	DIR *entries = opendir(cache);
	struct dirent *entry;
	int failed = 0;

	if (entries == NULL)
		return errno == ENOENT ? 0 : nova_error_errno(error, "cannot list %s", cache);
	while (failed == 0 && (entry = readdir(entries)) != NULL) {
		NOVA_AUTOFREE char *directory = nova_format("%s/%s", cache, entry->d_name);
		struct stat about;
		if (entry->d_name[0] != '.' && lstat(directory, &about) == 0 &&
		    S_ISDIR(about.st_mode))
			failed = each(context, directory);
	}
	closedir(entries);
	return failed;
}

/* Today's id; "" if it cannot be said (a package is missing). */
static int current_id(const struct nova_guest_options *options, char id[65],
                      struct nova_error *error)
{
	struct guest_inputs inputs;
	int failed = guest_inputs_collect(options, &inputs, error);

	id[0] = '\0';
	if (failed == 0)
		strcpy(id, inputs.id);
	guest_inputs_free(&inputs);
	return failed;
}

struct listing {
	const char *current;
	bool all;
	json_t *list;
};

static const char *built(const json_t *entry)
{
	const char *when = json_string_value(json_object_get(entry, "built"));
	return when != NULL ? when : "";
}

static int list_one(void *context, const char *directory)
{
	struct listing *listing = context;
	json_t *one = describe(directory, listing->current, listing->all);
	size_t at = 0;

	if (one == NULL)
		return 0;
	while (at < json_array_size(listing->list) &&
	       strcmp(built(json_array_get(listing->list, at)), built(one)) >= 0)
		at++;
	json_array_insert_new(listing->list, at, one);
	return 0;
}

static int list(const struct nova_guest_options *options, bool all, json_t **out,
                struct nova_error *error)
{
	NOVA_AUTOFREE char *cache = guest_cache_path(options);
	char current[65];

	struct nova_error unknown = {0};
	/* a list is useful even where no appliance could be built */
	if (current_id(options, current, &unknown) != 0)
		nova_log(NOVA_LOG_DEBUG, "%s", unknown.text);
	struct listing listing = {*current != '\0' ? current : NULL, all, json_array()};
	int failed = walk(cache, list_one, &listing, error);
	if (failed != 0)
		json_decref(listing.list);
	else
		*out = listing.list;
	return failed;
}

int nova_guest_list(const struct nova_guest_options *options, json_t **out,
                    struct nova_error *error)
{
	return list(options, false, out, error);
}

int nova_guest_info(const struct nova_guest_options *options, const char *id, json_t **info,
                    struct nova_error *error)
{
	NOVA_AUTOJSON json_t *all = NULL;
	json_t *entry, *found = NULL;
	size_t i, count = 0;

	int failed = list(options, true, &all, error);
	if (failed != 0)
		return failed;
	json_array_foreach(all, i, entry)
	{
		const char *own = json_string_value(json_object_get(entry, "id"));
		if (id != NULL ? strncmp(own, id, strlen(id)) == 0
		               : json_is_true(json_object_get(entry, "current"))) {
			found = entry;
			count++;
		}
	}
	if (count > 1)
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "%zu appliances have an id that begins with %s; give more of it", count,
		        id);
	if (count == 0 && id != NULL)
		return nova_error_set(error, NOVA_E_NOT_FOUND,
		                      "no appliance has an id that begins with %s; see: novacore "
		                      "guest list",
		                      id);
	if (count == 0)
		return nova_error_set(
		        error, NOVA_E_NOT_FOUND,
		        "the appliance has not been built yet; run: novacore guest build");
	*info = json_incref(found);
	return 0;
}

struct cleaning {
	const char *cache, *current;
	bool all;
	struct nova_guest_cleaned *cleaned;
	struct nova_error *error;
};

static int clean_one(void *context, const char *directory)
{
	struct cleaning *cleaning = context;
	NOVA_AUTOJSON json_t *description = read_description(directory);
	const char *id = json_string_value(json_object_get(description, "id"));

	if (!cleaning->all && id != NULL && strcmp(id, cleaning->current) == 0 &&
	    is_complete(directory, description))
		return 0;
	int fd = hold(directory, LOCK_EX | LOCK_NB);
	if (fd < 0 && errno == EWOULDBLOCK) {
		cleaning->cleaned->used++;
		return 0;
	}
	uint64_t bytes = bytes_on_disk(directory);
	int failed = guest_cache_discard(cleaning->cache, directory, cleaning->error);
	if (failed == 0) {
		cleaning->cleaned->removed++;
		cleaning->cleaned->bytes += bytes;
	}
	if (fd >= 0)
		close(fd);
	return failed;
}

int nova_guest_clean(const struct nova_guest_options *options, bool all,
                     struct nova_guest_cleaned *cleaned, struct nova_error *error)
{
	NOVA_AUTOFREE char *cache = guest_cache_path(options);
	NOVA_AUTOFREE char *lock_path = nova_format("%s/build.lock", cache);
	char current[65] = "";

	*cleaned = (struct nova_guest_cleaned){0};
	if (access(cache, F_OK) != 0)
		return errno == ENOENT ? 0 : nova_error_errno(error, "cannot clean %s", cache);
	if (!all && current_id(options, current, error) != 0) {
		nova_error_prefix(error, "cannot tell which appliance is the current one");
		return error != NULL ? error->code : NOVA_E_UNAVAILABLE;
	}
	/* Without the builders' lock, a build is under way, and its directory is no leftover. */
	struct nova_error own = {0};
	int lock = nova_file_lock(lock_path, &own);
	if (lock >= 0)
		guest_cache_sweep(cache);
	else if (lock == NOVA_E_BUSY)
		cleaned->used++;
	else
		return nova_error_set(error, lock, "cannot clean %s: %s", cache, own.text);
	struct cleaning cleaning = {cache, current, all, cleaned, error};
	int failed = walk(cache, clean_one, &cleaning, error);
	if (lock >= 0)
		close(lock);
	return failed;
}
