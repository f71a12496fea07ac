/* SPDX-License-Identifier: MIT */
/* Child processes: what they get, what is gathered, and that they end when they must. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

static int shell(const char *script, struct nova_child more, struct nova_child_result *result,
                 struct nova_error *error)
{
	more.argv = (const char *const[]){"sh", "-c", script, NULL};
	return nova_child_run(&more, result, error);
}

static bool group_is_gone(pid_t group)
{
	/* zombies count as gone: PID 1 may be slow to reap what became its child */
	for (int i = 0; i < 100; i++) {
		if (kill(-group, 0) < 0 && errno == ESRCH)
			return true;
		NOVA_AUTOFREE char *path = nova_format("/proc/%d/stat", (int)group);
		NOVA_AUTOFREE char *stat = nova_file_read(path, 4096, NULL, NULL);
		if (!stat || strstr(stat, ") Z "))
			return true;
		usleep(20000);
	}
	return false;
}

static void gathers_output_errors_and_status(void **state)
{
	(void)state;
	struct nova_error error = {0};
	struct nova_child_result result;
	assert_int_equal(
	        shell("echo out; echo err >&2; exit 3", (struct nova_child){0}, &result, &error),
	        0);
	assert_string_equal(nova_text_get(&result.output), "out\n");
	assert_string_equal(nova_text_get(&result.errors), "err\n");
	assert_int_equal(result.status, 3);
	nova_child_result_free(&result);
}

static void reports_a_signal_as_negative_status(void **state)
{
	(void)state;
	struct nova_child_result result;
	assert_int_equal(shell("kill -USR1 $$", (struct nova_child){0}, &result, NULL), 0);
	assert_int_equal(result.status, -SIGUSR1);
	nova_child_result_free(&result);
}

static void reads_nothing_from_stdin_without_input(void **state)
{
	(void)state;
	struct nova_child_result result;
	assert_int_equal(
	        shell("wc -c; readlink /proc/self/fd/0", (struct nova_child){0}, &result, NULL), 0);
	assert_string_equal(nova_text_get(&result.output), "0\n/dev/null\n");
	nova_child_result_free(&result);
}

static void hands_over_large_input_while_output_is_large(void **state)
{
	(void)state;
	size_t bytes = 3 << 20;
	NOVA_AUTOFREE char *input = nova_alloc(bytes);
	for (size_t i = 0; i < bytes; i++)
		input[i] = (char)(i * 31 % 251);
	struct nova_child_result result;
	struct nova_child child = {
	        .argv = (const char *const[]){"cat", NULL}, .input = input, .input_bytes = bytes};
	assert_int_equal(nova_child_run(&child, &result, NULL), 0);
	assert_int_equal(result.output.length, bytes);
	assert_memory_equal(result.output.data, input, bytes);
	nova_child_result_free(&result);
}

static void survives_a_child_that_ignores_its_input(void **state)
{
	(void)state;
	NOVA_AUTOFREE char *input = nova_alloc(1 << 20);
	struct nova_child child = {.argv = (const char *const[]){"true", NULL},
	                           .input = input,
	                           .input_bytes = 1 << 20};
	assert_int_equal(nova_child_check(&child, NULL, NULL), 0);
}

static void stops_at_the_deadline_with_its_group(void **state)
{
	(void)state;
	struct nova_error error = {0};
	struct nova_child_result result;
	struct nova_child more = {.deadline_ns = nova_now_ns() + NOVA_SECOND_NS / 2};
	assert_int_equal(shell("echo $$; sleep 300 & sleep 300; wait", more, &result, &error),
	                 NOVA_E_TIMEOUT);
	assert_contains(error.text, "time was up");
	assert_int_equal(result.status, -SIGTERM);
	assert_true(group_is_gone((pid_t)atoi(nova_text_get(&result.output))));
	nova_child_result_free(&result);
}

static void kills_what_ignores_termination(void **state)
{
	(void)state;
	struct nova_child_result result;
	struct nova_child more = {.deadline_ns = nova_now_ns() + NOVA_SECOND_NS / 5};
	assert_int_equal(
	        shell("trap '' TERM; echo $$; while :; do sleep 1; done", more, &result, NULL),
	        NOVA_E_TIMEOUT);
	assert_int_equal(result.status, -SIGKILL);
	assert_true(group_is_gone((pid_t)atoi(nova_text_get(&result.output))));
	nova_child_result_free(&result);
}

static void does_not_start_after_the_deadline(void **state)
{
	struct nova_error error = {0};
	NOVA_AUTOFREE char *mark = nova_format("%s/started", (char *)*state);
	struct nova_child child = {.argv = (const char *const[]){"touch", mark, NULL},
	                           .deadline_ns = nova_now_ns() - 1};
	assert_int_equal(nova_child_run(&child, NULL, &error), NOVA_E_TIMEOUT);
	assert_int_equal(access(mark, F_OK), -1);
}

static void does_not_wait_for_a_daemon_that_keeps_the_pipe(void **state)
{
	(void)state;
	struct nova_child_result result;
	struct nova_child more = {.deadline_ns = nova_now_ns() + 20 * NOVA_SECOND_NS};
	assert_int_equal(shell("sleep 300 & echo $!", more, &result, NULL), 0);
	pid_t daemon = (pid_t)atoi(nova_text_get(&result.output));
	assert_true(daemon > 1);
	assert_int_equal(kill(daemon, SIGKILL), 0); /* it was left alone */
	nova_child_result_free(&result);
}

static void stops_when_asked(void **state)
{
	(void)state;
	struct nova_error error = {0};
	volatile int stop = 1;
	assert_int_equal(shell("sleep 300", (struct nova_child){.stop = &stop}, NULL, &error),
	                 NOVA_E_INTERRUPTED);
	assert_contains(error.text, "interrupted");
}

static void fails_when_output_exceeds_its_limit(void **state)
{
	(void)state;
	struct nova_error error = {0};
	struct nova_child_result result;
	struct nova_child child = {.argv = (const char *const[]){"yes", NULL},
	                           .output_limit = 1000};
	assert_int_equal(nova_child_run(&child, &result, &error), NOVA_E_FAILED);
	assert_contains(error.text, "more than 1000 bytes to stdout");
	assert_int_equal(result.output.length, 1000);
	nova_child_result_free(&result);
}

static void accepts_output_of_exactly_the_limit(void **state)
{
	(void)state;
	struct nova_child_result result;
	assert_int_equal(
	        shell("printf 1234567890", (struct nova_child){.output_limit = 10}, &result, NULL),
	        0);
	assert_string_equal(nova_text_get(&result.output), "1234567890");
	nova_child_result_free(&result);
}

static void collect(void *context, const char *line)
{
	nova_text_addf(context, "[%s]", line);
}

static void gives_each_line_and_a_last_one_without_end(void **state)
{
	(void)state;
	NOVA_AUTOTEXT struct nova_text lines = {0};
	struct nova_child_result result;
	struct nova_child more = {.on_line = collect, .context = &lines};
	assert_int_equal(
	        shell("printf 'a\\n\\nbc'; sleep 0.1; printf 'd\\ne'", more, &result, NULL), 0);
	assert_string_equal(nova_text_get(&lines), "[a][][bcd][e]");
	assert_string_equal(nova_text_get(&result.output), "a\n\nbcd\ne");
	nova_child_result_free(&result);
}

static void merges_environment_and_changes_directory(void **state)
{
	struct nova_child_result result;
	setenv("NOVACORE_TEST_KEPT", "kept", 1);
	setenv("NOVACORE_TEST_CHANGED", "before", 1);
	struct nova_child more = {.env = (const char *const[]){"NOVACORE_TEST_CHANGED=after", NULL},
	                          .directory = *state};
	assert_int_equal(
	        shell("echo $NOVACORE_TEST_KEPT $NOVACORE_TEST_CHANGED; pwd", more, &result, NULL),
	        0);
	NOVA_AUTOFREE char *expected = nova_format("kept after\n%s\n", (char *)*state);
	assert_string_equal(nova_text_get(&result.output), expected);
	assert_string_equal(getenv("NOVACORE_TEST_CHANGED"), "before");
	nova_child_result_free(&result);
}

static void names_a_missing_program_and_a_missing_directory(void **state)
{
	(void)state;
	struct nova_error error = {0};
	struct nova_child child = {.argv = (const char *const[]){"novacore-no-such-program", NULL}};
	assert_int_equal(nova_child_run(&child, NULL, &error), NOVA_E_UNAVAILABLE);
	assert_contains(error.text, "novacore-no-such-program: it is not installed");
	child = (struct nova_child){.argv = (const char *const[]){"true", NULL},
	                            .directory = "/no/such"};
	assert_int_equal(nova_child_run(&child, NULL, &error), NOVA_E_NOT_FOUND);
	assert_contains(error.text, "/no/such");
	child = (struct nova_child){.argv = (const char *const[]){"/etc/passwd", NULL}};
	assert_int_equal(nova_child_run(&child, NULL, &error), NOVA_E_PERMISSION);
	child = (struct nova_child){.argv = (const char *const[]){NULL}};
	assert_int_equal(nova_child_run(&child, NULL, &error), NOVA_E_INTERNAL);
}

static void is_not_misled_by_a_directory_of_path_that_is_closed(void **state)
{
	(void)state;
	pid_t pid = fork();
	if (pid == 0) {
		struct nova_child child = {.argv = (const char *const[]){"novacore-no-such", NULL}};
		setenv("PATH", "/proc/1/root:/usr/bin", 1);
		if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
			_exit(2);
		_exit(nova_child_run(&child, NULL, NULL) == NOVA_E_UNAVAILABLE ? 0 : 1);
	}
	int status = -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void check_quotes_the_last_line_of_stderr(void **state)
{
	(void)state;
	struct nova_error error = {0};
	struct nova_child child = {
	        .argv = (const char *const[]){
	                "sh", "-c", "echo first >&2; echo 'the reason' >&2; echo >&2; exit 7",
	                NULL}};
	assert_int_equal(nova_child_check(&child, NULL, &error), NOVA_E_FAILED);
	assert_string_equal(error.text, "sh failed with status 7: the reason");
	child.argv = (const char *const[]){"sh", "-c", "kill -SEGV $$", NULL};
	assert_int_equal(nova_child_check(&child, NULL, &error), NOVA_E_FAILED);
	assert_contains(error.text, "SEGV");
	assert_contains(error.text, "printed no reason");
}

static void starts_with_no_signal_ignored_or_blocked(void **state)
{
	(void)state;
	sigset_t set, before;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, &before);
	void (*old)(int) = signal(SIGPIPE, SIG_IGN);
	struct nova_child_result result;
	struct nova_child child = {.argv = (const char *const[]){"grep", "-E", "^Sig(Blk|Ign)",
	                                                         "/proc/self/status", NULL}};
	assert_int_equal(nova_child_check(&child, &result, NULL), 0);
	unsigned long long blocked = 1, ignored = 1;
	assert_int_equal(sscanf(nova_text_get(&result.output), "SigBlk: %llx SigIgn: %llx",
	                        &blocked, &ignored),
	                 2);
	assert_int_equal(blocked, 0);
	/* 32 and 33 are the C library's own: who has them ignored, as Perl does, hands that on, and
	 * no program can change it. */
	assert_int_equal(ignored & ~(3ull << 31), 0);
	nova_child_result_free(&result);
	signal(SIGPIPE, old);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void inherits_only_what_is_not_close_on_exec(void **state)
{
	(void)state;
	int expected = 0;
	NOVA_AUTOCLOSE int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(fd > 2);
	for (int i = 3; i < 1024; i++) {
		int flags = fcntl(i, F_GETFD);
		expected += flags >= 0 && !(flags & FD_CLOEXEC);
	}
	struct nova_child_result result;
	struct nova_child more = {.input = "", .input_bytes = 0};
	/* no pipeline: the shell would hold its ends for a moment */
	assert_int_equal(shell("ls /proc/$$/fd; :", more, &result, NULL), 0);
	int lines = 0;
	for (const char *at = nova_text_get(&result.output); *at; at++)
		lines += *at == '\n';
	assert_int_equal(lines, 3 + expected);
	nova_child_result_free(&result);
}

static void runs_in_a_group_of_its_own(void **state)
{
	(void)state;
	struct nova_child_result result;
	assert_int_equal(
	        shell("cut -d' ' -f1,5 /proc/$$/stat", (struct nova_child){0}, &result, NULL), 0);
	int pid = 0, group = 0;
	assert_int_equal(sscanf(nova_text_get(&result.output), "%d %d", &pid, &group), 2);
	assert_int_equal(pid, group);
	assert_int_not_equal(group, getpgrp());
	nova_child_result_free(&result);
}

static void works_with_standard_descriptors_closed(void **state)
{
	(void)state;
	/* in a process of its own: cmocka needs its stdout */
	pid_t pid = fork();
	if (pid == 0) {
		for (int fd = 0; fd < 3; fd++)
			close(fd);
		struct nova_child_result result;
		int code =
		        shell("cat; echo err >&2",
		              (struct nova_child){.input = "in", .input_bytes = 2}, &result, NULL);
		bool good = code == 0 && strcmp(nova_text_get(&result.output), "in") == 0 &&
		            strcmp(nova_text_get(&result.errors), "err\n") == 0;
		nova_child_result_free(&result);
		_exit(good ? 0 : 1);
	}
	int status = -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void *run_some(void *context)
{
	int *failures = context;
	for (int i = 0; i < 10; i++) {
		struct nova_child_result result;
		if (shell("echo x; exit 5", (struct nova_child){0}, &result, NULL) != 0 ||
		    result.status != 5 || strcmp(nova_text_get(&result.output), "x\n") != 0)
			++*failures;
		nova_child_result_free(&result);
	}
	return NULL;
}

static void runs_from_several_threads_at_once(void **state)
{
	(void)state;
	pthread_t threads[4];
	int failures[4] = {0};
	for (size_t i = 0; i < NOVA_COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_some, &failures[i]), 0);
	for (size_t i = 0; i < NOVA_COUNT(threads); i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(failures[i], 0);
	}
}

static void owns_its_child_only_while_it_runs(void **state)
{
	(void)state;
	struct nova_child_result result;
	assert_int_equal(shell("echo $$", (struct nova_child){0}, &result, NULL), 0);
	assert_false(nova_child_owned((pid_t)atoi(nova_text_get(&result.output))));
	nova_child_result_free(&result);
}

static void ask(void *context, const char *line)
{
	*(bool *)context = nova_child_owned((pid_t)atoi(line));
}

static void tells_a_reaper_which_child_is_its_own(void **state)
{
	(void)state;
	bool mine = false;
	assert_int_equal(shell("echo $$; sleep 0.1",
	                       (struct nova_child){.on_line = ask, .context = &mine}, NULL, NULL),
	                 0);
	assert_true(mine);
}

static void dies_with_the_process_that_runs_it(void **state)
{
	NOVA_AUTOFREE char *path = nova_format("%s/pid", (char *)*state);
	NOVA_AUTOFREE char *script =
	        nova_format("echo $$ >%s.new; mv %s.new %s; sleep 300", path, path, path);
	pid_t parent = fork();
	if (parent == 0)
		_exit(shell(script, (struct nova_child){0}, NULL, NULL) == 0 ? 0 : 1);
	char *text = NULL;
	for (int i = 0; i < 500 && !text; i++) {
		usleep(20000);
		text = nova_file_read(path, 100, NULL, NULL);
	}
	assert_non_null(text);
	kill(parent, SIGKILL);
	waitpid(parent, NULL, 0);
	/* the shell itself is gone; of a subshell nothing is promised */
	pid_t pid = (pid_t)atoi(text);
	free(text);
	assert_true(group_is_gone(pid));
	kill(-pid, SIGKILL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(gathers_output_errors_and_status),
	        cmocka_unit_test(reports_a_signal_as_negative_status),
	        cmocka_unit_test(reads_nothing_from_stdin_without_input),
	        cmocka_unit_test(hands_over_large_input_while_output_is_large),
	        cmocka_unit_test(survives_a_child_that_ignores_its_input),
	        cmocka_unit_test(stops_at_the_deadline_with_its_group),
	        cmocka_unit_test(kills_what_ignores_termination),
	        cmocka_unit_test_setup_teardown(does_not_start_after_the_deadline, make_directory,
	                                        remove_directory),
	        cmocka_unit_test(does_not_wait_for_a_daemon_that_keeps_the_pipe),
	        cmocka_unit_test(stops_when_asked),
	        cmocka_unit_test(fails_when_output_exceeds_its_limit),
	        cmocka_unit_test(accepts_output_of_exactly_the_limit),
	        cmocka_unit_test(gives_each_line_and_a_last_one_without_end),
	        cmocka_unit_test_setup_teardown(merges_environment_and_changes_directory,
	                                        make_directory, remove_directory),
	        cmocka_unit_test(names_a_missing_program_and_a_missing_directory),
	        cmocka_unit_test(is_not_misled_by_a_directory_of_path_that_is_closed),
	        cmocka_unit_test(check_quotes_the_last_line_of_stderr),
	        cmocka_unit_test(starts_with_no_signal_ignored_or_blocked),
	        cmocka_unit_test(inherits_only_what_is_not_close_on_exec),
	        cmocka_unit_test(runs_in_a_group_of_its_own),
	        cmocka_unit_test(works_with_standard_descriptors_closed),
	        cmocka_unit_test(runs_from_several_threads_at_once),
	        cmocka_unit_test(owns_its_child_only_while_it_runs),
	        cmocka_unit_test(tells_a_reaper_which_child_is_its_own),
	        cmocka_unit_test_setup_teardown(dies_with_the_process_that_runs_it, make_directory,
	                                        remove_directory),
	};
	return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
