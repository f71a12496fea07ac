/* SPDX-License-Identifier: MIT */
/* host->process of the test host: posix_spawn, three pipes, one poll loop. */
#include "inside.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* environ with `additions` in place of the variables of the same names. The array is the caller's,
 * the texts are not. */
static char **environment(const char *const *additions)
{
	size_t ours = 0, more = 0, count = 0;
	char **all;

	while (environ[ours])
		ours++;
	while (additions && additions[more])
		more++;
	all = th_memory(NULL, (ours + more + 1) * sizeof(*all));
	for (size_t i = 0; i < ours; i++) {
		size_t name = strcspn(environ[i], "=") + 1, j = 0;

		while (j < more && strncmp(additions[j], environ[i], name) != 0)
			j++;
		if (j == more)
			all[count++] = environ[i];
	}
	for (size_t i = 0; i < more; i++)
		all[count++] = (char *)(uintptr_t)additions[i];
	all[count] = NULL;
	return all;
}

/* Starts it with `pipes` as its standard streams; returns 0 or an errno. */
static int spawn(const struct nova_exec *exec, int pipes[3][2], pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	char **env = environment(exec->env);
	int error;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
	posix_spawn_file_actions_adddup2(&actions, pipes[0][0], 0);
	posix_spawn_file_actions_adddup2(&actions, pipes[1][1], 1);
	posix_spawn_file_actions_adddup2(&actions, pipes[2][1], 2);
	error = posix_spawnp(pid, exec->argv[0], &actions, &attributes,
	                     (char *const *)(uintptr_t)exec->argv, env);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	free(env);
	return error;
}

static void shut(int *descriptor)
{
	if (*descriptor >= 0)
		close(*descriptor);
	*descriptor = -1;
}

/* Feeds and drains until both outputs have ended; NOVA_DONE, …_TIMEOUT or …_CANCELLED. Closes *in.
 */
static int talk(const struct nova_exec *exec, int *in, const int out[2], int64_t deadline_ns,
                int (*cancelled)(nova_op), nova_op op,
                void (*output)(void *, uint32_t, const void *, uint64_t), void *context)
{
	struct pollfd polls[3] = {{out[0], POLLIN, 0}, {out[1], POLLIN, 0}, {*in, POLLOUT, 0}};
	uint64_t written = 0;
	char bytes[4096];
	ssize_t count;

	while (polls[0].fd >= 0 || polls[1].fd >= 0) {
		if (th_clock_ns() >= deadline_ns)
			return NOVA_E_TIMEOUT;
		if (cancelled(op))
			return NOVA_E_CANCELLED;
		if (polls[2].fd >= 0 && written == exec->input_bytes) {
			shut(in);
			polls[2].fd = -1;
		}
		if (poll(polls, 3, 50) <= 0)
			continue;
		for (int i = 0; i < 2; i++) {
			if (polls[i].fd < 0 || !polls[i].revents)
				continue;
			count = read(polls[i].fd, bytes, sizeof(bytes));
			if (count > 0 && output)
				output(context, i ? NOVA_FIELD_STDERR : NOVA_FIELD_STDOUT, bytes,
				       (uint64_t)count);
			if (count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN))
				polls[i].fd = -1;
		}
		if (polls[2].fd >= 0 && polls[2].revents) {
			count = write(polls[2].fd, (const char *)exec->input + written,
			              (size_t)(exec->input_bytes - written));
			if (count > 0)
				written += (uint64_t)count;
			else if (errno != EAGAIN && errno != EINTR)
				written = exec->input_bytes; /* it does not want to read */
		}
	}
	shut(in);
	return NOVA_DONE;
}

/* Reaps it; a process that has closed its outputs and goes on is bound by the deadline too. */
static int reap(pid_t pid, int outcome, int64_t deadline_ns, int (*cancelled)(nova_op), nova_op op,
                int *ended)
{
	const struct timespec pause = {0, 5000000};
	pid_t found;

	if (outcome != NOVA_DONE)
		kill(-pid, SIGKILL);
	while ((found = waitpid(pid, ended, WNOHANG)) != pid) {
		if (found < 0 && errno != EINTR)
			return NOVA_E_INTERNAL;
		if (outcome == NOVA_DONE && (th_clock_ns() >= deadline_ns || cancelled(op))) {
			outcome = cancelled(op) ? NOVA_E_CANCELLED : NOVA_E_TIMEOUT;
			kill(-pid, SIGKILL);
		}
		nanosleep(&pause, NULL);
	}
	return outcome;
}

static void close_all(int pipes[3][2])
{
	for (int i = 0; i < 3; i++) {
		shut(&pipes[i][0]);
		shut(&pipes[i][1]);
	}
}

int th_process_run(const struct nova_exec *exec, int64_t deadline_ns, int (*cancelled)(nova_op),
                   nova_op op, void (*output)(void *, uint32_t, const void *, uint64_t),
                   void *context, int32_t *status)
{
	int pipes[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
	int outcome, ended = 0, error;
	sigset_t broken, before;
	pid_t pid;

	if (!exec || !exec->argv || !exec->argv[0])
		return NOVA_E_INVALID;
	for (int i = 0; i < 3; i++)
		if (pipe2(pipes[i], O_CLOEXEC) != 0) {
			close_all(pipes);
			return NOVA_E_IO;
		}
	error = spawn(exec, pipes, &pid);
	if (error) {
		close_all(pipes);
		return error == ENOENT   ? NOVA_E_NOT_FOUND
		       : error == EACCES ? NOVA_E_PERMISSION
		                         : NOVA_E_FAILED;
	}
	shut(&pipes[0][0]);
	shut(&pipes[1][1]);
	shut(&pipes[2][1]);
	fcntl(pipes[0][1], F_SETFL, O_NONBLOCK);
	/* A program that does not read its input must not kill the test by SIGPIPE. */
	sigemptyset(&broken);
	sigaddset(&broken, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &broken, &before);
	outcome = talk(exec, &pipes[0][1], (const int[2]){pipes[1][0], pipes[2][0]}, deadline_ns,
	               cancelled, op, output, context);
	while (sigtimedwait(&broken, NULL, &(struct timespec){0, 0}) < 0 && errno == EINTR)
		;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	close_all(pipes);
	outcome = reap(pid, outcome, deadline_ns, cancelled, op, &ended);
	if (outcome == NOVA_DONE && status)
		*status = WIFSIGNALED(ended) ? -WTERMSIG(ended) : WEXITSTATUS(ended);
	return outcome;
}
