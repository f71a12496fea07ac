/* SPDX-License-Identifier: MIT */
/* The simulator: what it injects is what it says, whatever the clock, the order and the threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim.h"
#include <novacore/testhost.h>

const struct nova_plugin *nova_plugin_entry_v1(const struct nova_host *host);

static const struct nova_shape SHAPE = {
        .struct_size = sizeof(SHAPE), .vcpus = 2, .memory_bytes = 1u << 30};

/* A host with a started sim; parameters NULL-terminated. */
static struct nova_testhost *begin(const char *const *parameters)
{
	struct nova_testhost *host = nova_testhost_new(nova_plugin_entry_v1(NULL), parameters);

	if (!host)
		print_error("%s\n", nova_testhost_refusal());
	assert_non_null(host);
	assert_int_equal(nova_testhost_start(host), NOVA_DONE);
	assert_int_equal(nova_testhost_call(host, 5000, connect), NOVA_DONE);
	return host;
}
#define BEGIN(...) begin((const char *const[]){__VA_ARGS__, NULL})

static void finish(struct nova_testhost *host)
{
	assert_int_equal(nova_testhost_complaints(host), 0);
	nova_testhost_free(host);
}

static struct nova_ref ref(const char *name)
{
	return (struct nova_ref){.struct_size = sizeof(struct nova_ref), .name = name};
}

static int create(struct nova_testhost *host, const char *name)
{
	return nova_testhost_call(host, 5000, vm_create, name, &SHAPE);
}

static int power(struct nova_testhost *host, const char *name, uint32_t action)
{
	struct nova_ref vm = ref(name);

	return nova_testhost_call(host, 5000, vm_power, &vm, action);
}

static int snapshot(struct nova_testhost *host, const char *name, uint32_t action)
{
	struct nova_ref vm = ref(name);

	return nova_testhost_call(host, 5000, snapshot, &vm, "s", action);
}

static int drop(struct nova_testhost *host, const char *name)
{
	struct nova_ref vm = ref(name);

	return nova_testhost_call(host, 5000, vm_delete, &vm);
}

/* "injected.<operation>" of this thread's last op, ns; −1 if it was not put. */
static int64_t injected(struct nova_testhost *host, const char *operation)
{
	char key[64];
	const char *text;

	snprintf(key, sizeof(key), "injected.%s", operation);
	text = nova_testhost_fact(host, NOVA_FIELD_FACT, key);
	return text ? strtoll(text, NULL, 10) : -1;
}

/* Returned − started of this thread's last op. */
static int64_t taken(struct nova_testhost *host)
{
	int64_t from = 0, to = 0;

	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_STARTED_NS, 0, &from), NOVA_DONE);
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_RETURNED_NS, 0, &to), NOVA_DONE);
	return to - from;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The latencies of creating VMs 0…count−1, as measured. */
static void sample(struct nova_testhost *host, double *values, int count)
{
	char name[64];

	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "novacore-a-b-%d", i);
		assert_int_equal(create(host, name), NOVA_DONE);
		values[i] = (double)taken(host);
		assert_int_equal(taken(host), injected(host, "create"));
	}
}

#define SAMPLES 4000

static void recovers_each_distribution(void **state)
{
	/* quantiles 0.1, 0.5, 0.9 in ms, by the laws' formulas */
	static const struct {
		const char *text;
		double q10, q50, q90;
	} laws[] = {
	        {"create=constant:20ms", 20, 20, 20},
	        {"create=normal:20ms:2ms", 17.4369, 20, 22.5631},
	        {"create=lognormal:20ms:0.3", 13.6163, 20, 29.3766},
	        {"create=exponential:20ms", 2.10721, 13.8629, 46.0517},
	        {"create=uniform:10ms:30ms", 12, 20, 28},
	};
	static double values[SAMPLES];

	(void)state;
	for (size_t i = 0; i < sizeof(laws) / sizeof(laws[0]); i++) {
		struct nova_testhost *host = BEGIN("clock=virtual", laws[i].text);

		sample(host, values, SAMPLES);
		qsort(values, SAMPLES, sizeof(double), ascending);
		/* The exponential's lowest decile is the loosest: 5 standard errors are 24 %. */
		assert_true(fabs(values[SAMPLES / 10] / 1e6 / laws[i].q10 - 1) <
		            (i == 3 ? 0.24 : 0.05));
		assert_true(fabs(values[SAMPLES / 2] / 1e6 / laws[i].q50 - 1) < 0.08);
		assert_true(fabs(values[SAMPLES * 9 / 10] / 1e6 / laws[i].q90 - 1) < 0.08);
		finish(host);
	}
}

static double lag_one(const double *values, int count)
{
	double mean = 0, above = 0, below = 0;

	for (int i = 0; i < count; i++)
		mean += values[i] / count;
	for (int i = 0; i < count; i++) {
		below += (values[i] - mean) * (values[i] - mean);
		if (i > 0)
			above += (values[i] - mean) * (values[i - 1] - mean);
	}
	return above / below;
}

static void injects_autocorrelation_without_changing_the_distribution(void **state)
{
	static const struct {
		const char *text;
		double rho;
	} cases[] = {{"rho=0", 0}, {"rho=0.5", 0.5}, {"rho=0.9", 0.9}, {"rho=-0.5", -0.5}};
	static double values[SAMPLES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nova_testhost *host =
		        BEGIN("clock=virtual", "create=normal:100ms:10ms", cases[i].text);

		sample(host, values, SAMPLES);
		assert_true(fabs(lag_one(values, SAMPLES) - cases[i].rho) < 0.07);
		qsort(values, SAMPLES, sizeof(double), ascending);
		assert_true(fabs(values[SAMPLES / 2] / 1e8 - 1) < 0.03);
		assert_true(fabs(values[SAMPLES * 9 / 10] / 1e6 - 112.8) < 3);
		finish(host);
	}
}

static void injects_spikes_and_a_regression(void **state)
{
	static double plain[1000], changed[1000];
	struct nova_testhost *host = BEGIN("clock=virtual");
	int spikes = 0;

	(void)state;
	sample(host, plain, 1000);
	finish(host);
	host = BEGIN("clock=virtual", "regression_vm=600", "regression_factor=1.5");
	sample(host, changed, 1000);
	for (int i = 0; i < 1000; i++)
		assert_true(fabs(changed[i] / plain[i] - (i < 600 ? 1 : 1.5)) < 1e-6);
	finish(host);
	/* VM n's time line begins n + 1 minutes after the clock's zero. */
	host = BEGIN("clock=virtual", "regression_after=601min", "regression_factor=2");
	sample(host, changed, 1000);
	for (int i = 0; i < 1000; i++)
		assert_true(fabs(changed[i] / plain[i] - (i < 600 ? 1 : 2)) < 1e-6);
	finish(host);
	host = BEGIN("clock=virtual", "spike_probability=0.1", "spike_factor=10");
	sample(host, changed, 1000);
	for (int i = 0; i < 1000; i++) {
		int spike = changed[i] / plain[i] > 5;

		assert_true(fabs(changed[i] / plain[i] - (spike ? 10 : 1)) < 1e-6);
		spikes += spike;
	}
	assert_in_range(spikes, 55, 150);
	finish(host);
}

/* --- one fate per VM, whatever the order -------------------------------------------------- */

#define LIVES 48

struct fate {
	int64_t create, start, first, userspace, ready, snapshot, restore, stop, delete;
	int64_t running_ns, ready_ns;
};

static void live(struct nova_testhost *host, const char *run, int number, struct fate *fate)
{
	const struct nova_event *event;
	char name[64];

	snprintf(name, sizeof(name), "novacore-%s-%d", run, number);
	assert_int_equal(create(host, name), NOVA_DONE);
	fate->create = injected(host, "create");
	assert_int_equal(power(host, name, NOVA_POWER_START), NOVA_DONE);
	fate->start = injected(host, "start");
	fate->first = injected(host, "first");
	fate->userspace = injected(host, "userspace");
	fate->ready = injected(host, "ready");
	event = nova_testhost_wait(host, 0, name, NOVA_EVENT_RUNNING, 5000);
	assert_non_null(event);
	fate->running_ns = event->t_ns;
	event = nova_testhost_wait(host, 0, name, NOVA_EVENT_READY, 5000);
	assert_non_null(event);
	fate->ready_ns = event->t_ns;
	assert_int_equal(snapshot(host, name, NOVA_SNAPSHOT_CREATE), NOVA_DONE);
	fate->snapshot = injected(host, "snapshot");
	assert_int_equal(snapshot(host, name, NOVA_SNAPSHOT_RESTORE), NOVA_DONE);
	fate->restore = injected(host, "restore");
	assert_int_equal(power(host, name, NOVA_POWER_SHUTDOWN), NOVA_DONE);
	fate->stop = injected(host, "stop");
	assert_non_null(nova_testhost_wait(host, 0, name, NOVA_EVENT_STOPPED, 5000));
	assert_int_equal(drop(host, name), NOVA_DONE);
	fate->delete = injected(host, "delete");
}

static void virtual_samples_do_not_depend_on_order_or_run(void **state)
{
	static struct fate forth[LIVES], shuffled[LIVES], other[LIVES];
	struct nova_testhost *host = BEGIN("clock=virtual", "seed=7", "rho=0.5");

	(void)state;
	for (int i = 0; i < LIVES; i++)
		live(host, "i-run1", i, &forth[i]);
	finish(host);
	host = BEGIN("clock=virtual", "seed=7", "rho=0.5", "ops=sync");
	for (int i = 0; i < LIVES; i++)
		live(host, "j-run2", i * 29 % LIVES, &shuffled[i * 29 % LIVES]);
	finish(host);
	assert_memory_equal(forth, shuffled, sizeof(forth));
	host = BEGIN("clock=virtual", "seed=8", "rho=0.5");
	for (int i = 0; i < LIVES; i++)
		live(host, "i-run1", i, &other[i]);
	finish(host);
	for (int i = 0; i < LIVES; i++)
		assert_true(forth[i].create != other[i].create);
}

struct pass {
	struct nova_testhost *host;
	struct fate *fates;
	int number;
};

static void *live_thread(void *context)
{
	struct pass *pass = context;

	live(pass->host, "i-run", pass->number, &pass->fates[pass->number]);
	return NULL;
}

static void live_together(struct nova_testhost *host, struct fate *fates)
{
	struct pass passes[LIVES];
	pthread_t threads[LIVES];

	for (int i = 0; i < LIVES; i++) {
		passes[i] = (struct pass){host, fates, i};
		pthread_create(&threads[i], NULL, live_thread, &passes[i]);
	}
	for (int i = 0; i < LIVES; i++)
		pthread_join(threads[i], NULL);
}

static void injects_the_same_async_and_sync_and_virtual(void **state)
{
	static struct fate fates[3][LIVES];
	static const char *const ways[][3] = {{"clock=real", "ops=async", NULL},
	                                      {"clock=real", "ops=sync", NULL},
	                                      {"clock=virtual", "ops=async", NULL}};
	struct nova_testhost *host;

	(void)state;
	for (int i = 0; i < 3; i++) {
		host = begin(ways[i]);
		live_together(host, fates[i]);
		finish(host);
		for (int j = 0; j < LIVES; j++) {
			struct fate *fate = &fates[i][j];

			/* Stamps differ by the start only; the distance is what was injected. */
			assert_int_equal(fate->ready_ns - fate->running_ns,
			                 fate->ready - fate->start);
			fate->running_ns = fate->ready_ns = 0;
		}
	}
	assert_memory_equal(fates[0], fates[1], sizeof(fates[0]));
	assert_memory_equal(fates[0], fates[2], sizeof(fates[0]));
}

/* --- many at once ------------------------------------------------------------------------- */

#define CROWD 1000

struct member {
	struct nova_testhost *host;
	int number, wrong;
};

static void *start_thread(void *context)
{
	struct member *member = context;
	struct nova_ref vm;
	char name[64];
	int64_t before_ns, measured_ns;

	snprintf(name, sizeof(name), "novacore-i-r-%d", member->number);
	vm = ref(name);
	before_ns = nova_testhost_table()->now_ns();
	member->wrong +=
	        nova_testhost_call(member->host, 60000, vm_create, name, &SHAPE) != NOVA_DONE;
	measured_ns = nova_testhost_table()->now_ns() - before_ns;
	/* Really waited: never less than what was injected. */
	member->wrong += measured_ns < injected(member->host, "create");
	member->wrong += nova_testhost_call(member->host, 60000, vm_power, &vm, NOVA_POWER_START) !=
	                 NOVA_DONE;
	member->wrong += nova_testhost_call(member->host, 60000, vm_delete, &vm) != NOVA_DONE;
	return NULL;
}

static void a_thousand_at_once_really_wait(void **state)
{
	static struct member members[CROWD];
	static pthread_t threads[CROWD];
	static const char *const ways[] = {"ops=async", "ops=sync"};
	pthread_attr_t small;
	int wrong;

	(void)state;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 256 << 10);
	for (int way = 0; way < 2; way++) {
		struct nova_testhost *host =
		        BEGIN("clock=real", ways[way], "create=uniform:0s:300ms");

		for (int i = 0; i < CROWD; i++) {
			members[i] = (struct member){host, i, 0};
			assert_int_equal(
			        pthread_create(&threads[i], &small, start_thread, &members[i]), 0);
		}
		wrong = 0;
		for (int i = 0; i < CROWD; i++) {
			pthread_join(threads[i], NULL);
			wrong += members[i].wrong;
		}
		assert_int_equal(wrong, 0);
		assert_int_equal(nova_testhost_call(host, 5000, vm_list, "novacore-"), NOVA_DONE);
		assert_int_equal(nova_testhost_count(host, NOVA_FIELD_VM), 0);
		finish(host);
	}
	pthread_attr_destroy(&small);
}

/* --- failures ----------------------------------------------------------------------------- */

static void fails_as_often_as_asked_and_says_why(void **state)
{
	struct nova_testhost *host = BEGIN("clock=virtual", "fail=create:0.2");
	int failures = 0;
	char name[64];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "vm-%d", i);
		if (create(host, name) == NOVA_DONE)
			continue;
		failures++;
		assert_non_null(strstr(nova_testhost_error(host), name));
		assert_non_null(strstr(nova_testhost_error(host), "no space left"));
	}
	assert_in_range(failures, 320, 480);
	/* A failed creation leaves nothing behind. */
	assert_int_equal(nova_testhost_call(host, 5000, vm_list, "vm-"), NOVA_DONE);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_VM), 2000 - failures);
	finish(host);
}

static void each_failing_op_leaves_the_state_as_it_was(void **state)
{
	static const char *const ops[] = {"fail=start:1", "fail=snapshot:1", "fail=stop:1",
	                                  "fail=delete:1", "fail=off:1"};

	(void)state;
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		struct nova_testhost *host = BEGIN("clock=virtual", ops[i]);
		struct nova_ref vm = ref("vm-1");
		int64_t now = 0;

		assert_int_equal(create(host, "vm-1"), NOVA_DONE);
		assert_int_equal(power(host, "vm-1", NOVA_POWER_START),
		                 i == 0 ? NOVA_E_FAILED : NOVA_DONE);
		assert_int_equal(snapshot(host, "vm-1", NOVA_SNAPSHOT_CREATE),
		                 i == 0   ? NOVA_E_BUSY
		                 : i == 1 ? NOVA_E_FAILED
		                          : NOVA_DONE);
		if (i == 2)
			assert_int_equal(power(host, "vm-1", NOVA_POWER_SHUTDOWN), NOVA_E_FAILED);
		if (i == 4)
			assert_int_equal(power(host, "vm-1", NOVA_POWER_OFF), NOVA_E_FAILED);
		assert_int_equal(nova_testhost_call(host, 5000, vm_query, &vm, NOVA_QUERY_STATE),
		                 NOVA_DONE);
		assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_STATE, 0, &now), NOVA_DONE);
		assert_int_equal(now, i == 0 ? NOVA_STATE_OFF : NOVA_STATE_RUNNING);
		assert_int_equal(drop(host, "vm-1"), i == 3 ? NOVA_E_FAILED : NOVA_DONE);
		finish(host);
	}
}

static void a_crash_comes_instead_of_ready(void **state)
{
	static const char *const clocks[] = {"clock=virtual", "clock=real"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct nova_testhost *host = BEGIN(clocks[i], "fail=ready:1");

		assert_int_equal(create(host, "vm-1"), NOVA_DONE);
		assert_int_equal(power(host, "vm-1", NOVA_POWER_START), NOVA_DONE);
		assert_non_null(nova_testhost_wait(host, 0, "vm-1", NOVA_EVENT_CRASHED, 5000));
		assert_non_null(nova_testhost_wait(host, 0, "vm-1", NOVA_EVENT_USERSPACE, 0));
		assert_null(nova_testhost_wait(host, 0, "vm-1", NOVA_EVENT_READY, 0));
		assert_int_equal(power(host, "vm-1", NOVA_POWER_SHUTDOWN), NOVA_E_BUSY);
		assert_int_equal(drop(host, "vm-1"), NOVA_DONE);
		finish(host);
	}
}

static void a_hang_ends_when_it_is_cancelled(void **state)
{
	static const char *const ways[] = {"ops=async", "ops=sync"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct nova_testhost *host = BEGIN("clock=real", ways[i], "hang=create:1");

		assert_int_equal(nova_testhost_call(host, 50, vm_create, "vm-1", &SHAPE),
		                 NOVA_E_TIMEOUT);
		assert_true(nova_testhost_ended(host));
		assert_non_null(nova_testhost_fact(host, NOVA_FIELD_ID, ""));
		/* What a hung creation did is unknown: here it left a VM, for the sweep to find. */
		assert_int_equal(nova_testhost_call(host, 5000, vm_list, "vm-"), NOVA_DONE);
		assert_int_equal(nova_testhost_count(host, NOVA_FIELD_VM), 1);
		assert_int_equal(drop(host, "vm-1"), NOVA_DONE);
		finish(host);
	}
}

static void a_virtual_hang_times_out_at_once(void **state)
{
	struct nova_testhost *host = BEGIN("clock=virtual", "hang=stop:1");

	(void)state;
	assert_int_equal(create(host, "vm-1"), NOVA_DONE);
	assert_int_equal(power(host, "vm-1", NOVA_POWER_START), NOVA_DONE);
	assert_int_equal(power(host, "vm-1", NOVA_POWER_SHUTDOWN), NOVA_E_TIMEOUT);
	assert_int_equal(taken(host), 120000000000);
	assert_int_equal(drop(host, "vm-1"), NOVA_DONE);
	finish(host);
}

static void refuses_wrong_latencies_and_probabilities(void **state)
{
	static const char *const wrong[] = {
	        "create=20ms",           "create=",
	        "create=gauss:1s",       "create=constant:20",
	        "create=constant:-1s",   "create=constant:1s:2s",
	        "create=normal:1s",      "create=lognormal:20ms:0.3s",
	        "create=lognormal:1s:9", "create=uniform:2s:1s",
	        "create=constant:25h",   "create=constant:nans",
	        "create=constant:1s ",   "fail=create",
	        "fail=create:2",         "fail=create:x",
	        "fail=explode:0.1",      "hang=:0.1",
	        "hang=create:-1",        "hang=create:nan",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *parameters[] = {wrong[i], NULL};
		struct nova_testhost *host =
		        nova_testhost_new(nova_plugin_entry_v1(NULL), parameters);

		assert_non_null(host);
		if (nova_testhost_start(host) != NOVA_E_INVALID)
			print_error("accepted %s\n", wrong[i]);
		assert_non_null(strstr(nova_testhost_error(host), "hypervisor.sim."));
		finish(host);
	}
}

/* --- states, capabilities ----------------------------------------------------------------- */

static void describes_itself_as_simulated(void **state)
{
	struct nova_testhost *host = BEGIN("without=snapshot,exec");
	const char *key, *why = NULL;

	(void)state;
	assert_int_equal(nova_testhost_call(host, 5000, describe), NOVA_DONE);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "product"), "sim");
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "accel"), "simulated");
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "simulated"), "true");
	assert_true(nova_testhost_can(host, NOVA_CAN_CREATE));
	assert_true(nova_testhost_can(host, NOVA_CAN_READY));
	assert_false(nova_testhost_can(host, NOVA_CAN_SNAPSHOT));
	assert_false(nova_testhost_can(host, NOVA_CAN_STUB));
	for (uint32_t i = 0; nova_testhost_fact_at(host, NOVA_FIELD_CAPABILITY, i, &key, &why) == 0;
	     i++)
		if (strcmp(key, NOVA_CAN_EXEC) == 0)
			break;
	assert_non_null(why);
	assert_non_null(strstr(why, "without"));
	finish(host);
}

static void refuses_what_is_switched_off(void **state)
{
	struct nova_testhost *host =
	        BEGIN("clock=virtual", "without=snapshot,shutdown,ready,knobs,migrate,clone,stats");
	struct nova_ref vm = ref("vm-1");

	(void)state;
	assert_int_equal(create(host, "vm-1"), NOVA_DONE);
	assert_int_equal(power(host, "vm-1", NOVA_POWER_START), NOVA_DONE);
	assert_null(nova_testhost_wait(host, 0, "vm-1", NOVA_EVENT_READY, 0));
	assert_int_equal(snapshot(host, "vm-1", NOVA_SNAPSHOT_CREATE), NOVA_E_UNSUPPORTED);
	assert_int_equal(power(host, "vm-1", NOVA_POWER_SHUTDOWN), NOVA_E_UNSUPPORTED);
	assert_int_equal(nova_testhost_call(host, 5000, knob_list, &vm), NOVA_E_UNSUPPORTED);
	assert_int_equal(nova_testhost_call(host, 5000, vm_query, &vm, NOVA_QUERY_STATS),
	                 NOVA_E_UNSUPPORTED);
	assert_int_equal(nova_testhost_call(host, 5000, vm_clone, "vm-2", &vm, NULL),
	                 NOVA_E_UNSUPPORTED);
	assert_int_equal(power(host, "vm-1", NOVA_POWER_OFF), NOVA_DONE);
	finish(host);
}

static void refuses_ops_in_the_wrong_state(void **state)
{
	struct nova_testhost *host = BEGIN("clock=virtual", "capacity=2");
	struct nova_ref vm = ref("vm-1");
	char name[NAME_MAX_BYTES + 2];

	(void)state;
	assert_int_equal(power(host, "vm-1", NOVA_POWER_START), NOVA_E_NOT_FOUND);
	assert_int_equal(drop(host, "vm-1"), NOVA_DONE);
	assert_int_equal(create(host, ""), NOVA_E_INVALID);
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = 0;
	assert_int_equal(create(host, name), NOVA_E_INVALID);
	assert_int_equal(create(host, "vm-1"), NOVA_DONE);
	assert_int_equal(create(host, "vm-1"), NOVA_E_EXISTS);
	assert_int_equal(create(host, "vm-2"), NOVA_DONE);
	assert_int_equal(create(host, "vm-3"), NOVA_E_FULL);
	assert_int_equal(power(host, "vm-1", NOVA_POWER_SHUTDOWN), NOVA_E_BUSY);
	assert_int_equal(power(host, "vm-1", NOVA_POWER_RESET), NOVA_E_BUSY);
	assert_int_equal(power(host, "vm-1", 5), NOVA_E_INVALID);
	assert_int_equal(power(host, "vm-1", NOVA_POWER_OFF), NOVA_DONE);
	assert_int_equal(snapshot(host, "vm-1", NOVA_SNAPSHOT_CREATE), NOVA_E_BUSY);
	assert_int_equal(snapshot(host, "vm-1", NOVA_SNAPSHOT_RESTORE), NOVA_E_NOT_FOUND);
	assert_int_equal(power(host, "vm-1", NOVA_POWER_START), NOVA_DONE);
	assert_int_equal(power(host, "vm-1", NOVA_POWER_START), NOVA_E_BUSY);
	assert_int_equal(power(host, "vm-1", NOVA_POWER_PAUSE), NOVA_DONE);
	assert_int_equal(power(host, "vm-1", NOVA_POWER_PAUSE), NOVA_E_BUSY);
	assert_int_equal(power(host, "vm-1", NOVA_POWER_RESUME), NOVA_DONE);
	vm.id = "sim-999";
	assert_int_equal(nova_testhost_call(host, 5000, vm_power, &vm, NOVA_POWER_OFF),
	                 NOVA_E_NOT_FOUND);
	assert_int_equal(nova_testhost_call(host, 5000, vm_delete, &vm), NOVA_E_NOT_FOUND);
	assert_int_equal(nova_testhost_call(host, 5000, vm_list, ""), NOVA_E_INVALID);
	finish(host);
}

/* From another thread: the first one's op is still open. Returns NULL if all were refused. */
static void *meddle(void *context)
{
	struct nova_testhost *host = context;

	return create(host, "vm-1") == NOVA_E_EXISTS && drop(host, "vm-1") == NOVA_E_BUSY &&
	                       power(host, "vm-1", NOVA_POWER_OFF) == NOVA_E_BUSY
	               ? NULL
	               : host;
}

static void refuses_a_second_op_while_one_is_in_flight(void **state)
{
	struct nova_testhost *host = BEGIN("clock=real", "hang=start:1", "connect=constant:0s");
	struct nova_ref vm = ref("vm-1");
	pthread_t thread;
	void *wrong;
	nova_op op;
	int returned;

	(void)state;
	assert_int_equal(create(host, "vm-1"), NOVA_DONE);
	op = nova_testhost_begin(host, 60000);
	returned = nova_testhost_ops(host)->vm_power(nova_testhost_self(host), op, &vm,
	                                             NOVA_POWER_START);
	assert_int_equal(returned, NOVA_PENDING);
	pthread_create(&thread, NULL, meddle, host);
	pthread_join(thread, &wrong);
	assert_null(wrong);
	nova_testhost_cancel(host, op);
	assert_int_equal(nova_testhost_end(host, returned), NOVA_E_CANCELLED);
	assert_int_equal(drop(host, "vm-1"), NOVA_DONE);
	finish(host);
}

static void the_agent_goes_and_comes_back_after_a_restore(void **state)
{
	static const char *const clocks[] = {"clock=virtual", "clock=real"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct nova_testhost *host = BEGIN(clocks[i]);
		const struct nova_event *gone, *back;
		size_t from;
		int64_t total;

		assert_int_equal(create(host, "vm-1"), NOVA_DONE);
		assert_int_equal(power(host, "vm-1", NOVA_POWER_START), NOVA_DONE);
		assert_non_null(nova_testhost_wait(host, 0, "vm-1", NOVA_EVENT_READY, 5000));
		assert_int_equal(snapshot(host, "vm-1", NOVA_SNAPSHOT_CREATE), NOVA_DONE);
		from = nova_testhost_event_count(host);
		assert_int_equal(snapshot(host, "vm-1", NOVA_SNAPSHOT_RESTORE), NOVA_DONE);
		total = injected(host, "back") - injected(host, "restore");
		gone = nova_testhost_wait(host, from, "vm-1", NOVA_EVENT_UNREADY, 5000);
		back = nova_testhost_wait(host, from, "vm-1", NOVA_EVENT_READY, 5000);
		assert_non_null(gone);
		assert_non_null(back);
		assert_non_null(nova_testhost_wait(host, from, "vm-1", NOVA_EVENT_RUNNING, 0));
		assert_int_equal(back->t_ns - gone->t_ns, total);
		assert_int_equal(snapshot(host, "vm-1", NOVA_SNAPSHOT_DELETE), NOVA_DONE);
		assert_int_equal(snapshot(host, "vm-1", NOVA_SNAPSHOT_DELETE), NOVA_E_NOT_FOUND);
		assert_int_equal(power(host, "vm-1", NOVA_POWER_SHUTDOWN), NOVA_DONE);
		assert_non_null(nova_testhost_wait(host, from, "vm-1", NOVA_EVENT_STOPPED, 0));
		finish(host);
	}
}

/* --- guest, stats, knobs, migration ------------------------------------------------------- */

static int run(struct nova_testhost *host, const char *name, int64_t timeout_ms, const char *a,
               const char *b, const char *c)
{
	const char *argv[] = {a, b, c, NULL};
	struct nova_exec exec = {
	        .struct_size = sizeof(exec), .argv = argv, .input = "in\n", .input_bytes = 3};
	struct nova_ref vm = ref(name);

	return nova_testhost_call(host, timeout_ms, exec, &vm, &exec);
}

static int64_t exit_status(struct nova_testhost *host)
{
	int64_t status = -1;

	nova_testhost_i64(host, NOVA_FIELD_EXIT_STATUS, 0, &status);
	return status;
}

static void runs_its_few_programs(void **state)
{
	static const char *const ways[][3] = {{"clock=virtual", NULL},
	                                      {"clock=real", "ops=async", NULL},
	                                      {"clock=real", "ops=sync", NULL}};

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct nova_testhost *host = begin(ways[i]);

		assert_int_equal(create(host, "vm-1"), NOVA_DONE);
		assert_int_equal(run(host, "vm-1", 5000, "true", NULL, NULL), NOVA_E_BUSY);
		assert_int_equal(power(host, "vm-1", NOVA_POWER_START), NOVA_DONE);
		assert_non_null(nova_testhost_wait(host, 0, "vm-1", NOVA_EVENT_READY, 5000));
		assert_int_equal(run(host, "vm-1", 5000, "echo", "a", "b"), NOVA_DONE);
		assert_string_equal(nova_testhost_bytes(host, NOVA_FIELD_STDOUT, NULL), "a b\n");
		assert_int_equal(exit_status(host), 0);
		assert_int_equal(run(host, "vm-1", 5000, "cat", NULL, NULL), NOVA_DONE);
		assert_string_equal(nova_testhost_bytes(host, NOVA_FIELD_STDOUT, NULL), "in\n");
		assert_int_equal(run(host, "vm-1", 5000, "/bin/false", NULL, NULL), NOVA_DONE);
		assert_int_equal(exit_status(host), 1);
		assert_int_equal(run(host, "vm-1", 5000, "exit", "7", NULL), NOVA_DONE);
		assert_int_equal(exit_status(host), 7);
		assert_int_equal(run(host, "vm-1", 5000, "exit", "700", NULL), NOVA_DONE);
		assert_int_equal(exit_status(host), 2);
		assert_int_equal(run(host, "vm-1", 5000, "sleep", "0.01", NULL), NOVA_DONE);
		assert_int_equal(exit_status(host), 0);
		assert_int_equal(run(host, "vm-1", 5000, "sysbench", NULL, NULL), NOVA_DONE);
		assert_int_equal(exit_status(host), 127);
		assert_non_null(
		        strstr(nova_testhost_bytes(host, NOVA_FIELD_STDERR, NULL), "not found"));
		if (i > 0) { /* a long program is cancelled at its deadline */
			assert_int_equal(run(host, "vm-1", 30, "sleep", "60", NULL),
			                 NOVA_E_TIMEOUT);
			assert_true(nova_testhost_ended(host));
		}
		finish(host);
	}
}

struct sleeper {
	struct nova_testhost *host;
	int status;
	int64_t signal;
	pthread_mutex_t started;
};

static void *sleep_thread(void *context)
{
	struct sleeper *sleeper = context;

	sleeper->status = run(sleeper->host, "vm-1", 60000, "sleep", "3600", NULL);
	nova_testhost_i64(sleeper->host, NOVA_FIELD_SIGNAL, 0, &sleeper->signal);
	return NULL;
}

static void kills_a_program(void **state)
{
	static const char *const ways[] = {"ops=async", "ops=sync"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct nova_testhost *host = BEGIN(ways[i]);
		struct sleeper sleeper = {.host = host, .status = 99, .signal = 0};
		struct nova_ref vm = ref("vm-1");
		int64_t pid = 0;
		pthread_t thread;

		assert_int_equal(create(host, "vm-1"), NOVA_DONE);
		assert_int_equal(power(host, "vm-1", NOVA_POWER_START), NOVA_DONE);
		assert_non_null(nova_testhost_wait(host, 0, "vm-1", NOVA_EVENT_READY, 5000));
		assert_int_equal(run(host, "vm-1", 5000, "true", NULL, NULL), NOVA_DONE);
		assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_GUEST_PID, 0, &pid), NOVA_DONE);
		assert_int_equal(nova_testhost_call(host, 5000, exec_kill, &vm, pid),
		                 NOVA_E_NOT_FOUND);
		pthread_create(&thread, NULL, sleep_thread, &sleeper);
		/* Numbers count up: the sleeper's is the next one that is found. */
		while (nova_testhost_call(host, 5000, exec_kill, &vm, pid + 1) != NOVA_DONE &&
		       nova_testhost_call(host, 5000, exec_kill, &vm, pid + 2) != NOVA_DONE)
			usleep(1000);
		pthread_join(thread, NULL);
		assert_int_equal(sleeper.status, NOVA_DONE);
		assert_int_equal(sleeper.signal, 9);
		finish(host);
	}
}

static void reports_what_a_vm_uses(void **state)
{
	struct nova_testhost *host = BEGIN("clock=virtual", "cpu=0.5", "memory=0.5");
	struct nova_ref vm = ref("vm-1");
	int64_t cpu = -1, given = 0, resident = 0, written = 0;

	(void)state;
	assert_int_equal(create(host, "vm-1"), NOVA_DONE);
	assert_int_equal(power(host, "vm-1", NOVA_POWER_START), NOVA_DONE);
	assert_int_equal(run(host, "vm-1", 5000, "sleep", "100", NULL), NOVA_DONE);
	assert_int_equal(nova_testhost_call(host, 5000, vm_query, &vm, NOVA_QUERY_STATS),
	                 NOVA_DONE);
	nova_testhost_i64(host, NOVA_FIELD_CPU_NS, 0, &cpu);
	nova_testhost_i64(host, NOVA_FIELD_MEMORY_BYTES, 0, &given);
	nova_testhost_i64(host, NOVA_FIELD_RESIDENT_BYTES, 0, &resident);
	nova_testhost_i64(host, NOVA_FIELD_DISK_WRITE_BYTES, 0, &written);
	/* 2 vCPUs × 0.5 × 100 s, times the VM's own 0.5 to 1.5 */
	assert_in_range(cpu, 50000000000, 151000000000);
	assert_int_equal(given, 1 << 30);
	assert_in_range(resident, 1 << 28, 3 << 28);
	assert_in_range(written, 50 << 20, 151 << 20);
	assert_int_equal(nova_testhost_call(host, 5000, vm_query, &vm, NOVA_QUERY_ADDRESS),
	                 NOVA_DONE);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_ADDRESS, "sim0"), "198.51.100.2");
	assert_int_equal(nova_testhost_call(host, 5000, vm_query, &vm, 9), NOVA_E_INVALID);
	finish(host);
}

static void a_knob_has_its_known_effect(void **state)
{
	static const char *const knobs[] = {"vm.sim.factor=2", "vm.disk.cache=writeback", NULL};
	struct nova_testhost *host =
	        BEGIN("clock=virtual", "create=constant:10ms", "snapshot=constant:40ms");
	struct nova_shape shape = SHAPE;
	struct nova_ref vm = ref("vm-1");

	(void)state;
	shape.knobs = knobs;
	assert_int_equal(nova_testhost_call(host, 5000, vm_create, "vm-1", &shape), NOVA_DONE);
	assert_int_equal(taken(host), 20000000);
	assert_int_equal(nova_testhost_call(host, 5000, knob_list, &vm), NOVA_DONE);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_KNOB), 3);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_KNOB_DOC), 3);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_KNOB, "vm.disk.cache"),
	                    "writeback");
	assert_int_equal(nova_testhost_call(host, 5000, knob_set, &vm, "vm.sim.factor", "0.5"),
	                 NOVA_DONE);
	assert_int_equal(nova_testhost_call(host, 5000, knob_get, &vm, "vm.sim.factor"), NOVA_DONE);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_KNOB, "vm.sim.factor"), "0.5");
	assert_int_equal(power(host, "vm-1", NOVA_POWER_START), NOVA_DONE);
	assert_int_equal(snapshot(host, "vm-1", NOVA_SNAPSHOT_CREATE), NOVA_DONE);
	assert_int_equal(taken(host), 20000000);
	assert_int_equal(nova_testhost_call(host, 5000, knob_set, &vm, "vm.sim.factor", "11"),
	                 NOVA_E_INVALID);
	assert_int_equal(nova_testhost_call(host, 5000, knob_set, &vm, "vm.cpu.shares", "2.5"),
	                 NOVA_E_INVALID);
	assert_int_equal(nova_testhost_call(host, 5000, knob_set, &vm, "vm.disk.cache", "fast"),
	                 NOVA_E_INVALID);
	assert_int_equal(nova_testhost_call(host, 5000, knob_get, &vm, "vm.nothing"),
	                 NOVA_E_NOT_FOUND);
	finish(host);
}

static void migrates_to_its_twin(void **state)
{
	static const char *const ways[][2] = {{"clock=virtual", "ops=async"},
	                                      {"clock=real", "ops=async"},
	                                      {"clock=real", "ops=sync"}};

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct nova_testhost *here = BEGIN(ways[i][0], ways[i][1]), *there;
		struct nova_migrate how = {.struct_size = sizeof(how), .downtime_ns = 1000000};
		struct nova_ref vm = ref("vm-1");
		char uri[64];
		int64_t downtime = 0;

		assert_int_equal(nova_testhost_call(here, 5000, twin), NOVA_DONE);
		snprintf(uri, sizeof(uri), "uri=%s", nova_testhost_fact(here, NOVA_FIELD_URI, ""));
		there = BEGIN(ways[i][0], ways[i][1], uri);
		assert_int_equal(create(here, "vm-1"), NOVA_DONE);
		assert_int_equal(power(here, "vm-1", NOVA_POWER_START), NOVA_DONE);
		assert_non_null(nova_testhost_wait(here, 0, "vm-1", NOVA_EVENT_READY, 5000));
		/* Nobody awaits it: it stays. */
		how.ticket = "sim/0/vm-1";
		assert_int_equal(nova_testhost_call(here, 5000, migrate, &vm, &how),
		                 NOVA_E_NOT_FOUND);
		assert_int_equal(run(here, "vm-1", 5000, "true", NULL, NULL), NOVA_DONE);
		assert_int_equal(nova_testhost_call(there, 5000, migrate_prepare, &vm, &SHAPE),
		                 NOVA_DONE);
		how.ticket = nova_testhost_fact(there, NOVA_FIELD_TICKET, "");
		assert_non_null(how.ticket);
		assert_int_equal(power(there, "vm-1", NOVA_POWER_START), NOVA_E_NOT_FOUND);
		assert_int_equal(nova_testhost_call(here, 5000, migrate, &vm, &how), NOVA_DONE);
		assert_int_equal(nova_testhost_i64(here, NOVA_FIELD_DOWNTIME_NS, 0, &downtime),
		                 NOVA_DONE);
		assert_in_range(downtime, 1, 1000000);
		assert_int_equal(nova_testhost_call(there, 5000, migrate_finish, &vm, how.ticket,
		                                    NOVA_MIGRATED),
		                 NOVA_DONE);
		assert_non_null(nova_testhost_wait(there, 0, "vm-1", NOVA_EVENT_MIGRATED, 5000));
		assert_int_equal(run(here, "vm-1", 5000, "true", NULL, NULL), NOVA_E_NOT_FOUND);
		assert_int_equal(run(there, "vm-1", 5000, "true", NULL, NULL), NOVA_DONE);
		/* Called off: the kept place is given up. */
		assert_int_equal(nova_testhost_call(here, 5000, migrate_prepare, &vm, &SHAPE),
		                 NOVA_DONE);
		assert_int_equal(
		        nova_testhost_call(here, 5000, migrate_finish, &vm, "", NOVA_NOT_MIGRATED),
		        NOVA_DONE);
		assert_int_equal(create(here, "vm-1"), NOVA_DONE);
		finish(there);
		finish(here);
	}
}

static void refuses_a_foreign_uri(void **state)
{
	static const char *const parameters[] = {"uri=qemu:///system", NULL};
	struct nova_testhost *host = nova_testhost_new(nova_plugin_entry_v1(NULL), parameters);

	(void)state;
	assert_int_equal(nova_testhost_start(host), NOVA_DONE);
	assert_int_equal(nova_testhost_call(host, 5000, connect), NOVA_E_INVALID);
	finish(host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(recovers_each_distribution),
	        cmocka_unit_test(injects_autocorrelation_without_changing_the_distribution),
	        cmocka_unit_test(injects_spikes_and_a_regression),
	        cmocka_unit_test(virtual_samples_do_not_depend_on_order_or_run),
	        cmocka_unit_test(injects_the_same_async_and_sync_and_virtual),
	        cmocka_unit_test(a_thousand_at_once_really_wait),
	        cmocka_unit_test(fails_as_often_as_asked_and_says_why),
	        cmocka_unit_test(each_failing_op_leaves_the_state_as_it_was),
	        cmocka_unit_test(a_crash_comes_instead_of_ready),
	        cmocka_unit_test(a_hang_ends_when_it_is_cancelled),
	        cmocka_unit_test(a_virtual_hang_times_out_at_once),
	        cmocka_unit_test(refuses_wrong_latencies_and_probabilities),
	        cmocka_unit_test(describes_itself_as_simulated),
	        cmocka_unit_test(refuses_what_is_switched_off),
	        cmocka_unit_test(refuses_ops_in_the_wrong_state),
	        cmocka_unit_test(refuses_a_second_op_while_one_is_in_flight),
	        cmocka_unit_test(the_agent_goes_and_comes_back_after_a_restore),
	        cmocka_unit_test(runs_its_few_programs),
	        cmocka_unit_test(kills_a_program),
	        cmocka_unit_test(reports_what_a_vm_uses),
	        cmocka_unit_test(a_knob_has_its_known_effect),
	        cmocka_unit_test(migrates_to_its_twin),
	        cmocka_unit_test(refuses_a_foreign_uri),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
