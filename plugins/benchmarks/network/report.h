/* SPDX-License-Identifier: MIT */
/*
 * What `iperf3 --json` and `novacore-probe ping` print. All or nothing: an error that the program
 * tells, another test than was ordered, a figure that is missing or cannot be, and there are no
 * figures, but a reason.
 */
#ifndef NOVACORE_NETWORK_REPORT_H
#define NOVACORE_NETWORK_REPORT_H

#include <stddef.h>
#include <stdint.h>

/* A test as it was ordered of iperf3. */
struct network_test {
	int udp, reverse; /* reverse: from the server to the client */
	uint32_t streams;
};

struct network_figures {
	double bytes_per_s;       /* TCP: what arrived */
	double retransmits_per_s; /* TCP */
	double loss;              /* UDP: share of the datagrams, 0…1 */
	double jitter_s;          /* UDP: RFC 3550's mean deviation, as iperf3 keeps it */
};

/* Round trips. A percentile is of all datagrams, the maximum of those that came back; below 0: so
 * much was lost that there is none. */
struct network_latency {
	double p50_s, p99_s, maximum_s;
	double loss; /* share of the datagrams, 0…1 */
};

/*
 * @param text need not end with a NUL; parsing takes time and memory linear in `bytes`
 * @param figures unchanged after a failure
 * @param why takes the reason, half a sentence, at most `room` bytes with its NUL
 * @return 0, or -1
 */
int network_read_iperf(const char *text, size_t bytes, const struct network_test *test,
                       struct network_figures *figures, char *why, size_t room);

/* The same of the probe; `count`: how many datagrams were ordered. */
int network_read_probe(const char *text, size_t bytes, uint32_t count,
                       struct network_latency *latency, char *why, size_t room);

#endif
