/* SPDX-License-Identifier: MIT */
/*
 * The store's handle: opening with durable settings, transactions, running statements, and turning
 * SQLite's codes into ours with a sentence. What the tables hold is in the files beside this one.
 */
#include "core/store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUSY_MS 5000

static const char *const texts[NOVA_SQL_COUNT] = {
        [NOVA_SQL_BEGIN] = "BEGIN IMMEDIATE",
        [NOVA_SQL_COMMIT] = "COMMIT",
        [NOVA_SQL_ROLLBACK] = "ROLLBACK",
        [NOVA_SQL_RUN_KEY] = "SELECT key FROM run WHERE id = ?",
        [NOVA_SQL_RUN_PUT] =
                "INSERT INTO run (id, profile, state, seed, started_utc_ns, ended_utc_ns,"
                " anchor_monotonic_ns, anchor_utc_ns, boot_id, plan, wherefacts, whatfacts,"
                " targets, skipped) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET profile = excluded.profile,"
                " state = excluded.state, seed = excluded.seed,"
                " started_utc_ns = excluded.started_utc_ns,"
                " ended_utc_ns = excluded.ended_utc_ns,"
                " anchor_monotonic_ns = excluded.anchor_monotonic_ns,"
                " anchor_utc_ns = excluded.anchor_utc_ns, boot_id = excluded.boot_id,"
                " plan = coalesce(excluded.plan, plan),"
                " wherefacts = coalesce(excluded.wherefacts, wherefacts),"
                " whatfacts = coalesce(excluded.whatfacts, whatfacts),"
                " targets = coalesce(excluded.targets, targets),"
                " skipped = coalesce(excluded.skipped, skipped)",
        [NOVA_SQL_RUN_DELETE] = "DELETE FROM run WHERE key = ?",
        [NOVA_SQL_STEP_PUT] =
                "INSERT INTO step VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, 0))"
                " ON CONFLICT (run, step) DO UPDATE SET hash = excluded.hash,"
                " benchmark = excluded.benchmark, state = excluded.state, why = excluded.why,"
                " order_seed = excluded.order_seed, targets = coalesce(excluded.targets, targets),"
                " params = coalesce(excluded.params, params),"
                " started_utc_ns = excluded.started_utc_ns, ended_utc_ns = excluded.ended_utc_ns,"
                " stopped = excluded.stopped, estimate_ns = excluded.estimate_ns",
        [NOVA_SQL_REPLICATE_BEGIN] =
                "INSERT INTO replicate (run, step, replicate, attempt, side, sequence, state)"
                " VALUES (?, ?, ?, ?, ?, nullif(?, 0), 'running')",
        [NOVA_SQL_REPLICATE_END] =
                "UPDATE replicate SET state = ?6, attempted = ?7, succeeded = ?8, failed = ?9,"
                " timed_out = ?10, why = ?11 WHERE run = ?1 AND step = ?2 AND replicate = ?3"
                " AND attempt = ?4 AND side = ?5",
        [NOVA_SQL_SUPERSEDE] = "UPDATE replicate SET state = 'superseded'"
                               " WHERE run = ? AND state = 'running'",
        [NOVA_SQL_SAMPLE_PUT] = "INSERT INTO sample"
                                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [NOVA_SQL_JOURNAL_INTEND] = "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
        [NOVA_SQL_JOURNAL_ID] = "UPDATE journal SET id = ?2 WHERE name = ?1",
        [NOVA_SQL_JOURNAL_GONE] =
                "UPDATE journal SET gone_utc_ns = coalesce(gone_utc_ns, ?2) WHERE name = ?1",
        [NOVA_SQL_JOURNAL_TARGET] = "UPDATE journal SET target = ?2 WHERE name = ?1",
        [NOVA_SQL_JOURNAL_NEXT] = "SELECT coalesce(max(number) + 1, 0) FROM journal WHERE run = ?",
        [NOVA_SQL_AUDIT] =
                "INSERT INTO audit (utc_ns, run, target, call, object, status, duration_ns)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [NOVA_SQL_FACT_PUT] = "INSERT INTO fact VALUES (?, ?)"
                              " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        [NOVA_SQL_FACT_DELETE] = "DELETE FROM fact WHERE key = ?",
};

/* --- errors ---------------------------------------------------------------------------------- */

static bool means_full(int number)
{
	return number == ENOSPC || number == EDQUOT || number == EFBIG;
}

/*
 * The errno behind a failure. sqlite3_system_errno() does not know it when a commit fails, then the
 * files themselves do: the log first, for it is what is written.
 */
static int system_errno(sqlite3 *db)
{
	static const int files[] = {SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER};
	int number = sqlite3_system_errno(db);

	for (size_t i = 0; !number && i < NOVA_COUNT(files); i++) {
		sqlite3_file *file = NULL;

		sqlite3_file_control(db, "main", files[i], &file);
		if (file && file->pMethods)
			file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &number);
	}
	return number;
}

static int fail_constraint(struct nova_store *store, int extended, const char *doing,
                           struct nova_error *error)
{
	switch (extended) {
	case SQLITE_CONSTRAINT_PRIMARYKEY:
	case SQLITE_CONSTRAINT_UNIQUE:
		return nova_error_set(error, NOVA_E_EXISTS, "cannot %s in %s: it is there already",
		                      doing, store->path);
	case SQLITE_CONSTRAINT_FOREIGNKEY:
		return nova_error_set(
		        error, NOVA_E_NOT_FOUND,
		        "cannot %s in %s: the run, step or replicate it belongs to is not there",
		        doing, store->path);
	default:
		return nova_error_set(error, NOVA_E_INVALID, "cannot %s in %s: %s", doing,
		                      store->path, sqlite3_errmsg(store->db));
	}
}

static int describe(struct nova_store *store, int result, const char *doing,
                    struct nova_error *error)
{
	int extended = store->db ? sqlite3_extended_errcode(store->db) : result;
	int number = store->db ? system_errno(store->db) : 0;
	const char *message = store->db ? sqlite3_errmsg(store->db) : sqlite3_errstr(result);
	int primary = result & 0xff;

	if (primary == SQLITE_FULL || extended == SQLITE_IOERR_SHMSIZE ||
	    ((primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) && means_full(number)))
		return nova_error_set(error, NOVA_E_FULL,
		                      "cannot %s: no space left for %s; nothing stored is lost, "
		                      "free some space and go on",
		                      doing, store->path);
	switch (primary) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return nova_error_set(error, NOVA_E_BUSY,
		                      "cannot %s: %s stayed locked by another process for %d s; "
		                      "wait for it to end and try again",
		                      doing, store->path, BUSY_MS / 1000);
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return nova_error_set(error, NOVA_E_PERMISSION,
		                      "cannot %s: %s or its directory is read-only; make both "
		                      "writable to this user",
		                      doing, store->path);
	case SQLITE_CANTOPEN:
		return nova_error_set(error,
		                      number == EACCES || number == EPERM || number == EROFS
		                              ? NOVA_E_PERMISSION
		                              : NOVA_E_IO,
		                      "cannot %s: %s cannot be opened (%s)", doing, store->path,
		                      number ? strerror(number) : message);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return nova_error_set(error, NOVA_E_IO,
		                      "cannot %s: %s is damaged (%s); move it away, or put a good "
		                      "copy in its place",
		                      doing, store->path, message);
	case SQLITE_CONSTRAINT: return fail_constraint(store, extended, doing, error);
	case SQLITE_IOERR:
		return nova_error_set(error, NOVA_E_IO,
		                      "cannot %s: reading or writing %s failed (%s)", doing,
		                      store->path, number ? strerror(number) : message);
	default:
		return nova_error_set(error, NOVA_E_INTERNAL, "cannot %s in %s: %s", doing,
		                      store->path, message);
	}
}

int nova_store_fail(struct nova_store *store, int result, const char *doing,
                    struct nova_error *error)
{
	struct nova_error local = {0};
	int code = describe(store, result, doing, &local);

	/* After these SQLite may have undone the whole transaction by itself: none of it may be
	 * taken for stored. */
	if (store->in_transaction && (code == NOVA_E_FULL || code == NOVA_E_IO ||
	                              code == NOVA_E_BUSY || code == NOVA_E_PERMISSION))
		store->broken = local;
	return nova_error_set(error, code, "%s", local.text);
}

/* --- statements ------------------------------------------------------------------------------ */

static int bind_json(sqlite3_stmt *statement, int at, const json_t *json)
{
	NOVA_AUTOFREE char *text = NULL;

	if (!json)
		return sqlite3_bind_null(statement, at);
	text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
	if (!text)
		return SQLITE_NOMEM;
	return sqlite3_bind_text(statement, at, text, -1, SQLITE_TRANSIENT);
}

static int bind_all(sqlite3_stmt *statement, const char *types, va_list arguments)
{
	int result = SQLITE_OK;

	for (int at = 1; *types && result == SQLITE_OK; types++, at++) {
		const char *text;
		double number;

		switch (*types) {
		case 'i':
			result = sqlite3_bind_int64(statement, at, va_arg(arguments, int64_t));
			break;
		case 'd':
			number = va_arg(arguments, double);
			result = isnan(number) ? sqlite3_bind_null(statement, at)
			                       : sqlite3_bind_double(statement, at, number);
			break;
		case 'j':
			result = bind_json(statement, at, va_arg(arguments, const json_t *));
			break;
		default:
			text = va_arg(arguments, const char *);
			result = sqlite3_bind_text(statement, at, text, -1, SQLITE_TRANSIENT);
			break;
		}
	}
	return result;
}

static int step_kept(struct nova_store *store, enum nova_statement which, const char *types,
                     va_list arguments)
{
	int result = SQLITE_OK;

	if (!store->kept[which])
		result = sqlite3_prepare_v3(store->db, texts[which], -1, SQLITE_PREPARE_PERSISTENT,
		                            &store->kept[which], NULL);
	if (result == SQLITE_OK)
		result = bind_all(store->kept[which], types, arguments);
	return result == SQLITE_OK ? sqlite3_step(store->kept[which]) : result;
}

/* SQLite may have ended the transaction: what is written now would be stored on its own. */
static int refuse_broken(struct nova_store *store, struct nova_error *error)
{
	if (!store->broken.code)
		return 0;
	return nova_error_set(error, store->broken.code, "%s", store->broken.text);
}

int nova_store_run_kept(struct nova_store *store, enum nova_statement which, const char *doing,
                        struct nova_error *error, const char *types, ...)
{
	va_list arguments;
	int result, code = refuse_broken(store, error);

	if (code)
		return code;
	va_start(arguments, types);
	result = step_kept(store, which, types, arguments);
	va_end(arguments);
	if (result != SQLITE_DONE)
		code = nova_store_fail(store, result, doing, error);
	sqlite3_reset(store->kept[which]);
	return code;
}

int nova_store_one_kept(struct nova_store *store, enum nova_statement which, const char *doing,
                        int64_t *value, struct nova_error *error, const char *types, ...)
{
	va_list arguments;
	int result, code = 0;

	va_start(arguments, types);
	result = step_kept(store, which, types, arguments);
	va_end(arguments);
	if (result == SQLITE_ROW)
		*value = sqlite3_column_int64(store->kept[which], 0);
	else if (result == SQLITE_DONE)
		code = NOVA_E_NOT_FOUND;
	else
		code = nova_store_fail(store, result, doing, error);
	sqlite3_reset(store->kept[which]);
	return code;
}

sqlite3_stmt *nova_store_query(struct nova_store *store, const char *sql, const char *doing,
                               struct nova_error *error, const char *types, ...)
{
	sqlite3_stmt *statement = NULL;
	va_list arguments;
	int result = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);

	if (result == SQLITE_OK) {
		va_start(arguments, types);
		result = bind_all(statement, types, arguments);
		va_end(arguments);
	}
	if (result == SQLITE_OK)
		return statement;
	nova_store_fail(store, result, doing, error);
	sqlite3_finalize(statement);
	return NULL;
}

void nova_store_column(sqlite3_stmt *row, int column, char *out, size_t room)
{
	const char *text = (const char *)sqlite3_column_text(row, column);

	snprintf(out, room, "%s", text ? text : "");
}

char *nova_store_column_dup(sqlite3_stmt *row, int column)
{
	return nova_strdup((const char *)sqlite3_column_text(row, column));
}

json_t *nova_store_column_json(sqlite3_stmt *row, int column)
{
	const char *text = (const char *)sqlite3_column_text(row, column);

	return text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
}

/* --- opening --------------------------------------------------------------------------------- */

/* Made by us, not by SQLite, so that the file is never readable to others, not even for a moment.
 */
static int create_file(const char *path, struct nova_error *error)
{
	NOVA_AUTOCLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	struct stat status;

	if (fd < 0)
		return nova_error_errno(error, "cannot open or create the database %s", path);
	if (fstat(fd, &status))
		return nova_error_errno(error, "cannot examine the database %s", path);
	if (!S_ISREG(status.st_mode))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "%s is not a file and cannot be the database", path);
	return 0;
}

static int create_place(const char *path, struct nova_error *error)
{
	NOVA_AUTOFREE char *directory = nova_strdup(path);
	char *slash = strrchr(directory, '/');

	if (slash && slash != directory) {
		*slash = '\0';
		int code = nova_directory_make(directory, 0755, error);
		if (code)
			return code;
	}
	return create_file(path, error);
}

/* SQLite does not wait by itself while another process switches the file to WAL. */
static int exec_waiting(struct nova_store *store, const char *sql, struct nova_error *error)
{
	int result, waited = 0;

	while ((result = sqlite3_exec(store->db, sql, NULL, NULL, NULL)) != SQLITE_OK &&
	       (result & 0xff) == SQLITE_BUSY && waited < BUSY_MS)
		waited += sqlite3_sleep(20);
	return result == SQLITE_OK ? 0 : nova_store_fail(store, result, "open the database", error);
}

static int configure(struct nova_store *store, struct nova_error *error)
{
	/* FULL in WAL mode: the log is synced at each commit, so that an acknowledged commit
	 * survives a power cut (sqlite.org/pragma.html#pragma_synchronous). */
	static const char *const pragmas[] = {
	        "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL",
	        "PRAGMA foreign_keys = ON", "PRAGMA trusted_schema = OFF"};
	int code;

	sqlite3_extended_result_codes(store->db, 1);
	sqlite3_busy_timeout(store->db, BUSY_MS);
	code = nova_store_check_ours(store, error);
	for (size_t i = 0; !code && i < NOVA_COUNT(pragmas); i++)
		code = exec_waiting(store, pragmas[i], error);
	return code;
}

static int read_installation(struct nova_store *store, struct nova_error *error)
{
	sqlite3_stmt *row =
	        nova_store_query(store, "SELECT value FROM meta WHERE key = 'installation'",
	                         "open the database", error, "");

	if (!row)
		return error->code;
	if (sqlite3_step(row) == SQLITE_ROW)
		nova_store_column(row, 0, store->installation, sizeof(store->installation));
	sqlite3_finalize(row);
	if (strlen(store->installation) != 8)
		return nova_error_set(
		        error, NOVA_E_IO,
		        "%s is damaged: it has lost the id of this installation; move "
		        "it away, or put a good copy in its place",
		        store->path);
	return 0;
}

int nova_store_open(const char *path, struct nova_store **out, struct nova_error *error)
{
	struct nova_error local = {0};
	struct nova_store *store = nova_alloc(sizeof(*store));
	int code;

	*out = NULL;
	error = error ? error : &local;
	store->path = path ? nova_strdup(path) : nova_place(NOVA_PLACE_STATE, "novacore.db");
	code = create_place(store->path, error);
	if (!code) {
		int result = sqlite3_open_v2(store->path, &store->db,
		                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
		if (result != SQLITE_OK)
			code = nova_store_fail(store, result, "open the database", error);
	}
	if (!code)
		code = configure(store, error);
	if (!code)
		code = nova_store_migrate(store, nova_store_migrations, nova_store_migration_count,
		                          error);
	if (!code)
		code = read_installation(store, error);
	if (code) {
		nova_store_close(store);
		return code;
	}
	*out = store;
	return 0;
}

void nova_store_close(struct nova_store *store)
{
	if (!store)
		return;
	nova_store_rollback(store);
	for (size_t i = 0; i < NOVA_COUNT(store->kept); i++)
		sqlite3_finalize(store->kept[i]);
	sqlite3_close_v2(store->db);
	free(store->path);
	free(store);
}

const char *nova_store_installation(const struct nova_store *store)
{
	return store->installation;
}

/* --- transactions ---------------------------------------------------------------------------- */

int nova_store_begin(struct nova_store *store, struct nova_error *error)
{
	int code;

	if (store->in_transaction)
		return nova_error_set(error, NOVA_E_INTERNAL,
		                      "a transaction on %s has begun already", store->path);
	code = nova_store_run_kept(store, NOVA_SQL_BEGIN, "begin a transaction", error, "");
	store->in_transaction = !code;
	return code;
}

int nova_store_commit(struct nova_store *store, struct nova_error *error)
{
	int code;

	if (!store->in_transaction)
		return nova_error_set(error, NOVA_E_INTERNAL, "no transaction on %s has begun",
		                      store->path);
	if (store->broken.code) {
		code = nova_error_set(error, store->broken.code, "%s", store->broken.text);
		nova_store_rollback(store);
		return code;
	}
	code = nova_store_run_kept(store, NOVA_SQL_COMMIT, "commit", error, "");
	if (code)
		nova_store_rollback(store);
	store->in_transaction = false;
	return code;
}

void nova_store_rollback(struct nova_store *store)
{
	if (!store->in_transaction)
		return;
	store->in_transaction = false;
	store->broken.code = 0;
	store->cached_run[0] = '\0'; /* may have been inserted by what is undone */
	if (!sqlite3_get_autocommit(store->db))
		nova_store_run_kept(store, NOVA_SQL_ROLLBACK, "undo a transaction", NULL, "");
}
