/* SPDX-License-Identifier: MIT */
/* Secrets: by reference or from a private file only, and never shown. */
#include "check.h"

#include <sys/stat.h>

static char *write_file(const char *text, mode_t mode)
{
	char *path = nova_strdup("/tmp/novacore-test-XXXXXX");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

static void expect_token(struct nova_config *config, const char *expected)
{
	NOVA_AUTOJSON json_t *params = nova_config_params(config, "hypervisor.kvm", NULL, true);
	const char *token = json_string_value(json_object_get(params, "token"));
	if (!expected)
		assert_null(token);
	else
		assert_string_equal(token, expected);
	NOVA_AUTOJSON json_t *without = nova_config_params(config, "hypervisor.kvm", NULL, false);
	assert_null(json_object_get(without, "token"));
}

static void reads_the_environment(void **state)
{
	(void)state;
	setenv("NOVA_TEST_TOKEN", "s3cr3t-env", 1);
	NOVA_AUTOCONFIG struct nova_config *config =
	        takes_setting("hypervisor.kvm.token=env:NOVA_TEST_TOKEN");
	expect_token(config, "s3cr3t-env");
	assert_int_equal(nova_config_ready(config, "hypervisor.kvm", NULL, NULL, NULL), 0);
	struct nova_error error = {0};
	nova_error_set(&error, NOVA_E_FAILED, "login with s3cr3t-env failed");
	assert_null(strstr(error.text, "s3cr3t-env"));
}

static void names_the_variable_that_is_not_set(void **state)
{
	(void)state;
	unsetenv("NOVA_TEST_NONE");
	NOVA_AUTOCONFIG struct nova_config *config =
	        takes_setting("hypervisor.kvm.token=env:NOVA_TEST_NONE");
	struct nova_error error = {0};
	assert_int_equal(nova_config_ready(config, "hypervisor.kvm", NULL, NULL, &error),
	                 NOVA_E_NOT_FOUND);
	check_contains(error.text, "hypervisor.kvm.token");
	check_contains(error.text, "NOVA_TEST_NONE");
}

static void reads_private_files_only(void **state)
{
	(void)state;
	NOVA_AUTOFREE char *path = write_file("s3cr3t-file\nsecond line\n", 0600);
	NOVA_AUTOFREE char *setting = nova_format("hypervisor.kvm.token=file:%s", path);
	NOVA_AUTOCONFIG struct nova_config *config = takes_setting(setting);
	expect_token(config, "s3cr3t-file");
	assert_int_equal(chmod(path, 0640), 0);
	struct nova_error error = {0};
	assert_int_equal(nova_config_ready(config, "hypervisor.kvm", NULL, NULL, &error),
	                 NOVA_E_PERMISSION);
	check_contains(error.text, "chmod 600");
	unlink(path);
	assert_int_equal(nova_config_ready(config, "hypervisor.kvm", NULL, NULL, &error),
	                 NOVA_E_NOT_FOUND);
}

static void a_secret_itself_belongs_into_a_private_file(void **state)
{
	(void)state;
	static const char text[] = "hypervisor = { kvm = { token = \"s3cr3t-literal\"; }; };";
	refuses(text, "a secret does not belong here");
	refuses_setting("hypervisor.kvm.token=s3cr3t-command", "env:NAME");
	NOVA_AUTOFREE char *path = write_file(text, 0644);
	struct nova_error error = {0};
	NOVA_AUTOCONFIG struct nova_config *open = sample();
	assert_int_equal(nova_config_add_file(open, NOVA_LAYER_FILE, path, true, &error), 0);
	assert_int_equal(nova_config_finish(open, &error), NOVA_E_INVALID);
	check_contains(error.text, "mode 600");
	assert_null(strstr(error.text, "s3cr3t"));
	assert_int_equal(chmod(path, 0600), 0);
	NOVA_AUTOCONFIG struct nova_config *closed = sample();
	assert_int_equal(nova_config_add_file(closed, NOVA_LAYER_FILE, path, true, &error), 0);
	assert_int_equal(nova_config_finish(closed, &error), 0);
	expect_token(closed, "s3cr3t-literal");
	NOVA_AUTOJSON json_t *shown = nova_config_json(closed, "hypervisor.kvm.token");
	assert_string_equal(json_string_value(shown), "***");
	unlink(path);
}

static void a_key_that_the_keyring_does_not_hold_is_named(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config =
	        takes_setting("hypervisor.kvm.token=keyring:novacore-none");
	struct nova_error error = {0};
	assert_int_not_equal(nova_config_ready(config, "hypervisor.kvm", NULL, NULL, &error), 0);
	check_contains(error.text, "novacore-none");
	nova_log_terminal(NOVA_LOG_ERROR + 1);
	expect_token(config, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(reads_the_environment),
	        cmocka_unit_test(names_the_variable_that_is_not_set),
	        cmocka_unit_test(reads_private_files_only),
	        cmocka_unit_test(a_secret_itself_belongs_into_a_private_file),
	        cmocka_unit_test(a_key_that_the_keyring_does_not_hold_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
