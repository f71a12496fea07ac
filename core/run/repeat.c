/* SPDX-License-Identifier: MIT */
/*
 * What of a step is repeated, in which order, and how often. A replicate's number is a block, in
 * which each side of the step runs once, in an order that is drawn from the step's seed: what
 * drifts meanwhile (temperature, other users of the host) meets both sides alike. It ends when all
 * are run, when the intervals are narrow enough (run.precision), or when the budget is spent.
 */
#include "core/run/lead.h"

#include "core/stats/stats.h"

#include <math.h>
#include <string.h>

#define WARMUP_BASE  1000000 /* warm-up replicates are numbered from here */
#define CALLS_PER_VM 12      /* of a replicate, for its deadline */
#define VMS_IN_TIME  100     /* so many VMs at once add as much again */
#define LEAST_BLOCKS 6       /* fewer give no interval at 95 % (core/stats) */

struct repeat {
	struct lead *lead;
	struct nova_step_sides sides;
	uint32_t blocks, warmup;
	int64_t each_ns; /* mean time of a replicate so far */
	uint32_t measured;
	uint32_t next_look; /* blocks at which the precision is looked at again */
	/* from the store; an entry per block and side */
	uint32_t warm;         /* warm-ups that there are */
	uint32_t order;        /* of the last replicate */
	uint32_t *attempts[2]; /* the highest */
	bool *done[2];
	struct nova_ab_watch watch;
};

static int64_t number_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

/* Plans of earlier versions know one side. */
struct nova_step_sides nova_step_sides(const json_t *step)
{
	struct nova_step_sides sides = {{NOVA_SIDE_VM}, 1};
	const json_t *planned = json_object_get(step, "sides");

	for (size_t i = 0; i < json_array_size(planned) && i < NOVA_COUNT(sides.side); i++) {
		sides.side[i] = (uint32_t)json_integer_value(json_array_get(planned, i));
		sides.count = i + 1;
	}
	return sides;
}

uint32_t nova_lead_work_side(const struct lead *lead)
{
	if (lead->at.side < NOVA_SIDE_A)
		return lead->at.side;
	return json_array_size(json_object_get(lead->step, "targets")) ? NOVA_SIDE_VM
	                                                               : NOVA_SIDE_NATIVE;
}

uint32_t nova_step_blocks(const json_t *step, int64_t width)
{
	int64_t samples = number_of(step, "samples");

	if (nova_step_sides(step).side[0] >= NOVA_SIDE_A)
		width = 1; /* of A and B, pairs are counted */
	return (uint32_t)(width > 1 ? (samples + width - 1) / width : samples);
}

/* --- what there is already ---------------------------------------------------------------------
 */

static size_t index_of_side(const struct repeat *repeat, uint32_t side)
{
	size_t i = 0;

	while (i < repeat->sides.count && repeat->sides.side[i] != side)
		i++;
	return i;
}

static int tally_one(void *context, const struct nova_replicate *replicate, const char *state,
                     const uint32_t counts[4], const char *why)
{
	struct repeat *repeat = context;
	uint32_t number = replicate->replicate;
	size_t side = index_of_side(repeat, replicate->side);

	(void)counts;
	(void)why;
	if (replicate->order > repeat->order)
		repeat->order = replicate->order;
	if (number >= WARMUP_BASE) {
		if (number - WARMUP_BASE >= repeat->warm)
			repeat->warm = number - WARMUP_BASE + 1;
		return 0;
	}
	if (number >= repeat->blocks || side >= repeat->sides.count)
		return 0;
	if (replicate->attempt > repeat->attempts[side][number])
		repeat->attempts[side][number] = replicate->attempt;
	if (!strcmp(state, "done"))
		repeat->done[side][number] = true;
	return 0;
}

static int take_tally(struct repeat *repeat, struct nova_error *error)
{
	struct lead *lead = repeat->lead;

	for (size_t side = 0; side < repeat->sides.count; side++) {
		repeat->attempts[side] = nova_alloc((repeat->blocks + 1) * sizeof(uint32_t));
		repeat->done[side] = nova_alloc((repeat->blocks + 1) * sizeof(bool));
	}
	return nova_store_replicate_each(lead->store, lead->run.id,
	                                 (uint32_t)number_of(lead->step, "index"), tally_one,
	                                 repeat, error);
}

static bool is_done(const struct repeat *repeat, uint32_t block)
{
	for (size_t side = 0; side < repeat->sides.count; side++)
		if (!repeat->done[side][block])
			return false;
	return true;
}

/* --- one replicate -------------------------------------------------------------------------------
 */

/* After this its worker is killed, so it is generous by default. */
static int64_t replicate_timeout(const struct lead *lead)
{
	if (nova_config_has(lead->config, "run.replicate_timeout"))
		return nova_config_i64(lead->config, "run.replicate_timeout", 0);
	return CALLS_PER_VM *
	       (nova_config_i64(lead->config, "run.op_timeout", 0) + 6 * NOVA_SECOND_NS) *
	       (1 + number_of(lead->step, "width") / VMS_IN_TIME);
}

static int store_failed(struct lead *lead, int code, const struct nova_error *error)
{
	lead->store_code = code;
	lead->store_error = *error;
	return code;
}

/* Has the worker run what lead->at says. 0, or why it failed; `*tainted`: replace the worker. */
static int have_run(struct lead *lead, uint32_t index, bool *tainted, struct nova_error *why)
{
	NOVA_AUTOJSON json_t *packet = NULL;
	int64_t patience = replicate_timeout(lead);
	int code;

	lead->in_replicate = true;
	code = nova_talk_send(lead,
	                      json_pack("{ss sI sI}", "is", "replicate", "index", (json_int_t)index,
	                                "side", (json_int_t)nova_lead_work_side(lead)),
	                      why);
	if (!code)
		code = nova_talk(lead, "replicated", nova_now_ns() + patience, &packet, why);
	lead->in_replicate = false;
	if (!packet)
		return code;
	code = (int)nova_wire_i64(packet, "code");
	nova_error_set(why, code, "%s", nova_wire_text(packet, "text"));
	*tainted = json_is_true(json_object_get(packet, "tainted"));
	return code;
}

/* In a worker of its own, with the side's settings: so no process and no VM is on both sides. */
static int have_run_alone(struct lead *lead, size_t side, uint32_t index, struct nova_error *why)
{
	bool tainted;
	int code = nova_lead_open_side(lead, side, why);

	if (!code)
		code = have_run(lead, index, &tainted, why);
	nova_talk_close(lead);
	return code;
}

/* Begins an attempt, has the worker run it, ends it in the store. */
static int run_replicate(struct repeat *repeat, uint32_t number, size_t side, bool *tainted,
                         struct nova_error *error)
{
	struct lead *lead = repeat->lead;
	bool warm_up = number >= WARMUP_BASE;
	uint32_t index = warm_up ? number - WARMUP_BASE : number;
	struct nova_error why = {0};
	const char *state = "done";
	int code, stored;

	*tainted = false;
	lead->at = (struct nova_replicate){
	        (uint32_t)number_of(lead->step, "index"), number, repeat->sides.side[side],
	        warm_up ? 1 : repeat->attempts[side][number] + 1, ++repeat->order};
	memset(lead->counts, 0, sizeof(lead->counts));
	lead->samples = 0;
	lead->progress.warming_up = warm_up;
	lead->progress.side =
	        repeat->sides.count > 1 ? nova_side_name(repeat->sides.side[side]) : "";
	stored = nova_store_replicate_begin(lead->store, lead->run.id, &lead->at, error);
	if (stored)
		return store_failed(lead, stored, error);
	code = nova_lead_ab(lead) ? have_run_alone(lead, side, index, &why)
	                          : have_run(lead, index, tainted, &why);
	if (lead->store_code) {
		*error = lead->store_error;
		return lead->store_code;
	}
	/* What this host does beside them is no success of the VMs. */
	if (lead->at.side != NOVA_SIDE_NATIVE || repeat->sides.count == 1) {
		lead->attempted += lead->counts[0];
		lead->succeeded += lead->counts[NOVA_SAMPLE_OK];
	}
	if (code)
		state = lead->interrupted ? "superseded" : "failed";
	else if (warm_up)
		state = "warmup";
	stored = nova_store_replicate_end(lead->store, lead->run.id, &lead->at, state, lead->counts,
	                                  code ? why.text : NULL, error);
	if (stored)
		return store_failed(lead, stored, error);
	if (code)
		*error = why;
	else if (!warm_up)
		repeat->done[side][number] = true;
	return code;
}

/* --- budget and time -----------------------------------------------------------------------------
 */

static int64_t budget_left(const struct lead *lead)
{
	return number_of(lead->run.plan, "budget_ns") - (nova_now_ns() - lead->started_ns);
}

static uint32_t steps_left(const struct lead *lead)
{
	return lead->progress.steps - lead->progress.step;
}

static bool is_full(const struct lead *lead)
{
	return json_is_true(json_object_get(lead->run.plan, "full"));
}

/* Blocks that fit into this step's share of what is left, given what a replicate has taken; with
 * those that are done, at least one. */
static uint32_t fit(struct repeat *repeat, uint32_t done)
{
	struct lead *lead = repeat->lead;
	int64_t share_ns = budget_left(lead) / (int64_t)steps_left(lead);
	int64_t each_ns = repeat->each_ns * (int64_t)repeat->sides.count;
	NOVA_AUTOFREE char *text = NULL;
	uint32_t fitting;

	if (is_full(lead) || each_ns <= 0)
		return repeat->blocks;
	fitting = done + (share_ns > 0 ? (uint32_t)(share_ns / each_ns) : 0);
	fitting = fitting ? fitting : 1;
	if (fitting >= repeat->blocks)
		return repeat->blocks;
	text = nova_format("step %lld (%s): %u of %u replicates%s fit into run.budget (%.1f s "
	                   "each, %.0f s left for this step); --full lifts the budget",
	                   (long long)number_of(lead->step, "index") + 1,
	                   nova_json_text(lead->step, "benchmark"), fitting, repeat->blocks,
	                   repeat->sides.count > 1 ? " of both sides" : "", (double)each_ns / 1e9,
	                   (double)share_ns / 1e9);
	nova_lead_add_note(lead, text);
	return fitting;
}

/* The first block has shown what one takes. */
static void decide(struct repeat *repeat, uint32_t done)
{
	struct lead *lead = repeat->lead;
	uint32_t wanted = repeat->blocks;

	repeat->blocks = fit(repeat, done);
	if (repeat->blocks < wanted)
		json_object_set_new(lead->step, "stopped", json_string("budget"));
	json_object_set_new(lead->step, "replicates", json_integer(repeat->blocks));
	lead->progress.replicates =
	        (repeat->blocks + repeat->warmup) * (uint32_t)repeat->sides.count;
	nova_lead_save(lead, NULL);
}

/* What the steps after this one were thought to take. */
static int64_t later_ns(const struct lead *lead)
{
	json_t *steps = json_object_get(lead->run.plan, "steps"), *step;
	int64_t sum = 0;
	size_t i;

	json_array_foreach(steps, i, step)
	{
		if (i > lead->progress.step)
			sum += number_of(step, "estimate_ns");
	}
	return sum;
}

static void note_time(struct repeat *repeat, int64_t took_ns)
{
	struct lead *lead = repeat->lead;
	struct nova_run_progress *progress = &lead->progress;
	uint32_t left = progress->replicates > progress->replicate
	                        ? progress->replicates - progress->replicate
	                        : 0;

	repeat->each_ns = (repeat->each_ns * repeat->measured + took_ns) / (repeat->measured + 1);
	repeat->measured++;
	progress->left_ns = repeat->each_ns * left + later_ns(lead);
	if (!is_full(lead) && progress->left_ns > budget_left(lead))
		progress->left_ns = budget_left(lead) > 0 ? budget_left(lead) : 0;
	if (lead->watch.progress)
		lead->watch.progress(lead->watch.context, progress);
}

/* --- precision -----------------------------------------------------------------------------------
 */

/* Of the metric that a comparison is of: then its ratio is 1 less the overhead, else 1 more. */
static bool is_higher_better(const json_t *step, const json_t *comparison)
{
	const char *name = nova_json_text(comparison, "metric");
	json_t *metric;
	size_t i;

	json_array_foreach(json_object_get(step, "metrics"), i, metric)
	{
		if (!strcmp(nova_json_text(metric, "name"), name))
			return !strcmp(nova_json_text(metric, "better"), "higher");
	}
	return false;
}

/* Half of the interval, as a share of the value; of an overhead, as a share of the ratio that it is
 * the distance from 1 of. Infinite without an interval. */
static double half_width(const json_t *step, const json_t *judged)
{
	const json_t *interval = json_object_get(judged, "interval");
	double value = json_number_value(json_object_get(judged, "value")), half;

	if (!json_is_array(interval))
		return (double)INFINITY;
	half = (json_number_value(json_array_get(interval, 1)) -
	        json_number_value(json_array_get(interval, 0))) /
	       2;
	if (!strcmp(nova_json_text(judged, "of"), "overhead"))
		value = is_higher_better(step, judged) ? 1 - value : 1 + value;
	return value != 0 ? half / fabs(value) : half > 0 ? (double)INFINITY : 0;
}

/* The widest of those that have a goal; -1 if none has. */
static double widest_with_goal(const json_t *step, const json_t *judged)
{
	double widest = -1;
	json_t *one;
	size_t i;

	json_array_foreach(judged, i, one)
	{
		if (json_is_object(json_object_get(one, "goal")))
			widest = fmax(widest, half_width(step, one));
	}
	return widest;
}

/*
 * Is all that has a goal (else the first metric) as narrow as run.precision wants it? A rule about
 * width, not a test of anything: it does not look at where the values lie. Looked at when a tenth
 * more is there, for each look reads all samples of the step.
 */
static bool is_precise(struct repeat *repeat, uint32_t blocks)
{
	struct lead *lead = repeat->lead;
	double wanted = json_number_value(json_object_get(lead->step, "precision")), width;
	NOVA_AUTOJSON json_t *result = NULL;

	if (wanted <= 0 || blocks < LEAST_BLOCKS || blocks < repeat->next_look)
		return false;
	repeat->next_look = blocks + (blocks < 20 ? 1 : blocks / 10);
	if (nova_result_build_step(lead->store, lead->run.id,
	                           (uint32_t)number_of(lead->step, "index"), &result, NULL))
		return false;
	width = fmax(widest_with_goal(result, json_object_get(result, "metrics")),
	             widest_with_goal(result, json_object_get(result, "comparisons")));
	if (width < 0)
		width = half_width(result, json_array_get(json_object_get(result, "metrics"), 0));
	return width <= wanted;
}

/* --- the whole -----------------------------------------------------------------------------------
 */

/*
 * This host cannot do what the VMs are compared with, for want of a program, say: the VMs are
 * measured all the same, and the result says what they were not compared with. In the plan, so that
 * a resume does not try again.
 */
static bool goes_on_without(struct repeat *repeat, size_t side, int code,
                            const struct nova_error *why)
{
	struct lead *lead = repeat->lead;

	if (repeat->sides.count < 2 || repeat->sides.side[side] != NOVA_SIDE_NATIVE ||
	    (code != NOVA_E_UNAVAILABLE && code != NOVA_E_UNSUPPORTED))
		return false;
	json_object_set_new(lead->step, "sides", json_pack("[i]", (int)NOVA_SIDE_VM));
	repeat->sides.count = 1; /* the VMs' is the first of the two */
	lead->progress.replicates = repeat->blocks + repeat->warmup;
	nova_lead_skip_native(lead, why->text);
	return true;
}

/* Both sides of a block, in the drawn order; those that are done left out. */
static int run_block(struct repeat *repeat, uint32_t number, bool *tainted,
                     struct nova_error *error)
{
	struct lead *lead = repeat->lead;
	uint64_t drawn = nova_seed_derive((uint64_t)number_of(lead->step, "order_seed"), number);
	size_t count = repeat->sides.count;
	int code = 0;

	for (size_t i = 0; !code && !*tainted && i < count; i++) {
		size_t side = count > 1 && drawn & 1 ? count - 1 - i : i;
		int64_t began = nova_now_ns();

		if (number < WARMUP_BASE && repeat->done[side][number]) {
			lead->progress.replicate++;
			continue;
		}
		if (lead->interrupted)
			return nova_error_set(error, NOVA_E_INTERRUPTED, "interrupted");
		code = run_replicate(repeat, number, side, tainted, error);
		if (code && goes_on_without(repeat, side, code, error)) {
			code = 0;
			continue;
		}
		if (code)
			break;
		lead->progress.replicate++;
		note_time(repeat, nova_now_ns() - began);
	}
	return code;
}

/* One block after the other, those of the store that are done left out. */
static int run_blocks(struct repeat *repeat, bool *tainted, struct nova_error *error)
{
	struct lead *lead = repeat->lead;
	bool decided = number_of(lead->step, "replicates") > 0, decided_ab = false;
	int code = 0;

	for (uint32_t i = 0; !code && i < repeat->warmup + repeat->blocks; i++) {
		bool warm_up = i < repeat->warmup;
		uint32_t number = warm_up ? WARMUP_BASE + repeat->warm + i : i - repeat->warmup;

		lead->progress.replicate = i * (uint32_t)repeat->sides.count;
		if (!warm_up && nova_lead_ab(lead))
			code = nova_lead_ab_decided(lead, &repeat->watch, number, &decided_ab,
			                            error);
		if (code)
			return code;
		if (!warm_up && (decided_ab || is_precise(repeat, number))) {
			json_object_set_new(lead->step, "stopped", json_string("precision"));
			return 0;
		}
		if (!warm_up && is_done(repeat, number))
			continue;
		if (!warm_up)
			nova_lead_record_begin(lead);
		code = run_block(repeat, number, tainted, error);
		if (code || *tainted)
			return code;
		if (!decided)
			decide(repeat, warm_up ? 0 : number + 1);
		decided = true;
	}
	if (!code && !json_object_get(lead->step, "stopped"))
		json_object_set_new(lead->step, "stopped", json_string("samples"));
	return code;
}

int nova_lead_repeat(struct lead *lead, const json_t *opened, bool warm_up, bool *tainted,
                     struct nova_error *error)
{
	struct repeat repeat = {.lead = lead, .sides = nova_step_sides(lead->step)};
	int64_t decided = number_of(lead->step, "replicates");
	int64_t width = nova_wire_i64(opened, "width");
	int code;

	if (repeat.sides.side[0] == NOVA_SIDE_NATIVE)
		width = 1; /* no VMs: a replicate is one sample */
	json_object_set_new(lead->step, "width", json_integer(width > 0 ? width : 1));
	repeat.blocks = decided > 0 ? (uint32_t)decided : nova_step_blocks(lead->step, width);
	repeat.warmup = warm_up ? (uint32_t)number_of(lead->step, "warmup") : 0;
	lead->progress.replicates = (repeat.blocks + repeat.warmup) * (uint32_t)repeat.sides.count;
	lead->progress.replicate = 0;
	*tainted = false;
	code = take_tally(&repeat, error);
	if (!code)
		code = run_blocks(&repeat, tainted, error);
	nova_lead_record_end(lead);
	nova_sequential_free(repeat.watch.test);
	for (size_t side = 0; side < NOVA_COUNT(repeat.done); side++) {
		free(repeat.attempts[side]);
		free(repeat.done[side]);
	}
	return code;
}
