/* SPDX-License-Identifier: MIT */
/* Values: types, units, ranges, choices, lists; what is refused says what would be right. */
#include "check.h"

static void gives_each_type_as_declared(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config = takes(
	        "hypervisor = { kvm = { accel = \"tcg\"; cache = \"16GiB\"; speed = \"100MB/s\"; "
	        "trace = true; state = \"/var/x\"; }; };"
	        "run = { samples = 20; budget = \"90s\"; level = 0.99; full = TRUE; };"
	        "benchmark = { density = { concurrency = [1, 20]; shares = [0.5, 1.5]; }; };");
	assert_string_equal(nova_config_text(config, "hypervisor.kvm.accel", 0), "tcg");
	assert_true(nova_config_i64(config, "hypervisor.kvm.cache", 0) == INT64_C(16) << 30);
	check_double(nova_config_f64(config, "hypervisor.kvm.speed", 0), 1e8);
	assert_true(nova_config_flag(config, "hypervisor.kvm.trace"));
	assert_string_equal(nova_config_text(config, "hypervisor.kvm.state", 0), "/var/x");
	assert_int_equal(nova_config_i64(config, "run.samples", 0), 20);
	assert_true(nova_config_i64(config, "run.budget", 0) == 90 * NOVA_SECOND_NS);
	check_double(nova_config_f64(config, "run.level", 0), 0.99);
	assert_true(nova_config_flag(config, "run.full"));
	assert_int_equal(nova_config_count(config, "benchmark.density.concurrency"), 2);
	assert_int_equal(nova_config_i64(config, "benchmark.density.concurrency", 1), 20);
	check_double(nova_config_f64(config, "benchmark.density.shares", 1), 1.5);
}

static void a_bare_number_where_a_unit_belongs_is_an_error(void **state)
{
	(void)state;
	refuses("run = {\n budget = 30; };", "a.conf:2: run.budget: ");
	refuses("run = { budget = 30; };", "\"30s\"");
	refuses("vm = { big = { memory = 512; }; };", "vm.big.memory: ");
	refuses("vm = { big = { memory = 512; }; };", "GiB");
	refuses("vm = { big = { memory = \"512\"; }; };", "GiB");
	refuses("vm = { big = { memory = \"512 MiB\"; }; };", "vm.big.memory");
	refuses("vm = { big = { memory = \"30s\"; }; };", "vm.big.memory");
	refuses("hypervisor = { kvm = { speed = 1.5; }; };", "MB/s");
	refuses_setting("run.budget=30", "--set: run.budget: \"30\"");
	NOVA_AUTOCONFIG struct nova_config *config = takes("vm = { big = { disk = 0; }; };");
	assert_int_equal(nova_config_i64(config, "vm.big.disk", 0), 0);
}

static void refuses_values_out_of_range(void **state)
{
	(void)state;
	refuses("run = { samples = 0; };", "run.samples: 0 is out of range (1 to 100000)");
	refuses("run = { samples = 100001; };", "out of range");
	refuses("run = { level = 1.0; };", "run.level: 1 is out of range (0.5 to 0.999)");
	refuses("run = { budget = \"0.5s\"; };", "out of range (1s to 30d)");
	refuses("hypervisor = { kvm = { cache = \"2TiB\"; }; };", "(at most 1TiB)");
	refuses("benchmark = { density = { count = -5; }; };", "(at least 1)");
	refuses("benchmark = { density = { concurrency = [1, 5000]; }; };",
	        "density.concurrency: 5000 is out of range");
	refuses_setting("benchmark.density.count=99999999999999999999", "not a whole number");
}

static void refuses_values_of_another_type(void **state)
{
	(void)state;
	refuses("run = { samples = 2.5; };", "\"2.5\" is not a whole number");
	refuses("run = { samples = true; };", "is not a whole number");
	refuses("run = { samples = \"ten\"; };", "\"ten\" is not a whole number");
	refuses("run = { level = \"nan\"; };", "is not a number");
	refuses("run = { level = \"inf\"; };", "is not a number");
	refuses("run = { level = \"0x1p-1\"; };", "is not a number");
	refuses("run = { full = 1; };", "neither true nor false");
	refuses("run = { full = \"true\"; };", "without quotes");
	refuses("guest = { image = 5; };", "5 is a whole number where a text belongs");
	refuses("guest = { image = false; };", "where a text belongs");
	refuses("run = { samples = [1, 2]; };", "takes one value, not a list");
	refuses("run = { samples = (1, 2); };", "takes one value, not a list");
	refuses("run = { samples = {}; };", "run.samples takes a value, not a group");
	refuses("run = { samples = { a = 1; }; };", "a.conf:1: ");
	refuses("run = { suite = \"lifecycle\"; };", "is a list: write its values in brackets");
	refuses("run = { suite = ( ( \"a\" ) ); };", "a list holds single values");
	refuses("run = { suite = ( { a = 1; } ); };", "a list holds single values");
	refuses("run = 5;", "run is a group of settings");
	refuses("vm = { big = 5; };", "vm.big is a group of settings");
	refuses("hypervisor = { kvm = \"x\"; };", "hypervisor.kvm is a group of settings");
}

static void refuses_choice_with_nearest(void **state)
{
	(void)state;
	refuses("hypervisor = { kvm = { accel = \"tgc\"; }; };",
	        "\"tgc\" is not one of auto, kvm, tcg; did you mean \"tcg\"?");
	refuses_setting("hypervisor.kvm.accel=xen", "is not one of auto, kvm, tcg");
}

static void lists_of_settings_stand_between_commas(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config = takes_setting("density.concurrency=1,5,10");
	assert_int_equal(nova_config_count(config, "benchmark.density.concurrency"), 3);
	assert_int_equal(nova_config_i64(config, "benchmark.density.concurrency", 2), 10);
	NOVA_AUTOCONFIG struct nova_config *empty = takes_setting("tune.allow=");
	assert_int_equal(nova_config_count(empty, "tune.allow"), 0);
	assert_true(nova_config_has(empty, "tune.allow"));
	refuses_setting("density.concurrency=1,,5", "density.concurrency: \"\"");
	refuses_setting("density.concurrency=1,", "nothing follows the last comma");
	refuses_setting("density.concurrency=[1,5]", "between commas");
	NOVA_AUTOCONFIG struct nova_config *none = takes("run = { suite = []; };");
	assert_int_equal(nova_config_count(none, "run.suite"), 0);
}

static void gives_parameters_as_typed_json(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config = takes(
	        "hypervisor = { kvm = { cache = \"1GiB\"; speed = \"5/s\"; trace = true; }; };"
	        "target = { lab = { plugin = \"kvm\"; uri = \"qemu+ssh://lab\"; cache = "
	        "\"2GiB\"; }; };");
	NOVA_AUTOJSON json_t *params =
	        nova_config_params(config, "hypervisor.kvm", "target.lab", true);
	NOVA_AUTOFREE char *text = json_dumps(params, JSON_SORT_KEYS | JSON_COMPACT);
	assert_string_equal(text,
	                    "{\"accel\":\"auto\",\"cache\":2147483648,\"speed\":5.0,\"trace\":"
	                    "true,\"uri\":\"qemu+ssh://lab\"}");
	NOVA_AUTOJSON json_t *other = nova_config_params(config, "benchmark.density", NULL, true);
	NOVA_AUTOFREE char *list = json_dumps(other, JSON_SORT_KEYS | JSON_COMPACT);
	assert_string_equal(list, "{\"concurrency\":[1,5],\"count\":100}");
}

static void expands_the_home_directory_in_paths_only(void **state)
{
	(void)state;
	setenv("HOME", "/home/x", 1);
	NOVA_AUTOCONFIG struct nova_config *config =
	        takes("store = { path = \"~/n.db\"; }; guest = { image = \"~/i\"; };");
	assert_string_equal(nova_config_text(config, "store.path", 0), "/home/x/n.db");
	assert_string_equal(nova_config_text(config, "guest.image", 0), "~/i");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(gives_each_type_as_declared),
	        cmocka_unit_test(a_bare_number_where_a_unit_belongs_is_an_error),
	        cmocka_unit_test(refuses_values_out_of_range),
	        cmocka_unit_test(refuses_values_of_another_type),
	        cmocka_unit_test(refuses_choice_with_nearest),
	        cmocka_unit_test(lists_of_settings_stand_between_commas),
	        cmocka_unit_test(gives_parameters_as_typed_json),
	        cmocka_unit_test(expands_the_home_directory_in_paths_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
