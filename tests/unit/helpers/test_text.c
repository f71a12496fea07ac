/* SPDX-License-Identifier: MIT */
/* Texts that grow, escapes, forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <novacore/helpers/text.h>

static void escapes_everything_but_unreserved(void **state)
{
	struct nova_text form = {0};

	(void)state;
	nova_form_add(&form, "name", "novacore-1.a_b~c");
	nova_form_add(&form, "input-data", "a b&c=d%+\n\xc3\xa4/:,");
	nova_form_add_number(&form, "vmid", 101);
	assert_string_equal(form.text,
	                    "name=novacore-1.a_b~c"
	                    "&input-data=a%20b%26c%3Dd%25%2B%0A%C3%A4%2F%3A%2C&vmid=101");
	assert_int_equal(form.broken, 0);
	nova_text_free(&form);
	assert_null(form.text);
	assert_string_equal(nova_text_get(&form), "");
}

static void carries_bytes_and_empty_values(void **state)
{
	struct nova_text form = {0};

	(void)state;
	nova_form_add_bytes(&form, "data", "a\0b", 3);
	nova_form_add(&form, "empty", "");
	nova_form_add_number(&form, "least", INT64_MIN);
	assert_string_equal(form.text, "data=a%00b&empty=&least=-9223372036854775808");
	nova_text_wipe(&form);
	assert_int_equal(form.used, 0);
}

static void grows_as_needed(void **state)
{
	struct nova_text text = {0};

	(void)state;
	for (int i = 0; i < 5000; i++)
		nova_text_printf(&text, "%04d", i);
	assert_int_equal(text.used, 20000);
	assert_int_equal(strlen(text.text), 20000);
	assert_memory_equal(text.text + 19996, "4999", 5);
	nova_text_free(&text);
}

static void stays_broken_once_it_is(void **state)
{
	struct nova_text text = {0};

	(void)state;
	nova_text_add(&text, "kept");
	nova_text_append(&text, "x", SIZE_MAX / 2); /* nobody has that much */
	assert_int_equal(text.broken, 1);
	nova_text_add(&text, "more");
	nova_text_printf(&text, "%d", 1);
	nova_form_add(&text, "a", "b");
	assert_string_equal(text.text, "kept");
	nova_text_free(&text);
	assert_int_equal(text.broken, 0);
}

static void escapes_xml(void **state)
{
	struct nova_text text = {0};

	(void)state;
	nova_text_escape_xml(&text, "<a b='\"'>&amp;\x01\t\r\n\xc3\xa4]]>");
	assert_string_equal(text.text,
	                    "&lt;a b=&#39;&quot;&#39;&gt;&amp;amp;?\t&#13;\n\xc3\xa4]]&gt;");
	nova_text_free(&text);
}

static void writes_no_character_that_xml_cannot_hold(void **state)
{
	static const char *const cases[][2] = {
	        {"\xf0\x9f\x98\x80 \xe2\x82\xac", "\xf0\x9f\x98\x80 \xe2\x82\xac"},
	        {"a\xff", "a?"},
	        {"a\x80z", "a?z"},
	        {"\xc3", "?"},                     /* cut off */
	        {"\xc3<", "?&lt;"},                /* and what follows is not lost */
	        {"\xc0\xbc", "??"},                /* '<' in two bytes */
	        {"\xed\xa0\x80", "???"},           /* half of a pair */
	        {"\xef\xbf\xbf", "???"},           /* U+FFFF */
	        {"\xf4\x90\x80\x80", "????"},      /* beyond Unicode */
	        {"\xf8\x88\x80\x80\x80", "?????"}, /* five bytes */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nova_text text = {0};

		nova_text_escape_xml(&text, cases[i][0]);
		assert_string_equal(text.text, cases[i][1]);
		nova_text_free(&text);
	}
}

/* RFC 4648, section 10 */
static void writes_base64(void **state)
{
	static const char *const cases[][2] = {{"", ""},
	                                       {"f", "Zg=="},
	                                       {"fo", "Zm8="},
	                                       {"foo", "Zm9v"},
	                                       {"foob", "Zm9vYg=="},
	                                       {"fooba", "Zm9vYmE="},
	                                       {"foobar", "Zm9vYmFy"},
	                                       {"\xff\xfe\xfd", "//79"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nova_text text = {0};

		nova_text_add_base64(&text, cases[i][0], strlen(cases[i][0]));
		assert_string_equal(nova_text_get(&text), cases[i][1]);
		nova_text_free(&text);
	}
}

static void makes_words_printable(void **state)
{
	struct nova_text text = {0};

	(void)state;
	nova_text_add_printable(&text, " \r\nno\tsuch\x1b[31m thing\x7f\n", 100);
	assert_string_equal(text.text, "no such [31m thing");
	nova_text_free(&text);
	nova_text_add_printable(&text, "\n \n", 100);
	assert_string_equal(nova_text_get(&text), "");
	nova_text_free(&text);
	/* not in the middle of a character of two, three or four bytes */
	nova_text_add_printable(&text, "ab\xc3\xa4z", 3);
	assert_string_equal(text.text, "ab...");
	nova_text_free(&text);
	nova_text_add_printable(&text, "a\xf0\x9f\x98\x80z", 4);
	assert_string_equal(text.text, "a...");
	nova_text_free(&text);
	nova_text_add_printable(&text, "\x80\x80\x80\x80", 2); /* no UTF-8 at all */
	assert_string_equal(text.text, "...");
	nova_text_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(escapes_everything_but_unreserved),
	        cmocka_unit_test(carries_bytes_and_empty_values),
	        cmocka_unit_test(grows_as_needed),
	        cmocka_unit_test(stays_broken_once_it_is),
	        cmocka_unit_test(escapes_xml),
	        cmocka_unit_test(writes_no_character_that_xml_cannot_hold),
	        cmocka_unit_test(writes_base64),
	        cmocka_unit_test(makes_words_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
