/* SPDX-License-Identifier: MIT */
/*
 * What makes two results comparable: which steps are the same measurement, made under the same
 * circumstances, and the values of fresh VMs that are compared. The terms are in judge.h.
 */
#include "core/judge/judge.h"
#include "core/stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- where ----------------------------------------------------------------------------------- */

/* "24689356 kB" → "24 GiB": a kernel keeps more or less of it for itself. Source: judge.h. */
static json_t *rounded_memory(const json_t *fact)
{
	const char *text = json_string_value(fact);
	char *unit = NULL;
	unsigned long long kib = text ? strtoull(text, &unit, 10) : 0, step = 1;

	if (!kib || strcmp(unit, " kB") != 0)
		return json_incref((json_t *)(uintptr_t)fact);
	while (step <= kib / 32)
		step *= 2;
	return json_sprintf("%.4g GiB", (double)((kib + step - 1) / step * step) / 1048576);
}

json_t *nova_where_of_run(const json_t *result)
{
	json_t *facts = json_object_get(json_object_get(result, "where"), "facts"), *value;
	json_t *where = json_object();
	const char *name;

	json_object_foreach(facts, name, value)
	{
		if (!strcmp(name, "metric_revisions") || !strncmp(name, "accel.", 6))
			continue;
		if (!strcmp(name, "memory"))
			json_object_set_new(where, name, rounded_memory(value));
		else
			json_object_set_new(where, name, json_copy(value));
	}
	json_object_del(json_object_get(where, "shape"), "name");
	json_object_del(json_object_get(where, "shape"), "knobs");
	return where;
}

static const json_t *target_at(const json_t *result, const json_t *index)
{
	return json_array_get(json_object_get(result, "targets"),
	                      (size_t)json_integer_value(index));
}

json_t *nova_where_of_step(const json_t *result, const json_t *step)
{
	json_t *where = nova_where_of_run(result), *targets = json_object_get(step, "targets");
	json_t *index;
	size_t i;

	json_array_foreach(targets, i, index)
	{
		/* By place, not by name: targets of other names may stand against each other. */
		const json_t *target = target_at(result, index);
		bool one = json_array_size(targets) == 1;
		NOVA_AUTOFREE char *accel =
		        one ? nova_strdup("accel") : nova_format("accel.%zu", i + 1);
		NOVA_AUTOFREE char *place =
		        one ? nova_strdup("host") : nova_format("host.%zu", i + 1);
		NOVA_AUTOFREE char *host = nova_uri_host(nova_json_text(target, "uri"));
		json_t *said = json_object_get(target, "accel");

		if (json_is_string(said))
			json_object_set(where, accel, said);
		if (host)
			json_object_set_new(where, place, json_string(host));
	}
	return where;
}

void nova_facts_hash(const json_t *facts, char hash[65])
{
	NOVA_AUTOFREE char *canonical = nova_json_canonical(facts);

	nova_sha256(canonical, strlen(canonical), hash);
}

/* --- measurement ----------------------------------------------------------------------------- */

static json_t *targets_of(const json_t *result, const json_t *step, bool version)
{
	json_t *targets = json_array(), *index;
	size_t i;

	json_array_foreach(json_object_get(step, "targets"), i, index)
	{
		const json_t *target = target_at(result, index);
		json_t *one = json_pack("{ss ss}", "name", nova_json_text(target, "name"), "plugin",
		                        nova_json_text(target, "plugin"));

		if (version)
			json_object_set(one, "version", json_object_get(target, "version"));
		json_array_append_new(targets, one);
	}
	return targets;
}

json_t *nova_measurement_targets(const json_t *result, const json_t *step)
{
	return targets_of(result, step, true);
}

json_t *nova_measurement(const json_t *result, const json_t *step)
{
	return json_pack("{sO sO so}", "benchmark", json_object_get(step, "benchmark"), "params",
	                 json_object_get(step, "params"), "targets",
	                 targets_of(result, step, false));
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char *nova_source_sorted(const char *source)
{
	NOVA_AUTOFREE char *copy = nova_strdup(source ? source : "");
	NOVA_AUTOFREE char **parts = nova_alloc((strlen(copy) + 1) * sizeof(*parts));
	struct nova_text text = {0};
	char *rest = copy, *part;
	size_t count = 0;

	while ((part = strsep(&rest, ";"))) {
		part += strspn(part, " ");
		if (*part)
			parts[count++] = part;
	}
	qsort(parts, count, sizeof(*parts), by_text);
	for (size_t i = 0; i < count; i++)
		nova_text_addf(&text, "%s%s", i ? "; " : "", parts[i]);
	return text.data ? text.data : nova_strdup("");
}

bool nova_result_simulated(const json_t *result)
{
	size_t i;
	json_t *target;

	json_array_foreach(json_object_get(result, "targets"), i, target)
	{
		if (json_is_true(json_object_get(target, "simulated")))
			return true;
	}
	return false;
}

void nova_series_hash(const char *measurement, const char *where, const char *metric,
                      const char *side, int64_t revision, const char *source, char hash[65])
{
	NOVA_AUTOJSON json_t *parts = json_pack("[s s s s I s]", measurement, where, metric, side,
	                                        (json_int_t)revision, source);

	nova_facts_hash(parts, hash);
}

void nova_finding_id(const char *kind, const char *series, const char *at, char id[17])
{
	NOVA_AUTOJSON json_t *parts = json_pack("[s s s]", kind, series, at);
	char hash[65];

	nova_facts_hash(parts, hash);
	snprintf(id, 17, "%.12s", hash);
}

/* --- units ----------------------------------------------------------------------------------- */

/* A counted sample of a declared metric. */
struct sample {
	size_t metric; /* in the step's `metrics` */
	json_int_t replicate, vm;
	bool ok;
	double value;
};

static int by_unit(const void *left, const void *right)
{
	const struct sample *a = left, *b = right;

	if (a->metric != b->metric)
		return a->metric < b->metric ? -1 : 1;
	if (a->replicate != b->replicate)
		return a->replicate < b->replicate ? -1 : 1;
	if (a->vm != b->vm)
		return a->vm < b->vm ? -1 : 1;
	if (a->ok != b->ok)
		return a->ok ? -1 : 1;
	return a->value < b->value ? -1 : a->value > b->value;
}

/* The metric of a row; rows of one stand together, so the last one is tried first. */
static size_t metric_index(const json_t *metrics, const json_t *row, size_t last)
{
	const char *side = json_string_value(json_array_get(row, 2));
	const char *name = json_string_value(json_array_get(row, 4));
	size_t count = json_array_size(metrics);

	for (size_t i = 0; i < count; i++) {
		size_t at = (last + i) % count;
		const json_t *metric = json_array_get(metrics, at);

		if (!strcmp(nova_json_text(metric, "name"), name) &&
		    !strcmp(nova_json_text(metric, "side"), side))
			return at;
	}
	return SIZE_MAX;
}

static struct sample *counted_samples(const json_t *step, size_t *count)
{
	const json_t *metrics = json_object_get(step, "metrics");
	const json_t *rows = json_object_get(json_object_get(step, "samples"), "rows");
	struct sample *samples = nova_alloc((json_array_size(rows) + 1) * sizeof(*samples));
	size_t i, last = 0;
	json_t *row;

	*count = 0;
	json_array_foreach(rows, i, row)
	{
		size_t metric = metric_index(metrics, row, last);

		if (metric == SIZE_MAX || !json_is_true(json_array_get(row, 11)))
			continue;
		last = metric;
		samples[(*count)++] =
		        (struct sample){metric, json_integer_value(json_array_get(row, 0)),
		                        json_integer_value(json_array_get(row, 3)),
		                        !strcmp(json_string_value(json_array_get(row, 5)), "ok"),
		                        json_number_value(json_array_get(row, 6))};
	}
	qsort(samples, *count, sizeof(*samples), by_unit);
	return samples;
}

/* The samples of one unit, the successful ones first and ascending. */
static void add_unit(struct nova_units *units, const struct sample *samples, size_t count)
{
	size_t ok = 0;

	while (ok < count && samples[ok].ok)
		ok++;
	if (!ok) {
		units->lost++;
		return;
	}
	units->values = nova_grow(units->values, units->count, sizeof(*units->values));
	units->values[units->count++] = (samples[(ok - 1) / 2].value + samples[ok / 2].value) / 2;
}

struct nova_units *nova_units_of(const json_t *step)
{
	size_t metrics = json_array_size(json_object_get(step, "metrics")), count, end;
	struct nova_units *units = nova_alloc((metrics + 1) * sizeof(*units));
	NOVA_AUTOFREE struct sample *samples = counted_samples(step, &count);

	for (size_t at = 0; at < count; at = end) {
		end = at + 1;
		while (end < count && samples[end].metric == samples[at].metric &&
		       samples[end].replicate == samples[at].replicate &&
		       samples[end].vm == samples[at].vm)
			end++;
		add_unit(&units[samples[at].metric], samples + at, end - at);
	}
	return units;
}

void nova_units_free(struct nova_units *units, const json_t *step)
{
	for (size_t i = 0; i < json_array_size(json_object_get(step, "metrics")); i++)
		free(units[i].values);
	free(units);
}
