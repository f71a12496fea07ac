/* SPDX-License-Identifier: MIT */
/*
 * Judging across runs, as functions: what is compared with what, what is kept of it, what is known.
 * The figures are told apart by hand-made values here; known shifts in noise are in tests/judge.
 */
#include "core/report/report.h"
#include "core/judge/judge.h"
#include "tests/unit/store/store_fixture.h"

#include <math.h>

#define DAY_NS   (INT64_C(86400) * NOVA_SECOND_NS)
#define FIRST_NS INT64_C(1795174756000000000)

static void id_of(int number, char id[37])
{
	snprintf(id, 37, "01932b5e-%04x-7000-8000-00000000000a", (unsigned)number);
}

static json_t *json(const char *text)
{
	NOVA_AUTOFREE char *copy = nova_strdup(text);
	json_error_t why;

	for (char *at = copy; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	json_t *value = json_loads(copy, 0, &why);
	if (!value)
		fail_msg("%s in %s", why.text, text);
	return value;
}

/* What a test wants to be otherwise. */
struct wish {
	const char *cpu, *plugin, *state;
	double factor; /* of the values of m.time */
	bool simulated, native;
	uint32_t lost;          /* of the ten */
	const char *recordings; /* of its plan */
};

static void put_side(struct fixture *fixture, const char *id, uint32_t side, uint32_t replicate,
                     double value, bool lost)
{
	struct nova_replicate at = {.step = 0, .replicate = replicate, .side = side, .attempt = 1};
	uint32_t counts[4] = {1, 1, 0, 0};
	struct nova_sample_record sample = some_sample(at, "m.time", 0, value);

	sample.vm = replicate + 1;
	sample.status = lost ? NOVA_SAMPLE_TIMED_OUT : NOVA_SAMPLE_OK;
	assert_done(fixture, nova_store_replicate_begin(fixture->store, id, &at, &fixture->error));
	assert_done(fixture, nova_store_sample_put(fixture->store, id, &sample, &fixture->error));
	assert_done(fixture, nova_store_replicate_end(fixture->store, id, &at, "done", counts, NULL,
	                                              &fixture->error));
}

/* A run of one step whose ten values are 1.00, 1.01, … times the factor. */
static void put_measured_run(struct fixture *fixture, int number, const struct wish *wish)
{
	char id[37];
	struct nova_run_record run;
	NOVA_AUTOJSON json_t *targets = json("[0]"), *params = json("{'size': 3}");
	struct nova_step_record step = {.hash = "h",
	                                .benchmark = "bench",
	                                .state = "done",
	                                .targets = targets,
	                                .params = params};

	id_of(number, id);
	run = some_run(id, FIRST_NS + number * DAY_NS);
	snprintf(run.state, sizeof(run.state), "%s", wish->state ? wish->state : "complete");
	run.ended_utc_ns = run.started_utc_ns + 1;
	run.plan = json("{'level': 0.95, 'metrics': {'m.time': {'unit': 's', 'better': 'lower',"
	                " 'revision': 1, 'doc': 'd', 'source': 'QMP; agent'}}}");
	if (wish->recordings)
		json_object_set_new(run.plan, "recordings", json(wish->recordings));
	run.where = json_pack("{ss ss s{si sn}}", "cpu", wish->cpu ? wish->cpu : "EPYC", "memory",
	                      "1000000 kB", "shape", "vcpus", 1, "knobs");
	run.what = json("{'kernel': '6.1'}");
	run.targets = json_pack("[{ss ss ss sb s{}}]", "name", "local", "plugin",
	                        wish->plugin ? wish->plugin : "kvm", "accel", "kvm", "simulated",
	                        wish->simulated, "facts");
	assert_done(fixture, nova_store_run_put(fixture->store, &run, &fixture->error));
	nova_run_record_clear(&run);
	assert_done(fixture, nova_store_step_put(fixture->store, id, &step, &fixture->error));
	for (uint32_t i = 0; i < 10; i++) {
		double value = 1 + i / 100.0;

		put_side(fixture, id, NOVA_SIDE_VM, i, value * (wish->factor ? wish->factor : 1),
		         i < wish->lost);
		if (wish->native)
			put_side(fixture, id, NOVA_SIDE_NATIVE, i, value, false);
	}
}

static void set_baseline(struct fixture *fixture, int number)
{
	char id[37];
	const char *const runs[] = {id};

	id_of(number, id);
	assert_done(fixture, nova_baseline_set(fixture->store, runs, 1, "default", false, NULL,
	                                       &fixture->error));
}

static json_t *result_of(struct fixture *fixture, int number)
{
	json_t *result = NULL;
	char id[37];

	id_of(number, id);
	assert_done(fixture, nova_result_build(fixture->store, id, &result, &fixture->error));
	assert_done(fixture, nova_report_check(result, &fixture->error));
	return result;
}

static json_t *metric_of(const json_t *result)
{
	return json_array_get(
	        json_object_get(json_array_get(json_object_get(result, "steps"), 0), "metrics"), 0);
}

/* The verdict of a comparison's only metric; NULL if it is refused. */
static const char *verdict_of(json_t *a, json_t *b, bool force, struct nova_error *error)
{
	static char verdict[32];
	const json_t *const then[] = {a}, *const now[] = {b};
	struct nova_contestant left = {"a", then, 1}, right = {"b", now, 1};
	struct nova_judging judging;
	json_t *comparison = NULL;

	nova_judging_read(NULL, 0, &judging);
	if (nova_compare(&left, &right, &judging, NULL, force, &comparison, error))
		return NULL;
	snprintf(verdict, sizeof(verdict), "%s",
	         nova_json_text(json_array_get(json_object_get(comparison, "metrics"), 0),
	                        "verdict"));
	json_decref(comparison);
	return verdict;
}

/* --- how it is judged ------------------------------------------------------------------------ */

static void effects_are_shares_or_per_cent(void **state)
{
	static const char *const wrong[] = {"",      "%",    "0",   "0%",  "-5%",   "5 %",
	                                    "5%%",   "1e-2", "inf", "nan", "0x1",   ".",
	                                    "1.2.3", "101",  "5%x", "+5%", "10001%"};
	double effect = 0;

	(void)state;
	assert_int_equal(nova_effect_parse("5%", &effect), 0);
	assert_true(fabs(effect - 0.05) < 1e-15);
	assert_int_equal(nova_effect_parse("0.25", &effect), 0);
	assert_true(fabs(effect - 0.25) < 1e-15);
	for (size_t i = 0; i < NOVA_COUNT(wrong); i++)
		if (!nova_effect_parse(wrong[i], &effect))
			fail_msg("\"%s\" was taken", wrong[i]);
}

static void the_nearest_name_gives_the_effect(void **state)
{
	NOVA_AUTOJSON json_t *keys =
	        json("{'minimum_effect': 0.1, 'alpha': 7, 'metrics':"
	             " {'cpu.*': 0.05, 'cpu.rate.*': 0.04, 'cpu.rate': 0.03}}");
	struct nova_judging judging;

	(void)state;
	nova_judging_read(keys, 2, &judging);
	assert_true(judging.level > 0.94 && judging.level < 0.96);
	assert_true(judging.alpha > 0.009 && judging.alpha < 0.011);
	assert_true(fabs(nova_judging_effect(&judging, "cpu.rate") - 0.03) < 1e-12);
	assert_true(fabs(nova_judging_effect(&judging, "cpu.rate.x") - 0.04) < 1e-12);
	assert_true(fabs(nova_judging_effect(&judging, "cpu.time") - 0.05) < 1e-12);
	assert_true(fabs(nova_judging_effect(&judging, "cpuset") - 0.1) < 1e-12);
}

static void sources_are_the_same_in_any_order(void **state)
{
	NOVA_AUTOFREE char *one = nova_source_sorted("QMP; agent"),
	                   *none = nova_source_sorted(NULL);
	NOVA_AUTOFREE char *other = nova_source_sorted("agent;  QMP");

	(void)state;
	assert_string_equal(one, "QMP; agent");
	assert_string_equal(other, one);
	assert_string_equal(none, "");
}

/* --- units ----------------------------------------------------------------------------------- */

static void a_unit_is_a_vm_and_its_value_a_median(void **state)
{
	NOVA_AUTOJSON json_t *step = json(
	        "{'metrics': [{'name': 'm', 'side': 'vm'}, {'name': 'm', 'side': 'native'}],"
	        " 'samples': {'rows': ["
	        "[0,1,'vm',1,'m','ok',3,0,0,0,0,true], [0,1,'vm',2,'m','ok',9,0,0,0,0,true],"
	        "[0,1,'vm',1,'m','ok',5,0,1,0,0,true], [0,1,'vm',1,'m','failed',null,0,2,0,0,true],"
	        "[0,1,'vm',3,'m','failed',null,0,0,0,0,true],"
	        "[1,1,'vm',1,'m','ok',7,0,0,0,0,false], "
	        "[1,1,'native',null,'m','ok',2,0,0,0,0,true],"
	        "[1,1,'vm',1,'x','ok',2,0,0,0,0,true]]}}");
	struct nova_units *units = nova_units_of(step);

	(void)state;
	assert_int_equal(units[0].count, 2);
	assert_int_equal(units[0].lost, 1);
	assert_true(units[0].values[0] == 4 && units[0].values[1] == 9);
	assert_int_equal(units[1].count, 1);
	nova_units_free(units, step);
}

/* --- comparing ------------------------------------------------------------------------------- */

static void tells_same_regressed_and_improved(void **state)
{
	struct fixture *fixture = *state;

	put_measured_run(fixture, 1, &(struct wish){0});
	put_measured_run(fixture, 2, &(struct wish){.factor = 1.02});
	put_measured_run(fixture, 3, &(struct wish){.factor = 1.3});
	put_measured_run(fixture, 4, &(struct wish){.lost = 10});
	NOVA_AUTOJSON json_t *first = result_of(fixture, 1), *near = result_of(fixture, 2);
	NOVA_AUTOJSON json_t *worse = result_of(fixture, 3), *lost = result_of(fixture, 4);

	assert_string_equal(verdict_of(first, near, false, &fixture->error), "same");
	assert_string_equal(verdict_of(first, worse, false, &fixture->error), "regressed");
	assert_string_equal(verdict_of(worse, first, false, &fixture->error), "improved");
	assert_string_equal(verdict_of(first, lost, false, &fixture->error), "regressed");
	assert_string_equal(verdict_of(lost, lost, false, &fixture->error), "inconclusive");
}

static void other_circumstances_are_refused_unless_forced(void **state)
{
	struct fixture *fixture = *state;

	put_measured_run(fixture, 1, &(struct wish){0});
	put_measured_run(fixture, 2, &(struct wish){.cpu = "Xeon"});
	NOVA_AUTOJSON json_t *one = result_of(fixture, 1), *two = result_of(fixture, 2);

	assert_null(verdict_of(one, two, false, &fixture->error));
	assert_int_equal(fixture->error.code, NOVA_E_REFUSED);
	assert_non_null(strstr(fixture->error.text, "cpu (\"EPYC\", \"Xeon\")"));
	assert_string_equal(verdict_of(one, two, true, &fixture->error), "same");
}

/* --- baselines ------------------------------------------------------------------------------- */

static void baselines_are_kept_replaced_and_deleted(void **state)
{
	struct fixture *fixture = *state;
	struct nova_baseline_record found;
	char first[37];

	id_of(1, first);
	put_measured_run(fixture, 1, &(struct wish){0});
	put_measured_run(fixture, 2, &(struct wish){0});
	set_baseline(fixture, 1);
	assert_int_equal(nova_store_run_delete(fixture->store, first, &fixture->error),
	                 NOVA_E_REFUSED);
	set_baseline(fixture, 2);
	fixture_reopen(fixture);
	assert_done(fixture, nova_store_run_delete(fixture->store, first, &fixture->error));
	assert_done(fixture,
	            nova_baseline_find(fixture->store, "default", NULL, &found, &fixture->error));
	assert_int_equal(json_array_size(found.runs), 1);
	assert_done(fixture, nova_store_baseline_delete(fixture->store, found.name, found.where,
	                                                &fixture->error));
	assert_int_equal(nova_store_baseline_delete(fixture->store, found.name, found.where,
	                                            &fixture->error),
	                 NOVA_E_NOT_FOUND);
	json_decref(found.runs);
	assert_int_equal(
	        nova_baseline_find(fixture->store, "default", NULL, &found, &fixture->error),
	        NOVA_E_NOT_FOUND);
}

static void refuses_what_is_no_baseline_and_changes_nothing(void **state)
{
	struct fixture *fixture = *state;
	const struct wish wishes[] = {{.simulated = true}, {.state = "interrupted"}, {.lost = 10}};
	const int codes[] = {NOVA_E_REFUSED, NOVA_E_REFUSED, NOVA_E_INVALID};
	struct nova_baseline_record found;
	char id[37];
	const char *const runs[] = {id};

	for (int i = 0; i < 3; i++) {
		put_measured_run(fixture, i, &wishes[i]);
		id_of(i, id);
		assert_int_equal(nova_baseline_set(fixture->store, runs, 1, "default", false, NULL,
		                                   &fixture->error),
		                 codes[i]);
	}
	put_measured_run(fixture, 7, &(struct wish){0});
	id_of(7, id);
	assert_int_equal(
	        nova_baseline_set(fixture->store, runs, 1, "No name", false, NULL, &fixture->error),
	        NOVA_E_INVALID);
	assert_int_equal(
	        nova_baseline_find(fixture->store, "default", NULL, &found, &fixture->error),
	        NOVA_E_NOT_FOUND);
}

static void a_regression_is_said_until_it_is_known(void **state)
{
	struct fixture *fixture = *state;
	struct nova_acknowledgement known;
	struct nova_judging judging;
	char id[17];

	put_measured_run(fixture, 1, &(struct wish){0});
	put_measured_run(fixture, 2, &(struct wish){.factor = 1.3});
	set_baseline(fixture, 1);
	NOVA_AUTOJSON json_t *before = result_of(fixture, 2);
	const json_t *said = json_object_get(metric_of(before), "baseline");

	assert_string_equal(nova_json_text(metric_of(before), "verdict"), "regressed");
	assert_true(fabs(json_number_value(json_object_get(said, "shift")) - 0.3) < 0.05);
	snprintf(id, sizeof(id), "%s", nova_json_text(said, "id"));
	nova_judging_read(NULL, 0, &judging);
	assert_done(fixture,
	            nova_acknowledge(fixture->store, &judging, id, "why", &known, &fixture->error));
	free(known.why);
	put_measured_run(fixture, 3, &(struct wish){.factor = 1.31});
	put_measured_run(fixture, 4, &(struct wish){.factor = 1.6});
	NOVA_AUTOJSON json_t *after = result_of(fixture, 3), *further = result_of(fixture, 4);
	assert_string_equal(nova_json_text(metric_of(after), "verdict"), "none");
	assert_true(json_is_object(
	        json_object_get(json_object_get(metric_of(after), "baseline"), "acknowledged")));
	assert_string_equal(nova_json_text(metric_of(further), "verdict"), "regressed");
}

/* --- history, ranks -------------------------------------------------------------------------- */

static json_t *history_of(struct fixture *fixture, const char *side)
{
	struct nova_history_request request = {.metric = "m.time", .side = side};
	json_t *history = NULL;

	nova_judging_read(NULL, 0, &request.judging);
	assert_done(fixture, nova_history(fixture->store, &request, &history, &fixture->error));
	return history;
}

/* --- what was recorded while it was measured -------------------------------------------------- */

#define ENTRY(id, kind, state, seconds, host)                                                      \
	"{'step': 0, 'id': '" id "', 'directory': '/r/" id "', 'host': 'h', 'kinds': ['" kind      \
	"'], 'what': 'all', 'state': '" state                                                      \
	"', 'samples': 9, 'lost': 0, 'duration_ns': " #seconds                                     \
	"000000000, 'overhead': {'host': " #host ", 'sampled': 0.5}}"

static json_t *recorded_of(const json_t *result)
{
	return json_object_get(json_array_get(json_object_get(result, "steps"), 0), "recorded");
}

static void what_recording_cost_is_said(void **state)
{
	static const char two[] = "[" ENTRY("1", "cpu", "interrupted", 1, 0.01) "," ENTRY(
	        "2", "cpu", "complete", 3,
	        0.03) "," ENTRY("3", "off-cpu", "complete", 4,
	                        0.1) ","
	                             "{'step': 7, 'id': 'of another step'}]";
	static const char begun[] =
	        "[{'step': 0, 'id': '1', 'directory': '/r/1', 'host': 'h', 'kinds': ['cpu'],"
	        " 'what': 'process', 'state': 'running'}]";
	struct fixture *fixture = *state;

	put_measured_run(fixture, 0, &(struct wish){.recordings = two});
	put_measured_run(fixture, 1, &(struct wish){.recordings = begun});
	put_measured_run(fixture, 2, &(struct wish){0});
	NOVA_AUTOJSON json_t *result = result_of(fixture, 0);
	NOVA_AUTOJSON json_t *incomplete = result_of(fixture, 1);
	NOVA_AUTOJSON json_t *without = result_of(fixture, 2);
	const json_t *recorded = recorded_of(result), *other = recorded_of(incomplete);

	/* One after the other: their mean over time, 0.025; at once: the sum of both. */
	assert_true(fabs(json_number_value(json_object_get(recorded, "overhead_host")) - 0.125) <
	            1e-9);
	assert_int_equal(json_array_size(json_object_get(recorded, "recordings")), 3);
	assert_int_equal(json_array_size(json_object_get(recorded, "kinds")), 2);
	assert_true(json_is_null(json_object_get(other, "overhead_host")));
	assert_null(recorded_of(without));
}

static void an_imported_result_keeps_what_was_recorded(void **state)
{
	static const char entries[] = "[" ENTRY("1", "cpu", "complete", 3, 0.03) "]";
	struct fixture *fixture = *state;
	bool imported = false;
	char id[37];

	put_measured_run(fixture, 0, &(struct wish){.recordings = entries});
	NOVA_AUTOJSON json_t *result = result_of(fixture, 0);

	id_of(0, id);
	assert_done(fixture,
	            nova_result_import(fixture->store, result, &imported, &fixture->error));
	assert_false(imported); /* it is there, and the same */
	assert_done(fixture, nova_store_run_delete(fixture->store, id, &fixture->error));
	assert_done(fixture,
	            nova_result_import(fixture->store, result, &imported, &fixture->error));
	assert_true(imported);
	NOVA_AUTOJSON json_t *again = result_of(fixture, 0);
	assert_true(json_equal(result, again));
}

static void a_regression_says_that_only_one_was_recorded(void **state)
{
	static const char entries[] = "[" ENTRY("1", "cpu", "complete", 3, 0.03) "]";
	static const char differs[] =
	        "baseline default was not recorded while it was measured, this "
	        "run was recorded (cpu; it took 3 % of the host's CPUs)";
	struct fixture *fixture = *state;

	put_measured_run(fixture, 0, &(struct wish){0});
	put_measured_run(fixture, 1, &(struct wish){.factor = 2, .recordings = entries});
	put_measured_run(fixture, 2, &(struct wish){.factor = 2});
	set_baseline(fixture, 0);
	NOVA_AUTOJSON json_t *recorded = result_of(fixture, 1);
	NOVA_AUTOJSON json_t *plain = result_of(fixture, 2);
	const char *why = nova_json_text(metric_of(recorded), "verdict_why");

	assert_string_equal(nova_json_text(metric_of(recorded), "verdict"), "regressed");
	assert_non_null(strstr(why, differs));
	assert_string_equal(nova_json_text(json_object_get(metric_of(recorded), "baseline"), "why"),
	                    differs);
	assert_null(strstr(nova_json_text(metric_of(plain), "verdict_why"), "recorded"));
}

static void history_is_one_value_a_run_in_order_of_time(void **state)
{
	struct fixture *fixture = *state;

	put_measured_run(fixture, 3, &(struct wish){.factor = 3});
	put_measured_run(fixture, 1, &(struct wish){.factor = 1, .native = true});
	put_measured_run(fixture, 2, &(struct wish){.factor = 2, .lost = 10});
	put_measured_run(fixture, 4, &(struct wish){.factor = 4, .cpu = "Xeon"});
	put_measured_run(fixture, 5, &(struct wish){.factor = 5, .state = "running"});
	NOVA_AUTOJSON json_t *history = history_of(fixture, "vm"),
	                     *native = history_of(fixture, "native");
	const json_t *series = json_array_get(json_object_get(history, "series"), 0);
	const json_t *points = json_object_get(series, "points");

	assert_int_equal(json_array_size(json_object_get(history, "series")), 2);
	assert_int_equal(json_array_size(json_object_get(native, "series")), 1);
	assert_int_equal(json_array_size(points), 2);
	assert_int_equal(json_integer_value(json_object_get(series, "gaps")), 1);
	for (size_t i = 0; i < 2; i++)
		assert_true(fabs(json_number_value(
		                         json_object_get(json_array_get(points, i), "value")) -
		                 1.045 * (i ? 3 : 1)) < 1e-9);
	/* what is kept is not made twice, and goes with its run */
	char id[37];
	id_of(3, id);
	assert_done(fixture, nova_store_run_delete(fixture->store, id, &fixture->error));
	NOVA_AUTOJSON json_t *less = history_of(fixture, "vm");
	series = json_array_get(json_object_get(less, "series"), 0);
	assert_int_equal(json_array_size(json_object_get(series, "points")), 1);
}

static void ranks_only_where_intervals_separate(void **state)
{
	struct fixture *fixture = *state;
	json_t *rank = NULL;

	put_measured_run(fixture, 1, &(struct wish){.plugin = "kvm"});
	put_measured_run(fixture, 2, &(struct wish){.plugin = "xen", .factor = 1.01});
	put_measured_run(fixture, 3, &(struct wish){.plugin = "slow", .factor = 9});
	put_measured_run(fixture, 4, &(struct wish){.plugin = "sim", .simulated = true});
	put_measured_run(fixture, 5, &(struct wish){.plugin = "far", .cpu = "Xeon"});
	assert_done(fixture, nova_rank(fixture->store, "m.time", NULL, 0, &rank, &fixture->error));
	NOVA_AUTOJSON json_t *owned = rank;
	const json_t *groups = json_object_get(owned, "groups");
	const json_t *entries = json_object_get(json_array_get(groups, 0), "entries");
	const int best[] = {1, 1, 3}, worst[] = {2, 2, 3};

	assert_int_equal(json_array_size(groups), 2);
	assert_int_equal(json_integer_value(json_object_get(owned, "simulated")), 1);
	assert_int_equal(json_array_size(entries), 3);
	for (size_t i = 0; i < 3; i++) {
		const json_t *entry = json_array_get(entries, i);

		assert_int_equal(json_integer_value(json_object_get(entry, "rank")), best[i]);
		assert_int_equal(json_integer_value(json_object_get(entry, "rank_worst")),
		                 worst[i]);
	}
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(effects_are_shares_or_per_cent),
	        cmocka_unit_test(the_nearest_name_gives_the_effect),
	        cmocka_unit_test(sources_are_the_same_in_any_order),
	        cmocka_unit_test(a_unit_is_a_vm_and_its_value_a_median),
	        TEST(tells_same_regressed_and_improved),
	        TEST(other_circumstances_are_refused_unless_forced),
	        TEST(baselines_are_kept_replaced_and_deleted),
	        TEST(refuses_what_is_no_baseline_and_changes_nothing),
	        TEST(a_regression_is_said_until_it_is_known),
	        TEST(what_recording_cost_is_said),
	        TEST(an_imported_result_keeps_what_was_recorded),
	        TEST(a_regression_says_that_only_one_was_recorded),
	        TEST(history_is_one_value_a_run_in_order_of_time),
	        TEST(ranks_only_where_intervals_separate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
