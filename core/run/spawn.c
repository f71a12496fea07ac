/* SPDX-License-Identifier: MIT */
/*
 * A worker process as its parent sees it. The parent is the subreaper: QEMUs double-fork and become
 * its children when their worker is gone, and a zombie QEMU would make libvirt wait 2 s for it.
 */
#include "core/run/lead.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAIL_BYTES 4096
#define DISK_LEFT  (UINT64_C(128) << 20)
#define LEFT_TOLD  20                   /* processes that are named at the end */
#define LOG_READS  64                   /* at a time */
#define LOG_BYTES  (UINT64_C(16) << 20) /* of one worker's output, to the log */

extern char **environ;

int nova_signals_take(struct nova_error *error)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return nova_error_errno(error, "cannot watch for signals");
	return fd;
}

void nova_signals_return(int fd)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	if (fd >= 0)
		close(fd);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* This environment with LD_BIND_NOW; the array is the caller's, the texts are not. */
static char **worker_environment(void)
{
	size_t count = 0;
	char **copy;

	while (environ[count])
		count++;
	copy = nova_alloc((count + 2) * sizeof(*copy));
	for (size_t i = 0; i < count; i++)
		copy[i] = environ[i];
	copy[count] = (char *)(uintptr_t) "LD_BIND_NOW=1";
	return copy;
}

/*
 * A worker's own output is its log. A wrapper talks to the user: it has our standard input (unless
 * that is a terminal that is not ours to give) and error, and our standard output only where no
 * result is written to it.
 */
static void set_standard_files(posix_spawn_file_actions_t *files, const struct worker *worker,
                               int log)
{
	if (!worker->wrapped) {
		posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);
		posix_spawn_file_actions_adddup2(files, log, 1);
		posix_spawn_file_actions_adddup2(files, log, 2);
		return;
	}
	if (isatty(STDIN_FILENO) && !worker->terminal)
		posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);
	if (!isatty(STDOUT_FILENO))
		posix_spawn_file_actions_adddup2(files, STDERR_FILENO, STDOUT_FILENO);
}

/* "novacore worker", and behind it the wrapper that it is to become. The array is the caller's. */
static char **command_line(const char *command, char *const *wrapper)
{
	size_t count = 0;
	char **argv;

	while (wrapper && wrapper[count])
		count++;
	argv = nova_alloc((count + 3) * sizeof(*argv));
	argv[0] = (char *)(uintptr_t) "novacore";
	argv[1] = (char *)(uintptr_t)command;
	for (size_t i = 0; i < count; i++)
		argv[i + 2] = wrapper[i];
	return argv;
}

static int start(struct worker *worker, const char *command, char *const *wrapper, int packets,
                 int log, int trace, struct nova_error *error)
{
	/* This very program, even if another version has been installed in its place meanwhile. */
	static const char binary[] = "/proc/self/exe";
	NOVA_AUTOFREE char **argv = command_line(command, wrapper);
	NOVA_AUTOFREE char **environment = worker_environment();
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int code;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, packets, NOVA_WIRE_FD);
	if (trace)
		posix_spawn_file_actions_adddup2(&files, trace, NOVA_TRACE_FD);
	set_standard_files(&files, worker, log);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
	                                              POSIX_SPAWN_SETPGROUP);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	code = posix_spawn(&worker->pid, binary, &files, &attributes, argv, environment);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attributes);
	if (code)
		return nova_error_set(error, NOVA_E_UNAVAILABLE, "cannot start a %s: %s", command,
		                      strerror(code));
	return 0;
}

/* Descriptors for a child must not be 0…4, or dup2 onto themselves would keep close-on-exec. */
static int raise_fd(int fd)
{
	int raised = fcntl(fd, F_DUPFD_CLOEXEC, 10);

	if (raised >= 0)
		close(fd);
	return raised >= 0 ? raised : fd;
}

int nova_spawn(struct worker *worker, char *const *wrapper, int trace, struct nova_error *error)
{
	int packets[2], log[2], code;

	memset(worker, 0, sizeof(*worker));
	worker->fd = worker->log = -1;
	worker->wrapped = wrapper;
	worker->terminal = wrapper && tcgetpgrp(STDIN_FILENO) == getpgrp();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, packets))
		return nova_error_errno(error, "cannot make a socket for a worker");
	if (pipe2(log, O_CLOEXEC)) {
		close(packets[0]);
		close(packets[1]);
		return nova_error_errno(error, "cannot make a pipe for a worker");
	}
	packets[1] = raise_fd(packets[1]);
	log[1] = raise_fd(log[1]);
	code = start(worker, "worker", wrapper, packets[1], log[1], trace, error);
	close(packets[1]);
	close(log[1]);
	if (code) {
		close(packets[0]);
		close(log[0]);
		return code;
	}
	fcntl(log[0], F_SETFL, O_NONBLOCK);
	fcntl(packets[0], F_SETFL, O_NONBLOCK);
	worker->fd = packets[0];
	worker->log = log[0];
	return 0;
}

int nova_spawn_recorder(int *fd, int *process, struct nova_error *error)
{
	NOVA_AUTOCLOSE int nowhere = raise_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
	struct worker recorder = {0};
	int packets[2], code;

	*fd = *process = -1;
	if (nowhere < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, packets))
		return nova_error_errno(error, "cannot make a socket for a recorder");
	packets[1] = raise_fd(packets[1]);
	code = start(&recorder, "recorder", NULL, packets[1], nowhere, 0, error);
	close(packets[1]);
	if (!code) {
		/* Whoever reaps it, this is never another process. */
		*process = (int)syscall(SYS_pidfd_open, recorder.pid, 0);
		if (*process < 0) {
			code = nova_error_errno(error, "cannot watch a recorder");
			kill(recorder.pid, SIGKILL);
		}
	}
	if (code)
		close(packets[0]);
	else
		*fd = packets[0];
	return code;
}

void nova_reap(struct worker *worker)
{
	siginfo_t info;

	for (;;) {
		int status;

		/* Look first: children of nova_child_run are waited for by their own caller. */
		memset(&info, 0, sizeof(info));
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) || !info.si_pid ||
		    nova_child_owned(info.si_pid))
			return;
		/* What it has left behind in its process group goes with it, while the number is
		 * still its own. */
		if (worker && info.si_pid == worker->pid && !worker->reaped)
			kill(-worker->pid, SIGKILL);
		if (waitpid(info.si_pid, &status, WNOHANG) <= 0)
			return;
		if (worker && info.si_pid == worker->pid && !worker->reaped) {
			worker->reaped = true;
			worker->reaped_ns = nova_now_ns();
			worker->status = status;
			if (worker->end == WORKER_RUNS)
				worker->end = WIFSIGNALED(status) ? WORKER_CRASHED : WORKER_EXITED;
		}
	}
}

void nova_spawn_read_log(struct worker *worker)
{
	char buffer[4096];
	ssize_t count = -1;

	/* Some at a time: one that writes without end must not keep us from looking at the clock.
	 */
	for (unsigned i = 0; i < LOG_READS && worker->log >= 0 &&
	                     (count = read(worker->log, buffer, sizeof(buffer) - 1)) > 0;
	     i++) {
		char *rest = buffer, *line;

		buffer[count] = 0;
		worker->log_bytes += (uint64_t)count;
		if (worker->tail.length > TAIL_BYTES)
			nova_text_free(&worker->tail);
		nova_text_add(&worker->tail, buffer);
		while ((line = strsep(&rest, "\n")))
			if (*line && worker->log_bytes < LOG_BYTES)
				nova_log(NOVA_LOG_DEBUG, "worker %d: %s", (int)worker->pid, line);
	}
	if (worker->log >= 0 && count == 0) { /* closed: do not poll it any more */
		close(worker->log);
		worker->log = -1;
	}
}

/* Files below `path`, without following links or leaving its file system. */
static uint64_t bytes_below(const char *path)
{
	char *const roots[] = {(char *)(uintptr_t)path, NULL};
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	uint64_t bytes = 0;
	FTSENT *entry;

	while (tree && (entry = fts_read(tree)))
		if (entry->fts_info == FTS_F)
			bytes += (uint64_t)entry->fts_statp->st_blocks * 512;
	if (tree)
		fts_close(tree);
	return bytes;
}

bool nova_directory_fills_disk(const char *directory)
{
	struct statvfs disk;

	/* Only a disk that is nearly full is worth a look at each file. */
	return !statvfs(directory, &disk) && disk.f_bavail * disk.f_frsize < DISK_LEFT &&
	       bytes_below(directory) > DISK_LEFT;
}

void nova_spawn_tell_left(struct lead *lead)
{
	NOVA_AUTOFREE char *path = nova_format("/proc/self/task/%ld/children", syscall(SYS_gettid));
	NOVA_AUTOFREE char *children = nova_file_read(path, 1 << 20, NULL, NULL);
	char *rest = children, *child;

	nova_reap(NULL);
	while (rest && (child = strsep(&rest, " ")) && lead->left_behind < LEFT_TOLD) {
		NOVA_AUTOFREE char *comm = nova_format("/proc/%s/comm", child);
		NOVA_AUTOFREE char *name = nova_file_read(comm, 256, NULL, NULL);

		if (!*child || !name || !*name || nova_child_owned(atoi(child)))
			continue;
		name[strcspn(name, "\n")] = 0;
		/* libvirt's daemons end by themselves when nobody needs them any more. */
		nova_lead_note(lead, strncmp(name, "virt", 4) ? NOVA_LOG_WARNING : NOVA_LOG_DEBUG,
		               "process %s (%s), which a plugin started, still runs", child, name);
		lead->left_behind++;
	}
}

uint64_t nova_resident_bytes(pid_t pid)
{
	char path[64];
	unsigned long long size = 0, resident = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%llu %llu", &size, &resident) != 2)
		resident = 0;
	fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

void nova_spawn_kill(struct worker *worker, enum worker_end why)
{
	if (worker->pid <= 0 || worker->reaped)
		return;
	if (worker->end == WORKER_RUNS)
		worker->end = why;
	kill(worker->pid, SIGKILL);
}

/* The terminal is the foreground's: a process group that has ended cannot give it back. */
static void return_terminal(void)
{
	sigset_t output, before;

	sigemptyset(&output);
	sigaddset(&output, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &output, &before);
	tcsetpgrp(STDIN_FILENO, getpgrp());
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void nova_spawn_finish(struct worker *worker, int64_t grace_ns)
{
	int64_t until = nova_now_ns() + grace_ns;

	if (worker->pid <= 0)
		return;
	while (!worker->reaped && nova_now_ns() < until) {
		nova_reap(worker);
		nova_spawn_read_log(worker);
		if (!worker->reaped)
			usleep(2000);
	}
	if (!worker->reaped) {
		nova_spawn_kill(worker, WORKER_HUNG);
		kill(-worker->pid, SIGKILL);
		waitpid(worker->pid, &worker->status, 0);
		worker->reaped = true;
	}
	nova_spawn_read_log(worker);
	if (worker->fd >= 0)
		close(worker->fd);
	if (worker->log >= 0)
		close(worker->log);
	if (worker->terminal)
		return_terminal();
	nova_text_free(&worker->tail);
	worker->fd = worker->log = -1;
	worker->pid = 0;
}

/* The last line that it wrote, which often says why. */
static const char *last_line(struct worker *worker)
{
	char *text = worker->tail.data, *end, *line;

	if (!text)
		return "";
	end = text + strlen(text);
	while (end > text && (end[-1] == '\n' || end[-1] == ' '))
		*--end = 0;
	line = strrchr(text, '\n');
	return line ? line + 1 : text;
}

char *nova_spawn_epitaph(const struct worker *worker)
{
	NOVA_AUTOFREE char *doing = NULL;
	const char *said = last_line((struct worker *)(uintptr_t)worker);
	char how[128];

	switch (worker->end) {
	case WORKER_CRASHED:
		snprintf(how, sizeof(how), "crashed (%s)", strsignal(WTERMSIG(worker->status)));
		break;
	case WORKER_EXITED:
		snprintf(how, sizeof(how), "ended by itself with status %d",
		         WEXITSTATUS(worker->status));
		break;
	case WORKER_HUNG:
		snprintf(how, sizeof(how), "did not answer in time and was killed");
		break;
	case WORKER_TOO_LARGE:
		snprintf(how, sizeof(how),
		         "grew to %llu MiB, over limits.worker_memory (%llu MiB), and was killed",
		         (unsigned long long)(worker->resident >> 20),
		         (unsigned long long)(worker->resident_max >> 20));
		break;
	case WORKER_BROKEN:
		snprintf(how, sizeof(how), "said what cannot be understood and was killed");
		break;
	case WORKER_TALKATIVE:
		snprintf(how, sizeof(how), "said far too much and was killed");
		break;
	case WORKER_FILLS:
		snprintf(how, sizeof(how), "has nearly filled the disk and was killed");
		break;
	default: snprintf(how, sizeof(how), "ended"); break;
	}
	if (worker->loading_stage[0])
		doing = nova_format(" while it was to %s %s %s", worker->loading_stage,
		                    nova_kind_name(worker->loading_kind), worker->loading_plugin);
	return nova_format("the worker %s%s%s%.300s", how, doing ? doing : "",
	                   *said ? "; it last said: " : "", said);
}
