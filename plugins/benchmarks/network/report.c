/* SPDX-License-Identifier: MIT */
/* The JSON of iperf3 3.x and of the probe, by jansson. Only what is asked for is looked at. */
#include "report.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct reading {
	char *why;
	size_t room;
	int failed;
};

static void fail(struct reading *reading, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

static void fail(struct reading *reading, const char *format, ...)
{
	va_list arguments;

	if (!reading->failed) {
		va_start(arguments, format);
		vsnprintf(reading->why, reading->room, format, arguments);
		va_end(arguments);
	}
	reading->failed = 1;
}

/* A number from `low` on. */
static double number(struct reading *reading, const json_t *object, const char *key, double low)
{
	const json_t *value = json_object_get(object, key);
	double found = json_number_value(value);

	if (!json_is_number(value) || !isfinite(found) || found < low) {
		fail(reading, "it has no \"%s\" of %g or more", key, low);
		return 0;
	}
	return found;
}

/* Above nothing: what has moved nothing has measured nothing. */
static double positive(struct reading *reading, const json_t *object, const char *key)
{
	double found = number(reading, object, key, 0);

	if (found <= 0)
		fail(reading, "its \"%s\" is 0", key);
	return found;
}

static json_t *load(struct reading *reading, const char *text, size_t bytes)
{
	json_error_t error;
	json_t *document = json_loadb(text, bytes, 0, &error); /* iperf3 repeats some keys */

	if (!document)
		fail(reading, "it is no JSON: line %d: %s", error.line, error.text);
	return document;
}

/* --- iperf3 -------------------------------------------------------------------------------------
 */

static void check_start(struct reading *reading, const json_t *document,
                        const struct network_test *test)
{
	const json_t *start = json_object_get(document, "start");
	const json_t *ordered = json_object_get(start, "test_start");
	const char *version = json_string_value(json_object_get(start, "version"));
	const char *protocol = json_string_value(json_object_get(ordered, "protocol"));
	const char *error = json_string_value(json_object_get(document, "error"));

	if (error)
		fail(reading, "it says: %s", error);
	else if (!version || strncmp(version, "iperf 3", 7) != 0)
		fail(reading, "it does not say that it is iperf3's");
	else if (!protocol || strcmp(protocol, test->udp ? "UDP" : "TCP") != 0)
		fail(reading, "it is not of a %s test", test->udp ? "UDP" : "TCP");
	else if (json_integer_value(json_object_get(ordered, "num_streams")) !=
	         (json_int_t)test->streams)
		fail(reading, "it is not of %u streams", test->streams);
	else if (!json_is_integer(json_object_get(ordered, "reverse")) ||
	         json_integer_value(json_object_get(ordered, "reverse")) != (test->reverse != 0))
		fail(reading, "it is not of the direction that was ordered");
}

static void read_tcp(struct reading *reading, const json_t *end, struct network_figures *figures)
{
	const json_t *sent = json_object_get(end, "sum_sent");
	const json_t *received = json_object_get(end, "sum_received");
	double seconds = positive(reading, sent, "seconds");

	figures->bytes_per_s = positive(reading, received, "bits_per_second") / 8;
	figures->retransmits_per_s = number(reading, sent, "retransmits", 0);
	if (!reading->failed)
		figures->retransmits_per_s /= seconds;
}

static void read_udp(struct reading *reading, const json_t *end, struct network_figures *figures)
{
	const json_t *sum = json_object_get(end, "sum");
	double packets = positive(reading, sum, "packets");
	double lost = number(reading, sum, "lost_packets", 0);

	figures->jitter_s = number(reading, sum, "jitter_ms", 0) / 1e3;
	if (lost > packets)
		fail(reading, "it has lost more packets than there were");
	/* Jitter is between packets that arrive: without any it is a 0 that was not measured. */
	else if (lost == packets)
		fail(reading, "no datagram arrived");
	if (!reading->failed)
		figures->loss = lost / packets;
}

int network_read_iperf(const char *text, size_t bytes, const struct network_test *test,
                       struct network_figures *figures, char *why, size_t room)
{
	struct network_figures found = {0};
	struct reading reading = {.why = why, .room = room};
	json_t *document = load(&reading, text, bytes);
	const json_t *end = json_object_get(document, "end");

	if (document)
		check_start(&reading, document, test);
	if (!reading.failed && test->udp)
		read_udp(&reading, end, &found);
	else if (!reading.failed)
		read_tcp(&reading, end, &found);
	if (!reading.failed)
		*figures = found;
	json_decref(document);
	return reading.failed ? -1 : 0;
}

/* --- the probe ----------------------------------------------------------------------------------
 */

/* In seconds; −1 for null: as many as that were lost. */
static double percentile(struct reading *reading, const json_t *document, const char *key)
{
	const json_t *all = json_object_get(document, "latency_ns");

	return json_is_null(json_object_get(all, key)) ? -1 : positive(reading, all, key) / 1e9;
}

static void read_probe(struct reading *reading, const json_t *document, uint32_t count,
                       struct network_latency *latency)
{
	double sent, received;

	if (json_integer_value(json_object_get(document, "probe")) != 1) {
		fail(reading, "it does not say that it is the probe's");
		return;
	}
	sent = positive(reading, document, "sent");
	received = number(reading, document, "received", 0);
	latency->p50_s = percentile(reading, document, "p50");
	latency->p99_s = percentile(reading, document, "p99");
	latency->maximum_s = percentile(reading, document, "max");
	if (reading->failed)
		return;
	if (sent != (double)count || received > sent)
		fail(reading, "it is not of %u datagrams", count);
	else if ((latency->maximum_s < 0) != (received < 1) ||
	         (latency->p99_s >= 0 &&
	          (latency->p50_s < 0 || latency->maximum_s < latency->p99_s)) ||
	         (received >= sent && latency->p99_s < 0))
		fail(reading, "its losses and its latencies contradict each other");
	else
		latency->loss = (sent - received) / sent;
}

int network_read_probe(const char *text, size_t bytes, uint32_t count,
                       struct network_latency *latency, char *why, size_t room)
{
	struct network_latency found = {0};
	struct reading reading = {.why = why, .room = room};
	json_t *document = load(&reading, text, bytes);

	if (document)
		read_probe(&reading, document, count, &found);
	if (!reading.failed)
		*latency = found;
	json_decref(document);
	return reading.failed ? -1 : 0;
}
