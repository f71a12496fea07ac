/* SPDX-License-Identifier: MIT */
/* The driver's ops on a VM with a guest agent: NOVACORE_TEST_APPLIANCE names its directory. */
#include "lab.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct lab lab;
static struct machine vm;
static struct nova_shape shape;

static int run_with(const char *const *argv, const char *const *env, const void *input,
                    size_t input_bytes)
{
	const struct nova_exec exec = {.struct_size = sizeof(exec),
	                               .argv = argv,
	                               .env = env,
	                               .input = input,
	                               .input_bytes = input_bytes};
	return nova_testhost_call(lab.host, 60000, exec, &vm.ref, &exec);
}

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

static void run(const char *const *argv)
{
	lab_expect(&lab, run_with(argv, NULL, NULL, 0), "exec");
}

static int64_t number(uint32_t field)
{
	int64_t value = -1;
	if (nova_testhost_i64(lab.host, field, 0, &value) != NOVA_DONE)
		return -1;
	return value;
}

static const char *out(void)
{
	return nova_testhost_bytes(lab.host, NOVA_FIELD_STDOUT, NULL);
}

static void boots_to_user_space_and_agent(void **state)
{
	size_t from = nova_testhost_event_count(lab.host);
	(void)state;
	lab_create(&lab, &vm, "guest", &shape);
	lab_power(&lab, &vm, NOVA_POWER_START);
	const struct nova_event *running = lab_wait(&lab, from, &vm, NOVA_EVENT_RUNNING);
	int64_t user_space = lab_beat(&lab, 'U', 30000);
	assert_true(user_space > running->t_ns);
	const struct nova_event *ready = lab_wait(&lab, from, &vm, NOVA_EVENT_READY);
	assert_true(ready->t_ns > user_space);
	assert_int_equal(ready->source, NOVA_SOURCE_AGENT);
	printf("user space %.2f s, ready %.2f s after running\n",
	       (double)(user_space - running->t_ns) / 1e9,
	       (double)(ready->t_ns - running->t_ns) / 1e9);
}

static void exec_returns_output_and_status(void **state)
{
	(void)state;
	run(ARGV("sh", "-c", "echo out; echo err >&2; exit 7"));
	assert_string_equal(out(), "out\n");
	assert_string_equal(nova_testhost_bytes(lab.host, NOVA_FIELD_STDERR, NULL), "err\n");
	assert_int_equal(number(NOVA_FIELD_EXIT_STATUS), 7);
	assert_true(number(NOVA_FIELD_GUEST_PID) > 1);
	assert_int_equal(number(NOVA_FIELD_SIGNAL), -1);
}

static void exec_keeps_arguments_apart(void **state)
{
	(void)state;
	run(ARGV("printf", "%s|%s|%s\n", "a b", "'\"$HOME\\", ""));
	assert_string_equal(out(), "a b|'\"$HOME\\|\n");
}

static void exec_adds_to_the_environment(void **state)
{
	(void)state;
	lab_expect(&lab,
	           run_with(ARGV("sh", "-c", "echo \"$ONE:$TWO:${PATH:+path}\""),
	                    ARGV("ONE=a b", "TWO=c=d"), NULL, 0),
	           "exec");
	assert_string_equal(out(), "a b:c=d:path\n");
	assert_int_equal(run_with(ARGV("true"), ARGV("no name"), NULL, 0), NOVA_E_INVALID);
}

static void exec_passes_input(void **state)
{
	size_t count = 300000;
	char *big = malloc(count);
	(void)state;
	lab_expect(&lab, run_with(ARGV("cat"), NULL, "hello\n", 6), "exec");
	assert_string_equal(out(), "hello\n");
	for (size_t i = 0; i < count; i++)
		big[i] = (char)('a' + i % 26);
	lab_expect(&lab, run_with(ARGV("sh", "-c", "wc -c"), NULL, big, count), "exec");
	assert_int_equal(strtol(out(), NULL, 10), count);
	free(big);
}

static void exec_returns_output_beyond_one_message(void **state)
{
	uint64_t count = 0;
	(void)state;
	run(ARGV("sh", "-c", "head -c 1048576 /dev/zero | tr '\\0' x; echo small >&2"));
	const char *text = nova_testhost_bytes(lab.host, NOVA_FIELD_STDOUT, &count);
	assert_int_equal(count, 1048576);
	assert_int_equal(strspn(text, "x"), 1048576);
	assert_string_equal(nova_testhost_bytes(lab.host, NOVA_FIELD_STDERR, NULL), "small\n");
	run(ARGV("sh", "-c", "ls -d /tmp/novacore-exec* /tmp/novacore-?????* 2>/dev/null | wc -l"));
	assert_int_equal(strtol(out(), NULL, 10), 2); /* its own two, and nothing left behind */
}

static void exec_reports_a_signal_and_a_missing_program(void **state)
{
	(void)state;
	run(ARGV("sh", "-c", "kill -15 $$"));
	assert_int_equal(number(NOVA_FIELD_SIGNAL), 15);
	assert_int_equal(number(NOVA_FIELD_EXIT_STATUS), -1);
	run(ARGV("no-such-program"));
	assert_int_equal(number(NOVA_FIELD_EXIT_STATUS), 127);
	assert_non_null(
	        strstr(nova_testhost_bytes(lab.host, NOVA_FIELD_STDERR, NULL), "not found"));
}

static void exec_past_its_deadline_leaves_nothing_running(void **state)
{
	const struct nova_exec exec = {.struct_size = sizeof(exec),
	                               .argv = ARGV("sh", "-c", "sleep 4321; true")};
	(void)state;
	int status = nova_testhost_call(lab.host, 2000, exec, &vm.ref, &exec);
	assert_true(status == NOVA_E_TIMEOUT || status == NOVA_E_CANCELLED);
	assert_true(nova_testhost_ended(lab.host));
	run(ARGV("sh", "-c", "ps | grep -c '[s]leep 4321'"));
	assert_int_equal(strtol(out(), NULL, 10), 0);
}

static void *sleep_long(void *context)
{
	(void)context;
	run(ARGV("sh", "-c", "sleep 1234; true"));
	return (void *)(uintptr_t)number(NOVA_FIELD_SIGNAL);
}

static void exec_kill_ends_a_program_and_its_children(void **state)
{
	pthread_t thread;
	void *signal = NULL;
	char *pid;
	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, sleep_long, NULL), 0);
	do
		run(ARGV("sh", "-c", "ps | grep '[s]leep 1234; true' | head -n1"));
	while (strtol(out(), &pid, 10) <= 1);
	lab_expect(&lab,
	           nova_testhost_call(lab.host, 10000, exec_kill, &vm.ref, strtol(out(), NULL, 10)),
	           "exec_kill");
	pthread_join(thread, &signal);
	assert_int_equal((uintptr_t)signal, 9);
	assert_int_equal(nova_testhost_call(lab.host, 10000, exec_kill, &vm.ref, (int64_t)999999),
	                 NOVA_E_NOT_FOUND);
	assert_int_equal(nova_testhost_call(lab.host, 10000, exec_kill, &vm.ref, (int64_t)1),
	                 NOVA_E_INVALID);
}

static void gives_statistics(void **state)
{
	(void)state;
	lab_expect(&lab, nova_testhost_call(lab.host, 10000, vm_query, &vm.ref, NOVA_QUERY_STATS),
	           "stats");
	assert_true(number(NOVA_FIELD_CPU_NS) > 100000000);
	assert_true(number(NOVA_FIELD_MEMORY_BYTES) == 256 << 20);
	assert_true(number(NOVA_FIELD_RESIDENT_BYTES) > 32 << 20);
	assert_true(number(NOVA_FIELD_DISK_READ_BYTES) > 1 << 20);
	assert_true(number(NOVA_FIELD_DISK_READS) > 10);
	assert_true(number(NOVA_FIELD_DISK_ALLOCATED_BYTES) > 0);
}

static void snapshot_brings_memory_and_disk_back(void **state)
{
	(void)state;
	run(ARGV("sh", "-c", "echo before >/root-mark; echo before >/run/mark; sync"));
	lab_expect(
	        &lab,
	        nova_testhost_call(lab.host, 30000, snapshot, &vm.ref, "one", NOVA_SNAPSHOT_CREATE),
	        "snapshot");
	run(ARGV("sh", "-c", "echo after >/root-mark; echo after >/run/mark; sync"));
	size_t from = nova_testhost_event_count(lab.host);
	lab_expect(&lab,
	           nova_testhost_call(lab.host, 30000, snapshot, &vm.ref, "one",
	                              NOVA_SNAPSHOT_RESTORE),
	           "restore");
	const struct nova_event *away = lab_wait(&lab, from, &vm, NOVA_EVENT_UNREADY);
	const struct nova_event *again = lab_wait(&lab, from, &vm, NOVA_EVENT_RUNNING);
	const struct nova_event *back = lab_wait(&lab, from, &vm, NOVA_EVENT_READY);
	assert_true(again->t_ns > away->t_ns);
	assert_true(back->t_ns + back->resolution_ns > again->t_ns);
	run(ARGV("cat", "/root-mark", "/run/mark"));
	assert_string_equal(out(), "before\nbefore\n");
	for (size_t i = from; i < nova_testhost_event_count(lab.host); i++)
		assert_int_not_equal(nova_testhost_event(lab.host, i)->kind, NOVA_EVENT_STOPPED);
	lab_expect(
	        &lab,
	        nova_testhost_call(lab.host, 30000, snapshot, &vm.ref, "one", NOVA_SNAPSHOT_DELETE),
	        "delete");
	assert_int_equal(nova_testhost_call(lab.host, 30000, snapshot, &vm.ref, "one",
	                                    NOVA_SNAPSHOT_RESTORE),
	                 NOVA_E_NOT_FOUND);
}

static void shuts_down_gracefully(void **state)
{
	size_t from = nova_testhost_event_count(lab.host);
	(void)state;
	lab_power(&lab, &vm, NOVA_POWER_SHUTDOWN);
	const struct nova_event *off = lab_wait(&lab, from, &vm, NOVA_EVENT_SHUTDOWN);
	const struct nova_event *stopped = lab_wait(&lab, from, &vm, NOVA_EVENT_STOPPED);
	assert_int_equal(off->source, NOVA_SOURCE_QMP);
	assert_true(stopped->t_ns >= off->t_ns);
	assert_int_equal(lab_state(&lab, &vm), NOVA_STATE_OFF);
	assert_int_not_equal(run_with(ARGV("true"), NULL, NULL, 0), NOVA_DONE);
	lab_delete(&lab, &vm);
}

static int open_lab(void **state)
{
	const char *parameters[] = {NULL};
	(void)state;
	lab_open(&lab, parameters);
	if (!lab_appliance(&lab, &shape)) {
		nova_testhost_free(lab.host);
		printf("skipped: NOVACORE_TEST_APPLIANCE names no directory with kernel, initrd "
		       "and "
		       "root.img (novacore guest build)\n");
		exit(77);
	}
	return 0;
}

static int close_lab(void **state)
{
	(void)state;
	lab_close(&lab);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(boots_to_user_space_and_agent),
	        cmocka_unit_test(exec_returns_output_and_status),
	        cmocka_unit_test(exec_keeps_arguments_apart),
	        cmocka_unit_test(exec_adds_to_the_environment),
	        cmocka_unit_test(exec_passes_input),
	        cmocka_unit_test(exec_returns_output_beyond_one_message),
	        cmocka_unit_test(exec_reports_a_signal_and_a_missing_program),
	        cmocka_unit_test(exec_past_its_deadline_leaves_nothing_running),
	        cmocka_unit_test(exec_kill_ends_a_program_and_its_children),
	        cmocka_unit_test(gives_statistics),
	        cmocka_unit_test(snapshot_brings_memory_and_disk_back),
	        cmocka_unit_test(shuts_down_gracefully),
	};
	lab_fork();
	return cmocka_run_group_tests(tests, open_lab, close_lab);
}
