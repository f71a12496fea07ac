/* SPDX-License-Identifier: MIT */
/* One replicate: a VM or this host, programs in it, and samples that say why they failed. */
#include "inside.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OUTPUT_MOST   (UINT64_C(1) << 20)
#define WHY_BYTES     4096 /* the host keeps no more (benchmark.h) */
#define SLACK_NS      (120 * NOVA_WORKLOAD_SECOND_NS)
#define ARGUMENTS     64
#define NOT_FOUND     127 /* exit status of a shell that does not find a program */
#define STATUS_UNSEEN INT64_MIN

/* What is said once. */
#define SAID_PINS        1u
#define SAID_ELSEWHERE   2u
#define SAID_FREQUENCY   4u
#define SAID_CELSIUS     8u
#define SAID_STEAL       16u
#define SAID_GUEST_STEAL 32u

void nova_workload_say_once(struct nova_workload *work, uint32_t bit, uint32_t severity,
                            const char *format, ...)
{
	char text[512];
	va_list arguments;

	if (work->said & bit)
		return;
	work->said |= bit;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	work->host->log(work->run, severity, text);
}

int64_t nova_workload_whole_seconds(int64_t duration_ns)
{
	int64_t seconds = duration_ns / NOVA_WORKLOAD_SECOND_NS;

	seconds += duration_ns % NOVA_WORKLOAD_SECOND_NS > 0;
	return seconds > 0 ? seconds : 1;
}

/* --- the programs here -------------------------------------------------------------------- */

static int is_installed(const char *program)
{
	const char *path = getenv("PATH");
	char file[4096];

	for (path = path ? path : "/usr/bin:/bin"; *path; path += strspn(path, ":")) {
		int length = (int)strcspn(path, ":");

		snprintf(file, sizeof(file), "%.*s/%s", length, path, program);
		if (access(file, X_OK) == 0)
			return 1;
		path += length;
	}
	return 0;
}

/* Only where the native side is wanted: VMs can be measured without the programs here. */
static int check_installed(struct nova_workload *work)
{
	static const struct nova_workload_program taskset = {"taskset", "util-linux"};
	const struct nova_workload_program *program = work->kind->programs;

	while (program->name && (!program->package || is_installed(program->name)))
		program++;
	if (!program->name) {
		if (!work->cpus[0] || is_installed(taskset.name))
			return NOVA_DONE;
		program = &taskset;
	}
	return work->host->errorf(
	        work->run, NOVA_E_UNAVAILABLE,
	        "%s is not installed on this host, where the same is measured to compare VMs with; "
	        "install the package %s (apt-get install %s), or measure VMs alone with --set "
	        "run.native=false",
	        program->name, program->package, program->package);
}

/* --- samples ------------------------------------------------------------------------------ */

/* The run is being stopped, or must not go on: no sample, nothing more. */
static int ends_the_run(int status)
{
	return status == NOVA_E_INTERRUPTED || status == NOVA_E_REFUSED;
}

static uint32_t sample_status(int status)
{
	return status == NOVA_E_TIMEOUT ? NOVA_SAMPLE_TIMED_OUT : NOVA_SAMPLE_FAILED;
}

static void put_sample(struct nova_workload *work, const struct nova_metric *metric,
                       uint32_t status, double value, const char *why)
{
	int code = work->lab->sample(work->run, &(struct nova_sample){
	                                                .struct_size = sizeof(struct nova_sample),
	                                                .status = status,
	                                                .vm = work->vm,
	                                                .metric = metric->name,
	                                                .value = value,
	                                                .t_ns = work->host->now_ns(),
	                                                .why = why,
	                                        });

	if (status != NOVA_SAMPLE_OK)
		work->outcome = status;
	if (code != NOVA_DONE && work->stop == NOVA_DONE)
		work->stop = code;
}

void nova_workload_put(struct nova_workload *work, const struct nova_metric *metric, double value)
{
	if (isfinite(value))
		put_sample(work, metric, NOVA_SAMPLE_OK, value, NULL);
	else
		put_sample(work, metric, NOVA_SAMPLE_FAILED, 0, "the figure is not finite");
}

/* Bytes of anywhere as ASCII: what a document, a terminal and a database can all hold. */
static void add_evidence(char why[WHY_BYTES], const char *label, const char *text)
{
	size_t used = strlen(why);

	if (!text || !*text)
		return;
	used += (size_t)snprintf(why + used, WHY_BYTES - used, "%s", label);
	for (; *text && used < WHY_BYTES - 1; text++)
		why[used++] = *text == '\n' || *text == '\t' || (*text >= ' ' && *text <= '~')
		                      ? *text
		                      : '?';
	why[used] = '\0';
}

/* To the log only what it has not just heard: a run of many replicates mostly fails in one way. */
static void say_reason(struct nova_workload *work, const char *why)
{
	char line[sizeof(work->last_reason)];

	snprintf(line, sizeof(line), "%.*s", (int)sizeof(line) - 1, why);
	for (char *c = line; *c; c++)
		*c = *c == '\n' || *c == '\t' ? ' ' : *c;
	if (strcmp(line, work->last_reason) == 0)
		return;
	snprintf(work->last_reason, sizeof(work->last_reason), "%s", line);
	work->host->log(work->run, NOVA_SAY_WARNING, line);
}

/* What was printed on standard error is short, and says more. */
static void fail(struct nova_workload *work, const struct nova_metric *const *metrics,
                 uint32_t status, const char *reason)
{
	char why[WHY_BYTES];

	snprintf(why, sizeof(why), "%.1500s", reason);
	add_evidence(why, "; standard error: ", work->texts[1]);
	add_evidence(why, "; standard output: ", work->texts[0]);
	say_reason(work, why);
	for (; *metrics; metrics++)
		put_sample(work, *metrics, status, 0, why);
}

void nova_workload_reject(struct nova_workload *work, const struct nova_metric *const *metrics,
                          const char *why)
{
	fail(work, metrics, NOVA_SAMPLE_FAILED, why);
}

/* --- the VM ------------------------------------------------------------------------------- */

void nova_workload_shape(struct nova_workload *work, const char *place, uint64_t memory_bytes)
{
	work->place = place;
	work->memory_bytes = memory_bytes;
}

/* The knob, where there is one: NULL-terminated. */
static const char *const *knobs_of(struct nova_workload *work, const char *knobs[2])
{
	char why[256] = "";

	knobs[0] = knobs[1] = NULL;
	if (!work->cpus[0])
		return NULL;
	if (!work->lab->can(work->run, 0, NOVA_CAN_PIN, why, sizeof(why))) {
		nova_workload_say_once(work, SAID_PINS, NOVA_SAY_INFO,
		                       "vCPUs are not pinned: the target cannot%s%s",
		                       why[0] ? ": " : "", why);
		return NULL;
	}
	knobs[0] = work->pins;
	return knobs;
}

/* A VM elsewhere is compared with another machine than its own. */
static void look_where(struct nova_workload *work)
{
	struct nova_result pid = {.struct_size = sizeof(pid)};
	int status;

	if (work->said & SAID_ELSEWHERE)
		return;
	status = work->lab->vm_query(work->run, work->vm, NOVA_QUERY_STATE, 0);
	if (ends_the_run(status))
		work->stop = status;
	if (status != NOVA_DONE)
		return;
	if (work->lab->result(work->run, work->vm, NOVA_FIELD_PID, 0, &pid) == NOVA_DONE) {
		work->said |= SAID_ELSEWHERE;
		return;
	}
	nova_workload_say_once(work, SAID_ELSEWHERE, NOVA_SAY_WARNING,
	                       "the VMs have no process on this host: native figures are those of "
	                       "another machine than theirs, and no overhead follows from them");
}

static int start_vms(struct nova_workload *work, const char **what)
{
	const char *knobs[2];
	struct nova_shape shape = {.struct_size = sizeof(shape),
	                           .vcpus = work->threads,
	                           .memory_bytes = work->memory_bytes,
	                           .place = work->place};
	nova_vm *const vms[2] = {&work->vm, &work->peer};
	int count = work->kind->pair ? 2 : 1, status = NOVA_DONE;
	const char *networks[2];
	char name[64];

	shape.knobs = knobs_of(work, knobs);
	if (work->kind->pair) {
		*what = "joined by a network";
		status = work->lab->net_create(work->run, 0, NOVA_NET_ISOLATED, 0, name);
		networks[0] = name;
		networks[1] = NULL;
		shape.networks = networks;
	}
	for (int i = 0; i < count && status == NOVA_DONE; i++) {
		*what = "created";
		status = work->lab->vm_create(work->run, 0, &shape, 0, vms[i]);
	}
	for (int i = 0; i < count && status == NOVA_DONE; i++) {
		*what = "started";
		status = work->lab->vm_power(work->run, *vms[i], NOVA_POWER_START, 0);
	}
	for (int i = 0; i < count && status == NOVA_DONE; i++) {
		*what = "ready";
		status = work->lab->wait(work->run, *vms[i], NOVA_EVENT_READY, 0, NULL);
	}
	return status;
}

static void forget_output(struct nova_workload *work)
{
	for (int i = 0; i < 2; i++) {
		free(work->texts[i]);
		work->texts[i] = NULL;
	}
	work->output = "";
	work->output_bytes = 0;
}

/* --- running ------------------------------------------------------------------------------ */

/* All chunks of a field of the last call. NULL: out of memory, or more than OUTPUT_MOST. */
static char *gather(struct nova_workload *work, uint32_t field, uint64_t *bytes)
{
	struct nova_result chunk = {.struct_size = sizeof(chunk)};
	char *text = calloc(1, 1), *larger;

	*bytes = 0;
	for (uint32_t i = 0;
	     text && work->lab->result(work->run, work->vm, field, i, &chunk) == NOVA_DONE; i++) {
		larger = chunk.byte_count > OUTPUT_MOST - *bytes
		                 ? NULL
		                 : realloc(text, *bytes + chunk.byte_count + 1);
		if (!larger) {
			free(text);
			return NULL;
		}
		text = larger;
		if (chunk.byte_count)
			memcpy(text + *bytes, chunk.bytes, chunk.byte_count);
		*bytes += chunk.byte_count;
		text[*bytes] = '\0';
		chunk = (struct nova_result){.struct_size = sizeof(chunk)};
	}
	return text;
}

static int64_t field_of(struct nova_workload *work, uint32_t field, int64_t absent)
{
	struct nova_result result = {.struct_size = sizeof(result)};

	return work->lab->result(work->run, work->vm, field, 0, &result) == NOVA_DONE ? result.i64
	                                                                              : absent;
}

/* "" where the program has ended with 0 and all of its output is here; else what is wrong. */
static void judge_end(struct nova_workload *work, const char *program, char reason[512])
{
	const struct nova_workload_program *known = work->kind->programs;
	int64_t ended = field_of(work, NOVA_FIELD_EXIT_STATUS, STATUS_UNSEEN);
	int64_t signal = field_of(work, NOVA_FIELD_SIGNAL, 0);
	int cut = field_of(work, NOVA_FIELD_TRUNCATED, 0) != 0;
	uint64_t bytes;

	reason[0] = '\0';
	work->texts[1] = gather(work, NOVA_FIELD_STDERR, &bytes);
	work->texts[0] = gather(work, NOVA_FIELD_STDOUT, &work->output_bytes);
	work->output = work->texts[0] ? work->texts[0] : "";
	while (known->name && strcmp(known->name, program) != 0)
		known++;
	known = known->name ? known : work->kind->programs; /* a shell runs the first */
	if (signal)
		snprintf(reason, 512, "%s was ended by signal %lld", program, (long long)signal);
	else if (ended == NOT_FOUND && !known->package)
		snprintf(reason, 512,
		         "%s is not there (exit status 127); novacore's own appliance has it",
		         known->name);
	else if (ended == NOT_FOUND)
		snprintf(reason, 512,
		         "%s is not there (exit status 127); install the package %s in the image",
		         known->name, known->package);
	else if (ended == STATUS_UNSEEN)
		snprintf(reason, 512, "how %s ended is not known", program);
	else if (ended != 0)
		snprintf(reason, 512, "%s ended with exit status %lld", program, (long long)ended);
	else if (cut || !work->texts[0] || !work->texts[1])
		snprintf(reason, 512, "the output of %s was cut off", program);
}

/* On this host pinned, in the VM as it is: there the vCPUs are. */
static const char *const *pinned(const struct nova_workload *work, const char *const *argv,
                                 const char *words[ARGUMENTS])
{
	size_t used = 0;

	if (work->vm || !work->cpus[0])
		return argv;
	words[used++] = "taskset";
	words[used++] = "-c";
	words[used++] = work->cpus;
	while (*argv && used < ARGUMENTS - 1)
		words[used++] = *argv++;
	words[used] = NULL;
	return *argv ? NULL : words;
}

static int run(struct nova_workload *work, const char *const *argv, int64_t duration_ns,
               char reason[512])
{
	static const char *const env[] = {"LC_ALL=C", NULL};
	const char *words[ARGUMENTS];
	struct nova_exec exec = {.struct_size = sizeof(exec), .env = env};
	int status;

	forget_output(work);
	exec.argv = pinned(work, argv, words);
	if (!exec.argv) {
		snprintf(reason, 512, "%s has too many arguments", argv[0]);
		return NOVA_E_INVALID;
	}
	status = work->lab->exec(work->run, work->vm, &exec,
	                         work->host->now_ns() + duration_ns + SLACK_NS);
	if (status == NOVA_E_TIMEOUT)
		snprintf(reason, 512, "%s had not ended %lld s after it should have", argv[0],
		         (long long)(SLACK_NS / NOVA_WORKLOAD_SECOND_NS));
	else if (status != NOVA_DONE)
		snprintf(reason, 512, "%s could not be run %s; the log says why", argv[0],
		         work->vm ? "in the VM" : "on this host");
	else
		judge_end(work, argv[0], reason);
	return status == NOVA_DONE && reason[0] ? NOVA_E_FAILED : status;
}

int nova_workload_run(struct nova_workload *work, const char *const *argv, int64_t duration_ns,
                      const struct nova_metric *const *metrics)
{
	char reason[512] = "";
	int status;

	if (work->stop != NOVA_DONE)
		return work->stop;
	status = run(work, argv, duration_ns, reason);
	if (ends_the_run(status))
		work->stop = status;
	else if (status != NOVA_DONE)
		fail(work, metrics, sample_status(status), reason);
	return status;
}

int nova_workload_run_peer(struct nova_workload *work, const char *const *argv, int64_t duration_ns,
                           const struct nova_metric *const *metrics)
{
	nova_vm vm = work->vm;
	int status;

	work->vm = work->peer;
	status = nova_workload_run(work, argv, duration_ns, metrics);
	work->vm = vm;
	return status;
}

/* --- begin and end ------------------------------------------------------------------------ */

/* What the guest's kernel counts. No answer is no failure: not every guest is Linux. */
static void read_guest(struct nova_workload *work, struct nova_workload_reading *reading)
{
	static const char *const argv[] = {"cat", "/proc/stat", NULL};
	char reason[512] = "";
	int status;

	reading->stolen = reading->all = -1;
	if (!work->vm || !work->kind->guest_steal || work->stop != NOVA_DONE)
		return;
	status = run(work, argv, 0, reason);
	if (ends_the_run(status))
		work->stop = status;
	if (status == NOVA_DONE)
		nova_workload_read_stat(work->output, reading);
	forget_output(work);
}

int nova_workload_begin(struct nova_workload *work, uint32_t side)
{
	const char *what = "";
	char reason[128];

	forget_output(work);
	work->side = side;
	work->vm = work->peer = 0;
	work->outcome = NOVA_SAMPLE_OK;
	work->stop = NOVA_DONE;
	work->status = side == NOVA_SIDE_NATIVE ? check_installed(work) : start_vms(work, &what);
	if (ends_the_run(work->status) || (side == NOVA_SIDE_NATIVE && work->status)) {
		work->stop = work->status;
	} else if (work->status != NOVA_DONE) {
		snprintf(reason, sizeof(reason), "the VM could not be %s%s; the log says why", what,
		         work->status == NOVA_E_TIMEOUT ? " in time" : "");
		fail(work, work->kind->measured, sample_status(work->status), reason);
	} else {
		if (work->vm)
			look_where(work);
		read_guest(work, &work->guest_before);
		nova_workload_read_host("", work->cpus, &work->before);
	}
	return work->stop != NOVA_DONE ? work->stop : work->status;
}

static void put_mean(struct nova_workload *work, const struct nova_metric *metric, double before,
                     double after, uint32_t bit)
{
	if (!metric)
		return;
	if (before >= 0 && after >= 0)
		nova_workload_put(work, metric, (before + after) / 2);
	else
		nova_workload_say_once(work, bit, NOVA_SAY_INFO,
		                       "no %s: the kernel of this host does not tell it",
		                       metric->name);
}

static void put_steal(struct nova_workload *work, const struct nova_metric *metric,
                      const struct nova_workload_reading *before,
                      const struct nova_workload_reading *after, uint32_t bit)
{
	double all = after->all - before->all, stolen = after->stolen - before->stolen;

	if (!metric)
		return;
	if (before->all >= 0 && after->all >= 0 && all > 0 && stolen >= 0)
		nova_workload_put(work, metric, stolen / all);
	else
		nova_workload_say_once(work, bit, NOVA_SAY_INFO,
		                       "no %s: its kernel does not count it", metric->name);
}

int nova_workload_end(struct nova_workload *work)
{
	struct nova_workload_reading after;

	if (work->status == NOVA_DONE && work->stop == NOVA_DONE) {
		nova_workload_read_host("", work->cpus, &after);
		put_mean(work, work->kind->frequency, work->before.hertz, after.hertz,
		         SAID_FREQUENCY);
		put_mean(work, work->kind->celsius, work->before.celsius, after.celsius,
		         SAID_CELSIUS);
		put_steal(work, work->kind->steal, &work->before, &after, SAID_STEAL);
		read_guest(work, &after);
		if (work->vm && work->stop == NOVA_DONE)
			put_steal(work, work->kind->guest_steal, &work->guest_before, &after,
			          SAID_GUEST_STEAL);
	}
	forget_output(work);
	if (work->stop != NOVA_DONE)
		return work->stop;
	return work->lab->attempt(work->run, work->outcome);
}

void nova_workload_free(struct nova_workload *work)
{
	forget_output(work);
}
