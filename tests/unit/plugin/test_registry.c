/* SPDX-License-Identifier: MIT */
/* Finding plugins: directories that are and are not there, names, neighbours, libraries, and whom
 * to trust. Refusals have their own tests in tests/hostile. */
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define GOOD GOOD_ROOT "/1/benchmark/good"

static struct nova_trust own(void)
{
	return (struct nova_trust){.privileged = false, .user = geteuid()};
}

static struct nova_registry *scan(const char *const *roots)
{
	const struct nova_trust trust = own();
	struct nova_registry *registry;

	assert_int_equal(nova_registry_scan_roots(roots, &trust, &registry, NULL), 0);
	return registry;
}

static int make_root(void **state)
{
	char *path = nova_strdup("/tmp/novacore-registry-XXXXXX");

	*state = mkdtemp(path);
	return *state ? 0 : -1;
}

static int remove_root(void **state)
{
	int result = nova_directory_remove(*state, NULL);

	free(*state);
	return result;
}

/* `good` under another kind or name needs another manifest: text only, the digest stays. */
static void place(const char *root, const char *kind, const char *name)
{
	size_t bytes;
	NOVA_AUTOFREE char *directory = nova_format("%s/1/%s", root, kind);
	NOVA_AUTOFREE char *so = nova_format("%s/%s.so", directory, name);
	NOVA_AUTOFREE char *manifest = nova_format("%s/%s.manifest", directory, name);
	NOVA_AUTOFREE char *data = nova_file_read(GOOD ".so", 64u << 20, &bytes, NULL);
	NOVA_AUTOFREE char *text = nova_file_read(GOOD ".manifest", 1u << 20, NULL, NULL);
	const uint32_t head[] = {9, 20, NOVA_NOTE_TYPE};
	uint32_t number = nova_kind_parse(kind);
	char digest[65];

	assert_non_null(data);
	assert_non_null(text);
	memcpy((char *)memmem(data, bytes, head, sizeof(head)) + 36, &number, 4);
	nova_sha256(data, bytes, digest);
	NOVA_AUTOFREE char *head_text = nova_format(
	        "format = 1; kind = \"%s\"; name = \"%s\"; version = \"1\"; summary = \"s\";\n"
	        "license = \"MIT\"; threads = \"serial\"; settings = \"\"; sha256 = \"%s\";\n"
	        "abi = { major = 1; minor = 0; min_minor = 0; };\n",
	        kind, name, digest);
	assert_int_equal(nova_directory_make(directory, 0755, NULL), 0);
	assert_int_equal(nova_file_write(so, data, bytes, 0755, NULL), 0);
	assert_int_equal(nova_file_write(manifest, head_text, strlen(head_text), 0644, NULL), 0);
}

static void sorts_by_kind_then_name(void **state)
{
	static const char *const expected[] = {"a", "b", "good-2", "b", "z"};
	struct nova_registry *registry;

	place(*state, "profile", "z");
	place(*state, "benchmark", "good-2");
	place(*state, "optimizer", "b");
	place(*state, "benchmark", "b");
	place(*state, "benchmark", "a");
	registry = scan((const char *const[]){*state, NULL});
	for (size_t i = 0; i < registry->refusal_count; i++)
		print_message("%s\n", registry->refusals[i].text);
	assert_int_equal(registry->plugin_count, NOVA_COUNT(expected));
	for (size_t i = 0; i < NOVA_COUNT(expected); i++)
		assert_string_equal(registry->plugins[i]->name, expected[i]);
	nova_registry_free(registry);
}

static void finds_by_name_kind_and_nearest(void **state)
{
	struct nova_error error = {0};

	place(*state, "benchmark", "cpu");
	place(*state, "optimizer", "cpu");
	place(*state, "hypervisor", "proxmox");
	struct nova_registry *registry = scan((const char *const[]){*state, NULL});
	const struct nova_manifest *found = nova_registry_find(registry, 0, "proxmox", &error);
	assert_non_null(found);
	assert_int_equal(found->kind, NOVA_KIND_HYPERVISOR);
	assert_null(nova_registry_find(registry, 0, "cpu", &error));
	assert_int_equal(error.code, NOVA_E_INVALID);
	assert_contains(error.text, "benchmark/cpu, optimizer/cpu");
	found = nova_registry_find(registry, NOVA_KIND_OPTIMIZER, "cpu", &error);
	assert_non_null(found);
	assert_int_equal(found->kind, NOVA_KIND_OPTIMIZER);
	assert_null(nova_registry_find(registry, 0, "proxmux", &error));
	assert_int_equal(error.code, NOVA_E_NOT_FOUND);
	assert_contains(error.text, "did you mean `proxmox`");
	assert_null(nova_registry_find(registry, NOVA_KIND_HYPERVISOR, "vsphere", &error));
	assert_contains(error.text, "there are: proxmox");
	assert_null(nova_registry_find(registry, NOVA_KIND_PROFILE, "hpc", &error));
	assert_contains(error.text, "no other of that kind");
	nova_registry_free(registry);
}

static void finds_nothing_where_nothing_is(void **state)
{
	NOVA_AUTOFREE char *missing = nova_format("%s/missing", (char *)*state);
	struct nova_registry *registry = scan((const char *const[]){missing, *state, NULL});

	assert_int_equal(registry->plugin_count, 0);
	assert_int_equal(registry->refusal_count, 0);
	nova_registry_free(registry);
}

static void ignores_what_is_no_plugin(void **state)
{
	static const char *const names[] = {
	        "notes.txt",        "README",           "x.so.bak",
	        "good.so~",         "solo.manifest",    "solo.manifest.sig",
	        "good.so.dpkg-new", "good.so.dpkg-tmp", "good.manifest.dpkg-tmp",
	        "good.so;65a1b2c3", ".good.so.swp",
	};

	place(*state, "benchmark", "good");
	for (size_t i = 0; i < NOVA_COUNT(names); i++) {
		NOVA_AUTOFREE char *path =
		        nova_format("%s/1/benchmark/%s", (char *)*state, names[i]);
		assert_int_equal(nova_file_write(path, "x", 1, 0666, NULL), 0);
	}
	NOVA_AUTOFREE char *below = nova_format("%s/1/benchmark/more", (char *)*state);
	assert_int_equal(mkdir(below, 0755), 0);
	struct nova_registry *registry = scan((const char *const[]){*state, NULL});
	assert_int_equal(registry->plugin_count, 1);
	assert_int_equal(registry->refusal_count, 0);
	nova_registry_free(registry);
}

static void records_a_directory_that_is_none(void **state)
{
	NOVA_AUTOFREE char *major = nova_format("%s/1", (char *)*state);
	NOVA_AUTOFREE char *kind = nova_format("%s/1/profile", (char *)*state);

	assert_int_equal(mkdir(major, 0755), 0);
	assert_int_equal(nova_file_write(kind, "x", 1, 0644, NULL), 0);
	struct nova_registry *registry = scan((const char *const[]){*state, NULL});
	assert_int_equal(registry->refusal_count, 1);
	assert_int_equal(registry->refusals[0].reason, NOVA_REFUSED_UNREADABLE);
	assert_int_equal(registry->refusals[0].kind, NOVA_KIND_PROFILE);
	nova_registry_free(registry);
}

static void follows_a_link_to_a_directory_and_names_the_real_one(void **state)
{
	NOVA_AUTOFREE char *link = nova_format("%s/link", (char *)*state);

	place(*state, "benchmark", "good");
	assert_int_equal(symlink(".", link), 0);
	struct nova_registry *registry = scan((const char *const[]){link, NULL});
	assert_int_equal(registry->plugin_count, 1);
	assert_null(strstr(registry->plugins[0]->path, "/link/"));
	nova_registry_free(registry);
}

/* This program is neither installed nor at the top of a build tree: it has no plugins of its own,
 * only those of the environment, and these only without privileges. */
static void honours_the_environment_only_without_privileges(void **state)
{
	struct nova_registry *registry;
	struct nova_error error = {0};
	NOVA_AUTOFREE char *list = nova_format("relative:%s:/nonexistent/dir", (char *)*state);

	place(*state, "benchmark", "good");
	nova_log_terminal(NOVA_LOG_ERROR);
	assert_int_equal(setenv("NOVACORE_PLUGIN_PATH", list, 1), 0);
	assert_int_equal(setenv("LIBVIRT_DRIVER_DIR", "/nonexistent", 1), 0);
	assert_int_equal(nova_registry_scan(&registry, &error), 0);
	assert_int_equal(registry->plugin_count, geteuid() == 0 ? 0 : 1);
	if (geteuid() == 0)
		assert_null(getenv("LIBVIRT_DRIVER_DIR"));
	else
		assert_non_null(getenv("LIBVIRT_DRIVER_DIR"));
	unsetenv("NOVACORE_PLUGIN_PATH");
	nova_registry_free(registry);
}

/* --- trust ----------------------------------------------------------------------------------- */

/* Opens and closes it: the reason for a refusal, or 0. */
static enum nova_refusal_reason judge(const struct nova_trust *trust, const char *path)
{
	enum nova_refusal_reason reason = 0;
	struct nova_error error = {0};
	int fd;

	if (!nova_trust_open(trust, path, &fd, &reason, &error)) {
		assert_true(fd >= 0);
		close(fd);
		return 0;
	}
	print_message("%s\n", error.text);
	assert_int_equal(fd, -1);
	return reason;
}

static void a_sticky_directory_of_root_is_safe(void **state)
{
	const struct nova_trust root = {.privileged = true, .user = 0};
	struct stat status;

	(void)state;
	assert_int_equal(judge(&root, "/"), 0);
	assert_int_equal(judge(&root, "/nonexistent/x"), NOVA_REFUSED_UNREADABLE);
	assert_int_equal(judge(&root, "/dev/null"), NOVA_REFUSED_UNREADABLE);
	assert_int_equal(stat("/tmp", &status), 0);
	if (status.st_uid != 0 || !(status.st_mode & S_ISVTX)) {
		print_message("/tmp is not a sticky directory of root\n");
		return;
	}
	assert_int_equal(judge(&root, "/tmp"), 0);
}

static void every_directory_above_counts(void **state)
{
	const struct nova_trust trust = own(), root = {.privileged = true, .user = 0};
	NOVA_AUTOFREE char *above = nova_format("%s/above", (char *)*state);
	NOVA_AUTOFREE char *below = nova_format("%s/above/below", (char *)*state);
	NOVA_AUTOFREE char *link = nova_format("%s/link", (char *)*state);
	NOVA_AUTOFREE char *through = nova_format("%s/link/below", (char *)*state);

	assert_int_equal(nova_directory_make(below, 0755, NULL), 0);
	assert_int_equal(judge(&trust, below), 0);
	assert_int_equal(chmod(above, 0777), 0);
	assert_int_equal(judge(&trust, below), NOVA_REFUSED_WRITABLE);
	assert_int_equal(chmod(above, 0775), 0);
	assert_int_equal(judge(&trust, below), 0);
	assert_int_not_equal(judge(&root, below), 0);
	/* sticky, but not root's: its owner could still replace everything */
	assert_int_equal(chmod(above, 01777), 0);
	if (geteuid() == 0) {
		assert_int_equal(judge(&root, below), 0);
		assert_int_equal(chown(above, 12345, 12345), 0);
		assert_int_equal(judge(&trust, below), NOVA_REFUSED_OWNER);
		const struct nova_trust ada = {.privileged = false, .user = 12345};
		assert_int_equal(judge(&ada, below), NOVA_REFUSED_WRITABLE);
	} else {
		assert_int_equal(judge(&trust, below), NOVA_REFUSED_WRITABLE);
	}
	assert_int_equal(symlink("above", link), 0);
	assert_int_equal(judge(&trust, through), NOVA_REFUSED_SYMLINK);
	assert_int_equal(judge(&trust, link), NOVA_REFUSED_SYMLINK);
}

/* proc(5) */
static const char mountinfo[] = "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
                                "99 27 0:50 / /home/ada/far rw,nosuid shared:1 - fuse.sshfs "
                                "lab: rw,user_id=1000,group_id=1000,allow_other\n"
                                "98 27 0:51 / /mnt rw - fuseblk /dev/sdb1 rw,user_id=0,group_id=0\n"
                                "97 27 0:52 / /kata rw - virtiofs share rw\n"
                                "96 27 0:53 / /odd rw - fuse.x x rw,not_user_id=5\n"
                                "95 27 0:54 / /cut";

static void knows_who_mounted_a_file_system(void **state)
{
	uid_t owner = 7;

	(void)state;
	assert_true(nova_mount_owner(mountinfo, makedev(0, 50), &owner));
	assert_int_equal(owner, 1000);
	assert_true(nova_mount_owner(mountinfo, makedev(0, 51), &owner));
	assert_int_equal(owner, 0);
	assert_false(nova_mount_owner(mountinfo, makedev(0, 21), &owner));
	assert_false(nova_mount_owner(mountinfo, makedev(0, 5), &owner));
	assert_false(nova_mount_owner(mountinfo, makedev(0, 52), &owner));
	assert_false(nova_mount_owner(mountinfo, makedev(0, 53), &owner));
	assert_false(nova_mount_owner(mountinfo, makedev(0, 54), &owner));
	assert_false(nova_mount_owner("", makedev(0, 50), &owner));
}

/* --- libraries ------------------------------------------------------------------------------- */

struct fake_cache {
	char magic[20];
	uint32_t count, string_bytes, more[5];
	struct {
		int32_t flags;
		uint32_t name, path, os_version;
		uint64_t capabilities;
	} entry;
	char strings[4096];
};

static void make_cache(struct fake_cache *cache, const char *name, const char *path)
{
	*cache = (struct fake_cache){.count = 1};
	memcpy(cache->magic, "glibc-ld.so.cache1.1", 20);
	cache->entry.name = offsetof(struct fake_cache, strings);
	cache->entry.path = cache->entry.name + (uint32_t)strlen(name) + 1;
	snprintf(cache->strings, sizeof(cache->strings), "%s%c%s", name, '\0', path);
}

static bool have(const struct fake_cache *cache, size_t bytes, const char *name)
{
	struct nova_libraries *libraries = nova_libraries_new();

	nova_libraries_use_cache(libraries, cache, bytes);
	bool found = nova_libraries_have(libraries, name);
	assert_int_equal(nova_libraries_have(libraries, name), found); /* from memory */
	nova_libraries_free(libraries);
	return found;
}

static void finds_the_c_library_and_no_invented_one(void **state)
{
	struct nova_libraries *libraries = nova_libraries_new();

	(void)state;
	assert_true(nova_libraries_have(libraries, "libc.so.6"));
	assert_false(nova_libraries_have(libraries, "libnovacore-invented.so.1"));
	assert_true(nova_libraries_have(libraries, GOOD ".so"));
	assert_false(nova_libraries_have(libraries, "/nonexistent/libc.so.6"));
	nova_libraries_free(libraries);
}

static void believes_the_cache_only_where_a_file_is(void **state)
{
	struct fake_cache cache;

	(void)state;
	make_cache(&cache, "libfake.so.1", GOOD ".so");
	assert_true(have(&cache, sizeof(cache), "libfake.so.1"));
	assert_false(have(&cache, sizeof(cache), "libfake.so"));
	make_cache(&cache, "libfake.so.1", "/nonexistent/libfake.so.1");
	assert_false(have(&cache, sizeof(cache), "libfake.so.1"));
	make_cache(&cache, "libfake.so.1", GOOD ".manifest"); /* no ELF */
	assert_false(have(&cache, sizeof(cache), "libfake.so.1"));
	make_cache(&cache, "libfake.so.1", "/");
	assert_false(have(&cache, sizeof(cache), "libfake.so.1"));
}

static void survives_a_damaged_cache(void **state)
{
	struct fake_cache cache;

	(void)state;
	make_cache(&cache, "libfake.so.1", GOOD ".so");
	for (size_t bytes = 0; bytes < 80; bytes++)
		assert_false(have(&cache, bytes, "libfake.so.1"));
	cache.count = UINT32_MAX;
	assert_false(have(&cache, sizeof(cache), "libfake.so.1"));
	cache.count = 1;
	cache.entry.name = UINT32_MAX;
	assert_false(have(&cache, sizeof(cache), "libfake.so.1"));
	make_cache(&cache, "libfake.so.1", GOOD ".so");
	cache.magic[0] = 'G';
	assert_false(have(&cache, sizeof(cache), "libfake.so.1"));
}

#define ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        ROOT(sorts_by_kind_then_name),
	        ROOT(finds_by_name_kind_and_nearest),
	        ROOT(finds_nothing_where_nothing_is),
	        ROOT(ignores_what_is_no_plugin),
	        ROOT(records_a_directory_that_is_none),
	        ROOT(follows_a_link_to_a_directory_and_names_the_real_one),
	        ROOT(honours_the_environment_only_without_privileges),
	        cmocka_unit_test(a_sticky_directory_of_root_is_safe),
	        ROOT(every_directory_above_counts),
	        cmocka_unit_test(knows_who_mounted_a_file_system),
	        cmocka_unit_test(finds_the_c_library_and_no_invented_one),
	        cmocka_unit_test(believes_the_cache_only_where_a_file_is),
	        cmocka_unit_test(survives_a_damaged_cache),
	};

	return cmocka_run_group_tests_name("plugin registry", tests, NULL, NULL);
}
