/* SPDX-License-Identifier: MIT */
/* The test host, with small drivers that keep or break the contract. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <novacore/testhost.h>

/* A driver whose only op of interest, vm_create, behaves as the VM's name says. */
struct fake {
	const struct nova_host *host;
	nova_op instance, pending;
	atomic_int inside, overlaps, cancels;
	int due;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	int woken;
};

static void come(struct fake *fake)
{
	if (atomic_fetch_add(&fake->inside, 1) > 0)
		atomic_fetch_add(&fake->overlaps, 1);
}

static void go(struct fake *fake)
{
	atomic_fetch_sub(&fake->inside, 1);
}

static struct fake only; /* one instance at a time */

static int fake_create(const struct nova_host *host, nova_op instance, void **self)
{
	memset(&only, 0, sizeof(only));
	only.host = host;
	only.instance = instance;
	pthread_mutex_init(&only.mutex, NULL);
	pthread_cond_init(&only.changed, NULL);
	*self = &only;
	return NOVA_DONE;
}

static void fake_destroy(void *self)
{
	struct fake *fake = self;

	pthread_cond_destroy(&fake->changed);
	pthread_mutex_destroy(&fake->mutex);
}

static int fake_pump(void *self, int64_t until_ns)
{
	struct fake *fake = self;

	come(fake);
	if (fake->pending && fake->due) {
		fake->host->put_i64(fake->pending, NOVA_FIELD_PID, 7);
		fake->host->done(fake->pending, NOVA_DONE);
		fake->pending = 0;
	}
	pthread_mutex_lock(&fake->mutex);
	while (!fake->woken && fake->host->now_ns() < until_ns) {
		pthread_mutex_unlock(&fake->mutex);
		usleep(200);
		pthread_mutex_lock(&fake->mutex);
	}
	fake->woken = 0;
	pthread_mutex_unlock(&fake->mutex);
	go(fake);
	return NOVA_DONE;
}

static int fake_wake(void *self)
{
	struct fake *fake = self;

	pthread_mutex_lock(&fake->mutex);
	fake->woken = 1;
	pthread_mutex_unlock(&fake->mutex);
	return NOVA_DONE;
}

static int fake_cancel(void *self, nova_op op)
{
	struct fake *fake = self;

	come(fake);
	atomic_fetch_add(&fake->cancels, 1);
	if (op == fake->pending) {
		fake->host->done(op, NOVA_E_CANCELLED);
		fake->pending = 0;
	}
	go(fake);
	return NOVA_DONE;
}

static int fake_vm_create(void *self, nova_op op, const char *name, const struct nova_shape *shape)
{
	struct fake *fake = self;
	const struct nova_host *host = fake->host;
	struct nova_event event = {.struct_size = sizeof(event),
	                           .kind = NOVA_EVENT_RUNNING,
	                           .source = NOVA_SOURCE_MODEL,
	                           .name = name,
	                           .t_ns = 5,
	                           .resolution_ns = 1};
	int status = NOVA_DONE;

	(void)shape;
	come(fake);
	if (strcmp(name, "pending") == 0 || strcmp(name, "hang") == 0) {
		fake->pending = op;
		fake->due = name[0] == 'p';
		status = NOVA_PENDING;
	} else if (strcmp(name, "silent") == 0) {
		status = NOVA_E_FAILED;
	} else if (strcmp(name, "error") == 0) {
		host->error(op, NOVA_E_FULL, "cannot create it: the disk is full");
		status = host->errorf(op, NOVA_E_FULL, "wrote %d bytes", 12);
	} else if (strcmp(name, "twice") == 0) {
		host->done(op, NOVA_DONE);
		host->done(op, NOVA_DONE);
		status = NOVA_PENDING;
	} else if (strcmp(name, "results") == 0) {
		host->put_fact(op, NOVA_FIELD_ID, "", "id-1");
		host->put_fact(op, NOVA_FIELD_CAPABILITY, "exec", NULL);
		host->put_fact(op, NOVA_FIELD_CAPABILITY, "clone", "no licence");
		host->put_bytes(op, NOVA_FIELD_STDOUT, "ab", 2);
		host->put_bytes(op, NOVA_FIELD_STDOUT, "cd", 2);
		host->put_f64(op, NOVA_FIELD_PROGRESS, 0.5);
		host->event(fake->instance, &event);
	}
	go(fake);
	return status;
}

/* Blocks until it is cancelled: only a PARALLEL driver may. */
static int fake_vm_clone(void *self, nova_op op, const char *name, const struct nova_ref *from,
                         const struct nova_shape *shape)
{
	struct fake *fake = self;

	(void)name;
	(void)from;
	(void)shape;
	while (!fake->host->cancelled(op))
		usleep(500);
	return NOVA_E_CANCELLED;
}

static const struct nova_hypervisor OPS = {
        .struct_size = sizeof(OPS),
        .create = fake_create,
        .destroy = fake_destroy,
        .pump = fake_pump,
        .wake = fake_wake,
        .cancel = fake_cancel,
        .vm_create = fake_vm_create,
        .vm_clone = fake_vm_clone,
};

static const struct nova_parameter COUNT_PARAMETER = {.struct_size = sizeof(COUNT_PARAMETER),
                                                      .type = NOVA_PARAM_INTEGER,
                                                      .name = "count",
                                                      .fallback = "3",
                                                      .minimum = "1",
                                                      .maximum = "9"};
static const struct nova_parameter WAIT_PARAMETER = {.struct_size = sizeof(WAIT_PARAMETER),
                                                     .type = NOVA_PARAM_DURATION,
                                                     .name = "wait",
                                                     .fallback = "1.5s"};
static const struct nova_parameter LIST_PARAMETER = {.struct_size = sizeof(LIST_PARAMETER),
                                                     .type = NOVA_PARAM_SIZE,
                                                     .flags = NOVA_PARAM_LIST,
                                                     .name = "sizes"};
static const struct nova_parameter FAST_PARAMETER = {.struct_size = sizeof(FAST_PARAMETER),
                                                     .type = NOVA_PARAM_BOOLEAN,
                                                     .name = "fast",
                                                     .fallback = "false"};
static const struct nova_parameter *const PARAMETERS[] = {&COUNT_PARAMETER, &WAIT_PARAMETER,
                                                          &LIST_PARAMETER, &FAST_PARAMETER, NULL};

static struct nova_plugin plugin = {
        .struct_size = sizeof(plugin),
        .kind = NOVA_KIND_HYPERVISOR,
        .thread_model = NOVA_THREADS_PER_INSTANCE,
        .name = "fake",
        .version = "1",
        .summary = "for the test host's own test",
        .license = "MIT",
        .parameters = PARAMETERS,
        .ops = &OPS,
};

static const struct nova_shape SHAPE = {.struct_size = sizeof(SHAPE), .boot = 1, .vcpus = 1};

static struct nova_testhost *begin(uint32_t thread_model)
{
	struct nova_testhost *host;

	plugin.thread_model = thread_model;
	host = nova_testhost_new(&plugin, NULL);
	assert_non_null(host);
	assert_int_equal(nova_testhost_start(host), NOVA_DONE);
	return host;
}

static void collects_what_an_op_puts(void **state)
{
	struct nova_testhost *host = begin(NOVA_THREADS_PER_INSTANCE);
	const struct nova_event *event;
	uint64_t count;
	double half = 0;

	(void)state;
	assert_int_equal(nova_testhost_call(host, 1000, vm_create, "results", &SHAPE), NOVA_DONE);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_ID, ""), "id-1");
	assert_null(nova_testhost_fact(host, NOVA_FIELD_ID, "other"));
	assert_true(nova_testhost_can(host, "exec"));
	assert_false(nova_testhost_can(host, "clone"));
	assert_false(nova_testhost_can(host, "migrate"));
	assert_string_equal(nova_testhost_bytes(host, NOVA_FIELD_STDOUT, &count), "abcd");
	assert_int_equal(count, 4);
	assert_string_equal(nova_testhost_bytes(host, NOVA_FIELD_STDERR, &count), "");
	assert_int_equal(nova_testhost_f64(host, NOVA_FIELD_PROGRESS, 0, &half), NOVA_DONE);
	assert_true(half > 0.49 && half < 0.51);
	assert_int_equal(nova_testhost_f64(host, NOVA_FIELD_PROGRESS, 1, &half), NOVA_E_NOT_FOUND);
	event = nova_testhost_wait(host, 0, "results", NOVA_EVENT_RUNNING, 0);
	assert_non_null(event);
	assert_int_equal(event->t_ns, 5);
	assert_null(nova_testhost_wait(host, 0, "results", NOVA_EVENT_READY, 20));
	assert_int_equal(nova_testhost_complaints(host), 0);
	nova_testhost_free(host);
}

static void waits_for_done_from_the_pump(void **state)
{
	static const uint32_t models[] = {NOVA_THREADS_SERIAL, NOVA_THREADS_PER_INSTANCE,
	                                  NOVA_THREADS_PARALLEL};
	int64_t pid = 0;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct nova_testhost *host = begin(models[i]);

		assert_int_equal(nova_testhost_call(host, 5000, vm_create, "pending", &SHAPE),
		                 NOVA_DONE);
		assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_PID, 0, &pid), NOVA_DONE);
		assert_int_equal(pid, 7);
		assert_int_equal(nova_testhost_complaints(host), 0);
		nova_testhost_free(host);
	}
}

static void *many_calls(void *context)
{
	struct nova_testhost *host = context;
	int wrong = 0;

	for (int i = 0; i < 100; i++)
		wrong += nova_testhost_call(host, 5000, vm_create, "plain", &SHAPE) != NOVA_DONE;
	return wrong ? context : NULL;
}

static void keeps_ops_and_pump_apart_unless_parallel(void **state)
{
	struct nova_testhost *host = begin(NOVA_THREADS_PER_INSTANCE);
	pthread_t threads[4];
	void *wrong;

	(void)state;
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, many_calls, host);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	assert_int_equal(atomic_load(&only.overlaps), 0);
	nova_testhost_free(host);
}

static void cancels_a_pending_op_at_its_deadline(void **state)
{
	struct nova_testhost *host = begin(NOVA_THREADS_PER_INSTANCE);

	(void)state;
	assert_int_equal(nova_testhost_call(host, 30, vm_create, "hang", &SHAPE), NOVA_E_TIMEOUT);
	assert_true(nova_testhost_ended(host));
	assert_int_equal(atomic_load(&only.cancels), 1);
	assert_int_equal(nova_testhost_complaints(host), 0);
	nova_testhost_free(host);
}

static void cancels_a_blocking_op_at_its_deadline(void **state)
{
	struct nova_testhost *host = begin(NOVA_THREADS_PARALLEL);

	(void)state;
	assert_int_equal(nova_testhost_call(host, 30, vm_clone, "x", NULL, &SHAPE), NOVA_E_TIMEOUT);
	assert_true(nova_testhost_ended(host));
	assert_int_equal(nova_testhost_complaints(host), 0);
	nova_testhost_free(host);
}

static void complains_of_a_failure_without_text(void **state)
{
	struct nova_testhost *host = begin(NOVA_THREADS_PER_INSTANCE);

	(void)state;
	assert_int_equal(nova_testhost_call(host, 1000, vm_create, "error", &SHAPE), NOVA_E_FULL);
	assert_string_equal(nova_testhost_error(host),
	                    "cannot create it: the disk is full; wrote 12 bytes");
	assert_int_equal(nova_testhost_complaints(host), 0);
	assert_int_equal(nova_testhost_call(host, 1000, vm_create, "silent", &SHAPE),
	                 NOVA_E_FAILED);
	assert_int_equal(nova_testhost_complaints(host), 1);
	assert_non_null(strstr(nova_testhost_complaint(host, 0), "no error()"));
	nova_testhost_free(host);
}

static void complains_of_a_second_done(void **state)
{
	struct nova_testhost *host = begin(NOVA_THREADS_PER_INSTANCE);

	(void)state;
	assert_int_equal(nova_testhost_call(host, 1000, vm_create, "twice", &SHAPE), NOVA_DONE);
	assert_int_equal(nova_testhost_complaints(host), 1);
	assert_non_null(strstr(nova_testhost_complaint(host, 0), "twice"));
	nova_testhost_free(host);
}

static void gives_parameters_in_their_types(void **state)
{
	static const char *const given[] = {"count=9", "sizes=1KiB, 2MB", "fast=true", NULL};
	struct nova_testhost *host = nova_testhost_new(&plugin, given);
	const struct nova_host *table = nova_testhost_table();
	uint64_t instance;
	int64_t value = 0;

	(void)state;
	assert_non_null(host);
	instance = nova_testhost_instance(host);
	assert_int_equal(table->param_i64(instance, "count", 0, &value), NOVA_DONE);
	assert_int_equal(value, 9);
	assert_int_equal(table->param_i64(instance, "wait", 0, &value), NOVA_DONE);
	assert_int_equal(value, 1500000000);
	assert_int_equal(table->param_i64(instance, "sizes", 0, &value), NOVA_DONE);
	assert_int_equal(value, 1024);
	assert_int_equal(table->param_i64(instance, "sizes", 1, &value), NOVA_DONE);
	assert_int_equal(value, 2000000);
	assert_int_equal(table->param_i64(instance, "sizes", 2, &value), NOVA_E_NOT_FOUND);
	assert_int_equal(table->param_i64(instance, "fast", 0, &value), NOVA_DONE);
	assert_int_equal(value, 1);
	assert_string_equal(table->param_text(instance, "count", 0), "9");
	assert_null(table->param_text(instance, "absent", 0));
	nova_testhost_free(host);
}

static void refuses_wrong_parameters(void **state)
{
	static const char *const wrong[] = {
	        "count=0", "count=10", "count=x",  "count=", "wait=5", "wait=5GiB", "sizes=1B,,",
	        "sizes=1", "fast=yes", "absent=1", "count",  "=3",     "wait=nans", "wait=1e999s"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *given[] = {wrong[i], NULL};
		struct nova_testhost *host = nova_testhost_new(&plugin, given);

		if (host)
			print_error("accepted %s\n", wrong[i]);
		assert_null(host);
		assert_true(strlen(nova_testhost_refusal()) > 0);
	}
}

static void append(void *context, uint32_t field, const void *bytes, uint64_t count)
{
	char *text = context;

	if (field == NOVA_FIELD_STDOUT)
		strncat(text, bytes, count);
}

static void runs_processes(void **state)
{
	struct nova_testhost *host = begin(NOVA_THREADS_PARALLEL);
	const struct nova_host *table = nova_testhost_table();
	static const char *const script[] = {"sh", "-c", "cat; echo $WORD; exit 3", NULL};
	static const char *const sleeper[] = {"sleep", "60", NULL};
	static const char *const nothing[] = {"/does/not/exist", NULL};
	static const char *const env[] = {"WORD=hello", NULL};
	struct nova_exec exec = {.struct_size = sizeof(exec),
	                         .argv = script,
	                         .env = env,
	                         .input = "in ",
	                         .input_bytes = 3};
	char text[64] = "";
	int32_t status = -1;
	nova_op op;

	(void)state;
	assert_int_equal(table->process(nova_testhost_instance(host), &exec, append, text, &status),
	                 NOVA_DONE);
	assert_string_equal(text, "in hello\n");
	assert_int_equal(status, 3);
	exec.argv = nothing;
	assert_int_equal(table->process(nova_testhost_instance(host), &exec, append, text, &status),
	                 NOVA_E_NOT_FOUND);
	exec.argv = sleeper;
	op = nova_testhost_begin(host, 50);
	status = table->process(op, &exec, NULL, NULL, &status);
	assert_true(status == NOVA_E_TIMEOUT || status == NOVA_E_CANCELLED);
	assert_int_equal(nova_testhost_end(host, status), NOVA_E_TIMEOUT);
	nova_testhost_free(host);
}

static void keeps_directories_until_freed(void **state)
{
	struct nova_testhost *host = begin(NOVA_THREADS_PARALLEL);
	const struct nova_host *table = nova_testhost_table();
	char path[512];
	FILE *file;

	(void)state;
	assert_null(table->directory(nova_testhost_instance(host), 9));
	snprintf(path, sizeof(path), "%s/x",
	         table->directory(nova_testhost_instance(host), NOVA_DIRECTORY_RUN));
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
	nova_testhost_free(host);
	assert_int_not_equal(access(path, F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(collects_what_an_op_puts),
	        cmocka_unit_test(waits_for_done_from_the_pump),
	        cmocka_unit_test(keeps_ops_and_pump_apart_unless_parallel),
	        cmocka_unit_test(cancels_a_pending_op_at_its_deadline),
	        cmocka_unit_test(cancels_a_blocking_op_at_its_deadline),
	        cmocka_unit_test(complains_of_a_failure_without_text),
	        cmocka_unit_test(complains_of_a_second_done),
	        cmocka_unit_test(gives_parameters_in_their_types),
	        cmocka_unit_test(refuses_wrong_parameters),
	        cmocka_unit_test(runs_processes),
	        cmocka_unit_test(keeps_directories_until_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
