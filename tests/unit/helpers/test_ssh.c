/* SPDX-License-Identifier: MIT */
/*
 * Programs by SSH, by a small driver in a test host, against OpenSSH's server on loopback: output
 * and status as they were, keys that are held, deadlines, cancellation, servers that are not there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <novacore/helpers/ssh.h>
#include <novacore/sdk.h>
#include <novacore/testhost.h>

#define SSHD       "/usr/sbin/sshd"
#define PRIVILEGED "/run/sshd" /* where root's sshd locks its children in */
#define LONG_MS    60000

static char place[] = "/tmp/novacore-ssh-XXXXXX";
static char address[64] = "127.0.0.1";
static int made_privileged;

/* --- the server ------------------------------------------------------------------------------- */

static const char *in_place(const char *name)
{
	static char paths[4][128];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", place, name);
	return path;
}

static void put(const char *name, const char *text)
{
	FILE *file = fopen(in_place(name), "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static pid_t begin(const char *const *argv)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	return pid;
}

static void make_key(const char *name)
{
	const char *const argv[] = {"/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
	                            in_place(name),        NULL};
	int status = -1;

	assert_int_equal(waitpid(begin(argv), &status, 0) > 0, 1);
	assert_int_equal(status, 0);
}

static unsigned free_port(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&in, length), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &length), 0);
	close(fd);
	return ntohs(in.sin_port);
}

struct server {
	unsigned port;
	pid_t pid;
};

static void server_begin(struct server *server, const char *host_key)
{
	char settings[1024], *config = strdup(in_place("sshd_config"));

	snprintf(settings, sizeof(settings),
	         "ListenAddress 127.0.0.1:%u\nHostKey %s\nAuthorizedKeysFile %s/key.pub\n"
	         "StrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\n"
	         "KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n",
	         server->port, in_place(host_key), place);
	put("sshd_config", settings);
	const char *const argv[] = {SSHD, "-D", "-e", "-q", "-f", config, NULL};
	server->pid = begin(argv);
	free(config);
}

static void server_end(struct server *server)
{
	if (server->pid > 0) {
		kill(server->pid, SIGTERM);
		waitpid(server->pid, NULL, 0);
	}
	server->pid = 0;
}

/* --- the driver ------------------------------------------------------------------------------- */

struct driver {
	const struct nova_host *host;
	struct nova_calls *calls;
	struct nova_ssh *ssh;
};

struct call {
	struct nova_call base;
	struct nova_ssh_program *program;
};

static void release(struct nova_call *base)
{
	nova_ssh_free(((struct call *)base)->program);
}

static int create(const struct nova_host *host, nova_op instance, void **self)
{
	struct driver *driver = calloc(1, sizeof(*driver));
	int64_t port = 0, patience = 0;
	const char *why = "";
	int code;

	host->param_i64(instance, "port", 0, &port);
	host->param_i64(instance, "patience", 0, &patience);
	driver->host = host;
	code = nova_ssh_open(
	        &(struct nova_ssh_settings){.host = host,
	                                    .user = getpwuid(geteuid())->pw_name,
	                                    .key_file = host->param_text(instance, "key", 0),
	                                    .port = (uint32_t)port,
	                                    .patience_ns = patience},
	        &driver->ssh, &why);
	if (code != NOVA_DONE) {
		free(driver);
		return host->error(instance, code, why);
	}
	code = nova_calls_open(&(struct nova_calls_settings){.host = host,
	                                                     .instance = instance,
	                                                     .base = "https://127.0.0.1:1",
	                                                     .http = {.proxy = ""},
	                                                     .call_bytes = sizeof(struct call),
	                                                     .release = release},
	                       &driver->calls);
	if (code == NOVA_DONE) {
		*self = driver;
		return code;
	}
	nova_ssh_close(driver->ssh);
	free(driver);
	return code;
}

static void destroy(void *self)
{
	struct driver *driver = self;

	nova_calls_close(driver->calls);
	nova_ssh_close(driver->ssh);
	free(driver);
}

static int pump(void *self, int64_t until_ns)
{
	return nova_calls_pump(((struct driver *)self)->calls, until_ns);
}

static int wake(void *self)
{
	return nova_calls_wake(((struct driver *)self)->calls);
}

static int cancel(void *self, nova_op op)
{
	return nova_calls_cancel(((struct driver *)self)->calls, op);
}

static int run(struct driver *driver, nova_op op, struct nova_ssh_program *program)
{
	struct call *call = (struct call *)nova_call_new(driver->calls, op);

	if (!call) {
		nova_ssh_free(program);
		return NOVA_E_MEMORY;
	}
	call->program = program;
	if (program)
		nova_ssh_run(program, &call->base, address);
	else
		nova_call_fail(&call->base, NOVA_E_INVALID, "no such program");
	return nova_call_return(&call->base);
}

static int exec(void *self, nova_op op, const struct nova_ref *vm, const struct nova_exec *exec)
{
	struct driver *driver = self;

	return run(driver, op, nova_ssh_program(driver->ssh, vm->name, exec));
}

static int exec_kill(void *self, nova_op op, const struct nova_ref *vm, int64_t pid)
{
	struct driver *driver = self;

	return run(driver, op, nova_ssh_killer(driver->ssh, vm->name, pid));
}

static int vm_delete(void *self, nova_op op, const struct nova_ref *vm)
{
	(void)op;
	nova_ssh_forget(((struct driver *)self)->ssh, vm->name);
	return NOVA_DONE;
}

static const struct nova_parameter port_parameter = {.struct_size = sizeof(port_parameter),
                                                     .name = "port",
                                                     .type = NOVA_PARAM_INTEGER,
                                                     .doc = "of the server"};
static const struct nova_parameter key_parameter = {.struct_size = sizeof(key_parameter),
                                                    .name = "key",
                                                    .type = NOVA_PARAM_PATH,
                                                    .doc = "file"};
static const struct nova_parameter patience_parameter = {.struct_size = sizeof(patience_parameter),
                                                         .name = "patience",
                                                         .type = NOVA_PARAM_DURATION,
                                                         .fallback = "20s",
                                                         .doc = "with a server"};
static const struct nova_parameter *const parameter_list[] = {&port_parameter, &key_parameter,
                                                              &patience_parameter, NULL};

static const struct nova_hypervisor ops = {.struct_size = sizeof(ops),
                                           .create = create,
                                           .destroy = destroy,
                                           .pump = pump,
                                           .wake = wake,
                                           .cancel = cancel,
                                           .vm_delete = vm_delete,
                                           .exec = exec,
                                           .exec_kill = exec_kill};

static const struct nova_plugin plugin = {.struct_size = sizeof(plugin),
                                          .kind = NOVA_KIND_HYPERVISOR,
                                          .thread_model = NOVA_THREADS_PER_INSTANCE,
                                          .name = "lab",
                                          .version = "0.1",
                                          .summary = "a driver to test SSH",
                                          .license = "MIT",
                                          .parameters = parameter_list,
                                          .ops = &ops};

/* --- the tests' tools ------------------------------------------------------------------------- */

static struct server server;
static struct nova_testhost *host;

static struct nova_testhost *new_host(const char *key, const char *patience)
{
	char port[32], file[160];
	const char *list[] = {port, file, patience, NULL};

	snprintf(port, sizeof(port), "port=%u", server.port);
	snprintf(file, sizeof(file), "key=%s", in_place(key));
	return nova_testhost_new(&plugin, list);
}

static int open_lab(void **state)
{
	(void)state;
	strcpy(address, "127.0.0.1");
	server.port = free_port();
	server_begin(&server, "host");
	host = new_host("key", NULL);
	if (!host)
		fail_msg("%s", nova_testhost_refusal());
	assert_int_equal(nova_testhost_start(host), NOVA_DONE);
	return 0;
}

static int close_lab(void **state)
{
	uint32_t complaints = host ? nova_testhost_complaints(host) : 0;

	(void)state;
	for (uint32_t i = 0; i < complaints; i++)
		print_error("contract: %s\n", nova_testhost_complaint(host, i));
	nova_testhost_free(host);
	host = NULL;
	server_end(&server);
	return complaints ? -1 : 0;
}

static const struct nova_ref vm = {
        .struct_size = sizeof(vm), .vm = 1, .name = "novacore-a", .id = "1"};

static int run_exec(const struct nova_exec *what)
{
	return nova_testhost_call(host, LONG_MS, exec, &vm, what);
}

#define ARGV(...)                                                                                  \
	(const char *const[])                                                                      \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}
#define EXEC(...)                                                                                  \
	&(struct nova_exec)                                                                        \
	{                                                                                          \
		.struct_size = sizeof(struct nova_exec), .argv = ARGV(__VA_ARGS__)                 \
	}

static void expect(int got, int wanted, const char *said)
{
	const char *error = nova_testhost_error(host);

	if (got != wanted)
		fail_msg("status %d instead of %d: %s", got, wanted, error);
	if (!strstr(error, said))
		fail_msg("'%s' is not in '%s'", said, error);
}

static void expect_bytes(uint32_t field, const char *wanted)
{
	uint64_t count = 0;
	const char *bytes = nova_testhost_bytes(host, field, &count);

	if (count != strlen(wanted) || (count && memcmp(bytes, wanted, count) != 0))
		fail_msg("\"%.*s\" instead of \"%s\"", (int)count, bytes ? bytes : "", wanted);
}

static void expect_i64(uint32_t field, int64_t wanted)
{
	int64_t value = -1;

	assert_int_equal(nova_testhost_i64(host, field, 0, &value), NOVA_DONE);
	assert_int_equal(value, wanted);
}

static void moment(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

/* --- what programs say ------------------------------------------------------------------------ */

static void gives_output_and_status_as_they_were(void **state)
{
	int64_t pid = 0;

	(void)state;
	expect(run_exec(EXEC("sh", "-c", "printf 'a\\nb'; printf c >&2; exit 7")), NOVA_DONE, "");
	expect_bytes(NOVA_FIELD_STDOUT, "a\nb");
	expect_bytes(NOVA_FIELD_STDERR, "c");
	expect_i64(NOVA_FIELD_EXIT_STATUS, 7);
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_GUEST_PID, 0, &pid), NOVA_DONE);
	assert_true(pid > 1);
	expect(run_exec(EXEC("true")), NOVA_DONE, "");
	expect_bytes(NOVA_FIELD_STDOUT, "");
	expect_i64(NOVA_FIELD_EXIT_STATUS, 0);
	expect(run_exec(EXEC("/no/such/program")), NOVA_DONE, "");
	expect_i64(NOVA_FIELD_EXIT_STATUS, 127);
}

static void passes_words_and_environment_unharmed(void **state)
{
	static const char *const env[] = {"NOVA_A=it's $HOME", "NOVA_B=", NULL};
	struct nova_exec what = {.struct_size = sizeof(what),
	                         .argv = ARGV("sh", "-c",
	                                      "printf '<%s>' \"$NOVA_A\" \"$NOVA_B\" \"$@\"", "sh",
	                                      "", "a b", "'", "\"$(echo x)\"", "`id`;&|\\\n*", "ä"),
	                         .env = env};

	(void)state;
	expect(run_exec(&what), NOVA_DONE, "");
	expect_bytes(NOVA_FIELD_STDOUT, "<it's $HOME><><><a b><'><\"$(echo x)\"><`id`;&|\\\n*><ä>");
}

static void moves_much_in_both_directions(void **state)
{
	const size_t bytes = 3u << 20;
	char *input = malloc(bytes);
	struct nova_exec what = {.struct_size = sizeof(what),
	                         .argv = ARGV("sh", "-c", "tee /dev/stderr"),
	                         .input = input,
	                         .input_bytes = bytes};
	static const uint32_t fields[] = {NOVA_FIELD_STDOUT, NOVA_FIELD_STDERR};

	(void)state;
	for (size_t i = 0; i < bytes; i++)
		input[i] = (char)(i * 2654435761u >> 13);
	expect(run_exec(&what), NOVA_DONE, "");
	expect_i64(NOVA_FIELD_EXIT_STATUS, 0);
	for (size_t i = 0; i < 2; i++) {
		uint64_t count = 0;
		const char *got = nova_testhost_bytes(host, fields[i], &count);
		assert_int_equal(count, bytes);
		assert_memory_equal(got, input, bytes);
	}
	/* one that reads none of it ends all the same */
	what.argv = ARGV("true");
	expect(run_exec(&what), NOVA_DONE, "");
	free(input);
}

/* --- its end ---------------------------------------------------------------------------------- */

static void says_which_signal_ended_it(void **state)
{
	(void)state;
	expect(run_exec(EXEC("sh", "-c", "kill -KILL $$")), NOVA_DONE, "");
	expect_i64(NOVA_FIELD_SIGNAL, SIGKILL);
}

/* A file that the program makes with its number, so that the test knows that it runs. */
static pid_t running(const char *name)
{
	char text[32] = "";

	for (int i = 0; i < 1000; i++) {
		FILE *file = fopen(in_place(name), "r");
		if (file) {
			char *line = fgets(text, sizeof(text), file);
			fclose(file);
			if (line && strchr(text, '\n'))
				return (pid_t)atoi(text);
		}
		moment();
	}
	fail_msg("the program has not begun");
	return 0;
}

static void is_gone(pid_t pid)
{
	for (int i = 0; i < 1000; i++) {
		if (kill(pid, 0) != 0 && errno == ESRCH)
			return;
		moment();
	}
	kill(pid, SIGKILL);
	fail_msg("process %d still runs", (int)pid);
}

struct actor {
	nova_op op;
	const char *file;
};

static void *cancel_when_running(void *context)
{
	struct actor *actor = context;

	running(actor->file);
	nova_testhost_cancel(host, actor->op);
	return NULL;
}

static void kills_what_is_cancelled(void **state)
{
	char script[256];
	struct actor actor = {.file = "cancelled"};
	pthread_t thread;

	(void)state;
	snprintf(script, sizeof(script), "echo $$ >%s; exec sleep 600", in_place(actor.file));
	actor.op = nova_testhost_begin(host, LONG_MS);
	pthread_create(&thread, NULL, cancel_when_running, &actor);
	int code = nova_testhost_end(
	        host, ops.exec(nova_testhost_self(host), actor.op, &vm, EXEC("sh", "-c", script)));
	pthread_join(thread, NULL);
	expect(code, NOVA_E_CANCELLED, "");
	is_gone(running(actor.file));
}

static void *kill_when_running(void *context)
{
	kill(running(((struct actor *)context)->file), SIGTERM);
	return NULL;
}

static void hears_of_a_kill_from_elsewhere(void **state)
{
	char script[256];
	struct actor actor = {.file = "killed"};
	pthread_t thread;

	(void)state;
	snprintf(script, sizeof(script), "echo $$ >%s; exec sleep 600", in_place(actor.file));
	pthread_create(&thread, NULL, kill_when_running, &actor);
	expect(run_exec(EXEC("sh", "-c", script)), NOVA_DONE, "");
	pthread_join(thread, NULL);
	expect_i64(NOVA_FIELD_SIGNAL, SIGTERM);
}

static void kills_by_number(void **state)
{
	static const char *const sleeper[] = {"/bin/sleep", "600", NULL};
	pid_t pid = begin(sleeper);
	int status = 0;

	(void)state;
	expect(nova_testhost_call(host, LONG_MS, exec_kill, &vm, (int64_t)pid), NOVA_DONE, "");
	expect_i64(NOVA_FIELD_EXIT_STATUS, 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	/* a group, or everything, is no program */
	expect(nova_testhost_call(host, LONG_MS, exec_kill, &vm, INT64_C(-1)), NOVA_E_INVALID, "");
	expect(nova_testhost_call(host, LONG_MS, exec_kill, &vm, INT64_C(0)), NOVA_E_INVALID, "");
}

static void ends_at_the_deadline(void **state)
{
	char script[256];

	(void)state;
	snprintf(script, sizeof(script), "echo $$ >%s; exec sleep 600", in_place("late"));
	assert_int_equal(nova_testhost_call(host, 5000, exec, &vm, EXEC("sh", "-c", script)),
	                 NOVA_E_TIMEOUT);
	is_gone(running("late"));
}

static void says_when_the_connection_breaks(void **state)
{
	(void)state;
	/* the shell's parent is the server's process of this connection */
	expect(run_exec(EXEC("sh", "-c", "kill -KILL $PPID; sleep 600 >/dev/null 2>&1 & kill $!")),
	       NOVA_E_UNKNOWN, "127.0.0.1");
}

/* --- who is there ----------------------------------------------------------------------------- */

static void holds_the_first_host_key_until_it_is_told_to_forget(void **state)
{
	struct nova_ref other = vm;

	(void)state;
	other.name = "novacore-b";
	expect(run_exec(EXEC("true")), NOVA_DONE, "");
	server_end(&server);
	server_begin(&server, "other");
	expect(run_exec(EXEC("echo", "reached")), NOVA_E_PERMISSION, "host key");
	expect_bytes(NOVA_FIELD_STDOUT, "");
	/* another VM's key is another matter */
	expect(nova_testhost_call(host, LONG_MS, exec, &other, EXEC("true")), NOVA_DONE, "");
	expect(nova_testhost_call(host, LONG_MS, vm_delete, &vm), NOVA_DONE, "");
	expect(run_exec(EXEC("true")), NOVA_DONE, "");
}

static void waits_for_a_server_that_is_not_there_yet(void **state)
{
	pid_t pid;

	(void)state;
	server_end(&server);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sleep(2);
		server_begin(&server, "host");
		waitpid(server.pid, NULL, 0);
		_exit(0);
	}
	expect(run_exec(EXEC("echo", "here")), NOVA_DONE, "");
	expect_bytes(NOVA_FIELD_STDOUT, "here\n");
	kill(pid, SIGKILL); /* the server dies with it */
	waitpid(pid, NULL, 0);
}

static void gives_up_on_one_that_does_not_come(void **state)
{
	(void)state;
	nova_testhost_free(host);
	server_end(&server);
	host = new_host("key", "patience=1s");
	assert_int_equal(nova_testhost_start(host), NOVA_DONE);
	expect(run_exec(EXEC("true")), NOVA_E_UNAVAILABLE, "no connection");
}

static void says_that_the_key_was_refused(void **state)
{
	(void)state;
	nova_testhost_free(host);
	host = new_host("stranger", NULL);
	assert_int_equal(nova_testhost_start(host), NOVA_DONE);
	expect(run_exec(EXEC("true")), NOVA_E_PERMISSION, "the key was refused");
}

static void refuses_a_name_because_asking_for_it_would_block(void **state)
{
	(void)state;
	strcpy(address, "localhost");
	expect(run_exec(EXEC("true")), NOVA_E_INVALID, "localhost is no IP address");
	strcpy(address, "-oProxyCommand=x");
	expect(run_exec(EXEC("true")), NOVA_E_INVALID, "is no IP address");
}

/* --- keys that cannot be used ----------------------------------------------------------------- */

static void refuses_keys_that_are_not_as_they_must_be(void **state)
{
	static const struct {
		const char *file, *says;
		int code;
	} wrong[] = {{"nothing", "cannot be found", NOVA_E_NOT_FOUND},
	             {"open", "chmod 600", NOVA_E_PERMISSION},
	             {"garbage", "no private key", NOVA_E_INVALID}};

	(void)state;
	put("open", "x");
	put("garbage", "-----BEGIN OPENSSH PRIVATE KEY-----\ns3cret\n");
	chmod(in_place("open"), 0644);
	chmod(in_place("garbage"), 0600);
	nova_testhost_free(host);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		host = new_host(wrong[i].file, NULL);
		expect(nova_testhost_start(host), wrong[i].code, wrong[i].says);
		assert_null(strstr(nova_testhost_error(host), "s3cret"));
		nova_testhost_free(host);
	}
	host = NULL;
}

/* --- all of them ------------------------------------------------------------------------------ */

static int make_place(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN); /* as in novacore's workers */
	if (!mkdtemp(place))
		return -1;
	if (geteuid() == 0 && mkdir(PRIVILEGED, 0755) == 0)
		made_privileged = 1;
	make_key("key");
	make_key("stranger");
	make_key("host");
	make_key("other");
	return 0;
}

static int remove_place(void **state)
{
	const char *const argv[] = {"/bin/rm", "-r", "-f", place, NULL};

	(void)state;
	if (made_privileged)
		rmdir(PRIVILEGED);
	return waitpid(begin(argv), NULL, 0) > 0 ? 0 : -1;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_lab, close_lab)

/* --- which address ---------------------------------------------------------------------------- */

static void assert_chosen(const char *const *addresses, const char *wanted)
{
	char best[NOVA_SSH_ADDRESS_ROOM] = "";

	for (; *addresses; addresses++)
		nova_ssh_consider(best, *addresses);
	assert_string_equal(best, wanted);
}

static void chooses_an_address_that_leads_somewhere(void **state)
{
	(void)state;
	assert_chosen(ARGV("fe80::1", "2001:db8::1", "192.0.2.7", "192.0.2.8"), "192.0.2.7");
	assert_chosen(ARGV("FE80::1", "2001:db8::1", "2001:db8::2"), "2001:db8::1");
	assert_chosen(ARGV("169.254.1.1", "fe80::1"), "");
	assert_chosen(ARGV("", "192.0.2.7; reboot", "a.example", "1.2.3", "::ffff:192.0.2.1%eth0"),
	              "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(chooses_an_address_that_leads_somewhere),
	        TEST(gives_output_and_status_as_they_were),
	        TEST(passes_words_and_environment_unharmed),
	        TEST(moves_much_in_both_directions),
	        TEST(says_which_signal_ended_it),
	        TEST(kills_what_is_cancelled),
	        TEST(hears_of_a_kill_from_elsewhere),
	        TEST(kills_by_number),
	        TEST(ends_at_the_deadline),
	        TEST(says_when_the_connection_breaks),
	        TEST(holds_the_first_host_key_until_it_is_told_to_forget),
	        TEST(waits_for_a_server_that_is_not_there_yet),
	        TEST(gives_up_on_one_that_does_not_come),
	        TEST(says_that_the_key_was_refused),
	        TEST(refuses_a_name_because_asking_for_it_would_block),
	        TEST(refuses_keys_that_are_not_as_they_must_be),
	};

	const struct passwd *user = getpwuid(geteuid());

	if (!user || strstr(user->pw_shell, "nologin") || strstr(user->pw_shell, "false")) {
		printf("skipped: this user has no shell to log in to\n");
		return 77;
	}
	if (access(SSHD, X_OK) != 0 || access("/usr/bin/ssh-keygen", X_OK) != 0) {
		printf("skipped: there is no %s or no ssh-keygen\n", SSHD);
		return 77;
	}
	return cmocka_run_group_tests(tests, make_place, remove_place);
}
