/* SPDX-License-Identifier: MIT */
/*
 * The difference between two recordings. A path is a function with all that it calls, and what it
 * is compared by is its share of the samples: if that is the same in both, then, given the totals
 * and how many samples it has in both together, those of one are hypergeometric (Fisher 1935). Or,
 * if counts are to be compared, which are Poisson: given their sum, one of them is binomial
 * (Przyborowski & Wilenski 1940). So each path is tested exactly, and what is marked is chosen so
 * that at most NOVA_FLAME_FALSE of it is false (Benjamini & Hochberg 1995).
 *
 * Not tested, and not counted among the tests, is a path that has so few samples in both together
 * that no outcome could tell: which those are does not depend on how they fell. A function whose
 * only callee has all its samples is the same test, made once.
 *
 * A path that has no sample after stands in the lane, among its callers, as wide as it was. All
 * others are as wide as the mean of their parts before and after, so that what became small and
 * what became large can both be seen.
 */
#include "core/profiler/flame.h"
#include "core/stats/stats.h"

#include <math.h>
#include <string.h>

enum { BEFORE, AFTER, SIDES };

struct side {
	uint64_t *self, *total;
	double scale;    /* of the value of one sample; 0: not known */
	double exposure; /* how long it was, in whatever unit */
};

struct difference {
	const struct nova_stacks *stacks; /* as it is drawn, values BEFORE and AFTER */
	struct flame_order order;
	struct side sides[SIDES];
	uint64_t *gone; /* of a node's total before, what paths have that vanished; and what is
	                   theirs */
	uint64_t *gone_self;
	double least;
	bool absolute;
	double *p, *q;
};

/* --- both in one ---------------------------------------------------------------------------------
 */

static int merge(const struct nova_stacks *const sides[SIDES], uint32_t type,
                 struct nova_stacks **merged, struct nova_error *error)
{
	const struct nova_value_type *value = &sides[BEFORE]->types[type];
	const struct nova_value_type types[SIDES] = {*value, *value};
	const uint32_t wanted[SIDES] = {type, stacks_type_like(sides[AFTER], value)};

	if (wanted[AFTER] == UINT32_MAX)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "only the first counts %s in %s, so they cannot be compared",
		                      value->type, value->unit);
	*merged = nova_stacks_new(types, SIDES);
	for (uint32_t i = 0; i < SIDES; i++) {
		uint32_t slots[NOVA_STACKS_VALUES];

		for (uint32_t j = 0; j < NOVA_STACKS_VALUES; j++)
			slots[j] = j == wanted[i] ? i : UINT32_MAX;
		flame_join(*merged, sides[i], slots, true);
	}
	return 0;
}

/* --- tests ---------------------------------------------------------------------------------------
 */

static size_t samples(const struct side *side, uint32_t node)
{
	return (size_t)llround(fmin((double)side->total[node] / side->scale, 0x1p62));
}

static double p_of(const struct difference *difference, size_t before, size_t after)
{
	const struct side *one = &difference->sides[BEFORE], *two = &difference->sides[AFTER];

	if (difference->absolute)
		return nova_stats_same_rate(before, one->exposure, after, two->exposure);
	return nova_stats_same_share(before, samples(one, 0), after, samples(two, 0));
}

/* Could any outcome of so many samples have been told? The two utmost ones say so. */
static bool can_tell(const struct difference *difference, size_t sum)
{
	size_t most_before = sum, most_after = sum;

	if (!difference->absolute) {
		size_t before = samples(&difference->sides[BEFORE], 0),
		       after = samples(&difference->sides[AFTER], 0);

		most_before = sum < before ? sum : before;
		most_after = sum < after ? sum : after;
	}
	return fmin(p_of(difference, most_before, sum - most_before),
	            p_of(difference, sum - most_after, most_after)) <= NOVA_FLAME_FALSE;
}

/* Tests each node; parents are before their children, and one that has what its parent has is not
 * tested again. Returns how many tests were made. */
static uint32_t test_nodes(struct difference *difference)
{
	const struct nova_stacks *stacks = difference->stacks;
	const struct side *sides = difference->sides;
	uint32_t *tested = nova_alloc(stacks->node_count * sizeof(*tested)), count = 0;
	double *adjusted = nova_alloc(stacks->node_count * sizeof(*adjusted));

	for (uint32_t i = 0; i < stacks->node_count; i++) {
		uint32_t parent = stacks->nodes[i].parent;
		size_t before = samples(&sides[BEFORE], i), after = samples(&sides[AFTER], i);

		tested[i] = UINT32_MAX;
		if (!difference->absolute && before == samples(&sides[BEFORE], 0) &&
		    after == samples(&sides[AFTER], 0)) {
			difference->p[i] = 1; /* all of it is the same share of all, untested */
		} else if (i && sides[BEFORE].total[i] == sides[BEFORE].total[parent] &&
		           sides[AFTER].total[i] == sides[AFTER].total[parent]) {
			tested[i] = tested[parent];
			difference->p[i] = difference->p[parent];
		} else if (can_tell(difference, before + after)) {
			tested[i] = count;
			difference->p[i] = p_of(difference, before, after);
			adjusted[count++] = difference->p[i];
		}
	}
	nova_stats_fdr(adjusted, count);
	for (uint32_t i = 0; i < stacks->node_count; i++)
		difference->q[i] = tested[i] != UINT32_MAX ? adjusted[tested[i]] : difference->p[i];
	free(tested);
	free(adjusted);
	return count;
}

static void set_exposures(struct difference *difference,
                          const struct nova_stacks *const recordings[SIDES],
                          const struct nova_flame_request *request)
{
	struct side *sides = difference->sides;
	const struct nova_value_type *value = &recordings[BEFORE]->types[request->type];
	bool timed = recordings[BEFORE]->duration_ns > 0 && recordings[AFTER]->duration_ns > 0;

	for (uint32_t i = 0; i < SIDES; i++) {
		sides[i].scale =
		        stacks_per_sample(recordings[i], stacks_type_like(recordings[i], value));
		sides[i].exposure = timed ? (double)recordings[i]->duration_ns : 1;
	}
}

/* --- boxes ---------------------------------------------------------------------------------------
 */

static double width_of(const struct difference *difference, uint32_t node, bool absolute)
{
	const struct side *before = &difference->sides[BEFORE], *after = &difference->sides[AFTER];
	double one = (double)before->total[node], two = (double)after->total[node];

	if (absolute)
		return (one + two) / ((double)before->total[0] + (double)after->total[0]);
	return (one / (double)before->total[0] + two / (double)after->total[0]) / 2;
}

static double width_gone(const struct difference *difference, uint32_t node)
{
	return (double)difference->gone[node] / (double)difference->sides[BEFORE].total[0];
}

/* Of each node, what ended in paths of which nothing is left. */
static void find_gone(struct difference *difference)
{
	const struct side *before = &difference->sides[BEFORE], *after = &difference->sides[AFTER];

	for (uint32_t i = difference->stacks->node_count - 1;; i--) {
		if (after->total[i] == 0) {
			difference->gone_self[i] = before->self[i];
			difference->gone[i] += before->self[i];
		}
		if (i == 0)
			return;
		difference->gone[difference->stacks->nodes[i].parent] += difference->gone[i];
	}
}

struct choice {
	const struct difference *difference;
	bool absolute;
};

static bool is_there(const void *context, uint32_t node)
{
	const struct choice *choice = context;

	return choice->difference->sides[AFTER].total[node] > 0 &&
	       width_of(choice->difference, node, choice->absolute) >= choice->difference->least;
}

static bool is_gone(const void *context, uint32_t node)
{
	const struct choice *choice = context;

	return choice->difference->gone[node] > 0 &&
	       width_gone(choice->difference, node) >= choice->difference->least;
}

static enum nova_flame_mark mark_of(const struct difference *difference, uint32_t node,
                                    bool absolute)
{
	const struct side *before = &difference->sides[BEFORE], *after = &difference->sides[AFTER];
	double one = absolute ? before->exposure : (double)before->total[0];
	double two = absolute ? after->exposure : (double)after->total[0];

	if (isnan(difference->q[node]))
		return NOVA_MARK_FEW;
	if (difference->q[node] > NOVA_FLAME_FALSE)
		return NOVA_MARK_NOISE;
	return (double)after->total[node] / two > (double)before->total[node] / one
	               ? NOVA_MARK_MORE
	               : NOVA_MARK_LESS;
}

static void set_changes(struct nova_flame *flame, const struct difference *difference,
                        const uint32_t *nodes)
{
	flame->changes = nova_alloc(flame->count * sizeof(*flame->changes));
	for (uint32_t i = 0; i < flame->count; i++) {
		uint32_t node = nodes[i];
		bool in_lane = flame->lane && i >= flame->lane;
		const struct side *before = &difference->sides[BEFORE];

		flame->changes[i] = (struct nova_flame_change){
		        .total = in_lane ? difference->gone[node] : before->total[node],
		        .self = in_lane ? difference->gone_self[node] : before->self[node],
		        .width = in_lane ? width_gone(difference, node)
		                         : width_of(difference, node, flame->absolute),
		        .p = difference->p[node],
		        .q = difference->q[node],
		        .mark = mark_of(difference, node, flame->absolute)};
		if (!in_lane)
			continue;
		/* Those that are still there lead the way, no more. */
		flame->boxes[i].total = flame->boxes[i].self = 0;
		if (difference->sides[AFTER].total[node] > 0)
			flame->changes[i].mark = NOVA_MARK_CALLER;
	}
}

static void make_boxes(struct nova_flame *flame, const struct difference *difference)
{
	const struct choice choice = {difference, flame->absolute};
	struct flame_walk walk = {.stacks = difference->stacks,
	                          .order = &difference->order,
	                          .self = difference->sides[AFTER].self,
	                          .total = difference->sides[AFTER].total,
	                          .root = "all",
	                          .wanted = is_there,
	                          .context = &choice};
	uint32_t *nodes = NULL, lane;

	flame->depth = flame_walk(flame, &walk, &nodes);
	lane = flame->count;
	if (difference->gone[0] > 0) {
		walk.self = difference->gone_self;
		walk.total = difference->gone;
		walk.root = "paths that vanished";
		walk.wanted = is_gone;
		flame->lane_depth = flame_walk(flame, &walk, &nodes);
		if (flame->count > lane + 1)
			flame->lane = lane;
		else
			flame->count = lane;
	}
	for (uint32_t i = 1; i < difference->stacks->node_count; i++)
		flame->left_out += difference->sides[AFTER].total[i] > 0 && !is_there(&choice, i);
	set_changes(flame, difference, nodes);
	free(nodes);
}

/* Room for what there is of each node, and what each has. */
static void begin(struct difference *difference, const struct nova_stacks *stacks)
{
	uint32_t count = stacks->node_count;

	difference->stacks = stacks;
	flame_order(stacks, &difference->order);
	for (uint32_t i = 0; i < SIDES; i++) {
		struct side *side = &difference->sides[i];

		side->self = nova_alloc(count * sizeof(*side->self));
		side->total = nova_alloc(count * sizeof(*side->total));
		flame_weigh(stacks, i, side->self, side->total);
	}
	difference->gone = nova_alloc(count * sizeof(*difference->gone));
	difference->gone_self = nova_alloc(count * sizeof(*difference->gone_self));
	difference->p = nova_alloc(count * sizeof(*difference->p));
	difference->q = nova_alloc(count * sizeof(*difference->q));
	for (uint32_t i = 0; i < count; i++)
		difference->p[i] = difference->q[i] = NAN;
}

static void end(struct difference *difference)
{
	for (uint32_t i = 0; i < SIDES; i++) {
		free(difference->sides[i].self);
		free(difference->sides[i].total);
	}
	free(difference->gone);
	free(difference->gone_self);
	free(difference->p);
	free(difference->q);
	flame_order_free(&difference->order);
}

int nova_flame_diff(const struct nova_stacks *before, const struct nova_stacks *after,
                    const struct nova_flame_request *request, struct nova_flame *flame,
                    struct nova_error *error)
{
	const struct nova_stacks *const recordings[SIDES] = {before, after};
	struct difference difference = {.least = request->min_width, .absolute = request->absolute};
	const struct side *sides = difference.sides;
	int code;

	memset(flame, 0, sizeof(*flame));
	code = merge(recordings, request->type, &flame->merged, error);
	if (code)
		return code;
	flame->stacks = flame->merged;
	flame->reverse = request->reverse;
	flame->absolute = request->absolute;
	flame->turned = flame_turn(flame->merged, request);
	begin(&difference, flame->turned ? flame->turned : flame->merged);
	if (sides[BEFORE].total[0] == 0 || sides[AFTER].total[0] == 0) {
		code = nova_error_set(error, NOVA_E_INVALID, "nothing was counted %s",
		                      sides[BEFORE].total[0] ? "after" : "before");
	} else {
		set_exposures(&difference, recordings, request);
		if (sides[BEFORE].scale > 0 && sides[AFTER].scale > 0)
			flame->tests = test_nodes(&difference);
		else
			flame->untested = "what is counted are no samples, or nobody knows how "
			                  "many, so nothing tells a change from noise";
		find_gone(&difference);
		make_boxes(flame, &difference);
	}
	end(&difference);
	if (code)
		nova_flame_free(flame);
	return code;
}
