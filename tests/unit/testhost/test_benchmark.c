/* SPDX-License-Identifier: MIT */
/* The test host's simulated lab, with a benchmark whose replicate is what each test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <novacore/testhost.h>

#define MS 1000000ll

/* --- a benchmark that does what the test says ------------------------------------------------- */

static const struct nova_lab *lab;
static const struct nova_host *table;
static nova_run run;
static struct nova_testhost *host;
static int (*setup_does)(void), (*replicate_does)(void), (*teardown_does)(void);
static uint32_t width_says;
static nova_vm vm; /* for short scenarios */

static int fake_create(const struct nova_host *given, const struct nova_lab *given_lab,
                       nova_run given_run, void **self)
{
	table = given;
	lab = given_lab;
	run = given_run;
	*self = &vm;
	return NOVA_DONE;
}

static int fake_setup(void *self, nova_run number)
{
	(void)self;
	assert_int_equal(number, run);
	return setup_does ? setup_does() : NOVA_DONE;
}

static int fake_replicate(void *self, nova_run number, uint32_t index, uint32_t side)
{
	(void)self;
	(void)index;
	(void)side;
	assert_int_equal(number, run);
	return replicate_does();
}

static int fake_teardown(void *self, nova_run number)
{
	(void)self;
	(void)number;
	return teardown_does ? teardown_does() : NOVA_DONE;
}

static void fake_destroy(void *self)
{
	(void)self;
}

static uint32_t fake_width(void *self)
{
	(void)self;
	return width_says;
}

static const struct nova_metric TIME = {.struct_size = sizeof(TIME),
                                        .unit = NOVA_UNIT_SECOND,
                                        .better = NOVA_BETTER_LOWER,
                                        .revision = 1,
                                        .name = "fake.time",
                                        .doc = "From here to there"};
static const struct nova_metric *const METRICS[] = {&TIME, NULL};
static const char *const NEEDS[] = {
        NOVA_CAN_CREATE, NOVA_CAN_START, NOVA_CAN_SHUTDOWN, NOVA_CAN_PAUSE,   NOVA_CAN_RESET,
        NOVA_CAN_READY,  NOVA_CAN_EXEC,  NOVA_CAN_SNAPSHOT, NOVA_CAN_MIGRATE, NOVA_CAN_NETWORK,
        NOVA_CAN_STATS,  NULL};
static struct nova_benchmark ops = {
        .struct_size = sizeof(ops),
        .targets_min = 2,
        .needs = NEEDS,
        .metrics = METRICS,
        .create = fake_create,
        .setup = fake_setup,
        .replicate = fake_replicate,
        .teardown = fake_teardown,
        .destroy = fake_destroy,
        .width = fake_width,
};
static const struct nova_plugin PLUGIN = {
        .struct_size = sizeof(PLUGIN),
        .kind = NOVA_KIND_BENCHMARK,
        .thread_model = NOVA_THREADS_PARALLEL,
        .name = "fake",
        .version = "1",
        .summary = "for the test host's own test",
        .license = "MIT",
        .ops = &ops,
};

static int begin(void **state)
{
	(void)state;
	setup_does = replicate_does = teardown_does = NULL;
	width_says = 1;
	vm = 0;
	ops.width = fake_width;
	ops.setup = fake_setup;
	ops.targets_min = 2;
	host = nova_testhost_new(&PLUGIN, NULL);
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
	replicate_does = does;
	return nova_testhost_replicate(host, 0, NOVA_SIDE_VM);
}

static void assert_no_complaint(void)
{
	assert_int_equal(nova_testhost_complaints(host), 0);
}

/* Exactly one, with that part. */
static void assert_complaint(const char *part)
{
	assert_int_equal(nova_testhost_complaints(host), 1);
	if (!strstr(nova_testhost_complaint(host, 0), part))
		print_error("\"%s\" is not in \"%s\"\n", part, nova_testhost_complaint(host, 0));
	assert_non_null(strstr(nova_testhost_complaint(host, 0), part));
}

/* --- for scenarios ----------------------------------------------------------------------------- */

static int64_t i64(nova_vm of, uint32_t field)
{
	struct nova_result result = {.struct_size = sizeof(result)};

	assert_int_equal(lab->result(run, of, field, 0, &result), NOVA_DONE);
	return result.i64;
}

static int64_t took_ns(nova_vm of)
{
	return i64(of, NOVA_FIELD_RETURNED_NS) - i64(of, NOVA_FIELD_STARTED_NS);
}

static int attempt(void)
{
	return lab->attempt(run, NOVA_SAMPLE_OK);
}

static void started(void)
{
	assert_int_equal(lab->vm_create(run, 0, NULL, 0, &vm), NOVA_DONE);
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_START, 0), NOVA_DONE);
}

static void ready(void)
{
	started();
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_READY, 0, NULL), NOVA_DONE);
}

static struct nova_sample good(void)
{
	return (struct nova_sample){.struct_size = sizeof(struct nova_sample),
	                            .status = NOVA_SAMPLE_OK,
	                            .metric = "fake.time",
	                            .value = 0.5,
	                            .t_ns = table->now_ns()};
}

/* --- tests ------------------------------------------------------------------------------------- */

static int lives(void)
{
	struct nova_event event = {.struct_size = sizeof(event)};
	static const uint32_t kinds[] = {NOVA_EVENT_RUNNING, NOVA_EVENT_FIRST, NOVA_EVENT_USERSPACE,
	                                 NOVA_EVENT_READY, NOVA_EVENT_ADDRESS};
	int64_t returned;

	started();
	assert_int_equal(took_ns(vm), MS);
	returned = i64(vm, NOVA_FIELD_RETURNED_NS);
	assert_true(table->now_ns() == returned);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(lab->wait(run, vm, kinds[i], 0, &event), NOVA_DONE);
		assert_int_equal(event.t_ns, returned + (i + 1) * MS);
		assert_int_equal(event.kind, kinds[i]);
		assert_int_equal(event.source, NOVA_SOURCE_MODEL);
		assert_true(event.resolution_ns > 0);
		assert_non_null(event.name);
		assert_true(table->now_ns() == event.t_ns);
	}
	/* It has come already. */
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_RUNNING, 1, &event), NOVA_DONE);
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_SHUTDOWN, 0), NOVA_DONE);
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_STOPPED, 0, &event), NOVA_DONE);
	assert_int_equal(event.t_ns, i64(vm, NOVA_FIELD_RETURNED_NS));
	/* It was before the shutdown, and a VM that is off does not become ready. */
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_READY, 0, NULL), NOVA_E_FAILED);
	assert_int_equal(lab->vm_delete(run, vm, 0), NOVA_DONE);
	return attempt();
}

static void a_vm_lives_in_simulated_time(void **state)
{
	(void)state;
	assert_int_equal(once(lives), NOVA_DONE);
	assert_no_complaint();
	assert_int_equal(nova_testhost_leftovers(host), 0);
	assert_int_equal(nova_testhost_vms(host), 1);
	assert_int_equal(nova_testhost_attempts(host, NOVA_SAMPLE_OK), 1);
	assert_string_equal(nova_testhost_calls(host, 1),
	                    "vm_create vm_power.start wait.running wait.first wait.userspace "
	                    "wait.ready wait.address wait.running vm_power.shutdown wait.stopped "
	                    "wait.ready vm_delete");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_vm_lives_in_simulated_time),
	};

	(void)good;
	(void)ready;
	(void)assert_complaint;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
