/* SPDX-License-Identifier: MIT */
/* Text that grows, names, nearest words, UTF-8. */
#include "check.h"

static void fresh_memory_is_zero_even_for_nothing(void **state)
{
	(void)state;
	NOVA_AUTOFREE char *some = nova_alloc(100);
	for (int i = 0; i < 100; i++)
		assert_int_equal(some[i], 0);
	NOVA_AUTOFREE void *none = nova_alloc(0);
	assert_non_null(none);
	assert_null(nova_strdup(NULL));
}

static void an_array_grows_and_keeps_its_elements(void **state)
{
	(void)state;
	NOVA_AUTOFREE int *numbers = NULL;
	for (size_t count = 0; count < 1000; count++) {
		numbers = nova_grow(numbers, count, sizeof(*numbers));
		numbers[count] = (int)count * 3;
	}
	for (int i = 0; i < 1000; i++)
		assert_int_equal(numbers[i], 3 * i);
}

static void text_grows_by_pieces_formats_and_bytes(void **state)
{
	(void)state;
	struct nova_text text = {0};
	assert_string_equal(nova_text_get(&text), "");
	nova_text_add(&text, "one");
	nova_text_addf(&text, " %d %s", 2, "three");
	nova_text_add_bytes(&text, "\0four", 5);
	assert_int_equal(text.length, 16);
	assert_memory_equal(text.data, "one 2 three\0four", 17);
	for (int i = 0; i < 10000; i++)
		nova_text_add(&text, "x");
	assert_int_equal(text.length, 10016);
	assert_int_equal(text.data[10016], 0);
	nova_text_free(&text);
	assert_null(text.data);
	nova_text_add_bytes(&text, NULL, 0);
	assert_string_equal(text.data, "");
	nova_text_free(&text);
}

static const char *const keys[] = {
        "lifecycle", "accel", "hypervisor.kvm.accel", "hypervisor.kvm.uri", "run.budget",
        "vcpus",     NULL};

static void suggests_the_nearest_key(void **state)
{
	(void)state;
	assert_string_equal(nova_nearest("lifecyle", keys), "lifecycle");
	assert_string_equal(nova_nearest("hypervisor.kvm.acel", keys), "hypervisor.kvm.accel");
	assert_string_equal(nova_nearest("run.bugdet", keys), "run.budget"); /* swapped: one edit */
	assert_string_equal(nova_nearest("vcpu", keys), "vcpus");
	assert_string_equal(nova_nearest("accel", keys), "accel");
}

static void suggests_nothing_for_something_else(void **state)
{
	(void)state;
	assert_null(nova_nearest("wallpaper", keys));
	assert_null(nova_nearest("x", keys));
	assert_null(nova_nearest("", keys));
	assert_null(nova_nearest("ab", (const char *const[]){"xy", "q", NULL}));
	assert_null(nova_nearest("accel", (const char *const[]){NULL}));
	assert_null(nova_nearest("accel", NULL));
}

static void accepts_only_the_form_of_names(void **state)
{
	(void)state;
	static const char *const good[] = {"kvm", "a", "9p", "ml-training", "a-", "x86-64"};
	static const char *const bad[] = {"",    "-a", "KVM", "a_b", "a.b",
	                                  "a/b", "ä",  " a",  "a\n", "../x"};
	for (size_t i = 0; i < NOVA_COUNT(good); i++)
		assert_true(nova_name_valid(good[i]));
	for (size_t i = 0; i < NOVA_COUNT(bad); i++)
		assert_false(nova_name_valid(bad[i]));
	assert_false(nova_name_valid(NULL));
	char longest[66] = {0};
	memset(longest, 'a', 64);
	assert_true(nova_name_valid(longest));
	longest[64] = 'a';
	assert_false(nova_name_valid(longest));
}

static void finds_the_host_of_a_uri(void **state)
{
	static const struct {
		const char *uri, *host;
	} all[] = {{"https://host:8006/api", "host:8006"},
	           {"qemu+ssh://user:pass@host/system", "host"},
	           {"sim://user@x@[::1]:9?query", "[::1]:9"},
	           {"https://host#part@no", "host"},
	           {"qemu:///system", NULL},
	           {"sim://user@/", NULL},
	           {"embed", NULL},
	           {"", NULL},
	           {NULL, NULL}};

	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(all); i++) {
		NOVA_AUTOFREE char *host = nova_uri_host(all[i].uri);

		if (all[i].host)
			assert_string_equal(host, all[i].host);
		else
			assert_null(host);
	}
}

static void counts_terminal_columns(void **state)
{
	(void)state;
	assert_int_equal(nova_columns(""), 0);
	assert_int_equal(nova_columns("plain"), 5);
	assert_int_equal(nova_columns("±5 µs"), 5);
	assert_int_equal(nova_columns("日本"), 4);
	assert_int_equal(nova_columns("e\xcc\x81"), 1); /* combining accent */
	assert_int_equal(nova_columns("\033[1;32mpass\033[0m"), 4);
	assert_int_equal(nova_columns("\xff\xfe"), 2);
	assert_int_equal(nova_columns("x\033["), 1);
}

static void repairs_what_is_not_utf8(void **state)
{
	(void)state;
	static const struct {
		const char *broken, *repaired;
	} texts[] = {
	        {"good ü € 😀", "good ü € 😀"}, {"\xff", "?"},   {"\xc0\xaf", "??"}, /* overlong */
	        {"\xe0\x80\xaf", "???"},                                           /* overlong */
	        {"\xed\xa0\x80", "???"},                                           /* surrogate */
	        {"\xf4\x90\x80\x80", "????"}, /* beyond U+10FFFF */
	        {"cut \xe2\x82", "cut ??"},   {"\x80x", "?x"},
	};
	for (size_t i = 0; i < NOVA_COUNT(texts); i++) {
		NOVA_AUTOFREE char *text = nova_strdup(texts[i].broken);
		nova_utf8_repair(text);
		assert_string_equal(text, texts[i].repaired);
		NOVA_AUTOJSON json_t *json = json_string(text);
		assert_non_null(json);
	}
	nova_utf8_repair(NULL);
}

static void takes_out_what_a_terminal_would_obey(void **state)
{
	static const struct {
		const char *dirty, *clean;
	} texts[] = {
	        {"plain: tab\tand\nnewline, ü, €, 🙂",
	         "plain: tab\tand\nnewline, ü, €, 🙂"},
	        {"\033[2Jx\007", "?[2Jx?"},
	        {"back\rto\bfront\177", "back?to?front?"},
	        {"\302\23331m", "??31m"},                     /* U+009B, CSI */
	        {"a\342\200\256b\342\201\246c", "a???b???c"}, /* U+202E, U+2066 */
	        {"\377\302", "??"},
	        {"\342\200\224", "\342\200\224"}, /* U+2014, near to what is taken out */
	        {"", ""},
	};

	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(texts); i++) {
		NOVA_AUTOFREE char *text = nova_strdup(texts[i].dirty);
		nova_text_clean(text);
		assert_string_equal(text, texts[i].clean);
		assert_int_equal(nova_text_is_dirty(texts[i].dirty),
		                 strcmp(texts[i].dirty, texts[i].clean) != 0);
		assert_false(nova_text_is_dirty(text));
	}
	nova_text_clean(NULL);
	assert_false(nova_text_is_dirty(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(fresh_memory_is_zero_even_for_nothing),
	        cmocka_unit_test(an_array_grows_and_keeps_its_elements),
	        cmocka_unit_test(text_grows_by_pieces_formats_and_bytes),
	        cmocka_unit_test(suggests_the_nearest_key),
	        cmocka_unit_test(suggests_nothing_for_something_else),
	        cmocka_unit_test(accepts_only_the_form_of_names),
	        cmocka_unit_test(finds_the_host_of_a_uri),
	        cmocka_unit_test(counts_terminal_columns),
	        cmocka_unit_test(repairs_what_is_not_utf8),
	        cmocka_unit_test(takes_out_what_a_terminal_would_obey),
	};
	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
