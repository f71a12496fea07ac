/* SPDX-License-Identifier: MIT */
/*
 * What is known of the beats of one window: numbers in, numbers out. Memory does not grow with
 * them: the median distance is read from a histogram whose buckets are 1/16 of their octave wide.
 */
#include "core/run/worker.h"

#include <string.h>

#define PER_OCTAVE 16

/* Exact up to 2 * PER_OCTAVE ns, then PER_OCTAVE buckets for each doubling. */
static unsigned bucket_of(uint64_t ns)
{
	unsigned octave, bucket;

	if (ns < 2 * PER_OCTAVE)
		return (unsigned)ns;
	octave = 63 - (unsigned)__builtin_clzll(ns) - 4; /* log2(PER_OCTAVE) */
	bucket = octave * PER_OCTAVE + (unsigned)(ns >> octave);
	return bucket < NOVA_BEAT_BUCKETS ? bucket : NOVA_BEAT_BUCKETS - 1;
}

/* The middle of a bucket. */
static int64_t value_of(unsigned bucket)
{
	unsigned octave = bucket / PER_OCTAVE;

	if (octave < 2)
		return bucket;
	octave--;
	return ((int64_t)(bucket - octave * PER_OCTAVE) << octave) + ((int64_t)1 << octave) / 2;
}

static int64_t median(const struct beat_window *window)
{
	uint64_t seen = 0, half = (window->distances + 1) / 2;

	for (unsigned i = 0; window->distances && i < NOVA_BEAT_BUCKETS; i++) {
		seen += window->buckets[i];
		if (seen >= half)
			return value_of(i);
	}
	return 0;
}

void nova_beat_window_begin(struct beat_window *window)
{
	const struct beat_window fresh = {.previous_ns = window->previous_ns,
	                                  .previous_port = window->previous_port,
	                                  .previous_error_ns = window->previous_error_ns,
	                                  .drops = window->drops,
	                                  .drops_before = window->drops};

	*window = fresh;
}

void nova_beat_window_add(struct beat_window *window, int64_t t_ns, uint16_t port, int64_t error_ns)
{
	struct nova_beats *seen = &window->seen;
	int64_t gap_ns = t_ns - window->previous_ns;

	if (window->previous_ns && gap_ns >= 0) {
		window->buckets[bucket_of((uint64_t)gap_ns)]++;
		window->distances++;
		if (gap_ns > seen->gap_ns) {
			seen->gap_ns = gap_ns;
			seen->gap_at_ns = window->previous_ns;
		}
		if (port != window->previous_port && gap_ns >= seen->handover_ns) {
			seen->handover_ns = gap_ns;
			seen->handover_at_ns = window->previous_ns;
		}
		if (window->previous_error_ns + error_ns > seen->error_ns)
			seen->error_ns = window->previous_error_ns + error_ns;
	}
	if (!seen->count++)
		seen->first_ns = t_ns;
	seen->last_ns = t_ns;
	window->previous_ns = t_ns;
	window->previous_port = port;
	window->previous_error_ns = error_ns;
}

void nova_beat_window_end(struct beat_window *window, int64_t now_ns, struct nova_beats *seen)
{
	int64_t silent_ns = window->previous_ns ? now_ns - window->previous_ns : 0;

	*seen = window->seen;
	seen->struct_size = sizeof(*seen);
	seen->typical_ns = median(window);
	if (window->drops != window->drops_before)
		seen->flags |= NOVA_BEATS_LOST;
	if (silent_ns > seen->gap_ns) { /* it has not ended yet */
		seen->gap_ns = silent_ns;
		seen->gap_at_ns = window->previous_ns;
	}
}
