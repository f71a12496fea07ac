/* SPDX-License-Identifier: MIT */
/*
 * novacore-probe: measures the way between two network stacks, in VMs and on this host by the same
 * static program.
 *
 *   probe echo ADDRESS PORT SECONDS [background]
 *     sends back what it gets
 *   probe ping ADDRESS PORT RATE COUNT BYTES
 *     sends COUNT datagrams, RATE a second, on a schedule that does not wait for answers; prints
 *     one line of JSON
 *   probe watch ADDRESS PORT RATE SECONDS FILE
 *     returns once an answer has come, with the number of a process that goes on until SIGTERM, and
 *     then writes to FILE: see probe_watch
 *   probe pair veth|loopback PORT SERVER… -- CLIENT…
 *     runs two programs, the second once PORT is listened on, each in a network of its own that
 *     ends with it (veth), or both in this one (loopback)
 *
 * Exit status 0; 1: it failed, a sentence on standard error says why; 2: wrong usage; of `pair` the
 * client's own.
 */
#ifndef NOVACORE_GUEST_PROBE_H
#define NOVACORE_GUEST_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "probe: …" on standard error; "%m" is strerror(errno). @return 1 */
int probe_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A decimal number from `low` to `high`; false if `text` is anything else. */
bool probe_number(const char *text, uint64_t low, uint64_t high, uint64_t *number);

/* --- ping.c --- */
#define PROBE_COUNT_MOST 1000000u
#define PROBE_BYTES_MIN  32u
#define PROBE_BYTES_MOST 1472u /* fills an Ethernet frame of 1500 */

/* What became of the datagrams. Times in ns, −1: it has not come back. */
struct probe_flight {
	uint32_t count, duplicates;
	int64_t gap;   /* the longest from one answer to the next; the first: from the beginning */
	int64_t heard; /* when the latest answer came */
	int64_t *latency; /* from the moment in the schedule to the answer */
	int64_t late;     /* the most that one was sent after its moment */
};

/*
 * The line that `ping` prints. A percentile is the smallest latency that so many of all datagrams
 * did not exceed (nearest rank); a lost one counts as slower than all others, so a percentile can
 * be null. The maximum is of those that came back. Sorts `latency`: O(n log n).
 * @return what snprintf does
 */
int probe_print(struct probe_flight *flight, char *text, size_t room);

/* `background`: it returns once it listens, and a process of its own answers. */
int probe_echo(const char *address, uint64_t port, uint64_t seconds, bool background);
int probe_ping(const char *address, uint64_t port, uint64_t rate, uint32_t count, uint32_t bytes);

/*
 * Looks how long no answer comes, while something happens to the other end: prints the number of
 * its process, which leaves "GAP SILENT SENT RECEIVED\n" in `file`: the longest time between two
 * answers and that from the last answer to the last datagram, in ns.
 */
int probe_watch(const char *address, uint64_t port, uint64_t rate, uint64_t seconds,
                const char *file);
/* What goes to the file. @return what snprintf does */
int probe_print_watch(const struct probe_flight *flight, uint32_t sent, uint32_t received,
                      int64_t last_ns, char *text, size_t room);
/* One more answer at `now_ns`. */
void probe_hear(struct probe_flight *flight, int64_t now_ns);

/* --- pair.c --- */
#define PROBE_CLIENT "192.0.2.1" /* TEST-NET-1 of RFC 5737: nobody's */
#define PROBE_SERVER "192.0.2.2"

/* `argv` from SERVER on; `veth`: else on the loopback device. */
int probe_pair(bool veth, uint64_t port, char **argv);

#endif
