/* SPDX-License-Identifier: MIT */
/*
 * A store in a directory of its own, and short ways to fill it. For the tests of core/store and of
 * what reads from it.
 */
#ifndef NOVACORE_TEST_STORE_FIXTURE_H
#define NOVACORE_TEST_STORE_FIXTURE_H

#include "core/store/store.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define RUN_A "01932b5e-0000-7000-8000-00000000000a"
#define RUN_B "01932b5e-0000-7000-8000-00000000000b"
#define RUN_C "02222222-0000-7000-8000-00000000000c"

struct fixture {
	char directory[64];
	char path[96];
	struct nova_store *store;
	struct nova_error error;
};

#define assert_done(fixture, call)                                                                 \
	do {                                                                                       \
		int code_ = (call);                                                                \
		if (code_)                                                                         \
			fail_msg("%s: %d: %s", #call, code_, (fixture)->error.text);               \
	} while (0)

static inline void fixture_open(struct fixture *fixture)
{
	assert_done(fixture, nova_store_open(fixture->path, &fixture->store, &fixture->error));
}

static inline void fixture_reopen(struct fixture *fixture)
{
	nova_store_close(fixture->store);
	fixture->store = NULL;
	fixture_open(fixture);
}

static inline int fixture_setup_closed(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	snprintf(fixture->directory, sizeof(fixture->directory), "%s/novacore-store-XXXXXX",
	         getenv("TMPDIR") && strlen(getenv("TMPDIR")) < 30 ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(fixture->directory))
		return -1;
	snprintf(fixture->path, sizeof(fixture->path), "%s/novacore.db", fixture->directory);
	*state = fixture;
	return 0;
}

static inline int fixture_setup(void **state)
{
	int code = fixture_setup_closed(state);

	if (!code)
		fixture_open(*state);
	return code;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;

	nova_store_close(fixture->store);
	nova_directory_remove(fixture->directory, NULL);
	free(fixture);
	return 0;
}

static inline struct nova_run_record some_run(const char *id, int64_t started)
{
	struct nova_run_record run = {.state = "running",
	                              .profile = "dev",
	                              .seed = UINT64_C(0xffffffffffffff07),
	                              .started_utc_ns = started,
	                              .anchor_monotonic_ns = 5,
	                              .anchor_utc_ns = started,
	                              .boot_id = "b1"};

	snprintf(run.id, sizeof(run.id), "%s", id);
	return run;
}

static inline void put_run(struct fixture *fixture, const char *id, int64_t started)
{
	struct nova_run_record run = some_run(id, started);

	assert_done(fixture, nova_store_run_put(fixture->store, &run, &fixture->error));
}

static inline void put_step(struct fixture *fixture, const char *run, uint32_t index)
{
	struct nova_step_record step = {
	        .index = index, .hash = "h", .benchmark = "lifecycle", .state = "running"};

	assert_done(fixture, nova_store_step_put(fixture->store, run, &step, &fixture->error));
}

static inline struct nova_replicate begin_replicate(struct fixture *fixture, const char *run,
                                                    uint32_t step, uint32_t number,
                                                    uint32_t attempt)
{
	struct nova_replicate at = {
	        .step = step, .replicate = number, .side = NOVA_SIDE_VM, .attempt = attempt};

	assert_done(fixture, nova_store_replicate_begin(fixture->store, run, &at, &fixture->error));
	return at;
}

static inline struct nova_sample_record some_sample(struct nova_replicate at, const char *metric,
                                                    uint32_t seq, double value)
{
	struct nova_sample_record sample = {.at = at,
	                                    .vm = 1,
	                                    .seq = seq,
	                                    .status = NOVA_SAMPLE_OK,
	                                    .value = value,
	                                    .t_ns = 1000 + seq,
	                                    .intended_ns = 900,
	                                    .error_ns = 1};

	snprintf(sample.metric, sizeof(sample.metric), "%s", metric);
	return sample;
}

/* As root no permission is ever refused: such tests go on as an ordinary user, who owns the place.
 */
static inline void become_ordinary(struct fixture *fixture)
{
	if (geteuid() == 0) {
		assert_int_equal(chown(fixture->directory, 65534, 65534), 0);
		assert_int_equal(seteuid(65534), 0);
	}
}

static inline void become_self(void)
{
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
}

#endif
