/* SPDX-License-Identifier: MIT */
/*
 * A driver of a hypervisor that does not exist, and that does one thing wrong when its parameter
 * `mode` says so. NAME is its name, MODEL its thread model.
 */
#include <novacore/sdk.h>

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_(text) #text
#define TEXT(text)  TEXT_(text)

#define ESCAPES "\033[2J\033]0;owned\007\302\23331m\177\r\342\200\256"

struct self {
	const struct nova_host *host;
	nova_op instance;
	char mode[64];
};

static int is(const struct self *self, const char *mode)
{
	return !strcmp(self->mode, mode);
}

static void hang(void)
{
	for (;;)
		pause();
}

static void crash(void)
{
	int *volatile nowhere = (int *)(uintptr_t)8;

	*nowhere = 1;
}

static void on_thread(void *(*function)(void *), void *argument)
{
	pthread_t thread;

	if (!pthread_create(&thread, NULL, function, argument))
		pthread_detach(thread);
}

static void send_packet(const char *text)
{
	(void)!send(3, text, strlen(text), MSG_NOSIGNAL);
}

/* --- ways to misbehave while a VM is being started -------------------------------------------- */

struct threaded {
	struct self *self;
	nova_op op;
	const char *name;
};

static void *put_late(void *argument)
{
	struct threaded *t = argument;

	for (int i = 0; i < 50; i++) {
		usleep(1000);
		t->self->host->put_fact(t->op, NOVA_FIELD_ID, "", "another");
		t->self->host->put_i64(t->op, NOVA_FIELD_STATE, i);
		t->self->host->error(t->op, NOVA_E_FAILED, "too late");
		t->self->host->done(t->op, NOVA_E_FAILED);
	}
	return NULL;
}

/* Rubbish from a thread that the host did not make. */
static void *talk_rubbish(void *argument)
{
	struct threaded *t = argument;
	const struct nova_host *host = t->self->host;
	static const uint64_t numbers[] = {0, 1, 7, UINT64_MAX, UINT64_MAX - 1, 1u << 31};
	struct nova_event event = {.struct_size = sizeof(event), .name = t->name};
	int64_t i64;
	double f64;

	for (int round = 0; round < 200; round++)
		for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
			nova_op op = numbers[i];

			host->done(op ? op : t->op, 12345);
			host->error(op, 7, NULL);
			host->errorf(op, -12345, "%s", "\377\376");
			(void)host->deadline_ns(op), (void)host->cancelled(op);
			host->put_i64(op, UINT32_MAX, INT64_MIN);
			host->put_f64(op, 0, 0.0 / 1.0);
			host->put_bytes(op, NOVA_FIELD_STDOUT, "\0\377", 2);
			host->put_fact(op, 12345, NULL, NULL);
			event.kind = (uint32_t)round * 31;
			event.source = UINT32_MAX;
			event.t_ns = INT64_MIN + round;
			event.name = i % 2 ? t->name : i % 3 ? "novacore-" : NULL;
			host->event(op, &event);
			host->param_i64(op, "mode", UINT32_MAX, &i64);
			host->param_f64(op, "", 0, &f64);
			(void)host->param_text(op, "no such", 3);
			(void)host->directory(op, (uint32_t)round);
			if (!round)
				host->log(op, 99, NULL);
		}
	return NULL;
}

static void talk_from_threads(struct self *self, nova_op op, const char *name)
{
	static struct threaded argument;
	pthread_t threads[8];
	int count = 0;

	argument = (struct threaded){self, op, name};
	while (count < 8 && !pthread_create(&threads[count], NULL, talk_rubbish, &argument))
		count++;
	while (count-- > 0)
		pthread_join(threads[count], NULL);
}

static void put_too_much(struct self *self, nova_op op)
{
	char *piece = calloc(1, 1u << 20);

	for (int i = 0; piece && i < 80; i++)
		self->host->put_bytes(op, NOVA_FIELD_STDOUT, piece, 1u << 20);
	self->host->put_bytes(op, NOVA_FIELD_STDOUT, piece, UINT64_MAX);
	free(piece);
}

static void *print_without_end(void *unused)
{
	static char line[4096];

	memset(line, 'x', sizeof(line));
	for (;;)
		if (write(1, line, sizeof(line)) < 0)
			return unused;
}

static void leak(void)
{
	for (int i = 0; i < 3000; i++)
		(void)!open("/dev/null", O_RDONLY);
	for (int i = 0; i < 20; i++)
		on_thread((void *(*)(void *))(void *)hang, NULL);
	memset(malloc(20u << 20), 1, 20u << 20);
}

static void change_process(void)
{
	sigset_t all;

	sigfillset(&all);
	(void)!chdir("/");
	umask(0777);
	setlocale(LC_ALL, "C.UTF-8");
	for (int i = 1; i < 32; i++)
		signal(i, SIG_IGN);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	setenv("PATH", "/nowhere", 1);
	setenv("NOVACORE_HOME", "/nowhere", 1);
	unsetenv("HOME");
	prctl(PR_SET_PDEATHSIG, 0);
	prctl(PR_SET_NAME, "innocent");
}

/* One that does nothing, one that goes on talking when its parent is dead. */
static void leave_children(int loud)
{
	if (!fork())
		hang();
	if (!fork()) {
		if (!loud)
			hang();
		for (;;)
			send_packet("{\"is\":\"say\",\"level\":1,\"text\":\"from beyond\"}");
	}
}

static void forge(void)
{
	send_packet("{\"is\":\"gone\",\"name\":\"" TEXT(NAME) "-victim\"}");
	send_packet("{\"is\":\"id\",\"name\":\"" TEXT(NAME) "-victim\",\"id\":\"x\"}");
	send_packet("{\"is\":\"intend\",\"number\":4,\"target\":77,\"kind\":\"vm\",\"name\":"
	            "\"victim\"}");
	send_packet("{\"is\":\"sample\",\"metric\":\"prod.undeclared\",\"status\":1,\"side\":9,"
	            "\"seq\":4000000000,\"vm\":-1,\"value\":1e308,\"t_ns\":-1,\"intended_ns\":0,"
	            "\"error_ns\":0,\"source\":99}");
	send_packet("{\"is\":\"attempt\",\"status\":77}");
	send_packet("{\"is\":\"loading\",\"kind\":99,\"plugin\":\"\",\"stage\":\"\"}");
	send_packet("{\"is\":\"opened\",\"code\":0,\"text\":\"\",\"width\":-1,\"targets\":[]}");
	send_packet("{\"is\":\"swept\",\"code\":0,\"text\":\"\",\"left\":-5}");
	send_packet("{\"is\":\"call\",\"target\":-1,\"call\":\"x\",\"object\":\"y\",\"code\":-1,"
	            "\"duration_ns\":-1,\"text\":\"" /* ESC as JSON has it */
	            "\\u001b[2Jforged\"}");
	send_packet("{\"is\":\"say\",\"level\":77,\"text\":\"\\u001b[2J\\u009b2J\"}");
}

static void misbehave(struct self *self, nova_op op, const char *name)
{
	static struct threaded late;
	char rubbish[70000];

	if (is(self, "crash"))
		crash();
	if (is(self, "exit"))
		exit(0);
	if (is(self, "stop"))
		raise(SIGSTOP);
	if (is(self, "block"))
		hang();
	if (is(self, "late")) {
		late = (struct threaded){self, op, name};
		on_thread(put_late, &late);
	}
	if (is(self, "others"))
		for (nova_op other = 0; other < op + 200; other++)
			if (other != op)
				self->host->done(other, NOVA_E_FAILED);
	if (is(self, "rubbish"))
		talk_from_threads(self, op, name);
	if (is(self, "much"))
		put_too_much(self, op);
	if (is(self, "print"))
		on_thread(print_without_end, NULL);
	if (is(self, "leak"))
		leak();
	if (is(self, "process"))
		change_process();
	if (is(self, "children") || is(self, "loud-children"))
		leave_children(is(self, "loud-children"));
	if (is(self, "loud-children"))
		exit(7);
	if (is(self, "daemon") && !fork()) {
		setsid();
		for (int i = 0; i < 30; i++)
			sleep(1);
		_exit(0);
	}
	if (is(self, "close"))
		close(3);
	if (is(self, "rubbish-packet"))
		send_packet("{\"is\":\"sample\",");
	if (is(self, "big-packet")) {
		memset(rubbish, 'x', sizeof(rubbish));
		(void)!send(3, rubbish, sizeof(rubbish), MSG_NOSIGNAL);
	}
	if (is(self, "forge"))
		forge();
	if (is(self, "notes"))
		for (int i = 0; i < 20000; i++)
			self->host->log(self->instance, NOVA_SAY_WARNING, "again, and again");
	if (is(self, "escapes"))
		self->host->log(self->instance, NOVA_SAY_WARNING, "log " ESCAPES "\377");
}

/* The parameter `token` in every text that there is, as it is, in two pieces, and in a URL. */
static int tell_secret(struct self *self, nova_op op, const char *name)
{
	const struct nova_host *host = self->host;
	const char *token = host->param_text(self->instance, "token", 0);
	struct nova_event event = {.struct_size = sizeof(event), .kind = NOVA_EVENT_PAUSED};
	char text[4096], name_of_event[4096];
	size_t half = strlen(token) / 2;

	(void)name;
	snprintf(text, sizeof(text), "%1010s%s", "", token); /* where texts are cut */
	host->put_fact(op, NOVA_FIELD_FACT, token, text);
	host->put_bytes(op, NOVA_FIELD_STDOUT, token, half);
	host->put_bytes(op, NOVA_FIELD_STDOUT, token + half, strlen(token) - half);
	host->put_bytes(op, NOVA_FIELD_STDERR, "\0", 1);
	host->put_bytes(op, NOVA_FIELD_STDERR, token, strlen(token));
	snprintf(name_of_event, sizeof(name_of_event), "vm-%s", token);
	event.name = name_of_event;
	host->event(self->instance, &event);
	host->log(self->instance, NOVA_SAY_WARNING, token);
	snprintf(text, sizeof(text), "%3990s%s", "", token);
	host->log(self->instance, NOVA_SAY_WARNING, text);
	printf("printed %s\n", token);
	fflush(stdout);
	host->errorf(op, NOVA_E_FAILED,
	             "POST https://user:%s@host/?password=s3cr%%3Ft%%2Fword%%26x refused", token);
	return host->errorf(op, NOVA_E_FAILED, "%1390s%s", "", token);
}

/* --- the driver ------------------------------------------------------------------------------- */

static int create(const struct nova_host *host, nova_op instance, void **out)
{
	struct self *self = calloc(1, sizeof(*self));

	if (!self)
		return NOVA_E_MEMORY;
	self->host = host;
	self->instance = instance;
	snprintf(self->mode, sizeof(self->mode), "%s", host->param_text(instance, "mode", 0));
	*out = self;
	return NOVA_DONE;
}

static void *after_destroy(void *argument)
{
	struct self *self = argument;

	for (int i = 0; i < 1000; i++) {
		self->host->log(self->instance, NOVA_SAY_DEBUG, "from the other side");
		self->host->put_i64(self->instance, NOVA_FIELD_STATE, 1);
	}
	return NULL;
}

static int disconnect(void *opaque, nova_op op)
{
	struct self *self = opaque;

	if (is(self, "disconnect-hang"))
		hang();
	if (is(self, "disconnect-crash"))
		crash();
	return is(self, "disconnect-never")   ? NOVA_PENDING
	       : is(self, "disconnect-error") ? self->host->error(op, NOVA_E_PROTOCOL, ESCAPES)
	                                      : NOVA_DONE;
}

static void destroy(void *opaque)
{
	struct self *self = opaque;

	if (is(self, "destroy-hang"))
		hang();
	if (is(self, "destroy-crash"))
		crash();
	if (is(self, "after-destroy")) {
		on_thread(after_destroy, self);
		usleep(2000);
		return;
	}
	free(self);
}

static int pump(void *opaque, int64_t until_ns)
{
	struct self *self = opaque;

	(void)until_ns;
	if (is(self, "pump-hang"))
		hang();
	usleep(10000);
	return is(self, "pump-rubbish") ? -12345 : NOVA_DONE;
}

static int connect_target(void *opaque, nova_op op)
{
	struct self *self = opaque;

	return is(self, "connect-never")   ? NOVA_PENDING
	       : is(self, "connect-crash") ? (crash(), NOVA_DONE)
	       : is(self, "connect-error") ? self->host->error(op, NOVA_E_UNAVAILABLE, ESCAPES)
	                                   : NOVA_DONE;
}

static int describe(void *opaque, nova_op op)
{
	static const char *const can[] = {NOVA_CAN_CREATE, NOVA_CAN_START, NOVA_CAN_EXEC,
	                                  NOVA_CAN_DIRECT, NULL};
	struct self *self = opaque;
	const struct nova_host *host = self->host;
	char key[64], text[2048];

	host->put_fact(op, NOVA_FIELD_FACT, "product", "rogue");
	host->put_fact(op, NOVA_FIELD_FACT, "version", "1");
	for (size_t i = 0; can[i]; i++)
		host->put_fact(op, NOVA_FIELD_CAPABILITY, can[i], NULL);
	if (is(self, "escapes")) {
		host->put_fact(op, NOVA_FIELD_FACT, "product", ESCAPES "product\377");
		host->put_fact(op, NOVA_FIELD_FACT, ESCAPES, "key");
		host->put_fact(op, NOVA_FIELD_CAPABILITY, NOVA_CAN_STATS, ESCAPES "why");
	}
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	for (int i = 0; i < 500 && is(self, "facts"); i++) {
		snprintf(key, sizeof(key), "fact.%d", i);
		host->put_fact(op, NOVA_FIELD_FACT, key, text);
	}
	return is(self, "describe-status") ? 12345 : NOVA_DONE;
}

static int vm_create(void *opaque, nova_op op, const char *name, const struct nova_shape *shape)
{
	struct self *self = opaque;

	(void)shape;
	if (is(self, "never"))
		return NOVA_PENDING;
	if (is(self, "status"))
		return -12345;
	if (is(self, "positive"))
		return 4711;
	self->host->put_fact(op, NOVA_FIELD_ID, "", is(self, "escapes") ? ESCAPES "\377" : name);
	if (is(self, "twice")) {
		self->host->done(op, NOVA_DONE);
		self->host->done(op, NOVA_E_FAILED);
		self->host->error(op, NOVA_E_FAILED, "it failed after all");
		return NOVA_PENDING;
	}
	if (is(self, "both")) {
		self->host->done(op, NOVA_DONE);
		return NOVA_E_FAILED;
	}
	return NOVA_DONE;
}

static int vm_power(void *opaque, nova_op op, const struct nova_ref *vm, uint32_t action)
{
	static const uint32_t events[] = {NOVA_EVENT_RUNNING, NOVA_EVENT_USERSPACE,
	                                  NOVA_EVENT_READY};
	struct self *self = opaque;

	(void)action;
	misbehave(self, op, vm->name);
	if (is(self, "secret"))
		return tell_secret(self, op, vm->name);
	if (is(self, "escapes"))
		return self->host->error(op, NOVA_E_FAILED, "error " ESCAPES "\377");
	for (size_t i = 0; i < 3 && !is(self, "no-event"); i++) {
		const struct nova_event event = {.struct_size = sizeof(event),
		                                 .kind = events[i],
		                                 .source = NOVA_SOURCE_MODEL,
		                                 .name = vm->name,
		                                 .t_ns = self->host->now_ns()};
		self->host->event(self->instance, &event);
	}
	return NOVA_DONE;
}

static int vm_delete(void *opaque, nova_op op, const struct nova_ref *vm)
{
	(void)opaque, (void)op, (void)vm;
	return NOVA_DONE;
}

static int vm_list(void *opaque, nova_op op, const char *prefix)
{
	(void)opaque, (void)op, (void)prefix;
	return NOVA_DONE;
}

static int exec(void *opaque, nova_op op, const struct nova_ref *vm, const struct nova_exec *what)
{
	struct self *self = opaque;

	(void)vm, (void)what;
	self->host->put_i64(op, NOVA_FIELD_EXIT_STATUS, 0);
	return NOVA_DONE;
}

static const struct nova_hypervisor driver = {
        .struct_size = sizeof(driver),
        .create = create,
        .destroy = destroy,
        .disconnect = disconnect,
        .pump = pump,
        .connect = connect_target,
        .describe = describe,
        .vm_create = vm_create,
        .vm_power = vm_power,
        .vm_delete = vm_delete,
        .vm_list = vm_list,
        .exec = exec,
};

static const struct nova_parameter mode = {
        .struct_size = sizeof(mode),
        .type = NOVA_PARAM_TEXT,
        .name = "mode",
        .fallback = "none",
        .doc = "what it does wrong",
};
static const struct nova_parameter uri = {
        .struct_size = sizeof(uri), .type = NOVA_PARAM_TEXT, .name = "uri", .doc = "not used"};
static const struct nova_parameter token = {
        .struct_size = sizeof(token),
        .type = NOVA_PARAM_SECRET,
        .name = "token",
        .doc = "what it tells everybody",
};
static const struct nova_parameter *const parameters[] = {&mode, &uri, &token, NULL};

static const struct nova_plugin plugin = {
        .struct_size = sizeof(plugin),
        .kind = NOVA_KIND_HYPERVISOR,
        .thread_model = MODEL,
        .name = TEXT(NAME),
        .version = "1.0.0",
        .summary = "for tests of what the host survives",
        .license = "MIT",
        .parameters = parameters,
        .ops = &driver,
};

NOVA_PLUGIN(NOVA_KIND_HYPERVISOR, plugin)
