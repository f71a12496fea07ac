/* SPDX-License-Identifier: MIT */
/*
 * Checks of benchmarks, on the test host's simulated lab: what they do where all goes well, and
 * where something does not. What a sample must be like is the lab's to judge; it complains.
 */
#include "inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLICATES 10

/* Functions of the lab, as the test host's scripts name them. */
static const char *const calls[] = {
        "vm_create",      "vm_power.start",  "vm_power.shutdown", "vm_power.off",
        "vm_power.reset", "vm_power.pause",  "vm_power.resume",   "vm_delete",
        "vm_query",       "snapshot.create", "snapshot.restore",  "snapshot.delete",
        "exec",           "migrate",         "net_create"};
static const char *const events[] = {"event.running", "event.first",   "event.userspace",
                                     "event.ready",   "event.address", "event.unready",
                                     "event.stopped", "event.migrated"};

static const char *const capabilities[] = {
        NOVA_CAN_CREATE,  NOVA_CAN_CLONE,    NOVA_CAN_START,    NOVA_CAN_SHUTDOWN, NOVA_CAN_PAUSE,
        NOVA_CAN_RESET,   NOVA_CAN_SNAPSHOT, NOVA_CAN_EXEC,     NOVA_CAN_READY,    NOVA_CAN_BEAT,
        NOVA_CAN_DIRECT,  NOVA_CAN_DISK,     NOVA_CAN_TEMPLATE, NOVA_CAN_STUB,     NOVA_CAN_STATS,
        NOVA_CAN_ADDRESS, NOVA_CAN_IMAGE,    NOVA_CAN_NETWORK,  NOVA_CAN_MIGRATE,  NOVA_CAN_KNOBS,
        NOVA_CAN_TWIN};

static const struct nova_benchmark *ops_of(const struct validator *v)
{
	return v->plugin->ops;
}

/* On which side its replicates run: a benchmark without targets measures this host. */
static uint32_t side_of(const struct validator *v)
{
	return ops_of(v)->targets_min ? NOVA_SIDE_VM : NOVA_SIDE_NATIVE;
}

static int replicate(struct validator *v, struct nova_testhost *host, uint32_t index, uint32_t side)
{
	stage(v, "replicate %u", index);
	return nova_testhost_replicate(host, index, side);
}

/* Why a replicate failed: the lab's complaint, if it had one, else its texts. */
static const char *reason(struct nova_testhost *host)
{
	uint32_t complaints = nova_testhost_complaints(host);

	if (complaints)
		return nova_testhost_complaint(host, complaints - 1);
	return *nova_testhost_error(host) ? nova_testhost_error(host) : "it says no reason";
}

/* What the host has complained of is in the reason already. */
static void expect_replicate(struct validator *v, struct nova_testhost *host, uint32_t index,
                             uint32_t side)
{
	int status = replicate(v, host, index, side);

	if (status != NOVA_DONE)
		fail(v, "replicate %u returned %s: %s", index, status_name(status), reason(host));
}

void tour_benchmark(struct validator *v)
{
	struct nova_testhost *host = open_host(v, NULL);

	if (!host)
		return;
	for (uint32_t i = 0; i < 2; i++)
		expect_replicate(v, host, i, side_of(v));
	close_host_quietly(v, host);
}

/* --- all goes well ------------------------------------------------------------------------ */

static int measured(struct nova_testhost *host, const char *metric)
{
	return nova_testhost_sample_of(host, metric, 0) != NULL;
}

static void check_replicates(struct validator *v)
{
	const struct nova_metric *const *metric;
	struct nova_testhost *host = open_host(v, NULL);
	char never[400] = "";
	uint32_t seen = 0;

	if (!host)
		return;
	for (uint32_t i = 0; i < REPLICATES; i++)
		expect_replicate(v, host, i, side_of(v));
	for (metric = ops_of(v)->metrics; *metric; metric++) {
		if (measured(host, (*metric)->name))
			seen++;
		else
			snprintf(never + strlen(never), sizeof(never) - strlen(never), "%s%s",
			         *never ? ", " : "", (*metric)->name);
	}
	if (!seen)
		fail(v, "%d replicates gave no sample of any declared metric", REPLICATES);
	else if (*never)
		note(v, "the lab here gave no reason to measure %s", never);
	close_host(v, host);
}

static void check_sides(struct validator *v)
{
	static const uint32_t sides[] = {NOVA_SIDE_VM, NOVA_SIDE_NATIVE, NOVA_SIDE_A, NOVA_SIDE_B};
	struct nova_testhost *host = open_host(v, NULL);
	int status, fine = 0;

	if (!host)
		return;
	for (uint32_t i = 0; i < COUNT(sides); i++) {
		status = replicate(v, host, i, sides[i]);
		fine += status == NOVA_DONE;
		if (status != NOVA_DONE && status != NOVA_E_UNSUPPORTED && status != NOVA_E_INVALID)
			fail(v,
			     "a replicate on side %u returned %s instead of NOVA_DONE or "
			     "NOVA_E_UNSUPPORTED: %s",
			     sides[i], status_name(status), reason(host));
	}
	if (!fine)
		fail(v, "replicate works on no side at all");
	close_host(v, host);
}

static void check_width(struct validator *v)
{
	struct nova_testhost *host = open_host(v, NULL);
	uint32_t width, vms;

	if (!host)
		return;
	width = nova_testhost_width(host);
	if (width < 1 || width > 1000000)
		fail(v, "width says %u VMs at once", width);
	expect_replicate(v, host, 0, side_of(v));
	vms = nova_testhost_vms(host);
	if (vms && vms < width)
		fail(v, "width says that a replicate makes %u VMs at once, it made %u", width, vms);
	if (ops_of(v)->width && ops_of(v)->width(nova_testhost_self(host)) != width)
		fail(v, "width says another number each time");
	if (nova_testhost_leftovers(host))
		note(v, "%u of %u VMs are left for the host to delete",
		     nova_testhost_leftovers(host), vms);
	close_host(v, host);
}

/* One parameter at another value than its default. */
static void try_variant(struct validator *v, const struct nova_parameter *p, const char *value)
{
	const char *const *given = v->request->parameters;
	struct nova_testhost *host;
	char assignment[256];
	const char **all;
	size_t count = 0;
	int status;

	while (given && given[count])
		count++;
	all = calloc(count + 2, sizeof(*all));
	if (!all)
		return;
	for (size_t i = 0; i < count; i++)
		all[i] = given[i];
	snprintf(assignment, sizeof(assignment), "%s=%s", p->name, value);
	all[count] = assignment;
	stage(v, "a replicate with %s", assignment);
	host = nova_testhost_new(v->plugin, all);
	status = host ? nova_testhost_start(host) : NOVA_E_INVALID;
	if (status == NOVA_DONE) {
		status = replicate(v, host, 0, side_of(v));
		if (status != NOVA_DONE && !*nova_testhost_error(host))
			fail(v, "with %s a replicate returned %s and said no reason", assignment,
			     status_name(status));
	}
	if (host)
		close_host(v, host);
	free(all);
}

static void check_variants(struct validator *v)
{
	const struct nova_parameter *const *p;

	if (!usable(v))
		return;
	for (p = v->plugin->parameters; p && *p; p++) {
		if ((*p)->type == NOVA_PARAM_BOOLEAN) {
			try_variant(v, *p, "true");
			try_variant(v, *p, "false");
		}
		for (const char *const *choice = (*p)->choices; choice && *choice; choice++)
			try_variant(v, *p, *choice);
		if ((*p)->minimum)
			try_variant(v, *p, (*p)->minimum);
	}
	if (!v->plugin->parameters || !v->plugin->parameters[0])
		note(v, "it has no parameters");
}

/* --- something does not ------------------------------------------------------------------- */

/* Has it called this function? A script's name is the call's word, or its beginning. */
static int has_called(struct nova_testhost *host, const char *name)
{
	const char *all = nova_testhost_calls(host, 0), *at = all;
	size_t length = strlen(name);

	while ((at = strstr(at, name))) {
		if ((at == all || at[-1] == ' ') &&
		    (at[length] == 0 || at[length] == ' ' || at[length] == '.'))
			return 1;
		at += length;
	}
	return 0;
}

/* That VMs fail is to be seen in the samples, the attempts, or the replicate's own failure. */
static int is_seen(struct nova_testhost *host, int status)
{
	const struct nova_sample *sample;

	if (status != NOVA_DONE || nova_testhost_attempts(host, NOVA_SAMPLE_FAILED) ||
	    nova_testhost_attempts(host, NOVA_SAMPLE_TIMED_OUT))
		return 1;
	for (uint32_t i = 0; (sample = nova_testhost_sample(host, i)); i++)
		if (sample->status != NOVA_SAMPLE_OK)
			return 1;
	return 0;
}

/* Everything that is `name` ends so. Must it be seen? Without a VM there is nothing to measure. */
static void try_script(struct validator *v, const char *name, int outcome, int must_be_seen)
{
	struct nova_testhost *host = open_host(v, NULL);
	int status;

	if (!host)
		return;
	nova_testhost_script(host, name, outcome, 0, 0);
	stage(v, "a replicate where %s ends with %s", name, status_name(outcome));
	status = nova_testhost_replicate(host, 0, side_of(v));
	if (status != NOVA_DONE && !*nova_testhost_error(host))
		fail(v, "where %s ends with %s, replicate returned %s and said no reason", name,
		     status_name(outcome), status_name(status));
	if (must_be_seen && has_called(host, name) && !is_seen(host, status))
		fail(v,
		     "every %s ended with %s, and the replicate shows nothing of it: no failed "
		     "sample, no failed attempt",
		     name, status_name(outcome));
	close_host(v, host);
}

static void check_failures(struct validator *v)
{
	for (size_t i = 0; i < COUNT(calls); i++)
		try_script(v, calls[i], NOVA_E_FAILED, i < 2);
	for (size_t i = 0; i < COUNT(events); i++)
		try_script(v, events[i], NOVA_E_FAILED, 0);
}

static void check_timeouts(struct validator *v)
{
	for (size_t i = 0; i < COUNT(calls); i++)
		try_script(v, calls[i], NOVA_E_TIMEOUT, i < 2);
	for (size_t i = 0; i < COUNT(events); i++)
		try_script(v, events[i], NOVA_E_TIMEOUT, 0);
}

static void check_denied(struct validator *v)
{
	struct nova_testhost *host;
	int status;

	for (size_t i = 0; i < COUNT(capabilities); i++) {
		host = open_host(v, NULL);
		if (!host)
			return;
		nova_testhost_deny(host, capabilities[i], "the check denies it");
		stage(v, "a replicate on a target that cannot %s", capabilities[i]);
		status = nova_testhost_replicate(host, 0, side_of(v));
		if (status != NOVA_DONE && status != NOVA_E_UNSUPPORTED)
			fail(v,
			     "on a target that cannot %s, replicate returned %s; ask with "
			     "lab->can, or name it in `needs`",
			     capabilities[i], status_name(status));
		close_host(v, host);
	}
}

static void check_interrupted(struct validator *v)
{
	struct nova_testhost *host;
	int status, met = 0;

	for (size_t i = 0; i < COUNT(calls); i++) {
		host = open_host(v, NULL);
		if (!host)
			return;
		nova_testhost_script(host, calls[i], NOVA_E_INTERRUPTED, 0, 0);
		stage(v, "a replicate that is interrupted in %s", calls[i]);
		status = nova_testhost_replicate(host, 0, side_of(v));
		if (has_called(host, calls[i])) {
			met++;
			if (status != NOVA_E_INTERRUPTED)
				fail(v,
				     "interrupted in %s, replicate returned %s instead of "
				     "NOVA_E_INTERRUPTED",
				     calls[i], status_name(status));
		}
		close_host(v, host);
	}
	if (!met)
		note(v, "it calls nothing that can be interrupted");
}

#define BENCHMARK NOVA_CHECK_OF(NOVA_KIND_BENCHMARK)

const struct nova_validator_check benchmark_checks[] = {
        {"replicates", BENCHMARK, 0, 0, "work", "replicates go well again and again, and measure",
         check_replicates},
        {"sides", BENCHMARK, 0, 0, "work", "replicates run on each side, or say that they cannot",
         check_sides},
        {"width", BENCHMARK, 0, 0, "work", "width says how many VMs a replicate makes",
         check_width},
        {"variants", BENCHMARK, 0, 0, "work",
         "replicates end, or say why not, with each choice of each parameter", check_variants},
        {"failing-calls", BENCHMARK, 0, 0, "work",
         "where calls fail and VMs crash, the replicate ends and shows it", check_failures},
        {"timeouts", BENCHMARK, 0, 0, "work",
         "where calls time out and events never come, the replicate ends and shows it",
         check_timeouts},
        {"denied", BENCHMARK, 0, 0, "work",
         "where a target lacks a capability, what needs it is left out", check_denied},
        {"interrupted", BENCHMARK, 0, 0, "work", "NOVA_E_INTERRUPTED is passed on at once",
         check_interrupted},
        {NULL, 0, 0, 0, NULL, NULL, NULL}};
