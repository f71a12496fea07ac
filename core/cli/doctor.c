/* SPDX-License-Identifier: MIT */
/* novacore doctor: checks this host and names each fix. */
#include "core/cli/cli.h"

#include "core/guest/guest.h"
#include "core/machine/machine.h"
#include "core/store/store.h"

#include <string.h>

static const char help[] =
        "usage: novacore doctor [--format table|json]\n"
        "\n"
        "Checks what runs need of this host: virtualisation, QEMU, the appliance's parts, "
        "permissions,\n"
        "memory, disk, plugins, the store. Changes nothing, and names the fix of each finding.\n"
        "\n"
        "examples:\n"
        "  novacore doctor\n"
        "  novacore doctor --format json | jq '.findings[] | select(.ok | not)'\n"
        "\n"
        "  --format FORMAT       table (default) or json\n" NOVA_COMMON_HELP "\n"
        "Exit codes: 0 all that is needed is there, 3 something needed is missing.\n";

enum { OPTION_FORMAT = 1 };

static const struct option options[] = {{"format", required_argument, NULL, OPTION_FORMAT},
                                        NOVA_COMMON_OPTIONS,
                                        {NULL, 0, NULL, 0}};

/* The sentence of a refusal says what is so, and after its last semicolon what to do. */
static void add_refusal(json_t *findings, const struct nova_refusal *refusal)
{
	const char *todo = NULL, *at = refusal->text;

	while ((at = strstr(at, "; ")))
		todo = at += 2;
	nova_machine_find(findings, "plugin", true,
	                  todo ? todo
	                       : "install it again, or remove it; novacore plugin list --refused "
	                         "lists all that is refused",
	                  "%s: %.*s (%s)", refusal->path,
	                  todo ? (int)(todo - 2 - refusal->text) : (int)strlen(refusal->text),
	                  refusal->text, nova_refusal_code(refusal->reason));
}

static void check_plugins(json_t *findings)
{
	struct nova_registry *registry = NULL;
	struct nova_error error = {0};

	if (nova_registry_scan(&registry, &error)) {
		nova_machine_find(findings, "plugins", false, "reinstall novacore", "%s",
		                  error.text);
		return;
	}
	nova_machine_find(findings, "plugins", false,
	                  registry->plugin_count ? NULL : "install novacore's plugins beside it",
	                  "%zu found and trusted", registry->plugin_count);
	for (size_t i = 0; i < registry->refusal_count; i++)
		add_refusal(findings, &registry->refusals[i]);
	nova_registry_free(registry);
}

static void check_store(json_t *findings)
{
	NOVA_AUTOFREE char *path = nova_place(NOVA_PLACE_STATE, "novacore.db");
	struct nova_store *store = NULL;
	struct nova_error error = {0};

	if (nova_store_open(NULL, &store, &error))
		nova_machine_find(findings, "store", false, "see the message", "%s", error.text);
	else
		nova_machine_find(findings, "store", false, NULL, "%s opens, installation %s", path,
		                  nova_store_installation(store));
	nova_store_close(store);
}

static bool truth(const json_t *finding, const char *name)
{
	return json_is_true(json_object_get(finding, name));
}

static void print_findings(const json_t *findings)
{
	json_t *finding;
	size_t i;

	json_array_foreach(findings, i, finding)
	{
		const char *fix = json_string_value(json_object_get(finding, "fix"));
		const char *state = truth(finding, "ok")         ? "ok"
		                    : truth(finding, "optional") ? "note"
		                                                 : "MISSING";

		printf("%-8s %-18s %s\n", state,
		       json_string_value(json_object_get(finding, "subject")),
		       json_string_value(json_object_get(finding, "detail")));
		if (fix)
			printf("%-8s %-18s -> %s\n", "", "", fix);
	}
}

static json_t *examine(bool *missing)
{
	json_t *findings = nova_machine_check(),
	       *guest = nova_guest_check(&(struct nova_guest_options){0});
	json_t *finding;
	size_t i;

	json_array_extend(findings, guest);
	json_decref(guest);
	check_plugins(findings);
	check_store(findings);
	*missing = false;
	json_array_foreach(findings, i, finding) *missing =
	        *missing || (!truth(finding, "ok") && !truth(finding, "optional"));
	return findings;
}

int nova_command_doctor(int argc, char **argv)
{
	NOVA_AUTOJSON json_t *findings = NULL, *all = NULL;
	const char *format = "table";
	bool missing;
	int option, code;

	optind = 0;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:", options, NULL)) >= 0) {
		if (option == OPTION_FORMAT) {
			format = optarg;
			continue;
		}
		code = nova_common_option(option, argv, options, help);
		if (code >= 0)
			return code;
	}
	if (optind < argc || (strcmp(format, "table") && strcmp(format, "json"))) {
		fputs("novacore: doctor takes --format table or json and no argument\n", stderr);
		return 2;
	}
	findings = examine(&missing);
	if (!strcmp(format, "json")) {
		all = json_pack("{sb sO}", "ok", !missing, "findings", findings);
		json_dumpf(all, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print_findings(findings);
		puts(missing ? "\nSomething that is needed is missing; the arrows say what to do."
		             : "\nAll that is needed is there.");
	}
	return missing ? 3 : 0;
}
