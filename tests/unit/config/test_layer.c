/* SPDX-License-Identifier: MIT */
/* Layers and keys: which value wins, where it is from, and which names there are. */
#include "check.h"

static void add(struct nova_config *config, enum nova_layer layer, const char *origin,
                const char *text)
{
	struct nova_error error = {0};
	if (nova_config_add_text(config, layer, origin, text, &error) != 0)
		fail_msg("%s", error.text);
}

static void finish(struct nova_config *config)
{
	struct nova_error error = {0};
	if (nova_config_finish(config, &error) != 0)
		fail_msg("%s", error.text);
}

static void later_layers_win_in_whatever_order_they_come(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config = sample();
	add(config, NOVA_LAYER_FILE, "f", "\nrun = {\n samples = 5; };");
	add(config, NOVA_LAYER_SYSTEM, "s", "run = { samples = 3; warmup = 3; };");
	assert_int_equal(nova_config_add_setting(config, "run.level=0.9", NULL), 0);
	add(config, NOVA_LAYER_USER, "u", "run = { samples = 4; warmup = 4; level = 0.8; };");
	add(config, NOVA_LAYER_PROFILE, "profile hpc", "run = { samples = 2; budget = \"5s\"; };");
	finish(config);
	assert_int_equal(nova_config_i64(config, "run.samples", 0), 5);
	assert_string_equal(nova_config_origin(config, "run.samples"), "f:3");
	assert_int_equal(nova_config_i64(config, "run.warmup", 0), 4);
	assert_string_equal(nova_config_origin(config, "run.warmup"), "u:1");
	check_double(nova_config_f64(config, "run.level", 0), 0.9);
	assert_string_equal(nova_config_origin(config, "run.level"), "--set");
	assert_string_equal(nova_config_origin(config, "run.budget"), "profile hpc:1");
	assert_string_equal(nova_config_origin(config, "run.full"), "default");
	assert_null(nova_config_origin(config, "guest.image"));
	assert_false(nova_config_has(config, "guest.image"));
	assert_null(nova_config_text(config, "guest.image", 0));
}

static void within_a_layer_the_later_text_wins(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config = sample();
	add(config, NOVA_LAYER_PROFILE, "base", "run = { samples = 2; warmup = 2; };");
	add(config, NOVA_LAYER_PROFILE, "derived", "inherits = \"base\"; run = { samples = 3; };");
	finish(config);
	assert_int_equal(nova_config_i64(config, "run.samples", 0), 3);
	assert_int_equal(nova_config_i64(config, "run.warmup", 0), 2);
}

static void checks_values_that_a_later_layer_overrides(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config = sample();
	struct nova_error error = {0};
	add(config, NOVA_LAYER_SYSTEM, "/etc/n.conf", "run = { samples = 0; };");
	assert_int_equal(nova_config_add_setting(config, "run.samples=5", &error), 0);
	assert_int_equal(nova_config_finish(config, &error), NOVA_E_INVALID);
	check_contains(error.text, "/etc/n.conf:1: run.samples");
}

static void refuses_unknown_key_with_nearest(void **state)
{
	(void)state;
	refuses("run = {\n\n sample = 5; };",
	        "a.conf:3: there is no setting run.sample, did you mean run.samples?");
	refuses("samples = 5;", "did you mean run.samples?");
	refuses("rum = { samples = 5; };", "rum");
	refuses("vm = { big = { vcpu = 2; }; };", "did you mean vm.big.vcpus?");
	refuses("vm = { big = { }; bigg = { vcpus = 2; memry = \"1GiB\"; }; };",
	        "did you mean vm.bigg.memory?");
	refuses("hypervisor = { kvm = { acel = \"kvm\"; }; };",
	        "did you mean hypervisor.kvm.accel?");
	refuses("hypervisor = { kmv = { accel = \"kvm\"; }; };",
	        "no hypervisor plugin \"kmv\" is installed, did you mean \"hypervisor.kvm\"?");
	refuses("hypervisor = { vsphere = { }; };",
	        "no hypervisor plugin \"vsphere\" is installed");
	refuses("target = { lab = { plugin = \"kvm\"; acel = \"kvm\"; }; };",
	        "did you mean target.lab.accel?");
	refuses("density = { count = 5; };", "did you mean benchmark.density");
	refuses("nonsense = 1;", "there is no setting nonsense; see novacore config keys");
	refuses("nonsense = {};", "there is no setting nonsense");
	refuses("Run = { samples = 5; };", "did you mean run?");
	refuses_setting("run.sample=5", "--set: there is no setting run.sample, did you mean");
	refuses_setting("density.cuont=5", "did you mean benchmark.density.count?");
	refuses_setting("run.samples", "has no \"=\"");
	refuses_setting("=5", "is not the name of a setting");
	refuses_setting("run samples=5", "is not the name of a setting");
	refuses_setting("run=5", "run is a group");
	refuses_setting("guest.image=\xff", "not UTF-8");
}

static void keys_without_a_kind_are_a_benchmarks_in_settings(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config = takes_setting("density.count=400");
	assert_int_equal(nova_config_i64(config, "benchmark.density.count", 0), 400);
	NOVA_AUTOCONFIG struct nova_config *full = takes_setting("benchmark.density.count=400");
	assert_int_equal(nova_config_i64(full, "benchmark.density.count", 0), 400);
}

static void a_profile_may_set_what_is_not_installed(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config = sample();
	struct nova_error error = {0};
	add(config, NOVA_LAYER_PROFILE, "p", "benchmark = { network = { streams = 4; }; };");
	finish(config);
	assert_false(nova_config_declared(config, "benchmark.network.streams"));
	add(config, NOVA_LAYER_PROFILE, "p", "benchmark = { densty = { count = 4; }; };");
	assert_int_equal(nova_config_finish(config, &error), NOVA_E_INVALID);
	check_contains(error.text, "did you mean \"benchmark.density\"?");
}

static void a_profile_cannot_choose_a_profile(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config = sample();
	struct nova_error error = {0};
	add(config, NOVA_LAYER_PROFILE, "p", "profile = \"hpc\";");
	assert_int_equal(nova_config_finish(config, &error), NOVA_E_INVALID);
	check_contains(error.text, "p:1: a profile cannot choose a profile");
}

static void tells_early_what_the_highest_layer_says(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config = sample();
	assert_null(nova_config_early(config, "profile"));
	add(config, NOVA_LAYER_FILE, "f", "profile = \"edge\";");
	add(config, NOVA_LAYER_SYSTEM, "s", "profile = \"hpc\";");
	assert_string_equal(nova_config_early(config, "profile"), "edge");
	assert_int_equal(nova_config_add_option(config, "--profile", "profile", "dev", NULL), 0);
	assert_string_equal(nova_config_early(config, "profile"), "dev");
	finish(config);
	assert_string_equal(nova_config_origin(config, "profile"), "--profile");
}

static void shapes_have_defaults_and_names(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config = takes(
	        "vm = { big = { vcpus = 8; }; standard = { memory = \"1GiB\"; }; empty = {}; };"
	        "run = { shape = \"empty\"; };");
	const char *const *groups = nova_config_groups(config, "vm");
	assert_string_equal(groups[0], "standard");
	assert_string_equal(groups[1], "big");
	assert_string_equal(groups[2], "empty");
	assert_null(groups[3]);
	assert_int_equal(nova_config_i64(config, "vm.big.vcpus", 0), 8);
	assert_true(nova_config_i64(config, "vm.big.memory", 0) == 512 << 20);
	assert_true(nova_config_i64(config, "vm.standard.memory", 0) == 1 << 30);
	assert_string_equal(nova_config_text(config, "vm.empty.boot", 0), "direct");
	refuses("run = { shape = \"huge\"; };",
	        "a.conf:1: run.shape: there is no VM shape \"huge\"");
	refuses("run = { shape = \"standrd\"; };", "did you mean \"standard\"?");
	refuses("vm = { Big = { vcpus = 8; }; };", "\"Big\" is not a valid name for a VM shape");
	refuses("target = { lab_1 = { plugin = \"kvm\"; }; };", "is not a valid name for a target");
	refuses_setting("vm.=5", "vm.");
	refuses_setting("vm..vcpus=5", "is not a valid name for a VM shape");
}

static void targets_take_their_drivers_parameters(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config =
	        takes("hypervisor = { kvm = { accel = \"tcg\"; }; };"
	              "target = { lab = { plugin = \"kvm\"; uri = \"x\"; trace = true; };"
	              " other = { plugin = \"plain\"; }; };");
	const char *const *groups = nova_config_groups(config, "target");
	assert_string_equal(groups[0], "lab");
	assert_string_equal(groups[1], "other");
	assert_null(groups[2]);
	assert_true(nova_config_flag(config, "target.lab.trace"));
	assert_false(nova_config_flag(config, "hypervisor.kvm.trace"));
	assert_false(nova_config_has(config, "target.lab.accel")); /* the driver's own holds */
	assert_false(nova_config_declared(config, "target.other.trace"));
	NOVA_AUTOCONFIG struct nova_config *none = takes("");
	assert_null(nova_config_groups(none, "target")[0]);
}

static void refuses_targets_without_a_driver(void **state)
{
	(void)state;
	refuses("target = { lab = { uri = \"x\"; }; };", "target.lab does not say which plugin");
	refuses("\ntarget = {\n lab = {}; };", "a.conf:3: target.lab does not say");
	refuses("target = { lab = {\n plugin = \"kmv\"; }; };",
	        "a.conf:2: target.lab.plugin: no hypervisor plugin \"kmv\" is installed, did you "
	        "mean \"kvm\"?");
	refuses("target = { lab = { plugin = 5; }; };", "target.lab.plugin: 5 is a whole number");
	refuses("target = { lab = {\n plugin = \"remote\"; }; };",
	        "a.conf:2: target.lab.node has no value, and must have one");
	NOVA_AUTOCONFIG struct nova_config *given =
	        takes("target = { lab = { plugin = \"remote\"; node = \"n1\"; }; };");
	assert_string_equal(nova_config_text(given, "target.lab.node", 0), "n1");
	NOVA_AUTOCONFIG struct nova_config *shared =
	        takes("hypervisor = { remote = { node = \"n0\"; }; }; target = { lab = { plugin = "
	              "\"remote\"; }; };");
	assert_int_equal(nova_config_ready(shared, "hypervisor.remote", "target.lab", NULL, NULL),
	                 0);
}

static void says_what_is_missing_only_when_it_is_used(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config = takes("");
	struct nova_error error = {0};
	assert_int_equal(nova_config_ready(config, "hypervisor.kvm", NULL, NULL, &error), 0);
	assert_int_equal(nova_config_ready(config, "hypervisor.remote", NULL, NULL, &error),
	                 NOVA_E_INVALID);
	check_contains(error.text, "hypervisor.remote.node has no value");
	/* from the command line, as the uri of --target PLUGIN=URI */
	assert_int_equal(nova_config_ready(config, "hypervisor.remote", NULL, "node", NULL), 0);
}

static void a_missing_secret_is_asked_for_by_a_file(void **state)
{
	static const struct nova_spec secret = {.type = NOVA_PARAM_SECRET,
	                                        .flags = NOVA_PARAM_REQUIRED,
	                                        .name = (char *)"password",
	                                        .doc = (char *)"the user's"};
	NOVA_AUTOCONFIG struct nova_config *config = takes("");
	struct nova_error error = {0};

	(void)state;
	nova_config_declare(config, "hypervisor.locked", &secret, 1);
	assert_int_equal(nova_config_ready(config, "hypervisor.locked", NULL, NULL, &error),
	                 NOVA_E_INVALID);
	check_contains(error.text, "use --set hypervisor.locked.password=file:PATH");
}

static void may_be_finished_again_after_more_was_added(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config =
	        takes("vm = { big = { vcpus = 2; }; }; target = { lab = { plugin = \"kvm\"; }; };");
	for (int i = 1; i < 40; i++) {
		NOVA_AUTOFREE char *setting = nova_format("vm.s%d.vcpus=%d", i, i);
		assert_int_equal(nova_config_add_setting(config, setting, NULL), 0);
		finish(config);
		NOVA_AUTOFREE char *key = nova_format("vm.s%d.vcpus", i);
		assert_int_equal(nova_config_i64(config, key, 0), i);
	}
	assert_int_equal(nova_config_i64(config, "vm.big.vcpus", 0), 2);
}

struct seen {
	size_t count, valued;
	bool secret_hidden, profile;
};

static void see(void *context, const struct nova_config_entry *entry)
{
	struct seen *seen = context;
	seen->count++;
	seen->valued += entry->value != NULL;
	assert_true((entry->value == NULL) == (entry->origin == NULL));
	assert_true((entry->value == NULL) == (entry->layer == 0));
	assert_non_null(entry->spec->doc);
	if (strcmp(entry->key, "hypervisor.kvm.token") == 0)
		seen->secret_hidden = strcmp(entry->value, "***") == 0;
	if (strcmp(entry->key, "run.samples") == 0)
		seen->profile = entry->layer == NOVA_LAYER_DEFAULT;
}

static void visits_all_keys_without_secrets(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config =
	        takes("hypervisor = { kvm = { token = \"env:T\"; }; };");
	struct seen seen = {0};
	nova_config_each(config, see, &seen);
	assert_true(seen.count > 40);
	assert_true(seen.valued > 20 && seen.valued < seen.count);
	assert_true(seen.secret_hidden);
	assert_true(seen.profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(later_layers_win_in_whatever_order_they_come),
	        cmocka_unit_test(within_a_layer_the_later_text_wins),
	        cmocka_unit_test(checks_values_that_a_later_layer_overrides),
	        cmocka_unit_test(refuses_unknown_key_with_nearest),
	        cmocka_unit_test(keys_without_a_kind_are_a_benchmarks_in_settings),
	        cmocka_unit_test(a_profile_may_set_what_is_not_installed),
	        cmocka_unit_test(a_profile_cannot_choose_a_profile),
	        cmocka_unit_test(tells_early_what_the_highest_layer_says),
	        cmocka_unit_test(shapes_have_defaults_and_names),
	        cmocka_unit_test(targets_take_their_drivers_parameters),
	        cmocka_unit_test(refuses_targets_without_a_driver),
	        cmocka_unit_test(says_what_is_missing_only_when_it_is_used),
	        cmocka_unit_test(a_missing_secret_is_asked_for_by_a_file),
	        cmocka_unit_test(may_be_finished_again_after_more_was_added),
	        cmocka_unit_test(visits_all_keys_without_secrets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
