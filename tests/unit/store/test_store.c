/* SPDX-License-Identifier: MIT */
/*
 * The store when nothing goes wrong around it: what is put comes back, keys hold, wrong input is
 * refused. Faults of disk and process are in test_store_faults.c.
 */
#include "tests/unit/store/store_fixture.h"

#include <math.h>
#include <sys/stat.h>

struct seen {
	unsigned count;
	char text[512];
};

static int see_run(void *context, const struct nova_run_record *run)
{
	struct seen *seen = context;

	seen->count++;
	strncat(seen->text, run->id + 35, sizeof(seen->text) - strlen(seen->text) - 1);
	return 0;
}

static int see_sample(void *context, const struct nova_sample_record *sample)
{
	struct seen *seen = context;
	char line[64];

	snprintf(line, sizeof(line), "%u.%u.%u.%llu.%.8s.%u=%g ", sample->at.replicate,
	         sample->at.attempt, sample->at.side, (unsigned long long)sample->vm,
	         sample->metric, sample->seq,
	         sample->status == NOVA_SAMPLE_OK ? sample->value : -1);
	strncat(seen->text, line, sizeof(seen->text) - strlen(seen->text) - 1);
	seen->count++;
	return 0;
}

static void makes_directories_and_private_file(void **state)
{
	struct fixture *fixture = *state;
	NOVA_AUTOFREE char *path = nova_format("%s/a/b/n.db", fixture->directory);
	NOVA_AUTOFREE char *directory = nova_format("%s/a/b", fixture->directory);
	struct stat status;

	assert_done(fixture, nova_store_open(path, &fixture->store, &fixture->error));
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(stat(directory, &status), 0);
	/* others may pass through (QEMU's user needs to), and no more */
	assert_int_equal(status.st_mode & 0022, 0);
}

static void keeps_installation_id(void **state)
{
	struct fixture *fixture = *state;
	char first[9];

	snprintf(first, sizeof(first), "%s", nova_store_installation(fixture->store));
	assert_int_equal(strlen(first), 8);
	assert_int_equal(strspn(first, "0123456789abcdef"), 8);
	fixture_reopen(fixture);
	assert_string_equal(nova_store_installation(fixture->store), first);
}

static void returns_run_as_put(void **state)
{
	struct fixture *fixture = *state;
	struct nova_run_record run = some_run(RUN_A, 77), back;

	run.plan = json_pack("{s:[f,i]}", "x", 0.1, 3);
	run.where = json_pack("{s:s}", "cpu", "ü\"\\");
	run.targets = json_pack("[{s:s}]", "name", "local");
	assert_done(fixture, nova_store_run_put(fixture->store, &run, &fixture->error));
	fixture_reopen(fixture);
	assert_done(fixture, nova_store_run_get(fixture->store, RUN_A, &back, &fixture->error));
	assert_string_equal(back.id, RUN_A);
	assert_string_equal(back.profile, "dev");
	assert_string_equal(back.state, "running");
	assert_string_equal(back.boot_id, "b1");
	assert_true(back.seed == run.seed);
	assert_true(back.started_utc_ns == 77 && back.anchor_monotonic_ns == 5);
	assert_true(json_equal(back.plan, run.plan));
	assert_true(json_equal(back.where, run.where));
	assert_true(json_equal(back.targets, run.targets));
	assert_null(back.what);
	assert_null(back.skipped);
	nova_run_record_clear(&back);
	nova_run_record_clear(&run);
}

static void update_of_run_keeps_plan_and_steps(void **state)
{
	struct fixture *fixture = *state;
	struct nova_run_record run = some_run(RUN_A, 77), back;
	struct seen seen = {0};

	run.plan = json_pack("{s:i}", "x", 1);
	assert_done(fixture, nova_store_run_put(fixture->store, &run, &fixture->error));
	put_step(fixture, RUN_A, 0);
	struct nova_replicate at = begin_replicate(fixture, RUN_A, 0, 0, 1);
	struct nova_sample_record sample = some_sample(at, "m", 0, 1);
	assert_done(fixture, nova_store_sample_put(fixture->store, RUN_A, &sample, NULL));
	json_decref(run.plan);
	run.plan = NULL;
	strcpy(run.state, "complete");
	run.ended_utc_ns = 99;
	assert_done(fixture, nova_store_run_put(fixture->store, &run, &fixture->error));
	assert_done(fixture, nova_store_run_get(fixture->store, RUN_A, &back, &fixture->error));
	assert_string_equal(back.state, "complete");
	assert_true(back.ended_utc_ns == 99);
	assert_non_null(back.plan);
	nova_run_record_clear(&back);
	assert_done(fixture, nova_store_sample_each(fixture->store, RUN_A, 0, true, see_sample,
	                                            &seen, &fixture->error));
	assert_int_equal(seen.count, 1);
}

static void finds_run_by_prefix_and_last(void **state)
{
	struct fixture *fixture = *state;
	struct nova_run_record back;

	put_run(fixture, RUN_C, 1);
	put_run(fixture, RUN_A, 3);
	put_run(fixture, RUN_B, 2);
	assert_done(fixture, nova_store_run_get(fixture->store, "last", &back, &fixture->error));
	assert_string_equal(back.id, RUN_A);
	nova_run_record_clear(&back);
	assert_done(fixture, nova_store_run_get(fixture->store, "0222", &back, &fixture->error));
	assert_string_equal(back.id, RUN_C);
	nova_run_record_clear(&back);
}

static void refuses_unknown_short_and_ambiguous_ids(void **state)
{
	struct fixture *fixture = *state;
	struct nova_error *error = &fixture->error;
	struct nova_run_record back;

	assert_int_equal(nova_store_run_get(fixture->store, "last", &back, error),
	                 NOVA_E_NOT_FOUND);
	put_run(fixture, RUN_A, 1);
	put_run(fixture, RUN_B, 2);
	assert_int_equal(nova_store_run_get(fixture->store, "0193", &back, error), NOVA_E_INVALID);
	assert_non_null(strstr(error->text, RUN_A));
	assert_non_null(strstr(error->text, RUN_B));
	assert_int_equal(nova_store_run_get(fixture->store, "01", &back, error), NOVA_E_INVALID);
	assert_int_equal(nova_store_run_get(fixture->store, "", &back, error), NOVA_E_INVALID);
	assert_int_equal(nova_store_run_get(fixture->store, "01%3", &back, error), NOVA_E_INVALID);
	assert_int_equal(nova_store_run_get(fixture->store, "ffff", &back, error),
	                 NOVA_E_NOT_FOUND);
	assert_non_null(strstr(error->text, "ffff"));
}

static void lists_newest_run_first(void **state)
{
	struct fixture *fixture = *state;
	struct seen seen = {0};

	put_run(fixture, RUN_C, 1);
	put_run(fixture, RUN_A, 3);
	put_run(fixture, RUN_B, 2);
	assert_done(fixture, nova_store_run_each(fixture->store, see_run, &seen, &fixture->error));
	assert_string_equal(seen.text, "abc");
}

static void refuses_unknown_states(void **state)
{
	struct fixture *fixture = *state;
	struct nova_run_record run = some_run(RUN_A, 1);

	strcpy(run.state, "dreaming");
	assert_int_equal(nova_store_run_put(fixture->store, &run, &fixture->error), NOVA_E_INVALID);
	put_run(fixture, RUN_A, 1);
	put_step(fixture, RUN_A, 0);
	struct nova_replicate at = begin_replicate(fixture, RUN_A, 0, 0, 1);
	assert_int_equal(nova_store_replicate_end(fixture->store, RUN_A, &at, "perfect", NULL, NULL,
	                                          &fixture->error),
	                 NOVA_E_INVALID);
}

static int check_step(void *context, const struct nova_step_record *step)
{
	*(int *)context += 1;
	assert_int_equal(step->index, 4);
	assert_string_equal(step->why, "no KVM");
	assert_string_equal(step->state, "skipped");
	assert_true(step->order_seed == UINT64_C(0xfedcba9876543210));
	assert_int_equal(json_integer_value(json_array_get(step->targets, 0)), 2);
	assert_int_equal(json_integer_value(json_object_get(step->params, "count")), 7);
	return 0;
}

static void returns_step_as_put(void **state)
{
	struct fixture *fixture = *state;
	struct nova_step_record step = {.index = 4,
	                                .hash = "hash",
	                                .benchmark = "cpu",
	                                .state = "planned",
	                                .order_seed = UINT64_C(0xfedcba9876543210)};
	int count = 0;

	put_run(fixture, RUN_A, 1);
	step.targets = json_pack("[i]", 2);
	step.params = json_pack("{s:i}", "count", 7);
	assert_done(fixture, nova_store_step_put(fixture->store, RUN_A, &step, &fixture->error));
	strcpy(step.state, "skipped");
	step.why = nova_strdup("no KVM");
	assert_done(fixture, nova_store_step_put(fixture->store, RUN_A, &step, &fixture->error));
	nova_step_record_clear(&step);
	assert_done(fixture, nova_store_step_each(fixture->store, RUN_A, check_step, &count,
	                                          &fixture->error));
	assert_int_equal(count, 1);
	assert_int_equal(
	        nova_store_step_each(fixture->store, RUN_B, check_step, &count, &fixture->error),
	        NOVA_E_NOT_FOUND);
}

static void orders_samples_by_key_and_refuses_repetition(void **state)
{
	struct fixture *fixture = *state;
	struct seen seen = {0};

	put_run(fixture, RUN_A, 1);
	put_step(fixture, RUN_A, 0);
	struct nova_replicate second = begin_replicate(fixture, RUN_A, 0, 1, 1);
	struct nova_replicate first = begin_replicate(fixture, RUN_A, 0, 0, 1);
	struct nova_sample_record samples[] = {
	        some_sample(second, "b", 0, 5), some_sample(first, "b", 1, 3),
	        some_sample(first, "b", 0, 2), some_sample(first, "a", 0, 1),
	        some_sample(first, "a", 9, 4)};

	samples[4].vm = 2;
	for (size_t i = 0; i < NOVA_COUNT(samples); i++)
		assert_done(fixture, nova_store_sample_put(fixture->store, RUN_A, &samples[i],
		                                           &fixture->error));
	assert_int_equal(nova_store_sample_put(fixture->store, RUN_A, &samples[2], &fixture->error),
	                 NOVA_E_EXISTS);
	assert_done(fixture, nova_store_sample_each(fixture->store, RUN_A, 0, true, see_sample,
	                                            &seen, &fixture->error));
	assert_string_equal(seen.text, "0.1.1.1.a.0=1 0.1.1.1.b.0=2 0.1.1.1.b.1=3 0.1.1.2.a.9=4 "
	                               "1.1.1.1.b.0=5 ");
}

static void refuses_sample_without_number_or_replicate(void **state)
{
	struct fixture *fixture = *state;
	struct nova_error *error = &fixture->error;

	put_run(fixture, RUN_A, 1);
	put_step(fixture, RUN_A, 0);
	struct nova_replicate at = begin_replicate(fixture, RUN_A, 0, 0, 1);
	struct nova_sample_record sample = some_sample(at, "m", 0, NAN);

	assert_int_equal(nova_store_sample_put(fixture->store, RUN_A, &sample, error),
	                 NOVA_E_INVALID);
	sample.value = INFINITY;
	assert_int_equal(nova_store_sample_put(fixture->store, RUN_A, &sample, error),
	                 NOVA_E_INVALID);
	sample.value = 1;
	sample.status = 9;
	assert_int_equal(nova_store_sample_put(fixture->store, RUN_A, &sample, error),
	                 NOVA_E_INVALID);
	sample.status = NOVA_SAMPLE_OK;
	sample.at.attempt = 2;
	assert_int_equal(nova_store_sample_put(fixture->store, RUN_A, &sample, error),
	                 NOVA_E_NOT_FOUND);
	assert_int_equal(nova_store_sample_put(fixture->store, RUN_B, &sample, error),
	                 NOVA_E_NOT_FOUND);
}

static int timed_out_has_no_value(void *context, const struct nova_sample_record *sample)
{
	*(int *)context += 1;
	assert_int_equal(sample->status, NOVA_SAMPLE_TIMED_OUT);
	assert_true(sample->value == 0);
	assert_true(sample->t_ns == 1000 && sample->intended_ns == 900 && sample->error_ns == 1);
	return 0;
}

static void timeout_never_carries_a_value(void **state)
{
	struct fixture *fixture = *state;
	int count = 0;

	put_run(fixture, RUN_A, 1);
	put_step(fixture, RUN_A, 0);
	struct nova_replicate at = begin_replicate(fixture, RUN_A, 0, 0, 1);
	struct nova_sample_record sample = some_sample(at, "m", 0, 30);
	sample.status = NOVA_SAMPLE_TIMED_OUT;
	assert_done(fixture, nova_store_sample_put(fixture->store, RUN_A, &sample, NULL));
	assert_done(fixture, nova_store_sample_each(fixture->store, RUN_A, 0, false,
	                                            timed_out_has_no_value, &count, NULL));
	assert_int_equal(count, 1);
}

static int see_replicate(void *context, const struct nova_replicate *replicate, const char *state,
                         const uint32_t counts[4], const char *why)
{
	struct seen *seen = context;
	char line[96];

	snprintf(line, sizeof(line), "%u/%u:%s %u-%u-%u-%u %s; ", replicate->replicate,
	         replicate->attempt, state, counts[0], counts[1], counts[2], counts[3],
	         why ? why : "");
	strncat(seen->text, line, sizeof(seen->text) - strlen(seen->text) - 1);
	return 0;
}

static void resume_supersedes_only_unfinished_attempts(void **state)
{
	struct fixture *fixture = *state;
	struct nova_store *store = fixture->store;
	const uint32_t counts[4] = {3, 1, 1, 1};
	struct seen seen = {0}, all = {0}, counted = {0};

	put_run(fixture, RUN_A, 1);
	put_step(fixture, RUN_A, 0);
	for (uint32_t i = 0; i < 3; i++) {
		struct nova_replicate at = begin_replicate(fixture, RUN_A, 0, i, 1);
		struct nova_sample_record sample = some_sample(at, "m", 0, i);

		assert_done(fixture, nova_store_sample_put(store, RUN_A, &sample, NULL));
		if (i == 0)
			assert_done(fixture, nova_store_replicate_end(store, RUN_A, &at, "done",
			                                              counts, NULL, NULL));
		if (i == 1)
			assert_done(fixture, nova_store_replicate_end(store, RUN_A, &at, "warmup",
			                                              NULL, "first", NULL));
	}
	assert_done(fixture, nova_store_supersede(store, RUN_A, &fixture->error));
	struct nova_replicate again = begin_replicate(fixture, RUN_A, 0, 2, 2);
	struct nova_sample_record sample = some_sample(again, "m", 0, 7);
	assert_done(fixture, nova_store_sample_put(store, RUN_A, &sample, NULL));
	assert_done(fixture, nova_store_replicate_each(store, RUN_A, 0, see_replicate, &seen,
	                                               &fixture->error));
	assert_string_equal(seen.text, "0/1:done 3-1-1-1 ; 1/1:warmup 0-0-0-0 first; "
	                               "2/1:superseded 0-0-0-0 ; 2/2:running 0-0-0-0 ; ");
	assert_done(fixture, nova_store_sample_each(store, RUN_A, 0, true, see_sample, &all, NULL));
	assert_int_equal(all.count, 4);
	assert_done(fixture,
	            nova_store_sample_each(store, RUN_A, 0, false, see_sample, &counted, NULL));
	assert_string_equal(counted.text, "0.1.1.1.m.0=0 2.2.1.1.m.0=7 ");
	memset(&counted, 0, sizeof(counted));
	assert_done(fixture,
	            nova_store_sample_range(store, RUN_A, 0, 1, 3, see_sample, &counted, NULL));
	assert_string_equal(counted.text, "2.2.1.1.m.0=7 ");
	assert_done(fixture,
	            nova_store_sample_range(store, RUN_A, 0, 3, 9, see_sample, &counted, NULL));
	assert_int_equal(counted.count, 1);
}

static void refuses_same_attempt_twice(void **state)
{
	struct fixture *fixture = *state;

	put_run(fixture, RUN_A, 1);
	put_step(fixture, RUN_A, 0);
	struct nova_replicate at = begin_replicate(fixture, RUN_A, 0, 0, 1);
	assert_int_equal(nova_store_replicate_begin(fixture->store, RUN_A, &at, &fixture->error),
	                 NOVA_E_EXISTS);
	at.side = 0;
	assert_int_equal(nova_store_replicate_begin(fixture->store, RUN_A, &at, &fixture->error),
	                 NOVA_E_INVALID);
	at.side = NOVA_SIDE_VM;
	at.replicate = 9;
	assert_int_equal(nova_store_replicate_end(fixture->store, RUN_A, &at, "done", NULL, NULL,
	                                          &fixture->error),
	                 NOVA_E_NOT_FOUND);
}

static int see_journal(void *context, const struct nova_journal_record *record)
{
	struct seen *seen = context;
	char line[128];

	snprintf(line, sizeof(line), "%s %s %s %s; ", record->kind, record->name,
	         record->id ? record->id : "-",
	         json_string_value(json_object_get(record->target, "plugin")));
	strncat(seen->text, line, sizeof(seen->text) - strlen(seen->text) - 1);
	seen->count++;
	return 0;
}

static void journal_numbers_and_forgets_only_what_is_gone(void **state)
{
	struct fixture *fixture = *state;
	struct nova_store *store = fixture->store;
	NOVA_AUTOJSON json_t *target = json_pack("{s:s}", "plugin", "kvm");
	struct nova_journal_record record = {.run = RUN_A, .kind = "vm", .target = target};
	struct seen seen = {0};
	uint64_t number = 99;

	put_run(fixture, RUN_A, 1);
	for (int i = 0; i < 2; i++) {
		assert_done(fixture, nova_store_journal_next(store, RUN_A, &number, NULL));
		assert_int_equal(number, i);
		record.number = number;
		snprintf(record.name, sizeof(record.name), "novacore-x-%d", i);
		assert_done(fixture, nova_store_journal_intend(store, &record, &fixture->error));
	}
	assert_int_equal(nova_store_journal_intend(store, &record, NULL), NOVA_E_EXISTS);
	assert_done(fixture, nova_store_journal_id(store, "novacore-x-0", "uuid", NULL));
	assert_int_equal(nova_store_run_delete(store, RUN_A, &fixture->error), NOVA_E_BUSY);
	assert_done(fixture, nova_store_journal_gone(store, "novacore-x-1", NULL));
	assert_int_equal(nova_store_journal_gone(store, "other", NULL), NOVA_E_NOT_FOUND);
	fixture_reopen(fixture);
	store = fixture->store;
	assert_done(fixture, nova_store_journal_each(store, NULL, see_journal, &seen, NULL));
	assert_string_equal(seen.text, "vm novacore-x-0 uuid kvm; ");
	assert_done(fixture, nova_store_journal_each(store, RUN_B, see_journal, &seen, NULL));
	assert_int_equal(seen.count, 1);
	assert_done(fixture, nova_store_journal_next(store, RUN_A, &number, NULL));
	assert_int_equal(number, 2);
}

static int see_audit(void *context, int64_t utc_ns, const char *target, const char *call,
                     const char *object, int32_t status, int64_t duration_ns)
{
	assert_true(utc_ns > 0 && duration_ns == 12);
	assert_string_equal(target, "local");
	assert_string_equal(call, "vm_create");
	assert_string_equal(object, "novacore-x-0");
	assert_int_equal(status, NOVA_E_FAILED);
	++*(int *)context;
	return 0;
}

static void deletes_run_with_its_samples_but_keeps_audit(void **state)
{
	struct fixture *fixture = *state;
	struct nova_store *store = fixture->store;
	struct seen seen = {0};
	int audits = 0;

	put_run(fixture, RUN_A, 1);
	put_step(fixture, RUN_A, 0);
	struct nova_replicate at = begin_replicate(fixture, RUN_A, 0, 0, 1);
	struct nova_sample_record sample = some_sample(at, "m", 0, 1);
	assert_done(fixture, nova_store_sample_put(store, RUN_A, &sample, NULL));
	assert_done(fixture, nova_store_audit(store, RUN_A, "local", "vm_create", "novacore-x-0",
	                                      NOVA_E_FAILED, 12, NULL));
	assert_done(fixture, nova_store_run_delete(store, "last", &fixture->error));
	assert_int_equal(nova_store_run_delete(store, RUN_A, NULL), NOVA_E_NOT_FOUND);
	put_run(fixture, RUN_A, 1);
	assert_done(fixture,
	            nova_store_sample_each(store, RUN_A, 0, true, see_sample, &seen, NULL));
	assert_int_equal(seen.count, 0);
	assert_done(fixture, nova_store_audit_each(store, RUN_A, see_audit, &audits, NULL));
	assert_int_equal(audits, 1);
}

static void rollback_undoes_and_commit_keeps(void **state)
{
	struct fixture *fixture = *state;
	struct nova_run_record back;

	assert_done(fixture, nova_store_begin(fixture->store, &fixture->error));
	put_run(fixture, RUN_A, 1);
	assert_int_equal(nova_store_begin(fixture->store, &fixture->error), NOVA_E_INTERNAL);
	nova_store_rollback(fixture->store);
	assert_int_equal(nova_store_run_get(fixture->store, RUN_A, &back, NULL), NOVA_E_NOT_FOUND);
	assert_done(fixture, nova_store_begin(fixture->store, &fixture->error));
	put_run(fixture, RUN_B, 1);
	assert_done(fixture, nova_store_commit(fixture->store, &fixture->error));
	fixture_reopen(fixture);
	assert_done(fixture, nova_store_run_get(fixture->store, RUN_B, &back, &fixture->error));
	nova_run_record_clear(&back);
	assert_int_equal(nova_store_commit(fixture->store, NULL), NOVA_E_INTERNAL);
}

static void rollback_forgets_a_run_that_it_undid(void **state)
{
	struct fixture *fixture = *state;
	struct nova_step_record step = {.hash = "h", .benchmark = "b", .state = "planned"};

	assert_done(fixture, nova_store_begin(fixture->store, &fixture->error));
	put_run(fixture, RUN_A, 1);
	put_step(fixture, RUN_A, 0);
	nova_store_rollback(fixture->store);
	assert_int_equal(nova_store_step_put(fixture->store, RUN_A, &step, &fixture->error),
	                 NOVA_E_NOT_FOUND);
}

static void facts_outlive_the_handle(void **state)
{
	struct fixture *fixture = *state;
	char *value;

	assert_null(nova_store_fact_get(fixture->store, "trial"));
	assert_done(fixture, nova_store_fact_put(fixture->store, "trial", "tcg", NULL));
	assert_done(fixture, nova_store_fact_put(fixture->store, "trial", "kvm", NULL));
	fixture_reopen(fixture);
	value = nova_store_fact_get(fixture->store, "trial");
	assert_string_equal(value, "kvm");
	free(value);
	assert_done(fixture, nova_store_fact_put(fixture->store, "trial", NULL, NULL));
	assert_null(nova_store_fact_get(fixture->store, "trial"));
}

static int see_evidence(void *context, const struct nova_sample_record *sample)
{
	char *seen = context;

	snprintf(seen + strlen(seen), 64 - strlen(seen), "%u:%s ", sample->status,
	         sample->why ? sample->why : "-");
	return 0;
}

static int see_order(void *context, const struct nova_replicate *replicate, const char *state,
                     const uint32_t counts[4], const char *why)
{
	(void)state;
	(void)counts;
	(void)why;
	*(uint32_t *)context = *(uint32_t *)context * 10 + replicate->order;
	return 0;
}

static int see_step_end(void *context, const struct nova_step_record *step)
{
	assert_string_equal(step->stopped, "precision");
	assert_int_equal(step->estimate_ns, 1500);
	++*(int *)context;
	return 0;
}

/* Why a sample failed, in which order replicates ran, what ended the step. */
static void keeps_evidence_order_and_end_of_a_step(void **state)
{
	struct fixture *fixture = *state;
	struct nova_step_record step = {.hash = "h",
	                                .benchmark = "cpu",
	                                .state = "done",
	                                .stopped = "precision",
	                                .estimate_ns = 1500};
	struct nova_replicate vm = {0, 0, NOVA_SIDE_VM, 1, 2},
	                      native = {0, 0, NOVA_SIDE_NATIVE, 1, 1};
	struct nova_sample_record good, bad;
	char seen[64] = "";
	uint32_t order = 0;
	int steps = 0;

	put_run(fixture, RUN_A, 1);
	assert_done(fixture, nova_store_step_put(fixture->store, RUN_A, &step, &fixture->error));
	assert_done(fixture, nova_store_replicate_begin(fixture->store, RUN_A, &native, NULL));
	assert_done(fixture, nova_store_replicate_begin(fixture->store, RUN_A, &vm, NULL));
	good = some_sample(vm, "m", 0, 1);
	bad = some_sample(vm, "m", 1, 0);
	good.why = "of no use";
	bad.status = NOVA_SAMPLE_FAILED;
	bad.why = "cut off:\n{";
	assert_done(fixture, nova_store_sample_put(fixture->store, RUN_A, &good, NULL));
	assert_done(fixture, nova_store_sample_put(fixture->store, RUN_A, &bad, NULL));
	fixture_reopen(fixture);
	assert_done(fixture, nova_store_sample_each(fixture->store, RUN_A, 0, true, see_evidence,
	                                            seen, NULL));
	assert_string_equal(seen, "1:- 2:cut off:\n{ ");
	assert_done(fixture,
	            nova_store_replicate_each(fixture->store, RUN_A, 0, see_order, &order, NULL));
	assert_int_equal(order, 21);
	assert_done(fixture,
	            nova_store_step_each(fixture->store, RUN_A, see_step_end, &steps, NULL));
	assert_int_equal(steps, 1);
	snprintf(step.stopped, sizeof(step.stopped), "boredom");
	assert_true(nova_store_step_put(fixture->store, RUN_A, &step, NULL) < 0);
}

static int see_target(void *context, const struct nova_journal_record *record)
{
	char *text = json_dumps(record->target, JSON_COMPACT);

	snprintf(context, 64, "%s", text);
	free(text);
	return 0;
}

static void journal_follows_a_vm_to_another_target(void **state)
{
	struct fixture *fixture = *state;
	struct nova_journal_record record = {.run = RUN_A, .kind = "vm", .name = "novacore-x-0"};
	NOVA_AUTOJSON json_t *here = json_pack("{ss}", "plugin", "a");
	NOVA_AUTOJSON json_t *there = json_pack("{ss}", "plugin", "b");
	char seen[64] = "";

	put_run(fixture, RUN_A, 1);
	record.target = here;
	assert_done(fixture, nova_store_journal_intend(fixture->store, &record, NULL));
	assert_done(fixture,
	            nova_store_journal_target(fixture->store, "novacore-x-0", there, NULL));
	fixture_reopen(fixture);
	assert_done(fixture, nova_store_journal_each(fixture->store, NULL, see_target, seen, NULL));
	assert_string_equal(seen, "{\"plugin\":\"b\"}");
	assert_int_equal(nova_store_journal_target(fixture->store, "other", there, NULL),
	                 NOVA_E_NOT_FOUND);
}

int main(void)
{
#define FRESH(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(makes_directories_and_private_file,
	                                        fixture_setup_closed, fixture_teardown),
	        FRESH(keeps_installation_id),
	        FRESH(returns_run_as_put),
	        FRESH(update_of_run_keeps_plan_and_steps),
	        FRESH(finds_run_by_prefix_and_last),
	        FRESH(refuses_unknown_short_and_ambiguous_ids),
	        FRESH(lists_newest_run_first),
	        FRESH(refuses_unknown_states),
	        FRESH(returns_step_as_put),
	        FRESH(orders_samples_by_key_and_refuses_repetition),
	        FRESH(refuses_sample_without_number_or_replicate),
	        FRESH(timeout_never_carries_a_value),
	        FRESH(resume_supersedes_only_unfinished_attempts),
	        FRESH(refuses_same_attempt_twice),
	        FRESH(keeps_evidence_order_and_end_of_a_step),
	        FRESH(journal_numbers_and_forgets_only_what_is_gone),
	        FRESH(journal_follows_a_vm_to_another_target),
	        FRESH(deletes_run_with_its_samples_but_keeps_audit),
	        FRESH(rollback_undoes_and_commit_keeps),
	        FRESH(rollback_forgets_a_run_that_it_undid),
	        FRESH(facts_outlive_the_handle),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
