/* SPDX-License-Identifier: MIT */
/*
 * The store when the world fails it: full disk, no permission, damage, a lock that is held, other
 * schemas, and a process killed at any moment.
 */
#include "core/store/internal.h"
#include "tests/unit/store/store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static int count_sample(void *context, const struct nova_sample_record *sample)
{
	(void)sample;
	++*(uint32_t *)context;
	return 0;
}

static uint32_t samples_of(struct fixture *fixture, const char *run)
{
	uint32_t count = 0;

	assert_done(fixture, nova_store_sample_each(fixture->store, run, 0, true, count_sample,
	                                            &count, &fixture->error));
	return count;
}

static void assert_intact(struct fixture *fixture)
{
	sqlite3_stmt *row = nova_store_query(fixture->store, "PRAGMA integrity_check", "check",
	                                     &fixture->error, "");

	assert_non_null(row);
	assert_int_equal(sqlite3_step(row), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(row, 0), "ok");
	sqlite3_finalize(row);
}

/* No byte of any file beyond `bytes` can be written: what a full disk looks like to a process. */
static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static struct nova_replicate filled(struct fixture *fixture)
{
	put_run(fixture, RUN_A, 1);
	put_step(fixture, RUN_A, 0);
	return begin_replicate(fixture, RUN_A, 0, 0, 1);
}

static void full_disk_loses_nothing_stored(void **state)
{
	struct fixture *fixture = *state;
	struct nova_replicate at = filled(fixture);
	uint32_t stored = 0;
	int code = 0;

	limit_files(200 * 1024);
	while (!code && stored < 10000) {
		struct nova_sample_record sample = some_sample(at, "m", stored, stored);

		code = nova_store_sample_put(fixture->store, RUN_A, &sample, &fixture->error);
		stored += code ? 0 : 1;
	}
	limit_files(RLIM_INFINITY);
	assert_int_equal(code, NOVA_E_FULL);
	assert_non_null(strstr(fixture->error.text, "no space left"));
	assert_non_null(strstr(fixture->error.text, fixture->path));
	assert_true(stored > 0);
	assert_int_equal(samples_of(fixture, RUN_A), stored);

	/* With space again, the same handle goes on where it stopped. */
	struct nova_sample_record sample = some_sample(at, "m", stored, 1);
	assert_done(fixture,
	            nova_store_sample_put(fixture->store, RUN_A, &sample, &fixture->error));
	fixture_reopen(fixture);
	assert_intact(fixture);
	assert_int_equal(samples_of(fixture, RUN_A), stored + 1);
}

static void full_disk_undoes_whole_transaction(void **state)
{
	struct fixture *fixture = *state;
	struct nova_replicate at = filled(fixture);
	char metric[90];
	int failed = 0;

	memset(metric, 'm', sizeof(metric) - 1);
	metric[sizeof(metric) - 1] = '\0';
	/* A cache of a few pages, so that the transaction reaches the disk before its end. */
	sqlite3_exec(fixture->store->db, "PRAGMA cache_size = 10", NULL, NULL, NULL);
	assert_done(fixture, nova_store_begin(fixture->store, &fixture->error));
	limit_files(200 * 1024);
	for (uint32_t i = 0; i < 4000; i++) {
		struct nova_sample_record sample = some_sample(at, metric, i, i);

		failed += nova_store_sample_put(fixture->store, RUN_A, &sample, NULL) != 0;
	}
	limit_files(RLIM_INFINITY);
	assert_true(failed > 0);
	assert_int_equal(nova_store_commit(fixture->store, &fixture->error), NOVA_E_FULL);
	assert_int_equal(samples_of(fixture, RUN_A), 0);
	struct nova_sample_record sample = some_sample(at, "m", 0, 1);
	assert_done(fixture,
	            nova_store_sample_put(fixture->store, RUN_A, &sample, &fixture->error));
	assert_int_equal(samples_of(fixture, RUN_A), 1);
}

static void full_database_is_reported_as_full(void **state)
{
	struct fixture *fixture = *state;
	struct nova_replicate at = filled(fixture);
	int code = 0;

	sqlite3_exec(fixture->store->db, "PRAGMA max_page_count = 40", NULL, NULL, NULL);
	for (uint32_t i = 0; !code && i < 100000; i++) {
		struct nova_sample_record sample = some_sample(at, "m", i, i);

		code = nova_store_sample_put(fixture->store, RUN_A, &sample, &fixture->error);
	}
	assert_int_equal(code, NOVA_E_FULL);
}

static void no_space_to_create_is_reported_as_full(void **state)
{
	struct fixture *fixture = *state;

	limit_files(0);
	int code = nova_store_open(fixture->path, &fixture->store, &fixture->error);
	limit_files(RLIM_INFINITY);
	assert_int_equal(code, NOVA_E_FULL);
	assert_null(fixture->store);
	fixture_open(fixture);
}

static void unwritable_directory_names_the_directory(void **state)
{
	struct fixture *fixture = *state;
	NOVA_AUTOFREE char *path = nova_format("%s/sub/n.db", fixture->directory);

	become_ordinary(fixture);
	chmod(fixture->directory, 0500);
	assert_int_equal(nova_store_open(path, &fixture->store, &fixture->error),
	                 NOVA_E_PERMISSION);
	assert_non_null(strstr(fixture->error.text, fixture->directory));
	assert_int_equal(nova_store_open(fixture->path, &fixture->store, &fixture->error),
	                 NOVA_E_PERMISSION);
	assert_non_null(strstr(fixture->error.text, fixture->path));
	chmod(fixture->directory, 0700);
	become_self();
}

static void unwritable_file_is_a_permission_problem(void **state)
{
	struct fixture *fixture = *state;

	become_ordinary(fixture);
	fixture_open(fixture);
	put_run(fixture, RUN_A, 1);
	nova_store_close(fixture->store);
	fixture->store = NULL;
	chmod(fixture->path, 0400);
	assert_int_equal(nova_store_open(fixture->path, &fixture->store, &fixture->error),
	                 NOVA_E_PERMISSION);
	assert_non_null(strstr(fixture->error.text, fixture->path));
	chmod(fixture->path, 0600);
	chmod(fixture->directory, 0500);
	assert_int_equal(nova_store_open(fixture->path, &fixture->store, &fixture->error),
	                 NOVA_E_PERMISSION);
	assert_non_null(strstr(fixture->error.text, fixture->path));
	chmod(fixture->directory, 0700);
	become_self();
}

/* As root, too: what the file system itself refuses. */
static void read_only_database_is_a_permission_problem(void **state)
{
	struct fixture *fixture = *state;
	struct nova_run_record run = some_run(RUN_A, 1);

	sqlite3_exec(fixture->store->db, "PRAGMA query_only = ON", NULL, NULL, NULL);
	assert_int_equal(nova_store_run_put(fixture->store, &run, &fixture->error),
	                 NOVA_E_PERMISSION);
	assert_non_null(strstr(fixture->error.text, "read-only"));
}

static void directory_in_place_of_file_is_refused(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(nova_store_open(fixture->directory, &fixture->store, &fixture->error) < 0,
	                 1);
	assert_non_null(strstr(fixture->error.text, fixture->directory));
	assert_int_equal(nova_store_open("/dev/null", &fixture->store, &fixture->error),
	                 NOVA_E_INVALID);
}

static void damaged_file_is_named_and_left_alone(void **state)
{
	struct fixture *fixture = *state;
	static const char garbage[] = "this is no database, however long one reads on in it";
	size_t bytes = 0;
	NOVA_AUTOFREE char *after = NULL;

	assert_done(fixture, nova_file_write(fixture->path, garbage, sizeof(garbage), 0600,
	                                     &fixture->error));
	assert_int_equal(nova_store_open(fixture->path, &fixture->store, &fixture->error),
	                 NOVA_E_IO);
	assert_non_null(strstr(fixture->error.text, "damaged"));
	after = nova_file_read(fixture->path, 4096, &bytes, &fixture->error);
	assert_int_equal(bytes, sizeof(garbage));
	assert_memory_equal(after, garbage, sizeof(garbage));
}

static void damaged_page_is_reported_when_met(void **state)
{
	struct fixture *fixture = *state;
	struct nova_replicate at = filled(fixture);
	char noise[4096];
	uint32_t count = 0;
	int code, fd;

	for (uint32_t i = 0; i < 2000; i++) {
		struct nova_sample_record sample = some_sample(at, "metric", i, i);
		assert_done(fixture, nova_store_sample_put(fixture->store, RUN_A, &sample, NULL));
	}
	nova_store_close(fixture->store);
	fixture->store = NULL;
	memset(noise, 0xa5, sizeof(noise));
	fd = open(fixture->path, O_WRONLY | O_CLOEXEC);
	/* Behind the schema, in the midst of the samples. */
	for (off_t page = 24; page < 36; page++)
		assert_int_equal(pwrite(fd, noise, sizeof(noise), page * 4096), sizeof(noise));
	close(fd);
	code = nova_store_open(fixture->path, &fixture->store, &fixture->error);
	if (!code)
		code = nova_store_sample_each(fixture->store, RUN_A, 0, true, count_sample, &count,
		                              &fixture->error);
	assert_int_equal(code, NOVA_E_IO);
	assert_non_null(strstr(fixture->error.text, "damaged"));
}

static void other_programs_database_is_left_alone(void **state)
{
	struct fixture *fixture = *state;
	sqlite3 *db = NULL;
	char mode[16] = "";
	sqlite3_stmt *row = NULL;

	sqlite3_open(fixture->path, &db);
	sqlite3_exec(db, "CREATE TABLE theirs (x)", NULL, NULL, NULL);
	assert_int_equal(nova_store_open(fixture->path, &fixture->store, &fixture->error),
	                 NOVA_E_INVALID);
	assert_non_null(strstr(fixture->error.text, "another program"));
	sqlite3_prepare_v2(db, "PRAGMA journal_mode", -1, &row, NULL);
	assert_int_equal(sqlite3_step(row), SQLITE_ROW);
	nova_store_column(row, 0, mode, sizeof(mode));
	assert_string_equal(mode, "delete");
	sqlite3_finalize(row);
	sqlite3_close(db);
}

static void lock_held_by_another_is_busy(void **state)
{
	struct fixture *fixture = *state;
	struct nova_run_record run = some_run(RUN_A, 1);
	sqlite3 *db = NULL;

	sqlite3_open(fixture->path, &db);
	sqlite3_busy_timeout(fixture->store->db, 10);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(nova_store_run_put(fixture->store, &run, &fixture->error), NOVA_E_BUSY);
	assert_non_null(strstr(fixture->error.text, "locked"));
	assert_int_equal(nova_store_begin(fixture->store, &fixture->error), NOVA_E_BUSY);
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(db);
	put_run(fixture, RUN_A, 1);
}

static void newer_schema_is_refused_and_left_alone(void **state)
{
	struct fixture *fixture = *state;

	put_run(fixture, RUN_A, 1);
	sqlite3_exec(fixture->store->db, "PRAGMA user_version = 999", NULL, NULL, NULL);
	nova_store_close(fixture->store);
	fixture->store = NULL;
	assert_int_equal(nova_store_open(fixture->path, &fixture->store, &fixture->error),
	                 NOVA_E_UNSUPPORTED);
	assert_non_null(strstr(fixture->error.text, "newer novacore"));
	assert_non_null(strstr(fixture->error.text, "999"));
}

static int number_of(struct fixture *fixture, const char *sql)
{
	int number = -1;
	sqlite3_stmt *row = nova_store_query(fixture->store, sql, "look", &fixture->error, "");

	if (row && sqlite3_step(row) == SQLITE_ROW)
		number = sqlite3_column_int(row, 0);
	sqlite3_finalize(row);
	return number;
}

static void older_schema_is_migrated_with_its_data(void **state)
{
	struct fixture *fixture = *state;
	const int now = nova_store_migrations[nova_store_migration_count - 1].to;
	const struct nova_migration future[] = {
	        nova_store_migrations[0],
	        {now + 1, "ALTER TABLE run ADD COLUMN label TEXT NOT NULL DEFAULT 'none'"},
	        {now + 2, "CREATE TABLE extra (x INTEGER) STRICT; INSERT INTO extra VALUES (42);"}};
	struct nova_run_record back;

	put_run(fixture, RUN_A, 1);
	assert_done(fixture, nova_store_migrate(fixture->store, future, 3, &fixture->error));
	assert_int_equal(number_of(fixture, "PRAGMA user_version"), now + 2);
	assert_int_equal(number_of(fixture, "SELECT x FROM extra"), 42);
	assert_int_equal(number_of(fixture, "SELECT label = 'none' FROM run"), 1);
	assert_done(fixture, nova_store_run_get(fixture->store, RUN_A, &back, &fixture->error));
	nova_run_record_clear(&back);
	/* Again: nothing to do, nothing done twice. */
	assert_done(fixture, nova_store_migrate(fixture->store, future, 3, &fixture->error));
	assert_int_equal(number_of(fixture, "SELECT count(*) FROM extra"), 1);
}

static int see_old(void *context, const struct nova_sample_record *sample)
{
	assert_true(sample->status == 2 && !sample->why && !sample->at.order);
	++*(int *)context;
	return 0;
}

static int see_old_replicate(void *context, const struct nova_replicate *replicate,
                             const char *state, const uint32_t counts[4], const char *why)
{
	(void)counts;
	assert_true(!replicate->order && !why && !strcmp(state, "done"));
	++*(int *)context;
	return 0;
}

/* What was stored before there was a reason for a sample, or an order. */
static void reads_what_the_first_schema_holds(void **state)
{
	static const char contents[] =
	        "PRAGMA application_id = 1313822273; PRAGMA user_version = 1;"
	        "INSERT INTO run VALUES (1, '" RUN_A
	        "', 'dev', 'complete', 1, 1, 2, 0, 0, '', NULL, "
	        "NULL, NULL, NULL, NULL);"
	        "INSERT INTO step VALUES (1, 0, 'h', 'lifecycle', 'done', NULL, 7, '[0]', '{}', 1, "
	        "2);"
	        "INSERT INTO replicate VALUES (1, 0, 0, 1, 1, 'done', 1, 0, 1, 0, NULL);"
	        "INSERT INTO sample VALUES (1, 0, 0, 1, 1, 1, 'm', 0, 2, NULL, 5, 0, 0);";
	struct fixture *fixture = *state;
	int samples = 0, replicates = 0;
	sqlite3 *old;

	assert_int_equal(sqlite3_open(fixture->path, &old), SQLITE_OK);
	assert_int_equal(sqlite3_exec(old, nova_store_migrations[0].sql, NULL, NULL, NULL),
	                 SQLITE_OK);
	assert_int_equal(sqlite3_exec(old, contents, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(old);
	fixture_open(fixture);
	assert_done(fixture, nova_store_sample_each(fixture->store, RUN_A, 0, true, see_old,
	                                            &samples, &fixture->error));
	assert_done(fixture, nova_store_replicate_each(fixture->store, RUN_A, 0, see_old_replicate,
	                                               &replicates, &fixture->error));
	assert_true(samples == 1 && replicates == 1);
	assert_int_equal(number_of(fixture, "SELECT stopped IS NULL FROM step"), 1);
}

static void failed_migration_leaves_everything_as_it_was(void **state)
{
	struct fixture *fixture = *state;
	const int now = nova_store_migrations[nova_store_migration_count - 1].to;
	const struct nova_migration broken[] = {
	        nova_store_migrations[0],
	        {now + 1, "CREATE TABLE half (x INTEGER) STRICT"},
	        {now + 2, "INSERT INTO half VALUES (1); INSERT INTO nowhere VALUES (1);"}};
	NOVA_AUTOFREE char *named = nova_format("schema %d", now + 2);

	put_run(fixture, RUN_A, 1);
	assert_true(nova_store_migrate(fixture->store, broken, 3, &fixture->error) < 0);
	assert_non_null(strstr(fixture->error.text, named));
	assert_int_equal(number_of(fixture, "PRAGMA user_version"), now);
	assert_int_equal(
	        number_of(fixture, "SELECT count(*) FROM sqlite_schema WHERE name = 'half'"), 0);
	assert_int_equal(number_of(fixture, "SELECT count(*) FROM run"), 1);
}

static void settings_are_the_durable_ones(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(number_of(fixture, "PRAGMA synchronous"), 2);
	assert_int_equal(number_of(fixture, "PRAGMA foreign_keys"), 1);
	assert_int_equal(number_of(fixture, "SELECT count(*) FROM pragma_table_list WHERE "
	                                    "schema = 'main' AND NOT strict "
	                                    "AND name NOT LIKE 'sqlite%'"),
	                 0);
}

static void audit_log_cannot_be_changed(void **state)
{
	struct fixture *fixture = *state;

	assert_done(fixture, nova_store_audit(fixture->store, RUN_A, "t", "vm_delete", "x", 0, 1,
	                                      &fixture->error));
	assert_int_not_equal(
	        sqlite3_exec(fixture->store->db, "DELETE FROM audit", NULL, NULL, NULL), SQLITE_OK);
	assert_int_not_equal(
	        sqlite3_exec(fixture->store->db, "UPDATE audit SET call = 'x'", NULL, NULL, NULL),
	        SQLITE_OK);
}

/* The child: stores samples, says after each that it is stored, until it is killed. */
static void write_until_killed(const char *path, int acknowledge)
{
	struct nova_store *store;
	struct nova_replicate at = {0, 0, NOVA_SIDE_VM, 1, 0};

	if (nova_store_open(path, &store, NULL))
		_exit(1);
	for (uint32_t i = 0;; i++) {
		struct nova_sample_record sample = some_sample(at, "m", i, i);

		if (nova_store_sample_put(store, RUN_A, &sample, NULL) ||
		    write(acknowledge, &i, sizeof(i)) != (ssize_t)sizeof(i))
			_exit(2);
	}
}

static void killed_writer_loses_at_most_the_sample_in_flight(void **state)
{
	struct fixture *fixture = *state;
	unsigned seed = (unsigned)time(NULL);

	print_message("seed %u\n", seed);
	for (int round = 0; round < 8; round++) {
		int pipes[2], status;
		uint32_t last, acknowledged = 0;

		filled(fixture);
		nova_store_close(fixture->store);
		fixture->store = NULL;
		assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
		pid_t child = fork();
		if (child == 0)
			write_until_killed(fixture->path, pipes[1]);
		close(pipes[1]);
		/* Once it is writing, after a random while. */
		assert_int_equal(read(pipes[0], &last, sizeof(last)), sizeof(last));
		usleep((unsigned)rand_r(&seed) % 60000);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		acknowledged = 1;
		while (read(pipes[0], &last, sizeof(last)) == (ssize_t)sizeof(last))
			acknowledged++;
		close(pipes[0]);
		fixture_open(fixture);
		assert_intact(fixture);
		assert_in_range(samples_of(fixture, RUN_A), acknowledged, acknowledged + 1);
		assert_done(fixture, nova_store_run_delete(fixture->store, RUN_A, &fixture->error));
	}
}

static void two_processes_create_one_store(void **state)
{
	struct fixture *fixture = *state;
	int status;
	pid_t children[4];

	for (size_t i = 0; i < NOVA_COUNT(children); i++) {
		children[i] = fork();
		if (children[i] == 0) {
			struct nova_store *store;
			char id[37];
			int code = nova_store_open(fixture->path, &store, &fixture->error);

			nova_uuid7(id);
			struct nova_run_record run = some_run(id, 1);
			if (!code)
				code = nova_store_run_put(store, &run, &fixture->error);
			if (code)
				print_message("%s\n", fixture->error.text);
			_exit(code ? 1 : 0);
		}
	}
	for (size_t i = 0; i < NOVA_COUNT(children); i++) {
		waitpid(children[i], &status, 0);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	fixture_open(fixture);
	assert_int_equal(number_of(fixture, "SELECT count(*) FROM run"), NOVA_COUNT(children));
	assert_int_equal(number_of(fixture, "SELECT count(*) FROM meta"), 1);
}

int main(void)
{
#define CLOSED(test) cmocka_unit_test_setup_teardown(test, fixture_setup_closed, fixture_teardown)
#define FRESH(test)  cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	        FRESH(full_disk_loses_nothing_stored),
	        FRESH(full_disk_undoes_whole_transaction),
	        FRESH(full_database_is_reported_as_full),
	        CLOSED(no_space_to_create_is_reported_as_full),
	        CLOSED(unwritable_directory_names_the_directory),
	        CLOSED(unwritable_file_is_a_permission_problem),
	        FRESH(read_only_database_is_a_permission_problem),
	        CLOSED(directory_in_place_of_file_is_refused),
	        CLOSED(damaged_file_is_named_and_left_alone),
	        FRESH(damaged_page_is_reported_when_met),
	        CLOSED(other_programs_database_is_left_alone),
	        FRESH(lock_held_by_another_is_busy),
	        FRESH(newer_schema_is_refused_and_left_alone),
	        FRESH(older_schema_is_migrated_with_its_data),
	        CLOSED(reads_what_the_first_schema_holds),
	        FRESH(failed_migration_leaves_everything_as_it_was),
	        FRESH(settings_are_the_durable_ones),
	        FRESH(audit_log_cannot_be_changed),
	        FRESH(killed_writer_loses_at_most_the_sample_in_flight),
	        CLOSED(two_processes_create_one_store),
	};

	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests_name("store faults", tests, NULL, NULL);
}
