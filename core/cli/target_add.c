/* SPDX-License-Identifier: MIT */
/* `novacore target add`: what is written must be right as a whole, and hold no secret. */
#include "core/cli/profiles.h"
#include "core/cli/target_command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_LIMIT (1u << 20)

static int check_name(const char *name, struct nova_error *error)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

	if (length && length <= 40 && !name[length] && name[0] >= 'a' && name[0] <= 'z')
		return 0;
	return nova_error_set(error, NOVA_E_INVALID,
	                      "\"%.60s\" cannot be a target's name: lower-case letters, digits and "
	                      "\"-\", beginning with a letter, at most 40",
	                      name);
}

static bool is_reference(const char *value)
{
	return !strncmp(value, "file:", 5) || !strncmp(value, "env:", 4) ||
	       !strncmp(value, "keyring:", 8);
}

/* What stands in a file is read from anywhere. */
static char *make_absolute(const char *name, size_t length, const char *value)
{
	bool relative = !strncmp(value, "file:", 5) && value[5] != '/';
	NOVA_AUTOFREE char *here = relative ? getcwd(NULL, 0) : NULL;

	return here ? nova_format("%.*s=file:%s/%s", (int)length, name, here, value + 5) : NULL;
}

/* Before anything else looks at it, so that no message shows a secret. */
static int check_setting(const struct nova_manifest *driver, char **setting,
                         struct nova_error *error)
{
	size_t length = strcspn(*setting, "=");
	const struct nova_spec *spec = target_spec(driver, *setting, length);
	const char *value = *setting + length + 1;
	char *absolute;

	if (!(*setting)[length])
		return nova_error_set(error, NOVA_E_INVALID, "--set %s: want NAME=VALUE", *setting);
	if (!spec) {
		NOVA_AUTOFREE char *name = nova_format("%.*s", (int)length, *setting);
		NOVA_AUTOFREE const char **names =
		        nova_alloc((driver->spec_count + 1) * sizeof(*names));
		for (size_t i = 0; i < driver->spec_count; i++)
			names[i] = driver->specs[i].name;
		const char *near = nova_nearest(name, names);
		return nova_error_set(error, NOVA_E_INVALID,
		                      "--set %.60s: the driver %s has no such parameter%s%s%s; see "
		                      "novacore plugin info %s",
		                      name, driver->name, near ? "; did you mean \"" : "",
		                      near ? near : "", near ? "\"?" : "", driver->name);
	}
	for (const char *at = value; *at; at++)
		if ((unsigned char)*at < ' ')
			return nova_error_set(error, NOVA_E_INVALID,
			                      "--set %s: there is a control character in the value",
			                      spec->name);
	if (spec->type != NOVA_PARAM_SECRET)
		return 0;
	if (!is_reference(value))
		return nova_error_set(
		        error, NOVA_E_REFUSED,
		        "--set %s: a secret does not belong on a command line, where every user "
		        "of this host can read it; write it into a file that only you can read "
		        "and give file:PATH, or give env:NAME or keyring:NAME",
		        spec->name);
	absolute = make_absolute(*setting, length, value);
	if (absolute) {
		free(*setting);
		*setting = absolute;
	}
	return 0;
}

/* The file's own path, behind links; one that is not there yet as it is. The caller's. */
static char *find_file(const struct target_command *command)
{
	char *given = command->config ? nova_strdup(command->config)
	                              : nova_place(NOVA_PLACE_CONFIG, "novacore.conf");
	char *real = realpath(given, NULL);

	if (!real)
		return given;
	free(given);
	return real;
}

/* An empty text for a file that is not there. */
static int read_text(const char *path, char **text, mode_t *mode, struct nova_error *error)
{
	struct stat about;

	*mode = 0600;
	if (stat(path, &about) != 0 && errno == ENOENT) {
		*text = nova_strdup("");
		return 0;
	}
	*text = nova_file_read(path, FILE_LIMIT, NULL, error);
	if (*text && stat(path, &about) == 0)
		*mode = about.st_mode & 0777;
	return *text ? 0 : error->code;
}

/* Would a run read it, with this text in the place of the file? And is the name free? */
static int check_text(const struct target_command *command, const struct nova_registry *registry,
                      const char *path, const char *text, bool before, struct nova_error *error)
{
	NOVA_AUTOCONFIG struct nova_config *config = settings_declare(registry);
	NOVA_AUTOFREE char *system = nova_place(NOVA_PLACE_SYSTEM, "novacore.conf");
	NOVA_AUTOFREE char *user = nova_place(NOVA_PLACE_CONFIG, "novacore.conf");
	NOVA_AUTOFREE char *key = nova_format("target.%s.plugin", command->name);
	int code = 0;

	if (strcmp(system, path))
		code = nova_config_add_file(config, NOVA_LAYER_SYSTEM, system, false, error);
	if (!code && strcmp(user, path) && strcmp(user, system))
		code = nova_config_add_file(config, NOVA_LAYER_USER, user, false, error);
	if (!code)
		code = nova_config_add_text(config, NOVA_LAYER_USER, path, text, error);
	if (!code)
		code = nova_config_finish(config, error);
	if (code)
		return code;
	if (before && nova_config_declared(config, key))
		return nova_error_set(error, NOVA_E_EXISTS,
		                      "there is a target %s already, at %s: change it there, or "
		                      "choose another name",
		                      command->name, nova_config_origin(config, key));
	return 0;
}

/* What keeps the new target from being used now is said, and no reason not to write it. */
static void warn_unready(const struct target_command *command, const char *plugin)
{
	NOVA_AUTOFREE char *prefix = nova_format("hypervisor.%s", plugin);
	NOVA_AUTOFREE char *over = nova_format("target.%s", command->name);
	struct nova_settings settings = {0};
	struct nova_error error = {0};
	int code = nova_settings_load(NULL, command->config, NULL, 0, &settings, &error);

	if (!code)
		code = nova_config_ready(settings.config, prefix, over, NULL, &error);
	if (code)
		nova_log(NOVA_LOG_WARNING, "it cannot be used yet: %s", error.text);
	nova_settings_free(&settings);
}

static int write_text(const char *path, const char *text, mode_t mode, struct nova_error *error)
{
	mode_t mask = umask(0);
	int code = nova_file_write(path, text, strlen(text), mode, error);

	umask(mask);
	return code;
}

static int add_to(const struct target_command *command, const struct nova_registry *registry,
                  const struct nova_manifest *driver, const char *path, struct nova_error *error)
{
	NOVA_AUTOFREE char *group = target_group(
	        driver, command->name, (const char *const *)command->sets, command->set_count);
	NOVA_AUTOFREE char *before = NULL, *after = NULL;
	mode_t mode;
	int code = read_text(path, &before, &mode, error);

	if (!code)
		code = check_text(command, registry, path, before, true, error);
	if (code)
		return code;
	after = target_insert(before, group);
	code = check_text(command, registry, path, after, false, error);
	if (code)
		return nova_error_prefix(error, "nothing was written; with the target");
	if (command->dry_run) {
		printf("Would be added to %s, below target:\n\n%s", path, group);
		return 0;
	}
	code = write_text(path, after, mode, error);
	if (code)
		return code;
	printf("%s is a target now (%s); novacore target test %s tries it.\n", command->name, path,
	       command->name);
	warn_unready(command, driver->name);
	return 0;
}

/* One at a time: what another one has just added stays. < 0: the error is set. */
static int lock_folder(const char *path, struct nova_error *error)
{
	NOVA_AUTOFREE char *folder = nova_strdup(path);
	char *slash = strrchr(folder, '/');
	int fd;

	if (slash && slash != folder)
		*slash = '\0';
	if (slash && nova_directory_make(folder, 0700, error))
		return -1;
	fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX) != 0)
		nova_error_errno(error, "cannot lock %s", folder);
	if (error->code && fd >= 0)
		close(fd);
	return error->code ? -1 : fd;
}

int target_add(struct target_command *command, struct nova_error *error)
{
	struct nova_registry *registry = NULL;
	const struct nova_manifest *driver = NULL;
	NOVA_AUTOFREE char *path = find_file(command);
	int code = check_name(command->name, error), lock = -1;

	if (!code)
		code = nova_registry_scan(&registry, error);
	if (!code)
		driver = nova_registry_find(registry, NOVA_KIND_HYPERVISOR, command->plugin, error);
	code = error->code;
	for (size_t i = 0; i < command->set_count && !code; i++)
		code = check_setting(driver, &command->sets[i], error);
	if (!code && !command->dry_run)
		code = (lock = lock_folder(path, error)) < 0 ? error->code : 0;
	if (!code)
		code = add_to(command, registry, driver, path, error);
	if (lock >= 0)
		close(lock);
	nova_registry_free(registry);
	return code;
}
