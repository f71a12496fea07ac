/* SPDX-License-Identifier: MIT */
/*
 * A thread that does nothing but sleep, and sees how late it wakes. What it sees is this machine's:
 * nothing that waits for a point in time can be more exact, so it tells a busy machine from a slow
 * harness.
 */
#include "core/selftest/check.h"

#include "core/stats/stats.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define SLEEP_NS 5000000
#define MOST     65536 /* sleeps that are kept: more than five minutes */

static void *sleep_on(void *context)
{
	struct nova_late *late = context;

	while (!late->stop && late->count < MOST) {
		int64_t due_ns = nova_now_ns() + SLEEP_NS;
		const struct timespec due = {due_ns / NOVA_SECOND_NS, due_ns % NOVA_SECOND_NS};

		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
			;
		late->late_ns[late->count++] = nova_now_ns() - due_ns;
	}
	return NULL;
}

void nova_late_begin(struct nova_late *late)
{
	sigset_t all, before;

	memset(late, 0, sizeof(*late));
	late->late_ns = nova_alloc(MOST * sizeof(*late->late_ns));
	/* Signals are for the thread that runs workers, which blocks them to hear of them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	late->runs = !pthread_create(&late->thread, NULL, sleep_on, late);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void nova_late_end(struct nova_late *late, double *p99_s, double *worst_s)
{
	NOVA_AUTOFREE double *values = NULL;

	late->stop = 1;
	if (late->runs)
		pthread_join(late->thread, NULL);
	values = nova_alloc((late->count + 1) * sizeof(*values));
	for (size_t i = 0; i < late->count; i++)
		values[i] = (double)late->late_ns[i] / 1e9;
	nova_stats_sort(values, late->count);
	*p99_s = late->count ? nova_stats_quantile(values, late->count, 0.99) : 0;
	*worst_s = late->count ? values[late->count - 1] : 0;
	free(late->late_ns);
	memset(late, 0, sizeof(*late));
}
