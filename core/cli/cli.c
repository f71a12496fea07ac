/* SPDX-License-Identifier: MIT */
/* What the commands share: common options, complaints, output files. */
#include "core/cli/cli.h"

#include "core/store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int unknown_option(char **argv, const struct option *options)
{
	const char *word = argv[optind > 0 ? optind - 1 : 0], *names[64] = {NULL};
	const char *near = NULL;
	size_t count = 0;

	for (; options[count].name && count < NOVA_COUNT(names) - 1; count++)
		names[count] = options[count].name;
	if (!strncmp(word, "--", 2)) {
		NOVA_AUTOFREE char *bare =
		        nova_format("%.*s", (int)strcspn(word + 2, "="), word + 2);

		near = nova_nearest(bare, names);
	}
	fprintf(stderr,
	        "novacore: unknown or ambiguous option \"%s\"%s%s%s; --help lists the options\n",
	        word, near ? "; did you mean --" : "", near ? near : "", near ? "?" : "");
	return 2;
}

int nova_common_option(int option, char **argv, const struct option *options, const char *help)
{
	struct nova_error error = {0};

	switch (option) {
	case NOVA_OPTION_HELP: fputs(help, stdout); return 0;
	case NOVA_OPTION_QUIET: nova_log_terminal(NOVA_LOG_ERROR); return -1;
	case NOVA_OPTION_VERBOSE: nova_log_terminal(NOVA_LOG_DEBUG); return -1;
	case NOVA_OPTION_LOG_FILE:
		return nova_log_open(optarg, &error) ? nova_complain(&error) : -1;
	case ':':
		fprintf(stderr, "novacore: option \"%s\" needs a value; --help explains it\n",
		        argv[optind - 1]);
		return 2;
	default: return unknown_option(argv, options);
	}
}

int nova_complain(const struct nova_error *error)
{
	nova_log(NOVA_LOG_ERROR, "%s", error->text);
	return nova_code_exit(error->code);
}

/* Through a link (/dev/stdout), the file that it points to is replaced, not the link. */
static char *replaced(const char *path)
{
	char *real = realpath(path, NULL);

	return real ? real : nova_strdup(path);
}

static char *unfinished(const char *path)
{
	NOVA_AUTOFREE char *real = replaced(path);

	return nova_format("%s.%d.new", real, (int)getpid());
}

/* /dev/null, a pipe: renaming over it would destroy it (root's /dev/null is everybody's). */
static bool in_place(const char *path)
{
	struct stat about;

	return !stat(path, &about) && !S_ISREG(about.st_mode);
}

FILE *nova_output_open(const char *path, struct nova_error *error)
{
	NOVA_AUTOFREE char *temporary = NULL;
	FILE *file;

	if (!path || !strcmp(path, "-"))
		return stdout;
	temporary = unfinished(path);
	file = in_place(path) ? fopen(path, "we") : fopen(temporary, "wxe");
	if (!file)
		nova_error_errno(error, "cannot write %s", path);
	return file;
}

void nova_output_discard(FILE *file, const char *path)
{
	NOVA_AUTOFREE char *temporary = NULL;

	if (file == stdout)
		return;
	temporary = unfinished(path);
	fclose(file);
	if (!in_place(path))
		unlink(temporary);
}

int nova_output_close(FILE *file, const char *path, struct nova_error *error)
{
	NOVA_AUTOFREE char *temporary = NULL, *real = NULL;
	bool failed = ferror(file);

	if (file == stdout) {
		if (fflush(stdout) || failed)
			return nova_error_errno(error, "cannot write to standard output");
		return 0;
	}
	if (in_place(path)) {
		failed = fclose(file) || failed;
		return failed ? nova_error_errno(error, "cannot write %s", path) : 0;
	}
	temporary = unfinished(path);
	real = replaced(path);
	failed = fflush(file) || failed || fsync(fileno(file));
	failed = fclose(file) || failed;
	if (failed || rename(temporary, real)) {
		nova_error_errno(error, "cannot write %s", path);
		unlink(temporary);
		return error->code;
	}
	return 0;
}

int nova_settings_store(const struct nova_settings *settings, struct nova_store **store,
                        struct nova_error *error)
{
	const struct nova_config *config = settings->config;

	return nova_store_open(nova_config_has(config, "store.path")
	                               ? nova_config_text(config, "store.path", 0)
	                               : NULL,
	                       store, error);
}

json_t *nova_document_read(const char *path, struct nova_error *error)
{
	bool standard = !strcmp(path, "-");
	FILE *file = standard ? stdin : fopen(path, "re");
	json_error_t why;
	json_t *result;

	if (!file) {
		nova_error_errno(error, "cannot read %s", path);
		return NULL;
	}
	result = json_loadf(file, JSON_REJECT_DUPLICATES, &why);
	if (!result)
		nova_error_set(error, NOVA_E_INVALID, "%s:%d: not JSON: %s",
		               standard ? "standard input" : path, why.line, why.text);
	if (!standard)
		fclose(file);
	return result;
}
