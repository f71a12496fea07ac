/* SPDX-License-Identifier: MIT */
/*
 * The nine environment profiles as texts: what each promises, and that no two are alike. Needs no
 * plugin but the declaration of one parameter.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/config/config.h"

static const struct expected {
	const char *name;
	double cpu, memory, cache_hit;
} profiles[] = {
        {"development", 0.60, 0.70, 0.70},  {"testing", 0.70, 0.75, 0.80},
        {"staging", 0.80, 0.85, 0.90},      {"production", 0.80, 0.85, 0.90},
        {"hpc", 0.90, 0.90, 0.95},          {"cloud", 0.70, 0.80, 0.88},
        {"edge", 0.60, 0.70, 0.75},         {"ml-training", 0.85, 0.85, 0.90},
        {"ml-inference", 0.75, 0.80, 0.95},
};

static struct nova_config *load(const char *name)
{
	const struct nova_spec lifecycle = {.type = NOVA_PARAM_INTEGER,
	                                    .flags = NOVA_PARAM_LIST | NOVA_PARAM_EACH,
	                                    .name = (char *)"concurrency",
	                                    .doc = (char *)"VMs at once",
	                                    .fallback = (char *)"1",
	                                    .minimum = (char *)"1"};
	struct nova_config *config = nova_config_new();
	struct nova_error error = {0};
	NOVA_AUTOFREE char *path = nova_format(PROFILES "/%s/%s.conf", name, name);

	nova_config_declare(config, "benchmark.lifecycle", &lifecycle, 1);
	if (nova_config_add_file(config, NOVA_LAYER_PROFILE, path, true, &error) != 0 ||
	    nova_config_finish(config, &error) != 0)
		fail_msg("%s", error.text);
	return config;
}

static void aims_at_its_utilization(void **state)
{
	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(profiles); i++) {
		NOVA_AUTOCONFIG struct nova_config *config = load(profiles[i].name);
		if (nova_config_f64(config, "utilization.cpu", 0) != profiles[i].cpu ||
		    nova_config_f64(config, "utilization.memory", 0) != profiles[i].memory ||
		    nova_config_f64(config, "utilization.cache_hit", 0) != profiles[i].cache_hit)
			fail_msg("%s aims at another utilization", profiles[i].name);
	}
}

static void sets_all_that_makes_an_environment(void **state)
{
	(void)state;
	static const char *const keys[] = {
	        "run.suite",
	        "run.samples",
	        "run.warmup",
	        "run.budget",
	        "run.shape",
	        "benchmark.lifecycle.concurrency",
	        "limits.max_vms",
	        "limits.memory_share",
	        "monitor.interval",
	        "monitor.retention",
	        "alert.cpu",
	        "alert.memory",
	        "alert.latency",
	        "objective.aim",
	        "objective.metric",
	        "guardrail.degradation",
	        "guardrail.validation",
	        "guardrail.risk",
	        "tune.allow",
	};
	for (size_t i = 0; i < NOVA_COUNT(profiles); i++) {
		NOVA_AUTOCONFIG struct nova_config *config = load(profiles[i].name);
		for (size_t k = 0; k < NOVA_COUNT(keys); k++) {
			const char *origin = nova_config_origin(config, keys[k]);
			if (!origin || strcmp(origin, "default") == 0)
				fail_msg("%s leaves %s to the default", profiles[i].name, keys[k]);
		}
		size_t own = 0;
		const struct nova_goal *goal;
		for (size_t g = 0; (goal = nova_config_goal_at(config, g)); g++)
			own += strcmp(goal->origin, "default") != 0;
		if (own == 0)
			fail_msg("%s has no goal of its own", profiles[i].name);
	}
}

/* Alerts below what the environment aims at would ring all day. */
static void alerts_above_what_it_aims_at(void **state)
{
	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(profiles); i++) {
		NOVA_AUTOCONFIG struct nova_config *config = load(profiles[i].name);
		assert_true(nova_config_f64(config, "alert.cpu", 0) > profiles[i].cpu);
		assert_true(nova_config_f64(config, "alert.memory", 0) > profiles[i].memory);
	}
}

static void fits_its_own_limits(void **state)
{
	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(profiles); i++) {
		NOVA_AUTOCONFIG struct nova_config *config = load(profiles[i].name);
		static const char key[] = "benchmark.lifecycle.concurrency";
		for (size_t k = 0; k < nova_config_count(config, key); k++)
			assert_true(nova_config_i64(config, key, k) <=
			            nova_config_i64(config, "limits.max_vms", 0));
		/* the life cycle first: what does not work there makes the rest pointless */
		assert_string_equal(nova_config_text(config, "run.suite", 0), "lifecycle");
		/* below that, medians have no interval */
		assert_true(nova_config_i64(config, "run.samples", 0) >= 6);
	}
}

static void keeps_to_the_budgets_that_are_promised(void **state)
{
	(void)state;
	NOVA_AUTOCONFIG struct nova_config *development = load("development");
	assert_true(nova_config_i64(development, "run.budget", 0) <= 120 * NOVA_SECOND_NS);
	NOVA_AUTOCONFIG struct nova_config *hpc = load("hpc");
	assert_true(nova_config_i64(hpc, "run.budget", 0) <= 600 * NOVA_SECOND_NS);
}

/* How many of the things that change a run are the same in two profiles. */
static size_t same_settings(const struct nova_config *a, const struct nova_config *b)
{
	static const char *const keys[] = {
	        "run.samples",
	        "run.warmup",
	        "run.budget",
	        "run.shape",
	        "alert.cpu",
	        "limits.max_vms",
	        "monitor.interval",
	        "objective.aim",
	        "tune.allow",
	        "limits.memory_share",
	        "benchmark.lifecycle.concurrency",
	};
	size_t same = 0;
	for (size_t i = 0; i < NOVA_COUNT(keys); i++) {
		NOVA_AUTOJSON json_t *left = nova_config_json(a, keys[i]);
		NOVA_AUTOJSON json_t *right = nova_config_json(b, keys[i]);
		same += json_equal(left, right) != 0;
	}
	return same;
}

static void differs_from_every_other(void **state)
{
	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(profiles); i++) {
		NOVA_AUTOCONFIG struct nova_config *one = load(profiles[i].name);
		for (size_t k = i + 1; k < NOVA_COUNT(profiles); k++) {
			NOVA_AUTOCONFIG struct nova_config *other = load(profiles[k].name);
			size_t same = same_settings(one, other);
			if (same > 6)
				fail_msg("%s and %s share %zu of 11 settings", profiles[i].name,
				         profiles[k].name, same);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(aims_at_its_utilization),
	        cmocka_unit_test(sets_all_that_makes_an_environment),
	        cmocka_unit_test(alerts_above_what_it_aims_at),
	        cmocka_unit_test(fits_its_own_limits),
	        cmocka_unit_test(keeps_to_the_budgets_that_are_promised),
	        cmocka_unit_test(differs_from_every_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
