/* SPDX-License-Identifier: MIT */
/*
 * Leads a run: its steps in order, each in a worker; what is repeated and how often; the budget;
 * what a dead worker, an interruption or a full disk does to it. Resuming is the same with what is
 * done already left out.
 */
#include "core/run/lead.h"

#include "core/machine/machine.h"
#include "core/run/trace.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define WARMUP_BASE  1000000 /* warm-up replicates are numbered from here */
#define REPLACEMENTS 3       /* workers of one step that may be replaced */
#define CALLS_PER_VM 12      /* of a replicate, for its deadline */

/* --- small things
 * ----------------------------------------------------------------------------------- */

static int64_t number_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

/* For people, who count from 1; documents count from 0. */
static long long step_number(const struct lead *lead)
{
	return number_of(lead->step, "index") + 1;
}

/* After this its worker is killed, so it is generous by default. */
static int64_t replicate_timeout(const struct lead *lead)
{
	if (nova_config_has(lead->config, "run.replicate_timeout"))
		return nova_config_i64(lead->config, "run.replicate_timeout", 0);
	return CALLS_PER_VM *
	       (nova_config_i64(lead->config, "run.op_timeout", 0) + 6 * NOVA_SECOND_NS);
}

/* --- the run's record
 * --------------------------------------------------------------------------------- */

static void read_boot_id(char out[37])
{
	NOVA_AUTOFREE char *text =
	        nova_file_read("/proc/sys/kernel/random/boot_id", 64, NULL, NULL);

	snprintf(out, 37, "%.36s", text ? text : "");
}

/* A run that cannot even begin (locked target, no memory, no appliance) leaves no record. */
int nova_lead_save(struct lead *lead, struct nova_error *error)
{
	return !lead->recorded ? 0 : nova_store_run_put(lead->store, &lead->run, error);
}

static void add_plugin(json_t *what, const char *kind, const json_t *plugin, const char *name)
{
	NOVA_AUTOFREE char *key = nova_format("plugin.%s/%s", kind, name);

	json_object_set_new(what, key,
	                    json_sprintf("%s, %.12s", nova_json_text(plugin, "version"),
	                                 nova_json_text(plugin, "sha256")));
}

/* What of the plan must match for a comparison, and what of it is compared. */
static void add_plan_facts(struct nova_run_record *run)
{
	json_t *revisions = json_object(), *metric, *item;
	const char *name;
	size_t i;

	json_object_foreach(json_object_get(run->plan, "metrics"), name, metric)
	        json_object_set(revisions, name, json_object_get(metric, "revision"));
	json_object_set_new(run->where, "metric_revisions", revisions);
	json_object_set_new(run->where, "shape", json_copy(json_object_get(run->plan, "shape")));
	json_array_foreach(json_object_get(run->plan, "targets"), i, item)
	        add_plugin(run->what, "hypervisor", item, nova_json_text(item, "plugin"));
	json_array_foreach(json_object_get(run->plan, "steps"), i, item)
	        add_plugin(run->what, "benchmark", item, nova_json_text(item, "benchmark"));
}

static int begin_new(struct lead *lead)
{
	struct nova_run_record *run = &lead->run;

	nova_uuid7(run->id);
	run->plan = json_deep_copy(lead->request->plan);
	snprintf(run->profile, sizeof(run->profile), "%s", nova_json_text(run->plan, "profile"));
	snprintf(run->state, sizeof(run->state), "running");
	run->seed = (uint64_t)number_of(run->plan, "seed");
	run->started_utc_ns = run->anchor_utc_ns = nova_utc_ns();
	run->anchor_monotonic_ns = nova_now_ns();
	read_boot_id(run->boot_id);
	nova_machine_facts(&run->where, &run->what);
	add_plan_facts(run);
	run->targets = json_array();
	run->skipped = json_array();
	return 0;
}

static int begin_again(struct lead *lead, struct nova_error *error)
{
	int code = nova_store_run_get(lead->store, lead->request->resume, &lead->run, error);

	if (code)
		return code;
	if (!strcmp(lead->run.state, "complete"))
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "run %s is complete: there is nothing to resume; novacore results show "
		        "%s prints it",
		        lead->run.id, lead->run.id);
	if (!json_is_object(lead->run.plan) || !json_object_get(lead->run.plan, "steps"))
		return nova_error_set(error, NOVA_E_INVALID, "run %s has no plan: it was imported",
		                      lead->run.id);
	snprintf(lead->run.state, sizeof(lead->run.state), "running");
	lead->run.ended_utc_ns = 0;
	return 0;
}

/* From here on the run exists: attempts that a dead process left running do not count. */
static int record(struct lead *lead, struct nova_run_outcome *outcome, struct nova_error *error)
{
	int code;

	lead->recorded = true;
	code = nova_lead_save(lead, error);
	if (!code)
		code = nova_store_supersede(lead->store, lead->run.id, error);
	memcpy(outcome->id, lead->run.id, sizeof(outcome->id));
	return code;
}

static int put_step(struct lead *lead, const json_t *step, const char *state, const char *why)
{
	struct nova_error error = {0};
	json_t *targets = json_object_get(step, "targets"), *names = json_array(), *index;
	struct nova_step_record record = {.index = (uint32_t)number_of(step, "index"),
	                                  .order_seed = (uint64_t)number_of(step, "order_seed"),
	                                  .targets = targets,
	                                  .params = json_object_get(step, "params"),
	                                  .why = (char *)(uintptr_t)why,
	                                  .started_utc_ns = number_of(step, "started"),
	                                  .ended_utc_ns = number_of(step, "ended")};
	NOVA_AUTOFREE char *canonical = NULL;
	NOVA_AUTOJSON json_t *identity = NULL;
	size_t i;
	int code;

	/* Identity (decisions.md): benchmark, targets and parameters. */
	json_array_foreach(targets, i, index)
	{
		json_t *target = json_array_get(json_object_get(lead->run.plan, "targets"),
		                                (size_t)json_integer_value(index));

		json_array_append(names, target);
	}
	identity = json_pack("{sO so sO}", "benchmark", json_object_get(step, "benchmark"),
	                     "targets", names, "params", json_object_get(step, "params"));
	canonical = nova_json_canonical(identity);
	nova_sha256(canonical, strlen(canonical), record.hash);
	snprintf(record.benchmark, sizeof(record.benchmark), "%s",
	         nova_json_text(step, "benchmark"));
	snprintf(record.state, sizeof(record.state), "%s", state);
	code = nova_store_step_put(lead->store, lead->run.id, &record, &error);
	if (code && !lead->store_code) {
		lead->store_code = code;
		lead->store_error = error;
	}
	return code;
}

void nova_lead_add_note(struct lead *lead, const char *text)
{
	json_t *notes = json_object_get(lead->run.plan, "notes");

	json_array_append_new(notes, json_string(text));
	nova_lead_note(lead, NOVA_LOG_WARNING, "%s", text);
	nova_lead_save(lead, NULL);
}

static void skip(struct lead *lead, const json_t *step, const char *why, const char *fix)
{
	json_array_append_new(lead->run.skipped,
	                      json_pack("{sO sO sn sn ss ss?}", "step",
	                                json_object_get(step, "index"), "benchmark",
	                                json_object_get(step, "benchmark"), "metric", "target",
	                                "why", why, "fix", fix));
	nova_lead_save(lead, NULL);
}

/* Whoever reads the result must know that something stood between it and what was measured. */
static void note_wrapper(struct lead *lead)
{
	NOVA_AUTOTEXT struct nova_text command = {0};
	NOVA_AUTOFREE char *text = NULL;

	if (!lead->request->wrapper)
		return;
	for (char *const *word = lead->request->wrapper; *word; word++)
		nova_text_addf(&command, "%s%s", command.length ? " " : "", *word);
	nova_utf8_repair(command.data);
	json_object_set_new(lead->run.where, "worker_wrapper", json_string(command.data));
	text = nova_format("the workers ran under \"%s\" (--worker-wrapper): times include it, "
	                   "and it had no deadline",
	                   command.data);
	nova_lead_add_note(lead, text);
}

/* --- replicates
 * ------------------------------------------------------------------------------------------ */

struct tally { /* of a step, from the store; `count` replicates */
	uint32_t count, warm;
	uint32_t *attempts; /* the highest */
	bool *done;
};

static int tally_one(void *context, const struct nova_replicate *replicate, const char *state,
                     const uint32_t counts[4], const char *why)
{
	struct tally *tally = context;

	(void)counts;
	(void)why;
	if (replicate->replicate >= WARMUP_BASE) {
		tally->warm++;
		return 0;
	}
	if (replicate->replicate >= tally->count)
		return 0;
	if (replicate->attempt > tally->attempts[replicate->replicate])
		tally->attempts[replicate->replicate] = replicate->attempt;
	if (!strcmp(state, "done"))
		tally->done[replicate->replicate] = true;
	return 0;
}

static int take_tally(struct lead *lead, uint32_t replicates, struct tally *tally,
                      struct nova_error *error)
{
	*tally = (struct tally){.count = replicates,
	                        .attempts = nova_alloc((replicates + 1) * sizeof(uint32_t)),
	                        .done = nova_alloc((replicates + 1) * sizeof(bool))};
	return nova_store_replicate_each(lead->store, lead->run.id,
	                                 (uint32_t)number_of(lead->step, "index"), tally_one, tally,
	                                 error);
}

static void drop_tally(struct tally *tally)
{
	free(tally->attempts);
	free(tally->done);
}

/* Begins an attempt, has the worker run it, ends it in the store. `*tainted`: replace the worker.
 */
static int run_replicate(struct lead *lead, uint32_t number, uint32_t attempt, bool warm_up,
                         bool *tainted, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *packet = NULL;
	struct nova_error why = {0};
	int64_t patience = replicate_timeout(lead);
	const char *state = "done";
	int code, stored;

	*tainted = false;
	lead->at = (struct nova_replicate){(uint32_t)number_of(lead->step, "index"), number,
	                                   NOVA_SIDE_VM, attempt};
	memset(lead->counts, 0, sizeof(lead->counts));
	lead->samples = 0;
	code = nova_store_replicate_begin(lead->store, lead->run.id, &lead->at, error);
	if (code)
		return lead->store_code = code, lead->store_error = *error, code;
	lead->in_replicate = true;
	lead->progress.warming_up = warm_up;
	code = nova_talk_send(lead,
	                      json_pack("{ss sI sI}", "is", "replicate", "index",
	                                (json_int_t)(warm_up ? number - WARMUP_BASE : number),
	                                "side", (json_int_t)NOVA_SIDE_VM),
	                      &why);
	if (!code)
		code = nova_talk(lead, "replicated", nova_now_ns() + patience, &packet, &why);
	lead->in_replicate = false;
	if (packet) {
		code = (int)nova_wire_i64(packet, "code");
		nova_error_set(&why, code, "%s", nova_wire_text(packet, "text"));
		*tainted = json_is_true(json_object_get(packet, "tainted"));
	}
	if (lead->store_code) {
		*error = lead->store_error;
		return lead->store_code;
	}
	lead->attempted += lead->counts[0];
	lead->succeeded += lead->counts[NOVA_SAMPLE_OK];
	if (code)
		state = lead->interrupted ? "superseded" : "failed";
	else if (warm_up)
		state = "warmup";
	stored = nova_store_replicate_end(lead->store, lead->run.id, &lead->at, state, lead->counts,
	                                  code ? why.text : NULL, error);
	if (stored)
		return lead->store_code = stored, lead->store_error = *error, stored;
	if (code)
		*error = why;
	return code;
}

/* Repetitions that fit into what is left of the budget, given what one has taken; at least one. */
static uint32_t fit(struct lead *lead, uint32_t wanted, int64_t each_ns, int64_t share_ns)
{
	uint32_t fitting;
	NOVA_AUTOFREE char *text = NULL;

	if (json_is_true(json_object_get(lead->run.plan, "full")) || each_ns <= 0)
		return wanted;
	fitting = share_ns <= each_ns ? 1 : (uint32_t)(share_ns / each_ns);
	if (fitting >= wanted)
		return wanted;
	text = nova_format(
	        "step %lld (%s): %u of %u replicates fit into run.budget (%.1f s each, %.0f s "
	        "left for this step); --full lifts the budget",
	        step_number(lead), nova_json_text(lead->step, "benchmark"), fitting, wanted,
	        (double)each_ns / 1e9, (double)share_ns / 1e9);
	nova_lead_add_note(lead, text);
	return fitting;
}

/* --- steps
 * --------------------------------------------------------------------------------------------- */

struct step_plan {
	uint32_t replicates, warmup, width;
	int64_t each_ns; /* mean time of a replicate so far */
	uint32_t measured;
	int64_t started_ns;
};

static int64_t budget_left(const struct lead *lead)
{
	return number_of(lead->run.plan, "budget_ns") - (nova_now_ns() - lead->started_ns);
}

static uint32_t steps_left(const struct lead *lead)
{
	return lead->progress.steps - lead->progress.step;
}

static void note_time(struct lead *lead, struct step_plan *plan, int64_t took_ns)
{
	uint32_t left;

	plan->each_ns = (plan->each_ns * plan->measured + took_ns) / (plan->measured + 1);
	plan->measured++;
	left = lead->progress.replicates > lead->progress.replicate
	               ? lead->progress.replicates - lead->progress.replicate
	               : 0;
	lead->progress.left_ns = plan->each_ns * left + (steps_left(lead) - 1) * plan->each_ns *
	                                                        (plan->replicates + plan->warmup);
	if (!json_is_true(json_object_get(lead->run.plan, "full")) &&
	    lead->progress.left_ns > budget_left(lead))
		lead->progress.left_ns = budget_left(lead);
}

/* One after the other, those of the store that are done left out. */
static int run_replicates(struct lead *lead, struct step_plan *plan, const struct tally *tally,
                          bool *tainted, struct nova_error *error)
{
	uint32_t warmed = 0;
	bool decided = number_of(lead->step, "replicates") > 0;
	int code = 0;

	*tainted = false;
	for (uint32_t i = 0; !code && !*tainted && i < plan->replicates + plan->warmup; i++) {
		bool warm_up = i < plan->warmup;
		uint32_t number = warm_up ? WARMUP_BASE + tally->warm + warmed++ : i - plan->warmup;
		int64_t began = nova_now_ns();

		lead->progress.replicate = i;
		if (!warm_up && tally->done[number])
			continue;
		if (lead->interrupted)
			return nova_error_set(error, NOVA_E_INTERRUPTED, "interrupted");
		code = run_replicate(lead, number, warm_up ? 1 : tally->attempts[number] + 1,
		                     warm_up, tainted, error);
		if (code)
			break;
		lead->progress.replicate = i + 1;
		note_time(lead, plan, nova_now_ns() - began);
		if (lead->watch.progress)
			lead->watch.progress(lead->watch.context, &lead->progress);
		if (!decided) { /* the first one has shown what one takes */
			decided = true;
			plan->replicates = fit(lead, plan->replicates, plan->each_ns,
			                       budget_left(lead) / (int64_t)steps_left(lead));
			if (!warm_up && plan->replicates == 0)
				plan->replicates = 1;
			json_object_set_new(lead->step, "replicates",
			                    json_integer(plan->replicates));
			lead->progress.replicates = plan->replicates + plan->warmup;
			nova_lead_save(lead, NULL);
		}
	}
	return code;
}

static void plan_step(struct lead *lead, const json_t *opened, struct step_plan *plan)
{
	int64_t samples = number_of(lead->step, "samples");
	int64_t width = nova_wire_i64(opened, "width");
	int64_t decided = number_of(lead->step, "replicates");

	plan->width = width > 0 ? (uint32_t)width : 1;
	plan->replicates = (uint32_t)((samples + plan->width - 1) / plan->width);
	if (decided > 0)
		plan->replicates = (uint32_t)decided;
	plan->warmup = (uint32_t)number_of(lead->step, "warmup");
	lead->progress.replicates = plan->replicates + plan->warmup;
	lead->progress.replicate = 0;
}

/* A worker that died while loading says by its end why the plugin is to be refused. */
static void name_refusal(struct lead *lead)
{
	static const enum nova_refusal_reason reasons[] = {
	        [WORKER_CRASHED] = NOVA_REFUSED_CRASH, [WORKER_EXITED] = NOVA_REFUSED_EXIT,
	        [WORKER_HUNG] = NOVA_REFUSED_HANG,     [WORKER_TOO_LARGE] = NOVA_REFUSED_MEMORY,
	        [WORKER_BROKEN] = NOVA_REFUSED_CRASH,  [WORKER_TALKATIVE] = NOVA_REFUSED_CRASH,
	        [WORKER_FILLS] = NOVA_REFUSED_CRASH,
	};
	const char *stage = lead->worker.loading_stage;

	if (!lead->refusal && *stage && lead->worker.end > WORKER_ENDED)
		lead->refusal = reasons[lead->worker.end];
}

static int open_step(struct lead *lead, const struct nova_guest *guest, json_t **opened,
                     struct nova_error *error)
{
	NOVA_AUTOJSON json_t *targets = nova_lead_step_targets(lead, lead->step, guest, error);
	NOVA_AUTOJSON json_t *benchmark =
	        targets ? nova_lead_benchmark(lead, lead->step, error) : NULL;
	NOVA_AUTOJSON json_t *shape = nova_lead_shape(lead, guest);
	int code;

	if (!benchmark)
		return error->code;
	if (nova_lead_replaced(lead, benchmark, targets, false))
		return nova_error_set(error, NOVA_E_REFUSED, "%s", lead->replaced);
	code = nova_talk_open(lead, benchmark, targets, shape, opened, error);
	lead->targets = json_object_get(lead->run.plan, "targets");
	if (code) {
		name_refusal(lead);
		if (lead->refusal && lead->refusal < NOVA_REFUSED_LOAD)
			nova_lead_replaced(lead, benchmark, targets, true);
		if (lead->refusal)
			nova_error_prefix(error, "plugin refused (%s)",
			                  nova_refusal_code(lead->refusal));
	}
	return code;
}

/* One worker's share of a step. */
static int work(struct lead *lead, const struct nova_guest *guest, bool replacement, char **lacks,
                bool *tainted, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *opened = NULL;
	struct step_plan plan = {0};
	struct tally tally = {0};
	int code;

	lead->opening = true;
	code = open_step(lead, guest, &opened, error);
	if (code)
		return code;
	lead->opening = false;
	nova_lead_learn(lead, lead->step, opened);
	*lacks = nova_strdup(nova_wire_text(opened, "lacks"));
	if (*lacks)
		return 0;
	plan_step(lead, opened, &plan);
	if (replacement)
		plan.warmup = 0;
	code = take_tally(lead, plan.replicates, &tally, error);
	if (!code)
		code = run_replicates(lead, &plan, &tally, tainted, error);
	drop_tally(&tally);
	return code;
}

/* Runs one step to its end, replacing a tainted worker. 0, or why the step is not done. */
static int work_step(struct lead *lead, const struct nova_guest *guest, char **lacks,
                     struct nova_error *error)
{
	bool tainted = true;
	int code = 0;

	for (unsigned worker = 0; !code && tainted && worker <= REPLACEMENTS; worker++) {
		tainted = false;
		code = work(lead, guest, worker > 0, lacks, &tainted, error);
		nova_talk_close(lead);
		if (!code && tainted && worker == REPLACEMENTS)
			code = nova_error_set(
			        error, NOVA_E_FAILED,
			        "calls could not be cancelled in %u workers one after the "
			        "other; the last message above says which",
			        REPLACEMENTS + 1);
	}
	return code;
}

/*
 * What a step's failure means for the exit code: while it was being opened, what the host, the
 * configuration or the hypervisor said; later, a step that failed.
 */
static void blame(const struct lead *lead, int code, int *exit_code)
{
	static const int order[] = {5, 2, 3, 4};
	int of_step = lead->opening ? nova_code_exit(code) : 4;

	for (size_t i = 0; i < NOVA_COUNT(order); i++)
		if (*exit_code == order[i] || of_step == order[i]) {
			*exit_code = order[i];
			return;
		}
	*exit_code = 4;
}

/* What the step left, because its worker died or a call failed. */
static void sweep_step(struct lead *lead, int *exit_code)
{
	struct nova_error ignored = {0};
	uint32_t found, left;

	nova_sweep_journal(lead, lead->targets, NULL, false, &found, &left, &ignored);
	if (left && !*exit_code)
		*exit_code = 4;
}

static void forget_directory_if_clean(struct lead *lead)
{
	uint32_t found = 0, left = 0;
	struct nova_error error = {0};

	nova_sweep_journal(lead, NULL, NULL, true, &found, &left, &error);
	if (!found)
		nova_directory_remove(lead->directory, NULL);
}

/* The next step needs the room that files of a dead worker take. */
static void empty_directory(struct lead *lead)
{
	forget_directory_if_clean(lead);
	nova_directory_make(lead->directory, 0755, NULL);
}

/* A step in which not one VM got through has measured nothing. */
static int check_success(const struct lead *lead, struct nova_error *error)
{
	if (!lead->attempted || lead->succeeded)
		return 0;
	return nova_error_set(error, NOVA_E_UNKNOWN,
	                      "not one of %u VMs got through; the messages above say why",
	                      lead->attempted);
}

static void end_step(struct lead *lead, int code, const char *lacks, const struct nova_error *error,
                     int *exit_code)
{
	const char *state = lacks ? "skipped" : !code ? "done" : lead->lost ? "lost" : "failed";
	const char *why = lacks ? lacks : code ? error->text : NULL;

	json_object_set_new(lead->step, "ended", json_integer((json_int_t)nova_utc_ns()));
	if (lacks) {
		skip(lead, lead->step, lacks, NULL);
		lead->skipped++;
	}
	if (code)
		blame(lead, code, exit_code);
	if (why)
		nova_lead_note(lead, lacks ? NOVA_LOG_WARNING : NOVA_LOG_ERROR,
		               "step %lld (%s)%s: %s", step_number(lead),
		               nova_json_text(lead->step, "benchmark"), lacks ? " is skipped" : "",
		               why);
	put_step(lead, lead->step, state, why);
}

/* 0 if the run may go on, else the code that ends it. */
static int run_step(struct lead *lead, const struct nova_guest *guest, int *exit_code)
{
	NOVA_AUTOFREE char *lacks = NULL;
	struct nova_error error = {0};
	int code;

	lead->attempted = lead->succeeded = 0;
	lead->lost = false;
	json_object_set_new(lead->step, "started", json_integer((json_int_t)nova_utc_ns()));
	json_object_set_new(lead->step, "ended", json_integer(0));
	if (put_step(lead, lead->step, "running", NULL))
		return lead->store_code;
	code = work_step(lead, guest, &lacks, &error);
	nova_talk_close(lead);
	sweep_step(lead, exit_code);
	if (lead->lost)
		empty_directory(lead);
	if (lead->store_code)
		return lead->store_code;
	if (lead->interrupted || lead->replaced) {
		put_step(lead, lead->step, "planned", NULL);
		return NOVA_E_INTERRUPTED;
	}
	if (!code && !lacks)
		code = check_success(lead, &error);
	end_step(lead, code, lacks, &error, exit_code);
	return lead->store_code;
}

static bool step_is_done(const json_t *done, size_t index)
{
	return json_is_true(json_array_get(done, index));
}

static int collect_done(void *context, const struct nova_step_record *step)
{
	bool done = !strcmp(step->state, "done") || !strcmp(step->state, "skipped");

	while (json_array_size(context) <= step->index)
		json_array_append_new(context, json_false());
	json_array_set_new(context, step->index, json_boolean(done));
	return 0;
}

static int run_steps(struct lead *lead, const struct nova_guest *guest, int *exit_code,
                     struct nova_error *error)
{
	json_t *steps = json_object_get(lead->run.plan, "steps"), *step;
	NOVA_AUTOJSON json_t *done = json_array();
	size_t index;
	int code = nova_store_step_each(lead->store, lead->run.id, collect_done, done, error);

	lead->progress.steps = (uint32_t)json_array_size(steps);
	json_array_foreach(steps, index, step) if (!code && json_array_size(done) <= index) code =
	        put_step(lead, step, "planned", NULL);
	json_array_foreach(steps, index, step)
	{
		NOVA_AUTOFREE char *params = NULL;
		json_t *planned = json_array_get(json_object_get(lead->run.plan, "targets"),
		                                 (size_t)json_integer_value(json_array_get(
		                                         json_object_get(step, "targets"), 0)));
		json_t *concurrency =
		        json_object_get(json_object_get(step, "params"), "concurrency");

		if (code || step_is_done(done, index))
			continue;
		if (concurrency)
			params = nova_format("concurrency %lld",
			                     (long long)json_integer_value(concurrency));
		lead->step = step;
		lead->value_count = 0;
		lead->progress =
		        (struct nova_run_progress){.step = (uint32_t)index,
		                                   .steps = lead->progress.steps,
		                                   .benchmark = nova_json_text(step, "benchmark"),
		                                   .target = nova_json_text(planned, "name"),
		                                   .params = params ? params : "",
		                                   .left_ns = -1};
		code = run_step(lead, guest, exit_code);
	}
	/* Not one step that the targets can do: that is no success. */
	if (!code && !*exit_code && lead->skipped && lead->skipped == json_array_size(steps))
		*exit_code = 3;
	return code;
}

/* --- the whole
 * -------------------------------------------------------------------------------------------- */

/* QEMU's own user must be able to pass: see platform.md on libvirt-qemu. */
static int make_directory(struct lead *lead, struct nova_error *error)
{
	NOVA_AUTOFREE char *below = nova_format("runs/%s", lead->short_id);

	lead->directory = nova_place(NOVA_PLACE_STATE, below);
	return nova_directory_make(lead->directory, 0755, error);
}

static void end_run(struct lead *lead, int code, int exit_code)
{
	/* A run with a failed or lost step can be resumed: that tries the step again. */
	const char *state = code == NOVA_E_INTERRUPTED ? "interrupted"
	                    : code || exit_code        ? "failed"
	                                               : "complete";

	snprintf(lead->run.state, sizeof(lead->run.state), "%s", state);
	lead->run.ended_utc_ns = nova_utc_ns();
	if (nova_lead_save(lead, &lead->store_error) && !lead->store_code)
		lead->store_code = lead->store_error.code;
}

static int finish(struct lead *lead, int code, struct nova_run_outcome *outcome,
                  struct nova_error *error)
{
	end_run(lead, code, outcome->exit_code);
	forget_directory_if_clean(lead);
	if (lead->store_code) {
		*error = lead->store_error;
		outcome->exit_code = 4;
		return nova_error_prefix(
		        error,
		        "the run is paused, nothing that was stored is lost; make room, then "
		        "novacore run --resume %s",
		        lead->run.id);
	}
	if (lead->replaced && !lead->interrupted) {
		outcome->exit_code = 4;
		return nova_error_set(
		        error, NOVA_E_INTERRUPTED,
		        "%s; the run is paused, nothing that was measured is lost; novacore run "
		        "--resume %s finishes the plan with what is installed then",
		        lead->replaced, lead->run.id);
	}
	if (lead->interrupted) {
		outcome->exit_code = lead->interrupted == SIGTERM ? 143 : 130;
		return nova_error_set(error, NOVA_E_INTERRUPTED,
		                      "interrupted; novacore run --resume %s finishes the plan",
		                      lead->run.id);
	}
	return code;
}

static int lead_run(struct lead *lead, struct nova_run_outcome *outcome, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *locks = json_array();
	struct nova_guest guest = {.hold = -1};
	uint32_t found = 0, left = 0;
	int run_lock = -1, code;

	lead->prefix = nova_format("novacore-%s-%s-", nova_store_installation(lead->store),
	                           lead->short_id);
	lead->targets = json_object_get(lead->run.plan, "targets");
	code = nova_locks_take(lead, &run_lock, locks, error);
	if (!code)
		code = make_directory(lead, error);
	if (!code)
		code = nova_lead_check_memory(lead, error);
	if (!code)
		code = nova_lead_check_cpus(lead, error);
	if (!code)
		code = nova_lead_find_guest(lead, &guest, error);
	if (!code)
		code = record(lead, outcome, error);
	if (!code)
		note_wrapper(lead);
	if (!code && lead->request->resume)
		nova_lead_note_replaced(lead);
	if (!code)
		code = nova_sweep_journal(lead, json_object_get(lead->run.plan, "targets"), NULL,
		                          false, &found, &left, error);
	if (!code)
		code = run_steps(lead, &guest, &outcome->exit_code, error);
	else
		outcome->exit_code = nova_code_exit(code);
	code = finish(lead, code, outcome, error);
	nova_guest_release(&guest);
	nova_locks_release(run_lock, locks);
	return code;
}

int nova_run_execute(const struct nova_run_request *request, struct nova_run_outcome *outcome,
                     struct nova_error *error)
{
	struct lead lead = {.request = request,
	                    .store = request->store,
	                    .registry = request->registry,
	                    .config = request->config,
	                    .watch = request->watch,
	                    .started_ns = nova_now_ns(),
	                    .stop_by_ns = INT64_MAX};
	int code;

	memset(outcome, 0, sizeof(*outcome));
	lead.signals = nova_signals_take(error);
	if (lead.signals < 0)
		return error->code;
	code = request->resume ? begin_again(&lead, error) : begin_new(&lead);
	if (!code && request->trace) {
		lead.trace = nova_trace_open(request->trace, lead.run.id, error);
		code = lead.trace < 0 ? lead.trace : 0;
	}
	if (!code) {
		snprintf(lead.short_id, sizeof(lead.short_id), "%s", nova_lead_short(lead.run.id));
		code = lead_run(&lead, outcome, error);
	}
	if (lead.trace > 0)
		close(lead.trace);
	nova_spawn_tell_left(&lead);
	nova_signals_return(lead.signals);
	nova_run_record_clear(&lead.run);
	free(lead.prefix);
	free(lead.directory);
	free(lead.replaced);
	free(lead.values);
	free(lead.answers);
	return code;
}
