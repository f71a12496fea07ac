/* SPDX-License-Identifier: MIT */
/*
 * The targets of a run: what a worker is told of them, with their secrets, and what they have said
 * of themselves.
 */
#include "core/run/lead.h"

#include <string.h>

struct search {
	const char *key, *over;
	bool configured;
};

static void look_for(void *context, const struct nova_config_entry *entry)
{
	struct search *search = context;

	if (strcmp(entry->key, search->key) && strcmp(entry->key, search->over))
		return;
	search->configured =
	        search->configured || (entry->origin && strcmp(entry->origin, "default"));
}

bool nova_lead_configured(const struct nova_config *config, const char *plugin, const char *name,
                          const char *parameter)
{
	NOVA_AUTOFREE char *key = nova_format("hypervisor.%s.%s", plugin, parameter);
	NOVA_AUTOFREE char *over = nova_format("target.%s.%s", name, parameter);
	struct search search = {key, over, false};

	nova_config_each(config, look_for, &search);
	return search.configured;
}

/* A driver with the parameter `seed` (a simulator) gets the run's, unless one is configured. */
static void set_seed(const struct nova_config *config, const struct nova_manifest *manifest,
                     const char *name, uint64_t seed, json_t *params)
{
	bool configured = nova_lead_configured(config, manifest->name, name, "seed");

	for (size_t i = 0; i < manifest->spec_count; i++)
		if (!strcmp(manifest->specs[i].name, "seed") && !configured)
			json_object_set_new(params, "seed", json_integer((json_int_t)seed));
}

/* So that the worker knows what of its parameters it must never tell. */
static json_t *secret_names(const struct nova_manifest *manifest)
{
	json_t *names = json_array();

	for (size_t i = 0; i < manifest->spec_count; i++)
		if (manifest->specs[i].type == NOVA_PARAM_SECRET)
			json_array_append_new(names, json_string(manifest->specs[i].name));
	return names;
}

json_t *nova_lead_target(const struct nova_config *config, const struct nova_registry *registry,
                         const char *name, const char *plugin, const char *uri, uint64_t seed,
                         const struct nova_guest *guest, struct nova_error *error)
{
	const struct nova_manifest *manifest =
	        nova_registry_find(registry, NOVA_KIND_HYPERVISOR, plugin, error);
	NOVA_AUTOFREE char *prefix = nova_format("hypervisor.%s", plugin);
	NOVA_AUTOFREE char *over = nova_format("target.%s", name);
	json_t *params;

	if (!manifest || nova_config_ready(config, prefix, over, uri && *uri ? "uri" : NULL, error))
		return NULL;
	params = nova_config_params(config, prefix, over, true);
	if (uri && *uri)
		json_object_set_new(params, "uri", json_string(uri));
	set_seed(config, manifest, name, seed, params);
	/* The driver's trial boot uses the kernel that the run will boot. */
	for (size_t i = 0; guest && guest->kernel && i < manifest->spec_count; i++) {
		const char *spec = manifest->specs[i].name;

		if (!strcmp(spec, "trial_kernel") && !json_object_get(params, spec))
			json_object_set_new(params, spec, json_string(guest->kernel));
		if (!strcmp(spec, "trial_initrd") && guest->initrd &&
		    !json_object_get(params, spec))
			json_object_set_new(params, spec, json_string(guest->initrd));
	}
	return json_pack("{ss ss ss ss so so}", "name", name, "plugin", plugin, "path",
	                 manifest->path, "sha256", manifest->sha256, "params", params, "secrets",
	                 secret_names(manifest));
}

/* Which of the step's targets it is the twin of: a plan counts those of the run. */
static json_t *place_of_twin(const json_t *step, const json_t *twin)
{
	json_t *indices = json_object_get(step, "targets"), *index;
	size_t i;

	json_array_foreach(indices, i, index)
	{
		if (json_equal(index, json_object_get(twin, "twin_of")))
			return json_integer((json_int_t)i);
	}
	return json_integer(0);
}

json_t *nova_lead_planned_target(struct lead *lead, size_t index, const struct nova_guest *guest,
                                 struct nova_error *error)
{
	json_t *planned = json_array_get(json_object_get(lead->run.plan, "targets"), index);
	/* Of A and B the names differ, where the configuration knows one. */
	const char *name = json_string_value(json_object_get(planned, "configured"));
	json_t *target = nova_lead_target(lead->config, lead->registry,
	                                  name ? name : nova_json_text(planned, "name"),
	                                  nova_json_text(planned, "plugin"),
	                                  nova_json_text(json_object_get(planned, "params"), "uri"),
	                                  lead->run.seed, guest, error);

	if (target && nova_lead_boot(lead, index, target, error)) {
		json_decref(target);
		return NULL;
	}
	return target;
}

json_t *nova_lead_step_targets(struct lead *lead, const json_t *step,
                               const struct nova_guest *guest, struct nova_error *error)
{
	json_t *made = json_array(), *index;
	size_t i;

	json_array_foreach(json_object_get(step, "targets"), i, index)
	{
		json_t *planned = json_array_get(json_object_get(lead->run.plan, "targets"),
		                                 (size_t)json_integer_value(index));
		json_t *target = nova_lead_planned_target(lead, (size_t)json_integer_value(index),
		                                          guest, error);

		if (!target) {
			json_decref(made);
			return NULL;
		}
		if (json_object_get(planned, "twin_of"))
			json_object_set_new(target, "twin_of", place_of_twin(step, planned));
		json_array_append_new(made, target);
	}
	return made;
}

json_t *nova_lead_benchmark(struct lead *lead, const json_t *step, const struct nova_guest *guest,
                            struct nova_error *error)
{
	const struct nova_manifest *manifest = nova_registry_find(
	        lead->registry, NOVA_KIND_BENCHMARK, nova_json_text(step, "benchmark"), error);
	json_t *params;

	if (!manifest)
		return NULL;
	params = json_copy(json_object_get(step, "params"));
	/* One that works on the image itself gets what the run boots. */
	for (size_t i = 0; guest && guest->image && i < manifest->spec_count; i++)
		if (!strcmp(manifest->specs[i].name, "guest_image") &&
		    !json_object_get(params, "guest_image"))
			json_object_set_new(params, "guest_image", json_string(guest->image));
	return json_pack("{ss ss ss so}", "plugin", manifest->name, "path", manifest->path,
	                 "sha256", manifest->sha256, "params", params);
}

/* What the targets said of themselves, in the form of the result document. */
static json_t *describe(const json_t *planned, const json_t *opened)
{
	json_t *facts = json_object_get(opened, "facts"),
	       *said = json_object_get(opened, "capabilities");
	json_t *capabilities = json_object(), *why;
	const char *name;

	json_object_foreach(said, name, why) json_object_set_new(
	        capabilities, name, json_pack("{sb sO}", "ok", json_is_null(why), "why", why));
	return json_pack(
	        "{sO sO sO? sO? sO? sO? sO? sb so sO?}", "name", json_object_get(planned, "name"),
	        "plugin", json_object_get(planned, "plugin"), "uri",
	        json_object_get(opened, "uri")
	                ? json_object_get(opened, "uri")
	                : json_object_get(json_object_get(planned, "params"), "uri"),
	        "product", json_object_get(facts, "product"), "version",
	        json_object_get(facts, "version"), "accel", json_object_get(facts, "accel"), "why",
	        json_object_get(facts, "accel.why"), "simulated",
	        !strcmp(nova_json_text(facts, "simulated"), "true"), "capabilities", capabilities,
	        "facts", facts);
}

/* Also notes in *where* what must match (accelerator), in *what* what is compared (versions). */
void nova_lead_learn(struct lead *lead, const json_t *step, const json_t *opened)
{
	json_t *indices = json_object_get(step, "targets"), *index;
	size_t i;

	json_array_foreach(indices, i, index)
	{
		size_t at = (size_t)json_integer_value(index);
		json_t *planned = json_array_get(json_object_get(lead->run.plan, "targets"), at);
		json_t *description =
		        describe(planned, json_array_get(json_object_get(opened, "targets"), i));
		NOVA_AUTOFREE char *accel =
		        nova_format("accel.%s", nova_json_text(planned, "name"));
		NOVA_AUTOFREE char *version =
		        nova_format("hypervisor.%s", nova_json_text(planned, "name"));

		while (json_array_size(lead->run.targets) <= at)
			json_array_append_new(
			        lead->run.targets,
			        describe(json_array_get(json_object_get(lead->run.plan, "targets"),
			                                json_array_size(lead->run.targets)),
			                 NULL));
		json_object_set(lead->run.where, accel, json_object_get(description, "accel"));
		json_object_set_new(lead->run.what, version,
		                    json_sprintf("%s %s", nova_json_text(description, "product"),
		                                 nova_json_text(description, "version")));
		json_array_set_new(lead->run.targets, at, description);
	}
	nova_lead_save(lead, NULL);
}
