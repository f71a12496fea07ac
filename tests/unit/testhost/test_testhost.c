/* SPDX-License-Identifier: MIT */
/* The test host, with small drivers that keep or break the contract. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <novacore/testhost.h>

/* A driver whose only op of interest, vm_create, behaves as the VM's name says. */
struct fake {
	const struct nova_host *host;
	nova_op instance;
	_Atomic nova_op pending;
	atomic_int inside, overlaps, cancels, due;
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
		fake->due = name[0] == 'p';
		fake->pending = op;
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

static atomic_int goodbyes;

static int fake_disconnect(void *self, nova_op op)
{
	struct fake *fake = self;

	come(fake);
	atomic_fetch_add(&goodbyes, 1);
	fake->due = 1;
	fake->pending = op;
	go(fake);
	return NOVA_PENDING;
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
        .disconnect = fake_disconnect,
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
static const struct nova_parameter RATE_PARAMETER = {.struct_size = sizeof(RATE_PARAMETER),
                                                     .type = NOVA_PARAM_RATE,
                                                     .name = "rate",
                                                     .maximum = "1Gbit/s"};
static const struct nova_parameter SHARE_PARAMETER = {.struct_size = sizeof(SHARE_PARAMETER),
                                                      .type = NOVA_PARAM_NUMBER,
                                                      .name = "share",
                                                      .minimum = "-1"};
static const struct nova_parameter SECRET_PARAMETER = {
        .struct_size = sizeof(SECRET_PARAMETER), .type = NOVA_PARAM_SECRET, .name = "password"};
static const struct nova_parameter PATH_PARAMETER = {
        .struct_size = sizeof(PATH_PARAMETER), .type = NOVA_PARAM_PATH, .name = "path"};
static const char *const CHOICES[] = {"slow", "quick", NULL};
static const struct nova_parameter CHOICE_PARAMETER = {.struct_size = sizeof(CHOICE_PARAMETER),
                                                       .type = NOVA_PARAM_CHOICE,
                                                       .name = "mode",
                                                       .fallback = "slow",
                                                       .choices = CHOICES};
static const struct nova_parameter EACH_PARAMETER = {.struct_size = sizeof(EACH_PARAMETER),
                                                     .type = NOVA_PARAM_INTEGER,
                                                     .flags = NOVA_PARAM_LIST | NOVA_PARAM_EACH,
                                                     .name = "width",
                                                     .fallback = "4,8"};
static const struct nova_parameter *const PARAMETERS[] = {&COUNT_PARAMETER,
                                                          &WAIT_PARAMETER,
                                                          &LIST_PARAMETER,
                                                          &FAST_PARAMETER,
                                                          &RATE_PARAMETER,
                                                          &SHARE_PARAMETER,
                                                          &SECRET_PARAMETER,
                                                          &PATH_PARAMETER,
                                                          &CHOICE_PARAMETER,
                                                          &EACH_PARAMETER,
                                                          NULL};

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
	static const char *const given[] = {
	        "count=9",       "sizes=1.5KiB, 2MB", "fast=true",  "rate=0.5/s",
	        "share=-2.5e-1", "path=~/x",          "mode=quick", NULL};
	struct nova_testhost *host = nova_testhost_new(&plugin, given);
	const struct nova_host *table = nova_testhost_table();
	uint64_t instance;
	int64_t value = 0;
	double wide = 0;

	(void)state;
	setenv("HOME", "/home/of", 1);
	assert_non_null(host);
	instance = nova_testhost_instance(host);
	assert_int_equal(table->param_i64(instance, "count", 0, &value), NOVA_DONE);
	assert_int_equal(value, 9);
	assert_int_equal(table->param_i64(instance, "wait", 0, &value), NOVA_DONE);
	assert_int_equal(value, 1500000000);
	assert_int_equal(table->param_i64(instance, "sizes", 0, &value), NOVA_DONE);
	assert_int_equal(value, 1536);
	assert_int_equal(table->param_i64(instance, "sizes", 1, &value), NOVA_DONE);
	assert_int_equal(value, 2000000);
	assert_int_equal(table->param_i64(instance, "sizes", 2, &value), NOVA_E_NOT_FOUND);
	assert_int_equal(table->param_i64(instance, "fast", 0, &value), NOVA_DONE);
	assert_int_equal(value, 1);
	assert_string_equal(table->param_text(instance, "count", 0), "9");
	assert_int_equal(table->param_f64(instance, "rate", 0, &wide), NOVA_DONE);
	assert_true(fabs(wide - 0.5) < 1e-9);
	assert_int_equal(table->param_f64(instance, "share", 0, &wide), NOVA_DONE);
	assert_true(fabs(wide + 0.25) < 1e-9);
	assert_string_equal(table->param_text(instance, "mode", 0), "quick");
	assert_true(strncmp(table->param_text(instance, "path", 0), "~", 1) != 0);
	assert_null(table->param_text(instance, "password", 0));
	/* Of one step for each there is one. */
	assert_int_equal(table->param_i64(instance, "width", 0, &value), NOVA_DONE);
	assert_int_equal(value, 4);
	assert_int_equal(table->param_i64(instance, "width", 1, &value), NOVA_E_NOT_FOUND);
	assert_int_equal(nova_testhost_complaints(host), 0);
	nova_testhost_free(host);
}

static void refuses_wrong_parameters(void **state)
{
	static const char *const wrong[] = {"count=0",
	                                    "count=10",
	                                    "count=x",
	                                    "count=",
	                                    "wait=5",
	                                    "wait=5GiB",
	                                    "sizes=1B,,",
	                                    "sizes=1",
	                                    "fast=yes",
	                                    "absent=1",
	                                    "count",
	                                    "=3",
	                                    "wait=nans",
	                                    "wait=1e999s",
	                                    "count= 1",
	                                    "count=1.0",
	                                    "count=99999999999999999999",
	                                    "wait=-1s",
	                                    "wait=0.5ns",
	                                    "wait=.5s",
	                                    "wait=1.s",
	                                    "sizes=8388608TiB",
	                                    "sizes=1kb",
	                                    "rate=2Gbit/s",
	                                    "rate=5",
	                                    "share=-1.1",
	                                    "share=nan",
	                                    "share=0x1",
	                                    "share=",
	                                    "mode=fast",
	                                    "mode=",
	                                    "width=1,2",
	                                    "width="};

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

/* --- what breaks the contract ------------------------------------------------------------------
 */

/* The last one has that part; all of them are `count`. */
static void assert_complaints(struct nova_testhost *host, uint32_t count, const char *part)
{
	assert_int_equal(nova_testhost_complaints(host), count);
	if (!strstr(nova_testhost_complaint(host, count - 1), part))
		print_error("\"%s\" is not in \"%s\"\n", part,
		            nova_testhost_complaint(host, count - 1));
	assert_non_null(strstr(nova_testhost_complaint(host, count - 1), part));
	assert_null(nova_testhost_complaint(host, count));
}

static void complains_of_wrong_questions_for_parameters(void **state)
{
	struct nova_testhost *host = begin(NOVA_THREADS_PARALLEL);
	const struct nova_host *table = nova_testhost_table();
	uint64_t instance = nova_testhost_instance(host);
	int64_t value;
	double wide;

	(void)state;
	assert_null(table->param_text(instance, "absent", 0));
	assert_complaints(host, 1, "\"absent\" is not declared");
	assert_int_equal(table->param_i64(instance, NULL, 0, &value), NOVA_E_NOT_FOUND);
	assert_complaints(host, 2, "not declared");
	assert_int_equal(table->param_i64(instance, "mode", 0, &value), NOVA_E_INVALID);
	assert_complaints(host, 3, "no integer");
	assert_int_equal(table->param_f64(instance, "count", 0, &wide), NOVA_E_INVALID);
	assert_complaints(host, 4, "no number");
	assert_null(table->directory(instance, 9));
	assert_complaints(host, 5, "directory");
	assert_int_equal(table->param_i64(instance + 1000, "count", 0, &value), NOVA_E_INVALID);
	assert_int_equal(nova_testhost_complaints(host), 5); /* whose would it be? */
	nova_testhost_free(host);
}

static void complains_of_secrets_that_come_out(void **state)
{
	static const char *const given[] = {"password=tomato", NULL};
	struct nova_testhost *host = nova_testhost_new(&plugin, given);
	const struct nova_host *table = nova_testhost_table();
	uint64_t instance = nova_testhost_instance(host);

	(void)state;
	assert_string_equal(table->param_text(instance, "password", 0), "tomato");
	table->log(instance, NOVA_SAY_INFO, "logging in");
	assert_int_equal(nova_testhost_complaints(host), 0);
	table->log(instance, NOVA_SAY_INFO, "logging in as root:tomato@lab");
	assert_complaints(host, 1, "\"password\" stands in the log");
	table->errorf(instance, NOVA_E_PERMISSION, "wrong password: %s", "tomato");
	assert_complaints(host, 2, "\"password\" stands in an error");
	nova_testhost_free(host);
}

static void complains_of_wrong_calls_of_the_table(void **state)
{
	struct nova_testhost *host = begin(NOVA_THREADS_PER_INSTANCE);
	const struct nova_host *table = nova_testhost_table();
	struct nova_event event = {.struct_size = sizeof(event), .name = "x", .kind = 1};
	nova_op op = nova_testhost_begin(host, 1000);

	(void)state;
	table->done(op, 3);
	assert_complaints(host, 1, "done() with status 3");
	table->error(op, 0, "fine");
	assert_complaints(host, 2, "wrong argument");
	table->error(op, NOVA_E_IO, NULL);
	assert_complaints(host, 3, "wrong argument");
	assert_int_equal(table->put_i64(op, 0, 1), NOVA_E_INVALID);
	assert_complaints(host, 4, "put of field 0");
	assert_int_equal(table->put_fact(op, NOVA_FIELD_ID, NULL, "x"), NOVA_E_INVALID);
	assert_complaints(host, 5, "put of field");
	table->done(op, NOVA_DONE);
	assert_int_equal(table->put_i64(op, NOVA_FIELD_PID, 1), NOVA_E_NOT_FOUND);
	assert_complaints(host, 6, "after the op has ended");
	assert_int_equal(nova_testhost_end(host, NOVA_DONE), NOVA_DONE);
	assert_complaints(host, 7, "did not return NOVA_PENDING");
	assert_int_equal(nova_testhost_end(host, NOVA_DONE), NOVA_E_INTERNAL);
	assert_complaints(host, 8, "end without begin");
	nova_testhost_begin(host, 1000);
	assert_int_equal(nova_testhost_end(host, 2), 2);
	assert_complaints(host, 9, "no status");
	assert_int_equal(table->event(nova_testhost_instance(host), &event), NOVA_E_INVALID);
	assert_complaints(host, 10, "event: ");
	event.source = NOVA_SOURCE_POLL;
	event.resolution_ns = 1;
	assert_int_equal(table->event(op, &event), NOVA_E_INVALID);
	assert_complaints(host, 11, "not an instance");
	assert_int_equal(table->event(nova_testhost_instance(host), &event), NOVA_DONE);
	table->log(nova_testhost_instance(host), 0, "x");
	assert_complaints(host, 12, "log: ");
	nova_testhost_cancel(host, op + 1000);
	assert_complaints(host, 13, "cancel of an op");
	nova_testhost_free(host);
	table->done(op, NOVA_DONE); /* ignored; there is nobody to tell */
}

static void complains_of_calls_after_destroy(void **state)
{
	struct nova_testhost *host = begin(NOVA_THREADS_PARALLEL);
	const struct nova_host *table = nova_testhost_table();
	struct nova_event event = {.struct_size = sizeof(event),
	                           .kind = NOVA_EVENT_RUNNING,
	                           .source = NOVA_SOURCE_POLL,
	                           .name = "x",
	                           .resolution_ns = 1};
	uint64_t instance = nova_testhost_instance(host);

	(void)state;
	nova_testhost_stop(host);
	nova_testhost_stop(host);
	assert_int_equal(nova_testhost_complaints(host), 0);
	table->done(instance, NOVA_DONE);
	assert_complaints(host, 1, "done was called after destroy");
	table->error(instance, NOVA_E_IO, "x");
	assert_complaints(host, 2, "error was called after destroy");
	table->event(instance, &event);
	assert_complaints(host, 3, "event was called after destroy");
	table->log(instance, NOVA_SAY_INFO, "x");
	assert_complaints(host, 4, "log was called after destroy");
	table->param_text(instance, "mode", 0);
	assert_complaints(host, 5, "param_text was called after destroy");
	table->directory(instance, NOVA_DIRECTORY_RUN);
	assert_complaints(host, 6, "directory was called after destroy");
	nova_testhost_free(host);
}

static void complains_of_puts_after_destroy(void **state)
{
	struct nova_testhost *host = begin(NOVA_THREADS_PARALLEL);

	(void)state;
	nova_testhost_stop(host);
	nova_testhost_table()->put_i64(nova_testhost_instance(host), NOVA_FIELD_PID, 1);
	assert_complaints(host, 1, "put was called after destroy");
	nova_testhost_free(host);
}

static void says_goodbye_once_and_before_the_last_pump(void **state)
{
	struct nova_testhost *host = begin(NOVA_THREADS_PER_INSTANCE);
	int before = atomic_load(&goodbyes);

	(void)state;
	nova_testhost_stop(host);
	nova_testhost_stop(host);
	assert_int_equal(atomic_load(&goodbyes), before + 1);
	assert_int_equal(nova_testhost_complaints(host), 0);
	nova_testhost_free(host);
	assert_int_equal(atomic_load(&goodbyes), before + 1);
}

static void complains_of_processes_that_may_not_be(void **state)
{
	static const char *const argv[] = {"true", NULL};
	struct nova_exec exec = {.struct_size = sizeof(exec), .argv = argv};
	struct nova_testhost *host = begin(NOVA_THREADS_PARALLEL);
	const struct nova_host *table = nova_testhost_table();
	int32_t status;

	(void)state;
	exec.struct_size = 4;
	assert_int_equal(table->process(nova_testhost_instance(host), &exec, NULL, NULL, &status),
	                 NOVA_E_INVALID);
	assert_complaints(host, 1, "struct_size");
	nova_testhost_free(host);
}

static int fail_silently(const struct nova_host *host, nova_op op)
{
	(void)host;
	(void)op;
	return NOVA_E_UNAVAILABLE;
}

static int fails_to_pump(void *self, int64_t until_ns)
{
	(void)self;
	(void)until_ns;
	return NOVA_E_IO;
}

static void complains_of_a_silent_probe_and_a_failing_pump(void **state)
{
	struct nova_plugin other = plugin;
	struct nova_hypervisor ops = OPS;
	struct nova_testhost *host;

	(void)state;
	other.probe = fail_silently;
	host = nova_testhost_new(&other, NULL);
	assert_int_equal(nova_testhost_start(host), NOVA_E_UNAVAILABLE);
	assert_complaints(host, 1, "no error()");
	nova_testhost_free(host);
	other.probe = NULL;
	ops.pump = fails_to_pump;
	other.ops = &ops;
	host = nova_testhost_new(&other, NULL);
	assert_int_equal(nova_testhost_start(host), NOVA_DONE);
	assert_int_equal(nova_testhost_start(host), NOVA_E_INVALID);
	for (int i = 0; i < 5000 && nova_testhost_complaints(host) == 0; i++)
		usleep(1000);
	nova_testhost_stop(host);
	assert_complaints(host, 1, "pump returned");
	nova_testhost_free(host);
}

static void a_cancelled_op_ends_with_what_the_driver_says(void **state)
{
	struct nova_testhost *host = begin(NOVA_THREADS_PARALLEL);
	const struct nova_host *table = nova_testhost_table();
	int64_t now_ns = table->now_ns();
	nova_op op = nova_testhost_begin(host, 60000);
	int returned;

	(void)state;
	assert_true(table->deadline_ns(op) >= now_ns + 60000000000);
	assert_true(table->deadline_ns(op) <= table->now_ns() + 60000000000);
	assert_int_equal(table->cancelled(op), 0);
	nova_testhost_cancel(host, op);
	returned = OPS.vm_clone(nova_testhost_self(host), op, "x", NULL, &SHAPE);
	assert_int_equal(nova_testhost_end(host, returned), NOVA_E_CANCELLED);
	assert_int_equal(nova_testhost_complaints(host), 0);
	nova_testhost_free(host);
}

static void *never_done(void *host)
{
	nova_testhost_begin(host, 1);
	return nova_testhost_end(host, NOVA_PENDING) == NOVA_E_TIMEOUT && !nova_testhost_ended(host)
	               ? NULL
	               : host;
}

/* Both take the whole grace, at the same time. */
static void complains_of_ops_that_outlive_the_grace(void **state)
{
	struct nova_testhost *host = begin(NOVA_THREADS_PARALLEL);
	pthread_t thread;
	void *wrong;

	(void)state;
	pthread_create(&thread, NULL, never_done, host);
	nova_testhost_begin(host, 1);
	usleep((NOVA_TESTHOST_GRACE_MS + 100) * 1000);
	assert_int_equal(nova_testhost_end(host, NOVA_DONE), NOVA_E_TIMEOUT);
	pthread_join(thread, &wrong);
	assert_null(wrong);
	assert_int_equal(nova_testhost_complaints(host), 2);
	nova_testhost_free(host);
}

/* A check counts what a plugin leaves behind, and must not count ours. */
static void many_hosts_leave_no_memory_behind(void **state)
{
	uint64_t last = 0;
	size_t before = 0;

	(void)state;
	for (int i = 0; i < 1100; i++) {
		struct nova_testhost *host = nova_testhost_new(&plugin, NULL);

		assert_true(nova_testhost_instance(host) > last); /* and no number comes twice */
		last = nova_testhost_instance(host);
		nova_testhost_free(host);
		if (i == 100)
			before = mallinfo2().uordblks;
	}
	assert_true(mallinfo2().uordblks <= before);
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
	        cmocka_unit_test(complains_of_wrong_questions_for_parameters),
	        cmocka_unit_test(complains_of_secrets_that_come_out),
	        cmocka_unit_test(complains_of_wrong_calls_of_the_table),
	        cmocka_unit_test(many_hosts_leave_no_memory_behind),
	        cmocka_unit_test(complains_of_calls_after_destroy),
	        cmocka_unit_test(complains_of_puts_after_destroy),
	        cmocka_unit_test(says_goodbye_once_and_before_the_last_pump),
	        cmocka_unit_test(complains_of_processes_that_may_not_be),
	        cmocka_unit_test(complains_of_a_silent_probe_and_a_failing_pump),
	        cmocka_unit_test(a_cancelled_op_ends_with_what_the_driver_says),
	        cmocka_unit_test(complains_of_ops_that_outlive_the_grace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
