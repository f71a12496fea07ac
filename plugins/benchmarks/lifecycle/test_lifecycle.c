/* SPDX-License-Identifier: MIT */
/* The lifecycle benchmark in the test host, whose simulated targets do what each test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include <novacore/testhost.h>

const struct nova_plugin *nova_plugin_entry_v1(const struct nova_host *host);

#define MS 1000000ll
/* The calls of a whole life, and parts of it. */
#define BORN     "vm_create vm_power.start wait.running"
#define READY    BORN " wait.ready wait.first wait.userspace"
#define RESTORED READY " snapshot.create snapshot.restore"
#define BACK     RESTORED " wait.unready wait.ready"
#define STOPPED  BACK " vm_power.shutdown wait.stopped"

static struct nova_testhost *host;

static int clean(void **state)
{
	(void)state;
	nova_testhost_free(host);
	host = NULL;
	return 0;
}

/* How a call or event goes from now on. */
static void script(const char *name, int status, int64_t latency_ns, uint32_t times)
{
	assert_int_equal(nova_testhost_script(host, name, status, latency_ns, times), NOVA_DONE);
}

/* A host with these parameters, whose calls take 10, 20, … ms. */
static void make(const char *const *parameters)
{
	clean(NULL);
	host = nova_testhost_new(nova_plugin_entry_v1(NULL), parameters);
	assert_non_null(host);
	assert_int_equal(nova_testhost_start(host), NOVA_DONE);
	script("vm_create", NOVA_DONE, 10 * MS, 0);
	script("vm_power.start", NOVA_DONE, 20 * MS, 0);
	script("snapshot.create", NOVA_DONE, 30 * MS, 0);
	script("snapshot.restore", NOVA_DONE, 40 * MS, 0);
	script("vm_power.shutdown", NOVA_DONE, 50 * MS, 0);
	script("vm_delete", NOVA_DONE, 60 * MS, 0);
}
#define MAKE(...) make((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static int make_plain(void **state)
{
	(void)state;
	make(NULL);
	return 0;
}

static int run(void)
{
	int status = nova_testhost_replicate(host, 0, NOVA_SIDE_VM);

	assert_int_equal(nova_testhost_complaints(host), 0);
	return status;
}

static const char *calls(void)
{
	return nova_testhost_calls(host, 1);
}

/* The only sample of the metric, or NULL. */
static const struct nova_sample *find(const char *metric)
{
	assert_null(nova_testhost_sample_of(host, metric, 1));
	return nova_testhost_sample_of(host, metric, 0);
}

static void assert_ms(const char *metric, double ms, int64_t error_ns)
{
	const struct nova_sample *sample = find(metric);

	assert_non_null(sample);
	assert_int_equal(sample->status, NOVA_SAMPLE_OK);
	assert_true(fabs(sample->value * 1e3 - ms) < 1e-9);
	assert_int_equal(sample->error_ns, error_ns);
}

/* One life was counted, so. */
static void assert_attempt(uint32_t status)
{
	for (uint32_t i = NOVA_SAMPLE_OK; i <= NOVA_SAMPLE_TIMED_OUT; i++)
		assert_int_equal(nova_testhost_attempts(host, i), i == status);
}

/* --- tests -------------------------------------------------------------------------------- */

static void lives_through_every_stage_in_order(void **state)
{
	int64_t start = nova_testhost_now_ns(host);
	const struct nova_sample *sample;

	(void)state;
	assert_int_equal(run(), NOVA_DONE);
	assert_string_equal(calls(), STOPPED " vm_delete");
	assert_int_equal(nova_testhost_sample_count(host), 12);
	assert_ms("lifecycle.create.api", 10, 0);
	assert_ms("lifecycle.start.api", 20, 0);
	assert_ms("lifecycle.start.running", 21, 1000);
	assert_ms("lifecycle.start.first", 22, 1000);
	assert_ms("lifecycle.start.userspace", 23, 1000);
	assert_ms("lifecycle.start.ready", 24, 1000);
	assert_ms("lifecycle.snapshot.done", 30, 0);
	assert_ms("lifecycle.restore.done", 40, 0);
	assert_ms("lifecycle.restore.ready", 44, 1000);
	assert_ms("lifecycle.stop.gone", 50, 1000);
	assert_ms("lifecycle.delete.api", 60, 0);
	assert_ms("lifecycle.total", 10 + 24 + 30 + 44 + 50 + 60, 0);
	/* A sample's time is the end of what was measured. */
	assert_int_equal(find("lifecycle.create.api")->t_ns, start + 10 * MS);
	assert_int_equal(find("lifecycle.start.ready")->t_ns, start + (10 + 24) * MS);
	assert_int_equal(find("lifecycle.total")->t_ns, nova_testhost_now_ns(host));
	/* A closed loop has no intended starts. */
	for (uint32_t i = 0; (sample = nova_testhost_sample(host, i)); i++)
		assert_int_equal(sample->intended_ns, 0);
	assert_attempt(NOVA_SAMPLE_OK);
	assert_int_equal(nova_testhost_leftovers(host), 0);
}

static void declares_every_metric_that_it_samples(void **state)
{
	const struct nova_plugin *plugin = nova_plugin_entry_v1(NULL);
	const struct nova_benchmark *ops = plugin->ops;
	uint32_t declared = 0;

	(void)state;
	assert_int_equal(run(), NOVA_DONE);
	for (const struct nova_metric *const *metric = ops->metrics; *metric;
	     metric++, declared++) {
		assert_non_null(find((*metric)->name));
		assert_int_equal((*metric)->unit, NOVA_UNIT_SECOND);
		assert_int_equal((*metric)->better, NOVA_BETTER_LOWER);
		assert_true(strlen((*metric)->doc) > 20);
	}
	assert_int_equal(declared, nova_testhost_sample_count(host));
}

static void runs_a_block_of_vms_together(void **state)
{
	(void)state;
	MAKE("concurrency=3");
	assert_int_equal(nova_testhost_width(host), 3);
	assert_int_equal(run(), NOVA_DONE);
	assert_int_equal(nova_testhost_vms(host), 3);
	assert_int_equal(nova_testhost_attempts(host, NOVA_SAMPLE_OK), 3);
	assert_int_equal(nova_testhost_sample_count(host), 36);
	/* All of them at the same time, as fast as it goes. */
	for (uint32_t i = 1; i < 3; i++)
		assert_int_equal(nova_testhost_sample_of(host, "lifecycle.total", i)->t_ns,
		                 nova_testhost_sample_of(host, "lifecycle.total", 0)->t_ns);
	for (nova_vm vm = 1; vm <= 3; vm++)
		assert_string_equal(nova_testhost_calls(host, vm), STOPPED " vm_delete");
}

static void a_failure_is_a_sample_and_the_end_of_that_life(void **state)
{
	/* which call or event fails after how many that work, the calls up to the end, samples
	 * that are fine, and the metrics that failed */
	static const struct {
		const char *fails;
		uint32_t works;
		const char *calls;
		uint32_t fine;
		const char *metrics[2];
	} cases[] = {
	        {"vm_create", 0, "vm_create vm_delete", 0, {"lifecycle.create.api"}},
	        {"vm_power.start",
	         0,
	         "vm_create vm_power.start vm_delete",
	         1,
	         {"lifecycle.start.api", "lifecycle.start.running"}},
	        {"event.running", 0, BORN " vm_delete", 2, {"lifecycle.start.running"}},
	        {"event.ready", 0, READY " vm_delete", 5, {"lifecycle.start.ready"}},
	        {"snapshot.create",
	         0,
	         READY " snapshot.create vm_delete",
	         6,
	         {"lifecycle.snapshot.done"}},
	        {"snapshot.restore", 0, RESTORED " vm_delete", 7, {"lifecycle.restore.done"}},
	        {"event.ready", 1, BACK " vm_delete", 8, {"lifecycle.restore.ready"}},
	        {"vm_power.shutdown",
	         0,
	         BACK " vm_power.shutdown vm_delete",
	         9,
	         {"lifecycle.stop.gone"}},
	        {"event.stopped", 0, STOPPED " vm_delete", 9, {"lifecycle.stop.gone"}},
	        {"vm_delete", 0, STOPPED " vm_delete", 10, {"lifecycle.delete.api"}},
	};
	static const int statuses[] = {NOVA_E_FAILED, NOVA_E_TIMEOUT, NOVA_E_BUSY};

	(void)state;
	for (size_t i = 0; i < 3 * sizeof(cases) / sizeof(cases[0]); i++) {
		size_t at = i / 3;
		uint32_t want = statuses[i % 3] == NOVA_E_TIMEOUT ? NOVA_SAMPLE_TIMED_OUT
		                                                  : NOVA_SAMPLE_FAILED;
		uint32_t failed = 0;

		make(NULL);
		if (cases[at].works)
			script(cases[at].fails, NOVA_DONE, 0, cases[at].works);
		script(cases[at].fails, statuses[i % 3], 0, 1);
		assert_int_equal(run(), NOVA_DONE);
		assert_string_equal(calls(), cases[at].calls);
		for (; failed < 2 && cases[at].metrics[failed]; failed++) {
			assert_non_null(find(cases[at].metrics[failed]));
			assert_int_equal(find(cases[at].metrics[failed])->status, want);
		}
		assert_int_equal(nova_testhost_sample_count(host), cases[at].fine + failed);
		for (uint32_t j = 0; j < cases[at].fine; j++)
			assert_int_equal(nova_testhost_sample(host, j)->status, NOVA_SAMPLE_OK);
		assert_attempt(want);
	}
}

static void one_vms_failure_does_not_touch_the_others(void **state)
{
	(void)state;
	MAKE("concurrency=3");
	script("snapshot.create", NOVA_DONE, 0, 1);
	script("snapshot.create", NOVA_E_FAILED, 0, 1);
	assert_int_equal(run(), NOVA_DONE);
	assert_int_equal(nova_testhost_attempts(host, NOVA_SAMPLE_OK), 2);
	assert_int_equal(nova_testhost_attempts(host, NOVA_SAMPLE_FAILED), 1);
	assert_int_equal(nova_testhost_sample_count(host), 12 + 7 + 12);
	assert_string_equal(nova_testhost_calls(host, 2), READY " snapshot.create vm_delete");
	assert_string_equal(nova_testhost_calls(host, 3), STOPPED " vm_delete");
}

static void returns_at_once_when_interrupted_or_refused(void **state)
{
	/* what is scripted so, and the last call */
	static const char *const points[][2] = {{"vm_create", "vm_create"},
	                                        {"vm_power.start", "vm_power.start"},
	                                        {"event.running", "wait.running"},
	                                        {"event.ready", "wait.ready"},
	                                        {"event.first", "wait.first"},
	                                        {"event.userspace", "wait.userspace"},
	                                        {"snapshot.create", "snapshot.create"},
	                                        {"snapshot.restore", "snapshot.restore"},
	                                        {"event.unready", "wait.unready"},
	                                        {"vm_power.shutdown", "vm_power.shutdown"},
	                                        {"event.stopped", "wait.stopped"},
	                                        {"vm_delete", "vm_delete"}};
	static const int statuses[] = {NOVA_E_INTERRUPTED, NOVA_E_REFUSED};
	const struct nova_sample *sample;

	(void)state;
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		for (int j = 0; j < 2; j++) {
			if (j == 1 && strncmp(points[i][0], "event.", 6) == 0)
				continue; /* an event is not refused */
			make(NULL);
			script(points[i][0], statuses[j], 0, 1);
			assert_int_equal(run(), statuses[j]);
			assert_attempt(0);
			for (uint32_t k = 0; (sample = nova_testhost_sample(host, k)); k++)
				assert_int_equal(sample->status, NOVA_SAMPLE_OK);
			/* Nothing was called after it. */
			assert_true(strlen(calls()) >= strlen(points[i][1]));
			assert_string_equal(calls() + strlen(calls()) - strlen(points[i][1]),
			                    points[i][1]);
		}
}

static void skips_what_the_target_cannot_do_and_says_why(void **state)
{
	(void)state;
	nova_testhost_deny(host, NOVA_CAN_READY, "it never learnt to");
	nova_testhost_deny(host, NOVA_CAN_SNAPSHOT, "it never learnt to");
	nova_testhost_deny(host, NOVA_CAN_SHUTDOWN, "it never learnt to");
	assert_int_equal(run(), NOVA_DONE);
	assert_string_equal(calls(), BORN " vm_power.off vm_delete");
	assert_int_equal(nova_testhost_sample_count(host), 5);
	assert_null(find("lifecycle.start.ready"));
	assert_null(find("lifecycle.stop.gone"));
	assert_attempt(NOVA_SAMPLE_OK);
	assert_true(nova_testhost_logged(host, "it never learnt to"));
	assert_true(nova_testhost_logged(host, "lifecycle.start.ready"));
	assert_true(nova_testhost_logged(host, "lifecycle.snapshot.done"));
	assert_true(nova_testhost_logged(host, "lifecycle.stop.gone"));
}

static void pulls_the_plug_of_a_vm_that_is_not_known_to_listen(void **state)
{
	(void)state;
	MAKE("ready=false", "snapshot=false");
	assert_int_equal(run(), NOVA_DONE);
	assert_string_equal(calls(), BORN " vm_power.off vm_delete");
	assert_null(find("lifecycle.stop.gone"));
	assert_true(nova_testhost_logged(host, "plug"));
	MAKE("ready=false", "snapshot=false");
	script("vm_power.off", NOVA_E_TIMEOUT, 0, 0);
	assert_int_equal(run(), NOVA_DONE);
	assert_attempt(NOVA_SAMPLE_TIMED_OUT);
	assert_null(find("lifecycle.delete.api"));
	assert_null(find("lifecycle.total"));
}

static void follows_its_parameters(void **state)
{
	(void)state;
	MAKE("ready=false", "first=true", "restore=false");
	assert_int_equal(run(), NOVA_DONE);
	assert_string_equal(calls(), BORN " wait.first snapshot.create vm_power.off vm_delete");
	assert_ms("lifecycle.start.first", 22, 1000);
	MAKE("ready=false"); /* so there is no coming back to wait for */
	assert_int_equal(run(), NOVA_DONE);
	assert_string_equal(calls(),
	                    BORN " snapshot.create snapshot.restore vm_power.off vm_delete");
	MAKE("graceful=false", "snapshot=false");
	assert_int_equal(run(), NOVA_DONE);
	assert_string_equal(calls(), READY " vm_power.off vm_delete");
	assert_false(nova_testhost_logged(host, "plug"));
}

static void keeps_the_deadlines_that_it_is_given(void **state)
{
	(void)state;
	MAKE("op_timeout=29ms"); /* the snapshot takes 30 */
	assert_int_equal(run(), NOVA_DONE);
	assert_string_equal(calls(), READY " snapshot.create vm_delete");
	assert_int_equal(find("lifecycle.snapshot.done")->status, NOVA_SAMPLE_TIMED_OUT);
	assert_attempt(NOVA_SAMPLE_TIMED_OUT);
	MAKE("ready_timeout=2ms"); /* RUNNING comes in time, and READY not */
	assert_int_equal(run(), NOVA_DONE);
	assert_ms("lifecycle.start.running", 21, 1000);
	assert_int_equal(find("lifecycle.start.ready")->status, NOVA_SAMPLE_TIMED_OUT);
}

static void does_not_miss_events_that_a_target_does_not_tell(void **state)
{
	(void)state;
	script("event.userspace", NOVA_E_TIMEOUT, 0, 0);
	assert_int_equal(run(), NOVA_DONE);
	assert_null(find("lifecycle.start.userspace"));
	assert_ms("lifecycle.start.first", 22, 1000);
	assert_ms("lifecycle.start.ready", 24, 1000);
	assert_attempt(NOVA_SAMPLE_OK);
}

static void an_agent_that_stays_has_no_coming_back(void **state)
{
	(void)state;
	script("event.unready", NOVA_E_TIMEOUT, 0, 0);
	assert_int_equal(run(), NOVA_DONE);
	assert_null(find("lifecycle.restore.ready"));
	assert_ms("lifecycle.restore.done", 40, 0);
	assert_ms("lifecycle.stop.gone", 50, 1000);
	assert_true(nova_testhost_logged(host, "lifecycle.restore.ready"));
}

static void refuses_wrong_parameters(void **state)
{
	static const char *const wrong[] = {"concurrency=0", "concurrency=1001", "concurrency=x",
	                                    "ready=maybe",   "op_timeout=5",     "snapshots=true"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *parameters[] = {wrong[i], NULL};

		assert_null(nova_testhost_new(nova_plugin_entry_v1(NULL), parameters));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_plain, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(lives_through_every_stage_in_order),
	        TEST(declares_every_metric_that_it_samples),
	        TEST(runs_a_block_of_vms_together),
	        TEST(a_failure_is_a_sample_and_the_end_of_that_life),
	        TEST(one_vms_failure_does_not_touch_the_others),
	        TEST(returns_at_once_when_interrupted_or_refused),
	        TEST(skips_what_the_target_cannot_do_and_says_why),
	        TEST(pulls_the_plug_of_a_vm_that_is_not_known_to_listen),
	        TEST(follows_its_parameters),
	        TEST(keeps_the_deadlines_that_it_is_given),
	        TEST(does_not_miss_events_that_a_target_does_not_tell),
	        TEST(an_agent_that_stays_has_no_coming_back),
	        TEST(refuses_wrong_parameters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
