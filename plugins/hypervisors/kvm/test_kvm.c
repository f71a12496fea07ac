/* SPDX-License-Identifier: MIT */
/* The driver's pure parts: domain XML, knobs, base64, stamps. No libvirt is opened. */
#include "kvm.h"

#include "knob.h"
#include "xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct kvm_spec spec_of(uint32_t boot)
{
	return (struct kvm_spec){.name = "novacore-a<&\"-1",
	                         .type = "qemu",
	                         .machine = "pc",
	                         .boot = boot,
	                         .vcpus = 2,
	                         .memory_bytes = UINT64_C(3) << 30,
	                         .kernel = "/boot/vm & linuz",
	                         .initrd = "/boot/initrd",
	                         .cmdline = "root=/dev/vda x=\"<1>\"",
	                         .disk = "/run/novacore-1.qcow2",
	                         .backing = "/images/root <1>.img",
	                         .backing_format = "raw",
	                         .console = "/run/novacore-1.console",
	                         .beat_host = "127.0.0.1",
	                         .beat_port = "4711"};
}

/* Round trip through text: what libvirt would read. */
static xmlDocPtr domain(const struct kvm_spec *spec)
{
	xmlDocPtr made = kvm_xml_domain(spec), read;
	assert_non_null(made);
	char *text = kvm_xml_text(made);
	assert_non_null(text);
	read = kvm_xml_parse(text);
	assert_non_null(read);
	free(text);
	xmlFreeDoc(made);
	return read;
}

static void assert_xml(xmlDocPtr doc, const char *xpath, const char *expected)
{
	char *text = kvm_xml_find(doc, xpath);
	if (!text || !expected) {
		if (text != expected)
			printf("%s: %s\n", xpath, text ? text : "missing");
		assert_true(text == expected);
	} else {
		assert_string_equal(text, expected);
	}
	free(text);
}

static void describes_a_direct_boot(void **state)
{
	struct kvm_spec spec = spec_of(NOVA_BOOT_DIRECT);
	xmlDocPtr doc = domain(&spec);
	(void)state;
	assert_xml(doc, "/domain/@type", "qemu");
	assert_xml(doc, "/domain/name", "novacore-a<&\"-1");
	assert_xml(doc, "/domain/memory", "3221225472");
	assert_xml(doc, "/domain/memory/@unit", "b");
	assert_xml(doc, "/domain/vcpu", "2");
	assert_xml(doc, "/domain/os/type/@machine", "pc");
	assert_xml(doc, "/domain/os/kernel", "/boot/vm & linuz");
	assert_xml(doc, "/domain/os/initrd", "/boot/initrd");
	assert_xml(doc, "/domain/os/cmdline", "root=/dev/vda x=\"<1>\"");
	assert_xml(doc, "/domain/os/boot", NULL);
	assert_xml(doc, "count(/domain/devices/disk)", "1");
	assert_xml(doc, "/domain/devices/disk/driver/@type", "qcow2");
	assert_xml(doc, "/domain/devices/disk/source/@file", "/run/novacore-1.qcow2");
	assert_xml(doc, "/domain/devices/disk/backingStore/format/@type", "raw");
	assert_xml(doc, "/domain/devices/disk/backingStore/source/@file", "/images/root <1>.img");
	assert_xml(doc, "/domain/devices/disk/backingStore/source/seclabel/@relabel", "no");
	assert_xml(doc, "/domain/devices/channel/target/@name", "org.qemu.guest_agent.0");
	assert_xml(doc, "/domain/devices/rng/backend", "/dev/urandom");
	assert_xml(doc, "count(/domain/devices/graphics)", "0");
	xmlFreeDoc(doc);
}

static void puts_console_first_and_heartbeat_second(void **state)
{
	struct kvm_spec spec = spec_of(NOVA_BOOT_DIRECT);
	xmlDocPtr doc = domain(&spec);
	(void)state;
	assert_xml(doc, "/domain/devices/serial[1]/@type", "file");
	assert_xml(doc, "/domain/devices/serial[1]/source/@path", "/run/novacore-1.console");
	assert_xml(doc, "/domain/devices/serial[1]/target/@port", "0");
	assert_xml(doc, "/domain/devices/serial[2]/@type", "udp");
	assert_xml(doc, "/domain/devices/serial[2]/source/@mode", "connect");
	assert_xml(doc, "/domain/devices/serial[2]/source/@host", "127.0.0.1");
	assert_xml(doc, "/domain/devices/serial[2]/source/@service", "4711");
	assert_xml(doc, "/domain/devices/serial[2]/target/@port", "1");
	xmlFreeDoc(doc);
}

static void makes_the_stub_as_small_as_it_can(void **state)
{
	struct kvm_spec spec = spec_of(NOVA_BOOT_STUB);
	xmlDocPtr doc = domain(&spec);
	(void)state;
	assert_xml(doc, "/domain/os/boot/@dev", "hd");
	assert_xml(doc, "/domain/os/kernel", NULL);
	assert_xml(doc, "/domain/devices/memballoon/@model", "none");
	assert_xml(doc, "count(/domain/devices/channel)", "0");
	assert_xml(doc, "count(/domain/devices/rng)", "0");
	assert_xml(doc, "/domain/devices/controller[@type='usb']/@model", "none");
	xmlFreeDoc(doc);
}

static void joins_networks(void **state)
{
	const struct kvm_interface interfaces[] = {
	        {.type = KVM_NET_UDP, .local_port = 1001, .peer_port = 65535, .mac = {0x52, 0x54}},
	        {.type = KVM_NET_USER, .mac = {0x52, 0x54, 0, 1, 2, 0xff}},
	        {.type = KVM_NET_TAP, .tap = "nt0123456789aba"}};
	struct kvm_spec spec = spec_of(NOVA_BOOT_DISK);
	(void)state;
	spec.interfaces = interfaces;
	spec.interface_count = 3;
	xmlDocPtr doc = domain(&spec);
	assert_xml(doc, "/domain/devices/interface[1]/@type", "udp");
	assert_xml(doc, "/domain/devices/interface[1]/source/@port", "65535");
	assert_xml(doc, "/domain/devices/interface[1]/source/local/@port", "1001");
	assert_xml(doc, "/domain/devices/interface[2]/@type", "user");
	assert_xml(doc, "/domain/devices/interface[3]/@type", "ethernet");
	assert_xml(doc, "/domain/devices/interface[3]/target/@dev", "nt0123456789aba");
	assert_xml(doc, "/domain/devices/interface[3]/target/@managed", "no");
	assert_xml(doc, "/domain/devices/interface[2]/mac/@address", "52:54:00:01:02:ff");
	xmlFreeDoc(doc);
}

/* Names differ in their last character; on a switch two VMs with one address never hear of each
 * other. */
static void vms_of_a_run_have_addresses_of_their_own(void **state)
{
	unsigned char macs[64][6];
	char name[64];
	(void)state;
	for (int i = 0; i < 64; i++) {
		snprintf(name, sizeof(name), "novacore-525299df-cac965b63bb4-%d", i / 2);
		kvm_mac(name, (size_t)(i % 2), macs[i]);
		assert_int_equal(macs[i][0], 0x52);
		for (int j = 0; j < i; j++)
			assert_memory_not_equal(macs[i], macs[j], 6);
	}
}

static void needs_neither_disk_nor_heartbeat(void **state)
{
	struct kvm_spec spec = spec_of(NOVA_BOOT_DIRECT);
	(void)state;
	spec.disk = spec.backing = spec.beat_host = spec.initrd = spec.cmdline = NULL;
	xmlDocPtr doc = domain(&spec);
	assert_xml(doc, "count(/domain/devices/disk)", "0");
	assert_xml(doc, "count(/domain/devices/serial)", "1");
	assert_xml(doc, "/domain/os/initrd", NULL);
	assert_xml(doc, "/domain/os/cmdline", NULL);
	xmlFreeDoc(doc);
}

static void reads_heartbeat_addresses(void **state)
{
	static const char *const wrong[] = {
	        "",         "udp:",          "udp:1.2.3.4", "udp:1.2.3.4:",
	        "udp::1",   "udp:h:0",       "udp:h:65536", "udp:h:1x",
	        "udp:h:-1", "tcp:1.2.3.4:5", "udp:::1:5",   "udp:h: 1"};
	char *host = NULL, *port = NULL;
	(void)state;
	assert_int_equal(kvm_beat_parse("udp:127.0.0.1:5000", &host, &port), 0);
	assert_string_equal(host, "127.0.0.1");
	assert_string_equal(port, "5000");
	free(host);
	assert_int_equal(kvm_beat_parse("udp:[::1]:65535", &host, &port), 0);
	assert_string_equal(host, "::1");
	assert_string_equal(port, "65535");
	free(host);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(kvm_beat_parse(wrong[i], &host, &port), -1);
}

static void does_not_take_broken_xml(void **state)
{
	(void)state;
	assert_null(kvm_xml_parse("<domain><name></domain>"));
	assert_null(kvm_xml_parse(""));
	char *text = kvm_xml_named("domainsnapshot", "a<b>&\"'");
	xmlDocPtr doc = kvm_xml_parse(text);
	assert_xml(doc, "/domainsnapshot/name", "a<b>&\"'");
	free(text);
	xmlFreeDoc(doc);
}

/* --- knobs ---------------------------------------------------------------------------------- */

static void every_knob_reads_back_what_was_set(void **state)
{
	static const char *const values[][2] = {{"vm.cpu.mode", "host-passthrough"},
	                                        {"vm.cpu.mode", "host-model"},
	                                        {"vm.cpu.mode", "Haswell,-hle,+pcid"},
	                                        {"vm.cpu.mode", "maximum"},
	                                        {"vm.cpu.mode", "default"},
	                                        {"vm.cpu.pin", "0"},
	                                        {"vm.cpu.pin", "none"},
	                                        {"vm.disk.bus", "scsi"},
	                                        {"vm.disk.bus", "ide"},
	                                        {"vm.disk.bus", "virtio"},
	                                        {"vm.disk.cache", "writeback"},
	                                        {"vm.disk.cache", "default"},
	                                        {"vm.disk.io", "io_uring"},
	                                        {"vm.disk.io", "default"},
	                                        {"vm.disk.discard", "unmap"},
	                                        {"vm.disk.queues", "4"},
	                                        {"vm.disk.queues", "0"},
	                                        {"vm.disk.iothreads", "2"},
	                                        {"vm.disk.iothreads", "0"},
	                                        {"vm.net.queues", "2"},
	                                        {"vm.net.queues", "0"},
	                                        {"vm.memory.hugepages", "2MiB"},
	                                        {"vm.memory.hugepages", "1GiB"},
	                                        {"vm.memory.hugepages", "default"},
	                                        {"vm.memory.hugepages", "off"},
	                                        {"vm.memory.locked", "on"},
	                                        {"vm.memory.locked", "off"}};
	const struct kvm_interface interface = {.type = KVM_NET_USER};
	struct kvm_spec spec = spec_of(NOVA_BOOT_DISK);
	(void)state;
	spec.vcpus = 1;
	spec.interfaces = &interface;
	spec.interface_count = 1;
	xmlDocPtr doc = domain(&spec);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		const struct kvm_knob *knob = kvm_knob_find(values[i][0], strlen(values[i][0]));
		assert_non_null(knob);
		assert_int_equal(kvm_knob_check(knob, values[i][1]), 0);
		assert_int_equal(knob->apply(doc, values[i][1]), 0);
		char *read = knob->read(doc);
		assert_string_equal(read, values[i][1]);
		free(read);
	}
	xmlFreeDoc(doc);
}

static void every_knob_has_a_default_before_it_is_set(void **state)
{
	struct kvm_spec spec = spec_of(NOVA_BOOT_DISK);
	xmlDocPtr doc = domain(&spec);
	(void)state;
	for (int i = 0; kvm_knobs[i]; i++) {
		char *value = kvm_knobs[i]->read(doc);
		assert_non_null(value);
		assert_int_equal(kvm_knob_check(kvm_knobs[i], value), 0);
		free(value);
		assert_int_equal(strncmp(kvm_knobs[i]->name, "vm.", 3), 0);
	}
	xmlFreeDoc(doc);
}

static void knobs_refuse_what_they_do_not_take(void **state)
{
	static const char *const wrong[][2] = {
	        {"vm.cpu.mode", ""},         {"vm.cpu.mode", "a b"},
	        {"vm.cpu.mode", ",x"},       {"vm.cpu.mode", "a<b"},
	        {"vm.cpu.pin", ""},          {"vm.cpu.pin", ":"},
	        {"vm.cpu.pin", "0:"},        {"vm.cpu.pin", "x"},
	        {"vm.cpu.pin", "-1"},        {"vm.disk.cache", "None"},
	        {"vm.disk.cache", ""},       {"vm.disk.io", "fast"},
	        {"vm.disk.queues", "65"},    {"vm.disk.queues", "-1"},
	        {"vm.disk.queues", "2.0"},   {"vm.disk.iothreads", ""},
	        {"vm.net.queues", "1e1"},    {"vm.memory.hugepages", "on"},
	        {"vm.memory.locked", "yes"}, {"vm.disk.bus", "nvme"}};
	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const struct kvm_knob *knob = kvm_knob_find(wrong[i][0], strlen(wrong[i][0]));
		assert_non_null(knob);
		assert_int_equal(kvm_knob_check(knob, wrong[i][1]), -1);
	}
	assert_null(kvm_knob_find("vm.disk.cach", 12));
	assert_null(kvm_knob_find("vm.disk.cache", 12));
	assert_string_equal(kvm_knob_nearest("vm.disk.cahce"), "vm.disk.cache");
	assert_string_equal(kvm_knob_nearest("vm.cpu.pn"), "vm.cpu.pin");
}

static void pins_each_vcpu_and_the_rest_as_the_last(void **state)
{
	const struct kvm_knob *pin = kvm_knob_find("vm.cpu.pin", 10);
	struct kvm_spec spec = spec_of(NOVA_BOOT_DISK);
	(void)state;
	spec.vcpus = 3;
	xmlDocPtr doc = domain(&spec);
	assert_int_equal(pin->apply(doc, "0-1:2,^3"), 0);
	assert_xml(doc, "/domain/cputune/vcpupin[@vcpu='0']/@cpuset", "0-1");
	assert_xml(doc, "/domain/cputune/vcpupin[@vcpu='1']/@cpuset", "2,^3");
	assert_xml(doc, "/domain/cputune/vcpupin[@vcpu='2']/@cpuset", "2,^3");
	assert_int_equal(pin->apply(doc, "1"), 0);
	assert_xml(doc, "count(/domain/cputune/vcpupin)", "3");
	xmlFreeDoc(doc);
}

static void a_knob_needs_its_device(void **state)
{
	struct kvm_spec spec = spec_of(NOVA_BOOT_DIRECT);
	(void)state;
	spec.disk = spec.backing = NULL;
	xmlDocPtr doc = domain(&spec);
	assert_int_equal(kvm_knob_find("vm.disk.cache", 13)->apply(doc, "none"), -1);
	assert_int_equal(kvm_knob_find("vm.disk.bus", 11)->apply(doc, "ide"), -1);
	assert_int_equal(kvm_knob_find("vm.disk.iothreads", 17)->apply(doc, "1"), -1);
	assert_int_equal(kvm_knob_find("vm.net.queues", 13)->apply(doc, "2"), -1);
	xmlFreeDoc(doc);
}

/* --- text and time --------------------------------------------------------------------------- */

static void base64_is_its_own_inverse(void **state)
{
	unsigned char bytes[300];
	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 7);
	for (size_t count = 0; count <= sizeof(bytes); count++) {
		size_t back = 0;
		char *text = kvm_base64(bytes, count);
		unsigned char *read = kvm_unbase64(text, &back);
		assert_non_null(read);
		assert_int_equal(back, count);
		assert_memory_equal(read, bytes, count);
		assert_int_equal(read[count], 0);
		free(text);
		free(read);
	}
}

static void base64_agrees_with_its_standard(void **state)
{
	/* RFC 4648, section 10 */
	static const char *const pairs[][2] = {{"", ""},
	                                       {"f", "Zg=="},
	                                       {"fo", "Zm8="},
	                                       {"foo", "Zm9v"},
	                                       {"foob", "Zm9vYg=="},
	                                       {"fooba", "Zm9vYmE="},
	                                       {"foobar", "Zm9vYmFy"}};
	static const char *const wrong[] = {"Z", "Zg=", "Zg", "Z===", "Zm9*", "=Zm9", "Zg==Zg=="};
	size_t count;
	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		char *text = kvm_base64(pairs[i][0], strlen(pairs[i][0]));
		assert_string_equal(text, pairs[i][1]);
		free(text);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_null(kvm_unbase64(wrong[i], &count));
}

static void stamps_turn_by_the_middle_of_the_bracket(void **state)
{
	int64_t bracket = 0;
	(void)state;
	/* realtime = monotonic + 1000 s; read between 500 and 540 ns: known to ±20 ns */
	int64_t offset = INT64_C(1000) * KVM_SECOND;
	int64_t t = kvm_convert(offset + 100, 500, offset + 520, 540, &bracket);
	assert_int_equal(t, 100);
	assert_int_equal(bracket, 20);
	t = kvm_convert(offset + 100, 500, offset + 501, 540, &bracket); /* read early in it */
	assert_true(t - 100 <= bracket && 100 - t <= bracket);
	t = kvm_convert(5, 500, 505, 500, &bracket); /* one tick */
	assert_int_equal(t, 0);
	assert_int_equal(bracket, 0);
}

static void a_stamp_of_now_is_now(void **state)
{
	struct timespec realtime, before, after;
	int64_t t = 0, bracket = 0;
	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &before);
	clock_gettime(CLOCK_REALTIME, &realtime);
	clock_gettime(CLOCK_MONOTONIC, &after);
	kvm_stamp((int64_t)realtime.tv_sec * KVM_SECOND + realtime.tv_nsec, &t, &bracket);
	/* A clock may be slewed meanwhile, so a microsecond is granted. */
	assert_true(t >= (int64_t)before.tv_sec * KVM_SECOND + before.tv_nsec - bracket - 1000);
	assert_true(t <= (int64_t)after.tv_sec * KVM_SECOND + after.tv_nsec + bracket + 1000);
}

static void knows_formats_by_their_first_bytes(void **state)
{
	static const struct {
		const char *bytes, *format;
		size_t count;
	} files[] = {{"QFI\xfb....", "qcow2", 8},
	             {"", "raw", 0},
	             {"QF", "raw", 2},
	             {"\x7f"
	              "ELF",
	              "raw", 4},
	             {"KDMV", NULL, 4},
	             {"vhdxfile", NULL, 8}};
	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char path[] = "/tmp/novacore-format-XXXXXX";
		int fd = mkstemp(path);
		assert_true(fd >= 0);
		FILE *file = fdopen(fd, "w");
		assert_int_equal(fwrite(files[i].bytes, 1, files[i].count, file), files[i].count);
		fclose(file);
		const char *format = kvm_disk_format(path);
		remove(path);
		if (files[i].format)
			assert_string_equal(format, files[i].format);
		else
			assert_null(format);
	}
	assert_null(kvm_disk_format("/no/such/file"));
}

/* --- places -------------------------------------------------------------------------------------
 */

static char state_folder[64];

static const char *give_directory(uint64_t instance, uint32_t which)
{
	(void)instance;
	(void)which;
	return state_folder;
}

static int fail_quietly(nova_op op, int32_t code, const char *format, ...)
{
	(void)op;
	(void)format;
	return code;
}

static const struct nova_host place_host = {
        .struct_size = sizeof(place_host), .errorf = fail_quietly, .directory = give_directory};

static int make_state(void **state)
{
	(void)state;
	strcpy(state_folder, "/tmp/novacore-place-XXXXXX");
	return mkdtemp(state_folder) ? 0 : -1;
}

static int remove_state(void **state)
{
	char *disks = kvm_format("%s/disks", state_folder);
	(void)state;
	remove(disks);
	free(disks);
	return remove(state_folder); /* fails if anything is left in it */
}

static void touch(const char *path)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
}

static void a_disk_in_a_place_is_found_by_its_vms_name_alone(void **state)
{
	struct kvm self = {.host = &place_host, .local = true, .run = state_folder};
	char *disk = NULL, *other;
	(void)state;
	/* as if killed after the disk was made, and before libvirt knew of the VM */
	assert_int_equal(kvm_place_disk(&self, 1, "novacore-a-b-0", state_folder, &disk), 0);
	assert_non_null(strstr(disk, "/novacore-a-b-0.qcow2"));
	touch(disk);
	kvm_place_forget(&self, "novacore-a-b-1"); /* another's */
	assert_int_equal(access(disk, F_OK), 0);
	kvm_place_forget(&self, "novacore-a-b-0");
	assert_int_equal(access(disk, F_OK), -1);
	kvm_place_forget(&self, "novacore-a-b-0"); /* there is nothing any more */
	free(disk);
	/* what does not bear the VM's name is not ours */
	other = kvm_format("%s/somebody.qcow2", state_folder);
	touch(other);
	char *link = kvm_format("%s/disks/novacore-a-b-0", state_folder);
	assert_int_equal(symlink(other, link), 0);
	kvm_place_forget(&self, "novacore-a-b-0");
	assert_int_equal(access(other, F_OK), 0);
	remove(other);
	free(link);
	free(other);
}

static void without_a_place_disks_lie_in_the_runs_directory(void **state)
{
	struct kvm self = {.host = &place_host, .local = false, .run = state_folder};
	char *disk = NULL;
	(void)state;
	assert_int_equal(kvm_place_disk(&self, 1, "novacore-a-b-0", NULL, &disk), 0);
	assert_int_equal(strncmp(disk, state_folder, strlen(state_folder)), 0);
	free(disk);
}

static void refuses_places_that_cannot_hold_disks(void **state)
{
	struct kvm self = {.host = &place_host, .local = true, .run = state_folder};
	char *disk = NULL;
	(void)state;
	assert_int_equal(kvm_place_disk(&self, 1, "n", "relative", &disk), NOVA_E_INVALID);
	assert_int_equal(kvm_place_disk(&self, 1, "n", "/none/at/all", &disk), NOVA_E_NOT_FOUND);
	assert_int_equal(kvm_place_disk(&self, 1, "n", "/etc/passwd", &disk), NOVA_E_INVALID);
	self.local = false;
	assert_int_equal(kvm_place_disk(&self, 1, "n", "/tmp", &disk), NOVA_E_UNSUPPORTED);
	assert_null(disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(describes_a_direct_boot),
	        cmocka_unit_test(puts_console_first_and_heartbeat_second),
	        cmocka_unit_test(makes_the_stub_as_small_as_it_can),
	        cmocka_unit_test(joins_networks),
	        cmocka_unit_test(vms_of_a_run_have_addresses_of_their_own),
	        cmocka_unit_test(needs_neither_disk_nor_heartbeat),
	        cmocka_unit_test(reads_heartbeat_addresses),
	        cmocka_unit_test(does_not_take_broken_xml),
	        cmocka_unit_test(every_knob_reads_back_what_was_set),
	        cmocka_unit_test(every_knob_has_a_default_before_it_is_set),
	        cmocka_unit_test(knobs_refuse_what_they_do_not_take),
	        cmocka_unit_test(pins_each_vcpu_and_the_rest_as_the_last),
	        cmocka_unit_test(a_knob_needs_its_device),
	        cmocka_unit_test(base64_is_its_own_inverse),
	        cmocka_unit_test(base64_agrees_with_its_standard),
	        cmocka_unit_test(stamps_turn_by_the_middle_of_the_bracket),
	        cmocka_unit_test(a_stamp_of_now_is_now),
	        cmocka_unit_test(knows_formats_by_their_first_bytes),
	        cmocka_unit_test_setup_teardown(a_disk_in_a_place_is_found_by_its_vms_name_alone,
	                                        make_state, remove_state),
	        cmocka_unit_test_setup_teardown(without_a_place_disks_lie_in_the_runs_directory,
	                                        make_state, remove_state),
	        cmocka_unit_test_setup_teardown(refuses_places_that_cannot_hold_disks, make_state,
	                                        remove_state),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
