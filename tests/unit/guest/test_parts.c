/* SPDX-License-Identifier: MIT */
/*
 * The parts of building an appliance that need no supermin: packages, kernels, modules, the initrd.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/guest/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];

static int make_root(void **state)
{
	(void)state;
	strcpy(root, "/tmp/novacore-parts-XXXXXX");
	return mkdtemp(root) != NULL ? 0 : -1;
}

static int remove_root(void **state)
{
	(void)state;
	return nova_directory_remove(root, NULL);
}

static void put(const char *path, const char *text)
{
	NOVA_AUTOFREE char *full = nova_format("%s/%s", root, path);
	NOVA_AUTOFREE char *directory = nova_format("%.*s", (int)(strrchr(full, '/') - full), full);

	assert_int_equal(0, nova_directory_make(directory, 0755, NULL));
	assert_int_equal(0, nova_file_write(full, text, strlen(text), 0644, NULL));
}

/* --- packages --------------------------------------------------------------------------------- */

static const char listing[] = "dpkg\t1.21\tamd64\tinstalled\t, tar (>= 1.28)\t\n"
                              "tar\t1.34\tamd64\tinstalled\t, \t\n"
                              "fio\t3.33\tamd64\tinstalled\tlibc6 (>= 2.34), libaio1 | libaio1t64, "
                              "shell, python3:any\tlinux-tool\n"
                              "libc6\t2.36\tamd64\tinstalled\t, libgcc\t\n"
                              "libgcc\t12\tamd64\tinstalled\t, libc6\t\n"
                              "libgcc\t9\ti386\tinstalled\t, libc6\t\n"
                              "libaio1\t0.3\tamd64\tinstalled\t, \t\n"
                              "python3\t3.11\tall\tinstalled\t, \t\n"
                              "dash\t0.5\tamd64\tinstalled\t, dpkg\tshell (= 1), sh\n"
                              "gone\t1\tamd64\tconfig-files\t, \t\n"
                              "other\t1\tamd64\tinstalled\t, \t\n"
                              "broken line\n";

static void follows_dependencies_alternatives_and_providers(void **state)
{
	static const char *const wanted[] = {"fio", NULL};
	struct nova_error error = {0};
	NOVA_AUTOJSON json_t *closure = NULL;

	(void)state;
	assert_int_equal(0, guest_packages_closure(listing, wanted, &closure, &error));
	NOVA_AUTOFREE char *text = nova_json_canonical(closure);
	assert_string_equal(
	        "{\"dash\":\"0.5\",\"dpkg\":\"1.21\",\"fio\":\"3.33\",\"libaio1\":\"0.3\","
	        "\"libc6\":\"2.36\",\"libgcc\":\"12\",\"python3\":\"3.11\","
	        "\"tar\":\"1.34\"}",
	        text);
}

static void names_every_missing_package_and_the_fix(void **state)
{
	static const char *const wanted[] = {"fio", "gone", "iperf3", NULL};
	struct nova_error error = {0};
	json_t *closure = NULL;

	(void)state;
	assert_int_equal(NOVA_E_UNAVAILABLE,
	                 guest_packages_closure(listing, wanted, &closure, &error));
	assert_null(closure);
	assert_non_null(strstr(error.text, "apt-get install gone iperf3"));
	assert_int_equal(NOVA_E_UNAVAILABLE, guest_packages_closure("", wanted, &closure, &error));
}

/* --- kernels ---------------------------------------------------------------------------------- */

static void add_kernel(const char *release, bool with_modules)
{
	NOVA_AUTOFREE char *image = nova_format("boot/vmlinuz-%s", release);
	NOVA_AUTOFREE char *modules = nova_format("lib/modules/%s/modules.dep", release);

	put(image, "kernel");
	if (with_modules)
		put(modules, "");
}

static void prefers_the_newest_cloud_kernel_with_modules(void **state)
{
	struct guest_kernel kernel;

	(void)state;
	add_kernel("6.12.0-1-amd64", true);
	add_kernel("6.1.0-9-cloud-amd64", true);
	add_kernel("6.1.0-10-cloud-amd64", true);
	add_kernel("6.1.0-11-cloud-amd64", false);
	assert_int_equal(0, guest_kernel_choose(root, NULL, &kernel, NULL));
	assert_string_equal("6.1.0-10-cloud-amd64", kernel.release);
	assert_non_null(strstr(kernel.image, "/boot/vmlinuz-6.1.0-10-cloud-amd64"));
	assert_non_null(strstr(kernel.modules, "/lib/modules/6.1.0-10-cloud-amd64"));
	guest_kernel_free(&kernel);
}

static void takes_the_kernel_that_is_asked_for(void **state)
{
	struct guest_kernel kernel;
	struct nova_error error = {0};

	(void)state;
	add_kernel("6.1.0-1-cloud-amd64", true);
	add_kernel("5.10.0-1-amd64", true);
	add_kernel("4.19.0-1-amd64", false);
	NOVA_AUTOFREE char *image = nova_format("%s/boot/vmlinuz-5.10.0-1-amd64", root);
	NOVA_AUTOFREE char *bare = nova_format("%s/boot/vmlinuz-4.19.0-1-amd64", root);
	NOVA_AUTOFREE char *missing = nova_format("%s/boot/vmlinuz-none", root);
	assert_int_equal(0, guest_kernel_choose(root, image, &kernel, NULL));
	assert_string_equal("5.10.0-1-amd64", kernel.release);
	guest_kernel_free(&kernel);
	assert_int_equal(NOVA_E_UNAVAILABLE, guest_kernel_choose(root, bare, &kernel, &error));
	assert_non_null(strstr(error.text, "lib/modules/4.19.0-1-amd64"));
	assert_int_equal(NOVA_E_NOT_FOUND, guest_kernel_choose(root, missing, &kernel, &error));
}

static void names_the_fix_when_there_is_no_kernel(void **state)
{
	struct guest_kernel kernel;
	struct nova_error error = {0};

	(void)state;
	add_kernel("6.1.0-1-amd64", false);
	assert_int_equal(NOVA_E_UNAVAILABLE, guest_kernel_choose(root, NULL, &kernel, &error));
	assert_non_null(strstr(error.text, "apt-get install linux-image-cloud-amd64"));
}

static void names_the_fix_when_no_kernel_can_be_read(void **state)
{
	struct guest_kernel kernel;
	struct nova_error error = {0};

	(void)state;
	add_kernel("6.1.0-1-amd64", true);
	NOVA_AUTOFREE char *image = nova_format("%s/boot/vmlinuz-6.1.0-1-amd64", root);
	assert_int_equal(0, chmod(image, 0));
	const bool all_readable = access(image, R_OK) == 0; /* as root nothing is unreadable */
	int code = guest_kernel_choose(root, NULL, &kernel, &error);
	if (all_readable) {
		assert_int_equal(0, code);
		guest_kernel_free(&kernel);
		return;
	}
	assert_int_equal(NOVA_E_PERMISSION, code);
	assert_non_null(strstr(error.text, "chmod 0644"));
}

static void reads_the_release_from_the_image(void **state)
{
	char image[0x400] = {0};
	NOVA_AUTOFREE char *path = nova_format("%s/boot/vmlinuz", root);

	(void)state;
	put("boot/vmlinuz", "short");
	assert_null(guest_kernel_release(path));
	memcpy(image + 0x202, "HdrS", 4);
	image[0x20f] = 1; /* at 0x100 + 0x200 */
	strcpy(image + 0x300, "6.1.0-test (builder) #1");
	assert_int_equal(0, nova_file_write(path, image, sizeof(image), 0644, NULL));
	NOVA_AUTOFREE char *release = guest_kernel_release(path);
	assert_string_equal("6.1.0-test", release);
	image[0x20f] = 0x7f; /* beyond the end */
	assert_int_equal(0, nova_file_write(path, image, sizeof(image), 0644, NULL));
	assert_null(guest_kernel_release(path));
}

/* --- modules ---------------------------------------------------------------------------------- */

static const char depends[] = "kernel/virtio_ring.ko:\n"
                              "kernel/virtio.ko: kernel/virtio_ring.ko\n"
                              "kernel/virtio_pci.ko.xz: kernel/virtio.ko kernel/virtio_ring.ko\n"
                              "kernel/virtio_blk.ko: kernel/virtio.ko kernel/virtio_ring.ko\n"
                              "kernel/virtio_console.ko:\n"
                              "kernel/virtio-rng.ko:\n"
                              "kernel/unrelated.ko:\n";

static void lists_modules_after_what_they_need_with_their_devices(void **state)
{
	struct guest_modules modules;
	struct nova_error error = {0};

	(void)state;
	put("modules.dep", depends);
	put("modules.builtin", "kernel/drivers/net/virtio_net.ko\n");
	put("modules.alias",
	    "# comment\nalias pci:v1AF4d* virtio_pci\nalias virtio:d2v* virtio_blk\n"
	    "alias virtio:d9v* virtio_blk\nalias fs-x virtio_blk\nalias broken\n");
	if (guest_modules_select(root, &modules, &error) != 0)
		fail_msg("%s", error.text);
	assert_string_equal("2 pci:v1AF4d* virtio_ring.ko virtio.ko virtio_pci.ko\n"
	                    "3 virtio:d2v*,virtio:d9v* virtio_ring.ko virtio.ko virtio_blk.ko\n"
	                    "4 - virtio_console.ko\n"
	                    "4 - virtio-rng.ko\n",
	                    modules.list);
	assert_int_equal(6, modules.count);
	NOVA_AUTOFREE char *first = nova_format("%s/kernel/virtio_ring.ko", root);
	assert_string_equal(first, modules.files[0]);
	guest_modules_free(&modules);
}

static void refuses_a_kernel_without_an_essential_module(void **state)
{
	struct guest_modules modules;
	struct nova_error error = {0};

	(void)state;
	put("modules.dep", depends);
	assert_int_equal(NOVA_E_UNAVAILABLE, guest_modules_select(root, &modules, &error));
	assert_non_null(strstr(error.text, "virtio_net"));
	assert_int_equal(0, modules.count);
	assert_int_equal(NOVA_E_NOT_FOUND, guest_modules_select("/nonexistent", &modules, &error));
}

/* --- initrd ----------------------------------------------------------------------------------- */

static void archives_what_cpio_reads_back(void **state)
{
	NOVA_AUTOTEXT struct nova_text archive = {0};
	const char *const argv[] = {"cpio", "--quiet", "-itv", NULL};
	struct nova_child_result result = {0};

	(void)state;
	guest_archive_directory(&archive, "dev");
	guest_archive_device(&archive, "dev/console", 5, 1);
	guest_archive_file(&archive, "init", 0755, "12345", 5);
	guest_archive_file(&archive, "empty", 0644, NULL, 0);
	guest_archive_end(&archive);
	assert_int_equal(0, archive.length % 512);
	assert_memory_equal("070701", archive.data, 6);
	struct nova_child child = {
	        .argv = argv, .input = archive.data, .input_bytes = archive.length};
	if (nova_child_run(&child, &result, NULL) != 0) {
		print_message("no cpio here: only the form was checked\n");
		return;
	}
	const char *output = nova_text_get(&result.output);
	assert_int_equal(0, result.status);
	assert_non_null(strstr(output, "drwxr-xr-x"));
	assert_non_null(strstr(output, "crw-------"));
	assert_non_null(strstr(output, "5,   1"));
	assert_non_null(strstr(output, "-rwxr-xr-x"));
	assert_non_null(strstr(output, "empty"));
	nova_child_result_free(&result);
}

/* --- what is missing -------------------------------------------------------------------------- */

static void reports_a_missing_init_and_a_bad_kernel_with_details(void **state)
{
	struct nova_guest_options options = {.init = "/nonexistent/init",
	                                     .kernel = "/nonexistent/vmlinuz"};
	NOVA_AUTOJSON json_t *findings = nova_guest_check(&options);
	const json_t *finding;
	unsigned bad = 0;
	size_t i;

	(void)state;
	json_array_foreach(findings, i, finding)
	{
		const char *subject = json_string_value(json_object_get(finding, "subject"));
		const char *detail = json_string_value(json_object_get(finding, "detail"));
		assert_non_null(subject);
		assert_non_null(detail);
		if (strcmp(subject, "guest init") != 0 && strcmp(subject, "guest kernel") != 0)
			continue;
		assert_true(json_is_false(json_object_get(finding, "ok")));
		assert_non_null(strstr(detail, "/nonexistent/"));
		bad++;
	}
	assert_int_equal(2, bad);
}

int main(void)
{
#define IN_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(follows_dependencies_alternatives_and_providers),
	        cmocka_unit_test(names_every_missing_package_and_the_fix),
	        IN_ROOT(prefers_the_newest_cloud_kernel_with_modules),
	        IN_ROOT(takes_the_kernel_that_is_asked_for),
	        IN_ROOT(names_the_fix_when_there_is_no_kernel),
	        IN_ROOT(names_the_fix_when_no_kernel_can_be_read),
	        IN_ROOT(reads_the_release_from_the_image),
	        IN_ROOT(lists_modules_after_what_they_need_with_their_devices),
	        IN_ROOT(refuses_a_kernel_without_an_essential_module),
	        cmocka_unit_test(archives_what_cpio_reads_back),
	        cmocka_unit_test(reports_a_missing_init_and_a_bad_kernel_with_details),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
