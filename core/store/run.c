/* SPDX-License-Identifier: MIT */
/*
 * Runs and their steps: putting, finding by id, prefix or "last", visiting, deleting.
 */
#include "core/store/internal.h"

#include <stdlib.h>
#include <string.h>

#define RUN_COLUMNS                                                                                \
	"id, profile, state, seed, started_utc_ns, ended_utc_ns, anchor_monotonic_ns, "            \
	"anchor_utc_ns, boot_id, plan, wherefacts, whatfacts, targets, skipped"

int nova_store_run_key(struct nova_store *store, const char *run, int64_t *key,
                       struct nova_error *error)
{
	if (store->cached_run[0] && !strcmp(store->cached_run, run)) {
		*key = store->cached_key;
		return 0;
	}
	int code = nova_store_one_kept(store, NOVA_SQL_RUN_KEY, "find a run", key, error, "t", run);
	if (code == NOVA_E_NOT_FOUND)
		return nova_error_set(error, code, "there is no run %s in %s", run, store->path);
	if (!code) {
		snprintf(store->cached_run, sizeof(store->cached_run), "%s", run);
		store->cached_key = *key;
	}
	return code;
}

void nova_run_record_clear(struct nova_run_record *run)
{
	json_decref(run->plan);
	json_decref(run->where);
	json_decref(run->what);
	json_decref(run->targets);
	json_decref(run->skipped);
	memset(run, 0, sizeof(*run));
}

int nova_store_run_put(struct nova_store *store, const struct nova_run_record *run,
                       struct nova_error *error)
{
	return nova_store_run_kept(store, NOVA_SQL_RUN_PUT, "store a run", error, "tttiiiiitjjjjj",
	                           run->id, run->profile, run->state, (int64_t)run->seed,
	                           run->started_utc_ns, run->ended_utc_ns, run->anchor_monotonic_ns,
	                           run->anchor_utc_ns, run->boot_id, run->plan, run->where,
	                           run->what, run->targets, run->skipped);
}

static void read_run(sqlite3_stmt *row, struct nova_run_record *run)
{
	memset(run, 0, sizeof(*run));
	nova_store_column(row, 0, run->id, sizeof(run->id));
	nova_store_column(row, 1, run->profile, sizeof(run->profile));
	nova_store_column(row, 2, run->state, sizeof(run->state));
	run->seed = (uint64_t)sqlite3_column_int64(row, 3);
	run->started_utc_ns = sqlite3_column_int64(row, 4);
	run->ended_utc_ns = sqlite3_column_int64(row, 5);
	run->anchor_monotonic_ns = sqlite3_column_int64(row, 6);
	run->anchor_utc_ns = sqlite3_column_int64(row, 7);
	nova_store_column(row, 8, run->boot_id, sizeof(run->boot_id));
	run->plan = nova_store_column_json(row, 9);
	run->where = nova_store_column_json(row, 10);
	run->what = nova_store_column_json(row, 11);
	run->targets = nova_store_column_json(row, 12);
	run->skipped = nova_store_column_json(row, 13);
}

static int check_prefix(const char *id, struct nova_error *error)
{
	if (strlen(id) < 4 || strlen(id) > 36 || strspn(id, "0123456789abcdef-") != strlen(id))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "\"%s\" is no run id: give \"last\", an id, or at least the "
		                      "first 4 of its characters (see novacore results list)",
		                      id);
	return 0;
}

/* Says which runs begin so, because ids made within a minute share their first 8 characters. */
static int ambiguous(sqlite3_stmt *row, const char *prefix, const struct nova_run_record *first,
                     struct nova_error *error)
{
	NOVA_AUTOTEXT struct nova_text ids = {0};
	int count = 1, result = SQLITE_ROW;

	nova_text_add(&ids, first->id);
	while (result == SQLITE_ROW) {
		if (++count <= 4)
			nova_text_addf(&ids, ", %s", (const char *)sqlite3_column_text(row, 0));
		result = sqlite3_step(row);
	}
	return nova_error_set(error, NOVA_E_INVALID,
	                      "%d runs begin with %s: %s%s; give more characters", count, prefix,
	                      nova_text_get(&ids), count > 4 ? ", …" : "");
}

static int get_last(struct nova_store *store, struct nova_run_record *run, struct nova_error *error)
{
	sqlite3_stmt *row = nova_store_query(store,
	                                     "SELECT " RUN_COLUMNS " FROM run "
	                                     "ORDER BY started_utc_ns DESC, id DESC LIMIT 1",
	                                     "find a run", error, "");
	int code = 0, result;

	if (!row)
		return error->code;
	result = sqlite3_step(row);
	if (result == SQLITE_ROW)
		read_run(row, run);
	else if (result == SQLITE_DONE)
		code = nova_error_set(error, NOVA_E_NOT_FOUND, "there is no run yet in %s",
		                      store->path);
	else
		code = nova_store_fail(store, result, "find a run", error);
	sqlite3_finalize(row);
	return code;
}

static int get_prefix(struct nova_store *store, const char *id, struct nova_run_record *run,
                      struct nova_error *error)
{
	/* '~' sorts after everything that an id consists of. */
	sqlite3_stmt *row = nova_store_query(store,
	                                     "SELECT " RUN_COLUMNS " FROM run "
	                                     "WHERE id >= ?1 AND id < ?1 || '~' ORDER BY id",
	                                     "find a run", error, "t", id);
	int code = 0, result;

	if (!row)
		return error->code;
	result = sqlite3_step(row);
	if (result == SQLITE_ROW) {
		read_run(row, run);
		result = sqlite3_step(row);
		if (result == SQLITE_ROW)
			code = ambiguous(row, id, run, error);
	} else if (result == SQLITE_DONE) {
		code = nova_error_set(error, NOVA_E_NOT_FOUND,
		                      "there is no run %s in %s (see novacore results list)", id,
		                      store->path);
	}
	if (result != SQLITE_ROW && result != SQLITE_DONE)
		code = nova_store_fail(store, result, "find a run", error);
	if (code)
		nova_run_record_clear(run);
	sqlite3_finalize(row);
	return code;
}

int nova_store_run_get(struct nova_store *store, const char *id, struct nova_run_record *run,
                       struct nova_error *error)
{
	struct nova_error local = {0};
	int code;

	error = error ? error : &local;
	memset(run, 0, sizeof(*run));
	if (!strcmp(id, "last"))
		return get_last(store, run, error);
	code = check_prefix(id, error);
	return code ? code : get_prefix(store, id, run, error);
}

int nova_store_run_each(struct nova_store *store,
                        int (*visit)(void *context, const struct nova_run_record *run),
                        void *context, struct nova_error *error)
{
	struct nova_error local = {0};
	sqlite3_stmt *row;
	int result, stop = 0;

	error = error ? error : &local;
	row = nova_store_query(store,
	                       "SELECT " RUN_COLUMNS " FROM run "
	                       "ORDER BY started_utc_ns DESC, id DESC",
	                       "list the runs", error, "");
	if (!row)
		return error->code;
	while ((result = sqlite3_step(row)) == SQLITE_ROW && !stop) {
		struct nova_run_record run;

		read_run(row, &run);
		stop = visit(context, &run);
		nova_run_record_clear(&run);
	}
	if (result != SQLITE_ROW && result != SQLITE_DONE)
		nova_store_fail(store, result, "list the runs", error);
	sqlite3_finalize(row);
	return result == SQLITE_ROW || result == SQLITE_DONE ? 0 : error->code;
}

static int count_left(void *context, const struct nova_journal_record *record)
{
	(void)record;
	++*(unsigned *)context;
	return 0;
}

int nova_store_run_delete(struct nova_store *store, const char *id, struct nova_error *error)
{
	struct nova_run_record run;
	unsigned left = 0;
	int64_t key = 0;
	int code = nova_store_run_get(store, id, &run, error);

	if (code)
		return code;
	code = nova_store_journal_each(store, run.id, count_left, &left, error);
	if (!code && left)
		code = nova_error_set(error, NOVA_E_BUSY,
		                      "run %s cannot be deleted: %u of its VMs, networks or images "
		                      "are not known to be gone; run novacore clean first",
		                      run.id, left);
	if (!code)
		code = nova_store_run_key(store, run.id, &key, error);
	if (!code)
		code = nova_store_check_no_baseline(store, key, run.id, error);
	if (!code)
		code = nova_store_run_kept(store, NOVA_SQL_RUN_DELETE, "delete a run", error, "i",
		                           key);
	store->cached_run[0] = '\0';
	nova_run_record_clear(&run);
	return code;
}

/* --- steps ----------------------------------------------------------------------------------- */

void nova_step_record_clear(struct nova_step_record *step)
{
	free(step->why);
	json_decref(step->targets);
	json_decref(step->params);
	memset(step, 0, sizeof(*step));
}

int nova_store_step_put(struct nova_store *store, const char *run,
                        const struct nova_step_record *step, struct nova_error *error)
{
	int64_t key = 0;
	int code = nova_store_run_key(store, run, &key, error);

	if (code)
		return code;
	return nova_store_run_kept(store, NOVA_SQL_STEP_PUT, "store a step", error, "iittttijjiiti",
	                           key, (int64_t)step->index, step->hash, step->benchmark,
	                           step->state, step->why, (int64_t)step->order_seed, step->targets,
	                           step->params, step->started_utc_ns, step->ended_utc_ns,
	                           *step->stopped ? step->stopped : NULL, step->estimate_ns);
}

static void read_step(sqlite3_stmt *row, struct nova_step_record *step)
{
	memset(step, 0, sizeof(*step));
	step->index = (uint32_t)sqlite3_column_int64(row, 0);
	nova_store_column(row, 1, step->hash, sizeof(step->hash));
	nova_store_column(row, 2, step->benchmark, sizeof(step->benchmark));
	nova_store_column(row, 3, step->state, sizeof(step->state));
	step->why = nova_store_column_dup(row, 4);
	step->order_seed = (uint64_t)sqlite3_column_int64(row, 5);
	step->targets = nova_store_column_json(row, 6);
	step->params = nova_store_column_json(row, 7);
	step->started_utc_ns = sqlite3_column_int64(row, 8);
	step->ended_utc_ns = sqlite3_column_int64(row, 9);
	nova_store_column(row, 10, step->stopped, sizeof(step->stopped));
	step->estimate_ns = sqlite3_column_int64(row, 11);
}

int nova_store_step_each(struct nova_store *store, const char *run,
                         int (*visit)(void *context, const struct nova_step_record *step),
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
	        "SELECT step, hash, benchmark, state, why, order_seed, targets, "
	        "params, started_utc_ns, ended_utc_ns, stopped, estimate_ns FROM step "
	        "WHERE run = ? ORDER BY step",
	        "read the steps", error, "i", key);
	if (!row)
		return error->code;
	while ((result = sqlite3_step(row)) == SQLITE_ROW && !stop) {
		struct nova_step_record step;

		read_step(row, &step);
		stop = visit(context, &step);
		nova_step_record_clear(&step);
	}
	if (result != SQLITE_ROW && result != SQLITE_DONE)
		code = nova_store_fail(store, result, "read the steps", error);
	sqlite3_finalize(row);
	return code;
}
