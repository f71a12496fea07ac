/* SPDX-License-Identifier: MIT */
/*
 * Who executes what: a lock for each run, so that two processes do not execute one and a sweep
 * knows the dead; and for each target, because two runs disturb each other.
 */
#include "core/run/lead.h"

#include <string.h>
#include <unistd.h>

const char *nova_lead_short(const char *run_id)
{
	return run_id + 24;
}

int nova_lead_lock(const char *kind, const char *name, struct nova_error *error)
{
	NOVA_AUTOFREE char *directory = nova_place(NOVA_PLACE_RUNTIME, "locks");
	NOVA_AUTOFREE char *path = nova_format("%s/%s-%s", directory, kind, name);
	int code = nova_directory_make(directory, 0755, error);

	return code ? code : nova_file_lock(path, error);
}

/*
 * Removed while it is held: whoever had opened it meanwhile finds, once the lock is theirs, that
 * the name is another file's or none, and opens it anew (nova_file_lock). Those of targets stay:
 * they are as many as there are targets, not as many as there are runs.
 */
void nova_lead_unlock_run(const char *short_id, int fd)
{
	NOVA_AUTOFREE char *directory = nova_place(NOVA_PLACE_RUNTIME, "locks");
	NOVA_AUTOFREE char *path = nova_format("%s/run-%s", directory, short_id);

	if (fd < 0)
		return;
	unlink(path);
	close(fd);
}

bool nova_run_alive(const char *id)
{
	struct nova_error error = {0};
	int fd = nova_lead_lock("run", nova_lead_short(id), &error);

	nova_lead_unlock_run(nova_lead_short(id), fd);
	return fd == NOVA_E_BUSY;
}

int nova_locks_take(struct lead *lead, int *run_lock, json_t *locks, struct nova_error *error)
{
	json_t *targets = json_object_get(lead->run.plan, "targets"), *target;
	NOVA_AUTOJSON json_t *taken = json_object();
	size_t i;

	*run_lock = nova_lead_lock("run", lead->short_id, error);
	if (*run_lock < 0)
		return nova_error_prefix(error, "run %s is being executed", lead->run.id);
	json_array_foreach(targets, i, target)
	{
		const char *uri = nova_json_text(json_object_get(target, "params"), "uri");
		NOVA_AUTOFREE char *endpoint =
		        nova_format("%s %s", nova_json_text(target, "plugin"), uri);
		char digest[65];
		int fd;

		if (json_object_get(target, "twin_of")) /* it comes and goes with the first */
			continue;
		nova_sha256(endpoint, strlen(endpoint), digest);
		digest[16] = 0;
		if (json_object_get(taken, digest)) /* A and B may be on one */
			continue;
		json_object_set_new(taken, digest, json_true());
		fd = nova_lead_lock("target", digest, error);
		if (fd < 0)
			return nova_error_prefix(
			        error,
			        "target %s is in use by another run (two runs disturb each "
			        "other; wait for it, see novacore status)",
			        nova_json_text(target, "name"));
		json_array_append_new(locks, json_integer(fd));
	}
	return 0;
}

void nova_locks_release(const struct lead *lead, int run_lock, json_t *locks)
{
	json_t *fd;
	size_t i;

	json_array_foreach(locks, i, fd) close((int)json_integer_value(fd));
	nova_lead_unlock_run(lead->short_id, run_lock);
}
