/* SPDX-License-Identifier: MIT */
/*
 * Wishes for a disk that cannot be fulfilled, said before anything is built; and the keys in it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/guest/internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOB  "AAAAC3NzaC1lZDI1NTE5AAAAINxiMcexeXS1V3I576JCraV6fkCS9+lnOSpP72vv2tqP"
#define OTHER "AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static char path[64];

static int make_file(void **state)
{
	(void)state;
	strcpy(path, "/tmp/novacore-keys-XXXXXX");
	int fd = mkstemp(path);
	return fd >= 0 ? close(fd) : -1;
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static char *read_keys(const char *text, struct nova_error *error)
{
	assert_int_equal(0, nova_file_write(path, text, strlen(text), 0600, NULL));
	return guest_keys_read(path, error);
}

static void makes_words_of_public_keys(void **state)
{
	struct nova_error error = {0};
	NOVA_AUTOFREE char *words =
	        read_keys("# mine\n\nssh-ed25519 " BLOB " me@here with a comment\r\n"
	                  "no-pty,command=\"x ssh-rsa y\" ssh-ed25519 " OTHER,
	                  &error);

	(void)state;
	assert_non_null(words);
	assert_string_equal("novacore.ssh=ssh-ed25519," BLOB " novacore.ssh=ssh-ed25519," OTHER,
	                    words);
}

static void refuses_what_is_no_public_key(void **state)
{
	static const struct {
		const char *text, *says;
	} wrong[] = {{"", "has no SSH key"},
	             {"# nothing\n", "has no SSH key"},
	             {"ssh-ed25519 " BLOB "\nhello\n", ":2 is no public SSH key"},
	             {"ssh-ed25519\n", ":1 is no public SSH key"},
	             {"ssh-ed25519 AAAA\n", ":1 is no public SSH key"},
	             {"ssh-ed25519 " BLOB "\"\n", ":1 is no public SSH key"},
	             {"-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n", "is a private key"}};

	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(wrong); i++) {
		struct nova_error error = {0};
		assert_null(read_keys(wrong[i].text, &error));
		assert_int_equal(NOVA_E_INVALID, error.code);
		if (strstr(error.text, wrong[i].says) == NULL)
			fail_msg("\"%s\" has no \"%s\"", error.text, wrong[i].says);
		assert_null(strstr(error.text, "secret"));
	}
	struct nova_error error = {0};
	assert_null(guest_keys_read("/nonexistent", &error));
	assert_int_equal(NOVA_E_NOT_FOUND, error.code);
}

static void refuses_more_words_than_the_kernel_takes(void **state)
{
	struct nova_error error = {0};
	char more[2000], *line = NULL;

	(void)state;
	assert_int_equal(0, guest_loader_command_line("novacore.name=x", &line, &error));
	assert_non_null(strstr(line, " novacore.net=dhcp novacore.name=x"));
	free(line);
	memset(more, 'x', sizeof(more) - 1);
	more[sizeof(more) - 1] = '\0';
	assert_int_equal(NOVA_E_INVALID, guest_loader_command_line(more, &line, &error));
	assert_non_null(strstr(error.text, "fewer or shorter SSH keys"));
}

static void refuses_impossible_disks_and_builds_nothing(void **state)
{
	static const struct {
		struct nova_guest_disk wish;
		const char *says;
	} wrong[] = {{{.format = "iso"}, "\"iso\"; it can be raw, qcow2"},
	             {{.format = ""}, "it can be raw"},
	             {{.format = "vmdk", .compress = true}, "only a disk of format qcow2"},
	             {{.format = "raw", .bytes = 1000}, "whole MiB"},
	             {{.format = "raw", .bytes = UINT64_C(3) << 40}, "2 TiB at most"},
	             {{.format = "raw", .ssh_key = "/nonexistent"}, "/nonexistent"}};
	struct nova_guest_options options = {.cache = "/nonexistent/cache"};

	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(wrong); i++) {
		struct nova_error error = {0};
		struct nova_guest out;
		int code = nova_guest_disk(&options, &wrong[i].wish, NULL, NULL, &out, &error);
		assert_int_not_equal(0, code);
		if (strstr(error.text, wrong[i].says) == NULL)
			fail_msg("\"%s\" has no \"%s\"", error.text, wrong[i].says);
		assert_null(out.image);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(makes_words_of_public_keys, make_file, remove_file),
	        cmocka_unit_test_setup_teardown(refuses_what_is_no_public_key, make_file,
	                                        remove_file),
	        cmocka_unit_test(refuses_more_words_than_the_kernel_takes),
	        cmocka_unit_test(refuses_impossible_disks_and_builds_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
