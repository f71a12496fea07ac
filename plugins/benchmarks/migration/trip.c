/* SPDX-License-Identifier: MIT */
/*
 * One migration and what is known of it: what the hypervisor reports, what an observer outside saw
 * of the guest's heartbeat, and what the load in the guest lost. Before it the same observer looks
 * for as long at a VM that stays where it is: the floor.
 */
#include "migration.h"

#include <stdio.h>
#include <string.h>

#define AFTER_NS (SECOND_NS / 5)  /* after the return, for beats that are still on their way */
#define BACK_NS  (30 * SECOND_NS) /* for an agent to take commands again */

struct trip {
	struct traveller *traveller;
	int64_t from_ns, to_ns; /* the call */
	struct nova_beats before, during;
	struct silence quiet, dark; /* before, and on the way */
	int observed;
	struct progress work[3]; /* before the floor, before the migration, after it */
	int works;
};

static void put(struct trip *trip, const struct nova_metric *metric, double value)
{
	put_sample(trip->traveller, &(struct nova_sample){.struct_size = sizeof(struct nova_sample),
	                                                  .status = NOVA_SAMPLE_OK,
	                                                  .metric = metric->name,
	                                                  .value = value,
	                                                  .t_ns = trip->to_ns});
}

static void put_failed(struct trip *trip, const struct nova_metric *metric, uint32_t status,
                       const char *why)
{
	put_sample(trip->traveller, &(struct nova_sample){.struct_size = sizeof(struct nova_sample),
	                                                  .status = status,
	                                                  .metric = metric->name,
	                                                  .t_ns = trip->to_ns,
	                                                  .why = why});
}

/* --- what is looked at before and after ---------------------------------------------------------
 */

static int look_at_work(struct trip *trip)
{
	int status;

	if (!trip->traveller->loaded || trip->works < 0)
		return NOVA_DONE;
	status = read_progress(trip->traveller, &trip->work[trip->works]);
	trip->works = status == NOVA_DONE ? trip->works + 1 : -1;
	return ends_the_run(status) ? status : NOVA_DONE;
}

/* The agent's connection breaks on the way, and comes back. */
static int look_at_work_again(struct trip *trip)
{
	struct migration *self = trip->traveller->self;
	int64_t until_ns = self->host->now_ns() + BACK_NS;
	int works = trip->works, status;

	if (!trip->traveller->loaded)
		return NOVA_DONE;
	for (;;) {
		status = look_at_work(trip);
		if (status != NOVA_DONE || trip->works > works || works < 0 ||
		    self->host->now_ns() > until_ns)
			return status;
		trip->works = works;
		status = let_pass(trip->traveller, SECOND_NS / 20);
		if (status != NOVA_DONE)
			return ends_the_run(status) ? status : NOVA_DONE;
	}
}

static int begin_window(struct trip *trip, struct nova_beats *ended)
{
	struct migration *self = trip->traveller->self;

	memset(ended, 0, sizeof(*ended));
	ended->struct_size = sizeof(*ended);
	return self->beat ? self->lab->beats(self->run, trip->traveller->vm, ended)
	                  : NOVA_E_UNSUPPORTED;
}

static int look_before(struct trip *trip)
{
	struct migration *self = trip->traveller->self;
	struct nova_beats unused;
	int status;

	status = begin_watch(trip->traveller);
	if (status != NOVA_DONE)
		return status;
	if (begin_window(trip, &unused) != NOVA_DONE && !trip->traveller->loaded &&
	    !trip->traveller->watched)
		return NOVA_DONE; /* there is nothing to look at */
	status = look_at_work(trip);
	if (status == NOVA_DONE)
		status = let_pass(trip->traveller, self->window_ns);
	if (status == NOVA_DONE)
		status = end_watch(trip->traveller, &trip->quiet);
	if (status == NOVA_DONE)
		status = begin_watch(trip->traveller);
	if (status == NOVA_DONE)
		status = look_at_work(trip);
	/* Last: the floor is over, and the next window begins with the migration. */
	trip->observed = begin_window(trip, &trip->before) == NOVA_DONE && trip->before.count > 1;
	if (self->beat && !trip->observed && !self->said_no_beat) {
		say(self, NOVA_SAY_WARNING,
		    "no migration.stun: this guest sends no heartbeats; novacore's appliance, "
		    "booted "
		    "directly, does");
		self->said_no_beat = 1;
	}
	return status;
}

/* --- samples -----------------------------------------------------------------------------------
 */

static int reported(struct trip *trip, uint32_t field, struct nova_result *result)
{
	struct migration *self = trip->traveller->self;

	memset(result, 0, sizeof(*result));
	result->struct_size = sizeof(*result);
	return self->lab->result(self->run, trip->traveller->vm, field, 0, result) == NOVA_DONE;
}

/* Must be asked for before any other call on the VM. Returns the downtime in seconds, or -1. */
static double put_reported(struct trip *trip)
{
	static const struct {
		uint32_t field;
		const struct nova_metric *metric;
		double factor; /* of an integer */
	} figures[] = {
	        {NOVA_FIELD_SETUP_NS, &SETUP, 1e-9}, {NOVA_FIELD_DOWNTIME_NS, &REPORTED, 1e-9},
	        {NOVA_FIELD_MOVED_BYTES, &MOVED, 1}, {NOVA_FIELD_ITERATIONS, &ITERATIONS, 1},
	        {NOVA_FIELD_DIRTY_PER_S, &DIRTY, 0}, {NOVA_FIELD_THROTTLE, &THROTTLE, 0},
	        {NOVA_FIELD_MOVED_PER_S, &RATE, 0},
	};
	double duration = (double)(trip->to_ns - trip->from_ns) / 1e9, downtime = -1, moved = 0;
	int rated = 0;
	struct nova_result result;

	put(trip, &DURATION, duration);
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
		double value;

		if (!reported(trip, figures[i].field, &result))
			continue;
		value = figures[i].factor > 0 ? (double)result.i64 * figures[i].factor : result.f64;
		rated |= figures[i].metric == &RATE;
		if (figures[i].metric == &REPORTED)
			downtime = value;
		if (figures[i].metric == &MOVED)
			moved = value;
		put(trip, figures[i].metric, value);
	}
	if (!rated && moved > 0 && duration > 0)
		put(trip, &RATE, moved / duration);
	return downtime;
}

static void put_stun(struct trip *trip, double downtime)
{
	const struct nova_beats *during = &trip->during, *before = &trip->before;
	/* Where no other process took over (the same one went on), the longest gap is what is
	 * known. */
	int64_t stun_ns = during->handover_ns > 0 ? during->handover_ns : during->gap_ns;
	/* The guest may have run for up to one beat on each side of the gap. */
	int64_t error_ns = during->error_ns + before->typical_ns;
	struct nova_sample sample = {.struct_size = sizeof(sample),
	                             .status = NOVA_SAMPLE_OK,
	                             .metric = OBSERVED.name,
	                             .value = (double)stun_ns / 1e9,
	                             .t_ns = trip->to_ns,
	                             .error_ns = error_ns,
	                             .source = NOVA_SOURCE_BEAT};

	put(trip, &FLOOR, (double)before->gap_ns / 1e9);
	if ((during->flags | before->flags) & NOVA_BEATS_LOST) {
		put_failed(trip, &OBSERVED, NOVA_SAMPLE_FAILED,
		           "the kernel dropped heartbeats, so a gap may look longer than it was; "
		           "raise net.core.rmem_max, or migration.beat");
		return;
	}
	if (during->count == 0) {
		put_failed(trip, &OBSERVED, NOVA_SAMPLE_FAILED,
		           "no heartbeat came after the migration");
		return;
	}
	put_sample(trip->traveller, &sample);
	if (downtime < 0)
		return;
	sample.metric = EXCESS.name;
	sample.value -= downtime;
	put_sample(trip->traveller, &sample);
}

static void put_blackout(struct trip *trip)
{
	const struct silence *dark = &trip->dark;

	if (!trip->quiet.known || !dark->known)
		return;
	put(trip, &QUIET, (double)trip->quiet.gap_ns / 1e9);
	if (dark->received == 0 || dark->silent_ns > dark->gap_ns) {
		put_failed(trip, &BLACKOUT, NOVA_SAMPLE_FAILED,
		           "no answer of the VM came over the network after the migration");
		return;
	}
	put_sample(trip->traveller,
	           &(struct nova_sample){.struct_size = sizeof(struct nova_sample),
	                                 .status = NOVA_SAMPLE_OK,
	                                 .metric = BLACKOUT.name,
	                                 .value = (double)dark->gap_ns / 1e9,
	                                 .t_ns = trip->to_ns,
	                                 .error_ns = trip->traveller->self->probe_ns});
}

/* Work by this host's clock while the migration went on, relative to what the guest did before. */
static void put_work(struct trip *trip)
{
	const struct progress *work = trip->work;
	double rate, passed;

	if (trip->works != 3)
		return;
	rate = rate_between(&work[0], &work[1]);
	passed = (double)(work[2].at_ns - work[1].at_ns) / 1e9;
	if (rate > 0 && passed > 0 && work[2].pages >= work[1].pages)
		put(trip, &WORK_LOST, 1 - (double)(work[2].pages - work[1].pages) / passed / rate);
}

/* --- the trip -----------------------------------------------------------------------------------
 */

static int call(struct trip *trip, uint32_t target)
{
	struct migration *self = trip->traveller->self;
	const struct nova_migrate how = {.struct_size = sizeof(how),
	                                 .flags = self->flags,
	                                 .bandwidth_bytes_per_s = self->bandwidth,
	                                 .downtime_ns = self->downtime_ns,
	                                 .channels = self->channels};
	struct nova_result stamp;
	int status = self->lab->migrate(self->run, trip->traveller->vm, target, &how,
	                                self->host->now_ns() + self->timeout_ns);

	if (reported(trip, NOVA_FIELD_STARTED_NS, &stamp))
		trip->from_ns = stamp.i64;
	if (reported(trip, NOVA_FIELD_RETURNED_NS, &stamp))
		trip->to_ns = stamp.i64;
	return status;
}

/* Whether the VM runs where the host believes it to be: it must have been left there. */
static int still_runs(struct traveller *traveller)
{
	struct migration *self = traveller->self;
	struct nova_result state = {.struct_size = sizeof(state)};
	int status = self->lab->vm_query(self->run, traveller->vm, NOVA_QUERY_STATE, 0);

	if (status != NOVA_DONE)
		return status;
	status = self->lab->result(self->run, traveller->vm, NOVA_FIELD_STATE, 0, &state);
	return status == NOVA_DONE && state.i64 != NOVA_STATE_RUNNING ? NOVA_E_FAILED : status;
}

/* It did not arrive: counted, and the VM must go on where it was. */
static int stay(struct trip *trip, uint32_t target, int moved)
{
	struct traveller *traveller = trip->traveller;
	struct migration *self = traveller->self;
	int ended = end_watch(traveller, &trip->dark), status = still_runs(traveller);
	char why[WHY_BYTES];

	if (ends_the_run(ended) || ends_the_run(status))
		return ends_the_run(ended) ? ended : status;
	snprintf(why, sizeof(why), "the migration from target %u to target %u %s (code %d); %s",
	         traveller->at, target, moved == NOVA_E_TIMEOUT ? "was not over in time" : "failed",
	         moved,
	         status == NOVA_DONE ? "the VM runs on where it was"
	                             : "the VM does not run where it was any more");
	trip->to_ns = self->host->now_ns();
	put_failed(trip, &DURATION, sample_status(moved), why);
	if (status != NOVA_DONE)
		say(self, NOVA_SAY_WARNING, why);
	status = self->lab->attempt(self->run, sample_status(moved));
	return status != NOVA_DONE ? status : NOVA_E_FAILED;
}

static int arrive(struct trip *trip)
{
	struct traveller *traveller = trip->traveller;
	struct migration *self = traveller->self;
	double downtime = put_reported(trip);
	int status = look_at_work_again(trip);

	if (status == NOVA_DONE)
		status = let_pass(traveller, AFTER_NS);
	if (status == NOVA_DONE)
		status = end_watch(traveller, &trip->dark);
	if (ends_the_run(status))
		return status;
	put_blackout(trip);
	if (trip->observed && begin_window(trip, &trip->during) == NOVA_DONE)
		put_stun(trip, downtime);
	put_work(trip);
	if (status != NOVA_DONE) { /* it came, and stopped */
		self->lab->attempt(self->run, NOVA_SAMPLE_FAILED);
		return NOVA_E_FAILED;
	}
	return self->lab->attempt(self->run, NOVA_SAMPLE_OK);
}

int travel(struct traveller *traveller, uint32_t target)
{
	struct trip trip = {.traveller = traveller};
	int status = look_before(&trip);

	if (ends_the_run(status))
		return status;
	if (status != NOVA_DONE)
		return stay(&trip, target, status);
	status = call(&trip, target);
	if (ends_the_run(status) || status == NOVA_E_UNSUPPORTED)
		return status;
	status = status == NOVA_DONE ? arrive(&trip) : stay(&trip, target, status);
	if (status == NOVA_DONE)
		traveller->at = target;
	traveller->trips++;
	return traveller->stop != NOVA_DONE ? traveller->stop : status;
}
