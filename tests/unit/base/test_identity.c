/* SPDX-License-Identifier: MIT */
/* Time, UUIDs, digests, canonical JSON, seeds. */
#include "check.h"

static void formats_utc_with_milliseconds(void **state)
{
	(void)state;
	char text[32];
	nova_utc_format(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
	nova_utc_format(INT64_C(1795174756123999999), text);
	assert_string_equal(text, "2026-11-20T11:39:16.123Z");
	nova_utc_format(-1, text);
	assert_string_equal(text, "1969-12-31T23:59:59.999Z");
	nova_utc_format(INT64_MAX, text);
	assert_string_equal(text, "2262-04-11T23:47:16.854Z");
	nova_utc_format(INT64_MIN, text);
	assert_string_equal(text, "1677-09-21T00:12:43.145Z");
}

static void clocks_go_on(void **state)
{
	(void)state;
	int64_t before = nova_now_ns();
	assert_true(before > 0);
	assert_true(nova_now_ns() >= before);
	assert_true(nova_utc_ns() > INT64_C(1700000000) * NOVA_SECOND_NS);
}

static void uuids_have_version_and_variant_and_the_time(void **state)
{
	(void)state;
	char uuid[37];
	int64_t before = nova_utc_ns() / 1000000;
	nova_uuid7(uuid);
	int64_t after = nova_utc_ns() / 1000000;
	assert_int_equal(strlen(uuid), 36);
	assert_int_equal(strspn(uuid, "0123456789abcdef-"), 36);
	static const size_t hyphens[] = {8, 13, 18, 23};
	for (size_t i = 0; i < NOVA_COUNT(hyphens); i++)
		assert_int_equal(uuid[hyphens[i]], '-');
	assert_int_equal(uuid[14], '7');
	assert_non_null(strchr("89ab", uuid[19]));
	char stamp[13] = {0};
	memcpy(stamp, uuid, 8);
	memcpy(stamp + 8, uuid + 9, 4);
	int64_t stamped = strtoll(stamp, NULL, 16);
	assert_true(stamped >= before && stamped <= after);
}

static void uuids_of_one_process_sort_by_age(void **state)
{
	(void)state;
	char last[37], next[37];
	nova_uuid7(last);
	for (int i = 0; i < 20000; i++) {
		nova_uuid7(next);
		assert_true(strcmp(last, next) < 0);
		memcpy(last, next, sizeof(last));
	}
}

static void digests_match_published_vectors(void **state)
{
	/* FIPS 180-2, appendix B */
	static const char abc[] =
	        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	static const char empty[] =
	        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	char hex[65];
	nova_sha256("abc", 3, hex);
	assert_string_equal(hex, abc);
	nova_sha256(NULL, 0, hex);
	assert_string_equal(hex, empty);

	NOVA_AUTOFREE char *path = nova_format("%s/file", (char *)*state);
	struct nova_error error = {0};
	assert_int_equal(nova_file_write(path, "abc", 3, 0600, NULL), 0);
	assert_int_equal(nova_sha256_file(path, hex, &error), 0);
	assert_string_equal(hex, abc);
	NOVA_AUTOFREE char *large = nova_alloc(200000);
	char expected[65];
	nova_sha256(large, 200000, expected);
	assert_int_equal(nova_file_write(path, large, 200000, 0600, NULL), 0);
	assert_int_equal(nova_sha256_file(path, hex, &error), 0);
	assert_string_equal(hex, expected);
	assert_int_equal(nova_sha256_file("/no/such", hex, &error), NOVA_E_NOT_FOUND);
	assert_contains(error.text, "/no/such");
	assert_true(nova_sha256_file(*state, hex, &error) < 0);
	assert_contains(error.text, *state);
}

static void equal_json_has_equal_bytes(void **state)
{
	(void)state;
	NOVA_AUTOJSON json_t *one =
	        json_loads("{\"b\": [1, 2.5, null], \"a\": {\"y\": true, \"x\": \"ü\"}}", 0, NULL);
	NOVA_AUTOJSON json_t *two =
	        json_loads(" {\"a\":{\"x\":\"ü\",\"y\":true},\"b\":[1,2.50,null]}", 0, NULL);
	NOVA_AUTOFREE char *first = nova_json_canonical(one);
	NOVA_AUTOFREE char *second = nova_json_canonical(two);
	assert_string_equal(first, "{\"a\":{\"x\":\"ü\",\"y\":true},\"b\":[1,2.5,null]}");
	assert_string_equal(first, second);
}

static void canonical_reals_lose_nothing(void **state)
{
	(void)state;
	const double reals[] = {
	        0.1, 1.0 / 3, 1e300, 5e-324, 1.7976931348623157e308, 123456789.123456789};
	for (size_t i = 0; i < NOVA_COUNT(reals); i++) {
		NOVA_AUTOJSON json_t *json = json_real(reals[i]);
		NOVA_AUTOFREE char *text = nova_json_canonical(json);
		NOVA_AUTOJSON json_t *back = json_loads(text, JSON_DECODE_ANY, NULL);
		double value = json_real_value(back);
		assert_memory_equal(&value, &reals[i], sizeof(value));
	}
	NOVA_AUTOFREE char *nothing = nova_json_canonical(NULL);
	assert_string_equal(nothing, "null");
}

static void seeds_differ_by_seed_and_by_stream(void **state)
{
	(void)state;
	assert_int_equal(nova_seed_derive(7, 3), nova_seed_derive(7, 3));
	uint64_t seen[400];
	size_t count = 0;
	const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);
	for (uint64_t seed = 0; seed < 20; seed++)
		for (uint64_t stream = 0; stream < 20; stream++) {
			/* seeds that are the generator's own step apart must not share streams */
			uint64_t derived = nova_seed_derive(seed * golden, stream);
			for (size_t i = 0; i < count; i++)
				assert_true(seen[i] != derived);
			seen[count++] = derived;
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(formats_utc_with_milliseconds),
	        cmocka_unit_test(clocks_go_on),
	        cmocka_unit_test(uuids_have_version_and_variant_and_the_time),
	        cmocka_unit_test(uuids_of_one_process_sort_by_age),
	        cmocka_unit_test_setup_teardown(digests_match_published_vectors, make_directory,
	                                        remove_directory),
	        cmocka_unit_test(equal_json_has_equal_bytes),
	        cmocka_unit_test(canonical_reals_lose_nothing),
	        cmocka_unit_test(seeds_differ_by_seed_and_by_stream),
	};
	return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
