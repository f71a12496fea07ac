/* SPDX-License-Identifier: MIT */
/*
 * Builds one appliance: supermin copies the packages' files from this machine into a root disk, we
 * add what makes them a system, and an initrd of our own that holds the init and its modules.
 *
 * supermin --prepare is not used: all it would add are the packages' pristine configuration files,
 * for which it needs the network, and of which the guest needs none.
 */
#include "core/guest/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * cryptomgr.notests: 0.3 s of the kernel testing its ciphers. Nothing here may change how fast the
 * guest computes (mitigations, lock prefixes): it is what gets measured.
 */
#define CMDLINE "console=ttyS0 quiet panic=1 root=/dev/vda cryptomgr.notests"

static const char dhcp_script[] =
        "#!/bin/sh\n"
        "# Called by udhcpc with what the server offered in the environment.\n"
        "case \"$1\" in\n"
        "deconfig) ip link set \"$interface\" up ;;\n"
        /* no server: an address of RFC 3927's range, from the hardware's, if nobody has it */
        "leasefail)\n"
        "\tset -- $(sed 's/:/ 0x/g; s/^/0x/' \"/sys/class/net/$interface/address\")\n"
        "\tip=169.254.$(($5 % 254 + 1)).$(($6))\n"
        "\tip addr show dev \"$interface\" | grep -q 'inet ' ||\n"
        "\t\t{ arping -q -D -c 2 -w 2 -I \"$interface\" \"$ip\" &&\n"
        "\t\tip addr add \"$ip/16\" scope link dev \"$interface\"; }\n"
        "\t;;\n"
        "bound | renew)\n"
        "\tip addr flush dev \"$interface\"\n"
        "\tip addr add \"$ip/${mask:-24}\" dev \"$interface\"\n"
        "\tfor gateway in $router; do ip route add default via \"$gateway\" && break; done\n"
        "\t: >/etc/resolv.conf\n"
        "\tfor server in $dns; do echo \"nameserver $server\" >>/etc/resolv.conf; done\n"
        "\t;;\n"
        "esac\n";

static const struct {
	const char *path;
	mode_t mode;
	const char *text; /* NULL: a directory */
} tree[] = {
        {"usr", 0755, NULL},
        {"usr/bin", 0755, NULL},
        {"usr/sbin", 0755, NULL},
        {"dev", 0755, NULL},
        {"etc", 0755, NULL},
        {"mnt", 0755, NULL},
        {"novacore", 0755, NULL},
        {"novacore/bin", 0755, NULL},
        {"proc", 0555, NULL},
        {"root", 0700, NULL},
        {"run", 0755, NULL},
        {"sys", 0555, NULL},
        {"tmp", 01777, NULL},
        {"var", 0755, NULL},
        {"var/tmp", 01777, NULL},
        {"etc/passwd", 0644,
         "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"},
        {"etc/group", 0644, "root:x:0:\nnogroup:x:65534:\n"},
        {"etc/hosts", 0644, "127.0.0.1 localhost\n::1 localhost\n"},
        {"etc/nsswitch.conf", 0644, "passwd: files\ngroup: files\nhosts: files dns\n"},
        {"novacore/dhcp", 0755, dhcp_script},
};

static const struct {
	const char *path, *target;
} links[] = {
        {"usr/sbin/poweroff", "/novacore/init"}, {"usr/sbin/halt", "/novacore/init"},
        {"usr/sbin/reboot", "/novacore/init"},   {"usr/sbin/shutdown", "/novacore/init"},
        {"usr/bin/sh", "/usr/bin/busybox"},      {"var/run", "/run"},
};

/* On a system whose /bin is not /usr/bin, what the table has in usr/bin goes to bin. */
static char *staged(const char *root, const char *path, bool merged)
{
	if (!merged && strncmp(path, "usr/", 4) == 0)
		path += 4;
	return nova_format("%s/%s", root, *path != '\0' ? path : ".");
}

static int stage_applets(const struct guest_site *site, const char *root, bool merged,
                         struct nova_error *error)
{
	const char *const argv[] = {"/bin/busybox", "--list", NULL};
	struct nova_child_result result = {0};
	char *rest = NULL;
	int failed = guest_site_check(site, argv, NULL, &result, error);
	NOVA_AUTOFREE char *names = nova_strdup(nova_text_get(&result.output));

	nova_child_result_free(&result);
	for (char *name = strtok_r(names, "\n", &rest); failed == 0 && name != NULL;
	     name = strtok_r(NULL, "\n", &rest)) {
		NOVA_AUTOFREE char *path = nova_format("%s/novacore/bin/%s", root, name);
		if (symlink(merged ? "/usr/bin/busybox" : "/bin/busybox", path) != 0)
			failed = nova_error_errno(error, "cannot make the link %s", path);
	}
	return failed;
}

/* The files that no package has, as they will lie in the guest. */
static int stage_tree(const struct guest_site *site, const char *root, struct nova_error *error)
{
	struct stat about;
	bool merged = lstat("/bin", &about) == 0 && S_ISLNK(about.st_mode);
	int failed = guest_site_directory(root, 0755, error);

	for (size_t i = 0; failed == 0 && i < NOVA_COUNT(tree); i++) {
		NOVA_AUTOFREE char *path = staged(root, tree[i].path, merged);
		failed = tree[i].text == NULL
		                 ? guest_site_directory(path, tree[i].mode, error)
		                 : guest_site_file(path, tree[i].text, strlen(tree[i].text),
		                                   tree[i].mode, error);
	}
	for (size_t i = 0; failed == 0 && i < NOVA_COUNT(links); i++) {
		NOVA_AUTOFREE char *path = staged(root, links[i].path, merged);
		const char *target = links[i].target;
		if (symlink(!merged && strncmp(target, "/usr/", 5) == 0 ? target + 4 : target,
		            path) != 0)
			failed = nova_error_errno(error, "cannot make the link %s", path);
	}
	NOVA_AUTOFREE char *init = nova_format("%s/novacore/init", root);
	if (failed == 0)
		failed = guest_site_copy(site->build->inputs->init, init, 0755, error);
	NOVA_AUTOFREE char *probe = nova_format("%s/novacore/bin/novacore-probe", root);
	if (failed == 0)
		failed = guest_site_copy(site->build->inputs->probe, probe, 0755, error);
	return failed != 0 ? failed : stage_applets(site, root, merged, error);
}

/* supermin's input directory: the list of packages, what to leave out, and our tree. */
static int stage_recipe(const struct guest_site *site, struct nova_error *error)
{
	static const char excluded[] = "-/usr/share/doc/*\n-/usr/share/man/*\n-/usr/share/info/*\n"
	                               "-/usr/share/locale/*\n-/usr/share/lintian/*\n";
	NOVA_AUTOFREE char *recipe = nova_format("%s/recipe", site->directory);
	NOVA_AUTOFREE char *packages = nova_format("%s/packages", recipe);
	NOVA_AUTOFREE char *excludes = nova_format("%s/excludefiles", recipe);
	NOVA_AUTOFREE char *root = nova_format("%s/tree", site->directory);
	const char *const tar[] = {
	        "tar",       "--create",  "--file=recipe/base.tar", "--directory=tree",
	        "--owner=0", "--group=0", "--numeric-owner",        ".",
	        NULL};
	NOVA_AUTOTEXT struct nova_text names = {0};
	struct nova_child_result result = {0};

	for (size_t i = 0; guest_packages[i] != NULL; i++)
		nova_text_addf(&names, "%s\n", guest_packages[i]);
	int failed = guest_site_directory(recipe, 0755, error);
	if (failed == 0)
		failed = guest_site_file(packages, names.data, names.length, 0644, error);
	if (failed == 0)
		failed = guest_site_file(excludes, excluded, strlen(excluded), 0644, error);
	if (failed == 0)
		failed = stage_tree(site, root, error);
	if (failed == 0)
		failed = guest_site_check(site, tar, NULL, &result, error);
	nova_child_result_free(&result);
	return failed;
}

/*
 * supermin wants a directory of modules, all of which it would copy (90 MB) or put into an initrd
 * of its own: it gets an empty one.
 */
static int stage_no_modules(const struct guest_site *site, struct nova_error *error)
{
	NOVA_AUTOFREE char *modules = nova_format("%s/modules", site->directory);
	NOVA_AUTOFREE char *list = nova_format("%s/modules.dep", modules);
	int failed = guest_site_directory(modules, 0755, error);

	return failed != 0 ? failed : guest_site_file(list, "", 0, 0644, error);
}

/* What supermin's last words mean for the user. */
static int explain(const struct nova_child_result *result, struct nova_error *error)
{
	const char *words = nova_text_get(&result->errors);
	size_t length = strlen(words);

	if (result->status == 127)
		return nova_error_set(error, NOVA_E_UNAVAILABLE,
		                      "cannot build the appliance: supermin is not installed; run: "
		                      "apt-get install supermin");
	while (length > 0 && words[length - 1] == '\n')
		length--;
	size_t start = length;
	while (start > 0 && words[start - 1] != '\n')
		start--;
	bool full = strstr(words, "No space left on device") != NULL;
	return nova_error_set(error, full ? NOVA_E_FULL : NOVA_E_FAILED,
	                      "cannot build the appliance's root disk: supermin failed with status "
	                      "%d: %.*s",
	                      result->status, (int)(length - start), words + start);
}

static int build_disk(const struct guest_site *site, struct nova_error *error)
{
	const struct guest_kernel *kernel = &site->build->inputs->kernel;
	const char *path = getenv("PATH");
	NOVA_AUTOFREE char *size = nova_format("%lldM", (long long)(GUEST_DISK_BYTES >> 20));
	NOVA_AUTOFREE char *env_kernel = nova_format("SUPERMIN_KERNEL=%s", kernel->image);
	NOVA_AUTOFREE char *env_release =
	        nova_format("SUPERMIN_KERNEL_VERSION=%s", kernel->release);
	NOVA_AUTOFREE char *env_modules =
	        nova_format("SUPERMIN_MODULES=%s/modules", site->directory);
	NOVA_AUTOFREE char *env_tmp = nova_format("TMPDIR=%s", site->directory);
	NOVA_AUTOFREE char *env_home = nova_format("HOME=%s", site->directory);
	/* mke2fs lives where a user's PATH does not look */
	NOVA_AUTOFREE char *env_path =
	        nova_format("PATH=%s:/usr/sbin:/sbin", path != NULL ? path : "/usr/bin:/bin");
	const char *const env[] = {env_kernel, env_release, env_modules, env_tmp,
	                           env_home,   env_path,    "LC_ALL=C",  NULL};
	const char *const argv[] = {"sh",       "-c",       "umask 022; exec \"$@\"",
	                            "sh",       "supermin", "--build",
	                            "--format", "ext2",     "--size",
	                            size,       "recipe",   "-o",
	                            "built",    NULL};
	struct nova_child_result result = {0};
	int failed = stage_no_modules(site, error);

	if (failed == 0)
		failed = guest_site_run(site, argv, env, &result, error);
	if (failed == 0 && result.status != 0)
		failed = explain(&result, error);
	nova_child_result_free(&result);
	if (failed != 0)
		return failed;
	NOVA_AUTOFREE char *built = nova_format("%s/built/root", site->directory);
	NOVA_AUTOFREE char *image = nova_format("%s/root.img", site->out);
	if (rename(built, image) != 0 || chmod(image, 0644) != 0)
		return nova_error_errno(error, "cannot use the disk that supermin built, %s",
		                        built);
	return 0;
}

/* A module as the kernel takes it: newer distributions keep them compressed. */
static char *read_module(const struct guest_site *site, const char *path, size_t *bytes,
                         struct nova_error *error)
{
	static const struct {
		const char *end, *tool;
	} packed[] = {{".xz", "xz"}, {".zst", "zstd"}, {".gz", "gzip"}};
	size_t length = strlen(path);

	for (size_t i = 0; i < NOVA_COUNT(packed); i++) {
		size_t end = strlen(packed[i].end);
		const char *const argv[] = {packed[i].tool, "-dc", path, NULL};
		struct nova_child_result result = {0};
		if (length <= end || strcmp(path + length - end, packed[i].end) != 0)
			continue;
		char *data = NULL;
		if (guest_site_check(site, argv, NULL, &result, error) == 0) {
			*bytes = result.output.length;
			data = result.output.data;
			result.output = (struct nova_text){0};
		}
		nova_child_result_free(&result);
		return data;
	}
	return nova_file_read(path, 64 << 20, bytes, error);
}

static int add_modules(const struct guest_site *site, struct nova_text *archive,
                       struct nova_error *error)
{
	const struct guest_modules *modules = &site->build->inputs->modules;

	guest_archive_directory(archive, "modules");
	guest_archive_file(archive, "modules/list", 0644, modules->list, strlen(modules->list));
	for (size_t i = 0; i < modules->count; i++) {
		size_t bytes = 0;
		NOVA_AUTOFREE char *name = guest_modules_name(modules->files[i]);
		NOVA_AUTOFREE char *path = nova_format("modules/%s", name);
		NOVA_AUTOFREE char *data = read_module(site, modules->files[i], &bytes, error);
		if (data == NULL)
			return nova_error_prefix(error, "cannot put %s into the initrd", name);
		guest_archive_file(archive, path, 0644, data, bytes);
	}
	return 0;
}

/* Not compressed: it is small, and a guest without KVM unpacks slower than the host copies. */
static int build_initrd(const struct guest_site *site, struct nova_error *error)
{
	NOVA_AUTOTEXT struct nova_text archive = {0};
	NOVA_AUTOFREE char *path = nova_format("%s/initrd", site->out);
	size_t bytes;
	NOVA_AUTOFREE char *init =
	        nova_file_read(site->build->inputs->init, 64 << 20, &bytes, error);

	if (init == NULL)
		return error->code;
	guest_archive_directory(&archive, "dev");
	guest_archive_device(&archive, "dev/console", 5, 1);
	guest_archive_file(&archive, "init", 0755, init, bytes);
	int failed = add_modules(site, &archive, error);
	if (failed != 0)
		return failed;
	guest_archive_end(&archive);
	return guest_site_file(path, archive.data, archive.length, 0644, error);
}

static int describe(const struct guest_site *site, int64_t started_ns, struct nova_error *error)
{
	static const char *const files[] = {"kernel", "initrd", "root.img"};
	const struct guest_inputs *inputs = site->build->inputs;
	char now[32];
	NOVA_AUTOJSON json_t *sizes = json_object();

	for (size_t i = 0; i < NOVA_COUNT(files); i++) {
		struct stat about;
		NOVA_AUTOFREE char *path = nova_format("%s/%s", site->out, files[i]);
		if (stat(path, &about) != 0)
			return nova_error_errno(error, "cannot read %s", path);
		json_object_set_new(sizes, files[i], json_integer(about.st_size));
	}
	nova_utc_format(nova_utc_ns(), now);
	NOVA_AUTOJSON json_t *json = json_pack(
	        "{s:s, s:s, s:s, s:f, s:s, s:s, s:O, s:O}", "schema", GUEST_SCHEMA, "id",
	        inputs->id, "built", now, "build_seconds",
	        (double)((nova_now_ns() - started_ns) / 1000000) / 1000.0, "kernel_release",
	        inputs->kernel.release, "cmdline", CMDLINE, "files", sizes, "inputs", inputs->json);
	NOVA_AUTOFREE char *text = json_dumps(json, JSON_INDENT(2));
	NOVA_AUTOFREE char *path = nova_format("%s/guest.json", site->out);
	return guest_site_file(path, text, strlen(text), 0644, error);
}

/* On disk before it gets its name, so that a crash of the machine leaves no half appliance either.
 */
static int commit(const struct guest_site *site, const char *directory, struct nova_error *error)
{
	NOVA_AUTOFREE char *lock = nova_format("%s/lock", site->out);
	NOVA_AUTOFREE char *image = nova_format("%s/root.img", site->out);
	NOVA_AUTOCLOSE int fd = open(image, O_RDONLY | O_CLOEXEC);
	int failed = guest_site_file(lock, "", 0, 0644, error);

	if (failed != 0)
		return failed;
	if (fd < 0 || fdatasync(fd) != 0)
		return nova_error_errno(error, "cannot write %s to disk", image);
	failed = guest_cache_discard(site->build->cache, directory, error);
	if (failed == 0 && rename(site->out, directory) != 0)
		failed = nova_error_errno(error, "cannot make the appliance %s", directory);
	return failed;
}

static int build_all(const struct guest_site *site, const char *directory, struct nova_error *error)
{
	const struct guest_build *build = site->build;
	int64_t started_ns = nova_now_ns();
	NOVA_AUTOFREE char *kernel = nova_format("%s/kernel", site->out);
	int failed = guest_site_directory(site->out, 0755, error);

	guest_build_say(build, "appliance: collecting %zu packages and the kernel %s",
	                json_object_size(json_object_get(build->inputs->json, "packages")),
	                build->inputs->kernel.release);
	if (failed == 0)
		failed = stage_recipe(site, error);
	if (failed == 0) {
		guest_build_say(build, "appliance: building the root disk");
		failed = build_disk(site, error);
	}
	if (failed == 0) {
		guest_build_say(build, "appliance: building the initrd");
		failed = build_initrd(site, error);
	}
	if (failed == 0)
		failed = guest_site_copy(build->inputs->kernel.image, kernel, 0644, error);
	if (failed == 0)
		failed = describe(site, started_ns, error);
	if (failed == 0)
		failed = commit(site, directory, error);
	if (failed == 0)
		guest_build_say(build, "appliance: ready after %.1f s",
		                (double)(nova_now_ns() - started_ns) / 1e9);
	return failed;
}

int guest_build_run(const struct guest_build *build, const char *directory,
                    struct nova_error *error)
{
	struct nova_error own = {0};
	struct guest_site site;

	error = error != NULL ? error : &own;
	int failed = guest_site_open(build, &site, error);
	return failed != 0 ? failed
	                   : guest_site_close(&site, build_all(&site, directory, error), error);
}
