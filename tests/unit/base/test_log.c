/* SPDX-License-Identifier: MIT */
/* The log: JSON lines that parse whatever the text, whole lines from many threads, no secrets. */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>

static char *stderr_of(void (*body)(void), const char *directory)
{
	NOVA_AUTOFREE char *path = nova_format("%s/stderr", directory);
	NOVA_AUTOCLOSE int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	NOVA_AUTOCLOSE int before = dup(2);
	assert_true(fd >= 0 && before >= 0);
	dup2(fd, 2);
	body();
	dup2(before, 2);
	return nova_file_read(path, 1 << 20, NULL, NULL);
}

/* The records of the log file, as a JSON array; every line must parse. */
static json_t *records(const char *path)
{
	struct nova_error error = {0};
	NOVA_AUTOFREE char *text = nova_file_read(path, 1 << 24, NULL, &error);
	if (!text)
		fail_msg("%s", error.text);
	json_t *list = json_array();
	char *save = NULL;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		json_t *record = json_loads(line, 0, NULL);
		if (!record)
			fail_msg("not JSON: %s", line);
		json_array_append_new(list, record);
	}
	return list;
}

static const char *field(const json_t *list, size_t index, const char *name)
{
	return json_string_value(json_object_get(json_array_get(list, index), name));
}

static char *open_log(const char *directory)
{
	char *path = nova_format("%s/log", directory);
	assert_int_equal(nova_log_open(path, NULL), 0);
	return path;
}

static void writes_one_json_object_a_record(void **state)
{
	NOVA_AUTOFREE char *path = open_log(*state);
	nova_log_terminal(NOVA_LOG_ERROR);
	nova_log(NOVA_LOG_DEBUG, "first %d", 1);
	nova_log(NOVA_LOG_INFO, "a \"quote\"\nand a line, and ü");
	nova_log(NOVA_LOG_WARNING, "broken \xff\xc3 text");
	NOVA_AUTOJSON json_t *list = records(path);
	assert_int_equal(json_array_size(list), 3);
	assert_string_equal(field(list, 0, "text"), "first 1");
	assert_string_equal(field(list, 0, "level"), "debug");
	assert_string_equal(field(list, 1, "text"), "a \"quote\"\nand a line, and ü");
	assert_string_equal(field(list, 2, "text"), "broken ?? text");
	assert_string_equal(field(list, 2, "level"), "warning");
	assert_int_equal(strlen(field(list, 0, "time")), 24);
	json_t *first = json_array_get(list, 0);
	assert_int_equal(json_integer_value(json_object_get(first, "pid")), getpid());
	assert_true(json_integer_value(json_object_get(first, "monotonic_ns")) > 0);
}

static void appends_to_a_log_that_is_there(void **state)
{
	NOVA_AUTOFREE char *path = open_log(*state);
	nova_log_terminal(NOVA_LOG_ERROR);
	nova_log(NOVA_LOG_INFO, "one");
	assert_int_equal(nova_log_open(path, NULL), 0);
	nova_log(NOVA_LOG_INFO, "two");
	NOVA_AUTOJSON json_t *list = records(path);
	assert_int_equal(json_array_size(list), 2);
}

static void names_a_log_file_that_cannot_be_opened(void **state)
{
	(void)state;
	struct nova_error error = {0};
	assert_int_equal(nova_log_open("/no/such/log", &error), NOVA_E_NOT_FOUND);
	assert_contains(error.text, "/no/such/log");
}

static void log_all_levels(void)
{
	nova_log(NOVA_LOG_DEBUG, "quiet");
	nova_log(NOVA_LOG_INFO, "quiet");
	nova_log(NOVA_LOG_WARNING, "spoken");
	nova_log(NOVA_LOG_ERROR, "loud");
}

static void terminal_shows_only_its_level_and_above(void **state)
{
	nova_log_terminal(NOVA_LOG_WARNING);
	NOVA_AUTOFREE char *text = stderr_of(log_all_levels, *state);
	assert_string_equal(text, "novacore: warning: spoken\nnovacore: error: loud\n");
}

static void before(void)
{
	(void)!write(2, "<", 1);
}

static void after(void)
{
	(void)!write(2, ">", 1);
}

static void a_progress_line_can_step_aside(void **state)
{
	nova_log_terminal(NOVA_LOG_ERROR);
	nova_log_around(before, after);
	NOVA_AUTOFREE char *text = stderr_of(log_all_levels, *state);
	nova_log_around(NULL, NULL);
	assert_string_equal(text, "<novacore: error: loud\n>");
}

static void never_prints_a_secret(void **state)
{
	NOVA_AUTOFREE char *path = open_log(*state);
	nova_log_terminal(NOVA_LOG_ERROR);
	nova_secret_add("hunter");
	nova_secret_add("hunter2-and-more"); /* contains the first */
	nova_secret_add("hunter");
	nova_log(NOVA_LOG_INFO, "token=hunter2-and-more, again hunter2-and-more hunter!");
	NOVA_AUTOJSON json_t *list = records(path);
	assert_string_equal(field(list, 0, "text"), "token=***, again *** ***!");
	struct nova_error error = {0};
	nova_error_set(&error, NOVA_E_FAILED, "peer refused %s", "hunter");
	assert_string_equal(error.text, "peer refused ***");
	nova_error_prefix(&error, "as %s", "hunter2-and-more");
	assert_string_equal(error.text, "as ***: peer refused ***");
}

static void leaves_no_half_of_a_secret_at_the_cut(void **state)
{
	(void)state;
	struct nova_error error = {0};
	nova_secret_add("SECRETSECRETSECRET");
	NOVA_AUTOFREE char *filler = nova_alloc(sizeof(error.text));
	for (size_t length = sizeof(error.text) - 30; length < sizeof(error.text) - 1; length++) {
		memset(filler, 'x', length);
		nova_error_set(&error, NOVA_E_FAILED, "%sSECRETSECRETSECRET", filler);
		assert_null(strstr(error.text, "SEC"));
	}
}

static void ignores_secrets_too_short_to_hide(void **state)
{
	(void)state;
	nova_secret_add("abc");
	nova_secret_add("");
	nova_secret_add(NULL);
	char text[] = "abc abc";
	nova_secret_redact(text);
	assert_string_equal(text, "abc abc");
	nova_secret_redact(NULL);
}

static void *log_some(void *context)
{
	for (int i = 0; i < 200; i++) {
		nova_log(NOVA_LOG_INFO, "%s %d", (const char *)context, i);
		nova_secret_add(i % 2 ? "a-secret-of-threads" : "another-of-threads");
	}
	return NULL;
}

static void whole_lines_from_many_threads(void **state)
{
	NOVA_AUTOFREE char *path = open_log(*state);
	nova_log_terminal(NOVA_LOG_ERROR);
	pthread_t threads[4];
	for (size_t i = 0; i < NOVA_COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_some, "thread"), 0);
	for (size_t i = 0; i < NOVA_COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	NOVA_AUTOJSON json_t *list = records(path);
	assert_int_equal(json_array_size(list), 800);
}

int main(void)
{
#define in_directory(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)
	const struct CMUnitTest tests[] = {
	        in_directory(writes_one_json_object_a_record),
	        in_directory(appends_to_a_log_that_is_there),
	        cmocka_unit_test(names_a_log_file_that_cannot_be_opened),
	        in_directory(terminal_shows_only_its_level_and_above),
	        in_directory(a_progress_line_can_step_aside),
	        in_directory(never_prints_a_secret),
	        cmocka_unit_test(leaves_no_half_of_a_secret_at_the_cut),
	        cmocka_unit_test(ignores_secrets_too_short_to_hide),
	        in_directory(whole_lines_from_many_threads),
	};
	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
