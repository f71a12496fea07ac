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
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* Behind this the other CPUs have surely written what is older. */
#define SETTLE_NS 2000000
/* CPU time that looking for names may take; what was found until then stays. */
#define NAMES_CPU_S 300

const char *const nova_record_kinds[] = {"cpu", "off-cpu", NULL};

struct session {
	const struct nova_record_request *request;
	struct sampler sampler;
	struct governor governor;
	struct writer writer;
	struct tally tally;
	pid_t child; /* the command, 0: none or ended */
	int go;      /* written to: the command begins */
	int child_status;
	bool ended; /* nobody is left to be sampled */
	uint64_t lowered;
	double frequency_sum; /* of seconds */
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
	                                .off_cpu = request->kind == NOVA_RECORD_OFF_CPU,
	                                .stacks = request->dwarf};
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
		code = threads_of(request->pid, &tids, &target.tid_count, error);
		target.tids = tids;
	} else if (request->cgroup) {
		cgroup = target.cgroup = open(request->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (cgroup < 0)
			code = nova_error_errno(error, "cannot open the cgroup %s",
			                        request->cgroup);
	}
	if (!code)
		code = sampler_open(&session->sampler, &target, request->frequency, error);
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

static json_t *about_of(const struct session *session)
{
	const struct nova_record_request *request = session->request;
	const struct sampler *sampler = &session->sampler;
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
	        "{ss ss sI ss ss ss ss sI si sb ss sI}", "schema", "novacore.recording/1", "began",
	        began, "began_ns", (json_int_t)session->began_utc_ns, "host", host.nodename,
	        "kernel", host.release, "kernel_build_id", build_id, "boot", boot ? boot : "",
	        "cpus", (json_int_t)sampler->cpu_count, "frequency", (int)request->frequency,
	        "kernel_sampled", !sampler->user_only, "event",
	        sampler->off_cpu    ? "context-switches"
	        : sampler->hardware ? "cycles"
	                            : "cpu-clock",
	        "ring_bytes", (json_int_t)(sampler->ring_count * sampler->rings[0].bytes));
	json_object_set_new(about, "event_why",
	                    sampler->hardware || sampler->off_cpu
	                            ? json_null()
	                            : json_string("this machine counts no cycles (a VM without a "
	                                          "virtual PMU, or none that may be used)"));
	json_object_set_new(about, "stacks",
	                    json_string(request->dwarf ? "dwarf" : "frame-pointers"));
	json_object_set_new(about, "stacks_why",
	                    request->dwarf_why ? json_string(request->dwarf_why) : json_null());
	json_object_set_new(about, "kind", json_string(nova_record_kinds[request->kind]));
	json_object_set_new(about, "what",
	                    json_string(request->command   ? "command"
	                                : request->pid > 0 ? "process"
	                                : request->cgroup  ? "cgroup"
	                                                   : "all"));
	json_object_set_new(about, "title",
	                    request->title ? json_string(request->title) : json_null());
	if (request->pid > 0)
		json_object_set_new(about, "pid", json_integer(request->pid));
	if (request->cgroup)
		json_object_set_new(about, "cgroup", json_string(request->cgroup));
	if (request->run)
		json_object_set(about, "run", (json_t *)(uintptr_t)request->run);
	return about;
}

static json_t *status_of(const struct session *session)
{
	const struct governor *governor = &session->governor;
	const struct tally *tally = &session->tally;
	struct rusage usage;
	uint64_t broken = 0;

	getrusage(RUSAGE_SELF, &usage);
	for (size_t i = 0; i < session->sampler.ring_count; i++)
		broken += session->sampler.rings[i].broken;
	return json_pack("{sI sI sI sI sI sI sI sI s{sf sf sf sf sf sf} sf sI}", "duration_ns",
	                 (json_int_t)(nova_now_ns() - session->began_ns), "samples",
	                 (json_int_t)tally->samples, "lost", (json_int_t)tally->lost, "broken",
	                 (json_int_t)broken, "throttled", (json_int_t)tally->throttled,
	                 "user_stacks", (json_int_t)tally->user_stacks, "short_stacks",
	                 (json_int_t)tally->short_stacks, "lowered", (json_int_t)session->lowered,
	                 "overhead", "host", governor->host, "sampled", governor->sampled,
	                 "worst_second", governor->worst, "target", governor->target, "sample_ns",
	                 governor->sample_cost, "own_cpu_s",
	                 (double)(govern_own_ns() - governor->own_began_ns) / 1e9, "mean_frequency",
	                 session->seconds ? session->frequency_sum / (double)session->seconds
	                                  : (double)session->request->frequency,
	                 "memory_bytes", (json_int_t)usage.ru_maxrss * 1024);
}

static int write_status(struct session *session, enum chunk_kind kind, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *status = status_of(session);

	tally_flush(&session->tally);
	writer_json(&session->writer, kind, status);
	return writer_flush(&session->writer, error);
}

/* --- sampling -----------------------------------------------------------------------------------
 */

static void drain(struct session *session, uint64_t until_ns)
{
	rings_drain(session->sampler.rings, session->sampler.ring_count, until_ns, tally_take,
	            &session->tally);
}

static void set_frequency(struct session *session, uint32_t frequency)
{
	if (frequency < session->sampler.frequency)
		session->lowered++;
	if (frequency != session->sampler.frequency)
		sampler_set_frequency(&session->sampler, frequency);
	session->tally.off_cpu = session->sampler.off_cpu;
	session->tally.sample_ns =
	        session->sampler.hardware ? (uint64_t)(NOVA_SECOND_NS / frequency) : 0;
}

static int each_second(struct session *session, struct nova_error *error)
{
	session->frequency_sum += session->sampler.frequency;
	session->seconds++;
	set_frequency(session, govern_step(&session->governor, session->tally.samples,
	                                   nova_now_ns(), govern_own_ns()));
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
	if (request->pid > 0 && kill(request->pid, 0) && errno == ESRCH)
		session->ended = true;
	return session->ended || (request->stop && *request->stop) ||
	       (end_ns && nova_now_ns() >= end_ns);
}

static int sample(struct session *session, struct nova_error *error)
{
	size_t count = session->sampler.ring_count;
	NOVA_AUTOFREE struct pollfd *waits = nova_alloc(count * sizeof(*waits));
	int64_t next = session->began_ns + NOVA_SECOND_NS;
	int64_t end = session->request->duration_ns
	                      ? session->began_ns + session->request->duration_ns
	                      : 0;
	int code = 0;

	for (size_t i = 0; i < count; i++)
		waits[i] = (struct pollfd){session->sampler.rings[i].fd, POLLIN, 0};
	while (!code && !is_over(session, end)) {
		int64_t now = nova_now_ns(), until = end && end < next ? end : next;
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
			if (full)
				drain(session, (uint64_t)(now - SETTLE_NS));
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

/* --- names --------------------------------------------------------------------------------------
 */

/* In the child: reads the recording back and writes the names behind it. */
static int add_names(struct session *session, struct nova_error *error)
{
	const char *path = session->request->path;
	struct recording recording;
	struct source source;
	int code = source_open(&source, path, error);

	if (code)
		return code;
	code = recording_load(&source, (size_t)1 << 30, &recording, error);
	source_close(&source);
	if (!code) {
		/* what only this process can still open */
		for (uint32_t i = 0; i < session->tally.spaces.object_count; i++) {
			const struct object *object = &session->tally.spaces.objects[i];

			if (object->fd >= 0 && object->written &&
			    object->written <= recording.object_count)
				recording.objects[object->written - 1].fd = dup(object->fd);
		}
		code = writer_reopen(&session->writer, path, recording.end, error);
		if (!code)
			code = recording_symbolise(&recording, &session->writer, error);
		if (!code)
			code = writer_close(&session->writer, error);
	}
	recording_free(&recording);
	return code;
}

static void name_addresses(struct session *session)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		struct nova_error error = {0};

		/* a broken file may send its reader in circles */
		const struct rlimit patience = {NAMES_CPU_S, NAMES_CPU_S};

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setrlimit(RLIMIT_CPU, &patience);
		if (add_names(session, &error)) {
			nova_log(NOVA_LOG_WARNING, "functions have no names: %s", error.text);
			_exit(1);
		}
		_exit(0);
	}
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (child < 0 || WIFSIGNALED(status))
		nova_log(NOVA_LOG_WARNING,
		         "some functions have no names: what looked for them died of signal %d (a "
		         "file with broken debug information, or too little memory)",
		         WTERMSIG(status));
}

/* --- the whole ----------------------------------------------------------------------------------
 */

static int begin(struct session *session, struct nova_error *error)
{
	const struct nova_record_request *request = session->request;
	int code = open_sampler(session, error);

	if (code)
		return code;
	code = writer_open(&session->writer, request->path, error);
	if (code)
		return code;
	tally_start(&session->tally, &session->writer);
	if (request->dwarf)
		session->tally.unwinder = unwinder_new();
	session->governor = (struct governor){
	        .target = request->overhead,
	        .sample_cost = govern_calibrate(&session->sampler.attr),
	        .wanted = session->sampler.off_cpu ? SAMPLER_ALL : request->frequency,
	        .unclocked = session->sampler.off_cpu,
	        .cpus = session->sampler.cpu_count};
	code = sampler_start(&session->sampler, error);
	if (code)
		return code;
	look_around(session);
	session->began_utc_ns = nova_utc_ns();
	session->began_ns = nova_now_ns();
	govern_begin(&session->governor);
	set_frequency(session, session->governor.frequency);
	NOVA_AUTOJSON json_t *about = about_of(session);
	writer_json(&session->writer, CHUNK_ABOUT, about);
	code = writer_flush(&session->writer, error);
	if (!code && request->command)
		code = run_command(session, error);
	return code;
}

static int end(struct session *session, struct nova_error *error)
{
	bool stopped = !session->ended;

	sampler_stop(&session->sampler);
	drain(session, UINT64_MAX);
	if (session->sampler.off_cpu)
		tally_waiting(&session->tally, (uint64_t)nova_now_ns());
	govern_step(&session->governor, session->tally.samples, nova_now_ns(), govern_own_ns());
	NOVA_AUTOJSON json_t *status = status_of(session);
	tally_flush(&session->tally);
	if (session->request->command)
		json_object_set_new(status, "command_status",
		                    stopped ? json_null()
		                    : WIFSIGNALED(session->child_status)
		                            ? json_integer(-WTERMSIG(session->child_status))
		                            : json_integer(WEXITSTATUS(session->child_status)));
	writer_json(&session->writer, CHUNK_END, status);
	return writer_close(&session->writer, error);
}

int nova_record(const struct nova_record_request *request, json_t **about, struct nova_error *error)
{
	struct session session = {.request = request, .go = -1, .writer.fd = -1};
	int code = begin(&session, error);

	if (!code) {
		if (request->began)
			request->began(request->context);
		code = sample(&session, error);
		end_command(&session);
		if (!code)
			code = end(&session, error);
		else
			sampler_stop(&session.sampler);
	} else {
		end_command(&session);
		if (session.writer.fd >= 0)
			unlink(request->path);
	}
	sampler_close(&session.sampler);
	if (!code)
		name_addresses(&session);
	tally_free(&session.tally);
	if (session.writer.fd >= 0)
		close(session.writer.fd);
	nova_text_free(&session.writer.buffer);
	if (!code && about)
		code = nova_recording_about(request->path, about, error);
	return code;
}
