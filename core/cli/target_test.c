/* SPDX-License-Identifier: MIT */
/* `novacore target test`: a worker connects as for a run, and what it says is sorted. */
#include "core/cli/profiles.h"
#include "core/cli/target_command.h"

#include "core/run/run.h"

#include <stdlib.h>
#include <string.h>

/* A missing privilege, as drivers say it: "bench@pve lacks VM.Snapshot" (novacore-hypervisor(3)).
 */
static bool is_privilege(const char *why)
{
	return why && (strstr(why, " lacks ") || strncmp(why, "lacks ", 6) == 0);
}

/* {WHY: [CAPABILITY…]}, for reasons that are about privileges, or for all others. */
static json_t *by_reason(const json_t *capabilities, bool privileges)
{
	json_t *reasons = json_object(), *why;
	const char *name;

	json_object_foreach((json_t *)(uintptr_t)capabilities, name, why)
	{
		const char *text = json_string_value(why);
		if (!text || is_privilege(text) != privileges)
			continue;
		if (!json_object_get(reasons, text))
			json_object_set_new(reasons, text, json_array());
		json_array_append_new(json_object_get(reasons, text), json_string(name));
	}
	return reasons;
}

static char *joined(const json_t *names)
{
	NOVA_AUTOTEXT struct nova_text text = {0};

	for (size_t i = 0; i < json_array_size(names); i++)
		nova_text_addf(&text, "%s%s", i ? ", " : "",
		               json_string_value(json_array_get(names, i)));
	return nova_strdup(nova_text_get(&text));
}

static void print_reasons(const char *title, const json_t *reasons)
{
	const char *why;
	json_t *names;

	if (json_object_size(reasons))
		printf("\n%s\n", title);
	json_object_foreach((json_t *)(uintptr_t)reasons, why, names)
	{
		NOVA_AUTOFREE char *list = joined(names);
		NOVA_AUTOFREE char *clean = nova_strdup(why);
		nova_text_clean(clean);
		printf("  %s: %s\n", list, clean);
	}
}

static void print_target(const struct chosen_target *target, const char *uri, const json_t *said,
                         const json_t *missing, const json_t *others)
{
	NOVA_AUTOJSON json_t *can = json_array();
	const char *name;
	json_t *value;

	printf("%s: %s %s%s%s\n", target->name, target->driver->name, target->driver->version,
	       uri ? " at " : "", uri ? uri : "");
	json_object_foreach(json_object_get(said, "facts"), name, value)
	{
		NOVA_AUTOFREE char *clean = nova_strdup(json_string_value(value));
		nova_text_clean(clean);
		printf("  %-14s %s\n", name, clean ? clean : "");
	}
	json_object_foreach(json_object_get(said, "capabilities"), name,
	                    value) if (json_is_null(value))
	        json_array_append_new(can, json_string(name));
	NOVA_AUTOFREE char *list = joined(can);
	printf("\nIt can: %s\n", *list ? list : "nothing");
	print_reasons("It cannot:", others);
	print_reasons("Privileges that are missing:", missing);
	if (json_object_size(missing))
		printf("\nGive them, or leave what needs them out; novacore-hypervisor-%s(7) has "
		       "all that are needed, and the role with just these.\n",
		       target->driver->name);
}

/* What no run can do without. */
static bool is_usable(const json_t *capabilities)
{
	return json_is_null(json_object_get(capabilities, NOVA_CAN_CREATE)) &&
	       json_is_null(json_object_get(capabilities, NOVA_CAN_START));
}

static int tell(const struct target_command *command, const struct chosen_target *target,
                const char *uri, const json_t *said)
{
	json_t *capabilities = json_object_get(said, "capabilities");
	NOVA_AUTOJSON json_t *missing = by_reason(capabilities, true);
	NOVA_AUTOJSON json_t *others = by_reason(capabilities, false);
	int code = is_usable(capabilities) && !json_object_size(missing) ? 0 : 3;

	if (command->json) {
		NOVA_AUTOJSON json_t *document = json_pack(
		        "{ss ss s:{ss ss} ss? sO? sO? sO sI}", "schema", "novacore.target/1",
		        "name", target->name, "driver", "name", target->driver->name, "version",
		        target->driver->version, "uri", uri, "facts",
		        json_object_get(said, "facts"), "capabilities", capabilities,
		        "missing_privileges", missing, "exit_code", (json_int_t)code);
		target_print(document);
	} else {
		print_target(target, uri, said, missing, others);
		if (!is_usable(capabilities))
			puts("\nVMs cannot be created and started there: no benchmark can be run.");
	}
	return code;
}

static void on_note(void *context, enum nova_level level, const char *text)
{
	(void)context;
	nova_log(level, "%s", text);
}

static int ask(const struct target_command *command, const struct nova_settings *settings,
               int *result, struct nova_error *error)
{
	TARGET_AUTO struct chosen_target target = {0};
	NOVA_AUTOJSON json_t *said = NULL;
	int code = target_choose(settings, command->name, &target, error);

	if (code)
		return code;
	NOVA_AUTOFREE char *key = target_key(settings->config, &target, "uri");
	bool given = target.uri && *target.uri;
	const struct nova_preflight_request request = {.config = settings->config,
	                                               .registry = settings->registry,
	                                               .name = target.name,
	                                               .plugin = target.driver->name,
	                                               .uri = given ? target.uri : NULL,
	                                               .watch = {.note = on_note}};
	const char *uri = given ? target.uri
	                  : nova_config_declared(settings->config, key) &&
	                                  nova_config_has(settings->config, key)
	                          ? nova_config_text(settings->config, key, 0)
	                          : NULL;
	code = nova_preflight(&request, &said, error);
	if (!code)
		*result = tell(command, &target, uri, said);
	if (!code || code == NOVA_E_INVALID || code == NOVA_E_INTERRUPTED || code == NOVA_E_REFUSED)
		return code;
	nova_complain(error); /* whatever the reason: it cannot be used */
	*result = 3;
	return 0;
}

int target_test(const struct target_command *command, int *result, struct nova_error *error)
{
	char **sets = nova_alloc((command->set_count + 1) * sizeof(*sets));
	struct nova_settings settings = {0};
	int code;

	for (size_t i = 0; i < command->set_count; i++)
		sets[i] = target_setting(command->name, command->sets[i]);
	code = nova_settings_load(NULL, command->config, (const char *const *)sets,
	                          command->set_count, &settings, error);
	if (!code)
		code = ask(command, &settings, result, error);
	nova_settings_free(&settings);
	for (size_t i = 0; i < command->set_count; i++)
		free(sets[i]);
	free(sets);
	return code;
}
