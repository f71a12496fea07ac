/* SPDX-License-Identifier: MIT */
/*
 * From the store's records to the result document and back: what counts, what is judged how, what
 * an import refuses.
 */
#include "core/report/report.h"
#include "core/judge/result.h"
#include "tests/unit/store/store_fixture.h"

#include <math.h>

#define assert_near(actual, expected)                                                              \
	do {                                                                                       \
		double a_ = (actual), e_ = (expected);                                             \
		if (!(fabs(a_ - e_) <= 1e-12 * fabs(e_)))                                          \
			fail_msg("%s is %.17g, not %.17g", #actual, a_, e_);                       \
	} while (0)

#define GOALS                                                                                      \
	"'goals': [{'metric': 'lifecycle.start', 'plugin': null, 'pass': 10, 'acceptable': 12},"   \
	"          {'metric': 'lifecycle.start', 'plugin': 'sim', 'pass': 1, 'acceptable': null}," \
	"          {'metric': 'lifecycle.rate', 'plugin': null, 'pass': 100, 'acceptable': 80}]"

/* JSON with single quotes, for it stands in C. */
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

static void put_full_run(struct fixture *fixture, const char *id)
{
	struct nova_run_record run = some_run(id, 1795174756123456789);

	run.plan = json("{" GOALS ", 'level': 0.95, 'novacore': '0.1.0', 'notes': ['cut'],"
	                " 'proposals': [{'slug': 'x'}], 'metrics': {"
	                "  'lifecycle.start': {'unit': 's', 'better': 'lower', 'revision': 2,"
	                "   'doc': 'from a to b', 'source': 'QMP'},"
	                "  'lifecycle.rate': {'unit': 'B/s', 'better': 'higher', 'revision': 1,"
	                "   'doc': 'd'}},"
	                " 'targets': [{'name': 'local', 'plugin': 'kvm', 'params': {'uri':"
	                "  'qemu+ssh://me:secret@host/system?x=a:b@c'}},"
	                "  {'name': 'second', 'plugin': 'sim'}]}");
	run.where = json("{'cpu': 'EPYC', 'cores': 2}");
	run.what = json("{'kernel': '6.1'}");
	run.targets = json("[{'name': 'local', 'plugin': 'kvm', 'product': 'QEMU', 'accel': 'tcg',"
	                   " 'version': '7.2', 'simulated': false, 'capabilities':"
	                   " {'migrate': {'ok': false, 'why': 'one target'}, 'exec': {'ok': true}},"
	                   " 'facts': {'a': 'b'}}]");
	run.skipped = json("[{'benchmark': 'cpu', 'why': 'sysbench is missing'}]");
	run.ended_utc_ns = run.started_utc_ns + 5000000000;
	snprintf(run.state, sizeof(run.state), "complete");
	assert_done(fixture, nova_store_run_put(fixture->store, &run, &fixture->error));
	nova_run_record_clear(&run);
}

static void put_done_step(struct fixture *fixture, const char *run, uint32_t index, int target)
{
	NOVA_AUTOJSON json_t *targets = json_pack("[i]", target);
	NOVA_AUTOJSON json_t *params = json_pack("{s:i}", "concurrency", 5);
	struct nova_step_record step = {.index = index,
	                                .hash = "h",
	                                .benchmark = "lifecycle",
	                                .state = "done",
	                                .order_seed = 77,
	                                .targets = targets,
	                                .params = params,
	                                .started_utc_ns = 1795174757000000000,
	                                .ended_utc_ns = 1795174758000000000};

	assert_done(fixture, nova_store_step_put(fixture->store, run, &step, &fixture->error));
}

/* One replicate with these values of a metric; NAN is a timeout, INFINITY a failure. */
static void put_values(struct fixture *fixture, const char *run, struct nova_replicate at,
                       const char *state, const char *metric, size_t count, const double *values)
{
	uint32_t counts[4] = {0};

	assert_done(fixture, nova_store_replicate_begin(fixture->store, run, &at, &fixture->error));
	for (size_t i = 0; i < count; i++) {
		struct nova_sample_record sample = some_sample(at, metric, (uint32_t)i, values[i]);

		sample.status = isnan(values[i])   ? NOVA_SAMPLE_TIMED_OUT
		                : isinf(values[i]) ? NOVA_SAMPLE_FAILED
		                                   : NOVA_SAMPLE_OK;
		sample.error_ns = 1000;
		counts[0]++;
		counts[sample.status]++;
		assert_done(fixture,
		            nova_store_sample_put(fixture->store, run, &sample, &fixture->error));
	}
	assert_done(fixture, nova_store_replicate_end(fixture->store, run, &at, state, counts, NULL,
	                                              &fixture->error));
}

static json_t *build(struct fixture *fixture, const char *run)
{
	json_t *result = NULL;

	assert_done(fixture, nova_result_build(fixture->store, run, &result, &fixture->error));
	assert_done(fixture, nova_report_check(result, &fixture->error));
	return result;
}

static json_t *step_of(const json_t *result, size_t index)
{
	return json_array_get(json_object_get(result, "steps"), index);
}

static json_t *metric_of(const json_t *result, size_t step, size_t metric)
{
	return json_array_get(json_object_get(step_of(result, step), "metrics"), metric);
}

static const char *text(const json_t *object, const char *member)
{
	const char *value = json_string_value(json_object_get(object, member));

	return value ? value : "(null)";
}

static double number(const json_t *object, const char *member)
{
	return json_number_value(json_object_get(object, member));
}

/* --- building -------------------------------------------------------------------------------- */

static void tells_run_targets_and_what_was_left_out(void **state)
{
	struct fixture *fixture = *state;
	struct nova_step_record skipped = {.index = 1,
	                                   .hash = "h",
	                                   .benchmark = "migration",
	                                   .state = "skipped",
	                                   .why = (char *)"one target"};

	put_full_run(fixture, RUN_A);
	put_done_step(fixture, RUN_A, 0, 0);
	assert_done(fixture, nova_store_step_put(fixture->store, RUN_A, &skipped, NULL));
	NOVA_AUTOJSON json_t *result = build(fixture, "last");
	const json_t *run = json_object_get(result, "run");
	const json_t *target = json_array_get(json_object_get(result, "targets"), 0);
	const json_t *left = json_object_get(result, "skipped");

	assert_string_equal(text(run, "started"), "2026-11-20T11:39:16.123Z");
	assert_string_equal(text(run, "ended"), "2026-11-20T11:39:21.123Z");
	assert_string_equal(text(run, "novacore"), "0.1.0");
	assert_string_equal(text(target, "uri"), "qemu+ssh://me@host/system?x=a:b@c");
	assert_string_equal(text(target, "accel"), "tcg");
	assert_string_equal(text(json_array_get(json_object_get(result, "targets"), 1), "plugin"),
	                    "sim");
	assert_int_equal(json_array_size(left), 2);
	assert_string_equal(text(json_array_get(left, 0), "why"), "sysbench is missing");
	assert_string_equal(text(json_array_get(left, 1), "benchmark"), "migration");
	assert_int_equal(strlen(text(json_object_get(result, "where"), "hash")), 64);
}

static void reduces_and_judges_ten_samples(void **state)
{
	struct fixture *fixture = *state;
	const double values[] = {0.10, 0.9, 0.2, 0.8, 0.3, 0.7, 0.4, 0.6, 0.5, 1.0};

	put_full_run(fixture, RUN_A);
	put_done_step(fixture, RUN_A, 0, 0);
	put_values(fixture, RUN_A, (struct nova_replicate){0, 0, NOVA_SIDE_VM, 1, 0}, "done",
	           "lifecycle.start", 10, values);
	NOVA_AUTOJSON json_t *result = build(fixture, RUN_A);
	const json_t *metric = metric_of(result, 0, 0);
	const json_t *interval = json_object_get(metric, "interval");

	assert_int_equal(number(metric, "n"), 10);
	assert_near(number(metric, "value"), 0.55);
	assert_near(json_number_value(json_array_get(interval, 0)), 0.2);
	assert_near(json_number_value(json_array_get(interval, 1)), 0.9);
	assert_near(number(metric, "coverage"), 1 - 22.0 / 1024);
	assert_near(number(metric, "min"), 0.1);
	assert_near(number(metric, "max"), 1.0);
	assert_near(number(metric, "resolution_s"), 1e-6);
	assert_int_equal(number(metric, "revision"), 2);
	assert_string_equal(text(metric, "source"), "QMP");
	assert_string_equal(text(json_object_get(metric, "p99"), "why"), "n too small (10 < 299)");
	assert_string_equal(text(metric, "verdict"), "pass");
	assert_string_equal(text(metric, "verdict_why"), "(null)");
	assert_near(number(json_object_get(metric, "goal"), "pass"), 10);
}

static void goal_of_the_driver_wins_over_the_general_one(void **state)
{
	struct fixture *fixture = *state;
	const double values[] = {2, 2, 2, 2, 2, 2};

	put_full_run(fixture, RUN_A);
	put_done_step(fixture, RUN_A, 0, 1);
	put_values(fixture, RUN_A, (struct nova_replicate){0, 0, NOVA_SIDE_VM, 1, 0}, "done",
	           "lifecycle.start", 6, values);
	NOVA_AUTOJSON json_t *result = build(fixture, RUN_A);
	assert_near(number(json_object_get(metric_of(result, 0, 0), "goal"), "pass"), 1);
	assert_string_equal(text(metric_of(result, 0, 0), "verdict"), "needs optimization");
}

static void warmup_and_superseded_are_shown_and_not_counted(void **state)
{
	struct fixture *fixture = *state;
	const double cold[] = {99}, warm[] = {1}, again[] = {2};

	put_full_run(fixture, RUN_A);
	put_done_step(fixture, RUN_A, 0, 0);
	put_values(fixture, RUN_A, (struct nova_replicate){0, 1000000, NOVA_SIDE_VM, 1, 0},
	           "warmup", "lifecycle.start", 1, cold);
	put_values(fixture, RUN_A, (struct nova_replicate){0, 0, NOVA_SIDE_VM, 1, 0}, "superseded",
	           "lifecycle.start", 1, cold);
	put_values(fixture, RUN_A, (struct nova_replicate){0, 0, NOVA_SIDE_VM, 2, 0}, "done",
	           "lifecycle.start", 1, warm);
	put_values(fixture, RUN_A, (struct nova_replicate){0, 1, NOVA_SIDE_VM, 1, 0}, "failed",
	           "lifecycle.start", 1, again);
	NOVA_AUTOJSON json_t *result = build(fixture, RUN_A);
	const json_t *rows =
	        json_object_get(json_object_get(step_of(result, 0), "samples"), "rows");
	const bool counted[] = {false, true, true, false};

	assert_int_equal(number(metric_of(result, 0, 0), "n"), 2);
	assert_near(number(metric_of(result, 0, 0), "value"), 1.5);
	assert_int_equal(number(json_object_get(step_of(result, 0), "counts"), "attempted"), 2);
	assert_int_equal(json_array_size(rows), 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(json_is_true(json_array_get(json_array_get(rows, i), 11)),
		                 counted[i]);
	assert_int_equal(json_array_size(json_object_get(step_of(result, 0), "replicates")), 4);
}

static void sides_and_undeclared_metrics_stand_apart(void **state)
{
	struct fixture *fixture = *state;
	const double values[] = {1};

	put_full_run(fixture, RUN_A);
	put_done_step(fixture, RUN_A, 0, 0);
	put_values(fixture, RUN_A, (struct nova_replicate){0, 0, NOVA_SIDE_VM, 1, 0}, "done",
	           "a.stranger", 1, values);
	put_values(fixture, RUN_A, (struct nova_replicate){0, 1, NOVA_SIDE_NATIVE, 1, 0}, "done",
	           "lifecycle.rate", 1, values);
	put_values(fixture, RUN_A, (struct nova_replicate){0, 2, NOVA_SIDE_VM, 1, 0}, "done",
	           "lifecycle.rate", 1, values);
	put_values(fixture, RUN_A, (struct nova_replicate){0, 3, NOVA_SIDE_VM, 1, 0}, "done",
	           "lifecycle.start", 1, values);
	NOVA_AUTOJSON json_t *result = build(fixture, RUN_A);
	assert_int_equal(json_array_size(json_object_get(step_of(result, 0), "metrics")), 4);
	assert_string_equal(text(metric_of(result, 0, 0), "name"), "lifecycle.start");
	assert_string_equal(text(metric_of(result, 0, 1), "name"), "lifecycle.rate");
	assert_string_equal(text(metric_of(result, 0, 1), "side"), "vm");
	assert_string_equal(text(metric_of(result, 0, 2), "side"), "native");
	assert_string_equal(text(metric_of(result, 0, 3), "name"), "a.stranger");
	assert_string_equal(text(metric_of(result, 0, 3), "unit"), "1");
}

/* --- verdicts -------------------------------------------------------------------------------- */

struct judged {
	const char *metric;
	size_t count;
	double values[10];
	const char *verdict, *why; /* a piece of it, or NULL: none */
};

/* start: pass ≤ 10, acceptable ≤ 12; rate: pass ≥ 100, acceptable ≥ 80. */
static const struct judged cases[] = {
        {"lifecycle.start", 6, {1, 2, 3, 4, 5, 10}, "pass", NULL},
        {"lifecycle.start", 3, {1, 2, 3}, "pass", "n too small for an interval (3 < 6)"},
        {"lifecycle.start", 1, {1}, "pass", "n too small for an interval (1 < 6)"},
        {"lifecycle.start", 6, {11, 11, 11, 11, 11, 12}, "acceptable", NULL},
        {"lifecycle.start", 6, {9, 11, 11, 11, 11, 12}, "acceptable", NULL},
        {"lifecycle.start", 2, {11, 9}, "acceptable", "n too small"},
        {"lifecycle.start", 6, {12.1, 13, 14, 15, 16, 17}, "needs optimization", NULL},
        {"lifecycle.start", 2, {50, 60}, "needs optimization", "n too small"},
        {"lifecycle.start",
         6,
         {9, 11, 12, 13, 14, 15},
         "inconclusive",
         "the limit 10.0 s lies within 9.00 s … 15.0 s"},
        {"lifecycle.start",
         6,
         {11, 11, 12, 13, 14, 15},
         "inconclusive",
         "the limit 12.0 s lies within 11.0 s … 15.0 s"},
        {"lifecycle.start", 2, {9, 13}, "inconclusive", "n too small"},
        /* One timeout in ten does not reach the median's interval (ranks 2 to 9), two do. */
        {"lifecycle.start",
         10,
         {1, 1, 1, 1, 1, 1, 1, 1, 1, NAN},
         "pass",
         "1 of 10 did not succeed"},
        {"lifecycle.start",
         10,
         {1, 1, 1, 1, 1, 1, 1, 1, NAN, INFINITY},
         "inconclusive",
         "lies within 1.00 s … failure"},
        {"lifecycle.start", 3, {NAN, NAN, INFINITY}, "needs optimization", "none of 3 succeeded"},
        {"lifecycle.rate", 6, {100, 110, 120, 130, 140, 150}, "pass", NULL},
        {"lifecycle.rate", 6, {80, 85, 90, 95, 99, 99}, "acceptable", NULL},
        {"lifecycle.rate", 6, {10, 20, 30, 40, 50, 60}, "needs optimization", NULL},
        {"lifecycle.rate", 6, {70, 110, 120, 130, 140, 150}, "inconclusive", "the limit 100 B/s"},
        {"lifecycle.rate",
         10,
         {110, 110, 110, 110, 110, 110, 110, 110, NAN, NAN},
         "inconclusive",
         "2 of 10 did not succeed"},
        {"lifecycle.other", 6, {1, 2, 3, 4, 5, 6}, "none", NULL},
};

static void judges_by_the_documented_rule(void **state)
{
	struct fixture *fixture = *state;

	put_full_run(fixture, RUN_A);
	for (uint32_t i = 0; i < NOVA_COUNT(cases); i++) {
		put_done_step(fixture, RUN_A, i, 0);
		put_values(fixture, RUN_A, (struct nova_replicate){i, 0, NOVA_SIDE_VM, 1, 0},
		           "done", cases[i].metric, cases[i].count, cases[i].values);
	}
	NOVA_AUTOJSON json_t *result = build(fixture, RUN_A);
	for (size_t i = 0; i < NOVA_COUNT(cases); i++) {
		const json_t *metric = metric_of(result, i, 0);
		const char *why = text(metric, "verdict_why");

		if (strcmp(text(metric, "verdict"), cases[i].verdict) != 0)
			fail_msg("case %zu: %s (%s), not %s", i, text(metric, "verdict"), why,
			         cases[i].verdict);
		if (!strstr(why, cases[i].why ? cases[i].why : "(null)"))
			fail_msg("case %zu: why \"%s\"", i, why);
	}
}

static void text_that_is_no_utf8_still_makes_a_document(void **state)
{
	struct fixture *fixture = *state;
	struct nova_step_record step = {.hash = "h",
	                                .benchmark = "b",
	                                .state = "failed",
	                                .why = (char *)"guest said \xff\xfe"};

	put_full_run(fixture, RUN_A);
	assert_done(fixture, nova_store_step_put(fixture->store, RUN_A, &step, NULL));
	NOVA_AUTOJSON json_t *result = build(fixture, RUN_A);
	assert_string_equal(text(step_of(result, 0), "why"), "guest said ??");
}

static void run_without_plan_or_steps_is_a_document(void **state)
{
	struct fixture *fixture = *state;

	put_run(fixture, RUN_A, 1);
	NOVA_AUTOJSON json_t *result = build(fixture, RUN_A);
	assert_int_equal(json_array_size(json_object_get(result, "steps")), 0);
	json_t *none = NULL;
	assert_int_equal(nova_result_build(fixture->store, RUN_B, &none, &fixture->error),
	                 NOVA_E_NOT_FOUND);
	assert_null(none);
}

static void same_samples_in_any_order_make_the_same_rows(void **state)
{
	struct fixture *fixture = *state;
	const double values[] = {3, 1, 2};
	const struct nova_replicate first = {0, 0, NOVA_SIDE_VM, 1, 0},
	                            second = {0, 1, NOVA_SIDE_VM, 1, 0};

	put_full_run(fixture, RUN_A);
	put_full_run(fixture, RUN_B);
	put_done_step(fixture, RUN_A, 0, 0);
	put_done_step(fixture, RUN_B, 0, 0);
	put_values(fixture, RUN_A, first, "done", "lifecycle.start", 3, values);
	put_values(fixture, RUN_A, second, "done", "lifecycle.rate", 3, values);
	put_values(fixture, RUN_B, second, "done", "lifecycle.rate", 3, values);
	put_values(fixture, RUN_B, first, "done", "lifecycle.start", 3, values);
	NOVA_AUTOJSON json_t *a = build(fixture, RUN_A);
	NOVA_AUTOJSON json_t *b = build(fixture, RUN_B);
	assert_true(json_equal(step_of(a, 0), step_of(b, 0)));
}

/* --- import ---------------------------------------------------------------------------------- */

/* A run with everything in it, as a document; the store is empty again. */
static json_t *exported(struct fixture *fixture)
{
	const double values[] = {0.1, 0.7, 1.0 / 3, NAN, INFINITY, 0.2, 0.4};

	put_full_run(fixture, RUN_A);
	for (uint32_t step = 0; step < 2; step++) {
		put_done_step(fixture, RUN_A, step, (int)step);
		put_values(fixture, RUN_A, (struct nova_replicate){step, 0, NOVA_SIDE_VM, 1, 0},
		           "superseded", "lifecycle.start", 7, values);
		put_values(fixture, RUN_A, (struct nova_replicate){step, 0, NOVA_SIDE_VM, 2, 0},
		           "done", "lifecycle.start", 7, values);
		put_values(fixture, RUN_A, (struct nova_replicate){step, 1, NOVA_SIDE_NATIVE, 1, 0},
		           "done", "lifecycle.rate", 7, values);
	}
	json_t *result = build(fixture, RUN_A);
	assert_done(fixture, nova_store_run_delete(fixture->store, RUN_A, &fixture->error));
	return result;
}

static void imported_run_exports_as_it_was(void **state)
{
	struct fixture *fixture = *state;
	NOVA_AUTOJSON json_t *result = exported(fixture);
	bool imported = false;

	assert_done(fixture,
	            nova_result_import(fixture->store, result, &imported, &fixture->error));
	assert_true(imported);
	NOVA_AUTOJSON json_t *back = build(fixture, RUN_A);
	NOVA_AUTOFREE char *before = nova_json_canonical(result);
	NOVA_AUTOFREE char *after = nova_json_canonical(back);
	assert_string_equal(after, before);
	/* Through text as well: what a file does to it. */
	NOVA_AUTOJSON json_t *read = json_loads(before, 0, NULL);
	assert_done(fixture, nova_result_import(fixture->store, read, &imported, &fixture->error));
	assert_false(imported);
}

static void other_contents_under_a_known_id_are_refused(void **state)
{
	struct fixture *fixture = *state;
	NOVA_AUTOJSON json_t *result = exported(fixture);
	bool imported = false;

	assert_done(fixture,
	            nova_result_import(fixture->store, result, &imported, &fixture->error));
	json_object_set_new(json_object_get(result, "run"), "seed", json_integer(8));
	assert_int_equal(nova_result_import(fixture->store, result, &imported, &fixture->error),
	                 NOVA_E_EXISTS);
	assert_non_null(strstr(fixture->error.text, RUN_A));
	assert_false(imported);
}

static void altered_facts_are_refused(void **state)
{
	struct fixture *fixture = *state;
	NOVA_AUTOJSON json_t *result = exported(fixture);
	struct nova_run_record run;
	bool imported = false;

	json_object_set_new(json_object_get(json_object_get(result, "where"), "facts"), "cpu",
	                    json_string("faster"));
	assert_int_equal(nova_result_import(fixture->store, result, &imported, &fixture->error),
	                 NOVA_E_INVALID);
	assert_int_equal(nova_store_run_get(fixture->store, RUN_A, &run, NULL), NOVA_E_NOT_FOUND);
}

static void half_an_import_leaves_nothing(void **state)
{
	struct fixture *fixture = *state;
	NOVA_AUTOJSON json_t *result = exported(fixture);
	struct nova_run_record run;
	bool imported = false;
	json_t *rows = json_object_get(json_object_get(step_of(result, 1), "samples"), "rows");

	/* A sample twice; then one of a replicate that is not there. */
	json_array_append(rows, json_array_get(rows, 0));
	assert_int_equal(nova_result_import(fixture->store, result, &imported, &fixture->error),
	                 NOVA_E_EXISTS);
	assert_int_equal(nova_store_run_get(fixture->store, RUN_A, &run, NULL), NOVA_E_NOT_FOUND);
	json_array_remove(rows, json_array_size(rows) - 1);
	json_array_set_new(json_array_get(rows, 0), 0, json_integer(99));
	assert_int_equal(nova_result_import(fixture->store, result, &imported, &fixture->error),
	                 NOVA_E_NOT_FOUND);
	assert_int_equal(nova_store_run_get(fixture->store, RUN_A, &run, NULL), NOVA_E_NOT_FOUND);
	/* The store is not stuck in a transaction. */
	json_array_set_new(json_array_get(rows, 0), 0, json_integer(0));
	assert_done(fixture,
	            nova_result_import(fixture->store, result, &imported, &fixture->error));
	assert_true(imported);
}

static void texts_and_numbers_that_do_not_fit_are_refused(void **state)
{
	struct fixture *fixture = *state;
	NOVA_AUTOJSON json_t *good = exported(fixture);
	const struct {
		const char *member;
		json_t *value;
	} wrong[] = {
	        {"hash", json_string("0123456789012345678901234567890123456789012345678901234"
	                             "5678901234")},
	        {"benchmark",
	         json_string("b0123456789012345678901234567890123456789012345678901234567890123"
	                     "4567890")},
	        {"index", json_integer(INT64_C(1) << 33)}};

	for (size_t i = 0; i < NOVA_COUNT(wrong); i++) {
		NOVA_AUTOJSON json_t *result = json_deep_copy(good);
		bool imported = false;

		json_object_set_new(step_of(result, 0), wrong[i].member, wrong[i].value);
		assert_int_equal(
		        nova_result_import(fixture->store, result, &imported, &fixture->error),
		        NOVA_E_INVALID);
	}
}

int main(void)
{
#define FRESH(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	        FRESH(tells_run_targets_and_what_was_left_out),
	        FRESH(reduces_and_judges_ten_samples),
	        FRESH(goal_of_the_driver_wins_over_the_general_one),
	        FRESH(warmup_and_superseded_are_shown_and_not_counted),
	        FRESH(sides_and_undeclared_metrics_stand_apart),
	        FRESH(judges_by_the_documented_rule),
	        FRESH(text_that_is_no_utf8_still_makes_a_document),
	        FRESH(run_without_plan_or_steps_is_a_document),
	        FRESH(same_samples_in_any_order_make_the_same_rows),
	        FRESH(imported_run_exports_as_it_was),
	        FRESH(other_contents_under_a_known_id_are_refused),
	        FRESH(altered_facts_are_refused),
	        FRESH(half_an_import_leaves_nothing),
	        FRESH(texts_and_numbers_that_do_not_fit_are_refused),
	};

	return cmocka_run_group_tests_name("results", tests, NULL, NULL);
}
