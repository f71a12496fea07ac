/* SPDX-License-Identifier: MIT */
/* Texts: what libconfig would misread is refused, and every refusal names file and line. */
#include "check.h"

#include <sys/stat.h>

static void refuses_integers_that_libconfig_would_cut(void **state)
{
	(void)state;
	refuses("run = {\n samples = 17179869184;\n};", "a.conf:2: 17179869184 is too large");
	refuses("run = { samples = 2147483648; };", "a.conf:1: 2147483648 is too large");
	refuses("run = { samples = -2147483649; };", "-2147483649 is too large");
	refuses("run = { samples = 0x80000000; };", "0x80000000 is too large");
	refuses("run = { samples = 0x400000000; };", "0x400000000 is too large");
	refuses("run = { samples = 99999999999999999999L; };", "is too large");
	refuses("run = { samples = 0xFFFFFFFFFFFFFFFFL; };", "is too large");
	refuses("run = { samples = 2147483648 };", "in quotes, \"2147483648\"");
}

static void keeps_integers_of_64_bits_that_are_marked(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config =
	        takes("benchmark = { density = { count = 17179869184L; }; };");
	assert_true(nova_config_i64(config, "benchmark.density.count", 0) == INT64_C(17179869184));
	NOVA_AUTOCONFIG struct nova_config *other =
	        takes("benchmark = { density = { count = \"9007199254740993\"; }; };");
	assert_true(nova_config_i64(other, "benchmark.density.count", 0) ==
	            INT64_C(9007199254740993));
	NOVA_AUTOCONFIG struct nova_config *hexadecimal =
	        takes("benchmark = { density = { count = 0x7fffffff; }; };");
	assert_true(nova_config_i64(hexadecimal, "benchmark.density.count", 0) == INT32_MAX);
}

static void ignores_numbers_in_comments_and_texts(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config = takes(
	        "# 17179869184 @include 16GiB\n// run.samples = 2147483648\n/* @include \"x\" "
	        "\n 99999999999 */ guest = { image = \"17179869184 @include 16GiB // # \\\" "
	        "/*\"; };\nrun = { samples = 7 /*9999999999*/; }; # end without a newline");
	assert_int_equal(nova_config_i64(config, "run.samples", 0), 7);
	assert_string_equal(nova_config_text(config, "guest.image", 0),
	                    "17179869184 @include 16GiB // # \" /*");
}

static void says_what_is_wrong_with_common_mistakes(void **state)
{
	(void)state;
	refuses("\n\nvm = { big = { memory = 16GiB; }; };",
	        "a.conf:3: 16GiB is not a number; write "
	        "it in quotes: \"16GiB\"");
	refuses("run.samples = 5;", "keys have no dots in a file: write run = {");
	refuses("target \"lab\" { };", "a.conf:1: a \"=\" is missing after target");
	refuses("run = { samples = 5; samples = 6; };", "a.conf:1: this name is already set");
	refuses("run = { samples = 5; };\nrun = { warmup = 1; };",
	        "a.conf:2: this name is already");
	refuses("benchmark = { density = { concurrency = [1, \"2\"]; }; };",
	        "a.conf:1: the values of a list must all be of one type");
	refuses("run = {\n samples = ;\n};", "a.conf:2: not understood");
	refuses("run = { samples = 5;", "a.conf:");
	refuses("hypervisor = { kvm = { uri = 10.0.0.1; }; };", "10.0.0.1 is not a number");
	refuses("run = { level = 1e-1; };", "1e-1 is not a number");
	refuses("run = { level = .; };", "is not a number");
	refuses("run = { level = 1.0e400; };", "run.level: the number is too large");
	refuses("a = \"never ends", "a.conf:1: the text that starts here never ends");
	refuses("\n/* never\nends", "a.conf:2: the comment that starts here never ends");
}

static void refuses_include(void **state)
{
	(void)state;
	refuses("@include \"/etc/passwd\"\n", "a.conf:1: @include is not supported");
	refuses("run = { samples = 1; };\n  @include \"b.conf\"", "a.conf:2: @include");
}

static void refuses_bytes_that_are_not_text(void **state)
{
	(void)state;
	refuses("guest = {\n image = \"\xff\"; };", "a.conf:2: not UTF-8");
	refuses("guest = { image = \"\xc0\xaf\"; };", "not UTF-8");
	refuses("guest = { image = \"\xed\xa0\x80\"; };", "not UTF-8");
	refuses("guest = { image = \"\xe2\x82\"; };", "not UTF-8");
	refuses("guest = { image = \"a\x01\"; };", "control character 0x01");
	refuses("guest = { image = \"a\\x00b\"; };", "\\x00 cannot be part");
	NOVA_AUTOCONFIG struct nova_config *config = takes("guest = { image = \"größe-€\"; };\r\n");
	assert_string_equal(nova_config_text(config, "guest.image", 0), "größe-€");
}

static void refuses_deep_nesting_without_recursing(void **state)
{
	(void)state;
	NOVA_AUTOTEXT struct nova_text text = {0};
	for (int i = 0; i < 100000; i++)
		nova_text_add(&text, "a={");
	refuses(nova_text_get(&text), "nested deeper than 16 levels");
}

static void reads_numbers_whatever_the_locale(void **state)
{
	(void)state;
	/* nothing to see without a locale that writes 0,9; the reader must not depend on it */
	NOVA_AUTOCONFIG struct nova_config *config =
	        takes("limits = { memory_share = 0.25; }; run = { level = \"9.0e-1\"; };");
	check_double(nova_config_f64(config, "limits.memory_share", 0), 0.25);
	check_double(nova_config_f64(config, "run.level", 0), 0.9);
	assert_string_equal(nova_config_text(config, "limits.memory_share", 0), "0.25");
}

static void tells_missing_files_from_unreadable_ones(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config = nova_config_new();
	struct nova_error error = {0};
	assert_int_equal(
	        nova_config_add_file(config, NOVA_LAYER_USER, "/nonexistent/a.conf", false, &error),
	        0);
	assert_int_equal(
	        nova_config_add_file(config, NOVA_LAYER_FILE, "/nonexistent/a.conf", true, &error),
	        NOVA_E_NOT_FOUND);
	check_contains(error.text, "/nonexistent/a.conf");
	assert_int_not_equal(nova_config_add_file(config, NOVA_LAYER_USER, "/", false, &error), 0);
}

static char *write_file(const char *bytes, size_t count, mode_t mode)
{
	char *path = nova_strdup("/tmp/novacore-test-XXXXXX");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, count), (ssize_t)count);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

static void refuses_nul_bytes_in_files(void **state)
{
	(void)state;
	static const char bytes[] = "run = {\n\0samples = 5; };";
	NOVA_AUTOFREE char *path = write_file(bytes, sizeof(bytes) - 1, 0600);
	NOVA_AUTOCONFIG struct nova_config *config = nova_config_new();
	struct nova_error error = {0};
	assert_int_equal(nova_config_add_file(config, NOVA_LAYER_FILE, path, true, &error),
	                 NOVA_E_INVALID);
	check_contains(error.text, ":2: a NUL byte");
	unlink(path);
}

static void refuses_files_without_end(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config = nova_config_new();
	struct nova_error error = {0};
	assert_int_equal(nova_config_add_file(config, NOVA_LAYER_FILE, "/dev/zero", true, &error),
	                 NOVA_E_INVALID);
	check_contains(error.text, "larger than");
}

static void reads_what_a_profile_inherits(void **state)
{
	(void)state;
	struct nova_error error = {0};
	char *base = NULL;
	assert_int_equal(nova_config_inherits("p", "inherits = \"production\";", &base, &error), 0);
	assert_string_equal(base, "production");
	free(base);
	assert_int_equal(nova_config_inherits("p", "run = { samples = 5; };", &base, &error), 0);
	assert_null(base);
	assert_int_equal(nova_config_inherits("p", "inherits = 5;", &base, &error), NOVA_E_INVALID);
	check_contains(error.text, "p:1: inherits");
	refuses("inherits = \"production\";", "inherits belongs into the file of a profile");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(refuses_integers_that_libconfig_would_cut),
	        cmocka_unit_test(keeps_integers_of_64_bits_that_are_marked),
	        cmocka_unit_test(ignores_numbers_in_comments_and_texts),
	        cmocka_unit_test(says_what_is_wrong_with_common_mistakes),
	        cmocka_unit_test(refuses_include),
	        cmocka_unit_test(refuses_bytes_that_are_not_text),
	        cmocka_unit_test(refuses_deep_nesting_without_recursing),
	        cmocka_unit_test(reads_numbers_whatever_the_locale),
	        cmocka_unit_test(tells_missing_files_from_unreadable_ones),
	        cmocka_unit_test(refuses_nul_bytes_in_files),
	        cmocka_unit_test(refuses_files_without_end),
	        cmocka_unit_test(reads_what_a_profile_inherits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
