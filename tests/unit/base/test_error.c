/* SPDX-License-Identifier: MIT */
/* Errors: the sentence, the code, the exit status. */
#include "check.h"

#include <errno.h>

static void sets_code_and_text_and_returns_the_code(void **state)
{
	(void)state;
	struct nova_error error = {0};
	assert_int_equal(nova_error_set(&error, NOVA_E_BUSY, "%s is %d", "x", 7), NOVA_E_BUSY);
	assert_int_equal(error.code, NOVA_E_BUSY);
	assert_string_equal(error.text, "x is 7");
}

static void takes_null_for_nobody_listens(void **state)
{
	(void)state;
	errno = ENOSPC;
	assert_int_equal(nova_error_set(NULL, NOVA_E_IO, "x"), NOVA_E_IO);
	assert_int_equal(nova_error_errno(NULL, "x"), NOVA_E_FULL);
	assert_int_equal(nova_error_prefix(NULL, "x"), NOVA_E_INTERNAL);
}

static void may_quote_the_text_it_replaces(void **state)
{
	(void)state;
	struct nova_error error = {0};
	nova_error_set(&error, NOVA_E_IO, "inner");
	nova_error_set(&error, NOVA_E_FAILED, "outer: %s", error.text);
	assert_string_equal(error.text, "outer: inner");
}

static void prefixes_keep_the_code(void **state)
{
	(void)state;
	struct nova_error error = {0};
	nova_error_set(&error, NOVA_E_TIMEOUT, "no answer");
	assert_int_equal(nova_error_prefix(&error, "target %s", "lab"), NOVA_E_TIMEOUT);
	assert_string_equal(error.text, "target lab: no answer");
}

static void puts_errno_into_the_sentence(void **state)
{
	(void)state;
	struct nova_error error = {0};
	errno = EACCES;
	assert_int_equal(nova_error_errno(&error, "cannot open %s", "/dev/kvm"), NOVA_E_PERMISSION);
	assert_string_equal(error.text, "cannot open /dev/kvm: permission denied");
	assert_int_equal(errno, EACCES);
	static const struct {
		int number, code;
	} expected[] = {{ENOSPC, NOVA_E_FULL},
	                {EDQUOT, NOVA_E_FULL},
	                {ENOENT, NOVA_E_NOT_FOUND},
	                {EEXIST, NOVA_E_EXISTS},
	                {EROFS, NOVA_E_PERMISSION},
	                {EIO, NOVA_E_IO},
	                {ECONNREFUSED, NOVA_E_UNAVAILABLE},
	                {EINVAL, NOVA_E_IO},
	                {9999, NOVA_E_IO}};
	for (size_t i = 0; i < NOVA_COUNT(expected); i++) {
		errno = expected[i].number;
		assert_int_equal(nova_error_errno(&error, "x"), expected[i].code);
	}
}

static void cuts_long_text_between_characters_and_says_so(void **state)
{
	(void)state;
	struct nova_error error = {0};
	/* "ä" is two bytes: whatever the limit's parity, one of the two texts would be cut inside
	 */
	for (size_t shift = 0; shift < 2; shift++) {
		NOVA_AUTOTEXT struct nova_text text = {0};
		nova_text_add(&text, shift ? "x" : "");
		for (int i = 0; i < 2000; i++)
			nova_text_add(&text, "ä");
		nova_error_set(&error, NOVA_E_IO, "%s", nova_text_get(&text));
		size_t length = strlen(error.text);
		assert_true(length >= sizeof(error.text) - 4);
		assert_string_equal(error.text + length - 3, "…");
		assert_int_equal((length - 3 - shift) % 2, 0);
		NOVA_AUTOFREE char *repaired = nova_strdup(error.text);
		nova_utf8_repair(repaired);
		assert_string_equal(repaired, error.text);
	}
}

static void keeps_text_that_just_fits(void **state)
{
	(void)state;
	struct nova_error error = {0};
	NOVA_AUTOFREE char *text = nova_alloc(sizeof(error.text));
	memset(text, 'x', sizeof(error.text) - 1);
	nova_error_set(&error, NOVA_E_IO, "%s", text);
	assert_string_equal(error.text, text);
}

static void every_code_has_its_word_and_a_failing_exit(void **state)
{
	(void)state;
	for (int code = -1; code >= NOVA_E_INTERRUPTED; code--) {
		assert_string_not_equal(nova_code_name(code), "unknown");
		assert_in_set((unsigned long)nova_code_exit(code),
		              ((unsigned long[]){2, 3, 4, 5, 130}), 5);
		for (int other = code + 1; other <= 0; other++)
			assert_string_not_equal(nova_code_name(code), nova_code_name(other));
	}
	assert_string_equal(nova_code_name(NOVA_E_INVALID), "invalid");
	assert_string_equal(nova_code_name(-12345), "unknown");
	assert_int_equal(nova_code_exit(0), 0);
	assert_int_equal(nova_code_exit(NOVA_E_INVALID), 2);
	assert_int_equal(nova_code_exit(NOVA_E_UNSUPPORTED), 3);
	assert_int_equal(nova_code_exit(NOVA_E_FULL), 4);
	assert_int_equal(nova_code_exit(NOVA_E_REFUSED), 5);
	assert_int_equal(nova_code_exit(NOVA_E_INTERRUPTED), 130);
	assert_int_equal(nova_code_exit(-12345), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(sets_code_and_text_and_returns_the_code),
	        cmocka_unit_test(takes_null_for_nobody_listens),
	        cmocka_unit_test(may_quote_the_text_it_replaces),
	        cmocka_unit_test(prefixes_keep_the_code),
	        cmocka_unit_test(puts_errno_into_the_sentence),
	        cmocka_unit_test(cuts_long_text_between_characters_and_says_so),
	        cmocka_unit_test(keeps_text_that_just_fits),
	        cmocka_unit_test(every_code_has_its_word_and_a_failing_exit),
	};
	return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
