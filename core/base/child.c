/* SPDX-License-Identifier: MIT */
/*
 * Child processes: run to the end, output gathered, deadline kept. It waits for its own child by
 * pid only, because this process may also be the subreaper of orphans that somebody else waits for.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/base.h"
#include "core/base/internal.h"

#define OUTPUT_LIMIT_DEFAULT ((size_t)16 << 20)
#define GRACE_NS             (2 * NOVA_SECOND_NS)
#define LOOK_AROUND_NS       (NOVA_SECOND_NS / 10) /* for `stop` */

/* --- whose child is it ------------------------------------------------------------------------ */

static pthread_mutex_t owned_lock = PTHREAD_MUTEX_INITIALIZER;
static pid_t *owned;
static size_t owned_count;

bool nova_child_owned(pid_t pid)
{
	bool found = false;
	pthread_mutex_lock(&owned_lock);
	for (size_t i = 0; i < owned_count && !found; i++)
		found = owned[i] == pid;
	pthread_mutex_unlock(&owned_lock);
	return found;
}

static void disown(pid_t pid)
{
	pthread_mutex_lock(&owned_lock);
	for (size_t i = 0; i < owned_count; i++)
		if (owned[i] == pid) {
			owned[i] = owned[--owned_count];
			break;
		}
	pthread_mutex_unlock(&owned_lock);
}

/* --- starting --------------------------------------------------------------------------------- */

/* What the child could not do before exec, sent through a close-on-exec pipe. */
struct failure {
	int stage, number;
};
enum { STAGE_SETUP = 1, STAGE_DIRECTORY, STAGE_EXEC };

struct running {
	const struct nova_child *child;
	struct nova_child_result *result;
	pid_t pid;
	int pidfd;      /* -1 on a kernel without it */
	int output[2];  /* our ends of stdout and stderr; -1 when closed */
	size_t line_at; /* how much of stdout has been given to on_line */
	size_t limit;
	int64_t kill_at; /* when SIGKILL follows SIGTERM; 0 while not terminated */
	bool killed;
	int code; /* why it was terminated, 0 if it was not */
	struct nova_error *error;
};

/* The environment with the additions in place of what they override; the array is heap. */
static char **merge_environment(const char *const *additions)
{
	char **merged = NULL;
	size_t count = 0;

	for (char **at = environ; at && *at; at++) {
		size_t name = strcspn(*at, "=") + 1;
		bool overridden = false;
		for (const char *const *add = additions; add && *add && !overridden; add++)
			overridden = strncmp(*at, *add, name) == 0;
		if (overridden)
			continue;
		merged = nova_grow(merged, count, sizeof(*merged));
		merged[count++] = *at;
	}
	for (const char *const *add = additions; add && *add; add++) {
		merged = nova_grow(merged, count, sizeof(*merged));
		merged[count++] = (char *)*add;
	}
	merged = nova_grow(merged, count, sizeof(*merged));
	merged[count] = NULL;
	return merged;
}

/* Input through an anonymous file: no pipe to feed meanwhile, and no SIGPIPE from one. */
static int open_input(const struct nova_child *child)
{
	if (!child->input)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	int fd = memfd_create("novacore-input", MFD_CLOEXEC);
	if (fd < 0)
		return -1;
	if (base_write_all(fd, child->input, child->input_bytes) < 0 ||
	    lseek(fd, 0, SEEK_SET) < 0) {
		base_close_quietly(fd);
		return -1;
	}
	return fd;
}

/* Moves a descriptor out of 0…2, where dup2 in the child would overwrite it. */
static int above_standard(int fd)
{
	if (fd < 0 || fd > 2)
		return fd;
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	base_close_quietly(fd);
	return moved;
}

static int open_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	ends[0] = above_standard(ends[0]);
	ends[1] = above_standard(ends[1]);
	return ends[0] < 0 || ends[1] < 0 ? -1 : 0;
}

static void close_ends(int ends[2])
{
	for (int i = 0; i < 2; i++) {
		if (ends[i] >= 0)
			base_close_quietly(ends[i]);
		ends[i] = -1;
	}
}

static _Noreturn void fail_in_child(int report, int stage)
{
	struct failure failure = {stage, errno};
	(void)!write(report, &failure, sizeof(failure));
	_exit(127);
}

/* Between fork and exec: only async-signal-safe calls, everything allocated before. */
static _Noreturn void become(const struct nova_child *child, char **environment, pid_t parent,
                             const int standard[3], int report)
{
	setpgid(0, 0);
	/* Our death is its death: nobody would read its output, and a kill -9 must leave nothing.
	 */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		fail_in_child(report, STAGE_SETUP);
	if (getppid() != parent)
		_exit(127);
	/* exec keeps what is ignored; a child expects to start with nothing ignored or blocked */
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int fd = 0; fd < 3; fd++)
		if (dup2(standard[fd], fd) < 0)
			fail_in_child(report, STAGE_SETUP);
	if (child->directory && chdir(child->directory) < 0)
		fail_in_child(report, STAGE_DIRECTORY);
	execvpe(child->argv[0], (char *const *)child->argv, environment);
	fail_in_child(report, STAGE_EXEC);
}

/* execvp says EACCES when it could not look into one directory of PATH, whatever the others hold.
 */
static bool is_in_path(const char *name)
{
	const char *path = getenv("PATH");
	NOVA_AUTOFREE char *list = nova_strdup(path ? path : "/bin:/usr/bin");
	char *rest = list, *directory;
	bool found = strchr(name, '/') != NULL;

	while (!found && (directory = strsep(&rest, ":"))) {
		NOVA_AUTOFREE char *file = nova_format("%s/%s", *directory ? directory : ".", name);
		found = access(file, F_OK) == 0;
	}
	return found;
}

static int explain(const struct nova_child *child, const struct failure *failure,
                   struct nova_error *error)
{
	int number = failure->number;
	if (failure->stage == STAGE_EXEC && number == EACCES && !is_in_path(child->argv[0]))
		number = ENOENT;
	errno = number;
	if (failure->stage == STAGE_DIRECTORY)
		return nova_error_errno(error, "cannot run %s in directory %s", child->argv[0],
		                        child->directory);
	if (failure->stage == STAGE_EXEC && errno == ENOENT)
		return nova_error_set(error, NOVA_E_UNAVAILABLE,
		                      "cannot run %s: it is not installed, or not in PATH",
		                      child->argv[0]);
	return nova_error_errno(error, "cannot run %s", child->argv[0]);
}

static pid_t fork_owned(void)
{
	/* registered under the lock, so that a reaper never sees it unregistered */
	pthread_mutex_lock(&owned_lock);
	owned = nova_grow(owned, owned_count, sizeof(*owned));
	pid_t pid = fork();
	if (pid > 0)
		owned[owned_count++] = pid;
	if (pid != 0)
		pthread_mutex_unlock(&owned_lock);
	return pid;
}

static int launch(struct running *run, const int standard[3], int report[2],
                  struct nova_error *error)
{
	const struct nova_child *child = run->child;
	NOVA_AUTOFREE char **environment = merge_environment(child->env);
	pid_t parent = getpid();
	sigset_t all, before;

	/* blocked across fork, so that no handler of ours runs in the child */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	run->pid = fork_owned();
	if (run->pid == 0)
		become(child, environment, parent, standard, report[1]);
	int reason = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	base_close_quietly(report[1]);
	report[1] = -1;
	if (run->pid < 0) {
		errno = reason;
		return nova_error_errno(error, "cannot start a process for %s", child->argv[0]);
	}
	setpgid(run->pid, run->pid); /* in both: whoever comes first */

	struct failure failure;
	ssize_t got;
	do
		got = read(report[0], &failure, sizeof(failure));
	while (got < 0 && errno == EINTR);
	if (got != (ssize_t)sizeof(failure))
		return 0;
	waitid(P_PID, (id_t)run->pid, &(siginfo_t){0}, WEXITED);
	disown(run->pid);
	return explain(child, &failure, error);
}

static int start(struct running *run, struct nova_error *error)
{
	int out[2] = {-1, -1}, err[2] = {-1, -1}, report[2] = {-1, -1};
	int input = above_standard(open_input(run->child)), code;

	if (input < 0 || open_pipe(out) < 0 || open_pipe(err) < 0 || open_pipe(report) < 0)
		code = nova_error_errno(error, "cannot prepare to run %s", run->child->argv[0]);
	else
		code = launch(run, (const int[]){input, out[1], err[1]}, report, error);
	if (code == 0) {
		run->output[0] = out[0];
		run->output[1] = err[0];
		out[0] = err[0] = -1;
		for (int i = 0; i < 2; i++)
			fcntl(run->output[i], F_SETFL, O_NONBLOCK);
		run->pidfd = (int)syscall(SYS_pidfd_open, run->pid, 0);
	}
	if (input >= 0)
		base_close_quietly(input);
	close_ends(out);
	close_ends(err);
	close_ends(report);
	return code;
}

/* --- while it runs ---------------------------------------------------------------------------- */

/* SIGTERM to the group now, SIGKILL after the grace. The first reason is the one reported. */
static void terminate(struct running *run, int code, const char *why)
{
	if (run->code == 0) {
		run->code = code;
		nova_error_set(run->error, code, "%s was stopped: %s", run->child->argv[0], why);
	}
	if (run->kill_at == 0) {
		run->kill_at = nova_now_ns() + GRACE_NS;
		kill(-run->pid, SIGTERM);
	}
}

static void give_lines(struct running *run, bool at_end)
{
	struct nova_text *text = &run->result->output;
	if (!run->child->on_line)
		return;
	while (run->line_at < text->length) {
		char *line = text->data + run->line_at;
		char *end = memchr(line, '\n', text->length - run->line_at);
		if (!end && !at_end)
			return;
		/* a copy: the callback may do anything, and the output keeps its line ends */
		NOVA_AUTOFREE char *copy =
		        end ? nova_format("%.*s", (int)(end - line), line) : nova_strdup(line);
		run->line_at = end ? (size_t)(end + 1 - text->data) : text->length;
		run->child->on_line(run->child->context, copy);
	}
}

/* Takes what is there; closes the end at end of file. */
static void drain(struct running *run, int which)
{
	struct nova_text *text = which == 0 ? &run->result->output : &run->result->errors;
	char piece[16 * 1024];

	while (run->output[which] >= 0) {
		ssize_t got = read(run->output[which], piece, sizeof(piece));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return;
		if (got <= 0) {
			close(run->output[which]);
			run->output[which] = -1;
			return;
		}
		size_t room = run->limit - text->length;
		nova_text_add_bytes(text, piece, (size_t)got < room ? (size_t)got : room);
		if ((size_t)got > room) {
			NOVA_AUTOFREE char *why =
			        nova_format("it wrote more than %zu bytes to %s", run->limit,
			                    which == 0 ? "stdout" : "stderr");
			terminate(run, NOVA_E_FAILED, why);
		}
		if (which == 0)
			give_lines(run, false);
		if (run->kill_at != 0)
			return; /* one that writes without end must not hold us here */
	}
}

/* Whether it has ended; if so, its status is in the result and the pid is free. */
static bool ended(struct running *run)
{
	siginfo_t info = {0};
	int rc;
	do
		rc = waitid(P_PID, (id_t)run->pid, &info, WEXITED | WNOHANG);
	while (rc < 0 && errno == EINTR);
	if (rc < 0) {
		run->code =
		        nova_error_set(run->error, NOVA_E_INTERNAL,
		                       "the exit status of %s is lost: somebody else waited for it",
		                       run->child->argv[0]);
		return true;
	}
	if (info.si_pid == 0)
		return false;
	run->result->status = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
	return true;
}

static void check_clock(struct running *run)
{
	const struct nova_child *child = run->child;
	int64_t now = nova_now_ns();

	if (run->kill_at != 0 && now >= run->kill_at && !run->killed) {
		kill(-run->pid, SIGKILL);
		run->killed = true;
	}
	if (child->stop && *child->stop && run->code == 0)
		terminate(run, NOVA_E_INTERRUPTED, "interrupted");
	if (child->deadline_ns && now >= child->deadline_ns && run->code == 0)
		terminate(run, NOVA_E_TIMEOUT, "its time was up");
}

/* Milliseconds until something other than a descriptor wants attention; -1 for never. */
static int poll_time(const struct running *run)
{
	int64_t now = nova_now_ns(), wake = INT64_MAX;

	if (run->kill_at != 0 && !run->killed)
		wake = run->kill_at;
	else if (run->kill_at == 0 && run->child->deadline_ns)
		wake = run->child->deadline_ns;
	if ((run->child->stop && run->code == 0) || run->pidfd < 0)
		wake = wake < now + LOOK_AROUND_NS ? wake : now + LOOK_AROUND_NS;
	if (wake == INT64_MAX)
		return -1;
	int64_t wait = wake > now ? (wake - now) / 1000000 + 1 : 0;
	return wait < 60000 ? (int)wait : 60000;
}

static void attend(struct running *run)
{
	for (;;) {
		struct pollfd wait[3] = {{run->output[0], POLLIN, 0},
		                         {run->output[1], POLLIN, 0},
		                         {run->pidfd, POLLIN, 0}};
		check_clock(run);
		(void)poll(wait, 3, poll_time(run)); /* EINTR: look around, wait again */
		drain(run, 0);
		drain(run, 1);
		if (ended(run))
			break;
	}
	/* What it wrote is in the pipes now. A daemon that it left may hold them open for ever. */
	drain(run, 0);
	drain(run, 1);
	give_lines(run, true);
}

int nova_child_run(const struct nova_child *child, struct nova_child_result *result,
                   struct nova_error *error)
{
	struct nova_child_result own = {0};
	struct running run = {.child = child,
	                      .result = result ? result : &own,
	                      .output = {-1, -1},
	                      .pidfd = -1,
	                      .limit = child->output_limit ? child->output_limit
	                                                   : OUTPUT_LIMIT_DEFAULT,
	                      .error = error};

	*run.result = (struct nova_child_result){0};
	if (!child->argv || !child->argv[0])
		return nova_error_set(error, NOVA_E_INTERNAL,
		                      "cannot run a command without a name");
	if (child->deadline_ns && nova_now_ns() >= child->deadline_ns)
		return nova_error_set(error, NOVA_E_TIMEOUT,
		                      "%s was not started: its time was up already",
		                      child->argv[0]);
	int code = start(&run, error);
	if (code < 0)
		return code;
	attend(&run);
	/* the group of one that was stopped may have members that ignored SIGTERM */
	if (run.kill_at != 0)
		kill(-run.pid, SIGKILL);
	disown(run.pid);
	for (int i = 0; i < 2; i++)
		if (run.output[i] >= 0)
			close(run.output[i]);
	if (run.pidfd >= 0)
		close(run.pidfd);
	if (!result)
		nova_child_result_free(&own);
	return run.code;
}

/* The last line with something in it, without its end; heap; NULL if there is none. */
static char *last_line(const struct nova_text *text)
{
	size_t end = text->length;
	while (end > 0 && strchr(" \t\r\n", text->data[end - 1]))
		end--;
	size_t begin = end;
	while (begin > 0 && text->data[begin - 1] != '\n')
		begin--;
	return end > begin ? nova_format("%.*s", (int)(end - begin), text->data + begin) : NULL;
}

int nova_child_check(const struct nova_child *child, struct nova_child_result *result,
                     struct nova_error *error)
{
	struct nova_child_result own = {0};
	struct nova_child_result *used = result ? result : &own;
	int code = nova_child_run(child, used, error);

	if (code == 0 && used->status != 0) {
		NOVA_AUTOFREE char *line = last_line(&used->errors);
		const char *why = line ? line : "it printed no reason";
		const char *name = child->argv[0];
		code = NOVA_E_FAILED;
		if (used->status > 0)
			nova_error_set(error, code, "%s failed with status %d: %s", name,
			               used->status, why);
		else
			nova_error_set(error, code, "%s was killed by signal %d (%s): %s", name,
			               -used->status, sigabbrev_np(-used->status), why);
	}
	if (!result)
		nova_child_result_free(&own);
	return code;
}

void nova_child_result_free(struct nova_child_result *result)
{
	nova_text_free(&result->output);
	nova_text_free(&result->errors);
}
