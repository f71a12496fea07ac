/* SPDX-License-Identifier: MIT */
/* Manifests: what is written is what is read; what is wrong is named with its line; what differs
 * from the plugin is found wherever it is. */
#include "check.h"

static struct nova_manifest *parse(const char *text)
{
	struct nova_manifest *manifest;
	struct nova_error error = {0};

	if (nova_manifest_parse("x.manifest", text, strlen(text), &manifest, &error))
		fail_msg("%s", error.text);
	return manifest;
}

static void assert_bad(const char *text, const char *says)
{
	struct nova_manifest *manifest;
	struct nova_error error = {0};

	assert_int_equal(nova_manifest_parse("x.manifest", text, strlen(text), &manifest, &error),
	                 NOVA_E_INVALID);
	assert_null(manifest);
	assert_contains(error.text, "x.manifest:");
	assert_contains(error.text, says);
}

/* `text` with its first `from` replaced by `to`. Heap. */
static char *edited(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);

	if (!at)
		fail_msg("no `%s` in:\n%s", from, text);
	return nova_format("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

static void reads_back_what_the_descriptor_says(void **state)
{
	struct fake fake;

	(void)state;
	fake_make(&fake);
	NOVA_AUTOFREE char *text = fake_manifest(&fake.plugin);
	struct nova_manifest *manifest = parse(text);
	assert_int_equal(manifest->kind, NOVA_KIND_BENCHMARK);
	assert_int_equal(manifest->thread_model, NOVA_THREADS_PER_INSTANCE);
	assert_string_equal(manifest->name, "fake");
	assert_string_equal(manifest->version, "1.2");
	assert_string_equal(manifest->summary, fake.plugin.summary);
	assert_string_equal(manifest->license, "MIT");
	assert_int_equal(manifest->major, 1);
	assert_int_equal(manifest->draft, 0);
	assert_int_equal(manifest->targets_min, 2);
	assert_string_equal(manifest->needs[1], "start");
	assert_null(manifest->needs[2]);
	assert_string_equal(manifest->ops[1], "replicate");
	assert_null(manifest->ops[3]);
	assert_string_equal(manifest->hints[0], "libx.so.1=libx1");
	assert_null(manifest->settings);
	assert_null(manifest->path);
	nova_manifest_free(manifest);
}

static void reads_back_parameters_and_metrics(void **state)
{
	struct fake fake;

	(void)state;
	fake_make(&fake);
	NOVA_AUTOFREE char *text = fake_manifest(&fake.plugin);
	struct nova_manifest *manifest = parse(text);
	assert_int_equal(manifest->spec_count, 2);
	const struct nova_spec *pause = &manifest->specs[0], *mode = &manifest->specs[1];
	assert_int_equal(pause->type, NOVA_PARAM_DURATION);
	assert_int_equal(pause->flags, NOVA_PARAM_LIST | NOVA_PARAM_EACH);
	assert_string_equal(pause->fallback, "1s, 2s");
	assert_string_equal(pause->minimum, "0s");
	assert_string_equal(pause->maximum, "1h");
	assert_null(pause->choices);
	assert_int_equal(mode->flags, NOVA_PARAM_REQUIRED);
	assert_null(mode->fallback);
	assert_string_equal(mode->choices[1], "slow");
	assert_null(mode->choices[2]);
	assert_int_equal(manifest->metric_count, 2);
	assert_string_equal(manifest->metrics[1].name, "fake.rate.peak");
	assert_int_equal(manifest->metrics[1].unit, NOVA_UNIT_BYTE_PER_SECOND);
	assert_int_equal(manifest->metrics[1].better, NOVA_BETTER_HIGHER);
	assert_int_equal(manifest->metrics[1].revision, 7);
	nova_manifest_free(manifest);
}

static void keeps_a_profiles_text_to_the_byte(void **state)
{
	static const struct nova_profile profile = {
	        .struct_size = sizeof(profile),
	        .settings =
	                "# \"quoted\" \\ and é\nrun = { samples = 3; };\n\ta = \"x\\n\";\r\n\f\x01",
	};
	static const struct nova_plugin plugin = {.struct_size = sizeof(plugin),
	                                          .kind = NOVA_KIND_PROFILE,
	                                          .thread_model = NOVA_THREADS_PARALLEL,
	                                          .name = "fake",
	                                          .version = "1",
	                                          .summary = "s",
	                                          .license = "MIT",
	                                          .ops = &profile};

	(void)state;
	NOVA_AUTOFREE char *text = fake_manifest(&plugin);
	struct nova_manifest *manifest = parse(text);
	assert_string_equal(manifest->settings, profile.settings);
	nova_manifest_free(manifest);
	NOVA_AUTOFREE char *without = edited(text, "settings =", "unsettled =");
	assert_bad(without, "`settings` is missing");
}

static void ignores_what_it_does_not_know(void **state)
{
	struct fake fake;

	(void)state;
	fake_make(&fake);
	NOVA_AUTOFREE char *text = fake_manifest(&fake.plugin);
	NOVA_AUTOFREE char *more =
	        nova_format("future = ( 1, { a = [ 2.5 ]; } );\nfuture_text = \"x\";\n%s", text);
	nova_manifest_free(parse(more));
}

static void says_what_is_wrong_and_where(void **state)
{
	static const struct {
		const char *from, *to, *says;
	} cases[] = {
	        {"kind = ", "kine = ", "`kind` is missing"},
	        {"kind = \"benchmark\"", "kind = 1", "`kind` must be text"},
	        {"name = \"fake\"", "name = \"Fake/../x\"", "not the name of a plugin"},
	        {"version = \"1.2\"", "version = 1.2", "`version` must be text"},
	        {"threads = \"per-instance\"", "threads = \"magic\"", "`magic` is not known"},
	        {"targets_min = 2", "targets_min = -2", "`targets_min` must be a whole number"},
	        {"targets_min = 2", "targets_min = \"2\"", "`targets_min` must be a whole number"},
	        {"list = true", "list = 1", "`list` must be true or false"},
	        {"type = \"duration\"", "type = \"time\"", "`time` is not known"},
	        {"choices =", "chances =", "has no `choices`"},
	        {"choices = [ \"fast\", \"slow\" ]", "choices = [ 1, 2 ]", "array of text"},
	        {"needs = [ \"create\", \"start\" ]", "needs = \"create\"", "array of text"},
	        {"unit = \"s\"", "unit = \"ms\"", "`ms` is not known"},
	        {"better = \"lower\"", "better = \"\"", "`` is not known"},
	        {"revision = 7", "revision = 7L", "`revision` must be a whole number"},
	        {"abi =", "aby =", "`abi` is missing"},
	        {"min_minor =", "mid_minor =", "`min_minor` is missing"},
	        {"min_minor = 0;", "min_minor = 0; draft = -1;", "`draft`"},
	        {"format = 1", "format = 99", "manifest format 99"},
	        {"sha256 = \"0", "sha256 = \"G", "hexadecimal"},
	        {"sha256 = \"0", "sha256 = \"", "hexadecimal"},
	        {"doc = \"How\"", "dog = \"How\"", "`doc` is missing"},
	};
	struct fake fake;

	(void)state;
	fake_make(&fake);
	NOVA_AUTOFREE char *text = fake_manifest(&fake.plugin);
	for (size_t i = 0; i < NOVA_COUNT(cases); i++) {
		NOVA_AUTOFREE char *spoilt = edited(text, cases[i].from, cases[i].to);
		assert_bad(spoilt, cases[i].says);
	}
	assert_bad("parameters = [ 1 ];", "missing");
	assert_bad("kind = ;", ":1: syntax error");
}

static void reads_no_other_file(void **state)
{
	(void)state;
	assert_bad("@include \"/etc/passwd\"\n", "@include");
	assert_bad("a = 1;\n \t@include \"/etc/passwd\"\n", "@include");
}

static void refuses_a_nul_byte(void **state)
{
	struct nova_manifest *manifest;
	struct nova_error error = {0};

	(void)state;
	assert_int_equal(nova_manifest_parse("x", "a = 1;\0b", 8, &manifest, &error),
	                 NOVA_E_INVALID);
	assert_contains(error.text, "NUL");
}

/* --- against the descriptor ------------------------------------------------------------------ */

static void finds_no_difference_in_the_same(void **state)
{
	struct fake fake;
	enum nova_refusal_reason reason;

	(void)state;
	fake_make(&fake);
	NOVA_AUTOFREE char *text = fake_manifest(&fake.plugin);
	NOVA_AUTOFREE char *difference = nova_manifest_difference(text, &fake.plugin, &reason);
	if (difference)
		fail_msg("%s", difference);
}

static void assert_differs(const char *text, const struct fake *fake, const char *where)
{
	enum nova_refusal_reason reason = 0;
	NOVA_AUTOFREE char *difference = nova_manifest_difference(text, &fake->plugin, &reason);

	if (!difference)
		fail_msg("no difference at %s", where);
	NOVA_AUTOFREE char *quoted = nova_format("`%s`", where);
	assert_contains(difference, quoted);
	assert_int_equal(reason, NOVA_REFUSED_DESCRIPTOR);
}

#define DIFFERS(statement, where)                                                                  \
	do {                                                                                       \
		fake_make(&fake);                                                                  \
		statement;                                                                         \
		assert_differs(text, &fake, where);                                                \
	} while (0)

static void finds_each_difference(void **state)
{
	struct fake fake;

	(void)state;
	fake_make(&fake);
	NOVA_AUTOFREE char *text = fake_manifest(&fake.plugin);
	DIFFERS(fake.plugin.version = "1.3", "version");
	DIFFERS(fake.plugin.summary = "", "summary");
	DIFFERS(fake.plugin.thread_model = NOVA_THREADS_SERIAL, "threads");
	DIFFERS(fake.benchmark.targets_min = 1, "targets_min");
	DIFFERS(fake.benchmark.needs = NULL, "needs");
	DIFFERS(fake.needs[1] = NULL, "needs");
	DIFFERS(fake.needs[1] = "stop", "needs[1]");
	DIFFERS(fake.benchmark.setup = (int (*)(void *, nova_run))(void *)fake_create, "ops");
	DIFFERS(fake.metrics[1].revision = 8, "metrics[1].revision");
	DIFFERS(fake.metrics[0].better = NOVA_BETTER_HIGHER, "metrics[0].better");
	DIFFERS(fake.metric_list[1] = NULL, "metrics");
	DIFFERS(fake.parameters[0].fallback = NULL, "parameters[0].fallback");
	DIFFERS(fake.parameters[1].flags = 0, "parameters[1].required");
	DIFFERS(fake.parameters[1].fallback = "fast";
	        fake.parameters[1].flags = 0, "parameters[1].fallback");
	DIFFERS(fake.parameter_list[0] = NULL, "parameters");
	DIFFERS(fake.choices[1] = "slower", "parameters[1].choices[1]");
	DIFFERS(fake.plugin.probe = (int (*)(const struct nova_host *, nova_op))(void *)fake_create,
	        "probe");
}

/* A manifest by a newer SDK may say more than this host's headers know. */
static void lets_a_newer_minor_say_more(void **state)
{
	struct fake fake;
	enum nova_refusal_reason reason;

	(void)state;
	fake_make(&fake);
	NOVA_AUTOFREE char *text = fake_manifest(&fake.plugin);
	NOVA_AUTOFREE char *newer = edited(text, "minor = 0", "minor = 1");
	NOVA_AUTOFREE char *more = edited(newer, "targets_min", "targets_best = 3;\ntargets_min");
	NOVA_AUTOFREE char *ops = edited(more, "\"create\",", "\"create\", \"pause\",");
	NOVA_AUTOFREE char *difference = nova_manifest_difference(ops, &fake.plugin, &reason);
	if (difference)
		fail_msg("%s", difference);
	NOVA_AUTOFREE char *same = edited(text, "targets_min", "targets_best = 3;\ntargets_min");
	assert_differs(same, &fake, "targets_best");
	fake.plugin.version = "2";
	assert_differs(ops, &fake, "version");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(reads_back_what_the_descriptor_says),
	        cmocka_unit_test(reads_back_parameters_and_metrics),
	        cmocka_unit_test(keeps_a_profiles_text_to_the_byte),
	        cmocka_unit_test(ignores_what_it_does_not_know),
	        cmocka_unit_test(says_what_is_wrong_and_where),
	        cmocka_unit_test(reads_no_other_file),
	        cmocka_unit_test(refuses_a_nul_byte),
	        cmocka_unit_test(finds_no_difference_in_the_same),
	        cmocka_unit_test(finds_each_difference),
	        cmocka_unit_test(lets_a_newer_minor_say_more),
	};

	return cmocka_run_group_tests_name("plugin manifest", tests, NULL, NULL);
}
