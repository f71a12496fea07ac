/* SPDX-License-Identifier: MIT */
/* Files: whole or not at all, locks that name their holder, trees removed without straying. */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char *in(void **state, const char *name)
{
	return nova_format("%s/%s", (char *)*state, name);
}

static size_t entries(void **state)
{
	NOVA_AUTOFREE char *command = nova_format("ls -A '%s' | wc -l", (char *)*state);
	struct nova_child_result result;
	assert_int_equal(
	        nova_child_check(&(struct nova_child){.argv = (const char *const[]){"sh", "-c",
	                                                                            command, NULL}},
	                         &result, NULL),
	        0);
	size_t count = (size_t)atoi(nova_text_get(&result.output));
	nova_child_result_free(&result);
	return count;
}

static void reads_what_was_written(void **state)
{
	NOVA_AUTOFREE char *path = in(state, "f");
	struct nova_error error = {0};
	size_t bytes = 0;
	assert_int_equal(nova_file_write(path, "a\0b", 3, 0640, &error), 0);
	NOVA_AUTOFREE char *data = nova_file_read(path, 3, &bytes, &error);
	assert_non_null(data);
	assert_int_equal(bytes, 3);
	assert_memory_equal(data, "a\0b", 4); /* and the NUL behind it */
	struct stat about;
	assert_int_equal(stat(path, &about), 0);
	assert_int_equal(about.st_mode & 0777 & ~0640u, 0);
	assert_int_equal(entries(state), 1);
}

static void reads_an_empty_file_and_proc(void **state)
{
	NOVA_AUTOFREE char *path = in(state, "f");
	assert_int_equal(nova_file_write(path, "", 0, 0600, NULL), 0);
	NOVA_AUTOFREE char *nothing = nova_file_read(path, 0, NULL, NULL);
	assert_string_equal(nothing, "");
	NOVA_AUTOFREE char *status = nova_file_read("/proc/self/status", 1 << 16, NULL, NULL);
	assert_contains(status, "Pid:");
}

static void refuses_larger_missing_and_directory(void **state)
{
	NOVA_AUTOFREE char *path = in(state, "f");
	struct nova_error error = {0};
	assert_int_equal(nova_file_write(path, "1234", 4, 0600, NULL), 0);
	assert_null(nova_file_read(path, 3, NULL, &error));
	assert_int_equal(error.code, NOVA_E_INVALID);
	assert_contains(error.text, "larger than the 3 bytes");
	assert_null(nova_file_read("/no/such", 3, NULL, &error));
	assert_int_equal(error.code, NOVA_E_NOT_FOUND);
	assert_null(nova_file_read(*state, 3, NULL, &error));
	assert_int_equal(error.code, NOVA_E_INVALID);
	assert_null(nova_file_read("/no/such", 3, NULL, NULL));
}

static void replaces_through_a_link_and_keeps_the_link(void **state)
{
	NOVA_AUTOFREE char *path = in(state, "f");
	NOVA_AUTOFREE char *name = in(state, "link");
	assert_int_equal(nova_file_write(path, "old", 3, 0600, NULL), 0);
	assert_int_equal(symlink("f", name), 0);
	assert_int_equal(nova_file_write(name, "new", 3, 0600, NULL), 0);
	NOVA_AUTOFREE char *data = nova_file_read(path, 10, NULL, NULL);
	assert_string_equal(data, "new");
	struct stat about;
	assert_int_equal(lstat(name, &about), 0);
	assert_true(S_ISLNK(about.st_mode));
}

static void writes_to_a_pipe_without_replacing_it(void **state)
{
	NOVA_AUTOFREE char *path = in(state, "pipe");
	assert_int_equal(mkfifo(path, 0600), 0);
	NOVA_AUTOCLOSE int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(nova_file_write(path, "text", 4, 0600, NULL), 0);
	char got[5] = {0};
	assert_int_equal(read(fd, got, 4), 4);
	assert_string_equal(got, "text");
	struct stat about;
	assert_int_equal(stat(path, &about), 0);
	assert_true(S_ISFIFO(about.st_mode));
}

static void keeps_the_old_file_when_writing_fails(void **state)
{
	NOVA_AUTOFREE char *path = in(state, "f");
	NOVA_AUTOFREE char *large = nova_alloc(1 << 20);
	assert_int_equal(nova_file_write(path, "old", 3, 0600, NULL), 0);
	pid_t pid = fork();
	if (pid == 0) {
		/* a file size limit stands for the full disk: write fails in the middle */
		struct rlimit limit = {4096, 4096};
		struct nova_error error = {0};
		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		int code = nova_file_write(path, large, 1 << 20, 0600, &error);
		_exit(code < 0 && strstr(error.text, path) ? 0 : 1);
	}
	int status = -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	NOVA_AUTOFREE char *data = nova_file_read(path, 10, NULL, NULL);
	assert_string_equal(data, "old");
	assert_int_equal(entries(state), 1);
}

static void names_a_place_that_cannot_be_written(void **state)
{
	(void)state;
	struct nova_error error = {0};
	assert_int_equal(nova_file_write("/no/such/file", "x", 1, 0600, &error), NOVA_E_NOT_FOUND);
	assert_contains(error.text, "cannot write /no/such/file");
	assert_int_equal(nova_file_write("/dev/full", "x", 1, 0600, &error), NOVA_E_FULL);
	assert_int_equal(nova_file_write("/proc/novacore", "x", 1, 0600, NULL) < 0, 1);
}

static void makes_directories_with_parents(void **state)
{
	NOVA_AUTOFREE char *deep = in(state, "a/b//c/");
	NOVA_AUTOFREE char *file = in(state, "a/file");
	NOVA_AUTOFREE char *below = in(state, "a/file/x");
	struct nova_error error = {0};
	assert_int_equal(nova_directory_make(deep, 0750, &error), 0);
	assert_int_equal(nova_directory_make(deep, 0750, &error), 0);
	assert_int_equal(access(deep, X_OK), 0);
	assert_int_equal(nova_file_write(file, "", 0, 0600, NULL), 0);
	assert_int_equal(nova_directory_make(file, 0750, &error), NOVA_E_EXISTS);
	assert_true(nova_directory_make(below, 0750, &error) < 0);
	assert_contains(error.text, file);
	assert_int_equal(nova_directory_make("", 0750, &error), NOVA_E_INVALID);
	assert_true(nova_directory_make("/proc/novacore/x", 0750, &error) < 0);
}

static void removes_a_tree_but_nothing_behind_links(void **state)
{
	NOVA_AUTOFREE char *tree = in(state, "tree");
	NOVA_AUTOFREE char *deep = in(state, "tree/a/b");
	NOVA_AUTOFREE char *inner = in(state, "tree/a/b/f");
	NOVA_AUTOFREE char *kept = in(state, "kept");
	NOVA_AUTOFREE char *kept_file = in(state, "kept/f");
	NOVA_AUTOFREE char *name = in(state, "tree/link");
	NOVA_AUTOFREE char *outside = in(state, "outside");
	struct nova_error error = {0};
	assert_int_equal(nova_directory_make(deep, 0700, NULL), 0);
	assert_int_equal(nova_file_write(inner, "x", 1, 0400, NULL), 0);
	assert_int_equal(nova_directory_make(kept, 0700, NULL), 0);
	assert_int_equal(nova_file_write(kept_file, "x", 1, 0600, NULL), 0);
	assert_int_equal(symlink(kept, name), 0);
	assert_int_equal(symlink(kept, outside), 0);
	assert_int_equal(nova_directory_remove(tree, &error), 0);
	assert_int_equal(access(tree, F_OK), -1);
	assert_int_equal(access(kept_file, F_OK), 0);
	assert_int_equal(nova_directory_remove(tree, &error), 0);
	/* the link itself, a file: not a tree to remove */
	assert_true(nova_directory_remove(outside, &error) < 0);
	assert_true(nova_directory_remove(kept_file, &error) < 0);
	assert_int_equal(access(kept_file, F_OK), 0);
}

static void a_second_lock_names_the_holder(void **state)
{
	NOVA_AUTOFREE char *path = in(state, "lock");
	struct nova_error error = {0};
	int fd = nova_file_lock(path, &error);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(nova_file_lock(path, &error), NOVA_E_BUSY);
	NOVA_AUTOFREE char *pid = nova_format("pid %d", (int)getpid());
	assert_contains(error.text, pid);
	assert_contains(error.text, path);
	close(fd);
	fd = nova_file_lock(path, &error);
	assert_true(fd >= 0);
	close(fd);
}

static void a_lock_ends_with_its_process(void **state)
{
	NOVA_AUTOFREE char *path = in(state, "lock");
	int ready[2];
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		char mark = nova_file_lock(path, NULL) >= 0;
		(void)!write(ready[1], &mark, 1);
		pause();
		_exit(0);
	}
	char mark = 0;
	assert_int_equal(read(ready[0], &mark, 1), 1);
	assert_int_equal(mark, 1);
	assert_int_equal(nova_file_lock(path, NULL), NOVA_E_BUSY);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	int fd = nova_file_lock(path, NULL);
	assert_true(fd >= 0);
	close(fd);
	close(ready[0]);
	close(ready[1]);
}

static void a_lock_does_not_follow_links_or_make_directories(void **state)
{
	NOVA_AUTOFREE char *name = in(state, "link");
	NOVA_AUTOFREE char *missing = in(state, "no/lock");
	struct nova_error error = {0};
	assert_int_equal(symlink("/tmp/novacore-not-this", name), 0);
	assert_true(nova_file_lock(name, &error) < 0);
	assert_int_equal(nova_file_lock(missing, &error), NOVA_E_NOT_FOUND);
}

static char *place_as(uid_t user, const char *name, const char *value, enum nova_place place)
{
	/* in a process of its own: the user cannot be taken back */
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		static const char *const all[] = {"XDG_STATE_HOME", "XDG_CACHE_HOME",
		                                  "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR",
		                                  "NOVACORE_HOME"};
		for (size_t i = 0; i < NOVA_COUNT(all); i++)
			unsetenv(all[i]);
		setenv("HOME", "/home/ada", 1);
		if (name)
			setenv(name, value, 1);
		if (geteuid() == 0 && user != 0 && setresuid(user, user, user) < 0)
			_exit(1);
		char *path = nova_place(place, "x");
		(void)!write(ends[1], path, strlen(path));
		_exit(0);
	}
	close(ends[1]);
	char *path = nova_alloc(4096);
	assert_true(read(ends[0], path, 4095) > 0);
	close(ends[0]);
	waitpid(pid, NULL, 0);
	return path;
}

static void assert_place(uid_t user, const char *name, const char *value, enum nova_place place,
                         const char *expected)
{
	NOVA_AUTOFREE char *path = place_as(user, name, value, place);
	assert_string_equal(path, expected);
}

static void knows_where_a_users_files_belong(void **state)
{
	(void)state;
	uid_t user = geteuid() == 0 ? 65534 : geteuid();
	assert_place(user, NULL, NULL, NOVA_PLACE_STATE, "/home/ada/.local/state/novacore/x");
	assert_place(user, NULL, NULL, NOVA_PLACE_CACHE, "/home/ada/.cache/novacore/x");
	assert_place(user, NULL, NULL, NOVA_PLACE_CONFIG, "/home/ada/.config/novacore/x");
	assert_place(user, NULL, NULL, NOVA_PLACE_RUNTIME, "/home/ada/.local/state/novacore/run/x");
	assert_place(user, "XDG_CACHE_HOME", "/c", NOVA_PLACE_CACHE, "/c/novacore/x");
	assert_place(user, "XDG_CACHE_HOME", "relative", NOVA_PLACE_CACHE,
	             "/home/ada/.cache/novacore/x");
	assert_place(user, "XDG_RUNTIME_DIR", "/run/user/7", NOVA_PLACE_RUNTIME,
	             "/run/user/7/novacore/x");
	assert_place(user, "NOVACORE_HOME", "/n", NOVA_PLACE_STATE, "/n/state/x");
	if (geteuid() != 0)
		return;
	assert_place(0, NULL, NULL, NOVA_PLACE_STATE, "/var/lib/novacore/x");
	assert_place(0, "XDG_RUNTIME_DIR", "/run/user/0", NOVA_PLACE_RUNTIME, "/run/novacore/x");
	assert_place(0, "NOVACORE_HOME", "/n", NOVA_PLACE_RUNTIME, "/n/run/x");
	assert_place(0, "NOVACORE_HOME", "n", NOVA_PLACE_CONFIG, "/etc/novacore/x");
}

int main(void)
{
#define in_directory(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)
	const struct CMUnitTest tests[] = {
	        in_directory(reads_what_was_written),
	        in_directory(reads_an_empty_file_and_proc),
	        in_directory(refuses_larger_missing_and_directory),
	        in_directory(replaces_through_a_link_and_keeps_the_link),
	        in_directory(writes_to_a_pipe_without_replacing_it),
	        in_directory(keeps_the_old_file_when_writing_fails),
	        cmocka_unit_test(names_a_place_that_cannot_be_written),
	        in_directory(makes_directories_with_parents),
	        in_directory(removes_a_tree_but_nothing_behind_links),
	        in_directory(a_second_lock_names_the_holder),
	        in_directory(a_lock_ends_with_its_process),
	        in_directory(a_lock_does_not_follow_links_or_make_directories),
	        cmocka_unit_test(knows_where_a_users_files_belong),
	};
	return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
