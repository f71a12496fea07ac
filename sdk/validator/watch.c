/* SPDX-License-Identifier: MIT */
/*
 * Checks of what a plugin leaves of the process that it is used in: each looks at one aspect, lets
 * the plugin be loaded and do its work, and looks again. Whether the work goes well is for others.
 */
#include "inside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define SETTLE_MS   2000 /* for threads and descriptors that are on their way out */
#define LEAK_CYCLES 50
#define LEAK_ROUNDS 3
#define LEAK_BYTES  48 /* per cycle; the test host's own table grows by less */
#define SHOWN       3  /* of what was found, in a sentence */

/* The work, without a verdict on it. `times`: what a library does once shows as no growth. */
static void tours(struct validator *v, int times)
{
	struct nova_testhost *host;

	if (!loaded(v))
		return;
	v->quiet++;
	for (int i = 0; i < times; i++) {
		if (v->plugin->kind == NOVA_KIND_BENCHMARK ||
		    v->plugin->kind == NOVA_KIND_HYPERVISOR) {
			host = open_host(v, NULL);
			if (host)
				close_host(v, host);
		}
		tour(v);
	}
	v->quiet--;
}

/* --- lists of numbers: threads, descriptors ----------------------------------------------- */

#define LIMIT 4096

struct list {
	int items[LIMIT], count;
};

/* The numbers that are the names in a folder of /proc/self, without the one of looking. */
static int read_list(const char *folder, struct list *list)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;

	list->count = 0;
	if (!directory)
		return 0;
	while ((entry = readdir(directory)) && list->count < LIMIT)
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(directory))
			list->items[list->count++] = atoi(entry->d_name);
	closedir(directory);
	return 1;
}

static int has(const struct list *list, int item)
{
	for (int i = 0; i < list->count; i++)
		if (list->items[i] == item)
			return 1;
	return 0;
}

static int count_new(const struct list *before, const struct list *after)
{
	int count = 0;

	for (int i = 0; i < after->count; i++)
		count += !has(before, after->items[i]);
	return count;
}

/* What is in the folder and was not before, once it has settled. */
static void settle(const char *folder, const struct list *before, struct list *after)
{
	int64_t until = now_ms() + SETTLE_MS;

	while (read_list(folder, after) && count_new(before, after) > 0 && now_ms() < until)
		sleep_ms(50);
}

static void describe_thread(int thread, char *text, size_t room)
{
	char path[64], name[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", thread);
	file = fopen(path, "re");
	if (file) {
		if (!fgets(name, sizeof(name), file))
			name[0] = 0;
		fclose(file);
	}
	name[strcspn(name, "\n")] = 0;
	snprintf(text, room, "`%s`", name);
}

static void describe_descriptor(int fd, char *text, size_t room)
{
	char path[64], target[128];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = readlink(path, target, sizeof(target) - 1);
	target[length > 0 ? length : 0] = 0;
	snprintf(text, room, "%s", target);
}

/* What is in `after` and not in `before`, as a list of at most SHOWN descriptions. */
static void describe_new(const struct list *before, const struct list *after,
                         void (*describe)(int item, char *text, size_t room), char *found,
                         size_t room)
{
	char text[160];
	int shown = 0;

	found[0] = 0;
	for (int i = 0; i < after->count && shown < SHOWN; i++) {
		if (has(before, after->items[i]))
			continue;
		describe(after->items[i], text, sizeof(text));
		snprintf(found + strlen(found), room - strlen(found), "%s%s", shown++ ? ", " : "",
		         text);
	}
}

/* Where there are client libraries, what stays after the first life and does not grow is theirs,
 * and only said. */
static void watch_list(struct validator *v, const char *folder, const char *what,
                       const char *advice, void (*describe)(int item, char *text, size_t room))
{
	struct list before, first, after;
	char found[SHOWN * 160];
	int count;

	if (!read_list(folder, &before)) {
		untried(v, "%s cannot be read", folder);
		return;
	}
	tours(v, 1);
	if (!v->plugin)
		return;
	settle(folder, &before, &first);
	count = count_new(&before, &first);
	describe_new(&before, &first, describe, found, sizeof(found));
	if (count && v->libraries)
		note(v, "%d %s%s after the first life, such as %s", count, what,
		     count == 1 ? " stays" : "s stay", found);
	else if (count)
		fail(v, "%d %s%s left after destroy, such as %s; %s", count, what,
		     count == 1 ? " is" : "s are", found, advice);
	if (count && !v->libraries)
		return;
	tours(v, 2);
	settle(folder, &first, &after);
	count = count_new(&first, &after);
	describe_new(&first, &after, describe, found, sizeof(found));
	if (count)
		fail(v, "%d more %s%s left after each two lives, such as %s; %s", count, what,
		     count == 1 ? " is" : "s are", found, advice);
}

static void check_threads(struct validator *v)
{
	watch_list(v, "/proc/self/task", "thread",
	           "a plugin starts none; what a client library starts must end with destroy",
	           describe_thread);
}

static void check_descriptors(struct validator *v)
{
	watch_list(v, "/proc/self/fd", "descriptor", "close in destroy what was opened",
	           describe_descriptor);
}

/* --- output ------------------------------------------------------------------------------- */

/* What was written to a descriptor that is a file since `from`, without the test host's own lines.
 */
static void judge_output(struct validator *v, int fd, off_t from, const char *name)
{
	char bytes[4096], *line = bytes, *end;
	ssize_t count = pread(fd, bytes, sizeof(bytes) - 1, from);

	bytes[count > 0 ? count : 0] = 0;
	for (; *line; line = end) {
		end = line + strcspn(line, "\n");
		if (*end)
			*end++ = 0;
		if (*line && strncmp(line, "testhost: ", 10) != 0) {
			fail(v, "it wrote \"%.80s\" to %s; use host->log", line, name);
			return;
		}
	}
}

static void check_output(struct validator *v)
{
	static const char *const names[] = {"", "stdout", "stderr"};
	struct stat status;
	off_t from[3];

	for (int fd = 1; fd <= 2; fd++) {
		if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
			untried(v, "%s is no file, so what is written there cannot be seen",
			        names[fd]);
			return;
		}
		from[fd] = status.st_size;
	}
	tours(v, 1);
	fflush(NULL);
	for (int fd = 1; fd <= 2 && v->plugin; fd++)
		judge_output(v, fd, from[fd], names[fd]);
}

/* --- memory ------------------------------------------------------------------------------- */

static size_t used_bytes(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static void cycles(struct validator *v, int count)
{
	struct nova_testhost *host;

	for (int i = 0; i < count; i++) {
		host = open_host(v, NULL);
		if (!host)
			return;
		close_host(v, host);
	}
}

/* What each of LEAK_CYCLES lives leaves. */
static size_t left_by_cycles(struct validator *v)
{
	size_t before = used_bytes(), after;

	cycles(v, LEAK_CYCLES);
	after = used_bytes();
	return after > before ? (after - before) / LEAK_CYCLES : 0;
}

/* A leak is there every time; what a library allocates once, or a thread just now, is not. */
static void check_memory(struct validator *v)
{
	size_t least = SIZE_MAX, bytes;

	if (!usable(v))
		return;
	if (used_bytes() == 0) {
		untried(v, "this process has another allocator, which does not say what is in use");
		return;
	}
	v->quiet++;
	cycles(v, LEAK_CYCLES / 2);
	for (int round = 0; round < LEAK_ROUNDS; round++) {
		bytes = left_by_cycles(v);
		least = bytes < least ? bytes : least;
	}
	v->quiet--;
	if (least > LEAK_BYTES)
		fail(v,
		     "each create and destroy leaves %zu bytes of memory behind; free in destroy "
		     "what create has allocated",
		     least);
}

/* --- locale, signals ---------------------------------------------------------------------- */

static void check_locale(struct validator *v)
{
	char before[512];
	locale_t thread = uselocale((locale_t)0);
	const char *after;

	snprintf(before, sizeof(before), "%s", setlocale(LC_ALL, NULL));
	tours(v, 1);
	after = setlocale(LC_ALL, NULL);
	if (strcmp(before, after) != 0)
		fail(v,
		     "the locale was %.60s, and is %.60s: other plugins and the host now read "
		     "and write numbers in another way",
		     before, after);
	if (uselocale((locale_t)0) != thread)
		fail(v, "the calling thread's locale was changed by uselocale");
}

static void check_signals(struct validator *v)
{
	struct sigaction before[NSIG], after;
	sigset_t mask, now;

	sigprocmask(SIG_SETMASK, NULL, &mask);
	for (int i = 1; i < NSIG; i++)
		if (sigaction(i, NULL, &before[i]) != 0)
			before[i].sa_handler = SIG_DFL;
	tours(v, 1);
	sigprocmask(SIG_SETMASK, NULL, &now);
	for (int i = 1; i < NSIG; i++) {
		if (sigismember(&mask, i) != sigismember(&now, i))
			fail(v, "SIG%s was %s and stayed so",
			     sigabbrev_np(i) ? sigabbrev_np(i) : "RT",
			     sigismember(&now, i) ? "blocked" : "unblocked");
		if (sigaction(i, NULL, &after) != 0)
			continue;
		if (after.sa_handler != before[i].sa_handler)
			fail(v, "the handler of SIG%s was changed: signals are the host's",
			     sigabbrev_np(i) ? sigabbrev_np(i) : "RT");
	}
}

/* --- surroundings ------------------------------------------------------------------------- */

static mode_t current_umask(void)
{
	mode_t mask = umask(077);

	umask(mask);
	return mask;
}

/* One text of the whole environment, sorted as it is. Heap. */
static char *copy_environment(void)
{
	size_t bytes = 1, at = 0;
	char *text;

	for (char **entry = environ; entry && *entry; entry++)
		bytes += strlen(*entry) + 1;
	text = calloc(1, bytes);
	for (char **entry = environ; text && entry && *entry; entry++)
		at += (size_t)snprintf(text + at, bytes - at, "%s\n", *entry);
	return text;
}

static void judge_environment(struct validator *v, const char *before)
{
	char *after = copy_environment(), *line, *rest = NULL;

	if (!before || !after || strcmp(before, after) == 0) {
		free(after);
		return;
	}
	for (line = strtok_r(after, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (!strstr(before, line)) {
			line[strcspn(line, "=")] = 0;
			fail(v,
			     "it changed the environment variable %.60s, which every process "
			     "that is started later inherits",
			     line);
			free(after);
			return;
		}
	fail(v, "it removed a variable from the environment");
	free(after);
}

static void check_surroundings(struct validator *v)
{
	static const int limits[] = {RLIMIT_NOFILE, RLIMIT_CORE,  RLIMIT_AS,   RLIMIT_STACK,
	                             RLIMIT_CPU,    RLIMIT_FSIZE, RLIMIT_NPROC};
	struct rlimit before[COUNT(limits)], after;
	char directory[4096], now[4096], *environment = copy_environment();
	mode_t mask = current_umask();

	if (!getcwd(directory, sizeof(directory)))
		directory[0] = 0;
	for (size_t i = 0; i < COUNT(limits); i++)
		getrlimit((unsigned int)limits[i], &before[i]);
	tours(v, 1);
	if (directory[0] && (!getcwd(now, sizeof(now)) || strcmp(directory, now) != 0))
		fail(v, "it changed the working directory");
	if (current_umask() != mask)
		fail(v, "it changed the umask from %04o to %04o", mask, current_umask());
	judge_environment(v, environment);
	for (size_t i = 0; i < COUNT(limits); i++)
		if (getrlimit((unsigned int)limits[i], &after) == 0 &&
		    memcmp(&before[i], &after, sizeof(after)) != 0)
			fail(v, "it changed a resource limit (%d) of the process", limits[i]);
	free(environment);
}

static void check_children(struct validator *v)
{
	int64_t until;

	tours(v, 1);
	if (!v->plugin)
		return;
	for (until = now_ms() + SETTLE_MS; now_ms() < until; sleep_ms(50))
		if (waitid(P_ALL, 0, &(siginfo_t){0}, WEXITED | WNOHANG | WNOWAIT) != 0 &&
		    errno == ECHILD)
			return;
	fail(v, "a child process is left, or has ended and nobody has waited for it; use "
	        "host->process");
}

/* How many entries, and the name of one. -1: it cannot be read. */
static int count_entries(const char *path, char *name, size_t room)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	int count = 0;

	if (!directory)
		return -1;
	while ((entry = readdir(directory))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(name, room, "%s", entry->d_name);
		count++;
	}
	closedir(directory);
	return count;
}

/* The working directory and the directory for temporary files are one, made for this check. */
static void check_files(struct validator *v)
{
	char path[4096], name[256] = "";
	int count;

	if (!getcwd(path, sizeof(path)) || count_entries(path, name, sizeof(name)) != 0) {
		untried(v, "the working directory is not empty");
		return;
	}
	tours(v, 1);
	count = v->plugin ? count_entries(path, name, sizeof(name)) : 0;
	if (count > 0)
		fail(v,
		     "it left %d file%s in the working directory or in TMPDIR, such as %.80s; "
		     "files belong into host->directory",
		     count, count == 1 ? "" : "s", name);
}

/* --- the contract of the host table, the end ---------------------------------------------- */

/* The test host says on stderr what breaks the contract, also after its end. */
static void check_contract(struct validator *v)
{
	char bytes[4096], *line = bytes, *end;
	struct stat status;
	ssize_t count;
	int said = 0;

	if (fstat(2, &status) != 0 || !S_ISREG(status.st_mode)) {
		untried(v, "stderr is no file, so complaints cannot be seen");
		return;
	}
	tours(v, 1);
	sleep_ms(200); /* whoever says something late */
	fflush(NULL);
	count = v->plugin ? pread(2, bytes, sizeof(bytes) - 1, status.st_size) : 0;
	bytes[count > 0 ? count : 0] = 0;
	for (; *line && said < 5; line = end) {
		end = line + strcspn(line, "\n");
		if (*end)
			*end++ = 0;
		if (strncmp(line, "testhost: ", 10) == 0) {
			fail(v, "%.300s", line + 10);
			said++;
		}
	}
}

static void check_end(struct validator *v)
{
	tours(v, 1);
}

#define ALL   NOVA_CHECK_OF_ALL
#define LIVES (NOVA_CHECK_OF(NOVA_KIND_BENCHMARK) | NOVA_CHECK_OF(NOVA_KIND_HYPERVISOR))
#define NEEDS "!probe !create ?work"

const struct nova_validator_check watch_checks[] = {
        {"output", ALL, 0, 8, NEEDS, "it writes nothing to stdout and stderr", check_output},
        {"threads", ALL, 0, 24, NEEDS, "it leaves no thread", check_threads},
        {"descriptors", ALL, 0, 24, NEEDS, "it leaves no descriptor open", check_descriptors},
        {"memory", LIVES, 0, 1, NEEDS, "create and destroy leave no memory", check_memory},
        {"locale", ALL, 0, 8, NEEDS, "it does not change the locale", check_locale},
        {"signals", ALL, 0, 8, NEEDS, "it changes no signal's handler or mask", check_signals},
        {"surroundings", ALL, 0, 8, NEEDS,
         "it changes neither working directory nor umask, environment and limits",
         check_surroundings},
        {"children", ALL, 0, 8, NEEDS, "it leaves no child process", check_children},
        {"files", ALL, 0, 8, NEEDS, "it leaves no files outside of the host's directories",
         check_files},
        {"end", ALL, NOVA_CHECK_ENDS, 8, NEEDS, "the process can end normally after it was used",
         check_end},
        {NULL, 0, 0, 0, NULL, NULL, NULL}};

const struct nova_validator_check contract_checks[] = {
        {"contract", ALL, 0, 8, NEEDS,
         "it calls the host as agreed: each op ended once, errors with a reason", check_contract},
        {NULL, 0, 0, 0, NULL, NULL, NULL}};
