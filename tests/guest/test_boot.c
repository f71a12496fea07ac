/* SPDX-License-Identifier: MIT */
/*
 * The appliance boots, says so, runs its tools and powers off. Times are printed, never judged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/guest/vm.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char cache[64] = "/tmp/novacore-guest-XXXXXX";
static struct nova_guest guest = {.hold = -1};
static struct vm vm;

static int build_appliance(void **state)
{
	struct nova_guest_options options = {.cache = cache};
	struct nova_error error = {0};
	int64_t before_ns = nova_now_ns();

	(void)state;
	if (mkdtemp(cache) == NULL ||
	    nova_guest_ensure(&options, NULL, NULL, &guest, &error) != 0) {
		print_error("%s\n", error.text);
		return -1;
	}
	print_message("built in %.2f s\n", (double)(nova_now_ns() - before_ns) / 1e9);
	return 0;
}

static int remove_appliance(void **state)
{
	(void)state;
	nova_guest_release(&guest);
	return nova_directory_remove(cache, NULL);
}

static int end_vm(void **state)
{
	(void)state;
	vm_end(&vm);
	return 0;
}

static void expect_output(const char *const *argv, const char *expected)
{
	int status = -1;
	NOVA_AUTOFREE char *output = vm_exec(&vm, argv, &status);

	if (status != 0 || strstr(output, expected) == NULL)
		fail_msg("%s: status %d, \"%s\" has no \"%s\"", argv[0], status, output, expected);
}

#define EXPECT(expected, ...) expect_output((const char *const[]){__VA_ARGS__, NULL}, expected)

static void check_tools(void)
{
	EXPECT("sysbench 1.", "sysbench", "--version");
	EXPECT("fio-3", "fio", "--version");
	EXPECT("iperf 3", "iperf3", "--version");
	EXPECT("stress-ng", "stress-ng", "--version");
	EXPECT("events per second", "sysbench", "cpu", "--time=1", "run");
	EXPECT("\"iops\"", "fio", "--name=x", "--filename=/tmp/x", "--size=1M", "--direct=1",
	       "--rw=randwrite", "--output-format=json");
}

static void check_settings(void)
{
	EXPECT("vm-seven", "hostname");
	EXPECT("10.0.2.15/24", "ip", "addr", "show", "dev", "eth0");
	EXPECT("default via 10.0.2.2", "ip", "route");
	EXPECT("LOOPBACK,UP", "ip", "addr", "show", "dev", "lo");
	EXPECT("/novacore/bin", "sh", "-c", "echo $PATH");
	EXPECT("ok", "sh", "-c",
	       "set -e; touch /tmp/x /run/x /dev/shm/x; test -w /root; test ! -e /modules; "
	       "test \"$(stat -f -c %T /tmp)\" != tmpfs; sleep 0.1 & echo ok");
	/* no zombie is left by what others left behind */
	EXPECT("none", "sh", "-c", "(sleep 0.2 &); sleep 1; ps -o stat | grep -c Z || echo none");
}

static void boots_runs_its_tools_and_powers_off(void **state)
{
	(void)state;
	vm_start(&vm, &guest, NULL,
	         "novacore.beat=20000 novacore.name=vm-seven "
	         "novacore.net=eth0:10.0.2.15/24:10.0.2.2");
	double up = vm_pulse(&vm, 'U');
	vm_pulse(&vm, '.');
	double agent = vm_pulse(&vm, 'A');
	double answers = vm_agent_ready(&vm);
	print_message("user space %.2f s, agent started %.2f s, agent answers %.2f s\n", up, agent,
	              answers);
	assert_int_equal('U', nova_text_get(&vm.pulses)[0]);
	check_tools();
	check_settings();
	int64_t before_ns = nova_now_ns();
	vm_shutdown(&vm);
	vm_pulse(&vm, 'D');
	assert_int_equal(0, vm_wait(&vm));
	print_message("powered off in %.2f s\n", (double)(nova_now_ns() - before_ns) / 1e9);
}

static void fills_a_larger_disk_and_starts_the_agent_again_when_it_dies(void **state)
{
	int status;

	(void)state;
	vm_start(&vm, &guest, "2G", "");
	vm_pulse(&vm, 'A');
	vm_agent_ready(&vm);
	EXPECT("grown", "sh", "-c", "test $(stat -f -c %b /) -gt 500000 && echo grown");
	/* the agent dies with this call unanswered, so the answer is not waited for */
	json_decref(vm_agent(&vm, "guest-exec",
	                     json_pack("{s:s, s:[s, s]}", "path", "sh", "arg", "-c",
	                               "sleep 3; kill -9 $(pidof qemu-ga)")));
	vm_pulse(&vm, 'A');
	vm_agent_ready(&vm);
	free(vm_exec(&vm, (const char *const[]){"true", NULL}, &status));
	assert_int_equal(0, status);
}

static void powers_off_at_the_press_of_the_button(void **state)
{
	(void)state;
	vm_start(&vm, &guest, NULL, "novacore.net=nonsense novacore.beat=x novacore.dirty=1,x");
	vm_pulse(&vm, 'A');
	vm_agent_ready(&vm);
	/* the button's driver is loaded a moment after the agent */
	sleep(3);
	vm_monitor(&vm, "system_powerdown");
	vm_pulse(&vm, 'D');
	assert_int_equal(0, vm_wait(&vm));
	/* what it could not understand on its command line, it said on the console */
	NOVA_AUTOFREE char *path = nova_format("%s/console", vm.directory);
	NOVA_AUTOFREE char *console = nova_file_read(path, 1 << 20, NULL, NULL);
	assert_non_null(strstr(console, "novacore.net=nonsense is neither"));
	assert_non_null(strstr(console, "novacore.beat=x is not a number"));
	assert_non_null(strstr(console, "novacore.dirty=1,x is not"));
}

/* What the load on memory has written so far, and the guest's clock then. */
static void read_progress(unsigned long long *pages, unsigned long long *ns)
{
	static const char *const argv[] = {"cat", "/run/novacore-dirty", NULL};
	int status;
	NOVA_AUTOFREE char *text = vm_exec(&vm, argv, &status);

	assert_int_equal(0, status);
	assert_int_equal(2, sscanf(text, "%llu %llu", pages, ns));
}

static void loads_its_memory_at_the_rate_it_was_told(void **state)
{
	unsigned long long pages[2], ns[2];

	(void)state;
	/* a thousand pages a second through 32 MiB */
	vm_start(&vm, &guest, NULL, "novacore.dirty=4096000,33554432");
	vm_agent_ready(&vm);
	read_progress(&pages[0], &ns[0]);
	sleep(2);
	read_progress(&pages[1], &ns[1]);
	double rate = (double)(pages[1] - pages[0]) / ((double)(ns[1] - ns[0]) / 1e9);
	/* a loaded machine makes it slower; nothing makes it faster, but the 10 ms in which it
	 * says where it is */
	assert_true(rate > 10 && rate < 1020);
}

static void refuses_a_load_that_does_not_fit(void **state)
{
	(void)state;
	vm_start(&vm, &guest, NULL, "novacore.dirty=4096000,1099511627776");
	vm_agent_ready(&vm);
	NOVA_AUTOFREE char *path = nova_format("%s/console", vm.directory);
	NOVA_AUTOFREE char *console = nova_file_read(path, 1 << 20, NULL, NULL);
	assert_non_null(strstr(console, "1099511627776 bytes does not fit"));
}

static void goes_on_without_a_disk(void **state)
{
	struct nova_guest other = guest;

	(void)state;
	other.cmdline =
	        nova_format("%s root=/dev/nothing novacore.beat=100000", "console=ttyS0 quiet");
	vm_start(&vm, &other, NULL, "");
	free(other.cmdline);
	vm_pulse(&vm, 'U');
	for (int i = 0; i < 150; i++) /* beats for longer than it waits for a disk */
		vm_pulse(&vm, '.');
}

/* Why this host cannot run these tests, or NULL. Heap. */
static char *reason_to_skip(void)
{
	NOVA_AUTOJSON json_t *findings = nova_guest_check(NULL);
	const json_t *finding;
	size_t i;

	json_array_foreach(findings, i, finding) if (
	        !json_is_true(json_object_get(
	                finding, "ok"))) return nova_format("%s: %s",
	                                                    json_string_value(json_object_get(
	                                                            finding, "subject")),
	                                                    json_string_value(json_object_get(
	                                                            finding, "detail")));
	if (access("/usr/bin/qemu-system-x86_64", X_OK) != 0)
		return nova_strdup("there is no qemu-system-x86_64");
	return NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_teardown(boots_runs_its_tools_and_powers_off, end_vm),
	        cmocka_unit_test_teardown(
	                fills_a_larger_disk_and_starts_the_agent_again_when_it_dies, end_vm),
	        cmocka_unit_test_teardown(powers_off_at_the_press_of_the_button, end_vm),
	        cmocka_unit_test_teardown(loads_its_memory_at_the_rate_it_was_told, end_vm),
	        cmocka_unit_test_teardown(refuses_a_load_that_does_not_fit, end_vm),
	        cmocka_unit_test_teardown(goes_on_without_a_disk, end_vm),
	};
	NOVA_AUTOFREE char *reason = reason_to_skip();

	if (reason != NULL) {
		printf("skipped: %s\n", reason);
		return 77;
	}
	return cmocka_run_group_tests(tests, build_appliance, remove_appliance);
}
