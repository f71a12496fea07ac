/* SPDX-License-Identifier: MIT */
/*
 * Has steps recorded while they measure (run.record): by a recorder, started with the first
 * replicate that counts and stopped with the last, so that neither loading, connecting nor warming
 * up is in it. What came of it stands in the plan's "recordings", for the result:
 *
 *   [{"step", "id", "directory", "host", "kinds", "what": all|process,
 *     "state": running|complete|interrupted|failed, "why"|absent, and as far as it is known
 *     "samples", "lost", "duration_ns", "overhead": {"host", "sampled", …}, and "flames", names of
 *     pictures beside it: NAME.html}]
 *
 * A recording that fails costs the recording, never the step.
 */
#include "core/run/lead.h"

#include "core/profiler/profiler.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BEGIN_NS   (30 * NOVA_SECOND_NS)  /* until sampling has begun */
#define END_NS     (600 * NOVA_SECOND_NS) /* for names, which have a limit of their own */
#define HURRY_NS   (15 * NOVA_SECOND_NS)  /* the same after Ctrl-C */
#define EXIT_MS    2000
#define LOOK_MS    250
#define RUN_DIGITS 13 /* of its id, which tell it from all others */

struct recorder {
	int fd;        /* packets */
	int process;   /* a descriptor of it: its number may be another's by now */
	json_t *entry; /* in the plan's "recordings", borrowed; NULL: it has not begun */
	bool too_long; /* it was killed for that */
};

/* --- a recorder ------------------------------------------------------------------------------ */

static void signal_to(const struct recorder *recorder, int number)
{
	syscall(SYS_pidfd_send_signal, recorder->process, number, NULL, 0);
}

/* Takes `packet`, which says whom. */
static int start(struct recorder *recorder, const json_t *record, json_t *packet,
                 struct nova_error *error)
{
	static const char *const planned[] = {"kinds", "frequency", "overhead"};
	int code;

	json_object_set_new(packet, "is", json_string("record"));
	for (size_t i = 0; i < NOVA_COUNT(planned); i++)
		json_object_set(packet, planned[i], json_object_get(record, planned[i]));
	code = nova_spawn_recorder(&recorder->fd, &recorder->process, error);
	if (code)
		json_decref(packet);
	else
		code = nova_wire_send(recorder->fd, packet, error);
	return code;
}

/* Its next packet, or NULL if it has ended; it is killed when its time is up, or the user wants to
 * stop at once. `lead` may be NULL: then nobody can. */
static json_t *hear(struct lead *lead, struct recorder *recorder, int64_t until_ns)
{
	bool hurried = false;
	json_t *packet = NULL;

	for (;;) {
		struct pollfd fds[] = {{recorder->fd, POLLIN, 0},
		                       {lead ? lead->signals : -1, POLLIN, 0}};

		poll(fds, NOVA_COUNT(fds), LOOK_MS);
		if (fds[0].revents) {
			nova_wire_receive(recorder->fd, &packet, NULL);
			return packet;
		}
		if (fds[1].revents)
			nova_talk_signals(lead);
		if (lead && lead->interrupted && !hurried) {
			hurried = true;
			if (until_ns > nova_now_ns() + HURRY_NS)
				until_ns = nova_now_ns() + HURRY_NS;
		}
		if (nova_now_ns() > until_ns || (lead && lead->interrupts > 1)) {
			recorder->too_long = true;
			signal_to(recorder, SIGKILL); /* then the socket is closed */
			until_ns = INT64_MAX;
		}
	}
}

/* When this returns the process has ended. */
static void drop(struct recorder *recorder)
{
	struct pollfd process = {recorder->process, POLLIN, 0};

	nova_cleanup_close(&recorder->fd);
	if (recorder->process >= 0 && poll(&process, 1, EXIT_MS) <= 0) {
		signal_to(recorder, SIGKILL);
		poll(&process, 1, EXIT_MS);
	}
	nova_cleanup_close(&recorder->process);
	recorder->fd = recorder->process = -1;
}

/* What it said at its end; without a word, why that may be. */
static int result_of(const struct recorder *recorder, const json_t *packet,
                     struct nova_error *error)
{
	int code = packet ? (int)nova_wire_i64(packet, "code") : NOVA_E_FAILED;

	if (!code)
		return 0;
	return nova_error_set(error, code, "%s",
	                      packet               ? nova_wire_text(packet, "text")
	                      : recorder->too_long ? "it did not come to its end in time, and was "
	                                             "killed"
	                                           : "the recorder ended without a word");
}

/* --- before the run -------------------------------------------------------------------------- */

static int try_it(const json_t *record, bool all, struct nova_error *error)
{
	struct recorder recorder = {.fd = -1, .process = -1};
	json_t *packet = json_pack("{sI ss sb}", "pid", (json_int_t)(all ? 0 : getpid()), "title",
	                           "a try", "probe", 1);
	int code = start(&recorder, record, packet, error);

	if (!code) {
		NOVA_AUTOJSON json_t *said = hear(NULL, &recorder, nova_now_ns() + BEGIN_NS);

		code = result_of(&recorder, said, error);
	}
	drop(&recorder);
	nova_reap(NULL);
	return code ? nova_error_prefix(error, "steps cannot be recorded (run.record)") : 0;
}

int nova_run_record_check(json_t *plan, struct nova_error *error)
{
	json_t *record = json_object_get(plan, "record");
	int code;
	bool all;

	if (!record)
		return 0;
	code = try_it(record, true, error);
	all = !code;
	if (code == NOVA_E_PERMISSION)
		code = try_it(record, false, error);
	if (!code)
		json_object_set_new(record, "what", json_string(all ? "all" : "process"));
	return code;
}

/* --- what is told of it ---------------------------------------------------------------------- */

static void fill(json_t *entry, const json_t *about)
{
	static const char *const kept[] = {"samples", "lost", "duration_ns", "overhead"};

	for (size_t i = 0; i < NOVA_COUNT(kept); i++)
		json_object_set(entry, kept[i], json_object_get(about, kept[i]));
}

/* What was written before its writer was killed. */
static void fill_from_file(json_t *entry)
{
	NOVA_AUTOFREE char *file =
	        nova_format("%s/" NOVA_RECORDING_FILE, nova_json_text(entry, "directory"));
	NOVA_AUTOJSON json_t *about = NULL;

	if (!nova_recording_about(file, &about, NULL))
		fill(entry, about);
}

void nova_lead_record_resume(struct lead *lead)
{
	json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(lead->run.plan, "recordings"), i, entry)
	{
		if (strcmp(nova_json_text(entry, "state"), "running") != 0)
			continue;
		json_object_set_new(entry, "state", json_string("interrupted"));
		fill_from_file(entry);
	}
}

/* The host of a URI if it is another one than this; NULL: it is not. Owned. */
static char *other_host(const char *uri)
{
	static const char *const here[] = {"localhost", "127.0.0.1", "::1"};
	NOVA_AUTOFREE char *place = nova_uri_host(uri);
	char name[256] = "", *host = place;

	if (!place)
		return NULL;
	if (*host == '[')
		host++;
	host[strcspn(host, host == place ? ":" : "]")] = '\0';
	gethostname(name, sizeof(name) - 1);
	for (size_t i = 0; i < NOVA_COUNT(here); i++)
		if (!strcmp(host, here[i]) || !strcmp(host, name))
			return NULL;
	return nova_strdup(host);
}

void nova_lead_record_note(struct lead *lead)
{
	const json_t *record = json_object_get(lead->run.plan, "record");

	if (!record || strcmp(nova_json_text(record, "what"), "all") == 0)
		return;
	nova_lead_add_note(lead, "only processes that this run starts itself are recorded, not VMs "
	                         "that a daemon of this host starts: all of this host may be "
	                         "recorded as root, with sysctl kernel.perf_event_paranoid=0, or "
	                         "with setcap cap_perfmon+ep on novacore");
}

static bool is_noted(const struct lead *lead, const char *text)
{
	json_t *note;
	size_t i;

	json_array_foreach(json_object_get(lead->run.plan, "notes"), i, note)
	{
		if (!strcmp(json_string_value(note), text))
			return true;
	}
	return false;
}

/* What works on another host is in no recording of this one. Where a target is may stand in its
 * URI; of one without, its driver has said it by now. */
static void note_elsewhere(struct lead *lead)
{
	json_t *index;
	size_t i;

	json_array_foreach(json_object_get(lead->step, "targets"), i, index)
	{
		size_t at = (size_t)json_integer_value(index);
		const json_t *target =
		        json_array_get(json_object_get(lead->run.plan, "targets"), at);
		const json_t *learned = json_array_get(lead->run.targets, at);
		const char *uri = nova_json_text(json_object_get(target, "params"), "uri");
		NOVA_AUTOFREE char *host = other_host(
		        *uri ? uri : nova_json_text(json_object_get(learned, "facts"), "endpoint"));
		NOVA_AUTOFREE char *text =
		        nova_format("target %s is on another host (%s): recordings of steps on it "
		                    "show this host, not that one",
		                    nova_json_text(target, "name"), host ? host : "");

		if (host && !is_noted(lead, text))
			nova_lead_add_note(lead, text);
	}
}

/* --- while a step measures ------------------------------------------------------------------- */

/* Names of the step's targets, which may be none. */
static json_t *targets_of(const struct lead *lead)
{
	json_t *names = json_array(), *index;
	size_t i;

	json_array_foreach(json_object_get(lead->step, "targets"), i, index)
	{
		const json_t *target = json_array_get(json_object_get(lead->run.plan, "targets"),
		                                      (size_t)json_integer_value(index));

		json_array_append(names, json_object_get(target, "name"));
	}
	return names;
}

/* Where all may not be sampled: the worker with what it starts; of A/B, where each replicate has a
 * worker of its own, this process with what it starts from now on. */
static int64_t whom(const struct lead *lead, const json_t *record)
{
	if (!strcmp(nova_json_text(record, "what"), "all"))
		return 0;
	return lead->worker.pid > 0 ? lead->worker.pid : getpid();
}

static int begin(struct lead *lead, const json_t *record, struct nova_error *error)
{
	json_t *run = json_pack(
	        "{ss sO sO so}", "id", lead->run.id, "step", json_object_get(lead->step, "index"),
	        "benchmark", json_object_get(lead->step, "benchmark"), "targets", targets_of(lead));
	json_t *packet = json_pack("{sI so so}", "pid", (json_int_t)whom(lead, record), "title",
	                           json_sprintf("step %u of run %.*s: %s on %s",
	                                        lead->progress.step + 1, RUN_DIGITS, lead->run.id,
	                                        lead->progress.benchmark, lead->progress.target),
	                           "run", run);

	return start(lead->recorder, record, packet, error);
}

static int await_beginning(struct lead *lead, const json_t *record, struct nova_error *error)
{
	struct recorder *recorder = lead->recorder;
	NOVA_AUTOJSON json_t *said = hear(lead, recorder, nova_now_ns() + BEGIN_NS);
	char host[256] = "";

	if (!said || strcmp(nova_wire_is(said), "recording") != 0)
		return result_of(recorder, said, error);
	gethostname(host, sizeof(host) - 1);
	recorder->entry = json_pack(
	        "{sO sO sO ss sO sO ss}", "step", json_object_get(lead->step, "index"), "id",
	        json_object_get(said, "id"), "directory", json_object_get(said, "directory"),
	        "host", host, "kinds", json_object_get(record, "kinds"), "what",
	        json_object_get(record, "what"), "state", "running");
	json_array_append_new(json_object_get(lead->run.plan, "recordings"), recorder->entry);
	return 0;
}

void nova_lead_record_begin(struct lead *lead)
{
	const json_t *record = json_object_get(lead->run.plan, "record");
	struct nova_error error = {0};
	int code;

	if (!record || lead->recorder)
		return;
	note_elsewhere(lead);
	if (!json_object_get(lead->run.plan, "recordings"))
		json_object_set_new(lead->run.plan, "recordings", json_array());
	lead->recorder = nova_alloc(sizeof(*lead->recorder));
	lead->recorder->fd = lead->recorder->process = -1;
	code = begin(lead, record, &error);
	if (!code)
		code = await_beginning(lead, record, &error);
	if (code) {
		NOVA_AUTOFREE char *text =
		        nova_format("step %u (%s) is not recorded: %s", lead->progress.step + 1,
		                    lead->progress.benchmark, error.text);

		nova_lead_add_note(lead, text);
		drop(lead->recorder);
	}
	nova_lead_save(lead, NULL);
}

void nova_lead_record_end(struct lead *lead)
{
	if (lead->recorder && lead->recorder->process >= 0)
		signal_to(lead->recorder, SIGTERM);
}

/* What came of it. `cut`: the step was not measured to its end. */
static void settle(struct lead *lead, struct recorder *recorder, bool cut)
{
	NOVA_AUTOJSON json_t *said = hear(lead, recorder, nova_now_ns() + END_NS);
	struct nova_error error = {0};
	int code = result_of(recorder, said, &error);
	const char *text = code ? error.text : nova_wire_text(said, "text");

	json_object_set_new(recorder->entry, "state",
	                    json_string(code  ? "failed"
	                                : cut ? "interrupted"
	                                      : "complete"));
	if (said) {
		fill(recorder->entry, json_object_get(said, "about"));
		json_object_set(recorder->entry, "flames", json_object_get(said, "flames"));
	} else {
		fill_from_file(recorder->entry);
	}
	if (*text)
		nova_lead_note(lead, NOVA_LOG_WARNING, "step %u (%s): its recording %s: %s",
		               lead->progress.step + 1, lead->progress.benchmark,
		               code ? "failed" : "is not drawn", text);
	nova_utf8_repair(error.text);
	if (code)
		json_object_set_new(recorder->entry, "why", json_string(error.text));
}

void nova_lead_record_finish(struct lead *lead)
{
	bool cut = lead->interrupted || lead->replaced;

	if (!lead->recorder)
		return;
	lead->worked_until_ns = nova_utc_ns();
	nova_lead_record_end(lead);
	if (lead->recorder->entry)
		settle(lead, lead->recorder, cut);
	drop(lead->recorder);
	nova_reap(&lead->worker);
	free(lead->recorder);
	lead->recorder = NULL;
	nova_lead_save(lead, NULL);
}
