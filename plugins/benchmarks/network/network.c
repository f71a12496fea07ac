/* SPDX-License-Identifier: MIT */
/*
 * What two VMs can say to each other: iperf3 in both directions, and the round trips of single
 * datagrams. Natively the same between two network namespaces of this host.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <novacore/workload/workload.h>

#include "report.h"

#define PORT        "5201"
#define PORT_HEX    "1451"
#define PROBE_PORT  "5202"
#define PROBE_BYTES "64"
/* TEST-NET-1 of RFC 5737, as the probe has it on this host; the VMs' network has nobody else. */
#define CLIENT      "192.0.2.1"
#define SERVER      "192.0.2.2"
#define PROBES_MOST 1000000
#define PROBE       "novacore-probe"

/* --- metrics ------------------------------------------------------------------------------ */

NOVA_WORKLOAD_METRIC(SEND, BYTE_PER_SECOND, HIGHER, "network.tcp.send.rate",
                     "What arrives by TCP from the first VM at the second, all streams together");
NOVA_WORKLOAD_METRIC(SEND_AGAIN, PER_SECOND, LOWER, "network.tcp.send.retransmits",
                     "Segments that the first VM sent again in that test, in a second");
NOVA_WORKLOAD_METRIC(RECEIVE, BYTE_PER_SECOND, HIGHER, "network.tcp.receive.rate",
                     "What arrives by TCP from the second VM at the first, all streams together");
NOVA_WORKLOAD_METRIC(RECEIVE_AGAIN, PER_SECOND, LOWER, "network.tcp.receive.retransmits",
                     "Segments that the second VM sent again in that test, in a second");
NOVA_WORKLOAD_METRIC(SEND_LOSS, ONE, LOWER, "network.udp.send.loss",
                     "Share of the UDP datagrams from the first VM that did not arrive at the "
                     "second, at the rate that was ordered");
NOVA_WORKLOAD_METRIC(SEND_JITTER, SECOND, LOWER, "network.udp.send.jitter",
                     "Mean deviation of their times on the way (RFC 3550)");
NOVA_WORKLOAD_METRIC(RECEIVE_LOSS, ONE, LOWER, "network.udp.receive.loss",
                     "Share of the UDP datagrams from the second VM that did not arrive at the "
                     "first, at the rate that was ordered");
NOVA_WORKLOAD_METRIC(RECEIVE_JITTER, SECOND, LOWER, "network.udp.receive.jitter",
                     "Mean deviation of their times on the way (RFC 3550)");
NOVA_WORKLOAD_METRIC(LATENCY_P50, SECOND, LOWER, "network.latency.p50",
                     "Median time from when a datagram was due until its echo is back, on an idle "
                     "network; exact, lost ones count as the slowest");
NOVA_WORKLOAD_METRIC(LATENCY_P99, SECOND, LOWER, "network.latency.p99",
                     "99th percentile of that time");
NOVA_WORKLOAD_METRIC(LATENCY_MAXIMUM, SECOND, LOWER, "network.latency.maximum",
                     "Longest of those times, of the datagrams that came back");
NOVA_WORKLOAD_METRIC(LATENCY_LOSS, ONE, LOWER, "network.latency.loss",
                     "Share of those datagrams whose echo never came");
NOVA_WORKLOAD_HOST_METRICS("network");

#define MEASURED_METRICS                                                                           \
	&SEND, &SEND_AGAIN, &RECEIVE, &RECEIVE_AGAIN, &SEND_LOSS, &SEND_JITTER, &RECEIVE_LOSS,     \
	        &RECEIVE_JITTER, &LATENCY_P50, &LATENCY_P99, &LATENCY_MAXIMUM, &LATENCY_LOSS

static const struct nova_metric *const MEASURED[] = {MEASURED_METRICS, NULL};
static const struct nova_metric *const METRICS[] = {
        MEASURED_METRICS, &HOST_FREQUENCY, &HOST_CELSIUS, &HOST_STEAL, &GUEST_STEAL, NULL};
static const struct nova_metric *const LATENCIES[] = {&LATENCY_P50, &LATENCY_P99, &LATENCY_MAXIMUM,
                                                      &LATENCY_LOSS, NULL};

static const struct nova_workload_program PROGRAMS[] = {
        {"iperf3", "iperf3"}, {PROBE, NULL}, {NULL, NULL}};

static const struct nova_workload_kind KIND = {
        .name = "network",
        .programs = PROGRAMS,
        .measured = MEASURED,
        .frequency = &HOST_FREQUENCY,
        .celsius = &HOST_CELSIUS,
        .steal = &HOST_STEAL,
        .guest_steal = &GUEST_STEAL,
        .pair = 1,
};

/* --- parameters --------------------------------------------------------------------------- */

static const char *const NATIVES[] = {"veth", "loopback", NULL};

NOVA_WORKLOAD_PARAMETER(P_STREAMS, INTEGER, "streams", "4", "TCP streams at a time", .minimum = "1",
                        .maximum = "128");
NOVA_WORKLOAD_PARAMETER(P_DURATION, DURATION, "duration", "2s",
                        "How long each of the five tests runs, in whole seconds", .minimum = "1s",
                        .maximum = "1h");
NOVA_WORKLOAD_PARAMETER(P_UDP_RATE, RATE, "udp_rate", "50Mbit/s",
                        "What is sent by UDP, in datagrams of 1400 bytes", .minimum = "1Mbit/s",
                        .maximum = "1000Gbit/s");
NOVA_WORKLOAD_PARAMETER(P_PROBES, INTEGER, "probes", "200",
                        "Datagrams a second whose round trips are timed", .minimum = "10",
                        .maximum = "100000");
NOVA_WORKLOAD_PARAMETER(P_CONGESTION, TEXT, "congestion", "cubic",
                        "TCP's congestion control, on both sides and whatever their own default");
NOVA_WORKLOAD_PARAMETER(P_NATIVE, CHOICE, "native", "veth",
                        "The native side: two network namespaces of this host, joined by a pair of "
                        "veth devices, or just its loopback device",
                        .choices = NATIVES);

static const struct nova_parameter *const PARAMETERS[] = {
        &nova_workload_threads, &P_STREAMS, &P_DURATION,         &P_UDP_RATE, &P_PROBES,
        &P_CONGESTION,          &P_NATIVE,  &nova_workload_cpus, NULL};

/* --- the benchmark ------------------------------------------------------------------------ */

/* The four of iperf3, in their order. */
static const struct job {
	int udp, reverse;
	const struct nova_metric *rate, *again, *loss, *jitter;
} JOBS[] = {{0, 0, &SEND, &SEND_AGAIN, NULL, NULL},
            {0, 1, &RECEIVE, &RECEIVE_AGAIN, NULL, NULL},
            {1, 0, NULL, NULL, &SEND_LOSS, &SEND_JITTER},
            {1, 1, NULL, NULL, &RECEIVE_LOSS, &RECEIVE_JITTER}};
#define JOB_COUNT (sizeof(JOBS) / sizeof(JOBS[0]))

struct network {
	struct nova_workload work;
	int64_t duration_ns, seconds, streams, probes;
	double udp_bytes_per_s;
	const char *congestion;
	int loopback;
	char probe[PATH_MAX + 64]; /* ours on this host */
};

static void destroy(void *context)
{
	struct network *self = context;

	nova_workload_free(&self->work);
	free(self);
}

/* novacore's own program lies beside the one that runs, in a build or an installation. */
static void find_probe(char *path, size_t room)
{
	static const char *const places[] = {"lib/novacore/guest/probe",
	                                     "../lib/novacore/guest/probe"};
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[length > 0 ? length : 0] = '\0';
	if (strrchr(self, '/'))
		*strrchr(self, '/') = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, room, "%s/%s", self, places[i]);
		if (access(path, X_OK) == 0)
			return;
	}
	snprintf(path, room, PROBE); /* whoever runs it says that it is not there */
}

static int create(const struct nova_host *host, const struct nova_lab *lab, nova_run run,
                  void **out)
{
	struct network *self = calloc(1, sizeof(*self));
	const char *native = host->param_text(run, "native", 0);
	int status;

	if (!self)
		return host->error(run, NOVA_E_MEMORY, "out of memory");
	status = nova_workload_create(&self->work, &KIND, host, lab, run);
	self->streams = 4;
	self->probes = 200;
	self->duration_ns = 2 * NOVA_WORKLOAD_SECOND_NS;
	self->udp_bytes_per_s = 50e6 / 8;
	host->param_i64(run, "streams", 0, &self->streams);
	host->param_i64(run, "probes", 0, &self->probes);
	host->param_i64(run, "duration", 0, &self->duration_ns);
	host->param_f64(run, "udp_rate", 0, &self->udp_bytes_per_s);
	self->congestion = host->param_text(run, "congestion", 0);
	self->congestion = self->congestion && *self->congestion ? self->congestion : "cubic";
	self->loopback = native && strcmp(native, "loopback") == 0;
	self->seconds = nova_workload_whole_seconds(self->duration_ns);
	find_probe(self->probe, sizeof(self->probe));
	if (status == NOVA_DONE && self->probes * self->seconds > PROBES_MOST)
		status = host->errorf(run, NOVA_E_INVALID,
		                      "probes=%lld for %lld s are more than %d datagrams; choose "
		                      "fewer a second, or a shorter duration",
		                      (long long)self->probes, (long long)self->seconds,
		                      PROBES_MOST);
	if (status == NOVA_DONE)
		*out = self;
	else
		destroy(self);
	return status;
}

static int setup(void *context, nova_run run)
{
	struct network *self = context;

	if (self->loopback)
		self->work.host->log(run, NOVA_SAY_WARNING,
		                     "native=loopback: the native side is one network stack with "
		                     "packets of 64 KiB, not two with a wire of 1500 bytes "
		                     "between them: its overhead is not that of the VMs alone");
	return NOVA_DONE;
}

/* --- in the VMs --------------------------------------------------------------------------- */

/* $1: the VM's address. It goes to the one Ethernet device that has none. */
#define GIVE_ADDRESS                                                                               \
	"no() { echo \"$1\" >&2; exit 1; }\n"                                                      \
	"look() { d=; for i in /sys/class/net/*; do\n"                                             \
	"  [ \"$(cat \"$i/type\" 2>/dev/null)\" = 1 ] || continue\n"                               \
	"  i=${i##*/}\n"                                                                           \
	"  ip -4 addr show dev \"$i\" | grep -q 'inet ' || d=\"$d $i\"\n"                          \
	"done; d=${d# }; }\n"                                                                      \
	"n=0; look\n"                                                                              \
	"while [ -z \"$d\" ] && [ $n -lt 50 ]; do n=$((n + 1)); sleep 0.1; look; done\n"           \
	"case $d in\n"                                                                             \
	"'') no 'no Ethernet device without an address came up' ;;\n"                              \
	"*' '*) no \"several devices have no address: $d\" ;;\n"                                   \
	"esac\n"                                                                                   \
	"ip addr add \"$1/24\" dev \"$d\" && ip link set \"$d\" up ||\n"                           \
	"  no \"$d does not take the address $1\"\n"

static const char CLIENT_SCRIPT[] = GIVE_ADDRESS;

/*
 * $2: seconds until the echo ends by itself. An image without the probe still has its rates. The
 * daemon listens after its parent has ended: looked for as proc_pid_net(5) describes it.
 */
static const char SERVER_SCRIPT[] = GIVE_ADDRESS
        "command -v iperf3 >/dev/null || exit 127\n" PROBE " echo \"$1\" " PROBE_PORT
        " \"$2\" background || :\n"
        "iperf3 -s -D -B \"$1\" -p " PORT " >&2 || no 'iperf3 cannot be started'\n"
        "n=0\n"
        "until grep -q '^ *[0-9]*: [0-9A-F]*:" PORT_HEX " [0-9A-F]*:0000 0A' /proc/net/tcp; do\n"
        "  n=$((n + 1)); [ $n -lt 300 ] || no 'iperf3 does not listen'\n"
        "  sleep 0.1\n"
        "done\n";

static int prepare_vms(struct network *self)
{
	struct nova_workload *work = &self->work;
	char life[32];
	const char *server[] = {"sh", "-c", SERVER_SCRIPT, "novacore-network", SERVER, life, NULL};
	const char *client[] = {"sh", "-c", CLIENT_SCRIPT, "novacore-network", CLIENT, NULL};
	int status;

	snprintf(life, sizeof(life), "%lld", (long long)(6 * self->seconds + 3600));
	status = nova_workload_run_peer(work, server, 0, MEASURED);
	return status == NOVA_DONE ? nova_workload_run(work, client, 0, MEASURED) : status;
}

/* --- the tests ---------------------------------------------------------------------------- */

struct command {
	const char *argv[48];
	size_t count;
};

static void add(struct command *command, const char *const *words)
{
	while (*words && command->count < sizeof(command->argv) / sizeof(*command->argv) - 1)
		command->argv[command->count++] = *words++;
	command->argv[command->count] = NULL;
}
#define ADD(command, ...) add(command, (const char *const[]){__VA_ARGS__, NULL})

static const char *server_address(const struct network *self)
{
	return self->loopback && self->work.side == NOVA_SIDE_NATIVE ? "127.0.0.1" : SERVER;
}

static void run_iperf(struct network *self, const struct job *job)
{
	struct nova_workload *work = &self->work;
	const struct nova_metric *metrics[] = {job->udp ? job->loss : job->rate,
	                                       job->udp ? job->jitter : job->again, NULL};
	const struct network_test test = {job->udp, job->reverse,
	                                  job->udp ? 1 : (uint32_t)self->streams};
	const char *server = server_address(self);
	char seconds[32], streams[32], rate[48], why[256], reason[320];
	struct command command = {.count = 0};
	struct network_figures figures;

	snprintf(seconds, sizeof(seconds), "%lld", (long long)self->seconds);
	snprintf(streams, sizeof(streams), "%u", test.streams);
	snprintf(rate, sizeof(rate), "%.0f", self->udp_bytes_per_s * 8);
	if (work->side == NOVA_SIDE_NATIVE)
		ADD(&command, self->probe, "pair", self->loopback ? "loopback" : "veth", PORT,
		    "iperf3", "-s", "-B", server, "-p", PORT, "--");
	ADD(&command, "iperf3", "-c", server, "-p", PORT, "--json", "-i", "0", "-t", seconds, "-P",
	    streams);
	if (job->udp)
		ADD(&command, "-u", "-l", "1400", "-b", rate);
	else
		ADD(&command, "-C", self->congestion);
	if (job->reverse)
		ADD(&command, "-R");
	if (nova_workload_run(work, command.argv, self->duration_ns, metrics) != NOVA_DONE)
		return;
	if (network_read_iperf(work->output, work->output_bytes, &test, &figures, why,
	                       sizeof(why)) != 0) {
		snprintf(reason, sizeof(reason), "iperf3's report is not what it should be: %s",
		         why);
		nova_workload_reject(work, metrics, reason);
		return;
	}
	nova_workload_put(work, metrics[0], job->udp ? figures.loss : figures.bytes_per_s);
	nova_workload_put(work, metrics[1],
	                  job->udp ? figures.jitter_s : figures.retransmits_per_s);
}

/* So much was lost that the percentile is among the lost ones. */
static void put_latency(struct nova_workload *work, const struct nova_metric *metric, double value,
                        double loss)
{
	const struct nova_metric *one[] = {metric, NULL};
	char why[160];

	if (value >= 0) {
		nova_workload_put(work, metric, value);
		return;
	}
	snprintf(why, sizeof(why),
	         "%.3g %% of the datagrams never came back: too many for this percentile",
	         loss * 100);
	nova_workload_reject(work, one, why);
}

static void run_probe(struct network *self)
{
	struct nova_workload *work = &self->work;
	const char *server = server_address(self);
	uint32_t count = (uint32_t)(self->probes * self->seconds);
	char rate[32], datagrams[32], life[32], why[256], reason[320];
	struct command command = {.count = 0};
	struct network_latency latency;

	snprintf(rate, sizeof(rate), "%lld", (long long)self->probes);
	snprintf(datagrams, sizeof(datagrams), "%u", count);
	snprintf(life, sizeof(life), "%lld", (long long)(self->seconds + 3600));
	if (work->side == NOVA_SIDE_NATIVE)
		ADD(&command, self->probe, "pair", self->loopback ? "loopback" : "veth", PROBE_PORT,
		    self->probe, "echo", server, PROBE_PORT, life, "--");
	ADD(&command, work->side == NOVA_SIDE_NATIVE ? self->probe : PROBE, "ping", server,
	    PROBE_PORT, rate, datagrams, PROBE_BYTES);
	if (nova_workload_run(work, command.argv, self->duration_ns, LATENCIES) != NOVA_DONE)
		return;
	if (network_read_probe(work->output, work->output_bytes, count, &latency, why,
	                       sizeof(why)) != 0) {
		snprintf(reason, sizeof(reason), "the probe's report is not what it should be: %s",
		         why);
		nova_workload_reject(work, LATENCIES, reason);
		return;
	}
	put_latency(work, &LATENCY_P50, latency.p50_s, latency.loss);
	put_latency(work, &LATENCY_P99, latency.p99_s, latency.loss);
	put_latency(work, &LATENCY_MAXIMUM, latency.maximum_s, latency.loss);
	nova_workload_put(work, &LATENCY_LOSS, latency.loss);
}

static int replicate(void *context, nova_run run, uint32_t index, uint32_t side)
{
	struct network *self = context;
	struct nova_workload *work = &self->work;

	(void)run;
	(void)index;
	if (nova_workload_begin(work, side) == NOVA_DONE &&
	    (side == NOVA_SIDE_NATIVE || prepare_vms(self) == NOVA_DONE)) {
		run_probe(self);
		for (size_t i = 0; i < JOB_COUNT && work->stop == NOVA_DONE; i++)
			run_iperf(self, &JOBS[i]);
	}
	return nova_workload_end(work);
}

static const char *const NEEDS[] = {NOVA_CAN_CREATE, NOVA_CAN_START,   NOVA_CAN_READY,
                                    NOVA_CAN_EXEC,   NOVA_CAN_NETWORK, NULL};

static const struct nova_benchmark BENCHMARK = {
        .struct_size = sizeof(BENCHMARK),
        .flags = NOVA_BENCHMARK_NATIVE,
        .targets_min = 1,
        .needs = NEEDS,
        .metrics = METRICS,
        .create = create,
        .setup = setup,
        .replicate = replicate,
        .destroy = destroy,
};

static const struct nova_plugin NETWORK = {
        .struct_size = sizeof(NETWORK),
        .kind = NOVA_KIND_BENCHMARK,
        .thread_model = NOVA_THREADS_PARALLEL,
        .name = "network",
        .version = "1",
        .summary = "Two fresh VMs on a network of their own, and two namespaces of this host: "
                   "iperf3 and round trips",
        .license = "MIT",
        .parameters = PARAMETERS,
        .ops = &BENCHMARK,
};

NOVA_PLUGIN(NOVA_KIND_BENCHMARK, NETWORK)
