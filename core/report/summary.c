/* SPDX-License-Identifier: MIT */
/* What several formats say alike: the sentence at the top, advice, labels, how to run it again. */
#include "core/report/internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const nova_report_verdicts[NOVA_REPORT_VERDICTS] = {
        "regressed", "needs optimization", "inconclusive", "acceptable", "pass", "none"};
enum { REGRESSED, MISSED, OPEN, ACCEPTABLE, PASS, NONE };

/* --- the sentence ---------------------------------------------------------------------------- */

static void count_verdicts(const json_t *judged, unsigned counts[NOVA_REPORT_VERDICTS])
{
	size_t i;
	json_t *one;

	json_array_foreach(judged, i, one)
	{
		for (size_t v = 0; v < NOVA_REPORT_VERDICTS; v++)
			if (!strcmp(nova_json_text(one, "verdict"), nova_report_verdicts[v]))
				counts[v]++;
	}
}

static void add_part(struct nova_text *text, unsigned count, const char *one, const char *many)
{
	if (count)
		nova_text_addf(text, " %u %s", count, count == 1 ? one : many);
}

/* Of what did not do what was planned. */
static void add_states(struct nova_text *text, const json_t *result)
{
	const char *state = nova_report_text(json_object_get(result, "run"), "state");
	unsigned lost = 0, skipped = 0;
	size_t i;
	json_t *step;

	json_array_foreach(json_object_get(result, "steps"), i, step)
	{
		const char *how = nova_report_text(step, "state");

		lost += !strcmp(how, "failed") || !strcmp(how, "lost");
		skipped += !strcmp(how, "skipped");
	}
	add_part(text, lost, "step failed.", "steps failed.");
	add_part(text, skipped, "step was left out.", "steps were left out.");
	if (strcmp(state, "complete") != 0)
		nova_text_addf(text, " The run is not complete: its state is %s.", state);
}

char *nova_report_sentence(const json_t *result, unsigned counts[NOVA_REPORT_VERDICTS])
{
	struct nova_text text = {0};
	unsigned goals = 0, all = 0;
	size_t i;
	json_t *step;

	memset(counts, 0, NOVA_REPORT_VERDICTS * sizeof(*counts));
	json_array_foreach(json_object_get(result, "steps"), i, step)
	{
		count_verdicts(json_object_get(step, "metrics"), counts);
		count_verdicts(json_object_get(step, "comparisons"), counts);
	}
	for (i = 0; i < NOVA_REPORT_VERDICTS; i++)
		all += counts[i];
	goals = all - counts[NONE];
	if (!all)
		nova_text_add(&text, "Nothing was measured.");
	else if (!goals)
		nova_text_addf(&text, "%u measured, none with a goal: nothing was judged.", all);
	else if (counts[MISSED])
		nova_text_addf(&text, "%u of %u judged missed the goal.", counts[MISSED], goals);
	else if (!counts[REGRESSED] && !counts[OPEN] && goals == 1)
		nova_text_add(&text, "The one that was judged met its goal.");
	else if (!counts[REGRESSED] && !counts[OPEN])
		nova_text_addf(&text, "All %u that were judged met their goals.", goals);
	else
		nova_text_addf(&text, "Of %u judged, none missed its goal.", goals);
	add_part(&text, counts[REGRESSED], "got worse than its baseline.",
	         "got worse than their baselines.");
	add_part(&text, counts[OPEN], "is open: the samples do not decide it.",
	         "are open: the samples do not decide them.");
	add_states(&text, result);
	return text.data;
}

/* --- labels and advice ----------------------------------------------------------------------- */

const char *nova_report_advice(const json_t *metric)
{
	const json_t *counts = json_object_get(metric, "counts");

	if (nova_report_text(metric, "advice"))
		return nova_report_text(metric, "advice");
	if (strcmp(nova_report_text(metric, "verdict"), "needs optimization") != 0)
		return NULL;
	if (nova_report_integer(counts, "timed_out"))
		return "the goal is missed: look at what timed out first (the messages of the run, "
		       "or run --trace), then at run.op_timeout and at the concurrency";
	if (nova_report_integer(counts, "failed"))
		return "the goal is missed: look at what failed first (the messages of the run, or "
		       "run --trace)";
	return "the goal is missed: look at novacore doctor, at what else uses the host, and at "
	       "the concurrency; a goal that is not meant for this host is set with --set "
	       "goal.METRIC=LIMIT";
}

bool nova_report_is_control_plane(const json_t *step)
{
	return !strcmp(nova_json_text(json_object_get(step, "params"), "guest"), "stub");
}

char *nova_report_skipped(const json_t *skipped)
{
	static const char *const members[] = {"benchmark", "metric", "target"};
	struct nova_text text = {0};

	for (size_t i = 0; i < NOVA_COUNT(members); i++)
		if (nova_report_text(skipped, members[i]))
			nova_text_addf(&text, "%s%s", text.length ? ", " : "",
			               nova_report_text(skipped, members[i]));
	if (json_is_integer(json_object_get(skipped, "step")))
		nova_text_addf(&text, "%sstep %lld", text.length ? ", " : "",
		               nova_report_integer(skipped, "step") + 1);
	if (text.length)
		nova_text_add(&text, ": ");
	return text.data ? text.data : nova_strdup("");
}

/* --- recordings ------------------------------------------------------------------------------ */

static bool is_of_this_host(const json_t *recording)
{
	char name[256] = "";

	gethostname(name, sizeof(name) - 1);
	return !strcmp(name, nova_report_text(recording, "host"));
}

static void add_where(struct nova_text *line, const json_t *recording)
{
	const char *directory = nova_report_text(recording, "directory");

	if (!is_of_this_host(recording))
		nova_text_addf(line, ": on %s, %s", nova_report_text(recording, "host"), directory);
	else if (access(directory, F_OK))
		nova_text_addf(line, ": %s is deleted", nova_report_text(recording, "id"));
	else
		nova_text_addf(line, ": %s", directory);
}

char *nova_report_recording(const json_t *recording)
{
	const char *state = nova_report_text(recording, "state");
	const char *why = nova_report_text(recording, "why");
	json_t *kinds = json_object_get(recording, "kinds"), *kind;
	struct nova_text line = {0};
	char took[32];
	size_t i;

	nova_text_add(&line, "recorded (");
	json_array_foreach(kinds, i, kind)
	        nova_text_addf(&line, "%s%s", i ? ", " : "", json_string_value(kind));
	nova_text_add(&line, ")");
	if (json_is_integer(json_object_get(recording, "samples"))) {
		nova_value_format(nova_report_number(recording, "duration_s"), NOVA_UNIT_SECOND,
		                  took);
		nova_text_addf(&line, ": %lld samples in %s of %s",
		               nova_report_integer(recording, "samples"), took,
		               strcmp(nova_report_text(recording, "what"), "all")
		                       ? "the run's own processes"
		                       : "all processes");
	}
	if (nova_report_integer(recording, "lost"))
		nova_text_addf(&line, ", %lld lost", nova_report_integer(recording, "lost"));
	if (json_is_number(json_object_get(recording, "overhead_host")))
		nova_text_addf(&line, "; it took %.2g %% of the host's CPUs",
		               100 * nova_report_number(recording, "overhead_host"));
	if (strcmp(state, "complete") != 0)
		nova_text_addf(&line, "; %s%s%s",
		               strcmp(state, "running") ? state : "incomplete: not ended",
		               why ? ": " : "", why ? why : "");
	add_where(&line, recording);
	return line.data;
}

char *nova_report_flame(const json_t *recording, const char *name)
{
	char *path;

	/* a document may come from anywhere */
	if (!is_of_this_host(recording) || *nova_report_text(recording, "directory") != '/' ||
	    !nova_name_valid(name))
		return NULL;
	path = nova_format("%s/%s.html", nova_report_text(recording, "directory"), name);
	if (!access(path, F_OK))
		return path;
	free(path);
	return NULL;
}

/* --- again ----------------------------------------------------------------------------------- */

/* Adds " --plugin kvm" for each target's driver, once. False: a name that is no name. */
static bool add_plugins(struct nova_text *command, const json_t *result)
{
	json_t *targets = json_object_get(result, "targets"), *target;
	size_t i;

	json_array_foreach(targets, i, target)
	{
		const char *plugin = nova_report_text(target, "plugin");
		const char *name = nova_report_text(target, "name");

		if (!nova_name_valid(plugin) || !nova_name_valid(name))
			return false;
		/* One target that the command line made itself; else they have names. */
		if (json_array_size(targets) == 1 && !strcmp(name, "local"))
			nova_text_addf(command, " --plugin %s", plugin);
		else
			nova_text_addf(command, " --target %s", name);
	}
	return true;
}

char *nova_report_command(const json_t *result)
{
	const json_t *run = json_object_get(result, "run");
	NOVA_AUTOTEXT struct nova_text command = {0};
	json_t *step;
	size_t i;

	if (!nova_name_valid(nova_report_text(run, "profile")))
		return NULL;
	nova_text_addf(&command, "novacore run --profile %s", nova_report_text(run, "profile"));
	if (!add_plugins(&command, result))
		return NULL;
	nova_text_addf(&command, " --seed %lld", nova_report_integer(run, "seed"));
	json_array_foreach(json_object_get(result, "steps"), i, step)
	{
		const char *benchmark = nova_report_text(step, "benchmark");
		NOVA_AUTOFREE char *option = NULL;

		if (!nova_name_valid(benchmark))
			return NULL;
		option = nova_format(" --benchmark %s", benchmark);
		const char *there = strstr(nova_text_get(&command), option);
		if (!there || (there[strlen(option)] && there[strlen(option)] != ' '))
			nova_text_add(&command, option);
	}
	return nova_strdup(nova_text_get(&command));
}
