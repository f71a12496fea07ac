/* SPDX-License-Identifier: MIT */
/* The lifecycle benchmark against a lab that does what each test says, and writes down all calls.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <novacore/testhost.h>

const struct nova_plugin *nova_plugin_entry_v1(const struct nova_host *host);

/* --- the lab ------------------------------------------------------------------------------ */

/* Each call takes 10 (ns·10⁶) and the events of a boot come 1, 2, 3, 4 after START's return. */
#define CALL_NS 10000000
#define STEP_NS 1000000

static struct {
	char calls[4096]; /* words, each followed by a blank */
	struct nova_sample samples[64];
	int sample_count;
	uint32_t attempts[8];
	int attempt_count;
	nova_vm last_vm;
	int64_t clock_ns, from_ns, to_ns;
	uint32_t fan_count, fan_limit;
	double fan_rate;
	/* what the test asks for */
	const char *fails; /* the call that fails, and how often it works before */
	int status, works;
	const char *lacks[4]; /* capabilities */
	const char *silent;   /* an event that never comes, as "?first" is called below */
} lab;

static const struct {
	uint32_t kind;
	const char *name;
	int64_t after_ns; /* START's or RESTORE's return */
} EVENTS[] = {
        {NOVA_EVENT_RUNNING, "?running", 0},
        {NOVA_EVENT_FIRST, "?first", STEP_NS},
        {NOVA_EVENT_USERSPACE, "?userspace", 2 * STEP_NS},
        {NOVA_EVENT_READY, "?ready", 3 * STEP_NS},
        {NOVA_EVENT_UNREADY, "?unready", 0},
        {NOVA_EVENT_STOPPED, "?stopped", 0},
};

/* Writes the call down; its fate. */
static int happen(const char *name)
{
	size_t used = strlen(lab.calls);

	snprintf(lab.calls + used, sizeof(lab.calls) - used, "%s ", name);
	if (lab.fails && strcmp(lab.fails, name) == 0 && lab.works-- == 0)
		return lab.status;
	return NOVA_DONE;
}

static int call(const char *name)
{
	int status = happen(name);

	lab.from_ns = lab.clock_ns += 5;
	lab.to_ns = lab.clock_ns += CALL_NS;
	return status;
}

static int lab_can(nova_run run, uint32_t target, const char *capability, char *why, uint32_t room)
{
	(void)run;
	assert_int_equal(target, 0);
	for (int i = 0; i < 4 && lab.lacks[i]; i++)
		if (strcmp(lab.lacks[i], capability) == 0) {
			snprintf(why, room, "it never learnt to");
			return 0;
		}
	return 1;
}

static int lab_vm_create(nova_run run, uint32_t target, const struct nova_shape *shape,
                         int64_t deadline_ns, nova_vm *vm)
{
	(void)run;
	(void)deadline_ns;
	assert_int_equal(target, 0);
	assert_null(shape);
	*vm = ++lab.last_vm;
	return call("create");
}

static int lab_vm_power(nova_run run, nova_vm vm, uint32_t action, int64_t deadline_ns)
{
	(void)run;
	(void)deadline_ns;
	assert_int_equal(vm, lab.last_vm);
	return call(action == NOVA_POWER_START      ? "start"
	            : action == NOVA_POWER_SHUTDOWN ? "shutdown"
	            : action == NOVA_POWER_OFF      ? "off"
	                                            : "other");
}

static int lab_vm_delete(nova_run run, nova_vm vm, int64_t deadline_ns)
{
	(void)run;
	(void)deadline_ns;
	assert_int_equal(vm, lab.last_vm);
	return call("delete");
}

static int lab_snapshot(nova_run run, nova_vm vm, const char *name, uint32_t action,
                        int64_t deadline_ns)
{
	(void)run;
	(void)deadline_ns;
	assert_int_equal(vm, lab.last_vm);
	assert_non_null(name);
	return call(action == NOVA_SNAPSHOT_CREATE ? "snapshot" : "restore");
}

static int lab_wait(nova_run run, nova_vm vm, uint32_t kind, int64_t deadline_ns,
                    struct nova_event *event)
{
	size_t i = 0;
	int status;

	(void)run;
	(void)deadline_ns;
	assert_int_equal(vm, lab.last_vm);
	while (EVENTS[i].kind != kind)
		assert_true(++i < sizeof(EVENTS) / sizeof(EVENTS[0]));
	status = happen(EVENTS[i].name);
	if (status == NOVA_DONE && lab.silent && strcmp(lab.silent, EVENTS[i].name) == 0)
		status = NOVA_E_TIMEOUT;
	if (status == NOVA_DONE)
		*event = (struct nova_event){.struct_size = sizeof(*event),
		                             .kind = kind,
		                             .source = NOVA_SOURCE_MODEL,
		                             .name = "vm",
		                             .t_ns = lab.to_ns + EVENTS[i].after_ns,
		                             .resolution_ns = 7};
	return status;
}

static int lab_result(nova_run run, nova_vm vm, uint32_t field, uint32_t index,
                      struct nova_result *result)
{
	(void)run;
	assert_int_equal(vm, lab.last_vm);
	assert_int_equal(index, 0);
	result->i64 = field == NOVA_FIELD_STARTED_NS ? lab.from_ns : lab.to_ns;
	return NOVA_DONE;
}

static int lab_fan_out(nova_run run, uint32_t count, uint32_t limit, double per_s,
                       int (*one)(void *, uint32_t, int64_t), void *context)
{
	int status, first = NOVA_DONE;

	(void)run;
	lab.fan_count = count;
	lab.fan_limit = limit;
	lab.fan_rate = per_s;
	for (uint32_t i = 0; i < count; i++) {
		status = one(context, i, 1000 + i);
		if (first == NOVA_DONE)
			first = status;
	}
	return first;
}

static int lab_sample(nova_run run, const struct nova_sample *sample)
{
	(void)run;
	assert_true(lab.sample_count < 64);
	lab.samples[lab.sample_count++] = *sample;
	return NOVA_DONE;
}

static int lab_attempt(nova_run run, uint32_t status)
{
	(void)run;
	assert_true(lab.attempt_count < 8);
	lab.attempts[lab.attempt_count++] = status;
	return NOVA_DONE;
}

static const struct nova_lab LAB = {
        .struct_size = sizeof(LAB),
        .targets = 1,
        .can = lab_can,
        .vm_create = lab_vm_create,
        .vm_power = lab_vm_power,
        .vm_delete = lab_vm_delete,
        .snapshot = lab_snapshot,
        .wait = lab_wait,
        .result = lab_result,
        .fan_out = lab_fan_out,
        .sample = lab_sample,
        .attempt = lab_attempt,
};

/* --- one replicate ------------------------------------------------------------------------ */

static struct nova_testhost *host;

/* Runs setup and one replicate; what came of it is in `lab`. Returns the replicate's status. */
static int run(const char *const *parameters)
{
	const struct nova_plugin *plugin = nova_plugin_entry_v1(NULL);
	const struct nova_benchmark *ops = plugin->ops;
	nova_run number;
	void *self;
	int status;

	host = nova_testhost_new(plugin, parameters);
	assert_non_null(host);
	number = nova_testhost_instance(host);
	lab.clock_ns = 1000000000;
	assert_int_equal(ops->create(nova_testhost_table(), &LAB, number, &self), NOVA_DONE);
	assert_int_equal(ops->setup(self, number), NOVA_DONE);
	status = ops->replicate(self, number, 0, NOVA_SIDE_VM);
	assert_int_equal(ops->width(self), lab.fan_count);
	ops->destroy(self);
	assert_int_equal(nova_testhost_complaints(host), 0);
	return status;
}
#define RUN(...) run((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static int clean(void **state)
{
	(void)state;
	nova_testhost_free(host);
	host = NULL;
	memset(&lab, 0, sizeof(lab));
	return 0;
}

/* The only sample of the metric, or NULL. */
static const struct nova_sample *find(const char *metric)
{
	const struct nova_sample *found = NULL;

	for (int i = 0; i < lab.sample_count; i++)
		if (strcmp(lab.samples[i].metric, metric) == 0) {
			assert_null(found);
			found = &lab.samples[i];
		}
	return found;
}

static void assert_ms(const char *metric, double ms, int64_t error_ns)
{
	const struct nova_sample *sample = find(metric);

	assert_non_null(sample);
	assert_int_equal(sample->status, NOVA_SAMPLE_OK);
	assert_true(fabs(sample->value * 1e3 - ms) < 1e-9);
	assert_int_equal(sample->error_ns, error_ns);
	assert_true(sample->t_ns > 1000000000);
}

/* --- tests -------------------------------------------------------------------------------- */

static void lives_through_every_stage_in_order(void **state)
{
	(void)state;
	assert_int_equal(run(NULL), NOVA_DONE);
	assert_string_equal(lab.calls, "create start ?running ?ready ?first ?userspace snapshot "
	                               "restore ?unready ?ready shutdown ?stopped delete ");
	assert_int_equal(lab.sample_count, 12);
	assert_ms("lifecycle.create.api", 10, 0);
	assert_ms("lifecycle.start.api", 10, 0);
	assert_ms("lifecycle.start.running", 10, 7);
	assert_ms("lifecycle.start.first", 11, 7);
	assert_ms("lifecycle.start.userspace", 12, 7);
	assert_ms("lifecycle.start.ready", 13, 7);
	assert_ms("lifecycle.snapshot.done", 10, 0);
	assert_ms("lifecycle.restore.done", 10, 0);
	assert_ms("lifecycle.restore.ready", 13, 7);
	assert_ms("lifecycle.stop.gone", 10, 7);
	assert_ms("lifecycle.delete.api", 10, 0);
	assert_ms("lifecycle.total", 6 * 10 + 5 * 5e-6, 0);
	/* A closed loop has no intended starts. */
	for (int i = 0; i < lab.sample_count; i++)
		assert_int_equal(lab.samples[i].intended_ns, 0);
	assert_int_equal(lab.attempt_count, 1);
	assert_int_equal(lab.attempts[0], NOVA_SAMPLE_OK);
}

static void declares_every_metric_that_it_samples(void **state)
{
	const struct nova_plugin *plugin = nova_plugin_entry_v1(NULL);
	const struct nova_benchmark *ops = plugin->ops;
	int declared = 0;

	(void)state;
	assert_int_equal(run(NULL), NOVA_DONE);
	for (const struct nova_metric *const *metric = ops->metrics; *metric;
	     metric++, declared++) {
		assert_non_null(find((*metric)->name));
		assert_int_equal((*metric)->unit, NOVA_UNIT_SECOND);
		assert_int_equal((*metric)->better, NOVA_BETTER_LOWER);
		assert_true(strlen((*metric)->doc) > 20);
	}
	assert_int_equal(declared, lab.sample_count);
}

static void runs_a_block_of_vms_together(void **state)
{
	(void)state;
	assert_int_equal(RUN("concurrency=3"), NOVA_DONE);
	assert_int_equal(lab.fan_count, 3);
	assert_int_equal(lab.fan_limit, 0);
	assert_true(lab.fan_rate == 0);
	assert_int_equal(lab.attempt_count, 3);
	assert_int_equal(lab.sample_count, 36);
	assert_int_equal(lab.last_vm, 3);
}

static void a_failure_is_a_sample_and_the_end_of_that_life(void **state)
{
	/* which call fails after how many that work, the calls up to the end, samples that are
	 * fine, and the metrics that failed */
	static const struct {
		const char *fails;
		int works;
		const char *calls;
		int fine;
		const char *metrics[2];
	} cases[] = {
	        {"create", 0, "create delete ", 0, {"lifecycle.create.api"}},
	        {"start",
	         0,
	         "create start delete ",
	         1,
	         {"lifecycle.start.api", "lifecycle.start.running"}},
	        {"?running", 0, "create start ?running delete ", 2, {"lifecycle.start.running"}},
	        {"?ready",
	         0,
	         "create start ?running ?ready ?first ?userspace delete ",
	         5,
	         {"lifecycle.start.ready"}},
	        {"snapshot",
	         0,
	         "create start ?running ?ready ?first ?userspace snapshot delete ",
	         6,
	         {"lifecycle.snapshot.done"}},
	        {"restore",
	         0,
	         "create start ?running ?ready ?first ?userspace snapshot restore delete ",
	         7,
	         {"lifecycle.restore.done"}},
	        {"?ready",
	         1,
	         "create start ?running ?ready ?first ?userspace snapshot restore ?unready ?ready "
	         "delete ",
	         8,
	         {"lifecycle.restore.ready"}},
	        {"shutdown",
	         0,
	         "create start ?running ?ready ?first ?userspace snapshot restore ?unready ?ready "
	         "shutdown delete ",
	         9,
	         {"lifecycle.stop.gone"}},
	        {"?stopped",
	         0,
	         "create start ?running ?ready ?first ?userspace snapshot restore ?unready ?ready "
	         "shutdown ?stopped delete ",
	         9,
	         {"lifecycle.stop.gone"}},
	        {"delete",
	         0,
	         "create start ?running ?ready ?first ?userspace snapshot restore ?unready ?ready "
	         "shutdown ?stopped delete ",
	         10,
	         {"lifecycle.delete.api"}},
	};
	static const int statuses[] = {NOVA_E_FAILED, NOVA_E_TIMEOUT, NOVA_E_BUSY};

	for (size_t i = 0; i < 3 * sizeof(cases) / sizeof(cases[0]); i++) {
		size_t at = i / 3;
		uint32_t want = statuses[i % 3] == NOVA_E_TIMEOUT ? NOVA_SAMPLE_TIMED_OUT
		                                                  : NOVA_SAMPLE_FAILED;
		int failed = 0;

		clean(state);
		lab.fails = cases[at].fails;
		lab.works = cases[at].works;
		lab.status = statuses[i % 3];
		assert_int_equal(run(NULL), NOVA_DONE);
		assert_string_equal(lab.calls, cases[at].calls);
		for (; failed < 2 && cases[at].metrics[failed]; failed++) {
			assert_non_null(find(cases[at].metrics[failed]));
			assert_int_equal(find(cases[at].metrics[failed])->status, want);
		}
		assert_int_equal(lab.sample_count, cases[at].fine + failed);
		for (int j = 0; j < cases[at].fine; j++)
			assert_int_equal(lab.samples[j].status, NOVA_SAMPLE_OK);
		assert_int_equal(lab.attempt_count, 1);
		assert_int_equal(lab.attempts[0], want);
	}
}

static void one_vms_failure_does_not_touch_the_others(void **state)
{
	(void)state;
	lab.fails = "snapshot";
	lab.works = 1;
	lab.status = NOVA_E_FAILED;
	assert_int_equal(RUN("concurrency=3"), NOVA_DONE);
	assert_int_equal(lab.attempt_count, 3);
	assert_int_equal(lab.attempts[0], NOVA_SAMPLE_OK);
	assert_int_equal(lab.attempts[1], NOVA_SAMPLE_FAILED);
	assert_int_equal(lab.attempts[2], NOVA_SAMPLE_OK);
	assert_int_equal(lab.sample_count, 12 + 7 + 12);
}

static void returns_at_once_when_interrupted_or_refused(void **state)
{
	static const char *const points[] = {"create",   "start",    "?running", "?ready",
	                                     "?first",   "snapshot", "restore",  "?unready",
	                                     "shutdown", "?stopped", "delete"};
	static const int statuses[] = {NOVA_E_INTERRUPTED, NOVA_E_REFUSED};

	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		for (int j = 0; j < 2; j++) {
			if (j == 1 && points[i][0] == '?')
				continue; /* an event is not refused */
			clean(state);
			lab.fails = points[i];
			lab.status = statuses[j];
			assert_int_equal(run(NULL), statuses[j]);
			assert_int_equal(lab.attempt_count, 0);
			for (int k = 0; k < lab.sample_count; k++)
				assert_int_equal(lab.samples[k].status, NOVA_SAMPLE_OK);
			/* Nothing was called after it. */
			assert_true(strlen(lab.calls) >= strlen(points[i]) + 1);
			assert_string_equal(lab.calls + strlen(lab.calls) - strlen(points[i]) - 1,
			                    lab.calls + (strstr(lab.calls, points[i]) - lab.calls));
		}
}

static void skips_what_the_target_cannot_do_and_says_why(void **state)
{
	(void)state;
	lab.lacks[0] = NOVA_CAN_READY;
	lab.lacks[1] = NOVA_CAN_SNAPSHOT;
	lab.lacks[2] = NOVA_CAN_SHUTDOWN;
	assert_int_equal(run(NULL), NOVA_DONE);
	assert_string_equal(lab.calls, "create start ?running off delete ");
	assert_int_equal(lab.sample_count, 5);
	assert_null(find("lifecycle.start.ready"));
	assert_null(find("lifecycle.stop.gone"));
	assert_int_equal(lab.attempts[0], NOVA_SAMPLE_OK);
	assert_true(nova_testhost_logged(host, "it never learnt to"));
	assert_true(nova_testhost_logged(host, "lifecycle.start.ready"));
	assert_true(nova_testhost_logged(host, "lifecycle.snapshot.done"));
	assert_true(nova_testhost_logged(host, "lifecycle.stop.gone"));
}

static void pulls_the_plug_of_a_vm_that_is_not_known_to_listen(void **state)
{
	(void)state;
	assert_int_equal(RUN("ready=false", "snapshot=false"), NOVA_DONE);
	assert_string_equal(lab.calls, "create start ?running off delete ");
	assert_null(find("lifecycle.stop.gone"));
	assert_true(nova_testhost_logged(host, "plug"));
	clean(state);
	lab.fails = "off";
	lab.status = NOVA_E_TIMEOUT;
	assert_int_equal(RUN("ready=false", "snapshot=false"), NOVA_DONE);
	assert_int_equal(lab.attempts[0], NOVA_SAMPLE_TIMED_OUT);
	assert_null(find("lifecycle.delete.api"));
	assert_null(find("lifecycle.total"));
}

static void follows_its_parameters(void **state)
{
	(void)state;
	assert_int_equal(RUN("ready=false", "first=true", "restore=false"), NOVA_DONE);
	assert_string_equal(lab.calls, "create start ?running ?first snapshot off delete ");
	assert_ms("lifecycle.start.first", 11, 7);
	clean(state);
	assert_int_equal(RUN("graceful=false", "snapshot=false"), NOVA_DONE);
	assert_string_equal(lab.calls,
	                    "create start ?running ?ready ?first ?userspace off delete ");
	assert_false(nova_testhost_logged(host, "plug"));
}

static void does_not_miss_events_that_a_target_does_not_tell(void **state)
{
	(void)state;
	lab.silent = "?userspace";
	assert_int_equal(run(NULL), NOVA_DONE);
	assert_null(find("lifecycle.start.userspace"));
	assert_ms("lifecycle.start.first", 11, 7);
	assert_ms("lifecycle.start.ready", 13, 7);
	assert_int_equal(lab.attempts[0], NOVA_SAMPLE_OK);
}

static void an_agent_that_stays_has_no_coming_back(void **state)
{
	(void)state;
	lab.silent = "?unready";
	assert_int_equal(run(NULL), NOVA_DONE);
	assert_null(find("lifecycle.restore.ready"));
	assert_ms("lifecycle.restore.done", 10, 0);
	assert_ms("lifecycle.stop.gone", 10, 7);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, clean, clean)

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
	        TEST(does_not_miss_events_that_a_target_does_not_tell),
	        TEST(an_agent_that_stays_has_no_coming_back),
	        TEST(refuses_wrong_parameters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
