/* SPDX-License-Identifier: MIT */
/*
 * The journal of what we create on hypervisors, the audit log of calls that change them, and small
 * facts. An entry of the journal is never removed while its object may exist.
 */
#include "core/store/internal.h"

#include <stdlib.h>
#include <string.h>

int nova_store_journal_intend(struct nova_store *store, const struct nova_journal_record *record,
                              struct nova_error *error)
{
	int64_t key = 0;
	int code = nova_store_run_key(store, record->run, &key, error);

	if (code)
		return code;
	return nova_store_run_kept(store, NOVA_SQL_JOURNAL_INTEND, "journal a VM", error, "tiittji",
	                           record->name, key, (int64_t)record->number, record->kind,
	                           record->id, record->target, nova_utc_ns());
}

static int check_changed(struct nova_store *store, const char *name, struct nova_error *error)
{
	if (sqlite3_changes(store->db))
		return 0;
	return nova_error_set(error, NOVA_E_NOT_FOUND, "%s is not in the journal of %s", name,
	                      store->path);
}

int nova_store_journal_id(struct nova_store *store, const char *name, const char *id,
                          struct nova_error *error)
{
	int code = nova_store_run_kept(store, NOVA_SQL_JOURNAL_ID, "journal a VM's id", error, "tt",
	                               name, id);

	return code ? code : check_changed(store, name, error);
}

int nova_store_journal_gone(struct nova_store *store, const char *name, struct nova_error *error)
{
	int code = nova_store_run_kept(store, NOVA_SQL_JOURNAL_GONE, "journal a VM's end", error,
	                               "ti", name, nova_utc_ns());

	return code ? code : check_changed(store, name, error);
}

int nova_store_journal_target(struct nova_store *store, const char *name, const json_t *target,
                              struct nova_error *error)
{
	int code = nova_store_run_kept(store, NOVA_SQL_JOURNAL_TARGET, "journal where a VM is",
	                               error, "tj", name, target);

	return code ? code : check_changed(store, name, error);
}

int nova_store_journal_each(struct nova_store *store, const char *run,
                            int (*visit)(void *context, const struct nova_journal_record *record),
                            void *context, struct nova_error *error)
{
	struct nova_error local = {0};
	sqlite3_stmt *row;
	int result, stop = 0, code = 0;

	error = error ? error : &local;
	row = nova_store_query(store,
	                       "SELECT run.id, j.kind, j.name, j.id, j.target, j.number "
	                       "FROM journal AS j JOIN run ON run.key = j.run "
	                       "WHERE j.gone_utc_ns IS NULL AND (?1 IS NULL OR run.id = ?1) "
	                       "ORDER BY run.id, j.number, j.name",
	                       "read the journal", error, "t", run);
	if (!row)
		return error->code;
	while ((result = sqlite3_step(row)) == SQLITE_ROW && !stop) {
		struct nova_journal_record record = {0};

		nova_store_column(row, 0, record.run, sizeof(record.run));
		nova_store_column(row, 1, record.kind, sizeof(record.kind));
		nova_store_column(row, 2, record.name, sizeof(record.name));
		record.id = nova_store_column_dup(row, 3);
		record.target = nova_store_column_json(row, 4);
		record.number = (uint64_t)sqlite3_column_int64(row, 5);
		stop = visit(context, &record);
		free(record.id);
		json_decref(record.target);
	}
	if (result != SQLITE_ROW && result != SQLITE_DONE)
		code = nova_store_fail(store, result, "read the journal", error);
	sqlite3_finalize(row);
	return code;
}

int nova_store_journal_next(struct nova_store *store, const char *run, uint64_t *number,
                            struct nova_error *error)
{
	int64_t key = 0, next = 0;
	int code = nova_store_run_key(store, run, &key, error);

	if (!code)
		code = nova_store_one_kept(store, NOVA_SQL_JOURNAL_NEXT, "number a VM", &next,
		                           error, "i", key);
	*number = (uint64_t)next;
	return code;
}

int nova_store_audit(struct nova_store *store, const char *run, const char *target,
                     const char *call, const char *object, int32_t status, int64_t duration_ns,
                     struct nova_error *error)
{
	return nova_store_run_kept(store, NOVA_SQL_AUDIT, "write the audit log", error, "ittttii",
	                           nova_utc_ns(), run ? run : "", target, call, object,
	                           (int64_t)status, duration_ns);
}

int nova_store_audit_each(struct nova_store *store, const char *run,
                          int (*visit)(void *context, int64_t utc_ns, const char *target,
                                       const char *call, const char *object, int32_t status,
                                       int64_t duration_ns),
                          void *context, struct nova_error *error)
{
	struct nova_error local = {0};
	sqlite3_stmt *row;
	int result, stop = 0, code = 0;

	error = error ? error : &local;
	row = nova_store_query(
	        store,
	        "SELECT utc_ns, target, call, object, status, duration_ns FROM audit "
	        "WHERE ?1 IS NULL OR run = ?1 ORDER BY key",
	        "read the audit log", error, "t", run);
	if (!row)
		return error->code;
	while ((result = sqlite3_step(row)) == SQLITE_ROW && !stop)
		stop = visit(context, sqlite3_column_int64(row, 0),
		             (const char *)sqlite3_column_text(row, 1),
		             (const char *)sqlite3_column_text(row, 2),
		             (const char *)sqlite3_column_text(row, 3), sqlite3_column_int(row, 4),
		             sqlite3_column_int64(row, 5));
	if (result != SQLITE_ROW && result != SQLITE_DONE)
		code = nova_store_fail(store, result, "read the audit log", error);
	sqlite3_finalize(row);
	return code;
}

int nova_store_fact_put(struct nova_store *store, const char *key, const char *value,
                        struct nova_error *error)
{
	if (!value)
		return nova_store_run_kept(store, NOVA_SQL_FACT_DELETE, "forget a fact", error, "t",
		                           key);
	return nova_store_run_kept(store, NOVA_SQL_FACT_PUT, "store a fact", error, "tt", key,
	                           value);
}

char *nova_store_fact_get(struct nova_store *store, const char *key)
{
	char *value = NULL;
	sqlite3_stmt *row = nova_store_query(store, "SELECT value FROM fact WHERE key = ?",
	                                     "read a fact", NULL, "t", key);

	if (row && sqlite3_step(row) == SQLITE_ROW)
		value = nova_store_column_dup(row, 0);
	sqlite3_finalize(row);
	return value;
}
