/* SPDX-License-Identifier: MIT */
/*
 * `novacore plugin check`: a plugin against the contract. This side reads the file, starts a
 * process for each check (check_one.c), and judges what is left of it; it never loads anything.
 */
#include "core/cli/checking.h"
#include "core/cli/plugin_actions.h"
#include "core/cli/profiles.h"

#include <novacore/tools/describe.h>

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define GRACE_MS      5000                  /* after an op's deadline */
#define TIME_LIMIT_NS (30 * NOVA_SECOND_NS) /* of a check, for what is not an op */
#define MEMORY_LIMIT  (1ll << 30)           /* as limits.worker_memory */
#define SELF          "/proc/self/exe"      /* this very program, also while it is being replaced */
#define OUTPUT_LIMIT  (64ll << 20)
#define OP_TIMEOUT_NS (60 * NOVA_SECOND_NS)
#define VMS_MAX       10000

static const char help[] =
        "usage: novacore plugin check FILE|NAME [--set NAME=VALUE]… [--only CHECK]…\n"
        "                             [--format table|json]\n"
        "       novacore plugin check --conformance TARGET [--set NAME=VALUE]…\n"
        "       novacore plugin check --list [FILE|NAME] [--format table|json]\n"
        "\n"
        "Puts a plugin through the contract: what its file, its descriptor and its functions must "
        "be\n"
        "like. Each check runs in a process of its own, so that a plugin which crashes, hangs, "
        "grows,\n"
        "prints or exits fails that check and nothing else. The file may lie anywhere, its "
        "manifest\n"
        "beside it. Nothing is installed.\n"
        "\n"
        "A driver is given its target by --set; without one, what needs a target is not tried. "
        "VMs that\n"
        "it makes there are called novacore-check-…, are small, and are deleted.\n"
        "\n"
        "With --conformance, a driver is put through everything that can happen to it at a target "
        "of\n"
        "yours: every op, broken off, at the wrong time, two at once; a peer that dies, answers "
        "garbage\n"
        "or somebody else's certificate (by a relay of its own on this host); foreign VMs; 200 VMs."
        "\n"
        "Each case has passed, failed, or is not supported, with the reason.\n"
        "\n"
        "  --set NAME=VALUE      a parameter of the plugin, such as uri=…; may be given several "
        "times\n"
        "  --conformance TARGET  a configured target, or PLUGIN=URI; a short NAME of --set is its\n"
        "                        own\n"
        "  --vms NUMBER          how many VMs the case many-vms makes (default: 200)\n"
        "  --quick               what breaks an op off does so at one moment of it, not at "
        "three\n"
        "  --expire-session COMMAND\n"
        "                        a shell's command that ends all sessions at the target\n"
        "  --config FILE         with --conformance: a configuration file over the others\n"
        "  --only CHECK          only this check; several with commas\n"
        "  --list                the checks that there are, and what each proves\n"
        "  --op-timeout DURATION what one call of an op may take (default: 60s)\n"
        "  --time-limit DURATION what one check may take beside its ops (default: 30s)\n"
        "  --memory-limit SIZE   what its process may take of memory (default: 1GiB)\n"
        "  --image IMAGE         a driver's VMs boot from this: a disk's path, or the target's "
        "own name\n"
        "  --kernel FILE         they boot this kernel of this host instead\n"
        "  --initrd FILE         with this initial RAM disk\n"
        "  --cmdline TEXT        with this kernel command line\n"
        "  --format FORMAT       how to print: table (default), json\n"
        "  --json                short for --format json\n" NOVA_COMMON_HELP "\n"
        "Exit code: 0 nothing failed; 4 a check failed; 5 novacore would refuse the file (no "
        "manifest,\n"
        "another hash, …; other checks are made where that is safe); 3 it cannot be tried here; 2 "
        "wrong\n"
        "usage.\n"
        "\n"
        "examples:\n"
        "  novacore plugin check build/hello.so\n"
        "  novacore plugin check build/hello.so --only threads,descriptors\n"
        "  novacore plugin check ./mydriver.so --set uri=https://lab:8006 --set "
        "token=file:lab.token\n"
        "  novacore plugin check sim --set clock=virtual\n"
        "  novacore plugin check --conformance lab --vms 20\n"
        "\n"
        "As a test of your own project:\n"
        "  add_test(NAME contract COMMAND novacore plugin check $<TARGET_FILE:hello>)\n";

/* --- what is checked -------------------------------------------------------------------------- */

static volatile int interrupted;

static const struct {
	enum nova_aspect aspect;
	const char *name, *proves;
} aspects[] = {
        {NOVA_ASPECT_FILE, "file", "name, owner and mode let novacore use it"},
        {NOVA_ASPECT_MANIFEST, "manifest", "it has a manifest, made for this very file"},
        {NOVA_ASPECT_SIGNATURE, "signature",
         "nothing is revoked, and a signature that is there is right"},
        {NOVA_ASPECT_NOTE, "note", "one ABI note says what it was built for, and that fits"},
        {NOVA_ASPECT_EXPORTS, "exports", "it exports its entry, and nothing else"},
        {NOVA_ASPECT_BINDING, "binding", "all its symbols are bound when it is loaded"},
        {NOVA_ASPECT_LIBRARIES, "libraries", "the libraries that it needs are installed"},
};

static void add_row(struct checking *checking, struct row row)
{
	checking->rows = nova_grow(checking->rows, checking->count, sizeof(row));
	checking->rows[checking->count++] = row;
}

/* `kind` 0: of every kind. */
static void list_rows(struct checking *checking, uint32_t kind)
{
	uint32_t kinds = kind ? NOVA_CHECK_OF(kind) : NOVA_CHECK_OF_ALL;

	for (size_t i = 0; i < NOVA_COUNT(aspects); i++)
		add_row(checking, (struct row){.name = aspects[i].name,
		                               .proves = aspects[i].proves,
		                               .aspect = (int)aspects[i].aspect});
	for (const struct own_check *own = own_checks; own->name; own++)
		if (own->kinds & kinds)
			add_row(checking, (struct row){.name = own->name,
			                               .needs = own->needs,
			                               .proves = own->proves,
			                               .aspect = -1});
	bool conformance = checking->arguments->target || checking->arguments->list;
	for (const struct nova_validator_check *const *at = nova_validator_checks(); *at; at++)
		if (((*at)->kinds & kinds) &&
		    (conformance || !((*at)->flags & NOVA_CHECK_CONFORMANCE)))
			add_row(checking,
			        (struct row){.name = (*at)->name,
			                     .needs = (*at)->needs ? (*at)->needs : "sizes",
			                     .proves = (*at)->proves,
			                     .flags = (*at)->flags,
			                     .ops = kind == NOVA_KIND_BENCHMARK ? 0 : (*at)->ops,
			                     .sized = true,
			                     .aspect = -1});
}

static struct row *find_row(const struct checking *checking, const char *name, size_t length)
{
	for (size_t i = 0; i < checking->count; i++)
		if (strlen(checking->rows[i].name) == length &&
		    !strncmp(checking->rows[i].name, name, length))
			return &checking->rows[i];
	return NULL;
}

static bool is_wanted(const struct arguments *arguments, const char *name)
{
	NOVA_AUTOFREE char *part = nova_format(",%s,", name);

	return !arguments->only || strstr(arguments->only, part);
}

/* --- what stands in the way ------------------------------------------------------------------- */

/* NULL, or why a row that needs `need` so cannot be tried. */
static char *judge_need(const struct row *need, char mark)
{
	if (!need || !need->verdict)
		return NULL; /* not for this kind, or not asked for */
	if (need->verdict == NOVA_VERDICT_FAILED && (mark != '!' || need->lost))
		return nova_format("the check `%s` failed", need->name);
	if (need->verdict != NOVA_VERDICT_NOT_TRIED || mark != ' ')
		return NULL;
	/* the first in the chain is what counts */
	return strncmp(need->why, "as `", 4) && strncmp(need->why, "the check `", 11)
	               ? nova_format("as `%s` was not tried", need->name)
	               : nova_strdup(need->why);
}

/* NULL, or why the row cannot be tried: one of the checks that it needs. */
static char *find_obstacle(const struct checking *checking, const struct row *row)
{
	char *why = row->sized ? judge_need(find_row(checking, "sizes", 5), ' ') : NULL;

	for (const char *at = row->needs; !why && at && *at; at += strspn(at, " ")) {
		char mark = *at == '?' || *at == '!' ? *at++ : ' ';
		size_t length = strcspn(at, " ");
		why = judge_need(find_row(checking, at, length), mark);
		at += length;
	}
	return why;
}

/* --- one process ------------------------------------------------------------------------------ */

struct process {
	atomic_int pid;
	sem_t over;
	volatile int stop;    /* for nova_child_run */
	atomic_int grown;     /* 1: memory, 2: output */
	int64_t memory_bytes; /* more is too much */
	char *stage;
	enum nova_verdict verdict;
	char *why;
};

static void take_line(void *context, const char *line)
{
	struct process *process = context;
	const char *text = strlen(line) > 2 ? line + 2 : "";

	switch (line[0]) {
	case 'P': atomic_store(&process->pid, atoi(text)); break;
	case 'S':
		free(process->stage);
		process->stage = nova_strdup(text);
		break;
	case 'V':
		for (int i = NOVA_VERDICT_PASSED; i <= NOVA_VERDICT_NOT_TRIED; i++) {
			size_t length = strlen(verdict_words[i]);
			if (strncmp(text, verdict_words[i], length) || text[length] != ' ')
				continue;
			process->verdict = (enum nova_verdict)i;
			free(process->why);
			process->why = nova_strdup(text + length + 1);
		}
		break;
	default: break;
	}
}

static int64_t resident_bytes(int pid)
{
	NOVA_AUTOFREE char *path = nova_format("/proc/%d/statm", pid);
	NOVA_AUTOFREE char *text = nova_file_read(path, 4096, NULL, NULL);
	long long pages = 0;

	if (!text || sscanf(text, "%*s %lld", &pages) != 1)
		return 0;
	return pages * sysconf(_SC_PAGESIZE);
}

static int64_t output_bytes(int pid)
{
	int64_t bytes = 0;

	for (int fd = 1; fd <= 2; fd++) {
		NOVA_AUTOFREE char *path = nova_format("/proc/%d/fd/%d", pid, fd);
		struct stat status;
		if (!stat(path, &status) && S_ISREG(status.st_mode))
			bytes += status.st_size;
	}
	return bytes;
}

/* Waits a while for the end of the process. */
static bool is_over(struct process *process)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 50000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	return sem_timedwait(&process->over, &until) == 0;
}

/* Ends the process when it grows, and when the user has had enough. */
static void *watch(void *context)
{
	struct process *process = context;

	while (!is_over(process)) {
		int pid = atomic_load(&process->pid);
		if (pid > 0 && resident_bytes(pid) > process->memory_bytes)
			atomic_store(&process->grown, 1);
		else if (pid > 0 && output_bytes(pid) > OUTPUT_LIMIT)
			atomic_store(&process->grown, 2);
		if (atomic_load(&process->grown) || interrupted)
			process->stop = 1;
	}
	return NULL;
}

static char *make_request(const struct checking *checking, const struct row *row)
{
	const struct arguments *arguments = checking->arguments;
	const struct row *contract = find_row(checking, "contract", strlen("contract"));
	NOVA_AUTOJSON json_t *request = json_pack(
	        "{ss ss ss sO sI ss ss? ss? ss? ss? sb ss? sI sb}", "path", checking->file.path,
	        "sha256", checking->file.sha256, "check", row->name, "parameters",
	        checking->parameters, "op_timeout_ms",
	        (json_int_t)(arguments->op_timeout_ns / 1000000), "prefix", checking->prefix,
	        "image", arguments->image, "kernel", arguments->kernel, "initrd", arguments->initrd,
	        "cmdline", arguments->cmdline, "contract_failed",
	        contract && contract->verdict == NOVA_VERDICT_FAILED, "expire", arguments->expire,
	        "vms", (json_int_t)arguments->vms, "quick", arguments->quick);

	return json_dumps(request, JSON_COMPACT);
}

static void set_verdict(struct row *row, enum nova_verdict verdict, char *why)
{
	row->verdict = verdict;
	free(row->why);
	nova_secret_redact(why);
	nova_utf8_repair(why);
	row->why = why;
}

/* What is left of the process says how it went. */
static void judge(struct row *row, struct process *process, int code, int status,
                  const struct nova_error *error, int64_t seconds)
{
	const char *stage = process->stage ? process->stage : "starting";
	char *why = NULL, *untried = NULL;

	if (atomic_load(&process->grown) == 1)
		why = nova_format("while at `%s` it grew beyond %" PRId64 " MiB of memory", stage,
		                  process->memory_bytes >> 20);
	else if (atomic_load(&process->grown) == 2)
		why = nova_format("while at `%s` it wrote more than %lld MiB to stdout and stderr",
		                  stage, OUTPUT_LIMIT >> 20);
	else if (code == NOVA_E_TIMEOUT)
		why = nova_format("it hangs: `%s` had not ended after %" PRId64 " s", stage,
		                  seconds);
	else if (code)
		untried = nova_format("its process could not be run: %s", error->text);
	else if (status < 0)
		why = nova_format("it crashed: SIG%s while at `%s`",
		                  sigabbrev_np(-status) ? sigabbrev_np(-status) : "?", stage);
	else if (!process->verdict || status)
		why = nova_format("it ended the process, with exit code %d, while at `%s`: a "
		                  "plugin returns an error instead",
		                  status, stage);
	row->lost = why != NULL;
	if (why)
		set_verdict(row, NOVA_VERDICT_FAILED, why);
	else if (untried)
		set_verdict(row, NOVA_VERDICT_NOT_TRIED, untried);
	else
		set_verdict(row, process->verdict, nova_strdup(process->why));
}

static void run_process(struct checking *checking, struct row *row)
{
	NOVA_AUTOFREE char *request = make_request(checking, row);
	NOVA_AUTOFREE char *folder = nova_format("%s/work", checking->directory);
	NOVA_AUTOFREE char *temporary = nova_format("TMPDIR=%s", folder);
	int64_t each_ns = checking->arguments->op_timeout_ns + GRACE_MS * INT64_C(1000000);
	int64_t limit_ns = checking->arguments->time_limit_ns + row->ops * each_ns;
	int64_t begin_ns = nova_now_ns();
	struct process process = {.memory_bytes = checking->arguments->memory_bytes};
	struct nova_child_result result;
	struct nova_error error = {0};
	pthread_t watcher;
	const struct nova_child child = {
	        .argv = (const char *const[]){SELF, "check-one", NULL},
	        .env = (const char *const[]){temporary, "LD_BIND_NOW=1", NULL},
	        .directory = folder,
	        .input = request,
	        .input_bytes = strlen(request),
	        .deadline_ns = begin_ns + limit_ns,
	        .stop = &process.stop,
	        .on_line = take_line,
	        .context = &process};

	if (nova_directory_make(folder, 0755, &error)) {
		set_verdict(row, NOVA_VERDICT_NOT_TRIED, nova_strdup(error.text));
		return;
	}
	sem_init(&process.over, 0, 0);
	bool watched = !pthread_create(&watcher, NULL, watch, &process);
	int code = nova_child_run(&child, &result, &error);
	sem_post(&process.over);
	if (watched)
		pthread_join(watcher, NULL);
	row->seconds = (double)(nova_now_ns() - begin_ns) / 1e9;
	row->blocked = code;
	if (interrupted && code)
		set_verdict(row, NOVA_VERDICT_NOT_TRIED, nova_strdup("interrupted"));
	else
		judge(row, &process, code, result.status, &error, limit_ns / NOVA_SECOND_NS);
	nova_child_result_free(&result);
	nova_directory_remove(folder, NULL);
	sem_destroy(&process.over);
	free(process.stage);
	free(process.why);
}

/* --- all of them ------------------------------------------------------------------------------ */

static void take_aspect(struct checking *checking, struct row *row)
{
	const struct nova_aspect_result *aspect = &checking->file.aspects[row->aspect];

	if (!aspect->tried)
		set_verdict(row, NOVA_VERDICT_NOT_TRIED, nova_strdup(aspect->text));
	else if (aspect->reason)
		set_verdict(
		        row, NOVA_VERDICT_FAILED,
		        nova_format("%s (%s)", aspect->text, nova_refusal_code(aspect->reason)));
	else
		set_verdict(row, NOVA_VERDICT_PASSED,
		            nova_strdup(aspect->text ? aspect->text : ""));
}

static void perform(struct checking *checking, struct row *row)
{
	char *obstacle = NULL;

	if (row->aspect >= 0) {
		take_aspect(checking, row);
		return;
	}
	if (checking->file.unsafe)
		obstacle = nova_strdup("others could have written this file, so it is not given "
		                       "control: see above");
	else if (checking->file.unloadable)
		obstacle = nova_strdup("it cannot be loaded: see above");
	else if (interrupted && !(row->flags & NOVA_CHECK_SWEEPS))
		obstacle = nova_strdup("interrupted");
	else
		obstacle = find_obstacle(checking, row);
	row->blocked = obstacle;
	if (obstacle)
		set_verdict(row, NOVA_VERDICT_NOT_TRIED, obstacle);
	else
		run_process(checking, row);
}

static int exit_code(const struct checking *checking)
{
	const struct row *work = find_row(checking, "work", strlen("work"));
	bool refused = false, failed = false, tried = false;

	for (size_t i = 0; i < checking->count; i++) {
		const struct row *row = &checking->rows[i];
		bool is_static = row->aspect >= 0;
		bool wrong = row->verdict == NOVA_VERDICT_FAILED;
		if (is_static && wrong &&
		    checking->file.aspects[row->aspect].reason == NOVA_REFUSED_MISSING_LIBRARY)
			continue;
		refused |= is_static && wrong;
		failed |= wrong;
		tried |= row->verdict == NOVA_VERDICT_PASSED &&
		         (!is_static || checking->arguments->only);
	}
	if (interrupted)
		return 128 + interrupted;
	if (refused)
		return 5;
	if (failed)
		return 4;
	/* Who gives a target wants it to be tried. */
	if (!tried || (work && work->verdict == NOVA_VERDICT_NOT_TRIED &&
	               json_array_size(checking->parameters)))
		return 3;
	return 0;
}

static void on_signal(int number)
{
	interrupted = number;
}

static int check_all(struct checking *checking)
{
	struct nova_error error = {0};
	const struct sigaction action = {.sa_handler = on_signal};
	snprintf(checking->directory, sizeof(checking->directory), "/tmp/novacore-check-XXXXXX");
	if (!mkdtemp(checking->directory)) {
		nova_error_errno(&error, "cannot prepare the checks in %s", checking->directory);
		return nova_complain(&error);
	}
	chmod(checking->directory, 0755); /* a hypervisor's own user reads from there */
	snprintf(checking->prefix, sizeof(checking->prefix), "novacore-check-%s-",
	         checking->directory + strlen("/tmp/novacore-check-"));
	for (char *at = checking->prefix; *at; at++) /* names are lower case everywhere */
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at - 'A' + 'a');
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	checking->begun_ns = nova_now_ns();
	check_print_head(checking);
	for (size_t i = 0; i < checking->count; i++) {
		struct row *row = &checking->rows[i];
		if (!is_wanted(checking->arguments, row->name))
			continue;
		perform(checking, row);
		check_print_row(checking, row);
	}
	nova_directory_remove(checking->directory, NULL);
	int code = exit_code(checking);
	if (checking->arguments->json)
		check_print_result(checking, code);
	else
		check_print_summary(checking);
	return code;
}

/* --- parameters ------------------------------------------------------------------------------- */

/* NAME=VALUE, also with `<kind>.<name>.` before it, as in a configuration. */
static const char *short_setting(const struct nova_inspection *file, const char *setting)
{
	NOVA_AUTOFREE char *prefix = nova_format("%s.%s.", nova_kind_name(file->kind), file->name);
	size_t length = strlen(prefix);

	return strncmp(setting, prefix, length) ? setting : setting + length;
}

/* A secret's reference is read; other values go as they are written. */
static char *resolve(const struct nova_config *config, const struct nova_inspection *file,
                     const char *setting)
{
	NOVA_AUTOFREE char *prefix = nova_format("%s.%s", nova_kind_name(file->kind), file->name);
	size_t length = strcspn(setting, "=");

	for (size_t i = 0; i < file->manifest->spec_count; i++) {
		const struct nova_spec *spec = &file->manifest->specs[i];
		if (spec->type != NOVA_PARAM_SECRET || strlen(spec->name) != length ||
		    strncmp(spec->name, setting, length))
			continue;
		NOVA_AUTOJSON json_t *all = nova_config_params(config, prefix, NULL, true);
		const char *secret = nova_json_text(all, spec->name);
		nova_secret_add(secret);
		return nova_format("%s=%s", spec->name, secret);
	}
	return nova_strdup(setting);
}

static int read_parameters(struct checking *checking, struct nova_error *error)
{
	const struct arguments *arguments = checking->arguments;
	const struct nova_inspection *file = &checking->file;
	NOVA_AUTOFREE char *prefix = nova_format("%s.%s", nova_kind_name(file->kind), file->name);
	NOVA_AUTOCONFIG struct nova_config *config = nova_config_new();
	int code = 0;

	checking->parameters = json_array();
	if (file->manifest)
		nova_config_declare(config, prefix, file->manifest->specs,
		                    file->manifest->spec_count);
	for (size_t i = 0; i < arguments->setting_count && !code; i++) {
		const char *setting = short_setting(file, arguments->settings[i]);
		NOVA_AUTOFREE char *full = nova_format("%s.%s", prefix, setting);
		if (!strchr(setting, '='))
			code = nova_error_set(error, NOVA_E_INVALID,
			                      "--set %s: want NAME=VALUE, such as uri=…", setting);
		else if (file->manifest)
			code = nova_config_add_setting(config, full, error);
	}
	if (!code && file->manifest && arguments->setting_count)
		code = nova_config_finish(config, error);
	if (code && !strncmp(error->text, "default: ", 9)) /* for the check `parameters` to say */
		*error = (struct nova_error){.code = code = 0};
	for (size_t i = 0; i < arguments->setting_count && !code; i++) {
		const char *setting = short_setting(file, arguments->settings[i]);
		NOVA_AUTOFREE char *value =
		        file->manifest ? resolve(config, file, setting) : nova_strdup(setting);
		json_t *text = json_string(value);
		if (!text)
			code = nova_error_set(error, NOVA_E_INVALID, "--set %s is not UTF-8",
			                      arguments->settings[i]);
		else
			json_array_append_new(checking->parameters, text);
	}
	return code;
}

/* --- the command ------------------------------------------------------------------------------ */

/* The file itself, or that of an installed plugin. */
static int find_file(const char *given, struct nova_inspection *file, struct nova_error *error)
{
	struct nova_registry *registry;
	struct nova_error unknown = {0};

	if (strchr(given, '.') || !access(given, F_OK))
		return nova_plugin_inspect(given, file, error);
	NOVA_AUTOFREE char *name = nova_strdup(given);
	char *slash = strchr(name, '/');
	if (slash)
		*slash = '\0';
	uint32_t kind = slash ? nova_kind_parse(name) : 0;
	if ((slash && !kind) || nova_registry_scan(&registry, error))
		return nova_plugin_inspect(given, file, error);
	const struct nova_manifest *found =
	        nova_registry_find(registry, kind, slash ? slash + 1 : name, &unknown);
	int code = found ? nova_plugin_inspect(found->path, file, error)
	                 : nova_error_set(error, unknown.code, "no file and no plugin: %s",
	                                  unknown.text);
	nova_registry_free(registry);
	return code;
}

static int check_only(const struct checking *checking, struct nova_error *error)
{
	NOVA_AUTOFREE char *list = nova_strdup(checking->arguments->only);
	NOVA_AUTOFREE const char **names = nova_alloc((checking->count + 1) * sizeof(*names));
	char *rest = NULL;

	for (size_t i = 0; i < checking->count; i++)
		names[i] = checking->rows[i].name;
	for (char *name = list ? strtok_r(list, ",", &rest) : NULL; name;
	     name = strtok_r(NULL, ",", &rest)) {
		if (find_row(checking, name, strlen(name)))
			continue;
		const char *nearest = nova_nearest(name, names);
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "--only %s: there is no such check%s%s%s%s; see novacore plugin "
		        "check --list",
		        name, checking->file.kind ? " for a " : "",
		        checking->file.kind ? nova_kind_name(checking->file.kind) : "",
		        nearest ? "; did you mean " : "", nearest ? nearest : "");
	}
	return 0;
}

static int act(struct checking *checking, struct nova_error *error)
{
	const struct arguments *arguments = checking->arguments;
	bool configured = arguments->target && !arguments->file;

	if (configured ? conformance_find(checking, error)
	               : arguments->file && find_file(arguments->file, &checking->file, error))
		return nova_complain(error);
	if (arguments->target && checking->file.kind &&
	    checking->file.kind != NOVA_KIND_HYPERVISOR) {
		nova_error_set(error, NOVA_E_INVALID,
		               "--conformance %s: that is a %s, and only drivers (hypervisor) have "
		               "targets",
		               arguments->target, nova_kind_name(checking->file.kind));
		return nova_complain(error);
	}
	list_rows(checking, checking->file.kind);
	if (arguments->target)
		conformance_arrange(checking);
	if (arguments->list)
		return check_print_list(checking);
	if (check_only(checking, error) || (!configured && read_parameters(checking, error)))
		return nova_complain(error);
	return check_all(checking);
}

static int take_quantity(const char *option, enum nova_quantity quantity, double least, double most,
                         int64_t *out, struct nova_error *error)
{
	double value;

	if (nova_quantity_parse(optarg, quantity, &value, error))
		return nova_error_prefix(error, "%s", option);
	if (!(value >= least && value <= most))
		return nova_error_set(error, NOVA_E_INVALID, "%s %s is too %s", option, optarg,
		                      value < least ? "small" : "large");
	*out = (int64_t)value;
	return 0;
}

static int take_vms(int64_t *vms, struct nova_error *error)
{
	char *end;

	*vms = strtoll(optarg, &end, 10);
	if (end != optarg && !*end && *vms >= 1 && *vms <= VMS_MAX)
		return 0;
	return nova_error_set(error, NOVA_E_INVALID, "--vms %s: want a number from 1 to %d", optarg,
	                      VMS_MAX);
}

static int take_option(int option, struct arguments *arguments, struct nova_error *error)
{
	char *more;

	switch (option) {
	case 's': arguments->settings[arguments->setting_count++] = optarg; return 0;
	case 'o':
		more = nova_format("%s%s,", arguments->only ? arguments->only : ",", optarg);
		free(arguments->only);
		arguments->only = more;
		return 0;
	case 't':
		return take_quantity("--op-timeout", NOVA_DURATION, 1e6, 3.6e12,
		                     &arguments->op_timeout_ns, error);
	case 'b':
		return take_quantity("--time-limit", NOVA_DURATION, 1e8, 3.6e12,
		                     &arguments->time_limit_ns, error);
	case 'm':
		return take_quantity("--memory-limit", NOVA_SIZE, 16 << 20, 1e15,
		                     &arguments->memory_bytes, error);
	case 'f':
		arguments->json = !strcmp(optarg, "json");
		if (!arguments->json && strcmp(optarg, "table"))
			return nova_error_set(error, NOVA_E_INVALID,
			                      "--format %s: there are table and json", optarg);
		return 0;
	case 'j': arguments->json = true; return 0;
	case 'T': arguments->target = optarg; return 0;
	case 'C': arguments->config = optarg; return 0;
	case 'E': arguments->expire = optarg; return 0;
	case 'V': return take_vms(&arguments->vms, error);
	case 'q': arguments->quick = true; return 0;
	case 'l': arguments->list = true; return 0;
	case 'i': arguments->image = optarg; return 0;
	case 'k': arguments->kernel = optarg; return 0;
	case 'r': arguments->initrd = optarg; return 0;
	default: arguments->cmdline = optarg; return 0;
	}
}

/* "./mine.so=https://lab" is a driver that is not installed, with its uri. */
static void split_target(struct arguments *arguments)
{
	char *equals = arguments->target ? strchr(arguments->target, '=') : NULL;

	if (!equals || !memchr(arguments->target, '/', (size_t)(equals - arguments->target)))
		return;
	arguments->own_file =
	        nova_format("%.*s", (int)(equals - arguments->target), arguments->target);
	arguments->own_uri = nova_format("uri=%s", equals + 1);
	arguments->file = arguments->own_file;
	arguments->settings[arguments->setting_count++] = arguments->own_uri;
}

/* −1: go on. */
static int parse(int argc, char **argv, struct arguments *arguments, struct nova_error *error)
{
	static const struct option options[] = {{"set", required_argument, NULL, 's'},
	                                        {"only", required_argument, NULL, 'o'},
	                                        {"conformance", required_argument, NULL, 'T'},
	                                        {"config", required_argument, NULL, 'C'},
	                                        {"expire-session", required_argument, NULL, 'E'},
	                                        {"vms", required_argument, NULL, 'V'},
	                                        {"quick", no_argument, NULL, 'q'},
	                                        {"list", no_argument, NULL, 'l'},
	                                        {"op-timeout", required_argument, NULL, 't'},
	                                        {"time-limit", required_argument, NULL, 'b'},
	                                        {"memory-limit", required_argument, NULL, 'm'},
	                                        {"image", required_argument, NULL, 'i'},
	                                        {"kernel", required_argument, NULL, 'k'},
	                                        {"initrd", required_argument, NULL, 'r'},
	                                        {"cmdline", required_argument, NULL, 'c'},
	                                        {"format", required_argument, NULL, 'f'},
	                                        {"json", no_argument, NULL, 'j'},
	                                        NOVA_COMMON_OPTIONS,
	                                        {NULL, 0, NULL, 0}};
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		arguments->quiet |= option == NOVA_OPTION_QUIET;
		if (option < NOVA_OPTION_HELP && option != '?' && option != ':') {
			if (take_option(option, arguments, error))
				return nova_complain(error);
			continue;
		}
		int result = nova_common_option(option, argv, options, help);
		if (result >= 0)
			return result;
	}
	arguments->file = optind < argc ? argv[optind] : NULL;
	if (argc - optind > 1)
		nova_error_set(error, NOVA_E_INVALID,
		               "plugin check takes one file at a time: what is `%s`?",
		               argv[optind + 1]);
	else if (arguments->file && arguments->target)
		nova_error_set(error, NOVA_E_INVALID,
		               "--conformance %s says which plugin it is: what is `%s`?",
		               arguments->target, arguments->file);
	else if (!arguments->target &&
	         (arguments->config || arguments->expire || arguments->vms || arguments->quick))
		nova_error_set(
		        error, NOVA_E_INVALID,
		        "--config, --expire-session, --quick and --vms go with --conformance "
		        "TARGET");
	else if (arguments->expire && !*arguments->expire)
		nova_error_set(error, NOVA_E_INVALID,
		               "--expire-session takes a command for sh, not nothing");
	else
		split_target(arguments);
	if (!error->code && !arguments->file && !arguments->list && !arguments->target)
		nova_error_set(error, NOVA_E_INVALID,
		               "plugin check needs the plugin's file, or the name of an installed "
		               "one; see novacore plugin check --help");
	return error->code ? nova_complain(error) : -1;
}

int nova_plugin_check(int argc, char **argv)
{
	NOVA_AUTOFREE const char **settings = nova_alloc((size_t)argc * sizeof(*settings));
	struct arguments arguments = {.settings = settings,
	                              .op_timeout_ns = OP_TIMEOUT_NS,
	                              .time_limit_ns = TIME_LIMIT_NS,
	                              .memory_bytes = MEMORY_LIMIT};
	struct checking checking = {.arguments = &arguments};
	struct nova_error error = {0};
	int code = parse(argc, argv, &arguments, &error);

	if (code < 0)
		code = act(&checking, &error);
	for (size_t i = 0; i < checking.count; i++)
		free(checking.rows[i].why);
	free(checking.rows);
	free(arguments.only);
	free(arguments.own_file);
	free(arguments.own_uri);
	if (checking.parameters)
		json_decref(checking.parameters);
	nova_inspection_free(&checking.file);
	return code;
}
