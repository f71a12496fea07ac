/* SPDX-License-Identifier: MIT */
/*
 * Are injected regressions found, and is injected noise left alone? Each operation of a simulated
 * VM is drawn for itself, so a run gives a series for each of six metrics, over its VMs in order.
 * The virtual clock stamps them, so nothing here depends on the machine.
 */
#include "core/selftest/check.h"

#include <novacore/types.h>

#include "core/stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define POINTS     100 /* of a series, what the bars are for */
#define STEP_AT    90  /* so many before a regression; measuring.md: found within ten points */
#define STEP_AFTER 40  /* so many in all after it, to say where it was */
#define NEAR       2
#define DEVIATION  "100ms:5ms" /* a CV of 5 % */
#define WIDTH      100         /* VMs at once, which live on time lines of their own */

/* Those that are one draw each. */
static const char *const METRICS[] = {"lifecycle.create.api",    "lifecycle.start.api",
                                      "lifecycle.snapshot.done", "lifecycle.restore.done",
                                      "lifecycle.stop.gone",     "lifecycle.delete.api"};
static const char *const OPERATIONS[] = {"create",  "start", "snapshot",
                                         "restore", "stop",  "delete"};

struct noise {
	const char *id, *claim;
	const char *settings[2];
};
static const struct noise NOISES[] = {
        {"noise.plain", "noise alone is called a change (CV 5 %)", {NULL}},
        {"noise.correlated",
         "noise of autocorrelation 0.5 is called a change",
         {"hypervisor.sim.rho=0.5", NULL}},
        {"noise.spikes",
         "noise with 2 % spikes is called a change",
         {"hypervisor.sim.spike_probability=0.02", "hypervisor.sim.spike_factor=3"}},
};

static const struct nova_change_options PLAIN = {.sensitivity = NOVA_SENSITIVITY_DEFAULT};

bool nova_selftest_alarm(const double *values, size_t count, size_t from)
{
	size_t look = from < NOVA_STATS_CHANGES_NEED ? NOVA_STATS_CHANGES_NEED : from;

	for (; look <= count; look += look < 200 ? 1 : look / 100)
		if (nova_stats_changes(values, look, &PLAIN, NULL, 0))
			return true;
	return false;
}

/* --- a simulated run as series -----------------------------------------------------------------
 */

struct series {
	double *values[NOVA_COUNT(METRICS)]; /* by VM; NAN: there is none */
	size_t count;
};

static void drop(struct series *series)
{
	for (size_t i = 0; i < NOVA_COUNT(METRICS); i++)
		free(series->values[i]);
	memset(series, 0, sizeof(*series));
}

/* VMs are numbered from 1, in the order in which the run made them. */
static void take_rows(const json_t *samples, struct series *series)
{
	const json_t *columns = json_object_get(samples, "columns"), *row;
	size_t vm = nova_selftest_column(columns, "vm"), i;
	size_t metric = nova_selftest_column(columns, "metric");
	size_t value = nova_selftest_column(columns, "value");

	json_array_foreach(json_object_get(samples, "rows"), i, row)
	{
		json_int_t number = json_integer_value(json_array_get(row, vm));
		const char *name = json_string_value(json_array_get(row, metric));

		for (size_t k = 0; k < NOVA_COUNT(METRICS); k++)
			if (name && !strcmp(METRICS[k], name) && number >= 1 &&
			    (size_t)number <= series->count)
				series->values[k][number - 1] =
				        json_number_value(json_array_get(row, value));
	}
}

static int check_whole(const struct series *series, struct nova_error *error)
{
	for (size_t k = 0; k < NOVA_COUNT(METRICS); k++)
		for (size_t i = 0; i < series->count; i++)
			if (isnan(series->values[k][i]))
				return nova_error_set(error, NOVA_E_FAILED,
				                      "the simulated run has no %s of VM %zu",
				                      METRICS[k], i + 1);
	return 0;
}

/* A run of `count` VMs with these settings over what all have. */
static int simulate(const struct nova_selftest_request *request, uint64_t stream, size_t count,
                    const char *const *settings, size_t setting_count, struct series *series,
                    struct nova_error *error)
{
	char *all[NOVA_COUNT(OPERATIONS) + 8];
	NOVA_AUTOJSON json_t *result = NULL;
	uint64_t seed = nova_seed_derive(request->seed, stream) & INT64_MAX;
	size_t width = count % WIDTH ? count / 2 : WIDTH, n = 0;
	int code;

	for (size_t i = 0; i < NOVA_COUNT(OPERATIONS); i++)
		all[n++] = nova_format("hypervisor.sim.%s=normal:" DEVIATION, OPERATIONS[i]);
	all[n++] = nova_strdup("hypervisor.sim.clock=virtual");
	all[n++] = nova_format("run.samples=%zu", count);
	all[n++] = nova_format("limits.max_vms=%d", WIDTH);
	all[n++] = nova_format("lifecycle.concurrency=%zu", width);
	for (size_t i = 0; i < setting_count && settings[i]; i++)
		all[n++] = nova_strdup(settings[i]);
	code = request->host.simulate(request->host.context, seed, (const char *const *)all, n,
	                              &result, error);
	while (n > 0)
		free(all[--n]);
	if (code)
		return code;
	series->count = count;
	for (size_t k = 0; k < NOVA_COUNT(METRICS); k++) {
		series->values[k] = nova_alloc(count * sizeof(double));
		for (size_t i = 0; i < count; i++)
			series->values[k][i] = NAN;
	}
	take_rows(json_object_get(json_array_get(json_object_get(result, "steps"), 0), "samples"),
	          series);
	code = check_whole(series, error);
	if (code)
		drop(series);
	return code;
}

/* --- the checks --------------------------------------------------------------------------------
 */

static int check_noise(const struct nova_selftest_request *request, size_t which, json_t *report,
                       struct nova_error *error)
{
	const struct noise *noise = &NOISES[which];
	size_t parts = request->quick ? 3 : 20, alarms = 0;
	struct nova_check check = {.id = noise->id,
	                           .claim = noise->claim,
	                           .n = parts * NOVA_COUNT(METRICS),
	                           .has_bar = true,
	                           .bar = 0.01};
	struct series series = {0};
	int code;

	nova_selftest_tell(&request->host, -1, "%zu series without a regression (%zu of %zu)",
	                   check.n, which + 1, NOVA_COUNT(NOISES));
	code = simulate(request, which + 1, parts * POINTS, noise->settings,
	                NOVA_COUNT(noise->settings), &series, error);
	if (code)
		return code;
	for (size_t k = 0; k < NOVA_COUNT(METRICS); k++)
		for (size_t i = 0; i < parts; i++)
			alarms += nova_selftest_alarm(series.values[k] + i * POINTS, POINTS, 0);
	drop(&series);
	nova_check_add_share(report, &check, alarms);
	return 0;
}

struct steps {
	size_t series, found, located;
};

static int run_step(const struct nova_selftest_request *request, uint64_t stream,
                    struct steps *steps, struct nova_error *error)
{
	NOVA_AUTOFREE char *at = nova_format("hypervisor.sim.regression_vm=%d", STEP_AT);
	const char *settings[] = {at, "hypervisor.sim.regression_factor=1.1"};
	struct series series = {0};
	int code = simulate(request, stream, STEP_AT + STEP_AFTER, settings, NOVA_COUNT(settings),
	                    &series, error);

	for (size_t k = 0; !code && k < NOVA_COUNT(METRICS); k++) {
		struct nova_change_point changes[4];
		size_t count;

		steps->series++;
		if (!nova_selftest_alarm(series.values[k], POINTS, STEP_AT + 1))
			continue;
		steps->found++;
		count = nova_stats_changes(series.values[k], series.count, &PLAIN, changes,
		                           NOVA_COUNT(changes));
		for (size_t i = 0; i < count && i < NOVA_COUNT(changes); i++)
			if (changes[i].index + NEAR >= STEP_AT &&
			    changes[i].index <= STEP_AT + NEAR) {
				steps->located++;
				break;
			}
	}
	drop(&series);
	return code;
}

static int check_steps(const struct nova_selftest_request *request, json_t *report,
                       struct nova_error *error)
{
	struct nova_check check = {.id = "regression.found",
	                           .claim = "a 10 % regression is found within 10 points (CV 5 %)",
	                           .has_bar = true,
	                           .at_least = true,
	                           .bar = 0.9};
	size_t runs = request->quick ? 2 : 12;
	struct steps steps = {0};
	int code = 0;

	for (size_t i = 0; !code && i < runs; i++) {
		nova_selftest_tell(&request->host, -1, "injected regressions (%zu of %zu)", i + 1,
		                   runs);
		code = run_step(request, 100 + i, &steps, error);
	}
	if (code)
		return code;
	check.n = steps.series;
	nova_check_add_share(report, &check, steps.found);
	check.id = "regression.located";
	check.claim = "one that was found is located within 2 points, with 40 after it";
	check.n = steps.found;
	nova_check_add_share(report, &check, steps.located);
	return 0;
}

int nova_selftest_changes(const struct nova_selftest_request *request, json_t *report,
                          struct nova_error *error)
{
	int code = 0;

	for (size_t i = 0; !code && i < NOVA_COUNT(NOISES); i++)
		code = check_noise(request, i, report, error);
	return code ? code : check_steps(request, report, error);
}
