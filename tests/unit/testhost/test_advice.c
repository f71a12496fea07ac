/* SPDX-License-Identifier: MIT */
/* The test host for optimizers and profiles, which keep or break the contract as each test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <novacore/testhost.h>

static struct nova_testhost *host;

/* Exactly one complaint, with that part. */
static void assert_complaint(const char *part)
{
	assert_int_equal(nova_testhost_complaints(host), 1);
	if (!strstr(nova_testhost_complaint(host, 0), part))
		print_error("\"%s\" is not in \"%s\"\n", part, nova_testhost_complaint(host, 0));
	assert_non_null(strstr(nova_testhost_complaint(host, 0), part));
}

/* --- an optimizer ------------------------------------------------------------------------------
 */

static int (*examine_does)(void);
static const struct nova_host *table;
static const struct nova_view *view;
static nova_op op;

static int fake_examine(const struct nova_host *given, const struct nova_view *given_view,
                        nova_op given_op)
{
	table = given;
	view = given_view;
	op = given_op;
	return examine_does();
}

static const struct nova_optimizer OPTIMIZER_OPS = {.struct_size = sizeof(OPTIMIZER_OPS),
                                                    .examine = fake_examine};
static const struct nova_plugin OPTIMIZER = {
        .struct_size = sizeof(OPTIMIZER),
        .kind = NOVA_KIND_OPTIMIZER,
        .thread_model = NOVA_THREADS_PARALLEL,
        .name = "fake",
        .version = "1",
        .summary = "for the test host's own test",
        .license = "MIT",
        .ops = &OPTIMIZER_OPS,
};

static int begin(void **state)
{
	(void)state;
	host = nova_testhost_new(&OPTIMIZER, NULL);
	assert_non_null(host);
	assert_int_equal(nova_testhost_start(host), NOVA_DONE);
	return 0;
}

static int end(void **state)
{
	(void)state;
	nova_testhost_free(host);
	host = NULL;
	return 0;
}

static int once(int (*does)(void))
{
	examine_does = does;
	return nova_testhost_examine(host, 10000);
}

static int looks(void)
{
	struct nova_result result = {.struct_size = sizeof(result)};
	char value[16], small[3];

	assert_int_equal(view->fact(op, "host.cpu", value, sizeof(value)), NOVA_DONE);
	assert_string_equal(value, "EPYC");
	assert_int_equal(view->fact(op, "host.cpu", small, sizeof(small)), NOVA_E_FULL);
	assert_string_equal(small, "EP");
	assert_int_equal(view->fact(op, "host.gpu", value, sizeof(value)), NOVA_E_NOT_FOUND);
	assert_string_equal(value, "");
	assert_int_equal(view->knob(op, "host", "x", value, sizeof(value)), NOVA_DONE);
	assert_string_equal(value, "2");
	assert_int_equal(view->knob(op, "vm:a", "x", value, sizeof(value)), NOVA_DONE);
	assert_string_equal(value, "3");
	assert_int_equal(view->knob(op, "vm:b", "x", value, sizeof(value)), NOVA_E_NOT_FOUND);
	assert_int_equal(view->metric(op, "fake.time", &result), NOVA_DONE);
	assert_int_equal(result.count, 1);
	assert_true(fabs(result.f64 - 0.25) < 1e-9);
	assert_int_equal(view->metric(op, "fake.rate", &result), NOVA_E_NOT_FOUND);
	return NOVA_DONE;
}

static void shows_what_the_test_sets_and_nothing_else(void **state)
{
	char key[] = "host.cpu";

	(void)state;
	nova_testhost_set_fact(host, key, "EPYC");
	key[0] = 'x';
	nova_testhost_set_knob(host, "host", "x", "1");
	nova_testhost_set_knob(host, "vm:a", "x", "3");
	nova_testhost_set_knob(host, "host", "x", "2");
	nova_testhost_set_metric(host, "fake.time", 1);
	nova_testhost_set_metric(host, "fake.time", 0.25);
	assert_int_equal(once(looks), NOVA_DONE);
	assert_int_equal(nova_testhost_complaints(host), 0);
	assert_int_equal(nova_testhost_proposal_count(host), 0);
}

static int asks_wrongly(void)
{
	struct nova_result result = {.struct_size = 4};
	char value[4];

	assert_int_equal(view->fact(op, NULL, value, sizeof(value)), NOVA_E_NOT_FOUND);
	assert_int_equal(view->fact(op, "x", NULL, 4), NOVA_E_INVALID);
	assert_int_equal(view->fact(op, "x", value, 0), NOVA_E_INVALID);
	assert_int_equal(view->knob(op, NULL, "x", value, sizeof(value)), NOVA_E_NOT_FOUND);
	assert_int_equal(view->metric(op, "x", &result), NOVA_E_INVALID);
	assert_int_equal(view->metric(op, "x", NULL), NOVA_E_INVALID);
	assert_int_equal(view->fact(op + 1000, "x", value, sizeof(value)), NOVA_E_INVALID);
	return NOVA_DONE;
}

static void complains_of_wrong_questions(void **state)
{
	char value[4];

	(void)state;
	assert_int_equal(once(asks_wrongly), NOVA_DONE);
	assert_int_equal(nova_testhost_complaints(host), 6); /* the last op has no host */
	assert_int_equal(view->fact(op, "x", value, sizeof(value)), NOVA_E_INVALID);
	assert_int_equal(view->propose(op, NULL), NOVA_E_INVALID);
	assert_int_equal(nova_testhost_complaints(host), 8);
	assert_non_null(strstr(nova_testhost_complaint(host, 7), "outside of examine"));
	nova_testhost_set_fact(host, NULL, "x");
	nova_testhost_set_knob(host, "host", "x", NULL);
	assert_int_equal(nova_testhost_complaints(host), 10);
}

/* What `proposes` gives; each test changes what it is about. */
static struct nova_change change;
static const struct nova_change *changes[3];
static struct nova_proposal proposal;
static int outcome;

static void prepare(void)
{
	change = (struct nova_change){.struct_size = sizeof(change),
	                              .when = NOVA_WHEN_LIVE,
	                              .object = "host",
	                              .knob = "x",
	                              .from = "1",
	                              .to = "2"};
	changes[0] = &change;
	changes[1] = changes[2] = NULL;
	proposal = (struct nova_proposal){.struct_size = sizeof(proposal),
	                                  .slug = "more-x",
	                                  .why = "x is too low",
	                                  .source = "a book",
	                                  .metric = "fake.time",
	                                  .changes = changes,
	                                  .gain = 0.2,
	                                  .gain_low = 0.1,
	                                  .gain_high = 0.3,
	                                  .confidence = 0.5};
}

static int proposes(void)
{
	outcome = view->propose(op, &proposal);
	return NOVA_DONE;
}

static void keeps_deep_copies_of_proposals(void **state)
{
	const struct nova_proposal *kept;
	struct nova_change second;
	char slug[] = "more-x", to[] = "2";

	(void)state;
	prepare();
	second = change;
	second.object = "vm:a";
	changes[1] = &second;
	proposal.slug = slug;
	change.to = to;
	assert_int_equal(once(proposes), NOVA_DONE);
	assert_int_equal(outcome, NOVA_DONE);
	slug[0] = to[0] = 'z';
	change.knob = NULL;
	changes[0] = NULL;
	assert_int_equal(nova_testhost_proposal_count(host), 1);
	kept = nova_testhost_proposal(host, 0);
	assert_string_equal(kept->slug, "more-x");
	assert_string_equal(kept->source, "a book");
	assert_null(kept->accept_risk);
	assert_string_equal(kept->changes[0]->to, "2");
	assert_string_equal(kept->changes[0]->knob, "x");
	assert_string_equal(kept->changes[1]->object, "vm:a");
	assert_null(kept->changes[2]);
	assert_true(fabs(kept->gain_high - 0.3) < 1e-9);
	assert_null(nova_testhost_proposal(host, 1));
	/* The same slug again, in another examination; a gain that nobody knows is 0. */
	prepare();
	proposal.gain = proposal.gain_low = proposal.gain_high = proposal.confidence = 0;
	assert_int_equal(once(proposes), NOVA_DONE);
	assert_int_equal(nova_testhost_proposal_count(host), 2);
	assert_int_equal(nova_testhost_complaints(host), 0);
}

static const struct nova_change *const NO_CHANGES[] = {NULL};

static void complains_of_proposals_that_are_wrong(void **state)
{
	enum { SIZE, SLUG, WHY, RISK, NONE, EMPTY, GAIN, LOW, HIGH, NEGATIVE, SURE, UNSURE, CASES };
	static const char *const parts[] = {
	        "struct_size",     "slug",      "why",      "no name",   "changes nothing",
	        "changes nothing", "finite",    "gain_low", "gain_high", "confidence",
	        "confidence",      "confidence"};

	for (int i = 0; i < CASES; i++) {
		end(state);
		begin(state);
		prepare();
		switch (i) {
		case SIZE: proposal.struct_size = 4; break;
		case SLUG: proposal.slug = "More X"; break;
		case WHY: proposal.why = ""; break;
		case RISK: proposal.accept_risk = ""; break;
		case NONE: proposal.changes = NULL; break;
		case EMPTY: proposal.changes = NO_CHANGES; break;
		case GAIN: proposal.gain = NAN; break;
		case LOW: proposal.gain_low = 0.25; break;
		case HIGH: proposal.gain_high = 0.15; break;
		case NEGATIVE: proposal.confidence = -0.1; break;
		case SURE: proposal.confidence = 1.1; break;
		default: proposal.confidence = NAN; break;
		}
		assert_int_equal(once(proposes), NOVA_DONE);
		assert_int_equal(outcome, NOVA_E_INVALID);
		assert_complaint(parts[i]);
		assert_int_equal(nova_testhost_proposal_count(host), 0);
	}
}

static void complains_of_changes_that_are_wrong(void **state)
{
	static const struct {
		struct nova_change change;
		const char *part;
	} cases[] = {
#define SIZE_OF sizeof(struct nova_change)
	        {{4, NOVA_WHEN_LIVE, "host", "x", "1", "2"}, "struct_size"},
	        {{SIZE_OF, 0, "host", "x", "1", "2"}, "takes effect"},
	        {{SIZE_OF, 101, "host", "x", "1", "2"}, "takes effect"},
	        {{SIZE_OF, NOVA_WHEN_LIVE, NULL, "x", "1", "2"}, "object"},
	        {{SIZE_OF, NOVA_WHEN_LIVE, "hosts", "x", "1", "2"}, "object"},
	        {{SIZE_OF, NOVA_WHEN_LIVE, "vm:", "x", "1", "2"}, "object"},
	        {{SIZE_OF, NOVA_WHEN_LIVE, "shape:a", "", "1", "2"}, "no knob"},
	        {{SIZE_OF, NOVA_WHEN_LIVE, "target:a", "x", NULL, "2"}, "from what"},
	        {{SIZE_OF, NOVA_WHEN_LIVE, "host", "x", "1", NULL}, "to what"},
	        {{SIZE_OF, NOVA_WHEN_REBOOT, "host", "x", "2", "2"}, "the same"},
	        {{SIZE_OF, NOVA_WHEN_REBOOT, "host", "y", "1", "2"}, "not what the knob is"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		end(state);
		begin(state);
		nova_testhost_set_knob(host, "host", "y", "7");
		prepare();
		change = cases[i].change;
		assert_int_equal(once(proposes), NOVA_DONE);
		assert_int_equal(outcome, NOVA_E_INVALID);
		assert_complaint(cases[i].part);
	}
	end(state);
	begin(state);
	prepare();
	changes[1] = &(struct nova_change){SIZE_OF, NOVA_WHEN_LIVE, "host", "x", "1", "3"};
	assert_int_equal(once(proposes), NOVA_DONE);
	assert_complaint("twice");
}

static int proposes_twice(void)
{
	proposes();
	return proposes();
}

static void complains_of_a_proposal_made_twice(void **state)
{
	(void)state;
	prepare();
	assert_int_equal(once(proposes_twice), NOVA_DONE);
	assert_complaint("already");
	assert_int_equal(nova_testhost_proposal_count(host), 1);
}

static int fails_silently(void)
{
	return NOVA_E_FAILED;
}

static int fails_with_text(void)
{
	return table->error(op, NOVA_E_PERMISSION, "cannot read /proc");
}

static int waits_for_the_end(void)
{
	while (!table->cancelled(op))
		usleep(500);
	return NOVA_E_CANCELLED;
}

static void an_examination_is_an_op(void **state)
{
	(void)state;
	assert_int_equal(once(fails_with_text), NOVA_E_PERMISSION);
	assert_string_equal(nova_testhost_error(host), "cannot read /proc");
	assert_int_equal(nova_testhost_complaints(host), 0);
	examine_does = waits_for_the_end;
	assert_int_equal(nova_testhost_examine(host, 20), NOVA_E_TIMEOUT);
	assert_int_equal(nova_testhost_complaints(host), 0);
	assert_int_equal(once(fails_silently), NOVA_E_FAILED);
	assert_complaint("no error()");
	nova_testhost_stop(host);
	assert_int_equal(once(fails_silently), NOVA_E_INVALID);
	assert_int_equal(nova_testhost_replicate(host, 0, NOVA_SIDE_VM), NOVA_E_INVALID);
	assert_int_equal(nova_testhost_script(host, "exec", 0, 0, 0), NOVA_E_INVALID);
}

/* --- a profile ---------------------------------------------------------------------------------
 */

static int fake_adapt(const struct nova_host *given, nova_op number, const char *workload)
{
	if (strcmp(workload, "ml") == 0) {
		given->put_fact(number, NOVA_FIELD_FACT, "run.samples", "20");
		given->put_fact(number, NOVA_FIELD_FACT, "vm.standard.vcpus", "8");
	} else if (strcmp(workload, "no-value") == 0) {
		given->put_fact(number, NOVA_FIELD_FACT, "run.samples", NULL);
	} else if (strcmp(workload, "no-name") == 0) {
		given->put_fact(number, NOVA_FIELD_FACT, "", "1");
	} else if (strcmp(workload, "twice") == 0) {
		given->put_fact(number, NOVA_FIELD_FACT, "run.samples", "1");
		given->put_fact(number, NOVA_FIELD_FACT, "run.samples", "2");
	} else if (strcmp(workload, "number") == 0) {
		given->put_i64(number, NOVA_FIELD_FACT, 1);
	} else if (strcmp(workload, "other") == 0) {
		given->put_i64(number, NOVA_FIELD_PID, 1);
	} else {
		return given->errorf(number, NOVA_E_INVALID, "no workload \"%s\"", workload);
	}
	return NOVA_DONE;
}

static struct nova_profile profile_ops = {
        .struct_size = sizeof(profile_ops), .settings = "suite = [];", .adapt = fake_adapt};
static const struct nova_plugin PROFILE = {
        .struct_size = sizeof(PROFILE),
        .kind = NOVA_KIND_PROFILE,
        .thread_model = NOVA_THREADS_SERIAL,
        .name = "fake",
        .version = "1",
        .summary = "for the test host's own test",
        .license = "MIT",
        .ops = &profile_ops,
};

static int begin_profile(void **state)
{
	(void)state;
	host = nova_testhost_new(&PROFILE, NULL);
	assert_non_null(host);
	assert_int_equal(nova_testhost_start(host), NOVA_DONE);
	return 0;
}

static void gives_the_settings_that_adapt_puts(void **state)
{
	(void)state;
	assert_int_equal(nova_testhost_adapt(host, "ml", 1000), NOVA_DONE);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_FACT), 2);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "vm.standard.vcpus"), "8");
	assert_int_equal(nova_testhost_adapt(host, "juggling", 1000), NOVA_E_INVALID);
	assert_string_equal(nova_testhost_error(host), "no workload \"juggling\"");
	assert_int_equal(nova_testhost_adapt(host, NULL, 1000), NOVA_E_INVALID);
	assert_int_equal(nova_testhost_complaints(host), 0);
	profile_ops.adapt = NULL;
	assert_int_equal(nova_testhost_adapt(host, "ml", 1000), NOVA_E_UNSUPPORTED);
	profile_ops.adapt = fake_adapt;
	nova_testhost_stop(host);
	assert_int_equal(nova_testhost_adapt(host, "ml", 1000), NOVA_E_INVALID);
}

static void complains_of_settings_that_are_wrong(void **state)
{
	static const char *const cases[][2] = {{"no-value", "without a value"},
	                                       {"no-name", "without a name"},
	                                       {"number", "without a name"},
	                                       {"twice", "twice"},
	                                       {"other", "not NOVA_FIELD_FACT"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		end(state);
		begin_profile(state);
		assert_int_equal(nova_testhost_adapt(host, cases[i][0], 1000), NOVA_DONE);
		assert_complaint(cases[i][1]);
	}
}

#define TEST(name)         cmocka_unit_test_setup_teardown(name, begin, end)
#define TEST_PROFILE(name) cmocka_unit_test_setup_teardown(name, begin_profile, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(shows_what_the_test_sets_and_nothing_else),
	        TEST(complains_of_wrong_questions),
	        TEST(keeps_deep_copies_of_proposals),
	        TEST(complains_of_proposals_that_are_wrong),
	        TEST(complains_of_changes_that_are_wrong),
	        TEST(complains_of_a_proposal_made_twice),
	        TEST(an_examination_is_an_op),
	        TEST_PROFILE(gives_the_settings_that_adapt_puts),
	        TEST_PROFILE(complains_of_settings_that_are_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
