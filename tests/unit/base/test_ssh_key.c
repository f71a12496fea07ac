/* SPDX-License-Identifier: MIT */
/* Keys that a run makes for its VMs: OpenSSH's own program reads them. */
#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char place[] = "/tmp/novacore-key-XXXXXX";

static void openssh_finds_the_public_key_in_the_private_one(void **state)
{
	char *private_key = NULL, *public_key = NULL;
	struct nova_error error = {0};

	(void)state;
	if (access("/usr/bin/ssh-keygen", X_OK)) {
		print_message("skipped: no ssh-keygen\n");
		skip();
	}
	assert_non_null(mkdtemp(place));
	NOVA_AUTOFREE char *path = nova_format("%s/key", place);
	assert_int_equal(nova_ssh_key_make(&private_key, &public_key, &error), 0);
	assert_int_equal(nova_file_write(path, private_key, strlen(private_key), 0600, &error), 0);
	const char *const argv[] = {"/usr/bin/ssh-keygen", "-y", "-P", "", "-f", path, NULL};
	struct nova_child child = {.argv = argv};
	struct nova_child_result result = {0};
	if (nova_child_check(&child, &result, &error))
		fail_msg("%s", error.text);
	assert_string_equal(nova_text_get(&result.output), public_key);
	nova_child_result_free(&result);
	nova_directory_remove(place, NULL);
	free(private_key);
	free(public_key);
}

static void every_run_has_another(void **state)
{
	char *first = NULL, *second = NULL, *public_first = NULL, *public_second = NULL;

	(void)state;
	assert_int_equal(nova_ssh_key_make(&first, &public_first, NULL), 0);
	assert_int_equal(nova_ssh_key_make(&second, &public_second, NULL), 0);
	assert_string_not_equal(first, second);
	assert_string_not_equal(public_first, public_second);
	assert_null(strstr(public_first, "PRIVATE"));
	free(first);
	free(second);
	free(public_first);
	free(public_second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(openssh_finds_the_public_key_in_the_private_one),
	        cmocka_unit_test(every_run_has_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
