/* SPDX-License-Identifier: MIT */
/*
 * The appliance as a disk: boots by itself with either firmware, from each format, on the devices
 * that other hypervisors give their VMs, as far as QEMU has them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/guest/vm.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define UEFI "/usr/share/ovmf/OVMF.fd"

static char place[64] = "/tmp/novacore-disk-XXXXXX";
static char *key, *public_key;
static struct nova_guest_options options;
static struct nova_guest disk = {.hold = -1};
static struct vm vm;

static const char *const virtio[] = {"virtio-blk-pci,drive=disk",
                                     "virtio-net-pci,netdev=net,romfile=", NULL};

static char *run_program(const char *const *argv)
{
	struct nova_child child = {.argv = argv};
	struct nova_child_result result = {0};
	struct nova_error error = {0};

	if (nova_child_check(&child, &result, &error) != 0)
		fail_msg("%s", error.text);
	char *output = nova_strdup(nova_text_get(&result.output));
	nova_child_result_free(&result);
	return output;
}

#define RUN(...) run_program((const char *const[]){__VA_ARGS__, NULL})

static int make_place(void **state)
{
	(void)state;
	if (mkdtemp(place) == NULL)
		return -1;
	options.cache = nova_format("%s/cache", place);
	key = nova_format("%s/key", place);
	public_key = nova_format("%s/key.pub", place);
	free(RUN("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a comment", "-f", key));
	return 0;
}

static int remove_place(void **state)
{
	(void)state;
	free((char *)options.cache);
	free(key);
	free(public_key);
	return nova_directory_remove(place, NULL);
}

static int end_vm(void **state)
{
	(void)state;
	vm_end(&vm);
	nova_guest_release(&disk);
	return 0;
}

static void make(const struct nova_guest_disk *wish)
{
	struct nova_error error = {0};

	if (nova_guest_disk(&options, wish, NULL, NULL, &disk, &error) != 0)
		fail_msg("%s", error.text);
	assert_null(disk.kernel);
	assert_int_equal(0, access(disk.image, R_OK));
}

static void expect_ssh(const char *command, int expected_status, const char *expected)
{
	int status = -1;
	NOVA_AUTOFREE char *output = vm_ssh(&vm, key, command, &status);

	if (status != expected_status || strstr(output, expected) == NULL)
		fail_msg("%s: status %d, \"%s\" has no \"%s\"", command, status, output, expected);
}

/* Its driver is loaded when all else runs: until then nobody hears it. */
static void press_the_button(void)
{
	struct timespec moment = {.tv_nsec = 100000000};

	for (int tenths = 0; tenths < 600; tenths++) {
		int status;
		if (tenths % 30 == 0)
			vm_monitor(&vm, "system_powerdown");
		if (waitpid(vm.pid, &status, WNOHANG) == vm.pid) {
			vm.pid = 0;
			assert_int_equal(0, status);
			return;
		}
		nanosleep(&moment, NULL);
	}
	fail_msg("the VM is not off a minute after its button was pressed");
}

static void boots_with_bios_and_takes_the_settings_of_its_vm(void **state)
{
	struct nova_guest_disk wish = {.format = "raw"};
	NOVA_AUTOFREE char *text = nova_file_read(public_key, 4096, NULL, NULL);
	int status;

	(void)state;
	make(&wish);
	/* the key comes from the host alone: "ssh-ed25519 KEY a comment" */
	text[strcspn(text, " ")] = ',';
	text[strcspn(text, " ")] = '\0';
	/* QEMU takes a comma in a value doubled */
	NOVA_AUTOFREE char *oem = nova_format(
	        "value=novacore.name=vm-eight,value=novacore.beat=20000,value=foreign=1,"
	        "value=novacore.ssh=%.*s,,%s",
	        (int)strcspn(text, ","), text, strchr(text, ',') + 1);
	vm_start_disk(&vm, &(struct vm_kind){disk.image, "raw", "q35", NULL, virtio, oem, true});
	print_message("user space %.2f s\n", vm_pulse(&vm, 'U'));
	vm_pulse(&vm, '.');
	vm_pulse(&vm, 'A');
	print_message("agent answers %.2f s\n", vm_agent_ready(&vm));
	NOVA_AUTOFREE char *name = vm_exec(&vm, (const char *const[]){"hostname", NULL}, &status);
	assert_string_equal("vm-eight\n", name);
	expect_ssh("ip addr show dev eth0; exit 7", 7, "10.0.2.15/24");
	/* the file system fills the disk's 4 GiB, not the appliance's 1 GiB */
	expect_ssh("test $(stat -f -c %b /) -gt 900000 && echo grown", 0, "grown");
	expect_ssh("novacore-probe --help >/dev/null 2>&1; test $? -ne 127 && echo there", 0,
	           "there");
	press_the_button();
	vm_pulse(&vm, 'D');
}

static void boots_with_uefi(void **state)
{
	struct nova_guest_disk wish = {.format = "qcow2", .compress = true, .ssh_key = public_key};

	(void)state;
	make(&wish);
	vm_start_disk(&vm, &(struct vm_kind){disk.image, "qcow2", "q35", UEFI, virtio, NULL, true});
	/* this firmware writes its own text to the pulse port, so nothing is read from there */
	print_message("agent answers %.2f s\n", vm_agent_ready(&vm));
	expect_ssh("test -d /sys/firmware/efi && echo uefi", 0, "uefi");
	press_the_button();
}

/* As on vSphere: its paravirtual disk controller and network adapter, and no port for our agent. */
static void boots_a_vmdk_on_the_devices_of_vsphere(void **state)
{
	static const char *const devices[] = {"pvscsi,id=scsi", "scsi-hd,drive=disk,bus=scsi.0",
	                                      "vmxnet3,netdev=net,romfile=", NULL};
	struct nova_guest_disk wish = {
	        .format = "vmdk", .bytes = UINT64_C(2) << 30, .ssh_key = public_key};

	(void)state;
	make(&wish);
	NOVA_AUTOFREE char *about = RUN("qemu-img", "info", disk.image);
	assert_non_null(strstr(about, "create type: streamOptimized"));
	assert_non_null(strstr(about, "virtual size: 2 GiB"));
	vm_start_disk(&vm,
	              &(struct vm_kind){disk.image, "vmdk", "q35", NULL, devices, NULL, false});
	print_message("user space %.2f s\n", vm_pulse(&vm, 'U'));
	expect_ssh("readlink -f /sys/class/block/sda/device/../../../driver", 0, "vmw_pvscsi");
	expect_ssh("readlink /sys/class/net/eth0/device/driver; sysbench --version", 0, "vmxnet3");
	press_the_button();
	vm_pulse(&vm, 'D');
	assert_null(strchr(nova_text_get(&vm.pulses), 'A'));
}

/* As on the first generation of Hyper-V: IDE on an old chip set. */
static void boots_a_vhdx_from_ide(void **state)
{
	static const char *const devices[] = {"ide-hd,drive=disk",
	                                      "virtio-net-pci,netdev=net,romfile=", NULL};
	struct nova_guest_disk wish = {.format = "vhdx", .ssh_key = public_key};

	(void)state;
	make(&wish);
	vm_start_disk(&vm, &(struct vm_kind){disk.image, "vhdx", "pc", NULL, devices, NULL, true});
	print_message("user space %.2f s\n", vm_pulse(&vm, 'U'));
	vm_agent_ready(&vm);
	expect_ssh("readlink /sys/class/block/sda", 0, "ata");
	press_the_button();
}

/* XCP-ng takes the size from the footer, at its byte 48: what a BIOS could address would be less.
 */
static void boots_a_vhd_of_exactly_its_size(void **state)
{
	static const unsigned char four_gib[8] = {0, 0, 0, 1, 0, 0, 0, 0};
	struct nova_guest_disk wish = {.format = "vhd", .ssh_key = public_key, .directory = place};
	unsigned char footer[512];

	(void)state;
	make(&wish);
	assert_int_equal(strncmp(disk.image, place, strlen(place)), 0);
	FILE *file = fopen(disk.image, "rb");
	assert_non_null(file);
	assert_int_equal(fseek(file, -512, SEEK_END), 0);
	assert_int_equal(fread(footer, 1, sizeof(footer), file), sizeof(footer));
	fclose(file);
	assert_memory_equal(footer, "conectix", 8);
	assert_memory_equal(footer + 48, four_gib, 8);
	vm_start_disk(&vm, &(struct vm_kind){disk.image, "vpc", "q35", NULL, virtio, NULL, true});
	vm_agent_ready(&vm);
	expect_ssh("test $(stat -f -c %b /) -gt 900000 && echo grown", 0, "grown");
	press_the_button();
	assert_int_equal(unlink(disk.image), 0);
}

static void lets_nobody_in_without_a_key(void **state)
{
	struct nova_guest_disk wish = {.format = "raw", .ssh_key = public_key};
	NOVA_AUTOFREE char *other = nova_format("%s/other", place);
	int status = 0;

	(void)state;
	free(RUN("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other));
	make(&wish);
	vm_start_disk(&vm, &(struct vm_kind){disk.image, "raw", "q35", NULL, virtio, NULL, true});
	vm_agent_ready(&vm);
	expect_ssh("echo in", 0, "in");
	free(vm_ssh(&vm, other, "echo in", &status));
	assert_int_equal(255, status);
}

/* --- formats that are not booted here --------------------------------------------------------- */

static void makes_a_disk_once(void **state)
{
	struct nova_guest_disk wish = {.format = "raw"}, other = {.format = "raw"};
	struct stat first, second;

	(void)state;
	other.bytes = UINT64_C(3) << 30;
	make(&wish);
	NOVA_AUTOFREE char *path = nova_strdup(disk.image);
	assert_int_equal(0, stat(path, &first));
	nova_guest_release(&disk);
	make(&wish);
	assert_string_equal(path, disk.image);
	assert_int_equal(0, stat(disk.image, &second));
	assert_int_equal(first.st_ino, second.st_ino);
	nova_guest_release(&disk);
	/* another size is another disk; a damaged one is made again */
	make(&other);
	assert_string_not_equal(path, disk.image);
	nova_guest_release(&disk);
	assert_int_equal(0, truncate(path, 1 << 20));
	make(&wish);
	assert_int_equal(0, stat(disk.image, &second));
	assert_int_equal(first.st_size, second.st_size);
}

static void is_listed_with_its_appliance(void **state)
{
	struct nova_guest_disk wish = {.format = "raw"};
	struct nova_error error = {0};
	NOVA_AUTOJSON json_t *info = NULL;
	bool found = false;
	json_t *one;
	size_t i;

	(void)state;
	make(&wish);
	assert_int_equal(0, nova_guest_info(&options, NULL, &info, &error));
	json_array_foreach(json_object_get(info, "disks"), i, one) found |=
	        strcmp(nova_json_text(one, "file"), disk.image) == 0;
	assert_true(found);
}

static void a_container_image_has_the_disk_for_the_user_of_qemu(void **state)
{
	struct nova_guest_disk wish = {.format = "containerdisk"};

	(void)state;
	make(&wish);
	free(RUN("tar", "--extract", "--directory", place, "--file", disk.image));
	NOVA_AUTOFREE char *manifest = nova_format("%s/manifest.json", place);
	NOVA_AUTOJSON json_t *json = json_load_file(manifest, 0, NULL);
	const json_t *first = json_array_get(json, 0);
	NOVA_AUTOFREE char *layer =
	        nova_format("%s/%s", place,
	                    json_string_value(json_array_get(json_object_get(first, "Layers"), 0)));
	NOVA_AUTOFREE char *inside =
	        RUN("tar", "--list", "--verbose", "--numeric-owner", "--file", layer);
	assert_non_null(strstr(inside, "-r--r--r-- 107/107"));
	assert_non_null(strstr(inside, "disk/disk.qcow2"));
	free(RUN("tar", "--extract", "--directory", place, "--file", layer));
	NOVA_AUTOFREE char *image = nova_format("%s/disk/disk.qcow2", place);
	free(RUN("qemu-img", "check", "-q", image));
	if (access("/usr/bin/skopeo", X_OK) != 0) {
		print_message("without skopeo: only its structure is checked\n");
		return;
	}
	/* skopeo reads every blob and compares its digest */
	static const char *const transports[] = {"oci-archive", "docker-archive"};
	for (size_t i = 0; i < NOVA_COUNT(transports); i++) {
		NOVA_AUTOFREE char *from = nova_format("%s:%s", transports[i], disk.image);
		NOVA_AUTOFREE char *to = nova_format("dir:%s/copy%zu", place, i);
		free(RUN("skopeo", "--insecure-policy", "copy", "--quiet", from, to));
	}
}

/* Why this host cannot run these tests, or NULL. Heap. */
static char *reason_to_skip(void)
{
	static const char *const needed[] = {
	        "/usr/bin/qemu-system-x86_64", "/usr/bin/ssh",     UEFI,
	        "/usr/bin/grub-mkimage",       "/usr/bin/mformat", "/usr/sbin/sfdisk"};
	NOVA_AUTOJSON json_t *findings = nova_guest_check(NULL);
	const json_t *one;
	size_t i;

	json_array_foreach(findings, i, one) if (
	        !json_is_true(json_object_get(
	                one, "ok"))) return nova_format("%s: %s", nova_json_text(one, "subject"),
	                                                nova_json_text(one, "detail"));
	for (i = 0; i < NOVA_COUNT(needed); i++)
		if (access(needed[i], R_OK) != 0)
			return nova_format("there is no %s", needed[i]);
	return NULL;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest everyday[] = {
	        cmocka_unit_test_teardown(boots_with_bios_and_takes_the_settings_of_its_vm, end_vm),
	        cmocka_unit_test_teardown(boots_with_uefi, end_vm),
	        cmocka_unit_test_teardown(makes_a_disk_once, end_vm),
	        cmocka_unit_test_teardown(is_listed_with_its_appliance, end_vm),
	        cmocka_unit_test_teardown(boots_a_vmdk_on_the_devices_of_vsphere, end_vm),
	};
	const struct CMUnitTest slow[] = {
	        cmocka_unit_test_teardown(boots_a_vhdx_from_ide, end_vm),
	        cmocka_unit_test_teardown(boots_a_vhd_of_exactly_its_size, end_vm),
	        cmocka_unit_test_teardown(lets_nobody_in_without_a_key, end_vm),
	        cmocka_unit_test_teardown(a_container_image_has_the_disk_for_the_user_of_qemu,
	                                  end_vm),
	};
	NOVA_AUTOFREE char *reason = reason_to_skip();

	vm = (struct vm){.pulse = -1, .agent = -1, .monitor = -1};
	if (reason != NULL) {
		printf("skipped: %s\n", reason);
		return 77;
	}
	if (argc > 1 && strcmp(argv[1], "slow") == 0)
		return cmocka_run_group_tests(slow, make_place, remove_place);
	return cmocka_run_group_tests(everyday, make_place, remove_place);
}
