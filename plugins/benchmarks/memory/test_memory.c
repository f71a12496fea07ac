/* SPDX-License-Identifier: MIT */
/* The memory benchmark in the test host, and its reader of stress-ng's YAML. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <novacore/testhost.h>

#include "programs.h"
#include "recorded.h"
#include "stream.h"

const struct nova_plugin *nova_plugin_entry_v1(const struct nova_host *host);

static struct nova_testhost *host;

static int clean(void **state)
{
	(void)state;
	nova_testhost_free(host);
	host = NULL;
	return 0;
}

static void print_file(const char *program, const char *file)
{
	struct recorded report = recorded_read(RECORDED, file);
	char *text = strndup(report.text, report.bytes);

	nova_testhost_script_exec(host, program, text, 0);
	free(text);
	free(report.text);
}

static void make(const char *parameter)
{
	const char *parameters[] = {"threads=2", "cpus=none", parameter, NULL};

	clean(NULL);
	host = nova_testhost_new(nova_plugin_entry_v1(NULL), parameters);
	assert_non_null(host);
	assert_int_equal(nova_testhost_start(host), NOVA_DONE);
	print_file("sysbench", "sysbench-memory-host.txt");
	print_file("stress-ng", "stress-ng-stream-host.txt");
}

static void run(uint32_t side)
{
	assert_int_equal(nova_testhost_replicate(host, 0, side), NOVA_DONE);
	assert_int_equal(nova_testhost_complaints(host), 0);
}

static const struct nova_sample *find(const char *metric)
{
	return nova_testhost_sample_of(host, metric, 0);
}

/* The recorded report is of a write: reads refuse it. */
static void each_pass_wants_its_own_report(void **state)
{
	(void)state;
	make(NULL);
	run(NOVA_SIDE_NATIVE);
	assert_int_equal(find("memory.write.seq")->status, NOVA_SAMPLE_OK);
	assert_true(fabs(find("memory.write.seq")->value - 758.89 * 1048576) < 1);
	assert_int_equal(find("memory.write.rand")->status, NOVA_SAMPLE_OK);
	assert_int_equal(find("memory.read.seq")->status, NOVA_SAMPLE_FAILED);
	assert_non_null(strstr(find("memory.read.seq")->why, "operation: read"));
	assert_non_null(strstr(find("memory.read.seq")->why, "MiB transferred"));
	assert_int_equal(find("memory.read.rand")->status, NOVA_SAMPLE_FAILED);
	assert_int_equal(nova_testhost_attempts(host, NOVA_SAMPLE_FAILED), 1);
}

static void runs_four_passes_and_the_stream(void **state)
{
	static const char *const commands[] = {
	        "sysbench memory --memory-block-size=1048576 --memory-total-size=1000000T "
	        "--memory-scope=local --memory-oper=read --memory-access-mode=seq --threads=2 "
	        "--time=2 "
	        "--events=0 run",
	        "sysbench memory --memory-block-size=1048576 --memory-total-size=1000000T "
	        "--memory-scope=local --memory-oper=write --memory-access-mode=seq --threads=2 "
	        "--time=2 --events=0 run",
	        "sysbench memory --memory-block-size=1048576 --memory-total-size=1000000T "
	        "--memory-scope=local --memory-oper=read --memory-access-mode=rnd --threads=2 "
	        "--time=2 "
	        "--events=0 run",
	        "sysbench memory --memory-block-size=1048576 --memory-total-size=1000000T "
	        "--memory-scope=local --memory-oper=write --memory-access-mode=rnd --threads=2 "
	        "--time=2 --events=0 run",
	        "stress-ng --stream 2 --stream-l3-size 8192K -t 10s --metrics --yaml "
	        "/proc/self/fd/1",
	};

	(void)state;
	make(NULL);
	run(NOVA_SIDE_NATIVE);
	for (uint32_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		assert_string_equal(nova_testhost_command(host, i), commands[i]);
	assert_null(nova_testhost_command(host, 5));
	assert_int_equal(find("memory.stream")->status, NOVA_SAMPLE_OK);
}

static void the_stream_can_be_left_out(void **state)
{
	(void)state;
	make("stream=false");
	run(NOVA_SIDE_NATIVE);
	assert_null(find("memory.stream"));
	assert_null(nova_testhost_command(host, 4));
	/* nor is it owed by a VM that does not come */
	make("stream=false");
	assert_int_equal(nova_testhost_script(host, "vm_create", NOVA_E_FAILED, 0, 0), NOVA_DONE);
	run(NOVA_SIDE_VM);
	assert_int_equal(nova_testhost_sample_count(host), 4);
}

static void one_failure_does_not_end_the_others(void **state)
{
	(void)state;
	make(NULL);
	assert_int_equal(nova_testhost_script(host, "exec", NOVA_E_FAILED, 0, 1), NOVA_DONE);
	run(NOVA_SIDE_NATIVE);
	assert_int_equal(find("memory.read.seq")->status, NOVA_SAMPLE_FAILED);
	assert_int_equal(find("memory.write.seq")->status, NOVA_SAMPLE_OK);
	assert_int_equal(find("memory.stream")->status, NOVA_SAMPLE_OK);
}

static void an_interruption_ends_it_at_once(void **state)
{
	(void)state;
	make(NULL);
	assert_int_equal(nova_testhost_script(host, "exec", NOVA_DONE, 0, 2), NOVA_DONE);
	assert_int_equal(nova_testhost_script(host, "exec", NOVA_E_INTERRUPTED, 0, 0), NOVA_DONE);
	assert_int_equal(nova_testhost_replicate(host, 0, NOVA_SIDE_NATIVE), NOVA_E_INTERRUPTED);
	assert_int_equal(nova_testhost_complaints(host), 0);
	assert_null(nova_testhost_command(host, 3));
}

/* --- the stream's YAML ---------------------------------------------------------------------- */

static const char *const streams[] = {"stress-ng-stream-host.txt", "stress-ng-stream-guest.txt"};

static int read_stream(const struct recorded *file, double *rate, char why[200])
{
	struct nova_report report = {.text = file->text, .bytes = file->bytes};
	int code = memory_read_stream(&report, rate);

	memcpy(why, report.why, 200);
	return code;
}

static void reads_what_stress_ng_wrote(void **state)
{
	static const double rates[] = {(9874.700003 + 6583.133336) * 1048576,
	                               (78.503529 + 52.335686) * 1048576};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct recorded file = recorded_read(RECORDED, streams[i]);
		double rate = 0;
		char why[200];

		assert_int_equal(read_stream(&file, &rate, why), 0);
		assert_true(fabs(rate - rates[i]) <= rates[i] * 1e-9);
		free(file.text);
	}
}

static void a_stream_without_its_end_or_a_line_gives_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct recorded file = recorded_read(RECORDED, streams[i]), less;
		size_t whole = file.bytes, needed = 0, enough = 0;
		double rate = -7;
		char why[200];

		for (size_t at = 0, next; at < file.bytes; at = next) {
			next = recorded_without_line(&file, at, &less);
			rate = -7;
			needed += read_stream(&less, &rate, why) != 0;
			free(less.text);
		}
		assert_int_equal(needed, 4);
		for (file.bytes = 0; file.bytes <= whole; file.bytes++) {
			rate = -7;
			if (read_stream(&file, &rate, why) == 0)
				enough++;
			else
				assert_true(rate < -6 && why[0] != '\0');
		}
		assert_int_equal(enough, 1);
		free(file.text);
	}
}

static void too_short_a_stream_says_so(void **state)
{
	static const char text[] = "metrics:\n    - stressor: stream\n      bogo-ops: 4\n\n...\n";
	struct nova_report report = {.text = text, .bytes = sizeof(text) - 1};
	double rate = -7;

	(void)state;
	assert_int_equal(memory_read_stream(&report, &rate), -1);
	assert_string_equal(report.why,
	                    "it has no complete line \"memory-read-rate-mb-per-sec: #\"");
	assert_true(rate < -6);
}

static void refuses_wrong_parameters(void **state)
{
	static const char *const wrong[] = {
	        "block=0",      "block=1",        "block=2GiB",         "duration=0s",
	        "stream=maybe", "stream_cache=1", "stream_duration=4s", "threads=1.5",
	        "blocks=1MiB"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *parameters[] = {wrong[i], NULL};

		assert_null(nova_testhost_new(nova_plugin_entry_v1(NULL), parameters));
	}
}

#define TEST(name) cmocka_unit_test_teardown(name, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(each_pass_wants_its_own_report),
	        TEST(runs_four_passes_and_the_stream),
	        TEST(the_stream_can_be_left_out),
	        TEST(one_failure_does_not_end_the_others),
	        TEST(an_interruption_ends_it_at_once),
	        TEST(reads_what_stress_ng_wrote),
	        TEST(a_stream_without_its_end_or_a_line_gives_nothing),
	        TEST(too_short_a_stream_says_so),
	        TEST(refuses_wrong_parameters),
	};

	return cmocka_run_group_tests(tests, programs_make, programs_remove);
}
