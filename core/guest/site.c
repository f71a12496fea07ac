/* SPDX-License-Identifier: MIT */
/*
 * A build's working directory: files in it, and programs that are run there.
 */
#include "core/guest/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define ROOM_NEEDED (UINT64_C(512) << 20)

int guest_site_file(const char *path, const void *data, size_t bytes, mode_t mode,
                    struct nova_error *error)
{
	int failed = nova_file_write(path, data, bytes, mode, error);

	/* The umask is the user's; the guest and libvirt's user need these modes. */
	if (failed == 0 && chmod(path, mode) != 0)
		failed = nova_error_errno(error, "cannot set the mode of %s", path);
	return failed;
}

int guest_site_directory(const char *path, mode_t mode, struct nova_error *error)
{
	if ((mkdir(path, mode) != 0 && errno != EEXIST) || chmod(path, mode) != 0)
		return nova_error_errno(error, "cannot make the directory %s", path);
	return 0;
}

int guest_site_copy(const char *from, const char *to, mode_t mode, struct nova_error *error)
{
	size_t bytes;
	NOVA_AUTOFREE char *data = nova_file_read(from, 256 << 20, &bytes, error);

	return data != NULL ? guest_site_file(to, data, bytes, mode, error) : error->code;
}

int guest_site_run(const struct guest_site *site, const char *const *argv, const char *const *env,
                   struct nova_child_result *result, struct nova_error *error)
{
	const struct nova_guest_options *options = site->build->options;
	struct nova_child child = {.argv = argv,
	                           .env = env,
	                           .directory = site->directory,
	                           .deadline_ns = options != NULL ? options->deadline_ns : 0,
	                           .stop = options != NULL ? options->stop : NULL,
	                           .output_limit = 64 << 20};

	return nova_child_run(&child, result, error);
}

int guest_site_check(const struct guest_site *site, const char *const *argv, const char *const *env,
                     struct nova_child_result *result, struct nova_error *error)
{
	int failed = guest_site_run(site, argv, env, result, error);

	if (failed == 0 && result->status != 0)
		failed = nova_error_set(error, NOVA_E_FAILED, "%s failed with status %d: %s",
		                        argv[0], result->status, nova_text_get(&result->errors));
	return failed;
}

static int check_room(const char *cache, struct nova_error *error)
{
	struct statvfs room;

	if (statvfs(cache, &room) != 0)
		return nova_error_errno(error, "cannot look at the file system of %s", cache);
	uint64_t bytes = (uint64_t)room.f_bavail * room.f_frsize;
	if (bytes >= ROOM_NEEDED)
		return 0;
	return nova_error_set(error, NOVA_E_FULL,
	                      "cannot build the appliance in %s: %llu MiB are free, 512 MiB are "
	                      "needed; make room, or run: novacore guest clean",
	                      cache, (unsigned long long)(bytes >> 20));
}

int guest_site_open(const struct guest_build *build, struct guest_site *site,
                    struct nova_error *error)
{
	int failed = check_room(build->cache, error);

	if (failed != 0)
		return failed;
	char *place = nova_format("%s/" GUEST_BUILDING_PREFIX "XXXXXX", build->cache);
	if (mkdtemp(place) == NULL) {
		failed = nova_error_errno(error, "cannot build the appliance in %s", build->cache);
		free(place);
		return failed;
	}
	*site = (struct guest_site){build, place, nova_format("%s/out", place)};
	return 0;
}

int guest_site_close(struct guest_site *site, int failed, struct nova_error *error)
{
	struct nova_error removing = {0};

	if (failed == NOVA_E_INTERRUPTED)
		nova_error_set(error, failed,
		               "building the appliance was interrupted; nothing is "
		               "left of it");
	if (failed == NOVA_E_TIMEOUT)
		nova_error_set(error, failed,
		               "building the appliance took longer than it may; nothing "
		               "is left of it");
	if (nova_directory_remove(site->directory, &removing) != 0)
		nova_log(NOVA_LOG_WARNING, "%s", removing.text);
	free(site->directory);
	free(site->out);
	return failed;
}
