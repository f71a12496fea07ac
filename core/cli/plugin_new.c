/* SPDX-License-Identifier: MIT */
/*
 * `novacore plugin new`: a project for a plugin of one's own, from the templates of the SDK. It is
 * made whole in memory, then written: all of it or nothing, and never over anything.
 */
#include "core/cli/cli.h"
#include "core/cli/plugin_actions.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TEMPLATE_LIMIT (1u << 20)

static const char help[] =
        "usage: novacore plugin new KIND NAME [DIR] [--author NAME] [--license SPDX] [--dry-run]\n"
        "\n"
        "Writes a project for a plugin of your own: source, CMakeLists.txt, manual page, unit "
        "test,\n"
        "README. It builds, passes its test and installs with nothing but the installed SDK\n"
        "(package novacore-sdk-dev), and does something real from the start.\n"
        "\n"
        "  KIND   benchmark, hypervisor, optimizer or profile\n"
        "  NAME   of the plugin: lower-case letters, digits and -\n"
        "  DIR    where to: a new directory or an empty one; default: NAME, here\n"
        "\n"
        "  --author NAME         for the licence; default: git's user.name, else your name\n"
        "  --license SPDX        licence of the plugin, an SPDX expression; default: MIT, with "
        "its\n"
        "                        text; of others, put the text there yourself\n"
        "  --dry-run             only say what would be written\n" NOVA_COMMON_HELP "\n"
        "examples:\n"
        "  novacore plugin new benchmark hello\n"
        "  mkdir work && cd work && novacore plugin new hypervisor acme .\n"
        "  novacore plugin new profile build-farm --license Apache-2.0 --dry-run\n";

struct request {
	uint32_t kind;
	const char *name, *directory, *license;
	char *author;
	bool dry_run;
};

struct project {
	struct file {
		char *name, *text;
	} * files;
	size_t count;
};

static void project_free(struct project *project)
{
	for (size_t i = 0; i < project->count; i++) {
		free(project->files[i].name);
		free(project->files[i].text);
	}
	free(project->files);
}

/* --- what is asked for ----------------------------------------------------------------------- */

static int check_kind(const char *word, struct request *request, struct nova_error *error)
{
	static const char *const kinds[] = {"benchmark", "hypervisor", "optimizer", "profile",
	                                    NULL};
	const char *nearest = nova_nearest(word, kinds);

	request->kind = nova_kind_parse(word);
	if (request->kind)
		return 0;
	return nova_error_set(error, NOVA_E_INVALID,
	                      "`%s` is no kind of plugin%s%s%s; there are benchmark, hypervisor, "
	                      "optimizer and profile",
	                      word, nearest ? "; did you mean `" : "", nearest ? nearest : "",
	                      nearest ? "`?" : "");
}

/* The nearest name that is allowed: "My_Plugin" → "my-plugin"; "" if there is none. */
static char *allowed_name(const char *name)
{
	NOVA_AUTOTEXT struct nova_text text = {0};

	for (; *name && text.length < 64; name++) {
		bool digit = *name >= '0' && *name <= '9', low = *name >= 'a' && *name <= 'z';
		bool capital = *name >= 'A' && *name <= 'Z';
		char c = capital ? (char)(*name - 'A' + 'a') : digit || low ? *name : '-';

		if (c != '-' || (text.length && text.data[text.length - 1] != '-'))
			nova_text_add_bytes(&text, &c, 1);
	}
	while (text.length && text.data[text.length - 1] == '-')
		text.data[--text.length] = '\0';
	return nova_strdup(nova_text_get(&text));
}

static int check_name(const char *name, struct nova_error *error)
{
	NOVA_AUTOFREE char *allowed = allowed_name(name);

	if (nova_name_valid(name))
		return 0;
	return nova_error_set(error, NOVA_E_INVALID,
	                      "`%s` cannot be the name of a plugin: it takes lower-case letters, "
	                      "digits and -, and begins with a letter or digit%s%s%s",
	                      name, *allowed ? "; write `" : "", allowed, *allowed ? "`" : "");
}

/* They come into comments and texts; what could end those, or begin a line, must not be there. */
static int check_word(const char *option, const char *text, const char *forbidden,
                      struct nova_error *error)
{
	bool control = false;

	for (const char *c = text; *c; c++)
		control = control || (unsigned char)*c < ' ' || *c == 127;
	if (*text && !control && !strpbrk(text, forbidden) && strlen(text) <= 200)
		return 0;
	return nova_error_set(error, NOVA_E_INVALID,
	                      "%s wants a text of one line, at most 200 bytes, without any of %s",
	                      option, forbidden);
}

static char *author_of_git(void)
{
	static const char *const argv[] = {"git", "config", "user.name", NULL};
	struct nova_child child = {.argv = argv, .deadline_ns = nova_now_ns() + 2 * NOVA_SECOND_NS};
	struct nova_child_result result = {0};
	char *author = NULL;

	if (!nova_child_run(&child, &result, NULL) && !result.status)
		author = nova_format("%.*s", (int)strcspn(nova_text_get(&result.output), "\n"),
		                     nova_text_get(&result.output));
	nova_child_result_free(&result);
	return author;
}

/* Who writes the plugin, as far as this machine knows. */
static char *default_author(const char *name)
{
	char *author = author_of_git();
	struct passwd *user = getpwuid(getuid());

	if ((!author || check_word("", author, "\"\\@*", NULL)) && user) {
		size_t length = strcspn(user->pw_gecos, ",");

		free(author);
		author = length ? nova_format("%.*s", (int)length, user->pw_gecos)
		                : nova_strdup(user->pw_name);
	}
	if (author && !check_word("", author, "\"\\@*", NULL))
		return author;
	free(author);
	return nova_format("the authors of %s", name);
}

/* --- the template ---------------------------------------------------------------------------- */

/* `*built`: it is no prefix but a build tree. */
static char *own_prefix(bool *built, struct nova_error *error)
{
	char *prefix = nova_prefix(error);
	NOVA_AUTOFREE char *program = nova_format("%s/bin/novacore", prefix ? prefix : "");

	*built = access(program, F_OK) != 0;
	return prefix;
}

static char *expand(const char *text, const struct request *request)
{
	time_t now = (time_t)(nova_utc_ns() / NOVA_SECOND_NS);
	struct tm utc;
	char year[16];
	const struct {
		const char *mark, *value;
	} marks[] = {{"@NAME@", request->name},
	             {"@AUTHOR@", request->author},
	             {"@LICENSE@", request->license},
	             {"@YEAR@", year}};
	struct nova_text result = {0};

	strftime(year, sizeof(year), "%Y", gmtime_r(&now, &utc));
	while (*text) {
		size_t i = 0, plain = strcspn(text, "@");

		nova_text_add_bytes(&result, text, plain);
		text += plain;
		while (i < NOVA_COUNT(marks) &&
		       strncmp(text, marks[i].mark, strlen(marks[i].mark)) != 0)
			i++;
		if (i < NOVA_COUNT(marks)) {
			nova_text_add(&result, marks[i].value);
			text += strlen(marks[i].mark);
		} else if (*text) {
			nova_text_add_bytes(&result, text++, 1);
		}
	}
	nova_text_add(&result, "");
	return result.data;
}

/* What a file of the template is called in the project; NULL: it does not belong there. Names that
 * mean something to package checkers or git stand in the template in another form. */
static char *name_in_project(const char *name, const struct request *request)
{
	if (!strcmp(name, "mit.text"))
		return strcmp(request->license, "MIT") ? NULL : nova_strdup("LICENSE");
	if (*name == '.')
		return NULL;
	return expand(strncmp(name, "dot.", 4) ? name : name + 3, request);
}

static int is_template(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int read_template(const char *directory, const struct request *request,
                         struct project *project, struct nova_error *error)
{
	struct dirent **entries;
	int count = scandir(directory, &entries, is_template, alphasort), result = 0;

	if (count < 0)
		return nova_error_errno(error, "cannot read the template %s", directory);
	for (int i = 0; i < count; i++) {
		NOVA_AUTOFREE char *path = nova_format("%s/%s", directory, entries[i]->d_name);
		char *name = name_in_project(entries[i]->d_name, request);
		NOVA_AUTOFREE char *text =
		        name && !result ? nova_file_read(path, TEMPLATE_LIMIT, NULL, error) : NULL;

		free(entries[i]);
		if (!text) {
			result = name && !result ? error->code : result;
			free(name);
			continue;
		}
		project->files = nova_grow(project->files, project->count, sizeof(*project->files));
		project->files[project->count++] = (struct file){name, expand(text, request)};
	}
	free(entries);
	return result;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

static int make_project(const char *prefix, bool built, const struct request *request,
                        struct project *project, struct nova_error *error)
{
	NOVA_AUTOFREE char *root = nova_format("%s/share/novacore/template", prefix);
	NOVA_AUTOFREE char *common = nova_format("%s/common", root);
	NOVA_AUTOFREE char *own = nova_format("%s/%s", root, nova_kind_name(request->kind));

	if (access(own, F_OK) && errno == ENOENT)
		return nova_error_set(
		        error, NOVA_E_UNAVAILABLE,
		        "there are no templates for plugins in %s; install the SDK: package "
		        "novacore-sdk-dev, or from source cmake --install BUILD --component sdk "
		        "--prefix %s",
		        root, built ? "PREFIX" : prefix);
	if (read_template(common, request, project, error) ||
	    read_template(own, request, project, error))
		return error->code;
	qsort(project->files, project->count, sizeof(*project->files), by_name);
	return 0;
}

/* --- writing --------------------------------------------------------------------------------- */

static int write_file(int directory, const struct file *file, struct nova_error *error)
{
	NOVA_AUTOCLOSE int fd =
	        openat(directory, file->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	size_t left = strlen(file->text);
	const char *text = file->text;

	if (fd < 0)
		return nova_error_errno(error, "cannot write %s", file->name);
	while (left) {
		ssize_t count = write(fd, text, left);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0) {
			nova_error_errno(error, "cannot write %s", file->name);
			unlinkat(directory, file->name, 0);
			return error->code;
		}
		text += count;
		left -= (size_t)count;
	}
	return 0;
}

/* All files, or none of them. */
static int write_files(const char *path, const struct project *project, struct nova_error *error)
{
	NOVA_AUTOCLOSE int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t i = 0;

	if (directory < 0)
		return nova_error_errno(error, "cannot open the directory %s", path);
	while (i < project->count && !write_file(directory, &project->files[i], error))
		i++;
	if (i == project->count)
		return 0;
	while (i--)
		unlinkat(directory, project->files[i].name, 0);
	return nova_error_prefix(error, "nothing was written to %s", path);
}

/* Whatever is in a directory but git's own; NULL if nothing. The caller frees it. */
static char *something_in(const char *path, struct nova_error *error)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	char *found = NULL;

	if (!directory) {
		nova_error_errno(error, "cannot write a project to %s", path);
		return NULL;
	}
	while (!found && (entry = readdir(directory))) {
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
		    strcmp(entry->d_name, ".git"))
			found = nova_strdup(entry->d_name);
	}
	closedir(directory);
	return found;
}

static int check_empty(const char *path, struct nova_error *error)
{
	NOVA_AUTOFREE char *found = something_in(path, error);

	if (found)
		nova_error_set(error, NOVA_E_EXISTS,
		               "%s is not empty (there is %s): nothing is written over; name a new "
		               "directory or an empty one",
		               path, found);
	return error->code;
}

/* Beside where it shall be, then renamed: nobody ever sees half of it. */
static int write_new(const char *path, const struct project *project, struct nova_error *error)
{
	NOVA_AUTOFREE char *temporary = nova_format("%s.XXXXXX", path);
	mode_t mask = umask(0);

	umask(mask);
	if (!mkdtemp(temporary))
		return nova_error_errno(error, "cannot make the directory %s", path);
	if (!write_files(temporary, project, error) &&
	    (chmod(temporary, 0777 & ~mask) || rename(temporary, path)))
		nova_error_errno(error, "cannot make the directory %s", path);
	if (error->code)
		nova_directory_remove(temporary, NULL);
	return error->code;
}

/* --- what comes next ------------------------------------------------------------------------- */

/* For a shell: as it is, or in quotes. */
static char *quoted(const char *text)
{
	NOVA_AUTOTEXT struct nova_text result = {0};

	if (*text && !text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                                "0123456789/._-+,:=@%")])
		return nova_strdup(text);
	nova_text_add(&result, "'");
	for (; *text; text++) {
		if (*text == '\'')
			nova_text_add(&result, "'\\''");
		else
			nova_text_add_bytes(&result, text, 1);
	}
	nova_text_add(&result, "'");
	return nova_strdup(nova_text_get(&result));
}

/* How the plugin is tried once novacore sees it. */
static const char *const trials[] = {
        [NOVA_KIND_BENCHMARK] = "run --plugin sim --benchmark %s",
        [NOVA_KIND_HYPERVISOR] = "run --plugin %s",
        [NOVA_KIND_OPTIMIZER] = "plugin info optimizer/%s",
        [NOVA_KIND_PROFILE] = "run --profile %s --plugin sim",
};

static void print_next(const struct request *request, const char *prefix, bool built)
{
	NOVA_AUTOFREE char *directory = quoted(request->directory),
	                   *place = quoted(*prefix ? prefix : "/");
	NOVA_AUTOFREE char *plugins =
	        nova_format("%s/lib/novacore/plugins/%u", prefix, NOVA_ABI_MAJOR);
	NOVA_AUTOFREE char *program = nova_format("%s%s", place, built ? "/" : "/bin/");
	bool usual = !strcmp(prefix, "/usr") || !strcmp(prefix, "/usr/local");
	bool ours = !built && !access(plugins, W_OK);

	puts("\nNext:");
	if (built)
		printf("  # this novacore runs from its build tree; the SDK must be installed:\n"
		       "  cmake --install %s --prefix PREFIX\n",
		       place);
	if (strcmp(request->directory, ".") != 0)
		printf("  cd %s\n", directory);
	printf("  cmake -B build%s%s\n", usual ? "" : " -DCMAKE_PREFIX_PATH=",
	       usual   ? ""
	       : built ? "PREFIX"
	               : place);
	puts("  cmake --build build\n"
	     "  ctest --test-dir build --output-on-failure");
	if (ours)
		printf("  cmake --install build --prefix %s\n  ", place);
	else
		fputs("  NOVACORE_PLUGIN_PATH=$PWD/build/lib/novacore/plugins ", stdout);
	printf("%snovacore ", usual ? "" : program);
	/* The table is ours. */
	const char *trial = trials[request->kind], *mark = strstr(trial, "%s");
	printf("%.*s%s%s\n", (int)(mark - trial), trial, request->name, mark + 2);
}

static void print_project(const struct request *request, const struct project *project)
{
	printf("%s %s/%s in %s:\n ", request->dry_run ? "Would write" : "Wrote",
	       nova_kind_name(request->kind), request->name, request->directory);
	for (size_t i = 0; i < project->count; i++)
		printf(" %s", project->files[i].name);
	putchar('\n');
}

/* Two of one kind and name cannot be used together: say so before there is a second. */
static void warn_of_namesake(const struct request *request)
{
	struct nova_registry *registry;
	struct nova_error ignored = {0}; /* it is a courtesy, no condition */

	if (nova_registry_scan(&registry, &ignored))
		return;
	for (size_t i = 0; i < registry->plugin_count; i++) {
		const struct nova_manifest *plugin = registry->plugins[i];

		if (plugin->kind == request->kind && !strcmp(plugin->name, request->name))
			nova_log(NOVA_LOG_WARNING,
			         "there is a plugin %s/%s already, %s: only one of a name is used, "
			         "so give yours another name or remove that one",
			         nova_kind_name(plugin->kind), plugin->name, plugin->path);
	}
	nova_registry_free(registry);
}

/* --- the command ----------------------------------------------------------------------------- */

static int check_request(char **words, int count, struct request *request, struct nova_error *error)
{
	if (count < 2)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "say which kind of plugin and its name: novacore plugin new "
		                      "benchmark hello; see novacore plugin new --help");
	if (count > 3)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "what is `%s`? see novacore plugin new --help", words[3]);
	if (check_kind(words[0], request, error) || check_name(words[1], error) ||
	    check_word("--license", request->license, "\"\\@*/", error))
		return error->code;
	request->name = words[1];
	request->directory = count > 2 ? words[2] : words[1];
	size_t length = strlen(request->directory);
	while (length > 1 && request->directory[length - 1] == '/')
		words[2][--length] = '\0';
	if (!length)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "the directory has no name; `.` is the current one");
	if (!request->author)
		request->author = default_author(request->name);
	return check_word("--author", request->author, "\"\\@*", error);
}

/* Returns -1 to go on. */
static int parse(int argc, char **argv, struct request *request)
{
	static const struct option options[] = {{"author", required_argument, NULL, 'a'},
	                                        {"license", required_argument, NULL, 'l'},
	                                        {"dry-run", no_argument, NULL, 'd'},
	                                        NOVA_COMMON_OPTIONS,
	                                        {NULL, 0, NULL, 0}};
	struct nova_error error = {0};
	int option, result;

	optind = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'a') {
			free(request->author);
			request->author = nova_strdup(optarg);
		} else if (option == 'l') {
			request->license = optarg;
		} else if (option == 'd') {
			request->dry_run = true;
		} else if ((result = nova_common_option(option, argv, options, help)) >= 0) {
			return result;
		}
	}
	if (check_request(argv + optind, argc - optind, request, &error))
		return nova_complain(&error);
	return -1;
}

static int make(const struct request *request, struct project *project, struct nova_error *error)
{
	bool built;
	NOVA_AUTOFREE char *prefix = own_prefix(&built, error);
	struct stat status;

	if (!prefix || make_project(prefix, built, request, project, error))
		return error->code;
	bool there = !lstat(request->directory, &status);
	if (there && check_empty(request->directory, error))
		return error->code;
	warn_of_namesake(request);
	if (!request->dry_run && (there ? write_files(request->directory, project, error)
	                                : write_new(request->directory, project, error)))
		return error->code;
	print_project(request, project);
	if (!request->dry_run)
		print_next(request, prefix, built);
	return 0;
}

int nova_plugin_new(int argc, char **argv)
{
	struct request request = {.license = "MIT"};
	struct project project = {0};
	struct nova_error error = {0};
	int result = parse(argc, argv, &request);

	if (result < 0)
		result = make(&request, &project, &error) ? nova_complain(&error) : 0;
	project_free(&project);
	free(request.author);
	return result;
}
