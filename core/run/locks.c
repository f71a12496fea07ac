/* SPDX-License-Identifier: MIT */
/*
 * Who executes what: a lock for each run, so that two processes do not execute one and a sweep
 * knows the dead; and for each target, because two runs disturb each other.
 */
#include "core/run/lead.h"

#include <stdlib.h>
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

/* Once for each place: A and B may be on one. */
static int lock_place(struct lead *lead, const json_t *target, const char *where,
                      struct nova_error *error)
{
	NOVA_AUTOFREE char *place = nova_format("%s %s", nova_json_text(target, "plugin"), where);
	char digest[65];
	int fd;

	nova_sha256(place, strlen(place), digest);
	digest[16] = 0;
	if (json_object_get(lead->locks, digest))
		return 0;
	fd = nova_lead_lock("target", digest, error);
	if (fd < 0)
		return nova_error_prefix(
		        error,
		        "target %s is in use by another run (two runs disturb each other; wait for "
		        "it, see novacore status)",
		        nova_json_text(target, "name"));
	json_object_set_new(lead->locks, digest, json_integer(fd));
	return 0;
}

/* Where there is no uri, only the driver knows which host it is, and says it when it is connected:
 * until then the target is locked as it is configured. */
static int lock_target(struct lead *lead, const json_t *target, struct nova_error *error)
{
	json_t *params = json_object_get(target, "params");
	const char *uri = nova_json_text(params, "uri");
	char *configured = json_dumps(params, JSON_COMPACT | JSON_SORT_KEYS);
	int code = lock_place(lead, target, *uri ? uri : configured ? configured : "", error);

	free(configured);
	return code;
}

int nova_locks_take(struct lead *lead, int *run_lock, struct nova_error *error)
{
	json_t *target;
	size_t i;
	int code = 0;

	lead->locks = json_object();
	*run_lock = nova_lead_lock("run", lead->short_id, error);
	if (*run_lock < 0)
		return nova_error_prefix(error, "run %s is being executed", lead->run.id);
	json_array_foreach(json_object_get(lead->run.plan, "targets"), i, target)
	{
		if (!code && !json_object_get(target, "twin_of")) /* it comes with the first */
			code = lock_target(lead, target, error);
	}
	return code;
}

int nova_locks_learn(struct lead *lead, const json_t *step, const json_t *opened,
                     struct nova_error *error)
{
	json_t *index;
	size_t i;
	int code = 0;

	json_array_foreach(json_object_get(step, "targets"), i, index)
	{
		const json_t *target = json_array_get(json_object_get(lead->run.plan, "targets"),
		                                      (size_t)json_integer_value(index));
		const json_t *said = json_array_get(json_object_get(opened, "targets"), i);
		const char *where = nova_json_text(json_object_get(said, "facts"), "endpoint");

		if (!code && *where)
			code = lock_place(lead, target, where, error);
	}
	return code;
}

void nova_locks_release(struct lead *lead, int run_lock)
{
	const char *digest;
	json_t *fd;

	json_object_foreach(lead->locks, digest, fd) close((int)json_integer_value(fd));
	json_decref(lead->locks);
	lead->locks = NULL;
	nova_lead_unlock_run(lead->short_id, run_lock);
}
