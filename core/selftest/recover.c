/* SPDX-License-Identifier: MIT */
/*
 * Many simulated VMs live at once, and their latencies really pass (clock=real). What was injected
 * is known: the same plan and seed on the virtual clock has exactly these latencies. Each sample is
 * held against its own.
 */
#include "core/selftest/check.h"

#include <novacore/benchmark.h>

#include "core/stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BAR        0.01
#define ROUNDED    1e-9 /* s: samples are whole nanoseconds */
#define MOST_KINDS 32   /* metrics of a benchmark */
/* Holds times between calls, too, which nobody injected: shown, not judged. */
#define NOT_INJECTED "lifecycle.total"

struct sample {
	int64_t step, vm, seq;
	const char *metric, *status;
	double value;
};
struct samples {
	struct sample *items;
	size_t count;
};

static int by_key(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;
	int metric = strcmp(x->metric, y->metric);

	if (metric)
		return metric;
	if (x->step != y->step)
		return x->step < y->step ? -1 : 1;
	if (x->vm != y->vm)
		return x->vm < y->vm ? -1 : 1;
	return (x->seq > y->seq) - (x->seq < y->seq);
}

static void read_step(const json_t *step, struct samples *samples)
{
	const json_t *table = json_object_get(step, "samples"), *row;
	const json_t *columns = json_object_get(table, "columns");
	size_t vm = nova_selftest_column(columns, "vm"), i;
	size_t metric = nova_selftest_column(columns, "metric");
	size_t status = nova_selftest_column(columns, "status");
	size_t value = nova_selftest_column(columns, "value");
	size_t seq = nova_selftest_column(columns, "seq");
	size_t counted = nova_selftest_column(columns, "counted");

	json_array_foreach(json_object_get(table, "rows"), i, row)
	{
		const char *name = json_string_value(json_array_get(row, metric));

		if (!name || !json_is_true(json_array_get(row, counted)))
			continue;
		samples->items = nova_grow(samples->items, samples->count, sizeof(*samples->items));
		samples->items[samples->count++] = (struct sample){
		        .step = json_integer_value(json_object_get(step, "index")),
		        .vm = json_integer_value(json_array_get(row, vm)),
		        .seq = json_integer_value(json_array_get(row, seq)),
		        .metric = name,
		        .status = json_string_value(json_array_get(row, status)),
		        .value = json_number_value(json_array_get(row, value)),
		};
	}
}

/* Borrows the texts of `result`. */
static void read_samples(const json_t *result, struct samples *samples)
{
	json_t *step;
	size_t i;

	json_array_foreach(json_object_get(result, "steps"), i, step) read_step(step, samples);
	if (samples->count)
		qsort(samples->items, samples->count, sizeof(*samples->items), by_key);
}

/* --- one metric ------------------------------------------------------------------------------- */

struct pairs {
	const char *metric;
	double *injected, *measured;
	size_t count;
};
struct comparison {
	struct pairs kinds[MOST_KINDS];
	size_t kind_count;
	size_t unmatched; /* on one side only, or with another status */
	size_t early;     /* shorter than was injected */
};

static struct pairs *kind_of(struct comparison *all, const char *metric)
{
	struct pairs *last = all->kind_count ? &all->kinds[all->kind_count - 1] : NULL;

	if (last && !strcmp(last->metric, metric)) /* they are sorted by it */
		return last;
	if (all->kind_count == MOST_KINDS)
		return NULL;
	last = &all->kinds[all->kind_count++];
	last->metric = metric;
	return last;
}

static void pair(struct comparison *all, const struct sample *injected,
                 const struct sample *measured)
{
	struct pairs *kind;

	if (!injected->status || !measured->status || strcmp(injected->status, measured->status)) {
		all->unmatched++;
		return;
	}
	if (strcmp(injected->status, "ok"))
		return;
	kind = kind_of(all, injected->metric);
	if (!kind)
		return;
	all->early += measured->value < injected->value - ROUNDED;
	kind->injected = nova_grow(kind->injected, kind->count, sizeof(double));
	kind->measured = nova_grow(kind->measured, kind->count, sizeof(double));
	kind->injected[kind->count] = injected->value;
	kind->measured[kind->count++] = measured->value;
}

static void match(const struct samples *a, const struct samples *b, struct comparison *all)
{
	size_t i = 0, k = 0;

	while (i < a->count && k < b->count) {
		int order = by_key(&a->items[i], &b->items[k]);

		if (order == 0)
			pair(all, &a->items[i++], &b->items[k++]);
		else if (order < 0)
			i++, all->unmatched++;
		else
			k++, all->unmatched++;
	}
	all->unmatched += a->count - i + b->count - k;
}

/* Relative errors; of the quantiles and of the VM that is farthest off. */
struct errors {
	double p50, p95, p99, worst;
};

static double relative(double injected, double measured)
{
	return injected > 0 ? measured / injected - 1 : measured > 0 ? INFINITY : 0;
}

/* Sorts the pairs' values, each side for itself. */
static struct errors measure(struct pairs *kind)
{
	struct errors errors = {0};
	double *a = kind->injected, *b = kind->measured;
	size_t n = kind->count;

	for (size_t i = 0; i < n; i++) {
		double error = relative(a[i], b[i]);

		if (fabs(error) > fabs(errors.worst))
			errors.worst = error;
	}
	nova_stats_sort(a, n);
	nova_stats_sort(b, n);
	errors.p50 = relative(nova_stats_quantile(a, n, 0.5), nova_stats_quantile(b, n, 0.5));
	errors.p95 = relative(nova_stats_quantile(a, n, 0.95), nova_stats_quantile(b, n, 0.95));
	errors.p99 = relative(nova_stats_quantile(a, n, 0.99), nova_stats_quantile(b, n, 0.99));
	return errors;
}

/* --- the checks --------------------------------------------------------------------------------
 */

static void take_worse(double *most, const char **where, double error, const char *metric)
{
	if (!*where || fabs(error) > fabs(*most)) {
		*most = error;
		*where = metric;
	}
}

static void add_recovery(json_t *report, const char *id, const char *claim, size_t n, double error,
                         const char *where, const char *busy)
{
	struct nova_check check = {.id = id,
	                           .claim = claim,
	                           .unit = NOVA_UNIT_ONE,
	                           .value = where ? fabs(error) : NAN,
	                           .n = n,
	                           .has_bar = true,
	                           .bar = BAR,
	                           .timing = true};
	bool missed = !strcmp(nova_check_verdict(&check), "missed");
	NOVA_AUTOFREE char *why = !where    ? nova_strdup("there was no sample to compare")
	                          : !missed ? NULL
	                                    : nova_format("most in %s%s%s", where, busy ? "; " : "",
	                                                  busy ? busy : "");

	check.why = why;
	nova_check_add(report, &check);
}

static void add_counts(json_t *report, const struct comparison *all, size_t n)
{
	struct nova_check check = {.id = "recovery.samples",
	                           .claim = "samples that were lost, invented or told otherwise",
	                           .unit = NOVA_UNIT_ONE,
	                           .value = n ? (double)all->unmatched : NAN,
	                           .n = n,
	                           .has_bar = true};

	nova_check_add(report, &check);
	check.id = "recovery.early";
	check.claim = "durations shorter than what was injected";
	check.value = n ? (double)all->early : NAN;
	nova_check_add(report, &check);
}

void nova_selftest_compare(const json_t *injected, const json_t *measured, const char *busy,
                           json_t *report)
{
	struct samples a = {0}, b = {0};
	struct comparison all = {0};
	struct errors most = {0};
	const char *where[4] = {0};
	size_t n = 0;

	read_samples(injected, &a);
	read_samples(measured, &b);
	match(&a, &b, &all);
	for (size_t i = 0; i < all.kind_count; i++) {
		struct pairs *kind = &all.kinds[i];
		struct errors errors = measure(kind);

		json_array_append_new(json_object_get(report, "recovered"),
		                      json_pack("{ss sI sf sf sf sf}", "metric", kind->metric, "n",
		                                (json_int_t)kind->count, "p50", errors.p50, "p95",
		                                errors.p95, "p99", errors.p99, "worst",
		                                errors.worst));
		n += kind->count;
		if (strcmp(kind->metric, NOT_INJECTED)) {
			take_worse(&most.p50, &where[0], errors.p50, kind->metric);
			take_worse(&most.p95, &where[1], errors.p95, kind->metric);
			take_worse(&most.p99, &where[2], errors.p99, kind->metric);
			take_worse(&most.worst, &where[3], errors.worst, kind->metric);
		}
		free(kind->injected);
		free(kind->measured);
	}
	add_counts(report, &all, n);
	add_recovery(report, "recovery.p50", "injected p50, error", n, most.p50, where[0], busy);
	add_recovery(report, "recovery.p95", "injected p95, error", n, most.p95, where[1], busy);
	add_recovery(report, "recovery.p99", "injected p99, error", n, most.p99, where[2], busy);
	add_recovery(report, "recovery.vm", "each VM's own latency, error", n, most.worst, where[3],
	             busy);
	free(a.items);
	free(b.items);
}

/* --- the runs ---------------------------------------------------------------------------------
 */

/* The stages that are injected, long enough that a hundredth of one is more than what a timer is
 * late on a machine that has time. */
static int simulate(const struct nova_selftest_request *request, bool real, json_t **result,
                    struct nova_error *error)
{
	static const char *const stages[] = {"create", "start", "first", "userspace",
	                                     "ready",  "stop",  "delete"};
	unsigned vms = request->quick ? 100 : 1000;
	char *settings[NOVA_COUNT(stages) + 5];
	size_t count = 0;
	int code;

	for (size_t i = 0; i < NOVA_COUNT(stages); i++)
		settings[count++] = nova_format("hypervisor.sim.%s=lognormal:%s:0.2", stages[i],
		                                request->quick ? "500ms" : "2s");
	settings[count++] = nova_format("hypervisor.sim.clock=%s", real ? "real" : "virtual");
	settings[count++] = nova_format("limits.max_vms=%u", vms);
	settings[count++] = nova_format("run.samples=%u", vms);
	settings[count++] = nova_format("lifecycle.concurrency=%u", vms);
	settings[count++] = nova_strdup("lifecycle.snapshot=false");
	code = request->host.simulate(request->host.context, request->seed,
	                              (const char *const *)settings, count, result, error);
	for (size_t i = 0; i < count; i++)
		free(settings[i]);
	return code;
}

/* Why a figure of this machine may be off, or NULL: others want its processors, or whoever sleeps
 * on it wakes too late. */
static char *busy_machine(json_t *machine, double late_s)
{
	double load = json_number_value(json_array_get(json_object_get(machine, "load_before"), 0));
	json_int_t processors = json_integer_value(json_object_get(machine, "processors"));
	bool busy = load >= (double)processors || late_s > 0.005;
	char late[32];

	json_object_set_new(machine, "busy", json_boolean(busy));
	if (!busy)
		return NULL;
	nova_value_format(late_s, NOVA_UNIT_SECOND, late);
	return nova_format("the machine was busy: load %.1f on %lld processors, and a thread that "
	                   "only sleeps woke %s late (p99); repeat it when the machine has nothing "
	                   "else to do",
	                   load, (long long)processors, late);
}

int nova_selftest_recover(const struct nova_selftest_request *request, json_t *report,
                          struct nova_error *error)
{
	NOVA_AUTOJSON json_t *injected = NULL, *measured = NULL;
	NOVA_AUTOFREE char *busy = NULL;
	json_t *machine = json_object_get(report, "machine");
	double late_s, worst_s;
	struct nova_late late;
	int code;

	nova_selftest_tell(&request->host, -1, "what is injected, on the virtual clock");
	code = simulate(request, false, &injected, error);
	if (code)
		return code;
	nova_selftest_tell(&request->host, -1, "%s simulated VMs at once, in real time",
	                   request->quick ? "100" : "1,000");
	nova_late_begin(&late);
	code = simulate(request, true, &measured, error);
	nova_late_end(&late, &late_s, &worst_s);
	if (code)
		return code;
	json_object_set_new(machine, "late_p99_s", json_real(late_s));
	json_object_set_new(machine, "late_worst_s", json_real(worst_s));
	busy = busy_machine(machine, late_s);
	nova_selftest_compare(injected, measured, busy, report);
	return 0;
}
