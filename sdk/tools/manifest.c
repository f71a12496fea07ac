/* SPDX-License-Identifier: MIT */
/*
 * novacore-manifest: writes the manifest of a plugin. The plugin's entry runs in a child process
 * that is thrown away, with a host table that can do nothing; what its descriptor says becomes the
 * manifest. After stripping, --rehash renews the digest without running anything.
 */
#include <novacore/tools/describe.h>
#include <novacore/tools/note.h>
#include <novacore/tools/reference.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENTRY_SECONDS 30 /* an entry only returns a pointer */
#define MAX_HINTS     64

static const char help[] =
        "usage: novacore-manifest PLUGIN.so [--output FILE] [--hint LIBRARY=PACKAGE]…\n"
        "       novacore-manifest --rehash PLUGIN.so --from MANIFEST [--output FILE]\n"
        "       novacore-manifest --markdown MANIFEST\n"
        "\n"
        "Writes the manifest of a plugin, by default PLUGIN.manifest beside it.\n"
        "\n"
        "  --output FILE           where to write\n"
        "  --hint LIBRARY=PACKAGE  the package to install when LIBRARY is missing, for example\n"
        "                          libvirt.so.0=libvirt0; may be given many times\n"
        "  --rehash                take everything from a manifest, renew only the digest: after\n"
        "                          strip(1). Runs no code of the plugin\n"
        "  --from MANIFEST         the manifest to renew\n"
        "  --markdown MANIFEST     print what a manual page takes from it: the summary, the "
        "tables\n"
        "                          of parameters and metrics\n"
        "  --help                  this text\n"
        "\n"
        "examples:\n"
        "  novacore-manifest hello.so\n"
        "  novacore-manifest --markdown hello.manifest\n"
        "  novacore-manifest driver.so --hint libvirt.so.0=libvirt0\n"
        "  strip hello.so && novacore-manifest --rehash hello.so --from hello.manifest\n";

struct request {
	const char *plugin, *output, *from, *markdown;
	const char *hints[MAX_HINTS];
	size_t hint_count;
};

/* --- the host table: nothing works, and no entry needs it to ---------------------------------- */

static void host_done(nova_op op, int32_t status)
{
	(void)op, (void)status;
}
static int host_error(nova_op op, int32_t code, const char *text)
{
	(void)op, (void)text;
	return code;
}
static int host_errorf(nova_op op, int32_t code, const char *format, ...)
{
	(void)op, (void)format;
	return code;
}
static int64_t host_deadline(nova_op op)
{
	(void)op;
	return 0;
}
static int host_cancelled(nova_op op)
{
	(void)op;
	return 0;
}
static int host_put_i64(nova_op op, uint32_t field, int64_t value)
{
	(void)op, (void)field, (void)value;
	return NOVA_E_UNSUPPORTED;
}
static int host_put_f64(nova_op op, uint32_t field, double value)
{
	(void)op, (void)field, (void)value;
	return NOVA_E_UNSUPPORTED;
}
static int host_put_bytes(nova_op op, uint32_t field, const void *bytes, uint64_t count)
{
	(void)op, (void)field, (void)bytes, (void)count;
	return NOVA_E_UNSUPPORTED;
}
static int host_put_fact(nova_op op, uint32_t field, const char *key, const char *text)
{
	(void)op, (void)field, (void)key, (void)text;
	return NOVA_E_UNSUPPORTED;
}
static int host_event(nova_op instance, const struct nova_event *event)
{
	(void)instance, (void)event;
	return NOVA_E_UNSUPPORTED;
}
static int host_param_i64(uint64_t instance, const char *name, uint32_t index, int64_t *value)
{
	(void)instance, (void)name, (void)index, (void)value;
	return NOVA_E_NOT_FOUND;
}
static int host_param_f64(uint64_t instance, const char *name, uint32_t index, double *value)
{
	(void)instance, (void)name, (void)index, (void)value;
	return NOVA_E_NOT_FOUND;
}
static const char *host_param_text(uint64_t instance, const char *name, uint32_t index)
{
	(void)instance, (void)name, (void)index;
	return NULL;
}
static int64_t host_now(void)
{
	return 0;
}
static void host_log(uint64_t instance, uint32_t severity, const char *text)
{
	(void)instance, (void)severity, (void)text;
}
static const char *host_directory(uint64_t instance, uint32_t which)
{
	(void)instance, (void)which;
	return NULL;
}
static int host_process(uint64_t instance, const struct nova_exec *exec,
                        void (*output)(void *, uint32_t, const void *, uint64_t), void *context,
                        int32_t *status)
{
	(void)instance, (void)exec, (void)output, (void)context, (void)status;
	return NOVA_E_UNSUPPORTED;
}

static const struct nova_host bare_host = {
        .struct_size = sizeof(struct nova_host),
        .abi_minor = NOVA_ABI_MINOR,
        .done = host_done,
        .error = host_error,
        .errorf = host_errorf,
        .deadline_ns = host_deadline,
        .cancelled = host_cancelled,
        .put_i64 = host_put_i64,
        .put_f64 = host_put_f64,
        .put_bytes = host_put_bytes,
        .put_fact = host_put_fact,
        .event = host_event,
        .param_i64 = host_param_i64,
        .param_f64 = host_param_f64,
        .param_text = host_param_text,
        .now_ns = host_now,
        .log = host_log,
        .directory = host_directory,
        .process = host_process,
};

/* --- from file ------------------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) static int complain(const char *format, ...)
{
	va_list arguments;

	fputs("novacore-manifest: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return -1;
}

static int digest_file(const char *path, char out[65])
{
	unsigned char block[65536], digest[EVP_MAX_MD_SIZE];
	unsigned int digest_bytes = 0;
	size_t count;
	FILE *file = fopen(path, "rbe");
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int result = -1;

	if (!file || !context || !EVP_DigestInit_ex(context, EVP_sha256(), NULL)) {
		complain("cannot read %s: %s", path, strerror(errno));
		goto done;
	}
	while ((count = fread(block, 1, sizeof(block), file)) > 0) {
		if (!EVP_DigestUpdate(context, block, count))
			goto done;
	}
	if (ferror(file) || !EVP_DigestFinal_ex(context, digest, &digest_bytes)) {
		complain("cannot read %s: %s", path, strerror(errno));
		goto done;
	}
	for (unsigned int i = 0; i < digest_bytes; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
	result = 0;
done:
	EVP_MD_CTX_free(context);
	if (file)
		fclose(file);
	return result;
}

static int read_note(const char *path, struct nova_note *note)
{
	int result = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf *elf = NULL;

	if (fd < 0)
		return complain("cannot read %s: %s", path, strerror(errno));
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (!elf || elf_kind(elf) != ELF_K_ELF)
		complain("%s is not an ELF file", path);
	else if (nova_note_find(elf, note) != 1)
		complain("%s does not have exactly one novacore note: use NOVA_PLUGIN once", path);
	else
		result = 0;
	elf_end(elf);
	close(fd);
	return result;
}

/* --- the manifest ---------------------------------------------------------------------------- */

static void set_int(config_setting_t *group, const char *name, uint32_t value)
{
	config_setting_set_int(config_setting_add(group, name, CONFIG_TYPE_INT), (int)value);
}

static int name_is_of_file(const char *name, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *file = slash ? slash + 1 : path;
	size_t length = strlen(name);

	return !strncmp(file, name, length) && !strcmp(file + length, ".so");
}

static int fill(const struct request *request, config_t *config, const struct nova_note *note)
{
	char text[512];
	config_setting_t *root = config_root_setting(config);
	void *handle = dlopen(request->plugin, RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		return complain("cannot load the plugin: %s", dlerror());
	void *symbol = dlsym(handle, NOVA_ENTRY_NAME);
	if (!symbol)
		return complain("%s does not export %s: use NOVA_PLUGIN", request->plugin,
		                NOVA_ENTRY_NAME);
	const struct nova_plugin *(*entry)(const struct nova_host *);
	memcpy(&entry, &symbol, sizeof(entry));
	const struct nova_plugin *plugin = entry(&bare_host);

	set_int(root, "format", NOVA_MANIFEST_FORMAT);
	if (nova_describe(plugin, root, text, sizeof(text)) != NOVA_DESCRIBE_DONE)
		return complain("%s: %s", request->plugin, text);
	if (!name_is_of_file(plugin->name, request->plugin))
		return complain("%s: the descriptor's name is `%s`, so the file must be %s.so",
		                request->plugin, plugin->name, plugin->name);
	if (plugin->kind != note->kind)
		return complain("%s: NOVA_PLUGIN says kind %u, the descriptor %u", request->plugin,
		                note->kind, plugin->kind);
	config_setting_t *abi = config_setting_add(root, "abi", CONFIG_TYPE_GROUP);
	set_int(abi, "major", note->major);
	set_int(abi, "minor", note->minor);
	set_int(abi, "min_minor", note->min_minor);
	if (note->draft) /* from before the freeze: the host says so */
		set_int(abi, "draft", note->draft);
	config_setting_t *hints = config_setting_add(root, "hints", CONFIG_TYPE_ARRAY);
	for (size_t i = 0; i < request->hint_count; i++)
		config_setting_set_string_elem(hints, -1, request->hints[i]);
	return 0;
}

static int renew(const struct request *request, config_t *config)
{
	if (!config_read_file(config, request->from))
		return complain("%s:%d: %s", request->from, config_error_line(config),
		                config_error_text(config));
	config_setting_remove(config_root_setting(config), "sha256");
	return 0;
}

/* Under a temporary name first, so that no half manifest is ever seen. */
static int write_manifest(config_t *config, const char *path)
{
	char temporary[4096];
	FILE *file;

	if (snprintf(temporary, sizeof(temporary), "%s.%d", path, (int)getpid()) >=
	    (int)sizeof(temporary))
		return complain("%s: the path is too long", path);
	file = fopen(temporary, "we");
	if (!file)
		return complain("cannot write %s: %s", temporary, strerror(errno));
	fputs("# Made by novacore-manifest from the plugin's descriptor. Do not edit.\n", file);
	config_write(config, file);
	if (ftell(file) > (long)NOVA_MANIFEST_LIMIT) {
		fclose(file);
		unlink(temporary);
		return complain("%s would be larger than %u KiB: shorten the plugin's texts", path,
		                NOVA_MANIFEST_LIMIT >> 10);
	}
	if (fflush(file) || ferror(file) || fclose(file)) {
		complain("cannot write %s: %s", temporary, strerror(errno));
		unlink(temporary);
		return -1;
	}
	if (rename(temporary, path)) {
		complain("cannot rename %s to %s: %s", temporary, path, strerror(errno));
		unlink(temporary);
		return -1;
	}
	return 0;
}

static int make(const struct request *request)
{
	struct nova_note note;
	char digest[65];
	config_t config;
	int result;

	if (digest_file(request->plugin, digest))
		return -1;
	config_init(&config);
	config_set_tab_width(&config, 2);
	if (request->from)
		result = renew(request, &config);
	else
		result =
		        read_note(request->plugin, &note) || fill(request, &config, &note) ? -1 : 0;
	if (!result) {
		config_setting_set_string(config_setting_add(config_root_setting(&config), "sha256",
		                                             CONFIG_TYPE_STRING),
		                          digest);
		result = write_manifest(&config, request->output);
	}
	config_destroy(&config);
	return result;
}

static int print_markdown(const char *path)
{
	config_t config;
	int result = -1;

	config_init(&config);
	errno = 0;
	if (config_read_file(&config, path)) {
		nova_reference_print(&config, stdout);
		result = 0;
	} else if (config_error_type(&config) == CONFIG_ERR_FILE_IO) {
		complain("cannot read %s: %s", path, strerror(errno ? errno : EIO));
	} else {
		complain("%s:%d: %s", path, config_error_line(&config), config_error_text(&config));
	}
	config_destroy(&config);
	if (fflush(stdout) || ferror(stdout))
		return complain("cannot write to standard output");
	return result;
}

/* Runs make() in a child: constructors and the entry are somebody else's code. */
static int make_in_child(const struct request *request)
{
	int status;
	pid_t child = fork();

	if (child < 0)
		return complain("cannot start a process: %s", strerror(errno));
	if (!child) {
		alarm(ENTRY_SECONDS);
		int result = make(request);
		fflush(NULL);
		_exit(result ? 1 : 42); /* 42: a plugin that calls exit(0) does not look well */
	}
	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return complain("cannot wait: %s", strerror(errno));
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 42)
		return 0;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		return complain("%s hangs in a constructor or in its entry", request->plugin);
	if (WIFSIGNALED(status))
		return complain("%s crashes in a constructor or in its entry: %s", request->plugin,
		                strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status) != 1)
		return complain("%s ended the process in a constructor or in its entry",
		                request->plugin);
	return -1; /* the child has said why */
}

static int parse(int argc, char **argv, struct request *request)
{
	static const struct option options[] = {{"output", required_argument, NULL, 'o'},
	                                        {"hint", required_argument, NULL, 'h'},
	                                        {"from", required_argument, NULL, 'f'},
	                                        {"rehash", no_argument, NULL, 'r'},
	                                        {"markdown", required_argument, NULL, 'm'},
	                                        {"help", no_argument, NULL, '?' + 256},
	                                        {NULL, 0, NULL, 0}};
	int option, rehash = 0;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?' + 256) {
			fputs(help, stdout);
			exit(0);
		} else if (option == 'o') {
			request->output = optarg;
		} else if (option == 'f') {
			request->from = optarg;
		} else if (option == 'm') {
			request->markdown = optarg;
		} else if (option == 'r') {
			rehash = 1;
		} else if (option == 'h' && request->hint_count < MAX_HINTS &&
		           strchr(optarg, '=')) {
			request->hints[request->hint_count++] = optarg;
		} else if (option == 'h') {
			return complain("--hint %s: expected LIBRARY=PACKAGE", optarg);
		} else {
			return complain("see novacore-manifest --help");
		}
	}
	if (request->markdown && optind == argc && !rehash && !request->from && !request->output)
		return 0;
	if (request->markdown || optind + 1 != argc || rehash != (request->from != NULL))
		return complain("wrong arguments; see novacore-manifest --help");
	request->plugin = argv[optind];
	return 0;
}

int main(int argc, char **argv)
{
	struct request request = {0};
	char output[4096];

	if (parse(argc, argv, &request))
		return 2;
	if (request.markdown)
		return print_markdown(request.markdown) ? 1 : 0;
	size_t length = strlen(request.plugin);
	if (length < 4 || strcmp(request.plugin + length - 3, ".so")) {
		complain("%s: a plugin's file is called <name>.so", request.plugin);
		return 2;
	}
	if (!request.output) {
		snprintf(output, sizeof(output), "%.*s.manifest", (int)length - 3, request.plugin);
		request.output = output;
	}
	/* dlopen would search the library path for a bare name. */
	char *plugin = realpath(request.plugin, NULL);
	if (!plugin) {
		complain("cannot read %s: %s", request.plugin, strerror(errno));
		return 1;
	}
	request.plugin = plugin;
	int result = request.from ? make(&request) : make_in_child(&request);
	free(plugin);
	return result ? 1 : 0;
}
