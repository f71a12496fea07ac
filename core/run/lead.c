/* SPDX-License-Identifier: MIT */
/*
 * Leads a run: its steps in order, each in a worker; what a dead worker, an interruption or a full
 * disk does to it. Resuming is the same with what is done already left out.
 */
#include "core/run/lead.h"

#include "core/machine/machine.h"
#include "core/run/trace.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define REPLACEMENTS 3 /* workers of one step that may be replaced */

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

/* Of A and B both, where they differ. */
static json_t *shape_of(const json_t *plan)
{
	const json_t *sides = json_object_get(plan, "ab");
	json_t *a = json_object_get(json_object_get(sides, "a"), "shape");
	json_t *b = json_object_get(json_object_get(sides, "b"), "shape");

	return a && !json_equal(a, b) ? json_pack("{sO sO}", "a", a, "b", b)
	                              : json_copy(json_object_get(plan, "shape"));
}

/* How its driver is told to make the VMs; where it is, is no part of it, and may name a user. */
static void add_params(json_t *what, const json_t *target)
{
	NOVA_AUTOFREE char *key = nova_format("params.%s", nova_json_text(target, "name"));
	json_t *params = json_copy(json_object_get(target, "params"));

	json_object_del(params, "uri");
	if (json_object_size(params))
		json_object_set(what, key, params);
	json_decref(params);
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
	json_object_set_new(run->where, "shape", shape_of(run->plan));
	json_array_foreach(json_object_get(run->plan, "targets"), i, item)
	{
		add_plugin(run->what, "hypervisor", item, nova_json_text(item, "plugin"));
		add_params(run->what, item);
	}
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
	run->skipped = json_deep_copy(json_object_get(run->plan, "skipped"));
	if (!run->skipped)
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
	if (!nova_lead_ab(lead) != !lead->request->config_b)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "run %s %s A with B; novacore %s --resume %s finishes it",
		                      lead->run.id,
		                      nova_lead_ab(lead) ? "compares" : "does not compare",
		                      nova_lead_ab(lead) ? "ab" : "run", lead->run.id);
	snprintf(lead->run.state, sizeof(lead->run.state), "running");
	lead->run.ended_utc_ns = 0;
	nova_lead_record_resume(lead);
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
	                                  .ended_utc_ns = number_of(step, "ended"),
	                                  .estimate_ns = number_of(step, "estimate_ns")};
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
	snprintf(record.stopped, sizeof(record.stopped), "%s", nova_json_text(step, "stopped"));
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

static void skip(struct lead *lead, const json_t *step, const char *why)
{
	json_array_append_new(lead->run.skipped,
	                      json_pack("{sO sO sn sn ss sn}", "step",
	                                json_object_get(step, "index"), "benchmark",
	                                json_object_get(step, "benchmark"), "metric", "target",
	                                "why", why, "fix"));
	nova_lead_save(lead, NULL);
}

void nova_lead_skip_native(struct lead *lead, const char *why)
{
	NOVA_AUTOFREE char *text = nova_format("VMs are not compared with this host: %s", why);

	skip(lead, lead->step, text);
	nova_lead_note(lead, NOVA_LOG_WARNING, "step %lld (%s): %s", step_number(lead),
	               nova_json_text(lead->step, "benchmark"), text);
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

/* --- steps
 * --------------------------------------------------------------------------------------------- */

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

static int open_step(struct lead *lead, const json_t *step, const struct nova_guest *guest,
                     json_t **opened, struct nova_error *error)
{
	json_t *targets = nova_lead_step_targets(lead, step, guest, error);
	NOVA_AUTOJSON json_t *benchmark =
	        targets ? nova_lead_benchmark(lead, step, guest, error) : NULL;
	NOVA_AUTOJSON json_t *shape = nova_lead_shape(lead, guest);
	int code;

	json_decref(lead->step_targets);
	lead->step_targets = targets;
	if (!benchmark)
		return error->code;
	if (nova_lead_replaced(lead, benchmark, targets, false))
		return nova_error_set(error, NOVA_E_REFUSED, "%s", lead->replaced);
	code = nova_talk_open(lead, benchmark, targets, shape, opened, error);
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

void nova_lead_enter(struct lead *lead, size_t side)
{
	const json_t *sides = nova_lead_ab(lead);

	lead->shape = json_object_get(lead->run.plan, "shape");
	lead->side = side;
	if (!sides)
		return;
	lead->shape = json_object_get(json_object_get(sides, side ? "b" : "a"), "shape");
	lead->config = side ? lead->request->config_b : lead->request->config;
}

int nova_lead_open_side(struct lead *lead, size_t side, struct nova_error *error)
{
	const json_t *own = json_object_get(nova_lead_ab(lead), side ? "b" : "a");
	NOVA_AUTOJSON json_t *step = json_copy(lead->step), *opened = NULL;
	const char *lacks;
	int code;

	nova_lead_enter(lead, side);
	json_object_set(step, "targets", json_object_get(own, "targets"));
	json_object_set(step, "params", json_object_get(own, "params"));
	lead->opening = true;
	code = open_step(lead, step, &lead->guests[side], &opened, error);
	if (!code)
		code = nova_locks_learn(lead, step, opened, error);
	if (!code) {
		nova_lead_learn(lead, step, opened);
		json_object_set(lead->step, "width", json_object_get(opened, "width"));
		lacks = nova_wire_text(opened, "lacks");
		if (lacks)
			code = nova_error_set(error, NOVA_E_UNSUPPORTED, "%s", lacks);
	}
	if (code)
		return nova_error_prefix(error, "side %s", side ? "b" : "a");
	lead->opening = false;
	return 0;
}

/* One worker's share of a step. */
static int work(struct lead *lead, const struct nova_guest *guest, bool replacement, char **lacks,
                bool *tainted, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *opened = NULL;
	int code;

	lead->opening = true;
	code = open_step(lead, lead->step, guest, &opened, error);
	if (!code)
		code = nova_locks_learn(lead, lead->step, opened, error);
	if (code)
		return code;
	lead->opening = false;
	nova_lead_learn(lead, lead->step, opened);
	*lacks = nova_strdup(nova_wire_text(opened, "lacks"));
	if (*lacks)
		return 0;
	return nova_lead_repeat(lead, opened, !replacement, tainted, error);
}

/* Runs one step to its end, replacing a tainted worker. 0, or why the step is not done. */
static int work_step(struct lead *lead, const struct nova_guest *guest, char **lacks,
                     struct nova_error *error)
{
	bool tainted = true;
	int code = 0;

	if (nova_lead_ab(lead)) { /* which opens a worker for each replicate */
		code = nova_lead_repeat(lead, NULL, true, &tainted, error);
		nova_lead_record_finish(lead);
		return code;
	}
	for (unsigned worker = 0; !code && tainted && worker <= REPLACEMENTS; worker++) {
		tainted = false;
		lead->worked_until_ns = 0;
		code = work(lead, guest, worker > 0, lacks, &tainted, error);
		nova_talk_close(lead);
		nova_lead_record_finish(lead);
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
 * configuration or the hypervisor said, or a refusal for safety; later, a step that failed.
 */
static void blame(const struct lead *lead, int code, int *exit_code)
{
	static const int order[] = {5, 2, 3, 4};
	int of_step = lead->opening || code == NOVA_E_REFUSED ? nova_code_exit(code) : 4;

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

	nova_sweep_journal(lead, lead->step_targets, NULL, false, &found, &left, &ignored);
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

/* The next step needs the room that files of a dead worker take; but not if it needs the run's key,
 * or an image that is a file of this host. */
static void empty_directory(struct lead *lead)
{
	if (lead->has_images)
		return;
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

/* The estimate beside what it took: whoever plans the next run wants to know how good it is. */
static void tell_time(struct lead *lead)
{
	int64_t took_ns = number_of(lead->step, "ended") - number_of(lead->step, "started");
	int64_t estimate_ns = number_of(lead->step, "estimate_ns");
	const char *stopped = nova_json_text(lead->step, "stopped");
	char took[32], estimate[32];

	nova_value_format((double)took_ns / 1e9, NOVA_UNIT_SECOND, took);
	nova_value_format((double)estimate_ns / 1e9, NOVA_UNIT_SECOND, estimate);
	nova_lead_note(
	        lead, NOVA_LOG_INFO, "step %lld/%u %s: took %s%s%s (%s)%s", step_number(lead),
	        lead->progress.steps, nova_json_text(lead->step, "benchmark"), took,
	        estimate_ns > 0 ? ", thought to take " : "", estimate_ns > 0 ? estimate : "",
	        estimate_ns > 0 ? nova_json_text(lead->step, "estimate_basis") : "no estimate",
	        !strcmp(stopped, "precision") ? ", stopped early by run.precision"
	        : !strcmp(stopped, "budget")  ? ", cut to fit run.budget"
	                                      : "");
}

static void end_step(struct lead *lead, int code, const char *lacks, const struct nova_error *error,
                     int *exit_code)
{
	const char *state = lacks ? "skipped" : !code ? "done" : lead->lost ? "lost" : "failed";
	const char *why = lacks ? lacks : code ? error->text : NULL;

	json_object_set_new(lead->step, "ended",
	                    json_integer((json_int_t)(lead->worked_until_ns ? lead->worked_until_ns
	                                                                    : nova_utc_ns())));
	if (!code && !lacks)
		tell_time(lead);
	if (lacks) {
		skip(lead, lead->step, lacks);
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
	lead->worked_until_ns = 0;
	lead->lost = false;
	json_object_set_new(lead->step, "started", json_integer((json_int_t)nova_utc_ns()));
	json_object_set_new(lead->step, "ended", json_integer(0));
	if (put_step(lead, lead->step, "running", NULL))
		return lead->store_code;
	lacks = nova_lead_lacks_memory(lead, lead->step);
	code = lacks ? 0 : work_step(lead, guest, &lacks, &error);
	nova_talk_close(lead);
	/* The benchmark looked, and the target cannot: as if it had been among its needs. */
	if (code == NOVA_E_UNSUPPORTED && !lacks && !lead->opening && !lead->attempted) {
		lacks = nova_strdup(error.text);
		code = 0;
	}
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

/* NULL for a step without one. */
static const json_t *first_target(const struct lead *lead, const json_t *step)
{
	const json_t *index = json_array_get(json_object_get(step, "targets"), 0);

	return index ? json_array_get(json_object_get(lead->run.plan, "targets"),
	                              (size_t)json_integer_value(index))
	             : NULL;
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
		const json_t *planned = first_target(lead, step);
		json_t *concurrency =
		        json_object_get(json_object_get(step, "params"), "concurrency");
		bool asks = json_is_true(json_object_get(step, "asks_for_room"));

		if (code || step_is_done(done, index))
			continue;
		if (asks)
			params = nova_format("%lld VMs", (long long)number_of(step, "vms"));
		else if (json_is_integer(concurrency))
			params = nova_format("concurrency %lld",
			                     (long long)json_integer_value(concurrency));
		lead->step = step;
		lead->value_count = 0;
		lead->progress = (struct nova_run_progress){
		        .step = (uint32_t)index,
		        .steps = lead->progress.steps,
		        .benchmark = nova_json_text(step, "benchmark"),
		        .target = planned ? nova_json_text(planned, "name") : "this host",
		        .side = "",
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
	const char *command = nova_lead_ab(lead) ? "ab" : "run";

	end_run(lead, code, outcome->exit_code);
	forget_directory_if_clean(lead);
	if (lead->store_code) {
		*error = lead->store_error;
		outcome->exit_code = 4;
		return nova_error_prefix(
		        error,
		        "the run is paused, nothing that was stored is lost; make room, then "
		        "novacore %s --resume %s",
		        command, lead->run.id);
	}
	if (lead->replaced && !lead->interrupted) {
		outcome->exit_code = 4;
		return nova_error_set(
		        error, NOVA_E_INTERRUPTED,
		        "%s; the run is paused, nothing that was measured is lost; novacore %s "
		        "--resume %s finishes the plan with what is installed then",
		        lead->replaced, command, lead->run.id);
	}
	if (lead->interrupted) {
		outcome->exit_code = lead->interrupted == SIGTERM ? 143 : 130;
		return nova_error_set(error, NOVA_E_INTERRUPTED,
		                      "interrupted; novacore %s --resume %s finishes the plan",
		                      command, lead->run.id);
	}
	return code;
}

/* Whether this host can, and what its VMs boot. */
static int prepare_side(struct lead *lead, size_t side, struct nova_error *error)
{
	int code;

	nova_lead_enter(lead, side);
	code = nova_lead_check_memory(lead, error);
	if (!code)
		code = nova_lead_check_cpus(lead, error);
	return code ? code : nova_lead_find_guest(lead, &lead->guests[side], error);
}

static int lead_run(struct lead *lead, struct nova_run_outcome *outcome, struct nova_error *error)
{
	size_t sides = nova_lead_ab(lead) ? 2 : 1;
	uint32_t found = 0, left = 0;
	int run_lock = -1, code;

	lead->prefix = nova_format("novacore-%s-%s-", nova_store_installation(lead->store),
	                           lead->short_id);
	code = nova_locks_take(lead, &run_lock, error);
	if (!code)
		code = make_directory(lead, error);
	for (size_t side = 0; !code && side < sides; side++)
		code = prepare_side(lead, side, error);
	nova_lead_enter(lead, 0);
	if (!code)
		code = nova_run_record_check(lead->run.plan, error);
	if (!code)
		code = record(lead, outcome, error);
	if (!code)
		note_wrapper(lead);
	if (!code && lead->request->resume)
		nova_lead_note_replaced(lead);
	else if (!code)
		nova_lead_record_note(lead);
	if (!code)
		code = nova_sweep_journal(lead, json_object_get(lead->run.plan, "targets"), NULL,
		                          false, &found, &left, error);
	for (size_t side = 0; !code && side < sides; side++) {
		nova_lead_enter(lead, side);
		code = nova_lead_find_boots(lead, side, error);
	}
	nova_lead_enter(lead, 0);
	if (!code)
		code = run_steps(lead, &lead->guests[0], &outcome->exit_code, error);
	else
		outcome->exit_code = nova_code_exit(code);
	nova_lead_drop_images(lead, &outcome->exit_code);
	nova_lead_drop_key(lead);
	code = finish(lead, code, outcome, error);
	nova_guest_release(&lead->guests[0]);
	nova_guest_release(&lead->guests[1]);
	nova_locks_release(lead, run_lock);
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
	                    .guests = {{.hold = -1}, {.hold = -1}},
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
	json_decref(lead.step_targets);
	json_decref(lead.boots[0]);
	json_decref(lead.boots[1]);
	free(lead.replaced);
	free(lead.values);
	free(lead.answers);
	return code;
}
