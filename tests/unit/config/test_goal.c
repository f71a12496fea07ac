/* SPDX-License-Identifier: MIT */
/* Goals: units, merging, and what a goal must have. */
#include "check.h"

#define RUNNING "lifecycle.start.running"

static const struct nova_goal *goal(const struct nova_config *config, const char *metric,
                                    const char *plugin)
{
	const struct nova_goal *found = nova_config_goal(config, metric, plugin);
	if (!found)
		fail_msg("no goal for %s on %s", metric, plugin);
	return found;
}

static void has_the_built_in_goals_of_each_driver(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config = takes("");
	check_double(goal(config, "lifecycle.create.api", "kvm")->pass, 15);
	check_double(goal(config, RUNNING, "vsphere")->pass, 12);
	check_double(goal(config, "lifecycle.stop.gone", "hyperv")->pass, 3);
	check_double(goal(config, "lifecycle.snapshot.done", "xcp-ng")->pass, 35);
	check_double(goal(config, RUNNING, "proxmox")->pass, 8);
	assert_int_equal(goal(config, RUNNING, "kvm")->unit, NOVA_UNIT_SECOND);
	assert_string_equal(goal(config, RUNNING, "kvm")->origin, "default");
	assert_false(goal(config, RUNNING, "kvm")->has_acceptable);
	assert_null(nova_config_goal(config, RUNNING, "sim"));
	assert_null(nova_config_goal(config, "lifecycle.start.ready", "kvm"));
	assert_null(nova_config_goal(config, RUNNING, NULL));
}

static void merges_by_metric_and_driver(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config =
	        takes("\ngoals = ( { metric = \"" RUNNING "\"; plugin = \"kvm\"; pass = \"500ms\"; "
	              "acceptable = \"2s\"; },\n { metric = \"lifecycle.start.ready\"; pass = "
	              "\"1min\"; } );");
	check_double(goal(config, RUNNING, "kvm")->pass, 0.5);
	assert_true(goal(config, RUNNING, "kvm")->has_acceptable);
	check_double(goal(config, RUNNING, "kvm")->acceptable, 2);
	assert_string_equal(goal(config, RUNNING, "kvm")->origin, "a.conf:2");
	check_double(goal(config, RUNNING, "vsphere")->pass, 12);
	check_double(goal(config, "lifecycle.start.ready", "anything")->pass, 60);
	check_double(goal(config, "lifecycle.create.api", "kvm")->pass, 15);
}

static void one_for_all_drivers_replaces_those_of_earlier_texts(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config = takes(
	        "goals = ( { metric = \"" RUNNING "\"; pass = \"7s\"; }, { metric = \"" RUNNING
	        "\"; plugin = \"sim\"; pass = \"1s\"; } );");
	check_double(goal(config, RUNNING, "kvm")->pass, 7);
	check_double(goal(config, RUNNING, "sim")->pass, 1);
	assert_int_equal(nova_config_add_setting(config, "goal." RUNNING "=3s,4s", NULL), 0);
	assert_int_equal(nova_config_finish(config, NULL), 0);
	check_double(goal(config, RUNNING, "sim")->pass, 3);
	check_double(goal(config, RUNNING, "kvm")->acceptable, 4);
	assert_string_equal(goal(config, RUNNING, "kvm")->origin, "--set");
}

static void reads_every_unit(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config = takes(
	        "goals = ( { metric = \"a.percent\"; pass = \"5%\"; acceptable = 0.08; }, { "
	        "metric = \"a.rate\"; pass = \"50MB/s\"; }, { metric = \"a.count\"; pass = 3; },"
	        "{ metric = \"a.size\"; pass = \"1GiB\"; }, { metric = \"a.often\"; pass = "
	        "\"10/s\"; } );");
	check_double(goal(config, "a.percent", "x")->pass, 0.05);
	check_double(goal(config, "a.percent", "x")->acceptable, 0.08);
	assert_int_equal(goal(config, "a.percent", "x")->unit, NOVA_UNIT_ONE);
	check_double(goal(config, "a.rate", "x")->pass, 5e7);
	assert_int_equal(goal(config, "a.rate", "x")->unit, NOVA_UNIT_BYTE_PER_SECOND);
	check_double(goal(config, "a.count", "x")->pass, 3);
	check_double(goal(config, "a.size", "x")->pass, 1073741824);
	assert_int_equal(goal(config, "a.size", "x")->unit, NOVA_UNIT_BYTE);
	assert_int_equal(goal(config, "a.often", "x")->unit, NOVA_UNIT_PER_SECOND);
}

static void refuses_goals_that_say_nothing(void **state)
{
	(void)state;
	refuses("goals = [1];", "a.conf:1: goals: is a list of groups");
	refuses("goals = { };", "goals: is a list of groups");
	refuses("goals = ( 1 );", "goals: is a list of groups");
	refuses("goals = (\n { pass = \"1s\"; } );", "a.conf:2: goals: a goal needs a metric");
	refuses("goals = ( { metric = \"a.b\"; } );", "a.b: a goal needs a limit");
	refuses("goals = ( { metric = \"a.b\"; pass = \"fast\"; } );", "\"fast\" is not a limit");
	refuses("goals = ( { metric = \"a.b\"; pass = \"1s\"; acceptable = \"2B\"; } );",
	        "must have the same unit");
	refuses("goals = ( { metric = \"nodot\"; pass = \"1s\"; } );", "not the name of a metric");
	refuses("goals = ( { metric = \"a.b\"; plugin = \"K V\"; pass = \"1s\"; } );",
	        "not the name of a hypervisor plugin");
	refuses("goals = ( { metric = \"a.b\"; pas = \"1s\"; } );", "did you mean \"pass\"?");
	refuses("goals = ( { metric = [1]; } );", "each part of a goal is a text");
	refuses("goals = ( { metric = \"a.b\"; pass = true; } );", "each part of a goal is a text");
	refuses_setting("goal.a.b=soon", "--set: goals: a.b: \"soon\" is not a limit");
	refuses_setting("goal.=1s", "is not the name of a metric");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(has_the_built_in_goals_of_each_driver),
	        cmocka_unit_test(merges_by_metric_and_driver),
	        cmocka_unit_test(one_for_all_drivers_replaces_those_of_earlier_texts),
	        cmocka_unit_test(reads_every_unit),
	        cmocka_unit_test(refuses_goals_that_say_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
