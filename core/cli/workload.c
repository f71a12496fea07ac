/* SPDX-License-Identifier: MIT */
/*
 * The one table of what kinds of workload ask of a profile (P5), and the writer of profile files.
 * A rule changes a value only as far as it must: what the base already grants stays.
 */
#include "core/cli/workload.h"

#include <stdlib.h>
#include <string.h>

enum action { SET = 1, AT_LEAST, AT_MOST, ADD /* to a list */ };

/* SHAPE stands for the VM shape that the profile runs. */
static const struct rule {
	const char *workload, *key;
	enum action action;
	const char *value, *why;
} rules[] = {
        {"cpu-intensive", "utilization.cpu", AT_LEAST, "0.85",
         "CPUs that such a load leaves idle are paid for and not used"},
        {"cpu-intensive", "alert.cpu", AT_LEAST, "0.95",
         "busy CPUs are the normal state here and no reason for an alert"},
        {"cpu-intensive", "vm.SHAPE.vcpus", AT_LEAST, "2",
         "with one virtual CPU, the cost of scheduling several is not seen"},
        {"cpu-intensive", "objective.aim", SET, "throughput", "work done per hour counts"},
        {"cpu-intensive", "tune.allow", ADD, "cpu,numa",
         "governor, pinning and placement decide over CPU-bound work"},

        {"memory-intensive", "utilization.memory", AT_LEAST, "0.85",
         "memory is what such a load is bought for"},
        {"memory-intensive", "alert.memory", AT_LEAST, "0.92",
         "well-filled memory is the normal state here"},
        {"memory-intensive", "vm.SHAPE.memory", AT_LEAST, "1GiB",
         "snapshot, restore and start depend on how much memory a VM has"},
        {"memory-intensive", "limits.memory_share", AT_MOST, "0.8",
         "a host that begins to swap measures its swap"},
        {"memory-intensive", "tune.allow", ADD, "memory,numa",
         "huge pages, swapping and placement decide over memory-bound work"},

        {"io-intensive", "utilization.cache_hit", AT_LEAST, "0.9",
         "each miss goes to the storage that is the bottleneck"},
        {"io-intensive", "run.samples", AT_LEAST, "20",
         "latencies of storage scatter: fewer samples leave wide intervals"},
        {"io-intensive", "objective.metric", SET, "lifecycle.snapshot.done",
         "a snapshot writes a VM's state, and shows the storage first"},
        {"io-intensive", "tune.allow", ADD, "io,cache",
         "scheduler, queue depth and cache mode decide over I/O-bound work"},

        {"network-intensive", "utilization.cpu", AT_MOST, "0.75",
         "the host needs CPU time of its own to move packets"},
        {"network-intensive", "monitor.interval", AT_MOST, "2s",
         "bursts of traffic are shorter than a longer interval"},
        {"network-intensive", "alert.latency", AT_MOST, "500ms",
         "queues in a network show as latency before they show as loss"},
        {"network-intensive", "tune.allow", ADD, "network,cpu",
         "buffers, offloads and the placement of interrupts decide over network-bound work"},

        {"ml", "vm.SHAPE.vcpus", AT_LEAST, "2", "frameworks load and prepare data in parallel"},
        {"ml", "vm.SHAPE.memory", AT_LEAST, "2GiB", "models and batches are held in memory"},
        {"ml", "utilization.cpu", AT_LEAST, "0.85", "jobs run for hours and fill what they get"},
        {"ml", "utilization.cache_hit", AT_LEAST, "0.9", "the same data is read in each epoch"},
        {"ml", "alert.cpu", AT_LEAST, "0.95", "busy CPUs are the normal state of a training"},
        {"ml", "objective.aim", SET, "throughput", "steps per hour count"},
        {"ml", "objective.metric", SET, "lifecycle.restore.ready",
         "long jobs live on checkpoints that come back quickly"},
        {"ml", "tune.allow", ADD, "cpu,numa,memory,gpu",
         "placement, huge pages and device access decide over training"},

        {"latency-sensitive", "objective.aim", SET, "latency", "the slowest answers count"},
        {"latency-sensitive", "objective.metric", SET, "lifecycle.start.ready",
         "until a VM is ready, its users wait"},
        {"latency-sensitive", "run.samples", AT_LEAST, "30",
         "a tail is seen only with enough samples"},
        {"latency-sensitive", "run.warmup", AT_LEAST, "2",
         "cold caches are another question than latency in operation"},
        {"latency-sensitive", "utilization.cpu", AT_MOST, "0.7", "queues grow quickly above that"},
        {"latency-sensitive", "alert.latency", AT_MOST, "100ms",
         "users notice delays from about a tenth of a second on"},
        {"latency-sensitive", "monitor.interval", AT_MOST, "1s",
         "short stalls vanish in longer intervals"},
        {"latency-sensitive", "guardrail.degradation", AT_MOST, "0.05",
         "a change that costs latency elsewhere is taken back early"},
        {"latency-sensitive", "tune.allow", ADD, "cpu,cache",
         "power states, pinning and cache modes decide over latency"},
};

const char *workload_names(void)
{
	return "cpu-intensive, memory-intensive, io-intensive, network-intensive, ml and "
	       "latency-sensitive";
}

static int check_workload(const char *name, struct nova_error *error)
{
	const char *names[NOVA_COUNT(rules) + 1] = {NULL};

	for (size_t i = 0; i < NOVA_COUNT(rules); i++) {
		names[i] = rules[i].workload;
		if (strcmp(names[i], name) == 0)
			return 0;
	}
	const char *nearest = nova_nearest(name, names);
	return nova_error_set(error, NOVA_E_INVALID,
	                      "there are no rules for the workload \"%.60s\"%s%s%s; there are %s",
	                      name, nearest ? ", did you mean \"" : "", nearest ? nearest : "",
	                      nearest ? "\"?" : "", workload_names());
}

/* The number that a rule's value means in the unit of the configuration: B, ns, 1. */
static double number(const char *text)
{
	double value = 0;
	if (nova_quantity_parse(text, NOVA_DURATION, &value, NULL) != 0 &&
	    nova_quantity_parse(text, NOVA_SIZE, &value, NULL) != 0)
		value = strtod(text, NULL);
	return value;
}

static char *current(const struct nova_config *config, const char *key)
{
	NOVA_AUTOTEXT struct nova_text all = {0};
	if (!nova_config_has(config, key))
		return NULL;
	for (size_t i = 0; i < nova_config_count(config, key); i++)
		nova_text_addf(&all, "%s%s", i ? "," : "", nova_config_text(config, key, i));
	return nova_strdup(nova_text_get(&all));
}

static bool has_item(const struct nova_config *config, const char *key, const char *item)
{
	for (size_t i = 0; i < nova_config_count(config, key); i++)
		if (strcmp(nova_config_text(config, key, i), item) == 0)
			return true;
	return false;
}

/* The list with what is missing of `items`, or NULL if nothing is. */
static char *extended(const struct nova_config *config, const char *key, const char *items)
{
	NOVA_AUTOFREE char *before = current(config, key);
	NOVA_AUTOTEXT struct nova_text all = {0};
	size_t old;

	nova_text_add(&all, before ? before : "");
	old = all.length;
	while (*items) {
		NOVA_AUTOFREE char *item = nova_format("%.*s", (int)strcspn(items, ","), items);
		if (!has_item(config, key, item))
			nova_text_addf(&all, "%s%s", all.length ? "," : "", item);
		items += strlen(item);
		items += *items == ',';
	}
	if (has_item(config, key, "all") || all.length == old)
		return NULL;
	return nova_strdup(nova_text_get(&all));
}

/* What `rule` makes of the value, or NULL if that stays; heap. */
static char *wanted(const struct nova_config *config, const struct rule *rule, const char *key)
{
	if (rule->action == ADD)
		return extended(config, key, rule->value);
	if (nova_config_has(config, key)) {
		double now = nova_config_f64(config, key, 0), then = number(rule->value);
		const char *text = nova_config_text(config, key, 0);
		if ((rule->action == SET && strcmp(text, rule->value) == 0) ||
		    (rule->action == AT_LEAST && now >= then) ||
		    (rule->action == AT_MOST && now <= then))
			return NULL;
	}
	return nova_strdup(rule->value);
}

static void record(struct workload_change **changes, size_t *count, char *key, char *from, char *to,
                   const struct rule *rule)
{
	for (size_t i = 0; i < *count; i++) {
		struct workload_change *change = &(*changes)[i];
		if (strcmp(change->key, key) != 0)
			continue;
		/* the first value is what it changes from, the last rule what it changes to */
		free(change->to);
		free(key);
		free(from);
		change->to = to;
		change->workload = rule->workload;
		change->why = rule->why;
		return;
	}
	*changes = nova_grow(*changes, *count, sizeof(**changes));
	(*changes)[(*count)++] = (struct workload_change){key, from, to, rule->workload, rule->why};
}

static int apply(struct nova_config *config, const struct rule *rule,
                 struct workload_change **changes, size_t *count, struct nova_error *error)
{
	const char *shape = strstr(rule->key, "SHAPE");
	char *key = shape ? nova_format("%.*s%s%s", (int)(shape - rule->key), rule->key,
	                                nova_config_text(config, "run.shape", 0),
	                                shape + strlen("SHAPE"))
	                  : nova_strdup(rule->key);
	char *to = wanted(config, rule, key);

	if (!to) {
		free(key);
		return 0;
	}
	int code = nova_config_add_option(config, "--workload", key, to, error);
	char *from = current(config, key);
	record(changes, count, key, from, to, rule);
	return code == 0 ? nova_config_finish(config, error) : code;
}

int workload_adapt(struct nova_config *config, const char *workloads,
                   struct workload_change **changes, size_t *count, struct nova_error *error)
{
	int code = 0;

	do {
		NOVA_AUTOFREE char *name =
		        nova_format("%.*s", (int)strcspn(workloads, ","), workloads);
		code = check_workload(name, error);
		for (size_t i = 0; code == 0 && i < NOVA_COUNT(rules); i++)
			if (strcmp(rules[i].workload, name) == 0)
				code = apply(config, &rules[i], changes, count, error);
		workloads += strlen(name);
		workloads += *workloads == ',';
	} while (code == 0 && *workloads);
	return code;
}

void workload_changes_free(struct workload_change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(changes[i].key);
		free(changes[i].from);
		free(changes[i].to);
	}
	free(changes);
}

/* --- writing ---------------------------------------------------------------------------------- */

struct line {
	char *key, *value;
	const char *why;
};

struct writing {
	const struct nova_config *config;
	const struct workload_change *changes;
	size_t change_count;
	struct line *lines;
	size_t count;
	struct nova_text goals;
};

static void add_quoted(struct nova_text *text, const char *value)
{
	nova_text_add(text, "\"");
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			nova_text_add(text, "\\");
		if (*value == '\n')
			nova_text_add(text, "\\n");
		else
			nova_text_add_bytes(text, value, 1);
	}
	nova_text_add(text, "\"");
}

/* In libconfig's notation: plain numbers bare, unless they exceed what it keeps. */
static void add_value(struct nova_text *text, const struct nova_spec *spec, const char *value,
                      int64_t number_of)
{
	bool small = number_of >= INT32_MIN && number_of <= INT32_MAX;
	bool bare = spec->type == NOVA_PARAM_BOOLEAN || (spec->type == NOVA_PARAM_INTEGER && small);

	if (bare)
		nova_text_add(text, value);
	else if (spec->type == NOVA_PARAM_NUMBER && !strpbrk(value, "eE+") && strchr(value, '.'))
		nova_text_add(text, value);
	else if (spec->type == NOVA_PARAM_NUMBER && small && !strpbrk(value, "eE.+"))
		nova_text_addf(text, "%s.0", value); /* the values of an array are of one type */
	else
		add_quoted(text, value);
}

static void add_goal(struct nova_text *text, const struct nova_config_entry *entry)
{
	const char *metric = entry->key + strlen("goal."), *open = strstr(metric, " (");
	size_t length = strcspn(metric, " "), pass = strcspn(entry->value, ",");

	nova_text_addf(text, "%s\t{\n\t\tmetric = \"%.*s\";\n", text->length ? ",\n" : "",
	               (int)length, metric);
	if (open)
		nova_text_addf(text, "\t\tplugin = \"%.*s\";\n", (int)strcspn(open + 2, ")"),
		               open + 2);
	nova_text_addf(text, "\t\tpass = \"%.*s\";\n", (int)pass, entry->value);
	if (entry->value[pass])
		nova_text_addf(text, "\t\tacceptable = \"%s\";\n", entry->value + pass + 1);
	nova_text_add(text, "\t}");
}

static void collect(void *context, const struct nova_config_entry *entry)
{
	struct writing *writing = context;
	NOVA_AUTOTEXT struct nova_text value = {0};
	bool is_list = entry->spec->flags & NOVA_PARAM_LIST;

	if (entry->layer != NOVA_LAYER_COMMAND)
		return;
	if (strncmp(entry->key, "goal.", 5) == 0) {
		add_goal(&writing->goals, entry);
		return;
	}
	nova_text_add(&value, is_list ? "[" : "");
	for (size_t i = 0; i < nova_config_count(writing->config, entry->key); i++) {
		nova_text_add(&value, i ? ", " : "");
		add_value(&value, entry->spec, nova_config_text(writing->config, entry->key, i),
		          nova_config_i64(writing->config, entry->key, i));
	}
	nova_text_add(&value, is_list ? "]" : "");
	writing->lines = nova_grow(writing->lines, writing->count, sizeof(*writing->lines));
	struct line *line = &writing->lines[writing->count++];
	*line = (struct line){.key = nova_strdup(entry->key),
	                      .value = nova_strdup(nova_text_get(&value))};
	for (size_t i = 0; i < writing->change_count; i++)
		if (strcmp(writing->changes[i].key, entry->key) == 0)
			line->why = writing->changes[i].why;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct line *)a)->key, ((const struct line *)b)->key);
}

static void indent(struct nova_text *text, size_t depth)
{
	while (depth-- > 0)
		nova_text_add(text, "\t");
}

/* Length of the group that two keys share, with its last dot; "a.b.c", "a.b.d" → 4. */
static size_t shared(const char *a, const char *b)
{
	size_t group = 0;
	for (size_t i = 0; a[i] && a[i] == b[i]; i++)
		if (a[i] == '.')
			group = i + 1;
	return group;
}

static size_t dots(const char *key, size_t length)
{
	size_t count = 0;
	for (size_t i = 0; i < length; i++)
		count += key[i] == '.';
	return count;
}

/* Closes the groups of `before` and opens those of `key` that the two do not share. */
static void change_group(struct nova_text *text, const char *before, const char *key)
{
	size_t common = shared(before, key), depth = dots(before, strlen(before));

	for (; depth > dots(before, common); depth--) {
		indent(text, depth - 1);
		nova_text_add(text, "};\n");
	}
	for (const char *at = key + common, *dot; (dot = strchr(at, '.')); at = dot + 1) {
		if (depth == 0)
			nova_text_add(text, "\n");
		indent(text, depth++);
		nova_text_addf(text, "%.*s = {\n", (int)(dot - at), at);
	}
}

void workload_write(const struct nova_config *config, const struct workload_change *changes,
                    size_t count, struct nova_text *text)
{
	struct writing writing = {.config = config, .changes = changes, .change_count = count};
	const char *before = "";

	nova_config_each(config, collect, &writing);
	if (writing.count > 0)
		qsort(writing.lines, writing.count, sizeof(*writing.lines), by_key);
	for (size_t i = 0; i < writing.count; i++) {
		const struct line *line = &writing.lines[i];
		const char *dot = strrchr(line->key, '.');
		size_t depth = dots(line->key, strlen(line->key));
		change_group(text, before, line->key);
		if (line->why) {
			indent(text, depth);
			nova_text_addf(text, "# %s\n", line->why);
		}
		indent(text, depth);
		nova_text_addf(text, "%s = %s;\n", dot ? dot + 1 : line->key, line->value);
		before = line->key;
	}
	change_group(text, before, "");
	if (writing.goals.length > 0)
		nova_text_addf(text, "\ngoals = (\n%s\n);\n", nova_text_get(&writing.goals));
	for (size_t i = 0; i < writing.count; i++) {
		free(writing.lines[i].key);
		free(writing.lines[i].value);
	}
	free(writing.lines);
	nova_text_free(&writing.goals);
}
