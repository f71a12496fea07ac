/* SPDX-License-Identifier: MIT */
/*
 * `novacore check-one`: one check of one plugin in this process, which it may cost. Not for people:
 * plugin_check.c starts it. stdout and stderr become files in memory, so that what the plugin
 * writes there can be seen and never mixes with the answer.
 */
#include "core/cli/check.h"
#include "core/cli/profiles.h"

#include <novacore/testhost.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* A plugin that writes a file without end must not fill the disk. */
#define FILE_LIMIT (1u << 30)

const char *const verdict_words[] = {"", "passed", "failed", "not-tried"};

static int answer = -1; /* what was stdout */

/* --- the answer ------------------------------------------------------------------------------- */

static void say(char what, const char *text)
{
	NOVA_AUTOFREE char *line = nova_format("%c %s\n", what, text);

	for (char *at = line; *at && at[1]; at++)
		if (*at == '\n' || *at == '\r')
			*at = ' ';
	(void)!write(answer, line, strlen(line));
}

static void say_stage(void *context, const char *text)
{
	(void)context;
	say('S', text);
}

static void say_verdict(enum nova_verdict verdict, const char *why)
{
	NOVA_AUTOFREE char *text = nova_format("%s %s", verdict_words[verdict], why);

	say('V', text);
}

/* --- loading ---------------------------------------------------------------------------------- */

static int load(const json_t *request, bool compare, const struct nova_plugin **plugin,
                enum nova_refusal_reason *reason, struct nova_error *error)
{
	return nova_plugin_try(nova_json_text(request, "path"), nova_json_text(request, "sha256"),
	                       compare, nova_testhost_table(), plugin, reason, error);
}

static const struct nova_plugin *load_for_check(void *context, char *why, uint32_t room)
{
	const struct nova_plugin *plugin;
	enum nova_refusal_reason reason = 0;
	struct nova_error error = {0};

	if (load(context, false, &plugin, &reason, &error)) {
		snprintf(why, room, "%s", error.text);
		return NULL;
	}
	return plugin;
}

/* Of the reasons not to load, each is judged by one check: the others were not tried. */
static enum nova_verdict judge_load(const json_t *request, bool compare, uint32_t mine, char *why,
                                    size_t room)
{
	const struct nova_plugin *plugin;
	enum nova_refusal_reason reason = 0;
	struct nova_error error = {0};

	say('S', "loading it");
	if (!load(request, compare, &plugin, &reason, &error))
		return NOVA_VERDICT_PASSED;
	bool sizes = reason == NOVA_REFUSED_STRUCT_SIZE || reason == NOVA_REFUSED_NULL_OPS;
	uint32_t whose = sizes ? 1 : reason == NOVA_REFUSED_DESCRIPTOR ? 2 : 0;
	if (whose < mine) {
		snprintf(why, room, "%s", error.text);
		return NOVA_VERDICT_NOT_TRIED;
	}
	if (whose > mine)
		return NOVA_VERDICT_PASSED;
	snprintf(why, room, "%s (%s)", error.text, nova_refusal_code(reason));
	return NOVA_VERDICT_FAILED;
}

static enum nova_verdict check_load(const json_t *request, char *why, size_t room)
{
	return judge_load(request, false, 0, why, room);
}

static enum nova_verdict check_sizes(const json_t *request, char *why, size_t room)
{
	return judge_load(request, false, 1, why, room);
}

static enum nova_verdict check_descriptor(const json_t *request, char *why, size_t room)
{
	return judge_load(request, true, 2, why, room);
}

/* --- a profile's settings --------------------------------------------------------------------- */

static struct nova_registry *scan(void)
{
	struct nova_registry *registry = NULL;
	struct nova_error error = {0};

	return nova_registry_scan(&registry, &error) ? NULL : registry;
}

/* As `novacore config check` does with a profile's file. */
static int judge_settings(const struct nova_registry *registry, const char *name, const char *text,
                          struct nova_error *error)
{
	NOVA_AUTOCONFIG struct nova_config *config = settings_declare(registry);
	NOVA_AUTOFREE char *origin = nova_format("profile %s", name), *base = NULL;
	PROFILE_AUTOLIST struct profile_list profiles = {0};
	int code = nova_config_inherits(origin, text, &base, error);

	profile_list_read(registry, &profiles);
	if (code == 0 && base)
		code = profile_add(&profiles, base, config, error);
	if (code == 0)
		code = nova_config_add_text(config, NOVA_LAYER_PROFILE, origin, text, error);
	if (code == 0)
		code = nova_config_finish(config, error);
	if (code == 0)
		code = settings_check_goals(registry, config, error);
	return code == 0 ? settings_check_suite(registry, config, error) : code;
}

static enum nova_verdict check_settings(const json_t *request, char *why, size_t room)
{
	char load_why[1024];
	const struct nova_plugin *plugin =
	        load_for_check((void *)(uintptr_t)request, load_why, sizeof(load_why));
	struct nova_registry *registry = plugin ? scan() : NULL;
	struct nova_error error = {0};
	int code;

	if (!registry) {
		snprintf(why, room, "%s",
		         plugin ? "the installed plugins cannot be found" : load_why);
		return NOVA_VERDICT_NOT_TRIED;
	}
	const struct nova_profile *profile = plugin->ops;
	code = judge_settings(registry, plugin->name, profile->settings, &error);
	nova_registry_free(registry);
	snprintf(why, room, "%s", code ? error.text : "");
	return code ? NOVA_VERDICT_FAILED : NOVA_VERDICT_PASSED;
}

/* For `adapt`: one setting alone. */
static int judge_setting(void *context, const char *key, const char *value, char *why,
                         uint32_t room)
{
	static struct nova_registry *registry;
	NOVA_AUTOFREE char *assignment = nova_format("%s=%s", key, value);
	struct nova_error error = {0};

	(void)context;
	registry = registry ? registry : scan();
	NOVA_AUTOCONFIG struct nova_config *config =
	        registry ? settings_declare(registry) : nova_config_new();
	if (!nova_config_add_setting(config, assignment, &error) &&
	    !nova_config_finish(config, &error))
		return NOVA_DONE;
	snprintf(why, room, "%s", error.text);
	return NOVA_E_INVALID;
}

const struct own_check own_checks[] = {
        {"load", NOVA_CHECK_OF_ALL, NULL, "it loads, and its entry returns", check_load},
        {"sizes", NOVA_CHECK_OF_ALL, "load",
         "every struct says its size, and what is required is there", check_sizes},
        {"descriptor", NOVA_CHECK_OF_ALL, "sizes",
         "it says of itself what its manifest says, and what the SDK allows", check_descriptor},
        {"settings", NOVA_CHECK_OF(NOVA_KIND_PROFILE), "sizes",
         "its settings parse, and novacore knows all of their keys", check_settings},
        {NULL, 0, NULL, NULL, NULL}};

/* --- sessions --------------------------------------------------------------------------------- */

#define EXPIRE_NS (60 * NOVA_SECOND_NS)

/* The user's own command, by a shell; the first line of its stderr is why it cannot. */
static int expire_sessions(void *context, char *why, uint32_t room)
{
	const char *command = nova_json_text(context, "expire"), *said;
	struct nova_child_result result = {0};
	struct nova_error error = {0};
	const struct nova_child child = {.argv = (const char *const[]){"sh", "-c", command, NULL},
	                                 .deadline_ns = nova_now_ns() + EXPIRE_NS};
	int code = nova_child_run(&child, &result, &error);

	said = code ? error.text : nova_text_get(&result.errors);
	said = *said ? said : "the command for it failed, and says no reason";
	snprintf(why, room, "%.*s", (int)strcspn(said, "\n"), said);
	code = code ? code : result.status ? NOVA_E_FAILED : NOVA_DONE;
	nova_child_result_free(&result);
	return code;
}

/* --- the process ------------------------------------------------------------------------------ */

static json_t *read_request(void)
{
	NOVA_AUTOTEXT struct nova_text text = {0};
	char piece[4096];
	ssize_t got;

	while ((got = read(0, piece, sizeof(piece))) > 0)
		nova_text_add_bytes(&text, piece, (size_t)got);
	return json_loads(nova_text_get(&text), 0, NULL);
}

/* stdin is /dev/null, stdout and stderr are files in memory. */
static bool set_stage(void)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	answer = fcntl(1, F_DUPFD_CLOEXEC, 10);
	if (answer < 0 || null < 0 || dup2(null, 0) < 0)
		return false;
	close(null);
	for (int fd = 1; fd <= 2; fd++) {
		int file = memfd_create("novacore-output", MFD_CLOEXEC);
		if (file < 0 || dup2(file, fd) < 0)
			return false;
		close(file);
	}
	return true;
}

static void set_limits(void)
{
	const struct rlimit none = {0, 0}, files = {FILE_LIMIT, FILE_LIMIT};

	setrlimit(RLIMIT_CORE, &none); /* it is meant to crash here, and not to leave traces */
	setrlimit(RLIMIT_FSIZE, &files);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	unsetenv("LD_BIND_NOW");
}

static const char **texts_of(const json_t *array)
{
	const char **texts = nova_alloc((json_array_size(array) + 1) * sizeof(*texts));

	for (size_t i = 0; i < json_array_size(array); i++)
		texts[i] = json_string_value(json_array_get(array, i));
	return texts;
}

static enum nova_verdict perform(json_t *json, char *why, uint32_t room, uint32_t *flags)
{
	const char *name = nova_json_text(json, "check");
	const struct nova_validator_check *const *check = nova_validator_checks();
	NOVA_AUTOFREE const char **parameters = texts_of(json_object_get(json, "parameters"));

	for (const struct own_check *own = own_checks; own->name; own++)
		if (!strcmp(own->name, name))
			return own->run(json, why, room);
	while (*check && strcmp((*check)->name, name))
		check++;
	if (!*check) {
		snprintf(why, room, "there is no check `%s`", name);
		return NOVA_VERDICT_NOT_TRIED;
	}
	*flags = (*check)->flags;
	const struct nova_validator_request request = {
	        .load = load_for_check,
	        .setting = judge_setting,
	        .stage = say_stage,
	        .context = json,
	        .parameters = parameters,
	        .op_timeout_ms = json_integer_value(json_object_get(json, "op_timeout_ms")),
	        .prefix = nova_json_text(json, "prefix"),
	        .image = json_string_value(json_object_get(json, "image")),
	        .kernel = json_string_value(json_object_get(json, "kernel")),
	        .initrd = json_string_value(json_object_get(json, "initrd")),
	        .cmdline = json_string_value(json_object_get(json, "cmdline")),
	        .quick = json_is_true(json_object_get(json, "quick")),
	        .vms = (uint32_t)json_integer_value(json_object_get(json, "vms")),
	        .expire =
	                json_string_value(json_object_get(json, "expire")) ? expire_sessions : NULL,
	        .contract_failed = json_is_true(json_object_get(json, "contract_failed"))};
	return nova_validator_run(*check, &request, why, room);
}

int nova_command_check_one(int argc, char **argv)
{
	NOVA_AUTOJSON json_t *request = argc == 1 && !isatty(0) ? read_request() : NULL;
	char why[4096] = "", pid[24];
	uint32_t flags = 0;

	(void)argv;
	if (!request) {
		fputs("novacore: check-one is what novacore plugin check starts; see novacore "
		      "plugin check --help\n",
		      stderr);
		return 2;
	}
	nova_log_terminal(NOVA_LOG_ERROR);
	if (!set_stage())
		return 4;
	set_limits();
	snprintf(pid, sizeof(pid), "%d", getpid());
	say('P', pid);
	enum nova_verdict verdict = perform(request, why, sizeof(why), &flags);
	say_verdict(verdict, why);
	if (!(flags & NOVA_CHECK_ENDS))
		_exit(0); /* the plugin's destructors are for another check */
	say('S', "the process's end");
	return 0;
}
