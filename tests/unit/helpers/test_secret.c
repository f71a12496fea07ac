/* SPDX-License-Identifier: MIT */
/* No secret is left in a text, however a peer has written it; and what is none stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <novacore/helpers/secret.h>
#include <novacore/helpers/text.h>
#include <novacore/types.h>

#define SECRET "s3/cr+t \"k&y<\xc3\xa4"

static void expect(const struct nova_secrets *secrets, const char *before, const char *after)
{
	char text[600];

	snprintf(text, sizeof(text), "%s", before);
	nova_secrets_hide(secrets, text);
	if (strcmp(text, after) != 0)
		fail_msg("'%s' became '%s', not '%s'", before, text, after);
}

static struct nova_secrets *with(const char *first, const char *second)
{
	struct nova_secrets *secrets = nova_secrets_new();

	assert_non_null(secrets);
	assert_int_equal(nova_secrets_add(secrets, first), NOVA_DONE);
	assert_int_equal(nova_secrets_add(secrets, second), NOVA_DONE);
	return secrets;
}

static void hides_it_as_it_is(void **state)
{
	struct nova_secrets *secrets = with("hunter22", NULL);

	(void)state;
	expect(secrets, "you sent hunter22!", "you sent ****!");
	expect(secrets, "hunter22hunter22", "********");
	expect(secrets, "hunter22", "****");
	expect(secrets, "hhunter22", "h****");
	expect(secrets, "hunter2 hunter223", "hunter2 ****3");
	expect(secrets, "Hunter22 is another", "Hunter22 is another");
	expect(secrets, "", "");
	nova_secrets_free(secrets);
}

static void hides_each_writing(void **state)
{
	static const char *const writings[] = {
	        SECRET,
	        "s3%2Fcr%2Bt%20%22k%26y%3C%C3%A4",
	        "s3%2fcr%2bt%20%22k%26y%3c%c3%a4",
	        "s3/cr%2Bt+%22k%26y%3C\xc3\xa4", /* a form, partly */
	        "s3\\/cr+t \\\"k&y<\xc3\xa4",    /* JSON */
	        "s3\\u002fcr+t \\u0022k\\u0026y\\u003C\xc3\xa4",
	        "s3/cr+t &quot;k&amp;y&lt;\xc3\xa4", /* XML */
	        "s3/cr+t &#34;k&#x26;y&#60;\xc3\xa4",
	};
	struct nova_secrets *secrets = with(SECRET, "");
	char before[300];

	(void)state;
	for (size_t i = 0; i < sizeof(writings) / sizeof(writings[0]); i++) {
		snprintf(before, sizeof(before), "<%s>", writings[i]);
		expect(secrets, before, "<****>");
	}
	nova_secrets_free(secrets);
}

/* As it is, it must be found also where it could be read as an escape of something else. */
static void hides_a_secret_that_looks_escaped(void **state)
{
	struct nova_secrets *secrets = with("a%41&#38;\\\\u0041&amp;b", NULL);

	(void)state;
	expect(secrets, "<a%41&#38;\\\\u0041&amp;b>", "<****>");
	expect(secrets, "<a%2541%26%2338%3B%5C%5Cu0041%26amp%3Bb>", "<****>");
	expect(secrets, "<a%41&#38;\\\\\\\\u0041&amp;b>", "<****>");
	expect(secrets, "<a%41&amp;#38;\\\\u0041&amp;amp;b>", "<****>");
	nova_secrets_free(secrets);
}

/* At each distance from the beginning of what was encoded, and whatever follows. */
static void hides_it_in_base64(void **state)
{
	static const char *const around[][2] = {{"", ""},        {"u:", ""},      {"us:", ""},
	                                        {"user:", "x"},  {"u:", "xyz"},   {"us:", "xy"},
	                                        {"?\?>", ">>>"}, {"a?\?>", ">>>"}};
	struct nova_secrets *secrets = with("correct horse battery", NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
		struct nova_text plain = {0};
		struct nova_text coded = {0};
		size_t length;

		nova_text_printf(&plain, "%scorrect horse battery%s", around[i][0], around[i][1]);
		nova_text_add_base64(&coded, plain.text, plain.used);
		for (char *at = coded.text; i % 2 && *at; at++)
			*at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
		length = coded.used;
		nova_secrets_hide(secrets, coded.text);
		/* 21 bytes are 26 to 28 digits that depend on nothing else */
		if (!strstr(coded.text, "****") || strlen(coded.text) > length - 22)
			fail_msg("'%s' is left of '%s'", coded.text, plain.text);
		nova_text_free(&plain);
		nova_text_free(&coded);
	}
	nova_secrets_free(secrets);
}

static void hides_what_is_cut_off(void **state)
{
	struct nova_secrets *secrets = with("abcdefghijklmnop", "x y z 1 2 3");

	(void)state;
	expect(secrets, "said abcdefghij", "said ****");
	expect(secrets, "said abcdef", "said ****");
	expect(secrets, "said abcde", "said abcde"); /* that little may be anything */
	expect(secrets, "said abcdefghij!", "said abcdefghij!");
	expect(secrets, "x%20y%20z%201%2", "****");
	nova_secrets_free(secrets);
}

static void hides_the_longest_of_several(void **state)
{
	struct nova_secrets *secrets = with("abcdef", "abcdefghi");

	(void)state;
	assert_int_equal(nova_secrets_add(secrets, "abcdef"), NOVA_DONE);
	expect(secrets, "1 abcdefghi 2 abcdef 3", "1 **** 2 **** 3");
	nova_secrets_free(secrets);
	secrets = with("abcdefghi", "abcdef"); /* in whatever order they came */
	expect(secrets, "1 abcdefghi 2 abcdef 3", "1 **** 2 **** 3");
	nova_secrets_free(secrets);
}

static void is_a_short_secret_too(void **state)
{
	struct nova_secrets *secrets = with("ab", NULL);

	(void)state;
	expect(secrets, "a b ab abc", "a b ** **c");
	nova_secrets_free(secrets);
}

static void takes_nothing_else(void **state)
{
	struct nova_secrets *secrets = with(SECRET, "0123456789");
	struct nova_secrets *none = with("", NULL);
	static const char text[] = "100% of \\ and \\u00 &#; &#x; &# %2 %zz \\u12 &amp %";

	(void)state;
	expect(secrets, text, text);
	expect(none, "anything", "anything");
	expect(NULL, "anything", "anything");
	nova_secrets_hide(secrets, NULL);
	nova_secrets_free(secrets);
	nova_secrets_free(none);
	nova_secrets_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(hides_it_as_it_is),
	        cmocka_unit_test(hides_each_writing),
	        cmocka_unit_test(hides_a_secret_that_looks_escaped),
	        cmocka_unit_test(hides_it_in_base64),
	        cmocka_unit_test(hides_what_is_cut_off),
	        cmocka_unit_test(hides_the_longest_of_several),
	        cmocka_unit_test(is_a_short_secret_too),
	        cmocka_unit_test(takes_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
