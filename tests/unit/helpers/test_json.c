/* SPDX-License-Identifier: MIT */
/* JSON from elsewhere: what is refused, and that accessors take anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <novacore/helpers/json.h>

static json_t *parse(const char *text)
{
	char why[200] = "";
	json_t *value = nova_json_parse(text, strlen(text), why, sizeof(why));

	if (!value)
		fail_msg("'%s': %s", text, why);
	return value;
}

static void refuses_what_is_no_json(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
	        {"", "empty"},
	        {"<html>Welcome</html>", "line 1"},
	        {"{\"a\":1", "line 1"},
	        {"{\"a\":1,}", "line 1"},
	        {"{\"a\":1}\n{\"b\":2}", "line 2"},
	        {"{\"a\":1,\"a\":2}", "twice"},
	        {"[1e999]", "line 1"},
	        {"[99999999999999999999]", "line 1"},
	        {"[NaN]", "line 1"},
	        {"[\"\xff\"]", "line 1"},
	        {"[\"\\u0000\"]", "line 1"},
	        {"[\"\\ud800\"]", "line 1"},
	        {"[\"line\nbreak\"]", "line 1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char why[200] = "";

		assert_null(
		        nova_json_parse(cases[i].text, strlen(cases[i].text), why, sizeof(why)));
		if (strncmp(why, "no JSON: ", 9) != 0 || !strstr(why, cases[i].why))
			fail_msg("'%s' is refused by '%s'", cases[i].text, why);
		assert_null(strstr(why, "Welcome"));
	}
	assert_null(nova_json_parse("x", 1, NULL, 0));
	assert_null(nova_json_parse(NULL, 0, NULL, 0));
}

static char *nested(size_t depth, const char *open, const char *close)
{
	char *text = calloc(depth * 2 + 1, 8);

	assert_non_null(text);
	for (size_t i = 0; i < depth; i++)
		strcat(text, open);
	strcat(text, "1");
	for (size_t i = 0; i < depth; i++)
		strcat(text, close);
	return text;
}

static void refuses_deep_nesting(void **state)
{
	char why[200] = "";
	char *good = nested(NOVA_JSON_DEPTH, "[", "]");
	char *deep = nested(NOVA_JSON_DEPTH + 1, "[", "]");
	char *objects = nested(NOVA_JSON_DEPTH + 1, "{\"a\":", "}");
	json_t *value = nova_json_parse(good, strlen(good), why, sizeof(why));

	(void)state;
	assert_non_null(value);
	json_decref(value);
	assert_null(nova_json_parse(deep, strlen(deep), why, sizeof(why)));
	assert_non_null(strstr(why, "deeper than 64"));
	assert_null(nova_json_parse(objects, strlen(objects), why, sizeof(why)));
	/* brackets in a text nest nothing, also behind an escaped quote */
	memset(deep, '[', NOVA_JSON_DEPTH * 2);
	memcpy(deep, "[\"\\\"", 4);
	memcpy(deep + NOVA_JSON_DEPTH * 2 + 1, "\"]", 2);
	value = nova_json_parse(deep, strlen(deep), why, sizeof(why));
	assert_non_null(value);
	json_decref(value);
	free(good);
	free(deep);
	free(objects);
}

static void follows_paths(void **state)
{
	json_t *value = parse("{\"data\":[{\"vmid\":100},{\"vmid\":101,\"name\":\"a\"}],"
	                      "\"meta\":{\"kubevirt.io/vm\":\"x\",\"\":{\"y\":1}},\"a\":[[7]]}");

	(void)state;
	assert_int_equal(nova_json_number(value, "data[1].vmid", -1), 101);
	assert_string_equal(nova_json_text(value, "data[1].name", "?"), "a");
	assert_string_equal(nova_json_text(value, "meta[\"kubevirt.io/vm\"]", "?"), "x");
	assert_int_equal(nova_json_number(value, "meta[\"\"].y", -1), 1);
	assert_int_equal(nova_json_number(value, "a[0][0]", -1), 7);
	assert_ptr_equal(nova_json_at(value, ""), value);
	assert_int_equal(nova_json_count(value, "data"), 2);
	assert_int_equal(nova_json_count(value, "meta"), 2);
	assert_int_equal(nova_json_count(value, "data[0].vmid"), 0);
	json_decref(value);
}

static void takes_any_path_and_any_value(void **state)
{
	static const char *const paths[] = {"x",
	                                    "data.x",
	                                    "data[2]",
	                                    "data[99999999999999999999999]",
	                                    "data[-1]",
	                                    "data[",
	                                    "data[]",
	                                    "data[x]",
	                                    "[\"",
	                                    "[\"data\"",
	                                    ".",
	                                    "data[0]x[",
	                                    "..",
	                                    "data[0].vmid.x",
	                                    "data[0].vmid[0]",
	                                    "[0]",
	                                    "data[\"0\"]"};
	json_t *value = parse("{\"data\":[{\"vmid\":100},null]}");

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (nova_json_at(value, paths[i]))
			fail_msg("there is something at '%s'", paths[i]);
		assert_null(nova_json_at(NULL, paths[i]));
		assert_int_equal(nova_json_number(value, paths[i], 7), 7);
	}
	assert_string_equal(nova_json_text(NULL, "a", "fallback"), "fallback");
	assert_null(nova_json_text(value, "data", NULL));
	assert_int_equal(nova_json_flag(value, "data[1]", 5), 5);
	json_decref(value);
}

static void reads_numbers_however_they_are_sent(void **state)
{
	json_t *value = parse("{\"i\":42,\"t\":\"42\",\"neg\":\"-7\",\"b\":true,\"whole\":3.0,"
	                      "\"half\":0.5,\"huge\":1e300,\"edge\":9223372036854775808.0,"
	                      "\"junk\":\"42x\",\"blank\":\" 42\",\"plus\":\"+1\",\"none\":\"\","
	                      "\"long\":\"99999999999999999999\",\"nul\":null,\"minus\":\"-\","
	                      "\"least\":\"-9223372036854775808\"}");
	static const char *const wrong[] = {"half", "huge", "edge", "junk", "blank",
	                                    "plus", "none", "long", "nul",  "minus"};

	(void)state;
	assert_int_equal(nova_json_number(value, "i", 0), 42);
	assert_int_equal(nova_json_number(value, "t", 0), 42);
	assert_int_equal(nova_json_number(value, "neg", 0), -7);
	assert_int_equal(nova_json_number(value, "b", 0), 1);
	assert_int_equal(nova_json_number(value, "whole", 0), 3);
	assert_true(nova_json_number(value, "least", 0) == INT64_MIN);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (nova_json_number(value, wrong[i], -1) != -1)
			fail_msg("'%s' is a number", wrong[i]);
	}
	json_decref(value);
}

static void reads_reals_and_flags(void **state)
{
	json_t *value = parse("{\"r\":0.25,\"i\":2,\"t\":\"1.5e3\",\"nan\":\"NaN\","
	                      "\"inf\":\"Infinity\",\"minf\":\"-Infinity\",\"junk\":\"1.5x\","
	                      "\"list\":\"[1]\",\"yes\":true,\"one\":1,\"two\":2,\"no\":\"false\","
	                      "\"zero\":\"0\"}");

	(void)state;
	assert_true(nova_json_real(value, "r", 0) == 0.25);
	assert_true(nova_json_real(value, "i", 0) == 2.0);
	assert_true(nova_json_real(value, "t", 0) == 1500.0);
	assert_true(isnan(nova_json_real(value, "nan", 0)));
	assert_true(nova_json_real(value, "inf", 0) > 1e308);
	assert_true(nova_json_real(value, "minf", 0) < -1e308);
	assert_true(nova_json_real(value, "junk", -1) == -1);
	assert_true(nova_json_real(value, "list", -1) == -1);
	assert_true(nova_json_real(value, "yes", -1) == -1);
	assert_int_equal(nova_json_flag(value, "yes", -1), 1);
	assert_int_equal(nova_json_flag(value, "one", -1), 1);
	assert_int_equal(nova_json_flag(value, "two", -1), -1);
	assert_int_equal(nova_json_flag(value, "no", -1), 0);
	assert_int_equal(nova_json_flag(value, "zero", -1), 0);
	assert_int_equal(nova_json_flag(value, "list", -1), -1);
	json_decref(value);
}

static void says_what_is_not_as_it_must_be(void **state)
{
	json_t *value = parse("{\"data\":[{\"vmid\":100,\"name\":\"a\"},{\"vmid\":\"x\"},"
	                      "{\"vmid\":1.5}]}");
	struct nova_json_reader reader = {.value = value};

	(void)state;
	assert_string_equal(nova_json_need_text(&reader, "data[%d].name", 0), "a");
	assert_int_equal(nova_json_need_number(&reader, "data[%d].vmid", 0), 100);
	assert_non_null(nova_json_need_array(&reader, "data"));
	assert_non_null(nova_json_need_object(&reader, "data[0]"));
	assert_string_equal(reader.error, "");
	assert_string_equal(nova_json_need_text(&reader, "data[%d].name", 1), "");
	assert_string_equal(reader.error, "data[1].name is missing");
	/* the first is kept, and nothing is read any more */
	assert_int_equal(nova_json_need_number(&reader, "data[0].vmid"), 0);
	assert_null(nova_json_need_array(&reader, "none"));
	assert_string_equal(reader.error, "data[1].name is missing");

	reader.error[0] = '\0';
	nova_json_need_number(&reader, "data[1].vmid");
	assert_string_equal(reader.error, "data[1].vmid is a text, not a number");
	reader.error[0] = '\0';
	nova_json_need_number(&reader, "data[2].vmid");
	assert_string_equal(reader.error, "data[2].vmid is not a whole number of at most 64 bits");
	reader.error[0] = '\0';
	assert_null(nova_json_need_object(&reader, "data"));
	assert_string_equal(reader.error, "data is an array, not an object");
	reader = (struct nova_json_reader){0};
	nova_json_need_text(&reader, "%s", "");
	assert_string_equal(reader.error, "it is missing");
	reader = (struct nova_json_reader){.value = value};
	nova_json_need_text(&reader, "%0300d", 1);
	assert_non_null(strstr(reader.error, "too long"));
	json_decref(value);
}

static void writes_what_it_read(void **state)
{
	static const char text[] = "{\"a\":[1,\"x\\\"y\",null,true]}";
	json_t *value = parse(text);
	struct nova_text out = {0};

	(void)state;
	nova_json_write(&out, value);
	assert_string_equal(out.text, text);
	nova_text_free(&out);
	json_decref(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(refuses_what_is_no_json),
	        cmocka_unit_test(refuses_deep_nesting),
	        cmocka_unit_test(follows_paths),
	        cmocka_unit_test(takes_any_path_and_any_value),
	        cmocka_unit_test(reads_numbers_however_they_are_sent),
	        cmocka_unit_test(reads_reals_and_flags),
	        cmocka_unit_test(says_what_is_not_as_it_must_be),
	        cmocka_unit_test(writes_what_it_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
