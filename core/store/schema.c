/* SPDX-License-Identifier: MIT */
/*
 * The tables, as a list of migrations. A published migration is never edited: a change is a new
 * entry at the end. Keys and states are checked by SQLite too, so that no bug above stores
 * nonsense.
 */
#include "core/store/internal.h"

/* "NOVA": tells our files from other SQLite databases (the file format's application id). */
#define APPLICATION_ID 0x4e4f5641

static const char version_1[] =
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
        "INSERT INTO meta VALUES ('installation', lower(hex(randomblob(4))));"
        "CREATE TABLE run ("
        " key INTEGER PRIMARY KEY,"
        " id TEXT NOT NULL UNIQUE CHECK (length(id) = 36),"
        " profile TEXT NOT NULL,"
        " state TEXT NOT NULL CHECK (state IN ('running', 'complete', 'interrupted', 'failed')),"
        " seed INTEGER NOT NULL,"
        " started_utc_ns INTEGER NOT NULL, ended_utc_ns INTEGER NOT NULL,"
        " anchor_monotonic_ns INTEGER NOT NULL, anchor_utc_ns INTEGER NOT NULL,"
        " boot_id TEXT NOT NULL,"
        " plan TEXT, wherefacts TEXT, whatfacts TEXT, targets TEXT, skipped TEXT) STRICT;"
        "CREATE INDEX run_started ON run (started_utc_ns);"
        "CREATE TABLE step ("
        " run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,"
        " step INTEGER NOT NULL CHECK (step >= 0),"
        " hash TEXT NOT NULL, benchmark TEXT NOT NULL,"
        " state TEXT NOT NULL CHECK (state IN"
        "  ('planned', 'running', 'done', 'failed', 'skipped', 'lost')),"
        " why TEXT, order_seed INTEGER NOT NULL, targets TEXT, params TEXT,"
        " started_utc_ns INTEGER NOT NULL, ended_utc_ns INTEGER NOT NULL,"
        " PRIMARY KEY (run, step)) STRICT, WITHOUT ROWID;"
        "CREATE TABLE replicate ("
        " run INTEGER NOT NULL, step INTEGER NOT NULL, replicate INTEGER NOT NULL,"
        " attempt INTEGER NOT NULL CHECK (attempt >= 1),"
        " side INTEGER NOT NULL CHECK (side BETWEEN 1 AND 4),"
        " state TEXT NOT NULL CHECK (state IN"
        "  ('running', 'done', 'failed', 'superseded', 'warmup')),"
        " attempted INTEGER NOT NULL DEFAULT 0, succeeded INTEGER NOT NULL DEFAULT 0,"
        " failed INTEGER NOT NULL DEFAULT 0, timed_out INTEGER NOT NULL DEFAULT 0, why TEXT,"
        " PRIMARY KEY (run, step, replicate, attempt, side),"
        " FOREIGN KEY (run, step) REFERENCES step (run, step) ON DELETE CASCADE)"
        " STRICT, WITHOUT ROWID;"
        "CREATE TABLE sample ("
        " run INTEGER NOT NULL, step INTEGER NOT NULL, replicate INTEGER NOT NULL,"
        " attempt INTEGER NOT NULL, side INTEGER NOT NULL, vm INTEGER NOT NULL,"
        " metric TEXT NOT NULL, seq INTEGER NOT NULL,"
        " status INTEGER NOT NULL CHECK (status BETWEEN 1 AND 3),"
        " value REAL CHECK ((status = 1) = (value IS NOT NULL)),"
        " t_ns INTEGER NOT NULL, intended_ns INTEGER NOT NULL, error_ns INTEGER NOT NULL,"
        " PRIMARY KEY (run, step, replicate, attempt, side, vm, metric, seq),"
        " FOREIGN KEY (run, step, replicate, attempt, side)"
        "  REFERENCES replicate (run, step, replicate, attempt, side) ON DELETE CASCADE)"
        " STRICT, WITHOUT ROWID;"
        "CREATE TABLE journal ("
        " name TEXT PRIMARY KEY,"
        " run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,"
        " number INTEGER NOT NULL,"
        " kind TEXT NOT NULL CHECK (kind IN ('vm', 'net', 'image')),"
        " id TEXT, target TEXT,"
        " intended_utc_ns INTEGER NOT NULL, gone_utc_ns INTEGER) STRICT, WITHOUT ROWID;"
        "CREATE INDEX journal_left ON journal (run, number) WHERE gone_utc_ns IS NULL;"
        "CREATE INDEX journal_run ON journal (run, number);"
        /* No reference to run: what was done to a hypervisor stays known. */
        "CREATE TABLE audit ("
        " key INTEGER PRIMARY KEY, utc_ns INTEGER NOT NULL, run TEXT NOT NULL,"
        " target TEXT, call TEXT NOT NULL, object TEXT,"
        " status INTEGER NOT NULL, duration_ns INTEGER NOT NULL) STRICT;"
        "CREATE INDEX audit_run ON audit (run);"
        "CREATE TRIGGER audit_kept BEFORE DELETE ON audit"
        " BEGIN SELECT raise(ABORT, 'the audit log only grows'); END;"
        "CREATE TRIGGER audit_fixed BEFORE UPDATE ON audit"
        " BEGIN SELECT raise(ABORT, 'the audit log only grows'); END;"
        "CREATE TABLE fact (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;";

/* Why a sample failed; the order in which a step's replicates ran; why a step stopped and what it
 * had been thought to take. What older runs do not know stays NULL. */
static const char version_2[] = "ALTER TABLE sample ADD COLUMN why TEXT;"
                                "ALTER TABLE replicate ADD COLUMN sequence INTEGER;"
                                "ALTER TABLE step ADD COLUMN stopped TEXT"
                                " CHECK (stopped IN ('samples', 'precision', 'budget'));"
                                "ALTER TABLE step ADD COLUMN estimate_ns INTEGER;";

/*
 * Baselines, acknowledgements, and what steps amount to: `measured` and `reduced` can be computed
 * from the samples at any time, and are kept so that ten thousand runs can be looked at without
 * reading all of their samples.
 */
static const char version_3[] =
        "CREATE TABLE baseline ("
        " key INTEGER PRIMARY KEY, name TEXT NOT NULL, wherehash TEXT NOT NULL,"
        " made_utc_ns INTEGER NOT NULL, UNIQUE (name, wherehash)) STRICT;"
        /* No cascade from run: a baseline's run is not deleted by accident. */
        "CREATE TABLE baseline_run ("
        " baseline INTEGER NOT NULL REFERENCES baseline (key) ON DELETE CASCADE,"
        " run INTEGER NOT NULL REFERENCES run (key),"
        " PRIMARY KEY (baseline, run)) STRICT, WITHOUT ROWID;"
        "CREATE INDEX baseline_run_run ON baseline_run (run);"
        "CREATE TABLE acknowledgement ("
        " id TEXT PRIMARY KEY, kind TEXT NOT NULL CHECK (kind IN ('change', 'regression')),"
        " series TEXT NOT NULL, metric TEXT NOT NULL, run TEXT NOT NULL,"
        " began_utc_ns INTEGER NOT NULL, shift REAL NOT NULL, why TEXT NOT NULL,"
        " made_utc_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
        "CREATE TABLE measured ("
        " run INTEGER NOT NULL, step INTEGER NOT NULL, measurement TEXT NOT NULL,"
        " wherehash TEXT NOT NULL, host TEXT NOT NULL, accel TEXT NOT NULL,"
        " targets TEXT NOT NULL, simulated INTEGER NOT NULL,"
        " PRIMARY KEY (run, step),"
        " FOREIGN KEY (run, step) REFERENCES step (run, step) ON DELETE CASCADE)"
        " STRICT, WITHOUT ROWID;"
        "CREATE TABLE reduced ("
        " metric TEXT NOT NULL, side INTEGER NOT NULL CHECK (side BETWEEN 1 AND 4),"
        " run INTEGER NOT NULL, step INTEGER NOT NULL,"
        " revision INTEGER NOT NULL, unit TEXT NOT NULL, better TEXT NOT NULL,"
        " source TEXT NOT NULL, n INTEGER NOT NULL, attempted INTEGER NOT NULL,"
        " value REAL, low REAL, high REAL,"
        " PRIMARY KEY (metric, side, run, step),"
        " FOREIGN KEY (run, step) REFERENCES measured (run, step) ON DELETE CASCADE)"
        " STRICT, WITHOUT ROWID;"
        "CREATE INDEX reduced_step ON reduced (run, step);";

const struct nova_migration nova_store_migrations[] = {
        {1, version_1},
        {2, version_2},
        {3, version_3},
};
const size_t nova_store_migration_count = NOVA_COUNT(nova_store_migrations);

static int pragma_number(struct nova_store *store, const char *pragma, int *value,
                         struct nova_error *error)
{
	sqlite3_stmt *row = nova_store_query(store, pragma, "read its version", error, "");

	if (!row)
		return error->code;
	int result = sqlite3_step(row);
	if (result == SQLITE_ROW)
		*value = sqlite3_column_int(row, 0);
	sqlite3_finalize(row);
	return result == SQLITE_ROW ? 0 : nova_store_fail(store, result, "read its version", error);
}

static int exec(struct nova_store *store, const char *sql, const char *doing,
                struct nova_error *error)
{
	int result = sqlite3_exec(store->db, sql, NULL, NULL, NULL);

	return result == SQLITE_OK ? 0 : nova_store_fail(store, result, doing, error);
}

/*
 * Version 0 without tables is a new file; version 0 with tables, or another id, is not ours. One
 * statement, for another process may be creating the file just now.
 */
int nova_store_check_ours(struct nova_store *store, struct nova_error *error)
{
	int ours = 0;
	NOVA_AUTOFREE char *sql = nova_format(
	        "SELECT application_id = %d OR (application_id = 0 AND user_version = 0 AND "
	        "(SELECT count(*) FROM sqlite_schema) = 0) "
	        "FROM pragma_application_id, pragma_user_version",
	        APPLICATION_ID);
	int code = pragma_number(store, sql, &ours, error);

	if (code || ours)
		return code;
	return nova_error_set(
	        error, NOVA_E_INVALID,
	        "%s is an SQLite database of another program; name another file, or move it away",
	        store->path);
}

static int migrate_locked(struct nova_store *store, const struct nova_migration *migrations,
                          size_t count, struct nova_error *error)
{
	NOVA_AUTOFREE char *stamp = NULL;
	int version = 0, newest = count ? migrations[count - 1].to : 0;
	int code = pragma_number(store, "PRAGMA user_version", &version, error);

	if (code)
		return code;
	if (version > newest)
		return nova_error_set(
		        error, NOVA_E_UNSUPPORTED,
		        "%s was written by a newer novacore (schema %d; this one knows "
		        "up to %d); use that novacore, or name another file",
		        store->path, version, newest);
	for (size_t i = 0; i < count; i++) {
		if (migrations[i].to <= version)
			continue;
		code = exec(store, migrations[i].sql, "bring its schema up to date", error);
		if (code)
			return nova_error_prefix(error, "schema %d", migrations[i].to);
	}
	if (version == newest)
		return 0;
	stamp = nova_format("PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION_ID,
	                    newest);
	return exec(store, stamp, "bring its schema up to date", error);
}

int nova_store_migrate(struct nova_store *store, const struct nova_migration *migrations,
                       size_t count, struct nova_error *error)
{
	/* Immediate: two processes that create the same file come one after the other. */
	int code = nova_store_begin(store, error);

	if (code)
		return code;
	code = migrate_locked(store, migrations, count, error);
	if (code) {
		nova_store_rollback(store);
		return code;
	}
	return nova_store_commit(store, error);
}
