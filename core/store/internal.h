/* SPDX-License-Identifier: MIT */
/*
 * What the files of core/store share: the handle, the one way to run a statement, the one place
 * where SQLite's codes become ours, and the migrations. Nothing outside the room includes this but
 * its tests.
 */
#ifndef NOVACORE_STORE_INTERNAL_H
#define NOVACORE_STORE_INTERNAL_H

#include "core/store/store.h"

#include <sqlite3.h>

/* Statements that are prepared once and kept; texts in store.c. */
enum nova_statement {
	NOVA_SQL_BEGIN,
	NOVA_SQL_COMMIT,
	NOVA_SQL_ROLLBACK,
	NOVA_SQL_RUN_KEY,
	NOVA_SQL_RUN_PUT,
	NOVA_SQL_RUN_DELETE,
	NOVA_SQL_STEP_PUT,
	NOVA_SQL_REPLICATE_BEGIN,
	NOVA_SQL_REPLICATE_END,
	NOVA_SQL_SUPERSEDE,
	NOVA_SQL_SAMPLE_PUT,
	NOVA_SQL_JOURNAL_INTEND,
	NOVA_SQL_JOURNAL_ID,
	NOVA_SQL_JOURNAL_GONE,
	NOVA_SQL_JOURNAL_TARGET,
	NOVA_SQL_JOURNAL_NEXT,
	NOVA_SQL_AUDIT,
	NOVA_SQL_FACT_PUT,
	NOVA_SQL_FACT_DELETE,
	NOVA_SQL_COUNT
};

struct nova_store {
	sqlite3 *db;
	char *path;
	char installation[9];
	sqlite3_stmt *kept[NOVA_SQL_COUNT];
	char cached_run[37]; /* the run of the last call, and its key */
	int64_t cached_key;
	bool in_transaction;
	struct nova_error broken; /* why the transaction under way cannot be committed */
};

/* One step of the schema: `sql` brings a database of version `to` - 1 to version `to`. */
struct nova_migration {
	int to;
	const char *sql;
};
extern const struct nova_migration nova_store_migrations[];
extern const size_t nova_store_migration_count;
/* NOVA_E_INVALID if it is another program's database. Changes nothing. */
int nova_store_check_ours(struct nova_store *store, struct nova_error *error);
/* All that are missing, in one transaction: either the newest version or untouched. */
int nova_store_migrate(struct nova_store *store, const struct nova_migration *migrations,
                       size_t count, struct nova_error *error);

/* Turns the result code of the last SQLite call into ours; `doing` is "store a sample". */
int nova_store_fail(struct nova_store *store, int result, const char *doing,
                    struct nova_error *error);

/*
 * Binds and runs a kept statement that returns no row. `types` has a letter per argument:
 * i int64_t, t const char * or NULL, j const json_t * or NULL, d double (with NaN: NULL).
 */
int nova_store_run_kept(struct nova_store *store, enum nova_statement statement, const char *doing,
                        struct nova_error *error, const char *types, ...);
/* As above for a statement that returns one int64; NOVA_E_NOT_FOUND (without text) if no row. */
int nova_store_one_kept(struct nova_store *store, enum nova_statement statement, const char *doing,
                        int64_t *value, struct nova_error *error, const char *types, ...);
/* A statement of its own, bound, for reading rows; finalize it. NULL and `error` on failure. */
sqlite3_stmt *nova_store_query(struct nova_store *store, const char *sql, const char *doing,
                               struct nova_error *error, const char *types, ...);

/* The run's internal key. NOVA_E_NOT_FOUND. */
int nova_store_run_key(struct nova_store *store, const char *run, int64_t *key,
                       struct nova_error *error);
/* NOVA_E_REFUSED if the run belongs to a baseline. */
int nova_store_check_no_baseline(struct nova_store *store, int64_t key, const char *run,
                                 struct nova_error *error);
/* Runs a statement of nova_store_query that returns no row, and finalizes it; NULL: it failed. */
int nova_store_finish(struct nova_store *store, sqlite3_stmt *statement, const char *doing,
                      struct nova_error *error);
/* Column readers: text is "" for NULL; json is NULL for NULL or for what does not parse. */
void nova_store_column(sqlite3_stmt *row, int column, char *out, size_t room);
char *nova_store_column_dup(sqlite3_stmt *row, int column); /* NULL stays NULL */
json_t *nova_store_column_json(sqlite3_stmt *row, int column);

#endif
