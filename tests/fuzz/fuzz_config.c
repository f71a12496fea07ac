// rooms: config base
// SPDX-License-Identifier: MIT
/*
 * A configuration text, then (after a line "---") settings as given by --set, one a line. Whatever
 * they are: taken, or refused with a sentence; and what was taken can be read back.
 */
#include <stdlib.h>
#include <string.h>

#include "core/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAMED(text) .name = (char *)(text), .doc = (char *)"what it is for"

static struct nova_config *sample(void)
{
	static char *choices[] = {(char *)"auto", (char *)"kvm", (char *)"tcg", NULL};
	const struct nova_spec kvm[] = {
	        {.type = NOVA_PARAM_CHOICE, NAMED("accel"), .choices = choices},
	        {.type = NOVA_PARAM_SIZE, NAMED("cache"), .maximum = (char *)"1TiB"},
	        {.type = NOVA_PARAM_RATE, NAMED("speed")},
	        {.type = NOVA_PARAM_SECRET, NAMED("token")},
	        {.type = NOVA_PARAM_PATH, NAMED("state")},
	        {.type = NOVA_PARAM_TEXT, .flags = NOVA_PARAM_REQUIRED, NAMED("node")},
	};
	const struct nova_spec density[] = {
	        {.type = NOVA_PARAM_INTEGER, NAMED("count"), .minimum = (char *)"1"},
	        {.type = NOVA_PARAM_DURATION, NAMED("pause"), .fallback = (char *)"1s"},
	        {.type = NOVA_PARAM_NUMBER, .flags = NOVA_PARAM_LIST, NAMED("shares")},
	};
	struct nova_config *config = nova_config_new();
	nova_config_declare(config, "hypervisor.kvm", kvm, NOVA_COUNT(kvm));
	nova_config_declare(config, "benchmark.density", density, NOVA_COUNT(density));
	return config;
}

/* A failure must say something, and say it as NOVA_E_INVALID's kin; it is no bug of ours. */
static int explained(int code, const struct nova_error *error)
{
	if (code < 0 && (error->code != code || !error->text[0] || code == NOVA_E_INTERNAL))
		abort();
	return code;
}

static void read_back(void *context, const struct nova_config_entry *entry)
{
	struct nova_config *config = context;
	if (strncmp(entry->key, "goal.", 5) == 0)
		return;
	if (nova_config_has(config, entry->key) != (entry->value != NULL))
		abort();
	json_decref(nova_config_json(config, entry->key));
}

static int add_all(struct nova_config *config, char *text, struct nova_error *error)
{
	char *settings = strstr(text, "\n---\n");
	if (settings) {
		*settings = '\0';
		settings += 5;
	}
	int code =
	        explained(nova_config_add_text(config, NOVA_LAYER_FILE, "f", text, error), error);
	while (code == 0 && settings && *settings) {
		char *line = strsep(&settings, "\n");
		code = explained(nova_config_add_setting(config, line, error), error);
	}
	return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	NOVA_AUTOCONFIG struct nova_config *config = sample();
	NOVA_AUTOFREE char *text = nova_alloc(size + 1);
	NOVA_AUTOFREE char *base = NULL;
	struct nova_error error = {0};

	if (size)
		memcpy(text, data, size);
	explained(nova_config_inherits("f", text, &base, &error), &error);
	if (add_all(config, text, &error) == 0 &&
	    explained(nova_config_finish(config, &error), &error) == 0) {
		nova_config_each(config, read_back, config);
		json_decref(nova_config_params(config, "hypervisor.kvm", NULL, false));
		for (size_t i = 0; nova_config_goal_at(config, i); i++)
			if (!nova_config_goal_at(config, i)->metric)
				abort();
	}
	return 0;
}
