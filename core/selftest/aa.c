/* SPDX-License-Identifier: MIT */
/*
 * A against A on this host: series of real, native measurements in which nothing was changed, and
 * how often the detector of changes says otherwise. Beside it the same series in a drawn order: in
 * that there is no change by construction, so what it reports are false alarms; what the measured
 * order has beyond them is the host's own drift, which a right detector reports.
 */
#include "core/selftest/check.h"

#include <novacore/types.h>

#include "core/stats/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HASHED_BYTES (64u << 10)
#define COPIED_BYTES (2u << 20)
#define TURNS        20 /* through a pipe and back */

/* What the kinds work on. */
struct bench {
	char *from, *to; /* COPIED_BYTES */
	int there[2], back[2];
	pthread_t echo;
	bool echoes;
};

/* --- kinds: each returns the ns that it took, or a code (< 0) -----------------------------------
 */

static int64_t spawn(struct bench *bench, struct nova_error *error)
{
	(void)bench;
	return nova_selftest_spawn(error);
}

static int64_t hash(struct bench *bench, struct nova_error *error)
{
	int64_t begin = nova_now_ns();
	char digest[65];

	(void)error;
	nova_sha256(bench->from, HASHED_BYTES, digest);
	bench->from[0] = digest[0]; /* the next one has other bytes */
	return nova_now_ns() - begin;
}

static int64_t copy(struct bench *bench, struct nova_error *error)
{
	int64_t begin = nova_now_ns();

	(void)error;
	memcpy(bench->to, bench->from, COPIED_BYTES);
	bench->from[1] = (char)(bench->to[COPIED_BYTES - 1] + 1);
	return nova_now_ns() - begin;
}

static ssize_t take_byte(int fd, char *byte)
{
	ssize_t got;

	do
		got = read(fd, byte, 1);
	while (got < 0 && errno == EINTR);
	return got;
}

static int64_t switch_threads(struct bench *bench, struct nova_error *error)
{
	int64_t begin = nova_now_ns();
	char byte = '.';

	for (int i = 0; i < TURNS; i++)
		if (write(bench->there[1], &byte, 1) != 1 || take_byte(bench->back[0], &byte) != 1)
			return nova_error_errno(error, "cannot use a pipe");
	return nova_now_ns() - begin;
}

static const struct {
	const char *name, *what;
	int64_t (*time)(struct bench *bench, struct nova_error *error);
} KINDS[] = {
        {"spawn", "starting a process that does nothing, to its end", spawn},
        {"hash", "SHA-256 of 64 KiB", hash},
        {"copy", "copying 2 MiB", copy},
        {"switch", "20 turns between two threads", switch_threads},
};

/* --- the bench --------------------------------------------------------------------------------
 */

/* Gives back each byte until there are no more. */
static void *echo(void *context)
{
	struct bench *bench = context;
	char byte;

	while (take_byte(bench->there[0], &byte) == 1)
		if (write(bench->back[1], &byte, 1) != 1)
			break;
	return NULL;
}

static void bench_close(struct bench *bench)
{
	if (bench->there[1] >= 0)
		close(bench->there[1]); /* ends the echo */
	if (bench->echoes)
		pthread_join(bench->echo, NULL);
	for (int i = 0; i < 2; i++) {
		if (bench->back[i] >= 0)
			close(bench->back[i]);
	}
	if (bench->there[0] >= 0)
		close(bench->there[0]);
	free(bench->from);
	free(bench->to);
}

static int bench_open(struct bench *bench, struct nova_error *error)
{
	*bench = (struct bench){.there = {-1, -1}, .back = {-1, -1}};
	bench->from = nova_alloc(COPIED_BYTES);
	bench->to = nova_alloc(COPIED_BYTES);
	memset(bench->from, 'a', COPIED_BYTES);
	if (pipe2(bench->there, O_CLOEXEC) || pipe2(bench->back, O_CLOEXEC))
		return nova_error_errno(error, "cannot make a pipe");
	errno = pthread_create(&bench->echo, NULL, echo, bench);
	bench->echoes = errno == 0;
	return bench->echoes ? 0 : nova_error_errno(error, "cannot start a thread");
}

/* --- rates --------------------------------------------------------------------------------------
 */

struct tally {
	size_t series, alarms, permuted;
	double *medians, *correlations; /* of each series */
};

static void shuffle(double *values, size_t count, uint64_t seed)
{
	for (size_t i = count; i > 1; i--) {
		size_t k = (size_t)(nova_seed_derive(seed, i) % i);
		double kept = values[i - 1];

		values[i - 1] = values[k];
		values[k] = kept;
	}
}

static void judge(struct tally *tally, double *values, size_t count, uint64_t seed)
{
	NOVA_AUTOFREE double *sorted = nova_alloc(count * sizeof(*sorted));

	memcpy(sorted, values, count * sizeof(*sorted));
	nova_stats_sort(sorted, count);
	tally->medians = nova_grow(tally->medians, tally->series, sizeof(double));
	tally->correlations = nova_grow(tally->correlations, tally->series, sizeof(double));
	tally->medians[tally->series] = nova_stats_median(sorted, count);
	tally->correlations[tally->series++] = nova_stats_rank_autocorrelation(values, count);
	tally->alarms += nova_selftest_alarm(values, count, 0);
	shuffle(values, count, seed);
	tally->permuted += nova_selftest_alarm(values, count, 0);
}

static json_t *rate_json(size_t alarms, size_t series)
{
	double low, high;

	if (!nova_stats_share(alarms, series, NOVA_SELFTEST_LEVEL, &low, &high))
		return json_pack("{si sn sn}", "alarms", 0, "rate", "interval");
	return json_pack("{sI sf s[ff]}", "alarms", (json_int_t)alarms, "rate",
	                 (double)alarms / (double)series, "interval", low, high);
}

static json_t *tally_json(struct tally *tally, const char *kind, const char *what, bool has_median)
{
	size_t n = tally->series;
	json_t *correlation = json_null(), *median = json_null();

	nova_stats_sort(tally->medians, n);
	nova_stats_sort(tally->correlations, n);
	if (n) {
		correlation =
		        json_pack("{sf sf}", "median", nova_stats_median(tally->correlations, n),
		                  "p90", nova_stats_quantile(tally->correlations, n, 0.9));
		median = has_median ? json_real(nova_stats_median(tally->medians, n)) : median;
	}
	return json_pack("{ss ss sI so so so so}", "kind", kind, "what", what, "series",
	                 (json_int_t)n, "median_s", median, "autocorrelation", correlation,
	                 "measured", rate_json(tally->alarms, n), "permuted",
	                 rate_json(tally->permuted, n));
}

static void add_tally(struct tally *all, const struct tally *one)
{
	for (size_t i = 0; i < one->series; i++) {
		all->medians = nova_grow(all->medians, all->series, sizeof(double));
		all->correlations = nova_grow(all->correlations, all->series, sizeof(double));
		all->medians[all->series] = one->medians[i];
		all->correlations[all->series++] = one->correlations[i];
	}
	all->alarms += one->alarms;
	all->permuted += one->permuted;
}

static void drop_tally(struct tally *tally)
{
	free(tally->medians);
	free(tally->correlations);
}

/* --- measuring ----------------------------------------------------------------------------------
 */

static int measure_series(const struct nova_selftest_aa_request *request, size_t kind,
                          struct bench *bench, double *values, struct nova_error *error)
{
	for (size_t i = 0; i < request->points; i++) {
		int64_t ns = KINDS[kind].time(bench, error);

		if (ns < 0)
			return (int)ns;
		values[i] = (double)ns / 1e9;
		if (request->host.stop && *request->host.stop)
			return NOVA_E_INTERRUPTED;
	}
	return 0;
}

/* The kinds take turns, so that each sees all of the time. */
static int measure_all(const struct nova_selftest_aa_request *request, struct tally *tallies,
                       size_t *done, struct nova_error *error)
{
	NOVA_AUTOFREE double *values = nova_alloc(request->points * sizeof(*values));
	int64_t begun_ns = nova_now_ns();
	struct bench bench;
	int code = bench_open(&bench, error);

	for (size_t i = 0; !code && i < request->series; i++) {
		int64_t passed_ns = nova_now_ns() - begun_ns;
		size_t kind = i % NOVA_COUNT(KINDS);

		nova_selftest_tell(&request->host,
		                   i ? passed_ns / (int64_t)i * (int64_t)(request->series - i) : -1,
		                   "series %zu of %u", i + 1, request->series);
		code = measure_series(request, kind, &bench, values, error);
		if (code)
			break;
		judge(&tallies[kind], values, request->points, nova_seed_derive(request->seed, i));
		*done = i + 1;
	}
	bench_close(&bench);
	return code == NOVA_E_INTERRUPTED ? 0 : code;
}

static void add_kinds(json_t *report, struct tally *tallies)
{
	json_t *kinds = json_object_get(report, "kinds");
	struct tally all = {0};

	for (size_t i = 0; i < NOVA_COUNT(KINDS); i++) {
		add_tally(&all, &tallies[i]);
		json_array_append_new(kinds,
		                      tally_json(&tallies[i], KINDS[i].name, KINDS[i].what, true));
	}
	json_array_append_new(kinds, tally_json(&all, "all", "all of them", false));
	drop_tally(&all);
}

int nova_selftest_aa(const struct nova_selftest_aa_request *request, json_t **report,
                     struct nova_error *error)
{
	struct tally tallies[NOVA_COUNT(KINDS)] = {0};
	json_t *load = nova_selftest_load();
	int64_t begun_ns = nova_now_ns();
	size_t done = 0;
	char started[32];
	int code;

	nova_utc_format(nova_utc_ns(), started);
	code = measure_all(request, tallies, &done, error);
	if (code) {
		json_decref(load);
	} else {
		*report = json_pack(
		        "{ss ss sI sI sI sI sf ss ss sf s{sI so so} s[]}", "schema",
		        "novacore.selftest-aa/1", "novacore", NOVACORE_VERSION, "seed",
		        (json_int_t)request->seed, "series", (json_int_t)request->series, "done",
		        (json_int_t)done, "points", (json_int_t)request->points, "level",
		        NOVA_SELFTEST_LEVEL, "sensitivity", "default", "started", started, "time_s",
		        (double)(nova_now_ns() - begun_ns) / 1e9, "machine", "processors",
		        (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "load_before", load,
		        "load_after", nova_selftest_load(), "kinds");
		add_kinds(*report, tallies);
	}
	for (size_t i = 0; i < NOVA_COUNT(tallies); i++)
		drop_tally(&tallies[i]);
	return code;
}
