/* SPDX-License-Identifier: MIT */
/*
 * Baselines (named sets of runs) and acknowledgements of what has been found. What they mean is
 * decided in core/run.
 */
#include "core/store/internal.h"

#include <stdlib.h>
#include <string.h>

int nova_store_finish(struct nova_store *store, sqlite3_stmt *statement, const char *doing,
                      struct nova_error *error)
{
	int result, code = 0;

	if (!statement)
		return error->code;
	result = sqlite3_step(statement);
	if (result != SQLITE_DONE)
		code = nova_store_fail(store, result, doing, error);
	sqlite3_finalize(statement);
	return code;
}

/* --- baselines ------------------------------------------------------------------------------- */

static int find_baseline(struct nova_store *store, const char *name, const char *where,
                         int64_t *key, struct nova_error *error)
{
	sqlite3_stmt *row =
	        nova_store_query(store, "SELECT key FROM baseline WHERE name = ? AND wherehash = ?",
	                         "find a baseline", error, "tt", name, where);
	int result, code = 0;

	if (!row)
		return error->code;
	result = sqlite3_step(row);
	if (result == SQLITE_ROW)
		*key = sqlite3_column_int64(row, 0);
	else if (result == SQLITE_DONE)
		code = nova_error_set(error, NOVA_E_NOT_FOUND, "there is no baseline \"%s\" for %s",
		                      name, where);
	else
		code = nova_store_fail(store, result, "find a baseline", error);
	sqlite3_finalize(row);
	return code;
}

static int put_baseline(struct nova_store *store, const struct nova_baseline_record *baseline,
                        struct nova_error *error)
{
	static const char doing[] = "store a baseline";
	int64_t key = 0, run = 0;
	size_t i;
	json_t *id;
	int code = nova_store_finish(
	        store,
	        nova_store_query(store, "DELETE FROM baseline WHERE name = ? AND wherehash = ?",
	                         doing, error, "tt", baseline->name, baseline->where),
	        doing, error);

	if (!code)
		code = nova_store_finish(
		        store,
		        nova_store_query(store,
		                         "INSERT INTO baseline (name, wherehash, made_utc_ns) "
		                         "VALUES (?, ?, ?)",
		                         doing, error, "tti", baseline->name, baseline->where,
		                         baseline->made_utc_ns),
		        doing, error);
	key = sqlite3_last_insert_rowid(store->db);
	json_array_foreach(baseline->runs, i, id)
	{
		if (!code)
			code = nova_store_run_key(store, json_string_value(id), &run, error);
		if (!code)
			code = nova_store_finish(
			        store,
			        nova_store_query(store, "INSERT INTO baseline_run VALUES (?, ?)",
			                         doing, error, "ii", key, run),
			        doing, error);
	}
	return code;
}

int nova_store_baseline_put(struct nova_store *store, const struct nova_baseline_record *baseline,
                            struct nova_error *error)
{
	struct nova_error local = {0};
	int code;

	error = error ? error : &local;
	code = nova_store_begin(store, error);
	if (code)
		return code;
	code = put_baseline(store, baseline, error);
	if (!code)
		return nova_store_commit(store, error);
	nova_store_rollback(store);
	return code;
}

static json_t *runs_of_baseline(struct nova_store *store, int64_t key, struct nova_error *error)
{
	sqlite3_stmt *row = nova_store_query(
	        store,
	        "SELECT run.id FROM baseline_run JOIN run ON run.key = baseline_run.run "
	        "WHERE baseline = ? ORDER BY run.started_utc_ns, run.id",
	        "read a baseline", error, "i", key);
	json_t *runs = row ? json_array() : NULL;
	int result = SQLITE_DONE;

	while (row && (result = sqlite3_step(row)) == SQLITE_ROW)
		json_array_append_new(runs, json_string((const char *)sqlite3_column_text(row, 0)));
	if (row && result != SQLITE_DONE) {
		nova_store_fail(store, result, "read a baseline", error);
		json_decref(runs);
		runs = NULL;
	}
	sqlite3_finalize(row);
	return runs;
}

int nova_store_baseline_each(struct nova_store *store, const char *name, const char *where,
                             int (*visit)(void *context,
                                          const struct nova_baseline_record *baseline),
                             void *context, struct nova_error *error)
{
	struct nova_error local = {0};
	sqlite3_stmt *row;
	int result = SQLITE_DONE, stop = 0, code = 0;

	error = error ? error : &local;
	row = nova_store_query(store,
	                       "SELECT key, name, wherehash, made_utc_ns FROM baseline "
	                       "WHERE (?1 IS NULL OR name = ?1) AND (?2 IS NULL OR wherehash = ?2) "
	                       "ORDER BY name, wherehash",
	                       "read the baselines", error, "tt", name, where);
	if (!row)
		return error->code;
	while (!code && !stop && (result = sqlite3_step(row)) == SQLITE_ROW) {
		struct nova_baseline_record baseline = {.made_utc_ns =
		                                                sqlite3_column_int64(row, 3)};

		nova_store_column(row, 1, baseline.name, sizeof(baseline.name));
		nova_store_column(row, 2, baseline.where, sizeof(baseline.where));
		baseline.runs = runs_of_baseline(store, sqlite3_column_int64(row, 0), error);
		if (baseline.runs)
			stop = visit(context, &baseline);
		else
			code = error->code;
		json_decref(baseline.runs);
	}
	if (result != SQLITE_ROW && result != SQLITE_DONE)
		code = nova_store_fail(store, result, "read the baselines", error);
	sqlite3_finalize(row);
	return code;
}

int nova_store_baseline_delete(struct nova_store *store, const char *name, const char *where,
                               struct nova_error *error)
{
	struct nova_error local = {0};
	int64_t key = 0;
	int code;

	error = error ? error : &local;
	code = find_baseline(store, name, where, &key, error);
	return code ? code
	            : nova_store_finish(store,
	                                nova_store_query(store,
	                                                 "DELETE FROM baseline WHERE key = ?",
	                                                 "delete a baseline", error, "i", key),
	                                "delete a baseline", error);
}

int nova_store_check_no_baseline(struct nova_store *store, int64_t key, const char *run,
                                 struct nova_error *error)
{
	struct nova_error local = {0};
	sqlite3_stmt *row;
	int result, code = 0;

	error = error ? error : &local;
	row = nova_store_query(store,
	                       "SELECT name FROM baseline_run JOIN baseline ON baseline.key = "
	                       "baseline_run.baseline WHERE run = ? ORDER BY name LIMIT 1",
	                       "find the baselines of a run", error, "i", key);
	if (!row)
		return error->code;
	result = sqlite3_step(row);
	if (result == SQLITE_ROW)
		code = nova_error_set(error, NOVA_E_REFUSED,
		                      "run %s cannot be deleted: it belongs to the baseline "
		                      "\"%s\"; delete that first (novacore baseline delete %s)",
		                      run, (const char *)sqlite3_column_text(row, 0),
		                      (const char *)sqlite3_column_text(row, 0));
	else if (result != SQLITE_DONE)
		code = nova_store_fail(store, result, "find the baselines of a run", error);
	sqlite3_finalize(row);
	return code;
}

/* --- acknowledgements ------------------------------------------------------------------------ */

int nova_store_acknowledge(struct nova_store *store, const struct nova_acknowledgement *known,
                           struct nova_error *error)
{
	static const char doing[] = "store an acknowledgement";
	struct nova_error local = {0};

	error = error ? error : &local;
	return nova_store_finish(
	        store,
	        nova_store_query(store,
	                         "INSERT OR REPLACE INTO acknowledgement (id, kind, series, "
	                         "metric, run, began_utc_ns, shift, why, made_utc_ns) "
	                         "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
	                         doing, error, "tttttidti", known->id, known->kind, known->series,
	                         known->metric, known->run, known->began_utc_ns, known->shift,
	                         known->why, known->made_utc_ns),
	        doing, error);
}

int nova_store_acknowledged_each(struct nova_store *store, const char *series,
                                 int (*visit)(void *context,
                                              const struct nova_acknowledgement *known),
                                 void *context, struct nova_error *error)
{
	struct nova_error local = {0};
	sqlite3_stmt *row;
	int result, stop = 0, code = 0;

	error = error ? error : &local;
	row = nova_store_query(store,
	                       "SELECT id, kind, series, metric, run, began_utc_ns, shift, why, "
	                       "made_utc_ns FROM acknowledgement WHERE ?1 IS NULL OR series = ?1 "
	                       "ORDER BY made_utc_ns, id",
	                       "read the acknowledgements", error, "t", series);
	if (!row)
		return error->code;
	while ((result = sqlite3_step(row)) == SQLITE_ROW && !stop) {
		struct nova_acknowledgement known = {.began_utc_ns = sqlite3_column_int64(row, 5),
		                                     .shift = sqlite3_column_double(row, 6),
		                                     .why = nova_store_column_dup(row, 7),
		                                     .made_utc_ns = sqlite3_column_int64(row, 8)};

		nova_store_column(row, 0, known.id, sizeof(known.id));
		nova_store_column(row, 1, known.kind, sizeof(known.kind));
		nova_store_column(row, 2, known.series, sizeof(known.series));
		nova_store_column(row, 3, known.metric, sizeof(known.metric));
		nova_store_column(row, 4, known.run, sizeof(known.run));
		stop = visit(context, &known);
		free(known.why);
	}
	if (result != SQLITE_ROW && result != SQLITE_DONE)
		code = nova_store_fail(store, result, "read the acknowledgements", error);
	sqlite3_finalize(row);
	return code;
}

int nova_store_acknowledged_remove(struct nova_store *store, const char *id,
                                   struct nova_error *error)
{
	static const char doing[] = "remove an acknowledgement";
	struct nova_error local = {0};
	int code;

	error = error ? error : &local;
	code = nova_store_finish(store,
	                         nova_store_query(store, "DELETE FROM acknowledgement WHERE id = ?",
	                                          doing, error, "t", id),
	                         doing, error);
	if (!code && sqlite3_changes(store->db) == 0)
		code = nova_error_set(error, NOVA_E_NOT_FOUND,
		                      "%s is not acknowledged; novacore ack --list shows what is",
		                      id);
	return code;
}
