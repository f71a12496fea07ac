/* SPDX-License-Identifier: MIT */
/* What a descriptor may be: each rule of the SDK, broken once. */
#include "check.h"

static void assert_described(const struct fake *fake, enum nova_describe_result result,
                             const char *says)
{
	char text[512];
	config_t config;

	config_init(&config);
	enum nova_describe_result got =
	        nova_describe(&fake->plugin, config_root_setting(&config), text, sizeof(text));
	config_destroy(&config);
	if (got != result)
		fail_msg("%d instead of %d (%s): %s", got, result, says, text);
	assert_contains(text, says);
}

#define BROKEN(statement, result, says)                                                            \
	do {                                                                                       \
		struct fake fake;                                                                  \
		fake_make(&fake);                                                                  \
		statement;                                                                         \
		assert_described(&fake, NOVA_DESCRIBE_##result, says);                             \
	} while (0)

static void accepts_a_whole_one(void **state)
{
	(void)state;
	BROKEN((void)0, DONE, "");
}

static void refuses_null(void **state)
{
	char text[512];
	config_t config;

	(void)state;
	config_init(&config);
	assert_int_equal(nova_describe(NULL, config_root_setting(&config), text, sizeof(text)),
	                 NOVA_DESCRIBE_NULL);
	config_destroy(&config);
	BROKEN(fake.plugin.name = NULL, NULL, "lacks name");
	BROKEN(fake.plugin.version = NULL, NULL, "version");
	BROKEN(fake.plugin.ops = NULL, NULL, "has no ops");
	BROKEN(fake.benchmark.create = NULL, NULL, "`create`");
	BROKEN(fake.benchmark.replicate = NULL, NULL, "`replicate`");
	BROKEN(fake.benchmark.destroy = NULL, NULL, "`destroy`");
	BROKEN(fake.benchmark.metrics = NULL, NULL, "no metric");
	BROKEN(fake.metric_list[0] = NULL, NULL, "no metric");
	BROKEN(fake.metrics[1].doc = NULL, NULL, "fake.rate.peak");
	BROKEN(fake.parameters[0].name = NULL, NULL, "has no name");
	BROKEN(fake.parameters[0].doc = NULL, NULL, "pause");
}

static void refuses_lying_sizes(void **state)
{
	(void)state;
	BROKEN(fake.plugin.struct_size = 0, SIZE, "the descriptor says struct_size = 0");
	BROKEN(fake.plugin.struct_size--, SIZE, "the descriptor");
	BROKEN(fake.plugin.struct_size = UINT32_MAX, SIZE, "4294967295");
	BROKEN(fake.benchmark.struct_size = 4, SIZE, "the ops struct");
	BROKEN(fake.metrics[0].struct_size = 1, SIZE, "a metric");
	BROKEN(fake.parameters[1].struct_size = 1, SIZE, "a parameter");
}

static void accepts_what_is_longer(void **state)
{
	(void)state;
	BROKEN(fake.plugin.struct_size += 8; fake.benchmark.struct_size += 64;
	       fake.metrics[0].struct_size += 4, DONE, "");
}

static void refuses_what_the_sdk_does_not_allow(void **state)
{
	(void)state;
	BROKEN(fake.plugin.name = "Fake", WRONG, "`Fake`");
	BROKEN(fake.plugin.name = "", WRONG, "``");
	BROKEN(fake.plugin.kind = 0, WRONG, "unknown kind 0");
	BROKEN(fake.plugin.kind = 5, WRONG, "unknown kind 5");
	BROKEN(fake.plugin.thread_model = 1, WRONG, "thread model 1");
	BROKEN(fake.plugin.thread_model = 4000, WRONG, "thread model 4000");
	BROKEN(fake.parameters[0].name = "Pause", WRONG, "`Pause`");
	BROKEN(fake.parameters[0].name = "0pause", WRONG, "`0pause`");
	BROKEN(fake.parameters[0].name = "a-b", WRONG, "`a-b`");
	BROKEN(fake.parameters[0].name = "mode", WRONG, "declared twice");
	BROKEN(fake.parameters[0].type = 0, WRONG, "unknown type 0");
	BROKEN(fake.parameters[0].type = 11, WRONG, "unknown type 11");
	BROKEN(fake.parameters[0].flags = 64, WRONG, "unknown flags 0x40");
	BROKEN(fake.parameters[1].choices = NULL, WRONG, "a choice has `choices`");
	BROKEN(fake.parameters[0].choices = fake.choices, WRONG, "nothing else has");
	BROKEN(fake.parameters[1].fallback = "fast", WRONG, "required and has a default");
	BROKEN(fake.metrics[0].name = "time", WRONG, "must begin with `fake.`");
	BROKEN(fake.metrics[0].name = "faker.time", WRONG, "must begin with `fake.`");
	BROKEN(fake.metrics[0].unit = 0, WRONG, "fake.time");
	BROKEN(fake.metrics[0].better = 3, WRONG, "fake.time");
	BROKEN(fake.metrics[0].revision = 0, WRONG, "revision");
}

static void words_and_values_are_each_others_inverse(void **state)
{
	static const char *const *const tables[] = {nova_kind_words, nova_param_words,
	                                            nova_unit_words, nova_better_words,
	                                            nova_thread_words};

	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(tables); i++) {
		uint32_t value = 1;
		for (; tables[i][value]; value++)
			assert_int_equal(nova_word_value(tables[i], nova_word_of(tables[i], value)),
			                 value);
		assert_null(nova_word_of(tables[i], 0));
		assert_null(nova_word_of(tables[i], value));
		assert_int_equal(nova_word_value(tables[i], ""), 0);
		assert_int_equal(nova_word_value(tables[i], "no such word"), 0);
	}
	for (uint32_t unit = 1; nova_unit_words[unit]; unit++)
		assert_string_equal(nova_unit_words[unit], nova_unit_name(unit));
	assert_string_equal(nova_kind_name(NOVA_KIND_OPTIMIZER), "optimizer");
	assert_int_equal(nova_kind_parse("profile"), NOVA_KIND_PROFILE);
	assert_int_equal(nova_kind_parse("profiles"), 0);
	assert_string_equal(nova_param_type_name(NOVA_PARAM_BOOLEAN), "boolean");
	assert_string_equal(nova_thread_model_name(NOVA_THREADS_PARALLEL), "parallel");
	assert_string_equal(nova_thread_model_name(3001), "unknown");
}

static void every_reason_has_a_code_of_its_own(void **state)
{
	static const int ranges[][2] = {{NOVA_REFUSED_FILE_NAME, NOVA_REFUSED_EXPORTS},
	                                {NOVA_REFUSED_LOAD, NOVA_REFUSED_MEMORY}};
	const char *seen[64];
	size_t count = 0;

	(void)state;
	for (size_t range = 0; range < NOVA_COUNT(ranges); range++) {
		for (int reason = ranges[range][0]; reason <= ranges[range][1]; reason++) {
			const char *code = nova_refusal_code((enum nova_refusal_reason)reason);
			assert_string_not_equal(code, "unknown");
			for (size_t i = 0; i < count; i++)
				assert_string_not_equal(code, seen[i]);
			seen[count++] = code;
		}
	}
	assert_string_equal(nova_refusal_code((enum nova_refusal_reason)0), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(accepts_a_whole_one),
	        cmocka_unit_test(refuses_null),
	        cmocka_unit_test(refuses_lying_sizes),
	        cmocka_unit_test(accepts_what_is_longer),
	        cmocka_unit_test(refuses_what_the_sdk_does_not_allow),
	        cmocka_unit_test(words_and_values_are_each_others_inverse),
	        cmocka_unit_test(every_reason_has_a_code_of_its_own),
	};

	return cmocka_run_group_tests_name("plugin descriptor", tests, NULL, NULL);
}
