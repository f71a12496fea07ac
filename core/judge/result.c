/* SPDX-License-Identifier: MIT */
/*
 * The result document of a run, built from the store's records: reduces samples by core/stats and
 * judges them against the run's goals. The form is described in core/report/report.h.
 */
#include "core/judge/result.h"

#include "core/judge/ab.h"
#include "core/judge/judge.h"
#include "core/judge/recorded.h"
#include "core/judge/verdict.h"
#include "core/stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_LEVEL 0.95

static const char *const side_names[] = {"vm", "vm", "native", "a", "b"};
static const char *const status_names[] = {"failed", "ok", "failed", "timed_out"};
static const char *const count_names[] = {"attempted", "succeeded", "failed", "timed_out"};

const char *nova_side_name(uint32_t side)
{
	return side_names[side < NOVA_COUNT(side_names) ? side : 0];
}

/* A replicate's attempt as the store has it, to know which samples count. */
struct attempt {
	struct nova_replicate at;
	bool counts;
};

/* One metric on one side of a step, while its samples are read. */
struct series {
	char metric[97];
	uint32_t side;
	uint32_t counts[4];
	double *values;   /* the successful ones that count */
	uint32_t *blocks; /* and the replicate that each is of */
	int64_t error_ns;
};

struct build {
	struct nova_store *store;
	struct nova_error *error;
	struct nova_run_record run;
	json_t *result, *targets, *steps, *skipped, *notes;
	/* of the step that is being built */
	const json_t *params;
	json_t *replicates, *rows;
	uint32_t counts[4];
	struct attempt *attempts;
	size_t attempt_count, attempt_at;
	struct series *series;
	size_t series_count;
	int64_t only; /* that step alone; < 0: all */
	int code;
};

/* --- small parts ----------------------------------------------------------------------------- */

/* What a hypervisor or guest says need not be UTF-8; a document must. */
static json_t *ascii_of(const char *text)
{
	NOVA_AUTOFREE char *copy = nova_strdup(text);

	for (char *at = copy; *at; at++)
		if ((unsigned char)*at >= 0x80)
			*at = '?';
	return json_string(copy);
}

static json_t *text_or_null(const char *text)
{
	json_t *value;

	if (!text || !*text)
		return json_null();
	value = json_string(text);
	return value ? value : ascii_of(text);
}

static json_t *member_or_null(const json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	return value ? json_incref(value) : json_null();
}

static json_t *text_member(const json_t *object, const char *name)
{
	return text_or_null(json_string_value(json_object_get(object, name)));
}

static json_t *time_of(int64_t utc_ns)
{
	char text[32];

	nova_utc_format(utc_ns, text);
	return json_string(text);
}

static json_t *time_or_null(int64_t utc_ns)
{
	return utc_ns ? time_of(utc_ns) : json_null();
}

static json_t *counts_of(const uint32_t counts[4])
{
	json_t *object = json_object();

	for (size_t i = 0; i < 4; i++)
		json_object_set_new(object, count_names[i], json_integer(counts[i]));
	return object;
}

static json_t *array_or_empty(const json_t *value)
{
	return json_is_array(value) ? json_deep_copy(value) : json_array();
}

/* Facts and their hash: equal facts, equal hash, on any machine. */
static json_t *facts_of(const json_t *facts)
{
	json_t *copy = json_is_object(facts) ? json_deep_copy(facts) : json_object();
	NOVA_AUTOFREE char *canonical = nova_json_canonical(copy);
	char hash[65];

	nova_sha256(canonical, strlen(canonical), hash);
	return json_pack("{ss so}", "hash", hash, "facts", copy);
}

/* "user:password@" of a URI loses the password: results are shown around. */
static json_t *uri_of(const char *uri)
{
	const char *host = uri ? strstr(uri, "://") : NULL;
	size_t authority = host ? strcspn(host + 3, "/?#") : 0;
	const char *at = host ? memrchr(host + 3, '@', authority) : NULL;
	const char *colon = at ? memchr(host + 3, ':', (size_t)(at - host - 3)) : NULL;

	if (!colon)
		return text_or_null(uri);
	return json_sprintf("%.*s%s", (int)(colon - uri), uri, at);
}

static json_t *run_of(const struct nova_run_record *run)
{
	return json_pack("{ss ss so so sI ss so s{sI sI ss}}", "id", run->id, "profile",
	                 run->profile, "started", time_of(run->started_utc_ns), "ended",
	                 time_or_null(run->ended_utc_ns), "seed", (json_int_t)run->seed, "state",
	                 run->state, "novacore", text_member(run->plan, "novacore"), "anchor",
	                 "monotonic_ns", (json_int_t)run->anchor_monotonic_ns, "utc_ns",
	                 (json_int_t)run->anchor_utc_ns, "boot_id", run->boot_id);
}

static json_t *capabilities_of(json_t *stored)
{
	json_t *capabilities = json_object(), *one;
	const char *name;

	json_object_foreach(stored, name, one) json_object_set_new(
	        capabilities, name,
	        json_pack("{so so}", "ok", json_boolean(json_is_true(json_object_get(one, "ok"))),
	                  "why", text_member(one, "why")));
	return capabilities;
}

/* As the run has learned it; before that, as the plan has it. */
static json_t *target_of(const json_t *learned, const json_t *planned)
{
	const json_t *from = json_is_object(learned) ? learned : planned;
	const char *name = json_string_value(json_object_get(from, "name"));
	const char *plugin = json_string_value(json_object_get(from, "plugin"));
	const char *uri = json_string_value(json_object_get(from, "uri"));
	json_t *facts = json_object_get(learned, "facts");

	if (!uri)
		uri = json_string_value(json_object_get(json_object_get(planned, "params"), "uri"));
	return json_pack("{ss ss so so so so so so so so}", "name", name ? name : "", "plugin",
	                 plugin ? plugin : "", "uri", uri_of(uri), "product",
	                 text_member(learned, "product"), "version",
	                 text_member(learned, "version"), "accel", text_member(learned, "accel"),
	                 "why", text_member(learned, "why"), "simulated",
	                 json_boolean(json_is_true(json_object_get(from, "simulated"))),
	                 "capabilities", capabilities_of(json_object_get(learned, "capabilities")),
	                 "facts", json_is_object(facts) ? json_deep_copy(facts) : json_object());
}

static json_t *targets_of(const struct nova_run_record *run)
{
	const json_t *planned = json_object_get(run->plan, "targets");
	size_t count = json_array_size(run->targets), plans = json_array_size(planned);
	json_t *targets = json_array();

	for (size_t i = 0; i < count || i < plans; i++)
		json_array_append_new(targets, target_of(json_array_get(run->targets, i),
		                                         json_array_get(planned, i)));
	return targets;
}

/* --- reading a step's replicates and samples ------------------------------------------------- */

static int take_replicate(void *context, const struct nova_replicate *replicate, const char *state,
                          const uint32_t counts[4], const char *why)
{
	struct build *build = context;
	bool counted = strcmp(state, "warmup") != 0 && strcmp(state, "superseded") != 0;

	build->attempts =
	        nova_grow(build->attempts, build->attempt_count, sizeof(*build->attempts));
	build->attempts[build->attempt_count++] = (struct attempt){*replicate, counted};
	for (size_t i = 0; counted && i < 4; i++)
		build->counts[i] += counts[i];
	json_array_append_new(
	        build->replicates,
	        json_pack("{sI ss sI so ss so so}", "replicate", (json_int_t)replicate->replicate,
	                  "side", side_names[replicate->side], "attempt",
	                  (json_int_t)replicate->attempt, "order",
	                  replicate->order ? json_integer(replicate->order) : json_null(), "state",
	                  state, "counts", counts_of(counts), "why", text_or_null(why)));
	return 0;
}

/* Samples come in the order of attempts, so the search goes on where it was. */
static bool does_count(struct build *build, const struct nova_replicate *at)
{
	for (; build->attempt_at < build->attempt_count; build->attempt_at++) {
		const struct nova_replicate *one = &build->attempts[build->attempt_at].at;

		if (one->replicate == at->replicate && one->attempt == at->attempt &&
		    one->side == at->side)
			return build->attempts[build->attempt_at].counts;
	}
	return false;
}

static struct series *series_for(struct build *build, const char *metric, uint32_t side)
{
	struct series *series;

	for (size_t i = 0; i < build->series_count; i++)
		if (build->series[i].side == side && !strcmp(build->series[i].metric, metric))
			return &build->series[i];
	build->series = nova_grow(build->series, build->series_count, sizeof(*build->series));
	series = &build->series[build->series_count++];
	memset(series, 0, sizeof(*series));
	snprintf(series->metric, sizeof(series->metric), "%s", metric);
	series->side = side;
	return series;
}

static void add_row(struct build *build, const struct nova_sample_record *sample, bool counted)
{
	bool ok = sample->status == NOVA_SAMPLE_OK;

	json_array_append_new(
	        build->rows,
	        json_pack("[I I s o s s o I I I I o o]", (json_int_t)sample->at.replicate,
	                  (json_int_t)sample->at.attempt, side_names[sample->at.side],
	                  sample->vm ? json_integer((json_int_t)sample->vm) : json_null(),
	                  sample->metric, status_names[sample->status],
	                  ok ? json_real(sample->value) : json_null(), (json_int_t)sample->t_ns,
	                  (json_int_t)sample->seq, (json_int_t)sample->intended_ns,
	                  (json_int_t)sample->error_ns, json_boolean(counted),
	                  text_or_null(sample->why)));
}

static int take_sample(void *context, const struct nova_sample_record *sample)
{
	struct build *build = context;
	bool counted = does_count(build, &sample->at);
	struct series *series = series_for(build, sample->metric, sample->at.side);

	add_row(build, sample, counted);
	if (!counted)
		return 0;
	series->counts[0]++;
	series->counts[sample->status]++;
	if (sample->status == NOVA_SAMPLE_OK) {
		size_t n = series->counts[1] - 1;

		series->values = nova_grow(series->values, n, sizeof(*series->values));
		series->values[n] = sample->value;
		series->blocks = nova_grow(series->blocks, n, sizeof(*series->blocks));
		series->blocks[n] = sample->at.replicate;
	}
	if (sample->error_ns > series->error_ns)
		series->error_ns = sample->error_ns;
	return 0;
}

/* --- judging --------------------------------------------------------------------------------- */

/* Whether a goal holds for these parameters of a step; `*most`: up to which value. */
static bool goal_holds(const json_t *goal, const json_t *params, double *most)
{
	const char *param = json_string_value(json_object_get(goal, "param"));
	const json_t *value = param ? json_object_get(params, param) : NULL;

	*most = param ? json_number_value(json_object_get(goal, "most")) : INFINITY;
	return !param || (json_is_number(value) && json_number_value(value) <= *most);
}

/*
 * The goal for this metric, this driver and the step's parameters. One without a driver is for all;
 * of several that hold, the one with the tightest bound counts.
 */
static const json_t *goal_for(const struct build *build, const char *metric, const char *plugin)
{
	const json_t *goals = json_object_get(build->run.plan, "goals"), *found = NULL;
	double most, tightest = 0;
	bool own = false;
	size_t i;
	json_t *goal;

	json_array_foreach(goals, i, goal)
	{
		const char *of = json_string_value(json_object_get(goal, "metric"));
		const char *only = json_string_value(json_object_get(goal, "plugin"));

		if (!of || strcmp(of, metric) != 0 ||
		    !json_is_number(json_object_get(goal, "pass")))
			continue;
		if ((only && (!plugin || strcmp(only, plugin))) || (own && !only) ||
		    !goal_holds(goal, build->params, &most))
			continue;
		if (found && own == (only != NULL) && most >= tightest)
			continue;
		found = goal;
		own = only != NULL;
		tightest = most;
	}
	return found;
}

/* Where the true median may lie, failures counted as worse than any value: from best to worst. */
static struct nova_bounds bounds_of(const struct series *series, bool lower, double level)
{
	size_t n = series->counts[1], all = series->counts[0];
	NOVA_AUTOFREE double *badness = nova_alloc((all + 1) * sizeof(*badness));
	struct nova_ranks ranks = nova_stats_interval(all, 0.5, level);
	struct nova_bounds bounds = {.interval = ranks.low > 0};

	for (size_t i = 0; i < all; i++)
		badness[i] = i >= n  ? (double)INFINITY
		             : lower ? series->values[i]
		                     : -series->values[i];
	nova_stats_sort(badness, all);
	bounds.best = badness[bounds.interval ? ranks.low - 1 : 0];
	bounds.worst = badness[bounds.interval ? ranks.high - 1 : all - 1];
	if (!lower) {
		bounds.best = -bounds.best;
		bounds.worst = -bounds.worst;
	}
	return bounds;
}

static void say_basis(struct nova_text *why, const struct series *series,
                      const struct nova_bounds *bounds, double level)
{
	uint32_t lost = series->counts[0] - series->counts[1];

	if (!bounds->interval)
		nova_text_addf(why,
		               "n too small for an interval (%u < %zu): judged by the least and "
		               "the greatest value",
		               series->counts[0], nova_stats_interval_needs(0.5, level));
	if (lost)
		nova_text_addf(why, "%s%u of %u did not succeed and count as worse than any value",
		               why->length ? "; " : "", lost, series->counts[0]);
}

/* The rule is in result.h. */
static const char *judge(const struct series *series, const json_t *goal, bool lower, uint32_t unit,
                         double level, struct nova_text *why)
{
	struct nova_bounds bounds;

	if (!goal)
		return "none";
	if (!series->counts[0]) {
		nova_text_add(why, "nothing was measured");
		return "inconclusive";
	}
	if (!series->counts[1]) {
		nova_text_addf(why, "none of %u succeeded", series->counts[0]);
		return "needs optimization";
	}
	bounds = bounds_of(series, lower, level);
	say_basis(why, series, &bounds, level);
	return nova_verdict(&bounds, goal, lower, unit, why);
}

/* --- metrics --------------------------------------------------------------------------------- */

static uint32_t unit_of(const char *name)
{
	static const uint32_t all[] = {NOVA_UNIT_SECOND, NOVA_UNIT_BYTE, NOVA_UNIT_BYTE_PER_SECOND,
	                               NOVA_UNIT_PER_SECOND};

	for (size_t i = 0; name && i < NOVA_COUNT(all); i++)
		if (!strcmp(nova_unit_name(all[i]), name))
			return all[i];
	return NOVA_UNIT_ONE;
}

static double level_of(const struct build *build)
{
	double level = json_number_value(json_object_get(build->run.plan, "level"));

	return level > 0 && level < 1 ? level : DEFAULT_LEVEL;
}

static json_t *percentile_of(const struct nova_estimate *estimate)
{
	return json_pack("{so so}", "value",
	                 estimate->available ? json_real(estimate->value) : json_null(), "why",
	                 text_or_null(estimate->why));
}

static json_t *real_if(bool there, double value)
{
	return there ? json_real(value) : json_null();
}

static void add_reduction(json_t *metric, const struct nova_summary *summary)
{
	const struct nova_estimate *median = &summary->median;
	bool any = summary->count > 0;

	json_object_set_new(metric, "value", real_if(any, median->value));
	json_object_set_new(metric, "of", json_string("median"));
	json_object_set_new(metric, "interval",
	                    median->available ? json_pack("[f f]", median->low, median->high)
	                                      : json_null());
	json_object_set_new(metric, "interval_why", text_or_null(median->why));
	json_object_set_new(metric, "level", json_real(summary->level));
	json_object_set_new(metric, "coverage", real_if(median->available, median->coverage));
	json_object_set_new(metric, "min", real_if(any, summary->min));
	json_object_set_new(metric, "max", real_if(any, summary->max));
	json_object_set_new(metric, "p95", percentile_of(&summary->p95));
	json_object_set_new(metric, "p99", percentile_of(&summary->p99));
}

/* A goal is the hypervisor's; what this host does natively beside it is only what it is compared
 * with. */
static bool wants_goal(const struct build *build, const struct series *series)
{
	for (size_t i = 0; series->side == NOVA_SIDE_NATIVE && i < build->series_count; i++)
		if (build->series[i].side == NOVA_SIDE_VM)
			return false;
	return true;
}

static void add_verdict(const struct build *build, json_t *metric, const struct series *series,
                        const char *plugin)
{
	const json_t *goal =
	        wants_goal(build, series) ? goal_for(build, series->metric, plugin) : NULL;
	const json_t *softer = json_object_get(goal, "acceptable");
	bool lower = strcmp(json_string_value(json_object_get(metric, "better")), "lower") == 0;
	uint32_t unit = unit_of(json_string_value(json_object_get(metric, "unit")));
	NOVA_AUTOTEXT struct nova_text why = {0};
	const char *verdict = judge(series, goal, lower, unit, level_of(build), &why);

	json_object_set_new(
	        metric, "goal",
	        goal ? json_pack("{sf so}", "pass",
	                         json_number_value(json_object_get(goal, "pass")), "acceptable",
	                         real_if(json_is_number(softer), json_number_value(softer)))
	             : json_null());
	json_object_set_new(metric, "baseline", json_null());
	json_object_set_new(metric, "verdict", json_string(verdict));
	json_object_set_new(metric, "verdict_why", text_or_null(nova_text_get(&why)));
}

static json_t *metric_of(const struct build *build, const struct series *series, const char *plugin)
{
	const json_t *declared =
	        json_object_get(json_object_get(build->run.plan, "metrics"), series->metric);
	const char *unit = json_string_value(json_object_get(declared, "unit"));
	const char *better = json_string_value(json_object_get(declared, "better"));
	const char *doc = json_string_value(json_object_get(declared, "doc"));
	json_int_t revision = json_integer_value(json_object_get(declared, "revision"));
	struct nova_summary summary;
	json_t *metric;

	nova_stats_sort(series->values, series->counts[1]);
	nova_stats_summarise(series->values, series->counts[1], level_of(build), &summary);
	metric = json_pack("{ss ss ss sI ss ss sI so}", "name", series->metric, "unit",
	                   nova_unit_name(unit_of(unit)), "better",
	                   better && !strcmp(better, "higher") ? "higher" : "lower", "revision",
	                   revision > 0 ? revision : 0, "doc", doc ? doc : "", "side",
	                   side_names[series->side], "n", (json_int_t)series->counts[1], "counts",
	                   counts_of(series->counts));
	add_reduction(metric, &summary);
	add_verdict(build, metric, series, plugin);
	json_object_set_new(metric, "source", text_member(declared, "source"));
	json_object_set_new(metric, "resolution_s",
	                    real_if(series->error_ns > 0, (double)series->error_ns / 1e9));
	json_object_set_new(metric, "advice", text_member(declared, "advice"));
	return metric;
}

/* Moves the series of this metric and side, if there is one. */
static size_t take_series(struct build *build, const char *metric, uint32_t side,
                          struct series *into)
{
	for (size_t i = 0; i < build->series_count; i++) {
		struct series *series = &build->series[i];

		if (series->side != side || strcmp(series->metric, metric) != 0)
			continue;
		*into = *series;
		series->side = 0; /* taken */
		return 1;
	}
	return 0;
}

/* In the order of declaration; what was not declared comes last. */
static void order_series(struct build *build)
{
	json_t *declared = json_object_get(build->run.plan, "metrics"), *one;
	NOVA_AUTOFREE struct series *ordered =
	        nova_alloc((build->series_count + 1) * sizeof(*ordered));
	size_t count = 0;
	const char *name;

	json_object_foreach(declared, name, one)
	{
		for (uint32_t side = 1; side <= 4; side++)
			count += take_series(build, name, side, ordered + count);
	}
	for (size_t i = 0; i < build->series_count; i++)
		if (build->series[i].side)
			ordered[count++] = build->series[i];
	if (count)
		memcpy(build->series, ordered, count * sizeof(*ordered));
}

/* --- a step ---------------------------------------------------------------------------------- */

static const char *plugin_of(const struct build *build, const struct nova_step_record *step)
{
	const json_t *index = json_array_get(step->targets, 0);
	const json_t *target =
	        index ? json_array_get(build->targets, (size_t)json_integer_value(index)) : NULL;

	return json_string_value(json_object_get(target, "plugin"));
}

static json_t *samples_of(json_t *rows)
{
	return json_pack("{s[s s s s s s s s s s s s s] so}", "columns", "replicate", "attempt",
	                 "side", "vm", "metric", "status", "value", "t_ns", "seq", "intended_ns",
	                 "error_ns", "counted", "why", "rows", rows);
}

static bool is_in_skipped(const struct build *build, uint32_t index)
{
	size_t i;
	json_t *one;

	json_array_foreach(build->skipped, i, one)
	{
		const json_t *step = json_object_get(one, "step");

		if (json_is_integer(step) && json_integer_value(step) == index)
			return true;
	}
	return false;
}

static void begin_step(struct build *build)
{
	for (size_t i = 0; i < build->series_count; i++) {
		free(build->series[i].values);
		free(build->series[i].blocks);
	}
	free(build->series);
	free(build->attempts);
	build->series = NULL;
	build->attempts = NULL;
	build->series_count = build->attempt_count = build->attempt_at = 0;
	memset(build->counts, 0, sizeof(build->counts));
}

static json_t *metrics_of(struct build *build, const struct nova_step_record *step)
{
	json_t *metrics = json_array();

	for (size_t i = 0; i < build->series_count; i++)
		json_array_append_new(metrics,
		                      metric_of(build, &build->series[i], plugin_of(build, step)));
	return metrics;
}

/* --- one side against another --------------------------------------------------------------- */

static const struct series *find_series(const struct build *build, const char *metric,
                                        uint32_t side)
{
	for (size_t i = 0; i < build->series_count; i++)
		if (build->series[i].side == side && !strcmp(build->series[i].metric, metric))
			return &build->series[i];
	return NULL;
}

static json_t *compare(const struct build *build, const struct nova_step_record *step,
                       const struct series *a, const struct series *b)
{
	const json_t *declared =
	        json_object_get(json_object_get(build->run.plan, "metrics"), a->metric);
	bool lower = strcmp(nova_json_text(declared, "better"), "higher") != 0;
	bool overhead = a->side == NOVA_SIDE_NATIVE;
	NOVA_AUTOFREE char *name = nova_format("%s.%s", a->metric, overhead ? "overhead" : "ratio");
	struct nova_side_values left = {side_names[a->side], a->values, a->blocks, a->counts[1]};
	struct nova_side_values right = {side_names[b->side], b->values, b->blocks, b->counts[1]};

	return nova_comparison(a->metric, lower, overhead, &left, &right, level_of(build),
	                       step->order_seed, goal_for(build, name, plugin_of(build, step)));
}

/* "cpu.host.frequency", "cpu.guest.steal": under which conditions it was measured, not what. */
static bool is_circumstance(const char *metric)
{
	const char *dot = strchr(metric, '.');

	return dot && (!strncmp(dot, ".host.", 6) || !strncmp(dot, ".guest.", 7));
}

/* Of each metric that both sides have; before the values are sorted for their own sake. */
static json_t *comparisons_of(struct build *build, const struct nova_step_record *step)
{
	static const uint32_t sides[][2] = {{NOVA_SIDE_NATIVE, NOVA_SIDE_VM},
	                                    {NOVA_SIDE_A, NOVA_SIDE_B}};
	json_t *comparisons = json_array();

	order_series(build);
	for (size_t i = 0; i < build->series_count; i++)
		for (size_t s = 0; s < NOVA_COUNT(sides); s++) {
			const struct series *b = &build->series[i];
			const struct series *a = find_series(build, b->metric, sides[s][0]);

			if (b->side == sides[s][1] && a && !is_circumstance(b->metric))
				json_array_append_new(comparisons, compare(build, step, a, b));
		}
	return comparisons;
}

/* What the test of A against B has decided; null in a run of anything else. */
static json_t *ab_of(const struct build *build)
{
	const json_t *ab = json_object_get(build->run.plan, "ab");
	const char *metric = nova_json_text(ab, "metric");
	const json_t *declared =
	        json_object_get(json_object_get(build->run.plan, "metrics"), metric);
	const struct series *a = find_series(build, metric, NOVA_SIDE_A);
	const struct series *b = find_series(build, metric, NOVA_SIDE_B);
	struct nova_side_values none = {0}, left = none, right = none;

	if (!ab)
		return json_null();
	if (a)
		left = (struct nova_side_values){"a", a->values, a->blocks, a->counts[1]};
	if (b)
		right = (struct nova_side_values){"b", b->values, b->blocks, b->counts[1]};
	return nova_ab_said(ab, strcmp(nova_json_text(declared, "better"), "higher") != 0, &left,
	                    &right);
}

static bool has_overhead(const json_t *comparisons)
{
	json_t *one;
	size_t i;

	json_array_foreach(comparisons, i, one)
	{
		if (!strcmp(nova_json_text(one, "of"), "overhead"))
			return true;
	}
	return false;
}

/* An overhead of what is emulated, or nested, is not that of virtualisation. */
static void note_emulation(struct build *build, const struct nova_step_record *step,
                           const json_t *comparisons)
{
	const json_t *index = json_array_get(step->targets, 0);
	const json_t *target = json_array_get(build->targets, (size_t)json_integer_value(index));
	const char *name = nova_json_text(target, "name");
	bool emulated = !strcmp(nova_json_text(target, "accel"), "tcg");
	bool nested = json_is_true(json_object_get(build->run.where, "nested"));
	json_t *said, *text;
	size_t i;

	if (!index || !has_overhead(comparisons) || (!emulated && !nested) ||
	    json_is_true(json_object_get(target, "simulated")))
		return;
	text = emulated ? json_sprintf("overheads on %s are those of emulation (accelerator tcg), "
	                               "not of virtualisation",
	                               name)
	                : json_sprintf("overheads on %s are those of nested virtualisation: this "
	                               "host is a VM itself",
	                               name);
	json_array_foreach(build->notes, i, said)
	{
		if (json_equal(said, text)) {
			json_decref(text);
			return;
		}
	}
	json_array_append_new(build->notes, text);
}

static int take_step(void *context, const struct nova_step_record *step)
{
	struct build *build = context;
	json_t *object, *comparisons, *ab;

	if (build->only >= 0 && build->only != step->index)
		return 0;
	begin_step(build);
	build->params = step->params;
	build->replicates = json_array();
	build->rows = json_array();
	build->code = nova_store_replicate_each(build->store, build->run.id, step->index,
	                                        take_replicate, build, build->error);
	if (!build->code)
		build->code = nova_store_sample_each(build->store, build->run.id, step->index, true,
		                                     take_sample, build, build->error);
	comparisons = comparisons_of(build, step);
	ab = ab_of(build);
	object = json_pack(
	        "{sI ss ss so so sO* sI ss so so so so so so* so so so so so so}", "index",
	        (json_int_t)step->index, "hash", step->hash, "benchmark", step->benchmark,
	        "targets", array_or_empty(step->targets), "params",
	        json_is_object(step->params) ? json_deep_copy(step->params) : json_object(),
	        "param_units",
	        json_object_get(json_object_get(build->run.plan, "param_units"), step->benchmark),
	        "order_seed", (json_int_t)step->order_seed, "state", step->state, "why",
	        text_or_null(step->why), "started", time_or_null(step->started_utc_ns), "ended",
	        time_or_null(step->ended_utc_ns), "stopped", text_or_null(step->stopped),
	        "estimate_s", real_if(step->estimate_ns > 0, (double)step->estimate_ns / 1e9),
	        "recorded", nova_recorded_of(build->run.plan, step->index), "counts",
	        counts_of(build->counts), "metrics", metrics_of(build, step), "comparisons",
	        comparisons, "ab", ab, "replicates", build->replicates, "samples",
	        samples_of(build->rows));
	json_array_append_new(build->steps, object);
	note_emulation(build, step, comparisons);
	if (!strcmp(step->state, "skipped") && !is_in_skipped(build, step->index))
		json_array_append_new(build->skipped,
		                      json_pack("{sI ss sn sn ss sn}", "step",
		                                (json_int_t)step->index, "benchmark",
		                                step->benchmark, "metric", "target", "why",
		                                step->why ? step->why : "no reason given", "fix"));
	return build->code;
}

/* --- the document ---------------------------------------------------------------------------- */

static json_t *skipped_of(const json_t *stored)
{
	json_t *skipped = json_array(), *one;
	size_t i;

	json_array_foreach(stored, i, one)
	{
		const char *why = json_string_value(json_object_get(one, "why"));

		json_array_append_new(skipped, json_pack("{so so so so ss so}", "step",
		                                         member_or_null(one, "step"), "benchmark",
		                                         text_member(one, "benchmark"), "metric",
		                                         text_member(one, "metric"), "target",
		                                         text_member(one, "target"), "why",
		                                         why ? why : "no reason given", "fix",
		                                         text_member(one, "fix")));
	}
	return skipped;
}

static int build_all(struct build *build)
{
	const json_t *plan = build->run.plan;

	build->targets = targets_of(&build->run);
	build->skipped = skipped_of(build->run.skipped);
	build->steps = json_array();
	build->notes = array_or_empty(json_object_get(plan, "notes"));
	build->result = json_pack("{ss so so so so so so so so}", "schema", "novacore.result/1",
	                          "run", run_of(&build->run), "where", facts_of(build->run.where),
	                          "what", facts_of(build->run.what), "targets", build->targets,
	                          "steps", build->steps, "proposals",
	                          array_or_empty(json_object_get(plan, "proposals")), "skipped",
	                          build->skipped, "notes", build->notes);
	if (!build->result)
		return nova_error_set(build->error, NOVA_E_IO,
		                      "the record of run %s holds what cannot be told in JSON; the "
		                      "database is damaged",
		                      build->run.id);
	if (nova_store_step_each(build->store, build->run.id, take_step, build, build->error))
		build->code = build->error->code;
	begin_step(build);
	return build->code;
}

static int build_result(struct build *build, const char *run_id)
{
	int code = nova_store_run_get(build->store, run_id, &build->run, build->error);

	return code ? code : build_all(build);
}

int nova_result_measure(struct nova_store *store, const char *run_id, json_t **result,
                        struct nova_error *error)
{
	struct nova_error local = {0};
	struct build build = {.store = store, .error = error ? error : &local, .only = -1};
	int code = build_result(&build, run_id);

	nova_run_record_clear(&build.run);
	*result = code ? NULL : build.result;
	if (code)
		json_decref(build.result);
	return code;
}

int nova_result_build(struct nova_store *store, const char *run_id, json_t **result,
                      struct nova_error *error)
{
	struct nova_error local = {0};
	struct build build = {.store = store, .error = error ? error : &local, .only = -1};
	int code = build_result(&build, run_id);

	if (!code)
		code = nova_baseline_judge(store, json_object_get(build.run.plan, "regression"),
		                           level_of(&build), build.result, build.error);
	nova_run_record_clear(&build.run);
	*result = code ? NULL : build.result;
	if (code)
		json_decref(build.result);
	return code;
}

int nova_result_build_step(struct nova_store *store, const char *run_id, uint32_t step,
                           json_t **result, struct nova_error *error)
{
	struct nova_error local = {0};
	struct build build = {.store = store, .error = error ? error : &local, .only = step};
	int code = build_result(&build, run_id);

	*result = NULL;
	nova_run_record_clear(&build.run);
	if (!code && !json_array_size(build.steps))
		code = nova_error_set(build.error, NOVA_E_NOT_FOUND, "run %s has no step %u",
		                      run_id, step);
	if (!code)
		*result = json_incref(json_array_get(build.steps, 0));
	json_decref(build.result);
	return code;
}
