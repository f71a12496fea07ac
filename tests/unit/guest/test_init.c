/* SPDX-License-Identifier: MIT */
/*
 * What the guest's init understands: its command line, addresses, device patterns, power commands.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/guest/init/init.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

void complain(const char *format, ...)
{
	(void)format;
}

int spawn(pid_t *pid, char **argv)
{
	(void)pid;
	(void)argv;
	return -1;
}

static void finds_words_of_the_command_line(void **state)
{
	char value[16];
	const char *line =
	        "quiet root=/dev/vda  xroot=/no novacore.net=dhcp\tnovacore.net=b empty=\n";

	(void)state;
	assert_true(cmdline_value(line, "root", 0, value, sizeof(value)));
	assert_string_equal("/dev/vda", value);
	assert_true(cmdline_value(line, "novacore.net", 1, value, sizeof(value)));
	assert_string_equal("b", value);
	assert_true(cmdline_value(line, "empty", 0, value, sizeof(value)));
	assert_string_equal("", value);
	assert_false(cmdline_value(line, "novacore.net", 2, value, sizeof(value)));
	assert_false(cmdline_value(line, "quiet", 0, value, sizeof(value)));
	assert_false(cmdline_value(line, "roo", 0, value, sizeof(value)));
	assert_false(cmdline_value("", "root", 0, value, sizeof(value)));
}

static void refuses_a_value_that_does_not_fit(void **state)
{
	char value[4] = "old";

	(void)state;
	assert_false(cmdline_value("name=four", "name", 0, value, sizeof(value)));
	assert_string_equal("old", value);
	assert_true(cmdline_value("name=abc", "name", 0, value, sizeof(value)));
}

static void takes_numbers_in_range_only(void **state)
{
	static const char *const wrong[] = {"",   "-1", "+1", " 1",  "1 ",
	                                    "1x", "x",  "9",  "101", "99999999999999999999"};
	long number = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(cmdline_number(wrong[i], 10, 100, &number));
	assert_int_equal(7, number);
	assert_true(cmdline_number("10", 10, 100, &number));
	assert_true(cmdline_number("100", 10, 100, &number));
	assert_int_equal(100, number);
}

static void reads_addresses(void **state)
{
	struct network_address address;
	static const unsigned char ip[] = {10, 0, 2, 15}, gateway[] = {10, 0, 2, 2};

	(void)state;
	assert_true(network_parse("eth0:10.0.2.15/24:10.0.2.2", &address));
	assert_string_equal("eth0", address.interface);
	assert_memory_equal(ip, address.address, 4);
	assert_memory_equal(gateway, address.gateway, 4);
	assert_int_equal(24, address.bits);
	assert_true(address.has_gateway);
	assert_true(network_parse("e:1.2.3.4/0", &address));
	assert_false(address.has_gateway);
}

static void refuses_malformed_addresses(void **state)
{
	static const char *const wrong[] = {"",
	                                    ":",
	                                    "eth0",
	                                    "eth0:10.0.0.1",
	                                    "eth0:10.0.0.1/33",
	                                    "eth0:10.0.0.1/-1",
	                                    "eth0:10.0.0/24",
	                                    "eth0:10.0.0.1/24:gw",
	                                    "eth0:10.0.0.1/24:10.0.0.2:more",
	                                    "a-name-of-sixteen:10.0.0.1/24",
	                                    "eth0:10.0.0.256/24"};
	char longer[200];
	struct network_address address;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (network_parse(wrong[i], &address))
			fail_msg("took \"%s\"", wrong[i]);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_false(network_parse(longer, &address));
}

static void reads_a_load_on_memory(void **state)
{
	static const char *const wrong[] = {"",
	                                    ",",
	                                    "4096",
	                                    "4096,",
	                                    ",4096",
	                                    "4095,4096",
	                                    "4096,4095",
	                                    "4096,4096,",
	                                    "-1,4096",
	                                    " 4096,4096",
	                                    "4096, 4096",
	                                    "1e9,4096",
	                                    "4096,0x99",
	                                    "4096,1099511627777",
	                                    "99999999999999999999,4096"};
	struct dirty dirty;

	(void)state;
	assert_true(dirty_parse("100000000,1099511627776", &dirty));
	assert_int_equal(100000000, dirty.bytes_per_s);
	assert_int_equal(1099511627776, dirty.working_set);
	assert_true(dirty_parse("4096,4096", &dirty));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (dirty_parse(wrong[i], &dirty))
			fail_msg("took \"%s\"", wrong[i]);
}

static void matches_devices_by_their_alias(void **state)
{
	(void)state;
	assert_true(modules_match("-", NULL));
	assert_true(modules_match("virtio:d00000001v*,virtio:d00000002v*",
	                          "virtio:d00000002v00001AF4"));
	assert_true(modules_match("pci:v00001AF4d*sv*sd*bc*sc*i*",
	                          "pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00"));
	assert_false(modules_match("virtio:d00000001v*", "virtio:d00000011v00001AF4"));
	assert_false(modules_match("virtio:d00000001v*", NULL));
	assert_false(modules_match("", "virtio:d00000001v00001AF4"));
}

/* A type 0 with two strings, a type 32 with none, a type 11 with `oem`, the end. */
static size_t make_table(unsigned char *table, const char *oem, size_t oem_bytes)
{
	static const char before[] = "\0\6\0\0\1\2SeaBIOS\0novacore.name=bios\0\0"
	                             "\x20\5\1\0\0\0\0\x0b\5\2\0\3";
	static const char after[] = "\x7f\4\3\0\0\0\x0b\5\2\0\1novacore.late=1\0\0";

	memcpy(table, before, sizeof(before) - 1);
	memcpy(table + sizeof(before) - 1, oem, oem_bytes);
	memcpy(table + sizeof(before) - 1 + oem_bytes, after, sizeof(after) - 1);
	return sizeof(before) + sizeof(after) - 2 + oem_bytes;
}

static void takes_our_words_from_the_oem_strings_of_smbios(void **state)
{
	static const char oem[] = "novacore.name=a\0foreign=1\0novacore.two words=1\0novacore.\0"
	                          "novacore.net=dhcp\0";
	unsigned char table[512];
	char words[64];
	size_t bytes = make_table(table, oem, sizeof(oem));

	(void)state;
	assert_int_equal(34, smbios_words(table, bytes, words, sizeof(words)));
	assert_string_equal("novacore.name=a novacore.net=dhcp ", words);
	/* what does not fit is left out, what is cut off is not missed */
	assert_int_equal(16, smbios_words(table, bytes, words, 20));
	assert_string_equal("novacore.name=a ", words);
	for (size_t i = 0; i < bytes; i++)
		assert_true(smbios_words(table, i, words, sizeof(words)) < sizeof(words));
	assert_int_equal(0, smbios_words(table, 0, words, sizeof(words)));
	assert_string_equal("", words);
}

static void takes_public_keys_and_nothing_that_breaks_the_line(void **state)
{
	static const char *const wrong[] = {"",
	                                    ",",
	                                    "ssh-ed25519",
	                                    "ssh-ed25519,",
	                                    ",AAAA",
	                                    "ssh-ed25519,AA AA",
	                                    "ssh-ed25519,AAAA\nssh-rsa",
	                                    "command=\"x\",AAAA",
	                                    "ssh-ed25519,AAAA,BBBB"};
	char line[64];

	(void)state;
	assert_true(ssh_key_line("ssh-ed25519,AAAA+/b=", line, sizeof(line)));
	assert_string_equal("ssh-ed25519 AAAA+/b=\n", line);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (ssh_key_line(wrong[i], line, sizeof(line)))
			fail_msg("took \"%s\"", wrong[i]);
	assert_false(ssh_key_line("ssh-ed25519,AAAA", line, 8));
}

static int signal_of(const char *name, const char *first, const char *second)
{
	char *argv[] = {(char *)name, (char *)first, (char *)second, NULL};

	return power_signal(name, first == NULL ? 1 : second == NULL ? 2 : 3, argv);
}

static void understands_the_power_commands(void **state)
{
	char *agents[] = {"shutdown", "-h", "-P", "+0", "hypervisor initiated shutdown", NULL};

	(void)state;
	assert_int_equal(SIGUSR2, signal_of("poweroff", NULL, NULL));
	assert_int_equal(SIGUSR1, signal_of("halt", NULL, NULL));
	assert_int_equal(SIGTERM, signal_of("reboot", NULL, NULL));
	assert_int_equal(SIGUSR2, power_signal("shutdown", 5, agents));
	assert_int_equal(SIGTERM, signal_of("shutdown", "-h", "-r"));
	assert_int_equal(SIGUSR1, signal_of("shutdown", "-h", "-H"));
	assert_int_equal(0, signal_of("shutdown", "-c", NULL));
	assert_int_equal(0, signal_of("init", NULL, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(finds_words_of_the_command_line),
	        cmocka_unit_test(refuses_a_value_that_does_not_fit),
	        cmocka_unit_test(takes_numbers_in_range_only),
	        cmocka_unit_test(reads_addresses),
	        cmocka_unit_test(refuses_malformed_addresses),
	        cmocka_unit_test(reads_a_load_on_memory),
	        cmocka_unit_test(matches_devices_by_their_alias),
	        cmocka_unit_test(takes_our_words_from_the_oem_strings_of_smbios),
	        cmocka_unit_test(takes_public_keys_and_nothing_that_breaks_the_line),
	        cmocka_unit_test(understands_the_power_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
