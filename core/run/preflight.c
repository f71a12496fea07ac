/* SPDX-License-Identifier: MIT */
/*
 * Asks a target what it is, before anything is run on it: a worker connects and describes, as for a
 * run, and nothing is created. What a conversation stores goes to a store that is thrown away.
 */
#include "core/run/lead.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int ask(struct lead *lead, const struct nova_preflight_request *request, json_t **said,
               struct nova_error *error)
{
	NOVA_AUTOJSON json_t *targets = json_array(), *shape = json_object(), *opened = NULL;
	json_t *target =
	        nova_lead_target(request->config, request->registry, request->name, request->plugin,
	                         request->uri ? request->uri : "", 0, NULL, error);
	int code;

	if (!target)
		return error->code;
	json_array_append_new(targets, target);
	code = nova_talk_open(lead, NULL, targets, shape, &opened, error);
	lead->targets = NULL;
	if (!code)
		*said = json_incref(json_array_get(json_object_get(opened, "targets"), 0));
	nova_talk_close(lead);
	return code;
}

int nova_preflight(const struct nova_preflight_request *request, json_t **said,
                   struct nova_error *error)
{
	NOVA_AUTOFREE char *name = nova_format("runs/preflight-%d", (int)getpid()), *path = NULL;
	struct lead lead = {.registry = request->registry,
	                    .config = request->config,
	                    .watch = request->watch,
	                    .short_id = "preflight",
	                    .stop_by_ns = INT64_MAX};
	int code;

	*said = NULL;
	lead.signals = nova_signals_take(error);
	if (lead.signals < 0)
		return error->code;
	lead.prefix = nova_format("novacore-preflight-%d-", (int)getpid());
	lead.directory = nova_place(NOVA_PLACE_STATE, name);
	path = nova_format("%s/store.db", lead.directory);
	code = nova_directory_make(lead.directory, 0755, error);
	if (!code)
		code = nova_store_open(path, &lead.store, error);
	if (!code)
		code = ask(&lead, request, said, error);
	nova_store_close(lead.store);
	nova_directory_remove(lead.directory, NULL);
	nova_signals_return(lead.signals);
	free(lead.prefix);
	free(lead.directory);
	free(lead.answers);
	return code;
}
