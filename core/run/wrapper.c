/* SPDX-License-Identifier: MIT */
/*
 * `run --worker-wrapper`: a worker under a debugger, a tracer or a profiler. The command is split
 * here, without a shell; the new process becomes the wrapper itself, so that whatever happens to
 * it is seen by its parent as what happens to a worker.
 */
#include "core/run/run.h"
#include "core/run/wire.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- splitting --------------------------------------------------------------------------------
 */

/* One word into `word`; `*at` moves behind it. False: a quote or a backslash has no end. */
static bool read_word(const char **at, struct nova_text *word)
{
	const char *text = *at;
	char quote = 0;

	nova_text_add(word, ""); /* '' is a word, too */
	for (; *text && (quote || !strchr(" \t\n", *text)); text++) {
		if (quote && *text == quote) {
			quote = 0;
		} else if (!quote && (*text == '\'' || *text == '"')) {
			quote = *text;
		} else if (*text == '\\' && quote != '\'' &&
		           (!quote || (text[1] && strchr("\"\\$`", text[1])))) {
			if (!*++text)
				return false;
			nova_text_add_bytes(word, text, 1);
		} else {
			nova_text_add_bytes(word, text, 1);
		}
	}
	*at = text;
	return !quote;
}

void nova_wrapper_free(char **words)
{
	for (size_t i = 0; words && words[i]; i++)
		free(words[i]);
	free(words);
}

/* --- finding ----------------------------------------------------------------------------------
 */

static bool can_run(const char *path)
{
	struct stat about;

	return !stat(path, &about) && S_ISREG(about.st_mode) && !access(path, X_OK);
}

/* As execvp looks for it. */
static bool is_there(const char *name)
{
	const char *path = getenv("PATH");
	NOVA_AUTOFREE char *list = nova_strdup(path ? path : "/bin:/usr/bin");
	char *rest = list, *directory;

	if (strchr(name, '/'))
		return can_run(name);
	while ((directory = strsep(&rest, ":"))) {
		NOVA_AUTOFREE char *file = nova_format("%s/%s", *directory ? directory : ".", name);

		if (can_run(file))
			return true;
	}
	return false;
}

int nova_wrapper_parse(const char *text, char ***words, struct nova_error *error)
{
	const char *at = text;
	size_t count = 0;

	*words = nova_grow(NULL, 0, sizeof(**words));
	(*words)[0] = NULL;
	for (at += strspn(at, " \t\n"); *at; at += strspn(at, " \t\n")) {
		NOVA_AUTOTEXT struct nova_text word = {0};

		if (!read_word(&at, &word))
			return nova_error_set(error, NOVA_E_INVALID,
			                      "--worker-wrapper %s: a quote or a backslash has no "
			                      "end; quote as in a shell",
			                      text);
		*words = nova_realloc(*words, (count + 2) * sizeof(**words));
		(*words)[count++] = nova_strdup(nova_text_get(&word));
		(*words)[count] = NULL;
	}
	if (!count || !*(*words)[0])
		return nova_error_set(error, NOVA_E_INVALID,
		                      "--worker-wrapper wants a command, for example "
		                      "'gdb --args'");
	if (!is_there((*words)[0]))
		return nova_error_set(error, NOVA_E_UNAVAILABLE,
		                      "cannot start workers under %s: it is not installed, not "
		                      "in PATH, or not executable",
		                      (*words)[0]);
	return 0;
}

/* --- becoming it ------------------------------------------------------------------------------
 */

/*
 * This program by a path that means the same to whoever opens it (/proc/self/exe would be the
 * wrapper): its name, or, if another version has taken that, what the parent runs.
 */
static char *own_path(void)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	path[length > 0 ? length : 0] = 0;
	return length > 0 && can_run(path) ? nova_strdup(path)
	                                   : nova_format("/proc/%d/exe", (int)getppid());
}

/* Ctrl-C is for the debugger, not for the run. Ctrl-Z would stop what nobody could continue. */
static void take_terminal(void)
{
	sigset_t output;

	if (!isatty(STDIN_FILENO))
		return;
	sigemptyset(&output);
	sigaddset(&output, SIGTTOU);
	sigprocmask(SIG_BLOCK, &output, NULL);
	tcsetpgrp(STDIN_FILENO, getpid());
	sigprocmask(SIG_UNBLOCK, &output, NULL);
	signal(SIGTSTP, SIG_IGN);
}

int nova_worker_wrapped(char *const *wrapper)
{
	struct pollfd parent = {.fd = NOVA_WIRE_FD};
	size_t count = 0;
	char **argv;

	/* Survives exec: a kill -9 of the run must not leave a debugger behind. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (poll(&parent, 1, 0) > 0 && parent.revents & (POLLHUP | POLLERR))
		return 4; /* it had died before */
	while (wrapper[count])
		count++;
	argv = nova_alloc((count + 3) * sizeof(*argv));
	memcpy(argv, wrapper, count * sizeof(*argv));
	argv[count] = own_path();
	argv[count + 1] = nova_strdup("worker");
	take_terminal();
	execvp(argv[0], argv);
	fprintf(stderr, "novacore: cannot run %s: %s\n", argv[0], strerror(errno));
	return 3;
}
