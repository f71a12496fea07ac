/* SPDX-License-Identifier: MIT */
/*
 * What the newest earlier run says of a benchmark before it is run again, and how many VMs a
 * comparison needs with values that spread like that.
 */
#include "core/judge/samples.h"

#include "core/stats/stats.h"

#include <stdlib.h>
#include <string.h>

#define LEVEL    0.95
#define ROUNDS   2000
#define MOST_VMS 1e12 /* 32,000 years of one a second: no plan */

struct search {
	struct nova_store *store;
	const struct nova_earlier_query *query;
	struct nova_earlier *found;
	const struct nova_run_record *run;
	uint32_t replicates;
	/* The samples of the VM that is being read. */
	struct nova_replicate at;
	uint64_t vm;
	double *samples;
	size_t count, failed;
};

/* --- values ---------------------------------------------------------------------------------- */

/* A VM's value is the median of its samples; one without any has failed. */
static void end_vm(struct search *search)
{
	struct nova_earlier *found = search->found;

	if (search->count) {
		nova_stats_sort(search->samples, search->count);
		found->values = nova_grow(found->values, found->count, sizeof(double));
		found->values[found->count++] = nova_stats_median(search->samples, search->count);
	} else {
		found->failed += search->failed > 0;
	}
	search->count = search->failed = 0;
}

/* Samples come in order of replicate, side and VM. Of two sides that are compared, the first. */
static int add_sample(void *context, const struct nova_sample_record *sample)
{
	struct search *search = context;

	if (strcmp(sample->metric, search->query->metric) != 0 ||
	    (sample->at.side != NOVA_SIDE_VM && sample->at.side != NOVA_SIDE_A))
		return 0;
	if (sample->vm != search->vm || memcmp(&sample->at, &search->at, sizeof(search->at)) != 0)
		end_vm(search);
	search->at = sample->at;
	search->vm = sample->vm;
	if (sample->status != NOVA_SAMPLE_OK) {
		search->failed++;
		return 0;
	}
	search->samples = nova_grow(search->samples, search->count, sizeof(double));
	search->samples[search->count++] = sample->value;
	return 0;
}

static void read_values(struct search *search, uint32_t step)
{
	if (!search->query->metric)
		return;
	nova_store_sample_each(search->store, search->run->id, step, false, add_sample, search,
	                       NULL);
	end_vm(search);
}

/* --- steps ----------------------------------------------------------------------------------- */

static int count_replicate(void *context, const struct nova_replicate *replicate, const char *state,
                           const uint32_t counts[4], const char *why)
{
	struct search *search = context;

	(void)counts;
	(void)why;
	if (replicate->side == NOVA_SIDE_NATIVE)
		return 0; /* no VM: its time goes with that of the VM beside it */
	search->replicates += !strcmp(state, "done") || !strcmp(state, "warmup");
	return 0;
}

static const json_t *target_of(const struct search *search, const struct nova_step_record *step)
{
	return json_array_get(search->run->targets,
	                      (size_t)json_integer_value(json_array_get(step->targets, 0)));
}

static bool is_asked_for(const struct search *search, const struct nova_step_record *step)
{
	const struct nova_earlier_query *query = search->query;

	return !strcmp(step->state, "done") && step->ended_utc_ns > step->started_utc_ns &&
	       (!query->benchmark || !strcmp(query->benchmark, step->benchmark)) &&
	       (!query->plugin ||
	        !strcmp(query->plugin, nova_json_text(target_of(search, step), "plugin")));
}

static int look_at_step(void *context, const struct nova_step_record *step)
{
	struct search *search = context;
	struct nova_earlier *found = search->found;
	int64_t width = json_integer_value(json_object_get(step->params, "concurrency"));

	if (!is_asked_for(search, step))
		return 0;
	search->replicates = 0;
	nova_store_replicate_each(search->store, search->run->id, step->index, count_replicate,
	                          search, NULL);
	read_values(search, step->index);
	if (!search->replicates || (search->query->metric && !found->count))
		return 0;
	memcpy(found->run, search->run->id, sizeof(found->run));
	memcpy(found->benchmark, step->benchmark, sizeof(found->benchmark));
	snprintf(found->plugin, sizeof(found->plugin), "%s",
	         nova_json_text(target_of(search, step), "plugin"));
	found->started_utc_ns = search->run->started_utc_ns;
	found->simulated = json_is_true(json_object_get(target_of(search, step), "simulated"));
	found->replicate_ns = (step->ended_utc_ns - step->started_utc_ns) / search->replicates;
	found->at_once = width > 1 ? (uint32_t)width : 1;
	return 1;
}

static int look_at_run(void *context, const struct nova_run_record *run)
{
	struct search *search = context;

	search->run = run;
	nova_store_step_each(search->store, run->id, look_at_step, search, NULL);
	return search->found->replicate_ns != 0;
}

int nova_earlier_find(struct nova_store *store, const struct nova_earlier_query *query,
                      struct nova_earlier *found, struct nova_error *error)
{
	struct search search = {.store = store, .query = query, .found = found};
	int code;

	*found = (struct nova_earlier){0};
	code = nova_store_run_each(store, look_at_run, &search, error);
	free(search.samples);
	if (code < 0)
		return code;
	if (found->replicate_ns)
		return 0;
	return nova_error_set(error, NOVA_E_NOT_FOUND,
	                      "no run here has finished %s%s%s%s%s; run it first, or give the "
	                      "figures yourself",
	                      query->benchmark ? query->benchmark : "a benchmark",
	                      query->plugin ? " on " : "", query->plugin ? query->plugin : "",
	                      query->metric ? " with values of " : "",
	                      query->metric ? query->metric : "");
}

void nova_earlier_clear(struct nova_earlier *earlier)
{
	free(earlier->values);
	*earlier = (struct nova_earlier){0};
}

/* --- the plan -------------------------------------------------------------------------------- */

static int take_variation(struct nova_samples_plan *plan, const char *metric,
                          struct nova_error *error)
{
	const struct nova_earlier *earlier = &plan->earlier;
	struct nova_effect found;

	nova_stats_variation(earlier->values, earlier->count, LEVEL, ROUNDS, 1, &found);
	if (!(found.value > 0))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "the values of %s in run %s do not vary (n = %zu, %s); give "
		                      "the coefficient of variation yourself",
		                      metric, earlier->run, earlier->count,
		                      found.why[0] ? found.why : "all are equal");
	plan->cv = found.value;
	plan->cv_low = found.low;
	plan->cv_high = found.high;
	memcpy(plan->cv_why, found.why, sizeof(plan->cv_why));
	return 0;
}

static size_t count_at(const struct nova_samples_request *request, double cv)
{
	return nova_stats_samples(request->effect, cv, request->alpha, request->power,
	                          request->paired, request->rho);
}

static int count_vms(const struct nova_samples_request *request, struct nova_samples_plan *plan,
                     struct nova_error *error)
{
	plan->count = count_at(request, plan->cv);
	if (!plan->count)
		return nova_error_set(error, NOVA_E_INVALID, "a figure is out of its range");
	if ((double)plan->count > MOST_VMS)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "it would take more than %g VMs to find %.3g%% where values "
		                      "vary by %.3g%%; ask for a larger effect",
		                      MOST_VMS, request->effect * 100, plan->cv * 100);
	if (!isnan(plan->cv_high))
		plan->count_high = count_at(request, plan->cv_high);
	return 0;
}

/* One VM of the earlier run is taken to need as long as its replicate: all of its VMs at once. */
static void take_time(const struct nova_samples_request *request, struct nova_samples_plan *plan)
{
	double vms = 2 * (double)plan->count;

	plan->at_once = request->at_once ? request->at_once : plan->earlier.at_once;
	plan->at_once = plan->at_once ? plan->at_once : 1;
	plan->each_ns =
	        request->per_vm_ns > 0 ? request->per_vm_ns : (double)plan->earlier.replicate_ns;
	plan->time_ns = ceil(vms / plan->at_once) * plan->each_ns;
}

int nova_samples_make(struct nova_store *store, const struct nova_samples_request *request,
                      struct nova_samples_plan *plan, struct nova_error *error)
{
	const struct nova_earlier_query *query = &request->query;
	int code = 0;

	*plan = (struct nova_samples_plan){
	        .cv = request->cv,
	        .cv_low = NAN,
	        .cv_high = NAN,
	        .level = LEVEL,
	        .least_median = nova_stats_interval_needs(0.5, LEVEL),
	        .least_p95 = nova_stats_upper_needs(0.95, LEVEL),
	        .least_p99 = nova_stats_upper_needs(0.99, LEVEL),
	};
	if (query->benchmark || query->metric)
		code = nova_earlier_find(store, query, &plan->earlier, error);
	if (!code && isnan(request->cv) && query->metric)
		code = take_variation(plan, query->metric, error);
	if (!code)
		code = count_vms(request, plan, error);
	if (!code)
		take_time(request, plan);
	return code;
}

void nova_samples_clear(struct nova_samples_plan *plan)
{
	nova_earlier_clear(&plan->earlier);
}
