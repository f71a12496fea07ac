/* SPDX-License-Identifier: MIT */
/*
 * Deletes what dead runs of this installation left on their targets. What may be touched: objects
 * in our journal whose run nobody executes, and, if asked, VMs that carry this installation's
 * prefix.
 */
#include "core/run/lead.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#define OBJECTS_A_PACKET 100

struct group {          /* objects on one target */
	json_t *target; /* {name, plugin, uri} of the journal */
	json_t *objects;
	bool own; /* all of them are this run's images, as its end has them */
};

struct sweep {
	struct lead *lead;
	const json_t *only;
	const char *plugin;
	struct group *groups;
	size_t count;
};

/* Where there is no uri, the target's other parameters say where it is: then its name counts. */
static bool same_endpoint(const json_t *left, const char *uri, const json_t *right)
{
	return !strcmp(nova_json_text(left, "plugin"), nova_json_text(right, "plugin")) &&
	       !strcmp(uri, nova_json_text(right, "uri")) &&
	       (*uri || !strcmp(nova_json_text(left, "name"), nova_json_text(right, "name")));
}

/* A twin comes and goes with the target that starts it. */
static bool wanted(const struct sweep *sweep, const json_t *target)
{
	const json_t *first = json_object_get(target, "twin_of");
	json_t *planned;
	size_t i;

	if (sweep->plugin && strcmp(sweep->plugin, nova_json_text(target, "plugin")))
		return false;
	if (!sweep->only)
		return true;
	if (first)
		target = first;
	json_array_foreach(sweep->only, i, planned)
	{
		const json_t *params = json_object_get(planned, "params");

		if (!json_object_get(planned, "twin_of") &&
		    same_endpoint(planned, nova_json_text(params, "uri"), target))
			return true;
	}
	return false;
}

static struct group *group_of(struct sweep *sweep, json_t *target)
{
	for (size_t i = 0; i < sweep->count; i++)
		if (same_endpoint(sweep->groups[i].target,
		                  nova_json_text(sweep->groups[i].target, "uri"), target))
			return &sweep->groups[i];
	sweep->groups = nova_grow(sweep->groups, sweep->count, sizeof(*sweep->groups));
	sweep->groups[sweep->count] = (struct group){json_incref(target), json_array(), true};
	return &sweep->groups[sweep->count++];
}

static int collect(void *context, const struct nova_journal_record *record)
{
	struct sweep *sweep = context;
	bool own = !strcmp(record->run, sweep->lead->run.id);
	bool moving = json_object_get(record->target, "also");
	bool image = !strcmp(record->kind, "image");
	struct group *group;

	if (!wanted(sweep, record->target) || (!own && nova_run_alive(record->run)))
		return 0;
	if (own && image && sweep->lead->has_images)
		return 0; /* the next step's VMs boot from it */
	if (moving)
		json_object_set(sweep->lead->moving, record->name, record->target);
	/* What was made last goes first: VMs before the network or the image that they are on. */
	group = group_of(sweep, record->target);
	group->own = group->own && own && image;
	json_array_insert_new(group->objects, 0,
	                      json_pack("{ss ss ss? sb}", "kind", record->kind, "name",
	                                record->name, "id", record->id, "moving", moving));
	return 0;
}

/* --- one target
 * --------------------------------------------------------------------------------------- */

static int send_sweep(struct lead *lead, int target, json_t *objects, const char *prefix,
                      json_t *busy, uint32_t *left, struct nova_error *error)
{
	int64_t patience =
	        30 * NOVA_SECOND_NS + ((int64_t)json_array_size(objects) + 1) *
	                                      nova_config_i64(lead->config, "run.op_timeout", 0);
	NOVA_AUTOJSON json_t *packet =
	        json_pack("{ss si so}", "is", "sweep", "target", target, "objects", objects);
	NOVA_AUTOJSON json_t *answer = NULL;
	int code;

	if (prefix) {
		json_object_set_new(packet, "prefix", json_string(prefix));
		json_object_set(packet, "busy", busy);
	}
	code = nova_talk_send(lead, json_incref(packet), error);
	if (!code)
		code = nova_talk(lead, "swept", nova_now_ns() + patience, &answer, error);
	if (code)
		return code;
	*left += (uint32_t)nova_wire_i64(answer, "left");
	code = (int)nova_wire_i64(answer, "code");
	if (code)
		nova_error_set(error, code, "%s", nova_wire_text(answer, "text"));
	return code;
}

static int sweep_objects(struct lead *lead, int target, const json_t *objects, uint32_t *left,
                         struct nova_error *error)
{
	size_t count = json_array_size(objects);
	int code = 0, first = 0;

	for (size_t i = 0; i < count; i += OBJECTS_A_PACKET) {
		json_t *some = json_array();

		for (size_t j = i; j < count && j < i + OBJECTS_A_PACKET; j++)
			json_array_append(some, json_array_get(objects, j));
		code = send_sweep(lead, target, some, NULL, NULL, left, error);
		first = first ? first : code;
	}
	return first;
}

/* Adds it to `targets`, in the form of "open". */
static json_t *add_target(struct lead *lead, const json_t *target, json_t *targets,
                          struct nova_error *error)
{
	json_t *full = nova_lead_target(
	        lead->config, lead->registry, nova_json_text(target, "name"),
	        nova_json_text(target, "plugin"), nova_json_text(target, "uri"), 0, NULL, error);

	if (full)
		json_array_append_new(targets, full);
	return full;
}

/*
 * Opens the target, and before it, if it is a twin, the one that starts it again where its VMs are.
 * `*place`: the target's number in the worker.
 */
static int open_target(struct lead *lead, const json_t *target, int *place,
                       struct nova_error *error)
{
	NOVA_AUTOJSON json_t *targets = json_array(), *shape = json_object(), *opened = NULL;
	const json_t *first = json_object_get(target, "twin_of");
	const char *lack;
	json_t *full;
	int code;

	*place = first ? 1 : 0;
	if (first && !add_target(lead, first, targets, error))
		return error->code;
	full = add_target(lead, target, targets, error);
	if (!full)
		return error->code;
	if (first)
		json_object_set_new(full, "twin_of", json_integer(0));
	code = nova_talk_open(lead, NULL, targets, shape, &opened, error);
	lead->targets = NULL;
	lack = code ? NULL : nova_wire_text(opened, "lacks");
	return lack ? nova_error_set(error, NOVA_E_UNSUPPORTED, "%s", lack) : code;
}

static int sweep_group(struct lead *lead, const struct group *group, uint32_t *left,
                       struct nova_error *error)
{
	size_t count = json_array_size(group->objects);
	int code, place;

	if (!group->own)
		nova_lead_note(lead, NOVA_LOG_INFO,
		               "deleting %zu objects that dead runs left on %s", count,
		               nova_json_text(group->target, "name"));
	code = open_target(lead, group->target, &place, error);
	if (code)
		*left += (uint32_t)count;
	else
		code = sweep_objects(lead, place, group->objects, left, error);
	nova_talk_close(lead);
	return code;
}

/* --- directories of dead runs
 * ----------------------------------------------------------------------------- */

static int note_run(void *context, const struct nova_journal_record *record)
{
	json_object_set_new(context, nova_lead_short(record->run), json_true());
	return 0;
}

static void remove_directories(struct lead *lead)
{
	NOVA_AUTOFREE char *runs = nova_place(NOVA_PLACE_STATE, "runs");
	NOVA_AUTOJSON json_t *with_objects = json_object();
	DIR *directory = opendir(runs);
	struct dirent *entry;

	nova_store_journal_each(lead->store, NULL, note_run, with_objects, NULL);
	while (directory && (entry = readdir(directory))) {
		NOVA_AUTOFREE char *path = nova_format("%s/%s", runs, entry->d_name);
		struct nova_error error = {0};
		int lock;

		if (entry->d_name[0] == '.' || !strcmp(entry->d_name, lead->short_id) ||
		    json_object_get(with_objects, entry->d_name))
			continue;
		lock = nova_lead_lock("run", entry->d_name, &error);
		if (lock < 0)
			continue;
		nova_directory_remove(path, NULL);
		nova_lead_unlock_run(entry->d_name, lock);
	}
	if (directory)
		closedir(directory);
}

/* --- the whole
 * ---------------------------------------------------------------------------------------------- */

/* Once over all that the journal has. `*moving`: objects that are now to be looked for elsewhere.
 */
static int sweep_once(struct sweep *sweep, bool dry_run, uint32_t *found, uint32_t *left,
                      size_t *moving, struct nova_error *first, struct nova_error *error)
{
	struct lead *lead = sweep->lead;
	int code;

	lead->moving = json_object();
	code = nova_store_journal_each(lead->store, NULL, collect, sweep, error);
	for (size_t i = 0; i < sweep->count; i++) {
		struct nova_error mine = {0};

		*found += (uint32_t)json_array_size(sweep->groups[i].objects);
		if (!code && !dry_run && sweep_group(lead, &sweep->groups[i], left, &mine) &&
		    !first->code)
			*first = mine;
		json_decref(sweep->groups[i].target);
		json_decref(sweep->groups[i].objects);
	}
	free(sweep->groups);
	sweep->groups = NULL;
	sweep->count = 0;
	*moving = json_object_size(lead->moving);
	json_decref(lead->moving);
	lead->moving = NULL;
	return code;
}

int nova_sweep_journal(struct lead *lead, const json_t *only, const char *plugin, bool dry_run,
                       uint32_t *found, uint32_t *left, struct nova_error *error)
{
	struct sweep sweep = {.lead = lead, .only = only, .plugin = plugin};
	struct nova_error first = {0};
	size_t moving = 0;
	uint32_t again = 0;
	int code;

	*found = *left = 0;
	code = sweep_once(&sweep, dry_run, found, left, &moving, &first, error);
	/* What died while it was being migrated is deleted where it was, then where it may be. */
	if (!code && !dry_run && moving && !*left)
		code = sweep_once(&sweep, dry_run, &again, left, &moving, &first, error);
	if (!dry_run)
		remove_directories(lead);
	if (first.code)
		nova_lead_note(lead, NOVA_LOG_WARNING, "%u objects of dead runs are left: %s",
		               *left, first.text);
	return code;
}

static int busy_run(void *context, const struct nova_run_record *run)
{
	if (nova_run_alive(run->id))
		json_array_append_new(context, json_string(nova_lead_short(run->id)));
	return 0;
}

/* VMs with our installation's prefix that stand in no journal. */
static int sweep_strays(struct lead *lead, const char *plugin, uint32_t *left,
                        struct nova_error *error)
{
	NOVA_AUTOFREE char *prefix =
	        nova_format("novacore-%s-", nova_store_installation(lead->store));
	NOVA_AUTOJSON json_t *busy = json_array();
	NOVA_AUTOJSON json_t *target = json_pack("{ss ss}", "name", "local", "plugin", plugin);
	int code = nova_store_run_each(lead->store, busy_run, busy, error), place;

	if (!code)
		code = open_target(lead, target, &place, error);
	if (!code)
		code = send_sweep(lead, place, json_array(), prefix, busy, left, error);
	nova_talk_close(lead);
	return code;
}

int nova_run_sweep(const struct nova_sweep_request *request, uint32_t *found, uint32_t *left,
                   struct nova_error *error)
{
	struct lead lead = {.store = request->store,
	                    .registry = request->registry,
	                    .config = request->config,
	                    .watch = request->watch,
	                    .short_id = "sweep",
	                    .stop_by_ns = INT64_MAX};
	int code;

	lead.signals = nova_signals_take(error);
	if (lead.signals < 0)
		return error->code;
	lead.prefix = nova_format("novacore-%s-sweep-", nova_store_installation(lead.store));
	lead.directory = nova_place(NOVA_PLACE_STATE, "runs/sweep");
	code = nova_directory_make(lead.directory, 0755, error);
	if (!code)
		code = nova_sweep_journal(&lead, NULL, request->plugin, request->dry_run, found,
		                          left, error);
	if (!code && request->strays && request->plugin && !request->dry_run)
		code = sweep_strays(&lead, request->plugin, left, error);
	nova_directory_remove(lead.directory, NULL);
	nova_signals_return(lead.signals);
	free(lead.prefix);
	free(lead.directory);
	free(lead.answers);
	return code;
}
