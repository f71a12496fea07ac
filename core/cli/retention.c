/* SPDX-License-Identifier: MIT */
/* Which continuous recordings have had their time. Others are never touched. */
#include "core/cli/recordings.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What was written to within this time may be in work still. */
#define QUIET_NS (10 * NOVA_SECOND_NS)

struct kept {
	char *directory;
	int64_t age_ns, bytes;
};

static int is_recording(const struct dirent *entry)
{
	return nova_recordings_is_id(entry->d_name);
}

static bool look(const char *id, struct kept *kept)
{
	char *directory = nova_recordings_place(id);
	NOVA_AUTOFREE char *mark = nova_format("%s/" RECORDING_MARK, directory);
	NOVA_AUTOFREE char *file = nova_format("%s/" NOVA_RECORDING_FILE, directory);
	struct stat is;

	if (access(mark, F_OK) || (stat(file, &is) && stat(mark, &is))) {
		free(directory);
		return false;
	}
	kept->directory = directory;
	kept->bytes = recordings_bytes(directory);
	kept->age_ns =
	        nova_utc_ns() - ((int64_t)is.st_mtim.tv_sec * NOVA_SECOND_NS + is.st_mtim.tv_nsec);
	return true;
}

size_t recordings_retain(int64_t age_ns, int64_t bytes)
{
	NOVA_AUTOFREE char *place = nova_recordings_place(NULL);
	struct dirent **entries = NULL;
	int count =
	        scandir(place, &entries, is_recording, alphasort); /* an id begins with its time */
	struct kept *all = nova_alloc(((size_t)(count > 0 ? count : 0) + 1) * sizeof(*all));
	size_t there = 0, deleted = 0;
	int64_t total = 0;

	for (int i = 0; i < count; i++) {
		if (look(entries[i]->d_name, &all[there]))
			total += all[there++].bytes;
		free(entries[i]);
	}
	free(entries);
	for (size_t i = 0; i < there; i++) {
		struct nova_error error = {0};
		bool over = all[i].age_ns > age_ns || total > bytes;

		if (over && all[i].age_ns > QUIET_NS) {
			if (nova_directory_remove(all[i].directory, &error)) {
				nova_log(NOVA_LOG_WARNING, "%s", error.text);
			} else {
				total -= all[i].bytes;
				deleted++;
			}
		}
		free(all[i].directory);
	}
	free(all);
	return deleted;
}
