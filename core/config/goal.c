/* SPDX-License-Identifier: MIT */
/*
 * Goals: what a metric should reach, for one driver or for all. A later layer replaces what an
 * earlier one says for the same metric, driver and parameter; one for all drivers or all parameters
 * replaces all of earlier texts.
 */
#include <stdlib.h>
#include <string.h>

#include "core/config/internal.h"

/* Migration by memory size, for every driver; a size between two rows has the larger one's. */
static const struct {
	const char *upto;
	double duration, downtime, rate; /* s, s, B/s */
} by_memory[] = {
        {"memory=1GiB", 30, 0.1, 50e6},
        {"memory=4GiB", 60, 0.2, 80e6},
        {"memory=8GiB", 90, 0.3, 100e6},
        {"memory=16GiB", 180, 0.5, 120e6},
};

/* The seed values per driver, in seconds: create, start, stop, snapshot. */
static const struct {
	const char *plugin;
	double create, start, stop, snapshot;
} built_in[] = {
        {"kvm", 15, 10, 5, 30},    {"vsphere", 20, 12, 8, 45}, {"hyperv", 25, 8, 3, 15},
        {"xcp-ng", 18, 10, 5, 35}, {"proxmox", 15, 8, 3, 25},
};

/* The seed values for what a VM may cost against this host, as shares, for every driver. */
static const struct {
	const char *metric;
	double pass, acceptable;
} built_in_overhead[] = {
        {"cpu.rate.overhead", 0.03, 0.05},
        {"memory.read.seq.overhead", 0.05, 0.08},
        {"memory.write.seq.overhead", 0.05, 0.08},
        {"storage.read.seq.rate.overhead", 0.02, 0.05},
        {"storage.write.seq.rate.overhead", 0.02, 0.05},
        {"storage.read.rand.iops.overhead", 0.02, 0.05},
        {"storage.write.rand.iops.overhead", 0.02, 0.05},
        {"network.tcp.send.rate.overhead", 0.03, 0.05},
        {"network.tcp.receive.rate.overhead", 0.03, 0.05},
};

static void goal_clear(struct goal *goal)
{
	free(goal->metric);
	free(goal->plugin);
	free(goal->upto);
	free(goal->param);
	free(goal->shown);
	free(goal->origin);
}

void goals_clear(struct nova_config *config)
{
	for (size_t i = 0; i < config->goal_count; i++)
		goal_clear(&config->goals[i]);
	free(config->goals);
	config->goals = NULL;
	config->goal_count = 0;
}

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void drop(struct nova_config *config, size_t at)
{
	goal_clear(&config->goals[at]);
	memmove(&config->goals[at], &config->goals[at + 1],
	        (--config->goal_count - at) * sizeof(*config->goals));
}

static void add(struct nova_config *config, struct goal goal)
{
	for (size_t i = config->goal_count; i-- > 0;) {
		const struct goal *old = &config->goals[i];
		bool earlier = old->text < goal.text;
		if (!same(old->metric, goal.metric))
			continue;
		if (!same(old->upto, goal.upto) && (goal.upto || !earlier))
			continue;
		if (same(old->plugin, goal.plugin) || (!goal.plugin && earlier))
			drop(config, i);
	}
	config->goals = nova_grow(config->goals, config->goal_count, sizeof(*config->goals));
	goal.out.metric = goal.metric;
	goal.out.plugin = goal.plugin;
	goal.out.param = goal.param;
	goal.out.origin = goal.origin;
	config->goals[config->goal_count++] = goal;
}

/* "10s" → 10 and NOVA_UNIT_SECOND, "5%" → 0.05 and NOVA_UNIT_ONE: units do not overlap. */
static int read_limit(const char *text, double *value, uint32_t *unit)
{
	size_t length = strlen(text);

	*unit = NOVA_UNIT_ONE;
	if (length > 1 && text[length - 1] == '%') {
		NOVA_AUTOFREE char *digits = nova_format("%.*s", (int)length - 1, text);
		int code = value_number(digits, value);
		*value /= 100;
		return code;
	}
	if (value_number(text, value) == 0)
		return 0;
	if (nova_quantity_parse(text, NOVA_DURATION, value, NULL) == 0) {
		*unit = NOVA_UNIT_SECOND;
		*value /= 1e9;
		return 0;
	}
	if (nova_quantity_parse(text, NOVA_SIZE, value, NULL) == 0) {
		*unit = NOVA_UNIT_BYTE;
		return 0;
	}
	bool bytes = strstr(text, "B/s") || strstr(text, "bit/s");
	*unit = bytes ? NOVA_UNIT_BYTE_PER_SECOND : NOVA_UNIT_PER_SECOND;
	return nova_quantity_parse(text, NOVA_RATE, value, NULL);
}

/* "memory=1GiB": a parameter's name, and its value as the parameters of a step have it. */
static int read_upto(const char *text, char **param, double *most)
{
	size_t length = strcspn(text, "=");
	uint32_t unit;

	if (!length || text[length] != '=' || length > 64 ||
	    strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") != length ||
	    read_limit(text + length + 1, most, &unit) != 0)
		return -1;
	if (unit == NOVA_UNIT_SECOND)
		*most *= 1e9;
	*param = nova_format("%.*s", (int)length, text);
	return 0;
}

static void add_built_in(struct nova_config *config, const char *metric, const char *plugin,
                         const char *upto, struct nova_goal limit)
{
	struct goal goal = {
	        .out = limit,
	        .metric = nova_strdup(metric),
	        .plugin = nova_strdup(plugin),
	        .upto = nova_strdup(upto),
	        .shown = limit.unit == NOVA_UNIT_SECOND ? nova_format("%gs", limit.pass)
	                                                : nova_format("%gMB/s", limit.pass / 1e6),
	        .origin = nova_strdup("default"),
	        .layer = NOVA_LAYER_DEFAULT,
	};

	if (upto)
		read_upto(upto, &goal.param, &goal.out.most);
	add(config, goal);
}

static struct nova_goal seconds(double most)
{
	return (struct nova_goal){.unit = NOVA_UNIT_SECOND, .pass = most};
}

static void add_built_in_overhead(struct nova_config *config, const char *metric, double pass,
                                  double acceptable)
{
	add(config, (struct goal){
	                    .out = {.unit = NOVA_UNIT_ONE,
	                            .pass = pass,
	                            .has_acceptable = true,
	                            .acceptable = acceptable},
	                    .metric = nova_strdup(metric),
	                    .shown = nova_format("%g%%,%g%%", pass * 100, acceptable * 100),
	                    .origin = nova_strdup("default"),
	                    .layer = NOVA_LAYER_DEFAULT,
	            });
}

static void add_all_built_in(struct nova_config *config)
{
	for (size_t i = 0; i < NOVA_COUNT(built_in); i++) {
		const char *plugin = built_in[i].plugin;
		add_built_in(config, "lifecycle.create.api", plugin, NULL,
		             seconds(built_in[i].create));
		add_built_in(config, "lifecycle.start.running", plugin, NULL,
		             seconds(built_in[i].start));
		add_built_in(config, "lifecycle.stop.gone", plugin, NULL,
		             seconds(built_in[i].stop));
		add_built_in(config, "lifecycle.snapshot.done", plugin, NULL,
		             seconds(built_in[i].snapshot));
	}
	for (size_t i = 0; i < NOVA_COUNT(by_memory); i++) {
		const char *upto = by_memory[i].upto;
		struct nova_goal rate = {.unit = NOVA_UNIT_BYTE_PER_SECOND,
		                         .pass = by_memory[i].rate};
		add_built_in(config, "migration.duration", NULL, upto,
		             seconds(by_memory[i].duration));
		add_built_in(config, "migration.downtime.reported", NULL, upto,
		             seconds(by_memory[i].downtime));
		add_built_in(config, "migration.stun.observed", NULL, upto,
		             seconds(by_memory[i].downtime));
		add_built_in(config, "migration.rate", NULL, upto, rate);
	}
	for (size_t i = 0; i < NOVA_COUNT(built_in_overhead); i++)
		add_built_in_overhead(config, built_in_overhead[i].metric,
		                      built_in_overhead[i].pass, built_in_overhead[i].acceptable);
	/* of any driver: a control plane answers 99 of 100 calls within a second */
	add_built_in(config, "density.api.p99", NULL, NULL, seconds(1));
	add_built_in(config, "density.control-plane.api.p99", NULL, NULL, seconds(1));
}

static bool metric_valid(const char *metric)
{
	return strlen(metric) <= 128 && strchr(metric, '.') && metric[0] != '.' &&
	       metric[strlen(metric) - 1] != '.' && !strstr(metric, "..") &&
	       metric[strspn(metric, "abcdefghijklmnopqrstuvwxyz0123456789._-")] == '\0';
}

static int fail(const struct goal_entry *entry, const char *what, const char *value,
                struct nova_error *error)
{
	return nova_error_set(error, NOVA_E_INVALID, "%s: goals: %s%s%s%.80s%s", entry->origin,
	                      entry->metric && metric_valid(entry->metric) ? entry->metric : "",
	                      entry->metric && metric_valid(entry->metric) ? ": " : "",
	                      value ? "\"" : "", value ? value : "", what);
}

static int read_entry(struct nova_config *config, const struct goal_entry *entry,
                      struct nova_error *error)
{
	static const char no_limit[] =
	        "\" is not a limit; write a value with the metric's unit, such as \"10s\", "
	        "\"100MB/s\", \"16GiB\", \"5%\" or \"0.5\"";
	struct nova_goal out = {0};
	char *param = NULL;
	uint32_t unit = 0;

	if (!entry->metric)
		return fail(entry, "a goal needs a metric, such as \"lifecycle.start.running\"",
		            NULL, error);
	if (!metric_valid(entry->metric))
		return fail(entry, "\" is not the name of a metric (as in lifecycle.start.running)",
		            entry->metric, error);
	if (entry->plugin && !nova_name_valid(entry->plugin))
		return fail(entry, "\" is not the name of a hypervisor plugin (as in kvm)",
		            entry->plugin, error);
	if (!entry->pass)
		return fail(entry, "a goal needs a limit: pass = \"10s\";", NULL, error);
	if (read_limit(entry->pass, &out.pass, &out.unit) != 0)
		return fail(entry, no_limit, entry->pass, error);
	out.has_acceptable = entry->acceptable;
	if (entry->acceptable && read_limit(entry->acceptable, &out.acceptable, &unit) != 0)
		return fail(entry, no_limit, entry->acceptable, error);
	if (entry->acceptable && unit != out.unit)
		return fail(entry, "pass and acceptable must have the same unit", NULL, error);
	if (entry->upto && read_upto(entry->upto, &param, &out.most) != 0)
		return fail(entry,
		            "\" is not a parameter and the most it may be (as in \"memory=1GiB\")",
		            entry->upto, error);
	add(config, (struct goal){
	                    .out = out,
	                    .metric = nova_strdup(entry->metric),
	                    .plugin = nova_strdup(entry->plugin),
	                    .upto = nova_strdup(entry->upto),
	                    .param = param,
	                    .shown = entry->acceptable
	                                     ? nova_format("%s,%s", entry->pass, entry->acceptable)
	                                     : nova_strdup(entry->pass),
	                    .origin = nova_strdup(entry->origin),
	                    .layer = entry->layer,
	                    .text = entry->text,
	            });
	return 0;
}

int goals_read(struct nova_config *config, struct nova_error *error)
{
	goals_clear(config);
	add_all_built_in(config);
	for (enum nova_layer layer = NOVA_LAYER_PROFILE; layer <= NOVA_LAYER_COMMAND; layer++)
		for (size_t i = 0; i < config->goal_entry_count; i++) {
			if (config->goal_entries[i].layer != layer)
				continue;
			int code = read_entry(config, &config->goal_entries[i], error);
			if (code != 0)
				return code;
		}
	return 0;
}

const struct nova_goal *nova_config_goal(const struct nova_config *config, const char *metric,
                                         const char *plugin)
{
	const struct nova_goal *any = NULL;

	for (size_t i = 0; i < config->goal_count; i++) {
		const struct goal *goal = &config->goals[i];
		if (!same(goal->metric, metric) || goal->param)
			continue;
		if (plugin && same(goal->plugin, plugin))
			return &goal->out;
		if (!goal->plugin)
			any = &goal->out;
	}
	return any;
}

const struct nova_goal *nova_config_goal_at(const struct nova_config *config, size_t index)
{
	return index < config->goal_count ? &config->goals[index].out : NULL;
}
