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
static const char *const NEEDS[] = {NOVA_CAN_CREATE,  NOVA_CAN_START,    NOVA_CAN_SHUTDOWN,
                                    NOVA_CAN_PAUSE,   NOVA_CAN_RESET,    NOVA_CAN_READY,
                                    NOVA_CAN_EXEC,    NOVA_CAN_SNAPSHOT, NOVA_CAN_MIGRATE,
                                    NOVA_CAN_NETWORK, NOVA_CAN_STATS,    NULL};
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

/* --- for scenarios -----------------------------------------------------------------------------
 */

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

static int outcome; /* of the call that a scenario is about */

/* --- tests -------------------------------------------------------------------------------------
 */

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

/* --- power, snapshots, queries -----------------------------------------------------------------
 */

static int state_of_vm(void)
{
	assert_int_equal(lab->vm_query(run, vm, NOVA_QUERY_STATE, 0), NOVA_DONE);
	assert_true(i64(vm, NOVA_FIELD_PID) > 0);
	return (int)i64(vm, NOVA_FIELD_STATE);
}

static int powers(void)
{
	struct nova_event event = {.struct_size = sizeof(event)};
	int64_t paused;

	assert_int_equal(lab->vm_create(run, 0, NULL, 0, &vm), NOVA_DONE);
	assert_int_equal(state_of_vm(), NOVA_STATE_OFF);
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_SHUTDOWN, 0), NOVA_E_BUSY);
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_PAUSE, 0), NOVA_E_BUSY);
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_RESET, 0), NOVA_E_BUSY);
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_OFF, 0), NOVA_DONE);
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_STOPPED, 1, NULL), NOVA_E_TIMEOUT);
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_START, 0), NOVA_DONE);
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_START, 0), NOVA_E_BUSY);
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_RESUME, 0), NOVA_E_BUSY);
	/* Paused 1 ms after the start, at RUNNING; the rest of the boot comes after RESUME. */
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_PAUSE, 0), NOVA_DONE);
	paused = i64(vm, NOVA_FIELD_RETURNED_NS);
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_PAUSED, 0, &event), NOVA_DONE);
	assert_int_equal(event.t_ns, paused);
	assert_int_equal(state_of_vm(), NOVA_STATE_PAUSED);
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_READY, paused + 50 * MS, NULL),
	                 NOVA_E_TIMEOUT);
	assert_int_equal(table->now_ns(), paused + 50 * MS);
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_RESUME, 0), NOVA_DONE);
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_RESUMED, 0, &event), NOVA_DONE);
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_READY, 0, &event), NOVA_DONE);
	assert_int_equal(event.t_ns, paused + 51 * MS + 3 * MS);
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_RESET, 0), NOVA_DONE);
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_UNREADY, 0, NULL), NOVA_DONE);
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_READY, 0, &event), NOVA_DONE);
	assert_int_equal(event.t_ns, i64(vm, NOVA_FIELD_RETURNED_NS) + 4 * MS);
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_PAUSE, 0), NOVA_DONE);
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_RESET, 0), NOVA_DONE);
	assert_int_equal(state_of_vm(), NOVA_STATE_RUNNING);
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_READY, 0, NULL), NOVA_DONE);
	/* Off it is, though the event is scripted not to come. */
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_OFF, 0), NOVA_DONE);
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_STOPPED, 1, NULL), NOVA_E_TIMEOUT);
	assert_int_equal(state_of_vm(), NOVA_STATE_OFF);
	assert_int_equal(lab->vm_delete(run, vm, 0), NOVA_DONE);
	return attempt();
}

static void power_calls_follow_the_state_and_its_events(void **state)
{
	(void)state;
	nova_testhost_script(host, "event.stopped", NOVA_E_TIMEOUT, 0, 0);
	assert_int_equal(once(powers), NOVA_DONE);
	assert_no_complaint();
}

static int snapshots(void)
{
	struct nova_event event = {.struct_size = sizeof(event)};
	int64_t returned;

	assert_int_equal(lab->vm_create(run, 0, NULL, 0, &vm), NOVA_DONE);
	assert_int_equal(lab->snapshot(run, vm, "s", NOVA_SNAPSHOT_CREATE, 0), NOVA_E_BUSY);
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_START, 0), NOVA_DONE);
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_READY, 0, NULL), NOVA_DONE);
	assert_int_equal(lab->snapshot(run, vm, "s", NOVA_SNAPSHOT_RESTORE, 0), NOVA_E_NOT_FOUND);
	assert_int_equal(lab->snapshot(run, vm, "s", NOVA_SNAPSHOT_CREATE, 0), NOVA_DONE);
	assert_int_equal(lab->snapshot(run, vm, "s", NOVA_SNAPSHOT_CREATE, 0), NOVA_E_EXISTS);
	/* READY was before this call. */
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_READY, 1, NULL), NOVA_E_TIMEOUT);
	assert_int_equal(lab->snapshot(run, vm, "s", NOVA_SNAPSHOT_RESTORE, 0), NOVA_DONE);
	returned = i64(vm, NOVA_FIELD_RETURNED_NS);
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_UNREADY, 0, &event), NOVA_DONE);
	assert_int_equal(event.t_ns, returned + MS);
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_READY, 0, &event), NOVA_DONE);
	assert_int_equal(event.t_ns, returned + 4 * MS);
	/* From off, too; then the agent's connection has not broken. */
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_OFF, 0), NOVA_DONE);
	assert_int_equal(lab->snapshot(run, vm, "s", NOVA_SNAPSHOT_RESTORE, 0), NOVA_DONE);
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_READY, 0, NULL), NOVA_DONE);
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_UNREADY, 1, NULL), NOVA_E_TIMEOUT);
	assert_int_equal(state_of_vm(), NOVA_STATE_RUNNING);
	assert_int_equal(lab->snapshot(run, vm, "s", NOVA_SNAPSHOT_DELETE, 0), NOVA_DONE);
	assert_int_equal(lab->snapshot(run, vm, "s", NOVA_SNAPSHOT_DELETE, 0), NOVA_E_NOT_FOUND);
	return attempt();
}

static void snapshots_are_made_restored_and_deleted_by_name(void **state)
{
	(void)state;
	assert_int_equal(once(snapshots), NOVA_DONE);
	assert_no_complaint();
	assert_int_equal(nova_testhost_leftovers(host), 1);
}

static int queries(void)
{
	struct nova_result result = {.struct_size = sizeof(result)};
	struct nova_shape shape = {.struct_size = sizeof(shape), .memory_bytes = 4096};
	static const uint32_t stats[] = {
	        NOVA_FIELD_DISK_READ_BYTES, NOVA_FIELD_DISK_WRITE_BYTES,
	        NOVA_FIELD_DISK_WRITES,     NOVA_FIELD_NET_RX_BYTES,
	        NOVA_FIELD_NET_TX_BYTES,    NOVA_FIELD_DISK_ALLOCATED_BYTES};

	assert_int_equal(lab->vm_create(run, 1, &shape, 0, &vm), NOVA_DONE);
	assert_int_equal(lab->result(run, vm, NOVA_FIELD_ID, 0, &result), NOVA_DONE);
	assert_string_equal(result.bytes, "testhost-1");
	assert_int_equal(result.byte_count, 10);
	assert_string_equal(result.key, "");
	assert_int_equal(result.count, 1);
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_START, 0), NOVA_DONE);
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_READY, 0, NULL), NOVA_DONE);
	assert_int_equal(lab->vm_query(run, vm, NOVA_QUERY_STATS, 0), NOVA_DONE);
	assert_int_equal(i64(vm, NOVA_FIELD_CPU_NS), 5 * MS / 4); /* 4 ms to READY, and the call */
	assert_int_equal(i64(vm, NOVA_FIELD_MEMORY_BYTES), 4096);
	assert_int_equal(i64(vm, NOVA_FIELD_RESIDENT_BYTES), 77);
	for (size_t i = 0; i < sizeof(stats) / sizeof(stats[0]); i++)
		assert_true(i64(vm, stats[i]) > 0);
	assert_int_equal(lab->result(run, vm, NOVA_FIELD_DISK_READS, 0, &result), NOVA_E_NOT_FOUND);
	assert_int_equal(lab->result(run, vm, NOVA_FIELD_CPU_NS, 1, &result), NOVA_E_NOT_FOUND);
	assert_int_equal(lab->vm_query(run, vm, NOVA_QUERY_ADDRESS, 0), NOVA_DONE);
	assert_int_equal(lab->result(run, vm, NOVA_FIELD_ADDRESS, 0, &result), NOVA_DONE);
	assert_string_equal(result.bytes, "192.0.2.2");
	return attempt();
}

static void queries_put_what_they_owe_or_what_the_test_sets(void **state)
{
	(void)state;
	assert_int_equal(nova_testhost_complaints(host), 0);
	nova_testhost_set_i64(host, NOVA_FIELD_RESIDENT_BYTES, 1);
	nova_testhost_set_i64(host, NOVA_FIELD_RESIDENT_BYTES, 77);
	nova_testhost_unset(host, NOVA_FIELD_DISK_READS);
	assert_int_equal(once(queries), NOVA_DONE);
	/* ADDRESS is neither needed nor asked for. */
	assert_complaint("\"address\" is neither");
}

static int runs_programs(void)
{
	static const char *const here[] = {"/usr/bin/sysbench", "cpu", "run", NULL};
	static const char *const killed[] = {"stress", NULL};
	static const char *const other[] = {"true", NULL};
	struct nova_exec exec = {.struct_size = sizeof(exec), .argv = here};
	struct nova_result result = {.struct_size = sizeof(result)};

	ready();
	for (int i = 0; i < 2; i++) { /* in the VM, and natively */
		nova_vm at = i == 0 ? vm : 0;

		exec.argv = here;
		assert_int_equal(lab->exec(run, at, &exec, 0), NOVA_DONE);
		assert_int_equal(i64(at, NOVA_FIELD_EXIT_STATUS), 3);
		assert_int_equal(lab->result(run, at, NOVA_FIELD_STDOUT, 0, &result), NOVA_DONE);
		assert_string_equal(result.bytes, "12.5\n");
		assert_int_equal(result.byte_count, 5);
		exec.argv = killed;
		assert_int_equal(lab->exec(run, at, &exec, 0), NOVA_DONE);
		assert_int_equal(i64(at, NOVA_FIELD_SIGNAL), 9);
		assert_int_equal(lab->result(run, at, NOVA_FIELD_EXIT_STATUS, 0, &result),
		                 NOVA_E_NOT_FOUND);
		exec.argv = other;
		assert_int_equal(lab->exec(run, at, &exec, 0), NOVA_DONE);
		assert_int_equal(i64(at, NOVA_FIELD_EXIT_STATUS), 0);
		assert_int_equal(lab->result(run, at, NOVA_FIELD_STDOUT, 0, &result),
		                 NOVA_E_NOT_FOUND);
	}
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_OFF, 0), NOVA_DONE);
	assert_int_equal(lab->exec(run, vm, &exec, 0), NOVA_E_BUSY);
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_START, 0), NOVA_DONE);
	assert_int_equal(lab->exec(run, vm, &exec, 0), NOVA_E_BUSY); /* not ready yet */
	return attempt();
}

static void programs_print_and_end_as_scripted(void **state)
{
	(void)state;
	nova_testhost_script_exec(host, "bench", "wrong", 1);
	nova_testhost_script_exec(host, "sysbench", "12.5\n", 3);
	nova_testhost_script_exec(host, "stress", NULL, -9);
	assert_int_equal(once(runs_programs), NOVA_DONE);
	assert_no_complaint();
	assert_string_equal(nova_testhost_command(host, 0), "/usr/bin/sysbench cpu run");
	assert_string_equal(nova_testhost_command(host, 5), "true");
	assert_null(nova_testhost_command(host, 6));
}

static char heard[64];

static void hear(void *context, uint32_t field, const void *bytes, uint64_t count)
{
	assert_ptr_equal(context, heard);
	assert_int_equal(field, NOVA_FIELD_STDOUT);
	strncat(heard, bytes, count);
}

static int runs_here(void)
{
	static const char *const argv[] = {"/does/not/exist/probe", NULL};
	struct nova_exec exec = {.struct_size = sizeof(exec), .argv = argv};
	int32_t status = -1;

	assert_int_equal(table->process(run, &exec, hear, heard, &status), NOVA_DONE);
	assert_int_equal(status, -2);
	assert_string_equal(heard, "said");
	assert_int_equal(table->process(run, &exec, NULL, NULL, NULL), NOVA_DONE);
	exec.argv = NULL;
	assert_int_equal(table->process(run, &exec, NULL, NULL, NULL), NOVA_E_INVALID);
	return attempt();
}

static void host_processes_are_simulated_too(void **state)
{
	(void)state;
	heard[0] = 0;
	nova_testhost_script_exec(host, "probe", "said", -2);
	assert_int_equal(once(runs_here), NOVA_DONE);
	assert_complaint("argv is empty");
}

static int migrates(void)
{
	struct nova_migrate how = {.struct_size = sizeof(how)};
	struct nova_event event = {.struct_size = sizeof(event)};
	struct nova_result result = {.struct_size = sizeof(result)};
	char name[64] = "";
	int64_t start;

	assert_int_equal(lab->vm_create(run, 0, NULL, 0, &vm), NOVA_DONE);
	assert_int_equal(lab->migrate(run, vm, 1, &how, 0), NOVA_E_BUSY);
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_START, 0), NOVA_DONE);
	assert_int_equal(lab->migrate(run, vm, 1, &how, 0), NOVA_DONE);
	assert_int_equal(i64(vm, NOVA_FIELD_DURATION_NS), 20 * MS);
	assert_int_equal(i64(vm, NOVA_FIELD_DOWNTIME_NS), 123);
	assert_true(i64(vm, NOVA_FIELD_MOVED_BYTES) > 0);
	assert_true(i64(vm, NOVA_FIELD_ITERATIONS) > 0);
	assert_int_equal(lab->result(run, vm, NOVA_FIELD_DIRTY_PER_S, 0, &result), NOVA_DONE);
	assert_true(fabs(result.f64 - 1.5) < 1e-9);
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_MIGRATED, 0, &event), NOVA_DONE);
	assert_int_equal(event.t_ns, i64(vm, NOVA_FIELD_RETURNED_NS));
	assert_int_equal(lab->migrate(run, vm, 0, NULL, 0), NOVA_DONE); /* and back, as usual */
	start = table->now_ns();
	assert_int_equal(lab->net_create(run, 1, NOVA_NET_ISOLATED, 0, name), NOVA_DONE);
	assert_true(strncmp(name, "novacore-", 9) == 0);
	assert_int_equal(table->now_ns(), start + 3 * MS);
	assert_int_equal(lab->net_create(run, 1, NOVA_NET_NAT, 0, name), NOVA_E_FULL);
	assert_string_equal(name, "");
	return attempt();
}

static void migrates_between_targets(void **state)
{
	(void)state;
	nova_testhost_script(host, "migrate", NOVA_DONE, 20 * MS, 0);
	nova_testhost_script(host, "net_create", NOVA_DONE, 3 * MS, 1);
	nova_testhost_script(host, "net_create", NOVA_E_FULL, 0, 1);
	nova_testhost_set_i64(host, NOVA_FIELD_DOWNTIME_NS, 123);
	nova_testhost_set_f64(host, NOVA_FIELD_DIRTY_PER_S, 1.5);
	assert_int_equal(once(migrates), NOVA_DONE);
	assert_no_complaint();
}

/* --- scripts -----------------------------------------------------------------------------------
 */

static int creates_four(void)
{
	static const int want[] = {NOVA_E_FAILED, NOVA_E_BUSY, NOVA_E_BUSY, NOVA_E_FULL};

	for (int i = 0; i < 4; i++) {
		assert_int_equal(lab->vm_create(run, 0, NULL, 0, &vm), want[i]);
		assert_int_equal(vm, i + 1);
		assert_int_equal(took_ns(vm), i == 0 ? 7 * MS : MS);
	}
	return attempt();
}

static void scripts_are_used_up_in_their_order(void **state)
{
	(void)state;
	assert_int_equal(nova_testhost_script(host, "vm_create", NOVA_E_INTERNAL, 0, 0), NOVA_DONE);
	assert_int_equal(nova_testhost_script(host, "vm_create", NOVA_E_FAILED, 7 * MS, 1),
	                 NOVA_DONE);
	assert_int_equal(nova_testhost_script(host, "vm_create", NOVA_E_BUSY, 0, 2), NOVA_DONE);
	assert_int_equal(nova_testhost_script(host, "vm_create", NOVA_E_FULL, 0, 0), NOVA_DONE);
	assert_int_equal(once(creates_four), NOVA_DONE);
	assert_no_complaint();
	assert_int_equal(nova_testhost_leftovers(host), 0); /* none of them came to be */
	assert_int_equal(nova_testhost_vms(host), 4);
	assert_non_null(strstr(nova_testhost_error(host), "vm_create: "));
}

static int creates_one(void)
{
	outcome = lab->vm_create(run, 0, NULL, 0, &vm);
	return attempt();
}

static void a_new_script_holds_from_then_on(void **state)
{
	(void)state;
	nova_testhost_script(host, "vm_create", NOVA_E_FAILED, 0, 0);
	once(creates_one);
	assert_int_equal(outcome, NOVA_E_FAILED);
	nova_testhost_script(host, "vm_create", NOVA_E_FULL, 0, 0);
	once(creates_one);
	assert_int_equal(outcome, NOVA_E_FULL);
	nova_testhost_script(host, "vm_create", NOVA_E_BUSY, 0, 1);
	once(creates_one);
	assert_int_equal(outcome, NOVA_E_BUSY);
	once(creates_one);
	assert_int_equal(outcome, NOVA_E_FULL);
	assert_no_complaint();
}

static int starts_and_stops(void)
{
	started();
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_SHUTDOWN, 0), NOVA_E_FAILED);
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_OFF, 0), NOVA_E_BUSY);
	return attempt();
}

static void a_script_of_one_action_goes_before_those_of_the_call(void **state)
{
	(void)state;
	nova_testhost_script(host, "vm_power", NOVA_E_BUSY, 0, 0);
	nova_testhost_script(host, "vm_power.start", NOVA_DONE, 0, 0);
	nova_testhost_script(host, "vm_power.shutdown", NOVA_E_FAILED, 0, 1);
	assert_int_equal(once(starts_and_stops), NOVA_DONE);
	assert_no_complaint();
}

static int meets_deadlines(void)
{
	int64_t start = table->now_ns();

	assert_int_equal(lab->vm_create(run, 0, NULL, start + 5 * MS, &vm), NOVA_E_TIMEOUT);
	assert_int_equal(table->now_ns(), start + 5 * MS);
	assert_int_equal(lab->vm_delete(run, vm, 0), NOVA_E_TIMEOUT); /* as configured: 120 s */
	assert_int_equal(took_ns(vm), 120000 * MS);
	start = table->now_ns();
	assert_int_equal(lab->vm_delete(run, vm, start - MS), NOVA_E_TIMEOUT); /* past already */
	assert_int_equal(table->now_ns(), start);
	started();
	start = table->now_ns();
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_STOPPED, start + 9 * MS, NULL),
	                 NOVA_E_TIMEOUT);
	assert_int_equal(table->now_ns(), start + 9 * MS);
	start = table->now_ns();
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_STOPPED, 0, NULL), NOVA_E_TIMEOUT);
	assert_int_equal(table->now_ns(), start + 120000 * MS);
	return attempt();
}

static void calls_end_at_their_deadlines(void **state)
{
	(void)state;
	nova_testhost_script(host, "vm_create", NOVA_DONE, 6 * MS, 1);
	nova_testhost_script(host, "vm_delete", NOVA_E_TIMEOUT, 0, 1);
	assert_int_equal(once(meets_deadlines), NOVA_DONE);
	assert_no_complaint();
	assert_int_equal(nova_testhost_leftovers(host), 2);
}

static int awaits_scripted_events(void)
{
	struct nova_event event = {.struct_size = sizeof(event)};
	int64_t returned;

	started(); /* READY late */
	returned = i64(vm, NOVA_FIELD_RETURNED_NS);
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_READY, 0, &event), NOVA_DONE);
	assert_int_equal(event.t_ns, returned + 30 * MS);
	started(); /* never */
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_READY, 0, &event), NOVA_E_TIMEOUT);
	started(); /* crashes first */
	returned = i64(vm, NOVA_FIELD_RETURNED_NS);
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_READY, 0, &event), NOVA_E_FAILED);
	assert_int_equal(table->now_ns(), returned + 2 * MS);
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_CRASHED, 0, &event), NOVA_DONE);
	assert_int_equal(event.t_ns, returned + 2 * MS);
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_START, 0), NOVA_DONE); /* it is off */
	started();                                                                /* wait fails */
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_READY, 0, &event), NOVA_E_PROTOCOL);
	return attempt();
}

static void events_come_as_scripted(void **state)
{
	(void)state;
	nova_testhost_script(host, "event.ready", NOVA_DONE, 30 * MS, 1);
	nova_testhost_script(host, "event.ready", NOVA_E_TIMEOUT, 0, 1);
	nova_testhost_script(host, "event.first", NOVA_DONE, 0, 2);
	nova_testhost_script(host, "event.first", NOVA_E_FAILED, 0, 1);
	nova_testhost_script(host, "event.ready", NOVA_DONE, 0, 2);
	nova_testhost_script(host, "event.ready", NOVA_E_PROTOCOL, 0, 1);
	assert_int_equal(once(awaits_scripted_events), NOVA_DONE);
	assert_no_complaint();
}

static void refuses_scripts_that_mean_nothing(void **state)
{
	(void)state;
	assert_int_equal(nova_testhost_script(host, "vm_creat", 0, 0, 0), NOVA_E_INVALID);
	assert_int_equal(nova_testhost_script(host, "vm_create.start", 0, 0, 0), NOVA_E_INVALID);
	assert_int_equal(nova_testhost_script(host, "event.", 0, 0, 0), NOVA_E_INVALID);
	assert_int_equal(nova_testhost_script(host, "event.birth", 0, 0, 0), NOVA_E_INVALID);
	assert_int_equal(nova_testhost_script(host, NULL, 0, 0, 0), NOVA_E_INVALID);
	assert_int_equal(nova_testhost_script(host, "exec", 1, 0, 0), NOVA_E_INVALID);
	assert_int_equal(nova_testhost_script(host, "exec", -99, 0, 0), NOVA_E_INVALID);
	assert_int_equal(nova_testhost_script(host, "exec", 0, -1, 0), NOVA_E_INVALID);
	assert_int_equal(nova_testhost_script(host, "exec", NOVA_E_UNKNOWN, 0, 0), NOVA_DONE);
}

static int asks(void)
{
	char why[8] = "x";

	assert_int_equal(lab->can(run, 0, NOVA_CAN_SNAPSHOT, why, sizeof(why)), 0);
	assert_string_equal(why, "no lice");
	assert_int_equal(lab->can(run, 1, NOVA_CAN_STATS, why, sizeof(why)), 1);
	assert_string_equal(why, "");
	assert_int_equal(lab->can(run, 0, NOVA_CAN_SNAPSHOT, NULL, 0), 0);
	strcpy(why, "x");
	assert_int_equal(lab->can(run, 0, NOVA_CAN_SNAPSHOT, why, 0), 0); /* no room at all */
	assert_string_equal(why, "x");
	assert_int_equal(lab->can(run, 1, NOVA_CAN_KNOBS, NULL, 0), 1);
	started();
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_OFF, 0), NOVA_DONE); /* said once */
	return attempt();
}

static void can_says_what_is_denied(void **state)
{
	(void)state;
	/* It is a need, too: novacore would not run it at all. */
	nova_testhost_deny(host, NOVA_CAN_SNAPSHOT, "no licence");
	assert_int_equal(once(asks), NOVA_E_UNSUPPORTED);
	assert_non_null(strstr(nova_testhost_error(host), "no licence"));
	assert_string_equal(nova_testhost_calls(host, 0), "");
	ops.needs = NULL;
	assert_int_equal(once(asks), NOVA_DONE);
	ops.needs = NEEDS;
	assert_complaint("\"start\" is neither");
}

static int uses_what_is_denied(void)
{
	static const char *const argv[] = {"true", NULL};
	struct nova_exec exec = {.struct_size = sizeof(exec), .argv = argv};
	struct nova_shape shape = {.struct_size = sizeof(shape), .boot = NOVA_BOOT_STUB};

	assert_int_equal(lab->can(run, 0, NOVA_CAN_RESET, NULL, 0), 0);
	started();
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_RUNNING, 0, NULL), NOVA_DONE);
	assert_no_complaint();
	assert_int_equal(lab->vm_create(run, 0, &shape, 0, &vm), NOVA_E_UNSUPPORTED);
	started();
	assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_RESET, 0), NOVA_E_UNSUPPORTED);
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_USERSPACE, 0, NULL), NOVA_E_TIMEOUT);
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_READY, 0, NULL), NOVA_E_TIMEOUT);
	assert_int_equal(lab->exec(run, vm, &exec, 0),
	                 NOVA_DONE); /* there is no READY to wait for */
	return attempt();
}

static int execs_all_the_same(void)
{
	static const char *const argv[] = {"true", NULL};
	struct nova_exec exec = {.struct_size = sizeof(exec), .argv = argv};

	ready();
	assert_int_equal(lab->can(run, 0, NOVA_CAN_EXEC, NULL, 0), 0);
	assert_int_equal(lab->exec(run, vm, &exec, 0), NOVA_E_UNSUPPORTED);
	assert_int_equal(lab->exec(run, 0, &exec, 0), NOVA_DONE); /* natively it always can */
	return attempt();
}

static void programs_run_natively_where_vms_cannot(void **state)
{
	static const char *const needs[] = {NOVA_CAN_START, NOVA_CAN_READY, NULL};

	(void)state;
	ops.needs = needs;
	nova_testhost_deny(host, NOVA_CAN_EXEC, "no agent");
	assert_int_equal(once(execs_all_the_same), NOVA_DONE);
	ops.needs = NEEDS;
	assert_no_complaint();
	assert_non_null(strstr(nova_testhost_error(host), "no agent"));
}

static void what_is_denied_is_unsupported_and_sends_no_event(void **state)
{
	static const char *const needs[] = {NOVA_CAN_CREATE, NOVA_CAN_START, NOVA_CAN_EXEC, NULL};

	(void)state;
	ops.needs = needs;
	nova_testhost_deny(host, NOVA_CAN_RESET, "no");
	nova_testhost_deny(host, NOVA_CAN_BEAT, "no");
	nova_testhost_deny(host, NOVA_CAN_READY, NULL);
	nova_testhost_deny(host, NOVA_CAN_STUB, "no");
	assert_int_equal(once(uses_what_is_denied), NOVA_DONE);
	ops.needs = NEEDS;
	assert_complaint("\"ready\" is neither");
}

/* --- fan out -----------------------------------------------------------------------------------
 */

static struct {
	int64_t began[64], ended[64], intended[64];
	nova_vm vms[64];
	int running, most;
} lanes;

/* 1 ms to create, 4 more to be ready after 1 to start, i more to delete: overlapping. */
static int lane(void *context, uint32_t i, int64_t intended_ns)
{
	nova_vm mine;
	struct nova_sample sample = good();

	assert_ptr_equal(context, &lanes);
	lanes.intended[i] = intended_ns;
	lanes.began[i] = table->now_ns();
	if (++lanes.running > lanes.most)
		lanes.most = lanes.running;
	assert_int_equal(lab->vm_create(run, 0, NULL, 0, &mine), NOVA_DONE);
	assert_int_equal(lab->vm_power(run, mine, NOVA_POWER_START, 0), NOVA_DONE);
	assert_int_equal(took_ns(mine), MS);
	assert_int_equal(lab->wait(run, mine, NOVA_EVENT_READY, 0, NULL), NOVA_DONE);
	assert_int_equal(lab->vm_delete(run, mine, 0), NOVA_DONE);
	assert_int_equal(took_ns(mine), 4 * MS);
	lanes.ended[i] = table->now_ns();
	lanes.vms[i] = mine;
	lanes.running--;
	sample.vm = mine;
	return lab->sample(run, &sample);
}

static uint32_t fan_count, fan_limit;
static double fan_per_s;

static int fans_out(void)
{
	int64_t start = table->now_ns();
	int status;

	memset(&lanes, 0, sizeof(lanes));
	status = lab->fan_out(run, fan_count, fan_limit, fan_per_s, lane, &lanes);
	for (uint32_t i = 0; i < 64; i++) {
		lanes.began[i] -= start;
		lanes.ended[i] -= start;
		if (lanes.intended[i])
			lanes.intended[i] -= start;
	}
	return status;
}

static void fan(uint32_t count, uint32_t limit, double per_s)
{
	fan_count = count;
	fan_limit = limit;
	fan_per_s = per_s;
	nova_testhost_script(host, "vm_delete", NOVA_DONE, 4 * MS, 0);
	assert_int_equal(once(fans_out), NOVA_DONE);
	assert_no_complaint();
	assert_int_equal(nova_testhost_sample_count(host), count);
}

static void fan_out_overlaps_in_simulated_time(void **state)
{
	(void)state;
	fan(50, 0, 0);
	assert_int_equal(lanes.most, 50);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(lanes.began[i], 0);
		assert_int_equal(lanes.ended[i], 10 * MS);
		assert_int_equal(lanes.intended[i], 0);
		assert_int_equal(lanes.vms[i], i + 1);
	}
}

static void fan_out_keeps_the_limit(void **state)
{
	(void)state;
	fan(7, 3, 0);
	assert_int_equal(lanes.most, 3);
	for (int i = 0; i < 7; i++) {
		assert_int_equal(lanes.began[i], i / 3 * 10 * MS);
		assert_int_equal(lanes.ended[i], (i / 3 + 1) * 10 * MS);
	}
}

static void an_open_loop_starts_by_its_schedule(void **state)
{
	int64_t start;

	(void)state;
	fan(8, 0, 500); /* every 2 ms */
	assert_int_equal(lanes.most, 5);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(lanes.began[i], i * 2 * MS);
		if (i > 0) /* the first one's is the start itself */
			assert_int_equal(lanes.intended[i], i * 2 * MS);
	}
	start = nova_testhost_now_ns(host);
	assert_int_equal(start, 1000000000000000 + 14 * MS + 10 * MS);
}

static void an_open_loop_that_cannot_keep_up_starts_late(void **state)
{
	(void)state;
	fan(4, 1, 500);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(lanes.began[i], i * 10 * MS);
		if (i > 0)
			assert_int_equal(lanes.intended[i], i * 2 * MS);
	}
}

static int fails_at_two(void *context, uint32_t i, int64_t intended_ns)
{
	(void)context;
	(void)intended_ns;
	attempt();
	return i == 2   ? table->error(run, NOVA_E_FULL, "the third is too much")
	       : i == 3 ? table->error(run, NOVA_E_IO, "the fourth as well")
	                : NOVA_DONE;
}

static int fans_failing(void)
{
	assert_int_equal(lab->fan_out(run, 0, 0, 0, fails_at_two, NULL), NOVA_DONE);
	return lab->fan_out(run, 6, 0, 0, fails_at_two, NULL);
}

static void fan_out_returns_the_first_failure_after_all_have_ended(void **state)
{
	(void)state;
	assert_int_equal(once(fans_failing), NOVA_E_FULL);
	assert_no_complaint();
	assert_int_equal(nova_testhost_attempts(host, NOVA_SAMPLE_OK), 6);
	assert_string_equal(nova_testhost_error(host), "the third is too much; the fourth as well");
}

static int64_t waited_until, stopped_at;

/* One waits for READY, another one pulls the plug before. */
static int two_at_one(void *context, uint32_t i, int64_t intended_ns)
{
	(void)context;
	(void)intended_ns;
	if (i == 0) {
		assert_int_equal(lab->wait(run, vm, NOVA_EVENT_READY, 0, NULL), NOVA_E_FAILED);
		waited_until = table->now_ns();
	} else {
		assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_OFF, 0), NOVA_DONE);
		stopped_at = table->now_ns();
		assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_START, 0), NOVA_DONE);
	}
	return attempt();
}

static int shares_a_vm(void)
{
	started();
	return lab->fan_out(run, 2, 0, 0, two_at_one, NULL);
}

static void who_waits_sees_what_another_thread_does_to_the_vm(void **state)
{
	(void)state;
	assert_int_equal(once(shares_a_vm), NOVA_DONE);
	assert_no_complaint();
	assert_int_equal(waited_until, stopped_at);
}

static int nested_one(void *context, uint32_t i, int64_t intended_ns)
{
	(void)context;
	(void)i;
	(void)intended_ns;
	assert_int_equal(lab->vm_create(run, 0, NULL, 0, &vm), NOVA_DONE);
	return attempt();
}

static int nested_outer(void *context, uint32_t i, int64_t intended_ns)
{
	(void)i;
	(void)intended_ns;
	return lab->fan_out(run, 3, 0, 0, nested_one, context);
}

static int nests(void)
{
	int64_t start = table->now_ns();
	int status = lab->fan_out(run, 3, 0, 0, nested_outer, NULL);

	assert_int_equal(table->now_ns() - start, MS);
	return status;
}

static void fan_out_may_be_nested(void **state)
{
	(void)state;
	assert_int_equal(once(nests), NOVA_DONE);
	assert_no_complaint();
	assert_int_equal(nova_testhost_vms(host), 9);
}

static pthread_mutex_t mine = PTHREAD_MUTEX_INITIALIZER;

static int locks(void *context, uint32_t i, int64_t intended_ns)
{
	nova_vm number;

	(void)context;
	(void)i;
	(void)intended_ns;
	pthread_mutex_lock(&mine);
	assert_int_equal(lab->vm_create(run, 0, NULL, 0, &number), NOVA_DONE);
	pthread_mutex_unlock(&mine);
	return attempt();
}

static int fans_locking(void)
{
	return lab->fan_out(run, 2, 0, 0, locks, NULL);
}

static void complains_of_a_lock_held_during_a_call_and_goes_on(void **state)
{
	(void)state;
	assert_int_equal(once(fans_locking), NOVA_DONE);
	assert_complaint("hold a lock");
	assert_int_equal(nova_testhost_vms(host), 2);
}

static int polls_the_clock(void)
{
	int64_t start = table->now_ns();
	int readings = 0;

	while (table->now_ns() < start + 1000 * MS)
		readings++;
	assert_true(readings < 3000);
	return attempt();
}

static void a_loop_that_waits_for_a_time_ends(void **state)
{
	(void)state;
	assert_int_equal(once(polls_the_clock), NOVA_DONE);
	assert_no_complaint();
}

/* --- what is recorded --------------------------------------------------------------------------
 */

static struct nova_sample given;

static int gives(void)
{
	struct nova_sample late = given;

	if (late.t_ns == 1)
		late.t_ns = table->now_ns();
	outcome = lab->sample(run, &late);
	attempt();
	return NOVA_DONE;
}

static void samples_are_kept_with_side_and_text_of_their_own(void **state)
{
	char name[] = "fake.time";
	const struct nova_sample *sample;

	(void)state;
	given = good();
	given.metric = name;
	given.t_ns = 1;
	replicate_does = gives;
	assert_int_equal(nova_testhost_replicate(host, 0, NOVA_SIDE_NATIVE), NOVA_DONE);
	given.intended_ns = nova_testhost_now_ns(host); /* it took no time */
	assert_int_equal(nova_testhost_replicate(host, 2, NOVA_SIDE_NATIVE), NOVA_DONE);
	given.status = NOVA_SAMPLE_TIMED_OUT;
	given.value = NAN; /* ignored */
	assert_int_equal(nova_testhost_replicate(host, 1, NOVA_SIDE_B), NOVA_DONE);
	assert_no_complaint();
	name[0] = 'x';
	assert_int_equal(nova_testhost_sample_count(host), 3);
	sample = nova_testhost_sample(host, 0);
	assert_string_equal(sample->metric, "fake.time");
	assert_int_equal(sample->side, NOVA_SIDE_NATIVE);
	assert_true(fabs(sample->value - 0.5) < 1e-9);
	assert_ptr_equal(nova_testhost_sample_of(host, "fake.time", 1),
	                 nova_testhost_sample(host, 1));
	assert_int_equal(nova_testhost_sample(host, 2)->side, NOVA_SIDE_B);
	assert_null(nova_testhost_sample(host, 3));
	assert_null(nova_testhost_sample_of(host, "fake.time", 3));
	assert_null(nova_testhost_sample_of(host, "fake", 0));
}

/* One complaint each; `kept`: novacore would count it all the same. */
static void complains_of_samples_that_are_wrong(void **state)
{
	static const struct {
		struct nova_sample sample;
		const char *part;
		int kept;
	} cases[] = {
	/* size, status, side, seq, vm, metric, value, t, intended, error, source, reserved */
#define SIZE sizeof(struct nova_sample)
	        {{SIZE, NOVA_SAMPLE_OK, 0, 0, 0, "fake.other", 0.5, 1, 0, 0, 0, 0, NULL},
	         "not declared",
	         0},
	        {{SIZE, NOVA_SAMPLE_OK, 0, 0, 0, NULL, 0.5, 1, 0, 0, 0, 0, NULL}, "no metric", 0},
	        {{8, NOVA_SAMPLE_OK, 0, 0, 0, "fake.time", 0.5, 1, 0, 0, 0, 0, NULL},
	         "struct_size",
	         0},
	        {{SIZE, 0, 0, 0, 0, "fake.time", 0.5, 1, 0, 0, 0, 0, NULL}, "status", 0},
	        {{SIZE, 4, 0, 0, 0, "fake.time", 0.5, 1, 0, 0, 0, 0, NULL}, "status", 0},
	        {{SIZE, NOVA_SAMPLE_OK, 0, 0, 0, "fake.time", NAN, 1, 0, 0, 0, 0, NULL},
	         "finite",
	         0},
	        {{SIZE, NOVA_SAMPLE_OK, 0, 0, 0, "fake.time", INFINITY, 1, 0, 0, 0, 0, NULL},
	         "finite",
	         0},
	        {{SIZE, NOVA_SAMPLE_OK, 0, 0, 1, "fake.time", 0.5, 1, 0, 0, 0, 0, NULL},
	         "no such VM",
	         0},
	        {{SIZE, NOVA_SAMPLE_OK, NOVA_SIDE_A, 0, 0, "fake.time", 0.5, 1, 0, 0, 0, 0, NULL},
	         "side",
	         1},
	        {{SIZE, NOVA_SAMPLE_OK, 9, 0, 0, "fake.time", 0.5, 1, 0, 0, 0, 0, NULL}, "side", 1},
	        {{SIZE, NOVA_SAMPLE_OK, 0, 0, 0, "fake.time", 0.5, 0, 0, 0, 0, 0, NULL}, "t_ns", 1},
	        {{SIZE, NOVA_SAMPLE_OK, 0, 0, 0, "fake.time", 0.5, INT64_MAX, 0, 0, 0, 0, NULL},
	         "not come yet",
	         1},
	        {{SIZE, NOVA_SAMPLE_OK, 0, 0, 0, "fake.time", 0.5, 1, 5, 0, 0, 0, NULL},
	         "intended_ns",
	         1},
	        {{SIZE, NOVA_SAMPLE_OK, 0, 0, 0, "fake.time", 0.5, 1, INT64_MAX, 0, 0, 0, NULL},
	         "intended_ns",
	         1},
	        {{SIZE, NOVA_SAMPLE_OK, 0, 0, 0, "fake.time", 0.5, 1, 0, -1, 0, 0, NULL},
	         "error_ns",
	         1},
	        {{SIZE, NOVA_SAMPLE_OK, 0, 0, 0, "fake.time", 0.5, 1, 0, 0, 99, 0, NULL},
	         "source",
	         1},
	        {{SIZE, NOVA_SAMPLE_OK, 0, 0, 0, "fake.time", 0.5, 1, 0, 0, 0, 1, NULL},
	         "reserved",
	         1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		end(state);
		begin(state);
		given = cases[i].sample;
		assert_int_equal(once(gives), NOVA_DONE);
		assert_complaint(cases[i].part);
		assert_int_equal(outcome, cases[i].kept ? NOVA_DONE : NOVA_E_INVALID);
		assert_int_equal(nova_testhost_sample_count(host), cases[i].kept);
	}
}

static int gives_twice(void)
{
	struct nova_sample sample = good();

	assert_int_equal(lab->sample(run, &sample), NOVA_DONE);
	sample.seq = 1;
	assert_int_equal(lab->sample(run, &sample), NOVA_DONE);
	assert_int_equal(lab->sample(run, &sample), NOVA_E_INVALID);
	assert_int_equal(lab->sample(run, NULL), NOVA_E_INVALID);
	return NOVA_DONE;
}

static void complains_of_a_sample_given_twice(void **state)
{
	(void)state;
	assert_int_equal(once(gives_twice), NOVA_DONE);
	assert_int_equal(nova_testhost_complaints(host), 2);
	assert_non_null(strstr(nova_testhost_complaint(host, 0), "seq"));
	assert_non_null(strstr(nova_testhost_complaint(host, 1), "sample of nothing"));
	assert_int_equal(nova_testhost_sample_count(host), 2);
}

static int wrong_attempts(void)
{
	assert_int_equal(lab->attempt(run, NOVA_SAMPLE_FAILED), NOVA_DONE);
	assert_int_equal(lab->attempt(run, 0), NOVA_E_INVALID);
	assert_int_equal(lab->attempt(run, 4), NOVA_E_INVALID);
	return NOVA_DONE;
}

static void complains_of_attempts_without_status(void **state)
{
	(void)state;
	assert_int_equal(once(wrong_attempts), NOVA_DONE);
	assert_int_equal(nova_testhost_complaints(host), 2);
	assert_non_null(strstr(nova_testhost_complaint(host, 0), "attempt: 0"));
	assert_int_equal(nova_testhost_attempts(host, NOVA_SAMPLE_FAILED), 1);
	assert_int_equal(nova_testhost_attempts(host, NOVA_SAMPLE_OK), 0);
	assert_int_equal(nova_testhost_attempts(host, 0), 0);
	assert_int_equal(nova_testhost_attempts(host, 4), 0);
}

static int makes_and_says_nothing(void)
{
	return lab->vm_create(run, 0, NULL, 0, &vm);
}

static void complains_of_a_replicate_that_records_nothing(void **state)
{
	(void)state;
	assert_int_equal(once(attempt), NOVA_DONE);
	assert_int_equal(once(makes_and_says_nothing), NOVA_DONE);
	assert_complaint("no sample and no attempt");
}

static int samples_too_early(void)
{
	struct nova_sample sample = good();

	assert_int_equal(lab->sample(run, &sample), NOVA_E_INVALID);
	assert_int_equal(lab->attempt(run, NOVA_SAMPLE_OK), NOVA_E_INVALID);
	return NOVA_DONE;
}

static void complains_of_samples_outside_of_a_replicate(void **state)
{
	(void)state;
	setup_does = samples_too_early;
	assert_int_equal(once(attempt), NOVA_DONE);
	assert_int_equal(nova_testhost_complaints(host), 2);
	assert_non_null(strstr(nova_testhost_complaint(host, 0), "called in setup"));
	assert_int_equal(nova_testhost_sample_count(host), 0);
}

/* --- what breaks the contract ------------------------------------------------------------------
 */

static int uses_vms_wrongly(void)
{
	nova_vm dead;

	assert_int_equal(lab->vm_power(run, 7, NOVA_POWER_START, 0), NOVA_E_NOT_FOUND);
	assert_int_equal(lab->vm_delete(run, 7, 0), NOVA_E_NOT_FOUND);
	assert_int_equal(lab->vm_create(run, 0, NULL, 0, &dead), NOVA_E_FAILED);
	assert_int_equal(lab->wait(run, dead, NOVA_EVENT_RUNNING, 0, NULL), NOVA_E_NOT_FOUND);
	assert_int_equal(lab->vm_delete(run, dead, 0), NOVA_DONE); /* not there already */
	assert_int_equal(lab->vm_create(run, 0, NULL, 0, &vm), NOVA_DONE);
	assert_int_equal(lab->vm_delete(run, vm, 0), NOVA_DONE);
	assert_int_equal(lab->wait(run, vm, NOVA_EVENT_STOPPED, 0, NULL), NOVA_E_NOT_FOUND);
	assert_int_equal(lab->vm_query(run, vm, NOVA_QUERY_STATE, 0), NOVA_E_NOT_FOUND);
	assert_int_equal(lab->vm_delete(run, vm, 0), NOVA_E_NOT_FOUND);
	return attempt();
}

static void complains_of_vms_that_there_are_not(void **state)
{
	static const char *const parts[] = {
	        "vm_power.start: there is no VM 7",   "vm_delete: there is no VM 7",
	        "wait.running: VM 1 was not created", "wait.stopped: VM 2 is deleted",
	        "vm_query.state: VM 2 is deleted",    "vm_delete: VM 2 is deleted"};

	(void)state;
	nova_testhost_script(host, "vm_create", NOVA_E_FAILED, 0, 1);
	assert_int_equal(once(uses_vms_wrongly), NOVA_DONE);
	assert_int_equal(nova_testhost_complaints(host), 6);
	for (uint32_t i = 0; i < 6; i++)
		assert_string_equal(nova_testhost_complaint(host, i), parts[i]);
}

static int uses_the_last_replicates_vm(void)
{
	if (vm == 0)
		started();
	else
		assert_int_equal(lab->vm_power(run, vm, NOVA_POWER_OFF, 0), NOVA_E_NOT_FOUND);
	return attempt();
}

static void what_a_replicate_leaves_is_deleted(void **state)
{
	(void)state;
	assert_int_equal(once(uses_the_last_replicates_vm), NOVA_DONE);
	assert_no_complaint();
	assert_int_equal(nova_testhost_leftovers(host), 1);
	assert_int_equal(once(uses_the_last_replicates_vm), NOVA_DONE);
	assert_complaint("is deleted");
	assert_int_equal(nova_testhost_leftovers(host), 1);
}

static int wrong_arguments(void)
{
	static const char *const argv[] = {"true", NULL}, *const nothing[] = {NULL};
	static const char *const env[] = {"NAME", NULL}, *const knobs[] = {"vm.x", NULL};
	struct nova_shape shape = {.struct_size = 4};
	struct nova_event event = {.struct_size = 0};
	struct nova_result result = {.struct_size = 0};
	struct nova_exec exec = {.struct_size = 4, .argv = argv};
	struct nova_migrate how = {.struct_size = 4};
	char name[64];

	ready();
	assert_int_equal(lab->vm_create(run, 2, NULL, 0, &vm), NOVA_E_INVALID);
	assert_int_equal(vm, 0);
	assert_int_equal(lab->vm_create(run, 0, NULL, 0, NULL), NOVA_E_INVALID);
	assert_int_equal(lab->vm_create(run, 0, &shape, 0, &vm), NOVA_E_INVALID);
	shape.struct_size = sizeof(shape);
	shape.boot = 5;
	assert_int_equal(lab->vm_create(run, 0, &shape, 0, &vm), NOVA_E_INVALID);
	shape.boot = 0;
	shape.knobs = knobs;
	assert_int_equal(lab->vm_create(run, 0, &shape, 0, &vm), NOVA_E_INVALID);
	assert_int_equal(lab->vm_power(run, 1, 5, 0), NOVA_E_INVALID);
	assert_int_equal(lab->vm_query(run, 1, 0, 0), NOVA_E_INVALID);
	assert_int_equal(lab->vm_query(run, 1, 4, 0), NOVA_E_INVALID);
	assert_int_equal(lab->snapshot(run, 1, "s", 1, 0), NOVA_E_INVALID);
	assert_int_equal(lab->snapshot(run, 1, "", NOVA_SNAPSHOT_CREATE, 0), NOVA_E_INVALID);
	assert_int_equal(lab->snapshot(run, 1, NULL, NOVA_SNAPSHOT_CREATE, 0), NOVA_E_INVALID);
	assert_int_equal(lab->wait(run, 1, 5, 0, NULL), NOVA_E_INVALID);
	assert_int_equal(lab->wait(run, 1, NOVA_EVENT_READY, 0, &event), NOVA_E_INVALID);
	assert_int_equal(lab->exec(run, 1, NULL, 0), NOVA_E_INVALID);
	assert_int_equal(lab->exec(run, 1, &exec, 0), NOVA_E_INVALID);
	exec.struct_size = sizeof(exec);
	exec.argv = nothing;
	assert_int_equal(lab->exec(run, 1, &exec, 0), NOVA_E_INVALID);
	exec.argv = argv;
	exec.env = env;
	assert_int_equal(lab->exec(run, 0, &exec, 0), NOVA_E_INVALID);
	exec.env = NULL;
	exec.input_bytes = 1;
	assert_int_equal(lab->exec(run, 0, &exec, 0), NOVA_E_INVALID);
	assert_int_equal(lab->migrate(run, 1, 1, &how, 0), NOVA_E_INVALID);
	how.struct_size = sizeof(how);
	assert_int_equal(lab->migrate(run, 1, 2, &how, 0), NOVA_E_INVALID);
	assert_int_equal(lab->migrate(run, 1, 0, &how, 0), NOVA_E_INVALID);
	assert_int_equal(lab->net_create(run, 2, NOVA_NET_NAT, 0, name), NOVA_E_INVALID);
	assert_int_equal(lab->net_create(run, 0, 3, 0, name), NOVA_E_INVALID);
	assert_int_equal(lab->net_create(run, 0, NOVA_NET_NAT, 0, NULL), NOVA_E_INVALID);
	assert_int_equal(lab->fan_out(run, 1, 0, 0, NULL, NULL), NOVA_E_INVALID);
	assert_int_equal(lab->fan_out(run, 1, 0, -1, lane, NULL), NOVA_E_INVALID);
	assert_int_equal(lab->fan_out(run, 1, 0, NAN, lane, NULL), NOVA_E_INVALID);
	assert_int_equal(lab->result(run, 1, NOVA_FIELD_STARTED_NS, 0, NULL), NOVA_E_INVALID);
	assert_int_equal(lab->result(run, 1, NOVA_FIELD_STARTED_NS, 0, &result), NOVA_E_INVALID);
	assert_int_equal(lab->can(run, 2, NOVA_CAN_EXEC, NULL, 0), 0);
	assert_int_equal(lab->can(run, 0, NULL, NULL, 0), 0);
	assert_int_equal(lab->vm_delete(run, 1, -1), NOVA_E_INVALID);
	assert_int_equal(lab->vm_delete(run, 1, 5000000000), NOVA_E_INVALID);
	assert_int_equal(lab->wait(run, 1, NOVA_EVENT_READY, 5000000000, NULL), NOVA_E_INVALID);
	return attempt();
}

static void complains_of_each_wrong_argument(void **state)
{
	(void)state;
	assert_int_equal(once(wrong_arguments), NOVA_DONE);
	assert_int_equal(nova_testhost_complaints(host), 34);
	assert_int_equal(nova_testhost_vms(host), 1);
	assert_non_null(strstr(nova_testhost_complaint(host, 33), "is it a duration?"));
}

static int asks_too_late(void)
{
	struct nova_result result = {.struct_size = sizeof(result)};
	nova_vm first, second;

	assert_int_equal(lab->result(run, 0, NOVA_FIELD_STARTED_NS, 0, &result), NOVA_E_NOT_FOUND);
	assert_int_equal(lab->vm_create(run, 0, NULL, 0, &first), NOVA_DONE);
	assert_int_equal(lab->vm_create(run, 0, NULL, 0, &second), NOVA_DONE);
	assert_int_equal(lab->result(run, first, NOVA_FIELD_ID, 0, &result), NOVA_E_NOT_FOUND);
	return attempt();
}

static void complains_of_results_asked_for_too_late(void **state)
{
	(void)state;
	assert_int_equal(once(asks_too_late), NOVA_DONE);
	assert_int_equal(nova_testhost_complaints(host), 2);
	assert_non_null(strstr(nova_testhost_complaint(host, 0), "no call"));
	assert_non_null(strstr(nova_testhost_complaint(host, 1), "right after"));
}

static int goes_on(void)
{
	assert_int_equal(lab->vm_create(run, 0, NULL, 0, &vm), NOVA_E_INTERRUPTED);
	assert_int_equal(lab->vm_delete(run, vm, 0), NOVA_E_INTERRUPTED);
	return NOVA_E_INTERRUPTED;
}

static int obeys(void)
{
	return lab->vm_create(run, 0, NULL, 0, &vm);
}

static void complains_of_calls_after_an_interruption(void **state)
{
	(void)state;
	nova_testhost_script(host, "vm_create", NOVA_E_INTERRUPTED, 0, 2);
	assert_int_equal(once(obeys), NOVA_E_INTERRUPTED);
	assert_no_complaint();
	assert_int_equal(once(goes_on), NOVA_E_INTERRUPTED);
	assert_complaint("return at once");
}

static int second_is_interrupted(void *context, uint32_t i, int64_t intended_ns)
{
	nova_vm number;
	int status;

	(void)context;
	(void)i;
	(void)intended_ns;
	do
		status = lab->vm_create(run, 0, NULL, 0, &number);
	while (status == NOVA_DONE);
	return status;
}

static int fans_interrupted(void)
{
	return lab->fan_out(run, 6, 3, 0, second_is_interrupted, NULL);
}

static void an_interruption_reaches_every_thread(void **state)
{
	(void)state;
	nova_testhost_script(host, "vm_create", NOVA_DONE, 0, 10);
	nova_testhost_script(host, "vm_create", NOVA_E_INTERRUPTED, 0, 1);
	assert_int_equal(once(fans_interrupted), NOVA_E_INTERRUPTED);
	assert_no_complaint();
}

static int goes_on_after_the_fan(void)
{
	assert_int_equal(fans_interrupted(), NOVA_E_INTERRUPTED);
	return lab->vm_create(run, 0, NULL, 0, &vm);
}

static void complains_of_calls_after_an_interrupted_fan_out(void **state)
{
	(void)state;
	nova_testhost_script(host, "vm_create", NOVA_E_INTERRUPTED, 0, 1);
	assert_int_equal(once(goes_on_after_the_fan), NOVA_E_INTERRUPTED);
	assert_complaint("return at once");
}

/* 0 waits for ever, 1 is interrupted after 1 ms, 2 to 9 would start much later. */
static int waits_or_is_interrupted(void *context, uint32_t i, int64_t intended_ns)
{
	nova_vm number;

	(void)context;
	(void)intended_ns;
	assert_true(i < 2);
	return i == 0 ? lab->wait(run, vm, NOVA_EVENT_STOPPED, 0, NULL)
	              : lab->vm_create(run, 0, NULL, 0, &number);
}

static int64_t interrupted_ns;

static int fans_waiting(void)
{
	int64_t start;
	int status;

	started();
	start = table->now_ns();
	status = lab->fan_out(run, 10, 0, 1, waits_or_is_interrupted, NULL);
	interrupted_ns = table->now_ns() - start;
	return status;
}

static void an_interruption_ends_all_waiting_at_once(void **state)
{
	(void)state;
	nova_testhost_script(host, "vm_create", NOVA_DONE, 0, 1);
	nova_testhost_script(host, "vm_create", NOVA_E_INTERRUPTED, 0, 1);
	assert_int_equal(once(fans_waiting), NOVA_E_INTERRUPTED);
	assert_no_complaint();
	assert_int_equal(interrupted_ns, 1001 * MS);
}

/* 0's call takes 10 s, and goes on when 1 is interrupted after 1 s. */
static int calls_or_is_interrupted(void *context, uint32_t i, int64_t intended_ns)
{
	nova_vm number;
	int status;

	(void)context;
	(void)intended_ns;
	assert_true(i < 2);
	status = lab->vm_create(run, 0, NULL, 0, &number);
	if (i == 0)
		assert_int_equal(took_ns(number), 10000 * MS);
	return status;
}

static int fans_calling(void)
{
	return lab->fan_out(run, 3, 0, 1, calls_or_is_interrupted, NULL);
}

static void an_interruption_lets_calls_end(void **state)
{
	(void)state;
	nova_testhost_script(host, "vm_create", NOVA_DONE, 10000 * MS, 1);
	nova_testhost_script(host, "vm_create", NOVA_E_INTERRUPTED, 0, 1);
	assert_int_equal(once(fans_calling), NOVA_E_INTERRUPTED);
	assert_no_complaint();
}

static int fails_silently(void)
{
	return NOVA_E_FAILED;
}

static int fails_with_text(void)
{
	return table->error(run, NOVA_E_FAILED, "the guest is a teapot");
}

static int returns_nonsense(void)
{
	attempt();
	return 5;
}

static void complains_of_failures_without_text(void **state)
{
	(void)state;
	setup_does = fails_silently;
	assert_int_equal(once(attempt), NOVA_E_FAILED);
	assert_complaint("setup failed with -10 and no error()");
	assert_string_equal(nova_testhost_error(host), "");
	setup_does = fails_with_text;
	assert_int_equal(once(attempt), NOVA_E_FAILED);
	assert_string_equal(nova_testhost_error(host), "the guest is a teapot");
	setup_does = NULL;
	assert_int_equal(once(fails_with_text), NOVA_E_FAILED);
	assert_complaint("setup");
	assert_int_equal(once(fails_silently), NOVA_E_FAILED);
	assert_int_equal(once(returns_nonsense), 5);
	teardown_does = fails_silently;
	nova_testhost_stop(host);
	nova_testhost_stop(host);
	assert_int_equal(nova_testhost_complaints(host), 4);
	assert_non_null(strstr(nova_testhost_complaint(host, 1), "replicate failed with -10"));
	assert_non_null(strstr(nova_testhost_complaint(host, 2), "returned 5"));
	assert_non_null(strstr(nova_testhost_complaint(host, 3), "teardown failed"));
}

static void *calls_from_elsewhere(void *context)
{
	nova_vm number;

	assert_int_equal(lab->vm_create(run, 0, NULL, 0, &number), NOVA_E_INVALID);
	assert_int_equal(lab->attempt(run, NOVA_SAMPLE_OK), NOVA_E_INVALID);
	return context;
}

static int starts_a_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, calls_from_elsewhere, NULL);
	pthread_join(thread, NULL);
	return attempt();
}

static void complains_of_calls_on_other_threads_and_times(void **state)
{
	(void)state;
	calls_from_elsewhere(NULL); /* before any replicate */
	assert_int_equal(once(starts_a_thread), NOVA_DONE);
	nova_testhost_stop(host);
	calls_from_elsewhere(NULL);
	assert_int_equal(nova_testhost_complaints(host), 6);
	assert_non_null(strstr(nova_testhost_complaint(host, 0), "outside of setup"));
	assert_non_null(strstr(nova_testhost_complaint(host, 2), "not the host's"));
	assert_non_null(strstr(nova_testhost_complaint(host, 4), "after destroy"));
}

static int wrong_run(void)
{
	assert_int_equal(lab->vm_create(run + 1000, 0, NULL, 0, &vm), NOVA_E_INVALID);
	assert_int_equal(lab->attempt(run + 1000, NOVA_SAMPLE_OK), NOVA_E_INVALID);
	return attempt();
}

static void complains_of_another_run(void **state)
{
	(void)state;
	assert_int_equal(once(wrong_run), NOVA_DONE);
	assert_int_equal(nova_testhost_complaints(host), 2);
	assert_non_null(strstr(nova_testhost_complaint(host, 0), "not this benchmark's run"));
}

static int returns_five(void *context, uint32_t i, int64_t intended_ns)
{
	(void)context;
	(void)i;
	(void)intended_ns;
	attempt();
	return 5;
}

static int fans_nonsense(void)
{
	assert_int_equal(lab->fan_out(run, 1, 0, 0, returns_five, NULL), 5);
	return NOVA_DONE;
}

static void complains_of_a_status_that_is_none(void **state)
{
	(void)state;
	assert_int_equal(once(fans_nonsense), NOVA_DONE);
	assert_complaint("a function of fan_out returned 5");
}

/* --- life --------------------------------------------------------------------------------------
 */

static int setups, teardowns;

static int counts_setup(void)
{
	assert_int_equal(lab->vm_create(run, 0, NULL, 0, &vm), NOVA_DONE);
	return ++setups, NOVA_DONE;
}

static int counts_teardown(void)
{
	return ++teardowns, NOVA_DONE;
}

static void setup_is_once_and_teardown_only_after_it(void **state)
{
	(void)state;
	setups = teardowns = 0;
	setup_does = counts_setup;
	teardown_does = counts_teardown;
	assert_int_equal(once(attempt), NOVA_DONE);
	assert_int_equal(once(attempt), NOVA_DONE);
	nova_testhost_stop(host);
	assert_int_equal(setups, 1);
	assert_int_equal(teardowns, 1);
	assert_int_equal(once(attempt), NOVA_E_INVALID);
	end(state);
	begin(state);
	setup_does = fails_with_text;
	assert_int_equal(once(attempt), NOVA_E_FAILED);
	nova_testhost_stop(host);
	assert_int_equal(teardowns, 1);
	assert_no_complaint();
}

static void a_replicate_needs_a_start_and_a_side(void **state)
{
	struct nova_testhost *other = nova_testhost_new(&PLUGIN, NULL);

	(void)state;
	assert_int_equal(nova_testhost_replicate(other, 0, NOVA_SIDE_VM), NOVA_E_INVALID);
	nova_testhost_stop(other);
	nova_testhost_free(other);
	replicate_does = attempt;
	assert_int_equal(nova_testhost_replicate(host, 0, 0), NOVA_E_INVALID);
	assert_int_equal(nova_testhost_replicate(host, 0, 5), NOVA_E_INVALID);
	assert_int_equal(nova_testhost_replicate(host, 0, NOVA_SIDE_A), NOVA_DONE);
	assert_int_equal(nova_testhost_start(host), NOVA_E_INVALID);
	assert_int_equal(nova_testhost_examine(host, 10), NOVA_E_INVALID);
	assert_int_equal(nova_testhost_adapt(host, "ml", 10), NOVA_E_INVALID);
	assert_int_equal(nova_testhost_proposal_count(host), 0);
	assert_null(nova_testhost_proposal(host, 0));
}

static void gives_as_many_targets_and_vms_as_it_says(void **state)
{
	(void)state;
	assert_int_equal(lab->targets, 2);
	assert_int_equal(nova_testhost_width(host), 1);
	end(state);
	ops.targets_min = 0;
	ops.width = NULL;
	host = nova_testhost_new(&PLUGIN, NULL);
	assert_int_equal(nova_testhost_start(host), NOVA_DONE);
	assert_int_equal(lab->targets, 1);
	assert_int_equal(nova_testhost_width(host), 1);
	end(state);
	ops.width = fake_width;
	width_says = 0;
	host = nova_testhost_new(&PLUGIN, NULL);
	assert_int_equal(nova_testhost_start(host), NOVA_DONE);
	assert_complaint("width is 0");
}

static void the_host_complains_of_its_own_misuse(void **state)
{
	(void)state;
	nova_testhost_script_exec(host, "", "x", 0);
	nova_testhost_deny(host, NULL, "x");
	nova_testhost_set_i64(host, 0, 1);
	nova_testhost_set_fact(host, "x", "y");
	assert_int_equal(nova_testhost_complaints(host), 4);
}

static void two_runs_are_the_same(void **state)
{
	int64_t first;

	(void)state;
	fan(20, 7, 1234);
	first = nova_testhost_sample(host, 19)->t_ns;
	end(state);
	begin(state);
	fan(20, 7, 1234);
	assert_int_equal(nova_testhost_sample(host, 19)->t_ns, first);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_vm_lives_in_simulated_time),
	        TEST(power_calls_follow_the_state_and_its_events),
	        TEST(snapshots_are_made_restored_and_deleted_by_name),
	        TEST(queries_put_what_they_owe_or_what_the_test_sets),
	        TEST(programs_print_and_end_as_scripted),
	        TEST(host_processes_are_simulated_too),
	        TEST(migrates_between_targets),
	        TEST(scripts_are_used_up_in_their_order),
	        TEST(a_new_script_holds_from_then_on),
	        TEST(a_script_of_one_action_goes_before_those_of_the_call),
	        TEST(calls_end_at_their_deadlines),
	        TEST(events_come_as_scripted),
	        TEST(refuses_scripts_that_mean_nothing),
	        TEST(can_says_what_is_denied),
	        TEST(programs_run_natively_where_vms_cannot),
	        TEST(what_is_denied_is_unsupported_and_sends_no_event),
	        TEST(fan_out_overlaps_in_simulated_time),
	        TEST(fan_out_keeps_the_limit),
	        TEST(an_open_loop_starts_by_its_schedule),
	        TEST(an_open_loop_that_cannot_keep_up_starts_late),
	        TEST(fan_out_returns_the_first_failure_after_all_have_ended),
	        TEST(who_waits_sees_what_another_thread_does_to_the_vm),
	        TEST(fan_out_may_be_nested),
	        TEST(complains_of_a_lock_held_during_a_call_and_goes_on),
	        TEST(a_loop_that_waits_for_a_time_ends),
	        TEST(samples_are_kept_with_side_and_text_of_their_own),
	        TEST(complains_of_samples_that_are_wrong),
	        TEST(complains_of_a_sample_given_twice),
	        TEST(complains_of_attempts_without_status),
	        TEST(complains_of_a_replicate_that_records_nothing),
	        TEST(complains_of_samples_outside_of_a_replicate),
	        TEST(complains_of_vms_that_there_are_not),
	        TEST(what_a_replicate_leaves_is_deleted),
	        TEST(complains_of_each_wrong_argument),
	        TEST(complains_of_results_asked_for_too_late),
	        TEST(complains_of_calls_after_an_interruption),
	        TEST(an_interruption_reaches_every_thread),
	        TEST(complains_of_calls_after_an_interrupted_fan_out),
	        TEST(an_interruption_ends_all_waiting_at_once),
	        TEST(an_interruption_lets_calls_end),
	        TEST(complains_of_failures_without_text),
	        TEST(complains_of_calls_on_other_threads_and_times),
	        TEST(complains_of_another_run),
	        TEST(complains_of_a_status_that_is_none),
	        TEST(setup_is_once_and_teardown_only_after_it),
	        TEST(a_replicate_needs_a_start_and_a_side),
	        TEST(gives_as_many_targets_and_vms_as_it_says),
	        TEST(the_host_complains_of_its_own_misuse),
	        TEST(two_runs_are_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
