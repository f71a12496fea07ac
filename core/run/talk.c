/* SPDX-License-Identifier: MIT */
/*
 * One conversation with a worker: what it says is stored as it comes, names are journaled before it
 * may use them, and its deadline, its memory and the user's Ctrl-C are watched meanwhile.
 */
#include "core/run/lead.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_NS     (250 * INT64_C(1000000)) /* memory and progress are looked at this often */
#define LOADING_NS  (10 * NOVA_SECOND_NS)    /* for loading, or probing, one plugin */
#define VALUES_KEPT 4096                     /* of one metric, for the live median */
#define SAMPLES_MAX 1000000                  /* of one replicate */
#define NOTES_MAX   1000                     /* of one worker */
#define BATCH_MAX   64                       /* packets of one transaction */
#define BATCH_NS    (50 * INT64_C(1000000))  /* and the time that it may take */
#define SEND_MS     1000                     /* for a worker to make room */
#define DRAIN_NS    NOVA_SECOND_NS           /* for what a dead worker had said */

void nova_lead_note(struct lead *lead, enum nova_level level, const char *format, ...)
{
	NOVA_AUTOFREE char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	if (lead->watch.note)
		lead->watch.note(lead->watch.context, level, text ? text : "");
}

/* --- what a worker says
 * --------------------------------------------------------------------------- */

/* A failure of the store ends the run: nothing more could be kept. */
static void store_failed(struct lead *lead, int code, const struct nova_error *error)
{
	if (code && !lead->store_code) {
		lead->store_code = code;
		lead->store_error = *error;
	}
}

static size_t twin_of(const json_t *target)
{
	return (size_t)json_integer_value(json_object_get(target, "twin_of"));
}

static json_t *journal_target(const struct lead *lead, size_t index)
{
	json_t *target = json_array_get(lead->targets, index);
	json_t *params = json_object_get(target, "params");
	json_t *made =
	        json_pack("{sO* sO* sO*}", "name", json_object_get(target, "name"), "plugin",
	                  json_object_get(target, "plugin"), "uri", json_object_get(params, "uri"));

	if (json_object_get(target, "twin_of")) /* it is started again by that one */
		json_object_set_new(made, "twin_of", journal_target(lead, twin_of(target)));
	return made;
}

/* Where a twin is, its driver has only now said. */
static void take_uris(json_t *targets, const json_t *opened)
{
	json_t *target;
	size_t i;

	json_array_foreach(targets, i, target)
	{
		const json_t *said = json_array_get(json_object_get(opened, "targets"), i);
		json_t *uri = json_object_get(said, "uri");

		if (uri)
			json_object_set(json_object_get(target, "params"), "uri", uri);
	}
}

/* The worker may create what it wants to once the name is on disk: after the commit. */
static void answer_later(struct lead *lead, uint64_t number, int code)
{
	lead->answers = nova_grow(lead->answers, lead->answer_count, sizeof(*lead->answers));
	lead->answers[lead->answer_count++] = (struct answer){number, code};
}

/* From now on it may be here and there, whatever becomes of this process. */
static int journal_move(struct lead *lead, const struct nova_journal_record *record,
                        const json_t *packet, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *from = journal_target(lead, (size_t)nova_wire_i64(packet, "from"));

	json_object_set(from, "also", record->target);
	return nova_store_journal_target(lead->store, record->name, from, error);
}

static void on_intend(struct lead *lead, const json_t *packet)
{
	struct nova_journal_record record = {.number = (uint64_t)nova_wire_i64(packet, "number")};
	struct nova_error error = {0};
	int code;

	memcpy(record.run, lead->run.id, sizeof(record.run));
	snprintf(record.kind, sizeof(record.kind), "%s", nova_wire_text(packet, "kind"));
	snprintf(record.name, sizeof(record.name), "%s", nova_wire_text(packet, "name"));
	record.target = journal_target(lead, (size_t)nova_wire_i64(packet, "target"));
	if (strncmp(record.name, lead->prefix, strlen(lead->prefix)))
		code = NOVA_E_REFUSED; /* not a name of this run: nothing of that name may be
		                          created */
	else if (!strcmp(record.kind, "move"))
		code = journal_move(lead, &record, packet, &error);
	else
		code = nova_store_journal_intend(lead->store, &record, &error);
	store_failed(lead, code == NOVA_E_REFUSED ? 0 : code, &error);
	json_decref(record.target);
	answer_later(lead, record.number, code);
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static uint32_t unit_of(const char *name)
{
	static const uint32_t all[] = {NOVA_UNIT_SECOND, NOVA_UNIT_BYTE, NOVA_UNIT_BYTE_PER_SECOND,
	                               NOVA_UNIT_PER_SECOND};

	for (size_t i = 0; i < NOVA_COUNT(all); i++)
		if (!strcmp(nova_unit_name(all[i]), name))
			return all[i];
	return NOVA_UNIT_ONE;
}

/* The live median is of the step's first metric; the result's is computed from the store. */
static void show_sample(struct lead *lead, const struct nova_sample_record *sample)
{
	json_t *metrics = json_object_get(lead->run.plan, "metrics"), *metric, *one;
	struct nova_run_progress *progress = &lead->progress;

	progress->samples++;
	if (progress->warming_up || sample->status != NOVA_SAMPLE_OK ||
	    sample->at.side != nova_step_sides(lead->step).side[0])
		return;
	if (!progress->metric) {
		const char *name;

		metric = json_object_get(metrics, sample->metric);
		json_object_foreach(metrics, name, one)
		{
			if (one == metric)
				progress->metric = name; /* lives as long as the plan */
		}
		progress->unit = unit_of(nova_json_text(metric, "unit"));
	}
	if (!progress->metric || strcmp(progress->metric, sample->metric) ||
	    lead->value_count >= VALUES_KEPT)
		return;
	lead->values = nova_grow(lead->values, lead->value_count, sizeof(double));
	lead->values[lead->value_count++] = sample->value;
	qsort(lead->values, lead->value_count, sizeof(double), compare);
	progress->median = lead->values[(lead->value_count - 1) / 2];
}

/* Where each metric's end point comes from goes into the plan, from which the result tells it. */
static void note_source(struct lead *lead, const char *metric, int64_t source)
{
	static const char *const names[] = {[NOVA_SOURCE_QMP] = "QEMU's event stamp",
	                                    [NOVA_SOURCE_AGENT] = "agent",
	                                    [NOVA_SOURCE_TOOLS] = "tools",
	                                    [NOVA_SOURCE_WATCH] = "notification",
	                                    [NOVA_SOURCE_POLL] = "poll",
	                                    [NOVA_SOURCE_BEAT] = "byte from the guest",
	                                    [NOVA_SOURCE_MODEL] = "simulated",
	                                    [NOVA_SOURCE_API] = "return of the call"};
	json_t *declared = json_object_get(json_object_get(lead->run.plan, "metrics"), metric);
	const char *known = json_string_value(json_object_get(declared, "source"));

	if (source < 1 || source >= (int64_t)NOVA_COUNT(names) ||
	    (known && strstr(known, names[source])))
		return;
	json_object_set_new(declared, "source",
	                    known ? json_sprintf("%s; %s", known, names[source])
	                          : json_string(names[source]));
}

/* What no benchmark of the plan declares has no unit, and could not be told of. */
static bool is_declared(const struct lead *lead, const char *metric)
{
	return json_object_get(json_object_get(lead->run.plan, "metrics"), metric);
}

static void on_sample(struct lead *lead, const json_t *packet)
{
	struct nova_sample_record sample = {
	        .at = lead->at,
	        .vm = (uint64_t)nova_wire_i64(packet, "vm"),
	        .seq = (uint32_t)nova_wire_i64(packet, "seq"),
	        .status = (uint32_t)nova_wire_i64(packet, "status"),
	        .value = nova_wire_f64(packet, "value"),
	        .t_ns = nova_wire_i64(packet, "t_ns"),
	        .intended_ns = nova_wire_i64(packet, "intended_ns"),
	        .error_ns = nova_wire_i64(packet, "error_ns"),
	        .why = nova_wire_text(packet, "why"),
	};
	struct nova_error error = {0};
	int code;

	if (!lead->in_replicate || !is_declared(lead, nova_wire_text(packet, "metric")))
		return;
	if (lead->samples++ >= SAMPLES_MAX) {
		nova_spawn_kill(&lead->worker, WORKER_TALKATIVE);
		return;
	}
	if (lead->at.side < NOVA_SIDE_A) /* of A and B the benchmark knows nothing */
		sample.at.side = (uint32_t)nova_wire_i64(packet, "side");
	else if (nova_wire_i64(packet, "side") != nova_lead_work_side(lead))
		return;
	snprintf(sample.metric, sizeof(sample.metric), "%s", nova_wire_text(packet, "metric"));
	code = nova_store_sample_put(lead->store, lead->run.id, &sample, &error);
	if (code == NOVA_E_EXISTS)
		nova_lead_note(lead, NOVA_LOG_WARNING,
		               "a sample of %s came twice and is counted once", sample.metric);
	else
		store_failed(lead, code, &error);
	if (!code) {
		note_source(lead, sample.metric, nova_wire_i64(packet, "source"));
		show_sample(lead, &sample);
	}
}

static void on_attempt(struct lead *lead, const json_t *packet)
{
	int64_t status = nova_wire_i64(packet, "status");

	if (status < NOVA_SAMPLE_OK || status > NOVA_SAMPLE_TIMED_OUT)
		return;
	lead->counts[0]++;
	lead->counts[status]++;
}

static void on_call(struct lead *lead, const json_t *packet)
{
	json_t *target = json_array_get(lead->targets, (size_t)nova_wire_i64(packet, "target"));
	const char *name = json_string_value(json_object_get(target, "name"));
	const char *text = nova_wire_text(packet, "text");
	struct nova_error error = {0};
	int32_t status = (int32_t)nova_wire_i64(packet, "code");

	store_failed(lead,
	             nova_store_audit(lead->store, lead->run.id, name ? name : "",
	                              nova_wire_text(packet, "call"),
	                              nova_wire_text(packet, "object"), status,
	                              nova_wire_i64(packet, "duration_ns"), &error),
	             &error);
	if (status && text)
		nova_lead_note(lead,
		               status == NOVA_E_INTERRUPTED ? NOVA_LOG_DEBUG : NOVA_LOG_WARNING,
		               "%s: %s", name ? name : "", text);
}

static void on_loading(struct lead *lead, const json_t *packet)
{
	struct worker *worker = &lead->worker;

	worker->loading_kind = (uint32_t)nova_wire_i64(packet, "kind");
	snprintf(worker->loading_plugin, sizeof(worker->loading_plugin), "%s",
	         nova_wire_text(packet, "plugin"));
	snprintf(worker->loading_stage, sizeof(worker->loading_stage), "%s",
	         nova_wire_text(packet, "stage"));
}

static void on_refused(struct lead *lead, const json_t *packet)
{
	lead->refusal = (enum nova_refusal_reason)nova_wire_i64(packet, "reason");
	snprintf(lead->refusal_text, sizeof(lead->refusal_text), "%s",
	         nova_wire_text(packet, "text"));
}

/* Of a benchmark's worker only names of this run are believed: others' VMs are not its to lose. */
static bool is_own(const struct lead *lead, const json_t *packet)
{
	return !lead->in_step ||
	       !strncmp(nova_wire_text(packet, "name"), lead->prefix, strlen(lead->prefix));
}

static void on_id(struct lead *lead, const json_t *packet)
{
	struct nova_error error = {0};

	if (!is_own(lead, packet))
		return;
	store_failed(lead,
	             nova_store_journal_id(lead->store, nova_wire_text(packet, "name"),
	                                   nova_wire_text(packet, "id"), &error),
	             &error);
}

static void on_gone(struct lead *lead, const json_t *packet)
{
	struct nova_error error = {0};
	int code;

	if (!is_own(lead, packet))
		return;
	code = nova_store_journal_gone(lead->store, nova_wire_text(packet, "name"), &error);
	store_failed(lead, code == NOVA_E_NOT_FOUND ? 0 : code,
	             &error); /* a stray was in no journal */
}

static void on_moved(struct lead *lead, const json_t *packet)
{
	NOVA_AUTOJSON json_t *target =
	        journal_target(lead, (size_t)nova_wire_i64(packet, "target"));
	struct nova_error error = {0};

	if (is_own(lead, packet))
		store_failed(lead,
		             nova_store_journal_target(lead->store, nova_wire_text(packet, "name"),
		                                       target, &error),
		             &error);
}

/* Of a sweep: it is deleted where it was, and is looked for where it may be as well. */
static void on_settled(struct lead *lead, const json_t *packet)
{
	const char *name = nova_wire_text(packet, "name");
	json_t *also = json_object_get(json_object_get(lead->moving, name), "also");
	struct nova_error error = {0};

	if (!lead->in_step && also)
		store_failed(lead, nova_store_journal_target(lead->store, name, also, &error),
		             &error);
}

static void on_say(struct lead *lead, const json_t *packet)
{
	int64_t level = nova_wire_i64(packet, "level");

	if (lead->worker.notes++ >= NOTES_MAX) {
		if (lead->worker.notes == NOTES_MAX + 1)
			nova_lead_note(lead, NOVA_LOG_WARNING,
			               "the worker has more to say; it is left out");
		return;
	}
	nova_lead_note(lead,
	               level >= NOVA_LOG_DEBUG && level <= NOVA_LOG_ERROR ? (enum nova_level)level
	                                                                  : NOVA_LOG_INFO,
	               "%s", nova_wire_text(packet, "text"));
}

static void on_progress(struct lead *lead, const json_t *packet)
{
	nova_lead_on_progress(lead, nova_wire_f64(packet, "share"));
}

static void handle(struct lead *lead, const json_t *packet)
{
	static const struct {
		const char *is;
		void (*handle)(struct lead *, const json_t *);
	} handlers[] = {{"intend", on_intend}, {"sample", on_sample},   {"attempt", on_attempt},
	                {"call", on_call},     {"loading", on_loading}, {"refused", on_refused},
	                {"id", on_id},         {"gone", on_gone},       {"say", on_say},
	                {"moved", on_moved},   {"settled", on_settled}, {"progress", on_progress}};

	for (size_t i = 0; i < NOVA_COUNT(handlers); i++)
		if (!strcmp(handlers[i].is, nova_wire_is(packet)))
			handlers[i].handle(lead, packet);
}

/* --- waiting
 * -------------------------------------------------------------------------------------- */

void nova_talk_signals(struct lead *lead)
{
	struct signalfd_siginfo info;

	while (read(lead->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			continue; /* reaped on each round anyway */
		lead->interrupted = (int)info.ssi_signo;
		if (lead->interrupts++) {
			nova_lead_note(
			        lead, NOVA_LOG_WARNING,
			        "stopping at once; what is left is deleted by the next run or by "
			        "novacore clean");
			nova_spawn_kill(&lead->worker, WORKER_HUNG);
			continue;
		}
		nova_lead_note(lead, NOVA_LOG_WARNING,
		               "stopping: VMs of this run are being deleted, results so far are "
		               "kept (once "
		               "more to stop at once)");
		lead->stop_by_ns = nova_now_ns() +
		                   nova_config_i64(lead->config, "run.op_timeout", 0) +
		                   10 * NOVA_SECOND_NS;
		nova_talk_send(lead, json_pack("{ss}", "is", "stop"), NULL);
	}
}

static void look_around(struct lead *lead, int64_t *next_look)
{
	struct worker *worker = &lead->worker;

	nova_reap(worker);
	if (nova_now_ns() < *next_look)
		return;
	*next_look = nova_now_ns() + LOOK_NS;
	if (worker->pid > 0 && !worker->reaped && !worker->wrapped) {
		worker->resident = nova_resident_bytes(worker->pid);
		if (worker->resident > worker->resident_max)
			nova_spawn_kill(worker, WORKER_TOO_LARGE);
		if (lead->in_step && nova_directory_fills_disk(lead->directory))
			nova_spawn_kill(worker, WORKER_FILLS);
	}
	if (lead->watch.progress && lead->in_replicate)
		lead->watch.progress(lead->watch.context, &lead->progress);
}

/* One packet if there is one (else *more is false). Returns it when it is the awaited one. */
static json_t *next_packet(struct lead *lead, const char *awaited, bool *closed, bool *more)
{
	struct nova_error error = {0};
	NOVA_AUTOJSON json_t *packet = NULL;
	int code = nova_wire_receive(lead->worker.fd, &packet, &error);
	json_t *found = NULL;

	if (code == NOVA_E_NOT_FOUND)
		*closed = true;
	else if (code == NOVA_E_PROTOCOL) {
		nova_lead_note(lead, NOVA_LOG_ERROR, "the worker broke the protocol: %s",
		               error.text);
		nova_spawn_kill(&lead->worker, WORKER_BROKEN);
	}
	if (!packet) {
		*more = false;
		return NULL;
	}
	if (!strcmp(nova_wire_is(packet), awaited)) {
		found = packet;
		packet = NULL;
	} else {
		handle(lead, packet);
	}
	return found;
}

/* What was to be stored is on disk, or none of it is: then nothing may be created either. */
static void end_batch(struct lead *lead, int begun)
{
	struct nova_error error = {0};
	int code = begun ? begun : nova_store_commit(lead->store, &error);

	store_failed(lead, code, begun ? &lead->store_error : &error);
	for (size_t i = 0; i < lead->answer_count; i++)
		nova_talk_send(lead,
		               json_pack("{ss sI sI}", "is", "go", "number",
		                         (json_int_t)lead->answers[i].number, "code",
		                         (json_int_t)(code ? code : lead->answers[i].code)),
		               NULL);
	lead->answer_count = 0;
}

/*
 * Handles what has arrived, in one transaction: with a sync to disk for each packet a thousand VMs
 * at once would wait for the disk, and their waiting would be measured. Nothing is waited for, so
 * what a kill -9 can lose is what it lost before: what had been sent and was not yet stored, of a
 * replicate that is not marked as done and is repeated by a resume.
 */
static json_t *take_packets(struct lead *lead, const char *awaited, bool *closed)
{
	int64_t until = nova_now_ns() + BATCH_NS;
	struct nova_error error = {0};
	json_t *found = NULL;
	bool more = true;
	int begun = nova_store_begin(lead->store, &error);

	store_failed(lead, begun, &error);
	for (unsigned i = 0; !found && more && i < BATCH_MAX && nova_now_ns() < until; i++)
		found = next_packet(lead, awaited, closed, &more);
	end_batch(lead, begun);
	return found;
}

/* Ctrl-C went to the wrapper, which had the terminal; it was meant for the run. */
static void look_for_interrupt(struct lead *lead)
{
	const struct worker *worker = &lead->worker;
	bool by_signal = WIFSIGNALED(worker->status) && WTERMSIG(worker->status) == SIGINT;

	if (!worker->terminal || lead->interrupted ||
	    !(by_signal || (WIFEXITED(worker->status) && WEXITSTATUS(worker->status) == 130)))
		return;
	lead->interrupted = SIGINT;
	lead->interrupts++;
}

/* Loading and probing have a deadline of their own, each. */
static bool loading_hangs(const struct lead *lead, int64_t since_ns)
{
	const char *stage = lead->worker.loading_stage;

	return (!strcmp(stage, "load") || !strcmp(stage, "probe")) &&
	       nova_now_ns() - since_ns > LOADING_NS;
}

int nova_talk(struct lead *lead, const char *awaited, int64_t deadline_ns, json_t **packet,
              struct nova_error *error)
{
	int64_t next_look = 0, loading_since = nova_now_ns();
	struct worker *worker = &lead->worker;
	bool closed = false;
	char stage[16] = "";

	for (*packet = NULL; !*packet;) {
		struct pollfd fds[] = {{closed ? -1 : worker->fd, POLLIN, 0},
		                       {worker->log, POLLIN, 0},
		                       {lead->signals, POLLIN, 0}};
		bool was_reaped = worker->reaped;

		/* What a dead worker had said is there already. */
		poll(fds, NOVA_COUNT(fds), was_reaped ? 0 : (int)(LOOK_NS / 1000000));
		if (fds[2].revents)
			nova_talk_signals(lead);
		if (fds[1].revents)
			nova_spawn_read_log(worker);
		if (fds[0].revents)
			*packet = take_packets(lead, awaited, &closed);
		look_around(lead, &next_look);
		if (*packet)
			break;
		if (strcmp(stage, worker->loading_stage)) {
			snprintf(stage, sizeof(stage), "%s", worker->loading_stage);
			loading_since = nova_now_ns();
		}
		if (nova_now_ns() > lead->stop_by_ns ||
		    (!worker->wrapped &&
		     (nova_now_ns() > deadline_ns || loading_hangs(lead, loading_since))))
			nova_spawn_kill(worker, WORKER_HUNG);
		if (lead->store_code && !lead->interrupts++)
			nova_talk_send(lead, json_pack("{ss}", "is", "stop"), NULL);
		/* Only when all that it said has been read; or a child of its goes on saying. */
		if (was_reaped &&
		    (closed || !fds[0].revents || nova_now_ns() - worker->reaped_ns > DRAIN_NS)) {
			NOVA_AUTOFREE char *epitaph = nova_spawn_epitaph(worker);

			look_for_interrupt(lead);
			lead->lost = lead->lost || (lead->in_step && worker->end != WORKER_ENDED);
			return nova_error_set(error, NOVA_E_FAILED, "%s", epitaph);
		}
	}
	return 0;
}

int nova_talk_send(struct lead *lead, json_t *packet, struct nova_error *error)
{
	struct nova_error mine = {0};
	int code;

	if (lead->worker.pid <= 0) {
		json_decref(packet);
		return NOVA_E_NOT_FOUND;
	}
	/* Many answers at once may be more than fits; one that reads nothing for long is stuck. */
	poll(&(struct pollfd){.fd = lead->worker.fd, .events = POLLOUT}, 1, SEND_MS);
	code = nova_wire_send(lead->worker.fd, packet, error ? error : &mine);
	if (code == NOVA_E_BUSY)
		nova_spawn_kill(&lead->worker, WORKER_HUNG);
	/* Dead or dying: nova_talk finds out how, and says it better than a broken pipe does. */
	return code == NOVA_E_BUSY || code == NOVA_E_IO ? 0 : code;
}

/* --- opening and closing
 * ---------------------------------------------------------------------------- */

static json_int_t duration(const struct lead *lead, const char *key)
{
	return (json_int_t)nova_config_i64(lead->config, key, 0);
}

/* The plan's, which the user's word may have raised; a sweep has none, and creates nothing. */
static json_int_t max_vms(const struct lead *lead)
{
	json_t *planned = json_object_get(lead->run.plan, "max_vms");

	return planned ? json_integer_value(planned)
	               : (json_int_t)nova_config_i64(lead->config, "limits.max_vms", 0);
}

/* NULL and `error` if the store does not say which names are free: a name must not come twice. */
static json_t *open_packet(struct lead *lead, json_t *benchmark, json_t *targets,
                           const json_t *shape, struct nova_error *error)
{
	uint64_t number = 0;
	json_t *packet;

	/* A sweep has no run in the store, and creates nothing. */
	if (lead->recorded && nova_store_journal_next(lead->store, lead->run.id, &number, error)) {
		store_failed(lead, error->code, error);
		return NULL;
	}
	packet = json_pack("{ss ss ss sI sO sO ss sI sI sI}", "is", "open", "run", lead->run.id,
	                   "prefix", lead->prefix, "number", (json_int_t)number, "targets", targets,
	                   "shape", shape, "directory", lead->directory, "op_timeout_ns",
	                   duration(lead, "run.op_timeout"), "ready_timeout_ns",
	                   duration(lead, "run.ready_timeout"), "max_vms", max_vms(lead));
	json_object_set_new(packet, "limits", nova_limits_of_room(lead->step, lead->config));
	if (benchmark) {
		json_object_set(packet, "benchmark", benchmark);
		json_object_set(packet, "step", json_object_get(lead->step, "index"));
	}
	if (lead->trace)
		json_object_set_new(packet, "trace", json_true());
	return packet;
}

int nova_talk_open(struct lead *lead, json_t *benchmark, json_t *targets, const json_t *shape,
                   json_t **opened, struct nova_error *error)
{
	int64_t patience =
	        2 * nova_config_i64(lead->config, "run.op_timeout", 0) + 20 * NOVA_SECOND_NS;
	json_t *packet;
	int code;

	*opened = NULL;
	lead->refusal = 0;
	lead->targets = targets;
	lead->in_step = benchmark;
	packet = open_packet(lead, benchmark, targets, shape, error);
	if (!packet)
		return error->code;
	/* Sweeping needs no debugger, and must come to its end. */
	code = nova_spawn(&lead->worker, benchmark ? lead->request->wrapper : NULL, lead->trace,
	                  error);
	if (code) {
		json_decref(packet);
		return code;
	}
	lead->worker.resident_max =
	        (uint64_t)nova_config_i64(lead->config, "limits.worker_memory", 0);
	code = nova_talk_send(lead, packet, error);
	if (!code)
		code = nova_talk(lead, "opened", nova_now_ns() + patience, opened, error);
	if (code)
		return code;
	lead->worker.loading_stage[0] = 0;
	code = (int)nova_wire_i64(*opened, "code");
	if (!code) {
		take_uris(targets, *opened);
		return 0;
	}
	nova_error_set(error, code, "%s", nova_wire_text(*opened, "text"));
	json_decref(*opened);
	*opened = NULL;
	return code;
}

/* Nothing is lost by it, but somebody may want to know: valgrind --error-exitcode, a destroy() that
 * crashes or hangs. */
static void note_close(struct lead *lead)
{
	const struct worker *worker = &lead->worker;
	bool killed = WIFSIGNALED(worker->status);

	if (!killed)
		nova_lead_note(lead, NOVA_LOG_WARNING, "the worker ended with status %d",
		               WEXITSTATUS(worker->status));
	else if (WTERMSIG(worker->status) == SIGKILL)
		nova_lead_note(lead, NOVA_LOG_WARNING,
		               "the worker did not end when it was told to, and was killed");
	else
		nova_lead_note(lead, NOVA_LOG_WARNING, "the worker crashed (%s) as it was closing",
		               strsignal(WTERMSIG(worker->status)));
}

void nova_talk_close(struct lead *lead)
{
	struct worker *worker = &lead->worker;
	int64_t until = nova_now_ns() + 15 * NOVA_SECOND_NS;
	struct nova_error error = {0};
	json_t *packet;

	if (worker->pid <= 0)
		return;
	if (!worker->reaped && worker->end == WORKER_RUNS) {
		worker->end = WORKER_ENDED;
		if (!nova_talk_send(lead, json_pack("{ss}", "is", "close"), NULL))
			nova_talk(lead, "closed", until, &packet, &error);
	}
	if (worker->end == WORKER_ENDED && worker->reaped && worker->status)
		note_close(lead);
	nova_spawn_finish(worker, NOVA_SECOND_NS);
}
