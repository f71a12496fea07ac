/* SPDX-License-Identifier: MIT */
/*
 * Somebody exchanges a plugin for another while it is being checked and loaded, again and again. A
 * load ends with the file that was checked, or with a refusal; never with the other. Where the
 * attacker owns a directory on the way, nothing is loaded at all.
 */
#include "scratch.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define ROUNDS 300

/* `good` and the other, which crashes in its constructor: whoever loads it dies of a signal. */
struct files {
	struct scratch *scratch;
	char *so, *manifest, *good, *bad;
	struct nova_manifest *found;
	struct nova_registry *registry;
};

static void copy(const char *from, const char *to)
{
	size_t bytes;
	NOVA_AUTOFREE char *data = slurp(from, &bytes);

	put(to, data, bytes);
}

static int set_up_files(void **state)
{
	struct files *files = nova_alloc(sizeof(*files));
	const struct nova_trust trust = own_trust();

	assert_int_equal(set_up((void **)&files->scratch), 0);
	files->so = in(files->scratch, "good.so");
	files->manifest = in(files->scratch, "good.manifest");
	files->good = in(files->scratch, "good");
	files->bad = in(files->scratch, "bad");
	copy(files->so, files->good);
	copy(HOSTILE_ROOT "/1/benchmark/constructor-crash.so", files->bad);
	files->registry = scan(&trust, files->scratch->root, NULL);
	assert_int_equal(files->registry->plugin_count, 1);
	files->found = files->registry->plugins[0];
	*state = files;
	return 0;
}

static int tear_down_files(void **state)
{
	struct files *files = *state;
	void *scratch = files->scratch;

	nova_registry_free(files->registry);
	free(files->so);
	free(files->manifest);
	free(files->good);
	free(files->bad);
	free(files);
	return tear_down(&scratch);
}

/* What became of a load in a process of its own. */
enum outcome { GOOD = 0, REFUSED = 1, BAD = 2 };

static enum outcome load_once(const struct files *files, const struct nova_trust *trust,
                              void (*between)(void *), void *context, enum nova_refusal_reason *why)
{
	static const struct nova_host host = {.struct_size = sizeof(host)};
	enum nova_refusal_reason reason = 0;
	const struct nova_plugin *plugin;
	int ends[2], status;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		struct nova_error error = {0};
		signal(SIGSEGV, SIG_DFL);
		int code = nova_plugin_load_trusted(trust, files->found->path, files->found->kind,
		                                    files->found->name, files->found->sha256, &host,
		                                    &plugin, between, context, &reason, &error);
		if (write(ends[1], &reason, sizeof(reason)) != (ssize_t)sizeof(reason))
			_exit(3);
		_exit(code ? REFUSED : strcmp(plugin->version, "1.0.0") ? BAD : GOOD);
	}
	close(ends[1]);
	if (read(ends[0], why, sizeof(*why)) != (ssize_t)sizeof(*why))
		*why = 0;
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? (enum outcome)WEXITSTATUS(status) : BAD;
}

/* Puts the one and the other in its place, as fast as it can, until it is killed. */
static pid_t start_exchanging(const struct files *files)
{
	NOVA_AUTOFREE char *next = in(files->scratch, "next");
	pid_t child = fork();

	assert_true(child >= 0);
	if (child)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned int i = 0;; i++) {
		unlink(next); /* rename leaves it where both names mean the same file */
		if (link(i % 2 ? files->good : files->bad, next) || rename(next, files->so))
			_exit(1);
	}
}

static void stop(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* The attacker owns a directory on the way and may do there what they like. */
static void loads_nothing_below_a_directory_of_somebody_else(void **state)
{
	const struct files *files = *state;
	struct nova_trust trust = own_trust();
	unsigned int counts[3] = {0};
	enum nova_refusal_reason why;

	if (geteuid() == 0)
		assert_int_equal(chown(files->scratch->root, 12345, 12345), 0);
	else
		trust.user++; /* who runs is somebody else than the owner */
	pid_t attacker = start_exchanging(files);
	for (int i = 0; i < ROUNDS; i++) {
		counts[load_once(files, &trust, NULL, NULL, &why)]++;
		assert_int_equal(why, NOVA_REFUSED_OWNER);
	}
	stop(attacker);
	print_message("good %u, refused %u\n", counts[GOOD], counts[REFUSED]);
	assert_int_equal(counts[REFUSED], ROUNDS);
}

/* Before the check ends. Who may write there could also win the rest of the race, which the next
 * test is about; so here the exchange ends when the check does. */
static pid_t exchanging;

static bool is_stopped(pid_t child)
{
	NOVA_AUTOFREE char *path = nova_format("/proc/%d/stat", (int)child);
	NOVA_AUTOFREE char *text = nova_file_read(path, 4096, NULL, NULL);

	return text && strstr(text, ") T ");
}

static void end_exchange(void *context)
{
	struct files *files = context;
	NOVA_AUTOFREE char *last = in(files->scratch, "last");

	kill(exchanging, SIGSTOP);
	for (int i = 0; !is_stopped(exchanging); i++) {
		if (i == 100000)
			_exit(3);
		usleep(100);
	}
	/* as root-only directories are: what was checked is what lies there */
	unlink(last);
	if (link(files->good, last) || rename(last, files->so))
		_exit(3);
}

static void loads_only_what_it_has_checked(void **state)
{
	struct files *files = *state;
	const struct nova_trust trust = own_trust();
	unsigned int counts[3] = {0};
	enum nova_refusal_reason why;

	exchanging = start_exchanging(files);
	for (int i = 0; i < ROUNDS; i++) {
		enum outcome outcome = load_once(files, &trust, end_exchange, files, &why);
		assert_in_range(outcome, GOOD, REFUSED);
		if (outcome == REFUSED)
			assert_int_equal(why, NOVA_REFUSED_HASH);
		counts[outcome]++;
		kill(exchanging, SIGCONT);
	}
	kill(exchanging, SIGCONT);
	stop(exchanging);
	print_message("good %u, refused %u\n", counts[GOOD], counts[REFUSED]);
	assert_true(counts[REFUSED] > 0); /* or nothing was exchanged */
}

static void put_another(void *context)
{
	const struct files *files = context;
	NOVA_AUTOFREE char *twin = nova_format("%s.twin", files->so);

	copy(files->good, twin); /* another file, if of the same bytes: that it is one is seen */
	if (rename(twin, files->so))
		_exit(3);
}

static void change_in_place(void *context)
{
	const struct files *files = context;
	int fd = open(files->so, O_WRONLY | O_APPEND | O_CLOEXEC);

	if (fd < 0 || write(fd, "x", 1) != 1)
		_exit(3);
	close(fd);
}

static void sees_that_another_file_was_opened(void **state)
{
	struct files *files = *state;
	const struct nova_trust trust = own_trust();
	enum nova_refusal_reason why;

	assert_int_equal(load_once(files, &trust, NULL, NULL, &why), GOOD);
	assert_int_equal(load_once(files, &trust, put_another, files, &why), REFUSED);
	assert_string_equal(nova_refusal_code(why), "hash");
	assert_int_equal(load_once(files, &trust, NULL, NULL, &why), GOOD);
	assert_int_equal(load_once(files, &trust, change_in_place, files, &why), REFUSED);
	assert_string_equal(nova_refusal_code(why), "hash");
}

#define FILES(test) cmocka_unit_test_setup_teardown(test, set_up_files, tear_down_files)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        FILES(loads_nothing_below_a_directory_of_somebody_else),
	        FILES(loads_only_what_it_has_checked),
	        FILES(sees_that_another_file_was_opened),
	};

	return cmocka_run_group_tests_name("races", tests, NULL, NULL);
}
