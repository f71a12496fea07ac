/* SPDX-License-Identifier: MIT */
/*
 * One program by SSH: a chain of stages, each of which asks libssh, without waiting, whether it is
 * through. Between two questions the call makes a pause, short where something has just happened.
 */
#include "calls.h"

#include <novacore/helpers/ssh.h>

#include <arpa/inet.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define LOOK_NS      100000000LL /* between two questions, where nothing came before */
#define ATTEMPT_NS   (10 * SECOND_NS)
#define AGAIN_NS     500000000LL /* until a server that was not there is asked again */
#define PATIENCE_NS  (60 * SECOND_NS)
#define CHUNK_BYTES  32768u
#define FIND_NS      250000000LL /* until a VM without an address is asked for it again */
#define ROUNDS       32          /* chunks in one go, so that other calls get their turn */
#define PID_BYTES    64u
#define PID_MARK     "novacore-pid "
#define DIGEST_BYTES 32u

struct known {
	struct known *next;
	unsigned char digest[DIGEST_BYTES];
	char vm[];
};

struct nova_ssh {
	const struct nova_host *host;
	char *user;
	ssh_key key;
	unsigned port;
	int64_t patience_ns;
	struct known *known;
};

enum stage { CONNECT, TRUST, ENTER, OPEN, START, RUN };

struct nova_ssh_program {
	struct nova_ssh *ssh;
	struct nova_call *call;
	char *vm, *address;
	void (*find)(struct nova_call *call);
	struct nova_text command, input;
	size_t input_done;
	int input_ended;

	enum stage stage;
	ssh_session session;
	ssh_channel channel;
	struct ssh_channel_callbacks_struct callbacks;
	int64_t give_up_ns, attempt_ns;

	char first[PID_BYTES]; /* what has come of the line with the process number */
	size_t first_bytes;
	long long pid;
	ssh_channel killer; /* another program on the same connection */
	int killer_open, killer_runs;
	int exited, exit_status, signal;
};

/* --- the instance ----------------------------------------------------------------------------- */

static int read_key(const char *path, ssh_key *key, const char **why)
{
	struct stat about;

	if (!path || stat(path, &about) != 0) {
		*why = "the file with the SSH key cannot be found";
		return NOVA_E_NOT_FOUND;
	}
	if (!S_ISREG(about.st_mode) || (about.st_mode & 077) != 0) {
		*why = "the SSH key can be read by others; run: chmod 600 on its file";
		return NOVA_E_PERMISSION;
	}
	/* "": an encrypted key is refused, and nobody is asked for a passphrase */
	if (ssh_pki_import_privkey_file(path, "", NULL, NULL, key) != SSH_OK) {
		*why = "the file with the SSH key holds no private key without a passphrase";
		return NOVA_E_INVALID;
	}
	return NOVA_DONE;
}

int nova_ssh_open(const struct nova_ssh_settings *settings, struct nova_ssh **out, const char **why)
{
	struct nova_ssh *ssh = calloc(1, sizeof(*ssh));
	int code = NOVA_E_MEMORY;

	*out = NULL;
	*why = "out of memory";
	if (!ssh)
		return code;
	ssh->host = settings->host;
	ssh->port = settings->port ? settings->port : 22;
	ssh->patience_ns = settings->patience_ns ? settings->patience_ns : PATIENCE_NS;
	ssh->user = strdup(settings->user ? settings->user : "root");
	if (ssh->user)
		code = read_key(settings->key_file, &ssh->key, why);
	if (code != NOVA_DONE) {
		nova_ssh_close(ssh);
		return code;
	}
	*out = ssh;
	return NOVA_DONE;
}

/* --- its parameters --------------------------------------------------------------------------- */

const struct nova_parameter nova_ssh_parameters[3] = {
        {.struct_size = sizeof(struct nova_parameter),
         .type = NOVA_PARAM_PATH,
         .name = "ssh_key",
         .doc = "private key that opens the VMs' SSH server, for programs in them"},
        {.struct_size = sizeof(struct nova_parameter),
         .type = NOVA_PARAM_TEXT,
         .name = "ssh_user",
         .doc = "who enters the VMs",
         .fallback = "root"},
        {.struct_size = sizeof(struct nova_parameter),
         .type = NOVA_PARAM_INTEGER,
         .name = "ssh_port",
         .doc = "port of the VMs' SSH server",
         .fallback = "22",
         .minimum = "1",
         .maximum = "65535"},
};

int nova_ssh_configure(const struct nova_host *host, nova_op instance, struct nova_ssh **ssh)
{
	const char *key = host->param_text(instance, "ssh_key", 0);
	const char *user = host->param_text(instance, "ssh_user", 0);
	const char *why = NULL;
	int64_t port = 22;
	int code;

	*ssh = NULL;
	if (!key || !key[0])
		return NOVA_DONE;
	host->param_i64(instance, "ssh_port", 0, &port);
	code = nova_ssh_open(&(struct nova_ssh_settings){.host = host,
	                                                 .user = user && user[0] ? user : NULL,
	                                                 .key_file = key,
	                                                 .port = (uint32_t)port},
	                     ssh, &why);
	return code == NOVA_DONE ? NOVA_DONE
	                         : host->errorf(instance, code, "ssh_key %s: %s", key, why);
}

int nova_ssh_public_key(const struct nova_ssh *ssh, char *line, size_t room)
{
	char *base64 = NULL;
	int length = -1;

	if (ssh_pki_export_pubkey_base64(ssh->key, &base64) == SSH_OK)
		length = snprintf(line, room, "%s %s", ssh_key_type_to_char(ssh_key_type(ssh->key)),
		                  base64);
	ssh_string_free_char(base64);
	return length > 0 && (size_t)length < room;
}

void nova_ssh_close(struct nova_ssh *ssh)
{
	if (!ssh)
		return;
	while (ssh->known) {
		struct known *known = ssh->known;

		ssh->known = known->next;
		free(known);
	}
	ssh_key_free(ssh->key);
	free(ssh->user);
	free(ssh);
}

void nova_ssh_forget(struct nova_ssh *ssh, const char *vm)
{
	if (!ssh)
		return;
	for (struct known **at = &ssh->known; *at; at = &(*at)->next) {
		struct known *known = *at;

		if (strcmp(known->vm, vm) != 0)
			continue;
		*at = known->next;
		free(known);
		return;
	}
}

/* NOVA_DONE: it is the VM's, as far as can be known. */
static int hold(struct nova_ssh *ssh, const char *vm, const unsigned char *digest)
{
	size_t bytes = strlen(vm) + 1;
	struct known *known;

	for (known = ssh->known; known; known = known->next)
		if (strcmp(known->vm, vm) == 0)
			return memcmp(known->digest, digest, DIGEST_BYTES) == 0 ? NOVA_DONE
			                                                        : NOVA_E_PERMISSION;
	known = malloc(sizeof(*known) + bytes);
	if (!known)
		return NOVA_E_MEMORY;
	memcpy(known->vm, vm, bytes);
	memcpy(known->digest, digest, DIGEST_BYTES);
	known->next = ssh->known;
	ssh->known = known;
	return NOVA_DONE;
}

/* --- what is to be run ------------------------------------------------------------------------ */

static void quote(struct nova_text *command, const char *word)
{
	nova_text_add(command, " '");
	for (; *word; word++) {
		if (*word == '\'')
			nova_text_add(command, "'\\''");
		else
			nova_text_append(command, word, 1);
	}
	nova_text_add(command, "'");
}

/* The shell says its process number first, and then becomes the program. */
static int write_command(struct nova_text *command, const struct nova_exec *exec)
{
	nova_text_add(command, "echo " PID_MARK "$$; exec");
	if (exec->env && exec->env[0]) {
		nova_text_add(command, " env");
		for (size_t i = 0; exec->env[i]; i++) {
			if (exec->env[i][0] == '-' || !strchr(exec->env[i], '='))
				return 0;
			quote(command, exec->env[i]);
		}
	}
	for (size_t i = 0; exec->argv[i]; i++)
		quote(command, exec->argv[i]);
	return !command->broken;
}

struct nova_ssh_program *nova_ssh_program(struct nova_ssh *ssh, const char *vm,
                                          const struct nova_exec *exec)
{
	struct nova_ssh_program *program;

	if (!exec->argv || !exec->argv[0] || !exec->argv[0][0])
		return NULL;
	program = calloc(1, sizeof(*program));
	if (!program)
		return NULL;
	program->ssh = ssh;
	program->vm = strdup(vm);
	if (exec->input_bytes)
		nova_text_append(&program->input, exec->input, (size_t)exec->input_bytes);
	if (!write_command(&program->command, exec) || program->input.broken || !program->vm) {
		nova_ssh_free(program);
		return NULL;
	}
	return program;
}

struct nova_ssh_program *nova_ssh_killer(struct nova_ssh *ssh, const char *vm, int64_t pid)
{
	char number[24];
	const char *const argv[] = {"kill", "-KILL", number, NULL};
	const struct nova_exec exec = {.struct_size = sizeof(exec), .argv = argv};

	if (pid <= 1) /* 0 and below are groups, 1 is the VM */
		return NULL;
	snprintf(number, sizeof(number), "%lld", (long long)pid);
	return nova_ssh_program(ssh, vm, &exec);
}

/* --- the connection --------------------------------------------------------------------------- */

static void drop(struct nova_ssh_program *program)
{
	if (program->killer)
		ssh_channel_free(program->killer);
	if (program->channel)
		ssh_channel_free(program->channel);
	program->killer = NULL;
	if (program->session) {
		ssh_silent_disconnect(program->session);
		ssh_free(program->session);
	}
	program->channel = NULL;
	program->session = NULL;
}

void nova_ssh_free(struct nova_ssh_program *program)
{
	if (!program)
		return;
	/* best effort: a server that does not know it ends the program's input and output at least
	 */
	if (program->channel && program->stage == RUN && !program->exited)
		ssh_channel_request_send_signal(program->channel, "KILL");
	drop(program);
	nova_text_free(&program->command);
	nova_text_free(&program->input);
	free(program->address);
	free(program->vm);
	free(program);
}

static void fail(struct nova_ssh_program *program, int code, const char *what)
{
	nova_call_fail(program->call, code, "cannot run a program in the VM by SSH at %s: %s",
	               program->address, what);
}

/* What libssh says, which has no secret, but perhaps what the server said. */
static void fail_as_it_says(struct nova_ssh_program *program, int code, const char *doing)
{
	char text[256];
	size_t at = 0;
	const char *words = program->session ? ssh_get_error(program->session) : "";

	at = (size_t)snprintf(text, sizeof(text), "%s: ", doing);
	for (; *words && at + 1 < sizeof(text); words++)
		text[at++] = *words >= ' ' && *words <= '~' ? *words : ' ';
	text[at] = '\0';
	fail(program, code, text);
}

static int begin(struct nova_ssh_program *program)
{
	struct nova_ssh *ssh = program->ssh;
	int no = 0;

	program->session = ssh_new();
	if (!program->session)
		return 0;
	ssh_options_set(program->session, SSH_OPTIONS_PROCESS_CONFIG, &no);
	ssh_options_set(program->session, SSH_OPTIONS_HOST, program->address);
	ssh_options_set(program->session, SSH_OPTIONS_PORT, &ssh->port);
	ssh_options_set(program->session, SSH_OPTIONS_USER, ssh->user);
	ssh_options_set(program->session, SSH_OPTIONS_KNOWNHOSTS, "/dev/null");
	ssh_options_set(program->session, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null");
	ssh_set_blocking(program->session, 0);
	program->stage = CONNECT;
	program->attempt_ns = nova_http_now_ns() + ATTEMPT_NS;
	return 1;
}

/* --- the stages: each says whether there is something to do at once --------------------------- */

enum progress { WAIT, ON, ENDED };

static void advance(struct nova_call *call, const struct nova_reply *reply);

static enum progress failed(struct nova_ssh_program *program, int code, const char *doing)
{
	fail_as_it_says(program, code, doing);
	return ENDED;
}

/* VMs answer late: as long as that may be, everything is tried again. */
static enum progress try_again(struct nova_ssh_program *program)
{
	int64_t now_ns = nova_http_now_ns();

	if (now_ns >= program->give_up_ns)
		return failed(program, NOVA_E_UNAVAILABLE, "no connection");
	drop(program);
	program->call->inside->events = 0;
	nova_call_pause(program->call, advance, AGAIN_NS);
	return ENDED; /* of this step */
}

static enum progress connect_it(struct nova_ssh_program *program)
{
	int said = ssh_connect(program->session);

	if (said == SSH_OK) {
		program->stage = TRUST;
		return ON;
	}
	return said == SSH_AGAIN && nova_http_now_ns() < program->attempt_ns ? WAIT
	                                                                     : try_again(program);
}

static enum progress trust_it(struct nova_ssh_program *program)
{
	unsigned char *digest = NULL;
	size_t bytes = 0;
	ssh_key key = NULL;
	int code = NOVA_E_PROTOCOL;

	if (ssh_get_server_publickey(program->session, &key) == SSH_OK &&
	    ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &digest, &bytes) == SSH_OK &&
	    bytes == DIGEST_BYTES)
		code = hold(program->ssh, program->vm, digest);
	ssh_clean_pubkey_hash(&digest);
	ssh_key_free(key);
	if (code == NOVA_DONE) {
		program->stage = ENTER;
		return ON;
	}
	fail(program, code,
	     code == NOVA_E_PERMISSION
	             ? "its host key is not the one that this VM had before; somebody else has its "
	               "address, or it was set back to before it had one"
	     : code == NOVA_E_MEMORY ? "out of memory"
	                             : "it has shown no host key");
	return ENDED;
}

static enum progress enter_it(struct nova_ssh_program *program)
{
	switch (ssh_userauth_publickey(program->session, NULL, program->ssh->key)) {
	case SSH_AUTH_SUCCESS: program->stage = OPEN; return ON;
	case SSH_AUTH_AGAIN: return WAIT;
	case SSH_AUTH_DENIED:
	case SSH_AUTH_PARTIAL:
		fail(program, NOVA_E_PERMISSION,
		     "the key was refused; build its disk with --ssh-key and the public half of "
		     "it");
		return ENDED;
	default: return failed(program, NOVA_E_UNAVAILABLE, "logging in");
	}
}

static void on_exit_status(ssh_session session, ssh_channel channel, int status, void *context)
{
	struct nova_ssh_program *program = context;

	(void)session;
	(void)channel;
	program->exited = 1;
	program->exit_status = status;
}

/* RFC 4254, 6.10: names without SIG */
static void on_exit_signal(ssh_session session, ssh_channel channel, const char *name, int core,
                           const char *message, const char *language, void *context)
{
	static const struct {
		const char *name;
		int number;
	} signals[] = {{"ABRT", SIGABRT}, {"ALRM", SIGALRM}, {"FPE", SIGFPE},   {"HUP", SIGHUP},
	               {"ILL", SIGILL},   {"INT", SIGINT},   {"KILL", SIGKILL}, {"PIPE", SIGPIPE},
	               {"QUIT", SIGQUIT}, {"SEGV", SIGSEGV}, {"TERM", SIGTERM}, {"USR1", SIGUSR1},
	               {"USR2", SIGUSR2}};
	struct nova_ssh_program *program = context;

	(void)session;
	(void)channel;
	(void)core;
	(void)message;
	(void)language;
	program->exited = 1;
	program->signal = SIGKILL; /* one that has no name there ended it all the same */
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (strcmp(name, signals[i].name) == 0)
			program->signal = signals[i].number;
}

static enum progress open_it(struct nova_ssh_program *program)
{
	int said;

	if (!program->channel) {
		program->channel = ssh_channel_new(program->session);
		if (!program->channel)
			return failed(program, NOVA_E_MEMORY, "opening a channel");
		program->callbacks = (struct ssh_channel_callbacks_struct){
		        .size = sizeof(program->callbacks),
		        .userdata = program,
		        .channel_exit_status_function = on_exit_status,
		        .channel_exit_signal_function = on_exit_signal};
		ssh_set_channel_callbacks(program->channel, &program->callbacks);
	}
	said = ssh_channel_open_session(program->channel);
	if (said == SSH_AGAIN)
		return WAIT;
	if (said != SSH_OK)
		return failed(program, NOVA_E_PROTOCOL, "opening a channel");
	program->stage = START;
	return ON;
}

static enum progress start_it(struct nova_ssh_program *program)
{
	int said = ssh_channel_request_exec(program->channel, nova_text_get(&program->command));

	if (said == SSH_AGAIN)
		return WAIT;
	if (said != SSH_OK)
		return failed(program, NOVA_E_UNKNOWN, "starting it");
	program->stage = RUN;
	return ON;
}

/* --- while it runs ---------------------------------------------------------------------------- */

/* Takes the shell's own line off the output; 0: it is another one. */
static int take_pid(struct nova_ssh_program *program, const char **bytes, size_t *count)
{
	const size_t mark = strlen(PID_MARK);

	while (*count > 0 && program->first_bytes + 1 < sizeof(program->first)) {
		char byte = *(*bytes)++;

		(*count)--;
		if (byte != '\n') {
			program->first[program->first_bytes++] = byte;
			continue;
		}
		program->first[program->first_bytes] = '\0';
		if (strncmp(program->first, PID_MARK, mark) == 0)
			program->pid = atoll(program->first + mark);
		if (program->pid <= 1)
			return 0;
		program->ssh->host->put_i64(program->call->op, NOVA_FIELD_GUEST_PID, program->pid);
		return 1;
	}
	return program->first_bytes + 1 < sizeof(program->first);
}

static enum progress take_output(struct nova_ssh_program *program, int errors)
{
	char chunk[CHUNK_BYTES];
	int got = ssh_channel_read_nonblocking(program->channel, chunk, sizeof(chunk), errors);
	const char *bytes = chunk;
	size_t count = got > 0 ? (size_t)got : 0;

	if (got == SSH_ERROR)
		return failed(program, NOVA_E_UNKNOWN, "the connection broke while it ran");
	if (count == 0)
		return WAIT;
	if (!errors && program->pid == 0 && !take_pid(program, &bytes, &count)) {
		fail(program, NOVA_E_PROTOCOL,
		     "its shell said something else before the program's number; it must be a "
		     "POSIX "
		     "shell that prints nothing when it starts");
		return ENDED;
	}
	if (count > 0)
		program->ssh->host->put_bytes(program->call->op,
		                              errors ? NOVA_FIELD_STDERR : NOVA_FIELD_STDOUT, bytes,
		                              count);
	return ON;
}

static enum progress give_input(struct nova_ssh_program *program)
{
	size_t left = program->input.used - program->input_done;
	uint32_t window = ssh_channel_window_size(program->channel);
	int wrote;

	if (program->input_ended || program->exited)
		return WAIT;
	if (left == 0) {
		program->input_ended = 1;
		ssh_channel_send_eof(program->channel);
		return ON;
	}
	if (window == 0)
		return WAIT;
	if (left > window)
		left = window;
	if (left > CHUNK_BYTES)
		left = CHUNK_BYTES;
	wrote = ssh_channel_write(program->channel, program->input.text + program->input_done,
	                          (uint32_t)left);
	/* a program that reads no input may close it: that it has ended is seen elsewhere */
	if (wrote < 0)
		program->input_ended = 1;
	else
		program->input_done += (size_t)wrote;
	return wrote > 0 ? ON : WAIT;
}

static enum progress run_it(struct nova_ssh_program *program)
{
	enum progress output = take_output(program, 0);
	enum progress errors = output == ENDED ? ENDED : take_output(program, 1);
	enum progress input;
	int over;

	if (errors == ENDED)
		return ENDED;
	input = give_input(program);
	if (output == ON || errors == ON || input == ON)
		return ON;
	/* at the output's end reading no longer takes what comes, but this does */
	if (!program->exited && ssh_channel_is_eof(program->channel))
		ssh_channel_get_exit_status(program->channel);
	/* after that nothing comes any more; what has come meanwhile is taken first */
	over = ssh_channel_is_closed(program->channel) ||
	       (ssh_channel_is_eof(program->channel) && program->exited);
	if (ssh_channel_poll(program->channel, 0) > 0 || ssh_channel_poll(program->channel, 1) > 0)
		return ON;
	if (!over)
		return WAIT;
	if (!program->exited)
		return failed(program, NOVA_E_UNKNOWN, "it ended without saying how");
	if (program->signal)
		program->ssh->host->put_i64(program->call->op, NOVA_FIELD_SIGNAL, program->signal);
	else
		program->ssh->host->put_i64(program->call->op, NOVA_FIELD_EXIT_STATUS,
		                            program->exit_status);
	nova_call_done(program->call);
	return ENDED;
}

/* --- the call's step -------------------------------------------------------------------------- */

/* libssh knows whether it waits for the peer, or for room to write to it. */
static void watch(struct nova_ssh_program *program)
{
	struct nova_call_inside *inside = program->call->inside;
	int flags = ssh_get_poll_flags(program->session);

	inside->fd = ssh_get_fd(program->session);
	inside->events = 0;
	if (inside->fd >= 0 && flags & SSH_READ_PENDING)
		inside->events |= CURL_WAIT_POLLIN;
	if (inside->fd >= 0 && flags & SSH_WRITE_PENDING)
		inside->events |= CURL_WAIT_POLLOUT;
}

static void advance(struct nova_call *call, const struct nova_reply *reply)
{
	static enum progress (*const stages[])(struct nova_ssh_program *) = {
	        [CONNECT] = connect_it, [TRUST] = trust_it, [ENTER] = enter_it,
	        [OPEN] = open_it,       [START] = start_it, [RUN] = run_it};
	struct nova_ssh_program *program = call->inside->aside;
	enum progress progress = ON;

	(void)reply;
	if (!program->session && !begin(program)) {
		fail(program, NOVA_E_MEMORY, "out of memory");
		return;
	}
	for (int round = 0; progress == ON && round < ROUNDS; round++)
		progress = stages[program->stage](program);
	if (progress == ON)
		nova_call_pause(call, advance, 0);
	if (progress == WAIT) {
		watch(program);
		nova_call_pause(call, advance, LOOK_NS);
	}
}

/* --- given up --------------------------------------------------------------------------------- */

/* 1: killed, or it cannot be. A signal through the program's own channel would be less, but OpenSSH
 * takes none for root. */
static int kill_it(struct nova_ssh_program *program)
{
	char command[48];
	int said;

	if (!program->killer)
		program->killer = ssh_channel_new(program->session);
	if (!program->killer)
		return 1;
	if (!program->killer_open) {
		said = ssh_channel_open_session(program->killer);
		if (said != SSH_OK)
			return said != SSH_AGAIN;
		program->killer_open = 1;
	}
	if (!program->killer_runs) {
		snprintf(command, sizeof(command), "kill -KILL %lld", program->pid);
		said = ssh_channel_request_exec(program->killer, command);
		if (said != SSH_OK)
			return said != SSH_AGAIN;
		program->killer_runs = 1;
	}
	return ssh_channel_get_exit_status(program->killer) != -1 ||
	       ssh_channel_is_closed(program->killer);
}

/* One that has just begun has not said its number yet. 1: the call has ended. */
static int learn_pid(struct nova_ssh_program *program)
{
	enum progress progress = ON;

	while (progress == ON && program->pid == 0)
		progress = program->stage == START ? start_it(program) : take_output(program, 0);
	return progress == ENDED;
}

/* What a call that is given up does instead of a pause, which it may no longer make. */
static void stop_on(struct nova_call *call, const struct nova_reply *reply)
{
	struct nova_ssh_program *program = call->inside->aside;

	(void)reply;
	if (learn_pid(program))
		return;
	if (program->exited || (program->pid != 0 && kill_it(program))) {
		nova_helper_end(call, call->inside->stopped);
		return;
	}
	watch(program);
	call->inside->step = stop_on;
	call->inside->due_ns = nova_http_now_ns() + LOOK_NS;
}

static void stop_it(struct nova_call *call)
{
	struct nova_ssh_program *program = call->inside->aside;

	if (program->stage >= START)
		stop_on(call, NULL);
	else
		nova_helper_end(call, call->inside->stopped);
}

/* Nothing may ask a name server here: that would block. */
static int is_address(const char *text)
{
	unsigned char bytes[16];

	return text &&
	       (inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1);
}

void nova_ssh_run(struct nova_ssh_program *program, struct nova_call *call, const char *address)
{
	if (!is_address(address)) {
		nova_call_fail(call, NOVA_E_INVALID,
		               "cannot run a program in the VM by SSH: %s is no IP address",
		               address ? address : "what is known of it");
		return;
	}
	program->call = call;
	program->address = strdup(address);
	if (!program->address) {
		nova_call_fail(call, NOVA_E_MEMORY, "out of memory");
		return;
	}
	program->give_up_ns = nova_http_now_ns() + program->ssh->patience_ns;
	call->inside->aside = program;
	call->inside->on_stop = stop_it;
	advance(call, NULL);
}

/* --- with an address that must be asked for --------------------------------------------------- */

void nova_ssh_consider(char best[NOVA_SSH_ADDRESS_ROOM], const char *address)
{
	int old = strchr(address, '.') && !strchr(address, ':');

	if (!is_address(address) || strlen(address) >= NOVA_SSH_ADDRESS_ROOM)
		return;
	if (strncasecmp(address, "fe80:", 5) == 0 || strncmp(address, "169.254.", 8) == 0)
		return;
	if (!best[0] || (old && strchr(best, ':')))
		snprintf(best, NOVA_SSH_ADDRESS_ROOM, "%s", address);
}

struct nova_ssh_program *nova_ssh_exec(struct nova_ssh *ssh, struct nova_call *call, const char *vm,
                                       const struct nova_exec *exec, int64_t pid,
                                       void (*find)(struct nova_call *call))
{
	struct nova_ssh_program *program =
	        exec ? nova_ssh_program(ssh, vm, exec) : nova_ssh_killer(ssh, vm, pid);

	if (!program) {
		nova_call_fail(call, NOVA_E_INVALID,
		               "no program to run, or a variable that no shell could set");
		return NULL;
	}
	program->find = find;
	call->inside->aside = program;
	find(call);
	return program;
}

static void find_again(struct nova_call *call, const struct nova_reply *reply)
{
	const struct nova_ssh_program *program = call->inside->aside;

	(void)reply;
	program->find(call);
}

void nova_ssh_at(struct nova_call *call, const char *address)
{
	if (address && address[0])
		nova_ssh_run(call->inside->aside, call, address);
	else
		nova_call_pause(call, find_again, FIND_NS);
}
