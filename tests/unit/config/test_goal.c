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

static void has_the_built_in_goals_of_overhead_for_all_drivers(void **state)
{
	static const struct {
		const char *metric;
		double pass, acceptable;
	} goals[] = {{"cpu.rate.overhead", 0.03, 0.05},
	             {"memory.write.seq.overhead", 0.05, 0.08},
	             {"storage.read.rand.iops.overhead", 0.02, 0.05}};

	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config =
	        takes("goals = ( { metric = \"memory.read.seq.overhead\"; pass = \"1%\"; } );");
	for (size_t i = 0; i < NOVA_COUNT(goals); i++) {
		const struct nova_goal *found = goal(config, goals[i].metric, "proxmox");

		check_double(found->pass, goals[i].pass);
		assert_true(found->has_acceptable);
		check_double(found->acceptable, goals[i].acceptable);
		assert_int_equal(found->unit, NOVA_UNIT_ONE);
		assert_string_equal(found->origin, "default");
	}
	check_double(goal(config, "memory.read.seq.overhead", "kvm")->pass, 0.01);
	assert_false(goal(config, "memory.read.seq.overhead", "kvm")->has_acceptable);
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

/* The one that is shown for "metric" and "upto". */
static const struct nova_goal *conditioned(const struct nova_config *config, const char *metric,
                                           double most)
{
	const struct nova_goal *goal;

	for (size_t i = 0; (goal = nova_config_goal_at(config, i)); i++)
		if (!strcmp(goal->metric, metric) && goal->param && goal->most == most)
			return goal;
	return NULL;
}

static void judges_migrations_by_memory_size(void **state)
{
	const struct nova_goal *found;

	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config = takes("");
	assert_null(nova_config_goal(config, "migration.duration", "kvm"));
	found = conditioned(config, "migration.duration", 4294967296.0);
	assert_non_null(found);
	assert_string_equal(found->param, "memory");
	check_double(found->pass, 60);
	check_double(conditioned(config, "migration.downtime.reported", 17179869184.0)->pass, 0.5);
	check_double(conditioned(config, "migration.rate", 1073741824)->pass, 5e7);
	assert_int_equal(conditioned(config, "migration.rate", 1073741824)->unit,
	                 NOVA_UNIT_BYTE_PER_SECOND);
}

static void a_goal_for_every_parameter_replaces_earlier_ones_for_some(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *config =
	        takes("goals = ( { metric = \"migration.duration\"; upto = \"memory=1GiB\"; "
	              "pass = \"9s\"; }, { metric = \"migration.rate\"; pass = \"1MB/s\"; }, "
	              "{ metric = \"a.b\"; upto = \"time=2s\"; pass = 1; }, "
	              "{ metric = \"a.b\"; pass = 2; }, "
	              "{ metric = \"a.b\"; upto = \"count=20\"; pass = 3; } );");
	check_double(conditioned(config, "migration.duration", 1073741824)->pass, 9);
	check_double(conditioned(config, "migration.duration", 4294967296.0)->pass, 60);
	assert_null(conditioned(config, "migration.rate", 1073741824));
	check_double(goal(config, "migration.rate", "kvm")->pass, 1e6);
	check_double(goal(config, "a.b", "kvm")->pass, 2);
	check_double(conditioned(config, "a.b", 2e9)->pass, 1); /* durations in ns */
	check_double(conditioned(config, "a.b", 20)->pass, 3);
	assert_int_equal(nova_config_add_setting(config, "goal.a.b=5", NULL), 0);
	assert_int_equal(nova_config_finish(config, NULL), 0);
	assert_null(conditioned(config, "a.b", 20));
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
	refuses("goals = ( { metric = \"a.b\"; upto = \"memory\"; pass = \"1s\"; } );",
	        "a.b: \"memory\" is not a parameter and the most it may be");
	refuses("goals = ( { metric = \"a.b\"; upto = \"memory=much\"; pass = \"1s\"; } );",
	        "\"memory=much\" is not a parameter");
	refuses("goals = ( { metric = \"a.b\"; upto = 4; pass = \"1s\"; } );",
	        "each part of a goal is a text");
	refuses("goals = ( { metric = [1]; } );", "each part of a goal is a text");
	refuses("goals = ( { metric = \"a.b\"; pass = true; } );", "each part of a goal is a text");
	refuses_setting("goal.a.b=soon", "--set: goals: a.b: \"soon\" is not a limit");
	refuses_setting("goal.=1s", "is not the name of a metric");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(has_the_built_in_goals_of_each_driver),
	        cmocka_unit_test(has_the_built_in_goals_of_overhead_for_all_drivers),
	        cmocka_unit_test(merges_by_metric_and_driver),
	        cmocka_unit_test(one_for_all_drivers_replaces_those_of_earlier_texts),
	        cmocka_unit_test(reads_every_unit),
	        cmocka_unit_test(judges_migrations_by_memory_size),
	        cmocka_unit_test(a_goal_for_every_parameter_replaces_earlier_ones_for_some),
	        cmocka_unit_test(refuses_goals_that_say_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
