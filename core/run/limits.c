/* SPDX-License-Identifier: MIT */
/*
 * How many VMs the steps of a plan have at once, and whether that many are allowed. Memory and
 * processors: appliance.c for VMs of the configured shape, room.c where a benchmark asks itself.
 */
#include "core/run/lead.h"

#include <stdlib.h>
#include <string.h>

/* The value is novacore's or the profile's, and nobody's who runs this host. */
static bool is_mere_default(const struct nova_config *config, const char *key)
{
	const char *origin = nova_config_origin(config, key);

	return !origin || !strcmp(origin, "default") || !strncmp(origin, "profile ", 8);
}

/* A list that is not split into steps counts by its greatest value. */
static int64_t greatest(const json_t *value)
{
	int64_t most = json_integer_value(value);
	json_t *item;
	size_t i;

	json_array_foreach(value, i, item) if (json_integer_value(item) > most) most =
	        json_integer_value(item);
	return most;
}

/*
 * A benchmark says by NOVA_PARAM_VMS how many VMs it has at once, and asks for their room itself
 * (nova_lab's `room`); one that only has a `concurrency` has that many of the configured shape.
 */
void nova_limits_note(json_t *step, const struct nova_manifest *benchmark)
{
	const json_t *params = json_object_get(step, "params");
	int64_t vms = 0;
	bool asks = false;

	for (size_t i = 0; i < benchmark->spec_count; i++) {
		if (!(benchmark->specs[i].flags & NOVA_PARAM_VMS))
			continue;
		asks = true;
		vms += greatest(json_object_get(params, benchmark->specs[i].name));
	}
	if (!asks)
		vms = greatest(json_object_get(params, "concurrency"));
	json_object_set_new(step, "vms", json_integer(vms > 1 ? vms : 1));
	json_object_set_new(step, "asks_for_room", json_boolean(asks));
}

bool nova_limits_needs_warmup(const struct nova_manifest *benchmark,
                              const struct nova_config *config)
{
	bool wanted = !is_mere_default(config, "run.warmup");

	for (size_t i = 0; !wanted && i < benchmark->spec_count; i++)
		if (benchmark->specs[i].flags & NOVA_PARAM_VMS)
			return false;
	return true;
}

/* Somebody has said on the command line how many VMs this benchmark is to have. */
static bool is_users_word(const json_t *step, const struct nova_registry *registry,
                          const struct nova_config *config)
{
	const char *name = nova_json_text(step, "benchmark");
	const struct nova_manifest *benchmark =
	        nova_registry_find(registry, NOVA_KIND_BENCHMARK, name, NULL);

	for (size_t i = 0; benchmark && i < benchmark->spec_count; i++) {
		NOVA_AUTOFREE char *key =
		        nova_format("benchmark.%s.%s", name, benchmark->specs[i].name);
		const char *origin = benchmark->specs[i].flags & NOVA_PARAM_VMS
		                             ? nova_config_origin(config, key)
		                             : NULL;

		if (origin && !strncmp(origin, "--", 2))
			return true;
	}
	return false;
}

static int refuse(const json_t *step, int64_t vms, int64_t most, struct nova_error *error)
{
	return nova_error_set(
	        error, NOVA_E_REFUSED,
	        "the plan has up to %lld VMs at once (%s) and limits.max_vms is %lld; lower the "
	        "%s, or raise the limit with --max-vms %lld",
	        (long long)vms, nova_json_text(step, "benchmark"), (long long)most,
	        json_is_true(json_object_get(step, "asks_for_room")) ? "number of VMs"
	                                                             : "concurrency",
	        (long long)vms);
}

struct search {
	const char *key;
	double value;
};

static void look_for_default(void *context, const struct nova_config_entry *entry)
{
	struct search *search = context;

	if (!strcmp(entry->key, search->key) && entry->spec->fallback)
		search->value = strtod(entry->spec->fallback, NULL);
}

/* What novacore itself says, whatever the profile says. */
static double core_default(const char *key)
{
	struct search search = {key, 0};

	nova_config_each_core(look_for_default, &search);
	return search.value;
}

json_t *nova_limits_of_room(const json_t *step, const struct nova_config *config)
{
	static const char *const shares[] = {"memory_share", "cpu_share"};
	bool told = json_is_true(json_object_get(step, "told"));
	json_t *limits = json_object();

	for (size_t i = 0; i < NOVA_COUNT(shares); i++) {
		NOVA_AUTOFREE char *key = nova_format("limits.%s", shares[i]);
		double share = told && is_mere_default(config, key)
		                       ? core_default(key)
		                       : nova_config_f64(config, key, 0);

		if (share > 0)
			json_object_set_new(limits, shares[i], json_real(share));
	}
	return limits;
}

int nova_limits_check(json_t *plan, const struct nova_registry *registry,
                      const struct nova_config *config, struct nova_error *error)
{
	int64_t max_vms = nova_config_i64(config, "limits.max_vms", 0), most = max_vms;
	int64_t at_once = 1, shaped = 0;
	json_t *step;
	size_t i;

	json_array_foreach(json_object_get(plan, "steps"), i, step)
	{
		int64_t vms = json_integer_value(json_object_get(step, "vms"));
		bool asks = json_is_true(json_object_get(step, "asks_for_room"));
		bool told = is_users_word(step, registry, config);

		if (vms > max_vms && !(told && is_mere_default(config, "limits.max_vms")))
			return refuse(step, vms, max_vms, error);
		json_object_set_new(step, "told", json_boolean(told));
		most = vms > most ? vms : most;
		at_once = vms > at_once ? vms : at_once;
		shaped = !asks && vms > shaped ? vms : shaped;
	}
	json_object_set_new(plan, "max_vms", json_integer(most));
	json_object_set_new(plan, "at_once", json_integer(at_once));
	/* of the configured shape: what appliance.c checks */
	json_object_set_new(plan, "shaped_at_once", json_integer(shaped));
	return 0;
}
