/* SPDX-License-Identifier: MIT */
/*
 * What steps amount to, kept beside their samples: one row a step, one a metric and side. Both can
 * be computed anew from the samples; nothing else is kept here.
 */
#include "core/store/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int put_reduced(struct nova_store *store, int64_t key, uint32_t step,
                       const struct nova_reduced *one, struct nova_error *error)
{
	static const char doing[] = "store what a step amounts to";

	return nova_store_finish(
	        store,
	        nova_store_query(store,
	                         "INSERT INTO reduced (metric, side, run, step, revision, unit, "
	                         "better, source, n, attempted, value, low, high) "
	                         "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	                         doing, error, "tiiiitttiiddd", one->metric, (int64_t)one->side,
	                         key, (int64_t)step, one->revision, one->unit, one->better,
	                         one->source, (int64_t)one->n, (int64_t)one->attempted, one->value,
	                         one->low, one->high),
	        doing, error);
}

static int put_measured(struct nova_store *store, const struct nova_measured *step,
                        const struct nova_reduced *metrics, size_t count, struct nova_error *error)
{
	static const char doing[] = "store what a step amounts to";
	int64_t key = 0;
	int code = nova_store_run_key(store, step->run, &key, error);

	if (!code)
		code = nova_store_finish(
		        store,
		        nova_store_query(store, "DELETE FROM measured WHERE run = ? AND step = ?",
		                         doing, error, "ii", key, (int64_t)step->step),
		        doing, error);
	if (!code)
		code = nova_store_finish(
		        store,
		        nova_store_query(store,
		                         "INSERT INTO measured (run, step, measurement, wherehash, "
		                         "host, accel, targets, simulated) "
		                         "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		                         doing, error, "iittttji", key, (int64_t)step->step,
		                         step->measurement, step->where, step->host, step->accel,
		                         step->targets, (int64_t)step->simulated),
		        doing, error);
	for (size_t i = 0; i < count && !code; i++)
		code = put_reduced(store, key, step->step, &metrics[i], error);
	return code;
}

int nova_store_measured_put(struct nova_store *store, const struct nova_measured *step,
                            const struct nova_reduced *metrics, size_t count,
                            struct nova_error *error)
{
	struct nova_error local = {0};
	bool own = !store->in_transaction;
	int code = 0;

	error = error ? error : &local;
	if (own)
		code = nova_store_begin(store, error);
	if (code)
		return code;
	code = put_measured(store, step, metrics, count, error);
	if (!own)
		return code;
	if (!code)
		return nova_store_commit(store, error);
	nova_store_rollback(store);
	return code;
}

int nova_store_measured_missing(struct nova_store *store,
                                int (*visit)(void *context, const char *run), void *context,
                                struct nova_error *error)
{
	struct nova_error local = {0};
	NOVA_AUTOJSON json_t *runs = json_array();
	sqlite3_stmt *row;
	size_t i;
	json_t *id;
	int result, code = 0;

	error = error ? error : &local;
	row = nova_store_query(
	        store,
	        "SELECT DISTINCT run.id FROM step JOIN run ON run.key = step.run "
	        "WHERE step.state = 'done' AND run.state <> 'running' AND NOT EXISTS "
	        "(SELECT 1 FROM measured WHERE measured.run = step.run AND "
	        "measured.step = step.step) ORDER BY run.started_utc_ns, run.id",
	        "find what is to be reduced", error, "");
	if (!row)
		return error->code;
	while ((result = sqlite3_step(row)) == SQLITE_ROW)
		json_array_append_new(runs, json_string((const char *)sqlite3_column_text(row, 0)));
	if (result != SQLITE_DONE)
		code = nova_store_fail(store, result, "find what is to be reduced", error);
	sqlite3_finalize(row); /* before `visit`, which writes to the table that is read */
	json_array_foreach(runs, i, id)
	{
		if (code || visit(context, json_string_value(id)))
			break;
	}
	return code;
}

static double real_of(sqlite3_stmt *row, int column)
{
	return sqlite3_column_type(row, column) == SQLITE_NULL ? (double)NAN
	                                                       : sqlite3_column_double(row, column);
}

static void read_reduced(sqlite3_stmt *row, struct nova_measured *step,
                         struct nova_reduced *reduced)
{
	memset(step, 0, sizeof(*step));
	memset(reduced, 0, sizeof(*reduced));
	nova_store_column(row, 0, reduced->metric, sizeof(reduced->metric));
	reduced->side = (uint32_t)sqlite3_column_int64(row, 1);
	reduced->revision = sqlite3_column_int64(row, 2);
	nova_store_column(row, 3, reduced->unit, sizeof(reduced->unit));
	nova_store_column(row, 4, reduced->better, sizeof(reduced->better));
	nova_store_column(row, 5, reduced->source, sizeof(reduced->source));
	reduced->n = (uint32_t)sqlite3_column_int64(row, 6);
	reduced->attempted = (uint32_t)sqlite3_column_int64(row, 7);
	reduced->value = real_of(row, 8);
	reduced->low = real_of(row, 9);
	reduced->high = real_of(row, 10);
	nova_store_column(row, 11, step->run, sizeof(step->run));
	step->step = (uint32_t)sqlite3_column_int64(row, 12);
	nova_store_column(row, 13, step->measurement, sizeof(step->measurement));
	nova_store_column(row, 14, step->where, sizeof(step->where));
	nova_store_column(row, 15, step->host, sizeof(step->host));
	nova_store_column(row, 16, step->benchmark, sizeof(step->benchmark));
	step->started_utc_ns = sqlite3_column_int64(row, 17);
	nova_store_column(row, 18, step->accel, sizeof(step->accel));
	step->targets = nova_store_column_json(row, 19);
	step->params = nova_store_column_json(row, 20);
	step->simulated = sqlite3_column_int(row, 21);
}

int nova_store_reduced_each(struct nova_store *store, const char *metric,
                            int (*visit)(void *context, const struct nova_measured *step,
                                         const struct nova_reduced *reduced),
                            void *context, struct nova_error *error)
{
	static const char columns[] =
	        "SELECT metric, side, revision, unit, better, source, n, attempted, value, low, "
	        "high, run.id, reduced.step, measurement, wherehash, host, step.benchmark, "
	        "run.started_utc_ns, accel, measured.targets, params, simulated FROM reduced "
	        "JOIN measured ON measured.run = reduced.run AND measured.step = reduced.step "
	        "JOIN step ON step.run = reduced.run AND step.step = reduced.step "
	        "JOIN run ON run.key = reduced.run ";
	struct nova_error local = {0};
	NOVA_AUTOFREE char *sql =
	        nova_format("%s%sORDER BY metric, side, run.started_utc_ns, run.id, reduced.step",
	                    columns, metric ? "WHERE metric = ?1 " : "");
	sqlite3_stmt *row;
	int result, stop = 0, code = 0;

	error = error ? error : &local;
	row = nova_store_query(store, sql, "read the history", error, metric ? "t" : "", metric);
	if (!row)
		return error->code;
	while ((result = sqlite3_step(row)) == SQLITE_ROW && !stop) {
		struct nova_measured step;
		struct nova_reduced reduced;

		read_reduced(row, &step, &reduced);
		stop = visit(context, &step, &reduced);
		json_decref(step.targets);
		json_decref(step.params);
	}
	if (result != SQLITE_ROW && result != SQLITE_DONE)
		code = nova_store_fail(store, result, "read the history", error);
	sqlite3_finalize(row);
	return code;
}
