/* SPDX-License-Identifier: MIT */
/* The network benchmark in the test host; its readers of iperf3's and the probe's JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <novacore/testhost.h>

#include "programs.h"
#include "recorded.h"
#include "report.h"

const struct nova_plugin *nova_plugin_entry_v1(const struct nova_host *host);

static struct nova_testhost *host;

#define PROBED                                                                                     \
	"{\"probe\":1,\"sent\":400,\"received\":400,\"duplicates\":0,\"late_ns\":5,"               \
	"\"latency_ns\":{\"min\":100,\"p50\":200,\"p99\":3000,\"p999\":4000,\"max\":5000}}\n"

static int clean(void **state)
{
	(void)state;
	nova_testhost_free(host);
	host = NULL;
	return 0;
}

static void make(const char *const *parameters)
{
	clean(NULL);
	host = nova_testhost_new(nova_plugin_entry_v1(NULL), parameters);
	assert_non_null(host);
	assert_int_equal(nova_testhost_start(host), NOVA_DONE);
}

/* Every test of iperf3 prints this file, up to so many bytes. */
static void print(const char *program, const char *file, size_t bytes)
{
	struct recorded report = recorded_read(RECORDED, file);
	char *text = strndup(report.text, bytes < report.bytes ? bytes : report.bytes);

	nova_testhost_script_exec(host, program, text, 0);
	free(text);
	free(report.text);
}
#define PLAIN ((const char *const[]){"cpus=none", NULL})

static void run(uint32_t side)
{
	assert_int_equal(nova_testhost_replicate(host, 0, side), NOVA_DONE);
	assert_int_equal(nova_testhost_complaints(host), 0);
}

static const struct nova_sample *sample(const char *metric, uint32_t status)
{
	const struct nova_sample *found = nova_testhost_sample_of(host, metric, 0);

	assert_non_null(found);
	assert_int_equal(found->status, status);
	return found;
}

static void assert_value(const char *metric, double expected)
{
	assert_true(fabs(sample(metric, NOVA_SAMPLE_OK)->value - expected) <=
	            fabs(expected) * 1e-9);
}

/* --- the benchmark -------------------------------------------------------------------------- */

static void joins_two_vms_and_measures_both_ways(void **state)
{
	(void)state;
	make(PLAIN);
	print("iperf3", "iperf3-tcp-host.txt", SIZE_MAX);
	nova_testhost_script_exec(host, "novacore-probe", PROBED, 0);
	run(NOVA_SIDE_VM);
	assert_int_equal(nova_testhost_vms(host), 2);
	assert_non_null(strstr(nova_testhost_calls(host, 0), "net_create"));
	assert_value("network.tcp.send.rate", 4322285570.953785 / 8);
	assert_value("network.tcp.send.retransmits", 38 / 1.009745);
	assert_value("network.latency.p50", 200e-9);
	assert_value("network.latency.p99", 3000e-9);
	assert_value("network.latency.maximum", 5000e-9);
	assert_true(sample("network.latency.loss", NOVA_SAMPLE_OK)->value <= 0);
	/* the file is of one direction and of TCP */
	assert_non_null(strstr(sample("network.tcp.receive.rate", NOVA_SAMPLE_FAILED)->why,
	                       "not of the direction that was ordered"));
	assert_non_null(strstr(sample("network.udp.send.loss", NOVA_SAMPLE_FAILED)->why,
	                       "it is not of a UDP test"));
	assert_int_equal(nova_testhost_attempts(host, NOVA_SAMPLE_FAILED), 1);
}

static void orders_the_same_of_iperf_on_both_sides(void **state)
{
	static const char *const orders[] = {
	        "iperf3 -c 192.0.2.2 -p 5201 --json -i 0 -t 3 -P 2 -C reno",
	        "iperf3 -c 192.0.2.2 -p 5201 --json -i 0 -t 3 -P 2 -C reno -R",
	        "iperf3 -c 192.0.2.2 -p 5201 --json -i 0 -t 3 -P 1 -u -l 1400 -b 8000000",
	        "iperf3 -c 192.0.2.2 -p 5201 --json -i 0 -t 3 -P 1 -u -l 1400 -b 8000000 -R"};
	const char *parameters[] = {"cpus=none",      "streams=2",       "duration=2500ms",
	                            "udp_rate=1MB/s", "congestion=reno", NULL};

	(void)state;
	for (int native = 0; native < 2; native++) {
		make(parameters);
		run(native ? NOVA_SIDE_NATIVE : NOVA_SIDE_VM);
		for (uint32_t i = 0; i < 4; i++) {
			/* before them: two scripts and /proc/stat in VMs, and the round trips */
			const char *command = nova_testhost_command(host, i + (native ? 1 : 4));

			assert_non_null(command);
			if (native)
				assert_non_null(strstr(command, " pair veth 5201 iperf3 -s -B "
				                                "192.0.2.2 -p 5201 -- "));
			assert_string_equal(strstr(command, "iperf3 -c"), orders[i]);
		}
	}
	assert_int_equal(nova_testhost_vms(host), 0);
}

static void says_that_the_loopback_device_is_no_wire(void **state)
{
	const char *parameters[] = {"cpus=none", "native=loopback", NULL};

	(void)state;
	make(parameters);
	run(NOVA_SIDE_NATIVE);
	assert_non_null(strstr(nova_testhost_command(host, 1), " pair loopback 5201 "));
	assert_non_null(strstr(nova_testhost_command(host, 1), " -c 127.0.0.1 "));
	assert_true(nova_testhost_logged(host, "its overhead is not that of the VMs alone"));
}

static void output_that_is_cut_off_fails_with_the_text(void **state)
{
	(void)state;
	make(PLAIN);
	print("iperf3", "iperf3-tcp-host.txt", 900);
	nova_testhost_script_exec(host, "novacore-probe", "{\"probe\":1,\"sent\":40", 0);
	run(NOVA_SIDE_VM);
	for (uint32_t i = 0; i < 12; i++) {
		const struct nova_sample *one = nova_testhost_sample(host, i);

		assert_int_equal(one->status, NOVA_SAMPLE_FAILED);
		assert_non_null(strstr(one->why, "is not what it should be: it is no JSON"));
		assert_non_null(strstr(one->why, "; standard output: {"));
	}
}

static void an_error_of_iperf_is_a_failure_with_its_text(void **state)
{
	struct recorded report = recorded_read(RECORDED, "iperf3-error-host.txt");
	char *text = strndup(report.text, report.bytes);

	(void)state;
	make(PLAIN);
	nova_testhost_script_exec(host, "iperf3", text, 1);
	free(text);
	free(report.text);
	run(NOVA_SIDE_VM);
	assert_non_null(strstr(sample("network.tcp.send.rate", NOVA_SAMPLE_FAILED)->why,
	                       "unable to connect to server: Connection refused"));
}

static void guests_without_a_network_fail_all(void **state)
{
	(void)state;
	make(PLAIN);
	nova_testhost_script_exec(host, "sh", "", 1);
	run(NOVA_SIDE_VM);
	for (uint32_t i = 0; i < 12; i++)
		assert_int_equal(nova_testhost_sample(host, i)->status, NOVA_SAMPLE_FAILED);
	make(PLAIN);
	nova_testhost_script(host, "net_create", NOVA_E_FAILED, 0, 0);
	run(NOVA_SIDE_VM);
	assert_non_null(strstr(sample("network.tcp.send.rate", NOVA_SAMPLE_FAILED)->why,
	                       "could not be joined by a network"));
	assert_int_equal(nova_testhost_vms(host), 0);
	make(PLAIN);
	nova_testhost_script(host, "vm_create", NOVA_DONE, 0, 1);
	nova_testhost_script(host, "vm_create", NOVA_E_FAILED, 0, 0);
	run(NOVA_SIDE_VM);
	assert_int_equal(nova_testhost_attempts(host, NOVA_SAMPLE_FAILED), 1);
}

static void an_image_without_the_probe_keeps_its_rates(void **state)
{
	(void)state;
	make(PLAIN);
	print("iperf3", "iperf3-tcp-host.txt", SIZE_MAX);
	nova_testhost_script_exec(host, "novacore-probe", "", 127);
	run(NOVA_SIDE_VM);
	sample("network.tcp.send.rate", NOVA_SAMPLE_OK);
	assert_non_null(strstr(sample("network.latency.p50", NOVA_SAMPLE_FAILED)->why,
	                       "novacore's own appliance has it"));
}

static void refuses_wrong_parameters(void **state)
{
	static const char *const wrong[] = {"streams=0",  "streams=129", "duration=0s",
	                                    "duration=5", "udp_rate=5",  "udp_rate=1B/s",
	                                    "probes=9",   "probes=x",    "native=wire",
	                                    "threads=0",  "stream=4"};
	const char *many[] = {"probes=100000", "duration=11s", NULL};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *parameters[] = {wrong[i], NULL};

		assert_null(nova_testhost_new(nova_plugin_entry_v1(NULL), parameters));
	}
	host = nova_testhost_new(nova_plugin_entry_v1(NULL), many);
	assert_non_null(host);
	assert_int_equal(nova_testhost_start(host), NOVA_E_INVALID);
	assert_non_null(strstr(nova_testhost_error(host), "more than 1000000 datagrams"));
}

/* --- iperf3's JSON ---------------------------------------------------------------------------- */

static const struct {
	const char *file;
	struct network_test test;
} files[] = {{"iperf3-tcp-host.txt", {0, 0, 4}},
             {"iperf3-tcp-reverse-host.txt", {0, 1, 4}},
             {"iperf3-udp-host.txt", {1, 0, 1}},
             {"iperf3-udp-reverse-host.txt", {1, 1, 1}}};
#define FILES (sizeof(files) / sizeof(files[0]))

static void reads_each_test_for_what_it_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < FILES; i++)
		for (size_t j = 0; j < FILES; j++) {
			struct recorded file = recorded_read(RECORDED, files[i].file);
			struct network_figures figures = {-1, -1, -1, -1};
			char why[256] = "";
			int code = network_read_iperf(file.text, file.bytes, &files[j].test,
			                              &figures, why, sizeof(why));

			assert_int_equal(code, i == j ? 0 : -1);
			assert_int_equal(why[0] != '\0', i != j);
			if (i != j)
				assert_true(figures.bytes_per_s < 0 && figures.loss < 0);
			else if (files[i].test.udp)
				assert_true(figures.jitter_s > 0 && figures.jitter_s < 1e-3 &&
				            figures.loss >= 0);
			else
				assert_true(figures.bytes_per_s > 1e8);
			free(file.text);
		}
}

static void truncated_it_gives_no_figure(void **state)
{
	(void)state;
	for (size_t i = 0; i < FILES; i++) {
		struct recorded file = recorded_read(RECORDED, files[i].file);
		size_t last = file.bytes;

		while (file.text[last - 1] != '}')
			last--;
		for (size_t bytes = 0; bytes < last; bytes += last - bytes < 64 ? 1 : 31) {
			struct network_figures figures = {-1, -1, -1, -1};
			char why[256] = "", *text = malloc(bytes + 1);

			assert_non_null(text);
			memcpy(text, file.text, bytes);
			assert_int_equal(network_read_iperf(text, bytes, &files[i].test, &figures,
			                                    why, sizeof(why)),
			                 -1);
			assert_true(why[0] && figures.bytes_per_s < 0);
			free(text);
		}
		free(file.text);
	}
}

static void assert_udp(const char *sum, const char *wanted)
{
	static const struct network_test test = {1, 0, 1};
	struct network_figures figures = {0};
	char text[512], why[256] = "";
	int bytes = snprintf(text, sizeof(text),
	                     "{\"start\":{\"version\":\"iperf 3.12\",\"test_start\":{\"protocol\":"
	                     "\"UDP\",\"num_streams\":1,\"reverse\":0}},\"end\":{\"sum\":%s}}",
	                     sum);
	int code = network_read_iperf(text, (size_t)bytes, &test, &figures, why, sizeof(why));

	assert_string_equal(why, wanted);
	assert_int_equal(code, *wanted ? -1 : 0);
}

static void a_test_in_which_nothing_arrived_has_no_jitter(void **state)
{
	(void)state;
	assert_udp("{\"packets\":10,\"lost_packets\":1,\"jitter_ms\":0.5}", "");
	assert_udp("{\"packets\":10,\"lost_packets\":10,\"jitter_ms\":0}", "no datagram arrived");
	assert_udp("{\"packets\":10,\"lost_packets\":11,\"jitter_ms\":0}",
	           "it has lost more packets than there were");
	assert_udp("{\"packets\":0,\"lost_packets\":0,\"jitter_ms\":0}", "its \"packets\" is 0");
	assert_udp("{\"packets\":10,\"jitter_ms\":0.5}", "it has no \"lost_packets\" of 0 or more");
	assert_udp("{\"packets\":10,\"lost_packets\":-1,\"jitter_ms\":0.5}",
	           "it has no \"lost_packets\" of 0 or more");
	assert_udp("{\"packets\":\"10\",\"lost_packets\":1,\"jitter_ms\":0.5}",
	           "it has no \"packets\" of 0 or more");
	assert_udp("null", "it has no \"packets\" of 0 or more");
}

/* --- the probe's -------------------------------------------------------------------------------
 */

static void assert_probe(int received, const char *p50, const char *p99, const char *maximum,
                         const char *wanted)
{
	struct network_latency latency = {-2, -2, -2, -2};
	char text[256], why[256] = "";
	int bytes = snprintf(text, sizeof(text),
	                     "{\"probe\":1,\"sent\":100,\"received\":%d,\"latency_ns\":{\"p50\":%s,"
	                     "\"p99\":%s,\"max\":%s}}",
	                     received, p50, p99, maximum);
	int code = network_read_probe(text, (size_t)bytes, 100, &latency, why, sizeof(why));

	assert_string_equal(why, wanted);
	assert_int_equal(code, *wanted ? -1 : 0);
	if (!*wanted)
		assert_true(fabs(latency.loss - (100 - received) / 100.0) < 1e-9);
}

static void takes_only_what_can_be(void **state)
{
	static const char contradicts[] = "its losses and its latencies contradict each other";

	(void)state;
	assert_probe(100, "10", "20", "30", "");
	assert_probe(98, "10", "null", "30", "");
	assert_probe(0, "null", "null", "null", "");
	assert_probe(100, "10", "null", "30", contradicts);
	assert_probe(0, "10", "20", "30", contradicts);
	assert_probe(50, "10", "null", "null", contradicts);
	assert_probe(50, "null", "20", "30", contradicts);
	assert_probe(100, "10", "40", "30", contradicts);
	assert_probe(101, "10", "20", "30", "it is not of 100 datagrams");
	assert_probe(100, "0", "20", "30", "its \"p50\" is 0");
	assert_probe(100, "10", "\"20\"", "30", "it has no \"p99\" of 0 or more");
}

#define TEST(name) cmocka_unit_test_teardown(name, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(joins_two_vms_and_measures_both_ways),
	        TEST(orders_the_same_of_iperf_on_both_sides),
	        TEST(says_that_the_loopback_device_is_no_wire),
	        TEST(output_that_is_cut_off_fails_with_the_text),
	        TEST(an_error_of_iperf_is_a_failure_with_its_text),
	        TEST(guests_without_a_network_fail_all),
	        TEST(an_image_without_the_probe_keeps_its_rates),
	        TEST(refuses_wrong_parameters),
	        TEST(reads_each_test_for_what_it_is),
	        TEST(truncated_it_gives_no_figure),
	        TEST(a_test_in_which_nothing_arrived_has_no_jitter),
	        TEST(takes_only_what_can_be),
	};

	return cmocka_run_group_tests(tests, programs_make, programs_remove);
}
