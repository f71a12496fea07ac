/* SPDX-License-Identifier: MIT */
/*
 * Records: opens the events, reads their rings, and once a second writes what is new and lets the
 * governor decide. Then the addresses get names, in a process of their own: files that others made
 * are read there, and if one of them breaks it only names are missing.
 */
#include "core/profiler/record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* Behind this the other CPUs have surely written what is older. */
#define SETTLE_NS 2000000
/* Not more often all events are opened anew to raise a frequency. */
#define RENEW_S 5

const char *const nova_record_kinds[] = {"cpu", "off-cpu", "lock", "memory", NULL};

struct session {
	const struct nova_record_request *request;
	struct samplers samplers;
	struct governor governor;
	struct writer writer;
	struct tally tally;
	pid_t child; /* the command, 0: none or ended */
	int go;      /* written to: the command begins */
	int child_status;
	bool ended; /* nobody is left to be sampled */
	int watch;  /* of the process: readable once it has ended; -1 */
	uint64_t seconds;
	int64_t began_utc_ns, began_ns;
};

/* --- whom ---------------------------------------------------------------------------------------
 */

static int threads_of(int32_t pid, int32_t **tids, size_t *count, struct nova_error *error)
{
	char path[48];
	struct dirent *entry;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	directory = opendir(path);
	if (!directory)
		return nova_error_set(error, NOVA_E_NOT_FOUND, "there is no process %d", pid);
	while ((entry = readdir(directory))) {
		int32_t tid = (int32_t)atoi(entry->d_name);

		if (tid <= 0)
			continue;
		*tids = nova_grow(*tids, *count, sizeof(**tids));
		(*tids)[(*count)++] = tid;
	}
	closedir(directory);
	return 0;
}

/* The command waits, before it is executed, for a byte: until then it is not sampled. If it cannot
 * be executed the reason comes back through the same pair of sockets' other direction: its exit. */
static int fork_command(struct session *session, struct nova_error *error)
{
	int go[2], failed[2];
	pid_t parent = getpid(), child;

	if (pipe2(go, O_CLOEXEC) || pipe2(failed, O_CLOEXEC))
		return nova_error_errno(error, "cannot start %s", session->request->command[0]);
	child = fork();
	if (child == 0) {
		char byte;
		int why;

		/* who records may be killed at any time: nothing of it is to wait here for ever */
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		close(go[1]);
		close(failed[0]);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent || read(go[0], &byte, 1) != 1)
			_exit(127);
		signal(SIGPIPE, SIG_DFL);
		execvp(session->request->command[0], (char *const *)session->request->command);
		why = errno;
		if (write(failed[1], &why, sizeof(why)) < 0)
			_exit(126);
		_exit(127);
	}
	close(go[0]);
	close(failed[1]);
	if (child < 0) {
		nova_error_errno(error, "cannot start %s", session->request->command[0]);
		close(go[1]);
		close(failed[0]);
		return error->code;
	}
	session->child = child;
	session->go = go[1];
	session->child_status = failed[0]; /* until it runs */
	return 0;
}

static int run_command(struct session *session, struct nova_error *error)
{
	int failed = session->child_status, why = 0;
	ssize_t got = 0;

	session->child_status = 0;
	if (write(session->go, "", 1) == 1)
		got = read(failed, &why, sizeof(why)); /* ends when it is executed */
	close(failed);
	close(session->go);
	session->go = -1;
	if (got != (ssize_t)sizeof(why))
		return 0;
	waitpid(session->child, NULL, 0);
	session->child = 0;
	errno = why;
	return nova_error_errno(error, "cannot start %s", session->request->command[0]);
}

static void end_command(struct session *session)
{
	int64_t patience = nova_now_ns() + 2 * NOVA_SECOND_NS;

	if (session->go >= 0)
		close(session->go);
	if (session->child <= 0)
		return;
	kill(session->child, SIGTERM);
	while (waitpid(session->child, NULL, WNOHANG) == 0) {
		if (nova_now_ns() > patience)
			kill(session->child, SIGKILL);
		usleep(10000);
	}
	session->child = 0;
}

static int open_sampler(struct session *session, struct nova_error *error)
{
	const struct nova_record_request *request = session->request;
	struct sampler_target target = {.cgroup = -1,
	                                .on_exec = request->command != NULL,
	                                .stacks = request->dwarf,
	                                .all_stacks = request->dwarf && !request->dwarf_why};
	NOVA_AUTOFREE int32_t *tids = NULL;
	NOVA_AUTOCLOSE int cgroup = -1;
	int code = 0;

#ifndef __x86_64__
	if (request->dwarf)
		return nova_error_set(error, NOVA_E_UNSUPPORTED,
		                      "stacks by DWARF are not implemented on this architecture");
#endif
	if (request->command) {
		code = fork_command(session, error);
		target.tids = &session->child;
		target.tid_count = 1;
	} else if (request->pid > 0) {
		session->watch = (int)syscall(SYS_pidfd_open, request->pid, 0);
		code = threads_of(request->pid, &tids, &target.tid_count, error);
		if (!code && request->vm)
			vm_kernel_threads(request->pid, &tids, &target.tid_count);
		target.tids = tids;
	} else if (request->cgroup) {
		cgroup = target.cgroup = open(request->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (cgroup < 0)
			code = nova_error_errno(error, "cannot open the cgroup %s",
			                        request->cgroup);
	}
	if (!code)
		code = samplers_open(&session->samplers, request->kinds, &target,
		                     request->frequency, error);
	if (code == NOVA_E_INVALID && request->cgroup)
		nova_error_prefix(error, "%s", request->cgroup);
	return code;
}

/* Who runs already: their maps, before anybody maps anew. */
static void look_around(struct session *session)
{
	struct dirent *entry;
	DIR *directory;

	if (session->request->command)
		return;
	if (session->request->pid > 0) {
		spaces_of(&session->tally.spaces, session->request->pid);
		return;
	}
	directory = opendir("/proc");
	while (directory && (entry = readdir(directory)))
		if (atoi(entry->d_name) > 0)
			spaces_of(&session->tally.spaces, (int32_t)atoi(entry->d_name));
	if (directory)
		closedir(directory);
}

/* --- what is told of it ----------------------------------------------------------------------- */

static const char *event_of(const struct sampler *sampler)
{
	switch (sampler->kind) {
	case SAMPLE_SWITCHES: return "context-switches";
	case SAMPLE_CONTENTION: return "lock:contention_begin";
	case SAMPLE_FAULTS: return "page-faults";
	case SAMPLE_ALLOCATIONS: return "uprobes";
	default: return sampler->hardware ? "cycles" : "cpu-clock";
	}
}

/* How each lane is counted. */
static void add_lanes(const struct samplers *samplers, json_t *about)
{
	static const struct {
		unsigned kind;
		const char *name;
	} kinds[] = {{NOVA_RECORD_CPU, "cpu"},
	             {NOVA_RECORD_OFF_CPU, "off-cpu"},
	             {NOVA_RECORD_LOCK, "lock"},
	             {NOVA_RECORD_MEMORY, "memory"}};
	json_t *names = json_array(), *words = json_array();

	for (uint32_t i = 0; i < samplers->lane_count; i++)
		json_array_append_new(names, json_string(lanes[samplers->lanes[i]].name));
	for (size_t i = 0; i < NOVA_COUNT(kinds); i++)
		if (samplers->kinds & kinds[i].kind)
			json_array_append_new(words, json_string(kinds[i].name));
	json_object_set(about, "kind", json_array_get(words, 0));
	json_object_set_new(about, "kinds", words);
	json_object_set_new(about, "lanes", names);
	if (samplers->kinds & NOVA_RECORD_LOCK)
		json_object_set_new(
		        about, "lock_by",
		        json_pack("{ss*, ss}", "futexes",
		                  samplers->locks ? "context-switches" : NULL, "kernel",
		                  samplers->tracepoints ? "tracepoints" : "context-switches"));
	if (samplers->missing)
		json_object_set(about, "missing", samplers->missing);
}

static const char *what_of(const struct nova_record_request *request)
{
	return request->command   ? "command"
	       : request->pid > 0 ? "process"
	       : request->cgroup  ? "cgroup"
	                          : "all";
}

static size_t ring_bytes(const struct samplers *samplers)
{
	size_t bytes = 0;

	for (size_t i = 0; i < samplers->ring_count; i++)
		bytes += samplers->rings[i].bytes;
	return bytes;
}

static json_t *about_of(const struct session *session)
{
	const struct nova_record_request *request = session->request;
	const struct sampler *first = &session->samplers.all[0];
	NOVA_AUTOFREE char *boot =
	        nova_file_read("/proc/sys/kernel/random/boot_id", 64, NULL, NULL);
	char began[32], build_id[2 * BUILD_ID_BYTES + 1] = "";
	uint8_t bytes[BUILD_ID_BYTES];
	uint32_t count = object_kernel_build_id(bytes);
	struct utsname host;
	json_t *about;

	uname(&host);
	nova_utc_format(session->began_utc_ns, began);
	for (uint32_t i = 0; i < count; i++)
		snprintf(build_id + 2 * (size_t)i, 3, "%02x", bytes[i]);
	if (boot)
		boot[strcspn(boot, "\n")] = '\0';
	about = json_pack(
	        "{ss ss sI ss ss ss ss sI si sb ss sI ss ss}", "schema", "novacore.recording/1",
	        "began", began, "began_ns", (json_int_t)session->began_utc_ns, "host",
	        host.nodename, "kernel", host.release, "kernel_build_id", build_id, "boot",
	        boot ? boot : "", "cpus", (json_int_t)session->samplers.cpu_count, "frequency",
	        (int)request->frequency, "kernel_sampled", !first->user_only, "event",
	        event_of(first), "ring_bytes", (json_int_t)ring_bytes(&session->samplers), "stacks",
	        request->dwarf ? "dwarf" : "frame-pointers", "what", what_of(request));
	json_object_set_new(about, "event_why",
	                    first->hardware || first->kind != SAMPLE_CPU
	                            ? json_null()
	                            : json_string("this machine counts no cycles (a VM without a "
	                                          "virtual PMU, or none that may be used)"));
	json_object_set_new(about, "stacks_why",
	                    request->dwarf_why ? json_string(request->dwarf_why) : json_null());
	add_lanes(&session->samplers, about);
	json_object_set_new(about, "title",
	                    request->title ? json_string(request->title) : json_null());
	if (request->pid > 0)
		json_object_set_new(about, "pid", json_integer(request->pid));
	if (request->guest.kallsyms || request->guest.maps)
		json_object_set_new(about, "guest", guest_about(&request->guest));
	if (request->cgroup)
		json_object_set_new(about, "cgroup", json_string(request->cgroup));
	if (request->run)
		json_object_set(about, "run", (json_t *)(uintptr_t)request->run);
	return about;
}

static double mean_frequency(const struct session *session, const struct sampler *sampler)
{
	return session->seconds ? sampler->frequency_sum / (double)session->seconds
	                        : (double)sampler->frequency;
}

static json_t *samplers_status(const struct session *session)
{
	json_t *all = json_array();

	for (size_t i = 0; i < session->samplers.count; i++) {
		const struct sampler *sampler = &session->samplers.all[i];

		json_array_append_new(
		        all,
		        json_pack("{ss sI sI sf sf sI}", "event", event_of(sampler), "samples",
		                  (json_int_t)session->tally.taken[sampler->kind], "lost",
		                  (json_int_t)session->tally.lost_of[sampler->kind], "sample_ns",
		                  sampler->kind == SAMPLE_ALLOCATIONS
		                          ? allocations_hit_ns(session->samplers.allocations)
		                          : session->governor.of[i].sample_cost,
		                  "mean_frequency", mean_frequency(session, sampler), "lowered",
		                  (json_int_t)sampler->lowered));
	}
	return all;
}

/* What was lost of a lane, and how often it was sampled less: its samplers' together. */
static void lane_losses(const struct session *session, enum lane_kind kind, uint64_t *lost,
                        uint64_t *lowered)
{
	static const bool feeds[LANE_KINDS][SAMPLE_KINDS] = {
	        [LANE_CPU] = {[SAMPLE_CPU] = true},
	        [LANE_OFF_CPU] = {[SAMPLE_SWITCHES] = true},
	        [LANE_LOCK] = {[SAMPLE_SWITCHES] = true, [SAMPLE_CONTENTION] = true},
	        [LANE_FAULTS] = {[SAMPLE_FAULTS] = true},
	        [LANE_ALLOCATIONS] = {[SAMPLE_ALLOCATIONS] = true}};

	*lost = *lowered = 0;
	for (size_t i = 0; i < session->samplers.count; i++) {
		const struct sampler *sampler = &session->samplers.all[i];

		if (!feeds[kind][sampler->kind])
			continue;
		*lost += session->tally.lost_of[sampler->kind];
		*lowered += sampler->lowered;
	}
}

static json_t *lanes_status(const struct session *session, uint64_t *samples)
{
	json_t *all = json_object();
	uint64_t lost, lowered;

	*samples = 0;
	for (uint32_t i = 0; i < session->samplers.lane_count; i++) {
		enum lane_kind kind = session->samplers.lanes[i];

		*samples += session->tally.counted[kind];
		lane_losses(session, kind, &lost, &lowered);
		json_object_set_new(all, lanes[kind].name,
		                    json_pack("{sI sI sI}", "samples",
		                              (json_int_t)session->tally.counted[kind], "lost",
		                              (json_int_t)lost, "lowered", (json_int_t)lowered));
	}
	return all;
}

static json_t *status_of(const struct session *session)
{
	const struct governor *governor = &session->governor;
	const struct samplers *samplers = &session->samplers;
	const struct tally *tally = &session->tally;
	uint64_t broken = 0, lowered = 0, samples;
	json_t *by_lane = lanes_status(session, &samples);
	struct rusage usage;
	json_t *status;

	getrusage(RUSAGE_SELF, &usage);
	for (size_t i = 0; i < samplers->ring_count; i++)
		broken += samplers->rings[i].broken;
	for (size_t i = 0; i < samplers->count; i++)
		lowered += samplers->all[i].lowered;
	status = json_pack("{sI sI sI sI sI sI sI sI s{sf sf sf sf sf sf} sf sI so so}",
	                   "duration_ns", (json_int_t)(nova_now_ns() - session->began_ns),
	                   "samples", (json_int_t)samples, "lost", (json_int_t)tally->lost,
	                   "broken", (json_int_t)broken, "throttled", (json_int_t)tally->throttled,
	                   "user_stacks", (json_int_t)tally->user_stacks, "short_stacks",
	                   (json_int_t)tally->short_stacks, "lowered", (json_int_t)lowered,
	                   "overhead", "host", governor->host, "sampled", governor->sampled,
	                   "worst_second", governor->worst, "target", governor->target, "sample_ns",
	                   governor->of[0].sample_cost, "own_cpu_s",
	                   (double)(govern_own_ns() - governor->own_began_ns) / 1e9,
	                   "mean_frequency", mean_frequency(session, &samplers->all[0]),
	                   "memory_bytes", (json_int_t)usage.ru_maxrss * 1024, "lanes_counted",
	                   by_lane, "samplers", samplers_status(session));
	if (session->request->vm)
		json_object_set_new(status, "vm", vm_status(tally));
	return status;
}

/* --- memory that is resident --------------------------------------------------------------------
 */

static int64_t resident_of_process(int32_t pid, int64_t page)
{
	char path[48];
	long long pages = 0;

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	NOVA_AUTOFREE char *text = nova_file_read(path, 256, NULL, NULL);
	return text && sscanf(text, "%*d %lld", &pages) == 1 ? pages * page : 0;
}

static int64_t resident_of_cgroup(const char *cgroup)
{
	static const char *const files[] = {"memory.current", "memory.usage_in_bytes"};

	for (size_t i = 0; i < NOVA_COUNT(files); i++) {
		NOVA_AUTOFREE char *path = nova_format("%s/%s", cgroup, files[i]);
		NOVA_AUTOFREE char *text = nova_file_read(path, 64, NULL, NULL);

		if (text)
			return strtoll(text, NULL, 10);
	}
	return -1;
}

static int64_t resident_of_host(void)
{
	NOVA_AUTOFREE char *text = nova_file_read("/proc/meminfo", 65536, NULL, NULL);
	const char *free_line = text ? strstr(text, "MemAvailable:") : NULL;
	long long total, available;

	if (!free_line || sscanf(text, "MemTotal: %lld", &total) != 1 ||
	    sscanf(free_line, "MemAvailable: %lld", &available) != 1)
		return -1;
	return (total - available) * 1024;
}

/* Of who is recorded, with the children that it knows of; negative: not known. */
static int64_t resident(const struct session *session)
{
	const struct nova_record_request *request = session->request;
	const struct spaces *spaces = &session->tally.spaces;
	int64_t bytes = 0;

	if (request->cgroup)
		return resident_of_cgroup(request->cgroup);
	if (!request->command && request->pid <= 0)
		return resident_of_host();
	for (uint32_t i = 0; i < spaces->count; i++)
		if (!spaces->spaces[i].dead)
			bytes += resident_of_process(spaces->spaces[i].pid,
			                             (int64_t)session->tally.page_bytes);
	return bytes;
}

static void add_resident(const struct session *session, json_t *status)
{
	int64_t bytes = session->samplers.kinds & NOVA_RECORD_MEMORY ? resident(session) : -1;

	if (bytes > 0) /* 0: it has just ended */
		json_object_set_new(status, "resident_bytes", json_integer(bytes));
}

static int write_status(struct session *session, enum chunk_kind kind, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *status = status_of(session);

	add_resident(session, status);
	tally_flush(&session->tally);
	writer_json(&session->writer, kind, status);
	return writer_flush(&session->writer, error);
}

/* --- sampling -----------------------------------------------------------------------------------
 */

static void drain(struct session *session, uint64_t until_ns)
{
	rings_drain(session->samplers.rings, session->samplers.ring_count, until_ns, tally_take,
	            &session->tally);
}

/* All threads of the processes that are known. */
static void threads_now(const struct session *session, int32_t **tids, size_t *count)
{
	const struct spaces *spaces = &session->tally.spaces;

	for (uint32_t i = 0; i < spaces->count; i++)
		if (!spaces->spaces[i].dead && spaces->spaces[i].pid > 0)
			threads_of(spaces->spaces[i].pid, tids, count, NULL); /* or it has ended */
}

static int renew(struct session *session, struct sampler *sampler, uint32_t frequency)
{
	struct sampler_target target = {.cgroup = -1,
	                                .begins = session->samplers.contention_begins,
	                                .ends = session->samplers.contention_ends};
	NOVA_AUTOFREE int32_t *tids = NULL;
	struct nova_error error = {0};
	int code;

	threads_now(session, &tids, &target.tid_count);
	target.tids = tids;
	if (!target.tid_count)
		return NOVA_E_NOT_FOUND;
	code = sampler_renew(sampler, &target, frequency, &error);
	if (code)
		nova_log(NOVA_LOG_DEBUG, "the frequency stays as it is: %s", error.text);
	return code;
}

static void change_frequency(struct session *session, size_t number, uint32_t frequency)
{
	struct sampler *sampler = &session->samplers.all[number];
	uint64_t forks = session->tally.forks;
	bool inherited =
	        (session->request->command || session->request->pid > 0) && forks != sampler->forks;

	/* what is in the rings has the weight of until now */
	if (!sampler_is_clocked(sampler->kind))
		drain(session, (uint64_t)nova_now_ns());
	if (!inherited) {
		sampler_set_frequency(sampler, frequency);
	} else if ((frequency > sampler->frequency &&
	            session->seconds < sampler->renewed + RENEW_S) ||
	           renew(session, sampler, frequency)) {
		/* raising has time, and is worth less than what it takes to open them all */
		session->governor.of[number].frequency = sampler->frequency;
		return;
	} else {
		sampler->renewed = session->seconds;
		sampler->forks = session->tally.forks;
	}
	session->tally.weights[sampler->kind] = SAMPLER_ALL / frequency;
}

static void set_frequencies(struct session *session)
{
	for (size_t i = 0; i < session->samplers.count; i++) {
		struct sampler *sampler = &session->samplers.all[i];
		uint32_t frequency = session->governor.of[i].frequency;

		uint32_t before = sampler->frequency;

		if (sampler->kind == SAMPLE_ALLOCATIONS)
			sampler->frequency = frequency; /* of the time that it may take */
		else if (frequency != sampler->frequency)
			change_frequency(session, i, frequency);
		frequency = sampler->frequency;
		sampler->lowered += frequency < before;
		if (sampler->kind == SAMPLE_CPU)
			session->tally.sample_ns =
			        sampler->hardware ? (uint64_t)(NOVA_SECOND_NS / frequency) : 0;
	}
}

/* Until now, of each sampler; of allocations it is nanoseconds. */
static void samples_of(const struct session *session, uint64_t *samples)
{
	for (size_t i = 0; i < session->samplers.count; i++) {
		enum sampler_kind kind = session->samplers.all[i].kind;

		/* who was interrupted has paid for those that were lost, too */
		samples[i] = session->tally.taken[kind] + session->tally.lost_of[kind];
		if (kind == SAMPLE_ALLOCATIONS)
			samples[i] = (uint64_t)allocations_spent_ns(session->samplers.allocations,
			                                            samples[i]);
	}
}

static void govern(struct session *session)
{
	uint64_t samples[SAMPLE_KINDS];

	samples_of(session, samples);
	govern_step(&session->governor, samples, nova_now_ns(), govern_own_ns());
}

/* What has no clock may be very much at once. */
static void govern_early(struct session *session)
{
	uint64_t samples[SAMPLE_KINDS];

	samples_of(session, samples);
	if (!govern_hurries(&session->governor, samples, nova_now_ns(), govern_own_ns()))
		return;
	govern(session);
	set_frequencies(session);
}

/* Half of what is allowed is for allocations, as long as the governor leaves it; when it is to be
 * looked at again. */
static int64_t step_allocations(struct session *session, int64_t now)
{
	struct allocations *allocations = session->samplers.allocations;
	/* it is opened last */
	uint32_t part = session->samplers.all[session->samplers.count - 1].frequency;
	double allowed = session->governor.target / 2 * part / SAMPLER_ALL;

	if (!allocations)
		return INT64_MAX;
	if (allocations_changes(allocations, allowed, now))
		drain(session, (uint64_t)now);
	return allocations_step(allocations, &session->tally.spaces,
	                        session->tally.taken[SAMPLE_ALLOCATIONS], allowed,
	                        &session->tally.window, now);
}

static int each_second(struct session *session, struct nova_error *error)
{
	for (size_t i = 0; i < session->samplers.count; i++)
		session->samplers.all[i].frequency_sum += session->samplers.all[i].frequency;
	session->seconds++;
	govern(session);
	set_frequencies(session);
	return write_status(session, CHUNK_STATUS, error);
}

static bool is_over(struct session *session, int64_t end_ns)
{
	const struct nova_record_request *request = session->request;

	if (session->child > 0 &&
	    waitpid(session->child, &session->child_status, WNOHANG) == session->child) {
		session->child = 0;
		session->ended = true;
	}
	/* it may stay as a zombie, and its number may go to another one */
	if (session->watch >= 0 && poll(&(struct pollfd){session->watch, POLLIN, 0}, 1, 0) > 0)
		session->ended = true;
	if (request->pid > 0 && kill(request->pid, 0) && errno == ESRCH)
		session->ended = true;
	return session->ended || (request->stop && *request->stop) ||
	       (end_ns && nova_now_ns() >= end_ns);
}

static int sample(struct session *session, struct nova_error *error)
{
	size_t count = session->samplers.ring_count;
	NOVA_AUTOFREE struct pollfd *waits = nova_alloc(count * sizeof(*waits));
	int64_t next = session->began_ns + NOVA_SECOND_NS;
	int64_t end = session->request->duration_ns
	                      ? session->began_ns + session->request->duration_ns
	                      : 0;
	int code = 0;

	for (size_t i = 0; i < count; i++)
		waits[i] = (struct pollfd){session->samplers.rings[i].fd, POLLIN, 0};
	while (!code && !is_over(session, end)) {
		int64_t now = nova_now_ns(), until = end && end < next ? end : next;
		int64_t step = step_allocations(session, now);

		until = step < until ? step : until;
		/* a command or a process that ends is noticed within a tenth of a second */
		int64_t wait =
		        until - now < NOVA_SECOND_NS / 10 ? until - now : NOVA_SECOND_NS / 10;

		if (poll(waits, (nfds_t)count, wait > 0 ? (int)(wait / 1000000) + 1 : 0) > 0)
			for (size_t i = 0; i < count; i++)
				if (waits[i].revents & (POLLHUP | POLLERR | POLLNVAL))
					waits[i].fd = -1; /* its thread has ended, not the ring */
		now = nova_now_ns();
		if (now < next && !(end && now >= end)) {
			bool full = false;

			for (size_t i = 0; i < count; i++)
				full = full || (waits[i].revents & POLLIN);
			if (full) {
				drain(session, (uint64_t)(now - SETTLE_NS));
				govern_early(session);
			}
			continue;
		}
		drain(session, (uint64_t)(now - SETTLE_NS));
		if (now >= next) {
			next = now + NOVA_SECOND_NS;
			code = each_second(session, error);
		}
	}
	return code;
}

/* --- the whole ----------------------------------------------------------------------------------
 */

static void begin_tally(struct session *session)
{
	const struct samplers *samplers = &session->samplers;
	struct tally *tally = &session->tally;

	tally_start(tally, &session->writer);
	tally->vm.is = session->request->vm;
	tally_lanes(tally, samplers->lanes, samplers->lane_count);
	tally->locks = samplers->locks;
	tally->contention_ends = samplers->contention_ends;
	tally->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	if (session->request->dwarf)
		tally->unwinder = unwinder_new();
}

static void begin_governor(struct session *session)
{
	struct governor *governor = &session->governor;

	*governor = (struct governor){.target = session->request->overhead,
	                              .cpus = session->samplers.cpu_count,
	                              .count = session->samplers.count};
	for (size_t i = 0; i < governor->count; i++) {
		const struct sampler *sampler = &session->samplers.all[i];

		governor->of[i] = (struct governed){
		        .sample_cost =
		                sampler->kind == SAMPLE_ALLOCATIONS ? 1 : govern_calibrate(sampler),
		        .wanted = sampler->frequency,
		        .unclocked = !sampler_is_clocked(sampler->kind)};
	}
}

/* Of a whole host page faults may be a million a second: one in some is enough to begin with. */
static void begin_gently(struct session *session)
{
	for (size_t i = 0; i < session->samplers.count; i++)
		if (session->samplers.all[i].kind == SAMPLE_FAULTS)
			session->governor.of[i].frequency = SAMPLER_ALL / 16;
}

static int begin(struct session *session, struct nova_error *error)
{
	const struct nova_record_request *request = session->request;
	int code = open_sampler(session, error);

	if (code)
		return code;
	code = writer_open(&session->writer, request->path, error);
	if (code)
		return code;
	begin_tally(session);
	code = guest_start(&session->tally.guest, &session->tally.spaces, &request->guest, error);
	if (code)
		return code;
	begin_governor(session);
	code = samplers_start(&session->samplers, error);
	if (code)
		return code;
	look_around(session);
	if (session->samplers.kinds & NOVA_RECORD_MEMORY && resident(session) < 0)
		samplers_miss(&session->samplers, "resident memory over time",
		              request->cgroup ? "this cgroup has no memory.current: it needs the "
		                                "memory controller"
		                              : "/proc/meminfo does not say it");
	session->began_utc_ns = nova_utc_ns();
	session->began_ns = nova_now_ns();
	govern_begin(&session->governor);
	if (!request->command && request->pid <= 0)
		begin_gently(session);
	set_frequencies(session);
	NOVA_AUTOJSON json_t *about = about_of(session);
	writer_json(&session->writer, CHUNK_ABOUT, about);
	code = writer_flush(&session->writer, error);
	if (request->command && session->samplers.allocations) {
		/* what it has mapped before it is executed is what most programs map, too */
		spaces_of(&session->tally.spaces, session->child);
		step_allocations(session, session->began_ns);
	}
	if (!code && request->command)
		code = run_command(session, error);
	return code;
}

static int end(struct session *session, struct nova_error *error)
{
	bool stopped = !session->ended;

	samplers_stop(&session->samplers);
	drain(session, UINT64_MAX);
	tally_waiting(&session->tally, (uint64_t)nova_now_ns());
	govern(session);
	NOVA_AUTOJSON json_t *status = status_of(session);
	tally_flush(&session->tally);
	if (session->request->command)
		json_object_set_new(status, "command_status",
		                    stopped ? json_null()
		                    : WIFSIGNALED(session->child_status)
		                            ? json_integer(-WTERMSIG(session->child_status))
		                            : json_integer(WEXITSTATUS(session->child_status)));
	json_object_set_new(status, "ended", json_boolean(!stopped));
	writer_json(&session->writer, CHUNK_END, status);
	return writer_close(&session->writer, error);
}

int nova_record(const struct nova_record_request *request, json_t **about, struct nova_error *error)
{
	struct session session = {.request = request, .go = -1, .watch = -1, .writer.fd = -1};
	int code = begin(&session, error);

	if (!code) {
		if (request->began)
			request->began(request->context);
		code = sample(&session, error);
		end_command(&session);
		if (!code)
			code = end(&session, error);
		else
			samplers_stop(&session.samplers);
	} else {
		end_command(&session);
		if (session.writer.fd >= 0)
			unlink(request->path);
	}
	samplers_close(&session.samplers);
	if (!code)
		recording_add_names(request->path, session.tally.spaces.objects,
		                    session.tally.spaces.object_count, request->fetch_ns);
	tally_free(&session.tally);
	nova_cleanup_close(&session.watch);
	if (session.writer.fd >= 0)
		close(session.writer.fd);
	nova_text_free(&session.writer.buffer);
	if (!code && about)
		code = nova_recording_about(request->path, about, error);
	return code;
}
