/* SPDX-License-Identifier: MIT */
/* The storage benchmark in the test host; its reader of fio's JSON; what is a place for a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <novacore/testhost.h>

#include "fio.h"
#include "place.h"
#include "programs.h"
#include "recorded.h"

const struct nova_plugin *nova_plugin_entry_v1(const struct nova_host *host);

static struct nova_testhost *host;

/* The test host's own directories may be in memory, as /tmp often is. */
#define FOLDER (place + strlen("place="))
static char place[] = "place=/var/tmp/novacore-place-XXXXXX";

static int make_place(void **state)
{
	return mkdtemp(FOLDER) ? programs_make(state) : -1;
}

static int remove_place(void **state)
{
	programs_remove(state);
	return rmdir(FOLDER); /* empty: nothing was left there */
}

static int clean(void **state)
{
	(void)state;
	nova_testhost_free(host);
	host = NULL;
	return 0;
}

/* A host whose shell prints this file, up to so many bytes. */
static void make(const char *const *parameters, const char *file, size_t bytes)
{
	struct recorded report = recorded_read(RECORDED, file);
	char *text = strndup(report.text, bytes < report.bytes ? bytes : report.bytes);

	clean(NULL);
	host = nova_testhost_new(nova_plugin_entry_v1(NULL), parameters);
	assert_non_null(host);
	assert_int_equal(nova_testhost_start(host), NOVA_DONE);
	nova_testhost_script_exec(host, "sh", text, 0);
	free(text);
	free(report.text);
}
#define PLAIN ((const char *const[]){"cpus=none", place, NULL})

static void run(uint32_t side)
{
	assert_int_equal(nova_testhost_replicate(host, 0, side), NOVA_DONE);
	assert_int_equal(nova_testhost_complaints(host), 0);
}

static void assert_value(const char *metric, double expected)
{
	const struct nova_sample *sample = nova_testhost_sample_of(host, metric, 0);

	assert_non_null(sample);
	assert_int_equal(sample->status, NOVA_SAMPLE_OK);
	assert_true(fabs(sample->value - expected) <= fabs(expected) * 1e-9);
}

/* --- the benchmark -------------------------------------------------------------------------- */

static void puts_each_jobs_own_half(void **state)
{
	(void)state;
	make(PLAIN, "fio-guest.txt", SIZE_MAX);
	run(NOVA_SIDE_VM);
	assert_value("storage.read.seq.rate", 687932564);
	assert_value("storage.write.seq.rate", 2046844026);
	assert_value("storage.read.rand.iops", 5229.249012);
	assert_value("storage.write.rand.iops", 8498.501499);
	assert_value("storage.read.rand.latency.p50", 2342912e-9);
	assert_value("storage.read.rand.latency.p99", 26607616e-9);
	assert_value("storage.write.rand.latency.p50", 2375680e-9);
	assert_value("storage.write.rand.latency.p99", 23199744e-9);
	assert_int_equal(nova_testhost_attempts(host, NOVA_SAMPLE_OK), 1);
}

static void orders_the_same_of_fio_on_both_sides(void **state)
{
	static const char fio[] =
	        " fio --output-format=json --thread --direct=1 --ioengine=io_uring --iodepth=4 "
	        "--filename=/proc/self/fd/3 --size=2097152 --lat_percentiles=1 "
	        "--clat_percentiles=0 "
	        "--group_reporting --name=fill --rw=write --bs=1M --end_fsync=1 --name=read.seq "
	        "--stonewall --rw=read --bs=1M --runtime=3 --time_based --numjobs=2 "
	        "--name=write.seq "
	        "--stonewall --rw=write --bs=1M --runtime=3 --time_based --numjobs=2 "
	        "--name=read.rand "
	        "--stonewall --rw=randread --bs=4k --runtime=3 --time_based --numjobs=2 "
	        "--name=write.rand --stonewall --rw=randwrite --bs=4k --runtime=3 --time_based "
	        "--numjobs=2";
	const char *parameters[] = {
	        "cpus=none", "threads=2",       "size=2.5MiB",          "duration=3s",
	        "depth=4",   "engine=io_uring", "guest_directory=/srv", place,
	        NULL};
	const char *command;

	(void)state;
	make(parameters, "fio-guest.txt", SIZE_MAX);
	run(NOVA_SIDE_VM);
	command = nova_testhost_command(host, 1);
	assert_non_null(strstr(command, " novacore-storage /srv 2097152 fio"));
	assert_string_equal(strstr(command, " fio --output"), fio);
	make(parameters, "fio-guest.txt", SIZE_MAX);
	run(NOVA_SIDE_NATIVE);
	command = nova_testhost_command(host, 0);
	assert_null(strstr(command, "/srv"));
	assert_string_equal(strstr(command, " fio --output"), fio);
}

static void output_that_is_cut_off_fails_with_the_text(void **state)
{
	(void)state;
	make(PLAIN, "fio-host.txt", 9000);
	run(NOVA_SIDE_NATIVE);
	for (uint32_t i = 0; i < 8; i++) {
		const struct nova_sample *sample = nova_testhost_sample(host, i);

		assert_int_equal(sample->status, NOVA_SAMPLE_FAILED);
		assert_non_null(strstr(sample->why, "fio's report is not what it should be: it is "
		                                    "no JSON"));
		assert_non_null(strstr(sample->why, "\"fio version\""));
	}
}

static void refuses_a_place_that_is_none_or_in_memory(void **state)
{
	static const char *const wrong[][2] = {{"place=/none/at/all", "No such file"},
	                                       {"place=/etc/passwd", "is no directory"},
	                                       {"place=/dev/shm", "is in memory (tmpfs)"}};
	struct statfs about;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *parameters[] = {wrong[i][0], NULL};

		if (i == 2 && (statfs("/dev/shm", &about) != 0 || about.f_type != 0x01021994))
			continue;
		clean(NULL);
		host = nova_testhost_new(nova_plugin_entry_v1(NULL), parameters);
		assert_non_null(host);
		assert_int_equal(nova_testhost_start(host), NOVA_E_INVALID);
		if (!strstr(nova_testhost_error(host), wrong[i][1]))
			fail_msg("%s", nova_testhost_error(host));
	}
}

static void refuses_more_than_the_place_has(void **state)
{
	const char *parameters[] = {"size=1TiB", place, NULL};

	(void)state;
	host = nova_testhost_new(nova_plugin_entry_v1(NULL), parameters);
	assert_int_equal(nova_testhost_start(host), NOVA_E_FULL);
	assert_non_null(strstr(nova_testhost_error(host), "1048608 MiB are needed"));
}

static void a_target_must_honour_the_place(void **state)
{
	(void)state;
	make(PLAIN, "fio-host.txt", SIZE_MAX);
	nova_testhost_deny(host, NOVA_CAN_PLACE, "it has one disk");
	assert_int_equal(nova_testhost_replicate(host, 0, NOVA_SIDE_VM), NOVA_E_UNSUPPORTED);
	assert_non_null(strstr(nova_testhost_error(host),
	                       "the target does not let its disks be put somewhere: it has one "
	                       "disk"));
	make(PLAIN, "fio-host.txt", SIZE_MAX);
	run(NOVA_SIDE_NATIVE);
	assert_non_null(strstr(nova_testhost_command(host, 0), FOLDER));
}

static void refuses_wrong_parameters(void **state)
{
	static const char *const wrong[] = {"size=1",    "size=0MiB",  "duration=0s",
	                                    "depth=0",   "depth=1025", "engine=mmap",
	                                    "threads=0", "sizes=1MiB"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *parameters[] = {wrong[i], NULL};

		assert_null(nova_testhost_new(nova_plugin_entry_v1(NULL), parameters));
	}
}

/* --- fio's JSON ------------------------------------------------------------------------------- */

static const struct storage_job jobs[] = {
        {"fill", 1}, {"read.seq", 0}, {"write.seq", 1}, {"read.rand", 0}, {"write.rand", 1}};
#define JOBS (sizeof(jobs) / sizeof(jobs[0]))
static const char *const files[] = {"fio-host.txt", "fio-guest.txt"};

static int read_text(const char *text, size_t bytes, struct storage_figures figures[JOBS],
                     char why[256])
{
	memset(figures, 0, JOBS * sizeof(*figures));
	why[0] = '\0';
	return storage_read_fio(text, bytes, jobs, JOBS, figures, why, 256);
}

/* Every so many bytes: each look is as long as the text. */
static void truncated_it_gives_no_figure(void **state)
{
	struct storage_figures figures[JOBS];
	char why[256];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct recorded file = recorded_read(RECORDED, files[i]);
		size_t last = file.bytes;

		while (file.text[last - 1] != '}') /* what follows is empty */
			last--;
		for (size_t bytes = 0; bytes < last;
		     bytes += bytes < 64 || last - bytes < 64 ? 1 : 17) {
			char *text = malloc(bytes + 1); /* so that a byte too far is seen */

			assert_non_null(text);
			memcpy(text, file.text, bytes);
			assert_int_equal(read_text(text, bytes, figures, why), -1);
			assert_true(why[0] != '\0' && figures[1].bytes_per_s < 1);
			free(text);
		}
		assert_int_equal(read_text(file.text, file.bytes, figures, why), 0);
		free(file.text);
	}
}

static void changed_it_never_gives_a_zero(void **state)
{
	static const char others[] = {'0', '-', '}', '"', '\0', (char)0xff};
	struct storage_figures figures[JOBS];
	struct recorded file = recorded_read(RECORDED, files[0]);
	char why[256];

	(void)state;
	for (size_t at = 0; at < file.bytes; at += 29) {
		char was = file.text[at];

		file.text[at] = others[at % sizeof(others)];
		if (read_text(file.text, file.bytes, figures, why) != 0) {
			assert_true(why[0] != '\0');
		} else {
			for (size_t j = 0; j < JOBS; j++)
				assert_true(figures[j].bytes_per_s > 0 && figures[j].per_s > 0 &&
				            figures[j].p50_s > 0 && figures[j].p99_s > 0);
		}
		file.text[at] = was;
	}
	free(file.text);
}

/* One job that is as it should be, but for what is put for its parts. */
static void assert_one(const char *version, const char *direct, const char *error,
                       const char *bandwidth, const char *percentile, const char *why)
{
	static const struct storage_job one[] = {{"read.seq", 0}};
	struct storage_figures figures = {0};
	char text[1024], said[256] = "";
	int bytes = snprintf(
	        text, sizeof(text),
	        "{\"fio version\":\"%s\",\"global options\":{\"direct\":\"%s\"},\"jobs\":[{"
	        "\"jobname\":\"read.seq\",\"error\":%s,\"read\":{\"total_ios\":5,\"runtime\":100,"
	        "\"bw_bytes\":%s,\"iops\":5.5,\"lat_ns\":{\"percentile\":{\"50.000000\":7,"
	        "\"99.000000\":%s}}}}]}",
	        version, direct, error, bandwidth, percentile);
	int code = storage_read_fio(text, (size_t)bytes, one, 1, &figures, said, sizeof(said));

	assert_string_equal(said, why);
	assert_int_equal(code, *why ? -1 : 0);
	assert_true(*why ? figures.per_s < 1 : figures.per_s > 5);
}

static void says_what_is_wrong_with_a_job(void **state)
{
	(void)state;
	assert_one("fio-3.33", "1", "0", "9", "8", "");
	assert_one("iof-3.33", "1", "0", "9", "8", "it does not say that it is fio's");
	assert_one("fio-3.33", "0", "0", "9", "8", "it is not of direct=1");
	assert_one("fio-3.33", "1", "28", "9", "8",
	           "job read.seq found no space left: choose a smaller size, or another place");
	assert_one("fio-3.33", "1", "5", "9", "8", "job read.seq failed: Input/output error");
	assert_one("fio-3.33", "1", "null", "9", "8",
	           "job read.seq does not say whether it failed");
	assert_one("fio-3.33", "1", "0", "0", "8", "job read.seq has no \"bw_bytes\" above 0");
	assert_one("fio-3.33", "1", "0", "\"9\"", "8", "job read.seq has no \"bw_bytes\" above 0");
	assert_one("fio-3.33", "1", "0", "-9", "8", "job read.seq has no \"bw_bytes\" above 0");
	assert_one("fio-3.33", "1", "0", "9", "[]", "job read.seq has no \"99.000000\" above 0");
	assert_one("fio-3.33", "1", "0", "9", "0", "job read.seq has no \"99.000000\" above 0");
}

static void wants_the_jobs_that_were_ordered(void **state)
{
	struct recorded file = recorded_read(RECORDED, files[0]);
	struct storage_job others[JOBS];
	struct storage_figures figures[JOBS];
	char why[256] = "";

	(void)state;
	assert_int_equal(storage_read_fio(file.text, file.bytes, jobs, 4, figures, why, 256), -1);
	assert_string_equal(why, "it has 5 jobs, not 4");
	memcpy(others, jobs, sizeof(others));
	others[2].name = "write";
	assert_int_equal(storage_read_fio(file.text, file.bytes, others, JOBS, figures, why, 256),
	                 -1);
	assert_string_equal(why, "job write is not where it should be");
	memcpy(others, jobs, sizeof(others));
	others[1].writes = 1; /* it did not */
	assert_int_equal(storage_read_fio(file.text, file.bytes, others, JOBS, figures, why, 256),
	                 -1);
	assert_string_equal(why, "job read.seq has no \"total_ios\" above 0");
	free(file.text);
}

/* --- places ----------------------------------------------------------------------------------- */

static void says_how_much_is_free(void **state)
{
	char why[256] = "";

	(void)state;
	assert_int_equal(storage_check_space("/", 1, why, sizeof(why)), 0);
	assert_int_equal(storage_check_space("/", UINT64_MAX / 2, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "/ has "));
	assert_non_null(strstr(why, " MiB free, and 8796093022207 MiB are needed"));
}

static void a_place_must_be_writable(void **state)
{
	char why[256] = "";

	(void)state;
	assert_int_equal(storage_check_place(FOLDER, why, sizeof(why)), 0);
	if (geteuid() == 0)
		return; /* who may write everywhere */
	assert_int_equal(chmod(FOLDER, 0500), 0);
	assert_int_equal(storage_check_place(FOLDER, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "cannot write to "));
	assert_int_equal(chmod(FOLDER, 0700), 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(puts_each_jobs_own_half),
	        TEST(orders_the_same_of_fio_on_both_sides),
	        TEST(output_that_is_cut_off_fails_with_the_text),
	        TEST(refuses_a_place_that_is_none_or_in_memory),
	        TEST(refuses_more_than_the_place_has),
	        TEST(a_target_must_honour_the_place),
	        TEST(refuses_wrong_parameters),
	        TEST(truncated_it_gives_no_figure),
	        TEST(changed_it_never_gives_a_zero),
	        TEST(says_what_is_wrong_with_a_job),
	        TEST(wants_the_jobs_that_were_ordered),
	        TEST(says_how_much_is_free),
	        TEST(a_place_must_be_writable),
	};

	return cmocka_run_group_tests(tests, make_place, remove_place);
}
