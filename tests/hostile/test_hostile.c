/* SPDX-License-Identifier: MIT */
/*
 * One hostile plugin for each reason to refuse, each with its own reason code. Static ones are
 * refused by a scan, dynamic ones in a child that stands for the worker; what this process reads
 * from the child's end is what core/run reads from a worker's.
 */
#include "scratch.h"

#include <elf.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* Who is to hang is given little time, everybody else as much as a busy machine may take. */
#define HANG_NS     (2 * NOVA_SECOND_NS)
#define PATIENCE_NS (60 * NOVA_SECOND_NS)
#define HOG_BYTES   (300ull << 20)

/* --- made by the tests ----------------------------------------------------------------------- */

static void accepts_the_good_one(void **state)
{
	const struct scratch *scratch = *state;
	const struct nova_trust trust = own_trust();
	struct nova_registry *registry = scan(&trust, scratch->root, NULL);

	for (size_t i = 0; i < registry->refusal_count; i++)
		print_message("%s\n", registry->refusals[i].text);
	assert_int_equal(registry->refusal_count, 0);
	assert_int_equal(registry->plugin_count, 1);
	assert_string_equal(registry->plugins[0]->name, "good");
	nova_registry_free(registry);
}

static void rename_good(const struct scratch *scratch, const char *to)
{
	NOVA_AUTOFREE char *old_path = in(scratch, "good.so");
	NOVA_AUTOFREE char *new_path = in(scratch, to);

	assert_int_equal(rename(old_path, new_path), 0);
}

static void refuses_file_name(void **state)
{
	static const char *const names[] = {"Good.so",   "good_.so", "-good.so", ".good.so",
	                                    "good.so.1", ".so",      "g ood.so", "good.x.so"};

	for (size_t i = 0; i < NOVA_COUNT(names); i++) {
		rename_good(*state, names[i]);
		assert_refused(*state, "file-name", "rename it");
		NOVA_AUTOFREE char *path = in(*state, names[i]);
		NOVA_AUTOFREE char *good = in(*state, "good.so");
		assert_int_equal(rename(path, good), 0);
	}
}

static void refuses_symlink(void **state)
{
	NOVA_AUTOFREE char *path = in(*state, "good.so");

	rename_good(*state, "elsewhere");
	assert_int_equal(symlink("elsewhere", path), 0);
	assert_refused(*state, "symlink", "copy the file itself");
}

static void refuses_symlinked_manifest(void **state)
{
	NOVA_AUTOFREE char *path = in(*state, "good.manifest");
	NOVA_AUTOFREE char *other = in(*state, "elsewhere");

	assert_int_equal(rename(path, other), 0);
	assert_int_equal(symlink("elsewhere", path), 0);
	assert_refused(*state, "symlink", "good.manifest");
}

/* As root the files are root's, so they are given away; otherwise they are ours, not root's. */
static void refuses_owner_when_privileged(void **state)
{
	const struct scratch *scratch = *state;
	const struct nova_trust root = {.privileged = true, .user = 0};

	if (geteuid() == 0) {
		NOVA_AUTOFREE char *path = in(scratch, "good.so");
		assert_int_equal(chmod(scratch->root, 0755), 0);
		assert_int_equal(chown(path, 12345, 12345), 0);
	}
	assert_refused_as(&root, scratch, "owner", "belongs to user");
}

static void refuses_owner_of_another_user(void **state)
{
	const struct nova_trust other = {.privileged = false, .user = geteuid() + 1};
	const struct scratch *scratch = *state;

	if (geteuid() == 0) {
		NOVA_AUTOFREE char *path = in(scratch, "good.so");
		assert_int_equal(chown(path, 12345, 12345), 0);
	}
	assert_refused_as(&other, scratch, "owner", "neither to you");
}

static void refuses_owner_of_a_directory_above(void **state)
{
	const struct nova_trust root = {.privileged = true, .user = 0};
	const struct scratch *scratch = *state;

	if (geteuid() == 0)
		assert_int_equal(chown(scratch->root, 12345, 12345), 0);
	assert_refused_as(&root, scratch, "owner", "the directory");
}

static void refuses_writable_file(void **state)
{
	NOVA_AUTOFREE char *path = in(*state, "good.so");

	assert_int_equal(chmod(path, 0666), 0);
	assert_refused(*state, "writable", "chmod o-w");
}

static void refuses_writable_manifest(void **state)
{
	NOVA_AUTOFREE char *path = in(*state, "good.manifest");

	assert_int_equal(chmod(path, 0666), 0);
	assert_refused(*state, "writable", "good.manifest");
}

static void refuses_writable_directory(void **state)
{
	const struct scratch *scratch = *state;

	assert_int_equal(chmod(scratch->directory, 0777), 0);
	assert_refused(scratch, "writable", "could replace what is in it");
}

static void accepts_group_writable_of_own_unless_privileged(void **state)
{
	const struct scratch *scratch = *state;
	const struct nova_trust root = {.privileged = true, .user = 0};
	NOVA_AUTOFREE char *path = in(scratch, "good.so");

	assert_int_equal(chmod(path, 0664), 0);
	accepts_the_good_one(state);
	if (geteuid() == 0)
		assert_refused_as(&root, scratch, "writable", "chmod go-w");
}

static void refuses_unreadable(void **state)
{
	NOVA_AUTOFREE char *path = in(*state, "good.so");

	if (geteuid() == 0) {
		/* root can read anything: too large is unreadable as well */
		assert_int_equal(truncate(path, (off_t)NOVA_PLUGIN_LIMIT + 1), 0);
		assert_refused(*state, "unreadable", "larger than the 256 MiB");
	} else {
		assert_int_equal(chmod(path, 0), 0);
		assert_refused(*state, "unreadable", "Permission denied");
	}
}

static void refuses_manifest_that_is_too_large(void **state)
{
	NOVA_AUTOFREE char *path = in(*state, "good.manifest");

	assert_int_equal(truncate(path, (64 << 10) + 1), 0);
	assert_refused(*state, "unreadable", "larger than the 64 KiB");
}

static void refuses_no_manifest(void **state)
{
	NOVA_AUTOFREE char *path = in(*state, "good.manifest");

	assert_int_equal(unlink(path), 0);
	assert_refused(*state, "no-manifest", "novacore-manifest");
}

static void refuses_bad_manifest(void **state)
{
	static const struct {
		const char *from, *to, *says;
	} edits[] = {
	        {"format = 1", "format = 2", "format 2"},
	        {"kind = \"benchmark\"", "kind = \"toaster\"", "toaster"},
	        {"sha256", "sha257", "`sha256` is missing"},
	        {"threads = \"parallel\"", "threads = 3", "`threads` must be text"},
	        {"summary =", "summary", ": syntax error"},
	        {"min_minor = ", "min_minor = -1; more = ", "`min_minor`"},
	        {"license", "@include \"/etc/passwd\"\nlicense", "@include"},
	        {"type = \"integer\"", "type = \"complex\"", "complex"},
	        {"unit = \"1\"", "unit = \"furlong\"", "furlong"},
	};

	for (size_t i = 0; i < NOVA_COUNT(edits); i++) {
		edit_manifest(*state, edits[i].from, edits[i].to);
		assert_refused(*state, "bad-manifest", edits[i].says);
		copy_good(*state, "manifest", "good.manifest");
	}
}

static void refuses_wrong_manifest(void **state)
{
	edit_manifest(*state, "name = \"good\"", "name = \"other\"");
	assert_refused(*state, "wrong-manifest", "benchmark/other");
}

static void refuses_manifest_of_another_kind(void **state)
{
	edit_manifest(*state, "kind = \"benchmark\"", "kind = \"optimizer\"");
	assert_refused(*state, "wrong-manifest", "optimizer/good");
}

static void refuses_hash(void **state)
{
	NOVA_AUTOFREE char *path = in(*state, "good.so");
	int fd = open(path, O_WRONLY | O_APPEND);

	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_refused(*state, "hash", "install the plugin again");
}

static void refuses_not_elf(void **state)
{
	NOVA_AUTOFREE char *path = in(*state, "good.so");

	put(path, "#!/bin/sh\n", 10);
	assert_refused(*state, "not-elf", "is not an ELF file");
	put(path, "", 0);
	assert_refused(*state, "not-elf", "is not an ELF file");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_refused(*state, "not-elf", "not a regular file");
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0644), 0);
	assert_refused(*state, "not-elf", "not a regular file");
}

static void refuses_elf_of_another_machine_or_type(void **state)
{
	NOVA_AUTOFREE char *path = in(*state, "good.so");
	size_t bytes;
	NOVA_AUTOFREE char *data = slurp(path, &bytes);
	Elf64_Ehdr *header = (void *)data;
	uint16_t machine = header->e_machine;

	header->e_machine = EM_S390;
	put_plugin(*state, data, bytes);
	assert_refused(*state, "not-elf", "another kind of machine");
	header->e_machine = machine;
	header->e_type = ET_REL;
	put_plugin(*state, data, bytes);
	assert_refused(*state, "not-elf", "not a shared library");
}

static void refuses_cut_elf(void **state)
{
	NOVA_AUTOFREE char *path = in(*state, "good.so");
	size_t bytes;
	NOVA_AUTOFREE char *data = slurp(path, &bytes);

	for (size_t cut = 1; cut < bytes; cut += bytes / 7) {
		put_plugin(*state, data, cut);
		const struct nova_trust trust = own_trust();
		struct nova_registry *registry =
		        scan(&trust, ((struct scratch *)*state)->root, NULL);
		for (size_t i = 0; i < registry->refusal_count; i++)
			assert_string_equal(nova_refusal_code(registry->refusals[i].reason),
			                    "not-elf");
		/* what the loader needs may all be there: section headers are at the end */
		assert_int_equal(registry->plugin_count + registry->refusal_count, 1);
		nova_registry_free(registry);
	}
}

/* Sets the `index`th word behind the name of the ABI note. */
static void patch_note(const struct scratch *scratch, size_t index, uint32_t value)
{
	NOVA_AUTOFREE char *path = in(scratch, "good.so");
	size_t bytes;
	NOVA_AUTOFREE char *data = slurp(path, &bytes);
	const uint32_t head[] = {9, 20, NOVA_NOTE_TYPE};
	char *note = memmem(data, bytes, head, sizeof(head));

	assert_non_null(note);
	assert_memory_equal(note + sizeof(head), NOVA_NOTE_NAME, sizeof(NOVA_NOTE_NAME));
	memcpy(note + sizeof(head) + 12 + 4 * index, &value, sizeof(value));
	put_plugin(scratch, data, bytes);
}

static void refuses_other_abi_major(void **state)
{
	patch_note(*state, 0, NOVA_ABI_MAJOR + 1);
	assert_refused(*state, "abi-major", "ABI 2");
}

static void refuses_future_min_minor(void **state)
{
	patch_note(*state, 2, NOVA_ABI_MINOR + 1);
	assert_refused(*state, "abi-minor", "install a newer novacore");
}

static void refuses_other_draft(void **state)
{
	patch_note(*state, 4, 3);
	assert_refused(*state, "abi-draft", "rebuild the plugin");
}

static void refuses_other_kind(void **state)
{
	patch_note(*state, 3, NOVA_KIND_HYPERVISOR);
	assert_refused(*state, "kind", "says that it is hypervisor");
}

static void refuses_manifest_of_another_abi(void **state)
{
	patch_note(*state, 1, NOVA_ABI_MINOR + 1);
	assert_refused(*state, "wrong-manifest", "another ABI");
}

static void refuses_duplicate_and_uses_the_first(void **state)
{
	const struct scratch *scratch = *state;
	const struct nova_trust trust = own_trust();
	struct nova_registry *registry = scan(&trust, HOSTILE_ROOT, scratch->root);
	const struct nova_manifest *found =
	        nova_registry_find(registry, NOVA_KIND_BENCHMARK, "good", NULL);
	bool refused = false;

	assert_non_null(found);
	assert_null(strstr(found->path, scratch->root));
	for (size_t i = 0; i < registry->refusal_count; i++) {
		if (registry->refusals[i].reason != NOVA_REFUSED_DUPLICATE)
			continue;
		refused = true;
		assert_non_null(strstr(registry->refusals[i].text, found->path));
	}
	assert_true(refused);
	nova_registry_free(registry);
}

static void uses_the_second_if_the_first_is_refused(void **state)
{
	const struct scratch *scratch = *state;
	const struct nova_trust trust = own_trust();
	struct scratch *broken;

	assert_int_equal(set_up((void **)&broken), 0);
	NOVA_AUTOFREE char *path = in(broken, "good.manifest");
	assert_int_equal(unlink(path), 0);
	struct nova_registry *registry = scan(&trust, broken->root, scratch->root);
	assert_int_equal(registry->plugin_count, 1);
	assert_int_equal(registry->refusal_count, 1);
	assert_non_null(strstr(registry->plugins[0]->path, scratch->root));
	nova_registry_free(registry);
	tear_down((void **)&broken);
}

static void refuses_nothing_twice_and_nothing_unprintable(void **state)
{
	const struct scratch *scratch = *state;
	const struct nova_trust trust = own_trust();
	NOVA_AUTOFREE char *path = in(scratch, "\x1b[2J\xff\n.so");

	put(path, "x", 1);
	struct nova_registry *registry = scan(&trust, scratch->root, NULL);
	assert_int_equal(registry->plugin_count, 1);
	assert_int_equal(registry->refusal_count, 1);
	assert_string_equal(nova_refusal_code(registry->refusals[0].reason), "file-name");
	assert_non_null(strstr(registry->refusals[0].path, "?[2J??.so"));
	assert_null(strpbrk(registry->refusals[0].text, "\x1b\n\xff"));
	nova_registry_free(registry);
}

/* Between two checks a part of the path becomes a link to where others are at home. */
static void refuses_link_in_the_path_of_a_checked_plugin(void **state)
{
	const struct scratch *scratch = *state;
	const struct nova_trust trust = own_trust();
	struct nova_registry *registry = scan(&trust, scratch->root, NULL);
	const struct nova_manifest *manifest = registry->plugins[0];
	static const struct nova_host host = {.struct_size = sizeof(host)};
	const struct nova_plugin *plugin;
	enum nova_refusal_reason reason = 0;
	struct nova_error error = {0};
	NOVA_AUTOFREE char *major = nova_format("%s/1", scratch->root);
	NOVA_AUTOFREE char *moved = nova_format("%s/moved", scratch->root);

	assert_int_equal(rename(major, moved), 0);
	assert_int_equal(symlink("moved", major), 0);
	assert_int_equal(nova_plugin_load_trusted(&trust, manifest->path, manifest->kind,
	                                          manifest->name, manifest->sha256, &host, &plugin,
	                                          NULL, NULL, &reason, &error),
	                 NOVA_E_REFUSED);
	assert_string_equal(nova_refusal_code(reason), "symlink");
	nova_registry_free(registry);
}

static void ignores_what_a_package_manager_has_not_finished(void **state)
{
	static const char *const names[] = {"new.so.dpkg-new", "new.so.dpkg-tmp",
	                                    "new.manifest.dpkg-new", "new.so;5f3759df",
	                                    "new.so.12345678.new"};
	const struct nova_trust trust = own_trust();

	for (size_t i = 0; i < NOVA_COUNT(names); i++)
		copy_good(*state, "so", names[i]);
	struct nova_registry *registry = scan(&trust, ((struct scratch *)*state)->root, NULL);
	assert_int_equal(registry->plugin_count, 1);
	assert_int_equal(registry->refusal_count, 0);
	nova_registry_free(registry);
}

/* --- built ----------------------------------------------------------------------------------- */

static const struct nova_refusal *refusal_of(const struct nova_registry *registry, const char *name)
{
	NOVA_AUTOFREE char *end = nova_format("/%s.so", name);

	for (size_t i = 0; i < registry->refusal_count; i++) {
		if (strstr(registry->refusals[i].path, end))
			return &registry->refusals[i];
	}
	return NULL;
}

static void refuses_each_built_static_one(void **state)
{
	static const struct {
		const char *name, *code, *says;
	} cases[] = {
	        {"no-note", "no-note", "0 ABI notes"},
	        {"two-notes", "no-note", "2 ABI notes"},
	        {"no-entry", "exports", "does not export nova_plugin_entry_v1"},
	        {"exports", "exports", "nova_hostile_export"},
	        {"lazy", "lazy-binding", "-z,now"},
	        {"rpath-tmp", "library-path", "`/tmp`"},
	        {"rpath-relative", "library-path", "`lib`"},
	        {"rpath-missing", "library-path", "No such file"},
	        {"missing-library", "missing-library", "install the package novahostile7"},
	        {"missing-nameless", "missing-library", "libnovahostile.so.7"},
	};
	const struct nova_trust trust = own_trust();
	struct nova_registry *registry = scan(&trust, HOSTILE_ROOT, NULL);

	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(cases); i++) {
		const struct nova_refusal *refusal = refusal_of(registry, cases[i].name);
		if (!refusal)
			fail_msg("%s was not refused", cases[i].name);
		print_message("%s: %s\n", nova_refusal_code(refusal->reason), refusal->text);
		assert_string_equal(nova_refusal_code(refusal->reason), cases[i].code);
		assert_non_null(strstr(refusal->text, cases[i].says));
	}
	assert_int_equal(registry->refusal_count, NOVA_COUNT(cases));
	nova_registry_free(registry);
}

/* Its library is there, but not what that one needs. */
static void names_the_library_of_a_library(void **state)
{
	static const char library[] = HOSTILE_LIBRARY;
	struct nova_check check = {.trust = own_trust(),
	                           .libraries = nova_libraries_new(),
	                           .directory = HOSTILE_ROOT "/1/benchmark",
	                           .kind = NOVA_KIND_BENCHMARK};
	struct {
		char magic[20];
		uint32_t count, string_bytes, more[5];
		int32_t flags;
		uint32_t name, path, os_version;
		uint64_t capabilities;
		char strings[4096];
	} cache = {.magic = "glibc-ld.so.cache1.1", .count = 1};
	struct nova_manifest *manifest;
	enum nova_refusal_reason reason = 0;
	struct nova_error error = {0};

	(void)state;
	cache.name = (uint32_t)offsetof(__typeof__(cache), strings);
	cache.path = cache.name + (uint32_t)sizeof("libnovahostile.so.7");
	snprintf(cache.strings, sizeof(cache.strings), "libnovahostile.so.7%c%s", '\0', library);
	nova_libraries_use_cache(check.libraries, &cache, sizeof(cache));
	check.fd = open(check.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(nova_check_file(&check, "missing-library.so", &manifest, NULL, NULL,
	                                 &reason, &error),
	                 NOVA_E_UNAVAILABLE);
	assert_string_equal(nova_refusal_code(reason), "missing-library");
	print_message("%s\n", error.text);
	assert_non_null(strstr(error.text, "libnovainner.so.3 (for libnovahostile.so.7)"));
	assert_non_null(strstr(error.text, "install the package novahostile7"));
	close(check.fd);
	nova_libraries_free(check.libraries);
}

static void explains_a_refused_plugin_that_is_asked_for(void **state)
{
	const struct nova_trust trust = own_trust();
	struct nova_registry *registry = scan(&trust, HOSTILE_ROOT, NULL);
	struct nova_error error = {0};

	(void)state;
	assert_null(nova_registry_find(registry, 0, "lazy", &error));
	assert_int_equal(error.code, NOVA_E_REFUSED);
	assert_non_null(strstr(error.text, "(lazy-binding)"));
	assert_null(nova_registry_find(registry, 0, "missing-library", &error));
	assert_int_equal(error.code, NOVA_E_UNAVAILABLE);
	assert_null(nova_registry_find(registry, NOVA_KIND_PROFILE, "lazy", &error));
	assert_int_equal(error.code, NOVA_E_NOT_FOUND);
	nova_registry_free(registry);
}

/* --- dynamic --------------------------------------------------------------------------------- */

struct report {
	int code;
	enum nova_refusal_reason reason;
	char text[512];
};

/* Stands for a worker: loads, then probes. */
static void act_as_worker(const struct nova_manifest *manifest, int out)
{
	static const struct nova_host host = {.struct_size = sizeof(host)};
	static const int crashes[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE};
	const struct nova_plugin *plugin;
	struct nova_error error = {0};
	struct report report = {0};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < NOVA_COUNT(crashes); i++)
		signal(crashes[i], SIG_DFL); /* cmocka catches them */
	const struct nova_trust trust = own_trust();
	report.code = nova_plugin_load_trusted(&trust, manifest->path, manifest->kind,
	                                       manifest->name, manifest->sha256, &host, &plugin,
	                                       NULL, NULL, &report.reason, &error);
	if (!report.code && plugin->probe)
		plugin->probe(&host, 1);
	snprintf(report.text, sizeof(report.text), "%.500s", error.text);
	_exit(write(out, &report, sizeof(report)) == (ssize_t)sizeof(report) ? 0 : 1);
}

static unsigned long long resident_bytes(pid_t process)
{
	NOVA_AUTOFREE char *path = nova_format("/proc/%d/statm", (int)process);
	NOVA_AUTOFREE char *text = nova_file_read(path, 4096, NULL, NULL);
	unsigned long long total = 0, resident = 0;

	if (text && sscanf(text, "%llu %llu", &total, &resident) == 2)
		return resident * (unsigned long long)sysconf(_SC_PAGESIZE);
	return 0;
}

/* Waits for the worker's end, or ends it: the reason for that, or 0. */
static enum nova_refusal_reason watch(pid_t child, int64_t patience_ns, int *status)
{
	int64_t deadline = nova_now_ns() + patience_ns;
	enum nova_refusal_reason reason = 0;
	unsigned long long start = resident_bytes(child);

	while (waitpid(child, status, WNOHANG) == 0) {
		if (resident_bytes(child) > start + HOG_BYTES)
			reason = NOVA_REFUSED_MEMORY;
		else if (nova_now_ns() > deadline)
			reason = NOVA_REFUSED_HANG;
		if (reason) {
			kill(child, SIGKILL);
			waitpid(child, status, 0);
			return reason;
		}
		usleep(2000);
	}
	return 0;
}

static struct report load(const char *name, int64_t patience_ns)
{
	const struct nova_trust trust = own_trust();
	struct nova_registry *registry = scan(&trust, HOSTILE_ROOT, NULL);
	struct nova_error error = {0};
	const struct nova_manifest *manifest =
	        nova_registry_find(registry, NOVA_KIND_BENCHMARK, name, &error);
	struct report report = {0};
	int ends[2], status = 0;

	if (!manifest)
		fail_msg("%.500s", error.text);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fflush(NULL);
	pid_t child = fork();
	assert_true(child >= 0);
	if (!child)
		act_as_worker(manifest, ends[1]);
	close(ends[1]);
	enum nova_refusal_reason reason = watch(child, patience_ns, &status);
	ssize_t got = read(ends[0], &report, sizeof(report));
	close(ends[0]);
	nova_registry_free(registry);
	if (got == (ssize_t)sizeof(report))
		return report;
	if (!reason)
		reason = WIFSIGNALED(status) ? NOVA_REFUSED_CRASH : NOVA_REFUSED_EXIT;
	return (struct report){.code = NOVA_E_REFUSED, .reason = reason};
}

static void refuses_each_dynamic_one(void **state)
{
	static const struct {
		const char *name, *code, *says;
	} cases[] = {
	        {"undefined", "load", "undefined symbol: nova_no_such_function"},
	        {"constructor-crash", "crash", ""},
	        {"constructor-exit", "exit", ""},
	        {"entry-crash", "crash", ""},
	        {"entry-exit", "exit", ""},
	        {"entry-hang", "hang", ""},
	        {"entry-hog", "memory", ""},
	        {"entry-null", "null-ops", "returned NULL"},
	        {"entry-garbage", "crash", ""},
	        {"size-small", "struct-size", "struct_size = 16"},
	        {"size-huge", "struct-size", "struct_size = 4294967295"},
	        {"ops-size", "struct-size", "the ops struct says struct_size = 8"},
	        {"ops-null", "null-ops", "has no ops"},
	        {"op-null", "null-ops", "required op `create`"},
	        {"version-differs", "descriptor", "`version` (the plugin says \"6.6.6\")"},
	        {"parameter-differs", "descriptor", "`parameters[0].fallback`"},
	        {"probe-crash", "crash", ""},
	        {"probe-hang", "hang", ""},
	};

	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(cases); i++) {
		struct report report =
		        load(cases[i].name, strcmp(cases[i].code, "hang") ? PATIENCE_NS : HANG_NS);
		print_message("%s: %s: %s\n", cases[i].name, nova_refusal_code(report.reason),
		              report.text);
		assert_int_equal(report.code, NOVA_E_REFUSED);
		assert_string_equal(nova_refusal_code(report.reason), cases[i].code);
		if (!strstr(report.text, cases[i].says))
			fail_msg("`%s` does not say `%s`", report.text, cases[i].says);
	}
}

static void loads_what_goes_wrong_only_later(void **state)
{
	static const char *const names[] = {
	        "good",           "rpath-origin",  "replicate-crash",  "replicate-exit",
	        "replicate-hang", "replicate-hog", "replicate-corrupt"};

	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(names); i++) {
		struct report report = load(names[i], PATIENCE_NS);
		if (report.code)
			fail_msg("%s: %s %s", names[i], nova_refusal_code(report.reason),
			         report.text);
	}
}

/* The file was good when the parent looked, and another when the worker does. */
static void refuses_file_replaced_after_the_scan(void **state)
{
	const struct scratch *scratch = *state;
	const struct nova_trust trust = own_trust();
	struct nova_registry *registry = scan(&trust, scratch->root, NULL);
	const struct nova_manifest *manifest = registry->plugins[0];
	const struct nova_plugin *plugin;
	enum nova_refusal_reason reason = 0;
	struct nova_error error = {0};
	static const struct nova_host host = {.struct_size = sizeof(host)};
	size_t bytes;
	NOVA_AUTOFREE char *data = slurp(manifest->path, &bytes);

	data = nova_realloc(data, bytes + 1);
	data[bytes] = 'x';
	put_plugin(scratch, data, bytes + 1);
	assert_int_equal(nova_plugin_load_trusted(&trust, manifest->path, manifest->kind,
	                                          manifest->name, manifest->sha256, &host, &plugin,
	                                          NULL, NULL, &reason, &error),
	                 NOVA_E_REFUSED);
	assert_int_equal(reason, NOVA_REFUSED_HASH);
	assert_non_null(strstr(error.text, "replaced since the run began"));
	assert_null(plugin);
	nova_registry_free(registry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        SCRATCH(accepts_the_good_one),
	        SCRATCH(refuses_file_name),
	        SCRATCH(refuses_symlink),
	        SCRATCH(refuses_symlinked_manifest),
	        SCRATCH(refuses_owner_when_privileged),
	        SCRATCH(refuses_owner_of_another_user),
	        SCRATCH(refuses_owner_of_a_directory_above),
	        SCRATCH(refuses_writable_file),
	        SCRATCH(refuses_writable_manifest),
	        SCRATCH(refuses_writable_directory),
	        SCRATCH(accepts_group_writable_of_own_unless_privileged),
	        SCRATCH(refuses_unreadable),
	        SCRATCH(refuses_manifest_that_is_too_large),
	        SCRATCH(refuses_no_manifest),
	        SCRATCH(refuses_bad_manifest),
	        SCRATCH(refuses_wrong_manifest),
	        SCRATCH(refuses_manifest_of_another_kind),
	        SCRATCH(refuses_hash),
	        SCRATCH(refuses_not_elf),
	        SCRATCH(refuses_elf_of_another_machine_or_type),
	        SCRATCH(refuses_cut_elf),
	        SCRATCH(refuses_other_abi_major),
	        SCRATCH(refuses_future_min_minor),
	        SCRATCH(refuses_other_draft),
	        SCRATCH(refuses_other_kind),
	        SCRATCH(refuses_manifest_of_another_abi),
	        SCRATCH(refuses_nothing_twice_and_nothing_unprintable),
	        SCRATCH(refuses_link_in_the_path_of_a_checked_plugin),
	        SCRATCH(ignores_what_a_package_manager_has_not_finished),
	        SCRATCH(refuses_duplicate_and_uses_the_first),
	        SCRATCH(uses_the_second_if_the_first_is_refused),
	        cmocka_unit_test(refuses_each_built_static_one),
	        cmocka_unit_test(names_the_library_of_a_library),
	        cmocka_unit_test(explains_a_refused_plugin_that_is_asked_for),
	        cmocka_unit_test(refuses_each_dynamic_one),
	        cmocka_unit_test(loads_what_goes_wrong_only_later),
	        SCRATCH(refuses_file_replaced_after_the_scan),
	};

	return cmocka_run_group_tests_name("hostile plugins", tests, NULL, NULL);
}
