/* SPDX-License-Identifier: MIT */
/*
 * Replicates and samples. A sample is one durable insert; its key says everything about where it
 * belongs, so that a repetition is noticed and never overwrites.
 */
#include "core/store/internal.h"

#include <math.h>
#include <string.h>

int nova_store_replicate_begin(struct nova_store *store, const char *run,
                               const struct nova_replicate *replicate, struct nova_error *error)
{
	int64_t key = 0;
	int code = nova_store_run_key(store, run, &key, error);

	if (code)
		return code;
	return nova_store_run_kept(store, NOVA_SQL_REPLICATE_BEGIN, "begin a replicate", error,
	                           "iiiiii", key, (int64_t)replicate->step,
	                           (int64_t)replicate->replicate, (int64_t)replicate->attempt,
	                           (int64_t)replicate->side, (int64_t)replicate->order);
}

int nova_store_replicate_end(struct nova_store *store, const char *run,
                             const struct nova_replicate *replicate, const char *state,
                             const uint32_t counts[4], const char *why, struct nova_error *error)
{
	static const uint32_t none[4];
	int64_t key = 0;
	int code = nova_store_run_key(store, run, &key, error);

	if (code)
		return code;
	counts = counts ? counts : none;
	code = nova_store_run_kept(store, NOVA_SQL_REPLICATE_END, "end a replicate", error,
	                           "iiiiitiiiit", key, (int64_t)replicate->step,
	                           (int64_t)replicate->replicate, (int64_t)replicate->attempt,
	                           (int64_t)replicate->side, state, (int64_t)counts[0],
	                           (int64_t)counts[1], (int64_t)counts[2], (int64_t)counts[3], why);
	if (!code && sqlite3_changes(store->db) == 0)
		code = nova_error_set(
		        error, NOVA_E_NOT_FOUND,
		        "replicate %u (step %u, attempt %u) of run %s has not begun in %s",
		        replicate->replicate, replicate->step, replicate->attempt, run,
		        store->path);
	return code;
}

int nova_store_replicate_each(struct nova_store *store, const char *run, uint32_t step,
                              int (*visit)(void *context, const struct nova_replicate *replicate,
                                           const char *state, const uint32_t counts[4],
                                           const char *why),
                              void *context, struct nova_error *error)
{
	struct nova_error local = {0};
	sqlite3_stmt *row;
	int64_t key = 0;
	int result, stop = 0, code;

	error = error ? error : &local;
	code = nova_store_run_key(store, run, &key, error);
	if (code)
		return code;
	row = nova_store_query(store,
	                       "SELECT replicate, side, attempt, state, attempted, succeeded, "
	                       "failed, timed_out, why, sequence FROM replicate "
	                       "WHERE run = ? AND step = ? "
	                       "ORDER BY replicate, attempt, side",
	                       "read the replicates", error, "ii", key, (int64_t)step);
	if (!row)
		return error->code;
	while ((result = sqlite3_step(row)) == SQLITE_ROW && !stop) {
		struct nova_replicate replicate = {step, (uint32_t)sqlite3_column_int64(row, 0),
		                                   (uint32_t)sqlite3_column_int64(row, 1),
		                                   (uint32_t)sqlite3_column_int64(row, 2),
		                                   (uint32_t)sqlite3_column_int64(row, 9)};
		uint32_t counts[4];

		for (int i = 0; i < 4; i++)
			counts[i] = (uint32_t)sqlite3_column_int64(row, 4 + i);
		stop = visit(context, &replicate, (const char *)sqlite3_column_text(row, 3), counts,
		             (const char *)sqlite3_column_text(row, 8));
	}
	if (result != SQLITE_ROW && result != SQLITE_DONE)
		code = nova_store_fail(store, result, "read the replicates", error);
	sqlite3_finalize(row);
	return code;
}

int nova_store_supersede(struct nova_store *store, const char *run, struct nova_error *error)
{
	int64_t key = 0;
	int code = nova_store_run_key(store, run, &key, error);

	if (code)
		return code;
	return nova_store_run_kept(store, NOVA_SQL_SUPERSEDE, "mark unfinished replicates", error,
	                           "i", key);
}

int nova_store_sample_put(struct nova_store *store, const char *run,
                          const struct nova_sample_record *sample, struct nova_error *error)
{
	bool ok = sample->status == NOVA_SAMPLE_OK;
	int64_t key = 0;
	int code;

	/* SQLite would turn NaN into NULL silently. */
	if (ok && !isfinite(sample->value))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "a sample of %s is marked as good and its value is no number",
		                      sample->metric);
	code = nova_store_run_key(store, run, &key, error);
	if (code)
		return code;
	return nova_store_run_kept(store, NOVA_SQL_SAMPLE_PUT, "store a sample", error,
	                           "iiiiiitiidiiit", key, (int64_t)sample->at.step,
	                           (int64_t)sample->at.replicate, (int64_t)sample->at.attempt,
	                           (int64_t)sample->at.side, (int64_t)sample->vm, sample->metric,
	                           (int64_t)sample->seq, (int64_t)sample->status,
	                           ok ? sample->value : (double)NAN, sample->t_ns,
	                           sample->intended_ns, sample->error_ns, ok ? NULL : sample->why);
}

static void read_sample(sqlite3_stmt *row, uint32_t step, struct nova_sample_record *sample)
{
	memset(sample, 0, sizeof(*sample));
	sample->at.step = step;
	sample->at.replicate = (uint32_t)sqlite3_column_int64(row, 0);
	sample->at.attempt = (uint32_t)sqlite3_column_int64(row, 1);
	sample->at.side = (uint32_t)sqlite3_column_int64(row, 2);
	sample->vm = (uint64_t)sqlite3_column_int64(row, 3);
	nova_store_column(row, 4, sample->metric, sizeof(sample->metric));
	sample->seq = (uint32_t)sqlite3_column_int64(row, 5);
	sample->status = (uint32_t)sqlite3_column_int64(row, 6);
	sample->value = sqlite3_column_double(row, 7);
	sample->t_ns = sqlite3_column_int64(row, 8);
	sample->intended_ns = sqlite3_column_int64(row, 9);
	sample->error_ns = sqlite3_column_int64(row, 10);
	sample->why = (const char *)sqlite3_column_text(row, 11);
}

static int visit_samples(struct nova_store *store, const char *run, uint32_t step, bool superseded,
                         int64_t first, int64_t end,
                         int (*visit)(void *context, const struct nova_sample_record *sample),
                         void *context, struct nova_error *error)
{
	struct nova_error local = {0};
	sqlite3_stmt *row;
	int64_t key = 0;
	int result, stop = 0, code;

	error = error ? error : &local;
	code = nova_store_run_key(store, run, &key, error);
	if (code)
		return code;
	row = nova_store_query(
	        store,
	        "SELECT s.replicate, s.attempt, s.side, s.vm, s.metric, s.seq, s.status, s.value, "
	        "s.t_ns, s.intended_ns, s.error_ns, s.why FROM sample AS s "
	        "JOIN replicate AS r USING (run, step, replicate, attempt, side) "
	        "WHERE s.run = ?1 AND s.step = ?2 "
	        "AND s.replicate >= ?4 AND s.replicate < ?5 "
	        "AND (?3 OR r.state NOT IN ('superseded', 'warmup')) "
	        "ORDER BY s.replicate, s.attempt, s.side, s.vm, s.metric, s.seq",
	        "read the samples", error, "iiiii", key, (int64_t)step, (int64_t)superseded, first,
	        end);
	if (!row)
		return error->code;
	while ((result = sqlite3_step(row)) == SQLITE_ROW && !stop) {
		struct nova_sample_record sample;

		read_sample(row, step, &sample);
		stop = visit(context, &sample);
	}
	if (result != SQLITE_ROW && result != SQLITE_DONE)
		code = nova_store_fail(store, result, "read the samples", error);
	sqlite3_finalize(row);
	return code;
}

int nova_store_sample_each(struct nova_store *store, const char *run, uint32_t step,
                           bool superseded,
                           int (*visit)(void *context, const struct nova_sample_record *sample),
                           void *context, struct nova_error *error)
{
	return visit_samples(store, run, step, superseded, 0, INT64_MAX, visit, context, error);
}

int nova_store_sample_range(struct nova_store *store, const char *run, uint32_t step,
                            uint32_t first, uint32_t end,
                            int (*visit)(void *context, const struct nova_sample_record *sample),
                            void *context, struct nova_error *error)
{
	return visit_samples(store, run, step, false, first, end, visit, context, error);
}
